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
    identity::UserHandle,
    limits::RELAY_OPEN_DEADLINE,
    message::relay::{Called, LinkNumber, RelayCall},
    policy::Verdict,
};
use tokio::time::timeout;

pub(crate) use end::{Outlet, RelayEnd};
#[cfg(test)]
pub(crate) use relayed::PASSED;
pub(crate) use relayed::{Came, Relayed};

use self::{peers::RelayPeers, places::Places};
use super::{requests::Requests, users::Users};
use crate::{
    mutant::{Mutant, active},
    net::Serving,
};

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
        self.serving.tracker.spawn(async move {
            match relays.places.take(&caller) {
                Some(place) => relayed.occupy(place),
                //= spec/text/relay.md#opening
                //# RELAY-017: A server MUST answer with `relay-close` a `relay-open` or `relay-call` when it carries 128 links of the caller, who is a user of its own, or of the called user.
                None => return relayed.refuse(),
            }
            let call = RelayCall { link: LinkNumber(0), called, caller };
            let leading = async {
                if !relays.lead_here(&relayed, &call).await && !relays.lead_away(&relayed, &call).await {
                    return relayed.refuse();
                }
                relayed.settled().await;
            };
            if timeout(RELAY_OPEN_DEADLINE, leading).await.is_err() {
                relayed.refuse();
            }
        });
    }

    /// Another server's user calls one of this server's.
    pub(crate) fn called_by_peer(&self, relayed: Arc<Relayed>, call: RelayCall) {
        let relays = self.clone();
        self.serving.tracker.spawn(async move {
            if !relays.lead_here(&relayed, &call).await {
                return relayed.refuse();
            }
            if timeout(RELAY_OPEN_DEADLINE, relayed.settled()).await.is_err() {
                relayed.refuse();
            }
        });
    }

    /// Leads a link to a client of this server, if the called user is one and lets the caller through.
    async fn lead_here(&self, relayed: &Arc<Relayed>, call: &RelayCall) -> bool {
        let user = call.called.handle();
        let Some((client, verdict)) = self.users.called_by(user, &call.caller).await else { return false };
        let expected = !active(Mutant::RelayTagIgnored)
            && call.called.tag().is_some_and(|tag| client.relay.expects(tag));
        let allowed = verdict == Verdict::Allow || active(Mutant::RelayPreferencesUnjudged);
        if !expected && !allowed {
            return false;
        }
        let Some(place) = self.places.take(user) else { return false };
        relayed.occupy(place);
        relayed.lead_to(client.relay, call.clone())
    }

    /// Leads a link to the server that the location service names.
    async fn lead_away(&self, relayed: &Arc<Relayed>, call: &RelayCall) -> bool {
        let Ok(records) = self.requests.location.find(call.called.handle().id).await else { return false };
        let Some(record) = records.into_iter().next() else { return false };
        if record.server == self.requests.name {
            // The own list has said already what there is to say.
            return false;
        }
        match self.peers.to(&record.server, record.address).await {
            Some(end) => relayed.lead_to(end, call.clone()),
            None => false,
        }
    }
}
