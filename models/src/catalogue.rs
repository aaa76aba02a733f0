//! The models by name, with their bounds.

use antiphon_spec::error_code::ErrorCode;

use crate::{
    attacker::{Attack, Start},
    scenario::{Dialling, Scenario},
    world::Budget,
};

/// A model, ready to be built.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub scenario: Scenario,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

const NOTHING: Budget =
    Budget { invitations: 0, leaves: 0, refusals: 0, messages: 0, timers: 0, losses: 0, crashes: 0 };

/// The codes with which an attacker is refused that is outside.
const OUTSIDER: &[ErrorCode] = &[
    ErrorCode::AlreadyMember,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::Malformed,
    ErrorCode::NoSuchSession,
    ErrorCode::SessionIdForged,
    ErrorCode::TicketEpoch,
    ErrorCode::TicketIssuer,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused that is a member.
const MEMBER: &[ErrorCode] = &[
    ErrorCode::AlreadyMember,
    ErrorCode::EpochImpossible,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::NoSuchSession,
    ErrorCode::TicketEpoch,
    ErrorCode::TicketGrant,
    ErrorCode::TicketIssuer,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused that is a member with the token for its accomplice.
const HOLDER: &[ErrorCode] = &[
    ErrorCode::AlreadyMember,
    ErrorCode::EpochImpossible,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::NoSuchSession,
    ErrorCode::TicketEpoch,
    ErrorCode::TicketExpired,
    ErrorCode::TicketGrant,
    ErrorCode::TicketIssuer,
    ErrorCode::TicketPeer,
    ErrorCode::TicketSession,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused that is a member and has a guest.
const GUEST: &[ErrorCode] = &[
    ErrorCode::AlreadyMember,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::TicketEpoch,
    ErrorCode::TicketGrant,
    ErrorCode::TicketIssuer,
    ErrorCode::TicketPeer,
    ErrorCode::TicketSession,
];
/// The codes with which an attacker is refused that is a member with the token for somebody honest.
const INVITER: &[ErrorCode] = &[
    ErrorCode::EpochImpossible,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::Malformed,
    ErrorCode::SessionIdForged,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused that is welcome.
const NEWCOMER: &[ErrorCode] = &[
    ErrorCode::Fork,
    ErrorCode::NoSuchSession,
    ErrorCode::TicketEpoch,
    ErrorCode::TicketIssuer,
    ErrorCode::TicketPeer,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused that is the coordinator.
const COORDINATOR: &[ErrorCode] = &[
    ErrorCode::EpochImpossible,
    ErrorCode::Forbidden,
    ErrorCode::Fork,
    ErrorCode::GrantRefused,
    ErrorCode::UnexpectedMessage,
];
/// The codes with which an attacker is refused where the coordinator is lost.
const SUCCESSOR: &[ErrorCode] =
    &[ErrorCode::CommitRefused, ErrorCode::Forbidden, ErrorCode::Fork, ErrorCode::UnexpectedMessage];

/// Every model, the smaller ones first; those with an attacker at the end.
pub const ALL: &[Entry] = &[
    Entry {
        name: "session-begin",
        about: "1 member, 2 newcomers, 2 invitations, 1 leave; dials take their time",
        scenario: Scenario {
            members: 1,
            creator: 0,
            newcomers: 2,
            budget: Budget { invitations: 2, leaves: 1, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-leaves",
        about: "3 members, all of whom leave",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 0,
            budget: Budget { leaves: 3, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-hand-overs",
        about: "4 members, the last of whom created the session; 2 leave, so that hand-overs may overtake each other",
        scenario: Scenario {
            members: 4,
            creator: 3,
            newcomers: 0,
            budget: Budget { leaves: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-small",
        about: "2 members, 1 newcomer, 2 invitations, 2 leaves, 1 refusal; dials take their time",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 2, leaves: 2, refusals: 1, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-returns",
        about: "2 members, 1 newcomer, 3 invitations, 2 leaves; who left may be invited again",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 3, leaves: 2, ..NOTHING },
            dialling: Dialling::Later,
            returns: true,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-messages",
        about: "2 members, 1 newcomer, 1 invitation, 1 leave, 2 messages",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, messages: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-messages-leave",
        about: "3 members, 1 leave, 2 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 0,
            budget: Budget { leaves: 1, messages: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-messages-lost",
        about: "3 members, 2 messages, 1 leave, 1 link that breaks, 1 client that dies",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 0,
            budget: Budget { leaves: 1, messages: 2, losses: 1, crashes: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-join",
        about: "3 members, 1 newcomer, 1 invitation, 1 leave",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-timers",
        about: "2 members, 1 newcomer, 1 invitation, 1 leave, 1 timer that fires at any time",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, timers: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-losses",
        about: "3 members, 1 newcomer, 1 invitation, 1 leave, 1 link that breaks or cannot be had",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, losses: 1, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-losses-two",
        about: "3 members, 1 leave, 2 links that break",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 0,
            budget: Budget { leaves: 1, losses: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-crash",
        about: "3 members, 1 newcomer, 1 invitation, 1 leave, 1 client that dies; dials take their time",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, crashes: 1, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-crash-handover",
        about: "4 members, the last of whom created the session; 1 leaves, 1 client dies",
        scenario: Scenario {
            members: 4,
            creator: 3,
            newcomers: 0,
            budget: Budget { leaves: 1, crashes: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-crash-join",
        about: "2 members, 1 newcomer, 1 invitation, 1 client that dies",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, crashes: 1, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-crashes",
        about: "4 members, 2 clients that die",
        scenario: Scenario {
            members: 4,
            creator: 0,
            newcomers: 0,
            budget: Budget { crashes: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: true,
    },
    Entry {
        name: "session-crashes-join",
        about: "3 members, 1 newcomer, 1 invitation, 2 clients that die",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, crashes: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-crashes-leaves",
        about: "4 members, 2 leave, 2 clients that die",
        scenario: Scenario {
            members: 4,
            creator: 0,
            newcomers: 0,
            budget: Budget { leaves: 2, crashes: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-crash-return",
        about: "2 members, 1 newcomer, 2 invitations, 1 leave, 1 client that dies; who left or died may be invited again",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 2, leaves: 1, crashes: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: true,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-partition",
        about: "4 members, 4 links that break, so that the session may fall into two pairs",
        scenario: Scenario {
            members: 4,
            creator: 0,
            newcomers: 0,
            budget: Budget { losses: 4, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-faults",
        about: "3 members, 1 newcomer, 1 invitation, 1 leave, 1 link that breaks, 1 timer that fires at any time",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, leaves: 1, timers: 1, losses: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-returns-three",
        about: "3 members, 1 newcomer, 2 invitations, 2 leaves; who left may be invited again",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 2, leaves: 2, ..NOTHING },
            dialling: Dialling::Later,
            returns: true,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session",
        about: "3 members, 2 newcomers, 2 invitations, 2 leaves: anybody may invite, anybody may leave",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 2,
            budget: Budget { invitations: 2, leaves: 2, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "session-late",
        about: "3 members, 2 newcomers, 2 invitations, 2 leaves; dials take their time",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 2,
            budget: Budget { invitations: 2, leaves: 2, ..NOTHING },
            dialling: Dialling::Later,
            returns: false,
            attack: None,
        },
        quick: false,
    },
    Entry {
        name: "attack-refused",
        about: "2 members, 1 newcomer; the attacker was invited once and did not come, 3 messages",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 2,
            budget: Budget { invitations: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Refused, sends: 3, refusals: OUTSIDER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-left",
        about: "2 members, 1 newcomer, 1 invitation; the attacker has left, 3 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Left, sends: 3, refusals: OUTSIDER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-removed",
        about: "2 members, 1 newcomer, 1 invitation; the attacker was removed, 3 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { invitations: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Removed, sends: 3, refusals: OUTSIDER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-member",
        about: "2 members and the attacker, who is one too and has an accomplice outside, 2 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 3], start: Start::Member, sends: 2, refusals: MEMBER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-join",
        about: "2 members, 1 newcomer, 1 invitation; the attacker is a member and has an accomplice outside, 2 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 2,
            budget: Budget { invitations: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 3], start: Start::Member, sends: 2, refusals: MEMBER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-guest",
        about: "2 members; the attacker is a member, and its accomplice is somebody else's welcome guest, 2 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: NOTHING,
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 3], start: Start::Guest, sends: 2, refusals: GUEST }),
        },
        quick: true,
    },
    Entry {
        name: "attack-holder",
        about: "2 members and the attacker, who holds the token for its accomplice, 3 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 1,
            budget: Budget { ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 3], start: Start::Holder, sends: 3, refusals: HOLDER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-inviter",
        about: "2 members, 1 newcomer; the attacker is a member, holds the token for the newcomer, and has an accomplice, 2 messages",
        scenario: Scenario {
            members: 3,
            creator: 0,
            newcomers: 2,
            budget: Budget { ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 4], start: Start::Inviter, sends: 2, refusals: INVITER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-newcomer",
        about: "2 members; the attacker is welcome, 3 messages",
        scenario: Scenario {
            members: 2,
            creator: 0,
            newcomers: 1,
            budget: Budget { ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Newcomer, sends: 3, refusals: NEWCOMER }),
        },
        quick: true,
    },
    Entry {
        name: "attack-coordinator",
        about: "2 members; the attacker coordinates, 4 messages; 1 message",
        scenario: Scenario {
            members: 3,
            creator: 2,
            newcomers: 0,
            budget: Budget { messages: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Coordinator, sends: 4, refusals: COORDINATOR }),
        },
        quick: true,
    },
    Entry {
        name: "attack-coordinator-joins",
        about: "2 members, 1 newcomer, 1 invitation; the attacker coordinates, 3 messages",
        scenario: Scenario {
            members: 3,
            creator: 2,
            newcomers: 1,
            budget: Budget { invitations: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2], start: Start::Coordinator, sends: 3, refusals: COORDINATOR }),
        },
        quick: true,
    },
    Entry {
        name: "attack-successor",
        about: "2 members and a coordinator that may die; the attacker would succeed it, 2 messages",
        scenario: Scenario {
            members: 4,
            creator: 3,
            newcomers: 0,
            budget: Budget { crashes: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[0], start: Start::Member, sends: 2, refusals: SUCCESSOR }),
        },
        quick: true,
    },
    Entry {
        name: "attack-succession",
        about: "2 members and a coordinator that may die; the attacker would follow one of them, 2 messages",
        scenario: Scenario {
            members: 4,
            creator: 3,
            newcomers: 0,
            budget: Budget { crashes: 1, ..NOTHING },
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[1], start: Start::Member, sends: 2, refusals: SUCCESSOR }),
        },
        quick: true,
    },
    Entry {
        name: "attack-equivocating-coordinator",
        about: "2 members; the attacker coordinates and has an accomplice who is a member too, 3 messages",
        scenario: Scenario {
            members: 4,
            creator: 3,
            newcomers: 0,
            budget: NOTHING,
            dialling: Dialling::AtOnce,
            returns: false,
            attack: Some(Attack { users: &[2, 3], start: Start::Coordinator, sends: 3, refusals: SUCCESSOR }),
        },
        quick: true,
    },
];

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
