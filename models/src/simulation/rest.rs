//! The oracle of the end: what holds when nothing is left to happen, whatever went wrong before.
//!
//! Those who are linked are one part. Before it, lost links may have made several parts of a session, or ended it.

use std::collections::BTreeSet;

use antiphon_spec::session::{Epoch, Session};

use super::{oracle::Property, reached::Place, run::Run};
use crate::{cast::Who, link::Side};

/// Judges a run that is over.
pub(crate) fn judge(run: &mut Run) {
    if let Some((property, detail)) = waiting(run).or_else(|| parts_agree(run)) {
        run.oracle.blame(property, detail);
    }
    for part in parts(run) {
        for &speaker in &part {
            for &listener in part.iter().filter(|listener| **listener != speaker) {
                let (speaker, listener) = ((speaker, run.stay(speaker)), (listener, run.stay(listener)));
                run.oracle.check_heard(speaker, listener);
            }
        }
        if part.len() > 1 {
            run.reach(Place::SessionAtTheEnd);
        }
    }
    if parts(run).iter().filter(|part| part.len() > 1).count() > 1 {
        run.reach(Place::TwoPartsAtTheEnd);
    }
}

type Fault = (Property, String);

/// The first who waits for something that does not come any more.
fn waiting(run: &Run) -> Option<Fault> {
    run.everyone().find_map(|(who, client)| {
        let unfinished = |what: &str| Some((Property::Unfinished, format!("{who} {what}")));
        if client.user.is_leaving {
            return unfinished("wants to leave and is not let go");
        }
        if let Some(invitee) = client.user.inviting.keys().next() {
            return unfinished(&format!("does not hear what became of its invitation of {invitee}"));
        }
        if !client.timers.is_empty() || !client.dials.is_empty() {
            return unfinished("has timers or dials that nobody knows of");
        }
        if run.oracle.is_open(who) {
            return unfinished("does not know what became of what it said");
        }
        let session = client.session.as_ref()?;
        if session.membership().is_none() {
            return unfinished("is on the way in or out for ever");
        }
        if !is_at_rest(session) {
            return Some((Property::Coordinator, format!("{who} waits for an answer for ever")));
        }
        None
    })
}

fn is_at_rest(session: &Session) -> bool {
    session.membership().is_none_or(|member| member.is_at_rest())
}

/// Those who are linked, directly or through others, each part ascending.
fn parts(run: &Run) -> Vec<Vec<Who>> {
    let mut left: BTreeSet<Who> =
        run.everyone().filter(|(_, client)| client.epoch().is_some()).map(|(who, _)| who).collect();
    let mut parts = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut part = BTreeSet::from([first]);
        let mut fresh = vec![first];
        while let Some(who) = fresh.pop() {
            for &peer in run.client(who).into_iter().flat_map(|client| client.links.keys()) {
                if left.remove(&peer) {
                    part.insert(peer);
                    fresh.push(peer);
                }
            }
        }
        parts.push(part.into_iter().collect());
    }
    parts
}

fn epoch(run: &Run, who: Who) -> Option<&Epoch> {
    run.client(who)?.epoch()
}

/// In each part all hold one epoch that names just them, a coordinator among them, and a full mesh of links.
fn parts_agree(run: &Run) -> Option<Fault> {
    let mut pairs = 0;
    for part in parts(run) {
        let first = *part.first()?;
        let view = epoch(run, first)?;
        if let Some(other) = part.iter().find(|who| epoch(run, **who) != Some(view)) {
            return Some((
                Property::Views,
                format!("{first} and {other} are in one part and hold two views"),
            ));
        }
        let named: Vec<Who> = view.handles().map(Who::of).collect();
        if named != part {
            return Some((Property::Views, format!("{first} holds the view of {named:?} with {part:?}")));
        }
        if !part.contains(&Who::of(&view.coordinator)) {
            return Some((Property::Coordinator, format!("{part:?} have no coordinator")));
        }
        pairs += part.len() * (part.len() - 1) / 2;
    }
    let links = run.network.links().count();
    let between_members = run.network.links().all(|(id, link)| {
        [Side::Dialler, Side::Acceptor].into_iter().all(|side| {
            run.client(link.client(side))
                .is_some_and(|client| client.links.get(&link.peer(side)) == Some(&id))
        })
    });
    if links != pairs || !between_members {
        return Some((Property::Mesh, format!("{links} links, and {pairs} pairs of members")));
    }
    None
}
