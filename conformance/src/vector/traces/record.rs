//! How events and actions of a session are written down, and the keys with which traces are made.

use antiphon_protocol::{
    cbor,
    key::KeyPair,
    signed::{self, hash_epoch, session_id},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    machine::{Context, Machine as _},
    message::client_client::{ClientMessage, InvitationMessage},
    policy::Verdict,
    session::{
        Action, Commitment, Epoch, EpochHash, Event, Grant, Member, Nonce, Notice, Origin, Session,
        SessionId, Ticket, Timer,
    },
    signed::{Claims, Sign, SignatureRejected, Signed, Verify},
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    case::Role,
    vector::{Draft, GeneratorError, Made, VectorCase, node::Node, samples},
};

/// The client's key and the keys of everybody in a trace.
pub(crate) struct Keys {
    /// Each byte of the client's secret key.
    seed: u8,
    own: KeyPair,
    all: Vec<KeyPair>,
}

impl Keys {
    pub(crate) fn new(own: u8, all: impl IntoIterator<Item = u8>) -> Made<Self> {
        let key = |seed: u8| KeyPair::from_seed(&[seed; 32]).map_err(GeneratorError::new);
        Ok(Self { seed: own, own: key(own)?, all: all.into_iter().map(key).collect::<Made<_>>()? })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(KeyPair::public_key_der)
    }

    fn verify<T: Claims>(&self, object: &Signed<T>, signer: &KeyHash) -> Result<T, SignatureRejected> {
        let key = self.all.iter().find(|key| key.key_hash() == *signer).ok_or(SignatureRejected)?;
        signed::verify(object, key.public_key())
    }

    fn sign<T: Claims>(&self, claims: &T) -> Signed<T> {
        signed::sign(&self.own, claims).unwrap_or_else(|_| Signed::from_bytes(Vec::new()))
    }
}

impl Sign for Keys {
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant> {
        self.sign(grant)
    }

    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket> {
        self.sign(ticket)
    }

    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment> {
        self.sign(commitment)
    }
}

impl Verify for Keys {
    fn verify_grant(&self, grant: &Signed<Grant>, signer: &KeyHash) -> Result<Grant, SignatureRejected> {
        self.verify(grant, signer)
    }

    fn verify_ticket(&self, ticket: &Signed<Ticket>, signer: &KeyHash) -> Result<Ticket, SignatureRejected> {
        self.verify(ticket, signer)
    }

    fn verify_commitment(
        &self,
        commitment: &Signed<Commitment>,
        signer: &KeyHash,
    ) -> Result<Commitment, SignatureRejected> {
        self.verify(commitment, signer)
    }

    fn read_unverified_commitment(
        &self,
        commitment: &Signed<Commitment>,
    ) -> Result<Commitment, SignatureRejected> {
        signed::read_unverified(commitment)
    }

    fn read_unverified_ticket(&self, ticket: &Signed<Ticket>) -> Result<Ticket, SignatureRejected> {
        signed::read_unverified(ticket)
    }

    fn hash_epoch(&self, epoch: &Epoch) -> EpochHash {
        hash_epoch(epoch)
    }

    fn derive_session_id(&self, origin: &Origin) -> SessionId {
        session_id(origin)
    }
}

/// What a client is told, from its session's beginning on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It creates the session.
    Create(Nonce),
    /// Somebody has opened a link and invites it.
    Invited {
        /// Who.
        inviter: Peer,
        /// With what.
        message: InvitationMessage,
        /// What the user's preferences say about that.
        verdict: Verdict,
    },
    /// Anything that the machine of a session hears.
    Event(Event),
}

/// What a client does when it is told something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What is to be done.
    pub actions: Vec<Action>,
    /// Why there is no session, where the invitation was refused.
    pub refused: Option<ErrorCode>,
}

/// One client whose events and actions are recorded.
pub(crate) struct Recorder {
    me: Member,
    keys: Keys,
    session: Option<Session>,
    events: Vec<Value>,
    steps: Vec<Value>,
}

impl Recorder {
    pub(crate) const fn new(me: Member, keys: Keys) -> Self {
        Self { me, keys, session: None, events: vec![], steps: vec![] }
    }

    /// How many events have been recorded.
    pub(crate) const fn steps(&self) -> usize {
        self.events.len()
    }

    /// Hands the machine what the client is told, and records it with what the machine does.
    pub(crate) fn step(&mut self, told: &Told, now: Timestamp, entropy: [u8; 16]) -> Made<Done> {
        let context = Context { now, entropy, crypto: &self.keys };
        let mut done = Done { actions: Vec::new(), refused: None };
        match told {
            Told::Create(nonce) => self.session = Some(Session::create(self.me.clone(), *nonce, &context)),
            Told::Invited { inviter, message, verdict } => {
                let (me, out) = (self.me.clone(), &mut done.actions);
                match Session::invited(me, inviter.clone(), message, *verdict, &context, out) {
                    Ok(session) => self.session = Some(session),
                    Err(code) => done.refused = Some(code),
                }
            }
            Told::Event(event) => {
                if let Some(session) = &mut self.session {
                    session.handle(event.clone(), &context, &mut done.actions);
                }
            }
        }
        let mut actions = done.actions.iter().map(action).collect::<Made<Vec<_>>>()?;
        if let Some(code) = done.refused {
            actions.push(json!({"refuse": code.as_str()}));
        }
        let mut told = told_json(told)?;
        if let Some(told) = told.as_object_mut() {
            told.insert("now".to_owned(), now.0.into());
            told.insert("entropy".to_owned(), hex::encode(entropy).into());
        }
        self.events.push(told);
        self.steps.push(Value::Array(actions));
        Ok(done)
    }

    pub(crate) fn done(self, id: &str, requirements: &[&str], about: &str) -> VectorCase {
        let keys: Vec<String> = self.keys.all().map(hex::encode).collect();
        let me = json!({"seed": hex::encode([self.keys.seed; 32]), "handle": self.me.handle, "relay": hex::encode(self.me.relay.0), "accepts": self.me.accepts});
        Draft::new(id, Role::Member, "trace", requirements, about)
            .input("me", me)
            .input("keys", keys)
            .input("events", self.events)
            .output("steps", self.steps)
            .done()
    }
}

/// What a client is told, as the shim reads it.
fn told_json(told: &Told) -> Made<Value> {
    Ok(match told {
        Told::Create(nonce) => json!({"event": "create", "nonce": hex::encode(nonce.0)}),
        Told::Invited { inviter, message, verdict } => {
            let verdict = match verdict {
                Verdict::Allow => "allow",
                Verdict::Deny => "deny",
            };
            let message = encode(&ClientMessage::Invitation(message.clone()))?;
            json!({"event": "invited", "inviter": peer_json(inviter), "message": message, "verdict": verdict})
        }
        Told::Event(event) => match event {
            Event::Invite { invitee } => json!({"event": "invite", "invitee": invitee}),
            Event::Accept => json!({"event": "accept"}),
            Event::Refuse => json!({"event": "refuse"}),
            Event::Say { local, media_type, content } => {
                json!({"event": "say", "message": local.0, "media-type": media_type, "content": hex::encode(&content.0)})
            }
            Event::Leave => json!({"event": "leave"}),
            Event::LinkUp { peer } => json!({"event": "link-up", "peer": peer_json(peer)}),
            Event::LinkFailed { peer } => json!({"event": "link-failed", "peer": peer}),
            Event::LinkLost { peer } => json!({"event": "link-lost", "peer": peer}),
            Event::Received { from, message } => {
                let message = encode(&ClientMessage::from(message.clone()))?;
                json!({"event": "received", "from": peer_json(from), "message": message})
            }
            Event::TimerFired(timer) => json!({"event": "timer", "timer": timer_json(timer)}),
        },
    })
}

fn encode<T: serde::Serialize>(value: &T) -> Made<String> {
    Ok(hex::encode(cbor::encode(value).map_err(GeneratorError::new)?))
}

pub(crate) fn handle_of(number: u8) -> Made<UserHandle> {
    samples::handle(number)
}

fn peer_json(peer: &Peer) -> Value {
    json!({"handle": peer.handle, "key": hex::encode(peer.key.0)})
}

fn timer_json(timer: &Timer) -> Value {
    match timer {
        Timer::Invitation(peer) => json!({"name": "invitation", "peer": peer}),
        Timer::Answer => json!({"name": "answer"}),
        Timer::Join => json!({"name": "join"}),
        Timer::Lease => json!({"name": "lease"}),
        Timer::Close => json!({"name": "close"}),
        Timer::Flush => json!({"name": "flush"}),
        Timer::Acknowledgement => json!({"name": "acknowledgement"}),
        Timer::Lost(peer) => json!({"name": "lost", "peer": peer}),
        Timer::Linger => json!({"name": "linger"}),
    }
}

/// An action as the shim writes it.
fn action(action: &Action) -> Made<Value> {
    Ok(match action {
        Action::Connect { peer, target: None } => json!({"connect": {"peer": peer}}),
        Action::Connect { peer, target: Some(target) } => {
            json!({"connect": {"peer": peer, "key": hex::encode(target.key.0), "relay": hex::encode(target.relay.0)}})
        }
        Action::Send { to, message } => {
            json!({"send": {"to": to, "message": encode(&ClientMessage::from(message.clone()))?}})
        }
        Action::Disconnect { peer, fault: None } => json!({"disconnect": {"peer": peer}}),
        Action::Disconnect { peer, fault: Some(code) } => {
            json!({"disconnect": {"peer": peer, "code": code.as_str()}})
        }
        Action::Arm { timer, after } => {
            json!({"arm": {"timer": timer_json(timer), "seconds": after.as_secs()}})
        }
        Action::Disarm(timer) => json!({"disarm": {"timer": timer_json(timer)}}),
        Action::Tell(notice) => json!({"tell": notice_json(notice)}),
        Action::Late { from } => json!({"late": {"from": from}}),
    })
}

fn notice_json(notice: &Notice) -> Value {
    match notice {
        Notice::Invited { inviter } => json!({"notice": "invited", "peer": inviter}),
        Notice::InvitationRejected { invitee } => json!({"notice": "invitation-rejected", "peer": invitee}),
        Notice::InvitationFailed { invitee, .. } => json!({"notice": "invitation-failed", "peer": invitee}),
        Notice::EpochBegan(epoch) => json!({"notice": "epoch", "hash": hex::encode(hash_epoch(epoch).0)}),
        Notice::MessageReceived { from, epoch, number, media_type, content } => json!({
            "notice": "message", "peer": from, "epoch": epoch.0, "number": number,
            "media-type": media_type, "content": hex::encode(&content.0),
        }),
        Notice::MessagePending { local } => json!({"notice": "pending", "message": local.0}),
        Notice::MessageSent { local, epoch, number, to } => json!({
            "notice": "sent", "message": local.0, "epoch": epoch.0, "number": number, "to": to,
        }),
        Notice::MessageDelivered { local, to, epoch, number } => json!({
            "notice": "delivered", "message": local.0, "peer": to, "epoch": epoch.0, "number": number,
        }),
        Notice::MessageFailed { local, to } => {
            json!({"notice": "failed", "message": local.0, "peer": to})
        }
        Notice::MessageUnsent { local } => json!({"notice": "unsent", "message": local.0}),
        Notice::NotPossible(_) => json!({"notice": "not-possible"}),
        Notice::MemberLost(peer) => json!({"notice": "member-lost", "peer": peer}),
        Notice::ForkNoticed(peer) => json!({"notice": "fork", "peer": peer}),
        Notice::Ended(_) => json!({"notice": "ended"}),
    }
}

/// An action in words: whom it concerns, and what it is. Timers are nobody else's business.
pub(crate) fn words(action: &Action) -> Option<String> {
    Some(match action {
        Action::Connect { peer, .. } => format!("{} dial", number(peer)),
        Action::Send { to, message } => {
            let to: Vec<String> = to.iter().map(number).collect();
            format!("{} {}", to.join("+"), message_name(message))
        }
        Action::Disconnect { peer, fault: None } => format!("{} goodbye", number(peer)),
        Action::Disconnect { peer, fault: Some(code) } => format!("{} close {code}", number(peer)),
        Action::Arm { .. } | Action::Disarm(_) => return None,
        Action::Tell(notice) => format!("user {}", notice_words(notice)),
        Action::Late { from } => format!("{} late", number(from)),
    })
}

/// The number of a person of the vectors: each byte of the user ID.
fn number(handle: &UserHandle) -> String {
    let [first, ..] = handle.id.0;
    first.to_string()
}

fn message_name(message: &antiphon_spec::message::client_client::PeerMessage) -> String {
    let bytes = cbor::encode(&ClientMessage::from(message.clone())).unwrap_or_default();
    let mut tree = Node::read(&bytes);
    let body = ["invitation", "session"].into_iter().find_map(|kind| {
        let entries = tree.as_mut()?.at(&[kind, "body"])?.entries()?;
        entries.first().cloned()
    });
    match body {
        Some((Node::Text(name), _)) => name,
        Some(_) | None => "nothing".to_owned(),
    }
}

fn notice_words(notice: &Notice) -> String {
    match notice {
        Notice::Invited { inviter } => format!("invited {}", number(inviter)),
        Notice::InvitationRejected { invitee } => format!("invitation-rejected {}", number(invitee)),
        Notice::InvitationFailed { invitee, .. } => format!("invitation-failed {}", number(invitee)),
        Notice::EpochBegan(epoch) => format!("epoch {}", epoch.number.0),
        Notice::MessageReceived { from, number: count, .. } => format!("message {count} of {}", number(from)),
        Notice::MessagePending { local } => format!("pending #{}", local.0),
        Notice::MessageSent { number: count, .. } => format!("sent {count}"),
        Notice::MessageDelivered { to, epoch, number: count, .. } => {
            format!("delivered {count} of epoch {} to {}", epoch.0, number(to))
        }
        Notice::MessageFailed { local, to } => format!("failed #{} to {}", local.0, number(to)),
        Notice::MessageUnsent { local } => format!("unsent #{}", local.0),
        Notice::NotPossible(_) => "not-possible".to_owned(),
        Notice::ForkNoticed(peer) => format!("fork {}", number(peer)),
        Notice::MemberLost(peer) => format!("member-lost {}", number(peer)),
        Notice::Ended(_) => "ended".to_owned(),
    }
}
