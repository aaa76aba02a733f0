//! The memory for what waits: one budget for a process, of which nobody may hold more than a part of what is free.
//!
//! So who holds much is cut off while there is still room for those who hold little, and however many hold as much as they
//! may, the budget is never overdrawn: with `n` of them, each has about `budget / (n + SHARE)`, and the same is left for
//! whoever comes next, times the share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// One holder has at most one in so many bytes of what is free.
const SHARE: usize = 8;

/// What is held of a process's memory.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { held: AtomicUsize::new(0), bytes_max }
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

/// How much one connection may hold: so much, and no more than its part of the budget.
#[derive(Clone, Debug)]
pub struct Allowance {
    bytes_max: usize,
    budget: Option<Arc<Budget>>,
}

/// An end that has few connections needs no budget for all.
impl From<usize> for Allowance {
    fn from(bytes_max: usize) -> Self {
        Self { bytes_max, budget: None }
    }
}

impl Allowance {
    pub(crate) fn of(budget: &Arc<Budget>, bytes_max: usize) -> Self {
        Self { bytes_max, budget: Some(Arc::clone(budget)) }
    }

    /// The same budget, with another bound of its own.
    pub(super) fn with_bound(&self, bytes_max: usize) -> Self {
        Self { bytes_max, budget: self.budget.clone() }
    }

    /// Nothing is held so far.
    pub(super) fn open(self) -> Holding {
        Holding { allowance: self, held: AtomicUsize::new(0) }
    }
}

/// What one connection holds; all of it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Holding {
    allowance: Allowance,
    held: AtomicUsize,
}

impl Holding {
    /// Takes so many bytes, whether there are as many or not, and says whether there were.
    #[must_use]
    pub(super) fn take(&self, bytes: usize) -> bool {
        let own = self.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let part = self.allowance.budget.as_ref().map_or(usize::MAX, |budget| {
            let all = budget.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
            budget.bytes_max.saturating_sub(all) / SHARE
        });
        own <= self.allowance.bytes_max.min(part)
    }

    /// Gives some of them back.
    pub(super) fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
        if let Some(budget) = &self.allowance.budget {
            budget.held.fetch_sub(bytes, Ordering::SeqCst);
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.give(self.held.load(Ordering::SeqCst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_overdrawn_and_has_room_for_another_one() {
        for holders in [1, 10, 1_000] {
            let budget = Arc::new(Budget::new(1_000_000));
            let mut all = Vec::new();
            for _ in 0..holders {
                all.push(Allowance::of(&budget, usize::MAX).open());
            }
            // Each takes, in turns, as much as it may.
            let mut greedy: Vec<&Holding> = all.iter().collect();
            while !greedy.is_empty() {
                greedy.retain(|holding| {
                    let is_granted = holding.take(10);
                    if !is_granted {
                        holding.give(10);
                    }
                    is_granted
                });
            }
            assert!(budget.held.load(Ordering::SeqCst) < budget.bytes_max);
            assert!(Allowance::of(&budget, 100).open().take(100), "{holders}");
            drop(all);
            assert_eq!(budget.held.load(Ordering::SeqCst), 0);
        }
    }

    #[test]
    fn the_own_bound_holds_without_a_budget() {
        let holding = Allowance::from(100).open();
        assert!(holding.take(60) && holding.take(40));
        assert!(!holding.take(1));
        holding.give(41);
        assert!(holding.take(40));
    }
}
