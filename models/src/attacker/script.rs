//! How the attacker of a model got to where it stands when the model begins.

use std::sync::Arc;

use antiphon_spec::{
    media_type::MediaTypes,
    message::client_client::{
        InvitationBody, Invite, Join, PeerMessage, RequestNumber, SessionBody, TokenRequest,
    },
    session::Change,
};

use super::{
    Attack, Start, Way,
    messages::{Forge, Header},
};
use crate::{
    cast::Who,
    session_model::{SessionModel, Step},
    world::World,
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);
const DAVE: Who = Who(3);

/// Plays the story before the model begins; `world` is at rest, and its clients are all honest.
pub(crate) fn play(model: &SessionModel, attack: &Attack, world: World) -> World {
    let story = Story { model };
    let corrupt =
        |world: World| attack.users.iter().fold(world, |world, user| model.corrupt(&world, Who(*user)));
    match attack.start {
        Start::Refused => {
            let world = story.invited(corrupt(world), ALICE, CAROL);
            story.wait(world)
        }
        Start::Left => {
            let world = World { budget: crate::world::Budget { leaves: 1, ..world.budget }, ..world };
            corrupt(story.wait(model.after(&world, &Step::Leave(CAROL))))
        }
        Start::Removed => {
            let world = corrupt(world);
            let world = model.after(&world, &Step::HangUp { by: CAROL, to: ALICE });
            let world = model.after(&world, &Step::HangUp { by: CAROL, to: BOB });
            story.wait(world)
        }
        Start::Member | Start::Coordinator => corrupt(world),
        Start::Holder => story.granted(corrupt(world), CAROL, DAVE),
        Start::Inviter => {
            let world = story.shoot(corrupt(world), CAROL, DAVE, Way::Fresh, |forge| {
                let origin = forge.origin();
                forge.invitation(InvitationBody::Invite(Invite { origin, lifetime: 120 }))
            });
            story.granted(model.run_to_rest(world), CAROL, DAVE)
        }
        Start::Guest => story.invited(corrupt(world), BOB, DAVE),
        Start::Newcomer => story.invited(corrupt(world), BOB, CAROL),
    }
}

struct Story<'m> {
    model: &'m SessionModel,
}

impl Story<'_> {
    /// The attacker's user is invited, and welcomed.
    fn invited(&self, mut world: World, by: Who, whom: Who) -> World {
        world.budget.invitations = 1;
        let world = self.model.run_to_rest(self.model.after(&world, &Step::Invite { who: by, whom }));
        let Some(relay) = self.model.cast().member(whom).map(|member| member.relay) else { return world };
        let world = self.shoot(world, whom, by, Way::Standing, |forge| {
            forge.invitation(InvitationBody::Join(Join { relay, accepts: MediaTypes::default() }))
        });
        self.model.run_to_rest(world)
    }

    /// The attacker's user asks for the token, and gets it.
    fn granted(&self, world: World, holder: Who, newcomer: Who) -> World {
        let Some(member) = self.model.cast().member(newcomer).cloned() else { return world };
        let world = self.shoot(world, holder, ALICE, Way::Standing, |forge| {
            let request = TokenRequest { change: Change::Join(member), number: RequestNumber(1) };
            forge.session(Header::Current, SessionBody::TokenRequest(request))
        });
        self.model.run_to_rest(world)
    }

    fn shoot(
        &self,
        world: World,
        by: Who,
        to: Who,
        way: Way,
        message: impl FnOnce(&Forge<'_>) -> PeerMessage,
    ) -> World {
        let Some(message) = Forge::new(self.model.cast(), &world, by, to).map(|forge| message(&forge)) else {
            return world;
        };
        self.model.after(&world, &Step::Attack { by, to, way, message: Arc::new(message) })
    }

    /// Time passes until nothing waits any more.
    fn wait(&self, mut world: World) -> World {
        // Some dozens of steps; a mutant that never comes to rest must not hold up the check.
        for _ in 0..100 {
            world = self.model.run_to_rest(world);
            let Some((who, timer)) =
                world.everyone().find_map(|(who, client)| Some((who, client.armed.first()?.clone())))
            else {
                break;
            };
            world = self.model.after(&world, &Step::Timer { who, timer });
        }
        world
    }
}
