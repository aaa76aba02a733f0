//! How much happens at most in a model of the location service, and on which tree.

/// What the object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A user: each insertion is a login with a greater epoch, at whichever server.
    User,
    /// A thing that several servers claim, each wanting to be the first.
    Claimed,
    /// The servers, under the well-known handle.
    Servers,
}

/// How often, at most, something happens that need not; and who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The parent of each node; the root comes first.
    pub parents: &'static [Option<u8>],
    /// The node of each server.
    pub servers: &'static [u8],
    /// The nodes where a search may begin.
    pub searched: &'static [u8],
    /// What is looked for.
    pub object: Object,
    /// Insertions, those that renew aside.
    pub inserts: u8,
    /// Deletions.
    pub deletes: u8,
    /// Searches.
    pub searches: u8,
    /// Requests whose asker gives up, be they carried out or not, now or later.
    pub losses: u8,
    /// Nodes that die, each to be started again at once.
    pub crashes: u8,
    /// Halves of a lease that pass.
    pub halves: u8,
}

/// A model of the location service by its name.
#[derive(Clone, Copy, Debug)]
pub struct LocationEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

/// A root with two leaves.
const FORK: &[Option<u8>] = &[None, Some(0), Some(0)];

/// A root with a leaf and a region of two leaves.
const TREE: &[Option<u8>] = &[None, Some(0), Some(0), Some(1), Some(1)];

const NOTHING: Bounds = Bounds {
    parents: FORK,
    servers: &[1, 2],
    searched: &[1],
    object: Object::User,
    inserts: 2,
    deletes: 1,
    searches: 0,
    losses: 0,
    crashes: 0,
    halves: 0,
};

/// Every model of the location service, the smaller ones first.
pub const LOCATIONS: &[LocationEntry] = &[
    LocationEntry {
        name: "location-leases",
        about: "a root and 2 leaves; 1 login, 1 logout, 1 search at the other leaf, 1 loss, 3 halves of a lease",
        bounds: Bounds {
            servers: &[1],
            searched: &[2],
            inserts: 1,
            searches: 1,
            losses: 1,
            halves: 3,
            ..NOTHING
        },
        quick: true,
    },
    LocationEntry {
        name: "location-crash",
        about: "a root and 2 leaves; 1 login, 1 logout, 1 search at the other leaf, 1 node that dies at any instant, 3 halves of a lease",
        bounds: Bounds {
            servers: &[1],
            searched: &[2],
            inserts: 1,
            searches: 1,
            crashes: 1,
            halves: 3,
            ..NOTHING
        },
        quick: true,
    },
    LocationEntry {
        name: "location-moves",
        about: "a root and 2 leaves; 2 logins at 2 servers, 1 logout, 1 search at either leaf",
        bounds: Bounds { searches: 1, searched: &[1, 2], ..NOTHING },
        quick: true,
    },
    LocationEntry {
        name: "location-servers",
        about: "a root and 2 leaves; 2 servers under one handle at one leaf that come, 2 that go, 1 search at the other, 1 loss",
        bounds: Bounds {
            servers: &[1, 1],
            searched: &[2],
            object: Object::Servers,
            deletes: 2,
            searches: 1,
            losses: 1,
            ..NOTHING
        },
        quick: true,
    },
    LocationEntry {
        name: "location-claims",
        about: "a root and 2 leaves; 3 servers that want to be the first, 1 of which goes again, 1 loss",
        bounds: Bounds { servers: &[1, 1, 2], object: Object::Claimed, inserts: 3, losses: 1, ..NOTHING },
        quick: true,
    },
    LocationEntry {
        name: "location-moves-lost",
        about: "a root and 2 leaves; 2 logins at 2 servers, 1 logout, 1 search at either leaf, 1 loss",
        bounds: Bounds { searches: 1, searched: &[1, 2], losses: 1, ..NOTHING },
        quick: false,
    },
    LocationEntry {
        name: "location-moves-crash",
        about: "a root and 2 leaves; 2 logins at 2 servers, 1 search at either leaf, 1 node that dies at any instant, 2 halves of a lease",
        bounds: Bounds { deletes: 0, searches: 1, searched: &[1, 2], crashes: 1, halves: 2, ..NOTHING },
        quick: false,
    },
    LocationEntry {
        name: "location-tree",
        about: "a root, a leaf and a region of 2 leaves; 2 logins in the region and outside, 1 logout, 1 search at the other leaf of the region",
        bounds: Bounds { parents: TREE, servers: &[3, 2], searched: &[4], searches: 1, ..NOTHING },
        quick: false,
    },
    LocationEntry {
        name: "location-tree-faults",
        about: "a root, a leaf and a region of 2 leaves; 1 login in the region, 1 logout, 1 search outside, 1 loss, 1 node that dies, 2 halves of a lease",
        bounds: Bounds {
            parents: TREE,
            servers: &[3],
            searched: &[2],
            inserts: 1,
            searches: 1,
            losses: 1,
            crashes: 1,
            halves: 2,
            ..NOTHING
        },
        quick: false,
    },
];

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static LocationEntry> {
    LOCATIONS.iter().find(|entry| entry.name == name)
}
