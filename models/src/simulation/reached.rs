//! The places that runs have reached, so that runs without a fault say something.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use antiphon_spec::{
    error_code::ErrorCode,
    limits::SESSION_MEMBERS_MAX,
    session::{Change, EndReason, Notice},
};

use super::client::Past;

/// Something worth reaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Join,
    FullSession,
    ComeBack,
    ComeBackFromDeath,
    Leave,
    TakeOver,
    Fork,
    HandOver,
    Removal,
    Void,
    CrossingInvitations,
    InvitationRefused,
    InvitationRejected,
    /// An invitation came to nothing.
    InvitationFailed(ErrorCode),
    MessageDelivered,
    MessageAcknowledged,
    MessagePending,
    MessageFailed,
    MessageUnsent,
    MessageForNextEpoch,
    MessageLate,
    SayNotPossible,
    Crash,
    CoordinatorCrashed,
    NewcomerCrashed,
    Restart,
    Partition,
    LinkBroken,
    Stall,
    DialFailed,
    LinkGaveWay,
    /// A link was closed with a code.
    LinkRefused(ErrorCode),
    /// The session ended for somebody.
    Ended(EndReason),
    SessionAtTheEnd,
    TwoPartsAtTheEnd,
}

/// What some hundreds of runs reach.
pub(crate) const EXPECTED: &[Place] = &[
    Place::Join,
    Place::FullSession,
    Place::ComeBack,
    Place::ComeBackFromDeath,
    Place::Leave,
    Place::HandOver,
    Place::Removal,
    Place::TakeOver,
    Place::Void,
    Place::CrossingInvitations,
    Place::InvitationRefused,
    Place::InvitationRejected,
    Place::InvitationFailed(ErrorCode::Unavailable),
    Place::InvitationFailed(ErrorCode::AlreadyMember),
    Place::InvitationFailed(ErrorCode::Deadline),
    Place::InvitationFailed(ErrorCode::SessionFull),
    Place::InvitationFailed(ErrorCode::Forbidden),
    Place::MessageDelivered,
    Place::MessageAcknowledged,
    Place::MessagePending,
    Place::MessageFailed,
    Place::MessageUnsent,
    Place::MessageForNextEpoch,
    Place::MessageLate,
    Place::SayNotPossible,
    Place::Crash,
    Place::CoordinatorCrashed,
    Place::NewcomerCrashed,
    Place::Restart,
    Place::Partition,
    Place::LinkBroken,
    Place::Stall,
    Place::DialFailed,
    Place::LinkGaveWay,
    Place::LinkRefused(ErrorCode::Deadline),
    Place::LinkRefused(ErrorCode::TicketEpoch),
    Place::Ended(EndReason::Left),
    Place::Ended(EndReason::InvitationOver),
    Place::Ended(EndReason::JoinFailed),
    Place::Ended(EndReason::MemberLost),
    Place::SessionAtTheEnd,
    Place::TwoPartsAtTheEnd,
];

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join => "somebody joined",
            Self::FullSession => "the session was full",
            Self::ComeBack => "a former member joined again",
            Self::ComeBackFromDeath => "a member that had died joined again, as a stranger",
            Self::Leave => "somebody left",
            Self::TakeOver => "somebody took over from a lost coordinator",
            Self::Fork => "a fork was noticed",
            Self::HandOver => "the coordinator handed over",
            Self::Removal => "the coordinator removed a member",
            Self::Void => "a granted join came to nothing",
            Self::CrossingInvitations => "two members invited one person",
            Self::InvitationRefused => "a user refused",
            Self::InvitationRejected => "an inviter heard that its invitee does not come",
            Self::InvitationFailed(code) => return write!(f, "an invitation failed: {code}"),
            Self::MessageDelivered => "a message was delivered",
            Self::MessageAcknowledged => "a message was acknowledged",
            Self::MessagePending => "a message had to wait",
            Self::MessageFailed => "a message failed for a member",
            Self::MessageUnsent => "a message was never sent",
            Self::MessageForNextEpoch => "a message came before its epoch",
            Self::MessageLate => "a message came too late",
            Self::SayNotPossible => "a user said too much",
            Self::Crash => "a client died",
            Self::CoordinatorCrashed => "a coordinator of others died",
            Self::NewcomerCrashed => "a client died on its way in",
            Self::Restart => "a client that had died ran again",
            Self::Partition => "the network fell apart",
            Self::LinkBroken => "a single link broke",
            Self::Stall => "a client stalled",
            Self::DialFailed => "a dial failed",
            Self::LinkGaveWay => "a link gave way to a newer one",
            Self::LinkRefused(code) => return write!(f, "a link was closed: {code}"),
            Self::Ended(reason) => return write!(f, "the session ended for somebody: {reason:?}"),
            Self::SessionAtTheEnd => "several were together at the end",
            Self::TwoPartsAtTheEnd => "two parts of a session went on",
        })
    }
}

/// The places of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached(BTreeSet<Place>);

impl Reached {
    pub(crate) fn add(&mut self, place: Place) {
        self.0.insert(place);
    }

    /// A client with this past began its first epoch.
    pub(crate) fn came_in(&mut self, past: Past) {
        match past {
            Past::Stranger => {}
            Past::Member => self.add(Place::ComeBack),
            Past::Dead => self.add(Place::ComeBackFromDeath),
        }
    }

    pub(crate) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Invited { .. } | Notice::MessageSent { .. } | Notice::MemberLost(_) => {}
            Notice::ForkNoticed(_) => self.add(Place::Fork),
            Notice::MessagePending { .. } => self.add(Place::MessagePending),
            Notice::MessageFailed { .. } => self.add(Place::MessageFailed),
            Notice::MessageUnsent { .. } => self.add(Place::MessageUnsent),
            Notice::NotPossible(ErrorCode::LimitReached) => self.add(Place::SayNotPossible),
            Notice::NotPossible(_) => {}
            Notice::InvitationRejected { .. } => self.add(Place::InvitationRejected),
            Notice::InvitationFailed { code, .. } => self.add(Place::InvitationFailed(*code)),
            Notice::MessageReceived { .. } => self.add(Place::MessageDelivered),
            Notice::MessageDelivered { .. } => self.add(Place::MessageAcknowledged),
            Notice::Ended(reason) => self.add(Place::Ended(*reason)),
            Notice::EpochBegan(epoch) => {
                if epoch.members.len() == SESSION_MEMBERS_MAX {
                    self.add(Place::FullSession);
                }
                match epoch.change {
                    Change::Create(_) => {}
                    Change::Join(_) => self.add(Place::Join),
                    Change::Leave(_) => self.add(Place::Leave),
                    Change::Remove(_) => self.add(Place::Removal),
                    Change::HandOver(_) => self.add(Place::HandOver),
                    Change::Void(_) => self.add(Place::Void),
                    Change::TakeOver(_) => self.add(Place::TakeOver),
                }
            }
        }
    }
}

/// How many runs have reached each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<Place, u64>);

impl Tally {
    pub(crate) fn add(&mut self, reached: &Reached) {
        for place in &reached.0 {
            *self.0.entry(*place).or_default() += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (place, runs) in &other.0 {
            *self.0.entry(*place).or_default() += runs;
        }
    }

    /// What should have been reached and was not.
    pub(crate) fn missed(&self) -> impl Iterator<Item = Place> {
        EXPECTED.iter().copied().filter(|place| !self.0.contains_key(place))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: BTreeSet<Place> = self.0.keys().chain(EXPECTED).copied().collect();
        places.into_iter().try_for_each(|place| {
            let runs = self.0.get(&place).copied().unwrap_or(0);
            writeln!(f, "  {runs:>9}  {place}")
        })
    }
}
