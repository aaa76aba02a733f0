//! Links that outlive their connections (chapter *Links that go on*): one [`Link`] for each end.
//!
//! The machine numbers what is said and counts what is heard, keeps what the peer may not have, and says when to dial
//! again, when to wait, and when the link is lost. Whoever serves the link sees messages that come once and in order,
//! and one end. It says nothing about what the messages are: `M` is whatever its caller sends.

use std::collections::VecDeque;

use crate::{
    error_code::ErrorCode,
    identity::KeyHash,
    limits::{LINK_HAVE_INTERVAL, LINK_KEPT_MAX, LINK_RETRY_INTERVAL},
    machine::Machine,
    message::link::{Keep, LinkName, Patience},
    mutant::{Mutant, active},
};

/// One end of a link.
///
/// **Contract of the caller.** An event about a connection is about the one that counts, which is the newest; what comes
/// over an older one isn't told. Drop the machine and its timers when [`Link::is_ended`] turns true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link<M> {
    role: Role,
    keeping: Keeping,
    state: State,
    /// Counted messages that this end has said.
    said: u64,
    /// Of these, how many the peer is known to have.
    had: u64,
    /// The others.
    kept: VecDeque<M>,
    /// Counted messages that this end has heard.
    heard: u64,
    /// How many the peer knows that it has.
    told: u64,
    /// The last attempt to resume the link: this end's own, or the last one that it took.
    attempt: u64,
}

/// Who opened the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// This end has dialled, and dials again.
    Dialled,
    /// The peer has; this is the key that it proved.
    Accepted(KeyHash),
}

/// What this end is ready to do for the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Keeping {
    /// Nothing, whatever the peer asks for.
    Never,
    /// The peer has asked for it, and got no answer.
    Declined,
    /// To keep it for so long, if the peer asks for it. At the end that dialled: as soon as something was said.
    Ready(Keep),
    /// This end has asked for it.
    Asked(Keep),
    /// The link is kept.
    Kept(Keep),
    /// Too much waited for the peer.
    GivenUp {
        /// Whether what the peer says is counted, since its `kept` has come or this end's went.
        counts: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// There is a connection.
    Up,
    /// There is none; the end that dialled is dialling, or about to.
    Down,
    /// There is a new one, on which this end waits for `resumed`.
    Resuming,
    /// The link is over.
    Ended,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event<M> {
    /// A counted message is to be sent.
    Say(M),
    /// Something came over the connection.
    Heard(Heard),
    /// The connection was lost.
    ConnectionLost,
    /// The peer ended the connection with `goodbye` or `error`.
    ConnectionClosed,
    /// The dial that [`Action::Dial`] asked for succeeded: the peer has the link's handle and key.
    Dialled,
    /// It failed.
    DialFailed,
    /// Somebody opened a connection with `resume`, for this end's session and peer.
    Resume {
        /// Which link.
        link: LinkName,
        /// Which attempt of the peer's.
        attempt: u64,
        /// The key that the peer has proved.
        key: KeyHash,
        /// What the peer has received.
        received: u64,
    },
    /// The time of [`Action::ArmRetry`] is over.
    Retry,
    /// The time of [`Action::ArmPatience`] is over.
    PatienceOver,
}

/// What can come over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// A counted message, which the caller has at hand.
    Message,
    /// The peer wants the link to be kept.
    Keep(Keep),
    /// The peer keeps it.
    Kept(Patience),
    /// The peer has received so many.
    Have(u64),
    /// The peer has received so many, and the link goes on.
    Resumed(u64),
    /// A `resume` behind other messages.
    Resume,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<M> {
    /// Send this over the connection.
    Send(Said<M>),
    /// The counted message that came is for whoever serves the link.
    Deliver,
    /// Take the new connection for the link's own, and drop the one before without a word.
    Adopt,
    /// Close the new connection with this code; the link is as it was.
    Refuse(ErrorCode),
    /// Dial the peer again; answered by [`Event::Dialled`] or [`Event::DialFailed`].
    Dial,
    /// Tell [`Event::Retry`] after this time.
    ArmRetry(std::time::Duration),
    /// Tell [`Event::PatienceOver`] after this time.
    ArmPatience(std::time::Duration),
    /// The link goes on; the timers are off.
    Resumed,
    /// Close the connection with this code; the link is lost. The last action.
    Close(ErrorCode),
    /// The link is lost. The last action.
    Lost,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Said<M> {
    /// A counted message.
    Message(M),
    /// The link is to be kept.
    Keep(Keep),
    /// The link is kept.
    Kept(Patience),
    /// So many have been received.
    Have(u64),
    /// The link goes on over this connection; so many have been received.
    Resume {
        /// Which link.
        link: LinkName,
        /// Which attempt.
        attempt: u64,
        /// How many.
        received: u64,
    },
    /// The link goes on; so many have been received.
    Resumed(u64),
}

impl<M: Clone> Link<M> {
    /// The end that dialled; with an offer, it asks for the link to be kept.
    #[must_use]
    pub fn dialled(offer: Option<Keep>) -> Self {
        Self::new(Role::Dialled, offer.map_or(Keeping::Never, Keeping::Ready))
    }

    /// The end that accepted; with a patience, it keeps the link if the peer with this key asks for it.
    ///
    /// To be made when the first counted message has come.
    #[must_use]
    pub fn accepted(key: KeyHash, patience: Option<Patience>) -> Self {
        let ready = |patience| Keeping::Ready(Keep { link: LinkName([0; 16]), patience });
        Self::new(Role::Accepted(key), patience.map_or(Keeping::Never, ready))
    }

    fn new(role: Role, keeping: Keeping) -> Self {
        Self {
            role,
            keeping,
            state: State::Up,
            said: 0,
            had: 0,
            kept: VecDeque::new(),
            heard: 0,
            told: 0,
            attempt: 0,
        }
    }

    /// Whether the link is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the link goes on when its connection is lost.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.keeping, Keeping::Kept(_))
    }

    /// How many messages are kept, at most [`LINK_KEPT_MAX`].
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    fn end(&mut self, last: Action<M>, out: &mut Vec<Action<M>>) {
        self.state = State::Ended;
        self.kept.clear();
        out.push(last);
    }

    /// What this end says is numbered from its `keep` or `kept` on.
    fn numbers(&self) -> bool {
        match self.keeping {
            Keeping::Never | Keeping::Declined | Keeping::Ready(_) => false,
            Keeping::Asked(_) | Keeping::Kept(_) | Keeping::GivenUp { .. } => true,
        }
    }

    fn say(&mut self, message: M, out: &mut Vec<Action<M>>) {
        if self.numbers() {
            self.said += 1;
            self.keep(message.clone());
        }
        match self.state {
            State::Up => out.push(Action::Send(Said::Message(message))),
            //= spec/text/links.md#resuming
            //# LINK-016: A client MUST take a kept link for lost when it isn't resumed within its patience from the loss of the connection, when the peer closes the new connection before `resumed`, and when it has kept 256 messages while it waits.
            State::Down | State::Resuming if self.kept.len() >= LINK_KEPT_MAX => {
                return self.end(Action::Lost, out);
            }
            State::Down | State::Resuming | State::Ended => {}
        }
        if let (Role::Dialled, Keeping::Ready(offer)) = (self.role, self.keeping) {
            self.keeping = Keeping::Asked(offer);
            out.push(Action::Send(Said::Keep(offer)));
        }
    }

    //= spec/text/links.md#keeping
    //# LINK-005: A client MUST keep each counted message that it sends after its `keep` or `kept`, until the peer says that it has received it.
    fn keep(&mut self, message: M) {
        if matches!(self.keeping, Keeping::GivenUp { .. })
            || active(Mutant::SaidInTheGapForgotten) && self.state != State::Up
        {
            return;
        }
        self.kept.push_back(message);
        //= spec/text/links.md#keeping
        //# LINK-008: A client MAY stop keeping a link when 256 messages or more wait for a `have`.
        if self.state == State::Up && self.kept.len() >= LINK_KEPT_MAX {
            self.keeping = Keeping::GivenUp { counts: self.is_kept() };
            self.kept.clear();
        }
    }

    /// The peer says that it has so many; whether that can be.
    //= spec/text/links.md#keeping
    //# LINK-007: A client MUST close with `unexpected-message` when the peer says that it has received more messages than were sent, or fewer than it has said before, and when `have` comes on a link of which it keeps nothing.
    fn has(&mut self, received: u64) -> bool {
        if active(Mutant::CountBelieved) {
            return true;
        }
        if !self.numbers() || received < self.had || received > self.said {
            return false;
        }
        let more = usize::try_from(received - self.had).unwrap_or(usize::MAX);
        self.had = received;
        drop(self.kept.drain(..more.min(self.kept.len())));
        true
    }

    fn hear(&mut self, heard: Heard, out: &mut Vec<Action<M>>) {
        let unexpected = Action::Close(ErrorCode::UnexpectedMessage);
        match (heard, self.keeping) {
            (Heard::Message, keeping) => {
                out.push(Action::Deliver);
                if matches!(keeping, Keeping::Kept(_) | Keeping::GivenUp { counts: true }) {
                    self.count(out);
                }
            }
            (Heard::Keep(offer), Keeping::Ready(own)) if self.role != Role::Dialled => {
                let patience = own.patience.min(offer.patience);
                self.keeping = Keeping::Kept(Keep { patience, ..offer });
                //= spec/text/links.md#keeping
                //# LINK-003: A client that has accepted a link MUST answer `keep` with `kept`, unless the user wants no link kept.
                out.push(Action::Send(Said::Kept(own.patience)));
            }
            (Heard::Keep(_), Keeping::Never) if self.role != Role::Dialled => {
                self.keeping = Keeping::Declined
            }
            (Heard::Kept(patience), Keeping::Asked(own)) => {
                self.keeping = Keeping::Kept(Keep { patience: own.patience.min(patience), ..own });
            }
            (Heard::Kept(_), Keeping::GivenUp { counts: false }) => {
                self.keeping = Keeping::GivenUp { counts: true };
            }
            (Heard::Have(received), _) => {
                if !self.has(received) {
                    self.end(unexpected, out);
                }
            }
            //= spec/text/links.md#keeping
            //# LINK-004: A client MUST close with `unexpected-message` when `keep` comes a second time, before the first counted message or at the client that has dialled, and when `kept` comes without a `keep` that has no answer yet.
            //= spec/text/links.md#resuming
            //# LINK-017: A client MUST close with `unexpected-message` a `resume` that isn't the first message of a connection, and a `resumed` that it doesn't wait for.
            (Heard::Keep(_) | Heard::Kept(_) | Heard::Resumed(_) | Heard::Resume, _) => {
                self.end(unexpected, out);
            }
        }
    }

    //= spec/text/links.md#keeping
    //# LINK-006: A client MUST say with `have` how many counted messages of a kept link it has received, each time that 32 have come since it last said so.
    fn count(&mut self, out: &mut Vec<Action<M>>) {
        self.heard += 1;
        if self.heard - self.told >= LINK_HAVE_INTERVAL && !active(Mutant::HaveUnsaid) {
            self.told = self.heard;
            out.push(Action::Send(Said::Have(self.heard)));
        }
    }

    fn connection_lost(&mut self, out: &mut Vec<Action<M>>) {
        match (self.state, self.keeping) {
            (State::Up, Keeping::Kept(offer)) if !active(Mutant::LinkNotResumed) => {
                self.state = State::Down;
                if !active(Mutant::PatienceEndless) {
                    out.push(Action::ArmPatience(offer.patience.duration()));
                }
                //= spec/text/links.md#resuming
                //# LINK-009: A client that has dialled a kept link whose connection is lost MUST dial the peer again, in the way in which it dials for a new link, and again one second after an attempt that failed, until the link is resumed or its patience is over.
                if self.role == Role::Dialled {
                    out.push(Action::Dial);
                }
            }
            (State::Up, _) => self.end(Action::Lost, out),
            (State::Resuming, _) => {
                self.state = State::Down;
                out.push(Action::ArmRetry(LINK_RETRY_INTERVAL));
            }
            (State::Down | State::Ended, _) => {}
        }
    }

    /// The peer has so many: answers it if it asked, and sends again what it hasn't.
    //= spec/text/links.md#resuming
    //# LINK-014: A client MUST send again, first of all and in their order, the messages that it keeps and that the peer hasn't received by `resume` or `resumed`.
    fn go_on(&mut self, received: u64, answer: Option<u64>, out: &mut Vec<Action<M>>) {
        let all = if active(Mutant::KeptSentTwice) { self.kept.clone() } else { VecDeque::new() };
        if !self.has(received) {
            return self.end(Action::Close(ErrorCode::UnexpectedMessage), out);
        }
        self.state = State::Up;
        out.push(Action::Resumed);
        if let Some(own) = answer {
            out.push(Action::Send(Said::Resumed(own)));
        }
        let again = if active(Mutant::KeptSentTwice) { &all } else { &self.kept };
        if !active(Mutant::KeptForgotten) {
            out.extend(again.iter().cloned().map(|message| Action::Send(Said::Message(message))));
        }
    }

    /// What the peer is told that this end has.
    fn tell(&mut self) -> u64 {
        if !active(Mutant::ResumedFromLastHave) {
            self.told = self.heard;
        }
        self.told
    }

    fn dialled_again(&mut self, out: &mut Vec<Action<M>>) {
        if let (State::Down, Keeping::Kept(offer)) = (self.state, self.keeping) {
            self.state = State::Resuming;
            //= spec/text/links.md#resuming
            //# LINK-011: A client that has dialled again MUST send `resume` as its first message besides signs of life, with the number of counted messages that it has received, and nothing else but signs of life before `resumed`.
            let received = self.tell();
            //= spec/text/links.md#resuming
            //# LINK-018: A client MUST give each `resume` of a link a greater `attempt` than the one before, the first of them 1.
            self.attempt += 1;
            out.push(Action::Send(Said::Resume { link: offer.link, attempt: self.attempt, received }));
        }
    }

    fn resume(
        &mut self,
        (link, attempt): (LinkName, u64),
        key: KeyHash,
        received: u64,
        out: &mut Vec<Action<M>>,
    ) {
        //= spec/text/links.md#resuming
        //# LINK-012: A client MUST close with `no-such-session` when a `resume` comes for a link that it doesn't keep, from a peer that hasn't the handle and the key of the link, or with an `attempt` that isn't greater than that of the last `resume` of the link that it took.
        let is_ours = match (self.role, self.keeping) {
            (Role::Accepted(known), Keeping::Kept(offer)) => {
                offer.link == link && (known == key || active(Mutant::ResumedForAnyKey))
            }
            (Role::Accepted(_) | Role::Dialled, _) => false,
        };
        let is_old = attempt <= self.attempt && !active(Mutant::OldResumeTaken);
        if !is_ours || is_old {
            return out.push(Action::Refuse(ErrorCode::NoSuchSession));
        }
        //= spec/text/links.md#resuming
        //# LINK-013: A client MUST answer a `resume` that it takes with `resumed` and the number of counted messages that it has received, and heed nothing more that comes over the connection before, whether or not it has noticed that it is lost.
        out.push(Action::Adopt);
        self.attempt = attempt;
        let own = self.tell();
        self.go_on(received, Some(own), out);
    }
}

impl<M: Clone + Eq + std::hash::Hash + std::fmt::Debug> Machine for Link<M> {
    type Event = Event<M>;
    type Action = Action<M>;
    type Context<'a> = ();

    fn handle(&mut self, event: Event<M>, (): &(), out: &mut Vec<Action<M>>) {
        if self.state == State::Ended {
            if let Event::Resume { .. } = event {
                out.push(Action::Refuse(ErrorCode::NoSuchSession));
            }
            return;
        }
        match (event, self.state) {
            (Event::Say(message), _) => self.say(message, out),
            (Event::Heard(heard), State::Up) => self.hear(heard, out),
            (Event::Heard(Heard::Resumed(received)), State::Resuming) => self.go_on(received, None, out),
            //= spec/text/links.md#resuming
            //# LINK-015: A client MUST close with `unexpected-message`, and take the link for lost, when what comes on a new connection before `resumed` is anything else than that, a sign of life, or the end.
            (Event::Heard(_), State::Resuming) => {
                self.end(Action::Close(ErrorCode::UnexpectedMessage), out);
            }
            (Event::ConnectionLost, _) => self.connection_lost(out),
            (Event::ConnectionClosed, State::Up | State::Resuming)
            | (Event::PatienceOver, State::Down | State::Resuming) => self.end(Action::Lost, out),
            (Event::Dialled, _) => self.dialled_again(out),
            (Event::DialFailed, State::Down) => out.push(Action::ArmRetry(LINK_RETRY_INTERVAL)),
            (Event::Retry, State::Down) => out.push(Action::Dial),
            (Event::Resume { link, attempt, key, received }, _) => {
                self.resume((link, attempt), key, received, out);
            }
            (Event::Heard(_) | Event::ConnectionClosed, State::Down)
            | (Event::DialFailed | Event::Retry | Event::PatienceOver, _)
            | (_, State::Ended) => {}
        }
    }
}

#[cfg(test)]
mod tests;
