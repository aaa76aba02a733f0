//! Links that go on when their connection is lost: dialled again by the suite, and by the client.

use std::sync::Arc;

use antiphon_protocol::tls::Credentials;
use antiphon_spec::{
    error_code::ErrorCode,
    limits::LINK_HAVE_INTERVAL,
    message::{
        client_client::{ClientMessage, SessionBody},
        link::{Counted, Keep, Kept, LinkName, Patience, Resume},
    },
};
use serde_json::json;

use super::{
    chain::{first, message, received},
    line::{Link, shown},
    live_cases,
    realm::{Person, key},
    scene::{Chair, Room, Scene},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "kept-links/kept" ["LINK-003"]
        "a peer wants its link to be kept" => kept;
    "kept-links/offered" ["LINK-001", "LINK-002"]
        "the client offers to keep two links, each under a name of its own" => offered;
    "kept-links/resumed" ["LINK-005", "LINK-013", "LINK-014"]
        "a connection is lost, the user says something, and the peer resumes the link" => resumed;
    "kept-links/heard-again" ["LINK-005", "LINK-013", "LINK-014"] twin "kept-links/resumed"
        "what the client has sent before the loss hasn't reached the peer" => heard_again;
    "kept-links/unnoticed" ["LINK-013"] twin "kept-links/resumed"
        "the peer resumes the link while the connection before stands" => unnoticed;
    "kept-links/other-name" ["LINK-012"] twin "kept-links/resumed"
        "a link is resumed under another name" => |world| refused(world, |_, resume| Resume { link: LinkName([0xee; 16]), ..resume });
    "kept-links/other-session" ["LINK-012"] twin "kept-links/resumed"
        "a link is resumed for another session" => |world| refused(world, |room, resume| Resume { session: first(&room.scene.c, 9).session, ..resume });
    "kept-links/other-user" ["LINK-012"] twin "kept-links/resumed"
        "another member resumes the link" => other_user;
    "kept-links/other-key" ["LINK-012"] twin "kept-links/resumed"
        "the link is resumed with the same handle and another key" => other_key;
    "kept-links/not-kept" ["LINK-012"] twin "kept-links/resumed"
        "a link is resumed that is not kept" => not_kept;
    "kept-links/old-attempt" ["LINK-012"] twin "kept-links/resumed"
        "a link is resumed with the number of an attempt that was taken, and with a lower one" => old_attempt;
    "kept-links/resumed-with-too-many" ["LINK-007"] twin "kept-links/resumed"
        "a peer that resumes the link has received more than was sent" => resumed_with_too_many;
    "kept-links/have-too-many" ["LINK-007"] twin "kept-links/kept"
        "a peer says that it has more than was sent" => |world| fault(world, true, |_| ClientMessage::Have(Counted { received: 1 }));
    "kept-links/have-fewer" ["LINK-007"] twin "kept-links/kept"
        "a peer says that it has fewer than it had" => have_fewer;
    "kept-links/have-uncounted" ["LINK-007"] twin "kept-links/kept"
        "a peer says what it has on a link that is not kept" => |world| fault(world, false, |_| ClientMessage::Have(Counted { received: 0 }));
    "kept-links/keep-again" ["LINK-004"] twin "kept-links/kept"
        "a peer asks a second time" => |world| fault(world, true, ClientMessage::Keep);
    "kept-links/kept-unasked" ["LINK-004"] twin "kept-links/kept"
        "a peer answers that was not asked" => |world| fault(world, false, |keep| ClientMessage::Kept(Kept { patience: keep.patience }));
    "kept-links/keep-of-accepter" ["LINK-004"] twin "kept-links/dialled-again"
        "a peer that was dialled asks" => keep_of_accepter;
    "kept-links/kept-again" ["LINK-004"] twin "kept-links/dialled-again"
        "a peer answers twice" => kept_again;
    "kept-links/keep-first" ["LINK-004"] twin "kept-links/kept"
        "a connection begins with keep" => |world| first_is_refused(world, ClientMessage::Keep);
    "kept-links/resumed-first" ["LINK-017"] twin "kept-links/kept"
        "a connection begins with resumed" => |world| first_is_refused(world, |_| ClientMessage::Resumed(Counted { received: 0 }));
    "kept-links/resume-later" ["LINK-017"] twin "kept-links/kept"
        "a resume comes behind other messages" => resume_later;
    "kept-links/resumed-unasked" ["LINK-017"] twin "kept-links/kept"
        "a peer says that the link goes on, which it always did" => |world| fault(world, true, |_| ClientMessage::Resumed(Counted { received: 0 }));
    "kept-links/have" ["LINK-006"]
        "a peer sends 32 messages" => have;
    "kept-links/dialled-again" ["LINK-005", "LINK-009", "LINK-011", "LINK-014", "LINK-018"]
        "the connection of a link that the client dialled is lost, and so is the one that follows" => dialled_again;
    "kept-links/dials-no-other-key" ["LINK-010"] twin "kept-links/dialled-again"
        "who is dialled again has another key" => dials_no_other_key;
    "kept-links/instead-of-resumed" ["LINK-015"] twin "kept-links/dialled-again"
        "who is dialled again speaks before it says that the link goes on" => instead_of_resumed;
    "kept-links/refuses-to-go-on" ["LINK-016"] twin "kept-links/dialled-again"
        "who is dialled again knows of no link" => refuses_to_go_on;
    "kept-links/dialled-in-vain" ["LINK-016"] twin "kept-links/dialled-again"
        "who is dialled again doesn't answer for as long as it has patience" => dialled_in_vain;
    "kept-links/not-resumed" ["LINK-016"] twin "kept-links/resumed"
        "a peer that was to resume its link doesn't" => not_resumed;
};

const NAME: LinkName = LinkName([9; 16]);

fn patience(seconds: u64) -> Result<Patience, Failure> {
    seconds.try_into().map_err(Failure::harness)
}

fn offer(seconds: u64) -> Result<Keep, Failure> {
    Ok(Keep { link: NAME, patience: patience(seconds)? })
}

/// A session in which person a's link is kept.
async fn kept_by_a(world: &World, seconds: u64) -> Result<Room, Failure> {
    let mut room = Room::new(world).await?;
    room.to_a.send(&ClientMessage::Keep(offer(seconds)?)).await?;
    match room.to_a.next().await? {
        ClientMessage::Kept(_) => Ok(room),
        other => Err(Failure::unexpected("kept", shown(&other))),
    }
}

/// A session in which the link to person b, whom the client has dialled, is kept; the link's name.
async fn kept_by_b(world: &World, seconds: u64) -> Result<(Room, LinkName), Failure> {
    let mut room = Room::new(world).await?;
    let keep = room.to_b.offered().await?;
    room.to_b.send(&ClientMessage::Kept(Kept { patience: patience(seconds)? })).await?;
    Ok((room, keep.link))
}

fn resume(room: &Room, attempt: u64, received: u64) -> Resume {
    Resume { link: NAME, attempt, session: room.epoch.session, received }
}

/// Dials the client as this person, and asks for the link to go on.
async fn dials(room: &Room, who: &Person, resume: Resume) -> Result<Link, Failure> {
    let mut link = room.scene.dial(who).await?;
    link.send(&ClientMessage::Resume(resume)).await?;
    Ok(link)
}

/// The link goes on: the client has received so many.
async fn goes_on_after(link: &mut Link, received: u64) -> Result<(), Failure> {
    let expected = ClientMessage::Resumed(Counted { received });
    let got = link.next().await?;
    if got == expected { Ok(()) } else { Err(Failure::unexpected(shown(&expected), shown(&got))) }
}

/// The connection under a link is lost. In its place stands one that says nothing, until there is another.
async fn loses_connection(scene: &Scene, link: &mut Link) -> Result<(), Failure> {
    let other = scene.dial(&scene.c).await?;
    drop(std::mem::replace(link, other));
    Ok(())
}

async fn a_says(room: &mut Room, number: u64, text: &str) -> Result<(), Failure> {
    room.to_a.say(&room.epoch, message(number, text)).await?;
    room.scene.client.hears(&room.scene.a.handle, text).await?;
    room.to_a.hears(&room.epoch, received(number)).await
}

async fn kept(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 9).await?;
    a_says(&mut room, 1, "hello").await
}

async fn offered(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a) = Chair::of_two(&world).await?;
    let mut to_b = chair.invites_b().await?;
    let (one, other) = (to_a.offered().await?.link, to_b.offered().await?.link);
    if one == other {
        return Err(Failure::unexpected("two names", shown(&one)));
    }
    Ok(())
}

/// As [`kept_by_a`], and a has said something; then its connection is lost, and the user says something.
async fn lost_a(world: &World) -> Result<Room, Failure> {
    let mut room = kept_by_a(world, 15).await?;
    a_says(&mut room, 1, "before").await?;
    loses_connection(&room.scene, &mut room.to_a).await?;
    room.scene.client.say(room.epoch.session, "meanwhile").await?;
    room.to_b.hears(&room.epoch, message(1, "meanwhile")).await?;
    room.to_b.say(&room.epoch, received(1)).await?;
    Ok(room)
}

async fn resumed(world: Arc<World>) -> Result<(), Failure> {
    let mut room = lost_a(&world).await?;
    room.to_a = dials(&room, &room.scene.a, resume(&room, 1, 1)).await?;
    goes_on_after(&mut room.to_a, 1).await?;
    room.to_a.hears(&room.epoch, message(1, "meanwhile")).await?;
    room.to_a.say(&room.epoch, received(1)).await?;
    a_says(&mut room, 2, "after").await?;
    room.scene.client.has_not_told("member-lost").await
}

async fn heard_again(world: Arc<World>) -> Result<(), Failure> {
    let mut room = lost_a(&world).await?;
    // The acknowledgement of the first message was lost.
    room.to_a = dials(&room, &room.scene.a, resume(&room, 1, 0)).await?;
    goes_on_after(&mut room.to_a, 1).await?;
    room.to_a.hears(&room.epoch, received(1)).await?;
    room.to_a.hears(&room.epoch, message(1, "meanwhile")).await?;
    a_says(&mut room, 2, "after").await
}

async fn unnoticed(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    let new = dials(&room, &room.scene.a, resume(&room, 1, 0)).await?;
    let mut old = std::mem::replace(&mut room.to_a, new);
    goes_on_after(&mut room.to_a, 0).await?;
    // Who reads it no more may have closed it already.
    let _ = old.say(&room.epoch, message(1, "over the old one")).await;
    a_says(&mut room, 1, "over the new one").await
}

/// A `resume` changed like this is refused, and the link goes on with the right one.
async fn refused(world: Arc<World>, change: fn(&Room, Resume) -> Resume) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    let wrong = change(&room, resume(&room, 1, 0));
    dials(&room, &room.scene.a, wrong).await?.refused(ErrorCode::NoSuchSession).await?;
    a_says(&mut room, 1, "the link stands").await?;
    room.to_a = dials(&room, &room.scene.a, resume(&room, 1, 1)).await?;
    goes_on_after(&mut room.to_a, 1).await
}

async fn other_user(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    dials(&room, &room.scene.b, resume(&room, 1, 0)).await?.refused(ErrorCode::NoSuchSession).await?;
    room.goes_on(1).await?;
    a_says(&mut room, 1, "the link stands").await
}

/// Another key, certified for the same handle.
fn other_credentials(room: &Room, who: &Person) -> Result<Credentials, Failure> {
    let other = key()?;
    let home = if who.handle.home == room.scene.realm.home.name {
        &room.scene.realm.home
    } else {
        &room.scene.realm.elsewhere
    };
    let chain = home.user_chain(&who.handle, other.public_key())?;
    Credentials::new(chain, &other).map_err(Failure::harness)
}

async fn other_key(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    let (right, wrong) = (room.scene.a.credentials.clone(), other_credentials(&room, &room.scene.a)?);
    room.scene.a = room.scene.a.showing(wrong);
    dials(&room, &room.scene.a, resume(&room, 1, 0)).await?.refused(ErrorCode::NoSuchSession).await?;
    room.scene.a = room.scene.a.showing(right);
    a_says(&mut room, 1, "the link stands").await
}

async fn not_kept(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    dials(&room, &room.scene.a, resume(&room, 1, 0)).await?.refused(ErrorCode::NoSuchSession).await?;
    a_says(&mut room, 1, "the link stands").await
}

async fn old_attempt(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    room.to_a = dials(&room, &room.scene.a, resume(&room, 2, 0)).await?;
    goes_on_after(&mut room.to_a, 0).await?;
    for attempt in [2, 1] {
        let old = dials(&room, &room.scene.a, resume(&room, attempt, 0)).await?;
        old.refused(ErrorCode::NoSuchSession).await?;
    }
    a_says(&mut room, 1, "the link stands").await
}

async fn resumed_with_too_many(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 15).await?;
    room.to_a = dials(&room, &room.scene.a, resume(&room, 1, 1)).await?;
    room.gives_coordinator_up(ErrorCode::UnexpectedMessage).await
}

/// Person a says something that ends its link, which is kept or not.
async fn fault(world: Arc<World>, is_kept: bool, said: fn(Keep) -> ClientMessage) -> Result<(), Failure> {
    let mut room = if is_kept { kept_by_a(&world, 9).await? } else { Room::new(&world).await? };
    room.to_a.send(&said(offer(9)?)).await?;
    room.gives_coordinator_up(ErrorCode::UnexpectedMessage).await
}

async fn have_fewer(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 9).await?;
    a_says(&mut room, 1, "hello").await?;
    for received in [1, 0] {
        room.to_a.send(&ClientMessage::Have(Counted { received })).await?;
    }
    room.gives_coordinator_up(ErrorCode::UnexpectedMessage).await
}

async fn keep_of_accepter(world: Arc<World>) -> Result<(), Failure> {
    let (room, _) = kept_by_b(&world, 9).await?;
    loses_b(room, ClientMessage::Keep(offer(9)?)).await
}

async fn kept_again(world: Arc<World>) -> Result<(), Failure> {
    let (room, _) = kept_by_b(&world, 9).await?;
    loses_b(room, ClientMessage::Kept(Kept { patience: patience(9)? })).await
}

/// Person b says something that ends its link.
async fn loses_b(mut room: Room, said: ClientMessage) -> Result<(), Failure> {
    room.to_b.send(&said).await?;
    room.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await
}

async fn first_is_refused(world: Arc<World>, said: fn(Keep) -> ClientMessage) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut link = room.scene.dial(&room.scene.c).await?;
    link.send(&said(offer(9)?)).await?;
    link.refused(ErrorCode::UnexpectedMessage).await?;
    room.goes_on(1).await
}

async fn resume_later(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 9).await?;
    let resume = resume(&room, 1, 0);
    room.to_a.send(&ClientMessage::Resume(resume)).await?;
    room.gives_coordinator_up(ErrorCode::UnexpectedMessage).await
}

async fn have(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 9).await?;
    for number in 1..=LINK_HAVE_INTERVAL {
        room.to_a.say(&room.epoch, message(number, "again")).await?;
    }
    let expected = ClientMessage::Have(Counted { received: LINK_HAVE_INTERVAL });
    // It may come before some of the acknowledgements, and nothing but them comes before it.
    for _ in 0..=LINK_HAVE_INTERVAL {
        match room.to_a.next().await? {
            ClientMessage::Session(said) if matches!(said.body, SessionBody::Received(_)) => {}
            other if other == expected => return Ok(()),
            other => return Err(Failure::unexpected(shown(&expected), shown(&other))),
        }
    }
    Err(Failure::unexpected(shown(&expected), "acknowledgements alone"))
}

/// The client dials person b again, and wants to go on with the link.
async fn is_dialled(room: &Room, link: LinkName, attempt: u64, received: u64) -> Result<Link, Failure> {
    let mut to_b = room.scene.b.accept(&room.scene.me()).await?;
    let session = room.epoch.session;
    let expected = ClientMessage::Resume(Resume { link, attempt, session, received });
    let got = to_b.next().await?;
    if got == expected { Ok(to_b) } else { Err(Failure::unexpected(shown(&expected), shown(&got))) }
}

async fn dialled_again(world: Arc<World>) -> Result<(), Failure> {
    let (mut room, name) = kept_by_b(&world, 15).await?;
    room.goes_on(1).await?;
    loses_connection(&room.scene, &mut room.to_b).await?;
    room.scene.client.say(room.epoch.session, "meanwhile").await?;
    room.to_a.hears(&room.epoch, message(1, "meanwhile")).await?;
    drop(is_dialled(&room, name, 1, 1).await?);
    room.to_b = is_dialled(&room, name, 2, 1).await?;
    // The acknowledgement of the first message has come, and what was said since hasn't.
    room.to_b.send(&ClientMessage::Resumed(Counted { received: 1 })).await?;
    room.to_b.hears(&room.epoch, message(1, "meanwhile")).await?;
    room.goes_on(2).await?;
    room.scene.client.has_not_told("member-lost").await
}

async fn dials_no_other_key(world: Arc<World>) -> Result<(), Failure> {
    let (mut room, name) = kept_by_b(&world, 15).await?;
    let (right, wrong) = (room.scene.b.credentials.clone(), other_credentials(&room, &room.scene.b)?);
    room.scene.b = room.scene.b.showing(wrong);
    loses_connection(&room.scene, &mut room.to_b).await?;
    room.scene.b.is_refused("wrong-peer").await?;
    room.scene.b = room.scene.b.showing(right);
    room.to_b = is_dialled(&room, name, 1, 0).await?;
    room.to_b.send(&ClientMessage::Resumed(Counted { received: 0 })).await?;
    room.goes_on(1).await
}

async fn instead_of_resumed(world: Arc<World>) -> Result<(), Failure> {
    let (mut room, name) = kept_by_b(&world, 15).await?;
    loses_connection(&room.scene, &mut room.to_b).await?;
    room.to_b = is_dialled(&room, name, 1, 0).await?;
    let said = ClientMessage::Session(super::chain::in_epoch(&room.epoch, message(1, "too early")));
    loses_b(room, said).await
}

async fn refuses_to_go_on(world: Arc<World>) -> Result<(), Failure> {
    let (mut room, name) = kept_by_b(&world, 15).await?;
    loses_connection(&room.scene, &mut room.to_b).await?;
    is_dialled(&room, name, 1, 0).await?.fail(ErrorCode::NoSuchSession).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await
}

async fn dialled_in_vain(world: Arc<World>) -> Result<(), Failure> {
    let (mut room, name) = kept_by_b(&world, 1).await?;
    loses_connection(&room.scene, &mut room.to_b).await?;
    let unanswered = is_dialled(&room, name, 1, 0).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    unanswered.gone().await
}

async fn not_resumed(world: Arc<World>) -> Result<(), Failure> {
    let mut room = kept_by_a(&world, 1).await?;
    loses_connection(&room.scene, &mut room.to_a).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.a.handle})).await?;
    let late = dials(&room, &room.scene.a, resume(&room, 1, 0)).await?;
    late.refused(ErrorCode::NoSuchSession).await
}
