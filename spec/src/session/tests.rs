//! Sessions under random schedules: every run ends at rest, with equal views and every message delivered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::{
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, Peer, UserHandle},
    machine::{Context, Machine},
    media_type::MediaTypes,
    message::client_client::{
        Content, InvitationBody, InvitationMessage, PeerMessage, Reject, RequestNumber, SessionBody,
        SessionMessage, TokenRequest,
    },
    policy::Verdict,
    signed::{Claims, Sign, SignatureRejected, Signed, Verify},
    time::Timestamp,
};

/// Symbolic signatures: the key and the claims.
struct Keys(KeyHash);

fn sign<T: Claims>(key: KeyHash, claims: &T) -> Signed<T> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&(T::CONTEXT, key, claims), &mut bytes).unwrap();
    Signed::from_bytes(bytes)
}

fn open<T: Claims>(signed: &Signed<T>) -> Result<(KeyHash, T), SignatureRejected> {
    let (context, key, claims): (String, _, _) =
        ciborium::from_reader(signed.as_bytes()).map_err(|_| SignatureRejected)?;
    if context == T::CONTEXT { Ok((key, claims)) } else { Err(SignatureRejected) }
}

fn verify<T: Claims>(signed: &Signed<T>, signer: &KeyHash) -> Result<T, SignatureRejected> {
    open(signed).and_then(|(key, claims)| if key == *signer { Ok(claims) } else { Err(SignatureRejected) })
}

/// A hash for tests: the standard one, four times over.
fn digest(value: &impl serde::Serialize) -> [u8; 32] {
    use std::hash::{DefaultHasher, Hasher};
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    let mut digest = [0; 32];
    for (lane, chunk) in (0u8..).zip(digest.chunks_mut(8)) {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(lane);
        hasher.write(&bytes);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    digest
}

impl Sign for Keys {
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant> {
        sign(self.0, grant)
    }
    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket> {
        sign(self.0, ticket)
    }
    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment> {
        sign(self.0, commitment)
    }
}

impl Verify for Keys {
    fn verify_grant(&self, grant: &Signed<Grant>, signer: &KeyHash) -> Result<Grant, SignatureRejected> {
        verify(grant, signer)
    }
    fn verify_ticket(&self, ticket: &Signed<Ticket>, signer: &KeyHash) -> Result<Ticket, SignatureRejected> {
        verify(ticket, signer)
    }
    fn verify_commitment(
        &self,
        commitment: &Signed<Commitment>,
        signer: &KeyHash,
    ) -> Result<Commitment, SignatureRejected> {
        verify(commitment, signer)
    }
    fn read_unverified_commitment(
        &self,
        commitment: &Signed<Commitment>,
    ) -> Result<Commitment, SignatureRejected> {
        open(commitment).map(|(_, commitment)| commitment)
    }
    fn read_unverified_ticket(&self, ticket: &Signed<Ticket>) -> Result<Ticket, SignatureRejected> {
        open(ticket).map(|(_, ticket)| ticket)
    }
    fn hash_epoch(&self, epoch: &Epoch) -> EpochHash {
        EpochHash(digest(epoch))
    }
    fn derive_session_id(&self, origin: &Origin) -> SessionId {
        SessionId(digest(origin))
    }
}

fn member(index: u8) -> Member {
    let handle = UserHandle { id: ObjectHandle([index; 16]), home: "a.example".parse().unwrap() };
    Member { key: KeyHash([index; 32]), relay: RelayTag([index; 16]), handle, accepts: taken_by(index) }
}

/// Whoever comes last takes nothing but plain text.
fn taken_by(index: u8) -> MediaTypes {
    let types = if index < 4 { vec!["text/html".parse().unwrap()] } else { vec![] };
    types.try_into().unwrap()
}

fn index(handle: &UserHandle) -> u8 {
    handle.id.0[0]
}

/// What goes over a link: messages, and its end.
#[derive(Debug)]
enum Item {
    Message(PeerMessage),
    End,
}

/// A reliable FIFO link: what is on its way from the dialler and to it.
struct Link {
    ends: [u8; 2],
    queues: [VecDeque<Item>; 2],
    /// The accepting end has not read the first message.
    fresh: bool,
}

/// Clients of one session, and what their programs do around the machines: links by peer, first messages, ends.
struct Net {
    sessions: BTreeMap<u8, Session>,
    links: Vec<Link>,
    /// The link that a client has to a peer.
    tables: BTreeMap<(u8, u8), usize>,
    /// Links that are on their way up.
    dialled: VecDeque<(u8, u8)>,
    heard: BTreeMap<u8, Vec<(u8, u64, u64)>>,
    failed: Vec<String>,
    /// What users said, by sender and number: who has no outcome yet; nobody knows before it is sent.
    open: BTreeMap<(u8, LocalNumber), Option<BTreeSet<u8>>>,
    said: u64,
    armed: BTreeSet<(u8, Timer)>,
}

fn peer(index: u8) -> Peer {
    Peer { handle: member(index).handle, key: member(index).key }
}

impl Net {
    fn new() -> Self {
        let context = Context { now: Timestamp(1000), entropy: [7; 16], crypto: &Keys(KeyHash([0; 32])) };
        let creator = Session::create(member(0), Nonce([9; 16]), &context);
        Self {
            sessions: BTreeMap::from([(0, creator)]),
            links: Vec::new(),
            tables: BTreeMap::new(),
            dialled: VecDeque::new(),
            heard: BTreeMap::new(),
            failed: Vec::new(),
            open: BTreeMap::new(),
            said: 0,
            armed: BTreeSet::new(),
        }
    }

    fn feed(&mut self, who: u8, event: Event) {
        let keys = Keys(KeyHash([who; 32]));
        let context = Context { now: Timestamp(1000), entropy: [who; 16], crypto: &keys };
        let mut out = Vec::new();
        if let Some(session) = self.sessions.get_mut(&who) {
            session.handle(event, &context, &mut out);
        }
        self.carry_out(who, out);
    }

    /// A user says something, if there is a session to say it in.
    fn say(&mut self, who: u8) {
        self.said += 1;
        let local = LocalNumber(self.said);
        if self.sessions.get(&who).is_some_and(|session| session.membership().is_some()) {
            self.open.insert((who, local), None);
        }
        let content = Content(b"hello".as_slice().into());
        let media_type = if self.said.is_multiple_of(2) { "text/html; charset=utf-8" } else { "text/plain" };
        self.feed(who, Event::Say { local, media_type: media_type.into(), content });
    }

    /// What a user is told of what it said: each thing is sent or not, and then settled once for each member.
    fn follow(&mut self, who: u8, notice: Notice) {
        match notice {
            Notice::MessageSent { local, to, .. } => {
                let to: BTreeSet<u8> = to.iter().map(index).collect();
                let before = self.open.insert((who, local), Some(to.clone()));
                assert_eq!(before, Some(None), "sent once");
                if to.is_empty() {
                    self.open.remove(&(who, local));
                }
            }
            Notice::MessageDelivered { local, to, .. } | Notice::MessageFailed { local, to } => {
                let Some(Some(waiting)) = self.open.get_mut(&(who, local)) else {
                    panic!("an outcome of what is not under way");
                };
                assert!(waiting.remove(&index(&to)), "one outcome for each member");
                if waiting.is_empty() {
                    self.open.remove(&(who, local));
                }
            }
            Notice::MessageUnsent { local } => {
                assert_eq!(self.open.remove(&(who, local)), Some(None), "not sent, and nothing else");
            }
            Notice::Ended(_) => {
                assert!(self.open.keys().all(|(sender, _)| *sender != who), "{who} ends in silence");
            }
            Notice::NotPossible(ErrorCode::MediaType) => {
                let last = (who, LocalNumber(self.said));
                self.open.retain(|open, waiting| *open != last || waiting.is_some());
            }
            Notice::Invited { .. }
            | Notice::InvitationRejected { .. }
            | Notice::InvitationFailed { .. }
            | Notice::EpochBegan(_)
            | Notice::MessageReceived { .. }
            | Notice::MessagePending { .. }
            | Notice::NotPossible(_)
            | Notice::ForkNoticed(_)
            | Notice::MemberLost(_) => {}
        }
    }

    fn is_in(&self, who: u8) -> bool {
        self.sessions.get(&who).is_some_and(|session| !session.is_ended())
    }

    fn gives_way(&self, who: u8, newcomer: u8, message: &SessionMessage) -> bool {
        self.sessions.get(&who).is_some_and(|session| session.gives_way(&member(newcomer).handle, message))
    }

    fn put(&mut self, link: usize, from: u8, item: Item) {
        let link = &mut self.links[link];
        let direction = usize::from(link.ends[0] != from);
        link.queues[direction].push_back(item);
    }

    fn hang_up(&mut self, who: u8, to: u8) {
        self.dialled.retain(|dialled| *dialled != (who, to));
        if let Some(link) = self.tables.remove(&(who, to)) {
            self.put(link, who, Item::End);
        }
    }

    fn carry_out(&mut self, who: u8, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect { peer, .. } => self.dialled.push_back((who, index(&peer))),
                Action::Send { to, message } => {
                    for to in to {
                        // A link that was cut is not there any more, whether the machine knows it yet or not.
                        if let Some(&link) = self.tables.get(&(who, index(&to))) {
                            self.put(link, who, Item::Message(message.clone()));
                        }
                    }
                }
                Action::Disconnect { peer, fault } => {
                    // A newcomer that gave up may still have shown its ticket to somebody: that is late, not wrong.
                    if let Some(code) = fault.filter(|code| *code != ErrorCode::TicketEpoch) {
                        self.failed.push(format!("{who} closes to {} with {code}", index(&peer)));
                    }
                    self.hang_up(who, index(&peer));
                }
                Action::Tell(Notice::MessageReceived { from, epoch, number, .. }) => {
                    self.heard.entry(who).or_default().push((index(&from), epoch.0, number));
                }
                Action::Tell(notice) => self.follow(who, notice),
                Action::Arm { timer, .. } => {
                    self.armed.insert((who, timer));
                }
                Action::Disarm(timer) => {
                    self.armed.remove(&(who, timer));
                }
                Action::Late { .. } => {}
            }
        }
        if self.sessions.get(&who).is_some_and(Session::is_ended) {
            self.armed.retain(|(owner, _)| *owner != who);
            (0..6).for_each(|to| self.hang_up(who, to));
        }
    }

    /// One dialled link comes up.
    fn connect(&mut self) {
        let Some((from, to)) = self.dialled.pop_front() else { return };
        let queues = [VecDeque::new(), VecDeque::new()];
        self.links.push(Link { ends: [from, to], queues, fresh: true });
        self.tables.insert((from, to), self.links.len() - 1);
        self.feed(from, Event::LinkUp { peer: peer(to) });
    }

    fn deliver(&mut self, link: usize, direction: usize) {
        let Some(item) = self.links[link].queues[direction].pop_front() else { return };
        let [from, to] = match direction {
            0 => self.links[link].ends,
            _ => [self.links[link].ends[1], self.links[link].ends[0]],
        };
        let known = self.tables.get(&(to, from)) == Some(&link);
        let fresh = direction == 0 && std::mem::take(&mut self.links[link].fresh);
        match item {
            Item::End if known => {
                self.tables.remove(&(to, from));
                self.feed(to, Event::LinkLost { peer: peer(from).handle });
            }
            Item::Message(message) if known => {
                self.feed(to, Event::Received { from: peer(from), message });
            }
            Item::Message(message) if fresh => self.first_message(link, from, to, message),
            Item::End | Item::Message(_) => {}
        }
    }

    /// The accepting end reads the first message of a link.
    fn first_message(&mut self, link: usize, from: u8, to: u8, message: PeerMessage) {
        match &message {
            PeerMessage::Invitation(invitation) if matches!(invitation.body, InvitationBody::Invite(_)) => {
                if self.is_in(to) {
                    let body = InvitationBody::Reject(Reject {});
                    let reject = InvitationMessage { body, session: invitation.session };
                    self.put(link, to, Item::Message(PeerMessage::Invitation(reject)));
                    self.put(link, to, Item::End);
                    return;
                }
                self.tables.insert((to, from), link);
                let keys = Keys(KeyHash([to; 32]));
                let context = Context { now: Timestamp(1000), entropy: [to; 16], crypto: &keys };
                let mut out = Vec::new();
                let (me, inviter) = (member(to), peer(from));
                let session =
                    Session::invited(me, inviter, invitation, Verdict::Allow, &context, &mut out).unwrap();
                self.sessions.insert(to, session);
                self.carry_out(to, out);
            }
            PeerMessage::Session(said) if self.is_in(to) => {
                if self.gives_way(to, from, said) {
                    self.hang_up(to, from);
                    self.feed(to, Event::LinkLost { peer: peer(from).handle });
                } else if self.tables.contains_key(&(to, from)) {
                    self.put(link, to, Item::End);
                    return;
                }
                self.tables.insert((to, from), link);
                self.feed(to, Event::Received { from: peer(from), message });
            }
            PeerMessage::Invitation(_) | PeerMessage::Session(_) => self.put(link, to, Item::End),
        }
    }

    /// A link breaks: what is on its way is lost, and both ends notice.
    fn cut(&mut self, a: u8, b: u8) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(&link) = self.tables.get(&(from, to)) {
                self.links[link].queues = [VecDeque::from([Item::End]), VecDeque::from([Item::End])];
            }
        }
    }

    /// A client dies without a word.
    fn kill(&mut self, who: u8) {
        (0..6).for_each(|to| self.cut(who, to));
        self.dialled.retain(|(from, _)| *from != who);
        self.tables.retain(|(from, _), _| *from != who);
        self.armed.retain(|(owner, _)| *owner != who);
        self.sessions.remove(&who);
        self.open.retain(|(sender, _), _| *sender != who);
    }

    /// Links and directions on which something waits.
    fn moves(&self) -> Vec<(usize, usize)> {
        let waits = |link: usize, direction: usize| !self.links[link].queues[direction].is_empty();
        (0..self.links.len())
            .flat_map(|link| [(link, 0), (link, 1)])
            .filter(|(link, direction)| waits(*link, *direction))
            .collect()
    }

    /// Delivers everything, in an order that `choose` picks.
    fn settle(&mut self, mut choose: impl FnMut(usize) -> usize) {
        for _ in 0..20_000 {
            let moves = self.moves();
            let choices = moves.len() + usize::from(!self.dialled.is_empty());
            if choices == 0 {
                return;
            }
            match moves.get(choose(choices) % choices) {
                Some(&(from, to)) => self.deliver(from, to),
                None => self.connect(),
            }
        }
        panic!("the session does not come to rest");
    }

    fn members(&self) -> Vec<u8> {
        self.sessions.iter().filter(|(_, s)| s.epoch().is_some()).map(|(who, _)| *who).collect()
    }

    fn check_at_rest(&self) {
        assert_eq!(self.failed, Vec::<String>::new());
        self.check_views();
        self.check_order();
        let hashes: BTreeSet<_> = self.members().iter().map(|who| self.hash(*who)).collect();
        assert!(hashes.len() <= 1, "without losses there is one part");
    }

    fn hash(&self, who: u8) -> EpochHash {
        self.sessions[&who].membership().unwrap().hash
    }

    /// Whoever holds one epoch is named by it, and nobody else is.
    fn check_views(&self) {
        let members = self.members();
        for who in &members {
            let member = self.sessions[who].membership().unwrap();
            assert!(member.is_at_rest(), "{who} is not at rest: {member:?}");
            let view: Vec<u8> = member.epoch.handles().map(index).collect();
            let part = members.iter().filter(|other| self.hash(**other) == member.hash);
            assert_eq!(view, part.copied().collect::<Vec<u8>>(), "the view of {who}");
        }
        for (who, session) in &self.sessions {
            assert!(session.is_ended() || session.epoch().is_some(), "{who} is in limbo: {session:?}");
        }
        assert_eq!(self.open, BTreeMap::new(), "everything that was said is settled");
    }

    fn check_order(&self) {
        for heard in self.heard.values() {
            let mut seen = BTreeMap::new();
            for (from, epoch, number) in heard {
                let last = seen.insert((from, epoch), *number).unwrap_or(0);
                assert_eq!(last + 1, *number, "each sender's messages come once and in order");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Invite(u8, u8),
    Accept(u8),
    Refuse(u8),
    Leave(u8),
    Say(u8),
    Deliver(u8),
    Cut(u8, u8),
    Kill(u8),
}

fn wishes(clients: u8, faults: u32) -> impl Strategy<Value = Vec<Wish>> {
    let one = prop_oneof![
        faults => (0..clients, 0..clients).prop_map(|(a, b)| Wish::Cut(a, b)),
        faults => (0..clients).prop_map(Wish::Kill),
        2 => (0..clients, 0..clients).prop_map(|(a, b)| Wish::Invite(a, b)),
        3 => (0..clients).prop_map(Wish::Accept),
        1 => (0..clients).prop_map(Wish::Refuse),
        1 => (0..clients).prop_map(Wish::Leave),
        2 => (0..clients).prop_map(Wish::Say),
        8 => any::<u8>().prop_map(Wish::Deliver),
    ];
    prop::collection::vec(one, 0..120)
}

fn play(wishes: &[Wish], seed: u64) -> Net {
    let mut net = Net::new();
    let mut state = seed;
    let mut choose = move |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % count
    };
    for wish in wishes {
        match *wish {
            Wish::Invite(from, to) => net.feed(from, Event::Invite { invitee: member(to).handle }),
            Wish::Accept(who) => net.feed(who, Event::Accept),
            Wish::Refuse(who) => net.feed(who, Event::Refuse),
            Wish::Leave(who) => net.feed(who, Event::Leave),
            Wish::Say(who) => net.say(who),
            Wish::Cut(a, b) => net.cut(a, b),
            Wish::Kill(who) => net.kill(who),
            Wish::Deliver(pick) => {
                let moves = net.moves();
                match moves.get(usize::from(pick) % (moves.len() + 1)) {
                    Some(&(from, to)) => net.deliver(from, to),
                    None => net.connect(),
                }
            }
        }
    }
    net.settle(&mut choose);
    for who in 0..6 {
        if net.sessions.get(&who).is_some_and(Session::awaits_answer) {
            net.feed(who, Event::Refuse);
        }
    }
    net.settle(&mut choose);
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_schedule_ends_at_rest(wishes in wishes(5, 0), seed: u64) {
        play(&wishes, seed).check_at_rest();
    }

    #[test]
    fn every_schedule_with_losses_ends_in_equal_views(wishes in wishes(5, 1), seed: u64) {
        let mut net = play(&wishes, seed);
        // Time passes: whatever is armed fires, until nothing is.
        while let Some((who, timer)) = net.armed.pop_first() {
            net.feed(who, Event::TimerFired(timer));
            net.settle(|count| count - 1);
        }
        net.check_views();
        net.check_order();
    }
}

#[test]
fn four_join_and_two_leave() {
    let mut wishes = vec![];
    for newcomer in 1..4 {
        wishes.push(Wish::Invite(newcomer - 1, newcomer));
        wishes.extend([Wish::Deliver(0); 4]);
        wishes.push(Wish::Accept(newcomer));
        wishes.extend([Wish::Deliver(0); 60]);
    }
    wishes.extend([Wish::Say(1), Wish::Leave(0), Wish::Leave(2)]);
    let net = play(&wishes, 1);
    net.check_at_rest();
    assert_eq!(net.members(), [1, 3]);
    assert!(net.heard.values().flatten().count() >= 2);
}

/// Member 1 leaves, and asks the coordinator for something more under this number than its client would.
#[track_caller]
fn check_leaver_that_asks_for_more(number: u64, change: Change) {
    let mut wishes = vec![];
    for newcomer in 1..4 {
        wishes.push(Wish::Invite(0, newcomer));
        wishes.extend([Wish::Deliver(0); 4]);
        wishes.push(Wish::Accept(newcomer));
        wishes.extend([Wish::Deliver(0); 60]);
    }
    let mut net = play(&wishes, 1);
    assert_eq!(net.members(), [0, 1, 2, 3]);
    net.feed(1, Event::Leave);
    let member = net.sessions[&1].membership().unwrap();
    let (chain, epoch, session) = (member.hash, member.epoch.number, member.epoch.session);
    let body = SessionBody::TokenRequest(TokenRequest { change, number: RequestNumber(number) });
    let message = SessionMessage { body, chain, epoch, session };
    let link = net.tables[&(1, 0)];
    net.put(link, 1, Item::Message(PeerMessage::Session(message)));
    net.settle(|_| 0);
    net.check_at_rest();
    assert_eq!(net.members(), [0, 2, 3]);
}

#[test]
fn what_a_leaver_asks_for_besides_is_forgotten_with_it() {
    let me = member(1).handle;
    check_leaver_that_asks_for_more(1, Change::Leave(me.clone()));
    check_leaver_that_asks_for_more(2, Change::Leave(me));
    check_leaver_that_asks_for_more(2, Change::Join(member(4)));
}

#[test]
fn codes_travel_as_they_are_registered() {
    for code in ErrorCode::ALL {
        let mut bytes = Vec::new();
        ciborium::into_writer(code, &mut bytes).unwrap();
        let text: String = ciborium::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(text, code.as_str());
    }
}
