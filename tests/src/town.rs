//! The ground on which everything stands: one folder, one loopback address, one chronicle.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde_json::Value;
use tokio::process::Command;

use crate::{Client, Network, Store, chronicle::Chronicle, in_time, process::Process};

/// Most lines of a log that a report shows.
const LOG_LINES_SHOWN_MAX: usize = 30;

/// What all of a town have in common.
#[derive(Debug)]
struct Ground {
    binary: PathBuf,
    folder: PathBuf,
    address: IpAddr,
    chronicle: Chronicle,
    /// Where processes run, if not all on this machine's loopback interface.
    network: Option<Network>,
    /// What the logs show; without it, what the program shows by itself.
    log: Option<&'static str>,
    /// The wrong variant that all processes are.
    mutant: Option<&'static str>,
    store: Store,
}

/// An authority and a directory node, and room for servers and clients.
///
/// Dropped by a test that fails, it tells what happened and keeps the folder; otherwise nothing stays.
#[derive(Debug)]
pub struct Town {
    /// The directory node.
    pub node: Service,
    ground: Arc<Ground>,
    folder: Option<tempfile::TempDir>,
}

/// What a town is founded with, besides the program.
#[derive(Debug, Default)]
pub struct Founding {
    /// What the logs show, in the syntax of `ANTIPHON_LOG`; without it, what the program shows by itself.
    pub log: Option<&'static str>,
    /// The places of the processes; without it, all are on this machine's loopback interface.
    pub network: Option<Network>,
    /// Where everything is kept that has to last.
    pub store: Store,
    /// Further settings of the directory node, outside of every table.
    pub node: &'static str,
    /// The wrong variant that all processes are.
    pub mutant: Option<&'static str>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// The standard output.
    pub output: String,
    /// The standard error.
    pub error: String,
}

/// A server or a directory node.
#[derive(Debug)]
pub struct Service {
    process: Process,
    ground: Arc<Ground>,
    subcommand: &'static str,
    name: String,
    listen: SocketAddr,
    registration: Option<SocketAddr>,
    monitoring: Option<SocketAddr>,
}

/// Settings of a server whose bounds are the program's own.
pub const OWN_RATES: &str = "# All -rates are those of the program.\n";

/// Tests and benchmarks connect more often than anybody else would, from one address.
const RATE_OF_CONNECTIONS: &str = "
[limits.connection-rate]
per-second = 1000000
burst = 1000000
";

/// No bound that anything but a flood would reach.
const RATES: &str = "
[limits.registration-rate]
per-second = 1000000
burst = 1000000

[limits.connection-rate]
per-second = 1000000
burst = 1000000

[limits.user-rates]
logins = { per-second = 1000000, burst = 1000000 }
lookups = { per-second = 1000000, burst = 1000000 }
changes = { per-second = 1000000, burst = 1000000 }
calls = { per-second = 1000000, burst = 1000000 }
messages = { per-second = 1000000, burst = 1000000 }

[limits.server-rates]
logins = { per-second = 1000000, burst = 1000000 }
lookups = { per-second = 1000000, burst = 1000000 }
changes = { per-second = 1000000, burst = 1000000 }
calls = { per-second = 1000000, burst = 1000000 }
messages = { per-second = 1000000, burst = 1000000 }
";

impl Town {
    /// Makes the authority, and starts the directory node.
    pub async fn found(binary: &str) -> Self {
        Self::found_with(binary, Founding::default()).await
    }

    /// As [`Town::found`], with processes in the places of their names.
    pub async fn found_in(binary: &str, network: Network) -> Self {
        Self::found_with(binary, Founding { network: Some(network), ..Founding::default() }).await
    }

    /// As [`Town::found`], with logs that show what is said here, in the syntax of `ANTIPHON_LOG`.
    pub async fn found_with_log(binary: &str, log: Option<&'static str>) -> Self {
        Self::found_with(binary, Founding { log, ..Founding::default() }).await
    }

    /// As [`Town::found`], with everything that has to last in databases of this kind.
    pub async fn found_with_store(binary: &str, store: Store) -> Self {
        Self::found_with(binary, Founding { store, ..Founding::default() }).await
    }

    /// As [`Town::found`], with all of this.
    pub async fn found_with(binary: &str, founding: Founding) -> Self {
        let Founding { log, network, store, node: settings, mutant } = founding;
        let folder =
            tempfile::Builder::new().prefix("antiphon-town-").tempdir().expect("a folder can be made");
        let ground = Arc::new(Ground {
            binary: binary.into(),
            folder: folder.path().to_owned(),
            address: address(),
            chronicle: Chronicle::default(),
            network,
            log,
            mutant,
            store,
        });
        std::fs::create_dir(ground.folder.join("logs")).expect("a folder can be made");
        ground.does(&["authority", "create", "--directory", "authority"]).await;
        let name = "node.example";
        ground.does(&["authority", "issue-node", name, "--directory", "authority", "--output", name]).await;
        let config = format!(
            "name = \"{name}\"\nlisten-address = \"{}:0\"\nroot = \"../authority/root.pem\"\n\
             certificate = \"{name}.pem\"\nkey = \"{name}.key\"\ndatabase = \"{}\"\n\
             monitoring-address = \"127.0.0.1:0\"\n{settings}{RATE_OF_CONNECTIONS}",
            ground.address(name),
            ground.store.database("records.sqlite")
        );
        std::fs::write(ground.config(name), config).expect("a file can be written");
        let node = Service::start(&ground, "directory-node", name, &[]).await;
        Self { node, ground, folder: Some(folder) }
    }

    /// The folder with everything in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.ground.folder
    }

    /// Starts a server.
    pub async fn server(&self, name: &str) -> Service {
        self.server_with(name, "").await
    }

    /// Starts a server with further settings: keys outside of every table, then tables.
    pub async fn server_with(&self, name: &str, settings: &str) -> Service {
        self.prepare(name, settings).await;
        Service::start(&self.ground, "server", name, &[]).await
    }

    /// Starts another process with the configuration of a server: the same name, the same database, other ports.
    pub async fn another(&self, server: &Service) -> Service {
        Service::start(&self.ground, "server", &server.name, &[]).await
    }

    /// Starts a directory node below another one, with rates that nothing but a flood would reach.
    pub async fn node_below(&self, parent: &Service, name: &str) -> Service {
        let ground = &self.ground;
        ground.does(&["authority", "issue-node", name, "--directory", "authority", "--output", name]).await;
        let config = format!(
            "name = \"{name}\"\nlisten-address = \"{}:0\"\nroot = \"../authority/root.pem\"\n\
             certificate = \"{name}.pem\"\nkey = \"{name}.key\"\ndatabase = \"{}\"\n\
             [[parent]]\naddress = \"{}\"\nname = \"{}\"\n{RATES}",
            ground.address(name),
            ground.store.database("records.sqlite"),
            parent.listen,
            parent.name
        );
        std::fs::write(ground.config(name), config).expect("a file can be written");
        Service::start(ground, "directory-node", name, &[]).await
    }

    /// Starts a server that asks this node.
    pub async fn server_of(&self, node: &Service, name: &str, settings: &str) -> Service {
        self.prepare_for(node, name, settings).await;
        Service::start(&self.ground, "server", name, &[]).await
    }

    /// Makes everything that a server needs, and returns the path of its configuration.
    pub async fn prepare(&self, name: &str, settings: &str) -> PathBuf {
        self.prepare_for(&self.node, name, settings).await
    }

    async fn prepare_for(&self, node: &Service, name: &str, settings: &str) -> PathBuf {
        self.ground
            .does(&["authority", "issue-server", name, "--directory", "authority", "--output", name])
            .await;
        let address = self.ground.address(name);
        let (node, listen) = (&node.name, node.listen);
        let database = self.ground.store.database("accounts.sqlite");
        // A test or benchmark asks more often than any person would, unless it says itself how often.
        let registration = if settings.contains("registration =") { "" } else { "registration = \"open\"\n" };
        let rates = if settings.contains("-rates") { "" } else { RATES };
        let config = format!(
            "name = \"{name}\"\nregistration-address = \"{address}:0\"\nlisten-address = \"{address}:0\"\n\
             root = \"../authority/root.pem\"\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\n\
             user-ca-certificate = \"{name}-users.pem\"\nuser-ca-key = \"{name}-users.key\"\n\
             database = \"{database}\"\n{registration}{settings}\n\
             [directory-node]\naddress = \"{listen}\"\nname = \"{node}\"\n{rates}"
        );
        let path = self.ground.config(name);
        std::fs::write(&path, config).expect("a file can be written");
        path
    }

    /// Starts a client with an identity folder of its name, which registers at one server and logs in at another.
    pub async fn client(&self, name: &str, home: &Service, local: &Service) -> Client {
        self.client_with(name, &self.client_arguments(name, home, local)).await
    }

    /// As [`Town::client`], with these arguments.
    pub async fn client_with(&self, name: &str, arguments: &[String]) -> Client {
        let mut command = self.ground.command(name, arguments);
        command.arg("--json");
        Client::over(self.ground.start(name, command)).await
    }

    /// As [`Town::citizen`], and the client waits as long as it may for a link to go on.
    pub async fn patient_citizen(&self, name: &str, home: &Service, local: &Service) -> Client {
        let mut client = self.client_with(name, &self.patient_arguments(name, home, local)).await;
        client.registers().await;
        client.logs_in().await;
        client
    }

    /// The arguments with which a client is started: one that waits a second for a link to go on, and no more.
    #[must_use]
    pub fn client_arguments(&self, name: &str, home: &Service, local: &Service) -> Vec<String> {
        let mut arguments = self.patient_arguments(name, home, local);
        arguments.extend(["--link-patience".to_owned(), "1".to_owned()]);
        arguments
    }

    fn patient_arguments(&self, name: &str, home: &Service, local: &Service) -> Vec<String> {
        let at = |server: &Service, address: SocketAddr| format!("{}={address}", server.name);
        let arguments = [
            ("--identity", name.to_owned()),
            ("--root", "authority/root.pem".to_owned()),
            ("--server", at(local, local.listen)),
            ("--registration", at(home, home.registration())),
            ("--listen", format!("{}:0", self.ground.address(name))),
        ];
        let pairs = arguments.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        std::iter::once("client".to_owned()).chain(pairs).collect()
    }

    /// Starts a client, registers and logs in.
    pub async fn citizen(&self, name: &str, home: &Service, local: &Service) -> Client {
        let mut client = self.client(name, home, local).await;
        client.registers().await;
        client.logs_in().await;
        client
    }

    /// Runs the program with arguments in the town's folder until it ends.
    pub async fn run<A: AsRef<str>>(&self, arguments: &[A]) -> Ended {
        self.ground.run(arguments).await
    }

    /// A process of the program that speaks in lines; `adjust` may change the command.
    pub fn process<A: AsRef<str>>(
        &self,
        name: &str,
        arguments: &[A],
        adjust: impl FnOnce(&mut Command),
    ) -> Process {
        let mut command = self.ground.command(name, arguments);
        adjust(&mut command);
        self.ground.start(name, command)
    }

    /// The places of the processes, in a town that was founded with some.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.ground.network.as_ref().expect("the town has places")
    }

    /// The log of a process.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.ground.log(name)).expect("a log can be read")
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let folder = self.folder.take().map(tempfile::TempDir::keep);
        eprintln!("--- what was said ---\n{}", self.ground.chronicle.tell());
        let logs = self.ground.folder.join("logs");
        for entry in std::fs::read_dir(logs).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN_MAX)..];
            if !last.is_empty() {
                eprintln!("--- the end of {} ---\n{}", entry.path().display(), last.join("\n"));
            }
        }
        eprintln!("--- everything is kept in {} ---", folder.unwrap_or_default().display());
    }
}

impl Service {
    async fn start(ground: &Arc<Ground>, subcommand: &'static str, name: &str, more: &[String]) -> Self {
        let config = ground.config(name);
        let mut command = ground.command(name, &[subcommand, "--config"]);
        command.arg(config).args(more);
        let mut process = ground.start(name, command);
        let line = process.read("that it is ready").await;
        let line = line.unwrap_or_else(|| panic!("{name} ended before it was ready"));
        let ready: Value = serde_json::from_str(&line).expect("a ready line is JSON");
        assert_eq!((&ready["event"], &ready["role"]), (&"ready".into(), &subcommand.into()), "{line}");
        let port = |field: &str| ready[field].as_str().map(|text| text.parse().expect("an address"));
        let listen = port("listen").expect("a ready line tells where");
        let (ground, registration, monitoring) =
            (Arc::clone(ground), port("registration"), port("monitoring"));
        Self { process, ground, subcommand, name: name.to_owned(), listen, registration, monitoring }
    }

    /// Its name, as in its certificate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The authenticated port.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The registration port of a server.
    #[must_use]
    pub fn registration(&self) -> SocketAddr {
        self.registration.expect("only servers register")
    }

    /// The endpoint for the operator's tools.
    #[must_use]
    pub fn monitoring(&self) -> SocketAddr {
        self.monitoring.expect("a server whose settings have `monitoring-address`")
    }

    /// Both ports, as far as there are two.
    pub fn ports(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.listen).chain(self.registration)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it, as a crash does.
    pub async fn crash(&mut self) {
        self.process.kill().await;
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        self.process.signal("TERM").await;
        assert_eq!(self.process.ended().await.code(), Some(0), "{}", self.name);
    }

    /// Starts it again on the same ports, after it has ended.
    pub async fn start_again(&mut self) {
        let mut more = vec!["--listen".to_owned(), self.listen.to_string()];
        if let Some(registration) = self.registration {
            more.extend(["--registration-listen".to_owned(), registration.to_string()]);
        }
        *self = Self::start(&self.ground, self.subcommand, &self.name, &more).await;
    }
}

impl Ground {
    fn config(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("config.toml")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// Where a process listens.
    fn address(&self, name: &str) -> IpAddr {
        self.network.as_ref().and_then(|network| network.address(name)).unwrap_or(self.address)
    }

    fn command<A: AsRef<str>>(&self, name: &str, arguments: &[A]) -> Command {
        let network = self.network.as_ref().filter(|network| network.address(name).is_some());
        let mut command = match network {
            Some(network) => network.command(name, &self.binary),
            None => Command::new(&self.binary),
        };
        command.args(arguments.iter().map(AsRef::as_ref)).current_dir(&self.folder);
        // What the surroundings set for themselves is not meant for the tests.
        for variable in ["ANTIPHON_LOG", "ANTIPHON_MUTANT", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        if let Some(log) = self.log {
            command.env("ANTIPHON_LOG", log);
        }
        if let Some(mutant) = self.mutant {
            command.env("ANTIPHON_MUTANT", mutant);
        }
        command
    }

    fn start(&self, name: &str, command: Command) -> Process {
        Process::start(name, command, &self.log(name), &self.chronicle)
    }

    async fn run<A: AsRef<str>>(&self, arguments: &[A]) -> Ended {
        let said: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        self.chronicle.note("antiphon", ">", &said.join(" "));
        let mut command = self.command("", arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = in_time(&format!("the end of {}", said.join(" ")), command.output()).await;
        let output = output.expect("the program can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes text");
        let ended =
            Ended { code: output.status.code(), output: text(output.stdout), error: text(output.stderr) };
        self.chronicle.note("antiphon", "<", &format!("{ended:?}"));
        ended
    }

    async fn does<A: AsRef<str>>(&self, arguments: &[A]) {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{}", ended.error);
    }
}

/// A loopback address that no other town uses, so that a server that is started again finds its port free. Where the
/// system has no more than one loopback address, that one.
fn address() -> IpAddr {
    static TOWNS: AtomicU8 = AtomicU8::new(1);
    let number = TOWNS.fetch_add(1, Ordering::Relaxed);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST.into();
    }
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 | high, low, number).into()
}
