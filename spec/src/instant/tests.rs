//! What the two machines do, step by step; every order of steps is the models' business.

use super::*;
use crate::{
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, Peer, UserHandle},
    limits::{INSTANT_DEADLINE, INSTANTS_PER_SENDER_MAX, INSTANTS_REMEMBERED_MAX},
    machine::Machine as _,
    media_type::MediaTypes,
    message::client_client::{Content, Instant, InstantId, InstantMessage, InstantReceived},
    policy::Verdict,
    time::Timestamp,
};

fn user(index: u8) -> UserHandle {
    UserHandle { id: ObjectHandle([index; 16]), home: "a.example".parse().unwrap() }
}

fn peer(index: u8) -> Peer {
    Peer { handle: user(index), key: KeyHash([index; 32]) }
}

fn instant(id: u16) -> Instant {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    Instant {
        id: InstantId(bytes),
        content: Content(b"hi".as_slice().into()),
        media_type: "text/plain".into(),
    }
}

/// A message to user 1, and what is to be done after each step.
#[track_caller]
fn check_outgoing(steps: &[(Step, &[Errand])]) {
    let mut out = Vec::new();
    let mut outgoing = Outgoing::begin(user(1), instant(7), &mut out);
    assert_eq!(out, [Errand::Arm(INSTANT_DEADLINE), Errand::Connect { to: user(1) }]);
    for (step, expected) in steps {
        out.clear();
        outgoing.handle(step.clone(), &(), &mut out);
        assert_eq!(out, *expected, "{step:?}");
        let told = out.iter().any(|errand| matches!(errand, Errand::Tell(_)));
        assert_eq!(told && outgoing.is_ended(), told, "{step:?}");
    }
    assert!(outgoing.is_ended());
}

#[test]
fn a_sender_is_told_once_what_became_of_its_message() {
    let up = Step::LinkUp { peer: peer(1) };
    let answer = |id| Step::Received(Some(InstantMessage::Received(InstantReceived { id: instant(id).id })));
    let sent = [Errand::Send(instant(7))];
    let failed = [Errand::Tell(Outcome::Failed)];
    let given_up = [Errand::Disconnect(None), Errand::Tell(Outcome::Failed)];
    let again = [Errand::Connect { to: user(1) }];
    let wrong = [Errand::Disconnect(Some(ErrorCode::UnexpectedMessage)), Errand::Tell(Outcome::Failed)];
    check_outgoing(&[
        (up.clone(), &sent),
        (answer(7), &[Errand::Disconnect(None), Errand::Tell(Outcome::Delivered)]),
        (Step::GaveUp, &[]),
    ]);
    check_outgoing(&[(Step::LinkFailed, &failed), (up.clone(), &[])]);
    check_outgoing(&[(up.clone(), &sent), (Step::LinkClosed, &failed)]);
    check_outgoing(&[(up.clone(), &sent), (answer(8), &wrong)]);
    check_outgoing(&[(up.clone(), &sent), (Step::Received(None), &wrong), (answer(7), &[])]);
    check_outgoing(&[(Step::GaveUp, &given_up)]);
    check_outgoing(&[(up.clone(), &sent), (Step::LinkLost, &again), (up, &sent), (Step::LinkLost, &failed)]);
    let elsewhere = [Errand::Disconnect(Some(ErrorCode::CertificateRefused)), Errand::Tell(Outcome::Failed)];
    check_outgoing(&[(Step::LinkUp { peer: peer(2) }, &elsewhere)]);
}

/// What came, at a time, and what the receiver does.
#[track_caller]
fn check_inbox(inbox: &mut Inbox, at: u64, from: u8, instant: &Instant, expected: &[Receipt]) {
    let mut out = Vec::new();
    let came = Came { from: user(from), verdict: Verdict::Allow, instant: instant.clone() };
    inbox.handle(came, &Timestamp(at), &mut out);
    assert_eq!(out, expected);
}

fn shown(from: u8, instant: &Instant) -> [Receipt; 2] {
    [Receipt::Show { from: user(from), instant: instant.clone() }, Receipt::Acknowledge(instant.id)]
}

fn refused(code: ErrorCode) -> [Receipt; 1] {
    [Receipt::Refuse(code)]
}

#[test]
fn a_message_is_shown_once_while_it_is_remembered() {
    let mut inbox = Inbox::new(MediaTypes::default());
    let first = instant(1);
    check_inbox(&mut inbox, 1000, 2, &first, &shown(2, &first));
    check_inbox(&mut inbox, 1119, 2, &first, &[Receipt::Acknowledge(first.id)]);
    check_inbox(&mut inbox, 1119, 3, &first, &shown(3, &first));
    check_inbox(&mut inbox, 1120, 2, &first, &shown(2, &first));
}

#[test]
fn the_checks_come_in_their_order() {
    let mut inbox = Inbox::new(MediaTypes::default());
    let mut out = Vec::new();
    let long = Instant { content: Content(vec![b'a'; 16_385].into()), ..instant(1) };
    let came = Came { from: user(2), verdict: Verdict::Deny, instant: long.clone() };
    inbox.handle(came, &Timestamp(1000), &mut out);
    assert_eq!(out, refused(ErrorCode::Unavailable));
    check_inbox(&mut inbox, 1000, 2, &long, &refused(ErrorCode::LimitReached));
    let image = Instant { media_type: "image/png".into(), ..instant(1) };
    check_inbox(&mut inbox, 1000, 2, &image, &refused(ErrorCode::MediaType));
    let mut taking = Inbox::new(vec!["image/png".parse().unwrap()].try_into().unwrap());
    check_inbox(&mut taking, 1000, 2, &image, &shown(2, &image));
}

#[test]
fn what_is_remembered_is_bounded_and_never_forgotten_early() {
    let mut inbox = Inbox::new(MediaTypes::default());
    let per_sender = u16::try_from(INSTANTS_PER_SENDER_MAX).unwrap();
    let senders = u8::try_from(INSTANTS_REMEMBERED_MAX / INSTANTS_PER_SENDER_MAX).unwrap();
    for id in 0..per_sender {
        check_inbox(&mut inbox, 1000, 2, &instant(id), &shown(2, &instant(id)));
    }
    let one_more = instant(100);
    check_inbox(&mut inbox, 1119, 2, &one_more, &refused(ErrorCode::LimitReached));
    check_inbox(&mut inbox, 1119, 2, &instant(0), &[Receipt::Acknowledge(instant(0).id)]);
    for from in 3..2 + senders {
        for id in 0..per_sender {
            check_inbox(&mut inbox, 1000, from, &instant(id), &shown(from, &instant(id)));
        }
    }
    check_inbox(&mut inbox, 1119, 200, &one_more, &refused(ErrorCode::Unavailable));
    check_inbox(&mut inbox, 1120, 2, &one_more, &shown(2, &one_more));
}
