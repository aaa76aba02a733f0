//! One client by itself: its machine, and what its shell keeps for it, so that it can be told more than a run tells it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use antiphon_conformance::recorded::{Step, Told};
use antiphon_spec::{
    identity::{Peer, UserHandle},
    machine::Context,
    message::client_client::{InvitationBody, PeerMessage, RequestNumber, SessionBody},
    session::{Action, Change, Epoch, EpochHash, Event, Member, Notice, Session, Stage, Timer},
    time::Timestamp,
};

use super::lies::Lie;
use crate::{
    cast::Who,
    crypto::{Hand, hash_epoch},
    tap::{self, Recording, Taken},
};

/// Clients that look alike are not asked twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Look {
    stage: Option<Stage>,
    epoch: u64,
    members: usize,
    said: bool,
    heard: bool,
    requests: usize,
    links: BTreeSet<UserHandle>,
    dials: BTreeSet<UserHandle>,
    timers: BTreeSet<Timer>,
}

/// A client by itself.
#[derive(Clone, Debug)]
pub(super) struct Single {
    pub(super) who: Who,
    pub(super) me: Member,
    pub(super) session: Option<Session>,
    /// What its clock showed last.
    pub(super) now: Timestamp,
    /// How many events it has been told.
    pub(super) events: usize,
    /// The links that stand, with whom their certificates have proved.
    pub(super) links: BTreeMap<UserHandle, Peer>,
    /// The links that it has asked for.
    pub(super) dials: BTreeSet<UserHandle>,
    /// The timers that run.
    pub(super) timers: BTreeSet<Timer>,
    /// The epoch that it is in or joins.
    pub(super) epoch: Option<(Arc<Epoch>, EpochHash)>,
    /// How much it has said in the epoch.
    pub(super) sent: u64,
    /// How much it has heard in the epoch, by sender.
    pub(super) heard: BTreeMap<UserHandle, u64>,
    /// What it has asked a coordinator for.
    pub(super) requests: BTreeMap<RequestNumber, Change>,
}

impl Single {
    pub(super) fn new(who: Who, me: Member) -> Self {
        Self {
            who,
            me,
            session: None,
            now: Timestamp(0),
            events: 0,
            links: BTreeMap::new(),
            dials: BTreeSet::new(),
            timers: BTreeSet::new(),
            epoch: None,
            sent: 0,
            heard: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    /// What it waits for; nothing where it is in no session.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.session.as_ref().map(Session::stage)
    }

    /// What can be seen of it from outside, by and large.
    pub(super) fn look(&self) -> Look {
        let (epoch, members) =
            self.epoch.as_ref().map_or((0, 0), |(epoch, _)| (epoch.number.0, epoch.members.len()));
        Look {
            stage: self.stage(),
            epoch: epoch.min(3),
            members,
            said: self.sent > 0,
            heard: !self.heard.is_empty(),
            requests: self.requests.len().min(2),
            links: self.links.keys().cloned().collect(),
            dials: self.dials.clone(),
            timers: self.timers.clone(),
        }
    }

    /// Tells it something.
    pub(super) fn tell(&mut self, step: &Step) -> Recording {
        self.now = step.now;
        self.events += 1;
        let hand = Hand::new(self.me.key);
        let context = Context { now: step.now, entropy: step.entropy, crypto: &hand };
        let ((), recording) = tap::recording(|| match &step.told {
            Told::Create(nonce) => {
                self.session = Some(tap::create(self.who, self.me.clone(), *nonce, &context));
            }
            Told::Invited { inviter, message, verdict } => {
                let (me, mut out) = (self.me.clone(), Vec::new());
                let invited =
                    tap::invited(self.who, me, inviter.clone(), message, *verdict, &context, &mut out);
                // Where there is no session, there was none before.
                self.session = invited.ok().or_else(|| self.session.take());
            }
            Told::Event(event) => {
                if let Some(session) = &mut self.session {
                    tap::handle(self.who, session, event.clone(), &context, &mut Vec::new());
                }
            }
        });
        if let Some(taken) = recording.taken.first() {
            self.keep(taken);
        }
        recording
    }

    /// Tells it a lie, event by event.
    pub(super) fn believe(&mut self, lie: &Lie) -> Recording {
        let mut recording = Recording::default();
        let now = Timestamp(self.now.0.max(1) + lie.later);
        for told in &lie.told {
            let entropy = [u8::try_from(self.events).unwrap_or(u8::MAX); 16];
            recording.append(self.tell(&Step { told: told.clone(), now, entropy }));
        }
        recording
    }

    /// Keeps what its shell has to know of a step.
    fn keep(&mut self, taken: &Taken) {
        match &taken.step.told {
            Told::Create(_) => {}
            Told::Invited { inviter, .. } if taken.done.refused.is_none() => {
                self.links.insert(inviter.handle.clone(), inviter.clone());
            }
            Told::Invited { .. } => {}
            Told::Event(event) => self.keep_event(event),
        }
        for action in &taken.done.actions {
            self.keep_action(action);
        }
        let membership = self.session.as_ref().and_then(Session::membership);
        if let Some(member) = membership
            && self.epoch.as_ref().is_none_or(|(_, hash)| *hash != member.hash)
        {
            self.epoch = Some((Arc::clone(&member.epoch), member.hash));
            self.sent = 0;
            self.heard.clear();
        }
    }

    fn keep_event(&mut self, event: &Event) {
        match event {
            Event::LinkUp { peer } => {
                self.dials.remove(&peer.handle);
                self.links.insert(peer.handle.clone(), peer.clone());
            }
            Event::LinkFailed { peer } => {
                self.dials.remove(peer);
            }
            Event::LinkLost { peer } => {
                self.links.remove(peer);
            }
            Event::Received { from, message } => {
                self.links.entry(from.handle.clone()).or_insert_with(|| from.clone());
                if let PeerMessage::Invitation(message) = message
                    && let InvitationBody::Welcome(welcome) = &message.body
                    && matches!(self.stage(), Some(Stage::Joining | Stage::Completed))
                {
                    self.epoch = Some((Arc::clone(&welcome.epoch), hash_epoch(&welcome.epoch)));
                }
            }
            Event::TimerFired(timer) => {
                self.timers.remove(timer);
            }
            Event::Invite { .. } | Event::Accept | Event::Refuse | Event::Say { .. } | Event::Leave => {}
        }
    }

    fn keep_action(&mut self, action: &Action) {
        match action {
            Action::Connect { peer, .. } => {
                self.dials.insert(peer.clone());
            }
            Action::Disconnect { peer, .. } => {
                self.dials.remove(peer);
                self.links.remove(peer);
            }
            Action::Arm { timer, .. } => {
                self.timers.insert(timer.clone());
            }
            Action::Disarm(timer) => {
                self.timers.remove(timer);
            }
            Action::Send { message: PeerMessage::Session(message), .. } => {
                if let SessionBody::TokenRequest(request) = &message.body {
                    self.requests.insert(request.number, request.change.clone());
                }
            }
            Action::Tell(Notice::MessageSent { .. }) => self.sent += 1,
            Action::Tell(Notice::MessageReceived { from, number, .. }) => {
                self.heard.insert(from.clone(), *number);
            }
            Action::Send { .. } | Action::Tell(_) | Action::Late { .. } => {}
        }
    }
}
