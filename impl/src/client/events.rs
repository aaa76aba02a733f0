//! How events leave the client, and how it learns that they were shown: who acknowledges a message to its sender before
//! the user has it loses it in a crash (chapter *Sessions*, section *Messages*).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Notify, mpsc};

use super::Output;

/// How many events were shown, for the engine.
#[derive(Debug)]
pub(super) struct Shown {
    count: AtomicU64,
    more: Notify,
}

impl Shown {
    /// Nobody says what is shown: an event counts as shown once it is on its way.
    pub(super) fn unsaid() -> Arc<Self> {
        Arc::new(Self { count: AtomicU64::new(u64::MAX), more: Notify::new() })
    }

    /// So many events, the first ones, were shown.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until more were shown. May be cancelled.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    fn set(&self, count: u64) {
        if self.count.swap(count, Ordering::Release) != count {
            self.more.notify_one();
        }
    }
}

/// The events of a client, for somebody who shows them.
#[derive(Debug)]
pub struct Events {
    outputs: mpsc::Receiver<Output>,
    taken: u64,
    shown: Arc<Shown>,
}

impl Events {
    pub(super) fn new(outputs: mpsc::Receiver<Output>, taken: u64, shown: Arc<Shown>) -> Self {
        shown.set(taken);
        Self { outputs, taken, shown }
    }

    /// The next event; none after the client has ended. Whoever asks for it has shown the one before, and messages are
    /// acknowledged to their senders only then. May be cancelled and called again.
    pub async fn recv(&mut self) -> Option<Output> {
        self.shown.set(self.taken);
        let output = self.outputs.recv().await?;
        self.taken += 1;
        Some(output)
    }
}
