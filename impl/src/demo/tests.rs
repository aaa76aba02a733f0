//! The demo, played as it is.

use std::{
    io,
    sync::{Arc, Mutex},
};

use super::{Narrator, Play, Town};

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
    play.part(&mut narrator).await.unwrap();
    play.end(&mut narrator).await.unwrap();
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the two go on talking"), "{text}");
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
