//! The server-to-server channel at the accepting end: what other servers ask.

use std::sync::Arc;

use antiphon_protocol::connection::Accepted;
use antiphon_spec::{
    account::{
        lookup::Listed,
        profile::{Answer, Event},
    },
    channel::{Request as _, receive_at_peer_server},
    error_code::ErrorCode,
    identity::{Identity, ObjectHandle, ServerName},
    message::{
        common::RequestId,
        server_server::{
            CheckedIn, CheckedOut, FromPeerServer, Renewed, ReplaceDone, Resolved, Stored, ToPeerServer,
        },
    },
    rate::Class,
};
use tokio::net::TcpStream;
use tracing::debug;

use super::{
    Shared,
    relay::{Came, Outlet, RelayEnd},
};
use crate::{
    mutant::{Mutant, active},
    net::{Asker, Link, Pace, Refuses as _, Serving, respond},
};

/// Serves one connection of another server.
pub(super) async fn serve(
    shared: Arc<Shared>,
    serving: Serving,
    accepted: Accepted<TcpStream>,
    peer: ServerName,
) {
    let Ok(connection) = accepted.greet::<ToPeerServer>().await else { return };
    let limits = &serving.limits;
    let link = Link::accepted(connection, serving.allowance(), &serving.tracker, serving.shutdown.clone());
    let asker = Asker::Peer(Identity::Server(peer.clone()));
    let link = link.paced(Pace::new(&shared.rates, &asker));
    let end = RelayEnd::new(Outlet::AcceptedPeer(link.outbox().clone()));
    let aside = |message| relay(&shared, &asker, &end, message);
    let answer = |request: ToPeerServer| {
        let (shared, peer, asker) = (&shared, &peer, &asker);
        async move {
            let class = Class::of_server(&request);
            if class.is_some_and(|class| !shared.rates.allow(asker, class)) {
                let (id, _) = request.question()?;
                return Some(FromPeerServer::refused(id, ErrorCode::LimitReached));
            }
            answer(shared, peer, request).await
        }
    };
    let ended = respond(
        link,
        receive_at_peer_server,
        (limits.requests_per_connection, serving.allowance()),
        answer,
        aside,
    )
    .await;
    end.over();
    debug!(%peer, ?ended, "a connection of a server has ended");
}

/// What is no request: the messages of relayed links.
fn relay(shared: &Shared, asker: &Asker, end: &Arc<RelayEnd>, message: ToPeerServer) {
    let judged = match message {
        ToPeerServer::RelayCall(call) => {
            end.asked(call.link).map(|relayed| {
                // LIM-008: beyond the rate, as every other no.
                if shared.rates.allow(asker, Class::Call) {
                    shared.relays.called_by_peer(relayed, call);
                } else {
                    relayed.expire();
                }
            })
        }
        ToPeerServer::RelayData(body) => end.came(body.link, Came::Data(body.bytes)),
        ToPeerServer::RelayCredit(body) => end.came(body.link, Came::Credit(body.bytes)),
        ToPeerServer::RelayClose(body) => end.came(body.link, Came::Closed),
        ToPeerServer::CheckOut(_)
        | ToPeerServer::Store(_)
        | ToPeerServer::Renew(_)
        | ToPeerServer::CheckIn(_)
        | ToPeerServer::Replace(_)
        | ToPeerServer::Resolve(_)
        | ToPeerServer::Ping(_)
        | ToPeerServer::Pong(_)
        | ToPeerServer::Goodbye(_)
        | ToPeerServer::Error(_) => Ok(()),
    };
    if let Err(code) = judged {
        end.fault(code);
    }
}

/// The answer to a request of `peer`; none to what is no request.
async fn answer(shared: &Shared, peer: &ServerName, request: ToPeerServer) -> Option<FromPeerServer> {
    let by = peer.clone();
    match request {
        ToPeerServer::CheckOut(body) => {
            Some(ask_home(shared, body.id, body.user, Event::CheckOut { by }).await)
        }
        ToPeerServer::Store(body) => {
            let (epoch, version, messaging) = (body.epoch, body.version, body.messaging);
            let event = Event::Store { by, epoch, version, messaging };
            Some(ask_home(shared, body.id, body.user, event).await)
        }
        ToPeerServer::Renew(body) => {
            let event = Event::Renew { by, epoch: body.epoch };
            Some(ask_home(shared, body.id, body.user, event).await)
        }
        ToPeerServer::CheckIn(body) => {
            let event = Event::CheckIn { by, epoch: body.epoch };
            Some(ask_home(shared, body.id, body.user, event).await)
        }
        ToPeerServer::Replace(body) => {
            // LOGIN-022: a login is ended by the home server alone.
            if body.user.home != *peer && !active(Mutant::ReplaceHomeUnchecked) {
                return Some(FromPeerServer::refused(body.id, ErrorCode::Forbidden));
            }
            shared.users.replace(&body.user, body.epoch).await;
            Some(FromPeerServer::ReplaceDone(ReplaceDone { id: body.id }))
        }
        ToPeerServer::Resolve(body) => Some(match shared.users.resolve(&body.user, &body.asker).await {
            Listed::Told(address) => FromPeerServer::Resolved(Resolved { id: body.id, address }),
            listed @ (Listed::Forbidden | Listed::Absent) => {
                FromPeerServer::refused(body.id, listed.refusal())
            }
        }),
        ToPeerServer::RelayCall(_)
        | ToPeerServer::RelayData(_)
        | ToPeerServer::RelayCredit(_)
        | ToPeerServer::RelayClose(_)
        | ToPeerServer::Ping(_)
        | ToPeerServer::Pong(_)
        | ToPeerServer::Goodbye(_)
        | ToPeerServer::Error(_) => None,
    }
}

async fn ask_home(shared: &Shared, id: RequestId, user: ObjectHandle, event: Event) -> FromPeerServer {
    match shared.requests.home.ask(user, event).await {
        Answer::CheckedOut { epoch, lease, profile } => {
            FromPeerServer::CheckedOut(CheckedOut { id, epoch, lease: lease.as_secs(), profile })
        }
        Answer::Renewed(lease) => FromPeerServer::Renewed(Renewed { id, lease: lease.as_secs() }),
        Answer::Stored(version) => FromPeerServer::Stored(Stored { id, version }),
        Answer::CheckedIn => FromPeerServer::CheckedIn(CheckedIn { id }),
        Answer::Refused(code) => FromPeerServer::refused(id, code),
    }
}
