//! Somebody who changes the own profile without a pause, and remembers what was acknowledged.

use antiphon_tests::Client;
use serde_json::{Value, json};

/// A user and the client.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    /// Who may know the address.
    friend: String,
    /// The number of the last change that was asked for.
    asked: u64,
    /// The number of the last change that was acknowledged.
    pub(crate) acknowledged: u64,
    /// The version of the profile that was acknowledged last.
    version: u64,
    /// The last login epoch that was told.
    epoch: u64,
    /// The command that is not answered yet.
    waiting: Option<u64>,
}

impl User {
    pub(crate) fn new(name: &'static str, client: Client, friend: &str) -> Self {
        let friend = friend.to_owned();
        Self { name, client, friend, asked: 0, acknowledged: 0, version: 0, epoch: 0, waiting: None }
    }

    /// Asks for the next change, which has its number in the profile.
    pub(crate) async fn changes(&mut self) {
        self.asked += 1;
        let deny = [format!("{:032x}@number.example", self.asked)];
        let set = json!({
            "command": "set-preferences", "allow": [self.friend], "deny": deny, "default": "allow",
        });
        self.waiting = Some(self.client.begin(set).await);
    }

    /// Takes in what the client tells; whether it answers the change.
    pub(crate) fn takes(&mut self, told: &Value) -> bool {
        if self.waiting.is_none() || told["id"].as_u64() != self.waiting {
            return false;
        }
        self.waiting = None;
        if told["event"] == "preferences-set" {
            self.acknowledged = self.asked;
            self.version = told["version"].as_u64().unwrap();
        }
        true
    }

    /// Waits for the answer to the change that is under way.
    pub(crate) async fn ceases(&mut self) {
        while self.waiting.is_some() {
            let told = self.client.next().await.unwrap_or_else(|| panic!("{} has ended", self.name));
            self.takes(&told);
        }
    }

    /// Logs in, however often it has to be tried, and holds the profile against what was acknowledged.
    pub(crate) async fn logs_in(&mut self) {
        let logged_in = loop {
            let answer = self.client.ask(json!({"command": "login"})).await;
            if answer["event"] == "logged-in" {
                break answer;
            }
            // The client has logged in again by itself: what it read then is of no use here.
            if answer["code"] == "logged-in-already" {
                self.client.ask(json!({"command": "logout"})).await;
            }
        };
        let (name, version) = (self.name, logged_in["version"].as_u64().unwrap());
        let (epoch, before) = (logged_in["epoch"].as_u64().unwrap(), self.epoch);
        assert!(epoch > before, "{name}: login epoch {epoch} comes after {before}");
        self.epoch = epoch;
        assert!(version >= self.version, "{name}: version {version} comes after {}", self.version);
        let stored = logged_in["preferences"]["deny"][0]
            .as_str()
            .map_or(0, |number| u64::from_str_radix(number.split('@').next().unwrap(), 16).unwrap());
        let (acknowledged, asked) = (self.acknowledged, self.asked);
        assert!(
            (acknowledged..=asked).contains(&stored),
            "{name}: change {stored} is stored, {acknowledged} was acknowledged, {asked} was asked for last"
        );
        self.version = version;
        self.acknowledged = stored;
        self.asked = stored.max(self.asked);
    }
}
