//! Instant messages: a client that receives them, and one that sends them.

use std::{sync::Arc, time::Duration};

use antiphon_spec::{
    error_code::ErrorCode,
    message::{client_client::*, client_server::ToServer},
    policy::{HandleSet, Preferences, Verdict},
};
use serde_json::{Value, json};

use super::{
    chain::request,
    line::Link,
    live_cases,
    realm::{Person, Realm},
    scene::{A, Room, Scene},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "instants/received" ["INST-010", "INST-007"]
        "a message is told, answered with its ID, and the link is closed" => received_one;
    "instants/again" ["INST-011"] twin "instants/received"
        "a message comes a second time, and one of the same ID from somebody else" => again;
    "instants/longest" ["LIM-001", "INST-008"] twin "instants/received"
        "a message of 16384 bytes with a media type of 255" => |world| answered(world, Instant {
            content: Content(vec![b'a'; 16_384].into()),
            media_type: format!("text/plain; a={}", "a".repeat(241)).into(),
            ..instant(1, "")
        });
    "instants/too-long" ["INST-008"] twin "instants/longest"
        "a message of 16385 bytes" => |world| refused(world, ErrorCode::LimitReached, Instant {
            content: Content(vec![b'a'; 16_385].into()),
            ..instant(1, "")
        });
    "instants/media-type-too-long" ["INST-008"] twin "instants/longest"
        "a media type of 256 bytes" => |world| refused(world, ErrorCode::LimitReached, Instant {
            media_type: format!("text/plain; a={}", "a".repeat(242)).into(),
            ..instant(1, "")
        });
    "instants/not-taken" ["INST-009"] twin "instants/received"
        "a message of a media type that the client doesn't list" => |world| refused(world, ErrorCode::MediaType, Instant {
            media_type: "application/x-antiphon-no-such-type".into(),
            ..instant(1, "never")
        });
    "instants/plain-text-not-in-utf-8" ["INST-009"] twin "instants/received"
        "plain text that isn't UTF-8" => |world| refused(world, ErrorCode::MediaType, Instant {
            content: Content(b"\xff".as_slice().into()),
            ..instant(1, "")
        });
    "instants/denied" ["INST-006", "INST-007"] twin "instants/received"
        "the user's preferences deny the sender, whatever is sent" => denied;
    "instants/not-logged-in" ["INST-006"] twin "instants/received"
        "the user isn't logged in" => not_logged_in;
    "instants/too-many" ["INST-012", "LIM-001"] twin "instants/received"
        "a 17th message of one sender comes; others are heard, and the first one is known" => too_many;
    "instants/answer-first" ["INST-017"] twin "instants/received"
        "a link begins with an answer" => answer_first;
    "instants/on-link-of-session" ["INST-017"] twin "instants/received"
        "a member sends an instant message over the link of the session" => on_link_of_session;
    "instants/sends" ["INST-001", "INST-002", "INST-003", "INST-004", "INST-013", "INST-014"]
        "the user sends two messages, each of which has its lookup, its link and its ID" => sends;
    "instants/sends-again" ["INST-005"] twin "instants/sends"
        "the link breaks before the answer: the message comes again under its ID" => sends_again;
    "instants/lost" ["INST-014"] twin "instants/sends-again"
        "every link breaks before the answer" => lost;
    "instants/not-delivered" ["INST-014", "INST-015"] twin "instants/sends"
        "nobody is there, or the message is refused in this way or that: the user hears one and the same" => not_delivered;
    "slow/instant-not-answered" ["INST-014"] twin "instants/sends"
        "the receiver takes the message and says nothing" => not_answered;
    "instants/other-id" ["INST-013", "INST-016"] twin "instants/sends"
        "the answer has another ID" => |world| nonsense(world, |_| {
            ClientMessage::InstantReceived(InstantReceived { id: InstantId([0x5a; 16]) })
        });
    "instants/other-answer" ["INST-016"] twin "instants/sends"
        "a message comes instead of the answer" => |world| nonsense(world, |instant| ClientMessage::Instant(instant.clone()));
};

fn instant(id: u8, text: &str) -> Instant {
    let content = Content(text.as_bytes().into());
    Instant { id: InstantId([id; 16]), content, media_type: "text/plain".into() }
}

/// A link to the client on which this person has said this.
async fn said(scene: &Scene, who: &Person, message: ClientMessage) -> Result<Link, Failure> {
    let mut link = scene.dial(who).await?;
    link.send(&message).await?;
    Ok(link)
}

async fn says(scene: &Scene, who: &Person, instant: &Instant) -> Result<Link, Failure> {
    said(scene, who, ClientMessage::Instant(instant.clone())).await
}

/// The client's answer, and the end of the link.
async fn acknowledged(mut link: Link, id: InstantId) -> Result<(), Failure> {
    let expected = ClientMessage::InstantReceived(InstantReceived { id });
    let got = link.next().await?;
    if got != expected {
        return Err(Failure::unexpected(format!("{expected:?}"), format!("{got:?}")));
    }
    link.left().await
}

async fn received_one(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let link = says(&scene, &scene.b, &instant(1, "g\u{fc}nther")).await?;
    scene.client.tells("instant", json!({"from": scene.b.handle, "text": "g\u{fc}nther"})).await?;
    acknowledged(link, InstantId([1; 16])).await
}

async fn again(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    for _ in 0..2 {
        let link = says(&scene, &scene.a, &instant(1, "once")).await?;
        acknowledged(link, InstantId([1; 16])).await?;
    }
    let link = says(&scene, &scene.b, &instant(1, "another")).await?;
    acknowledged(link, InstantId([1; 16])).await?;
    scene.client.tells("instant", json!({"from": scene.a.handle, "text": "once"})).await?;
    scene.client.tells("instant", json!({"from": scene.b.handle, "text": "another"})).await?;
    scene.client.has_not_told("instant").await
}

async fn answered(world: Arc<World>, instant: Instant) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let link = says(&scene, &scene.a, &instant).await?;
    scene.client.tells("instant", json!({"from": scene.a.handle})).await?;
    acknowledged(link, instant.id).await
}

async fn refused(world: Arc<World>, code: ErrorCode, instant: Instant) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    says(&scene, &scene.a, &instant).await?.refused(code).await?;
    scene.client.has_not_told("instant").await
}

async fn denied(world: Arc<World>) -> Result<(), Failure> {
    let preferences = |realm: &Realm| {
        let deny = HandleSet::try_from(vec![realm.home.handle(A)]).map_err(Failure::harness)?;
        Ok(Preferences { deny, allow: HandleSet::default(), default: Verdict::Allow })
    };
    let mut scene = Scene::preferring(&world, preferences).await?;
    let long = Instant { content: Content(vec![b'a'; 16_385].into()), ..instant(2, "") };
    let image = Instant { media_type: "image/png".into(), ..instant(3, "") };
    for instant in [instant(1, "never"), long, image] {
        says(&scene, &scene.a, &instant).await?.refused(ErrorCode::Unavailable).await?;
    }
    scene.client.has_not_told("instant").await?;
    let link = says(&scene, &scene.b, &instant(1, "but I may")).await?;
    scene.client.tells("instant", json!({"from": scene.b.handle, "text": "but I may"})).await?;
    acknowledged(link, InstantId([1; 16])).await
}

async fn not_logged_in(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    scene.client.done(json!({"command": "logout"}), "logged-out").await?;
    says(&scene, &scene.a, &instant(1, "never")).await?.refused(ErrorCode::Unavailable).await?;
    scene.client.has_not_told("instant").await
}

async fn too_many(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    for id in 1..=16 {
        let link = says(&scene, &scene.a, &instant(id, "again and again")).await?;
        scene.client.tells("instant", json!({"from": scene.a.handle})).await?;
        acknowledged(link, InstantId([id; 16])).await?;
    }
    says(&scene, &scene.a, &instant(17, "too much")).await?.refused(ErrorCode::LimitReached).await?;
    let link = says(&scene, &scene.a, &instant(1, "again and again")).await?;
    acknowledged(link, InstantId([1; 16])).await?;
    let link = says(&scene, &scene.b, &instant(17, "and I?")).await?;
    scene.client.tells("instant", json!({"from": scene.b.handle, "text": "and I?"})).await?;
    acknowledged(link, InstantId([17; 16])).await?;
    scene.client.has_not_told("instant").await
}

async fn answer_first(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let received = ClientMessage::InstantReceived(InstantReceived { id: InstantId([1; 16]) });
    said(&scene, &scene.a, received).await?.refused(ErrorCode::UnexpectedMessage).await
}

async fn on_link_of_session(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b.send(&ClientMessage::Instant(instant(1, "psst"))).await?;
    room.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.scene.client.has_not_told("instant").await?;
    // The session goes on with its coordinator.
    room.scene.client.take("leave", room.epoch.session).await?;
    let leave = antiphon_spec::session::Change::Leave(room.me.handle.clone());
    room.to_a.hears(&room.epoch, request(1, leave)).await
}

/// The user sends this to person a; gives the number under which the client tells what becomes of it.
async fn send(scene: &mut Scene, text: &str) -> Result<u64, Failure> {
    let command = json!({"command": "instant", "handle": scene.a.handle, "text": text});
    let taken = scene.client.done(command, "instant-taken").await?;
    let message = taken.get("message").and_then(Value::as_u64);
    message.ok_or_else(|| Failure::unexpected("instant-taken with a number in message", taken))
}

/// The client dials person a, and sends this; gives the link and the message.
async fn comes(scene: &Scene, text: &str) -> Result<(Link, Instant), Failure> {
    let mut link = scene.a.accept(&scene.me()).await?;
    match link.next().await? {
        ClientMessage::Instant(got) if got == (Instant { id: got.id, ..instant(0, text) }) => Ok((link, got)),
        other => Err(Failure::unexpected(format!("an instant message {text:?}"), format!("{other:?}"))),
    }
}

async fn sends(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let mut ids = Vec::new();
    for text in ["hello", "g\u{fc}nther \u{1f600}"] {
        let message = send(&mut scene, text).await?;
        let (mut link, Instant { id, .. }) = comes(&scene, text).await?;
        // Nothing more comes before the answer, and nothing was told yet.
        link.alive().await?;
        scene.client.has_not_told("instant-delivered").await?;
        link.send(&ClientMessage::InstantReceived(InstantReceived { id })).await?;
        link.left().await?;
        let told = json!({"message": message, "to": scene.a.handle});
        scene.client.tells("instant-delivered", told).await?;
        ids.push(id);
    }
    let wanted = scene.a.handle.clone();
    let lookups = scene.server.book(|book| {
        let of_a = |asked: &&ToServer| matches!(asked, ToServer::Lookup(lookup) if lookup.user == wanted);
        book.asked.iter().filter(of_a).count()
    });
    if ids.first() == ids.get(1) || lookups != 2 {
        return Err(Failure::unexpected("two IDs and two lookups", format!("{ids:?}, {lookups} lookups")));
    }
    scene.client.has_not_told("instant-failed").await
}

async fn sends_again(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let message = send(&mut scene, "hello").await?;
    let (link, first) = comes(&scene, "hello").await?;
    drop(link);
    let (mut link, second) = comes(&scene, "hello").await?;
    if first != second {
        return Err(Failure::unexpected(format!("{first:?}"), format!("{second:?}")));
    }
    link.send(&ClientMessage::InstantReceived(InstantReceived { id: second.id })).await?;
    link.left().await?;
    scene.client.tells("instant-delivered", json!({"message": message, "to": scene.a.handle})).await
}

/// What the user hears of this message, without the number that names it.
async fn failed(scene: &mut Scene, message: u64) -> Result<Value, Failure> {
    let mut event = scene.client.event("instant-failed").await?;
    let named = event.as_object_mut().and_then(|event| event.remove("message"));
    if named != Some(json!(message)) || event.get("to") != Some(&json!(scene.a.handle)) {
        return Err(Failure::unexpected(format!("instant-failed of message {message}"), &event));
    }
    Ok(event)
}

async fn not_delivered(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let mut events = Vec::new();
    for code in [ErrorCode::Unavailable, ErrorCode::LimitReached, ErrorCode::MediaType] {
        let message = send(&mut scene, "hello").await?;
        let (link, _) = comes(&scene, "hello").await?;
        link.fail(code).await?;
        events.push(failed(&mut scene, message).await?);
    }
    let message = send(&mut scene, "hello").await?;
    let (link, _) = comes(&scene, "hello").await?;
    link.goodbye().await?;
    events.push(failed(&mut scene, message).await?);
    let absent = scene.a.handle.clone();
    scene.server.book(|book| book.addresses.remove(&absent));
    let message = send(&mut scene, "hello").await?;
    events.push(failed(&mut scene, message).await?);
    let first = events.first().cloned();
    match events.iter().find(|event| first.as_ref() != Some(event)) {
        None => scene.client.has_not_told("instant-delivered").await,
        Some(other) => Err(Failure::unexpected(format!("{first:?} for every failure"), other)),
    }
}

async fn lost(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let message = send(&mut scene, "hello").await?;
    let me = scene.me();
    let (client, a) = (&mut scene.client, &scene.a);
    // A client may dial again, and need not.
    for _ in 0..4 {
        tokio::select! {
            told = client.tells("instant-failed", json!({"message": message, "to": a.handle})) => return told,
            link = a.accept(&me) => {
                // Where none comes, nothing is left but what the client tells.
                let Ok(mut link) = link else { break };
                link.next().await?;
            }
        }
    }
    client.tells("instant-failed", json!({"message": message, "to": a.handle})).await
}

async fn not_answered(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let message = send(&mut scene, "hello").await?;
    let (link, _) = comes(&scene, "hello").await?;
    // The user waits 30 seconds; what this machine needs besides has room.
    link.gone_within(Duration::from_secs(45)).await?;
    failed(&mut scene, message).await.map(drop)
}

async fn nonsense(world: Arc<World>, answer: fn(&Instant) -> ClientMessage) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let message = send(&mut scene, "hello").await?;
    let (mut link, instant) = comes(&scene, "hello").await?;
    link.send(&answer(&instant)).await?;
    link.refused(ErrorCode::UnexpectedMessage).await?;
    failed(&mut scene, message).await?;
    scene.client.has_not_told("instant-delivered").await
}
