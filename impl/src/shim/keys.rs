//! Keys that certificates have proved, as a question says.
//!
//! A [`KeyRing`] learns keys from verified peers alone, and nothing else makes one of these than
//! [`antiphon_protocol::certificate::identify`]. So each key of a question gets a certificate here, under a root that
//! nobody else trusts, and passes that function like the key of any peer.

use std::{collections::BTreeMap, time::Duration};

use antiphon_protocol::{
    certificate::{
        Authority, CertificateRefused, Demand, End, IssueError, Serial, Trust, TrustError, UserIssuer,
        Validity, VerifiedPeer, identify,
    },
    channel::Channel,
    key::{KeyError, KeyPair, PublicKey},
    signed::KeyRing,
};
use antiphon_spec::{
    identity::{InvalidIdentifier, ObjectHandle, ServerName, UserHandle},
    time::Timestamp,
};
use rustls::pki_types::UnixTime;

use super::{BadQuestion, bytes::Hex};

/// When the certificates of this file begin; they are judged a second later.
const BEGINNING: u64 = 1_700_000_000;

/// How long they last.
const LIFETIME: u64 = 24 * 3600;

/// Most keys that are remembered from one question to the next; the vectors have ten.
const REMEMBERED_MAX: usize = 64;

/// Most keys of one question: the members of a full session, and as many newcomers.
const KEYS_MAX: usize = 64;

/// Why there is no one to prove keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvedKeysError {
    /// There is no key.
    #[error("the shim has no key of its own")]
    Key(#[from] KeyError),
    /// There is no certificate.
    #[error("the shim has no certificate of its own")]
    Issue(#[from] IssueError),
    /// There is no root.
    #[error("the shim has no root of its own")]
    Trust(#[from] TrustError),
    /// There is no name.
    #[error("the shim has no name of its own")]
    Name(#[from] InvalidIdentifier),
}

/// Makes verified peers of keys.
#[derive(Debug)]
pub(super) struct ProvedKeys {
    trust: Trust,
    issuer: UserIssuer,
    home: ServerName,
    remembered: BTreeMap<Vec<u8>, VerifiedPeer>,
}

const fn validity() -> Validity {
    Validity { not_before: Timestamp(BEGINNING), not_after: Timestamp(BEGINNING + LIFETIME) }
}

impl ProvedKeys {
    pub(super) fn new() -> Result<Self, ProvedKeysError> {
        let home: ServerName = "shim.invalid".parse()?;
        let root = Authority::create(KeyPair::from_seed(&[0xa1; 32])?, validity(), Serial([1; 16]))?;
        let key = KeyPair::from_seed(&[0xa2; 32])?;
        let certificate = root.issue_user_authority(&home, key.public_key(), validity(), Serial([2; 16]))?;
        let issuer = UserIssuer::load(certificate, key)?;
        Ok(Self { trust: root.trust()?, issuer, home, remembered: BTreeMap::new() })
    }

    /// The ring of a client with the key `own` and links to the holders of `keys`.
    pub(super) fn ring(&mut self, own: KeyPair, keys: &[Hex]) -> Result<KeyRing, BadQuestion> {
        if keys.len() > KEYS_MAX {
            return Err(BadQuestion(format!("at most {KEYS_MAX} keys")));
        }
        let mut ring = KeyRing::new(own, KEYS_MAX);
        for key in keys {
            ring.learn(&self.prove(&key.0)?).map_err(BadQuestion::new)?;
        }
        Ok(ring)
    }

    fn prove(&mut self, der: &[u8]) -> Result<VerifiedPeer, BadQuestion> {
        if let Some(peer) = self.remembered.get(der) {
            return Ok(peer.clone());
        }
        let key = PublicKey::from_der(der).map_err(BadQuestion::new)?;
        let user = UserHandle { id: ObjectHandle([1; 16]), home: self.home.clone() };
        let chain = self.issuer.issue(&user, &key, validity(), Serial([3; 16])).map_err(BadQuestion::new)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(BEGINNING + 1));
        let demand = Demand::new(Channel::ClientClient, End::Accepting);
        let peer = identify(&self.trust, &chain, &demand, now);
        let peer = peer.map_err(|error: CertificateRefused| BadQuestion::new(error))?;
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(der.to_vec(), peer.clone());
        Ok(peer)
    }
}
