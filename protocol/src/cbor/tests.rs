//! The check against items that are right or wrong by construction, with an encoder of the tests' own; decoding; notation.

use antiphon_spec::message::{client_server::ToServer, common::Ping};
use proptest::prelude::*;
use serde::Deserialize;

use super::{DecodeErrorKind as Kind, *};

/// An item as the tests write it: the encoder of the crate has no part in it.
#[derive(Clone, Debug)]
enum Item {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Bool(bool),
}

/// Bytes, and where each head in them begins.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    heads: Vec<(usize, u8, u64)>,
}

impl Written {
    fn of(item: &Item) -> Self {
        let mut written = Self::default();
        written.item(item);
        written
    }

    fn head(&mut self, major: u8, argument: u64) {
        self.heads.push((self.bytes.len(), major, argument));
        self.bytes.extend(head(major, argument, least_width(argument)));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Unsigned(number) => self.head(0, *number),
            Item::Negative(number) => self.head(1, *number),
            Item::Bytes(bytes) => {
                self.head(2, bytes.len() as u64);
                self.bytes.extend(bytes);
            }
            Item::Text(text) => {
                self.head(3, text.len() as u64);
                self.bytes.extend(text.as_bytes());
            }
            Item::Array(items) => {
                self.head(4, items.len() as u64);
                items.iter().for_each(|item| self.item(item));
            }
            Item::Map(entries) => {
                let entries = sorted(entries);
                self.head(5, entries.len() as u64);
                for (_, key, value) in entries {
                    self.item(&key);
                    self.item(&value);
                }
            }
            Item::Bool(value) => self.bytes.push(0xf4 + u8::from(*value)),
        }
    }

    /// The bytes with the head at an index written in another way.
    fn with_head(&self, index: usize, other: &[u8]) -> Vec<u8> {
        let (start, _, argument) = self.heads[index];
        let end = start + 1 + least_width(argument);
        [&self.bytes[..start], other, &self.bytes[end..]].concat()
    }
}

/// The entries of a map in the order of their encoded keys, each key once.
fn sorted(entries: &[(Item, Item)]) -> Vec<(Vec<u8>, Item, Item)> {
    let encoded = |(key, value): &(Item, Item)| (Written::of(key).bytes, key.clone(), value.clone());
    let mut entries: Vec<_> = entries.iter().map(encoded).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.dedup_by(|a, b| a.0 == b.0);
    entries
}

/// Bytes of an argument behind the initial byte, at least.
fn least_width(argument: u64) -> usize {
    match argument {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn head(major: u8, argument: u64, width: usize) -> Vec<u8> {
    let information = match width {
        0 => u8::try_from(argument).unwrap(),
        _ => 24 + u8::try_from(width.trailing_zeros()).unwrap(),
    };
    let mut bytes = vec![major << 5 | information];
    bytes.extend(&argument.to_be_bytes()[8 - width..]);
    bytes
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..30u64, 200..300u64, 65_000..66_000u64, (u64::from(u32::MAX) - 5)..(1 << 33), any::<u64>()]
}

fn items() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        number().prop_map(Item::Unsigned),
        number().prop_map(Item::Negative),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Item::Bytes),
        ".{0,20}".prop_map(Item::Text),
        any::<bool>().prop_map(Item::Bool),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::Array),
            prop::collection::vec((inner.clone(), inner), 0..6).prop_map(Item::Map),
        ]
    })
}

#[track_caller]
fn assert_refused(bytes: &[u8], kind: Kind, offset: usize) {
    assert_eq!(check(bytes), Err(DecodeError { kind, offset }), "{}", hex::encode(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn an_item_in_its_one_form_is_taken_and_read_and_written_alike(item in items()) {
        let bytes = Written::of(&item).bytes;
        prop_assert_eq!(check(&bytes), Ok(()));
        let value: ciborium::Value = ciborium::from_reader(bytes.as_slice()).unwrap();
        prop_assert_eq!(encode(&value).unwrap(), bytes);
    }

    #[test]
    fn no_part_of_an_item_is_one(item in items(), cut: prop::sample::Index) {
        let bytes = Written::of(&item).bytes;
        let cut = cut.index(bytes.len());
        let error = check(&bytes[..cut]).unwrap_err();
        prop_assert!(matches!(error.kind, Kind::Truncated | Kind::Utf8), "{}", error);
        prop_assert!(error.offset <= cut);
    }

    #[test]
    fn nothing_may_follow(item in items(), more in prop::collection::vec(any::<u8>(), 1..4)) {
        let mut bytes = Written::of(&item).bytes;
        let length = bytes.len();
        bytes.extend(more);
        assert_refused(&bytes, Kind::TrailingBytes, length);
    }

    #[test]
    fn a_number_in_a_longer_form_is_refused_where_it_stands(
        item in items(),
        which: prop::sample::Index,
        wider in 0..4usize,
    ) {
        let written = Written::of(&item);
        prop_assume!(!written.heads.is_empty());
        let index = which.index(written.heads.len());
        let (start, major, argument) = written.heads[index];
        let widths: Vec<usize> = [1, 2, 4, 8].into_iter().filter(|w| *w > least_width(argument)).collect();
        prop_assume!(!widths.is_empty());
        let long = head(major, argument, widths[wider % widths.len()]);
        assert_refused(&written.with_head(index, &long), Kind::NotShortest, start);
    }

    #[test]
    fn an_indefinite_length_is_refused_where_it_stands(item in items(), which: prop::sample::Index) {
        let written = Written::of(&item);
        let long: Vec<usize> =
            (0..written.heads.len()).filter(|index| (2..=5).contains(&written.heads[*index].1)).collect();
        prop_assume!(!long.is_empty());
        let index = long[which.index(long.len())];
        let (start, major, _) = written.heads[index];
        assert_refused(&written.with_head(index, &[major << 5 | 31]), Kind::Indefinite, start);
    }

    #[test]
    fn what_no_message_has_is_refused_where_it_stands(
        item in items(),
        which: prop::sample::Index,
        other in prop::sample::select(vec![
            (0xc0, Kind::Tag), (0xd8, Kind::Tag), (0xf9, Kind::Float), (0xfa, Kind::Float), (0xfb, Kind::Float),
            (0xf6, Kind::Simple), (0xf7, Kind::Simple), (0xe0, Kind::Simple), (0xf8, Kind::Simple),
            (0x1c, Kind::Reserved), (0x3f, Kind::Reserved), (0xdf, Kind::Reserved), (0xfc, Kind::Reserved),
            (0xff, Kind::Reserved),
        ]),
    ) {
        let written = Written::of(&item);
        prop_assume!(!written.heads.is_empty());
        let index = which.index(written.heads.len());
        assert_refused(&written.with_head(index, &[other.0]), other.1, written.heads[index].0);
    }

    #[test]
    fn the_keys_of_a_map_stand_once_and_in_order(entries in prop::collection::vec((items(), items()), 2..6), at: prop::sample::Index) {
        let entries = sorted(&entries);
        prop_assume!(entries.len() > 1);
        let first = at.index(entries.len() - 1);
        let map = |order: &[usize]| {
            let mut bytes = head(5, order.len() as u64, 0);
            let mut starts = Vec::new();
            for index in order {
                starts.push(bytes.len());
                bytes.extend(&entries[*index].0);
                bytes.extend(Written::of(&entries[*index].2).bytes);
            }
            (bytes, starts)
        };
        let mut order: Vec<usize> = (0..entries.len()).collect();
        prop_assert_eq!(check(&map(&order).0), Ok(()));
        order.swap(first, first + 1);
        let (bytes, starts) = map(&order);
        assert_refused(&bytes, Kind::KeyOrder, starts[first + 1]);
        order[first + 1] = order[first];
        let (bytes, starts) = map(&order);
        assert_refused(&bytes, Kind::DuplicateKey, starts[first + 1]);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let form = check(&bytes);
        prop_assert!(form.as_ref().err().is_none_or(|error| error.offset <= bytes.len()));
        prop_assert!(!diagnostic(&bytes).is_empty() || bytes.is_empty());
        // What the check takes, a decoder that knows nothing of it takes too, and writes as it was.
        if form.is_ok() {
            let value: ciborium::Value = ciborium::from_reader(bytes.as_slice()).unwrap();
            prop_assert_eq!(encode(&value).unwrap(), bytes);
        }
    }
}

/// The form of some bytes, or what is wrong with it and where.
#[track_caller]
fn check_form(bytes: &str, expected: Result<(), (Kind, usize)>) {
    let found = check(&hex::decode(bytes).unwrap());
    assert_eq!(found.map_err(|error| (error.kind, error.offset)), expected, "{bytes}");
}

#[test]
fn forms_of_numbers() {
    for good in ["00", "17", "1818", "18ff", "190100", "19ffff", "1a00010000", "1b0000000100000000"] {
        check_form(good, Ok(()));
    }
    for long in ["1800", "1817", "190000", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "39000a"] {
        check_form(long, Err((Kind::NotShortest, 0)));
    }
    for cut in ["18", "19ff", "1affffff", "1bffffffffffffff"] {
        check_form(cut, Err((Kind::Truncated, 1)));
    }
    check_form("", Err((Kind::Truncated, 0)));
}

#[test]
fn a_length_that_nothing_follows_costs_nothing() {
    // Lists, maps and strings that claim up to 2^64 - 1 parts.
    check_form("9bffffffffffffffff", Err((Kind::Truncated, 9)));
    check_form("bbffffffffffffffff", Err((Kind::Truncated, 9)));
    check_form("bb8000000000000000", Err((Kind::Truncated, 9)));
    check_form("9a7fffffff00", Err((Kind::Truncated, 5)));
    check_form("5bffffffffffffffff", Err((Kind::Truncated, 9)));
    check_form("7a7fffffff61", Err((Kind::Truncated, 5)));
    // A map of one entry has two parts.
    check_form("a101", Err((Kind::Truncated, 1)));
    check_form("a20102", Err((Kind::Truncated, 1)));
}

#[test]
fn texts_are_utf_8() {
    check_form("63e282ac", Ok(()));
    check_form("62c328", Err((Kind::Utf8, 1)));
    check_form("6361ff62", Err((Kind::Utf8, 2)));
    check_form("63eda080", Err((Kind::Utf8, 1)));
    // A byte string holds whatever it likes.
    check_form("43eda080", Ok(()));
}

#[test]
fn keys_ascend_as_they_are_encoded() {
    check_form("a2617a00616100", Err((Kind::KeyOrder, 4)));
    check_form("a26161006161f4", Err((Kind::DuplicateKey, 4)));
    // Shorter keys first, whatever their letters are; a number before every text.
    check_form("a2617a0062616100", Ok(()));
    check_form("a262616100617a00", Err((Kind::KeyOrder, 5)));
    check_form("a20a00616100", Ok(()));
    check_form("a26161000a00", Err((Kind::KeyOrder, 4)));
    // The order counts in a nested map as well, and among keys that are no texts.
    check_form("81a24102004101 00".replace(' ', "").as_str(), Err((Kind::KeyOrder, 5)));
}

#[test]
fn nesting_ends_at_sixteen() {
    for (opening, closing) in [("81", "00"), ("a100", "00")] {
        check_form(&(opening.repeat(16) + closing), Ok(()));
        let one_more = opening.repeat(17) + closing;
        check_form(&one_more, Err((Kind::TooDeep, 16 * opening.len() / 2)));
        check_form(&opening.repeat(4_000), Err((Kind::TooDeep, 16 * opening.len() / 2)));
    }
    // Strings and numbers are not nested.
    check_form(&("81".repeat(16) + "6161"), Ok(()));
}

/// A message of the client-to-server channel: read, or why not and where.
#[track_caller]
fn check_message(bytes: &str, expected: Result<ToServer, (&str, usize)>) {
    let found = decode::<ToServer>(&hex::decode(bytes).unwrap());
    let found = found.map_err(|error| (error.kind.to_string(), error.offset));
    match expected {
        Ok(message) => assert_eq!(found, Ok(message)),
        Err((text, offset)) => {
            let (found, at) = found.unwrap_err();
            assert!(found.contains(text), "{found}");
            assert_eq!(at, offset, "{found}");
        }
    }
}

#[test]
fn messages_are_read_whole() {
    check_message("a16470696e67a1666e756d62657218ff", Ok(ToServer::Ping(Ping { number: 255 })));
    // An unknown field, at the beginning and behind the known one; an unknown message.
    check_message("a16470696e67a26161f4666e756d62657200", Err(("unknown field `a`", 0)));
    check_message("a16470696e67a2666e756d626572006761646469746f6ef4", Err(("unknown field `additon`", 0)));
    check_message("a16470696e6fa1666e756d62657200", Err(("unknown variant", 0)));
    // A field that is missing, or of another type.
    check_message("a16470696e67a0", Err(("missing field `number`", 0)));
    check_message("a16470696e67a1666e756d62657241ff", Err(("expected", 0)));
    check_message("a16470696e67a1666e756d62657220", Err(("expected", 0)));
    // Two messages in one, and none.
    check_message("a2647069 6e67a1666e756d62657200647069 6f67a0".replace(' ', "").as_str(), Err(("type", 0)));
    check_message("a0", Err(("type", 0)));
    check_message("00", Err(("type", 0)));
    // What only the form forbids.
    check_message("a16470696e67a1666e756d6265721800", Err(("more bytes than it needs", 14)));
    check_message("a16470696e67a1666e756d6265720000", Err(("bytes follow", 15)));
    check_message("bf6470696e67a1666e756d62657200ff", Err(("indefinite", 0)));
}

/// A type that reads more than it writes.
#[derive(Debug, PartialEq)]
struct Lower(String);

impl Serialize for Lower {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Lower {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.to_lowercase()))
    }
}

#[test]
fn what_is_read_has_to_be_written_alike() {
    assert_eq!(decode::<Lower>(b"\x63abc"), Ok(Lower("abc".to_owned())));
    let error = DecodeError { kind: Kind::NotReproduced, offset: 2 };
    assert_eq!(decode::<Lower>(b"\x63aBc"), Err(error));
}

#[test]
fn the_peer_is_told_whether_it_is_the_form() {
    for (bytes, code) in [
        ("1800", ErrorCode::NotDeterministic),
        ("9fff", ErrorCode::NotDeterministic),
        ("a2617a00616100", ErrorCode::NotDeterministic),
        ("a2616100616100", ErrorCode::NotDeterministic),
        ("f6", ErrorCode::Malformed),
        ("c000", ErrorCode::Malformed),
        ("0000", ErrorCode::Malformed),
        ("62c328", ErrorCode::Malformed),
    ] {
        assert_eq!(check(&hex::decode(bytes).unwrap()).unwrap_err().code(), code, "{bytes}");
    }
    assert_eq!(decode::<u64>(b"\xf4").map_err(|error| error.code()), Err(ErrorCode::Malformed));
    assert_eq!(decode::<Lower>(b"\x61A").map_err(|error| error.code()), Err(ErrorCode::Malformed));
}

#[test]
fn what_a_peer_wrote_is_quoted_short_and_harmless() {
    let field = format!("\u{1b}[31m{}", "x".repeat(500));
    let bytes =
        encode(&std::collections::BTreeMap::from([("ping", std::collections::BTreeMap::from([(field, 0)]))]));
    let text = decode::<ToServer>(&bytes.unwrap()).unwrap_err().to_string();
    assert!(text.len() < 220 && !text.contains(char::is_control), "{text}");
}

#[track_caller]
fn check_notation(bytes: &str, expected: &str) {
    assert_eq!(diagnostic(&hex::decode(bytes).unwrap()), expected);
}

#[test]
fn notation_is_the_one_of_the_rfc() {
    for (bytes, text) in [
        ("", ""),
        ("00", "0"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("3bffffffffffffffff", "-18446744073709551616"),
        ("4401020304", "h'01020304'"),
        ("62225c", "\"\\\"\\\\\""),
        ("83010203", "[1, 2, 3]"),
        ("a26161016162820203", "{\"a\": 1, \"b\": [2, 3]}"),
        ("a16470696e67a1666e756d62657218ff", "{\"ping\": {\"number\": 255}}"),
        ("f4", "false"),
        ("f5", "true"),
        ("f6", "null"),
        ("f7", "undefined"),
        ("f8ff", "simple(255)"),
        ("c11a514b67b0", "1(1363896240)"),
        ("fb3ff199999999999a", "1.1_3"),
        ("9f0102ff", "[_ 1, 2]"),
        ("bf6161f5ff", "{_ \"a\": true}"),
        ("5f42010243030405ff", "(_ h'0102', h'030405')"),
    ] {
        check_notation(bytes, text);
    }
}

#[test]
fn notation_shows_what_is_not_cbor_and_hides_nothing() {
    check_notation("0001", "0 / trailing / 1");
    // A number in a longer form is one all the same; the report shows what it means.
    check_notation("1801ff", "1 / not CBOR / h'ff'");
    check_notation("1c", "/ not CBOR / h'1c'");
    check_notation("62c328", "/ not CBOR / h'62c328'");
    // Escape sequences and characters that turn the direction of writing are named, not sent to a terminal.
    check_notation("641b5b316d", "\"\\u{1b}[1m\"");
    check_notation("63e280ae", "\"\\u{202e}\"");
    let deep = "81".repeat(40) + "00";
    check_notation(&deep, &format!("/ not CBOR / h'{deep}'"));
}
