//! The narration: scenes, what happens in them, and claims, which are written only when they hold.

use std::{
    fmt::Debug,
    io::{self, Write},
};

use super::DemoError;
use crate::client::SafeText;

/// Writes the narration.
pub(super) struct Narrator {
    output: Box<dyn Write + Send>,
    scenes: u32,
    claims: u32,
}

impl Narrator {
    pub(super) fn new(output: impl Write + Send + 'static) -> Self {
        Self { output: Box::new(output), scenes: 0, claims: 0 }
    }

    /// How many claims were checked.
    pub(super) fn claims(&self) -> u32 {
        self.claims
    }

    /// Begins a scene.
    pub(super) fn scene(&mut self, title: &str) -> io::Result<()> {
        self.scenes += 1;
        let number = self.scenes;
        self.write(&format!("\n{number:>2}. {title}"))
    }

    /// Tells what happens.
    pub(super) fn tell(&mut self, line: &str) -> io::Result<()> {
        self.write(&format!("      {}", SafeText::new(line)))
    }

    /// Claims that two things are equal.
    pub(super) fn claim<T: PartialEq + Debug>(
        &mut self,
        claim: &str,
        found: &T,
        expected: &T,
    ) -> Result<(), DemoError> {
        if found != expected {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            return Err(DemoError::Untrue { claim: claim.to_owned(), expected, found });
        }
        self.holds(claim)
    }

    /// Claims what has just been waited for.
    pub(super) fn holds(&mut self, claim: &str) -> Result<(), DemoError> {
        self.claims += 1;
        Ok(self.write(&format!("    ✓ {}", SafeText::new(claim)))?)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{line}")?;
        self.output.flush()
    }
}
