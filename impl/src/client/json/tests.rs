//! The JSON interface is a promise to other programs: every form of it stands here.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, UserHandle},
    media_type::MediaTypes,
    message::{
        client_client::{Content, Instant, InstantId},
        server_server::{LoginEpoch, ProfileVersion},
    },
    policy::{Preferences, Verdict},
    registration_code::RegistrationCode,
    session::{
        EndReason, Epoch, EpochNumber, LocalNumber, Member, Nonce, Notice, Origin, RelayTag, SessionId,
    },
};

use super::{parse, to_line};
use crate::client::{ClientEvent, Command, EpochView, Output, Refusal, Request, SessionName, Way};

const SESSION: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const ALICE: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a@home1.example";

fn session() -> SessionName {
    SessionName(SessionId([7; 32]))
}

fn alice() -> UserHandle {
    ALICE.parse().unwrap()
}

#[track_caller]
fn check_command(line: &str, id: Option<u64>, command: Command) {
    assert_eq!(parse(line), Ok(Request { id, command }));
}

#[track_caller]
fn check_event(event: ClientEvent, expected: &str) {
    let expected = expected.replace("SESSION", SESSION).replace("ALICE", ALICE);
    assert_eq!(to_line(&Output { id: None, event }), format!("{expected}\n"));
}

#[track_caller]
fn check_invalid(line: &str, id: Option<u64>, name: &str, part: &str) {
    let answer = parse(line).unwrap_err();
    let ClientEvent::Refused { command, code, detail } = answer.event else { panic!("{answer:?}") };
    assert_eq!((answer.id, command.as_str(), code), (id, name, Refusal::InvalidCommand));
    assert!(detail.contains(part), "{detail}");
}

#[test]
fn every_command_is_read() {
    let (session, handle) = (session(), alice());
    let line = |text: &str| text.replace("SESSION", SESSION).replace("ALICE", ALICE);
    check_command(r#"{"command":"register"}"#, None, Command::Register { code: RegistrationCode::default() });
    let code = "a-code".parse().unwrap();
    check_command(r#"{"command":"register","code":"a-code"}"#, None, Command::Register { code });
    check_command(r#" {"command":"login","id":0} "#, Some(0), Command::Login {});
    check_command(
        &line(r#"{"command":"set-preferences","allow":["ALICE"],"deny":[],"default":"deny"}"#),
        None,
        Command::SetPreferences { allow: vec![handle.clone()], deny: vec![], default: Verdict::Deny },
    );
    check_command(
        &line(r#"{"command":"lookup","handle":"ALICE"}"#),
        None,
        Command::Lookup { handle: handle.clone() },
    );
    check_command(r#"{"id":18446744073709551615,"command":"create"}"#, Some(u64::MAX), Command::Create {});
    check_command(
        &line(r#"{"command":"invite","session":"SESSION","handle":"ALICE"}"#),
        None,
        Command::Invite { session, handle },
    );
    check_command(&line(r#"{"command":"accept","session":"SESSION"}"#), None, Command::Accept { session });
    check_command(&line(r#"{"command":"reject","session":"SESSION"}"#), None, Command::Reject { session });
    check_command(
        &line(r#"{"command":"send","session":"SESSION","text":"a\n\"b\" \u00fc"}"#),
        None,
        Command::Send { session, text: "a\n\"b\" ü".to_owned() },
    );
    check_command(&line(r#"{"command":"leave","session":"SESSION"}"#), None, Command::Leave { session });
    check_command(&line(r#"{"command":"members","session":"SESSION"}"#), None, Command::Members { session });
    check_command(r#"{"command":"logout"}"#, None, Command::Logout {});
    check_command(r#"{"command":"quit"}"#, None, Command::Quit {});
}

#[test]
fn what_is_no_command_is_answered() {
    check_invalid("", None, "", "EOF");
    check_invalid("[]", None, "", "map");
    check_invalid("{}", None, "", "command");
    check_invalid(r#"{"id":3,"command":"dance"}"#, Some(3), "dance", "dance");
    check_invalid(r#"{"id":"3","command":"login"}"#, None, "login", "id");
    check_invalid(r#"{"id":4,"command":"login","server":"x"}"#, Some(4), "login", "server");
    check_invalid(r#"{"command":"accept"}"#, None, "accept", "session");
    check_invalid(r#"{"command":"accept","session":"07"}"#, None, "accept", "64");
    check_invalid(r#"{"command":"lookup","handle":"ALICE"}"#, None, "lookup", "handle");
    check_invalid(&"[".repeat(100_000), None, "", "");
}

#[test]
fn answers_are_written() {
    let handle = alice();
    let address = "127.0.0.1:5000".parse().unwrap();
    check_event(
        ClientEvent::Ready { interface: 1, address, handle: Some(handle.clone()) },
        r#"{"event":"ready","interface":1,"address":"127.0.0.1:5000","handle":"ALICE"}"#,
    );
    check_event(
        ClientEvent::Ready { interface: 1, address, handle: None },
        r#"{"event":"ready","interface":1,"address":"127.0.0.1:5000"}"#,
    );
    check_event(
        ClientEvent::Registered { handle: handle.clone() },
        r#"{"event":"registered","handle":"ALICE"}"#,
    );
    let mut preferences = Preferences::default();
    assert!(preferences.deny.insert(handle.clone()));
    check_event(
        ClientEvent::LoggedIn { epoch: LoginEpoch(3), version: ProfileVersion(2), preferences },
        r#"{"event":"logged-in","epoch":3,"version":2,"preferences":{"deny":["ALICE"],"allow":[],"default":"allow"}}"#,
    );
    check_event(
        ClientEvent::PreferencesSet { version: ProfileVersion(3), preferences: Preferences::default() },
        r#"{"event":"preferences-set","version":3,"preferences":{"deny":[],"allow":[],"default":"allow"}}"#,
    );
    check_event(
        ClientEvent::Address { handle, address },
        r#"{"event":"address","handle":"ALICE","address":"127.0.0.1:5000"}"#,
    );
    let relay = RelayTag([10; 16]);
    let created = format!(r#"{{"event":"created","session":"SESSION","relay":"{}"}}"#, "0a".repeat(16));
    check_event(ClientEvent::Created { session: session(), relay }, &created);
    for (way, word) in [(Way::Direct, "direct"), (Way::Relayed, "relayed")] {
        let linked = format!(r#"{{"event":"linked","session":"SESSION","handle":"ALICE","way":"{word}"}}"#);
        check_event(ClientEvent::Linked { session: session(), handle: alice(), way }, &linked);
    }
    check_event(
        ClientEvent::Taken { command: "send", session: session(), message: Some(3) },
        r#"{"event":"taken","command":"send","session":"SESSION","message":3}"#,
    );
    check_event(
        ClientEvent::Taken { command: "leave", session: session(), message: None },
        r#"{"event":"taken","command":"leave","session":"SESSION"}"#,
    );
    check_event(ClientEvent::LoggedOut, r#"{"event":"logged-out"}"#);
    let code = Refusal::NotLoggedIn;
    let refused = ClientEvent::Refused { command: "lookup".to_owned(), code, detail: "no \u{1b}".to_owned() };
    check_event(
        refused,
        r#"{"event":"refused","command":"lookup","code":"not-logged-in","detail":"no \u001b"}"#,
    );
    let answer = Output { id: Some(9), event: ClientEvent::Quit };
    assert_eq!(to_line(&answer), "{\"id\":9,\"event\":\"quit\"}\n");
}

#[test]
fn epochs_are_written() {
    let origin = Origin { key: KeyHash([1; 32]), nonce: Nonce([2; 16]) };
    let creator = Member {
        key: KeyHash([1; 32]),
        relay: RelayTag([2; 16]),
        handle: alice(),
        accepts: MediaTypes::default(),
    };
    let epoch = Epoch::first(SessionId([7; 32]), origin, creator);
    let view = EpochView::of(&epoch);
    assert_eq!(view.hash.len(), 64);
    let rest = r#""session":"SESSION","number":0,"hash":"HASH","members":["ALICE"],"coordinator":"ALICE"}"#;
    let rest = rest.replace("HASH", &view.hash);
    check_event(
        ClientEvent::epoch(&epoch),
        &format!(r#"{{"event":"epoch","change":{{"kind":"create","handle":"ALICE"}},{rest}"#),
    );
    check_event(ClientEvent::Members { view }, &format!(r#"{{"event":"members",{rest}"#));
}

#[track_caller]
fn check_notice(notice: Notice, expected: &str) {
    check_event(ClientEvent::of_notice(session(), notice), expected);
}

#[test]
fn notices_are_written() {
    let local = LocalNumber(7);
    check_notice(
        Notice::Invited { inviter: alice() },
        r#"{"event":"invited","session":"SESSION","inviter":"ALICE"}"#,
    );
    check_notice(
        Notice::InvitationRejected { invitee: alice() },
        r#"{"event":"invitation-rejected","session":"SESSION","handle":"ALICE"}"#,
    );
    check_notice(
        Notice::InvitationFailed { invitee: alice(), code: ErrorCode::Unavailable },
        r#"{"event":"invitation-failed","session":"SESSION","handle":"ALICE","code":"unavailable"}"#,
    );
    check_notice(Notice::MessagePending { local }, r#"{"event":"pending","session":"SESSION","message":7}"#);
    check_notice(
        Notice::MessageSent { local, epoch: EpochNumber(4), number: 5, to: vec![alice()] },
        r#"{"event":"sent","session":"SESSION","message":7,"epoch":4,"number":5,"to":["ALICE"]}"#,
    );
    check_notice(
        Notice::MessageDelivered { local, to: alice(), epoch: EpochNumber(4), number: 5 },
        r#"{"event":"delivered","session":"SESSION","message":7,"to":"ALICE","epoch":4,"number":5}"#,
    );
    check_notice(
        Notice::MessageFailed { local, to: alice() },
        r#"{"event":"failed","session":"SESSION","message":7,"to":"ALICE"}"#,
    );
    check_notice(Notice::MessageUnsent { local }, r#"{"event":"unsent","session":"SESSION","message":7}"#);
    check_notice(
        Notice::NotPossible(ErrorCode::LimitReached),
        r#"{"event":"not-possible","session":"SESSION","code":"limit-reached"}"#,
    );
    check_notice(
        Notice::MemberLost(alice()),
        r#"{"event":"member-lost","session":"SESSION","handle":"ALICE"}"#,
    );
    check_notice(Notice::ForkNoticed(alice()), r#"{"event":"fork","session":"SESSION","handle":"ALICE"}"#);
    check_notice(
        Notice::Ended(EndReason::MemberLost),
        r#"{"event":"ended","session":"SESSION","reason":"member-lost"}"#,
    );
}

#[test]
fn instant_messages_are_written() {
    let instant = Instant {
        id: InstantId([1; 16]),
        content: Content(b"hello".as_slice().into()),
        media_type: "text/plain".into(),
    };
    check_event(
        ClientEvent::instant(alice(), &instant),
        r#"{"event":"instant","from":"ALICE","media-type":"text/plain","text":"hello"}"#,
    );
    check_event(ClientEvent::InstantTaken { message: 3 }, r#"{"event":"instant-taken","message":3}"#);
    check_event(
        ClientEvent::InstantDelivered { message: 3, to: alice() },
        r#"{"event":"instant-delivered","message":3,"to":"ALICE"}"#,
    );
    check_event(
        ClientEvent::InstantFailed { message: 3, to: alice() },
        r#"{"event":"instant-failed","message":3,"to":"ALICE"}"#,
    );
}

#[test]
fn messages_are_text_or_bytes() {
    let said = |media_type: &str, content: &[u8]| Notice::MessageReceived {
        from: alice(),
        epoch: EpochNumber(1),
        number: 2,
        media_type: media_type.into(),
        content: Content(content.into()),
    };
    let expected = |media_type: &str, rest: &str| {
        format!(
            r#"{{"event":"message","session":"SESSION","from":"ALICE","epoch":1,"number":2,"media-type":"{media_type}",{rest}}}"#
        )
    };
    check_notice(said("text/plain", "ü\n".as_bytes()), &expected("text/plain", r#""text":"ü\n""#));
    let parameters = "text/plain; charset=utf-8";
    check_notice(said(parameters, b"x"), &expected(parameters, r#""text":"x""#));
    check_notice(said("text/plain", b"\xff"), &expected("text/plain", r#""content":"ff""#));
    check_notice(said("image/png", b"\x89P"), &expected("image/png", r#""content":"8950""#));
}
