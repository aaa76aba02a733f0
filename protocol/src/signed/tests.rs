//! Signed objects: what a key signs is accepted, and every other object is refused for whatever is wrong with it.

use antiphon_spec::{
    identity::{ObjectHandle, UserHandle},
    media_type::MediaTypes,
    message::{
        client_client::{ClientMessage, InvitationBody, InvitationMessage, Welcome},
        registration::Possession,
    },
    session::{
        Change, Epoch, EpochHash, EpochNumber, Grant, Member, Nonce, Origin, RelayTag, SessionId, Ticket,
    },
    signed::{Sign as _, Verify as _},
    time::Timestamp,
};
use coset::{Label, RegisteredLabel, RegisteredLabelWithPrivate, cbor::Value};
use rustls_pki_types::UnixTime;

use super::*;
use crate::certificate::{Authority, Demand, End, Serial, Validity, VerifiedPeer, identify};
use crate::connection::encode_message;

fn keys() -> [KeyPair; 2] {
    [KeyPair::from_seed(&[40; 32]).unwrap(), KeyPair::generate(KeyAlgorithm::P256).unwrap()]
}

fn handle(number: u8) -> UserHandle {
    UserHandle { id: ObjectHandle([number; 16]), home: "one.example".parse().unwrap() }
}

fn member(number: u8) -> Member {
    Member {
        key: KeyHash([number; 32]),
        relay: RelayTag([number; 16]),
        handle: handle(number),
        accepts: MediaTypes::default(),
    }
}

fn possession() -> Possession {
    Possession { key: vec![1, 2, 3], server: "one.example".parse().unwrap() }
}

fn grant() -> Grant {
    Grant {
        chain: EpochHash([1; 32]),
        epoch: EpochNumber(3),
        change: Change::Join(member(9)),
        holder: handle(2),
        session: SessionId([2; 32]),
        not_after: Timestamp(1_000),
    }
}

fn ticket() -> Ticket {
    Ticket {
        key: KeyHash([9; 32]),
        epoch: EpochNumber(3),
        grant: sign(&keys()[0], &grant()).unwrap(),
        nonce: Nonce([5; 16]),
        issuer: handle(2),
        session: SessionId([2; 32]),
        newcomer: handle(9),
        not_after: Timestamp(1_000),
    }
}

/// An object with a part of its envelope changed before it is sealed: verified, under either algorithm.
#[track_caller]
fn check(change: impl Fn(&mut Envelope), accepted: bool) {
    for key in keys() {
        let good = Envelope::new(key.public_key(), &grant()).unwrap();
        let mut envelope = good.clone();
        change(&mut envelope);
        assert!(accepted || envelope != good, "something was changed");
        let sealed = envelope.seal::<Grant>(&key).unwrap();
        let expected = if accepted { Ok(grant()) } else { Err(SignatureRejected) };
        assert_eq!(verify(&sealed, key.public_key()), expected, "{key:?}");
    }
}

/// Bytes that are no object, made of the bytes of a good one.
#[track_caller]
fn check_bytes(change: impl Fn(&[u8]) -> Vec<u8>) {
    for key in keys() {
        let good = sign(&key, &grant()).unwrap();
        assert_eq!(verify(&good, key.public_key()), Ok(grant()));
        let bad = Signed::<Grant>::from_bytes(change(good.as_bytes()));
        assert_ne!(bad, good, "something was changed");
        assert_eq!(verify(&bad, key.public_key()), Err(SignatureRejected), "{key:?}");
        assert_eq!(read_unverified(&bad), Err(SignatureRejected), "{key:?}");
    }
}

#[test]
fn what_a_key_signs_is_what_is_read() {
    for key in keys() {
        assert_eq!(verify(&sign(&key, &possession()).unwrap(), key.public_key()), Ok(possession()));
        assert_eq!(verify(&sign(&key, &grant()).unwrap(), key.public_key()), Ok(grant()));
        let signed = sign(&key, &ticket()).unwrap();
        assert_eq!(verify(&signed, key.public_key()), Ok(ticket()));
        assert_eq!(read_unverified(&signed), Ok(ticket()));
    }
}

#[test]
fn an_object_has_the_one_form() {
    // SIGN-001, SIGN-002: four elements; a header of alg and kid; an empty one; the claims; 64 bytes.
    for (key, algorithm) in keys().iter().zip(["27", "26"]) {
        let bytes = hex::encode(sign(key, &possession()).unwrap().as_bytes());
        let claims = hex::encode(cbor::encode(&possession()).unwrap());
        let hash = hex::encode(key.key_hash().0);
        let length = format!("{:02x}", claims.len() / 2);
        let head = format!("845826a201{algorithm}045820{hash}a058{length}{claims}5840");
        assert_eq!(&bytes[..head.len()], head);
        assert_eq!(bytes.len(), head.len() + 128);
    }
}

#[test]
fn bytes_in_another_form_are_refused() {
    // SIGN-005
    check_bytes(|good| [&[0xd2], good].concat());
    check_bytes(|good| [good, &[0]].concat());
    check_bytes(|_| vec![]);
    check_bytes(|_| vec![0xf6]);
    // Five elements, and three.
    check_bytes(|good| [&[0x85], &good[1..], &[0]].concat());
    check_bytes(|good| [&[0x83], &good[1..good.len() - 66]].concat());
    // An array of indefinite length, a length in a longer form, a payload elsewhere.
    check_bytes(|good| [&[0x9f], &good[1..], &[0xff]].concat());
    check_bytes(|good| [&[0x84, 0x59, 0x00], &good[2..]].concat());
    check_bytes(|good| {
        let payload = 41..good.len() - 66;
        [&good[..payload.start], &[0xf6], &good[payload.end..]].concat()
    });
}

#[test]
fn every_cut_and_every_changed_byte_is_refused() {
    for key in keys() {
        let good = sign(&key, &possession()).unwrap();
        let good = good.as_bytes();
        for cut in 0..good.len() {
            let cut = Signed::<Possession>::from_bytes(&good[..cut]);
            assert_eq!(verify(&cut, key.public_key()), Err(SignatureRejected));
        }
        for offset in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[offset] ^= 0x01;
            let changed = Signed::<Possession>::from_bytes(bytes);
            assert_eq!(verify(&changed, key.public_key()), Err(SignatureRejected), "byte {offset}");
        }
    }
}

#[test]
fn headers_hold_alg_and_kid_and_no_more() {
    // SIGN-006
    check(|_| {}, true);
    check(|envelope| envelope.protected.alg = None, false);
    check(|envelope| envelope.protected.key_id = vec![], false);
    check(
        |envelope| envelope.protected.content_type = Some(RegisteredLabel::Text("text/plain".to_owned())),
        false,
    );
    check(|envelope| envelope.protected.iv = vec![1], false);
    check(
        |envelope| envelope.protected.crit.push(RegisteredLabelWithPrivate::Text("critical".to_owned())),
        false,
    );
    check(|envelope| envelope.protected.rest.push((Label::Int(-70_000), Value::Bool(true))), false);
    check(
        |envelope| envelope.protected.rest.push((Label::Text("extra".to_owned()), Value::Bool(true))),
        false,
    );
    check(|envelope| envelope.unprotected.key_id = vec![1], false);
    check(|envelope| envelope.unprotected.alg = envelope.protected.alg.clone(), false);
    check(|envelope| envelope.unprotected.rest.push((Label::Int(300), Value::Bool(true))), false);
}

#[test]
fn alg_is_the_one_of_the_key() {
    // SIGN-007
    for algorithm in [
        iana::Algorithm::EdDSA,
        iana::Algorithm::ES256,
        iana::Algorithm::ES384,
        iana::Algorithm::HMAC_256_256,
    ] {
        for key in keys() {
            let mut envelope = Envelope::new(key.public_key(), &grant()).unwrap();
            envelope.protected.alg = Some(Algorithm::Assigned(algorithm));
            let sealed = envelope.seal::<Grant>(&key).unwrap();
            let expected = if algorithm == algorithm_of(key.public_key()) {
                Ok(grant())
            } else {
                Err(SignatureRejected)
            };
            assert_eq!(verify(&sealed, key.public_key()), expected, "{algorithm:?}");
        }
    }
    check(|envelope| envelope.protected.alg = Some(Algorithm::PrivateUse(-70_000)), false);
    check(|envelope| envelope.protected.alg = Some(Algorithm::Text("EdDSA".to_owned())), false);
}

#[test]
fn kid_is_the_hash_of_the_key() {
    // SIGN-008
    check(|envelope| envelope.protected.key_id[0] ^= 1, false);
    check(|envelope| envelope.protected.key_id.push(0), false);
    check(|envelope| envelope.protected.key_id.truncate(31), false);
}

#[test]
fn a_signature_is_the_keys_for_this_kind() {
    // SIGN-009
    for context in ["antiphon-ticket/1", "antiphon-possession/1", "antiphon-grant/2", ""] {
        check(|envelope| context.clone_into(&mut envelope.context), false);
    }
    check_bytes_signed_by_another();
    let [one, two] = keys();
    let good = sign(&one, &grant()).unwrap();
    assert_eq!(verify(&good, two.public_key()), Err(SignatureRejected));
    // The same bytes are no ticket, and no possession.
    assert_eq!(
        verify(&Signed::<Ticket>::from_bytes(good.as_bytes()), one.public_key()),
        Err(SignatureRejected)
    );
    assert_eq!(
        verify(&Signed::<Possession>::from_bytes(good.as_bytes()), one.public_key()),
        Err(SignatureRejected)
    );
}

/// A header that names one key over a signature by another of the same algorithm.
#[track_caller]
fn check_bytes_signed_by_another() {
    for (key, other) in keys().iter().zip([KeyPair::from_seed(&[41; 32]).unwrap(), keys()[1].clone()]) {
        let sealed = Envelope::new(key.public_key(), &grant()).unwrap().seal::<Grant>(&other).unwrap();
        assert_eq!(verify(&sealed, key.public_key()), Err(SignatureRejected));
        assert_eq!(verify(&sealed, other.public_key()), Err(SignatureRejected));
    }
}

#[test]
fn a_payload_is_claims_of_this_kind_in_their_one_form() {
    // SIGN-010
    let claims = cbor::encode(&grant()).unwrap();
    for payload in [
        vec![],
        vec![0xa0],
        [&claims[..], &[0]].concat(),
        claims[..claims.len() - 1].to_vec(),
        cbor::encode(&ticket()).unwrap(),
        cbor::encode(&possession()).unwrap(),
        [&[0xb8, 0x06], &claims[1..]].concat(),
        // A seventh entry behind the others.
        [&[0xa7], &claims[1..], b"\x6aunexpected\xf4"].concat(),
    ] {
        check(|envelope| envelope.payload.clone_from(&payload), false);
    }
}

#[test]
fn an_ed25519_signature_has_one_form() {
    // SIGN-013: the second half plus the order of the group is the same number to whoever does not look.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let key = &keys()[0];
    let good = sign(key, &grant()).unwrap();
    let mut bytes = good.as_bytes().to_vec();
    let start = bytes.len() - 32;
    let mut carry = 0;
    for (byte, add) in bytes[start..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "the sum has 32 bytes");
    assert_eq!(verify(&Signed::<Grant>::from_bytes(bytes), key.public_key()), Err(SignatureRejected));
}

/// A user whom a root and a home server vouch for.
fn verified(number: u8) -> (KeyPair, VerifiedPeer) {
    let key = |seed: u8| KeyPair::from_seed(&[seed; 32]).unwrap();
    let validity = Validity { not_before: Timestamp(1_000), not_after: Timestamp(2_000) };
    let root = Authority::create(key(1), validity, Serial([1; 16])).unwrap();
    let home = handle(number).home;
    let authority = root.issue_user_authority(&home, key(2).public_key(), validity, Serial([2; 16])).unwrap();
    let issuer = crate::certificate::UserIssuer::load(authority, key(2)).unwrap();
    let chain = issuer.issue(&handle(number), key(number).public_key(), validity, Serial([3; 16])).unwrap();
    let demand = Demand::new(crate::channel::Channel::ClientClient, End::Accepting);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_500));
    (key(number), identify(&root.trust().unwrap(), &chain, &demand, now).unwrap())
}

#[test]
fn a_key_ring_knows_who_is_linked() {
    // SIGN-011
    let (own, (key, peer)) = (KeyPair::from_seed(&[40; 32]).unwrap(), verified(11));
    let (_, other) = verified(12);
    let mut ring = KeyRing::new(own.clone(), 1);
    let theirs = sign(&key, &grant()).unwrap();
    let hash = key.key_hash();
    assert_eq!(ring.verify_grant(&theirs, &hash), Err(SignatureRejected));
    assert_eq!(ring.verify_grant(&ring.sign_grant(&grant()), &own.key_hash()), Ok(grant()));
    assert_eq!(ring.verify_ticket(&ring.sign_ticket(&ticket()), &own.key_hash()), Ok(ticket()));
    // Two links, then one, then none.
    assert_eq!((ring.learn(&peer), ring.learn(&peer)), (Ok(()), Ok(())));
    assert_eq!(ring.learn(&other), Err(KeyRingFull));
    ring.forget(&hash);
    assert_eq!(ring.verify_grant(&theirs, &hash), Ok(grant()));
    assert_eq!(ring.verify_grant(&theirs, &own.key_hash()), Err(SignatureRejected));
    ring.forget(&hash);
    ring.forget(&hash);
    assert_eq!(ring.verify_grant(&theirs, &hash), Err(SignatureRejected));
    assert_eq!(ring.learn(&other), Ok(()));
}

#[test]
fn hashes_cover_a_context_and_the_one_encoding() {
    let origin = Origin { key: KeyHash([0; 32]), nonce: Nonce([0x5a; 16]) };
    let id = session_id(&origin);
    assert_eq!(id.0, crate::key::sha256(&[b"antiphon-session/1", &[0; 32], &[0x5a; 16]]));
    let epoch = Epoch::first(id, origin, member(1));
    let encoding = cbor::encode(&epoch).unwrap();
    assert_eq!(hash_epoch(&epoch).0, crate::key::sha256(&[b"antiphon-epoch/1", &encoding]));
    let next = epoch.next(hash_epoch(&epoch), Change::Join(member(2))).unwrap();
    let fork = epoch.next(EpochHash([0; 32]), Change::Join(member(2))).unwrap();
    assert_ne!(hash_epoch(&next), hash_epoch(&fork), "the hash covers the one before");
    let server = server_object_handle(&"one.example".parse().unwrap());
    assert_eq!(server.to_string(), "398000cbaad47e5b10207a5136358a0a");
}

/// A member with everything as long as it may be.
fn longest_member(number: u8) -> Member {
    let home = format!("{}.{}", "a".repeat(63), "b".repeat(36)).parse().unwrap();
    let types: Vec<_> = (0..16).map(|listed| format!("a/{listed:022}").parse().unwrap()).collect();
    Member {
        handle: UserHandle { id: ObjectHandle([number; 16]), home },
        accepts: types.try_into().unwrap(),
        ..member(number)
    }
}

#[test]
fn the_largest_welcome_fits_a_frame() {
    let members: Vec<Member> = (1..32).map(longest_member).collect();
    let [creator, .., newcomer] = members.as_slice() else { panic!("no members") };
    let session = SessionId([2; 32]);
    let origin = Origin { key: creator.key, nonce: Nonce([3; 16]) };
    let epoch = Epoch {
        change: Change::Join(newcomer.clone()),
        number: EpochNumber(u64::MAX),
        members: members.clone().into(),
        coordinator: creator.handle.clone(),
        ..Epoch::first(session, origin, creator.clone())
    };
    let joining = longest_member(40);
    let (issuer, holder) = (creator.handle.clone(), creator.handle.clone());
    let grant = Grant { change: Change::Join(joining.clone()), holder, epoch: epoch.number, ..grant() };
    let grant = sign(&keys()[0], &grant).unwrap();
    let ticket = Ticket { grant, issuer, newcomer: joining.handle, epoch: epoch.number, ..ticket() };
    let ticket = sign(&keys()[0], &ticket).unwrap();
    let body = InvitationBody::Welcome(Welcome { epoch: epoch.into(), ticket });
    let welcome = ClientMessage::Invitation(InvitationMessage { body, session });
    let frame = encode_message(&welcome).unwrap();
    assert!(frame.len() > 20_000, "{} bytes are not the largest", frame.len());
}
