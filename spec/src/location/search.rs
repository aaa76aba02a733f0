//! A search under a handle: what the node has itself, then below, then above.

use std::collections::BTreeSet;

use super::{Action, Answer, Contacts, Holder, RequestNumber, Terms, contacts::refuse};
use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName},
    limits::{CONTACT_RECORDS_MAX, LOCATION_CHILDREN_ASKED_MAX, LOCATION_HOPS_MAX},
    message::location::{ContactRecord, PointerNumber},
    mutant::{Mutant, active},
};

/// A search that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Search {
    number: RequestNumber,
    /// The parent asks, so there is no way but down.
    is_from_above: bool,
    hops: u64,
    /// The pointers that were followed.
    followed: BTreeSet<(ServerName, PointerNumber)>,
    found: Vec<ContactRecord>,
    above: Parent,
    /// Somebody who might know more couldn't be asked.
    has_failed: bool,
}

/// Whether the parent was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Parent {
    NotAsked,
    Asked,
    Unreachable,
}

impl Search {
    pub(super) fn new(number: RequestNumber, is_from_above: bool, hops: u64) -> Self {
        let (followed, found) = (BTreeSet::new(), Vec::new());
        Self { number, is_from_above, hops, followed, found, above: Parent::NotAsked, has_failed: false }
    }
}

/// Where to look next.
enum Next {
    Here(Vec<ContactRecord>),
    Below(ServerName, PointerNumber, ContactAddress),
    Nowhere,
}

impl Contacts {
    /// Begins a search, or goes on with it.
    pub(super) fn search(&mut self, mut search: Search, terms: Terms, out: &mut Vec<Action>) {
        let number = search.number;
        if search.hops > LOCATION_HOPS_MAX {
            return refuse(number, ErrorCode::LimitReached, out);
        }
        let hops = search.hops.saturating_add(1);
        match self.next_place(&search, terms) {
            Next::Here(records) => search.found.extend(records),
            Next::Below(node, pointer, address) => {
                search.followed.insert((node.clone(), pointer));
                self.searches.push(search);
                return out.push(Action::FindBelow { number, node, address, hops });
            }
            Next::Nowhere => {
                let is_upward = terms.has_parent && !search.is_from_above && search.above == Parent::NotAsked;
                if search.found.is_empty() && is_upward && !active(Mutant::SearchStaysBelow) {
                    search.above = Parent::Asked;
                    self.searches.push(search);
                    return out.push(Action::FindAbove { number, hops });
                }
            }
        }
        let answer = if search.found.is_empty() && search.has_failed {
            Answer::Refused(ErrorCode::LocationUnreachable)
        } else {
            Answer::Found(self.in_order(search.found))
        };
        out.push(Action::Answer { number, answer });
    }

    /// A child or the parent has searched.
    pub(super) fn searched(
        &mut self,
        number: RequestNumber,
        found: Result<Vec<ContactRecord>, ErrorCode>,
        terms: Terms,
        out: &mut Vec<Action>,
    ) {
        let Some(at) = self.searches.iter().position(|search| search.number == number) else { return };
        let mut search = self.searches.remove(at);
        match (search.above, found) {
            (Parent::Asked, Ok(records)) => {
                let is_unsure = records.is_empty() && search.has_failed;
                let answer = if is_unsure {
                    Answer::Refused(ErrorCode::LocationUnreachable)
                } else {
                    Answer::Found(self.in_order(records))
                };
                return out.push(Action::Answer { number, answer });
            }
            // What the node has itself is better than nothing (LOC-040).
            (Parent::Asked, Err(_)) => (search.above, search.has_failed) = (Parent::Unreachable, true),
            (Parent::NotAsked | Parent::Unreachable, Ok(records)) => search.found.extend(records),
            (Parent::NotAsked | Parent::Unreachable, Err(_)) => search.has_failed = true,
        }
        self.search(search, terms, out);
    }

    /// Looks at what stands now, not at what stood when the search began: what has moved meanwhile is found where it is
    /// (`LOC-035`).
    fn next_place(&self, search: &Search, terms: Terms) -> Next {
        let Some(greatest) = self.kept.greatest(terms.now) else { return Next::Nowhere };
        let may_tell = search.is_from_above
            || search.above == Parent::Unreachable
            || self.is_confirmed(greatest, terms)
            || active(Mutant::UnconfirmedTold);
        let is_over = search.followed.len() >= LOCATION_CHILDREN_ASKED_MAX
            || search.found.len() >= CONTACT_RECORDS_MAX
            || (active(Mutant::SearchNotRepeated) && !search.followed.is_empty());
        if !may_tell || is_over {
            return Next::Nowhere;
        }
        let live =
            || self.kept.live(terms.now).filter(|(_, entry)| self.is_shared || entry.epoch == greatest);
        let records: Vec<ContactRecord> = live()
            .filter_map(|(holder, entry)| match holder {
                Holder::Server(server) => {
                    Some(ContactRecord { epoch: entry.epoch, server: server.clone(), address: entry.address })
                }
                Holder::Node(_) => None,
            })
            .collect();
        if !records.is_empty() {
            return Next::Here(records);
        }
        live()
            .find_map(|(holder, entry)| match holder {
                Holder::Node(node) if !search.followed.contains(&(node.clone(), entry.number)) => {
                    Some(Next::Below(node.clone(), entry.number, entry.address))
                }
                Holder::Node(_) | Holder::Server(_) => None,
            })
            .unwrap_or(Next::Nowhere)
    }

    /// As the answer has them (`LOC-011`).
    fn in_order(&self, mut records: Vec<ContactRecord>) -> Vec<ContactRecord> {
        records.sort_by(|a, b| b.epoch.cmp(&a.epoch).then_with(|| a.server.cmp(&b.server)));
        records.dedup();
        if !self.is_shared {
            let greatest = records.first().map(|record| record.epoch);
            records.retain(|record| Some(record.epoch) == greatest);
        }
        records.truncate(CONTACT_RECORDS_MAX);
        records
    }
}
