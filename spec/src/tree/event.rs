//! What happens to a server in the tree, and what it does.

use serde::{Deserialize, Serialize};

use crate::{identity::ServerName, presence::LinkNumber};

/// A server in one of its starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The server.
    pub server: ServerName,
    /// Its boot number.
    pub boot: u64,
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// The speaker, who has dialled, wants to be a child.
    Attach {
        /// The speaker.
        node: Node,
    },
    /// The other is a child now.
    Attached {
        /// The speaker's path, itself first.
        path: Vec<Node>,
    },
    /// The other is not taken.
    Refused,
    /// The speaker, who is the parent, has another path.
    Path {
        /// The path, the speaker first.
        path: Vec<Node>,
    },
    /// Somewhere below, a server of another island has asked.
    Found {
        /// The server.
        server: ServerName,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A server that was looked for has been dialled; nothing was said yet.
    Dialled(LinkNumber),
    /// The other end of a link said something; the first thing on a link that was accepted is [`Said::Attach`].
    Heard(LinkNumber, Said),
    /// A link is gone, and all that was on the way. Not told of a link that this end has closed.
    LinkDown(LinkNumber),
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Say this.
    Say(LinkNumber, Said),
    /// End the link, when what was said is written.
    Close(LinkNumber),
    /// This neighbour has come: from now on it is told of feeds.
    NeighbourUp(LinkNumber, Node),
    /// This neighbour is gone.
    NeighbourDown(LinkNumber),
    /// Look for another server and dial it, after a while that the caller chooses.
    Look,
    /// Dial this server.
    Seek(ServerName),
}
