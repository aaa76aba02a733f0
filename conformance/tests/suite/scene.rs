//! A target whose implementation is a few lines of the shell, and a run of the suite against it.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Answers `hello` and the operation that there is not, as every shim has to.
pub(crate) const POLITE: &str = r#"
while read -r line; do
    case $line in
    *'"op":"hello"'*) echo '{"name":"degenerate","operations":[]}' ;;
    *'"op":"no-such-operation"'*) echo '{"unsupported":"no such operation"}' ;;
    *) ANSWER ;;
    esac
done
"#;

/// A shim that answers every vector in this way.
pub(crate) fn polite(answer: &str) -> String {
    POLITE.replace("ANSWER", answer)
}

/// What a run ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: i32,
    /// Verdicts by case; those that were not run are not there.
    pub(crate) verdicts: BTreeMap<String, String>,
    /// How many cases were not run.
    pub(crate) not_run: u64,
    /// Everything that was printed.
    pub(crate) printed: String,
}

impl Ended {
    /// How many cases got this verdict.
    pub(crate) fn count(&self, verdict: &str) -> usize {
        self.verdicts.values().filter(|found| *found == verdict).count()
    }
}

/// Runs the program.
pub(crate) fn suite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_antiphon-conformance")).args(arguments).output().unwrap()
}

/// Everything that a run printed.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A target file with a shim in the shell language, and whatever else is to stand in it.
pub(crate) fn target(shim: &str, more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let quoted = toml::Value::from(shim);
    let text = format!(
        "name = \"degenerate\"\nroles = [\"codec\", \"verifier\", \"member\"]\n[shim]\ncommand = [\"sh\", \"-c\", {quoted}]\n{more}"
    );
    fs::write(folder.path().join("target.toml"), text).unwrap();
    folder
}

/// Runs the suite's `run` against a target.
#[track_caller]
pub(crate) fn run(folder: &TempDir, arguments: &[&str]) -> Ended {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (target, results, junit) = (file("target.toml"), file("results.json"), file("results.xml"));
    let all = [&["run", "--target", &target, "--json", &results, "--junit", &junit], arguments].concat();
    let output = suite(&all);
    let printed = printed(&output);
    let code = output.status.code().unwrap();
    let Ok(text) = fs::read_to_string(&results) else {
        return Ended { code, verdicts: BTreeMap::new(), not_run: 0, printed };
    };
    let report: Value = serde_json::from_str(&text).unwrap();
    let verdict = |case: &Value| {
        (case["id"].as_str().unwrap().to_owned(), case["verdict"].as_str().unwrap().to_owned())
    };
    let verdicts: BTreeMap<_, _> = report["cases"].as_array().unwrap().iter().map(verdict).collect();
    let tests = fs::read_to_string(&junit).unwrap();
    assert_eq!(tests.matches("<testcase ").count(), verdicts.len(), "{tests}");
    Ended { code, verdicts, not_run: report["not-run"].as_u64().unwrap(), printed }
}
