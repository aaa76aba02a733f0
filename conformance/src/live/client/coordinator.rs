//! A client that coordinates: grants, closings, removals, and how it hands its part over.

use std::sync::Arc;

use antiphon_protocol::signed::{hash_epoch, verify};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::KeyHash,
    message::client_client::*,
    session::{Change, Grant, Member, Ticket},
    signed::Signed,
};
use serde_json::json;

use super::{
    chain::{admit, closed, commit, grant, message, next, received, request, signed, ticket, ticket_claims},
    line::{Link, shown},
    live_cases,
    realm::{Person, now},
    scene::{Chair, named},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "coordinator/joins" ["SESS-058", "SESS-081", "SESS-089", "SESS-090", "SESS-074"]
        "a creator's first two invitees join, and the epochs are closed and committed" => joins;
    "coordinator/grants" ["SESS-053", "SESS-054", "SESS-052"]
        "a member's request for a join is granted to it" => grants;
    "coordinator/grants-one" ["SESS-051", "SESS-046"] twin "coordinator/grants"
        "a second request waits until the epoch of the first is over" => grants_one;
    "coordinator/order-of-requests" ["SESS-047"]
        "requests are served in the order in which they came" => order;
    "coordinator/repeated-request" ["SESS-046"] twin "coordinator/grants"
        "a request comes again while it is served" => repeated;
    "coordinator/refuses-member" ["SESS-048"] twin "coordinator/grants"
        "a join of a member is requested" => |world| refuses(world, |chair| Change::Join(chair.me.clone()));
    "coordinator/refuses-members-key" ["SESS-048"] twin "coordinator/grants"
        "a join with a member's key is requested" => |world| refuses(world, |chair| {
            Change::Join(Member { key: chair.me.key, ..chair.scene.c.member() })
        });
    "coordinator/forbids-leave-of-another" ["SESS-045"] twin "coordinator/leave-of-member"
        "a member requests the leave of another" => |world| forbids(world, |chair| Change::Leave(chair.me.handle.clone()));
    "coordinator/forbids-removal" ["SESS-045"] twin "coordinator/leave-of-member"
        "a member requests a removal" => |world| forbids(world, |chair| Change::Remove(chair.scene.b.handle.clone()));
    "coordinator/forbids-hand-over" ["SESS-045"] twin "coordinator/leave-of-member"
        "a member requests a hand-over" => |world| forbids(world, |chair| Change::HandOver(chair.scene.a.handle.clone()));
    "coordinator/forbids-void" ["SESS-045"] twin "coordinator/leave-of-member"
        "a member requests a void" => |world| forbids(world, |chair| Change::Void(chair.scene.c.handle.clone()));
    "coordinator/too-many-requests" ["SESS-049", "LIM-001"]
        "a member has 33 requests queued, and one more is refused" => too_many;
    "coordinator/leave-of-member" ["SESS-081", "SESS-052", "SESS-094"]
        "a member leaves" => leave_of_member;
    "coordinator/void-after-return" ["SESS-057", "SESS-082"] twin "coordinator/grants"
        "the holder gives the token back" => void_after_return;
    "coordinator/void-after-newcomer-lost" ["SESS-057"] twin "coordinator/grants"
        "the link to the admitted newcomer is lost" => void_after_newcomer_lost;
    "coordinator/void-after-member-lost" ["SESS-057", "SESS-117"] twin "coordinator/grants"
        "a member is lost while the token is out: the join is void, then the member is removed" => void_after_member_lost;
    "coordinator/removes-lost" ["SESS-117", "SESS-119", "SESS-122"]
        "a member is lost, and removed" => removes_lost;
    "coordinator/removes-before-requests" ["SESS-047"] twin "coordinator/order-of-requests"
        "a member is lost while requests wait, and its removal comes first" => removes_before_requests;
    "coordinator/drops-requests-of-lost" ["SESS-118"]
        "a member is lost that had requests waiting" => drops_requests;
    "coordinator/waits-for-no-lost" ["SESS-119"]
        "a member is lost that has not closed the epoch" => waits_for_no_lost;
    "coordinator/waits-for-closed" ["SESS-089"] twin "coordinator/joins"
        "one of two members has not closed the epoch" => waits_for_closed;
    "coordinator/counts" ["SESS-090", "SESS-092"]
        "the commit counts what each member has said, and the client waits for the last of it" => counts;
    "coordinator/closed-twice" ["SESS-024"] twin "coordinator/joins"
        "a member says twice that it has closed" => closed_twice;
    "coordinator/closed-without-close" ["SESS-024"] twin "coordinator/joins"
        "a member says that it has closed an epoch that is not closing" => closed_without_close;
    "coordinator/complete-of-member" ["SESS-024"] twin "coordinator/joins"
        "a member says that it is complete" => complete_of_member;
    "coordinator/return-without-token" ["SESS-025"]
        "a member gives a token back that it does not hold" => return_without_token;
    "coordinator/answer-without-offer" ["SESS-025"]
        "a member answers an offer that was not made" => answer_without_offer;
    "coordinator/order-of-member" ["SESS-024"]
        "a member closes the epoch of the coordinator" => order_of_member;
    "coordinator/hands-over" ["SESS-101", "SESS-103", "SESS-106", "SESS-081"]
        "the user leaves: the lowest handle is asked, takes over, and lets the client go" => hands_over;
    "coordinator/hand-over-declined" ["SESS-105", "SESS-101", "SESS-103"] twin "coordinator/hands-over"
        "the lowest handle declines, and its request is served before the next is asked" => declined;
    "coordinator/successor-lost" ["SESS-104"] twin "coordinator/hands-over"
        "the member that was asked is lost" => successor_lost;
    "coordinator/answer-of-another" ["SESS-025"] twin "coordinator/hands-over"
        "another member than the one asked answers the offer" => answer_of_another;
    "coordinator/leaves-alone" ["SESS-100"]
        "the only member leaves" => leaves_alone;
    "coordinator/admit-of-lost-member" ["SESS-010", "SESS-065"]
        "a member opens a second link with a ticket" => second_link;
};

async fn joins(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    chair.scene.client.is_in(&chair.epoch).await?;
    for link in [&mut to_a, &mut to_b] {
        link.say(&chair.epoch, message(1, "hello")).await?;
        link.hears(&chair.epoch, received(1)).await?;
    }
    Ok(())
}

impl Chair {
    fn join_of_c(&self) -> Change {
        Change::Join(self.scene.c.member())
    }

    /// The grant of a request of this number, which the coordinator has signed for this change and the holder.
    async fn grants(
        &self,
        link: &mut Link,
        number: u64,
        change: &Change,
        holder: &Person,
    ) -> Result<Signed<Grant>, Failure> {
        let granted = match link.heard(&self.epoch).await? {
            SessionBody::TokenGrant(granted) if granted.number.0 == number => granted.grant,
            other => {
                return Err(Failure::unexpected(format!("the grant of request {number}"), shown(&other)));
            }
        };
        let claims = self.check_grant(link, &granted)?;
        if claims.change == *change && claims.holder == holder.handle {
            Ok(granted)
        } else {
            Err(Failure::unexpected(
                format!("a grant of {} to {}", shown(change), holder.handle),
                shown(&claims),
            ))
        }
    }

    /// What a grant says that has to be the client's for this epoch.
    fn check_grant(&self, link: &Link, grant: &Signed<Grant>) -> Result<Grant, Failure> {
        let claims = verify(grant, &link.client_key()?);
        let claims =
            claims.map_err(|_| Failure::unexpected("a grant that the coordinator signed", shown(grant)))?;
        let ahead = claims.not_after.0.saturating_sub(now().0);
        let here = claims.session == self.session
            && claims.epoch == self.epoch.number
            && claims.chain == hash_epoch(&self.epoch);
        if here && (15..=30).contains(&ahead) {
            Ok(claims)
        } else {
            Err(Failure::unexpected("the session, the epoch, its hash, and 30 seconds ahead", shown(&claims)))
        }
    }

    /// The client closes the epoch for a change, with a good grant. The members agree, and get the commit.
    async fn ends(
        &mut self,
        links: &mut [&mut Link],
        change: &Change,
        granted: &Change,
    ) -> Result<(), Failure> {
        for link in links.iter_mut() {
            let close = self.closes(link, change).await?;
            let claims = self.check_grant(link, &close.grant)?;
            if claims.change != *granted {
                return Err(Failure::unexpected(format!("a grant of {}", shown(granted)), shown(&claims)));
            }
        }
        for link in links.iter_mut() {
            link.say(&self.epoch, closed(0)).await?;
        }
        self.commits(links, change).await
    }

    /// The client commits an epoch in which nobody has said anything; who is removed does not count.
    async fn commits(&mut self, links: &mut [&mut Link], change: &Change) -> Result<(), Failure> {
        let after = next(&self.epoch, change.clone())?;
        let lost = if let Change::Remove(lost) = change { Some(lost) } else { None };
        let sent: Vec<_> =
            self.epoch.handles().filter(|handle| Some(*handle) != lost).map(|handle| (handle, 0)).collect();
        for link in links.iter_mut() {
            link.hears_commit(&self.epoch, &after, &sent).await?;
        }
        self.epoch = after;
        self.scene.client.begins(&self.epoch).await
    }

    /// Person c shows this ticket over a link of its own, and is admitted.
    async fn admits_c(&self, ticket: Signed<Ticket>) -> Result<Link, Failure> {
        let mut link = self.scene.dial(&self.scene.c).await?;
        link.say(&self.epoch, admit(ticket)).await?;
        link.hears(&self.epoch, SessionBody::Admitted(Admitted {})).await?;
        Ok(link)
    }

    fn leave_of(person: &Person) -> Change {
        Change::Leave(person.handle.clone())
    }
}

async fn grants(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    let grant = chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    let ticket = signed(
        &chair.scene.a.key,
        &ticket_claims(&chair.epoch, &chair.scene.c.member(), &chair.scene.a.handle, grant),
    )?;
    let mut to_c = chair.admits_c(ticket).await?;
    to_c.say(&chair.epoch, SessionBody::Complete(Complete {})).await?;
    for link in [&mut to_a, &mut to_b] {
        link.say(&chair.epoch, SessionBody::Admitted(Admitted {})).await?;
    }
    for link in [&mut to_a, &mut to_b] {
        chair.closes(link, &join).await?;
        link.say(&chair.epoch, closed(0)).await?;
    }
    chair.commits(&mut [&mut to_a, &mut to_b, &mut to_c], &join).await
}

async fn grants_one(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    let other = Change::Join(Member {
        handle: chair.scene.realm.home.handle(0xd0),
        key: KeyHash([3; 32]),
        ..chair.scene.c.member()
    });
    to_b.say(&chair.epoch, request(1, other.clone())).await?;
    to_b.alive().await?;
    chair.scene.client.is_in(&chair.epoch).await?;
    to_b.alive().await?;
    to_a.say(&chair.epoch, SessionBody::TokenReturn(TokenReturn {})).await?;
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.ends(&mut [&mut to_a, &mut to_b], &void, &join).await?;
    chair.grants(&mut to_b, 1, &other, &chair.scene.b).await.map(drop)
}

async fn order(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let (join, leave) = (chair.join_of_c(), Chair::leave_of(&chair.scene.b));
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    to_b.say(&chair.epoch, request(1, leave.clone())).await?;
    // The client has handled b's request when it has told of what b said behind it.
    to_b.say(&chair.epoch, message(1, "first")).await?;
    to_b.hears(&chair.epoch, received(1)).await?;
    to_a.say(&chair.epoch, request(2, join.clone())).await?;
    to_a.say(&chair.epoch, SessionBody::TokenReturn(TokenReturn {})).await?;
    let void = Change::Void(chair.scene.c.handle.clone());
    for link in [&mut to_a, &mut to_b] {
        chair.closes(link, &void).await?;
    }
    to_a.say(&chair.epoch, closed(0)).await?;
    to_b.say(&chair.epoch, closed(1)).await?;
    let after = next(&chair.epoch, void)?;
    let sent = [(&chair.scene.a.handle, 0), (&chair.me.handle, 0), (&chair.scene.b.handle, 1)];
    for link in [&mut to_a, &mut to_b] {
        link.hears_commit(&chair.epoch, &after, &sent).await?;
    }
    chair.epoch = after;
    chair.scene.client.begins(&chair.epoch).await?;
    chair.ends(&mut [&mut to_a, &mut to_b], &leave, &leave).await?;
    to_b.left().await?;
    chair.grants(&mut to_a, 2, &join, &chair.scene.a).await.map(drop)
}

async fn repeated(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    to_a.say(&chair.epoch, SessionBody::TokenReturn(TokenReturn {})).await?;
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.ends(&mut [&mut to_a, &mut to_b], &void, &join).await?;
    // A second grant would come before the acknowledgement.
    to_a.say(&chair.epoch, message(1, "that was all")).await?;
    to_a.hears(&chair.epoch, received(1)).await
}

async fn refuses(world: Arc<World>, change: fn(&Chair) -> Change) -> Result<(), Failure> {
    let (chair, mut to_a) = Chair::of_two(&world).await?;
    to_a.say(&chair.epoch, request(1, change(&chair))).await?;
    let refused = TokenRefused { code: ErrorCode::AlreadyMember, number: RequestNumber(1) };
    to_a.hears(&chair.epoch, SessionBody::TokenRefused(refused)).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(2, join.clone())).await?;
    chair.grants(&mut to_a, 2, &join, &chair.scene.a).await.map(drop)
}

async fn forbids(world: Arc<World>, change: fn(&Chair) -> Change) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    to_a.say(&chair.epoch, request(1, change(&chair))).await?;
    to_a.refused(ErrorCode::Forbidden).await?;
    let removal = Change::Remove(chair.scene.a.handle.clone());
    chair.ends(&mut [&mut to_b], &removal, &removal).await
}

async fn too_many(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut to_a) = Chair::of_two(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    for number in 2..=35 {
        to_a.say(&chair.epoch, request(number, join.clone())).await?;
    }
    let refused = TokenRefused { code: ErrorCode::LimitReached, number: RequestNumber(35) };
    to_a.hears(&chair.epoch, SessionBody::TokenRefused(refused)).await
}

async fn leave_of_member(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let leave = Chair::leave_of(&chair.scene.a);
    to_a.say(&chair.epoch, request(1, leave.clone())).await?;
    chair.ends(&mut [&mut to_a, &mut to_b], &leave, &leave).await?;
    to_a.left().await?;
    chair.scene.client.has_not_told("member-lost").await
}

async fn void_after_return(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    to_a.say(&chair.epoch, SessionBody::TokenReturn(TokenReturn {})).await?;
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.ends(&mut [&mut to_a, &mut to_b], &void, &join).await
}

/// The token is out for person c, whom the client has admitted.
async fn admitted(world: &World) -> Result<(Chair, Link, Link, Link), Failure> {
    let (chair, mut to_a, to_b) = Chair::of_three(world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    let grant = chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    let claims = ticket_claims(&chair.epoch, &chair.scene.c.member(), &chair.scene.a.handle, grant);
    let to_c = chair.admits_c(signed(&chair.scene.a.key, &claims)?).await?;
    Ok((chair, to_a, to_b, to_c))
}

async fn void_after_newcomer_lost(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b, to_c) = admitted(&world).await?;
    drop(to_c);
    let (void, join) = (Change::Void(chair.scene.c.handle.clone()), chair.join_of_c());
    chair.ends(&mut [&mut to_a, &mut to_b], &void, &join).await
}

async fn void_after_member_lost(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, to_b, to_c) = admitted(&world).await?;
    drop(to_b);
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.closes(&mut to_a, &void).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    let after = next(&chair.epoch, void)?;
    to_a.hears_commit(&chair.epoch, &after, &[(&chair.scene.a.handle, 0), (&chair.me.handle, 0)]).await?;
    to_c.left().await?;
    chair.epoch = after;
    chair.scene.client.begins(&chair.epoch).await?;
    let removal = Change::Remove(chair.scene.b.handle.clone());
    chair.ends(&mut [&mut to_a], &removal, &removal).await
}

async fn removes_lost(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, to_b) = Chair::of_three(&world).await?;
    drop(to_b);
    chair.scene.client.tells("member-lost", json!({"handle": chair.scene.b.handle})).await?;
    let removal = Change::Remove(chair.scene.b.handle.clone());
    chair.ends(&mut [&mut to_a], &removal, &removal).await
}

async fn removes_before_requests(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    let leave = Chair::leave_of(&chair.scene.a);
    to_a.say(&chair.epoch, request(2, leave.clone())).await?;
    to_a.say(&chair.epoch, message(1, "and then I go")).await?;
    to_a.hears(&chair.epoch, received(1)).await?;
    drop(to_b);
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.closes(&mut to_a, &void).await?;
    to_a.say(&chair.epoch, closed(1)).await?;
    let after = next(&chair.epoch, void)?;
    to_a.hears_commit(&chair.epoch, &after, &[(&chair.scene.a.handle, 1), (&chair.me.handle, 0)]).await?;
    chair.epoch = after;
    chair.scene.client.begins(&chair.epoch).await?;
    let removal = Change::Remove(chair.scene.b.handle.clone());
    chair.ends(&mut [&mut to_a], &removal, &removal).await?;
    chair.ends(&mut [&mut to_a], &leave, &leave).await
}

async fn drops_requests(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    let join = chair.join_of_c();
    to_a.say(&chair.epoch, request(1, join.clone())).await?;
    chair.grants(&mut to_a, 1, &join, &chair.scene.a).await?;
    to_b.say(&chair.epoch, request(1, Chair::leave_of(&chair.scene.b))).await?;
    to_b.alive().await?;
    drop(to_b);
    let void = Change::Void(chair.scene.c.handle.clone());
    chair.closes(&mut to_a, &void).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    let after = next(&chair.epoch, void)?;
    to_a.hears_commit(&chair.epoch, &after, &[(&chair.scene.a.handle, 0), (&chair.me.handle, 0)]).await?;
    chair.epoch = after;
    chair.scene.client.begins(&chair.epoch).await?;
    let removal = Change::Remove(chair.scene.b.handle.clone());
    chair.ends(&mut [&mut to_a], &removal, &removal).await?;
    to_a.say(&chair.epoch, request(2, join.clone())).await?;
    chair.grants(&mut to_a, 2, &join, &chair.scene.a).await.map(drop)
}

/// Person a leaves, and the client has told both members so; neither has answered.
async fn a_leaves(world: &World) -> Result<(Chair, Link, Link, Change), Failure> {
    let (chair, mut to_a, mut to_b) = Chair::of_three(world).await?;
    let leave = Chair::leave_of(&chair.scene.a);
    to_a.say(&chair.epoch, request(1, leave.clone())).await?;
    for link in [&mut to_a, &mut to_b] {
        chair.closes(link, &leave).await?;
    }
    Ok((chair, to_a, to_b, leave))
}

async fn waits_for_no_lost(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut to_a, to_b, leave) = a_leaves(&world).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    to_a.alive().await?;
    drop(to_b);
    let after = next(&chair.epoch, leave)?;
    to_a.hears_commit(&chair.epoch, &after, &[(&chair.scene.a.handle, 0), (&chair.me.handle, 0)]).await
}

async fn waits_for_closed(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b, leave) = a_leaves(&world).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    // A commit would come before the pongs.
    to_a.alive().await?;
    to_b.alive().await?;
    chair.scene.client.is_in(&chair.epoch).await?;
    to_b.say(&chair.epoch, closed(0)).await?;
    chair.commits(&mut [&mut to_a, &mut to_b], &leave).await
}

async fn counts(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    to_b.say(&chair.epoch, message(1, "one")).await?;
    to_b.hears(&chair.epoch, received(1)).await?;
    chair.scene.client.say(chair.session, "mine").await?;
    for link in [&mut to_a, &mut to_b] {
        link.hears(&chair.epoch, message(1, "mine")).await?;
    }
    let leave = Chair::leave_of(&chair.scene.a);
    to_a.say(&chair.epoch, request(1, leave.clone())).await?;
    for link in [&mut to_a, &mut to_b] {
        chair.closes(link, &leave).await?;
    }
    to_a.say(&chair.epoch, closed(0)).await?;
    // b's second message is still on its way when its count is there.
    to_b.say(&chair.epoch, closed(2)).await?;
    let after = next(&chair.epoch, leave)?;
    let sent = [(&chair.scene.a.handle, 0), (&chair.me.handle, 1), (&chair.scene.b.handle, 2)];
    for link in [&mut to_a, &mut to_b] {
        link.hears_commit(&chair.epoch, &after, &sent).await?;
    }
    chair.scene.client.is_in(&chair.epoch).await?;
    to_b.say(&chair.epoch, message(2, "two")).await?;
    to_b.hears(&chair.epoch, received(2)).await?;
    chair.scene.client.begins(&after).await
}

async fn closed_twice(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut to_a, _to_b, _) = a_leaves(&world).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    to_a.say(&chair.epoch, closed(0)).await?;
    to_a.refused(ErrorCode::UnexpectedMessage).await
}

/// A member says something for which its link closes with this code, and which gets it removed.
async fn a_is_refused(world: Arc<World>, code: ErrorCode, said: SessionBody) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    to_a.say(&chair.epoch, said).await?;
    to_a.refused(code).await?;
    let removal = Change::Remove(chair.scene.a.handle.clone());
    chair.ends(&mut [&mut to_b], &removal, &removal).await
}

async fn closed_without_close(world: Arc<World>) -> Result<(), Failure> {
    a_is_refused(world, ErrorCode::UnexpectedMessage, closed(0)).await
}

async fn complete_of_member(world: Arc<World>) -> Result<(), Failure> {
    a_is_refused(world, ErrorCode::UnexpectedMessage, SessionBody::Complete(Complete {})).await
}

async fn order_of_member(world: Arc<World>) -> Result<(), Failure> {
    a_is_refused(world, ErrorCode::Forbidden, SessionBody::HandOver(HandOver {})).await
}

async fn is_late(world: Arc<World>, said: SessionBody) -> Result<(), Failure> {
    let (chair, mut to_a) = Chair::of_two(&world).await?;
    to_a.say(&chair.epoch, said).await?;
    to_a.say(&chair.epoch, message(1, "never mind")).await?;
    to_a.hears(&chair.epoch, received(1)).await
}

async fn return_without_token(world: Arc<World>) -> Result<(), Failure> {
    is_late(world, SessionBody::TokenReturn(TokenReturn {})).await
}

async fn answer_without_offer(world: Arc<World>) -> Result<(), Failure> {
    is_late(world, answer(true)).await
}

fn answer(accepted: bool) -> SessionBody {
    SessionBody::HandOverAnswer(HandOverAnswer { accepted })
}

fn offer() -> SessionBody {
    SessionBody::HandOver(HandOver {})
}

async fn hands_over(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    to_a.hears(&chair.epoch, offer()).await?;
    // The coordinator until the epoch begins that the hand-over makes.
    to_b.say(&chair.epoch, message(1, "still you?")).await?;
    to_b.hears(&chair.epoch, received(1)).await?;
    to_a.say(&chair.epoch, answer(true)).await?;
    let change = Change::HandOver(chair.scene.a.handle.clone());
    for link in [&mut to_a, &mut to_b] {
        let close = chair.closes(link, &change).await?;
        let claims = chair.check_grant(link, &close.grant)?;
        if claims.holder != chair.scene.a.handle {
            return Err(Failure::unexpected("the successor as holder", shown(&claims)));
        }
    }
    to_a.say(&chair.epoch, closed(0)).await?;
    to_b.say(&chair.epoch, closed(1)).await?;
    let after = next(&chair.epoch, change)?;
    let sent = [(&chair.scene.a.handle, 0), (&chair.me.handle, 0), (&chair.scene.b.handle, 1)];
    for link in [&mut to_a, &mut to_b] {
        link.hears_commit(&chair.epoch, &after, &sent).await?;
    }
    let leave = Change::Leave(chair.me.handle.clone());
    // What it has requested from itself has numbers too.
    match to_a.heard(&after).await? {
        SessionBody::TokenRequest(requested) if requested.change == leave => {}
        other => return Err(Failure::unexpected("the request for the leave", shown(&other))),
    }
    let grant = grant(&after, leave.clone(), &chair.me.handle, &chair.scene.a)?;
    to_a.say(&after, SessionBody::Close(Close { grant, change: leave.clone() })).await?;
    to_a.hears(&after, closed(0)).await?;
    let last = next(&after, leave)?;
    let sent = [(&chair.scene.a.handle, 0), (&chair.me.handle, 0), (&chair.scene.b.handle, 0)];
    to_a.say(&after, commit(&chair.scene.a, &last, &sent)?).await?;
    chair.scene.client.tells("ended", json!({"session": named(chair.session)})).await
}

async fn declined(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    to_a.hears(&chair.epoch, offer()).await?;
    let leave = Chair::leave_of(&chair.scene.a);
    to_a.say(&chair.epoch, request(1, leave.clone())).await?;
    to_a.say(&chair.epoch, answer(false)).await?;
    chair.ends(&mut [&mut to_a, &mut to_b], &leave, &leave).await?;
    to_b.hears(&chair.epoch, offer()).await
}

async fn successor_lost(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    to_a.hears(&chair.epoch, offer()).await?;
    drop(to_a);
    let removal = Change::Remove(chair.scene.a.handle.clone());
    chair.ends(&mut [&mut to_b], &removal, &removal).await?;
    to_b.hears(&chair.epoch, offer()).await
}

async fn answer_of_another(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a, mut to_b) = Chair::of_three(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    to_a.hears(&chair.epoch, offer()).await?;
    to_b.say(&chair.epoch, answer(true)).await?;
    to_b.alive().await?;
    to_a.alive().await
}

async fn leaves_alone(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, link) = Chair::inviting(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    chair.scene.client.tells("ended", json!({"session": named(chair.session)})).await?;
    drop(link);
    // Nobody is in the session any more, so nobody can be talked to about it.
    let mut to_b = chair.scene.dial(&chair.scene.b).await?;
    to_b.say(&chair.epoch, message(1, "anybody?")).await?;
    to_b.refused(ErrorCode::NoSuchSession).await
}

async fn second_link(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut to_a) = Chair::of_two(&world).await?;
    let ticket = ticket(&chair.epoch, &chair.scene.a.member(), &chair.scene.a, &chair.scene.a)?;
    let mut second = chair.scene.dial(&chair.scene.a).await?;
    second.say(&chair.epoch, admit(ticket)).await?;
    second.refused(ErrorCode::AlreadyMember).await?;
    to_a.say(&chair.epoch, message(1, "still here")).await?;
    to_a.hears(&chair.epoch, received(1)).await
}
