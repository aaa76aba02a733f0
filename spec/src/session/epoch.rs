//! Epochs: the chain of memberships that a session is (chapter *Sessions*, section *Epochs*).
//!
//! [`Epoch::next`] is the only function that makes one epoch from another, at the coordinator and at every
//! other member alike; so equal changes give equal views.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    identity::{KeyHash, UserHandle, as_bytes},
    limits::SESSION_MEMBERS_MAX,
    media_type::MediaTypes,
};

/// Names a session: derived from its [`Origin`], so that nobody can pick somebody else's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 32]);

/// The hash of one epoch; it covers the hash of the epoch before, and so the whole chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochHash(pub [u8; 32]);

/// 128 bits that the creator of a session, or the issuer of a ticket, drew for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

/// Names a member in one session to the servers that relay links: drawn by the member's client for that session alone,
/// and known to the session's members, their servers, and nobody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayTag(pub [u8; 16]);

as_bytes!(SessionId[32], EpochHash[32], Nonce[16], RelayTag[16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

impl fmt::Debug for EpochHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochHash(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

impl fmt::Debug for RelayTag {
    /// Whoever knows a tag can reach its member, so a log shows only enough to tell two apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayTag(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// The number of an epoch in its session; the creator's own is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpochNumber(pub u64);

impl EpochNumber {
    /// The number of the epoch that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What a session ID is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The creator's key.
    pub key: KeyHash,
    /// Drawn by the creator for this session.
    pub nonce: Nonce,
}

/// One member, as the epoch tells it to all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The member's key: a link is the member's only if TLS proved this key.
    pub key: KeyHash,
    /// The member's tag in this session. An epoch tells no addresses: who is let in learns none by it.
    pub relay: RelayTag,
    /// The member's handle.
    pub handle: UserHandle,
    /// The media types that the member takes besides plain text.
    pub accepts: MediaTypes,
}

/// What an epoch changed against the one before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The session was created: the first epoch, with the creator alone.
    Create(UserHandle),
    /// A newcomer joined.
    Join(Member),
    /// A member left of its own will.
    Leave(UserHandle),
    /// The coordinator removed a member that it had lost.
    Remove(UserHandle),
    /// The coordinator's part went to another member.
    HandOver(UserHandle),
    /// The join of this newcomer came to nothing; nobody came or went.
    Void(UserHandle),
    /// The coordinator was lost; this member coordinates in its place, and the lost one is no member any more.
    TakeOver(UserHandle),
}

/// One link of the chain: who the members are, who coordinates, and what came before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// What made this epoch out of the one before.
    pub change: Change,
    /// The position in the chain.
    pub number: EpochNumber,
    /// What the session ID is derived from; the same in every epoch.
    pub origin: Origin,
    /// All members, in the order of their handles.
    pub members: Arc<[Member]>,
    /// The session.
    pub session: SessionId,
    /// The hash of the epoch before; 32 zero bytes in the first.
    pub previous: EpochHash,
    /// The member that orders changes.
    pub coordinator: UserHandle,
}

/// Why a change cannot follow an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ImpossibleChange {
    /// Only the first epoch creates.
    #[error("a session is created once")]
    SecondCreation,
    /// The newcomer is a member already, or its key is another member's.
    #[error("the newcomer is a member already")]
    AlreadyMember,
    /// The session is full.
    #[error("the session is full")]
    SessionFull,
    /// The one who leaves, is removed or shall coordinate is no member.
    #[error("the change names someone who is no member")]
    NoMember,
    /// The coordinator hands over before it leaves, and cannot remove itself.
    #[error("the coordinator must hand over first")]
    Coordinator,
}

impl Epoch {
    /// The first epoch: the creator is its only member and its coordinator.
    #[must_use]
    pub fn first(session: SessionId, origin: Origin, creator: Member) -> Self {
        Self {
            change: Change::Create(creator.handle.clone()),
            number: EpochNumber(0),
            origin,
            session,
            previous: EpochHash([0; 32]),
            coordinator: creator.handle.clone(),
            members: [creator].into(),
        }
    }

    /// The epoch that `change` makes of this one, whose hash is `hash`.
    ///
    /// # Errors
    /// The change cannot follow; see [`ImpossibleChange`].
    pub fn next(&self, hash: EpochHash, change: Change) -> Result<Self, ImpossibleChange> {
        let mut members = Arc::clone(&self.members);
        let mut coordinator = self.coordinator.clone();
        match &change {
            Change::Create(_) => return Err(ImpossibleChange::SecondCreation),
            Change::Join(newcomer) => {
                if self.members.iter().any(|m| m.handle == newcomer.handle || m.key == newcomer.key) {
                    return Err(ImpossibleChange::AlreadyMember);
                }
                if self.members.len() >= SESSION_MEMBERS_MAX {
                    return Err(ImpossibleChange::SessionFull);
                }
                let mut all: Vec<Member> = self.members.iter().chain([newcomer]).cloned().collect();
                all.sort_by(|a, b| a.handle.cmp(&b.handle));
                members = all.into();
            }
            Change::Leave(who) | Change::Remove(who) => {
                if *who == self.coordinator {
                    return Err(ImpossibleChange::Coordinator);
                }
                self.member(who).ok_or(ImpossibleChange::NoMember)?;
                members = self.members.iter().filter(|m| m.handle != *who).cloned().collect();
            }
            Change::HandOver(to) => {
                self.member(to).ok_or(ImpossibleChange::NoMember)?;
                coordinator = to.clone();
            }
            Change::Void(_) => {}
            Change::TakeOver(to) => {
                if *to == self.coordinator {
                    return Err(ImpossibleChange::Coordinator);
                }
                self.member(to).ok_or(ImpossibleChange::NoMember)?;
                members = self.members.iter().filter(|m| m.handle != self.coordinator).cloned().collect();
                coordinator = to.clone();
            }
        }
        let number = self.number.next();
        Ok(Self {
            change,
            number,
            origin: self.origin,
            members,
            session: self.session,
            previous: hash,
            coordinator,
        })
    }

    /// The member with this handle.
    #[must_use]
    pub fn member(&self, handle: &UserHandle) -> Option<&Member> {
        self.members.iter().find(|member| member.handle == *handle)
    }

    /// The handles of all members, in their order.
    pub fn handles(&self) -> impl Iterator<Item = &UserHandle> + Clone {
        self.members.iter().map(|member| &member.handle)
    }
}
