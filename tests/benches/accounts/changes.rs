//! Changes of preferences, acknowledged when they are durable, against a bare database on the same disk: by one user at
//! a time, and by as many at once.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use antiphon_spec::policy::{HandleSet, Preferences, Verdict};
use antiphon_tests::{Founding, Store, Town, people::Ground};
use futures::future::join_all;

use crate::{
    PROGRAM,
    bare_store::Bare,
    figures::{median, ratio},
    line::Line,
};

const USERS: u8 = 16;
const ROUNDS: usize = 11;
const PART: Duration = Duration::from_secs(1);
/// So many handles does each user name, of each of the two lists.
const NAMED: u8 = 10;

pub(crate) async fn run() {
    println!("changes: {ROUNDS} rounds of {} s each; {NAMED} handles on either list", PART.as_secs());
    println!(
        "{:10} {:18} {:>10} {:>12} | ratio (quartiles)",
        "store", "users at a time", "changes/s", "bare/s"
    );
    for (name, store) in [("SQLite", Some(Store::Sqlite)), ("PostgreSQL", Store::postgres("changes"))] {
        if let Some(store) = store {
            measure(name, store).await;
        }
    }
}

async fn measure(name: &str, store: Store) {
    let town = Town::found_with(PROGRAM, Founding { store: store.clone(), ..Founding::default() }).await;
    let home = town.server("home.example").await;
    town.prepare("evil.example", "").await;
    let ground = Ground::new(&town, &home);
    let mut lines = Vec::new();
    for number in 1..=USERS {
        let person = ground.person(Ipv4Addr::new(127, 79, 2, number)).await;
        lines.push(Line::of(&person).await);
    }
    let bare = Bare::open(&store, town.folder(), i64::from(USERS)).await;
    for users in [1, usize::from(USERS)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let rates = (change(&mut lines[..users]).await, change_bare(&bare, users).await);
            // The first round warms up.
            if round > 0 {
                ours.push(rates.0);
                theirs.push(rates.1);
            }
        }
        println!(
            "{name:10} {users:18} {:>10.0} {:>12.0} | {}",
            median(&ours),
            median(&theirs),
            ratio(&ours, &theirs)
        );
    }
}

/// Preferences that differ from those before, and are as long.
fn preferences(count: u32) -> Preferences {
    let set = |list: u8| {
        let mut set = HandleSet::default();
        for number in 0..NAMED {
            let id = (u128::from(count) << 32) | u128::from(list) << 16 | u128::from(number);
            let handle = format!("{id:032x}@somewhere.example").parse().expect("a handle");
            assert!(set.insert(handle), "a list has room");
        }
        set
    };
    Preferences { deny: set(1), allow: set(2), default: Verdict::Allow }
}

async fn change(lines: &mut [Line]) -> f64 {
    let (begun, end) = (Instant::now(), Instant::now() + PART);
    let counts = join_all(lines.iter_mut().map(|line| async move {
        let mut count = 0;
        while Instant::now() < end {
            count += 1;
            line.changes(preferences(count)).await;
        }
        count
    }))
    .await;
    f64::from(counts.iter().sum::<u32>()) / begun.elapsed().as_secs_f64()
}

async fn change_bare(bare: &Bare, users: usize) -> f64 {
    let (begun, end) = (Instant::now(), Instant::now() + PART);
    let doing = (0..users).map(|number| {
        let bare = bare.clone();
        let number = i64::try_from(number).expect("a few");
        tokio::spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < end {
                count += 1;
                let handle = format!("{count:032x}@somewhere.example ");
                bare.change(number, &handle.repeat(2 * usize::from(NAMED))).await;
            }
            count
        })
    });
    let counts = join_all(doing.collect::<Vec<_>>()).await;
    let count: u32 = counts.into_iter().map(|count| count.expect("everybody goes on")).sum();
    f64::from(count) / begun.elapsed().as_secs_f64()
}
