//! The demo, played as it is.

use std::{
    io,
    sync::{Arc, Mutex},
};

use super::{Narrator, Play, Town, actor::Actor, crash, keep};
use crate::client::{ClientEvent, Command};

/// What was narrated.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_to_its_end() {
    let paper = Paper::default();
    let mut narrator = Narrator::new(paper.clone());
    let town = Town::found(&mut narrator).await.unwrap();
    let mut play = Play::cast(town, &mut narrator).await.unwrap();
    play.perform(&mut narrator).await.unwrap();
    play.disperse(&mut narrator).await.unwrap();
    let mut play = crash::survive(play, &mut narrator).await.unwrap();
    play.part(&mut narrator).await.unwrap();
    play.end(&mut narrator).await.unwrap();
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the two go on talking"), "{text}");
    // The servers have passed on what Carol and Dave said, and saw none of it.
    let passed = crate::server::PASSED.lock().unwrap().clone();
    assert!(passed.len() > 10_000, "only {} bytes were relayed", passed.len());
    for said in ["Dave cannot find me", "I wondered about that", "Only us now", "text/plain", "token-grant"] {
        let seen = passed.windows(said.len()).any(|window| window == said.as_bytes());
        assert!(!seen, "a server has seen {said:?}");
    }
    assert!(text.ends_with(&format!("all {} claims were checked and hold\n", narrator.claims())), "{text}");
}

#[test]
fn a_claim_that_does_not_hold_is_not_written() {
    let paper = Paper::default();
    let mut narrator = Narrator::new(paper.clone());
    let error = narrator.claim("two is three", &2, &3).unwrap_err();
    assert_eq!(error.to_string(), "not true: two is three; expected 3, found 2");
    assert!(paper.0.lock().unwrap().is_empty());
    assert_eq!(narrator.claims(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_demo_can_be_joined() {
    let paper = Paper::default();
    let mut narrator = Narrator::new(paper.clone());
    let town = Town::found(&mut narrator).await.unwrap();
    let mut play = Play::cast(town, &mut narrator).await.unwrap();
    let settings = play.town.settings("erin", &play.town.home1, &play.town.home1);
    let mut erin = Actor::enter("Erin", settings).await.unwrap();
    assert!(matches!(erin.ask(Command::Login {}).await.unwrap(), ClientEvent::LoggedIn { .. }));
    let carol = play.carol.handle.clone();
    let (ask_to_end, end) = tokio::sync::oneshot::channel();
    let visiting = async {
        let ClientEvent::Created { session, .. } = erin.ask(Command::Create {}).await.unwrap() else {
            panic!("no session");
        };
        erin.tell(Command::Invite { session, handle: carol.clone() }).await.unwrap();
        erin.sees(session, "join", &carol).await.unwrap();
        erin.tell(Command::Send { session, text: "Hello?".to_owned() }).await.unwrap();
        erin.hears(1).await.unwrap();
        assert_eq!(erin.heard, [(carol, "I hear: Hello?".to_owned())]);
        ask_to_end.send(()).unwrap();
        erin.quits().await.unwrap();
    };
    let (kept, ()) = tokio::join!(keep::wait(&mut play, &mut narrator, end), visiting);
    kept.unwrap();
    play.end(&mut narrator).await.unwrap();
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("client --identity"), "{text}");
}
