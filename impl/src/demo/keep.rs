//! `--keep`: everything stays up, and Carol answers whoever invites her.

use tokio::sync::oneshot;

use super::{DemoError, narrator::Narrator, play::Play, town::Home};
use crate::client::{ClientEvent, Command};

/// Says how to join, and lets Carol answer until the end is asked for.
pub(super) async fn wait(
    play: &mut Play,
    narrator: &mut Narrator,
    mut end: oneshot::Receiver<()>,
) -> Result<(), DemoError> {
    narrator.scene("Everything stays up. Join from another terminal:")?;
    explain(play, narrator)?;
    play.carol.forget();
    loop {
        let event = tokio::select! {
            _ = &mut end => return Ok(()),
            event = play.carol.next() => event,
        };
        let Some(event) = event else {
            let awaited = "the end of the demo".to_owned();
            return Err(DemoError::Ended { who: play.carol.name, awaited });
        };
        if let Some(command) = answer(&event, narrator)? {
            // She may be too late, as people are: then there is nothing to be done.
            let _ = play.carol.ask(command).await?;
        }
    }
}

/// What Carol does about an event.
#[expect(clippy::wildcard_enum_match_arm, reason = "Carol lets everything else happen")]
fn answer(event: &ClientEvent, narrator: &mut Narrator) -> std::io::Result<Option<Command>> {
    Ok(match event {
        ClientEvent::Invited { session, inviter } => {
            narrator.tell(&format!("Carol accepts an invitation by {inviter}"))?;
            Some(Command::Accept { session: *session })
        }
        ClientEvent::Message { session, from, text: Some(text), .. } => {
            narrator.tell(&format!("Carol hears {from}: {text}"))?;
            let text = format!("I hear: {text}");
            Some(Command::Send { session: *session, text })
        }
        _ => None,
    })
}

fn explain(play: &Play, narrator: &mut Narrator) -> std::io::Result<()> {
    let program =
        std::env::current_exe().map_or_else(|_| "antiphon".to_owned(), |path| path.display().to_string());
    let root = play.town.root_path();
    for (who, home) in [("erin", &play.town.home1), ("frank", &play.town.home2)] {
        let Home { authenticated, registration, .. } = home;
        narrator.tell(&format!(
            "{program} client --identity {} --root {} --server {authenticated} --registration {}",
            play.town.identity(who).display(),
            root.display(),
            registration.address,
        ))?;
    }
    narrator.tell("Then type:")?;
    narrator.tell("/register")?;
    narrator.tell("/create")?;
    narrator.tell(&format!("/invite {}", play.carol.handle))?;
    narrator.tell("Carol accepts, and repeats what you say. /help lists the rest; Ctrl-C here ends it all.")
}
