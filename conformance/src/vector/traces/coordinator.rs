//! The coordinator: requests, grants, closing, handing over, losing members.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    cases.push(coordinator()?.0.done(
        "creates-and-invites",
        &["SESS-058", "SESS-059", "SESS-033", "SESS-089"],
        "a creator invites somebody, who joins",
    )?);
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
    queue(cases)?;
    losses(cases)?;
    hand_overs(cases)
}

fn closed(sent: u64) -> SessionBody {
    SessionBody::Closed(Closed { sent })
}

/// Requests wait for the token, in the order in which they came.
fn queue(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(1, &epoch, request(1, Change::Join(member(5)?)))?;
    trace.shows("1 token-grant")?;
    trace.said(3, &epoch, request(1, Change::Join(member(6)?)))?;
    trace.said(1, &epoch, request(2, Change::Join(member(7)?)))?;
    trace.shows("")?;
    trace.said(1, &epoch, SessionBody::TokenReturn(TokenReturn {}))?;
    trace.shows("1+3 close")?;
    trace.said(3, &epoch, closed(0))?;
    trace.said(1, &epoch, closed(0))?;
    trace.shows("1+3 commit, user epoch 3, 3 token-grant")?;
    let after = next(&epoch, Change::Void(handle_of(5)?))?;
    trace.said(3, &after, SessionBody::TokenReturn(TokenReturn {}))?;
    trace.said(1, &after, closed(0))?;
    trace.said(3, &after, closed(0))?;
    trace.shows("1+3 commit, user epoch 4, 1 token-grant")?;
    cases.push(trace.done("serves-in-order", &["SESS-047", "SESS-051"], "three requests of two members")?);
    let (mut trace, epoch) = coordinator()?;
    for number in 1..=34u8 {
        trace.said(1, &epoch, request(number.into(), Change::Join(member(number + 40)?)))?;
    }
    trace.shows("")?;
    trace.said(1, &epoch, request(35, Change::Join(member(90)?)))?;
    trace.shows("1 token-refused")?;
    cases.push(trace.done(
        "queues-33-requests",
        &["SESS-049"],
        "a member has 33 requests queued, and asks once more",
    )?);
    full(cases)?;
    queued_again(cases)?;
    asked_in_vain(cases)?;
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(3, &epoch, request(1, Change::Leave(handle_of(3)?)))?;
    trace.shows("1+3 close")?;
    trace.said(1, &epoch, closed(0))?;
    trace.shows("")?;
    trace.said(3, &epoch, closed(0))?;
    trace.shows("1+3 commit, user epoch 3, 3 goodbye")?;
    cases.push(trace.done(
        "lets-member-leave",
        &["SESS-081", "SESS-090", "SESS-094", "SESS-052"],
        "a member leaves: the epoch closes at once, and is committed to all, the one who leaves included",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    let newcomer = member(4)?;
    trace.said(1, &epoch, request(1, Change::Join(newcomer.clone())))?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 1, 2)? }))?;
    for member in [1, 3] {
        trace.said(member, &epoch, SessionBody::Admitted(Admitted {}))?;
        trace.shows("")?;
    }
    trace.said(4, &epoch, SessionBody::Complete(Complete {}))?;
    trace.shows("1+3 close")?;
    trace.said(1, &epoch, message(1, "before the end"))?;
    trace.said(1, &epoch, closed(1))?;
    trace.said(3, &epoch, closed(0))?;
    trace.shows("1+3+4 commit, user epoch 3")?;
    cases.push(trace.done(
        "lets-newcomer-in",
        &["SESS-090", "SESS-081", "SESS-089"],
        "a member's newcomer completes: every count is told to all, the newcomer included",
    )?);
    Ok(())
}

/// A request that waits already is no second one.
fn queued_again(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = coordinator()?;
    trace.said(1, &epoch, request(1, Change::Join(member(3)?)))?;
    trace.said(1, &epoch, request(2, Change::Join(member(4)?)))?;
    trace.shows("")?;
    trace.said(1, &epoch, request(2, Change::Join(member(4)?)))?;
    trace.shows("1 late")?;
    cases.push(trace.done(
        "request-queued-again",
        &["SESS-046"],
        "a request comes again that waits for the token",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(3, &epoch, request(1, Change::Leave(handle_of(3)?)))?;
    trace.shows("1+3 close")?;
    trace.said(3, &epoch, request(1, Change::Leave(handle_of(3)?)))?;
    trace.shows("3 late")?;
    cases.push(trace.done(
        "request-served-again",
        &["SESS-046"],
        "a request comes again while the epoch closes for it",
    )?);
    Ok(())
}

/// Requests of those who are not members yet, or not any more.
fn asked_in_vain(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(3, &epoch, request(1, Change::Leave(handle_of(3)?)))?;
    trace.said(3, &epoch, request(2, Change::Leave(handle_of(3)?)))?;
    trace.said(3, &epoch, request(3, Change::Join(member(5)?)))?;
    trace.said(1, &epoch, closed(0))?;
    trace.said(3, &epoch, closed(0))?;
    trace.shows("1+3 commit, user epoch 3, 3 goodbye")?;
    cases.push(trace.done(
        "forgets-requests-of-leaver",
        &["SESS-124", "SESS-082", "SESS-086"],
        "a member that leaves has asked for more behind its leave: what it asked for ends with its membership",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    let newcomer = member(4)?;
    trace.said(1, &epoch, request(1, Change::Join(newcomer.clone())))?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 1, 2)? }))?;
    trace.said(4, &epoch, request(1, Change::Leave(newcomer.handle)))?;
    trace.shows("4 close forbidden, 1+3 close")?;
    cases.push(trace.done(
        "forbids-request-of-newcomer",
        &["SESS-024", "SESS-057"],
        "a newcomer that has been admitted, and is no member yet, asks for the token",
    )?);
    Ok(())
}

/// A session with as many members as there may be, whose coordinator's part has come to person 2.
fn full(cases: &mut Vec<VectorCase>) -> Made<()> {
    let others: Vec<u8> = std::iter::once(1).chain((0..32).filter(|who| !matches!(who, 1 | 2))).collect();
    let epoch = epoch_of(&others)?;
    let mut trace = Trace::new()?;
    trace.invited(1, &invite(&epoch), Verdict::Allow)?;
    trace.accept()?;
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    let welcome = Welcome { epoch: Arc::new(epoch.clone()), ticket };
    trace.told(1, epoch.session, InvitationBody::Welcome(welcome))?;
    for who in &others {
        if *who != 1 {
            trace.link_up(*who)?;
        }
        trace.said(*who, &epoch, SessionBody::Admitted(Admitted {}))?;
    }
    trace.shows("1 complete")?;
    let joined = next(&epoch, Change::Join(trace.me.clone()))?;
    let sent: Vec<(u8, u64)> = (0..32).map(|who| (who, 0)).collect();
    trace.said(1, &epoch, commit(&joined, &sent)?)?;
    let after = trace.change(&joined, &Change::HandOver(handle_of(2)?), 2, &sent)?;
    trace.shows("user epoch 32")?;
    trace.said(3, &after, request(1, Change::Join(member(40)?)))?;
    trace.shows("3 token-refused")?;
    cases.push(trace.done(
        "refuses-33rd-member",
        &["SESS-048"],
        "a join into a full session is asked for",
    )?);
    Ok(())
}

/// Who is lost is removed, before anything that was asked for.
fn losses(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(1, &epoch, request(1, Change::Join(member(5)?)))?;
    trace.said(3, &epoch, request(1, Change::Join(member(6)?)))?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3, 1 close")?;
    trace.said(1, &epoch, closed(0))?;
    trace.shows("1 commit, user epoch 3, 1 close")?;
    let after = next(&epoch, Change::Void(handle_of(5)?))?;
    trace.said(1, &after, closed(0))?;
    trace.shows("1 commit, user epoch 4")?;
    cases.push(trace.done(
        "lost-members-requests",
        &["SESS-118", "SESS-057", "SESS-117"],
        "a member with a request is lost while the token is out: the join is void, then the member is removed, and its \
         request is forgotten",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3, 4])?;
    trace.said(1, &epoch, request(1, Change::Join(member(5)?)))?;
    trace.said(1, &epoch, request(2, Change::Join(member(6)?)))?;
    trace.link_lost(4)?;
    trace.shows("user member-lost 4, 1+3 close")?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3")?;
    trace.said(1, &epoch, closed(0))?;
    trace.shows("1 commit, user epoch 4, 1 close")?;
    let after = next(&epoch, Change::Void(handle_of(5)?))?;
    trace.said(1, &after, closed(0))?;
    trace.shows("1 commit, user epoch 5, 1 close")?;
    let after = next(&after, Change::Remove(handle_of(3)?))?;
    trace.said(1, &after, closed(0))?;
    trace.shows("1 commit, user epoch 6, 1 token-grant")?;
    cases.push(trace.done(
        "removes-before-requests",
        &["SESS-047", "SESS-117"],
        "two members are lost, and a request waits: the lower handle is removed first, then the other",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(1, &epoch, request(1, Change::Leave(handle_of(1)?)))?;
    trace.said(1, &epoch, closed(0))?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3, 1 commit, user epoch 3, 1 goodbye, user epoch 4")?;
    cases.push(trace.done(
        "does-not-wait-for-lost",
        &["SESS-119", "SESS-089"],
        "a member is lost that has not closed the epoch",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    let newcomer = member(4)?;
    trace.said(1, &epoch, request(1, Change::Join(newcomer.clone())))?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 1, 2)? }))?;
    trace.link_lost(4)?;
    trace.shows("1+3 close")?;
    cases.push(trace.done(
        "newcomer-lost",
        &["SESS-057", "SESS-082"],
        "the link to the newcomer is lost that the coordinator has admitted",
    )?);
    Ok(())
}

fn hand_overs(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, _) = coordinator_of(&[1, 3])?;
    trace.leave()?;
    trace.shows("1 hand-over")?;
    trace.now += 30;
    trace.timer(Timer::Lease)?;
    trace.shows("3 hand-over")?;
    cases.push(trace.done(
        "hand-over-unanswered",
        &["SESS-104", "SESS-101"],
        "the lowest handle does not answer: the next one is asked",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.leave()?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 close")?;
    trace.said(3, &epoch, closed(0))?;
    trace.shows("3 commit, user epoch 3, 3 hand-over")?;
    cases.push(trace.done(
        "hand-over-to-lost",
        &["SESS-104", "SESS-047"],
        "the one who was asked is lost: it is removed, and the next one is asked",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    let answer = |accepted| SessionBody::HandOverAnswer(HandOverAnswer { accepted });
    trace.leave()?;
    trace.said(3, &epoch, request(1, Change::Leave(handle_of(3)?)))?;
    trace.shows("")?;
    trace.said(1, &epoch, answer(false))?;
    trace.shows("1+3 close")?;
    trace.said(1, &epoch, closed(0))?;
    trace.said(3, &epoch, closed(0))?;
    trace.shows("1+3 commit, user epoch 3, 3 goodbye, 1 hand-over")?;
    cases.push(trace.done(
        "hand-over-after-requests",
        &["SESS-105", "SESS-101"],
        "an offer is declined: the request that waits comes before the next offer",
    )?);
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.leave()?;
    trace.said(1, &epoch, answer(false))?;
    trace.shows("3 hand-over")?;
    trace.said(3, &epoch, answer(false))?;
    trace.shows("1 hand-over")?;
    cases.push(trace.done(
        "hand-over-declined-by-all",
        &["SESS-101", "SESS-104"],
        "all have declined and no other request waits: the offers begin anew",
    )?);
    Ok(())
}
