//! What is left over when somebody parts: links, invitations, held messages, acknowledgements that nobody gives any more.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    own_leave(cases)?;
    others(cases)?;
    newcomers(cases)
}

fn own_leave(cases: &mut Vec<VectorCase>) -> Made<()> {
    let leave = Change::Leave(handle_of(2)?);
    let (mut trace, epoch) = asked_for_token()?;
    trace.leave()?;
    trace.change(&epoch, &leave, 2, &SILENCE)?;
    trace.shows("4 cancel, 4 goodbye, user ended")?;
    cases.push(trace.done(
        "leaves-before-newcomer",
        &["SESS-097"],
        "a member's leave takes effect before its newcomer has come, whose link is closed",
    )?);
    let (mut trace, _) = joined()?;
    trace.invite(4)?;
    trace.leave()?;
    trace.shows("4 goodbye, 1 token-request")?;
    cases.push(trace.done(
        "leaves-while-dialling",
        &["SESS-098"],
        "a member leaves while it has no link to its invitee yet",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    trace.said(1, &epoch, close(&epoch, &leave, 2)?)?;
    trace.shows("1 closed")?;
    trace.link_lost(3)?;
    trace.shows("")?;
    trace.said(1, &epoch, commit(&next(&epoch, leave)?, &SILENCE)?)?;
    trace.shows("user ended")?;
    cases.push(trace.done(
        "let-go-before-commit",
        &["SESS-097", "SESS-122"],
        "another member has begun the epoch without this one already, and closes its link: nobody is lost",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    let refused = TokenRefused { code: ErrorCode::LimitReached, number: RequestNumber(1) };
    trace.said(1, &epoch, SessionBody::TokenRefused(refused))?;
    trace.shows("user not-possible")?;
    trace.leave()?;
    trace.shows("1 token-request")?;
    cases.push(trace.done(
        "leave-refused",
        &["SESS-097", "SESS-039"],
        "the coordinator has no room for a request to leave; the user asks again",
    )?);
    Ok(())
}

fn others(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    for _ in 1..=64 {
        trace.say("hello")?;
    }
    trace.say("one too many")?;
    trace.said(1, &epoch, received(64))?;
    let delivered: Vec<_> = (1..=64).map(|count| format!("user delivered {count} of epoch 2 to 1")).collect();
    let delivered = delivered.join(", ");
    trace.shows(&delivered)?;
    trace.change(&epoch, &Change::Leave(handle_of(3)?), 3, &[(1, 0), (2, 64), (3, 0)])?;
    let failed: Vec<_> = (1..=64).map(|count| format!("user failed #{count} to 3")).collect();
    trace.shows(&format!("user epoch 3, 3 goodbye, {}, 1 message, user sent 1", failed.join(", ")))?;
    cases.push(trace.done(
        "window-without-leaver",
        &["SESS-114", "SESS-094"],
        "whoever has left acknowledges nothing any more, and nothing waits for it",
    )?);
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3")?;
    trace.said(1, &epoch, commit(&next(&epoch, hand_over)?, &SILENCE)?)?;
    trace.shows("user epoch 3, 1 follow")?;
    cases.push(trace.done(
        "lost-member-takes-over",
        &["SESS-130"],
        "a member takes over whose link is lost here",
    )?);
    let (mut trace, epoch) = joined()?;
    let remove = Change::Remove(handle_of(3)?);
    trace.said(3, &next(&epoch, remove.clone())?, message(1, "early"))?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3")?;
    trace.change(&epoch, &remove, 1, &[(1, 0), (2, 0)])?;
    trace.shows("user epoch 3")?;
    cases.push(trace.done(
        "held-messages-of-lost-member",
        &["SESS-193"],
        "what a lost member said ahead of the epoch is forgotten with it",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3, 4])?;
    trace.leave()?;
    trace.shows("1 hand-over")?;
    trace.said(4, &epoch, request(1, Change::Leave(handle_of(4)?)))?;
    trace.said(1, &epoch, SessionBody::HandOverAnswer(HandOverAnswer { accepted: false }))?;
    trace.shows("1+3+4 close")?;
    for who in [1, 3, 4] {
        trace.said(who, &epoch, SessionBody::Closed(Closed { sent: 0 }))?;
    }
    trace.shows("1+3+4 commit, user epoch 4, 4 goodbye, 1 hand-over")?;
    cases.push(trace.done(
        "hand-over-in-next-epoch",
        &["SESS-101"],
        "whoever declined in one epoch is asked again in the next",
    )?);
    Ok(())
}

fn newcomers(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = asked_for_token()?;
    let newcomer = member(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    trace.shows("4 admitted, 1 admitted")?;
    let after = trace.change(&epoch, &Change::Join(newcomer), 3, &SILENCE)?;
    let refused = TokenRefused { code: ErrorCode::AlreadyMember, number: RequestNumber(1) };
    trace.said(1, &after, SessionBody::TokenRefused(refused))?;
    trace.shows("user invitation-failed 4")?;
    cases.push(trace.done(
        "request-refused-for-member-over-one-link",
        &["SESS-050"],
        "the invitee came in with another member's ticket over the link of the own invitation, which is not cancelled",
    )?);
    for lost in [false, true] {
        let (mut trace, epoch) = completed()?;
        let after = next(&epoch, Change::Join(trace.me.clone()))?;
        let ticket = ticket(&after, &member(4)?, 3, 1)?;
        trace.said(4, &after, SessionBody::Admit(Admit { ticket }))?;
        trace.shows("")?;
        if lost {
            trace.link_lost(4)?;
        }
        trace.now += 30;
        trace.timer(Timer::Join)?;
        let last = if lost { "" } else { "4 goodbye, " };
        trace.shows(&format!("1 reject, 1 goodbye, 3 goodbye, {last}user ended"))?;
        let (slug, about) = if lost { ("-that-is-lost", "has gone again") } else { ("", "waits for it") };
        cases.push(trace.done(
            &format!("gives-up-with-next-newcomer{slug}"),
            &["SESS-078", "SESS-076"],
            &format!("a newcomer gives up while the next one {about}: all links are closed"),
        )?);
    }
    Ok(())
}
