//! The program `antiphon-conformance`; all of it is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    antiphon_conformance::cli::main()
}
