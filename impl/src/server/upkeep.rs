//! The server's own records (`LOC-015`): inserted when it starts, renewed for as long as it runs, deleted when it goes.

use std::time::Duration;

use antiphon_protocol::signed::server_object_handle;
use antiphon_spec::{identity::ObjectHandle, message::location::ContactRecord};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::location::Location;
use crate::{
    mutant::{Mutant, active},
    net::{AskError, Backoff, pause},
};

/// The wait after a failure: a directory node that starts after its servers is found soon.
const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// The longest wait after a failure; a small part of a lease.
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// The records of one server under its two handles.
#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    location: Location,
    record: ContactRecord,
}

impl Upkeep {
    pub(crate) fn new(location: Location, record: ContactRecord) -> Self {
        Self { location, record }
    }

    /// Keeps the records until the process goes down; `first` is what came of the first attempt.
    pub(crate) async fn run(self, first: Result<Duration, AskError>, shutdown: CancellationToken) {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.keep(first) => {}
        }
    }

    async fn keep(&self, first: Result<Duration, AskError>) {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        let mut attempt = first;
        loop {
            match attempt {
                Ok(lease) => {
                    if active(Mutant::OwnRecordsNotRenewed) {
                        return;
                    }
                    backoff.succeeded();
                    tokio::time::sleep(lease / 2).await;
                    attempt = self.insert().await;
                    continue;
                }
                Err(error) => {
                    warn!(%error, "the location service does not know this server; trying again");
                }
            }
            while attempt.is_err() {
                pause(&mut backoff).await;
                attempt = self.insert().await;
            }
            info!("the location service knows this server");
        }
    }

    /// Inserts or renews the records; returns the shorter lease.
    pub(crate) async fn insert(&self) -> Result<Duration, AskError> {
        let mut least = Duration::MAX;
        for handle in self.handles() {
            least = least.min(self.location.insert(handle, self.record.clone()).await?);
        }
        Ok(least)
    }

    /// Deletes the records, as far as the directory node can be reached (`LOC-018`).
    pub(crate) async fn delete(&self) {
        for handle in self.handles() {
            if let Err(error) = self.location.delete(handle, self.record.clone()).await {
                return warn!(%error, "this server's records stay until their lease ends");
            }
        }
    }

    fn handles(&self) -> [ObjectHandle; 2] {
        [server_object_handle(&self.record.server), ObjectHandle::SERVERS]
    }
}
