//! `antiphon shim`: the system's codecs, verifiers and session machine, for the conformance suite.

use super::Failure;
use crate::shim::Shim;

/// Nothing: every question stands in a line of its own.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

impl Arguments {
    #[expect(clippy::unused_self, reason = "every subcommand is run by its arguments")]
    pub(super) fn run(self) -> Result<(), Failure> {
        Ok(Shim::new()?.serve(std::io::stdin().lock(), std::io::stdout().lock())?)
    }
}
