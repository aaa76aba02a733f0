//! Handshakes under way: bounded, and the newest counts most.
//!
//! Nobody has proved anything before the handshake is over, so whoever opens connections and says nothing must not
//! keep others out for as long as the deadline is. When there are as many handshakes as there may be, one more ends the
//! oldest: an honest peer needs its place for some milliseconds only.

use std::{collections::VecDeque, future::Future};

use tokio::task::{AbortHandle, JoinSet};

/// The handshakes of one port. They end with it.
#[derive(Debug)]
pub(crate) struct Handshakes<T> {
    tasks: JoinSet<T>,
    /// The oldest first.
    order: VecDeque<AbortHandle>,
    handshakes_max: usize,
}

impl<T: Send + 'static> Handshakes<T> {
    pub(crate) fn new(handshakes_max: usize) -> Self {
        Self { tasks: JoinSet::new(), order: VecDeque::new(), handshakes_max }
    }

    /// Begins one, in the place of the oldest if there is no other.
    pub(crate) fn begin(&mut self, handshake: impl Future<Output = T> + Send + 'static) {
        self.order.retain(|handshake| !handshake.is_finished());
        while self.order.len() >= self.handshakes_max
            && let Some(oldest) = self.order.pop_front()
        {
            tracing::debug!("a handshake gives way to a newer one");
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(handshake));
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
    use tokio::sync::oneshot;

    use super::Handshakes;

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let mut handshakes = Handshakes::new(2);
        let mut ends = Vec::new();
        for number in 0..4 {
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            handshakes.begin(async move {
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
            handshakes.begin(async move { number });
            assert_eq!(handshakes.next().await, number);
        }
    }
}
