//! `antiphon mutants`: which wrong variants there are, and which requirement each breaks.
//!
//! Every build can tell; only one with the feature `mutants` can be wrong.

use std::io::{self, Write as _};

use super::Failure;
use crate::mutant;

/// What to tell.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One JSON object a line, with `name`, `breaks` and `caught-by`.
    #[arg(long, required = true)]
    list: bool,
}

impl Arguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        if self.list {
            for mutant in mutant::all() {
                writeln!(output, "{}", serde_json::to_string(&mutant)?)?;
            }
        }
        Ok(output.flush()?)
    }
}
