//! Signed objects: the one good form of each kind, and each with one thing wrong.
//!
//! The objects are put together by hand, byte by byte, from the text of the specification.

use antiphon_protocol::{cbor, key::KeyPair};
use antiphon_spec::{
    message::{client_client::SentCount, registration::Possession},
    session::{Change, Commitment, EpochHash, EpochNumber, Grant, Nonce, SessionId, Ticket},
    signed::{Claims, Signed},
    time::Timestamp,
};
use aws_lc_rs::signature::Ed25519KeyPair;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    node::{Entries, Node},
    p256,
    samples::{handle, member},
};
use crate::case::Role;

/// A key that signs whatever it is given.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    pub(super) key: KeyPair,
}

impl Signer {
    pub(super) fn new(seed: u8) -> Made<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).map_err(GeneratorError::new)?;
        Ok(Self { pair, key: KeyPair::from_seed(&[seed; 32]).map_err(GeneratorError::new)? })
    }

    /// A signature over the structure of RFC 9052, section 4.4.
    fn sign(&self, protected: &[u8], context: &str, payload: &[u8]) -> Vec<u8> {
        let bytes = |bytes: &[u8]| Node::Bytes(bytes.to_vec());
        let structure = Node::Array(vec![
            Node::text("Signature1"),
            bytes(protected),
            bytes(context.as_bytes()),
            bytes(payload),
        ]);
        self.pair.sign(&structure.encode()).as_ref().to_vec()
    }

    /// A signature over bytes as they are.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    fn kid(&self) -> Vec<u8> {
        self.key.key_hash().0.to_vec()
    }
}

/// The parts of an object, each to be made wrong.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) protected: Node,
    pub(super) unprotected: Node,
    pub(super) context: String,
    pub(super) payload: Vec<u8>,
}

impl Parts {
    pub(super) fn good<T: Claims>(signer: &Signer, claims: &T) -> Made<Self> {
        Ok(Self {
            protected: header(-8, signer.kid()),
            unprotected: Node::Map(vec![]),
            context: T::CONTEXT.to_owned(),
            payload: cbor::encode(claims).map_err(GeneratorError::new)?,
        })
    }

    pub(super) fn seal(&self, signer: &Signer) -> Object {
        let protected = self.protected.encode();
        let signature = signer.sign(&protected, &self.context, &self.payload);
        Object {
            protected,
            unprotected: self.unprotected.clone(),
            payload: Node::Bytes(self.payload.clone()),
            signature,
        }
    }
}

/// `{1: alg, 4: kid}`, for algorithms below 0.
pub(super) fn header(algorithm: i64, kid: Vec<u8>) -> Node {
    Node::Map(vec![
        (Node::Unsigned(1), Node::Negative(algorithm.unsigned_abs() - 1)),
        (Node::Unsigned(4), Node::Bytes(kid)),
    ])
}

/// A signed object in four parts.
#[derive(Clone)]
pub(super) struct Object {
    protected: Vec<u8>,
    unprotected: Node,
    payload: Node,
    signature: Vec<u8>,
}

impl Object {
    fn items(&self) -> Vec<Node> {
        vec![
            Node::Bytes(self.protected.clone()),
            self.unprotected.clone(),
            self.payload.clone(),
            Node::Bytes(self.signature.clone()),
        ]
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        Node::Array(self.items()).encode()
    }
}

pub(super) fn grant() -> Made<Grant> {
    Ok(Grant {
        chain: EpochHash([4; 32]),
        epoch: EpochNumber(1),
        change: Change::Join(member(3)?),
        holder: handle(1)?,
        session: SessionId([9; 32]),
        not_after: Timestamp(1_800_000_030),
    })
}

pub(super) fn ticket() -> Made<Ticket> {
    Ok(Ticket {
        key: antiphon_spec::identity::KeyHash([3; 32]),
        epoch: EpochNumber(1),
        grant: Signed::from_bytes(
            Parts::good(&Signer::new(40)?, &grant()?)?.seal(&Signer::new(40)?).encode(),
        ),
        nonce: Nonce([7; 16]),
        issuer: handle(1)?,
        session: SessionId([9; 32]),
        newcomer: handle(3)?,
        not_after: Timestamp(1_800_000_030),
    })
}

pub(super) fn commitment() -> Made<Commitment> {
    let sent = [(1, 2), (2, 0)];
    Ok(Commitment {
        hash: EpochHash([5; 32]),
        sent: sent
            .into_iter()
            .map(|(who, count)| Ok(SentCount { count, member: handle(who)? }))
            .collect::<Made<_>>()?,
        chain: EpochHash([4; 32]),
        epoch: EpochNumber(1),
        change: Change::Join(member(3)?),
        session: SessionId([9; 32]),
    })
}

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let signer = Signer::new(40)?;
    let mut cases = Vec::new();
    let possession = Possession { key: signer.key.public_key_der().to_vec(), server: handle(1)?.home };
    kind(&mut cases, "possession", "proof-refused", &signer, &possession)?;
    kind(&mut cases, "grant", "grant-refused", &signer, &grant()?)?;
    kind(&mut cases, "ticket", "ticket-issuer", &signer, &ticket()?)?;
    kind(&mut cases, "commitment", "commit-refused", &signer, &commitment()?)?;
    p256::signed(&mut cases)?;
    Ok(cases)
}

/// Collects the cases of one kind.
struct Kind<'a> {
    name: &'static str,
    code: &'static str,
    signer: &'a Signer,
    cases: &'a mut Vec<VectorCase>,
}

impl Kind<'_> {
    fn draft(&self, slug: &str, requirements: &[&str], about: &str, bytes: &[u8]) -> Draft {
        Draft::new(
            format!("signed/{}{slug}", self.name),
            Role::Verifier,
            &format!("verify-{}", self.name),
            requirements,
            about,
        )
        .input("key", hex::encode(self.signer.key.public_key_der()))
        .bytes("hex", bytes)
    }

    fn reject(&mut self, slug: &str, requirement: &str, about: &str, bytes: &[u8]) {
        let draft = self.draft(&format!("-{slug}"), &[requirement], about, bytes);
        self.cases.push(draft.reject(Phase::Auth, &[self.code], format!("signed/{}", self.name)).done());
    }

    fn parts(
        &mut self,
        slug: &str,
        requirement: &str,
        about: &str,
        good: &Parts,
        change: impl FnOnce(&mut Parts),
    ) {
        let mut parts = good.clone();
        change(&mut parts);
        let bytes = parts.seal(self.signer).encode();
        self.reject(slug, requirement, about, &bytes);
    }
}

fn kind<T: Claims>(
    cases: &mut Vec<VectorCase>,
    name: &'static str,
    code: &'static str,
    signer: &Signer,
    claims: &T,
) -> Made<()> {
    let good = Parts::good(signer, claims)?;
    let object = good.seal(signer);
    let mut kind = Kind { name, code, signer, cases };
    let draft = kind.draft(
        "",
        &["SIGN-005", "SIGN-001", "SIGN-002", "SIGN-003", "SIGN-004"],
        "the object in its one form",
        &object.encode(),
    );
    kind.cases.push(draft.output("claims", hex::encode(&good.payload)).done());
    forms(&mut kind, &object);
    headers(&mut kind, &good, signer)?;
    signatures(&mut kind, &good, &object)?;
    payloads(&mut kind, &good)
}

fn forms(kind: &mut Kind<'_>, object: &Object) {
    let good = object.encode();
    let items = object.items();
    let three = Node::Array(items.get(..3).unwrap_or_default().to_vec()).encode();
    let five = Node::Array(items.iter().cloned().chain([Node::Bytes(vec![])]).collect()).encode();
    let head = |head: &[u8]| [head, good.get(1..).unwrap_or_default()].concat();
    for (slug, about, bytes) in [
        ("tagged", "the tag of COSE_Sign1 before the object", [&[0xd2][..], &good].concat()),
        ("trailing-byte", "a byte behind the object", [good.as_slice(), &[0]].concat()),
        ("without-signature", "an array of three elements", three),
        ("with-fifth-element", "an array of five elements", five),
        ("long-array-head", "the array's head in one byte more than it needs", head(&[0x98, 4])),
        ("indefinite-array", "an array of indefinite length", [head(&[0x9f]).as_slice(), &[0xff]].concat()),
        (
            "cut-off",
            "an object without its last byte",
            good.get(..good.len() - 1).unwrap_or_default().to_vec(),
        ),
        ("empty", "nothing", vec![]),
        ("map-instead-of-array", "a map", vec![0xa0]),
    ] {
        kind.reject(slug, "SIGN-005", about, &bytes);
    }
}

fn headers(kind: &mut Kind<'_>, good: &Parts, signer: &Signer) -> Made<()> {
    let kid = signer.kid();
    let entry = |key: u64, value: Node| (Node::Unsigned(key), value);
    let alg = || entry(1, Node::Negative(7));
    let key = |kid: &[u8]| entry(4, Node::Bytes(kid.to_vec()));
    let protected =
        |entries: Vec<(Node, Node)>| move |parts: &mut Parts| parts.protected = Node::Map(entries);
    kind.parts("without-kid", "SIGN-006", "a protected header without kid", good, protected(vec![alg()]));
    kind.parts("without-alg", "SIGN-006", "a protected header without alg", good, protected(vec![key(&kid)]));
    kind.parts(
        "with-content-type",
        "SIGN-006",
        "a third entry in the protected header",
        good,
        protected(vec![alg(), entry(3, Node::Unsigned(0)), key(&kid)]),
    );
    kind.parts(
        "header-in-other-order",
        "SIGN-005",
        "kid before alg",
        good,
        protected(vec![key(&kid), alg()]),
    );
    kind.parts("header-empty", "SIGN-006", "an empty protected header", good, |parts| {
        parts.protected = Node::Raw(vec![])
    });
    kind.parts(
        "header-with-trailing-byte",
        "SIGN-005",
        "a byte behind the protected header",
        good,
        |parts| {
            parts.protected = Node::Raw([parts.protected.encode().as_slice(), &[0]].concat());
        },
    );
    kind.parts(
        "alg-in-long-form",
        "SIGN-005",
        "alg in one byte more than it needs",
        good,
        protected(vec![entry(1, Node::Raw(vec![0x38, 7])), key(&kid)]),
    );
    kind.parts("with-unprotected-kid", "SIGN-006", "kid in the unprotected header too", good, |parts| {
        parts.unprotected = Node::Map(vec![key(&kid)])
    });
    kind.parts("with-unprotected-entry", "SIGN-006", "an entry in the unprotected header", good, |parts| {
        parts.unprotected = Node::Map(vec![entry(3, Node::Unsigned(0))])
    });
    for (slug, about, algorithm) in [
        ("alg-es256", "the algorithm of another kind of key", -7),
        ("alg-hmac", "an algorithm that is no signature", -256),
        ("alg-ed448", "another algorithm for Ed25519", -53),
    ] {
        kind.parts(slug, "SIGN-007", about, good, |parts| parts.protected = header(algorithm, kid.clone()));
    }
    let other = Signer::new(41)?.kid();
    kind.parts("kid-of-another", "SIGN-008", "the key hash of another key", good, |parts| {
        parts.protected = header(-8, other)
    });
    kind.parts("kid-of-31-bytes", "SIGN-008", "a key hash cut off", good, |parts| {
        parts.protected = header(-8, kid.get(..31).unwrap_or_default().to_vec())
    });
    kind.parts("kid-empty", "SIGN-008", "an empty key hash", good, |parts| {
        parts.protected = header(-8, vec![])
    });
    Ok(())
}

fn signatures(kind: &mut Kind<'_>, good: &Parts, object: &Object) -> Made<()> {
    for (slug, about, context) in [
        (
            "other-context",
            "signed as another kind of statement",
            if kind.name == "ticket" { "antiphon-grant/1" } else { "antiphon-ticket/1" },
        ),
        ("no-context", "signed without a context", ""),
    ] {
        kind.parts(slug, "SIGN-009", about, good, |parts| parts.context = context.to_owned());
    }
    kind.parts(
        "context-in-other-version",
        "SIGN-009",
        "signed with the context of another version",
        good,
        |parts| parts.context = parts.context.replace("/1", "/2"),
    );
    let by_other = good.seal(&Signer::new(41)?);
    kind.reject(
        "signed-by-another",
        "SIGN-009",
        "signed with another key than the one it names",
        &by_other.encode(),
    );
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut object = object.clone();
        change(&mut object.signature);
        object.encode()
    };
    let flip = |signature: &mut Vec<u8>| signature.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    kind.reject("signature-changed", "SIGN-009", "one bit of the signature changed", &with(&flip));
    kind.reject(
        "signature-of-63-bytes",
        "SIGN-009",
        "a signature cut off",
        &with(&|signature| signature.truncate(63)),
    );
    kind.reject(
        "signature-of-65-bytes",
        "SIGN-009",
        "a byte behind the signature",
        &with(&|signature| signature.push(0)),
    );
    kind.reject("signature-empty", "SIGN-009", "an empty signature", &with(&Vec::clear));
    kind.reject("signature-zero", "SIGN-009", "a signature of zeros", &with(&|signature| signature.fill(0)));
    kind.reject(
        "signature-malleated",
        "SIGN-013",
        "the order of the group added to the signature's second half",
        &with(&|signature| add_order(signature)),
    );
    let mut changed = object.clone();
    if let Node::Bytes(payload) = &mut changed.payload {
        payload.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
    }
    kind.reject(
        "payload-changed",
        "SIGN-009",
        "one bit of the payload changed after signing",
        &changed.encode(),
    );
    Ok(())
}

/// Adds the order of Ed25519's group, 2^252 + 27742317777372353535851937790883648493, little-endian.
fn add_order(signature: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (byte, order) in signature.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        let [low, high] = sum.to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

fn payloads(kind: &mut Kind<'_>, good: &Parts) -> Made<()> {
    let claims = Node::read(&good.payload).ok_or_else(|| GeneratorError("claims".to_owned()))?;
    let changed = |change: &dyn Fn(&mut Entries)| {
        let mut claims = claims.clone();
        if let Some(entries) = claims.entries() {
            change(entries);
        }
        claims.encode()
    };
    let unknown = (Node::text("zzzzzzzzzzzzzzzzzzzzzzz"), Node::Unsigned(0));
    for (slug, about, payload) in [
        (
            "claims-with-unknown-field",
            "claims with a field that they do not have",
            changed(&|entries| entries.push(unknown.clone())),
        ),
        ("claims-without-field", "claims without their last field", changed(&|entries| drop(entries.pop()))),
        (
            "claims-in-other-order",
            "claims against the order of their keys",
            changed(&|entries| entries.reverse()),
        ),
        ("claims-with-trailing-byte", "a byte behind the claims", [good.payload.as_slice(), &[0]].concat()),
        ("claims-empty", "an empty payload", vec![]),
        (
            "claims-indefinite",
            "claims of indefinite length",
            [&[0xbf][..], good.payload.get(1..).unwrap_or_default(), &[0xff]].concat(),
        ),
    ] {
        kind.parts(slug, "SIGN-010", about, good, |parts| parts.payload = payload);
    }
    let mut detached = good.seal(kind.signer);
    detached.payload = Node::Raw(vec![0xf6]);
    kind.reject("detached", "SIGN-010", "no payload inside", &detached.encode());
    Ok(())
}
