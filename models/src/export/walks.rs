//! Scripted walks: what one client is told, event by event, to lead it where neither a model of few steps nor a drawn run
//! comes by.
//!
//! The client is the machine itself. Whatever the others say in a walk they say with their own keys alone, and each walk
//! says who of them lies.

use std::sync::Arc;

use antiphon_conformance::recorded::{Step, Told};
use antiphon_spec::{
    identity::Peer,
    media_type::{MediaType, MediaTypes},
    message::client_client::*,
    policy::Verdict,
    session::{
        Action, Change, Commitment, Epoch, EpochHash, Event, Grant, LocalNumber, Member, Nonce, Origin,
        Ticket, Timer,
    },
    signed::{Sign as _, Signed},
    time::Timestamp,
};

use super::single::Single;
use crate::{
    attacker::messages::said,
    cast::{Cast, Who},
    crypto::{Hand, hash_epoch, session_id},
    tap::{self, Recording},
};

/// How many clients there are in a walk.
pub(super) const CLIENTS: u8 = 5;

const ALICE: u8 = 0;
const BOB: u8 = 1;
const CAROL: u8 = 2;
const DAVE: u8 = 3;
const ERIN: u8 = 4;

/// What the clocks show.
const NOW: Timestamp = Timestamp(1_000_000);

/// A walk: its name, and what happens.
struct Script {
    name: &'static str,
    play: fn() -> Option<Recording>,
}

const SCRIPTS: &[Script] = &[
    Script { name: "joined-by-one-who-takes-less", play: joined_by_one_who_takes_less },
    Script { name: "counted-out", play: counted_out },
    Script { name: "dial-given-up", play: dial_given_up },
    Script { name: "dial-given-up-and-gone", play: dial_given_up_and_gone },
    Script { name: "two-coordinators-lost", play: two_coordinators_lost },
    Script { name: "stranger-with-two-messages", play: stranger_with_two_messages },
    Script { name: "stranger-before-the-admission", play: stranger_before_the_admission },
    Script { name: "timers-at-a-new-coordinator", play: timers_at_a_new_coordinator },
    Script {
        name: "late-acknowledgement-at-a-new-coordinator",
        play: late_acknowledgement_at_a_new_coordinator,
    },
    Script { name: "timer-of-a-lost-member-after-leaving", play: timer_of_a_lost_member_after_leaving },
    Script { name: "second-word-before-the-flush", play: second_word_before_the_flush },
];

/// The names of all walks.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|script| script.name)
}

/// The name of a walk, as the list of them has it.
pub(super) fn find(name: &str) -> Option<&'static str> {
    names().find(|walk| *walk == name)
}

/// Plays a walk.
pub(super) fn play(name: &str) -> Result<Recording, String> {
    let script = SCRIPTS.iter().find(|script| script.name == name);
    let script = script.ok_or_else(|| format!("there is no walk {name}"))?;
    (script.play)().ok_or_else(|| format!("the walk {name} leads nowhere: a client of it is in no session"))
}

/// A message waits while the epoch closes in which somebody joins who does not take its media type.
fn joined_by_one_who_takes_less() -> Option<Recording> {
    let mut walk = Walk::begin(ALICE)?;
    let image: MediaType = "image/png".parse().ok()?;
    walk.admits(BOB, MediaTypes::try_from(vec![image]).ok()?)?;
    walk.hears(BOB, SessionBody::Complete(Complete {}))?;
    walk.admits(CAROL, MediaTypes::default())?;
    walk.hears(BOB, SessionBody::Admitted(Admitted {}))?;
    walk.hears(CAROL, SessionBody::Complete(Complete {}))?;
    walk.says("image/png");
    walk.hears(BOB, SessionBody::Closed(Closed { sent: 0 }))?;
    Some(walk.recording)
}

/// The coordinator dies, and has left one who had said something out of its last word.
fn counted_out() -> Option<Recording> {
    let mut walk = Walk::member(CAROL, &[ALICE, BOB, DAVE])?;
    walk.says("text/plain");
    walk.loses(ALICE)?;
    let commit = walk.commit(ALICE, walk.void_of(ERIN)?, &[(ALICE, 0), (BOB, 0), (DAVE, 0)])?;
    walk.hears(BOB, commit)?;
    Some(walk.recording)
}

/// A coordinator's dial comes to its end at the instant at which it is given up.
fn dial_given_up() -> Option<Recording> {
    let mut walk = Walk::begin(ALICE)?;
    walk.admits(BOB, MediaTypes::default())?;
    walk.hears(BOB, SessionBody::Complete(Complete {}))?;
    walk.invites(CAROL)?;
    walk.invites(DAVE)?;
    walk.event(Event::Leave);
    walk.reaches(CAROL)?;
    walk.misses(DAVE)?;
    // Then somebody comes who will be a member only if bob, to whom the part is offered, lies.
    walk.meets_stranger(ERIN, BOB)?;
    Some(walk.recording)
}

/// The same at a member that has left by then.
fn dial_given_up_and_gone() -> Option<Recording> {
    let mut walk = Walk::member(BOB, &[ALICE])?;
    walk.invites(CAROL)?;
    walk.invites(DAVE)?;
    walk.event(Event::Leave);
    walk.closes_for(ALICE, Change::Leave(walk.of(BOB)?.handle.clone()), BOB)?;
    walk.reaches(CAROL)?;
    walk.misses(DAVE)?;
    Some(walk.recording)
}

/// A newcomer loses the coordinator, is shown the last word of that one, and loses the successor to whom it passed it on.
fn two_coordinators_lost() -> Option<Recording> {
    let mut walk = Walk::newcomer(DAVE, &[ALICE, BOB, CAROL])?;
    walk.loses(ALICE)?;
    let commit = walk.commit(ALICE, walk.join_of(DAVE)?, &[(ALICE, 0), (BOB, 0), (CAROL, 0)])?;
    walk.hears(CAROL, commit)?;
    walk.loses(BOB)?;
    Some(walk.recording)
}

/// Somebody shows a newcomer a ticket for the epoch that is about to begin, and then says something else.
fn stranger_with_two_messages() -> Option<Recording> {
    let mut walk = Walk::newcomer(BOB, &[ALICE])?;
    walk.meets_stranger(CAROL, ALICE)?;
    Some(walk.recording)
}

/// The same before the newcomer is admitted.
fn stranger_before_the_admission() -> Option<Recording> {
    let mut walk = Walk::welcome(BOB, &[ALICE])?;
    walk.meets_stranger(CAROL, ALICE)?;
    Some(walk.recording)
}

/// A member that becomes coordinator removes whom it has lost, and waits for a message that is counted and doesn't come.
/// Meanwhile timers of before end.
fn new_coordinator() -> Option<Walk> {
    let mut walk = Walk::member(BOB, &[ALICE, CAROL])?;
    walk.says("text/plain");
    walk.invites(DAVE)?;
    walk.reaches(DAVE)?;
    walk.loses(CAROL)?;
    walk.closes_for(ALICE, Change::HandOver(walk.of(BOB)?.handle.clone()), BOB)?;
    walk.hears(ALICE, SessionBody::Closed(Closed { sent: 1 }))?;
    Some(walk)
}

fn timers_at_a_new_coordinator() -> Option<Recording> {
    let mut walk = new_coordinator()?;
    let lost = walk.of(CAROL)?.handle.clone();
    walk.event(Event::TimerFired(Timer::Lost(lost)));
    let invitee = walk.of(DAVE)?.handle.clone();
    walk.event(Event::TimerFired(Timer::Invitation(invitee)));
    Some(walk.recording)
}

fn late_acknowledgement_at_a_new_coordinator() -> Option<Recording> {
    let mut walk = new_coordinator()?;
    walk.event(Event::TimerFired(Timer::Acknowledgement));
    Some(walk.recording)
}

/// A member leaves after it has lost another one.
fn timer_of_a_lost_member_after_leaving() -> Option<Recording> {
    let mut walk = Walk::member(BOB, &[ALICE, CAROL])?;
    walk.loses(CAROL)?;
    walk.event(Event::Leave);
    walk.closes_for(ALICE, Change::Leave(walk.of(BOB)?.handle.clone()), BOB)?;
    let lost = walk.of(CAROL)?.handle.clone();
    walk.event(Event::TimerFired(Timer::Lost(lost)));
    Some(walk.recording)
}

/// The last word of a lost coordinator counts a message that has not come; until it has, the word is shown once more.
fn second_word_before_the_flush() -> Option<Recording> {
    let mut walk = Walk::member(CAROL, &[ALICE, BOB, DAVE])?;
    walk.loses(ALICE)?;
    let sent = [(ALICE, 0), (BOB, 1), (CAROL, 0), (DAVE, 0)];
    let commit = walk.commit(ALICE, walk.void_of(ERIN)?, &sent)?;
    walk.hears(BOB, commit.clone())?;
    walk.hears(DAVE, commit)?;
    walk.hears(BOB, SessionBody::Message(said(1)))?;
    Some(walk.recording)
}

/// A client on its way. What returns nothing asks for somebody who is not there, or for an epoch where there is none.
struct Walk {
    cast: Cast,
    client: Single,
    recording: Recording,
}

impl Walk {
    fn new(who: u8) -> Option<Self> {
        let cast = Cast::new(CLIENTS);
        let me = cast.member(Who(who))?.clone();
        let mut client = Single::new(Who(who), me);
        client.now = NOW;
        Some(Self { cast, client, recording: Recording::default() })
    }

    /// The client creates a session.
    fn begin(who: u8) -> Option<Self> {
        let mut walk = Self::new(who)?;
        walk.told(Told::Create(Nonce([0; 16])));
        Some(walk)
    }

    /// The client has been welcomed to a session, which the first of its members has created.
    fn welcome(who: u8, members: &[u8]) -> Option<Self> {
        let mut walk = Self::new(who)?;
        let (&creator, _) = members.split_first()?;
        let inviter = walk.peer(creator)?;
        let origin = Origin { key: inviter.key, nonce: Nonce([0; 16]) };
        let session = session_id(&origin);
        let (epoch, made) = tap::recording(|| walk.epoch_of(origin, members));
        walk.recording.append(made);
        let body = InvitationBody::Invite(Invite { origin, lifetime: 60 });
        let message = InvitationMessage { body, session };
        walk.told(Told::Invited { inviter, message, verdict: Verdict::Allow });
        walk.event(Event::Accept);
        let epoch: Arc<Epoch> = epoch?.into();
        let hash = hash_epoch(&epoch);
        walk.client.epoch = Some((Arc::clone(&epoch), hash));
        let ticket = walk.ticket(creator, creator, who)?;
        let body = InvitationBody::Welcome(Welcome { epoch, ticket });
        walk.received(creator, PeerMessage::Invitation(InvitationMessage { body, session }))?;
        Some(walk)
    }

    /// The client has been admitted by all members of that session.
    fn newcomer(who: u8, members: &[u8]) -> Option<Self> {
        let mut walk = Self::welcome(who, members)?;
        for (number, &member) in members.iter().enumerate() {
            if number > 0 {
                walk.reaches(member)?;
            }
            walk.hears(member, SessionBody::Admitted(Admitted {}))?;
        }
        Some(walk)
    }

    /// The client is a member of a session with these others, of which the first one coordinates.
    fn member(who: u8, others: &[u8]) -> Option<Self> {
        let mut walk = Self::newcomer(who, others)?;
        let (&coordinator, _) = others.split_first()?;
        let sent: Vec<(u8, u64)> = others.iter().map(|&other| (other, 0)).collect();
        let commit = walk.commit(coordinator, walk.join_of(who)?, &sent)?;
        walk.hears(coordinator, commit)?;
        Some(walk)
    }

    /// The epoch in which these are members, of whom the first one has let the others in.
    fn epoch_of(&self, origin: Origin, members: &[u8]) -> Option<Epoch> {
        let (&creator, others) = members.split_first()?;
        let mut epoch = Epoch::first(session_id(&origin), origin, self.of(creator)?.clone());
        for &other in others {
            epoch = epoch.next(hash_epoch(&epoch), self.join_of(other)?).ok()?;
        }
        Some(epoch)
    }

    fn of(&self, who: u8) -> Option<&Member> {
        self.cast.member(Who(who))
    }

    fn peer(&self, who: u8) -> Option<Peer> {
        self.cast.peer(Who(who))
    }

    fn hand(&self, who: u8) -> Option<Hand> {
        self.of(who).map(|member| Hand::new(member.key))
    }

    fn join_of(&self, who: u8) -> Option<Change> {
        self.of(who).cloned().map(Change::Join)
    }

    fn void_of(&self, who: u8) -> Option<Change> {
        self.of(who).map(|member| Change::Void(member.handle.clone()))
    }

    /// The epoch that the client is in or joins.
    fn now(&self) -> Option<(Arc<Epoch>, EpochHash)> {
        self.client.epoch.clone()
    }

    fn told(&mut self, told: Told) {
        let entropy = [u8::try_from(self.client.events).unwrap_or(u8::MAX); 16];
        let now = self.client.now;
        let made = self.client.tell(&Step { told, now, entropy });
        self.recording.append(made);
    }

    fn event(&mut self, event: Event) {
        self.told(Told::Event(event));
    }

    fn received(&mut self, from: u8, message: PeerMessage) -> Option<()> {
        let from = self.peer(from)?;
        self.event(Event::Received { from, message });
        Some(())
    }

    /// Somebody says something in the client's epoch.
    fn hears(&mut self, from: u8, body: SessionBody) -> Option<()> {
        let (epoch, chain) = self.now()?;
        let message = SessionMessage { body, chain, epoch: epoch.number, session: epoch.session };
        self.received(from, PeerMessage::Session(message))
    }

    /// Somebody shows a ticket of this host for the epoch that follows, and says something in the one that holds.
    fn meets_stranger(&mut self, who: u8, host: u8) -> Option<()> {
        let ticket = self.ticket(host, host, who)?;
        let (epoch, _) = self.now()?;
        let admit = SessionMessage {
            body: SessionBody::Admit(Admit { ticket }),
            chain: EpochHash([0; 32]),
            epoch: epoch.number.next(),
            session: epoch.session,
        };
        self.received(who, PeerMessage::Session(admit))?;
        self.hears(who, SessionBody::Complete(Complete {}))
    }

    fn says(&mut self, media_type: &str) {
        let local = LocalNumber(u64::try_from(self.client.events).unwrap_or(u64::MAX));
        let content = Content(b"hello".as_slice().into());
        self.event(Event::Say { local, media_type: media_type.into(), content });
    }

    fn loses(&mut self, who: u8) -> Option<()> {
        let peer = self.of(who)?.handle.clone();
        self.event(Event::LinkLost { peer });
        Some(())
    }

    fn invites(&mut self, who: u8) -> Option<()> {
        let invitee = self.of(who)?.handle.clone();
        self.event(Event::Invite { invitee });
        Some(())
    }

    fn reaches(&mut self, who: u8) -> Option<()> {
        let peer = self.peer(who)?;
        self.event(Event::LinkUp { peer });
        Some(())
    }

    fn misses(&mut self, who: u8) -> Option<()> {
        let peer = self.of(who)?.handle.clone();
        self.event(Event::LinkFailed { peer });
        Some(())
    }

    /// The client invites somebody who takes these media types, and admits the newcomer, that has the ticket from it.
    fn admits(&mut self, who: u8, accepts: MediaTypes) -> Option<()> {
        let relay = self.of(who)?.relay;
        self.invites(who)?;
        self.reaches(who)?;
        let (epoch, _) = self.now()?;
        let body = InvitationBody::Join(Join { relay, accepts });
        self.received(who, PeerMessage::Invitation(InvitationMessage { body, session: epoch.session }))?;
        let ticket = self.recording.taken.last()?.done.actions.iter().find_map(|action| match action {
            Action::Send { message: PeerMessage::Invitation(message), .. } => match &message.body {
                InvitationBody::Welcome(welcome) => Some(welcome.ticket.clone()),
                InvitationBody::Invite(_)
                | InvitationBody::Join(_)
                | InvitationBody::Reject(_)
                | InvitationBody::Cancel(_) => None,
            },
            Action::Send { .. }
            | Action::Connect { .. }
            | Action::Disconnect { .. }
            | Action::Arm { .. }
            | Action::Disarm(_)
            | Action::Tell(_)
            | Action::Late { .. } => None,
        })?;
        self.hears(who, SessionBody::Admit(Admit { ticket }))
    }

    /// The coordinator closes the epoch, in which nobody but the client may have said anything, for a change that is
    /// granted to a holder.
    fn closes_for(&mut self, coordinator: u8, change: Change, holder: u8) -> Option<()> {
        let grant = self.grant(coordinator, change.clone(), holder)?;
        self.hears(coordinator, SessionBody::Close(Close { grant, change: change.clone() }))?;
        let (epoch, _) = self.now()?;
        let (me, own) = (self.client.who, self.client.sent);
        let count = |who: Who| (who.0, if who == me { own } else { 0 });
        let sent: Vec<(u8, u64)> = epoch.handles().map(|member| count(Who::of(member))).collect();
        let commit = self.commit(coordinator, change, &sent)?;
        self.hears(coordinator, commit)
    }

    fn grant(&self, coordinator: u8, change: Change, holder: u8) -> Option<Signed<Grant>> {
        let (epoch, chain) = self.now()?;
        Some(self.hand(coordinator)?.sign_grant(&Grant {
            chain,
            epoch: epoch.number,
            change,
            holder: self.of(holder)?.handle.clone(),
            session: epoch.session,
            not_after: Timestamp(NOW.0 + 30),
        }))
    }

    fn ticket(&self, coordinator: u8, issuer: u8, newcomer: u8) -> Option<Signed<Ticket>> {
        let (epoch, _) = self.now()?;
        let newcomer = self.of(newcomer)?;
        let grant = self.grant(coordinator, Change::Join(newcomer.clone()), issuer)?;
        Some(self.hand(issuer)?.sign_ticket(&Ticket {
            key: newcomer.key,
            epoch: epoch.number,
            grant,
            nonce: Nonce([7; 16]),
            issuer: self.of(issuer)?.handle.clone(),
            session: epoch.session,
            newcomer: newcomer.handle.clone(),
            not_after: Timestamp(NOW.0 + 30),
        }))
    }

    /// The word with which somebody ends the client's epoch.
    fn commit(&mut self, signer: u8, change: Change, sent: &[(u8, u64)]) -> Option<SessionBody> {
        let (epoch, chain) = self.now()?;
        let next = epoch.next(chain, change.clone()).ok()?;
        let (hash, made) = tap::recording(|| hash_epoch(&next));
        self.recording.append(made);
        let count =
            |&(who, count): &(u8, u64)| Some(SentCount { count, member: self.of(who)?.handle.clone() });
        let sent = sent.iter().map(count).collect::<Option<Vec<_>>>()?;
        let claims = Commitment { hash, sent, chain, epoch: epoch.number, change, session: epoch.session };
        let commitment = self.hand(signer)?.sign_commitment(&claims);
        Some(SessionBody::Commit(Commit { commitment }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_walk_leads_somewhere() {
        for name in names() {
            let recording = play(name).expect(name);
            assert!(recording.taken.len() > 4, "{name}");
            let last = recording.taken.last().expect("a last step");
            assert!(last.stage.is_some(), "{name}");
        }
    }
}
