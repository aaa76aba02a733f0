//! Address lookup (chapter *Address lookup*): drives the machine of a search, whose steps go to the own list of users, to
//! the location service, and to the server that it names.

use std::{fmt::Debug, hash::Hash};

use antiphon_spec::{
    account::lookup::{Action, Event, Listed, Lookup, refusal_after},
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName, UserHandle},
    machine::Machine as _,
    message::server_server::{FromPeerServer, Resolve, ToPeerServer},
};
use tokio::time::{Instant, sleep_until};

use super::{requests::Requests, users::Users};
use crate::{
    mutant::{Mutant, active},
    net::AskError,
};

/// Where `user`'s client is, for `asker`, a client of this server. A refusal comes at its beat.
pub(crate) async fn lookup(
    requests: &Requests,
    users: &Users,
    user: &UserHandle,
    asker: &UserHandle,
) -> Result<ContactAddress, ErrorCode> {
    let asked = Instant::now();
    let here = async {
        if active(Mutant::OwnListSkipped) { Listed::Absent } else { users.resolve(user, asker).await }
    };
    let named = if active(Mutant::AskerNotNamed) { user } else { asker };
    let away = |server, address| {
        let (user, asker) = (user.clone(), named.clone());
        async move {
            let peer = requests.peers.at(&server, address).map_err(|_| ErrorCode::Unavailable)?;
            match peer.ask_again(move |id| ToPeerServer::Resolve(Resolve { id, user, asker })).await {
                Ok(FromPeerServer::Resolved(body)) => Ok(body.address),
                Err(AskError::Refused(code)) => Err(code),
                Ok(_) | Err(AskError::Unreachable | AskError::Lost | AskError::Busy) => {
                    Err(ErrorCode::Unavailable)
                }
            }
        }
    };
    let found = search(requests, user, here, away).await;
    if found.is_err() {
        sleep_until(asked + refusal_after(asked.elapsed())).await;
    }
    found
}

/// Looks for a user: `here` asks the own list, `away` another server.
///
/// # Errors
/// The code with which the asker is refused.
pub(super) async fn search<A, Answer>(
    requests: &Requests,
    user: &UserHandle,
    here: impl Future<Output = Listed<A>>,
    away: impl Fn(ServerName, ContactAddress) -> Answer,
) -> Result<A, ErrorCode>
where
    A: Clone + Eq + Hash + Debug,
    Answer: Future<Output = Result<A, ErrorCode>>,
{
    let mut lookup = Lookup::new(requests.name.clone());
    let mut event = Event::Listed(here.await);
    let mut actions = Vec::new();
    loop {
        lookup.handle(event, &(), &mut actions);
        event = match actions.pop() {
            Some(Action::Find) => match requests.location.find(user.id).await {
                Ok(records) => Event::Found(records),
                Err(_) => Event::Refused(ErrorCode::LocationUnreachable),
            },
            Some(Action::Ask { server, address }) => match away(server, address).await {
                Ok(told) => Event::Told(told),
                Err(code) => Event::Refused(code),
            },
            Some(Action::Tell(told)) => return Ok(told),
            Some(Action::Refuse(code)) => return Err(code),
            // Each of these events is followed by an action.
            None => return Err(ErrorCode::Unavailable),
        };
    }
}
