//! What a node keeps under a handle: all of it has to be durable.

use std::collections::BTreeMap;

use crate::{
    identity::{ContactAddress, ServerName},
    limits::LOCATION_LEASE,
    message::{
        location::{ContactRecord, ForwardingPointer, PointerNumber},
        server_server::LoginEpoch,
    },
    mutant::{Mutant, active},
    time::Timestamp,
};

/// Who has an entry, by the name in its certificate. A server and a node may have the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A server: the entry is a contact record.
    Server(ServerName),
    /// A child: the entry is a forwarding pointer.
    Node(ServerName),
}

/// A contact record or a forwarding pointer, with its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The epoch of the record; of a pointer, the greatest below.
    pub epoch: LoginEpoch,
    /// Where the server or the child can be reached.
    pub address: ContactAddress,
    /// Which pointer of the child it is; 0 for a contact record.
    pub number: PointerNumber,
    /// From when on it counts for nothing.
    pub lease_end: Timestamp,
}

/// The node's own pointer, at its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Above {
    /// Its epoch.
    pub epoch: LoginEpoch,
    /// Which one it is.
    pub number: PointerNumber,
    /// When the parent was asked for it last.
    pub asked_at: Timestamp,
    /// When its lease ends; nothing, as long as the parent hasn't said that it has it, or when it may have none any more.
    pub lease_end: Option<Timestamp>,
}

/// A pointer that was forgotten for something newer, and whose child has to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Superseded {
    /// What the child has to forget is older than this.
    pub epoch: LoginEpoch,
    /// Where the child can be reached.
    pub address: ContactAddress,
    /// When the child forgets by itself.
    pub lease_end: Timestamp,
}

/// All that a node keeps under a handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Contact records and forwarding pointers.
    pub entries: BTreeMap<Holder, Entry>,
    /// The pointer that the parent has, or may have.
    pub above: Option<Above>,
    /// The children that have to forget what they have.
    pub superseded: BTreeMap<ServerName, Superseded>,
}

impl Entry {
    /// Of a contact record.
    #[must_use]
    pub const fn of_record(record: &ContactRecord, lease_end: Timestamp) -> Self {
        Self { epoch: record.epoch, address: record.address, number: PointerNumber(0), lease_end }
    }

    /// Of a forwarding pointer.
    #[must_use]
    pub const fn of_pointer(pointer: &ForwardingPointer, lease_end: Timestamp) -> Self {
        Self { epoch: pointer.epoch, address: pointer.address, number: pointer.number, lease_end }
    }

    /// Whether it is the entry of just this record (`LOC-009`).
    pub(super) fn is_of(&self, record: &ContactRecord) -> bool {
        active(Mutant::DeleteInexact) || (self.epoch == record.epoch && self.address == record.address)
    }
}

impl Above {
    /// Whether the parent can have it no more, whatever it has heard (`LOC-006`).
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.asked_at.after(LOCATION_LEASE) <= now
    }
}

impl Kept {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.above.is_none() && self.superseded.is_empty()
    }

    /// The entries whose lease lasts.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = (&Holder, &Entry)> {
        let lasts =
            move |(_, entry): &(&Holder, &Entry)| now < entry.lease_end || active(Mutant::EndedRecordTold);
        self.entries.iter().filter(lasts)
    }

    /// The greatest epoch of an entry whose lease lasts.
    pub(super) fn greatest(&self, now: Timestamp) -> Option<LoginEpoch> {
        self.live(now).map(|(_, entry)| entry.epoch).max()
    }
}
