//! Network namespaces: a place of its own for each process of a town, with one address, all on one bridge; firewalls and
//! captures in them. Needs root and the programs [`Network::missing`] names.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command as Blocking, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::in_time;

/// What has to be installed, each with how it is asked for its version.
const PROGRAMS: [(&str, &str); 3] = [("ip", "-V"), ("nft", "--version"), ("tcpdump", "--version")];

/// Loads a firewall that lets nobody open a connection to here, and counts who tries.
const FIREWALL: &str = "table inet firewall {
    counter refused {}
    chain input {
        type filter hook input priority 0;
        iifname != lo tcp flags & (syn | ack) == syn counter name refused drop
    }
}";

/// Places that see each other. Dropping it takes them down.
#[derive(Debug)]
pub struct Network {
    /// Tells the namespaces of this network from those of others.
    tag: String,
    places: Vec<String>,
}

/// Writes down every packet that a place sends or gets.
#[derive(Debug)]
pub struct Capture {
    _tcpdump: Child,
    file: PathBuf,
}

impl Network {
    /// What this machine, or this user, lacks.
    #[must_use]
    pub fn missing() -> Vec<&'static str> {
        let runs = |program: &str, arguments: &[&str]| {
            let mut command = Blocking::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let lacking = PROGRAMS.into_iter().filter(|(program, version)| !runs(program, &[version]));
        let mut missing: Vec<&str> = lacking.map(|(program, _)| program).collect();
        if missing.is_empty() && !runs("unshare", &["--net", "nft", "add", "table", "inet", "trial"]) {
            missing.push("root, and a kernel with namespaces and nftables");
        }
        missing
    }

    /// Lays a network with these places.
    #[must_use]
    pub fn lay(places: &[&str]) -> Self {
        let tag = format!("antiphon-{}", std::process::id());
        let network = Self { tag, places: places.iter().map(|&place| place.to_owned()).collect() };
        let hub = network.namespace("hub");
        ip(&["netns", "add", &hub]);
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &hub, "link", "set", "bridge", "up"]);
        for (number, place) in places.iter().enumerate() {
            let (namespace, port) = (network.namespace(place), format!("port{number}"));
            let address = format!("{}/24", network.address(place).expect("it was just named"));
            ip(&["netns", "add", &namespace]);
            ip(&["-n", &namespace, "link", "add", "eth0", "type", "veth", "peer", &port, "netns", &hub]);
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"]);
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"]);
            ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
            ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        }
        network
    }

    /// The address of a place.
    #[must_use]
    pub fn address(&self, place: &str) -> Option<IpAddr> {
        let number = self.places.iter().position(|known| known == place)?;
        let last = u8::try_from(number + 1).expect("a network is small");
        Some(Ipv4Addr::new(10, 77, 0, last).into())
    }

    /// A command that runs a program in its place.
    #[must_use]
    pub fn command(&self, place: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(place)]).arg(program);
        command
    }

    /// From now on nobody opens a connection to this place.
    pub fn shield(&self, place: &str) {
        let namespace = self.namespace(place);
        let table = Blocking::new("ip").args(["netns", "exec", &namespace, "nft", FIREWALL]).status();
        assert!(table.is_ok_and(|status| status.success()), "no firewall in {place}");
    }

    /// How many have tried to open a connection to a shielded place.
    #[must_use]
    pub fn refused(&self, place: &str) -> u64 {
        let namespace = self.namespace(place);
        let list = ["netns", "exec", &namespace, "nft", "-j", "list", "counters"];
        let output = Blocking::new("ip").args(list).output().expect("ip runs");
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("nft writes JSON");
        let counter = listed["nftables"]
            .as_array()
            .and_then(|entries| entries.iter().find_map(|entry| entry["counter"]["packets"].as_u64()));
        counter.expect("the firewall counts")
    }

    /// Opens a connection from a place and says something in the open; whether it could, within a second.
    pub async fn says_openly(&self, place: &str, to: SocketAddr, text: &str) -> bool {
        let mut command = self.command(place, "timeout");
        let script = format!("exec 3<>/dev/tcp/{}/{} && printf %s \"$0\" >&3", to.ip(), to.port());
        command.args(["1", "bash", "-c", &script, text]).stdin(Stdio::null()).stderr(Stdio::null());
        in_time("a connection in the open", command.status()).await.expect("bash runs").success()
    }

    /// Begins to write down what a place sends and gets.
    pub async fn capture(&self, place: &str, file: &Path) -> Capture {
        let mut command = self.command(place, "tcpdump");
        command.args(["-Z", "root", "--immediate-mode", "-U", "-s", "0", "-i", "eth0", "-w"]).arg(file);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut tcpdump = command.spawn().expect("tcpdump runs");
        let said = tcpdump.stderr.take().expect("its standard error is a pipe");
        let mut said = BufReader::new(said).lines();
        let listening = async {
            while let Ok(Some(line)) = said.next_line().await {
                if line.contains("listening on") {
                    return true;
                }
            }
            false
        };
        assert!(in_time("tcpdump to listen", listening).await, "tcpdump ended");
        Capture { _tcpdump: tcpdump, file: file.to_owned() }
    }

    fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.tag)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for place in self.places.iter().map(String::as_str).chain(["hub"]) {
            // One that was not made yet cannot be taken down.
            let _ = Blocking::new("ip").args(["netns", "del", &self.namespace(place)]).status();
        }
    }
}

impl Capture {
    /// How often something stands in what was written down so far.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let bytes = std::fs::read(&self.file).expect("a capture is there");
        bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }

    /// So many bytes were written down so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.file.metadata().expect("a capture is there").len()
    }

    /// Waits until something that was said in the open is written down, and with it everything before.
    pub async fn shows(&self, text: &str) {
        let writing = async {
            while self.count(text) == 0 {
                tokio::task::yield_now().await;
            }
        };
        in_time(&format!("{text} in the capture"), writing).await;
    }
}

fn ip(arguments: &[&str]) {
    let output = Blocking::new("ip").args(arguments).output().expect("ip runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
}
