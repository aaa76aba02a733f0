//! What an attacker cannot do, and what it costs the honest members at most.
//!
//! Where the attacker coordinates, only detection is promised: what honest members are told of one another is consistent, or
//! they part. Where it does not, the session of the honest members goes on as if the attacker were one more member
//! that may be slow, wrong or gone.

use antiphon_spec::{
    error_code::ErrorCode,
    session::{Change, Session, Timer},
};

use super::Attack;
use crate::{
    cast::Who,
    monitor::Violation,
    properties::{Named, keeps},
    scenario::Scenario,
    session_model::{SessionModel, Step},
    world::{World, names},
};

/// What holds in every state of a model with an attacker.
pub(crate) fn always(scenario: &Scenario, attack: &Attack) -> Vec<Named> {
    let mut always: Vec<Named> = vec![
        ("SESS-067: whoever is admitted shows a ticket that a member signed", |_, world| {
            keeps(world, Violation::TicketUnsigned)
        }),
        (
            "SESS-066, SESS-068, SESS-069: whoever is admitted shows a ticket for this session and epoch",
            |_, world| keeps(world, Violation::TicketElsewhere),
        ),
        ("SESS-070: whoever is admitted shows a ticket of its own, with its own key", |_, world| {
            keeps(world, Violation::TicketStolen)
        }),
        ("SESS-071: whoever is admitted was granted to the one who let it in", |_, world| {
            keeps(world, Violation::TicketUngranted)
        }),
        ("SESS-072: whoever is admitted shows a ticket in its time", |_, world| {
            keeps(world, Violation::TicketExpired)
        }),
        ("SESS-055: an inviter passes on its coordinator's grant only", |_, world| {
            keeps(world, Violation::GrantUnchecked)
        }),
        ("SESS-083, SESS-084: a member closes an epoch for its coordinator's grant only", |_, world| {
            keeps(world, Violation::CloseUngranted)
        }),
        (
            "SESS-128, SESS-139: an epoch ends by its coordinator's word, or that of one that takes over",
            |_, world| keeps(world, Violation::CommitUnsigned),
        ),
        ("SESS-125: a member goes on only where its own words are counted", |_, world| {
            keeps(world, Violation::Miscounted)
        }),
        ("SESS-003: the session that an invitee is asked into is its creator's", |_, world| {
            keeps(world, Violation::SessionForged)
        }),
        ("SESS-060, SESS-062: a newcomer follows a sound welcome only", |_, world| {
            keeps(world, Violation::WelcomeUnsound)
        }),
        (
            "SESS-020, SESS-023, SESS-108, SESS-112: a message is delivered in its epoch, once, in order, from a member",
            |_, world| keeps(world, Violation::WrongDelivery),
        ),
        ("SESS-085: nobody parts without having asked for it", |_, world| {
            keeps(world, Violation::PartedUnasked)
        }),
        ("SESS-024: a join ends by the word of newcomer and holder", |_, world| {
            keeps(world, Violation::JoinMeddledWith)
        }),
        ("SESS-005: nobody speaks where there is no link", |_, world| keeps(world, Violation::NoSuchLink)),
        ("SESS-051: one grant an epoch", |_, world| keeps(world, Violation::SecondGrant)),
        ("SESS-013: an epoch is the same to all who begin it", |_, world| keeps(world, Violation::TwoEpochs)),
        ("SESS-082, SESS-084: nobody is in a view without a grant in the chain", |_, world| {
            keeps(world, Violation::ChangeWithoutGrant)
        }),
        ("SESS-123: no honest machine is blamed by another", |_, world| keeps(world, Violation::HonestFault)),
        ("SESS-123: honest members do not lose each other", |_, world| {
            keeps(world, Violation::MemberGivenUp)
        }),
        ("SESS-092: an honest member's message reaches every honest member of its epoch", |_, world| {
            keeps(world, Violation::MessageMissing)
        }),
        ("SESS-111: an honest member that acknowledges a message has it", |_, world| {
            keeps(world, Violation::FalseReceipt)
        }),
        ("SESS-171, SESS-173: each message is delivered or fails, once for each member", |_, world| {
            keeps(world, Violation::WrongOutcome) && keeps(world, Violation::NoOutcome)
        }),
        ("SESS-023: honest members with different chains do not take each other's words", |_, world| {
            !world.at_rest || forks_are_silent(world)
        }),
        ("SESS-090: at rest honest members who name each other hold one view", |_, world| {
            at_rest(world, one_view)
        }),
        ("SESS-056, SESS-103: at rest the token is home, and nobody waits for an epoch", |_, world| {
            at_rest(world, token_home)
        }),
        (
            "SESS-041, SESS-076, SESS-097: at rest every honest invitation, join and leave has ended",
            |_, world| at_rest(world, all_ended),
        ),
        (
            "SESS-064, SESS-094, SESS-095: at rest each two honest members of a view have a link",
            |_, world| at_rest(world, full_mesh),
        ),
    ];
    always.push((
        "SESS-153, SESS-192, SESS-194: whoever waits where it is quiet waits for a time that changes something",
        |model, world| !world.is_quiet || time_helps(model, world),
    ));
    if scenario.budget.crashes > 0 {
        always.push((
            "SESS-132, SESS-136: honest members of an epoch of one number are in the same one",
            |_, world| world.attacker.has_power() || one_chain(world),
        ));
    }
    if attack.is_outside() {
        always.push(("SESS-069: nobody comes back, or in, uninvited", |_, world| {
            world.epochs().all(|epoch| corrupt(world).all(|who| !names(epoch, who)))
        }));
    }
    always
}

/// Where some path leads.
pub(crate) fn sometimes(scenario: &Scenario, attack: &Attack) -> Vec<Named> {
    let mut sometimes: Vec<Named> =
        vec![("the attacker has said all that it may", |_, world| world.attacker.sends == 0)];
    if scenario.budget.invitations > 0 {
        sometimes.push(("an honest newcomer comes in all the same", |model, world| {
            let newcomers =
                Who::first(model.scenario().clients()).skip(usize::from(model.scenario().members));
            world.at_rest
                && newcomers
                    .filter(|who| !world.attacker.has(*who))
                    .any(|who| world.client(who).is_some_and(|client| client.epoch().is_some()))
        }));
    }
    if attack.may_be_let_in() {
        sometimes.push(("the attacker's guest comes in by the rules", |model, world| {
            let first = model.scenario().members;
            let mut guests = corrupt(world).filter(|who| who.0 >= first);
            guests.any(|who| world.epochs().any(|epoch| names(epoch, who)))
        }));
    }
    if scenario.budget.crashes > 0 {
        sometimes.extend::<[Named; 2]>([
            ("somebody honest has taken over for the dead coordinator", |_, world| {
                world.at_rest && taken_over(world, false)
            }),
            ("the attacker has been let take over", |_, world| taken_over(world, true)),
        ]);
    }
    if attack.coordinates() && attack.sends > 3 {
        sometimes.push(("two honest members hold different epochs of one number", |_, world| {
            honest_members(world).any(|(_, a)| {
                honest_members(world).any(|(_, b)| a.epoch.number == b.epoch.number && a.hash != b.hash)
            })
        }));
    }
    sometimes
}

/// How a code with which an attack is refused is called in a report.
pub(crate) fn refused_with(code: ErrorCode) -> Option<&'static str> {
    REFUSALS.iter().find(|(refusal, _)| *refusal == code).map(|(_, name)| *name)
}

const REFUSALS: &[(ErrorCode, &str)] = &[
    (ErrorCode::AlreadyMember, "an attack is refused with already-member"),
    (ErrorCode::CommitRefused, "an attack is refused with commit-refused"),
    (ErrorCode::EpochImpossible, "an attack is refused with epoch-impossible"),
    (ErrorCode::Forbidden, "an attack is refused with forbidden"),
    (ErrorCode::Fork, "an attack is refused with fork"),
    (ErrorCode::GrantRefused, "an attack is refused with grant-refused"),
    (ErrorCode::Malformed, "an attack is refused with malformed"),
    (ErrorCode::NoSuchSession, "an attack is refused with no-such-session"),
    (ErrorCode::SessionIdForged, "an attack is refused with session-id-forged"),
    (ErrorCode::TicketEpoch, "an attack is refused with ticket-epoch"),
    (ErrorCode::TicketExpired, "an attack is refused with ticket-expired"),
    (ErrorCode::TicketGrant, "an attack is refused with ticket-grant"),
    (ErrorCode::TicketIssuer, "an attack is refused with ticket-issuer"),
    (ErrorCode::TicketPeer, "an attack is refused with ticket-peer"),
    (ErrorCode::TicketSession, "an attack is refused with ticket-session"),
    (ErrorCode::UnexpectedMessage, "an attack is refused with unexpected-message"),
    (ErrorCode::Deadline, "an attack is refused with deadline"),
];

/// At rest, unless the attacker coordinates: then nothing is promised about where things end up.
fn at_rest(world: &World, condition: fn(&World) -> bool) -> bool {
    !world.at_rest || world.attacker.has_power() || condition(world)
}

fn corrupt(world: &World) -> impl Iterator<Item = Who> {
    world.everyone().map(|(who, _)| who).filter(|who| world.attacker.has(*who))
}

fn honest_members(world: &World) -> impl Iterator<Item = (Who, &antiphon_spec::session::Membership)> {
    world.in_session().filter_map(|(who, _, session)| Some((who, session.membership()?)))
}

/// An honest member that an honest member's view names holds the very same view.
fn one_view(world: &World) -> bool {
    honest_members(world).all(|(_, member)| {
        member.epoch.handles().map(Who::of).filter(|who| !world.attacker.has(*who)).all(|other| {
            let membership = world.client(other).and_then(|client| client.session.as_ref()?.membership());
            membership.is_some_and(|other| other.hash == member.hash && other.epoch == member.epoch)
        })
    })
}

/// Of the honest members, all who are in an epoch of one number are in the same one.
fn one_chain(world: &World) -> bool {
    honest_members(world).all(|(_, one)| {
        honest_members(world)
            .all(|(_, other)| one.epoch.number != other.epoch.number || one.hash == other.hash)
    })
}

/// Whether an honest member's epoch is the take-over of somebody of this kind.
fn taken_over(world: &World, by_attacker: bool) -> bool {
    honest_members(world).any(|(_, member)| {
        matches!(&member.epoch.change, Change::TakeOver(who) if world.attacker.has(Who::of(who)) == by_attacker)
    })
}

/// Whether no timer runs that an orphaned member waits for, or one of those that run leads on when it fires.
fn time_helps(model: &SessionModel, world: &World) -> bool {
    let orphaned = honest_members(world).any(|(who, member)| {
        let coordinator = Who::of(&member.epoch.coordinator);
        coordinator != who && world.attached(who, coordinator).is_none()
    });
    !orphaned
        || world.everyone().any(|(who, client)| {
            let fired = |timer: &Timer| model.after(world, &Step::Timer { who, timer: timer.clone() });
            client.armed.iter().any(|timer| fired(timer) != *world)
        })
}

fn token_home(world: &World) -> bool {
    honest_members(world)
        .all(|(_, member)| member.is_at_rest_without(|handle| world.attacker.has(Who::of(handle))))
}

fn all_ended(world: &World) -> bool {
    let placed = |session: &Session| session.membership().is_some();
    world.everyone().all(|(_, client)| {
        client.inviting == 0 && !client.leaving && client.session.as_ref().is_none_or(placed)
    })
}

fn full_mesh(world: &World) -> bool {
    honest_members(world).all(|(who, member)| {
        let others = member.epoch.handles().map(Who::of);
        others
            .filter(|other| *other != who && !world.attacker.has(*other))
            .all(|other| world.attached(who, other).is_some())
    })
}

/// Members that hold different epochs of one number have a link only as long as neither has said anything.
fn forks_are_silent(world: &World) -> bool {
    honest_members(world).all(|(a, first)| {
        honest_members(world).all(|(b, second)| {
            let forked = first.epoch.number == second.epoch.number && first.hash != second.hash;
            !forked || world.attached(a, b).is_none() || world.monitor.count(first.epoch.number, a) == 0
        })
    })
}
