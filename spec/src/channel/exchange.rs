//! Requests and their answers (chapter *Wire*, section *Requests and answers*): which answer belongs to which request.

use crate::{
    error_code::ErrorCode,
    message::{
        client_server::{FromServer, ToServer},
        common::RequestId,
        location::{FromDirectoryNode, ToDirectoryNode},
        registration::{FromRegistrar, ToRegistrar},
        server_server::{FromPeerServer, ToPeerServer},
    },
};

/// The kinds of requests of all channels, each with the one answer that grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// `register`, granted by `registered`.
    Register,
    /// `rotate`, granted by `rotated`.
    Rotate,
    /// `login`, granted by `logged-in`.
    Login,
    /// `set-preferences`, granted by `preferences-set`.
    SetPreferences,
    /// `lookup`, granted by `address`.
    Lookup,
    /// `logout`, granted by `logged-out`.
    Logout,
    /// `check-out`, granted by `checked-out`.
    CheckOut,
    /// `store`, granted by `stored`.
    Store,
    /// `renew`, granted by `renewed`.
    Renew,
    /// `check-in`, granted by `checked-in`.
    CheckIn,
    /// `replace`, granted by `replace-done`.
    Replace,
    /// `resolve`, granted by `resolved`.
    Resolve,
    /// `issue`, granted by `issued`.
    Issue,
    /// `insert`, granted by `inserted`.
    Insert,
    /// `delete`, granted by `deleted`.
    Delete,
    /// `find`, granted by `found`.
    Find,
    /// `insert-pointer`, granted by `pointer-inserted`.
    InsertPointer,
    /// `delete-pointer`, granted by `pointer-deleted`.
    DeletePointer,
    /// `supersede`, granted by `superseded`.
    Supersede,
}

/// What an answer says about its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// A request of this kind is granted.
    Granted(Question),
    /// The request, of whichever kind, is refused.
    Refused(ErrorCode),
}

impl Question {
    /// The request's name in the grammar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Rotate => "rotate",
            Self::Login => "login",
            Self::SetPreferences => "set-preferences",
            Self::Lookup => "lookup",
            Self::Logout => "logout",
            Self::CheckOut => "check-out",
            Self::Store => "store",
            Self::Renew => "renew",
            Self::CheckIn => "check-in",
            Self::Replace => "replace",
            Self::Resolve => "resolve",
            Self::Issue => "issue",
            Self::Insert => "insert",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::InsertPointer => "insert-pointer",
            Self::DeletePointer => "delete-pointer",
            Self::Supersede => "supersede",
        }
    }

    /// Whether this is an answer to a request of this kind (`WIRE-061`).
    #[must_use]
    pub fn is_answered_by(self, answer: Answer) -> bool {
        match answer {
            Answer::Granted(question) => question == self,
            Answer::Refused(_) => true,
        }
    }
}

/// A message of a dialling end as a request, or of an accepting end as an answer.
pub trait Request {
    /// The messages of the other direction.
    type Answer;

    /// The ID and the kind of the request, if the message is one.
    fn question(&self) -> Option<(RequestId, Question)>;

    /// The ID of the request that the message answers, if it answers one, and how.
    fn answer(message: &Self::Answer) -> Option<(RequestId, Answer)>;
}

macro_rules! exchange {
    ($request:ident / $answer:ident:
        $($asked:ident => $granted:ident),+ ;
        else $($other:ident),+ ; else $($unasked:ident),+
    ) => {
        impl Request for $request {
            type Answer = $answer;

            fn question(&self) -> Option<(RequestId, Question)> {
                match self {
                    $(Self::$asked(body) => Some((body.id, Question::$asked)),)+
                    $(Self::$other(_))|+ => None,
                }
            }

            fn answer(message: &$answer) -> Option<(RequestId, Answer)> {
                match message {
                    $($answer::$granted(body) => Some((body.id, Answer::Granted(Question::$asked))),)+
                    $answer::Refused(body) => Some((body.id, Answer::Refused(body.code))),
                    $($answer::$unasked(_))|+ => None,
                }
            }
        }
    };
}

exchange!(ToRegistrar / FromRegistrar:
    Register => Registered, Rotate => Rotated;
    else Ping, Pong, Goodbye, Error; else Greeting, Ping, Pong, Goodbye, Error);
exchange!(ToServer / FromServer:
    Login => LoggedIn, SetPreferences => PreferencesSet, Lookup => Address, Logout => LoggedOut;
    else RelayExpect, RelayForget, RelayOpen, RelayOpened, RelayData, RelayCredit, RelayClose, Ping, Pong, Goodbye, Error;
    else RelayIncoming, RelayOpened, RelayData, RelayCredit, RelayClose, Greeting, Replaced, Ping, Pong, Goodbye, Error);
exchange!(ToPeerServer / FromPeerServer:
    CheckOut => CheckedOut, Store => Stored, Renew => Renewed, CheckIn => CheckedIn, Replace => ReplaceDone,
    Resolve => Resolved;
    else RelayCall, RelayData, RelayCredit, RelayClose, Ping, Pong, Goodbye, Error;
    else RelayOpened, RelayData, RelayCredit, RelayClose, Greeting, Ping, Pong, Goodbye, Error);
exchange!(ToDirectoryNode / FromDirectoryNode:
    Issue => Issued, Insert => Inserted, Delete => Deleted, Find => Found, InsertPointer => PointerInserted,
    DeletePointer => PointerDeleted, Supersede => Superseded;
    else Ping, Pong, Goodbye, Error; else Greeting, Ping, Pong, Goodbye, Error);
