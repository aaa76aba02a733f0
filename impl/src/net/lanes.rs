//! Frames of relayed links that wait for one peer: each link's in their order, and the links in turn.
//!
//! A link whose window is full lets no more frames in, so that what waits here is bounded by the windows. Links take
//! turns frame by frame: one that fills its window does not hold up the others.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use antiphon_spec::message::relay::LinkNumber;
use bytes::Bytes;
use tokio::sync::Notify;

use super::budget::{Allowance, Holding};

/// What a frame costs beside its bytes: a peer that sends many small ones takes as much memory as with large ones.
const FRAME_COST: usize = 128;

/// Most bytes that wait for one peer: twice what a user's links may have on their way, for the frames around them.
const COST_MAX: usize =
    2 * antiphon_spec::limits::RELAY_LINKS_MAX * antiphon_spec::limits::RELAY_WINDOW_BYTES;

/// The waiting frames of one connection.
#[derive(Debug)]
pub(super) struct Lanes {
    waiting: Mutex<Waiting>,
    held: Holding,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    turns: VecDeque<LinkNumber>,
    frames: HashMap<LinkNumber, VecDeque<Bytes>>,
}

impl Lanes {
    /// Of the same budget as everything else that waits for the peer.
    pub(super) fn new(allowance: &Allowance) -> Self {
        let held = allowance.with_bound(COST_MAX).open();
        Self { waiting: Mutex::default(), held, filled: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame behind those of its link; `false` if too much waits.
    #[must_use]
    pub(super) fn push(&self, link: LinkNumber, frame: Bytes) -> bool {
        if !self.held.take(frame.len() + FRAME_COST) {
            return false;
        }
        let mut waiting = self.waiting();
        let frames = waiting.frames.entry(link).or_default();
        frames.push_back(frame);
        if frames.len() == 1 {
            waiting.turns.push_back(link);
        }
        drop(waiting);
        self.filled.notify_one();
        true
    }

    /// Takes the first frame of the link whose turn it is.
    pub(super) fn pop(&self) -> Option<Bytes> {
        let mut waiting = self.waiting();
        let link = waiting.turns.pop_front()?;
        let frames = waiting.frames.get_mut(&link)?;
        let frame = frames.pop_front()?;
        if frames.is_empty() {
            waiting.frames.remove(&link);
        } else {
            waiting.turns.push_back(link);
        }
        self.held.give(frame.len() + FRAME_COST);
        Some(frame)
    }

    /// Waits until a frame waits. For one task alone.
    pub(super) async fn filled(&self) {
        while self.waiting().turns.is_empty() {
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_take_turns_and_each_keeps_its_order() {
        let lanes = Lanes::new(&0.into());
        let frame = |text: &'static str| Bytes::from_static(text.as_bytes());
        for (link, text) in [(1, "a1"), (1, "a2"), (1, "a3"), (3, "b1"), (3, "b2"), (5, "c1")] {
            assert!(lanes.push(LinkNumber(link), frame(text)));
        }
        let order: Vec<Bytes> = std::iter::from_fn(|| lanes.pop()).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"].map(frame));
        assert!(lanes.held.take(COST_MAX), "all of it was given back");
    }

    #[test]
    fn what_waits_is_bounded_however_small_the_frames_are() {
        let lanes = Lanes::new(&0.into());
        let fits = (0..).take_while(|_| lanes.push(LinkNumber(1), Bytes::from_static(b"x"))).count();
        assert_eq!(fits, COST_MAX / (FRAME_COST + 1));
    }
}
