//! Certificates (chapter *Certificates*): from a chain to an identity, for chains of any bytes and for good chains with
//! one rule broken.
//!
//! The input says which. The root is the one of the conformance vectors, whose certificates are the only ones in the
//! world that it signed; so nothing else may be believed.

mod plan;

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use antiphon_protocol::{
    certificate::{Demand, End, Role, Serial, Template, Trust, Validity, identify},
    channel::Channel,
    key::KeyPair,
};
use antiphon_spec::time::Timestamp;
use arbitrary::{Arbitrary, Unstructured};
use rustls_pki_types::{CertificateDer, UnixTime};

pub(crate) use self::plan::Plan;

/// The moment of the judgement, as in the vectors.
pub(crate) const NOW: u64 = 1_800_000_000;

/// Most certificates that an input is read as: one more than a chain may have.
const CERTIFICATES_MAX: usize = 4;

pub(crate) const DAY: u64 = 24 * 3600;

/// The root of the vectors, and one that nobody trusts.
pub(crate) struct Root {
    pub(crate) key: KeyPair,
    pub(crate) certificate: CertificateDer<'static>,
}

pub(crate) static ROOT: LazyLock<Root> = LazyLock::new(|| Root::new(1));
static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::from_der(&ROOT.certificate).expect("a root"));
/// Every certificate in the vectors, good or bad: what the root and the authorities below it have signed.
static ISSUED: LazyLock<BTreeSet<Vec<u8>>> =
    LazyLock::new(|| crate::seeds::chains().into_iter().flat_map(|(_, chain)| chain).collect());

impl Root {
    pub(crate) fn new(seed: u8) -> Self {
        let key = key(seed);
        let validity =
            Validity { not_before: Timestamp(NOW - 1_000 * DAY), not_after: Timestamp(NOW + 1_000 * DAY) };
        let certificate = Template::root(validity, Serial([seed; 16])).self_signed(&key).expect("a root");
        Self { key, certificate }
    }
}

pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).expect("a seed makes a key")
}

/// The ends of channels in the order in which an input numbers them.
pub(crate) fn place(number: u8) -> (Channel, End) {
    let end = if number & 1 == 0 { End::Dialling } else { End::Accepting };
    (Channel::ALL[usize::from(number >> 1) % Channel::ALL.len()], end)
}

/// Judges the chain of the input, or the one that it asks for.
pub fn play(data: &[u8]) {
    let [mode, data @ ..] = data else { return };
    if mode & 1 == 0 {
        bytes(place(mode >> 1), data);
    } else if let Ok(plan) = Plan::arbitrary(&mut Unstructured::new(data)) {
        plan.play();
    }
}

/// Any bytes: whoever is believed shows a certificate that was issued.
fn bytes((channel, end): (Channel, End), data: &[u8]) {
    let chain = split(data);
    let certificates: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
    match judge(&certificates, &Demand::new(channel, end)) {
        Ok(peer) => {
            let issued = |der: &&&[u8]| ISSUED.contains(**der);
            assert!(chain.first().as_ref().is_some_and(issued), "{peer:?} was never issued a certificate");
            let by_the_root = peer.role() != Role::User;
            assert!(
                by_the_root || chain.iter().skip(1).any(|der| issued(&der)),
                "{peer:?} has a false issuer"
            );
        }
        Err(refused) => assert!(!refused.to_string().contains(char::is_control), "{refused}"),
    }
}

/// The judgement.
fn judge(
    chain: &[CertificateDer<'_>],
    demand: &Demand,
) -> Result<antiphon_protocol::certificate::VerifiedPeer, antiphon_protocol::certificate::CertificateRefused>
{
    identify(&TRUST, chain, demand, UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
}

/// Certificates, each behind its length in two bytes; the last one may be cut short.
fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>()
        && chain.len() < CERTIFICATES_MAX
    {
        let (der, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        chain.push(der);
        data = rest;
    }
    chain
}
