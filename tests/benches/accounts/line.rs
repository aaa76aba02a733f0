//! One connection of a user who is logged in, with one request at a time on its way.

use antiphon_protocol::connection::DiallingEnd;
use antiphon_spec::{
    identity::UserHandle,
    message::{
        client_server::{FromServer, Lookup, SetPreferences, ToServer},
        common::{Pong, RequestId},
        relay::{Called, LinkNumber, RelayOpen},
        server_server::ProfileVersion,
    },
    policy::Preferences,
};
use antiphon_tests::{in_time, people::Person};
use tokio::net::TcpStream;

pub(crate) struct Line {
    connection: DiallingEnd<TcpStream, ToServer>,
    last: u64,
    version: u64,
    link: u64,
}

impl Line {
    /// Logs in; nobody has changed the user's preferences before.
    pub(crate) async fn of(person: &Person) -> Self {
        let connection = in_time("a login", person.log_in()).await.expect("a user can log in");
        Self { connection, last: 1, version: 0, link: 0 }
    }

    async fn asks(&mut self, message: &ToServer) -> FromServer {
        self.connection.send(message).await.expect("a user may ask");
        loop {
            let came = in_time("an answer", self.connection.receive()).await;
            match came.expect("a user stays connected") {
                FromServer::Ping(ping) => {
                    let pong = ToServer::Pong(Pong { number: ping.number });
                    self.connection.send(&pong).await.expect("a user is heard");
                }
                answer => return answer,
            }
        }
    }

    /// Stays logged in, and asks nothing.
    pub(crate) fn stays(mut self) {
        tokio::spawn(async move {
            while let Ok(came) = self.connection.receive().await {
                if let FromServer::Ping(ping) = came {
                    let pong = ToServer::Pong(Pong { number: ping.number });
                    self.connection.send(&pong).await.expect("a user is heard");
                }
            }
        });
    }

    pub(crate) async fn looks_up(&mut self, user: &UserHandle) -> FromServer {
        self.last += 1;
        self.asks(&ToServer::Lookup(Lookup { id: RequestId(self.last), user: user.clone() })).await
    }

    /// Looks somebody up who has to be found.
    pub(crate) async fn finds(&mut self, user: &UserHandle) {
        let answer = self.looks_up(user).await;
        assert!(matches!(answer, FromServer::Address(_)), "{answer:?}");
    }

    pub(crate) async fn calls(&mut self, user: &UserHandle) -> FromServer {
        self.link += 2;
        let open = RelayOpen { link: LinkNumber(self.link - 1), called: Called::User(user.clone()) };
        self.asks(&ToServer::RelayOpen(open)).await
    }

    /// Changes the preferences.
    pub(crate) async fn changes(&mut self, messaging: Preferences) {
        self.last += 1;
        let (id, version) = (RequestId(self.last), ProfileVersion(self.version));
        let answer = self.asks(&ToServer::SetPreferences(SetPreferences { id, version, messaging })).await;
        let FromServer::PreferencesSet(set) = answer else { panic!("{answer:?}") };
        self.version = set.version.0;
    }
}
