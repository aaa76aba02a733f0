//! Rules about the source tree itself, which no compiler checks.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most lines that a source file may have; most have a third of it.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every source file of the workspace, with its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["spec", "protocol", "impl", "models", "fuzz", "conformance", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 100, "only {} source files were found", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Fails with every file and line that breaks a rule.
#[track_caller]
fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| {
            let first = text.lines().find(|line| !line.starts_with("#!["));
            !first.is_some_and(|line| line.starts_with("//! ") && line.len() > "//! ".len())
        })
        .map(|(path, _)| path)
        .collect();
    none("a file opens with //! and its one idea", &broken);
}

#[test]
fn no_file_is_too_long_to_hold_in_the_head() {
    let broken: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    none("a file has at most 800 lines", &broken);
}

#[test]
fn nothing_is_left_over() {
    // Put together here, so that this file does not find itself.
    let words = [
        ["FIX", "ME"],
        ["XX", "X:"],
        ["#[ign", "ore"],
        ["#[should_", "panic"],
        ["unimpl", "emented!"],
        ["tod", "o!("],
    ]
    .map(|parts| parts.concat());
    let mut broken = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                broken.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    none("nothing is left for later, ignored, or expected to panic", &broken);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for folder in ["spec", "protocol", "impl", "models", "fuzz", "conformance", "tests"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder}/Cargo.toml");
    }
}

#[test]
fn the_arrows_point_down() {
    let allowed: [(&str, &[&str]); 4] = [
        ("spec", &[]),
        ("protocol", &["antiphon-spec"]),
        ("impl", &["antiphon-spec", "antiphon-protocol"]),
        ("conformance", &["antiphon-spec", "antiphon-protocol"]),
    ];
    for (folder, allowed) in allowed {
        let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap();
        for name in dependencies.keys().filter(|name| name.starts_with("antiphon")) {
            assert!(allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn the_machines_stay_pure() {
    let banned = [
        "std::net",
        "std::fs",
        "std::thread",
        "std::env",
        "SystemTime",
        "Instant",
        "tokio",
        "async fn",
        "println!",
    ];
    let mut broken = Vec::new();
    for (path, text) in
        sources().into_iter().filter(|(path, _)| path.contains("/spec/src/") && !path.contains("/tests"))
    {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                broken.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    none("spec does no I/O, reads no clock and draws nothing", &broken);
}

#[test]
fn the_readme_and_the_checks_name_the_same_commands() {
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert!(read("README.md").contains(command), "README.md lacks {command}");
    }
    assert!(read(".ci/run").contains("cargo test --workspace"), ".ci/run lacks the README's test command");
}
