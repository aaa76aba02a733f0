//! Who takes decisions: the driver draws them from the seed, by the weights of the profile, where they can be taken.

use std::{collections::VecDeque, time::Duration};

use super::{
    clock::Instant,
    decision::{Decision, Set},
    profile::Profile,
    random::Random,
    run::Run,
};
use crate::{cast::Who, world::names};

/// What kind of decision is to be taken.
#[derive(Clone, Copy)]
enum Wish {
    Invite,
    Cross,
    Leave,
    Say,
    Crash,
    Restart,
    Cut,
    Partition,
    Heal,
    Stall,
    Exodus,
    Strike,
}

#[derive(Debug)]
pub(crate) struct Driver {
    random: Random,
    pace: Duration,
    next_at: Instant,
    /// Decisions that are due before any others, each with its time, ascending.
    due: VecDeque<(Instant, Decision)>,
}

impl Driver {
    /// The creator begins and invites the first others.
    pub(crate) fn new(random: Random, profile: &Profile) -> Self {
        let creator = Who(profile.clients / 2);
        let others = Who::first(profile.clients).filter(|who| *who != creator);
        let invitations = others.take(usize::from(profile.invited_at_once));
        let start = Instant::default();
        let mut due = VecDeque::from([(start, Decision::Create(creator))]);
        due.extend(invitations.map(|whom| (start, Decision::Invite { who: creator, whom })));
        Self { random, pace: profile.pace, next_at: start, due }
    }

    /// When the next decision is taken.
    pub(crate) fn next_at(&self) -> Instant {
        self.due.front().map_or(self.next_at, |(at, _)| *at)
    }

    /// Takes a decision, if the one that was drawn can be taken.
    pub(crate) fn decide(&mut self, run: &Run) -> Option<Decision> {
        if let Some((_, decision)) = self.due.pop_front() {
            self.next_at = self.next_at.max(run.now);
            return Some(decision);
        }
        self.wait();
        if run.everyone().all(|(_, client)| client.session.is_none()) {
            return self.one_of(run, |_, client| !client.is_dead).map(Decision::Create);
        }
        let wish = self.wish(run.noise.profile())?;
        self.concrete(wish, run)
    }

    fn wait(&mut self) {
        self.next_at = self.next_at.after(self.random.time(Duration::ZERO, self.pace));
    }

    fn wish(&mut self, profile: &Profile) -> Option<Wish> {
        let weights = &profile.weights;
        let wishes = [
            (Wish::Invite, weights.invite),
            (Wish::Cross, weights.cross),
            (Wish::Leave, weights.leave),
            (Wish::Say, weights.say),
            (Wish::Crash, weights.crash),
            (Wish::Restart, weights.restart),
            (Wish::Cut, weights.cut),
            (Wish::Partition, weights.partition),
            (Wish::Heal, weights.heal),
            (Wish::Stall, weights.stall),
            (Wish::Exodus, weights.exodus),
            (Wish::Strike, weights.strike),
        ];
        let mut left = self.random.below(wishes.iter().map(|(_, weight)| weight).sum());
        wishes.into_iter().find_map(|(wish, weight)| {
            let is_it = left < weight;
            left = left.saturating_sub(weight);
            is_it.then_some(wish)
        })
    }

    fn one_of(&mut self, run: &Run, which: impl Fn(Who, &super::client::Client) -> bool) -> Option<Who> {
        let fitting: Vec<Who> =
            run.everyone().filter(|(who, client)| which(*who, client)).map(|(who, _)| who).collect();
        self.random.pick(&fitting)
    }

    fn inviter(&mut self, run: &Run, but: Option<Who>) -> Option<Who> {
        self.one_of(run, |who, client| {
            Some(who) != but
                && client.epoch().is_some()
                && !client.user.is_over
                && client.stalled_until <= run.now
        })
    }

    /// Somebody to invite; now and then it is somebody who is in already.
    fn invitee(&mut self, run: &Run, inviter: Who) -> Option<Who> {
        let any = self.random.chance(50);
        let view = run.client(inviter).and_then(|client| client.epoch());
        self.one_of(run, |who, client| {
            who != inviter && (any || !client.is_dead && !view.is_some_and(|view| names(view, who)))
        })
    }

    fn concrete(&mut self, wish: Wish, run: &Run) -> Option<Decision> {
        let awake = |client: &super::client::Client| !client.is_dead && client.stalled_until <= run.now;
        match wish {
            Wish::Invite => {
                let who = self.inviter(run, None)?;
                let whom = self.invitee(run, who)?;
                Some(Decision::Invite { who, whom })
            }
            Wish::Cross => {
                let who = self.inviter(run, None)?;
                let other = self.inviter(run, Some(who))?;
                let whom = self.invitee(run, who).filter(|whom| *whom != other)?;
                self.due.push_back((run.now, Decision::Invite { who: other, whom }));
                Some(Decision::Invite { who, whom })
            }
            Wish::Leave => self
                .one_of(run, |_, client| awake(client) && client.session.is_some() && !client.user.is_leaving)
                .map(Decision::Leave),
            Wish::Say => {
                let who = self.one_of(run, |_, client| awake(client) && client.epoch().is_some())?;
                let most = run.noise.profile().burst;
                let count = self.random.between(most.div_ceil(2), most);
                Some(Decision::Say { who, count })
            }
            Wish::Crash => {
                let coordinator = self.random.chance(200);
                let living = |who: Who, client: &super::client::Client| {
                    !client.is_dead && (coordinates(run, who) || !coordinator)
                };
                self.one_of(run, living).map(Decision::Crash)
            }
            Wish::Restart => self.one_of(run, |_, client| client.is_dead).map(Decision::Restart),
            Wish::Cut => {
                let linked: Vec<(Who, Who)> = run
                    .network
                    .links()
                    .filter(|(_, link)| !link.is_cut())
                    .map(|(_, link)| (link.dialler, link.acceptor))
                    .collect();
                self.random.pick(&linked).map(|(between, and)| Decision::Cut { between, and })
            }
            Wish::Partition => {
                let set = Set(self.random.next());
                (!run.network.is_split()).then_some(Decision::Partition(set))
            }
            Wish::Heal => run.network.is_split().then_some(Decision::Heal),
            Wish::Exodus => {
                let leaving = |_: Who, client: &super::client::Client| client.epoch().is_some();
                let members = run.everyone().filter(|(who, client)| leaving(*who, client));
                let mut members: Vec<(bool, Who)> =
                    members.map(|(who, _)| (!coordinates(run, who), who)).collect();
                // The coordinator first, and then those who will have its part, one after the other.
                members.sort_unstable();
                let mut leaves = members.into_iter().map(|(_, who)| Decision::Leave(who));
                let first = leaves.next();
                let hand_over = run.noise.profile().latency.1 * 8;
                let mut at = run.now;
                for leave in leaves.take(3) {
                    at = at.after(self.random.time(Duration::ZERO, hand_over));
                    self.due.push_back((at, leave));
                }
                first
            }
            Wish::Strike => {
                // While an epoch closes, its coordinator goes.
                let coordinator = self.one_of(run, |who, client| coordinates(run, who) && awake(client))?;
                let wish = if self.random.chance(500) { Wish::Invite } else { Wish::Leave };
                let first = self.concrete(wish, run)?;
                let closing = run.noise.profile().latency.1 * 12;
                let mut at = run.now.after(self.random.time(Duration::ZERO, closing));
                self.due.push_back((at, Decision::Crash(coordinator)));
                if self.random.chance(300)
                    && let Some(other) =
                        self.one_of(run, |who, client| who != coordinator && client.epoch().is_some())
                {
                    at = at.after(self.random.time(Duration::ZERO, closing));
                    let leaves = self.random.chance(500);
                    let then = if leaves { Decision::Leave(other) } else { Decision::Crash(other) };
                    self.due.push_back((at, then));
                }
                Some(first)
            }
            Wish::Stall => {
                let who = self.one_of(run, |_, client| awake(client))?;
                Some(Decision::Stall { who, seconds: self.random.between(1, 40) })
            }
        }
    }
}

/// Whether a client coordinates a session with others.
fn coordinates(run: &Run, who: Who) -> bool {
    let epoch = run.client(who).and_then(|client| client.epoch());
    epoch.is_some_and(|epoch| epoch.members.len() > 1 && Who::of(&epoch.coordinator) == who)
}
