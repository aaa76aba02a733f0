//! Known failures, and the exit codes of everything that is no run.

use super::scene::{polite, printed, run, suite, target};

/// Fails the first of these cases and passes the second.
const FAILING: &str = "identity/key-ed25519";
const PASSING: &str = "identity/key-raw";

fn expect(cases: &str, until: &str) -> String {
    format!("[[expect]]\ncases = \"{cases}\"\nreason = \"known\"\nuntil = \"{until}\"\n")
}

#[track_caller]
fn check(expectations: &str, case: &str, code: i32, verdict: &str) {
    let folder = target(&polite(r#"echo '{"verdict":"reject","error":"malformed"}'"#), expectations);
    let ended = run(&folder, &[case]);
    assert_eq!((ended.code, ended.verdicts[case].as_str()), (code, verdict), "{}", ended.printed);
}

#[test]
fn a_known_failure_is_expected_until_its_day() {
    check("", FAILING, 1, "FAIL");
    check(&expect(FAILING, "9999-12-31"), FAILING, 0, "XFAIL");
    check(&expect("identity/key-ed*", "9999-12-31"), FAILING, 0, "XFAIL");
    check(&expect(FAILING, "1999-12-31"), FAILING, 1, "FAIL");
}

#[test]
fn an_expectation_that_is_not_met_or_says_nothing_is_stale() {
    check("", PASSING, 0, "PASS");
    check(&expect(PASSING, "9999-12-31"), PASSING, 3, "XPASS");
    check(&expect("identity/no-such-case", "9999-12-31"), PASSING, 3, "PASS");
    check(&expect(FAILING, "1999-12-31"), PASSING, 3, "PASS");
}

#[test]
fn a_build_that_fails_is_no_verdict() {
    let folder = target(&polite("exit 0"), "[build]\ncommand = [\"false\"]\nfolder = \"{folder}\"\n");
    assert_eq!(run(&folder, &[PASSING]).code, 5);
    assert_eq!(run(&folder, &["--no-build", PASSING]).code, 1);
}

#[track_caller]
fn check_code(arguments: &[&str], code: i32, says: &str) {
    let output = suite(arguments);
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    assert!(printed.contains(says), "{arguments:?}: {printed}");
}

#[test]
fn usage() {
    let folder = target("exit 0", "");
    let file = folder.path().join("target.toml").display().to_string();
    check_code(&["run"], 2, "--target");
    check_code(&["run", "--target", "/no/such/file.toml"], 2, "/no/such/file.toml");
    check_code(&["run", "--target", &file, "no/such-case"], 2, "no case is selected");
    check_code(&["run", "--target", &file, "--set", "nothing"], 2, "NAME=VALUE");
    check_code(&["mutants", "--target", &file], 2, "[mutants]");
    check_code(&["explain", "no/such-case"], 2, "no/such-case");
    check_code(&["explain", FAILING], 0, "IDENT-012");
    check_code(&["list", "IDENT-012"], 0, FAILING);
    for wrong in ["unknown-field = 1\n", "[[expect]]\ncases = \"*\"\n", "[server]\n"] {
        let folder = target("exit 0", wrong);
        let file = folder.path().join("target.toml").display().to_string();
        check_code(&["run", "--target", &file], 2, "target.toml");
    }
}

#[test]
fn the_files_of_vectors_are_written_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    check_code(&["vectors", "--check", "--folder", &path], 1, "vectors --write");
    check_code(&["vectors", "--write", "--folder", &path], 0, "written");
    check_code(&["vectors", "--check", "--folder", &path], 0, "cases");
    check_code(&["vectors"], 2, "--check");
}
