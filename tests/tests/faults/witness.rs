//! One client of a round, and everything that it has told: what it believes, what it has shown, and what it was told
//! that others have.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_tests::Client;
use serde_json::{Value, json};

/// Most lines that somebody says while the fault strikes. Each follows when the one before was sent, so that the
/// conversation goes on for as long as the session works.
const LINES_MAX: usize = 120;

/// The epoch that a client is in, as all members have to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) number: u64,
    pub(crate) hash: String,
    pub(crate) coordinator: String,
    pub(crate) members: BTreeSet<String>,
}

impl View {
    fn of(event: &Value) -> Self {
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        let members = event["members"].as_array().unwrap().iter();
        Self {
            number: event["number"].as_u64().unwrap(),
            hash: text("hash"),
            coordinator: text("coordinator"),
            members: members.map(|member| member.as_str().unwrap().to_owned()).collect(),
        }
    }
}

/// A message as a listener has shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) from: String,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) handle: String,
    /// At which server it is logged in.
    pub(crate) server: usize,
    pub(crate) session: String,
    /// It runs, as far as anybody knows.
    pub(crate) alive: bool,
    /// Nothing more comes from it.
    pub(crate) silent: bool,
    pub(crate) view: Option<View>,
    pub(crate) ended: Option<String>,
    pub(crate) invited: bool,
    /// It has been invited at least once.
    pub(crate) was_invited: bool,
    /// Invitations of this client that came to nothing.
    pub(crate) in_vain: usize,
    /// Whom it has seen as a member.
    pub(crate) met: BTreeSet<String>,
    /// How often it has logged in again by itself.
    pub(crate) logins: usize,
    talks: bool,
    /// What it was told to say.
    pub(crate) said: Vec<String>,
    /// Under which epoch and number it was sent, in the order in which it was said.
    pub(crate) sent: Vec<(u64, u64)>,
    /// The last number that a member has, by member and epoch.
    pub(crate) delivered: BTreeMap<(String, u64), u64>,
    pub(crate) shown: Vec<Shown>,
}

impl Witness {
    pub(crate) fn of(client: Client, name: &str, server: usize, session: &str) -> Self {
        Self {
            name: name.to_owned(),
            handle: client.handle().to_owned(),
            client,
            server,
            session: session.to_owned(),
            alive: true,
            silent: false,
            view: None,
            ended: None,
            invited: false,
            was_invited: false,
            in_vain: 0,
            met: BTreeSet::new(),
            logins: 0,
            talks: false,
            said: Vec::new(),
            sent: Vec::new(),
            delivered: BTreeMap::new(),
            shown: Vec::new(),
        }
    }

    /// Gives a command on the session, and does not wait.
    pub(crate) async fn begins(&mut self, mut command: Value) {
        command["session"] = json!(self.session);
        self.client.begin(command).await;
    }

    /// Whether it takes itself for a member.
    pub(crate) fn is_member(&self) -> bool {
        self.alive && self.view.is_some() && self.ended.is_none()
    }

    /// Forgets a session that it is not in any more; what it could not say there is never said.
    pub(crate) fn starts_anew(&mut self) {
        (self.view, self.ended, self.invited) = (None, None, false);
        self.said.truncate(self.sent.len());
    }

    /// Says lines, one after the other, from now on.
    pub(crate) async fn talks(&mut self) {
        self.talks = true;
        self.says_next().await;
    }

    /// Says no more by itself.
    pub(crate) fn is_quiet(&mut self) {
        self.talks = false;
    }

    /// Says one more line.
    pub(crate) async fn says_next(&mut self) {
        let line = format!("line {} of {}", self.said.len(), self.name);
        self.said.push(line.clone());
        self.begins(json!({"command": "send", "text": line})).await;
    }

    /// Everything that it said was sent, and every other member has it.
    pub(crate) fn is_heard(&self) -> bool {
        let Some((view, &(epoch, number))) = self.view.as_ref().zip(self.sent.last()) else { return false };
        let others = view.members.iter().filter(|member| **member != self.handle);
        let has = |member: &String| self.delivered.get(&(member.clone(), epoch)) == Some(&number);
        self.sent.len() == self.said.len() && others.clone().all(has)
    }

    /// It has shown the last message of this member.
    pub(crate) fn has_shown_last_of(&self, speaker: &Self) -> bool {
        let is_last = |shown: &Shown| {
            shown.from == speaker.handle && speaker.sent.last() == Some(&(shown.epoch, shown.number))
        };
        speaker.handle == self.handle || self.shown.iter().any(is_last)
    }

    /// Takes in the next thing that it tells, and goes on with what follows from it.
    pub(crate) async fn takes(&mut self, told: Option<Value>) {
        let Some(event) = told else {
            assert!(!self.alive, "{} ended by itself", self.name);
            self.silent = true;
            return;
        };
        let text = |field: &str| event[field].as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
        let number = |field: &str| event[field].as_u64().unwrap_or_else(|| panic!("{event}"));
        match event["event"].as_str().unwrap() {
            "epoch" | "members" => {
                let view = View::of(&event);
                // What was told before it was asked for is not news.
                if self.view.as_ref().is_none_or(|known| known.number < view.number) {
                    assert!(view.members.contains(&self.handle), "{} is told {event}", self.name);
                    self.met.extend(view.members.iter().cloned());
                    self.view = Some(view);
                }
            }
            "ended" => self.ended = Some(text("reason")),
            "invited" => (self.invited, self.was_invited) = (true, true),
            "invitation-failed" | "invitation-rejected" => self.in_vain += 1,
            "logged-in" => self.logins += 1,
            "delivered" => {
                let last = self.delivered.entry((text("to"), number("epoch"))).or_default();
                *last = number("number").max(*last);
            }
            "message" => {
                let shown = Shown {
                    from: text("from"),
                    epoch: number("epoch"),
                    number: number("number"),
                    text: text("text"),
                };
                let view = self.view.as_ref().unwrap();
                assert_eq!(view.number, shown.epoch, "{} shows {shown:?} in another epoch", self.name);
                assert!(view.members.contains(&shown.from), "{} shows {shown:?} of no member", self.name);
                self.shown.push(shown);
            }
            "sent" => {
                self.sent.push((number("epoch"), number("number")));
                if self.talks && self.is_member() && self.said.len() < LINES_MAX {
                    self.says_next().await;
                }
            }
            "refused" => {
                // Whose session is over, or about to be, may not have heard so yet.
                let (command, code) = (text("command"), text("code"));
                assert!(["send", "accept"].contains(&command.as_str()), "{} is told {event}", self.name);
                assert!(code == "no-such-session" || code == "forbidden", "{} is told {event}", self.name);
                if command == "send" {
                    self.said.pop();
                    self.talks = false;
                }
            }
            "taken" | "linked" | "member-lost" | "disconnected" | "pending" | "failed" | "unsent" => {}
            _ => panic!("{} tells {event}", self.name),
        }
    }
}
