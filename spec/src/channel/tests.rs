//! The whole of every table as a snapshot, and that the tables of both ends fit together.

use std::fmt::{Debug, Write as _};

use super::*;
use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, ObjectHandle, UserHandle},
    message::{
        client_server::{self as c2s, FromServer, ToServer},
        common::{Error, Goodbye, Greeting, Ping, Pong, Refused, RequestId},
        location::{self as loc, FromDirectoryNode, ToDirectoryNode},
        registration::{self as reg, FromRegistrar, ToRegistrar},
        relay::{
            Called, LinkNumber, RelayCall, RelayClose, RelayCredit, RelayData, RelayExpect, RelayForget,
            RelayIncoming, RelayOpen, RelayOpened,
        },
        server_server::{self as s2s, FromPeerServer, ToPeerServer},
    },
    policy::Preferences,
    registration_code::RegistrationCode,
    session::RelayTag,
    signed::Signed,
};

const ID: RequestId = RequestId(1);
const EPOCH: s2s::LoginEpoch = s2s::LoginEpoch(1);
const VERSION: s2s::ProfileVersion = s2s::ProfileVersion(0);
const USER: ObjectHandle = ObjectHandle([7; 16]);

fn handle() -> UserHandle {
    UserHandle { id: USER, home: "a.example".parse().unwrap() }
}

const LINK: LinkNumber = LinkNumber(1);
const RELAY: RelayTag = RelayTag([5; 16]);

fn data() -> RelayData {
    RelayData { link: LINK, bytes: vec![0].try_into().unwrap() }
}

fn credit() -> RelayCredit {
    RelayCredit { link: LINK, bytes: 1u64.try_into().unwrap() }
}

fn address() -> ContactAddress {
    "192.0.2.1:5000".parse().unwrap()
}

fn profile() -> s2s::Profile {
    s2s::Profile { version: VERSION, messaging: Preferences::default() }
}

fn record() -> loc::ContactRecord {
    loc::ContactRecord { epoch: EPOCH, server: "a.example".parse().unwrap(), address: address() }
}

macro_rules! link_messages {
    ($message:ident) => {
        [
            $message::Ping(Ping { number: 1 }),
            $message::Pong(Pong { number: 1 }),
            $message::Goodbye(Goodbye {}),
            $message::Error(Error { code: ErrorCode::Internal }),
        ]
    };
}

macro_rules! accepting_messages {
    ($message:ident) => {
        [
            $message::Greeting(Greeting { version: 1 }),
            $message::Refused(Refused { id: ID, code: ErrorCode::Internal }),
        ]
    };
}

fn to_registrar() -> Vec<ToRegistrar> {
    let proof = Signed::from_bytes(Vec::new());
    let mut all = vec![ToRegistrar::Register(reg::Register {
        id: ID,
        key: Vec::new(),
        code: RegistrationCode::default(),
        proof,
    })];
    let signed = || Signed::from_bytes(Vec::new());
    all.push(ToRegistrar::Rotate(reg::Rotate {
        id: ID,
        key: Vec::new(),
        proof: signed(),
        consent: signed(),
        successor: Vec::new(),
    }));
    all.extend(link_messages!(ToRegistrar));
    all
}

fn from_registrar() -> Vec<FromRegistrar> {
    let mut all = Vec::from(accepting_messages!(FromRegistrar));
    let registered = reg::Registered { id: ID, chain: Vec::new(), handle: handle() };
    all.extend([FromRegistrar::Registered(registered.clone()), FromRegistrar::Rotated(registered)]);
    all.extend(link_messages!(FromRegistrar));
    all
}

fn to_server() -> Vec<ToServer> {
    let messaging = Preferences::default();
    let mut all = vec![
        ToServer::Login(c2s::Login { id: ID, address: address() }),
        ToServer::SetPreferences(c2s::SetPreferences { id: ID, version: VERSION, messaging }),
        ToServer::Lookup(c2s::Lookup { id: ID, user: handle() }),
        ToServer::Logout(c2s::Logout { id: ID }),
        ToServer::RelayExpect(RelayExpect { relay: RELAY }),
        ToServer::RelayForget(RelayForget { relay: RELAY }),
        ToServer::RelayOpen(RelayOpen { link: LINK, called: Called::User(handle()) }),
        ToServer::RelayOpened(RelayOpened { link: LINK }),
        ToServer::RelayData(data()),
        ToServer::RelayCredit(credit()),
        ToServer::RelayClose(RelayClose { link: LINK }),
    ];
    all.extend(link_messages!(ToServer));
    all
}

fn from_server() -> Vec<FromServer> {
    let mut all = Vec::from(accepting_messages!(FromServer));
    all.extend([
        FromServer::LoggedIn(c2s::LoggedIn { id: ID, epoch: EPOCH, profile: profile() }),
        FromServer::PreferencesSet(c2s::PreferencesSet { id: ID, version: VERSION }),
        FromServer::Address(c2s::Address { id: ID, address: address() }),
        FromServer::LoggedOut(c2s::LoggedOut { id: ID }),
        FromServer::Replaced(c2s::Replaced { epoch: EPOCH }),
        FromServer::RelayIncoming(RelayIncoming { link: LINK, caller: handle() }),
        FromServer::RelayOpened(RelayOpened { link: LINK }),
        FromServer::RelayData(data()),
        FromServer::RelayCredit(credit()),
        FromServer::RelayClose(RelayClose { link: LINK }),
    ]);
    all.extend(link_messages!(FromServer));
    all
}

fn to_peer_server() -> Vec<ToPeerServer> {
    let messaging = Preferences::default();
    let mut all = vec![
        ToPeerServer::CheckOut(s2s::CheckOut { id: ID, user: USER }),
        ToPeerServer::Store(s2s::Store { id: ID, user: USER, epoch: EPOCH, version: VERSION, messaging }),
        ToPeerServer::Renew(s2s::Renew { id: ID, user: USER, epoch: EPOCH }),
        ToPeerServer::CheckIn(s2s::CheckIn { id: ID, user: USER, epoch: EPOCH }),
        ToPeerServer::Replace(s2s::Replace { id: ID, user: handle(), epoch: EPOCH }),
        ToPeerServer::Resolve(s2s::Resolve { id: ID, user: handle(), asker: handle() }),
        ToPeerServer::RelayCall(RelayCall { link: LINK, called: Called::User(handle()), caller: handle() }),
        ToPeerServer::RelayData(data()),
        ToPeerServer::RelayCredit(credit()),
        ToPeerServer::RelayClose(RelayClose { link: LINK }),
    ];
    all.extend(link_messages!(ToPeerServer));
    all
}

fn from_peer_server() -> Vec<FromPeerServer> {
    let mut all = Vec::from(accepting_messages!(FromPeerServer));
    all.extend([
        FromPeerServer::CheckedOut(s2s::CheckedOut { id: ID, epoch: EPOCH, lease: 300, profile: profile() }),
        FromPeerServer::Stored(s2s::Stored { id: ID, version: VERSION }),
        FromPeerServer::Renewed(s2s::Renewed { id: ID, lease: 300 }),
        FromPeerServer::CheckedIn(s2s::CheckedIn { id: ID }),
        FromPeerServer::ReplaceDone(s2s::ReplaceDone { id: ID }),
        FromPeerServer::Resolved(s2s::Resolved { id: ID, address: address() }),
        FromPeerServer::RelayOpened(RelayOpened { link: LINK }),
        FromPeerServer::RelayData(data()),
        FromPeerServer::RelayCredit(credit()),
        FromPeerServer::RelayClose(RelayClose { link: LINK }),
    ]);
    all.extend(link_messages!(FromPeerServer));
    all
}

fn pointer() -> loc::ForwardingPointer {
    let record = record();
    let (node, number) = (record.server, loc::PointerNumber(1));
    loc::ForwardingPointer { node, epoch: EPOCH, number, address: record.address }
}

fn to_directory_node() -> Vec<ToDirectoryNode> {
    let mut all = vec![
        ToDirectoryNode::Issue(loc::Issue { id: ID }),
        ToDirectoryNode::Insert(loc::Insert { id: ID, handle: USER, record: record(), if_absent: false }),
        ToDirectoryNode::Delete(loc::Delete { id: ID, handle: USER, record: record() }),
        ToDirectoryNode::Find(loc::Find { id: ID, hops: 0, handle: USER }),
        ToDirectoryNode::InsertPointer(loc::InsertPointer {
            id: ID,
            handle: USER,
            pointer: pointer(),
            if_absent: false,
        }),
        ToDirectoryNode::DeletePointer(loc::DeletePointer { id: ID, handle: USER, number: pointer().number }),
        ToDirectoryNode::Supersede(loc::Supersede { id: ID, epoch: EPOCH, handle: USER }),
    ];
    all.extend(link_messages!(ToDirectoryNode));
    all
}

fn from_directory_node() -> Vec<FromDirectoryNode> {
    let mut all = Vec::from(accepting_messages!(FromDirectoryNode));
    all.extend([
        FromDirectoryNode::Issued(loc::Issued { id: ID, handle: USER }),
        FromDirectoryNode::Inserted(loc::Inserted { id: ID, lease: 300 }),
        FromDirectoryNode::Deleted(loc::Deleted { id: ID }),
        FromDirectoryNode::Found(loc::Found { id: ID, records: Vec::new() }),
        FromDirectoryNode::PointerInserted(loc::PointerInserted { id: ID, lease: 300 }),
        FromDirectoryNode::PointerDeleted(loc::PointerDeleted { id: ID }),
        FromDirectoryNode::Superseded(loc::Superseded { id: ID }),
    ]);
    all.extend(link_messages!(FromDirectoryNode));
    all
}

/// One line for each message, one column for each state.
fn table<S: Debug + Copy, M: Debug>(
    title: &str,
    states: &[S],
    messages: &[M],
    receive: impl Fn(S, &M) -> Reception,
) -> String {
    let mut text = format!("{title}\n{:18}", "");
    for state in states {
        write!(text, "{:22}", format!("{state:?}")).unwrap();
    }
    for message in messages {
        let name = format!("{message:?}");
        write!(text, "\n{:18}", name.split(['(', ' ']).next().unwrap()).unwrap();
        for state in states {
            write!(text, "{:22}", receive(*state, message)).unwrap();
        }
    }
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// An accepting end greets before it receives.
const ACCEPTING: [Phase; 2] = [Phase::Greeted, Phase::Closing];

#[test]
fn the_tables_are_the_committed_ones() {
    let tables = [
        table("registration: server", &ACCEPTING, &to_registrar(), receive_at_registrar),
        table("registration: client", &Phase::ALL, &from_registrar(), receive_from_registrar),
        table("client-to-server: server", &ServerEnd::ALL, &to_server(), ServerEnd::receive),
        table("client-to-server: client", &ClientEnd::ALL, &from_server(), ClientEnd::receive),
        table("server-to-server: accepting", &ACCEPTING, &to_peer_server(), receive_at_peer_server),
        table("server-to-server: dialling", &Phase::ALL, &from_peer_server(), receive_from_peer_server),
        table("location: directory node", &ACCEPTING, &to_directory_node(), receive_at_directory_node),
        table("location: server", &Phase::ALL, &from_directory_node(), receive_from_directory_node),
    ];
    insta::assert_snapshot!(tables.join("\n\n"));
}

/// Each question of a channel is granted by just one kind of answer, and may be refused.
fn check_exchange<M: Request>(requests: &[M], answers: &[M::Answer]) {
    for (id, question) in requests.iter().filter_map(Request::question) {
        let good: Vec<_> = answers
            .iter()
            .filter_map(M::answer)
            .filter(|(answered, answer)| *answered == id && question.is_answered_by(*answer))
            .map(|(_, answer)| answer)
            .collect();
        assert_eq!(good.len(), 2, "{question:?}");
        assert!(
            good.contains(&Answer::Granted(question)) && good.contains(&Answer::Refused(ErrorCode::Internal))
        );
    }
}

#[test]
fn every_request_has_one_kind_of_answer_and_a_refusal() {
    check_exchange(&to_registrar(), &from_registrar());
    check_exchange(&to_server(), &from_server());
    check_exchange(&to_peer_server(), &from_peer_server());
    check_exchange(&to_directory_node(), &from_directory_node());
}

/// One side of the conversation between two ends that follow the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Both {
    client: ClientEnd,
    server: ServerEnd,
}

/// What an end that follows the rules may send: the client what the server's table takes in the state that the client
/// believes in, the server answers to what it waits for.
#[test]
fn ends_that_follow_the_rules_never_break_them() {
    use std::collections::BTreeSet;

    let believed = |client| match client {
        ClientEnd::AwaitingGreeting | ClientEnd::Closing => None,
        ClientEnd::AwaitingLogin => Some(ServerEnd::AwaitingLogin),
        ClientEnd::AwaitingLoginAnswer => Some(ServerEnd::AwaitingLoginAnswer),
        ClientEnd::LoggedIn => Some(ServerEnd::AwaitingRequest),
        ClientEnd::AwaitingLogoutAnswer => Some(ServerEnd::AwaitingLogoutAnswer),
    };
    let server_may_send = |server, message: &FromServer| match message {
        FromServer::Greeting(_) => false,
        FromServer::LoggedIn(_) => server == ServerEnd::AwaitingLoginAnswer,
        FromServer::LoggedOut(_) => server == ServerEnd::AwaitingLogoutAnswer,
        FromServer::PreferencesSet(_)
        | FromServer::Address(_)
        | FromServer::RelayIncoming(_)
        | FromServer::RelayOpened(_)
        | FromServer::RelayData(_)
        | FromServer::RelayCredit(_)
        | FromServer::RelayClose(_)
        | FromServer::Replaced(_) => {
            matches!(server, ServerEnd::AwaitingRequest | ServerEnd::AwaitingLogoutAnswer)
        }
        FromServer::Refused(_) => !matches!(server, ServerEnd::AwaitingLogin | ServerEnd::Closing),
        FromServer::Ping(_) | FromServer::Pong(_) | FromServer::Goodbye(_) | FromServer::Error(_) => {
            server != ServerEnd::Closing
        }
    };
    let start = Both { client: ClientEnd::AwaitingLogin, server: ServerEnd::AwaitingLogin };
    let (mut seen, mut open) = (BTreeSet::from([start.clone()]), vec![start]);
    while let Some(both) = open.pop() {
        let mut next = Vec::new();
        for message in to_server() {
            let sends = believed(both.client)
                .is_some_and(|server: ServerEnd| server.receive(&message) == Reception::Accepted);
            if sends {
                assert_ne!(both.server.receive(&message), Reception::ProtocolError, "{both:?} {message:?}");
                if both.server.receive(&message) == Reception::Accepted {
                    let server = both.server.after_receiving(&message);
                    next.push(Both { client: both.client.after_sending(&message), server });
                }
            }
        }
        for message in from_server().into_iter().filter(|message| server_may_send(both.server, message)) {
            assert_ne!(both.client.receive(&message), Reception::ProtocolError, "{both:?} {message:?}");
            if both.client.receive(&message) == Reception::Accepted {
                let server = both.server.after_sending(&message);
                next.push(Both { client: both.client.after_receiving(&message), server });
            }
        }
        open.extend(next.into_iter().filter(|both| seen.insert(both.clone())));
    }
    assert!(seen.contains(&Both { client: ClientEnd::LoggedIn, server: ServerEnd::AwaitingRequest }));
}
