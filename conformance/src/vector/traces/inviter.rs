//! A member that invites: the invitation, the token, the ticket, and what becomes of them when something fails.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    invitations(cases)?;
    tokens(cases)?;
    grants(cases)?;
    requests(cases)
}

fn invitations(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (trace, _) = welcomed_by_member()?;
    cases.push(trace.done(
        "invites",
        &["SESS-033", "SESS-032", "SESS-026", "SESS-006", "SESS-039", "SESS-043", "SESS-058", "SESS-059"],
        "a member invites somebody: it asks its server, invites, asks for the token when the invitee has accepted, and \
         welcomes when the token has come",
    )?);
    let (mut trace, _) = invited_by_member()?;
    trace.now += 120;
    trace.timer(Timer::Invitation(handle_of(4)?))?;
    trace.shows("4 cancel, 4 goodbye, user invitation-rejected 4")?;
    cases.push(trace.done(
        "invitation-unanswered",
        &["SESS-028", "SESS-027"],
        "an invitee does not answer",
    )?);
    let (mut trace, epoch) = invited_by_member()?;
    trace.told(4, epoch.session, InvitationBody::Reject(Reject {}))?;
    trace.shows("4 goodbye, user invitation-rejected 4")?;
    cases.push(trace.done("invitation-rejected", &["SESS-034"], "an invitee rejects")?);
    let (mut trace, _) = joined()?;
    trace.invite(4)?;
    trace.link_failed(4)?;
    trace.shows("user invitation-failed 4")?;
    cases.push(trace.done("invitee-unreachable", &["SESS-026"], "an invitee cannot be reached")?);
    let (mut trace, _) = joined()?;
    trace.invite(3)?;
    trace.shows("user invitation-failed 3")?;
    cases.push(trace.done("invites-member", &["SESS-035"], "the user invites a member")?);
    let (mut trace, _) = invited_by_member()?;
    trace.invite(4)?;
    trace.shows("user invitation-failed 4")?;
    cases.push(trace.done("invites-twice", &["SESS-035"], "the user invites somebody a second time")?);
    let (mut trace, _) = invited_by_member()?;
    trace.leave()?;
    trace.shows("4 cancel, 4 goodbye, 1 token-request")?;
    trace.invite(5)?;
    trace.shows("user invitation-failed 5")?;
    cases.push(trace.done(
        "leaves-with-invitation-open",
        &["SESS-098", "SESS-097"],
        "a member leaves while its invitation has no answer",
    )?);
    let (mut trace, epoch) = asked_for_token()?;
    trace.leave()?;
    trace.shows("1 token-request")?;
    trace.said(1, &epoch, token_grant(1, grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?))?;
    trace.shows("4 welcome")?;
    cases.push(trace.done(
        "leaves-with-invitation-accepted",
        &["SESS-098", "SESS-040", "SESS-039"],
        "a member leaves after its invitee has accepted, who comes in first",
    )?);
    Ok(())
}

/// What becomes of the token when the newcomer does not come.
fn tokens(cases: &mut Vec<VectorCase>) -> Made<()> {
    type Leaves = fn(&mut Trace, &Epoch) -> Made<()>;
    let gone: [(&str, &str, &str, Leaves); 2] = [
        ("rejects", "sends reject", "4 goodbye, user invitation-rejected 4", |trace, epoch| {
            trace.told(4, epoch.session, InvitationBody::Reject(Reject {}))
        }),
        ("lost", "loses its link", "user invitation-failed 4", |trace, _| trace.link_lost(4)),
    ];
    for (slug, about, shown, leaves) in gone {
        let (mut trace, epoch) = asked_for_token()?;
        leaves(&mut trace, &epoch)?;
        trace.shows(shown)?;
        trace.said(1, &epoch, token_grant(1, grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?))?;
        trace.shows("1 token-return")?;
        cases.push(trace.done(
            &format!("newcomer-{slug}-before-token"),
            &["SESS-034", "SESS-056"],
            &format!("the newcomer {about} before the token comes, which goes back at once"),
        )?);
        let (mut trace, epoch) = welcomed_by_member()?;
        leaves(&mut trace, &epoch)?;
        trace.shows(&format!("{shown}, 1 token-return"))?;
        let void = Change::Void(handle_of(4)?);
        let grant = grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?;
        trace.said(1, &epoch, SessionBody::Close(Close { grant, change: void.clone() }))?;
        trace.shows("1 closed")?;
        trace.said(1, &epoch, commit(&next(&epoch, void)?, &SILENCE)?)?;
        trace.shows("user epoch 3")?;
        cases.push(trace.done(
            &format!("newcomer-{slug}-after-welcome"),
            &["SESS-056", "SESS-034"],
            &format!("the newcomer {about} after its welcome, and the token goes back"),
        )?);
    }
    let (mut trace, epoch) = welcomed_by_member()?;
    let void = Change::Void(handle_of(4)?);
    let grant = grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?;
    trace.said(1, &epoch, SessionBody::Close(Close { grant, change: void.clone() }))?;
    trace.said(1, &epoch, commit(&next(&epoch, void)?, &SILENCE)?)?;
    trace.shows("user epoch 3, 4 cancel, 4 goodbye, user invitation-failed 4")?;
    cases.push(trace.done(
        "void-of-own-newcomer",
        &["SESS-096", "SESS-095"],
        "the coordinator closes the epoch without the newcomer, whose link stands",
    )?);
    let (mut trace, epoch) = welcomed_by_member()?;
    let newcomer = member(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 2, 1)? }))?;
    trace.shows("4 admitted, 1 admitted")?;
    trace.change(&epoch, &Change::Join(newcomer), 2, &SILENCE)?;
    trace.shows("user epoch 3")?;
    trace.invite(4)?;
    trace.shows("user invitation-failed 4")?;
    cases.push(trace.done(
        "own-newcomer-joins",
        &["SESS-074", "SESS-035"],
        "the newcomer shows its ticket to its inviter and becomes a member, whom nobody invites again",
    )?);
    Ok(())
}

/// A `token-grant` that is not the one that was asked for.
fn grants(cases: &mut Vec<VectorCase>) -> Made<()> {
    type Wrong = fn(&mut Grant);
    let join = Change::Join(member(4)?);
    let other = Change::Join(member(5)?);
    let none: Wrong = |_| {};
    let wrong: [(&str, &str, u8, u8, &Change, Wrong); 9] = [
        ("signed-by-other-member", "signed by a member who does not coordinate", 2, 3, &join, none),
        ("signed-by-newcomer", "signed by the newcomer", 2, 4, &join, none),
        ("of-other-session", "for another session", 2, 1, &join, |g| g.session = SessionId([1; 32])),
        ("of-earlier-epoch", "of an earlier epoch", 2, 1, &join, |g| g.epoch = EpochNumber(0)),
        ("of-later-epoch", "of a later epoch", 2, 1, &join, |g| g.epoch = EpochNumber(3)),
        ("of-other-chain", "of another chain", 2, 1, &join, |g| g.chain = EpochHash([1; 32])),
        ("to-other-holder", "for another holder", 3, 1, &join, none),
        ("for-other-newcomer", "for another newcomer", 2, 1, &other, none),
        ("for-leave", "for a leave", 2, 1, &Change::Leave(handle_of(2)?), none),
    ];
    for (slug, about, holder, signer, change, wrong) in wrong {
        let (mut trace, epoch) = asked_for_token()?;
        trace.said(1, &epoch, token_grant(1, grant(&epoch, change.clone(), holder, signer, wrong)?))?;
        trace.shows("1 close grant-refused, user member-lost 1, 3 follow")?;
        cases.push(trace.done(
            &format!("token-grant-{slug}"),
            &["SESS-055"],
            &format!("the token comes with a grant {about}"),
        )?);
    }
    Ok(())
}

/// Requests, in order, once to each coordinator, and refused.
fn requests(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = Change::HandOver(handle_of(3)?);
    let (mut trace, epoch) = asked_for_token()?;
    trace.leave()?;
    let after = trace.change(&epoch, &hand_over, 3, &SILENCE)?;
    trace.shows("user epoch 3, 3 token-request, 3 token-request")?;
    trace.said(1, &epoch, token_grant(1, grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?))?;
    trace.shows("1 late")?;
    let signed = {
        let grant = Grant {
            chain: hash_epoch(&after),
            epoch: after.number,
            change: Change::Join(member(4)?),
            holder: handle_of(2)?,
            session: after.session,
            not_after: Timestamp(START + 30),
        };
        let signer = Signer::new(3)?;
        Signed::from_bytes(Parts::good(&signer, &grant)?.seal(&signer).encode())
    };
    trace.said(3, &after, token_grant(1, signed))?;
    trace.shows("4 welcome")?;
    cases.push(trace.done(
        "requests-again",
        &["SESS-041", "SESS-040"],
        "two open requests go to the next coordinator in their order and under their numbers",
    )?);
    let (mut trace, epoch) = invited_by_member()?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.told(4, epoch.session, InvitationBody::Join(join_of(4)?))?;
    trace.shows("")?;
    trace.said(1, &epoch, commit(&next(&epoch, hand_over.clone())?, &SILENCE)?)?;
    trace.shows("user epoch 3, 3 token-request")?;
    cases.push(trace.done(
        "request-waits-for-epoch",
        &["SESS-042"],
        "an invitee accepts while the epoch closes: the token is asked for in the next one",
    )?);
    let (mut trace, epoch) = asked_for_token()?;
    let void = Change::Void(handle_of(5)?);
    let other = grant(&epoch, Change::Join(member(5)?), 3, 1, |_| {})?;
    trace.said(1, &epoch, SessionBody::Close(Close { grant: other, change: void.clone() }))?;
    trace.said(1, &epoch, commit(&next(&epoch, void)?, &SILENCE)?)?;
    trace.shows("user epoch 3")?;
    cases.push(trace.done(
        "request-once-to-a-coordinator",
        &["SESS-040"],
        "an epoch goes by under the same coordinator, which has the request already",
    )?);
    let refused = |code| SessionBody::TokenRefused(TokenRefused { code, number: RequestNumber(1) });
    for code in [ErrorCode::SessionFull, ErrorCode::AlreadyMember, ErrorCode::LimitReached] {
        let (mut trace, epoch) = asked_for_token()?;
        trace.said(1, &epoch, refused(code))?;
        trace.shows("4 cancel, 4 goodbye, user invitation-failed 4")?;
        trace.said(1, &epoch, refused(code))?;
        trace.shows("1 late")?;
        cases.push(trace.done(
            &format!("request-refused-{code}"),
            &["SESS-050", "SESS-025"],
            "the coordinator refuses the request, and says so twice",
        )?);
    }
    let (mut trace, epoch) = asked_for_token()?;
    let newcomer = member(4)?;
    trace.link_lost(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    trace.shows("4 admitted, 1 admitted")?;
    let after = trace.change(&epoch, &Change::Join(newcomer), 3, &SILENCE)?;
    trace.said(1, &after, refused(ErrorCode::AlreadyMember))?;
    trace.shows("")?;
    cases.push(trace.done(
        "request-refused-for-member",
        &["SESS-050"],
        "the invitee came in on another member's invitation: it is not cancelled when the own request is refused",
    )?);
    Ok(())
}
