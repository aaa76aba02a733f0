//! A client's session, event by event: the machine that the client's engine runs, handed the events of a trace in the
//! way in which the engine hands it those of its links, timers and user.

use antiphon_protocol::{key::KeyPair, signed::KeyRing};
use antiphon_spec::{
    identity::{Peer, UserHandle},
    machine::{Context, Machine as _},
    media_type::MediaTypes,
    message::client_client::{ClientMessage, Content, InvitationMessage, PeerMessage},
    policy::Verdict,
    session::{Action, Event, LocalNumber, Member, Nonce, RelayTag, Session},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, BadQuestion, Shim,
    bytes::Hex,
    notation::{self, MessageBytes, TraceEvent},
    read,
};

#[derive(Debug, Deserialize)]
struct Trace {
    me: Me,
    keys: Vec<Hex>,
    events: Vec<Timed>,
}

#[derive(Debug, Deserialize)]
struct Me {
    /// The Ed25519 secret key.
    seed: Hex,
    handle: UserHandle,
    relay: Hex,
    accepts: MediaTypes,
}

#[derive(Debug, Deserialize)]
struct Timed {
    now: u64,
    entropy: Hex,
    #[serde(flatten)]
    event: TraceEvent,
}

pub(super) fn trace(shim: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let Trace { me, keys, events } = read(question)?;
    let own = KeyPair::from_seed(&me.seed.array()?).map_err(BadQuestion::new)?;
    let me = Member {
        key: own.key_hash(),
        relay: RelayTag(me.relay.array()?),
        handle: me.handle,
        accepts: me.accepts,
    };
    let mut client = Client { me, keys: shim.keys.ring(own, &keys)?, session: None };
    let steps = events.into_iter().enumerate().map(|(number, timed)| {
        let step = client.step(timed);
        step.map(Value::Array).map_err(|error| BadQuestion(format!("event {number}: {error}")))
    });
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::accept([("steps", steps.into())]))
}

/// A client with one session at most.
struct Client {
    me: Member,
    keys: KeyRing,
    session: Option<Session>,
}

impl Client {
    fn step(&mut self, Timed { now, entropy, event }: Timed) -> Result<Vec<Value>, BadQuestion> {
        let entropy = entropy.array()?;
        let event = match event {
            TraceEvent::Create { nonce } => return self.create(Nonce(nonce.array()?), now, entropy),
            TraceEvent::Invited { inviter, message, verdict } => {
                let message = invitation(&message)?;
                return self.invited(inviter.try_into()?, &message, verdict, now, entropy);
            }
            TraceEvent::Invite { invitee } => Event::Invite { invitee },
            TraceEvent::Accept => Event::Accept,
            TraceEvent::Refuse => Event::Refuse,
            TraceEvent::Say { message, media_type, content } => Event::Say {
                local: LocalNumber(message),
                media_type: media_type.into(),
                content: Content(content.0.into()),
            },
            TraceEvent::Leave => Event::Leave,
            TraceEvent::LinkUp { peer } => Event::LinkUp { peer: peer.try_into()? },
            TraceEvent::LinkFailed { peer } => Event::LinkFailed { peer },
            TraceEvent::LinkLost { peer } => Event::LinkLost { peer },
            TraceEvent::Received { from, message } => {
                Event::Received { from: from.try_into()?, message: peer_message(&message)? }
            }
            TraceEvent::Timer { timer } => Event::TimerFired(timer.into()),
        };
        let session = self.session.as_mut().ok_or_else(|| BadQuestion::new("there is no session yet"))?;
        let mut actions = Vec::new();
        session.handle(event, &Context { now: Timestamp(now), entropy, crypto: &self.keys }, &mut actions);
        written(actions)
    }

    fn create(&mut self, nonce: Nonce, now: u64, entropy: [u8; 16]) -> Result<Vec<Value>, BadQuestion> {
        let context = Context { now: Timestamp(now), entropy, crypto: &self.keys };
        self.session = Some(Session::create(self.me.clone(), nonce, &context));
        Ok(Vec::new())
    }

    fn invited(
        &mut self,
        inviter: Peer,
        message: &InvitationMessage,
        verdict: Verdict,
        now: u64,
        entropy: [u8; 16],
    ) -> Result<Vec<Value>, BadQuestion> {
        let context = Context { now: Timestamp(now), entropy, crypto: &self.keys };
        let mut actions = Vec::new();
        match Session::invited(self.me.clone(), inviter, message, verdict, &context, &mut actions) {
            Ok(session) => self.session = Some(session),
            Err(code) => return Ok(vec![json!({"refuse": code})]),
        }
        written(actions)
    }
}

fn written(actions: Vec<Action>) -> Result<Vec<Value>, BadQuestion> {
    actions.into_iter().map(notation::action).collect()
}

fn invitation(message: &MessageBytes) -> Result<InvitationMessage, BadQuestion> {
    match peer_message(message)? {
        PeerMessage::Invitation(message) => Ok(message),
        PeerMessage::Session(_) => Err(BadQuestion::new("not a step of an invitation")),
    }
}

fn peer_message(message: &MessageBytes) -> Result<PeerMessage, BadQuestion> {
    match message.decode()? {
        ClientMessage::Invitation(message) => Ok(PeerMessage::Invitation(message)),
        ClientMessage::Session(message) => Ok(PeerMessage::Session(message)),
        ClientMessage::Instant(_)
        | ClientMessage::InstantReceived(_)
        | ClientMessage::Keep(_)
        | ClientMessage::Kept(_)
        | ClientMessage::Have(_)
        | ClientMessage::Resume(_)
        | ClientMessage::Resumed(_)
        | ClientMessage::Greeting(_)
        | ClientMessage::Ping(_)
        | ClientMessage::Pong(_)
        | ClientMessage::Goodbye(_)
        | ClientMessage::Error(_) => Err(BadQuestion::new("not a message of a session")),
    }
}
