//! Every sequence of events up to a length, at one home copy.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    account::profile::{Action, Answer, Event, HomeProfile, Terms},
    error_code::ErrorCode,
    identity::ServerName,
    machine::Machine as _,
    message::server_server::{LoginEpoch, ProfileVersion},
    policy::{Preferences, Verdict},
    time::Timestamp,
};

const LENGTH: usize = 5;

const LEASE: Duration = Duration::from_secs(300);

/// Within the lease of the very first moment, and beyond it.
const TIMES: [Timestamp; 2] = [Timestamp(299), Timestamp(600)];

fn servers() -> [ServerName; 2] {
    ["a.example".parse().unwrap(), "b.example".parse().unwrap()]
}

/// Every event that differs in what the machine can see: present, old and future epochs and versions.
fn events() -> Vec<Event> {
    let mut events = Vec::new();
    for by in servers() {
        events.push(Event::CheckOut { by: by.clone() });
        for epoch in (0..4).map(LoginEpoch) {
            events.push(Event::CheckIn { by: by.clone(), epoch });
            events.push(Event::Renew { by: by.clone(), epoch });
            for version in (0..2).map(ProfileVersion) {
                let messaging = Preferences { default: Verdict::Deny, ..Preferences::default() };
                events.push(Event::Store { by: by.clone(), epoch, version, messaging });
            }
        }
    }
    events
}

/// What one event did to one state.
fn check(before: &HomeProfile, event: &Event, now: Timestamp) -> HomeProfile {
    let (mut after, mut actions) = (before.clone(), Vec::new());
    after.handle(event.clone(), &Terms { now, lease: LEASE }, &mut actions);
    let held_by = |profile: &HomeProfile| profile.holder.clone().map(|holder| holder.server);

    let answers: Vec<_> = actions
        .iter()
        .filter_map(|a| if let Action::Answer(answer) = a { Some(answer) } else { None })
        .collect();
    assert_eq!(answers.len(), 1, "one answer to {event:?}");
    let answer = answers[0];
    // Whatever changed is durable before anybody hears of it.
    if after != *before {
        assert_eq!(actions[0], Action::Persist(after.clone()), "{event:?}");
    }
    let refused = matches!(answer, Answer::Refused(_));
    assert!(!refused || after == *before, "a refusal changes nothing: {event:?}");

    match event {
        Event::CheckOut { by } => {
            assert!(after.epoch > before.epoch, "LOGIN-015: epochs grow");
            assert_eq!(held_by(&after).as_ref(), Some(by), "LOGIN-018");
            assert_eq!(after.logged_in_at(now), Some(by));
            assert_eq!(after.logged_in_at(now.after(LEASE)), None, "LOGIN-036");
            let profile = before.profile.clone();
            let granted = Answer::CheckedOut { epoch: after.epoch, lease: LEASE, profile };
            assert_eq!(*answer, granted, "PREF-015, LOGIN-036");
            let replaced: Vec<_> = actions.iter().filter(|a| matches!(a, Action::Replace { .. })).collect();
            let other = before.logged_in_at(now).filter(|holder| *holder != by).cloned();
            let expected = other.map(|holder| Action::Replace { holder, epoch: before.epoch });
            assert_eq!(replaced, expected.iter().collect::<Vec<_>>(), "LOGIN-021");
        }
        Event::Store { by, epoch, version, messaging } => {
            let held = before.epoch == *epoch && held_by(before).as_ref() == Some(by);
            let next = ProfileVersion(version.0 + 1);
            let is_again = before.profile.version == next && before.profile.messaging == *messaging;
            let expected = match (held, before.profile.version == *version || is_again) {
                (false, _) => Answer::Refused(ErrorCode::LoginReplaced),
                (true, false) => Answer::Refused(ErrorCode::VersionConflict),
                (true, true) => Answer::Stored(next),
            };
            assert_eq!(*answer, expected, "PREF-008, PREF-009, PREF-010, PREF-016");
            assert!(!is_again || after == *before, "PREF-016: once is enough");
            if !refused {
                assert_eq!(after.profile.messaging, *messaging);
            }
            assert_eq!((after.epoch, &after.holder), (before.epoch, &before.holder));
        }
        Event::Renew { by, epoch } => {
            let held = before.epoch == *epoch && held_by(before).as_ref() == Some(by);
            let refused = Answer::Refused(ErrorCode::LoginReplaced);
            assert_eq!(*answer, if held { Answer::Renewed(LEASE) } else { refused }, "LOGIN-038, LOGIN-039");
            assert_eq!(after.logged_in_at(now), if held { Some(by) } else { before.logged_in_at(now) });
            assert_eq!((after.epoch, &after.profile), (before.epoch, &before.profile));
        }
        Event::CheckIn { by, epoch } => {
            assert_eq!(*answer, Answer::CheckedIn, "LOGIN-019");
            let held = before.epoch == *epoch && held_by(before).as_ref() == Some(by);
            assert_eq!(after.holder, if held { None } else { before.holder.clone() }, "LOGIN-020");
            assert_eq!((after.epoch, &after.profile), (before.epoch, &before.profile));
        }
    }
    after
}

#[test]
fn every_short_history_keeps_the_rules() {
    let mut states = vec![HomeProfile::default()];
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for _ in 0..LENGTH {
        let mut next = Vec::new();
        for state in &states {
            for (event, now) in events().iter().flat_map(|event| TIMES.map(|now| (event, now))) {
                let after = check(state, event, now);
                if seen.insert(format!("{after:?}")) {
                    next.push(after);
                }
            }
        }
        states = next;
    }
    // A change of this number is a change of the machine.
    assert_eq!(seen.len(), 57);
}

#[test]
fn the_last_epoch_is_the_last() {
    let mut home = HomeProfile { epoch: LoginEpoch(u64::MAX), ..HomeProfile::default() };
    let mut actions = Vec::new();
    let [by, _] = servers();
    let terms = Terms { now: TIMES[0], lease: LEASE };
    home.handle(Event::CheckOut { by }, &terms, &mut actions);
    assert_eq!(actions, [Action::Answer(Answer::Refused(ErrorCode::Internal))]);
}

#[test]
fn the_end_of_an_account_ends_its_login() {
    // REG-021: whoever holds the last epoch hears that it is over, however old the lease is; after a logout nobody does.
    assert_eq!(HomeProfile::default().end(), None);
    let [by, _] = servers();
    let mut home = HomeProfile::default();
    let terms = Terms { now: TIMES[0], lease: LEASE };
    home.handle(Event::CheckOut { by: by.clone() }, &terms, &mut Vec::new());
    let epoch = home.epoch;
    assert_eq!(home.clone().end(), Some(Action::Replace { holder: by.clone(), epoch }));
    // REG-035: so is the login whose key was replaced; its holder can do nothing more, and the next epoch is greater.
    let (mut rotated, mut actions) = (home.clone(), Vec::new());
    rotated.end_login(&mut actions);
    let told = Action::Replace { holder: by.clone(), epoch };
    assert_eq!(actions, [Action::Persist(rotated.clone()), told]);
    actions.clear();
    rotated.handle(Event::Renew { by: by.clone(), epoch }, &terms, &mut actions);
    assert_eq!(actions, [Action::Answer(Answer::Refused(ErrorCode::LoginReplaced))]);
    actions.clear();
    rotated.end_login(&mut actions);
    assert_eq!(actions, []);
    assert_eq!(rotated.epoch, epoch);
    home.handle(Event::CheckIn { by, epoch }, &terms, &mut Vec::new());
    assert_eq!(home.end(), None);
}
