//! What a session says, from its machines: they run in memory, under the users' real certificates and keys, and every
//! link and every frame is written down. The bare twin carries just that.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use antiphon_protocol::{
    certificate::{Demand, End, identify},
    channel::Channel,
    connection::encode_message,
    frame::FRAME_HEAD_BYTES,
    message::AcceptorMessage as _,
    signed::KeyRing,
    tls::{Clock, SystemClock, now},
};
use antiphon_spec::{
    identity::{Peer, UserHandle},
    machine::{Context, Machine as _},
    media_type::MediaTypes,
    message::client_client::{ClientMessage, Content, PeerMessage},
    policy::Verdict,
    session::{Action, Event, LocalNumber, Member, Nonce, RelayTag, Session},
};

/// What happens on the network; people are named by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A link is opened, and its acceptor greets.
    Open { dialler: usize, acceptor: usize, greeting: usize },
    /// A frame of so many bytes, head included, goes to each of these.
    Say { from: usize, to: Vec<usize>, bytes: usize },
}

/// What happens in a session of so many.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// From the creator's invitation to the beginning of the newcomer's epoch at every member.
    pub(crate) join: Vec<Deed>,
    /// One message of the creator, and its acknowledgements.
    pub(crate) message: Vec<Deed>,
}

/// Somebody whose machine runs here.
struct Person {
    member: Member,
    keys: KeyRing,
    machine: Option<Session>,
}

/// People whose links are a queue.
struct Table {
    people: Vec<Person>,
    numbers: BTreeMap<UserHandle, usize>,
    clock: Clock,
    events: VecDeque<(usize, Event)>,
    deeds: Vec<Deed>,
    draws: u64,
}

/// Runs a session up to its member number `members`, who have their identities in these folders, and lets the first of
/// them say `content`.
pub(crate) fn of_session(root: &Path, identities: &[std::path::PathBuf], content: &str) -> Traffic {
    let mut table = Table::of(root, identities);
    let context = Context { now: now(&table.clock), entropy: [1; 16], crypto: &table.people[0].keys };
    let creator = table.people[0].member.clone();
    table.people[0].machine = Some(Session::create(creator, Nonce([7; 16]), &context));
    for newcomer in 1..identities.len() {
        table.deeds.clear();
        let invitee = table.people[newcomer].member.handle.clone();
        table.happens(0, Event::Invite { invitee });
        table.happens(newcomer, Event::Accept);
        for person in &table.people[..=newcomer] {
            let epoch = person.machine.as_ref().and_then(Session::epoch).expect("everybody is a member");
            assert_eq!(epoch.members.len(), newcomer + 1, "the newcomer has joined");
        }
    }
    let join = std::mem::take(&mut table.deeds);
    let content = Content(content.as_bytes().to_vec().into());
    let local = LocalNumber(1);
    table.happens(0, Event::Say { local, media_type: "text/plain".into(), content });
    Traffic { join, message: table.deeds }
}

impl Table {
    fn of(root: &Path, identities: &[std::path::PathBuf]) -> Self {
        let clock: Clock = Arc::new(SystemClock);
        let trust = antiphon::credentials::load_trust(root).expect("the root is there");
        let demand = Demand::new(Channel::ClientClient, End::Dialling);
        let verified: Vec<_> = identities
            .iter()
            .map(|folder| {
                let chain = antiphon::credentials::load_certificates(&folder.join("certificate.pem"));
                let time = clock.current_time().expect("the clock shows a time");
                identify(&trust, &chain.expect("a client keeps its certificate"), &demand, time)
                    .expect("a user's certificate is good")
            })
            .collect();
        let mut people = Vec::new();
        for (number, folder) in identities.iter().enumerate() {
            let own =
                antiphon::credentials::load_key(&folder.join("key.pem")).expect("a client keeps its key");
            let mut keys = KeyRing::new(own, identities.len());
            for peer in &verified {
                keys.learn(peer).expect("there is room for all");
            }
            let Peer { handle, key } = verified[number].peer().expect("a user is a peer");
            let relay = RelayTag([7; 16]);
            people.push(Person {
                member: Member { key, relay, handle, accepts: MediaTypes::default() },
                keys,
                machine: None,
            });
        }
        let number = |(number, person): (usize, &Person)| (person.member.handle.clone(), number);
        let numbers = people.iter().enumerate().map(number).collect();
        Self { people, numbers, clock, events: VecDeque::new(), deeds: Vec::new(), draws: 0 }
    }

    /// Something happens to somebody, and then everything that follows from it.
    fn happens(&mut self, whom: usize, event: Event) {
        self.events.push_back((whom, event));
        while let Some((whom, event)) = self.events.pop_front() {
            self.draws += 1;
            let mut entropy = [0; 16];
            entropy[..8].copy_from_slice(&self.draws.to_be_bytes());
            let Person { member, keys, machine } = &mut self.people[whom];
            let context = Context { now: now(&self.clock), entropy, crypto: keys };
            let mut actions = Vec::new();
            match (machine.as_mut(), event) {
                (Some(machine), event) => machine.handle(event, &context, &mut actions),
                (None, Event::Received { from, message: PeerMessage::Invitation(message) }) => {
                    let (me, verdict) = (member.clone(), Verdict::Allow);
                    let invited = Session::invited(me, from, &message, verdict, &context, &mut actions);
                    *machine = Some(invited.expect("the invitation is good"));
                }
                (None, event) => panic!("{event:?} at somebody who is in no session"),
            }
            for action in actions {
                self.act(whom, action);
            }
        }
    }

    fn act(&mut self, who: usize, action: Action) {
        let peer_of = |person: &Person| Peer { handle: person.member.handle.clone(), key: person.member.key };
        match action {
            Action::Connect { peer, .. } => {
                let acceptor = self.numbers[&peer];
                let greeting = frame_bytes(&ClientMessage::greeting());
                self.deeds.push(Deed::Open { dialler: who, acceptor, greeting });
                let peer = peer_of(&self.people[acceptor]);
                self.events.push_back((who, Event::LinkUp { peer }));
            }
            Action::Send { to, message } => {
                let to: Vec<usize> = to.iter().map(|handle| self.numbers[handle]).collect();
                let bytes = frame_bytes(&message.clone().into());
                for &whom in &to {
                    let from = peer_of(&self.people[who]);
                    self.events.push_back((whom, Event::Received { from, message: message.clone() }));
                }
                self.deeds.push(Deed::Say { from: who, to, bytes });
            }
            Action::Disconnect { .. } => panic!("nobody parts here"),
            Action::Arm { .. } | Action::Disarm(_) | Action::Tell(_) | Action::Late { .. } => {}
        }
    }
}

fn frame_bytes(message: &ClientMessage) -> usize {
    FRAME_HEAD_BYTES + encode_message(message).expect("a machine says what can be sent").len()
}
