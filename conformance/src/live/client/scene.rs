//! The scenes in which cases begin: a client that is logged in, invited, a member, a coordinator.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, UserHandle},
    media_type::MediaTypes,
    message::{
        client_client::*,
        server_server::{Profile, ProfileVersion},
    },
    policy::Preferences,
    session::{Change, Epoch, Member, RelayTag, SessionId, Ticket},
    signed::Signed,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    chain::{admit, closed, commit, epoch_of, grant, invite, message, next, received, ticket},
    driver::Client,
    line::{Link, shown},
    realm::{Person, Realm},
    server::{ME, Server},
};
use crate::{case::Failure, live::World};

/// The numbers of the people; the client's is between the first two.
pub(super) const A: u8 = 0x10;
pub(super) const B: u8 = 0x70;
pub(super) const C: u8 = 0x90;

/// Who the three people are.
pub(super) fn people(realm: &Realm) -> [UserHandle; 3] {
    [realm.home.handle(A), realm.elsewhere.handle(B), realm.home.handle(C)]
}

/// Preferences that list these people, so that the client dials them.
pub(super) fn listing(users: &[UserHandle]) -> Result<Preferences, Failure> {
    let mut allow = users.to_vec();
    allow.sort();
    let allow = allow.try_into().map_err(Failure::harness)?;
    Ok(Preferences { allow, ..Preferences::default() })
}

/// A client that is logged in, and the three people whom it may meet. In the order of the handles: a, the client, b, c.
pub(super) struct Scene {
    pub(super) realm: Arc<Realm>,
    pub(super) server: Arc<Server>,
    pub(super) client: Client,
    pub(super) a: Person,
    pub(super) b: Person,
    pub(super) c: Person,
    helper: Option<Helper>,
}

/// The task that answers at the server; it ends with the scene.
struct Helper(JoinHandle<()>);

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Scene {
    /// A client that is registered and logged in.
    pub(super) async fn new(world: &World) -> Result<Self, Failure> {
        Self::preferring(world, |realm| listing(&people(realm))).await
    }

    /// ..whose preferences are these.
    pub(super) async fn preferring(
        world: &World,
        preferences: impl FnOnce(&Realm) -> Result<Preferences, Failure>,
    ) -> Result<Self, Failure> {
        let realm = Arc::new(Realm::new()?);
        let server = Arc::new(Server::new(&realm).await?);
        let messaging = preferences(&realm)?;
        server.book(|book| book.profile = Some(Profile { version: ProfileVersion(0), messaging }));
        let helper = Arc::clone(&server);
        let helper = Helper(tokio::spawn(async move {
            // What goes wrong here, the client's answers show.
            let _ = helper.register().await;
            let _ = helper.serve().await;
        }));
        let mut client = Client::start(world, &realm, &server).await?;
        client.done(json!({"command": "register"}), "registered").await?;
        client.done(json!({"command": "login"}), "logged-in").await?;
        Ok(Self { helper: Some(helper), ..Self::of(realm, server, client).await? })
    }

    /// The people around a client that is logged in, for a server at which a case answers itself.
    pub(super) async fn of(realm: Arc<Realm>, server: Arc<Server>, client: Client) -> Result<Self, Failure> {
        let a = Person::new(&realm, &realm.home, A).await?;
        let b = Person::new(&realm, &realm.elsewhere, B).await?;
        let c = Person::new(&realm, &realm.home, C).await?;
        let known = [&a, &b, &c].map(|person| (person.handle.clone(), person.address));
        server.book(|book| book.addresses.extend(known));
        Ok(Self { realm, server, client, a, b, c, helper: None })
    }

    /// The connection of the client with its server ends without a word.
    pub(super) fn server_is_gone(&mut self) {
        self.helper = None;
    }

    pub(super) fn me(&self) -> UserHandle {
        self.realm.home.handle(ME)
    }

    /// Dials the client as this person.
    pub(super) async fn dial(&self, who: &Person) -> Result<Link, Failure> {
        who.dial(self.client.address, &self.me()).await
    }

    /// Person a's link, on which the client has been invited to this session and was told so.
    pub(super) async fn invited(&mut self, epoch: &Epoch) -> Result<Link, Failure> {
        let mut link = self.dial(&self.a).await?;
        link.invitation(epoch.session, invite(epoch)).await?;
        self.client
            .tells("invited", json!({"session": hex::encode(epoch.session.0), "inviter": self.a.handle}))
            .await?;
        Ok(link)
    }

    /// As [`Scene::invited`], and the user has accepted: who the newcomer is.
    pub(super) async fn accepted(&mut self, epoch: &Epoch) -> Result<(Link, Member), Failure> {
        let mut link = self.invited(epoch).await?;
        self.client.take("accept", epoch.session).await?;
        match link.invited(epoch.session).await? {
            InvitationBody::Join(join) => {
                let key = key_of(&link)?;
                Ok((link, Member { key, relay: join.relay, handle: self.me(), accepts: join.accepts }))
            }
            other => Err(Failure::unexpected("join", shown(&other))),
        }
    }
}

/// The key that the client has proved on a link.
fn key_of(link: &Link) -> Result<KeyHash, Failure> {
    Ok(link.client_key()?.key_hash())
}

pub(super) fn named(session: SessionId) -> String {
    hex::encode(session.0)
}

/// A session that person a coordinates, with person b and the client as members.
pub(super) struct Room {
    pub(super) scene: Scene,
    pub(super) to_a: Link,
    pub(super) to_b: Link,
    pub(super) epoch: Epoch,
    pub(super) me: Member,
}

/// A client that joins: it has its ticket, and its links to both members.
pub(super) struct Door {
    pub(super) scene: Scene,
    pub(super) to_a: Link,
    pub(super) to_b: Link,
    pub(super) epoch: Epoch,
    pub(super) me: Member,
    pub(super) ticket: Signed<Ticket>,
}

impl Door {
    /// The client has shown its ticket to both members, neither of whom has admitted it yet.
    pub(super) async fn new(world: &World) -> Result<Self, Failure> {
        let mut scene = Scene::new(world).await?;
        let epoch = epoch_of(&scene.a, &[&scene.b])?;
        let (mut to_a, me) = scene.accepted(&epoch).await?;
        let ticket = ticket(&epoch, &me, &scene.a, &scene.a)?;
        to_a.invitation(epoch.session, welcome(&epoch, &ticket)).await?;
        let mut to_b = scene.b.accept(&scene.me()).await?;
        for link in [&mut to_a, &mut to_b] {
            link.hears(&epoch, admit(ticket.clone())).await?;
        }
        Ok(Self { scene, to_a, to_b, epoch, me, ticket })
    }

    /// ..and both have admitted it, which the coordinator knows.
    pub(super) async fn completed(world: &World) -> Result<Self, Failure> {
        let mut door = Self::new(world).await?;
        door.to_b.say(&door.epoch, SessionBody::Admitted(Admitted {})).await?;
        door.to_a.say(&door.epoch, SessionBody::Admitted(Admitted {})).await?;
        door.to_a.hears(&door.epoch, SessionBody::Complete(Complete {})).await?;
        Ok(door)
    }

    /// The epoch that the client's join makes.
    pub(super) fn after(&self) -> Result<Epoch, Failure> {
        next(&self.epoch, Change::Join(self.me.clone()))
    }

    /// The coordinator commits, and the client is a member.
    pub(super) async fn through(mut self) -> Result<Room, Failure> {
        let after = self.after()?;
        let (a, b) = (self.scene.a.handle.clone(), self.scene.b.handle.clone());
        self.to_a.say(&self.epoch, commit(&self.scene.a, &after, &[(&a, 0), (&b, 0)])?).await?;
        self.scene.client.begins(&after).await?;
        let Self { scene, to_a, to_b, me, .. } = self;
        Ok(Room { scene, to_a, to_b, epoch: after, me })
    }
}

impl Room {
    pub(super) async fn new(world: &World) -> Result<Self, Failure> {
        Door::completed(world).await?.through().await
    }

    /// The coordinator closes the epoch; the client says that it has said so much.
    pub(super) async fn close(
        &mut self,
        change: &Change,
        holder: &UserHandle,
        sent: u64,
    ) -> Result<(), Failure> {
        let grant = grant(&self.epoch, change.clone(), holder, &self.scene.a)?;
        self.to_a.say(&self.epoch, SessionBody::Close(Close { grant, change: change.clone() })).await?;
        self.to_a.hears(&self.epoch, closed(sent)).await
    }

    /// The coordinator commits what it has closed; so much was said by each. The epoch is the next one from here on.
    pub(super) async fn commit(&mut self, change: &Change, sent: [u64; 3]) -> Result<(), Failure> {
        let after = next(&self.epoch, change.clone())?;
        let (a, me, b) = (&self.scene.a.handle, &self.me.handle, &self.scene.b.handle);
        let [by_a, by_me, by_b] = sent;
        self.to_a
            .say(&self.epoch, commit(&self.scene.a, &after, &[(a, by_a), (me, by_me), (b, by_b)])?)
            .await?;
        self.epoch = after;
        Ok(())
    }

    /// The client closes its link to the coordinator with this code, and is left with person b.
    pub(super) async fn gives_coordinator_up(self, code: ErrorCode) -> Result<(), Failure> {
        let Self { mut scene, to_a, mut to_b, epoch, .. } = self;
        to_a.refused(code).await?;
        scene.client.tells("member-lost", json!({"handle": scene.a.handle})).await?;
        match to_b.heard(&epoch).await? {
            SessionBody::Follow(_) => Ok(()),
            other => Err(Failure::unexpected("follow", shown(&other))),
        }
    }

    /// The members and the client go on as before: b is heard, and gets its acknowledgement.
    pub(super) async fn goes_on(&mut self, number: u64) -> Result<(), Failure> {
        let text = format!("message {number}");
        self.to_b.say(&self.epoch, message(number, &text)).await?;
        self.scene.client.hears(&self.scene.b.handle, &text).await?;
        self.to_b.hears(&self.epoch, received(number)).await
    }
}

/// A session that the client created and coordinates.
pub(super) struct Chair {
    pub(super) scene: Scene,
    pub(super) session: SessionId,
    /// The epoch, once an invitation has told the origin.
    pub(super) epoch: Epoch,
    pub(super) me: Member,
}

impl Chair {
    /// The client has created a session and invited person a, who has not answered.
    pub(super) async fn inviting(world: &World) -> Result<(Self, Link), Failure> {
        Self::inviting_in(Scene::new(world).await?).await
    }

    /// As [`Chair::inviting`], in a scene that is set already.
    pub(super) async fn inviting_in(mut scene: Scene) -> Result<(Self, Link), Failure> {
        let created = scene.client.done(json!({"command": "create"}), "created").await?;
        let session = session_of(&created)?;
        scene.client.invite(session, &scene.a.handle).await?;
        let mut link = scene.a.accept(&scene.me()).await?;
        let InvitationBody::Invite(Invite { origin, .. }) = link.invited(session).await? else {
            return Err(Failure::unexpected("invite", "another step"));
        };
        let me = Member {
            key: key_of(&link)?,
            relay: tag_of(&created)?,
            handle: scene.me(),
            accepts: MediaTypes::default(),
        };
        let epoch = Epoch::first(session, origin, me.clone());
        scene.client.begins(&epoch).await?;
        Ok((Self { scene, session, epoch, me }, link))
    }

    /// A session of the client and person a.
    pub(super) async fn of_two(world: &World) -> Result<(Self, Link), Failure> {
        Self::of_two_in(Scene::new(world).await?).await
    }

    /// As [`Chair::of_two`], in a scene that is set already.
    pub(super) async fn of_two_in(scene: Scene) -> Result<(Self, Link), Failure> {
        let (mut chair, mut to_a) = Self::inviting_in(scene).await?;
        let newcomer = chair.scene.a.member();
        chair.join(&mut to_a, &newcomer).await?;
        to_a.say(&chair.epoch, SessionBody::Complete(Complete {})).await?;
        let after = next(&chair.epoch, Change::Join(newcomer))?;
        to_a.hears_commit(&chair.epoch, &after, &[(&chair.me.handle, 0)]).await?;
        chair.epoch = after;
        chair.scene.client.begins(&chair.epoch).await?;
        Ok((chair, to_a))
    }

    /// A session of the client and persons a and b.
    pub(super) async fn of_three(world: &World) -> Result<(Self, Link, Link), Failure> {
        let (mut chair, mut to_a) = Self::of_two(world).await?;
        let mut to_b = chair.invites_b().await?;
        let newcomer = chair.scene.b.member();
        let ticket = chair.join(&mut to_b, &newcomer).await?;
        drop(ticket);
        to_a.say(&chair.epoch, SessionBody::Admitted(Admitted {})).await?;
        // That it came is known by its answer: the two links have no common order.
        to_a.alive().await?;
        to_b.say(&chair.epoch, SessionBody::Complete(Complete {})).await?;
        let change = Change::Join(newcomer);
        chair.closes(&mut to_a, &change).await?;
        to_a.say(&chair.epoch, closed(0)).await?;
        let after = next(&chair.epoch, change)?;
        let sent = [(&chair.scene.a.handle, 0), (&chair.me.handle, 0)];
        to_a.hears_commit(&chair.epoch, &after, &sent).await?;
        to_b.hears_commit(&chair.epoch, &after, &sent).await?;
        chair.epoch = after;
        chair.scene.client.begins(&chair.epoch).await?;
        Ok((chair, to_a, to_b))
    }

    /// The client invites person b: the link, on which the invitation has come.
    pub(super) async fn invites_b(&mut self) -> Result<Link, Failure> {
        self.scene.client.invite(self.session, &self.scene.b.handle).await?;
        let mut link = self.scene.b.accept(&self.scene.me()).await?;
        let invite = invite(&self.epoch);
        link.hears_step(self.session, invite).await?;
        Ok(link)
    }

    /// A newcomer accepts, is welcomed, and is admitted by the client; what is missing is that it completes.
    pub(super) async fn join(&self, link: &mut Link, newcomer: &Member) -> Result<Signed<Ticket>, Failure> {
        link.invitation(
            self.session,
            InvitationBody::Join(Join { relay: newcomer.relay, accepts: newcomer.accepts.clone() }),
        )
        .await?;
        let InvitationBody::Welcome(welcome) = link.invited(self.session).await? else {
            return Err(Failure::unexpected("welcome", "another step"));
        };
        if *welcome.epoch != self.epoch {
            return Err(Failure::unexpected(shown(&self.epoch), shown(&welcome.epoch)));
        }
        link.say(&self.epoch, admit(welcome.ticket.clone())).await?;
        link.hears(&self.epoch, SessionBody::Admitted(Admitted {})).await?;
        Ok(welcome.ticket)
    }

    /// The client closes the epoch for this change: what a member hears.
    pub(super) async fn closes(&self, link: &mut Link, change: &Change) -> Result<Close, Failure> {
        match link.heard(&self.epoch).await? {
            SessionBody::Close(close) if close.change == *change => Ok(close),
            other => Err(Failure::unexpected(format!("close with {}", shown(change)), shown(&other))),
        }
    }
}

pub(super) fn session_of(event: &Value) -> Result<SessionId, Failure> {
    let text = event.get("session").and_then(Value::as_str).unwrap_or_default();
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(SessionId).ok_or_else(|| Failure::unexpected("a session in 64 digits", event))
}

/// The tag that the client drew for a session that it created.
pub(super) fn tag_of(event: &Value) -> Result<RelayTag, Failure> {
    let text = event.get("relay").and_then(Value::as_str).unwrap_or_default();
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(RelayTag).ok_or_else(|| Failure::unexpected("a relay tag in 32 digits", event))
}

pub(super) fn welcome(epoch: &Epoch, ticket: &Signed<Ticket>) -> InvitationBody {
    InvitationBody::Welcome(Welcome { epoch: Arc::new(epoch.clone()), ticket: ticket.clone() })
}
