//! Logins, against bare handshakes: as many users as there are lines log in, go without a word, and log in again.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_tests::{
    Town, in_time,
    people::{Ground, Person},
};
use futures::future::join_all;

use crate::{
    PROGRAM,
    bare_tls::Bare,
    figures::{cpu_of, median, micros, ratio},
};

const USERS: u8 = 16;
const ROUNDS: usize = 15;
const HALF: Duration = Duration::from_secs(2);

/// What one half of a round comes to.
struct Half {
    per_second: f64,
    cpu_micros_each: f64,
}

pub(crate) async fn run() {
    let mut town = Town::found(PROGRAM).await;
    let mut home = town.server("home.example").await;
    town.prepare("evil.example", "").await;
    let ground = Ground::new(&town, &home);
    let mut people = Vec::new();
    for number in 1..=USERS {
        people.push(ground.person(Ipv4Addr::new(127, 79, 1, number)).await);
    }
    let bare = Arc::new(Bare::start(town.folder()).await);
    let processes = [home.process().id(), town.node.process().id()];
    let (mut logins, mut handshakes) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let halves = (log_in(&people, &processes).await, meet(&people, &bare).await);
        // The first round warms up.
        if round > 0 {
            logins.push(halves.0);
            handshakes.push(halves.1);
        }
    }
    let series = |halves: &[Half], of: fn(&Half) -> f64| -> Vec<f64> { halves.iter().map(of).collect() };
    let rates = (series(&logins, |it| it.per_second), series(&handshakes, |it| it.per_second));
    let cpu = (series(&logins, |it| it.cpu_micros_each), series(&handshakes, |it| it.cpu_micros_each));
    println!("logins: {USERS} users at once, {ROUNDS} rounds of {} s", HALF.as_secs());
    println!("{:24} {:>12} {:>16} | ratio (quartiles)", "", "logins", "bare handshakes");
    println!(
        "{:24} {:>12.0} {:>16.0} | {}",
        "per second",
        median(&rates.0),
        median(&rates.1),
        ratio(&rates.0, &rates.1)
    );
    println!(
        "{:24} {:>12.0} {:>16.0} | {}",
        "us of CPU of servers",
        median(&cpu.0),
        median(&cpu.1),
        ratio(&cpu.0, &cpu.1)
    );
}

async fn log_in(people: &[Person], processes: &[u32]) -> Half {
    half(
        processes,
        people.iter().map(|person| {
            let person = person.clone();
            move || {
                let person = person.clone();
                async move { drop(in_time("a login", person.log_in()).await.expect("a user can log in")) }
            }
        }),
    )
    .await
}

async fn meet(people: &[Person], bare: &Arc<Bare>) -> Half {
    half(
        &[bare.id()],
        people.iter().map(|person| {
            let (bare, connector) = (Arc::clone(bare), bare.connector(person.credentials()));
            move || {
                let (bare, connector) = (Arc::clone(&bare), connector.clone());
                async move { bare.meet(&connector).await }
            }
        }),
    )
    .await
}

/// Has everybody do the same again and again.
async fn half<D, F>(processes: &[u32], doers: impl Iterator<Item = D>) -> Half
where
    D: Fn() -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let cpu = || processes.iter().map(|process| cpu_of(*process)).sum::<Duration>();
    let (before, begun) = (cpu(), Instant::now());
    let end = begun + HALF;
    let doing = doers.map(|doer| {
        tokio::spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < end {
                doer().await;
                count += 1;
            }
            count
        })
    });
    let counts = join_all(doing.collect::<Vec<_>>()).await;
    let count: u32 = counts.into_iter().map(|count| count.expect("everybody goes on")).sum();
    Half {
        per_second: f64::from(count) / begun.elapsed().as_secs_f64(),
        cpu_micros_each: micros(cpu().saturating_sub(before)) / f64::from(count),
    }
}
