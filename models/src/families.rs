//! Every model, whatever machine it is of, in one list.

use clap::ValueEnum;

use crate::{
    catalogue::{self, Entry},
    check::{self, Options, Report},
    instant_model::InstantModel,
    kept_link::KeptLinkModel,
    locations::{LOCATIONS, LocationEntry},
    presence::{PRESENCE, PresenceEntry},
    privacy::{PRIVACY, PrivacyEntry},
    profiles::{PROFILES, ProfileEntry},
    tree::{TREES, TreeEntry},
};

/// What a model is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    /// Chat sessions, with and without an attacker.
    Sessions,
    /// Logins and profiles.
    Logins,
    /// The location service.
    Location,
    /// What an asker may not know.
    Privacy,
    /// Instant messages.
    Instants,
    /// Links that go on when their connection is lost.
    Links,
    /// The tree of servers.
    Tree,
    /// Presence on its way.
    Presence,
}

/// A model by its name.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// Whether it belongs to the set that every change of the code is checked with.
    pub quick: bool,
    /// What it is about.
    pub family: Family,
    model: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Session(&'static Entry),
    Login(&'static ProfileEntry),
    Location(&'static LocationEntry),
    Privacy(&'static PrivacyEntry),
    Tree(&'static TreeEntry),
    Presence(&'static PresenceEntry),
    Instants,
    Links,
}

impl Family {
    /// The family whose models may show that a requirement is broken.
    #[must_use]
    pub fn of_requirement(id: &str) -> Self {
        match id.split('-').next().unwrap_or_default() {
            "LOGIN" | "PREF" => Self::Logins,
            "LOC" => Self::Location,
            "ADDR" | "RELAY" => Self::Privacy,
            "INST" => Self::Instants,
            "LINK" => Self::Links,
            "TREE" => Self::Tree,
            "PRES" => Self::Presence,
            _ => Self::Sessions,
        }
    }
}

impl Listed {
    /// Explores the model, as [`check::check`] does.
    #[must_use]
    pub fn check(&self, options: Options) -> Report {
        match self.model {
            Kind::Session(entry) => check::check(entry, options),
            Kind::Login(entry) => check::check_profiles(entry, options),
            Kind::Location(entry) => check::check_locations(entry, options),
            Kind::Privacy(entry) => check::check_privacy(entry, options),
            Kind::Tree(entry) => check::check_tree(entry, options),
            Kind::Presence(entry) => check::check_presence(entry, options),
            Kind::Instants => check::check_instants(options),
            Kind::Links => check::check_kept_link(options),
        }
    }
}

/// Every model: family by family, and in each the smaller ones first.
pub fn all() -> impl Iterator<Item = Listed> {
    let sessions = catalogue::ALL.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Sessions,
        model: Kind::Session(entry),
    });
    let logins = PROFILES.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Logins,
        model: Kind::Login(entry),
    });
    let locations = LOCATIONS.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Location,
        model: Kind::Location(entry),
    });
    let privacy = PRIVACY.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Privacy,
        model: Kind::Privacy(entry),
    });
    let single = |name, about, family, model| Listed { name, about, quick: true, family, model };
    let others = [
        single(InstantModel::NAME, InstantModel::ABOUT, Family::Instants, Kind::Instants),
        single(KeptLinkModel::NAME, KeptLinkModel::ABOUT, Family::Links, Kind::Links),
    ];
    let presence = PRESENCE.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Presence,
        model: Kind::Presence(entry),
    });
    let trees = TREES.iter().map(|entry| Listed {
        name: entry.name,
        about: entry.about,
        quick: entry.quick,
        family: Family::Tree,
        model: Kind::Tree(entry),
    });
    sessions.chain(logins).chain(locations).chain(privacy).chain(others).chain(trees).chain(presence)
}

/// The model of this name.
#[must_use]
pub fn find(name: &str) -> Option<Listed> {
    all().find(|listed| listed.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Family, all, find};

    #[test]
    fn each_model_is_found_by_a_name_of_its_own() {
        let names: BTreeSet<&str> = all().map(|listed| listed.name).collect();
        assert_eq!(names.len(), all().count());
        let found = |name: &str| find(name).map(|listed| listed.family);
        assert_eq!(found("session-small"), Some(Family::Sessions));
        assert_eq!(found("links"), Some(Family::Links));
        assert_eq!(found("no-such-model"), None);
    }
}
