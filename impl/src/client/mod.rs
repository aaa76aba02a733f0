//! The reference client: an account, a login, and sessions with other users' clients, as a library and as a program
//! for a person ([`mod@line`]) or for another program ([`json`]).
//!
//! [`Client`] takes [`Command`]s and gives [`ClientEvent`]s; everything else happens inside, in tasks that end when the
//! client is dropped. What a session does is decided by the machine in `antiphon_spec::session`; this module gives it
//! links, time and entropy, and carries out what it asks for.

mod backup;
pub mod cli;
mod command;
mod engine;
mod event;
mod events;
pub mod identity;
pub mod input;
pub mod json;
pub mod line;
mod link;
mod listener;
mod registration;
mod relay;
mod rotation;
mod safe_text;
mod sealed;
mod server_link;
mod settings;
mod stream;
mod timers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use antiphon_protocol::tls::{Clock, SystemClock};
use antiphon_spec::identity::ContactAddress;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

pub use backup::{BackupError, back_up, restore};
pub use command::{Command, HexDigits, InvalidSessionName, Request, SessionName};
pub use event::{ChangeView, ClientEvent, EpochView, INTERFACE, Output, Refusal, verdict_name};
pub use events::Events;
pub use identity::IdentityFolder;
pub use rotation::{RotationError, rotate};
pub use safe_text::SafeText;
pub use sealed::{Passphrase, SealError};
pub use settings::{InvalidServerAddress, ServerAddress, Settings};
pub use stream::Way;

use engine::{Engine, Parts};
use events::Shown;
use identity::IdentityError;
use settings::{COMMANDS_MAX, EVENTS_MAX, INPUTS_MAX};

/// Why a client cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The identity folder cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Links cannot be accepted there.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others cannot dial an address that stands for all of a machine's.
    #[error("{0} is no address to give to others; name one with --advertise IP:PORT")]
    NoAddress(std::net::SocketAddr),
}

/// A running client. Dropping it ends it at once; the command `quit` ends it politely.
#[derive(Debug)]
pub struct Client {
    // Dropped before the commands, whose end is a request to end politely.
    engine: Running,
    commands: mpsc::Sender<Request>,
    events: mpsc::Receiver<Output>,
    taken: u64,
    shown: Arc<Shown>,
}

/// The engine's task, which ends with its owner.
#[derive(Debug)]
pub struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    /// Waits until the client has ended and its links are closed.
    pub async fn ended(mut self) {
        // A failed engine has said so in the log.
        let _ = (&mut self.0).await;
    }
}

impl Client {
    /// Opens the identity folder, listens, and starts.
    ///
    /// # Errors
    /// The folder cannot be used, or the address cannot be listened on; see [`StartError`].
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let clock: Clock = Arc::new(SystemClock);
        let folder = IdentityFolder::open(&settings.identity)?.with_passphrase(settings.passphrase.clone());
        let key = folder.key()?;
        let trust = folder.trust(settings.root.as_ref())?;
        let mut configuration = folder.configuration()?;
        let before = configuration.clone();
        configuration.server = settings.server.or(configuration.server);
        configuration.registration = settings.registration.or(configuration.registration);
        configuration.media_types = settings.media_types.unwrap_or(configuration.media_types);
        if configuration != before {
            folder.keep_configuration(&configuration)?;
        }
        let account = folder.account(&key, &trust, &clock)?;

        let listen = |source| StartError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let address = match settings.advertise {
            Some(address) => address,
            None if bound.ip().is_unspecified() => return Err(StartError::NoAddress(bound)),
            None => ContactAddress(bound),
        };

        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let (inputs, inputs_out) = mpsc::channel(INPUTS_MAX);
        let shown = Shown::unsaid();
        let engine = Engine::new(Parts {
            patience: settings.patience,
            folder,
            configuration,
            key,
            trust,
            clock,
            listener,
            address,
            account,
            inputs,
            events: events_in,
            shown: Arc::clone(&shown),
        });
        let engine = Running(tokio::spawn(engine.run(asked, inputs_out)));
        Ok(Self { commands, events, taken: 0, shown, engine })
    }

    /// Ends it as a killed process ends: when this returns it does nothing more, and has said nothing to anybody.
    pub async fn kill(self) {
        self.engine.0.abort();
        self.engine.ended().await;
        // The commands end after the engine, which takes their end for a request.
        drop(self.commands);
    }

    /// Where commands go; any number of tasks may hold one.
    #[must_use]
    pub fn commands(&self) -> mpsc::Sender<Request> {
        self.commands.clone()
    }

    /// The next event; none after the client has ended.
    pub async fn next_event(&mut self) -> Option<Output> {
        let output = self.events.recv().await?;
        self.taken += 1;
        Some(output)
    }

    /// Where commands go, where events come from, and what to wait for at the end, for separate tasks. From now on
    /// messages are acknowledged to their senders when they were shown; see [`Events::recv`].
    #[must_use]
    pub fn split(self) -> (mpsc::Sender<Request>, Events, Running) {
        (self.commands, Events::new(self.events, self.taken, self.shown), self.engine)
    }
}
