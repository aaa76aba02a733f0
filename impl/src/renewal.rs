//! Certificates that an operator replaces while the process runs (chapter *Certificates*): handshakes that begin later use
//! the new one, connections stay.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::net;

/// How often the files are looked at. The text allows ten seconds (`CERT-034`); a look costs a few system calls.
const INTERVAL: Duration = Duration::from_secs(2);

/// What shows that a file was written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: std::time::SystemTime,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

/// The files of one certificate, and what they looked like when they were last read.
#[derive(Debug)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

impl Files {
    /// Files that are about to be read for the first time.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let seen = stamps(&paths);
        Self { paths, seen }
    }

    /// Whether any has changed since the last call.
    fn have_changed(&mut self) -> bool {
        let found = stamps(&self.paths);
        let changed = found != self.seen;
        self.seen = found;
        changed
    }

    /// Loads again whenever a file has changed, until the process goes down. What cannot be used, such as a certificate
    /// whose key has not been written yet, leaves the one before in use until a file changes again.
    pub(crate) async fn watch<T, E: std::error::Error + 'static>(
        mut self,
        load: impl Fn() -> Result<T, E> + Send,
        replace: impl Fn(T) + Send,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            if !self.have_changed() {
                continue;
            }
            match load() {
                Ok(loaded) => {
                    replace(loaded);
                    info!(files = ?self.paths, "a certificate was replaced");
                }
                Err(error) => warn!(
                    error = net::chain(&error),
                    files = ?self.paths,
                    "the new certificate cannot be used; the one before stays in use until a file changes again"
                ),
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: found.modified().ok()?,
            length: found.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&found),
        })
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn a_file_that_is_written_again_moved_into_place_or_gone_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        let mut files = Files::new([path.clone()]);
        assert!(!files.have_changed());
        std::fs::write(&path, "one").unwrap();
        assert!(files.have_changed());
        assert!(!files.have_changed());
        let other = folder.path().join("other.pem");
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(files.have_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(files.have_changed());
        assert!(!files.have_changed());
    }
}
