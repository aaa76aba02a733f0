//! The connection to the local server: the login that it begins with, requests with their answers, signs of life
//! (chapters *Login and logout* and *Wire*). One task each; it ends with the connection.

use std::{collections::BTreeMap, future::pending};

use antiphon_protocol::{
    connection::{Dialler, Ended, SendError, encode_message},
    message::ChannelMessage as _,
};
use antiphon_spec::{
    channel::{Answer as AnswerKind, ClientEnd, Question, Reception, Request as _},
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, UserHandle},
    limits::{KEEP_ALIVE_INTERVAL, REQUEST_DEADLINE},
    message::{
        client_server::{FromServer, Login, Logout, Lookup, SetPreferences, ToServer},
        common::RequestId,
        relay::{Called, RelayExpect, RelayForget},
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    policy::Preferences,
    session::RelayTag,
};
use tokio::{
    io::DuplexStream,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    engine::Input,
    registration::chain,
    relay::RelayedLinks,
    settings::{CLOSING_DEADLINE, ServerAddress},
};

/// Counts the engine's requests, so that answers find back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

/// What the engine asks the local server.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Where another user's client is.
    Lookup(UserHandle),
    /// A relayed link.
    Call(Called),
    /// Callers who name this tag are expected; there is no answer.
    Expect(RelayTag),
    /// They are not any more; there is no answer.
    Forget(RelayTag),
    /// New preferences for the profile of this version.
    SetPreferences(ProfileVersion, Preferences),
    /// The end of the login.
    Logout,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Where the client is.
    Address(ContactAddress),
    /// The bytes of the link.
    Relayed(DuplexStream),
    /// The profile's new version.
    PreferencesSet(ProfileVersion),
    /// The login is over.
    LoggedOut,
    /// The server does not want to.
    Refused(ErrorCode),
}

/// What the connection tells the engine.
#[derive(Debug)]
pub(super) enum News {
    /// The login stands.
    LoggedIn(LoginEpoch, Box<Profile>),
    /// There is no login, and the connection is over.
    NotLoggedIn(LoginFailure),
    /// An answer.
    Answered(Token, Answer),
    /// Somebody has opened a relayed link.
    Called(DuplexStream),
    /// A newer login took this one's place.
    Replaced(LoginEpoch),
    /// The connection of a login is over; requests without an answer will get none.
    Over(String),
}

/// Why there is no login.
#[derive(Debug)]
pub(super) enum LoginFailure {
    /// The server said no.
    Refused(ErrorCode),
    /// The server was not reached, or did not answer.
    Unreachable(String),
}

type Connection = antiphon_protocol::connection::DiallingEnd<TcpStream, ToServer>;

/// How one connection tells the engine; the number keeps the news of an earlier one apart.
#[derive(Debug)]
pub(super) struct Tell {
    pub(super) generation: u64,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl Tell {
    async fn tell(&self, news: News) {
        // Without an engine nobody is left to be told.
        let _ = self.inputs.send(Input::Server(self.generation, news)).await;
    }
}

/// Connects, logs in, serves requests until the connection ends.
pub(super) async fn run(
    dialler: Dialler,
    server: ServerAddress,
    address: ContactAddress,
    mut requests: mpsc::Receiver<(Token, Ask)>,
    tell: Tell,
) {
    let (relayed, mut outgoing) = RelayedLinks::new();
    let mut link = match connect(&dialler, &server).await {
        Ok(connection) => ServerLink::new(connection, relayed),
        Err(failure) => return tell.tell(News::NotLoggedIn(failure)).await,
    };
    match link.log_in(address).await {
        Ok(Ok((epoch, profile))) => tell.tell(News::LoggedIn(epoch, Box::new(profile))).await,
        Ok(Err(code)) => {
            link.close(None).await;
            return tell.tell(News::NotLoggedIn(LoginFailure::Refused(code))).await;
        }
        Err(end) => {
            let text = format!("{server}: {}", end.text());
            link.close(Some(end)).await;
            return tell.tell(News::NotLoggedIn(LoginFailure::Unreachable(text))).await;
        }
    }
    let end = link.serve(&mut requests, &mut outgoing, &tell).await;
    let text = format!("{server}: {}", end.text());
    link.close(Some(end)).await;
    tell.tell(News::Over(text)).await;
}

async fn connect(dialler: &Dialler, server: &ServerAddress) -> Result<Connection, LoginFailure> {
    let unreachable = |text: String| LoginFailure::Unreachable(format!("{server}: {text}"));
    let address = server.resolve().await.map_err(|error| unreachable(error.to_string()))?;
    let whom = Identity::Server(server.name.clone());
    let dialled = dialler.dial::<ToServer>(address, &whom, None).await;
    dialled.map(|(_, connection)| connection).map_err(|error| match error.code() {
        // As after a key was replaced: trying again gains nothing.
        Some(code @ ErrorCode::CertificateRefused) => LoginFailure::Refused(code),
        Some(_) | None => unreachable(chain(&error)),
    })
}

/// Why a connection ends.
enum End {
    /// By the peer, or because the stream failed.
    Peer(Ended),
    /// The stream failed while sending.
    Send(SendError),
    /// The peer broke a rule.
    Fault(ErrorCode),
    /// The peer shows no life, or does not answer.
    Silent,
    /// This end is done.
    Done,
}

impl End {
    fn text(&self) -> String {
        match self {
            Self::Peer(ended) => chain(ended),
            Self::Send(error) => chain(error),
            Self::Fault(code) => format!("the server broke a rule: {code}"),
            Self::Silent => "the server does not answer".to_owned(),
            Self::Done => "done".to_owned(),
        }
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Peer(ended)
    }
}

struct Open {
    question: Question,
    token: Token,
    deadline: Instant,
}

struct ServerLink {
    connection: Connection,
    state: ClientEnd,
    open: BTreeMap<RequestId, Open>,
    relayed: RelayedLinks,
    last_id: u64,
    /// When the peer showed life, and whether it was asked for it since.
    heard: Instant,
    asked: bool,
}

impl ServerLink {
    fn new(connection: Connection, relayed: RelayedLinks) -> Self {
        Self {
            connection,
            relayed,
            state: ClientEnd::AwaitingLogin,
            open: BTreeMap::new(),
            last_id: 0,
            heard: Instant::now(),
            asked: false,
        }
    }

    fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    async fn send(&mut self, token: Option<Token>, message: ToServer) -> Result<(), End> {
        if let Some((id, question)) = message.question() {
            let deadline = Instant::now() + REQUEST_DEADLINE;
            self.open.insert(id, Open { question, token: token.unwrap_or(Token(0)), deadline });
        }
        self.state = self.state.after_sending(&message);
        // A server that takes nothing for so long answers nothing either.
        timeout(REQUEST_DEADLINE, self.connection.send(&message)).await.map_err(|_| End::Silent)??;
        Ok(())
    }

    /// The next message that is not a sign of life, checked against the state and the open requests.
    async fn receive(&mut self) -> Result<(FromServer, Option<Token>), End> {
        loop {
            let idle = self.heard + KEEP_ALIVE_INTERVAL * if self.asked { 2 } else { 1 };
            let due = self.open.values().map(|open| open.deadline).min();
            let message = tokio::select! {
                message = self.connection.receive() => message?,
                () = sleep_until(idle) => {
                    if self.asked {
                        return Err(End::Silent);
                    }
                    self.asked = true;
                    self.send(None, ToServer::ping(0)).await?;
                    continue;
                }
                () = until(due) => return Err(End::Silent),
            };
            self.heard = Instant::now();
            self.asked = false;
            match self.state.receive(&message) {
                Reception::Accepted => {}
                Reception::Late => continue,
                Reception::ProtocolError => return Err(End::Fault(ErrorCode::UnexpectedMessage)),
            }
            let token = self.settle(&message)?;
            self.state = self.state.after_receiving(&message);
            match message {
                FromServer::Ping(ping) => self.send(None, ToServer::pong(ping.number)).await?,
                FromServer::Pong(_) => {}
                FromServer::Greeting(_)
                | FromServer::LoggedIn(_)
                | FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::LoggedOut(_)
                | FromServer::Refused(_)
                | FromServer::Replaced(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => return Ok((message, token)),
            }
        }
    }

    //= spec/text/wire.md#requests-and-answers
    //# WIRE-061: A requester MUST close with `unexpected-message` when an answer has an ID of no open request, or is of another kind than the request's.
    fn settle(&mut self, message: &FromServer) -> Result<Option<Token>, End> {
        let Some((id, answer)) = ToServer::answer(message) else { return Ok(None) };
        let open = self.open.remove(&id).filter(|open| open.question.is_answered_by(answer));
        let open = open.ok_or(End::Fault(ErrorCode::UnexpectedMessage))?;
        // What was refused was a logout: the connection goes on as if it had not been asked for.
        if matches!(answer, AnswerKind::Refused(_)) && open.question == Question::Logout {
            self.state = ClientEnd::LoggedIn;
        }
        Ok(Some(open.token))
    }

    async fn log_in(
        &mut self,
        address: ContactAddress,
    ) -> Result<Result<(LoginEpoch, Profile), ErrorCode>, End> {
        let id = self.next_id();
        self.send(None, ToServer::Login(Login { id, address })).await?;
        match self.receive().await?.0 {
            FromServer::LoggedIn(logged_in) => Ok(Ok((logged_in.epoch, logged_in.profile))),
            FromServer::Refused(refused) => Ok(Err(refused.code)),
            FromServer::Greeting(_)
            | FromServer::PreferencesSet(_)
            | FromServer::Address(_)
            | FromServer::LoggedOut(_)
            | FromServer::Replaced(_)
            | FromServer::RelayIncoming(_)
            | FromServer::RelayOpened(_)
            | FromServer::RelayData(_)
            | FromServer::RelayCredit(_)
            | FromServer::RelayClose(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_) => Err(End::Fault(ErrorCode::UnexpectedMessage)),
        }
    }

    /// Requests go out as they come, answers come in as they like.
    async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<(Token, Ask)>,
        outgoing: &mut mpsc::Receiver<ToServer>,
        tell: &Tell,
    ) -> End {
        loop {
            let due = self.relayed.due();
            let received = tokio::select! {
                request = requests.recv(), if self.state == ClientEnd::LoggedIn => match request {
                    None => return End::Done,
                    Some((token, ask)) => {
                        let message = self.message(token, ask);
                        match self.send(Some(token), message).await {
                            Ok(()) => continue,
                            Err(end) => return end,
                        }
                    }
                },
                Some(first) = outgoing.recv(), if self.state == ClientEnd::LoggedIn => {
                    match self.send_relayed(first, outgoing).await {
                        Ok(()) => continue,
                        Err(end) => return end,
                    }
                }
                () = until(due) => {
                    if let Some((token, close)) = self.relayed.give_up() {
                        tell.tell(News::Answered(token, Answer::Refused(ErrorCode::Unavailable))).await;
                        if let Err(end) = self.send(None, close).await {
                            return end;
                        }
                    }
                    continue;
                }
                received = self.receive() => received,
            };
            let (message, token) = match received {
                Ok(received) => received,
                Err(end) => return end,
            };
            let message = match self.relayed(message, tell).await {
                Ok(None) => continue,
                Ok(Some(message)) => message,
                Err(end) => return end,
            };
            let answer = match message {
                FromServer::Address(address) => Answer::Address(address.address),
                FromServer::PreferencesSet(set) => Answer::PreferencesSet(set.version),
                FromServer::LoggedOut(_) => Answer::LoggedOut,
                FromServer::Refused(refused) => Answer::Refused(refused.code),
                FromServer::Replaced(replaced) => {
                    tell.tell(News::Replaced(replaced.epoch)).await;
                    return End::Done;
                }
                FromServer::Greeting(_)
                | FromServer::LoggedIn(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => return End::Fault(ErrorCode::UnexpectedMessage),
            };
            let logged_out = matches!(answer, Answer::LoggedOut);
            if let Some(token) = token {
                tell.tell(News::Answered(token, answer)).await;
            }
            if logged_out {
                return End::Done;
            }
        }
    }

    fn message(&mut self, token: Token, ask: Ask) -> ToServer {
        let id = self.next_id();
        match ask {
            Ask::Call(called) => self.relayed.call(token, called),
            Ask::Expect(relay) => ToServer::RelayExpect(RelayExpect { relay }),
            Ask::Forget(relay) => ToServer::RelayForget(RelayForget { relay }),
            Ask::Lookup(user) => ToServer::Lookup(Lookup { id, user }),
            Ask::SetPreferences(version, messaging) => {
                ToServer::SetPreferences(SetPreferences { id, version, messaging })
            }
            Ask::Logout => ToServer::Logout(Logout { id }),
        }
    }

    /// Sends what relayed links have to say, as much as waits, with one write.
    async fn send_relayed(
        &mut self,
        first: ToServer,
        outgoing: &mut mpsc::Receiver<ToServer>,
    ) -> Result<(), End> {
        let mut next = Some(first);
        let writing = async {
            while let Some(message) = next {
                if self.relayed.goes_out(&message) {
                    let frame = encode_message(&message)?;
                    self.connection.writer().feed_encoded(frame).await?;
                }
                next = outgoing.try_recv().ok();
            }
            self.connection.writer().flush().await
        };
        timeout(REQUEST_DEADLINE, writing).await.map_err(|_| End::Silent)??;
        Ok(())
    }

    /// Handles a message of relayed links; gives back every other one.
    async fn relayed(&mut self, message: FromServer, tell: &Tell) -> Result<Option<FromServer>, End> {
        match message {
            FromServer::RelayIncoming(body) => {
                let (answer, stream) = self.relayed.incoming(body.link).map_err(End::Fault)?;
                if self.state == ClientEnd::LoggedIn {
                    self.send(None, answer).await?;
                }
                if let Some(stream) = stream {
                    tell.tell(News::Called(stream)).await;
                }
            }
            FromServer::RelayOpened(body) => {
                if let Some((token, stream)) = self.relayed.opened(body.link).map_err(End::Fault)? {
                    tell.tell(News::Answered(token, Answer::Relayed(stream))).await;
                }
            }
            FromServer::RelayData(body) => {
                self.relayed.data(body.link, body.bytes).map_err(End::Fault)?;
            }
            FromServer::RelayCredit(body) => {
                self.relayed.credit(body.link, body.bytes).map_err(End::Fault)?;
            }
            FromServer::RelayClose(body) => {
                if let Some(token) = self.relayed.closed(body.link).map_err(End::Fault)? {
                    tell.tell(News::Answered(token, Answer::Refused(ErrorCode::Unavailable))).await;
                }
            }
            message @ (FromServer::Greeting(_)
            | FromServer::LoggedIn(_)
            | FromServer::PreferencesSet(_)
            | FromServer::Address(_)
            | FromServer::LoggedOut(_)
            | FromServer::Refused(_)
            | FromServer::Replaced(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_)) => return Ok(Some(message)),
        }
        Ok(None)
    }

    async fn close(self, end: Option<End>) {
        let connection = self.connection;
        let closing = async {
            match end {
                Some(End::Fault(code)) => connection.close_with_error(code).await,
                Some(End::Peer(Ended::Violation(violation))) => {
                    connection.close_with_error(violation.code()).await
                }
                Some(End::Send(_) | End::Peer(Ended::Error(_) | Ended::Lost(_))) => {
                    connection.split().1.close().await
                }
                Some(End::Silent | End::Done | End::Peer(Ended::Done)) | None => connection.goodbye().await,
            }
        };
        // Nothing depends on the farewell any more.
        let _ = timeout(CLOSING_DEADLINE, closing).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
