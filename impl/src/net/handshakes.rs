//! Handshakes under way: bounded, and shared out among the addresses from which they come.
//!
//! Nobody has proved anything before the handshake is over, so whoever opens connections and says nothing must not
//! keep others out for as long as the deadline is. When there are as many handshakes as there may be, one more ends the
//! oldest one of the address that has the most (`LIM-014`): an honest peer needs a place for some milliseconds only, and
//! whoever takes many takes them from itself.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    net::IpAddr,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::PollSemaphore;

use crate::mutant::{Mutant, active};

/// The handshakes of one port. They end with it.
#[derive(Debug)]
pub(crate) struct Handshakes<T> {
    tasks: JoinSet<T>,
    /// The oldest first, with where each comes from.
    order: VecDeque<(IpAddr, AbortHandle)>,
    handshakes_max: usize,
    /// Who computes: fewer at once than there are cores.
    turns: Arc<Semaphore>,
    /// Who of an address is next to compute.
    queues: HashMap<IpAddr, Weak<Semaphore>>,
}

/// A future that is polled in its turn only.
///
/// A handshake computes for a third of a millisecond, and many may have something to do at once. Each goes behind
/// whatever else is ready when it waits for its turn, so that a crowd at the door holds up nobody who is inside; and the
/// addresses take turns, so that it holds up nobody else at the door.
struct InTurn<F> {
    handshake: F,
    queue: PollSemaphore,
    /// The turn within the address, once it has come.
    first: Option<OwnedSemaphorePermit>,
    turns: PollSemaphore,
}

impl<F: Future + Unpin> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // Neither is ever closed: without a turn it is polled all the same.
        if this.first.is_none() {
            this.first = ready!(this.queue.poll_acquire(context));
        }
        let _turn = ready!(this.turns.poll_acquire(context));
        let polled = Pin::new(&mut this.handshake).poll(context);
        this.first = None;
        polled
    }
}

impl<T: Send + 'static> Handshakes<T> {
    pub(crate) fn new(handshakes_max: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = Arc::new(Semaphore::new(cores.div_ceil(2)));
        Self { tasks: JoinSet::new(), order: VecDeque::new(), handshakes_max, turns, queues: HashMap::new() }
    }

    /// Begins one, in the place of another if there is no other place; says how many have given way.
    pub(crate) fn begin(
        &mut self,
        from: IpAddr,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> usize {
        let mut crowded_out = 0;
        // Looking through all of them costs little beside a handshake.
        self.order.retain(|(_, handshake)| !handshake.is_finished());
        while self.order.len() >= self.handshakes_max
            && let Some((_, oldest)) = self.most().and_then(|at| self.order.remove(at))
        {
            tracing::debug!("a handshake gives way to a newer one");
            oldest.abort();
            crowded_out += 1;
        }
        self.queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = self.queues.get(&from).and_then(Weak::upgrade);
        let queue = queue.unwrap_or_else(|| Arc::new(Semaphore::new(1)));
        self.queues.insert(from, Arc::downgrade(&queue));
        let (queue, turns) = (PollSemaphore::new(queue), PollSemaphore::new(Arc::clone(&self.turns)));
        let in_turn = InTurn { handshake: Box::pin(handshake), queue, first: None, turns };
        self.order.push_back((from, self.tasks.spawn(in_turn)));
        crowded_out
    }

    /// Where the oldest handshake stands of the address that has the most.
    fn most(&self) -> Option<usize> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for (from, _) in &self.order {
            *counts.entry(*from).or_default() += 1;
        }
        let most = counts.values().max().copied()?;
        let is_most = |from| active(Mutant::OldestHandshakeEnded) || counts.get(from) == Some(&most);
        self.order.iter().position(|(from, _)| is_most(from))
    }

    /// What came of the next one that is over; waits for ever while there is none. May be cancelled.
    pub(crate) async fn next(&mut self) -> T {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(outcome)) => return outcome,
                Some(Err(error)) if error.is_panic() => tracing::error!(%error, "a handshake failed"),
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Mutex};

    use tokio::sync::oneshot;

    use super::*;

    const FROM: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))];

    #[tokio::test]
    async fn an_address_takes_places_from_itself() {
        let mut handshakes = Handshakes::new(3);
        let mut ends = Vec::new();
        for from in [FROM[0], FROM[1], FROM[1], FROM[1], FROM[1]] {
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            handshakes.begin(from, async move { drop(ended.await) });
        }
        ends[1].closed().await;
        ends[2].closed().await;
        assert!(!ends[0].is_closed());
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut handshakes = Handshakes::new(4);
        // Somebody computes on every core that handshakes may have.
        let turns = Arc::clone(&handshakes.turns);
        let all = u32::try_from(turns.available_permits()).unwrap();
        let computing = turns.acquire_many(all).await.unwrap();
        for from in [FROM[0], FROM[0], FROM[0], FROM[1]] {
            let served = Arc::clone(&served);
            handshakes.begin(from, async move { served.lock().unwrap().push(from) });
        }
        // Each has asked for its turn.
        tokio::task::yield_now().await;
        drop(computing);
        for _ in 0..4 {
            handshakes.next().await;
        }
        assert_eq!(*served.lock().unwrap(), [FROM[0], FROM[1], FROM[0], FROM[0]]);
    }

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let mut handshakes = Handshakes::new(2);
        let mut ends = Vec::new();
        for number in 0..4 {
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            handshakes.begin(FROM[0], async move {
                drop(ended.await);
                number
            });
        }
        // The first two are gone; whoever waited for them is told.
        ends[0].closed().await;
        ends[1].closed().await;
        for (number, end) in ends.into_iter().enumerate().skip(2) {
            end.send(()).unwrap();
            assert_eq!(handshakes.next().await, number);
        }
    }

    #[tokio::test]
    async fn one_that_is_over_takes_no_place() {
        let mut handshakes = Handshakes::new(1);
        for number in 0..3 {
            handshakes.begin(FROM[0], async move { number });
            assert_eq!(handshakes.next().await, number);
        }
    }
}
