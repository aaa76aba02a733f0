//! What an honest client must have been shown for what it does; judged from outside its machine.
//!
//! The models without an attacker need none of this, because there the only messages are those of honest machines. Here each
//! thing that an attacker is after (to be admitted, to close an epoch, to have something delivered) is held against the
//! messages that the client had received by then: at least one of them has to entitle it. The conditions are statements about what a
//! term says, in no order, and know nothing of what a machine keeps.

use antiphon_spec::{
    identity::{KeyHash, Peer, UserHandle},
    limits::CLOCK_SKEW,
    message::client_client::{Close, InvitationBody, PeerMessage, SessionBody, SessionMessage, Welcome},
    session::{Action, Change, Epoch, EpochHash, Grant, Member, Notice, Ticket},
    signed::Signed,
};

use crate::{
    cast::Who,
    crypto::{self, hash_epoch},
    monitor::{Monitor, Violation},
    turn::NOW,
};

/// What a client knew when it did something.
pub(crate) struct Witness<'w> {
    pub(crate) me: &'w Member,
    /// Whether its user wants to leave.
    pub(crate) is_leaving: bool,
    /// Whether it had no link to the coordinator, and was not the coordinator itself.
    pub(crate) is_orphaned: bool,
    /// The epoch that it was in.
    pub(crate) before: Option<&'w Epoch>,
    /// What has come for an epoch that had not begun.
    pub(crate) early: &'w [(Peer, SessionMessage)],
    /// What came now.
    pub(crate) now: Option<(&'w Peer, &'w PeerMessage)>,
}

impl Witness<'_> {
    /// Holds what the client did against what it had seen.
    pub(crate) fn judge(&self, out: &[Action], monitor: &mut Monitor) {
        self.judge_commit(out, monitor);
        let mut view = self.before.map(|epoch| (epoch, hash_epoch(epoch)));
        for action in out {
            match action {
                Action::Tell(Notice::EpochBegan(epoch)) => view = Some((epoch, hash_epoch(epoch))),
                Action::Tell(Notice::MessageReceived { from, number, .. }) => {
                    let entitled = view.is_some_and(|view| self.was_said(from, *number, view));
                    monitor.blame_unless(entitled, Violation::WrongDelivery);
                }
                Action::Send { to, message: PeerMessage::Session(said) } => match (&said.body, view) {
                    (SessionBody::Admitted(_), Some(view)) => {
                        // The coordinator is told the same of the newcomer.
                        let newcomers = to.iter().filter(|to| **to != view.0.coordinator);
                        newcomers.for_each(|to| self.judge_admission(to, view, monitor));
                    }
                    (SessionBody::Closed(_), Some(view)) => {
                        monitor.blame_unless(self.was_closed(view), Violation::CloseUngranted);
                        monitor.blame_unless(self.may_part(view), Violation::PartedUnasked);
                    }
                    (SessionBody::Close(close), Some(view)) => {
                        monitor.blame_unless(self.may_close(close, view), Violation::JoinMeddledWith);
                    }
                    _ => {}
                },
                Action::Send { message: PeerMessage::Invitation(said), .. } => {
                    if let (InvitationBody::Welcome(welcome), Some(view)) = (&said.body, view) {
                        let granted = grant_of(&welcome.ticket)
                            .is_some_and(|grant| is_granted(&grant, view) && self.is_mine(&grant));
                        monitor.blame_unless(granted, Violation::GrantUnchecked);
                    }
                }
                Action::Connect { .. }
                | Action::Disconnect { .. }
                | Action::Arm { .. }
                | Action::Disarm(_)
                | Action::Tell(_)
                | Action::Late { .. } => {}
            }
        }
        self.judge_welcome(out, monitor);
    }

    /// The session messages that have come for this epoch, held ones and the one that came now.
    fn heard<'s>(
        &'s self,
        view: (&'s Epoch, EpochHash),
    ) -> impl Iterator<Item = (&'s Peer, &'s SessionBody)> {
        let now = self.now.and_then(|(from, message)| match message {
            PeerMessage::Session(message) => Some((from, message)),
            PeerMessage::Invitation(_) => None,
        });
        let early = self.early.iter().map(|(from, message)| (from, message));
        early.chain(now).filter_map(move |(from, message)| {
            let here = message.session == view.0.session
                && message.epoch == view.0.number
                && message.chain == view.1;
            here.then_some((from, &message.body))
        })
    }

    fn was_said(&self, by: &UserHandle, number: u64, view: (&Epoch, EpochHash)) -> bool {
        view.0.member(by).is_some()
            && self.heard(view).any(|(from, body)| {
                from.handle == *by && matches!(body, SessionBody::Message(said) if said.number == number)
            })
    }

    /// Whether the coordinator has shown its grant for a change that closes this epoch.
    fn was_closed(&self, view: (&Epoch, EpochHash)) -> bool {
        self.heard(view).any(|(from, body)| {
            let SessionBody::Close(close) = body else { return false };
            let Some(grant) = opened(&close.grant).filter(|grant| is_granted(grant, view)) else {
                return false;
            };
            let fits = match (&close.change, &grant.1.change) {
                (Change::Void(newcomer), Change::Join(member)) => *newcomer == member.handle,
                (change, granted) => change == granted,
            };
            let holder = match &close.change {
                Change::Leave(who) | Change::HandOver(who) => Some(who),
                Change::Remove(_) => Some(&view.0.coordinator),
                Change::Create(_) | Change::Join(_) | Change::Void(_) | Change::TakeOver(_) => None,
            };
            from.handle == view.0.coordinator && fits && holder.is_none_or(|holder| *holder == grant.1.holder)
        })
    }

    /// Whether no close that has come parts the client from the session against its user's will.
    fn may_part(&self, view: (&Epoch, EpochHash)) -> bool {
        self.heard(view).all(|(_, body)| {
            let SessionBody::Close(close) = body else { return true };
            match &close.change {
                Change::Leave(who) => *who != self.me.handle || self.is_leaving,
                Change::Remove(who) => *who != self.me.handle,
                Change::Create(_)
                | Change::Join(_)
                | Change::HandOver(_)
                | Change::Void(_)
                | Change::TakeOver(_) => true,
            }
        })
    }

    /// Whether the client, as coordinator, ends a join by the newcomer's own word, or takes the token back from the holder.
    fn may_close(&self, close: &Close, view: (&Epoch, EpochHash)) -> bool {
        let Some((_, grant)) = opened(&close.grant) else { return false };
        match &close.change {
            Change::Join(newcomer) => self.heard(view).any(|(from, body)| {
                from.handle == newcomer.handle && matches!(body, SessionBody::Complete(_))
            }),
            Change::Void(_) => match self.now {
                Some((from, PeerMessage::Session(message))) => {
                    !matches!(message.body, SessionBody::TokenReturn(_)) || from.handle == grant.holder
                }
                Some((_, PeerMessage::Invitation(_))) | None => true,
            },
            Change::Create(_)
            | Change::Leave(_)
            | Change::Remove(_)
            | Change::HandOver(_)
            | Change::TakeOver(_) => true,
        }
    }

    /// The client has told `to` that its ticket is good.
    fn judge_admission(&self, to: &UserHandle, view: (&Epoch, EpochHash), monitor: &mut Monitor) {
        let shown = self.heard(view).filter(|(from, _)| from.handle == *to).filter_map(|(peer, body)| {
            let SessionBody::Admit(admit) = body else { return None };
            Some(faults(&admit.ticket, peer, view))
        });
        let faults: Vec<Vec<Violation>> = shown.collect();
        if faults.iter().any(Vec::is_empty) {
            return;
        }
        if faults.is_empty() {
            monitor.blame(Violation::TicketElsewhere);
        }
        faults.into_iter().flatten().for_each(|fault| monitor.blame(fault));
    }

    /// A commit that the client took is the word of the coordinator, or of one that takes over, and says what the client
    /// itself has said. One who shows another's word may have been lost to the signer, and so not be counted.
    fn judge_commit(&self, out: &[Action], monitor: &mut Monitor) {
        let (Some(view), Some((from, PeerMessage::Session(message)))) = (self.before, self.now) else {
            return;
        };
        let SessionBody::Commit(commit) = &message.body else { return };
        let refused = |action: &Action| {
            let is_late = matches!(action, Action::Late { from: late } if *late == from.handle);
            is_late || matches!(action, Action::Disconnect { peer, fault: Some(_) } if *peer == from.handle)
        };
        if out.iter().any(refused) || message.epoch != view.number {
            return;
        }
        let Ok((signer, commitment)) = crypto::open(&commit.commitment) else {
            return monitor.blame(Violation::CommitUnsigned);
        };
        let ender = match &commitment.change {
            Change::TakeOver(successor) => successor,
            Change::Create(_)
            | Change::Join(_)
            | Change::Leave(_)
            | Change::Remove(_)
            | Change::HandOver(_)
            | Change::Void(_) => &view.coordinator,
        };
        let signed = view.member(ender).is_some_and(|ender| ender.key == signer)
            && commitment.session == view.session
            && commitment.epoch == view.number
            && commitment.chain == hash_epoch(view);
        monitor.blame_unless(signed, Violation::CommitUnsigned);
        if !self.is_orphaned && from.handle != view.coordinator {
            // It is kept for the case that the coordinator is lost, and judged then.
            return;
        }
        let own = monitor.count(view.number, Who::of(&self.me.handle));
        let mut counts = commitment.sent.iter().filter(|sent| sent.member == self.me.handle);
        let counted = counts.next().map_or(from.handle != *ender, |sent| sent.count == own);
        monitor.blame_unless(counted, Violation::Miscounted);
    }

    /// A newcomer that goes by a welcome.
    fn judge_welcome(&self, out: &[Action], monitor: &mut Monitor) {
        let Some((from, PeerMessage::Invitation(message))) = self.now else { return };
        let InvitationBody::Welcome(Welcome { epoch, .. }) = &message.body else { return };
        let follows = |action: &Action| {
            matches!(action, Action::Send { message: PeerMessage::Session(said), .. }
                if matches!(said.body, SessionBody::Admit(_)))
        };
        if !out.iter().any(follows) {
            return;
        }
        let listed = |peer: &Peer| epoch.member(&peer.handle).is_some_and(|member| member.key == peer.key);
        let sound = epoch.session == message.session
            && crypto::session_id(&epoch.origin) == epoch.session
            && epoch.members.is_sorted_by(|a, b| a.handle < b.handle)
            && listed(from)
            && epoch.member(&epoch.coordinator).is_some()
            && epoch.member(&self.me.handle).is_none();
        monitor.blame_unless(sound, Violation::WelcomeUnsound);
    }

    fn is_mine(&self, grant: &(KeyHash, Grant)) -> bool {
        grant.1.holder == self.me.handle
    }
}

/// What a ticket lacks to let this peer in.
fn faults(ticket: &Signed<Ticket>, peer: &Peer, view: (&Epoch, EpochHash)) -> Vec<Violation> {
    let Ok((signer, claims)) = crypto::open(ticket) else { return vec![Violation::TicketUnsigned] };
    let grant = opened(&claims.grant);
    let newcomer = |member: &Member| member.handle == claims.newcomer && member.key == claims.key;
    let granted = grant.is_some_and(|grant| {
        is_granted(&grant, view)
            && grant.1.holder == claims.issuer
            && matches!(&grant.1.change, Change::Join(member) if newcomer(member))
            && claims.not_after <= grant.1.not_after
    });
    let needed = [
        (view.0.member(&claims.issuer).is_some_and(|issuer| issuer.key == signer), Violation::TicketUnsigned),
        (claims.session == view.0.session && claims.epoch == view.0.number, Violation::TicketElsewhere),
        (claims.newcomer == peer.handle && claims.key == peer.key, Violation::TicketStolen),
        (granted, Violation::TicketUngranted),
        (NOW <= claims.not_after.after(CLOCK_SKEW), Violation::TicketExpired),
    ];
    needed.into_iter().filter(|(is_so, _)| !is_so).map(|(_, violation)| violation).collect()
}

fn opened(grant: &Signed<Grant>) -> Option<(KeyHash, Grant)> {
    crypto::open(grant).ok()
}

fn grant_of(ticket: &Signed<Ticket>) -> Option<(KeyHash, Grant)> {
    opened(&crypto::open(ticket).ok()?.1.grant)
}

/// Whether the coordinator of this epoch has signed the grant, for this epoch.
fn is_granted(grant: &(KeyHash, Grant), view: (&Epoch, EpochHash)) -> bool {
    let (signer, claims) = grant;
    let coordinator = view.0.member(&view.0.coordinator);
    coordinator.is_some_and(|coordinator| coordinator.key == *signer)
        && claims.session == view.0.session
        && claims.epoch == view.0.number
        && claims.chain == view.1
}
