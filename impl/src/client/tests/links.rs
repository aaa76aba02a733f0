//! What a client does with links that are not as they should be. The hostile end is written out by hand.

use antiphon_protocol::connection::{DiallingEnd, Ended};
use antiphon_protocol::signed::session_id;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, KeyHash},
    message::{
        client_client::{
            Admit, Cancel, ClientMessage, Complete, InvitationBody, InvitationMessage, Invite, SessionBody,
            SessionMessage,
        },
        common::{Ping, Pong},
    },
    session::{EpochHash, EpochNumber, Nonce, Origin, SessionId},
    signed::Signed,
};

use tokio::net::TcpStream;

use super::world::{User, World};
use crate::client::{ClientEvent, Command, SessionName};

/// A link to the user by somebody else with an account, who logs out first.
async fn link(world: &World, name: &'static str, to: &User) -> DiallingEnd<TcpStream, ClientMessage> {
    let whom = Identity::User(to.handle());
    let (_, connection) = world.dialler(name).dial::<ClientMessage>(to.address, &whom, None).await.unwrap();
    connection
}

fn origin(nonce: u8) -> Origin {
    Origin { key: KeyHash([1; 32]), nonce: Nonce([nonce; 16]) }
}

fn invite(nonce: u8) -> (SessionName, ClientMessage) {
    let origin = origin(nonce);
    let session = session_id(&origin);
    let body = InvitationBody::Invite(Invite { origin, lifetime: 60 });
    (SessionName(session), ClientMessage::Invitation(InvitationMessage { body, session }))
}

fn said(session: SessionId, body: SessionBody) -> ClientMessage {
    let (chain, epoch) = (EpochHash([0; 32]), EpochNumber(0));
    ClientMessage::Session(SessionMessage { body, chain, epoch, session })
}

#[track_caller]
fn check_closed(ended: Result<ClientMessage, Ended>, expected: ErrorCode) {
    assert!(matches!(&ended, Err(Ended::Error(code)) if *code == expected), "{ended:?}");
}

/// Two users, of whom only the first is there; the second has left an identity behind.
async fn pair() -> (World, User) {
    let world = World::new().await;
    let alice = world.user("alice", &world.home1).await;
    world.user("mallory", &world.home2).await.quits().await;
    (world, alice)
}

#[tokio::test]
async fn the_first_message_decides() {
    let (world, mut alice) = pair().await;
    let own = alice.create().await;
    let ticket = Signed::from_bytes(vec![0xa0]);
    let (_, good) = invite(1);
    let ClientMessage::Invitation(InvitationMessage { body, .. }) = good else { panic!() };
    let forged = InvitationMessage { body, session: own.0 };
    let forged = InvitationMessage { session: SessionId([7; 32]), ..forged };
    let cancel = InvitationMessage { body: InvitationBody::Cancel(Cancel {}), session: own.0 };
    for (first, expected) in [
        (ClientMessage::Invitation(forged), ErrorCode::SessionIdForged),
        (ClientMessage::Invitation(cancel), ErrorCode::UnexpectedMessage),
        (said(SessionId([9; 32]), SessionBody::Complete(Complete {})), ErrorCode::NoSuchSession),
        (said(own.0, SessionBody::Complete(Complete {})), ErrorCode::Forbidden),
    ] {
        let mut hostile = link(&world, "mallory", &alice).await;
        hostile.send(&first).await.unwrap();
        check_closed(hostile.receive().await, expected);
    }
    // A ticket that is none, for an epoch whose hash is another one.
    let mut hostile = link(&world, "mallory", &alice).await;
    hostile.send(&said(own.0, SessionBody::Admit(Admit { ticket }))).await.unwrap();
    check_closed(hostile.receive().await, ErrorCode::Fork);
    let members = alice.ask(Command::Members { session: own }).await;
    assert!(matches!(members, ClientEvent::Members { view } if view.number == 0), "the session goes on");
}

#[tokio::test]
async fn a_ping_is_answered_before_anything_else() {
    let (world, alice) = pair().await;
    let mut peer = link(&world, "mallory", &alice).await;
    peer.send(&ClientMessage::Ping(Ping { number: 77 })).await.unwrap();
    assert_eq!(peer.receive().await.unwrap(), ClientMessage::Pong(Pong { number: 77 }));
    peer.send(&ClientMessage::Ping(Ping { number: 78 })).await.unwrap();
    assert_eq!(peer.receive().await.unwrap(), ClientMessage::Pong(Pong { number: 78 }));
}

#[tokio::test]
async fn a_second_invitation_to_one_session_is_rejected() {
    let (world, mut alice) = pair().await;
    let (session, message) = invite(3);
    let mut first = link(&world, "mallory", &alice).await;
    first.send(&message).await.unwrap();
    assert_eq!(alice.is_invited().await.0, session);
    let mut second = link(&world, "mallory", &alice).await;
    second.send(&message).await.unwrap();
    let answer = second.receive().await.unwrap();
    assert!(
        matches!(
            &answer,
            ClientMessage::Invitation(InvitationMessage { body: InvitationBody::Reject(_), session: of })
                if *of == session.0
        ),
        "{answer:?}"
    );
    assert!(matches!(second.receive().await, Err(Ended::Done)));
    // The first one is still open, and ends when it is taken back.
    let cancel = InvitationMessage { body: InvitationBody::Cancel(Cancel {}), session: session.0 };
    first.send(&ClientMessage::Invitation(cancel)).await.unwrap();
    assert_eq!(alice.ends(session).await, "invitation-over");
}

#[tokio::test]
async fn one_inviter_cannot_fill_the_table() {
    let (world, mut alice) = pair().await;
    let mut open = Vec::new();
    for nonce in 0..32 {
        let (session, message) = invite(nonce);
        let mut inviter = link(&world, "mallory", &alice).await;
        inviter.send(&message).await.unwrap();
        assert_eq!(alice.is_invited().await.0, session);
        open.push(inviter);
    }
    let mut one_more = link(&world, "mallory", &alice).await;
    one_more.send(&invite(99).1).await.unwrap();
    let answer = one_more.receive().await.unwrap();
    assert!(
        matches!(
            &answer,
            ClientMessage::Invitation(InvitationMessage { body: InvitationBody::Reject(_), .. })
        ),
        "{answer:?}"
    );
    alice.create().await;
}

#[tokio::test]
async fn a_message_of_another_session_ends_the_link() {
    let (world, mut alice) = pair().await;
    let (session, message) = invite(5);
    let mut inviter = link(&world, "mallory", &alice).await;
    inviter.send(&message).await.unwrap();
    alice.is_invited().await;
    let cancel = InvitationMessage { body: InvitationBody::Cancel(Cancel {}), session: SessionId([9; 32]) };
    inviter.send(&ClientMessage::Invitation(cancel)).await.unwrap();
    check_closed(inviter.receive().await, ErrorCode::NoSuchSession);
    assert_eq!(alice.ends(session).await, "invitation-over");
}
