//! Who is hidden from whom in a model of privacy, and how much happens at most.

use antiphon_spec::{
    identity::UserHandle,
    policy::{Preferences, Verdict},
};

/// How a user is hidden from the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hiding {
    /// The default denies everybody.
    Default,
    /// The deny list names the asker, and the allow list too.
    DenyList,
    /// The default lets everybody make contact, and no list names the asker: the address alone is not for it.
    AddressOnly,
}

impl Hiding {
    /// The preferences of somebody who hides like this from `asker`.
    pub(super) fn preferences(self, asker: &UserHandle) -> Preferences {
        let mut preferences = Preferences { default: Verdict::Allow, ..Preferences::default() };
        match self {
            Self::Default => preferences.default = Verdict::Deny,
            Self::DenyList => {
                let _ = preferences.deny.insert(asker.clone());
                let _ = preferences.allow.insert(asker.clone());
            }
            Self::AddressOnly => {}
        }
        preferences
    }

    /// Whether the asker may not even learn that the user can be called.
    pub(super) const fn hides_from_calls(self) -> bool {
        !matches!(self, Self::AddressOnly)
    }
}

/// How often, at most, something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How the user hides.
    pub hiding: Hiding,
    /// Logins of the user in the one world, at either server.
    pub logins: u8,
    /// Logouts.
    pub logouts: u8,
    /// Lookups and calls of the asker, in both worlds.
    pub questions: u8,
    /// Steps of a search that come to nothing, in either world.
    pub failures: u8,
}

/// A model of privacy by its name.
#[derive(Clone, Copy, Debug)]
pub struct PrivacyEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
}

const ONE: Bounds = Bounds { hiding: Hiding::Default, logins: 2, logouts: 1, questions: 1, failures: 1 };

/// Every model of privacy, the smaller ones first.
pub const PRIVACY: &[PrivacyEntry] = &[
    PrivacyEntry {
        name: "privacy-default",
        about: "1 question for one whose default denies everybody; 2 logins, 1 logout, 1 failure",
        bounds: ONE,
        quick: true,
    },
    PrivacyEntry {
        name: "privacy-deny-list",
        about: "1 question of one whom the deny list names; 2 logins, 1 logout, 1 failure",
        bounds: Bounds { hiding: Hiding::DenyList, ..ONE },
        quick: true,
    },
    PrivacyEntry {
        name: "privacy-address",
        about: "1 lookup for one who may be called by everybody; 2 logins, 1 logout, 1 failure",
        bounds: Bounds { hiding: Hiding::AddressOnly, ..ONE },
        quick: true,
    },
    PrivacyEntry {
        name: "privacy-two",
        about: "2 questions for one whose default denies everybody; 2 logins, 1 logout, 1 failure",
        bounds: Bounds { questions: 2, ..ONE },
        quick: true,
    },
];

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static PrivacyEntry> {
    PRIVACY.iter().find(|entry| entry.name == name)
}
