//! Every sequence of events up to a length, at one home copy.

use std::collections::BTreeSet;

use crate::{
    account::profile::{Action, Answer, Event, HomeProfile},
    error_code::ErrorCode,
    identity::ServerName,
    machine::Machine as _,
    message::server_server::{LoginEpoch, ProfileVersion},
    policy::{Preferences, Verdict},
};

const LENGTH: usize = 5;

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
            for version in (0..2).map(ProfileVersion) {
                let messaging = Preferences { default: Verdict::Deny, ..Preferences::default() };
                events.push(Event::Store { by: by.clone(), epoch, version, messaging });
            }
        }
    }
    events
}

/// What one event did to one state.
fn check(before: &HomeProfile, event: &Event) -> HomeProfile {
    let (mut after, mut actions) = (before.clone(), Vec::new());
    after.handle(event.clone(), &(), &mut actions);

    let answers: Vec<_> = actions
        .iter()
        .filter_map(|a| if let Action::Answer(answer) = a { Some(answer) } else { None })
        .collect();
    assert_eq!(answers.len(), 1, "one answer to {event:?}");
    let answer = answers[0];
    // Whatever changed is durable before anybody hears of it.
    if after == *before {
        assert!(!actions.iter().any(|action| matches!(action, Action::Persist(_))));
    } else {
        assert_eq!(actions[0], Action::Persist(after.clone()), "{event:?}");
    }
    let refused = matches!(answer, Answer::Refused(_));
    assert!(!refused || after == *before, "a refusal changes nothing: {event:?}");

    match event {
        Event::CheckOut { by } => {
            assert!(after.epoch > before.epoch, "LOGIN-015: epochs grow");
            assert_eq!(after.holder.as_ref(), Some(by), "LOGIN-018");
            let profile = before.profile.clone();
            assert_eq!(*answer, Answer::CheckedOut { epoch: after.epoch, profile }, "PREF-015");
            let replaced: Vec<_> = actions.iter().filter(|a| matches!(a, Action::Replace { .. })).collect();
            let other = before.holder.clone().filter(|holder| holder != by);
            let expected = other.map(|holder| Action::Replace { holder, epoch: before.epoch });
            assert_eq!(replaced, expected.iter().collect::<Vec<_>>(), "LOGIN-021");
        }
        Event::Store { by, epoch, version, messaging } => {
            let held = before.epoch == *epoch && before.holder.as_ref() == Some(by);
            let expected = match (held, before.profile.version == *version) {
                (false, _) => Answer::Refused(ErrorCode::LoginReplaced),
                (true, false) => Answer::Refused(ErrorCode::VersionConflict),
                (true, true) => Answer::Stored(ProfileVersion(version.0 + 1)),
            };
            assert_eq!(*answer, expected, "PREF-008, PREF-009, PREF-010");
            if !refused {
                assert_eq!(after.profile.messaging, *messaging);
            }
            assert_eq!((after.epoch, &after.holder), (before.epoch, &before.holder));
        }
        Event::CheckIn { by, epoch } => {
            assert_eq!(*answer, Answer::CheckedIn, "LOGIN-019");
            let held = before.epoch == *epoch && before.holder.as_ref() == Some(by);
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
            for event in events() {
                let after = check(state, &event);
                if seen.insert(format!("{after:?}")) {
                    next.push(after);
                }
            }
        }
        states = next;
    }
    // A change of this number is a change of the machine.
    assert_eq!(seen.len(), 33);
}

#[test]
fn the_last_epoch_is_the_last() {
    let mut home = HomeProfile { epoch: LoginEpoch(u64::MAX), ..HomeProfile::default() };
    let mut actions = Vec::new();
    let [by, _] = servers();
    home.handle(Event::CheckOut { by }, &(), &mut actions);
    assert_eq!(actions, [Action::Answer(Answer::Refused(ErrorCode::Internal))]);
}
