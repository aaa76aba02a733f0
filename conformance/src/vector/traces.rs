//! Traces: what one client does in a session, event by event, recorded from the machine that is the specification.
//!
//! The peers are written by hand here: what they say is right where a trace is accepted by them, and wrong in one thing
//! where the client has to notice.

use std::sync::Arc;

use antiphon_protocol::{cbor, signed::hash_epoch};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::Peer,
    machine::{Context, Machine as _},
    message::client_client::*,
    policy::Verdict,
    session::{
        Action, Change, Epoch, EpochHash, EpochNumber, Event, Grant, Member, Nonce, Origin, Session,
        SessionId, Ticket, Timer,
    },
    signed::Signed,
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    Draft, GeneratorError, Made, VectorCase,
    sessions::{epoch_of, member},
    signed::{Parts, Signer},
};
use crate::case::Role;

mod record;

use record::{Keys, action, handle_of, peer_json, timer_json};

const START: u64 = 1_800_000_000;

/// A trace under construction. The client is person 2; persons 1 and 3 are peers.
struct Trace {
    me: Member,
    keys: Keys,
    session: Option<Session>,
    events: Vec<Value>,
    steps: Vec<Value>,
    now: u64,
}

impl Trace {
    fn new() -> Made<Self> {
        Ok(Self {
            me: member(2)?,
            keys: Keys::new(2, 0..10)?,
            session: None,
            events: vec![],
            steps: vec![],
            now: START,
        })
    }

    /// Records an event and what the machine does.
    fn step(
        &mut self,
        mut told: Value,
        run: impl FnOnce(&mut Option<Session>, &Context<'_>, &mut Vec<Action>) -> Option<ErrorCode>,
    ) -> Made<()> {
        let mut entropy = [0; 16];
        entropy.fill(u8::try_from(self.events.len()).unwrap_or(u8::MAX));
        if let Some(told) = told.as_object_mut() {
            told.insert("now".to_owned(), self.now.into());
            told.insert("entropy".to_owned(), hex::encode(entropy).into());
        }
        let context = Context { now: Timestamp(self.now), entropy, crypto: &self.keys };
        let mut out = Vec::new();
        let refused = run(&mut self.session, &context, &mut out);
        let mut actions = out.iter().map(action).collect::<Made<Vec<_>>>()?;
        if let Some(code) = refused {
            actions.push(json!({"refuse": code.as_str()}));
        }
        self.events.push(told);
        self.steps.push(Value::Array(actions));
        Ok(())
    }

    fn event(&mut self, told: Value, event: Event) -> Made<()> {
        self.step(told, |session, context, out| {
            if let Some(session) = session {
                session.handle(event, context, out);
            }
            None
        })
    }

    fn create(&mut self) -> Made<()> {
        let (nonce, me) = (Nonce([8; 16]), self.me.clone());
        self.step(json!({"event": "create", "nonce": hex::encode(nonce.0)}), |session, context, _| {
            *session = Some(Session::create(me, nonce, context));
            None
        })
    }

    fn invited(&mut self, by: u8, message: &InvitationMessage, verdict: Verdict) -> Made<()> {
        let (inviter, me) = (peer(by)?, self.me.clone());
        let word = if verdict == Verdict::Allow { "allow" } else { "deny" };
        let told = json!({"event": "invited", "inviter": peer_json(&inviter), "message": encode(&ClientMessage::Invitation(message.clone()))?, "verdict": word});
        self.step(told, |session, context, out| {
            match Session::invited(me, inviter, message, verdict, context, out) {
                Ok(made) => {
                    *session = Some(made);
                    None
                }
                Err(code) => Some(code),
            }
        })
    }

    fn invite(&mut self, whom: u8) -> Made<()> {
        let invitee = handle_of(whom)?;
        self.event(json!({"event": "invite", "invitee": invitee}), Event::Invite { invitee })
    }

    fn accept(&mut self) -> Made<()> {
        self.event(json!({"event": "accept"}), Event::Accept)
    }

    fn say(&mut self, text: &str) -> Made<()> {
        let content = Content(text.as_bytes().into());
        let told = json!({"event": "say", "media-type": "text/plain", "content": hex::encode(text)});
        self.event(told, Event::Say { media_type: "text/plain".into(), content })
    }

    fn leave(&mut self) -> Made<()> {
        self.event(json!({"event": "leave"}), Event::Leave)
    }

    fn link_up(&mut self, who: u8) -> Made<()> {
        let peer = peer(who)?;
        self.event(json!({"event": "link-up", "peer": peer_json(&peer)}), Event::LinkUp { peer })
    }

    fn link_lost(&mut self, who: u8) -> Made<()> {
        let peer = handle_of(who)?;
        self.event(json!({"event": "link-lost", "peer": peer}), Event::LinkLost { peer })
    }

    fn link_failed(&mut self, who: u8) -> Made<()> {
        let peer = handle_of(who)?;
        self.event(json!({"event": "link-failed", "peer": peer}), Event::LinkFailed { peer })
    }

    fn timer(&mut self, timer: Timer) -> Made<()> {
        self.event(json!({"event": "timer", "timer": timer_json(&timer)}), Event::TimerFired(timer))
    }

    fn received(&mut self, from: u8, message: PeerMessage) -> Made<()> {
        let from = peer(from)?;
        let told = json!({"event": "received", "from": peer_json(&from), "message": encode(&ClientMessage::from(message.clone()))?});
        self.event(told, Event::Received { from, message })
    }

    /// A message in an epoch.
    fn said(&mut self, from: u8, epoch: &Epoch, body: SessionBody) -> Made<()> {
        self.received(from, PeerMessage::Session(in_epoch(epoch, body)))
    }

    fn told(&mut self, from: u8, session: SessionId, body: InvitationBody) -> Made<()> {
        self.received(from, PeerMessage::Invitation(InvitationMessage { body, session }))
    }

    fn done(self, slug: &str, requirements: &[&str], about: &str) -> Made<VectorCase> {
        let keys: Vec<String> = self.keys.all().map(hex::encode).collect();
        let me =
            json!({"seed": hex::encode([2u8; 32]), "handle": self.me.handle, "address": self.me.address});
        let draft = Draft::new(format!("traces/{slug}"), Role::Member, "trace", requirements, about);
        Ok(draft
            .input("me", me)
            .input("keys", keys)
            .input("events", self.events)
            .output("steps", self.steps)
            .done())
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Made<String> {
    Ok(hex::encode(cbor::encode(value).map_err(GeneratorError::new)?))
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
    let commit = Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (3, 0)])? };
    trace.said(1, &epoch, SessionBody::Commit(commit))?;
    Ok((trace, after))
}

/// Person 2 created a session that person 1 has joined.
fn coordinator() -> Made<(Trace, Epoch)> {
    let mut trace = Trace::new()?;
    trace.create()?;
    let origin = Origin { key: trace.me.key, nonce: Nonce([8; 16]) };
    let first = Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, trace.me.clone());
    trace.invite(1)?;
    trace.link_up(1)?;
    let newcomer = member(1)?;
    trace.told(1, first.session, InvitationBody::Join(Join { address: newcomer.address }))?;
    trace.said(1, &first, SessionBody::Admit(Admit { ticket: ticket(&first, &newcomer, 2, 2)? }))?;
    trace.said(1, &first, SessionBody::Complete(Complete {}))?;
    let after = next(&first, Change::Join(newcomer))?;
    Ok((trace, after))
}

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let mut cases = Vec::new();
    newcomers(&mut cases)?;
    welcomes(&mut cases)?;
    members(&mut cases)?;
    closings(&mut cases)?;
    messages(&mut cases)?;
    coordinators(&mut cases)?;
    Ok(cases)
}

fn newcomers(cases: &mut Vec<VectorCase>) -> Made<()> {
    cases.push(joined()?.0.done(
        "joins",
        &["SESS-064", "SESS-063", "SESS-075", "SESS-031"],
        "an invitee accepts, is admitted by all, and becomes a member",
    )?);
    let epoch = epoch_of(&[1, 3])?;
    let begin = |verdict: Verdict| -> Made<Trace> {
        let mut trace = Trace::new()?;
        trace.invited(1, &invite(&epoch), verdict)?;
        Ok(trace)
    };
    let mut trace = begin(Verdict::Allow)?;
    trace.event(json!({"event": "refuse"}), Event::Refuse)?;
    cases.push(trace.done("refuses", &["SESS-029"], "the user refuses")?);
    cases.push(begin(Verdict::Deny)?.done(
        "denied",
        &["PREF-003", "SESS-030"],
        "the preferences refuse, and the user is not told",
    )?);
    let mut trace = begin(Verdict::Allow)?;
    trace.now += 120;
    trace.timer(Timer::Answer)?;
    cases.push(trace.done("does-not-answer", &["SESS-029"], "the user does not answer")?);
    let mut trace = begin(Verdict::Allow)?;
    trace.told(1, epoch.session, InvitationBody::Cancel(Cancel {}))?;
    cases.push(trace.done("cancelled", &["SESS-037"], "the inviter takes the invitation back")?);
    let mut trace = Trace::new()?;
    let forged = InvitationMessage { session: SessionId([1; 32]), ..invite(&epoch) };
    trace.invited(1, &forged, Verdict::Allow)?;
    cases.push(trace.done(
        "invited-to-forged-session",
        &["SESS-003"],
        "the session ID is not the origin's",
    )?);
    let (mut trace, _) = accepted()?;
    trace.now += 120;
    trace.timer(Timer::Join)?;
    cases.push(trace.done("no-welcome", &["SESS-036"], "no welcome comes")?);
    let (mut trace, epoch) = accepted()?;
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    trace.told(1, epoch.session, InvitationBody::Welcome(Welcome { epoch: Arc::new(epoch), ticket }))?;
    trace.link_failed(3)?;
    cases.push(trace.done("member-unreachable", &["SESS-076"], "a member cannot be reached")?);
    let (mut trace, epoch) = completed()?;
    let commit = Commit { hash: EpochHash([1; 32]), sent: counts(&[(1, 0), (3, 0)])? };
    trace.said(1, &epoch, SessionBody::Commit(commit))?;
    cases.push(trace.done("commit-of-other-chain", &["SESS-080"], "the commit is of another chain")?);
    let (mut trace, epoch) = completed()?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    trace.said(3, &after, message(1, "early"))?;
    let commit = Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (3, 0)])? };
    trace.said(1, &epoch, SessionBody::Commit(commit))?;
    cases.push(trace.done(
        "message-before-commit",
        &["SESS-079"],
        "a member speaks in the next epoch before the newcomer has the commit",
    )?);
    let (mut trace, _) = completed()?;
    trace.leave()?;
    cases.push(trace.done(
        "leaves-before-commit",
        &["SESS-077"],
        "the user wants to leave before the commit",
    )?);
    Ok(())
}

fn welcomes(cases: &mut Vec<VectorCase>) -> Made<()> {
    type Change = fn(&mut Epoch) -> Made<()>;
    let wrong: [(&str, &str, &str, Change); 7] = [
        ("other-session", "SESS-060", "a welcome into another session", |e| {
            e.session = SessionId([1; 32]);
            Ok(())
        }),
        ("other-origin", "SESS-060", "a welcome with another origin", |e| {
            e.origin.nonce = Nonce([1; 16]);
            Ok(())
        }),
        ("unordered", "SESS-062", "members against their order", |e| {
            e.members = e.members.iter().rev().cloned().collect();
            Ok(())
        }),
        ("one-key-twice", "SESS-062", "two members with one key", |e| {
            let key = member(1)?.key;
            e.members = e.members.iter().cloned().map(|m| Member { key, ..m }).collect();
            Ok(())
        }),
        ("without-inviter", "SESS-062", "the inviter is not among the members", |e| {
            e.members = e.members.iter().skip(1).cloned().collect();
            Ok(())
        }),
        ("without-coordinator", "SESS-062", "the coordinator is not among the members", |e| {
            e.coordinator = handle_of(5)?;
            Ok(())
        }),
        ("with-newcomer", "SESS-062", "the newcomer is among the members", |e| {
            e.members = [member(1)?, member(2)?, member(3)?].into();
            Ok(())
        }),
    ];
    for (slug, requirement, about, change) in wrong {
        let (mut trace, epoch) = accepted()?;
        let ticket = ticket(&epoch, &trace.me, 1, 1)?;
        let mut changed = epoch.clone();
        change(&mut changed)?;
        trace.told(
            1,
            epoch.session,
            InvitationBody::Welcome(Welcome { epoch: Arc::new(changed), ticket }),
        )?;
        cases.push(trace.done(&format!("welcome-{slug}"), &[requirement], about)?);
    }
    let (mut trace, epoch) = accepted()?;
    let mut full = epoch.clone();
    full.members = (3..35u8)
        .map(|number| if number == 34 { member(1) } else { member(number) })
        .collect::<Made<Vec<_>>>()?
        .into();
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    trace.told(1, epoch.session, InvitationBody::Welcome(Welcome { epoch: Arc::new(full), ticket }))?;
    cases.push(trace.done("welcome-full", &["SESS-061"], "a welcome with 32 members")?);
    Ok(())
}

fn members(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let newcomer = member(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    let join = Change::Join(newcomer.clone());
    let close = Close { grant: grant(&epoch, join.clone(), 3, 1, |_| {})?, change: join.clone() };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, join.clone())?;
    trace.said(
        1,
        &epoch,
        SessionBody::Commit(Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (2, 0), (3, 0)])? }),
    )?;
    cases.push(trace.done(
        "admits",
        &["SESS-074", "SESS-087", "SESS-090"],
        "a member admits a newcomer, closes the epoch and begins the next",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    trace.said(5, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(5)?, 3, 1)? }))?;
    cases.push(trace.done(
        "admits-one-only",
        &["SESS-065"],
        "a second newcomer comes while one is admitted",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(3, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(3)?, 1, 1)? }))?;
    cases.push(trace.done("member-comes-again", &["SESS-065"], "a member shows a ticket")?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    let close = Close { grant: grant(&epoch, join, 3, 1, |_| {})?, change: Change::Void(newcomer.handle) };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, Change::Void(handle_of(4)?))?;
    trace.said(
        1,
        &epoch,
        SessionBody::Commit(Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (2, 0), (3, 0)])? }),
    )?;
    cases.push(trace.done("void", &["SESS-095", "SESS-084"], "the newcomer did not come")?);
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, SessionBody::HandOver(HandOver {}))?;
    cases.push(trace.done("takes-over", &["SESS-102"], "a member is asked to coordinate")?);
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    trace.said(1, &epoch, SessionBody::HandOver(HandOver {}))?;
    cases.push(trace.done(
        "declines-to-take-over",
        &["SESS-102", "SESS-097"],
        "a member that leaves is asked to coordinate",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(3, &epoch, SessionBody::HandOver(HandOver {}))?;
    cases.push(trace.done(
        "hand-over-by-stranger",
        &["SESS-024"],
        "a member that does not coordinate offers the part",
    )?);
    let (mut trace, _) = joined()?;
    trace.link_lost(1)?;
    cases.push(trace.done(
        "coordinator-lost",
        &["SESS-121", "SESS-122"],
        "the link to the coordinator is lost",
    )?);
    let (mut trace, _) = joined()?;
    trace.link_lost(3)?;
    trace.now += 20;
    trace.timer(Timer::Lost(handle_of(3)?))?;
    cases.push(trace.done(
        "member-not-removed",
        &["SESS-120", "SESS-122"],
        "a lost member is not removed in time",
    )?);
    leaves(cases)
}

fn leaves(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    let leave = Change::Leave(trace.me.handle.clone());
    let close = Close { grant: grant(&epoch, leave.clone(), 2, 1, |_| {})?, change: leave.clone() };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, leave)?;
    trace.said(
        1,
        &epoch,
        SessionBody::Commit(Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (2, 0), (3, 0)])? }),
    )?;
    trace.timer(Timer::Linger)?;
    cases.push(trace.done(
        "leaves",
        &["SESS-097", "SESS-099"],
        "a member leaves, and lingers until it closes its links",
    )?);
    let mut trace = Trace::new()?;
    trace.create()?;
    trace.leave()?;
    cases.push(trace.done("leaves-alone", &["SESS-100"], "the only member leaves")?);
    Ok(())
}

/// A `close` that nobody may obey.
fn closings(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (template, epoch) = joined()?;
    drop(template);
    let remove = Change::Remove(handle_of(3)?);
    let void = Change::Void(handle_of(4)?);
    let join = Change::Join(member(4)?);
    let own_leave = Change::Leave(handle_of(2)?);
    let own_removal = Change::Remove(handle_of(2)?);
    let stranger = Change::Remove(handle_of(5)?);
    let granted = |change: &Change, holder, signer, wrong: fn(&mut Grant)| {
        grant(&epoch, change.clone(), holder, signer, wrong)
    };
    for (slug, requirement, about, from, signed, change) in [
        (
            "by-other-member",
            "SESS-024",
            "by a member who does not coordinate",
            3,
            granted(&remove, 1, 1, |_| {})?,
            &remove,
        ),
        (
            "grant-by-other-member",
            "SESS-083",
            "with a grant by another member",
            1,
            granted(&remove, 1, 3, |_| {})?,
            &remove,
        ),
        (
            "grant-of-other-session",
            "SESS-083",
            "with a grant for another session",
            1,
            granted(&remove, 1, 1, |g| g.session = SessionId([1; 32]))?,
            &remove,
        ),
        (
            "grant-of-earlier-epoch",
            "SESS-083",
            "with a grant of an earlier epoch",
            1,
            granted(&remove, 1, 1, |g| g.epoch = EpochNumber(0))?,
            &remove,
        ),
        (
            "grant-of-other-chain",
            "SESS-083",
            "with a grant of another chain",
            1,
            granted(&remove, 1, 1, |g| g.chain = EpochHash([1; 32]))?,
            &remove,
        ),
        (
            "grant-for-other-change",
            "SESS-084",
            "with a grant for another change",
            1,
            granted(&own_leave, 2, 1, |_| {})?,
            &remove,
        ),
        (
            "grant-to-other-holder",
            "SESS-084",
            "a removal that another than the coordinator holds",
            1,
            granted(&remove, 2, 1, |_| {})?,
            &remove,
        ),
        (
            "void-of-other-newcomer",
            "SESS-084",
            "a void of another newcomer than the granted one",
            1,
            granted(&Change::Join(member(5)?), 3, 1, |_| {})?,
            &void,
        ),
        (
            "join-not-admitted",
            "SESS-085",
            "a join of somebody whom this member has not admitted",
            1,
            granted(&join, 3, 1, |_| {})?,
            &join,
        ),
        (
            "leave-not-asked-for",
            "SESS-085",
            "this member's leave, which it did not ask for",
            1,
            granted(&own_leave, 2, 1, |_| {})?,
            &own_leave,
        ),
        (
            "own-removal",
            "SESS-085",
            "this member's own removal",
            1,
            granted(&own_removal, 1, 1, |_| {})?,
            &own_removal,
        ),
        (
            "removal-of-stranger",
            "SESS-086",
            "the removal of somebody who is no member",
            1,
            granted(&stranger, 1, 1, |_| {})?,
            &stranger,
        ),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.said(from, &epoch, SessionBody::Close(Close { grant: signed, change: change.clone() }))?;
        cases.push(trace.done(
            &format!("close-{slug}"),
            &[requirement],
            &format!("an epoch is closed {about}"),
        )?);
    }
    let (mut trace, epoch) = joined()?;
    let close = || -> Made<SessionBody> {
        Ok(SessionBody::Close(Close {
            grant: grant(&epoch, remove.clone(), 1, 1, |_| {})?,
            change: remove.clone(),
        }))
    };
    trace.said(1, &epoch, close()?)?;
    trace.say("too late")?;
    trace.said(
        1,
        &epoch,
        SessionBody::Commit(Commit { hash: EpochHash([1; 32]), sent: counts(&[(1, 0), (2, 0)])? }),
    )?;
    cases.push(trace.done(
        "commit-of-other-epoch",
        &["SESS-091", "SESS-088"],
        "a commit of another epoch than the one that was closed",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, SessionBody::Commit(Commit { hash: EpochHash([1; 32]), sent: vec![] }))?;
    cases.push(trace.done("commit-without-close", &["SESS-024"], "a commit without a close")?);
    Ok(())
}

fn messages(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (_, epoch) = joined()?;
    let later = |by: u64, body: SessionBody| SessionMessage {
        epoch: EpochNumber(epoch.number.0 + by),
        chain: EpochHash([1; 32]),
        ..in_epoch(&epoch, body)
    };
    let earlier =
        SessionMessage { epoch: EpochNumber(epoch.number.0 - 1), ..in_epoch(&epoch, message(1, "late")) };
    let content = |length: usize, media_type: &str| {
        SessionBody::Message(Message {
            number: 1,
            content: Content(vec![b'a'; length].into()),
            media_type: media_type.into(),
        })
    };
    let media_type = format!("text/{}", "a".repeat(250));
    let long_media_type = format!("text/{}", "a".repeat(251));
    for (slug, requirement, about, said) in [
        (
            "message",
            "SESS-108",
            "two messages in order",
            vec![in_epoch(&epoch, message(1, "a")), in_epoch(&epoch, message(2, "b"))],
        ),
        (
            "message-again",
            "SESS-109",
            "a message a second time",
            vec![in_epoch(&epoch, message(1, "a")), in_epoch(&epoch, message(1, "a"))],
        ),
        ("message-skipped", "SESS-110", "a message is missing", vec![in_epoch(&epoch, message(2, "b"))]),
        ("message-late", "SESS-020", "a message of the epoch before", vec![earlier]),
        ("message-early", "SESS-017", "a message of the epoch to come", vec![later(1, message(1, "early"))]),
        (
            "message-impossible",
            "SESS-019",
            "a message of the epoch after the next",
            vec![later(2, message(1, "never"))],
        ),
        (
            "message-of-fork",
            "SESS-023",
            "a message with another hash",
            vec![SessionMessage { chain: EpochHash([1; 32]), ..in_epoch(&epoch, message(1, "fork")) }],
        ),
        (
            "message-longest",
            "LIM-001",
            "a message of 16384 bytes, with a media type of 255",
            vec![in_epoch(&epoch, content(16_384, &media_type))],
        ),
        (
            "message-too-long",
            "SESS-113",
            "a message of 16385 bytes",
            vec![in_epoch(&epoch, content(16_385, "text/plain"))],
        ),
        (
            "media-type-too-long",
            "SESS-113",
            "a media type of 256 bytes",
            vec![in_epoch(&epoch, content(1, &long_media_type))],
        ),
        (
            "received-for-nothing",
            "SESS-025",
            "an acknowledgement of nothing",
            vec![in_epoch(&epoch, SessionBody::Received(Received { number: 1 }))],
        ),
        (
            "token-request-at-member",
            "SESS-044",
            "a token request to a member",
            vec![in_epoch(
                &epoch,
                SessionBody::TokenRequest(TokenRequest {
                    change: Change::Leave(handle_of(3)?),
                    number: RequestNumber(1),
                }),
            )],
        ),
    ] {
        let (mut trace, _) = joined()?;
        for message in said {
            trace.received(3, PeerMessage::Session(message))?;
        }
        cases.push(trace.done(slug, &[requirement], about)?);
    }
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    trace.say("again")?;
    trace.said(3, &epoch, SessionBody::Received(Received { number: 2 }))?;
    trace.said(1, &epoch, SessionBody::Received(Received { number: 1 }))?;
    cases.push(trace.done(
        "says",
        &["SESS-107", "SESS-015"],
        "what the user says goes to all members, numbered from 1",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, message(1, "let me in"))?;
    cases.push(trace.done("message-of-stranger", &["SESS-016"], "somebody who is no member speaks")?);
    let (mut trace, epoch) = joined()?;
    trace.received(
        3,
        PeerMessage::Session(SessionMessage {
            session: SessionId([1; 32]),
            ..in_epoch(&epoch, message(1, "elsewhere"))
        }),
    )?;
    cases.push(trace.done("message-of-other-session", &["SESS-012"], "a message of another session")?);
    flush(cases)
}

/// An epoch ends when all that was said in it has come.
fn flush(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    let close = Close { grant: grant(&epoch, hand_over.clone(), 3, 1, |_| {})?, change: hand_over.clone() };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, hand_over)?;
    trace.said(
        1,
        &epoch,
        SessionBody::Commit(Commit { hash: hash_epoch(&after), sent: counts(&[(1, 0), (2, 0), (3, 1)])? }),
    )?;
    trace.said(3, &epoch, message(1, "the last word"))?;
    cases.push(trace.done(
        "waits-for-messages",
        &["SESS-092", "SESS-013"],
        "the next epoch begins when the last message of the old one has come",
    )?);
    Ok(())
}

fn coordinators(cases: &mut Vec<VectorCase>) -> Made<()> {
    cases.push(coordinator()?.0.done(
        "creates-and-invites",
        &["SESS-058", "SESS-059", "SESS-033", "SESS-089"],
        "a creator invites somebody, who joins",
    )?);
    let request = |number: u64, change: Change| {
        SessionBody::TokenRequest(TokenRequest { change, number: RequestNumber(number) })
    };
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, request(1, Change::Join(member(3)?)))?;
    trace.said(1, &epoch, request(2, Change::Join(member(4)?)))?;
    trace.said(1, &epoch, request(1, Change::Join(member(3)?)))?;
    cases.push(trace.done(
        "grants-once",
        &["SESS-051", "SESS-053", "SESS-046", "SESS-054"],
        "the coordinator gives one grant in an epoch",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, request(1, Change::Join(member(3)?)))?;
    trace.said(1, &epoch, SessionBody::TokenReturn(TokenReturn {}))?;
    trace.said(1, &epoch, SessionBody::Closed(Closed { sent: 0 }))?;
    cases.push(trace.done(
        "voids",
        &["SESS-057", "SESS-081", "SESS-082"],
        "the holder gives the token back",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, request(1, Change::Join(member(3)?)))?;
    trace.now += 30;
    trace.timer(Timer::Lease)?;
    cases.push(trace.done("lease-ends", &["SESS-057"], "the lease of a grant ends")?);
    for (slug, requirement, about, change) in [
        ("refuses-member", "SESS-048", "a join of a member is asked for", Change::Join(member(1)?)),
        (
            "refuses-members-key",
            "SESS-048",
            "a join with a member's key is asked for",
            Change::Join(Member { key: member(1)?.key, ..member(3)? }),
        ),
        (
            "forbids-others-leave",
            "SESS-045",
            "the leave of another is asked for",
            Change::Leave(handle_of(2)?),
        ),
        ("forbids-removal", "SESS-045", "a removal is asked for", Change::Remove(handle_of(2)?)),
        ("forbids-hand-over", "SESS-045", "a hand-over is asked for", Change::HandOver(handle_of(1)?)),
    ] {
        let (mut trace, epoch) = coordinator()?;
        trace.said(1, &epoch, request(1, change))?;
        cases.push(trace.done(slug, &[requirement], about)?);
    }
    let (mut trace, epoch) = coordinator()?;
    trace.leave()?;
    trace.said(1, &epoch, SessionBody::HandOverAnswer(HandOverAnswer { accepted: true }))?;
    trace.said(1, &epoch, SessionBody::Closed(Closed { sent: 0 }))?;
    cases.push(trace.done(
        "hands-over",
        &["SESS-101", "SESS-103", "SESS-106"],
        "a coordinator hands over and then asks for its leave",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.leave()?;
    trace.said(1, &epoch, SessionBody::HandOverAnswer(HandOverAnswer { accepted: false }))?;
    trace.said(1, &epoch, request(1, Change::Leave(handle_of(1)?)))?;
    cases.push(trace.done(
        "hand-over-declined",
        &["SESS-105", "SESS-052"],
        "nobody takes over from the coordinator",
    )?);
    let (mut trace, _) = coordinator()?;
    trace.link_lost(1)?;
    cases.push(trace.done(
        "removes-lost",
        &["SESS-117", "SESS-119", "SESS-122"],
        "a member's link is lost",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, request(1, Change::Leave(handle_of(1)?)))?;
    trace.now += 15;
    trace.timer(Timer::Close)?;
    cases.push(trace.done("close-deadline", &["SESS-093"], "a member does not close the epoch in time")?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, SessionBody::Complete(Complete {}))?;
    cases.push(trace.done("complete-of-member", &["SESS-024"], "a member says that it has been admitted")?);
    Ok(())
}
