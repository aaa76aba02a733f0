//! The receiver's side: who may send, what was had already, and how much of it one remembers.

use std::collections::VecDeque;

use crate::{
    error_code::ErrorCode,
    identity::UserHandle,
    limits::{
        CONTENT_BYTES_MAX, INSTANT_MEMORY, INSTANTS_PER_SENDER_MAX, INSTANTS_REMEMBERED_MAX,
        MEDIA_TYPE_BYTES_MAX,
    },
    machine::Machine,
    media_type::{MediaTypes, judge_content},
    message::client_client::{Instant, InstantId},
    mutant::{Mutant, active},
    policy::Verdict,
    time::Timestamp,
};

/// What a client remembers of the instant messages that came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inbox {
    accepts: MediaTypes,
    /// Oldest first, and as old as [`INSTANT_MEMORY`] at most.
    seen: VecDeque<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    at: Timestamp,
    from: UserHandle,
    id: InstantId,
}

/// An instant message came, as the first message of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Came {
    /// The user whom the certificate of the link names.
    pub from: UserHandle,
    /// What the user's preferences say about this one; with no preferences at hand, [`Verdict::Deny`].
    pub verdict: Verdict,
    /// The message.
    pub instant: Instant,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Receipt {
    /// Show it to the user. The actions behind this one wait until that is done.
    Show {
        /// By whom.
        from: UserHandle,
        /// The message.
        instant: Instant,
    },
    /// Answer `instant-received`, and close.
    Acknowledge(InstantId),
    /// Close with this code.
    Refuse(ErrorCode),
}

impl Inbox {
    /// Remembers nothing yet; `accepts` is what the user can be shown besides plain text.
    #[must_use]
    pub fn new(accepts: MediaTypes) -> Self {
        Self { accepts, seen: VecDeque::new() }
    }

    /// The checks in the order of the text, so that somebody who may not send learns nothing else.
    fn judge(&self, came: &Came) -> Result<(), ErrorCode> {
        let Came { verdict, instant, .. } = came;
        //= spec/text/instant.md#who-may-send
        //# INST-006: A receiver MUST close with `unavailable` when its user's preferences deny the sender, when it doesn't know the preferences because the user isn't logged in, and when it has no room to remember the message.
        if *verdict == Verdict::Deny {
            return Err(ErrorCode::Unavailable);
        }
        if instant.content.0.len() > CONTENT_BYTES_MAX || instant.media_type.len() > MEDIA_TYPE_BYTES_MAX {
            return Err(ErrorCode::LimitReached);
        }
        let essence = judge_content(&instant.media_type, &instant.content.0);
        if essence.is_ok_and(|essence| self.accepts.take(&essence)) {
            Ok(())
        } else {
            Err(ErrorCode::MediaType)
        }
    }

    /// Whether there is room to remember one more of this sender.
    fn room(&self, from: &UserHandle) -> Result<(), ErrorCode> {
        let of_sender = self.seen.iter().filter(|seen| seen.from == *from).count();
        if of_sender >= INSTANTS_PER_SENDER_MAX {
            return Err(ErrorCode::LimitReached);
        }
        if self.seen.len() >= INSTANTS_REMEMBERED_MAX {
            return Err(ErrorCode::Unavailable);
        }
        Ok(())
    }
}

impl Machine for Inbox {
    type Event = Came;
    type Action = Receipt;
    type Context<'a> = Timestamp;

    fn handle(&mut self, came: Came, now: &Timestamp, out: &mut Vec<Receipt>) {
        self.seen.retain(|seen| seen.at.after(INSTANT_MEMORY) > *now);
        let id = came.instant.id;
        match self.judge(&came) {
            Ok(()) => {}
            Err(_) if active(Mutant::InstantDeniedAcknowledged) => return out.push(Receipt::Acknowledge(id)),
            Err(code) => return out.push(Receipt::Refuse(code)),
        }
        let again = self.seen.iter().any(|seen| seen.from == came.from && seen.id == id);
        if !again || active(Mutant::InstantShownAgain) {
            if let Err(code) = self.room(&came.from) {
                return out.push(Receipt::Refuse(code));
            }
            self.seen.push_back(Seen { at: *now, from: came.from.clone(), id });
            out.push(Receipt::Show { from: came.from, instant: came.instant });
        }
        out.push(Receipt::Acknowledge(id));
    }
}
