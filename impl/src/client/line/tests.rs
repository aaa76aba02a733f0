//! What a person types and sees.

use antiphon_spec::{
    identity::UserHandle,
    policy::Preferences,
    registration_code::RegistrationCode,
    session::{RelayTag, SessionId},
};

use super::{
    screen::Screen,
    typed::{Typed, read},
};
use crate::client::{ChangeView, ClientEvent, Command, EpochView, Refusal, SessionName};

const ALICE: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a@home1.example";
const BOB: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b@home2.example";

fn alice() -> UserHandle {
    ALICE.parse().unwrap()
}

fn bob() -> UserHandle {
    BOB.parse().unwrap()
}

fn name(byte: u8) -> SessionName {
    SessionName(SessionId([byte; 32]))
}

/// A screen of Alice's, logged in, in a session that she created.
fn screen() -> Screen {
    let mut screen = Screen::default();
    let address = "127.0.0.1:5000".parse().unwrap();
    screen.show(ClientEvent::Ready { interface: 1, address, handle: Some(alice()) });
    screen.show(ClientEvent::LoggedIn {
        epoch: antiphon_spec::message::server_server::LoginEpoch(1),
        version: antiphon_spec::message::server_server::ProfileVersion(0),
        preferences: Preferences::default(),
    });
    screen.show(ClientEvent::Created { session: name(1), relay: RelayTag([1; 16]) });
    screen.drain();
    screen
}

fn seen(screen: &mut Screen, event: ClientEvent) -> Vec<String> {
    assert_eq!(screen.show(event), []);
    screen.drain().iter().map(ToString::to_string).collect()
}

fn message(text: &str) -> ClientEvent {
    ClientEvent::Message {
        session: name(1),
        from: bob(),
        epoch: 1,
        number: 1,
        media_type: "text/plain".to_owned(),
        text: Some(text.to_owned()),
        content: None,
    }
}

#[track_caller]
fn check(line: &str, expected: Command) {
    assert_eq!(read(line, &screen()), Ok(Typed::Command(expected)));
}

#[track_caller]
fn check_wrong(line: &str, part: &str) {
    let why = read(line, &screen()).unwrap_err();
    assert!(why.contains(part), "{why}");
}

#[test]
fn lines_are_commands_or_said() {
    let session = name(1);
    let said = |text: &str| Command::Send { session, text: text.to_owned() };
    check("hello there", said("hello there"));
    check("//quit", said("/quit"));
    check("/register", Command::Register { code: RegistrationCode::default() });
    check("/register a-code", Command::Register { code: "a-code".parse().unwrap() });
    check("/quit  ", Command::Quit {});
    check(&format!("/invite  {BOB} "), Command::Invite { session, handle: bob() });
    check(&format!("/lookup {BOB}"), Command::Lookup { handle: bob() });
    check(
        &format!("/instant {BOB}  good morning "),
        Command::Instant { handle: bob(), text: "good morning".to_owned() },
    );
    check("/leave", Command::Leave { session });
    check("/leave 1", Command::Leave { session });
    check("/members", Command::Members { session });
    assert_eq!(read("", &screen()), Ok(Typed::Nothing));
    assert_eq!(read("/switch 1", &screen()), Ok(Typed::Switch(session)));
}

#[test]
fn what_cannot_be_done_is_said() {
    check_wrong("/dance", "/help");
    check_wrong("/invite bob", "a user handle is");
    check_wrong(&format!("/instant {BOB}"), "what to say");
    check_wrong("/instant bob hello", "a user handle is");
    check_wrong("/login now", "nothing more");
    check_wrong("/accept", "nobody has invited you");
    check_wrong("/switch 7", "no session 7");
    check_wrong("/switch x", "by its number");
    check_wrong("/default maybe", "allow or deny");
    let nowhere = Screen::default();
    assert!(read("hello", &nowhere).unwrap_err().contains("/create"));
    assert!(read(&format!("/deny {BOB}"), &nowhere).unwrap_err().contains("log in"));
}

#[test]
fn preferences_change_one_handle_at_a_time() {
    let Ok(Typed::Command(Command::SetPreferences { allow, deny, .. })) =
        read(&format!("/deny {BOB}"), &screen())
    else {
        panic!("no preferences");
    };
    assert_eq!((allow, deny), (vec![], vec![bob()]));
}

#[test]
fn an_invitation_is_answered_by_its_number() {
    let mut screen = screen();
    let lines = seen(&mut screen, ClientEvent::Invited { session: name(2), inviter: bob() });
    assert_eq!(lines, [format!("[2] {BOB} invites you; /accept 2 or /reject 2")]);
    let accept = Ok(Typed::Command(Command::Accept { session: name(2) }));
    assert_eq!(read("/accept", &screen), accept);
    assert_eq!(read("/accept 2", &screen), accept);
    assert!(read("/switch 2", &screen).is_err(), "an invitation is no session yet");
    let view = EpochView {
        session: name(2),
        number: 1,
        hash: String::new(),
        members: vec![alice(), bob()],
        coordinator: bob(),
    };
    let change = ChangeView { kind: "join", handle: alice() };
    let lines = seen(&mut screen, ClientEvent::Epoch { change, view });
    assert_eq!(lines, ["session 2 is the current one", "[2] you joined; 2 members"]);
    assert!(read("/accept", &screen).is_err());
    let lines = seen(&mut screen, ClientEvent::Ended { session: name(2), reason: "member-lost" });
    assert_eq!(lines, ["[2] a member is lost, and nobody removed it; the session is over"]);
    assert_eq!(screen.current(), Ok(name(1)));
}

#[test]
fn an_inviter_hears_what_comes_of_it() {
    let mut screen = screen();
    let taken = ClientEvent::Taken { command: "invite", session: name(1), message: None };
    assert_eq!(seen(&mut screen, taken), ["[1] the invitation is on its way"]);
    let code = antiphon_spec::error_code::ErrorCode::AlreadyMember;
    let failed = ClientEvent::InvitationFailed { session: name(1), handle: bob(), code };
    let expected = "[1] 0b0b0b0b@home2.example cannot be invited: already a member, or invited";
    assert_eq!(seen(&mut screen, failed), [expected]);
    for (members, told) in [(vec![alice()], "1 member"), (vec![alice(), bob()], "2 members")] {
        let view =
            EpochView { session: name(1), number: 2, hash: String::new(), members, coordinator: alice() };
        let change = ChangeView { kind: "leave", handle: bob() };
        let lines = seen(&mut screen, ClientEvent::Epoch { change, view });
        assert_eq!(lines, [format!("[1] 0b0b0b0b@home2.example left; {told}")]);
    }
}

#[test]
fn a_speaker_sees_what_becomes_of_each_message() {
    let mut screen = screen();
    let session = name(1);
    let sent = |message, to| ClientEvent::Sent { session, message, epoch: 1, number: message, to };
    let delivered = |message, to| ClientEvent::Delivered { session, message, to, epoch: 1, number: message };
    assert_eq!(seen(&mut screen, ClientEvent::Pending { session, message: 1 }), ["[1] (pending)"]);
    let none: [&str; 0] = [];
    for message in [1, 2] {
        assert_eq!(seen(&mut screen, sent(message, vec![alice(), bob()])), none);
        assert_eq!(seen(&mut screen, delivered(message, alice())), none);
    }
    assert_eq!(seen(&mut screen, delivered(1, bob())), ["[1] (delivered to all)"]);
    let lines = seen(&mut screen, ClientEvent::Failed { session, message: 2, to: bob() });
    assert_eq!(lines, ["[1] (not delivered to 0b0b0b0b@home2.example)"]);
    assert_eq!(seen(&mut screen, sent(3, vec![])), none, "nobody else is there");
    let lines = seen(&mut screen, ClientEvent::Unsent { session, message: 4 });
    assert_eq!(lines, ["[1] (not sent to anybody)"]);
}

#[test]
fn instant_messages_are_shown_apart_from_sessions() {
    let mut screen = screen();
    let text = Some("good\nmorning".to_owned());
    let came = ClientEvent::Instant { from: bob(), media_type: "text/plain".to_owned(), text, content: None };
    assert_eq!(seen(&mut screen, came), ["(instant message) <0b0b0b0b@home2.example> good⏎morning"]);
    let delivered = ClientEvent::InstantDelivered { message: 1, to: bob() };
    assert_eq!(seen(&mut screen, delivered), ["(delivered to 0b0b0b0b@home2.example)"]);
    let failed = ClientEvent::InstantFailed { message: 2, to: bob() };
    assert_eq!(seen(&mut screen, failed), ["(could not be delivered to 0b0b0b0b@home2.example)"]);
}

#[test]
fn nothing_that_others_send_reaches_the_terminal_as_it_is() {
    let mut screen = screen();
    let lines = seen(&mut screen, message("a\u{1b}[2Jb\n[1] <you> c\u{202e}"));
    assert_eq!(lines, ["[1] <0b0b0b0b@home2.example> a\u{fffd}[2Jb⏎[1] <you> c\u{fffd}"]);
    let code = Refusal::Unreachable;
    let detail = "\u{9b}31m".to_owned();
    let lines = seen(&mut screen, ClientEvent::Error { code, detail });
    assert_eq!(lines, ["unreachable: \u{fffd}31m"]);
}

#[test]
fn one_who_has_an_account_is_logged_in_at_once() {
    let address = "127.0.0.1:5000".parse().unwrap();
    let mut screen = Screen::default();
    let ready = ClientEvent::Ready { interface: 1, address, handle: Some(alice()) };
    assert_eq!(screen.show(ready), [Command::Login {}]);
    let mut screen = Screen::default();
    assert_eq!(screen.show(ClientEvent::Ready { interface: 1, address, handle: None }), []);
    assert_eq!(screen.show(ClientEvent::Registered { handle: alice() }), [Command::Login {}]);
}
