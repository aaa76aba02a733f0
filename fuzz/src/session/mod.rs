//! The session machine (chapter *Sessions*): clients of one session, and everything that can happen to them.
//!
//! The input says what kind of world it is, and then what happens in it, step by step. What has to hold depends on the
//! world: at rest in a peaceful one everybody agrees; where a member lies, no client is made to panic, to keep without
//! bound or to show its user a message twice.

mod forge;
mod net;

use antiphon_spec::session::{Event, Session};
use arbitrary::{Arbitrary, Unstructured};

use self::{forge::Forgery, net::Net};
use crate::symbolic::member;

/// Clients that take part; the last of them is the one that lies, in a world where one does.
pub(crate) const CLIENTS: u8 = 6;

/// The client that lies.
const LIAR: u8 = CLIENTS - 1;

/// Most operations of one input: enough for six clients to come, talk and go several times.
const OPERATIONS_MAX: usize = 160;

/// What can go wrong in a world, each with all that can go wrong in those before it.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum World {
    /// Nothing.
    Peaceful,
    /// Links break and clients die.
    Lossy,
    /// A client that is never invited shows what it has seen of others, and what it made up.
    Outsider,
    /// A client that may be a member does so.
    Insider,
}

/// Something happens. Clients are numbered modulo [`CLIENTS`].
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Deliver(u8),
    Invite(u8, u8),
    Accept(u8),
    Refuse(u8),
    Leave(u8),
    Say(u8),
    Cut(u8, u8),
    Kill(u8),
    Unreachable,
    Fire(u8),
    Forge(u8, Forgery),
}

/// Plays the input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(world) = World::arbitrary(&mut input) else { return };
    let mut net = Net::new(world);
    for _ in 0..OPERATIONS_MAX {
        match Operation::arbitrary(&mut input) {
            Ok(operation) if !input.is_empty() => operate(&mut net, world, operation),
            _ => break,
        }
    }
    come_to_rest(&mut net, world);
}

fn operate(net: &mut Net, world: World, operation: Operation) {
    match operation {
        Operation::Deliver(pick) => net.step(pick.into()),
        Operation::Invite(from, to) => {
            let invitee = to % CLIENTS;
            if invitee != LIAR || world != World::Outsider {
                net.feed(from % CLIENTS, Event::Invite { invitee: member(invitee).handle });
            }
        }
        Operation::Accept(who) => net.feed(who % CLIENTS, Event::Accept),
        Operation::Refuse(who) => net.feed(who % CLIENTS, Event::Refuse),
        Operation::Leave(who) => net.feed(who % CLIENTS, Event::Leave),
        Operation::Say(who) => net.say(who % CLIENTS),
        Operation::Cut(a, b) if world >= World::Lossy => net.cut(a % CLIENTS, b % CLIENTS),
        Operation::Kill(who) if world >= World::Lossy => net.kill(who % CLIENTS),
        Operation::Unreachable if world >= World::Lossy => net.fail_to_connect(),
        Operation::Fire(pick) if world == World::Insider => {
            net.fire(pick.into());
        }
        Operation::Forge(to, forgery) if world >= World::Outsider => net.forge(LIAR, to % LIAR, &forgery),
        Operation::Cut(..)
        | Operation::Kill(_)
        | Operation::Unreachable
        | Operation::Fire(_)
        | Operation::Forge(..) => {}
    }
}

/// Delivers everything, answers what waits for an answer, lets time pass, and checks what has to hold then.
fn come_to_rest(net: &mut Net, world: World) {
    if world >= World::Outsider {
        // A liar's ticket for an epoch to come is held as long as its link stands, which has to end for a rest.
        net.settle();
        net.kill(LIAR);
    }
    net.settle();
    for who in 0..CLIENTS {
        if net.session(who).is_some_and(Session::awaits_answer) {
            net.feed(who, Event::Refuse);
        }
    }
    net.settle();
    if world == World::Peaceful {
        net.check_nobody_was_refused();
        net.check_views();
    }
    // Time passes: whatever is armed fires, until nothing is.
    while net.fire(0) {
        net.settle();
    }
    if world != World::Insider {
        net.check_views();
    }
    if world == World::Outsider {
        net.check_never_a_member(LIAR);
    }
    net.check_everything_said_is_settled();
    net.check_bounds();
}
