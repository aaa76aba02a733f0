//! Steps, messages and states in words, for counterexamples and for the explorer.

use std::fmt::Write as _;

use antiphon_spec::{
    identity::KeyHash,
    message::client_client::{InvitationBody, PeerMessage, SessionBody},
    session::{Change, Commitment, Epoch, Grant, Notice, Ticket, Timer},
    signed::Signed,
};

use crate::{
    attacker::Way,
    cast::Who,
    crypto,
    link::{End, Side},
    session_model::Step,
    world::World,
};

/// What happens first in a step.
pub(crate) fn step(world: &World, step: &Step) -> String {
    match step {
        Step::Deliver { from, to, link } => {
            let next = world.links.get(*link).and_then(|link| link.towards(link.side_of(*to)?).front());
            let what = next.map_or_else(String::new, |next| message(next));
            format!("{to} <- {from}: {what}")
        }
        Step::LinkEnds { at, peer, .. } => format!("{at}: the link to {peer} ends"),
        Step::LinkUp { from, to } => format!("{from}: the dial to {to} succeeds"),
        Step::LinkFails { from, to } => format!("{from}: the dial to {to} fails"),
        Step::Cut { between, and, .. } => format!("the link between {between} and {and} is cut"),
        Step::Crash(who) => format!("{who} dies"),
        Step::Invite { who, whom } => format!("{who} invites {whom}"),
        Step::Attack { by, to, way, message: said } => {
            let way = match way {
                Way::Standing => "",
                Way::Fresh => " on a new link",
                Way::OtherKey => " on a new link, with another key",
            };
            format!("{by} attacks {to}{way}: {}", message(said))
        }
        Step::HangUp { by, to } => format!("{by} hangs up on {to}"),
        Step::Accept(who) => format!("{who} accepts"),
        Step::Refuse(who) => format!("{who} refuses"),
        Step::Leave(who) => format!("{who} leaves"),
        Step::Say(who) => format!("{who} says something"),
        Step::Timer { who, timer: which } => format!("{who}: the timer {} fires", timer(which)),
    }
}

/// What an attacker's message says in its signed parts.
pub(crate) fn forged(message: &PeerMessage) -> String {
    let ticket = |signed: &Signed<Ticket>| match crypto::open(signed) {
        Ok((signer, ticket)) => format!(
            "ticket of {} for {}, epoch {}, signed by {}, with a {}",
            Who::of(&ticket.issuer),
            Who::of(&ticket.newcomer),
            ticket.epoch.0,
            signed_by(signer),
            granted(&ticket.grant)
        ),
        Err(_) => "no ticket".to_owned(),
    };
    let signed = match message {
        PeerMessage::Invitation(message) => match &message.body {
            InvitationBody::Welcome(welcome) => Some(ticket(&welcome.ticket)),
            InvitationBody::Invite(_)
            | InvitationBody::Join(_)
            | InvitationBody::Reject(_)
            | InvitationBody::Cancel(_) => None,
        },
        PeerMessage::Session(message) => match &message.body {
            SessionBody::Admit(admit) => Some(ticket(&admit.ticket)),
            SessionBody::TokenGrant(grant) => Some(granted(&grant.grant)),
            SessionBody::Close(close) => Some(granted(&close.grant)),
            SessionBody::Commit(commit) => Some(committed(&commit.commitment)),
            SessionBody::TokenRequest(_)
            | SessionBody::TokenRefused(_)
            | SessionBody::TokenReturn(_)
            | SessionBody::Admitted(_)
            | SessionBody::Complete(_)
            | SessionBody::HandOver(_)
            | SessionBody::HandOverAnswer(_)
            | SessionBody::Closed(_)
            | SessionBody::Follow(_)
            | SessionBody::Message(_)
            | SessionBody::Received(_) => None,
        },
    };
    signed.unwrap_or_else(|| "nothing in it is signed".to_owned())
}

fn granted(signed: &Signed<Grant>) -> String {
    match crypto::open(signed) {
        Ok((signer, grant)) => format!(
            "grant to {} for {}, epoch {}, signed by {}",
            Who::of(&grant.holder),
            change(&grant.change),
            grant.epoch.0,
            signed_by(signer)
        ),
        Err(_) => "no grant".to_owned(),
    }
}

fn committed(signed: &Signed<Commitment>) -> String {
    match crypto::open(signed) {
        Ok((signer, commitment)) => {
            let counts: Vec<String> = commitment
                .sent
                .iter()
                .map(|sent| format!("{} {}", Who::of(&sent.member), sent.count))
                .collect();
            format!(
                "commitment to {}, epoch {}, counts [{}], signed by {}",
                change(&commitment.change),
                commitment.epoch.0,
                counts.join(", "),
                signed_by(signer)
            )
        }
        Err(_) => "no commitment".to_owned(),
    }
}

fn signed_by(key: KeyHash) -> Who {
    let [first, ..] = key.0;
    Who(first)
}

/// A message, as far as it matters.
pub(crate) fn message(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Invitation(message) => match &message.body {
            InvitationBody::Invite(_) => "invite".to_owned(),
            InvitationBody::Join(_) => "join".to_owned(),
            InvitationBody::Reject(_) => "reject".to_owned(),
            InvitationBody::Cancel(_) => "cancel".to_owned(),
            InvitationBody::Welcome(welcome) => format!("welcome {{{}}}", epoch(&welcome.epoch)),
        },
        PeerMessage::Session(message) => {
            let body = match &message.body {
                SessionBody::TokenRequest(request) => {
                    format!("token-request #{} for {}", request.number.0, change(&request.change))
                }
                SessionBody::TokenRefused(refused) => {
                    format!("token-refused #{} {}", refused.number.0, refused.code)
                }
                SessionBody::TokenGrant(grant) => format!("token-grant #{}", grant.number.0),
                SessionBody::TokenReturn(_) => "token-return".to_owned(),
                SessionBody::Admit(_) => "admit".to_owned(),
                SessionBody::Admitted(_) => "admitted".to_owned(),
                SessionBody::Complete(_) => "complete".to_owned(),
                SessionBody::HandOver(_) => "hand-over".to_owned(),
                SessionBody::HandOverAnswer(answer) => {
                    format!("hand-over-answer {}", if answer.accepted { "yes" } else { "no" })
                }
                SessionBody::Close(close) => format!("close for {}", change(&close.change)),
                SessionBody::Closed(closed) => format!("closed after {} messages", closed.sent),
                SessionBody::Commit(_) => "commit".to_owned(),
                SessionBody::Follow(follow) => format!("follow {}", Who::of(&follow.successor)),
                SessionBody::Message(said) => format!("message {}", said.number),
                SessionBody::Received(received) => format!("received {}", received.number),
            };
            format!("{body} [epoch {}]", message.epoch.0)
        }
    }
}

pub(crate) fn change(change: &Change) -> String {
    match change {
        Change::Create(who) => format!("create by {}", Who::of(who)),
        Change::Join(member) => format!("join of {}", Who::of(&member.handle)),
        Change::Leave(who) => format!("leave of {}", Who::of(who)),
        Change::Remove(who) => format!("removal of {}", Who::of(who)),
        Change::HandOver(who) => format!("hand-over to {}", Who::of(who)),
        Change::TakeOver(who) => format!("take-over by {}", Who::of(who)),
        Change::Void(who) => format!("void join of {}", Who::of(who)),
    }
}

fn epoch(epoch: &Epoch) -> String {
    let members: Vec<String> = epoch
        .handles()
        .map(|handle| {
            let star = if *handle == epoch.coordinator { "*" } else { "" };
            format!("{}{star}", Who::of(handle))
        })
        .collect();
    format!("epoch {}: {} [{}]", epoch.number.0, change(&epoch.change), members.join(" "))
}

pub(crate) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Invited { inviter } => format!("{} invites", Who::of(inviter)),
        Notice::InvitationRejected { invitee } => format!("{} does not come", Who::of(invitee)),
        Notice::InvitationFailed { invitee, code } => {
            format!("the invitation of {} failed: {code}", Who::of(invitee))
        }
        Notice::EpochBegan(began) => epoch(began),
        Notice::MessageReceived { from, epoch, number, .. } => {
            format!("message {number} of epoch {} from {}", epoch.0, Who::of(from))
        }
        Notice::MessagePending { local } => format!("#{} waits", local.0),
        Notice::MessageSent { local, epoch, number, .. } => {
            format!("#{} is sent as message {number} of epoch {}", local.0, epoch.0)
        }
        Notice::MessageDelivered { local, to, .. } => format!("#{} is delivered to {}", local.0, Who::of(to)),
        Notice::MessageFailed { local, to } => format!("#{} has failed for {}", local.0, Who::of(to)),
        Notice::MessageUnsent { local } => format!("#{} was not sent", local.0),
        Notice::NotPossible(code) => format!("not possible: {code}"),
        Notice::ForkNoticed(who) => format!("{} holds another chain", Who::of(who)),
        Notice::MemberLost(who) => format!("{} is lost", Who::of(who)),
        Notice::Ended(reason) => format!("ended: {reason:?}"),
    }
}

pub(crate) fn timer(timer: &Timer) -> String {
    match timer {
        Timer::Invitation(who) => format!("invitation of {}", Who::of(who)),
        Timer::Answer => "answer".to_owned(),
        Timer::Join => "join".to_owned(),
        Timer::Lease => "lease".to_owned(),
        Timer::Close => "close".to_owned(),
        Timer::Flush => "flush".to_owned(),
        Timer::Acknowledgement => "acknowledgement".to_owned(),
        Timer::Lost(who) => format!("{} lost", Who::of(who)),
        Timer::Linger => "linger".to_owned(),
    }
}

/// Who is where, and what is under way.
pub(crate) fn world(world: &World) -> String {
    let mut text = String::new();
    for (who, client) in world.everyone() {
        let place = match (&client.session, client.epoch()) {
            (None, _) => "not in the session".to_owned(),
            (Some(_), Some(own)) => epoch(own),
            (Some(_), None) => "on the way in or out".to_owned(),
        };
        let at_rest = client.session.as_ref().and_then(|session| session.membership());
        let busy = if at_rest.is_some_and(|member| !member.is_at_rest()) { ", waits" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{who}: {place}{busy}");
    }
    for (from, to) in &world.dials {
        let _ = writeln!(text, "{from} dials {to}");
    }
    for link in &world.links {
        for side in [Side::Dialler, Side::Acceptor] {
            let (to, from) = (link.client(side), link.peer(side));
            if link.end(side) == End::Closed {
                let _ = writeln!(text, "{to} has closed its link to {from}");
            }
            for next in link.towards(side) {
                let _ = writeln!(text, "{from} -> {to}: {}", message(next));
            }
        }
    }
    text
}
