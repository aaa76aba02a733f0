//! Relayed links (chapter *Relayed links*): who is called, whether the caller is let through, and the bytes.
//!
//! A link is a machine between two connections ([`relayed`]). Whoever reads a connection drives the machine and puts
//! what goes on into the other connection's lanes; a task of its own only leads a link to where it belongs.

mod end;
mod peers;
mod places;
mod relayed;

use std::sync::Arc;

use antiphon_spec::{
    account::lookup::Listed,
    error_code::ErrorCode,
    identity::{ServerName, UserHandle},
    limits::RELAY_OPEN_DEADLINE,
    message::relay::{Called, LinkNumber, RelayCall},
};
use tokio::time::{Instant, timeout};

pub(crate) use end::{Outlet, RelayEnd};
#[cfg(test)]
pub(crate) use relayed::PASSED;
pub(crate) use relayed::{Came, Relayed};

use self::{peers::RelayPeers, places::Places};
use super::{lookup::search, requests::Requests, users::Users};
use crate::net::Serving;

/// What it takes to lead links to where they belong.
#[derive(Clone, Debug)]
pub(crate) struct Relays {
    requests: Requests,
    users: Users,
    peers: RelayPeers,
    places: Places,
    serving: Serving,
}

impl Relays {
    /// `asking` are the tasks of what this server asks others.
    pub(crate) fn new(requests: &Requests, users: &Users, serving: &Serving, asking: &Serving) -> Self {
        Self {
            requests: requests.clone(),
            users: users.clone(),
            peers: RelayPeers::new(requests.peers.clone(), asking.clone()),
            places: Places::default(),
            serving: serving.clone(),
        }
    }

    /// A client of this server calls somebody.
    pub(crate) fn opened_by_client(&self, relayed: Arc<Relayed>, caller: UserHandle, called: Called) {
        let relays = self.clone();
        let asked = Instant::now();
        self.serving.tracker.spawn(async move {
            match relays.places.take(&caller) {
                Some(place) => {
                    relayed.occupy(place);
                    let call = RelayCall { link: LinkNumber(0), called, caller };
                    if timeout(RELAY_OPEN_DEADLINE, relays.lead(&relayed, &call)).await.is_err() {
                        relayed.expire();
                    }
                }
                //= spec/text/relay.md#opening
                //# RELAY-017: A server MUST answer with `relay-close` a `relay-open` or `relay-call` when it carries 128 links of the caller, who is a user of its own, or of the called user.
                None => relayed.refuse(),
            }
            relayed.tell_refusal(asked).await;
        });
    }

    /// Leads a link to where its user is looked for, and waits until it is opened or over.
    async fn lead(&self, relayed: &Arc<Relayed>, call: &RelayCall) {
        let here = self.lead_here(relayed, call);
        let away = |server: ServerName, address| async move {
            let end = self.peers.to(&server, address).await.ok_or(ErrorCode::Unavailable)?;
            relayed.lead_to(end, call.clone()).then_some(()).ok_or(ErrorCode::Unavailable)
        };
        match search(&self.requests, call.called.handle(), here, away).await {
            Ok(()) => relayed.settled().await,
            Err(_) => relayed.refuse(),
        }
    }

    /// Another server's user calls one of this server's.
    pub(crate) fn called_by_peer(&self, relayed: Arc<Relayed>, call: RelayCall) {
        let relays = self.clone();
        self.serving.tracker.spawn(async move {
            if !matches!(relays.lead_here(&relayed, &call).await, Listed::Told(())) {
                return relayed.refuse();
            }
            if timeout(RELAY_OPEN_DEADLINE, relayed.settled()).await.is_err() {
                relayed.expire();
            }
        });
    }

    /// Leads a link to a client of this server, if the called user is one and lets the caller through.
    async fn lead_here(&self, relayed: &Arc<Relayed>, call: &RelayCall) -> Listed<()> {
        let client = match self.users.called_by(&call.called, &call.caller).await {
            Listed::Told(client) => client,
            Listed::Forbidden => return Listed::Forbidden,
            Listed::Absent => return Listed::Absent,
        };
        let Some(place) = self.places.take(call.called.handle()) else { return Listed::Forbidden };
        relayed.occupy(place);
        if relayed.lead_to(client.relay, call.clone()) { Listed::Told(()) } else { Listed::Absent }
    }
}
