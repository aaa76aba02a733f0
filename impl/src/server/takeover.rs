//! One process at a time is the server of a name. The store lets only the last one that was started change anything
//! ([`ServerStore`]); an earlier one that still runs ends as soon as it has seen that.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::{
    net,
    store::{ServerStore, StoreError},
};

/// How often a process looks whether a later one has started. Whoever is connected to an earlier one that has nothing
/// to change is cut off after so long: much less than the lease of a login.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Looks until a later process has started, or this one goes down.
pub(super) async fn watch(store: ServerStore, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = store.superseded() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        match store.check().await {
            Ok(()) => {}
            Err(told @ StoreError::Superseded { .. }) => {
                return error!(error = net::chain(&told), "this process ends");
            }
            Err(failed) => debug!(error = net::chain(&failed), "the database does not say who is the server"),
        }
    }
}
