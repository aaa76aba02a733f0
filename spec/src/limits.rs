//! Every bound of the protocol, each a named constant with the reason for its value (chapter *Limits*).
//!
//! What an operator may tighten is a setting of the implementation; what both ends must agree on stands here.

use std::time::Duration;

/// Most members of a session: a full mesh of 32 has 496 links, and a welcome with 32 members fits a frame.
pub const SESSION_MEMBERS_MAX: usize = 32;

/// Most bytes in the content of one chat message: a long page of text.
pub const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// Most bytes in a media type: what RFC 6838, section 4.2, allows for type and subtype together.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Most media types, besides plain text, that a member lists.
pub const MEDIA_TYPES_MAX: usize = 16;

/// Most bytes in all media types that a member lists: a welcome with the lists of 31 members still fits a frame.
pub const MEDIA_TYPES_BYTES_MAX: usize = 384;

/// Most chat messages of one sender that its peers have not all acknowledged; further ones wait at the sender.
pub const UNACKNOWLEDGED_MAX: usize = 64;

/// Most chat messages that a member keeps while an epoch closes or the window is full.
pub const OUTBOX_MAX: usize = 256;

/// Most messages of the next epoch that a member holds from one peer: a full window, all requests told again, and the
/// orders of a coordinator.
pub const HELD_PER_PEER_MAX: usize = UNACKNOWLEDGED_MAX + REQUESTS_PER_MEMBER_MAX + 8;

/// Most requests of one member that the coordinator queues: its leave, and as many invitations as a session has room for.
pub const REQUESTS_PER_MEMBER_MAX: usize = SESSION_MEMBERS_MAX + 1;

/// Most invitations of one member that wait for an answer, in one session.
pub const INVITATIONS_MAX: usize = SESSION_MEMBERS_MAX;

/// How long an invitation waits for the user's answer.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(120);

/// How long the holder of the token has to bring its newcomer in; the lease of the grant.
pub const GRANT_LEASE: Duration = Duration::from_secs(30);

/// How long a coordinator waits for a member to close an epoch before it counts the member as lost.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// How long a member waits for messages that a commit counts before it takes their sender for lost: shorter than
/// [`CLOSE_DEADLINE`], so that it has begun the epoch before anybody takes it for lost itself.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

/// How long a message waits for a member's acknowledgement before its sender takes the member for lost: time enough for a
/// program that shows messages to a user who has stopped it for a while.
pub const ACKNOWLEDGEMENT_DEADLINE: Duration = Duration::from_secs(120);

/// How long a member that left keeps its links open for the others to close.
pub const LINGER: Duration = Duration::from_secs(5);

/// How long a member waits for the coordinator to remove a member whose link it lost, or for a successor to take over:
/// ends of links that fell silent are noticed up to half a minute apart, and an epoch takes [`CLOSE_DEADLINE`] to close.
pub const LOST_MEMBER_DEADLINE: Duration = Duration::from_secs(60);

/// The same for the one of two members that has the lesser handle: long enough for the other one to end first, however
/// late it notices, and to be removed.
pub const LOST_MEMBER_DEADLINE_OF_LESSER: Duration = Duration::from_secs(150);

/// How far two honest clocks may be apart when a ticket's end is judged.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Most bytes of a frame on the client-to-server channel: a profile with full lists fits.
pub const FRAME_BYTES_MAX_CLIENT_SERVER: usize = 64 * 1024;

/// Most bytes of a frame between servers and to directory nodes.
pub const FRAME_BYTES_MAX_SERVER: usize = 64 * 1024;

/// Most bytes of a frame between clients: the largest content, or a welcome with the most members.
pub const FRAME_BYTES_MAX_CLIENT_CLIENT: usize = 32 * 1024;

/// Most bytes of a frame on the registration channel: a key, a proof, and a chain of two certificates.
pub const FRAME_BYTES_MAX_REGISTRATION: usize = 8 * 1024;

/// Most characters of a registration code: 256 bits as hexadecimal digits.
pub const REGISTRATION_CODE_BYTES_MAX: usize = 64;

/// Deepest nesting of a CBOR item.
pub const CBOR_DEPTH_MAX: usize = 16;

/// Most handles on each list of the preferences: both full lists fit a frame.
pub const PREFERENCE_LIST_MAX: usize = 200;

/// Most contact addresses that a lookup answers with.
pub const CONTACT_RECORDS_MAX: usize = 32;

/// How long a login epoch stands unless its holder renews it: as long as the contact record of the login.
pub const LOGIN_LEASE: Duration = Duration::from_secs(300);

/// How long an entry of the location service lives unless it is renewed.
pub const LOCATION_LEASE: Duration = Duration::from_secs(300);

/// Most nodes that pass a search on: a tree of 16 levels, up and down; a circle of parents ends there, too.
pub const LOCATION_HOPS_MAX: u64 = 32;

/// Most children that one search asks at a node: as many as an answer has records.
pub const LOCATION_CHILDREN_ASKED_MAX: usize = 32;

/// Most requests that wait at a node under one handle; the well-known handle has one of every server now and then.
pub const LOCATION_REQUESTS_MAX: usize = 1024;

/// How long an end waits for the greeting or for the first message of its peer.
pub const GREETING_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may be silent before its ends ask for a sign of life.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a requester waits for an answer.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(20);

/// Longest time for which a kept link is without a connection, which makes the ends of a link be noticed that much later.
pub const LINK_PATIENCE_MAX: Duration = Duration::from_secs(15);

/// How long a client waits between two attempts to resume a link.
pub const LINK_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How many counted messages of a kept link come at most before the receiver says that it has them.
pub const LINK_HAVE_INTERVAL: u64 = 32;

/// Most messages that a client keeps for one link: what waits in a queue, and what is under way.
pub const LINK_KEPT_MAX: usize = 256;

/// How long the sender of an instant message waits until it tells its user that it could not be delivered: a lookup, and
/// two dials.
pub const INSTANT_DEADLINE: Duration = Duration::from_secs(30);

/// How long a receiver knows an instant message again: longer than any sender tries.
pub const INSTANT_MEMORY: Duration = Duration::from_secs(120);

/// How often a sender dials for one instant message.
pub const INSTANT_DIALS_MAX: usize = 2;

/// Most instant messages of one sender that a receiver takes within [`INSTANT_MEMORY`]: a conversation is a session.
pub const INSTANTS_PER_SENDER_MAX: usize = 16;

/// Most instant messages that a receiver takes within [`INSTANT_MEMORY`], whoever sends them.
pub const INSTANTS_REMEMBERED_MAX: usize = 1024;

/// Longest life of a user's certificate.
pub const USER_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an invitee that accepted waits for its welcome: other joins may come first.
pub const WELCOME_DEADLINE: Duration = Duration::from_secs(120);

/// How long a newcomer takes to be admitted by all; shorter than [`GRANT_LEASE`], so that it gives up first.
pub const JOIN_DEADLINE: Duration = Duration::from_secs(25);

/// Most relay tags that a user's client expects at its server: a session has one, and a client serves 128 and more.
pub const RELAY_TAGS_MAX: usize = 256;

/// Most relayed links of a user that its server carries: four full sessions.
pub const RELAY_LINKS_MAX: usize = 128;

/// Most bytes that are on their way through a relayed link in one direction: what a server keeps of a link at most. With
/// [`RELAY_LINKS_MAX`] links, no user makes a server keep more than 4 MiB for it.
pub const RELAY_WINDOW_BYTES: usize = 32 * 1024;

/// Most bytes of one `relay-data`: a TLS record's worth, so that links take turns quickly.
pub const RELAY_DATA_BYTES_MAX: usize = 16 * 1024;

/// How long a relayed link may take to be opened.
pub const RELAY_OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// From beat to beat at which a search for a user is refused, counted from the request: longer than a search takes whose
/// servers answer, and short enough for somebody who waits.
pub const REFUSAL_BEAT: Duration = Duration::from_millis(250);

/// Most newcomers' tickets that a member holds because they came before the commit of their epoch.
pub const HELD_TICKETS_MAX: usize = 4;

/// Most nodes on the path of a server in the tree.
pub const TREE_PATH_MAX: usize = 32;

/// Most children of a server in the tree.
pub const TREE_CHILDREN_MAX: usize = 64;

/// Most links that a publication passes, one after the other: far more than the way through any tree of servers, so that
/// only what goes round in a circle is stopped.
pub const PRESENCE_HOPS_MAX: u64 = 64;
