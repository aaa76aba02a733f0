//! The end of accounts (chapter *Registration*): an operator asks for it in the store, and the server that runs carries
//! it out.

use std::time::Duration;

use antiphon_spec::account::profile::Answer;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::home::Home;
use crate::{net, store::ServerStore};

/// How often the store is looked at: an operator who ends an account waits no longer than for a word at a counter.
const INTERVAL: Duration = Duration::from_millis(500);

/// Ends accounts until the process goes down.
pub(crate) async fn run(store: ServerStore, home: Home, shutdown: CancellationToken) {
    loop {
        match store.to_end().await {
            Ok(users) => {
                for user in users {
                    let answer = home.end(user).await;
                    if answer == Answer::CheckedIn {
                        info!("an account has ended");
                    } else {
                        warn!(?answer, "an account could not be ended; trying again");
                    }
                }
            }
            Err(error) => error!(error = net::chain(&error), "it cannot be seen which accounts are to end"),
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
