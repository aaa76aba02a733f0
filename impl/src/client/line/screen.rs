//! What a person sees: events as lines, sessions under short numbers.

use std::collections::BTreeMap;

use antiphon_spec::{identity::UserHandle, policy::Preferences};

use crate::client::{
    ChangeView, ClientEvent, Command, EpochView, Refusal, SafeText, SessionName, Way, verdict_name,
};

/// Sessions and preferences as the person knows them, and the lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Screen {
    me: Option<UserHandle>,
    rooms: BTreeMap<u64, Room>,
    last_number: u64,
    current: Option<SessionName>,
    preferences: Option<Preferences>,
    lines: Vec<SafeText>,
}

#[derive(Debug)]
struct Room {
    session: SessionName,
    /// Who invited, while the invitation is open.
    inviter: Option<UserHandle>,
    members: usize,
    /// What the user said: how many members have no outcome yet, and whether all that have one got it.
    under_way: BTreeMap<u64, (usize, bool)>,
}

impl Screen {
    /// The lines that wait.
    pub(super) fn drain(&mut self) -> Vec<SafeText> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn say(&mut self, line: &str) {
        self.lines.push(SafeText::new(line));
    }

    // --- what the person names ---

    pub(super) fn current(&self) -> Result<SessionName, String> {
        self.current.ok_or_else(|| "you are in no session; /create begins one, /accept joins one".to_owned())
    }

    pub(super) fn session_at(&self, number: &str) -> Result<SessionName, String> {
        let number: u64 = number.parse().map_err(|_| "name a session by its number".to_owned())?;
        let room = self.rooms.get(&number).filter(|room| room.inviter.is_none());
        room.map(|room| room.session)
            .ok_or_else(|| format!("there is no session {number}; /sessions lists them"))
    }

    /// The invitation of a number; without one, the only one that there is.
    pub(super) fn invitation_at(&self, number: &str) -> Result<SessionName, String> {
        let mut open = self.rooms.iter().filter(|(_, room)| room.inviter.is_some());
        if number.is_empty() {
            return match (open.next(), open.next()) {
                (Some((_, room)), None) => Ok(room.session),
                (None, _) => Err("nobody has invited you".to_owned()),
                (Some(_), Some(_)) => Err("say which one; /sessions lists them".to_owned()),
            };
        }
        let wanted: u64 = number.parse().map_err(|_| "name an invitation by its number".to_owned())?;
        let found = open.find(|(number, _)| **number == wanted);
        found.map(|(_, room)| room.session).ok_or_else(|| format!("there is no invitation {wanted}"))
    }

    pub(super) fn preferences(&self) -> Result<&Preferences, String> {
        self.preferences.as_ref().ok_or_else(|| "log in first".to_owned())
    }

    // --- what the screen does itself ---

    pub(super) fn switch(&mut self, session: SessionName) {
        self.current = Some(session);
        let number = self.number(session);
        self.say(&format!("session {number} is the current one"));
    }

    pub(super) fn list_sessions(&mut self) {
        let line = |(number, room): (&u64, &Room)| match &room.inviter {
            Some(inviter) => format!("{number}: an invitation by {inviter}"),
            None if Some(room.session) == self.current => {
                format!("{number}: {}, the current one", count(room.members))
            }
            None => format!("{number}: {}", count(room.members)),
        };
        let lines: Vec<String> = self.rooms.iter().map(line).collect();
        if lines.is_empty() {
            self.say("no sessions; /create begins one");
        }
        lines.iter().for_each(|line| self.say(line));
    }

    pub(super) fn list_preferences(&mut self) {
        let Some(preferences) = self.preferences.clone() else { return self.say("log in first") };
        preferences.allow.iter().for_each(|handle| self.say(&format!("allowed: {handle}")));
        preferences.deny.iter().for_each(|handle| self.say(&format!("denied: {handle}")));
        self.say(&format!("everybody else: {}", verdict_name(preferences.default)));
    }

    // --- what happened ---

    /// Shows an event; returns what to do about it without being asked.
    pub(super) fn show(&mut self, event: ClientEvent) -> Vec<Command> {
        match event {
            ClientEvent::Ready { handle, .. } => return self.show_ready(handle),
            ClientEvent::Registered { handle } => {
                self.say(&format!("you are {handle}"));
                self.me = Some(handle);
                return vec![Command::Login {}];
            }
            ClientEvent::LoggedIn { preferences, .. } => {
                self.preferences = Some(preferences);
                self.say("you are logged in; /help lists what you can do");
            }
            ClientEvent::PreferencesSet { preferences, .. } => {
                self.preferences = Some(preferences);
                self.say("your preferences are kept");
            }
            ClientEvent::Address { handle, address } => self.say(&format!("{handle} is at {address}")),
            ClientEvent::LoggedOut => self.say("you are logged out"),
            ClientEvent::Quit => self.say("goodbye"),
            ClientEvent::Refused { command, detail, .. } if command.is_empty() => self.say(&detail),
            ClientEvent::Refused { command, detail, .. } if command == "send" => {
                self.say(&format!("this was not said: {detail}"));
            }
            ClientEvent::Refused { command, detail, .. } => self.say(&format!("/{command}: {detail}")),
            ClientEvent::Replaced { .. } => {
                self.say("you have logged in somewhere else, and are logged out here");
            }
            ClientEvent::Disconnected { detail } => {
                self.say(&format!("the connection to the server is lost ({detail}); trying again"));
            }
            ClientEvent::Error { code, detail } => self.say(&format!("{code}: {detail}")),
            ClientEvent::Taken { command: "invite", session, .. } => {
                let number = self.number(session);
                self.say(&format!("[{number}] the invitation is on its way"));
            }
            ClientEvent::Taken { .. } | ClientEvent::InstantTaken { .. } => {}
            ClientEvent::Instant { from, media_type, text, .. } => {
                let said = text.unwrap_or_else(|| not_shown(&media_type));
                self.say(&format!("(instant message) <{}> {said}", short(&from)));
            }
            ClientEvent::InstantDelivered { to, .. } => {
                self.say(&format!("(delivered to {})", short(&to)));
            }
            ClientEvent::InstantFailed { to, .. } => {
                self.say(&format!("(could not be delivered to {})", short(&to)));
            }
            ClientEvent::Sent { session, message, to, .. } => self.sent(session, message, to.len()),
            ClientEvent::Delivered { session, message, .. } => self.settled(session, message, true),
            ClientEvent::Failed { session, message, to } => {
                let number = self.number(session);
                self.say(&format!("[{number}] (not delivered to {})", short(&to)));
                self.settled(session, message, false);
            }
            ClientEvent::Linked { session, handle, way } => {
                let way = match way {
                    Way::Direct => "directly connected",
                    Way::Relayed => "connected by way of the servers",
                };
                let number = self.number(session);
                self.say(&format!("[{number}] {handle} is {way}"));
            }
            ClientEvent::Created { session, relay: _ } => {
                self.room(session);
                self.switch(session);
            }
            ClientEvent::Members { view } => self.show_members(&view),
            event @ (ClientEvent::Invited { .. }
            | ClientEvent::InvitationRejected { .. }
            | ClientEvent::InvitationFailed { .. }
            | ClientEvent::Epoch { .. }
            | ClientEvent::Message { .. }
            | ClientEvent::Pending { .. }
            | ClientEvent::Unsent { .. }
            | ClientEvent::MemberLost { .. }
            | ClientEvent::Fork { .. }
            | ClientEvent::NotPossible { .. }
            | ClientEvent::Ended { .. }) => self.show_in_session(event),
        }
        Vec::new()
    }

    fn show_ready(&mut self, handle: Option<UserHandle>) -> Vec<Command> {
        match handle {
            Some(handle) => {
                self.say(&format!("you are {handle}"));
                self.me = Some(handle);
                vec![Command::Login {}]
            }
            None => {
                self.say("you have no account yet; /register gets one");
                Vec::new()
            }
        }
    }

    fn show_members(&mut self, view: &EpochView) {
        for handle in &view.members {
            let part = if *handle == view.coordinator { " (coordinator)" } else { "" };
            let you = if Some(handle) == self.me.as_ref() { " (you)" } else { "" };
            self.say(&format!("  {handle}{part}{you}"));
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands over what belongs to a session")]
    fn show_in_session(&mut self, event: ClientEvent) {
        let (session, line) = match event {
            ClientEvent::Invited { session, inviter } => {
                let number = self.room(session);
                let line = format!("{inviter} invites you; /accept {number} or /reject {number}");
                if let Some(room) = self.rooms.get_mut(&number) {
                    room.inviter = Some(inviter);
                }
                (session, line)
            }
            ClientEvent::InvitationRejected { session, handle } => {
                (session, format!("{} does not want to join", short(&handle)))
            }
            ClientEvent::InvitationFailed { session, handle, code } => {
                let why = Refusal::Protocol(code).detail();
                (session, format!("{} cannot be invited: {why}", short(&handle)))
            }
            ClientEvent::Epoch { change, view } => (view.session, self.changed(&change, &view)),
            ClientEvent::Message { session, from, media_type, text, .. } => {
                let said = text.unwrap_or_else(|| not_shown(&media_type));
                (session, format!("<{}> {said}", short(&from)))
            }
            ClientEvent::Pending { session, .. } => (session, "(pending)".to_owned()),
            ClientEvent::Unsent { session, .. } => (session, "(not sent to anybody)".to_owned()),
            ClientEvent::MemberLost { session, handle } => {
                (session, format!("the link to {} is lost", short(&handle)))
            }
            ClientEvent::Fork { session, handle } => {
                let who = short(&handle);
                (session, format!("WARNING: {who} was told another history of this session than you were"))
            }
            ClientEvent::NotPossible { session, code } => {
                let why = Refusal::Protocol(code).detail();
                (session, format!("that is not possible: {why}"))
            }
            ClientEvent::Ended { session, reason } => return self.ended(session, reason),
            _ => return,
        };
        let number = self.number(session);
        self.say(&format!("[{number}] {line}"));
    }

    fn sent(&mut self, session: SessionName, message: u64, to: usize) {
        let number = self.room(session);
        if let Some(room) = self.rooms.get_mut(&number).filter(|_| to > 0) {
            room.under_way.insert(message, (to, true));
        }
    }

    /// One more member has an outcome of what the user said; the last one shows whether all have it.
    fn settled(&mut self, session: SessionName, message: u64, delivered: bool) {
        let number = self.number(session);
        let Some(room) = self.rooms.get_mut(&number) else { return };
        let Some((waiting, all)) = room.under_way.remove(&message) else { return };
        let (waiting, all) = (waiting.saturating_sub(1), all && delivered);
        if waiting > 0 {
            room.under_way.insert(message, (waiting, all));
        } else if all {
            self.say(&format!("[{number}] (delivered to all)"));
        }
    }

    fn changed(&mut self, change: &ChangeView, view: &EpochView) -> String {
        let number = self.room(view.session);
        if let Some(room) = self.rooms.get_mut(&number) {
            room.inviter = None;
            room.members = view.members.len();
        }
        let own = Some(&change.handle) == self.me.as_ref();
        if own && change.kind == "join" {
            self.switch(view.session);
        }
        let who = if own { "you".to_owned() } else { short(&change.handle) };
        match change.kind {
            "create" => format!("{who} began the session"),
            "join" => format!("{who} joined; {}", count(view.members.len())),
            "leave" => format!("{who} left; {}", count(view.members.len())),
            "remove" => format!("{who} was lost; {}", count(view.members.len())),
            "hand-over" => format!("{who} now coordinates"),
            "take-over" => {
                let verb = if own { "coordinate" } else { "coordinates" };
                format!("the coordinator was lost, and {who} {verb} now; {}", count(view.members.len()))
            }
            _ => format!("{who} did not come after all"),
        }
    }

    fn ended(&mut self, session: SessionName, reason: &str) {
        let number = self.number(session);
        self.rooms.retain(|_, room| room.session != session);
        if self.current == Some(session) {
            let next = self.rooms.values().find(|room| room.inviter.is_none());
            self.current = next.map(|room| room.session);
        }
        self.say(&format!("[{number}] {}", end(reason)));
    }

    fn number(&self, session: SessionName) -> u64 {
        self.rooms.iter().find(|(_, room)| room.session == session).map_or(0, |(number, _)| *number)
    }

    /// The number of a session, which it gets when it is first heard of.
    fn room(&mut self, session: SessionName) -> u64 {
        let known = self.number(session);
        if known != 0 {
            return known;
        }
        self.last_number += 1;
        self.rooms.insert(
            self.last_number,
            Room { session, inviter: None, members: 1, under_way: BTreeMap::new() },
        );
        self.last_number
    }
}

/// What stands for content that a line cannot show.
fn not_shown(media_type: &str) -> String {
    format!("[{media_type}, which cannot be shown here]")
}

/// How many there are, in words.
fn count(members: usize) -> String {
    if members == 1 { "1 member".to_owned() } else { format!("{members} members") }
}

/// Why a session is over, in a sentence.
fn end(reason: &str) -> String {
    match reason {
        "left" => "you have left the session",
        "invitation-over" => "the invitation is over",
        "join-failed" => "you could not join: somebody in the session could not be reached",
        "member-lost" => "a member is lost, and nobody removed it; the session is over",
        other => return format!("the session is over: {other}"),
    }
    .to_owned()
}

/// A handle as it stands before a message: enough of it to tell people apart.
fn short(handle: &UserHandle) -> String {
    let id: String = handle.id.to_string().chars().take(8).collect();
    format!("{id}@{}", handle.home)
}
