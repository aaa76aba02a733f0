//! A user's clients, the servers where the user logs in, the home server, and the location service: what is where, and
//! what is on its way.
//!
//! The home copy and the logins are the machines of `antiphon_spec::account`, driven as `antiphon` drives them: the home
//! server persists before it goes on, requests of a login reach the home server in their order, and all that isn't
//! persisted is gone when a server dies. A breach is noted where it happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_spec::{
    account::{
        login::{Action, ConnectionNumber, Event, Login, RENEWAL_RETRY},
        profile::{Answer, HomeProfile},
    },
    message::server_server::{LoginEpoch, ProfileVersion},
    time::Timestamp,
};

use super::Bounds;

/// Half of a lease, of login epochs and of contact records alike.
pub(super) const HALF: std::time::Duration = RENEWAL_RETRY;

/// What no state may have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A login epoch was given twice, or a lower one after a higher one.
    EpochRepeated,
    /// A client was told that a change is durable which isn't, or no more.
    UpdateLost,
    /// A change was carried out that named another version than the one it replaced.
    VersionUnseen,
    /// A change was carried out for a server that doesn't hold the last login epoch.
    HolderUnchecked,
    /// A version was told that is lower than one told before.
    VersionBack,
    /// A client's own change was refused for its own effect.
    OwnChangeRefused,
    /// A client lost its login though there is no newer one.
    CutOff,
    /// A client was told that it is logged in without a record that leads to it.
    Unreachable,
    /// A client got an answer to nothing, or anything after the end.
    OutOfTurn,
    /// A server judges by other preferences than those that it has acknowledged.
    Misjudged,
}

/// A client, by the place among all that ever asked to log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) server: u8,
    pub(super) phase: Phase,
    /// The version that the client means to change.
    pub(super) version: u64,
    /// A change that has no answer yet, by its number.
    pub(super) change: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    LoggingIn,
    LoggedIn(LoginEpoch),
    LoggingOut,
    Over,
}

/// A server where the user may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) login: Login,
    /// Requests that the home server has not taken; whether each is asked again already.
    pub(super) to_home: VecDeque<(Action, bool)>,
    /// What comes back.
    pub(super) from_home: VecDeque<Event>,
    /// The request that the location service has not taken.
    pub(super) to_location: Option<Action>,
    /// The timer, and whether its time is over.
    pub(super) timer: Option<bool>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProfileState {
    /// What is durable at the home server.
    pub(super) home: HomeProfile,
    pub(super) home_is_up: bool,
    /// The greatest login epoch that was told, and to whom.
    pub(super) given: Option<(LoginEpoch, u8)>,
    /// The greatest version that a server was told.
    pub(super) told: u64,
    /// The changes that clients were told to be durable, by version.
    pub(super) acknowledged: BTreeMap<u64, u8>,
    pub(super) servers: Vec<Server>,
    pub(super) clients: Vec<Client>,
    /// The record of each server: its login epoch, and when its lease ends.
    pub(super) records: BTreeMap<u8, (LoginEpoch, Timestamp)>,
    /// Notices of the home server that are under way.
    pub(super) notices: BTreeSet<(u8, LoginEpoch)>,
    pub(super) now: Timestamp,
    /// Halves of a lease that have passed since anything was lost or died, or anybody logged in or out; at most two.
    pub(super) calm: u8,
    /// Whether anything has been lost or has died.
    pub(super) is_troubled: bool,
    pub(super) left: Bounds,
    pub(super) breaches: BTreeSet<Breach>,
}

impl ProfileState {
    pub(super) fn new(bounds: Bounds) -> Self {
        let servers = bounds.away + u8::from(bounds.at_home);
        Self {
            home: HomeProfile::default(),
            home_is_up: true,
            given: None,
            told: 0,
            acknowledged: BTreeMap::new(),
            servers: (0..servers).map(|_| Server::default()).collect(),
            clients: Vec::new(),
            records: BTreeMap::new(),
            notices: BTreeSet::new(),
            now: Timestamp(0),
            calm: 0,
            is_troubled: false,
            left: bounds,
            breaches: BTreeSet::new(),
        }
    }

    pub(super) fn server(&mut self, server: u8) -> Option<&mut Server> {
        self.servers.get_mut(usize::from(server))
    }

    pub(super) fn client(&mut self, connection: ConnectionNumber) -> Option<&mut Client> {
        self.clients.get_mut(usize::try_from(connection.0).ok()?)
    }

    /// Nothing is on its way, and no timer's time is over.
    pub(super) fn is_quiet(&self) -> bool {
        self.notices.is_empty()
            && self.servers.iter().all(|server| {
                server.to_home.is_empty()
                    && server.from_home.is_empty()
                    && server.to_location.is_none()
                    && server.timer != Some(true)
            })
    }

    /// Where the user is logged in, as each server believes.
    pub(super) fn online(&self) -> BTreeMap<u8, LoginEpoch> {
        (0..)
            .zip(&self.servers)
            .filter_map(|(number, server)| Some((number, server.login.epoch()?)))
            .collect()
    }

    /// Whether everybody agrees on where the user is logged in: the server, the home server, and the location service.
    pub(super) fn is_agreed(
        &self,
        place: impl Fn(u8) -> Option<antiphon_spec::identity::ServerName>,
    ) -> bool {
        let online = self.online();
        let records: BTreeMap<u8, LoginEpoch> =
            self.records.iter().map(|(server, (epoch, _))| (*server, *epoch)).collect();
        let at_home = self.home.logged_in_at(self.now).cloned();
        let here = online.iter().next();
        online.len() <= 1
            && records == online
            && at_home == here.and_then(|(server, _)| place(*server))
            && here.is_none_or(|(_, epoch)| *epoch == self.home.epoch)
    }

    /// Whether each client that takes itself for logged in is the one whom its server has, with the profile that it knows.
    pub(super) fn is_told(&self) -> bool {
        (0..).zip(&self.clients).all(|(number, client)| {
            let Phase::LoggedIn(epoch) = client.phase else { return true };
            let login = self.servers.get(usize::from(client.server)).map(|server| &server.login);
            let version = ProfileVersion(client.version);
            login.is_some_and(|login| {
                login.epoch() == Some(epoch)
                    && login.stands_for() == Some((ConnectionNumber(number), version))
            })
        })
    }

    /// Something that has to be waited out: a login or its end, a loss, a death.
    pub(super) fn stir(&mut self) {
        self.calm = 0;
    }

    pub(super) fn trouble(&mut self) {
        self.stir();
        self.is_troubled = true;
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        self.breaches.insert(breach);
    }

    /// Looks at an answer of the home server as it leaves.
    pub(super) fn judge_answer(&mut self, to: u8, answer: &Answer) {
        let version = match answer {
            Answer::CheckedOut { epoch, profile, .. } => {
                if self.given.is_some_and(|(before, _)| before >= *epoch) {
                    self.breach(Breach::EpochRepeated);
                }
                self.given = Some((*epoch, to));
                profile.version.0
            }
            Answer::Stored(version) => version.0,
            Answer::Renewed(_) | Answer::CheckedIn | Answer::Refused(_) => return,
        };
        if version < self.told {
            self.breach(Breach::VersionBack);
        }
        self.told = self.told.max(version);
    }
}
