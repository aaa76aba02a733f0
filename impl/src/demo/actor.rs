//! Somebody in the demo: a client, and everything that it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_spec::{identity::UserHandle, registration_code::RegistrationCode};
use tokio::time::timeout;

use super::{DemoError, STEP_DEADLINE};
use crate::client::{
    ChangeView, Client, ClientEvent, Command, EpochView, Output, Refusal, Request, SessionName, Settings,
    Way, json,
};

/// Most events that a failed wait shows.
const EVENTS_SHOWN_MAX: usize = 8;

/// A client with a name.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) handle: UserHandle,
    client: Client,
    /// What was told and not waited for yet.
    untaken: VecDeque<ClientEvent>,
    answers: VecDeque<Output>,
    /// Every message that was ever delivered: from whom, and what.
    pub(super) heard: Vec<(UserHandle, String)>,
    /// How each link of each session came about.
    linked: BTreeMap<(SessionName, UserHandle), Way>,
    /// Which messages these were: session, sender, epoch and number.
    known: BTreeSet<(SessionName, UserHandle, u64, u64)>,
    /// How many messages were delivered again.
    pub(super) repeated: usize,
    last_id: u64,
}

impl Actor {
    /// Starts a client, and registers.
    pub(super) async fn enter(name: &'static str, settings: Settings) -> Result<Self, DemoError> {
        // Nobody has a handle before the answer to the registration; this one is replaced by it.
        let handle = "00000000000000000000000000000000@nobody.example".parse()?;
        let mut actor = Self::returns(name, settings, handle).await?;
        let answer = actor.ask(Command::Register { code: RegistrationCode::default() }).await?;
        let ClientEvent::Registered { handle } = answer else {
            return Err(actor.untrue("the server registers a new key", "registered", &answer));
        };
        actor.handle = handle;
        Ok(actor)
    }

    /// Starts a client with the identity that it has in its files.
    pub(super) async fn returns(
        name: &'static str,
        settings: Settings,
        handle: UserHandle,
    ) -> Result<Self, DemoError> {
        let client = Client::start(settings).await.map_err(|error| DemoError::Client(name, error))?;
        Ok(Self {
            name,
            handle,
            client,
            untaken: VecDeque::new(),
            answers: VecDeque::new(),
            heard: Vec::new(),
            linked: BTreeMap::new(),
            known: BTreeSet::new(),
            repeated: 0,
            last_id: 0,
        })
    }

    /// The client is gone from one instant to the next, as a killed process is; says whose it was.
    pub(super) async fn dies(self) -> UserHandle {
        self.client.kill().await;
        self.handle
    }

    /// Gives a command and waits for its answer.
    pub(super) async fn ask(&mut self, command: Command) -> Result<ClientEvent, DemoError> {
        self.last_id += 1;
        let id = Some(self.last_id);
        let awaited = format!("the answer to {}", command.name());
        let sent = self.client.commands().send(Request { id, command }).await;
        sent.map_err(|_| DemoError::Ended { who: self.name, awaited: awaited.clone() })?;
        let waiting = async {
            loop {
                if let Some(index) = self.answers.iter().position(|answer| answer.id == id) {
                    return Ok(self.answers.remove(index).map(|answer| answer.event));
                }
                if !self.listen().await {
                    return Ok::<_, DemoError>(None);
                }
            }
        };
        let answered = timeout(STEP_DEADLINE, waiting).await;
        let answer = answered.map_err(|_| self.waited(&awaited))??;
        answer.ok_or(DemoError::Ended { who: self.name, awaited })
    }

    /// Gives a command that has to be taken.
    pub(super) async fn tell(&mut self, command: Command) -> Result<(), DemoError> {
        let claim = format!("{} can {}", self.name, command.name());
        let answer = self.ask(command).await?;
        let taken = matches!(answer, ClientEvent::Taken { .. });
        if taken { Ok(()) } else { Err(self.untrue(&claim, "taken", &answer)) }
    }

    /// Gives a command that has to be refused; says why it was.
    pub(super) async fn is_refused(&mut self, command: Command) -> Result<(Refusal, String), DemoError> {
        let claim = format!("{} is refused to {}", self.name, command.name());
        let answer = self.ask(command).await?;
        let ClientEvent::Refused { code, detail, .. } = answer else {
            return Err(self.untrue(&claim, "refused", &answer));
        };
        Ok((code, detail))
    }

    /// Waits for an event; those before it stay.
    pub(super) async fn wait<T>(
        &mut self,
        awaited: &str,
        mut wanted: impl FnMut(&ClientEvent) -> Option<T>,
    ) -> Result<T, DemoError> {
        let mut looked_at = 0;
        let waiting = async {
            loop {
                while let Some(event) = self.untaken.get(looked_at) {
                    if let Some(found) = wanted(event) {
                        self.untaken.remove(looked_at);
                        return Some(found);
                    }
                    looked_at += 1;
                }
                if !self.listen().await {
                    return None;
                }
            }
        };
        let found = timeout(STEP_DEADLINE, waiting).await.map_err(|_| self.waited(awaited))?;
        found.ok_or_else(|| DemoError::Ended { who: self.name, awaited: awaited.to_owned() })
    }

    /// Waits for an epoch of a session that begins with this change.
    pub(super) async fn sees(
        &mut self,
        session: SessionName,
        kind: &'static str,
        whom: &UserHandle,
    ) -> Result<EpochView, DemoError> {
        self.wait(&format!("an epoch with the change {kind} of {whom}"), |event| {
            let ClientEvent::Epoch { change: ChangeView { kind: of, handle }, view } = event else {
                return None;
            };
            (view.session == session && *of == kind && handle == whom).then(|| view.clone())
        })
        .await
    }

    /// Waits for an invitation to a session by somebody.
    pub(super) async fn is_invited(&mut self, to: SessionName, by: &UserHandle) -> Result<(), DemoError> {
        self.wait(&format!("an invitation by {by}"), |event| {
            let ClientEvent::Invited { session, inviter } = event else { return None };
            (*session == to && inviter == by).then_some(())
        })
        .await
    }

    /// Waits until so many messages were delivered in all.
    pub(super) async fn hears(&mut self, count: usize) -> Result<(), DemoError> {
        let waiting = async {
            while self.heard.len() < count {
                if !self.listen().await {
                    return false;
                }
            }
            true
        };
        let awaited = format!("{count} messages");
        match timeout(STEP_DEADLINE, waiting).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(DemoError::Ended { who: self.name, awaited }),
            Err(_) => Err(self.waited(&awaited)),
        }
    }

    /// Leaves a session, and waits until it is over.
    pub(super) async fn leaves(&mut self, session: SessionName) -> Result<&'static str, DemoError> {
        self.tell(Command::Leave { session }).await?;
        self.wait("the end of the session", |event| {
            let ClientEvent::Ended { session: of, reason } = event else { return None };
            (*of == session).then_some(*reason)
        })
        .await
    }

    /// Ends the client, and listens to the last event.
    pub(super) async fn quits(mut self) -> Result<Self, DemoError> {
        let answer = self.ask(Command::Quit {}).await?;
        if answer != ClientEvent::Quit {
            return Err(self.untrue("a client can quit", "quit", &answer));
        }
        let silence = async { while self.listen().await {} };
        timeout(STEP_DEADLINE, silence).await.map_err(|_| self.waited("the end of the client"))?;
        Ok(self)
    }

    /// How the last link to somebody in a session came about.
    pub(super) fn way_to(&self, session: SessionName, whom: &UserHandle) -> Option<Way> {
        self.linked.get(&(session, whom.clone())).copied()
    }

    /// Takes what was told so far for granted.
    pub(super) fn forget(&mut self) {
        self.untaken.clear();
    }

    /// The next event, whatever it is.
    pub(super) async fn next(&mut self) -> Option<ClientEvent> {
        loop {
            if let Some(event) = self.untaken.pop_front() {
                return Some(event);
            }
            if !self.listen().await {
                return None;
            }
        }
    }

    /// Takes the next event in; whether there was one.
    async fn listen(&mut self) -> bool {
        let Some(output) = self.client.next_event().await else { return false };
        if output.id.is_some() {
            self.answers.push_back(output);
            return true;
        }
        if let ClientEvent::Message { session, from, epoch, number, text, .. } = &output.event {
            self.heard.push((from.clone(), text.clone().unwrap_or_default()));
            if !self.known.insert((*session, from.clone(), *epoch, *number)) {
                self.repeated += 1;
            }
        }
        if let ClientEvent::Linked { session, handle, way } = &output.event {
            self.linked.insert((*session, handle.clone()), *way);
        }
        self.untaken.push_back(output.event);
        true
    }

    fn waited(&self, awaited: &str) -> DemoError {
        let events = self.untaken.iter().rev().take(EVENTS_SHOWN_MAX).rev();
        let told: String =
            events.map(|event| json::to_line(&Output { id: None, event: event.clone() })).collect();
        let told = if told.is_empty() { "nothing".to_owned() } else { told };
        DemoError::Waited { who: self.name, awaited: awaited.to_owned(), told }
    }

    pub(super) fn untrue(&self, claim: &str, expected: &str, found: &ClientEvent) -> DemoError {
        let found = json::to_line(&Output { id: None, event: found.clone() }).trim_end().to_owned();
        let claim = format!("{} ({})", claim, self.name);
        DemoError::Untrue { claim, expected: expected.to_owned(), found }
    }
}
