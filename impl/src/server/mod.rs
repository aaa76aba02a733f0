//! A server: accounts, logins, preferences and address lookup for users, and the home copies of their profiles.
//!
//! Connections are tasks; each login is a machine in one of a few tasks (`users`); home copies are machines in one
//! task with the database behind it (`home`). What leaves the server goes through one connection to each peer.

mod client;
mod client_channel;
mod endings;
mod home;
mod location;
mod lookup;
mod operated;
mod peer_channel;
mod peers;
mod registrar;
mod relay;
mod replace;
mod requests;
mod takeover;
mod upkeep;
mod users;
mod watched;

#[cfg(test)]
pub(crate) use relay::PASSED;
#[cfg(test)]
pub(crate) mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use antiphon_protocol::{
    certificate::UserIssuer,
    connection::{Accepted, Acceptor, Dialler},
    tls::{Clock, Credentials, Current, Port, SystemClock},
};
use antiphon_spec::{
    account::login::ConnectionNumber,
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle},
    message::{
        client_server::ToServer, location::ContactRecord, server_server::LoginEpoch,
        server_server::ToPeerServer,
    },
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use self::{
    home::Home,
    location::Location,
    operated::OperatedServer,
    peers::Peers,
    registrar::{Codes, Registrar},
    relay::Relays,
    replace::Notices,
    requests::Requests,
    upkeep::Upkeep,
    users::Users,
};
use crate::{
    config::ServerConfig,
    credentials::{self, CredentialError},
    mutant::{Mutant, active},
    net::{Listener, Origin, Rates, Serving},
    renewal::Files,
    start::StartError,
    store::ServerStore,
};

/// Most notices of replaced logins that wait.
const NOTICES_MAX: usize = 1_024;

/// How long each part of going down may take.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// A running server. Dropping it stops it without undoing its logins, as a crash would.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    registration_address: SocketAddr,
    /// Connections of others.
    serving: Serving,
    /// What this server itself asks others, which goes on while logins are undone.
    asking: Serving,
    users: Users,
    upkeep: Upkeep,
    store: ServerStore,
    operated: OperatedServer,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    store: ServerStore,
    requests: Requests,
    users: Users,
    relays: Relays,
    rates: Arc<Rates>,
}

impl Server {
    /// Opens the store and listens. The directory node need not be there yet.
    ///
    /// # Errors
    /// A file of the configuration cannot be used, or an address cannot be listened on.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let unusable = |error| StartError::credentials(&config.files(), error);
        let trust = credentials::load_trust(&config.root).map_err(unusable)?;
        let clock: Clock = Arc::new(SystemClock);
        let whom = Identity::Server(config.name.clone());
        let own = Files::new([config.certificate.clone(), config.key.clone()]);
        let load_own = {
            let (config, trust, clock) = (config.clone(), Arc::clone(&trust), Arc::clone(&clock));
            move || credentials::load_own(&config.certificate, &config.key, &trust, &whom, &clock)
        };
        let credentials = Current::from(load_own().map_err(unusable)?);
        let authority = Files::new([config.user_ca_certificate.clone(), config.user_ca_key.clone()]);
        let load_authority = {
            let config = config.clone();
            move || load_issuer(&config)
        };
        let issuer = Current::from(Arc::new(load_authority()?));
        let bind = async |port, address| {
            let acceptor = Acceptor::new(port, credentials.clone(), Arc::clone(&trust), Arc::clone(&clock));
            let bound = Listener::bind(address, acceptor).await;
            bound.map_err(|source| StartError::Listen { address, source })
        };
        let listener = bind(Port::Authenticated, config.listen_address).await?;
        let registration = bind(Port::Registration, config.registration_address).await?;
        let (address, registration_address) = (listener.address(), registration.address());
        let advertised = match config.advertised_address {
            Some(advertised) => advertised,
            None if address.ip().is_unspecified() => return Err(StartError::NoAddress(address)),
            None => ContactAddress(address),
        };
        let store = ServerStore::open(&config.database, &config.name).await?;
        let boot = store.boot();
        let boot = if active(Mutant::BootNumberRepeated) { 1 } else { boot };

        let memory_max_mib = config.limits.memory_bytes_max() >> 20;
        let serving = Serving::new(config.limits);
        let asking = serving.beside();
        let dialler = Dialler::renewing(credentials.clone(), Arc::clone(&trust), Arc::clone(&clock));
        serving.tracker.spawn(renew(own, load_own, credentials, serving.shutdown.clone()));
        let renewed = issuer.clone();
        let replace = move |authority| renewed.replace(Arc::new(authority));
        serving.tracker.spawn(authority.watch(load_authority, replace, serving.shutdown.clone()));
        let location = Location::start(&dialler, config.directory_node, &asking);
        let peers = Peers::new(dialler, location.clone(), asking.clone());
        let (notices, waiting) = mpsc::channel(NOTICES_MAX);
        let lease = Duration::from_secs(config.login_lease);
        let home = Home::start(
            store.clone(),
            lease,
            Arc::clone(&clock),
            (&asking.tracker, asking.shutdown.clone()),
            move |replacement| {
                if notices.try_send(replacement).is_err() {
                    warn!("too many logins are replaced at once: a server is not told");
                }
            },
        );
        let ended = endings::run(store.clone(), home.clone(), asking.shutdown.clone());
        asking.tracker.spawn(ended);
        let name = config.name.clone();
        let requests = Requests { name, address: advertised, home, peers, location: location.clone() };
        let users = Users::start(&requests, &asking);
        let (name, peers) = (config.name.clone(), requests.peers.clone());
        let notices = Notices { waiting, name, users: users.clone(), peers, lease };
        asking.tracker.spawn(notices.run(asking.tracker.clone(), asking.shutdown.clone()));

        let record =
            ContactRecord { epoch: LoginEpoch(boot), server: config.name.clone(), address: advertised };
        let upkeep = Upkeep::new(location.clone(), record);
        let operated = OperatedServer {
            name: config.name.clone(),
            users: users.clone(),
            home: requests.home.clone(),
            peers: requests.peers.clone(),
            location: location.clone(),
            serving: serving.clone(),
            drained: CancellationToken::new(),
        };
        let rates = Arc::new(Rates::new(&serving.limits));
        let policy = config.registration;
        serving.tracker.spawn(takeover::watch(store.clone(), serving.shutdown.clone()));
        let codes = Codes::new(&config.registration_codes);
        let registrar = Registrar {
            issuer,
            store: store.clone(),
            home: requests.home.clone(),
            location,
            policy,
            codes,
            clock,
            rates: Arc::clone(&rates),
        };
        let relays = Relays::new(&requests, &users, &serving, &asking);
        let shared = Shared { store: store.clone(), requests, users: users.clone(), relays, rates };
        listen(&serving, listener, Arc::new(shared), registration, Arc::new(registrar));
        // One attempt is waited for: where the directory node is up, whoever is told that this server is ready finds it.
        let first = upkeep.insert().await;
        asking.tracker.spawn(upkeep.clone().run(first, serving.shutdown.clone()));
        info!(name = %config.name, %address, registration = %registration_address, memory_max_mib, "the server listens");
        Ok(Self { address, registration_address, serving, asking, users, upkeep, store, operated })
    }

    /// Where users and servers connect, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients register, with the port that was bound.
    #[must_use]
    pub fn registration_address(&self) -> SocketAddr {
        self.registration_address
    }

    /// Waits until another process has started as the same server before the same database. This one can change nothing
    /// any more, and has to be shut down.
    pub async fn superseded(&self) {
        self.store.superseded().await;
    }

    /// Tells all peers, undoes all logins, deletes the server's records, and stops.
    pub async fn shutdown(self) {
        self.serving.shutdown.cancel();
        wait(&self.serving.tracker, "connections").await;
        self.users.finish(SHUTDOWN_PATIENCE).await;
        self.upkeep.delete().await;
        self.asking.shutdown.cancel();
        wait(&self.asking.tracker, "requests").await;
        self.store.close().await;
        info!("the server has stopped");
    }
}

/// Asks for the end of an account of the server of this configuration, whether it runs or not: at once, or at its next
/// start. Says whether the account had ended before.
///
/// # Errors
/// The store can't be used, or there is no such account.
pub async fn end_account(config: &ServerConfig, user: ObjectHandle) -> Result<bool, StartError> {
    Ok(ServerStore::ask_to_end(&config.database, &config.name, user).await?)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.shutdown.cancel();
        self.asking.shutdown.cancel();
    }
}

/// Replaces the server's certificate whenever its files change.
async fn renew(
    files: Files,
    load: impl Fn() -> Result<Credentials, CredentialError> + Send,
    credentials: Current<Credentials>,
    shutdown: CancellationToken,
) {
    let replace = |renewed| {
        if !active(Mutant::CertificateKept) {
            credentials.replace(renewed);
        }
        if active(Mutant::RenewalEndsConnections) {
            shutdown.cancel();
        }
    };
    files.watch(load, replace, shutdown.clone()).await;
}

async fn wait(tracker: &TaskTracker, what: &str) {
    tracker.close();
    if tokio::time::timeout(SHUTDOWN_PATIENCE, tracker.wait()).await.is_err() {
        warn!("some {what} did not end in time and are cut off");
    }
}

fn load_issuer(config: &ServerConfig) -> Result<UserIssuer, StartError> {
    let unusable = |error| StartError::credentials(&config.files(), error);
    let path = &config.user_ca_certificate;
    let certificate = credentials::load_certificates(path).map_err(unusable)?.into_iter().next();
    let certificate =
        certificate.ok_or_else(|| unusable(CredentialError::contents(path, "no certificate")))?;
    let key = credentials::load_key(&config.user_ca_key).map_err(unusable)?;
    let issuer = UserIssuer::load(certificate, key).map_err(|source| {
        let (path, key) = (path.clone(), config.user_ca_key.clone());
        StartError::UserAuthority { path, key, source: Box::new(source) }
    })?;
    if *issuer.home() != config.name {
        let (path, name, found) = (path.clone(), config.name.clone(), issuer.home().clone());
        return Err(StartError::OtherUserAuthority { path, name, found });
    }
    Ok(issuer)
}

/// Serves both ports until the process goes down.
fn listen(
    serving: &Serving,
    authenticated: Listener,
    shared: Arc<Shared>,
    registration: Listener,
    registrar: Arc<Registrar>,
) {
    let connections = serving.clone();
    serving.tracker.spawn(authenticated.serve(serving.clone(), move |accepted, origin| {
        serve(Arc::clone(&shared), connections.clone(), accepted, origin)
    }));
    let connections = serving.clone();
    serving.tracker.spawn(registration.serve(serving.clone(), move |accepted, origin| {
        Arc::clone(&registrar).serve(connections.clone(), accepted, origin)
    }));
}

/// Serves a connection of the authenticated port: a user's or a server's, each on the channel of its own.
async fn serve(shared: Arc<Shared>, serving: Serving, accepted: Accepted<TcpStream>, origin: Origin) {
    let is_full = origin.is_full;
    let is_draining = serving.draining.is_cancelled();
    match accepted.peer().map(|peer| peer.identity().clone()) {
        //= spec/text/wire.md#errors
        //# WIRE-066: A server that is about to go down MAY close with `shutting-down` each new connection of a client, and serve the connections that it has.
        Some(Identity::User(_)) if is_draining => {
            let _ = accepted.refuse::<ToServer>(ErrorCode::ShuttingDown).await;
        }
        Some(Identity::User(_)) if is_full => {
            debug!("a user has too many connections");
            let _ = accepted.refuse::<ToServer>(ErrorCode::LimitReached).await;
        }
        Some(Identity::Server(_)) if is_full => {
            debug!("a server has too many connections");
            let _ = accepted.refuse::<ToPeerServer>(ErrorCode::LimitReached).await;
        }
        Some(Identity::User(user)) => {
            let number = ConnectionNumber(origin.number);
            client_channel::serve(shared, serving, accepted, (number, user)).await;
        }
        Some(Identity::Server(peer)) => peer_channel::serve(shared, serving, accepted, peer).await,
        // The verifier takes nobody else on this port.
        Some(Identity::DirectoryNode(_)) | None => {}
    }
}
