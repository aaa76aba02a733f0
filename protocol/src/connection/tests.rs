//! Connections over a stream inside the process, under a clock that goes on when everybody waits.

use antiphon_spec::{
    identity::{ContactAddress, Identity},
    limits::GREETING_DEADLINE,
    message::{
        client_client::{ClientMessage, Content, Message, SessionBody, SessionMessage},
        client_server::{FromServer, ToServer},
        common::{Error, Goodbye, Greeting, PROTOCOL_VERSION, Ping, Pong},
        location::ToDirectoryNode,
        registration::ToRegistrar,
        server_server::ToPeerServer,
    },
    session::{EpochHash, EpochNumber, SessionId},
};
use futures::poll;
use rustls::AlertDescription;
use tokio::{
    io::DuplexStream,
    net::TcpListener,
    time::{Instant, timeout},
};

use super::*;
use crate::{
    cbor,
    certificate::{CertificateRule, VerifiedPeer},
    channel::Channel,
    testing::{NOW, Town, other_server, server, user},
    tls::Port,
};

/// Two ends of a plain stream with room for so many bytes: the one that dialled, and the one that accepted.
type Ends = (Connection<DuplexStream, ToServer, FromServer>, Connection<DuplexStream, FromServer, ToServer>);

fn pair(room: usize) -> Ends {
    let (ours, theirs) = tokio::io::duplex(room);
    (Connection::over(ours), Connection::over(theirs))
}

fn ping(number: u64) -> ToServer {
    ToServer::Ping(Ping { number })
}

fn greeting(version: u64) -> FromServer {
    FromServer::Greeting(Greeting { version })
}

fn frame(message: &impl serde::Serialize) -> Vec<u8> {
    let item = cbor::encode(message).unwrap();
    [&u32::try_from(item.len()).unwrap().to_be_bytes(), &item[..]].concat()
}

/// How a connection ended, and the code that the peer is told or has told.
fn shown(ended: &Ended) -> (&'static str, Option<ErrorCode>) {
    match ended {
        Ended::Done => ("done", None),
        Ended::Error(code) => ("error", Some(*code)),
        Ended::Lost(_) => ("lost", None),
        Ended::Violation(violation) => ("violation", Some(violation.code())),
    }
}

#[tokio::test]
async fn messages_come_in_order_both_ways() {
    let (mut dialled, mut accepted) = pair(4096);
    for number in 0..5 {
        dialled.send(&ping(number)).await.unwrap();
        accepted.send(&FromServer::Pong(Pong { number })).await.unwrap();
    }
    for number in 0..5 {
        assert_eq!(accepted.receive().await.unwrap(), ping(number));
        assert_eq!(dialled.receive().await.unwrap(), FromServer::Pong(Pong { number }));
    }
}

/// What an accepting end receives from bytes and the end of the stream: so many messages, and how it ends.
async fn check_end(bytes: &[u8], messages: usize, expected: (&str, Option<ErrorCode>)) {
    let (mut dialled, mut accepted) = pair(128 * 1024);
    dialled.writer().send_unchecked_bytes(bytes).await.unwrap();
    drop(dialled);
    let mut received = 0;
    let ended = loop {
        match accepted.receive().await {
            Ok(_) => received += 1,
            Err(ended) => break ended,
        }
    };
    assert_eq!((received, shown(&ended)), (messages, expected), "{}: {ended}", hex::encode(bytes));
}

#[tokio::test]
async fn a_connection_ends_in_one_of_four_ways() {
    let (message, bye) = (frame(&ping(1)), frame(&ToServer::Goodbye(Goodbye {})));
    let error = frame(&ToServer::Error(Error { code: ErrorCode::Deadline }));
    let malformed = ("violation", Some(ErrorCode::Malformed));
    let length = ("violation", Some(ErrorCode::FrameLength));
    let unexpected = ("violation", Some(ErrorCode::UnexpectedMessage));
    check_end(&[], 0, ("lost", None)).await;
    check_end(&message, 1, ("lost", None)).await;
    check_end(&bye, 0, ("done", None)).await;
    check_end(&[&message[..], &message, &bye].concat(), 2, ("done", None)).await;
    check_end(&[&message[..], &error].concat(), 1, ("error", Some(ErrorCode::Deadline))).await;
    // Nothing comes behind a goodbye, not even another one.
    check_end(&[&bye[..], &message].concat(), 0, unexpected).await;
    check_end(&[&bye[..], &bye].concat(), 0, unexpected).await;
    check_end(&[&bye[..], &[0, 0]].concat(), 0, ("lost", None)).await;
    // Wherever the stream is cut inside a frame.
    for cut in 1..message.len() {
        check_end(&message[..cut], 0, ("lost", None)).await;
    }
    check_end(&[0; 4], 0, length).await;
    check_end(&[0, 1, 0, 1], 0, length).await;
    check_end(&[0xff; 4], 0, length).await;
    check_end(&[&message[..], &[0; 4]].concat(), 1, length).await;
    check_end(&[0, 0, 0, 1, 0xf6], 0, malformed).await;
    check_end(&[0, 0, 0, 1, 0xbf], 0, ("violation", Some(ErrorCode::NotDeterministic))).await;
    // A message of the other direction, and one that only another channel has.
    check_end(&frame(&greeting(PROTOCOL_VERSION)), 0, malformed).await;
    let admitted = SessionBody::Admitted(antiphon_spec::message::client_client::Admitted {});
    check_end(&frame(&said(admitted)), 0, malformed).await;
}

fn said(body: SessionBody) -> ClientMessage {
    let (chain, session) = (EpochHash([0; 32]), SessionId([0; 32]));
    ClientMessage::Session(SessionMessage { body, chain, epoch: EpochNumber(0), session })
}

/// What a dialling end makes of the first bytes.
async fn check_greeting(bytes: &[u8], expected: Result<(), (&str, Option<ErrorCode>)>) {
    let (mut dialled, mut accepted) = pair(4096);
    accepted.writer().send_unchecked_bytes(bytes).await.unwrap();
    drop(accepted);
    let found = dialled.reader().receive_greeting().await;
    assert_eq!(found.as_ref().map_err(shown).copied(), expected, "{found:?}");
}

#[tokio::test]
async fn a_greeting_comes_first_and_once() {
    let unexpected = Err(("violation", Some(ErrorCode::UnexpectedMessage)));
    check_greeting(&frame(&greeting(PROTOCOL_VERSION)), Ok(())).await;
    let malformed = Err(("violation", Some(ErrorCode::Malformed)));
    check_greeting(&frame(&greeting(PROTOCOL_VERSION + 1)), malformed).await;
    check_greeting(&frame(&greeting(0)), malformed).await;
    check_greeting(&frame(&FromServer::Ping(Ping { number: 1 })), unexpected).await;
    check_greeting(&frame(&FromServer::Goodbye(Goodbye {})), unexpected).await;
    let shutting_down = FromServer::Error(Error { code: ErrorCode::ShuttingDown });
    check_greeting(&frame(&shutting_down), Err(("error", Some(ErrorCode::ShuttingDown)))).await;
    check_greeting(&frame(&ping(1))[..6], Err(("lost", None))).await;
    check_greeting(&[], Err(("lost", None))).await;
    check_greeting(&[0, 0, 0, 1, 0xf6], malformed).await;
    let (mut dialled, mut accepted) = pair(4096);
    accepted.send(&greeting(PROTOCOL_VERSION)).await.unwrap();
    accepted.send(&greeting(PROTOCOL_VERSION)).await.unwrap();
    dialled.reader().receive_greeting().await.unwrap();
    let again = dialled.receive().await.unwrap_err();
    assert_eq!(shown(&again), ("violation", Some(ErrorCode::UnexpectedMessage)));
}

/// The longest frame that comes through on a channel, and the next one.
async fn check_cap<M: DiallerMessage>(cap: usize) {
    for (length, through) in [(cap, true), (cap + 1, false)] {
        let (ours, theirs) = tokio::io::duplex(128 * 1024);
        let mut dialled = Connection::<_, M, M::Answer>::over(ours);
        let mut accepted = Connection::<_, M::Answer, M>::over(theirs);
        let item = vec![0; length];
        dialled.writer().send_unchecked_frame(&item).await.unwrap();
        let frame = accepted.reader().receive_frame().await;
        assert_eq!(frame.is_ok_and(|frame| frame.is_some_and(|frame| frame == item)), through, "{length}");
        // The writer keeps to what the reader demands.
        assert_eq!(dialled.send_encoded(item.into()).await.is_ok(), through, "{length}");
    }
}

#[tokio::test]
async fn every_channel_has_its_cap() {
    check_cap::<ToRegistrar>(8 * 1024).await;
    check_cap::<ToServer>(64 * 1024).await;
    check_cap::<ToPeerServer>(64 * 1024).await;
    check_cap::<ClientMessage>(32 * 1024).await;
    check_cap::<ToDirectoryNode>(64 * 1024).await;
}

#[tokio::test]
async fn a_message_above_the_cap_is_not_sent() {
    let text = |bytes| {
        let content = Content(vec![b'x'; bytes].into());
        said(SessionBody::Message(Message { number: 1, content, media_type: "text/plain".into() }))
    };
    let head = encode_message(&text(1_000)).unwrap().len() - 1_000;
    assert_eq!(encode_message(&text(32 * 1024 - head)).unwrap().len(), 32 * 1024);
    let error = encode_message(&text(32 * 1024 - head + 1)).unwrap_err();
    assert_eq!(error.to_string(), "the message has 32769 bytes, the client-to-client channel allows 32768");
}

#[tokio::test]
async fn a_slow_reader_holds_its_writer_back() {
    let (mut dialled, mut accepted) = pair(1024);
    let many: Vec<_> = (0..200).map(ping).collect();
    let mut sending = Box::pin(async {
        for message in &many {
            dialled.send(message).await.unwrap();
        }
    });
    assert!(poll!(sending.as_mut()).is_pending(), "more than the stream has room for");
    let receiving = async {
        for message in &many {
            assert_eq!(accepted.receive().await.unwrap(), *message);
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn what_waits_is_written_together() {
    let (mut dialled, mut accepted) = pair(4096);
    let item = encode_message(&ping(7)).unwrap();
    for _ in 0..3 {
        dialled.writer().feed_encoded(item.clone()).await.unwrap();
    }
    {
        let mut receiving = Box::pin(accepted.receive());
        assert!(poll!(receiving.as_mut()).is_pending(), "nothing was written yet");
    }
    dialled.writer().flush().await.unwrap();
    for _ in 0..3 {
        assert_eq!(accepted.receive().await.unwrap(), ping(7));
    }
}

#[tokio::test]
async fn a_receive_that_is_given_up_loses_nothing() {
    let (mut dialled, mut accepted) = pair(4096);
    let bytes = frame(&ping(7));
    for byte in &bytes[..bytes.len() - 1] {
        dialled.writer().send_unchecked_bytes(&[*byte]).await.unwrap();
        let mut receiving = Box::pin(accepted.receive());
        assert!(poll!(receiving.as_mut()).is_pending());
    }
    dialled.writer().send_unchecked_bytes(&bytes[bytes.len() - 1..]).await.unwrap();
    assert_eq!(accepted.receive().await.unwrap(), ping(7));
}

type Dialled = Result<(VerifiedPeer, DiallingEnd<DuplexStream, ToServer>), DialError>;

/// Somebody dials `whom` on the client-to-server channel and meets this server.
async fn meet(town: &Town, who: Option<&Identity>, whom: &Identity, port: Port) -> (Dialled, AcceptedEnd) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) = (town.dialler(who), town.acceptor(port, &server()));
    let accept = async { acceptor.accept(theirs).await?.greet::<ToServer>().await };
    tokio::join!(dialler.dial_over::<ToServer, _>(ours, whom, None), accept)
}

type AcceptedEnd = Result<AcceptingEnd<DuplexStream, ToServer>, AcceptError>;

#[tokio::test(start_paused = true)]
async fn two_ends_know_each_other_and_talk() {
    let town = Town::new(1);
    let (dialled, accepted) = meet(&town, Some(&user(1)), &server(), Port::Authenticated).await;
    let ((peer, mut dialled), mut accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(peer.identity(), &server());
    dialled.send(&ping(1)).await.unwrap();
    assert_eq!(accepted.receive().await.unwrap(), ping(1));
    // Goodbye and close_notify; the other end may still answer.
    let (mut reader, writer) = dialled.split();
    writer.goodbye().await.unwrap();
    assert_eq!(shown(&accepted.receive().await.unwrap_err()), ("done", None));
    accepted.goodbye().await.unwrap();
    assert_eq!(shown(&reader.receive().await.unwrap_err()), ("done", None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_just_ends_is_lost_over_tls_too() {
    let town = Town::new(1);
    for silent in [true, false] {
        let (dialled, accepted) = meet(&town, Some(&user(1)), &server(), Port::Authenticated).await;
        let ((_, dialled), mut accepted) = (dialled.unwrap(), accepted.unwrap());
        if silent {
            drop(dialled);
        } else {
            // close_notify without a goodbye says that nobody cut the stream, not that all was said.
            dialled.split().1.close().await.unwrap();
        }
        assert_eq!(shown(&accepted.receive().await.unwrap_err()), ("lost", None));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_why() {
    let town = Town::new(1);
    let (dialled, accepted) = meet(&town, Some(&user(1)), &server(), Port::Authenticated).await;
    let ((_, mut dialled), accepted) = (dialled.unwrap(), accepted.unwrap());
    accepted.close_with_error(ErrorCode::ShuttingDown).await.unwrap();
    assert_eq!(shown(&dialled.receive().await.unwrap_err()), ("error", Some(ErrorCode::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_the_place_of_the_greeting() {
    let town = Town::new(1);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let accept =
        async { acceptor.accept(theirs).await.unwrap().refuse::<ToServer>(ErrorCode::LimitReached).await };
    let whom = server();
    let (dialled, refused) = tokio::join!(dialler.dial_over::<ToServer, _>(ours, &whom, None), accept);
    refused.unwrap();
    assert_eq!(dialled.unwrap_err().code(), Some(ErrorCode::LimitReached));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_handshake_or_a_greeting_for_long() {
    let town = Town::new(1);
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    // Nobody answers, and nobody dials.
    let (ours, theirs) = tokio::io::duplex(1024);
    let begin = Instant::now();
    let dialled = dialler.dial_over::<ToServer, _>(ours, &server(), None).await;
    assert!(matches!(dialled, Err(DialError::Deadline)));
    assert_eq!(begin.elapsed(), GREETING_DEADLINE);
    drop(theirs);
    let (_ours, theirs) = tokio::io::duplex(1024);
    let begin = Instant::now();
    assert!(matches!(acceptor.accept(theirs).await, Err(AcceptError::Deadline)));
    assert_eq!(begin.elapsed(), GREETING_DEADLINE);
    // A handshake is not yet a connection: without a greeting the dialler has none.
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let begin = Instant::now();
    let whom = server();
    let dial = dialler.dial_over::<ToServer, _>(ours, &whom, None);
    let (dialled, accepted) = tokio::join!(dial, acceptor.accept(theirs));
    assert!(matches!(dialled, Err(DialError::Deadline)));
    assert_eq!(begin.elapsed(), GREETING_DEADLINE);
    assert_eq!(accepted.unwrap().peer().map(VerifiedPeer::identity), Some(&user(1)));
}

#[tokio::test(start_paused = true)]
async fn a_dialler_that_does_not_read_is_not_waited_for() {
    let town = Town::new(1);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let whom = server();
    let dial = dialler.dial_over::<ToServer, _>(ours, &whom, None);
    let accept = async {
        let mut accepted = acceptor.accept(theirs).await.unwrap().ungreeted::<ToServer>().unwrap();
        // The stream is full before anybody greets.
        let filling = async { while accepted.writer().send_unchecked_bytes(&[0; 1024]).await.is_ok() {} };
        timeout(GREETING_DEADLINE * 2, filling).await
    };
    let (dialled, filled) = tokio::join!(dial, accept);
    // What came was an empty frame, which the dialler does not take for a greeting.
    assert_eq!(filled, Ok(()));
    let Err(DialError::Ended(ended)) = dialled else { panic!("{dialled:?}") };
    assert_eq!(shown(&ended), ("violation", Some(ErrorCode::FrameLength)));
}

#[tokio::test(start_paused = true)]
async fn a_dialler_tells_whoever_greets_wrong() {
    let town = Town::new(1);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let accept = async {
        let mut accepted = acceptor.accept(theirs).await.unwrap().ungreeted::<ToServer>().unwrap();
        accepted.send(&FromServer::Ping(Ping { number: 1 })).await.unwrap();
        accepted.receive().await
    };
    let whom = server();
    let (dialled, heard) = tokio::join!(dialler.dial_over::<ToServer, _>(ours, &whom, None), accept);
    assert!(matches!(dialled, Err(DialError::Ended(Ended::Violation(Violation::Greeting)))));
    assert_eq!(shown(&heard.unwrap_err()), ("error", Some(ErrorCode::UnexpectedMessage)));
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_learns_it_at_both_ends() {
    let (town, strangers) = (Town::new(1), Town::new(2));
    // The dialler refuses the acceptor: another server than the one it dialled.
    let (dialled, accepted) = meet(&town, Some(&user(1)), &other_server(), Port::Authenticated).await;
    let Err(DialError::CertificateRefused(refused)) = dialled else { panic!("{dialled:?}") };
    assert_eq!(refused.rule, CertificateRule::WrongPeer(other_server()));
    assert!(matches!(accepted, Err(AcceptError::Alert(_))), "{accepted:?}");
    // The acceptor refuses the dialler: a server where users dial.
    let (dialled, accepted) = meet(&town, Some(&server()), &server(), Port::Authenticated).await;
    assert!(matches!(dialled, Err(DialError::Alert(_))), "{dialled:?}");
    let Err(AcceptError::CertificateRefused(refused)) = accepted else { panic!("{accepted:?}") };
    assert!(matches!(refused.rule, CertificateRule::WrongRole { .. }), "{refused}");
    // A dialler without a certificate.
    let (dialled, accepted) = meet(&town, None, &server(), Port::Authenticated).await;
    assert!(matches!(dialled, Err(DialError::Alert(AlertDescription::CertificateRequired))), "{dialled:?}");
    let Err(AcceptError::CertificateRefused(refused)) = accepted else { panic!("{accepted:?}") };
    assert_eq!(refused.rule, CertificateRule::Missing);
    // Two that trust different roots: the dialler notices first.
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) =
        (strangers.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let whom = server();
    let dial = dialler.dial_over::<ToServer, _>(ours, &whom, None);
    let (dialled, accepted) = tokio::join!(dial, acceptor.accept(theirs));
    let Err(DialError::CertificateRefused(refused)) = dialled else { panic!("{dialled:?}") };
    assert_eq!(refused.rule, CertificateRule::UnknownRoot);
    assert!(matches!(accepted, Err(AcceptError::Alert(AlertDescription::UnknownCA))), "{accepted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_ended_is_no_credential() {
    let town = Town::new(1);
    town.manual_clock.set(NOW.after(std::time::Duration::from_secs(2 * 24 * 3600)));
    let (dialled, _) = meet(&town, Some(&user(1)), &server(), Port::Authenticated).await;
    let Err(DialError::CertificateRefused(refused)) = dialled else { panic!("{dialled:?}") };
    assert!(matches!(refused.rule, CertificateRule::Expired(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_port_speaks_its_channels_and_no_other() {
    let town = Town::new(1);
    let (dialled, accepted) = meet(&town, None, &server(), Port::Registration).await;
    assert!(matches!(dialled, Err(DialError::Alert(_) | DialError::Handshake(_))), "{dialled:?}");
    assert!(matches!(accepted, Err(AcceptError::NoChannel)), "{accepted:?}");
    // This end was about to speak the messages of another channel than the dialler chose.
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let whom = server();
    let accept = async { acceptor.accept(theirs).await.unwrap().greet::<ToPeerServer>().await };
    let (_, greeted) = tokio::join!(dialler.dial_over::<ToServer, _>(ours, &whom, None), accept);
    let other = AcceptError::OtherChannel { chosen: Channel::ClientServer, spoken: Channel::ServerServer };
    assert_eq!(greeted.unwrap_err().to_string(), other.to_string());
}

#[tokio::test]
async fn an_address_is_dialled_and_may_have_nobody() {
    let town = Town::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ContactAddress(listener.local_addr().unwrap());
    let (dialler, acceptor) = (town.dialler(Some(&user(1))), town.acceptor(Port::Authenticated, &server()));
    let accept = async {
        acceptor.accept(listener.accept().await.unwrap().0).await.unwrap().greet::<ToServer>().await
    };
    let whom = server();
    let (dialled, accepted) = tokio::join!(dialler.dial::<ToServer>(address, &whom, None), accept);
    assert_eq!(dialled.unwrap().0.identity(), &server());
    drop((accepted.unwrap(), listener));
    let error = dialler.dial::<ToServer>(address, &whom, None).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
    assert_eq!(error.to_string(), format!("no connection to {address}"));
}
