//! Registration, login, and sessions of up to four clients.

use antiphon_spec::{error_code::ErrorCode, policy::Verdict, registration_code::RegistrationCode};

use super::{
    server::Registrar,
    world::{User, World},
};
use crate::client::{ClientEvent, Command, HexDigits, Refusal, SessionName, Settings};

fn refusal(event: &ClientEvent) -> Refusal {
    let ClientEvent::Refused { code, .. } = event else { panic!("not refused: {event:?}") };
    *code
}

#[tokio::test]
async fn an_account_is_kept_and_found_again() {
    let world = World::new().await;
    let alice = world.user("alice", &world.home1).await;
    let handle = alice.handle();
    alice.quits().await;
    let settings = Settings::new(world.settings("alice", &world.home1).identity);
    let mut again = User::start("alice again", settings).await;
    assert_eq!(again.handle, Some(handle));
    assert!(matches!(again.ask(Command::Login {}).await, ClientEvent::LoggedIn { .. }));
    assert_eq!(refusal(&again.ask(Command::Login {}).await), Refusal::LoggedIn);
    assert_eq!(again.ask(Command::Logout {}).await, ClientEvent::LoggedOut);
    assert_eq!(refusal(&again.ask(Command::Logout {}).await), Refusal::NotLoggedIn);
    again.quits().await;
}

#[tokio::test]
async fn a_registration_that_proves_nothing_is_refused() {
    for (registrar, expected) in [
        (Registrar::OtherKey, Refusal::AnswerRefused),
        (Registrar::OtherHandle, Refusal::AnswerRefused),
        (Registrar::Closed, Refusal::Protocol(ErrorCode::RegistrationClosed)),
    ] {
        let world = World::with(registrar).await;
        let mut user = User::start("user", world.settings("user", &world.home1)).await;
        assert_eq!(
            refusal(&user.ask(Command::Register { code: RegistrationCode::default() }).await),
            expected,
            "{registrar:?}"
        );
        assert_eq!(refusal(&user.ask(Command::Login {}).await), Refusal::NotRegistered);
        assert_eq!(refusal(&user.ask(Command::Create {}).await), Refusal::NotRegistered);
        user.quits().await;
    }
}

#[tokio::test]
async fn content_goes_to_those_who_all_take_it() {
    let world = World::new().await;
    let png = || vec!["image/png".parse().unwrap()].try_into().unwrap();
    let settings = Settings { media_types: Some(png()), ..world.settings("bob", &world.home1) };
    // The identity folder keeps the list.
    User::start("bob for once", settings).await.quits().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home1).await;
    let mut carol = world.user("carol", &world.home2).await;
    let session = alice.create().await;
    let (a, b, c) = (alice.handle(), bob.handle(), carol.handle());
    alice.brings(session, &mut bob).await;
    alice.sees(session, &[&a, &b]).await;
    let send = |media_type: &str| Command::SendContent {
        session,
        media_type: media_type.to_owned(),
        content: HexDigits(b"\x89PNG".to_vec()),
    };
    let taken = ClientEvent::Taken { command: "send-content", session, message: Some(2) };
    assert_eq!(refusal(&alice.ask(send("image/gif")).await), Refusal::Protocol(ErrorCode::MediaType));
    assert_eq!(alice.ask(send("image/png")).await, taken);
    let content = bob
        .wait("the image", |output| match &output.event {
            ClientEvent::Message { media_type, content, .. } if media_type == "image/png" => content.clone(),
            _ => None,
        })
        .await;
    assert_eq!(content, "89504e47");
    alice.brings(session, &mut carol).await;
    alice.sees(session, &[&a, &b, &c]).await;
    assert_eq!(refusal(&alice.ask(send("image/png")).await), Refusal::Protocol(ErrorCode::MediaType));
    for user in [alice, bob, carol] {
        user.quits().await;
    }
}

#[tokio::test]
async fn four_clients_of_two_homes_talk_and_part() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home1).await;
    let mut carol = world.user("carol", &world.home2).await;
    let mut dave = world.user("dave", &world.home2).await;
    let (a, b, c, d) = (alice.handle(), bob.handle(), carol.handle(), dave.handle());
    let session = alice.create().await;

    alice.brings(session, &mut bob).await;
    for user in [&mut alice, &mut bob] {
        user.sees(session, &[&a, &b]).await;
    }
    bob.brings(session, &mut carol).await;
    for user in [&mut alice, &mut bob, &mut carol] {
        user.sees(session, &[&a, &b, &c]).await;
    }

    alice.tell(Command::Invite { session, handle: d.clone() }).await;
    dave.is_invited().await;
    dave.tell(Command::Reject { session }).await;
    assert_eq!(dave.ends(session).await, "left");
    alice
        .wait("the rejection", |output| {
            matches!(&output.event, ClientEvent::InvitationRejected { handle, .. } if *handle == d)
                .then_some(())
        })
        .await;
    alice.brings(session, &mut dave).await;
    let mut views = Vec::new();
    for user in [&mut alice, &mut bob, &mut carol, &mut dave] {
        views.push(user.sees(session, &[&a, &b, &c, &d]).await);
    }
    assert!(views.iter().all(|view| *view == views[0]), "{views:#?}");

    for user in [&mut alice, &mut bob, &mut carol, &mut dave] {
        for number in 1..=3 {
            let text = format!("{number} from {}", user.name);
            user.tell(Command::Send { session, text }).await;
        }
    }
    for user in [&mut alice, &mut bob, &mut carol, &mut dave] {
        let mut heard: std::collections::BTreeMap<_, Vec<String>> = std::collections::BTreeMap::new();
        for _ in 0..9 {
            let (from, text) = user.hears(session).await;
            heard.entry(from).or_default().push(text);
        }
        assert_eq!(heard.len(), 3, "{} heard {heard:?}", user.name);
        for texts in heard.values() {
            assert!(texts.is_sorted() && texts.len() == 3, "{texts:?}");
        }
    }

    bob.tell(Command::Leave { session }).await;
    assert_eq!(bob.ends(session).await, "left");
    for user in [&mut alice, &mut carol, &mut dave] {
        user.sees(session, &[&a, &c, &d]).await;
    }
    alice.tell(Command::Leave { session }).await;
    assert_eq!(alice.ends(session).await, "left");
    let view = carol.sees(session, &[&c, &d]).await;
    assert_eq!(dave.sees(session, &[&c, &d]).await, view);
    assert!(view.coordinator == c || view.coordinator == d);
    carol.tell(Command::Send { session, text: "still here".to_owned() }).await;
    assert_eq!(dave.hears(session).await, (c, "still here".to_owned()));
    for user in [alice, bob, carol, dave] {
        user.quits().await;
    }
}

#[tokio::test]
async fn a_denied_inviter_is_refused_without_a_word_to_the_user() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home2).await;
    let (a, b) = (alice.handle(), bob.handle());
    let deny =
        Command::SetPreferences { allow: vec![], deny: vec![a.clone(), a.clone()], default: Verdict::Allow };
    assert!(matches!(bob.ask(deny).await, ClientEvent::PreferencesSet { .. }));
    let session = alice.create().await;
    alice.tell(Command::Invite { session, handle: b.clone() }).await;
    alice
        .wait("the rejection", |output| {
            matches!(&output.event, ClientEvent::InvitationRejected { handle, .. } if *handle == b)
                .then_some(())
        })
        .await;
    assert_eq!(bob.untold(), []);
    let allow = Command::SetPreferences { allow: vec![a], deny: vec![], default: Verdict::Deny };
    assert!(matches!(bob.ask(allow).await, ClientEvent::PreferencesSet { .. }));
    alice.brings(session, &mut bob).await;
    bob.sees(session, &[&alice.handle(), &b]).await;
    let shown = bob.untold().iter().any(|output| matches!(output.event, ClientEvent::Invited { .. }));
    assert!(!shown, "the refused invitation was shown: {:#?}", bob.untold());
}

#[tokio::test]
async fn commands_that_cannot_be_done_are_refused() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let nobody: antiphon_spec::identity::UserHandle =
        "ffffffffffffffffffffffffffffffff@home2.example".parse().unwrap();
    let unknown = SessionName(antiphon_spec::session::SessionId([9; 32]));
    for command in [
        Command::Invite { session: unknown, handle: nobody.clone() },
        Command::Accept { session: unknown },
        Command::Reject { session: unknown },
        Command::Send { session: unknown, text: String::new() },
        Command::Leave { session: unknown },
        Command::Members { session: unknown },
    ] {
        assert_eq!(refusal(&alice.ask(command).await), Refusal::Protocol(ErrorCode::NoSuchSession));
    }
    let lookup = Command::Lookup { handle: nobody.clone() };
    assert_eq!(refusal(&alice.ask(lookup).await), Refusal::Protocol(ErrorCode::Unavailable));
    let found = alice.ask(Command::Lookup { handle: alice.handle() }).await;
    assert_eq!(found, ClientEvent::Address { handle: alice.handle(), address: alice.address });

    let session = alice.create().await;
    let accept = alice.ask(Command::Accept { session }).await;
    assert_eq!(refusal(&accept), Refusal::Protocol(ErrorCode::UnexpectedMessage));
    let long = Command::Send { session, text: "x".repeat(16 * 1024 + 1) };
    assert_eq!(refusal(&alice.ask(long).await), Refusal::Protocol(ErrorCode::LimitReached));
    alice.tell(Command::Invite { session, handle: nobody.clone() }).await;
    alice
        .wait("the failure", |output| match &output.event {
            ClientEvent::InvitationFailed { handle, code: ErrorCode::Unavailable, .. } => {
                (*handle == nobody).then_some(())
            }
            _ => None,
        })
        .await;
    let members = alice.ask(Command::Members { session }).await;
    let ClientEvent::Members { view } = members else { panic!("{members:?}") };
    assert_eq!((view.number, view.members), (0, vec![alice.handle()]));
    alice.tell(Command::Leave { session }).await;
    assert_eq!(alice.ends(session).await, "left");
    assert_eq!(
        refusal(&alice.ask(Command::Leave { session }).await),
        Refusal::Protocol(ErrorCode::NoSuchSession)
    );
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_a_replaced_login_is_not() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    world.home1.cut_all();
    alice
        .wait("the loss", |output| matches!(output.event, ClientEvent::Disconnected { .. }).then_some(()))
        .await;
    alice
        .wait("the new login", |output| match &output.event {
            ClientEvent::LoggedIn { .. } if output.id.is_none() => Some(()),
            _ => None,
        })
        .await;
    world.home1.replace_all();
    alice
        .wait("the replacement", |output| matches!(output.event, ClientEvent::Replaced { .. }).then_some(()))
        .await;
    let lookup = Command::Lookup { handle: alice.handle() };
    assert_eq!(refusal(&alice.ask(lookup).await), Refusal::NotLoggedIn);
    assert!(matches!(alice.ask(Command::Login {}).await, ClientEvent::LoggedIn { .. }));
    alice.quits().await;
}

#[tokio::test]
async fn a_client_that_vanishes_is_removed() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home2).await;
    let (a, b) = (alice.handle(), bob.handle());
    let session = alice.create().await;
    alice.brings(session, &mut bob).await;
    alice.sees(session, &[&a, &b]).await;
    bob.sees(session, &[&a, &b]).await;
    drop(bob);
    alice
        .wait("the loss", |output| matches!(output.event, ClientEvent::MemberLost { .. }).then_some(()))
        .await;
    alice.sees(session, &[&a]).await;
}

#[tokio::test]
async fn invitations_and_leaves_at_once_end_in_one_view() {
    let world = World::new().await;
    let mut alice = world.user("alice", &world.home1).await;
    let mut bob = world.user("bob", &world.home1).await;
    let mut carol = world.user("carol", &world.home2).await;
    let mut dave = world.user("dave", &world.home2).await;
    let (a, b, c, d) = (alice.handle(), bob.handle(), carol.handle(), dave.handle());
    let session = alice.create().await;
    alice.brings(session, &mut bob).await;
    bob.sees(session, &[&a, &b]).await;

    alice.tell(Command::Invite { session, handle: c.clone() }).await;
    bob.tell(Command::Invite { session, handle: d.clone() }).await;
    for invitee in [&mut carol, &mut dave] {
        invitee.is_invited().await;
    }
    carol.tell(Command::Accept { session }).await;
    dave.tell(Command::Accept { session }).await;
    let mut views = Vec::new();
    for user in [&mut alice, &mut bob, &mut carol, &mut dave] {
        views.push(user.sees(session, &[&a, &b, &c, &d]).await);
    }
    assert!(views.iter().all(|view| *view == views[0]), "{views:#?}");

    for user in [&mut bob, &mut carol] {
        user.tell(Command::Send { session, text: format!("goodbye from {}", user.name) }).await;
        user.tell(Command::Leave { session }).await;
    }
    for user in [&mut alice, &mut dave] {
        user.sees(session, &[&a, &d]).await;
        let heard = [user.hears(session).await.1, user.hears(session).await.1];
        assert!(heard.contains(&"goodbye from bob".to_owned()), "{heard:?}");
        assert!(heard.contains(&"goodbye from carol".to_owned()), "{heard:?}");
    }
    for user in [&mut bob, &mut carol] {
        assert_eq!(user.ends(session).await, "left");
    }
    // Who has left comes back by invitation, to the same session.
    dave.brings(session, &mut bob).await;
    for user in [&mut alice, &mut bob, &mut dave] {
        user.sees(session, &[&a, &b, &d]).await;
    }
    for user in [&mut alice, &mut bob, &mut dave] {
        user.tell(Command::Leave { session }).await;
    }
    for user in [&mut alice, &mut bob, &mut dave] {
        assert_eq!(user.ends(session).await, "left");
    }
}

#[tokio::test]
async fn a_message_is_acknowledged_once_it_was_shown() {
    let world = World::new().await;
    let (mut alice, mut bob) =
        (world.user("alice", &world.home1).await, world.user("bob", &world.home2).await);
    let (a, b) = (alice.handle(), bob.handle());
    let session = alice.create().await;
    alice.brings(session, &mut bob).await;
    alice.sees(session, &[&a, &b]).await;
    bob.sees(session, &[&a, &b]).await;

    // Bob's program takes the message, and is not done with it.
    let (commands, mut events, _running) = bob.split();
    alice.tell(Command::Send { session, text: "look".to_owned() }).await;
    while !matches!(events.recv().await.unwrap().event, ClientEvent::Message { .. }) {}
    commands.send(Command::Send { session, text: "what?".to_owned() }.into()).await.unwrap();
    assert_eq!(alice.hears(session).await, (b.clone(), "what?".to_owned()));
    let is_delivery = |event: &ClientEvent| matches!(event, ClientEvent::Delivered { to, .. } if *to == b);
    assert!(!alice.untold().iter().any(|output| is_delivery(&output.event)), "{:?}", alice.untold());

    // Whoever asks for more has shown it.
    let showing = tokio::spawn(async move { while events.recv().await.is_some() {} });
    alice.wait("the delivery", |output| is_delivery(&output.event).then_some(())).await;
    showing.abort();
}
