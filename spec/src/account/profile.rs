//! The home copy of a profile: one machine for each account, at the home server.
//!
//! Its whole state is what has to be durable. Every change is persisted before it is answered, so whoever got an answer
//! may rely on it through a restart.

use std::time::Duration;

use crate::{
    error_code::ErrorCode,
    identity::ServerName,
    machine::Machine,
    message::server_server::{LoginEpoch, Profile, ProfileVersion},
    mutant::{Mutant, active},
    policy::Preferences,
    time::Timestamp,
};

/// A user's profile as the home server keeps it.
///
/// **Contract of the caller.** The state is loaded from where [`Action::Persist`] put it. When persisting fails, the
/// caller refuses with `internal`, carries out none of the actions behind it, and loads the state again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HomeProfile {
    /// The last login epoch that was given; 0 before the first login.
    pub epoch: LoginEpoch,
    /// Who holds the profile under that epoch; nobody after a logout.
    pub holder: Option<Holder>,
    /// The contents.
    pub profile: Profile,
}

/// The server that a login epoch was given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Its name.
    pub server: ServerName,
    /// When the lease ends, or has ended: the holder may renew it all the same, until there is a newer login epoch.
    pub lease_end: Timestamp,
}

/// What comes with every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time at which the event is handled.
    pub now: Timestamp,
    /// For how long the server lends a login epoch; at most [`LOGIN_LEASE`](crate::limits::LOGIN_LEASE).
    pub lease: Duration,
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
    /// A login goes on.
    Renew {
        /// The server that asks.
        by: ServerName,
        /// The login epoch whose lease is to be renewed.
        epoch: LoginEpoch,
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
        /// Its lease.
        lease: Duration,
        /// The profile.
        profile: Profile,
    },
    /// The change is durable, under this version.
    Stored(ProfileVersion),
    /// The login epoch stands for this lease from now on.
    Renewed(Duration),
    /// The login epoch is over.
    CheckedIn,
    /// Nothing changed.
    Refused(ErrorCode),
}

impl Machine for HomeProfile {
    type Event = Event;
    type Action = Action;
    type Context<'a> = Terms;

    fn handle(&mut self, event: Event, terms: &Terms, out: &mut Vec<Action>) {
        match event {
            Event::CheckOut { by } => self.check_out(by, *terms, out),
            Event::Store { by, epoch, version, messaging } => {
                let before = self.profile.version;
                let answer = match self.store(&by, epoch, version, messaging) {
                    Ok(version) => Answer::Stored(version),
                    Err(code) => Answer::Refused(code),
                };
                self.answer(self.profile.version != before, answer, out);
            }
            Event::Renew { by, epoch } => {
                let is_held = self.is_held(&by, epoch)
                    || (active(Mutant::RenewalEpochUnchecked) && self.holder.is_some());
                let answer = match self.holder.as_mut().filter(|_| is_held) {
                    Some(holder) => {
                        holder.lease_end = terms.now.after(terms.lease);
                        Answer::Renewed(terms.lease)
                    }
                    None => Answer::Refused(ErrorCode::LoginReplaced),
                };
                self.answer(is_held, answer, out);
            }
            Event::CheckIn { by, epoch } => {
                let is_over = self.is_held(&by, epoch)
                    || (active(Mutant::CheckInEpochUnchecked) && self.holder.is_some());
                if is_over {
                    self.holder = None;
                }
                self.answer(is_over, Answer::CheckedIn, out);
            }
        }
    }
}

impl HomeProfile {
    /// What is left to do when the account ends: the state is gone, and the holder of the last login epoch is told.
    ///
    /// A holder whose lease has ended is told as well: it may have been cut off, and still serve its user.
    //= spec/text/registration.md#the-end-of-an-account
    //# REG-021: A home server that ends an account MUST send `replace`, with the user's last login epoch, to the server that holds it, or end the login as a replaced one ([LOGIN-025](login.md#replacement)) if it is the holder itself.
    #[must_use]
    pub fn end(self) -> Option<Action> {
        let epoch = self.epoch;
        self.holder.map(|holder| Action::Replace { holder: holder.server, epoch })
    }

    /// Ends the login that stands, if one does, as a newer one would: its epoch has no power any more, and its holder is told.
    //= spec/text/registration.md#replacing-a-key
    //# REG-035: A home server that replaces a key MUST end the user's login as that of an account that ends ([REG-021](#the-end-of-an-account)).
    pub fn end_login(&mut self, out: &mut Vec<Action>) {
        if let Some(holder) = self.holder.take() {
            out.push(Action::Persist(self.clone()));
            out.push(Action::Replace { holder: holder.server, epoch: self.epoch });
        }
    }

    /// Where the user is logged in as far as the home server knows: the holder, while its lease lasts.
    #[must_use]
    pub fn logged_in_at(&self, now: Timestamp) -> Option<&ServerName> {
        let lasts = |holder: &&Holder| now < holder.lease_end || active(Mutant::LoginLeaseEndless);
        self.holder.as_ref().filter(lasts).map(|holder| &holder.server)
    }

    /// Whether `server` holds the profile under `epoch`: the last one that was given, and not over.
    fn is_held(&self, server: &ServerName, epoch: LoginEpoch) -> bool {
        self.epoch == epoch && self.holder.as_ref().is_some_and(|holder| holder.server == *server)
    }

    /// Answers, after whatever changed is durable.
    fn answer(&self, has_changed: bool, answer: Answer, out: &mut Vec<Action>) {
        if has_changed {
            out.push(Action::Persist(self.clone()));
        }
        out.push(Action::Answer(answer));
        if has_changed && active(Mutant::AnsweredBeforeDurable) {
            let last = out.len().saturating_sub(1);
            out.swap(last, last.saturating_sub(1));
        }
    }

    fn check_out(&mut self, by: ServerName, terms: Terms, out: &mut Vec<Action>) {
        // No count of logins comes this far; without the check the order of epochs would hang on that.
        let Some(next) = self.epoch.0.checked_add(1) else {
            return self.answer(false, Answer::Refused(ErrorCode::Internal), out);
        };
        // The same server replaces its user's older login by itself, and where the lease has ended nobody is logged in.
        let replaced = self.logged_in_at(terms.now).filter(|server| **server != by).cloned();
        let over = self.epoch;
        if !(active(Mutant::EpochRepeated) && over > LoginEpoch(0)) {
            self.epoch = LoginEpoch(next);
        }
        self.holder = Some(Holder { server: by, lease_end: terms.now.after(terms.lease) });
        let (epoch, lease, profile) = (self.epoch, terms.lease, self.profile.clone());
        self.answer(true, Answer::CheckedOut { epoch, lease, profile }, out);
        out.extend(replaced.map(|holder| Action::Replace { holder, epoch: over }));
    }

    fn store(
        &mut self,
        by: &ServerName,
        epoch: LoginEpoch,
        version: ProfileVersion,
        messaging: Preferences,
    ) -> Result<ProfileVersion, ErrorCode> {
        if !self.is_held(by, epoch) && !active(Mutant::StoreEpochUnchecked) {
            return Err(ErrorCode::LoginReplaced);
        }
        let version = if active(Mutant::StoreVersionUnchecked) { self.profile.version } else { version };
        let next = version.0.checked_add(1).map(ProfileVersion);
        if self.profile.version == version {
            self.profile = Profile { version: next.ok_or(ErrorCode::Internal)?, messaging };
        } else if next != Some(self.profile.version)
            || self.profile.messaging != messaging
            || active(Mutant::RepeatedStoreRefused)
        {
            // What is left is the change that made the present version, asked for again (PREF-016).
            return Err(ErrorCode::VersionConflict);
        }
        Ok(self.profile.version)
    }
}
