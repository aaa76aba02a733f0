//! What members say to each other: numbered per sender and epoch, delivered once and in order, acknowledged by each
//! (chapter *Sessions*, section *Messages*).
//!
//! Nothing that the user says is lost in silence: it waits in the outbox, then for each member's acknowledgement, and
//! leaves either of the two only with a notice of what became of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    epoch::EpochNumber,
    event::{Action, LocalNumber, Notice, Timer},
    machine::{Next, Work},
    member::Membership,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{
        ACKNOWLEDGEMENT_DEADLINE, CONTENT_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, OUTBOX_MAX, UNACKNOWLEDGED_MAX,
    },
    media_type::judge_content,
    message::client_client::{Content, Message, PeerMessage, Received, SentCount, SessionBody},
    mutant::{Mutant, active},
    sites::{Location, reached},
};

/// The counters and queues of a member's chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Chat {
    /// Messages said in this epoch.
    sent: u64,
    /// Messages said in the epoch before, of which acknowledgements may be on their way.
    sent_before: u64,
    /// How many messages each member had sent in the epoch before, by the word that ended it.
    counted: Vec<SentCount>,
    /// Messages delivered in this epoch, by sender.
    received: BTreeMap<UserHandle, u64>,
    /// What the user said while nothing could be said.
    outbox: VecDeque<Waiting>,
    /// What has been said and is not with everybody yet, oldest first.
    unacknowledged: VecDeque<Outgoing>,
}

/// Said by the user, and sent to nobody yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    local: LocalNumber,
    media_type: Arc<str>,
    content: Content,
}

/// Sent, and not settled with these members yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outgoing {
    local: LocalNumber,
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

    pub(super) fn begin_epoch(&mut self, counted: Vec<SentCount>) {
        self.counted = counted;
        self.sent_before = std::mem::take(&mut self.sent);
        self.received.clear();
    }

    /// Which message has been under way for longest.
    fn oldest(&self) -> Option<(EpochNumber, u64)> {
        self.unacknowledged.front().map(|oldest| (oldest.epoch, oldest.number))
    }

    pub(super) fn is_at_rest_without(&self, unreliable: impl Fn(&UserHandle) -> bool) -> bool {
        self.outbox.is_empty() && self.unacknowledged.iter().all(|said| said.waiting.iter().all(&unreliable))
    }
}

impl Membership {
    /// The user says something: now, or as soon as the epoch and the window allow.
    pub(super) fn say(
        &mut self,
        local: LocalNumber,
        media_type: Arc<str>,
        content: Content,
        work: &mut Work<'_, '_>,
    ) {
        let too_long = content.0.len() > CONTENT_BYTES_MAX || media_type.len() > MEDIA_TYPE_BYTES_MAX;
        if !too_long && !self.may_send(&media_type, &content) {
            work.tell(Notice::NotPossible(ErrorCode::MediaType));
            return;
        }
        if too_long || self.chat.outbox.len() >= OUTBOX_MAX {
            work.tell(Notice::NotPossible(ErrorCode::LimitReached));
            return;
        }
        self.chat.outbox.push_back(Waiting { local, media_type, content });
        self.say_what_waited(work);
        if !self.chat.outbox.is_empty() {
            work.tell(Notice::MessagePending { local });
        }
    }

    /// Whether every other member of the epoch takes this.
    fn may_send(&self, media_type: &str, content: &Content) -> bool {
        //= spec/text/sessions.md#media-types
        //# SESS-175: A sender MUST NOT send a chat message that another member of the epoch doesn't take.
        judge_content(media_type, &content.0).is_ok_and(|essence| {
            let mut others = self.epoch.members.iter().filter(|member| member.handle != self.me.handle);
            others.all(|member| member.accepts.take(&essence) || active(Mutant::MediaTypesIgnored))
        })
    }

    pub(super) fn say_what_waited(&mut self, work: &mut Work<'_, '_>) {
        while self.chat.unacknowledged.len() < UNACKNOWLEDGED_MAX && self.may_speak() {
            let Some(Waiting { local, media_type, content }) = self.chat.outbox.pop_front() else { return };
            if !self.may_send(&media_type, &content) {
                // Somebody joined while it waited, who does not take it.
                work.tell(Notice::MessageUnsent { local });
                continue;
            }
            self.chat.sent += 1;
            let (epoch, number) = (self.epoch.number, self.chat.sent);
            let linked: Vec<UserHandle> = self.others().cloned().collect();
            let (to, waiting) = (linked.clone(), linked.iter().cloned().collect());
            if !to.is_empty() {
                if self.chat.unacknowledged.is_empty() {
                    wait_for_acknowledgements(work);
                }
                self.chat.unacknowledged.push_back(Outgoing { local, epoch, number, waiting });
                let body = SessionBody::Message(Message { number, content, media_type });
                let message = PeerMessage::Session(self.message(body));
                work.push(Action::Send { to, message });
            }
            let me = &self.me.handle;
            let to: Vec<UserHandle> = self.epoch.handles().filter(|member| *member != me).cloned().collect();
            let lost: Vec<_> = to.iter().filter(|member| !linked.contains(member)).cloned().collect();
            work.tell(Notice::MessageSent { local, epoch, number, to });
            for to in lost {
                tell_failed(local, to, work);
            }
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
        //= spec/text/sessions.md#media-types
        //# SESS-176: A member MUST close with `media-type` when a chat message comes that it doesn't take.
        let taken = judge_content(&said.media_type, &said.content.0)
            .is_ok_and(|essence| self.me.accepts.take(&essence));
        if !taken && !active(Mutant::MediaTypeUnchecked) {
            return self.fault(&from.handle, ErrorCode::MediaType, work);
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
    ) -> Next {
        //= spec/text/sessions.md#messages
        //# SESS-170: A member MUST close with `unexpected-message` when a `received` has a number that the member hasn't given to a chat message in the epoch that it names, if that is the member's own epoch or the one before.
        if !self.has_sent(epoch, received.number) && !active(Mutant::ReceiptUnchecked) {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        let mut news = false;
        for outgoing in &mut self.chat.unacknowledged {
            let covered = outgoing.epoch == epoch && outgoing.number <= received.number;
            if covered && outgoing.waiting.remove(&from.handle) {
                news = true;
                let (local, number, to) = (outgoing.local, outgoing.number, from.handle.clone());
                work.tell(Notice::MessageDelivered { local, to, epoch, number });
            }
        }
        if news {
            self.drop_acknowledged(work);
        } else {
            work.push(Action::Late { from: from.handle.clone() });
        }
        Next::Stay
    }

    /// Whether a message of this number was sent in the epoch, as far as the member remembers. Whoever could still
    /// acknowledge one of an earlier epoch has acknowledged all of that epoch, or nobody could have begun this one.
    fn has_sent(&self, epoch: EpochNumber, number: u64) -> bool {
        let sent = if epoch == self.epoch.number {
            self.chat.sent
        } else if epoch.next() == self.epoch.number {
            self.chat.sent_before
        } else {
            u64::MAX
        };
        (1..=sent).contains(&number)
    }

    /// Whether a late message is one of those that this member was told the epoch had no more of: then the sender was told
    /// something else, and has gone on by it.
    pub(super) fn was_left_out(&self, by: &UserHandle, epoch: EpochNumber, number: u64) -> bool {
        let short = |counted: &SentCount| counted.member == *by && counted.count < number;
        epoch.next() == self.epoch.number
            && self.chat.counted.iter().any(short)
            && !active(Mutant::LeftOutIgnored)
    }

    /// A member is gone, and with it its acknowledgements.
    pub(super) fn forget_unacknowledged(&mut self, member: &UserHandle, work: &mut Work<'_, '_>) {
        for outgoing in &mut self.chat.unacknowledged {
            if let Some(to) = outgoing.waiting.take(member) {
                tell_failed(outgoing.local, to, work);
            }
        }
        self.drop_acknowledged(work);
    }

    /// An epoch ended without this member's count: whoever has not had its messages of that epoch never will.
    pub(super) fn fail_uncounted(&mut self, epoch: EpochNumber, work: &mut Work<'_, '_>) {
        for outgoing in self.chat.unacknowledged.iter_mut().filter(|outgoing| outgoing.epoch == epoch) {
            for to in std::mem::take(&mut outgoing.waiting) {
                tell_failed(outgoing.local, to, work);
            }
        }
        self.chat.unacknowledged.retain(|outgoing| !outgoing.waiting.is_empty());
    }

    /// The session is over here: nothing more is sent or acknowledged.
    pub(super) fn settle_chat(&mut self, work: &mut Work<'_, '_>) {
        if self.chat.oldest().is_some() {
            work.push(Action::Disarm(Timer::Acknowledgement));
        }
        for Outgoing { local, waiting, .. } in std::mem::take(&mut self.chat.unacknowledged) {
            waiting.into_iter().for_each(|to| tell_failed(local, to, work));
        }
        for Waiting { local, .. } in std::mem::take(&mut self.chat.outbox) {
            if !active(Mutant::FailureForgotten) {
                work.tell(Notice::MessageUnsent { local });
            }
        }
    }

    fn drop_acknowledged(&mut self, work: &mut Work<'_, '_>) {
        let oldest = self.chat.oldest();
        self.chat.unacknowledged.retain(|outgoing| !outgoing.waiting.is_empty());
        match self.chat.oldest() {
            None if oldest.is_some() => work.push(Action::Disarm(Timer::Acknowledgement)),
            Some(next) if oldest != Some(next) => wait_for_acknowledgements(work),
            None | Some(_) => {}
        }
        self.say_what_waited(work);
    }

    /// Whoever has let the oldest message wait for too long is lost: it would hold up every other one for good.
    pub(super) fn acknowledgement_overdue(&mut self, work: &mut Work<'_, '_>) -> Next {
        if active(Mutant::AcknowledgementAwaitedForever) {
            return Next::Stay;
        }
        let oldest = self.chat.unacknowledged.front();
        for member in oldest.map(|oldest| oldest.waiting.clone()).unwrap_or_default() {
            let next = self.fault(&member, ErrorCode::Deadline, work);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        Next::Stay
    }
}

fn wait_for_acknowledgements(work: &mut Work<'_, '_>) {
    work.push(Action::Arm { timer: Timer::Acknowledgement, after: ACKNOWLEDGEMENT_DEADLINE });
}

#[track_caller]
fn tell_failed(local: LocalNumber, to: UserHandle, work: &mut Work<'_, '_>) {
    reached(Location::caller());
    if !active(Mutant::FailureForgotten) {
        work.tell(Notice::MessageFailed { local, to });
    }
}
