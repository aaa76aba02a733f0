//! The server's end of the socket.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Question, Told, read};
use crate::start::StartError;

/// Most questions at a time; more wait.
const QUESTIONS_MAX: usize = 4;

/// How long a question may take to be asked, and each answer to be read.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long to wait when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A server that an operator may ask.
pub(crate) trait Operated: Send + Sync + 'static {
    /// Answers a question, but for the end of the answers.
    fn answer<'a>(
        &'a self,
        question: Question,
        answers: &'a mut Answers,
    ) -> BoxFuture<'a, Result<(), AnswerError>>;
}

/// Why the answers end early.
#[derive(Debug)]
pub(crate) enum AnswerError {
    /// It can't be done.
    Failed(String),
    /// Nobody reads them.
    Unheard,
}

/// Where answers go.
#[derive(Debug)]
pub(crate) struct Answers(BufReader<UnixStream>);

impl Answers {
    /// Tells one.
    pub(crate) async fn tell(&mut self, told: &Told) -> Result<(), AnswerError> {
        let mut line = serde_json::to_vec(told).map_err(|_| AnswerError::Unheard)?;
        line.push(b'\n');
        match timeout(DEADLINE, self.0.get_mut().write_all(&line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(AnswerError::Unheard),
        }
    }
}

/// The socket of a server. Dropping it ends it, and removes the file.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    inode: u64,
    _serve: AbortOnDropHandle<()>,
}

impl ControlSocket {
    /// Listens, for the user alone who runs this process.
    ///
    /// # Errors
    /// The path can't be listened on.
    pub(crate) fn open(path: &Path, operated: impl Operated) -> Result<Self, StartError> {
        let unusable = |source| StartError::Control { path: path.to_owned(), source };
        make_way(path).map_err(unusable)?;
        let listener = UnixListener::bind(path).map_err(unusable)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(unusable)?;
        let made = std::fs::metadata(path).map_err(unusable)?;
        let serve = tokio::spawn(serve(listener, made.uid(), Arc::new(operated)));
        Ok(Self { path: path.to_owned(), inode: made.ino(), _serve: AbortOnDropHandle::new(serve) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A later process may have put its own there.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket of a process that was killed, or that this one takes the place of; nothing else.
fn make_way(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => std::fs::remove_file(path),
    }
}

async fn serve(listener: UnixListener, owner: u32, operated: Arc<dyn Operated>) {
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "an operator's question cannot be taken");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        // The mode of the file says the same, from the moment on when it was set.
        let is_allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
        if !is_allowed {
            warn!("somebody asks who is not the user who runs this server");
            continue;
        }
        let operated = Arc::clone(&operated);
        tokio::spawn(async move {
            converse(BufReader::new(stream), &*operated).await;
            drop(place);
        });
    }
}

async fn converse(mut stream: BufReader<UnixStream>, operated: &dyn Operated) {
    let question = match timeout(DEADLINE, read(&mut stream)).await {
        Ok(Ok(Some(question))) => Ok(question),
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => Err(AnswerError::Failed(format!("the question cannot be read: {error}"))),
    };
    let mut answers = Answers(stream);
    let result = match question {
        Ok(question) => {
            info!(?question, "an operator asks");
            operated.answer(question, &mut answers).await
        }
        Err(error) => Err(error),
    };
    let last = match result {
        Ok(()) => Told::Done,
        Err(AnswerError::Failed(why)) => Told::Failed { why },
        Err(AnswerError::Unheard) => return,
    };
    let _ = answers.tell(&last).await;
}
