//! `antiphon demo`: the whole system on one machine, playing a session and checking what it says about it.
//!
//! An authority, a directory node, two servers and four clients run in this process, on loopback ports that the
//! system chooses, with their files in a temporary folder. Every line with a check mark was checked before it was
//! written; the first claim that does not hold, or that does not come true in time, ends the demo with an error.
//! Nothing stays behind: no process, no port, no file.

mod actor;
mod crash;
mod keep;
mod narrator;
mod play;
mod town;

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{authority::AuthorityError, cli::Failure, client, start};
use narrator::Narrator;
use play::Play;
use town::Town;

/// Longest wait for what a step is about: longer than every deadline of the protocol that a step can meet.
const STEP_DEADLINE: Duration = Duration::from_secs(40);

/// Plays a session of four on this machine, and checks it.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Leave everything up at the end, and say how to join from another terminal; ends with Ctrl-C.
    #[arg(long)]
    pub keep: bool,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A claim did not come true in time.
    #[error("{who} waited {} s in vain for {awaited}; what {who} was told meanwhile: {told}", STEP_DEADLINE.as_secs())]
    Waited {
        /// Who waited.
        who: &'static str,
        /// For what.
        awaited: String,
        /// The events that came instead, as JSON lines.
        told: String,
    },
    /// A client ended by itself.
    #[error("the client of {who} ended before {awaited}")]
    Ended {
        /// Whose.
        who: &'static str,
        /// What was awaited.
        awaited: String,
    },
    /// A claim does not hold.
    #[error("not true: {claim}; expected {expected}, found {found}")]
    Untrue {
        /// The claim.
        claim: String,
        /// What makes it true.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A server or node went down too slowly.
    #[error("{0} did not go down in time")]
    StillUp(String),
    /// Something is missing of what the demo needs.
    #[error("the authority cannot be made")]
    Authority(#[from] AuthorityError),
    /// A server or node does not start.
    #[error("{0} does not start")]
    Start(String, #[source] start::StartError),
    /// A client does not start.
    #[error("the client of {0} does not start")]
    Client(&'static str, #[source] client::StartError),
    /// A name is none; the fault is in the demo.
    #[error(transparent)]
    Name(#[from] antiphon_spec::identity::InvalidIdentifier),
    /// The temporary folder cannot be used.
    #[error("the temporary folder cannot be used")]
    Folder(#[source] io::Error),
    /// The narration cannot be written.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}

impl Arguments {
    /// Plays.
    ///
    /// # Errors
    /// Something is not as it was told, or the demo was interrupted.
    pub async fn run(self) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut asked = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let (ask_to_end, end) = oneshot::channel();
        let interrupted = async {
            if self.keep {
                // Once everything is up it goes down in good order; a second signal does not wait for that.
                asked().await;
                let _ = ask_to_end.send(());
            }
            asked().await;
        };
        let playing = async { if self.keep { keep(end).await } else { play().await } };
        tokio::select! {
            played = playing => Ok(played?),
            // Dropping the play ends its tasks and takes its folder away.
            () = interrupted => Err(Failure::new("interrupted")),
        }
    }
}

async fn play() -> Result<(), DemoError> {
    let mut narrator = Narrator::new(io::stdout());
    let town = Town::found(&mut narrator).await?;
    let mut play = Play::cast(town, &mut narrator).await?;
    play.perform(&mut narrator).await?;
    play.disperse(&mut narrator).await?;
    let mut play = crash::survive(play, &mut narrator).await?;
    play.part(&mut narrator).await?;
    play.end(&mut narrator).await
}

async fn keep(end: oneshot::Receiver<()>) -> Result<(), DemoError> {
    let mut narrator = Narrator::new(io::stdout());
    let town = Town::found(&mut narrator).await?;
    let mut play = Play::cast(town, &mut narrator).await?;
    play.perform(&mut narrator).await?;
    play.disperse(&mut narrator).await?;
    let mut play = crash::survive(play, &mut narrator).await?;
    keep::wait(&mut play, &mut narrator, end).await?;
    play.end(&mut narrator).await
}

#[cfg(test)]
mod tests;
