//! Instant messages (chapter *Instant messages*): senders and a receiver under every order of steps, with links that break,
//! answers that nobody gave, and a clock that goes where it likes.
//!
//! A sender's user is told once what became of a message, and "delivered" is what the receiver's user was shown. While the
//! clock does not go back, no message is shown twice within the time for which it is remembered.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_spec::{
    instant::{Came, Errand, Inbox, Outcome, Outgoing, Receipt, Step},
    limits::{INSTANT_MEMORY, INSTANTS_PER_SENDER_MAX, INSTANTS_REMEMBERED_MAX},
    machine::Machine as _,
    media_type::MediaTypes,
    message::client_client::{Content, Instant, InstantId, InstantMessage, InstantReceived},
    policy::Verdict,
    time::Timestamp,
};
use arbitrary::{Arbitrary, Unstructured};

use crate::symbolic::{member, peer};

/// Who receives.
const RECEIVER: u8 = 0;

/// Most operations of one input: enough for some senders to fill what the receiver remembers of each.
const OPERATIONS_MAX: usize = 256;

/// Something happens. Messages are numbered in the order in which they were begun, modulo their number.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Begin { sender: u8 },
    LinkUp { message: u8, elsewhere: bool },
    LinkFailed { message: u8 },
    LinkLost { message: u8 },
    LinkClosed { message: u8 },
    GiveUp { message: u8 },
    Nonsense { message: u8, id: Option<u8> },
    Arrive { message: u8 },
    Answer { message: u8 },
    Forge { sender: u8, id: u8, denied: bool, image: bool, bytes: u16 },
    Pass { seconds: u8 },
}

/// A message of an honest sender.
struct Sent {
    sender: u8,
    instant: Instant,
    machine: Outgoing,
    /// Was sent over a link, and may arrive.
    arrives: bool,
    acknowledged: bool,
    told: Option<Outcome>,
}

#[derive(Default)]
struct World {
    sent: Vec<Sent>,
    now: u64,
    /// When each message was last shown, by its sender and ID.
    shown: BTreeMap<(u8, InstantId), u64>,
    ever: BTreeSet<(u8, InstantId)>,
}

/// Plays the input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut world = World::default();
    let mut inbox = Inbox::new(MediaTypes::default());
    for _ in 0..OPERATIONS_MAX {
        match Operation::arbitrary(&mut input) {
            Ok(operation) if !input.is_empty() => world.operate(&mut inbox, operation),
            _ => break,
        }
    }
    // Time passes: every sender's patience ends, and every sender knows.
    for message in 0..world.sent.len() {
        world.step(message, Step::GaveUp);
        assert!(world.sent[message].told.is_some(), "message {message} has no end");
    }
}

fn instant(id: u16) -> Instant {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    Instant {
        id: InstantId(bytes),
        content: Content(b"hello".as_slice().into()),
        media_type: "text/plain".into(),
    }
}

impl World {
    fn operate(&mut self, inbox: &mut Inbox, operation: Operation) {
        let count = self.sent.len().max(1);
        let which = |message: u8| usize::from(message) % count;
        match operation {
            Operation::Begin { sender } => self.begin(1 + sender % 4),
            Operation::LinkUp { message, elsewhere } => {
                let peer = peer(if elsewhere { 5 } else { RECEIVER });
                self.step(which(message), Step::LinkUp { peer });
            }
            Operation::LinkFailed { message } => self.step(which(message), Step::LinkFailed),
            Operation::LinkLost { message } => self.step(which(message), Step::LinkLost),
            Operation::LinkClosed { message } => self.step(which(message), Step::LinkClosed),
            Operation::GiveUp { message } => self.step(which(message), Step::GaveUp),
            Operation::Nonsense { message, id } => {
                // Nobody guesses an ID that was never sent in the clear.
                let received = |id| InstantMessage::Received(InstantReceived { id: InstantId([id; 16]) });
                let nonsense = id.filter(|id| *id > 1).map(received);
                self.step(which(message), Step::Received(nonsense));
            }
            Operation::Arrive { message } => self.arrive(inbox, which(message)),
            Operation::Answer { message } => self.answer(which(message)),
            Operation::Forge { sender, id, denied, image, bytes } => {
                let media_type = if image { "image/png" } else { "text/plain" }.into();
                let content = Content(vec![b'a'; usize::from(bytes)].into());
                let verdict = if denied { Verdict::Deny } else { Verdict::Allow };
                let forged = Instant { content, media_type, ..instant(0xff00 | u16::from(id)) };
                self.come(inbox, 1 + sender % 8, verdict, forged);
            }
            Operation::Pass { seconds } => self.now += u64::from(seconds),
        }
    }

    fn begin(&mut self, sender: u8) {
        let id = u16::try_from(self.sent.len()).expect("an input has fewer operations");
        let mut errands = Vec::new();
        let machine = Outgoing::begin(member(RECEIVER).handle, instant(id), &mut errands);
        let sent =
            Sent { sender, instant: instant(id), machine, arrives: false, acknowledged: false, told: None };
        self.sent.push(sent);
        self.perform(usize::from(id), errands);
    }

    fn step(&mut self, message: usize, step: Step) {
        let Some(sent) = self.sent.get_mut(message) else { return };
        let mut errands = Vec::new();
        sent.machine.handle(step, &(), &mut errands);
        self.perform(message, errands);
    }

    fn perform(&mut self, message: usize, errands: Vec<Errand>) {
        let sent = &mut self.sent[message];
        for errand in errands {
            match errand {
                Errand::Send(instant) => {
                    assert_eq!(instant, sent.instant, "a message is sent as it is");
                    sent.arrives = true;
                }
                Errand::Tell(outcome) => {
                    let delivered = outcome == Outcome::Delivered;
                    assert!(sent.told.replace(outcome).is_none(), "an end is told once");
                    let was_shown = self.ever.contains(&(sent.sender, sent.instant.id));
                    assert!(!delivered || was_shown, "what is delivered was shown");
                }
                Errand::Connect { .. } | Errand::Disconnect(_) | Errand::Arm(_) => {
                    assert!(sent.told.is_none(), "nothing is done after the end was told");
                }
            }
        }
        assert_eq!(sent.machine.is_ended(), sent.told.is_some());
    }

    /// A message arrives; over a broken link that was full it may do so twice.
    fn arrive(&mut self, inbox: &mut Inbox, message: usize) {
        let Some(sent) = self.sent.get(message).filter(|sent| sent.arrives) else { return };
        let (sender, instant) = (sent.sender, sent.instant.clone());
        if self.come(inbox, sender, Verdict::Allow, instant) {
            self.sent[message].acknowledged = true;
        }
    }

    fn answer(&mut self, message: usize) {
        let Some(sent) = self.sent.get(message).filter(|sent| sent.acknowledged) else { return };
        let received = InstantReceived { id: sent.instant.id };
        self.step(message, Step::Received(Some(InstantMessage::Received(received))));
    }

    /// Whether the message is acknowledged.
    fn come(&mut self, inbox: &mut Inbox, sender: u8, verdict: Verdict, instant: Instant) -> bool {
        let id = instant.id;
        let mut receipts = Vec::new();
        let came = Came { from: member(sender).handle, verdict, instant };
        inbox.handle(came, &Timestamp(self.now), &mut receipts);
        match receipts.as_slice() {
            [Receipt::Refuse(_)] => false,
            [Receipt::Acknowledge(of)] => {
                assert_eq!(*of, id);
                assert!(self.ever.contains(&(sender, id)), "what is acknowledged was shown");
                true
            }
            [Receipt::Show { .. }, Receipt::Acknowledge(of)] => {
                assert_eq!((*of, verdict), (id, Verdict::Allow));
                let before = self.shown.insert((sender, id), self.now);
                let forgotten = before.is_none_or(|before| before + INSTANT_MEMORY.as_secs() <= self.now);
                assert!(forgotten, "a message that is remembered is not shown again");
                self.ever.insert((sender, id));
                self.check_bounds(sender);
                true
            }
            other => panic!("{other:?}"),
        }
    }

    fn check_bounds(&self, sender: u8) {
        let recent = |at: &u64| at + INSTANT_MEMORY.as_secs() > self.now;
        let all = self.shown.values().filter(|at| recent(at)).count();
        let of_sender = self.shown.iter().filter(|((of, _), at)| *of == sender && recent(at)).count();
        assert!(all <= INSTANTS_REMEMBERED_MAX && of_sender <= INSTANTS_PER_SENDER_MAX);
    }
}
