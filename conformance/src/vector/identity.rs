//! Identifiers in their one form, public keys, values derived from them, and the judgement of preferences.

use antiphon_protocol::{
    cbor,
    channel::Channel,
    key::KeyPair,
    signed::{hash_epoch, server_object_handle, session_id},
};
use antiphon_spec::{
    identity::{KeyHash, ObjectHandle, UserHandle},
    policy::{HandleSet, Preferences, Verdict},
    session::{Nonce, Origin},
};
use serde_json::json;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    messages::decode,
    node::Node,
    samples::{Direction, epoch, handle},
};
use crate::case::Role;

const ID: &str = "00112233445566778899aabbccddeeff";

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let mut cases = Vec::new();
    handles(&mut cases);
    addresses(&mut cases);
    lists(&mut cases);
    media_types(&mut cases);
    keys(&mut cases)?;
    derived(&mut cases)?;
    judged(&mut cases)?;
    Ok(cases)
}

fn message(id: &str, requirements: &[&str], about: &str, node: &Node) -> Draft {
    let draft = Draft::new(format!("identity/{id}"), Role::Codec, "decode", requirements, about);
    decode(draft, Channel::ClientServer, Direction::FromDialler, &node.encode())
}

fn accepted(id: &str, requirements: &[&str], about: &str, node: &Node) -> VectorCase {
    message(id, requirements, about, node).output("reencoded", hex::encode(node.encode())).done()
}

fn handles(cases: &mut Vec<VectorCase>) {
    let lookup =
        |handle: &str| Node::message("lookup", [("id", Node::Unsigned(1)), ("user", Node::text(handle))]);
    let long = |last: usize| format!("{ID}@{0}.{0}.{0}.{1}", "a".repeat(24), "b".repeat(last));
    let label = |length: usize| format!("{ID}@{}.example", "a".repeat(length));
    let with = |home: &str| format!("{ID}@{home}");
    for (id, about, text) in [
        ("handle", "a user handle", with("one.example")),
        ("handle-single-label", "a home server of one label", with("localhost")),
        ("handle-label-of-63", "a label of 63 characters", label(63)),
        ("handle-name-of-100", "a server name of 100 characters", long(25)),
        ("handle-digits-inside", "labels of digits before the last", with("1.2.example")),
        ("handle-hyphens-inside", "hyphens inside a label", with("a--b.example")),
    ] {
        cases.push(accepted(id, &["LIM-001", "IDENT-005", "IDENT-007"], about, &lookup(&text)));
    }
    for (id, requirement, about, text) in [
        (
            "handle-capital-digits",
            "IDENT-002",
            "hexadecimal digits in capitals",
            format!("{}@one.example", ID.to_uppercase()),
        ),
        (
            "handle-31-digits",
            "IDENT-002",
            "31 hexadecimal digits",
            format!("{}@one.example", ID.get(1..).unwrap_or_default()),
        ),
        ("handle-33-digits", "IDENT-002", "33 hexadecimal digits", format!("0{ID}@one.example")),
        (
            "handle-other-digit",
            "IDENT-002",
            "a digit that is not hexadecimal",
            format!("g{}@one.example", ID.get(1..).unwrap_or_default()),
        ),
        ("handle-without-home", "IDENT-007", "no home server", ID.to_owned()),
        ("handle-empty-home", "IDENT-007", "an empty home server", with("")),
        ("handle-two-signs", "IDENT-007", "two signs @", with("@one.example")),
        ("handle-space", "IDENT-007", "a space behind the handle", with("one.example ")),
        ("name-capital", "IDENT-006", "a capital in the server name", with("One.example")),
        ("name-trailing-dot", "IDENT-006", "a dot behind the server name", with("one.example.")),
        ("name-leading-dot", "IDENT-005", "a dot before the server name", with(".one.example")),
        ("name-empty-label", "IDENT-005", "two dots in the server name", with("one..example")),
        ("name-label-of-64", "IDENT-005", "a label of 64 characters", label(64)),
        ("name-of-101", "IDENT-005", "a server name of 101 characters", long(26)),
        ("name-hyphen-first", "IDENT-005", "a label that begins with a hyphen", with("-one.example")),
        ("name-hyphen-last", "IDENT-005", "a label that ends with a hyphen", with("one-.example")),
        ("name-underscore", "IDENT-005", "an underscore in the server name", with("o_e.example")),
        ("name-not-ascii", "IDENT-005", "a server name with a letter beyond ASCII", with("\u{f6}ne.example")),
        ("name-digits-last", "IDENT-005", "a last label of digits", with("one.1")),
        ("name-ip-address", "IDENT-005", "an IP address as server name", with("192.0.2.1")),
        ("name-with-port", "IDENT-005", "a server name with a port", with("one.example:443")),
    ] {
        cases.push(
            message(id, &[requirement, "WIRE-033"], about, &lookup(&text))
                .reject(Phase::Schema, &["malformed"], "identity/handle")
                .done(),
        );
    }
    let issued = |bytes: usize| {
        Node::message("check-out", [("id", Node::Unsigned(1)), ("user", Node::Bytes(vec![7; bytes]))])
    };
    let peer = |id: &str, bytes: usize, about: &str| {
        let draft = Draft::new(format!("identity/{id}"), Role::Codec, "decode", &["IDENT-001"], about);
        decode(draft, Channel::ServerServer, Direction::FromDialler, &issued(bytes).encode())
    };
    cases.push(
        peer("object-handle", 16, "an object handle of 16 bytes")
            .output("reencoded", hex::encode(issued(16).encode()))
            .done(),
    );
    for length in [0, 15, 17, 32] {
        let draft = peer(&format!("object-handle-of-{length}"), length, "an object handle of another length");
        cases.push(draft.reject(Phase::Schema, &["malformed"], "identity/object-handle").done());
    }
}

fn addresses(cases: &mut Vec<VectorCase>) {
    let login =
        |address: &str| Node::message("login", [("id", Node::Unsigned(1)), ("address", Node::text(address))]);
    for (id, text) in [
        ("address-ipv4", "192.0.2.1:5000"),
        ("address-ipv6", "[2001:db8::1]:5000"),
        ("address-ipv6-loopback", "[::1]:65535"),
        ("address-port-1", "127.0.0.1:1"),
        ("address-ipv6-mapped", "[::ffff:192.0.2.1]:5000"),
    ] {
        cases.push(accepted(id, &["IDENT-013"], "a contact address", &login(text)));
    }
    for (id, about, text) in [
        ("address-host-name", "a host name", "one.example:5000"),
        ("address-localhost", "a host name of one label", "localhost:5000"),
        ("address-without-port", "no port", "192.0.2.1"),
        ("address-empty-port", "an empty port", "192.0.2.1:"),
        ("address-port-0", "port 0", "192.0.2.1:0"),
        ("address-port-65536", "a port beyond 65535", "192.0.2.1:65536"),
        ("address-port-with-zero", "a port with a leading zero", "192.0.2.1:05000"),
        ("address-port-with-sign", "a port with a sign", "192.0.2.1:+5000"),
        ("address-ipv4-with-zero", "an IPv4 address with a leading zero", "192.0.02.1:5000"),
        ("address-ipv4-short", "an IPv4 address of three numbers", "192.0.2:5000"),
        ("address-ipv6-bare", "an IPv6 address without brackets", "2001:db8::1:5000"),
        ("address-ipv6-capitals", "an IPv6 address in capitals", "[2001:DB8::1]:5000"),
        ("address-ipv6-full", "an IPv6 address in its long form", "[2001:db8:0:0:0:0:0:1]:5000"),
        ("address-ipv6-zeros", "an IPv6 address with leading zeros", "[2001:0db8::1]:5000"),
        ("address-ipv6-zone", "an IPv6 address with a zone", "[fe80::1%1]:5000"),
        ("address-space", "a space before the address", " 192.0.2.1:5000"),
        ("address-empty", "nothing", ""),
    ] {
        cases.push(
            message(id, &["IDENT-014", "IDENT-013"], about, &login(text))
                .reject(Phase::Schema, &["malformed"], "identity/address-ipv4")
                .done(),
        );
    }
}

/// Lists of preferences: their order and length.
fn lists(cases: &mut Vec<VectorCase>) {
    let text = |number: usize| Node::Text(format!("{number:032x}@one.example"));
    let set = |handles: Vec<Node>| {
        let lists = Node::map([
            ("deny", Node::Array(handles)),
            ("allow", Node::Array(vec![])),
            ("default", Node::text("allow")),
        ]);
        Node::message(
            "set-preferences",
            [("id", Node::Unsigned(1)), ("version", Node::Unsigned(0)), ("messaging", lists)],
        )
    };
    let many = |count: usize| (0..count).map(text).collect::<Vec<_>>();
    cases.push(accepted("list-empty", &["PREF-006"], "empty lists", &set(vec![])));
    cases.push(accepted("list-of-200", &["LIM-001", "PREF-005"], "a list of 200 handles", &set(many(200))));
    let same_id = |home: &str| Node::Text(format!("{:032x}@{home}", 1));
    cases.push(accepted(
        "list-two-homes",
        &["IDENT-008", "IDENT-009"],
        "one user ID at two home servers, in order",
        &set(vec![same_id("a.example"), same_id("b.example")]),
    ));
    for (id, requirement, about, handles) in [
        ("list-of-201", "PREF-005", "a list of 201 handles", many(201)),
        ("list-with-repetition", "PREF-006", "a handle twice", vec![text(1), text(1)]),
        ("list-descending", "PREF-006", "handles against their order", vec![text(2), text(1)]),
        (
            "list-homes-descending",
            "PREF-006",
            "one user ID, home servers against their order",
            vec![same_id("b.example"), same_id("a.example")],
        ),
    ] {
        cases.push(
            message(id, &[requirement], about, &set(handles))
                .reject(Phase::Schema, &["malformed"], "identity/list-of-200")
                .done(),
        );
    }
}

const P256_PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const ED25519_PREFIX: &str = "302a300506032b6570032100";
/// The base point of P-256 (FIPS 186-5), as anybody's public key.
const P256_X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const P256_Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// Lists of media types in the step `join`.
fn media_types(cases: &mut Vec<VectorCase>) {
    let join = |types: Vec<Node>| {
        let join = Node::map([("relay", Node::Bytes(vec![3; 16])), ("accepts", Node::Array(types))]);
        let body = Node::map([("join", join)]);
        Node::message("invitation", [("body", body), ("session", Node::Bytes(vec![9; 32]))])
    };
    let draft = |id: &str, about: &str, types: Vec<Node>| {
        let draft = Draft::new(format!("identity/{id}"), Role::Codec, "decode", &["SESS-174"], about);
        decode(draft, Channel::ClientClient, Direction::FromDialler, &join(types).encode())
    };
    let texts = |types: &[&str]| types.iter().map(|text| Node::text(text)).collect::<Vec<_>>();
    let many =
        |count: usize| (0..count).map(|number| Node::Text(format!("a/{number:02}"))).collect::<Vec<_>>();
    let long = |last: usize| {
        let mut types: Vec<_> =
            (0..3).map(|number| Node::Text(format!("{number}/{}", "b".repeat(94)))).collect();
        types.push(Node::Text(format!("3/{}", "b".repeat(last))));
        types
    };
    for (id, about, types) in [
        ("media-types-none", "plain text alone", vec![]),
        ("media-types", "two media types", texts(&["image/svg+xml", "multipart/mixed"])),
        ("media-types-of-16", "16 media types", many(16)),
        ("media-types-of-384-bytes", "media types of 384 bytes in all", long(94)),
        (
            "media-type-of-255-bytes",
            "the longest media type",
            vec![Node::Text(["a", "b"].map(|c| c.repeat(127)).join("/"))],
        ),
    ] {
        let reencoded = hex::encode(join(types.clone()).encode());
        cases.push(draft(id, about, types).output("reencoded", reencoded).done());
    }
    for (id, about, types) in [
        (
            "media-types-descending",
            "media types against their order",
            texts(&["multipart/mixed", "image/png"]),
        ),
        ("media-types-with-repetition", "a media type twice", texts(&["image/png", "image/png"])),
        ("media-types-of-17", "17 media types", many(17)),
        ("media-types-of-385-bytes", "media types of 385 bytes in all", long(95)),
        ("media-types-with-plain-text", "plain text in the list", texts(&["text/plain"])),
        ("media-type-in-capitals", "a media type in capitals", texts(&["image/PNG"])),
        ("media-type-with-parameter", "a media type with a parameter", texts(&["text/html; charset=utf-8"])),
        ("media-type-without-subtype", "a type without a subtype", texts(&["image"])),
        ("media-type-with-empty-subtype", "a type with an empty subtype", texts(&["image/"])),
        ("media-type-with-wildcard", "a wildcard", texts(&["image/*"])),
        ("media-type-with-two-slashes", "two slashes", texts(&["a/b/c"])),
        ("media-type-too-long", "a subtype of 128 bytes", vec![Node::Text(format!("a/{}", "b".repeat(128)))]),
    ] {
        cases.push(
            draft(id, about, types).reject(Phase::Schema, &["malformed"], "identity/media-types").done(),
        );
    }
}

fn keys(cases: &mut Vec<VectorCase>) -> Made<()> {
    let key = |id: &str, requirements: &[&str], about: &str, hex: String| {
        Draft::new(format!("identity/{id}"), Role::Verifier, "key-hash", requirements, about)
            .input("key", hex)
    };
    let hash = |hex: &str| -> Made<String> {
        let bytes = hex::decode(hex).map_err(GeneratorError::new)?;
        Ok(hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes)))
    };
    let ed25519 = hex::encode(KeyPair::from_seed(&[1; 32]).map_err(GeneratorError::new)?.public_key_der());
    let p256 = format!("{P256_PREFIX}04{P256_X}{P256_Y}");
    for (id, about, hex) in [("key-ed25519", "an Ed25519 key", &ed25519), ("key-p256", "a P-256 key", &p256)]
    {
        cases
            .push(key(id, &["IDENT-012", "IDENT-010"], about, hex.clone()).output("hash", hash(hex)?).done());
    }
    let point = |text: &str| format!("{ED25519_PREFIX}{text}");
    let small = |low: &str, rest: &str, high: &str| point(&format!("{low}{}{high}", rest.repeat(30)));
    for (id, requirement, about, hex) in [
        (
            "key-p256-compressed",
            "IDENT-010",
            "a compressed point",
            format!("3039301306072a8648ce3d020106082a8648ce3d03010703220003{P256_X}"),
        ),
        (
            "key-p256-off-curve",
            "IDENT-011",
            "a point that is not on the curve",
            format!("{P256_PREFIX}04{P256_X}{}", P256_Y.replace("51f5", "51f6")),
        ),
        (
            "key-p256-hybrid",
            "IDENT-010",
            "a point in hybrid form",
            format!("{P256_PREFIX}07{P256_X}{P256_Y}"),
        ),
        ("key-with-trailing-byte", "IDENT-010", "a byte behind the key", format!("{ed25519}00")),
        (
            "key-cut-off",
            "IDENT-010",
            "a key without its last byte",
            ed25519.get(..ed25519.len() - 2).unwrap_or_default().to_owned(),
        ),
        (
            "key-raw",
            "IDENT-010",
            "the 32 bytes of a key alone",
            ed25519.get(24..).unwrap_or_default().to_owned(),
        ),
        (
            "key-ed25519-with-null",
            "IDENT-010",
            "an algorithm with parameters",
            format!("302c300706032b65700500032100{}", ed25519.get(24..).unwrap_or_default()),
        ),
        (
            "key-x25519",
            "IDENT-010",
            "a key for another purpose",
            format!("302a300506032b656e032100{}", ed25519.get(24..).unwrap_or_default()),
        ),
        (
            "key-long-form-length",
            "IDENT-010",
            "a length in more bytes than it needs",
            format!("30812a300506032b6570032100{}", ed25519.get(24..).unwrap_or_default()),
        ),
        ("key-empty", "IDENT-010", "nothing", String::new()),
        ("key-small-order-identity", "IDENT-011", "the neutral point", small("01", "00", "00")),
        ("key-small-order-zero", "IDENT-011", "a point of order 4", small("00", "00", "00")),
        ("key-small-order-minus-one", "IDENT-011", "the point of order 2", small("ec", "ff", "7f")),
        (
            "key-above-prime",
            "IDENT-010",
            "a point whose coordinate is 3, written as 3 above the prime",
            small("f0", "ff", "7f"),
        ),
        (
            "key-small-order-eight",
            "IDENT-011",
            "a point of order 8",
            point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        ),
    ] {
        cases.push(
            key(id, &[requirement], about, hex)
                .reject(Phase::Schema, &["malformed"], "identity/key-ed25519")
                .done(),
        );
    }
    Ok(())
}

fn derived(cases: &mut Vec<VectorCase>) -> Made<()> {
    for name in ["one.example", "localhost", "xn--bcher-kva.example"] {
        let parsed = name.parse().map_err(GeneratorError::new)?;
        let draft = Draft::new(
            format!("identity/server-handle-of-{}", name.replace('.', "-")),
            Role::Verifier,
            "server-handle",
            &["IDENT-004"],
            "a server's own object handle",
        );
        cases.push(
            draft.input("name", name).output("handle", server_object_handle(&parsed).to_string()).done(),
        );
    }
    let draft = Draft::new(
        "identity/well-known-handle",
        Role::Verifier,
        "well-known-handle",
        &["IDENT-003"],
        "the handle under which all servers are registered",
    );
    cases.push(draft.output("handle", hex::encode(ObjectHandle::SERVERS.0)).done());
    for number in [0u8, 1, 255] {
        let origin = Origin { key: KeyHash([number; 32]), nonce: Nonce([number ^ 0x5a; 16]) };
        let draft = Draft::new(
            format!("identity/session-id-{number}"),
            Role::Verifier,
            "session-id",
            &["SESS-002"],
            "the session ID of an origin",
        );
        let draft = draft.input("key", hex::encode(origin.key.0)).input("nonce", hex::encode(origin.nonce.0));
        cases.push(draft.output("session", session_id(&origin).to_string()).done());
    }
    let epoch = epoch()?;
    let bytes = cbor::encode(&epoch).map_err(GeneratorError::new)?;
    let draft = Draft::new(
        "identity/epoch-hash",
        Role::Verifier,
        "epoch-hash",
        &["SESS-014"],
        "the hash of an epoch",
    )
    .bytes("epoch", &bytes);
    cases.push(draft.output("hash", hex::encode(hash_epoch(&epoch).0)).done());
    Ok(())
}

fn judged(cases: &mut Vec<VectorCase>) -> Made<()> {
    let asker = handle(1)?;
    let other_home = UserHandle { home: handle(2)?.home, id: asker.id };
    for default in [Verdict::Allow, Verdict::Deny] {
        for (slug, deny, allow) in [
            ("on-no-list", None, None),
            ("on-deny-list", Some(&asker), None),
            ("on-allow-list", None, Some(&asker)),
            ("on-both-lists", Some(&asker), Some(&asker)),
            ("of-other-home-on-deny-list", Some(&other_home), None),
            ("of-other-home-on-allow-list", None, Some(&other_home)),
        ] {
            let set = |handle: Option<&UserHandle>| {
                HandleSet::try_from(handle.into_iter().cloned().collect::<Vec<_>>())
                    .map_err(GeneratorError::new)
            };
            let preferences = Preferences { deny: set(deny)?, allow: set(allow)?, default };
            // The table of the chapter, written down once more.
            let expected = match (deny == Some(&asker), allow == Some(&asker), default) {
                (true, _, _) | (false, false, Verdict::Deny) => "deny",
                (false, true, _) | (false, false, Verdict::Allow) => "allow",
            };
            let name = if default == Verdict::Allow { "allow" } else { "deny" };
            let requirement = if slug.starts_with("of-other") { "PREF-002" } else { "PREF-001" };
            let bytes = cbor::encode(&preferences).map_err(GeneratorError::new)?;
            let draft = Draft::new(
                format!("identity/judge-default-{name}-{slug}"),
                Role::Verifier,
                "judge",
                &[requirement],
                "preferences judge an asker",
            );
            cases.push(
                draft
                    .bytes("preferences", &bytes)
                    .input("asker", json!(asker))
                    .output("judgement", expected)
                    .done(),
            );
        }
    }
    Ok(())
}
