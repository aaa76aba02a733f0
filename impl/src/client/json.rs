//! The client for another program: commands as JSON lines on the standard input, events as JSON lines on the standard
//! output. Nothing else is written there; logs go to the standard error.
//!
//! This interface is the one through which the conformance suite drives a client under test, whoever wrote it. It is
//! versioned by the field `interface` of `ready`; within a version fields and events may be added, and a program
//! ignores those that it does not know.
//!
//! # Lines
//!
//! A line is one JSON object (RFC 8259) in UTF-8, of at most 131072 bytes, ended by a line feed. Empty lines are ignored.
//! The end of the input is a `quit`.
//!
//! - A **session** is 64 lower-case hexadecimal digits: the session ID.
//! - A **handle** is a user handle, `ID@home`; an **address** an IP address and a port, `192.0.2.1:5000`.
//! - A **hash** is 64 lower-case hexadecimal digits; numbers are JSON numbers without fraction or exponent.
//! - A **code** is one word: an error code of the protocol, or one of the client's own: `invalid-command`,
//!   `not-registered`, `not-logged-in`, `logged-in-already`, `busy`, `unreachable`, `answer-refused`, `identity-folder`,
//!   `no-server`, `quitting`. A **detail** is the same for people, and may change.
//!
//! # Commands
//!
//! Each has the field `command`, and may have a number `id`, which its answer repeats. A field that the command does not
//! have is refused. Each command gets exactly one answer: the event in the last column, or `refused`. Answers need
//! not come in the order of the commands, and a command does not wait for the one before: whoever needs the effect of a
//! command waits for its answer.
//!
//! | `command` | other fields | what it does | answer |
//! | --- | --- | --- | --- |
//! | `register` | | gets an account for the client's key | `registered` |
//! | `login` | | logs in at the local server | `logged-in` |
//! | `set-preferences` | `allow`, `deny`: arrays of handles in any order; `default`: `"allow"` or `"deny"` | replaces the messaging preferences | `preferences-set` |
//! | `lookup` | `handle` | asks for a client's address | `address` |
//! | `create` | | begins a session | `created` |
//! | `invite` | `session`, `handle` | looks somebody up and invites them | `taken` |
//! | `accept` | `session` | accepts an invitation | `taken` |
//! | `reject` | `session` | refuses an invitation | `taken` |
//! | `send` | `session`, `text` | says `text` as `text/plain` | `taken`, with `message` |
//! | `send-content` | `session`, `media-type`, `content` in hexadecimal digits | says it as this media type, if all others take it | `taken`, with `message` |
//! | `instant` | `handle`, `text` | says `text` as `text/plain` to somebody, outside every session | `instant-taken` |
//! | `leave` | `session` | leaves, or gives up joining | `taken` |
//! | `members` | `session` | asks who is in the session | `members` |
//! | `logout` | | logs out; sessions go on | `logged-out` |
//! | `quit` | | leaves all sessions, logs out, ends | `quit` |
//!
//! # Events
//!
//! Each has the field `event`; an answer also has the `id` of its command, if that had one.
//!
//! | `event` | other fields | when |
//! | --- | --- | --- |
//! | `ready` | `interface`: 1, `address`, `handle` if there is an account | first of all |
//! | `registered` | `handle` | answers `register` |
//! | `logged-in` | `epoch`, `version`, `preferences`: {`allow`, `deny`, `default`} | answers `login`; unasked after a lost connection |
//! | `preferences-set` | `version`, `preferences` | answers `set-preferences` |
//! | `address` | `handle`, `address` | answers `lookup` |
//! | `created` | `session`, `relay`: the user's tag in it, in 32 digits | answers `create`; an `epoch` follows |
//! | `taken` | `command`, `session`; for `send` `message`, which counts what the user says in the session | answers; what comes of it follows |
//! | `instant-taken` | `message`, which counts the user's instant messages | answers `instant`; `instant-delivered` or `instant-failed` follows |
//! | `members` | `session`, `number`, `hash`, `members`, `coordinator` | answers `members` |
//! | `logged-out` | | answers `logout` |
//! | `quit` | | answers `quit`; the last event |
//! | `refused` | `command`, `code`, `detail` | answers any command; `command` is empty if it could not be read |
//! | `linked` | `session`, `handle`, `way`: `"direct"` or `"relayed"` | a link stands: between the clients, or by way of the servers |
//! | `invited` | `session`, `inviter` | somebody invites the user |
//! | `invitation-rejected` | `session`, `handle` | the invitee refused, or did not answer in time |
//! | `invitation-failed` | `session`, `handle`, `code` | the invitation came to nothing |
//! | `epoch` | `session`, `number`, `hash`, `change`: {`kind`, `handle`}, `members`: handles in their order, `coordinator` | an epoch begins; a newcomer's first is its own join |
//! | `message` | `session`, `from`, `epoch`, `number`, `media-type`, and `text` for plain text or else `content` in hexadecimal digits | a member said something |
//! | `pending` | `session`, `message` | what the user said waits, because the membership changes or much is under way |
//! | `sent` | `session`, `message`, `epoch`, `number`, `to`: handles | it went out; for each of `to` one of the next two follows |
//! | `delivered` | `session`, `message`, `to`, `epoch`, `number` | a member has it: its client has shown it, as a `message` here is shown once its line is written |
//! | `failed` | `session`, `message`, `to` | a member was gone before it said so; it may have it all the same |
//! | `unsent` | `session`, `message` | the session ended, or somebody joined who does not take it, before it went out |
//! | `instant` | `from`, `media-type`, and `text` or `content` as in `message` | somebody said something outside every session |
//! | `instant-delivered` | `message`, `to` | the receiver has been shown an instant message |
//! | `instant-failed` | `message`, `to` | an instant message could not be delivered |
//! | `member-lost` | `session`, `handle` | the link to a member is lost |
//! | `fork` | `session`, `handle` | a member holds another history of the session; the link to it is closed |
//! | `not-possible` | `session`, `code` | something taken on cannot be done after all |
//! | `ended` | `session`, `reason` | the session is over for the user |
//! | `replaced` | `epoch` | a newer login took this one's place |
//! | `disconnected` | `detail` | the connection to the local server is lost; the client tries again |
//! | `error` | `code`, `detail` | something failed that no command asked for |
//!
//! `kind` is `create`, `join`, `leave`, `remove`, `hand-over`, `void` or `take-over`; `reason` is `left`,
//! `invitation-over`, `join-failed` or `member-lost`.
//!
//! # Example
//!
//! ```text
//! > {"id":1,"command":"create"}
//! < {"id":1,"event":"created","session":"2c9d.."}
//! < {"event":"epoch","change":{"kind":"create","handle":"00f1..@home1.example"},"session":"2c9d..",..}
//! > {"id":2,"command":"invite","session":"2c9d..","handle":"07aa..@home2.example"}
//! < {"id":2,"event":"taken","command":"invite","session":"2c9d.."}
//! ```

use std::{future::pending, io};

use serde_json::{Map, Value};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use super::{Client, ClientEvent, Command, Output, Refusal, Request, input::Line};

/// Most answers to lines that hold no command that wait for the output.
const FAULTS_MAX: usize = 16;

/// Serves commands until the client has ended.
///
/// # Errors
/// The output cannot be written.
pub async fn run(
    client: Client,
    mut lines: mpsc::Receiver<Line>,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (commands, mut events, running) = client.split();
    let (faults_in, mut faults) = mpsc::channel(FAULTS_MAX);
    let reading = async {
        while let Some(line) = lines.recv().await {
            let text = match &line {
                Line::Text(text) if text.trim().is_empty() => continue,
                Line::Text(text) => Ok(text),
                Line::Unreadable(why) => Err(invalid(None, "", why.to_string())),
            };
            // A client that has ended answers nothing more; the writing half sees that too.
            match text.and_then(|text| parse(text)) {
                Ok(request) => drop(commands.send(request).await),
                Err(fault) => drop(faults_in.send(*fault).await),
            }
        }
        drop(commands.send(Command::Quit {}.into()).await);
        pending::<()>().await;
    };
    let writing = async {
        // `ready` comes before everything else, and the answer to a line before whatever follows from a later line.
        let mut next = events.recv().await;
        while let Some(event) = next {
            output.write_all(to_line(&event).as_bytes()).await?;
            output.flush().await?;
            next = tokio::select! {
                biased;
                fault = faults.recv() => fault,
                event = events.recv() => event,
            };
        }
        Ok::<(), io::Error>(())
    };
    tokio::select! {
        () = reading => {}
        written = writing => written?,
    }
    running.ended().await;
    Ok(())
}

/// An event as its line, with the line feed.
#[must_use]
pub fn to_line(output: &Output) -> String {
    // Every event has string keys and finite numbers, so JSON has a form for it.
    let mut line = serde_json::to_string(output).unwrap_or_default();
    line.push('\n');
    line
}

/// Reads a command.
///
/// # Errors
/// The line holds none; the error is the answer to it.
pub fn parse(line: &str) -> Result<Request, Box<Output>> {
    let mut object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| invalid(None, "", error.to_string()))?;
    let name = object.get("command").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = match object.remove("id") {
        None => None,
        Some(id) => Some(id.as_u64().ok_or_else(|| invalid(None, &name, "id is no number".to_owned()))?),
    };
    let command = serde_json::from_value(Value::Object(object));
    let command = command.map_err(|error| invalid(id, &name, error.to_string()))?;
    Ok(Request { id, command })
}

fn invalid(id: Option<u64>, command: &str, detail: String) -> Box<Output> {
    let event = ClientEvent::Refused { command: command.to_owned(), code: Refusal::InvalidCommand, detail };
    Box::new(Output { id, event })
}

#[cfg(test)]
mod tests;
