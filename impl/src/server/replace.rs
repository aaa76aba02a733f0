//! Telling servers that a login which they hold is over (`LOGIN-021`), until they have heard it or it does not matter
//! any more.

use std::{sync::Arc, time::Duration};

use antiphon_spec::{
    identity::{ServerName, UserHandle},
    message::server_server::{Replace, ToPeerServer},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{home::Replacement, peers::Peers, users::Users};
use crate::net::{AskError, Backoff, pause};

/// Most notices that are under way at once.
const UNDER_WAY_MAX: usize = 64;

/// Where the notices of the home copies go.
#[derive(Debug)]
pub(crate) struct Notices {
    pub(crate) waiting: mpsc::Receiver<Replacement>,
    pub(crate) name: ServerName,
    pub(crate) users: Users,
    pub(crate) peers: Peers,
    /// For how long login epochs are lent here.
    pub(crate) lease: Duration,
}

impl Notices {
    pub(crate) async fn run(mut self, tracker: TaskTracker, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                Some((place, self.waiting.recv().await?))
            };
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = next => next,
            };
            let Some((place, Replacement { user, holder, epoch })) = next else { return };
            let user = UserHandle { id: user, home: self.name.clone() };
            if holder == self.name {
                self.users.replace(&user, epoch).await;
                continue;
            }
            let (peers, lease, shutdown) = (self.peers.clone(), self.lease, shutdown.clone());
            tracker.spawn(async move {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {}
                    () = deliver(&peers, &holder, Notice { user, epoch }, lease) => {}
                }
                drop(place);
            });
        }
    }
}

#[derive(Clone, Debug)]
struct Notice {
    user: UserHandle,
    epoch: antiphon_spec::message::server_server::LoginEpoch,
}

/// Tries until the holder answers, or the lease has ended: then the holder has asked by itself, or is gone (`LOGIN-028`).
async fn deliver(peers: &Peers, holder: &ServerName, notice: Notice, lease: Duration) {
    let until = Instant::now() + lease;
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    while Instant::now() < until {
        let Notice { user, epoch } = notice.clone();
        let told = match peers.to(holder) {
            Ok(peer) => peer.ask_again(move |id| ToPeerServer::Replace(Replace { id, user, epoch })).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(_) => return,
            Err(AskError::Refused(code)) => {
                return warn!(server = %holder, %code, "a server does not take the notice of a newer login");
            }
            Err(error) => debug!(server = %holder, %error, "a server has not heard of a newer login"),
        }
        pause(&mut backoff).await;
    }
    warn!(server = %holder, "a server could not be told of a newer login");
}
