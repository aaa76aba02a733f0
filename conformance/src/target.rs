//! Target files: what the implementation under test is called, which roles it plays, and how each is started.
//!
//! A target file is TOML. Commands and templates have placeholders in braces. `{folder}` is the folder of the target file,
//! `{cargo-target}` cargo's target folder of the project in which the target file lies; the table `variables` defines
//! more, and `--set NAME=VALUE` replaces them. What the suite makes for a process has placeholders too:
//!
//! | where | placeholder | what it is |
//! | --- | --- | --- |
//! | server | `{name}` | the server's name |
//! | server | `{root}` | the suite's root certificate (PEM) |
//! | server | `{certificate}`, `{key}` | the server's TLS certificate and key (PEM, PKCS #8) |
//! | server | `{user-ca-certificate}`, `{user-ca-key}` | its authority for its users |
//! | server | `{directory-name}`, `{directory-address}` | the directory node, which is the suite |
//! | server | `{work}` | an empty folder for whatever the server stores |
//! | server | `{registration}` | `open`, `by-code` or `closed`: for whom it makes new accounts |
//! | server | `{code}`, `{code-accounts}` | the registration code that it gives out, and for how many accounts |
//! | server | `{login-lease}` | for how long it lends a login epoch, in seconds |
//! | server | `{rate}` | the rate of every class of requests, for users, servers and registrations: so many a second, and so many at once |
//! | server | `{message-rate}` | how fast it reads what one user or server sends: so many messages a second, and so many at once |
//! | server | `{connection-rate}` | how often one address may connect to a port: so many times a second, and so many at once |
//! | server | `{handshakes}` | how many handshakes may be under way at a port |
//! | server | `{connections}` | how many connections of one address it takes at a port |
//! | server | `{config}` | in commands: the file that was made of the template |
//! | end of an account | those of the server, with `{config}`, and `{user}` | the user's handle |
//! | directory node | `{name}`, `{root}`, `{certificate}`, `{key}`, `{work}`, `{config}` | as for a server |
//! | directory node | `{lease}` | the lease that it gives, in seconds |
//! | directory node below | all of a directory node's, `{parent-name-one}`, `{parent-address-one}`, `{parent-name-two}`, `{parent-address-two}` | the two processes of its parent, which is the suite |
//! | client | `{root}` | the suite's root certificate (PEM) |
//! | client | `{identity}` | an empty folder for whatever the client stores |
//! | client | `{server-name}`, `{server-address}`, `{registration-address}` | the server, which is the suite |
//!
//! A server notices by itself, within ten seconds, that the files `{certificate}` and `{key}` have been written again.
//!
//! The table `end-account` has the command with which an operator ends a user's account, whether the server runs or not; it
//! exits with 0 when the server has been asked.
//!
//! A server says on its standard output that it is ready, with a line that is a JSON object with the fields `event`:
//! `"ready"`, `listen` and `registration`, the two addresses; a directory node says so with `listen` alone. A client takes commands and gives events as JSON lines,
//! as the module `live::client::driver` tells. A shim answers JSON lines ([`crate::shim`]).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::case::Role;

/// An implementation under test.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// What it is called.
    pub name: String,
    /// The roles that it plays; cases of others are not run.
    pub(crate) roles: Vec<Role>,
    /// What to do before.
    #[serde(default)]
    pub(crate) build: Option<Build>,
    /// The process that answers vectors.
    #[serde(default)]
    pub(crate) shim: Option<Program>,
    /// The server.
    #[serde(default)]
    pub(crate) server: Option<Program>,
    /// The client.
    #[serde(default)]
    pub(crate) client: Option<Program>,
    /// The directory node.
    #[serde(default)]
    pub(crate) directory_node: Option<Program>,
    /// The directory node, with a parent that two processes serve.
    #[serde(default)]
    pub(crate) directory_node_below: Option<Program>,
    /// The command with which an operator ends an account.
    #[serde(default)]
    pub(crate) end_account: Option<Program>,
    /// Wrong variants of the implementation.
    #[serde(default)]
    pub(crate) mutants: Option<Mutants>,
    /// Values for placeholders.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// Cases that are known to fail.
    #[serde(default, rename = "expect")]
    pub(crate) expectations: Vec<Expectation>,
    #[serde(skip)]
    folder: PathBuf,
}

/// What to do before a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Build {
    /// The command.
    pub(crate) command: Vec<String>,
    /// Where it is run.
    pub(crate) folder: String,
}

/// A process of the implementation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Program {
    /// The command.
    pub(crate) command: Vec<String>,
    /// The template of its configuration file, relative to the target file.
    #[serde(default)]
    pub(crate) config: Option<PathBuf>,
}

/// Wrong variants of the implementation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Mutants {
    /// Builds the program that contains them.
    pub(crate) build: Option<Build>,
    /// The program; it takes the place of the variable `binary`.
    pub(crate) binary: String,
    /// Lists them: one JSON object a line with `name`, `breaks` and `caught-by`.
    pub(crate) list: Vec<String>,
    /// The environment variable that selects one.
    pub(crate) variable: String,
}

/// A case that is known to fail, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Expectation {
    /// Which cases: an ID, with `*` for any characters.
    pub(crate) cases: String,
    /// Why.
    pub(crate) reason: String,
    /// The last day on which the expectation counts, as `YYYY-MM-DD`.
    pub(crate) until: String,
}

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The target file is wrong.
    #[error("{}: {source}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// A placeholder has no value.
    #[error("the placeholder {{{0}}} has no value; define it under [variables] or with --set")]
    Placeholder(String),
    /// A role has no process.
    #[error("the target plays the role {0} but has no table for it")]
    NoProgram(&'static str),
    /// A command is empty.
    #[error("a command is empty")]
    EmptyCommand,
}

/// Values for placeholders.
pub(crate) type Values = BTreeMap<&'static str, String>;

impl Target {
    /// Reads a target file; `set` replaces variables.
    ///
    /// # Errors
    /// The file cannot be read or is wrong.
    pub fn load(path: &Path, set: &[(String, String)]) -> Result<Self, TargetError> {
        let read = |source| TargetError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let mut target: Self =
            toml::from_str(&text).map_err(|source| TargetError::Wrong { path: path.to_owned(), source })?;
        let folder =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        target.folder = folder.canonicalize().map_err(read)?;
        target.variables.extend(set.iter().cloned());
        for (role, program) in [
            (Role::Codec, &target.shim),
            (Role::Server, &target.server),
            (Role::Client, &target.client),
            (Role::DirectoryNode, &target.directory_node),
            (Role::DirectoryNode, &target.directory_node_below),
        ] {
            if target.roles.contains(&role) && program.is_none() {
                return Err(TargetError::NoProgram(role.as_str()));
            }
        }
        Ok(target)
    }

    /// A file of the target's folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&self, path: &Path) -> Result<String, TargetError> {
        let path = self.folder.join(path);
        std::fs::read_to_string(&path).map_err(|source| TargetError::Read { path, source })
    }

    /// A text with its placeholders replaced.
    ///
    /// # Errors
    /// A placeholder has no value.
    pub(crate) fn fill(&self, text: &str, values: &Values) -> Result<String, TargetError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            // TOML has braces of its own; a placeholder is one word.
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
                filled.push('{');
                rest = after;
                continue;
            }
            filled.push_str(&self.value(name, values)?);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str, values: &Values) -> Result<String, TargetError> {
        if let Some(value) = values.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.variables.get(name) {
            return self.fill(value, values);
        }
        match name {
            "folder" => Ok(self.folder.display().to_string()),
            "cargo-target" => Ok(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| {
                let workspace = self.folder.ancestors().find(|folder| folder.join("Cargo.lock").exists());
                workspace.unwrap_or(&self.folder).join("target").display().to_string()
            })),
            _ => Err(TargetError::Placeholder(name.to_owned())),
        }
    }

    /// A command with its placeholders replaced, never empty.
    ///
    /// # Errors
    /// A placeholder has no value, or the command is empty.
    pub(crate) fn command(
        &self,
        words: &[String],
        values: &Values,
    ) -> Result<(String, Vec<String>), TargetError> {
        let words = words.iter().map(|word| self.fill(word, values)).collect::<Result<Vec<_>, _>>()?;
        let (program, arguments) = words.split_first().ok_or(TargetError::EmptyCommand)?;
        Ok((program.clone(), arguments.to_vec()))
    }
}

/// Whether an ID fits a pattern, in which `*` stands for any characters.
pub(crate) fn fits(pattern: &str, id: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == id,
        Some((before, after)) => id.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| fits(after, rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(fits("tls/*", "tls/no-alpn"));
        assert!(fits("*", "anything"));
        assert!(fits("a/*-b*", "a/x-b-c"));
        assert!(!fits("tls/*", "frame/empty"));
        assert!(!fits("tls/x", "tls/xy"));
    }

    #[test]
    fn the_reference_target_is_read_and_filled() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets/reference.toml");
        let target = Target::load(&path, &[("binary".to_owned(), "/x".to_owned())]).unwrap();
        let program = target.shim.as_ref().unwrap();
        let (command, arguments) = target.command(&program.command, &Values::new()).unwrap();
        assert_eq!((command.as_str(), arguments), ("/x", vec!["shim".to_owned()]));
        assert!(matches!(target.fill("{nothing}", &Values::new()), Err(TargetError::Placeholder(_))));
        assert_eq!(target.fill("a = { b = 1 }", &Values::new()).unwrap(), "a = { b = 1 }");
    }
}
