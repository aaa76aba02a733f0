//! Traces: what one client does in a session, event by event, recorded from the machine that is the specification.
//!
//! The peers are written by hand here: what they say is right where a trace is accepted by them, and wrong in one thing
//! where the client has to notice.

use std::sync::Arc;

use antiphon_protocol::signed::hash_epoch;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::Peer,
    message::client_client::*,
    policy::Verdict,
    session::{
        Change, Commitment, Epoch, EpochHash, EpochNumber, Event, Grant, LocalNumber, Member, Nonce, Origin,
        SessionId, Ticket, Timer,
    },
    signed::Signed,
    time::Timestamp,
};

use super::{
    GeneratorError, Made, VectorCase,
    sessions::{epoch_of, member},
    signed::{Parts, Signer},
};

mod abuse;
mod closing;
mod coordinator;
mod inviter;
mod member;
mod messages;
mod newcomer;
mod not_taken;
mod parting;
pub(crate) mod record;
mod succession;

use record::{Keys, Recorder, Told, handle_of, words};

const START: u64 = 1_800_000_000;

/// A trace under construction. The client is person 2; persons 1 and 3 are peers.
struct Trace {
    me: Member,
    client: Recorder,
    /// What the last event led to, in words.
    last: String,
    /// How much the user has said.
    said: u64,
    now: u64,
}

impl Trace {
    fn new() -> Made<Self> {
        let me = member(2)?;
        let client = Recorder::new(me.clone(), Keys::new(2, 0..10)?);
        Ok(Self { me, client, last: String::new(), said: 0, now: START })
    }

    /// Hands the machine an event, and records it with what the machine does.
    fn step(&mut self, told: &Told) -> Made<()> {
        let mut entropy = [0; 16];
        entropy.fill(u8::try_from(self.client.steps()).unwrap_or(u8::MAX));
        let done = self.client.step(told, Timestamp(self.now), entropy)?;
        self.last = done
            .actions
            .iter()
            .filter_map(words)
            .chain(done.refused.map(|code| format!("refuse {code}")))
            .collect::<Vec<_>>()
            .join(", ");
        Ok(())
    }

    fn event(&mut self, event: Event) -> Made<()> {
        self.step(&Told::Event(event))
    }

    fn create(&mut self) -> Made<()> {
        self.step(&Told::Create(Nonce([8; 16])))
    }

    fn invited(&mut self, by: u8, message: &InvitationMessage, verdict: Verdict) -> Made<()> {
        self.step(&Told::Invited { inviter: peer(by)?, message: message.clone(), verdict })
    }

    fn invite(&mut self, whom: u8) -> Made<()> {
        self.event(Event::Invite { invitee: handle_of(whom)? })
    }

    fn accept(&mut self) -> Made<()> {
        self.event(Event::Accept)
    }

    fn say(&mut self, text: &str) -> Made<()> {
        self.say_content("text/plain", text.as_bytes())
    }

    fn say_content(&mut self, media_type: &str, bytes: &[u8]) -> Made<()> {
        let content = Content(bytes.into());
        self.said += 1;
        self.event(Event::Say { local: LocalNumber(self.said), media_type: media_type.into(), content })
    }

    fn leave(&mut self) -> Made<()> {
        self.event(Event::Leave)
    }

    fn link_up(&mut self, who: u8) -> Made<()> {
        self.event(Event::LinkUp { peer: peer(who)? })
    }

    fn link_lost(&mut self, who: u8) -> Made<()> {
        self.event(Event::LinkLost { peer: handle_of(who)? })
    }

    fn link_failed(&mut self, who: u8) -> Made<()> {
        self.event(Event::LinkFailed { peer: handle_of(who)? })
    }

    fn timer(&mut self, timer: Timer) -> Made<()> {
        self.event(Event::TimerFired(timer))
    }

    fn received(&mut self, from: u8, message: PeerMessage) -> Made<()> {
        self.event(Event::Received { from: peer(from)?, message })
    }

    /// A message in an epoch.
    fn said(&mut self, from: u8, epoch: &Epoch, body: SessionBody) -> Made<()> {
        self.received(from, PeerMessage::Session(in_epoch(epoch, body)))
    }

    fn told(&mut self, from: u8, session: SessionId, body: InvitationBody) -> Made<()> {
        self.received(from, PeerMessage::Invitation(InvitationMessage { body, session }))
    }

    /// Holds what the last event led to against what the text says that it has to: the machine alone is no witness.
    fn shows(&self, expected: &str) -> Made<()> {
        if self.last == expected {
            return Ok(());
        }
        Err(GeneratorError(format!(
            "event {}: expected {expected:?}, got {:?}",
            self.client.steps().saturating_sub(1),
            self.last
        )))
    }

    fn done(self, slug: &str, requirements: &[&str], about: &str) -> Made<VectorCase> {
        Ok(self.client.done(&format!("traces/{slug}"), requirements, about))
    }
}

fn peer(number: u8) -> Made<Peer> {
    let Member { key, handle, .. } = member(number)?;
    Ok(Peer { handle, key })
}

fn in_epoch(epoch: &Epoch, body: SessionBody) -> SessionMessage {
    SessionMessage { body, chain: hash_epoch(epoch), epoch: epoch.number, session: epoch.session }
}

/// A grant of an epoch, signed by a person.
fn grant(
    epoch: &Epoch,
    change: Change,
    holder: u8,
    signer: u8,
    change_grant: impl FnOnce(&mut Grant),
) -> Made<Signed<Grant>> {
    let mut grant = Grant {
        chain: hash_epoch(epoch),
        epoch: epoch.number,
        change,
        holder: handle_of(holder)?,
        session: epoch.session,
        not_after: Timestamp(START + 30),
    };
    change_grant(&mut grant);
    let signer = Signer::new(signer)?;
    Ok(Signed::from_bytes(Parts::good(&signer, &grant)?.seal(&signer).encode()))
}

fn ticket(epoch: &Epoch, newcomer: &Member, issuer: u8, coordinator: u8) -> Made<Signed<Ticket>> {
    let grant = grant(epoch, Change::Join(newcomer.clone()), issuer, coordinator, |_| {})?;
    let ticket = Ticket {
        key: newcomer.key,
        epoch: epoch.number,
        grant,
        nonce: Nonce([7; 16]),
        issuer: handle_of(issuer)?,
        session: epoch.session,
        newcomer: newcomer.handle.clone(),
        not_after: Timestamp(START + 30),
    };
    let signer = Signer::new(issuer)?;
    Ok(Signed::from_bytes(Parts::good(&signer, &ticket)?.seal(&signer).encode()))
}

fn next(epoch: &Epoch, change: Change) -> Made<Epoch> {
    epoch.next(hash_epoch(epoch), change).map_err(GeneratorError::new)
}

fn counts(counts: &[(u8, u64)]) -> Made<Vec<SentCount>> {
    counts.iter().map(|(who, count)| Ok(SentCount { count: *count, member: handle_of(*who)? })).collect()
}

fn message(number: u64, text: &str) -> SessionBody {
    SessionBody::Message(Message {
        number,
        content: Content(text.as_bytes().into()),
        media_type: "text/plain".into(),
    })
}

/// What a person of the vectors joins with.
fn join_of(number: u8) -> Made<Join> {
    let Member { relay, accepts, .. } = member(number)?;
    Ok(Join { relay, accepts })
}

fn invite(epoch: &Epoch) -> InvitationMessage {
    InvitationMessage {
        body: InvitationBody::Invite(Invite { origin: epoch.origin, lifetime: 120 }),
        session: epoch.session,
    }
}

/// Person 2 has been invited by person 1, and has accepted.
fn accepted() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = (Trace::new()?, epoch_of(&[1, 3])?);
    trace.invited(1, &invite(&epoch), Verdict::Allow)?;
    trace.accept()?;
    Ok((trace, epoch))
}

/// ..and has been welcomed, admitted by persons 1 and 3, and waits for the commit.
fn completed() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = accepted()?;
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    trace.told(
        1,
        epoch.session,
        InvitationBody::Welcome(Welcome { epoch: Arc::new(epoch.clone()), ticket }),
    )?;
    trace.link_up(3)?;
    trace.said(1, &epoch, SessionBody::Admitted(Admitted {}))?;
    trace.said(3, &epoch, SessionBody::Admitted(Admitted {}))?;
    Ok((trace, epoch))
}

/// ..and is a member.
fn joined() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = completed()?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (3, 0)])?)?;
    Ok((trace, after))
}

/// Person 2 created a session that person 1 has joined.
fn coordinator() -> Made<(Trace, Epoch)> {
    coordinator_of(&[1])
}

/// Person 2 created a session that these persons have joined, one after the other.
fn coordinator_of(others: &[u8]) -> Made<(Trace, Epoch)> {
    let mut trace = Trace::new()?;
    trace.create()?;
    let origin = Origin { key: trace.me.key, nonce: Nonce([8; 16]) };
    let mut epoch = Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, trace.me.clone());
    for (joined, who) in others.iter().enumerate() {
        let newcomer = member(*who)?;
        trace.invite(*who)?;
        trace.link_up(*who)?;
        trace.told(*who, epoch.session, InvitationBody::Join(join_of(*who)?))?;
        trace.said(*who, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 2, 2)? }))?;
        for member in others.get(..joined).unwrap_or_default() {
            trace.said(*member, &epoch, SessionBody::Admitted(Admitted {}))?;
        }
        trace.said(*who, &epoch, SessionBody::Complete(Complete {}))?;
        for member in others.get(..joined).unwrap_or_default() {
            trace.said(*member, &epoch, SessionBody::Closed(Closed { sent: 0 }))?;
        }
        epoch = next(&epoch, Change::Join(newcomer))?;
    }
    Ok((trace, epoch))
}

/// Person 2, a member, has invited person 4 over a link.
fn invited_by_member() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = joined()?;
    trace.invite(4)?;
    trace.shows("4 dial")?;
    trace.link_up(4)?;
    trace.shows("4 invite")?;
    Ok((trace, epoch))
}

/// ..who has accepted: the token is asked for.
fn asked_for_token() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = invited_by_member()?;
    trace.told(4, epoch.session, InvitationBody::Join(join_of(4)?))?;
    trace.shows("1 token-request")?;
    Ok((trace, epoch))
}

/// ..and the token has come, and the welcome has gone out.
fn welcomed_by_member() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = asked_for_token()?;
    trace.said(1, &epoch, token_grant(1, grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?))?;
    trace.shows("4 welcome")?;
    Ok((trace, epoch))
}

const fn token_grant(number: u64, grant: Signed<Grant>) -> SessionBody {
    SessionBody::TokenGrant(TokenGrant { grant, number: RequestNumber(number) })
}

const fn request(number: u64, change: Change) -> SessionBody {
    SessionBody::TokenRequest(TokenRequest { change, number: RequestNumber(number) })
}

const fn received(number: u64) -> SessionBody {
    SessionBody::Received(Received { number })
}

/// A good `close` of the coordinator, person 1.
fn close(epoch: &Epoch, change: &Change, holder: u8) -> Made<SessionBody> {
    let grant = grant(epoch, change.clone(), holder, 1, |_| {})?;
    Ok(SessionBody::Close(Close { grant, change: change.clone() }))
}

/// The `commit` of the coordinator, person 1, that follows a change.
fn commit(after: &Epoch, sent: &[(u8, u64)]) -> Made<SessionBody> {
    commit_by(1, after, sent, |_| {})
}

/// A `commit` that this person has signed, with what `change` makes of a good commitment.
fn commit_by(
    signer: u8,
    after: &Epoch,
    sent: &[(u8, u64)],
    change: impl FnOnce(&mut Commitment),
) -> Made<SessionBody> {
    let mut commitment = Commitment {
        hash: hash_epoch(after),
        sent: counts(sent)?,
        chain: after.previous,
        epoch: EpochNumber(after.number.0.saturating_sub(1)),
        change: after.change.clone(),
        session: after.session,
    };
    change(&mut commitment);
    let signer = Signer::new(signer)?;
    let commitment = Signed::from_bytes(Parts::good(&signer, &commitment)?.seal(&signer).encode());
    Ok(SessionBody::Commit(Commit { commitment }))
}

impl Trace {
    /// The coordinator, person 1, closes the epoch of three for a change, and commits; gives the next one.
    fn change(&mut self, epoch: &Epoch, change: &Change, holder: u8, sent: &[(u8, u64)]) -> Made<Epoch> {
        self.said(1, epoch, close(epoch, change, holder)?)?;
        let after = next(epoch, change.clone())?;
        self.said(1, epoch, commit(&after, sent)?)?;
        Ok(after)
    }
}

/// Nobody has said anything in an epoch of persons 1, 2 and 3.
const SILENCE: [(u8, u64); 3] = [(1, 0), (2, 0), (3, 0)];

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let mut cases = Vec::new();
    newcomer::cases(&mut cases)?;
    member::cases(&mut cases)?;
    abuse::cases(&mut cases)?;
    inviter::cases(&mut cases)?;
    closing::cases(&mut cases)?;
    messages::cases(&mut cases)?;
    coordinator::cases(&mut cases)?;
    not_taken::cases(&mut cases)?;
    parting::cases(&mut cases)?;
    succession::cases(&mut cases)?;
    Ok(cases)
}
