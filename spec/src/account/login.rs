//! The login of one user at a local server: check-out, list, insert, answer, and the same backwards at the end.
//!
//! The machine asks one thing at a time and waits for the answer or its failure, also when the client is gone by then:
//! so it always knows what is left to undo. A newer login waits until the older one is undone, and then begins anew.

mod event;
mod online;

use std::time::Duration;

use self::online::{Online, Storing};
pub use self::{
    event::{Action, Client, ConnectionNumber, Event},
    online::RENEWAL_RETRY,
};
use super::lookup::Listed;
use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    machine::Machine,
    message::{
        client_server::{FromServer, LoggedIn, LoggedOut},
        common::{Refused, RequestId},
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    mutant::{Mutant, active},
    policy::{Preferences, Verdict},
};

/// The login of one user at one server, from the first request to the last thing undone.
///
/// **Contract of the caller.** One event at a time; requests of one machine to one peer are sent in the order in which
/// they were pushed. When [`Login::is_over`] turns true, the caller may drop the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    state: State,
    /// Waits for the login before it to be undone.
    next: Option<Client>,
}

/// Named by what each waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// A client.
    LoggedOut,
    /// The check-out. No login up to `over` may stand any more.
    AwaitingProfile { client: Option<Client>, over: LoginEpoch },
    /// The location service, with the user on the list.
    AwaitingInsert {
        client: Option<Client>,
        epoch: LoginEpoch,
        lease: Duration,
        profile: Profile,
        is_replaced: bool,
    },
    /// Requests.
    Online(Online),
    /// Answers of home server and location service that are open, so that what comes next undoes them too.
    AwaitingOpenAnswers { online: Online, ending: Ending },
    /// The location service, to delete the record.
    AwaitingDelete { epoch: LoginEpoch, ending: Ending },
    /// The home server, to end the login epoch.
    AwaitingCheckIn { ending: Ending },
}

/// How a login ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ending {
    /// Who is answered when all is undone.
    logout: Option<(ConnectionNumber, RequestId)>,
    /// The profile is held by a newer login, so there is nothing to check in.
    is_replaced: bool,
}

impl Default for Login {
    fn default() -> Self {
        Self { state: State::LoggedOut, next: None }
    }
}

impl Machine for Login {
    type Event = Event;
    type Action = Action;
    type Context<'a> = ();

    fn handle(&mut self, event: Event, (): &(), out: &mut Vec<Action>) {
        match event {
            Event::LoginAsked(client) => self.login_asked(client, out),
            Event::LogoutAsked { connection, id } => self.logout_asked(connection, id, out),
            Event::PreferencesAsked { connection, id, version, messaging } => {
                self.preferences_asked(connection, Storing { id, messaging }, version, out);
            }
            Event::ConnectionEnded(connection) => self.connection_ended(connection, out),
            Event::ReplacedAtHome(epoch) => self.replaced_at_home(epoch, out),
            Event::CheckedOut { epoch, lease, profile } => self.checked_out(epoch, lease, profile, out),
            Event::CheckOutFailed(code) => {
                if let State::AwaitingProfile { client, .. } = &self.state {
                    refuse(*client, code, out);
                    self.rest(out);
                }
            }
            Event::Stored(version) => self.store_ended(Ok(version), out),
            Event::StoreFailed(code) => self.store_ended(Err(code), out),
            Event::Renewed(lease) => self.renew_ended(Ok(lease), out),
            Event::RenewFailed(code) => self.renew_ended(Err(code), out),
            Event::Inserted(lease) => self.inserted(lease, out),
            Event::InsertFailed(code) => self.insert_failed(code, out),
            Event::DeleteEnded => self.delete_ended(out),
            Event::CheckInEnded => {
                if let State::AwaitingCheckIn { ending } = &self.state {
                    farewell(ending, out);
                    self.rest(out);
                }
            }
            Event::RenewalDue => self.renewal_due(out),
        }
    }
}

impl Login {
    /// Whether nothing is left to do or to undo.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::LoggedOut && self.next.is_none()
    }

    /// What the list of users says: where the client of a user who is logged in accepts links.
    #[must_use]
    pub fn address(&self) -> Option<ContactAddress> {
        self.listed().map(|(address, _)| address)
    }

    /// What a user's own local server says to an asker (`ADDR-005`).
    #[must_use]
    pub fn resolve(&self, user: &UserHandle, asker: &UserHandle) -> Listed<ContactAddress> {
        let Some((address, preferences)) = self.listed() else { return Listed::Absent };
        let allowed = || preferences.judge(asker) == Verdict::Allow;
        let told = user == asker
            || preferences.lists(asker)
            || active(Mutant::PreferencesUnjudged)
            || (active(Mutant::AddressToldByDefault) && allowed());
        if told { Listed::Told(address) } else { Listed::Forbidden }
    }

    /// Where a caller's relayed link leads (`RELAY-011`), if the user's client expects the tag that the caller names, or the
    /// preferences allow the caller.
    #[must_use]
    pub fn called_by(
        &self,
        caller: &UserHandle,
        is_expected: impl FnOnce(ConnectionNumber) -> bool,
    ) -> Listed<ConnectionNumber> {
        let (connection, preferences) = match &self.state {
            State::Online(online) => (online.connection, &online.profile.messaging),
            State::AwaitingInsert { client: Some(client), profile, .. } if active(Mutant::CalledEarly) => {
                (client.connection, &profile.messaging)
            }
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => return Listed::Absent,
        };
        let allowed = preferences.judge(caller) == Verdict::Allow || active(Mutant::RelayPreferencesUnjudged);
        if allowed || is_expected(connection) { Listed::Told(connection) } else { Listed::Forbidden }
    }

    /// The login epoch, while the login stands.
    #[must_use]
    pub fn epoch(&self) -> Option<LoginEpoch> {
        match &self.state {
            State::Online(online) => Some(online.epoch),
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => None,
        }
    }

    /// The connection on which the user is logged in, and the version of the profile that is judged by.
    #[must_use]
    pub fn stands_for(&self) -> Option<(ConnectionNumber, ProfileVersion)> {
        match &self.state {
            State::Online(online) => Some((online.connection, online.profile.version)),
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => None,
        }
    }

    fn listed(&self) -> Option<(ContactAddress, &Preferences)> {
        match &self.state {
            State::Online(online) => Some((online.address, &online.profile.messaging)),
            State::AwaitingInsert { client, profile, .. } => {
                Some((client.as_ref()?.address, &profile.messaging))
            }
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => None,
        }
    }

    fn login_asked(&mut self, newer: Client, out: &mut Vec<Action>) {
        match &mut self.state {
            State::LoggedOut => self.begin(newer, out),
            // What was begun for the older client serves the newer one.
            State::AwaitingProfile { client, .. }
            | State::AwaitingInsert { client, is_replaced: false, .. } => {
                refuse(client.replace(newer), ErrorCode::LoginReplaced, out);
            }
            State::Online(online) => {
                online.tell_replaced(out);
                self.next = Some(newer);
                self.end(Ending::default(), out);
            }
            State::AwaitingInsert { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => {
                refuse(self.next.replace(newer), ErrorCode::LoginReplaced, out);
            }
        }
    }

    fn logout_asked(&mut self, connection: ConnectionNumber, id: RequestId, out: &mut Vec<Action>) {
        // In every other state the connection has been told already that its login is over.
        if self.is_online_on(connection) {
            self.end(Ending { logout: Some((connection, id)), is_replaced: false }, out);
        }
    }

    fn preferences_asked(
        &mut self,
        connection: ConnectionNumber,
        storing: Storing,
        version: ProfileVersion,
        out: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::Online(online) if online.connection == connection => {
                if online.storing.is_some() {
                    out.push(refusal(connection, storing.id, ErrorCode::LimitReached));
                } else {
                    let messaging = storing.messaging.clone();
                    out.push(Action::Store { epoch: online.epoch, version, messaging });
                    online.storing = Some(storing);
                    if active(Mutant::PreferencesSetEarly) {
                        online.answer_store(Ok(ProfileVersion(version.0.saturating_add(1))), out);
                    }
                }
            }
            // The connection has been told already that its login is over.
            State::Online(_)
            | State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingOpenAnswers { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => {}
        }
    }

    fn connection_ended(&mut self, ended: ConnectionNumber, out: &mut Vec<Action>) {
        self.next = self.next.filter(|client| client.connection != ended);
        match &mut self.state {
            State::AwaitingProfile { client, .. } | State::AwaitingInsert { client, .. } => {
                *client = client.filter(|client| client.connection != ended);
            }
            State::Online(online) => {
                if online.connection == ended {
                    self.end(Ending::default(), out);
                }
            }
            State::AwaitingOpenAnswers { ending, .. }
            | State::AwaitingDelete { ending, .. }
            | State::AwaitingCheckIn { ending } => {
                ending.logout = ending.logout.filter(|(connection, _)| *connection != ended);
            }
            State::LoggedOut => {}
        }
    }

    fn replaced_at_home(&mut self, up_to: LoginEpoch, out: &mut Vec<Action>) {
        if active(Mutant::ReplaceIgnored) {
            return;
        }
        let up_to = if active(Mutant::OlderReplaceObeyed) { LoginEpoch(u64::MAX) } else { up_to };
        match &mut self.state {
            State::AwaitingProfile { over, .. } => *over = up_to.max(*over),
            State::AwaitingInsert { client, epoch, is_replaced, .. } => {
                if *epoch <= up_to && !active(Mutant::EarlyReplaceIgnored) {
                    *is_replaced = true;
                    refuse(client.take(), ErrorCode::LoginReplaced, out);
                }
            }
            State::Online(online) => {
                if online.epoch <= up_to {
                    online.tell_replaced(out);
                    self.end(Ending { logout: None, is_replaced: true }, out);
                }
            }
            State::AwaitingOpenAnswers { online: Online { epoch, .. }, ending }
            | State::AwaitingDelete { epoch, ending } => ending.is_replaced |= *epoch <= up_to,
            State::AwaitingCheckIn { .. } | State::LoggedOut => {}
        }
    }

    fn checked_out(&mut self, epoch: LoginEpoch, lease: Duration, profile: Profile, out: &mut Vec<Action>) {
        if let State::AwaitingProfile { client, over } = &self.state {
            if epoch <= *over {
                refuse(*client, ErrorCode::LoginReplaced, out);
                self.rest(out);
            } else if client.is_none() {
                self.check_in(epoch, Ending::default(), out);
            } else {
                let client = *client;
                self.state = State::AwaitingInsert { client, epoch, lease, profile, is_replaced: false };
                out.push(Action::Insert(epoch));
            }
        }
    }

    fn inserted(&mut self, lease: Duration, out: &mut Vec<Action>) {
        match &mut self.state {
            State::AwaitingInsert { client: Some(client), epoch, lease: epoch_lease, profile, .. } => {
                let logged_in = LoggedIn { id: client.id, epoch: *epoch, profile: profile.clone() };
                let message = FromServer::LoggedIn(logged_in);
                out.push(Action::Send { connection: client.connection, message });
                let leases = (*epoch_lease, lease);
                self.state = State::Online(Online::begin(client, *epoch, profile.clone(), leases, out));
            }
            State::AwaitingInsert { client: None, epoch, is_replaced, .. } => {
                let (epoch, ending) = (*epoch, Ending { logout: None, is_replaced: *is_replaced });
                self.delete(epoch, ending, out);
            }
            State::Online(_)
            | State::AwaitingOpenAnswers { .. }
            | State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => self.record_renewed(Some(lease), out),
        }
    }

    fn insert_failed(&mut self, code: ErrorCode, out: &mut Vec<Action>) {
        match &mut self.state {
            // It may have had its effect all the same, so it is undone.
            State::AwaitingInsert { client, epoch, is_replaced, .. } => {
                refuse(client.take(), code, out);
                let (epoch, ending) = (*epoch, Ending { logout: None, is_replaced: *is_replaced });
                self.delete(epoch, ending, out);
            }
            State::Online(_)
            | State::AwaitingOpenAnswers { .. }
            | State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => self.record_renewed(None, out),
        }
    }

    fn record_renewed(&mut self, lease: Option<Duration>, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Online(online) => online.location_answered(lease, out),
            State::AwaitingOpenAnswers { online, .. } => {
                online.stop_renewing();
                self.go_on_when_answered(out);
            }
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => {}
        }
    }

    fn renew_ended(&mut self, result: Result<Duration, ErrorCode>, out: &mut Vec<Action>) {
        let is_replaced = match result {
            Err(ErrorCode::LoginReplaced) => !active(Mutant::RenewalRefusalIgnored),
            Err(_) => active(Mutant::CutOffLoginEnded),
            Ok(_) => false,
        };
        match &mut self.state {
            State::Online(online) if is_replaced => {
                online.stop_renewing();
                online.tell_replaced(out);
                self.end(Ending { logout: None, is_replaced }, out);
            }
            State::Online(online) => online.home_answered(result.ok(), out),
            State::AwaitingOpenAnswers { online, ending } => {
                online.stop_renewing();
                ending.is_replaced |= is_replaced;
                self.go_on_when_answered(out);
            }
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => {}
        }
    }

    fn store_ended(&mut self, result: Result<ProfileVersion, ErrorCode>, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Online(online) => {
                online.answer_store(result, out);
                // The home server knows of a newer login, though its notice has not come yet.
                if result == Err(ErrorCode::LoginReplaced) {
                    online.tell_replaced(out);
                    self.end(Ending { logout: None, is_replaced: true }, out);
                }
            }
            State::AwaitingOpenAnswers { online, ending } => {
                // Whoever did not ask for the end has been told of it, and gets no answers any more.
                if ending.logout.is_some() {
                    online.answer_store(result, out);
                }
                online.storing = None;
                ending.is_replaced |= result == Err(ErrorCode::LoginReplaced);
                self.go_on_when_answered(out);
            }
            State::LoggedOut
            | State::AwaitingProfile { .. }
            | State::AwaitingInsert { .. }
            | State::AwaitingDelete { .. }
            | State::AwaitingCheckIn { .. } => {}
        }
    }

    fn delete_ended(&mut self, out: &mut Vec<Action>) {
        if let State::AwaitingDelete { epoch, ending } = &self.state {
            let (epoch, ending) = (*epoch, ending.clone());
            if ending.is_replaced || active(Mutant::CheckInSkipped) {
                farewell(&ending, out);
                self.rest(out);
            } else {
                self.check_in(epoch, ending, out);
            }
        }
    }

    fn renewal_due(&mut self, out: &mut Vec<Action>) {
        if let State::Online(online) = &mut self.state {
            online.renew(out);
        }
    }

    fn is_online_on(&self, connection: ConnectionNumber) -> bool {
        matches!(&self.state, State::Online(online) if online.connection == connection)
    }

    fn begin(&mut self, client: Client, out: &mut Vec<Action>) {
        self.state = State::AwaitingProfile { client: Some(client), over: LoginEpoch(0) };
        out.push(Action::CheckOut);
    }

    /// Ends a login that stands; nothing in any other state.
    fn end(&mut self, ending: Ending, out: &mut Vec<Action>) {
        if let State::Online(online) = &self.state {
            out.push(Action::DisarmRenewal);
            self.state = State::AwaitingOpenAnswers { online: online.clone(), ending };
            self.go_on_when_answered(out);
        }
    }

    fn go_on_when_answered(&mut self, out: &mut Vec<Action>) {
        if let State::AwaitingOpenAnswers { online, ending } = &self.state
            && !online.is_asking()
        {
            let (epoch, ending) = (online.epoch, ending.clone());
            self.delete(epoch, ending, out);
        }
    }

    fn delete(&mut self, epoch: LoginEpoch, ending: Ending, out: &mut Vec<Action>) {
        self.state = State::AwaitingDelete { epoch, ending };
        if active(Mutant::RecordLeft) {
            return self.delete_ended(out);
        }
        out.push(Action::Delete(epoch));
    }

    fn check_in(&mut self, epoch: LoginEpoch, ending: Ending, out: &mut Vec<Action>) {
        out.push(Action::CheckIn(epoch));
        self.state = State::AwaitingCheckIn { ending };
    }

    /// All is undone: turns to the client that waited for it, if there is one.
    fn rest(&mut self, out: &mut Vec<Action>) {
        self.state = State::LoggedOut;
        if let Some(client) = self.next.take() {
            self.begin(client, out);
        }
    }
}

fn refusal(connection: ConnectionNumber, id: RequestId, code: ErrorCode) -> Action {
    Action::Send { connection, message: FromServer::Refused(Refused { id, code }) }
}

fn refuse(client: Option<Client>, code: ErrorCode, out: &mut Vec<Action>) {
    out.extend(client.map(|client| refusal(client.connection, client.id, code)));
}

fn farewell(ending: &Ending, out: &mut Vec<Action>) {
    if let Some((connection, id)) = ending.logout {
        out.push(Action::Send { connection, message: FromServer::LoggedOut(LoggedOut { id }) });
        out.push(Action::Close(connection));
    }
}
