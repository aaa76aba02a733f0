//! An authority, a directory node, servers, and users with a connection each.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test says what it expects; everything else fails it")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use antiphon_protocol::{
    certificate::Trust,
    connection::{Acceptor, Dialler, DiallingEnd, Ended},
    key::{KeyAlgorithm, KeyPair},
    message::ChannelMessage as _,
    signed,
    tls::{Clock, Credentials, Port, SystemClock, now},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, UserHandle},
    message::{
        client_server::{FromServer, LoggedIn, Login, Logout, Lookup, SetPreferences, ToServer},
        common::RequestId,
        registration::{FromRegistrar, Possession, Register, ToRegistrar},
        server_server::ProfileVersion,
    },
    policy::Preferences,
    registration_code::RegistrationCode,
};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    authority,
    config::{DirectoryNodeAddress, DirectoryNodeConfig, Limits, RegistrationPolicy, ServerConfig},
    credentials::load_trust,
    directory::DirectoryNode,
    mutant,
    server::Server,
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How long a test waits for a message before it fails.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(40);

/// Where everything lives that a test starts.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) node: Option<DirectoryNode>,
    node_address: SocketAddr,
    pub(crate) trust: Arc<Trust>,
    clock: Clock,
}

/// A server, with what it takes to start it again.
pub(crate) struct Running {
    pub(crate) config: ServerConfig,
    pub(crate) server: Server,
}

/// A user with a key and a certificate.
pub(crate) struct User {
    pub(crate) key: KeyPair,
    pub(crate) handle: UserHandle,
    pub(crate) credentials: Credentials,
}

impl World {
    /// With the feature `mutants`, the environment makes the whole test process wrong: some test has to fail then.
    pub(crate) async fn new() -> Self {
        if let Ok(name) = std::env::var(mutant::VARIABLE) {
            mutant::select(&name).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(SystemClock);
        let root = authority::create(&folder.path().join("root"), now(&clock), authority::ROOT_LIFETIME);
        let trust = load_trust(&root.unwrap()).unwrap();
        let mut world = Self { folder, node: None, node_address: ANY_PORT, trust, clock };
        let name = "node".parse().unwrap();
        let (root, output) = (world.path("root"), world.path("issued"));
        authority::issue_node(&root, &output, &name, now(&world.clock), authority::SERVER_LIFETIME).unwrap();
        world.start_node().await;
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the directory node; at its old address, if it ran before.
    pub(crate) async fn start_node(&mut self) {
        let config = DirectoryNodeConfig {
            advertised_address: None,
            parent: Vec::new(),
            name: "node".parse().unwrap(),
            listen_address: self.node_address,
            root: self.path("root/root.pem"),
            certificate: self.path("issued/node.pem"),
            key: self.path("issued/node.key"),
            database: self.path("node.sqlite").into(),
            lease: DirectoryNodeConfig::lease_default(),
            records_per_server: DirectoryNodeConfig::records_per_server_default(),
            monitoring_address: None,
            limits: Limits::default(),
        };
        let node = DirectoryNode::start(config).await.unwrap();
        self.node_address = node.address();
        self.node = Some(node);
    }

    pub(crate) async fn stop_node(&mut self) {
        self.node.take().unwrap().shutdown().await;
    }

    pub(crate) fn node_address(&self) -> ContactAddress {
        ContactAddress(self.node_address)
    }

    /// Issues a server's certificates, and says how to start it.
    pub(crate) fn server_config(&self, name: &str) -> ServerConfig {
        let name = name.parse().unwrap();
        let (root, output) = (self.path("root"), self.path("issued"));
        let now = now(&self.clock);
        let files = authority::issue_server(&root, &output, &name, now, authority::SERVER_LIFETIME).unwrap();
        ServerConfig {
            registration_address: ANY_PORT,
            listen_address: ANY_PORT,
            advertised_address: None,
            root: authority::root_certificate(&root),
            certificate: files.certificate,
            key: files.key,
            user_ca_certificate: files.user_ca_certificate,
            user_ca_key: files.user_ca_key,
            database: self.path(&format!("{name}.sqlite")).into(),
            directory_node: vec![DirectoryNodeAddress {
                address: self.node_address(),
                name: "node".parse().unwrap(),
            }],
            registration: RegistrationPolicy::Open,
            registration_codes: Vec::new(),
            login_lease: ServerConfig::login_lease_default(),
            monitoring_address: None,
            control_socket: None,
            limits: Limits::default(),
            name,
        }
    }

    pub(crate) async fn server(&self, name: &str) -> Running {
        Running::start(self.server_config(name)).await
    }

    pub(crate) fn dialler(&self, credentials: Option<&Credentials>) -> Dialler {
        Dialler::new(credentials.cloned(), Arc::clone(&self.trust), Arc::clone(&self.clock))
    }

    /// A port that a test answers at as the directory node.
    pub(crate) fn node_acceptor(&self) -> Acceptor {
        let (certificate, key) = (self.path("issued/node.pem"), self.path("issued/node.key"));
        let credentials = crate::credentials::load_credentials(&certificate, &key).unwrap();
        Acceptor::new(Port::Location, credentials, Arc::clone(&self.trust), Arc::clone(&self.clock))
    }

    /// The server's own credentials, for a test that plays the server.
    pub(crate) fn server_credentials(&self, config: &ServerConfig) -> Credentials {
        crate::credentials::load_credentials(&config.certificate, &config.key).unwrap()
    }

    /// Sends one request to the registration port, and returns the answer.
    pub(crate) async fn ask_registrar(
        &self,
        at: &Running,
        key: &KeyPair,
        proof: Possession,
    ) -> FromRegistrar {
        let proof = signed::sign(key, &proof).unwrap();
        let request = Register {
            id: RequestId(1),
            key: key.public_key_der().to_vec(),
            code: RegistrationCode::default(),
            proof,
        };
        let address = ContactAddress(at.server.registration_address());
        let whom = Identity::Server(at.config.name.clone());
        let (_, mut connection) = self.dialler(None).dial::<ToRegistrar>(address, &whom, None).await.unwrap();
        connection.send(&ToRegistrar::Register(request)).await.unwrap();
        let answer = connection.receive().await.unwrap();
        connection.goodbye().await.unwrap();
        answer
    }

    pub(crate) async fn register(&self, at: &Running) -> User {
        self.register_key(at, KeyPair::generate(KeyAlgorithm::default()).unwrap()).await.unwrap()
    }

    pub(crate) async fn register_key(&self, at: &Running, key: KeyPair) -> Result<User, ErrorCode> {
        let proof = Possession { key: key.public_key_der().to_vec(), server: at.config.name.clone() };
        match self.ask_registrar(at, &key, proof).await {
            FromRegistrar::Registered(body) => {
                let chain = body.chain.into_iter().map(|der| der.into_vec().into()).collect();
                let credentials = Credentials::new(chain, &key).unwrap();
                Ok(User { key, handle: body.handle, credentials })
            }
            FromRegistrar::Refused(body) => Err(body.code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn connect(&self, user: &User, at: &Running) -> Connected {
        let address = ContactAddress(at.server.address());
        let whom = Identity::Server(at.config.name.clone());
        let dialler = self.dialler(Some(&user.credentials));
        let (_, connection) = dialler.dial(address, &whom, None).await.unwrap();
        Connected { connection, next: 0 }
    }

    /// A connected and logged-in user, whose client is said to be at this port.
    pub(crate) async fn login(&self, user: &User, at: &Running, port: u16) -> (Connected, LoggedIn) {
        let mut connected = self.connect(user, at).await;
        match connected.login(port).await {
            FromServer::LoggedIn(body) => (connected, body),
            other => panic!("{other:?}"),
        }
    }
}

impl Running {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        Self { server: Server::start(config.clone()).await.unwrap(), config }
    }

    /// Stops it and starts it again, at the same ports.
    pub(crate) async fn restart(self) -> Self {
        let Self { mut config, server } = self;
        (config.listen_address, config.registration_address) =
            (server.address(), server.registration_address());
        server.shutdown().await;
        Self::start(config).await
    }
}

/// A client's connection.
pub(crate) struct Connected {
    pub(crate) connection: DiallingEnd<TcpStream, ToServer>,
    next: u64,
}

/// Preferences that list these users.
pub(crate) fn listing(users: &[&User]) -> Preferences {
    let mut preferences = Preferences::default();
    for user in users {
        assert!(preferences.allow.insert(user.handle.clone()));
    }
    preferences
}

pub(crate) fn address(port: u16) -> ContactAddress {
    ContactAddress((std::net::Ipv4Addr::LOCALHOST, port).into())
}

impl Connected {
    pub(crate) fn id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    pub(crate) async fn receive(&mut self) -> Result<FromServer, Ended> {
        loop {
            // Far beyond every deadline of the protocol: what does not come by then never comes.
            let received = tokio::time::timeout(PATIENCE, self.connection.receive()).await;
            let message = received.expect("the server says nothing")?;
            if message.link().is_none() {
                return Ok(message);
            }
        }
    }

    async fn ask(&mut self, request: ToServer) -> FromServer {
        self.connection.send(&request).await.unwrap();
        self.receive().await.unwrap()
    }

    pub(crate) async fn login(&mut self, port: u16) -> FromServer {
        let login = Login { id: self.id(), address: address(port) };
        self.ask(ToServer::Login(login)).await
    }

    pub(crate) async fn logout(mut self) {
        let id = self.id();
        let answer = self.ask(ToServer::Logout(Logout { id })).await;
        assert!(matches!(answer, FromServer::LoggedOut(_)), "{answer:?}");
        assert!(matches!(self.receive().await, Err(Ended::Done)));
        self.connection.goodbye().await.unwrap();
    }

    pub(crate) async fn lookup(&mut self, user: &UserHandle) -> Result<ContactAddress, ErrorCode> {
        let lookup = Lookup { id: self.id(), user: user.clone() };
        match self.ask(ToServer::Lookup(lookup)).await {
            FromServer::Address(body) => Ok(body.address),
            FromServer::Refused(body) => Err(body.code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn set(&mut self, version: u64, messaging: Preferences) -> Result<u64, ErrorCode> {
        let id = self.id();
        let set = SetPreferences { id, version: ProfileVersion(version), messaging };
        match self.ask(ToServer::SetPreferences(set)).await {
            FromServer::PreferencesSet(body) => Ok(body.version.0),
            FromServer::Refused(body) => Err(body.code),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the server says that another login took this one's place, and closes.
    pub(crate) async fn replaced(mut self) -> u64 {
        let FromServer::Replaced(body) = self.receive().await.unwrap() else { panic!("not replaced") };
        assert!(matches!(self.receive().await, Err(Ended::Done)));
        body.epoch.0
    }
}
