//! A client that joins: what it does with its welcome, whom it dials, when it says that it is complete.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::ContactAddress,
    media_type::MediaTypes,
    message::client_client::*,
    session::{Change, Commitment, Epoch, EpochHash, Member, Nonce, SessionId},
};
use serde_json::json;

use super::{
    chain::{
        admit, commit, commitment, committed, epoch_of, forked, in_epoch, message, next, received, ticket,
    },
    line::Link,
    live_cases,
    scene::{Door, Scene, named, welcome},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "newcomer/joins" ["SESS-064", "SESS-063", "SESS-075", "SESS-031", "SESS-013", "SESS-014", "SESS-015"] "a newcomer shows its ticket to every member, completes, and is a member with the commit" => joins;
    "newcomer/completes-after-all" ["SESS-075"] twin "newcomer/joins" "one of two members has admitted the newcomer" => completes_after_all;
    "newcomer/member-with-other-key" ["SESS-063", "CERT-023"] twin "newcomer/joins" "a member's address leads to the same handle with another key" => other_key;
    "newcomer/member-with-other-handle" ["SESS-063", "CERT-023"] twin "newcomer/joins" "a member's address leads to another user" => other_handle;
    "newcomer/member-unreachable" ["SESS-076"] twin "newcomer/joins" "nobody listens at a member's address" => unreachable;
    "newcomer/refused-by-member" ["SESS-076"] twin "newcomer/joins" "a member refuses the ticket" => refused_by_member;
    "newcomer/member-lost" ["SESS-076"] twin "newcomer/joins" "the link to a member is lost before all have admitted the newcomer" => member_lost;
    "newcomer/user-gives-up" ["SESS-076"] twin "newcomer/joins" "the user gives up joining before all have admitted the newcomer" => gives_up;
    "newcomer/leaves-before-commit" ["SESS-077"] "the user wants to leave after the newcomer has completed" => leaves_before_commit;
    "newcomer/welcome-of-other-session" ["SESS-060"] twin "newcomer/joins" "a welcome into another session" => |world| bad_welcome(world, ErrorCode::SessionIdForged, |e, _, _| { e.session = SessionId([1; 32]); Ok(()) });
    "newcomer/welcome-of-other-origin" ["SESS-060"] twin "newcomer/joins" "a welcome with another origin" => |world| bad_welcome(world, ErrorCode::SessionIdForged, |e, _, _| { e.origin.nonce = Nonce([1; 16]); Ok(()) });
    "newcomer/welcome-unordered" ["SESS-062"] twin "newcomer/joins" "members against their order" => |world| bad_welcome(world, ErrorCode::Malformed, |e, _, _| { e.members = e.members.iter().rev().cloned().collect(); Ok(()) });
    "newcomer/welcome-with-one-key-twice" ["SESS-062"] twin "newcomer/joins" "two members with one key" => |world| bad_welcome(world, ErrorCode::Malformed, |e, _, scene| { let key = scene.a.key.key_hash(); e.members = e.members.iter().cloned().map(|m| Member { key, ..m }).collect(); Ok(()) });
    "newcomer/welcome-without-inviter" ["SESS-062"] twin "newcomer/joins" "the inviter is not among the members" => |world| bad_welcome(world, ErrorCode::Malformed, |e, _, scene| { e.members = e.members.iter().filter(|m| m.handle != scene.a.handle).cloned().collect(); e.coordinator = scene.b.handle.clone(); Ok(()) });
    "newcomer/welcome-with-other-key-of-inviter" ["SESS-062"] twin "newcomer/joins" "the inviter is listed with another key than the link's" => |world| bad_welcome(world, ErrorCode::Malformed, |e, _, scene| { let key = scene.c.key.key_hash(); e.members = e.members.iter().cloned().map(|m| if m.handle == scene.a.handle { Member { key, ..m } } else { m }).collect(); Ok(()) });
    "newcomer/welcome-without-coordinator" ["SESS-062"] twin "newcomer/joins" "the coordinator is not among the members" => |world| bad_welcome(world, ErrorCode::Malformed, |e, _, scene| { e.coordinator = scene.c.handle.clone(); Ok(()) });
    "newcomer/welcome-with-newcomer" ["SESS-062"] twin "newcomer/joins" "the newcomer is among the members" => |world| bad_welcome(world, ErrorCode::Malformed, |e, me, _| { *e = next(e, Change::Join(me.clone()))?; Ok(()) });
    "newcomer/welcome-with-newcomers-key" ["SESS-062"] twin "newcomer/joins" "a member has the newcomer's key" => |world| bad_welcome(world, ErrorCode::Malformed, |e, me, scene| { *e = next(e, Change::Join(Member { key: me.key, ..scene.c.member() }))?; Ok(()) });
    "newcomer/welcome-full" ["SESS-061"] twin "newcomer/joins" "a welcome with 32 members" => |world| bad_welcome(world, ErrorCode::SessionFull, fill);
    "newcomer/welcome-again" ["SESS-024"] twin "newcomer/joins" "a second welcome comes" => welcome_again;
    "newcomer/admitted-twice" ["SESS-024"] twin "newcomer/joins" "a member says twice that it has admitted the newcomer" => admitted_twice;
    "newcomer/admitted-in-fork" ["SESS-023"] twin "newcomer/joins" "a member admits the newcomer in an epoch with another hash" => admitted_in_fork;
    "newcomer/commit-before-complete" ["SESS-024"] twin "newcomer/joins" "the coordinator commits before all have admitted the newcomer" => commit_before_complete;
    "newcomer/commit-of-member" ["SESS-024"] twin "newcomer/joins" "a member that does not coordinate commits" => commit_of_member;
    "newcomer/commit-of-other-chain" ["SESS-080"] twin "newcomer/joins" "the commit is of another chain" => commit_of_other_chain;
    "newcomer/message-before-commit" ["SESS-079", "SESS-017"] "a member speaks in the next epoch before the newcomer has the commit" => early;
    "newcomer/message-of-own-epoch" ["SESS-024"] twin "newcomer/message-before-commit" "a member speaks to the newcomer in the epoch that closes" => too_early;
    "newcomer/cancelled" ["SESS-037"] twin "newcomer/joins" "the inviter takes the invitation back after the welcome" => cancelled;
    "newcomer/stranger-comes" ["SESS-038"] twin "newcomer/joins" "somebody who is no member talks to the newcomer" => stranger;
};

async fn joins(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Door::completed(&world).await?.through().await?;
    room.scene.client.is_in(&room.epoch).await?;
    room.goes_on(1).await
}

fn admitted() -> SessionBody {
    SessionBody::Admitted(Admitted {})
}

fn complete() -> SessionBody {
    SessionBody::Complete(Complete {})
}

async fn completes_after_all(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_a.say(&door.epoch, admitted()).await?;
    // The client has read what came before the ping, and has had time to answer while b's link was used.
    door.to_a.alive().await?;
    door.to_b.alive().await?;
    door.scene.client.has_not_told("epoch").await?;
    door.to_a.alive().await?;
    door.to_b.say(&door.epoch, admitted()).await?;
    door.to_a.hears(&door.epoch, complete()).await
}

/// The client has accepted to join a session of a and b, and gets a welcome in which b is described so.
async fn welcomed_with(
    world: &World,
    describe: impl FnOnce(&Scene) -> Member,
) -> Result<(Scene, Link, Epoch), Failure> {
    let mut scene = Scene::new(world).await?;
    let described = describe(&scene);
    let alone = epoch_of(&scene.a, &[])?;
    let epoch = next(&alone, Change::Join(described))?;
    let (mut to_a, me) = scene.accepted(&epoch).await?;
    let ticket = ticket(&epoch, &me, &scene.a, &scene.a)?;
    to_a.invitation(epoch.session, welcome(&epoch, &ticket)).await?;
    to_a.hears(&epoch, admit(ticket)).await?;
    Ok((scene, to_a, epoch))
}

/// The newcomer tells its inviter that it does not come, and its user that the join is off.
async fn is_off(scene: &mut Scene, mut to_a: Link, epoch: &Epoch) -> Result<(), Failure> {
    to_a.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await?;
    to_a.left().await?;
    scene.client.tells("ended", json!({"session": named(epoch.session)})).await
}

async fn other_key(world: Arc<World>) -> Result<(), Failure> {
    let describe = |scene: &Scene| Member { key: scene.c.key.key_hash(), ..scene.b.member() };
    let (mut scene, to_a, epoch) = welcomed_with(&world, describe).await?;
    scene.b.is_refused("wrong-key").await?;
    is_off(&mut scene, to_a, &epoch).await
}

async fn other_handle(world: Arc<World>) -> Result<(), Failure> {
    let describe = |scene: &Scene| {
        scene.server.book(|book| book.addresses.insert(scene.b.handle.clone(), scene.c.address));
        scene.b.member()
    };
    let (mut scene, to_a, epoch) = welcomed_with(&world, describe).await?;
    scene.c.is_refused("wrong-peer").await?;
    is_off(&mut scene, to_a, &epoch).await
}

async fn unreachable(world: Arc<World>) -> Result<(), Failure> {
    // Nobody listens at a port that was given back a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(Failure::harness)?;
    let address = ContactAddress(listener.local_addr().map_err(Failure::harness)?);
    drop(listener);
    let describe = |scene: &Scene| {
        scene.server.book(|book| book.addresses.insert(scene.b.handle.clone(), address));
        scene.b.member()
    };
    let (mut scene, to_a, epoch) = welcomed_with(&world, describe).await?;
    is_off(&mut scene, to_a, &epoch).await
}

async fn refused_by_member(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_b.fail(ErrorCode::TicketEpoch).await?;
    is_off(&mut door.scene, door.to_a, &door.epoch).await
}

async fn member_lost(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_b.say(&door.epoch, admitted()).await?;
    door.to_b.alive().await?;
    drop(door.to_b);
    is_off(&mut door.scene, door.to_a, &door.epoch).await
}

async fn gives_up(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.scene.client.take("leave", door.epoch.session).await?;
    door.to_b.left().await?;
    is_off(&mut door.scene, door.to_a, &door.epoch).await
}

async fn leaves_before_commit(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::completed(&world).await?;
    door.scene.client.take("leave", door.epoch.session).await?;
    door.scene.client.has_not_told("ended").await?;
    let mut room = door.through().await?;
    let leave = Change::Leave(room.me.handle.clone());
    room.to_a.hears(&room.epoch, super::chain::request(1, leave)).await
}

async fn bad_welcome(
    world: Arc<World>,
    code: ErrorCode,
    spoil: fn(&mut Epoch, &Member, &Scene) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let epoch = epoch_of(&scene.a, &[&scene.b])?;
    let (mut to_a, me) = scene.accepted(&epoch).await?;
    let ticket = ticket(&epoch, &me, &scene.a, &scene.a)?;
    let mut spoiled = epoch.clone();
    spoil(&mut spoiled, &me, &scene)?;
    to_a.invitation(epoch.session, welcome(&spoiled, &ticket)).await?;
    to_a.refused(code).await?;
    scene.client.tells("ended", json!({"session": named(epoch.session)})).await
}

fn fill(epoch: &mut Epoch, _: &Member, scene: &Scene) -> Result<(), Failure> {
    for number in 0xa0u8..0xbe {
        let handle = scene.realm.home.handle(number);
        let key = antiphon_spec::identity::KeyHash([number; 32]);
        *epoch = next(
            epoch,
            Change::Join(Member { key, relay: scene.c.relay, handle, accepts: MediaTypes::default() }),
        )?;
    }
    Ok(())
}

async fn welcome_again(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_a.invitation(door.epoch.session, welcome(&door.epoch, &door.ticket)).await?;
    fails_at_a(door, ErrorCode::UnexpectedMessage).await
}

/// The newcomer rejects at its inviter a, and closes that link with the code.
async fn fails_at_a(mut door: Door, code: ErrorCode) -> Result<(), Failure> {
    door.to_a.hears_step(door.epoch.session, InvitationBody::Reject(Reject {})).await?;
    door.to_a.refused(code).await?;
    door.to_b.left().await?;
    door.scene.client.tells("ended", json!({"session": named(door.epoch.session)})).await
}

async fn admitted_twice(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_a.say(&door.epoch, admitted()).await?;
    door.to_a.say(&door.epoch, admitted()).await?;
    fails_at_a(door, ErrorCode::UnexpectedMessage).await
}

async fn admitted_in_fork(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_a.say_as_is(forked(&door.epoch, admitted())).await?;
    fails_at_a(door, ErrorCode::Fork).await
}

async fn commit_before_complete(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    let (after, a, b) = (door.after()?, door.scene.a.handle.clone(), door.scene.b.handle.clone());
    door.to_a.say(&door.epoch, admitted()).await?;
    door.to_a.say(&door.epoch, commit(&door.scene.a, &after, &[(&a, 0), (&b, 0)])?).await?;
    fails_at_a(door, ErrorCode::UnexpectedMessage).await
}

async fn commit_of_member(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::completed(&world).await?;
    let (after, a, b) = (door.after()?, door.scene.a.handle.clone(), door.scene.b.handle.clone());
    door.to_b.say(&door.epoch, commit(&door.scene.a, &after, &[(&a, 0), (&b, 0)])?).await?;
    door.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    is_off(&mut door.scene, door.to_a, &door.epoch).await
}

async fn commit_of_other_chain(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::completed(&world).await?;
    let after = door.after()?;
    let (a, b) = (door.scene.a.handle.clone(), door.scene.b.handle.clone());
    let good = commitment(&after, &[(&a, 0), (&b, 0)]);
    let other = committed(&door.scene.a, &Commitment { hash: EpochHash([1; 32]), ..good })?;
    door.to_a.say(&door.epoch, other).await?;
    fails_at_a(door, ErrorCode::Fork).await
}

async fn early(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::completed(&world).await?;
    let after = door.after()?;
    door.to_b.say(&after, message(1, "early")).await?;
    door.to_b.alive().await?;
    door.scene.client.has_not_told("message").await?;
    let mut room = door.through().await?;
    room.scene.client.hears(&room.scene.b.handle, "early").await?;
    room.to_b.hears(&room.epoch, received(1)).await?;
    room.goes_on(2).await
}

async fn too_early(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::completed(&world).await?;
    door.to_b.say(&door.epoch, message(1, "not for you")).await?;
    door.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    is_off(&mut door.scene, door.to_a, &door.epoch).await
}

async fn cancelled(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    door.to_a.invitation(door.epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    door.to_a.left().await?;
    door.to_b.left().await?;
    door.scene.client.tells("ended", json!({"session": named(door.epoch.session)})).await
}

async fn stranger(world: Arc<World>) -> Result<(), Failure> {
    let mut door = Door::new(&world).await?;
    let mut to_c = door.scene.dial(&door.scene.c).await?;
    to_c.say_as_is(in_epoch(&door.epoch, message(1, "hello"))).await?;
    to_c.refused(ErrorCode::NoSuchSession).await?;
    door.to_b.say(&door.epoch, admitted()).await?;
    door.to_a.say(&door.epoch, admitted()).await?;
    door.to_a.hears(&door.epoch, complete()).await?;
    door.through().await.map(drop)
}
