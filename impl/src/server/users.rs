//! The list of users: the login machines, spread over a few tasks by user ID.
//!
//! One task owns the machines of its share and nobody else touches them, so no lock is held anywhere. A task never waits
//! for another server: what a machine asks for runs beside it and comes back as the machine's next event.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use antiphon_spec::{
    account::{
        login::{Action, ConnectionNumber, Event, Login},
        lookup::Listed,
    },
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    machine::Machine as _,
    message::{client_server::FromServer, relay::Called, server_server::LoginEpoch},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Span, debug, warn};

use super::{client::ClientHandle, requests::Requests};
use crate::{
    mutant::{Mutant, active},
    net::Serving,
};

/// Tasks: more than a small machine has cores, so that one busy share does not hold up the others.
const SHARES: usize = 8;

/// Most events that wait at one task; who has more waits with them.
const WAITING_MAX: usize = 128;

/// The list of users.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    shares: Arc<[mpsc::Sender<Command>]>,
    /// How many are logged in.
    online: watch::Receiver<usize>,
}

#[derive(Debug)]
enum Command {
    /// An event for a machine, with the client that it is about if that is new, and what the log says that it belongs to.
    Event(UserHandle, Event, Option<ClientHandle>, Span),
    /// The home server says that a login is over; answered when the machine knows.
    Replace(UserHandle, LoginEpoch, oneshot::Sender<()>),
    /// Who asks for whom.
    Resolve(UserHandle, UserHandle, oneshot::Sender<Listed<ContactAddress>>),
    /// Who is called by whom.
    Called(Called, UserHandle, oneshot::Sender<Listed<ClientHandle>>),
    /// Who is logged in.
    Online(oneshot::Sender<Vec<(UserHandle, LoginEpoch)>>),
    /// End when every login is undone.
    Finish(oneshot::Sender<()>),
}

impl Users {
    pub(crate) fn start(requests: &Requests, serving: &Serving) -> Self {
        let (count, online) = watch::channel(0);
        let count = Arc::new(count);
        let share = |_| {
            let (sender, waiting) = mpsc::channel(WAITING_MAX);
            let share = Share {
                requests: requests.clone(),
                tracker: serving.tracker.clone(),
                shutdown: serving.shutdown.clone(),
                sender: sender.clone(),
                machines: HashMap::new(),
                clients: HashMap::new(),
                finished: None,
                online: Arc::clone(&count),
            };
            serving.tracker.spawn(share.run(waiting));
            sender
        };
        Self { shares: (0..SHARES).map(share).collect(), online }
    }

    /// Tells a user's machine what happened; `client` comes with the first event of a connection.
    pub(crate) async fn event(&self, user: &UserHandle, event: Event, client: Option<ClientHandle>) {
        self.tell(user, Command::Event(user.clone(), event, client, Span::current())).await;
    }

    /// Ends a login and all before it, and returns when that is done.
    pub(crate) async fn replace(&self, user: &UserHandle, epoch: LoginEpoch) {
        let (sender, done) = oneshot::channel();
        self.tell(user, Command::Replace(user.clone(), epoch, sender)).await;
        let _ = done.await;
    }

    /// What the list says about `user` to `asker`.
    pub(crate) async fn resolve(&self, user: &UserHandle, asker: &UserHandle) -> Listed<ContactAddress> {
        let (sender, answer) = oneshot::channel();
        self.tell(user, Command::Resolve(user.clone(), asker.clone(), sender)).await;
        answer.await.unwrap_or(Listed::Absent)
    }

    /// The client to which the link of a caller leads.
    pub(crate) async fn called_by(&self, called: &Called, caller: &UserHandle) -> Listed<ClientHandle> {
        let (sender, answer) = oneshot::channel();
        let user = called.handle();
        self.tell(user, Command::Called(called.clone(), caller.clone(), sender)).await;
        answer.await.unwrap_or(Listed::Absent)
    }

    /// Who is logged in, in the order of their handles.
    pub(crate) async fn online(&self) -> Vec<(UserHandle, LoginEpoch)> {
        let mut all = Vec::new();
        for share in self.shares.iter() {
            let (sender, answer) = oneshot::channel();
            if share.send(Command::Online(sender)).await.is_ok() {
                all.extend(answer.await.unwrap_or_default());
            }
        }
        all.sort_unstable();
        all
    }

    /// How many are logged in.
    pub(crate) fn count(&self) -> usize {
        *self.online.borrow()
    }

    /// Waits until nobody is logged in.
    pub(crate) async fn gone(&self) {
        // Without a share that counts, there is nobody.
        let _ = self.online.clone().wait_for(|users| *users == 0).await;
    }

    /// How many events wait in the longest queue, and how many may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        let waiting = self.shares.iter().map(|share| WAITING_MAX.saturating_sub(share.capacity()));
        (waiting.max().unwrap_or_default(), WAITING_MAX)
    }

    /// Waits until every login is undone, for at most `patience`; the connections have to be gone before.
    pub(crate) async fn finish(&self, patience: Duration) {
        let all = async {
            for share in self.shares.iter() {
                let (sender, done) = oneshot::channel();
                if share.send(Command::Finish(sender)).await.is_ok() {
                    let _ = done.await;
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!("some logins could not be undone in time and end with their leases");
        }
    }

    async fn tell(&self, user: &UserHandle, command: Command) {
        // The user ID is random, so one byte spreads well enough.
        let [first, ..] = user.id.0;
        if let Some(share) = self.shares.get(usize::from(first) % SHARES) {
            // The task ends with the process only.
            let _ = share.send(command).await;
        }
    }
}

/// What one task owns.
struct Share {
    requests: Requests,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    sender: mpsc::Sender<Command>,
    machines: HashMap<UserHandle, Machine>,
    clients: HashMap<ConnectionNumber, ClientHandle>,
    finished: Option<oneshot::Sender<()>>,
    online: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct Machine {
    login: Login,
    renewal: Option<AbortHandle>,
    /// The user is logged in, and counted.
    is_online: bool,
}

impl Share {
    async fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        loop {
            let command = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                command = waiting.recv() => command,
            };
            let Some(command) = command else { break };
            match command {
                Command::Event(user, event, client, span) => self.event(user, event, client, &span),
                Command::Replace(user, epoch, done) => {
                    self.event(user, Event::ReplacedAtHome(epoch), None, &Span::none());
                    let _ = done.send(());
                }
                Command::Resolve(user, asker, answer) => {
                    let _ = answer.send(self.resolve(&user, &asker));
                }
                Command::Called(called, caller, answer) => {
                    let _ = answer.send(self.called_by(&called, &caller));
                }
                Command::Online(answer) => {
                    let online = self.machines.iter();
                    let online =
                        online.filter_map(|(user, machine)| Some((user.clone(), machine.login.epoch()?)));
                    let _ = answer.send(online.collect());
                }
                Command::Finish(done) => self.finished = Some(done),
            }
            if self.finished.is_some() && self.machines.is_empty() {
                break;
            }
        }
        if let Some(done) = self.finished {
            let _ = done.send(());
        }
    }

    fn event(&mut self, user: UserHandle, event: Event, client: Option<ClientHandle>, span: &Span) {
        if let Some(client) = client {
            self.clients.insert(client.number, client);
        }
        let ended = if let Event::ConnectionEnded(number) = &event { Some(*number) } else { None };
        let machine = match self.machines.entry(user.clone()) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Machine::default()),
        };
        let mut actions = Vec::new();
        machine.login.handle(event, &(), &mut actions);
        if active(Mutant::SecondLoginKept) {
            keep_replaced(&mut actions);
        }
        for action in actions {
            self.carry_out(&user, action, span);
        }
        if let Some(number) = ended {
            self.clients.remove(&number);
        }
        if let Some(machine) = self.machines.get_mut(&user) {
            let is_online = machine.login.address().is_some();
            if is_online != machine.is_online {
                machine.is_online = is_online;
                self.online.send_modify(|users| {
                    *users = if is_online { users.saturating_add(1) } else { users.saturating_sub(1) };
                });
            }
            if machine.login.is_over() {
                self.machines.remove(&user);
            }
        }
    }

    fn carry_out(&mut self, user: &UserHandle, action: Action, span: &Span) {
        match action {
            Action::Send { connection, message } => {
                if let Some(client) = self.clients.get(&connection) {
                    client.send(&message);
                }
            }
            Action::Close(connection) => {
                if let Some(client) = self.clients.get(&connection) {
                    client.close();
                }
            }
            Action::ArmRenewal(_) if active(Mutant::RecordNotRenewed) => {}
            Action::ArmRenewal(after) => {
                let (sender, to) = (self.sender.clone(), user.clone());
                let task = self.tracker.spawn(async move {
                    tokio::time::sleep(after).await;
                    let _ = sender.send(Command::Event(to, Event::RenewalDue, None, Span::none())).await;
                });
                self.rearm(user, Some(task.abort_handle()));
            }
            Action::DisarmRenewal => self.rearm(user, None),
            Action::CheckOut
            | Action::Store { .. }
            | Action::Renew(_)
            | Action::CheckIn(_)
            | Action::Insert(_)
            | Action::Delete(_) => {
                let (requests, sender, user) = (self.requests.clone(), self.sender.clone(), user.clone());
                let carrying_out = async move {
                    if let Some(event) = requests.carry_out(&user, action).await {
                        if let Some(code) = failure(&event) {
                            debug!(%user, %code, "a step of a login failed");
                        }
                        let _ = sender.send(Command::Event(user, event, None, Span::current())).await;
                    }
                };
                self.tracker.spawn(carrying_out.instrument(span.clone()));
            }
        }
    }

    fn rearm(&mut self, user: &UserHandle, renewal: Option<AbortHandle>) {
        let machine = self.machines.get_mut(user);
        if let Some(before) = machine.and_then(|machine| std::mem::replace(&mut machine.renewal, renewal)) {
            before.abort();
        }
    }

    fn resolve(&self, user: &UserHandle, asker: &UserHandle) -> Listed<ContactAddress> {
        let namesake =
            || self.machines.iter().find(|(other, _)| other.id == user.id).map(|(_, machine)| machine);
        let machine = self.machines.get(user);
        let machine = if active(Mutant::HomeNotCompared) { machine.or_else(namesake) } else { machine };
        let Some(Machine { login, .. }) = machine else { return Listed::Absent };
        login.resolve(user, asker)
    }

    fn called_by(&self, called: &Called, caller: &UserHandle) -> Listed<ClientHandle> {
        let Some(Machine { login, .. }) = self.machines.get(called.handle()) else { return Listed::Absent };
        let is_expected = |connection| {
            let client = self.clients.get(&connection);
            !active(Mutant::RelayTagIgnored)
                && client.zip(called.tag()).is_some_and(|(client, tag)| client.relay.expects(tag))
        };
        match login.called_by(caller, is_expected) {
            Listed::Told(connection) => {
                self.clients.get(&connection).map_or(Listed::Absent, |client| Listed::Told(client.clone()))
            }
            Listed::Forbidden => Listed::Forbidden,
            Listed::Absent => Listed::Absent,
        }
    }
}

/// The mutant that does not end a replaced login: takes out what would tell the client of it.
fn keep_replaced(actions: &mut Vec<Action>) {
    let is_replacement =
        |action: &Action| matches!(action, Action::Send { message: FromServer::Replaced(_), .. });
    if actions.iter().any(is_replacement) {
        actions.retain(|action| !is_replacement(action) && !matches!(action, Action::Close(_)));
    }
}

/// The code of a failed step.
fn failure(event: &Event) -> Option<ErrorCode> {
    match event {
        Event::CheckOutFailed(code)
        | Event::StoreFailed(code)
        | Event::RenewFailed(code)
        | Event::InsertFailed(code) => Some(*code),
        Event::LoginAsked(_)
        | Event::LogoutAsked { .. }
        | Event::PreferencesAsked { .. }
        | Event::ConnectionEnded(_)
        | Event::ReplacedAtHome(_)
        | Event::CheckedOut { .. }
        | Event::Stored(_)
        | Event::Renewed(_)
        | Event::Inserted(_)
        | Event::DeleteEnded
        | Event::CheckInEnded
        | Event::RenewalDue => None,
    }
}
