//! Wrong variants: one that is seen, one that is not, and one that is only gone.

use super::scene::{polite, printed, suite, target};

/// An implementation whose variants are wrong about one key, about nothing, or not there.
fn implementation() -> String {
    let right = r#"echo '{"verdict":"reject","error":"malformed"}'"#;
    let answer = format!(
        r#"case $VARIANT in wrong) echo '{{"verdict":"accept"}}' ;; gone) exit 3 ;; *) {right} ;; esac"#
    );
    let list = ["wrong", "gone", "harmless", "elsewhere"].map(|name| {
        let catcher = if name == "elsewhere" { "model" } else { "suite" };
        format!(r#"echo '{{"name":"{name}","breaks":"IDENT-011","caught-by":"{catcher}"}}'"#)
    });
    format!("if [ \"$1\" = list ]; then\n{}\nexit\nfi\n{}", list.join("\n"), polite(&answer))
}

#[track_caller]
fn check(names: &[&str], code: i32, says: &[&str]) {
    let more = "[mutants]\nbinary = \"{folder}/implementation\"\nlist = [\"sh\", \"{binary}\", \"list\"]\nvariable = \"VARIANT\"\n";
    let folder = target("exec sh '{binary}'", more);
    std::fs::write(folder.path().join("implementation"), implementation()).unwrap();
    let file = folder.path().join("target.toml").display().to_string();
    let output = suite(&[&["mutants", "--target", &file], names].concat());
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(code), "{printed}");
    for says in says {
        assert!(printed.contains(says), "no {says:?} in {printed}");
    }
}

#[test]
fn a_variant_is_killed_by_a_case_that_names_what_it_breaks() {
    check(&["wrong"], 0, &["killed    wrong", "identity/key-p256-off-curve", "1 of 1 mutants killed"]);
}

#[test]
fn a_variant_that_nothing_shows_survives() {
    check(&["harmless"], 1, &["SURVIVED  harmless"]);
}

#[test]
fn a_variant_that_is_gone_proves_nothing() {
    check(&["gone"], 1, &["INVALID   gone", "0 of 1 mutants killed"]);
}

/// A server that is only gone, or gets ready and then does nothing.
#[track_caller]
fn check_server(name: &str, code: i32, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let list = ["gone", "idle"]
        .map(|name| format!(r#"echo '{{"name":"{name}","breaks":"LOGIN-033","caught-by":"suite"}}'"#));
    let ready = r#"echo '{"listen":"127.0.0.1:1","registration":"127.0.0.1:1"}'"#;
    let program = format!(
        "if [ \"$1\" = list ]; then\n{}\nexit\nfi\n[ \"$VARIANT\" = gone ] && exit 3\n{ready}\nread -r line",
        list.join("\n")
    );
    std::fs::write(folder.path().join("implementation"), program).unwrap();
    let text = "name = \"idle\"\nroles = [\"server\"]\n[server]\ncommand = [\"sh\", \"{binary}\"]\n\
        [mutants]\nbinary = \"{folder}/implementation\"\nlist = [\"sh\", \"{binary}\", \"list\"]\nvariable = \"VARIANT\"\n";
    let file = folder.path().join("target.toml");
    std::fs::write(&file, text).unwrap();
    let output = suite(&["mutants", "--target", &file.display().to_string(), name]);
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(code), "{printed}");
    assert!(printed.contains(says), "no {says:?} in {printed}");
}

#[test]
fn a_server_that_does_not_get_ready_proves_nothing() {
    check_server("gone", 1, "INVALID   gone");
    check_server("idle", 0, "killed    idle");
}

#[test]
fn the_models_variants_are_theirs() {
    check(&[], 1, &["1 of 3 mutants killed"]);
    check(&["elsewhere"], 2, &["no mutant is selected"]);
}
