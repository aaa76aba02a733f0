//! Two homes, their users, and waiting for what is to happen.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::{
    certificate::{Authority, Serial, Trust, Validity},
    key::{KeyAlgorithm, KeyPair},
    tls::{Clock, SystemClock, now},
};
use antiphon_spec::{identity::UserHandle, registration_code::RegistrationCode};
use tokio::sync::mpsc;

use super::server::{Online, Registrar, Server};
use crate::client::{
    Client, ClientEvent, Command, EpochView, Events, Output, Request, Running, SessionName, Settings,
};

/// Longest wait for an event. It ends a test that would otherwise hang; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct World {
    directory: tempfile::TempDir,
    authority: Authority,
    trust: Arc<Trust>,
    clock: Clock,
    pub(super) home1: Server,
    pub(super) home2: Server,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Registrar::Honest).await
    }

    /// A world whose first home registers in its own way.
    pub(super) async fn with(registrar: Registrar) -> Self {
        let clock: Clock = Arc::new(SystemClock);
        let key = KeyPair::generate(KeyAlgorithm::Ed25519).unwrap();
        let validity = Validity::starting(now(&clock), Duration::from_secs(24 * 3600));
        let authority = Authority::create(key, validity, Serial::random().unwrap()).unwrap();
        let trust = Arc::new(authority.trust().unwrap());
        let online = Online::default();
        let home1 = Server::start("home1.example", &authority, &trust, &clock, registrar, &online).await;
        let home2 =
            Server::start("home2.example", &authority, &trust, &clock, Registrar::Honest, &online).await;
        let directory = tempfile::tempdir().unwrap();
        Self { directory, authority, trust, clock, home1, home2 }
    }

    pub(super) fn settings(&self, name: &str, home: &Server) -> Settings {
        Settings {
            root: Some(self.authority.certificate().clone()),
            server: Some(home.authenticated.clone()),
            registration: Some(home.registration.clone()),
            ..Settings::new(self.directory.path().join(name))
        }
    }

    /// Somebody who is registered and logged in.
    pub(super) async fn user(&self, name: &'static str, home: &Server) -> User {
        let mut user = User::start(name, self.settings(name, home)).await;
        let ClientEvent::Registered { handle } =
            user.ask(Command::Register { code: RegistrationCode::default() }).await
        else {
            panic!("{name} is not registered");
        };
        user.handle = Some(handle);
        let answer = user.ask(Command::Login {}).await;
        assert!(matches!(answer, ClientEvent::LoggedIn { .. }), "{name}: {answer:?}");
        user
    }

    /// A dialler that proves itself as `user`, with the key and the certificate in the identity folder.
    pub(super) fn dialler(&self, name: &str) -> antiphon_protocol::connection::Dialler {
        let folder = crate::client::identity::IdentityFolder::open(self.directory.path().join(name)).unwrap();
        let key = folder.key().unwrap();
        let account = folder.account(&key, &self.trust, &self.clock).unwrap().unwrap();
        antiphon_protocol::connection::Dialler::new(
            Some(account.credentials),
            Arc::clone(&self.trust),
            Arc::clone(&self.clock),
        )
    }
}

/// A client, and what it has told.
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) handle: Option<UserHandle>,
    pub(super) address: antiphon_spec::identity::ContactAddress,
    client: Client,
    told: Vec<Output>,
    last_id: u64,
}

impl User {
    pub(super) async fn start(name: &'static str, settings: Settings) -> Self {
        let mut client = Client::start(settings).await.unwrap();
        let Some(Output { event: ClientEvent::Ready { handle, address, .. }, .. }) =
            client.next_event().await
        else {
            panic!("{name} is not ready");
        };
        Self { name, handle, address, client, told: Vec::new(), last_id: 0 }
    }

    pub(super) fn handle(&self) -> UserHandle {
        self.handle.clone().unwrap()
    }

    /// The first event that was not taken yet and is wanted; those before it stay.
    pub(super) async fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Output) -> Option<T>) -> T {
        let name = self.name;
        for (index, output) in self.told.iter().enumerate() {
            if let Some(found) = wanted(output) {
                self.told.remove(index);
                return found;
            }
        }
        let waiting = async {
            while let Some(output) = self.client.next_event().await {
                if let Some(found) = wanted(&output) {
                    return Some(found);
                }
                self.told.push(output);
            }
            None
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("{name} ended before: {what}; told {:#?}", self.told),
            Err(_) => panic!("{name} waited in vain for: {what}; told {:#?}", self.told),
        }
    }

    /// Gives a command and waits for its answer.
    pub(super) async fn ask(&mut self, command: Command) -> ClientEvent {
        self.last_id += 1;
        let id = Some(self.last_id);
        let what = format!("the answer to {command:?}");
        self.client.commands().send(Request { id, command }).await.unwrap();
        self.wait(&what, |output| (output.id == id).then(|| output.event.clone())).await
    }

    /// Gives a command that is taken.
    pub(super) async fn tell(&mut self, command: Command) {
        let answer = self.ask(command).await;
        assert!(matches!(answer, ClientEvent::Taken { .. }), "{}: {answer:?}", self.name);
    }

    pub(super) async fn create(&mut self) -> SessionName {
        match self.ask(Command::Create {}).await {
            ClientEvent::Created { session, .. } => session,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// Waits until an epoch with just these members begins.
    pub(super) async fn sees(&mut self, session: SessionName, members: &[&UserHandle]) -> EpochView {
        let mut wanted: Vec<UserHandle> = members.iter().map(|&handle| handle.clone()).collect();
        wanted.sort();
        self.wait(&format!("an epoch with {wanted:?}"), |output| match &output.event {
            ClientEvent::Epoch { view, .. } if view.session == session && view.members == wanted => {
                Some(view.clone())
            }
            _ => None,
        })
        .await
    }

    pub(super) async fn is_invited(&mut self) -> (SessionName, UserHandle) {
        self.wait("an invitation", |output| match &output.event {
            ClientEvent::Invited { session, inviter } => Some((*session, inviter.clone())),
            _ => None,
        })
        .await
    }

    pub(super) async fn hears(&mut self, session: SessionName) -> (UserHandle, String) {
        self.wait("a message", |output| match &output.event {
            ClientEvent::Message { session: of, from, text: Some(text), .. } if *of == session => {
                Some((from.clone(), text.clone()))
            }
            _ => None,
        })
        .await
    }

    pub(super) async fn ends(&mut self, session: SessionName) -> &'static str {
        self.wait("the end of the session", |output| match &output.event {
            ClientEvent::Ended { session: of, reason } if *of == session => Some(*reason),
            _ => None,
        })
        .await
    }

    /// Invites, and the invitee accepts.
    pub(super) async fn brings(&mut self, session: SessionName, invitee: &mut Self) {
        self.tell(Command::Invite { session, handle: invitee.handle() }).await;
        assert_eq!(invitee.is_invited().await, (session, self.handle()));
        invitee.tell(Command::Accept { session }).await;
    }

    /// Somebody whose events are shown, or not, by the test.
    pub(super) fn split(self) -> (mpsc::Sender<Request>, Events, Running) {
        self.client.split()
    }

    pub(super) fn untold(&self) -> &[Output] {
        &self.told
    }

    pub(super) async fn quits(mut self) {
        assert_eq!(self.ask(Command::Quit {}).await, ClientEvent::Quit);
        assert!(self.client.next_event().await.is_none(), "{} told more after quit", self.name);
    }
}
