//! The account and the login: registering, logging in and again, asking the local server.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::tls::now;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::server_server::{Profile, ProfileVersion},
    policy::Preferences,
    registration_code::RegistrationCode,
    session::Target,
};
use tokio::{sync::mpsc, time::Instant};

use super::{Deadline, Engine, Input, Me, links::Place};
use crate::client::{
    event::{ClientEvent, Refusal},
    identity::Account,
    link::LinkId,
    registration::{self, RegistrationError},
    server_link::{self, Answer, Ask, LoginFailure, News, Tell, Token},
    settings::{RECONNECT_BASE, RECONNECT_CAP, RENEWAL_INTERVAL, SERVER_QUEUE_MAX},
};

/// The longest wait for a renewal that a timer is set to; a certificate lives 30 days at most.
const RENEWAL_WAIT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the login waits for.
#[derive(Debug)]
pub(super) enum Login {
    /// For the user to log in.
    Out,
    /// For the local server's answer.
    Asked {
        requests: mpsc::Sender<(Token, Ask)>,
        /// The command that asked; none where the client logs in again by itself.
        command: Option<Option<u64>>,
    },
    /// For requests: the user is logged in.
    In { requests: mpsc::Sender<(Token, Ask)>, version: ProfileVersion },
    /// For the time to log in again.
    Lost,
}

/// What a request to the local server is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The command `lookup`.
    Lookup { id: Option<u64>, handle: UserHandle },
    /// The address for a link.
    Link { place: Place, target: Option<Target> },
    /// A relayed link.
    Call { place: Place, target: Option<Target> },
    /// The address for a link that goes on.
    LinkAgain(LinkId),
    /// A relayed link for one that goes on.
    CallAgain(LinkId),
    /// The command `set-preferences`.
    Preferences { id: Option<u64>, preferences: Preferences },
    /// The command `logout`, or `quit`.
    Logout { id: Option<Option<u64>> },
}

/// What a registration is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) enum RegistrationCause {
    /// The command `register`.
    Command(Option<u64>),
    /// The certificate grows old.
    Renewal,
}

impl Engine {
    // --- registering ---

    pub(super) fn register(&mut self, cause: RegistrationCause, code: RegistrationCode) {
        let server = self.configuration.registration.clone();
        let problem = match &server {
            _ if self.registering.is_some() => Some(Refusal::Busy),
            None => Some(Refusal::NoServer),
            Some(_) => None,
        };
        let (None, Some(server)) = (problem, server) else {
            if let RegistrationCause::Command(id) = cause {
                self.refuse_command(id, "register", problem.unwrap_or(Refusal::NoServer));
            }
            return;
        };
        self.registering = Some(cause);
        let (key, trust, clock) = (self.key.clone(), Arc::clone(&self.trust), Arc::clone(&self.clock));
        let inputs = self.inputs.clone();
        self.tasks.spawn(async move {
            let result = registration::register(server, &key, code, &trust, &clock).await.map(Box::new);
            // Without an engine nobody wants the account; the key on the disk finds it again.
            let _ = inputs.send(Input::Registered(cause, result)).await;
        });
    }

    pub(super) fn registered(
        &mut self,
        cause: RegistrationCause,
        result: Result<Box<Account>, RegistrationError>,
    ) {
        self.registering = None;
        let kept = result.map_err(|error| (error.refusal(), error.to_string())).and_then(|account| {
            let handle = account.handle.clone();
            if self.me.as_ref().is_some_and(|me| me.peer.handle != handle) {
                let detail = format!("the server gave this key another handle: {handle}");
                return Err((Refusal::AnswerRefused, detail));
            }
            self.configuration.handle = Some(handle.clone());
            let kept = self.folder.keep_account(&account);
            kept.and_then(|()| self.folder.keep_configuration(&self.configuration))
                .map_err(|error| (Refusal::IdentityFolder, error.to_string()))?;
            self.become_user(*account);
            self.arm_renewal(RENEWAL_INTERVAL);
            Ok(handle)
        });
        match (kept, cause) {
            (Ok(handle), RegistrationCause::Command(id)) => {
                self.answer(id, ClientEvent::Registered { handle });
            }
            (Ok(_), RegistrationCause::Renewal) => tracing::info!("the certificate was renewed"),
            (Err((code, detail)), RegistrationCause::Command(id)) => {
                self.refuse_with(id, "register", code, detail);
            }
            (Err((code, detail)), RegistrationCause::Renewal) => {
                let detail = format!("the certificate could not be renewed: {detail}");
                self.tell(ClientEvent::Error { code, detail });
            }
        }
    }

    /// Plans the renewal of the certificate for when half of its life is over, but not before `least` has passed.
    //= spec/text/registration.md#the-answer
    //# REG-018: A client SHOULD renew its certificate, by registering its key again, before two thirds of the certificate's validity are over.
    pub(super) fn arm_renewal(&mut self, least: Duration) {
        let Some(Me { account, .. }) = &self.me else { return };
        let half = account.not_after.0.saturating_sub(account.not_before.0) / 2;
        let wait = account.not_before.0.saturating_add(half).saturating_sub(now(&self.clock).0);
        let wait = Duration::from_secs(wait).max(least).min(RENEWAL_WAIT_MAX);
        self.timers.arm(Deadline::Renewal, Instant::now() + wait);
    }

    pub(super) fn renew(&mut self) {
        if self.configuration.registration.is_some() && self.registering.is_none() {
            self.register(RegistrationCause::Renewal, RegistrationCode::default());
        }
        self.arm_renewal(RENEWAL_INTERVAL);
    }

    // --- logging in ---

    /// Begins a login: for a command, or because a connection was lost.
    pub(super) fn log_in(&mut self, command: Option<Option<u64>>) {
        let problem = match (&self.me, &self.configuration.server, &self.login) {
            (None, _, _) => Some(Refusal::NotRegistered),
            (_, None, _) => Some(Refusal::NoServer),
            (_, _, Login::In { .. }) => Some(Refusal::LoggedIn),
            (_, _, Login::Asked { .. }) => Some(Refusal::Busy),
            (Some(_), Some(_), Login::Out | Login::Lost) => None,
        };
        if let Some(problem) = problem {
            if let Some(id) = command {
                self.refuse_command(id, "login", problem);
            }
            return;
        }
        let (Some(me), Some(server)) = (&self.me, self.configuration.server.clone()) else { return };
        self.generation += 1;
        self.timers.disarm(&Deadline::Reconnect);
        let (requests, asked) = mpsc::channel(SERVER_QUEUE_MAX);
        let tell = Tell { generation: self.generation, inputs: self.inputs.clone() };
        let dialler = me.dialler.clone();
        self.tasks.spawn(server_link::run(dialler, server, self.address, asked, tell));
        self.login = Login::Asked { requests, command };
    }

    pub(super) fn reconnect(&mut self) {
        if matches!(self.login, Login::Lost) {
            self.log_in(None);
        }
    }

    /// Waits before the next attempt: any time up to a bound that doubles, so that clients that lost one server
    /// together do not come back together.
    fn wait_to_reconnect(&mut self) {
        self.login = Login::Lost;
        let Some(entropy) = self.entropy() else { return };
        let bound = RECONNECT_BASE.saturating_mul(1 << self.reconnects.min(16)).min(RECONNECT_CAP);
        let share = u64::from(u32::from_le_bytes([entropy[0], entropy[1], entropy[2], entropy[3]]));
        let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(bound.saturating_mul(share) >> 32);
        self.reconnects = self.reconnects.saturating_add(1);
        self.timers.arm(Deadline::Reconnect, Instant::now() + wait);
    }

    pub(super) fn log_out(&mut self, id: Option<Option<u64>>) {
        match &self.login {
            Login::Out => {
                if let Some(id) = id {
                    self.refuse_command(id, "logout", Refusal::NotLoggedIn);
                }
            }
            Login::Asked { .. } | Login::Lost => {
                self.refuse_waiting_login();
                self.logged_out(id);
            }
            Login::In { .. } => {
                let logging_out = |purpose: &Purpose| matches!(purpose, Purpose::Logout { .. });
                let busy = self.pending.values().any(logging_out);
                let asked = if busy { Err(Refusal::Busy) } else { self.ask_logout(id) };
                if let (Err(code), Some(id)) = (asked, id) {
                    self.refuse_command(id, "logout", code);
                }
            }
        }
    }

    fn ask_logout(&mut self, id: Option<Option<u64>>) -> Result<(), Refusal> {
        self.ask_server(Ask::Logout, Purpose::Logout { id }).map(drop)
    }

    /// A login that is given up gets its answer all the same.
    pub(super) fn refuse_waiting_login(&mut self) {
        if let Login::Asked { command: Some(id), .. } = &self.login {
            let id = *id;
            self.refuse_command(id, "login", ErrorCode::UnexpectedMessage);
        }
    }

    fn logged_out(&mut self, id: Option<Option<u64>>) {
        self.login = Login::Out;
        self.preferences = None;
        self.timers.disarm(&Deadline::Reconnect);
        if let Some(id) = id {
            self.answer(id, ClientEvent::LoggedOut);
        }
    }

    // --- asking ---

    pub(super) fn ask_server(&mut self, ask: Ask, purpose: Purpose) -> Result<Token, Refusal> {
        let Login::In { requests, .. } = &self.login else { return Err(Refusal::NotLoggedIn) };
        self.last_token += 1;
        let token = Token(self.last_token);
        requests.try_send((token, ask)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Protocol(ErrorCode::LimitReached),
            mpsc::error::TrySendError::Closed(_) => Refusal::Unreachable,
        })?;
        self.pending.insert(token, purpose);
        Ok(token)
    }

    /// Lets members through to this session; without a login, it is done with the next one.
    //= spec/text/relay.md#tags
    //# RELAY-001: A client MUST send `relay-expect` with the relay tag of a session before it sends the tag to anybody else.
    pub(super) fn tell_server(&self, ask: Ask) {
        if let Login::In { requests, .. } = &self.login
            && requests.try_send((Token(0), ask)).is_err()
        {
            tracing::debug!("the server does not hear of a relay tag");
        }
    }

    //= spec/text/relay.md#tags
    //# RELAY-003: A client MUST send `relay-expect` after each login for every session that it is in.
    fn expect_all(&self) {
        for conversation in self.sessions.values() {
            self.tell_server(Ask::Expect(conversation.relay));
        }
    }

    pub(super) fn set_preferences(&mut self, id: Option<u64>, preferences: Preferences) {
        let Login::In { version, .. } = &self.login else {
            return self.refuse_command(id, "set-preferences", Refusal::NotLoggedIn);
        };
        let ask = Ask::SetPreferences(*version, preferences.clone());
        if let Err(code) = self.ask_server(ask, Purpose::Preferences { id, preferences }) {
            self.refuse_command(id, "set-preferences", code);
        }
    }

    pub(super) fn server_news(&mut self, generation: u64, news: News) {
        // What an earlier connection has to say is over, as that connection is.
        if generation != self.generation || matches!(self.login, Login::Out | Login::Lost) {
            return;
        }
        match news {
            News::LoggedIn(epoch, profile) => {
                let login = std::mem::replace(&mut self.login, Login::Out);
                let Login::Asked { requests, command } = login else { return };
                let Profile { version, messaging } = *profile;
                self.login = Login::In { requests, version };
                self.preferences = Some(messaging.clone());
                self.reconnects = 0;
                let event = ClientEvent::LoggedIn { epoch, version, preferences: messaging };
                self.answer(command.flatten(), event);
                self.expect_all();
            }
            News::NotLoggedIn(failure) => self.not_logged_in(failure),
            News::Answered(token, answer) => {
                if let Some(purpose) = self.pending.remove(&token) {
                    self.answered(token, purpose, answer);
                }
            }
            News::Called(stream) => {
                // A listener with so many before it takes none; the stream ends, and with it the link.
                if let Some(relayed) = &self.relayed {
                    let _ = relayed.try_send(stream);
                }
            }
            News::Replaced(epoch) => {
                self.logged_out(None);
                self.tell(ClientEvent::Replaced { epoch });
                self.fail_pending();
            }
            News::Over(detail) => {
                self.wait_to_reconnect();
                self.fail_pending();
                if matches!(self.login, Login::Lost) {
                    self.tell(ClientEvent::Disconnected { detail });
                }
            }
        }
    }

    fn not_logged_in(&mut self, failure: LoginFailure) {
        let (code, detail, for_good) = match failure {
            LoginFailure::Refused(code) => {
                let refusal = Refusal::Protocol(code);
                let for_good = matches!(code, ErrorCode::NoSuchUser | ErrorCode::CertificateRefused);
                (refusal, refusal.detail().to_owned(), for_good)
            }
            LoginFailure::Unreachable(detail) => (Refusal::Unreachable, detail, false),
        };
        let command = match &self.login {
            Login::Asked { command, .. } => *command,
            Login::Out | Login::In { .. } | Login::Lost => None,
        };
        match command {
            Some(id) => {
                self.login = Login::Out;
                self.refuse_with(id, "login", code, detail);
            }
            None if for_good => {
                self.logged_out(None);
                self.tell(ClientEvent::Error { code, detail });
            }
            None => {
                tracing::debug!(%detail, "no login yet");
                self.wait_to_reconnect();
            }
        }
    }

    fn answered(&mut self, token: Token, purpose: Purpose, answer: Answer) {
        match (purpose, answer) {
            (Purpose::Lookup { id, handle }, Answer::Address(address)) => {
                self.answer(id, ClientEvent::Address { handle, address });
            }
            (Purpose::Link { place, target }, answer) => {
                let address = if let Answer::Address(address) = answer { Some(address) } else { None };
                self.address_told(place, target, token, address);
            }
            (Purpose::Call { place, target }, answer) => {
                let stream = if let Answer::Relayed(stream) = answer { Some(stream) } else { None };
                self.relay_opened(place, target, token, stream);
            }
            (Purpose::LinkAgain(id), answer) => {
                self.address_told_again(
                    id,
                    if let Answer::Address(address) = answer { Some(address) } else { None },
                );
            }
            (Purpose::CallAgain(id), answer) => {
                self.relay_opened_again(
                    id,
                    if let Answer::Relayed(stream) = answer { Some(stream) } else { None },
                );
            }
            (Purpose::Preferences { id, preferences }, Answer::PreferencesSet(new)) => {
                if let Login::In { version, .. } = &mut self.login {
                    *version = new;
                }
                self.preferences = Some(preferences.clone());
                self.answer(id, ClientEvent::PreferencesSet { version: new, preferences });
            }
            (Purpose::Logout { id }, Answer::LoggedOut) => {
                self.logged_out(id);
                self.fail_pending();
            }
            (Purpose::Lookup { id, .. }, answer) => self.not_granted(id, "lookup", &answer),
            (Purpose::Preferences { id, .. }, answer) => self.not_granted(id, "set-preferences", &answer),
            (Purpose::Logout { id }, answer) => {
                if let Some(id) = id {
                    self.not_granted(id, "logout", &answer);
                }
            }
        }
    }

    fn not_granted(&mut self, id: Option<u64>, command: &'static str, answer: &Answer) {
        let code = match answer {
            Answer::Refused(code) => *code,
            // The connection takes no answer of another kind than the request's.
            Answer::Address(_) | Answer::Relayed(_) | Answer::PreferencesSet(_) | Answer::LoggedOut => {
                ErrorCode::Internal
            }
        };
        self.refuse_command(id, command, code);
    }

    /// The connection is over: what waits for an answer gets none.
    pub(super) fn fail_pending(&mut self) {
        for (token, purpose) in std::mem::take(&mut self.pending) {
            match purpose {
                Purpose::Lookup { id, .. } => self.refuse_command(id, "lookup", Refusal::Unreachable),
                Purpose::Link { place, .. } | Purpose::Call { place, .. } => {
                    self.relay_opened(place, None, token, None);
                }
                Purpose::LinkAgain(id) | Purpose::CallAgain(id) => self.relay_opened_again(id, None),
                Purpose::Preferences { id, .. } => {
                    self.refuse_command(id, "set-preferences", Refusal::Unreachable);
                }
                // A server takes a connection that ended for a logout.
                Purpose::Logout { id } => self.logged_out(id),
            }
        }
    }
}
