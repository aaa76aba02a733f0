//! The people: clients of the reference system in this process, users of two real servers, in one session.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use antiphon::client::{Client, ClientEvent, Command, Events, Request, Running, SessionName, Settings, Way};
use antiphon_spec::{identity::UserHandle, policy::Verdict, registration_code::RegistrationCode};
use antiphon_tests::{Service, Town, in_time};
use futures::future::join_all;
use tokio::sync::mpsc;

/// Somebody who is logged in.
pub(crate) struct Person {
    handle: UserHandle,
    /// The identity folder.
    identity: PathBuf,
    commands: mpsc::Sender<Request>,
    events: Events,
    /// How the links to the others are.
    way: Way,
    _engine: Running,
}

impl Person {
    /// Starts a client whose identity is in this folder of the town, registers and logs in.
    pub(crate) async fn settle(town: &Town, name: &str, server: &Service, way: Way) -> Self {
        let at = |address| format!("{}={address}", server.name()).parse().expect("a server has an address");
        let root = antiphon::credentials::load_certificates(&town.folder().join("authority/root.pem"));
        let identity = town.folder().join(name);
        let settings = Settings {
            root: root.expect("the root is there").pop(),
            server: Some(at(server.listen())),
            registration: Some(at(server.registration())),
            ..Settings::new(&identity)
        };
        let (commands, mut events, engine) = Client::start(settings).await.expect("a client starts").split();
        let mut answer = async |command: Command| {
            commands.send(Request { id: Some(1), command }).await.expect("the client runs");
            loop {
                let output = in_time("an answer", events.recv()).await.expect("the client runs");
                if output.id == Some(1) {
                    return output.event;
                }
            }
        };
        let registered = answer(Command::Register { code: RegistrationCode::default() }).await;
        let ClientEvent::Registered { handle } = registered else { panic!("{name}: {registered:?}") };
        let logged_in = answer(Command::Login {}).await;
        assert!(matches!(logged_in, ClientEvent::LoggedIn { .. }), "{name}: {logged_in:?}");
        Self { handle, identity, commands, events, way, _engine: engine }
    }

    /// The identity folder.
    pub(crate) fn identity(&self) -> &Path {
        &self.identity
    }

    async fn does(&self, command: Command) {
        self.commands.send(command.into()).await.expect("the client runs");
    }

    /// The next event; one of something that went wrong is a failure, and so is a link of another kind.
    async fn next(&mut self, awaited: &str) -> ClientEvent {
        let event = in_time(awaited, self.events.recv()).await.expect("the client runs").event;
        let is_failure = matches!(
            event,
            ClientEvent::Refused { .. }
                | ClientEvent::InvitationFailed { .. }
                | ClientEvent::InvitationRejected { .. }
                | ClientEvent::Failed { .. }
                | ClientEvent::MemberLost { .. }
                | ClientEvent::NotPossible { .. }
                | ClientEvent::Disconnected { .. }
                | ClientEvent::Error { .. }
        );
        assert!(!is_failure, "{} waits for {awaited}: {event:?}", self.handle);
        if let ClientEvent::Linked { way, .. } = &event {
            assert_eq!(*way, self.way, "a link to {:?}", self.handle);
        }
        event
    }

    async fn sees(&mut self, awaited: &str, mut wanted: impl FnMut(&ClientEvent) -> bool) {
        while !wanted(&self.next(awaited).await) {}
    }

    async fn sees_members(&mut self, count: usize) {
        let wanted = |event: &ClientEvent| matches!(event, ClientEvent::Epoch { view, .. } if view.members.len() == count);
        self.sees("an epoch", wanted).await;
    }

    /// Says whom it lets in, and whom of these it gives its address and dials.
    async fn prefers(&mut self, allow: Vec<UserHandle>) {
        self.does(Command::SetPreferences { allow, deny: Vec::new(), default: Verdict::Allow }).await;
        self.sees("preferences", |event| matches!(event, ClientEvent::PreferencesSet { .. })).await;
    }

    /// Begins a session.
    pub(crate) async fn creates(&mut self) -> SessionName {
        self.does(Command::Create {}).await;
        loop {
            if let ClientEvent::Created { session, .. } = self.next("a session").await {
                return session;
            }
        }
    }
}

/// Everybody lets everybody make contact. Those whose links are to be direct name each other on the list of those whom
/// they dial and tell their addresses; the others name nobody, so that nothing but a relayed link is left.
pub(crate) async fn open_up(people: &mut [Person]) {
    let all: Vec<UserHandle> = people.iter().map(|person| person.handle.clone()).collect();
    for person in people {
        let others = all.iter().filter(|handle| person.way == Way::Direct && **handle != person.handle);
        let others = others.cloned().collect();
        person.prefers(others).await;
    }
}

/// The first invites the last, who accepts; ends when everybody is in the epoch with all.
pub(crate) async fn join(people: &mut [Person], session: SessionName) {
    let count = people.len();
    let [creator, .., newcomer] = people else { panic!("nobody joins alone") };
    creator.does(Command::Invite { session, handle: newcomer.handle.clone() }).await;
    newcomer.sees("an invitation", |event| matches!(event, ClientEvent::Invited { .. })).await;
    newcomer.does(Command::Accept { session }).await;
    for person in people {
        person.sees_members(count).await;
    }
}

/// The last leaves; ends when everybody else is in the epoch without.
pub(crate) async fn leave(people: &mut [Person], session: SessionName) {
    let [others @ .., leaver] = people else { panic!("nobody leaves") };
    leaver.does(Command::Leave { session }).await;
    leaver.sees("the end", |event| matches!(event, ClientEvent::Ended { .. })).await;
    let count = others.len();
    for other in others {
        other.sees_members(count).await;
    }
}

/// The first says something `times` times at once; ends when everybody has shown it all, and the sender knows.
pub(crate) async fn talk(people: &mut [Person], session: SessionName, text: &str, times: usize) {
    let [sender, others @ ..] = people else { panic!("nobody talks") };
    let listeners = others.len();
    // A message is acknowledged when its reader asks for the next event, so the listeners go on asking.
    let listening = join_all(others.iter_mut().map(|other| other.sees("another message", |_| false)));
    let talking = async {
        for _ in 0..times {
            sender.does(Command::Send { session, text: text.to_owned() }).await;
        }
        let (mut sent, mut last, mut delivered) = (0, 0, BTreeMap::new());
        while sent < times || delivered.values().filter(|number| **number == last).count() < listeners {
            let event = sender.next("that all have it").await;
            if let ClientEvent::Sent { number, .. } = event {
                (sent, last) = (sent + 1, number);
            } else if let ClientEvent::Delivered { to, number, .. } = event {
                delivered.insert(to, number);
            }
        }
    };
    tokio::select! {
        () = talking => {}
        _ = listening => {}
    }
}
