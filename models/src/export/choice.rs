//! Which run a trace is from, in a line of text.

use std::{fmt, str::FromStr};

use antiphon_spec::session::Member;
use stateright::Model as _;

use super::{ExportError, lies::Liars, single::Single, walks};
use crate::{
    SessionModel, Who,
    cast::CLIENTS_MAX,
    catalogue::{self, Entry},
    simulation::{Plan, Run},
    tap::{self, Recording, Taken},
};

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The run of the simulation with this seed.
    Simulation(u64),
    /// A path of a model: which of the steps that are possible is taken, each time.
    Path {
        /// The model.
        model: &'static str,
        /// The steps.
        path: Vec<usize>,
    },
    /// A scripted walk of one client.
    Walk(&'static str),
}

/// A trace: the first events of a session at one client of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The run.
    pub source: Source,
    /// The client.
    pub who: Who,
    /// Which of its sessions in the run, counted from 0.
    pub session: usize,
    /// How many events.
    pub events: usize,
    /// What it is told after them, by the numbers of `Liars::all`.
    pub then: Vec<usize>,
}

/// One session at one client, from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) who: Who,
    pub(super) me: Member,
    pub(super) taken: Vec<Taken>,
    clients: u8,
    other_keys: bool,
}

impl Life {
    /// How many clients are in the run.
    pub(super) fn clients(&self) -> u8 {
        self.clients
    }

    /// Whether an attacker has keys beside those that the others know it by.
    pub(super) fn has_other_keys(&self) -> bool {
        self.other_keys
    }
}

impl Source {
    /// What tells it from every other run.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Simulation(seed) => format!("simulation {seed:09}"),
            Self::Path { model, path } => format!("{model} {}", dotted(path)),
            Self::Walk(name) => format!("walk {name}"),
        }
    }

    /// Plays the run.
    pub(super) fn play(&self) -> Result<Recording, String> {
        match self {
            Self::Simulation(seed) => Ok(tap::recording(|| Run::play(&Plan::drawn(*seed), false)).1),
            Self::Path { model, path } => {
                let entry = catalogue::find(model).ok_or_else(|| format!("there is no model {model}"))?;
                let (done, recording) = tap::recording(|| walk(entry, path));
                done.map(|()| recording)
            }
            Self::Walk(name) => walks::play(name),
        }
    }

    fn has_other_keys(&self) -> bool {
        match self {
            Self::Simulation(_) | Self::Walk(_) => false,
            Self::Path { model, .. } => {
                catalogue::find(model).is_some_and(|entry| entry.scenario.attack.is_some())
            }
        }
    }

    /// The sessions of all clients in a run.
    pub(super) fn lives(&self, recording: &Recording) -> Vec<(usize, Life)> {
        let clients = recording.taken.iter().map(|taken| taken.who.0 + 1).max().unwrap_or(0);
        let clients = self.clients().unwrap_or(clients);
        let mut lives: Vec<(usize, Life)> = Vec::new();
        for taken in &recording.taken {
            if let Some(me) = &taken.me {
                let before = lives.iter().filter(|(_, life)| life.who == taken.who).count();
                let (who, me, other_keys) = (taken.who, me.clone(), self.has_other_keys());
                lives.push((before, Life { who, me, taken: Vec::new(), clients, other_keys }));
            }
            if let Some((_, life)) = lives.iter_mut().rev().find(|(_, life)| life.who == taken.who) {
                life.taken.push(taken.clone());
            }
        }
        lives
    }

    fn clients(&self) -> Option<u8> {
        match self {
            Self::Simulation(_) => None,
            Self::Path { model, .. } => catalogue::find(model).map(|entry| entry.scenario.clients()),
            Self::Walk(_) => Some(walks::CLIENTS),
        }
    }
}

fn walk(entry: &Entry, path: &[usize]) -> Result<(), String> {
    let model = SessionModel::new(entry.scenario);
    let mut worlds = model.init_states();
    let Some(mut world) = worlds.pop() else { return Err("the model has no beginning".to_owned()) };
    for (number, choice) in path.iter().enumerate() {
        let mut steps = Vec::new();
        model.actions(&world, &mut steps);
        let step = steps.get(*choice).ok_or_else(|| format!("step {number} of the path is not possible"))?;
        world = model.after(&world, step);
    }
    Ok(())
}

impl Choice {
    /// Plays the run; gives the trace, and all that happened in the run.
    pub(super) fn play(&self) -> Result<(Life, Recording), ExportError> {
        let wrong = |what: String| ExportError::Choice(0, format!("{self}: {what}"));
        let recording = self.source.play().map_err(wrong)?;
        let lives = self.source.lives(&recording);
        let life = lives.into_iter().find(|(number, life)| *number == self.session && life.who == self.who);
        let Some((_, mut life)) = life.filter(|(_, life)| life.taken.len() >= self.events) else {
            return Err(wrong("the run has no such trace any more".to_owned()));
        };
        life.taken.truncate(self.events);
        let mut recording = recording;
        if !self.then.is_empty() {
            life.other_keys = true;
            life.clients += 1;
            self.lie(&mut life, &mut recording).map_err(wrong)?;
        }
        Ok((life, recording))
    }

    /// Goes on with what is no part of the run.
    fn lie(&self, life: &mut Life, recording: &mut Recording) -> Result<(), String> {
        let liars = Liars::of(recording, life.clients);
        let mut client = Single::new(life.who, life.me.clone());
        for taken in &life.taken {
            client.tell(&taken.step);
        }
        let mut more = Recording::default();
        for number in &self.then {
            let (lies, made) = tap::recording(|| liars.all(&client));
            more.append(made);
            let lie =
                lies.get(*number).ok_or_else(|| format!("nothing that can be told has number {number}"))?;
            more.append(client.believe(lie));
        }
        life.taken.append(&mut more.taken);
        recording.append(more);
        Ok(())
    }

    pub(super) fn slug(&self) -> String {
        match &self.source {
            Source::Simulation(seed) => format!("simulation-{seed}-{}", self.who),
            Source::Path { model, .. } => format!("{model}-{}", self.who),
            Source::Walk(name) => format!("{name}-{}", self.who),
        }
    }

    /// The line that stands for it.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { source, who, session, events, then } = self;
        let (model, run) = match source {
            Source::Simulation(seed) => ("simulation", seed.to_string()),
            Source::Path { model, path } => (*model, dotted(path)),
            Source::Walk(name) => ("walk", (*name).to_owned()),
        };
        format!("{model} {run} {} {session} {events} {}", who.0, dotted(then))
    }
}

/// A path that has no steps is still a word.
fn dotted(path: &[usize]) -> String {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    if path.is_empty() { "-".to_owned() } else { path.join(".") }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, who, .. } = self;
        match source {
            Source::Simulation(seed) => write!(f, "{who} in run {seed} of the simulation"),
            Source::Path { model, .. } => write!(f, "{who} in a run of the model {model}"),
            Source::Walk(name) => write!(f, "{who} in the walk {name}"),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let [model, run, who, session, events, then] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err("not a model, a run, a client, a session, a number of events and what follows them"
                .to_owned());
        };
        let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
        let numbers =
            |text: &str| text.split('.').filter(|step| *step != "-").map(number).collect::<Result<_, _>>();
        let source = if model == "simulation" {
            Source::Simulation(run.parse().map_err(|error| format!("{run}: {error}"))?)
        } else if model == "walk" {
            Source::Walk(walks::find(run).ok_or_else(|| format!("there is no walk {run}"))?)
        } else {
            let entry = catalogue::find(model).ok_or_else(|| format!("there is no model {model}"))?;
            Source::Path { model: entry.name, path: numbers(run)? }
        };
        let who =
            who.parse().ok().filter(|who| *who < CLIENTS_MAX).ok_or_else(|| format!("no client {who}"))?;
        Ok(Self {
            source,
            who: Who(who),
            session: number(session)?,
            events: number(events)?,
            then: numbers(then)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_a_choice() {
        for line in [
            "simulation 17 3 0 40 -",
            "session-small 0.12.3 1 0 9 4.17",
            "session-begin - 0 1 2 -",
            "walk counted-out 2 0 8 3",
        ] {
            assert_eq!(line.parse::<Choice>().map(|choice| choice.line()).as_deref(), Ok(line));
        }
        for line in [
            "",
            "simulation x 3 0 40 -",
            "nothing 0 1 0 9 -",
            "walk nowhere 0 0 1 -",
            "session-small 0 99 0 9 -",
            "session-small 0 1 0 9",
        ] {
            assert!(line.parse::<Choice>().is_err(), "{line}");
        }
    }
}
