//! Sessions: events go into their machines, actions come out and are carried out in order.

use std::collections::VecDeque;

use antiphon_protocol::{connection::encode_message, tls::now};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, UserHandle},
    instant::Step,
    machine::{Context, Machine as _},
    message::client_client::{ClientMessage, PeerMessage},
    session::{Action, Event, Nonce, Notice, RelayTag, Session, SessionId, Timer},
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Conversation, Deadline, Engine,
    links::{Link, Place, Queued},
};
use crate::client::{
    command::SessionName,
    event::ClientEvent,
    link::{Heard, LinkId},
    server_link::Ask,
};

impl Engine {
    // --- events ---

    /// Hands an event to a session, and carries out what it asks for and what follows from that.
    pub(super) fn step(&mut self, id: SessionId, event: Event) {
        if self.instants.are_sent_over(&id) {
            return self.step_instant(id, event);
        }
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(entropy) = self.entropy() else { return };
            let (Some(me), Some(conversation)) = (&self.me, self.sessions.get_mut(&id)) else { return };
            let context = Context { now: now(&self.clock), entropy, crypto: &me.keys };
            let mut actions = Vec::new();
            conversation.machine.handle(event, &context, &mut actions);
            self.perform_all(id, actions, &mut events);
        }
        if self.sessions.get(&id).is_some_and(|conversation| conversation.machine.is_ended()) {
            self.drop_session(id);
        }
        self.forget_strangers(id);
    }

    /// Forgets the keys that were kept beyond their links, as soon as the session has no use for them.
    //= spec/text/signed.md#verifying
    //# SIGN-014: A client MUST keep the keys of a session's members, once learnt, as long as its epoch names them.
    fn forget_strangers(&mut self, id: SessionId) {
        let Some(conversation) = self.sessions.get_mut(&id) else { return };
        let (kept, strange): (Vec<_>, Vec<_>) = std::mem::take(&mut conversation.kept_keys)
            .into_iter()
            .partition(|key| conversation.machine.knows_key(key));
        conversation.kept_keys = kept;
        for key in strange {
            self.forget(&key);
        }
    }

    /// A link has ended over which this key was learnt; the session may still have to verify what its owner signed.
    fn keep_key(&mut self, id: SessionId, key: KeyHash) {
        match self.sessions.get_mut(&id) {
            // One link of each member at a time; a member's key that is kept already counts once.
            Some(conversation)
                if conversation.machine.knows_key(&key) && !conversation.kept_keys.contains(&key) =>
            {
                conversation.kept_keys.push(key);
            }
            Some(_) | None => self.forget(&key),
        }
    }

    /// The machine is done: its links close, its timers stop.
    pub(super) fn drop_session(&mut self, id: SessionId) {
        for place in self.links.of_session(id) {
            self.close_link(&place, None);
        }
        self.timers
            .disarm_all(|deadline| matches!(deadline, Deadline::Session(session, _) if *session == id));
        if let Some(conversation) = self.sessions.remove(&id) {
            for key in conversation.kept_keys {
                self.forget(&key);
            }
            self.tell_server(Ask::Forget(conversation.relay));
        }
    }

    pub(super) fn timer_fired(&mut self, id: SessionId, timer: Timer) {
        self.step(id, Event::TimerFired(timer));
    }

    /// Begins a session of the user's own.
    pub(super) fn create_session(&mut self) -> Option<(SessionId, RelayTag)> {
        let nonce = Nonce(self.entropy()?);
        let entropy = self.entropy()?;
        let member = self.member()?;
        let relay = member.relay;
        let me = self.me.as_ref()?;
        let context = Context { now: now(&self.clock), entropy, crypto: &me.keys };
        let machine = Session::create(member, nonce, &context);
        let id = machine.id();
        self.sessions.insert(id, Conversation::new(machine, None, relay));
        self.tell_server(Ask::Expect(relay));
        Some((id, relay))
    }

    // --- actions ---

    pub(super) fn perform_all(&mut self, id: SessionId, actions: Vec<Action>, events: &mut VecDeque<Event>) {
        for action in actions {
            self.perform(id, action, events);
        }
    }

    fn perform(&mut self, id: SessionId, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Connect { peer, target } => self.connect_link(id, peer, target, events),
            Action::Send { to, message } => self.send(id, &to, message, events),
            Action::Disconnect { peer, fault } => self.close_link(&(id, peer), fault),
            Action::Arm { timer, after } => {
                self.timers.arm(Deadline::Session(id, timer), Instant::now() + after);
            }
            Action::Disarm(timer) => self.timers.disarm(&Deadline::Session(id, timer)),
            Action::Tell(notice) => self.tell_notice(id, notice),
            Action::Late { from } => {
                self.late += 1;
                tracing::trace!(%from, "a message came too late to matter");
            }
        }
    }

    fn tell_notice(&mut self, id: SessionId, notice: Notice) {
        if let Notice::NotPossible(code) = notice
            && self.in_command
        {
            self.refusal = Some(code);
            return;
        }
        if let Notice::Ended(_) = notice
            && let Some(conversation) = self.sessions.get_mut(&id)
        {
            conversation.over = true;
        }
        self.tell(ClientEvent::of_notice(SessionName(id), notice));
    }

    /// Encodes once, queues for each.
    fn send(&mut self, id: SessionId, to: &[UserHandle], message: PeerMessage, events: &mut VecDeque<Event>) {
        let waits = self.must_be_shown_first(&message);
        let frame = match encode_message(&ClientMessage::from(message)) {
            Ok(frame) => frame,
            Err(error) => {
                // Nothing that the machine says is too long for the channel; if it were, these links are of no use.
                tracing::error!(%error, "a message cannot be sent");
                for peer in to {
                    self.close_link(&(id, peer.clone()), Some(ErrorCode::Internal));
                    events.push_back(Event::LinkLost { peer: peer.clone() });
                }
                return;
            }
        };
        if waits {
            for peer in to {
                self.acknowledgements.hold(self.told, (id, peer.clone()), frame.clone());
            }
            return;
        }
        self.queue(id, to, &frame, events);
    }

    pub(super) fn queue(
        &mut self,
        id: SessionId,
        to: &[UserHandle],
        frame: &Bytes,
        events: &mut VecDeque<Event>,
    ) {
        for peer in to {
            let place = (id, peer.clone());
            match self.links.send(&place, frame.clone()) {
                Queued::Yes => {}
                // Its end is on its way here.
                Queued::NoLink => tracing::trace!(%peer, "there is no link to send over"),
                Queued::Overflow => {
                    tracing::debug!(%peer, "a peer reads too slowly");
                    self.close_link(&place, Some(ErrorCode::LimitReached));
                    events.push_back(Event::LinkLost { peer: peer.clone() });
                }
            }
        }
    }

    pub(super) fn close_link(&mut self, place: &Place, fault: Option<ErrorCode>) {
        self.acknowledgements.forget(place);
        if let Some(key) = self.links.close(place, fault) {
            self.keep_key(place.0, key);
        }
    }

    fn forget(&mut self, key: &KeyHash) {
        if let Some(me) = &mut self.me {
            me.keys.forget(key);
        }
    }

    // --- what comes over links ---

    pub(super) fn received(&mut self, id: LinkId, heard: Heard) {
        let Some((place, from)) = self.links.by_id(id) else { return };
        if self.instants.are_sent_over(&place.0) {
            let answer = if let Heard::Instant(message) = heard { Some(message) } else { None };
            return self.advance_instant(place.0, Step::Received(answer));
        }
        let fault = match &heard {
            //= spec/text/instant.md#on-other-links
            //# INST-017: A client MUST close with `unexpected-message` when an `instant` or `instant-received` comes on a link that serves a session, and when an `instant-received` is the first message of a link.
            Heard::Instant(_) => Some(ErrorCode::UnexpectedMessage),
            //= spec/text/sessions.md#links
            //# SESS-012: A member MUST close with `no-such-session` a link on which a session message names another session than the link's.
            Heard::Peer(message) => (message.session() != place.0).then_some(ErrorCode::NoSuchSession),
        };
        match heard {
            Heard::Peer(message) if fault.is_none() => self.step(place.0, Event::Received { from, message }),
            Heard::Peer(_) | Heard::Instant(_) => {
                self.close_link(&place, fault);
                self.step(place.0, Event::LinkLost { peer: place.1 });
            }
        }
    }

    pub(super) fn link_ended(&mut self, id: LinkId, closed: bool) {
        let Some((place, _)) = self.links.by_id(id) else { return };
        self.acknowledgements.forget(&place);
        if let Some(Link::Up(up)) = self.links.take(&place) {
            self.keep_key(place.0, up.proved);
        }
        if self.instants.are_sent_over(&place.0) {
            let step = if closed { Step::LinkClosed } else { Step::LinkLost };
            return self.advance_instant(place.0, step);
        }
        self.step(place.0, Event::LinkLost { peer: place.1 });
    }
}
