//! A client that dies without a word while it coordinates: the others have a successor, and lose nothing but it.

use super::{
    DemoError,
    actor::Actor,
    narrator::Narrator,
    play::{Play, agree, members},
};
use crate::client::{ClientEvent, Command};

/// Bob begins a session with Alice and Carol, and his client dies in it; then it starts again.
pub(super) async fn survive(play: Play, narrator: &mut Narrator) -> Result<Play, DemoError> {
    narrator
        .scene("Bob begins another session with Alice and Carol, and then his client dies without a word.")?;
    let Play { town, mut alice, mut bob, mut carol, dave, session: last } = play;
    let answer = bob.ask(Command::Create {}).await?;
    let ClientEvent::Created { session, .. } = answer else {
        return Err(bob.untrue("Bob can begin a session", "created", &answer));
    };
    for invitee in [&mut alice, &mut carol] {
        bob.tell(Command::Invite { session, handle: invitee.handle.clone() }).await?;
        invitee.is_invited(session, &bob.handle).await?;
        invitee.tell(Command::Accept { session }).await?;
        bob.sees(session, "join", &invitee.handle.clone()).await?;
    }
    let joined = carol.handle.clone();
    let views = [
        members(&mut bob, session).await?,
        alice.sees(session, "join", &joined).await?,
        carol.sees(session, "join", &joined).await?,
    ];
    agree(narrator, "all three see the same epoch", &views)?;
    let dead = bob.dies().await;

    let successor = alice.handle.clone().min(carol.handle.clone());
    let mut views = Vec::new();
    for actor in [&mut alice, &mut carol] {
        views.push(actor.sees(session, "take-over", &successor).await?);
    }
    agree(narrator, "Alice and Carol see the same epoch without him", &views)?;
    let left: Vec<_> = views.iter().filter(|view| view.members.contains(&dead)).collect();
    narrator.claim("he is no member of it", &left.len(), &0)?;
    let coordinator = views.first().map(|view| view.coordinator.clone());
    narrator.claim("the lower handle of the two coordinates now", &coordinator, &Some(successor))?;
    let heard = carol.heard.len();
    alice.tell(Command::Send { session, text: "Where has he gone?".to_owned() }).await?;
    carol.hears(heard + 1).await?;
    let said = Some((alice.handle.clone(), "Where has he gone?".to_owned()));
    narrator.claim("and they go on talking", &carol.heard.last().cloned(), &said)?;
    let over = [alice.leaves(session).await?, carol.leaves(session).await?];
    narrator.claim("until both have left", &over, &["left", "left"])?;

    narrator.scene("Bob's client starts again from its files, and logs in.")?;
    let settings = town.settings("bob", &town.home1, &town.home2);
    let mut bob = Actor::returns("Bob", settings, dead).await?;
    let answer = bob.ask(Command::Login {}).await?;
    let ClientEvent::LoggedIn { epoch, .. } = answer else {
        return Err(bob.untrue("Bob can log in again", "logged-in", &answer));
    };
    narrator.claim("he is logged in, for the second time", &epoch.0, &2)?;
    Ok(Play { town, alice, bob, carol, dave, session: last })
}
