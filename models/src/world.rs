//! The state of a model: every client's machine, every link, what the users may still do, and the monitor.

use std::fmt;

use antiphon_spec::{
    identity::{Peer, UserHandle},
    message::client_client::SessionMessage,
    session::{Epoch, Membership, Session, Timer},
};

use crate::{
    attacker::Attacker,
    cast::Who,
    link::{End, Link, Side},
    monitor::Monitor,
    shared::Shared,
    words,
};

/// One client: its machine, and what its user waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// The machine, from its beginning until it has ended.
    pub(crate) session: Option<Session>,
    /// The user wants to leave, and has not been told that it is over.
    pub(crate) leaving: bool,
    /// The user has been told that it is over.
    pub(crate) over: bool,
    /// Whom the user has invited without hearing how it ended; a set of [`Who::bit`]s.
    pub(crate) inviting: u8,
    /// Timers that run, ascending; only in models in which they fire.
    pub(crate) armed: Vec<Timer>,
    /// It has waited for the removal of somebody in vain, and others have not waited as long yet; only in models with an
    /// attacker.
    pub(crate) has_waited: bool,
    /// What came for an epoch that has not begun; only in models with an attacker.
    pub(crate) early: Vec<(Peer, SessionMessage)>,
}

impl Client {
    pub(crate) fn epoch(&self) -> Option<&Epoch> {
        self.session.as_ref()?.epoch().map(AsRef::as_ref)
    }

    /// Whether it waits for the removal of somebody.
    pub(crate) fn awaits_removal(&self) -> bool {
        self.armed.iter().any(|timer| matches!(timer, Timer::Lost(_)))
    }

    /// Whether the user is asked to accept or refuse.
    pub(crate) fn is_asked(&self) -> bool {
        self.session.as_ref().is_some_and(Session::awaits_answer)
    }
}

/// What may still happen that nobody has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Invitations by users.
    pub invitations: u8,
    /// Users that leave.
    pub leaves: u8,
    /// Invitations that users refuse.
    pub refusals: u8,
    /// Chat messages.
    pub messages: u8,
    /// Timers that fire.
    pub timers: u8,
    /// Links that are cut, or that cannot be had.
    pub losses: u8,
    /// Clients that die, with all their links.
    pub crashes: u8,
}

/// One state of a model.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) clients: Vec<Shared<Client>>,
    /// Ordered by (dialler, acceptor), and the older one first where both are equal.
    pub(crate) links: Vec<Shared<Link>>,
    /// Who dials whom, ascending.
    pub(crate) dials: Vec<(Who, Who)>,
    pub(crate) budget: Budget,
    pub(crate) monitor: Shared<Monitor>,
    pub(crate) attacker: Shared<Attacker>,
    /// Whether nothing is under way and no user is asked; worked out once for each state.
    pub(crate) is_quiet: bool,
    /// Whether it is quiet, and no timer runs either.
    pub(crate) at_rest: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::world(self))
    }
}

impl World {
    pub(crate) fn new(clients: u8, budget: Budget) -> Self {
        Self {
            clients: Who::first(clients).map(|_| Shared::new(Client::default())).collect(),
            links: Vec::new(),
            dials: Vec::new(),
            budget,
            monitor: Shared::new(Monitor::default()),
            attacker: Shared::new(Attacker::default()),
            is_quiet: true,
            at_rest: true,
        }
    }

    pub(crate) fn client(&self, who: Who) -> Option<&Client> {
        self.clients.get(who.index()).map(|client| &**client)
    }

    /// All clients, each with its name.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = (Who, &Client)> {
        (0..).map(Who).zip(self.clients.iter().map(|client| &**client))
    }

    /// The clients that have a session.
    pub(crate) fn in_session(&self) -> impl Iterator<Item = (Who, &Client, &Session)> {
        self.everyone().filter_map(|(who, client)| Some((who, client, client.session.as_ref()?)))
    }

    /// The epochs that clients are members of.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        self.everyone().filter_map(|(_, client)| client.epoch())
    }

    pub(crate) fn membership(&self, who: Who) -> Option<&Membership> {
        self.client(who)?.session.as_ref()?.membership()
    }

    /// The link that the machine of `who` has to `peer`.
    pub(crate) fn attached(&self, who: Who, peer: Who) -> Option<(usize, Side)> {
        self.links.iter().enumerate().find_map(|(index, link)| {
            let side = link.side_of(who)?;
            (link.peer(side) == peer && link.end(side) == End::Attached).then_some((index, side))
        })
    }

    pub(crate) fn is_dialling(&self, from: Who, to: Who) -> bool {
        self.dials.binary_search(&(from, to)).is_ok()
    }

    /// Works out again whether anything is under way.
    pub(crate) fn settle(&mut self) {
        self.is_quiet = self.dials.is_empty()
            && self.links.iter().all(|link| link.is_at_rest())
            && !self.everyone().any(|(_, client)| client.is_asked());
        self.at_rest = self.is_quiet && self.everyone().all(|(_, client)| client.armed.is_empty());
    }
}

/// Whether the epoch names this client as a member.
pub(crate) fn names(epoch: &Epoch, who: Who) -> bool {
    epoch.handles().any(|handle: &UserHandle| Who::of(handle) == who)
}
