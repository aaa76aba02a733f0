//! How much happens at most in a model of the tree.

/// How often, at most, something happens that need not; and who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many servers there are.
    pub servers: u8,
    /// Who is below whom at the beginning; the others are roots.
    pub start: &'static [(u8, u8)],
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
        bounds: Bounds { servers: 3, start: &[], probes: 4, crashes: 0, losses: 0 },
        quick: true,
    },
    TreeEntry {
        name: "tree-crash",
        about: "3 servers; roots ask 3 times; 1 server that dies",
        bounds: Bounds { servers: 3, start: &[], probes: 3, crashes: 1, losses: 0 },
        quick: true,
    },
    TreeEntry {
        name: "tree-loss",
        about: "3 servers; roots ask 3 times; 1 link that is lost",
        bounds: Bounds { servers: 3, start: &[], probes: 3, crashes: 0, losses: 1 },
        quick: true,
    },
    TreeEntry {
        name: "tree-of-four",
        about: "4 servers that start at once; roots ask 3 times",
        bounds: Bounds { servers: 4, start: &[], probes: 3, crashes: 0, losses: 0 },
        quick: true,
    },
    TreeEntry {
        name: "tree-circle",
        about: "4 servers, 2 of them below another one; roots ask 2 times; 1 link that is lost",
        bounds: Bounds { servers: 4, start: &[(2, 0), (3, 2)], probes: 2, crashes: 0, losses: 1 },
        quick: true,
    },
    TreeEntry {
        name: "tree-crash-longer",
        about: "3 servers; roots ask 4 times; 1 server that dies",
        bounds: Bounds { servers: 3, start: &[], probes: 4, crashes: 1, losses: 0 },
        quick: false,
    },
    TreeEntry {
        name: "tree-loss-longer",
        about: "3 servers; roots ask 4 times; 1 link that is lost",
        bounds: Bounds { servers: 3, start: &[], probes: 4, crashes: 0, losses: 1 },
        quick: false,
    },
    TreeEntry {
        name: "tree-faults",
        about: "3 servers; roots ask 3 times; 1 server that dies, 1 link that is lost",
        bounds: Bounds { servers: 3, start: &[], probes: 3, crashes: 1, losses: 1 },
        quick: false,
    },
    TreeEntry {
        name: "tree-of-four-longer",
        about: "4 servers that start at once; roots ask 4 times",
        bounds: Bounds { servers: 4, start: &[], probes: 4, crashes: 0, losses: 0 },
        quick: false,
    },
];
