//! What an operator's tools see of a server.

use std::time::Duration;

use antiphon_protocol::signed::server_object_handle;
use antiphon_spec::identity::ServerName;
use futures::future::BoxFuture;
use tokio::time::timeout;

use super::{Server, home::Home, location::Location, operated::OperatedServer, users::Users};
use crate::{
    monitoring::{Obstacle, Watched, going_down, metrics},
    net::Serving,
    store::ServerStore,
};

/// How long the store and the location service have to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What there is to look at.
#[derive(Debug)]
struct WatchedServer {
    name: ServerName,
    store: ServerStore,
    location: Location,
    home: Home,
    users: Users,
    serving: Serving,
}

impl Server {
    /// What an operator's tools see of it.
    pub(crate) fn watched(&self) -> impl Watched + use<> {
        let OperatedServer { name, location, home, users, serving, .. } = self.operated.clone();
        WatchedServer { name, store: self.store.clone(), location, home, users, serving }
    }
}

impl WatchedServer {
    async fn has_store(&self) -> bool {
        matches!(timeout(PATIENCE, self.store.check()).await, Ok(Ok(())))
    }

    /// Whether whoever looks for this server finds it.
    async fn is_found(&self) -> bool {
        let found = timeout(PATIENCE, self.location.find(server_object_handle(&self.name))).await;
        matches!(found, Ok(Ok(records)) if records.iter().any(|record| record.server == self.name))
    }
}

impl Watched for WatchedServer {
    fn sample(&self) {
        metrics::waiting_bytes(self.serving.waiting_bytes());
        metrics::users_online(self.users.count());
        metrics::home_waiting(self.home.queue().0);
    }

    fn obstacles(&self) -> BoxFuture<'_, Vec<Obstacle>> {
        Box::pin(async {
            let (has_store, is_found) = tokio::join!(self.has_store(), self.is_found());
            let store = (!has_store).then_some(Obstacle::Store);
            let location = (!is_found).then_some(Obstacle::Location);
            [store, location, going_down(&self.serving)].into_iter().flatten().collect()
        })
    }
}
