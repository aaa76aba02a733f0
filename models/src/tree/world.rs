//! Servers, their connections, and what is on its way.

use std::collections::{BTreeSet, VecDeque};

use antiphon_spec::{
    identity::ServerName,
    machine::Machine as _,
    presence::LinkNumber,
    tree::{Action, Event, Node, Said, Tree},
};

use super::Bounds;

/// A rule of one step that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A server has two links to one neighbour.
    TwoLinks,
    /// A server follows a path on which it stands itself.
    OwnPath,
    /// A server was told of a neighbour that is none, or not of one that is.
    NeighboursWrong,
}

/// A place that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// A server was told a path on which it stands.
    Circle,
    /// A child came back before its parent had noticed that it was gone.
    ChildBack,
    /// A root was told of another island from below.
    Found,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Link {
    /// Its number at both ends.
    pub number: u32,
    /// Who has dialled, and whom.
    pub ends: [u8; 2],
    /// Which ends have not closed it, and know nothing of its end.
    pub is_open: [bool; 2],
    /// It is lost: what is on the way may not arrive.
    pub is_broken: bool,
    /// What is on the way to each end.
    pub to: [VecDeque<Said>; 2],
}

impl Link {
    /// Whether an end may notice that the link is gone.
    pub(super) fn may_fall(&self, end: usize) -> bool {
        let is_open = |end: usize| self.is_open.get(end).copied().unwrap_or_default();
        let is_empty = self.to.get(end).is_none_or(VecDeque::is_empty);
        is_open(end) && (self.is_broken || !is_open(1 - end) && is_empty)
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreeState {
    pub(super) servers: Vec<Tree>,
    pub(super) boots: Vec<u64>,
    /// In the order of their numbers.
    pub(super) links: Vec<Link>,
    /// Who is about to dial whom because of what it was told.
    pub(super) seeks: BTreeSet<(u8, u8)>,
    /// What each server's owner takes for its neighbours.
    pub(super) neighbours: Vec<BTreeSet<LinkNumber>>,
    pub(super) left: Bounds,
    pub(super) breaches: BTreeSet<Breach>,
    pub(super) seen: BTreeSet<Seen>,
}

/// The name of a server: the smaller the number, the smaller the name.
fn name(server: u8) -> ServerName {
    #[expect(clippy::expect_used, reason = "the names of the models are names")]
    format!("server-{server}").parse().expect("a server name")
}

fn node(server: u8, boot: u64) -> Node {
    Node { server: name(server), boot }
}

impl TreeState {
    pub(super) fn new(bounds: Bounds) -> Self {
        let numbers = 0..bounds.servers;
        let mut state = Self {
            servers: numbers.clone().map(|server| Tree::new(node(server, 1))).collect(),
            boots: numbers.clone().map(|_| 1).collect(),
            links: Vec::new(),
            seeks: BTreeSet::new(),
            neighbours: numbers.map(|_| BTreeSet::new()).collect(),
            left: bounds,
            breaches: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        for (child, parent) in bounds.start {
            state.dials(*child, *parent);
            state.comes_to_rest();
        }
        state.seen.clear();
        state
    }

    pub(super) fn tree(&self, server: u8) -> Option<&Tree> {
        self.servers.get(usize::from(server))
    }

    /// Whether a server is a root that doesn't wait for an answer.
    pub(super) fn may_probe(&self, server: u8) -> bool {
        self.tree(server).is_some_and(|tree| tree.parent().is_none() && !tree.is_asking())
    }

    /// A server dials another one.
    pub(super) fn dials(&mut self, from: u8, to: u8) {
        self.seeks.remove(&(from, to));
        let is_free = |number: &u32| self.links.iter().all(|link| link.number != *number);
        let Some(number) = (0..u32::MAX).find(is_free) else { return };
        let link = Link {
            number,
            ends: [from, to],
            is_open: [true; 2],
            is_broken: false,
            to: [VecDeque::new(), VecDeque::new()],
        };
        let at = self.links.partition_point(|link| link.number < number);
        self.links.insert(at, link);
        self.step(from, Event::Dialled(LinkNumber(number)), 0);
    }

    /// Gives a server an event, and does what it says; `end` is its end of a link that it dialled itself.
    fn step(&mut self, at: u8, event: Event, end: usize) {
        self.note(at, &event);
        let Some(tree) = self.servers.get_mut(usize::from(at)) else { return };
        let mut out = Vec::new();
        tree.handle(event, &(), &mut out);
        for action in out {
            match action {
                Action::Say(link, said) => self.say(at, link, said, end),
                Action::Close(link) => self.close(at, link, end),
                Action::NeighbourUp(link, _) => {
                    if let Some(neighbours) = self.neighbours.get_mut(usize::from(at)) {
                        neighbours.insert(link);
                    }
                }
                Action::NeighbourDown(link) => {
                    if let Some(neighbours) = self.neighbours.get_mut(usize::from(at)) {
                        neighbours.remove(&link);
                    }
                }
                // A root may ask whomever it likes, whenever it likes.
                Action::Look => {}
                Action::Seek(server) => {
                    let other = (0..self.left.servers).find(|other| name(*other) == server);
                    self.seeks.extend(other.map(|other| (at, other)));
                }
            }
        }
        self.judge(at);
        self.links.retain(|link| link.is_open != [false; 2]);
    }

    fn note(&mut self, at: u8, event: &Event) {
        let Some(tree) = self.tree(at) else { return };
        let stands = |path: &[Node]| path.iter().any(|node| node.server == name(at));
        let seen = match event {
            Event::Heard(link, Said::Path { path }) if tree.parent() == Some(*link) && stands(path) => {
                Some(Seen::Circle)
            }
            Event::Heard(_, Said::Found { .. }) if tree.parent().is_none() => Some(Seen::Found),
            Event::Heard(_, Said::Attach { node }) => {
                let number = (0..self.left.servers).find(|other| name(*other) == node.server);
                let is_child = |link: &Link| {
                    number == link.ends.first().copied()
                        && link.ends.get(1) == Some(&at)
                        && tree.neighbours().any(|child| child == LinkNumber(link.number))
                };
                self.links.iter().any(is_child).then_some(Seen::ChildBack)
            }
            Event::Heard(..) | Event::Dialled(_) | Event::LinkDown(_) => None,
        };
        self.seen.extend(seen);
    }

    /// Looks at what has to hold after every step.
    fn judge(&mut self, at: u8) {
        let Some(tree) = self.tree(at) else { return };
        let has: BTreeSet<LinkNumber> = tree.neighbours().collect();
        let mut others: Vec<u8> = self.ends_of(at, &has).collect();
        let count = others.len();
        others.sort_unstable();
        others.dedup();
        let rules = [
            (Breach::TwoLinks, others.len() < count),
            (Breach::OwnPath, tree.path().iter().skip(1).any(|node| node.server == name(at))),
            (Breach::NeighboursWrong, self.neighbours.get(usize::from(at)) != Some(&has)),
        ];
        self.breaches.extend(rules.into_iter().filter(|(_, is_broken)| *is_broken).map(|(breach, _)| breach));
    }

    /// The servers at the other ends of a server's links.
    fn ends_of<'a>(&'a self, at: u8, links: &'a BTreeSet<LinkNumber>) -> impl Iterator<Item = u8> + 'a {
        self.links.iter().filter(|link| links.contains(&LinkNumber(link.number))).filter_map(move |link| {
            let [one, other] = link.ends;
            if one == at { Some(other) } else { (other == at).then_some(one) }
        })
    }

    /// The link of this number, and the server's end of it.
    fn end_of(&mut self, at: u8, number: LinkNumber, own: usize) -> Option<(&mut Link, usize)> {
        let link = self.links.iter_mut().find(|link| link.number == number.0)?;
        let [one, other] = link.ends;
        // Who dials itself has both ends.
        let end = if one == other { own } else { usize::from(one != at) };
        Some((link, end))
    }

    fn say(&mut self, at: u8, number: LinkNumber, said: Said, own: usize) {
        if let Some((link, end)) = self.end_of(at, number, own)
            && link.is_open == [true; 2]
            && let Some(queue) = link.to.get_mut(1 - end)
        {
            queue.push_back(said);
        }
    }

    fn close(&mut self, at: u8, number: LinkNumber, own: usize) {
        if let Some((link, end)) = self.end_of(at, number, own)
            && let (Some(is_open), Some(to)) = (link.is_open.get_mut(end), link.to.get_mut(end))
        {
            *is_open = false;
            to.clear();
        }
    }

    /// The next message to an end of a link arrives.
    pub(super) fn arrives(&mut self, place: usize, end: usize) -> Option<()> {
        let link = self.links.get_mut(place)?;
        let (at, number) = (*link.ends.get(end)?, link.number);
        let said = link.to.get_mut(end)?.pop_front()?;
        self.step(at, Event::Heard(LinkNumber(number), said), end);
        Some(())
    }

    /// An end notices that its link is gone.
    pub(super) fn falls(&mut self, place: usize, end: usize) -> Option<()> {
        let link = self.links.get_mut(place)?;
        let (at, number) = (*link.ends.get(end)?, link.number);
        *link.is_open.get_mut(end)? = false;
        link.to.get_mut(end)?.clear();
        self.step(at, Event::LinkDown(LinkNumber(number)), end);
        Some(())
    }

    /// A server dies, and is there again with nothing but a greater boot number.
    pub(super) fn dies(&mut self, at: u8) -> Option<()> {
        let boot = self.boots.get_mut(usize::from(at))?;
        *boot += 1;
        let fresh = Tree::new(node(at, *boot));
        *self.servers.get_mut(usize::from(at))? = fresh;
        self.neighbours.get_mut(usize::from(at))?.clear();
        self.seeks.retain(|(from, _)| *from != at);
        for link in &mut self.links {
            for end in [0, 1] {
                if link.ends.get(end) == Some(&at)
                    && let (Some(is_open), Some(to)) = (link.is_open.get_mut(end), link.to.get_mut(end))
                {
                    *is_open = false;
                    to.clear();
                }
            }
        }
        self.links.retain(|link| link.is_open != [false; 2]);
        Some(())
    }

    /// Nothing is on its way.
    pub(super) fn rests(&self) -> bool {
        self.seeks.is_empty()
            && self.links.iter().all(|link| {
                !link.is_broken && link.is_open == [true; 2] && link.to.iter().all(VecDeque::is_empty)
            })
    }

    /// The parent of a server, if the two agree on it.
    fn parent_of(&self, server: u8) -> Option<u8> {
        let number = self.tree(server)?.parent()?;
        let link =
            self.links.iter().find(|link| link.number == number.0 && link.ends.first() == Some(&server))?;
        let parent = *link.ends.get(1)?;
        self.tree(parent)?.neighbours().any(|child| child == number).then_some(parent)
    }

    /// Whether each server's parent has it for a child, and it has the parent's path, and every connection is a link of the
    /// tree.
    pub(super) fn is_forest(&self) -> bool {
        let mut links = 0;
        let is_right = (0..self.left.servers).all(|server| {
            let Some(tree) = self.tree(server) else { return false };
            if tree.parent().is_none() {
                return true;
            }
            links += 1;
            let Some(parent) = self.parent_of(server).and_then(|parent| self.tree(parent)) else {
                return false;
            };
            tree.path().get(1..) == Some(&parent.path())
        });
        let neighbours: usize = self.servers.iter().map(|tree| tree.neighbours().count()).sum();
        is_right && links == self.links.len() && neighbours == 2 * links
    }

    /// Whether every server comes to a root by its parents.
    pub(super) fn has_no_circle(&self) -> bool {
        (0..self.left.servers).all(|server| self.top_of(server).is_some())
    }

    /// The root above a server.
    fn top_of(&self, server: u8) -> Option<u8> {
        let mut at = server;
        for _ in 0..=self.left.servers {
            if self.tree(at)?.parent().is_none() {
                return Some(at);
            }
            at = self.parent_of(at)?;
        }
        None
    }

    /// Whether every root is the smallest of its island.
    pub(super) fn roots_are_smallest(&self) -> bool {
        (0..self.left.servers).all(|server| {
            let tree = self.tree(server);
            tree.is_some_and(|tree| tree.path().iter().all(|node| tree.root() <= node))
        })
    }

    /// How many roots there are.
    pub(super) fn roots(&self) -> usize {
        self.servers.iter().filter(|tree| tree.parent().is_none()).count()
    }

    /// Whether any root that asks any server of another island makes one of the two.
    pub(super) fn grows_together(&self) -> bool {
        let numbers = || 0..self.left.servers;
        numbers().filter(|root| self.may_probe(*root)).all(|root| {
            numbers().filter(|other| self.top_of(*other) != Some(root)).all(|other| {
                let mut next = self.clone();
                next.dials(root, other);
                next.comes_to_rest() && next.roots() < self.roots()
            })
        })
    }

    /// Lets everything happen that is under way, one after the other; whether it ends.
    fn comes_to_rest(&mut self) -> bool {
        for _ in 0..1_000 {
            if let Some((from, to)) = self.seeks.first().copied() {
                self.dials(from, to);
                continue;
            }
            let ends = (0..self.links.len()).flat_map(|place| [(place, 0), (place, 1)]);
            let arrives = |(place, end): &(usize, usize)| {
                self.links.get(*place).and_then(|link| link.to.get(*end)).is_some_and(|to| !to.is_empty())
            };
            let falls = |(place, end): &(usize, usize)| {
                self.links.get(*place).is_some_and(|link| link.may_fall(*end))
            };
            let (arriving, falling) = (ends.clone().find(arrives), ends.clone().find(falls));
            match (arriving, falling) {
                (Some((place, end)), _) => self.arrives(place, end),
                (None, Some((place, end))) => self.falls(place, end),
                (None, None) => return true,
            };
        }
        false
    }
}
