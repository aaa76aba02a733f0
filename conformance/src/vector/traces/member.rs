//! A member among members: who is admitted, who takes over, who leaves, who is lost.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let newcomer = member(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    let join = Change::Join(newcomer.clone());
    let close = Close { grant: grant(&epoch, join.clone(), 3, 1, |_| {})?, change: join.clone() };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, join.clone())?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 0)])?)?;
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
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 0)])?)?;
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
        &["SESS-130", "SESS-122"],
        "the link to the coordinator is lost",
    )?);
    let (mut trace, _) = joined()?;
    trace.link_lost(3)?;
    trace.now += 150;
    trace.timer(Timer::Lost(handle_of(3)?))?;
    cases.push(trace.done(
        "member-not-removed",
        &["SESS-120", "SESS-122"],
        "a lost member with a greater handle is not removed in time",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &Change::HandOver(handle_of(3)?), 3, &SILENCE)?;
    trace.link_lost(1)?;
    trace.now += 60;
    trace.timer(Timer::Lost(handle_of(1)?))?;
    trace.shows("3 goodbye, user ended")?;
    cases.push(trace.done(
        "member-with-lesser-handle-not-removed",
        &["SESS-120", "SESS-122"],
        "a lost member with a lesser handle is not removed in time",
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
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 0)])?)?;
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
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &Change::Leave(handle_of(3)?), 3, &SILENCE)?;
    trace.shows("user epoch 3, 3 goodbye")?;
    cases.push(trace.done("other-leaves", &["SESS-094"], "another member leaves, and its link is closed")?);
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &Change::Remove(handle_of(3)?), 1, &[(1, 0), (2, 0)])?;
    trace.shows("user epoch 3, 3 goodbye")?;
    cases.push(trace.done(
        "other-removed",
        &["SESS-094"],
        "the coordinator removes a member whose link stands here, and the link is closed",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3")?;
    trace.change(&epoch, &Change::Remove(handle_of(3)?), 1, &[(1, 0), (2, 0)])?;
    trace.shows("user epoch 3")?;
    trace.now += 20;
    trace.timer(Timer::Lost(handle_of(3)?))?;
    trace.shows("")?;
    cases.push(trace.done(
        "lost-member-removed",
        &["SESS-120", "SESS-122"],
        "a lost member is removed in time",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    trace.change(&epoch, &Change::Leave(handle_of(2)?), 2, &SILENCE)?;
    trace.shows("user ended")?;
    trace.said(3, &epoch, message(1, "farewell"))?;
    trace.shows("3 late")?;
    trace.link_lost(1)?;
    trace.link_lost(3)?;
    trace.shows("")?;
    cases.push(trace.done(
        "leaves-and-others-close",
        &["SESS-099"],
        "a member has left, ignores what still comes, and waits for the others to close",
    )?);
    admissions(cases)
}

/// Tickets that come at the wrong time.
fn admissions(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = Change::HandOver(handle_of(3)?);
    let admit = |epoch: &Epoch, newcomer: u8| -> Made<SessionBody> {
        Ok(SessionBody::Admit(Admit { ticket: ticket(epoch, &member(newcomer)?, 3, 1)? }))
    };
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &hand_over, 3, &SILENCE)?;
    trace.said(4, &epoch, admit(&epoch, 4)?)?;
    trace.shows("4 close ticket-epoch")?;
    cases.push(trace.done(
        "admit-of-epoch-that-is-over",
        &["SESS-022"],
        "a ticket comes when its epoch is over",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.said(4, &epoch, admit(&epoch, 4)?)?;
    trace.shows("4 close ticket-epoch")?;
    cases.push(trace.done("admit-after-close", &["SESS-066"], "a ticket comes when its epoch is closed")?);
    let (mut trace, epoch) = joined()?;
    let after = next(&epoch, hand_over.clone())?;
    for newcomer in 4..8 {
        trace.said(newcomer, &after, admit(&after, newcomer)?)?;
        trace.shows("")?;
    }
    trace.said(8, &after, admit(&after, 8)?)?;
    trace.shows("8 close limit-reached")?;
    cases.push(trace.done(
        "holds-four-tickets",
        &["SESS-018"],
        "a fifth ticket comes for the epoch to come",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, admit(&epoch, 4)?)?;
    trace.shows("4 admitted, 1 admitted")?;
    trace.said(4, &epoch, message(1, "hello"))?;
    trace.shows("4 close forbidden")?;
    cases.push(trace.done(
        "message-of-newcomer",
        &["SESS-112"],
        "a newcomer speaks before it is a member",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, admit(&epoch, 4)?)?;
    trace.link_lost(4)?;
    trace.shows("")?;
    trace.change(&epoch, &Change::Join(member(4)?), 3, &SILENCE)?;
    trace.shows("user epoch 3, user member-lost 4")?;
    trace.now += 150;
    trace.timer(Timer::Lost(handle_of(4)?))?;
    trace.shows("1 goodbye, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "newcomer-lost-and-not-removed",
        &["SESS-120"],
        "the link to a newcomer is lost, which becomes a member nevertheless and is not removed",
    )?);
    let (mut trace, epoch) = joined()?;
    let wrong = ticket(&epoch, &member(4)?, 3, 3)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: wrong }))?;
    trace.shows("4 close ticket-grant")?;
    trace.said(5, &epoch, admit(&epoch, 5)?)?;
    trace.shows("5 admitted, 1 admitted")?;
    cases.push(trace.done(
        "admits-after-refusal",
        &["SESS-074", "SESS-071"],
        "a bad ticket, and a good one after it",
    )?);
    let (mut trace, epoch) = joined()?;
    let SessionMessage { body, .. } = in_epoch(&epoch, admit(&epoch, 4)?);
    let forked = SessionMessage { chain: EpochHash([1; 32]), ..in_epoch(&epoch, body) };
    trace.received(4, PeerMessage::Session(forked))?;
    trace.shows("4 close fork")?;
    cases.push(trace.done("admit-of-fork", &["SESS-023"], "a newcomer has another chain than the member")?);
    let (mut trace, epoch) = joined()?;
    let beyond =
        SessionMessage { epoch: EpochNumber(epoch.number.0 + 2), ..in_epoch(&epoch, admit(&epoch, 4)?) };
    trace.received(4, PeerMessage::Session(beyond))?;
    trace.shows("4 close epoch-impossible")?;
    cases.push(trace.done(
        "admit-of-epoch-beyond",
        &["SESS-019"],
        "a ticket comes for the epoch after the next",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, admit(&epoch, 4)?)?;
    trace.said(4, &epoch, SessionBody::Complete(Complete {}))?;
    trace.shows("4 close unexpected-message")?;
    cases.push(trace.done(
        "complete-at-member",
        &["SESS-024"],
        "a newcomer completes at a member that does not coordinate",
    )?);
    Ok(())
}
