//! Events as tests name them: by the fields that matter.

use serde_json::Value;

/// Whether a value has every field of the pattern, with the pattern's value; what else it has does not matter.
#[must_use]
pub fn matches(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => {
            pattern.iter().all(|(key, wanted)| value.get(key).is_some_and(|found| matches(wanted, found)))
        }
        (pattern, value) => pattern == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::matches;

    #[track_caller]
    fn check(pattern: Value, value: Value, expected: bool) {
        assert_eq!(matches(&pattern, &value), expected, "{pattern} of {value}");
    }

    #[test]
    fn a_pattern_matches_what_has_its_fields() {
        let epoch =
            || json!({"event": "epoch", "change": {"kind": "join", "handle": "a@b"}, "members": ["a", "b"]});
        check(json!({}), epoch(), true);
        check(json!({"event": "epoch"}), epoch(), true);
        check(json!({"change": {"kind": "join"}}), epoch(), true);
        check(json!({"change": {"kind": "leave"}}), epoch(), false);
        check(json!({"change": "join"}), epoch(), false);
        check(json!({"number": 1}), epoch(), false);
        check(json!({"members": ["a"]}), epoch(), false);
        check(json!({"members": ["a", "b"]}), epoch(), true);
    }
}
