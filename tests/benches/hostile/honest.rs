//! Honest users: some are logged in and look each other up, some come and go.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_protocol::connection::DiallingEnd;
use antiphon_spec::message::{
    client_server::{FromServer, Lookup, ToServer},
    common::{Pong, RequestId},
};
use antiphon_tests::{
    in_time,
    people::{Ground, Person},
};
use futures::future::join_all;
use tokio::{net::TcpStream, sync::Mutex, time::sleep_until};

use crate::figures::Latencies;

/// So many users who look somebody up 40 times a second each.
const ASKING: u8 = 16;
const LOOKUP_INTERVAL: Duration = Duration::from_millis(25);

/// So many users who log in once and a half a second each.
const COMING: u8 = 24;
const LOGIN_INTERVAL: Duration = Duration::from_millis(667);

/// The honest users.
pub(crate) struct Honest {
    asking: Vec<Arc<Mutex<Asking>>>,
    coming: Vec<Person>,
}

struct Asking {
    person: Person,
    connection: DiallingEnd<TcpStream, ToServer>,
    last: u64,
}

impl Honest {
    /// Gets them accounts, and logs in those who stay.
    pub(crate) async fn settle(ground: &Ground) -> Self {
        let (mut asking, mut coming) = (Vec::new(), Vec::new());
        for number in 1..=ASKING {
            let person = ground.person(Ipv4Addr::new(127, 77, 1, number)).await;
            let connection = person.log_in().await.expect("an honest user can log in");
            asking.push(Arc::new(Mutex::new(Asking { person, connection, last: 1 })));
        }
        for number in 1..=COMING {
            coming.push(ground.person(Ipv4Addr::new(127, 77, 2, number)).await);
        }
        Self { asking, coming }
    }

    /// Lets them do what they do for a while, and says how long they waited.
    pub(crate) async fn live(&self, during: Duration) -> Latencies {
        let end = Instant::now() + during;
        let asking = self.asking.iter().zip(0..).map(|(asking, number)| {
            let begin = Instant::now() + LOOKUP_INTERVAL * number / u32::from(ASKING);
            let (asking, mut pace) = (Arc::clone(asking), Pace::new(begin, LOOKUP_INTERVAL, end));
            tokio::spawn(async move {
                let mut asking = asking.lock().await;
                while let Some(begun) = pace.next().await {
                    asking.look_up().await;
                    pace.done(begun);
                }
                pace.latencies
            })
        });
        let coming = self.coming.iter().zip(0..).map(|(person, number)| {
            let begin = Instant::now() + LOGIN_INTERVAL * number / u32::from(COMING);
            let (person, mut pace) = (person.clone(), Pace::new(begin, LOGIN_INTERVAL, end));
            tokio::spawn(async move {
                while let Some(begun) = pace.next().await {
                    let connection = in_time("a login", person.log_in()).await;
                    pace.done(begun);
                    // It goes without a word, and the next login need not wait for it here.
                    drop(connection.expect("an honest user can log in"));
                }
                pace.latencies
            })
        });
        let (asking, coming): (Vec<_>, Vec<_>) = (asking.collect(), coming.collect());
        let all = |done: Vec<Result<Vec<Duration>, _>>| {
            done.into_iter()
                .flat_map(|done: Result<_, tokio::task::JoinError>| done.expect("honest users are served"))
                .collect()
        };
        Latencies { lookups: all(join_all(asking).await), logins: all(join_all(coming).await) }
    }
}

impl Asking {
    async fn look_up(&mut self) {
        self.last += 1;
        let lookup = Lookup { id: RequestId(self.last), user: self.person.handle.clone() };
        self.connection.send(&ToServer::Lookup(lookup)).await.expect("an honest user may ask");
        loop {
            let came = in_time("an address", self.connection.receive()).await;
            let came = came.expect("an honest user stays connected");
            if let FromServer::Ping(ping) = came {
                let pong = ToServer::Pong(Pong { number: ping.number });
                self.connection.send(&pong).await.expect("an honest user is heard");
                continue;
            }
            let is_answer = matches!(&came, FromServer::Address(address) if address.id.0 == self.last);
            assert!(is_answer, "an honest user is answered with {came:?}");
            return;
        }
    }
}

/// When something is due, again and again until the end, and how long it took each time.
struct Pace {
    due: Instant,
    interval: Duration,
    end: Instant,
    latencies: Vec<Duration>,
}

impl Pace {
    fn new(due: Instant, interval: Duration, end: Instant) -> Self {
        Self { due, interval, end, latencies: Vec::new() }
    }

    /// Waits until it is due once more. What has become late is done at once, and not made up for.
    async fn next(&mut self) -> Option<Instant> {
        if self.due >= self.end {
            return None;
        }
        sleep_until(self.due.into()).await;
        let begun = Instant::now();
        self.due = (self.due + self.interval).max(begun);
        Some(begun)
    }

    fn done(&mut self, begun: Instant) {
        self.latencies.push(begun.elapsed());
    }
}
