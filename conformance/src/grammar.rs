//! The grammar of the specification against the vectors, by two validators that know nothing of each other.
//!
//! A message that the vectors accept matches the rule of its channel and direction, one that they reject as not matching
//! the schema doesn't. What CDDL can't say is a list in this file, with the reasons.

use std::collections::{BTreeMap, BTreeSet};

use cddl::{
    parser::cddl_from_str,
    validator::{Validator, cbor::CBORValidator, cbor_value::decode_cbor},
};
use cddl_cat::{cbor::validate_cbor, context::BasicContext, flatten::flatten_from_str};
use serde_json::Value;

const GRAMMAR: &str = include_str!("../../spec/cddl/antiphon.cddl");

/// Rejected vectors that match the grammar all the same, with what CDDL can't say.
const BEYOND_THE_GRAMMAR: &[(&str, &str)] = &[
    ("identity/name-label-of-64", "the length of a label"),
    ("identity/name-of-101", "the length of a name"),
    ("identity/address-ipv6-full", "the one spelling of an IPv6 address"),
    ("identity/address-ipv6-zeros", "the one spelling of an IPv6 address"),
    ("identity/list-with-repetition", "the order of a list"),
    ("identity/list-descending", "the order of a list"),
    ("identity/list-homes-descending", "the order of a list"),
    ("identity/media-types-descending", "the order of a list"),
    ("identity/media-types-with-repetition", "a list that names something twice"),
    ("identity/media-types-of-385-bytes", "the length of a list in bytes"),
    ("identity/media-types-with-plain-text", "a list without one word"),
];

/// The regular expressions of CDDL match whole texts (RFC 8610, section 3.8.3); the validators' match any part of one.
fn anchored() -> String {
    let lines = GRAMMAR.lines().map(|line| match line.split_once(".regexp \"") {
        Some((before, pattern)) => format!("{before}.regexp \"^({})$\"\n", pattern.trim_end_matches('"')),
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// An item, and the rule that it is held against.
struct Item {
    id: String,
    rule: &'static str,
    bytes: Vec<u8>,
    /// What the vector says: it matches, it doesn't, or it is refused for what the grammar may or may not say.
    matches: Option<bool>,
}

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn rule_of(input: &Value) -> &'static str {
    match (input["channel"].as_str().unwrap(), input["direction"].as_str().unwrap()) {
        ("registration", "from-dialler") => "to-registrar",
        ("registration", "from-acceptor") => "from-registrar",
        ("client-server", "from-dialler") => "to-server",
        ("client-server", "from-acceptor") => "from-server",
        ("server-server", "from-dialler") => "to-peer-server",
        ("server-server", "from-acceptor") => "from-peer-server",
        ("client-client", _) => "client-message",
        ("location", "from-dialler") => "to-directory-node",
        ("location", "from-acceptor") => "from-directory-node",
        other => panic!("no rule for {other:?}"),
    }
}

/// A link has one rule for both directions; that only the accepting end greets is a rule of the text.
fn is_greeting_of_dialler(case: &Value) -> bool {
    case["input"]["channel"] == "client-client"
        && case["diagnostic"].as_str().is_some_and(|text| text.starts_with("{\"greeting\""))
}

fn items() -> Vec<Item> {
    let mut items = Vec::new();
    for file in ["messages", "encoding", "identity", "signed", "sessions"] {
        let text = crate::vector::FILES.iter().find(|(name, _)| name.starts_with(file)).unwrap().1;
        let read: Value = serde_json::from_str(text).unwrap();
        for case in read["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap().to_owned();
            let input = &case["input"];
            let accepted = case["expect"]["verdict"] == "accept";
            let mut push = |rule, bytes, matches| items.push(Item { id: id.clone(), rule, bytes, matches });
            match case["operation"].as_str().unwrap() {
                "decode" if accepted || case["expect"]["phase"] == "schema" => {
                    let matches = if is_greeting_of_dialler(case) { None } else { Some(accepted) };
                    push(rule_of(input), hex_of(&input["hex"]), matches);
                }
                "verify-possession" => {
                    push("possession-object", hex_of(&input["hex"]), accepted.then_some(true))
                }
                "verify-grant" => push("grant-object", hex_of(&input["hex"]), accepted.then_some(true)),
                "verify-commitment" => {
                    push("commitment-object", hex_of(&input["hex"]), accepted.then_some(true))
                }
                "verify-ticket" => push("ticket-object", hex_of(&input["hex"]), accepted.then_some(true)),
                "next-epoch" => {
                    push("epoch", hex_of(&input["epoch"]), Some(true));
                    push("change", hex_of(&input["change"]), Some(true));
                }
                _ => {}
            }
        }
    }
    items
}

/// What the first validator says of each item; `None` for one that it can't read.
fn by_cddl(items: &[Item]) -> Vec<Option<bool>> {
    let grammar = anchored();
    let parsed = cddl_from_str(&grammar, false).unwrap();
    // It holds an item against the first rule.
    let beginning_with = |rule: &str| {
        let mut rules = parsed.clone();
        let at = rules.rules.iter().position(|other| other.name() == rule).unwrap();
        rules.rules.rotate_left(at);
        rules
    };
    let parsed: BTreeMap<&str, _> = items
        .iter()
        .map(|item| item.rule)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|rule| (rule, beginning_with(rule)))
        .collect();
    let verdict = |item: &Item| {
        let value = decode_cbor(&item.bytes).ok()?;
        Some(CBORValidator::new(&parsed[item.rule], value, None).validate().is_ok())
    };
    items.iter().map(verdict).collect()
}

/// What the second one says.
fn by_cddl_cat(items: &[Item]) -> Vec<Option<bool>> {
    let context = BasicContext::new(flatten_from_str(&anchored()).unwrap());
    let verdict = |item: &Item| {
        let value = ciborium::from_reader(item.bytes.as_slice()).ok()?;
        Some(validate_cbor(&context.rules[item.rule], &value, &context).is_ok())
    };
    items.iter().map(verdict).collect()
}

#[test]
fn both_validators_say_of_the_grammar_what_the_vectors_say() {
    let items = items();
    let (first, second) = (by_cddl(&items), by_cddl_cat(&items));
    let beyond: BTreeMap<&str, &str> = BEYOND_THE_GRAMMAR.iter().copied().collect();
    let mut wrong = Vec::new();
    for ((item, first), second) in items.iter().zip(first).zip(second) {
        let expected = if beyond.contains_key(item.id.as_str()) { Some(true) } else { item.matches };
        let agree = first.is_none() || second.is_none() || first == second;
        let as_expected = expected.is_none_or(|expected| first == Some(expected) && second == Some(expected));
        if !agree || !as_expected {
            wrong.push(format!(
                "{} against {}: {first:?} and {second:?} instead of {expected:?}",
                item.id, item.rule
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), items.len(), wrong.join("\n"));
    assert!(items.len() > 700, "only {} items", items.len());
    for (id, _) in BEYOND_THE_GRAMMAR {
        assert!(items.iter().any(|item| item.id == *id), "{id} is no vector");
    }
}
