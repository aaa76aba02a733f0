//! What a step of a machine shows: the places that it reached, and what it refused with which code.

use std::collections::BTreeSet;

use antiphon_conformance::recorded::Told;
use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::{PeerMessage, SessionBody},
    session::{Action, Event, Notice, Timer},
};

use super::Place;
use crate::{tap::Taken, words};

/// One thing that traces have to show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    /// A place in the source: the file's name, and the line.
    At(&'static str, u32),
    /// What came was answered with this code.
    Refused(String, ErrorCode),
}

impl Feature {
    pub(super) fn is_at(&self, place: &Place) -> bool {
        match self {
            Self::At(file, line) => *file == place.file && *line == place.line,
            Self::Refused(..) => false,
        }
    }
}

/// All that a step shows.
pub(super) fn of(taken: &Taken) -> BTreeSet<Feature> {
    let places = taken.sites.iter().map(|&(path, line)| {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        Feature::At(name, line)
    });
    let what = kind(&taken.step.told);
    let codes = taken.done.actions.iter().filter_map(code).chain(taken.done.refused);
    places.chain(codes.map(|code| Feature::Refused(what.clone(), code))).collect()
}

/// What came, without what it says.
pub(super) fn kind(told: &Told) -> String {
    let text = match told {
        Told::Create(_) => "create",
        Told::Invited { .. } => "invite",
        Told::Event(event) => match event {
            Event::Invite { .. } => "the user's invitation",
            Event::Accept => "the user's yes",
            Event::Refuse => "the user's no",
            Event::Say { .. } => "the user's message",
            Event::Leave => "the user's leave",
            Event::LinkUp { .. } => "a link",
            Event::LinkFailed { .. } => "a link that cannot be had",
            Event::LinkLost { .. } => "a lost link",
            Event::Received { message, .. } => return name(message),
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
    };
    text.to_owned()
}

/// The first word of a message in words is its name.
fn name(message: &PeerMessage) -> String {
    let text = words::message(message);
    text.split([' ', '[']).next().unwrap_or_default().to_owned()
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
