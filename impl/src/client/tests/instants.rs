//! Instant messages between two clients, and from an end that is written out by hand.

use antiphon_protocol::connection::Ended;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, UserHandle},
    message::client_client::{ClientMessage, Content, Instant, InstantId, InstantReceived},
    policy::Verdict,
};

use super::world::{User, World};
use crate::client::{ClientEvent, Command, Refusal};

impl User {
    async fn says_to(&mut self, handle: &UserHandle, text: &str) -> u64 {
        let answer = self.ask(Command::Instant { handle: handle.clone(), text: text.to_owned() }).await;
        let ClientEvent::InstantTaken { message } = answer else { panic!("{answer:?}") };
        message
    }

    /// The next word on a message of the user's own: whether it was delivered.
    async fn learns(&mut self, which: u64) -> bool {
        self.wait("what became of an instant message", |output| match &output.event {
            ClientEvent::InstantDelivered { message, .. } if *message == which => Some(true),
            ClientEvent::InstantFailed { message, .. } if *message == which => Some(false),
            _ => None,
        })
        .await
    }

    /// The next instant message, and who sent it.
    async fn is_told(&mut self) -> (UserHandle, String) {
        self.wait("an instant message", |output| match &output.event {
            ClientEvent::Instant { from, text: Some(text), .. } => Some((from.clone(), text.clone())),
            _ => None,
        })
        .await
    }

    async fn denies_all(&mut self) {
        let (allow, deny, default) = (vec![], vec![], Verdict::Deny);
        let answer = self.ask(Command::SetPreferences { allow, deny, default }).await;
        assert!(matches!(answer, ClientEvent::PreferencesSet { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn a_message_outside_sessions_is_delivered_or_not() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home2).await;
    let (a, b) = (alice.handle(), bob.handle());
    let first = alice.says_to(&b, "are you there?").await;
    let second = alice.says_to(&b, "hello?").await;
    let mut heard = [bob.is_told().await, bob.is_told().await];
    heard.sort();
    assert_eq!(heard, ["are you there?", "hello?"].map(|text| (a.clone(), text.to_owned())));
    assert!(alice.learns(first).await && alice.learns(second).await);
    let refused = alice.ask(Command::Instant { handle: a.clone(), text: "me".to_owned() }).await;
    assert!(matches!(refused, ClientEvent::Refused { code: Refusal::Protocol(ErrorCode::Forbidden), .. }));
    let long = Command::Instant { handle: b.clone(), text: "a".repeat(16_385) };
    let refused = alice.ask(long).await;
    assert!(matches!(refused, ClientEvent::Refused { code: Refusal::Protocol(ErrorCode::LimitReached), .. }));
    bob.denies_all().await;
    let denied = alice.says_to(&b, "and now?").await;
    assert!(!alice.learns(denied).await);
    bob.quits().await;
    let absent = alice.says_to(&b, "gone").await;
    assert!(!alice.learns(absent).await);
    alice.quits().await;
}

fn instant(id: u8, text: &str) -> ClientMessage {
    let content = Content(text.as_bytes().into());
    ClientMessage::Instant(Instant { id: InstantId([id; 16]), content, media_type: "text/plain".into() })
}

#[tokio::test]
async fn a_message_that_comes_again_is_acknowledged_and_not_shown() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mallory = world.user("mallory", &world.home2).await;
    let m = mallory.handle();
    mallory.quits().await;
    let whom = Identity::User(alice.handle());
    let dial = async || {
        let dialler = world.dialler("mallory");
        dialler.dial::<ClientMessage>(alice.address, &whom, None).await.unwrap().1
    };
    let [mut first, mut again, mut other] = [dial().await, dial().await, dial().await];
    for (link, id, text) in [(&mut first, 1, "once"), (&mut again, 1, "once"), (&mut other, 2, "twice")] {
        link.send(&instant(id, text)).await.unwrap();
    }
    let mut heard = [alice.is_told().await, alice.is_told().await];
    heard.sort();
    assert_eq!(heard, ["once", "twice"].map(|text| (m.clone(), text.to_owned())));
    assert!(matches!(alice.ask(Command::Create {}).await, ClientEvent::Created { .. }));
    for (mut link, id) in [(first, 1), (again, 1), (other, 2)] {
        let received = ClientMessage::InstantReceived(InstantReceived { id: InstantId([id; 16]) });
        assert_eq!(link.receive().await.unwrap(), received);
        assert!(matches!(link.receive().await, Err(Ended::Done)));
    }
    alice.quits().await;
}

#[tokio::test]
async fn an_instant_message_is_acknowledged_once_it_was_shown() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let bob = world.user("bob", &world.home2).await;
    let (a, b) = (alice.handle(), bob.handle());

    // Bob's program takes the message, and is not done with it.
    let (commands, mut events, _running) = bob.split();
    let message = alice.says_to(&b, "look").await;
    while !matches!(events.recv().await.unwrap().event, ClientEvent::Instant { .. }) {}
    let answer = Command::Instant { handle: a, text: "what?".to_owned() };
    commands.send(answer.into()).await.unwrap();
    assert_eq!(alice.is_told().await, (b, "what?".to_owned()));
    let is_outcome = |event: &ClientEvent| {
        matches!(event, ClientEvent::InstantDelivered { .. } | ClientEvent::InstantFailed { .. })
    };
    assert!(!alice.untold().iter().any(|output| is_outcome(&output.event)), "{:?}", alice.untold());

    // Whoever asks for more has shown it.
    let showing = tokio::spawn(async move { while events.recv().await.is_some() {} });
    assert!(alice.learns(message).await);
    showing.abort();
}
