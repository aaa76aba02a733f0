//! The session ticket: what a newcomer shows to every member, and the one function that judges it.

use serde::{Deserialize, Serialize};

use super::{
    epoch::{EpochNumber, Nonce, SessionId},
    grant::Grant,
};
use crate::{
    identity::{KeyHash, UserHandle},
    signed::{Claims, Signed},
    time::Timestamp,
};

/// The inviter's word that one newcomer, with one key, may join one session at the end of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The newcomer's key.
    pub key: KeyHash,
    /// The epoch that the join closes.
    pub epoch: EpochNumber,
    /// The coordinator's grant for this very join, held by the issuer.
    pub grant: Signed<Grant>,
    /// Drawn by the issuer for this ticket.
    pub nonce: Nonce,
    /// The member that invited.
    pub issuer: UserHandle,
    /// The session.
    pub session: SessionId,
    /// The one who may join.
    pub newcomer: UserHandle,
    /// The last second at which the ticket is good, since 1970-01-01T00:00:00Z.
    #[serde(rename = "not-after")]
    pub not_after: Timestamp,
}

impl Claims for Ticket {
    const CONTEXT: &'static str = "antiphon-ticket/1";
}
