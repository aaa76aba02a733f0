//! What sessions cost: the join of the nth member, and a message to all others, over direct links and over relayed
//! ones, against bare TLS connections that carry the same bytes in the same run.
//!
//! `cargo bench -p antiphon-tests --bench session_cost` prints a table; `-- join`, `-- alone` or `-- at-once` measures
//! just that. There are two sessions of a size. In one everybody names everybody else on the allow list, so all links
//! are direct; in the other nobody does, so all are relayed by the two servers that the members are logged in at, half
//! of them at each, as the protocol's own limits allow: 31 of a user's 128 relayed links. All clients, and the twin, run
//! in this process on one thread, in rounds that take turns, so that what disturbs one disturbs the others; servers and
//! directory node are processes of their own, whose CPU time counts as that of the session they work for. The twin
//! ([`bare`]) has the same certificates and as many full mutual handshakes, and carries the frames that the session's
//! machines say ([`traffic`]), without any task, queue, decoding or policy: it is the limit, not a rival.
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

use std::path::PathBuf;

use antiphon::client::{SessionName, Way};
use antiphon_tests::{Service, Town};

use self::{
    bare::Mesh,
    figures::{Clocks, Round, Rounds, settle},
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

/// As long as a line that somebody types.
const CONTENT_BYTES: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(run());
}

async fn run() {
    let mut town = Town::found(env!("CARGO_BIN_EXE_antiphon-under-test")).await;
    let mut servers = [town.server("home1.example").await, town.server("home2.example").await];
    let mut direct = populate(&town, &servers, Way::Direct).await;
    let mut relayed = populate(&town, &servers, Way::Relayed).await;
    let mut processes: Vec<u32> = servers.iter_mut().map(|server| server.process().id()).collect();
    processes.push(town.node.process().id());
    let clocks = Clocks::new(processes);
    let identities: Vec<PathBuf> = direct.iter().map(|person| person.identity().to_owned()).collect();
    let root = town.folder().join("authority/root.pem");
    println!("{ROUNDS} rounds, medians; content of {CONTENT_BYTES} bytes; CPU and time per join or message");
    println!("{}", figures::head());
    for members in MEMBERS {
        let text = "x".repeat(CONTENT_BYTES);
        let traffic = traffic::of_session(&root, &identities[..members], &text);
        let mesh = Mesh::of(&root, &identities[..members]).await;
        let (direct, relayed) = (&mut direct[..members], &mut relayed[..members]);
        let bench = Bench { clocks: &clocks, direct, relayed, mesh, traffic, text };
        for rounds in bench.measure().await {
            println!("{}", rounds.lines());
        }
    }
    println!("once more: cargo bench -p antiphon-tests --bench session_cost");
}

/// As many people as the largest session has, of whom every other one is at the same server.
async fn populate(town: &Town, servers: &[Service; 2], way: Way) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0..MEMBERS[MEMBERS.len() - 1] {
        let name = format!("{way:?}-{number}");
        people.push(Person::settle(town, &name, &servers[number % 2], way).await);
    }
    people::open_up(&mut people).await;
    people
}

/// Two sessions of one size, and their twin.
struct Bench<'b> {
    clocks: &'b Clocks,
    direct: &'b mut [Person],
    relayed: &'b mut [Person],
    mesh: Mesh,
    traffic: Traffic,
    text: String,
}

impl Bench<'_> {
    async fn measure(mut self) -> Vec<Rounds> {
        let members = self.direct.len();
        let sessions = (self.direct[0].creates().await, self.relayed[0].creates().await);
        // All but the last are there already.
        for count in 2..members {
            people::join(&mut self.direct[..count], sessions.0).await;
            people::join(&mut self.relayed[..count], sessions.1).await;
        }
        self.mesh.meet(members - 1).await;
        let (mut joins, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
        let rounds_of = |work: &str| if is_asked_for(work) { ROUNDS } else { 0 };
        for round in 0..=rounds_of("join") {
            let joined = self.joins(sessions).await;
            // The first round warms up.
            if round > 0 {
                joins.push(joined);
            }
        }
        people::join(self.direct, sessions.0).await;
        people::join(self.relayed, sessions.1).await;
        self.mesh.play(&self.traffic.join, 1).await;
        settle().await;
        for round in 0..=ROUNDS {
            for (at_once, rounds) in [(1, &mut alone), (AT_ONCE, &mut together)] {
                if round <= rounds_of(if at_once == 1 { "alone" } else { "at-once" }) {
                    let said = self.messages(sessions, at_once).await;
                    if round > 0 {
                        rounds.push(said);
                    }
                }
            }
        }
        let of = |work: &str, rounds| Rounds { work: work.to_owned(), members, rounds };
        let mut all = vec![
            of("join of the nth", joins),
            of("message to n, one at a time", alone),
            of(&format!("message to n, {AT_ONCE} at once"), together),
        ];
        all.retain(|rounds| !rounds.rounds.is_empty());
        all
    }

    /// A round of joins; each is undone again.
    async fn joins(&mut self, sessions: (SessionName, SessionName)) -> Round {
        let (clocks, members) = (self.clocks, self.direct.len());
        let times = LINKS_PER_ROUND.div_ceil(members);
        let mut round = Round::default();
        for _ in 0..times {
            round.direct += clocks.time(people::join(self.direct, sessions.0)).await;
            people::leave(self.direct, sessions.0).await;
            settle().await;
        }
        for _ in 0..times {
            round.bare += clocks.time(self.mesh.play(&self.traffic.join, 1)).await;
            self.mesh.part(members - 1);
            settle().await;
        }
        for _ in 0..times {
            round.relayed += clocks.time(people::join(self.relayed, sessions.1)).await;
            people::leave(self.relayed, sessions.1).await;
            settle().await;
        }
        round / count(times)
    }

    /// A round of messages.
    async fn messages(&mut self, sessions: (SessionName, SessionName), at_once: usize) -> Round {
        let (clocks, text) = (self.clocks, self.text.clone());
        let times = FRAMES_PER_ROUND.div_ceil((self.direct.len() - 1) * at_once);
        let direct = async {
            for _ in 0..times {
                people::talk(self.direct, sessions.0, &text, at_once).await;
            }
        };
        let direct = clocks.time(direct).await;
        let bare = async {
            for _ in 0..times {
                self.mesh.play(&self.traffic.message, at_once).await;
            }
        };
        let bare = clocks.time(bare).await;
        let relayed = async {
            for _ in 0..times {
                people::talk(self.relayed, sessions.1, &text, at_once).await;
            }
        };
        let relayed = clocks.time(relayed).await;
        Round { direct, relayed, bare } / count(times * at_once)
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
