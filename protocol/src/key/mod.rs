//! Keys: Ed25519 and P-256 (chapter *Certificates*), one pair for TLS, certificates and signed objects alike.
//!
//! A secret key lives inside the cryptographic library, which wipes it; it leaves only as PKCS #8, into memory that
//! is wiped too. Nothing prints it.

mod public;

use std::{fmt, sync::Arc};

use antiphon_spec::identity::KeyHash;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _,
    },
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

pub(crate) use public::sha256;
pub use public::{InvalidPublicKey, KeyAlgorithm, PublicKey};

/// Why a key pair cannot be made, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a PEM file with a `PRIVATE KEY`.
    #[error("not a PEM file that begins with -----BEGIN PRIVATE KEY-----")]
    NotPem,
    /// The key is not an unencrypted Ed25519 or P-256 key in PKCS #8.
    #[error("not an unencrypted Ed25519 or P-256 key in PKCS #8")]
    NotAccepted,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// A secret key and its public key.
#[derive(Clone)]
pub struct KeyPair {
    secret: Arc<Secret>,
    public: PublicKey,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    /// The same key twice: certificates carry DER signatures, signed objects carry plain ones (RFC 9053, section 2.1).
    P256 {
        der: EcdsaKeyPair,
        plain: EcdsaKeyPair,
    },
}

impl KeyPair {
    /// A fresh key pair, from the operating system's entropy.
    ///
    /// # Errors
    /// The system has no entropy to give.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let secret = match algorithm {
            KeyAlgorithm::Ed25519 => {
                Secret::Ed25519(Ed25519KeyPair::generate().map_err(|_| KeyError::Library)?)
            }
            KeyAlgorithm::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
                let document = pair.and_then(|pair| pair.to_pkcs8v1()).map_err(|_| KeyError::Library)?;
                Secret::p256(document.as_ref())?
            }
        };
        Self::new(secret)
    }

    /// The Ed25519 key pair that belongs to a seed (RFC 8032, section 5.1.5): for vectors and reproducible tests.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Library)?;
        Self::new(Secret::Ed25519(pair))
    }

    /// Reads an unencrypted PKCS #8 key (RFC 5958).
    ///
    /// # Errors
    /// The bytes are anything else, or the key is of another algorithm.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            return Self::new(Secret::Ed25519(pair));
        }
        Self::new(Secret::p256(pkcs8)?)
    }

    /// Reads an unencrypted PKCS #8 key from PEM (RFC 7468).
    ///
    /// # Errors
    /// As for [`KeyPair::from_pkcs8_der`], or the text is not PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPem)?;
        Self::from_pkcs8_der(key.secret_pkcs8_der())
    }

    /// The key as PEM with PKCS #8 inside; wiped when dropped.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pkcs8 = self.to_pkcs8_der()?;
        let block = pem::Pem::new("PRIVATE KEY", pkcs8.as_slice());
        let text = Zeroizing::new(crate::certificate::encode_pem(&block));
        // The block keeps a copy of the key, which is wiped as well.
        drop(Zeroizing::new(block.into_contents()));
        Ok(text)
    }

    /// The key as PKCS #8; wiped when dropped.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &*self.secret {
            Secret::Ed25519(pair) => pair.to_pkcs8v1(),
            Secret::P256 { der, .. } => der.to_pkcs8v1(),
        };
        Ok(Zeroizing::new(document.map_err(|_| KeyError::Library)?.as_ref().to_vec()))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_der(&self) -> &[u8] {
        self.public.as_der()
    }

    /// The hash of the public key.
    #[must_use]
    pub fn key_hash(&self) -> KeyHash {
        self.public.key_hash()
    }

    /// Signs for a signed object: an Ed25519 signature, or the two 32-byte numbers of an ECDSA signature.
    pub(crate) fn sign_plain(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &*self.secret {
            Secret::Ed25519(pair) => pair.try_sign(message),
            Secret::P256 { plain, .. } => plain.sign(&SystemRandom::new(), message),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyError::Library)
    }

    /// Signs for a certificate, where an ECDSA signature is a DER sequence.
    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &*self.secret {
            Secret::Ed25519(_) => self.sign_plain(message),
            Secret::P256 { der, .. } => der
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Library),
        }
    }

    /// The key in the form that TLS takes.
    pub(crate) fn to_tls(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        let pkcs8 = self.to_pkcs8_der()?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| KeyError::Library)
    }

    fn new(secret: Secret) -> Result<Self, KeyError> {
        let public = match &secret {
            Secret::Ed25519(pair) => PublicKey::from_raw(KeyAlgorithm::Ed25519, pair.public_key().as_ref()),
            Secret::P256 { der, .. } => PublicKey::from_raw(KeyAlgorithm::P256, der.public_key().as_ref()),
        };
        Ok(Self { secret: Arc::new(secret), public: public.map_err(|_| KeyError::NotAccepted)? })
    }
}

impl Secret {
    fn p256(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let read = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(|_| KeyError::NotAccepted);
        Ok(Self::P256 {
            der: read(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            plain: read(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).field("secret", &"[redacted]").finish()
    }
}

impl rcgen::PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        rcgen::PublicKeyData::algorithm(&self.public)
    }
}

impl rcgen::SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_der(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests;
