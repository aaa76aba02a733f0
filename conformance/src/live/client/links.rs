//! A client that takes links: the greeting, the first message, how many links there may be, and what breaks one
//! without the others noticing.

use std::sync::Arc;

use antiphon_protocol::{
    cbor,
    message::{AcceptorMessage as _, ChannelMessage as _},
};
use antiphon_spec::{
    error_code::ErrorCode,
    media_type::MediaTypes,
    message::client_client::*,
    session::{EpochHash, EpochNumber},
};
use serde_json::json;
use tokio::net::TcpStream;

use super::{
    chain::{admit, epoch_of, first, invite, message, received, ticket},
    hello::{is_ended_after, of_tls_1_2},
    line::Link,
    live_cases,
    scene::{Room, Scene, welcome},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "link/greeted" ["WIRE-036", "WIRE-045", "WIRE-046"]
        "a client that is dialled greets first, answers pings, and ignores a pong to nothing" => greeted;
    "link/begins-with-join" ["SESS-007"] twin "invitee/accepts"
        "a link begins with a join" => |world| first_is_refused(world, ErrorCode::UnexpectedMessage, |scene| {
            Ok(InvitationBody::Join(Join { relay: scene.a.relay, accepts: MediaTypes::default() }))
        });
    "link/begins-with-reject" ["SESS-007"] twin "invitee/accepts"
        "a link begins with a reject" => |world| first_is_refused(world, ErrorCode::UnexpectedMessage, |_| Ok(InvitationBody::Reject(Reject {})));
    "link/begins-with-cancel" ["SESS-007"] twin "invitee/accepts"
        "a link begins with a cancel" => |world| first_is_refused(world, ErrorCode::UnexpectedMessage, |_| Ok(InvitationBody::Cancel(Cancel {})));
    "link/begins-with-welcome" ["SESS-007"] twin "invitee/accepts"
        "a link begins with a welcome" => |world| first_is_refused(world, ErrorCode::UnexpectedMessage, |scene| {
            let epoch = epoch_of(&scene.a, &[])?;
            Ok(welcome(&epoch, &ticket(&epoch, &scene.b.member(), &scene.a, &scene.a)?))
        });
    "link/of-unknown-session" ["SESS-008"] twin "member/admits"
        "a link begins with a message of a session that there is not" => |world| unknown_session(world, |_| Ok(message(1, "hello")));
    "link/ticket-of-unknown-session" ["SESS-008"] twin "member/admits"
        "a link begins with a ticket for a session that there is not" => |world| unknown_session(world, |scene| {
            let epoch = epoch_of(&scene.a, &[])?;
            Ok(admit(ticket(&epoch, &scene.b.member(), &scene.a, &scene.a)?))
        });
    "link/greeting-of-dialler" ["WIRE-041"] twin "link/greeted"
        "the dialler greets" => dialler_greets;
    "link/second-of-member" ["SESS-010", "SESS-005"]
        "a member opens a second link, and the first goes on" => second_of_member;
    "link/second-of-newcomer" ["SESS-010"]
        "a newcomer that is admitted shows its ticket on a second link, and the first goes on" => second_of_newcomer;
    "link/second-of-invitee" ["SESS-011", "SESS-010"]
        "somebody whom the client has invited shows a ticket of another inviter: the first link is closed" => second_of_invitee;
    "link/one-for-each-session" ["SESS-005", "LIM-002"]
        "two sessions with one peer have a link each" => one_for_each;
    "link/lost-in-a-frame" ["WIRE-051", "SESS-123"]
        "a link ends in the middle of a frame, and a session with others goes on" => lost_in_frame;
    "link/error" ["WIRE-053", "WIRE-055"]
        "the inviter closes with an error: the client answers nothing, and goes on" => peer_fails;
    "link/goodbye" ["WIRE-050", "WIRE-049"]
        "the inviter says goodbye, and the client ends the link" => peer_leaves;
    "link/byte-by-byte" ["WIRE-015"]
        "a frame comes in as many TLS records as it has bytes" => byte_by_byte;
    "link/two-frames-at-once" ["WIRE-015"]
        "two frames come in one TLS record" => two_at_once;
    "link/malformed-of-member" ["WIRE-017", "WIRE-055", "SESS-123"] twin "messages/heard"
        "a member sends what is no CBOR: its link closes, and another session with other peers goes on" => malformed_of_member;
    "link/acted-on-nothing" ["WIRE-035", "WIRE-031"] twin "messages/heard"
        "a member sends a message with a field more, and nothing of it is told" => acted_on_nothing;
    "link/nothing-after-error" ["WIRE-054", "WIRE-052"] twin "link/two-frames-at-once"
        "an invitation comes behind a frame for which the link closes" => nothing_after_error;
    "link/frame-empty" ["WIRE-012", "WIRE-052", "WIRE-055"] twin "link/greeted"
        "an empty frame" => |world| fault(world, "", ErrorCode::FrameLength);
    "link/frame-too-long" ["WIRE-013", "WIRE-055"] twin "link/frame-at-cap"
        "a frame of 32769 bytes is announced, of which none comes" => too_long;
    "link/frame-at-cap" ["LIM-001", "WIRE-013"]
        "a frame of 32768 bytes is read, and refused for what is in it" => at_cap;
    "link/trailing-byte" ["WIRE-017"] twin "link/greeted"
        "a byte behind the item" => |world| fault(world, "a16470696e67a1666e756d6265720100", ErrorCode::Malformed);
    "link/cut-off" ["WIRE-017"] twin "link/greeted"
        "an item without its last byte" => |world| fault(world, "a16470696e67a1666e756d626572", ErrorCode::Malformed);
    "link/integer-too-long" ["WIRE-018"] twin "link/greeted"
        "an integer in a byte more than it needs" => |world| fault(world, "a16470696e67a1666e756d6265721801", ErrorCode::NotDeterministic);
    "link/indefinite-map" ["WIRE-019"] twin "link/greeted"
        "a map of indefinite length" => |world| fault(world, "a16470696e67bf666e756d62657201ff", ErrorCode::NotDeterministic);
    "link/key-twice" ["WIRE-021"] twin "link/greeted"
        "a key stands twice" => |world| fault(world, "a16470696e67a2666e756d62657201666e756d62657201", ErrorCode::NotDeterministic);
    "link/tag" ["WIRE-022"] twin "link/greeted"
        "a tag before the item" => |world| fault(world, "c0a16470696e67a1666e756d62657201", ErrorCode::Malformed);
    "link/float" ["WIRE-023"] twin "link/greeted"
        "a floating-point number" => |world| fault(world, "a16470696e67a1666e756d626572f93c00", ErrorCode::Malformed);
    "link/null" ["WIRE-024"] twin "link/greeted"
        "a null" => |world| fault(world, "a16470696e67a1666e756d626572f6", ErrorCode::Malformed);
    "link/too-deep" ["WIRE-025"] twin "link/greeted"
        "17 arrays around a number" => |world| fault(world, "818181818181818181818181818181818100", ErrorCode::Malformed);
    "link/not-utf-8" ["WIRE-026"] twin "link/greeted"
        "a key that is not UTF-8" => |world| fault(world, "a16470696eff", ErrorCode::Malformed);
    "link/claims-too-much" ["WIRE-027"] twin "link/greeted"
        "a byte string that claims 2 to the power of 62 bytes" => |world| fault(world, "5b4000000000000000", ErrorCode::Malformed);
    "link/unknown-message" ["WIRE-030"] twin "link/greeted"
        "a message of no name that there is" => |world| fault(world, "a16470756e67a1666e756d62657201", ErrorCode::Malformed);
    "link/message-of-other-channel" ["WIRE-030"] twin "link/greeted"
        "a message of the client-to-server channel" => |world| fault(world, "a1666c6f676f7574a162696401", ErrorCode::Malformed);
    "link/unknown-field" ["WIRE-031"] twin "link/greeted"
        "a field that the message does not have" => |world| fault(world, "a16470696e67a2617801666e756d62657201", ErrorCode::Malformed);
    "link/missing-field" ["WIRE-032"] twin "link/greeted"
        "a message without its field" => |world| fault(world, "a16470696e67a0", ErrorCode::Malformed);
    "link/other-type" ["WIRE-033"] twin "link/greeted"
        "a text instead of a number" => |world| fault(world, "a16470696e67a1666e756d6265726131", ErrorCode::Malformed);
    "link/two-messages-in-a-map" ["WIRE-030"] twin "link/greeted"
        "a map with a ping and a pong" => |world| {
            fault(world, "a26470696e67a1666e756d6265720164706f6e67a1666e756d62657201", ErrorCode::Malformed)
        };
    "link/tls-1-2" ["WIRE-001"] twin "link/greeted"
        "a dialler offers TLS 1.2 alone" => tls_1_2;
    "link/not-tls" ["WIRE-055"] twin "link/greeted"
        "a dialler speaks no TLS" => not_tls;
    "link/silent-after-greeting" ["WIRE-044"] twin "link/greeted"
        "a dialler says nothing after the greeting" => silent_after_greeting;
    "link/silent-before-handshake" ["WIRE-043"] twin "link/greeted"
        "a dialler does not begin the handshake" => silent_before_handshake;
};

async fn greeted(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let mut link = scene.dial(&scene.a).await?;
    link.alive().await?;
    link.send(&ClientMessage::pong(5)).await?;
    link.alive().await
}

/// An invitation by a stands, and is accepted now: whatever happened to others meanwhile did not matter.
async fn goes_on(mut scene: Scene, mut link: Link) -> Result<(), Failure> {
    let session = first(&scene.a, 9).session;
    scene.client.take("accept", session).await?;
    link.invited(session).await.map(drop)
}

/// A client with an invitation by a, whose user has not answered.
async fn with_invitation(world: &World) -> Result<(Scene, Link), Failure> {
    let mut scene = Scene::new(world).await?;
    let epoch = first(&scene.a, 9);
    let link = scene.invited(&epoch).await?;
    Ok((scene, link))
}

async fn first_is_refused(
    world: Arc<World>,
    code: ErrorCode,
    step: fn(&Scene) -> Result<InvitationBody, Failure>,
) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut link = scene.dial(&scene.b).await?;
    link.invitation(epoch_of(&scene.a, &[])?.session, step(&scene)?).await?;
    link.refused(code).await?;
    goes_on(scene, stands).await
}

async fn unknown_session(
    world: Arc<World>,
    said: fn(&Scene) -> Result<SessionBody, Failure>,
) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let mut link = scene.dial(&scene.b).await?;
    let session = epoch_of(&scene.a, &[])?.session;
    let said =
        SessionMessage { body: said(&scene)?, chain: EpochHash([4; 32]), epoch: EpochNumber(0), session };
    link.say_as_is(said).await?;
    link.refused(ErrorCode::NoSuchSession).await
}

async fn dialler_greets(world: Arc<World>) -> Result<(), Failure> {
    let scene = Scene::new(&world).await?;
    let mut link = scene.dial(&scene.a).await?;
    link.send(&ClientMessage::greeting()).await?;
    link.refused(ErrorCode::UnexpectedMessage).await
}

async fn second_of_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut second = room.scene.dial(&room.scene.b).await?;
    second.say(&room.epoch, message(1, "over here")).await?;
    second.refused(ErrorCode::AlreadyMember).await?;
    room.goes_on(1).await
}

async fn second_of_invitee(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let ticket = ticket(&room.epoch, &room.scene.c.member(), &room.scene.a, &room.scene.a)?;
    room.scene.client.invite(room.epoch.session, &room.scene.c.handle).await?;
    let mut one = room.scene.c.accept(&room.scene.me()).await?;
    one.hears_step(room.epoch.session, invite(&room.epoch)).await?;
    let mut two = room.scene.dial(&room.scene.c).await?;
    two.say(&room.epoch, admit(ticket)).await?;
    one.gone().await?;
    two.hears(&room.epoch, SessionBody::Admitted(Admitted {})).await?;
    room.goes_on(1).await
}

async fn second_of_newcomer(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let ticket = ticket(&room.epoch, &room.scene.c.member(), &room.scene.a, &room.scene.a)?;
    let mut one = room.scene.dial(&room.scene.c).await?;
    one.say(&room.epoch, admit(ticket.clone())).await?;
    one.hears(&room.epoch, SessionBody::Admitted(Admitted {})).await?;
    let mut two = room.scene.dial(&room.scene.c).await?;
    two.say(&room.epoch, admit(ticket)).await?;
    // Who has been admitted in this epoch is not admitted again.
    two.refused(ErrorCode::AlreadyMember).await?;
    one.alive().await?;
    room.goes_on(1).await
}

async fn one_for_each(world: Arc<World>) -> Result<(), Failure> {
    let (mut scene, stands) = with_invitation(&world).await?;
    let other = first(&scene.a, 3);
    let mut link = scene.invited(&other).await?;
    scene.client.take("accept", other.session).await?;
    link.invited(other.session).await?;
    goes_on(scene, stands).await
}

async fn lost_in_frame(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut link = room.scene.dial(&room.scene.c).await?;
    link.send_bytes(&[0, 0, 1, 0, 0xa1]).await?;
    drop(link);
    room.goes_on(1).await
}

async fn peer_fails(world: Arc<World>) -> Result<(), Failure> {
    let (mut scene, stands) = with_invitation(&world).await?;
    let other = first(&scene.a, 3);
    let mut link = scene.invited(&other).await?;
    link.send(&ClientMessage::error(ErrorCode::Internal)).await?;
    link.ends_silently().await?;
    scene.client.tells("ended", json!({"session": hex::encode(other.session.0)})).await?;
    goes_on(scene, stands).await
}

async fn peer_leaves(world: Arc<World>) -> Result<(), Failure> {
    let (mut scene, stands) = with_invitation(&world).await?;
    let other = first(&scene.a, 3);
    scene.invited(&other).await?.goodbye_ends_it().await?;
    scene.client.tells("ended", json!({"session": hex::encode(other.session.0)})).await?;
    goes_on(scene, stands).await
}

/// Messages as they stand on the wire.
fn frames(messages: &[ClientMessage]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for message in messages {
        let item = cbor::encode(message).map_err(Failure::harness)?;
        bytes.extend(u32::try_from(item.len()).map_err(Failure::harness)?.to_be_bytes());
        bytes.extend(item);
    }
    Ok(bytes)
}

async fn byte_by_byte(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.dial(&scene.a).await?;
    let body = invite(&epoch);
    for byte in frames(&[ClientMessage::Invitation(InvitationMessage { body, session: epoch.session })])? {
        link.send_bytes(&[byte]).await?;
    }
    scene.client.tells("invited", json!({"inviter": scene.a.handle})).await
}

async fn two_at_once(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.dial(&scene.a).await?;
    let invite =
        ClientMessage::Invitation(InvitationMessage { body: invite(&epoch), session: epoch.session });
    link.send_bytes(&frames(&[ClientMessage::ping(3), invite])?).await?;
    if link.read().await? != Some(ClientMessage::pong(3)) {
        return Err(Failure::unexpected("a pong", "something else"));
    }
    scene.client.tells("invited", json!({"inviter": scene.a.handle})).await
}

async fn nothing_after_error(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[])?;
    let mut link = scene.dial(&scene.a).await?;
    let invite =
        ClientMessage::Invitation(InvitationMessage { body: invite(&epoch), session: epoch.session });
    let bytes = [&[0, 0, 0, 1, 0xff][..], &frames(&[invite])?].concat();
    link.send_bytes(&bytes).await?;
    link.refused(ErrorCode::Malformed).await?;
    scene.client.has_not_told("invited").await
}

async fn malformed_of_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let other = first(&room.scene.c, 3);
    let mut to_c = room.scene.dial(&room.scene.c).await?;
    to_c.invitation(other.session, invite(&other)).await?;
    room.scene.client.tells("invited", json!({"inviter": room.scene.c.handle})).await?;
    room.to_b.send_frame(&[0xff]).await?;
    room.to_b.refused(ErrorCode::Malformed).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.to_a.say(&room.epoch, message(1, "still here")).await?;
    room.to_a.hears(&room.epoch, received(1)).await?;
    room.scene.client.take("accept", other.session).await?;
    to_c.invited(other.session).await.map(drop)
}

async fn acted_on_nothing(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let said = super::chain::in_epoch(&room.epoch, message(1, "hello"));
    let mut item = cbor::encode(&ClientMessage::Session(said)).map_err(Failure::harness)?;
    // The body of "session" has four fields; a fifth, "zzzzzzz" like "session" long and last in the order, follows.
    let fields =
        item.iter().position(|byte| *byte == 0xa4).ok_or_else(|| Failure::harness("no map of four"))?;
    item.iter_mut().skip(fields).take(1).for_each(|byte| *byte = 0xa5);
    item.extend(*b"\x67zzzzzzz\x01");
    room.to_b.send_frame(&item).await?;
    room.to_b.refused(ErrorCode::Malformed).await?;
    room.scene.client.has_not_told("message").await
}

/// Somebody sends a frame with these bytes, for which its link closes with this code, and no other.
async fn fault(world: Arc<World>, item: &'static str, code: ErrorCode) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let item = hex::decode(item).map_err(Failure::harness)?;
    let mut link = scene.dial(&scene.b).await?;
    link.send_frame(&item).await?;
    link.refused(code).await?;
    goes_on(scene, stands).await
}

async fn too_long(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut link = scene.dial(&scene.b).await?;
    link.send_bytes(&32_769u32.to_be_bytes()).await?;
    link.refused(ErrorCode::FrameLength).await?;
    goes_on(scene, stands).await
}

async fn at_cap(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut link = scene.dial(&scene.b).await?;
    // No message is that long: one of those that there are, with a content of so many bytes, has a wrong form.
    let mut item = vec![0x59, 0x7f, 0xfd];
    item.resize(32_768, 0);
    link.send_frame(&item).await?;
    link.refused(ErrorCode::Malformed).await?;
    goes_on(scene, stands).await
}

async fn tls_1_2(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut stream = TcpStream::connect(scene.client.address.0).await.map_err(Failure::harness)?;
    is_ended_after(&mut stream, &of_tls_1_2("antiphon-c2c/1")).await?;
    goes_on(scene, stands).await
}

async fn not_tls(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut stream = TcpStream::connect(scene.client.address.0).await.map_err(Failure::harness)?;
    is_ended_after(&mut stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    goes_on(scene, stands).await
}

async fn silent_after_greeting(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    scene.dial(&scene.b).await?.refused(ErrorCode::Deadline).await?;
    goes_on(scene, stands).await
}

async fn silent_before_handshake(world: Arc<World>) -> Result<(), Failure> {
    let (scene, stands) = with_invitation(&world).await?;
    let mut stream = TcpStream::connect(scene.client.address.0).await.map_err(Failure::harness)?;
    is_ended_after(&mut stream, &[]).await?;
    goes_on(scene, stands).await
}
