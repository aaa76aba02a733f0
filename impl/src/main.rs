//! The program `antiphon`; all of it is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    antiphon::cli::main()
}
