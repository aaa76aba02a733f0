//! Members and newcomers that lie, and what it costs them alone.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    joins(cases)?;
    counts(cases)?;
    silence(cases)
}

/// Who has a say in a join, and who has not.
fn joins(cases: &mut Vec<VectorCase>) -> Made<()> {
    let admitted = || SessionBody::Admitted(Admitted {});
    let complete = || SessionBody::Complete(Complete {});
    let (mut trace, epoch) = admitting()?;
    trace.said(4, &epoch, complete())?;
    trace.shows("")?;
    trace.said(1, &epoch, admitted())?;
    trace.shows("")?;
    trace.said(3, &epoch, admitted())?;
    trace.shows("1+3 close")?;
    cases.push(trace.done(
        "coordinator-waits-for-admissions",
        &["SESS-141", "SESS-081"],
        "a newcomer completes before the members have admitted it",
    )?);
    let (mut trace, epoch) = admitting()?;
    trace.said(4, &epoch, complete())?;
    trace.said(4, &epoch, complete())?;
    trace.shows("4 late")?;
    trace.said(1, &epoch, admitted())?;
    trace.said(1, &epoch, admitted())?;
    trace.shows("")?;
    trace.said(3, &epoch, admitted())?;
    trace.shows("1+3 close")?;
    trace.said(1, &epoch, admitted())?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "admitted-again",
        &["SESS-141", "SESS-025"],
        "newcomer and member repeat themselves while a join waits for another member",
    )?);
    let (mut trace, epoch) = admitting()?;
    trace.said(3, &epoch, SessionBody::TokenReturn(TokenReturn {}))?;
    trace.shows("3 late")?;
    trace.said(3, &epoch, complete())?;
    trace.shows("3 close unexpected-message, user member-lost 3, 1 close")?;
    cases.push(trace.done(
        "join-of-another",
        &["SESS-024", "SESS-025", "SESS-057"],
        "a member gives back a token that it does not hold, and completes a join that is another's",
    )?);
    let (mut trace, epoch) = joined()?;
    let ticket = ticket(&epoch, &member(4)?, 3, 1)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket }))?;
    trace.shows("4 admitted, 1 admitted")?;
    cases.push(trace.done(
        "tells-coordinator-of-admission",
        &["SESS-140", "SESS-074"],
        "a member tells the newcomer and the coordinator that the ticket is good",
    )?);
    Ok(())
}

/// Person 2 coordinates persons 1 and 3, and has admitted person 4, whose join person 1 holds the token for.
fn admitting() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    let newcomer = member(4)?;
    let request = TokenRequest { change: Change::Join(newcomer.clone()), number: RequestNumber(1) };
    trace.said(1, &epoch, SessionBody::TokenRequest(request))?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 1, 2)? }))?;
    trace.shows("4 admitted")?;
    Ok((trace, epoch))
}

/// What an epoch ends with, and is not so.
fn counts(cases: &mut Vec<VectorCase>) -> Made<()> {
    // The same member goes on coordinating: what is closed here is the epoch, for whatever change.
    let hand_over = Change::HandOver(handle_of(1)?);
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &hand_over, 1, &[(1, 0), (2, 0), (3, 1)])?;
    trace.shows("")?;
    trace.now += 10;
    trace.timer(Timer::Flush)?;
    trace.shows("3 close deadline, user member-lost 3, user epoch 3")?;
    cases.push(trace.done(
        "flush-deadline",
        &["SESS-142", "SESS-092"],
        "a message that the commit counts does not come",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.change(&epoch, &hand_over, 1, &[(1, 0), (2, 0), (3, 1)])?;
    trace.said(3, &epoch, message(1, "at last"))?;
    trace.shows("user message 1 of 3, 3 received, user epoch 3")?;
    trace.said(3, &epoch, message(1, "again"))?;
    trace.shows("3 late")?;
    trace.said(3, &epoch, message(2, "left out"))?;
    trace.shows("user fork 3, 3 close fork, user member-lost 3")?;
    cases.push(trace.done(
        "message-left-out",
        &["SESS-144", "SESS-020"],
        "a message comes late that the commit of its epoch has left out",
    )?);
    Ok(())
}

/// A member says nothing where something is due.
fn silence(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    trace.say("one")?;
    trace.say("two")?;
    trace.said(3, &epoch, received(1))?;
    trace.said(1, &epoch, received(2))?;
    trace.now += 120;
    trace.timer(Timer::Acknowledgement)?;
    trace.shows("3 close deadline, user member-lost 3, user failed #2 to 3")?;
    cases.push(trace.done(
        "acknowledgement-deadline",
        &["SESS-143", "SESS-172"],
        "a member does not acknowledge the oldest message that is under way",
    )?);
    let (mut trace, epoch) = joined()?;
    let after = next(&epoch, Change::HandOver(handle_of(3)?))?;
    let admit = || Made::Ok(SessionBody::Admit(Admit { ticket: ticket(&after, &member(4)?, 3, 3)? }));
    trace.said(4, &after, admit()?)?;
    trace.shows("")?;
    trace.said(4, &after, admit()?)?;
    trace.shows("4 close limit-reached")?;
    cases.push(trace.done(
        "holds-one-ticket-of-a-peer",
        &["SESS-018"],
        "a peer shows a second ticket for the epoch to come",
    )?);
    Ok(())
}
