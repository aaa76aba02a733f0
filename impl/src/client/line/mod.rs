//! The client for a person: a line is said in the current session, a line that begins with a slash is a command.
//!
//! Whatever is written to the terminal goes through [`SafeText`], so that nobody can send escape sequences to it.

mod screen;
mod typed;

#[cfg(test)]
mod tests;

use std::io;

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc::{self, error::TrySendError},
};

use super::{Client, Command, Request, SafeText, input::Line};
use screen::Screen;
use typed::{Typed, read};

/// What `/help` says.
const HELP: &[&str] = &[
    "/register [CODE]      get an account; with a code, if the server wants one",
    "/login, /logout       log in, log out",
    "/create               begin a session",
    "/invite HANDLE        invite somebody into the current session",
    "/accept, /reject [N]  answer an invitation",
    "/sessions             list sessions and invitations",
    "/switch N             make another session the current one",
    "/members              who is in the current session",
    "/leave [N]            leave a session",
    "/instant HANDLE TEXT  say something to somebody outside every session",
    "/lookup HANDLE        ask where somebody's client is",
    "/allow HANDLE         let somebody invite you",
    "/deny HANDLE          keep somebody from inviting you or finding you",
    "/default allow|deny   what holds for everybody else",
    "/preferences          who may and who may not",
    "/quit                 leave all sessions, log out, end",
    "anything else         is said in the current session; begin with // to say a line that begins with /",
];

/// Talks with a person until the client has ended.
///
/// # Errors
/// The output cannot be written.
pub async fn run(
    client: Client,
    mut lines: mpsc::Receiver<Line>,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (commands, mut events, running) = client.split();
    let mut screen = Screen::default();
    let mut reading = true;
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                for command in screen.show(event.event) {
                    ask(&commands, command, &mut screen);
                }
            }
            // A pasted text waits until there is room for the next command; each one that is done frees some, and wakes
            // this loop with its answer. One place stays for what the screen asks by itself.
            line = lines.recv(), if reading && commands.capacity() > 1 => match line {
                None => {
                    reading = false;
                    ask(&commands, Command::Quit {}, &mut screen);
                }
                Some(Line::Unreadable(why)) => screen.say(&why.to_string()),
                Some(Line::Text(text)) => act(&text, &commands, &mut screen),
            }
        }
        for line in screen.drain() {
            write(&mut output, &line).await?;
        }
    }
    running.ended().await;
    Ok(())
}

fn act(text: &str, commands: &mpsc::Sender<Request>, screen: &mut Screen) {
    match read(text, screen) {
        Ok(Typed::Nothing) => {}
        Ok(Typed::Command(command)) => ask(commands, command, screen),
        Ok(Typed::Help) => HELP.iter().for_each(|line| screen.say(line)),
        Ok(Typed::Sessions) => screen.list_sessions(),
        Ok(Typed::Switch(session)) => screen.switch(session),
        Ok(Typed::Preferences) => screen.list_preferences(),
        Err(why) => screen.say(&why),
    }
}

fn ask(commands: &mpsc::Sender<Request>, command: Command, screen: &mut Screen) {
    match commands.try_send(command.into()) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => screen.say("the client is busy; try again"),
        Err(TrySendError::Closed(_)) => screen.say("the client has ended"),
    }
}

async fn write(output: &mut (impl AsyncWrite + Unpin), line: &SafeText) -> io::Result<()> {
    output.write_all(line.as_str().as_bytes()).await?;
    output.write_all(b"\n").await?;
    output.flush().await
}
