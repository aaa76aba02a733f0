//! How much happens at most in a model of logins.

/// How often, at most, something happens that need not; and who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Servers other than the home server where the user may log in.
    pub away: u8,
    /// Whether the user may log in at the home server, too.
    pub at_home: bool,
    /// Clients that ask to log in.
    pub logins: u8,
    /// Changes of the preferences.
    pub changes: u8,
    /// Logouts.
    pub logouts: u8,
    /// Clients that die without a word.
    pub deaths: u8,
    /// Requests, answers and notices that are lost.
    pub losses: u8,
    /// Servers that die, each to be started again.
    pub crashes: u8,
    /// Halves of a lease that pass.
    pub halves: u8,
}

/// A model of logins by its name.
#[derive(Clone, Copy, Debug)]
pub struct ProfileEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

const NOTHING: Bounds = Bounds {
    away: 2,
    at_home: false,
    logins: 2,
    changes: 0,
    logouts: 0,
    deaths: 0,
    losses: 0,
    crashes: 0,
    halves: 0,
};

/// Every model of logins, the smaller ones first.
pub const PROFILES: &[ProfileEntry] = &[
    ProfileEntry {
        name: "logins",
        about: "3 logins at the home server and another one, 1 change, 1 logout, 1 client that dies",
        bounds: Bounds { away: 1, at_home: true, logins: 3, changes: 1, logouts: 1, deaths: 1, ..NOTHING },
        quick: true,
    },
    ProfileEntry {
        name: "logins-leases",
        about: "2 logins at 2 servers, 1 logout, 1 loss, 3 halves of a lease",
        bounds: Bounds { logouts: 1, losses: 1, halves: 3, ..NOTHING },
        quick: true,
    },
    ProfileEntry {
        name: "logins-crash",
        about: "2 logins at 2 servers, 1 change, 1 server that dies at any instant, 3 halves of a lease",
        bounds: Bounds { changes: 1, crashes: 1, halves: 3, ..NOTHING },
        quick: true,
    },
    ProfileEntry {
        name: "logins-changes",
        about: "2 logins at 2 servers, 3 changes, 2 losses",
        bounds: Bounds { changes: 3, losses: 2, ..NOTHING },
        quick: true,
    },
    ProfileEntry {
        name: "logins-faults",
        about: "2 logins at the home server and another one, 2 changes, 1 logout, 1 loss, 1 server that dies, 4 halves of a lease",
        bounds: Bounds {
            away: 1,
            at_home: true,
            changes: 2,
            logouts: 1,
            losses: 1,
            crashes: 1,
            halves: 4,
            ..NOTHING
        },
        quick: false,
    },
    ProfileEntry {
        name: "logins-three",
        about: "3 logins at 3 servers, 1 of them the home server, 1 loss, 2 halves of a lease",
        bounds: Bounds { at_home: true, logins: 3, losses: 1, halves: 2, ..NOTHING },
        quick: false,
    },
];

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ProfileEntry> {
    PROFILES.iter().find(|entry| entry.name == name)
}
