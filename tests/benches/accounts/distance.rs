//! Lookups by distance: the own list, another server of the same region, one under another leaf of the root node, one
//! in a region of a region.

use std::{net::Ipv4Addr, time::Instant};

use antiphon_spec::policy::{HandleSet, Preferences, Verdict};
use antiphon_tests::{Town, people::Ground};

use crate::{
    PROGRAM,
    figures::{median, micros, quantile, ratio},
    line::Line,
};

const ROUNDS: usize = 21;
const LOOKUPS: usize = 200;

pub(crate) async fn run() {
    let town = Town::found(PROGRAM).await;
    let leaf = town.node_below(&town.node, "leaf.example").await;
    let other = town.node_below(&town.node, "other.example").await;
    let region = town.node_below(&town.node, "region.example").await;
    let deep = town.node_below(&region, "deep.example").await;
    let servers = [
        ("the own list", town.server_of(&leaf, "home.example", "").await),
        ("the same node", town.server_of(&leaf, "near.example", "").await),
        ("through the root node", town.server_of(&other, "far.example", "").await),
        ("a node further down", town.server_of(&deep, "farther.example", "").await),
    ];
    town.prepare("evil.example", "").await;
    let asker = Ground::new(&town, &servers[0].1).person(Ipv4Addr::new(127, 79, 3, 200)).await;
    let mut line = Line::of(&asker).await;
    let mut users = Vec::new();
    for (number, (_, server)) in (1..).zip(&servers) {
        let user = Ground::new(&town, server).person(Ipv4Addr::new(127, 79, 3, number)).await;
        let mut there = Line::of(&user).await;
        let mut allow = HandleSet::default();
        assert!(allow.insert(asker.handle.clone()), "a list has room");
        there.changes(Preferences { deny: HandleSet::default(), allow, default: Verdict::Allow }).await;
        there.stays();
        users.push(user.handle);
    }
    let mut series = vec![(Vec::new(), Vec::new()); servers.len()];
    for round in 0..=ROUNDS {
        for (user, (medians, slowest)) in users.iter().zip(&mut series) {
            let mut latencies = Vec::with_capacity(LOOKUPS);
            for _ in 0..LOOKUPS {
                let begun = Instant::now();
                line.finds(user).await;
                latencies.push(micros(begun.elapsed()));
            }
            // The first round opens the connections between the servers.
            if round > 0 {
                medians.push(median(&latencies));
                slowest.push(quantile(&latencies, 0.99));
            }
        }
    }
    println!("lookups by distance: one at a time, {ROUNDS} rounds of {LOOKUPS}, medians over the rounds");
    println!("{:24} {:>10} {:>10} | ratio to the own list", "where the user is", "us p50", "us p99");
    for ((name, _), (medians, slowest)) in servers.iter().zip(&series) {
        println!(
            "{name:24} {:>10.0} {:>10.0} | {}",
            median(medians),
            median(slowest),
            ratio(medians, &series[0].0)
        );
    }
}
