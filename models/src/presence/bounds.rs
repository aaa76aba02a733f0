//! How much happens at most in a model of presence, and on which tree.

/// How often, at most, something happens that need not; and who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many servers there are.
    pub servers: u8,
    /// The links of the tree.
    pub links: &'static [(u8, u8)],
    /// The servers where the publisher may log in.
    pub published_at: &'static [u8],
    /// The servers where somebody may watch.
    pub watched_at: &'static [u8],
    /// Logins of the publisher, at any server; a login before may last meanwhile.
    pub logins: u8,
    /// Changes of what is disclosed.
    pub changes: u8,
    /// Logouts.
    pub logouts: u8,
    /// Times that somebody begins to watch.
    pub watches: u8,
    /// Times that somebody ceases to.
    pub unwatches: u8,
    /// Links that are lost, and come again.
    pub losses: u8,
    /// Servers that die, and start again.
    pub crashes: u8,
}

/// A model of presence by its name.
#[derive(Clone, Copy, Debug)]
pub struct PresenceEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

/// Three servers in a line.
const LINE: Bounds = Bounds {
    servers: 3,
    links: &[(0, 1), (1, 2)],
    published_at: &[0],
    watched_at: &[1, 2],
    logins: 1,
    changes: 1,
    logouts: 1,
    watches: 2,
    unwatches: 1,
    losses: 0,
    crashes: 0,
};

/// Every model of presence, the smaller ones first.
pub const PRESENCE: &[PresenceEntry] = &[
    PresenceEntry {
        name: "presence-line",
        about: "3 servers in a line; 2 logins at the first, 1 change, 1 logout; somebody watches at the others 2 times and ceases to 1 time",
        bounds: Bounds { logins: 2, ..LINE },
        quick: true,
    },
    PresenceEntry {
        name: "presence-pair",
        about: "2 servers; 3 logins at either, 1 change, 1 logout; somebody watches at either 2 times and ceases to 1 time",
        bounds: Bounds {
            servers: 2,
            links: &[(0, 1)],
            published_at: &[0, 1],
            watched_at: &[0, 1],
            logins: 3,
            ..LINE
        },
        quick: true,
    },
    PresenceEntry {
        name: "presence-moves",
        about: "3 servers in a line; 2 logins at either end, 1 change, 2 logouts; somebody watches anywhere 2 times",
        bounds: Bounds {
            published_at: &[0, 2],
            watched_at: &[0, 1, 2],
            logins: 2,
            logouts: 2,
            unwatches: 0,
            ..LINE
        },
        quick: true,
    },
    PresenceEntry {
        name: "presence-losses",
        about: "3 servers in a line; 1 login, 1 change; somebody watches at the others 2 times; 2 links that are lost",
        bounds: Bounds { logouts: 0, unwatches: 0, losses: 2, ..LINE },
        quick: true,
    },
    PresenceEntry {
        name: "presence-crash",
        about: "3 servers in a line; 2 logins, 1 change; somebody watches at the others 2 times; 1 server that dies",
        bounds: Bounds { logins: 2, logouts: 0, unwatches: 0, crashes: 1, ..LINE },
        quick: true,
    },
    PresenceEntry {
        name: "presence-line-longer",
        about: "3 servers in a line; 2 logins at the first, 2 changes, 2 logouts; somebody watches at the others 3 times and ceases to 2 times",
        bounds: Bounds { logins: 2, changes: 2, logouts: 2, watches: 3, unwatches: 2, ..LINE },
        quick: false,
    },
    PresenceEntry {
        name: "presence-moves-lost",
        about: "3 servers in a line; 2 logins at either end, 1 change, 1 logout; somebody watches at the last 1 time; 1 link that is lost",
        bounds: Bounds {
            published_at: &[0, 2],
            watched_at: &[2],
            logins: 2,
            watches: 1,
            unwatches: 0,
            losses: 1,
            ..LINE
        },
        quick: false,
    },
    PresenceEntry {
        name: "presence-star",
        about: "a server with 3 others; 2 logins at one of two, 1 change, 1 logout; somebody watches at two of them 2 times",
        bounds: Bounds {
            servers: 4,
            links: &[(0, 1), (0, 2), (0, 3)],
            published_at: &[1, 2],
            watched_at: &[2, 3],
            logins: 2,
            unwatches: 0,
            ..LINE
        },
        quick: false,
    },
    PresenceEntry {
        name: "presence-line-of-four",
        about: "4 servers in a line; 2 logins at the first and the third, 1 change, 1 logout; somebody watches at the second and the fourth 2 times",
        bounds: Bounds {
            servers: 4,
            links: &[(0, 1), (1, 2), (2, 3)],
            published_at: &[0, 2],
            watched_at: &[1, 3],
            logins: 2,
            unwatches: 0,
            ..LINE
        },
        quick: false,
    },
];
