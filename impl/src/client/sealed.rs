//! A secret key under a passphrase: PEM with an `EncryptedPrivateKeyInfo` of PKCS #8 (RFC 5958) inside, by PBES2 with scrypt
//! and AES-256-CBC (RFC 8018, RFC 7914). Other programs, like `openssl pkey`, read it.
//!
//! The form keeps a key secret and does not show that a file was changed: what is in it then is another key, for which the
//! user's certificate is not, as the client says when it starts.

use std::{fmt, fs, io::Read as _, path::Path};

use pkcs8::{
    EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo, SecretDocument,
    der::pem::PemLabel as _,
    pkcs5::{EncryptionScheme, pbes2, scrypt},
};
use zeroize::Zeroizing;

use crate::net::{NoEntropy, entropy};

/// Most bytes of a passphrase.
const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// Fewest characters of a passphrase that is given to a key: shorter ones are guessed, whatever a guess costs.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// What one guess costs: 16 MiB, five times over. More memory at once is refused by other programs that read such keys.
const COST_LOG2: u8 = 14;
const BLOCK_SIZE: u32 = 8;
const PARALLELIZATION: u32 = 5;

/// The most memory that opening a key may take.
const SCRYPT_BYTES_MAX: u64 = 1 << 30;

/// The most work that opening a key may take, in blocks of scrypt: some seconds.
const SCRYPT_BLOCKS_MAX: u64 = 1 << 26;

/// The most work that opening a key of another program may take: some seconds.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// What keeps a key secret from whoever has its file.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Why a key is not opened or sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The passphrase is another one, or the file was changed.
    #[error("the passphrase does not open this key")]
    Wrong,
    /// The file is no sealed key of a kind that is known.
    #[error("this is no PKCS #8 key under a passphrase, with PBES2 and AES")]
    Unknown,
    /// Opening the key would take more time or memory than a person waits for.
    #[error("opening this key would take too much time or memory")]
    Costly,
    /// A passphrase is empty, too long, or too short to be given to a key.
    #[error(
        "a passphrase has {PASSPHRASE_CHARACTERS_MIN} characters or more, and at most {PASSPHRASE_BYTES_MAX} bytes"
    )]
    Unfit,
    /// The file with the passphrase cannot be read.
    #[error("the passphrase cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The system has no entropy to give.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The key cannot be sealed.
    #[error("the key cannot be sealed: {0}")]
    Failed(pkcs8::Error),
}

impl Passphrase {
    /// A passphrase that was typed.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn new(text: impl Into<String>) -> Result<Self, SealError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() || text.len() > PASSPHRASE_BYTES_MAX {
            return Err(SealError::Unfit);
        }
        Ok(Self(text))
    }

    /// The first line of a file, which may be a pipe such as `/dev/fd/3`.
    ///
    /// # Errors
    /// The file cannot be read, or its first line is no passphrase.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let mut text = Zeroizing::new(String::new());
        let most = u64::try_from(PASSPHRASE_BYTES_MAX + 2).unwrap_or(u64::MAX);
        fs::File::open(path)?.take(most).read_to_string(&mut text)?;
        Self::new(text.lines().next().unwrap_or_default())
    }

    /// Whether two are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether it may be given to a key.
    ///
    /// # Errors
    /// It is too short.
    pub fn check(&self) -> Result<(), SealError> {
        if self.0.chars().count() < PASSPHRASE_CHARACTERS_MIN {
            return Err(SealError::Unfit);
        }
        Ok(())
    }
}

/// Whether a text is a key under a passphrase.
#[must_use]
pub(crate) fn is_sealed(pem: &str) -> bool {
    pem.trim_start().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Puts a key, PEM with PKCS #8 inside, under a passphrase.
///
/// # Errors
/// The text is no key, or there is no entropy.
pub(crate) fn seal(pem: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, SealError> {
    let (_, key) = SecretDocument::from_pem(pem).map_err(|_| SealError::Unknown)?;
    let key: PrivateKeyInfo<'_> = key.decode_msg().map_err(|_| SealError::Unknown)?;
    let (salt, nonce) = (entropy::<16>()?, entropy::<16>()?);
    let failed = |error: pkcs8::pkcs5::Error| SealError::Failed(error.into());
    let cost = scrypt::Params::new(COST_LOG2, BLOCK_SIZE, PARALLELIZATION, 32);
    let cost = cost.map_err(|_| failed(pkcs8::pkcs5::Error::EncryptFailed))?;
    let parameters = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &nonce).map_err(failed)?;
    let sealed = key.encrypt_with_params(parameters, &*passphrase.0).map_err(SealError::Failed)?;
    let text = sealed.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF);
    text.map_err(|error| SealError::Failed(error.into()))
}

/// Opens a key that was sealed, by this program or another one: PEM with PKCS #8 inside.
///
/// # Errors
/// See [`SealError`].
pub(crate) fn open(pem: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, SealError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| SealError::Unknown)?;
    EncryptedPrivateKeyInfo::validate_pem_label(label).map_err(|_| SealError::Unknown)?;
    let sealed: EncryptedPrivateKeyInfo<'_> = document.decode_msg().map_err(|_| SealError::Unknown)?;
    check_cost(&sealed.encryption_algorithm)?;
    let key = sealed.decrypt(&*passphrase.0).map_err(|_| SealError::Wrong)?;
    // What comes out is random where the passphrase is wrong and the padding fits by chance.
    key.decode_msg::<PrivateKeyInfo<'_>>().map_err(|_| SealError::Wrong)?;
    key.to_pem(PrivateKeyInfo::PEM_LABEL, LineEnding::LF).map_err(|_| SealError::Wrong)
}

/// A file says itself how much work it is to open: whoever made it may mean harm.
fn check_cost(scheme: &EncryptionScheme<'_>) -> Result<(), SealError> {
    let parameters = scheme.pbes2().ok_or(SealError::Unknown)?;
    let is_fair = match &parameters.kdf {
        pbes2::Kdf::Scrypt(cost) => {
            let memory = cost.cost_parameter.saturating_mul(u64::from(cost.block_size));
            let blocks = memory.saturating_mul(u64::from(cost.parallelization));
            memory.saturating_mul(128) <= SCRYPT_BYTES_MAX && blocks <= SCRYPT_BLOCKS_MAX
        }
        pbes2::Kdf::Pbkdf2(cost) => cost.iteration_count <= PBKDF2_ITERATIONS_MAX,
        _ => return Err(SealError::Unknown),
    };
    if is_fair { Ok(()) } else { Err(SealError::Costly) }
}

#[cfg(test)]
mod tests {
    use antiphon_protocol::key::{KeyAlgorithm, KeyPair};

    use super::*;

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse battery").unwrap()
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_alone() {
        for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::P256] {
            let key = KeyPair::generate(algorithm).unwrap();
            let sealed = seal(&key.to_pem().unwrap(), &passphrase()).unwrap();
            assert!(is_sealed(&sealed));
            let opened = KeyPair::from_pem(&open(&sealed, &passphrase()).unwrap()).unwrap();
            assert_eq!(opened.key_hash(), key.key_hash());
            let other = Passphrase::new("correct horse batterz").unwrap();
            assert!(matches!(open(&sealed, &other), Err(SealError::Wrong)));
            assert_ne!(
                *sealed,
                *seal(&key.to_pem().unwrap(), &passphrase()).unwrap(),
                "each has its own salt"
            );
        }
    }

    #[test]
    fn a_file_that_was_changed_is_refused_or_holds_another_key() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let sealed = seal(&key.to_pem().unwrap(), &passphrase()).unwrap();
        let (_, document) = SecretDocument::from_pem(&sealed).unwrap();
        let good = document.as_bytes();
        // Behind the parameters stands what is encrypted: the key itself is in it.
        let parameters = good.len() - 64;
        let mut others = 0;
        for at in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            let Ok(changed) = SecretDocument::try_from(bytes) else { continue };
            let text = changed.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF).unwrap();
            let opened = open(&text, &passphrase()).ok().and_then(|text| KeyPair::from_pem(&text).ok());
            if let Some(opened) = opened {
                assert!(at >= parameters || opened.key_hash() == key.key_hash(), "byte {at}");
                others += usize::from(opened.key_hash() != key.key_hash());
            }
        }
        assert!(others < 64, "{others}");
        for length in (0..sealed.len()).step_by(11) {
            assert!(matches!(open(&sealed[..length], &passphrase()), Err(SealError::Unknown)), "{length}");
        }
    }

    #[test]
    fn a_file_that_costs_too_much_is_not_opened() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let pem = key.to_pem().unwrap();
        let (_, plain) = SecretDocument::from_pem(&pem).unwrap();
        let plain: PrivateKeyInfo<'_> = plain.decode_msg().unwrap();
        let cheap = pbes2::Parameters::pbkdf2_sha256_aes256cbc(2, &[1; 8], &[2; 16]).unwrap();
        let sealed = plain.encrypt_with_params(cheap, "secret").unwrap();
        let text = sealed.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF).unwrap();
        let opened = open(&text, &Passphrase::new("secret").unwrap()).unwrap();
        assert_eq!(KeyPair::from_pem(&opened).unwrap().key_hash(), key.key_hash());
        let dear =
            pbes2::Parameters::pbkdf2_sha256_aes256cbc(PBKDF2_ITERATIONS_MAX + 1, &[1; 8], &[2; 16]).unwrap();
        let cost = check_cost(&EncryptionScheme::from(dear));
        assert!(matches!(cost, Err(SealError::Costly)));
        for (cost_log2, block_size) in [(21, 8), (14, 65_535)] {
            let cost = scrypt::Params::new(cost_log2, block_size, 1, 32).unwrap();
            let dear = pbes2::Parameters::scrypt_aes256cbc(cost, &[1; 8], &[2; 16]).unwrap();
            assert!(matches!(check_cost(&EncryptionScheme::from(dear)), Err(SealError::Costly)));
        }
    }

    #[test]
    fn a_passphrase_is_a_line_of_a_bounded_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        fs::write(&path, "correct horse battery\nnot this\n").unwrap();
        assert_eq!(*Passphrase::read(&path).unwrap().0, "correct horse battery");
        for unfit in [String::new(), "\n".to_owned(), "x".repeat(PASSPHRASE_BYTES_MAX + 1)] {
            fs::write(&path, unfit).unwrap();
            assert!(matches!(Passphrase::read(&path), Err(SealError::Unfit)));
        }
        assert!(matches!(Passphrase::new("short").unwrap().check(), Err(SealError::Unfit)));
        assert!(!format!("{:?}", passphrase()).contains("horse"));
    }
}
