//! Public keys: read strictly, so that one key has one encoding and one hash.

use std::{fmt, sync::Arc};

use antiphon_spec::identity::KeyHash;
use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey},
};

use crate::mutant::{Mutant, active};

/// The signature algorithms of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032): short, fast, deterministic.
    #[default]
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5): for keys in hardware that knows nothing else.
    P256,
}

impl KeyAlgorithm {
    /// What comes before the key in its SubjectPublicKeyInfo (RFC 8410, RFC 5480).
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
            Self::P256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
        }
    }

    /// Bytes of the key itself: a point, for P-256 uncompressed.
    const fn key_length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::P256 => 65,
        }
    }
}

/// The y coordinates, without their sign bit, of the Ed25519 points of small order. Under such a key some signatures
/// verify for messages that nobody signed.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut y = [0; 32];
        y[0] = 1;
        y
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    {
        let mut y = [0xff; 32];
        y[0] = 0xec;
        y[31] = 0x7f;
        y
    },
];

/// Why bytes are no public key of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not the one DER form of an Ed25519 or P-256 public key")]
pub struct InvalidPublicKey;

/// A public key for signatures.
#[derive(Clone)]
pub struct PublicKey {
    der: Arc<[u8]>,
    algorithm: KeyAlgorithm,
    hash: KeyHash,
    verifying: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo, which for each key is one string of bytes.
    ///
    /// # Errors
    /// Another algorithm, other parameters, a compressed point, a P-256 point off the curve, an Ed25519 point of small
    /// order or with a coordinate that is not below the prime, or anything behind the key. Bytes that are no Ed25519 point are a key under which nothing verifies.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidPublicKey> {
        [KeyAlgorithm::Ed25519, KeyAlgorithm::P256]
            .into_iter()
            .find_map(|algorithm| Some((algorithm, der.strip_prefix(algorithm.prefix())?)))
            .ok_or(InvalidPublicKey)
            .and_then(|(algorithm, raw)| Self::from_raw(algorithm, raw))
    }

    pub(super) fn from_raw(algorithm: KeyAlgorithm, raw: &[u8]) -> Result<Self, InvalidPublicKey> {
        if raw.len() != algorithm.key_length() {
            return Err(InvalidPublicKey);
        }
        let verifying = match algorithm {
            KeyAlgorithm::Ed25519
                if (is_above_prime(raw) || is_of_small_order(raw)) && !active(Mutant::WeakKeyAccepted) =>
            {
                return Err(InvalidPublicKey);
            }
            KeyAlgorithm::Ed25519 => ParsedPublicKey::new(&ED25519, raw),
            KeyAlgorithm::P256 if raw.first() != Some(&4) => return Err(InvalidPublicKey),
            KeyAlgorithm::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw),
        };
        let verifying = Arc::new(verifying.map_err(|_| InvalidPublicKey)?);
        let der: Arc<[u8]> = [algorithm.prefix(), raw].concat().into();
        Ok(Self { hash: KeyHash(sha256(&[&der])), der, algorithm, verifying })
    }

    /// The key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The key's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// SHA-256 over the DER form.
    #[must_use]
    pub fn key_hash(&self) -> KeyHash {
        self.hash
    }

    /// Whether `signature` is this key's over `message`, in the form of signed objects.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifying.verify_sig(message, signature).is_ok()
    }
}

/// Whether the y coordinate is not below the field's prime, `0x7fff..ffed`: another form of a key that has one already
/// (RFC 8032, section 5.1.3).
fn is_above_prime(raw: &[u8]) -> bool {
    match raw {
        [first, middle @ .., last] => {
            *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f
        }
        [] | [_] => false,
    }
}

fn is_of_small_order(raw: &[u8]) -> bool {
    SMALL_ORDER.iter().any(|point| match (point.split_last(), raw.split_last()) {
        (Some((point_last, point)), Some((raw_last, raw))) => point == raw && *point_last == raw_last & 0x7f,
        _ => false,
    })
}

/// SHA-256 over the concatenation of the parts.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).field("hash", &self.hash).finish()
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.der.get(self.algorithm.prefix().len()..).unwrap_or_default()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.algorithm {
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            KeyAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}
