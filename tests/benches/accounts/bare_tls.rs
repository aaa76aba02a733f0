//! The twin of a login: a mutual TLS handshake with the same certificates, one byte, and the end of the connection.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use antiphon::credentials::{load_certificates, load_credentials};
use antiphon_protocol::tls::{Credentials, provider};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What makes this program the bare server.
pub(crate) const ARGUMENT: &str = "bare-tls-server";

/// A server that does nothing but handshakes, in a process of its own.
pub(crate) struct Bare {
    process: Child,
    address: SocketAddr,
    roots: Arc<RootCertStore>,
}

fn roots(folder: &Path) -> Arc<RootCertStore> {
    let root = load_certificates(&folder.join("authority/root.pem")).expect("the root is there");
    let mut roots = RootCertStore::empty();
    roots.add(root[0].clone()).expect("the root is a root");
    roots.into()
}

/// Serves until it is killed. It writes its address.
pub(crate) async fn serve(folder: &Path) {
    let own =
        |ending: &str| -> PathBuf { folder.join("home.example").join(format!("home.example.{ending}")) };
    let own = load_credentials(&own("pem"), &own("key")).expect("the server has a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(folder), provider()).build();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_client_cert_verifier(verifier.expect("there is a root"))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified_key().clone())));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(&[1]).await;
            let _ = stream.flush().await;
            let _ = stream.read(&mut [0]).await;
        });
    }
}

impl Bare {
    /// Starts it, with the certificates of this town.
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program knows itself"));
        command.arg(ARGUMENT).arg(folder).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the program can be started");
        let mut line = String::new();
        let output = process.stdout.take().expect("it has an output");
        BufReader::new(output).read_line(&mut line).await.expect("it writes its address");
        Self { process, address: line.trim().parse().expect("an address"), roots: roots(folder) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// What a client with these credentials connects with.
    pub(crate) fn connector(&self, credentials: &Credentials) -> TlsConnector {
        let own = Arc::new(SingleCertAndKey::from(credentials.certified_key().clone()));
        let library =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider()).build();
        let verifier = AnyName { library: library.expect("there is a root"), roots: Arc::clone(&self.roots) };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(own);
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Arc::new(config).into()
    }

    /// One handshake, and what says that the other side is done with it.
    pub(crate) async fn meet(&self, connector: &TlsConnector) {
        let stream = TcpStream::connect(self.address).await.expect("the bare server listens");
        stream.set_nodelay(true).expect("a socket takes its options");
        let name = ServerName::IpAddress(self.address.ip().into());
        let mut stream = connector.connect(name, stream).await.expect("TLS succeeds");
        stream.read_exact(&mut [0]).await.expect("the connection stands");
    }
}

/// The library's judgement but for the name, which certificates of this protocol have elsewhere.
#[derive(Debug)]
struct AnyName {
    library: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}
