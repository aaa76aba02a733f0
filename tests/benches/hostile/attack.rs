//! The attacks: what each sends, without a pause, until it is told to stop.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use antiphon_protocol::{
    connection::{DiallingEnd, encode_message},
    message::DiallerMessage,
};
use antiphon_spec::{
    identity::Identity,
    message::{
        client_server::{Lookup, SetPreferences, ToServer},
        common::{Ping, RequestId},
        registration::ToRegistrar,
        relay::{Called, LinkNumber, RelayCall, RelayOpen},
        server_server::{CheckOut, LoginEpoch, ProfileVersion, Renew, Resolve, Store, ToPeerServer},
    },
    policy::{HandleSet, Preferences, Verdict},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{sleep, timeout},
};

use antiphon_tests::people::{Ground, Person, connect};

/// From where all attacks come.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 1);

/// Hostile users; each may have 64 connections.
const USERS: usize = 4;
const CONNECTIONS: usize = 60;

/// Requests that go out together.
const AT_ONCE: u64 = 64;

/// How long a hostile peer waits before it comes again.
const AGAIN: Duration = Duration::from_millis(50);

/// The connections of one address in the attack of that name.
const MANY: usize = 10_000;

/// What goes on.
#[derive(Clone)]
pub(crate) struct Deeds {
    count: Arc<AtomicU64>,
    ground: Ground,
    users: Vec<Person>,
    evil: Person,
}

impl Deeds {
    fn done(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }
}

type Begin = fn(&Deeds, &mut JoinSet<()>, &Runtime);

/// One kind of attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    begin: Begin,
}

/// All of them.
pub(crate) const ALL: &[Attack] = &[
    Attack {
        name: "flood of lookups",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, 1, |deeds, user| {
                let unknown = deeds.evil.handle.clone();
                Box::pin(flood_logged_in(deeds, user, move |id, _| {
                    ToServer::Lookup(Lookup { id, user: unknown.clone() })
                }))
            })
        },
    },
    Attack {
        name: "flood of logins",
        begin: |deeds, tasks, on| by_users(deeds, tasks, on, 4, |deeds, user| Box::pin(logins(deeds, user))),
    },
    Attack {
        name: "flood of changes",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, 1, |deeds, user| {
                let messaging = full();
                Box::pin(flood_logged_in(deeds, user, move |id, _| {
                    ToServer::SetPreferences(SetPreferences {
                        id,
                        version: ProfileVersion(0),
                        messaging: messaging.clone(),
                    })
                }))
            })
        },
    },
    Attack {
        name: "flood of calls",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, 1, |deeds, user| {
                let unknown = deeds.evil.handle.clone();
                Box::pin(flood_logged_in(deeds, user, move |_, number| {
                    ToServer::RelayOpen(RelayOpen {
                        link: LinkNumber(2 * number + 1),
                        called: Called::User(unknown.clone()),
                    })
                }))
            })
        },
    },
    Attack {
        name: "flood of pings",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, CONNECTIONS / 4, |deeds, user| {
                Box::pin(flood(deeds, user, |_, number| ToServer::Ping(Ping { number })))
            })
        },
    },
    Attack {
        name: "flood of registrations",
        begin: |deeds, tasks, on| {
            for _ in 0..CONNECTIONS {
                tasks.spawn_on(registrations(deeds.clone()), on.handle());
            }
        },
    },
    Attack {
        name: "server: check-outs",
        begin: |deeds, tasks, on| {
            by_server(deeds, tasks, on, |user, id, number| {
                let epoch = LoginEpoch(1);
                if number.is_multiple_of(2) {
                    ToPeerServer::CheckOut(CheckOut { id, user: user.handle.id })
                } else {
                    ToPeerServer::Renew(Renew { id, user: user.handle.id, epoch })
                }
            })
        },
    },
    Attack {
        name: "server: resolves",
        begin: |deeds, tasks, on| {
            by_server(deeds, tasks, on, |user, id, _| {
                ToPeerServer::Resolve(Resolve { id, user: user.handle.clone(), asker: user.handle.clone() })
            })
        },
    },
    Attack {
        name: "server: stores",
        begin: |deeds, tasks, on| {
            by_server(deeds, tasks, on, |user, id, _| {
                let (epoch, version) = (LoginEpoch(1), ProfileVersion(0));
                ToPeerServer::Store(Store { id, user: user.handle.id, epoch, version, messaging: full() })
            })
        },
    },
    Attack {
        name: "server: calls",
        begin: |deeds, tasks, on| {
            by_server(deeds, tasks, on, |user, _, number| {
                let caller = format!("{number:032x}@evil.example").parse().expect("a handle");
                ToPeerServer::RelayCall(RelayCall {
                    link: LinkNumber(2 * number + 1),
                    called: Called::User(user.handle.clone()),
                    caller,
                })
            })
        },
    },
    Attack {
        name: "slow readers",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, CONNECTIONS, |deeds, user| Box::pin(without_reading(deeds, user)))
        },
    },
    Attack {
        name: "slow writers",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, CONNECTIONS, |deeds, user| Box::pin(slowly(deeds, user)))
        },
    },
    Attack {
        name: "half-open handshakes",
        begin: |deeds, tasks, on| silent(deeds, tasks, on, 2_000, HALF_HELLO),
    },
    Attack { name: "10000 connections", begin: |deeds, tasks, on| silent(deeds, tasks, on, MANY, &[]) },
    Attack {
        name: "malformed frames",
        begin: |deeds, tasks, on| {
            by_users(deeds, tasks, on, 8, |deeds, user| Box::pin(malformed(deeds, user)))
        },
    },
    Attack {
        name: "malformed registrations",
        begin: |deeds, tasks, on| {
            for _ in 0..32 {
                tasks.spawn_on(malformed_registrations(deeds.clone()), on.handle());
            }
        },
    },
];

/// The beginning of a record with a ClientHello, the rest of which never comes.
const HALF_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Those who attack.
pub(crate) struct Attackers {
    deeds: Deeds,
}

/// An attack under way.
pub(crate) struct Running {
    deeds: Deeds,
    tasks: JoinSet<()>,
}

impl Attackers {
    /// Gets them accounts.
    pub(crate) async fn settle(ground: &Ground) -> Self {
        let mut users = Vec::new();
        for _ in 0..USERS {
            users.push(ground.person(FROM).await);
        }
        let evil = ground.evil(FROM);
        Self { deeds: Deeds { count: Arc::default(), ground: ground.clone(), users, evil } }
    }

    pub(crate) fn begin(&self, on: &Runtime, attack: &Attack) -> Running {
        let deeds = Deeds { count: Arc::default(), ..self.deeds.clone() };
        let mut tasks = JoinSet::new();
        (attack.begin)(&deeds, &mut tasks, on);
        Running { deeds, tasks }
    }
}

impl Running {
    /// Ends it; says how often the attackers did what they do.
    pub(crate) async fn end(mut self) -> u64 {
        self.tasks.shutdown().await;
        self.deeds.count.load(Ordering::Relaxed)
    }
}

type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Each hostile user does the same, so many times at once.
fn by_users(
    deeds: &Deeds,
    tasks: &mut JoinSet<()>,
    on: &Runtime,
    times: usize,
    deed: fn(Deeds, Person) -> Deed,
) {
    for user in &deeds.users {
        for _ in 0..times {
            tasks.spawn_on(deed(deeds.clone(), user.clone()), on.handle());
        }
    }
}

/// A hostile server asks on several connections.
fn by_server(
    deeds: &Deeds,
    tasks: &mut JoinSet<()>,
    on: &Runtime,
    make: fn(&Person, RequestId, u64) -> ToPeerServer,
) {
    for user in &deeds.users {
        let (user, deeds) = (user.clone(), deeds.clone());
        let evil = deeds.evil.clone();
        tasks.spawn_on(flood(deeds, evil, move |id, number| make(&user, id, number)), on.handle());
    }
}

/// Preferences with as many handles as fit.
fn full() -> Preferences {
    let list = |from: u32| {
        let mut set = HandleSet::default();
        for number in from..from + 200 {
            let handle =
                format!("{number:032x}@a-server-with-quite-a-long-name.example").parse().expect("a handle");
            let _ = set.insert(handle);
        }
        set
    };
    Preferences { deny: list(0), allow: list(1_000), default: Verdict::Deny }
}

/// Connects again and again, and sends requests without a pause for as long as it may.
async fn flood<M: DiallerMessage>(
    deeds: Deeds,
    by: Person,
    make: impl Fn(RequestId, u64) -> M + Send + 'static,
) {
    loop {
        if let Some(connection) = by.dial::<M>().await {
            pour(&deeds, connection, &make).await;
        }
        sleep(AGAIN).await;
    }
}

/// As [`flood`], by a user who is logged in.
async fn flood_logged_in(
    deeds: Deeds,
    by: Person,
    make: impl Fn(RequestId, u64) -> ToServer + Send + 'static,
) {
    loop {
        if let Some(connection) = by.log_in().await {
            pour(&deeds, connection, &make).await;
        }
        sleep(AGAIN).await;
    }
}

/// Sends requests as fast as they are taken, and reads whatever comes.
async fn pour<M: DiallerMessage>(
    deeds: &Deeds,
    connection: DiallingEnd<TcpStream, M>,
    make: &impl Fn(RequestId, u64) -> M,
) {
    let (mut reader, mut writer) = connection.split();
    let reading = async { while reader.receive_frame().await.is_ok_and(|frame| frame.is_some()) {} };
    let writing = async {
        let mut number = 1;
        loop {
            for _ in 0..AT_ONCE {
                number += 1;
                let message =
                    encode_message(&make(RequestId(number), number)).expect("a message has an encoding");
                if writer.feed_encoded(message).await.is_err() {
                    return;
                }
            }
            if writer.flush().await.is_err() {
                return;
            }
            deeds.done(AT_ONCE);
        }
    };
    tokio::select! { () = reading => {}, () = writing => {} }
}

async fn logins(deeds: Deeds, by: Person) {
    loop {
        drop(by.log_in().await);
        deeds.done(1);
        tokio::task::yield_now().await;
    }
}

async fn registrations(deeds: Deeds) {
    let whom = Identity::Server(deeds.ground.name.clone());
    let (_, request) = deeds.ground.request();
    loop {
        if let Some(stream) = connect(FROM, deeds.ground.registration).await
            && let Ok((_, connection)) =
                deeds.ground.anybody().dial_over::<ToRegistrar, _>(stream, &whom, None).await
        {
            let make = |id, _| {
                ToRegistrar::Register(antiphon_spec::message::registration::Register {
                    id,
                    ..request.clone()
                })
            };
            pour(&deeds, connection, &make).await;
        }
        sleep(AGAIN).await;
    }
}

/// Asks without an end, and never reads.
async fn without_reading(deeds: Deeds, by: Person) {
    loop {
        if let Some(connection) = by.dial::<ToServer>().await {
            let (_reader, mut writer) = connection.split();
            let ping =
                encode_message(&ToServer::Ping(Ping { number: 1 })).expect("a message has an encoding");
            // Nothing more is taken by a server that waits for its peer to read; the connection stays until it is ended.
            loop {
                let sent =
                    async { writer.feed_encoded(ping.clone()).await.is_ok() && writer.flush().await.is_ok() };
                match timeout(Duration::from_secs(60), sent).await {
                    Ok(true) => deeds.done(1),
                    Ok(false) | Err(_) => break,
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// Begins the longest frame that there is, and says a byte of its end now and then.
async fn slowly(deeds: Deeds, by: Person) {
    loop {
        if let Some(connection) = by.dial::<ToServer>().await {
            let (_reader, mut writer) = connection.split();
            let mut begun = 65_536_u32.to_be_bytes().to_vec();
            begun.resize(65_000, 0x60);
            let mut next = begun.as_slice();
            while writer.send_unchecked_bytes(next).await.is_ok() {
                deeds.done(1);
                next = &[0x60];
                sleep(Duration::from_millis(500)).await;
            }
        }
        sleep(AGAIN).await;
    }
}

/// Keeps so many connections open that say this and nothing more.
fn silent(deeds: &Deeds, tasks: &mut JoinSet<()>, on: &Runtime, count: usize, said: &'static [u8]) {
    for number in 0..count {
        let deeds = deeds.clone();
        let to: SocketAddr = if number % 4 == 0 { deeds.ground.registration } else { deeds.ground.port };
        let connecting = async move {
            loop {
                if let Some(mut stream) = connect(FROM, to).await {
                    deeds.done(1);
                    let _ = stream.write_all(said).await;
                    let mut byte = [0];
                    // Until the server ends it.
                    while stream.readable().await.is_ok()
                        && stream
                            .try_read(&mut byte)
                            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                    {
                    }
                }
                sleep(AGAIN).await;
            }
        };
        tasks.spawn_on(connecting, on.handle());
    }
}

async fn malformed(deeds: Deeds, by: Person) {
    loop {
        if let Some(connection) = by.dial::<ToServer>().await {
            let (mut reader, mut writer) = connection.split();
            let _ = writer.send_unchecked_frame(&[0xff; 64]).await;
            deeds.done(1);
            while reader.receive_frame().await.is_ok_and(|frame| frame.is_some()) {}
        }
        tokio::task::yield_now().await;
    }
}

async fn malformed_registrations(deeds: Deeds) {
    let whom = Identity::Server(deeds.ground.name.clone());
    loop {
        if let Some(stream) = connect(FROM, deeds.ground.registration).await
            && let Ok((_, connection)) =
                deeds.ground.anybody().dial_over::<ToRegistrar, _>(stream, &whom, None).await
        {
            let (mut reader, mut writer) = connection.split();
            let _ = writer.send_unchecked_frame(&[0xff; 64]).await;
            deeds.done(1);
            while reader.receive_frame().await.is_ok_and(|frame| frame.is_some()) {}
        }
        tokio::task::yield_now().await;
    }
}
