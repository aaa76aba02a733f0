//! The lines: what is no question is answered all the same, and nothing is asked in vain.

use std::io::Cursor;

use serde_json::{Value, json};

use super::*;

#[track_caller]
fn check(line: &str, expected: &Value) {
    let mut output = Vec::new();
    Shim::new().unwrap().serve(Cursor::new(line), &mut output).unwrap();
    let answer: Value = serde_json::from_slice(&output).unwrap();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(answer.get(name), Some(value), "{line}: {answer}");
    }
}

#[track_caller]
fn check_says(line: &str, field: &str) {
    let answer = Shim::new().unwrap().answer(line.as_bytes());
    assert!(answer.get(field).is_some_and(Value::is_string), "{line}: {answer}");
}

#[test]
fn what_is_no_question_is_an_error() {
    for line in [
        "",
        " ",
        "no json",
        "[]",
        "{}",
        "null",
        r#"{"op":1}"#,
        r#"{"op":"hello"}"#,
        r#"{"op":"hello","protocol":2}"#,
        r#"{"op":"decode"}"#,
        r#"{"op":"decode","channel":"none","direction":"from-dialler","hex":""}"#,
        r#"{"op":"decode","channel":"location","direction":"from-dialler","hex":"0"}"#,
        r#"{"op":"decode","channel":"location","direction":"from-dialler","hex":"AA"}"#,
        r#"{"op":"session-id","key":"00","nonce":"00"}"#,
        r#"{"op":"identify","channel":"location","end":"dialling","root":"","chain":[],"now":0}"#,
        r#"{"op":"verify-grant","key":"","hex":""}"#,
        r#"{"op":"trace","me":{"seed":"","handle":"","relay":""},"keys":[],"events":[]}"#,
    ] {
        check_says(line, "error");
    }
    check_says(&"[".repeat(100_000), "error");
    check_says("\u{0}\u{1f}", "error");
}

#[test]
fn an_event_before_the_session_is_an_error() {
    let zeros = "00".repeat(16);
    let seed = "01".repeat(32);
    let question = json!({
        "op": "trace",
        "me": {"seed": seed, "handle": format!("{zeros}@one.example"), "relay": zeros, "accepts": []},
        "keys": [],
        "events": [{"event": "accept", "now": 0, "entropy": zeros}],
    });
    check(&question.to_string(), &json!({"error": "event 0: there is no session yet"}));
}

#[test]
fn an_unknown_operation_is_unsupported() {
    check_says(r#"{"op":"no-such-operation"}"#, "unsupported");
}

#[test]
fn hello_names_every_operation() {
    let mut shim = Shim::new().unwrap();
    let hello = shim.answer(br#"{"op":"hello","protocol":1}"#);
    let named = hello["operations"].as_array().unwrap();
    assert_eq!(named.len(), OPERATIONS.len());
    for operation in named {
        let answer = shim.answer(json!({"op": operation}).to_string().as_bytes());
        assert!(answer.get("unsupported").is_none(), "{operation}: {answer}");
    }
}

#[test]
fn values_and_refusals() {
    let handle = "616e746970686f6e2d73657276657273";
    check(r#"{"op":"well-known-handle"}"#, &json!({"verdict": "accept", "handle": handle}));
    let handle = "398000cbaad47e5b10207a5136358a0a";
    check(r#"{"op":"server-handle","name":"one.example"}"#, &json!({"verdict": "accept", "handle": handle}));
    check(
        r#"{"op":"server-handle","name":"One.example"}"#,
        &json!({"verdict": "reject", "error": "malformed"}),
    );
    let frames = r#"{"op":"frames","channel":"location","hex":"00000001f6000000"}"#;
    check(frames, &json!({"verdict": "accept", "items": ["f6"], "waiting": 3}));
}

#[test]
fn lines_are_answered_in_order_and_a_line_that_is_too_long_is_one_line() {
    let long = "x".repeat(LINE_BYTES_MAX + 2);
    let lines = format!("{long}\n{{\"op\":\"well-known-handle\"}}\n{{\"op\":\"other\"}}");
    let mut output = Vec::new();
    Shim::new().unwrap().serve(Cursor::new(lines), &mut output).unwrap();
    let answers: Vec<Value> =
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers[0]["error"].as_str().unwrap().contains("bytes"));
    assert_eq!(answers[1]["verdict"], "accept");
    assert!(answers[2]["unsupported"].is_string());
}
