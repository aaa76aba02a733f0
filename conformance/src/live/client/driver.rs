//! The client under test: a process that takes commands and gives events, both as JSON lines.
//!
//! This is all that a client has to offer to be tested; one that has more is tested all the same. The command that
//! starts it stands in the target file ([`crate::target`]). It listens on 127.0.0.1, and every address that it gives to
//! others is one on which it accepts links.
//!
//! # Lines
//!
//! A line is one JSON object in UTF-8, ended by a line feed. A session is the session ID in 64 lower-case hexadecimal
//! digits, a handle a user handle, an address an IP address and a port. A code is an error code of the protocol or a
//! word of the client's own.
//!
//! Each command has the fields `command` and `id`, a number, and gets exactly one event with that `id`: the one of the
//! table, or `refused` with a `code`. Answers need not come in the order of the commands. Events of one session come in
//! the order in which things happened, and what happened before a command is told before its answer. The suite ignores
//! events and fields that it does not know.
//!
//! | `command` | other fields | the client .. | answer |
//! | --- | --- | --- | --- |
//! | `register` | `code`, if with a registration code | registers its key | `registered`: `handle` |
//! | `login` | | logs in at the local server | `logged-in`: `epoch`, `version`, `preferences` |
//! | `set-preferences` | `allow`, `deny`, `default` | replaces the messaging preferences | `preferences-set`: `version` |
//! | `lookup` | `handle` | asks its local server for an address | `address`: `handle`, `address` |
//! | `create` | | begins a session | `created`: `session`, and `relay`, the client's tag in it, in 32 digits; an `epoch` follows |
//! | `invite` | `session`, `handle` | invites somebody | `taken` |
//! | `accept`, `reject` | `session` | answers an invitation | `taken` |
//! | `send` | `session`, `text` | says it as `text/plain` | `taken`: `message`, a number that names it in the session |
//! | `send-content` | `session`, `media-type`, `content`: hexadecimal digits | says it as this media type, if all others take it | `taken`: `message` |
//! | `instant` | `handle`, `text` | sends it as an instant message, `text/plain` | `instant-taken`: `message`, a number that names it |
//! | `leave` | `session` | leaves, or gives up joining | `taken` |
//! | `members` | `session` | says who is there | `members`: `number`, `hash`, `members`, `coordinator` |
//! | `logout` | | logs out | `logged-out` |
//!
//! | `event` | fields | when |
//! | --- | --- | --- |
//! | `ready` | `address`, where it accepts links; `handle`, if it has an account | first of all |
//! | `invited` | `session`, `inviter` | somebody invites the user |
//! | `invitation-rejected` | `session`, `handle` | the invitee does not want to |
//! | `invitation-failed` | `session`, `handle`, `code` | the invitation came to nothing |
//! | `epoch` | `session`, `number`, `hash`, `change`: {`kind`, `handle`}, `members`, `coordinator` | an epoch begins for this client |
//! | `message` | `session`, `from`, `number`, and `text` for plain text | a member said something |
//! | `delivered` | `session`, `message`, `to`, `number` | a member acknowledged one of the user's messages |
//! | `failed` | `session`, `message`, `to` | a member was gone before it acknowledged one of the user's messages |
//! | `unsent` | `session`, `message` | the session ended before one of the user's messages was sent |
//! | `instant` | `from`, and `text` for plain text | an instant message came |
//! | `instant-delivered` | `message`, `to` | the receiver of an instant message has acknowledged it |
//! | `instant-failed` | `message`, `to` | an instant message could not be delivered |
//! | `member-lost` | `session`, `handle` | a member's link is lost |
//! | `ended` | `session`, `reason` | the session is over for the user |
//! | `replaced` | `epoch` | another login took this one's place |
//!
//! `kind` is the name of the change in the grammar. `reason` may be any word.

use std::{collections::BTreeMap, path::PathBuf};

use antiphon_protocol::{certificate::to_pem, signed::hash_epoch};
use antiphon_spec::{
    identity::{ContactAddress, UserHandle},
    session::{Epoch, SessionId},
};
use serde_json::{Value, json};

use super::{realm::Realm, server::Server};
use crate::{case::Failure, live::World, process::Process};

/// The client under test.
pub(super) struct Client {
    process: Process,
    /// Where it accepts links.
    pub(super) address: ContactAddress,
    /// Who it was when it started.
    pub(super) known_as: Option<UserHandle>,
    /// Told, and not asked for yet.
    told: Vec<Value>,
    last_id: u64,
    folder: tempfile::TempDir,
}

impl Client {
    /// Starts a client with an empty identity folder.
    pub(super) async fn start(world: &World, realm: &Realm, server: &Server) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(world.folder()).map_err(Failure::harness)?;
        Self::start_in(folder, world, realm, server).await
    }

    /// Ends the process and starts another with the same identity folder.
    pub(super) async fn start_again(
        mut self,
        world: &World,
        realm: &Realm,
        server: &Server,
    ) -> Result<Self, Failure> {
        self.process.kill().await;
        Self::start_in(self.folder, world, realm, server).await
    }

    async fn start_in(
        folder: tempfile::TempDir,
        world: &World,
        realm: &Realm,
        server: &Server,
    ) -> Result<Self, Failure> {
        let path = |name: &str| folder.path().join(name);
        let root = path("root.pem");
        std::fs::write(&root, to_pem(&[realm.authority.certificate().clone()])).map_err(Failure::harness)?;
        let identity = path("identity");
        std::fs::create_dir_all(&identity).map_err(Failure::harness)?;
        let text = |path: PathBuf| path.display().to_string();
        let values = BTreeMap::from([
            ("root", text(root)),
            ("identity", text(identity)),
            ("server-name", realm.home.name.to_string()),
            ("server-address", server.address.0.to_string()),
            ("registration-address", server.registration_address.0.to_string()),
        ]);
        let program =
            world.target().client.as_ref().ok_or_else(|| Failure::harness("the target has no client"))?;
        let command = world.target().command(&program.command, &values).map_err(Failure::harness)?;
        let mut process = Process::start(&command, &path("client.log"), world.variant())?;
        let ready = process.ready().await?;
        let address = ready.get("address").and_then(Value::as_str).and_then(|address| address.parse().ok());
        let address = address.filter(|_| ready.get("event") == Some(&json!("ready")));
        let address = address.ok_or_else(|| Failure::NotReady(ready.to_string()))?;
        let known_as = ready.get("handle").and_then(Value::as_str).and_then(|handle| handle.parse().ok());
        Ok(Self { process, address: ContactAddress(address), known_as, told: Vec::new(), last_id: 0, folder })
    }

    /// Gives a command without waiting for its answer, the number of which is returned.
    pub(super) async fn command(&mut self, mut command: Value) -> Result<u64, Failure> {
        self.last_id += 1;
        if let Some(fields) = command.as_object_mut() {
            fields.insert("id".to_owned(), self.last_id.into());
        }
        self.process.send(&command).await?;
        Ok(self.last_id)
    }

    /// The answer to a command; what comes before it is kept.
    pub(super) async fn answer(&mut self, id: u64) -> Result<Value, Failure> {
        let is_answer = |event: &Value| event.get("id").and_then(Value::as_u64) == Some(id);
        if let Some(place) = self.told.iter().position(is_answer) {
            return Ok(self.told.remove(place));
        }
        loop {
            let event = self.process.receive().await?;
            if is_answer(&event) {
                return Ok(event);
            }
            self.told.push(event);
        }
    }

    /// Gives a command and takes whatever answer.
    pub(super) async fn ask(&mut self, command: Value) -> Result<Value, Failure> {
        let id = self.command(command).await?;
        self.answer(id).await
    }

    /// Gives a command whose answer has to be this event.
    pub(super) async fn done(&mut self, command: Value, event: &str) -> Result<Value, Failure> {
        let answer = self.ask(command.clone()).await?;
        expect(answer, event, &command)
    }

    /// The answer to a command given before has to be this event.
    pub(super) async fn answered(&mut self, id: u64, event: &str) -> Result<Value, Failure> {
        let answer = self.answer(id).await?;
        expect(answer, event, &Value::Null)
    }

    /// Gives a command about a session, which the client takes.
    pub(super) async fn take(&mut self, command: &str, session: SessionId) -> Result<(), Failure> {
        self.done(json!({"command": command, "session": hex::encode(session.0)}), "taken").await.map(drop)
    }

    pub(super) async fn invite(&mut self, session: SessionId, whom: &UserHandle) -> Result<(), Failure> {
        self.done(json!({"command": "invite", "session": hex::encode(session.0), "handle": whom}), "taken")
            .await
            .map(drop)
    }

    /// Says something; gives the number under which the client tells what becomes of it.
    pub(super) async fn say(&mut self, session: SessionId, text: &str) -> Result<u64, Failure> {
        let command = json!({"command": "send", "session": hex::encode(session.0), "text": text});
        let taken = self.done(command, "taken").await?;
        let message = taken.get("message").and_then(Value::as_u64);
        message.ok_or_else(|| Failure::unexpected("taken with a number in message", taken))
    }

    /// The next event of this name; events of other names are kept.
    pub(super) async fn event(&mut self, name: &str) -> Result<Value, Failure> {
        let is_wanted = |event: &Value| event.get("event").and_then(Value::as_str) == Some(name);
        if let Some(place) = self.told.iter().position(is_wanted) {
            return Ok(self.told.remove(place));
        }
        loop {
            let event = self.process.receive().await;
            let event = event.map_err(|failure| match failure {
                Failure::Unexpected { got, .. } => Failure::unexpected(
                    format!("the event {name}"),
                    format!("{got}\ntold before: {}", Value::Array(self.told.clone())),
                ),
                other => other,
            })?;
            if is_wanted(&event) {
                return Ok(event);
            }
            self.told.push(event);
        }
    }

    /// The next event of this name has these fields.
    pub(super) async fn tells(&mut self, name: &str, fields: Value) -> Result<(), Failure> {
        let event = self.event(name).await?;
        for (field, value) in fields.as_object().into_iter().flatten() {
            if event.get(field) != Some(value) {
                return Err(Failure::unexpected(format!("{name} with {field} = {value}"), &event));
            }
        }
        Ok(())
    }

    /// The next epoch of a session that is told is this one.
    pub(super) async fn begins(&mut self, epoch: &Epoch) -> Result<(), Failure> {
        let handles: Vec<_> = epoch.handles().collect();
        let fields = json!({
            "session": hex::encode(epoch.session.0), "number": epoch.number.0, "hash": hex::encode(hash_epoch(epoch).0),
            "members": handles, "coordinator": epoch.coordinator,
        });
        self.tells("epoch", fields).await
    }

    /// A message is told: the next one that is.
    pub(super) async fn hears(&mut self, from: &UserHandle, text: &str) -> Result<(), Failure> {
        self.tells("message", json!({"from": from, "text": text})).await
    }

    /// Up to now, nothing of this name was told, besides what was waited for.
    pub(super) async fn has_not_told(&mut self, name: &str) -> Result<(), Failure> {
        // Whatever the answer is: what happened before is told before it.
        self.ask(json!({"command": "members", "session": hex::encode([0; 32])})).await?;
        match self.told.iter().find(|event| event.get("event").and_then(Value::as_str) == Some(name)) {
            None => Ok(()),
            Some(event) => Err(Failure::unexpected(format!("no event {name}"), event)),
        }
    }

    /// The client is still in this epoch.
    pub(super) async fn is_in(&mut self, epoch: &Epoch) -> Result<(), Failure> {
        let command = json!({"command": "members", "session": hex::encode(epoch.session.0)});
        let members = self.done(command, "members").await?;
        let (number, hash) = (json!(epoch.number.0), json!(hex::encode(hash_epoch(epoch).0)));
        if members.get("number") == Some(&number) && members.get("hash") == Some(&hash) {
            Ok(())
        } else {
            Err(Failure::unexpected(format!("epoch {number} with the hash {hash}"), &members))
        }
    }
}

fn expect(answer: Value, event: &str, command: &Value) -> Result<Value, Failure> {
    if answer.get("event").and_then(Value::as_str) == Some(event) {
        Ok(answer)
    } else {
        Err(Failure::unexpected(format!("{event} as the answer to {command}"), answer))
    }
}
