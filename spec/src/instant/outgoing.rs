//! The sender's side of one instant message: a link of its own, the message, the answer, the end.
//!
//! Whatever happens, the user is told exactly once what became of the message. Only the receiver's answer makes it
//! delivered; a link that breaks before that is dialled once more, and the receiver knows the message by its ID.

use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{INSTANT_DEADLINE, INSTANT_DIALS_MAX},
    machine::Machine,
    message::client_client::{Instant, InstantMessage, InstantReceived},
    mutant::{Mutant, active},
};

/// One instant message on its way.
///
/// **Contract of the caller.** Drop the machine, its timer and its link when [`Outgoing::is_ended`] turns true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    to: UserHandle,
    instant: Instant,
    /// How often the receiver was dialled.
    dials: usize,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Waits for the link.
    Link,
    /// Waits for the receiver's answer.
    Answer,
    /// Waits for nothing.
    Ended,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The link that [`Errand::Connect`] asked for stands: the peer's certificate was verified, its greeting read.
    LinkUp {
        /// The verified peer.
        peer: Peer,
    },
    /// The link that [`Errand::Connect`] asked for cannot be had.
    LinkFailed,
    /// The link broke.
    LinkLost,
    /// The receiver closed the link, with a code or a goodbye.
    LinkClosed,
    /// A message came over the link; none, if it is of another kind.
    Received(Option<InstantMessage>),
    /// The time of the timer is over, or the client ends.
    GaveUp,
}

/// What is to be done for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Errand {
    /// Look the receiver up, and open a link; answered by [`Step::LinkUp`] or [`Step::LinkFailed`].
    Connect {
        /// To whom.
        to: UserHandle,
    },
    /// Send this over the link.
    Send(Instant),
    /// Close the link after what was sent on it, with a `goodbye` or an `error`; no further step follows from it.
    Disconnect(Option<ErrorCode>),
    /// Start the one timer.
    Arm(std::time::Duration),
    /// Tell the user: the last errand.
    Tell(Outcome),
}

/// What became of an instant message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The receiver's user has it.
    Delivered,
    /// It could not be delivered, for whatever reason. If the answer was lost, it may have arrived all the same.
    Failed,
}

impl Outgoing {
    /// Sends a message on its way.
    #[must_use]
    pub fn begin(to: UserHandle, instant: Instant, out: &mut Vec<Errand>) -> Self {
        out.push(Errand::Arm(INSTANT_DEADLINE));
        out.push(Errand::Connect { to: to.clone() });
        Self { to, instant, dials: 1, state: State::Link }
    }

    /// Who is to have it.
    #[must_use]
    pub fn to(&self) -> &UserHandle {
        &self.to
    }

    /// Whether the user knows what became of it.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn end(&mut self, outcome: Outcome, out: &mut Vec<Errand>) {
        self.state = State::Ended;
        out.push(Errand::Tell(outcome));
    }

    fn part(&mut self, fault: Option<ErrorCode>, outcome: Outcome, out: &mut Vec<Errand>) {
        out.push(Errand::Disconnect(fault));
        self.end(outcome, out);
    }

    fn await_link(&mut self, step: Step, out: &mut Vec<Errand>) {
        match step {
            Step::LinkUp { peer } if peer.handle == self.to => {
                self.state = State::Answer;
                out.push(Errand::Send(self.instant.clone()));
            }
            Step::LinkUp { .. } => self.part(Some(ErrorCode::CertificateRefused), Outcome::Failed, out),
            Step::GaveUp => self.part(None, Outcome::Failed, out),
            Step::LinkFailed => self.end(Outcome::Failed, out),
            Step::LinkLost | Step::LinkClosed | Step::Received(_) => {}
        }
    }

    fn await_answer(&mut self, step: Step, out: &mut Vec<Errand>) {
        match step {
            //= spec/text/instant.md#the-answer
            //# INST-013: A sender MUST take a message as delivered when `instant-received` has come with its ID, and at no other time.
            Step::Received(Some(InstantMessage::Received(InstantReceived { id })))
                if id == self.instant.id || active(Mutant::InstantAnswerUnchecked) =>
            {
                self.part(None, Outcome::Delivered, out);
            }
            Step::Received(_) => self.part(Some(ErrorCode::UnexpectedMessage), Outcome::Failed, out),
            Step::LinkLost if active(Mutant::InstantForgotten) => self.state = State::Ended,
            Step::LinkLost if self.dials < INSTANT_DIALS_MAX => {
                self.dials += 1;
                self.state = State::Link;
                out.push(Errand::Connect { to: self.to.clone() });
            }
            Step::LinkLost | Step::LinkClosed | Step::LinkFailed => self.end(Outcome::Failed, out),
            Step::GaveUp => self.part(None, Outcome::Failed, out),
            Step::LinkUp { .. } => {}
        }
    }
}

impl Machine for Outgoing {
    type Event = Step;
    type Action = Errand;
    type Context<'a> = ();

    fn handle(&mut self, step: Step, (): &(), out: &mut Vec<Errand>) {
        match self.state {
            State::Link => self.await_link(step, out),
            State::Answer => self.await_answer(step, out),
            State::Ended => {}
        }
    }
}
