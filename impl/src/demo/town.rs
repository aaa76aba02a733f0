//! The town that the demo plays in: an authority, a directory node and two servers, on loopback, in one folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_protocol::tls::{Clock, SystemClock, now};
use antiphon_spec::identity::{ContactAddress, ServerName};
use rustls::pki_types::CertificateDer;
use tokio::{net::TcpStream, time::timeout};

use super::{DemoError, STEP_DEADLINE, narrator::Narrator};
use crate::{
    authority::{self, SERVER_LIFETIME},
    client::{ServerAddress, Settings},
    config::{DirectoryNodeAddress, DirectoryNodeConfig, Limits, RegistrationPolicy, ServerConfig},
    credentials,
    directory::DirectoryNode,
    server::Server,
};

/// A server, as clients see it.
pub(super) struct Home {
    pub(super) server: Server,
    pub(super) authenticated: ServerAddress,
    pub(super) registration: ServerAddress,
}

/// Everything but the clients.
pub(super) struct Town {
    folder: tempfile::TempDir,
    root: CertificateDer<'static>,
    node: DirectoryNode,
    pub(super) home1: Home,
    pub(super) home2: Home,
}

impl Town {
    /// Makes certificates and starts everything.
    pub(super) async fn found(narrator: &mut Narrator) -> Result<Self, DemoError> {
        narrator.scene("An authority makes a root, and vouches for a directory node and two servers.")?;
        let folder = tempfile::Builder::new().prefix("antiphon-demo-").tempdir();
        let folder = folder.map_err(DemoError::Folder)?;
        let clock: Clock = Arc::new(SystemClock);
        let authority_folder = folder.path().join("authority");
        let root_path = authority::create(&authority_folder, now(&clock), SERVER_LIFETIME)?;
        let roots = credentials::load_certificates(&root_path).map_err(authority::AuthorityError::File)?;
        let root = roots.into_iter().next().ok_or_else(|| {
            DemoError::Folder(std::io::Error::new(std::io::ErrorKind::NotFound, "the root is missing"))
        })?;
        narrator.tell(&format!("files are in {}", folder.path().display()))?;

        narrator.scene("They start on this machine, each on ports that the system chooses.")?;
        let name: ServerName = "node.example".parse()?;
        let files = authority::issue_node(
            &authority_folder,
            &folder.path().join("node"),
            &name,
            now(&clock),
            SERVER_LIFETIME,
        )?;
        let node = DirectoryNode::start(DirectoryNodeConfig {
            advertised_address: None,
            parent: Vec::new(),
            name: name.clone(),
            listen_address: loopback(),
            root: root_path.clone(),
            certificate: files.certificate,
            key: files.key,
            database: folder.path().join("node/records.sqlite").into(),
            lease: DirectoryNodeConfig::lease_default(),
            records_per_server: DirectoryNodeConfig::records_per_server_default(),
            monitoring_address: None,
            limits: Limits::default(),
        });
        let node = node.await.map_err(|error| DemoError::Start(name.to_string(), error))?;
        narrator.tell(&format!("{name} keeps contact records at {}", node.address()))?;
        let asked = DirectoryNodeAddress { address: ContactAddress(node.address()), name };
        let home1 = start_home("home1.example", folder.path(), &root_path, &asked, &clock).await?;
        let home2 = start_home("home2.example", folder.path(), &root_path, &asked, &clock).await?;
        for home in [&home1, &home2] {
            let (name, at) = (&home.authenticated.name, &home.authenticated.address);
            narrator
                .tell(&format!("{name} serves users at {at}, registers at {}", home.registration.address))?;
        }
        Ok(Self { folder, root, node, home1, home2 })
    }

    /// What the client of somebody is started with, who registers at one server and logs in at another.
    pub(super) fn settings(&self, who: &str, home: &Home, local: &Home) -> Settings {
        Settings {
            root: Some(self.root.clone()),
            server: Some(local.authenticated.clone()),
            registration: Some(home.registration.clone()),
            ..Settings::new(self.identity(who))
        }
    }

    /// The identity folder of somebody.
    pub(super) fn identity(&self, who: &str) -> PathBuf {
        self.folder.path().join(who)
    }

    /// The root certificate's file.
    pub(super) fn root_path(&self) -> PathBuf {
        authority::root_certificate(&self.folder.path().join("authority"))
    }

    /// Everything goes down, and the folder with it.
    pub(super) async fn end(self, narrator: &mut Narrator) -> Result<(), DemoError> {
        let mut ports = vec![self.node.address()];
        for home in [self.home1, self.home2] {
            ports.extend([home.server.address(), home.server.registration_address()]);
            let down = timeout(STEP_DEADLINE, home.server.shutdown()).await;
            down.map_err(|_| DemoError::StillUp(home.authenticated.name.to_string()))?;
        }
        let down = timeout(STEP_DEADLINE, self.node.shutdown()).await;
        down.map_err(|_| DemoError::StillUp("the directory node".to_owned()))?;
        let mut open = Vec::new();
        for port in ports {
            if TcpStream::connect(port).await.is_ok() {
                open.push(port);
            }
        }
        narrator.claim("both servers and the node are down, their ports are closed", &open, &Vec::new())?;
        let path = self.folder.path().to_owned();
        self.folder.close().map_err(DemoError::Folder)?;
        let gone = path.try_exists().map_err(DemoError::Folder)?;
        narrator.claim("the folder with all files is gone", &gone, &false)
    }
}

async fn start_home(
    name: &str,
    folder: &Path,
    root: &Path,
    node: &DirectoryNodeAddress,
    clock: &Clock,
) -> Result<Home, DemoError> {
    let own = folder.join(name);
    let name: ServerName = name.parse()?;
    let files = authority::issue_server(&folder.join("authority"), &own, &name, now(clock), SERVER_LIFETIME)?;
    let server = Server::start(ServerConfig {
        name: name.clone(),
        registration_address: loopback(),
        listen_address: loopback(),
        advertised_address: None,
        root: root.to_owned(),
        certificate: files.certificate,
        key: files.key,
        user_ca_certificate: files.user_ca_certificate,
        user_ca_key: files.user_ca_key,
        database: own.join("accounts.sqlite").into(),
        directory_node: vec![node.clone()],
        registration: RegistrationPolicy::Open,
        registration_codes: Vec::new(),
        login_lease: ServerConfig::login_lease_default(),
        monitoring_address: None,
        control_socket: None,
        limits: Limits::default(),
    });
    let server = server.await.map_err(|error| DemoError::Start(name.to_string(), error))?;
    let at = |address: SocketAddr| ServerAddress { name: name.clone(), address: address.to_string() };
    let (authenticated, registration) = (at(server.address()), at(server.registration_address()));
    Ok(Home { server, authenticated, registration })
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
