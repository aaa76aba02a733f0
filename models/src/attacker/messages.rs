//! What an attacker can say: each kind of message, made of known terms, with the epochs and hashes that can matter.
//!
//! Everything that is signed by others is what the attacker has seen; whatever its own users can sign is made here. A message that
//! differs from another one only in what its reader does not look at is left out.

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::KeyHash,
    message::client_client::{
        Admit, Admitted, Cancel, Close, Closed, Commit, Complete, Content, Follow, HandOver, HandOverAnswer,
        InvitationBody, InvitationMessage, Invite, Join, Message, PeerMessage, Received, Reject,
        RequestNumber, SentCount, SessionBody, SessionMessage, TokenGrant, TokenRefused, TokenRequest,
        TokenReturn, Welcome,
    },
    session::{
        Change, Commitment, Epoch, EpochHash, EpochNumber, Grant, Member, Nonce, Origin, SessionId, Ticket,
    },
    signed::{Sign as _, Signed},
    time::Timestamp,
};

use super::{Shot, Way};
use crate::{
    cast::{Cast, Who},
    crypto::{self, Hand, hash_epoch},
    turn::NOW,
    world::World,
};

/// Which epoch a message says that it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Header {
    Current,
    Previous,
    Next,
    Ahead,
    /// The current number with a hash that nobody has.
    Fork,
    OtherSession,
}

/// A hash that no epoch has.
pub(crate) const NO_HASH: EpochHash = EpochHash([0xEE; 32]);
/// Each byte of the key of a user that isn't in the cast.
pub(crate) const NO_KEY_BYTE: u8 = 0xFF;
pub(crate) const OTHER_SESSION: SessionId = SessionId([0xDD; 32]);

/// What one of the attacker's users can make for one honest client.
pub(crate) struct Forge<'w> {
    cast: &'w Cast,
    world: &'w World,
    by: Who,
    to: Who,
    me: &'w Member,
    target: &'w Member,
    /// The epoch that the honest client is in, or else the latest one.
    epoch: Arc<Epoch>,
    hash: EpochHash,
}

impl<'w> Forge<'w> {
    pub(crate) fn new(cast: &'w Cast, world: &'w World, by: Who, to: Who) -> Option<Self> {
        let own = world.client(to).and_then(|client| client.session.as_ref()?.membership());
        let latest = || {
            let members = world.in_session().filter_map(|(_, _, session)| session.membership());
            members.max_by_key(|member| member.epoch.number)
        };
        let (epoch, hash) = own.or_else(latest).map(|member| (Arc::clone(&member.epoch), member.hash))?;
        Some(Self { cast, world, by, to, me: cast.member(by)?, target: cast.member(to)?, epoch, hash })
    }

    fn is_member(&self, who: &Member) -> bool {
        self.epoch.member(&who.handle).is_some()
    }

    fn coordinates(&self) -> bool {
        self.epoch.coordinator == self.me.handle
    }

    pub(crate) fn origin(&self) -> Origin {
        self.epoch.origin
    }

    pub(crate) fn session(&self, header: Header, body: SessionBody) -> PeerMessage {
        let number = self.epoch.number;
        let (session, epoch, chain) = match header {
            Header::Current => (self.epoch.session, number, self.hash),
            Header::Previous => {
                (self.epoch.session, EpochNumber(number.0.saturating_sub(1)), self.epoch.previous)
            }
            Header::Next => (self.epoch.session, number.next(), NO_HASH),
            Header::Ahead => (self.epoch.session, number.next().next(), NO_HASH),
            Header::Fork => (self.epoch.session, number, NO_HASH),
            Header::OtherSession => (OTHER_SESSION, number, self.hash),
        };
        PeerMessage::Session(SessionMessage { body, chain, epoch, session })
    }

    pub(crate) fn invitation(&self, body: InvitationBody) -> PeerMessage {
        PeerMessage::Invitation(InvitationMessage { body, session: self.epoch.session })
    }

    /// All of them, with the links that they go by.
    pub(crate) fn all(&self, shots: &mut Vec<Shot>) {
        let mut add = |way: Way, message: PeerMessage| shots.push(Shot { way, message: Arc::new(message) });
        let Some(client) = self.world.client(self.to) else { return };
        let Some(session) = &client.session else {
            self.invites(&mut add);
            return;
        };
        let standing = self.world.attached(self.to, self.by).is_some();
        if session.membership().is_some() {
            self.knocks(standing, &mut add);
            if standing && self.coordinates() {
                self.orders(&mut add);
            } else if standing {
                self.disobeys(&mut add);
                self.succeeds(&mut add);
            }
            if standing && !self.is_member(self.me) {
                self.admits(Way::Standing, &mut add);
            }
        } else if standing {
            self.welcomes(&mut add);
            self.succeeds(&mut add);
        } else {
            add(Way::Fresh, self.session(Header::Next, SessionBody::Message(said(1))));
        }
    }

    // --- to somebody who is in no session ---

    fn invites(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let origins = [self.epoch.origin, Origin { key: self.me.key, nonce: Nonce([9; 16]) }];
        for origin in origins {
            add(Way::Fresh, self.invitation(InvitationBody::Invite(Invite { origin, lifetime: 120 })));
        }
    }

    // --- to somebody who joins ---

    fn welcomes(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let real = Epoch::clone(&self.epoch);
        let alone = |mut epoch: Epoch| {
            epoch.members = [self.me.clone()].into();
            epoch.coordinator = self.me.handle.clone();
            epoch
        };
        let mut twice: Vec<Member> = real.members.to_vec();
        twice.extend(real.members.first().cloned());
        let epochs = [
            real.clone(),
            alone(real.clone()),
            Epoch { session: OTHER_SESSION, ..real.clone() },
            Epoch { members: twice.into(), ..real.clone() },
            Epoch { number: real.number.next(), ..real },
        ];
        let granted = |grant: &&Signed<Grant>| {
            crypto::open(*grant).is_ok_and(|(_, claims)| claims.change == Change::Join(self.target.clone()))
        };
        let known = self.world.attacker.grants.iter().find(granted).cloned();
        let grant =
            known.unwrap_or_else(|| self.sign_grant(self.by, Change::Join(self.target.clone()), self.me));
        for epoch in epochs {
            let claims =
                Ticket { epoch: epoch.number, ..self.ticket_for(self.target, self.me, grant.clone()) };
            let ticket = self.sign_ticket(self.by, &claims);
            let alone = alone(epoch.clone());
            add(
                Way::Standing,
                self.invitation(InvitationBody::Welcome(Welcome { epoch: epoch.into(), ticket })),
            );
            // What follows it, where the newcomer believes that this is the coordinator.
            if let Ok(next) = alone.next(hash_epoch(&alone), Change::Join(self.target.clone())) {
                let commit = self.commit(&next, hash_epoch(&next), Vec::new());
                let message = SessionMessage {
                    body: SessionBody::Commit(commit),
                    chain: hash_epoch(&alone),
                    epoch: alone.number,
                    session: alone.session,
                };
                add(Way::Standing, PeerMessage::Session(message.clone()));
                add(
                    Way::Standing,
                    PeerMessage::Session(SessionMessage {
                        body: SessionBody::Admitted(Admitted {}),
                        ..message
                    }),
                );
            }
        }
        add(Way::Standing, self.invitation(InvitationBody::Cancel(Cancel {})));
        add(Way::Standing, self.session(Header::Current, SessionBody::Admitted(Admitted {})));
        add(Way::Standing, self.session(Header::Next, SessionBody::Message(said(1))));
        add(Way::Standing, self.session(Header::Fork, SessionBody::Admitted(Admitted {})));
        if let Ok(next) = self.epoch.next(self.hash, Change::Join(self.target.clone())) {
            for hash in [hash_epoch(&next), NO_HASH] {
                let commit = self.commit(&next, hash, Vec::new());
                add(Way::Standing, self.session(Header::Current, SessionBody::Commit(commit)));
            }
        }
    }

    // --- on a new link to a member ---

    fn knocks(&self, standing: bool, add: &mut impl FnMut(Way, PeerMessage)) {
        add(Way::Fresh, self.session(Header::Current, SessionBody::Message(said(1))));
        if self.is_member(self.me) {
            let grant = self.sign_grant(self.by, Change::Join(self.me.clone()), self.me);
            let ticket = self.sign_ticket(self.by, &self.ticket_for(self.me, self.me, grant));
            add(Way::Fresh, self.session(Header::Current, SessionBody::Admit(Admit { ticket })));
            return;
        }
        if !standing {
            self.admits(Way::Fresh, add);
        }
        for ticket in &self.world.attacker.tickets {
            for header in [Header::Previous, Header::Next] {
                let admit = Admit { ticket: ticket.clone() };
                add(Way::Fresh, self.session(header, SessionBody::Admit(admit)));
            }
        }
        for ticket in self.tickets_of_own_user() {
            add(Way::OtherKey, self.session(Header::Current, SessionBody::Admit(Admit { ticket })));
        }
    }

    fn admits(&self, way: Way, add: &mut impl FnMut(Way, PeerMessage)) {
        let mut tickets = self.world.attacker.tickets.clone();
        self.forge_tickets(&mut tickets);
        for (place, ticket) in (0..).zip(tickets) {
            let admit = || SessionBody::Admit(Admit { ticket: ticket.clone() });
            add(way, self.session(Header::Current, admit()));
            if place == 0 {
                add(way, self.session(Header::Fork, admit()));
                add(way, self.session(Header::Previous, admit()));
            }
        }
    }

    // --- on a standing link, to those whom this user does not coordinate ---

    fn disobeys(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let mut say = |body: SessionBody| add(Way::Standing, self.session(Header::Current, body));
        say(SessionBody::TokenReturn(TokenReturn {}));
        say(SessionBody::Admitted(Admitted {}));
        say(SessionBody::Complete(Complete {}));
        say(SessionBody::HandOver(HandOver {}));
        for accepted in [true, false] {
            say(SessionBody::HandOverAnswer(HandOverAnswer { accepted }));
        }
        for sent in [0, 1] {
            say(SessionBody::Closed(Closed { sent }));
        }
        for number in [1, 2] {
            say(SessionBody::Message(said(number)));
        }
        say(SessionBody::Received(Received { number: 1 }));
        say(SessionBody::TokenRefused(TokenRefused { code: ErrorCode::Forbidden, number: RequestNumber(1) }));
        for (number, change) in self.wishes() {
            say(SessionBody::TokenRequest(TokenRequest { change, number: RequestNumber(number) }));
        }
        let own = self.sign_grant(self.by, Change::Leave(self.target.handle.clone()), self.target);
        for grant in self.world.attacker.grants.iter().chain([&own]) {
            say(SessionBody::TokenGrant(TokenGrant { grant: grant.clone(), number: RequestNumber(1) }));
            let Ok((_, Grant { change, .. })) = crypto::open(grant) else { continue };
            if let Change::Join(Member { handle, .. }) = &change {
                let change = Change::Void(handle.clone());
                say(SessionBody::Close(Close { grant: grant.clone(), change }));
            }
            if let Ok(next) = self.epoch.next(self.hash, change.clone()) {
                say(SessionBody::Commit(self.commit(&next, hash_epoch(&next), self.counts(true))));
            }
            say(SessionBody::Close(Close { grant: grant.clone(), change }));
        }
        self.misplaces(add);
        let invitation = [
            InvitationBody::Join(Join { relay: self.me.relay, accepts: self.me.accepts.clone() }),
            InvitationBody::Reject(Reject {}),
            InvitationBody::Cancel(Cancel {}),
        ];
        for body in invitation {
            add(Way::Standing, self.invitation(body));
        }
    }

    /// Whom this user follows, and how the epoch has ended, says who: all of it to those who have lost the coordinator.
    fn succeeds(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let mut say = |body: SessionBody| add(Way::Standing, self.session(Header::Current, body));
        let coordinator = &self.epoch.coordinator;
        let orphaned = self.target.handle != *coordinator
            && self.world.attached(self.to, Who::of(coordinator)).is_none();
        let follow = |sent, leaving, successor: &Member| {
            SessionBody::Follow(Follow { sent, leaving, successor: successor.handle.clone() })
        };
        for commitment in &self.world.attacker.commitments {
            say(SessionBody::Commit(Commit { commitment: commitment.clone() }));
        }
        say(follow(0, false, self.me));
        if let Ok(next) = self.epoch.next(self.hash, Change::TakeOver(self.me.handle.clone())) {
            let hash = hash_epoch(&next);
            say(SessionBody::Commit(self.commit(&next, hash, self.counts(true))));
            if orphaned {
                let false_count = |sent: SentCount| SentCount { count: sent.count + 1, ..sent };
                let miscounted = self.counts(true).into_iter().map(false_count).collect();
                let wrong = [(hash, miscounted), (hash, Vec::new()), (NO_HASH, self.counts(true))];
                for (hash, counts) in wrong {
                    say(SessionBody::Commit(self.commit(&next, hash, counts)));
                }
            }
        }
        if !orphaned {
            return;
        }
        let there = self.epoch.members.iter().filter(|member| member.handle != *coordinator);
        for successor in there {
            say(follow(0, true, successor));
            say(follow(1, false, successor));
            if *successor != *self.me {
                say(follow(0, false, successor));
            }
        }
        self.last_words(&mut say);
    }

    /// The coordinator's last word, signed by it where it is the attacker's, and else by this user, who may not.
    fn last_words(&self, say: &mut impl FnMut(SessionBody)) {
        let coordinator = Who::of(&self.epoch.coordinator);
        let by = if self.world.attacker.has(coordinator) { coordinator } else { self.by };
        let hand = Self { by, epoch: Arc::clone(&self.epoch), ..*self };
        let stays = |member: &&Member| member.handle != self.epoch.coordinator;
        let changes = self.epoch.members.iter().filter(stays).flat_map(|member| {
            [Change::HandOver(member.handle.clone()), Change::Remove(member.handle.clone())]
        });
        for change in changes {
            if let Ok(next) = self.epoch.next(self.hash, change) {
                say(SessionBody::Commit(hand.commit(&next, hash_epoch(&next), self.counts(true))));
            }
        }
    }

    /// Chat messages where they do not belong.
    fn misplaces(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let headers = [Header::Previous, Header::Next, Header::Ahead, Header::Fork, Header::OtherSession];
        for header in headers {
            add(Way::Standing, self.session(header, SessionBody::Message(said(1))));
        }
    }

    /// What a member may want, and may not.
    fn wishes(&self) -> Vec<(u64, Change)> {
        let outsiders = self.everybody().filter(|member| !self.is_member(member));
        let mut wishes: Vec<(u64, Change)> =
            outsiders.map(|member| (1, Change::Join(member.clone()))).collect();
        wishes.push((1, Change::Join(self.me.clone())));
        // The second one is not the first one again: it asks to leave once more.
        wishes.push((2, Change::Leave(self.me.handle.clone())));
        wishes.push((3, Change::Leave(self.me.handle.clone())));
        wishes.push((1, Change::Leave(self.target.handle.clone())));
        wishes.push((1, Change::Remove(self.target.handle.clone())));
        wishes
    }

    // --- on a standing link, to those whom this user coordinates ---

    fn orders(&self, add: &mut impl FnMut(Way, PeerMessage)) {
        let mut say = |body: SessionBody| add(Way::Standing, self.session(Header::Current, body));
        say(SessionBody::HandOver(HandOver {}));
        say(SessionBody::Message(said(1)));
        let successor = self.target.handle.clone();
        say(SessionBody::Follow(Follow { sent: 0, leaving: false, successor }));
        let changes = self.changes();
        for change in &changes {
            let holder = self.holder_of(change);
            let grant = self.sign_grant(self.by, change.clone(), holder);
            say(SessionBody::Close(Close { grant: grant.clone(), change: change.clone() }));
            if let Change::Join(newcomer) = change {
                let voided = [newcomer, self.me].map(|newcomer| Change::Void(newcomer.handle.clone()));
                for change in voided {
                    say(SessionBody::Close(Close { grant: grant.clone(), change }));
                }
            }
        }
        self.false_closes(&changes, &mut say);
        let voided = changes.iter().filter_map(|change| match change {
            Change::Join(newcomer) => Some(Change::Void(newcomer.handle.clone())),
            Change::Create(_)
            | Change::Leave(_)
            | Change::Remove(_)
            | Change::HandOver(_)
            | Change::TakeOver(_)
            | Change::Void(_) => None,
        });
        for change in changes.iter().cloned().chain(voided) {
            let Ok(next) = self.epoch.next(self.hash, change) else { continue };
            let hash = hash_epoch(&next);
            say(SessionBody::Commit(self.commit(&next, hash, self.counts(true))));
            if self.counts(true) != self.counts(false) {
                say(SessionBody::Commit(self.commit(&next, hash, self.counts(false))));
            }
        }
        for change in &changes {
            let Ok(next) = self.epoch.next(self.hash, change.clone()) else { continue };
            say(SessionBody::Commit(self.commit(&next, NO_HASH, self.counts(true))));
        }
        self.answers(&mut say);
        self.misplaces(add);
    }

    /// Orders to close with a grant that does not fit.
    fn false_closes(&self, changes: &[Change], say: &mut impl FnMut(SessionBody)) {
        let [first, second, ..] = changes else { return };
        let holder = self.holder_of(first);
        let change = || first.clone();
        let good = self.grant(change(), holder);
        let wrong = [
            Grant { chain: NO_HASH, ..good.clone() },
            Grant { epoch: EpochNumber(self.epoch.number.0 + 1), ..good.clone() },
            Grant { session: OTHER_SESSION, ..good.clone() },
            Grant { holder: self.cast_other(holder).handle.clone(), ..good.clone() },
            Grant { change: second.clone(), ..good },
        ];
        for claims in wrong {
            let grant = self.hand(self.by).sign_grant(&claims);
            say(SessionBody::Close(Close { grant, change: change() }));
        }
        for grant in &self.world.attacker.grants {
            say(SessionBody::Close(Close { grant: grant.clone(), change: change() }));
        }
    }

    /// Grants and refusals for what this client asked for.
    fn answers(&self, say: &mut impl FnMut(SessionBody)) {
        for (from, request) in &self.world.attacker.asked {
            if *from != self.to {
                continue;
            }
            let number = request.number;
            let good = self.grant(request.change.clone(), self.target);
            let grants = [
                good.clone(),
                Grant { chain: NO_HASH, ..good.clone() },
                Grant { holder: self.me.handle.clone(), ..good.clone() },
                Grant { change: Change::Join(self.me.clone()), ..good },
            ];
            for claims in grants {
                let grant = self.hand(self.by).sign_grant(&claims);
                say(SessionBody::TokenGrant(TokenGrant { grant, number }));
            }
            say(SessionBody::TokenRefused(TokenRefused { code: ErrorCode::AlreadyMember, number }));
        }
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for member in self.everybody() {
            if !self.is_member(member) {
                changes.push(Change::Join(member.clone()));
            } else if *member != *self.me {
                changes.push(Change::Remove(member.handle.clone()));
                changes.push(Change::Leave(member.handle.clone()));
                changes.push(Change::HandOver(member.handle.clone()));
            }
        }
        changes
    }

    fn holder_of(&self, change: &Change) -> &Member {
        let named = match change {
            Change::Leave(who) | Change::HandOver(who) => self.epoch.member(who),
            Change::Create(_)
            | Change::Join(_)
            | Change::Remove(_)
            | Change::Void(_)
            | Change::TakeOver(_) => None,
        };
        named.unwrap_or(self.me)
    }

    /// What the honest members have said in this epoch, as far as it is true.
    fn counts(&self, truly: bool) -> Vec<SentCount> {
        let count = |member: &Member| {
            if truly { self.world.monitor.count(self.epoch.number, Who::of(&member.handle)) } else { 0 }
        };
        let count_of = |member: &Member| SentCount { count: count(member), member: member.handle.clone() };
        self.epoch.members.iter().map(count_of).collect()
    }

    // --- what is signed ---

    fn everybody(&self) -> impl Iterator<Item = &'w Member> {
        let cast = self.cast;
        self.world.everyone().filter_map(|(who, _)| cast.member(who))
    }

    fn cast_other(&self, than: &Member) -> &Member {
        if than == self.me { self.target } else { self.me }
    }

    fn hand(&self, who: Who) -> Hand {
        Hand::new(self.cast.member(who).map_or(KeyHash([NO_KEY_BYTE; 32]), |member| member.key))
    }

    fn grant(&self, change: Change, holder: &Member) -> Grant {
        Grant {
            chain: self.hash,
            epoch: self.epoch.number,
            change,
            holder: holder.handle.clone(),
            session: self.epoch.session,
            not_after: Timestamp(NOW.0 + 30),
        }
    }

    /// A commit by which this user would end the epoch before `next`.
    fn commit(&self, next: &Epoch, hash: EpochHash, sent: Vec<SentCount>) -> Commit {
        let commitment = Commitment {
            hash,
            sent,
            chain: next.previous,
            epoch: EpochNumber(next.number.0.saturating_sub(1)),
            change: next.change.clone(),
            session: next.session,
        };
        Commit { commitment: self.hand(self.by).sign_commitment(&commitment) }
    }

    fn sign_grant(&self, by: Who, change: Change, holder: &Member) -> Signed<Grant> {
        self.hand(by).sign_grant(&self.grant(change, holder))
    }

    fn ticket_for(&self, newcomer: &Member, issuer: &Member, grant: Signed<Grant>) -> Ticket {
        Ticket {
            key: newcomer.key,
            epoch: self.epoch.number,
            grant,
            nonce: Nonce([7; 16]),
            issuer: issuer.handle.clone(),
            session: self.epoch.session,
            newcomer: newcomer.handle.clone(),
            not_after: Timestamp(NOW.0 + 30),
        }
    }

    fn sign_ticket(&self, by: Who, ticket: &Ticket) -> Signed<Ticket> {
        self.hand(by).sign_ticket(ticket)
    }

    /// Tickets for this user, or as good as that: by each of the attacker's users, about every grant that it has.
    fn forge_tickets(&self, tickets: &mut Vec<Signed<Ticket>>) {
        let own = self.everybody().filter(|member| self.world.attacker.has(Who::of(&member.handle)));
        for signer in own {
            let by = Who::of(&signer.handle);
            let self_made = self.sign_grant(by, Change::Join(self.me.clone()), signer);
            tickets.push(self.sign_ticket(by, &self.ticket_for(self.me, signer, self_made)));
            for grant in &self.world.attacker.grants {
                let Ok((_, claims)) = crypto::open(grant) else { continue };
                let Change::Join(granted) = &claims.change else { continue };
                let good = self.ticket_for(self.me, signer, grant.clone());
                let mut forged = vec![
                    Ticket { session: OTHER_SESSION, ..good.clone() },
                    Ticket { epoch: EpochNumber(good.epoch.0.saturating_sub(1)), ..good.clone() },
                    Ticket { epoch: good.epoch.next(), ..good.clone() },
                    Ticket { not_after: Timestamp(NOW.0 - 61), ..good.clone() },
                    Ticket { not_after: Timestamp(NOW.0 + 31), ..good.clone() },
                    good.clone(),
                ];
                if claims.holder != signer.handle {
                    forged.push(Ticket { issuer: claims.holder, ..good.clone() });
                }
                if granted.handle != self.me.handle {
                    forged.push(Ticket { newcomer: granted.handle.clone(), key: granted.key, ..good });
                }
                tickets.extend(forged.iter().map(|claims| self.sign_ticket(by, claims)));
            }
        }
    }

    /// Tickets that name this user, for its other key.
    fn tickets_of_own_user(&self) -> Vec<Signed<Ticket>> {
        let mut tickets = self.world.attacker.tickets.clone();
        self.forge_tickets(&mut tickets);
        let fits = |ticket: &Signed<Ticket>| {
            crypto::open(ticket).is_ok_and(|(_, claims)| {
                let granted = crypto::open(&claims.grant);
                claims.newcomer == self.me.handle
                    && claims.epoch == self.epoch.number
                    && claims.session == self.epoch.session
                    && claims.not_after == Timestamp(NOW.0 + 30)
                    && granted.is_ok_and(|(_, grant)| grant.change == Change::Join(self.me.clone()))
            })
        };
        tickets.retain(fits);
        tickets
    }
}

pub(crate) fn said(number: u64) -> Message {
    Message { number, content: Content([0].into()), media_type: "text/plain".into() }
}
