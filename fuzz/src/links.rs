//! Links that go on (chapter *Links that go on*): one end under every order of events, with a peer that counts as it
//! likes.
//!
//! Each message that comes is told once and at once; what is sent again after a loss is what the peer says that it hasn't,
//! in order; what is kept is bounded; only a later attempt of the right peer takes the link; and after the end of the link
//! nothing happens.

use antiphon_spec::{
    identity::KeyHash,
    limits::LINK_KEPT_MAX,
    link::{Action, Event, Heard, Link, Said},
    machine::Machine as _,
    message::link::{Keep, LinkName, Patience},
};
use arbitrary::{Arbitrary, Unstructured};

/// Most operations of one input: enough to keep more than may be kept.
const OPERATIONS_MAX: usize = 1024;

const KEY: KeyHash = KeyHash([1; 32]);
const NAME: LinkName = LinkName([7; 16]);

/// Something happens.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// This end says so many messages.
    Say {
        messages: u8,
    },
    /// So many come.
    Message {
        messages: u8,
    },
    Keep {
        other: bool,
        seconds: u8,
    },
    Kept {
        seconds: u8,
    },
    Have {
        received: u16,
    },
    Resumed {
        received: u16,
    },
    LateResume,
    Lost,
    Closed,
    Dialled,
    DialFailed,
    Resume {
        attempt: u8,
        other: bool,
        key: u8,
        received: u16,
    },
    Retry,
    PatienceOver,
}

struct World {
    link: Link<u64>,
    name: Option<LinkName>,
    /// Messages that this end has said, and how many of them before it had a number for any.
    said: u64,
    unnumbered: u64,
    attempt: u64,
    /// There is a connection over which something can come.
    is_up: bool,
}

/// Plays the input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok((dials, keeps, seconds)) = <(bool, bool, u8)>::arbitrary(&mut input) else { return };
    let patience = Patience::try_from(u64::from(seconds)).ok().filter(|_| keeps);
    let link = if dials {
        Link::dialled(patience.map(|patience| Keep { link: NAME, patience }))
    } else {
        Link::accepted(KEY, patience)
    };
    let mut world =
        World { link, name: dials.then_some(NAME), said: 0, unnumbered: 0, attempt: 0, is_up: true };
    for _ in 0..OPERATIONS_MAX {
        match Operation::arbitrary(&mut input) {
            Ok(operation) if !input.is_empty() => world.operate(&operation),
            _ => break,
        }
    }
}

impl World {
    fn operate(&mut self, operation: &Operation) {
        let name = |other: bool| if other { LinkName([8; 16]) } else { NAME };
        let seconds = |seconds: u8| Patience::try_from(u64::from(seconds));
        let event = match *operation {
            Operation::Say { messages } => {
                for _ in 0..messages {
                    self.said += 1;
                    self.take(Event::Say(self.said));
                }
                return;
            }
            Operation::Message { messages } => {
                for _ in 0..messages {
                    self.take(Event::Heard(Heard::Message));
                }
                return;
            }
            Operation::Keep { other, seconds: of } => {
                let Ok(patience) = seconds(of) else { return };
                Event::Heard(Heard::Keep(Keep { link: name(other), patience }))
            }
            Operation::Kept { seconds: of } => {
                let Ok(patience) = seconds(of) else { return };
                Event::Heard(Heard::Kept(patience))
            }
            Operation::Have { received } => Event::Heard(Heard::Have(received.into())),
            Operation::Resumed { received } => Event::Heard(Heard::Resumed(received.into())),
            Operation::LateResume => Event::Heard(Heard::Resume),
            Operation::Lost => Event::ConnectionLost,
            Operation::Closed => Event::ConnectionClosed,
            Operation::Dialled => Event::Dialled,
            Operation::DialFailed => Event::DialFailed,
            Operation::Resume { attempt, other, key, received } => Event::Resume {
                link: name(other),
                attempt: attempt.into(),
                key: KeyHash([key; 32]),
                received: received.into(),
            },
            Operation::Retry => Event::Retry,
            Operation::PatienceOver => Event::PatienceOver,
        };
        self.take(event);
    }

    fn take(&mut self, event: Event<u64>) {
        let (was_ended, was_kept) = (self.link.is_ended(), self.link.is_kept());
        let mut actions = Vec::new();
        self.link.handle(event, &(), &mut actions);
        assert!(self.link.kept() <= LINK_KEPT_MAX);
        if was_ended {
            let is_refused = matches!(actions.as_slice(), [] | [Action::Refuse(_)]);
            assert!(is_refused, "after the end: {actions:?}");
            return;
        }
        if let Event::Heard(Heard::Keep(keep)) = event
            && !was_kept
            && self.link.is_kept()
        {
            self.name = Some(keep.link);
        }
        let delivered = actions.iter().filter(|action| **action == Action::Deliver).count();
        let is_message = event == Event::Heard(Heard::Message);
        let expected = usize::from(is_message && self.is_up && !self.link.is_ended());
        assert_eq!(delivered, expected, "{event:?}: {actions:?}");
        self.is_up &= event != Event::ConnectionLost;
        self.is_up |= actions.contains(&Action::Resumed);
        if actions.contains(&Action::Adopt) {
            let Event::Resume { link, attempt, key, .. } = event else { panic!("{event:?} adopts") };
            assert!(was_kept && key == KEY && Some(link) == self.name && attempt > self.attempt, "{event:?}");
            self.attempt = attempt;
        }
        for action in &actions {
            if let Action::Send(Said::Keep(_) | Said::Kept(_)) = action {
                self.unnumbered = self.said;
            }
        }
        let (Event::Resume { received, .. } | Event::Heard(Heard::Resumed(received))) = event else { return };
        if actions.contains(&Action::Resumed) {
            let again: Vec<u64> = actions
                .iter()
                .filter_map(|action| {
                    if let Action::Send(Said::Message(message)) = action { Some(*message) } else { None }
                })
                .collect();
            let expected: Vec<u64> = (self.unnumbered + received + 1..=self.said).collect();
            assert_eq!(again, expected, "{event:?}");
        }
    }
}
