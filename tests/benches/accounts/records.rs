//! Searches by the number of handles at one directory node. The node finds them in its database when it starts: as many
//! inserts would take longer than a record lives.

use std::{
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use antiphon_protocol::connection::DiallingEnd;
use antiphon_spec::{
    identity::{Identity, ObjectHandle},
    message::{
        common::RequestId,
        location::{Find, FromDirectoryNode, ToDirectoryNode},
    },
};
use antiphon_tests::{
    Draws, Founding, Town, in_time,
    people::{Ground, Person},
};
use futures::future::join_all;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::net::TcpStream;

use crate::{
    PROGRAM,
    figures::{median, micros, quantile, ratio},
};

const HANDLES: [u64; 3] = [1_000, 100_000, 1_000_000];
const ROUNDS: usize = 15;
const SEARCHES: u64 = 500;
/// So many connections ask at once, where it is more than one.
const AT_ONCE: usize = 16;
const SEED: u64 = 7;
/// Longer than the benchmark runs.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// Rates that nothing but a flood would reach.
const SETTINGS: &str = "
[limits.server-rates]
logins = { per-second = 1000000, burst = 1000000 }
lookups = { per-second = 1000000, burst = 1000000 }
changes = { per-second = 1000000, burst = 1000000 }
calls = { per-second = 1000000, burst = 1000000 }
messages = { per-second = 1000000, burst = 1000000 }
";

type Line = DiallingEnd<TcpStream, ToDirectoryNode>;

/// A node with so many handles.
struct Place {
    handles: u64,
    server: Person,
    lines: Vec<Line>,
    draws: Draws,
    medians: Vec<f64>,
    slowest: Vec<f64>,
    rates: Vec<f64>,
    town: Town,
}

pub(crate) async fn run() {
    let mut places = Vec::new();
    for handles in HANDLES {
        places.push(Place::found(handles).await);
    }
    for place in &mut places {
        place.dial().await;
    }
    for round in 0..=ROUNDS {
        for place in &mut places {
            place.measure(round > 0).await;
        }
    }
    println!(
        "searches by the number of handles: {ROUNDS} rounds of {SEARCHES} one at a time, and by {AT_ONCE} connections at once"
    );
    println!(
        "{:>10} {:>10} {:>10} | {:24} | {:>11} | ratio",
        "handles", "us p50", "us p99", "ratio to the fewest", "searches/s"
    );
    for place in &places {
        let fewest = &places[0];
        println!(
            "{:>10} {:>10.0} {:>10.0} | {:24} | {:>11.0} | {}",
            place.handles,
            median(&place.medians),
            median(&place.slowest),
            ratio(&place.medians, &fewest.medians),
            median(&place.rates),
            ratio(&place.rates, &fewest.rates)
        );
    }
}

/// A handle of this number; they lie as far apart as random ones.
fn handle(number: u64) -> ObjectHandle {
    ObjectHandle(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

impl Place {
    async fn found(handles: u64) -> Self {
        let mut town = Town::found_with(PROGRAM, Founding { node: SETTINGS, ..Founding::default() }).await;
        let home = town.server("home.example").await;
        town.prepare("evil.example", "").await;
        let server = Ground::new(&town, &home).evil(Ipv4Addr::new(127, 79, 4, 1));
        town.node.stop().await;
        fill(&town.folder().join("node.example/records.sqlite"), handles).await;
        town.node.start_again().await;
        let (lines, medians, slowest, rates) = Default::default();
        Self { handles, server, lines, draws: Draws(SEED), medians, slowest, rates, town }
    }

    /// A server's connections to the node.
    async fn dial(&mut self) {
        let node = &self.town.node;
        let whom = Identity::DirectoryNode(node.name().parse().expect("a node has a name"));
        for _ in 0..AT_ONCE {
            let dialled = in_time("a connection", self.server.dial_to(node.listen(), &whom)).await;
            self.lines.push(dialled.expect("the node lets a server in"));
        }
    }

    async fn measure(&mut self, counts: bool) {
        let mut latencies = Vec::new();
        for number in 0..SEARCHES {
            let wanted = self.draws.below(self.handles);
            let begun = Instant::now();
            find(&mut self.lines[0], number, wanted).await;
            latencies.push(micros(begun.elapsed()));
        }
        let begun = Instant::now();
        let (handles, draws) = (self.handles, &mut self.draws);
        join_all(self.lines.iter_mut().map(|line| {
            let mut draws = Draws(draws.below(u64::MAX));
            async move {
                for number in 0..SEARCHES {
                    find(line, number, draws.below(handles)).await;
                }
            }
        }))
        .await;
        let rate = (SEARCHES * AT_ONCE as u64) as f64 / begun.elapsed().as_secs_f64();
        if counts {
            self.medians.push(median(&latencies));
            self.slowest.push(quantile(&latencies, 0.99));
            self.rates.push(rate);
        }
    }
}

async fn find(line: &mut Line, number: u64, wanted: u64) {
    let request = Find { id: RequestId(number), hops: 0, handle: handle(wanted) };
    line.send(&ToDirectoryNode::Find(request)).await.expect("a server may ask");
    loop {
        let came = in_time("an answer", line.receive()).await.expect("a server stays connected");
        match came {
            FromDirectoryNode::Found(found) => {
                assert_eq!((found.id.0, found.records.len()), (number, 1));
                return;
            }
            FromDirectoryNode::Ping(ping) => {
                let pong = antiphon_spec::message::common::Pong { number: ping.number };
                line.send(&ToDirectoryNode::Pong(pong)).await.expect("a server is heard");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Puts a record under each handle into the database of a node that does not run.
async fn fill(path: &Path, handles: u64) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the file is there");
    let mut transaction = connection.begin().await.expect("nobody else writes");
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970");
    let until = i64::try_from((now + LEASE).as_secs()).expect("it is not that late");
    for number in 0..handles {
        sqlx::query(
            "INSERT INTO records (handle, server, epoch, address, expires_at)
             VALUES ($1, 'home.example', $2, '192.0.2.1:4000', $3)",
        )
        .bind(handle(number).0.to_vec())
        .bind(i64::MIN + 1)
        .bind(until)
        .execute(&mut *transaction)
        .await
        .expect("a row can be made");
    }
    transaction.commit().await.expect("the rows can be kept");
    connection.close().await.expect("the file can be closed");
}
