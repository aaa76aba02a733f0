//! A server for the clients' tests: accounts, logins and lookups of one home, in memory, without preferences.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use antiphon_protocol::{
    certificate::{Authority, Serial, Trust, UserIssuer, Validity},
    channel::Channel,
    connection::{AcceptingEnd, Acceptor},
    key::{KeyAlgorithm, KeyPair, PublicKey},
    message::ChannelMessage as _,
    tls::{Clock, Credentials, Port, now},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, ObjectHandle, ServerName, UserHandle},
    limits::USER_CERTIFICATE_LIFETIME,
    message::{
        client_server::{Address, FromServer, LoggedIn, LoggedOut, PreferencesSet, Replaced, ToServer},
        common::Refused,
        registration::{FromRegistrar, Registered, ToRegistrar},
        relay::RelayClose,
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    policy::Preferences,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::client::ServerAddress;

/// Preferences that list everybody whom the two homes may have: their clients dial each other.
fn everybody() -> Preferences {
    let users = (0..=32).flat_map(|number| {
        ["home1.example", "home2.example"]
            .map(|home| UserHandle { id: ObjectHandle([number; 16]), home: home.parse().unwrap() })
    });
    let allow = users.collect::<Vec<_>>().try_into().unwrap();
    Preferences { allow, ..Preferences::default() }
}

/// How the server answers a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registrar {
    /// As it should.
    Honest,
    /// With a certificate for another key.
    OtherKey,
    /// With another handle than the certificate's.
    OtherHandle,
    /// With a refusal.
    Closed,
}

/// Who is logged in where, at every server of a test: what the location service knows.
pub(super) type Online = Arc<Mutex<BTreeMap<UserHandle, ContactAddress>>>;

#[derive(Debug)]
struct State {
    issuer: UserIssuer,
    clock: Clock,
    registrar: Registrar,
    online: Online,
    users: Mutex<u8>,
    preferences: Mutex<Profile>,
    /// Ends every login as replaced.
    replace: Notify,
    /// Cuts every connection.
    cut: Notify,
}

/// A running server; dropping it ends it.
pub(super) struct Server {
    pub(super) authenticated: ServerAddress,
    pub(super) registration: ServerAddress,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(
        name: &str,
        authority: &Authority,
        trust: &Arc<Trust>,
        clock: &Clock,
        registrar: Registrar,
        online: &Online,
    ) -> Self {
        let name: ServerName = name.parse().unwrap();
        let validity = Validity::starting(now(clock), USER_CERTIFICATE_LIFETIME);
        let key = KeyPair::generate(KeyAlgorithm::Ed25519).unwrap();
        let leaf =
            authority.issue_server(&name, key.public_key(), validity, Serial::random().unwrap()).unwrap();
        let credentials = Credentials::new(vec![leaf], &key).unwrap();
        let serial = Serial::random().unwrap();
        let certificate = authority.issue_user_authority(&name, key.public_key(), validity, serial).unwrap();
        let state = Arc::new(State {
            issuer: UserIssuer::load(certificate, key).unwrap(),
            clock: Arc::clone(clock),
            registrar,
            online: Arc::clone(online),
            users: Mutex::new(0),
            preferences: Mutex::new(Profile { version: ProfileVersion(0), messaging: everybody() }),
            replace: Notify::new(),
            cut: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        let mut ports = Vec::new();
        for port in [Port::Authenticated, Port::Registration] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            ports.push(ServerAddress { name: name.clone(), address });
            let acceptor = Acceptor::new(port, credentials.clone(), Arc::clone(trust), Arc::clone(clock));
            tasks.spawn(listen(listener, acceptor, Arc::clone(&state)));
        }
        let registration = ports.pop().unwrap();
        let authenticated = ports.pop().unwrap();
        Self { authenticated, registration, state, _tasks: tasks }
    }

    /// Tells every client that it was replaced.
    pub(super) fn replace_all(&self) {
        self.state.replace.notify_waiters();
    }

    /// Drops every connection without a word.
    pub(super) fn cut_all(&self) {
        self.state.cut.notify_waiters();
    }
}

async fn listen(listener: TcpListener, acceptor: Acceptor, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tasks.spawn(async move {
            let Ok(accepted) = acceptor.accept(stream).await else { return };
            if accepted.channel() == Channel::Registration {
                register(accepted.greet().await.unwrap(), &state).await;
            } else {
                let user = accepted.peer().unwrap().peer().unwrap().handle;
                serve(accepted.greet().await.unwrap(), &user, &state).await;
            }
        });
    }
}

async fn register(mut connection: AcceptingEnd<TcpStream, ToRegistrar>, state: &State) {
    while let Ok(message) = connection.receive().await {
        let ToRegistrar::Register(request) = message else { continue };
        if state.registrar == Registrar::Closed {
            let code = ErrorCode::RegistrationClosed;
            connection.send(&FromRegistrar::Refused(Refused { id: request.id, code })).await.unwrap();
            continue;
        }
        let number = {
            let mut users = state.users.lock().unwrap();
            *users += 1;
            *users
        };
        let handle = |byte| UserHandle { id: ObjectHandle([byte; 16]), home: state.issuer.home().clone() };
        let mut key = PublicKey::from_der(&request.key).unwrap();
        if state.registrar == Registrar::OtherKey {
            key = KeyPair::generate(KeyAlgorithm::Ed25519).unwrap().public_key().clone();
        }
        let validity = Validity::starting(now(&state.clock), USER_CERTIFICATE_LIFETIME);
        let chain = state.issuer.issue(&handle(number), &key, validity, Serial::random().unwrap()).unwrap();
        let chain = chain.iter().map(|c| serde_bytes::ByteBuf::from(c.to_vec())).collect();
        let answered = if state.registrar == Registrar::OtherHandle { 0xee } else { number };
        let registered = Registered { id: request.id, chain, handle: handle(answered) };
        connection.send(&FromRegistrar::Registered(registered)).await.unwrap();
    }
}

async fn serve(mut connection: AcceptingEnd<TcpStream, ToServer>, user: &UserHandle, state: &State) {
    loop {
        let message = tokio::select! {
            message = connection.receive() => message,
            () = state.cut.notified() => return,
            () = state.replace.notified() => {
                let replaced = FromServer::Replaced(Replaced { epoch: LoginEpoch(1) });
                connection.send(&replaced).await.unwrap();
                return connection.goodbye().await.unwrap();
            }
        };
        let answer = match message {
            Ok(ToServer::Login(login)) => {
                state.online.lock().unwrap().insert(user.clone(), login.address);
                let profile = state.preferences.lock().unwrap().clone();
                FromServer::LoggedIn(LoggedIn { id: login.id, epoch: LoginEpoch(1), profile })
            }
            Ok(ToServer::Lookup(lookup)) => {
                let found = state.online.lock().unwrap().get(&lookup.user).copied();
                match found {
                    Some(address) => FromServer::Address(Address { id: lookup.id, address }),
                    None => FromServer::Refused(Refused { id: lookup.id, code: ErrorCode::Unavailable }),
                }
            }
            Ok(ToServer::SetPreferences(set)) => {
                let mut profile = state.preferences.lock().unwrap();
                if profile.version == set.version {
                    let version = ProfileVersion(set.version.0 + 1);
                    *profile = Profile { version, messaging: set.messaging };
                    FromServer::PreferencesSet(PreferencesSet { id: set.id, version })
                } else {
                    FromServer::Refused(Refused { id: set.id, code: ErrorCode::VersionConflict })
                }
            }
            Ok(ToServer::Logout(logout)) => {
                state.online.lock().unwrap().remove(user);
                connection.send(&FromServer::LoggedOut(LoggedOut { id: logout.id })).await.unwrap();
                return drop(connection.goodbye().await);
            }
            Ok(ToServer::Ping(ping)) => FromServer::pong(ping.number),
            Ok(ToServer::RelayOpen(open)) => FromServer::RelayClose(RelayClose { link: open.link }),
            Ok(
                ToServer::Pong(_)
                | ToServer::RelayExpect(_)
                | ToServer::RelayForget(_)
                | ToServer::RelayOpened(_)
                | ToServer::RelayData(_)
                | ToServer::RelayCredit(_)
                | ToServer::RelayClose(_),
            ) => continue,
            Ok(ToServer::Goodbye(_) | ToServer::Error(_)) | Err(_) => return,
        };
        if connection.send(&answer).await.is_err() {
            return;
        }
    }
}
