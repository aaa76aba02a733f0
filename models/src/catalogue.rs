//! The models by name, with their bounds.

use crate::{
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

/// Every model, the smaller ones first.
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
        },
        quick: false,
    },
];

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
