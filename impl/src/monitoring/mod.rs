//! What an operator's tools see of a process: metrics for Prometheus, and whether it lives and is ready.
//!
//! The endpoint is off unless the configuration gives it an address (`monitoring-address`). It tells numbers and no names: no
//! user, no server and no address is in any label. Whoever reaches it sees them, so it belongs on an address that only the
//! operator's machines reach.

mod endpoint;
pub(crate) mod metrics;
mod process;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::{net::Serving, start::StartError};

/// The upper bounds of the buckets of every histogram, in seconds: from a look at a list to the patience of a client.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How often what was observed is put into buckets, if nobody asks: until then every observation is kept.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What keeps a process from being ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// The database can't be read, or belongs to a later process.
    Store,
    /// The location service doesn't know this server.
    Location,
    /// The process takes nobody in any more.
    Draining,
    /// The process goes down.
    ShuttingDown,
}

impl Obstacle {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Location => "location",
            Self::Draining => "draining",
            Self::ShuttingDown => "shutting-down",
        }
    }
}

/// A process that is watched.
pub(crate) trait Watched: Send + Sync + 'static {
    /// Sets the gauges that are not kept up by themselves.
    fn sample(&self);

    /// Looks for what keeps the process from being ready; in time, whatever the store does.
    fn obstacles(&self) -> BoxFuture<'_, Vec<Obstacle>>;
}

/// The endpoint of a process. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Monitoring {
    address: SocketAddr,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Monitoring {
    /// Begins to count. Only what happens afterwards is counted; a process that isn't monitored counts nothing.
    ///
    /// # Errors
    /// The metrics of this process can't be set up.
    pub(crate) fn begin() -> Result<PrometheusHandle, StartError> {
        /// A process has one set of metrics, even where a test starts several servers in it.
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        if let Some(handle) = HANDLE.get() {
            return Ok(handle.clone());
        }
        let unusable = |error: String| StartError::Monitoring(error.into());
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&SECONDS).map_err(|error| unusable(error.to_string()))?;
        let recorder = builder.build_recorder();
        let handle = HANDLE.get_or_init(|| recorder.handle()).clone();
        ::metrics::set_global_recorder(recorder).map_err(|error| unusable(error.to_string()))?;
        metrics::describe();
        Ok(handle)
    }

    /// Listens, and answers until it is dropped.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub(crate) async fn start(
        address: SocketAddr,
        role: &'static str,
        handle: PrometheusHandle,
        watched: impl Watched,
    ) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        metrics::started(role);
        let kept_up = handle.clone();
        let upkeep = tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                kept_up.run_upkeep();
            }
        });
        let serve = tokio::spawn(endpoint::serve(listener, handle, Arc::new(watched)));
        info!(%address, "what this process does is told to whoever asks here");
        Ok(Self { address, _tasks: [upkeep, serve].map(AbortOnDropHandle::new) })
    }

    /// Where it listens, with the port that was bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whether a process goes down or takes nobody in any more, as an obstacle.
pub(crate) fn going_down(serving: &Serving) -> Option<Obstacle> {
    if serving.shutdown.is_cancelled() {
        return Some(Obstacle::ShuttingDown);
    }
    serving.draining.is_cancelled().then_some(Obstacle::Draining)
}
