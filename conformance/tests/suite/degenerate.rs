//! Implementations that answer everything alike, or nothing.

use super::scene::{Ended, polite, run, target};

/// A few dozen vectors, accepted and rejected ones.
const SOME: &str = "identity/*";

#[track_caller]
fn check(shim: &str, arguments: &[&str], code: i32) -> Ended {
    let folder = target(shim, "");
    let ended = run(&folder, arguments);
    assert_eq!(ended.code, code, "{}", ended.printed);
    ended
}

#[test]
fn whoever_accepts_everything_passes_nothing() {
    let ended = check(&polite(r#"echo '{"verdict":"accept"}'"#), &[SOME, "signed/*"], 1);
    assert_eq!(ended.count("FAIL"), ended.verdicts.len(), "{}", ended.printed);
    assert!(ended.verdicts.len() > 200);
}

#[test]
fn whoever_rejects_everything_fails_each_twin() {
    let ended = check(&polite(r#"echo '{"verdict":"reject","error":"malformed"}'"#), &[SOME], 1);
    let verdict = |id: &str| ended.verdicts[id].as_str();
    assert_eq!((verdict("identity/handle"), verdict("identity/name-capital")), ("FAIL", "PASS"));
    assert_eq!((verdict("identity/key-ed25519"), verdict("identity/key-raw")), ("FAIL", "PASS"));
}

#[test]
fn whoever_supports_nothing_has_not_been_run() {
    let ended = check(&polite(r#"echo '{"unsupported":"nothing is"}'"#), &[SOME], 4);
    assert_eq!(ended.count("UNSUPPORTED"), ended.verdicts.len());
    assert_eq!(ended.not_run, 0);
}

#[test]
fn whoever_answers_every_question_alike_is_found_out_at_once() {
    let shim = r#"while read -r line; do echo '{"name":"yes","verdict":"accept"}'; done"#;
    let ended = check(shim, &[SOME], 1);
    assert_eq!(ended.count("FAIL"), ended.verdicts.len());
    assert!(ended.not_run > 0 && ended.printed.contains("unsupported, for an operation that there is not"));
}

#[test]
fn garbage_is_a_failure() {
    for shim in [
        "while read -r line; do echo nonsense; done",
        "while :; do echo '[]'; done",
        "head -c 9000000 /dev/zero",
    ] {
        let ended = check(shim, &[SOME], 1);
        assert_eq!(ended.count("FAIL"), ended.verdicts.len(), "{shim}");
        assert!(ended.not_run > 0, "{shim}");
    }
    let ended = check(&polite("echo nonsense"), &[SOME], 1);
    assert_eq!(ended.count("FAIL"), ended.verdicts.len());
}

#[test]
fn a_crash_is_a_failure_and_whoever_always_crashes_is_given_up() {
    let ended = check("exit 3", &[SOME], 1);
    assert_eq!(ended.count("FAIL"), ended.verdicts.len());
    assert!(ended.verdicts.len() <= 6 && ended.not_run > 50, "{}", ended.printed);
    let ended = check(&polite("echo dying words >&2; exit 3"), &[SOME], 1);
    assert!(ended.printed.contains("dying words") && ended.not_run > 50, "{}", ended.printed);
}

#[test]
fn after_a_crash_the_next_vector_is_put_to_a_new_process() {
    let answer = r#"case $line in *well-known-handle*) exit 3 ;; *) echo '{"verdict":"accept"}' ;; esac"#;
    let ended = check(&polite(answer), &[SOME], 1);
    assert_eq!(ended.not_run, 0, "{}", ended.printed);
}

#[test]
fn a_hang_is_bounded() {
    let ended = check("exec sleep 3600", &["--patience", "1", "identity/key-ed25519"], 1);
    assert_eq!(ended.verdicts["identity/key-ed25519"], "FAIL");
    let ended = check(&polite("exec sleep 3600"), &["--patience", "1", "identity/key-ed25519"], 1);
    assert!(ended.printed.contains("none within 1s"), "{}", ended.printed);
}

#[test]
fn whoever_cannot_be_started_is_no_verdict() {
    let folder = target("", "");
    let text = std::fs::read_to_string(folder.path().join("target.toml")).unwrap();
    let text = text.replace("\"sh\"", "\"/no/such/program\"");
    std::fs::write(folder.path().join("target.toml"), text).unwrap();
    let ended = run(&folder, &[SOME]);
    assert_eq!((ended.code, ended.count("ERROR")), (5, ended.verdicts.len()), "{}", ended.printed);
}
