//! The coordinator's word that one epoch is over and which one follows.

use serde::{Deserialize, Serialize};

use super::epoch::{Change, EpochHash, EpochNumber, SessionId};
use crate::{message::client_client::SentCount, signed::Claims};

/// What ends an epoch: signed by its coordinator, or, where the coordinator is lost, by the member that takes over.
///
/// Whoever has it can show it to a member that has missed it, and nobody can make one up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// The hash of the epoch that follows.
    pub hash: EpochHash,
    /// Who sent how many chat messages in the epoch that is over, in the order of their handles.
    pub sent: Vec<SentCount>,
    /// The hash of the epoch that is over.
    pub chain: EpochHash,
    /// The number of the epoch that is over.
    pub epoch: EpochNumber,
    /// What makes the epoch that follows.
    pub change: Change,
    /// The session.
    pub session: SessionId,
}

impl Claims for Commitment {
    const CONTEXT: &'static str = "antiphon-commit/1";
}
