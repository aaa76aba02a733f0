//! The model of a session: [`Session`] machines over links, under stateright.
//!
//! The state space is everything that the users' choices and the order of deliveries can lead to. A model begins with
//! a session whose members joined through the machines themselves.

use antiphon_spec::session::{Event, LocalNumber, Session, Timer};
use stateright::{Model, Property};

use crate::{
    cast::{Cast, Who},
    link::{End, Side},
    properties,
    scenario::Scenario,
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
}

impl SessionModel {
    /// Sets the scene: the creator begins the session and invites the other members, one after the other.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let cast = Cast::new(scenario.clients());
        let start = World::new(scenario.clients(), Budget::default());
        let mut model = Self { scenario, cast, start };
        let creator = Who(scenario.creator);
        let mut turn = Turn::new(&model.scenario, &model.cast, model.start.clone());
        turn.create(creator);
        let (mut world, _) = turn.finish();
        for whom in Who::first(scenario.members).filter(|who| *who != creator) {
            world.budget.invitations = 1;
            world = model.after(&world, &Step::Invite { who: creator, whom });
            world = model.run_to_rest(world);
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

    /// Lets happen what has to happen, in one order out of many, until nothing is under way.
    fn run_to_rest(&self, mut world: World) -> World {
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

    fn after(&self, world: &World, step: &Step) -> World {
        perform(self.turn(world), step).finish().0
    }

    /// What a step does, in words: one line for each thing that happens.
    #[must_use]
    pub fn tell(&self, world: &World, step: &Step) -> Vec<String> {
        let mut lines = vec![words::step(world, step)];
        lines.extend(perform(self.turn(world).with_journal(), step).finish().1);
        lines
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

fn timers(world: &World) -> impl Iterator<Item = Step> {
    world.everyone().flat_map(|(who, client)| {
        client.armed.iter().map(move |timer| Step::Timer { who, timer: timer.clone() })
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
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        Some(self.after(world, &step))
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
