//! The invitation token: a grant that the coordinator signs for one change in one epoch.

use serde::{Deserialize, Serialize};

use super::epoch::{Change, EpochHash, EpochNumber, SessionId};
use crate::{identity::UserHandle, signed::Claims, time::Timestamp};

/// The token, lent to its holder: leave to make one change to one epoch.
///
/// An epoch is closed by the first grant that was given in it, so a coordinator grants once per epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The hash of the epoch that the grant was given in.
    pub chain: EpochHash,
    /// The number of that epoch.
    pub epoch: EpochNumber,
    /// What the holder may change.
    pub change: Change,
    /// The member that holds the token.
    pub holder: UserHandle,
    /// The session.
    pub session: SessionId,
    /// The end of the lease, in seconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "not-after")]
    pub not_after: Timestamp,
}

impl Claims for Grant {
    const CONTEXT: &'static str = "antiphon-grant/1";
}
