//! `vectors`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{AS_EXPECTED, FAILED, Stopped, complain, print};
use crate::vector;

/// Arguments of `vectors`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(super) struct VectorsArguments {
    /// Make the files anew.
    #[arg(long, group = "what")]
    write: bool,
    /// Fail if the files are not what the generator makes.
    #[arg(long, group = "what")]
    check: bool,
    /// The folder of the files.
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))]
    folder: PathBuf,
}

impl VectorsArguments {
    pub(super) fn run(self) -> Result<u8, Stopped> {
        let mut code = AS_EXPECTED;
        for (name, file) in vector::generate().map_err(Stopped::harness)? {
            let path = self.folder.join(name);
            let made = vector::render(&file).map_err(Stopped::harness)?;
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            if made == there {
                print(&format!("{name}: {} cases\n", file.cases.len()));
            } else if self.write {
                std::fs::write(&path, made)
                    .map_err(|error| Stopped::Usage(format!("{}: {error}", path.display())))?;
                print(&format!("{name}: {} cases, written\n", file.cases.len()));
            } else {
                complain(&format!(
                    "{} is not what the generator makes; run antiphon-conformance vectors --write",
                    path.display()
                ));
                code = FAILED;
            }
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use crate::vector;

    #[test]
    fn the_files_are_what_the_generator_makes() {
        for ((name, file), (embedded, text)) in vector::generate().unwrap().iter().zip(vector::FILES) {
            assert_eq!(*name, embedded);
            assert!(
                vector::render(file).unwrap() == text,
                "{name}: run antiphon-conformance vectors --write"
            );
        }
    }
}
