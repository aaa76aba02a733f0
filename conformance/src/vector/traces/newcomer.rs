//! On the way in: invitations, welcomes, admission, the commit.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    cases.push(joined()?.0.done(
        "joins",
        &["SESS-064", "SESS-063", "SESS-075", "SESS-031", "SESS-006"],
        "an invitee accepts, is admitted by all, and becomes a member",
    )?);
    let epoch = epoch_of(&[1, 3])?;
    let begin = |verdict: Verdict| -> Made<Trace> {
        let mut trace = Trace::new()?;
        trace.invited(1, &invite(&epoch), verdict)?;
        Ok(trace)
    };
    let mut trace = begin(Verdict::Allow)?;
    trace.event(Event::Refuse)?;
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
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    let other = |commitment: &mut Commitment| commitment.hash = EpochHash([1; 32]);
    trace.said(1, &epoch, commit_by(1, &after, &[(1, 0), (3, 0)], other)?)?;
    cases.push(trace.done("commit-of-other-chain", &["SESS-080"], "the commit is of another chain")?);
    let (mut trace, epoch) = completed()?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    trace.said(3, &after, message(1, "early"))?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (3, 0)])?)?;
    cases.push(trace.done(
        "message-before-commit",
        &["SESS-079"],
        "a member speaks in the next epoch before the newcomer has the commit",
    )?);
    let (mut trace, epoch) = completed()?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    trace.leave()?;
    trace.shows("")?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (3, 0)])?)?;
    trace.shows("user epoch 2, 1 token-request")?;
    cases.push(trace.done(
        "leaves-before-commit",
        &["SESS-077"],
        "the user wants to leave before the commit, and leaves after it",
    )?);
    giving_up(cases)
}

/// A join that comes to nothing: the inviter hears it, and every link closes.
fn giving_up(cases: &mut Vec<VectorCase>) -> Made<()> {
    let welcomed = || -> Made<(Trace, Epoch)> {
        let (mut trace, epoch) = accepted()?;
        let ticket = ticket(&epoch, &trace.me, 1, 1)?;
        let welcome = Welcome { epoch: Arc::new(epoch.clone()), ticket };
        trace.told(1, epoch.session, InvitationBody::Welcome(welcome))?;
        trace.shows("3 dial, 1 admit")?;
        trace.link_up(3)?;
        trace.shows("3 admit")?;
        Ok((trace, epoch))
    };
    let given_up = "1 reject, 1 goodbye, 3 goodbye, user ended";
    let (mut trace, epoch) = welcomed()?;
    trace.said(1, &epoch, SessionBody::Admitted(Admitted {}))?;
    trace.now += 25;
    trace.timer(Timer::Join)?;
    trace.shows(given_up)?;
    cases.push(trace.done(
        "not-admitted-in-time",
        &["SESS-073", "SESS-076"],
        "a member does not admit the newcomer",
    )?);
    let (mut trace, _) = completed()?;
    trace.now += 30;
    trace.timer(Timer::Join)?;
    trace.shows(given_up)?;
    cases.push(trace.done("no-commit", &["SESS-078"], "no commit comes")?);
    let (mut trace, epoch) = welcomed()?;
    trace.said(1, &epoch, SessionBody::Admitted(Admitted {}))?;
    trace.shows("")?;
    trace.link_lost(3)?;
    trace.shows(given_up)?;
    cases.push(trace.done(
        "member-lost-while-joining",
        &["SESS-076", "SESS-075"],
        "the newcomer loses a member",
    )?);
    let (mut trace, _) = welcomed()?;
    trace.leave()?;
    trace.shows(given_up)?;
    cases.push(trace.done(
        "leaves-while-joining",
        &["SESS-076"],
        "the user does not want to join any more",
    )?);
    let (mut trace, epoch) = welcomed()?;
    trace.told(1, epoch.session, InvitationBody::Cancel(Cancel {}))?;
    trace.shows("1 goodbye, 1 goodbye, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "cancelled-while-joining",
        &["SESS-037"],
        "the inviter cancels while the newcomer joins",
    )?);
    let (mut trace, _) = accepted()?;
    trace.link_lost(1)?;
    trace.shows("user ended")?;
    cases.push(trace.done(
        "inviter-lost",
        &["SESS-122"],
        "the link to the inviter is lost before the welcome",
    )?);
    let (mut trace, epoch) = accepted()?;
    let ticket = ticket(&epoch, &trace.me, 1, 1)?;
    trace.told(1, epoch.session, InvitationBody::Welcome(Welcome { epoch: Arc::new(epoch), ticket }))?;
    let other = Peer { key: member(5)?.key, ..peer(3)? };
    trace.event(Event::LinkUp { peer: other })?;
    trace.shows("3 close certificate-refused, 1 reject, 1 goodbye, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "member-with-other-key",
        &["SESS-063", "SESS-076"],
        "a member proves another key than the epoch has for it",
    )?);
    let (mut trace, epoch) = completed()?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    for count in 1..=105 {
        trace.said(3, &after, message(count, "early"))?;
        trace.shows("")?;
    }
    trace.said(3, &after, message(106, "early"))?;
    trace.shows("1 reject, 1 goodbye, 3 close limit-reached, user ended")?;
    cases.push(trace.done(
        "newcomer-holds-105-messages",
        &["SESS-018", "SESS-079"],
        "a member says more in the epoch to come than a newcomer holds",
    )?);
    welcomes(cases)
}

fn welcomes(cases: &mut Vec<VectorCase>) -> Made<()> {
    type Change = fn(&mut Epoch) -> Made<()>;
    let wrong: [(&str, &str, &str, Change); 9] = [
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
        ("with-newcomers-key", "SESS-062", "another member with the newcomer's key", |e| {
            e.members = [member(1)?, Member { key: member(2)?.key, ..member(3)? }].into();
            Ok(())
        }),
        ("inviter-with-other-key", "SESS-062", "the inviter with another key than its link's", |e| {
            e.members = [Member { key: member(5)?.key, ..member(1)? }, member(3)?].into();
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
        let code = if requirement == "SESS-060" { "session-id-forged" } else { "malformed" };
        trace.shows(&format!("1 close {code}, user ended"))?;
        cases.push(trace.done(&format!("welcome-{slug}"), &[requirement], about)?);
    }
    full_welcomes(cases)
}

/// More members than a newcomer can join, and more wrong than that: the checks have an order.
fn full_welcomes(cases: &mut Vec<VectorCase>) -> Made<()> {
    let ordered: Vec<Member> = (0..33).filter(|who| *who != 2).map(member).collect::<Made<_>>()?;
    let unordered: Vec<Member> = ordered.iter().rev().cloned().collect();
    let other = Nonce([1; 16]);
    for (slug, requirement, about, members, nonce, code) in [
        ("full", "SESS-061", "a welcome with 32 members", &ordered, None, "session-full"),
        (
            "full-and-unordered",
            "SESS-061",
            "32 members against their order",
            &unordered,
            None,
            "session-full",
        ),
        (
            "full-and-other-origin",
            "SESS-060",
            "32 members, and another origin",
            &ordered,
            Some(other),
            "session-id-forged",
        ),
    ] {
        let (mut trace, epoch) = accepted()?;
        let ticket = ticket(&epoch, &trace.me, 1, 1)?;
        let mut full = epoch.clone();
        full.members = members.as_slice().into();
        full.origin.nonce = nonce.unwrap_or(full.origin.nonce);
        trace.told(1, epoch.session, InvitationBody::Welcome(Welcome { epoch: Arc::new(full), ticket }))?;
        trace.shows(&format!("1 close {code}, user ended"))?;
        cases.push(trace.done(&format!("welcome-{slug}"), &[requirement], about)?);
    }
    Ok(())
}
