//! The dialling end of the suite: a client, a server or somebody who registers, and what each asks.

use std::ops::{Deref, DerefMut};

use antiphon_protocol::{
    cbor,
    connection::{Dialler, DiallingEnd, Ended, SendError},
    message::{ChannelMessage as _, LinkMessage},
};
use antiphon_spec::{
    channel::{Answer, Request as _},
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle, UserHandle},
    message::{
        client_server::{FromServer, LoggedIn, Login, Logout, Lookup, SetPreferences, ToServer},
        common::RequestId,
        server_server::{
            CheckIn, CheckOut, CheckedOut, FromPeerServer, LoginEpoch, Profile, ProfileVersion, Renew,
            Replace, Resolve, Store, ToPeerServer,
        },
    },
};
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};

use super::{Done, LONG_PATIENCE, asked::Asks, expect_equal, profile, want};
use crate::{case::Failure, process::PATIENCE};

/// The message that answers.
type AnswerOf<M> = <M as antiphon_protocol::message::DiallerMessage>::Answer;

/// A connection on which the suite asks the server under test.
pub(in crate::live) struct Link<M: Asks> {
    connection: DiallingEnd<TcpStream, M>,
    last: u64,
    probes: u64,
}

/// A server's connection.
pub(in crate::live) type PeerLink = Link<ToPeerServer>;

impl<M: Asks> Link<M> {
    pub(in crate::live) async fn dial(
        dialler: &Dialler,
        address: ContactAddress,
        whom: &Identity,
    ) -> Result<Self, Failure> {
        match dialler.dial(address, whom, None).await {
            Ok((_, connection)) => Ok(Self { connection, last: 0, probes: 0 }),
            Err(error) => {
                Err(Failure::unexpected("a connection with a greeting", format!("{error}: {error:?}")))
            }
        }
    }

    /// As [`Link::dial`], over a stream that is there.
    pub(in crate::live) async fn dial_over(
        dialler: &Dialler,
        stream: TcpStream,
        whom: &Identity,
    ) -> Result<Self, Failure> {
        match dialler.dial_over(stream, whom, None).await {
            Ok((_, connection)) => Ok(Self { connection, last: 0, probes: 0 }),
            Err(error) => {
                Err(Failure::unexpected("a connection with a greeting", format!("{error}: {error:?}")))
            }
        }
    }

    /// The ID of the next request.
    pub(in crate::live) fn id(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    /// The ID of the last request.
    pub(in crate::live) fn last_id(&self) -> RequestId {
        RequestId(self.last)
    }

    pub(in crate::live) async fn send(&mut self, message: &M) -> Done {
        match timeout(PATIENCE, self.connection.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(Failure::unexpected("a connection that goes on", format!("{error}: {error:?}")))
            }
            Err(_) => Err(Failure::unexpected("an end that reads", "nothing was read")),
        }
    }

    /// Sends; false when the peer has ended the connection.
    pub(in crate::live) async fn send_unless_ended(&mut self, message: &M) -> Result<bool, Failure> {
        match timeout(PATIENCE, self.connection.send(message)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(SendError::Lost(_))) => Ok(false),
            Ok(Err(error)) => Err(Failure::harness(error)),
            Err(_) => Err(Failure::unexpected("an end that reads, or that ends the connection", "neither")),
        }
    }

    async fn send_item(&mut self, message: &impl Serialize) -> Done {
        let item = cbor::encode(message).map_err(Failure::harness)?;
        self.send_frame(&item).await
    }

    /// Sends a frame around whatever bytes.
    pub(in crate::live) async fn send_frame(&mut self, item: &[u8]) -> Done {
        let sent = self.connection.writer().send_unchecked_frame(item).await;
        sent.map_err(|error| Failure::unexpected("a connection that goes on", error))
    }

    async fn receive(&mut self) -> Result<AnswerOf<M>, Ended> {
        loop {
            let message = self.connection.receive().await?;
            let Some(LinkMessage::Ping(number)) = message.link() else { return Ok(message) };
            // That the peer may have gone meanwhile shows when the next message is awaited.
            let _ = self.connection.send(&M::pong(number)).await;
        }
    }

    /// The next message is a ping, which is not answered; returns its number.
    pub(in crate::live) async fn pinged(&mut self) -> Result<u64, Failure> {
        match timeout(LONG_PATIENCE, self.connection.receive()).await {
            Ok(Ok(message)) => match message.link() {
                Some(LinkMessage::Ping(number)) => Ok(number),
                Some(_) | None => Err(Failure::unexpected("a ping", format!("{message:?}"))),
            },
            Ok(Err(ended)) => Err(Failure::unexpected("a ping", ended)),
            Err(_) => Err(Failure::unexpected("a ping", "nothing")),
        }
    }

    pub(in crate::live) async fn pong(&mut self, number: u64) -> Done {
        self.send(&M::pong(number)).await
    }

    /// Nothing more comes but, possibly, an error, and then the end.
    pub(in crate::live) async fn given_up(&mut self) -> Done {
        match timeout(LONG_PATIENCE, self.connection.receive()).await {
            Ok(Err(Ended::Error(_) | Ended::Lost(_))) => Ok(()),
            Ok(Err(ended)) => Err(Failure::unexpected("a connection that is given up", ended)),
            Ok(Ok(message)) => {
                Err(Failure::unexpected("a connection that is given up", format!("{message:?}")))
            }
            Err(_) => Err(Failure::unexpected("a connection that is given up", "it goes on")),
        }
    }

    /// The next message that is no ping.
    pub(in crate::live) async fn next(&mut self) -> Result<AnswerOf<M>, Failure> {
        match timeout(PATIENCE, self.receive()).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(ended)) => Err(Failure::unexpected("a message", format!("{ended}: {ended:?}"))),
            Err(_) => Err(Failure::unexpected("a message", format!("none within {} s", PATIENCE.as_secs()))),
        }
    }

    /// The bytes of the next message.
    pub(in crate::live) async fn next_frame(&mut self) -> Result<Vec<u8>, Failure> {
        match timeout(PATIENCE, self.connection.reader().receive_frame()).await {
            Ok(Ok(Some(frame))) => Ok(frame.to_vec()),
            Ok(Ok(None)) => Err(Failure::unexpected("a frame", "the end of the stream")),
            Ok(Err(ended)) => Err(Failure::unexpected("a frame", ended)),
            Err(_) => Err(Failure::unexpected("a frame", format!("none within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Asks and takes the next message as the answer.
    pub(in crate::live) async fn ask(&mut self, request: M) -> Result<AnswerOf<M>, Failure> {
        self.send(&request).await?;
        self.next().await
    }

    /// A sign of life: nothing else has come, and whatever was sent before this is with the server.
    pub(in crate::live) async fn probe(&mut self) -> Done {
        self.probes += 1;
        let probe = self.probes;
        self.send(&M::ping(probe)).await?;
        let message = self.next().await?;
        match message.link() {
            Some(LinkMessage::Pong(number)) if number == probe => Ok(()),
            _ => Err(Failure::unexpected("the pong and nothing before it", format!("{message:?}"))),
        }
    }

    /// The next message refuses the request of this ID with this code.
    pub(in crate::live) async fn is_refused(&mut self, id: RequestId, code: ErrorCode) -> Done {
        let message = self.next().await?;
        match M::answer(&message) {
            Some((of, Answer::Refused(with))) if (of, with) == (id, code) => Ok(()),
            _ => Err(Failure::unexpected(
                format!("a refusal of request {} with {code}", id.0),
                format!("{message:?}"),
            )),
        }
    }

    /// As [`Link::is_refused`], for what may take as long as a request may stay open elsewhere.
    pub(in crate::live) async fn is_refused_at_last(&mut self, id: RequestId, code: ErrorCode) -> Done {
        let expected = || format!("a refusal of request {} with {code}", id.0);
        let message = match timeout(LONG_PATIENCE, self.receive()).await {
            Ok(Ok(message)) => message,
            Ok(Err(ended)) => return Err(Failure::unexpected(expected(), ended)),
            Err(_) => return Err(Failure::unexpected(expected(), "nothing")),
        };
        match M::answer(&message) {
            Some((of, Answer::Refused(with))) if (of, with) == (id, code) => Ok(()),
            _ => Err(Failure::unexpected(expected(), format!("{message:?}"))),
        }
    }

    /// The next thing that comes is an error with this code.
    pub(in crate::live) async fn closed_with(&mut self, code: ErrorCode) -> Done {
        match timeout(PATIENCE, self.receive()).await {
            Ok(Err(Ended::Error(with))) if with == code => Ok(()),
            Ok(Err(ended)) => {
                Err(Failure::unexpected(format!("an error with {code}"), format!("{ended}: {ended:?}")))
            }
            Ok(Ok(message)) => {
                Err(Failure::unexpected(format!("an error with {code}"), format!("{message:?}")))
            }
            Err(_) => Err(Failure::unexpected(format!("an error with {code}"), "nothing")),
        }
    }

    /// The next thing that comes is goodbye.
    async fn goodbye(&mut self) -> Done {
        match timeout(PATIENCE, self.receive()).await {
            Ok(Err(Ended::Done)) => Ok(()),
            Ok(Err(ended)) => Err(Failure::unexpected("goodbye", format!("{ended}: {ended:?}"))),
            Ok(Ok(message)) => Err(Failure::unexpected("goodbye", format!("{message:?}"))),
            Err(_) => Err(Failure::unexpected("goodbye", "nothing")),
        }
    }
}

/// A user's client: its connection, and the address that it gives.
pub(in crate::live::server) struct Client {
    link: Link<ToServer>,
    address: ContactAddress,
}

impl Deref for Client {
    type Target = Link<ToServer>;

    fn deref(&self) -> &Self::Target {
        &self.link
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.link
    }
}

impl Client {
    pub(super) fn new(link: Link<ToServer>, address: ContactAddress) -> Self {
        Self { link, address }
    }

    pub(in crate::live::server) fn address(&self) -> ContactAddress {
        self.address
    }

    pub(in crate::live::server) async fn ask_login(&mut self) -> Done {
        let (id, address) = (self.id(), self.address);
        self.send(&ToServer::Login(Login { id, address })).await
    }

    /// The login that was asked for last is granted.
    pub(in crate::live::server) async fn logged_in(&mut self) -> Result<LoggedIn, Failure> {
        let (id, message) = (self.last_id(), self.next().await?);
        want!(message, FromServer::LoggedIn(body) if body.id == id => body; "logged-in")
    }

    pub(in crate::live::server) async fn login_refused(&mut self, code: ErrorCode) -> Done {
        let id = self.last_id();
        self.is_refused(id, code).await
    }

    /// Whether the login that was asked for last is granted; if not, it has to be refused with this code.
    pub(in crate::live::server) async fn logged_in_or_refused(
        &mut self,
        code: ErrorCode,
    ) -> Result<bool, Failure> {
        let (id, message) = (self.last_id(), self.next().await?);
        match ToServer::answer(&message) {
            Some((of, Answer::Granted(_))) if of == id => Ok(true),
            Some((of, Answer::Refused(with))) if (of, with) == (id, code) => Ok(false),
            _ => Err(Failure::unexpected(
                format!("logged-in, or a refusal with {code}"),
                format!("{message:?}"),
            )),
        }
    }

    pub(in crate::live::server) async fn log_in(&mut self) -> Result<LoggedIn, Failure> {
        self.ask_login().await?;
        self.logged_in().await
    }

    pub(in crate::live::server) async fn ask_logout(&mut self) -> Result<RequestId, Failure> {
        let id = self.id();
        self.send(&ToServer::Logout(Logout { id })).await?;
        Ok(id)
    }

    /// The logout of this ID is answered, and goodbye follows.
    pub(in crate::live::server) async fn logged_out(&mut self, id: RequestId) -> Done {
        want!(self.next().await?, FromServer::LoggedOut(body) if body.id == id => (); "logged-out")?;
        self.goodbye().await
    }

    pub(in crate::live::server) async fn log_out(&mut self) -> Done {
        let id = self.ask_logout().await?;
        self.logged_out(id).await
    }

    /// The client is told that a newer login took its place, then goodbye; returns the epoch that is over.
    pub(in crate::live::server) async fn replaced(&mut self) -> Result<LoginEpoch, Failure> {
        let epoch = want!(self.next().await?, FromServer::Replaced(body) => body.epoch; "replaced")?;
        self.goodbye().await?;
        Ok(epoch)
    }

    pub(in crate::live::server) async fn ask_lookup(
        &mut self,
        user: &UserHandle,
    ) -> Result<RequestId, Failure> {
        let id = self.id();
        self.send(&ToServer::Lookup(Lookup { id, user: user.clone() })).await?;
        Ok(id)
    }

    pub(in crate::live::server) async fn lookup(
        &mut self,
        user: &UserHandle,
    ) -> Result<Result<ContactAddress, ErrorCode>, Failure> {
        let id = self.ask_lookup(user).await?;
        want!(
            self.next().await?,
            FromServer::Address(body) if body.id == id => Ok(body.address),
            FromServer::Refused(body) if body.id == id => Err(body.code);
            "address or refused"
        )
    }

    /// Asks to replace the preferences of the profile's version.
    pub(in crate::live::server) async fn ask_set(&mut self, profile: &Profile) -> Result<RequestId, Failure> {
        let (id, version, messaging) = (self.id(), profile.version, profile.messaging.clone());
        self.send(&ToServer::SetPreferences(SetPreferences { id, version, messaging })).await?;
        Ok(id)
    }

    pub(in crate::live::server) async fn set(
        &mut self,
        profile: &Profile,
    ) -> Result<Result<ProfileVersion, ErrorCode>, Failure> {
        let id = self.ask_set(profile).await?;
        want!(
            self.next().await?,
            FromServer::PreferencesSet(body) if body.id == id => Ok(body.version),
            FromServer::Refused(body) if body.id == id => Err(body.code);
            "preferences-set or refused"
        )
    }

    /// Puts these people on the user's allow list, in version 0 of the profile.
    pub(in crate::live::server) async fn allows(&mut self, people: &[&UserHandle]) -> Done {
        let texts: Vec<String> = people.iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let set = self.set(&profile(0, &[], &texts, true)).await?;
        expect_equal("set", &Ok(ProfileVersion(1)), &set)
    }

    /// Asks to replace version 0 by lists that may be no lists of the protocol.
    pub(in crate::live::server) async fn send_lists(&mut self, deny: &[String], allow: &[String]) -> Done {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Message<'a> {
            SetPreferences { id: RequestId, version: u64, messaging: Lists<'a> },
        }
        let (id, messaging) = (self.id(), Lists { deny, allow, default: "allow" });
        self.send_item(&Message::SetPreferences { id, version: 0, messaging }).await
    }

    /// Ends the connection without a word.
    #[expect(clippy::unused_async, reason = "one of several ways to go, of which the others wait")]
    pub(in crate::live::server) async fn cut(self) -> Done {
        drop(self);
        Ok(())
    }

    pub(in crate::live::server) async fn say_goodbye(self) -> Done {
        self.link.connection.goodbye().await.map_err(Failure::harness)
    }

    pub(in crate::live::server) async fn say_error(self) -> Done {
        self.link.connection.close_with_error(ErrorCode::Internal).await.map_err(Failure::harness)
    }

    /// Sends an empty frame, and is closed for it.
    pub(in crate::live::server) async fn break_a_rule(mut self) -> Done {
        let sent = self.link.connection.writer().send_unchecked_frame(&[]).await;
        sent.map_err(Failure::harness)?;
        self.closed_with(ErrorCode::FrameLength).await
    }
}

/// Preferences as they look on the wire, whatever they hold.
#[derive(Serialize)]
struct Lists<'a> {
    deny: &'a [String],
    allow: &'a [String],
    default: &'a str,
}

impl PeerLink {
    pub(in crate::live::server) async fn try_check_out(
        &mut self,
        user: ObjectHandle,
    ) -> Result<Result<CheckedOut, ErrorCode>, Failure> {
        let id = self.id();
        want!(
            self.ask(ToPeerServer::CheckOut(CheckOut { id, user })).await?,
            FromPeerServer::CheckedOut(body) if body.id == id => Ok(body),
            FromPeerServer::Refused(body) if body.id == id => Err(body.code);
            "checked-out or refused"
        )
    }

    pub(in crate::live::server) async fn check_out(
        &mut self,
        user: ObjectHandle,
    ) -> Result<CheckedOut, Failure> {
        self.try_check_out(user).await?.map_err(|code| Failure::unexpected("checked-out", code))
    }

    pub(in crate::live::server) async fn check_in(&mut self, user: ObjectHandle, epoch: LoginEpoch) -> Done {
        let id = self.id();
        let answer = self.ask(ToPeerServer::CheckIn(CheckIn { id, user, epoch })).await?;
        want!(answer, FromPeerServer::CheckedIn(body) if body.id == id => (); "checked-in")
    }

    /// Asks for a new lease of a login epoch, which is told in seconds.
    pub(in crate::live::server) async fn renew(
        &mut self,
        user: ObjectHandle,
        epoch: LoginEpoch,
    ) -> Result<Result<u64, ErrorCode>, Failure> {
        let id = self.id();
        want!(
            self.ask(ToPeerServer::Renew(Renew { id, user, epoch })).await?,
            FromPeerServer::Renewed(body) if body.id == id => Ok(body.lease),
            FromPeerServer::Refused(body) if body.id == id => Err(body.code);
            "renewed or refused"
        )
    }

    /// Stores the profile's preferences in place of its version.
    pub(in crate::live::server) async fn store(
        &mut self,
        user: ObjectHandle,
        epoch: LoginEpoch,
        profile: &Profile,
    ) -> Result<Result<ProfileVersion, ErrorCode>, Failure> {
        let (id, version, messaging) = (self.id(), profile.version, profile.messaging.clone());
        want!(
            self.ask(ToPeerServer::Store(Store { id, user, epoch, version, messaging })).await?,
            FromPeerServer::Stored(body) if body.id == id => Ok(body.version),
            FromPeerServer::Refused(body) if body.id == id => Err(body.code);
            "stored or refused"
        )
    }

    /// Asks to store a deny list that may be no list of the protocol.
    pub(in crate::live::server) async fn send_list(
        &mut self,
        user: ObjectHandle,
        epoch: LoginEpoch,
        version: ProfileVersion,
        deny: &[String],
    ) -> Done {
        // In the order of a map: the shorter key first.
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Message<'a> {
            Store {
                id: RequestId,
                user: ObjectHandle,
                epoch: LoginEpoch,
                version: ProfileVersion,
                messaging: Lists<'a>,
            },
        }
        let (id, messaging) = (self.id(), Lists { deny, allow: &[], default: "allow" });
        self.send_item(&Message::Store { id, user, epoch, version, messaging }).await
    }

    pub(in crate::live::server) async fn try_replace(
        &mut self,
        user: &UserHandle,
        epoch: u64,
    ) -> Result<Result<(), ErrorCode>, Failure> {
        let id = self.id();
        let replace = Replace { id, user: user.clone(), epoch: LoginEpoch(epoch) };
        want!(
            self.ask(ToPeerServer::Replace(replace)).await?,
            FromPeerServer::ReplaceDone(body) if body.id == id => Ok(()),
            FromPeerServer::Refused(body) if body.id == id => Err(body.code);
            "replace-done or refused"
        )
    }

    pub(in crate::live::server) async fn replace(&mut self, user: &UserHandle, epoch: u64) -> Done {
        self.try_replace(user, epoch).await?.map_err(|code| Failure::unexpected("replace-done", code))
    }

    pub(in crate::live::server) async fn resolve(
        &mut self,
        user: &UserHandle,
        asker: &UserHandle,
    ) -> Result<Result<ContactAddress, ErrorCode>, Failure> {
        let id = self.id();
        let resolve = Resolve { id, user: user.clone(), asker: asker.clone() };
        want!(
            self.ask(ToPeerServer::Resolve(resolve)).await?,
            FromPeerServer::Resolved(body) if body.id == id => Ok(body.address),
            FromPeerServer::Refused(body) if body.id == id => Err(body.code);
            "resolved or refused"
        )
    }
}
