//! Deliberately wrong variants of the machines, to show that the models and the conformance suite can fail.
//!
//! The one switch is the cargo feature `mutants`, which a build without debug assertions refuses. Without the feature
//! [`active`] is a constant `false`. With it, one mutant at a time is selected for the whole process.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` makes the machines wrong on purpose; no release build may contain it");

/// Who must notice a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catcher {
    /// The model checker.
    Model,
    /// The conformance suite.
    Suite,
    /// Each of them.
    Both,
}

impl Catcher {
    /// The word for it in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Suite => "suite",
            Self::Both => "both",
        }
    }
}

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal breaks $requirement:literal caught by $catcher:ident,)*) => {
        /// A wrong variant of a machine's rule.
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

            /// Who must notice it.
            #[must_use]
            pub const fn caught_by(self) -> Catcher {
                match self { $(Self::$variant => Catcher::$catcher),* }
            }
        }
    };
}

mutants! {
    /// The thesis: a member says that it leaves, and is gone (H4).
    LeaveWithoutToken = "leave-without-token" breaks "SESS-097" caught by Both,
    /// The thesis: the coordinator names a successor and is gone, whatever the successor does (H1).
    HandOverUnanswered = "hand-over-unanswered" breaks "SESS-103" caught by Both,
    /// The thesis: a request that reaches the successor before it knows its part is dropped (H2).
    EarlyMessageDropped = "early-message-dropped" breaks "SESS-017" caught by Both,
    /// The thesis: a requester does not ask again when the coordinator has changed (H2).
    RequestNotResent = "request-not-resent" breaks "SESS-041" caught by Both,
    /// The thesis: members follow the announcements of new coordinators in the order in which they arrive (H3).
    HandOverUnordered = "hand-over-unordered" breaks "SESS-017" caught by Model,
    /// The thesis: when the newcomer is gone the token never comes back (H5).
    TokenNotReturned = "token-not-returned" breaks "SESS-056" caught by Both,
    /// The coordinator grants while a grant is out.
    GrantedTwice = "granted-twice" breaks "SESS-051" caught by Both,
    /// The coordinator commits a join without waiting for the members to close.
    CommitWithoutClosed = "commit-without-closed" breaks "SESS-089" caught by Both,
    /// A member goes to the next epoch although messages of the last are on their way.
    FlushSkipped = "flush-skipped" breaks "SESS-092" caught by Both,
    /// A member begins the next epoch although the others are told that it said less than it did.
    OwnCountUnchecked = "own-count-unchecked" breaks "SESS-125" caught by Both,
    /// What a member asked for stays in the queue when it is no member any more.
    RequestsKept = "requests-kept" breaks "SESS-124" caught by Both,
    /// A member says on after it closed the epoch.
    SaidAfterClosed = "said-after-closed" breaks "SESS-088" caught by Both,
    /// A repeated chat message is delivered again.
    DuplicateDelivered = "duplicate-delivered" breaks "SESS-109" caught by Both,
    /// A chat message of an epoch that is over is delivered.
    MessageEpochUnchecked = "message-epoch-unchecked" breaks "SESS-020" caught by Both,
    /// What was not acknowledged, or not even sent, ends without a word to the user.
    FailureForgotten = "failure-forgotten" breaks "SESS-171" caught by Both,
    /// A member acknowledges messages that nobody has sent.
    ReceiptUnchecked = "receipt-unchecked" breaks "SESS-170" caught by Suite,
    /// A member sends what others have not listed.
    MediaTypesIgnored = "media-types-ignored" breaks "SESS-175" caught by Suite,
    /// A member takes what it has not listed.
    MediaTypeUnchecked = "media-type-unchecked" breaks "SESS-176" caught by Suite,
    /// Who resumes a link sends nothing again.
    KeptForgotten = "kept-forgotten" breaks "LINK-014" caught by Both,
    /// Who resumes a link sends again what the peer has received.
    KeptSentTwice = "kept-sent-twice" breaks "LINK-014" caught by Both,
    /// Who resumes a link says how much it had received when it last said so.
    ResumedFromLastHave = "resumed-from-last-have" breaks "LINK-013" caught by Both,
    /// A sender keeps nothing of what is said while there is no connection.
    SaidInTheGapForgotten = "said-in-the-gap-forgotten" breaks "LINK-005" caught by Both,
    /// A link is resumed for whoever names it.
    ResumedForAnyKey = "resumed-for-any-key" breaks "LINK-012" caught by Suite,
    /// A `resume` that comes late takes the link back from a later one.
    OldResumeTaken = "old-resume-taken" breaks "LINK-012" caught by Both,
    /// A count is believed that can't be.
    CountBelieved = "count-believed" breaks "LINK-007" caught by Suite,
    /// A receiver never says what it has.
    HaveUnsaid = "have-unsaid" breaks "LINK-006" caught by Suite,
    /// A link waits for a connection for ever.
    PatienceEndless = "patience-endless" breaks "LINK-016" caught by Both,
    /// A lost connection is a lost link, kept or not.
    LinkNotResumed = "link-not-resumed" breaks "LINK-009" caught by Suite,
    /// An instant message that comes a second time is shown a second time.
    InstantShownAgain = "instant-shown-again" breaks "INST-011" caught by Both,
    /// An instant message that nobody is shown is acknowledged.
    InstantDeniedAcknowledged = "instant-denied-acknowledged" breaks "INST-006" caught by Both,
    /// A sender whose link is lost tells its user nothing.
    InstantForgotten = "instant-forgotten" breaks "INST-014" caught by Both,
    /// A sender takes the acknowledgement of another message for that of its own.
    InstantAnswerUnchecked = "instant-answer-unchecked" breaks "INST-013" caught by Suite,
    /// The thesis: a server attaches to the nearest other server, be it below itself (H30).
    AskerOnPathTaken = "asker-on-path-taken" breaks "TREE-003" caught by Model,
    /// The thesis: servers that start together attach to each other (H30).
    SmallerAskerTaken = "smaller-asker-taken" breaks "TREE-004" caught by Model,
    /// The thesis: islands stay islands (H32).
    OtherIslandUntold = "other-island-untold" breaks "TREE-010" caught by Model,
    /// A server that isn't the root keeps to itself that there is another island.
    FoundNotPassedOn = "found-not-passed-on" breaks "TREE-010" caught by Model,
    /// The thesis: a server whose parent is gone goes on as if it were there (H29).
    LostParentKept = "lost-parent-kept" breaks "TREE-014" caught by Model,
    /// A server that has lost its parent tells nobody below.
    OrphanSilent = "orphan-silent" breaks "TREE-012" caught by Model,
    /// A server doesn't tell its children that its path has changed.
    PathNotPassedOn = "path-not-passed-on" breaks "TREE-012" caught by Model,
    /// A server follows a parent that is below itself.
    CircleKept = "circle-kept" breaks "TREE-013" caught by Model,
    /// A server keeps a child whose link is gone.
    LostChildKept = "lost-child-kept" breaks "TREE-015" caught by Model,
    /// A server goes below one that it has for a child.
    ChildFollowed = "child-followed" breaks "TREE-008" caught by Model,
    /// A server keeps the earlier link of a child that comes again.
    EarlierChildKept = "earlier-child-kept" breaks "TREE-007" caught by Model,
    /// The thesis: an unprune changes the route, and the publication of an hour ago isn't told (H24).
    UnpruneUnanswered = "unprune-unanswered" breaks "PRES-016" caught by Model,
    /// The thesis: a prune counts whatever it is for, also one for the last login (H25).
    PruneUnmatched = "prune-unmatched" breaks "PRES-009" caught by Model,
    /// The thesis: whoever withdraws a feed, it is offline (H26).
    WithdrawnByAnybody = "withdrawn-by-anybody" breaks "PRES-009" caught by Model,
    /// The thesis: whatever comes last counts, be it the login before (H26).
    OlderLoginTaken = "older-login-taken" breaks "PRES-002" caught by Model,
    /// The thesis: what came over a link outlives it (H28).
    LostLinkKept = "lost-link-kept" breaks "PRES-019" caught by Model,
    /// The thesis: a neighbour that comes is told only what comes after it (H29).
    NewLinkUntold = "new-link-untold" breaks "PRES-004" caught by Model,
    /// A server that loses its source tells nobody.
    LossUntold = "loss-untold" breaks "PRES-008" caught by Model,
    /// A server prunes itself when nobody watches there, whatever its neighbours want.
    PrunedForNeighbours = "pruned-for-neighbours" breaks "PRES-013" caught by Model,
    /// A server asks for a feed when somebody watches there, and for no neighbour.
    UnpruneNotPassedOn = "unprune-not-passed-on" breaks "PRES-015" caught by Model,
    /// A server never prunes itself.
    NeverPruned = "never-pruned" breaks "PRES-013" caught by Model,
    /// A server goes on announcing the feed to the neighbour that it comes from by now.
    SourceToldOn = "source-told-on" breaks "PRES-007" caught by Model,
    /// A server that loses its source forgets what others have announced.
    OthersForgotten = "others-forgotten" breaks "PRES-002" caught by Model,
    /// A pruned neighbour is told publications.
    PrunedTold = "pruned-told" breaks "PRES-018" caught by Model,
    /// A publication is kept that nobody wants any more.
    UnwantedKept = "unwanted-kept" breaks "PRES-014" caught by Model,
    /// A neighbour that announces an older version is not told that there is a newer one.
    OlderOfferUnanswered = "older-offer-unanswered" breaks "PRES-010" caught by Model,
    /// An older version is shown after a newer one.
    OlderShown = "older-shown" breaks "PRES-021" caught by Model,
    /// Only newer versions are shown, also when the publisher was gone.
    AgainUnshown = "again-unshown" breaks "PRES-023" caught by Model,
    /// What is published reaches a neighbour that unpruned itself only with the next change.
    ChangesToFirstOnly = "changes-to-first-only" breaks "PRES-017" caught by Model,
    /// Whoever watches is not told that the publisher is gone.
    GoneUnshown = "gone-unshown" breaks "PRES-022" caught by Model,
    /// An announcement numbered as the one before.
    AnnouncementNumberReused = "announcement-number-reused" breaks "PRES-005" caught by Model,
    /// A message of the last epoch is ignored, whatever chain it belongs to.
    ForkOfLastEpochUnseen = "fork-of-last-epoch-unseen" breaks "SESS-195" caught by Suite,
    /// A newcomer reports completion before everybody admitted it.
    CompleteEarly = "complete-early" breaks "SESS-075" caught by Both,
    /// A second invitation of the same person is granted again.
    MemberInvitedAgain = "member-invited-again" breaks "SESS-048" caught by Both,
    /// The hash of the epoch in a message is not compared.
    ChainUnchecked = "chain-unchecked" breaks "SESS-023" caught by Both,
    /// The session ID is not derived again from the origin.
    SessionIdUnchecked = "session-id-unchecked" breaks "SESS-003" caught by Both,
    /// A ticket shown by another user is good.
    TicketPeerUnchecked = "ticket-peer-unchecked" breaks "SESS-070" caught by Suite,
    /// A ticket shown with another key is good.
    TicketKeyUnchecked = "ticket-key-unchecked" breaks "SESS-070" caught by Both,
    /// A ticket for another session is good.
    TicketSessionUnchecked = "ticket-session-unchecked" breaks "SESS-068" caught by Both,
    /// A ticket for an epoch that is over is good.
    TicketEpochUnchecked = "ticket-epoch-unchecked" breaks "SESS-069" caught by Both,
    /// A ticket that its issuer did not sign is good.
    TicketSignatureUnchecked = "ticket-signature-unchecked" breaks "SESS-067" caught by Both,
    /// A ticket whose grant the coordinator did not sign is good.
    TicketGrantUnchecked = "ticket-grant-unchecked" breaks "SESS-071" caught by Both,
    /// A ticket by somebody who does not hold the grant is good.
    TicketHolderUnchecked = "ticket-holder-unchecked" breaks "SESS-071" caught by Both,
    /// A ticket with a grant for another newcomer is good.
    TicketChangeUnchecked = "ticket-change-unchecked" breaks "SESS-071" caught by Both,
    /// A ticket that has expired is good.
    TicketExpiryUnchecked = "ticket-expiry-unchecked" breaks "SESS-072" caught by Both,
    /// A close without a good grant is obeyed.
    CloseGrantUnchecked = "close-grant-unchecked" breaks "SESS-083" caught by Both,
    /// A member that missed how an epoch ended is not shown it.
    CommitNotShown = "commit-not-shown" breaks "SESS-136" caught by Both,
    /// A member takes over before the others have said that they follow it.
    TakenOverUnfollowed = "taken-over-unfollowed" breaks "SESS-133" caught by Both,
    /// Whoever waits for somebody who is held up in turn has no more patience than that one.
    PatienceOfEqualLength = "patience-of-equal-length" breaks "SESS-194" caught by Both,
    /// Of two members who have lost their link, each ends the session as early as the other.
    BothGiveUp = "both-give-up" breaks "SESS-120" caught by Suite,
    /// Whoever has not come to an epoch yet, because it is held up in the one before, is given up like one that is silent.
    HeldUpGivenUp = "held-up-given-up" breaks "SESS-153" caught by Both,
    /// A successor does not wait for the newcomer that may be a member already.
    NewcomerUnheard = "newcomer-unheard" breaks "SESS-133" caught by Both,
    /// One that is leaving takes over like anybody else.
    SuccessorLeaves = "successor-leaves" breaks "SESS-132" caught by Both,
    /// A member ends the epoch as it is shown, although it has said that it follows somebody else.
    SuccessorPassedOver = "successor-passed-over" breaks "SESS-137" caught by Suite,
    /// A member follows whoever takes over.
    SuccessorUnchecked = "successor-unchecked" breaks "SESS-138" caught by Suite,
    /// A commitment that its signer did not sign is good.
    CommitSignatureUnchecked = "commit-signature-unchecked" breaks "SESS-128" caught by Both,
    /// A close or commit by somebody who does not coordinate is obeyed.
    CoordinatorUnchecked = "coordinator-unchecked" breaks "SESS-024" caught by Both,
    /// A server answers those who may not know in another way than those who ask for nobody.
    ForbiddenDistinguished = "forbidden-distinguished" breaks "ADDR-009" caught by Both,
    /// A server refuses a lookup as soon as it knows that it will.
    RefusedAtOnce = "refused-at-once" breaks "ADDR-014" caught by Both,
    /// A server tells an address to everybody.
    PreferencesUnjudged = "preferences-unjudged" breaks "ADDR-005" caught by Both,
    /// A server tells an address to everybody who may make contact.
    AddressToldByDefault = "address-told-by-default" breaks "ADDR-005" caught by Both,
    /// A server asks the server of the oldest record.
    OldestRecordAsked = "oldest-record-asked" breaks "ADDR-002" caught by Suite,
    /// A server lets links through whatever the preferences of the called user say.
    RelayPreferencesUnjudged = "relay-preferences-unjudged" breaks "RELAY-011" caught by Both,
    /// A caller is told of a refusal as soon as it is known.
    CallRefusedAtOnce = "call-refused-at-once" breaks "RELAY-036" caught by Both,
    /// More bytes go through a relayed link than the window has room for.
    RelayWindowUnchecked = "relay-window-unchecked" breaks "RELAY-021" caught by Suite,
    /// Credit for bytes that are not on their way is passed on.
    RelayCreditUnchecked = "relay-credit-unchecked" breaks "RELAY-022" caught by Suite,
    /// The other side of a relayed link does not hear of its end.
    RelayCloseKept = "relay-close-kept" breaks "RELAY-026" caught by Suite,
    /// A ticket for an epoch that is yet to come is good.
    TicketOfLaterEpoch = "ticket-of-later-epoch" breaks "SESS-069" caught by Both,
    /// A ticket that is good for longer than its grant is good.
    TicketOutlivesGrant = "ticket-outlives-grant" breaks "SESS-071" caught by Both,
    /// A grant that was given in another history is good.
    GrantChainUnchecked = "grant-chain-unchecked" breaks "SESS-083" caught by Both,
    /// An inviter passes on whatever grant it is given.
    GrantTakenUnchecked = "grant-taken-unchecked" breaks "SESS-055" caught by Both,
    /// A close for the void join of another newcomer than the granted one is obeyed.
    VoidOfAnother = "void-of-another" breaks "SESS-084" caught by Both,
    /// A close for somebody's parting is obeyed whatever the grant is for.
    CloseChangeUnchecked = "close-change-unchecked" breaks "SESS-084" caught by Both,
    /// A member goes because the coordinator says that it wants to.
    OwnPartingUnchecked = "own-parting-unchecked" breaks "SESS-085" caught by Both,
    /// The token comes back from somebody who does not hold it.
    ReturnUnchecked = "return-unchecked" breaks "SESS-024" caught by Both,
    /// A join is completed by somebody else than the newcomer.
    CompleteUnchecked = "complete-unchecked" breaks "SESS-024" caught by Both,
    /// A newcomer believes any list of members.
    WelcomeUnchecked = "welcome-unchecked" breaks "SESS-062" caught by Both,
    /// A join is over when the newcomer says so, whoever has admitted it.
    CompletedAlone = "completed-alone" breaks "SESS-141" caught by Both,
    /// A message that was left out of the count of its epoch comes late like any other.
    LeftOutIgnored = "left-out-ignored" breaks "SESS-144" caught by Suite,
    /// One peer's tickets fill the room for all.
    TicketsHoarded = "tickets-hoarded" breaks "SESS-018" caught by Suite,
    /// A member waits for ever for messages that were counted and do not come.
    FlushAwaitedForever = "flush-awaited-forever" breaks "SESS-142" caught by Both,
    /// A sender waits for ever for the acknowledgement of a member that does not give it.
    AcknowledgementAwaitedForever = "acknowledgement-awaited-forever" breaks "SESS-143" caught by Suite,
    /// A home server gives the same login epoch again.
    EpochRepeated = "epoch-repeated" breaks "LOGIN-015" caught by Both,
    /// A home server answers before what it answers for is durable.
    AnsweredBeforeDurable = "answered-before-durable" breaks "LOGIN-016" caught by Model,
    /// A home server lets whoever asks store, under whatever login epoch.
    StoreEpochUnchecked = "store-epoch-unchecked" breaks "PREF-010" caught by Both,
    /// A home server replaces whatever version there is.
    StoreVersionUnchecked = "store-version-unchecked" breaks "PREF-008" caught by Both,
    /// A home server takes a change that it has made for one of an old version, when it is asked for it again.
    RepeatedStoreRefused = "repeated-store-refused" breaks "PREF-016" caught by Both,
    /// A home server lets whoever asks renew, under whatever login epoch.
    RenewalEpochUnchecked = "renewal-epoch-unchecked" breaks "LOGIN-039" caught by Both,
    /// A home server lets whoever asks check in, under whatever login epoch.
    CheckInEpochUnchecked = "check-in-epoch-unchecked" breaks "LOGIN-020" caught by Both,
    /// A home server takes a user for logged in until it hears otherwise.
    LoginLeaseEndless = "login-lease-endless" breaks "LOGIN-036" caught by Both,
    /// A local server renews no login at the home server.
    LoginNotRenewed = "login-not-renewed" breaks "LOGIN-037" caught by Both,
    /// A local server keeps a login whose renewal is refused.
    RenewalRefusalIgnored = "renewal-refusal-ignored" breaks "LOGIN-040" caught by Both,
    /// A local server ends a login when it cannot reach the home server.
    CutOffLoginEnded = "cut-off-login-ended" breaks "LOGIN-041" caught by Both,
    /// A local server keeps a login that its home server says is over.
    ReplaceIgnored = "replace-ignored" breaks "LOGIN-023" caught by Both,
    /// A local server answers a login that it has heard to be over.
    EarlyReplaceIgnored = "early-replace-ignored" breaks "LOGIN-042" caught by Both,
    /// A local server lets callers through to a client whose login it has not answered.
    CalledEarly = "called-early" breaks "LOGIN-043" caught by Suite,
    /// A local server ends a login for a notice of an older one's end.
    OlderReplaceObeyed = "older-replace-obeyed" breaks "LOGIN-023" caught by Both,
    /// A local server acknowledges a change before the home server has.
    PreferencesSetEarly = "preferences-set-early" breaks "PREF-007" caught by Both,
    /// A local server that ends or refuses a login keeps the profile.
    CheckInSkipped = "check-in-skipped" breaks "LOGIN-012" caught by Both,
    /// A local server leaves the contact record when a login ends.
    RecordLeft = "record-left" breaks "LOGIN-030" caught by Both,
    /// A directory node believes a server about another one.
    ForeignRecordAccepted = "foreign-record-accepted" breaks "LOC-003" caught by Suite,
    /// A directory node takes a record that is older than what it has.
    OlderRecordAccepted = "older-record-accepted" breaks "LOC-019" caught by Both,
    /// A directory node keeps what is older than a record that it takes.
    OlderRecordKept = "older-record-kept" breaks "LOC-020" caught by Both,
    /// A directory node deletes whatever record the server has under the handle.
    DeleteInexact = "delete-inexact" breaks "LOC-009" caught by Both,
    /// A directory node tells records whose lease has ended.
    EndedRecordTold = "ended-record-told" breaks "LOC-007" caught by Both,
    /// A directory node answers an insertion before it is durable.
    InsertedBeforeDurable = "inserted-before-durable" breaks "LOC-013" caught by Model,
    /// A directory node inserts though there is something already.
    PresenceIgnored = "presence-ignored" breaks "LOC-021" caught by Both,
    /// A directory node decides by itself that a record is the first.
    PresenceDecidedBelow = "presence-decided-below" breaks "LOC-024" caught by Both,
    /// A directory node asks its parent for no forwarding pointer.
    PointerSkipped = "pointer-skipped" breaks "LOC-023" caught by Both,
    /// A directory node leaves its forwarding pointer at the parent when nothing is left below it.
    PointerLeft = "pointer-left" breaks "LOC-026" caught by Both,
    /// A directory node deletes a forwarding pointer for a request about an earlier one.
    PointerNumberUnchecked = "pointer-number-unchecked" breaks "LOC-028" caught by Both,
    /// A directory node lends a record for longer than its own pointer lasts.
    LeaseBeyondPointer = "lease-beyond-pointer" breaks "LOC-025" caught by Both,
    /// A directory node has a child keep what is older than a record elsewhere.
    SupersedeSkipped = "supersede-skipped" breaks "LOC-030" caught by Both,
    /// A directory node tells a record for which it has no pointer at its parent.
    UnconfirmedTold = "unconfirmed-told" breaks "LOC-033" caught by Both,
    /// A directory node doesn't look again after a search below it.
    SearchNotRepeated = "search-not-repeated" breaks "LOC-035" caught by Both,
    /// A directory node never has its parent search.
    SearchStaysBelow = "search-stays-below" breaks "LOC-036" caught by Both,
}

/// Makes one mutant active for the whole process, or none.
#[cfg(feature = "mutants")]
pub fn select(mutant: Option<Mutant>) {
    SELECTED.store(mutant.map_or(0, |mutant| mutant as usize + 1), std::sync::atomic::Ordering::SeqCst);
}

#[cfg(feature = "mutants")]
static SELECTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Whether the machines are to be wrong in this way.
#[cfg(feature = "mutants")]
#[must_use]
pub fn active(mutant: Mutant) -> bool {
    SELECTED.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize + 1
}

/// Whether the machines are to be wrong in this way: never, in a build without the feature.
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
        for mutant in Mutant::ALL {
            assert!(crate::requirement::find(mutant.breaks()).is_some(), "{}", mutant.name());
        }
    }
}
