//! The twin: TLS connections between the same people, with the same certificates, that carry the same frames in the
//! same order, and nothing else. No task, no queue, no decoding: an end writes a frame as one record, and the other
//! reads it. What has no order among itself is written together before any of it is read.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_protocol::tls::provider;
use futures::future::join_all;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::traffic::Deed;

/// The longest that is said at once.
const BYTES_MAX: usize = 1 << 20;

/// The people and their connections.
pub(crate) struct Mesh {
    people: Vec<Person>,
    /// The ends, by who holds them and who is on the other side.
    ends: BTreeMap<(usize, usize), TlsStream<TcpStream>>,
    bytes: Vec<u8>,
}

struct Person {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Mesh {
    /// People without connections.
    pub(crate) async fn of(root: &Path, identities: &[PathBuf]) -> Self {
        let root = antiphon::credentials::load_certificates(root).expect("the root is there");
        let mut roots = RootCertStore::empty();
        roots.add(root[0].clone()).expect("the root is a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build();
        let verifier = verifier.expect("there is a root");
        let mut people = Vec::new();
        for folder in identities {
            let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
            let credentials = antiphon::credentials::load_credentials(&certificate, &key);
            let credentials = credentials.expect("a client keeps its certificate");
            let own = Arc::new(SingleCertAndKey::from(credentials.certified_key().clone()));
            let versions = [&rustls::version::TLS13];
            let mut server = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&versions)
                .expect("the provider has TLS 1.3")
                .with_client_cert_verifier(verifier.clone())
                .with_cert_resolver(own.clone());
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
            let mut client = ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(&versions)
                .expect("the provider has TLS 1.3")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(UserAtBothEnds(verifier.clone())))
                .with_client_cert_resolver(own);
            client.enable_sni = false;
            client.resumption = Resumption::disabled();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
            people.push(Person {
                address: listener.local_addr().expect("it is bound"),
                listener,
                acceptor: Arc::new(server).into(),
                connector: Arc::new(client).into(),
            });
        }
        Self { people, ends: BTreeMap::new(), bytes: vec![0x5a; BYTES_MAX] }
    }

    /// Does what is written down, every frame `times` times in one record.
    pub(crate) async fn play(&mut self, deeds: &[Deed], times: usize) {
        let mut written: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut rest = deeds;
        while let Some(deed) = rest.first() {
            match deed {
                Deed::Open { .. } => {
                    self.read(&mut written).await;
                    let is_open = |deed: &Deed| matches!(deed, Deed::Open { .. });
                    let opens = rest.iter().take_while(|deed| is_open(deed)).count();
                    self.open(&rest[..opens]).await;
                    rest = &rest[opens..];
                }
                Deed::Say { from, to, bytes } => {
                    // Who has heard something says the next thing because of it.
                    if written.keys().any(|(listener, _)| listener == from) {
                        self.read(&mut written).await;
                    }
                    for whom in to {
                        let end = self.ends.get_mut(&(*from, *whom)).expect("they are connected");
                        end.write_all(&self.bytes[..bytes * times]).await.expect("the connection stands");
                        end.flush().await.expect("the connection stands");
                        *written.entry((*whom, *from)).or_default() += bytes * times;
                    }
                    rest = &rest[1..];
                }
            }
        }
        self.read(&mut written).await;
    }

    /// The first so many connect with each other.
    pub(crate) async fn meet(&mut self, count: usize) {
        for acceptor in 0..count {
            let open = |dialler| Deed::Open { dialler, acceptor, greeting: 1 };
            let opens: Vec<Deed> = (acceptor + 1..count).map(open).collect();
            self.open(&opens).await;
        }
    }

    /// Somebody drops all connections.
    pub(crate) fn part(&mut self, who: usize) {
        self.ends.retain(|(one, other), _| *one != who && *other != who);
    }

    async fn read(&mut self, written: &mut BTreeMap<(usize, usize), usize>) {
        for (at, bytes) in std::mem::take(written) {
            let end = self.ends.get_mut(&at).expect("they are connected");
            let read = end.read_exact(&mut self.bytes[..bytes]).await;
            read.expect("the connection stands");
        }
    }

    async fn open(&mut self, opens: &[Deed]) {
        let opened = join_all(opens.iter().map(|open| {
            let Deed::Open { dialler, acceptor, greeting } = open else { panic!("{open:?} opens nothing") };
            let (from, to) = (&self.people[*dialler], &self.people[*acceptor]);
            let greeting = &self.bytes[..*greeting];
            async move {
                let dial = async {
                    let stream = TcpStream::connect(to.address).await.expect("somebody listens");
                    stream.set_nodelay(true).expect("a socket takes its options");
                    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
                    let mut stream = from.connector.connect(name, stream).await.expect("TLS succeeds");
                    let mut greeted = vec![0; greeting.len()];
                    stream.read_exact(&mut greeted).await.expect("the connection stands");
                    stream
                };
                let accept = async {
                    let (stream, _) = to.listener.accept().await.expect("somebody dials");
                    stream.set_nodelay(true).expect("a socket takes its options");
                    let mut stream = to.acceptor.accept(stream).await.expect("TLS succeeds");
                    stream.write_all(greeting).await.expect("the connection stands");
                    stream.flush().await.expect("the connection stands");
                    stream
                };
                let (dialled, accepted) = tokio::join!(dial, accept);
                [((*dialler, *acceptor), dialled.into()), ((*acceptor, *dialler), accepted.into())]
            }
        }));
        self.ends.extend(opened.await.into_iter().flatten());
    }
}

/// Users have certificates for clients, at the accepting end too: the library's judgement of a client, at both ends.
#[derive(Debug)]
struct UserAtBothEnds(Arc<dyn ClientCertVerifier>);

impl ServerCertVerifier for UserAtBothEnds {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_client_cert(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
