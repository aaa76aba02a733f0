//! The model of instant messages: one [`Outgoing`] for each message of a sender, the receiver's [`Inbox`], and links
//! between them that break, answers that are lost, and a receiver that changes its mind.

use antiphon_spec::{
    identity::Peer,
    instant::{Came, Errand, Inbox, Outcome, Outgoing, Receipt, Step},
    machine::Machine as _,
    media_type::{MediaTypes, TEXT_PLAIN},
    message::client_client::{Content, Instant, InstantId, InstantMessage, InstantReceived},
    policy::Verdict,
    time::Timestamp,
};
use stateright::{Model, Property};

use crate::cast::{Cast, Who};

const SENDER: Who = Who(0);
const RECEIVER: Who = Who(1);

/// The one instant at which everything happens.
const NOW: Timestamp = Timestamp(1_000_000);

/// How often, at most, something happens that need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstantBounds {
    /// Messages, all sent at the beginning.
    pub messages: u8,
    /// Links that break.
    pub losses: u8,
    /// Changes of the receiver's preferences, which allow the sender at first.
    pub changes: u8,
}

/// A sender, a receiver, and what is between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstantState {
    sending: Vec<Sending>,
    inbox: Inbox,
    verdict: Verdict,
    /// Messages on their way, with the link that they are on.
    messages: Vec<(u8, u8)>,
    /// Answers on their way: whether it is the acknowledgement.
    answers: Vec<(u8, u8, bool)>,
    left: InstantBounds,
    shown_though_denied: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sending {
    machine: Outgoing,
    dialling: bool,
    /// Counts the links.
    dials: u8,
    linked: bool,
    shown: u8,
    told: Vec<Outcome>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstantStep {
    /// The dial for a message succeeds.
    LinkUp(u8),
    /// It fails.
    LinkFails(u8),
    /// A message arrives, in its place among those on their way.
    Arrives(usize),
    /// A message is lost with its link.
    IsLost(usize),
    /// An answer arrives.
    Answered(usize),
    /// The link of a message breaks, as its sender sees it.
    Breaks(u8),
    /// The sender has waited long enough.
    GivesUp(u8),
    /// The receiver's preferences change.
    Changes,
}

/// Instant messages, within bounds.
#[derive(Clone, Debug)]
pub struct InstantModel {
    bounds: InstantBounds,
    cast: Cast,
}

impl InstantModel {
    /// Its name in lists.
    pub const NAME: &'static str = "instants";
    /// What it covers, in a line.
    pub const ABOUT: &'static str =
        "instant messages: 2 messages, 3 links that break, 2 changes of the receiver's preferences";

    /// With the bounds that `check` explores.
    #[must_use]
    pub fn new() -> Self {
        Self::within(InstantBounds { messages: 2, losses: 3, changes: 2 })
    }

    fn within(bounds: InstantBounds) -> Self {
        Self { bounds, cast: Cast::new(2) }
    }

    /// The receiver, who is in every cast of two.
    fn receiver(&self) -> Option<Peer> {
        self.cast.peer(RECEIVER)
    }

    fn step(&self, state: &mut InstantState, message: u8, step: Step) {
        let Some(sending) = state.sending.get_mut(usize::from(message)) else { return };
        let mut out = Vec::new();
        sending.machine.handle(step, &(), &mut out);
        perform(state, message, out);
    }

    fn arrives(&self, state: &mut InstantState, message: u8, dial: u8) {
        let Some(sender) = self.cast.peer(SENDER) else { return };
        let came = Came { from: sender.handle, verdict: state.verdict, instant: instant(message) };
        let mut out = Vec::new();
        state.inbox.handle(came, &NOW, &mut out);
        for receipt in out {
            match receipt {
                Receipt::Show { .. } => {
                    state.shown_though_denied |= state.verdict == Verdict::Deny;
                    if let Some(sending) = state.sending.get_mut(usize::from(message)) {
                        sending.shown += 1;
                    }
                }
                Receipt::Acknowledge(_) => state.answers.push((message, dial, true)),
                Receipt::Refuse(_) => state.answers.push((message, dial, false)),
            }
        }
        state.answers.sort_unstable();
    }

    /// What a step does, in words.
    #[must_use]
    pub fn tell(&self, state: &InstantState, step: InstantStep) -> Vec<String> {
        let Some(next) = self.next_state(state, step) else { return Vec::new() };
        let mut lines = vec![match step {
            InstantStep::LinkUp(message) => format!("the dial for message {message} succeeds"),
            InstantStep::LinkFails(message) => format!("the dial for message {message} fails"),
            InstantStep::Arrives(at) => {
                format!("the receiver gets message {}", named(state.messages.get(at).map(|on| on.0)))
            }
            InstantStep::IsLost(at) => {
                format!("message {} is lost", named(state.messages.get(at).map(|on| on.0)))
            }
            InstantStep::Answered(at) => {
                format!("the answer to message {} arrives", named(state.answers.get(at).map(|on| on.0)))
            }
            InstantStep::Breaks(message) => format!("the sender's link for message {message} breaks"),
            InstantStep::GivesUp(message) => {
                format!("the sender has waited long enough for message {message}")
            }
            InstantStep::Changes => format!("the receiver's preferences change: {:?}", next.verdict),
        }];
        for (number, (before, after)) in state.sending.iter().zip(&next.sending).enumerate() {
            if after.shown > before.shown {
                lines.push(format!("message {number} is shown"));
            }
            for outcome in after.told.iter().skip(before.told.len()) {
                lines.push(format!("the sender is told of message {number}: {outcome:?}"));
            }
        }
        lines
    }
}

impl Default for InstantModel {
    fn default() -> Self {
        Self::new()
    }
}

fn named(message: Option<u8>) -> String {
    message.map_or_else(|| "?".to_owned(), |message| message.to_string())
}

fn instant(message: u8) -> Instant {
    let content = Content([message].into());
    Instant { id: InstantId([message; 16]), content, media_type: TEXT_PLAIN.into() }
}

fn perform(state: &mut InstantState, message: u8, errands: Vec<Errand>) {
    let Some(sending) = state.sending.get_mut(usize::from(message)) else { return };
    for errand in errands {
        match errand {
            Errand::Connect { .. } => {
                sending.dialling = true;
                sending.dials += 1;
            }
            Errand::Send(_) => {
                state.messages.push((message, sending.dials));
                state.messages.sort_unstable();
            }
            Errand::Disconnect(_) => {
                sending.dialling = false;
                sending.linked = false;
            }
            Errand::Arm(_) => {}
            Errand::Tell(outcome) => sending.told.push(outcome),
        }
    }
}

impl Model for InstantModel {
    type State = InstantState;
    type Action = InstantStep;

    fn init_states(&self) -> Vec<InstantState> {
        let mut state = InstantState {
            sending: Vec::new(),
            inbox: Inbox::new(MediaTypes::default()),
            verdict: Verdict::Allow,
            messages: Vec::new(),
            answers: Vec::new(),
            left: self.bounds,
            shown_though_denied: false,
        };
        for message in 0..self.bounds.messages {
            let mut out = Vec::new();
            let Some(receiver) = self.receiver() else { continue };
            let machine = Outgoing::begin(receiver.handle, instant(message), &mut out);
            let sending =
                Sending { machine, dialling: false, dials: 0, linked: false, shown: 0, told: Vec::new() };
            state.sending.push(sending);
            perform(&mut state, message, out);
        }
        vec![state]
    }

    fn actions(&self, state: &InstantState, steps: &mut Vec<InstantStep>) {
        for (message, sending) in (0..).zip(&state.sending) {
            if sending.dialling {
                steps.extend([InstantStep::LinkUp(message), InstantStep::LinkFails(message)]);
            }
            if sending.linked && state.left.losses > 0 {
                steps.push(InstantStep::Breaks(message));
            }
            if !sending.machine.is_ended() {
                steps.push(InstantStep::GivesUp(message));
            }
        }
        for at in 0..state.messages.len() {
            steps.extend([InstantStep::Arrives(at), InstantStep::IsLost(at)]);
        }
        steps.extend((0..state.answers.len()).map(InstantStep::Answered));
        if state.left.changes > 0 {
            steps.push(InstantStep::Changes);
        }
    }

    fn next_state(&self, state: &InstantState, step: InstantStep) -> Option<InstantState> {
        let mut next = state.clone();
        match step {
            InstantStep::LinkUp(message) => {
                let sending = next.sending.get_mut(usize::from(message))?;
                (sending.dialling, sending.linked) = (false, true);
                self.step(&mut next, message, Step::LinkUp { peer: self.receiver()? });
            }
            InstantStep::LinkFails(message) => {
                next.sending.get_mut(usize::from(message))?.dialling = false;
                self.step(&mut next, message, Step::LinkFailed);
            }
            InstantStep::Arrives(at) => {
                let (message, dial) = next.messages.remove(at);
                self.arrives(&mut next, message, dial);
            }
            InstantStep::IsLost(at) => {
                // Only with the link that it is on.
                let (message, dial) = *next.messages.get(at)?;
                let sending = next.sending.get(usize::from(message))?;
                if sending.linked && sending.dials == dial {
                    return None;
                }
                next.messages.remove(at);
            }
            InstantStep::Answered(at) => {
                let (message, dial, acknowledged) = next.answers.remove(at);
                let sending = next.sending.get_mut(usize::from(message))?;
                if sending.linked && sending.dials == dial {
                    let received = InstantReceived { id: instant(message).id };
                    let step = if acknowledged {
                        Step::Received(Some(InstantMessage::Received(received)))
                    } else {
                        sending.linked = false;
                        Step::LinkClosed
                    };
                    self.step(&mut next, message, step);
                }
            }
            InstantStep::Breaks(message) => {
                next.left.losses -= 1;
                next.sending.get_mut(usize::from(message))?.linked = false;
                self.step(&mut next, message, Step::LinkLost);
            }
            InstantStep::GivesUp(message) => self.step(&mut next, message, Step::GaveUp),
            InstantStep::Changes => {
                next.left.changes -= 1;
                next.verdict = if state.verdict == Verdict::Allow { Verdict::Deny } else { Verdict::Allow };
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("INST-011: no message is shown twice", |_: &Self, state: &InstantState| {
                state.sending.iter().all(|sending| sending.shown <= 1)
            }),
            Property::always(
                "INST-010, INST-013: what is delivered was shown",
                |_: &Self, state: &InstantState| {
                    let delivered = |sending: &&Sending| sending.told.contains(&Outcome::Delivered);
                    state.sending.iter().filter(delivered).all(|sending| sending.shown == 1)
                },
            ),
            Property::always(
                "INST-014: the end of a message is told, and once",
                |_: &Self, state: &InstantState| {
                    state
                        .sending
                        .iter()
                        .all(|sending| sending.told.len() == usize::from(sending.machine.is_ended()))
                },
            ),
            Property::always(
                "INST-006: nobody is shown what the preferences deny",
                |_: &Self, state: &InstantState| !state.shown_though_denied,
            ),
            Property::always(
                "INST-003: a message that has ended has no link",
                |_: &Self, state: &InstantState| {
                    state
                        .sending
                        .iter()
                        .all(|sending| !(sending.machine.is_ended() && (sending.linked || sending.dialling)))
                },
            ),
            Property::sometimes(
                "all is delivered, one over a second link",
                |_: &Self, state: &InstantState| {
                    let delivered = |sending: &Sending| sending.told == [Outcome::Delivered];
                    state.sending.iter().all(delivered)
                        && state.sending.iter().any(|sending| sending.dials == 2)
                },
            ),
            Property::sometimes(
                "a message was shown, and its sender does not know",
                |_: &Self, state: &InstantState| {
                    state
                        .sending
                        .iter()
                        .any(|sending| sending.shown == 1 && sending.told == [Outcome::Failed])
                },
            ),
            Property::sometimes("a message came again, and was known", |_: &Self, state: &InstantState| {
                state.answers.iter().any(|(message, dial, acknowledged)| {
                    *acknowledged && *dial == 2 && state.answers.contains(&(*message, 1, true))
                })
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::requirement::find;
    use stateright::Model as _;

    use super::InstantModel;
    use crate::check::{Options, check_instants};

    #[test]
    fn the_model_holds_and_has_as_many_states_as_ever() {
        let report = check_instants(Options { threads: 2, states_max: None, progress: None });
        assert!(report.is_good(), "{report}");
        assert_eq!(report.unique, 15_038);
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        for property in InstantModel::new().properties() {
            let named = property.name.split([':', ',', ' ']).filter(|word| word.starts_with("INST-"));
            for id in named {
                assert!(find(id).is_some(), "{id} of \"{}\"", property.name);
            }
        }
    }
}
