//! Traces that somebody else has found, brought into the format of the vectors: the models' exporter is the one caller.
//!
//! Only what the client was told is taken. What it has to do is what the machine does that is handed it here, with real
//! keys and real signatures, as for every other trace.

use std::path::PathBuf;

use antiphon_spec::{session::Member, time::Timestamp};

pub use crate::vector::traces::record::{Done, Told};
use crate::vector::{self, GeneratorError, VectorCase, VectorFile, traces::record};

/// The name of the file in `vectors/`.
pub const FILE: &str = "model-traces.json";

/// The area of the cases in it: the first part of their IDs.
const AREA: &str = "model-traces";

/// Why a trace or the file cannot be made.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordedError(#[from] GeneratorError);

/// Where the suite's file is, in the repository that this was built in.
#[must_use]
pub fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")).join(FILE)
}

/// One event of a trace.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the client is told.
    pub told: Told,
    /// What its clock shows.
    pub now: Timestamp,
    /// What its random numbers are drawn from.
    pub entropy: [u8; 16],
}

/// Who is in a trace, and what it is about.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The last part of the case's ID.
    pub slug: String,
    /// What the case shows, the one that it is mainly about first.
    pub requirements: Vec<&'static str>,
    /// What happens, in a sentence.
    pub about: String,
    /// The client, whose secret key has this value in each byte.
    pub client: (Member, u8),
    /// The same for everybody whose key is known.
    pub keys: Vec<u8>,
}

/// A finished trace.
#[derive(Debug)]
pub struct Case(VectorCase);

/// Plays a trace to a client; gives the case, and what the client did at each event.
///
/// # Errors
/// An event or an action cannot be written down.
pub fn play(heading: &Heading, steps: &[Step]) -> Result<(Case, Vec<Done>), RecordedError> {
    let (me, seed) = &heading.client;
    let mut client =
        record::Recorder::new(me.clone(), record::Keys::new(*seed, heading.keys.iter().copied())?);
    let done = steps
        .iter()
        .map(|step| client.step(&step.told, step.now, step.entropy))
        .collect::<Result<Vec<_>, _>>()?;
    let id = format!("{AREA}/{}", heading.slug);
    Ok((Case(client.done(&id, &heading.requirements, &heading.about)), done))
}

/// The file with these cases, as it is written.
///
/// # Errors
/// It cannot be written down.
pub fn render(cases: Vec<Case>) -> Result<String, RecordedError> {
    let cases = cases.into_iter().map(|Case(case)| case).collect();
    let about = "What one client does in the models' runs: together, every action and every refusal.";
    let file: VectorFile = vector::file(AREA, about, cases);
    Ok(vector::render(&file)?)
}
