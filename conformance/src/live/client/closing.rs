//! A client that is a member when an epoch closes: orders that nobody may obey, and the flush.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::*,
    session::{Change, Commitment, EpochHash, EpochNumber, Grant, SessionId},
};

use serde_json::json;

use super::{
    chain::{closed, commit, commitment, committed, grant, grant_claims, message, next, received, signed},
    live_cases,
    realm::Person,
    scene::Room,
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "closing/hand-over" ["SESS-087", "SESS-013", "SESS-092"]
        "the coordinator closes an epoch with a hand-over, and the next begins" => hand_over;
    "closing/by-member" ["SESS-024"] twin "closing/hand-over"
        "a member that does not coordinate closes the epoch" => by_member;
    "closing/commit-by-member" ["SESS-190"] twin "closing/hand-over"
        "a member that does not coordinate commits" => commit_by_member;
    "closing/grant-by-member" ["SESS-083"] twin "closing/hand-over"
        "the grant is another member's" => |world| refused(world, |order| order.signer = order.b);
    "closing/grant-of-other-session" ["SESS-083"] twin "closing/hand-over"
        "the grant is for another session" => |world| refused(world, |order| order.grant.session = SessionId([1; 32]));
    "closing/grant-of-other-epoch" ["SESS-083"] twin "closing/hand-over"
        "the grant is of an earlier epoch" => |world| refused(world, |order| order.grant.epoch = EpochNumber(0));
    "closing/grant-of-other-chain" ["SESS-083"] twin "closing/hand-over"
        "the grant is of another chain" => |world| refused(world, |order| order.grant.chain = EpochHash([1; 32]));
    "closing/grant-for-other-change" ["SESS-084"] twin "closing/hand-over"
        "the grant is for another change" => |world| refused(world, |order| order.grant.change = order.remove_b());
    "closing/hand-over-to-other-holder" ["SESS-084", "SESS-052"] twin "closing/hand-over"
        "the holder of a hand-over's grant is not the successor" => |world| refused(world, |order| {
            order.grant.holder = order.a.handle.clone();
        });
    "closing/removal-by-other-holder" ["SESS-084", "SESS-052"] twin "member/removes"
        "the holder of a removal's grant is not the coordinator" => |world| refused(world, |order| {
            order.order(order.remove_b());
            order.grant.holder = order.b.handle.clone();
        });
    "closing/void-of-other-newcomer" ["SESS-084"] twin "member/void"
        "a void of another newcomer than the granted one" => |world| refused(world, |order| {
            order.grant.change = Change::Join(order.c.member());
            order.change = Change::Void(order.b.handle.clone());
        });
    "closing/join-not-admitted" ["SESS-085"] twin "member/admits"
        "a join of somebody whom this member has not admitted" => |world| refused(world, |order| {
            order.order(Change::Join(order.c.member()));
            order.grant.holder = order.a.handle.clone();
        });
    "closing/leave-not-requested" ["SESS-085"] twin "member/leaves"
        "this member's leave, which it has not requested" => |world| refused(world, |order| {
            order.order(Change::Leave(order.room.me.handle.clone()));
            order.grant.holder = order.room.me.handle.clone();
        });
    "closing/own-removal" ["SESS-085"] twin "member/removes"
        "this member's own removal" => |world| refused(world, |order| {
            order.order(Change::Remove(order.room.me.handle.clone()));
            order.grant.holder = order.a.handle.clone();
        });
    "closing/removal-of-stranger" ["SESS-086"] twin "member/removes"
        "the removal of somebody who is no member" => |world| refused(world, |order| {
            order.order(Change::Remove(order.c.handle.clone()));
            order.grant.holder = order.a.handle.clone();
        });
    "closing/hand-over-to-stranger" ["SESS-086"] twin "closing/hand-over"
        "a hand-over to somebody who is no member" => |world| refused(world, |order| {
            order.order(Change::HandOver(order.c.handle.clone()));
            order.grant.holder = order.c.handle.clone();
        });
    "closing/twice" ["SESS-024"] twin "closing/hand-over"
        "the coordinator closes an epoch twice" => twice;
    "closing/commit-without-close" ["SESS-024"] twin "closing/hand-over"
        "a commit comes without a close" => commit_without_close;
    "closing/commit-of-other-chain" ["SESS-091", "SESS-157"] twin "closing/hand-over"
        "the commit is of another epoch than the one that was closed" => commit_of_other_chain;
    "closing/commit-to-other-change" ["SESS-128"] twin "closing/hand-over"
        "the commit is to another change than the one that it closed for" => commit_to_other_change;
    "closing/commit-signed-by-member" ["SESS-128"] twin "closing/hand-over"
        "the coordinator commits with another member's signature" => commit_signed_by_member;
    "closing/waits-for-messages" ["SESS-092", "SESS-108"]
        "the next epoch begins when the last message of the old one has come" => waits_for_messages;
    "closing/waits-for-no-lost-member" ["SESS-092"] twin "closing/waits-for-messages"
        "a member whose messages are missing is lost, and the next epoch begins" => waits_for_no_lost_member;
    "closing/says-nothing-more" ["SESS-088", "SESS-107"]
        "what the user says while the epoch closes is said in the next one" => says_nothing_more;
};

/// A close, each part of which may be made wrong. As it is made, a hands over to b.
struct Order<'a> {
    room: &'a Room,
    a: &'a Person,
    b: &'a Person,
    c: &'a Person,
    signer: &'a Person,
    grant: Grant,
    change: Change,
}

impl<'a> Order<'a> {
    fn good(room: &'a Room) -> Self {
        let (a, b, c) = (&room.scene.a, &room.scene.b, &room.scene.c);
        let change = Change::HandOver(b.handle.clone());
        let grant = grant_claims(&room.epoch, change.clone(), &b.handle);
        Self { room, a, b, c, signer: a, grant, change }
    }

    fn order(&mut self, change: Change) {
        self.grant.change = change.clone();
        self.change = change;
    }

    fn remove_b(&self) -> Change {
        Change::Remove(self.b.handle.clone())
    }
}

async fn hand_over(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let b = room.scene.b.handle.clone();
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.goes_on(1).await
}

async fn by_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let change = Change::HandOver(room.scene.b.handle.clone());
    // Whoever believes b believes that b coordinates, and so holds b's grants for good.
    let grant = grant(&room.epoch, change.clone(), &room.scene.b.handle, &room.scene.a)?;
    room.to_b.say(&room.epoch, SessionBody::Close(Close { grant, change })).await?;
    room.to_b.refused(ErrorCode::Forbidden).await?;
    room.scene.client.is_in(&room.epoch).await
}

async fn commit_by_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (a, b) = (room.scene.a.handle.clone(), room.scene.b.handle.clone());
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 0).await?;
    let after = next(&room.epoch, change)?;
    room.to_b
        .say(&room.epoch, commit(&room.scene.a, &after, &[(&a, 0), (&room.me.handle, 0), (&b, 0)])?)
        .await?;
    // It is kept, and no epoch begins by it.
    room.to_b.alive().await?;
    room.scene.client.is_in(&room.epoch).await
}

/// The coordinator gives an order for which its link closes with `grant-refused`.
async fn refused(world: Arc<World>, spoil: fn(&mut Order<'_>)) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut order = Order::good(&room);
    spoil(&mut order);
    let close = Close { grant: signed(&order.signer.key, &order.grant)?, change: order.change };
    room.to_a.say(&room.epoch, SessionBody::Close(close)).await?;
    room.gives_coordinator_up(ErrorCode::GrantRefused).await
}

async fn twice(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let b = room.scene.b.handle.clone();
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 0).await?;
    let grant = grant(&room.epoch, change.clone(), &b, &room.scene.a)?;
    room.to_a.say(&room.epoch, SessionBody::Close(Close { grant, change })).await?;
    room.to_a.refused(ErrorCode::GrantRefused).await
}

async fn commit_without_close(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let change = Change::HandOver(room.scene.b.handle.clone());
    let epoch = room.epoch.clone();
    room.commit(&change, [0, 0, 0]).await?;
    room.epoch = epoch;
    room.to_a.refused(ErrorCode::UnexpectedMessage).await
}

async fn commit_of_other_chain(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let b = room.scene.b.handle.clone();
    room.close(&Change::HandOver(b.clone()), &b, 0).await?;
    let after = next(&room.epoch, Change::HandOver(b.clone()))?;
    let good = commitment(&after, &[(&room.scene.a.handle, 0), (&room.me.handle, 0), (&b, 0)]);
    let other = committed(&room.scene.a, &Commitment { hash: EpochHash([1; 32]), ..good })?;
    room.to_a.say(&room.epoch, other).await?;
    room.scene.client.tells("fork", json!({"handle": room.scene.a.handle})).await?;
    room.gives_coordinator_up(ErrorCode::Fork).await
}

async fn commit_to_other_change(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let b = room.scene.b.handle.clone();
    room.close(&Change::HandOver(b.clone()), &b, 0).await?;
    room.commit(&Change::Remove(b), [0, 0, 0]).await?;
    room.to_a.refused(ErrorCode::CommitRefused).await
}

async fn commit_signed_by_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (a, b) = (room.scene.a.handle.clone(), room.scene.b.handle.clone());
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 0).await?;
    let after = next(&room.epoch, change)?;
    let sent = [(&a, 0), (&room.me.handle, 0), (&b, 0)];
    room.to_a.say(&room.epoch, commit(&room.scene.b, &after, &sent)?).await?;
    room.gives_coordinator_up(ErrorCode::CommitRefused).await
}

async fn waits_for_messages(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let b = room.scene.b.handle.clone();
    let change = Change::HandOver(b.clone());
    let before = room.epoch.clone();
    room.close(&change, &b, 0).await?;
    room.commit(&change, [0, 0, 2]).await?;
    room.to_b.say(&before, message(1, "one word more")).await?;
    room.scene.client.hears(&b, "one word more").await?;
    room.to_b.hears(&before, received(1)).await?;
    room.scene.client.is_in(&before).await?;
    room.to_b.say(&before, message(2, "the last word")).await?;
    room.scene.client.hears(&b, "the last word").await?;
    room.to_b.hears(&before, received(2)).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.goes_on(1).await
}

async fn waits_for_no_lost_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (a, b) = (room.scene.a.handle.clone(), room.scene.b.handle.clone());
    let change = Change::Remove(b.clone());
    room.close(&change, &a, 0).await?;
    room.commit(&change, [0, 0, 3]).await?;
    room.to_a.alive().await?;
    drop(room.to_b);
    room.scene.client.begins(&room.epoch).await
}

async fn says_nothing_more(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (session, b) = (room.epoch.session, room.scene.b.handle.clone());
    let before = room.epoch.clone();
    room.scene.client.say(session, "in time").await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        link.hears(&before, message(1, "in time")).await?;
    }
    let change = Change::HandOver(b.clone());
    let grant = grant(&before, change.clone(), &b, &room.scene.a)?;
    room.to_a.say(&before, SessionBody::Close(Close { grant, change: change.clone() })).await?;
    room.to_a.hears(&before, closed(1)).await?;
    room.scene.client.say(session, "too late").await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        link.alive().await?;
    }
    room.commit(&change, [0, 1, 0]).await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        link.hears(&room.epoch, message(1, "too late")).await?;
    }
    Ok(())
}
