//! Whom a chain of certificates proves: [`antiphon_protocol::certificate::identify`], and nothing beside it.

use std::time::Duration;

use antiphon_protocol::certificate::{self, Demand, End, Trust, identity_name};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, KeyHash},
};
use rustls::pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer, BadQuestion, Shim,
    bytes::{Hex, digits},
    codec::ChannelName,
    read,
};

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EndName {
    Dialling,
    Accepting,
}

#[derive(Debug, Deserialize)]
struct Identify {
    channel: ChannelName,
    /// The peer's end.
    end: EndName,
    root: Hex,
    chain: Vec<Hex>,
    now: u64,
    /// Whom was dialled.
    identity: Option<String>,
    key: Option<Hex>,
}

pub(super) fn identify(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let Identify { channel, end, root, chain, now, identity, key } = read(question)?;
    let trust = Trust::from_der(&CertificateDer::from(root.0)).map_err(BadQuestion::new)?;
    let end = match end {
        EndName::Dialling => End::Dialling,
        EndName::Accepting => End::Accepting,
    };
    let mut demand = Demand::new(channel.into(), end);
    if let Some(identity) = identity {
        demand = demand.identity(dialled(&identity)?);
    }
    if let Some(key) = key {
        demand = demand.key(KeyHash(key.array()?));
    }
    let chain: Vec<CertificateDer<'_>> = chain.into_iter().map(|certificate| certificate.0.into()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    Ok(match certificate::identify(&trust, &chain, &demand, now) {
        Ok(peer) => Answer::accept([
            ("identity", identity_name(peer.identity()).into()),
            ("key", digits(&peer.key().key_hash().0)),
        ]),
        Err(refused) => Answer::Reject(ErrorCode::CertificateRefused.as_str(), Some(refused.rule.reason())),
    })
}

/// Whom the question says to have been dialled, in the notation of [`identity_name`].
fn dialled(text: &str) -> Result<Identity, BadQuestion> {
    let identity = match text.split_once(':').and_then(|(_, kind)| kind.split_once(':')) {
        Some(("user", handle)) => handle.parse().map(Identity::User),
        Some(("node", name)) => name.parse().map(Identity::DirectoryNode),
        Some(_) | None => text.parse().map(Identity::Server),
    };
    identity.map_err(BadQuestion::new)
}
