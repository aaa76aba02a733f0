//! How an epoch closes, and by whose word it does not.

use super::*;

/// A `close` that nobody may obey.
pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
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
    let after = next(&epoch, remove.clone())?;
    let other = |commitment: &mut Commitment| commitment.hash = EpochHash([1; 32]);
    trace.said(1, &epoch, commit_by(1, &after, &[(1, 0), (2, 0)], other)?)?;
    cases.push(trace.done(
        "commit-of-other-epoch",
        &["SESS-091", "SESS-088"],
        "a commit of another epoch than the one that was closed",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(1, &epoch, commit(&after, &SILENCE)?)?;
    cases.push(trace.done("commit-without-close", &["SESS-024"], "a commit without a close")?);
    miscounted(cases)?;
    second_grant(cases)
}

/// A commit that counts a member, who has said one thing, in another way than its `closed` did.
fn miscounted(cases: &mut Vec<VectorCase>) -> Made<()> {
    let change = Change::HandOver(handle_of(3)?);
    for (slug, requirement, about, sent) in [
        ("counts-member", "SESS-092", "what the member said", &[(1, 0), (2, 1), (3, 0)][..]),
        ("miscounts-member", "SESS-125", "less than the member said", &[(1, 0), (2, 0), (3, 0)]),
        ("overcounts-member", "SESS-125", "more than the member said", &[(1, 0), (2, 2), (3, 0)]),
        ("omits-member", "SESS-125", "everybody but the member", &[(1, 0), (3, 0)]),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.say("my last word")?;
        trace.said(1, &epoch, close(&epoch, &change, 3)?)?;
        trace.said(1, &epoch, commit(&next(&epoch, change.clone())?, sent)?)?;
        cases.push(trace.done(
            &format!("commit-{slug}"),
            &[requirement],
            &format!("a commit counts {about}"),
        )?);
    }
    Ok(())
}

/// A coordinator grants a join, and then closes the epoch for something else.
fn second_grant(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let newcomer = member(4)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &newcomer, 3, 1)? }))?;
    trace.shows("4 admitted, 1 admitted")?;
    let after = trace.change(&epoch, &Change::Leave(handle_of(3)?), 3, &SILENCE)?;
    trace.shows("user epoch 3, 4 goodbye, 3 goodbye")?;
    trace.said(1, &after, close(&after, &Change::Join(newcomer), 1)?)?;
    trace.shows("1 close grant-refused, user member-lost 1, user epoch 4")?;
    cases.push(trace.done(
        "close-join-admitted-before",
        &["SESS-085", "SESS-074"],
        "an epoch is closed for a join of a newcomer that showed its ticket in the epoch before, for which the coordinator gave a second grant",
    )?);
    Ok(())
}
