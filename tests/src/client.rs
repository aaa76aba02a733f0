//! A client process: commands go in as JSON, answers are matched by their number, events are waited for by their fields.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{in_time, matches, process::Process};

/// A message that a client delivered: session, sender, text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// The session.
    pub session: String,
    /// The sender.
    pub from: String,
    /// What was said.
    pub text: String,
}

/// A client of the program `antiphon client --json`.
#[derive(Debug)]
pub struct Client {
    process: Process,
    handle: String,
    address: String,
    last_id: u64,
    answers: VecDeque<Value>,
    events: VecDeque<Value>,
    heard: Vec<Heard>,
}

impl Client {
    /// Waits until the client is ready.
    pub(crate) async fn over(process: Process) -> Self {
        let mut client = Self {
            process,
            handle: String::new(),
            address: String::new(),
            last_id: 0,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            heard: Vec::new(),
        };
        let ready = client.sees(json!({"event": "ready", "interface": 1})).await;
        client.address = text(&ready, "address");
        client.handle = ready.get("handle").and_then(Value::as_str).unwrap_or_default().to_owned();
        client
    }

    /// The user handle; empty before there is an account.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// Where it accepts links.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Every message that was delivered so far.
    #[must_use]
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// Gives a command, and waits for its answer.
    pub async fn ask(&mut self, command: Value) -> Value {
        let id = self.begin(command).await;
        self.answer(id).await
    }

    /// Gives a command without waiting; the number finds its answer.
    pub async fn begin(&mut self, mut command: Value) -> u64 {
        self.last_id += 1;
        command["id"] = json!(self.last_id);
        self.process.write(&command.to_string()).await;
        self.last_id
    }

    /// Waits for the answer of a number.
    pub async fn answer(&mut self, id: u64) -> Value {
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer["id"] == id) {
                return self.answers.remove(index).expect("it was just found");
            }
            assert!(self.listen("an answer").await, "{} ended before its answer {id}", self.process.name());
        }
    }

    /// Gives a command that has to be answered with this event.
    pub async fn done(&mut self, command: Value, answer: &str) -> Value {
        let name = self.process.name().to_owned();
        let answered = self.ask(command.clone()).await;
        assert_eq!(answered["event"], answer, "{name} {command}: {answered}");
        answered
    }

    /// Gives a command that has to be taken.
    pub async fn does(&mut self, command: Value) {
        self.done(command, "taken").await;
    }

    /// Gives a command that has to be refused; returns the refusal without its number.
    pub async fn refused(&mut self, command: Value) -> Value {
        let mut answer = self.done(command, "refused").await;
        answer.as_object_mut().expect("an event is an object").remove("id");
        answer
    }

    /// Registers.
    pub async fn registers(&mut self) {
        let registered = self.done(json!({"command": "register"}), "registered").await;
        self.handle = text(&registered, "handle");
    }

    /// Logs in; returns the answer.
    pub async fn logs_in(&mut self) -> Value {
        self.done(json!({"command": "login"}), "logged-in").await
    }

    /// Begins a session; returns its name.
    pub async fn creates(&mut self) -> String {
        text(&self.done(json!({"command": "create"}), "created").await, "session")
    }

    /// Invites somebody, who accepts; returns when all of `others`, too, see the newcomer.
    pub async fn brings_in(&mut self, session: &str, newcomer: &mut Self, others: &mut [&mut Self]) {
        let handle = newcomer.handle.clone();
        self.does(json!({"command": "invite", "session": session, "handle": handle})).await;
        let inviter = self.handle.clone();
        newcomer.sees(json!({"event": "invited", "session": session, "inviter": inviter})).await;
        newcomer.does(json!({"command": "accept", "session": session})).await;
        self.sees_change(session, "join", &handle).await;
        newcomer.sees_change(session, "join", &handle).await;
        for other in others {
            other.sees_change(session, "join", &handle).await;
        }
    }

    /// Invites somebody who cannot come; returns why not.
    pub async fn invites_in_vain(&mut self, session: &str, handle: &str) -> Value {
        self.does(json!({"command": "invite", "session": session, "handle": handle})).await;
        self.sees(json!({"event": "invitation-failed", "session": session, "handle": handle})).await
    }

    /// Puts these people on the user's allow list, and nobody on the deny list: they are told the address.
    pub async fn allows(&mut self, people: &[&str]) {
        let set = json!({"command": "set-preferences", "allow": people, "deny": [], "default": "allow"});
        self.done(set, "preferences-set").await;
    }

    /// Asks where somebody is; returns the address.
    pub async fn finds(&mut self, handle: &str) -> String {
        text(&self.done(json!({"command": "lookup", "handle": handle}), "address").await, "address")
    }

    /// Asks in vain where somebody is; returns the refusal.
    pub async fn misses(&mut self, handle: &str) -> Value {
        let refused = self.refused(json!({"command": "lookup", "handle": handle})).await;
        assert_eq!(refused["code"], "unavailable", "{refused}");
        refused
    }

    /// Asks where somebody is until nobody can say: a server needs a moment to notice who is gone without a word.
    pub async fn misses_in_time(&mut self, handle: &str) {
        let lookup = json!({"command": "lookup", "handle": handle});
        let asking = async { while self.ask(lookup.clone()).await["code"] != "unavailable" {} };
        in_time(&format!("{handle} to be unavailable"), asking).await;
    }

    /// Says something in a session.
    pub async fn says(&mut self, session: &str, text: &str) {
        self.does(json!({"command": "send", "session": session, "text": text})).await;
    }

    /// Leaves a session, and waits until it is over.
    pub async fn leaves(&mut self, session: &str) {
        self.does(json!({"command": "leave", "session": session})).await;
        self.sees(json!({"event": "ended", "session": session, "reason": "left"})).await;
    }

    /// Waits for an event with these fields; takes it, and leaves those before it.
    pub async fn sees(&mut self, wanted: Value) -> Value {
        let mut looked_at = 0;
        loop {
            while let Some(event) = self.events.get(looked_at) {
                if matches(&wanted, event) {
                    return self.events.remove(looked_at).expect("it was just found");
                }
                looked_at += 1;
            }
            let came = self.listen(&wanted.to_string()).await;
            assert!(came, "{} ended before {wanted}", self.process.name());
        }
    }

    /// Waits for the first event with either of these fields.
    pub async fn sees_either(&mut self, one: Value, other: Value) -> Value {
        let mut looked_at = 0;
        loop {
            while let Some(event) = self.events.get(looked_at) {
                if matches(&one, event) || matches(&other, event) {
                    return self.events.remove(looked_at).expect("it was just found");
                }
                looked_at += 1;
            }
            let came = self.listen(&format!("{one} or {other}")).await;
            assert!(came, "{} ended before {one} or {other}", self.process.name());
        }
    }

    /// Waits for an epoch that begins with a change.
    pub async fn sees_change(&mut self, session: &str, kind: &str, handle: &str) -> Value {
        let change = json!({"kind": kind, "handle": handle});
        self.sees(json!({"event": "epoch", "session": session, "change": change})).await
    }

    /// Waits until so many messages were delivered in all.
    pub async fn hears(&mut self, count: usize) {
        while self.heard.len() < count {
            let (name, heard) = (self.process.name().to_owned(), self.heard.len());
            let came = self.listen(&format!("{count} messages instead of {heard}")).await;
            assert!(came, "{name} ended after {heard} messages of {count}");
        }
    }

    /// The next event or answer, whatever it is; none after the last. May be cancelled and called again.
    pub async fn next(&mut self) -> Option<Value> {
        while self.events.is_empty() && self.answers.is_empty() {
            if !self.listen("anything").await {
                return None;
            }
        }
        self.events.pop_front().or_else(|| self.answers.pop_front())
    }

    /// Whether an event with these fields has come and was not taken.
    #[must_use]
    pub fn has_seen(&self, pattern: &Value) -> bool {
        self.events.iter().any(|event| matches(pattern, event))
    }

    /// Ends the client with `quit`, and listens to its last event; returns every message that it ever delivered.
    pub async fn quits(mut self) -> Vec<Heard> {
        self.done(json!({"command": "quit"}), "quit").await;
        while self.listen("its end").await {}
        let status = self.process.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.process.name());
        std::mem::take(&mut self.heard)
    }

    /// Takes the next line in; whether there was one.
    async fn listen(&mut self, awaited: &str) -> bool {
        let Some(line) = self.process.read(awaited).await else { return false };
        let event: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{} wrote {line:?}: {error}", self.process.name()));
        if event.get("id").is_some() {
            self.answers.push_back(event);
            return true;
        }
        if event["event"] == "message" {
            let [session, from, text] = ["session", "from", "text"].map(|field| text(&event, field));
            self.heard.push(Heard { session, from, text });
        }
        self.events.push_back(event);
        true
    }
}

fn text(event: &Value, field: &str) -> String {
    event.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field} in {event}")).to_owned()
}
