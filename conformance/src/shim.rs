//! The shim protocol: how vectors are put to an implementation.
//!
//! A shim is a process that reads one JSON object a line from its standard input and answers each with one JSON object a
//! line on its standard output, in order. Bytes are lower-case hexadecimal digits.
//!
//! - `{"op":"hello","protocol":1}` is answered with `{"name":..,"operations":[..]}`.
//! - Any other operation is answered with `{"verdict":"accept", ..}` and the fields that the table names, with
//!   `{"verdict":"reject","error":CODE}`, or, if the shim does not know the operation, with `{"unsupported":REASON}`.
//! - A line that is no question can be answered with anything else, such as `{"error":TEXT}`; the suite sends none.
//!
//! | `op` | other fields | fields of an accepting answer |
//! | --- | --- | --- |
//! | `decode` | `channel`, `direction`, `hex` | `reencoded` |
//! | `frames` | `channel`, `hex`: the beginning of a stream | `items`: of whole frames; `waiting`: bytes of the frame that is not whole |
//! | `key-hash` | `key` | `hash` |
//! | `server-handle` | `name` | `handle` |
//! | `well-known-handle` | | `handle` |
//! | `session-id` | `key`: a key hash, `nonce` | `session` |
//! | `epoch-hash` | `epoch` | `hash` |
//! | `first-epoch` | `creator`: a member's record, `nonce` | `epoch`, `hash` |
//! | `next-epoch` | `epoch`, `change` | `epoch`, `hash`; rejected with `impossible` |
//! | `judge` | `preferences`, `asker` | `judgement`: `allow` or `deny` |
//! | `identify` | `channel`, `end`, `root`, `chain`, `now`; `identity`, `key`: whom was dialled | `identity`, `key`; rejected with a `reason` too, one of the table in the chapter *Certificates* |
//! | `verify-possession`, `verify-grant`, `verify-ticket`, `verify-commitment` | `key`: the expected signer's, `hex` | `claims` |
//! | `judge-ticket` | `epoch`, `keys`, `peer`: {`handle`, `key`}, `now`, `hex` | `newcomer`: a member's record |
//! | `trace` | `me`: {`seed`, `handle`, `relay`}, `keys`, `events` | `steps`: for each event an array of actions |
//!
//! `channel` is `registration`, `client-server`, `server-server`, `client-client` or `location`; `direction` is
//! `from-dialler` or `from-acceptor`; `end` is the peer's end, `dialling` or `accepting`. `keys` are the public keys (DER)
//! that certificates have proved. A trace's seed is the Ed25519 secret key; each event has `now` and the 16 bytes of
//! `entropy` from which nonces are taken. Actions are compared as what each peer and the user see, in order; timers are
//! the implementation's own business.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use crate::{
    case::Failure,
    process::Process,
    run::Options,
    target::Target,
    vector::{Expect, VectorCase},
};

/// A shim that has said hello.
#[derive(Debug)]
pub(crate) struct Shim {
    process: Process,
}

impl Shim {
    /// Starts the target's shim.
    ///
    /// # Errors
    /// It cannot be started, or does not keep to the protocol.
    pub(crate) async fn start(target: &Target, log: &Path, options: &Options) -> Result<Self, Failure> {
        let program = target.shim.as_ref().ok_or_else(|| Failure::harness("the target has no shim"))?;
        let command = target.command(&program.command, &BTreeMap::new()).map_err(Failure::harness)?;
        let mut process =
            Process::start(&command, log, options.variant.as_ref())?.with_patience(options.patience);
        process.send(&json!({"op": "hello", "protocol": 1})).await?;
        let hello = process.receive().await?;
        if hello.get("name").is_none() {
            return Err(Failure::unexpected("an answer to hello with a name", hello));
        }
        // Who answers whatever is asked proves nothing: an unknown operation has to be called so.
        process.send(&json!({"op": "no-such-operation"})).await?;
        let answer = process.receive().await?;
        if answer.get("unsupported").is_none() {
            return Err(Failure::unexpected("unsupported, for an operation that there is not", answer));
        }
        Ok(Self { process })
    }

    /// Puts a vector to the shim; says whether the answer is the expected one.
    ///
    /// # Errors
    /// There is no answer, and there will be none to the next question.
    pub(crate) async fn ask(&mut self, case: &VectorCase) -> Result<Result<(), Failure>, Failure> {
        let mut question = case.input.clone();
        question.insert("op".to_owned(), case.operation.clone().into());
        self.process.send(&Value::Object(question)).await?;
        let answer = self.process.receive().await?;
        Ok(compare(case, &answer))
    }
}

/// Holds an answer against what was expected.
fn compare(case: &VectorCase, answer: &Value) -> Result<(), Failure> {
    if let Some(reason) = answer.get("unsupported") {
        return Err(Failure::Unsupported(reason.to_string()));
    }
    let verdict = answer.get("verdict").and_then(Value::as_str);
    match (&case.expect, verdict) {
        (Expect::Accept { output }, Some("accept")) => {
            for (name, expected) in output {
                let got = answer.get(name).unwrap_or(&Value::Null);
                let same = if name == "steps" { seen(expected) == seen(got) } else { expected == got };
                if !same {
                    return Err(Failure::unexpected(
                        format!("{name} = {}", shown(name, expected)),
                        shown(name, got),
                    ));
                }
            }
            Ok(())
        }
        (Expect::Reject { errors, reasons, .. }, Some("reject")) => {
            let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default();
            let (code, reason) = (text("error"), text("reason"));
            if !errors.iter().any(|error| error == code) {
                return Err(Failure::unexpected(format!("a rejection with {}", errors.join(" or ")), answer));
            }
            if !reasons.is_empty() && !reasons.iter().any(|allowed| allowed == reason) {
                let expected = format!("a rejection for the reason {}", reasons.join(" or "));
                return Err(Failure::unexpected(expected, answer));
            }
            Ok(())
        }
        (Expect::Accept { .. }, _) => Err(Failure::unexpected("accept", answer)),
        (Expect::Reject { errors, .. }, _) => {
            Err(Failure::unexpected(format!("a rejection with {}", errors.join(" or ")), answer))
        }
    }
}

fn shown(name: &str, value: &Value) -> String {
    if name == "steps" { format!("{:?}", seen(value)) } else { value.to_string() }
}

/// What others see of the steps of a trace: for each step, what each peer gets, what the user is told, who is dialled.
fn seen(steps: &Value) -> Vec<BTreeMap<String, Vec<String>>> {
    steps
        .as_array()
        .into_iter()
        .flatten()
        .map(|actions| step(actions.as_array().map_or(&[], Vec::as_slice)))
        .collect()
}

fn step(actions: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut views: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (kind, body) in actions.iter().filter_map(Value::as_object).flatten() {
        let empty = Map::new();
        let fields = body.as_object().unwrap_or(&empty);
        match kind.as_str() {
            "send" => {
                for peer in
                    fields.get("to").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
                {
                    views
                        .entry(peer.to_owned())
                        .or_default()
                        .push(format!("message {}", text(fields, "message")));
                }
            }
            "disconnect" => {
                let view = views.entry(text(fields, "peer")).or_default();
                // A link that is closed cannot be closed again.
                if !view.last().is_some_and(|last| last.starts_with("close ")) {
                    view.push(format!("close {}", text(fields, "code")));
                }
            }
            "connect" => views.entry(text(fields, "peer")).or_default().push(format!("dial {body}")),
            "tell" => views.entry("user".to_owned()).or_default().push(body.to_string()),
            "refuse" => views.entry("link".to_owned()).or_default().push(body.to_string()),
            // Timers and counters are nobody else's business.
            _ => {}
        }
    }
    views
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::Body, registry};

    fn vectors() -> impl Iterator<Item = std::sync::Arc<VectorCase>> {
        registry::all().unwrap().into_iter().filter_map(|case| match case.body {
            Body::Vector(vector) => Some(vector),
            Body::Live(_) => None,
        })
    }

    #[test]
    fn an_answer_that_says_nothing_is_never_right() {
        for vector in vectors() {
            for answer in [
                json!({"verdict": "accept"}),
                json!({"verdict": "reject"}),
                json!({"verdict": "reject", "error": ""}),
                json!({"error": "malformed"}),
                json!({}),
                json!(null),
            ] {
                assert!(compare(&vector, &answer).is_err(), "{}: {answer}", vector.id);
            }
        }
    }

    #[test]
    fn the_expected_answer_is_right_and_may_say_more() {
        for vector in vectors() {
            let mut answer = match &vector.expect {
                Expect::Accept { output } => {
                    let mut answer = output.clone();
                    answer.insert("verdict".to_owned(), "accept".into());
                    answer
                }
                Expect::Reject { errors, reasons, .. } => {
                    let mut answer = Map::new();
                    answer.insert("verdict".to_owned(), "reject".into());
                    answer.insert("error".to_owned(), errors[0].clone().into());
                    if let Some(reason) = reasons.first() {
                        answer.insert("reason".to_owned(), reason.clone().into());
                    }
                    answer
                }
            };
            answer.insert("more".to_owned(), 1.into());
            assert_eq!(compare(&vector, &answer.into()), Ok(()), "{}", vector.id);
        }
    }

    /// One thing that an expected action can be made to say differently.
    struct Alteration {
        name: &'static str,
        /// Whether it was possible with the action at this place of these steps.
        alter: fn(&mut Vec<Value>, usize, usize) -> bool,
    }

    fn actions(steps: &mut [Value], step: usize) -> &mut Vec<Value> {
        steps[step].as_array_mut().unwrap()
    }

    /// Alters a text of the action: of this kind, in this field.
    fn text(action: &mut Value, kind: &str, field: &str, alter: impl Fn(&str) -> String) -> bool {
        let Some(Value::String(text)) = action.get_mut(kind).and_then(|fields| fields.get_mut(field)) else {
            return false;
        };
        *text = alter(text);
        true
    }

    fn turned(hex: &str) -> String {
        let (rest, last) = hex.split_at(hex.len() - 1);
        format!("{rest}{}", if last == "0" { "1" } else { "0" })
    }

    fn nobody(_: &str) -> String {
        "ffffffffffffffffffffffffffffffff@z.example".to_owned()
    }

    const ALTERATIONS: [Alteration; 14] = [
        Alteration {
            name: "dropped",
            alter: |steps, step, at| {
                actions(steps, step).remove(at);
                true
            },
        },
        Alteration {
            name: "added",
            alter: |steps, step, _| {
                actions(steps, step).push(json!({"tell": {"notice": "ended"}}));
                true
            },
        },
        Alteration {
            name: "a step later",
            alter: |steps, step, at| {
                if step + 1 >= steps.len() {
                    return false;
                }
                let action = actions(steps, step).remove(at);
                actions(steps, step + 1).insert(0, action);
                true
            },
        },
        Alteration {
            name: "another order",
            alter: |steps, step, at| {
                let actions = actions(steps, step);
                let to = |action: &Value| action["send"]["to"].clone();
                let is_pair = at + 1 < actions.len()
                    && actions[at].get("send").is_some()
                    && to(&actions[at]) == to(&actions[at + 1])
                    && actions[at] != actions[at + 1];
                if is_pair {
                    actions.swap(at, at + 1);
                }
                is_pair
            },
        },
        Alteration {
            name: "another message",
            alter: |steps, step, at| text(&mut actions(steps, step)[at], "send", "message", turned),
        },
        Alteration {
            name: "a receiver less",
            alter: |steps, step, at| {
                let to = actions(steps, step)[at].pointer_mut("/send/to").and_then(Value::as_array_mut);
                to.is_some_and(|to| to.pop().is_some())
            },
        },
        Alteration {
            name: "a receiver more",
            alter: |steps, step, at| {
                let to = actions(steps, step)[at].pointer_mut("/send/to").and_then(Value::as_array_mut);
                to.is_some_and(|to| {
                    to.push(nobody("").into());
                    true
                })
            },
        },
        Alteration {
            name: "closed to another",
            alter: |steps, step, at| text(&mut actions(steps, step)[at], "disconnect", "peer", nobody),
        },
        Alteration {
            name: "another code",
            alter: |steps, step, at| {
                text(&mut actions(steps, step)[at], "disconnect", "code", |code| format!("{code}-not"))
            },
        },
        Alteration {
            name: "no code",
            alter: |steps, step, at| {
                let fields = actions(steps, step)[at].get_mut("disconnect").and_then(Value::as_object_mut);
                fields.is_some_and(|fields| fields.remove("code").is_some())
            },
        },
        Alteration {
            name: "another code of refusal",
            alter: |steps, step, at| {
                let code = actions(steps, step)[at].get_mut("refuse");
                code.is_some_and(|code| {
                    *code = "malformed".into();
                    true
                })
            },
        },
        Alteration {
            name: "another key dialled",
            alter: |steps, step, at| text(&mut actions(steps, step)[at], "connect", "key", turned),
        },
        Alteration {
            name: "somebody else dialled",
            alter: |steps, step, at| text(&mut actions(steps, step)[at], "connect", "peer", nobody),
        },
        Alteration {
            name: "another notice",
            alter: |steps, step, at| {
                text(&mut actions(steps, step)[at], "tell", "notice", |notice| format!("{notice}-not"))
            },
        },
    ];

    /// Whether somebody else or the user sees the action, which no other action of the step hides.
    fn is_seen(actions: &[Value], at: usize) -> bool {
        let closed = |action: &Value| action.pointer("/disconnect/peer").cloned();
        let peer = closed(&actions[at]);
        let again = actions.iter().filter(|action| peer.is_some() && closed(action) == peer).count() > 1;
        let seen = ["send", "disconnect", "connect", "tell", "refuse"];
        !again && seen.iter().any(|kind| actions[at].get(kind).is_some())
    }

    #[test]
    fn a_trace_with_one_other_expectation_is_failed_by_the_right_answer() {
        let mut made: BTreeMap<&str, usize> = BTreeMap::new();
        for vector in vectors().filter(|vector| vector.operation == "trace") {
            let Expect::Accept { output } = &vector.expect else { continue };
            let mut answer = output.clone();
            answer.insert("verdict".to_owned(), "accept".into());
            let answer = Value::Object(answer);
            let right = output["steps"].as_array().unwrap();
            for Alteration { name, alter } in ALTERATIONS {
                let places = right.iter().enumerate().flat_map(|(step, actions)| {
                    let actions = actions.as_array().unwrap();
                    (0..actions.len()).filter(|at| is_seen(actions, *at)).map(move |at| (step, at))
                });
                // The last place is the one that the trace is there for, more often than any other.
                let altered = places.collect::<Vec<_>>().into_iter().rev().find_map(|(step, at)| {
                    let mut steps = right.clone();
                    alter(&mut steps, step, at).then_some(steps)
                });
                let Some(steps) = altered else { continue };
                *made.entry(name).or_default() += 1;
                let mut output = output.clone();
                output.insert("steps".to_owned(), steps.into());
                let other = VectorCase { expect: Expect::Accept { output }, ..VectorCase::clone(&vector) };
                assert!(compare(&other, &answer).is_err(), "{}: {name} is not noticed", vector.id);
            }
        }
        assert_eq!(made.len(), ALTERATIONS.len(), "{made:?}");
    }

    #[track_caller]
    fn same(one: Value, other: Value, expected: bool) {
        assert_eq!(seen(&one) == seen(&other), expected, "{one} {other}");
    }

    #[test]
    fn traces_are_compared_as_others_see_them() {
        let send = |to: &[&str], message: &str| json!({"send": {"to": to, "message": message}});
        let close = |peer: &str| json!({"disconnect": {"peer": peer}});
        // Once for two, or once for each; whom first.
        same(json!([[send(&["a", "b"], "00")]]), json!([[send(&["b"], "00"), send(&["a"], "00")]]), true);
        same(
            json!([[send(&["a"], "00"), send(&["a"], "01")]]),
            json!([[send(&["a"], "01"), send(&["a"], "00")]]),
            false,
        );
        // In which step counts.
        same(json!([[close("a")], []]), json!([[], [close("a")]]), false);
        same(json!([[close("a")], []]), json!([[close("a")]]), false);
        // Timers and counters do not; nor does closing what is closed.
        same(json!([[{"arm": {"timer": {"name": "join"}, "seconds": 25}}]]), json!([[]]), true);
        same(json!([[close("a"), close("a")]]), json!([[close("a")]]), true);
        same(json!([[close("a")]]), json!([[{"disconnect": {"peer": "a", "code": "fork"}}]]), false);
        same(json!([[{"tell": {"notice": "ended"}}]]), json!([[]]), false);
    }
}
