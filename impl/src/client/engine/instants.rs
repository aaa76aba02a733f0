//! Instant messages: the ones that the user sends, each with a link of its own, and the ones that come.
//!
//! Links are tabled by what they serve. For a message that is sent, that is a name that this client draws, as long as a
//! session's ID; a link of that name serves nothing else and is told to nobody.

use std::collections::{BTreeMap, VecDeque};

use antiphon_protocol::{connection::encode_message, tls::now};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    instant::{Came, Errand, Inbox, Outcome, Outgoing, Receipt, Step},
    limits::CONTENT_BYTES_MAX,
    machine::Machine as _,
    media_type::{TEXT_PLAIN, judge_content},
    message::client_client::{ClientMessage, Content, Instant, InstantId, InstantMessage, InstantReceived},
    policy::Verdict,
    session::{Event, SessionId},
};
use bytes::Bytes;

use super::{Deadline, Engine, Incoming, links::Place};
use crate::client::{
    event::{ClientEvent, Refusal},
    settings::{INSTANTS_MAX, INSTANTS_PER_RECEIVER_MAX},
};

/// All instant messages under way, and what is remembered of others.
#[derive(Debug)]
pub(super) struct Instants {
    sending: BTreeMap<SessionId, Sending>,
    /// How many the user has sent.
    sent: u64,
    inbox: Inbox,
    /// Links that wait until their messages were shown; each has its place among those that nobody has claimed.
    shown_later: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Sending {
    machine: Outgoing,
    /// Names the message to the user.
    message: u64,
}

#[derive(Debug)]
struct Waiting {
    /// How many events have to be shown first.
    after: u64,
    answer: Option<Bytes>,
    incoming: Incoming,
}

impl Instants {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self { sending: BTreeMap::new(), sent: 0, inbox, shown_later: VecDeque::new() }
    }

    /// Whether a link of this name is for a message that the user sends.
    pub(super) fn are_sent_over(&self, name: &SessionId) -> bool {
        self.sending.contains_key(name)
    }

    pub(super) fn are_all_sent(&self) -> bool {
        self.sending.is_empty()
    }

    pub(super) fn are_all_answered(&self) -> bool {
        self.shown_later.is_empty()
    }
}

impl Engine {
    // --- sending ---

    pub(super) fn send_instant(&mut self, id: Option<u64>, to: UserHandle, text: String) {
        let command = "instant";
        let Some(me) = &self.me else {
            return self.refuse_command(id, command, Refusal::NotRegistered);
        };
        let to_self = me.peer.handle == to;
        let under_way = self.instants.sending.len();
        let to_same = self.instants.sending.values().filter(|sending| *sending.machine.to() == to).count();
        let bytes = text.into_bytes();
        let code = if to_self {
            Some(ErrorCode::Forbidden)
        } else if bytes.len() > CONTENT_BYTES_MAX
            || under_way >= INSTANTS_MAX
            || to_same >= INSTANTS_PER_RECEIVER_MAX
        {
            Some(ErrorCode::LimitReached)
        } else {
            judge_content(TEXT_PLAIN, &bytes).err().map(|_| ErrorCode::MediaType)
        };
        if let Some(code) = code {
            return self.refuse_command(id, command, code);
        }
        //= spec/text/instant.md#sending
        //# INST-002: A sender MUST draw the ID of an instant message afresh from a cryptographically secure source, 16 bytes.
        let (Some(drawn), Some(first), Some(second)) = (self.entropy(), self.entropy(), self.entropy())
        else {
            return;
        };
        let mut name = [0; 32];
        for (byte, drawn) in name.iter_mut().zip(first.into_iter().chain(second)) {
            *byte = drawn;
        }
        let name = SessionId(name);
        let content = Content(bytes.into());
        let instant = Instant { id: InstantId(drawn), content, media_type: TEXT_PLAIN.into() };
        let mut errands = Vec::new();
        self.instants.sent += 1;
        let message = self.instants.sent;
        let machine = Outgoing::begin(to, instant, &mut errands);
        self.instants.sending.insert(name, Sending { machine, message });
        self.answer(id, ClientEvent::InstantTaken { message });
        self.run_errands(name, errands);
    }

    /// What a session would be told of its link, a message that is sent is told here.
    pub(super) fn step_instant(&mut self, name: SessionId, event: Event) {
        let step = match event {
            Event::LinkUp { peer } => Step::LinkUp { peer },
            Event::LinkFailed { .. } => Step::LinkFailed,
            Event::LinkLost { .. } => Step::LinkLost,
            Event::Invite { .. }
            | Event::Accept
            | Event::Refuse
            | Event::Say { .. }
            | Event::Leave
            | Event::Received { .. }
            | Event::TimerFired(_) => return,
        };
        self.advance_instant(name, step);
    }

    pub(super) fn advance_instant(&mut self, name: SessionId, step: Step) {
        let Some(sending) = self.instants.sending.get_mut(&name) else { return };
        let mut errands = Vec::new();
        sending.machine.handle(step, &(), &mut errands);
        self.run_errands(name, errands);
    }

    fn run_errands(&mut self, name: SessionId, errands: Vec<Errand>) {
        let Some(sending) = self.instants.sending.get(&name) else { return };
        let (to, message, ended) =
            (sending.machine.to().clone(), sending.message, sending.machine.is_ended());
        let place: Place = (name, to.clone());
        let mut events = VecDeque::new();
        for errand in errands {
            match errand {
                //= spec/text/instant.md#sending
                //# INST-001: A sender MUST look up the receiver at its local server before it dials the receiver's client.
                Errand::Connect { to } => self.connect_link(name, to, None, &mut events),
                Errand::Send(instant) => match encode_message(&ClientMessage::Instant(instant)) {
                    Ok(frame) => self.queue(name, std::slice::from_ref(&to), &frame, &mut events),
                    Err(error) => tracing::error!(%error, "an instant message cannot be sent"),
                },
                Errand::Disconnect(fault) => self.close_link(&place, fault),
                Errand::Arm(after) => {
                    let when = tokio::time::Instant::now() + after;
                    self.timers.arm(Deadline::Instant(name), when);
                }
                Errand::Tell(Outcome::Delivered) => {
                    self.tell(ClientEvent::InstantDelivered { message, to: to.clone() });
                }
                Errand::Tell(Outcome::Failed) => {
                    self.tell(ClientEvent::InstantFailed { message, to: to.clone() });
                }
            }
        }
        if ended {
            self.close_link(&place, None);
            self.timers.disarm(&Deadline::Instant(name));
            self.instants.sending.remove(&name);
        }
        for event in events {
            self.step(name, event);
        }
    }

    /// The client ends: what has no answer yet will not get one.
    pub(super) fn give_up_instants(&mut self) {
        let open: Vec<SessionId> = self.instants.sending.keys().copied().collect();
        for name in open {
            self.advance_instant(name, Step::GaveUp);
        }
    }

    // --- what comes ---

    /// A link begins with an instant message.
    //= spec/text/instant.md#who-may-send
    //# INST-007: A receiver MUST judge a sender by the handle in the certificate of the link.
    pub(super) fn instant_came(&mut self, incoming: Incoming, peer: Peer, message: InstantMessage) {
        let InstantMessage::Instant(instant) = message else {
            return self.refuse_incoming(incoming, ErrorCode::UnexpectedMessage);
        };
        let verdict = self.preferences.as_ref().map_or(Verdict::Deny, |known| known.judge(&peer.handle));
        let came = Came { from: peer.handle, verdict, instant };
        let mut receipts = Vec::new();
        self.instants.inbox.handle(came, &now(&self.clock), &mut receipts);
        let mut incoming = Some(incoming);
        for receipt in receipts {
            match receipt {
                Receipt::Show { from, instant } => self.tell(ClientEvent::instant(from, &instant)),
                //= spec/text/instant.md#the-answer
                //# INST-010: A receiver MUST show an instant message to its user, and only then answer with `instant-received` and the message's ID, once, and close.
                Receipt::Acknowledge(id) => {
                    let Some(incoming) = incoming.take() else { continue };
                    let answer = encode_message(&ClientMessage::InstantReceived(InstantReceived { id })).ok();
                    let waiting = Waiting { after: self.told, answer, incoming };
                    self.instants.shown_later.push_back(waiting);
                }
                Receipt::Refuse(code) => {
                    let Some(incoming) = incoming.take() else { continue };
                    self.refuse_incoming(incoming, code);
                }
            }
        }
        self.answer_shown_instants();
    }

    /// Answers what waited for events that were shown by now.
    pub(super) fn answer_shown_instants(&mut self) {
        let shown = self.shown.count();
        while let Some(waiting) = self.instants.shown_later.pop_front_if(|waiting| waiting.after <= shown) {
            let Incoming { connection, permit, .. } = waiting.incoming;
            self.refuse_link(connection, waiting.answer, None, permit);
        }
    }
}
