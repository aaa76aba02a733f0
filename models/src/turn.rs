//! One step of a model: an event goes into a machine, and its actions change the world.
//!
//! This is the caller's side of the contract of [`Session`]: which link is the machine's link to a peer, who is told
//! about the end of a link, what becomes of a second link, and that a machine that has ended is dropped with its
//! links. The algorithms are the machines' own.

use std::{collections::VecDeque, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    machine::Context,
    message::client_client::{
        Content, InvitationBody, InvitationMessage, PeerMessage, Reject, SessionBody, SessionMessage,
    },
    policy::Verdict,
    session::{Action, Change, EndReason, Epoch, Event, LocalNumber, Member, Nonce, Notice, Session, Timer},
    time::Timestamp,
};

use crate::{
    attacker::{Attacker, Way, oracle::Witness},
    cast::{Cast, Who},
    crypto::{self, Hand},
    link::{End, Link, Side},
    monitor::{Lost, Monitor, Outcome, Violation},
    scenario::{Dialling, Scenario},
    session_model::refusal_bit,
    shared::Shared,
    tap, words,
    world::{Client, World, names},
};

/// The one instant at which everything in a model happens.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

/// A step in the making.
pub(crate) struct Turn<'m> {
    scenario: &'m Scenario,
    cast: &'m Cast,
    world: World,
    monitor: Monitor,
    todo: VecDeque<(Who, Event)>,
    /// What happened, in words; only where somebody wants to read it.
    journal: Option<Vec<String>>,
    /// The codes with which the attacker was refused, by their bits.
    refusals: u64,
}

impl<'m> Turn<'m> {
    pub(crate) fn new(scenario: &'m Scenario, cast: &'m Cast, world: World) -> Self {
        let monitor = Monitor::clone(&world.monitor);
        Self { scenario, cast, world, monitor, todo: VecDeque::new(), journal: None, refusals: 0 }
    }

    pub(crate) fn with_journal(mut self) -> Self {
        self.journal = Some(Vec::new());
        self
    }

    /// The state after the step, and the journal.
    pub(crate) fn finish(mut self) -> (World, Vec<String>) {
        self.close_ends_of_attacker();
        if self.world.everyone().any(|(_, client)| client.has_waited) {
            self.wait_anew();
        }
        if self.monitor != *self.world.monitor {
            self.world.monitor = Shared::new(self.monitor);
        }
        self.world.links.retain(|link| !link.is_gone());
        self.world.settle();
        (self.world, self.journal.unwrap_or_default())
    }

    /// Whoever waits for nobody has not waited; and where all have waited for as long, they wait anew.
    fn wait_anew(&mut self) {
        let all = self.world.everyone().all(|(_, client)| client.has_waited || !client.awaits_removal());
        for who in Who::first(self.scenario.clients()) {
            let Some(client) = self.world.client(who).filter(|client| client.has_waited) else { continue };
            if all || !client.awaits_removal() {
                self.put(who, Client { has_waited: false, ..client.clone() });
            }
        }
    }

    /// The codes with which the attacker was refused in this step, by their bits.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals
    }

    pub(crate) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(text());
        }
    }

    // --- what a step is ---

    /// A client creates the session.
    pub(crate) fn create(&mut self, who: Who) {
        let Some(me) = self.cast.member(who) else { return };
        let hand = Hand::new(me.key);
        let session = tap::create(who, me.clone(), Nonce([0; 16]), &context(who, &hand));
        if let Some(epoch) = session.epoch() {
            self.monitor.began(who, None, epoch, Lost::Nobody);
        }
        self.put(who, Client { session: Some(session), ..Client::default() });
    }

    /// An event that needs no link: the user's, or a timer's.
    pub(crate) fn event(&mut self, who: Who, event: Event) {
        self.todo.push_back((who, event));
        self.work_off();
    }

    /// A user invites another.
    pub(crate) fn invite(&mut self, who: Who, whom: Who) {
        let Some(invitee) = self.cast.member(whom).map(|member| member.handle.clone()) else { return };
        if let Some(client) = self.world.client(who) {
            let client = Client { inviting: client.inviting | whom.bit(), ..client.clone() };
            self.put(who, client);
        }
        self.event(who, Event::Invite { invitee });
    }

    /// A user leaves.
    pub(crate) fn leave(&mut self, who: Who) {
        if let Some(client) = self.world.client(who) {
            let client = Client { leaving: true, ..client.clone() };
            self.put(who, client);
        }
        self.event(who, Event::Leave);
    }

    /// A user says something. A member always takes it: no model has as many messages as may wait.
    pub(crate) fn say(&mut self, who: Who, local: LocalNumber) {
        self.monitor.opened(who, local);
        let content = Content([who.0].into());
        self.event(who, Event::Say { local, media_type: "text/plain".into(), content });
    }

    /// A timer fires.
    pub(crate) fn fire(&mut self, who: Who, timer: &Timer) {
        if let Some(client) = self.world.client(who) {
            let mut client = client.clone();
            client.armed.retain(|armed| armed != timer);
            self.put(who, client);
        }
        self.event(who, Event::TimerFired(timer.clone()));
        // The time that starts anew is over after the times of the others that run.
        if self.scenario.attack.is_some()
            && let Some(client) = self.world.client(who)
            && client.armed.contains(timer)
        {
            let has_waited = matches!(timer, Timer::Lost(_));
            self.put(who, Client { has_waited, ..client.clone() });
        }
    }

    /// An attacker says something; it arrives at once.
    pub(crate) fn attack(&mut self, by: Who, to: Who, way: Way, message: &Arc<PeerMessage>) {
        self.spend_send();
        self.note(|| words::forged(message));
        match way {
            Way::Standing => self.received(to, by, message),
            Way::Fresh | Way::OtherKey => {
                let mut link = Link::new(by, to);
                link.has_other_key = way == Way::OtherKey;
                let index = self.insert_link(link);
                self.first_message(index, Side::Acceptor, message);
            }
        }
        self.work_off();
    }

    /// An attacker closes a link; its peer sees that at once.
    pub(crate) fn hang_up(&mut self, by: Who, to: Who) {
        self.spend_send();
        if let Some((index, side)) = self.world.attached(to, by) {
            self.change_link(index, |link| link.close(side.other()));
            self.link_ends(index, side);
        }
    }

    fn spend_send(&mut self) {
        self.change_attacker(|attacker| attacker.sends = attacker.sends.saturating_sub(1));
    }

    fn change_attacker(&mut self, change: impl FnOnce(&mut Attacker)) {
        let mut attacker = Attacker::clone(&self.world.attacker);
        change(&mut attacker);
        if attacker != *self.world.attacker {
            self.world.attacker = Shared::new(attacker);
        }
    }

    /// A client falls into the attacker's hands: its machine is gone, its links are the attacker's.
    pub(crate) fn corrupt(&mut self, who: Who) {
        self.put(who, Client::default());
        self.world.dials.retain(|(from, _)| *from != who);
        self.change_attacker(|attacker| attacker.corrupt |= who.bit());
    }

    fn is_corrupt(&self, who: Who) -> bool {
        self.world.attacker.has(who)
    }

    /// The attacker's users remember what they are sent, also before they are its.
    fn learn(&mut self, who: Who, from: Who, message: &PeerMessage) {
        if self.scenario.attack.is_some_and(|attack| attack.owns(who)) {
            self.change_attacker(|attacker| attacker.learn(from, message));
        }
    }

    /// The attacker has nothing to read on a link that its peer has closed.
    fn close_ends_of_attacker(&mut self) {
        if self.world.attacker.corrupt == 0 {
            return;
        }
        for index in 0..self.world.links.len() {
            let Some(link) = self.world.links.get(index) else { return };
            for side in [Side::Dialler, Side::Acceptor] {
                let closed = self.is_corrupt(link.client(side)) && link.end(side.other()) == End::Closed;
                if closed && link.end(side) != End::Closed {
                    self.change_link(index, |link| link.close(side));
                    break;
                }
            }
        }
    }

    /// The next message on a link arrives.
    pub(crate) fn deliver(&mut self, index: usize, side: Side) {
        let Some(place) = self.world.links.get_mut(index) else { return };
        let mut link = Link::clone(place);
        let Some(message) = link.receive(side) else { return };
        let (who, from, end) = (link.client(side), link.peer(side), link.end(side));
        *place = Shared::new(link);
        match end {
            End::Attached => self.received(who, from, &message),
            End::Unheard => self.first_message(index, side, &message),
            End::Closed => {}
        }
        self.work_off();
    }

    /// This side sees the end of a link that the other side closed, or that is cut.
    pub(crate) fn link_ends(&mut self, index: usize, side: Side) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, peer, end) = (link.client(side), link.peer(side), link.end(side));
        self.change_link(index, |link| link.close(side));
        if end == End::Attached {
            self.lose(who, peer);
        }
        self.work_off();
    }

    /// A link is cut; each side will see its end.
    pub(crate) fn cut(&mut self, index: usize) {
        self.change_link(index, Link::cut);
    }

    /// A client dies: its machine is gone, and its peers will see the ends of their links.
    pub(crate) fn crash(&mut self, who: Who) {
        self.monitor.died(who);
        self.put(who, Client::default());
        self.world.dials.retain(|(from, _)| *from != who);
        for index in 0..self.world.links.len() {
            if let Some(side) = self.world.links.get(index).and_then(|link| link.side_of(who)) {
                self.change_link(index, |link| {
                    link.close(side);
                    link.cut();
                });
            }
        }
    }

    /// A dial succeeds.
    pub(crate) fn link_up(&mut self, from: Who, to: Who) {
        self.stop_dialling(from, to);
        self.open(from, to);
        self.work_off();
    }

    /// A dial fails.
    pub(crate) fn link_fails(&mut self, from: Who, to: Who) {
        self.stop_dialling(from, to);
        self.fail_dial(from, to);
        self.work_off();
    }

    // --- links ---

    fn open(&mut self, from: Who, to: Who) {
        let Some(peer) = self.cast.peer(to) else { return };
        let mut link = Link::new(from, to);
        if self.is_corrupt(to) {
            link.attach(Side::Acceptor);
        }
        self.insert_link(link);
        self.note(|| format!("{from} has a link to {to}"));
        self.todo.push_back((from, Event::LinkUp { peer }));
    }

    fn insert_link(&mut self, link: Link) -> usize {
        let place = |other: &Shared<Link>| (other.dialler, other.acceptor) <= (link.dialler, link.acceptor);
        let at = self.world.links.partition_point(place);
        self.world.links.insert(at, Shared::new(link));
        at
    }

    fn fail_dial(&mut self, from: Who, to: Who) {
        let Some(peer) = self.cast.member(to) else { return };
        self.note(|| format!("{from} cannot have a link to {to}"));
        self.todo.push_back((from, Event::LinkFailed { peer: peer.handle.clone() }));
    }

    fn lose(&mut self, who: Who, peer: Who) {
        let Some(member) = self.cast.member(peer) else { return };
        self.note(|| format!("{who} sees the end of the link to {peer}"));
        self.todo.push_back((who, Event::LinkLost { peer: member.handle.clone() }));
    }

    fn stop_dialling(&mut self, from: Who, to: Who) {
        self.world.dials.retain(|dial| *dial != (from, to));
    }

    fn change_link(&mut self, index: usize, change: impl FnOnce(&mut Link)) {
        if let Some(place) = self.world.links.get_mut(index) {
            let mut link = Link::clone(place);
            change(&mut link);
            *place = Shared::new(link);
        }
    }

    /// The accepting end reads the first message of a link.
    fn first_message(&mut self, index: usize, side: Side, message: &Arc<PeerMessage>) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        let invite = matches!(&**message, PeerMessage::Invitation(_));
        if invite && self.world.client(who).is_some_and(|client| client.over) {
            // Who asks a former member back has begun the epoch without it.
            self.put(who, Client::default());
            self.drop_links(who);
        }
        let session = self.world.client(who).and_then(|client| client.session.as_ref());
        match (&**message, session) {
            (PeerMessage::Invitation(invitation), None) => self.invited(index, side, invitation),
            (PeerMessage::Invitation(invitation), Some(_)) => {
                // A client answers for itself where it is in the session already.
                self.note(|| format!("{who} has this session already and rejects"));
                let body = InvitationBody::Reject(Reject {});
                let reject = InvitationMessage { body, session: invitation.session };
                self.change_link(index, |link| link.send(side, Arc::new(PeerMessage::Invitation(reject))));
                self.change_link(index, |link| link.close(side));
            }
            (PeerMessage::Session(said), Some(session)) if matches!(said.body, SessionBody::Admit(_)) => {
                let replaces =
                    self.cast.member(from).is_some_and(|peer| session.gives_way(&peer.handle, said));
                if self.world.is_dialling(who, from) && replaces {
                    self.stop_dialling(who, from);
                    self.fail_dial(who, from);
                } else if let Some((old, old_side)) = self.world.attached(who, from) {
                    if !replaces {
                        self.refuse_link(index, side, ErrorCode::AlreadyMember);
                        return;
                    }
                    self.change_link(old, |link| link.close(old_side));
                    self.lose(who, from);
                    self.work_off();
                }
                self.change_link(index, |link| link.attach(side));
                self.received(who, from, message);
            }
            (PeerMessage::Session(_), _) => self.refuse_link(index, side, ErrorCode::NoSuchSession),
        }
    }

    fn refuse_link(&mut self, index: usize, side: Side, code: ErrorCode) {
        self.fault(index, side, code);
        self.change_link(index, |link| link.close(side));
    }

    /// An end closes with an error code. Where nobody reads it any more, it blames nobody.
    fn fault(&mut self, index: usize, side: Side, code: ErrorCode) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, peer) = (link.client(side), link.peer(side));
        let heard = self.world.client(peer).is_some_and(|client| client.session.is_some())
            && link.end(side.other()) == End::Attached;
        self.note(|| format!("{who} closes the link to {peer} with the error {code}"));
        if self.is_corrupt(peer) {
            self.refusals |= refusal_bit(code);
        }
        if heard && self.is_blamed(who, peer) {
            self.monitor.blame(Violation::HonestFault);
        }
    }

    /// Whether a fault between these two shows that a machine is wrong. An attacker that coordinates sets honest members
    /// against each other, and one that invites sends an honest newcomer to members that have never heard of it.
    fn is_blamed(&self, who: Who, peer: Who) -> bool {
        let knows = |who: Who, peer: Who| {
            let epoch = self.world.client(who).and_then(Client::epoch);
            epoch.is_some_and(|epoch| names(epoch, peer))
        };
        self.world.attacker.corrupt == 0
            || (!self.world.attacker.has_power() && knows(who, peer) && knows(peer, who))
    }

    fn invited(&mut self, index: usize, side: Side, invitation: &InvitationMessage) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        let (Some(me), Some(inviter)) = (self.cast.member(who), self.cast.peer(from)) else { return };
        let hand = Hand::new(me.key);
        let mut out = Vec::new();
        let began = tap::invited(
            who,
            me.clone(),
            inviter,
            invitation,
            Verdict::Allow,
            &context(who, &hand),
            &mut out,
        );
        match began {
            Ok(session) => {
                if let InvitationBody::Invite(invite) = &invitation.body {
                    let is_derived = crypto::session_id(&invite.origin) == session.id();
                    self.monitor.blame_unless(is_derived, Violation::SessionForged);
                }
                self.change_link(index, |link| link.attach(side));
                let client = Client { session: Some(session), ..Client::default() };
                self.carry_out(who, client, None, out);
            }
            Err(code) => self.refuse_link(index, side, code),
        }
    }

    fn received(&mut self, who: Who, from: Who, message: &Arc<PeerMessage>) {
        self.learn(who, from, message);
        let other_key = self
            .world
            .attached(who, from)
            .is_some_and(|(index, _)| self.world.links.get(index).is_some_and(|link| link.has_other_key));
        if let Some(mut from) = self.cast.peer(from) {
            if other_key {
                from.key = OTHER_KEY;
            }
            let message = PeerMessage::clone(message);
            self.todo.push_back((who, Event::Received { from, message }));
        }
    }

    // --- machines ---

    fn put(&mut self, who: Who, client: Client) {
        if let Some(place) = self.world.clients.get_mut(who.index()) {
            *place = Shared::new(client);
        }
    }

    fn work_off(&mut self) {
        while let Some((who, event)) = self.todo.pop_front() {
            self.handle(who, event);
        }
    }

    fn handle(&mut self, who: Who, event: Event) {
        let (Some(client), Some(me)) = (self.world.client(who), self.cast.member(who)) else { return };
        let mut client = client.clone();
        let Some(session) = client.session.as_mut() else { return };
        let before = session.epoch().cloned();
        let is_orphaned = before.as_ref().is_some_and(|epoch| {
            epoch.coordinator != me.handle && self.world.attached(who, Who::of(&epoch.coordinator)).is_none()
        });
        let attacked = self.scenario.attack.is_some();
        if attacked {
            keep_early(&mut client.early, before.as_deref(), &event);
        }
        let trigger = attacked.then(|| event.clone());
        let hand = Hand::new(me.key);
        let mut out = Vec::new();
        tap::handle(who, session, event, &context(who, &hand), &mut out);
        for grant in hand.into_granted() {
            self.note(|| {
                format!(
                    "{who} grants the token to {} for {}",
                    Who::of(&grant.holder),
                    words::change(&grant.change)
                )
            });
            if !self.world.attacker.coordinates {
                self.monitor.granted(grant);
            }
        }
        if attacked && self.world.attacker.corrupt != 0 {
            let now = trigger.as_ref().and_then(received);
            let witness = Witness {
                me,
                is_leaving: client.leaving,
                is_orphaned,
                before: before.as_deref(),
                early: &client.early,
                now,
            };
            witness.judge(&out, &mut self.monitor);
        }
        if let Some(epoch) = client.epoch().map(|epoch| epoch.number) {
            client.early.retain(|(_, message)| {
                let is_word = matches!(message.body, SessionBody::Complete(_));
                message.epoch > epoch || (is_word && message.epoch == epoch)
            });
        }
        self.carry_out(who, client, before.as_deref(), out);
    }

    /// Does what a machine asked for, in order.
    fn carry_out(&mut self, who: Who, mut client: Client, before: Option<&Epoch>, out: Vec<Action>) {
        // What a notice is about: the epoch that held when it was pushed.
        let mut view = before.cloned();
        for action in out {
            match action {
                Action::Connect { peer, target: _ } => self.connect(who, Who::of(&peer)),
                Action::Send { to, message } => self.send(who, &to, Arc::new(message)),
                Action::Disconnect { peer, fault } => self.disconnect(who, Who::of(&peer), fault),
                Action::Arm { timer, after: _ } => {
                    if self.scenario.has_timers()
                        && let Err(at) = client.armed.binary_search(&timer)
                    {
                        client.armed.insert(at, timer);
                    }
                }
                Action::Disarm(timer) => client.armed.retain(|armed| *armed != timer),
                Action::Tell(notice) => self.tell(who, &mut client, &mut view, notice),
                Action::Late { from } => {
                    self.note(|| format!("{who} ignores what comes late from {}", Who::of(&from)));
                }
            }
        }
        if client.session.as_ref().is_some_and(Session::is_ended) {
            client = Client::default();
            self.drop_links(who);
        }
        self.put(who, client);
    }

    fn drop_links(&mut self, who: Who) {
        self.world.dials.retain(|(from, _)| *from != who);
        for index in 0..self.world.links.len() {
            let side = self
                .world
                .links
                .get(index)
                .and_then(|link| link.side_of(who).filter(|side| link.end(*side) == End::Attached));
            if let Some(side) = side {
                self.change_link(index, |link| link.close(side));
            }
        }
    }

    fn connect(&mut self, who: Who, peer: Who) {
        self.note(|| format!("{who} dials {peer}"));
        if self.world.attached(who, peer).is_some() {
            // There is a link already, and there is one of a session to a peer at most.
            self.fail_dial(who, peer);
        } else if self.scenario.dialling == Dialling::AtOnce {
            self.open(who, peer);
        } else if let Err(at) = self.world.dials.binary_search(&(who, peer)) {
            self.world.dials.insert(at, (who, peer));
        }
    }

    fn send(&mut self, who: Who, to: &[UserHandle], message: Arc<PeerMessage>) {
        for peer in to {
            let peer = Who::of(peer);
            self.note(|| format!("{who} -> {peer}: {}", words::message(&message)));
            match self.world.attached(who, peer) {
                Some(_) if self.is_corrupt(peer) => self.learn(peer, who, &message),
                Some((index, side)) => self.change_link(index, |link| link.send(side, Arc::clone(&message))),
                None => self.monitor.blame(Violation::NoSuchLink),
            }
        }
    }

    fn disconnect(&mut self, who: Who, peer: Who, fault: Option<ErrorCode>) {
        self.stop_dialling(who, peer);
        let Some((index, side)) = self.world.attached(who, peer) else { return };
        match fault {
            Some(code) => self.fault(index, side, code),
            None => self.note(|| format!("{who} closes the link to {peer}")),
        }
        self.change_link(index, |link| link.close(side));
    }

    fn tell(&mut self, who: Who, client: &mut Client, view: &mut Option<Epoch>, notice: Notice) {
        self.note(|| format!("{who} is told: {}", words::notice(&notice)));
        match notice {
            Notice::Invited { .. } | Notice::NotPossible(_) | Notice::MessagePending { .. } => {}
            Notice::InvitationRejected { invitee } | Notice::InvitationFailed { invitee, code: _ } => {
                client.inviting &= !Who::of(&invitee).bit();
            }
            Notice::EpochBegan(epoch) => {
                let coordinator = view.as_ref().map_or(&epoch.coordinator, |view| &view.coordinator);
                if self.is_corrupt(Who::of(coordinator)) {
                    self.change_attacker(|attacker| attacker.coordinates = true);
                }
                if !self.world.attacker.coordinates {
                    let lost = self.lost_by(who, view.as_ref());
                    self.monitor.began(who, view.as_ref(), &epoch, lost);
                }
                if self.is_corrupt(Who::of(&epoch.coordinator)) {
                    self.change_attacker(|attacker| attacker.leads = true);
                }
                if let Change::Join(Member { handle, .. }) = &epoch.change {
                    client.inviting &= !Who::of(handle).bit();
                }
                *view = Some(Epoch::clone(&epoch));
            }
            Notice::MessageReceived { from, epoch, number, .. } => {
                if self.is_corrupt(Who::of(&from)) {
                    self.monitor.may_say(Who::of(&from), view.as_ref(), epoch, number);
                }
                self.monitor.delivered(who, view.as_ref(), Who::of(&from), epoch, number);
            }
            Notice::MessageSent { local, epoch, number, to } => {
                self.monitor.sent(who, view.as_ref(), epoch, number);
                let to = to.iter().map(Who::of).collect();
                self.monitor.outcome(who, local, &Outcome::Sent(to));
            }
            Notice::MessageDelivered { local, to, epoch, number } => {
                if !self.is_corrupt(Who::of(&to)) {
                    self.monitor.receipt(who, Who::of(&to), epoch, number);
                }
                self.monitor.outcome(who, local, &Outcome::Settled(Who::of(&to)));
            }
            Notice::MessageFailed { local, to } => {
                self.monitor.outcome(who, local, &Outcome::Settled(Who::of(&to)));
            }
            Notice::MessageUnsent { local } => self.monitor.outcome(who, local, &Outcome::Unsent),
            Notice::MemberLost(peer) | Notice::ForkNoticed(peer) => self.gives_up(who, Who::of(&peer)),
            Notice::Ended(reason) => {
                self.monitor.ended(who);
                client.over = true;
                client.leaving = false;
                client.inviting = 0;
                match reason {
                    EndReason::Left => {
                        if let Some(epoch) = view.as_ref() {
                            self.monitor.left_behind(who, epoch);
                        }
                    }
                    EndReason::InvitationOver | EndReason::JoinFailed => {}
                    EndReason::MemberLost if self.has_lost_attacker(view.as_ref()) => {}
                    EndReason::MemberLost => self.given_up(),
                }
            }
        }
    }

    /// Whom a member of this epoch may have lost. Where somebody attacks, the coordinator may have gone in the middle of what it
    /// did; who still has its link to it has not lost it.
    fn lost_by(&self, who: Who, view: Option<&Epoch>) -> Lost {
        let is_orphaned = view.is_some_and(|view| {
            let coordinator = Who::of(&view.coordinator);
            coordinator != who && self.world.attached(who, coordinator).is_none()
        });
        if self.scenario.has_faults() {
            Lost::Anybody
        } else if self.scenario.attack.is_some() && is_orphaned {
            Lost::Coordinator
        } else {
            Lost::Nobody
        }
    }

    /// Somebody loses a member. That somebody honest is lost is excused where it has ended its session itself.
    fn gives_up(&mut self, who: Who, peer: Who) {
        let is_gone = |client: &Client| client.epoch().is_none();
        let excused = self.scenario.attack.is_some()
            && (self.is_corrupt(peer) || self.world.client(peer).is_none_or(is_gone));
        if !excused {
            self.note(|| format!("{who} has lost {peer}, who is there"));
            self.given_up();
        }
    }

    /// The stated limit of SESS-120: a member that hangs up on one member alone makes that one end the session.
    fn has_lost_attacker(&self, view: Option<&Epoch>) -> bool {
        view.is_some_and(|view| view.handles().any(|handle| self.is_corrupt(Who::of(handle))))
    }

    /// A member was given up; only a lost link or a timer excuses that, or a coordinator that attacks. Where somebody attacks,
    /// the death of a client excuses nothing: nobody who lives is to pay for it.
    fn given_up(&mut self) {
        let excused = match self.scenario.attack {
            Some(_) => self.scenario.has_losses() || self.world.attacker.has_power(),
            None => self.scenario.has_faults(),
        };
        if !excused {
            self.monitor.blame(Violation::MemberGivenUp);
        }
    }
}

/// The key that an attacker's user has beside the one that the others know it by.
const OTHER_KEY: KeyHash = KeyHash([OTHER_KEY_BYTE; 32]);

/// Each byte of it.
pub(crate) const OTHER_KEY_BYTE: u8 = 0xAA;

/// What came, if the event is that something came.
fn received(event: &Event) -> Option<(&Peer, &PeerMessage)> {
    let Event::Received { from, message } = event else { return None };
    Some((from, message))
}

/// Keeps what comes for an epoch that has not begun here, of the kinds that the oracle asks for; and that a newcomer is done,
/// which others may have to be too before anything follows from it.
fn keep_early(early: &mut Vec<(Peer, SessionMessage)>, before: Option<&Epoch>, event: &Event) {
    let Event::Received { from, message: PeerMessage::Session(message) } = event else { return };
    let is_ahead = before.is_none_or(|epoch| message.epoch > epoch.number);
    let is_now = before.is_some_and(|epoch| message.epoch == epoch.number);
    let kept = match message.body {
        SessionBody::Admit(_) | SessionBody::Close(_) | SessionBody::Message(_) => is_ahead,
        SessionBody::Complete(_) => is_ahead || is_now,
        SessionBody::TokenRequest(_)
        | SessionBody::TokenRefused(_)
        | SessionBody::TokenGrant(_)
        | SessionBody::TokenReturn(_)
        | SessionBody::Admitted(_)
        | SessionBody::HandOver(_)
        | SessionBody::HandOverAnswer(_)
        | SessionBody::Closed(_)
        | SessionBody::Commit(_)
        | SessionBody::Follow(_)
        | SessionBody::Received(_) => false,
    };
    let said = (from.clone(), message.clone());
    if kept && !early.contains(&said) {
        early.push(said);
    }
}

/// What every event of this client comes with. The entropy is the client's own and always the same: what is drawn
/// from it names an epoch beside it.
fn context(who: Who, hand: &Hand) -> Context<'_> {
    Context { now: NOW, entropy: [who.0; 16], crypto: hand }
}
