//! The caller of the machines, as their contract ([`Session`]) asks for it: links by peer, first messages, second
//! links, timers, and the end.

use std::{sync::Arc, time::Duration};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    machine::{Context, Machine as _},
    message::client_client::{Content, InvitationBody, InvitationMessage, PeerMessage, Reject, SessionBody},
    policy::Verdict,
    session::{Action, Change, Epoch, Event, LocalNumber, Notice, Session},
};

use super::{
    client::Past,
    clock::Instant,
    network::LinkId,
    oracle::Property,
    reached::Place,
    run::{Happening, Run},
};
use crate::{
    cast::Who,
    crypto::Hand,
    link::{End, Link, Side},
    tap, words,
};

impl Run {
    /// What every event of this client comes with.
    pub(super) fn context<'h>(&mut self, who: Who, hand: &'h Hand) -> Context<'h> {
        let skew = self.noise.skew(who);
        Context { now: self.now.on_clock(skew), entropy: self.noise.entropy(who), crypto: hand }
    }

    // --- users ---

    /// An event that needs no link: the user's, or a timer's.
    pub(super) fn event(&mut self, who: Who, event: Event) {
        self.todo.push_back((who, event));
        self.work_off();
    }

    pub(super) fn invite(&mut self, who: Who, whom: Who) {
        let Some(invitee) = self.cast.member(whom).map(|member| member.handle.clone()) else { return };
        let inviting_too =
            self.everyone().any(|(other, client)| other != who && client.user.inviting.contains_key(&whom));
        let Some(client) = self.client_mut(who) else { return };
        if client.session.is_none() || client.user.is_over {
            return;
        }
        // A client on its way in can invite nobody, and says so with no word of the invitation.
        if client.epoch().is_some() {
            client.invites(whom);
            if inviting_too {
                self.reach(Place::CrossingInvitations);
            }
        }
        self.event(who, Event::Invite { invitee });
    }

    pub(super) fn say(&mut self, who: Who) {
        let local = LocalNumber(self.words_said);
        let Some(client) = self.client_mut(who) else { return };
        if client.user.is_over || client.epoch().is_none() {
            return;
        }
        client.user.saying = Some(local);
        self.words_said += 1;
        self.oracle.said(who, local);
        let content = Content(local.0.to_be_bytes().into());
        self.event(who, Event::Say { local, media_type: "text/plain".into(), content });
        if let Some(client) = self.client_mut(who) {
            client.user.saying = None;
        }
    }

    // --- links ---

    /// Whether a client can be reached.
    pub(super) fn is_there(&self, from: Who, to: Who) -> bool {
        self.network.reaches(from, to) && self.client(to).is_some_and(|client| !client.is_dead)
    }

    fn connect(&mut self, from: Who, to: Who) {
        self.note(|| format!("{from} dials {to}"));
        if self.client(from).is_some_and(|client| client.links.contains_key(&to)) {
            // There is a link already, and there is one of a session to a peer at most.
            self.link_failed(from, to);
            return;
        }
        let (succeeds, after) = if self.is_there(from, to) {
            self.noise.dial(from, to)
        } else {
            (false, self.noise.vain_dial(from, to))
        };
        let Some(client) = self.client_mut(from) else { return };
        let dial = client.next_count();
        client.dials.insert(to, dial);
        self.agenda.plan(self.now.after(after), Happening::Dialled { from, to, dial, succeeds });
    }

    pub(super) fn dialled(&mut self, from: Who, to: Who, succeeds: bool) {
        if let Some(client) = self.client_mut(from) {
            client.dials.remove(&to);
        }
        let Some(peer) = self.cast.peer(to).filter(|_| succeeds) else {
            self.reach(Place::DialFailed);
            self.link_failed(from, to);
            return;
        };
        let id = self.network.open(from, to);
        if let Some(client) = self.client_mut(from) {
            client.links.insert(to, id);
        }
        self.todo.push_back((from, Event::LinkUp { peer }));
    }

    fn link_failed(&mut self, who: Who, peer: Who) {
        if let Some(peer) = self.cast.member(peer) {
            self.todo.push_back((who, Event::LinkFailed { peer: peer.handle.clone() }));
        }
    }

    fn link_lost(&mut self, who: Who, peer: Who) {
        if let Some(peer) = self.cast.member(peer) {
            self.todo.push_back((who, Event::LinkLost { peer: peer.handle.clone() }));
        }
    }

    /// A side sees the end of a link.
    pub(super) fn link_ends(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.network.link(id) else { return };
        let (who, peer, end) = (link.client(side), link.peer(side), link.end(side));
        self.close(id, side);
        if end == End::Attached {
            self.link_lost(who, peer);
        }
    }

    fn send_on(&mut self, id: LinkId, side: Side, message: Arc<PeerMessage>) {
        let Some(link) = self.network.link(id) else { return };
        if link.is_cut() || link.end(side.other()) == End::Closed {
            return;
        }
        let (from, to) = (link.client(side), link.peer(side));
        let at = self.now.after(self.noise.latency(from, to));
        if let Some(wire) = self.network.wire(id) {
            wire.link.send(side, message);
            let at = wire.arrival(side.other(), at);
            self.agenda.plan(at, Happening::Arrives { link: id, side: side.other() });
        }
    }

    /// A client closes its side; the other side sees the end behind what was sent.
    fn close(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.network.link(id) else { return };
        let (who, peer, is_cut, end) = (link.client(side), link.peer(side), link.is_cut(), link.end(side));
        if end == End::Closed {
            return;
        }
        if let Some(client) = self.client_mut(who)
            && client.links.get(&peer) == Some(&id)
        {
            client.links.remove(&peer);
        }
        let at = self.now.after(self.noise.latency(who, peer));
        if let Some(wire) = self.network.wire(id) {
            wire.link.close(side);
            // The end of a broken link is seen when it is noticed, and that is on the agenda already.
            if !is_cut && wire.link.end(side.other()) != End::Closed {
                let at = wire.arrival(side.other(), at);
                self.agenda.plan(at, Happening::Ends { link: id, side: side.other() });
            }
        }
        self.network.forget_if_gone(id);
    }

    /// Breaks some links; each end notices in its own time.
    pub(super) fn break_links(&mut self, which: impl Fn(&Link) -> bool) {
        let broken: Vec<LinkId> = self
            .network
            .links()
            .filter(|(_, link)| !link.is_cut() && which(link))
            .map(|(id, _)| id)
            .collect();
        for id in broken {
            self.break_link(id);
        }
    }

    fn break_link(&mut self, id: LinkId) {
        if let Some(wire) = self.network.wire(id) {
            wire.link.cut();
        }
        for side in [Side::Dialler, Side::Acceptor] {
            let Some(link) = self.network.link(id) else { return };
            let (who, peer, under_way) = (link.client(side), link.peer(side), link.towards(side).len());
            if link.end(side) == End::Closed {
                continue;
            }
            let survivors = self.noise.survivors(peer, who, under_way);
            let at = self.now.after(self.noise.detection(who, peer));
            if let Some(wire) = self.network.wire(id) {
                wire.link.lose_after(side, survivors);
                self.agenda.plan(at, Happening::Ends { link: id, side });
            }
        }
    }

    /// A client dies: its machine is gone, and its peers notice that their links are.
    pub(super) fn crash(&mut self, who: Who) {
        let Some(client) = self.client_mut(who) else { return };
        if client.is_dead {
            return;
        }
        let coordinated =
            client.epoch().is_some_and(|epoch| epoch.members.len() > 1 && Who::of(&epoch.coordinator) == who);
        let was_joining = client.session.is_some() && client.epoch().is_none();
        client.renew(None);
        client.is_dead = true;
        self.oracle.died(who);
        let own: Vec<(LinkId, Side)> =
            self.network.links().filter_map(|(id, link)| Some((id, link.side_of(who)?))).collect();
        for (id, side) in own {
            if let Some(wire) = self.network.wire(id) {
                wire.link.close(side);
            }
            if self.network.link(id).is_some_and(|link| !link.is_cut()) {
                self.break_link(id);
            }
            self.network.forget_if_gone(id);
        }
        self.reach(Place::Crash);
        if coordinated {
            self.reach(Place::CoordinatorCrashed);
        }
        if was_joining {
            self.reach(Place::NewcomerCrashed);
        }
    }

    fn drop_links(&mut self, who: Who) {
        let Some(client) = self.client_mut(who) else { return };
        client.dials.clear();
        let links: Vec<LinkId> = client.links.values().copied().collect();
        for id in links {
            if let Some(side) = self.network.link(id).and_then(|link| link.side_of(who)) {
                self.close(id, side);
            }
        }
    }

    // --- first messages ---

    /// The accepting end reads the first message of a link.
    pub(super) fn first_message(&mut self, id: LinkId, side: Side, message: &Arc<PeerMessage>) {
        let Some(link) = self.network.link(id) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        if self.client(who).is_none_or(|client| client.is_dead) {
            return;
        }
        match &**message {
            PeerMessage::Invitation(invitation) => {
                if self.client(who).is_some_and(|client| client.user.is_over) {
                    // Who asks a former member back has begun the epoch without it.
                    self.drop_links(who);
                    if let Some(client) = self.client_mut(who) {
                        client.renew(None);
                    }
                }
                if self.client(who).is_some_and(|client| client.session.is_some()) {
                    // A client answers for itself where it is in the session already.
                    self.note(|| format!("{who} is in a session already and rejects"));
                    let body = InvitationBody::Reject(Reject {});
                    let reject = InvitationMessage { body, session: invitation.session };
                    self.send_on(id, side, Arc::new(PeerMessage::Invitation(reject)));
                    self.close(id, side);
                } else {
                    self.invited(id, side, invitation);
                }
            }
            PeerMessage::Session(said) => {
                let session = self.client(who).and_then(|client| client.session.as_ref());
                let session = session.filter(|session| {
                    session.id() == said.session && matches!(said.body, SessionBody::Admit(_))
                });
                let Some(session) = session else {
                    self.refuse_link(id, side, ErrorCode::NoSuchSession);
                    return;
                };
                let gives_way =
                    self.cast.member(from).is_some_and(|peer| session.gives_way(&peer.handle, said));
                if self.make_way(who, from, gives_way) {
                    self.attach(id, side);
                    self.received(who, from, message);
                } else {
                    self.refuse_link(id, side, ErrorCode::AlreadyMember);
                }
            }
        }
    }

    /// Whether a second link of a peer is served, in place of the one that stands or is dialled.
    fn make_way(&mut self, who: Who, from: Who, gives_way: bool) -> bool {
        let Some(client) = self.client_mut(who) else { return false };
        if gives_way && client.dials.remove(&from).is_some() {
            self.link_failed(who, from);
            self.work_off();
            return true;
        }
        let Some(&old) = client.links.get(&from) else { return true };
        if gives_way && let Some(side) = self.network.link(old).and_then(|link| link.side_of(who)) {
            self.reach(Place::LinkGaveWay);
            self.close(old, side);
            self.link_lost(who, from);
            self.work_off();
        }
        gives_way
    }

    fn attach(&mut self, id: LinkId, side: Side) {
        let Some(wire) = self.network.wire(id) else { return };
        wire.link.attach(side);
        let (who, peer) = (wire.link.client(side), wire.link.peer(side));
        if let Some(client) = self.client_mut(who) {
            client.links.insert(peer, id);
        }
    }

    fn refuse_link(&mut self, id: LinkId, side: Side, code: ErrorCode) {
        self.fault(id, side, code);
        self.close(id, side);
    }

    /// An end closes with an error code. Where nobody reads it any more, it blames nobody.
    fn fault(&mut self, id: LinkId, side: Side, code: ErrorCode) {
        let Some(link) = self.network.link(id) else { return };
        let (who, peer) = (link.client(side), link.peer(side));
        let is_heard = self.client(peer).is_some_and(|client| client.session.is_some())
            && link.end(side.other()) == End::Attached;
        self.note(|| format!("{who} closes the link to {peer} with the error {code}"));
        self.reach(Place::LinkRefused(code));
        self.oracle.closed_with(who, peer, code, is_heard);
    }

    fn invited(&mut self, id: LinkId, side: Side, invitation: &InvitationMessage) {
        let Some(link) = self.network.link(id) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        let (Some(me), Some(inviter)) = (self.cast.member(who).cloned(), self.cast.peer(from)) else {
            return;
        };
        let hand = Hand::new(me.key);
        let mut out = Vec::new();
        let context = self.context(who, &hand);
        match tap::invited(who, me, inviter, invitation, Verdict::Allow, &context, &mut out) {
            Ok(session) => {
                if let Some(client) = self.client_mut(who) {
                    client.renew(Some(session));
                }
                self.attach(id, side);
                self.carry_out(who, None, out);
            }
            Err(code) => self.refuse_link(id, side, code),
        }
    }

    pub(super) fn received(&mut self, who: Who, from: Who, message: &Arc<PeerMessage>) {
        let Some(from) = self.cast.peer(from) else { return };
        if let PeerMessage::Session(said) = &**message
            && self.client(who).and_then(|c| c.epoch()).is_some_and(|own| own.number.next() == said.epoch)
        {
            self.reach(Place::MessageForNextEpoch);
        }
        self.todo.push_back((who, Event::Received { from, message: PeerMessage::clone(message) }));
    }

    // --- machines ---

    pub(super) fn work_off(&mut self) {
        while let Some((who, event)) = self.todo.pop_front() {
            self.handle(who, event);
        }
    }

    fn handle(&mut self, who: Who, event: Event) {
        let Some(me) = self.cast.member(who) else { return };
        let hand = Hand::new(me.key);
        let context = self.context(who, &hand);
        let Some(session) = self.client_mut(who).and_then(|client| client.session.as_mut()) else { return };
        let before = session.epoch().cloned();
        let mut out = Vec::new();
        tap::handle(who, session, event, &context, &mut out);
        for commitment in hand.committed() {
            self.oracle.committed(who, commitment);
        }
        for grant in hand.into_granted() {
            self.note(|| {
                format!(
                    "{who} grants the token to {} for {}",
                    Who::of(&grant.holder),
                    words::change(&grant.change)
                )
            });
            self.oracle.granted(who, grant);
        }
        self.carry_out(who, before, out);
    }

    /// Does what a machine asked for, in order.
    fn carry_out(&mut self, who: Who, before: Option<Arc<Epoch>>, out: Vec<Action>) {
        // What a notice is about: the epoch that held when it was pushed.
        let mut view = before;
        for action in out {
            match action {
                Action::Connect { peer, target: _ } => self.connect(who, Who::of(&peer)),
                Action::Send { to, message } => self.send(who, &to, &Arc::new(message)),
                Action::Disconnect { peer, fault } => self.disconnect(who, Who::of(&peer), fault),
                Action::Arm { timer, after } => self.arm(who, timer, after),
                Action::Disarm(timer) => {
                    if let Some(client) = self.client_mut(who) {
                        client.timers.remove(&timer);
                    }
                }
                Action::Tell(notice) => self.tell(who, &mut view, notice),
                Action::Late { from } => {
                    self.reach(Place::MessageLate);
                    self.note(|| format!("{who} ignores what comes late from {}", Who::of(&from)));
                }
            }
        }
        self.oracle.check_bounds(who, self.clients.get(who.index()));
        if self.client(who).and_then(|client| client.session.as_ref()).is_some_and(Session::is_ended) {
            self.check_end(who);
            self.drop_links(who);
            if let Some(client) = self.client_mut(who) {
                client.renew(None);
            }
        }
    }

    /// A machine that has ended does nothing any more.
    fn check_end(&mut self, who: Who) {
        let Some(me) = self.cast.member(who).cloned() else { return };
        let hand = Hand::new(me.key);
        let context = self.context(who, &hand);
        let Some(session) = self.client_mut(who).and_then(|client| client.session.as_mut()) else { return };
        let mut out = Vec::new();
        for event in [Event::Leave, Event::Accept, Event::LinkLost { peer: me.handle }] {
            session.handle(event, &context, &mut out);
        }
        if !out.is_empty() || !session.is_ended() {
            self.oracle.blame(Property::Ended, format!("{who} goes on after its end"));
        }
    }

    fn arm(&mut self, who: Who, timer: antiphon_spec::session::Timer, after: Duration) {
        let at: Instant = self.now.after(after);
        let Some(client) = self.client_mut(who) else { return };
        let (armed, stay) = (client.next_count(), client.stay);
        client.timers.insert(timer.clone(), armed);
        self.agenda.plan(at, Happening::Fires { who, stay, timer, armed });
    }

    fn send(&mut self, who: Who, to: &[UserHandle], message: &Arc<PeerMessage>) {
        for peer in to.iter().map(Who::of) {
            self.note(|| format!("{who} -> {peer}: {}", words::message(message)));
            let id = self.client(who).and_then(|client| client.links.get(&peer)).copied();
            match id.and_then(|id| Some((id, self.network.link(id)?.side_of(who)?))) {
                Some((id, side)) => self.send_on(id, side, Arc::clone(message)),
                None => self.oracle.blame(Property::NoSuchLink, format!("{who} speaks to {peer}")),
            }
        }
    }

    fn disconnect(&mut self, who: Who, peer: Who, fault: Option<ErrorCode>) {
        let Some(client) = self.client_mut(who) else { return };
        client.dials.remove(&peer);
        let Some(&id) = client.links.get(&peer) else { return };
        let Some(side) = self.network.link(id).and_then(|link| link.side_of(who)) else { return };
        match fault {
            Some(code) => self.fault(id, side, code),
            None => self.note(|| format!("{who} closes the link to {peer}")),
        }
        self.close(id, side);
    }

    fn tell(&mut self, who: Who, view: &mut Option<Arc<Epoch>>, notice: Notice) {
        self.note(|| format!("{who} is told: {}", words::notice(&notice)));
        self.reached.notice(&notice);
        let stay = self.stay(who);
        let Some(client) = self.clients.get_mut(who.index()) else { return };
        if client.user.is_over {
            self.oracle.blame(
                Property::Ended,
                format!("{who} is told more after its end: {}", words::notice(&notice)),
            );
        }
        match notice {
            Notice::Invited { .. } => {
                let (answer, after) = self.noise.answer(who);
                self.agenda.plan(self.now.after(after), Happening::Answers { who, stay, answer });
            }
            Notice::NotPossible(_) => match client.user.saying {
                Some(local) => self.oracle.unsaid(who, local),
                None => client.user.is_leaving = false,
            },
            Notice::InvitationRejected { invitee } | Notice::InvitationFailed { invitee, code: _ } => {
                client.hears_of(Who::of(&invitee));
            }
            Notice::EpochBegan(epoch) => {
                if let Change::Join(member) = &epoch.change {
                    client.user.inviting.remove(&Who::of(&member.handle));
                }
                if view.is_none() {
                    self.reached.came_in(client.past);
                }
                self.oracle.began(who, stay, view.as_deref(), &epoch);
                self.check_neighbours(who, &epoch);
                *view = Some(epoch);
            }
            Notice::MessageReceived { from, epoch, number, content, .. } => {
                self.oracle.delivered(who, view.as_deref(), Who::of(&from), (epoch, number), &content);
            }
            Notice::MessagePending { .. } => {}
            Notice::MessageSent { local, epoch, number, to } => {
                self.oracle.sent(who, (epoch, number), local, to.iter().map(Who::of).collect());
            }
            Notice::MessageDelivered { local, to, epoch, number } => {
                self.oracle.receipt(who, Who::of(&to), (epoch, number), local);
                self.oracle.settled(who, local, Who::of(&to));
            }
            Notice::MessageFailed { local, to } => self.oracle.failed(who, local, Who::of(&to)),
            Notice::MessageUnsent { local } => self.oracle.unsent(who, local),
            Notice::MemberLost(lost) | Notice::ForkNoticed(lost) => {
                let lost = Who::of(&lost);
                let is_there = self.client(lost).is_some_and(|client| client.epoch().is_some());
                self.oracle.given_up(who, lost, is_there);
            }
            Notice::Ended(reason) => {
                if view.is_some() {
                    client.past = Past::Member;
                }
                client.user.is_over = true;
                client.user.is_leaving = false;
                client.user.inviting.clear();
                self.oracle.ended(who, reason);
            }
        }
    }

    /// Two who are linked and count as many epochs from one epoch on hold the same.
    fn check_neighbours(&mut self, who: Who, epoch: &Epoch) {
        let mut other_view = None;
        for (&peer, id) in self.client(who).into_iter().flat_map(|client| &client.links) {
            let Some(link) = self.network.link(*id) else { continue };
            let stands = !link.is_cut()
                && link.end(Side::Dialler) == End::Attached
                && link.end(Side::Acceptor) == End::Attached;
            let theirs = self.client(peer).and_then(|client| client.epoch());
            let differs = theirs.is_some_and(|theirs| {
                theirs.number == epoch.number && theirs.previous == epoch.previous && theirs != epoch
            });
            if stands && differs && !self.noise.profile().has_faults() {
                other_view = Some(peer);
            }
        }
        if let Some(peer) = other_view {
            self.oracle.blame(Property::TwoEpochs, format!("{who} and {peer} are linked and disagree"));
        }
    }
}
