//! How often a peer may ask (chapter *Limits*, section *Rates*): a server whose rates are low, and peers that ask often.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_spec::{
    channel::{Answer, Request as _},
    error_code::ErrorCode,
    identity::UserHandle,
    message::{
        client_server::{FromServer, Login, Lookup, SetPreferences, ToServer},
        common::{Ping, RequestId},
        relay::{Called, LinkNumber, RelayCall, RelayOpen, RelayOpened},
        server_server::{CheckOut, FromPeerServer, LoginEpoch, Renew, Resolve, Store, ToPeerServer},
    },
};
use futures::{FutureExt as _, future::select_all};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::stage::{
    Alone, Asks, Client, Done, Link, PeerLink, Stage, User, case, expect_equal, profile, want,
};
use crate::{
    case::Failure,
    live::{LiveCase, World},
    process::PATIENCE,
};

/// So many a second, and so many at once: enough for what a case does before it asks too often.
const RATE: u32 = 20;

/// Far more than the rate lets through while they are sent.
const FLOOD: u64 = 400;

/// More connections than an address may have in the case of that.
const CONNECTIONS: u32 = 8;

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "rates/lookups",
        &["LIM-007", "LIM-011", "LIM-012", "LIM-004"],
        "A user looks for a friend and for nobody 400 times: lookups of both are refused with limit-reached, and no other user's is.",
        |world| Box::pin(lookups(world)),
    ),
    case(
        "rates/logins",
        &["LIM-007"],
        "A user without an account asks to log in again and again: at last refused with limit-reached.",
        |world| Box::pin(logins(world)),
    ),
    case(
        "rates/changes",
        &["LIM-007"],
        "A user changes an old version of the preferences again and again: at last refused with limit-reached.",
        |world| Box::pin(changes(world)),
    ),
    case(
        "rates/calls",
        &["LIM-008"],
        "A user calls a friend who opens every link 100 times: some of the calls get relay-close.",
        |world| Box::pin(calls(world)),
    ),
    case(
        "rates/calls-of-a-server",
        &["LIM-008"],
        "A server calls a user who opens every link 100 times: some of the calls get relay-close.",
        |world| Box::pin(calls_of_a_server(world)),
    ),
    case(
        "rates/registrations",
        &["LIM-007", "LIM-009"],
        "One key is registered again and again on two connections in turn: at last refused with limit-reached on both.",
        |world| Box::pin(registrations(world)),
    ),
    case(
        "rates/of-servers",
        &["LIM-007", "LIM-011"],
        "A server sends check-out, renew, store and resolve without a pause: each is refused with limit-reached; another server's are not.",
        |world| Box::pin(of_servers(world)),
    ),
    case(
        "rates/of-all-connections",
        &["LIM-009"],
        "A server that was refused on one connection is refused on another, too.",
        |world| Box::pin(of_all_connections(world)),
    ),
    case(
        "rates/read-slowly",
        &["LIM-015", "LIM-004"],
        "A user, and a server, send three times as many pings as are read at once: the last pong comes no sooner than half the time that the rate takes; another user's ping isn't held up.",
        |world| Box::pin(read_slowly(world)),
    ),
    case(
        "rates/connections-of-an-address",
        &["LIM-010", "LIM-004"],
        "Of thirty connections of one address that say nothing most are ended at once; when they are gone, a user logs in.",
        |world| Box::pin(connections_of_an_address(world)),
    ),
    case(
        "rates/connections-one-after-the-other",
        &["LIM-013", "LIM-004"],
        "An address connects to the registration port a hundred times in a row: a connection is ended without a byte; later one is greeted.",
        |world| Box::pin(connections_one_after_the_other(world)),
    ),
    case(
        "rates/handshakes-of-an-address",
        &["LIM-014", "LIM-004"],
        "A connection says nothing yet; another address opens more than there may be handshakes, and loses some; then the first one goes on and is greeted.",
        |world| Box::pin(handshakes_of_an_address(world)),
    ),
];

async fn limited(world: &Arc<World>) -> Result<Stage, Failure> {
    Stage::alone(world, Alone { rate: Some(RATE), ..Alone::default() }).await
}

/// Asks until a request is refused for the rate.
async fn until_limited<M: Asks>(link: &mut Link<M>, make: impl Fn(RequestId) -> M) -> Done {
    for _ in 0..FLOOD {
        let id = link.id();
        let message = link.ask(make(id)).await?;
        if let Some((of, Answer::Refused(ErrorCode::LimitReached))) = M::answer(&message)
            && of == id
        {
            return Ok(());
        }
    }
    Err(Failure::unexpected("a refusal with limit-reached", format!("{FLOOD} answers of other kinds")))
}

async fn lookups(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let (greedy, friend) = (stage.account().await?, stage.account().await?);
    let (mut client, mut other) = (stage.logged_in(&greedy).await?, stage.logged_in(&friend).await?);
    other.allows(&[&greedy.handle]).await?;
    let nobody = stage.stranger()?.handle;
    let asked = |id: u64| if id.is_multiple_of(2) { &friend.handle } else { &nobody };
    let ids: Vec<RequestId> = (0..FLOOD).map(|_| client.id()).collect();
    for id in &ids {
        client.send(&ToServer::Lookup(Lookup { id: *id, user: asked(id.0).clone() })).await?;
    }
    let mut refused: Vec<&UserHandle> = Vec::new();
    for _ in &ids {
        let of = want!(
            client.next().await?,
            FromServer::Refused(body) if body.code == ErrorCode::LimitReached => Some(body.id),
            FromServer::Refused(body) if body.code == ErrorCode::Unavailable => None,
            FromServer::Address(_) => None;
            "an answer to a lookup"
        )?;
        refused.extend(of.map(|id| asked(id.0)));
    }
    for user in [&friend.handle, &nobody] {
        expect_equal("lookups of each that are refused", &true, &refused.contains(&user))?;
    }
    expect_equal("the other's lookup", &Ok(other.address()), &other.lookup(&friend.handle).await?)
}

async fn logins(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let mut client = stage.client(&stage.stranger()?).await?;
    let address = client.address();
    until_limited(&mut client, |id| ToServer::Login(Login { id, address })).await
}

async fn changes(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let user = stage.account().await?;
    let mut client = stage.logged_in(&user).await?;
    let old = profile(9, &[], &[], false);
    let make = |id| {
        ToServer::SetPreferences(SetPreferences {
            id,
            version: old.version,
            messaging: old.messaging.clone(),
        })
    };
    until_limited(&mut client, make).await
}

/// Opens every link of which a client is told, until it has no more to say.
async fn opens_all(client: &mut Client) -> Done {
    loop {
        let link =
            want!(client.next().await?, FromServer::RelayIncoming(body) => body.link; "relay-incoming")?;
        client.send(&ToServer::RelayOpened(RelayOpened { link })).await?;
    }
}

/// As many calls as are no more than a user may have links, and more than the rate.
const CALLS: u64 = 100;

/// Waits for an answer to each call; some have to be relay-close. The called client opens what it is told of meanwhile.
async fn some_are_closed(answers: impl Future<Output = Result<usize, Failure>>, called: &mut Client) -> Done {
    let answers = std::pin::pin!(answers);
    let opening = std::pin::pin!(opens_all(called));
    let closed = match futures::future::select(answers, opening).await {
        futures::future::Either::Left((closed, _)) => closed?,
        // The called client has nothing left to open; what is missing is still to come.
        futures::future::Either::Right((_, answers)) => answers.await?,
    };
    expect_equal("calls that get relay-close", &true, &(closed > 0))
}

async fn calls(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let (caller, called) = (stage.account().await?, stage.account().await?);
    let (mut from, mut to) = (stage.logged_in(&caller).await?, stage.logged_in(&called).await?);
    for number in 0..CALLS {
        let open =
            RelayOpen { link: LinkNumber(2 * number + 1), called: Called::User(called.handle.clone()) };
        from.send(&ToServer::RelayOpen(open)).await?;
    }
    let answers = async {
        let mut closed = 0;
        for _ in 0..CALLS {
            closed += want!(
                from.next().await?, FromServer::RelayOpened(_) => 0, FromServer::RelayClose(_) => 1; "an answer to a call"
            )?;
        }
        Ok(closed)
    };
    some_are_closed(answers, &mut to).await
}

async fn calls_of_a_server(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let called = stage.account().await?;
    let (other, mut to) = (stage.played("other").await?, stage.logged_in(&called).await?);
    let (mut peer, caller) = (other.dial(&stage).await?, other.user()?);
    for number in 0..CALLS {
        let (link, called) = (LinkNumber(2 * number + 1), Called::User(called.handle.clone()));
        peer.send(&ToPeerServer::RelayCall(RelayCall { link, called, caller: caller.clone() })).await?;
    }
    let answers = async {
        let mut closed = 0;
        for _ in 0..CALLS {
            closed += want!(
                peer.next().await?,
                FromPeerServer::RelayOpened(_) => 0,
                FromPeerServer::RelayClose(_) => 1;
                "an answer to a call"
            )?;
        }
        Ok(closed)
    };
    some_are_closed(answers, &mut to).await
}

async fn registrations(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let key = stage.key()?;
    let (mut one, mut two) = (stage.registrar().await?, stage.registrar().await?);
    for _ in 0..FLOOD {
        let mut refused = 0;
        for registrar in [&mut one, &mut two] {
            let request = stage.request(registrar, &key)?;
            let message = registrar.ask(request).await?;
            let answer = antiphon_spec::message::registration::ToRegistrar::answer(&message);
            refused += u32::from(matches!(answer, Some((_, Answer::Refused(ErrorCode::LimitReached)))));
        }
        if refused == 2 {
            return Ok(());
        }
    }
    Err(Failure::unexpected("refusals with limit-reached on both connections", "none"))
}

/// Makes a request of an ID.
type Make = Box<dyn Fn(RequestId) -> ToPeerServer + Send + Sync>;

/// The requests of a server, each of which has no effect.
fn requests(user: &User) -> [(&'static str, Make); 4] {
    let (user, handle, stored) = (user.handle.id, user.handle.clone(), profile(0, &[], &[], false));
    let (epoch, version) = (LoginEpoch(1_000), stored.version);
    [
        (
            "resolve",
            Box::new(move |id| {
                ToPeerServer::Resolve(Resolve { id, user: handle.clone(), asker: handle.clone() })
            }),
        ),
        ("check-out", Box::new(move |id| ToPeerServer::CheckOut(CheckOut { id, user }))),
        ("renew", Box::new(move |id| ToPeerServer::Renew(Renew { id, user, epoch }))),
        (
            "store",
            Box::new(move |id| {
                ToPeerServer::Store(Store { id, user, epoch, version, messaging: stored.messaging.clone() })
            }),
        ),
    ]
}

async fn of_servers(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let nobody = stage.stranger()?;
    let mut greedy: PeerLink = stage.played("greedy").await?.dial(&stage).await?;
    let mut other: PeerLink = stage.played("other").await?.dial(&stage).await?;
    for (what, make) in requests(&nobody) {
        until_limited(&mut greedy, &make).await?;
        let id = other.id();
        let answer = ToPeerServer::answer(&other.ask(make(id)).await?);
        let is_limited = matches!(answer, Some((_, Answer::Refused(ErrorCode::LimitReached))));
        expect_equal(what, &false, &is_limited)?;
    }
    Ok(())
}

async fn of_all_connections(world: Arc<World>) -> Done {
    let stage = limited(&world).await?;
    let user = stage.stranger()?.handle;
    let played = stage.played("other").await?;
    let (mut one, mut two) = (played.dial(&stage).await?, played.dial(&stage).await?);
    let make = |id| ToPeerServer::Resolve(Resolve { id, user: user.clone(), asker: user.clone() });
    // A rate of its own would grant the second connection as many as the first one; in the time of one answer no more
    // than a few come back.
    for _ in 0..FLOOD {
        until_limited(&mut one, make).await?;
        let id = two.id();
        let answer = ToPeerServer::answer(&two.ask(make(id)).await?);
        if matches!(answer, Some((_, Answer::Refused(ErrorCode::LimitReached)))) {
            return if two.last_id().0 <= u64::from(RATE) {
                Ok(())
            } else {
                Err(Failure::unexpected("one rate for both connections", "one for each"))
            };
        }
    }
    Err(Failure::unexpected("a refusal with limit-reached", "none"))
}

/// So many pings, read at this rate, and so many at once.
const MESSAGE_RATE: u32 = 40;
const PINGS: u32 = 3 * MESSAGE_RATE;

async fn read_slowly(world: Arc<World>) -> Done {
    let stage = Stage::alone(&world, Alone { message_rate: Some(MESSAGE_RATE), ..Alone::default() }).await?;
    let (greedy, user) = (stage.account().await?, stage.account().await?);
    let (mut client, mut other) = (stage.logged_in(&greedy).await?, stage.logged_in(&user).await?);
    let mut server = stage.played("other").await?.dial(&stage).await?;
    let begun = Instant::now();
    for number in 1..=u64::from(PINGS) {
        client.send(&ToServer::Ping(Ping { number })).await?;
        server.send(&ToPeerServer::Ping(Ping { number })).await?;
    }
    other.probe().await?;
    for expected in 1..=u64::from(PINGS) {
        let number = want!(client.next().await?, FromServer::Pong(pong) => pong.number; "a pong")?;
        expect_equal("the pong", &expected, &number)?;
    }
    slowly_since(begun)?;
    for expected in 1..=u64::from(PINGS) {
        let number = want!(server.next().await?, FromPeerServer::Pong(pong) => pong.number; "a pong")?;
        expect_equal("the pong", &expected, &number)?;
    }
    slowly_since(begun)
}

/// Whether half as much time has passed as the rate takes to let through all pings but those that are let through at once: a
/// server may count a message when it comes, or behind it.
fn slowly_since(begun: Instant) -> Done {
    let least = Duration::from_secs(1) * (PINGS - MESSAGE_RATE) / MESSAGE_RATE / 2;
    let waited = begun.elapsed();
    if waited >= least {
        return Ok(());
    }
    let expected = format!("the last of {PINGS} pongs after at least {} ms", least.as_millis());
    Err(Failure::unexpected(expected, format!("it after {} ms", waited.as_millis())))
}

async fn connections_of_an_address(world: Arc<World>) -> Done {
    let alone = Alone { connections: Some(CONNECTIONS), ..Alone::default() };
    let stage = Stage::alone(&world, alone).await?;
    let user = stage.account().await?;
    let mut silent = Vec::new();
    for _ in 0..30 {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.address().0.port())).await;
        silent.push(stream.map_err(Failure::harness)?);
    }
    let mut ended = 0;
    while silent.len() > usize::try_from(CONNECTIONS).map_err(Failure::harness)? {
        let next = select_all(silent.iter_mut().map(|stream| stream.read_u8().boxed()));
        // Well within the time that a handshake may take: those are ended for another reason.
        let Ok(at) = timeout(PATIENCE / 2, next).await.map(|(_, at, _)| at) else { break };
        drop(silent.remove(at));
        ended += 1;
    }
    expect_equal("connections that are ended at once", &(30 - CONNECTIONS), &ended)?;
    drop(silent);
    // The server sees by and by that they are gone.
    let login = async {
        loop {
            if let Ok(mut client) = stage.client(&user).await {
                return client.log_in().await;
            }
        }
    };
    let login = timeout(PATIENCE, login).await;
    login.map_err(|_| Failure::unexpected("a login", "none")).flatten().map(drop)
}

async fn connections_one_after_the_other(world: Arc<World>) -> Done {
    let alone = Alone { connection_rate: Some(RATE), ..Alone::default() };
    let stage = Stage::alone(&world, alone).await?;
    let port = (Ipv4Addr::LOCALHOST, stage.registration().0.port());
    let mut silent = Vec::new();
    for _ in 0..5 * RATE {
        silent.push(TcpStream::connect(port).await.map_err(Failure::harness)?);
    }
    let next = select_all(silent.iter_mut().map(|stream| stream.read_u8().boxed()));
    // Well within the time that a handshake may take.
    let is_ended = timeout(PATIENCE / 2, next).await.is_ok();
    expect_equal("a connection that is ended at once", &true, &is_ended)?;
    let greeted = async {
        while stage.registrar().await.is_err() {
            sleep(PATIENCE / 100).await;
        }
    };
    timeout(PATIENCE, greeted).await.map_err(|_| Failure::unexpected("a greeting", "none"))
}

/// The address of those who take places from each other; it is this machine's, too.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// More than there may be handshakes in the case of that.
const HANDSHAKES: u32 = 8;

async fn handshakes_of_an_address(world: Arc<World>) -> Done {
    let alone = Alone { handshakes: Some(HANDSHAKES), ..Alone::default() };
    let stage = Stage::alone(&world, alone).await?;
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.registration().0.port()));
    let honest = TcpStream::connect(port).await.map_err(Failure::harness)?;
    let mut others = Vec::new();
    for _ in 0..4 * HANDSHAKES {
        let socket = TcpSocket::new_v4().map_err(Failure::harness)?;
        let bound = socket.bind((OTHER_ADDRESS, 0).into());
        bound.map_err(|_| Failure::Unsupported("this machine has one loopback address only".to_owned()))?;
        others.push(socket.connect(port).await.map_err(Failure::harness)?);
    }
    // Each of the others for which there was no place is ended; then all places have been given.
    for _ in 0..3 * HANDSHAKES {
        let next = select_all(others.iter_mut().map(|stream| stream.read_u8().boxed()));
        let ended = timeout(PATIENCE / 2, next).await;
        let (_, at, _) = ended.map_err(|_| Failure::unexpected("the end of a handshake", "none"))?;
        drop(others.remove(at));
    }
    stage.registrar_over(honest).await?.probe().await
}
