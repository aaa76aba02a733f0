//! What sessions cost: the join of the nth member, and a message to all others, against bare TLS connections that carry
//! the same bytes in the same run.
//!
//! `cargo bench -p antiphon-tests --bench session_cost` prints a table; `-- join`, `-- alone` or `-- at-once` measures
//! just that. All clients of a session, and the twin, run in this process on one thread, in rounds that take turns, so
//! that what disturbs one disturbs the other; the two servers that the clients are logged in at are processes of their
//! own, whose CPU time counts as theirs. The twin ([`bare`]) has the same certificates and as many full mutual
//! handshakes, and carries the frames that the session's machines say ([`traffic`]), without any task, queue, decoding
//! or policy: it is the limit, not a rival.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints"
)]

mod bare;
mod figures;
mod people;
mod traffic;

use std::{path::PathBuf, time::Duration};

use antiphon_tests::Town;

use self::{
    bare::Mesh,
    figures::{Clocks, Cost, Rounds},
    people::Person,
    traffic::Traffic,
};

/// The sizes of sessions.
const MEMBERS: [usize; 3] = [2, 8, 32];

/// So many messages are said at once, where it is more than one.
const AT_ONCE: usize = 16;

/// Rounds, of which the median counts.
const ROUNDS: usize = 21;

/// Links that are about to be opened in a round of joins, or frames that are about to be said in one of messages: with
/// more, a round takes longer and is disturbed more evenly.
const LINKS_PER_ROUND: usize = 64;
const FRAMES_PER_ROUND: usize = 2_000;

/// What is left of the last work, such as links that close, is not the next one's: so long it may take.
const SETTLING: Duration = Duration::from_millis(3);

/// As long as a line that somebody types.
const CONTENT_BYTES: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(run());
}

async fn run() {
    let town = Town::found(env!("CARGO_BIN_EXE_antiphon-under-test")).await;
    let mut servers = [town.server("home1.example").await, town.server("home2.example").await];
    let most = MEMBERS[MEMBERS.len() - 1];
    let mut people = Vec::new();
    let mut identities: Vec<PathBuf> = Vec::new();
    for number in 0..most {
        let name = format!("person{number}");
        people.push(Person::settle(&town, &name, &servers[number % 2]).await);
        identities.push(town.folder().join(name));
    }
    people::open_up(&mut people).await;
    let clocks = Clocks::new(servers.iter_mut().map(|server| server.process().id()).collect());
    let root = town.folder().join("authority/root.pem");
    println!("{ROUNDS} rounds, medians; content of {CONTENT_BYTES} bytes; CPU and time per join or message");
    println!("{}", figures::head());
    for members in MEMBERS {
        let text = "x".repeat(CONTENT_BYTES);
        let traffic = traffic::of_session(&root, &identities[..members], &text);
        let mesh = Mesh::of(&root, &identities[..members]).await;
        let bench = Bench { clocks: &clocks, people: &mut people[..members], mesh, traffic, text };
        for rounds in bench.measure().await {
            println!("{}", rounds.line());
        }
    }
    println!("once more: cargo bench -p antiphon-tests --bench session_cost");
}

/// A session of one size, and its twin.
struct Bench<'b> {
    clocks: &'b Clocks,
    people: &'b mut [Person],
    mesh: Mesh,
    traffic: Traffic,
    text: String,
}

impl Bench<'_> {
    async fn measure(mut self) -> Vec<Rounds> {
        let members = self.people.len();
        let session = self.people[0].creates().await;
        // All but the last are there already.
        for count in 2..members {
            people::join(&mut self.people[..count], session).await;
        }
        let (mut joins, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
        let rounds_of = |work: &str| if is_asked_for(work) { ROUNDS } else { 0 };
        let (clocks, text) = (self.clocks, self.text.clone());
        self.mesh.meet(members - 1).await;
        for round in 0..=rounds_of("join") {
            let mut pair = (Cost::default(), Cost::default());
            let times = LINKS_PER_ROUND.div_ceil(members);
            for _ in 0..times {
                pair.0 += clocks.time(people::join(self.people, session)).await;
                people::leave(self.people, session).await;
                tokio::time::sleep(SETTLING).await;
            }
            for _ in 0..times {
                pair.1 += clocks.time(self.mesh.play(&self.traffic.join, 1)).await;
                self.mesh.part(members - 1);
                tokio::time::sleep(SETTLING).await;
            }
            // The first round warms up.
            if round > 0 {
                joins.push((pair.0 / count(times), pair.1 / count(times)));
            }
        }
        people::join(self.people, session).await;
        self.mesh.play(&self.traffic.join, 1).await;
        for round in 0..=ROUNDS {
            for (at_once, rounds) in [(1, &mut alone), (AT_ONCE, &mut together)] {
                if round > rounds_of(if at_once == 1 { "alone" } else { "at-once" }) {
                    continue;
                }
                let times = FRAMES_PER_ROUND.div_ceil((members - 1) * at_once);
                let ours = async {
                    for _ in 0..times {
                        people::talk(self.people, session, &text, at_once).await;
                    }
                };
                let ours = clocks.time(ours).await;
                tokio::time::sleep(SETTLING).await;
                let bare = async {
                    for _ in 0..times {
                        self.mesh.play(&self.traffic.message, at_once).await;
                    }
                };
                let bare = clocks.time(bare).await;
                if round > 0 {
                    let messages = count(times * at_once);
                    rounds.push((ours / messages, bare / messages));
                }
            }
        }
        let of = |work: &str, pairs| Rounds { work: work.to_owned(), members, pairs };
        let mut all = vec![
            of("join of the nth", joins),
            of("message to n, one at a time", alone),
            of(&format!("message to n, {AT_ONCE} at once"), together),
        ];
        all.retain(|rounds| !rounds.pairs.is_empty());
        all
    }
}

/// Whether the command line names this work, or none.
fn is_asked_for(work: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|name| name == work)
}

fn count(count: usize) -> u32 {
    u32::try_from(count).expect("a round is short")
}
