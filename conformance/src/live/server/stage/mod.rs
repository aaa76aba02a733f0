//! What a case of a server's behaviour plays on: a server under test, the directory node that it asks, other servers,
//! users and their clients.
//!
//! Most cases share one server, so each has users and servers of its own. A case that kills the server, or needs
//! another directory node, has a stage of its own.

mod asked;
mod link;
mod node;
mod played;
mod under_test;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use antiphon_protocol::{
    certificate::{Demand, End, identify},
    channel::Channel,
    connection::DialError,
    key::KeyPair,
    signed,
    tls::{Credentials, now},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, KeyHash, ObjectHandle, Peer, ServerName, UserHandle},
    limits::REFUSAL_BEAT,
    message::{
        client_server::ToServer,
        registration::{FromRegistrar, Possession, Register, Registered, ToRegistrar},
        server_server::{Profile, ProfileVersion},
    },
    policy::{HandleSet, Preferences, Verdict},
    registration_code::RegistrationCode,
    time::Timestamp,
};
use rustls::pki_types::{CertificateDer, UnixTime};

pub(super) use self::asked::Asks;
use self::under_test::{Files, Running};
pub(in crate::live) use self::{
    asked::{Asked, Listening},
    link::Link,
};
pub(super) use self::{
    link::{Client, PeerLink},
    node::Node,
    played::Played,
};
use crate::{
    case::{Failure, LiveTest, Role},
    live::{
        LiveCase, World,
        pki::{self, Pki},
    },
};

/// What a case comes to.
pub(in crate::live) type Done = Result<(), Failure>;

/// How long what waits for a request's deadline may take.
const LONG_PATIENCE: Duration = Duration::from_secs(40);

/// The case of a server.
pub(super) const fn case(
    id: &'static str,
    requirements: &'static [&'static str],
    about: &'static str,
    test: LiveTest,
) -> LiveCase {
    LiveCase { id, role: Role::Server, requirements, twin: None, about, test }
}

/// Takes a value apart as the text demands; anything else is a failure that shows it.
macro_rules! want {
    ($value:expr, $($pattern:pat $(if $guard:expr)? => $out:expr),+; $expected:expr) => {{
        let value = $value;
        let shown = format!("{value:?}");
        match value {
            $($pattern $(if $guard)? => Ok($out),)+
            _ => Err($crate::case::Failure::unexpected($expected, shown)),
        }
    }};
}
pub(in crate::live) use want;

/// Two values have to be equal.
pub(in crate::live) fn expect_equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    got: &T,
) -> Done {
    if expected == got {
        Ok(())
    } else {
        Err(Failure::unexpected(format!("{what}: {expected:?}"), format!("{got:?}")))
    }
}

/// A refusal of what was sent then came no sooner than a beat later.
pub(super) fn a_beat_later(sent: std::time::Instant) -> Done {
    let waited = sent.elapsed();
    if waited >= REFUSAL_BEAT {
        return Ok(());
    }
    let least = format!("a refusal after at least {} ms", REFUSAL_BEAT.as_millis());
    Err(Failure::unexpected(least, format!("one after {} ms", waited.as_millis())))
}

/// An address in a case.
pub(super) fn address(text: &str) -> Result<ContactAddress, Failure> {
    text.parse().map_err(Failure::harness)
}

/// A profile; of a handle in a list, the zeros in front may be left out.
pub(super) fn profile(version: u64, deny: &[&str], allow: &[&str], default: bool) -> Profile {
    let list = |texts: &[&str]| {
        let mut set = HandleSet::default();
        for text in texts {
            // A text that is no handle, or one too many, is missing in what the server gets, and so fails the case.
            let _ = format!("{text:0>width$}", width = width(text))
                .parse()
                .is_ok_and(|handle| set.insert(handle));
        }
        set
    };
    let default = if default { Verdict::Allow } else { Verdict::Deny };
    Profile {
        version: ProfileVersion(version),
        messaging: Preferences { deny: list(deny), allow: list(allow), default },
    }
}

/// The length of a handle's text.
fn width(text: &str) -> usize {
    text.split_once('@').map_or(0, |(_, home)| 32 + 1 + home.len())
}

/// The bytes of an object handle that nobody has.
fn handle_bytes() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(Failure::harness)?;
    Ok(bytes)
}

/// For whom a server makes new accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Registration {
    #[default]
    Open,
    /// For whoever has the code, for so many accounts.
    ByCode(&'static str, u32),
    Closed,
}

/// How a stage of its own is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alone {
    /// For whom the server makes new accounts.
    pub(super) registration: Registration,
    /// The directory node is down when the server starts.
    pub(super) is_node_down: bool,
    /// The lease that the directory node gives, in seconds, if not a long one.
    pub(super) lease: Option<u64>,
    /// The lease that the server gives to login epochs, in seconds, if not a long one.
    pub(super) login_lease: Option<u64>,
    /// The rate of every class of requests, if not one that no case reaches.
    pub(super) rate: Option<u32>,
    /// How fast the server reads what one user or server sends, in messages a second, if not faster than any case sends.
    pub(super) message_rate: Option<u32>,
    /// How often one address may connect to a port, if not more often than any case does.
    pub(super) connection_rate: Option<u32>,
    /// How many handshakes may be under way at a port, if not the default.
    pub(super) handshakes: Option<u32>,
    /// How many connections of one address the server takes at a port, if not more than any case opens.
    pub(super) connections: Option<u32>,
}

/// A user with a key and a certificate.
pub(in crate::live) struct User {
    pub(in crate::live) handle: UserHandle,
    pub(super) key: KeyPair,
    pub(in crate::live) credentials: Credentials,
}

impl User {
    /// The user whom a server has certified for this key.
    pub(super) fn of(key: KeyPair, registered: &Registered) -> Result<Self, Failure> {
        let chain = registered.chain.iter().map(|it| CertificateDer::from(it.to_vec())).collect();
        let credentials =
            Credentials::new(chain, &key).map_err(|error| Failure::unexpected("a usable chain", error))?;
        Ok(Self { handle: registered.handle.clone(), key, credentials })
    }
}

/// Everything but the process.
struct Place {
    pki: Pki,
    node: Node,
    name: ServerName,
    files: Files,
    count: AtomicU32,
}

/// What a case plays on.
pub(in crate::live) struct Stage {
    world: Arc<World>,
    place: Arc<Place>,
    address: ContactAddress,
    registration: ContactAddress,
    /// The process, where it is the case's own.
    own: Option<Running>,
}

/// The stage that all cases share, and its server.
pub(crate) struct SharedStage {
    place: Arc<Place>,
    running: Running,
}

impl std::fmt::Debug for SharedStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStage").field("server", &self.place.name).finish_non_exhaustive()
    }
}

impl Place {
    async fn new(world: &World, name: &str, alone: Alone) -> Result<Self, Failure> {
        let pki = Pki::new()?;
        let name: ServerName = name.parse().map_err(Failure::harness)?;
        let node_name = "node.example".parse().map_err(Failure::harness)?;
        let node = Node::start(&pki, node_name, alone.lease).await?;
        if alone.is_node_down {
            node.go_down();
        }
        let files = Files::write(world.folder().join(name.as_str()), &pki, &node, &name)?;
        Ok(Self { pki, node, name, files, count: AtomicU32::new(0) })
    }

    fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::SeqCst)
    }
}

impl Stage {
    /// The stage that most cases share.
    pub(in crate::live) async fn shared(world: &Arc<World>) -> Result<Self, Failure> {
        let shared = world.server_stage().get_or_try_init(|| async {
            let place = Arc::new(Place::new(world, "under-test.example", Alone::default()).await?);
            let running = place.files.start(world, Alone::default()).await?;
            Ok::<_, Failure>(SharedStage { place, running })
        });
        let SharedStage { place, running } = shared.await?;
        let (address, registration) = (running.address, running.registration);
        Ok(Self { world: Arc::clone(world), place: Arc::clone(place), address, registration, own: None })
    }

    /// A stage with a server and a directory node of its own.
    pub(super) async fn alone(world: &Arc<World>, alone: Alone) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("alone-{}.example", COUNT.fetch_add(1, Ordering::SeqCst));
        let place = Arc::new(Place::new(world, &name, alone).await?);
        let running = place.files.start(world, alone).await?;
        let (address, registration) = (running.address, running.registration);
        Ok(Self { world: Arc::clone(world), place, address, registration, own: Some(running) })
    }

    /// Ends the server at once, as a crash would.
    pub(super) async fn kill(&mut self) {
        if let Some(mut running) = self.own.take() {
            running.kill().await;
        }
    }

    /// Starts the server again, over what it has stored.
    pub(super) async fn restart(&mut self, alone: Alone) -> Done {
        let running = self.place.files.start(&self.world, alone).await?;
        (self.address, self.registration) = (running.address, running.registration);
        self.own = Some(running);
        Ok(())
    }

    /// Replaces the server's certificate and key, as its operator does while it runs, and says which key it is.
    pub(super) fn replace_certificate(&self) -> Result<KeyHash, Failure> {
        self.place.files.replace_certificate(&self.place.pki, self.name())
    }

    /// Whether the server proves itself with this key, at the port where users and servers connect and at the one where
    /// clients register.
    pub(super) async fn proves(&self, user: &User, key: KeyHash) -> Result<bool, Failure> {
        let (whom, pki) = (Identity::Server(self.name().clone()), &self.place.pki);
        let users = pki.dialler(Some(user.credentials.clone()));
        let at_users = users.dial::<ToServer>(self.address, &whom, Some(key)).await.map(drop);
        let registrar =
            pki.dialler(None).dial::<ToRegistrar>(self.registration, &whom, Some(key)).await.map(drop);
        for dialled in [at_users, registrar] {
            match dialled {
                Ok(()) => {}
                Err(DialError::CertificateRefused(_)) => return Ok(false),
                Err(error) => return Err(Failure::unexpected("a greeting", format!("{error:?}"))),
            }
        }
        Ok(true)
    }

    /// Asks for the end of a user's account, as the server's operator does.
    pub(super) async fn end_account(&self, user: &UserHandle) -> Done {
        self.place.files.end_account(&self.world, user).await
    }

    /// Asks the server to go down.
    pub(super) async fn terminate(&self) -> Done {
        match &self.own {
            Some(running) => running.terminate().await,
            None => Err(Failure::harness("the server is not this case's own")),
        }
    }

    /// Waits until the server has gone down.
    pub(super) async fn exited(&mut self) -> Done {
        match &mut self.own {
            Some(running) => running.exited().await,
            None => Err(Failure::harness("the server is not this case's own")),
        }
    }

    /// The name of the server under test.
    pub(in crate::live) fn name(&self) -> &ServerName {
        &self.place.name
    }

    /// Its authenticated port.
    pub(in crate::live) fn address(&self) -> ContactAddress {
        self.address
    }

    /// Its registration port.
    pub(in crate::live) fn registration(&self) -> ContactAddress {
        self.registration
    }

    /// The root, and whom it has made what.
    pub(in crate::live) fn pki(&self) -> &Pki {
        &self.place.pki
    }

    /// A number that no other case of this stage gets.
    pub(in crate::live) fn number(&self) -> u32 {
        self.place.next()
    }

    /// The directory node.
    pub(in crate::live) fn node(&self) -> &Node {
        &self.place.node
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        now(self.place.pki.clock())
    }

    /// The certificate of the server's authority for its users.
    pub(super) fn user_ca(&self) -> &CertificateDer<'static> {
        &self.place.files.ca_certificate
    }

    /// A server that the suite plays, with a name that no other has and a record of itself.
    pub(super) async fn played(&self, label: &str) -> Result<Played, Failure> {
        let name = format!("{label}-{}.example", self.place.next()).parse().map_err(Failure::harness)?;
        Played::start(&self.place.pki, name, &self.place.node).await
    }

    /// A fresh key.
    pub(super) fn key(&self) -> Result<KeyPair, Failure> {
        pki::key()
    }

    /// A connection to the registration port.
    pub(super) async fn registrar(&self) -> Result<Link<ToRegistrar>, Failure> {
        let whom = Identity::Server(self.name().clone());
        Link::dial(&self.place.pki.dialler(None), self.registration, &whom).await
    }

    /// A connection to the registration port, over a stream that is there.
    pub(super) async fn registrar_over(
        &self,
        stream: tokio::net::TcpStream,
    ) -> Result<Link<ToRegistrar>, Failure> {
        let whom = Identity::Server(self.name().clone());
        Link::dial_over(&self.place.pki.dialler(None), stream, &whom).await
    }

    /// A good request to register a key.
    pub(super) fn request(
        &self,
        registrar: &mut Link<ToRegistrar>,
        key: &KeyPair,
    ) -> Result<ToRegistrar, Failure> {
        self.request_with(registrar, key, RegistrationCode::default())
    }

    /// A good request to register a key, with a registration code.
    pub(super) fn request_with(
        &self,
        registrar: &mut Link<ToRegistrar>,
        key: &KeyPair,
        code: RegistrationCode,
    ) -> Result<ToRegistrar, Failure> {
        let claims = Possession { key: key.public_key_der().to_vec(), server: self.name().clone() };
        let proof = signed::sign(key, &claims).map_err(Failure::harness)?;
        Ok(ToRegistrar::Register(Register { id: registrar.id(), key: claims.key, code, proof }))
    }

    /// Registers a key.
    pub(super) async fn register_on(
        &self,
        registrar: &mut Link<ToRegistrar>,
        key: &KeyPair,
    ) -> Result<Registered, Failure> {
        let request = self.request(registrar, key)?;
        let (id, answer) = (registrar.last_id(), registrar.ask(request).await?);
        want!(answer, FromRegistrar::Registered(body) if body.id == id => body; "registered")
    }

    /// Registers a key on a connection of its own.
    pub(super) async fn register(&self, key: &KeyPair) -> Result<Registered, Failure> {
        let mut registrar = self.registrar().await?;
        self.register_on(&mut registrar, key).await
    }

    /// Whom a chain of certificates proves, as a client at the other end of a link would judge it.
    pub(super) fn verify(&self, chain: &[serde_bytes::ByteBuf]) -> Result<Peer, Failure> {
        let chain: Vec<_> = chain.iter().map(|it| CertificateDer::from(it.to_vec())).collect();
        let demand = Demand::new(Channel::ClientClient, End::Accepting);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(self.now().0));
        let proved = identify(self.place.pki.trust(), &chain, &demand, time);
        let proved =
            proved.map_err(|refused| Failure::unexpected("a good certificate of a user", refused))?;
        proved.peer().ok_or_else(|| Failure::unexpected("a user", "another role"))
    }

    /// A user with a fresh account at the server under test.
    pub(in crate::live) async fn account(&self) -> Result<User, Failure> {
        self.account_of(pki::key()?).await
    }

    /// The user whose key this is.
    pub(super) async fn account_of(&self, key: KeyPair) -> Result<User, Failure> {
        let registered = self.register(&key).await?;
        User::of(key, &registered)
    }

    /// The server refuses the user's certificate, with the code or with an alert.
    pub(super) async fn refuses_certificate(&self, user: &User) -> Done {
        let whom = Identity::Server(self.name().clone());
        let dialler = self.place.pki.dialler(Some(user.credentials.clone()));
        match dialler.dial::<ToServer>(self.address, &whom, None).await {
            Err(DialError::Alert(_)) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::CertificateRefused) => Ok(()),
            other => {
                Err(Failure::unexpected("a refusal of the certificate", format!("{:?}", other.map(drop))))
            }
        }
    }

    /// A user whose home is a played server.
    pub(super) fn visitor(&self, home: &Played) -> Result<User, Failure> {
        let (handle, key) = (home.user()?, pki::key()?);
        let credentials = self.place.pki.user(&home.ca, &handle, &key)?;
        Ok(User { handle, key, credentials })
    }

    /// Somebody with a certificate of the server under test, and without an account there.
    pub(in crate::live) fn stranger(&self) -> Result<User, Failure> {
        let (handle, key) =
            (UserHandle { id: ObjectHandle(handle_bytes()?), home: self.name().clone() }, pki::key()?);
        let credentials = self.place.pki.user(&self.place.files.ca, &handle, &key)?;
        Ok(User { handle, key, credentials })
    }

    /// A user's connection, with an address that no other client has.
    pub(super) async fn client(&self, user: &User) -> Result<Client, Failure> {
        let whom = Identity::Server(self.name().clone());
        let link =
            Link::dial(&self.place.pki.dialler(Some(user.credentials.clone())), self.address, &whom).await?;
        let number = self.place.next();
        let address = address(&format!("192.0.2.{}:{}", 1 + number / 60_000 % 250, 1 + number % 60_000))?;
        Ok(Client::new(link, address))
    }

    /// A user who is logged in at home.
    pub(super) async fn logged_in(&self, user: &User) -> Result<Client, Failure> {
        let mut client = self.client(user).await?;
        client.log_in().await?;
        Ok(client)
    }

    /// A visitor who is logged in, with the epoch and the profile that the played home server gave.
    pub(super) async fn logged_in_away(
        &self,
        home: &mut Played,
        user: &User,
        epoch: u64,
        profile: Profile,
    ) -> Result<Client, Failure> {
        let mut client = self.client(user).await?;
        client.ask_login().await?;
        home.log_in(epoch, profile).await?;
        client.logged_in().await?;
        Ok(client)
    }
}

impl Link<ToRegistrar> {
    /// A registration is refused with this code.
    pub(super) async fn refused(&mut self, request: ToRegistrar, code: ErrorCode) -> Done {
        self.send(&request).await?;
        let id = self.last_id();
        self.is_refused(id, code).await
    }
}
