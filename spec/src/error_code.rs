//! The codes that may travel in an `error` or a `refused` message: the whole list, declared once.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*) => {
        /// A reason that one end tells the other. It says which rule was broken and nothing about anybody else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it travels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

error_codes! {
    /// The frame is longer than the channel allows, or empty.
    FrameLength = "frame-length",
    /// The bytes are not one CBOR item of a type that the channel knows.
    Malformed = "malformed",
    /// The item is not in the one deterministic form.
    NotDeterministic = "not-deterministic",
    /// A known message that may not come now.
    UnexpectedMessage = "unexpected-message",
    /// The certificate proves no identity that this channel takes.
    CertificateRefused = "certificate-refused",
    /// The peer may not do this.
    Forbidden = "forbidden",
    /// No answer or no greeting within the deadline.
    Deadline = "deadline",
    /// More than the peer may ask for, store or keep waiting.
    LimitReached = "limit-reached",
    /// This end is going down.
    ShuttingDown = "shutting-down",
    /// This end failed; the peer did nothing wrong.
    Internal = "internal",

    /// No such user, not online, or not allowed to know: one answer for all three.
    Unavailable = "unavailable",
    /// The server takes no new accounts.
    RegistrationClosed = "registration-closed",
    /// The server takes new accounts with a registration code alone, and this one is good for none.
    CodeRefused = "code-refused",
    /// The proof of possession does not verify under the key, or is not for this server.
    ProofRefused = "proof-refused",
    /// The account's home server cannot be reached.
    HomeUnreachable = "home-unreachable",
    /// The location service cannot be reached.
    LocationUnreachable = "location-unreachable",
    /// No account of this handle lives here.
    NoSuchUser = "no-such-user",
    /// Another login of the same user is newer.
    LoginReplaced = "login-replaced",
    /// The profile has another version than the one that was to be replaced.
    VersionConflict = "version-conflict",
    /// Another entry stands where none was to be.
    EntryExists = "entry-exists",

    /// No session of this ID waits for this peer.
    NoSuchSession = "no-such-session",
    /// The session ID is not the one that belongs to the origin.
    SessionIdForged = "session-id-forged",
    /// The message speaks of an epoch that cannot be.
    EpochImpossible = "epoch-impossible",
    /// The peer holds another chain of epochs.
    Fork = "fork",
    /// The grant is not one of this epoch's coordinator for this change.
    GrantRefused = "grant-refused",
    /// The commitment is not one of this epoch's coordinator, or of its successor, for this change.
    CommitRefused = "commit-refused",
    /// The ticket is not signed by its issuer, or the issuer is no member.
    TicketIssuer = "ticket-issuer",
    /// The ticket is for another session.
    TicketSession = "ticket-session",
    /// The ticket is for an epoch that is over.
    TicketEpoch = "ticket-epoch",
    /// The ticket is for another user or another key.
    TicketPeer = "ticket-peer",
    /// The ticket's grant is not one of this epoch's coordinator, to the issuer, for this newcomer.
    TicketGrant = "ticket-grant",
    /// The ticket has expired.
    TicketExpired = "ticket-expired",
    /// The newcomer is a member already, or has been admitted.
    AlreadyMember = "already-member",
    /// The session has as many members as it may have.
    SessionFull = "session-full",
    /// The content is of a media type that its receiver does not take, or is not what its media type says.
    MediaType = "media-type",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
