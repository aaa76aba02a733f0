//! The client-to-server channel at the server: what a user's client asks, from the login to the end.

use std::sync::Arc;

use antiphon_protocol::connection::Accepted;
use antiphon_spec::{
    account::login::{Client, ConnectionNumber, Event},
    channel::{Reception, Request as _},
    error_code::ErrorCode,
    identity::{Identity, KeyHash, UserHandle},
    message::client_server::{Address, FromServer, Lookup, ToServer},
    rate::Class,
};
use tokio::{net::TcpStream, sync::Semaphore};
use tracing::{Instrument as _, debug, error};

use super::{Shared, client::ClientHandle, lookup::lookup, relay::Came};
use crate::{
    mutant::{Mutant, active},
    net::{self, Asker, Link, Pace, Refuses as _, Serving},
};

/// Whether another key has replaced the one of a user's certificate, as far as this server knows: it is the home.
//= spec/text/registration.md#replacing-a-key
//# REG-034: A home server MUST refuse the certificate of a user whose key has been replaced ([CERT-025](certificates.md#refusing)), and close with `certificate-refused` when such a user sends `login` on a connection that is older.
async fn is_replaced(shared: &Shared, user: &UserHandle, key: Option<KeyHash>) -> bool {
    let Some(key) = key.filter(|_| user.home == shared.requests.name) else { return false };
    if active(Mutant::ReplacedCertificateAccepted) {
        return false;
    }
    shared.store.is_replaced(&key).await.unwrap_or_else(|error| {
        error!(error = net::chain(&error), "it cannot be seen whether a key was replaced");
        true
    })
}

/// Serves one connection of a user's client.
pub(super) async fn serve(
    shared: Arc<Shared>,
    serving: Serving,
    accepted: Accepted<TcpStream>,
    (number, user): (ConnectionNumber, UserHandle),
) {
    let key = accepted.peer().map(|peer| peer.key().key_hash());
    if is_replaced(&shared, &user, key).await {
        let _ = accepted.refuse::<ToServer>(ErrorCode::CertificateRefused).await;
        return;
    }
    let Ok(connection) = accepted.greet::<ToServer>().await else { return };
    let limits = &serving.limits;
    let asker = Asker::Peer(Identity::User(user.clone()));
    let link = Link::accepted(connection, serving.allowance(), &serving.tracker, serving.shutdown.clone());
    let mut link = link.paced(Pace::new(&shared.rates, &asker));
    let client = ClientHandle::new(number, link.outbox().clone());
    let lookups = Arc::new(Semaphore::new(limits.requests_per_connection));
    debug!(%user, "a client is connected");
    let end = loop {
        let message = match link.next().await {
            Ok(message) => message,
            Err(end) => break end,
        };
        match client.receive(&message) {
            Reception::Accepted => {}
            Reception::Late => continue,
            Reception::ProtocolError => {
                link.outbox().close(Some(ErrorCode::UnexpectedMessage));
                continue;
            }
        }
        let class = Class::of_client(&message);
        if class.is_some_and(|class| !shared.rates.allow(&asker, class)) {
            refuse(&client, &message);
            continue;
        }
        match message {
            ToServer::Lookup(request) => {
                look_up(&shared, &serving, &client, &lookups, request, user.clone());
            }
            ToServer::Login(_) => {
                if is_replaced(&shared, &user, key).await {
                    link.outbox().close(Some(ErrorCode::CertificateRefused));
                    continue;
                }
                let span = net::span(&message);
                if let Some(event) = event(number, message) {
                    shared.users.event(&user, event, Some(client.clone())).instrument(span).await;
                }
            }
            ToServer::RelayExpect(body) => client.faultless(client.relay.expect(body.relay)),
            ToServer::RelayForget(body) => client.relay.forget(body.relay),
            ToServer::RelayOpen(body) => match client.relay.asked(body.link) {
                Ok(relayed) => shared.relays.opened_by_client(relayed, user.clone(), body.called),
                Err(code) => client.relay.fault(code),
            },
            ToServer::RelayOpened(body) => client.faultless(client.relay.came(body.link, Came::Opened)),
            ToServer::RelayData(body) => {
                client.faultless(client.relay.came(body.link, Came::Data(body.bytes)))
            }
            ToServer::RelayCredit(body) => {
                client.faultless(client.relay.came(body.link, Came::Credit(body.bytes)));
            }
            ToServer::RelayClose(body) => client.faultless(client.relay.came(body.link, Came::Closed)),
            ToServer::SetPreferences(_)
            | ToServer::Logout(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_)
            | ToServer::Goodbye(_)
            | ToServer::Error(_) => {
                let span = net::span(&message);
                if let Some(event) = event(number, message) {
                    shared.users.event(&user, event, None).instrument(span).await;
                }
            }
        }
    };
    debug!(%user, ?end, "a client is gone");
    client.relay.over();
    if !active(Mutant::LostConnectionKept) {
        shared.users.event(&user, Event::ConnectionEnded(number), None).await;
    }
    link.linger().await;
}

/// Refuses what comes beyond the rate: a request with a code, a call like every other no (`LIM-007`, `LIM-008`).
fn refuse(client: &ClientHandle, message: &ToServer) {
    if let ToServer::RelayOpen(body) = message {
        match client.relay.asked(body.link) {
            Ok(relayed) => relayed.expire(),
            Err(code) => client.relay.fault(code),
        }
    } else if let Some((id, _)) = message.question() {
        client.send(&FromServer::refused(id, ErrorCode::LimitReached));
    }
}

/// The message as the login machine takes it.
fn event(connection: ConnectionNumber, message: ToServer) -> Option<Event> {
    match message {
        ToServer::Login(body) => {
            Some(Event::LoginAsked(Client { connection, id: body.id, address: body.address }))
        }
        ToServer::SetPreferences(body) => Some(Event::PreferencesAsked {
            connection,
            id: body.id,
            version: body.version,
            messaging: body.messaging,
        }),
        ToServer::Logout(body) => Some(Event::LogoutAsked { connection, id: body.id }),
        ToServer::Lookup(_)
        | ToServer::RelayExpect(_)
        | ToServer::RelayForget(_)
        | ToServer::RelayOpen(_)
        | ToServer::RelayOpened(_)
        | ToServer::RelayData(_)
        | ToServer::RelayCredit(_)
        | ToServer::RelayClose(_)
        | ToServer::Ping(_)
        | ToServer::Pong(_)
        | ToServer::Goodbye(_)
        | ToServer::Error(_) => None,
    }
}

/// Answers a lookup beside everything else: it may have to wait for other servers.
fn look_up(
    shared: &Arc<Shared>,
    serving: &Serving,
    client: &ClientHandle,
    lookups: &Arc<Semaphore>,
    request: Lookup,
    asker: UserHandle,
) {
    let span = net::span(&ToServer::Lookup(request.clone()));
    let Lookup { id, user } = request;
    let Ok(place) = Arc::clone(lookups).try_acquire_owned() else {
        return client.send(&FromServer::refused(id, ErrorCode::LimitReached));
    };
    let (shared, client) = (Arc::clone(shared), client.clone());
    let looking = async move {
        let found = lookup(&shared.requests, &shared.users, &user, &asker).await;
        let answer = match found {
            Ok(address) => FromServer::Address(Address { id, address }),
            Err(code) => FromServer::refused(id, code),
        };
        client.send(&answer);
        if active(Mutant::AnsweredTwice) {
            client.send(&answer);
        }
        drop(place);
    };
    serving.tracker.spawn(looking.instrument(span));
}
