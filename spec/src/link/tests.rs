//! What one end of a link does, event by event.

use super::{Action, Event, Heard, Link, Said};
use crate::{
    error_code::ErrorCode,
    identity::KeyHash,
    limits::{LINK_HAVE_INTERVAL, LINK_KEPT_MAX, LINK_RETRY_INTERVAL},
    machine::Machine as _,
    message::link::{Keep, LinkName, Patience},
};

const NAME: LinkName = LinkName([7; 16]);
const KEY: KeyHash = KeyHash([3; 32]);
const UNEXPECTED: ErrorCode = ErrorCode::UnexpectedMessage;

fn patience(seconds: u64) -> Patience {
    seconds.try_into().unwrap()
}

fn offer(seconds: u64) -> Keep {
    Keep { link: NAME, patience: patience(seconds) }
}

fn take(link: &mut Link<u64>, event: Event<u64>) -> Vec<Action<u64>> {
    let mut out = Vec::new();
    link.handle(event, &(), &mut out);
    out
}

fn message(number: u64) -> Action<u64> {
    Action::Send(Said::Message(number))
}

/// The end that dialled, which has said 0 uncounted; its link is kept.
fn dialler() -> Link<u64> {
    let mut link = Link::dialled(Some(offer(9)));
    assert_eq!(take(&mut link, Event::Say(0)), [message(0), Action::Send(Said::Keep(offer(9)))]);
    assert_eq!(take(&mut link, Event::Heard(Heard::Kept(patience(4)))), []);
    assert!(link.is_kept());
    link
}

/// The end that accepted; its link is kept.
fn acceptor() -> Link<u64> {
    let mut link = Link::accepted(KEY, Some(patience(5)));
    let kept = Action::Send(Said::Kept(patience(5)));
    assert_eq!(take(&mut link, Event::Heard(Heard::Keep(offer(9)))), [kept]);
    link
}

fn resume(received: u64) -> Event<u64> {
    Event::Resume { link: NAME, attempt: 1, key: KEY, received }
}

#[test]
fn the_lesser_patience_counts() {
    let arm = |seconds| Action::ArmPatience(patience(seconds).duration());
    assert_eq!(take(&mut dialler(), Event::ConnectionLost), [arm(4), Action::Dial]);
    assert_eq!(take(&mut acceptor(), Event::ConnectionLost), [arm(5)]);
}

#[test]
fn a_link_that_is_not_kept_is_lost_with_its_connection() {
    for mut link in [
        Link::dialled(None),
        Link::dialled(Some(offer(9))),
        Link::accepted(KEY, None),
        Link::accepted(KEY, Some(patience(5))),
    ] {
        assert_eq!(take(&mut link, Event::ConnectionLost), [Action::Lost]);
        assert!(link.is_ended());
    }
    let mut asked = Link::dialled(Some(offer(9)));
    take(&mut asked, Event::Say(0));
    assert_eq!(take(&mut asked, Event::ConnectionLost), [Action::Lost]);
    let mut declined = Link::<u64>::accepted(KEY, None);
    assert_eq!(take(&mut declined, Event::Heard(Heard::Keep(offer(9)))), []);
    assert_eq!(take(&mut declined, Event::ConnectionLost), [Action::Lost]);
}

#[test]
fn who_dials_again_says_what_it_has_and_sends_what_the_peer_has_not() {
    let mut link = dialler();
    for number in 1..=3 {
        assert_eq!(take(&mut link, Event::Say(number)), [message(number)]);
    }
    assert_eq!(take(&mut link, Event::Heard(Heard::Message)), [Action::Deliver]);
    take(&mut link, Event::ConnectionLost);
    assert_eq!(take(&mut link, Event::Say(4)), []);
    assert_eq!(take(&mut link, Event::DialFailed), [Action::ArmRetry(LINK_RETRY_INTERVAL)]);
    assert_eq!(take(&mut link, Event::Retry), [Action::Dial]);
    let asks = |attempt| Action::Send(Said::Resume { link: NAME, attempt, received: 1 });
    assert_eq!(take(&mut link, Event::Dialled), [asks(1)]);
    assert_eq!(take(&mut link, Event::Say(5)), []);
    // The new connection is lost as well, and the patience goes on.
    assert_eq!(take(&mut link, Event::ConnectionLost), [Action::ArmRetry(LINK_RETRY_INTERVAL)]);
    assert_eq!(take(&mut link, Event::Retry), [Action::Dial]);
    assert_eq!(take(&mut link, Event::Dialled), [asks(2)]);
    let goes_on = [Action::Resumed, message(3), message(4), message(5)];
    assert_eq!(take(&mut link, Event::Heard(Heard::Resumed(2))), goes_on);
    assert_eq!(link.kept(), 3);
    assert_eq!(take(&mut link, Event::PatienceOver), []);
    assert_eq!(take(&mut link, Event::Heard(Heard::Have(5))), []);
    assert_eq!(link.kept(), 0);
}

#[test]
fn who_is_dialled_again_answers_whether_it_noticed_or_not() {
    for noticed in [false, true] {
        let mut link = acceptor();
        assert_eq!(take(&mut link, Event::Say(1)), [message(1)]);
        take(&mut link, Event::Heard(Heard::Message));
        if noticed {
            take(&mut link, Event::ConnectionLost);
        }
        let answer = Action::Send(Said::Resumed(1));
        assert_eq!(take(&mut link, resume(0)), [Action::Adopt, Action::Resumed, answer, message(1)]);
        assert_eq!(take(&mut link, Event::Heard(Heard::Message)), [Action::Deliver]);
        // What was sent before it comes too late.
        assert_eq!(take(&mut link, resume(0)), [Action::Refuse(ErrorCode::NoSuchSession)]);
    }
}

#[test]
fn a_resume_of_another_link_or_by_another_key_leaves_the_link_as_it_is() {
    let refused = [Action::Refuse(ErrorCode::NoSuchSession)];
    for event in [
        Event::Resume { link: LinkName([8; 16]), attempt: 1, key: KEY, received: 0 },
        Event::Resume { link: NAME, attempt: 1, key: KeyHash([4; 32]), received: 0 },
        Event::Resume { link: NAME, attempt: 0, key: KEY, received: 0 },
    ] {
        let mut link = acceptor();
        let before = link.clone();
        assert_eq!(take(&mut link, event), refused);
        assert_eq!(link, before);
    }
    assert_eq!(take(&mut dialler(), resume(0)), refused);
    assert_eq!(take(&mut Link::accepted(KEY, Some(patience(5))), resume(0)), refused);
    let mut over = acceptor();
    take(&mut over, Event::ConnectionClosed);
    assert_eq!(take(&mut over, resume(0)), refused);
}

#[test]
fn a_count_that_cannot_be_ends_the_link() {
    let closes = [Action::Close(UNEXPECTED)];
    for (event, said) in [(Heard::Have(2), 1), (Heard::Have(1), 2)] {
        let mut link = acceptor();
        for number in 0..said {
            take(&mut link, Event::Say(number));
        }
        take(&mut link, Event::Heard(Heard::Have(said)));
        assert_eq!(take(&mut link, Event::Heard(event)), closes);
        assert!(link.is_ended());
    }
    assert_eq!(take(&mut Link::accepted(KEY, None), Event::Heard(Heard::Have(0))), closes);
    assert_eq!(take(&mut acceptor(), resume(1)), [Action::Adopt, Action::Close(UNEXPECTED)]);
    let mut link = dialler();
    take(&mut link, Event::ConnectionLost);
    take(&mut link, Event::Dialled);
    assert_eq!(take(&mut link, Event::Heard(Heard::Resumed(1))), closes);
}

#[test]
fn what_may_not_come_ends_the_link() {
    let closes = [Action::Close(UNEXPECTED)];
    for heard in [Heard::Keep(offer(2)), Heard::Kept(patience(2)), Heard::Resumed(0), Heard::Resume] {
        assert_eq!(take(&mut dialler(), Event::Heard(heard)), closes, "{heard:?}");
        assert_eq!(take(&mut acceptor(), Event::Heard(heard)), closes, "{heard:?}");
        let mut declined = Link::accepted(KEY, None);
        take(&mut declined, Event::Heard(Heard::Keep(offer(9))));
        assert_eq!(take(&mut declined, Event::Heard(heard)), closes, "{heard:?}");
    }
    for heard in [Heard::Message, Heard::Have(0), Heard::Keep(offer(2)), Heard::Resume] {
        let mut link = dialler();
        take(&mut link, Event::ConnectionLost);
        take(&mut link, Event::Dialled);
        assert_eq!(take(&mut link, Event::Heard(heard)), closes, "{heard:?}");
    }
}

#[test]
fn a_receiver_says_now_and_then_what_it_has() {
    let mut link = acceptor();
    let mut told = Vec::new();
    for _ in 0..2 * LINK_HAVE_INTERVAL {
        told.extend(take(&mut link, Event::Heard(Heard::Message)).into_iter().skip(1));
    }
    let have = |received| Action::Send(Said::Have(received));
    assert_eq!(told, [have(LINK_HAVE_INTERVAL), have(2 * LINK_HAVE_INTERVAL)]);
}

#[test]
fn what_is_kept_is_bounded() {
    let most = u64::try_from(LINK_KEPT_MAX).unwrap();
    // With a connection the link is no longer kept.
    let mut link = dialler();
    for number in 0..=most {
        assert_eq!(take(&mut link, Event::Say(number)), [message(number)]);
    }
    assert_eq!((link.kept(), link.is_kept()), (0, false));
    assert_eq!(take(&mut link, Event::Heard(Heard::Have(most))), []);
    assert_eq!(take(&mut link, Event::ConnectionLost), [Action::Lost]);
    // Without one it is lost.
    let mut link = dialler();
    take(&mut link, Event::ConnectionLost);
    for number in 1..most {
        assert_eq!(take(&mut link, Event::Say(number)), []);
    }
    assert_eq!(take(&mut link, Event::Say(most)), [Action::Lost]);
    // What was given up before the answer came isn't counted before it has come.
    let mut link = Link::dialled(Some(offer(9)));
    for number in 0..=most {
        take(&mut link, Event::Say(number));
    }
    take(&mut link, Event::Heard(Heard::Message));
    take(&mut link, Event::Heard(Heard::Kept(patience(1))));
    let told = (0..LINK_HAVE_INTERVAL).flat_map(|_| take(&mut link, Event::Heard(Heard::Message))).last();
    assert_eq!(told, Some(Action::Send(Said::Have(LINK_HAVE_INTERVAL))));
}

#[test]
fn the_end_of_patience_is_the_end() {
    for event in [Event::PatienceOver, Event::ConnectionClosed] {
        let mut link = dialler();
        take(&mut link, Event::ConnectionLost);
        take(&mut link, Event::Dialled);
        assert_eq!(take(&mut link, event), [Action::Lost]);
        assert_eq!(take(&mut link, Event::Heard(Heard::Resumed(0))), []);
    }
    let mut link = acceptor();
    take(&mut link, Event::ConnectionLost);
    assert_eq!(take(&mut link, Event::PatienceOver), [Action::Lost]);
}
