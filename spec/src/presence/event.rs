//! What happens to a feed at a server, and what the server does.

use serde::{Deserialize, Serialize};

use crate::message::server_server::LoginEpoch;

/// A link to a neighbour in the tree, as the caller numbers them: no two links of a process have one number, also not one
/// after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkNumber(pub u32);

/// Which publication of a feed it is: the greater, the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The publisher's login.
    pub epoch: LoginEpoch,
    /// Counts the feed's publications in that login.
    pub sequence: u64,
}

/// What servers say to each other about a feed. Each message belongs to an announcement, which the server that speaks has
/// numbered if it is one that has the feed, and which the server that listens has been told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said<S, P> {
    /// There is this publication. The first of an announcement makes it.
    Publish {
        /// The announcement.
        announcement: u64,
        /// How many links it has passed, this one included.
        hops: u64,
        /// Which publication.
        version: Version,
        /// The proof that there is one of this version.
        proof: S,
        /// What it says.
        publication: P,
    },
    /// There is a publication, which is told on request. The first of an announcement makes it.
    Offer {
        /// The announcement.
        announcement: u64,
        /// How many links it has passed, this one included.
        hops: u64,
        /// Which publication.
        version: Version,
        /// The proof that there is one of this version.
        proof: S,
    },
    /// The speaker has the feed no more. The last of an announcement.
    Withdraw {
        /// The announcement.
        announcement: u64,
    },
    /// The speaker wants no publications of the other's announcement.
    Prune {
        /// The announcement.
        announcement: u64,
    },
    /// The speaker wants them, the present one first.
    Unprune {
        /// The announcement.
        announcement: u64,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<S, P> {
    /// The publisher, who is logged in here, discloses this.
    Publish {
        /// Which publication it is.
        version: Version,
        /// The proof that there is one of this version.
        proof: S,
        /// What it says.
        publication: P,
    },
    /// The publisher is logged in here no more, or discloses nothing.
    Withdraw,
    /// Somebody here watches the feed.
    Watch,
    /// Nobody does any more.
    Unwatch,
    /// A neighbour has come; [`Terms::links`] names it.
    LinkUp(LinkNumber),
    /// A neighbour is gone, and with it all that was on the way; [`Terms::links`] names it no more.
    LinkDown(LinkNumber),
    /// A neighbour said something. Its proof, and its publication, have been verified.
    Heard(LinkNumber, Said<S, P>),
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<S, P> {
    /// Say this to the neighbour.
    Say(LinkNumber, Said<S, P>),
    /// Tell those who watch the feed.
    Show {
        /// Which publication it is.
        version: Version,
        /// What it says.
        publication: P,
    },
    /// Tell them that there is nothing: the publisher is offline for them.
    Hide,
}

/// What comes with every event.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The neighbours that there are.
    pub links: &'a [LinkNumber],
    /// A number for an announcement, greater than all that the process has been given before.
    pub announcement: u64,
    /// Whether the server has room for one more feed that nobody here watches.
    pub has_room: bool,
}
