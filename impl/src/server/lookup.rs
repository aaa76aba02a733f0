//! Address lookup (chapter *Address lookup*): the own list, then the location service, then the server that it names.
//!
//! However a lookup fails, the answer is one and the same. Where the own list settles it, the location service is asked
//! all the same, so that the time of a refusal tells little.

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    message::server_server::{FromPeerServer, Resolve, ToPeerServer},
};

use super::{
    requests::Requests,
    users::{Listed, Users},
};
use crate::{
    mutant::{Mutant, active},
    net::AskError,
};

/// What a lookup or a resolve is refused with.
pub(crate) fn refusal(listed: Listed) -> ErrorCode {
    match listed {
        Listed::Forbidden if active(Mutant::ForbiddenDistinguished) => ErrorCode::Forbidden,
        Listed::Address(_) | Listed::Forbidden | Listed::Absent => ErrorCode::Unavailable,
    }
}

/// Where `user`'s client is, for `asker`, a client of this server.
pub(crate) async fn lookup(
    requests: &Requests,
    users: &Users,
    user: &UserHandle,
    asker: &UserHandle,
) -> Result<ContactAddress, ErrorCode> {
    let listed =
        if active(Mutant::OwnListSkipped) { Listed::Absent } else { users.resolve(user, asker).await };
    if let Listed::Address(address) = listed {
        return Ok(address);
    }
    let refusal = refusal(listed);
    let records = requests.location.find(user.id).await.map_err(|_| refusal)?;
    let mut records = records.into_iter();
    let record = if active(Mutant::OldestRecordAsked) { records.next_back() } else { records.next() };
    let Some(record) = record else { return Err(refusal) };
    if record.server == requests.name {
        // The own list has said already what there is to say.
        return Err(refusal);
    }
    let peer = requests.peers.at(&record.server, record.address).map_err(|_| refusal)?;
    let asker = if active(Mutant::AskerNotNamed) { user } else { asker };
    let (user, asker) = (user.clone(), asker.clone());
    match peer.ask_again(move |id| ToPeerServer::Resolve(Resolve { id, user, asker })).await {
        Ok(FromPeerServer::Resolved(body)) => Ok(body.address),
        Err(AskError::Refused(code)) if active(Mutant::ForbiddenDistinguished) => Err(code),
        Ok(_) | Err(_) => Err(refusal),
    }
}
