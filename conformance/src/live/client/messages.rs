//! A client in a conversation: what it says, what it hears, and what it takes from nobody.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::*,
    session::{Change, Epoch, EpochNumber, SessionId},
};
use serde_json::json;

use super::{
    chain::{content, forked, in_epoch, message, received, request},
    line::Link,
    live_cases,
    scene::{Chair, Room},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "messages/heard" ["SESS-108", "SESS-111"]
        "a member's messages are told in order and acknowledged" => heard;
    "messages/said" ["SESS-107", "SESS-115", "SESS-015"]
        "what the user says goes to all members, numbered from 1" => said;
    "messages/acknowledged" ["SESS-171", "SESS-172"]
        "the user learns which members have a message" => acknowledged;
    "messages/failed" ["SESS-172", "SESS-173"] twin "messages/acknowledged"
        "the user learns which members never acknowledged a message, and that another was sent to nobody" => failed;
    "messages/late-acknowledgement" ["SESS-021"]
        "an acknowledgement comes for a message of an epoch that is over" => late_acknowledgement;
    "messages/acknowledged-again" ["SESS-025"]
        "an acknowledgement comes a second time" => acknowledged_again;
    "messages/acknowledgement-of-nothing" ["SESS-170"] twin "messages/acknowledged"
        "an acknowledgement comes of a message that was not said" => |world| refused(world, ErrorCode::UnexpectedMessage, |epoch| in_epoch(epoch, received(7)));
    "messages/window" ["SESS-114", "LIM-001"]
        "the user says 66 messages that nobody acknowledges at first" => window;
    "messages/again" ["SESS-109"] twin "messages/heard"
        "a message comes a second time" => again;
    "messages/skipped" ["SESS-110"] twin "messages/heard"
        "a message is missing" => |world| refused(world, ErrorCode::UnexpectedMessage, |epoch| in_epoch(epoch, message(2, "two")));
    "messages/late" ["SESS-020", "SESS-025"] twin "messages/heard"
        "a message comes for the epoch before" => late;
    "messages/early" ["SESS-017"]
        "two messages come for the next epoch, and are told in their order when it begins" => early;
    "messages/too-early" ["SESS-019"] twin "messages/early"
        "a message comes for the epoch after the next" => |world| refused(world, ErrorCode::EpochImpossible, |epoch| {
            SessionMessage { epoch: EpochNumber(epoch.number.0 + 2), ..in_epoch(epoch, message(1, "never")) }
        });
    "messages/fork" ["SESS-023"] twin "messages/heard"
        "a message comes with another hash" => |world| refused(world, ErrorCode::Fork, |epoch| forked(epoch, message(1, "fork")));
    "messages/of-other-session" ["SESS-012"] twin "messages/heard"
        "a message of another session comes" => |world| refused(world, ErrorCode::NoSuchSession, |epoch| {
            SessionMessage { session: SessionId([1; 32]), ..in_epoch(epoch, message(1, "elsewhere")) }
        });
    "messages/longest" ["LIM-001", "SESS-113"]
        "a message of 16384 bytes with a media type of 255" => longest;
    "messages/too-long" ["SESS-113"] twin "messages/longest"
        "a message of 16385 bytes" => |world| refused(world, ErrorCode::LimitReached, |epoch| {
            in_epoch(epoch, content(1, &[b'a'; 16_385], "text/plain"))
        });
    "messages/media-type-too-long" ["SESS-113"] twin "messages/longest"
        "a media type of 256 bytes" => |world| refused(world, ErrorCode::LimitReached, |epoch| {
            in_epoch(epoch, content(1, b"a", &media_type(256)))
        });
    "messages/not-taken" ["SESS-176"] twin "messages/heard"
        "a message of a media type that the client doesn't list" => |world| refused(world, ErrorCode::MediaType, |epoch| {
            in_epoch(epoch, content(1, b"never", "application/x-antiphon-no-such-type"))
        });
    "messages/plain-text-not-in-utf-8" ["SESS-176", "SESS-115"] twin "messages/heard"
        "plain text that isn't UTF-8" => |world| refused(world, ErrorCode::MediaType, |epoch| {
            in_epoch(epoch, content(1, b"\xff", "text/plain"))
        });
    "messages/sends-what-all-take" ["SESS-175"]
        "the user sends an image to somebody who takes it, and something else to one who doesn't" => sends_what_all_take;
    "messages/of-stranger" ["SESS-016"] twin "messages/heard"
        "somebody who is no member speaks" => of_stranger;
    "messages/of-newcomer" ["SESS-112"] twin "messages/heard"
        "a newcomer that is admitted speaks before it is a member" => of_newcomer;
    "messages/held-to-the-bound" ["SESS-018", "SESS-017", "LIM-001"]
        "a member says 105 messages of the next epoch" => held_to_the_bound;
    "messages/held-beyond-the-bound" ["SESS-018"] twin "messages/held-to-the-bound"
        "a member says 106 messages of the next epoch" => held_beyond_the_bound;
    "messages/sender-of-held-is-lost" ["SESS-123", "SESS-122"]
        "a member is refused, and the session goes on with the coordinator" => goes_on_without;
};

/// A media type for plain text, so long.
fn media_type(length: usize) -> String {
    format!("text/plain; a={}", "a".repeat(length - 14))
}

async fn heard(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.goes_on(1).await?;
    room.goes_on(2).await?;
    room.to_a.say(&room.epoch, message(1, "and I")).await?;
    room.scene.client.hears(&room.scene.a.handle, "and I").await?;
    room.to_a.hears(&room.epoch, received(1)).await
}

async fn said(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    for (number, text) in [(1, "hello"), (2, "g\u{fc}nther \u{1f600}"), (3, "")] {
        room.scene.client.say(room.epoch.session, text).await?;
        for link in [&mut room.to_a, &mut room.to_b] {
            link.hears(&room.epoch, message(number, text)).await?;
        }
    }
    Ok(())
}

/// The client has said something, which both members have heard.
async fn says(room: &mut Room, number: u64, text: &str) -> Result<(), Failure> {
    room.scene.client.say(room.epoch.session, text).await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        link.hears(&room.epoch, message(number, text)).await?;
    }
    Ok(())
}

async fn acknowledged(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    says(&mut room, 1, "hello").await?;
    says(&mut room, 2, "again").await?;
    room.to_b.say(&room.epoch, received(2)).await?;
    for number in [1, 2] {
        room.scene.client.tells("delivered", json!({"to": room.scene.b.handle, "number": number})).await?;
    }
    room.to_a.say(&room.epoch, received(1)).await?;
    room.scene.client.tells("delivered", json!({"to": room.scene.a.handle, "number": 1})).await
}

async fn late_acknowledgement(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    says(&mut room, 1, "hello").await?;
    let (before, b) = (room.epoch.clone(), room.scene.b.handle.clone());
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 1).await?;
    room.commit(&change, [0, 1, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.to_b.say(&before, received(1)).await?;
    room.scene.client.tells("delivered", json!({"to": b, "number": 1})).await
}

/// The user leaves; one message is not acknowledged by all then, and another is said after the epoch was closed.
async fn failed(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let session = room.epoch.session;
    let sent = room.scene.client.say(session, "hello").await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        link.hears(&room.epoch, message(1, "hello")).await?;
    }
    room.to_b.say(&room.epoch, received(1)).await?;
    let (a, b) = (room.scene.a.handle.clone(), room.scene.b.handle.clone());
    room.scene.client.tells("delivered", json!({"message": sent, "to": b})).await?;
    room.scene.client.take("leave", session).await?;
    let me = room.me.handle.clone();
    let leave = Change::Leave(me.clone());
    room.to_a.hears(&room.epoch, request(1, leave.clone())).await?;
    room.close(&leave, &me, 1).await?;
    let unsent = room.scene.client.say(session, "too late").await?;
    room.commit(&leave, [0, 1, 0]).await?;
    room.scene.client.tells("failed", json!({"message": sent, "to": a})).await?;
    room.scene.client.tells("unsent", json!({"message": unsent})).await?;
    room.scene.client.tells("ended", json!({"session": hex::encode(session.0)})).await
}

async fn acknowledged_again(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    says(&mut room, 1, "hello").await?;
    for _ in 0..2 {
        room.to_b.say(&room.epoch, received(1)).await?;
    }
    room.scene.client.tells("delivered", json!({"to": room.scene.b.handle, "number": 1})).await?;
    room.goes_on(1).await?;
    room.scene.client.has_not_told("delivered").await
}

async fn window(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let session = room.epoch.session;
    for number in 1..=66 {
        room.scene.client.say(session, &number.to_string()).await?;
    }
    for link in [&mut room.to_a, &mut room.to_b] {
        for number in 1..=64u64 {
            link.hears(&room.epoch, message(number, &number.to_string())).await?;
        }
        // The 65th would have come before the pong.
        link.alive().await?;
    }
    room.to_b.say(&room.epoch, received(64)).await?;
    room.to_b.alive().await?;
    room.to_a.say(&room.epoch, received(1)).await?;
    room.to_a.hears(&room.epoch, message(65, "65")).await?;
    room.to_a.alive().await?;
    room.to_a.say(&room.epoch, received(64)).await?;
    room.to_a.hears(&room.epoch, message(66, "66")).await
}

async fn again(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.goes_on(1).await?;
    room.to_b.say(&room.epoch, message(1, "message 1")).await?;
    room.goes_on(2).await?;
    room.scene.client.has_not_told("message").await
}

/// Person b says something for which its link closes with this code; the user hears nothing of it.
async fn refused(
    world: Arc<World>,
    code: ErrorCode,
    said: fn(&Epoch) -> SessionMessage,
) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b.say_as_is(said(&room.epoch)).await?;
    room.to_b.refused(code).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.scene.client.has_not_told("message").await?;
    a_is_heard(&mut room.to_a, &room.epoch).await
}

async fn a_is_heard(to_a: &mut Link, epoch: &Epoch) -> Result<(), Failure> {
    to_a.say(epoch, message(1, "still here")).await?;
    to_a.hears(epoch, received(1)).await
}

/// An epoch later, at the hands of the same coordinator.
async fn next_epoch(room: &mut Room) -> Result<Epoch, Failure> {
    next_epoch_with(room, [0, 0, 0]).await
}

/// The epoch ends for nothing, and so much was said in it by each.
async fn next_epoch_with(room: &mut Room, sent: [u64; 3]) -> Result<Epoch, Failure> {
    let before = room.epoch.clone();
    let void = Change::Void(room.scene.c.handle.clone());
    let join = Change::Join(room.scene.c.member());
    let grant = super::chain::grant(&before, join, &room.scene.a.handle, &room.scene.a)?;
    room.to_a.say(&before, SessionBody::Close(Close { grant, change: void.clone() })).await?;
    room.to_a.hears(&before, super::chain::closed(0)).await?;
    room.commit(&void, sent).await?;
    room.scene.client.begins(&room.epoch).await?;
    Ok(before)
}

async fn late(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.goes_on(1).await?;
    let before = next_epoch_with(&mut room, [0, 0, 1]).await?;
    room.to_b.say(&before, message(1, "late")).await?;
    room.to_b.say(&before, request(1, Change::Leave(room.scene.b.handle.clone()))).await?;
    room.goes_on(1).await?;
    room.scene.client.has_not_told("message").await
}

async fn early(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let void = Change::Void(room.scene.c.handle.clone());
    let after = super::chain::next(&room.epoch, void)?;
    room.to_b.say(&after, message(1, "first")).await?;
    room.to_b.say(&after, message(2, "second")).await?;
    room.to_b.alive().await?;
    room.scene.client.has_not_told("message").await?;
    next_epoch(&mut room).await?;
    for (number, text) in [(1, "first"), (2, "second")] {
        room.scene.client.hears(&room.scene.b.handle, text).await?;
        room.to_b.hears(&room.epoch, received(number)).await?;
    }
    room.goes_on(3).await
}

async fn longest(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b.say(&room.epoch, content(1, &[b'a'; 16_384], &media_type(255))).await?;
    room.to_b.hears(&room.epoch, received(1)).await?;
    room.scene.client.tells("message", json!({"from": room.scene.b.handle})).await
}

async fn sends_what_all_take(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a) = Chair::inviting(&world).await?;
    chair.scene.a.accepts =
        vec!["image/png".parse().map_err(Failure::harness)?].try_into().map_err(Failure::harness)?;
    let newcomer = chair.scene.a.member();
    chair.join(&mut to_a, &newcomer).await?;
    to_a.say(&chair.epoch, SessionBody::Complete(Complete {})).await?;
    let after = super::chain::next(&chair.epoch, Change::Join(newcomer))?;
    to_a.hears_commit(&chair.epoch, &after, &[(&chair.me.handle, 0)]).await?;
    chair.scene.client.begins(&after).await?;
    let send = |media_type: &str| {
        let session = hex::encode(chair.session.0);
        json!({"command": "send-content", "session": session, "media-type": media_type, "content": "89504e47"})
    };
    let (gif, png) = (send("image/gif"), send("image/png"));
    chair.scene.client.done(gif, "refused").await?;
    chair.scene.client.done(png, "taken").await?;
    to_a.hears(&after, content(1, b"\x89PNG", "image/png")).await
}

async fn of_stranger(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut to_c = room.scene.dial(&room.scene.c).await?;
    to_c.say(&room.epoch, message(1, "let me in")).await?;
    to_c.refused(ErrorCode::Forbidden).await?;
    room.scene.client.has_not_told("message").await?;
    room.goes_on(1).await
}

async fn of_newcomer(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let ticket = super::chain::ticket(&room.epoch, &room.scene.c.member(), &room.scene.a, &room.scene.a)?;
    let mut to_c = room.scene.dial(&room.scene.c).await?;
    to_c.say(&room.epoch, super::chain::admit(ticket)).await?;
    to_c.hears(&room.epoch, SessionBody::Admitted(Admitted {})).await?;
    to_c.say(&room.epoch, message(1, "too soon")).await?;
    to_c.refused(ErrorCode::Forbidden).await?;
    room.goes_on(1).await?;
    room.scene.client.has_not_told("message").await
}

async fn held_to_the_bound(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let after = super::chain::next(&room.epoch, Change::Void(room.scene.c.handle.clone()))?;
    for number in 1..=105u64 {
        room.to_b.say(&after, message(number, &number.to_string())).await?;
    }
    room.to_b.alive().await?;
    next_epoch(&mut room).await?;
    for number in 1..=105u64 {
        room.scene.client.hears(&room.scene.b.handle, &number.to_string()).await?;
        room.to_b.hears(&room.epoch, received(number)).await?;
    }
    Ok(())
}

async fn held_beyond_the_bound(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let after = super::chain::next(&room.epoch, Change::Void(room.scene.c.handle.clone()))?;
    for number in 1..=106u64 {
        room.to_b.say(&after, message(number, &number.to_string())).await?;
    }
    room.to_b.refused(ErrorCode::LimitReached).await?;
    a_is_heard(&mut room.to_a, &room.epoch).await
}

async fn goes_on_without(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let after = super::chain::next(&room.epoch, Change::Void(room.scene.c.handle.clone()))?;
    room.to_b.say(&after, message(1, "of a member that is lost by then")).await?;
    room.to_b.alive().await?;
    room.to_b.say_as_is(forked(&room.epoch, message(1, "fork"))).await?;
    room.to_b.refused(ErrorCode::Fork).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    a_is_heard(&mut room.to_a, &room.epoch).await?;
    room.scene.client.event("message").await?;
    room.scene.client.has_not_told("message").await
}
