//! What is said, held, late, acknowledged, and what nobody may say.

use super::*;

pub(super) fn cases(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (_, epoch) = joined()?;
    let later = |by: u64, body: SessionBody| SessionMessage {
        epoch: EpochNumber(epoch.number.0 + by),
        chain: EpochHash([1; 32]),
        ..in_epoch(&epoch, body)
    };
    let earlier =
        SessionMessage { epoch: EpochNumber(epoch.number.0 - 1), ..in_epoch(&epoch, message(1, "late")) };
    let content = |length: usize, media_type: &str| {
        SessionBody::Message(Message {
            number: 1,
            content: Content(vec![b'a'; length].into()),
            media_type: media_type.into(),
        })
    };
    let media_type = format!("text/plain; a={}", "a".repeat(241));
    let long_media_type = format!("text/plain; a={}", "a".repeat(242));
    for (slug, requirement, about, said) in [
        (
            "message",
            "SESS-108",
            "two messages in order",
            vec![in_epoch(&epoch, message(1, "a")), in_epoch(&epoch, message(2, "b"))],
        ),
        (
            "message-again",
            "SESS-109",
            "a message a second time",
            vec![in_epoch(&epoch, message(1, "a")), in_epoch(&epoch, message(1, "a"))],
        ),
        ("message-skipped", "SESS-110", "a message is missing", vec![in_epoch(&epoch, message(2, "b"))]),
        ("message-late", "SESS-020", "a message of the epoch before", vec![earlier.clone()]),
        (
            "message-of-fork-before",
            "SESS-195",
            "a message of the epoch before, with another hash than that one had",
            vec![SessionMessage { chain: EpochHash([1; 32]), ..earlier }],
        ),
        ("message-early", "SESS-017", "a message of the epoch to come", vec![later(1, message(1, "early"))]),
        (
            "message-impossible",
            "SESS-019",
            "a message of the epoch after the next",
            vec![later(2, message(1, "never"))],
        ),
        (
            "message-of-fork",
            "SESS-023",
            "a message with another hash",
            vec![SessionMessage { chain: EpochHash([1; 32]), ..in_epoch(&epoch, message(1, "fork")) }],
        ),
        (
            "message-longest",
            "LIM-001",
            "a message of 16384 bytes, with a media type of 255",
            vec![in_epoch(&epoch, content(16_384, &media_type))],
        ),
        (
            "message-too-long",
            "SESS-113",
            "a message of 16385 bytes",
            vec![in_epoch(&epoch, content(16_385, "text/plain"))],
        ),
        (
            "media-type-too-long",
            "SESS-113",
            "a media type of 256 bytes",
            vec![in_epoch(&epoch, content(1, &long_media_type))],
        ),
        (
            "received-for-nothing",
            "SESS-170",
            "an acknowledgement of nothing",
            vec![in_epoch(&epoch, SessionBody::Received(Received { number: 1 }))],
        ),
        (
            "token-request-at-member",
            "SESS-044",
            "a token request to a member",
            vec![in_epoch(
                &epoch,
                SessionBody::TokenRequest(TokenRequest {
                    change: Change::Leave(handle_of(3)?),
                    number: RequestNumber(1),
                }),
            )],
        ),
    ] {
        let (mut trace, _) = joined()?;
        for message in said {
            trace.received(3, PeerMessage::Session(message))?;
        }
        let requirements = if slug == "message" { &[requirement, "SESS-111"][..] } else { &[requirement] };
        cases.push(trace.done(slug, requirements, about)?);
    }
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    trace.say("again")?;
    trace.said(3, &epoch, SessionBody::Received(Received { number: 2 }))?;
    trace.said(1, &epoch, SessionBody::Received(Received { number: 1 }))?;
    cases.push(trace.done(
        "says",
        &["SESS-107", "SESS-015", "SESS-115"],
        "what the user says goes to all members, numbered from 1",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.said(4, &epoch, message(1, "let me in"))?;
    cases.push(trace.done("message-of-stranger", &["SESS-016"], "somebody who is no member speaks")?);
    let (mut trace, epoch) = joined()?;
    trace.received(
        3,
        PeerMessage::Session(SessionMessage {
            session: SessionId([1; 32]),
            ..in_epoch(&epoch, message(1, "elsewhere"))
        }),
    )?;
    cases.push(trace.done("message-of-other-session", &["SESS-012"], "a message of another session")?);
    flush(cases)
}

/// An epoch ends when all that was said in it has come.
fn flush(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    let close = Close { grant: grant(&epoch, hand_over.clone(), 3, 1, |_| {})?, change: hand_over.clone() };
    trace.said(1, &epoch, SessionBody::Close(close))?;
    let after = next(&epoch, hand_over)?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 0), (3, 1)])?)?;
    trace.said(3, &epoch, message(1, "the last word"))?;
    cases.push(trace.done(
        "waits-for-messages",
        &["SESS-092", "SESS-013"],
        "the next epoch begins when the last message of the old one has come",
    )?);
    held(cases)
}

/// Messages of the epoch to come.
fn held(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    let hand_over = Change::HandOver(handle_of(3)?);
    let after = next(&epoch, hand_over.clone())?;
    trace.said(3, &after, message(1, "early"))?;
    trace.said(3, &after, message(2, "and more"))?;
    trace.shows("")?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.said(1, &epoch, commit(&after, &SILENCE)?)?;
    trace.shows("user epoch 3, user message 1 of 3, 3 received, user message 2 of 3, 3 received")?;
    cases.push(trace.done(
        "held-until-epoch-begins",
        &["SESS-017", "SESS-111"],
        "messages of the epoch to come are delivered, in their order, when it begins",
    )?);
    let (mut trace, epoch) = joined()?;
    let after = next(&epoch, hand_over.clone())?;
    trace.received(
        3,
        PeerMessage::Session(SessionMessage {
            chain: EpochHash([1; 32]),
            ..in_epoch(&after, message(1, "fork"))
        }),
    )?;
    trace.shows("")?;
    trace.change(&epoch, &hand_over, 3, &SILENCE)?;
    trace.shows("user epoch 3, user fork 3, 3 close fork, user member-lost 3, 1 follow")?;
    cases.push(trace.done(
        "held-message-of-fork",
        &["SESS-023", "SESS-157"],
        "a held message turns out to be of another chain when its epoch begins",
    )?);
    let (mut trace, epoch) = joined()?;
    let after = next(&epoch, hand_over.clone())?;
    for count in 1..=105 {
        trace.said(3, &after, message(count, "early"))?;
        trace.shows("")?;
    }
    trace.said(3, &after, message(106, "early"))?;
    trace.shows("3 close limit-reached, user member-lost 3")?;
    cases.push(trace.done(
        "holds-105-messages",
        &["SESS-018"],
        "a 73rd message comes for the epoch to come",
    )?);
    acknowledgements(cases)
}

fn acknowledgements(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = Change::HandOver(handle_of(3)?);
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    trace.shows("1+3 message, user sent 1")?;
    trace.said(1, &epoch, close(&epoch, &hand_over, 3)?)?;
    trace.shows("1 closed")?;
    trace.say("held back")?;
    trace.shows("user pending #2")?;
    let after = next(&epoch, hand_over)?;
    trace.said(1, &epoch, commit(&after, &[(1, 0), (2, 1), (3, 0)])?)?;
    trace.shows("user epoch 3, 1+3 message, user sent 1")?;
    trace.said(3, &epoch, received(1))?;
    trace.shows("user delivered 1 of epoch 2 to 3")?;
    trace.said(3, &after, received(1))?;
    trace.shows("user delivered 1 of epoch 3 to 3")?;
    cases.push(trace.done(
        "received-of-epoch-that-is-over",
        &["SESS-021", "SESS-088", "SESS-107"],
        "an acknowledgement comes when the epoch of the message is over; numbers begin anew",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.say("one")?;
    trace.say("two")?;
    trace.say("three")?;
    trace.said(3, &epoch, received(2))?;
    trace.shows("user delivered 1 of epoch 2 to 3, user delivered 2 of epoch 2 to 3")?;
    trace.said(3, &epoch, received(1))?;
    trace.shows("3 late")?;
    trace.said(3, &epoch, received(3))?;
    trace.shows("user delivered 3 of epoch 2 to 3")?;
    cases.push(trace.done(
        "acknowledged",
        &["SESS-171", "SESS-172"],
        "a member has two messages, and then the third; the user is told",
    )?);
    let (mut trace, epoch) = joined()?;
    for count in 1..=64 {
        trace.say("hello")?;
        trace.shows(&format!("1+3 message, user sent {count}"))?;
    }
    trace.say("one too many")?;
    trace.shows("user pending #65")?;
    trace.said(1, &epoch, received(64))?;
    trace.shows(&for_each(64, |count| format!("user delivered {count} of epoch 2 to 1")))?;
    trace.said(3, &epoch, received(1))?;
    trace.shows("user delivered 1 of epoch 2 to 3, 1+3 message, user sent 65")?;
    cases.push(trace.done(
        "window-of-64-messages",
        &["SESS-114"],
        "a 65th message waits until every member has the first",
    )?);
    let (mut trace, _) = joined()?;
    for _ in 1..=64 {
        trace.say("hello")?;
    }
    trace.say("one too many")?;
    trace.shows("user pending #65")?;
    trace.link_lost(3)?;
    trace.shows(&format!(
        "user member-lost 3, {}",
        for_each(64, |count| format!("user failed #{count} to 3"))
    ))?;
    cases.push(trace.done(
        "window-with-lost-member",
        &["SESS-114"],
        "messages wait for members whose links stand",
    )?);
    outcomes(cases)?;
    late(cases)
}

/// Words for each of the first messages.
fn for_each(count: u64, words: impl Fn(u64) -> String) -> String {
    (1..=count).map(words).collect::<Vec<_>>().join(", ")
}

/// What becomes of a message when not everybody is there to acknowledge it.
fn outcomes(cases: &mut Vec<VectorCase>) -> Made<()> {
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    trace.said(1, &epoch, received(1))?;
    trace.shows("user delivered 1 of epoch 2 to 1")?;
    trace.link_lost(3)?;
    trace.shows("user member-lost 3, user failed #1 to 3")?;
    trace.say("who is left?")?;
    trace.shows("1 message, user sent 2, user failed #2 to 3")?;
    trace.said(1, &epoch, received(2))?;
    trace.shows("user delivered 2 of epoch 2 to 1")?;
    cases.push(trace.done(
        "failed-to-lost-member",
        &["SESS-172", "SESS-171"],
        "a member is lost before it acknowledges one message, and before another is sent",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    let leave = Change::Leave(handle_of(3)?);
    trace.said(1, &epoch, close(&epoch, &leave, 3)?)?;
    trace.said(1, &epoch, received(1))?;
    trace.said(1, &epoch, commit(&next(&epoch, leave)?, &[(1, 0), (2, 1), (3, 0)])?)?;
    trace.shows("user epoch 3, 3 goodbye, user failed #1 to 3")?;
    cases.push(trace.done(
        "failed-to-leaver",
        &["SESS-172"],
        "a member leaves, and its last acknowledgement hasn't come",
    )?);
    let (mut trace, epoch) = joined()?;
    let leave = Change::Leave(trace.me.handle.clone());
    trace.say("hello")?;
    trace.said(3, &epoch, received(1))?;
    trace.leave()?;
    trace.said(1, &epoch, close(&epoch, &leave, 2)?)?;
    trace.say("never sent")?;
    trace.shows("user pending #2")?;
    trace.said(1, &epoch, commit(&next(&epoch, leave)?, &[(1, 0), (2, 1), (3, 0)])?)?;
    trace.shows("user failed #1 to 1, user unsent #2, user ended")?;
    cases.push(trace.done(
        "unsettled-when-session-ends",
        &["SESS-173", "SESS-172"],
        "the session ends: one message isn't acknowledged by all, another wasn't sent",
    )?);
    unsent(cases)?;
    media_types(cases)
}

/// Acknowledgements of what was not said.
fn unsent(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = Change::HandOver(handle_of(3)?);
    for (slug, number, about) in [
        ("received-of-nothing", 0, "an acknowledgement comes of a message with the number 0"),
        ("received-too-many", 2, "an acknowledgement comes of two messages, and one was sent"),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.say("hello")?;
        trace.said(3, &epoch, received(number))?;
        trace.shows("3 close unexpected-message, user member-lost 3, user failed #1 to 3")?;
        cases.push(trace.done(slug, &["SESS-170"], about)?);
    }
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    trace.change(&epoch, &hand_over, 3, &[(1, 0), (2, 1), (3, 0)])?;
    trace.said(1, &epoch, received(2))?;
    trace.shows("1 close unexpected-message, user member-lost 1, user failed #1 to 1")?;
    cases.push(trace.done(
        "received-too-many-of-epoch-before",
        &["SESS-170", "SESS-021"],
        "an acknowledgement comes of a second message of the epoch before, in which one was sent",
    )?);
    let (mut trace, epoch) = joined()?;
    trace.say("hello")?;
    let after = trace.change(&epoch, &hand_over, 3, &[(1, 0), (2, 1), (3, 0)])?;
    trace.said(1, &after, received(1))?;
    trace.shows("1 close unexpected-message, user member-lost 1, user failed #1 to 1")?;
    cases.push(trace.done(
        "received-in-wrong-epoch",
        &["SESS-170"],
        "an acknowledgement comes of a message of the epoch before, as if it were one of this epoch",
    )?);
    Ok(())
}

/// Messages of other types than plain text. Person 3 takes PNG images; persons 1 and 2 take messages of several parts, too.
fn media_types(cases: &mut Vec<VectorCase>) -> Made<()> {
    let content = |number: u64, media_type: &str, content: &[u8]| {
        SessionBody::Message(Message {
            number,
            content: Content(content.into()),
            media_type: media_type.into(),
        })
    };
    let (mut trace, epoch) = joined()?;
    trace.said(3, &epoch, content(1, "image/png", b"\x89PNG"))?;
    trace.shows("user message 1 of 3, 3 received")?;
    trace.said(1, &epoch, content(1, "Multipart/Mixed; boundary=\"a;b\"", b"--a;b--"))?;
    trace.shows("user message 1 of 1, 1 received")?;
    trace.said(3, &epoch, content(2, "text/plain;charset=utf-8", b"and this"))?;
    trace.shows("user message 2 of 3, 3 received")?;
    cases.push(trace.done(
        "media-types-taken",
        &["SESS-176", "SESS-108"],
        "content of media types that the member lists, whatever their parameters and capitals",
    )?);
    for (slug, about, media_type, bytes) in [
        ("media-type-not-taken", "content of a media type that the member doesn't list", "text/html", b"a"),
        ("media-type-without-form", "content of a media type that is none", "image", b"a"),
        ("plain-text-not-in-utf-8", "plain text that isn't UTF-8", "text/plain", b"\xff"),
    ] {
        let (mut trace, epoch) = joined()?;
        trace.said(3, &epoch, content(1, media_type, bytes))?;
        trace.shows("3 close media-type, user member-lost 3")?;
        cases.push(trace.done(slug, &["SESS-176"], about)?);
    }
    let (mut trace, epoch) = joined()?;
    trace.say_content("image/png", b"\x89PNG")?;
    trace.shows("1+3 message, user sent 1")?;
    for (media_type, bytes) in [("multipart/mixed; boundary=a", b"--a--".as_slice()), ("text/plain", b"\xff")]
    {
        trace.say_content(media_type, bytes)?;
        trace.shows("user not-possible")?;
    }
    trace.say("then in words")?;
    trace.shows("1+3 message, user sent 2")?;
    trace.change(&epoch, &Change::Leave(handle_of(3)?), 3, &[(1, 0), (2, 2), (3, 0)])?;
    trace.say_content("multipart/mixed; boundary=a", b"--a--")?;
    trace.shows("1 message, user sent 1")?;
    cases.push(trace.done(
        "sends-what-all-take",
        &["SESS-175", "SESS-115"],
        "the user says what all others take, what one of them doesn't take, and that again when this one has left",
    )?);
    let (mut trace, epoch) = joined()?;
    let join = Change::Join(member(4)?);
    trace.said(4, &epoch, SessionBody::Admit(Admit { ticket: ticket(&epoch, &member(4)?, 1, 1)? }))?;
    trace.said(1, &epoch, close(&epoch, &join, 1)?)?;
    trace.say_content("image/png", b"\x89PNG")?;
    trace.say("in words")?;
    trace.said(1, &epoch, commit(&next(&epoch, join)?, &SILENCE)?)?;
    trace.shows("user epoch 3, user unsent #1, 1+3+4 message, user sent 1")?;
    cases.push(trace.done(
        "newcomer-takes-less",
        &["SESS-177", "SESS-175"],
        "somebody joins who doesn't take what has waited for the epoch to begin",
    )?);
    Ok(())
}

/// Everything that a member ignores when its epoch is over.
fn late(cases: &mut Vec<VectorCase>) -> Made<()> {
    let hand_over = Change::HandOver(handle_of(3)?);
    let (mut trace, epoch) = joined()?;
    let after = trace.change(&epoch, &hand_over, 3, &SILENCE)?;
    let refused = TokenRefused { code: ErrorCode::SessionFull, number: RequestNumber(1) };
    for body in [
        request(1, Change::Leave(handle_of(1)?)),
        SessionBody::TokenRefused(refused),
        token_grant(1, grant(&epoch, Change::Join(member(4)?), 2, 1, |_| {})?),
        SessionBody::TokenReturn(TokenReturn {}),
        SessionBody::Admitted(Admitted {}),
        SessionBody::Complete(Complete {}),
        SessionBody::HandOver(HandOver {}),
        SessionBody::HandOverAnswer(HandOverAnswer { accepted: true }),
        close(&epoch, &hand_over, 3)?,
        SessionBody::Closed(Closed { sent: 0 }),
        commit(&after, &SILENCE)?,
    ] {
        trace.said(1, &epoch, body)?;
        trace.shows("1 late")?;
    }
    trace.said(1, &after, message(1, "and here"))?;
    trace.shows("user message 1 of 1, 1 received")?;
    cases.push(trace.done(
        "late-messages",
        &["SESS-020", "SESS-025"],
        "everything that a member can say comes too late, and the link goes on",
    )?);
    let (mut trace, _) = joined()?;
    for _ in 0..64 + 256 {
        trace.say("a")?;
    }
    trace.shows("user pending #320")?;
    trace.say("a")?;
    trace.shows("user not-possible")?;
    cases.push(trace.done(
        "outbox-of-256-messages",
        &["LIM-001", "SESS-114"],
        "the user says more than can wait",
    )?);
    let (mut trace, _) = joined()?;
    for whom in 50..82 {
        trace.invite(whom)?;
        trace.shows(&format!("{whom} dial"))?;
    }
    trace.invite(82)?;
    trace.shows("user invitation-failed 82")?;
    cases.push(trace.done(
        "invites-32",
        &["LIM-001"],
        "the user invites a 33rd while 32 have not answered",
    )?);
    Ok(())
}
