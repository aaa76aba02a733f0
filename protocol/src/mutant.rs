//! Deliberately wrong variants of the checks on the wire, to show that the conformance suite can fail.
//!
//! The one switch is the cargo feature `mutants`, which a build without debug assertions refuses. Without the feature
//! [`active`] is a constant `false`. With it, one mutant at a time is selected for the whole process.

pub use antiphon_spec::mutant::Catcher;

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` makes the checks wrong on purpose; no release build may contain it");

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal breaks $requirement:literal,)*) => {
        /// A wrong variant of a check on the wire. The conformance suite must notice each.
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

            /// Who must notice it: bytes and certificates are invisible to the models.
            #[must_use]
            pub const fn caught_by(self) -> Catcher {
                Catcher::Suite
            }
        }
    };
}

mutants! {
    /// CBOR that is well-formed but not in the deterministic form is taken.
    NonCanonicalAccepted = "non-canonical-accepted" breaks "WIRE-018",
    /// Bytes behind the item of a frame are ignored.
    TrailingBytesAccepted = "trailing-bytes-accepted" breaks "WIRE-017",
    /// Fields that a message does not have are ignored.
    UnknownFieldsAccepted = "unknown-fields-accepted" breaks "WIRE-031",
    /// A frame above the channel's cap is taken.
    FrameCapUnchecked = "frame-cap-unchecked" breaks "WIRE-013",
    /// The accepting end gives session tickets and takes them instead of a certificate.
    ResumptionOn = "resumption-on" breaks "WIRE-007",
    /// A user is believed whichever server issued the certificate.
    HomeUnchecked = "home-unchecked" breaks "CERT-018",
    /// A certificate is good after its end and before its beginning.
    ExpiryUnchecked = "expiry-unchecked" breaks "CERT-009",
    /// Every verified peer may use every channel.
    RoleUnchecked = "role-unchecked" breaks "CERT-021",
    /// Of several identities in a certificate the first counts.
    TwoIdentitiesAccepted = "two-identities-accepted" breaks "CERT-015",
    /// A user's certificate may live as long as its issuer likes.
    LifetimeUnchecked = "lifetime-unchecked" breaks "CERT-029",
    /// A certificate may be for a key that signs nothing, or that signs certificates.
    KeyUsageUnchecked = "key-usage-unchecked" breaks "CERT-030",
    /// A certificate may be for more than its kind.
    PurposeBeyondKindAccepted = "purpose-beyond-kind-accepted" breaks "CERT-031",
    /// Who shows a certificate need not hold its key.
    KeyPossessionUnchecked = "key-possession-unchecked" breaks "CERT-032",
    /// A peer may send any number of certificates.
    ChainLengthUnchecked = "chain-length-unchecked" breaks "CERT-028",
    /// A user's certificate may come from the root, and a server's from an authority for users.
    PathShapeUnchecked = "path-shape-unchecked" breaks "CERT-019",
    /// A name is converted into its one form instead of being refused.
    NameConverted = "name-converted" breaks "CERT-016",
    /// A key under which anything verifies is taken.
    WeakKeyAccepted = "weak-key-accepted" breaks "CERT-020",
    /// Every refused certificate gets the same alert.
    AlertUndistinguished = "alert-undistinguished" breaks "CERT-033",
    /// The algorithm in a signed object need not be the one of the signer's key.
    AlgorithmUnchecked = "algorithm-unchecked" breaks "SIGN-007",
    /// The key in a signed object need not be the signer's.
    KeyIdUnchecked = "key-id-unchecked" breaks "SIGN-008",
    /// A signature for one kind of statement stands for another kind.
    ContextUnbound = "context-unbound" breaks "SIGN-009",
}

/// Makes one mutant active for the whole process, or none.
#[cfg(feature = "mutants")]
pub fn select(mutant: Option<Mutant>) {
    SELECTED.store(mutant.map_or(0, |mutant| mutant as usize + 1), std::sync::atomic::Ordering::SeqCst);
}

#[cfg(feature = "mutants")]
static SELECTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Whether the checks are to be wrong in this way.
#[cfg(feature = "mutants")]
#[must_use]
pub fn active(mutant: Mutant) -> bool {
    #[cfg(test)]
    if tests::selected_for_this_process() == Some(mutant) {
        return true;
    }
    SELECTED.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize + 1
}

/// Whether the checks are to be wrong in this way: never, in a build without the feature.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn active(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::Mutant;

    #[test]
    fn every_mutant_breaks_a_requirement_of_the_text() {
        let text = [
            include_str!("../../spec/text/wire.md"),
            include_str!("../../spec/text/certificates.md"),
            include_str!("../../spec/text/signed.md"),
        ];
        for mutant in Mutant::ALL {
            let line = format!("\n{}: ", mutant.breaks());
            assert!(text.iter().any(|text| text.contains(&line)), "{}", mutant.name());
        }
    }

    /// Names a mutant for all tests of a process.
    #[cfg(feature = "mutants")]
    const NAME: &str = "ANTIPHON_PROTOCOL_MUTANT";

    #[cfg(feature = "mutants")]
    pub(super) fn selected_for_this_process() -> Option<Mutant> {
        static SELECTED: std::sync::LazyLock<Option<Mutant>> = std::sync::LazyLock::new(|| {
            let name = std::env::var(NAME).ok()?;
            Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name)
        });
        *SELECTED
    }

    /// Runs the tests of this crate again for each mutant: `cargo test -p antiphon-protocol --features mutants`.
    #[cfg(feature = "mutants")]
    #[test]
    fn every_mutant_fails_a_test_of_this_crate() {
        let run = |mutant: &str| {
            let program = std::env::current_exe().unwrap();
            let mut command = std::process::Command::new(program);
            command.args(["--skip", "mutant::"]).env(NAME, mutant);
            // A failure that is wanted is neither kept nor made small.
            command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("PROPTEST_MAX_SHRINK_ITERS", "0");
            command.output().unwrap().status.success()
        };
        assert!(run("none"), "without a mutant all tests pass");
        let missed: Vec<_> =
            Mutant::ALL.iter().map(|mutant| mutant.name()).filter(|name| run(name)).collect();
        assert!(missed.is_empty(), "no test fails for {missed:?}");
    }
}
