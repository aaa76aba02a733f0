//! The engine: the one task that owns all of a client's state.
//!
//! Everything that happens is one [`Input`], a command, or a deadline; each is handled to its end before the next. The
//! engine waits for nobody but for whoever reads its events. Links, dialling, the connection to the local server and
//! the listener are tasks of their own, which bring their news through one bounded queue; dropping the engine ends them.

mod account;
mod acknowledgements;
mod commands;
mod entropy;
mod instants;
mod linking;
mod links;
mod resuming;
mod sessions;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use antiphon_protocol::{
    certificate::{Trust, VerifiedPeer},
    connection::{Acceptor, DialError, Dialler},
    key::KeyPair,
    signed::KeyRing,
    tls::{Clock, Port},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, KeyHash, Peer, UserHandle},
    instant::{Inbox, Step},
    message::link::Patience,
    policy::Preferences,
    session::{Member, RelayTag, Session, SessionId, Target, Timer},
};
use tokio::{
    io::DuplexStream,
    net::TcpListener,
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use self::{
    account::{Login, Purpose, RegistrationCause},
    acknowledgements::Acknowledgements,
    entropy::Entropy,
    instants::Instants,
    links::{Links, Place},
};
use super::{
    command::Request,
    event::{ClientEvent, INTERFACE, Output, Refusal},
    events::Shown,
    identity::{Account, Configuration, IdentityFolder},
    link::{First, Heard, LinkConnection, LinkId},
    listener,
    registration::RegistrationError,
    server_link::{News, Token},
    settings::{CLOSING_DEADLINE, KEYS_MAX, RELAYED_QUEUE_MAX},
    stream::Way,
    timers::Timers,
};

/// What the engine's tasks bring.
#[derive(Debug)]
pub(super) enum Input {
    /// Somebody opened a link and sent its first message.
    Accepted(Box<Incoming>),
    /// The dialling of a link has ended.
    Dialled(Box<Dialled>),
    /// A message came over a link.
    LinkMessage(LinkId, Heard),
    /// A link has lost its connection, and the peer is to be dialled again.
    LinkDown(LinkId),
    /// It can't be dialled at its address.
    RelayAgain(LinkId),
    /// A link ended that the engine did not close.
    LinkEnded {
        /// Which.
        id: LinkId,
        /// The peer has said so, by a goodbye or an error.
        closed: bool,
    },
    /// News of the connection to the local server, and of which one.
    Server(u64, News),
    /// A registration has ended.
    Registered(RegistrationCause, Result<Box<Account>, RegistrationError>),
}

/// A link that somebody opened.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) peer: VerifiedPeer,
    pub(super) way: Way,
    pub(super) connection: LinkConnection,
    pub(super) message: First,
    /// The link's place among those that nobody has claimed.
    pub(super) permit: OwnedSemaphorePermit,
}

/// A link that the engine wanted.
#[derive(Debug)]
pub(super) struct Dialled {
    place: Place,
    id: LinkId,
    way: Way,
    /// Which member it is to be, where it is one.
    target: Option<Target>,
    result: Result<(VerifiedPeer, LinkConnection), DialError>,
}

/// What has a deadline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// A timer of a session's machine.
    Session(SessionId, Timer),
    /// The end of the patience with an instant message.
    Instant(SessionId),
    /// The next attempt to log in again.
    Reconnect,
    /// The renewal of the certificate.
    Renewal,
    /// The end of the patience of `quit`.
    Quit,
}

/// The user, once there is an account.
#[derive(Debug)]
struct Me {
    /// As others see it.
    peer: Peer,
    keys: KeyRing,
    dialler: Dialler,
    account: Account,
}

/// A session, and what the engine remembers of it.
#[derive(Debug)]
struct Conversation {
    machine: Session,
    /// Who invited the user, where somebody did.
    inviter: Option<UserHandle>,
    /// The user's tag in it.
    relay: RelayTag,
    /// The user was told that it is over; the machine may still wait for links to close.
    over: bool,
    /// How much the user has said in it.
    said: u64,
    /// Keys of members whose links have ended, for what they signed: one each, so as many as members at most.
    kept_keys: Vec<KeyHash>,
}

impl Conversation {
    fn new(machine: Session, inviter: Option<UserHandle>, relay: RelayTag) -> Self {
        Self { machine, inviter, relay, over: false, said: 0, kept_keys: Vec::new() }
    }
}

/// All of a client's state.
#[derive(Debug)]
pub(super) struct Engine {
    folder: IdentityFolder,
    configuration: Configuration,
    key: KeyPair,
    trust: Arc<Trust>,
    clock: Clock,
    listener: Arc<TcpListener>,
    address: ContactAddress,
    /// For how long a link may be without a connection; none is kept without it.
    patience: Option<Patience>,

    me: Option<Me>,
    /// The registration that is under way.
    registering: Option<RegistrationCause>,
    login: Login,
    /// Counts the connections to the local server.
    generation: u64,
    reconnects: u32,
    /// Known while the user is logged in, or about to be again.
    preferences: Option<Preferences>,
    pending: BTreeMap<Token, Purpose>,
    last_token: u64,

    sessions: BTreeMap<SessionId, Conversation>,
    instants: Instants,
    links: Links,
    timers: Timers<Deadline>,
    /// Messages that came too late to matter.
    late: u64,

    inputs: mpsc::Sender<Input>,
    events: mpsc::Sender<Output>,
    outputs: VecDeque<Output>,
    entropy: Entropy,
    /// How many outputs there have been, those that wait included.
    told: u64,
    shown: Arc<Shown>,
    acknowledgements: Acknowledgements,
    /// Why the command that is being handled cannot be done.
    refusal: Option<ErrorCode>,
    /// Set while a command is being handled.
    in_command: bool,
    /// The number of the `quit` that is under way.
    quitting: Option<Option<u64>>,
    finished: bool,
    tasks: JoinSet<()>,
    listening: JoinSet<()>,
    /// Where relayed links go to be accepted, once there is an account.
    relayed: Option<mpsc::Sender<DuplexStream>>,
}

/// What an engine is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) folder: IdentityFolder,
    pub(super) configuration: Configuration,
    pub(super) key: KeyPair,
    pub(super) trust: Arc<Trust>,
    pub(super) clock: Clock,
    pub(super) listener: TcpListener,
    pub(super) address: ContactAddress,
    pub(super) patience: Option<Patience>,
    pub(super) account: Option<Account>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) events: mpsc::Sender<Output>,
    pub(super) shown: Arc<Shown>,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        let media_types = parts.configuration.media_types.clone();
        let mut engine = Self {
            folder: parts.folder,
            configuration: parts.configuration,
            key: parts.key,
            trust: parts.trust,
            clock: parts.clock,
            listener: Arc::new(parts.listener),
            address: parts.address,
            patience: parts.patience,
            me: None,
            registering: None,
            login: Login::Out,
            generation: 0,
            reconnects: 0,
            preferences: None,
            pending: BTreeMap::new(),
            last_token: 0,
            sessions: BTreeMap::new(),
            instants: Instants::new(Inbox::new(media_types)),
            links: Links::new(),
            timers: Timers::new(),
            late: 0,
            inputs: parts.inputs,
            events: parts.events,
            outputs: VecDeque::new(),
            entropy: Entropy::default(),
            told: 0,
            shown: parts.shown,
            acknowledgements: Acknowledgements::default(),
            refusal: None,
            in_command: false,
            quitting: None,
            finished: false,
            tasks: JoinSet::new(),
            listening: JoinSet::new(),
            relayed: None,
        };
        if let Some(account) = parts.account {
            engine.become_user(account);
            engine.arm_renewal(Duration::ZERO);
        }
        let handle = engine.me.as_ref().map(|me| me.peer.handle.clone());
        engine.tell(ClientEvent::Ready { interface: INTERFACE, address: engine.address, handle });
        engine
    }

    /// Runs until `quit`, or until nobody asks or listens any more.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Request>,
        mut inputs: mpsc::Receiver<Input>,
    ) {
        let mut asked = true;
        loop {
            self.advance_quit();
            self.acknowledge_shown();
            self.answer_shown_instants();
            while let Some(output) = self.outputs.pop_front() {
                self.finished |= self.events.send(output).await.is_err();
            }
            if self.finished {
                break;
            }
            tokio::select! {
                request = commands.recv(), if asked => match request {
                    Some(request) => self.command(request),
                    None => {
                        asked = false;
                        self.quit(None);
                    }
                },
                Some(input) = inputs.recv() => self.handle(input),
                () = self.shown.more(), if self.waits_to_be_shown() => {}
                () = sleep_until(self.timers.next().unwrap_or_else(far_away)), if self.timers.next().is_some() => {
                    self.fire_timers();
                }
                Some(joined) = self.tasks.join_next() => {
                    if let Err(error) = joined && error.is_panic() {
                        tracing::error!(%error, "a task of the client failed");
                    }
                }
            }
        }
        self.farewell(inputs).await;
    }

    /// Whether somebody gets an answer as soon as an event was shown.
    fn waits_to_be_shown(&self) -> bool {
        !self.acknowledgements.is_empty() || !self.instants.are_all_answered()
    }

    /// Lets the last words go out.
    async fn farewell(mut self, inputs: mpsc::Receiver<Input>) {
        tracing::debug!(late = self.late, "the client ends");
        drop(inputs);
        self.listening.abort_all();
        self.login = Login::Out;
        let open: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in open {
            self.drop_session(session);
        }
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(CLOSING_DEADLINE * 2, ending).await.is_err() {
            tracing::debug!("links did not close in time");
        }
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Accepted(incoming) => self.accepted(*incoming),
            Input::Dialled(dialled) => self.dialled(*dialled),
            Input::LinkMessage(id, message) => self.received(id, message),
            Input::LinkDown(id) => self.dial_again(id),
            Input::RelayAgain(id) => self.call_again(id),
            Input::LinkEnded { id, closed } => self.link_ended(id, closed),
            Input::Server(generation, news) => self.server_news(generation, news),
            Input::Registered(cause, result) => self.registered(cause, result),
        }
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        while let Some(deadline) = self.timers.take_due(now) {
            match deadline {
                Deadline::Session(session, timer) => self.timer_fired(session, timer),
                Deadline::Instant(name) => self.advance_instant(name, Step::GaveUp),
                Deadline::Reconnect => self.reconnect(),
                Deadline::Renewal => self.renew(),
                Deadline::Quit => {
                    tracing::info!("not everybody let the user go in time");
                    self.finish();
                }
            }
        }
    }

    /// There is an account, or a fresh certificate for it.
    fn become_user(&mut self, account: Account) {
        let credentials = account.credentials.clone();
        let dialler =
            Dialler::new(Some(credentials.clone()), Arc::clone(&self.trust), Arc::clone(&self.clock));
        match &mut self.me {
            Some(me) => {
                me.dialler = dialler;
                me.account = account;
            }
            None => {
                let peer = Peer { handle: account.handle.clone(), key: self.key.key_hash() };
                let keys = KeyRing::new(self.key.clone(), KEYS_MAX);
                self.me = Some(Me { peer, keys, dialler, account });
            }
        }
        let acceptor =
            Acceptor::new(Port::ClientClient, credentials, Arc::clone(&self.trust), Arc::clone(&self.clock));
        // One listens at a time; the one before ends with its set.
        self.listening = JoinSet::new();
        let (relayed, incoming) = mpsc::channel(RELAYED_QUEUE_MAX);
        self.relayed = Some(relayed);
        let listening = listener::run(Arc::clone(&self.listener), acceptor, incoming, self.inputs.clone());
        self.listening.spawn(listening);
    }

    fn tell(&mut self, event: ClientEvent) {
        self.answer(None, event);
    }

    fn answer(&mut self, id: Option<u64>, event: ClientEvent) {
        self.told += 1;
        self.outputs.push_back(Output { id, event });
    }

    fn refuse_command(&mut self, id: Option<u64>, command: &'static str, code: impl Into<Refusal>) {
        let code = code.into();
        self.refuse_with(id, command, code, code.detail().to_owned());
    }

    fn refuse_with(&mut self, id: Option<u64>, command: &'static str, code: Refusal, detail: String) {
        self.answer(id, ClientEvent::Refused { command: command.to_owned(), code, detail });
    }

    /// The user as a member of one session, under a tag of its own.
    //= spec/text/sessions.md#invitation
    //# SESS-160: A client MUST draw the relay tag of each session afresh from a cryptographically secure source.
    fn member(&mut self) -> Option<Member> {
        let relay = RelayTag(self.entropy()?);
        let Peer { handle, key } = self.me.as_ref()?.peer.clone();
        Some(Member { key, relay, handle, accepts: self.configuration.media_types.clone() })
    }

    /// 16 fresh random bytes. Without any the client cannot go on.
    fn entropy(&mut self) -> Option<[u8; 16]> {
        if let Some(bytes) = self.entropy.draw() {
            return Some(bytes);
        }
        let detail = "the system has no random numbers to give".to_owned();
        self.tell(ClientEvent::Error { code: Refusal::Protocol(ErrorCode::Internal), detail });
        self.finished = true;
        None
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
