//! The properties of sessions, each with the requirements of the text (`spec/text/sessions.md`) that it stands for.
//!
//! The places that are sometimes reached show that a model is not empty.
//!
//! A rule about a single step is kept by the [`Monitor`](crate::monitor::Monitor). A rule about where things end up is judged
//! where nothing is under way and no user is asked: whatever waits there waits for ever.

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::{PeerMessage, SessionBody},
    session::{Change, Session},
};
use stateright::Property;

use crate::{
    attacker,
    cast::Who,
    link::Side,
    monitor::Violation,
    scenario::Scenario,
    session_model::SessionModel,
    world::{World, names},
};

pub(crate) type Named = (&'static str, fn(&SessionModel, &World) -> bool);

/// The properties that hold, and the places that are reached, within these bounds.
pub(crate) fn of(scenario: &Scenario) -> Vec<Property<SessionModel>> {
    let always = always(scenario).into_iter().map(|(name, condition)| Property::always(name, condition));
    let sometimes =
        sometimes(scenario).into_iter().map(|(name, condition)| Property::sometimes(name, condition));
    always.chain(sometimes).collect()
}

/// What holds in every state.
fn always(scenario: &Scenario) -> Vec<Named> {
    if let Some(attack) = &scenario.attack {
        return attacker::properties::always(scenario, attack);
    }
    let mut always: Vec<Named> = vec![
        ("SESS-051: one grant an epoch", |_, world| keeps(world, Violation::SecondGrant)),
        ("SESS-013: an epoch is the same to all who begin it", |_, world| keeps(world, Violation::TwoEpochs)),
        ("SESS-082, SESS-084: no change without its grant", |_, world| {
            keeps(world, Violation::ChangeWithoutGrant)
        }),
        ("SESS-005: nobody speaks where there is no link", |_, world| keeps(world, Violation::NoSuchLink)),
        ("SESS-090: at rest all hold one view, and are who it names", |_, world| at_rest(world, one_view)),
        ("SESS-056, SESS-103: at rest the coordinator is there, and the token is home", |_, world| {
            at_rest(world, token_home)
        }),
        ("SESS-041, SESS-076, SESS-097: at rest every invitation, join and leave has ended", |_, world| {
            at_rest(world, all_ended)
        }),
        ("SESS-064, SESS-094, SESS-095: at rest the links are a full mesh of the members", |_, world| {
            at_rest(world, full_mesh)
        }),
    ];
    if scenario.budget.losses == 0 && scenario.budget.timers == 0 {
        // A crash leaves one part: who is alive can reach all who are.
        always.push(("SESS-132, SESS-136: an epoch is the same to all who live in it", |_, world| {
            one_chain(world)
        }));
        always.push(("SESS-133: at rest all who live are in one part", |_, world| at_rest(world, one_part)));
    }
    if !scenario.has_faults() {
        always.push(("SESS-017, SESS-025: no honest machine is blamed", |_, world| {
            keeps(world, Violation::HonestFault)
        }));
        always.push(("SESS-099: no member is given up while all links hold", |_, world| {
            keeps(world, Violation::MemberGivenUp)
        }));
        // Where links break, a message may be on the way over one of them; its sender is told so instead (SESS-172).
        if scenario.budget.messages > 0 {
            always.push(("SESS-092: a message reaches every member of its epoch", |_, world| {
                keeps(world, Violation::MessageMissing)
            }));
        }
    }
    if scenario.budget.messages > 0 {
        always.extend::<[Named; 4]>([
            (
                "SESS-108, SESS-112: a message is delivered in its epoch, once, in order, from a member",
                |_, world| keeps(world, Violation::WrongDelivery),
            ),
            ("SESS-111: who acknowledges a message has it", |_, world| keeps(world, Violation::FalseReceipt)),
            ("SESS-171, SESS-173: each message is delivered or fails, once for each member", |_, world| {
                keeps(world, Violation::WrongOutcome) && keeps(world, Violation::NoOutcome)
            }),
            ("SESS-172: at rest the user knows what became of every message", |_, world| {
                at_rest(world, |world| world.monitor.is_settled())
            }),
        ]);
    }
    always
}

/// Where some path leads.
fn sometimes(scenario: &Scenario) -> Vec<Named> {
    if let Some(attack) = &scenario.attack {
        return attacker::properties::sometimes(scenario, attack);
    }
    let budget = &scenario.budget;
    let mut sometimes: Vec<Named> = Vec::new();
    if budget.messages > 0 {
        sometimes.push(("everything was said, and it is quiet", |_, world| {
            world.at_rest && world.budget.messages == 0
        }));
    }
    if budget.invitations >= scenario.newcomers && scenario.newcomers > 0 {
        sometimes.push(("everybody is in", |model, world| {
            world.at_rest
                && world.epochs().any(|epoch| epoch.members.len() == usize::from(model.scenario().clients()))
        }));
    }
    if budget.invitations > 0 && budget.leaves > 0 {
        sometimes.push(("a granted join came to nothing", |_, world| {
            world.at_rest && world.epochs().any(|epoch| matches!(epoch.change, Change::Void(_)))
        }));
    }
    if budget.invitations > 1 && scenario.members > 1 {
        sometimes.push(("a second invitation of a member is refused the token", |_, world| {
            under_way(world, |body| {
                matches!(body, SessionBody::TokenRefused(refused) if refused.code == ErrorCode::AlreadyMember)
            })
        }));
    }
    if budget.leaves > 0 {
        sometimes
            .push(("the coordinator changed", |model, world| coordinated_by(world, successor(model, 0))));
    }
    if budget.leaves > 1 && scenario.members > 2 {
        sometimes.push(("the coordinator changed twice", |model, world| {
            coordinated_by(world, successor(model, 1))
        }));
    }
    if budget.crashes > 0 || budget.losses > 0 {
        sometimes.push(("a member has taken over", |_, world| {
            world.epochs().any(|epoch| matches!(epoch.change, Change::TakeOver(_)))
        }));
        sometimes.push(("a lost member was removed", |_, world| {
            world.epochs().any(|epoch| matches!(epoch.change, Change::Remove(_)))
        }));
    }
    if budget.losses > 1 {
        sometimes
            .push(("the session has fallen into two parts", |_, world| world.at_rest && !one_part(world)));
    }
    if budget.refusals > 0 {
        sometimes.push(("a refused invitation has ended", |model, world| {
            world.at_rest && world.budget.refusals < model.scenario().budget.refusals
        }));
    }
    sometimes
}

/// Who coordinates after the creator, and after whom: the lowest handle that has not had the part yet.
fn successor(model: &SessionModel, place: usize) -> Who {
    let scenario = model.scenario();
    let mut others = Who::first(scenario.clients()).filter(|who| who.0 != scenario.creator);
    others.nth(place).unwrap_or(Who(scenario.creator))
}

pub(crate) fn keeps(world: &World, violation: Violation) -> bool {
    !world.monitor.has(violation)
}

fn at_rest(world: &World, condition: fn(&World) -> bool) -> bool {
    !world.at_rest || condition(world)
}

/// Who has a link holds the same epoch, and it names just those who have links with each other. So a session that has
/// fallen into parts has one view in each, and one that has not has one view.
fn one_view(world: &World) -> bool {
    let views_agree = world.links.iter().all(|link| {
        let [one, other] = [Side::Dialler, Side::Acceptor].map(|side| world.membership(link.client(side)));
        one.zip(other).is_none_or(|(one, other)| one.hash == other.hash && one.epoch == other.epoch)
    });
    views_agree
        && world.everyone().all(|(who, client)| {
            client.epoch().is_none_or(|epoch| {
                world.everyone().all(|(peer, _)| {
                    (peer == who || world.attached(who, peer).is_some()) == names(epoch, peer)
                })
            })
        })
}

/// Of the living, all who are in an epoch of one number are in the same one.
fn one_chain(world: &World) -> bool {
    let members = || world.in_session().filter_map(|(_, _, session)| session.membership());
    members()
        .all(|one| members().all(|other| one.epoch.number != other.epoch.number || one.hash == other.hash))
}

/// Nobody is left outside: there is one part.
fn one_part(world: &World) -> bool {
    let mut epochs = world.epochs();
    let Some(first) = epochs.next() else { return true };
    epochs.all(|epoch| epoch == first)
}

/// The coordinator that the members know is one of them, and holds the token.
fn token_home(world: &World) -> bool {
    let members = || world.in_session().filter_map(|(_, _, session)| session.membership());
    members().all(|member| {
        let coordinator = world.membership(Who::of(&member.epoch.coordinator));
        coordinator.is_some_and(|coordinator| coordinator.hash == member.hash) && member.is_at_rest()
    })
}

/// Nobody waits: neither on the way in, nor on the way out, nor for the end of an invitation.
fn all_ended(world: &World) -> bool {
    let placed = |session: &Session| session.membership().is_some();
    world.everyone().all(|(_, client)| {
        client.inviting == 0 && !client.leaving && client.session.as_ref().is_none_or(placed)
    })
}

/// One link between each two members of an epoch, and no other.
fn full_mesh(world: &World) -> bool {
    let ends: usize = world.epochs().map(|epoch| epoch.members.len() - 1).sum();
    let between_members = |side: Side| {
        world.links.iter().all(|link| world.client(link.client(side)).is_some_and(|c| c.epoch().is_some()))
    };
    world.links.len() * 2 == ends && between_members(Side::Dialler) && between_members(Side::Acceptor)
}

fn coordinated_by(world: &World, who: Who) -> bool {
    world.at_rest && world.epochs().any(|epoch| Who::of(&epoch.coordinator) == who)
}

/// Whether a message of this kind is on its way.
fn under_way(world: &World, kind: fn(&SessionBody) -> bool) -> bool {
    world.links.iter().any(|link| {
        [Side::Dialler, Side::Acceptor].iter().any(|side| {
            link.towards(*side)
                .iter()
                .any(|message| matches!(&**message, PeerMessage::Session(said) if kind(&said.body)))
        })
    })
}

#[cfg(test)]
mod tests {
    use stateright::Model as _;

    use crate::{SessionModel, catalogue};

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        let text = include_str!("../../spec/text/sessions.md");
        for entry in catalogue::ALL {
            for property in SessionModel::new(entry.scenario).properties() {
                let named = property.name.split([':', ',', ' ']).filter(|word| word.starts_with("SESS-"));
                for id in named {
                    assert!(text.contains(&format!("\n{id}: ")), "{id} of \"{}\"", property.name);
                }
            }
        }
    }
}
