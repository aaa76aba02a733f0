//! The server's way to other servers: one connection to each, found by name through the location service.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_protocol::{connection::Dialler, signed::server_object_handle};
use antiphon_spec::{
    identity::{Identity, ServerName},
    message::server_server::ToPeerServer,
};
use tracing::debug;

use super::location::Location;
use crate::net::{self, AskError, Requester, Serving};

/// Most servers that are asked by one process; each was vouched for by the root.
const PEERS_MAX: usize = 4_096;

/// Asks other servers.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    requesters: Arc<Mutex<HashMap<ServerName, Requester<ToPeerServer>>>>,
    dialler: Dialler,
    location: Location,
    serving: Serving,
}

impl Peers {
    pub(crate) fn new(dialler: Dialler, location: Location, serving: Serving) -> Self {
        Self { requesters: Arc::default(), dialler, location, serving }
    }

    /// The way to one server.
    ///
    /// # Errors
    /// There are ways to as many as there may be.
    pub(crate) fn to(&self, name: &ServerName) -> Result<Requester<ToPeerServer>, AskError> {
        let mut requesters = self.requesters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requester) = requesters.get(name) {
            return Ok(requester.clone());
        }
        if requesters.len() >= PEERS_MAX {
            return Err(AskError::Busy);
        }
        let (dialler, location, whom) = (self.dialler.clone(), self.location.clone(), name.clone());
        let dial = move || {
            let (dialler, location, whom) = (dialler.clone(), location.clone(), whom.clone());
            async move {
                // LOGIN-005: where a server is, is asked anew for each connection.
                let records = match location.find(server_object_handle(&whom)).await {
                    Ok(records) => records,
                    Err(error) => {
                        debug!(server = %whom, %error, "a server cannot be looked up");
                        return None;
                    }
                };
                // Others can only insert records of themselves; theirs are not the one that is sought.
                let Some(record) = records.into_iter().find(|record| record.server == whom) else {
                    debug!(server = %whom, "a server is not known to the location service");
                    return None;
                };
                match dialler.dial(record.address, &Identity::Server(whom.clone()), None).await {
                    Ok((_, connection)) => Some(connection),
                    Err(error) => {
                        debug!(server = %whom, error = net::chain(&error), "a server cannot be reached");
                        None
                    }
                }
            }
        };
        let requester = Requester::start(dial, self.serving.clone());
        requesters.insert(name.clone(), requester.clone());
        Ok(requester)
    }
}
