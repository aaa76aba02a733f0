//! How links come about: the ones that sessions want, and the ones that others open.
//!
//! A link gets into a session's table in [`Engine::adopt`] alone, after TLS has proved who the peer is.

use std::collections::VecDeque;

use antiphon_protocol::{
    certificate::VerifiedPeer,
    connection::{DialError, Dialler, Ended, encode_message},
    tls::now,
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, KeyHash, Peer, UserHandle},
    link::Link as LinkMachine,
    machine::Context,
    message::client_client::{
        ClientMessage, InvitationBody, InvitationMessage, PeerMessage, Reject, SessionBody, SessionMessage,
    },
    message::relay::{Called, TaggedUser},
    policy::Verdict,
    session::{Event, Session, SessionId, Target},
};
use bytes::Bytes;
use tokio::{io::DuplexStream, net::TcpStream, sync::mpsc, time::timeout};

use super::{
    Conversation, Dialled, Engine, Incoming, Input,
    account::Purpose,
    links::{Link, Place, Up},
};
use crate::{
    client::{
        command::SessionName,
        event::{ClientEvent, Refusal},
        link::{self, First, Heard, LinkConnection, LinkId, Served},
        registration::chain,
        server_link::{Ask, Token},
        settings::{DIRECT_PATIENCE, INVITATIONS_PER_INVITER_MAX, LINK_QUEUE_MAX, OFFERS_MAX, SESSIONS_MAX},
        stream::{LinkStream, Way},
    },
    mutant::{Mutant, active},
};

impl Engine {
    // --- opening links ---

    pub(super) fn connect_link(
        &mut self,
        id: SessionId,
        peer: UserHandle,
        target: Option<Target>,
        events: &mut VecDeque<Event>,
    ) {
        let place = (id, peer.clone());
        if let Some(Link::Up(up)) = self.links.get(&place) {
            events.push_back(Event::LinkUp { peer: up.peer.clone() });
            return;
        }
        if !self.links.has_room() {
            events.push_back(Event::LinkFailed { peer });
            return;
        }
        //= spec/text/relay.md#choosing-the-way
        //# RELAY-031: A client MUST NOT dial the address of a user whom its own user's allow list doesn't name or whom the deny list names.
        let listed = self.preferences.as_ref().is_some_and(|preferences| preferences.lists(&peer));
        let asked = if listed || active(Mutant::DialsUnlisted) {
            let purpose = Purpose::Link { place: place.clone(), target };
            self.ask_server(Ask::Lookup(peer.clone()), purpose)
        } else {
            self.call(&place, target)
        };
        match asked {
            Ok(token) => self.links.put(place, Link::Asking(token)),
            Err(_) => events.push_back(Event::LinkFailed { peer }),
        }
    }

    /// Asks for a relayed link.
    fn call(&mut self, place: &Place, target: Option<Target>) -> Result<Token, Refusal> {
        let user = place.1.clone();
        let called = match target {
            Some(target) => Called::Member(TaggedUser { relay: target.relay, handle: user }),
            None => Called::User(user),
        };
        self.ask_server(Ask::Call(called), Purpose::Call { place: place.clone(), target })
    }

    /// There is no address, or nobody whom it leads to.
    //= spec/text/relay.md#choosing-the-way
    //# RELAY-032: A client MUST open a relayed link to a user whom it may not dial, whose address its local server doesn't tell, or whom it doesn't reach at the address.
    fn relay(&mut self, place: Place, target: Option<Target>) {
        let asked = if active(Mutant::RelayNotTried) {
            Err(Refusal::Protocol(ErrorCode::Unavailable))
        } else {
            self.call(&place, target)
        };
        match asked {
            Ok(token) => self.links.put(place, Link::Asking(token)),
            Err(_) => self.link_failed(&place),
        }
    }

    /// The local server was asked for a relayed link, and opened it or not.
    pub(super) fn relay_opened(
        &mut self,
        place: Place,
        target: Option<Target>,
        token: Token,
        stream: Option<DuplexStream>,
    ) {
        if !matches!(self.links.get(&place), Some(Link::Asking(asked)) if *asked == token) {
            return;
        }
        match stream {
            Some(stream) => self.dial(place, target, Over::Stream(stream)),
            None => self.link_failed(&place),
        }
    }

    /// The local server was asked for an address, and told it or not.
    pub(super) fn address_told(
        &mut self,
        place: Place,
        target: Option<Target>,
        token: Token,
        address: Option<ContactAddress>,
    ) {
        if !matches!(self.links.get(&place), Some(Link::Asking(asked)) if *asked == token) {
            return;
        }
        match address {
            Some(address) => self.dial(place, target, Over::Address(address)),
            None => self.relay(place, target),
        }
    }

    fn link_failed(&mut self, place: &Place) {
        self.links.take(place);
        self.step(place.0, Event::LinkFailed { peer: place.1.clone() });
    }

    //= spec/text/sessions.md#admission
    //# SESS-063: A newcomer MUST dial every member but its inviter, and refuse a peer that hasn't the handle and the key hash that the epoch has for it.
    fn dial(&mut self, place: Place, target: Option<Target>, over: Over) {
        let Some(me) = &self.me else { return };
        let id = self.links.next_id();
        let dialler = me.dialler.clone();
        let whom = Identity::User(place.1.clone());
        let inputs = self.inputs.clone();
        let demanded = target.map(|target| target.key).filter(|_| !active(Mutant::LinkKeyUnchecked));
        let dialled_place = place.clone();
        let task = self.tasks.spawn(async move {
            let (way, result) = match over {
                Over::Address(address) => {
                    (Way::Direct, dial_address(&dialler, address, &whom, demanded).await)
                }
                Over::Stream(stream) => {
                    let stream = LinkStream::Relayed(stream);
                    (Way::Relayed, dialler.dial_over(stream, &whom, demanded).await)
                }
            };
            let dialled = Box::new(Dialled { place: dialled_place, id, way, target, result });
            // Without an engine nobody wants the link any more.
            let _ = inputs.send(Input::Dialled(dialled)).await;
        });
        self.links.put(place, Link::Dialling(id, task));
    }

    pub(super) fn dialled(&mut self, dialled: Dialled) {
        let Dialled { place, id, way, target, result } = dialled;
        let key = target.map(|target| target.key);
        let wanted = matches!(self.links.get(&place), Some(Link::Dialling(of, _)) if *of == id);
        let (verified, connection) = match result {
            Ok((_, connection)) if !wanted => return self.refuse_link(connection, None, None, ()),
            Ok(dialled) => dialled,
            Err(error) => {
                tracing::debug!(peer = %place.1, reason = %chain(&error), "no link");
                if wanted {
                    if way == Way::Direct && may_be_relayed(&error) {
                        self.relay(place, target);
                    } else {
                        self.link_failed(&place);
                    }
                }
                return;
            }
        };
        self.links.take(&place);
        let Some(peer) = as_listed(&verified, key) else {
            self.refuse_link(connection, None, Some(ErrorCode::CertificateRefused), ());
            return self.link_failed(&place);
        };
        let Some(machine) = self.dialled_link(&place) else {
            self.refuse_link(connection, None, None, ());
            return self.link_failed(&place);
        };
        match self.adopt(place.clone(), id, (peer.clone(), target), &verified, (connection, machine)) {
            Ok(()) => {
                self.tell_linked(&place, way);
                self.step(place.0, Event::LinkUp { peer });
            }
            Err(connection) => {
                self.refuse_link(*connection, None, Some(ErrorCode::LimitReached), ());
                self.link_failed(&place);
            }
        }
    }

    /// Takes a connection for the link of a place; gives it back if the client has as many as it may.
    fn adopt(
        &mut self,
        place: Place,
        id: LinkId,
        (peer, target): (Peer, Option<Target>),
        verified: &VerifiedPeer,
        (connection, machine): (LinkConnection, LinkMachine<Bytes>),
    ) -> Result<(), Box<LinkConnection>> {
        let Some(me) = &mut self.me else { return Err(Box::new(connection)) };
        let Some(slot) = self.links.take_slot() else { return Err(Box::new(connection)) };
        if me.keys.learn(verified).is_err() {
            return Err(Box::new(connection));
        }
        let (queue, outgoing) = mpsc::channel(LINK_QUEUE_MAX);
        let (offers, offered) = mpsc::channel(OFFERS_MAX);
        let served = Served {
            id,
            session: place.0,
            connection,
            link: machine,
            outgoing,
            offers: offered,
            inputs: self.inputs.clone(),
            slot,
        };
        let task = self.tasks.spawn(link::serve(served));
        let proved = verified.key().key_hash();
        self.links.put(place, Link::Up(Up { id, peer, proved, target, queue, offers, task }));
        Ok(())
    }

    fn tell_linked(&mut self, place: &Place, way: Way) {
        if self.instants.are_sent_over(&place.0) {
            // The link is the message's, and gone with it.
            return;
        }
        let (session, handle) = (SessionName(place.0), place.1.clone());
        self.tell(ClientEvent::Linked { session, handle, way });
    }

    // --- links of others ---

    pub(super) fn accepted(&mut self, incoming: Incoming) {
        let Some(me) = &self.me else { return };
        let Some(peer) = incoming.peer.peer() else {
            return self.refuse_incoming(incoming, ErrorCode::CertificateRefused);
        };
        if peer.handle == me.peer.handle {
            // What a client says to itself does not come over a link.
            return self.refuse_incoming(incoming, ErrorCode::Forbidden);
        }
        let message = match incoming.message.clone() {
            First::Message(message) => message,
            First::Resume(resume) => return self.resumed(incoming, &peer, resume),
        };
        match message {
            Heard::Instant(message) => self.instant_came(incoming, peer, message),
            Heard::Peer(PeerMessage::Invitation(message)) => match &message.body {
                InvitationBody::Invite(_) => self.invited(incoming, peer, &message),
                //= spec/text/sessions.md#links
                //# SESS-007: An accepting client MUST close with `unexpected-message` when the first message of a link is a step of an invitation other than `invite`.
                InvitationBody::Join(_)
                | InvitationBody::Reject(_)
                | InvitationBody::Cancel(_)
                | InvitationBody::Welcome(_) => {
                    self.refuse_incoming(incoming, ErrorCode::UnexpectedMessage);
                }
            },
            Heard::Peer(PeerMessage::Session(message)) => self.approached(incoming, peer, &message),
        }
    }

    fn invited(&mut self, incoming: Incoming, peer: Peer, message: &InvitationMessage) {
        if self.sessions.get(&message.session).is_some_and(|conversation| conversation.over) {
            // Who asks a former member back has seen the epoch without it, and waits for no link of the past.
            self.drop_session(message.session);
        }
        //= spec/text/sessions.md#links
        //# SESS-009: A client MUST answer with `reject`, and close, when it receives an `invite` to a session that it has an invitation to or is in already.
        let known = self.sessions.contains_key(&message.session) || self.is_crossing(&peer.handle);
        let waiting = self.sessions.values().filter(|conversation| {
            conversation.machine.awaits_answer() && conversation.inviter.as_ref() == Some(&peer.handle)
        });
        let full = self.sessions.len() >= SESSIONS_MAX || waiting.count() >= INVITATIONS_PER_INVITER_MAX;
        let Some(preferences) = self.preferences.as_ref().filter(|_| !full && !known) else {
            return self.reject_incoming(incoming, message.session);
        };
        //= spec/text/preferences.md#judging
        //# PREF-003: A client MUST answer an invitation of an inviter whom its user's preferences deny with `reject`, and not tell the user.
        let verdict = match preferences.judge(&peer.handle) {
            Verdict::Deny if active(Mutant::RefusedInvitationShown) => Verdict::Allow,
            verdict @ (Verdict::Allow | Verdict::Deny) => verdict,
        };
        let (Some(entropy), Some(member)) = (self.entropy(), self.member()) else { return };
        let place = (message.session, peer.handle.clone());
        if !self.adopt_incoming(incoming, &place, &peer) {
            return;
        }
        let Some(me) = &self.me else { return };
        let context = Context { now: now(&self.clock), entropy, crypto: &me.keys };
        let mut actions = Vec::new();
        let (inviter, relay) = (peer.handle.clone(), member.relay);
        match Session::invited(member, peer, message, verdict, &context, &mut actions) {
            Err(code) => self.close_link(&place, Some(code)),
            Ok(machine) => {
                let ended = machine.is_ended();
                let conversation = Conversation::new(machine, Some(inviter), relay);
                self.sessions.insert(place.0, conversation);
                if !ended {
                    self.tell_server(Ask::Expect(relay));
                }
                let mut events = VecDeque::new();
                self.perform_all(place.0, actions, &mut events);
                if ended {
                    self.drop_session(place.0);
                }
                for event in events {
                    self.step(place.0, event);
                }
            }
        }
    }

    /// Whether a wrong variant takes the invitation for one that is known.
    fn is_crossing(&self, inviter: &UserHandle) -> bool {
        active(Mutant::CrossingInvitationRejected)
            && self.sessions.keys().any(|session| self.links.get(&(*session, inviter.clone())).is_some())
    }

    /// Somebody comes to a session that the client should be in.
    fn approached(&mut self, incoming: Incoming, peer: Peer, message: &SessionMessage) {
        //= spec/text/sessions.md#links
        //# SESS-008: An accepting client MUST close with `no-such-session` when the first message of a link is a session message of a session that the client isn't a member of.
        let Some(conversation) = self.sessions.get(&message.session).filter(|known| !known.over) else {
            return self.refuse_unknown_session(incoming, message.session, &peer);
        };
        let place = (message.session, peer.handle.clone());
        let is_ticket = matches!(message.body, SessionBody::Admit(_));
        let listed = conversation.machine.epoch().is_some_and(|epoch| epoch.member(&peer.handle).is_some());
        if self.links.get(&place).is_some() {
            // One link to a peer for each session (SESS-010); which of two counts is the machine's business.
            if !conversation.machine.gives_way(&peer.handle, message) {
                return self.refuse_incoming(incoming, ErrorCode::AlreadyMember);
            }
            self.close_link(&place, None);
            self.step(place.0, Event::LinkLost { peer: peer.handle.clone() });
            if !self.sessions.contains_key(&place.0) {
                return self.refuse_unknown_session(incoming, place.0, &peer);
            }
        } else if listed && !is_ticket {
            // A member whose link is lost is on its way out, and talks no more.
            return self.refuse_incoming(incoming, ErrorCode::UnexpectedMessage);
        }
        if self.adopt_incoming(incoming, &place, &peer) {
            let message = PeerMessage::Session(message.clone());
            self.step(place.0, Event::Received { from: peer, message });
        }
    }

    fn refuse_unknown_session(&mut self, incoming: Incoming, session: SessionId, peer: &Peer) {
        if active(Mutant::UnknownSessionAccepted) {
            self.adopt_incoming(incoming, &(session, peer.handle.clone()), peer);
        } else {
            self.refuse_incoming(incoming, ErrorCode::NoSuchSession);
        }
    }

    /// Whether the link was taken; if not, it was refused.
    fn adopt_incoming(&mut self, incoming: Incoming, place: &Place, peer: &Peer) -> bool {
        let Incoming { peer: verified, way, connection, message: _, permit } = incoming;
        let id = self.links.next_id();
        let machine = LinkMachine::accepted(verified.key().key_hash(), self.patience);
        match self.adopt(place.clone(), id, (peer.clone(), None), &verified, (connection, machine)) {
            Ok(()) => {
                self.tell_linked(place, way);
                true
            }
            Err(connection) => {
                self.refuse_link(*connection, None, Some(ErrorCode::LimitReached), permit);
                false
            }
        }
    }

    pub(super) fn refuse_incoming(&mut self, incoming: Incoming, code: ErrorCode) {
        self.refuse_link(incoming.connection, None, Some(code), incoming.permit);
    }

    fn reject_incoming(&mut self, incoming: Incoming, session: SessionId) {
        let body = InvitationBody::Reject(Reject {});
        let reject = ClientMessage::Invitation(InvitationMessage { body, session });
        let frame = encode_message(&reject).ok();
        self.refuse_link(incoming.connection, frame, None, incoming.permit);
    }

    pub(super) fn refuse_link(
        &mut self,
        connection: LinkConnection,
        frame: Option<Bytes>,
        fault: Option<ErrorCode>,
        permit: impl Send + 'static,
    ) {
        self.tasks.spawn(async move {
            link::refuse(connection, frame, fault).await;
            drop(permit);
        });
    }
}

/// What is dialled.
enum Over {
    /// The peer's address.
    Address(ContactAddress),
    /// A relayed link that stands.
    Stream(DuplexStream),
}

/// Dials an address: shorter than the protocol allows, since there is another way.
pub(super) async fn dial_address(
    dialler: &Dialler,
    address: ContactAddress,
    whom: &Identity,
    key: Option<KeyHash>,
) -> Result<(VerifiedPeer, LinkConnection), DialError> {
    let dialling = async {
        let unreachable = |source| DialError::Unreachable { address, source };
        let stream = TcpStream::connect(address.0).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        dialler.dial_over::<ClientMessage, _>(LinkStream::Direct(stream), whom, key).await
    };
    timeout(DIRECT_PATIENCE, dialling).await.unwrap_or(Err(DialError::Deadline))
}

/// Whether the peer was not there: one that was, and refused, is not to be bothered again.
pub(super) fn may_be_relayed(error: &DialError) -> bool {
    matches!(
        error,
        DialError::Unreachable { .. }
            | DialError::CertificateRefused(_)
            | DialError::Handshake(_)
            | DialError::Ended(Ended::Lost(_))
            | DialError::Deadline
    )
}

/// The peer as the session is to know it.
fn as_listed(peer: &VerifiedPeer, listed: Option<KeyHash>) -> Option<Peer> {
    let mut found = peer.peer()?;
    if let Some(key) = listed.filter(|_| active(Mutant::LinkKeyUnchecked)) {
        found.key = key;
    }
    Some(found)
}
