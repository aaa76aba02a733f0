//! What a login machine asks for, carried out: at the home server, which may be this one, and at the location service.

use std::time::Duration;

use antiphon_spec::{
    account::{
        login::{Action, Event},
        profile,
    },
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName, UserHandle},
    limits::{LOCATION_LEASE, LOGIN_LEASE},
    message::{
        location::ContactRecord,
        server_server::{
            CheckIn, CheckOut, FromPeerServer, LoginEpoch, ProfileVersion, Renew, Store, ToPeerServer,
        },
    },
};

use super::{home::Home, location::Location, peers::Peers};
use crate::{
    mutant::{Mutant, active},
    net::AskError,
};

/// The shortest lease (`LOGIN-036`).
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Everybody whom a login has to do with.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) name: ServerName,
    pub(crate) address: ContactAddress,
    pub(crate) home: Home,
    pub(crate) peers: Peers,
    pub(crate) location: Location,
}

impl Requests {
    /// Carries a request out and says what came of it; nothing for an action that is no request.
    pub(crate) async fn carry_out(&self, user: &UserHandle, action: Action) -> Option<Event> {
        match action {
            Action::CheckOut => Some(self.check_out(user).await),
            Action::Store { version, .. } if active(Mutant::ChangeNotWrittenThrough) => {
                Some(Event::Stored(ProfileVersion(version.0.saturating_add(1))))
            }
            Action::Store { epoch, version, messaging } => {
                let by = self.name.clone();
                let store = profile::Event::Store { by, epoch, version, messaging };
                Some(match self.ask_home(user, store).await {
                    profile::Answer::Stored(version) => Event::Stored(version),
                    profile::Answer::Refused(_) if active(Mutant::StoreRefusalIgnored) => {
                        Event::Stored(version)
                    }
                    answer @ (profile::Answer::CheckedOut { .. }
                    | profile::Answer::Renewed(_)
                    | profile::Answer::CheckedIn
                    | profile::Answer::Refused(_)) => Event::StoreFailed(refusal(&answer)),
                })
            }
            Action::Renew(epoch) => {
                let by = self.name.clone();
                Some(match self.ask_home(user, profile::Event::Renew { by, epoch }).await {
                    profile::Answer::Renewed(lease) => Event::Renewed(lease),
                    answer @ (profile::Answer::CheckedOut { .. }
                    | profile::Answer::Stored(_)
                    | profile::Answer::CheckedIn
                    | profile::Answer::Refused(_)) => Event::RenewFailed(refusal(&answer)),
                })
            }
            Action::CheckIn(epoch) => {
                let by = self.name.clone();
                self.ask_home(user, profile::Event::CheckIn { by, epoch }).await;
                Some(Event::CheckInEnded)
            }
            Action::Insert(_) if active(Mutant::RecordNotInserted) => Some(Event::Inserted(LOCATION_LEASE)),
            Action::Insert(epoch) => {
                let inserted = self.location.insert(user.id, self.record(epoch)).await;
                Some(match inserted {
                    Ok(lease) => Event::Inserted(lease),
                    // Whatever it says, the user cannot be found.
                    Err(_) => Event::InsertFailed(ErrorCode::LocationUnreachable),
                })
            }
            Action::Delete(epoch) => {
                // A record that stays ends with its lease.
                let _ = self.location.delete(user.id, self.record(epoch)).await;
                Some(Event::DeleteEnded)
            }
            Action::Send { .. } | Action::Close(_) | Action::ArmRenewal(_) | Action::DisarmRenewal => None,
        }
    }

    async fn check_out(&self, user: &UserHandle) -> Event {
        let by = self.name.clone();
        match self.ask_home(user, profile::Event::CheckOut { by }).await {
            profile::Answer::CheckedOut { epoch, lease, profile } => {
                Event::CheckedOut { epoch, lease, profile }
            }
            answer @ (profile::Answer::Stored(_)
            | profile::Answer::Renewed(_)
            | profile::Answer::CheckedIn
            | profile::Answer::Refused(_)) => Event::CheckOutFailed(refusal(&answer)),
        }
    }

    fn record(&self, epoch: LoginEpoch) -> ContactRecord {
        ContactRecord { epoch, server: self.name.clone(), address: self.address }
    }

    /// Asks the user's home server: this one at once, another one over its channel.
    async fn ask_home(&self, user: &UserHandle, event: profile::Event) -> profile::Answer {
        if user.home == self.name {
            return self.home.ask(user.id, event).await;
        }
        match self.ask_peer(user, event).await {
            Ok(answer) => answer,
            Err(AskError::Refused(code)) => profile::Answer::Refused(code),
            Err(AskError::Unreachable | AskError::Lost | AskError::Busy) => {
                profile::Answer::Refused(ErrorCode::HomeUnreachable)
            }
        }
    }

    async fn ask_peer(
        &self,
        handle: &UserHandle,
        event: profile::Event,
    ) -> Result<profile::Answer, AskError> {
        let (peer, user) = (self.peers.to(&handle.home)?, handle.id);
        let answer = match event {
            profile::Event::CheckOut { .. } => {
                peer.ask_again(move |id| ToPeerServer::CheckOut(CheckOut { id, user })).await?
            }
            // PREF-017: a change that was carried out is known again (PREF-016).
            profile::Event::Store { epoch, version, messaging, .. } => {
                let store = move |id| ToPeerServer::Store(Store { id, user, epoch, version, messaging });
                peer.ask_again(store).await?
            }
            profile::Event::Renew { epoch, .. } => {
                peer.ask_again(move |id| ToPeerServer::Renew(Renew { id, user, epoch })).await?
            }
            profile::Event::CheckIn { epoch, .. } => {
                peer.ask_again(move |id| ToPeerServer::CheckIn(CheckIn { id, user, epoch })).await?
            }
        };
        match answer {
            FromPeerServer::CheckedOut(body) => {
                let lease = bounded(body.lease);
                Ok(profile::Answer::CheckedOut { epoch: body.epoch, lease, profile: body.profile })
            }
            FromPeerServer::Renewed(body) => Ok(profile::Answer::Renewed(bounded(body.lease))),
            FromPeerServer::Stored(body) => Ok(profile::Answer::Stored(body.version)),
            FromPeerServer::CheckedIn(_) => Ok(profile::Answer::CheckedIn),
            FromPeerServer::Greeting(_)
            | FromPeerServer::ReplaceDone(_)
            | FromPeerServer::Resolved(_)
            | FromPeerServer::RelayOpened(_)
            | FromPeerServer::RelayData(_)
            | FromPeerServer::RelayCredit(_)
            | FromPeerServer::RelayClose(_)
            | FromPeerServer::Refused(_)
            | FromPeerServer::Ping(_)
            | FromPeerServer::Pong(_)
            | FromPeerServer::Goodbye(_)
            | FromPeerServer::Error(_) => Err(AskError::Lost),
        }
    }
}

/// The code of an answer that does not grant what was asked.
fn refusal(answer: &profile::Answer) -> ErrorCode {
    match answer {
        profile::Answer::Refused(code) => *code,
        profile::Answer::CheckedOut { .. }
        | profile::Answer::Stored(_)
        | profile::Answer::Renewed(_)
        | profile::Answer::CheckedIn => ErrorCode::Internal,
    }
}

/// The lease that a home server gave. LOGIN-036 bounds it; beyond the bounds it would have this server ask without a
/// pause, or never again.
fn bounded(lease: u64) -> Duration {
    Duration::from_secs(lease).clamp(LEASE_MIN, LOGIN_LEASE)
}
