//! A client and relayed links: when it asks for one, how it serves one, and how much it sends.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    media_type::MediaTypes,
    message::{
        client_client::*,
        client_server::{FromServer, ToServer},
        relay::*,
    },
    policy::Preferences,
    session::{RelayTag, SessionId},
};
use serde_json::json;
use tokio::net::TcpStream;

use super::{
    chain::{content, epoch_of, first, invite, received, ticket},
    line::Link,
    live_cases,
    login::Counter,
    realm::Realm,
    scene::{Chair, Scene, named, session_of, tag_of, welcome},
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

const WINDOW: usize = 32_768;

pub(super) const CASES: &[LiveCase] = live_cases! {
    "client-relay/expects-tag-of-own-session" ["RELAY-001"] "a client that creates a session tells its server the tag that it has there" => expects_own;
    "client-relay/expects-tag-of-invitation" ["RELAY-001"] "a client that joins has told its server the tag that it tells the inviter" => expects_joining;
    "client-relay/forgets-tag" ["RELAY-002"] "a session is over, and the server hears that its tag is" => forgets;
    "client-relay/expects-again" ["RELAY-003"] "the user logs out and in again, and the tag of the session is told again" => expects_again;
    "client-relay/calls" ["RELAY-032", "RELAY-029", "RELAY-007", "RELAY-031"] "an invitee whom the user does not list is invited over a relayed link, and joins" => calls;
    "client-relay/does-not-dial" ["RELAY-031", "RELAY-034"] "the server would tell the address of somebody whom the user does not list; the client does not dial it, and gets no relayed link either" => does_not_dial;
    "client-relay/does-not-dial-denied" ["RELAY-031"] "both lists have the invitee" => does_not_dial_denied;
    "client-relay/not-told" ["RELAY-032"] "the server does not tell the address of somebody whom the user lists" => not_told;
    "client-relay/not-reached" ["RELAY-032", "RELAY-034"] "nobody answers at the address of somebody whom the user lists" => not_reached;
    "client-relay/other-user-at-address" ["RELAY-032", "ADDR-013"] "another user answers at the address" => other_at_address;
    "client-relay/other-user-answers" ["RELAY-029", "CERT-023"] twin "client-relay/calls" "another user answers on the relayed link" => other_answers;
    "client-relay/names-tag" ["RELAY-033", "SESS-063"] "a newcomer calls a member by the tag that the epoch has for it" => names_tag;
    "client-relay/is-called" ["RELAY-013", "RELAY-030"] "somebody calls, and invites over the relayed link" => is_called;
    "client-relay/called-with-other-certificate" ["RELAY-030", "CERT-008"] twin "client-relay/is-called" "who calls shows a certificate under another root" => other_root;
    "client-relay/link-ends" ["RELAY-028"] "the relayed link of an invitation is closed by the server" => link_ends;
    "client-relay/connection-ends" ["RELAY-028"] "the connection with the server ends under the relayed link of an invitation" => connection_ends;
    "client-relay/keeps-to-the-window" ["RELAY-018"] "the client has much to say, and the server gives no credit" => keeps_to_window;
    "client-relay/gives-credit" ["RELAY-019"] "more than a window comes over a relayed link, each part when there is room for it" => gives_credit;
    "client-relay/number-of-the-client" ["RELAY-008"] twin "client-relay/is-called" "the server opens a link under an odd number" => |world| faulty(world, &[Said::Incoming(1)], ErrorCode::UnexpectedMessage);
    "client-relay/number-again" ["RELAY-008"] twin "client-relay/is-called" "the server opens two links under one number" => |world| faulty(world, &[Said::Incoming(4), Said::Incoming(4)], ErrorCode::UnexpectedMessage);
    "client-relay/never-asked-for" ["RELAY-023"] twin "client-relay/is-called" "bytes come for a link that nobody asked for" => |world| faulty(world, &[Said::Data(3)], ErrorCode::UnexpectedMessage);
    "client-relay/opened-unasked" ["RELAY-023"] twin "client-relay/is-called" "a link is opened that the client did not ask for" => |world| faulty(world, &[Said::Opened(1)], ErrorCode::UnexpectedMessage);
    "client-relay/credit-for-nothing" ["RELAY-022"] twin "client-relay/is-called" "credit comes for a byte that the client has not sent" => |world| faulty(world, &[Said::Incoming(2), Said::Credit(2, 1)], ErrorCode::LimitReached);
    "client-relay/late" ["RELAY-024"] "bytes and credit come for a link that is over" => late;
};

fn nobody(_: &Realm) -> Result<Preferences, Failure> {
    Ok(Preferences::default())
}

/// The client, whose user lists nobody; the three people can be reached by relay alone.
async fn unlisted(world: &World) -> Result<Scene, Failure> {
    let scene = Scene::preferring(world, nobody).await?;
    scene.server.book(|book| book.relayed = std::mem::take(&mut book.addresses));
    Ok(scene)
}

fn expected(message: &ToServer) -> Option<RelayTag> {
    if let ToServer::RelayExpect(body) = message { Some(body.relay) } else { None }
}

fn opening(message: &ToServer) -> Option<RelayOpen> {
    if let ToServer::RelayOpen(body) = message { Some(body.clone()) } else { None }
}

fn equal<T: PartialEq + std::fmt::Debug>(expected: &T, got: &T) -> Result<(), Failure> {
    if expected == got {
        Ok(())
    } else {
        Err(Failure::unexpected(format!("{expected:?}"), format!("{got:?}")))
    }
}

async fn expects_own(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let tag = tag_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    equal(&tag, &scene.server.hears("relay-expect", expected).await?)
}

async fn expects_joining(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let (_link, me) = scene.accepted(&first(&scene.a, 8)).await?;
    equal(&me.relay, &scene.server.hears("relay-expect", expected).await?)
}

async fn forgets(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let created = scene.client.done(json!({"command": "create"}), "created").await?;
    scene.client.take("leave", session_of(&created)?).await?;
    let forgotten = |message: &ToServer| {
        if let ToServer::RelayForget(body) = message { Some(body.relay) } else { None }
    };
    equal(&tag_of(&created)?, &scene.server.hears("relay-forget", forgotten).await?)
}

async fn expects_again(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let tag = tag_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.server.hears("relay-expect", expected).await?;
    scene.client.done(json!({"command": "logout"}), "logged-out").await?;
    scene.server.book(|book| book.asked.clear());
    let server = Arc::clone(&scene.server);
    let serving = tokio::spawn(async move { server.serve().await });
    scene.client.done(json!({"command": "login"}), "logged-in").await?;
    let again = scene.server.hears("relay-expect", expected).await;
    serving.abort();
    equal(&tag, &again?)
}

/// The client has created a session, and invites person a.
async fn invites(scene: &mut Scene) -> Result<SessionId, Failure> {
    let session = session_of(&scene.client.done(json!({"command": "create"}), "created").await?)?;
    scene.client.invite(session, &scene.a.handle).await?;
    Ok(session)
}

/// The invitation comes to person a, over whatever link.
async fn is_invited(scene: &Scene, session: SessionId) -> Result<Link, Failure> {
    let mut link = scene.a.accept(&scene.me()).await?;
    match link.invited(session).await? {
        InvitationBody::Invite(_) => Ok(link),
        other => Err(Failure::unexpected("invite", super::line::shown(&other))),
    }
}

async fn fails(scene: &mut Scene, session: SessionId) -> Result<(), Failure> {
    let fields = json!({"session": named(session), "handle": scene.a.handle, "code": "unavailable"});
    scene.client.tells("invitation-failed", fields).await
}

async fn calls(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let session = invites(&mut scene).await?;
    let open = scene.server.hears("relay-open", opening).await?;
    equal(&Called::User(scene.a.handle.clone()), &open.called)?;
    equal(&1, &(open.link.0 % 2))?;
    let mut link = is_invited(&scene, session).await?;
    let join = InvitationBody::Join(Join { relay: scene.a.relay, accepts: MediaTypes::default() });
    link.invitation(session, join).await?;
    match link.invited(session).await? {
        InvitationBody::Welcome(_) => Ok(()),
        other => Err(Failure::unexpected("welcome", super::line::shown(&other))),
    }
}

/// Nobody has connected to person a: the first connection there is the suite's own.
async fn was_not_dialled(scene: &Scene) -> Result<(), Failure> {
    let own = TcpStream::connect(scene.a.address.0).await.map_err(Failure::harness)?;
    let first = scene.a.knocked().await?;
    let (expected, got) = (own.local_addr(), first.peer_addr());
    match (expected, got) {
        (Ok(expected), Ok(got)) if expected == got => Ok(()),
        _ => Err(Failure::unexpected("no connection to the invitee", "the client dialled")),
    }
}

async fn does_not_dial(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::preferring(&world, nobody).await?;
    let session = invites(&mut scene).await?;
    fails(&mut scene, session).await?;
    was_not_dialled(&scene).await
}

async fn does_not_dial_denied(world: Arc<World>) -> Result<(), Failure> {
    let preferences = |realm: &Realm| {
        let mut preferences = super::scene::listing(&super::scene::people(realm))?;
        preferences.deny = preferences.allow.clone();
        Ok(preferences)
    };
    let mut scene = Scene::preferring(&world, preferences).await?;
    let session = invites(&mut scene).await?;
    fails(&mut scene, session).await?;
    was_not_dialled(&scene).await
}

async fn not_told(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    scene.server.book(|book| book.relayed = std::mem::take(&mut book.addresses));
    let session = invites(&mut scene).await?;
    is_invited(&scene, session).await.map(drop)
}

async fn not_reached(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    // Nobody listens at a port that was given back a moment ago.
    let (listener, address) = crate::live::bind().await?;
    drop(listener);
    let a = scene.a.handle.clone();
    scene.server.book(|book| {
        book.addresses.insert(a.clone(), address);
        book.relayed.insert(a, scene.a.address);
    });
    let session = invites(&mut scene).await?;
    is_invited(&scene, session).await.map(drop)
}

async fn other_at_address(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = Scene::new(&world).await?;
    let a = scene.a.handle.clone();
    scene.server.book(|book| {
        book.addresses.insert(a.clone(), scene.b.address);
        book.relayed.insert(a, scene.a.address);
    });
    let session = invites(&mut scene).await?;
    scene.b.is_refused("wrong-peer").await?;
    is_invited(&scene, session).await.map(drop)
}

async fn other_answers(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let (a, b) = (scene.a.handle.clone(), scene.b.address);
    scene.server.book(|book| book.relayed.insert(a, b));
    let session = invites(&mut scene).await?;
    scene.b.is_refused("wrong-peer").await?;
    fails(&mut scene, session).await
}

async fn names_tag(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let epoch = epoch_of(&scene.a, &[&scene.b])?;
    let (mut to_a, me) = scene.accepted(&epoch).await?;
    let ticket = ticket(&epoch, &me, &scene.a, &scene.a)?;
    to_a.invitation(epoch.session, welcome(&epoch, &ticket)).await?;
    let open = scene.server.hears("relay-open", opening).await?;
    let member = TaggedUser { relay: scene.b.relay, handle: scene.b.handle.clone() };
    equal(&Called::Member(member), &open.called)?;
    let mut to_b = scene.b.accept(&scene.me()).await?;
    to_b.hears(&epoch, super::chain::admit(ticket)).await
}

async fn is_called(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let stream = scene.server.call(&scene.a.handle).await?;
    let mut link = scene.a.dial_over(stream, &scene.me()).await?;
    let epoch = first(&scene.a, 8);
    link.invitation(epoch.session, invite(&epoch)).await?;
    scene.client.tells("invited", json!({"inviter": scene.a.handle})).await?;
    scene.client.take("reject", epoch.session).await?;
    link.hears_step(epoch.session, InvitationBody::Reject(Reject {})).await
}

async fn other_root(world: Arc<World>) -> Result<(), Failure> {
    let scene = unlisted(&world).await?;
    let stranger = super::realm::Person::new(&Realm::new()?, &Realm::new()?.home, 0x10).await?;
    let stream = scene.server.call(&scene.a.handle).await?;
    match stranger.dial_over(stream, &scene.me()).await {
        Err(Failure::Unexpected { .. }) => {}
        Err(other) => return Err(other),
        Ok(_) => return Err(Failure::unexpected("a TLS alert", "a greeting")),
    }
    let stream = scene.server.call(&scene.a.handle).await?;
    scene.a.dial_over(stream, &scene.me()).await?.alive().await
}

/// Person a has invited over a relayed link, and the user was told so.
async fn invited_over_relay(scene: &mut Scene) -> Result<(Link, SessionId), Failure> {
    let stream = scene.server.call(&scene.a.handle).await?;
    let mut link = scene.a.dial_over(stream, &scene.me()).await?;
    let epoch = first(&scene.a, 8);
    link.invitation(epoch.session, invite(&epoch)).await?;
    scene.client.tells("invited", json!({"inviter": scene.a.handle})).await?;
    Ok((link, epoch.session))
}

async fn link_ends(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let (link, session) = invited_over_relay(&mut scene).await?;
    // The server closes the link when one side is gone.
    drop(link);
    scene.client.tells("ended", json!({"session": named(session)})).await
}

async fn connection_ends(world: Arc<World>) -> Result<(), Failure> {
    let mut scene = unlisted(&world).await?;
    let (_link, session) = invited_over_relay(&mut scene).await?;
    scene.server_is_gone();
    scene.client.tells("ended", json!({"session": named(session)})).await
}

async fn keeps_to_window(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, _to_a) = relayed_two(&world).await?;
    let before = sent(&chair.scene);
    chair.scene.server.book(|book| book.withholds_credit = true);
    for _ in 0..8 {
        chair.scene.client.say(chair.session, &"x".repeat(16_000)).await?;
    }
    let mut last = 0;
    loop {
        // The client has had its say when a question takes its way and nothing more has come.
        chair.scene.client.is_in(&chair.epoch).await?;
        tokio::task::yield_now().await;
        let now = sent(&chair.scene) - before;
        if now > WINDOW {
            return Err(Failure::unexpected(format!("at most {WINDOW} bytes"), now));
        }
        if now == last && now > 0 {
            return Ok(());
        }
        last = now;
    }
}

/// How many bytes the client has sent on relayed links.
fn sent(scene: &Scene) -> usize {
    let bytes = |message: &ToServer| match message {
        ToServer::RelayData(data) => data.bytes.count(),
        _ => 0,
    };
    scene.server.book(|book| book.asked.iter().map(bytes).sum())
}

/// A session of the client and person a, whom the client has called.
async fn relayed_two(world: &World) -> Result<(Chair, Link), Failure> {
    Chair::of_two_in(unlisted(world).await?).await
}

async fn gives_credit(world: Arc<World>) -> Result<(), Failure> {
    let (mut chair, mut to_a) = relayed_two(&world).await?;
    for number in 1..=6u64 {
        let text = "y".repeat(16_000);
        to_a.say(&chair.epoch, content(number, text.as_bytes(), "text/plain")).await?;
        chair.scene.client.hears(&chair.scene.a.handle, &text).await?;
        to_a.hears(&chair.epoch, received(number)).await?;
    }
    Ok(())
}

/// What the suite's server says, right or wrong.
enum Said {
    Incoming(u64),
    Opened(u64),
    Data(u64),
    Credit(u64, u64),
    Closed(u64),
}

impl Said {
    fn message(&self, scene: &Counter) -> Result<FromServer, Failure> {
        let caller = scene.realm.home.handle(super::scene::A);
        Ok(match self {
            Self::Incoming(link) => {
                FromServer::RelayIncoming(RelayIncoming { link: LinkNumber(*link), caller })
            }
            Self::Opened(link) => FromServer::RelayOpened(RelayOpened { link: LinkNumber(*link) }),
            Self::Data(link) => {
                let bytes = vec![0x16].try_into().map_err(Failure::harness)?;
                FromServer::RelayData(RelayData { link: LinkNumber(*link), bytes })
            }
            Self::Credit(link, bytes) => {
                let bytes = (*bytes).try_into().map_err(Failure::harness)?;
                FromServer::RelayCredit(RelayCredit { link: LinkNumber(*link), bytes })
            }
            Self::Closed(link) => FromServer::RelayClose(RelayClose { link: LinkNumber(*link) }),
        })
    }
}

async fn faulty(world: Arc<World>, said: &'static [Said], code: ErrorCode) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    for said in said {
        let message = said.message(&counter)?;
        counter.desk.send(&message).await?;
    }
    // Links that the client has opened meanwhile are no matter.
    while let Some(message) = counter.desk.read().await? {
        match message {
            ToServer::RelayOpened(_) => {}
            ToServer::Error(error) if error.code == code => return Ok(()),
            other => return Err(Failure::unexpected(format!("an error with {code}"), format!("{other:?}"))),
        }
    }
    Err(Failure::unexpected(format!("an error with {code}"), "the end of the connection"))
}

async fn late(world: Arc<World>) -> Result<(), Failure> {
    let mut counter = Counter::logged_in(&world).await?;
    let incoming = Said::Incoming(2).message(&counter)?;
    counter.desk.send(&incoming).await?;
    match counter.desk.next().await? {
        ToServer::RelayOpened(body) => equal(&LinkNumber(2), &body.link)?,
        other => return Err(Failure::unexpected("relay-opened", format!("{other:?}"))),
    }
    for said in [Said::Closed(2), Said::Data(2), Said::Credit(2, 1), Said::Opened(2), Said::Closed(2)] {
        let message = said.message(&counter)?;
        counter.desk.send(&message).await?;
    }
    counter.desk.alive().await
}
