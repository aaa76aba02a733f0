//! `antiphon directory-node` and `antiphon server`: from a configuration file to a process that ends when it is asked
//! to.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{Failure, Ready};
use crate::{
    config::{ConfigError, DirectoryNodeConfig, ServerConfig},
    control::ControlSocket,
    directory::DirectoryNode,
    monitoring::{Monitoring, Watched},
    server::Server,
    start::StartError,
};

/// What both kinds of process are told.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Listen here instead of at `listen-address`; port 0 takes any free port.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Write the line that says which ports were bound to this file, too.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Arguments of `antiphon directory-node`.
#[derive(Debug, Args)]
pub(super) struct DirectoryNodeArguments {
    #[command(flatten)]
    common: Common,
}

/// Arguments of `antiphon server`.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    #[command(flatten)]
    common: Common,
    /// Take registrations here instead of at `registration-address`; port 0 takes any free port.
    #[arg(long, value_name = "IP:PORT")]
    registration_listen: Option<SocketAddr>,
}

impl DirectoryNodeArguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Common { config, listen, ready_file } = self.common;
        let mut config = DirectoryNodeConfig::load(&config).map_err(wrong)?;
        config.listen_address = listen.unwrap_or(config.listen_address);
        let asked = Asked::listen()?;
        let counting = Counting::begin(config.monitoring_address).map_err(not_started)?;
        let node = DirectoryNode::start(config).await.map_err(not_started)?;
        let monitoring = counting.monitor("directory-node", node.watched()).await.map_err(not_started)?;
        let ready = Ready::directory_node(node.address()).monitored(monitoring.as_ref());
        ready.announce(ready_file.as_deref())?;
        asked.end().await;
        node.shutdown().await;
        Ok(())
    }
}

impl ServerArguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Common { config, listen, ready_file } = self.common;
        let mut config = ServerConfig::load(&config).map_err(wrong)?;
        config.listen_address = listen.unwrap_or(config.listen_address);
        config.registration_address = self.registration_listen.unwrap_or(config.registration_address);
        let asked = Asked::listen()?;
        let counting = Counting::begin(config.monitoring_address).map_err(not_started)?;
        let socket = config.control_socket.clone();
        let server = Server::start(config).await.map_err(not_started)?;
        let socket = socket.map(|path| ControlSocket::open(&path, server.operated())).transpose();
        let _socket = socket.map_err(not_started)?;
        let monitoring = counting.monitor("server", server.watched()).await.map_err(not_started)?;
        let ready = Ready::server(server.address(), server.registration_address());
        ready.monitored(monitoring.as_ref()).announce(ready_file.as_deref())?;
        let is_superseded = tokio::select! {
            () = asked.end() => false,
            () = server.drained() => false,
            () = server.superseded() => true,
        };
        server.shutdown().await;
        if is_superseded {
            return Err(Failure::new(Superseded).fix("run one process at a time under one name"));
        }
        Ok(())
    }
}

/// What is counted from the start, to be told as soon as there is somebody to look at.
struct Counting(Option<(SocketAddr, PrometheusHandle)>);

impl Counting {
    fn begin(address: Option<SocketAddr>) -> Result<Self, StartError> {
        let begin = |address| Ok((address, Monitoring::begin()?));
        address.map(begin).transpose().map(Self)
    }

    async fn monitor(
        self,
        role: &'static str,
        watched: impl Watched,
    ) -> Result<Option<Monitoring>, StartError> {
        let Some((address, handle)) = self.0 else { return Ok(None) };
        Monitoring::start(address, role, handle, watched).await.map(Some)
    }
}

/// Why a server ends that nobody has asked to.
#[derive(Debug, thiserror::Error)]
#[error("another process has started as this server, before the same database, and has taken over")]
struct Superseded;

fn wrong(error: ConfigError) -> Failure {
    let fix = error.fix().to_owned();
    Failure::usage(error).fix(fix)
}

fn not_started(error: StartError) -> Failure {
    let fix = error.fix();
    Failure::new(error).fix_if(fix)
}

/// The signals that ask a process to end. A second one ends it at once.
struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Asked {
    fn listen() -> Result<Self, Failure> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn end(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        info!("going down; once more to go at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    }
}
