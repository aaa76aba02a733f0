//! Every message, good, and with each single thing wrong that its grammar excludes.

use antiphon_protocol::channel::Channel;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    node::Node,
    samples::{self, Direction, Sample, channel_name},
};
use crate::case::Role;

/// A key that comes after all others of its map, and that no message has.
const UNKNOWN_FIELD: &str = "zzzzzzzzzzzzzzzzzzzzzzz";

/// The messages that every channel has; their faults are shown on one channel.
const LINK_MESSAGES: [&str; 5] = ["greeting", "ping", "pong", "goodbye", "error"];

pub(super) fn cases() -> Made<Vec<VectorCase>> {
    let samples = samples::all()?;
    let mut cases = Vec::new();
    for sample in &samples {
        cases.push(accepted(sample));
        let is_link = LINK_MESSAGES.contains(&sample.name.as_str());
        if !is_link || sample.channel == Channel::ServerServer {
            let tree = Node::read(&sample.bytes).ok_or_else(|| GeneratorError(sample.name.clone()))?;
            faults(sample, &tree, &mut cases);
        }
        if !is_link && !is_of_both_ends(sample) {
            cases.push(wrong_direction(sample));
        }
    }
    shapes(&mut cases);
    counts(&mut cases);
    Ok(cases)
}

/// Whether both ends of the channel may send such a message.
fn is_of_both_ends(sample: &Sample) -> bool {
    match sample.channel {
        Channel::ClientClient => true,
        Channel::ClientServer => {
            ["relay-opened", "relay-data", "relay-credit", "relay-close"].contains(&sample.name.as_str())
        }
        Channel::ServerServer => {
            ["relay-data", "relay-credit", "relay-close"].contains(&sample.name.as_str())
        }
        Channel::Registration | Channel::Location => false,
    }
}

fn id(sample: &Sample) -> String {
    let side = match sample.direction {
        Direction::FromDialler => "to",
        Direction::FromAcceptor => "from",
    };
    format!("messages/{}-{side}-{}", channel_name(sample.channel), sample.name)
}

/// A question to the decoder of one direction of a channel.
pub(super) fn decode(draft: Draft, channel: Channel, direction: Direction, bytes: &[u8]) -> Draft {
    draft.input("channel", channel_name(channel)).input("direction", direction.as_str()).bytes("hex", bytes)
}

fn accepted(sample: &Sample) -> VectorCase {
    let about = format!(
        "`{}` on the {} channel is read, and encoded again it gives the same bytes",
        sample.name, sample.channel
    );
    let draft = Draft::new(id(sample), Role::Codec, "decode", &["WIRE-016", "WIRE-029"], about);
    decode(draft, sample.channel, sample.direction, &sample.bytes)
        .output("reencoded", hex::encode(&sample.bytes))
        .done()
}

fn wrong_direction(sample: &Sample) -> VectorCase {
    let other = match sample.direction {
        Direction::FromDialler => Direction::FromAcceptor,
        Direction::FromAcceptor => Direction::FromDialler,
    };
    // `refused` and the like exist in one direction only on these channels.
    let about = format!("`{}` comes from the wrong end", sample.name);
    let draft =
        Draft::new(format!("{}-wrong-direction", id(sample)), Role::Codec, "decode", &["WIRE-030"], about);
    decode(draft, sample.channel, other, &sample.bytes)
        .reject(Phase::Schema, &["malformed"], id(sample))
        .done()
}

/// Each field left out, each with a value of another type, and one field too many.
fn faults(sample: &Sample, tree: &Node, cases: &mut Vec<VectorCase>) {
    let reject = |slug: String, requirement: &str, about: String, node: &Node| {
        let draft =
            Draft::new(format!("{}-{slug}", id(sample)), Role::Codec, "decode", &[requirement], about);
        decode(draft, sample.channel, sample.direction, &node.encode())
            .reject(Phase::Schema, &["malformed"], id(sample))
            .done()
    };
    let mut paths = Vec::new();
    fields(tree, &mut Vec::new(), &mut paths);
    for path in &paths {
        let Some((name, parent)) = path.split_last() else { continue };
        let parent: Vec<&str> = parent.iter().map(String::as_str).collect();
        let full: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = path.get(1..).unwrap_or_default().join(".");
        let mut missing = tree.clone();
        if let Some(entries) = missing.at(&parent).and_then(Node::entries) {
            entries.retain(|(key, _)| *key != Node::text(name));
        }
        cases.push(reject(
            format!("without-{place}"),
            "WIRE-032",
            format!("`{}` lacks `{place}`", sample.name),
            &missing,
        ));
        let mut other = tree.clone();
        if let Some(value) = other.at(&full) {
            *value = of_another_type(value);
        }
        let about = format!("`{place}` of `{}` is of another type", sample.name);
        cases.push(reject(format!("{place}-of-another-type"), "WIRE-033", about, &other));
    }
    let mut more = tree.clone();
    if let Some((_, body)) = more.entries().and_then(|entries| entries.first_mut())
        && let Some(entries) = body.entries()
    {
        entries.push((Node::text(UNKNOWN_FIELD), Node::Unsigned(0)));
    }
    cases.push(reject(
        "unknown-field".to_owned(),
        "WIRE-031",
        format!("`{}` has a field that the grammar does not have", sample.name),
        &more,
    ));
}

/// The paths of all fields below the message's name. Below a choice, the name of the alternative is no field.
fn fields(node: &Node, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let Node::Map(entries) = node else { return };
    // A message and a choice inside a body are maps with one entry, whose key is a name and not a field.
    let is_choice =
        path.is_empty() || matches!(path.last().map(String::as_str), Some("body" | "change" | "called"));
    for (key, value) in entries {
        let Node::Text(key) = key else { continue };
        path.push(key.clone());
        if !is_choice {
            paths.push(path.clone());
        }
        fields(value, path, paths);
        path.pop();
    }
}

fn of_another_type(value: &Node) -> Node {
    match value {
        Node::Unsigned(_) | Node::Negative(_) | Node::Raw(_) => Node::text("1"),
        Node::Text(_) | Node::Bool(_) => Node::Unsigned(1),
        Node::Bytes(_) => Node::text("bytes"),
        Node::Array(_) => Node::Map(Vec::new()),
        Node::Map(_) => Node::Array(Vec::new()),
    }
}

/// Bytes and credit of relayed links, at their bounds and beyond.
fn counts(cases: &mut Vec<VectorCase>) {
    let data = |count: usize| {
        Node::message("relay-data", [("link", Node::Unsigned(1)), ("bytes", Node::Bytes(vec![7; count]))])
    };
    let credit = |count: u64| {
        Node::message("relay-credit", [("link", Node::Unsigned(1)), ("bytes", Node::Unsigned(count))])
    };
    let read = |slug: &str, requirement: &str, about: &str, node: &Node| {
        let draft = Draft::new(format!("messages/{slug}"), Role::Codec, "decode", &[requirement], about);
        decode(draft, Channel::ClientServer, Direction::FromDialler, &node.encode())
    };
    for (slug, about, node) in [
        ("relay-data-of-one-byte", "a byte on a relayed link", data(1)),
        ("relay-data-at-the-bound", "as many bytes as one message may carry", data(16_384)),
        ("relay-credit-at-the-bound", "credit for a whole window", credit(32_768)),
    ] {
        let draft = read(slug, "LIM-001", about, &node);
        cases.push(draft.output("reencoded", hex::encode(node.encode())).done());
    }
    for (slug, about, node, twin) in [
        ("relay-data-empty", "no bytes on a relayed link", data(0), "messages/relay-data-of-one-byte"),
        (
            "relay-data-above-the-bound",
            "more bytes than one message may carry",
            data(16_385),
            "messages/relay-data-at-the-bound",
        ),
        ("relay-credit-for-nothing", "credit for no bytes", credit(0), "messages/relay-credit-at-the-bound"),
        (
            "relay-credit-above-the-bound",
            "credit for more than a window",
            credit(32_769),
            "messages/relay-credit-at-the-bound",
        ),
    ] {
        let draft = read(slug, "WIRE-033", about, &node);
        cases.push(draft.reject(Phase::Schema, &["malformed"], twin).done());
    }
}

/// What is no message at all.
fn shapes(cases: &mut Vec<VectorCase>) {
    const TWIN: &str = "messages/client-server-to-ping";
    let ping = || (Node::text("ping"), Node::map([("number", Node::Unsigned(1))]));
    let pong = || (Node::text("pong"), Node::map([("number", Node::Unsigned(1))]));
    let name = |name: &str| Node::message(name, [("number", Node::Unsigned(1))]);
    for (slug, requirement, about, node) in [
        ("unknown-name", "WIRE-030", "a message of an unknown name", name("pink")),
        ("name-in-other-case", "WIRE-030", "a message's name with a capital", name("Ping")),
        ("empty-name", "WIRE-030", "a message with an empty name", name("")),
        (
            "name-of-another-channel",
            "WIRE-030",
            "a message of another channel",
            Node::message("check-in", [("id", Node::Unsigned(1))]),
        ),
        ("empty-map", "WIRE-033", "a map without an entry", Node::Map(Vec::new())),
        ("two-messages-in-one-map", "WIRE-033", "a map with two messages", Node::Map(vec![ping(), pong()])),
        ("array", "WIRE-033", "an array instead of a map", Node::Array(vec![ping().0, ping().1])),
        ("name-alone", "WIRE-033", "the name without a body", Node::text("goodbye")),
        ("number", "WIRE-033", "a number", Node::Unsigned(0)),
        (
            "body-is-array",
            "WIRE-033",
            "the body's values without their keys",
            Node::map([("ping", Node::Array(vec![Node::Unsigned(1)]))]),
        ),
        (
            "number-as-name",
            "WIRE-033",
            "a number as the message's name",
            Node::Map(vec![(Node::Unsigned(0), ping().1)]),
        ),
        (
            "name-as-bytes",
            "WIRE-033",
            "the message's name as a byte string",
            Node::Map(vec![(Node::Bytes(b"ping".to_vec()), ping().1)]),
        ),
        (
            "key-as-bytes",
            "WIRE-033",
            "a field's name as a byte string",
            Node::Map(vec![(
                Node::text("ping"),
                Node::Map(vec![(Node::Bytes(b"number".to_vec()), Node::Unsigned(1))]),
            )]),
        ),
        (
            "negative-number",
            "WIRE-033",
            "a number below 0",
            Node::message("ping", [("number", Node::Negative(0))]),
        ),
        (
            "greeting-from-dialler",
            "WIRE-030",
            "a greeting from the dialling end",
            Node::message("greeting", [("version", Node::Unsigned(1))]),
        ),
        (
            "unknown-error-code",
            "WIRE-033",
            "an error with an unknown code",
            Node::message("error", [("code", Node::text("no-such-code"))]),
        ),
    ] {
        let draft = Draft::new(format!("messages/{slug}"), Role::Codec, "decode", &[requirement], about);
        let draft = decode(draft, Channel::ClientServer, Direction::FromDialler, &node.encode());
        cases.push(draft.reject(Phase::Schema, &["malformed"], TWIN).done());
    }
}
