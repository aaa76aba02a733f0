//! The machine of one relayed link at one server.
//!
//! A server stands between two connections: the caller's side and the called one's, each a client's or another
//! server's. It passes on what may come, counts it, and sees to it that both sides hear of the end. Bytes do not go
//! through the machine; it says whether they go on.

use super::Window;
use crate::{
    error_code::ErrorCode,
    machine::Machine,
    mutant::{Mutant, active},
};

/// One of the two connections that a link leads over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where the link was asked for.
    Caller,
    /// Where it leads to.
    Called,
}

impl Side {
    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Called,
            Self::Called => Self::Caller,
        }
    }
}

/// What happened on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// `relay-opened` came.
    Opened {
        /// From here.
        by: Side,
    },
    /// `relay-data` came.
    Data {
        /// From here.
        by: Side,
        /// With so many bytes.
        count: usize,
    },
    /// `relay-credit` came.
    Credit {
        /// From here.
        by: Side,
        /// For so many bytes.
        count: usize,
    },
    /// `relay-close` came, or the connection has ended.
    Closed {
        /// From here.
        by: Side,
    },
    /// There is nobody whom the link could lead to.
    Refused,
    /// The link was not opened in time.
    Expired,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send on what came, under this side's number.
    Forward {
        /// To here.
        to: Side,
    },
    /// Send `relay-close`; nothing happens if the connection has ended.
    Close {
        /// To here.
        to: Side,
    },
    /// Send `relay-close` to the caller; a client is sent it at the beat that
    /// [`refusal_after`](crate::account::lookup::refusal_after) says, another server at once.
    Refuse,
    /// Close the connection with this code.
    Fault {
        /// The one here.
        by: Side,
        /// Why.
        code: ErrorCode,
    },
}

/// Named by what each waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// The called side's answer.
    Opening,
    /// Bytes; what each side may still send.
    Open { by_caller: Window, by_called: Window },
    /// Nothing: both sides know that the link is over.
    Ended,
}

/// One relayed link at one server.
///
/// **Contract of the caller.** One event at a time, and its actions are carried out before the next event. When
/// [`RelayedLink::is_ended`] turns true, the link is dropped; what still comes for its number is late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelayedLink {
    state: State,
}

impl Default for RelayedLink {
    fn default() -> Self {
        Self { state: State::Opening }
    }
}

impl RelayedLink {
    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether bytes may go through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// How many bytes are on their way from this side: what a server may have to keep.
    #[must_use]
    pub fn under_way(&self, by: Side) -> usize {
        match (&self.state, by) {
            (State::Open { by_caller, .. }, Side::Caller) => Window::default().room() - by_caller.room(),
            (State::Open { by_called, .. }, Side::Called) => Window::default().room() - by_called.room(),
            (State::Opening | State::Ended, _) => 0,
        }
    }

    /// The link ends; the sides that are named hear it.
    fn end(&mut self, sides: &[Side], out: &mut Vec<Action>) {
        self.state = State::Ended;
        out.extend(sides.iter().map(|to| Action::Close { to: *to }));
    }

    fn fault(&mut self, by: Side, code: ErrorCode, out: &mut Vec<Action>) {
        out.push(Action::Fault { by, code });
        self.end(&[by.other()], out);
    }

    //= spec/text/relay.md#opening
    //# RELAY-036: A local server MUST send a `relay-close` that answers a `relay-open`, for one of the reasons of RELAY-014, a whole multiple of `REFUSAL_BEAT`, at least one, after the `relay-open` came.
    fn refuse(&mut self, out: &mut Vec<Action>) {
        self.state = State::Ended;
        let at_once = active(Mutant::CallRefusedAtOnce);
        out.push(if at_once { Action::Close { to: Side::Caller } } else { Action::Refuse });
    }

    fn closed(&mut self, by: Side, out: &mut Vec<Action>) {
        if active(Mutant::RelayCloseKept) {
            self.state = State::Ended;
        } else {
            self.end(&[by.other()], out);
        }
    }
}

impl Machine for RelayedLink {
    type Event = Event;
    type Action = Action;
    type Context<'a> = ();

    fn handle(&mut self, event: Event, (): &(), out: &mut Vec<Action>) {
        match &mut self.state {
            State::Opening => match event {
                Event::Opened { by: Side::Called } => {
                    self.state = State::Open { by_caller: Window::default(), by_called: Window::default() };
                    out.push(Action::Forward { to: Side::Caller });
                }
                Event::Opened { by } | Event::Data { by, .. } | Event::Credit { by, .. } => {
                    self.fault(by, ErrorCode::UnexpectedMessage, out);
                }
                Event::Closed { by: Side::Called } if !active(Mutant::RelayCloseKept) => self.refuse(out),
                Event::Closed { by } => self.closed(by, out),
                Event::Refused => self.refuse(out),
                Event::Expired => self.end(&[Side::Caller, Side::Called], out),
            },
            State::Open { by_caller, by_called } => {
                let (spent, restored) = match event {
                    Event::Opened { by } => return self.fault(by, ErrorCode::UnexpectedMessage, out),
                    Event::Closed { by } => return self.closed(by, out),
                    Event::Refused | Event::Expired => return,
                    Event::Data { by: Side::Caller, count } => (by_caller.spend(count), true),
                    Event::Data { by: Side::Called, count } => (by_called.spend(count), true),
                    // Who takes bytes gives room to the side that sent them.
                    Event::Credit { by: Side::Caller, count } => (true, by_called.restore(count)),
                    Event::Credit { by: Side::Called, count } => (true, by_caller.restore(count)),
                };
                let (Event::Data { by, .. } | Event::Credit { by, .. }) = event else { return };
                if spent && restored {
                    out.push(Action::Forward { to: by.other() });
                } else {
                    self.fault(by, ErrorCode::LimitReached, out);
                }
            }
            State::Ended => {}
        }
    }
}
