//! The server of the client under test: its two ports, and somebody who answers there as a good server does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_protocol::{
    certificate::VerifiedPeer,
    connection::Acceptor,
    message::ChannelMessage as _,
    tls::{Credentials, Port},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    message::{
        client_server::*,
        common::Refused,
        registration::{FromRegistrar, Register, Registered, ToRegistrar},
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    policy::Preferences,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    bridge::{Call, Relay},
    line::Line,
    realm::{Realm, clock},
};
use crate::{case::Failure, live, process::PATIENCE};

/// The number of the client under test at its home server.
pub(super) const ME: u8 = 0x50;

/// The server's end of the registration channel.
pub(super) type Registrar = Line<FromRegistrar, ToRegistrar>;
/// The server's end of the client-to-server channel.
pub(super) type Desk = Line<FromServer, ToServer>;

/// What the server knows, and what it was asked.
#[derive(Default)]
pub(super) struct Book {
    /// What is told to those who ask.
    pub(super) addresses: BTreeMap<UserHandle, ContactAddress>,
    /// Where relayed links lead to.
    pub(super) relayed: BTreeMap<UserHandle, ContactAddress>,
    pub(super) profile: Option<Profile>,
    pub(super) logins: u64,
    pub(super) asked: Vec<ToServer>,
    /// What comes over relayed links is passed on, and makes no room for more.
    pub(super) withholds_credit: bool,
}

/// Two ports at which nobody answers yet.
pub(super) struct Server {
    realm: Arc<Realm>,
    registration: TcpListener,
    authenticated: TcpListener,
    pub(super) registration_address: ContactAddress,
    pub(super) address: ContactAddress,
    book: Mutex<Book>,
    /// Who calls the client next, and over which bytes.
    calls: (mpsc::UnboundedSender<Call>, tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>),
}

impl Server {
    pub(super) async fn new(realm: &Arc<Realm>) -> Result<Self, Failure> {
        let (registration, registration_address) = live::bind().await?;
        let (authenticated, address) = live::bind().await?;
        Ok(Self {
            realm: Arc::clone(realm),
            registration,
            authenticated,
            registration_address,
            address,
            book: Mutex::default(),
            calls: {
                let (sender, calls) = mpsc::unbounded_channel();
                (sender, calls.into())
            },
        })
    }

    /// Reads or changes what the server knows.
    pub(super) fn book<T>(&self, with: impl FnOnce(&mut Book) -> T) -> T {
        with(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next connection to a port, before TLS.
    pub(super) async fn knocked(&self, port: Port) -> Result<TcpStream, Failure> {
        let listener = if port == Port::Registration { &self.registration } else { &self.authenticated };
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let accepted =
            accepted.map_err(|_| Failure::unexpected("a connection to the server", "nobody dialled"))?;
        let (stream, _) = accepted.map_err(Failure::harness)?;
        stream.set_nodelay(true).map_err(Failure::harness)?;
        Ok(stream)
    }

    /// The acceptor of a port that shows these credentials.
    pub(super) fn acceptor(&self, port: Port, credentials: &Credentials) -> Acceptor {
        Acceptor::new(port, credentials.clone(), Arc::clone(&self.realm.trust), clock())
    }

    /// Accepts the next registration and says nothing yet.
    pub(super) async fn registrar_silently(&self) -> Result<Registrar, Failure> {
        let stream = self.knocked(Port::Registration).await?;
        let accepted = self.acceptor(Port::Registration, &self.realm.home.credentials).accept(stream).await;
        let accepted = accepted
            .map_err(|error| Failure::unexpected("a TLS handshake of the registration channel", error))?;
        let connection = accepted.ungreeted::<ToRegistrar>().map_err(Failure::harness)?;
        Ok(Line::new(connection, None))
    }

    /// Accepts the next registration, greets, and takes the request.
    pub(super) async fn registrar(&self) -> Result<(Registrar, Register), Failure> {
        let mut line = self.registrar_silently().await?;
        line.send(&antiphon_protocol::message::AcceptorMessage::greeting()).await?;
        match line.next().await? {
            ToRegistrar::Register(register) => Ok((line, register)),
            other => Err(Failure::unexpected("register", super::line::shown(&other))),
        }
    }

    /// Accepts the client's next connection and says nothing yet.
    pub(super) async fn desk_silently(&self) -> Result<Desk, Failure> {
        let stream = self.knocked(Port::Authenticated).await?;
        let accepted = self.acceptor(Port::Authenticated, &self.realm.home.credentials).accept(stream).await;
        let accepted = accepted
            .map_err(|error| Failure::unexpected("a TLS handshake of the client-to-server channel", error))?;
        let verified = accepted.peer().cloned();
        let peer = verified.as_ref().and_then(VerifiedPeer::peer);
        if peer.as_ref().map(|peer| &peer.handle) != Some(&self.realm.home.handle(ME)) {
            return Err(Failure::unexpected("the user's certificate", format!("{peer:?}")));
        }
        let connection = accepted.ungreeted::<ToServer>().map_err(Failure::harness)?;
        Ok(Line::new(connection, verified.as_ref()))
    }

    /// Accepts the client's next connection, and greets.
    pub(super) async fn desk(&self) -> Result<Desk, Failure> {
        let mut line = self.desk_silently().await?;
        line.send(&antiphon_protocol::message::AcceptorMessage::greeting()).await?;
        Ok(line)
    }

    /// The good answer to a registration.
    pub(super) fn registered(&self, register: &Register) -> Result<Registered, Failure> {
        let key = antiphon_protocol::key::PublicKey::from_der(&register.key);
        let key = key.map_err(|error| Failure::unexpected("a key in its DER form", error))?;
        let handle = self.realm.home.handle(ME);
        let chain =
            self.realm.home.issuer.issue(&handle, &key, super::realm::today(), super::realm::serial()?);
        let chain = chain.map_err(Failure::harness)?;
        Ok(Registered { id: register.id, chain: wire_chain(&chain), handle })
    }

    /// The good answer to a login.
    pub(super) fn logged_in(&self, login: &Login) -> LoggedIn {
        let profile = || Profile { version: ProfileVersion(0), messaging: Preferences::default() };
        self.book(|book| {
            book.logins += 1;
            LoggedIn {
                id: login.id,
                epoch: LoginEpoch(book.logins),
                profile: book.profile.get_or_insert_with(profile).clone(),
            }
        })
    }

    /// Answers the registration that comes next.
    pub(super) async fn register(&self) -> Result<(), Failure> {
        let (mut line, register) = self.registrar().await?;
        let registered = self.registered(&register)?;
        line.send(&FromRegistrar::Registered(registered)).await?;
        line.gone().await
    }

    /// Serves the client's next connection until it ends.
    pub(super) async fn serve(&self) -> Result<(), Failure> {
        let mut line = self.desk().await?;
        let mut calls = self.calls.1.lock().await;
        let (mut relay, mut relayed) = Relay::new();
        loop {
            let message = tokio::select! {
                message = line.read() => message?,
                Some(call) = calls.recv() => {
                    line.send(&relay.call(call)).await?;
                    continue;
                }
                Some(message) = relayed.recv() => {
                    line.send(&message).await?;
                    continue;
                }
            };
            let Some(message) = message else { return Ok(()) };
            self.book(|book| book.asked.push(message.clone()));
            let answer = match &message {
                ToServer::RelayOpen(open) => {
                    let to = self.book(|book| book.relayed.get(open.called.handle()).copied());
                    Some(relay.open(open.link, to).await)
                }
                other => {
                    let credit = !self.book(|book| book.withholds_credit);
                    relay.take(other, credit).await;
                    self.answer(other)
                }
            };
            if let Some(answer) = answer {
                line.send(&answer).await?;
            }
            if let ToServer::Logout(_) = message {
                return line.goodbye().await;
            }
        }
    }

    /// Calls the client: bytes that lead there, once it has opened the link.
    pub(super) async fn call(&self, caller: &UserHandle) -> Result<TcpStream, Failure> {
        let (listener, address) = live::bind().await?;
        let (here, there) = tokio::join!(TcpStream::connect(address.0), listener.accept());
        let (here, (there, _)) = (here.map_err(Failure::harness)?, there.map_err(Failure::harness)?);
        let (opened, answer) = oneshot::channel();
        let call = Call { caller: caller.clone(), stream: there, opened };
        self.calls.0.send(call).map_err(Failure::harness)?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(())) => Ok(here),
            Ok(Err(_)) => Err(Failure::unexpected("relay-opened", "relay-close")),
            Err(_) => Err(Failure::unexpected("relay-opened", "nothing")),
        }
    }

    /// Waits until something of this kind has come from the client.
    pub(super) async fn hears<T>(
        &self,
        what: &str,
        wanted: impl Fn(&ToServer) -> Option<T>,
    ) -> Result<T, Failure> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.book(|book| book.asked.iter().find_map(&wanted)) {
                return Ok(found);
            }
            if tokio::time::Instant::now() > until {
                let asked = self.book(|book| super::line::shown(&book.asked));
                return Err(Failure::unexpected(what, asked));
            }
            // The client's message is on its way; there is nothing else to wait for.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    fn answer(&self, message: &ToServer) -> Option<FromServer> {
        match message {
            ToServer::Login(login) => Some(FromServer::LoggedIn(self.logged_in(login))),
            ToServer::Lookup(lookup) => {
                let address = self.book(|book| book.addresses.get(&lookup.user).copied());
                Some(match address {
                    Some(address) => FromServer::Address(Address { id: lookup.id, address }),
                    None => FromServer::Refused(Refused { id: lookup.id, code: ErrorCode::Unavailable }),
                })
            }
            ToServer::SetPreferences(set) => {
                let version = ProfileVersion(set.version.0 + 1);
                self.book(|book| book.profile = Some(Profile { version, messaging: set.messaging.clone() }));
                Some(FromServer::PreferencesSet(PreferencesSet { id: set.id, version }))
            }
            ToServer::Logout(logout) => Some(FromServer::LoggedOut(LoggedOut { id: logout.id })),
            ToServer::Ping(ping) => Some(FromServer::pong(ping.number)),
            ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpen(_)
            | ToServer::RelayOpened(_)
            | ToServer::RelayData(_)
            | ToServer::RelayCredit(_)
            | ToServer::RelayClose(_)
            | ToServer::Pong(_)
            | ToServer::Goodbye(_)
            | ToServer::Error(_) => None,
        }
    }
}

/// A chain of certificates as it travels.
pub(super) fn wire_chain(chain: &[rustls::pki_types::CertificateDer<'_>]) -> Vec<serde_bytes::ByteBuf> {
    chain.iter().map(|certificate| serde_bytes::ByteBuf::from(certificate.to_vec())).collect()
}
