//! The model of a link that goes on: the two ends' [`Link`]s, connections between them that break, dials that fail or
//! succeed, and an end that notices late, or never, that its connection is gone.
//!
//! What is said is numbered by the model, and what is delivered must be the same numbers in their order: the machine
//! itself sees them as it would any message.

use std::collections::VecDeque;

use antiphon_spec::{
    identity::KeyHash,
    link::{Action, Event, Heard, Link, Said},
    machine::Machine as _,
    message::link::{Keep, LinkName, Patience},
};
use stateright::{Model, Property};

const NAME: LinkName = LinkName([7; 16]);
const KEY: KeyHash = KeyHash([1; 32]);

/// The end that dialled the link, and dials again.
const DIALLER: usize = 0;
/// The other one.
const ACCEPTOR: usize = 1;

/// How often, at most, something happens that need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeptLinkBounds {
    /// Messages of each end.
    pub messages: u8,
    /// Connections that break.
    pub breaks: u8,
    /// Dials that fail.
    pub failures: u8,
    /// Ends that run out of patience.
    pub losses: u8,
}

/// A connection: what is on its way to either end, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Connection {
    to: [VecDeque<Frame>; 2],
    /// Nothing gets into it any more; what is in it may still come out.
    is_broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Frame {
    Said(Said<u8>),
    /// An `error`.
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct End {
    machine: Link<u8>,
    /// The connection that counts, if there is one.
    connection: Option<u8>,
    said: u8,
    delivered: u8,
    is_dialling: bool,
    retry: bool,
    patience: bool,
}

/// Two ends, and every connection that there was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeptLinkState {
    ends: [End; 2],
    connections: Vec<Connection>,
    left: KeptLinkBounds,
    resumed: u8,
    resumed_unnoticed: bool,
    delivered_wrong: bool,
    closed_for_a_fault: bool,
}

/// What happens next. Ends and connections are named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeptLinkStep {
    /// An end says its next message.
    Says(usize),
    /// What comes first on a connection gets to an end.
    Arrives(u8, usize),
    /// A connection breaks.
    Breaks(u8),
    /// An end notices that its connection is broken, and reads no more of it.
    Notices(usize),
    /// The dial succeeds.
    Dialled,
    /// The dial fails.
    DialFails,
    /// It is time to dial again.
    Retries,
    /// An end has waited long enough.
    GivesUp(usize),
}

/// A link that goes on, within bounds.
#[derive(Clone, Copy, Debug)]
pub struct KeptLinkModel {
    bounds: KeptLinkBounds,
}

impl KeptLinkModel {
    /// Its name in lists.
    pub const NAME: &'static str = "links";
    /// What it covers, in a line.
    pub const ABOUT: &'static str = "a link that goes on: 2 messages each way, 3 connections that break, 1 dial that fails, 1 end that runs out of patience";

    /// With the bounds that `check` explores.
    #[must_use]
    pub fn new() -> Self {
        Self { bounds: KeptLinkBounds { messages: 2, breaks: 3, failures: 1, losses: 1 } }
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &KeptLinkState, step: KeptLinkStep) -> Vec<String> {
        let Some(next) = self.next_state(state, step) else { return Vec::new() };
        let mut lines = vec![match step {
            KeptLinkStep::Says(end) => {
                format!("{} says message {}", name(end), next.ends.get(end).map_or(0, |end| end.said))
            }
            KeptLinkStep::Arrives(connection, end) => {
                let frame =
                    state.connections.get(usize::from(connection)).and_then(|on| on.to.get(end)?.front());
                format!("{} gets {frame:?} over connection {connection}", name(end))
            }
            KeptLinkStep::Breaks(connection) => format!("connection {connection} breaks"),
            KeptLinkStep::Notices(end) => format!("{} notices that its connection is lost", name(end)),
            KeptLinkStep::Dialled => "the dial succeeds".to_owned(),
            KeptLinkStep::DialFails => "the dial fails".to_owned(),
            KeptLinkStep::Retries => "it is time to dial again".to_owned(),
            KeptLinkStep::GivesUp(end) => format!("{} has waited long enough", name(end)),
        }];
        for (place, (before, after)) in state.ends.iter().zip(&next.ends).enumerate() {
            if after.delivered > before.delivered {
                lines.push(format!("{} takes a message, number {}", name(place), after.delivered));
            }
            if after.machine.is_ended() && !before.machine.is_ended() {
                lines.push(format!("the link is lost for {}", name(place)));
            }
        }
        lines
    }
}

impl Default for KeptLinkModel {
    fn default() -> Self {
        Self::new()
    }
}

fn name(end: usize) -> &'static str {
    if end == DIALLER { "the dialler" } else { "the acceptor" }
}

impl KeptLinkState {
    /// Gives an end an event, and does what it says; `over` is the connection that a `resume` came over.
    fn step(&mut self, place: usize, event: Event<u8>, over: Option<u8>, came: Option<u8>) {
        let Some(end) = self.ends.get_mut(place) else { return };
        let mut out = Vec::new();
        end.machine.handle(event, &(), &mut out);
        let noticed = end.connection.is_none();
        for action in out {
            let Some(end) = self.ends.get_mut(place) else { return };
            match action {
                Action::Send(said) => self.send(place, said),
                Action::Deliver => {
                    end.delivered += 1;
                    self.delivered_wrong |= came != Some(end.delivered);
                }
                Action::Adopt => {
                    self.resumed_unnoticed |= !noticed;
                    let before = std::mem::replace(&mut end.connection, over);
                    self.leave(before);
                }
                Action::Refuse(_) => self.close(place, over),
                Action::Dial => end.is_dialling = true,
                Action::ArmRetry(_) => end.retry = true,
                Action::ArmPatience(_) => end.patience = true,
                Action::Resumed => {
                    (end.patience, end.retry) = (false, false);
                    if place == DIALLER {
                        self.resumed += 1;
                    }
                }
                Action::Close(_) => {
                    self.closed_for_a_fault = true;
                    self.end(place, true);
                }
                Action::Lost => self.end(place, false),
            }
        }
    }

    fn send(&mut self, from: usize, said: Said<u8>) {
        let connection = self.ends.get(from).and_then(|end| end.connection);
        self.put(connection, 1 - from, Frame::Said(said));
    }

    fn put(&mut self, connection: Option<u8>, to: usize, frame: Frame) {
        let on = connection.and_then(|at| self.connections.get_mut(usize::from(at)));
        if let Some(on) = on.filter(|on| !on.is_broken)
            && let Some(queue) = on.to.get_mut(to)
        {
            queue.push_back(frame);
        }
    }

    /// An end drops a connection without a word.
    fn leave(&mut self, connection: Option<u8>) {
        if let Some(on) = connection.and_then(|at| self.connections.get_mut(usize::from(at))) {
            on.is_broken = true;
        }
    }

    /// An end says on a connection that it can't go on.
    fn close(&mut self, from: usize, connection: Option<u8>) {
        self.put(connection, 1 - from, Frame::Closed);
        self.leave(connection);
    }

    fn end(&mut self, place: usize, with_a_word: bool) {
        let Some(end) = self.ends.get_mut(place) else { return };
        (end.patience, end.retry, end.is_dialling) = (false, false, false);
        let connection = end.connection.take();
        if with_a_word {
            self.close(place, connection);
        } else {
            self.leave(connection);
        }
    }

    fn arrives(&mut self, connection: u8, place: usize) -> Option<()> {
        let frame = self.connections.get_mut(usize::from(connection))?.to.get_mut(place)?.pop_front()?;
        let counts = self.ends.get(place)?.connection == Some(connection);
        let said = match frame {
            Frame::Closed if counts => {
                self.ends.get_mut(place)?.connection = None;
                self.step(place, Event::ConnectionClosed, None, None);
                return Some(());
            }
            Frame::Said(Said::Resume { link, attempt, received }) => {
                self.step(place, Event::Resume { link, attempt, key: KEY, received }, Some(connection), None);
                return Some(());
            }
            Frame::Said(said) if counts => said,
            // Nobody reads it.
            Frame::Said(_) | Frame::Closed => return Some(()),
        };
        let (heard, came) = match said {
            Said::Message(number) => (Heard::Message, Some(number)),
            Said::Keep(offer) => (Heard::Keep(offer), None),
            Said::Kept(patience) => (Heard::Kept(patience), None),
            Said::Have(received) => (Heard::Have(received), None),
            Said::Resumed(received) => (Heard::Resumed(received), None),
            Said::Resume { .. } => return None,
        };
        self.step(place, Event::Heard(heard), None, came);
        Some(())
    }

    fn connection_of(&self, end: &End) -> Option<&Connection> {
        self.connections.get(usize::from(end.connection?))
    }

    /// Nothing is under way, and nobody waits for anything.
    fn rests(&self) -> bool {
        let is_quiet = self.connections.iter().all(|on| on.to.iter().all(VecDeque::is_empty));
        let waits = |end: &End| end.is_dialling || end.retry || end.patience;
        let is_unnoticed = |end: &End| self.connection_of(end).is_some_and(|on| on.is_broken);
        is_quiet && !self.ends.iter().any(|end| waits(end) || is_unnoticed(end))
    }

    fn has_all(&self) -> bool {
        let [dialler, acceptor] = &self.ends;
        dialler.said == acceptor.delivered && acceptor.said == dialler.delivered
    }
}

impl Model for KeptLinkModel {
    type State = KeptLinkState;
    type Action = KeptLinkStep;

    fn init_states(&self) -> Vec<KeptLinkState> {
        let offer = Keep { link: NAME, patience: Patience::MAX };
        let end = |machine| End {
            machine,
            connection: Some(0),
            said: 0,
            delivered: 0,
            is_dialling: false,
            retry: false,
            patience: false,
        };
        let ends = [end(Link::dialled(Some(offer))), end(Link::accepted(KEY, Some(Patience::MAX)))];
        let state = KeptLinkState {
            ends,
            connections: vec![Connection::default()],
            left: self.bounds,
            resumed: 0,
            resumed_unnoticed: false,
            delivered_wrong: false,
            closed_for_a_fault: false,
        };
        vec![state]
    }

    fn actions(&self, state: &KeptLinkState, steps: &mut Vec<KeptLinkStep>) {
        for (place, end) in state.ends.iter().enumerate() {
            if end.said < self.bounds.messages && !end.machine.is_ended() {
                steps.push(KeptLinkStep::Says(place));
            }
            if state.connection_of(end).is_some_and(|on| on.is_broken) {
                steps.push(KeptLinkStep::Notices(place));
            }
            // Who dials in vain, or waits for one that has given up, does so until its patience is over.
            let is_alone = state.ends.iter().any(|end| end.machine.is_ended());
            let has_room = state.connections.len() <= usize::from(self.bounds.breaks) + 1;
            if end.patience && (state.left.losses > 0 || is_alone || !has_room) {
                steps.push(KeptLinkStep::GivesUp(place));
            }
            if end.is_dialling {
                if has_room {
                    steps.push(KeptLinkStep::Dialled);
                }
                if state.left.failures > 0 {
                    steps.push(KeptLinkStep::DialFails);
                }
            }
            if end.retry {
                steps.push(KeptLinkStep::Retries);
            }
        }
        for (at, on) in (0..).zip(&state.connections) {
            for place in [DIALLER, ACCEPTOR] {
                if on.to.get(place).is_some_and(|queue| !queue.is_empty()) {
                    steps.push(KeptLinkStep::Arrives(at, place));
                }
            }
            if !on.is_broken && state.left.breaks > 0 {
                steps.push(KeptLinkStep::Breaks(at));
            }
        }
    }

    fn next_state(&self, state: &KeptLinkState, step: KeptLinkStep) -> Option<KeptLinkState> {
        let mut next = state.clone();
        match step {
            KeptLinkStep::Says(place) => {
                let end = next.ends.get_mut(place)?;
                end.said += 1;
                let number = end.said;
                next.step(place, Event::Say(number), None, None);
            }
            KeptLinkStep::Arrives(connection, place) => next.arrives(connection, place)?,
            KeptLinkStep::Breaks(connection) => {
                next.left.breaks -= 1;
                next.leave(Some(connection));
            }
            KeptLinkStep::Notices(place) => {
                let connection = next.ends.get_mut(place)?.connection.take()?;
                // What is still in it for this end is lost.
                next.connections.get_mut(usize::from(connection))?.to.get_mut(place)?.clear();
                next.step(place, Event::ConnectionLost, None, None);
            }
            KeptLinkStep::Dialled => {
                let end = next.ends.get_mut(DIALLER)?;
                end.is_dialling = false;
                end.connection = Some(u8::try_from(next.connections.len()).ok()?);
                next.connections.push(Connection::default());
                next.step(DIALLER, Event::Dialled, None, None);
            }
            KeptLinkStep::DialFails => {
                next.left.failures -= 1;
                next.ends.get_mut(DIALLER)?.is_dialling = false;
                next.step(DIALLER, Event::DialFailed, None, None);
            }
            KeptLinkStep::Retries => {
                next.ends.get_mut(DIALLER)?.retry = false;
                next.step(DIALLER, Event::Retry, None, None);
            }
            KeptLinkStep::GivesUp(place) => {
                next.left.losses = next.left.losses.saturating_sub(1);
                next.ends.get_mut(place)?.patience = false;
                next.step(place, Event::PatienceOver, None, None);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "LINK-005, LINK-013, LINK-014: messages come once and in order",
                |_: &Self, state: &KeptLinkState| !state.delivered_wrong,
            ),
            Property::always(
                "LINK-007, LINK-015: no end finds fault with the other",
                |_: &Self, state: &KeptLinkState| !state.closed_for_a_fault,
            ),
            Property::always(
                "LINK-009, LINK-014: at rest either all has come, or the link is lost for both",
                |_: &Self, state: &KeptLinkState| {
                    let ended = state.ends.iter().filter(|end| end.machine.is_ended()).count();
                    !state.rests() || ended == 2 || ended == 0 && state.has_all()
                },
            ),
            Property::always(
                "LINK-016: who has no connection waits for a bounded time",
                |_: &Self, state: &KeptLinkState| {
                    state
                        .ends
                        .iter()
                        .all(|end| end.connection.is_some() || end.machine.is_ended() || end.patience)
                },
            ),
            Property::sometimes(
                "a link is resumed twice, and all has come",
                |_: &Self, state: &KeptLinkState| {
                    state.resumed == 2
                        && state.rests()
                        && state.has_all()
                        && state.ends.iter().all(|end| end.said == 2)
                },
            ),
            Property::sometimes(
                "a link is resumed whose loss the one end hasn't noticed",
                |_: &Self, state: &KeptLinkState| state.resumed_unnoticed && state.resumed > 0,
            ),
            Property::sometimes(
                "an end gives up, and the other learns it",
                |model: &Self, state: &KeptLinkState| {
                    state.left.losses < model.bounds.losses
                        && state.ends.iter().all(|end| end.machine.is_ended())
                },
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement::find;
    use stateright::Model as _;

    use super::KeptLinkModel;
    use crate::check::{Options, check_kept_link};

    #[test]
    fn the_model_holds_and_has_as_many_states_as_ever() {
        let report = check_kept_link(Options { threads: 2, states_max: None, progress: None });
        assert!(report.is_good(), "{report}");
        assert_eq!(report.unique, 144_757);
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in KeptLinkModel::new().properties() {
            let named = property.name.split([':', ',', ' ']).filter(|word| word.starts_with("LINK-"));
            for id in named {
                assert!(find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
