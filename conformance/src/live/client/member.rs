//! A client that is a member: newcomers and their tickets, orders of the coordinator, and what is lost.

use std::{sync::Arc, time::Duration};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    media_type::MediaTypes,
    message::client_client::*,
    session::{Change, Epoch, EpochHash, EpochNumber, Grant, Member, SessionId, Ticket},
    signed::Signed,
    time::Timestamp,
};
use serde_json::json;

use super::{
    chain::{
        admit, closed, commit, grant_claims, in_epoch, message, next, received, request, signed, ticket,
        ticket_claims,
    },
    line::Link,
    live_cases,
    realm::{Person, now},
    scene::{Room, Scene, named},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "member/admits" ["SESS-074", "SESS-087", "SESS-013"] "a newcomer with a good ticket is admitted, and is a member after the commit" => admits;
    "member/admits-one-only" ["SESS-065", "SESS-074"] twin "member/admits" "a second newcomer comes while one is admitted" => admits_one_only;
    "member/member-shows-ticket" ["SESS-065"] twin "member/admits" "a member shows a ticket" => member_shows_ticket;
    "member/ticket-after-close" ["SESS-066"] twin "member/admits" "a newcomer comes after the close of the epoch" => after_close;
    "member/ticket-after-epoch" ["SESS-022"] twin "member/admits" "a newcomer comes for an epoch that is over" => after_epoch;
    "member/ticket-for-next-epoch-is-held" ["SESS-017"] "a newcomer comes for the epoch that is about to begin" => held;
    "member/ticket-by-stranger" ["SESS-067"] twin "member/admits" "the issuer is no member" => |world| refused_ticket(world, ErrorCode::TicketIssuer, |t| { t.ticket.issuer = t.c.handle.clone(); t.issuer = t.c; t.holder_is_c(); });
    "member/ticket-by-another-member" ["SESS-067"] twin "member/admits" "a member signs in the name of another" => |world| refused_ticket(world, ErrorCode::TicketIssuer, |t| t.issuer = t.b);
    "member/ticket-by-newcomer" ["SESS-067"] twin "member/admits" "the newcomer signs in the name of a member" => |world| refused_ticket(world, ErrorCode::TicketIssuer, |t| t.issuer = t.c);
    "member/ticket-of-other-session" ["SESS-068"] twin "member/admits" "a ticket for another session" => |world| refused_ticket(world, ErrorCode::TicketSession, |t| t.ticket.session = SessionId([1; 32]));
    "member/ticket-of-other-epoch" ["SESS-069"] twin "member/admits" "a ticket for an earlier epoch" => |world| refused_ticket(world, ErrorCode::TicketEpoch, |t| t.ticket.epoch = EpochNumber(0));
    "member/ticket-of-other-peer" ["SESS-070"] twin "member/admits" "a ticket for another user, with the newcomer's key" => |world| refused_ticket(world, ErrorCode::TicketPeer, |t| t.ticket.newcomer.id.0 = [0xee; 16]);
    "member/ticket-of-other-key" ["SESS-070"] twin "member/admits" "a ticket for the newcomer with another key" => |world| refused_ticket(world, ErrorCode::TicketPeer, |t| t.ticket.key.0 = [1; 32]);
    "member/ticket-grant-by-member" ["SESS-071"] twin "member/admits" "the grant is not signed by the coordinator" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.coordinator = t.b);
    "member/ticket-grant-of-other-session" ["SESS-071"] twin "member/admits" "the grant is for another session" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.session = SessionId([1; 32]));
    "member/ticket-grant-of-other-epoch" ["SESS-071"] twin "member/admits" "the grant is for an earlier epoch" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.epoch = EpochNumber(0));
    "member/ticket-grant-of-other-chain" ["SESS-071"] twin "member/admits" "the grant is of another chain" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.chain = EpochHash([1; 32]));
    "member/ticket-grant-to-other-holder" ["SESS-071"] twin "member/admits" "the grant's holder is not the ticket's issuer" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.holder = t.b.handle.clone());
    "member/ticket-grant-for-other-newcomer" ["SESS-071"] twin "member/admits" "the grant is for another newcomer" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.change = Change::Join(Member { handle: t.me.handle.clone(), ..t.c.member() }));
    "member/ticket-grant-for-other-key" ["SESS-071"] twin "member/admits" "the grant is for another key of the newcomer" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.change = Change::Join(Member { key: t.me.key, ..t.c.member() }));
    "member/ticket-grant-for-leave" ["SESS-071"] twin "member/admits" "the grant is for the issuer's leave" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.grant.change = Change::Leave(t.grant.holder.clone()));
    "member/ticket-outlives-grant" ["SESS-071"] twin "member/admits" "the ticket is good for longer than the grant" => |world| refused_ticket(world, ErrorCode::TicketGrant, |t| t.ticket.not_after = Timestamp(t.grant.not_after.0 + 1));
    "member/ticket-expired" ["SESS-072"] twin "member/ticket-within-skew" "a ticket two minutes past its end" => |world| refused_ticket(world, ErrorCode::TicketExpired, |t| t.ticket.not_after = Timestamp(now().0 - 120));
    "member/ticket-within-skew" ["SESS-072", "LIM-001"] "a ticket half a minute past its end" => within_skew;
    "member/void" ["SESS-095", "SESS-084"] "the newcomer does not come, and its link is closed" => void;
    "member/removes" ["SESS-094"] "a lost member is removed" => removes;
    "member/leave-of-another" ["SESS-094"] "another member leaves, and its link is closed" => leave_of_another;
    "member/coordinator-lost" ["SESS-122", "SESS-130", "SESS-133", "SESS-134"] "the link to the coordinator is lost, and the lower of the two that are left takes over" => coordinator_lost;
    "member/coordinator-lost-after-commit" ["SIGN-014", "SESS-139", "SESS-150"] "the coordinator is lost, and another member shows how it ended the epoch" => coordinator_lost_after_commit;
    "member/member-lost" ["SESS-122", "SESS-120"] "the link to another member is lost, which the coordinator then removes" => member_lost;
    "slow/one-of-two-stays" ["SESS-120"] twin "member/member-lost" "the link to another member is lost, and the coordinator removes that member after 75 seconds: the client, whose handle is the lesser, is still there" => one_of_two_stays;
    "member/goodbye-is-a-loss" ["SESS-122", "WIRE-050"] "a member says goodbye to the link without a leave" => goodbye_is_a_loss;
    "member/leaves" ["SESS-097", "SESS-039", "SESS-099"] "the user leaves: by a request, and with the epoch without the client" => leaves;
    "member/leave-granted-after-close" ["SESS-042", "SESS-040"] "the user leaves while the epoch closes: the request waits for the next" => leave_waits;
    "member/takes-over" ["SESS-102", "SESS-044", "SESS-041"] "a member is asked to coordinate, and does" => takes_over;
    "member/declines-to-take-over" ["SESS-102"] twin "member/takes-over" "a member that leaves is asked to coordinate" => declines;
    "member/hand-over-by-member" ["SESS-024"] twin "member/takes-over" "a member that does not coordinate offers the part" => |world| b_is_refused(world, ErrorCode::Forbidden, |_| SessionBody::HandOver(HandOver {}));
    "member/token-request-at-member" ["SESS-044"] "a token request comes to a member that does not coordinate" => |world| b_is_refused(world, ErrorCode::Forbidden, |room| request(1, Change::Leave(room.scene.b.handle.clone())));
    "member/admitted-at-member" ["SESS-024"] "a member says that it has admitted this member" => |world| b_is_refused(world, ErrorCode::UnexpectedMessage, |_| SessionBody::Admitted(Admitted {}));
    "member/complete-at-member" ["SESS-024"] "a member says to a member that it is complete" => |world| b_is_refused(world, ErrorCode::UnexpectedMessage, |_| SessionBody::Complete(Complete {}));
    "member/closed-at-member" ["SESS-024"] "a member says to a member that it has closed" => |world| b_is_refused(world, ErrorCode::UnexpectedMessage, |_| closed(0));
    "member/token-return-at-member" ["SESS-024"] "a member returns the token to a member" => |world| b_is_refused(world, ErrorCode::UnexpectedMessage, |_| SessionBody::TokenReturn(TokenReturn {}));
    "member/hand-over-answer-at-member" ["SESS-024"] "a member answers an offer that this member has not made" => |world| b_is_refused(world, ErrorCode::UnexpectedMessage, |_| SessionBody::HandOverAnswer(HandOverAnswer { accepted: true }));
    "member/token-refused-by-member" ["SESS-024"] "a member that does not coordinate refuses the token" => |world| b_is_refused(world, ErrorCode::Forbidden, |_| SessionBody::TokenRefused(TokenRefused { code: ErrorCode::SessionFull, number: RequestNumber(1) }));
    "member/token-refused-for-nothing" ["SESS-025"] "the coordinator refuses a request that there is not" => refused_for_nothing;
    "member/token-grant-for-nothing" ["SESS-024"] "the coordinator grants what was not requested" => granted_for_nothing;
    "member/join-step-at-member" ["SESS-024"] "a member says that it wants to join" => join_step;
    "member/step-of-invitation-cancel" ["SESS-024"] "a member cancels an invitation that is over" => cancel_step;
};

/// What a ticket is made of, each part to be made wrong. Person a coordinates and invites person c, who comes.
struct Parts<'a> {
    grant: Grant,
    ticket: Ticket,
    coordinator: &'a Person,
    issuer: &'a Person,
    b: &'a Person,
    c: &'a Person,
    me: &'a Member,
}

impl<'a> Parts<'a> {
    fn good(room: &'a Room) -> Self {
        let (a, newcomer) = (&room.scene.a, room.scene.c.member());
        let grant = grant_claims(&room.epoch, Change::Join(newcomer.clone()), &a.handle);
        let ticket = ticket_claims(&room.epoch, &newcomer, &a.handle, Signed::from_bytes(Vec::new()));
        Self { grant, ticket, coordinator: a, issuer: a, b: &room.scene.b, c: &room.scene.c, me: &room.me }
    }

    fn holder_is_c(&mut self) {
        self.grant.holder = self.c.handle.clone();
    }

    fn seal(self) -> Result<Signed<Ticket>, Failure> {
        let grant = signed(&self.coordinator.key, &self.grant)?;
        signed(&self.issuer.key, &Ticket { grant, ..self.ticket })
    }
}

impl Room {
    fn good_ticket(&self) -> Result<Signed<Ticket>, Failure> {
        ticket(&self.epoch, &self.scene.c.member(), &self.scene.a, &self.scene.a)
    }

    /// Person c shows this ticket over a link of its own.
    async fn c_shows(&self, ticket: Signed<Ticket>) -> Result<Link, Failure> {
        let mut link = self.scene.dial(&self.scene.c).await?;
        link.say(&self.epoch, admit(ticket)).await?;
        Ok(link)
    }

    /// Person c shows a good ticket and is admitted, which the coordinator is told.
    async fn c_is_admitted(&mut self) -> Result<Link, Failure> {
        let mut link = self.c_shows(self.good_ticket()?).await?;
        link.hears(&self.epoch, SessionBody::Admitted(Admitted {})).await?;
        self.to_a.hears(&self.epoch, SessionBody::Admitted(Admitted {})).await?;
        Ok(link)
    }
}

async fn admits(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut to_c = room.c_is_admitted().await?;
    let join = Change::Join(room.scene.c.member());
    let a = room.scene.a.handle.clone();
    room.close(&join, &a, 0).await?;
    room.commit(&join, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    to_c.say(&room.epoch, message(1, "here I am")).await?;
    room.scene.client.hears(&room.scene.c.handle, "here I am").await?;
    to_c.hears(&room.epoch, received(1)).await
}

async fn admits_one_only(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut first = room.c_is_admitted().await?;
    let other = Person::new(&room.scene.realm, &room.scene.realm.home, 0xd0).await?;
    let ticket = ticket(&room.epoch, &other.member(), &room.scene.a, &room.scene.a)?;
    let mut second = room.scene.dial(&other).await?;
    second.say(&room.epoch, admit(ticket)).await?;
    second.refused(ErrorCode::AlreadyMember).await?;
    first.alive().await
}

async fn member_shows_ticket(world: Arc<World>) -> Result<(), Failure> {
    b_is_refused(world, ErrorCode::AlreadyMember, |room| {
        admit(
            ticket(&room.epoch, &room.scene.b.member(), &room.scene.a, &room.scene.a)
                .unwrap_or_else(|_| Signed::from_bytes(Vec::new())),
        )
    })
    .await
}

async fn after_close(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (change, holder) = (Change::HandOver(room.scene.b.handle.clone()), room.scene.b.handle.clone());
    room.close(&change, &holder, 0).await?;
    room.c_shows(room.good_ticket()?).await?.refused(ErrorCode::TicketEpoch).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await
}

async fn after_epoch(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let before = room.epoch.clone();
    let ticket = room.good_ticket()?;
    let (change, holder) = (Change::HandOver(room.scene.b.handle.clone()), room.scene.b.handle.clone());
    room.close(&change, &holder, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    let mut link = room.scene.dial(&room.scene.c).await?;
    link.say(&before, admit(ticket)).await?;
    link.refused(ErrorCode::TicketEpoch).await
}

async fn held(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (change, holder) = (Change::HandOver(room.scene.b.handle.clone()), room.scene.b.handle.clone());
    let after = next(&room.epoch, change.clone())?;
    let ticket = ticket(&after, &room.scene.c.member(), &room.scene.a, &room.scene.b)?;
    let mut link = room.scene.dial(&room.scene.c).await?;
    link.say(&after, admit(ticket)).await?;
    link.alive().await?;
    room.close(&change, &holder, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    link.hears(&room.epoch, SessionBody::Admitted(Admitted {})).await
}

async fn refused_ticket(
    world: Arc<World>,
    code: ErrorCode,
    spoil: fn(&mut Parts<'_>),
) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut parts = Parts::good(&room);
    spoil(&mut parts);
    let ticket = parts.seal()?;
    room.c_shows(ticket).await?.refused(code).await?;
    // Nobody is admitted by that, and nobody else's link is touched.
    room.goes_on(1).await?;
    room.c_is_admitted().await.map(drop)
}

async fn within_skew(world: Arc<World>) -> Result<(), Failure> {
    let room = Room::new(&world).await?;
    let mut parts = Parts::good(&room);
    parts.ticket.not_after = Timestamp(now().0 - 30);
    let ticket = parts.seal()?;
    let mut link = room.c_shows(ticket).await?;
    link.hears(&room.epoch, SessionBody::Admitted(Admitted {})).await
}

async fn void(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let to_c = room.c_is_admitted().await?;
    let void = Change::Void(room.scene.c.handle.clone());
    let join = Change::Join(room.scene.c.member());
    let grant = super::chain::grant(&room.epoch, join, &room.scene.a.handle, &room.scene.a)?;
    room.to_a.say(&room.epoch, SessionBody::Close(Close { grant, change: void.clone() })).await?;
    room.to_a.hears(&room.epoch, closed(0)).await?;
    room.commit(&void, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    to_c.left().await?;
    room.goes_on(1).await
}

async fn removes(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (change, holder) = (Change::Remove(room.scene.b.handle.clone()), room.scene.a.handle.clone());
    room.close(&change, &holder, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.to_b.left().await
}

async fn leave_of_another(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (change, holder) = (Change::Leave(room.scene.b.handle.clone()), room.scene.b.handle.clone());
    room.close(&change, &holder, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.to_b.left().await?;
    room.scene.client.has_not_told("member-lost").await
}

/// What is left of a room without person a, who coordinated.
struct Rest {
    scene: Scene,
    to_b: Link,
    epoch: Epoch,
    me: UserHandle,
    b: UserHandle,
    /// Who of the two is to take over.
    successor: UserHandle,
}

impl Rest {
    /// Person a is lost, and the client says whom it follows.
    async fn of(room: Room) -> Result<Self, Failure> {
        let Room { mut scene, to_a, mut to_b, epoch, me } = room;
        drop(to_a);
        scene.client.tells("member-lost", json!({"handle": scene.a.handle})).await?;
        let (me, b) = (me.handle, scene.b.handle.clone());
        let successor = me.clone().min(b.clone());
        let follow = Follow { sent: 0, leaving: false, successor: successor.clone() };
        to_b.hears(&epoch, SessionBody::Follow(follow)).await?;
        Ok(Self { scene, to_b, epoch, me, b, successor })
    }

    /// The next epoch has begun, and the two that are left go on in it.
    async fn goes_on(mut self, after: Epoch) -> Result<(), Failure> {
        self.scene.client.begins(&after).await?;
        self.to_b.say(&after, message(1, "we go on")).await?;
        self.scene.client.hears(&self.b, "we go on").await?;
        self.to_b.hears(&after, received(1)).await
    }
}

async fn coordinator_lost(world: Arc<World>) -> Result<(), Failure> {
    let mut rest = Rest::of(Room::new(&world).await?).await?;
    let follow = Follow { sent: 0, leaving: false, successor: rest.successor.clone() };
    rest.to_b.say(&rest.epoch, SessionBody::Follow(follow)).await?;
    let after = next(&rest.epoch, Change::TakeOver(rest.successor.clone()))?;
    let sent = [(&rest.me, 0), (&rest.b, 0)];
    if rest.successor == rest.me {
        rest.to_b.hears_commit(&rest.epoch, &after, &sent).await?;
    } else {
        rest.to_b.say(&rest.epoch, commit(&rest.scene.b, &after, &sent)?).await?;
    }
    rest.goes_on(after).await
}

async fn coordinator_lost_after_commit(world: Arc<World>) -> Result<(), Failure> {
    let mut rest = Rest::of(Room::new(&world).await?).await?;
    let (a, me, b) = (rest.scene.a.handle.clone(), rest.me.clone(), rest.b.clone());
    let after = next(&rest.epoch, Change::HandOver(b.clone()))?;
    // A word of the lost coordinator with a wrong count is no good, but nobody's fault who shows it.
    let wrong = commit(&rest.scene.a, &after, &[(&a, 0), (&me, 7), (&b, 0)])?;
    rest.to_b.say(&rest.epoch, wrong).await?;
    rest.to_b.alive().await?;
    rest.to_b.say(&rest.epoch, commit(&rest.scene.a, &after, &[(&a, 0), (&me, 0), (&b, 0)])?).await?;
    rest.goes_on(after).await
}

async fn member_lost(world: Arc<World>) -> Result<(), Failure> {
    b_is_removed_after(Duration::ZERO, world).await
}

/// The greater of the two handles has 60 seconds, the lesser 150.
async fn one_of_two_stays(world: Arc<World>) -> Result<(), Failure> {
    b_is_removed_after(Duration::from_secs(75), world).await
}

/// The client's link to person b is lost, whom the coordinator removes so much later.
async fn b_is_removed_after(wait: Duration, world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    drop(room.to_b);
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.to_a.stays_quiet_for(wait).await?;
    let change = Change::Remove(room.scene.b.handle.clone());
    let grant = super::chain::grant(&room.epoch, change.clone(), &room.scene.a.handle, &room.scene.a)?;
    room.to_a.say(&room.epoch, SessionBody::Close(Close { grant, change: change.clone() })).await?;
    room.to_a.hears(&room.epoch, closed(0)).await?;
    let after = next(&room.epoch, change)?;
    let sent = commit(&room.scene.a, &after, &[(&room.scene.a.handle, 0), (&room.me.handle, 0)])?;
    room.to_a.say(&room.epoch, sent).await?;
    room.scene.client.begins(&after).await
}

async fn goodbye_is_a_loss(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b.goodbye().await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.to_a.alive().await
}

async fn leaves(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let me = room.me.handle.clone();
    let leave = Change::Leave(me.clone());
    room.scene.client.take("leave", room.epoch.session).await?;
    room.to_a.hears(&room.epoch, request(1, leave.clone())).await?;
    // A member until the epoch without it begins.
    room.goes_on(1).await?;
    room.close(&leave, &me, 0).await?;
    let before = room.epoch.clone();
    room.commit(&leave, [0, 0, 1]).await?;
    room.scene.client.tells("ended", json!({"session": named(before.session)})).await?;
    // Whoever has not begun the next epoch yet is not answered any more.
    room.to_b.say(&before, message(2, "are you there?")).await?;
    room.to_b.alive().await?;
    room.scene.client.has_not_told("message").await?;
    room.to_b.goodbye().await?;
    room.to_a.goodbye().await
}

async fn leave_waits(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (change, holder) = (Change::Remove(room.scene.b.handle.clone()), room.scene.a.handle.clone());
    room.close(&change, &holder, 0).await?;
    room.scene.client.take("leave", room.epoch.session).await?;
    room.to_a.alive().await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.to_a.hears(&room.epoch, request(1, Change::Leave(room.me.handle.clone()))).await
}

async fn takes_over(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_a.say(&room.epoch, SessionBody::HandOver(HandOver {})).await?;
    room.to_a.hears(&room.epoch, SessionBody::HandOverAnswer(HandOverAnswer { accepted: true })).await?;
    let me = room.me.handle.clone();
    let change = Change::HandOver(me.clone());
    room.close(&change, &me, 0).await?;
    // A request that reaches the successor before it knows its part is held.
    let after = next(&room.epoch, change.clone())?;
    let leave = Change::Leave(room.scene.b.handle.clone());
    room.to_b.say(&after, request(1, leave.clone())).await?;
    room.to_b.alive().await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    for link in [&mut room.to_a, &mut room.to_b] {
        match link.heard(&room.epoch).await? {
            SessionBody::Close(close) if close.change == leave => {}
            other => return Err(Failure::unexpected("close for the leave", super::line::shown(&other))),
        }
    }
    Ok(())
}

async fn declines(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.scene.client.take("leave", room.epoch.session).await?;
    room.to_a.hears(&room.epoch, request(1, Change::Leave(room.me.handle.clone()))).await?;
    room.to_a.say(&room.epoch, SessionBody::HandOver(HandOver {})).await?;
    room.to_a.hears(&room.epoch, SessionBody::HandOverAnswer(HandOverAnswer { accepted: false })).await
}

/// Person b says something for which its link closes with this code; the client tells its user, and stays with a.
async fn b_is_refused(
    world: Arc<World>,
    code: ErrorCode,
    said: fn(&Room) -> SessionBody,
) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let said = said(&room);
    room.to_b.say(&room.epoch, said).await?;
    room.to_b.refused(code).await?;
    room.scene.client.tells("member-lost", json!({"handle": room.scene.b.handle})).await?;
    room.to_a.say(&room.epoch, message(1, "still here")).await?;
    room.to_a.hears(&room.epoch, received(1)).await
}

async fn refused_for_nothing(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let refused = TokenRefused { code: ErrorCode::SessionFull, number: RequestNumber(9) };
    room.to_a.say(&room.epoch, SessionBody::TokenRefused(refused)).await?;
    room.to_a.say(&room.epoch, message(1, "never mind")).await?;
    room.to_a.hears(&room.epoch, received(1)).await
}

async fn granted_for_nothing(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let join = Change::Join(room.scene.c.member());
    let grant = super::chain::grant(&room.epoch, join, &room.me.handle, &room.scene.a)?;
    room.to_a
        .say(&room.epoch, SessionBody::TokenGrant(TokenGrant { grant, number: RequestNumber(1) }))
        .await?;
    room.gives_coordinator_up(ErrorCode::UnexpectedMessage).await
}

async fn join_step(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b
        .invitation(
            room.epoch.session,
            InvitationBody::Join(Join { relay: room.scene.b.relay, accepts: MediaTypes::default() }),
        )
        .await?;
    room.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    room.to_a.alive().await
}

async fn cancel_step(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.to_b.invitation(room.epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    room.to_b.refused(ErrorCode::UnexpectedMessage).await?;
    room.to_a.say_as_is(in_epoch(&room.epoch, message(1, "still here"))).await?;
    room.to_a.hears(&room.epoch, received(1)).await
}
