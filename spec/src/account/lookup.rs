//! Looking for a user (chapter *Address lookup*): the own list, then the location service, then the server that it names.
//!
//! A lookup and a call go the same way: what is told in the end is an address, or that a relayed link is led on. However
//! it fails, the answer is one and the same, and comes at a beat, so that it tells neither by its words nor by its time
//! what the asker may not know.

use std::{fmt::Debug, hash::Hash, marker::PhantomData, time::Duration};

use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName},
    limits::REFUSAL_BEAT,
    machine::Machine,
    message::location::ContactRecord,
    mutant::{Mutant, active},
};

/// What a server's list of users says about a user, to somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listed<A> {
    /// The user is logged in here, and this is for the asker.
    Told(A),
    /// The user is logged in here, and there is nothing for the asker.
    Forbidden,
    /// The user is not logged in here.
    Absent,
}

impl<A> Listed<A> {
    /// What a lookup or a resolve is refused with.
    //= spec/text/lookup.md#one-answer-for-every-no
    //# ADDR-009: A server MUST refuse with `unavailable` a `lookup` or `resolve` for a user who doesn't exist, for one who isn't logged in, and for one whose address the asker may not be told.
    #[must_use]
    pub fn refusal(&self) -> ErrorCode {
        match self {
            Self::Forbidden if active(Mutant::ForbiddenDistinguished) => ErrorCode::Forbidden,
            Self::Told(_) | Self::Forbidden | Self::Absent => ErrorCode::Unavailable,
        }
    }
}

/// When a refusal goes out whose request came so long ago: the time from the request to the next beat.
//= spec/text/lookup.md#one-answer-for-every-no
//# ADDR-014: A local server MUST send the refusal of a `lookup` with `unavailable` a whole multiple of `REFUSAL_BEAT`, at least one, after the `lookup` came.
#[must_use]
pub fn refusal_after(elapsed: Duration) -> Duration {
    if active(Mutant::RefusedAtOnce) {
        return elapsed;
    }
    let beat = REFUSAL_BEAT.as_nanos();
    let beats = elapsed.as_nanos().div_ceil(beat).max(1);
    // More beats than fit have passed for nobody.
    REFUSAL_BEAT.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
}

/// What comes of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<A> {
    /// The own list of users was asked.
    Listed(Listed<A>),
    /// The location service has these records, the one with the greatest epoch first.
    Found(Vec<ContactRecord>),
    /// The server that was asked has told it, or opens the link.
    Told(A),
    /// Whoever was asked refuses, with this code, or can't be reached.
    Refused(ErrorCode),
}

/// The next step; one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<A> {
    /// Ask the location service for the user ID's contact records.
    Find,
    /// Ask this server.
    Ask {
        /// Its name, which it has to prove.
        server: ServerName,
        /// Where it is.
        address: ContactAddress,
    },
    /// Tell the asker.
    Tell(A),
    /// Refuse, at the beat that [`refusal_after`] says.
    Refuse(ErrorCode),
}

/// One search at the asker's local server.
///
/// **Contract of the caller.** The own list is asked first, and what it says is the first event; each action is answered
/// by one event, until the asker is told or refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup<A> {
    /// The local server.
    own: ServerName,
    state: State,
    told: PhantomData<A>,
}

/// Named by what each waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// The own list.
    AwaitingList,
    /// The location service, or the server that it named; and what is said if that comes to nothing.
    AwaitingOthers { refusal: ErrorCode },
    /// Nothing: the asker has an answer.
    Answered,
}

impl<A> Lookup<A> {
    /// A search that begins, at the server of this name.
    #[must_use]
    pub fn new(own: ServerName) -> Self {
        Self { own, state: State::AwaitingList, told: PhantomData }
    }

    fn answer(&mut self, action: Action<A>, out: &mut Vec<Action<A>>) {
        self.state = State::Answered;
        out.push(action);
    }
}

impl<A: Clone + Eq + Hash + Debug> Machine for Lookup<A> {
    type Event = Event<A>;
    type Action = Action<A>;
    type Context<'a> = ();

    fn handle(&mut self, event: Event<A>, (): &(), out: &mut Vec<Action<A>>) {
        match (self.state, event) {
            (State::AwaitingList, Event::Listed(Listed::Told(told)))
            | (State::AwaitingOthers { .. }, Event::Told(told)) => self.answer(Action::Tell(told), out),
            // Where the own list settles it, the location service is asked all the same: who is refused makes as much
            // work as who asks for nobody.
            (State::AwaitingList, Event::Listed(listed @ (Listed::Forbidden | Listed::Absent))) => {
                self.state = State::AwaitingOthers { refusal: listed.refusal() };
                out.push(Action::Find);
            }
            (State::AwaitingOthers { refusal }, Event::Found(records)) => {
                let mut records = records.into_iter();
                let oldest = active(Mutant::OldestRecordAsked);
                let record = if oldest { records.next_back() } else { records.next() };
                match record {
                    // The own list has said already what there is to say about this server.
                    Some(record) if record.server != self.own => {
                        out.push(Action::Ask { server: record.server, address: record.address });
                    }
                    Some(_) | None => self.answer(Action::Refuse(refusal), out),
                }
            }
            (State::AwaitingOthers { refusal }, Event::Refused(code)) => {
                let code = if active(Mutant::ForbiddenDistinguished) { code } else { refusal };
                self.answer(Action::Refuse(code), out);
            }
            (State::AwaitingList, Event::Found(_) | Event::Told(_) | Event::Refused(_))
            | (State::AwaitingOthers { .. }, Event::Listed(_))
            | (State::Answered, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::server_server::LoginEpoch;

    fn name(text: &str) -> ServerName {
        text.parse().unwrap()
    }

    fn record(server: &str) -> ContactRecord {
        ContactRecord { epoch: LoginEpoch(1), server: name(server), address: "192.0.2.1:7".parse().unwrap() }
    }

    /// What a search does last.
    fn run(events: Vec<Event<u8>>) -> Vec<Action<u8>> {
        let mut lookup = Lookup::new(name("own.example"));
        let mut out = Vec::new();
        for event in events {
            out.clear();
            lookup.handle(event, &(), &mut out);
        }
        out
    }

    #[test]
    fn the_own_list_is_enough_where_it_tells() {
        assert_eq!(run(vec![Event::Listed(Listed::Told(7))]), [Action::Tell(7)]);
        assert_eq!(run(vec![Event::Listed(Listed::Told(7)), Event::Told(8)]), []);
    }

    #[test]
    fn the_first_server_that_the_location_service_names_is_asked() {
        for listed in [Listed::Absent, Listed::Forbidden] {
            assert_eq!(run(vec![Event::Listed(listed)]), [Action::Find]);
            let found = Event::Found(vec![record("b.example"), record("c.example")]);
            let ask = Action::Ask { server: name("b.example"), address: record("b.example").address };
            assert_eq!(run(vec![Event::Listed(listed), found.clone()]), [ask]);
            assert_eq!(run(vec![Event::Listed(listed), found, Event::Told(9)]), [Action::Tell(9)]);
        }
    }

    #[test]
    fn every_no_is_one_and_the_same() {
        let refused = [Action::Refuse(ErrorCode::Unavailable)];
        for listed in [Listed::Absent, Listed::Forbidden] {
            let first = Event::Listed(listed);
            let found = Event::Found(vec![record("b.example")]);
            for code in [ErrorCode::Forbidden, ErrorCode::NoSuchUser, ErrorCode::LocationUnreachable] {
                assert_eq!(run(vec![first.clone(), Event::Refused(code)]), refused);
                assert_eq!(run(vec![first.clone(), found.clone(), Event::Refused(code)]), refused);
            }
            assert_eq!(run(vec![first.clone(), Event::Found(vec![record("own.example")])]), refused);
            assert_eq!(run(vec![first, Event::Found(Vec::new())]), refused);
        }
    }

    #[test]
    fn a_refusal_waits_for_the_next_beat() {
        let beat = REFUSAL_BEAT;
        let tiny = Duration::from_nanos(1);
        for (elapsed, beats) in [
            (Duration::ZERO, 1),
            (tiny, 1),
            (beat - tiny, 1),
            (beat, 1),
            (beat + tiny, 2),
            (beat * 2, 2),
            (beat * 79 + tiny, 80),
        ] {
            assert_eq!(refusal_after(elapsed), beat * beats, "{elapsed:?}");
        }
        assert!(refusal_after(Duration::MAX) >= beat);
    }
}
