//! A login that stands: its client, its profile, and the two leases that it lives on.
//!
//! The home server lends the login epoch, the location service the contact record. One timer serves both: each lease
//! counts down to when it is to be renewed, and the timer is armed for the one that is due first.

use std::time::Duration;

use super::{Action, Client, ConnectionNumber, refusal};
use crate::{
    error_code::ErrorCode,
    identity::ContactAddress,
    message::{
        client_server::{FromServer, PreferencesSet, Replaced},
        common::RequestId,
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    mutant::{Mutant, active},
    policy::Preferences,
};

/// How long to wait before a failed renewal is tried again: often enough for a lease to survive a short outage.
pub const RENEWAL_RETRY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Online {
    pub(super) connection: ConnectionNumber,
    pub(super) address: ContactAddress,
    pub(super) epoch: LoginEpoch,
    pub(super) profile: Profile,
    pub(super) storing: Option<Storing>,
    leases: Leases,
    renewal: Renewal,
}

/// A change of the preferences whose answer is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Storing {
    pub(super) id: RequestId,
    pub(super) messaging: Preferences,
}

/// How long until each lease is to be renewed; nothing for one that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Leases {
    epoch: Duration,
    record: Duration,
}

/// Which answer a renewal waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Renewal {
    /// None: the timer runs.
    Resting,
    /// The home server's.
    AwaitingHome,
    /// The location service's.
    AwaitingLocation,
}

impl Online {
    /// Begins a login with the leases that were just given to its login epoch and its record.
    pub(super) fn begin(
        client: &Client,
        epoch: LoginEpoch,
        profile: Profile,
        leases: (Duration, Duration),
        out: &mut Vec<Action>,
    ) -> Self {
        let mut online = Self {
            connection: client.connection,
            address: client.address,
            epoch,
            profile,
            storing: None,
            leases: Leases { epoch: leases.0 / 2, record: leases.1 / 2 },
            renewal: Renewal::Resting,
        };
        online.arm(out);
        online
    }

    /// Whether a request is open.
    pub(super) fn is_asking(&self) -> bool {
        self.storing.is_some() || self.renewal != Renewal::Resting
    }

    /// The timer has run out: renews what is due, the login epoch first, for a login that is over needs no record.
    pub(super) fn renew(&mut self, out: &mut Vec<Action>) {
        if self.renewal != Renewal::Resting {
            return;
        }
        if self.leases.epoch.is_zero() && !active(Mutant::LoginNotRenewed) {
            self.renewal = Renewal::AwaitingHome;
            out.push(Action::Renew(self.epoch));
        } else {
            self.renew_record(out);
        }
    }

    /// The home server has answered, or has not: the lease of the epoch, if there is a new one.
    pub(super) fn home_answered(&mut self, lease: Option<Duration>, out: &mut Vec<Action>) {
        if self.renewal == Renewal::AwaitingHome {
            self.leases.epoch = lease.map_or(RENEWAL_RETRY, |lease| lease / 2);
            self.renew_record(out);
        }
    }

    /// The location service has answered, or has not: the lease of the record, if there is a new one.
    pub(super) fn location_answered(&mut self, lease: Option<Duration>, out: &mut Vec<Action>) {
        if self.renewal == Renewal::AwaitingLocation {
            self.leases.record = lease.map_or(RENEWAL_RETRY, |lease| lease / 2);
            self.arm(out);
        }
    }

    /// Whatever was being renewed has been answered, and it does not matter how.
    pub(super) fn stop_renewing(&mut self) {
        self.renewal = Renewal::Resting;
    }

    fn renew_record(&mut self, out: &mut Vec<Action>) {
        if self.leases.record.is_zero() {
            self.renewal = Renewal::AwaitingLocation;
            out.push(Action::Insert(self.epoch));
        } else {
            self.arm(out);
        }
    }

    fn arm(&mut self, out: &mut Vec<Action>) {
        let Leases { epoch, record } = self.leases;
        let after = if active(Mutant::LoginNotRenewed) { record } else { epoch.min(record) };
        self.leases = Leases { epoch: epoch.saturating_sub(after), record: record.saturating_sub(after) };
        self.renewal = Renewal::Resting;
        out.push(Action::ArmRenewal(after));
    }

    pub(super) fn tell_replaced(&self, out: &mut Vec<Action>) {
        let message = FromServer::Replaced(Replaced { epoch: self.epoch });
        out.push(Action::Send { connection: self.connection, message });
        out.push(Action::Close(self.connection));
    }

    /// Answers the open change, and takes over what is durable now.
    pub(super) fn answer_store(&mut self, result: Result<ProfileVersion, ErrorCode>, out: &mut Vec<Action>) {
        let Some(Storing { id, messaging }) = self.storing.take() else { return };
        let connection = self.connection;
        match result {
            Ok(version) => {
                self.profile = Profile { version, messaging };
                let message = FromServer::PreferencesSet(PreferencesSet { id, version });
                out.push(Action::Send { connection, message });
            }
            Err(code) => out.push(refusal(connection, id, code)),
        }
    }
}
