//! How a command ends that could not do its work: what went wrong, the chain of causes, what to do, and an exit code.

use std::{error::Error, io, process::ExitCode};

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    fix: Option<String>,
    exit_code: u8,
}

impl Failure {
    /// A failure of what was to be done: exit code 1.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), fix: None, exit_code: 1 }
    }

    /// A fault of the arguments or of a configuration file: exit code 2, as clap has it.
    #[must_use]
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit_code: 2, ..Self::new(error) }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        self.fix_if(Some(fix))
    }

    /// Says what to do about it, where there is something to say.
    #[must_use]
    pub fn fix_if(self, fix: Option<impl Into<String>>) -> Self {
        Self { fix: fix.map(Into::into), ..self }
    }

    /// Prints everything to standard error.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        // Nobody is left to be told when standard error is gone.
        let _ = self.write(&mut io::stderr().lock());
        ExitCode::from(self.exit_code)
    }

    fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        writeln!(to, "error: {}", self.error)?;
        let mut source = self.error.source();
        while let Some(error) = source {
            writeln!(to, "  because: {error}")?;
            source = error.source();
        }
        if let Some(fix) = &self.fix {
            writeln!(to, "  what to do: {fix}")?;
        }
        to.flush()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_whole_chain_is_told() {
        let failure = Failure::new(Outer(io::Error::other("inner"))).fix("do this");
        let mut text = Vec::new();
        failure.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "error: outer\n  because: inner\n  what to do: do this\n");
    }
}
