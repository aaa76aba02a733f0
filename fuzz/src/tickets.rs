//! The judgement of tickets (chapter *Sessions*, section *Admission*): the input plants faults in a good ticket, so
//! what the judge has to say is known before it is asked.
//!
//! Each requirement has faults of its own. A ticket with several is refused for the first in the order of the text.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, Peer},
    limits::CLOCK_SKEW,
    machine::Context,
    session::{Change, Epoch, EpochHash, EpochNumber, Grant, Nonce, Origin, SessionId, Ticket, judge_ticket},
    signed::Signed,
    time::Timestamp,
};
use arbitrary::{Arbitrary, Unstructured};

use crate::symbolic::{Holder, member, peer, sign};

/// A ticket to judge, and what is wrong with it.
#[derive(Arbitrary, Debug)]
struct Plan {
    /// How many members there are beside the coordinator.
    others: u8,
    /// Which of them invites.
    issuer: u8,
    /// Which one coordinates.
    coordinator: u8,
    /// How many epochs came before.
    epoch: u64,
    /// How long the ticket is good.
    lifetime: u32,
    /// How much longer the grant is.
    grant_longer: u32,
    /// When the ticket is shown, after it was issued.
    shown_after: u64,
    faults: Vec<Fault>,
}

/// Something wrong with a ticket. None undoes another.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Fault {
    // SESS-067
    NoMemberIssued,
    SignedByAnother(u8),
    OneByteChanged { offset: u16, mask: u8 },
    Cut(u16),
    // SESS-068
    OtherSession(u8),
    // SESS-069
    OtherEpoch(u64),
    // SESS-070
    ShownByAnother,
    ShownWithAnotherKey,
    // SESS-071
    GrantSignedByAnother(u8),
    GrantOfOtherSession,
    GrantOfOtherEpoch(u64),
    GrantOfOtherChain(u8),
    GrantHeldByAnother,
    GrantForAnother,
    GrantForAnotherKey,
    GrantForNoJoin(NoJoin),
    OutlivesGrant(u32),
    // SESS-072
    ShownLate(u64),
}

/// A change that brings nobody in.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum NoJoin {
    Create,
    Leave,
    Remove,
    HandOver,
    Void,
}

/// Nobody in any session of this target.
const OUTSIDER: u8 = 90;
const NEWCOMER: u8 = 80;
const ISSUED: Timestamp = Timestamp(1_000_000);

/// Judges a ticket with the faults of the input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(plan) = Plan::arbitrary(&mut input) else { return };
    let (epoch, hash) = plan.epoch();
    let crypto = Holder(member(0).key);
    let made = plan.ticket(&epoch, hash);
    let context = Context { now: made.now, entropy: [0; 16], crypto: &crypto };
    let verdict = judge_ticket(&made.signed, &made.peer, &epoch, hash, &context);
    let verdict = verdict.map(|admission| admission.newcomer().clone());
    match made.expected {
        Expected::Admitted => assert_eq!(verdict, Ok(member(NEWCOMER)), "{plan:?}"),
        Expected::Refused(code) => assert_eq!(verdict, Err(code), "{plan:?}"),
        Expected::RefusedSomehow => assert!(verdict.is_err(), "{plan:?} lets {verdict:?} in"),
    }
}

/// What the judge has to say.
enum Expected {
    Admitted,
    Refused(ErrorCode),
    /// Bytes were changed without knowing which field they are.
    RefusedSomehow,
}

/// What the judge is shown.
struct Made {
    signed: Signed<Ticket>,
    peer: Peer,
    now: Timestamp,
    expected: Expected,
}

impl Plan {
    fn members(&self) -> u8 {
        2 + self.others % 30
    }

    fn issuer(&self) -> u8 {
        self.issuer % self.members()
    }

    fn coordinator(&self) -> u8 {
        self.coordinator % self.members()
    }

    fn epoch(&self) -> (Epoch, EpochHash) {
        let origin = Origin { key: member(0).key, nonce: Nonce([3; 16]) };
        let mut epoch = Epoch::first(SessionId([5; 32]), origin, member(0));
        epoch.members = (0..self.members()).map(member).collect();
        epoch.coordinator = member(self.coordinator()).handle;
        // The last number has no successor that could be wrong.
        epoch.number = EpochNumber(self.epoch.min(u64::MAX - 1));
        let hash = antiphon_protocol::signed::hash_epoch(&epoch);
        (epoch, hash)
    }

    fn has(&self, is: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(is)
    }

    /// Somebody else than this member, of the session or not.
    fn other_than(&self, index: u8, pick: u8) -> u8 {
        let other = pick % self.members();
        if other == index { OUTSIDER } else { other }
    }

    fn ticket(&self, epoch: &Epoch, hash: EpochHash) -> Made {
        let not_after = Timestamp(ISSUED.0 + u64::from(self.lifetime));
        let grant = self.grant(epoch, hash, not_after);
        let mut ticket = Ticket {
            key: member(NEWCOMER).key,
            epoch: epoch.number,
            grant,
            nonce: Nonce([4; 16]),
            issuer: member(self.issuer()).handle,
            session: epoch.session,
            newcomer: member(NEWCOMER).handle,
            not_after,
        };
        let (mut signer, mut peer) = (member(self.issuer()).key, peer(NEWCOMER));
        let mut now = ISSUED.0 + self.shown_after % (u64::from(self.lifetime) + CLOCK_SKEW.as_secs() + 1);
        for fault in &self.faults {
            match *fault {
                Fault::NoMemberIssued => ticket.issuer = member(OUTSIDER).handle,
                Fault::SignedByAnother(pick) => signer = member(self.other_than(self.issuer(), pick)).key,
                Fault::OtherSession(byte) => {
                    ticket.session = SessionId([if byte == 5 { 6 } else { byte }; 32])
                }
                Fault::OtherEpoch(number) if number == epoch.number.0 => ticket.epoch = epoch.number.next(),
                Fault::OtherEpoch(number) => ticket.epoch = EpochNumber(number),
                Fault::ShownByAnother => peer.handle = member(OUTSIDER).handle,
                Fault::ShownWithAnotherKey => peer.key = member(OUTSIDER).key,
                Fault::ShownLate(by) => {
                    now = not_after.after(CLOCK_SKEW).0.saturating_add(1).saturating_add(by);
                }
                Fault::OneByteChanged { .. }
                | Fault::Cut(_)
                | Fault::GrantSignedByAnother(_)
                | Fault::GrantOfOtherSession
                | Fault::GrantOfOtherEpoch(_)
                | Fault::GrantOfOtherChain(_)
                | Fault::GrantHeldByAnother
                | Fault::GrantForAnother
                | Fault::GrantForAnotherKey
                | Fault::GrantForNoJoin(_)
                | Fault::OutlivesGrant(_) => {}
            }
        }
        let good = sign(signer, &ticket);
        let bytes = self.damaged(good.as_bytes());
        let damaged = bytes != good.as_bytes();
        let expected = if damaged { Expected::RefusedSomehow } else { self.expected() };
        Made { signed: Signed::from_bytes(bytes), peer, now: Timestamp(now), expected }
    }

    fn grant(&self, epoch: &Epoch, hash: EpochHash, not_after: Timestamp) -> Signed<Grant> {
        let mut newcomer = member(NEWCOMER);
        let mut grant = Grant {
            chain: hash,
            epoch: epoch.number,
            change: Change::Join(newcomer.clone()),
            holder: member(self.issuer()).handle,
            session: epoch.session,
            not_after: not_after.after(std::time::Duration::from_secs(self.grant_longer.into())),
        };
        let (mut signer, mut no_join) = (member(self.coordinator()).key, None);
        for fault in &self.faults {
            match *fault {
                Fault::GrantSignedByAnother(pick) => {
                    signer = member(self.other_than(self.coordinator(), pick)).key
                }
                Fault::GrantOfOtherSession => grant.session = SessionId([7; 32]),
                Fault::GrantOfOtherEpoch(number) if number == epoch.number.0 => {
                    grant.epoch = epoch.number.next()
                }
                Fault::GrantOfOtherEpoch(number) => grant.epoch = EpochNumber(number),
                Fault::GrantOfOtherChain(mask) => {
                    grant.chain.0[usize::from(mask % 32)] = !hash.0[usize::from(mask % 32)]
                }
                Fault::GrantHeldByAnother => grant.holder = member(OUTSIDER).handle,
                Fault::GrantForAnother => newcomer.handle.id = ObjectHandle([OUTSIDER; 16]),
                Fault::GrantForAnotherKey => newcomer.key = KeyHash([OUTSIDER; 32]),
                Fault::GrantForNoJoin(kind) => no_join = Some(kind),
                Fault::OutlivesGrant(by) => {
                    grant.not_after = Timestamp(not_after.0.saturating_sub(u64::from(by).saturating_add(1)));
                }
                Fault::NoMemberIssued
                | Fault::SignedByAnother(_)
                | Fault::OneByteChanged { .. }
                | Fault::Cut(_)
                | Fault::OtherSession(_)
                | Fault::OtherEpoch(_)
                | Fault::ShownByAnother
                | Fault::ShownWithAnotherKey
                | Fault::ShownLate(_) => {}
            }
        }
        let who = newcomer.handle.clone();
        grant.change = match no_join {
            None => Change::Join(newcomer),
            Some(NoJoin::Create) => Change::Create(who),
            Some(NoJoin::Leave) => Change::Leave(who),
            Some(NoJoin::Remove) => Change::Remove(who),
            Some(NoJoin::HandOver) => Change::HandOver(who),
            Some(NoJoin::Void) => Change::Void(who),
        };
        sign(signer, &grant)
    }

    /// The signed bytes with the damage that the input asks for.
    fn damaged(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for fault in &self.faults {
            let length = bytes.len().max(1);
            if let Fault::Cut(to) = *fault {
                bytes.truncate(usize::from(to) % length);
            }
            if let Fault::OneByteChanged { offset, mask } = *fault
                && let Some(byte) = bytes.get_mut(usize::from(offset) % length)
            {
                *byte ^= mask;
            }
        }
        bytes
    }

    /// The code of the first requirement, in the order of the text, that the ticket breaks.
    fn expected(&self) -> Expected {
        let code = if self.has(|f| matches!(f, Fault::NoMemberIssued | Fault::SignedByAnother(_))) {
            ErrorCode::TicketIssuer
        } else if self.has(|f| matches!(f, Fault::OtherSession(_))) {
            ErrorCode::TicketSession
        } else if self.has(|f| matches!(f, Fault::OtherEpoch(_))) {
            ErrorCode::TicketEpoch
        } else if self.has(|f| matches!(f, Fault::ShownByAnother | Fault::ShownWithAnotherKey)) {
            ErrorCode::TicketPeer
        } else if self
            .has(|f| !matches!(f, Fault::ShownLate(_) | Fault::OneByteChanged { .. } | Fault::Cut(_)))
        {
            ErrorCode::TicketGrant
        } else if self.has(|f| matches!(f, Fault::ShownLate(_))) {
            ErrorCode::TicketExpired
        } else {
            return Expected::Admitted;
        };
        Expected::Refused(code)
    }
}
