//! Commands: each gets its one answer, at once or when somebody else has answered.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    media_type::TEXT_PLAIN,
    message::client_client::Content,
    policy::{HandleSet, Preferences, Verdict},
    session::{Event, LocalNumber},
};
use tokio::time::Instant;

use super::{
    Deadline, Engine,
    account::{Login, Purpose, RegistrationCause},
};
use crate::client::{
    command::{Command, Request, SessionName},
    event::{ClientEvent, EpochView, Output, Refusal},
    server_link::Ask,
    settings::{QUIT_DEADLINE, SESSIONS_MAX},
};

impl Engine {
    pub(super) fn command(&mut self, request: Request) {
        let Request { id, command } = request;
        let name = command.name();
        if self.quitting.is_some() {
            return self.refuse_command(id, name, Refusal::Quitting);
        }
        match command {
            Command::Register { code } => self.register(RegistrationCause::Command(id), code),
            Command::Login {} => self.log_in(Some(id)),
            Command::SetPreferences { allow, deny, default } => match preferences(allow, deny, default) {
                Some(preferences) => self.set_preferences(id, preferences),
                None => self.refuse_command(id, name, ErrorCode::LimitReached),
            },
            Command::Lookup { handle } => {
                let purpose = Purpose::Lookup { id, handle: handle.clone() };
                if let Err(code) = self.ask_server(Ask::Lookup(handle), purpose) {
                    self.refuse_command(id, name, code);
                }
            }
            Command::Create {} => self.create(id),
            Command::Invite { session, handle } => {
                self.in_session(id, name, session, Event::Invite { invitee: handle });
            }
            Command::Accept { session } => self.in_session(id, name, session, Event::Accept),
            Command::Reject { session } => self.in_session(id, name, session, Event::Refuse),
            Command::Send { session, text } => {
                self.say(id, name, session, TEXT_PLAIN, text.into_bytes());
            }
            Command::SendContent { session, media_type, content } => {
                self.say(id, name, session, &media_type, content.0);
            }
            Command::Leave { session } => self.in_session(id, name, session, Event::Leave),
            Command::Instant { handle, text } => self.send_instant(id, handle, text),
            Command::Members { session } => self.members(id, session),
            Command::Logout {} => self.log_out(Some(id)),
            Command::Quit {} => self.quit(id),
        }
    }

    fn create(&mut self, id: Option<u64>) {
        if self.me.is_none() {
            return self.refuse_command(id, "create", Refusal::NotRegistered);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return self.refuse_command(id, "create", ErrorCode::LimitReached);
        }
        let Some((session, relay)) = self.create_session() else {
            return self.refuse_command(id, "create", ErrorCode::Internal);
        };
        let first = self.sessions.get(&session).and_then(|created| created.machine.epoch()).cloned();
        self.answer(id, ClientEvent::Created { session: SessionName(session), relay });
        if let Some(epoch) = first {
            self.tell(ClientEvent::epoch(&epoch));
        }
    }

    /// Hands what the user wants to a session. The answer stands before the events that follow from it.
    fn in_session(&mut self, id: Option<u64>, command: &'static str, session: SessionName, event: Event) {
        if self.sessions.get(&session.0).is_none_or(|conversation| conversation.over) {
            return self.refuse_command(id, command, ErrorCode::NoSuchSession);
        }
        let message = if let Event::Say { local, .. } = &event { Some(local.0) } else { None };
        let before = self.outputs.len();
        self.told += 1;
        self.in_command = true;
        self.step(session.0, event);
        self.in_command = false;
        let event = match self.refusal.take() {
            None => ClientEvent::Taken { command, session, message },
            Some(code) => {
                let code = Refusal::Protocol(code);
                let detail = code.detail().to_owned();
                ClientEvent::Refused { command: command.to_owned(), code, detail }
            }
        };
        self.outputs.insert(before.min(self.outputs.len()), Output { id, event });
    }

    fn say(
        &mut self,
        id: Option<u64>,
        command: &'static str,
        session: SessionName,
        media_type: &str,
        content: Vec<u8>,
    ) {
        let local = self.next_local(session);
        let content = Content(content.into());
        self.in_session(id, command, session, Event::Say { local, media_type: media_type.into(), content });
    }

    /// Names what the user says next in a session.
    fn next_local(&mut self, session: SessionName) -> LocalNumber {
        let conversation = self.sessions.get_mut(&session.0);
        LocalNumber(conversation.map_or(0, |conversation| {
            conversation.said += 1;
            conversation.said
        }))
    }

    fn members(&mut self, id: Option<u64>, session: SessionName) {
        let epoch = self.sessions.get(&session.0).and_then(|conversation| conversation.machine.epoch());
        match epoch.map(|epoch| EpochView::of(epoch)) {
            Some(view) => self.answer(id, ClientEvent::Members { view }),
            None => self.refuse_command(id, "members", ErrorCode::NoSuchSession),
        }
    }

    // --- the end ---

    /// Leaves all sessions; the rest follows when they have let the user go.
    pub(super) fn quit(&mut self, id: Option<u64>) {
        if self.quitting.is_some() {
            return;
        }
        self.quitting = Some(id);
        self.timers.arm(Deadline::Quit, Instant::now() + QUIT_DEADLINE);
        let open: Vec<_> = self.sessions.keys().copied().collect();
        for session in open {
            self.step(session, Event::Leave);
        }
    }

    /// The next step of `quit`: first the sessions let the user go, then every command that is open gets its answer,
    /// then the server logs the user out.
    pub(super) fn advance_quit(&mut self) {
        if self.quitting.is_none()
            || self.finished
            || !self.sessions.is_empty()
            || self.owes_answers()
            || !self.instants.are_all_sent()
        {
            return;
        }
        match &self.login {
            Login::Out => {}
            Login::Asked { .. } | Login::Lost => self.log_out(None),
            Login::In { .. } => {
                let asked = self.pending.values().any(|purpose| matches!(purpose, Purpose::Logout { .. }));
                if !asked {
                    self.log_out(None);
                }
            }
        }
        if matches!(self.login, Login::Out) {
            self.finish();
        }
    }

    /// Whether a command waits for the answer of a server.
    fn owes_answers(&self) -> bool {
        let pending = self.pending.values().any(|purpose| match purpose {
            Purpose::Lookup { .. } | Purpose::Preferences { .. } | Purpose::Logout { id: Some(_) } => true,
            Purpose::Link { .. }
            | Purpose::Call { .. }
            | Purpose::LinkAgain(_)
            | Purpose::CallAgain(_)
            | Purpose::Logout { id: None } => false,
        });
        let registering = matches!(self.registering, Some(RegistrationCause::Command(_)));
        let logging_in = matches!(self.login, Login::Asked { command: Some(_), .. });
        pending || registering || logging_in
    }

    /// Answers what is open, the `quit` last, and ends.
    pub(super) fn finish(&mut self) {
        let Some(id) = self.quitting.filter(|_| !self.finished) else { return };
        if let Some(RegistrationCause::Command(id)) = self.registering.take() {
            self.refuse_command(id, "register", Refusal::Quitting);
        }
        self.refuse_waiting_login();
        self.give_up_instants();
        self.fail_pending();
        self.answer(id, ClientEvent::Quit);
        self.finished = true;
    }
}

/// Preferences from lists in any order; none if a list is too long.
fn preferences(allow: Vec<UserHandle>, deny: Vec<UserHandle>, default: Verdict) -> Option<Preferences> {
    let set = |mut handles: Vec<UserHandle>| {
        handles.sort();
        handles.dedup();
        HandleSet::try_from(handles).ok()
    };
    Some(Preferences { deny: set(deny)?, allow: set(allow)?, default })
}
