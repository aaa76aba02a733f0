//! Frames, and the one deterministic encoding: what is refused before anybody asks which message it is.

use antiphon_protocol::channel::Channel;
use serde_json::json;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    messages::decode,
    node::{Entries, Node},
    samples::{self, Direction, channel_name},
};
use crate::case::Role;

const PING: &str = "encoding/ping";
const FRAME: &str = "encoding/frame";

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let mut cases = Vec::new();
    accepted(&mut cases);
    heads(&mut cases);
    orders(&mut cases)?;
    kinds(&mut cases);
    claims(&mut cases);
    texts(&mut cases);
    truncated(&mut cases)?;
    frames(&mut cases);
    Ok(cases)
}

fn to_server(id: &str, requirements: &[&str], about: &str, bytes: &[u8]) -> Draft {
    let draft = Draft::new(format!("encoding/{id}"), Role::Codec, "decode", requirements, about);
    decode(draft, Channel::ClientServer, Direction::FromDialler, bytes)
}

/// `{"ping": {"number": ..}}` with these bytes for the number.
fn ping_with(number: &[u8]) -> Vec<u8> {
    Node::message("ping", [("number", Node::Raw(number.to_vec()))]).encode()
}

fn accepted(cases: &mut Vec<VectorCase>) {
    for (id, about, number) in [
        ("ping", "the smallest number", 0),
        ("ping-23", "the greatest number inside a head", 23),
        ("ping-24", "the smallest number of one byte", 24),
        ("ping-255", "the greatest number of one byte", 255),
        ("ping-256", "the smallest number of two bytes", 256),
        ("ping-65536", "the smallest number of four bytes", 65_536),
        ("ping-4294967296", "the smallest number of eight bytes", 4_294_967_296),
        ("ping-18446744073709551615", "the greatest number", u64::MAX),
    ] {
        let bytes = Node::message("ping", [("number", Node::Unsigned(number))]).encode();
        cases.push(
            to_server(id, &["WIRE-016"], about, &bytes).output("reencoded", hex::encode(&bytes)).done(),
        );
    }
}

/// Heads in more bytes than they need, of indefinite length, or reserved.
fn heads(cases: &mut Vec<VectorCase>) {
    let map = |head: &[u8]| {
        [head, Node::text("ping").encode().as_slice(), &Node::map([("number", Node::Unsigned(1))]).encode()]
            .concat()
    };
    let body = |head: &[u8]| {
        [&[0xa1][..], &Node::text("ping").encode(), head, &Node::text("number").encode(), &[1]].concat()
    };
    let name = |head: &[u8]| {
        [&[0xa1][..], head, b"ping", &Node::map([("number", Node::Unsigned(1))]).encode()].concat()
    };
    for (id, requirement, about, bytes) in [
        (
            "number-in-1-byte-too-many",
            "WIRE-018",
            "23 in one byte more than it needs",
            ping_with(&[0x18, 23]),
        ),
        ("number-in-2-bytes", "WIRE-018", "255 in two bytes", ping_with(&[0x19, 0, 255])),
        ("number-in-4-bytes", "WIRE-018", "65535 in four bytes", ping_with(&[0x1a, 0, 0, 255, 255])),
        (
            "number-in-8-bytes",
            "WIRE-018",
            "4294967295 in eight bytes",
            ping_with(&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255]),
        ),
        ("zero-in-8-bytes", "WIRE-018", "0 in eight bytes", ping_with(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("map-head-too-long", "WIRE-018", "the count of the outer map in one byte", map(&[0xb8, 1])),
        ("inner-map-head-too-long", "WIRE-018", "the count of the body in two bytes", body(&[0xb9, 0, 1])),
        ("text-head-too-long", "WIRE-018", "the length of a text in one byte", name(&[0x78, 4])),
        (
            "text-head-in-8-bytes",
            "WIRE-018",
            "the length of a text in eight bytes",
            name(&[0x7b, 0, 0, 0, 0, 0, 0, 0, 4]),
        ),
        (
            "map-of-indefinite-length",
            "WIRE-019",
            "an outer map of indefinite length",
            [map(&[0xbf]).as_slice(), &[0xff]].concat(),
        ),
        (
            "inner-map-of-indefinite-length",
            "WIRE-019",
            "a body of indefinite length",
            [body(&[0xbf]).as_slice(), &[0xff]].concat(),
        ),
        (
            "text-of-indefinite-length",
            "WIRE-019",
            "a text in chunks",
            name(&[0x7f, 0x64])
                .iter()
                .flat_map(|b| if *b == b'g' { vec![b'g', 0xff] } else { vec![*b] })
                .collect(),
        ),
    ] {
        cases.push(
            to_server(id, &[requirement], about, &bytes)
                .reject(Phase::Decode, &["not-deterministic"], PING)
                .done(),
        );
    }
    for (id, about, number) in [
        ("reserved-head-28", "a reserved head", [0x1c]),
        ("reserved-head-29", "a reserved head", [0x1d]),
        ("reserved-head-30", "a reserved head", [0x1e]),
        ("indefinite-number", "a number of indefinite length, which there is not", [0x1f]),
        ("break-alone", "a break outside of anything indefinite", [0xff]),
    ] {
        cases.push(
            to_server(id, &["WIRE-017"], about, &ping_with(&number))
                .reject(Phase::Decode, &["malformed"], PING)
                .done(),
        );
    }
}

fn orders(cases: &mut Vec<VectorCase>) -> Made<()> {
    let samples = samples::all()?;
    let store = samples
        .iter()
        .find(|sample| sample.name == "store")
        .ok_or_else(|| GeneratorError("no store".to_owned()))?;
    let tree = Node::read(&store.bytes).ok_or_else(|| GeneratorError("no tree".to_owned()))?;
    let twin = "messages/server-server-to-store";
    let changed = |path: &[&str], change: &dyn Fn(&mut Entries)| {
        let mut tree = tree.clone();
        if let Some(entries) = tree.at(path).and_then(Node::entries) {
            change(entries);
        }
        tree.encode()
    };
    let double = |entries: &mut Entries| {
        if let Some(first) = entries.first().cloned() {
            entries.insert(1, first);
        }
    };
    for (id, requirement, about, bytes) in [
        (
            "keys-longer-first",
            "WIRE-020",
            "a longer key before a shorter one",
            changed(&["store"], &|entries| entries.swap(0, 1)),
        ),
        (
            "keys-of-one-length",
            "WIRE-020",
            "two keys of one length against their bytes",
            changed(&["store"], &|entries| entries.reverse()),
        ),
        (
            "keys-bytewise-without-length",
            "WIRE-020",
            "keys in the order of the alphabet",
            changed(&["store"], &|entries| {
                entries.sort_by_key(
                    |(key, _)| if let Node::Text(key) = key { key.clone() } else { String::new() },
                )
            }),
        ),
        (
            "inner-keys",
            "WIRE-020",
            "keys of an inner map against their order",
            changed(&["store", "messaging"], &|entries| entries.swap(0, 1)),
        ),
        ("key-twice", "WIRE-021", "a key twice, with one value", changed(&["store"], &double)),
        (
            "inner-key-twice",
            "WIRE-021",
            "a key of an inner map twice",
            changed(&["store", "messaging"], &double),
        ),
    ] {
        let draft = Draft::new(format!("encoding/{id}"), Role::Codec, "decode", &[requirement], about);
        let draft = decode(draft, Channel::ServerServer, Direction::FromDialler, &bytes);
        cases.push(draft.reject(Phase::Decode, &["not-deterministic"], twin).done());
    }
    let twice =
        Node::Map(vec![(Node::text("number"), Node::Unsigned(1)), (Node::text("number"), Node::Unsigned(2))]);
    let bytes = Node::map([("ping", twice)]).encode();
    cases.push(
        to_server("key-twice-other-value", &["WIRE-021"], "a key twice, with two values", &bytes)
            .reject(Phase::Decode, &["not-deterministic"], PING)
            .done(),
    );
    Ok(())
}

/// Kinds of items that no message has.
fn kinds(cases: &mut Vec<VectorCase>) {
    let ping = ping_with(&[0]);
    let nested =
        |open: &[u8], depth: usize, close: &[u8]| ping_with(&[open.repeat(depth).as_slice(), close].concat());
    for (id, requirement, about, bytes) in [
        ("tag-on-number", "WIRE-022", "a tag before a number", ping_with(&[0xc1, 1])),
        ("tag-bignum", "WIRE-022", "a number as a bignum", ping_with(&[0xc2, 0x41, 1])),
        (
            "tag-self-described",
            "WIRE-022",
            "the tag for self-described CBOR before the item",
            [&[0xd9, 0xd9, 0xf7][..], &ping].concat(),
        ),
        ("float-half", "WIRE-023", "a floating-point number of 16 bits", ping_with(&[0xf9, 0x3c, 0])),
        (
            "float-single",
            "WIRE-023",
            "a floating-point number of 32 bits",
            ping_with(&[0xfa, 0x3f, 0x80, 0, 0]),
        ),
        (
            "float-double",
            "WIRE-023",
            "a floating-point number of 64 bits",
            ping_with(&[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ),
        ("float-nan", "WIRE-023", "a floating-point number that is none", ping_with(&[0xf9, 0x7e, 0])),
        ("null", "WIRE-024", "null", ping_with(&[0xf6])),
        ("undefined", "WIRE-024", "undefined", ping_with(&[0xf7])),
        ("simple-0", "WIRE-024", "an unassigned simple value", ping_with(&[0xe0])),
        ("simple-255", "WIRE-024", "an unassigned simple value in two bytes", ping_with(&[0xf8, 0xff])),
        ("false-in-2-bytes", "WIRE-024", "false in two bytes", ping_with(&[0xf8, 0x14])),
        ("depth-arrays", "WIRE-025", "15 arrays inside two maps", nested(&[0x81], 15, &[0])),
        ("depth-maps", "WIRE-025", "15 maps inside two maps", nested(&[0xa1, 0x60], 15, &[0])),
        ("depth-bomb", "WIRE-025", "4000 arrays inside each other", nested(&[0x81], 4_000, &[0])),
        ("depth-bomb-alone", "WIRE-025", "4000 arrays and nothing else", [0x81].repeat(4_000)),
    ] {
        cases.push(
            to_server(id, &[requirement], about, &bytes).reject(Phase::Decode, &["malformed"], PING).done(),
        );
    }
}

/// Lengths and counts that the frame cannot hold.
fn claims(cases: &mut Vec<VectorCase>) {
    for (id, about, number) in [
        ("bytes-of-4-gigabytes", "a byte string that claims 4 GiB", &[0x5a, 0xff, 0xff, 0xff, 0xff][..]),
        (
            "bytes-of-all-memory",
            "a byte string that claims 2^64 - 1 bytes",
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("text-of-4-gigabytes", "a text that claims 4 GiB", &[0x7a, 0xff, 0xff, 0xff, 0xff]),
        ("array-of-4-billion", "an array that claims 4 billion elements", &[0x9a, 0xff, 0xff, 0xff, 0xff]),
        (
            "array-of-2-to-the-64",
            "an array that claims 2^64 - 1 elements",
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("map-of-4-billion", "a map that claims 4 billion entries", &[0xba, 0xff, 0xff, 0xff, 0xff]),
        ("map-of-2-to-the-63", "a map that claims 2^63 entries", &[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("bytes-one-too-few", "a byte string that claims one byte more than there is", &[0x42, 0]),
        ("array-one-too-few", "an array that claims one element more than there is", &[0x82, 0]),
    ] {
        cases.push(
            to_server(id, &["WIRE-027", "WIRE-028"], about, &ping_with(number))
                .reject(Phase::Decode, &["malformed"], PING)
                .done(),
        );
    }
}

fn texts(cases: &mut Vec<VectorCase>) {
    for (id, about, text) in [
        ("text-with-stray-byte", "a text with a byte that UTF-8 does not have", &[0x61, 0xff][..]),
        ("text-with-surrogate", "a text with half of a surrogate pair", &[0x63, 0xed, 0xa0, 0x80]),
        ("text-overlong", "a text with an overlong encoding", &[0x62, 0xc0, 0x80]),
        ("text-cut-off", "a text that ends inside a character", &[0x61, 0xc3]),
        ("text-beyond-unicode", "a text with a character beyond Unicode", &[0x64, 0xf4, 0x90, 0x80, 0x80]),
    ] {
        cases.push(
            to_server(id, &["WIRE-026"], about, &ping_with(text))
                .reject(Phase::Decode, &["malformed"], PING)
                .done(),
        );
    }
}

/// A message cut off behind each of its bytes, and with something behind it.
fn truncated(cases: &mut Vec<VectorCase>) -> Made<()> {
    let samples = samples::all()?;
    let login = samples
        .iter()
        .find(|sample| sample.name == "login")
        .ok_or_else(|| GeneratorError("no login".to_owned()))?;
    let twin = "messages/client-server-to-login";
    for length in 1..login.bytes.len() {
        let cut = login.bytes.get(..length).unwrap_or_default();
        let about = format!("a message that ends after {length} of its {} bytes", login.bytes.len());
        let draft = to_server(&format!("truncated-after-{length:02}"), &["WIRE-017"], &about, cut);
        cases.push(draft.reject(Phase::Decode, &["malformed"], twin).done());
    }
    for (id, about, more) in [
        ("trailing-zero", "a byte behind the item", &[0][..]),
        ("trailing-break", "a break behind the item", &[0xff]),
        ("trailing-item", "a second item behind the first", &login.bytes),
    ] {
        let bytes = [login.bytes.as_slice(), more].concat();
        cases.push(
            to_server(id, &["WIRE-017", "WIRE-011"], about, &bytes)
                .reject(Phase::Decode, &["malformed"], twin)
                .done(),
        );
    }
    Ok(())
}

fn frames(cases: &mut Vec<VectorCase>) {
    let frames = |id: &str, requirements: &[&str], about: &str, channel: Channel, stream: &[u8]| {
        let draft = Draft::new(format!("encoding/{id}"), Role::Codec, "frames", requirements, about);
        draft.input("channel", channel_name(channel)).input("hex", hex::encode(stream))
    };
    let frame =
        |item: &[u8]| [&(u32::try_from(item.len()).unwrap_or(u32::MAX)).to_be_bytes()[..], item].concat();
    let accepted = |draft: Draft, items: &[&[u8]], rest: usize| {
        let items: Vec<String> = items.iter().map(hex::encode).collect();
        draft.output("items", items).output("waiting", rest).done()
    };
    let ping = ping_with(&[0]);
    let one = frame(&ping);
    cases.push(accepted(
        frames("frame", &["WIRE-011"], "one frame", Channel::ClientServer, &one),
        &[&ping],
        0,
    ));
    let two = frames(
        "frames-two",
        &["WIRE-011", "WIRE-015"],
        "two frames, one after the other",
        Channel::ClientServer,
        &one.repeat(2),
    );
    cases.push(accepted(two, &[&ping, &ping], 0));
    let part = one.get(..one.len() - 1).unwrap_or_default();
    let part = frames(
        "frame-incomplete",
        &["WIRE-015"],
        "a frame whose last byte has not come",
        Channel::ClientServer,
        part,
    );
    cases.push(accepted(part, &[], one.len() - 1));
    let big = vec![0; Channel::Registration.frame_bytes_max()];
    let big_frame = frames(
        "frame-at-cap",
        &["WIRE-013", "LIM-001"],
        "a frame as long as the channel allows",
        Channel::Registration,
        &frame(&big),
    );
    cases.push(accepted(big_frame, &[&big], 0));
    let empty =
        frames("frame-empty", &["WIRE-012"], "a frame of length 0", Channel::ClientServer, &[0, 0, 0, 0]);
    cases.push(empty.reject(Phase::Decode, &["frame-length"], FRAME).done());
    let behind = frames(
        "frame-empty-behind-a-good-one",
        &["WIRE-012"],
        "a frame of length 0 behind a good one",
        Channel::ClientServer,
        &[one.as_slice(), &[0, 0, 0, 0]].concat(),
    );
    cases.push(behind.reject(Phase::Decode, &["frame-length"], FRAME).done());
    for channel in Channel::ALL {
        let name = channel_name(channel);
        let cap = u32::try_from(channel.frame_bytes_max()).unwrap_or(u32::MAX);
        let at = frames(
            &format!("frame-head-at-cap-{name}"),
            &["WIRE-013", "LIM-001"],
            "the head of a frame as long as the channel allows",
            channel,
            &cap.to_be_bytes(),
        );
        cases.push(at.output("items", json!([])).output("waiting", 4).done());
        for (slug, length) in
            [("above-cap", cap + 1), ("of-2-gigabytes", 0x8000_0000), ("of-4-gigabytes", u32::MAX)]
        {
            let id = format!("frame-head-{slug}-{name}");
            let draft = frames(
                &id,
                &["WIRE-013"],
                "the head of a frame that is too long, without its bytes",
                channel,
                &length.to_be_bytes(),
            );
            cases.push(
                draft
                    .reject(Phase::Decode, &["frame-length"], format!("encoding/frame-head-at-cap-{name}"))
                    .done(),
            );
        }
    }
}
