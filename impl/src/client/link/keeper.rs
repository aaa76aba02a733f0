//! The machine of a link that goes on, shared by the directions of the link's task: what waits to be written, and what
//! the machine asks for.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use antiphon_protocol::connection::encode_message;
use antiphon_spec::{
    error_code::ErrorCode,
    link::{Action, Event, Heard, Link, Said},
    machine::Machine as _,
    message::{
        client_client::ClientMessage,
        link::{Counted, Kept, Resume},
    },
    session::SessionId,
};
use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

/// Most signs of life that wait behind each other: where so much waits, the peer takes nothing anyway.
const SIGNS_MAX: usize = 64;

/// The link's machine, and what it has said.
#[derive(Debug)]
pub(super) struct Keeper {
    session: SessionId,
    state: Mutex<State>,
    /// Something is to be written that didn't come by the way of whoever writes.
    pub(super) more: Notify,
}

#[derive(Debug)]
struct State {
    link: Link<Bytes>,
    /// What is to be written on the connection, in order: no more than the machine keeps, and signs of life.
    outbox: VecDeque<Bytes>,
    retry: Option<Instant>,
    patience: Option<Instant>,
    dials: bool,
    fate: Option<Fate>,
}

/// How the machine ends the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The peer broke a rule: the code to close with.
    Fault(ErrorCode),
    /// The link is lost.
    Lost,
}

/// What became of a message or of a connection that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The message is for whoever serves the link.
    pub(super) deliver: bool,
    /// The connection is the link's own from now on.
    pub(super) adopt: bool,
    /// The connection is to be closed with this code.
    pub(super) refuse: Option<ErrorCode>,
}

impl Keeper {
    pub(super) fn new(session: SessionId, link: Link<Bytes>) -> Self {
        let outbox = VecDeque::new();
        let state = State { link, outbox, retry: None, patience: None, dials: false, fate: None };
        Self { session, state: Mutex::new(state), more: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can fail half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the machine an event.
    pub(super) fn handle(&self, event: Event<Bytes>) -> Verdict {
        let mut state = self.state();
        let mut actions = Vec::new();
        state.link.handle(event, &(), &mut actions);
        let mut verdict = Verdict::default();
        for action in actions {
            match action {
                Action::Send(said) => {
                    if let Some(frame) = self.encode(said) {
                        state.outbox.push_back(frame);
                    }
                }
                Action::Deliver => verdict.deliver = true,
                Action::Adopt => {
                    state.outbox.clear();
                    verdict.adopt = true;
                }
                Action::Refuse(code) => verdict.refuse = Some(code),
                Action::Dial => state.dials = true,
                Action::ArmRetry(after) => state.retry = Some(Instant::now() + after),
                Action::ArmPatience(after) => state.patience = Some(Instant::now() + after),
                Action::Resumed => (state.retry, state.patience) = (None, None),
                Action::Close(code) => state.fate = Some(Fate::Fault(code)),
                Action::Lost => state.fate = Some(Fate::Lost),
            }
        }
        verdict
    }

    fn encode(&self, said: Said<Bytes>) -> Option<Bytes> {
        let message = match said {
            Said::Message(frame) => return Some(frame),
            Said::Keep(offer) => ClientMessage::Keep(offer),
            Said::Kept(patience) => ClientMessage::Kept(Kept { patience }),
            Said::Have(received) => ClientMessage::Have(Counted { received }),
            Said::Resumed(received) => ClientMessage::Resumed(Counted { received }),
            Said::Resume { link, attempt, received } => {
                ClientMessage::Resume(Resume { link, attempt, session: self.session, received })
            }
        };
        // Messages of a few bytes fit into every frame.
        encode_message(&message).ok()
    }

    /// Something came over the connection.
    pub(super) fn hear(&self, heard: Heard) -> Verdict {
        let verdict = self.handle(Event::Heard(heard));
        if !self.state().outbox.is_empty() {
            self.more.notify_one();
        }
        verdict
    }

    /// The connection is gone: what waited to be written on it with it.
    pub(super) fn connection_ended(&self, closed: bool) {
        self.state().outbox.clear();
        self.handle(if closed { Event::ConnectionClosed } else { Event::ConnectionLost });
    }

    /// Lets a sign of life be written.
    pub(super) fn sign(&self, message: &ClientMessage) {
        let Ok(frame) = encode_message(message) else { return };
        let mut state = self.state();
        if state.outbox.len() < SIGNS_MAX {
            state.outbox.push_back(frame);
        }
        drop(state);
        self.more.notify_one();
    }

    /// What is to be written next; it stays until [`Keeper::written`].
    pub(super) fn next(&self) -> Option<Bytes> {
        self.state().outbox.front().cloned()
    }

    pub(super) fn written(&self) {
        self.state().outbox.pop_front();
    }

    /// Whether the machine wants the peer to be dialled; says so once.
    pub(super) fn takes_dial(&self) -> bool {
        std::mem::take(&mut self.state().dials)
    }

    pub(super) fn fate(&self) -> Option<Fate> {
        self.state().fate
    }

    /// When something is due while there is no `resumed`, and what.
    pub(super) fn due(&self) -> Option<(Instant, Event<Bytes>)> {
        let state = self.state();
        let retry = state.retry.map(|at| (at, Event::Retry));
        let patience = state.patience.map(|at| (at, Event::PatienceOver));
        [retry, patience].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// What was due has come.
    pub(super) fn fire(&self, event: Event<Bytes>) {
        if event == Event::Retry {
            self.state().retry = None;
        } else {
            self.state().patience = None;
        }
        self.handle(event);
    }
}
