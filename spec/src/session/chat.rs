//! What members say to each other: numbered per sender and epoch, delivered once and in order, acknowledged by each
//! (chapter *Sessions*, section *Messages*).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    epoch::EpochNumber,
    event::{Action, Notice},
    machine::{Next, Work},
    member::Membership,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{CONTENT_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, OUTBOX_MAX, UNACKNOWLEDGED_MAX},
    message::client_client::{Content, Message, PeerMessage, Received, SessionBody},
    mutant::{Mutant, active},
};

/// The counters and queues of a member's chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Chat {
    /// Messages said in this epoch.
    sent: u64,
    /// Messages delivered in this epoch, by sender.
    received: BTreeMap<UserHandle, u64>,
    /// What the user said while nothing could be said.
    outbox: VecDeque<(Arc<str>, Content)>,
    /// What has been said and is not with everybody yet, oldest first.
    unacknowledged: VecDeque<Outgoing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outgoing {
    epoch: EpochNumber,
    number: u64,
    waiting: BTreeSet<UserHandle>,
}

impl Chat {
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn received_from(&self, member: &UserHandle) -> u64 {
        self.received.get(member).copied().unwrap_or(0)
    }

    pub(super) fn begin_epoch(&mut self) {
        self.sent = 0;
        self.received.clear();
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.outbox.is_empty() && self.unacknowledged.is_empty()
    }
}

impl Membership {
    /// The user says something: now, or as soon as the epoch and the window allow.
    pub(super) fn say(&mut self, media_type: Arc<str>, content: Content, work: &mut Work<'_, '_>) {
        let too_long = content.0.len() > CONTENT_BYTES_MAX || media_type.len() > MEDIA_TYPE_BYTES_MAX;
        if too_long || self.chat.outbox.len() >= OUTBOX_MAX {
            work.tell(Notice::NotPossible(ErrorCode::LimitReached));
            return;
        }
        self.chat.outbox.push_back((media_type, content));
        self.say_what_waited(work);
    }

    pub(super) fn say_what_waited(&mut self, work: &mut Work<'_, '_>) {
        while self.chat.unacknowledged.len() < UNACKNOWLEDGED_MAX
            && (self.closing.is_none() || active(Mutant::SaidAfterClosed))
        {
            let Some((media_type, content)) = self.chat.outbox.pop_front() else { return };
            self.chat.sent += 1;
            let number = self.chat.sent;
            let to: Vec<UserHandle> = self.others().cloned().collect();
            if !to.is_empty() {
                let waiting = to.iter().cloned().collect();
                self.chat.unacknowledged.push_back(Outgoing { epoch: self.epoch.number, number, waiting });
                let body = SessionBody::Message(Message { number, content, media_type });
                let message = PeerMessage::Session(self.message(body));
                work.push(Action::Send { to, message });
            }
            work.tell(Notice::MessageSent { epoch: self.epoch.number, number });
        }
    }

    /// A member says something in this epoch.
    pub(super) fn hear(&mut self, from: &Peer, said: Message, work: &mut Work<'_, '_>) -> Next {
        if self.epoch.member(&from.handle).is_none() {
            return self.fault(&from.handle, ErrorCode::Forbidden, work);
        }
        if said.content.0.len() > CONTENT_BYTES_MAX || said.media_type.len() > MEDIA_TYPE_BYTES_MAX {
            return self.fault(&from.handle, ErrorCode::LimitReached, work);
        }
        let before = self.chat.received_from(&from.handle);
        if said.number <= before && !active(Mutant::DuplicateDelivered) {
            work.push(Action::Late { from: from.handle.clone() });
            return Next::Stay;
        }
        if said.number > before + 1 && !active(Mutant::MessageEpochUnchecked) {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        self.chat.received.insert(from.handle.clone(), said.number.max(before));
        work.tell(Notice::MessageReceived {
            from: from.handle.clone(),
            epoch: self.epoch.number,
            number: said.number,
            media_type: said.media_type,
            content: said.content,
        });
        self.send(&from.handle, SessionBody::Received(Received { number: said.number }), work);
        self.begin_epoch_if_flushed(work)
    }

    /// A member has what was said up to a number.
    pub(super) fn acknowledged(
        &mut self,
        from: &Peer,
        epoch: EpochNumber,
        received: Received,
        work: &mut Work<'_, '_>,
    ) {
        let mut news = false;
        for outgoing in &mut self.chat.unacknowledged {
            if outgoing.epoch == epoch && outgoing.number <= received.number {
                news |= outgoing.waiting.remove(&from.handle);
            }
        }
        if !news {
            work.push(Action::Late { from: from.handle.clone() });
            return;
        }
        work.tell(Notice::MessageDelivered { to: from.handle.clone(), epoch, number: received.number });
        self.drop_acknowledged(work);
    }

    /// A member is gone, and with it its acknowledgements.
    pub(super) fn forget_unacknowledged(&mut self, member: &UserHandle, work: &mut Work<'_, '_>) {
        for outgoing in &mut self.chat.unacknowledged {
            outgoing.waiting.remove(member);
        }
        self.drop_acknowledged(work);
    }

    fn drop_acknowledged(&mut self, work: &mut Work<'_, '_>) {
        self.chat.unacknowledged.retain(|outgoing| !outgoing.waiting.is_empty());
        self.say_what_waited(work);
    }
}
