//! The seed corpora: what the conformance vectors hold, in the form of each target's input, and one input for each kind
//! of fault or step that a structured target knows.
//!
//! Deterministic, so that a test can compare the folders with it. Whoever changes the vectors or the form of an input
//! runs `cargo run -p antiphon-fuzz --example seed`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{certificates::place, messages::DIRECTIONS};

const ENCODING: &str = include_str!("../../conformance/vectors/encoding.json");
const MESSAGES: &str = include_str!("../../conformance/vectors/messages.json");
const IDENTITY: &str = include_str!("../../conformance/vectors/identity.json");
const CERTIFICATES: &str = include_str!("../../conformance/vectors/certificates.json");
const SIGNED: &str = include_str!("../../conformance/vectors/signed.json");

/// The channels as the vectors name them, in the order of `Channel::ALL`.
const CHANNELS: [&str; 5] = ["registration", "client-server", "server-server", "client-client", "location"];

/// Seeds by the names of their files.
pub type Seeds = BTreeMap<String, Vec<u8>>;

/// The seeds of every target.
#[must_use]
pub fn all() -> [(&'static str, Seeds); 9] {
    [
        ("frames", frames()),
        ("messages", messages()),
        ("identity", identity()),
        ("certificates", certificates()),
        ("signed", signed()),
        ("tickets", tickets()),
        ("session", session()),
        ("instants", instants()),
        ("links", links()),
    ]
}

/// The chains of the vectors, by the name of the case.
pub(crate) fn chains() -> Vec<(Case, Vec<Vec<u8>>)> {
    let chain = |case: &Case| case.list("chain").iter().map(|der| hex(der)).collect();
    cases(CERTIFICATES, "identify").into_iter().map(|case| (case.clone(), chain(&case))).collect()
}

/// A case of the vectors.
#[derive(Clone)]
pub(crate) struct Case {
    name: String,
    input: Value,
    accepted: bool,
}

impl Case {
    fn text(&self, field: &str) -> &str {
        self.input.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, field: &str) -> Vec<&str> {
        let items = self.input.get(field).and_then(Value::as_array);
        items.map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

/// The cases of a file that ask for an operation, or for one whose name begins with it.
fn cases(file: &str, operation: &str) -> Vec<Case> {
    let file: Value = serde_json::from_str(file).expect("vectors are JSON");
    let cases = file.get("cases").and_then(Value::as_array).expect("vectors have cases");
    let text =
        |case: &Value, field: &str| case.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for case in cases.iter().filter(|case| text(case, "operation").starts_with(operation)) {
        let verdict = case.pointer("/expect/verdict").and_then(Value::as_str);
        found.push(Case {
            name: text(case, "id").replace('/', "-"),
            input: case.get("input").cloned().unwrap_or_default(),
            accepted: verdict == Some("accept"),
        });
    }
    found
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("vectors write bytes in hexadecimal")
}

fn frames() -> Seeds {
    let seed = |case: &Case| {
        let channel = index(&CHANNELS, case.text("channel"));
        let stream = hex(case.text("hex"));
        // A frame at a cap is large, and teaches no more than its head.
        let shown = stream.len().min(2_048);
        (case.name.clone(), [&[channel, 0x25], &stream[..shown]].concat())
    };
    cases(ENCODING, "frames").iter().map(seed).collect()
}

/// Good messages, and every bad form; messages with one field wrong are near the good ones.
fn messages() -> Seeds {
    let good = cases(MESSAGES, "decode").into_iter().filter(|case| case.accepted);
    let forms = cases(ENCODING, "decode").into_iter();
    let small = |case: &Case| case.text("hex").len() <= 4_096;
    let seed = |case: Case| {
        let sender = (case.text("channel"), case.text("direction"));
        let direction = DIRECTIONS.iter().position(|(channel, from, _)| sender == (channel, from));
        let direction = u8::try_from(direction.unwrap_or(0)).unwrap_or(0);
        (case.name.clone(), [&[direction], &*hex(case.text("hex"))].concat())
    };
    good.chain(forms).filter(small).map(seed).collect()
}

fn identity() -> Seeds {
    let texts = [
        "01010101010101010101010101010101",
        "01010101010101010101010101010101@one.example",
        "one.example",
        "xn--bcher-kva.example",
        "192.0.2.1:5000",
        "[2001:db8::1]:5000",
        "[::ffff:192.0.2.1]:5000",
        "[fe80::1%3]:5000",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
         -----END PRIVATE KEY-----\n",
    ];
    let texts = texts
        .iter()
        .enumerate()
        .map(|(number, text)| (format!("text-{number:02}"), text.as_bytes().to_vec()));
    let keys = cases(IDENTITY, "key-hash").into_iter();
    texts.chain(keys.map(|case| (case.name.clone(), hex(case.text("key"))))).collect()
}

fn certificates() -> Seeds {
    let bytes = chains().into_iter().map(|(case, chain)| {
        let ends = (0..10).find(|number| {
            let (channel, end) = place(*number);
            CHANNELS.get(channel_index(channel)) == Some(&case.text("channel"))
                && format!("{end:?}").to_lowercase() == case.text("end")
        });
        let mut seed = vec![ends.unwrap_or(0) << 1];
        for der in chain {
            seed.extend(u16::try_from(der.len()).unwrap_or(u16::MAX).to_be_bytes());
            seed.extend(der);
        }
        (case.name, seed)
    });
    let mut seeds: Seeds = bytes.collect();
    for (subject, place) in [(0, 2), (0, 7), (1, 3), (1, 4), (2, 9)] {
        for fault in 0..27 {
            let input = Input(vec![1]).variant(subject, 3).bytes(&[place, 60, 0, 60, 0, 1]);
            let input = input.variant(fault, 27).bytes(&[0, 0, 0, 0, 7, 1, 1, 1, 0]);
            seeds.insert(format!("plan-{subject}-{place}-{fault:02}"), input.0);
        }
        let input = Input(vec![1]).variant(subject, 3).bytes(&[place, 60, 0, 60, 0, 0]);
        seeds.insert(format!("plan-{subject}-{place}"), input.0);
    }
    seeds
}

fn channel_index(channel: antiphon_protocol::channel::Channel) -> usize {
    antiphon_protocol::channel::Channel::ALL.iter().position(|other| *other == channel).unwrap_or(0)
}

fn signed() -> Seeds {
    let mut seeds = Seeds::new();
    let operations = ["verify-possession", "verify-grant", "verify-ticket", "verify-commitment"];
    for (kind, operation) in (0u8..).zip(operations) {
        for case in cases(SIGNED, operation) {
            seeds.insert(case.name.clone(), [&[kind << 1], &*hex(case.text("hex"))].concat());
        }
        for p256 in [0, 1] {
            for damage in 0..15 {
                let input = Input(vec![kind << 1 | 1, p256]).bytes(&[5, 0, 0, 0, 0, 0, 0, 0, 9, 1]);
                let input = input.variant(damage, 15).bytes(&[1, 3, 1, 4, 0, 0, 0, 0, 0]);
                seeds.insert(format!("plan-{kind}-{p256}-{damage:02}"), input.0);
            }
        }
    }
    seeds
}

fn tickets() -> Seeds {
    let good =
        || Input(vec![3, 1, 2]).bytes(&[7; 8]).bytes(&[100, 0, 0, 0, 9, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
    let one = |fault| {
        let input = good().bytes(&[1]).variant(fault, 18).bytes(&[2; 10]);
        (format!("fault-{fault:02}"), input.0)
    };
    (0..18).map(one).chain([("good".to_owned(), good().bytes(&[0]).0)]).collect()
}

/// A session in which clients come, talk and go, and the same with each kind of trouble.
fn session() -> Seeds {
    const OPERATIONS: u32 = 11;
    let deliver =
        |input: Input, count| (0..count).fold(input, |input, _| input.variant(0, OPERATIONS).bytes(&[0]));
    let joins = |input: Input, from, to| {
        let input = deliver(input.variant(1, OPERATIONS).bytes(&[from, to]), 4);
        deliver(input.variant(2, OPERATIONS).bytes(&[to]), 24)
    };
    let mut seeds = Seeds::new();
    for (world, name) in (0u32..).zip(["peaceful", "lossy", "outsider", "insider"]) {
        let mut input = Input(Vec::new()).variant(world, 4);
        input = joins(joins(input, 0, 1), 1, 2);
        input = deliver(input.variant(5, OPERATIONS).bytes(&[1]).variant(5, OPERATIONS).bytes(&[2]), 3);
        seeds.insert(format!("{name}-talk"), input.clone().bytes(&[0]).0);
        let leave = deliver(input.clone().variant(4, OPERATIONS).bytes(&[0]), 20);
        seeds.insert(format!("{name}-leave"), joins(leave, 2, 0).bytes(&[0]).0);
        let trouble = input.clone().variant(6, OPERATIONS).bytes(&[0, 1]).variant(7, OPERATIONS).bytes(&[2]);
        seeds.insert(format!("{name}-trouble"), joins(trouble, 0, 3).variant(8, OPERATIONS).bytes(&[0]).0);
        if world < 2 {
            continue;
        }
        let liar = if world == 3 { joins(input, 0, 5) } else { input };
        for body in 0..20 {
            let forged = liar.clone().variant(10, OPERATIONS).bytes(&[1]).variant(body, 20);
            let forged = deliver(forged.bytes(&[0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1]), 8);
            seeds.insert(format!("{name}-lie-{body:02}"), forged.bytes(&[0]).0);
        }
    }
    seeds
}

fn instants() -> Seeds {
    const OPERATIONS: u32 = 11;
    let empty = || Input(Vec::new());
    let op = |input: Input, index: u32, fields: &[u8]| input.variant(index, OPERATIONS).bytes(fields);
    let arrives = |input: Input, message: u8| op(op(input, 1, &[message, 0]), 7, &[message]);
    let answered = |input: Input, message: u8| op(arrives(input, message), 8, &[message]);
    let begun = |input: Input| op(input, 0, &[0]);
    let again = answered(op(arrives(begun(empty()), 0), 3, &[0]), 0);
    let flood = (0..18).fold(empty(), |input, message| answered(begun(input), message));
    let forged = |denied: u8, image: u8, bytes: u16| {
        let length = bytes.to_le_bytes();
        op(empty(), 9, &[1, 7, denied, image, length[0], length[1]])
    };
    let seeds = [
        ("delivered", answered(begun(empty()), 0)),
        ("again", op(op(again, 10, &[200]), 7, &[0])),
        ("flood", answered(op(flood, 10, &[120]), 17)),
        ("lost", op(op(begun(empty()), 1, &[0, 0]), 3, &[0])),
        ("elsewhere", op(begun(empty()), 1, &[0, 1])),
        ("refused", op(arrives(begun(empty()), 0), 4, &[0])),
        ("unreachable", op(begun(empty()), 2, &[0])),
        ("given-up", op(begun(empty()), 5, &[0])),
        ("nonsense", op(arrives(begun(empty()), 0), 6, &[0, 1, 9])),
        ("denied", forged(1, 0, 3)),
        ("image", forged(0, 1, 3)),
        ("too-long", forged(0, 0, 16_385)),
        ("forged", forged(0, 0, 3)),
    ];
    seeds.into_iter().map(|(name, input)| (name.to_owned(), input.bytes(&[0]).0)).collect()
}

fn links() -> Seeds {
    const OPERATIONS: u32 = 14;
    let op = |input: Input, index: u32, fields: &[u8]| input.variant(index, OPERATIONS).bytes(fields);
    let dialled = || op(op(Input(Vec::new()).bytes(&[1, 1, 9]), 0, &[3]), 3, &[4]);
    let accepted = || op(op(op(Input(Vec::new()).bytes(&[0, 1, 9]), 1, &[2]), 2, &[0, 4]), 0, &[3]);
    let lost = |input: Input| op(op(input, 7, &[]), 0, &[2]);
    let resume =
        |input: Input, attempt: u8, key: u8, received: u8| op(input, 11, &[attempt, 0, key, received, 0]);
    let again = op(op(op(op(lost(dialled()), 10, &[]), 12, &[]), 9, &[]), 5, &[1, 0]);
    let seeds = [
        ("dialled-again", again.clone()),
        ("dialled-twice", op(op(op(op(again, 7, &[]), 9, &[]), 5, &[4, 0]), 4, &[4, 0])),
        ("resumed", resume(lost(accepted()), 1, 1, 2)),
        ("resumed-unnoticed", resume(resume(accepted(), 1, 1, 0), 2, 1, 3)),
        ("old-attempt", resume(resume(accepted(), 2, 1, 0), 1, 1, 0)),
        ("other-key", resume(accepted(), 1, 2, 0)),
        ("too-many", resume(accepted(), 1, 1, 9)),
        ("given-up", op(op(op(dialled(), 0, &[255]), 0, &[9]), 7, &[])),
        ("overflow", op(op(lost(dialled()), 0, &[255]), 0, &[9])),
        ("have", op(op(accepted(), 1, &[70]), 4, &[3, 0])),
        ("patience", op(lost(accepted()), 13, &[])),
        ("closed", op(accepted(), 8, &[])),
        ("late", op(accepted(), 6, &[])),
    ];
    seeds.into_iter().map(|(name, input)| (name.to_owned(), input.bytes(&[0]).0)).collect()
}

/// The bytes of a structured input, as `arbitrary` reads them.
#[derive(Clone)]
struct Input(Vec<u8>);

impl Input {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The least number that stands for this one of so many variants.
    fn variant(self, index: u32, count: u32) -> Self {
        let number = (u64::from(index) << 32).div_ceil(count.into());
        self.bytes(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes())
    }
}

fn index(names: &[&str], name: &str) -> u8 {
    u8::try_from(names.iter().position(|other| *other == name).unwrap_or(0)).unwrap_or(0)
}
