//! What can happen next, and what comes of it.

use antiphon_spec::{
    account::{
        login::{Action, Client as LoginClient, ConnectionNumber, Event},
        lookup::Listed,
        profile::{self, Answer, HomeProfile, Terms},
    },
    error_code::ErrorCode,
    identity::ContactAddress,
    machine::Machine as _,
    message::{
        client_server::FromServer,
        common::RequestId,
        server_server::{LoginEpoch, ProfileVersion},
    },
    policy::{HandleSet, Preferences, Verdict},
};

use super::{
    ProfileModel, ProfileState,
    world::{Breach, Client, HALF, Phase, Server},
};

/// Lines of a counterexample.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Vec<String>);

impl Log {
    pub(super) fn say(&mut self, line: String) {
        self.0.push(line);
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is carried out, and its answer is on its way.
    Carried,
    /// It is carried out, its answer is lost with the connection, and it is asked again.
    AskedAgain,
    /// It is carried out, and nobody hears of it.
    Unheard,
    /// It is not carried out.
    Unreached,
}

/// What happens next. Servers and clients are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProfileStep {
    /// A new client asks to log in at a server.
    LogsIn(u8),
    /// A client changes the preferences.
    Changes(u8),
    /// A client logs out.
    LogsOut(u8),
    /// A client is gone, and its server has noticed.
    Dies(u8),
    /// The first request of a server on its way to the home server gets there, or not.
    Home(u8, Fate),
    /// The first answer of the home server on its way to a server arrives.
    HomeAnswers(u8),
    /// The request of a server to the location service is carried out and answered, or not.
    Location(u8, Fate),
    /// A notice of the home server arrives.
    NoticeArrives(u8, LoginEpoch),
    /// A notice is lost.
    NoticeIsLost(u8, LoginEpoch),
    /// A server notices that its timer's time is over.
    TimerFires(u8),
    /// Half of a lease passes.
    HalfPasses,
    /// A server dies and is started again.
    ServerDies(u8),
    /// The home server dies while it carries out the first request of a server, after so many actions.
    HomeDies(u8, u8),
    /// The home server dies while it does nothing.
    HomeDiesAtRest,
    /// It is started again.
    HomeStarts,
}

const LOGIN: RequestId = RequestId(1);
const LOGOUT: RequestId = RequestId(2);

fn change_id(change: u8) -> RequestId {
    RequestId(10 + u64::from(change))
}

/// The change that made these preferences; 0 for those of a new account.
pub(super) fn change_of(preferences: &Preferences) -> u8 {
    preferences.allow.iter().next().map_or(0, |friend| friend.id.0[0])
}

impl ProfileModel {
    fn preferences(&self, change: u8) -> Preferences {
        let mut allow = HandleSet::default();
        if let Some(friend) = self.friend(change) {
            // One handle always fits.
            let _ = allow.insert(friend);
        }
        Preferences { deny: HandleSet::default(), allow, default: Verdict::Deny }
    }

    pub(super) fn possible(&self, state: &ProfileState, steps: &mut Vec<ProfileStep>) {
        for (number, server) in (0..).zip(&state.servers) {
            let number: u8 = number;
            let is_up = state.home_is_up || !self.is_home(number);
            if is_up && state.left.logins > 0 {
                steps.push(ProfileStep::LogsIn(number));
            }
            self.home_steps(state, number, server, steps);
            if !server.from_home.is_empty() {
                steps.push(ProfileStep::HomeAnswers(number));
            }
            if server.to_location.is_some() {
                steps.push(ProfileStep::Location(number, Fate::Carried));
                if state.left.losses > 0 {
                    steps.extend(
                        [Fate::Unheard, Fate::Unreached].map(|fate| ProfileStep::Location(number, fate)),
                    );
                }
            }
            if server.timer == Some(true) {
                steps.push(ProfileStep::TimerFires(number));
            }
            if state.left.crashes > 0 && !self.is_home(number) {
                steps.push(ProfileStep::ServerDies(number));
            }
        }
        for (number, client) in (0..).zip(&state.clients) {
            if client.phase != Phase::Over && state.left.deaths > 0 {
                steps.push(ProfileStep::Dies(number));
            }
            if matches!(client.phase, Phase::LoggedIn(_)) {
                if state.left.changes > 0 && client.change.is_none() {
                    steps.push(ProfileStep::Changes(number));
                }
                if state.left.logouts > 0 {
                    steps.push(ProfileStep::LogsOut(number));
                }
            }
        }
        for (to, epoch) in state.notices.iter().copied() {
            steps.push(ProfileStep::NoticeArrives(to, epoch));
            if state.left.losses > 0 && !self.is_home(to) {
                steps.push(ProfileStep::NoticeIsLost(to, epoch));
            }
        }
        if state.left.halves > 0 && state.is_quiet() {
            steps.push(ProfileStep::HalfPasses);
        }
        if !state.home_is_up {
            steps.push(ProfileStep::HomeStarts);
        } else if state.left.crashes > 0 {
            steps.push(ProfileStep::HomeDiesAtRest);
        }
    }

    fn home_steps(&self, state: &ProfileState, number: u8, server: &Server, steps: &mut Vec<ProfileStep>) {
        let Some((request, is_again)) = server.to_home.front() else { return };
        if !state.home_is_up {
            return steps.push(ProfileStep::Home(number, Fate::Unreached));
        }
        steps.push(ProfileStep::Home(number, Fate::Carried));
        if state.left.losses > 0 && !self.is_home(number) {
            steps.extend([Fate::Unheard, Fate::Unreached].map(|fate| ProfileStep::Home(number, fate)));
            if !is_again {
                steps.push(ProfileStep::Home(number, Fate::AskedAgain));
            }
        }
        if state.left.crashes > 0
            && let Some(event) = self.asked(number, request)
        {
            let mut out = Vec::new();
            state.home.clone().handle(event, &terms(state), &mut out);
            let actions = u8::try_from(out.len()).unwrap_or(u8::MAX);
            steps.extend((0..=actions).map(|actions| ProfileStep::HomeDies(number, actions)));
        }
    }

    /// Does a step. Nothing, if it cannot be done.
    pub(super) fn take(&self, state: &mut ProfileState, step: ProfileStep, log: &mut Log) -> Option<()> {
        match step {
            ProfileStep::LogsIn(server) => {
                state.left.logins -= 1;
                state.stir();
                let connection = ConnectionNumber(u64::try_from(state.clients.len()).ok()?);
                state.clients.push(Client { server, phase: Phase::LoggingIn, version: 0, change: None });
                let address = ContactAddress(std::net::SocketAddr::from(([192, 0, 2, 1], 1)));
                let client = LoginClient { connection, id: LOGIN, address };
                self.happens(state, server, Event::LoginAsked(client), log);
            }
            ProfileStep::Changes(client) => {
                state.left.changes -= 1;
                let change = self.bounds.changes - state.left.changes;
                let connection = ConnectionNumber(client.into());
                let asking = state.client(connection)?;
                asking.change = Some(change);
                let (server, version) = (asking.server, ProfileVersion(asking.version));
                let (id, messaging) = (change_id(change), self.preferences(change));
                let event = Event::PreferencesAsked { connection, id, version, messaging };
                self.happens(state, server, event, log);
            }
            ProfileStep::LogsOut(client) => {
                state.left.logouts -= 1;
                state.stir();
                let connection = ConnectionNumber(client.into());
                let leaving = state.client(connection)?;
                leaving.phase = Phase::LoggingOut;
                let server = leaving.server;
                self.happens(state, server, Event::LogoutAsked { connection, id: LOGOUT }, log);
            }
            ProfileStep::Dies(client) => {
                state.left.deaths -= 1;
                state.stir();
                self.ends(state, ConnectionNumber(client.into()), log);
            }
            ProfileStep::Home(server, fate) => self.reaches_home(state, server, fate, log)?,
            ProfileStep::HomeAnswers(server) => {
                let event = state.server(server)?.from_home.pop_front()?;
                self.happens(state, server, event, log);
            }
            ProfileStep::Location(server, fate) => self.reaches_location(state, server, fate, log)?,
            ProfileStep::NoticeArrives(to, epoch) => {
                state.notices.remove(&(to, epoch));
                self.happens(state, to, Event::ReplacedAtHome(epoch), log);
            }
            ProfileStep::NoticeIsLost(to, epoch) => {
                state.left.losses -= 1;
                state.trouble();
                state.notices.remove(&(to, epoch));
            }
            ProfileStep::TimerFires(server) => {
                state.server(server)?.timer = None;
                self.happens(state, server, Event::RenewalDue, log);
            }
            ProfileStep::HalfPasses => {
                state.left.halves -= 1;
                state.now = state.now.after(HALF);
                if state.home_is_up {
                    state.calm = (state.calm + 1).min(2);
                }
                let now = state.now;
                state.records.retain(|_, (_, end)| now < *end);
                for server in &mut state.servers {
                    server.timer = server.timer.map(|_| true);
                }
            }
            ProfileStep::ServerDies(server) => {
                state.left.crashes -= 1;
                self.dies(state, server)?;
            }
            ProfileStep::HomeDies(server, actions) => {
                state.left.crashes -= 1;
                let (request, _) = state.server(server)?.to_home.pop_front()?;
                let event = self.asked(server, &request)?;
                let answer = self.carries_out(state, server, event, usize::from(actions), log);
                let heard = answer.map_or_else(|| failure(&request), |answer| answered(&request, answer));
                state.server(server)?.from_home.extend(heard);
                self.home_dies(state)?;
            }
            ProfileStep::HomeDiesAtRest => {
                state.left.crashes -= 1;
                self.home_dies(state)?;
            }
            ProfileStep::HomeStarts => {
                state.home_is_up = true;
                state.trouble();
            }
        }
        Some(())
    }

    /// All that a server knew is gone, and so are its clients.
    fn dies(&self, state: &mut ProfileState, server: u8) -> Option<()> {
        state.trouble();
        *state.server(server)? = Server::default();
        for client in state.clients.iter_mut().filter(|client| client.server == server) {
            (client.phase, client.change) = (Phase::Over, None);
        }
        Some(())
    }

    fn home_dies(&self, state: &mut ProfileState) -> Option<()> {
        state.trouble();
        state.home_is_up = false;
        state.notices.clear();
        if self.bounds.at_home {
            self.dies(state, 0)?;
        }
        Some(())
    }

    /// The request as the home server takes it.
    fn asked(&self, server: u8, request: &Action) -> Option<profile::Event> {
        let by = self.place(server)?;
        match request {
            Action::CheckOut => Some(profile::Event::CheckOut { by }),
            Action::Store { epoch, version, messaging } => Some(profile::Event::Store {
                by,
                epoch: *epoch,
                version: *version,
                messaging: messaging.clone(),
            }),
            Action::Renew(epoch) => Some(profile::Event::Renew { by, epoch: *epoch }),
            Action::CheckIn(epoch) => Some(profile::Event::CheckIn { by, epoch: *epoch }),
            Action::Insert(_)
            | Action::Delete(_)
            | Action::Send { .. }
            | Action::Close(_)
            | Action::ArmRenewal(_)
            | Action::DisarmRenewal => None,
        }
    }

    fn reaches_home(&self, state: &mut ProfileState, server: u8, fate: Fate, log: &mut Log) -> Option<()> {
        let (request, _) = state.server(server)?.to_home.pop_front()?;
        if fate != Fate::Carried {
            // While the home server is down nobody reaches it; that is no loss of its own.
            state.left.losses -= u8::from(state.home_is_up);
            state.trouble();
        }
        if fate == Fate::Unreached {
            state.server(server)?.from_home.extend(failure(&request));
            return Some(());
        }
        let event = self.asked(server, &request)?;
        let answer = self.carries_out(state, server, event, usize::MAX, log);
        let asking = state.server(server)?;
        match fate {
            Fate::Carried => asking.from_home.extend(answer.and_then(|answer| answered(&request, answer))),
            Fate::AskedAgain => asking.to_home.push_front((request, true)),
            Fate::Unheard | Fate::Unreached => asking.from_home.extend(failure(&request)),
        }
        Some(())
    }

    /// The home server takes an event, carries out so many actions, and is as it was persisted last.
    fn carries_out(
        &self,
        state: &mut ProfileState,
        server: u8,
        event: profile::Event,
        actions: usize,
        log: &mut Log,
    ) -> Option<Answer> {
        let (mut out, mut answer, before) = (Vec::new(), None, state.home.clone());
        let mut machine = state.home.clone();
        machine.handle(event.clone(), &terms(state), &mut out);
        for action in out.into_iter().take(actions) {
            match action {
                profile::Action::Persist(home) => state.home = home,
                profile::Action::Answer(given) => {
                    log.say(format!("home -> {}: {}", self.named(server), super::words::answer(&given)));
                    state.judge_answer(server, &given);
                    answer = Some(given);
                }
                profile::Action::Replace { holder, epoch } => {
                    if let Some(holder) = self.number(&holder) {
                        state.notices.insert((holder, epoch));
                    }
                }
            }
        }
        self.judge_change(state, &before, server, &event);
        answer
    }

    /// Looks at what a request did to the profile.
    fn judge_change(&self, state: &mut ProfileState, before: &HomeProfile, by: u8, event: &profile::Event) {
        if state.home.profile == before.profile {
            return;
        }
        let profile::Event::Store { epoch, version, .. } = event else {
            return state.breach(Breach::HolderUnchecked);
        };
        if *version != before.profile.version {
            state.breach(Breach::VersionUnseen);
        }
        if state.given != Some((*epoch, by)) || before.epoch != *epoch {
            state.breach(Breach::HolderUnchecked);
        }
    }

    fn reaches_location(
        &self,
        state: &mut ProfileState,
        server: u8,
        fate: Fate,
        log: &mut Log,
    ) -> Option<()> {
        let request = state.server(server)?.to_location.take()?;
        if fate != Fate::Carried {
            state.left.losses -= 1;
            state.trouble();
        }
        let end = state.now.after(HALF * 2);
        let is_carried_out = fate != Fate::Unreached;
        let event = match request {
            Action::Insert(epoch) => {
                let is_stale = state.records.get(&server).is_some_and(|(present, _)| *present > epoch);
                if is_carried_out && !is_stale {
                    state.records.insert(server, (epoch, end));
                }
                if is_stale || fate != Fate::Carried {
                    Event::InsertFailed(ErrorCode::LocationUnreachable)
                } else {
                    Event::Inserted(HALF * 2)
                }
            }
            Action::Delete(epoch) => {
                if is_carried_out && state.records.get(&server).is_some_and(|(present, _)| *present == epoch)
                {
                    state.records.remove(&server);
                }
                Event::DeleteEnded
            }
            Action::CheckOut
            | Action::Store { .. }
            | Action::Renew(_)
            | Action::CheckIn(_)
            | Action::Send { .. }
            | Action::Close(_)
            | Action::ArmRenewal(_)
            | Action::DisarmRenewal => return None,
        };
        self.happens(state, server, event, log);
        Some(())
    }

    /// A connection is over, and its server is told.
    fn ends(&self, state: &mut ProfileState, connection: ConnectionNumber, log: &mut Log) {
        let Some(client) = state.client(connection) else { return };
        (client.phase, client.change) = (Phase::Over, None);
        let server = client.server;
        self.happens(state, server, Event::ConnectionEnded(connection), log);
    }

    /// Something happens to the login at a server.
    fn happens(&self, state: &mut ProfileState, at: u8, event: Event, log: &mut Log) {
        let mut out = Vec::new();
        let Some(server) = state.server(at) else { return };
        server.login.handle(event, &(), &mut out);
        let mut over = Vec::new();
        for action in out {
            if let Some(line) = super::words::action(self.named(at), &action) {
                log.say(line);
            }
            let Some(server) = state.server(at) else { return };
            match action {
                Action::CheckOut | Action::Store { .. } | Action::Renew(_) | Action::CheckIn(_) => {
                    server.to_home.push_back((action, false));
                }
                Action::Insert(_) | Action::Delete(_) => server.to_location = Some(action),
                Action::ArmRenewal(_) => server.timer = Some(false),
                Action::DisarmRenewal => server.timer = None,
                Action::Send { connection, message } => {
                    if self.hears(state, at, connection, &message) {
                        over.push(connection);
                    }
                }
                Action::Close(connection) => over.push(connection),
            }
        }
        // Whoever was refused or told the end leaves.
        for connection in over {
            let is_there = |client: &mut Client| client.phase != Phase::Over;
            if state.client(connection).is_some_and(is_there) {
                self.ends(state, connection, log);
            }
        }
    }

    /// A client hears from its server; says whether the client leaves for it.
    fn hears(
        &self,
        state: &mut ProfileState,
        at: u8,
        connection: ConnectionNumber,
        message: &FromServer,
    ) -> bool {
        let home = state.home.clone();
        let has_newer = (0..)
            .zip(&state.clients)
            .any(|(number, other): (u64, _)| number > connection.0 && other.server == at);
        let record = state.records.get(&at).map(|(epoch, _)| *epoch);
        let Some(client) = state.client(connection) else { return false };
        let is_newest = |epoch: LoginEpoch| !has_newer && home.epoch == epoch;
        let phase = client.phase;
        if phase == Phase::Over {
            return false;
        }
        let breach = match message {
            FromServer::LoggedIn(body) if phase == Phase::LoggingIn => {
                client.phase = Phase::LoggedIn(body.epoch);
                client.version = body.profile.version.0;
                (record != Some(body.epoch)).then_some(Breach::Unreachable)
            }
            FromServer::Refused(body) if phase == Phase::LoggingIn && body.id == LOGIN => return true,
            FromServer::Refused(body) if phase != Phase::LoggingIn => {
                client.change.take().map_or(Some(Breach::OutOfTurn), |change| {
                    let next = client.version + 1;
                    let is_own = body.code == ErrorCode::VersionConflict
                        && home.profile.version.0 == next
                        && change_of(&home.profile.messaging) == change;
                    is_own.then_some(Breach::OwnChangeRefused)
                })
            }
            FromServer::PreferencesSet(body) if phase != Phase::LoggingIn => match client.change.take() {
                None => Some(Breach::OutOfTurn),
                Some(change) => {
                    client.version = body.version.0;
                    self.is_acknowledged(state, at, body.version.0, change)
                }
            },
            FromServer::LoggedOut(_) if phase == Phase::LoggingOut => None,
            FromServer::Replaced(body) if let Phase::LoggedIn(epoch) = phase => {
                (body.epoch != epoch || is_newest(epoch)).then_some(Breach::CutOff)
            }
            FromServer::LoggedIn(_)
            | FromServer::Refused(_)
            | FromServer::PreferencesSet(_)
            | FromServer::LoggedOut(_)
            | FromServer::Replaced(_)
            | FromServer::Address(_)
            | FromServer::Greeting(_)
            | FromServer::RelayIncoming(_)
            | FromServer::RelayOpened(_)
            | FromServer::RelayData(_)
            | FromServer::RelayCredit(_)
            | FromServer::RelayClose(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_) => Some(Breach::OutOfTurn),
        };
        if let Some(breach) = breach {
            state.breach(breach);
        }
        false
    }

    /// A client is told that a change is durable.
    fn is_acknowledged(&self, state: &mut ProfileState, at: u8, version: u64, change: u8) -> Option<Breach> {
        let present = state.home.profile.version.0;
        let is_durable =
            version < present || (version == present && change_of(&state.home.profile.messaging) == change);
        let other = state.acknowledged.insert(version, change);
        if !is_durable || other.is_some_and(|other| other != change) {
            return Some(Breach::UpdateLost);
        }
        let user = self.friend(0)?;
        let server = state.server(at)?;
        let judged = server.login.resolve(&user, &self.friend(change)?);
        (server.login.epoch().is_some() && !matches!(judged, Listed::Told(_))).then_some(Breach::Misjudged)
    }
}

fn terms(state: &ProfileState) -> Terms {
    Terms { now: state.now, lease: HALF * 2 }
}

/// What a server hears of its request.
fn answered(request: &Action, answer: Answer) -> Option<Event> {
    match answer {
        Answer::CheckedOut { epoch, lease, profile } => Some(Event::CheckedOut { epoch, lease, profile }),
        Answer::Stored(version) => Some(Event::Stored(version)),
        Answer::Renewed(lease) => Some(Event::Renewed(lease)),
        Answer::CheckedIn => Some(Event::CheckInEnded),
        Answer::Refused(code) => failed(request, code),
    }
}

/// What a server hears of a request that has no answer.
fn failure(request: &Action) -> Option<Event> {
    failed(request, ErrorCode::HomeUnreachable)
}

fn failed(request: &Action, code: ErrorCode) -> Option<Event> {
    match request {
        Action::CheckOut => Some(Event::CheckOutFailed(code)),
        Action::Store { .. } => Some(Event::StoreFailed(code)),
        Action::Renew(_) => Some(Event::RenewFailed(code)),
        Action::CheckIn(_) => Some(Event::CheckInEnded),
        Action::Insert(_)
        | Action::Delete(_)
        | Action::Send { .. }
        | Action::Close(_)
        | Action::ArmRenewal(_)
        | Action::DisarmRenewal => None,
    }
}
