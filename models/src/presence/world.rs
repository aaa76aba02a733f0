//! Servers, the links between them, and what is on its way.

use std::collections::{BTreeSet, VecDeque};

use antiphon_spec::{
    machine::Machine as _,
    message::server_server::LoginEpoch,
    presence::{Action, Event, LinkNumber, Route, Said, Terms, Version},
};

use super::Bounds;

/// What servers say to each other here: a publication is known by its version alone.
pub(super) type Words = Said<(), ()>;

/// A rule of one step that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// Somebody was shown an older version after a newer one.
    OlderShown,
    /// A neighbour was told a publication that it had pruned itself from.
    PrunedTold,
    /// A server that nobody watched at, and where nobody beyond did, asked for publications.
    UnwantedAsked,
}

/// A place that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// A publication was shown that had to be asked for.
    Unpruned,
    /// A prune came for an announcement that was over.
    LatePrune,
    /// The publisher was offline for somebody, and then back with the version from before.
    Again,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    /// The machine.
    pub route: Route<(), ()>,
    /// The number of its last announcement.
    pub announcement: u64,
    /// The publication of the publisher's login here.
    pub published: Option<Version>,
    /// Whether somebody watches, and what they were told.
    pub watch: Option<Watch>,
}

/// Somebody who watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    /// What is shown.
    pub shown: Option<Version>,
    /// The newest that ever was.
    pub newest: Option<Version>,
}

/// A place for a link in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// Whether there is a link.
    pub is_alive: bool,
    /// How many there have been.
    pub number: u8,
    /// Which of its ends know that it is there.
    pub is_up: [bool; 2],
    /// What is on the way to each end.
    pub to: [VecDeque<Words>; 2],
    /// What each end has said last: the announcement, and whether the other has pruned itself.
    pub told: [Option<(u64, bool)>; 2],
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PresenceState {
    pub(super) servers: Vec<Server>,
    pub(super) links: Vec<Link>,
    /// The publisher's last login.
    pub(super) epoch: u64,
    pub(super) left: Bounds,
    pub(super) breaches: BTreeSet<Breach>,
    pub(super) seen: BTreeSet<Seen>,
}

impl PresenceState {
    /// Gives a server an event, and does what it says.
    pub(super) fn step(&mut self, at: u8, event: Event<(), ()>) {
        let came_by_unprune = matches!(event, Event::Heard(..)) && self.is_asked(at);
        let links = self.numbers_of(at);
        let Some(server) = self.servers.get_mut(usize::from(at)) else { return };
        let announcement = server.announcement + 1;
        let terms = Terms { links: &links, announcement, has_room: true };
        let mut out = Vec::new();
        server.route.handle(event, &terms, &mut out);
        for action in out {
            match action {
                Action::Say(link, said) => self.say(at, link, said),
                Action::Show { version, .. } => {
                    if came_by_unprune {
                        self.seen.insert(Seen::Unpruned);
                    }
                    self.show(at, version);
                }
                Action::Hide => {
                    if let Some(watch) = self.watch_mut(at) {
                        watch.shown = None;
                    }
                }
            }
        }
    }

    /// Whether this server waits for what it has asked for.
    fn is_asked(&self, at: u8) -> bool {
        self.servers
            .get(usize::from(at))
            .is_some_and(|server| server.route.held().is_none() && server.route.newest().is_some())
    }

    pub(super) fn watch_mut(&mut self, at: u8) -> Option<&mut Watch> {
        self.servers.get_mut(usize::from(at))?.watch.as_mut()
    }

    fn show(&mut self, at: u8, version: Version) {
        let Some(watch) = self.watch_mut(at) else { return };
        let is_older = watch.newest.is_some_and(|newest| version < newest);
        let is_again = watch.shown.is_none() && watch.newest == Some(version);
        *watch = Watch { shown: Some(version), newest: watch.newest.max(Some(version)) };
        if is_older {
            self.breaches.insert(Breach::OlderShown);
        }
        if is_again {
            self.seen.insert(Seen::Again);
        }
    }

    /// The links that a server knows of, each with its place and its end.
    fn links_of<'a>(&'a self, at: u8) -> impl Iterator<Item = (usize, usize, LinkNumber)> + 'a {
        self.links.iter().enumerate().filter_map(move |(place, link)| {
            let (one, other) = *self.left.links.get(place)?;
            let end = if one == at { 0 } else { 1 };
            let is_here = (one == at || other == at) && link.is_up.get(end).copied().unwrap_or_default();
            is_here.then(|| (place, end, number_of(place, link.number)))
        })
    }

    fn numbers_of(&self, at: u8) -> Vec<LinkNumber> {
        let mut numbers: Vec<_> = self.links_of(at).map(|(.., number)| number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn say(&mut self, at: u8, link: LinkNumber, said: Words) {
        let Some((place, end, _)) = self.links_of(at).find(|(.., number)| *number == link) else { return };
        self.note(at, place, end, &said);
        let Some(link) = self.links.get_mut(place) else { return };
        if link.is_alive
            && let Some(queue) = link.to.get_mut(1 - end)
        {
            queue.push_back(said);
        }
    }

    /// Keeps the book of what each end has announced, and has been answered.
    fn note(&mut self, at: u8, place: usize, end: usize, said: &Words) {
        let told = self.links.get(place).and_then(|link| link.told.get(end).copied().flatten());
        let next = match *said {
            Said::Publish { announcement, .. } => match told {
                Some((last, is_pruned)) if last == announcement => {
                    if is_pruned {
                        self.breaches.insert(Breach::PrunedTold);
                    }
                    told
                }
                _ => Some((announcement, false)),
            },
            Said::Offer { announcement, .. } => match told {
                Some((last, _)) if last == announcement => told,
                _ => Some((announcement, true)),
            },
            Said::Withdraw { .. } => None,
            Said::Prune { .. } => told,
            Said::Unprune { .. } => {
                if !self.wants(at) {
                    self.breaches.insert(Breach::UnwantedAsked);
                }
                told
            }
        };
        if let Some(server) = self.servers.get_mut(usize::from(at))
            && let Some((announcement, _)) = next
        {
            server.announcement = server.announcement.max(announcement);
        }
        if let Some(told) = self.links.get_mut(place).and_then(|link| link.told.get_mut(end)) {
            *told = next;
        }
    }

    /// Whether somebody watches at a server, or a neighbour has asked it for publications, as far as it has heard.
    fn wants(&self, at: u8) -> bool {
        let asks = |(place, end, _): (usize, usize, LinkNumber)| {
            let told = self.links.get(place).and_then(|link| link.told.get(end).copied().flatten());
            told.is_some_and(|(_, is_pruned)| !is_pruned)
        };
        let watches = |server: &Server| server.watch.is_some();
        self.servers.get(usize::from(at)).is_some_and(watches) || self.links_of(at).any(asks)
    }

    /// The next message to an end arrives.
    pub(super) fn arrives(&mut self, place: usize, end: usize) -> Option<()> {
        let at = self.server_at(place, end)?;
        let link = self.links.get_mut(place)?;
        let said = link.to.get_mut(end)?.pop_front()?;
        let number = number_of(place, link.number);
        let told = link.told.get_mut(end)?;
        match said {
            Said::Prune { announcement } | Said::Unprune { announcement } => match told {
                Some((last, is_pruned)) if *last == announcement => {
                    *is_pruned = matches!(said, Said::Prune { .. });
                }
                _ if matches!(said, Said::Prune { .. }) => {
                    self.seen.insert(Seen::LatePrune);
                }
                _ => {}
            },
            Said::Publish { .. } | Said::Offer { .. } | Said::Withdraw { .. } => {}
        }
        self.step(at, Event::Heard(number, said));
        Some(())
    }

    /// The server at an end of a link.
    pub(super) fn server_at(&self, place: usize, end: usize) -> Option<u8> {
        let (one, other) = *self.left.links.get(place)?;
        Some(if end == 0 { one } else { other })
    }

    /// An end notices that its link is gone: what was on the way to it is lost.
    pub(super) fn falls(&mut self, place: usize, end: usize) -> Option<()> {
        let at = self.server_at(place, end)?;
        let link = self.links.get_mut(place)?;
        *link.is_up.get_mut(end)? = false;
        link.to.get_mut(end)?.clear();
        *link.told.get_mut(end)? = None;
        let number = number_of(place, link.number);
        self.step(at, Event::LinkDown(number));
        Some(())
    }

    /// An end knows that it has a link.
    pub(super) fn rises(&mut self, place: usize, end: usize) -> Option<()> {
        let at = self.server_at(place, end)?;
        let link = self.links.get_mut(place)?;
        *link.is_up.get_mut(end)? = true;
        let number = number_of(place, link.number);
        self.step(at, Event::LinkUp(number));
        Some(())
    }

    /// The publisher discloses something new at a server, in this login.
    pub(super) fn publish(&mut self, at: u8, version: Version) {
        if let Some(server) = self.servers.get_mut(usize::from(at)) {
            server.published = Some(version);
        }
        self.step(at, Event::Publish { version, proof: (), publication: () });
    }

    /// A server dies, and is there again with nothing.
    pub(super) fn dies(&mut self, at: u8) {
        let places: Vec<_> = self.links_of(at).map(|(place, end, _)| (place, end)).collect();
        if let Some(server) = self.servers.get_mut(usize::from(at)) {
            *server = Server::default();
        }
        for (place, end) in places {
            let Some(link) = self.links.get_mut(place) else { continue };
            link.is_alive = false;
            if let (Some(up), Some(to), Some(told)) =
                (link.is_up.get_mut(end), link.to.get_mut(end), link.told.get_mut(end))
            {
                (*up, *told) = (false, None);
                to.clear();
            }
        }
    }

    /// Nothing is on its way, and both ends of each link know the same of it.
    pub(super) fn rests(&self) -> bool {
        self.links
            .iter()
            .all(|link| link.is_up == [link.is_alive; 2] && link.to.iter().all(VecDeque::is_empty))
    }

    /// The servers that can reach this one, itself included.
    fn part_of(&self, at: u8) -> BTreeSet<u8> {
        let mut part = BTreeSet::from([at]);
        for _ in 0..self.links.len() {
            for ((one, other), link) in self.left.links.iter().zip(&self.links) {
                if link.is_alive && (part.contains(one) || part.contains(other)) {
                    part.extend([*one, *other]);
                }
            }
        }
        part
    }

    /// The newest publication of a login in the part of a server, and where that login is.
    fn last(&self, at: u8) -> Option<(Version, u8)> {
        let part = self.part_of(at).into_iter();
        part.filter_map(|place| Some((self.servers.get(usize::from(place))?.published?, place))).max()
    }

    /// Whether whoever watches is shown what is published last, if they haven't seen newer.
    pub(super) fn is_shown_right(&self) -> bool {
        (0..).zip(&self.servers).all(|(at, server)| {
            server.watch.is_none_or(|watch| {
                let last = self.last(at).map(|(version, _)| version);
                watch.shown == last.filter(|last| watch.newest.is_none_or(|newest| newest <= *last))
            })
        })
    }

    /// Whether all servers know of a feed which is published in their part, and none of another.
    pub(super) fn is_known_right(&self) -> bool {
        (0..).zip(&self.servers).all(|(at, server)| {
            server.route.newest().is_some() == self.last(at).is_some()
                && (self.last(at).is_some() || server.watch.is_some() || server.route.is_empty())
        })
    }

    /// Whether no server holds a publication that is not on the way from where the publisher is to somebody who watches.
    pub(super) fn is_held_right(&self) -> bool {
        (0..).zip(&self.servers).all(|(at, server)| {
            let Some((_, origin)) = self.last(at) else { return server.route.held().is_none() };
            if server.published.is_some() {
                return true;
            }
            let watched = |place: &u8| {
                self.servers.get(usize::from(*place)).is_some_and(|server| server.watch.is_some())
            };
            let behind = self.part_of(at).into_iter().filter(watched);
            let is_wanted = behind.into_iter().any(|watcher| self.is_between(at, origin, watcher));
            server.route.held().is_some() == is_wanted
        })
    }

    /// Whether `at` is on the way from `one` to `other`.
    fn is_between(&self, at: u8, one: u8, other: u8) -> bool {
        if at == one || at == other {
            return true;
        }
        // Without the links of `at` the two can't reach each other.
        let mut cut = self.clone();
        for ((a, b), link) in self.left.links.iter().zip(&mut cut.links) {
            link.is_alive &= *a != at && *b != at;
        }
        !cut.part_of(one).contains(&other)
    }
}

/// The number of a link: its place in the tree, and how many there have been before.
fn number_of(place: usize, number: u8) -> LinkNumber {
    LinkNumber(u32::from(number) * 16 + u32::try_from(place).unwrap_or_default())
}

/// A version.
pub(super) const fn version(epoch: u64, sequence: u64) -> Version {
    Version { epoch: LoginEpoch(epoch), sequence }
}
