//! Makes durable what has changed under handles: one task, so that many changes share a commit.

use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::{
    net,
    store::{Changed, NodeStore},
};

/// Most changes that wait; who brings another one waits with it.
const WAITING_MAX: usize = 256;

/// Most changes that share a commit.
const BATCH_MAX: usize = 64;

/// A change that was not made durable; why, the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotKept;

/// Brings changes to the task, which ends with the last of these.
#[derive(Clone, Debug)]
pub(super) struct Keeper(mpsc::Sender<Waiting>);

type Waiting = (Changed, oneshot::Sender<Result<(), NotKept>>);

impl Keeper {
    pub(super) fn start(store: NodeStore) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(store, waiting));
        Self(sender)
    }

    /// Returns when the change is durable.
    pub(super) async fn keep(&self, changed: Changed) -> Result<(), NotKept> {
        let (sender, done) = oneshot::channel();
        self.0.send((changed, sender)).await.map_err(|_| NotKept)?;
        done.await.unwrap_or(Err(NotKept))
    }
}

async fn run(store: NodeStore, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (changes, waiters): (Vec<Changed>, Vec<_>) = batch.drain(..).unzip();
        let kept = store.keep(&changes).await.map_err(|failure| {
            error!(error = net::chain(&failure), changes = changes.len(), "changes cannot be kept");
            NotKept
        });
        for waiter in waiters {
            // Whoever waited may have gone.
            let _ = waiter.send(kept);
        }
    }
}
