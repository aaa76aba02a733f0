//! Clients of one session, and what their programs do around the machines: links by peer, first messages, ends, timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_spec::{
    error_code::ErrorCode,
    machine::{Context, Machine as _},
    message::client_client::{
        Content, InvitationBody, InvitationMessage, PeerMessage, Reject, SessionMessage,
    },
    policy::Verdict,
    session::{Action, EpochHash, EpochNumber, Event, LocalNumber, Nonce, Notice, Session, Timer},
    time::Timestamp,
};

use super::{
    CLIENTS, World,
    forge::{Forgery, Scene},
};
use crate::symbolic::{Holder, member, number, peer};

/// Most deliveries until everything is said; a session that needs more does not come to rest.
const DELIVERIES_MAX: usize = 20_000;

/// Most timers that fire one after the other until none is armed.
const FIRINGS_MAX: usize = 500;

/// Most actions for one event: what a coordinator held for an epoch, each answered to every member.
const ACTIONS_MAX: usize = 4_096;

/// Most characters of a machine's state, shown for debugging: its queues and tables are bounded, and so is this.
const STATE_SHOWN_MAX: usize = 512 * 1024;

/// Most messages that a liar remembers.
const SEEN_MAX: usize = 64;

const NOW: Timestamp = Timestamp(1000);

/// What goes over a link: messages, and its end.
enum Item {
    Message(PeerMessage),
    End,
}

/// A reliable link: what is on its way from the dialler and to it.
struct Link {
    ends: [u8; 2],
    queues: [VecDeque<Item>; 2],
    /// The accepting end has not read the first message.
    fresh: bool,
}

/// The clients, their links, and what they have told their users.
pub(super) struct Net {
    world: World,
    sessions: BTreeMap<u8, Session>,
    links: Vec<Link>,
    /// The link that a client has to a peer.
    tables: BTreeMap<(u8, u8), usize>,
    /// Links that are on their way up.
    dialled: VecDeque<(u8, u8)>,
    armed: BTreeSet<(u8, Timer)>,
    /// The last number that a client heard from a sender in an epoch.
    heard: BTreeMap<(u8, u8, EpochNumber), u64>,
    chains: BTreeMap<EpochNumber, EpochHash>,
    refusals: Vec<String>,
    seen: Vec<PeerMessage>,
    fired: usize,
    /// What users said: who has no outcome yet; nobody knows before it is sent.
    open: BTreeMap<(u8, LocalNumber), Option<BTreeSet<u8>>>,
    said: u64,
}

impl Net {
    pub(super) fn new(world: World) -> Self {
        let context = Context { now: NOW, entropy: [7; 16], crypto: &Holder(member(0).key) };
        let creator = Session::create(member(0), Nonce([9; 16]), &context);
        let mut net = Self {
            world,
            sessions: BTreeMap::from([(0, creator)]),
            links: Vec::new(),
            tables: BTreeMap::new(),
            dialled: VecDeque::new(),
            armed: BTreeSet::new(),
            heard: BTreeMap::new(),
            chains: BTreeMap::new(),
            refusals: Vec::new(),
            seen: Vec::new(),
            fired: 0,
            open: BTreeMap::new(),
            said: 0,
        };
        net.look_at(0);
        net
    }

    pub(super) fn session(&self, who: u8) -> Option<&Session> {
        self.sessions.get(&who)
    }

    pub(super) fn feed(&mut self, who: u8, event: Event) {
        let Some(session) = self.sessions.get_mut(&who) else { return };
        let mut out = Vec::new();
        let context = Context { now: NOW, entropy: [who; 16], crypto: &Holder(member(who).key) };
        session.handle(event, &context, &mut out);
        self.carry_out(who, out);
    }

    /// A user says something, if there is a session to say it in.
    pub(super) fn say(&mut self, who: u8) {
        self.said += 1;
        let local = LocalNumber(self.said);
        if self.session(who).is_some_and(|session| session.membership().is_some()) {
            self.open.insert((who, local), None);
        }
        let content = Content(b"hello".as_slice().into());
        self.feed(who, Event::Say { local, media_type: "text/plain".into(), content });
    }

    /// One member's outcome of what a user said, or with nobody the message's own.
    fn settle_said(&mut self, who: u8, local: LocalNumber, member: Option<u8>) {
        let open = self.open.remove(&(who, local));
        match (open, member) {
            (Some(None), None) => {}
            (Some(Some(mut waiting)), Some(member)) => {
                assert!(waiting.remove(&member), "one outcome for each member");
                if !waiting.is_empty() {
                    self.open.insert((who, local), Some(waiting));
                }
            }
            (open, _) => panic!("{who} is told what became of {local:?}, of which it knows {open:?}"),
        }
    }

    fn put(&mut self, link: usize, from: u8, item: Item) {
        if let (Item::Message(message), World::Outsider | World::Insider) = (&item, self.world) {
            match self.seen.len() {
                SEEN_MAX => self.seen[link % SEEN_MAX] = message.clone(),
                _ => self.seen.push(message.clone()),
            }
        }
        let link = &mut self.links[link];
        link.queues[usize::from(link.ends[0] != from)].push_back(item);
    }

    fn hang_up(&mut self, who: u8, to: u8) {
        self.dialled.retain(|dialled| *dialled != (who, to));
        if let Some(link) = self.tables.remove(&(who, to)) {
            self.put(link, who, Item::End);
        }
    }

    fn carry_out(&mut self, who: u8, actions: Vec<Action>) {
        assert!(actions.len() <= ACTIONS_MAX, "{} actions for one event", actions.len());
        for action in actions {
            match action {
                Action::Connect { peer, .. } => self.dialled.push_back((who, number(&peer))),
                Action::Send { to, message } => {
                    assert!(!to.is_empty(), "a message has a receiver");
                    for to in to {
                        // A link that was cut is not there any more, whether the machine knows it yet or not.
                        if let Some(&link) = self.tables.get(&(who, number(&to))) {
                            self.put(link, who, Item::Message(message.clone()));
                        }
                    }
                }
                Action::Disconnect { peer, fault } => {
                    // A newcomer that gave up may still have shown its ticket to somebody: that is late, not wrong.
                    if let Some(code) = fault.filter(|code| *code != ErrorCode::TicketEpoch) {
                        self.refusals.push(format!("{who} closes to {} with {code}", number(&peer)));
                    }
                    self.hang_up(who, number(&peer));
                }
                Action::Tell(Notice::MessageReceived { from, epoch, number: count, .. }) => {
                    let last = self.heard.insert((who, number(&from), epoch), count).unwrap_or(0);
                    assert_eq!(last + 1, count, "each sender's messages come once and in order");
                }
                Action::Tell(Notice::MessageSent { local, to, .. }) => {
                    self.settle_said(who, local, None);
                    if !to.is_empty() {
                        let to = to.iter().map(number).collect();
                        self.open.insert((who, local), Some(to));
                    }
                }
                Action::Tell(Notice::MessageUnsent { local }) => self.settle_said(who, local, None),
                Action::Tell(
                    Notice::MessageDelivered { local, to, .. } | Notice::MessageFailed { local, to },
                ) => self.settle_said(who, local, Some(number(&to))),
                Action::Arm { timer, .. } => {
                    self.armed.insert((who, timer));
                }
                Action::Disarm(timer) => {
                    self.armed.remove(&(who, timer));
                }
                Action::Tell(_) | Action::Late { .. } => {}
            }
        }
        self.look_at(who);
    }

    /// What holds for a client after every event.
    fn look_at(&mut self, who: u8) {
        let Some(session) = self.sessions.get(&who) else { return };
        // Where links break the session may fall into parts, each with a chain of its own.
        if let Some(membership) = session.membership().filter(|_| self.world == World::Peaceful) {
            let hash = *self.chains.entry(membership.epoch.number).or_insert(membership.hash);
            assert_eq!(membership.hash, hash, "{who} is on another chain in {:?}", membership.epoch.number);
        }
        if session.is_ended() {
            self.armed.retain(|(owner, _)| *owner != who);
            (0..CLIENTS).for_each(|to| self.hang_up(who, to));
        }
    }

    /// Something that waits happens: a delivery, or a dialled link comes up.
    pub(super) fn step(&mut self, pick: usize) {
        let moves = self.moves();
        match moves.get(pick % (moves.len() + 1)) {
            Some(&(link, direction)) => self.deliver(link, direction),
            None => self.connect(),
        }
    }

    fn connect(&mut self) {
        let Some((from, to)) = self.dialled.pop_front() else { return };
        self.link(from, to);
        self.feed(from, Event::LinkUp { peer: peer(to) });
    }

    fn link(&mut self, from: u8, to: u8) -> usize {
        let link = self.links.len();
        self.links.push(Link { ends: [from, to], queues: Default::default(), fresh: true });
        self.tables.insert((from, to), link);
        link
    }

    pub(super) fn fail_to_connect(&mut self) {
        if let Some((from, to)) = self.dialled.pop_front() {
            self.feed(from, Event::LinkFailed { peer: member(to).handle });
        }
    }

    fn deliver(&mut self, link: usize, direction: usize) {
        let Some(item) = self.links[link].queues[direction].pop_front() else { return };
        let (from, to) = (self.links[link].ends[direction], self.links[link].ends[1 - direction]);
        let known = self.tables.get(&(to, from)) == Some(&link);
        let fresh = direction == 0 && std::mem::take(&mut self.links[link].fresh);
        match item {
            Item::End if known => {
                self.tables.remove(&(to, from));
                self.feed(to, Event::LinkLost { peer: member(from).handle });
            }
            Item::Message(message) if known => self.feed(to, Event::Received { from: peer(from), message }),
            Item::Message(message) if fresh => self.first_message(link, from, to, message),
            Item::End | Item::Message(_) => {}
        }
    }

    /// The accepting end reads the first message of a link.
    fn first_message(&mut self, link: usize, from: u8, to: u8, message: PeerMessage) {
        match &message {
            PeerMessage::Invitation(invitation) if matches!(invitation.body, InvitationBody::Invite(_)) => {
                self.invited(link, from, to, invitation);
            }
            PeerMessage::Session(said) if self.is_in(to) => {
                if self.gives_way(to, from, said) {
                    self.hang_up(to, from);
                    self.feed(to, Event::LinkLost { peer: member(from).handle });
                } else if self.tables.contains_key(&(to, from)) {
                    self.put(link, to, Item::End);
                    return;
                }
                self.tables.insert((to, from), link);
                self.feed(to, Event::Received { from: peer(from), message });
            }
            PeerMessage::Invitation(_) | PeerMessage::Session(_) => self.put(link, to, Item::End),
        }
    }

    fn invited(&mut self, link: usize, from: u8, to: u8, invitation: &InvitationMessage) {
        if self.is_in(to) {
            let body = InvitationBody::Reject(Reject {});
            let reject = InvitationMessage { body, session: invitation.session };
            self.put(link, to, Item::Message(PeerMessage::Invitation(reject)));
            self.put(link, to, Item::End);
            return;
        }
        let mut out = Vec::new();
        let context = Context { now: NOW, entropy: [to; 16], crypto: &Holder(member(to).key) };
        let session =
            Session::invited(member(to), peer(from), invitation, Verdict::Allow, &context, &mut out);
        let Ok(session) = session else {
            self.put(link, to, Item::End);
            return;
        };
        self.heard.retain(|(who, ..), _| *who != to);
        self.tables.insert((to, from), link);
        self.sessions.insert(to, session);
        self.carry_out(to, out);
    }

    fn is_in(&self, who: u8) -> bool {
        self.session(who).is_some_and(|session| !session.is_ended())
    }

    fn gives_way(&self, who: u8, newcomer: u8, message: &SessionMessage) -> bool {
        self.session(who).is_some_and(|session| session.gives_way(&member(newcomer).handle, message))
    }

    /// A link breaks: what is on its way is lost, and both ends notice.
    pub(super) fn cut(&mut self, a: u8, b: u8) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(&link) = self.tables.get(&(from, to)) {
                self.links[link].queues = [VecDeque::from([Item::End]), VecDeque::from([Item::End])];
            }
        }
    }

    /// A client dies without a word.
    pub(super) fn kill(&mut self, who: u8) {
        (0..CLIENTS).for_each(|to| self.cut(who, to));
        self.dialled.retain(|(from, _)| *from != who);
        self.tables.retain(|(from, _), _| *from != who);
        self.armed.retain(|(owner, _)| *owner != who);
        self.sessions.remove(&who);
        self.open.retain(|(sender, _), _| *sender != who);
    }

    /// The liar sends what it made up, over the link that it has or over a new one.
    pub(super) fn forge(&mut self, liar: u8, to: u8, forgery: &Forgery) {
        let known = self.session(to).and_then(Session::membership);
        let known = known.or_else(|| self.sessions.values().find_map(Session::membership));
        let message = known.and_then(|member| {
            let scene = Scene { liar, epoch: &member.epoch, hash: member.hash, seen: &self.seen };
            forgery.message(&scene)
        });
        let Some(message) = message else { return };
        let link = match self.tables.get(&(liar, to)) {
            Some(&link) => link,
            None => self.link(liar, to),
        };
        self.put(link, liar, Item::Message(message));
    }

    /// One of the armed timers fires.
    pub(super) fn fire(&mut self, pick: usize) -> bool {
        let picked = self.armed.iter().nth(pick % self.armed.len().max(1)).cloned();
        let Some((who, timer)) = picked else { return false };
        self.fired += 1;
        assert!(self.fired <= FIRINGS_MAX, "{timer:?} of {who} is armed again and again");
        self.armed.remove(&(who, timer.clone()));
        self.feed(who, Event::TimerFired(timer));
        true
    }

    /// Links and directions on which something waits.
    fn moves(&self) -> Vec<(usize, usize)> {
        let waits = |(link, direction): &(usize, usize)| {
            let links: &Link = &self.links[*link];
            !links.queues[*direction].is_empty()
        };
        (0..self.links.len()).flat_map(|link| [(link, 0), (link, 1)]).filter(waits).collect()
    }

    /// Delivers everything.
    pub(super) fn settle(&mut self) {
        for count in 0..DELIVERIES_MAX {
            if self.moves().is_empty() && self.dialled.is_empty() {
                return;
            }
            self.step(count);
        }
        panic!("the session does not come to rest");
    }

    pub(super) fn check_nobody_was_refused(&self) {
        assert_eq!(self.refusals, Vec::<String>::new());
    }

    /// All members are at rest, whoever holds one epoch is named by it and nobody else is, and nobody is between in and
    /// out. Where no link breaks there is one epoch.
    pub(super) fn check_views(&self) {
        let hash = |who: u8| self.session(who).and_then(Session::membership).map(|member| member.hash);
        for who in self.members() {
            let Some(member) = self.session(who).and_then(Session::membership) else { continue };
            assert!(member.is_at_rest(), "{who} is not at rest: {member:?}");
            let seen: Vec<u8> = member.epoch.handles().map(number).collect();
            let part: Vec<u8> = self.members().filter(|other| hash(*other) == hash(who)).collect();
            assert_eq!(seen, part, "the view of {who}");
        }
        let hashes: BTreeSet<_> = self.members().map(hash).collect();
        assert!(self.world != World::Peaceful || hashes.len() <= 1, "members are in different epochs");
        for (who, session) in &self.sessions {
            assert!(session.is_ended() || session.epoch().is_some(), "{who} is in limbo: {session:?}");
        }
    }

    pub(super) fn check_never_a_member(&self, who: u8) {
        let views = self.sessions.values().filter_map(Session::epoch);
        assert!(views.flat_map(|epoch| epoch.handles()).all(|handle| number(handle) != who));
    }

    pub(super) fn check_everything_said_is_settled(&self) {
        assert_eq!(self.open, BTreeMap::new(), "nothing is lost in silence");
    }

    pub(super) fn check_bounds(&self) {
        for (who, session) in &self.sessions {
            let shown = format!("{session:?}").len();
            assert!(shown <= STATE_SHOWN_MAX, "{who} keeps {shown} characters of state");
        }
    }

    fn members(&self) -> impl Iterator<Item = u8> {
        self.sessions.iter().filter(|(_, session)| session.epoch().is_some()).map(|(who, _)| *who)
    }
}
