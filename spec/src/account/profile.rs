//! The home copy of a profile: one machine for each account, at the home server.
//!
//! Its whole state is what has to be durable. Every change is persisted before it is answered, so whoever got an answer
//! may rely on it through a restart.

use crate::{
    error_code::ErrorCode,
    identity::ServerName,
    machine::Machine,
    message::server_server::{LoginEpoch, Profile, ProfileVersion},
    policy::Preferences,
};

/// A user's profile as the home server keeps it.
///
/// **Contract of the caller.** The state is loaded from where [`Action::Persist`] put it. When persisting fails, the
/// caller refuses with `internal`, carries out none of the actions behind it, and loads the state again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HomeProfile {
    /// The last login epoch that was given; 0 before the first login.
    pub epoch: LoginEpoch,
    /// The server that holds the profile under that epoch; nobody while the user is logged out.
    pub holder: Option<ServerName>,
    /// The contents.
    pub profile: Profile,
}

impl Default for HomeProfile {
    /// A new account's (`REG-013`).
    fn default() -> Self {
        let profile = Profile { version: ProfileVersion(0), messaging: Preferences::default() };
        Self { epoch: LoginEpoch(0), holder: None, profile }
    }
}

/// What a server asks; `by` is the name in the certificate of its connection, or the home server's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A login begins at `by`.
    CheckOut {
        /// The server that asks.
        by: ServerName,
    },
    /// Change the preferences.
    Store {
        /// The server that asks.
        by: ServerName,
        /// The login epoch under which it holds the profile.
        epoch: LoginEpoch,
        /// The version that is to be replaced.
        version: ProfileVersion,
        /// What replaces it.
        messaging: Preferences,
    },
    /// A login ends.
    CheckIn {
        /// The server that asks.
        by: ServerName,
        /// The login epoch that ends.
        epoch: LoginEpoch,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make this state durable, and only then go on.
    Persist(HomeProfile),
    /// Answer the one who asked.
    Answer(Answer),
    /// Tell a server that the login which it held is over: all of its login epochs up to this one.
    Replace {
        /// Who held the profile.
        holder: ServerName,
        /// The greatest login epoch that is over.
        epoch: LoginEpoch,
    },
}

/// The answer to an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The login epoch and the profile.
    CheckedOut {
        /// The new login epoch.
        epoch: LoginEpoch,
        /// The profile.
        profile: Profile,
    },
    /// The change is durable, under this version.
    Stored(ProfileVersion),
    /// The login epoch is over.
    CheckedIn,
    /// Nothing changed.
    Refused(ErrorCode),
}

impl Machine for HomeProfile {
    type Event = Event;
    type Action = Action;
    type Context<'a> = ();

    fn handle(&mut self, event: Event, (): &(), out: &mut Vec<Action>) {
        match event {
            Event::CheckOut { by } => self.check_out(by, out),
            Event::Store { by, epoch, version, messaging } => {
                let answer = match self.store(&by, epoch, version, messaging) {
                    Ok(version) => {
                        out.push(Action::Persist(self.clone()));
                        Answer::Stored(version)
                    }
                    Err(code) => Answer::Refused(code),
                };
                out.push(Action::Answer(answer));
            }
            Event::CheckIn { by, epoch } => {
                if self.is_held(&by, epoch) {
                    self.holder = None;
                    out.push(Action::Persist(self.clone()));
                }
                out.push(Action::Answer(Answer::CheckedIn));
            }
        }
    }
}

impl HomeProfile {
    /// Whether `server` holds the profile under `epoch`: the last one that was given, and not over.
    fn is_held(&self, server: &ServerName, epoch: LoginEpoch) -> bool {
        self.epoch == epoch && self.holder.as_ref() == Some(server)
    }

    fn check_out(&mut self, by: ServerName, out: &mut Vec<Action>) {
        // No count of logins comes this far; without the check the order of epochs would hang on that.
        let Some(next) = self.epoch.0.checked_add(1) else {
            out.push(Action::Answer(Answer::Refused(ErrorCode::Internal)));
            return;
        };
        let over = self.epoch;
        self.epoch = LoginEpoch(next);
        let before = self.holder.replace(by.clone());
        out.push(Action::Persist(self.clone()));
        out.push(Action::Answer(Answer::CheckedOut { epoch: self.epoch, profile: self.profile.clone() }));
        // The same server replaces its user's older login by itself.
        if let Some(holder) = before.filter(|holder| *holder != by) {
            out.push(Action::Replace { holder, epoch: over });
        }
    }

    fn store(
        &mut self,
        by: &ServerName,
        epoch: LoginEpoch,
        version: ProfileVersion,
        messaging: Preferences,
    ) -> Result<ProfileVersion, ErrorCode> {
        if !self.is_held(by, epoch) {
            return Err(ErrorCode::LoginReplaced);
        }
        if self.profile.version != version {
            return Err(ErrorCode::VersionConflict);
        }
        let next = version.0.checked_add(1).ok_or(ErrorCode::Internal)?;
        self.profile = Profile { version: ProfileVersion(next), messaging };
        Ok(self.profile.version)
    }
}
