//! Signed objects (chapter *Signed objects*): possessions, grants, tickets and commitments, as bytes and as good objects with a part
//! changed before or after they were sealed.
//!
//! The input says which. Bytes are verified under a key whose secret is known here: what is accepted must be what that
//! key signs. Of a changed object the verdict is known beforehand.

use std::sync::LazyLock;

use antiphon_protocol::{
    cbor,
    key::KeyPair,
    signed::{Envelope, read_unverified, sign, verify},
};
use antiphon_spec::{
    message::{client_client::SentCount, registration::Possession},
    session::{Change, Commitment, EpochHash, EpochNumber, Grant, Nonce, SessionId, Ticket},
    signed::{Claims, Signed},
    time::Timestamp,
};
use arbitrary::{Arbitrary, Unstructured};
use ciborium::Value;
use coset::{Algorithm, CborSerializable as _, CoseSign1, Header, Label, RegisteredLabelWithPrivate, iana};

use crate::symbolic::member;

/// A kind of statement: what is done with bytes, and with a plan.
type Kind = (fn(&[u8]), fn(&Plan));

/// The kinds of statement in the order in which an input numbers them.
const KINDS: [Kind; 4] = [
    (bytes::<Possession>, changed::<Possession>),
    (bytes::<Grant>, changed::<Grant>),
    (bytes::<Ticket>, changed::<Ticket>),
    (bytes::<Commitment>, changed::<Commitment>),
];

/// The signer of the conformance vectors, so that they can be seeds.
const SIGNER: u8 = 40;

static ED25519: LazyLock<KeyPair> = LazyLock::new(|| seeded(SIGNER));
static OTHER: LazyLock<KeyPair> = LazyLock::new(|| seeded(200));
/// The key whose secret is 1: a secret for nobody, and the same in every run.
static P256: LazyLock<KeyPair> = LazyLock::new(|| {
    let mut pkcs8 =
        b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\
        \x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20"
            .to_vec();
    pkcs8.extend([0; 31]);
    pkcs8.push(1);
    KeyPair::from_pkcs8_der(&pkcs8).expect("a P-256 key")
});

fn seeded(byte: u8) -> KeyPair {
    KeyPair::from_seed(&[byte; 32]).expect("a seed makes a key")
}

/// A good object with a change.
#[derive(Arbitrary, Debug)]
struct Plan {
    p256: bool,
    number: u64,
    text: u8,
    change: Option<Damage>,
}

/// What is changed: first what is sealed, then, in the last three, what was.
#[derive(Arbitrary, Debug)]
enum Damage {
    Algorithm(i8),
    NoAlgorithm,
    KeyId(Vec<u8>),
    ContentType(u64),
    Critical(u64),
    InitialVector(Vec<u8>),
    Protected(i64, u64),
    UnprotectedKeyId(Vec<u8>),
    Unprotected(i64, u64),
    Context(u8),
    Payload(Vec<u8>),
    OtherSigner,
    Byte { offset: u16, mask: u8 },
    Cut(u16),
    Append(Vec<u8>),
}

/// Verifies the bytes of the input, or the object that it asks for.
pub fn play(data: &[u8]) {
    let [kind, data @ ..] = data else { return };
    let (bytes, changed) = KINDS[usize::from(kind >> 1) % KINDS.len()];
    if kind & 1 == 0 {
        bytes(data);
    } else if let Ok(plan) = Plan::arbitrary(&mut Unstructured::new(data)) {
        changed(&plan);
    }
}

/// Claims that a plan can vary.
trait Sample: Claims + Eq + std::fmt::Debug {
    fn sample(plan: &Plan) -> Self;
}

impl Sample for Possession {
    fn sample(plan: &Plan) -> Self {
        let server = format!("s{}.example", plan.number).parse().expect("a server name");
        Self { key: vec![plan.text; 44], server }
    }
}

impl Sample for Grant {
    fn sample(plan: &Plan) -> Self {
        Self {
            chain: EpochHash([plan.text; 32]),
            epoch: EpochNumber(plan.number),
            change: Change::Join(member(plan.text % 100)),
            holder: member(1).handle,
            session: SessionId([2; 32]),
            not_after: Timestamp(plan.number),
        }
    }
}

impl Sample for Ticket {
    fn sample(plan: &Plan) -> Self {
        Self {
            key: member(3).key,
            epoch: EpochNumber(plan.number),
            grant: sign(&OTHER, &Grant::sample(plan)).expect("a grant can be signed"),
            nonce: Nonce([plan.text; 16]),
            issuer: member(1).handle,
            session: SessionId([2; 32]),
            newcomer: member(3).handle,
            not_after: Timestamp(plan.number),
        }
    }
}

impl Sample for Commitment {
    fn sample(plan: &Plan) -> Self {
        Self {
            hash: EpochHash([plan.text; 32]),
            sent: vec![SentCount { count: plan.number, member: member(1).handle }],
            chain: EpochHash([3; 32]),
            epoch: EpochNumber(plan.number),
            change: Change::TakeOver(member(1).handle),
            session: SessionId([2; 32]),
        }
    }
}

/// Any bytes: what is accepted is what the key signs, for Ed25519 gives one signature for a statement.
fn bytes<T: Sample>(bytes: &[u8]) {
    let signed = Signed::<T>::from_bytes(bytes);
    let read = read_unverified(&signed);
    match verify(&signed, ED25519.public_key()) {
        Ok(claims) => {
            assert_eq!(sign(&ED25519, &claims).as_ref(), Ok(&signed), "only what the key signed is accepted");
            assert_eq!(read, Ok(claims), "claims are read as they are verified");
        }
        Err(_) => assert!(verify(&signed, OTHER.public_key()).is_err(), "nobody has signed with this key"),
    }
}

/// An object with a change: accepted if the change changed nothing.
fn changed<T: Sample>(plan: &Plan) {
    let key = if plan.p256 { &P256 } else { &ED25519 };
    let claims = T::sample(plan);
    let good = Envelope::new(key.public_key(), &claims).expect("claims have an encoding");
    let mut envelope = good.clone();
    if let Some(damage) = &plan.change {
        damage.before(&mut envelope);
    }
    let signer = if matches!(plan.change, Some(Damage::OtherSigner)) { &OTHER } else { key };
    // The payload alone may be another's: it is the signer's word all the same, if it is one of this kind.
    let said = cbor::decode::<T>(&envelope.payload).ok();
    let payload = std::mem::replace(&mut envelope.payload, good.payload.clone());
    let mut as_it_should_be = envelope == good && std::ptr::eq(&**signer, &**key);
    envelope.payload = payload;
    let Ok(sealed) = envelope.seal::<T>(signer) else { return };
    let mut bytes = sealed.as_bytes().to_vec();
    if let Some(damage) = &plan.change {
        damage.after(&mut bytes);
    }
    as_it_should_be &= bytes == sealed.as_bytes() && is_untagged(&bytes);
    let expected = said.filter(|_| as_it_should_be);
    let verdict = verify(&Signed::<T>::from_bytes(bytes), key.public_key());
    assert_eq!(verdict.ok(), expected, "{plan:?}");
}

fn is_untagged(bytes: &[u8]) -> bool {
    CoseSign1::from_slice(bytes).is_ok()
}

impl Damage {
    fn before(&self, envelope: &mut Envelope) {
        let extra = |header: &mut Header, label: i64, value: u64| {
            header.rest.push((Label::Int(label), Value::Integer(value.into())));
        };
        let protected = &mut envelope.protected;
        match self {
            Self::Algorithm(value) => {
                let known = <iana::Algorithm as iana::EnumI64>::from_i64((*value).into());
                protected.alg =
                    Some(known.map_or_else(
                        || Algorithm::PrivateUse(-70_000 - i64::from(*value)),
                        Algorithm::Assigned,
                    ));
            }
            Self::NoAlgorithm => protected.alg = None,
            Self::KeyId(id) => protected.key_id.clone_from(id),
            Self::ContentType(value) => {
                let format = iana::CoapContentFormat::TextPlainUtf8;
                let text = coset::RegisteredLabel::Text(format!("text/{value}"));
                let assigned = coset::RegisteredLabel::Assigned(format);
                protected.content_type = Some(if *value == 0 { assigned } else { text });
            }
            Self::Critical(value) => {
                protected.crit.push(RegisteredLabelWithPrivate::Text(format!("critical-{value}")));
            }
            Self::InitialVector(value) => protected.iv.clone_from(value),
            Self::Protected(label, value) => extra(protected, *label, *value),
            Self::UnprotectedKeyId(id) => envelope.unprotected.key_id.clone_from(id),
            Self::Unprotected(label, value) => extra(&mut envelope.unprotected, *label, *value),
            Self::Context(pick) => {
                let others =
                    [Possession::CONTEXT, Grant::CONTEXT, Ticket::CONTEXT, "", "antiphon-hand-over/1"];
                others[usize::from(*pick) % others.len()].clone_into(&mut envelope.context);
            }
            Self::Payload(payload) => envelope.payload.clone_from(payload),
            Self::OtherSigner | Self::Byte { .. } | Self::Cut(_) | Self::Append(_) => {}
        }
    }

    fn after(&self, bytes: &mut Vec<u8>) {
        if let Self::Cut(to) = self {
            bytes.truncate(usize::from(*to));
        }
        if let Self::Append(more) = self {
            bytes.extend_from_slice(more);
        }
        if let Self::Byte { offset, mask } = self {
            let length = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(usize::from(*offset) % length) {
                *byte ^= mask;
            }
        }
    }
}
