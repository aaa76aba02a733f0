//! A PostgreSQL for tests: from the system's packages, in a temporary folder, reached by a socket there and by nothing
//! else, gone when the test is, however it ends.
//!
//! PostgreSQL refuses to run as root, so there it runs as another user. Where it cannot run at all, [`missing`] says
//! why, and tests say that half of them did not run.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is the harness of tests: it fails by panicking"
)]

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The script that runs as PostgreSQL's user.
const KEEPER: &str = include_str!("keeper.sh");

/// Programs that are needed.
const PROGRAMS: [&str; 5] = ["initdb", "postgres", "pg_ctl", "createdb", "psql"];

/// Where Debian puts them, which is not where programs are looked for.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Users without rights, the best first.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Whether what was written is on disk after a commit, as it is by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// A crash of the machine loses nothing.
    On,
    /// A crash of PostgreSQL loses nothing; of the machine, maybe all. Faster.
    Off,
}

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    keeper: Mutex<Keeper>,
    databases: AtomicU32,
}

#[derive(Debug)]
struct Keeper {
    process: Child,
    // Taken when it is to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What is missing to run PostgreSQL, if something is.
#[must_use]
pub fn missing() -> Option<String> {
    let Err(program) = programs() else { return None };
    Some(format!("PostgreSQL's program {program} (on Debian: apt-get install postgresql)"))
}

/// Says on the standard error that a test did not run on PostgreSQL, past the harness, which keeps what tests print.
pub fn tell_not_run(what: &str, missing: &str) {
    let mut text = String::new();
    let _ = writeln!(text, "NOT RUN on PostgreSQL: {what} needs {missing}");
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The PostgreSQL that all tests of one program share, started by the first; nothing where it cannot run.
#[must_use]
pub fn shared() -> Option<Arc<Postgres>> {
    static SHARED: OnceLock<Option<Arc<Postgres>>> = OnceLock::new();
    SHARED.get_or_init(|| missing().is_none().then(|| Arc::new(Postgres::start(Fsync::On)))).clone()
}

/// The folder with the programs, or the one that is nowhere.
fn programs() -> Result<PathBuf, &'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir(DEBIAN)
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let mut lacks = "initdb";
    for folder in debian.into_iter().rev().chain(std::env::split_paths(&path)) {
        match PROGRAMS.into_iter().find(|program| !folder.join(program).exists()) {
            None => return Ok(folder),
            Some("initdb") => {}
            Some(program) => lacks = program,
        }
    }
    Err(lacks)
}

/// Whether this process is root.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn is_user(name: &str) -> bool {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.split(':').next() == Some(name))
}

impl Postgres {
    /// Starts one.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(fsync: Fsync) -> Self {
        let programs = programs().unwrap_or_else(|program| panic!("there is no {program}"));
        let mut command = if is_root() {
            let user = USERS.into_iter().find(|user| is_user(user)).expect("there is a user without rights");
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={user}"), "--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let fsync = if fsync == Fsync::On { "fsync" } else { "no-fsync" };
        command.args(["-c", KEEPER, "keeper"]).arg(programs).arg(fsync);
        // What is meant for the clients of some other PostgreSQL, and a keyboard's interrupt, are nothing to this one.
        for variable in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGDATA"] {
            command.env_remove(variable);
        }
        command.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a shell can be started");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut keeper = Keeper { process, input, output };
        let folder = keeper.answer().into();
        Self { folder, keeper: Mutex::new(keeper), databases: AtomicU32::new(0) }
    }

    /// Makes an empty database and returns its URL.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("antiphon{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.told(&format!("create {name}"));
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://antiphon@{folder}/{name}")
    }

    /// Carries out a line of SQL in a database of this URL.
    pub fn run(&self, url: &str, sql: &str) {
        let name = url.rsplit('/').next().expect("a URL of this PostgreSQL");
        self.told(&format!("run {name} {sql}"));
    }

    /// The folder with its socket and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills it, as a crash does.
    pub fn crash(&self) {
        self.told("crash");
    }

    /// Starts it again after a crash, and waits until it takes connections.
    pub fn start_again(&self) {
        self.told("start");
    }

    fn told(&self, command: &str) {
        let mut keeper = self.keeper.lock().expect("nobody else has failed");
        let input = keeper.input.as_mut().expect("it has not been dropped");
        writeln!(input, "{command}").expect("the keeper listens");
        assert_eq!(keeper.answer(), "done", "{command}");
    }
}

impl Keeper {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the keeper can be heard");
        assert!(line.ends_with('\n'), "PostgreSQL failed; the standard error says why");
        line.trim_end().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(keeper.input.take());
        let _ = keeper.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_after_a_crash_and_leaves_nothing() {
        if let Some(missing) = missing() {
            return tell_not_run("the starter itself", &missing);
        }
        let postgres = Postgres::start(Fsync::Off);
        let url = postgres.database();
        postgres.run(&url, "CREATE TABLE kept (number BIGINT)");
        postgres.crash();
        postgres.start_again();
        postgres.run(&url, "INSERT INTO kept VALUES (1)");
        let folder = postgres.folder().to_owned();
        assert!(folder.exists());
        drop(postgres);
        assert!(!folder.exists());
    }
}
