//! The tables of the chapter, last column: what a client does not take, from whom and when.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    at_member(cases)?;
    at_coordinator(cases)?;
    at_newcomer(cases)?;
    at_invitee(cases)?;
    steps_at_member(cases)
}

/// A step of an invitation, in words and as it is.
fn steps() -> Made<Vec<(&'static str, InvitationBody)>> {
    let epoch = epoch_of(&[1, 3])?;
    let ticket = ticket(&epoch, &member(2)?, 1, 1)?;
    Ok(vec![
        ("invite", InvitationBody::Invite(Invite { origin: epoch.origin, lifetime: 120 })),
        ("join", InvitationBody::Join(join_of(3)?)),
        ("reject", InvitationBody::Reject(Reject {})),
        ("cancel", InvitationBody::Cancel(Cancel {})),
        ("welcome", InvitationBody::Welcome(Welcome { epoch: Arc::new(epoch), ticket })),
    ])
}

/// A member closes its link to another member with a code.
fn at_member(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (_, epoch) = joined()?;
    let some_grant = || grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {});
    let remove = Change::Remove(handle_of(3)?);
    let refused = TokenRefused { code: ErrorCode::SessionFull, number: RequestNumber(1) };
    for (slug, about, code, body) in [
        ("token-grant", "a grant", "forbidden", token_grant(1, some_grant()?)),
        ("token-refused", "a refusal of the token", "forbidden", SessionBody::TokenRefused(refused)),
        ("token-return", "the token", "unexpected-message", SessionBody::TokenReturn(TokenReturn {})),
        ("admitted", "an admission", "unexpected-message", SessionBody::Admitted(Admitted {})),
        ("complete", "a completion", "unexpected-message", SessionBody::Complete(Complete {})),
        (
            "hand-over-answer",
            "an answer to a hand-over",
            "unexpected-message",
            SessionBody::HandOverAnswer(HandOverAnswer { accepted: true }),
        ),
        ("close", "a close", "forbidden", close(&epoch, &remove, 1)?),
        ("closed", "a closing count", "unexpected-message", SessionBody::Closed(Closed { sent: 0 })),
        (
            "commit",
            "a commit to its take-over",
            "forbidden",
            commit_by(3, &next(&epoch, Change::TakeOver(handle_of(3)?))?, &[(1, 0), (2, 0)], |_| {})?,
        ),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.said(3, &epoch, body)?;
        trace.shows(&format!("3 close {code}, user member-lost 3"))?;
        cases.push(trace.done(
            &format!("member-gets-{slug}-from-member"),
            if slug == "commit" { &["SESS-191"] } else { &["SESS-024"] },
            &format!("a member gets {about} from another member"),
        )?);
    }
    // From the coordinator, but at no time when it may come. Without the coordinator the member follows the lowest handle, its own.
    let over = |code: &str| format!("1 close {code}, user member-lost 1, 3 follow");
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, token_grant(1, some_grant()?))?;
    trace.shows(&over("unexpected-message"))?;
    cases.push(trace.done(
        "member-gets-token-unasked",
        &["SESS-024"],
        "the coordinator sends the token to a member that did not ask for it",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, SessionBody::TokenRefused(refused))?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "member-gets-refusal-unasked",
        &["SESS-025"],
        "the coordinator refuses the token to a member that did not ask for it",
    )?);
    let (mut trace, epoch) = joined()?;
    let remove = Change::Remove(handle_of(3)?);
    trace.said(1, &epoch, close(&epoch, &remove, 1)?)?;
    trace.said(1, &epoch, close(&epoch, &remove, 1)?)?;
    trace.shows(&over("grant-refused"))?;
    cases.push(trace.done("member-gets-close-twice", &["SESS-024"], "an epoch is closed twice")?);
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    let after = next(&epoch, hand_over.clone())?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 1)])?)?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 1)])?)?;
    // How the epoch ends is known, and so nobody has to be followed.
    trace.shows("1 close unexpected-message, user member-lost 1")?;
    cases.push(trace.done("member-gets-commit-twice", &["SESS-024"], "an epoch is committed twice")?);
    Ok(())
}

fn at_coordinator(cases: &mut Vec<VectorCase>) -> Made<()> {
    let answer = |accepted| SessionBody::HandOverAnswer(HandOverAnswer { accepted });
    let closed = || SessionBody::Closed(Closed { sent: 0 });
    let token = || SessionBody::TokenReturn(TokenReturn {});
    // A coordinator that closes its link to its only other member removes it, and is alone.
    let closes = |code: &str| format!("1 close {code}, user member-lost 1, user epoch 2");
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, token())?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "token-returned-unlent",
        &["SESS-025"],
        "the token comes back that was not lent",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(1, &epoch, request(1, Change::Join(member(4)?)))?;
    trace.said(3, &epoch, token())?;
    trace.shows("3 late")?;
    cases.push(trace.done(
        "token-returned-by-other",
        &["SESS-025"],
        "another than the holder returns the token",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, answer(true))?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "hand-over-answer-unasked",
        &["SESS-025"],
        "a member takes over that nobody asked",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.leave()?;
    trace.shows("1 hand-over")?;
    trace.said(3, &epoch, answer(true))?;
    trace.shows("3 late")?;
    cases.push(trace.done(
        "hand-over-answer-by-other",
        &["SESS-025"],
        "another member than the one that was asked takes over",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.leave()?;
    trace.now += 30;
    trace.timer(Timer::Lease)?;
    trace.shows("3 hand-over")?;
    trace.said(1, &epoch, answer(true))?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "hand-over-answer-after-deadline",
        &["SESS-025", "SESS-104"],
        "an answer comes when another member has been asked instead",
    )?);
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, closed())?;
    trace.shows(&closes("unexpected-message"))?;
    cases.push(trace.done("closed-unasked", &["SESS-024"], "a member closes an epoch that is open")?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(1, &epoch, request(1, Change::Leave(handle_of(1)?)))?;
    trace.said(3, &epoch, closed())?;
    trace.said(3, &epoch, closed())?;
    trace.shows("3 close unexpected-message, user member-lost 3")?;
    cases.push(trace.done("closed-twice", &["SESS-024"], "a member closes an epoch twice")?);
    let (mut trace, epoch) = coordinator()?;
    let newcomer = member(4)?;
    trace.said(1, &epoch, request(1, Change::Join(newcomer.clone())))?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 1, 2)? }))?;
    trace.shows("4 admitted")?;
    trace.said(1, &epoch, token())?;
    trace.shows("1 close")?;
    trace.said(4, &epoch, SessionBody::Complete(Complete {}))?;
    trace.shows("4 late")?;
    trace.said(1, &epoch, closed())?;
    trace.shows("1 commit, user epoch 2, 4 goodbye")?;
    cases.push(trace.done(
        "complete-after-close",
        &["SESS-025", "SESS-095"],
        "the newcomer completes when the epoch closes without it already",
    )?);
    Ok(())
}

/// A newcomer gives up the whole join when a member breaks a rule.
fn at_newcomer(cases: &mut Vec<VectorCase>) -> Made<()> {
    let given_up = |code: &str| format!("1 reject, 1 goodbye, 3 close {code}, user ended");
    let (_, epoch) = completed()?;
    let after = next(&epoch, Change::Join(member(2)?))?;
    let some_grant = || grant(&epoch, Change::Join(member(2)?), 1, 1, |_| {});
    for (slug, body) in [
        ("token-request", request(1, Change::Leave(handle_of(3)?))),
        ("token-grant", token_grant(1, some_grant()?)),
        ("admit", SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(3)?, 1, 1)? })),
        ("admitted-again", SessionBody::Admitted(Admitted {})),
        ("complete", SessionBody::Complete(Complete {})),
        ("hand-over", SessionBody::HandOver(HandOver {})),
        ("close", close(&epoch, &Change::Join(member(2)?), 1)?),
        ("closed", SessionBody::Closed(Closed { sent: 0 })),
        ("commit-of-member", commit(&after, &[(1, 0), (3, 0)])?),
        ("message", message(1, "hello")),
        ("received", received(1)),
    ] {
        let (mut trace, epoch) = completed()?;
        trace.said(3, &epoch, body)?;
        trace.shows(&given_up("unexpected-message"))?;
        cases.push(trace.done(
            &format!("newcomer-gets-{slug}"),
            &["SESS-024", "SESS-076"],
            "a member says to a newcomer what a newcomer does not take",
        )?);
    }
    let (mut trace, epoch) = completed()?;
    let forked = SessionMessage { chain: EpochHash([1; 32]), ..in_epoch(&epoch, message(1, "fork")) };
    trace.received(3, PeerMessage::Session(forked))?;
    trace.shows(&given_up("fork"))?;
    cases.push(trace.done(
        "newcomer-sees-fork",
        &["SESS-023"],
        "a member has another chain than the newcomer's",
    )?);
    let (mut trace, epoch) = accepted()?;
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    let welcome = Welcome { epoch: Arc::new(epoch.clone()), ticket };
    trace.told(1, epoch.session, InvitationBody::Welcome(welcome))?;
    trace.link_up(3)?;
    trace.said(3, &epoch, SessionBody::Admitted(Admitted {}))?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (3, 0)])?)?;
    trace.shows("1 reject, 1 close unexpected-message, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "newcomer-gets-commit-before-complete",
        &["SESS-024"],
        "the coordinator commits before it has admitted the newcomer",
    )?);
    Ok(())
}

/// Before the welcome, only the inviter may speak, and says little.
fn at_invitee(cases: &mut Vec<VectorCase>) -> Made<()> {
    let epoch = epoch_of(&[1, 3])?;
    for (slug, step) in steps()? {
        let (mut trace, _) = accepted()?;
        trace.told(3, epoch.session, step.clone())?;
        trace.shows("3 close no-such-session")?;
        cases.push(trace.done(
            &format!("invitee-gets-{slug}-from-other"),
            &["SESS-038"],
            "a step of an invitation comes from another peer than the inviter, before the welcome",
        )?);
        if matches!(step, InvitationBody::Cancel(_)) {
            continue;
        }
        let mut trace = Trace::new()?;
        trace.invited(1, &invite(&epoch), Verdict::Allow)?;
        trace.told(1, epoch.session, step.clone())?;
        trace.shows("1 close unexpected-message, user ended")?;
        cases.push(trace.done(
            &format!("invitee-gets-{slug}-before-answer"),
            &["SESS-024"],
            "the inviter takes a step that is not its to take before the user has answered",
        )?);
        if matches!(step, InvitationBody::Welcome(_)) {
            continue;
        }
        let (mut trace, _) = accepted()?;
        trace.told(1, epoch.session, step)?;
        trace.shows("1 close unexpected-message, user ended")?;
        cases.push(trace.done(
            &format!("invitee-gets-{slug}-before-welcome"),
            &["SESS-024"],
            "the inviter takes a step that is not its to take before it welcomes",
        )?);
    }
    let (mut trace, _) = accepted()?;
    trace.said(1, &epoch, message(1, "hello"))?;
    trace.shows("1 close unexpected-message, user ended")?;
    cases.push(trace.done(
        "invitee-gets-message",
        &["SESS-024"],
        "the inviter speaks in the session before it welcomes",
    )?);
    Ok(())
}

/// A member is in no invitation with another member.
fn steps_at_member(cases: &mut Vec<VectorCase>) -> Made<()> {
    for (slug, step) in steps()? {
        let (mut trace, epoch) = joined()?;
        trace.told(3, epoch.session, step)?;
        trace.shows("3 close unexpected-message, user member-lost 3")?;
        cases.push(trace.done(
            &format!("member-gets-{slug}-from-member"),
            &["SESS-024"],
            "a member takes a step of an invitation over its link in the session",
        )?);
    }
    let (mut trace, epoch) = asked_for_token()?;
    trace.told(4, epoch.session, InvitationBody::Join(join_of(4)?))?;
    trace.shows("4 close unexpected-message, user invitation-failed 4")?;
    cases.push(trace.done("invitee-joins-twice", &["SESS-024"], "an invitee accepts a second time")?);
    Ok(())
}
