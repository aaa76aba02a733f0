//! The server's way to other servers: one connection to each, found by name through the location service.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_protocol::{
    connection::{Dialler, DiallingEnd},
    signed::server_object_handle,
};
use antiphon_spec::{
    identity::{ContactAddress, Identity, ServerName},
    message::server_server::ToPeerServer,
};
use tokio::net::TcpStream;
use tracing::debug;

use super::location::Location;
use crate::net::{self, AskError, Requester, Serving};

/// Most servers that are asked by one process; each was vouched for by the root.
const PEERS_MAX: usize = 4_096;

/// Asks other servers.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    known: Arc<Mutex<HashMap<ServerName, Known>>>,
    dialler: Dialler,
    location: Location,
    serving: Serving,
}

/// The way to one server.
#[derive(Clone, Debug)]
struct Known {
    requester: Requester<ToPeerServer>,
    /// Where a contact record of one of its users said that it is.
    hint: Arc<Mutex<Option<ContactAddress>>>,
}

impl Peers {
    pub(crate) fn new(dialler: Dialler, location: Location, serving: Serving) -> Self {
        Self { known: Arc::default(), dialler, location, serving }
    }

    /// The way to one server. If there is no connection, the location service is asked where it is.
    ///
    /// # Errors
    /// There are ways to as many as there may be.
    pub(crate) fn to(&self, name: &ServerName) -> Result<Requester<ToPeerServer>, AskError> {
        Ok(self.known(name)?.requester)
    }

    /// The way to one server. If there is no connection, it is dialled at this address first.
    ///
    /// # Errors
    /// As for [`Peers::to`].
    pub(crate) fn at(
        &self,
        name: &ServerName,
        address: ContactAddress,
    ) -> Result<Requester<ToPeerServer>, AskError> {
        let known = self.known(name)?;
        *known.hint.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(known.requester)
    }

    /// A connection of its own to one server, dialled at this address first.
    pub(crate) async fn open(
        &self,
        name: &ServerName,
        address: ContactAddress,
    ) -> Option<DiallingEnd<TcpStream, ToPeerServer>> {
        self.way(name, Arc::new(Mutex::new(Some(address)))).open().await
    }

    /// The servers to which there is a connection for requests.
    pub(crate) fn connected(&self) -> Vec<ServerName> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = known.iter().filter(|(_, known)| known.requester.is_connected());
        connected.map(|(name, _)| name.clone()).collect()
    }

    fn way(&self, name: &ServerName, hint: Arc<Mutex<Option<ContactAddress>>>) -> Way {
        Way { dialler: self.dialler.clone(), location: self.location.clone(), whom: name.clone(), hint }
    }

    fn known(&self, name: &ServerName) -> Result<Known, AskError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name) {
            return Ok(known.clone());
        }
        if known.len() >= PEERS_MAX {
            return Err(AskError::Busy);
        }
        let hint = Arc::<Mutex<Option<ContactAddress>>>::default();
        let way = self.way(name, Arc::clone(&hint));
        let dial = move || {
            let way = way.clone();
            async move { way.open().await }
        };
        let requester = Requester::start(dial, self.serving.clone());
        let fresh = Known { requester, hint };
        known.insert(name.clone(), fresh.clone());
        Ok(fresh)
    }
}

/// What it takes to open a connection to one server.
#[derive(Clone, Debug)]
struct Way {
    dialler: Dialler,
    location: Location,
    whom: ServerName,
    hint: Arc<Mutex<Option<ContactAddress>>>,
}

impl Way {
    async fn open(&self) -> Option<DiallingEnd<TcpStream, ToPeerServer>> {
        let hint = self.hint.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(address) = hint
            && let Some(connection) = self.dial(address).await
        {
            return Some(connection);
        }
        // LOGIN-005: where a server is, is asked anew for each connection.
        let records = match self.location.find(server_object_handle(&self.whom)).await {
            Ok(records) => records,
            Err(error) => {
                debug!(server = %self.whom, %error, "a server cannot be looked up");
                return None;
            }
        };
        // Others can only insert records of themselves; theirs are not the one that is sought.
        let Some(record) = records.into_iter().find(|record| record.server == self.whom) else {
            debug!(server = %self.whom, "a server is not known to the location service");
            return None;
        };
        self.dial(record.address).await
    }

    async fn dial(&self, address: ContactAddress) -> Option<DiallingEnd<TcpStream, ToPeerServer>> {
        match self.dialler.dial(address, &Identity::Server(self.whom.clone()), None).await {
            Ok((_, connection)) => Some(connection),
            Err(error) => {
                debug!(server = %self.whom, error = net::chain(&error), "a server cannot be reached");
                None
            }
        }
    }
}
