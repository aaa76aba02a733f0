//! The search for few and short traces that show everything.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use antiphon_conformance::recorded::Told;
use antiphon_spec::{
    message::client_client::PeerMessage,
    session::{Action, Event, Stage},
};
use stateright::Model as _;

use super::{Choice, Source, features, features::Feature, lies::Liars, single::Single, walks};
use crate::{
    SessionModel, Who,
    catalogue::{self, Entry},
    simulation::{Profile, Random},
    tap::{self, Taken},
    world::World,
};

/// How much is searched.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many states of each model.
    pub states: usize,
    /// How many runs of the simulation.
    pub runs: u64,
}

/// Runs with more clients than this have long messages.
const CLIENTS_MAX: u8 = 8;

/// A trace that may be chosen: where each feature is shown first.
struct Candidate {
    source: Source,
    who: Who,
    session: usize,
    /// How many events of the run it has at most, and what it is told after them all.
    then: (usize, Vec<usize>),
    first: Vec<(usize, usize)>,
    /// How long the first so many events are in the file, about.
    bytes: Vec<usize>,
}

impl Candidate {
    fn cost(&self, events: usize) -> usize {
        TRACE_BYTES + self.bytes.get(events).or_else(|| self.bytes.last()).copied().unwrap_or(0)
    }
}

/// All candidates, and the features by number.
#[derive(Default)]
struct Pool {
    numbers: BTreeMap<Feature, usize>,
    candidates: Vec<Candidate>,
}

impl Pool {
    fn number(&mut self, feature: Feature) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(feature).or_insert(next)
    }

    fn add(&mut self, source: &Source) {
        // What a search has just played can be played again.
        let Ok(recording) = source.play() else { return };
        for (session, life) in source.lives(&recording) {
            let mut seen = BTreeSet::new();
            let mut first = Vec::new();
            for (event, taken) in life.taken.iter().enumerate() {
                for feature in features::of(taken) {
                    let number = self.number(feature);
                    if seen.insert(number) {
                        first.push((event + 1, number));
                    }
                }
            }
            let (source, who) = (source.clone(), life.who);
            let then = (life.taken.len(), Vec::new());
            let bytes = sums(life.taken.iter().map(bytes_of));
            self.candidates.push(Candidate { source, who, session, then, first, bytes });
        }
    }
}

/// How long what is said before the events of a trace is in the file, about.
const TRACE_BYTES: usize = 2000;

/// How long an event is in the file, about: bytes are two digits, and whoever sends says so.
fn bytes_of(taken: &Taken) -> usize {
    const AROUND: usize = 250;
    let told = match &taken.step.told {
        Told::Event(Event::Received { message, .. }) => encoded(message),
        Told::Create(_) | Told::Invited { .. } | Told::Event(_) => 0,
    };
    let done = taken.done.actions.iter().map(|action| match action {
        Action::Send { message, .. } => AROUND + encoded(message),
        Action::Connect { .. }
        | Action::Disconnect { .. }
        | Action::Arm { .. }
        | Action::Disarm(_)
        | Action::Tell(_)
        | Action::Late { .. } => AROUND,
    });
    AROUND + told + done.sum::<usize>()
}

fn encoded(message: &PeerMessage) -> usize {
    let mut bytes = Vec::new();
    // A vector takes all bytes; what were not written would cost nothing.
    let written = match message {
        PeerMessage::Invitation(message) => ciborium::into_writer(message, &mut bytes),
        PeerMessage::Session(message) => ciborium::into_writer(message, &mut bytes),
    };
    written.map_or(0, |()| 2 * bytes.len())
}

/// The sums of the first none, one, two and more of them.
fn sums(costs: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut sum = 0;
    let mut sums = vec![0];
    for cost in costs {
        sum += cost;
        sums.push(sum);
    }
    sums
}

/// Longer lives are not asked at all.
const LIVED_MAX: usize = 60;

/// So many lies are told to one client at most, one after the other.
const LIES_MAX: usize = 24;

impl Pool {
    /// Asks each state that the models' runs lead to, once for all that look alike, what it does about everything that it
    /// may be told.
    fn lie(&mut self) {
        let mut known: BTreeSet<Feature> = self.numbers.keys().cloned().collect();
        let mut seen = HashSet::new();
        let runs: BTreeMap<String, Source> = self
            .candidates
            .iter()
            .filter(|candidate| !matches!(candidate.source, Source::Simulation(_)))
            .map(|candidate| (candidate.source.name(), candidate.source.clone()))
            .collect();
        for source in runs.values() {
            let Ok(recording) = source.play() else { continue };
            for (session, life) in source.lives(&recording) {
                let liars = Liars::of(&recording, life.clients() + 1);
                let mut client = Single::new(life.who, life.me.clone());
                let mut before: Vec<Shown> = Vec::new();
                if life.taken.len() > LIVED_MAX {
                    continue;
                }
                for events in 0..=life.taken.len() {
                    if seen.insert(client.look()) {
                        // What ends a session ends the trace, so that each state is asked until it says nothing new.
                        loop {
                            let (then, shown) = told_most(&liars, &client, &mut known);
                            if then.is_empty() {
                                break;
                            }
                            let all = || before.iter().chain(&shown);
                            let bytes = sums(all().map(|shown| shown.bytes));
                            let first = self.first(all().map(|shown| shown.features.clone()));
                            let (source, who, then) = (source.clone(), life.who, (events, then));
                            self.candidates.push(Candidate { source, who, session, then, first, bytes });
                        }
                    }
                    if let Some(taken) = life.taken.get(events) {
                        client.tell(&taken.step);
                        before.push(Shown::by(std::slice::from_ref(taken)));
                    }
                }
            }
        }
    }

    /// Which event shows what first.
    fn first(&mut self, shown: impl Iterator<Item = BTreeSet<Feature>>) -> Vec<(usize, usize)> {
        let mut seen = BTreeSet::new();
        let mut first = Vec::new();
        for (event, features) in (1..).zip(shown) {
            for feature in features {
                let number = self.number(feature);
                if seen.insert(number) {
                    first.push((event, number));
                }
            }
        }
        first
    }
}

/// What is shown in an event, or in the few that make one lie, and how long that is in the file.
struct Shown {
    features: BTreeSet<Feature>,
    bytes: usize,
}

impl Shown {
    fn by(taken: &[Taken]) -> Self {
        let features = taken.iter().flat_map(features::of).collect();
        Self { features, bytes: taken.iter().map(bytes_of).sum() }
    }
}

/// The lies that show most, one after the other, as long as one shows something that is not known; and what each shows.
fn told_most(liars: &Liars<'_>, client: &Single, known: &mut BTreeSet<Feature>) -> (Vec<usize>, Vec<Shown>) {
    let mut client = client.clone();
    let (mut then, mut shown) = (Vec::new(), Vec::new());
    while then.len() < LIES_MAX {
        let mut best: Option<(usize, usize, Single, Shown)> = None;
        for (number, lie) in liars.all(&client).into_iter().enumerate() {
            let mut next = client.clone();
            let told = next.believe(&lie);
            let shows = Shown::by(&told.taken);
            let new = shows.features.difference(known).count();
            // A lie that ends the session is the last one, and one that loses a link leaves fewer to lie.
            let worth = if next.stage() == Some(Stage::Ended) {
                new
            } else if next.links.len() < client.links.len() {
                new * 4
            } else {
                new * 16
            };
            if worth > best.as_ref().map_or(0, |(most, ..)| *most) {
                best = Some((worth, number, next, shows));
            }
        }
        let Some((_, number, next, shows)) = best else { break };
        known.extend(shows.features.iter().cloned());
        client = next;
        then.push(number);
        shown.push(shows);
    }
    (then, shown)
}

/// How many lies there are in so many events of a trace.
fn told(candidate: &Candidate, events: usize) -> usize {
    events.saturating_sub(candidate.then.0)
}

/// Looks for traces. The same machines give the same traces.
#[must_use]
pub fn search(effort: Effort, mut progress: impl FnMut(&str)) -> Vec<Choice> {
    let mut pool = Pool::default();
    let mut known = BTreeSet::new();
    for name in walks::names() {
        pool.add(&Source::Walk(name));
    }
    for entry in catalogue::ALL {
        for path in paths(entry, effort.states, &mut known) {
            pool.add(&Source::Path { model: entry.name, path });
        }
        progress(&format!("{}: {} things shown", entry.name, pool.numbers.len()));
    }
    for seed in 0..effort.runs {
        if Profile::draw(&mut Random::new(seed)).clients <= CLIENTS_MAX {
            pool.add(&Source::Simulation(seed));
        }
    }
    progress(&format!("simulation: {} things shown", pool.numbers.len()));
    pool.lie();
    progress(&format!("lies: {} things shown", pool.numbers.len()));
    choose(&pool)
}

/// A state that has been reached: from which one, by which of its steps.
struct Visit {
    world: World,
    from: usize,
    step: usize,
}

/// Short paths to whatever no path has shown before.
fn paths(entry: &Entry, states: usize, known: &mut BTreeSet<Feature>) -> Vec<Vec<usize>> {
    let (model, recording) = tap::recording(|| SessionModel::new(entry.scenario));
    let mut found = Vec::new();
    let news = recording.taken.iter().flat_map(features::of).filter(|feature| known.insert(feature.clone()));
    if news.count() > 0 {
        found.push(Vec::new());
    }
    let mut visits: Vec<Visit> =
        model.init_states().into_iter().map(|world| Visit { world, from: 0, step: 0 }).collect();
    let mut seen: HashSet<u64> = visits.iter().map(|visit| fingerprint(&visit.world)).collect();
    let mut open: VecDeque<usize> = (0..visits.len()).collect();
    while let Some(from) = open.pop_front() {
        let Some(world) = visits.get(from).map(|visit| visit.world.clone()) else { break };
        let mut steps = Vec::new();
        model.actions(&world, &mut steps);
        for (step, what) in steps.iter().enumerate() {
            let (next, recording) = tap::recording(|| model.after(&world, what));
            let mut news = false;
            for feature in recording.taken.iter().flat_map(features::of) {
                news |= known.insert(feature);
            }
            let is_new = seen.insert(fingerprint(&next));
            if is_new && visits.len() < states {
                open.push_back(visits.len());
                visits.push(Visit { world: next, from, step });
            }
            if news {
                found.push(path_to(&visits, from, step));
            }
        }
    }
    found
}

fn path_to(visits: &[Visit], mut at: usize, last: usize) -> Vec<usize> {
    let mut path = vec![last];
    while at != 0 {
        let Some(visit) = visits.get(at) else { break };
        path.push(visit.step);
        at = visit.from;
    }
    path.reverse();
    path
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Takes the trace that shows most for its length, again and again; then leaves out what others show too.
fn choose(pool: &Pool) -> Vec<Choice> {
    let mut shown = vec![false; pool.numbers.len()];
    let mut chosen: Vec<(&Candidate, usize)> = Vec::new();
    loop {
        let mut best: Option<(usize, &Candidate, usize)> = None;
        for candidate in &pool.candidates {
            let mut new = 0;
            for &(events, number) in &candidate.first {
                if shown.get(number) != Some(&false) {
                    continue;
                }
                new += 1;
                let worth = new * 100_000_000 / candidate.cost(events);
                if best.as_ref().is_none_or(|(most, ..)| worth > *most) {
                    best = Some((worth, candidate, events));
                }
            }
        }
        let Some((_, candidate, events)) = best else { break };
        for &(_, number) in candidate.first.iter().filter(|(event, _)| *event <= events) {
            if let Some(shown) = shown.get_mut(number) {
                *shown = true;
            }
        }
        chosen.push((candidate, events));
    }
    shorten(&mut chosen, pool.numbers.len());
    let choice = |(candidate, events): (&Candidate, usize)| Choice {
        source: candidate.source.clone(),
        who: candidate.who,
        session: candidate.session,
        events: events.min(candidate.then.0),
        then: candidate.then.1.get(..told(candidate, events)).unwrap_or_default().to_vec(),
    };
    chosen.into_iter().map(choice).collect()
}

/// Cuts each trace behind the last thing that no other one shows; one without such a thing goes.
fn shorten(chosen: &mut Vec<(&Candidate, usize)>, features: usize) {
    let mut count = vec![0_usize; features];
    let shows = |(candidate, events): &(&Candidate, usize)| {
        let events = *events;
        candidate
            .first
            .iter()
            .filter(move |(event, _)| *event <= events)
            .map(|(event, number)| (*event, *number))
            .collect::<Vec<_>>()
    };
    for (_, number) in chosen.iter().flat_map(shows) {
        if let Some(count) = count.get_mut(number) {
            *count += 1;
        }
    }
    for index in (0..chosen.len()).rev() {
        let Some(trace) = chosen.get_mut(index) else { continue };
        let shown = shows(trace);
        let alone = shown.iter().filter(|(_, number)| count.get(*number) == Some(&1));
        let needed = alone.map(|(event, _)| *event).max().unwrap_or(0);
        for (_, number) in shown.iter().filter(|(event, _)| *event > needed) {
            if let Some(count) = count.get_mut(*number) {
                *count -= 1;
            }
        }
        trace.1 = needed;
    }
    chosen.retain(|(_, events)| *events > 0);
}
