//! What a person typed, as a command.

use antiphon_spec::{
    identity::UserHandle,
    policy::{HandleSet, Preferences, Verdict},
    registration_code::RegistrationCode,
};

use super::screen::Screen;
use crate::client::{Command, SessionName};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing: an empty line.
    Nothing,
    /// Something that the client does.
    Command(Command),
    /// Something that the screen does.
    Help,
    Sessions,
    Preferences,
    Switch(SessionName),
}

/// Reads a line; an error is what to tell the person.
pub(super) fn read(line: &str, screen: &Screen) -> Result<Typed, String> {
    let line = line.trim_end();
    if line.is_empty() {
        return Ok(Typed::Nothing);
    }
    if let Some(text) = line.strip_prefix("//") {
        return say(&format!("/{text}"), screen);
    }
    let Some(command) = line.strip_prefix('/') else { return say(line, screen) };
    let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let argument = argument.trim();
    let bare = |command: Command| {
        if argument.is_empty() { Ok(command) } else { Err(format!("/{name} takes nothing more")) }
    };
    let command = match name {
        "help" | "?" => return Ok(Typed::Help),
        "sessions" => return Ok(Typed::Sessions),
        "preferences" => return Ok(Typed::Preferences),
        "switch" => return screen.session_at(argument).map(Typed::Switch),
        "register" => Command::Register { code: code(argument)? },
        "login" => bare(Command::Login {})?,
        "logout" => bare(Command::Logout {})?,
        "quit" | "exit" => bare(Command::Quit {})?,
        "create" | "new" => bare(Command::Create {})?,
        "invite" => Command::Invite { session: screen.current()?, handle: handle(argument)? },
        "accept" => Command::Accept { session: screen.invitation_at(argument)? },
        "reject" => Command::Reject { session: screen.invitation_at(argument)? },
        "leave" if argument.is_empty() => Command::Leave { session: screen.current()? },
        "leave" => Command::Leave { session: screen.session_at(argument)? },
        "members" => bare(Command::Members { session: screen.current()? })?,
        "instant" => instant(argument)?,
        "lookup" => Command::Lookup { handle: handle(argument)? },
        "allow" => judge(handle(argument)?, Verdict::Allow, screen)?,
        "deny" => judge(handle(argument)?, Verdict::Deny, screen)?,
        "default" => set_default(argument, screen)?,
        _ => return Err(format!("there is no command /{name}; /help lists them")),
    };
    Ok(Typed::Command(command))
}

fn say(text: &str, screen: &Screen) -> Result<Typed, String> {
    let session = screen.current()?;
    Ok(Typed::Command(Command::Send { session, text: text.to_owned() }))
}

fn instant(argument: &str) -> Result<Command, String> {
    let (whom, text) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let text = text.trim_start();
    if text.is_empty() {
        return Err("write /instant HANDLE and what to say".to_owned());
    }
    Ok(Command::Instant { handle: handle(whom)?, text: text.to_owned() })
}

fn handle(text: &str) -> Result<UserHandle, String> {
    text.parse().map_err(|error| format!("'{text}': {error}"))
}

fn judge(who: UserHandle, verdict: Verdict, screen: &Screen) -> Result<Command, String> {
    let mut preferences = screen.preferences()?.clone();
    let (to, from) = match verdict {
        Verdict::Allow => (&mut preferences.allow, &mut preferences.deny),
        Verdict::Deny => (&mut preferences.deny, &mut preferences.allow),
    };
    from.remove(&who);
    if to.insert(who) { Ok(replace(&preferences)) } else { Err("the list is full".to_owned()) }
}

fn set_default(text: &str, screen: &Screen) -> Result<Command, String> {
    let mut preferences = screen.preferences()?.clone();
    preferences.default = match text {
        "allow" => Verdict::Allow,
        "deny" => Verdict::Deny,
        _ => return Err("the default is allow or deny".to_owned()),
    };
    Ok(replace(&preferences))
}

fn replace(preferences: &Preferences) -> Command {
    let list = |set: &HandleSet| set.iter().cloned().collect();
    Command::SetPreferences {
        allow: list(&preferences.allow),
        deny: list(&preferences.deny),
        default: preferences.default,
    }
}

fn code(text: &str) -> Result<RegistrationCode, String> {
    text.parse::<RegistrationCode>().map_err(|error| error.to_string())
}
