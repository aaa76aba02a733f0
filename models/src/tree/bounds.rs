//! How much happens at most in a model of the tree.

/// How often, at most, something happens that need not; and who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many servers there are.
    pub servers: u8,
    /// Times that a root asks a server of its choice, itself among them.
    pub probes: u8,
    /// Servers that die, and start again.
    pub crashes: u8,
    /// Links that are lost.
    pub losses: u8,
}

/// A model of the tree by its name.
#[derive(Clone, Copy, Debug)]
pub struct TreeEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

/// Every model of the tree, the smaller ones first.
pub const TREES: &[TreeEntry] = &[
    TreeEntry {
        name: "tree-start",
        about: "3 servers that start at once; roots ask 4 times",
        bounds: Bounds { servers: 3, probes: 4, crashes: 0, losses: 0 },
        quick: true,
    },
    TreeEntry {
        name: "tree-crash",
        about: "3 servers; roots ask 4 times; 1 server that dies",
        bounds: Bounds { servers: 3, probes: 4, crashes: 1, losses: 0 },
        quick: true,
    },
    TreeEntry {
        name: "tree-losses",
        about: "3 servers; roots ask 4 times; 1 link that is lost",
        bounds: Bounds { servers: 3, probes: 4, crashes: 0, losses: 1 },
        quick: true,
    },
    TreeEntry {
        name: "tree-of-four",
        about: "4 servers; roots ask 4 times; 1 link that is lost",
        bounds: Bounds { servers: 4, probes: 4, crashes: 0, losses: 1 },
        quick: true,
    },
    TreeEntry {
        name: "tree-crashes",
        about: "3 servers; roots ask 5 times; 2 servers that die, 1 link that is lost",
        bounds: Bounds { servers: 3, probes: 5, crashes: 2, losses: 1 },
        quick: false,
    },
    TreeEntry {
        name: "tree-of-four-crash",
        about: "4 servers; roots ask 5 times; 1 server that dies",
        bounds: Bounds { servers: 4, probes: 5, crashes: 1, losses: 0 },
        quick: false,
    },
];
