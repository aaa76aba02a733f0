//! One run: decisions and what follows from them, in the order of virtual time, until nothing is left to happen.

use std::{collections::VecDeque, time::Duration};

use antiphon_spec::session::{Event, Nonce, Session, Timer};

use super::{
    client::Client,
    clock::{Agenda, Instant},
    decision::{Decision, Record},
    driver::Driver,
    network::{LinkId, Network},
    noise::{Answer, Calm, Noise},
    oracle::{Breach, Oracle, Property},
    profile::Profile,
    random::Random,
    reached::{Place, Reached},
    rest,
};
use crate::{
    cast::{Cast, Who},
    crypto::Hand,
    link::{End, Side},
    tap, words,
};

/// How long after the last decision everything must have ended. An invitation may wait two minutes for its answer and
/// two more for its welcome, behind a queue of joins of which each may take a lease; the rest are seconds.
const REST_WITHIN: Duration = Duration::from_secs(600);

/// So many steps are a machine that goes round in circles: the largest sessions take a fifth.
const STEPS_MAX: u64 = 500_000;

/// What a run is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) calm: Calm,
    /// Drawn from the seed, if absent.
    pub(crate) decisions: Option<Record>,
}

impl Plan {
    pub(crate) fn drawn(seed: u64) -> Self {
        Self { seed, calm: Calm::default(), decisions: None }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    /// How long it took, in virtual time.
    pub(crate) length: Duration,
    /// How long after the last decision the last thing happened.
    pub(crate) settling: Duration,
    pub(crate) breach: Option<Breach>,
    pub(crate) reached: Reached,
    pub(crate) decisions: Record,
    /// What happened, in words, where somebody wants to read it.
    pub(crate) journal: Vec<Vec<String>>,
}

/// What is on the agenda.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The next message of a link is there.
    Arrives { link: LinkId, side: Side },
    /// A side sees the end of a link.
    Ends { link: LinkId, side: Side },
    /// A dial succeeds or fails.
    Dialled { from: Who, to: Who, dial: u32, succeeds: bool },
    /// The time of a timer is over.
    Fires { who: Who, stay: u32, timer: Timer, armed: u32 },
    /// A user answers an invitation.
    Answers { who: Who, stay: u32, answer: Answer },
}

/// Where decisions come from.
enum Source {
    Drawn(Driver),
    Recorded(VecDeque<(Instant, Decision)>),
}

pub(crate) struct Run {
    pub(super) now: Instant,
    pub(super) cast: Cast,
    pub(super) clients: Vec<Client>,
    pub(super) network: Network,
    pub(super) noise: Noise,
    pub(super) agenda: Agenda<Happening>,
    pub(super) oracle: Oracle,
    pub(super) reached: Reached,
    pub(super) todo: VecDeque<(Who, Event)>,
    /// Numbers what users say.
    pub(super) words_said: u64,
    journal: Option<Vec<Vec<String>>>,
}

impl Run {
    /// Takes a run to its end.
    pub(crate) fn play(plan: &Plan, with_journal: bool) -> Outcome {
        let mut random = Random::new(plan.seed);
        let profile = Profile::draw(&mut random);
        let source = match &plan.decisions {
            None => Source::Drawn(Driver::new(random, &profile)),
            Some(decisions) => Source::Recorded(decisions.iter().copied().collect()),
        };
        let run = Self {
            now: Instant::default(),
            cast: Cast::new(profile.clients),
            clients: (0..profile.clients).map(|_| Client::default()).collect(),
            network: Network::default(),
            oracle: Oracle::new(profile.faults()),
            noise: Noise::new(plan.seed, profile, plan.calm),
            agenda: Agenda::new(),
            reached: Reached::default(),
            todo: VecDeque::new(),
            words_said: 0,
            journal: with_journal.then(Vec::new),
        };
        run.finish(source)
    }

    fn finish(mut self, mut source: Source) -> Outcome {
        let mut decisions = Record::new();
        let mut steps = 0;
        let end = Instant::default().after(self.noise.profile().duration);
        let mut last = end;
        while self.oracle.breach().is_none() {
            let decision_at = match &source {
                Source::Drawn(driver) => Some(driver.next_at()).filter(|at| *at < end),
                Source::Recorded(record) => record.front().map(|(at, _)| *at),
            };
            let happening_at = self.agenda.next_at();
            if let Some(at) = decision_at.filter(|at| happening_at.is_none_or(|other| *at <= other)) {
                self.now = at;
                let decision = match &mut source {
                    Source::Drawn(driver) => driver.decide(&self),
                    Source::Recorded(record) => record.pop_front().map(|(_, decision)| decision),
                };
                if let Some(decision) = decision {
                    decisions.push((at, decision));
                    self.take(decision);
                }
            } else if let Some((at, happening)) = self.agenda.next() {
                if at >= end && self.network.is_split() {
                    self.network.split(None);
                }
                self.now = at;
                if self.happens(happening) {
                    last = last.max(at);
                }
            } else {
                break;
            }
            steps += 1;
            if steps > STEPS_MAX || self.now > end.after(REST_WITHIN) && last > end.after(REST_WITHIN) {
                self.oracle.blame(Property::Quiescence, format!("things still happen at {}", self.now));
            }
        }
        if self.oracle.breach().is_none() {
            rest::judge(&mut self);
        }
        Outcome {
            steps,
            length: last.since(Instant::default()),
            settling: last.since(end),
            breach: self.oracle.into_breach(),
            reached: self.reached,
            decisions,
            journal: self.journal.unwrap_or_default(),
        }
    }

    // --- the journal ---

    /// Begins a paragraph: something happens.
    fn step(&mut self, text: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(vec![format!("{:>11}  {}", self.now.to_string(), text())]);
        }
    }

    /// Adds what follows from it.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(paragraph) = self.journal.as_mut().and_then(|journal| journal.last_mut()) {
            paragraph.push(text());
        }
    }

    pub(super) fn reach(&mut self, place: Place) {
        self.reached.add(place);
    }

    // --- who is who ---

    pub(super) fn client(&self, who: Who) -> Option<&Client> {
        self.clients.get(who.index())
    }

    pub(super) fn client_mut(&mut self, who: Who) -> Option<&mut Client> {
        self.clients.get_mut(who.index())
    }

    /// All clients, each with its name.
    pub(super) fn everyone(&self) -> impl Iterator<Item = (Who, &Client)> {
        (0..).map(Who).zip(&self.clients)
    }

    pub(super) fn stay(&self, who: Who) -> u32 {
        self.client(who).map_or(0, |client| client.stay)
    }

    // --- decisions ---

    fn take(&mut self, decision: Decision) {
        self.step(|| decision.to_string());
        match decision {
            Decision::Create(who) => self.create(who),
            Decision::Invite { who, whom } => self.invite(who, whom),
            Decision::Leave(who) => {
                if let Some(client) = self.client_mut(who)
                    && client.session.is_some()
                    && !client.user.is_over
                {
                    client.user.is_leaving = true;
                    self.event(who, Event::Leave);
                }
            }
            Decision::Say { who, count } => (0..count).for_each(|_| self.say(who)),
            Decision::Crash(who) => self.crash(who),
            Decision::Restart(who) => {
                if let Some(client) = self.client_mut(who) {
                    client.is_dead = false;
                    client.stalled_until = Instant::default();
                }
                self.reach(Place::Restart);
            }
            Decision::Cut { between, and } => {
                self.reach(Place::LinkBroken);
                self.break_links(|link| link.side_of(between).is_some_and(|side| link.peer(side) == and));
            }
            Decision::Partition(set) => {
                self.network.split(Some(set));
                let before = self.network.links().count();
                if before > 0 {
                    self.reach(Place::Partition);
                }
                self.break_links(|link| set.has(link.dialler) != set.has(link.acceptor));
            }
            Decision::Heal => self.network.split(None),
            Decision::Stall { who, seconds } => {
                let until = self.now.after(Duration::from_secs(seconds));
                if let Some(client) = self.client_mut(who) {
                    client.stalled_until = until;
                }
                self.reach(Place::Stall);
            }
        }
    }

    fn create(&mut self, who: Who) {
        let Some(me) = self.cast.member(who).cloned() else { return };
        if self.client(who).is_none_or(|client| client.is_dead || client.session.is_some()) {
            return;
        }
        let hand = Hand::new(me.key);
        let nonce = Nonce(self.noise.entropy(who));
        let session = tap::create(who, me, nonce, &self.context(who, &hand));
        let epoch = session.epoch().cloned();
        if let Some(client) = self.client_mut(who) {
            client.renew(Some(session));
        }
        if let Some(epoch) = epoch {
            let stay = self.stay(who);
            self.oracle.began(who, stay, None, &epoch);
        }
    }

    // --- what happens ---

    /// Lets something happen; says whether it mattered.
    fn happens(&mut self, happening: Happening) -> bool {
        if let Some(until) = self.stalled(&happening) {
            self.agenda.plan(until, happening);
            return true;
        }
        match happening {
            Happening::Arrives { link, side } => {
                let Some(message) = self.network.receive(link, side) else { return false };
                let Some((who, from)) = self.network.link(link).map(|l| (l.client(side), l.peer(side)))
                else {
                    return false;
                };
                self.step(|| format!("{who} <- {from}: {}", words::message(&message)));
                match self.network.link(link).map(|l| l.end(side)) {
                    Some(End::Attached) => self.received(who, from, &message),
                    Some(End::Unheard) => self.first_message(link, side, &message),
                    Some(End::Closed) | None => {}
                }
            }
            Happening::Ends { link, side } => {
                let Some((who, peer, end)) =
                    self.network.link(link).map(|l| (l.client(side), l.peer(side), l.end(side)))
                else {
                    return false;
                };
                if end == End::Closed {
                    return false;
                }
                self.step(|| format!("{who}: the link to {peer} ends"));
                self.link_ends(link, side);
            }
            Happening::Dialled { from, to, dial, succeeds } => {
                if self.client(from).is_none_or(|client| client.dials.get(&to) != Some(&dial)) {
                    return false;
                }
                let succeeds = succeeds && self.is_there(from, to);
                self.step(|| {
                    format!("{from}: the dial to {to} {}", if succeeds { "succeeds" } else { "fails" })
                });
                self.dialled(from, to, succeeds);
            }
            Happening::Fires { who, stay, timer, armed } => {
                let Some(client) = self.client_mut(who) else { return false };
                if client.stay != stay || client.timers.get(&timer) != Some(&armed) {
                    return false;
                }
                client.timers.remove(&timer);
                self.step(|| format!("{who}: the timer {} fires", words::timer(&timer)));
                self.event(who, Event::TimerFired(timer));
            }
            Happening::Answers { who, stay, answer } => {
                let asked = self.client(who).is_some_and(|client| {
                    client.stay == stay && client.session.as_ref().is_some_and(Session::awaits_answer)
                });
                if !asked {
                    return false;
                }
                match answer {
                    Answer::Accept => {
                        self.step(|| format!("{who} accepts"));
                        self.event(who, Event::Accept);
                    }
                    Answer::Refuse => {
                        self.reach(Place::InvitationRefused);
                        self.step(|| format!("{who} refuses"));
                        self.event(who, Event::Refuse);
                    }
                    Answer::None => return false,
                }
            }
        }
        self.work_off();
        true
    }

    /// Until when the client stalls to which this happens.
    fn stalled(&self, happening: &Happening) -> Option<Instant> {
        let who = match happening {
            Happening::Arrives { link, side } | Happening::Ends { link, side } => {
                self.network.link(*link)?.client(*side)
            }
            Happening::Dialled { from: who, .. }
            | Happening::Fires { who, .. }
            | Happening::Answers { who, .. } => *who,
        };
        self.client(who).map(|client| client.stalled_until).filter(|until| *until > self.now)
    }
}
