//! The machine of one server.

use super::{Action, Event, Node, Said};
use crate::{
    identity::ServerName,
    limits::{TREE_CHILDREN_MAX, TREE_PATH_MAX},
    machine::Machine,
    mutant::{Mutant, active},
    presence::LinkNumber,
};

/// What a server knows of the tree.
///
/// **Contract of the caller.** What is said on a link comes in order, and nothing after [`Event::LinkDown`] or
/// [`Action::Close`]. The caller looks for others when it starts, and whenever [`Action::Look`] says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tree {
    own: Node,
    /// The link to the parent, and the parent's path.
    parent: Option<(LinkNumber, Vec<Node>)>,
    /// The link on which this server has asked, and waits.
    asking: Option<LinkNumber>,
    children: Vec<(LinkNumber, Node)>,
}

impl Machine for Tree {
    type Event = Event;
    type Action = Action;
    type Context<'a> = ();

    fn handle(&mut self, event: Event, (): &(), out: &mut Vec<Action>) {
        match event {
            //= spec/text/tree.md#attaching
            //# TREE-002: A node MUST NOT ask with `attach` while it has a parent or waits for an answer.
            Event::Dialled(link) if self.parent.is_some() || self.asking.is_some() => {
                out.push(Action::Close(link));
            }
            Event::Dialled(link) => {
                self.asking = Some(link);
                out.push(Action::Say(link, Said::Attach { node: self.own.clone() }));
            }
            Event::Heard(link, Said::Attach { node }) => self.asked(link, node, out),
            Event::Heard(link, Said::Attached { path }) if self.asking == Some(link) => {
                self.asking = None;
                self.attached(link, path, out);
            }
            Event::Heard(link, Said::Refused) if self.asking == Some(link) => {
                self.asking = None;
                out.extend([Action::Close(link), Action::Look]);
            }
            Event::Heard(link, Said::Path { path }) if self.is_parent(link) => {
                if self.is_good(&path) || active(Mutant::CircleKept) {
                    self.follow(link, path, out);
                } else {
                    self.detach(link, out);
                    out.push(Action::Close(link));
                }
            }
            Event::Heard(link, Said::Found { server }) if self.is_child(link) => self.found(server, out),
            // Nobody else has anything to say.
            Event::Heard(
                link,
                Said::Attached { .. } | Said::Refused | Said::Path { .. } | Said::Found { .. },
            ) => {
                self.down(link, out);
                out.push(Action::Close(link));
            }
            Event::LinkDown(link) => self.down(link, out),
        }
    }
}

impl Tree {
    /// A server that has just started, and knows nobody.
    #[must_use]
    pub const fn new(own: Node) -> Self {
        Self { own, parent: None, asking: None, children: Vec::new() }
    }

    /// Itself, its parent, and so on up to the root.
    #[must_use]
    pub fn path(&self) -> Vec<Node> {
        let above = self.parent.iter().flat_map(|(_, path)| path);
        std::iter::once(&self.own).chain(above).cloned().collect()
    }

    /// The root that this server knows of, maybe itself.
    #[must_use]
    pub fn root(&self) -> &Node {
        self.parent.as_ref().and_then(|(_, path)| path.last()).unwrap_or(&self.own)
    }

    /// The link to the parent; none at a root.
    #[must_use]
    pub fn parent(&self) -> Option<LinkNumber> {
        self.parent.as_ref().map(|(link, _)| *link)
    }

    /// The links to neighbours.
    pub fn neighbours(&self) -> impl Iterator<Item = LinkNumber> {
        self.parent().into_iter().chain(self.children.iter().map(|(link, _)| *link))
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    fn is_parent(&self, link: LinkNumber) -> bool {
        self.parent() == Some(link)
    }

    fn is_child(&self, link: LinkNumber) -> bool {
        self.children.iter().any(|(child, _)| *child == link)
    }

    /// Whether a parent with this path may be followed.
    fn is_good(&self, path: &[Node]) -> bool {
        !path.is_empty()
            && path.len() <= TREE_PATH_MAX
            && path.iter().all(|node| node.server != self.own.server)
    }

    fn asked(&mut self, link: LinkNumber, node: Node, out: &mut Vec<Action>) {
        let path = self.path();
        //= spec/text/tree.md#attaching
        //# TREE-003: A node MUST refuse an `attach` of a node whose server stands on its own path.
        let stands_there = path.iter().any(|other| other.server == node.server);
        let is_refused = stands_there && !active(Mutant::AskerOnPathTaken);
        //= spec/text/tree.md#attaching
        //# TREE-004: A node MUST refuse an `attach` of a node that isn't greater than the root that it knows of.
        let is_smaller = node < *self.root();
        let is_full = path.len() >= TREE_PATH_MAX || self.children.len() >= TREE_CHILDREN_MAX;
        if is_refused || is_smaller && !active(Mutant::SmallerAskerTaken) || is_full {
            out.extend([Action::Say(link, Said::Refused), Action::Close(link)]);
            if is_smaller && !stands_there && !active(Mutant::OtherIslandUntold) {
                self.found(node.server, out);
            }
            return;
        }
        //= spec/text/tree.md#attaching
        //# TREE-007: A node that takes a child MUST end the link of an earlier child of the same server.
        let earlier = self.children.iter().position(|(_, child)| child.server == node.server);
        if let Some(earlier) = earlier.filter(|_| !active(Mutant::EarlierChildKept)) {
            let (earlier, _) = self.children.remove(earlier);
            out.extend([Action::NeighbourDown(earlier), Action::Close(earlier)]);
        }
        self.children.push((link, node.clone()));
        out.extend([Action::Say(link, Said::Attached { path }), Action::NeighbourUp(link, node)]);
    }

    fn attached(&mut self, link: LinkNumber, path: Vec<Node>, out: &mut Vec<Action>) {
        //= spec/text/tree.md#attaching
        //# TREE-008: A node that is told `attached` MUST take the other end for its parent, unless its own server stands on the path, or the path has more than `TREE_PATH_MAX` nodes, or the root isn't smaller than itself, or the other end's server is one of its children.
        let is_smaller =
            path.last().is_some_and(|root| *root < self.own) || active(Mutant::SmallerAskerTaken);
        let is_child = |parent: &Node| self.children.iter().any(|(_, child)| child.server == parent.server);
        match path.first().filter(|parent| !is_child(parent) || active(Mutant::ChildFollowed)).cloned() {
            Some(parent) if is_smaller && (self.is_good(&path) || active(Mutant::CircleKept)) => {
                out.push(Action::NeighbourUp(link, parent));
                self.follow(link, path, out);
            }
            _ => out.extend([Action::Close(link), Action::Look]),
        }
    }

    /// Has a parent with this path, and tells all children.
    fn follow(&mut self, link: LinkNumber, path: Vec<Node>, out: &mut Vec<Action>) {
        let before = self.parent.replace((link, path));
        if before != self.parent && !active(Mutant::PathNotPassedOn) {
            self.tell(out);
        }
    }

    fn tell(&self, out: &mut Vec<Action>) {
        let path = self.path();
        out.extend(
            self.children.iter().map(|(child, _)| Action::Say(*child, Said::Path { path: path.clone() })),
        );
    }

    /// Is a root, with all that is below.
    fn detach(&mut self, link: LinkNumber, out: &mut Vec<Action>) {
        self.parent = None;
        out.push(Action::NeighbourDown(link));
        if !active(Mutant::OrphanSilent) {
            self.tell(out);
        }
        out.push(Action::Look);
    }

    fn down(&mut self, link: LinkNumber, out: &mut Vec<Action>) {
        if self.asking == Some(link) {
            self.asking = None;
            out.push(Action::Look);
        } else if self.is_parent(link) {
            if !active(Mutant::LostParentKept) {
                self.detach(link, out);
            }
        } else if let Some(at) = self.children.iter().position(|(child, _)| *child == link)
            && !active(Mutant::LostChildKept)
        {
            self.children.remove(at);
            out.push(Action::NeighbourDown(link));
        }
    }

    /// There is a server of another island: the root is to ask it.
    fn found(&self, server: ServerName, out: &mut Vec<Action>) {
        match self.parent() {
            Some(_) if active(Mutant::FoundNotPassedOn) => {}
            Some(parent) => out.push(Action::Say(parent, Said::Found { server })),
            None => out.push(Action::Seek(server)),
        }
    }
}
