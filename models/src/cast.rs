//! The people of models and simulations: clients with handles, keys and tags of their own.

use std::fmt;

use antiphon_spec::{
    identity::{KeyHash, ObjectHandle, Peer, ServerName, UserHandle},
    media_type::MediaTypes,
    session::{Member, RelayTag},
};

/// One client, by its place in the order of handles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(pub(crate) u8);

const NAMES: [&str; 34] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "karl", "laura",
    "mike", "niaj", "olivia", "peggy", "quentin", "rupert", "sybil", "trent", "ursula", "victor", "wendy",
    "xavier", "yvonne", "zoe", "adam", "beth", "cyril", "dora", "emil", "fiona", "gustav", "helen",
];

/// So many clients play at most: one could not join a session that is full, and one more can be refused.
pub(crate) const CLIENTS_MAX: u8 = 34;

impl Who {
    /// Every client of a model with so many.
    pub(crate) fn first(count: u8) -> impl Iterator<Item = Self> + Clone {
        (0..count).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The client behind a handle of [`Cast`].
    pub(crate) fn of(handle: &UserHandle) -> Self {
        let [first, ..] = handle.id.0;
        Self(first)
    }

    /// The client's bit in a set.
    pub(crate) fn bit(self) -> u8 {
        1 << self.0
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.get(self.index()).copied().unwrap_or("nobody"))
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who plays in a model.
#[derive(Clone, Debug)]
pub(crate) struct Cast(Vec<Member>);

impl Cast {
    /// The first `count` clients, at most as many as there are names.
    pub(crate) fn new(count: u8) -> Self {
        Self(Who::first(count).filter_map(Self::member_of).collect())
    }

    fn member_of(who: Who) -> Option<Member> {
        let home: ServerName = "a.example".parse().ok()?;
        Some(Member {
            key: KeyHash([who.0; 32]),
            relay: RelayTag([who.0; 16]),
            handle: UserHandle { id: ObjectHandle([who.0; 16]), home },
            accepts: MediaTypes::default(),
        })
    }

    #[cfg(feature = "export")]
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    pub(crate) fn member(&self, who: Who) -> Option<&Member> {
        self.0.get(who.index())
    }

    pub(crate) fn peer(&self, who: Who) -> Option<Peer> {
        self.member(who).map(|member| Peer { handle: member.handle.clone(), key: member.key })
    }
}
