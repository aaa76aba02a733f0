//! The program `antiphon` with its mutants, under a name of its own, so that nobody takes it for the real one.

use std::process::ExitCode;

fn main() -> ExitCode {
    antiphon::cli::main()
}
