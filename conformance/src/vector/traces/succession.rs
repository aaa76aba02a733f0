//! What is left of a session when its coordinator is lost: who follows whom, who takes over, who is shown how the epoch
//! ended.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    takes_over(cases)?;
    follows(cases)?;
    shows_others(cases)?;
    is_shown(cases)?;
    holder(cases)?;
    newcomer(cases)?;
    gives_up(cases)
}

fn follow(successor: u8, sent: u64, leaving: bool) -> Made<SessionBody> {
    Ok(SessionBody::Follow(Follow { sent, leaving, successor: handle_of(successor)? }))
}

/// Persons 1, 2 and 3 are members, and person 3 coordinates.
fn under_third() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = joined()?;
    let epoch = trace.change(&epoch, &Change::HandOver(handle_of(3)?), 3, &SILENCE)?;
    Ok((trace, epoch))
}

/// Persons 1 to 4 are members, and person 1 coordinates.
fn of_four() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(4)?, 3, 1)? }))?;
    let epoch = trace.change(&epoch, &Change::Join(member(4)?), 3, &SILENCE)?;
    Ok((trace, epoch))
}

/// Persons 1 to 4 are members, and person 4 coordinates.
fn under_fourth() -> Made<(Trace, Epoch)> {
    let (mut trace, epoch) = of_four()?;
    let silence = [(1, 0), (2, 0), (3, 0), (4, 0)];
    let epoch = trace.change(&epoch, &Change::HandOver(handle_of(4)?), 4, &silence)?;
    Ok((trace, epoch))
}

impl Trace {
    /// Time passes for so many turns of one that has lost person 4.
    fn turns(&mut self, count: u8) -> Made<()> {
        for _ in 0..count {
            self.now += 60;
            self.timer(Timer::Lost(handle_of(4)?))?;
        }
        Ok(())
    }
}

fn takes_over(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow")?;
    trace.say("too late for this epoch")?;
    trace.shows("user pending #1")?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("3 commit, user epoch 3, 3 message, user sent 1")?;
    cases.push(trace.done(
        "takes-over-from-lost",
        &["SESS-129", "SESS-130", "SESS-131", "SESS-133", "SESS-134"],
        "the coordinator is lost, and the lowest handle takes over when the other follows it",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.said(4, &epoch, follow(2, 0, false)?)?;
    trace.shows("")?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3+4 follow, 3+4 commit, user epoch 4")?;
    cases.push(trace.done(
        "takes-over-last",
        &["SESS-133", "SESS-134"],
        "the others have lost the coordinator before",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("")?;
    trace.link_lost(4)?;
    trace.shows("user member-lost 4, 3 commit, user epoch 4, 3 close")?;
    cases.push(trace.done(
        "takes-over-without-lost",
        &["SESS-133", "SESS-117"],
        "the last one that has not followed is lost, and is removed next",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.said(4, &epoch, follow(3, 0, false)?)?;
    trace.shows("")?;
    trace.said(4, &epoch, follow(2, 0, false)?)?;
    trace.shows("3+4 commit, user epoch 4")?;
    cases.push(trace.done(
        "takes-over-when-all-follow",
        &["SESS-133"],
        "somebody follows another at first",
    )?);
    Ok(())
}

fn follows(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = under_third()?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3, 1 follow")?;
    trace.said(1, &epoch, follow(1, 0, false)?)?;
    trace.shows("")?;
    let after = next(&epoch, Change::TakeOver(handle_of(1)?))?;
    trace.said(1, &epoch, commit_by(1, &after, &[(1, 0), (2, 0)], |_| {})?)?;
    trace.shows("user epoch 4")?;
    cases.push(trace.done(
        "follows-lowest",
        &["SESS-132", "SESS-158"],
        "a lower handle takes over, which this member follows",
    )?);
    let (mut trace, epoch) = under_third()?;
    trace.link_lost(3)?;
    trace.said(1, &epoch, follow(2, 0, true)?)?;
    trace.shows("1 follow, 1 commit, user epoch 4")?;
    cases.push(trace.done(
        "successor-leaves",
        &["SESS-132", "SESS-130"],
        "the lowest handle wants to leave, and so the next one takes over",
    )?);
    for (slug, requirement, about, expected, change) in [
        ("of-other-hash", "SESS-151", "another hash", "fork", 0),
        ("miscounted", "SESS-151", "another count of what this member said", "fork", 1),
        ("uncounted", "SESS-151", "no count of what this member said", "fork", 2),
        ("of-other-epoch", "SESS-139", "another epoch", "commit-refused", 3),
        ("of-other-session", "SESS-139", "another session", "commit-refused", 4),
    ] {
        let (mut trace, epoch) = under_third()?;
        trace.link_lost(3)?;
        trace.said(1, &epoch, follow(1, 0, false)?)?;
        let after = next(&epoch, Change::TakeOver(handle_of(1)?))?;
        let wrong = commit_by(1, &after, &[(1, 0), (2, 0)], |commitment| match change {
            0 => commitment.hash = EpochHash([1; 32]),
            1 => commitment.sent.iter_mut().for_each(|sent| sent.count = 7),
            2 => commitment.sent.truncate(1),
            3 => commitment.epoch = epoch.number.next(),
            _ => commitment.session = SessionId([1; 32]),
        })?;
        trace.said(1, &epoch, wrong)?;
        let fork = if expected == "fork" { "user fork 1, " } else { "" };
        trace.shows(&format!("{fork}1 close {expected}, user member-lost 1, user epoch 4, user epoch 5"))?;
        cases.push(trace.done(
            &format!("take-over-{slug}"),
            &[requirement],
            &format!("a successor commits to {about}"),
        )?);
    }
    let (mut trace, epoch) = under_third()?;
    trace.link_lost(3)?;
    let after = next(&epoch, Change::TakeOver(handle_of(1)?))?;
    trace.said(1, &epoch, commit_by(4, &after, &[(1, 0), (2, 0)], |_| {})?)?;
    trace.shows("1 close commit-refused, user member-lost 1, user epoch 4, user epoch 5")?;
    cases.push(trace.done(
        "take-over-signed-by-another",
        &["SESS-139"],
        "a take-over that the one that it names has not signed",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    let after = next(&epoch, Change::TakeOver(handle_of(3)?))?;
    trace.said(3, &epoch, commit_by(3, &after, &[(2, 0), (3, 0), (4, 0)], |_| {})?)?;
    trace.shows("3 close forbidden, user member-lost 3")?;
    cases.push(trace.done(
        "take-over-by-other",
        &["SESS-138"],
        "somebody takes over who is not the one that this member follows",
    )?);
    let (mut trace, epoch) = of_four()?;
    let after = next(&epoch, Change::TakeOver(handle_of(3)?))?;
    trace.said(3, &epoch, commit_by(3, &after, &[(2, 0), (3, 0), (4, 0)], |_| {})?)?;
    trace.shows("3 close forbidden, user member-lost 3")?;
    cases.push(trace.done(
        "take-over-without-loss",
        &["SESS-024"],
        "somebody takes over although the coordinator is there",
    )?);
    Ok(())
}

fn shows_others(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    trace.change(&epoch, &hand_over, 3, &SILENCE)?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("3 commit")?;
    cases.push(trace.done(
        "shows-end-of-last-epoch",
        &["SESS-136"],
        "somebody has lost the coordinator before it could hear how the epoch ended",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("")?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    let after = next(&epoch, hand_over)?;
    trace.said(1, &epoch, commit(&after, &SILENCE)?)?;
    trace.shows("3 commit, user epoch 3")?;
    cases.push(trace.done(
        "shows-end-when-known",
        &["SESS-136"],
        "the end of the epoch becomes known after somebody has asked for it",
    )?);
    for (slug, about) in [("from-coordinator", "the coordinator"), ("again", "a member, again")] {
        let (mut trace, epoch) = joined()?;
        let from = if slug == "again" { 3 } else { 1 };
        if slug == "again" {
            trace.said(from, &epoch, follow(2, 0, false)?)?;
        }
        trace.said(from, &epoch, follow(2, 0, false)?)?;
        let then = if from == 1 { "user member-lost 1, 3 follow" } else { "user member-lost 3" };
        trace.shows(&format!("{from} close unexpected-message, {then}"))?;
        cases.push(trace.done(
            &format!("follow-{slug}"),
            &["SESS-135"],
            &format!("a follow comes from {about}"),
        )?);
    }
    let (mut trace, epoch) = coordinator_of(&[1, 3])?;
    trace.said(3, &epoch, follow(1, 0, false)?)?;
    trace.shows("3 close unexpected-message, user member-lost 3, 1 close")?;
    cases.push(trace.done(
        "follow-at-coordinator",
        &["SESS-135"],
        "a member tells the coordinator that the coordinator is lost",
    )?);
    Ok(())
}

fn is_shown(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = |to| -> Made<Change> { Ok(Change::HandOver(handle_of(to)?)) };
    let (mut trace, epoch) = under_third()?;
    trace.link_lost(3)?;
    let after = next(&epoch, hand_over(1)?)?;
    trace.said(1, &epoch, commit_by(3, &after, &SILENCE, |_| {})?)?;
    trace.shows("user epoch 4")?;
    cases.push(trace.done(
        "shown-by-successor",
        &["SESS-158", "SESS-139"],
        "the one that this member follows shows how the coordinator ended the epoch",
    )?);
    let (mut trace, epoch) = under_third()?;
    trace.say("one")?;
    trace.link_lost(3)?;
    let after = next(&epoch, hand_over(1)?)?;
    trace.said(1, &epoch, commit_by(3, &after, &[(1, 0), (3, 0)], |_| {})?)?;
    trace.shows("user epoch 4, user failed #1 to 1")?;
    cases.push(trace.done(
        "shown-uncounted",
        &["SESS-172"],
        "the coordinator had lost this member, and ended the epoch without its messages",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    let after = next(&epoch, hand_over(3)?)?;
    trace.said(3, &epoch, commit_by(1, &after, &[(1, 0), (2, 0), (3, 0), (4, 0)], |_| {})?)?;
    trace.shows("3 commit, user epoch 4")?;
    cases.push(trace.done(
        "shown-by-follower",
        &["SESS-136", "SESS-158"],
        "a follower passes on how the epoch ends, and waits for the word of the one that it follows",
    )?);
    let (mut trace, epoch) = joined()?;
    let after = next(&epoch, hand_over(3)?)?;
    trace.said(3, &epoch, commit_by(1, &after, &SILENCE, |_| {})?)?;
    trace.shows("")?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow, user epoch 3")?;
    cases.push(trace.done(
        "shown-early",
        &["SESS-190"],
        "another shows how the epoch ends before this member has lost the coordinator, and then it does",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(3, &epoch, commit_by(3, &after, &SILENCE, |_| {})?)?;
    trace.shows("3 close commit-refused, user member-lost 3")?;
    cases.push(trace.done(
        "shown-early-signed-by-another",
        &["SESS-191"],
        "another shows as the coordinator's word what the coordinator, who is there, has not signed",
    )?);
    let silence = [(1, 0), (2, 0), (3, 0), (4, 0)];
    let (mut trace, epoch) = under_fourth()?;
    trace.link_lost(4)?;
    trace.shows("user member-lost 4, 1+3 follow")?;
    let after = next(&epoch, hand_over(3)?)?;
    trace.said(3, &epoch, commit_by(4, &after, &silence, |_| {})?)?;
    trace.shows("1 commit")?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow, user epoch 5")?;
    cases.push(trace.done(
        "shown-by-other",
        &["SESS-137", "SESS-158"],
        "what another shows is passed on to the one that this member follows, and used when that one is lost",
    )?);
    for (slug, about, change) in [
        ("miscounted", "another count of what this member said", 0),
        ("of-other-hash", "another hash than that of the epoch that it makes", 1),
    ] {
        let (mut trace, epoch) = of_four()?;
        trace.link_lost(1)?;
        let after = next(&epoch, hand_over(3)?)?;
        let wrong = commit_by(1, &after, &silence, |commitment| match change {
            0 => commitment.sent.iter_mut().for_each(|sent| sent.count = 7),
            _ => commitment.hash = EpochHash([1; 32]),
        })?;
        trace.said(3, &epoch, wrong)?;
        trace.shows("3 late")?;
        cases.push(trace.done(
            &format!("shown-{slug}"),
            &["SESS-150"],
            &format!("somebody shows a word of the coordinator's with {about}"),
        )?);
    }
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    let after = next(&epoch, Change::Remove(handle_of(2)?))?;
    trace.said(3, &epoch, commit_by(1, &after, &silence, |_| {})?)?;
    trace.shows("3 late")?;
    cases.push(trace.done(
        "shown-own-removal",
        &["SESS-150"],
        "somebody shows that the coordinator has removed this member",
    )?);
    let (mut trace, epoch) = of_four()?;
    trace.link_lost(1)?;
    let after = next(&epoch, hand_over(3)?)?;
    trace.said(3, &epoch, commit_by(3, &after, &silence, |_| {})?)?;
    trace.shows("3 close commit-refused, user member-lost 3")?;
    cases.push(trace.done(
        "shown-signed-by-another",
        &["SESS-139"],
        "somebody shows as the coordinator's word what the coordinator has not signed",
    )?);
    for (slug, about, signer, other_change) in [
        ("signed-by-another", "that the coordinator has not signed", 3, false),
        ("of-other-change", "to another change than the one that it has closed for", 1, true),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.said(1, &epoch, close(&epoch, &hand_over(3)?, 3)?)?;
        let change = if other_change { hand_over(2)? } else { hand_over(3)? };
        let after = next(&epoch, change)?;
        trace.said(1, &epoch, commit_by(signer, &after, &SILENCE, |_| {})?)?;
        trace.shows("1 close commit-refused, user member-lost 1, 3 follow")?;
        cases.push(trace.done(
            &format!("commit-{slug}"),
            &["SESS-128", "SESS-126"],
            &format!("the coordinator commits {about}"),
        )?);
    }
    for (slug, about, change) in [
        ("claims-other-epoch", "another number of the epoch that is over", 0),
        ("claims-other-chain", "another hash of the epoch that is over", 1),
        ("claims-other-session", "another session", 2),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.said(1, &epoch, close(&epoch, &hand_over(3)?, 3)?)?;
        let after = next(&epoch, hand_over(3)?)?;
        let wrong = commit_by(1, &after, &SILENCE, |commitment| match change {
            0 => commitment.epoch = epoch.number.next(),
            1 => commitment.chain = EpochHash([1; 32]),
            _ => commitment.session = SessionId([1; 32]),
        })?;
        trace.said(1, &epoch, wrong)?;
        trace.shows("1 close commit-refused, user member-lost 1, 3 follow")?;
        cases.push(trace.done(
            &format!("commit-{slug}"),
            &["SESS-128"],
            &format!("the coordinator signs a commitment with {about}"),
        )?);
    }
    Ok(())
}

fn holder(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = welcomed_by_member()?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow")?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("3 commit, user epoch 3, 4 cancel, 4 goodbye, user invitation-failed 4")?;
    cases.push(trace.done(
        "take-over-voids-token",
        &["SESS-154"],
        "the token of a lost coordinator is worth nothing under its successor",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(4)?, 3, 1)? }))?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3+4 follow")?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("")?;
    trace.said(4, &epoch, follow(2, 0, false)?)?;
    trace.shows("3+4 commit, user epoch 3, 4 goodbye")?;
    cases.push(trace.done(
        "take-over-without-newcomer",
        &["SESS-133", "SESS-159"],
        "a newcomer that all have admitted is heard before somebody takes over, and is let go",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.link_lost(1)?;
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(4)?, 3, 1)? }))?;
    trace.shows("4 close ticket-epoch")?;
    cases.push(trace.done(
        "admits-nobody-without-coordinator",
        &["SESS-066"],
        "a ticket is shown to a member that has lost the coordinator",
    )?);
    Ok(())
}

fn newcomer(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = completed()?;
    trace.link_lost(1)?;
    trace.shows("3 follow")?;
    let after = next(&epoch, Change::Join(trace.me.clone()))?;
    trace.said(3, &epoch, commit(&after, &[(1, 0), (3, 0)])?)?;
    trace.shows("user epoch 2, user member-lost 1, 3 follow")?;
    cases.push(trace.done(
        "newcomer-shown-commit",
        &["SESS-155", "SESS-158"],
        "the coordinator is lost to a newcomer before it commits, and a member shows the commit",
    )?);
    let (mut trace, _) = completed()?;
    trace.link_lost(1)?;
    trace.link_lost(3)?;
    trace.shows("1 goodbye, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "newcomer-alone",
        &["SESS-156"],
        "a newcomer loses the coordinator and then all other members",
    )?);
    let (mut trace, epoch) = completed()?;
    trace.link_lost(1)?;
    let after = next(&epoch, Change::TakeOver(handle_of(3)?))?;
    trace.said(3, &epoch, commit_by(3, &after, &[(3, 0)], |_| {})?)?;
    trace.shows("1 goodbye, 3 goodbye, user ended")?;
    cases.push(trace.done(
        "newcomer-not-taken-over",
        &["SESS-156"],
        "a member takes over without the newcomer",
    )?);
    for (slug, signer, about) in
        [("signed-by-another", 3, "that it has not signed"), ("of-other-change", 1, "to another change")]
    {
        let (mut trace, epoch) = completed()?;
        let change = if signer == 1 { Change::Void(handle_of(2)?) } else { Change::Join(trace.me.clone()) };
        let after = next(&epoch, change)?;
        trace.said(1, &epoch, commit_by(signer, &after, &[(1, 0), (3, 0)], |_| {})?)?;
        cases.push(trace.done(
            &format!("newcomer-commit-{slug}"),
            &["SESS-127"],
            &format!("the coordinator commits {about}"),
        )?);
    }
    Ok(())
}

fn gives_up(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    trace.leave()?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow")?;
    trace.said(3, &epoch, follow(3, 0, true)?)?;
    trace.shows("3 goodbye, user ended")?;
    cases.push(trace.done(
        "everybody-leaves",
        &["SESS-152", "SESS-131"],
        "the coordinator is lost when everybody wants to leave",
    )?);
    let (mut trace, _) = joined()?;
    trace.link_lost(1)?;
    trace.now += 60;
    trace.timer(Timer::Lost(handle_of(1)?))?;
    trace.shows("3 close deadline, user member-lost 3, user epoch 3, user epoch 4")?;
    cases.push(trace.done(
        "succession-overdue",
        &["SESS-153"],
        "a member has not followed anybody for 60 seconds",
    )?);
    let (mut trace, epoch) = under_third()?;
    trace.link_lost(3)?;
    trace.said(1, &epoch, follow(1, 0, false)?)?;
    trace.now += 60;
    trace.timer(Timer::Lost(handle_of(3)?))?;
    trace.shows("")?;
    trace.now += 60;
    trace.timer(Timer::Lost(handle_of(3)?))?;
    trace.shows("1 close deadline, user member-lost 1, user epoch 4, user epoch 5")?;
    cases.push(trace.done(
        "successor-idle",
        &["SESS-192"],
        "the one that this member follows has not taken over in its own time and in 60 seconds more",
    )?);
    let (mut trace, epoch) = under_fourth()?;
    trace.link_lost(4)?;
    trace.shows("user member-lost 4, 1+3 follow")?;
    trace.said(3, &epoch, follow(1, 0, false)?)?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 3 follow")?;
    trace.turns(2)?;
    trace.shows("")?;
    trace.turns(1)?;
    trace.shows("3 close deadline, user member-lost 3, user epoch 5, user epoch 6, user epoch 7")?;
    cases.push(trace.done(
        "follower-of-another",
        &["SESS-194"],
        "the next in place leaves another member the time to give up the one that it follows",
    )?);
    let (mut trace, epoch) = of_four()?;
    let silence = [(1, 0), (2, 0), (3, 0), (4, 0)];
    let after = trace.change(&epoch, &Change::HandOver(handle_of(4)?), 4, &silence)?;
    trace.said(3, &epoch, follow(2, 0, false)?)?;
    trace.shows("3 commit")?;
    trace.link_lost(4)?;
    trace.said(1, &after, follow(1, 0, false)?)?;
    trace.turns(3)?;
    trace.shows("")?;
    trace.turns(1)?;
    trace.shows("1 close deadline, user member-lost 1, 3 follow")?;
    trace.turns(4)?;
    trace.shows("")?;
    trace.turns(1)?;
    trace.shows("3 close deadline, user member-lost 3, user epoch 5, user epoch 6, user epoch 7")?;
    cases.push(trace.done(
        "follower-held-up",
        &["SESS-153", "SESS-192", "SESS-194"],
        "one that waits in the epoch before for somebody else isn't taken for silent",
    )?);
    let silence = [(1, 0), (2, 0), (3, 0), (4, 0)];
    let (mut trace, epoch) = under_fourth()?;
    trace.link_lost(4)?;
    let after = next(&epoch, Change::HandOver(handle_of(3)?))?;
    trace.said(3, &epoch, commit_by(4, &after, &silence, |_| {})?)?;
    trace.shows("1 commit")?;
    trace.now += 60;
    trace.timer(Timer::Lost(handle_of(4)?))?;
    trace.shows("1 close deadline, user member-lost 1, 3 follow, user epoch 5")?;
    cases.push(trace.done(
        "succession-overdue-but-shown",
        &["SESS-153"],
        "only the one that has neither followed nor shown anything for 60 seconds is given up",
    )?);
    let (mut trace, epoch) = of_four()?;
    let removal = next(&epoch, Change::Remove(handle_of(2)?))?;
    trace.said(3, &epoch, commit_by(1, &removal, &silence, |_| {})?)?;
    trace.shows("")?;
    trace.link_lost(3)?;
    trace.said(4, &epoch, follow(2, 0, false)?)?;
    trace.link_lost(1)?;
    trace.shows("user member-lost 1, 4 follow, 2 late, 4 commit, user epoch 4, 4 close")?;
    cases.push(trace.done(
        "takes-over-against-own-removal",
        &["SESS-133", "SESS-150"],
        "the coordinator's kept word is this member's own removal, and keeps it from nothing",
    )?);
    for (slug, about, sent, leaving) in [
        ("counts-anew", "counts its messages anew", 1, false),
        ("stays-after-all", "stays after all", 0, false),
    ] {
        let (mut trace, epoch) = of_four()?;
        trace.said(3, &epoch, follow(2, 0, true)?)?;
        trace.said(3, &epoch, follow(4, sent, sent == 1 || leaving)?)?;
        trace.shows("3 close unexpected-message, user member-lost 3")?;
        cases.push(trace.done(&format!("follow-{slug}"), &["SESS-135"], &format!("a follower {about}"))?);
    }
    Ok(())
}
