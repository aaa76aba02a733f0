//! One good message of every kind and direction.

use std::sync::Arc;

use antiphon_protocol::{cbor, channel::Channel};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, UserHandle},
    media_type::MediaTypes,
    message::{
        client_client::*,
        client_server::*,
        common::*,
        link::{Counted, Keep, Kept, LinkName, Patience, Resume},
        location::*,
        registration::*,
        relay::*,
        server_server::*,
    },
    policy::{HandleSet, Preferences, Verdict},
    session::{Change, Epoch, EpochHash, EpochNumber, Member, Nonce, Origin, RelayTag, SessionId},
    signed::Signed,
};
use serde::Serialize;

use super::{GeneratorError, Made};

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The dialling end.
    FromDialler,
    /// The accepting end.
    FromAcceptor,
}

impl Direction {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::FromDialler => "from-dialler",
            Self::FromAcceptor => "from-acceptor",
        }
    }
}

/// A good message.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Its name, or what tells it apart.
    pub(crate) name: String,
    pub(crate) channel: Channel,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

/// The channel as the vectors name it.
pub(crate) const fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Registration => "registration",
        Channel::ClientServer => "client-server",
        Channel::ServerServer => "server-server",
        Channel::ClientClient => "client-client",
        Channel::Location => "location",
    }
}

/// The handle of a person of the vectors.
pub(crate) fn handle(number: u8) -> Made<UserHandle> {
    let home = if number.is_multiple_of(2) { "two.example" } else { "one.example" };
    let home = home.parse().map_err(GeneratorError::new)?;
    Ok(UserHandle { id: ObjectHandle([number; 16]), home })
}

/// An address of the vectors.
pub(crate) fn address(number: u8) -> antiphon_spec::identity::ContactAddress {
    antiphon_spec::identity::ContactAddress(std::net::SocketAddr::from(([192, 0, 2, number], 5000)))
}

/// A list of media types.
pub(crate) fn media_types(types: &[&str]) -> Made<MediaTypes> {
    let types = types.iter().map(|listed| listed.parse()).collect::<Result<Vec<_>, _>>();
    types.map_err(GeneratorError::new)?.try_into().map_err(GeneratorError::new)
}

/// A member of the vectors, with a key that nobody holds.
pub(crate) fn member(number: u8) -> Made<Member> {
    Ok(Member {
        key: KeyHash([number; 32]),
        relay: RelayTag([number; 16]),
        handle: handle(number)?,
        accepts: media_types(&["image/png"])?,
    })
}

fn preferences() -> Made<Preferences> {
    let set = |handles: Vec<UserHandle>| HandleSet::try_from(handles).map_err(GeneratorError::new);
    Ok(Preferences {
        deny: set(vec![handle(7)?])?,
        allow: set(vec![handle(3)?, handle(4)?])?,
        default: Verdict::Deny,
    })
}

/// An epoch with two members.
pub(crate) fn epoch() -> Made<Epoch> {
    let first =
        Epoch::first(SessionId([9; 32]), Origin { key: KeyHash([1; 32]), nonce: Nonce([8; 16]) }, member(1)?);
    first.next(EpochHash([6; 32]), Change::Join(member(2)?)).map_err(GeneratorError::new)
}

struct Samples(Vec<Sample>);

impl Samples {
    fn add<T: Serialize>(
        &mut self,
        name: &str,
        channel: Channel,
        direction: Direction,
        message: &T,
    ) -> Made<()> {
        let bytes = cbor::encode(message).map_err(GeneratorError::new)?;
        self.0.push(Sample { name: name.to_owned(), channel, direction, bytes });
        Ok(())
    }
}

/// Every message, once.
pub(crate) fn all() -> Made<Vec<Sample>> {
    let mut samples = Samples(Vec::new());
    registration(&mut samples)?;
    client_server(&mut samples)?;
    server_server(&mut samples)?;
    location(&mut samples)?;
    client_client(&mut samples)?;
    Ok(samples.0)
}

macro_rules! link_messages {
    ($samples:ident, $channel:ident, $to:ident, $from:ident) => {
        for (name, message) in [
            ("ping", $to::Ping(Ping { number: 1 })),
            ("pong", $to::Pong(Pong { number: 23 })),
            ("goodbye", $to::Goodbye(Goodbye {})),
            ("error", $to::Error(Error { code: ErrorCode::ShuttingDown })),
        ] {
            $samples.add(name, Channel::$channel, Direction::FromDialler, &message)?;
        }
        for (name, message) in [
            ("greeting", $from::Greeting(Greeting { version: PROTOCOL_VERSION })),
            ("ping", $from::Ping(Ping { number: 24 })),
            ("pong", $from::Pong(Pong { number: u64::MAX })),
            ("goodbye", $from::Goodbye(Goodbye {})),
            ("error", $from::Error(Error { code: ErrorCode::Malformed })),
        ] {
            $samples.add(name, Channel::$channel, Direction::FromAcceptor, &message)?;
        }
    };
}

const ID: RequestId = RequestId(5);

fn registration(samples: &mut Samples) -> Made<()> {
    link_messages!(samples, Registration, ToRegistrar, FromRegistrar);
    let key = antiphon_protocol::key::KeyPair::from_seed(&[1; 32]).map_err(GeneratorError::new)?;
    let possession = Possession { key: key.public_key_der().to_vec(), server: handle(1)?.home };
    let proof = antiphon_protocol::signed::sign(&key, &possession).map_err(GeneratorError::new)?;
    let register = Register {
        id: ID,
        key: key.public_key_der().to_vec(),
        code: "two-hearts-1914".parse().map_err(GeneratorError::new)?,
        proof,
    };
    samples.add(
        "register",
        Channel::Registration,
        Direction::FromDialler,
        &ToRegistrar::Register(register),
    )?;
    let successor = antiphon_protocol::key::KeyPair::from_seed(&[2; 32]).map_err(GeneratorError::new)?;
    let succession = Succession {
        key: key.public_key_der().to_vec(),
        server: handle(1)?.home,
        successor: successor.public_key_der().to_vec(),
    };
    let signed = |by| antiphon_protocol::signed::sign(by, &succession).map_err(GeneratorError::new);
    let rotate = Rotate {
        id: ID,
        key: succession.key.clone(),
        proof: signed(&successor)?,
        consent: signed(&key)?,
        successor: succession.successor.clone(),
    };
    samples.add("rotate", Channel::Registration, Direction::FromDialler, &ToRegistrar::Rotate(rotate))?;
    let chain = vec![serde_bytes::ByteBuf::from([0x30, 0]), serde_bytes::ByteBuf::from([0x30, 1, 0])];
    for (name, message) in [
        (
            "registered",
            FromRegistrar::Registered(Registered { id: ID, chain: chain.clone(), handle: handle(1)? }),
        ),
        ("rotated", FromRegistrar::Rotated(Registered { id: ID, chain, handle: handle(1)? })),
        ("refused", FromRegistrar::Refused(Refused { id: ID, code: ErrorCode::ProofRefused })),
    ] {
        samples.add(name, Channel::Registration, Direction::FromAcceptor, &message)?;
    }
    Ok(())
}

const LINK: LinkNumber = LinkNumber(301);

fn member_called() -> Made<Called> {
    Ok(Called::Member(TaggedUser { relay: RelayTag([2; 16]), handle: handle(2)? }))
}

fn relay_data(bytes: &[u8]) -> Made<RelayData> {
    Ok(RelayData { link: LINK, bytes: bytes.to_vec().try_into().map_err(GeneratorError::new)? })
}

fn relay_credit(bytes: u64) -> Made<RelayCredit> {
    Ok(RelayCredit { link: LINK, bytes: bytes.try_into().map_err(GeneratorError::new)? })
}

fn client_server(samples: &mut Samples) -> Made<()> {
    link_messages!(samples, ClientServer, ToServer, FromServer);
    let (version, messaging) = (ProfileVersion(300), preferences()?);
    for (name, message) in [
        ("login", ToServer::Login(Login { id: ID, address: address(1) })),
        (
            "set-preferences",
            ToServer::SetPreferences(SetPreferences { id: ID, version, messaging: messaging.clone() }),
        ),
        ("lookup", ToServer::Lookup(Lookup { id: ID, user: handle(2)? })),
        ("logout", ToServer::Logout(Logout { id: ID })),
        ("relay-expect", ToServer::RelayExpect(RelayExpect { relay: RelayTag([3; 16]) })),
        ("relay-forget", ToServer::RelayForget(RelayForget { relay: RelayTag([3; 16]) })),
        ("relay-open-user", ToServer::RelayOpen(RelayOpen { link: LINK, called: Called::User(handle(2)?) })),
        ("relay-open-member", ToServer::RelayOpen(RelayOpen { link: LINK, called: member_called()? })),
        ("relay-opened", ToServer::RelayOpened(RelayOpened { link: LINK })),
        ("relay-data", ToServer::RelayData(relay_data(b"sealed")?)),
        ("relay-credit", ToServer::RelayCredit(relay_credit(1)?)),
        ("relay-close", ToServer::RelayClose(RelayClose { link: LINK })),
    ] {
        samples.add(name, Channel::ClientServer, Direction::FromDialler, &message)?;
    }
    let profile = Profile { version, messaging };
    for (name, message) in [
        ("logged-in", FromServer::LoggedIn(LoggedIn { id: ID, epoch: LoginEpoch(70_000), profile })),
        ("preferences-set", FromServer::PreferencesSet(PreferencesSet { id: ID, version })),
        ("address", FromServer::Address(Address { id: ID, address: address(2) })),
        ("logged-out", FromServer::LoggedOut(LoggedOut { id: ID })),
        ("refused", FromServer::Refused(Refused { id: ID, code: ErrorCode::Unavailable })),
        ("replaced", FromServer::Replaced(Replaced { epoch: LoginEpoch(5_000_000_000) })),
        ("relay-incoming", FromServer::RelayIncoming(RelayIncoming { link: LINK, caller: handle(1)? })),
        ("relay-opened", FromServer::RelayOpened(RelayOpened { link: LINK })),
        ("relay-data", FromServer::RelayData(relay_data(b"sealed")?)),
        ("relay-credit", FromServer::RelayCredit(relay_credit(70)?)),
        ("relay-close", FromServer::RelayClose(RelayClose { link: LINK })),
    ] {
        samples.add(name, Channel::ClientServer, Direction::FromAcceptor, &message)?;
    }
    Ok(())
}

fn server_server(samples: &mut Samples) -> Made<()> {
    link_messages!(samples, ServerServer, ToPeerServer, FromPeerServer);
    let (user, epoch, version) = (ObjectHandle([2; 16]), LoginEpoch(3), ProfileVersion(0));
    for (name, message) in [
        ("check-out", ToPeerServer::CheckOut(CheckOut { id: ID, user })),
        ("store", ToPeerServer::Store(Store { id: ID, user, epoch, version, messaging: preferences()? })),
        ("renew", ToPeerServer::Renew(Renew { id: ID, user, epoch })),
        ("check-in", ToPeerServer::CheckIn(CheckIn { id: ID, user, epoch })),
        ("replace", ToPeerServer::Replace(Replace { id: ID, user: handle(2)?, epoch })),
        ("resolve", ToPeerServer::Resolve(Resolve { id: ID, user: handle(2)?, asker: handle(1)? })),
        (
            "relay-call",
            ToPeerServer::RelayCall(RelayCall { link: LINK, called: member_called()?, caller: handle(1)? }),
        ),
        ("relay-data", ToPeerServer::RelayData(relay_data(b"sealed")?)),
        ("relay-credit", ToPeerServer::RelayCredit(relay_credit(70)?)),
        ("relay-close", ToPeerServer::RelayClose(RelayClose { link: LINK })),
    ] {
        samples.add(name, Channel::ServerServer, Direction::FromDialler, &message)?;
    }
    let profile = Profile { version, messaging: Preferences::default() };
    for (name, message) in [
        ("checked-out", FromPeerServer::CheckedOut(CheckedOut { id: ID, epoch, lease: 300, profile })),
        ("stored", FromPeerServer::Stored(Stored { id: ID, version: ProfileVersion(1) })),
        ("renewed", FromPeerServer::Renewed(Renewed { id: ID, lease: 300 })),
        ("checked-in", FromPeerServer::CheckedIn(CheckedIn { id: ID })),
        ("replace-done", FromPeerServer::ReplaceDone(ReplaceDone { id: ID })),
        ("resolved", FromPeerServer::Resolved(Resolved { id: ID, address: address(2) })),
        ("relay-opened", FromPeerServer::RelayOpened(RelayOpened { link: LINK })),
        ("relay-data", FromPeerServer::RelayData(relay_data(b"sealed")?)),
        ("relay-credit", FromPeerServer::RelayCredit(relay_credit(70)?)),
        ("relay-close", FromPeerServer::RelayClose(RelayClose { link: LINK })),
        ("refused", FromPeerServer::Refused(Refused { id: ID, code: ErrorCode::NoSuchUser })),
    ] {
        samples.add(name, Channel::ServerServer, Direction::FromAcceptor, &message)?;
    }
    Ok(())
}

fn location(samples: &mut Samples) -> Made<()> {
    link_messages!(samples, Location, ToDirectoryNode, FromDirectoryNode);
    let handle_of = ObjectHandle::SERVERS;
    let record = ContactRecord { epoch: LoginEpoch(1), server: handle(1)?.home, address: address(1) };
    let (node, number) = (handle(1)?.home, PointerNumber(7));
    let pointer = ForwardingPointer { node, epoch: LoginEpoch(1), number, address: address(1) };
    for (name, message) in [
        ("issue", ToDirectoryNode::Issue(Issue { id: ID })),
        (
            "insert",
            ToDirectoryNode::Insert(Insert {
                id: ID,
                handle: handle_of,
                record: record.clone(),
                if_absent: false,
            }),
        ),
        ("delete", ToDirectoryNode::Delete(Delete { id: ID, handle: handle_of, record: record.clone() })),
        ("find", ToDirectoryNode::Find(Find { id: ID, hops: 0, handle: handle_of })),
        (
            "insert-pointer",
            ToDirectoryNode::InsertPointer(InsertPointer {
                id: ID,
                handle: handle_of,
                pointer,
                if_absent: true,
            }),
        ),
        (
            "delete-pointer",
            ToDirectoryNode::DeletePointer(DeletePointer {
                id: ID,
                handle: handle_of,
                number: PointerNumber(7),
            }),
        ),
        (
            "supersede",
            ToDirectoryNode::Supersede(Supersede { id: ID, epoch: LoginEpoch(2), handle: handle_of }),
        ),
    ] {
        samples.add(name, Channel::Location, Direction::FromDialler, &message)?;
    }
    for (name, message) in [
        ("issued", FromDirectoryNode::Issued(Issued { id: ID, handle: ObjectHandle([3; 16]) })),
        ("inserted", FromDirectoryNode::Inserted(Inserted { id: ID, lease: 300 })),
        ("deleted", FromDirectoryNode::Deleted(Deleted { id: ID })),
        ("found", FromDirectoryNode::Found(Found { id: ID, records: vec![record] })),
        ("pointer-inserted", FromDirectoryNode::PointerInserted(PointerInserted { id: ID, lease: 300 })),
        ("pointer-deleted", FromDirectoryNode::PointerDeleted(PointerDeleted { id: ID })),
        ("superseded", FromDirectoryNode::Superseded(Superseded { id: ID })),
        ("refused", FromDirectoryNode::Refused(Refused { id: ID, code: ErrorCode::EntryExists })),
    ] {
        samples.add(name, Channel::Location, Direction::FromAcceptor, &message)?;
    }
    Ok(())
}

fn client_client(samples: &mut Samples) -> Made<()> {
    link_messages!(samples, ClientClient, ClientMessage, ClientMessage);
    let session = SessionId([9; 32]);
    let origin = Origin { key: KeyHash([1; 32]), nonce: Nonce([8; 16]) };
    let epoch = Arc::new(epoch()?);
    for (name, body) in [
        ("invite", InvitationBody::Invite(Invite { origin, lifetime: 120 })),
        (
            "join",
            InvitationBody::Join(Join { relay: RelayTag([3; 16]), accepts: media_types(&["image/png"])? }),
        ),
        ("reject", InvitationBody::Reject(Reject {})),
        ("cancel", InvitationBody::Cancel(Cancel {})),
        ("welcome", InvitationBody::Welcome(Welcome { epoch, ticket: Signed::from_bytes(vec![0x84]) })),
    ] {
        let message = ClientMessage::Invitation(InvitationMessage { body, session });
        samples.add(name, Channel::ClientClient, Direction::FromDialler, &message)?;
    }
    let grant = || Signed::from_bytes(vec![0x84, 0]);
    let join = Change::Join(member(3)?);
    let commitment = Signed::from_bytes(*b"a commitment");
    let message =
        Message { number: 1, content: Content(b"hello".as_slice().into()), media_type: "text/plain".into() };
    for (name, body) in [
        (
            "token-request-join",
            SessionBody::TokenRequest(TokenRequest { change: join.clone(), number: RequestNumber(1) }),
        ),
        (
            "token-request-leave",
            SessionBody::TokenRequest(TokenRequest {
                change: Change::Leave(handle(2)?),
                number: RequestNumber(2),
            }),
        ),
        (
            "token-refused",
            SessionBody::TokenRefused(TokenRefused {
                code: ErrorCode::AlreadyMember,
                number: RequestNumber(1),
            }),
        ),
        ("token-grant", SessionBody::TokenGrant(TokenGrant { grant: grant(), number: RequestNumber(1) })),
        ("token-return", SessionBody::TokenReturn(TokenReturn {})),
        ("admit", SessionBody::Admit(Admit { ticket: Signed::from_bytes(vec![0x84, 1]) })),
        ("admitted", SessionBody::Admitted(Admitted {})),
        ("complete", SessionBody::Complete(Complete {})),
        ("hand-over", SessionBody::HandOver(HandOver {})),
        ("hand-over-answer", SessionBody::HandOverAnswer(HandOverAnswer { accepted: true })),
        ("close-join", SessionBody::Close(Close { grant: grant(), change: join })),
        ("close-remove", SessionBody::Close(Close { grant: grant(), change: Change::Remove(handle(2)?) })),
        (
            "close-hand-over",
            SessionBody::Close(Close { grant: grant(), change: Change::HandOver(handle(2)?) }),
        ),
        ("close-void", SessionBody::Close(Close { grant: grant(), change: Change::Void(handle(3)?) })),
        ("closed", SessionBody::Closed(Closed { sent: 2 })),
        ("commit", SessionBody::Commit(Commit { commitment })),
        ("follow", SessionBody::Follow(Follow { sent: 2, leaving: false, successor: handle(1)? })),
        ("message", SessionBody::Message(message)),
        ("received", SessionBody::Received(Received { number: 1 })),
    ] {
        let message = SessionMessage { body, chain: EpochHash([4; 32]), epoch: EpochNumber(1), session };
        samples.add(name, Channel::ClientClient, Direction::FromDialler, &ClientMessage::Session(message))?;
    }
    let id = InstantId([7; 16]);
    let instant =
        Instant { id, content: Content(b"hello".as_slice().into()), media_type: "text/plain".into() };
    for (name, message) in [
        ("instant", ClientMessage::Instant(instant)),
        ("instant-received", ClientMessage::InstantReceived(InstantReceived { id })),
        ("keep", ClientMessage::Keep(Keep { link: LinkName([8; 16]), patience: Patience::MAX })),
        ("kept", ClientMessage::Kept(Kept { patience: Patience::MAX })),
        ("have", ClientMessage::Have(Counted { received: 32 })),
        (
            "resume",
            ClientMessage::Resume(Resume { link: LinkName([8; 16]), attempt: 1, session, received: 33 }),
        ),
        ("resumed", ClientMessage::Resumed(Counted { received: 0 })),
    ] {
        samples.add(name, Channel::ClientClient, Direction::FromDialler, &message)?;
    }
    Ok(())
}
