//! Two local servers, their home server and a directory node under random schedules.
//!
//! Requests of one server reach each peer in order. A request may be lost, and so may its answer: the server then
//! sees a failure, whether or not the request had its effect.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use crate::{
    account::{
        login::{Action, Client, ConnectionNumber, Event, Login},
        profile::{self, HomeProfile, Terms},
    },
    error_code::ErrorCode,
    identity::{ServerName, UserHandle},
    machine::Machine as _,
    message::{
        client_server::FromServer,
        common::RequestId,
        server_server::{LoginEpoch, ProfileVersion},
    },
    policy::{HandleSet, Preferences, Verdict},
    time::Timestamp,
};

const SERVERS: usize = 2;
const LEASE: Duration = Duration::from_secs(300);
/// Leases do not end here.
const TERMS: Terms = Terms { now: Timestamp(1_000), lease: LEASE };

#[derive(Clone, Copy, Debug)]
enum Fate {
    Carried,
    AnswerLost,
    RequestLost,
}

#[derive(Clone, Debug)]
enum Step {
    Login(usize),
    Logout(usize),
    Set(usize, u64),
    Drop(usize),
    Renew(usize),
    /// The oldest request of a server to the home server.
    Home(usize, Fate),
    /// The oldest answer of the home server that is on its way to a server.
    HomeAnswer(usize),
    /// The oldest request of a server to the directory node.
    Directory(usize, Fate),
    /// The oldest notice that is on its way to a server.
    Notice(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let server = 0..SERVERS;
    let fate =
        || prop_oneof![6 => Just(Fate::Carried), 1 => Just(Fate::AnswerLost), 1 => Just(Fate::RequestLost)];
    let step = prop_oneof![
        3 => server.clone().prop_map(Step::Login),
        1 => server.clone().prop_map(Step::Logout),
        3 => (server.clone(), 0..3_u64).prop_map(|(server, version)| Step::Set(server, version)),
        1 => server.clone().prop_map(Step::Drop),
        1 => server.clone().prop_map(Step::Renew),
        8 => (server.clone(), fate()).prop_map(|(server, fate)| Step::Home(server, fate)),
        8 => server.clone().prop_map(Step::HomeAnswer),
        6 => (server.clone(), fate()).prop_map(|(server, fate)| Step::Directory(server, fate)),
        2 => server.prop_map(Step::Notice),
    ];
    proptest::collection::vec(step, 0..120)
}

/// A request of a client: open, or with its one answer.
#[derive(Debug, Default)]
struct Connection {
    open: BTreeMap<RequestId, Option<Preferences>>,
    logged_in: Option<LoginEpoch>,
    closed: bool,
    ended: bool,
}

#[derive(Default)]
struct Server {
    login: Login,
    to_home: VecDeque<Action>,
    from_home: VecDeque<Event>,
    to_directory: VecDeque<Action>,
    notices: VecDeque<LoginEpoch>,
    armed: bool,
}

struct World {
    home: HomeProfile,
    servers: Vec<Server>,
    /// Under one user ID: the epoch of each server's record.
    records: BTreeMap<usize, LoginEpoch>,
    connections: BTreeMap<ConnectionNumber, (usize, Connection)>,
    acknowledged: Vec<(ProfileVersion, Preferences)>,
    next: u64,
}

fn name(server: usize) -> ServerName {
    format!("s{server}.example").parse().unwrap()
}

/// Preferences that no other change has.
fn preferences(number: u64) -> Preferences {
    let mut allow = HandleSet::default();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let user = UserHandle { id: crate::identity::ObjectHandle(id), home: name(0) };
    assert!(allow.insert(user));
    Preferences { deny: HandleSet::default(), allow, default: Verdict::Deny }
}

impl World {
    fn new() -> Self {
        Self {
            home: HomeProfile::default(),
            servers: (0..SERVERS).map(|_| Server::default()).collect(),
            records: BTreeMap::new(),
            connections: BTreeMap::new(),
            acknowledged: Vec::new(),
            next: 0,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn logged_in_at(&self, server: usize) -> Option<ConnectionNumber> {
        let here = |(at, c): &(usize, Connection)| *at == server && c.logged_in.is_some() && !c.closed;
        self.connections.iter().find(|(_, connection)| here(connection)).map(|(number, _)| *number)
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Login(server) => {
                let (connection, id) = (ConnectionNumber(self.fresh()), RequestId(1));
                let open = BTreeMap::from([(id, None)]);
                self.connections.insert(connection, (server, Connection { open, ..Connection::default() }));
                let client = Client { connection, id, address: "192.0.2.1:5000".parse().unwrap() };
                self.event(server, Event::LoginAsked(client));
            }
            Step::Logout(server) => {
                let Some(connection) = self.logged_in_at(server) else { return };
                let id = self.ask(connection, None);
                self.event(server, Event::LogoutAsked { connection, id });
            }
            Step::Set(server, version) => {
                let Some(connection) = self.logged_in_at(server) else { return };
                let messaging = preferences(self.fresh());
                let id = self.ask(connection, Some(messaging.clone()));
                let version = ProfileVersion(version);
                self.event(server, Event::PreferencesAsked { connection, id, version, messaging });
            }
            Step::Drop(server) => {
                let alive = |(at, c): &(usize, Connection)| *at == server && !c.ended;
                let found = self.connections.iter().rev().find(|(_, connection)| alive(connection));
                let Some(number) = found.map(|(number, _)| *number) else { return };
                self.end(number);
            }
            Step::Renew(server) => {
                if self.servers[server].armed {
                    self.servers[server].armed = false;
                    self.event(server, Event::RenewalDue);
                }
            }
            Step::Home(server, fate) => self.reach_home(server, fate),
            Step::HomeAnswer(server) => {
                if let Some(event) = self.servers[server].from_home.pop_front() {
                    self.event(server, event);
                }
            }
            Step::Directory(server, fate) => self.reach_directory(server, fate),
            Step::Notice(server) => {
                if let Some(epoch) = self.servers[server].notices.pop_front() {
                    self.event(server, Event::ReplacedAtHome(epoch));
                }
            }
        }
    }

    fn ask(&mut self, connection: ConnectionNumber, messaging: Option<Preferences>) -> RequestId {
        let id = RequestId(self.fresh());
        self.connections.get_mut(&connection).unwrap().1.open.insert(id, messaging);
        id
    }

    fn end(&mut self, number: ConnectionNumber) {
        let (server, connection) = self.connections.get_mut(&number).unwrap();
        (connection.ended, connection.closed) = (true, true);
        let server = *server;
        self.event(server, Event::ConnectionEnded(number));
    }

    fn reach_home(&mut self, server: usize, fate: Fate) {
        let Some(request) = self.servers[server].to_home.pop_front() else { return };
        let by = name(server);
        let (event, failure) = match request {
            Action::CheckOut => {
                (profile::Event::CheckOut { by }, Event::CheckOutFailed(ErrorCode::HomeUnreachable))
            }
            Action::Store { epoch, version, messaging } => (
                profile::Event::Store { by, epoch, version, messaging },
                Event::StoreFailed(ErrorCode::HomeUnreachable),
            ),
            Action::Renew(epoch) => {
                (profile::Event::Renew { by, epoch }, Event::RenewFailed(ErrorCode::HomeUnreachable))
            }
            Action::CheckIn(epoch) => (profile::Event::CheckIn { by, epoch }, Event::CheckInEnded),
            other @ (Action::Insert(_)
            | Action::Delete(_)
            | Action::Send { .. }
            | Action::Close(_)
            | Action::ArmRenewal(_)
            | Action::DisarmRenewal) => panic!("{other:?} is no request to the home server"),
        };
        let (mut answer, is_renewal) = (None, matches!(event, profile::Event::Renew { .. }));
        if !matches!(fate, Fate::RequestLost) {
            let mut out = Vec::new();
            self.home.handle(event, &TERMS, &mut out);
            for action in out {
                match action {
                    profile::Action::Persist(state) => assert_eq!(state, self.home),
                    profile::Action::Answer(given) => answer = Some(given),
                    profile::Action::Replace { holder, epoch } => {
                        let to = (0..SERVERS).find(|server| name(*server) == holder).unwrap();
                        self.servers[to].notices.push_back(epoch);
                    }
                }
            }
        }
        let event = match (fate, answer) {
            (Fate::Carried, Some(answer)) => match answer {
                profile::Answer::CheckedOut { epoch, lease, profile } => {
                    Event::CheckedOut { epoch, lease, profile }
                }
                profile::Answer::Renewed(lease) => Event::Renewed(lease),
                profile::Answer::Stored(version) => Event::Stored(version),
                profile::Answer::CheckedIn => Event::CheckInEnded,
                profile::Answer::Refused(code) if is_renewal => Event::RenewFailed(code),
                profile::Answer::Refused(code) => Event::StoreFailed(code),
            },
            _ => failure,
        };
        self.servers[server].from_home.push_back(event);
    }

    fn reach_directory(&mut self, server: usize, fate: Fate) {
        let Some(request) = self.servers[server].to_directory.pop_front() else { return };
        let reaches = !matches!(fate, Fate::RequestLost);
        let event = match request {
            Action::Insert(epoch) => {
                let stale = self.records.get(&server).is_some_and(|present| *present > epoch);
                if reaches && !stale {
                    self.records.insert(server, epoch);
                }
                match fate {
                    Fate::Carried if stale => Event::InsertFailed(ErrorCode::EntryExists),
                    Fate::Carried => Event::Inserted(LEASE),
                    Fate::AnswerLost | Fate::RequestLost => {
                        Event::InsertFailed(ErrorCode::LocationUnreachable)
                    }
                }
            }
            Action::Delete(epoch) => {
                if reaches && self.records.get(&server) == Some(&epoch) {
                    self.records.remove(&server);
                }
                Event::DeleteEnded
            }
            other @ (Action::CheckOut
            | Action::Store { .. }
            | Action::Renew(_)
            | Action::CheckIn(_)
            | Action::Send { .. }
            | Action::Close(_)
            | Action::ArmRenewal(_)
            | Action::DisarmRenewal) => panic!("{other:?} is no request to the directory node"),
        };
        self.event(server, event);
    }

    fn event(&mut self, server: usize, event: Event) {
        let mut out = Vec::new();
        self.servers[server].login.handle(event, &(), &mut out);
        for action in out {
            match action {
                Action::CheckOut | Action::Store { .. } | Action::Renew(_) | Action::CheckIn(_) => {
                    self.servers[server].to_home.push_back(action);
                }
                Action::Insert(_) | Action::Delete(_) => self.servers[server].to_directory.push_back(action),
                Action::Send { connection, message } => self.deliver(connection, message),
                Action::Close(connection) => self.connections.get_mut(&connection).unwrap().1.closed = true,
                Action::ArmRenewal(after) => {
                    assert!(after < LEASE);
                    self.servers[server].armed = true;
                }
                Action::DisarmRenewal => self.servers[server].armed = false,
            }
        }
        // Bounded: a machine has few requests open, whatever comes.
        assert!(self.servers[server].to_home.len() + self.servers[server].from_home.len() <= 2);
        assert!(self.servers[server].to_directory.len() <= 1);
    }

    fn deliver(&mut self, number: ConnectionNumber, message: FromServer) {
        let (_, connection) = self.connections.get_mut(&number).unwrap();
        if connection.ended {
            return;
        }
        assert!(!connection.closed, "nothing is said after the end: {message:?}");
        match message {
            FromServer::LoggedIn(body) => {
                assert!(connection.open.remove(&body.id).is_some());
                assert_eq!(connection.logged_in.replace(body.epoch), None);
            }
            FromServer::Refused(body) => assert!(connection.open.remove(&body.id).is_some()),
            FromServer::PreferencesSet(body) => {
                let messaging = connection.open.remove(&body.id).flatten().unwrap();
                // PREF-007: durable at home when it is acknowledged, and there under the version that was told, unless
                // a later change has come since.
                assert!(self.home.profile.version >= body.version);
                if self.home.profile.version == body.version {
                    assert_eq!(self.home.profile.messaging, messaging);
                }
                self.acknowledged.push((body.version, messaging));
            }
            FromServer::LoggedOut(body) => assert!(connection.open.remove(&body.id).is_some()),
            FromServer::Replaced(body) => assert_eq!(connection.logged_in, Some(body.epoch)),
            other @ (FromServer::Greeting(_)
            | FromServer::RelayIncoming(_)
            | FromServer::RelayOpened(_)
            | FromServer::RelayData(_)
            | FromServer::RelayCredit(_)
            | FromServer::RelayClose(_)
            | FromServer::Address(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_)) => panic!("the machine does not send {other:?}"),
        }
    }

    /// Carries everything that is on its way, with nothing lost.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let before: usize = self.servers.iter().map(Server::waiting).sum();
            if before == 0 {
                return;
            }
            for server in 0..SERVERS {
                self.play(&Step::Home(server, Fate::Carried));
                self.play(&Step::HomeAnswer(server));
                self.play(&Step::Directory(server, Fate::Carried));
                self.play(&Step::Notice(server));
            }
        }
        panic!("it never settles");
    }
}

impl Server {
    fn waiting(&self) -> usize {
        self.to_home.len() + self.from_home.len() + self.to_directory.len() + self.notices.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn logins_keep_their_promises(steps in steps()) {
        let mut world = World::new();
        let mut epoch = world.home.epoch;
        for step in &steps {
            world.play(step);
            prop_assert!(world.home.epoch >= epoch);
            epoch = world.home.epoch;
        }
        world.settle();

        // One login at a time, and it is the newest.
        let online: Vec<_> = world.servers.iter().filter_map(|server| server.login.epoch()).collect();
        prop_assert!(online.len() <= 1, "{online:?}");
        prop_assert!(online.iter().all(|epoch| *epoch == world.home.epoch));
        // Every request of a connection that is still there has its answer.
        for (_, connection) in world.connections.values().filter(|(_, connection)| !connection.closed) {
            prop_assert!(connection.open.is_empty(), "{connection:?}");
        }
        // Acknowledged changes are at home, in one order; the last one stands unless a later one was not acknowledged.
        let versions: Vec<_> = world.acknowledged.iter().map(|(version, _)| *version).collect();
        prop_assert!(versions.is_sorted_by(|a, b| a < b));
        if let Some((version, messaging)) = world.acknowledged.last()
            && world.home.profile.version == *version
        {
            prop_assert_eq!(&world.home.profile.messaging, messaging);
        }

        // When the clients are gone and nothing is lost on the way, nothing is left.
        let numbers: Vec<_> = world.connections.keys().copied().collect();
        for number in numbers {
            if !world.connections[&number].1.ended {
                world.end(number);
            }
        }
        world.settle();
        prop_assert!(world.servers.iter().all(|server| server.login.is_over() && !server.armed));
    }

    #[test]
    fn without_losses_everything_is_undone(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            match step {
                Step::Home(server, _) => world.play(&Step::Home(*server, Fate::Carried)),
                Step::Directory(server, _) => world.play(&Step::Directory(*server, Fate::Carried)),
                Step::Login(_)
                | Step::Logout(_)
                | Step::Set(..)
                | Step::Drop(_)
                | Step::Renew(_)
                | Step::HomeAnswer(_)
                | Step::Notice(_) => world.play(step),
            }
        }
        let numbers: Vec<_> = world.connections.keys().copied().collect();
        for number in numbers {
            if !world.connections[&number].1.ended {
                world.end(number);
            }
        }
        world.settle();
        prop_assert!(world.records.is_empty(), "{:?}", world.records);
        prop_assert_eq!(world.home.holder, None);
    }
}
