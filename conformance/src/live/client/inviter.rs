//! A client that invites: whom it looks up and dials, what it promises, and what it does with every answer.

use std::sync::Arc;

use antiphon_protocol::signed::session_id;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::ContactAddress,
    media_type::MediaTypes,
    message::{client_client::*, client_server::ToServer},
    session::{Change, EpochHash, EpochNumber, Grant, Member, SessionId},
};
use serde_json::json;

use super::{
    chain::{grant, grant_claims, invite, message, received, request, signed},
    line::{Link, shown},
    live_cases,
    scene::{Chair, Room, Scene, named, session_of},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

pub(super) const CASES: &[LiveCase] = live_cases! {
    "inviter/invites" ["SESS-027", "SESS-001", "SESS-002", "SESS-004"]
        "a creator invites somebody, with the origin of its session and a lifetime of at most 120 seconds" => invites;
    "inviter/nonces-differ" ["SESS-001"]
        "two sessions of one creator have different IDs" => nonces_differ;
    "inviter/looks-up" ["SESS-026", "ADDR-004"]
        "the address is looked up before the invitee is dialled" => looks_up;
    "inviter/unavailable" ["SESS-026"] twin "inviter/looks-up"
        "the local server does not tell the invitee's address" => unavailable;
    "inviter/address-of-another" ["ADDR-013", "CERT-023"] twin "inviter/looks-up"
        "the address leads to another user's client" => address_of_another;
    "inviter/rejected" ["SESS-034"] twin "coordinator/joins"
        "the invitee rejects, and can be invited again" => rejected;
    "inviter/invitee-lost" ["SESS-123"] twin "coordinator/joins"
        "the link of an invitation is lost before there is an answer" => invitee_lost;
    "inviter/join-twice" ["SESS-024"] twin "coordinator/joins"
        "the invitee says twice that it wants to join" => join_twice;
    "inviter/invite-on-own-invitation" ["SESS-024"] twin "coordinator/joins"
        "the invitee invites on the link of its invitation" => invite_back;
    "inviter/session-message-of-invitee" ["SESS-016"] twin "coordinator/joins"
        "the invitee speaks as if it were a member" => speaks;
    "inviter/invites-member" ["SESS-035"]
        "the user wants to invite a member" => invites_member;
    "inviter/invites-twice" ["SESS-035"]
        "the user wants to invite somebody who has an invitation" => invites_twice;
    "inviter/cancels-when-leaving" ["SESS-098"]
        "the user leaves while an invitation waits for its answer" => cancels_when_leaving;
    "inviter/requests-token" ["SESS-033", "SESS-032", "SESS-039", "SESS-043"]
        "an inviter that does not coordinate requests the token when the invitee has accepted, and not before" => requests_token;
    "inviter/welcomes" ["SESS-058", "SESS-059"]
        "an inviter that holds the token welcomes the newcomer with a ticket" => welcomes;
    "inviter/returns-token" ["SESS-056"] twin "inviter/welcomes"
        "the newcomer rejects after the welcome" => returns_token;
    "inviter/returns-token-of-lost" ["SESS-056"] twin "inviter/welcomes"
        "the newcomer's link is lost after the welcome" => returns_token_of_lost;
    "inviter/returns-token-in-vain" ["SESS-034"] twin "inviter/welcomes"
        "the invitee rejects while the token is requested" => returns_token_in_vain;
    "inviter/cancels-when-refused" ["SESS-050"] twin "inviter/welcomes"
        "the coordinator refuses the token" => cancels_when_refused;
    "inviter/cancels-after-void" ["SESS-096", "SESS-095"] twin "inviter/welcomes"
        "the coordinator closes the epoch as void" => cancels_after_void;
    "inviter/grant-by-member" ["SESS-055"] twin "inviter/welcomes"
        "the grant is not signed by the coordinator" => grant_by_member;
    "inviter/grant-of-other-session" ["SESS-055"] twin "inviter/welcomes"
        "the grant is for another session" => |world| bad_grant(world, |grant, _| grant.session = SessionId([1; 32]));
    "inviter/grant-of-other-epoch" ["SESS-055"] twin "inviter/welcomes"
        "the grant is for another epoch" => |world| bad_grant(world, |grant, _| grant.epoch = EpochNumber(0));
    "inviter/grant-of-other-chain" ["SESS-055"] twin "inviter/welcomes"
        "the grant is of another chain" => |world| bad_grant(world, |grant, _| grant.chain = EpochHash([1; 32]));
    "inviter/grant-to-other-holder" ["SESS-055"] twin "inviter/welcomes"
        "the grant's holder is another member" => |world| bad_grant(world, |grant, scene| grant.holder = scene.b.handle.clone());
    "inviter/grant-for-other-change" ["SESS-055"] twin "inviter/welcomes"
        "the grant is for another newcomer" => |world| bad_grant(world, |grant, scene| {
            grant.change = Change::Join(Member { relay: scene.a.relay, ..scene.c.member() });
        });
    "inviter/grant-by-other-peer" ["SESS-024"] twin "inviter/welcomes"
        "a member that does not coordinate sends the grant" => grant_from_b;
    "inviter/resends-to-successor" ["SESS-041"]
        "an open request is sent again, under its number, to a coordinator that has taken over" => resends;
    "inviter/does-not-resend" ["SESS-040"] twin "inviter/resends-to-successor"
        "an epoch begins with the same coordinator, which has the request already" => does_not_resend;
};

async fn invites(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let created = scene.client.done(json!({"command": "create"}), "created").await?;
    let session = session_of(&created)?;
    scene.client.invite(session, &scene.a.handle).await?;
    let mut link = scene.a.accept(&scene.me()).await?;
    let InvitationBody::Invite(Invite { origin, lifetime }) = link.invited(session).await? else {
        return Err(Failure::unexpected("invite", "another step"));
    };
    if session_id(&origin) != session || link.peer.as_ref().map(|peer| peer.key) != Some(origin.key) {
        return Err(Failure::unexpected(
            "the session ID that belongs to the origin, with the creator's key",
            shown(&origin),
        ));
    }
    if lifetime == 0 || lifetime > 120 {
        return Err(Failure::unexpected("a lifetime of 1 to 120 seconds", lifetime));
    }
    // The first epoch, as it can be made from the origin and the creator's tag.
    Chair::inviting(&world).await.map(drop)
}

async fn nonces_differ(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let one = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    let two = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    if one == two { Err(Failure::unexpected("another session", named(two))) } else { Ok(()) }
}

async fn looks_up(world: Arc<World>) -> Result<(), Failure> {
    let (chair, _link) = Chair::inviting(&world).await?;
    let asked = chair.scene.server.book(|book| book.asked.clone());
    let is_lookup =
        |asked: &&ToServer| matches!(asked, ToServer::Lookup(lookup) if lookup.user == chair.scene.a.handle);
    match asked.iter().filter(is_lookup).count() {
        1 => Ok(()),
        _ => Err(Failure::unexpected("one lookup of the invitee", shown(&asked))),
    }
}

/// The client has created a session, and its user wants to invite person a.
async fn wants_to_invite(scene: &mut Scene) -> Result<SessionId, Failure> {
    let session = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.client.invite(session, &scene.a.handle).await?;
    Ok(session)
}

async fn unavailable(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    scene.server.book(|book| book.addresses.clear());
    let session = wants_to_invite(&mut scene).await?;
    scene
        .client
        .tells("invitation-failed", json!({"session": named(session), "handle": scene.a.handle}))
        .await
}

async fn address_of_another(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let (a, b) = (scene.a.handle.clone(), scene.b.address);
    scene.server.book(|book| book.addresses.insert(a, ContactAddress(b.0)));
    let session = wants_to_invite(&mut scene).await?;
    scene.b.is_refused("wrong-peer").await?;
    let fields = json!({"session": named(session), "handle": scene.a.handle, "code": "unavailable"});
    scene.client.tells("invitation-failed", fields).await
}

async fn rejected(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut link) = Chair::inviting(&world).await?;
    link.invitation(chair.session, InvitationBody::Reject(Reject {})).await?;
    link.left().await?;
    chair.scene.client.tells("invitation-rejected", json!({"handle": chair.scene.a.handle})).await?;
    chair.scene.client.invite(chair.session, &chair.scene.a.handle).await?;
    let mut again = chair.scene.a.accept(&chair.scene.me()).await?;
    again.hears_step(chair.session, invite(&chair.epoch)).await
}

async fn invitee_lost(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, link) = Chair::inviting(&world).await?;
    drop(link);
    chair.scene.client.tells("invitation-failed", json!({"handle": chair.scene.a.handle})).await?;
    chair.scene.client.is_in(&chair.epoch).await
}

async fn join_twice(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut link) = Chair::inviting(&world).await?;
    let join = || InvitationBody::Join(Join { relay: chair.scene.a.relay, accepts: MediaTypes::default() });
    link.invitation(chair.session, join()).await?;
    link.invited(chair.session).await?;
    link.invitation(chair.session, join()).await?;
    link.refused(ErrorCode::UnexpectedMessage).await
}

async fn invite_back(world: Arc<World>) -> Result<(), Failure> {
    let (chair, mut link) = Chair::inviting(&world).await?;
    link.invitation(chair.session, invite(&chair.epoch)).await?;
    link.refused(ErrorCode::UnexpectedMessage).await
}

async fn speaks(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut link) = Chair::inviting(&world).await?;
    link.say(&chair.epoch, message(1, "hello")).await?;
    link.refused(ErrorCode::Forbidden).await?;
    chair.scene.client.has_not_told("message").await
}

async fn invites_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    // On its way in the client has looked up the members.
    room.scene.server.book(|book| book.asked.clear());
    let command =
        json!({"command": "invite", "session": named(room.epoch.session), "handle": room.scene.b.handle});
    let answer = room.scene.client.ask(command).await?;
    if answer.get("event") == Some(&json!("taken")) {
        room.scene.client.tells("invitation-failed", json!({"handle": room.scene.b.handle})).await?;
    }
    let asked = room.scene.server.book(|book| book.asked.clone());
    if asked.iter().any(|asked| matches!(asked, ToServer::Lookup(_))) {
        return Err(Failure::unexpected("no lookup", shown(&asked)));
    }
    room.goes_on(1).await
}

async fn invites_twice(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut link) = Chair::inviting(&world).await?;
    let command =
        json!({"command": "invite", "session": named(chair.session), "handle": chair.scene.a.handle});
    chair.scene.client.ask(command).await?;
    // The second invitation would come before the one of somebody else, who is looked up later.
    chair.invites_b().await?;
    let lookups = chair.scene.server.book(|book| book.asked.clone());
    let lookups = lookups.iter().filter(|asked| matches!(asked, ToServer::Lookup(_))).count();
    if lookups != 2 {
        return Err(Failure::unexpected("two lookups", lookups));
    }
    link.alive().await
}

async fn cancels_when_leaving(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut link) = Chair::inviting(&world).await?;
    chair.scene.client.take("leave", chair.session).await?;
    link.hears_step(chair.session, InvitationBody::Cancel(Cancel {})).await?;
    link.left().await
}

impl Room {
    /// The client invites person c.
    async fn invites_c(&mut self) -> Result<Link, Failure> {
        self.scene.client.invite(self.epoch.session, &self.scene.c.handle).await?;
        let mut link = self.scene.c.accept(&self.scene.me()).await?;
        link.hears_step(self.epoch.session, invite(&self.epoch)).await?;
        Ok(link)
    }

    fn join_of_c(&self) -> Change {
        Change::Join(self.scene.c.member())
    }

    /// ..who wants to join, so that the client requests the token.
    async fn token_is_requested(&mut self) -> Result<Link, Failure> {
        let mut link = self.invites_c().await?;
        let join = Join { relay: self.scene.c.relay, accepts: MediaTypes::default() };
        link.invitation(self.epoch.session, InvitationBody::Join(join)).await?;
        self.to_a.hears(&self.epoch, request(1, self.join_of_c())).await?;
        Ok(link)
    }

    async fn grants(&mut self, grant: antiphon_spec::signed::Signed<Grant>) -> Result<(), Failure> {
        let number = RequestNumber(1);
        self.to_a.say(&self.epoch, SessionBody::TokenGrant(TokenGrant { grant, number })).await
    }

    /// ..and gets it, so that it welcomes person c.
    async fn welcomes_c(&mut self) -> Result<(Link, Welcome), Failure> {
        let mut link = self.token_is_requested().await?;
        let grant = grant(&self.epoch, self.join_of_c(), &self.me.handle, &self.scene.a)?;
        self.grants(grant).await?;
        match link.invited(self.epoch.session).await? {
            InvitationBody::Welcome(welcome) => Ok((link, welcome)),
            other => Err(Failure::unexpected("welcome", shown(&other))),
        }
    }
}

async fn requests_token(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut link = room.invites_c().await?;
    link.alive().await?;
    room.to_a.alive().await?;
    let join = Join { relay: room.scene.c.relay, accepts: MediaTypes::default() };
    link.invitation(room.epoch.session, InvitationBody::Join(join)).await?;
    room.to_a.hears(&room.epoch, request(1, room.join_of_c())).await
}

async fn welcomes(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (_link, welcome) = room.welcomes_c().await?;
    if *welcome.epoch != room.epoch {
        return Err(Failure::unexpected(shown(&room.epoch), shown(&welcome.epoch)));
    }
    let key = room.to_a.client_key()?;
    let ticket = antiphon_protocol::signed::verify(&welcome.ticket, &key);
    let ticket = ticket
        .map_err(|_| Failure::unexpected("a ticket that the inviter signed", shown(&welcome.ticket)))?;
    let granted = antiphon_protocol::signed::verify(&ticket.grant, room.scene.a.key.public_key());
    let granted = granted.map_err(|_| Failure::unexpected("a ticket with the grant", shown(&ticket)))?;
    let c = room.scene.c.member();
    let right = ticket.session == room.epoch.session
        && ticket.epoch == room.epoch.number
        && (&ticket.newcomer, ticket.key) == (&c.handle, c.key)
        && ticket.issuer == room.me.handle
        && ticket.not_after <= granted.not_after;
    if right { Ok(()) } else { Err(Failure::unexpected("the claims of SESS-059", shown(&ticket))) }
}

async fn returns_token(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (mut link, _) = room.welcomes_c().await?;
    link.invitation(room.epoch.session, InvitationBody::Reject(Reject {})).await?;
    room.to_a.hears(&room.epoch, SessionBody::TokenReturn(TokenReturn {})).await?;
    link.left().await
}

async fn returns_token_of_lost(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (link, _) = room.welcomes_c().await?;
    drop(link);
    room.to_a.hears(&room.epoch, SessionBody::TokenReturn(TokenReturn {})).await
}

async fn returns_token_in_vain(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut link = room.token_is_requested().await?;
    link.invitation(room.epoch.session, InvitationBody::Reject(Reject {})).await?;
    link.left().await?;
    let grant = grant(&room.epoch, room.join_of_c(), &room.me.handle, &room.scene.a)?;
    room.grants(grant).await?;
    room.to_a.hears(&room.epoch, SessionBody::TokenReturn(TokenReturn {})).await
}

async fn cancels_when_refused(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let mut link = room.token_is_requested().await?;
    let refused = TokenRefused { code: ErrorCode::SessionFull, number: RequestNumber(1) };
    room.to_a.say(&room.epoch, SessionBody::TokenRefused(refused)).await?;
    link.hears_step(room.epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    link.left().await?;
    let fields = json!({"handle": room.scene.c.handle, "code": "session-full"});
    room.scene.client.tells("invitation-failed", fields).await
}

async fn cancels_after_void(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let (mut link, _) = room.welcomes_c().await?;
    let grant = grant(&room.epoch, room.join_of_c(), &room.me.handle, &room.scene.a)?;
    let void = Change::Void(room.scene.c.handle.clone());
    room.to_a.say(&room.epoch, SessionBody::Close(Close { grant, change: void.clone() })).await?;
    room.to_a.hears(&room.epoch, super::chain::closed(0)).await?;
    room.commit(&void, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    link.hears_step(room.epoch.session, InvitationBody::Cancel(Cancel {})).await?;
    link.left().await
}

async fn grant_by_member(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.token_is_requested().await?;
    let grant = grant(&room.epoch, room.join_of_c(), &room.me.handle, &room.scene.b)?;
    room.grants(grant).await?;
    room.to_a.refused(ErrorCode::GrantRefused).await
}

async fn bad_grant(world: Arc<World>, spoil: fn(&mut Grant, &Scene)) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    room.token_is_requested().await?;
    let mut claims = grant_claims(&room.epoch, room.join_of_c(), &room.me.handle);
    spoil(&mut claims, &room.scene);
    let grant = signed(&room.scene.a.key, &claims)?;
    room.grants(grant).await?;
    room.to_a.refused(ErrorCode::GrantRefused).await
}

async fn grant_from_b(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let _link = room.token_is_requested().await?;
    let grant = grant(&room.epoch, room.join_of_c(), &room.me.handle, &room.scene.a)?;
    let number = RequestNumber(1);
    room.to_b.say(&room.epoch, SessionBody::TokenGrant(TokenGrant { grant, number })).await?;
    room.to_b.refused(ErrorCode::Forbidden).await
}

async fn resends(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let _link = room.token_is_requested().await?;
    let b = room.scene.b.handle.clone();
    let change = Change::HandOver(b.clone());
    room.close(&change, &b, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.to_b.hears(&room.epoch, request(1, room.join_of_c())).await
}

async fn does_not_resend(world: Arc<World>) -> Result<(), Failure> {
    let mut room = Room::new(&world).await?;
    let _link = room.token_is_requested().await?;
    let change = Change::Remove(room.scene.b.handle.clone());
    let a = room.scene.a.handle.clone();
    room.close(&change, &a, 0).await?;
    room.commit(&change, [0, 0, 0]).await?;
    room.scene.client.begins(&room.epoch).await?;
    room.to_a.say(&room.epoch, message(1, "all quiet")).await?;
    room.to_a.hears(&room.epoch, received(1)).await
}
