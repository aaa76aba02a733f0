//! What a client may be told by a world that keeps to no rule but those of its own shell: peers that lie, all of them if
//! need be, each with its own key alone; a user that does not listen; links and timers that end when they like.
//!
//! A model explores few liars in depth. This goes no deeper than a few steps, but asks every state that any run leads to.

use antiphon_conformance::recorded::Told;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    message::client_client::*,
    policy::Verdict,
    session::{
        Change, Commitment, Epoch, EpochHash, EpochNumber, Event, Grant, LocalNumber, Member, Nonce, Origin,
        SessionId, Stage, Ticket,
    },
    signed::{Sign as _, Signed},
    time::Timestamp,
};

use super::single::Single;
use crate::{
    attacker::messages::{NO_HASH, OTHER_SESSION, said},
    cast::Cast,
    crypto::{Hand, hash_epoch},
    tap::Recording,
    turn::OTHER_KEY_BYTE,
};

/// One thing after the other, at one time.
#[derive(Clone, Debug)]
pub(super) struct Lie {
    pub(super) told: Vec<Told>,
    /// How many seconds after what came before.
    pub(super) later: u64,
}

/// So late no ticket is good.
const LATER: u64 = 3600;

/// What a run has shown, for liars to say again.
pub(super) struct Liars<'r> {
    cast: Cast,
    /// Every message of the run.
    messages: Vec<&'r PeerMessage>,
}

/// A text that is longer than a media type may be, and the shortest thing that is too long.
fn long_media_type() -> String {
    format!("text/{}", "x".repeat(251))
}

impl<'r> Liars<'r> {
    fn new(clients: u8, told: impl IntoIterator<Item = &'r Told>) -> Self {
        let mut messages: Vec<&PeerMessage> = Vec::new();
        for told in told {
            if let Told::Event(Event::Received { message, .. }) = told
                && !messages.contains(&message)
            {
                messages.push(message);
            }
        }
        Self { cast: Cast::new(clients), messages }
    }

    /// Those of a run with so many clients, a stranger among them.
    pub(super) fn of(recording: &'r Recording, clients: u8) -> Self {
        Self::new(clients, recording.taken.iter().map(|taken| &taken.step.told))
    }

    /// All that the client may be told now. The same client is told the same, in the same order.
    pub(super) fn all(&self, client: &Single) -> Vec<Lie> {
        let mut lies = Lies(Vec::new());
        match client.stage() {
            None => self.invite(client, &mut lies),
            Some(Stage::Ended) => {}
            Some(_) => {
                self.users(client, &mut lies);
                self.links(client, &mut lies);
                for peer in self.peers(client) {
                    self.messages(client, &peer, &mut lies);
                }
            }
        }
        lies.0
    }

    /// The others, as their certificates prove them.
    fn peers(&self, client: &Single) -> Vec<Peer> {
        let others = self.cast.members().filter(|member| member.handle != client.me.handle);
        let peer = |member: &Member| Peer { handle: member.handle.clone(), key: member.key };
        others.map(|other| client.links.get(&other.handle).cloned().unwrap_or_else(|| peer(other))).collect()
    }

    /// Whatever may come first.
    fn invite(&self, client: &Single, lies: &mut Lies) {
        for inviter in self.peers(client).into_iter().take(1) {
            let origin = Origin { key: inviter.key, nonce: Nonce([9; 16]) };
            let session = crate::crypto::session_id(&origin);
            let invite = || InvitationBody::Invite(Invite { origin, lifetime: 60 });
            let mut add = |session: SessionId, body: InvitationBody, verdict: Verdict| {
                let message = InvitationMessage { body, session };
                lies.add([Told::Invited { inviter: inviter.clone(), message, verdict }]);
            };
            add(session, invite(), Verdict::Allow);
            add(session, invite(), Verdict::Deny);
            add(OTHER_SESSION, invite(), Verdict::Allow);
            add(session, self.join(client), Verdict::Allow);
            add(session, InvitationBody::Reject(Reject {}), Verdict::Allow);
            add(session, InvitationBody::Cancel(Cancel {}), Verdict::Allow);
            if let Some(member) = self.cast.members().find(|member| member.handle == inviter.handle) {
                let epoch = Epoch::first(session, origin, member.clone());
                let (hash, hand) = (hash_epoch(&epoch), Hand::new(inviter.key));
                let liar = Liar { cast: &self.cast, client, from: &inviter, epoch: &epoch, hash, hand };
                let ticket = liar.ticket(&client.me);
                let welcome = Welcome { epoch: epoch.into(), ticket };
                add(session, InvitationBody::Welcome(welcome), Verdict::Allow);
            }
        }
    }

    fn join(&self, client: &Single) -> InvitationBody {
        InvitationBody::Join(Join { relay: client.me.relay, accepts: client.me.accepts.clone() })
    }

    /// The user says yes and no at any time.
    fn users(&self, client: &Single, lies: &mut Lies) {
        for member in self.cast.members() {
            lies.event(Event::Invite { invitee: member.handle.clone() });
        }
        let say = |media_type: &str| Event::Say {
            local: LocalNumber(1000),
            media_type: media_type.into(),
            content: Content(b"hello".as_slice().into()),
        };
        lies.event(Event::Accept);
        lies.event(Event::Refuse);
        lies.event(Event::Leave);
        lies.event(say("text/plain"));
        lies.event(say("image/png"));
        lies.event(say(&long_media_type()));
        for timer in &client.timers {
            lies.event(Event::TimerFired(timer.clone()));
        }
    }

    fn links(&self, client: &Single, lies: &mut Lies) {
        for peer in self.peers(client) {
            if client.dials.contains(&peer.handle) {
                lies.event(Event::LinkUp { peer: peer.clone() });
                let key = KeyHash([OTHER_KEY_BYTE; 32]);
                lies.event(Event::LinkUp { peer: Peer { key, ..peer.clone() } });
                lies.event(Event::LinkFailed { peer: peer.handle.clone() });
            }
            if client.links.contains_key(&peer.handle) {
                lies.event(Event::LinkLost { peer: peer.handle.clone() });
            }
        }
    }

    /// What a peer says.
    fn messages(&self, client: &Single, from: &Peer, lies: &mut Lies) {
        let is_linked = client.links.contains_key(&from.handle);
        let session = client.session.as_ref().map(antiphon_spec::session::Session::id);
        let Some(session) = session.filter(|_| is_linked || !client.dials.contains(&from.handle)) else {
            return;
        };
        let mut say = |message: PeerMessage| {
            lies.add([Told::Event(Event::Received { from: from.clone(), message })]);
        };
        let liar = client.epoch.as_ref().map(|(epoch, hash)| Liar {
            cast: &self.cast,
            client,
            from,
            epoch,
            hash: *hash,
            hand: Hand::new(from.key),
        });
        if !is_linked {
            // On a new link, nothing else comes as far as the machine.
            for admit in self.admits(liar.as_ref()) {
                say(PeerMessage::Session(admit));
            }
            return;
        }
        for body in self.invitations(client, liar.as_ref()) {
            say(PeerMessage::Invitation(InvitationMessage { body, session }));
        }
        for message in &self.messages {
            say(PeerMessage::clone(message));
        }
        let Some(liar) = liar else {
            let (chain, epoch) = (NO_HASH, EpochNumber(0));
            let body = SessionBody::Closed(Closed { sent: 0 });
            return say(PeerMessage::Session(SessionMessage { body, chain, epoch, session }));
        };
        for body in liar.bodies() {
            say(PeerMessage::Session(liar.now(body)));
        }
        for message in liar.misplaced().into_iter().chain(self.admits(Some(&liar))) {
            say(PeerMessage::Session(message));
        }
        for admit in self.admits(Some(&liar)).into_iter().take(1) {
            let message = PeerMessage::Session(admit);
            let told = vec![Told::Event(Event::Received { from: from.clone(), message })];
            lies.0.push(Lie { told, later: LATER });
        }
        lies.add(liar.many_requests());
    }

    fn invitations(&self, client: &Single, liar: Option<&Liar<'_>>) -> Vec<InvitationBody> {
        let origin = Origin { key: client.me.key, nonce: Nonce([9; 16]) };
        let mut bodies = vec![
            InvitationBody::Invite(Invite { origin, lifetime: 60 }),
            self.join(client),
            InvitationBody::Reject(Reject {}),
            InvitationBody::Cancel(Cancel {}),
        ];
        let welcomes = self.messages.iter().filter_map(|message| match message {
            PeerMessage::Invitation(InvitationMessage { body: InvitationBody::Welcome(welcome), .. }) => {
                Some(welcome)
            }
            PeerMessage::Invitation(_) | PeerMessage::Session(_) => None,
        });
        for welcome in welcomes.take(1) {
            let real = || Epoch::clone(&welcome.epoch);
            let mut crowd = real();
            crowd.members = Cast::new(crate::cast::CLIENTS_MAX - 2).members().cloned().collect();
            for epoch in [Epoch { session: OTHER_SESSION, ..real() }, crowd] {
                bodies.push(InvitationBody::Welcome(Welcome { epoch: epoch.into(), ..welcome.clone() }));
            }
        }
        if let Some(liar) = liar {
            let ticket = liar.ticket(&liar.client.me);
            bodies.push(InvitationBody::Welcome(Welcome { epoch: liar.epoch.clone().into(), ticket }));
        }
        bodies
    }

    /// Tickets that others have shown, and one that the liar has made.
    fn admits(&self, liar: Option<&Liar<'_>>) -> Vec<SessionMessage> {
        let mut admits: Vec<SessionMessage> = Vec::new();
        if let Some(liar) = liar {
            let member = liar.member();
            admits.push(liar.now(SessionBody::Admit(Admit { ticket: liar.ticket(member) })));
            admits.push(liar.next(SessionBody::Admit(Admit { ticket: liar.ticket(member) })));
        }
        let shown = self.messages.iter().filter_map(|message| match message {
            PeerMessage::Session(message) if matches!(message.body, SessionBody::Admit(_)) => Some(message),
            PeerMessage::Session(_) | PeerMessage::Invitation(_) => None,
        });
        admits.extend(shown.cloned());
        admits
    }
}

/// What can be told.
struct Lies(Vec<Lie>);

impl Lies {
    fn add(&mut self, told: impl Into<Vec<Told>>) {
        self.0.push(Lie { told: told.into(), later: 0 });
    }

    fn event(&mut self, event: Event) {
        self.add([Told::Event(event)]);
    }
}

/// One liar with a client in an epoch.
struct Liar<'c> {
    cast: &'c Cast,
    client: &'c Single,
    from: &'c Peer,
    epoch: &'c Epoch,
    hash: EpochHash,
    hand: Hand,
}

impl Liar<'_> {
    fn member(&self) -> &Member {
        self.cast.members().find(|member| member.handle == self.from.handle).unwrap_or(&self.client.me)
    }

    fn now(&self, body: SessionBody) -> SessionMessage {
        SessionMessage { body, chain: self.hash, epoch: self.epoch.number, session: self.epoch.session }
    }

    fn next(&self, body: SessionBody) -> SessionMessage {
        SessionMessage { chain: NO_HASH, epoch: self.epoch.number.next(), ..self.now(body) }
    }

    /// What may be said, and by whom: in each epoch another one may say it.
    fn bodies(&self) -> Vec<SessionBody> {
        let mut bodies = vec![
            SessionBody::TokenReturn(TokenReturn {}),
            SessionBody::Admitted(Admitted {}),
            SessionBody::Complete(Complete {}),
            SessionBody::HandOver(HandOver {}),
            SessionBody::HandOverAnswer(HandOverAnswer { accepted: true }),
            SessionBody::HandOverAnswer(HandOverAnswer { accepted: false }),
            SessionBody::Closed(Closed { sent: 0 }),
            SessionBody::Closed(Closed { sent: 1 }),
        ];
        self.chat(&mut bodies);
        self.requests(&mut bodies);
        self.orders(&mut bodies);
        for successor in self.epoch.handles() {
            for leaving in [false, true] {
                let follow = Follow { sent: 0, leaving, successor: successor.clone() };
                bodies.push(SessionBody::Follow(follow));
            }
        }
        bodies
    }

    fn chat(&self, bodies: &mut Vec<SessionBody>) {
        let heard = self.client.heard.get(&self.from.handle).copied().unwrap_or(0);
        for number in [heard + 1, heard + 2, heard] {
            bodies.push(SessionBody::Message(said(number)));
        }
        for media_type in ["image/png", &long_media_type()] {
            let media_type = media_type.into();
            bodies.push(SessionBody::Message(Message { media_type, ..said(heard + 1) }));
        }
        for number in [self.client.sent, self.client.sent + 1] {
            bodies.push(SessionBody::Received(Received { number }));
        }
    }

    fn requests(&self, bodies: &mut Vec<SessionBody>) {
        let handles = [&self.from.handle, &self.client.me.handle];
        let mut changes: Vec<Change> = handles.map(|handle| Change::Leave(handle.clone())).into();
        changes.extend(handles.map(|handle| Change::Remove(handle.clone())));
        changes.extend(self.cast.members().map(|member| Change::Join(member.clone())));
        for change in changes {
            let number = RequestNumber(1);
            bodies.push(SessionBody::TokenRequest(TokenRequest { change, number }));
        }
        let unknown = RequestNumber(99);
        for &number in self.client.requests.keys().chain([&unknown]) {
            let code = ErrorCode::AlreadyMember;
            bodies.push(SessionBody::TokenRefused(TokenRefused { code, number }));
        }
    }

    /// More requests than a coordinator keeps of one member.
    fn many_requests(&self) -> Vec<Told> {
        let request = |number: u64| {
            let change = Change::Leave(self.from.handle.clone());
            let request = TokenRequest { change, number: RequestNumber(number) };
            let message = PeerMessage::Session(self.now(SessionBody::TokenRequest(request)));
            Told::Event(Event::Received { from: self.from.clone(), message })
        };
        (1..=REQUESTS).map(|number| request(number + 100)).collect()
    }

    /// What a coordinator says, or a successor.
    fn orders(&self, bodies: &mut Vec<SessionBody>) {
        let unknown = RequestNumber(99);
        let wish = Change::Leave(self.client.me.handle.clone());
        for (&number, change) in self.client.requests.iter().chain([(&unknown, &wish)]) {
            let good = self.grant(change.clone(), &self.client.me.handle);
            for claims in [Grant { chain: NO_HASH, ..good.clone() }, good] {
                let grant = self.hand.sign_grant(&claims);
                bodies.push(SessionBody::TokenGrant(TokenGrant { grant, number }));
            }
        }
        for change in self.changes() {
            let holder = self.holder_of(&change).clone();
            let grant = self.hand.sign_grant(&self.grant(change.clone(), &holder));
            if let Change::Join(newcomer) = &change {
                let change = Change::Void(newcomer.handle.clone());
                bodies.push(SessionBody::Close(Close { grant: grant.clone(), change }));
            }
            bodies.push(SessionBody::Close(Close { grant, change: change.clone() }));
            self.commits(change, bodies);
        }
    }

    fn commits(&self, change: Change, bodies: &mut Vec<SessionBody>) {
        let Ok(next) = self.epoch.next(self.hash, change.clone()) else { return };
        let hash = hash_epoch(&next);
        let me = &self.client.me.handle;
        let count = |member: &UserHandle, more: u64| {
            let count = if member == me {
                self.client.sent
            } else {
                self.client.heard.get(member).copied().unwrap_or(0)
            };
            SentCount { count: count + more, member: member.clone() }
        };
        let sent = |own: u64, others: u64| {
            let more = |member: &UserHandle| if member == me { own } else { others };
            self.epoch.handles().map(|member| count(member, more(member))).collect::<Vec<_>>()
        };
        let uncounted = sent(0, 0).into_iter().filter(|sent| sent.member != *me).collect();
        let claims = |hash: EpochHash, sent: Vec<SentCount>| Commitment {
            hash,
            sent,
            chain: self.hash,
            epoch: self.epoch.number,
            change: change.clone(),
            session: self.epoch.session,
        };
        let commitments = [
            claims(hash, sent(0, 0)),
            claims(NO_HASH, sent(0, 0)),
            claims(hash, sent(1, 0)),
            claims(hash, sent(0, 1)),
            claims(hash, uncounted),
            Commitment { chain: NO_HASH, ..claims(hash, sent(0, 0)) },
        ];
        for commitment in commitments {
            let commitment = self.hand.sign_commitment(&commitment);
            bodies.push(SessionBody::Commit(Commit { commitment }));
        }
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for member in self.cast.members() {
            let handle = || member.handle.clone();
            if self.epoch.member(&member.handle).is_none() {
                changes.extend([Change::Join(member.clone()), Change::Void(handle())]);
            } else {
                changes.extend([
                    Change::Leave(handle()),
                    Change::Remove(handle()),
                    Change::HandOver(handle()),
                ]);
            }
        }
        changes
            .extend([Change::TakeOver(self.from.handle.clone()), Change::Create(self.from.handle.clone())]);
        changes
    }

    fn holder_of<'h>(&'h self, change: &'h Change) -> &'h UserHandle {
        match change {
            Change::Leave(who) | Change::HandOver(who) => who,
            Change::Create(_)
            | Change::Join(_)
            | Change::Remove(_)
            | Change::Void(_)
            | Change::TakeOver(_) => &self.from.handle,
        }
    }

    /// What would be right in another epoch, on another chain, or in another session.
    fn misplaced(&self) -> Vec<SessionMessage> {
        let number = self.epoch.number;
        let before = EpochNumber(number.0.saturating_sub(1));
        let follow = Follow { sent: 0, leaving: false, successor: self.from.handle.clone() };
        let headers = |body: SessionBody| {
            let now = self.now(body);
            [
                self.next(now.body.clone()),
                SessionMessage { epoch: number.next().next(), ..now.clone() },
                SessionMessage { epoch: before, chain: self.epoch.previous, ..now.clone() },
                SessionMessage { epoch: before, chain: NO_HASH, ..now.clone() },
                SessionMessage { epoch: EpochNumber(0), ..now.clone() },
                SessionMessage { chain: NO_HASH, ..now.clone() },
                SessionMessage { session: OTHER_SESSION, ..now },
            ]
        };
        let bodies = [
            SessionBody::Message(said(1)),
            SessionBody::Received(Received { number: 1 }),
            SessionBody::Follow(follow),
            SessionBody::Closed(Closed { sent: 0 }),
            SessionBody::Admit(Admit { ticket: self.ticket(self.member()) }),
        ];
        bodies.into_iter().flat_map(headers).collect()
    }

    fn grant(&self, change: Change, holder: &UserHandle) -> Grant {
        Grant {
            chain: self.hash,
            epoch: self.epoch.number,
            change,
            holder: holder.clone(),
            session: self.epoch.session,
            not_after: self.until(),
        }
    }

    /// A ticket by the liar on a grant by the liar: a good one where it coordinates.
    fn ticket(&self, newcomer: &Member) -> Signed<Ticket> {
        let grant = self.grant(Change::Join(newcomer.clone()), &self.from.handle);
        self.hand.sign_ticket(&Ticket {
            key: newcomer.key,
            epoch: self.epoch.number,
            grant: self.hand.sign_grant(&grant),
            nonce: Nonce([7; 16]),
            issuer: self.from.handle.clone(),
            session: self.epoch.session,
            newcomer: newcomer.handle.clone(),
            not_after: self.until(),
        })
    }

    fn until(&self) -> Timestamp {
        Timestamp(self.client.now.0 + 30)
    }
}

/// One more than waits, one that waits for its turn, and the one that is being served.
const REQUESTS: u64 = antiphon_spec::limits::REQUESTS_PER_MEMBER_MAX as u64 + 2;
