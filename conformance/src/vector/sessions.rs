//! Epochs made from each other, and tickets judged by a member.

use antiphon_protocol::{cbor, signed::hash_epoch};
use antiphon_spec::{
    identity::{KeyHash, UserHandle},
    limits::SESSION_MEMBERS_MAX,
    media_type::MediaTypes,
    session::{
        Change, Epoch, EpochHash, EpochNumber, Grant, Member, Nonce, Origin, RelayTag, SessionId, Ticket,
    },
    signed::Signed,
    time::Timestamp,
};
use serde_json::json;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    samples::{handle, media_types},
    signed::{Parts, Signer},
};
use crate::case::Role;

/// The moment of the judgement.
const NOW: u64 = 1_800_000_000;

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let mut cases = Vec::new();
    chain(&mut cases)?;
    tickets(&mut cases)?;
    Ok(cases)
}

/// A member of the vectors whose key somebody holds.
pub(super) fn member(number: u8) -> Made<Member> {
    Ok(Member {
        key: Signer::new(number)?.key.key_hash(),
        relay: RelayTag([number; 16]),
        handle: handle(number)?,
        accepts: taken_by(number)?,
    })
}

/// The media types that members of the vectors take besides plain text.
fn taken_by(number: u8) -> Made<MediaTypes> {
    let types: &[&str] = match number {
        1 | 2 => &["image/png", "multipart/mixed"],
        3 => &["image/png"],
        _ => &[],
    };
    media_types(types)
}

/// An epoch with these members, the first of whom created the session and coordinates.
pub(super) fn epoch_of(numbers: &[u8]) -> Made<Epoch> {
    let (first, others) = numbers.split_first().ok_or_else(|| GeneratorError("no members".to_owned()))?;
    let creator = member(*first)?;
    let origin = Origin { key: creator.key, nonce: Nonce([8; 16]) };
    let mut epoch = Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, creator);
    for number in others {
        epoch =
            epoch.next(hash_epoch(&epoch), Change::Join(member(*number)?)).map_err(GeneratorError::new)?;
    }
    Ok(epoch)
}

fn encode<T: serde::Serialize>(value: &T) -> Made<Vec<u8>> {
    cbor::encode(value).map_err(GeneratorError::new)
}

fn chain(cases: &mut Vec<VectorCase>) -> Made<()> {
    let epoch = epoch_of(&[3, 1, 2])?;
    let next = |slug: &str, about: &str, epoch: &Epoch, change: &Change| -> Made<Draft> {
        let draft = Draft::new(
            format!("sessions/epoch-{slug}"),
            Role::Verifier,
            "next-epoch",
            &["SESS-013", "SESS-014"],
            about,
        );
        Ok(draft.bytes("epoch", &encode(epoch)?).input("change", hex::encode(encode(change)?)))
    };
    for (slug, about, change) in [
        ("join", "a newcomer joins, in the order of the handles", Change::Join(member(4)?)),
        ("join-lowest", "a newcomer with the lowest handle joins", Change::Join(member(0)?)),
        ("leave", "a member leaves", Change::Leave(handle(1)?)),
        ("remove", "a member is removed", Change::Remove(handle(2)?)),
        ("hand-over", "another member takes over", Change::HandOver(handle(1)?)),
        ("void", "a newcomer did not come", Change::Void(handle(9)?)),
    ] {
        let after = epoch.next(hash_epoch(&epoch), change.clone()).map_err(GeneratorError::new)?;
        let draft = next(slug, about, &epoch, &change)?.output("epoch", hex::encode(encode(&after)?));
        cases.push(draft.output("hash", hex::encode(hash_epoch(&after).0)).done());
    }
    let same_key = Member { handle: handle(9)?, ..member(1)? };
    let stranger = handle(9)?;
    for (slug, about, change, twin) in [
        ("create-again", "a session is created a second time", Change::Create(handle(1)?), "join"),
        ("join-member", "a member joins again", Change::Join(member(1)?), "join"),
        ("join-with-members-key", "a newcomer with the key of a member", Change::Join(same_key), "join"),
        ("leave-stranger", "somebody leaves who is no member", Change::Leave(stranger.clone()), "leave"),
        ("leave-coordinator", "the coordinator leaves", Change::Leave(handle(3)?), "leave"),
        (
            "remove-stranger",
            "somebody is removed who is no member",
            Change::Remove(stranger.clone()),
            "remove",
        ),
        ("remove-coordinator", "the coordinator is removed", Change::Remove(handle(3)?), "remove"),
        (
            "hand-over-stranger",
            "somebody takes over who is no member",
            Change::HandOver(stranger),
            "hand-over",
        ),
    ] {
        let draft = next(slug, about, &epoch, &change)?;
        cases.push(draft.reject(Phase::State, &["impossible"], format!("sessions/epoch-{twin}")).done());
    }
    let full: Vec<u8> = (0..u8::try_from(SESSION_MEMBERS_MAX).unwrap_or(0)).collect();
    let almost = epoch_of(full.get(..31).unwrap_or_default())?;
    let (last, one_more) = (Change::Join(member(31)?), Change::Join(member(32)?));
    let after = almost.next(hash_epoch(&almost), last.clone()).map_err(GeneratorError::new)?;
    cases.push(
        next("join-as-32nd", "the 32nd member joins", &almost, &last)?
            .output("hash", hex::encode(hash_epoch(&after).0))
            .done(),
    );
    let draft = next("join-as-33rd", "a 33rd member joins", &after, &one_more)?;
    cases.push(draft.reject(Phase::State, &["impossible"], "sessions/epoch-join-as-32nd").done());
    first(cases)
}

fn first(cases: &mut Vec<VectorCase>) -> Made<()> {
    let creator = member(1)?;
    let origin = Origin { key: creator.key, nonce: Nonce([8; 16]) };
    let first = Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, creator.clone());
    let draft = Draft::new(
        "sessions/epoch-first",
        Role::Verifier,
        "first-epoch",
        &["SESS-004"],
        "the first epoch of a session",
    );
    let draft =
        draft.input("creator", hex::encode(encode(&creator)?)).input("nonce", hex::encode(origin.nonce.0));
    cases.push(
        draft
            .output("epoch", hex::encode(encode(&first)?))
            .output("hash", hex::encode(hash_epoch(&first).0))
            .done(),
    );
    Ok(())
}

/// What a ticket is made of, each part to be made wrong. Members 1, 2 and 3; 1 coordinates, 2 invites, 4 comes.
struct Scene {
    epoch: Epoch,
    grant: Grant,
    ticket: Ticket,
    coordinator: Signer,
    issuer: Signer,
    peer: (UserHandle, KeyHash),
    /// Whose certificates the judge has verified.
    proved: Vec<u8>,
    now: u64,
}

impl Scene {
    fn new() -> Made<Self> {
        let epoch = epoch_of(&[1, 2, 3])?;
        let newcomer = member(4)?;
        let grant = Grant {
            chain: hash_epoch(&epoch),
            epoch: epoch.number,
            change: Change::Join(newcomer.clone()),
            holder: handle(2)?,
            session: epoch.session,
            not_after: Timestamp(NOW + 30),
        };
        let ticket = Ticket {
            key: newcomer.key,
            epoch: epoch.number,
            grant: Signed::from_bytes(Vec::new()),
            nonce: Nonce([7; 16]),
            issuer: handle(2)?,
            session: epoch.session,
            newcomer: newcomer.handle.clone(),
            not_after: Timestamp(NOW + 30),
        };
        let (coordinator, issuer) = (Signer::new(1)?, Signer::new(2)?);
        Ok(Self {
            epoch,
            grant,
            ticket,
            coordinator,
            issuer,
            peer: (newcomer.handle, newcomer.key),
            proved: (0..=9).collect(),
            now: NOW,
        })
    }

    fn ticket_bytes(&self) -> Made<Vec<u8>> {
        let grant = Parts::good(&self.coordinator, &self.grant)?.seal(&self.coordinator).encode();
        let ticket = Ticket { grant: Signed::from_bytes(grant), ..self.ticket.clone() };
        Ok(Parts::good(&self.issuer, &ticket)?.seal(&self.issuer).encode())
    }

    fn draft(&self, slug: &str, requirements: &[&str], about: &str, ticket: &[u8]) -> Made<Draft> {
        let keys: Vec<String> = self
            .proved
            .iter()
            .map(|&seed| Ok(hex::encode(Signer::new(seed)?.key.public_key_der())))
            .collect::<Made<_>>()?;
        let peer = json!({"handle": self.peer.0, "key": hex::encode(self.peer.1.0)});
        Ok(Draft::new(format!("sessions/ticket{slug}"), Role::Verifier, "judge-ticket", requirements, about)
            .input("epoch", hex::encode(encode(&self.epoch)?))
            .input("keys", keys)
            .input("peer", peer)
            .input("now", self.now)
            .bytes("hex", ticket))
    }
}

fn tickets(cases: &mut Vec<VectorCase>) -> Made<()> {
    let good = Scene::new()?;
    let newcomer = hex::encode(encode(&member(4)?)?);
    let accepted = |scene: &Scene, slug: &str, requirements: &[&str], about: &str| -> Made<VectorCase> {
        let draft = scene.draft(slug, requirements, about, &scene.ticket_bytes()?)?;
        Ok(draft.output("newcomer", newcomer.as_str()).done())
    };
    cases.push(accepted(&good, "", &["SESS-074", "SESS-059"], "a good ticket, shown by the newcomer")?);
    let late = Scene { now: NOW + 90, ..Scene::new()? };
    cases.push(accepted(
        &late,
        "-at-clock-skew",
        &["SESS-072", "LIM-001"],
        "a ticket 60 seconds past its end",
    )?);
    for (slug, requirement, code, about, change) in wrong() {
        let mut scene = Scene::new()?;
        change(&mut scene)?;
        let draft = scene.draft(&format!("-{slug}"), &[requirement], about, &scene.ticket_bytes()?)?;
        cases.push(draft.reject(Phase::Policy, &[code], "sessions/ticket").done());
    }
    unproved(cases)?;
    let good_ticket = good.ticket_bytes()?;
    let mut flipped = good_ticket.clone();
    flipped.iter_mut().rev().take(1).for_each(|byte| *byte ^= 0x10);
    for (slug, about, bytes) in [
        ("signature-changed", "one bit of the signature changed", flipped),
        (
            "cut-off",
            "a ticket without its last byte",
            good_ticket.get(..good_ticket.len() - 1).unwrap_or_default().to_vec(),
        ),
        ("garbage", "bytes that are no ticket", vec![0x84, 0, 0, 0, 0]),
    ] {
        let draft = good.draft(&format!("-{slug}"), &["SESS-067"], about, &bytes)?;
        cases.push(draft.reject(Phase::Auth, &["ticket-issuer"], "sessions/ticket").done());
    }
    Ok(())
}

/// Signatures that are good, under keys that no certificate has proved; and claims that are wrong under a bad signature.
fn unproved(cases: &mut Vec<VectorCase>) -> Made<()> {
    for (slug, code, about, who) in [
        ("issuer-not-proved", "ticket-issuer", "an issuer whose certificate nobody has verified", 2),
        ("coordinator-not-proved", "ticket-grant", "a coordinator whose certificate nobody has verified", 1),
    ] {
        let scene = Scene { proved: (0..=9).filter(|other| *other != who).collect(), ..Scene::new()? };
        let draft = scene.draft(&format!("-{slug}"), &["SIGN-011"], about, &scene.ticket_bytes()?)?;
        cases.push(draft.reject(Phase::Auth, &[code], "sessions/ticket").done());
    }
    type Wrong = fn(&mut Scene);
    let wrong: [(&str, &str, Wrong); 3] = [
        ("session", "session", |s| s.ticket.session = SessionId([1; 32])),
        ("epoch", "epoch", |s| s.ticket.epoch = EpochNumber(0)),
        ("time", "time", |s| s.now = NOW + 1_000),
    ];
    for (slug, what, change) in wrong {
        let mut scene = Scene { issuer: Signer::new(3)?, ..Scene::new()? };
        change(&mut scene);
        let about = format!(
            "a ticket that its issuer did not sign, whose {what} is wrong too: the signature counts first"
        );
        let draft = scene.draft(
            &format!("-unsigned-and-other-{slug}"),
            &["SIGN-012", "SESS-067"],
            &about,
            &scene.ticket_bytes()?,
        )?;
        cases.push(draft.reject(Phase::Auth, &["ticket-issuer"], "sessions/ticket").done());
    }
    Ok(())
}

type Wrong = (&'static str, &'static str, &'static str, &'static str, fn(&mut Scene) -> Made<()>);

fn wrong() -> Vec<Wrong> {
    vec![
        ("issuer-no-member", "SESS-067", "ticket-issuer", "an issuer who is no member", |s| {
            s.ticket.issuer = handle(5)?;
            s.grant.holder = handle(5)?;
            s.issuer = Signer::new(5)?;
            Ok(())
        }),
        (
            "issuer-named-not-signer",
            "SESS-067",
            "ticket-issuer",
            "a member signs in the name of another",
            |s| {
                s.issuer = Signer::new(3)?;
                Ok(())
            },
        ),
        (
            "signed-by-newcomer",
            "SESS-067",
            "ticket-issuer",
            "the newcomer signs in the name of a member",
            |s| {
                s.issuer = Signer::new(4)?;
                Ok(())
            },
        ),
        ("other-session", "SESS-068", "ticket-session", "a ticket for another session", |s| {
            s.ticket.session = SessionId([1; 32]);
            Ok(())
        }),
        ("earlier-epoch", "SESS-069", "ticket-epoch", "a ticket for an earlier epoch", |s| {
            s.ticket.epoch = EpochNumber(s.ticket.epoch.0 - 1);
            Ok(())
        }),
        ("later-epoch", "SESS-069", "ticket-epoch", "a ticket for a later epoch", |s| {
            s.ticket.epoch = s.ticket.epoch.next();
            Ok(())
        }),
        ("other-peer", "SESS-070", "ticket-peer", "shown by another user", |s| {
            s.peer = (handle(5)?, Signer::new(5)?.key.key_hash());
            Ok(())
        }),
        ("same-id-other-home", "SESS-070", "ticket-peer", "shown by the same user ID of another home", |s| {
            s.peer.0.home = handle(1)?.home;
            Ok(())
        }),
        ("other-key", "SESS-070", "ticket-peer", "shown by the newcomer with another key", |s| {
            s.peer.1 = Signer::new(5)?.key.key_hash();
            Ok(())
        }),
        ("for-other-key", "SESS-070", "ticket-peer", "a ticket for another key of the newcomer", |s| {
            s.ticket.key = Signer::new(5)?.key.key_hash();
            Ok(())
        }),
        (
            "grant-by-other-member",
            "SESS-071",
            "ticket-grant",
            "a grant by a member who does not coordinate",
            |s| {
                s.coordinator = Signer::new(3)?;
                Ok(())
            },
        ),
        ("grant-by-issuer", "SESS-071", "ticket-grant", "a grant by the issuer", |s| {
            s.coordinator = Signer::new(2)?;
            Ok(())
        }),
        ("grant-of-other-session", "SESS-071", "ticket-grant", "a grant for another session", |s| {
            s.grant.session = SessionId([1; 32]);
            Ok(())
        }),
        ("grant-of-earlier-epoch", "SESS-071", "ticket-grant", "a grant of an earlier epoch", |s| {
            s.grant.epoch = EpochNumber(s.grant.epoch.0 - 1);
            Ok(())
        }),
        ("grant-of-other-chain", "SESS-071", "ticket-grant", "a grant of another chain", |s| {
            s.grant.chain = EpochHash([1; 32]);
            Ok(())
        }),
        (
            "grant-to-other-holder",
            "SESS-071",
            "ticket-grant",
            "a grant to another member than the issuer",
            |s| {
                s.grant.holder = handle(3)?;
                Ok(())
            },
        ),
        ("grant-for-other-newcomer", "SESS-071", "ticket-grant", "a grant for another newcomer", |s| {
            s.grant.change = Change::Join(member(5)?);
            Ok(())
        }),
        ("grant-for-other-key", "SESS-071", "ticket-grant", "a grant for another key of the newcomer", |s| {
            s.grant.change = Change::Join(Member { key: KeyHash([1; 32]), ..member(4)? });
            Ok(())
        }),
        ("grant-for-leave", "SESS-071", "ticket-grant", "a grant for the issuer's leave", |s| {
            s.grant.change = Change::Leave(handle(2)?);
            Ok(())
        }),
        ("grant-for-void", "SESS-071", "ticket-grant", "a grant for a join that came to nothing", |s| {
            s.grant.change = Change::Void(handle(4)?);
            Ok(())
        }),
        (
            "outlives-grant",
            "SESS-071",
            "ticket-grant",
            "a ticket that is good for longer than its grant",
            |s| {
                s.ticket.not_after = Timestamp(NOW + 31);
                Ok(())
            },
        ),
        ("expired", "SESS-072", "ticket-expired", "a ticket 61 seconds past its end", |s| {
            s.now = NOW + 91;
            Ok(())
        }),
    ]
}
