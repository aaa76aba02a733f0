//! Configuration files: TOML in which every key is known, and whose faults are told with file, line, key and fix.
//!
//! Paths in a file are relative to the folder in which the file is.

mod database;

use std::{
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use antiphon_spec::{
    identity::{ContactAddress, ServerName},
    registration_code::RegistrationCode,
};
use serde::{Deserialize, de::DeserializeOwned};

pub(crate) use self::database::Way;
pub use self::database::{DatabaseUrl, DatabaseUrlError, PostgresUrl};

/// What a server is started with.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerConfig {
    /// The server's name, as in its certificates.
    pub name: ServerName,
    /// Where clients without a certificate register. Port 0 takes any free port.
    pub registration_address: SocketAddr,
    /// Where users and servers connect with their certificates. Port 0 takes any free port.
    pub listen_address: SocketAddr,
    /// Where others reach `listen-address`, if that is another address than the one that is listened on.
    pub advertised_address: Option<ContactAddress>,
    /// The root certificate (PEM).
    pub root: PathBuf,
    /// The server's TLS certificate (PEM).
    pub certificate: PathBuf,
    /// The key of the TLS certificate (PEM, PKCS #8).
    pub key: PathBuf,
    /// The certificate of the server's authority for its users (PEM).
    pub user_ca_certificate: PathBuf,
    /// The key of that authority (PEM, PKCS #8).
    pub user_ca_key: PathBuf,
    /// Which database: a path or URL of SQLite, or a URL of PostgreSQL.
    pub database: DatabaseUrl,
    /// The directory node that is asked: its one process, or all in their order (`LOC-041`).
    #[serde(deserialize_with = "one_or_many")]
    pub directory_node: Vec<DirectoryNodeAddress>,
    /// Whether new accounts are made.
    #[serde(default)]
    pub registration: RegistrationPolicy,
    /// With which codes accounts are made, if they are made by code.
    #[serde(default)]
    pub registration_codes: Vec<GivenCode>,
    /// For how long a login epoch is lent, in seconds, at most 300 (`LOGIN-036`): a shorter lease lets a user whose server
    /// has died count as logged out sooner, and has the servers of all others renew more often.
    #[serde(default = "ServerConfig::login_lease_default")]
    pub login_lease: u64,
    /// Where the operator's tools ask for metrics and health; nowhere, if absent. Port 0 takes any free port.
    pub monitoring_address: Option<SocketAddr>,
    /// The socket at which the operator may ask (`antiphon admin`), for the user alone who runs the server; none, if absent.
    pub control_socket: Option<PathBuf>,
    /// What peers may use.
    #[serde(default)]
    pub limits: Limits,
}

impl ServerConfig {
    /// The longest lease that the protocol allows, in seconds.
    #[must_use]
    pub fn login_lease_default() -> u64 {
        antiphon_spec::limits::LOGIN_LEASE.as_secs()
    }

    /// The settings that name keys and certificates, and the files.
    pub(crate) fn files(&self) -> [(&'static str, &Path); 5] {
        [
            ("root", &self.root),
            ("certificate", &self.certificate),
            ("key", &self.key),
            ("user-ca-certificate", &self.user_ca_certificate),
            ("user-ca-key", &self.user_ca_key),
        ]
    }
}

/// What a directory node is started with.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DirectoryNodeConfig {
    /// The node's name, as in its certificate.
    pub name: ServerName,
    /// Where servers connect. Port 0 takes any free port.
    pub listen_address: SocketAddr,
    /// The root certificate (PEM).
    pub root: PathBuf,
    /// The node's certificate (PEM).
    pub certificate: PathBuf,
    /// The key of the certificate (PEM, PKCS #8).
    pub key: PathBuf,
    /// Which database: a path or URL of SQLite, or a URL of PostgreSQL.
    pub database: DatabaseUrl,
    /// Where others reach `listen-address`, if that is another address than the one that is listened on.
    pub advertised_address: Option<ContactAddress>,
    /// The processes of the parent, in their order (`LOC-041`); none for the root node.
    #[serde(default)]
    pub parent: Vec<DirectoryNodeAddress>,
    /// Lease of a record in seconds, at most 300 (`LOC-006`).
    #[serde(default = "DirectoryNodeConfig::lease_default")]
    pub lease: u64,
    /// Most records of one server.
    #[serde(default = "DirectoryNodeConfig::records_per_server_default")]
    pub records_per_server: u64,
    /// Where the operator's tools ask for metrics and health; nowhere, if absent. Port 0 takes any free port.
    pub monitoring_address: Option<SocketAddr>,
    /// What peers may use.
    #[serde(default)]
    pub limits: Limits,
}

impl DirectoryNodeConfig {
    /// The settings that name keys and certificates, and the files.
    pub(crate) fn files(&self) -> [(&'static str, &Path); 3] {
        [("root", &self.root), ("certificate", &self.certificate), ("key", &self.key)]
    }

    /// The longest lease that the protocol allows, in seconds.
    #[must_use]
    pub fn lease_default() -> u64 {
        antiphon_spec::limits::LOCATION_LEASE.as_secs()
    }

    /// As many users as one server is expected to hold.
    #[must_use]
    pub fn records_per_server_default() -> u64 {
        1_000_000
    }
}

/// A directory node, as those see it who ask it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DirectoryNodeAddress {
    /// Where it listens.
    pub address: ContactAddress,
    /// The name in its certificate.
    pub name: ServerName,
}

/// One table, or an array of tables with at least one.
fn one_or_many<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<DirectoryNodeAddress>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Processes {
        One(DirectoryNodeAddress),
        Many(Vec<DirectoryNodeAddress>),
    }
    match Processes::deserialize(deserializer)? {
        Processes::One(process) => Ok(vec![process]),
        Processes::Many(processes) if processes.is_empty() => {
            Err(serde::de::Error::invalid_length(0, &"at least one process of the directory node"))
        }
        Processes::Many(processes) => Ok(processes),
    }
}

/// Whether new accounts are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationPolicy {
    /// For every key.
    Open,
    /// For keys that come with a registration code that is not used up (`REG-024`).
    ByCode,
    /// For none; those that have an account still get certificates (`REG-011`).
    #[default]
    Closed,
}

/// A registration code that the operator gives out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GivenCode {
    /// The code.
    pub code: RegistrationCode,
    /// How many accounts are made with it, ever.
    #[serde(default = "GivenCode::accounts_default")]
    pub accounts: u32,
}

impl GivenCode {
    /// One code, one account.
    #[must_use]
    pub const fn accounts_default() -> u32 {
        1
    }
}

/// The shortest code that is given out: shorter ones can be guessed.
const CODE_LENGTH_MIN: usize = 16;

/// What peers may use of one process.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Most connections of one port; more wait to be accepted.
    pub connections: usize,
    /// Most connections of one certificate's holder; more are refused with `limit-reached`.
    pub connections_per_peer: usize,
    /// Most connections of one address at one port; more are closed before their handshake (`LIM-010`). Of IPv6, the
    /// addresses with the first 64 bits in common are one.
    pub connections_per_address: usize,
    /// Most requests of one connection that are open at once; more are refused with `limit-reached`.
    pub requests_per_connection: usize,
    /// Most bytes that wait for a peer that reads slowly; with more the connection is ended.
    pub outgoing_bytes: usize,
    /// Most bytes that wait in all, for peers to read and to be carried out; nobody may have more than an eighth of what is
    /// free, and whoever reads slowly is ended.
    pub waiting_bytes: usize,
    /// How often one user may ask (`LIM-007`).
    pub user_rates: Rates,
    /// How often one server may ask, for all its users.
    pub server_rates: Rates,
    /// How often keys may be registered from one address.
    pub registration_rate: Rate,
    /// How often one address may connect to one port; more are closed before their handshake (`LIM-013`).
    pub connection_rate: Rate,
    /// Most handshakes under way at a port; one more ends the oldest one of the address that has the most (`LIM-014`).
    pub handshakes: usize,
}

/// How often one peer may ask, for each class of requests.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rates {
    /// `login`; of servers `check-out` and `renew`.
    pub logins: Rate,
    /// `lookup`; of servers `resolve`.
    pub lookups: Rate,
    /// `set-preferences`; of servers `store`.
    pub changes: Rate,
    /// `relay-open`; of servers `relay-call`.
    pub calls: Rate,
    /// Messages of every kind; more are read later (`LIM-015`).
    pub messages: Rate,
}

/// So many requests a second, and so many at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, after a while without a request.
    pub burst: NonZeroU32,
}

impl Rate {
    const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl From<Rate> for antiphon_spec::rate::Rate {
    fn from(Rate { per_second, burst }: Rate) -> Self {
        Self { per_second, burst }
    }
}

/// More than a person asks, and a client that comes back into 32 sessions of 32 members. The messages are those of a lively
/// session of 32 over relayed links.
const USER_RATES: Rates = Rates {
    logins: Rate::new(2, 60),
    lookups: Rate::new(50, 1_024),
    changes: Rate::new(5, 60),
    calls: Rate::new(50, 1_024),
    messages: Rate::new(2_000, 1_000),
};

/// What a server asks when a hundred thousand of its users are logged in at one other server.
const SERVER_RATES: Rates = Rates {
    logins: Rate::new(1_000, 4_000),
    lookups: Rate::new(2_000, 4_000),
    changes: Rate::new(100, 500),
    calls: Rate::new(1_000, 4_000),
    messages: Rate::new(10_000, 2_000),
};

impl Limits {
    /// The most memory that a server's process takes, whatever peers do; the chapter *Limits* tells what it is made of.
    #[must_use]
    pub fn memory_bytes_max(&self) -> u64 {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        let bytes = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        // The program, the connections and caches of the database; what is counted for peers and addresses; queues.
        let fixed = 64 * MIB + 32 * MIB + 160 * MIB;
        // A frame, TLS, the task; at the authenticated port a login with its profile, and tables of relayed links.
        let connections = bytes(self.connections).saturating_mul((136 + 448) * KIB);
        fixed.saturating_add(bytes(self.waiting_bytes)).saturating_add(connections)
    }
}

/// Less than this isn't enough for a few peers with long answers.
const WAITING_BYTES_MIN: usize = 16 * 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_peer: 64,
            connections_per_address: 1_024,
            requests_per_connection: 64,
            outgoing_bytes: 512 * 1024,
            waiting_bytes: 256 * 1024 * 1024,
            user_rates: USER_RATES,
            server_rates: SERVER_RATES,
            registration_rate: Rate::new(2, 120),
            // Many people behind one address come back after an outage.
            connection_rate: Rate::new(20, 200),
            handshakes: 256,
        }
    }
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("the configuration file {}{place} is wrong: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: Place,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &str {
        match self {
            Self::Read { .. } => "name an existing file that this user may read, with --config",
            Self::Wrong { fix, .. } => fix,
        }
    }
}

/// A place in a file: a line, and the key on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: Option<usize>,
    /// The key.
    pub key: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", key {key}")?;
        }
        Ok(())
    }
}

impl ServerConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = load(path)?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        for file in [
            &mut config.root,
            &mut config.certificate,
            &mut config.key,
            &mut config.user_ca_certificate,
            &mut config.user_ca_key,
        ] {
            *file = base.join(&file);
        }
        config.control_socket = config.control_socket.map(|socket| base.join(socket));
        config.database.make_absolute(base);
        check_lease(path, "login-lease", config.login_lease, Self::login_lease_default())?;
        check_limits(path, &config.limits)?;
        check_codes(path, &config)?;
        Ok(config)
    }
}

impl DirectoryNodeConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = load(path)?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        for file in [&mut config.root, &mut config.certificate, &mut config.key] {
            *file = base.join(&file);
        }
        config.database.make_absolute(base);
        check_lease(path, "lease", config.lease, Self::lease_default())?;
        check_limits(path, &config.limits)?;
        Ok(config)
    }
}

fn check_lease(path: &Path, key: &str, seconds: u64, most: u64) -> Result<(), ConfigError> {
    if (1..=most).contains(&seconds) {
        return Ok(());
    }
    Err(out_of_range(path, key, &seconds, format!("set it to 1 to {most} seconds")))
}

fn check_codes(path: &Path, config: &ServerConfig) -> Result<(), ConfigError> {
    let wrong = |key: &str, problem: &str, fix: String| {
        let place = Place { line: None, key: Some(key.to_owned()) };
        Err(ConfigError::Wrong { path: path.to_owned(), place, problem: problem.to_owned(), fix })
    };
    let codes = &config.registration_codes;
    if codes.iter().any(|given| given.code.as_str().len() < CODE_LENGTH_MIN) {
        let fix =
            format!("draw {CODE_LENGTH_MIN} letters and digits or more, as with `openssl rand -hex 16`");
        return wrong("registration-codes.code", "a code is so short that it can be guessed", fix);
    }
    let different: std::collections::BTreeSet<&str> = codes.iter().map(|given| given.code.as_str()).collect();
    if different.len() < codes.len() {
        return wrong(
            "registration-codes.code",
            "a code stands there twice",
            "name each code once".to_owned(),
        );
    }
    Ok(())
}

fn check_limits(path: &Path, limits: &Limits) -> Result<(), ConfigError> {
    let Limits {
        connections,
        connections_per_peer,
        connections_per_address,
        requests_per_connection,
        outgoing_bytes,
        waiting_bytes,
        // These have no value that is out of range.
        user_rates: _,
        server_rates: _,
        registration_rate: _,
        connection_rate: _,
        handshakes,
    } = limits;
    let frame = antiphon_spec::limits::FRAME_BYTES_MAX_SERVER;
    for (key, value, least) in [
        ("limits.connections", connections, 1),
        ("limits.connections-per-peer", connections_per_peer, 1),
        ("limits.connections-per-address", connections_per_address, 1),
        ("limits.handshakes", handshakes, 1),
        ("limits.requests-per-connection", requests_per_connection, 1),
        ("limits.outgoing-bytes", outgoing_bytes, frame),
        ("limits.waiting-bytes", waiting_bytes, WAITING_BYTES_MIN),
    ] {
        // The upper bound is what a semaphore can count.
        if !(least..=usize::MAX >> 3).contains(value) {
            return Err(out_of_range(path, key, value, format!("set it to {least} or more")));
        }
    }
    Ok(())
}

fn out_of_range(path: &Path, key: &str, value: &dyn fmt::Display, fix: String) -> ConfigError {
    let place = Place { line: None, key: Some(key.to_owned()) };
    ConfigError::Wrong { path: path.to_owned(), place, problem: format!("{value} is out of range"), fix }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| wrong(path, &text, &error))
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let problem = error.message().trim().to_owned();
    // What is missing stands nowhere; the library points at the whole file then.
    let span = error.span().filter(|_| !problem.starts_with("missing field"));
    let start = span.map(|span| span.start);
    let line = start.and_then(|start| text.get(..start)).map(|before| before.matches('\n').count() + 1);
    let on_line = line.and_then(|line| text.lines().nth(line - 1)).and_then(|line| line.split_once('='));
    let quoted = problem.split('`').nth(1).map(str::to_owned);
    let key = on_line.map(|(key, _)| key.trim().to_owned());
    let (key, fix) = if problem.starts_with("unknown field") {
        (quoted.or(key), "remove the key, or correct its name".to_owned())
    } else if problem.starts_with("missing field") {
        (quoted, "add the key".to_owned())
    } else {
        (key, "correct the value".to_owned())
    };
    ConfigError::Wrong { path: path.to_owned(), place: Place { line, key }, problem, fix }
}

#[cfg(test)]
mod tests;
