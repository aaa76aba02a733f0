//! A client: its machine, its links, its timers, and what its user waits for.

use std::collections::BTreeMap;

use antiphon_spec::session::{Epoch, LocalNumber, Session, Timer};

use super::{clock::Instant, network::LinkId};
use crate::cast::Who;

#[derive(Debug, Default)]
pub(crate) struct Client {
    /// The client has died, and does not run.
    pub(crate) is_dead: bool,
    /// The machine, from its beginning until it has ended.
    pub(crate) session: Option<Session>,
    /// Counts the machines: what is meant for an earlier one is for nobody.
    pub(crate) stay: u32,
    /// The machine's link to each peer.
    pub(crate) links: BTreeMap<Who, LinkId>,
    /// Dials under way, each with its number.
    pub(crate) dials: BTreeMap<Who, u32>,
    /// Timers that run, each with the number of the time that it was armed.
    pub(crate) timers: BTreeMap<Timer, u32>,
    /// Numbers dials and timers.
    pub(crate) count: u32,
    /// Whether the client was a member with an earlier machine, and how that ended.
    pub(crate) past: Past,
    /// Until when the client does nothing.
    pub(crate) stalled_until: Instant,
    pub(crate) user: User,
}

/// What a client was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Past {
    /// Never a member.
    #[default]
    Stranger,
    /// A member that was told of its end.
    Member,
    /// A member that died.
    Dead,
}

/// What a user has asked for and not heard of.
#[derive(Debug, Default)]
pub(crate) struct User {
    /// Wants to leave.
    pub(crate) is_leaving: bool,
    /// Has been told that the session is over.
    pub(crate) is_over: bool,
    /// Whom the user has invited, and how often.
    pub(crate) inviting: BTreeMap<Who, u32>,
    /// Is saying this at this moment.
    pub(crate) saying: Option<LocalNumber>,
}

impl Client {
    pub(crate) fn epoch(&self) -> Option<&Epoch> {
        self.session.as_ref()?.epoch().map(AsRef::as_ref)
    }

    /// Begins with a new machine, or with none. Links are the caller's to close.
    pub(crate) fn renew(&mut self, session: Option<Session>) {
        if self.epoch().is_some() {
            self.past = Past::Dead;
        }
        self.stay += u32::from(session.is_some());
        self.session = session;
        self.links.clear();
        self.dials.clear();
        self.timers.clear();
        self.user = User::default();
    }

    /// An invitation by the user is open.
    pub(crate) fn invites(&mut self, whom: Who) {
        *self.user.inviting.entry(whom).or_default() += 1;
    }

    /// The user was told how an invitation ended.
    pub(crate) fn hears_of(&mut self, invitee: Who) {
        if let Some(count) = self.user.inviting.get_mut(&invitee) {
            *count -= 1;
            if *count == 0 {
                self.user.inviting.remove(&invitee);
            }
        }
    }

    pub(crate) fn next_count(&mut self) -> u32 {
        self.count = self.count.wrapping_add(1);
        self.count
    }
}
