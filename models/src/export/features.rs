//! What a step of a machine shows: the places that it reached, and the arm of the machine's table that it took.
//!
//! An **arm** is what a session waits for ([`Stage`]), what comes ([`kind_of`]), and what becomes of that ([`End`]). Traces
//! have to show each pair of state and kind that can be, and each end of each kind; all three together would take four
//! times as many, since what ends a session ends the trace. A session message is sorted as a member checks it (chapter *Sessions*, section *Order of checks*): by session, sender,
//! epoch and hash, and only then by what it says.

use std::{collections::BTreeSet, fmt};

use antiphon_conformance::recorded::Told;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::Peer,
    message::client_client::{InvitationBody, PeerMessage, SessionBody, SessionMessage},
    session::{Action, Event, Notice, Session, Stage, Timer},
};

use super::Place;
use crate::{crypto::hash_epoch, tap::Taken};

/// One thing that traces have to show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    /// A place in the source: the file's name, and the line.
    At(&'static str, u32),
    /// This came in this state.
    Came(Option<Stage>, &'static str),
    /// This became of what came, in some state.
    Became(&'static str, End),
}

/// What becomes of what comes in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arm {
    /// What the session waits for; nothing where there is none yet.
    pub stage: Option<Stage>,
    /// What comes.
    pub kind: &'static str,
    /// What becomes of it.
    pub end: End,
}

/// What becomes of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It is taken, though perhaps nothing is done about it.
    Taken,
    /// It is late: ignored, and counted.
    Late,
    /// A link closes, a request is refused, or the user is told that it cannot be, with this code.
    Refused(ErrorCode),
}

/// The kinds of what comes before there is a session.
pub(super) const FIRST: [&str; 6] = ["create", "invite", "join", "reject", "cancel", "welcome"];

/// What the user does.
pub(super) const USER: [&str; 5] =
    ["the user's invitation", "the user's yes", "the user's no", "the user's message", "the user's leave"];

/// What becomes of links.
pub(super) const LINKS: [&str; 3] = ["a link", "a link that cannot be had", "a lost link"];

/// Timers.
pub(super) const TIMERS: [&str; 9] = [
    "the invitation timer",
    "the answer timer",
    "the join timer",
    "the lease timer",
    "the close timer",
    "the flush timer",
    "the acknowledgement timer",
    "the timer of a lost member",
    "the linger timer",
];

/// Steps of an invitation.
pub(super) const STEPS: [&str; 5] = ["invite", "join", "reject", "cancel", "welcome"];

/// A session message where no epoch is at hand.
pub(super) const UNTIMELY: &str = "a session message";

/// Session messages that are sorted out before it matters what they say.
pub(super) const MISPLACED: [&str; 12] = [
    "a message of another session",
    "a stranger's message",
    "a message for the next epoch",
    "an admit for the next epoch",
    "a message for an epoch beyond the next",
    "a received for an epoch that is over",
    "an admit for an epoch that is over",
    "a follow for an epoch that is over",
    "a chat message for an epoch that is over",
    "a message for an epoch that is over",
    "a message of another chain",
    "a message of another chain, for the epoch before",
];

/// What is said in the epoch.
pub(super) const SAID: [&str; 15] = [
    "token-request",
    "token-grant",
    "token-refused",
    "token-return",
    "admit",
    "admitted",
    "complete",
    "hand-over",
    "hand-over-answer",
    "close",
    "closed",
    "commit",
    "follow",
    "message",
    "received",
];

impl Feature {
    pub(super) fn is_at(&self, place: &Place) -> bool {
        match self {
            Self::At(file, line) => *file == place.file && *line == place.line,
            Self::Came(..) | Self::Became(..) => false,
        }
    }
}

/// All that a step shows.
pub(super) fn of(taken: &Taken) -> BTreeSet<Feature> {
    let places = taken.sites.iter().map(|&(path, line)| {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        Feature::At(name, line)
    });
    let ends = arms(taken).into_iter().map(|arm| Feature::Became(arm.kind, arm.end));
    places.chain(ends).chain([Feature::Came(taken.stage, taken.kind)]).collect()
}

/// The arms that a step takes: one, or one for each code.
pub(super) fn arms(taken: &Taken) -> BTreeSet<Arm> {
    let mut ends: BTreeSet<End> =
        taken.done.actions.iter().filter_map(code).chain(taken.done.refused).map(End::Refused).collect();
    if ends.is_empty() {
        let is_late = taken.done.actions.iter().any(|action| matches!(action, Action::Late { .. }));
        ends.insert(if is_late { End::Late } else { End::Taken });
    }
    ends.into_iter().map(|end| Arm { stage: taken.stage, kind: taken.kind, end }).collect()
}

/// What comes, as the session that it comes to sorts it.
pub(crate) fn kind_of(told: &Told, session: Option<&Session>) -> &'static str {
    match told {
        Told::Create(_) => "create",
        Told::Invited { message, .. } => step(&message.body),
        Told::Event(event) => match event {
            Event::Invite { .. } => "the user's invitation",
            Event::Accept => "the user's yes",
            Event::Refuse => "the user's no",
            Event::Say { .. } => "the user's message",
            Event::Leave => "the user's leave",
            Event::LinkUp { .. } => "a link",
            Event::LinkFailed { .. } => "a link that cannot be had",
            Event::LinkLost { .. } => "a lost link",
            Event::Received { message: PeerMessage::Invitation(message), .. } => step(&message.body),
            Event::Received { from, message: PeerMessage::Session(message) } => {
                session.map_or(UNTIMELY, |session| sorted(from, message, session))
            }
            Event::TimerFired(timer) => match timer {
                Timer::Invitation(_) => "the invitation timer",
                Timer::Answer => "the answer timer",
                Timer::Join => "the join timer",
                Timer::Lease => "the lease timer",
                Timer::Close => "the close timer",
                Timer::Flush => "the flush timer",
                Timer::Acknowledgement => "the acknowledgement timer",
                Timer::Lost(_) => "the timer of a lost member",
                Timer::Linger => "the linger timer",
            },
        },
    }
}

const fn step(body: &InvitationBody) -> &'static str {
    match body {
        InvitationBody::Invite(_) => "invite",
        InvitationBody::Join(_) => "join",
        InvitationBody::Reject(_) => "reject",
        InvitationBody::Cancel(_) => "cancel",
        InvitationBody::Welcome(_) => "welcome",
    }
}

/// In the order in which a member checks it.
fn sorted(from: &Peer, message: &SessionMessage, session: &Session) -> &'static str {
    let Some(epoch) = session.epoch_at_hand() else { return UNTIMELY };
    let is_ticket = matches!(message.body, SessionBody::Admit(_));
    if message.session != epoch.session {
        "a message of another session"
    } else if !is_ticket && !session.hears(&from.handle) {
        "a stranger's message"
    } else if message.epoch == epoch.number.next() {
        if is_ticket { "an admit for the next epoch" } else { "a message for the next epoch" }
    } else if message.epoch > epoch.number {
        "a message for an epoch beyond the next"
    } else if message.epoch.next() == epoch.number && message.chain != epoch.previous && !is_ticket {
        "a message of another chain, for the epoch before"
    } else if message.epoch < epoch.number {
        over(&message.body)
    } else if message.chain != hash_epoch(epoch) {
        "a message of another chain"
    } else {
        said(&message.body)
    }
}

const fn over(body: &SessionBody) -> &'static str {
    match body {
        SessionBody::Received(_) => "a received for an epoch that is over",
        SessionBody::Admit(_) => "an admit for an epoch that is over",
        SessionBody::Follow(_) => "a follow for an epoch that is over",
        SessionBody::Message(_) => "a chat message for an epoch that is over",
        SessionBody::TokenRequest(_)
        | SessionBody::TokenGrant(_)
        | SessionBody::TokenRefused(_)
        | SessionBody::TokenReturn(_)
        | SessionBody::Admitted(_)
        | SessionBody::Complete(_)
        | SessionBody::HandOver(_)
        | SessionBody::HandOverAnswer(_)
        | SessionBody::Close(_)
        | SessionBody::Closed(_)
        | SessionBody::Commit(_) => "a message for an epoch that is over",
    }
}

const fn said(body: &SessionBody) -> &'static str {
    match body {
        SessionBody::TokenRequest(_) => "token-request",
        SessionBody::TokenGrant(_) => "token-grant",
        SessionBody::TokenRefused(_) => "token-refused",
        SessionBody::TokenReturn(_) => "token-return",
        SessionBody::Admit(_) => "admit",
        SessionBody::Admitted(_) => "admitted",
        SessionBody::Complete(_) => "complete",
        SessionBody::HandOver(_) => "hand-over",
        SessionBody::HandOverAnswer(_) => "hand-over-answer",
        SessionBody::Close(_) => "close",
        SessionBody::Closed(_) => "closed",
        SessionBody::Commit(_) => "commit",
        SessionBody::Follow(_) => "follow",
        SessionBody::Message(_) => "message",
        SessionBody::Received(_) => "received",
    }
}

fn code(action: &Action) -> Option<ErrorCode> {
    match action {
        Action::Disconnect { fault, .. } => *fault,
        Action::Tell(Notice::NotPossible(code) | Notice::InvitationFailed { code, .. }) => Some(*code),
        Action::Send { message: PeerMessage::Session(message), .. } => match &message.body {
            SessionBody::TokenRefused(refused) => Some(refused.code),
            SessionBody::TokenRequest(_)
            | SessionBody::TokenGrant(_)
            | SessionBody::TokenReturn(_)
            | SessionBody::Admit(_)
            | SessionBody::Admitted(_)
            | SessionBody::Complete(_)
            | SessionBody::HandOver(_)
            | SessionBody::HandOverAnswer(_)
            | SessionBody::Close(_)
            | SessionBody::Closed(_)
            | SessionBody::Commit(_)
            | SessionBody::Follow(_)
            | SessionBody::Message(_)
            | SessionBody::Received(_) => None,
        },
        Action::Connect { .. }
        | Action::Send { .. }
        | Action::Arm { .. }
        | Action::Disarm(_)
        | Action::Tell(_)
        | Action::Late { .. } => None,
    }
}

/// Names of messages stand in backticks, as in the text.
fn named(kind: &str) -> String {
    let is_name = STEPS.contains(&kind) || SAID.contains(&kind);
    if is_name { format!("`{kind}`") } else { kind.to_owned() }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, kind, end } = self;
        match stage {
            Some(stage) => write!(f, "{stage}")?,
            None => write!(f, "a client")?,
        }
        let kind = named(kind);
        match end {
            End::Taken => write!(f, " takes {kind}"),
            End::Late => write!(f, " ignores {kind}, which is late"),
            End::Refused(code) => write!(f, " answers {kind} with `{code}`"),
        }
    }
}
