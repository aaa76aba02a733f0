//! Deliberately wrong variants of the reference system, to show that the conformance suite can fail.
//!
//! The one switch is the cargo feature `mutants`, which a build without debug assertions refuses. Without the feature
//! [`active`] is a constant `false`. With it, one mutant at a time, of this crate or of those below, is selected for the
//! whole process by the environment variable [`VARIABLE`].

pub use antiphon_spec::mutant::Catcher;

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` makes the system wrong on purpose; no release build may contain it");

/// Names the mutant that is to be active.
pub const VARIABLE: &str = "ANTIPHON_MUTANT";

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal breaks $requirement:literal,)*) => {
        /// A wrong variant of what servers, directory nodes or clients do. The conformance suite must notice each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Mutant {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name by which it is selected.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The requirement that it breaks.
            #[must_use]
            pub const fn breaks(self) -> &'static str {
                match self { $(Self::$variant => $requirement),* }
            }

            /// Who must notice it: what runs around the machines is invisible to the models.
            #[must_use]
            pub const fn caught_by(self) -> Catcher {
                Catcher::Suite
            }
        }
    };
}

mutants! {
    /// A server reads as fast as its peers send.
    PaceIgnored = "pace-ignored" breaks "LIM-015",
    /// A server answers lookups on a connection that is not logged in.
    LoginNotRequired = "login-not-required" breaks "LOGIN-002",
    /// A server answers whoever asks, however often.
    RatesIgnored = "rates-ignored" breaks "LIM-007",
    /// A server relays however often a user or server calls.
    CallsUncounted = "calls-uncounted" breaks "LIM-008",
    /// A server counts the requests of all users and servers together.
    RatesShared = "rates-shared" breaks "LIM-011",
    /// A server makes accounts by code without a code.
    CodeUnjudged = "registration-code-unjudged" breaks "REG-024",
    /// A server makes however many accounts with one registration code.
    CodeUsedUpTaken = "registration-code-used-up-taken" breaks "REG-025",
    /// A server wants a registration code for an account that is there.
    CodeOfAccountJudged = "registration-code-of-account-judged" breaks "REG-026",
    /// A server takes connections of one address however often they come.
    ConnectionsUncounted = "connection-rate-ignored" breaks "LIM-013",
    /// A server ends the oldest handshake for a new one, whosever it is.
    OldestHandshakeEnded = "oldest-handshake-ended" breaks "LIM-014",
    /// A server takes however many connections from one address.
    AddressesUncounted = "addresses-uncounted" breaks "LIM-010",
    /// A server lets nobody through for a tag.
    RelayTagIgnored = "relay-tag-ignored" breaks "RELAY-011",
    /// A client dials everybody whose address it is told.
    DialsUnlisted = "dials-unlisted" breaks "RELAY-031",
    /// A client sends on a relayed link what it has to say, however much.
    RelayWindowIgnored = "relay-window-ignored" breaks "RELAY-018",
    /// A client gives up where it cannot dial.
    RelayNotTried = "relay-not-tried" breaks "RELAY-032",
    /// A server makes a new account each time that a key is registered.
    RegistrationRepeated = "registration-repeated" breaks "REG-007",
    /// A server replaces a key without the consent of whoever holds it.
    ConsentUnchecked = "consent-unchecked" breaks "REG-028",
    /// A server makes a new account for a key that was replaced.
    ReplacedKeyRegistered = "replaced-key-registered" breaks "REG-033",
    /// A home server takes the certificate of a key that was replaced.
    ReplacedCertificateAccepted = "replaced-certificate-accepted" breaks "REG-034",
    /// A home server lets the login stand whose key was replaced.
    RotatedLoginKept = "rotated-login-kept" breaks "REG-035",
    /// A server goes on with the certificate that it was started with.
    CertificateKept = "certificate-kept" breaks "CERT-034",
    /// A server ends its connections when its certificate is replaced.
    RenewalEndsConnections = "renewal-ends-connections" breaks "CERT-035",
    /// A server certifies the key of an account that has ended.
    EndedKeyRegistered = "ended-key-registered" breaks "REG-019",
    /// A home server forgets that an account was to end once it has told so.
    EndNotDurable = "end-not-durable" breaks "REG-020",
    /// A server takes a key without a proof of its possession.
    PossessionUnchecked = "possession-unchecked" breaks "REG-004",
    /// A server takes a proof of possession that was made for another server.
    PossessionServerUnchecked = "possession-server-unchecked" breaks "REG-006",
    /// A home server does not tell the older holder that it was replaced.
    ReplaceNotSent = "replace-not-sent" breaks "LOGIN-021",
    /// A server ends a login although its user's home is another server than the peer.
    ReplaceHomeUnchecked = "replace-home-unchecked" breaks "LOGIN-022",
    /// A local server lets a user's second login stand beside the first.
    SecondLoginKept = "second-login-kept" breaks "LOGIN-026",
    /// A local server acknowledges a change that the home server refused.
    StoreRefusalIgnored = "store-refusal-ignored" breaks "PREF-011",
    /// A server makes user IDs up instead of asking the location service.
    UserIdMadeUp = "user-id-made-up" breaks "REG-009",
    /// A server that takes no new accounts makes them all the same.
    ClosedRegistrationOpen = "closed-registration-open" breaks "REG-011",
    /// A server numbers its users' certificates.
    SerialNumberCounted = "serial-number-counted" breaks "CERT-003",
    /// A local server answers a login and inserts no record.
    RecordNotInserted = "record-not-inserted" breaks "LOGIN-006",
    /// A local server lets the record of a user who is logged in end.
    RecordNotRenewed = "record-not-renewed" breaks "LOGIN-014",
    /// A home server answers a check-out that is not durable.
    CheckOutNotDurable = "check-out-not-durable" breaks "LOGIN-016",
    /// A local server keeps the login of a connection that was lost.
    LostConnectionKept = "lost-connection-kept" breaks "LOGIN-032",
    /// A local server acknowledges a change that the home server has not stored.
    ChangeNotWrittenThrough = "change-not-written-through" breaks "PREF-007",
    /// A local server asks the location service for users on its own list.
    OwnListSkipped = "own-list-skipped" breaks "ADDR-001",
    /// A local server names the user who is asked for as the asker.
    AskerNotNamed = "asker-not-named" breaks "ADDR-003",
    /// A server takes a user of another home for its own of the same user ID.
    HomeNotCompared = "home-not-compared" breaks "ADDR-007",
    /// A server inserts its own records once.
    OwnRecordsNotRenewed = "own-records-not-renewed" breaks "LOC-015",
    /// A server has the same boot number each time.
    BootNumberRepeated = "boot-number-repeated" breaks "LOC-016",
    /// A requester lets answers pass that answer nothing.
    AnswerToNothingIgnored = "answer-to-nothing-ignored" breaks "WIRE-061",
    /// A server answers a lookup twice.
    AnsweredTwice = "answered-twice" breaks "WIRE-058",
    /// A client shows its user an invitation that the preferences forbid.
    RefusedInvitationShown = "refused-invitation-shown" breaks "PREF-003",
    /// A client rejects an invitation of somebody with whom it has a link for another session.
    CrossingInvitationRejected = "crossing-invitation-rejected" breaks "SESS-196",
    /// A newcomer takes a link to a member whose key is not the one that the epoch has for it.
    LinkKeyUnchecked = "link-key-unchecked" breaks "SESS-063",
    /// A client keeps a link for a session that it is not a member of, and says nothing.
    UnknownSessionAccepted = "unknown-session-accepted" breaks "SESS-008",
}

/// A mutant as a list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// The name by which it is selected.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Who must notice it: `suite`, `model` or `both`.
    pub caught_by: &'static str,
}

/// The mutants of this crate and of those below, in any build.
pub fn all() -> impl Iterator<Item = Listed> {
    use antiphon_protocol::mutant as protocol;
    use antiphon_spec::mutant as spec;

    macro_rules! listed {
        ($mutants:expr) => {
            $mutants.iter().map(|mutant| Listed {
                name: mutant.name(),
                breaks: mutant.breaks(),
                caught_by: mutant.caught_by().as_str(),
            })
        };
    }
    listed!(spec::Mutant::ALL).chain(listed!(protocol::Mutant::ALL)).chain(listed!(Mutant::ALL))
}

/// There is no mutant of this name, or none at all in this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownMutant {
    /// The name is not on any list.
    #[error("there is no mutant of the name {0}")]
    Name(String),
    /// The build has no mutants.
    #[error(
        "the variable {VARIABLE} is set, but this build has no mutants: build it with --features mutants"
    )]
    NoMutants,
}

/// Makes the mutant of this name active for the whole process, be it of this crate or of one below.
///
/// # Errors
/// There is no such mutant.
#[cfg(feature = "mutants")]
pub fn select(name: &str) -> Result<(), UnknownMutant> {
    use antiphon_protocol::mutant as protocol;
    use antiphon_spec::mutant as spec;

    if let Some(mutant) = Mutant::ALL.iter().find(|mutant| mutant.name() == name) {
        SELECTED.store(*mutant as usize + 1, std::sync::atomic::Ordering::SeqCst);
    } else if let Some(mutant) = protocol::Mutant::ALL.iter().find(|mutant| mutant.name() == name) {
        protocol::select(Some(*mutant));
    } else if let Some(mutant) = spec::Mutant::ALL.iter().find(|mutant| mutant.name() == name) {
        spec::select(Some(*mutant));
    } else {
        return Err(UnknownMutant::Name(name.to_owned()));
    }
    Ok(())
}

/// Refuses: this build has no mutants.
///
/// # Errors
/// Always.
#[cfg(not(feature = "mutants"))]
pub fn select(_name: &str) -> Result<(), UnknownMutant> {
    Err(UnknownMutant::NoMutants)
}

#[cfg(feature = "mutants")]
static SELECTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Whether the system is to be wrong in this way.
#[cfg(feature = "mutants")]
#[must_use]
pub fn active(mutant: Mutant) -> bool {
    SELECTED.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize + 1
}

/// Whether the system is to be wrong in this way: never, in a build without the feature.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn active(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The chapters that the mutants of this crate speak of.
    const TEXT: [&str; 10] = [
        include_str!("../../spec/text/limits.md"),
        include_str!("../../spec/text/certificates.md"),
        include_str!("../../spec/text/wire.md"),
        include_str!("../../spec/text/registration.md"),
        include_str!("../../spec/text/login.md"),
        include_str!("../../spec/text/preferences.md"),
        include_str!("../../spec/text/lookup.md"),
        include_str!("../../spec/text/location.md"),
        include_str!("../../spec/text/relay.md"),
        include_str!("../../spec/text/sessions.md"),
    ];

    #[test]
    fn every_mutant_breaks_a_requirement_of_the_text() {
        for mutant in Mutant::ALL {
            let line = format!("\n{}: ", mutant.breaks());
            assert!(TEXT.iter().any(|text| text.contains(&line)), "{}", mutant.name());
        }
    }

    #[test]
    fn a_name_is_one_mutants_alone() {
        let names: BTreeSet<_> = all().map(|listed| listed.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.contains("frame-cap-unchecked") && names.contains("record-left"));
    }
}
