//! TLS (chapter *Wire*, section *Connections*): versions, protocol names, who is asked for a certificate, and nothing of
//! an earlier connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use antiphon_protocol::channel::Channel;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    pki_types::ServerName,
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsStream;

use super::{
    credentials,
    line::{Heard, config, connect},
    refused, taken,
};
use crate::{
    case::Failure,
    live::{
        LiveCase, World,
        server::stage::{Done, Stage, expect_equal},
    },
    process::PATIENCE,
};

const TLS_1_2: u16 = 0x0303;
pub(super) const TLS_1_3: u16 = 0x0304;

/// The alert `protocol_version` (RFC 8446, section 6).
const PROTOCOL_VERSION: u8 = 70;

/// Extensions of TLS (RFC 8446, section 4.2).
const EARLY_DATA: u16 = 42;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// A case of a protocol name that the port doesn't serve.
macro_rules! unserved {
    ($id:literal, $requirement:literal, $about:literal, $port:ident, $shows:ident, $names:expr) => {
        refused(
            concat!("tls/", $id),
            &[$requirement, "WIRE-037"],
            "tls/greeting-comes-first",
            $about,
            |world| Box::pin(is_unserved(world, Channel::$port, Channel::$shows, $names)),
        )
    };
}

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    taken(
        "tls/version-1-3",
        &["WIRE-001"],
        "A ClientHello with TLS 1.3 and older ones is answered with a ServerHello of 1.3, on both ports.",
        |world| Box::pin(newest(world)),
    ),
    refused(
        "tls/version-1-2",
        &["WIRE-001"],
        "tls/version-1-3",
        "A ClientHello that offers TLS 1.2 alone gets the alert protocol_version at the authenticated port.",
        |world| Box::pin(old(world, Channel::ClientServer, &[TLS_1_2])),
    ),
    refused(
        "tls/version-1-2-at-the-registrar",
        &["WIRE-001"],
        "tls/version-1-3",
        "A ClientHello that offers TLS 1.2 alone gets the alert protocol_version at the registration port.",
        |world| Box::pin(old(world, Channel::Registration, &[TLS_1_2])),
    ),
    refused(
        "tls/version-that-is-not-said",
        &["WIRE-001"],
        "tls/version-1-3",
        "A ClientHello without supported_versions, as before TLS 1.3, gets the alert protocol_version.",
        |world| Box::pin(old(world, Channel::ClientServer, &[])),
    ),
    taken(
        "tls/greeting-comes-first",
        &["WIRE-036", "WIRE-037", "CERT-019"],
        "On each of the three channels the server proves its name and then greets, before the dialler has said anything.",
        |world| Box::pin(greets(world)),
    ),
    unserved!(
        "no-protocol-name",
        "WIRE-003",
        "A user offers no protocol name at the authenticated port.",
        ClientServer,
        ClientServer,
        &[]
    ),
    unserved!(
        "no-protocol-name-of-a-server",
        "WIRE-003",
        "A server offers no protocol name at the authenticated port.",
        ClientServer,
        ServerServer,
        &[]
    ),
    unserved!(
        "no-protocol-name-at-the-registrar",
        "WIRE-003",
        "Somebody offers no protocol name at the registration port.",
        Registration,
        Registration,
        &[]
    ),
    unserved!(
        "unknown-protocol-name",
        "WIRE-003",
        "A user offers a protocol name that nobody serves.",
        ClientServer,
        ClientServer,
        &[b"h2"]
    ),
    unserved!(
        "protocol-name-of-another-version",
        "WIRE-003",
        "A user offers a later version of the channel.",
        ClientServer,
        ClientServer,
        &[b"antiphon-c2s/2"]
    ),
    unserved!(
        "unknown-protocol-name-at-the-registrar",
        "WIRE-003",
        "Somebody offers a protocol name that nobody serves.",
        Registration,
        Registration,
        &[b"antiphon"]
    ),
    unserved!(
        "channel-of-clients",
        "WIRE-003",
        "A user offers the client-to-client channel to the server.",
        ClientServer,
        ClientServer,
        &[b"antiphon-c2c/1"]
    ),
    unserved!(
        "channel-of-directory-nodes",
        "WIRE-003",
        "A server offers the location channel to the server.",
        ClientServer,
        ServerServer,
        &[b"antiphon-loc/1"]
    ),
    unserved!(
        "registration-at-the-authenticated-port",
        "WIRE-003",
        "Somebody without a certificate wants to register at the authenticated port.",
        ClientServer,
        Registration,
        &[b"antiphon-reg/1"]
    ),
    unserved!(
        "client-channel-at-the-registrar",
        "WIRE-005",
        "A user offers the client-to-server channel at the registration port.",
        Registration,
        ClientServer,
        &[b"antiphon-c2s/1"]
    ),
    unserved!(
        "client-channel-at-the-registrar-by-nobody",
        "WIRE-005",
        "Somebody without a certificate offers the client-to-server channel at the registration port.",
        Registration,
        Registration,
        &[b"antiphon-c2s/1"]
    ),
    unserved!(
        "server-channel-at-the-registrar",
        "WIRE-005",
        "A server offers the server-to-server channel at the registration port.",
        Registration,
        ServerServer,
        &[b"antiphon-s2s/1"]
    ),
    taken(
        "tls/certificate-is-asked-for",
        &["WIRE-006"],
        "The server asks users and servers for a certificate, and nobody at the registration port.",
        |world| Box::pin(asks(world)),
    ),
    taken(
        "tls/no-tickets",
        &["WIRE-008", "WIRE-007"],
        "Nobody gets a session ticket, before the greeting or after it, on any of the three channels.",
        |world| Box::pin(no_tickets(world)),
    ),
    taken(
        "tls/no-resumption",
        &["WIRE-007", "WIRE-009"],
        "Whoever connects a second time, ready to resume and to send early data, can do neither: the handshake is a full one.",
        |world| Box::pin(no_resumption(world)),
    ),
    taken(
        "tls/no-pre-shared-key",
        &["WIRE-007", "WIRE-009"],
        "A ClientHello with a made-up ticket and early data is answered without taking the ticket, on both ports.",
        |world| Box::pin(no_pre_shared_key(world)),
    ),
];

/// A ClientHello (RFC 8446, section 4.1.2) in its record. With `is_early`, it shows a ticket and announces early data.
pub(super) fn client_hello(channel: Channel, versions: &[u16], is_early: bool) -> Result<Vec<u8>, Failure> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(Failure::harness)?;
    // X25519's base point is a public key as good as any: nothing behind the ServerHello is read.
    let share = [&[9], [0; 31].as_slice()].concat();
    let versions: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
    let mut extensions = vec![
        // One group: X25519; Ed25519 and ECDSA on P-256 as signatures; no compression of points.
        (10, prefixed::<2>(&[0, 29])?),
        (13, prefixed::<2>(&[8, 7, 4, 3])?),
        (11, prefixed::<1>(&[0])?),
        (16, prefixed::<2>(&prefixed::<1>(channel.alpn())?)?),
        (51, prefixed::<2>(&[&[0, 29], prefixed::<2>(&share)?.as_slice()].concat())?),
    ];
    if !versions.is_empty() {
        extensions.push((SUPPORTED_VERSIONS, prefixed::<1>(&versions)?));
    }
    if is_early {
        let identity = [prefixed::<2>(&[7; 64])?, vec![0; 4]].concat();
        let binders = prefixed::<2>(&prefixed::<1>(&[7; 32])?)?;
        extensions.push((45, prefixed::<1>(&[1])?));
        extensions.push((EARLY_DATA, Vec::new()));
        // It has to be the last one.
        extensions.push((PRE_SHARED_KEY, [prefixed::<2>(&identity)?, binders].concat()));
    }
    let mut encoded = Vec::new();
    for (kind, contents) in extensions {
        encoded.extend(u16::to_be_bytes(kind));
        encoded.extend(prefixed::<2>(&contents)?);
    }
    // TLS_AES_128_GCM_SHA256, and what TLS 1.2 has with ECDHE, for ECDSA and for RSA.
    let suites = prefixed::<2>(&[0x13, 0x01, 0xc0, 0x2b, 0xc0, 0x2f])?;
    let hello = [
        TLS_1_2.to_be_bytes().as_slice(),
        &random,
        &prefixed::<1>(&random)?,
        &suites,
        &prefixed::<1>(&[0])?,
        &prefixed::<2>(&encoded)?,
    ]
    .concat();
    let handshake = [&[1], prefixed::<3>(&hello)?.as_slice()].concat();
    Ok([&[22, 3, 1], prefixed::<2>(&handshake)?.as_slice()].concat())
}

/// Bytes behind their length, which has `N` bytes.
fn prefixed<const N: usize>(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let length = u64::try_from(bytes.len()).map_err(Failure::harness)?.to_be_bytes();
    let length = length.get(8 - N..).ok_or_else(|| Failure::harness("a length of so many bytes"))?;
    Ok([length, bytes].concat())
}

/// The record that answers a ClientHello: its kind, and what is in it.
async fn answer(stage: &Stage, channel: Channel, hello: &[u8]) -> Result<(u8, Vec<u8>), Failure> {
    let address = if channel == Channel::Registration { stage.registration() } else { stage.address() };
    let record = async {
        let mut stream = TcpStream::connect(address.0).await?;
        stream.write_all(hello).await?;
        let kind = stream.read_u8().await?;
        let _version = stream.read_u16().await?;
        let mut contents = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut contents).await?;
        Ok::<_, std::io::Error>((kind, contents))
    };
    match timeout(PATIENCE, record).await {
        Ok(record) => record.map_err(|error| Failure::unexpected("an answer to a ClientHello", error)),
        Err(_) => Err(Failure::unexpected("an answer to a ClientHello", "nothing")),
    }
}

/// The extensions of a ServerHello (RFC 8446, section 4.1.3).
fn server_hello((kind, contents): &(u8, Vec<u8>)) -> Result<Vec<(u16, Vec<u8>)>, Failure> {
    let wrong = || {
        Failure::unexpected("a ServerHello", format!("a record of kind {kind}: {}", hex::encode(contents)))
    };
    let read = || {
        // Kind and length of the handshake message, the version and 32 random bytes.
        let rest = contents.get(38..)?;
        let (&session, rest) = rest.split_first()?;
        // The session's ID, the cipher suite, no compression, the length of all extensions.
        let mut rest = rest.get(usize::from(session) + 5..)?;
        let mut extensions = Vec::new();
        while let Some((head, behind)) = rest.split_first_chunk::<4>() {
            let [a, b, c, d] = *head;
            let (contents, behind) = behind.split_at_checked(u16::from_be_bytes([c, d]).into())?;
            extensions.push((u16::from_be_bytes([a, b]), contents.to_vec()));
            rest = behind;
        }
        Some(extensions)
    };
    if *kind != 22 || contents.first() != Some(&2) {
        return Err(wrong());
    }
    read().ok_or_else(wrong)
}

async fn newest(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        let hello = client_hello(channel, &[TLS_1_2, TLS_1_3, 0x0302], false)?;
        let extensions = server_hello(&answer(&stage, channel, &hello).await?)?;
        let version = extensions.into_iter().find(|(kind, _)| *kind == SUPPORTED_VERSIONS);
        expect_equal("version", &Some((SUPPORTED_VERSIONS, TLS_1_3.to_be_bytes().to_vec())), &version)?;
    }
    Ok(())
}

async fn old(world: Arc<World>, channel: Channel, versions: &[u16]) -> Done {
    let stage = Stage::shared(&world).await?;
    let (kind, contents) = answer(&stage, channel, &client_hello(channel, versions, false)?).await?;
    expect_equal("record of an alert", &(21, vec![2, PROTOCOL_VERSION]), &(kind, contents))
}

async fn no_pre_shared_key(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::Registration] {
        let hello = client_hello(channel, &[TLS_1_3], true)?;
        let extensions = server_hello(&answer(&stage, channel, &hello).await?)?;
        expect_equal("ticket taken", &false, &extensions.iter().any(|(kind, _)| *kind == PRE_SHARED_KEY))?;
    }
    Ok(())
}

async fn greets(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        // That the certificate is the server's, issued by the root itself, is what the dialler verifies.
        super::open(&stage, channel).await?;
    }
    Ok(())
}

/// Connects to the port of one channel with what the dialler of another shows: there is no greeting.
async fn is_unserved(world: Arc<World>, port: Channel, shows: Channel, names: &[&[u8]]) -> Done {
    let stage = Stage::shared(&world).await?;
    let credentials = credentials(&stage, shows)?;
    let config = config(&stage, names, credentials.as_ref())?;
    // A handshake that fails is an end; one that doesn't has to be followed by one.
    let Ok(mut line) = connect(&stage, port, Arc::new(config)).await? else { return Ok(()) };
    match line.hear().await? {
        Heard::Closed | Heard::Alert(_) | Heard::Cut(_) => Ok(()),
        heard @ Heard::Message(..) => Err(Failure::unexpected("an end", heard.shown())),
    }
}

/// Notes whether it is asked for a certificate.
#[derive(Debug)]
struct Asked {
    is_asked: AtomicBool,
    inner: Arc<dyn ResolvesClientCert>,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Ordering::SeqCst);
        self.inner.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

async fn asks(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for (channel, shows, is_asked) in [
        (Channel::ClientServer, Channel::ClientServer, true),
        (Channel::ServerServer, Channel::ServerServer, true),
        (Channel::Registration, Channel::ClientServer, false),
    ] {
        let mut config = config(&stage, &[channel.alpn()], credentials(&stage, shows)?.as_ref())?;
        let inner = Arc::clone(&config.client_auth_cert_resolver);
        let asked = Arc::new(Asked { is_asked: AtomicBool::new(false), inner });
        config.client_auth_cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesClientCert>;
        let line = connect(&stage, channel, Arc::new(config)).await?;
        line.map_err(|error| Failure::unexpected("a connection", error))?.greeted().await?;
        expect_equal(
            &format!("asked for on the {channel} channel"),
            &is_asked,
            &asked.is_asked.load(Ordering::SeqCst),
        )?;
    }
    Ok(())
}

/// A configuration that takes whatever would make a later handshake shorter.
fn ready_to_resume(stage: &Stage, channel: Channel) -> Result<Arc<ClientConfig>, Failure> {
    let mut config = config(stage, &[channel.alpn()], credentials(stage, channel)?.as_ref())?;
    config.resumption = Resumption::in_memory_sessions(16);
    config.enable_early_data = true;
    Ok(Arc::new(config))
}

/// A connection that has been greeted and has answered a ping; how its handshake went, and how many tickets came.
async fn visit(
    stage: &Stage,
    channel: Channel,
    config: &Arc<ClientConfig>,
) -> Result<(Option<HandshakeKind>, u32), Failure> {
    let line = connect(stage, channel, Arc::clone(config)).await?;
    let mut line = line.map_err(|error| Failure::unexpected("a connection", error))?;
    line.greeted().await?;
    line.probe(1).await?;
    match line.tls() {
        TlsStream::Client(stream) => {
            let tls = stream.get_ref().1;
            Ok((tls.handshake_kind(), tls.tls13_tickets_received()))
        }
        TlsStream::Server(_) => Err(Failure::harness("the dialling end is the server of TLS")),
    }
}

async fn no_tickets(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        let (_, tickets) = visit(&stage, channel, &ready_to_resume(&stage, channel)?).await?;
        expect_equal(&format!("tickets on the {channel} channel"), &0, &tickets)?;
    }
    Ok(())
}

async fn no_resumption(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        let config = ready_to_resume(&stage, channel)?;
        visit(&stage, channel, &config).await?;
        let (kind, _) = visit(&stage, channel, &config).await?;
        let is_full = matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest));
        if !is_full {
            return Err(Failure::unexpected(
                format!("a full handshake on the {channel} channel"),
                format!("{kind:?}"),
            ));
        }
        let name = ServerName::try_from("localhost").map_err(Failure::harness)?;
        let mut third = ClientConnection::new(Arc::clone(&config), name).map_err(Failure::harness)?;
        expect_equal("leave to send early data", &false, &third.early_data().is_some())?;
    }
    Ok(())
}
