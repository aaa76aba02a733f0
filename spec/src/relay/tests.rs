//! The machine against whatever two sides may send, and the rules of numbers, windows and tags.

use proptest::prelude::*;

use super::*;
use crate::{
    error_code::ErrorCode,
    limits::{RELAY_TAGS_MAX, RELAY_WINDOW_BYTES},
    machine::Machine as _,
    message::relay::LinkNumber,
    session::RelayTag,
};

const CALLER: Side = Side::Caller;
const CALLED: Side = Side::Called;

#[track_caller]
fn check(events: &[Event], last: &[Action]) {
    let mut link = RelayedLink::default();
    let mut actions = Vec::new();
    for event in events {
        actions.clear();
        link.handle(*event, &(), &mut actions);
    }
    assert_eq!(actions, last, "{events:?}");
}

#[test]
fn a_link_opens_carries_bytes_and_ends() {
    let opened = Event::Opened { by: CALLED };
    let data = |by, count| Event::Data { by, count };
    let credit = |by, count| Event::Credit { by, count };
    let (to_caller, to_called) = (Action::Forward { to: CALLER }, Action::Forward { to: CALLED });
    check(&[opened], &[to_caller]);
    check(&[opened, data(CALLER, RELAY_WINDOW_BYTES)], &[to_called]);
    check(&[opened, data(CALLED, RELAY_WINDOW_BYTES)], &[to_caller]);
    check(&[opened, data(CALLER, 5), credit(CALLED, 5), data(CALLER, RELAY_WINDOW_BYTES)], &[to_called]);
    for by in [CALLER, CALLED] {
        let other = Action::Close { to: by.other() };
        let fault = |code| [Action::Fault { by, code }, other];
        check(&[opened, Event::Closed { by }], &[other]);
        check(&[data(by, 1)], &fault(ErrorCode::UnexpectedMessage));
        check(&[credit(by, 1)], &fault(ErrorCode::UnexpectedMessage));
        check(&[opened, Event::Opened { by }], &fault(ErrorCode::UnexpectedMessage));
        check(&[opened, data(by, RELAY_WINDOW_BYTES), data(by, 1)], &fault(ErrorCode::LimitReached));
        check(&[opened, credit(by, 1)], &fault(ErrorCode::LimitReached));
    }
    check(&[Event::Closed { by: CALLER }], &[Action::Close { to: CALLED }]);
    check(&[Event::Closed { by: CALLED }], &[Action::Refuse]);
    check(&[Event::Refused], &[Action::Refuse]);
    check(&[opened, Event::Refused], &[]);
    let unasked =
        [Action::Fault { by: CALLER, code: ErrorCode::UnexpectedMessage }, Action::Close { to: CALLED }];
    check(&[Event::Opened { by: CALLER }], &unasked);
    check(&[Event::Expired], &[Action::Close { to: CALLER }, Action::Close { to: CALLED }]);
    check(&[opened, Event::Expired], &[]);
}

proptest! {
    #[test]
    fn whatever_comes_a_server_keeps_a_window_at_most_and_tells_both_sides(
        events in proptest::collection::vec((0u8..6, any::<bool>(), 1..=RELAY_WINDOW_BYTES), 0..40),
    ) {
        let mut link = RelayedLink::default();
        for (kind, by_caller, count) in events {
            let by = if by_caller { CALLER } else { CALLED };
            let event = match kind {
                0 => Event::Opened { by },
                1 => Event::Data { by, count },
                2 => Event::Credit { by, count },
                3 => Event::Closed { by },
                4 => Event::Refused,
                _ => Event::Expired,
            };
            let before = link.is_ended();
            let mut actions = Vec::new();
            link.handle(event, &(), &mut actions);
            prop_assert!(link.under_way(CALLER) <= RELAY_WINDOW_BYTES);
            prop_assert!(link.under_way(CALLED) <= RELAY_WINDOW_BYTES);
            if before {
                prop_assert_eq!(&actions, &[]);
            } else if link.is_ended() {
                // Whoever did not end the link hears that it is over; nobody is called where the server itself refuses.
                let hears = |side| actions.iter().any(|action| match action {
                    Action::Close { to } => *to == side,
                    Action::Fault { by, .. } => *by == side,
                    Action::Refuse => side == CALLER,
                    Action::Forward { .. } => false,
                });
                let ended_by = if let Event::Closed { by } = event { Some(by) } else { None };
                let is_told = |side| {
                    ended_by == Some(side) || (event == Event::Refused && side == CALLED) || hears(side)
                };
                prop_assert!([CALLER, CALLED].into_iter().all(is_told));
            }
        }
    }
}

#[test]
fn both_ends_number_links_without_meeting() {
    let (mut dialling, mut accepting) = (Numbers::dialling(), Numbers::accepting());
    for _ in 0..3 {
        let (odd, even) = (dialling.next_own(), accepting.next_own());
        assert_eq!((odd.0 % 2, even.0 % 2), (1, 0));
        assert_eq!((accepting.open(odd), dialling.open(even)), (Ok(()), Ok(())));
        assert!(dialling.was_opened(odd) && dialling.was_opened(even));
        assert!(accepting.was_opened(odd) && accepting.was_opened(even));
        // The same again, and a number of the other end's.
        assert_eq!(accepting.open(odd), Err(ErrorCode::UnexpectedMessage));
        assert_eq!(accepting.open(LinkNumber(even.0 + 100)), Err(ErrorCode::UnexpectedMessage));
    }
    assert!(!accepting.was_opened(LinkNumber(99)) && !accepting.was_opened(LinkNumber(100)));
    // Numbers may be left out.
    assert_eq!(accepting.open(LinkNumber(99)), Ok(()));
    assert_eq!(accepting.open(LinkNumber(97)), Err(ErrorCode::UnexpectedMessage));
    assert_eq!(accepting.open(LinkNumber(u64::MAX)), Err(ErrorCode::UnexpectedMessage));
}

#[test]
fn tags_are_bounded() {
    let tag = |number: usize| RelayTag(u128::try_from(number).unwrap().to_be_bytes());
    let mut tags = Tags::default();
    assert!((0..RELAY_TAGS_MAX).all(|number| tags.expect(tag(number))));
    assert!(!tags.expect(tag(RELAY_TAGS_MAX)) && !tags.has(tag(RELAY_TAGS_MAX)));
    assert!(tags.expect(tag(0)), "one that is there already takes no room");
    tags.forget(tag(0));
    assert!(!tags.has(tag(0)) && tags.expect(tag(RELAY_TAGS_MAX)));
}
