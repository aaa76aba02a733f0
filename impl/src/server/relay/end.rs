//! One connection as its relayed links see it: where to send, and which links lead over it.
//!
//! The task that reads a connection hands in what comes; what goes out waits in the other connection's lanes. Nobody
//! waits for a peer, and no lock is held while anything is written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_server::FromServer,
        relay::{LinkNumber, RelayCall, RelayClose, RelayCredit, RelayData, RelayIncoming, RelayOpened},
        server_server::{FromPeerServer, ToPeerServer},
    },
    relay::{Numbers, Side, Tags},
    session::RelayTag,
};

use super::relayed::{Came, Relayed};
use crate::net::Outbox;

/// The sending direction of a connection over which links lead.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// A client's.
    Client(Outbox<FromServer>),
    /// Another server's, which dialled.
    AcceptedPeer(Outbox<FromPeerServer>),
    /// Another server's, which was dialled.
    DialledPeer(Outbox<ToPeerServer>),
}

macro_rules! on_each {
    ($outlet:expr, $link:expr, $message:ident($body:expr)) => {
        match $outlet {
            Outlet::Client(outbox) => outbox.send_relayed($link, &FromServer::$message($body)),
            Outlet::AcceptedPeer(outbox) => outbox.send_relayed($link, &FromPeerServer::$message($body)),
            Outlet::DialledPeer(outbox) => outbox.send_relayed($link, &ToPeerServer::$message($body)),
        }
    };
}

/// One connection.
#[derive(Debug)]
pub(crate) struct RelayEnd {
    outlet: Outlet,
    table: Mutex<Table>,
    /// What the client of the connection expects; nothing where there is none.
    tags: Mutex<Tags>,
}

#[derive(Debug)]
struct Table {
    numbers: Numbers,
    links: HashMap<LinkNumber, (Arc<Relayed>, Side)>,
    /// The connection is gone: no link leads over it any more.
    is_over: bool,
}

impl RelayEnd {
    /// The connection that an outlet belongs to; this end accepted it, or dialled it.
    pub(crate) fn new(outlet: Outlet) -> Arc<Self> {
        let numbers = match &outlet {
            Outlet::Client(_) | Outlet::AcceptedPeer(_) => Numbers::accepting(),
            Outlet::DialledPeer(_) => Numbers::dialling(),
        };
        let table = Table { numbers, links: HashMap::new(), is_over: false };
        Arc::new(Self { outlet, table: Mutex::new(table), tags: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- tags ---

    /// The client expects a tag.
    ///
    /// # Errors
    /// It expects too many.
    //= spec/text/relay.md#tags
    //# RELAY-005: A server MUST close with `limit-reached` when a client expects 256 tags and sends `relay-expect` with another one.
    pub(crate) fn expect(&self, tag: RelayTag) -> Result<(), ErrorCode> {
        if self.tags().expect(tag) { Ok(()) } else { Err(ErrorCode::LimitReached) }
    }

    pub(crate) fn forget(&self, tag: RelayTag) {
        self.tags().forget(tag);
    }

    pub(crate) fn expects(&self, tag: RelayTag) -> bool {
        self.tags().has(tag)
    }

    // --- links ---

    /// The peer asks for a link: takes its number.
    ///
    /// # Errors
    /// The number is not one that the peer may use.
    pub(crate) fn asked(self: &Arc<Self>, link: LinkNumber) -> Result<Arc<Relayed>, ErrorCode> {
        let mut table = self.table();
        table.numbers.open(link)?;
        let relayed = Arc::new(Relayed::new(Arc::clone(self), link));
        if !table.is_over {
            table.links.insert(link, (Arc::clone(&relayed), Side::Caller));
        }
        Ok(relayed)
    }

    /// Leads a link over this connection, to its called side, and asks there; none if the connection is gone.
    //= spec/text/relay.md#opening
    //# RELAY-007: An end that opens links on a connection MUST number them in ascending order, with odd numbers if it dialled the connection and with even ones if it accepted it.
    pub(super) fn call(&self, relayed: &Arc<Relayed>, call: RelayCall) -> Option<LinkNumber> {
        let mut table = self.table();
        if table.is_over {
            return None;
        }
        let link = table.numbers.next_own();
        table.links.insert(link, (Arc::clone(relayed), Side::Called));
        // A number that another link's task takes goes in line behind this one: both happen under the lock.
        self.ask(link, call);
        Some(link)
    }

    pub(super) fn detach(&self, link: LinkNumber) {
        self.table().links.remove(&link);
    }

    /// Something came for a link.
    ///
    /// # Errors
    /// There never was such a link.
    pub(crate) fn came(&self, link: LinkNumber, came: Came) -> Result<(), ErrorCode> {
        let table = self.table();
        match table.links.get(&link).cloned() {
            Some((relayed, side)) => {
                drop(table);
                relayed.came(side, came);
                Ok(())
            }
            None if table.numbers.was_opened(link) => Ok(()),
            //= spec/text/relay.md#bytes
            //# RELAY-023: An end MUST close with `unexpected-message` when a message comes for a link that was never asked for, when bytes or credit come for one that isn't opened, and when `relay-opened` comes from another end than the called side or a second time.
            None => Err(ErrorCode::UnexpectedMessage),
        }
    }

    /// The connection is gone, and so are the links over it.
    pub(crate) fn over(&self) {
        let links = {
            let mut table = self.table();
            table.is_over = true;
            std::mem::take(&mut table.links)
        };
        for (relayed, side) in links.into_values() {
            relayed.came(side, Came::Closed);
        }
    }

    /// Whether no link can lead over this connection any more.
    pub(super) fn is_over(&self) -> bool {
        self.table().is_over || self.is_closing()
    }

    /// Whether links lead over this connection.
    pub(super) fn is_used(&self) -> bool {
        !self.table().links.is_empty()
    }

    // --- sending ---

    fn is_closing(&self) -> bool {
        match &self.outlet {
            Outlet::Client(outbox) => outbox.is_closing(),
            Outlet::AcceptedPeer(outbox) => outbox.is_closing(),
            Outlet::DialledPeer(outbox) => outbox.is_closing(),
        }
    }

    /// Tells a client of somebody who calls, or a server for whom one of its users calls.
    fn ask(&self, link: LinkNumber, call: RelayCall) {
        match &self.outlet {
            Outlet::Client(outbox) => {
                let incoming = RelayIncoming { link, caller: call.caller };
                outbox.send_relayed(link, &FromServer::RelayIncoming(incoming));
            }
            Outlet::DialledPeer(outbox) => {
                outbox.send_relayed(link, &ToPeerServer::RelayCall(RelayCall { link, ..call }));
            }
            // Only the end that dialled asks.
            Outlet::AcceptedPeer(_) => {}
        }
    }

    /// Sends on what came over the other connection.
    pub(super) fn forward(&self, link: LinkNumber, came: Came) {
        match came {
            Came::Opened => match &self.outlet {
                Outlet::Client(outbox) => {
                    outbox.send_relayed(link, &FromServer::RelayOpened(RelayOpened { link }));
                }
                Outlet::AcceptedPeer(outbox) => {
                    outbox.send_relayed(link, &FromPeerServer::RelayOpened(RelayOpened { link }));
                }
                // Where this end asked, it is the other one that opens.
                Outlet::DialledPeer(_) => {}
            },
            Came::Data(bytes) => on_each!(&self.outlet, link, RelayData(RelayData { link, bytes })),
            Came::Credit(bytes) => on_each!(&self.outlet, link, RelayCredit(RelayCredit { link, bytes })),
            Came::Closed => self.close_link(link),
        }
    }

    /// Whether the peer is a client of this server.
    pub(super) fn is_client(&self) -> bool {
        matches!(self.outlet, Outlet::Client(_))
    }

    pub(super) fn close_link(&self, link: LinkNumber) {
        on_each!(&self.outlet, link, RelayClose(RelayClose { link }));
    }

    /// Closes the connection for a fault.
    pub(crate) fn fault(&self, code: ErrorCode) {
        match &self.outlet {
            Outlet::Client(outbox) => outbox.close(Some(code)),
            Outlet::AcceptedPeer(outbox) => outbox.close(Some(code)),
            Outlet::DialledPeer(outbox) => outbox.close(Some(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use antiphon_protocol::connection::Connection;
    use antiphon_spec::{
        identity::UserHandle,
        message::{relay::Called, server_server::ToPeerServer},
    };
    use tokio_util::task::TaskTracker;

    use super::*;

    /// So many threads lead so many links each over one connection.
    const THREADS: u64 = 4;
    const LINKS: u64 = 500;

    //= spec/text/relay.md#opening
    //= type=test
    //# RELAY-007: An end that opens links on a connection MUST number them in ascending order, with odd numbers if it dialled the connection and with even ones if it accepted it.
    #[tokio::test]
    async fn links_that_are_led_at_the_same_time_are_asked_for_in_ascending_order() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let writer = Connection::<_, ToPeerServer, FromPeerServer>::over(near).split().1;
        let outbox = Outbox::start(writer, (1 << 20).into(), &TaskTracker::new());
        let end = RelayEnd::new(Outlet::DialledPeer(outbox));
        let handle: UserHandle = "00000000000000000000000000000001@home.example".parse().unwrap();
        let called = Called::User(handle.clone());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..LINKS {
                        let call =
                            RelayCall { link: LinkNumber(0), called: called.clone(), caller: handle.clone() };
                        let relayed = Arc::new(Relayed::new(Arc::clone(&end), LinkNumber(0)));
                        assert!(relayed.lead_to(Arc::clone(&end), call));
                    }
                });
            }
        });
        let mut peer = Connection::<_, FromPeerServer, ToPeerServer>::over(far);
        for number in 0..THREADS * LINKS {
            let message = peer.receive().await.unwrap();
            let ToPeerServer::RelayCall(call) = message else { panic!("{message:?}") };
            assert_eq!(call.link, LinkNumber(2 * number + 1));
        }
    }
}
