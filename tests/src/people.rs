//! Users and servers of the bench: they speak the protocol and nothing else, each from an address of the loopback interface.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use antiphon::credentials;
use antiphon_protocol::{
    certificate::Trust,
    connection::{Dialler, DiallingEnd},
    key::{KeyAlgorithm, KeyPair},
    message::DiallerMessage,
    signed::sign,
    tls::{Clock, Credentials, SystemClock},
};
use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    message::{
        client_server::{FromServer, Login, ToServer},
        common::RequestId,
        registration::{FromRegistrar, Possession, Register, ToRegistrar},
    },
    registration_code::RegistrationCode,
};

use tokio::net::{TcpSocket, TcpStream};

use crate::{Service, Town, in_time};

/// A server, and how it is reached.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The server's name.
    pub name: ServerName,
    /// Where clients and servers connect.
    pub port: SocketAddr,
    /// Where keys are registered.
    pub registration: SocketAddr,
    trust: Arc<Trust>,
    clock: Clock,
    evil: Credentials,
}

/// A user, or a server, with what proves it, and where it connects from.
#[derive(Clone, Debug)]
pub struct Person {
    /// The handle in the certificate; a server has one that says nothing.
    pub handle: UserHandle,
    /// Where it connects from.
    pub from: Ipv4Addr,
    credentials: Credentials,
    dialler: Dialler,
    ground: Ground,
}

impl Ground {
    /// The server `home` of a town in which `evil.example` is prepared.
    ///
    /// # Panics
    /// The town lacks a file.
    #[must_use]
    pub fn new(town: &Town, home: &Service) -> Self {
        let folder = town.folder();
        let trust = credentials::load_trust(&folder.join("authority/root.pem")).expect("the root is there");
        let evil = folder.join("evil.example");
        let evil =
            credentials::load_credentials(&evil.join("evil.example.pem"), &evil.join("evil.example.key"));
        Self {
            name: home.name().parse().expect("a server has a name"),
            port: home.listen(),
            registration: home.registration(),
            trust,
            clock: Arc::new(SystemClock),
            evil: evil.expect("a server was prepared"),
        }
    }

    /// A registration request that is good, with its key.
    ///
    /// # Panics
    /// The system has no entropy.
    #[must_use]
    pub fn request(&self) -> (KeyPair, Register) {
        let key = KeyPair::generate(KeyAlgorithm::default()).expect("there is entropy");
        let possession = Possession { key: key.public_key_der().to_vec(), server: self.name.clone() };
        let proof = sign(&key, &possession).expect("a key signs");
        let (id, code) = (RequestId(1), RegistrationCode::default());
        let request = Register { id, key: possession.key, code, proof };
        (key, request)
    }

    /// Who has no certificate.
    #[must_use]
    pub fn anybody(&self) -> Dialler {
        Dialler::new(None, Arc::clone(&self.trust), Arc::clone(&self.clock))
    }

    /// A server that the root vouches for, and that keeps to nothing.
    ///
    /// # Panics
    /// Never: the handle is one.
    #[must_use]
    pub fn evil(&self, from: Ipv4Addr) -> Person {
        let dialler = Dialler::new(Some(self.evil.clone()), Arc::clone(&self.trust), Arc::clone(&self.clock));
        let handle = format!("{:032x}@evil.example", 7).parse().expect("a handle");
        Person { handle, from, credentials: self.evil.clone(), dialler, ground: self.clone() }
    }

    /// Somebody with a new account.
    ///
    /// # Panics
    /// The server makes none.
    pub async fn person(&self, from: Ipv4Addr) -> Person {
        let (key, request) = self.request();
        let stream = connect(from, self.registration).await.expect("the port is open");
        let whom = Identity::Server(self.name.clone());
        let dialler = self.anybody();
        let dialled = dialler.dial_over::<ToRegistrar, _>(stream, &whom, None);
        let (_, mut connection) = in_time("a connection", dialled).await.expect("anybody is let in");
        connection.send(&ToRegistrar::Register(request)).await.expect("it can be sent");
        let answer = in_time("an account", connection.receive()).await.expect("an answer");
        let FromRegistrar::Registered(registered) = answer else { panic!("{answer:?}") };
        let chain = registered.chain.into_iter().map(|certificate| certificate.into_vec().into()).collect();
        let credentials = Credentials::new(chain, &key).expect("the certificate is for the key");
        let dialler =
            Dialler::new(Some(credentials.clone()), Arc::clone(&self.trust), Arc::clone(&self.clock));
        Person { handle: registered.handle, from, credentials, dialler, ground: self.clone() }
    }
}

impl Person {
    /// What proves who it is.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The same user at another server.
    #[must_use]
    pub fn at(&self, ground: &Ground) -> Self {
        Self { ground: ground.clone(), ..self.clone() }
    }

    /// A connection to somebody else's port; none if it is not wanted there.
    pub async fn dial_to<M: DiallerMessage>(
        &self,
        port: SocketAddr,
        whom: &Identity,
    ) -> Option<DiallingEnd<TcpStream, M>> {
        let stream = connect(self.from, port).await?;
        let (_, connection) = self.dialler.dial_over::<M, _>(stream, whom, None).await.ok()?;
        Some(connection)
    }

    /// A connection; none if the server does not want it.
    pub async fn dial<M: DiallerMessage>(&self) -> Option<DiallingEnd<TcpStream, M>> {
        self.dial_to(self.ground.port, &Identity::Server(self.ground.name.clone())).await
    }

    /// A connection that is logged in.
    ///
    /// # Panics
    /// Never: the address is one.
    pub async fn log_in(&self) -> Option<DiallingEnd<TcpStream, ToServer>> {
        let mut connection = self.dial::<ToServer>().await?;
        let address = SocketAddr::from((self.from, 9)).to_string().parse().expect("an address");
        connection.send(&ToServer::Login(Login { id: RequestId(1), address })).await.ok()?;
        let answer = connection.receive().await.ok()?;
        matches!(answer, FromServer::LoggedIn(_)).then_some(connection)
    }
}

/// A TCP connection from an address of the loopback interface.
pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind((from, 0).into()).ok()?;
    let stream = socket.connect(to).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}
