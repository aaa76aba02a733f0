//! A tunnel to a PostgreSQL on another machine: TLS 1.3 around the connections that the database library opens to a
//! socket in a private folder.
//!
//! The library's own TLS would bring TLS 1.2 into the program, accept any certificate by default, and trust everybody
//! whom browsers trust. The tunnel knows one version, and only the authorities that the operator names.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::CONNECTION_DEADLINE;
use crate::net;

/// What a client of PostgreSQL says who wants TLS: `SSLRequest`, which is its length and a code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The answer of a PostgreSQL that speaks TLS.
const WILLING: u8 = b'S';

/// Why there is no way to a PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The authorities cannot be read.
    #[error("the file of `sslrootcert`, {}, holds no certificates: {problem}", path.display())]
    Authorities { path: PathBuf, problem: String },
    /// The host can have no certificate.
    #[error("{0} is no name of a host")]
    Host(String),
    /// The version of TLS is not to be had.
    #[error("TLS cannot be used")]
    Tls(#[from] rustls::Error),
    /// This end cannot be made.
    #[error("no socket can be made for the tunnel")]
    Socket(#[source] io::Error),
    /// The other end cannot be reached, or has no certificate that the authorities vouch for.
    #[error("{host}, port {port}, cannot be reached over TLS")]
    Reach { host: String, port: u16, source: io::Error },
    /// The other end speaks no TLS.
    #[error("PostgreSQL at {host}, port {port}, does not speak TLS: set `ssl = on` there")]
    Unwilling { host: String, port: u16 },
}

/// The near end of the tunnel; it is filled in when this is dropped.
#[derive(Debug)]
pub(super) struct Tunnel {
    folder: tempfile::TempDir,
    failure: Arc<Mutex<Option<TunnelError>>>,
    filled: CancellationToken,
}

impl Tunnel {
    /// Listens at a socket in a folder that this user alone may enter.
    pub(super) fn dig(host: &str, port: u16, authorities: &Path) -> Result<Self, TunnelError> {
        let far = Far::new(host, port, authorities)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("antiphon-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir().map_err(TunnelError::Socket)?;
        let socket = folder.path().join(format!(".s.PGSQL.{port}"));
        let listener = UnixListener::bind(socket).map_err(TunnelError::Socket)?;
        let (failure, filled) = (Arc::default(), CancellationToken::new());
        tokio::spawn(carry(listener, Arc::new(far), Arc::clone(&failure), filled.clone()));
        Ok(Self { folder, failure, filled })
    }

    /// The folder with the socket.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the last connection failed of, once.
    pub(super) fn failure(&self) -> Option<sqlx::Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map(|failure| sqlx::Error::Tls(Box::new(failure)))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.filled.cancel();
    }
}

/// Carries every connection, as many as the pool of this process has, until the tunnel is filled in.
async fn carry(
    listener: UnixListener,
    far: Arc<Far>,
    failure: Arc<Mutex<Option<TunnelError>>>,
    filled: CancellationToken,
) {
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = filled.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((mut near, _)) = accepted else { continue };
        let (far, failure, filled) = (Arc::clone(&far), Arc::clone(&failure), filled.clone());
        tracker.spawn(async move {
            tokio::select! {
                biased;
                () = filled.cancelled() => {}
                ended = far.connect(&mut near) => {
                    if let Err(error) = ended {
                        // Left behind before the near end is closed, so that who sees it closed can ask why.
                        warn!(error = net::chain(&error), "no way to the database");
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            }
        });
    }
}

/// The far end.
struct Far {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Far {
    fn new(host: &str, port: u16, authorities: &Path) -> Result<Self, TunnelError> {
        // An address of IPv6 stands in brackets in a URL.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| TunnelError::Host(host.clone()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(read(authorities)?);
        let mut config = config.with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { host, port, name, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Opens a connection there, and carries bytes in both directions until one of the ends is gone.
    async fn connect(&self, near: &mut UnixStream) -> Result<(), TunnelError> {
        let reach = |source| TunnelError::Reach { host: self.host.clone(), port: self.port, source };
        let open = async {
            let mut far = TcpStream::connect((self.host.as_str(), self.port)).await?;
            far.set_nodelay(true)?;
            far.write_all(&SSL_REQUEST).await?;
            if far.read_u8().await? != WILLING {
                return Ok(None);
            }
            Ok(Some(self.connector.connect(self.name.clone(), far).await?))
        };
        let opened = tokio::time::timeout(CONNECTION_DEADLINE, open).await;
        let opened = opened.map_err(|elapsed| reach(io::Error::new(io::ErrorKind::TimedOut, elapsed)))?;
        let Some(mut far) = opened.map_err(reach)? else {
            return Err(TunnelError::Unwilling { host: self.host.clone(), port: self.port });
        };
        // How a connection ends is the business of the two that speak through it.
        let _ = tokio::io::copy_bidirectional(near, &mut far).await;
        Ok(())
    }
}

fn read(path: &Path) -> Result<RootCertStore, TunnelError> {
    let unusable = |problem: String| TunnelError::Authorities { path: path.to_owned(), problem };
    let mut authorities = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        authorities.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    Ok(authorities)
}
