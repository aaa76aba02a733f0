//! Makes a run that breaks a rule smaller: delta debugging (Zeller and Hildebrandt, 2002) over its decisions.
//!
//! Decisions are dropped, first many at once, then one by one, and the noise of the network is calmed, as long as the
//! same rule breaks. Who has no part in any decision left has no part in the run.

use super::{
    decision::{Decision, Record},
    noise::Calm,
    oracle::Property,
    run::{Outcome, Plan, Run},
};

/// So many steps are taken at most, in all runs that are tried: a second or two.
const STEPS_MAX: u64 = 2_000_000;

/// So often everything is tried again: what one pass has made possible another may use.
const PASSES_MAX: usize = 3;

/// A plan that breaks a rule, and how many steps smaller ones may still take.
struct Shrinking {
    plan: Plan,
    property: Property,
    steps: u64,
}

/// The smallest plan that was found to break the same rule as this run of it.
pub(crate) fn shrink(plan: &Plan, outcome: &Outcome) -> Plan {
    let Some(breach) = &outcome.breach else { return plan.clone() };
    let decisions = outcome.decisions.clone();
    let plan = Plan { decisions: Some(decisions.clone()), ..plan.clone() };
    let mut shrinking = Shrinking { plan, property: breach.property, steps: STEPS_MAX };
    let mut left = decisions;
    for _ in 0..PASSES_MAX {
        let before = left.len();
        shrinking.calm_down();
        left = minimise(left, |fewer| shrinking.take_decisions(fewer.to_vec()));
        shrinking.simplify(&mut left);
        if left.len() == before {
            break;
        }
    }
    shrinking.plan
}

/// Drops items, large parts first, as long as the rest `fails`; no single one of what is left can be dropped.
fn minimise<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut dropped = false;
        while from < items.len() {
            let part = from..from.saturating_add(size);
            let kept = items.iter().enumerate().filter(|(at, _)| !part.contains(at));
            let kept: Vec<T> = kept.map(|(_, item)| item.clone()).collect();
            if fails(&kept) {
                items = kept;
                dropped = true;
            } else {
                from = part.end;
            }
        }
        if size > 1 || !dropped {
            size /= 2;
        }
    }
    items
}

impl Shrinking {
    /// Takes another plan, if it breaks the same rule.
    fn take_if_it_fails(&mut self, plan: Plan) -> bool {
        if self.steps == 0 {
            return false;
        }
        let outcome = Run::play(&plan, false);
        self.steps = self.steps.saturating_sub(outcome.steps);
        let fails = outcome.breach.is_some_and(|breach| breach.property == self.property);
        if fails {
            self.plan = plan;
        }
        fails
    }

    fn take_decisions(&mut self, decisions: Record) -> bool {
        self.take_if_it_fails(Plan { decisions: Some(decisions), ..self.plan.clone() })
    }

    fn calm_down(&mut self) {
        let switches: [fn(&mut Calm); 5] = [
            |calm| calm.eager_users = true,
            |calm| calm.sure_dials = true,
            |calm| calm.right_clocks = true,
            |calm| calm.quick_detection = true,
            |calm| calm.steady_links = true,
        ];
        for switch in switches {
            let mut calm = self.plan.calm;
            switch(&mut calm);
            if calm != self.plan.calm {
                self.take_if_it_fails(Plan { calm, ..self.plan.clone() });
            }
        }
    }

    /// Says less, stalls for less long.
    fn simplify(&mut self, decisions: &mut Record) {
        for at in 0..decisions.len() {
            while let Some(simpler) = decisions.get(at).and_then(|(_, decision)| simpler(*decision)) {
                let mut changed = decisions.clone();
                if let Some((_, decision)) = changed.get_mut(at) {
                    *decision = simpler;
                }
                if !self.take_decisions(changed.clone()) {
                    break;
                }
                *decisions = changed;
            }
        }
    }
}

fn simpler(decision: Decision) -> Option<Decision> {
    match decision {
        Decision::Say { who, count } if count > 1 => Some(Decision::Say { who, count: count / 2 }),
        Decision::Stall { who, seconds } if seconds > 1 => {
            Some(Decision::Stall { who, seconds: seconds / 2 })
        }
        Decision::Say { .. }
        | Decision::Stall { .. }
        | Decision::Create(_)
        | Decision::Invite { .. }
        | Decision::Leave(_)
        | Decision::Crash(_)
        | Decision::Restart(_)
        | Decision::Cut { .. }
        | Decision::Partition(_)
        | Decision::Heal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_failure_needs_stays_and_nothing_else() {
        for needed in [vec![], vec![0], vec![99], vec![3, 50, 51, 98]] {
            let all: Vec<u32> = (0..100).collect();
            let mut tries = 0;
            let left = minimise(all, |items| {
                tries += 1;
                needed.iter().all(|item| items.contains(item))
            });
            assert_eq!(left, needed);
            assert!(tries < 100, "{tries} tries");
        }
    }

    #[test]
    fn a_run_that_breaks_nothing_is_left_as_it_is() {
        let plan = Plan::drawn(1);
        assert_eq!(shrink(&plan, &Run::play(&plan, false)).decisions, None);
    }
}
