//! Handshakes over a stream inside the process: who is asked for what, and what is never spoken.

use std::io;

use antiphon_spec::identity::Identity;
use rustls::{AlertDescription, HandshakeKind, ProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client::TlsStream as Dialled, server::TlsStream as AcceptedStream,
};

use super::*;
use crate::{
    certificate::{CertificateRule, End},
    key::KeyAlgorithm,
    testing::{NOW, Town, channels, node, other_server, server, user},
};

/// What each end has of a handshake.
struct Met {
    dialled: io::Result<Dialled<DuplexStream>>,
    accepted: io::Result<AcceptedStream<DuplexStream>>,
    dialler_found: Outcome,
    acceptor_found: Outcome,
}

/// A handshake of two configurations.
async fn meet(client: (ClientConfig, Outcome), server: (ServerConfig, Outcome)) -> Met {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("dialled.example").unwrap();
    let dial = TlsConnector::from(Arc::new(client.0)).connect(name, ours);
    let accept = TlsAcceptor::from(Arc::new(server.0)).accept(theirs);
    let (dialled, accepted) = tokio::join!(dial, accept);
    Met { dialled, accepted, dialler_found: client.1, acceptor_found: server.1 }
}

fn client(town: &Town, channel: Channel, who: Option<&Identity>) -> (ClientConfig, Outcome) {
    let credentials = who.map(|who| town.credentials(who));
    let demand = Demand::new(channel, End::Accepting);
    client_config(channel, credentials.as_ref(), &town.trust, &town.clock(), demand).unwrap()
}

fn acceptor(town: &Town, port: Port, who: &Identity) -> (ServerConfig, Outcome) {
    server_config(port, &town.credentials(who), &town.trust, &town.clock()).unwrap()
}

#[tokio::test]
async fn every_channel_is_named_and_proved() {
    let town = Town::new(1);
    for (channel, port, dialler, acceptor_is) in channels() {
        let met = meet(client(&town, channel, dialler.as_ref()), acceptor(&town, port, &acceptor_is)).await;
        let (dialled, accepted) = (met.dialled.unwrap(), met.accepted.unwrap());
        let (ours, theirs) = (dialled.get_ref().1, accepted.get_ref().1);
        assert_eq!([ours.alpn_protocol(), theirs.alpn_protocol()], [Some(channel.alpn()); 2]);
        let versions = [ours.protocol_version(), theirs.protocol_version()];
        assert_eq!(versions, [Some(ProtocolVersion::TLSv1_3); 2]);
        assert_eq!([ours.handshake_kind(), theirs.handshake_kind()], [Some(HandshakeKind::Full); 2]);
        let found = met.dialler_found.peer().map(|peer| peer.identity().clone());
        assert_eq!(found, Some(acceptor_is));
        let found = met.acceptor_found.peer().map(|peer| peer.identity().clone());
        assert_eq!(found, dialler);
        assert_eq!(met.acceptor_found.channel(), Some(channel));
        // No name went over the wire for others to read.
        assert_eq!(accepted.get_ref().1.server_name(), None);
    }
}

/// A dialler that names these channels at a port: the channel, or none.
#[track_caller]
fn check_alpn(met: &Met, expected: Option<Channel>) {
    match expected {
        Some(channel) => {
            assert_eq!(met.accepted.as_ref().unwrap().get_ref().1.alpn_protocol(), Some(channel.alpn()));
            assert_eq!(met.acceptor_found.channel(), Some(channel));
        }
        None => {
            assert!(met.accepted.is_err() && met.dialled.is_err());
            assert!(met.acceptor_found.named_no_channel());
            assert!(met.dialler_found.peer().is_none(), "nobody was shown a certificate");
        }
    }
}

#[tokio::test]
async fn a_dialler_names_a_channel_of_the_port() {
    use Channel::{ClientClient, ClientServer, Location, Registration, ServerServer};
    let town = Town::new(1);
    let names = |channels: &[Channel]| channels.iter().map(|c| c.alpn().to_vec()).collect::<Vec<_>>();
    for (offered, port, acceptor_is, expected) in [
        (names(&[]), Port::Authenticated, server(), None),
        (names(&[ClientClient]), Port::Authenticated, server(), None),
        (names(&[Registration]), Port::Authenticated, server(), None),
        (names(&[ClientServer]), Port::Registration, server(), None),
        (names(&[Location]), Port::ClientClient, user(2), None),
        (names(&[ServerServer]), Port::Location, node(), None),
        (vec![b"h2".to_vec()], Port::Authenticated, server(), None),
        (vec![b"antiphon-c2s/2".to_vec()], Port::Authenticated, server(), None),
        // Of several, the first of the port.
        (names(&[ServerServer, ClientServer]), Port::Authenticated, server(), Some(ClientServer)),
        (names(&[ClientClient, ClientServer]), Port::Authenticated, server(), Some(ClientServer)),
    ] {
        let mut config = client(&town, ClientServer, Some(&user(1)));
        config.0.alpn_protocols = offered;
        check_alpn(&meet(config, acceptor(&town, port, &acceptor_is)).await, expected);
    }
}

/// The alert that an end of a stream was sent after its handshake, which in TLS 1.3 may be over before the other's.
async fn alert(stream: &mut Dialled<DuplexStream>) -> Option<AlertDescription> {
    let error = stream.read_u8().await.unwrap_err();
    let error = error.get_ref()?.downcast_ref()?;
    if let rustls::Error::AlertReceived(alert) = error { Some(*alert) } else { None }
}

#[tokio::test]
async fn every_channel_but_registration_asks_for_a_certificate() {
    let town = Town::new(1);
    for (channel, port, _, acceptor_is) in channels() {
        let met = meet(client(&town, channel, None), acceptor(&town, port, &acceptor_is)).await;
        let mut dialled = met.dialled.unwrap();
        if channel == Channel::Registration {
            assert!(met.accepted.is_ok());
        } else {
            let error = met.accepted.unwrap_err().downcast::<rustls::Error>().unwrap();
            assert_eq!(error, rustls::Error::NoCertificatesPresented);
            assert_eq!(alert(&mut dialled).await, Some(AlertDescription::CertificateRequired));
        }
        assert!(met.acceptor_found.peer().is_none() && met.acceptor_found.refused().is_none());
    }
    // Who has a certificate is not asked for it where none is needed.
    let registration = acceptor(&town, Port::Registration, &server());
    let met = meet(client(&town, Channel::Registration, Some(&user(1))), registration).await;
    assert!(met.accepted.unwrap().get_ref().1.peer_certificates().is_none());
}

#[tokio::test]
async fn a_dialler_is_judged_by_the_channel_that_it_named() {
    let (town, strangers) = (Town::new(1), Town::new(2));
    let denied = AlertDescription::AccessDenied;
    for (who, town_of, channel, rule, told) in [
        (server(), &town, Channel::ClientServer, "it is a server's", denied),
        (user(1), &town, Channel::ServerServer, "it is a user's", denied),
        (node(), &town, Channel::ServerServer, "it is a directory node's", denied),
        (
            user(1),
            &strangers,
            Channel::ClientServer,
            "does not lead to the root",
            AlertDescription::UnknownCA,
        ),
    ] {
        let credentials = town_of.credentials(&who);
        let demand = Demand::new(channel, End::Accepting);
        let dialler = client_config(channel, Some(&credentials), &town.trust, &town.clock(), demand).unwrap();
        let met = meet(dialler, acceptor(&town, Port::Authenticated, &server())).await;
        assert!(met.accepted.is_err());
        let refused = met.acceptor_found.refused().unwrap().to_string();
        assert!(refused.contains(rule), "{refused}");
        // CERT-033
        assert_eq!(alert(&mut met.dialled.unwrap()).await, Some(told), "{refused}");
    }
}

#[tokio::test]
async fn who_shows_a_certificate_holds_its_key() {
    // CERT-032, at both ends.
    let town = Town::new(1);
    let stolen = |whose: &Identity| {
        let other = KeyPair::generate(KeyAlgorithm::Ed25519).unwrap();
        Credentials::unchecked(town.credentials(whose).chain().to_vec(), &other).unwrap()
    };
    let demand = Demand::new(Channel::ClientServer, End::Accepting);
    let dialler = stolen(&user(1));
    let dialler =
        client_config(Channel::ClientServer, Some(&dialler), &town.trust, &town.clock(), demand).unwrap();
    let met = meet(dialler, acceptor(&town, Port::Authenticated, &server())).await;
    assert!(met.accepted.is_err());
    assert_eq!(alert(&mut met.dialled.unwrap()).await, Some(AlertDescription::DecryptError));
    let accepting =
        server_config(Port::Authenticated, &stolen(&server()), &town.trust, &town.clock()).unwrap();
    let met = meet(client(&town, Channel::ClientServer, Some(&user(1))), accepting).await;
    assert!(met.dialled.is_err() && met.accepted.is_err());
}

#[tokio::test]
async fn a_dialler_takes_only_whom_it_dialled() {
    let (town, strangers) = (Town::new(1), Town::new(2));
    let demand = || Demand::new(Channel::ClientServer, End::Accepting);
    let other_key = Demand::key(demand(), antiphon_spec::identity::KeyHash([0; 32]));
    for (acceptor_town, acceptor_is, demand, good) in [
        (&town, server(), demand().identity(server()), true),
        (&town, other_server(), demand().identity(server()), false),
        (&town, node(), demand(), false),
        (&town, user(2), demand(), false),
        (&town, server(), other_key, false),
        (&strangers, server(), demand(), false),
    ] {
        let credentials = town.credentials(&user(1));
        let dialler =
            client_config(Channel::ClientServer, Some(&credentials), &town.trust, &town.clock(), demand)
                .unwrap();
        let met = meet(dialler, acceptor(acceptor_town, Port::Authenticated, &acceptor_is)).await;
        assert_eq!(met.dialled.is_ok(), good, "{acceptor_is:?}");
        assert_eq!(met.dialler_found.refused().is_none(), good);
        // A dialler that refuses shows nobody its own certificate.
        assert_eq!(met.acceptor_found.peer().is_some(), good);
    }
}

#[tokio::test]
async fn a_certificate_is_judged_at_the_time_of_the_handshake() {
    let town = Town::new(1);
    for (now, good) in
        [(NOW.0 - 60, true), (NOW.0 - 61, false), (NOW.0 + 86_340, true), (NOW.0 + 86_341, false)]
    {
        town.manual_clock.set(Timestamp(now));
        let dialler = client(&town, Channel::ClientServer, Some(&user(1)));
        let met = meet(dialler, acceptor(&town, Port::Authenticated, &server())).await;
        assert_eq!(met.dialled.is_ok(), good, "{now}");
        let rule = met.dialler_found.refused().map(|refused| refused.rule.clone());
        assert_eq!(
            matches!(rule, Some(CertificateRule::Expired(_) | CertificateRule::NotYetValid(_))),
            !good
        );
    }
}

/// The proof of a key: a certificate that was stolen without it.
#[tokio::test]
async fn a_certificate_without_its_key_proves_nobody() {
    let town = Town::new(1);
    let (chain, _) = town.certificates(&user(1));
    let thief = KeyPair::from_seed(&[99; 32]).unwrap();
    assert!(matches!(Credentials::new(chain.clone(), &thief), Err(TlsError::OtherKey)));
    let stolen = Credentials::unchecked(chain, &thief).unwrap();
    let demand = Demand::new(Channel::ClientServer, End::Accepting);
    let dialler =
        client_config(Channel::ClientServer, Some(&stolen), &town.trust, &town.clock(), demand).unwrap();
    let met = meet(dialler, acceptor(&town, Port::Authenticated, &server())).await;
    assert!(met.accepted.is_err());
    let (chain, _) = town.certificates(&server());
    let stolen = Credentials::unchecked(chain, &thief).unwrap();
    let impostor = server_config(Port::Authenticated, &stolen, &town.trust, &town.clock()).unwrap();
    let met = meet(client(&town, Channel::ClientServer, Some(&user(1))), impostor).await;
    assert!(met.dialled.is_err());
}

#[tokio::test]
async fn nothing_is_resumed() {
    let town = Town::new(1);
    let (mut eager, outcome) = client(&town, Channel::ClientServer, Some(&user(1)));
    eager.resumption = Resumption::in_memory_sessions(16);
    eager.enable_early_data = true;
    for _ in 0..3 {
        let found = (eager.clone(), outcome.clone());
        let met = meet(found, acceptor(&town, Port::Authenticated, &server())).await;
        let (mut dialled, mut accepted) = (met.dialled.unwrap(), met.accepted.unwrap());
        accepted.write_all(b"greeting").await.unwrap();
        accepted.shutdown().await.unwrap();
        let mut heard = Vec::new();
        dialled.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"greeting");
        assert_eq!(dialled.get_ref().1.tls13_tickets_received(), 0);
        assert_eq!(accepted.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        assert!(met.acceptor_found.peer().is_some(), "every handshake judges a certificate");
    }
}

#[tokio::test]
async fn tls_is_of_version_1_3() {
    // A hello of a dialler that knows TLS 1.2 alone: P-256, ECDSA, AES.
    let extensions = ["000a00040002 0017", "000b00020100", "000d00040002 0403"].concat().replace(' ', "");
    let body = [
        "0303",
        &"11".repeat(32),
        "00",
        "0002c02b",
        "0100",
        &format!("{:04x}", extensions.len() / 2),
        &extensions,
    ];
    let body = hex::decode(body.concat()).unwrap();
    let mut hello = vec![
        0x16,
        3,
        1,
        0,
        u8::try_from(body.len() + 4).unwrap(),
        1,
        0,
        0,
        u8::try_from(body.len()).unwrap(),
    ];
    hello.extend(body);
    let town = Town::new(1);
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let config = Arc::new(acceptor(&town, Port::Authenticated, &server()).0);
    let dial = async {
        ours.write_all(&hello).await.unwrap();
        let mut answer = [0; 7];
        ours.read_exact(&mut answer).await.unwrap();
        answer
    };
    let (answer, accepted) = tokio::join!(dial, TlsAcceptor::from(config).accept(theirs));
    assert!(accepted.is_err());
    // The alert protocol_version (70), which is fatal.
    assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, 70]);
    let dialler = client(&town, Channel::ClientServer, None).0;
    assert!(dialler.crypto_provider().cipher_suites.iter().all(|suite| suite.tls13().is_some()));
}

#[test]
fn credentials_need_a_certificate_and_show_no_key() {
    let town = Town::new(1);
    let (chain, key) = town.certificates(&user(1));
    assert!(matches!(Credentials::new(vec![], &key), Err(TlsError::NoCertificate)));
    let credentials = Credentials::new(chain.clone(), &key).unwrap();
    assert_eq!(credentials.chain(), chain);
    assert_eq!(format!("{credentials:?}"), "Credentials { certificates: 2, .. }");
}

/// A clock that has no time to show.
#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        None
    }
}

#[test]
fn a_clock_that_fails_is_past_every_certificate() {
    let clock: Clock = Arc::new(Stopped);
    assert_eq!(now(&clock), Timestamp(u64::MAX));
    assert_eq!(now(&Town::new(1).clock()), NOW);
}
