//! The model of a session: [`Session`] machines over links, under stateright.
//!
//! The state space is everything that the users' choices and the order of deliveries can lead to. A model begins with
//! a session whose members joined through the machines themselves.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::PeerMessage,
    session::{Event, LocalNumber, Session, Timer},
};
use stateright::{Model, Property};

use crate::{
    attacker::{Attacker, Way, messages::Forge, script},
    cast::{Cast, Who},
    link::{End, Side},
    properties,
    scenario::Scenario,
    shared::Shared,
    turn::Turn,
    words,
    world::{Budget, World, names},
};

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next message of a link arrives at this end.
    Deliver {
        /// Whose it is.
        from: Who,
        /// At whose end.
        to: Who,
        /// Which link, by its place among the links.
        link: usize,
    },
    /// A client sees that its peer closed a link.
    LinkEnds {
        /// Who sees it.
        at: Who,
        /// Who closed it.
        peer: Who,
        /// Which link, by its place among the links.
        link: usize,
    },
    /// A dial succeeds.
    LinkUp {
        /// The dialler.
        from: Who,
        /// The other.
        to: Who,
    },
    /// A dial fails.
    LinkFails {
        /// The dialler.
        from: Who,
        /// The other.
        to: Who,
    },
    /// A link is cut.
    Cut {
        /// One end.
        between: Who,
        /// The other end.
        and: Who,
        /// Which link, by its place among the links.
        link: usize,
    },
    /// A client dies.
    Crash(Who),
    /// A user invites another.
    Invite {
        /// The inviter.
        who: Who,
        /// The invitee.
        whom: Who,
    },
    /// A user accepts the invitation.
    Accept(Who),
    /// A user refuses the invitation.
    Refuse(Who),
    /// A user leaves, or gives up joining.
    Leave(Who),
    /// A user says something.
    Say(Who),
    /// An attacker says something.
    Attack {
        /// As which of its users.
        by: Who,
        /// To whom.
        to: Who,
        /// By which link.
        way: Way,
        /// What.
        message: Arc<PeerMessage>,
    },
    /// An attacker closes a link.
    HangUp {
        /// As which of its users.
        by: Who,
        /// To whom.
        to: Who,
    },
    /// A timer fires.
    Timer {
        /// Whose.
        who: Who,
        /// Which.
        timer: Timer,
    },
}

/// A session, within bounds.
#[derive(Clone, Debug)]
pub struct SessionModel {
    scenario: Scenario,
    cast: Cast,
    start: World,
    /// The codes with which attacks have been refused so far, by their places in the registry: what a search has reached.
    refusals: Arc<AtomicU64>,
}

impl SessionModel {
    /// Sets the scene: the creator begins the session and invites the other members, one after the other.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let cast = Cast::new(scenario.clients());
        let start = World::new(scenario.clients(), Budget::default());
        let mut model = Self { scenario, cast, start, refusals: Arc::default() };
        let creator = Who(scenario.creator);
        let mut turn = Turn::new(&model.scenario, &model.cast, model.start.clone());
        turn.create(creator);
        let (mut world, _) = turn.finish();
        for whom in Who::first(scenario.members).filter(|who| *who != creator) {
            world.budget.invitations = 1;
            world = model.after(&world, &Step::Invite { who: creator, whom });
            world = model.run_to_rest(world);
        }
        if let Some(attack) = &scenario.attack {
            world.budget = Budget::default();
            world = script::play(&model, attack, world);
            let attacker = Attacker {
                sends: attack.sends,
                coordinates: attack.coordinates(),
                ..Attacker::clone(&world.attacker)
            };
            world.attacker = Shared::new(attacker);
            model.refusals.store(0, Ordering::Relaxed);
        }
        world.budget = scenario.budget;
        model.start = world;
        model
    }

    /// The bounds.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(crate) fn cast(&self) -> &Cast {
        &self.cast
    }

    /// Whether a search has come upon an attack that was refused with this code.
    pub(crate) fn has_refused_with(&self, code: ErrorCode) -> bool {
        self.refusals.load(Ordering::Relaxed) & refusal_bit(code) != 0
    }

    /// A client falls into the attacker's hands.
    pub(crate) fn corrupt(&self, world: &World, who: Who) -> World {
        let mut turn = self.turn(world);
        turn.corrupt(who);
        turn.finish().0
    }

    /// Lets happen what has to happen, in one order out of many, until nothing is under way.
    pub(crate) fn run_to_rest(&self, mut world: World) -> World {
        // A set-up takes some dozens of steps; a mutant that never comes to rest must not hold up the check.
        for _ in 0..1000 {
            let mut steps = Vec::new();
            obligations(&world, &mut steps);
            steps.retain(|step| !matches!(step, Step::Timer { .. }));
            let Some(step) = steps.first() else { break };
            world = self.after(&world, step);
        }
        world
    }

    fn turn(&self, world: &World) -> Turn<'_> {
        Turn::new(&self.scenario, &self.cast, world.clone())
    }

    pub(crate) fn after(&self, world: &World, step: &Step) -> World {
        let turn = perform(self.turn(world), step);
        if turn.refusals() != 0 {
            self.refusals.fetch_or(turn.refusals(), Ordering::Relaxed);
        }
        turn.finish().0
    }

    /// What a step does, in words: one line for each thing that happens.
    #[must_use]
    pub fn tell(&self, world: &World, step: &Step) -> Vec<String> {
        let mut lines = vec![words::step(world, step)];
        lines.extend(perform(self.turn(world).with_journal(), step).finish().1);
        lines
    }

    /// What the attacker may do.
    fn attacks(&self, world: &World, steps: &mut Vec<Step>) {
        if world.attacker.sends == 0 {
            return;
        }
        let honest = || world.everyone().map(|(who, _)| who).filter(|who| !world.attacker.has(*who));
        for by in world.everyone().map(|(who, _)| who).filter(|who| world.attacker.has(*who)) {
            for to in honest() {
                let mut shots = Vec::new();
                if let Some(forge) = Forge::new(&self.cast, world, by, to) {
                    forge.all(&mut shots);
                }
                steps.extend(shots.into_iter().map(|shot| Step::Attack {
                    by,
                    to,
                    way: shot.way,
                    message: shot.message,
                }));
                if world.attached(to, by).is_some() {
                    steps.push(Step::HangUp { by, to });
                }
            }
        }
    }

    fn choices(&self, world: &World, steps: &mut Vec<Step>) {
        let budget = &world.budget;
        for (who, client, session) in world.in_session() {
            if budget.crashes > 0 {
                steps.push(Step::Crash(who));
            }
            if budget.refusals > 0 && client.is_asked() {
                steps.push(Step::Refuse(who));
            }
            if budget.leaves > 0 && !client.leaving && !client.over && !client.is_asked() {
                steps.push(Step::Leave(who));
            }
            if let Some(epoch) = session.epoch()
                && !client.leaving
            {
                if budget.messages > 0 {
                    steps.push(Step::Say(who));
                }
                if budget.invitations > 0 {
                    let open = |whom: &Who| !names(epoch, *whom) && client.inviting & whom.bit() == 0;
                    steps
                        .extend(self.scenario.invitees().filter(open).map(|whom| Step::Invite { who, whom }));
                }
            }
        }
        if budget.timers > 0 && !world.is_quiet {
            steps.extend(timers(world));
        }
        if budget.losses > 0 {
            steps.extend(world.dials.iter().map(|&(from, to)| Step::LinkFails { from, to }));
            let whole = world.links.iter().enumerate().filter(|(_, link)| !link.is_cut());
            steps.extend(whole.map(|(index, link)| Step::Cut {
                between: link.dialler,
                and: link.acceptor,
                link: index,
            }));
        }
    }
}

/// What has to happen sooner or later: deliveries, ends of links, dials, answers of users who are asked.
fn obligations(world: &World, steps: &mut Vec<Step>) {
    for (index, link) in world.links.iter().enumerate() {
        for side in [Side::Dialler, Side::Acceptor] {
            let (to, from) = (link.client(side), link.peer(side));
            if !link.towards(side).is_empty() && link.end(side) != End::Closed {
                steps.push(Step::Deliver { from, to, link: index });
            }
            if link.is_over_for(side) {
                steps.push(Step::LinkEnds { at: to, peer: from, link: index });
            }
        }
    }
    steps.extend(world.dials.iter().map(|&(from, to)| Step::LinkUp { from, to }));
    if world.is_quiet {
        // Nothing else can happen, so time passes until some timer fires.
        steps.extend(timers(world));
    }
    let asked = world.in_session().filter(|(_, _, session)| Session::awaits_answer(session));
    steps.extend(asked.map(|(who, _, _)| Step::Accept(who)));
}

/// The timers that may fire. One that waits for messages which the commit counts is shorter than every other one, and runs from
/// before any that waits for this client: where it runs, it fires first. All who wait for the removal of somebody wait as long.
fn timers(world: &World) -> impl Iterator<Item = Step> {
    let is_first = |timer: &Timer| *timer == Timer::Flush;
    let flushes = world.everyone().any(|(_, client)| client.armed.iter().any(is_first));
    world.everyone().flat_map(move |(who, client)| {
        let is_later = |timer: &Timer| client.has_waited && matches!(timer, Timer::Lost(_));
        let may_fire =
            client.armed.iter().filter(move |timer| !is_later(timer) && (!flushes || is_first(timer)));
        may_fire.map(move |timer| Step::Timer { who, timer: timer.clone() })
    })
}

fn perform<'m>(mut turn: Turn<'m>, step: &Step) -> Turn<'m> {
    let side = |turn: &mut Turn<'_>, link: usize, who: Who| {
        turn.world_mut().links.get(link).and_then(|link| link.side_of(who))
    };
    match step {
        Step::Deliver { to, link, from: _ } => {
            if let Some(side) = side(&mut turn, *link, *to) {
                turn.deliver(*link, side);
            }
        }
        Step::LinkEnds { at, link, peer: _ } => {
            if let Some(side) = side(&mut turn, *link, *at) {
                turn.link_ends(*link, side);
            }
        }
        Step::LinkUp { from, to } => turn.link_up(*from, *to),
        Step::LinkFails { from, to } => {
            turn.world_mut().budget.losses -= 1;
            turn.link_fails(*from, *to);
        }
        Step::Cut { link, .. } => {
            turn.world_mut().budget.losses -= 1;
            turn.cut(*link);
        }
        Step::Crash(who) => {
            turn.world_mut().budget.crashes -= 1;
            turn.crash(*who);
        }
        Step::Invite { who, whom } => {
            turn.world_mut().budget.invitations -= 1;
            turn.invite(*who, *whom);
        }
        Step::Attack { by, to, way, message } => turn.attack(*by, *to, *way, message),
        Step::HangUp { by, to } => turn.hang_up(*by, *to),
        Step::Accept(who) => turn.event(*who, Event::Accept),
        Step::Refuse(who) => {
            turn.world_mut().budget.refusals -= 1;
            turn.event(*who, Event::Refuse);
        }
        Step::Leave(who) => {
            turn.world_mut().budget.leaves -= 1;
            turn.leave(*who);
        }
        Step::Say(who) => {
            turn.world_mut().budget.messages -= 1;
            let left = turn.world_mut().budget.messages;
            turn.say(*who, LocalNumber(left.into()));
        }
        Step::Timer { who, timer } => {
            // Early is what needs an excuse; once all is quiet, some timer has to fire.
            let world = turn.world_mut();
            world.budget.timers -= u8::from(!world.is_quiet);
            turn.fire(*who, timer);
        }
    }
    turn
}

/// Whether nothing but the attacker's budget has changed.
fn is_in_vain(world: &World, next: &World) -> bool {
    let sends = world.attacker.sends;
    let attacker = Attacker { sends, ..Attacker::clone(&next.attacker) };
    attacker == *world.attacker
        && World { attacker: Shared::clone(&world.attacker), ..next.clone() } == *world
}

/// The code's place in a set.
pub(crate) fn refusal_bit(code: ErrorCode) -> u64 {
    1 << (code as u64)
}

impl Model for SessionModel {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        // What comes after a broken rule shows nothing.
        if world.monitor.is_clean() {
            obligations(world, steps);
            self.choices(world, steps);
            self.attacks(world, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.after(world, &step);
        let is_attack = matches!(step, Step::Attack { .. } | Step::HangUp { .. });
        // What an attacker says in vain leaves it with one message less, and shows nothing.
        (!is_attack || !is_in_vain(world, &next)).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.scenario)
    }

    fn format_action(&self, step: &Step) -> String {
        format!("{step:?}")
    }

    fn format_step(&self, world: &World, step: Step) -> Option<String> {
        let next = self.after(world, &step);
        Some(format!("{}\n\n{}", self.tell(world, &step).join("\n"), words::world(&next)))
    }
}
