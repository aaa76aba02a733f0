//! A round: the town, the changes, the outage, the time after it, and a server that is gone for good.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_test_postgres::Postgres;
use antiphon_tests::{Client, Founding, Service, Store, Town, in_time};
use futures::future::select_all;
use serde_json::{Value, json};

use crate::{
    plan::{Plan, Victim},
    user::User,
};

/// Leases of records and of logins in a town.
const LEASE: Duration = Duration::from_secs(3);

/// Within so long everything is right again: the longest lease, and the longest wait between two attempts of a server that
/// found somebody gone, twice over for a busy machine.
const BOUND: Duration = Duration::from_secs(LEASE.as_secs() + 2 * 5);

/// The people, and the servers that they are registered and logged in at.
const PEOPLE: [(&str, usize, usize); 4] = [("alice", 0, 0), ("bob", 0, 1), ("carol", 1, 0), ("dave", 1, 1)];

/// Where a round takes place.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) program: String,
    pub(crate) mutant: Option<&'static str>,
    pub(crate) postgres: Option<Arc<Postgres>>,
}

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Changes that were acknowledged.
    pub(crate) changes: u64,
    /// How long it took from the victim's start until everybody was found again.
    pub(crate) back: Duration,
}

/// Plays a round.
pub(crate) async fn play(plan: Plan, ground: Ground) -> Outcome {
    let mut round = Round::begin(plan, ground).await;
    round.strike().await;
    let back = round.recover().await;
    let changes = round.people.iter().map(|person| person.acknowledged).sum();
    round.bury().await;
    Outcome { changes, back }
}

struct Round {
    plan: Plan,
    postgres: Option<Arc<Postgres>>,
    town: Town,
    /// The last one is never killed: whoever looks for the others is there.
    servers: [Service; 3],
    people: Vec<User>,
    /// Looks for the others.
    seeker: Client,
}

impl Round {
    async fn begin(plan: Plan, ground: Ground) -> Self {
        let Ground { program, mutant, postgres } = ground;
        let store = postgres.clone().map_or(Store::Sqlite, Store::Postgres);
        let founding = Founding { store, node: "lease = 3\n", mutant, ..Founding::default() };
        let town = Town::found_with(&program, founding).await;
        let settings = format!("login-lease = {}\n", LEASE.as_secs());
        let servers = [
            town.server_with("home1.example", &settings).await,
            town.server_with("home2.example", &settings).await,
            town.server_with("home3.example", &settings).await,
        ];
        let seeker = town.citizen("seeker", &servers[2], &servers[2]).await;
        let mut people = Vec::new();
        for (name, home, local) in PEOPLE {
            let client = town.citizen(name, &servers[home], &servers[local]).await;
            let mut person = User::new(name, client, seeker.handle());
            // Whoever looks for them is told where they are, whatever becomes of the changes.
            person.changes().await;
            person.ceases().await;
            assert_eq!(person.acknowledged, 1, "{name}");
            people.push(person);
        }
        Self { plan, postgres, town, servers, people, seeker }
    }

    /// Everybody changes the own profile, over and over, and the victim dies and comes back in the middle of it.
    async fn strike(&mut self) {
        for person in &mut self.people {
            person.changes().await;
        }
        let wanted = self.plan.changes + u64::try_from(PEOPLE.len()).unwrap();
        let changing = async {
            while self.people.iter().map(|person| person.acknowledged).sum::<u64>() < wanted {
                self.take_one().await;
            }
        };
        in_time("changes to be acknowledged", changing).await;
        self.go_on_for(self.plan.delay).await;
        match self.plan.victim {
            Victim::FirstServer => self.servers[0].crash().await,
            Victim::SecondServer => self.servers[1].crash().await,
            Victim::Node => self.town.node.crash().await,
            Victim::Database => self.postgres.as_ref().unwrap().crash(),
        }
        self.go_on_for(self.plan.gone).await;
        match self.plan.victim {
            Victim::FirstServer => self.servers[0].start_again().await,
            Victim::SecondServer => self.servers[1].start_again().await,
            Victim::Node => self.town.node.start_again().await,
            Victim::Database => self.postgres.as_ref().unwrap().start_again(),
        }
    }

    /// Everybody logs in again, finds the own profile with all that was acknowledged, and is found.
    async fn recover(&mut self) -> Duration {
        let since = Instant::now();
        for person in &mut self.people {
            within("an answer to the last change", person.ceases()).await;
            within("a login after the outage", person.logs_in()).await;
        }
        for person in &self.people {
            let (handle, address) = (person.client.handle(), person.client.address());
            let found = finds(&mut self.seeker, handle, address);
            within(&format!("{} to be found", person.name), found).await;
        }
        let back = since.elapsed();
        // Once more, and with a change: everything works as before.
        for person in &mut self.people {
            person.changes().await;
            person.ceases().await;
            let before = person.acknowledged;
            person.logs_in().await;
            assert_eq!(person.acknowledged, before, "{}", person.name);
        }
        back
    }

    /// A server dies for good, and with it the client of somebody whose home is elsewhere: whoever was logged in there is not
    /// found any more, and who has another place to go is found there.
    async fn bury(&mut self) {
        let dead = self.plan.last;
        let with_dead = |home: bool| {
            let is_it = move |&(_, own, local): &(&str, usize, usize)| local == dead && (own == dead) == home;
            PEOPLE.iter().position(is_it).unwrap()
        };
        let (stays, moves) = (with_dead(true), with_dead(false));
        self.people[moves].client.process().kill().await;
        self.servers[dead].crash().await;
        let gone = self.people[stays].client.handle().to_owned();
        within("the lost user to be unavailable", misses(&mut self.seeker, &gone)).await;
        let (name, home, _) = PEOPLE[moves];
        let client = self.town.client(name, &self.servers[home], &self.servers[2]).await;
        let moved = &mut self.people[moves];
        moved.client = client;
        within("a login elsewhere", moved.logs_in()).await;
        let found = finds(&mut self.seeker, moved.client.handle(), moved.client.address());
        within("the moved user to be found", found).await;
        // A client that is gone without a word is not found for longer than its server needs to notice.
        let last = with_other(dead);
        self.people[last].client.process().kill().await;
        let gone = self.people[last].client.handle().to_owned();
        within("the client without a word to be unavailable", misses(&mut self.seeker, &gone)).await;
    }

    async fn take_one(&mut self) {
        let (number, told) = self.next_told().await;
        let told = told.unwrap_or_else(|| panic!("{} has ended", self.people[number].name));
        if self.people[number].takes(&told) {
            self.people[number].changes().await;
        }
    }

    /// Goes on for a while: the time is a part of the fault, nothing is waited for.
    async fn go_on_for(&mut self, delay: Duration) {
        let over = tokio::time::sleep(delay);
        tokio::pin!(over);
        loop {
            let (number, told) = tokio::select! {
                () = &mut over => return,
                told = self.next_told() => told,
            };
            let told = told.unwrap_or_else(|| panic!("{} has ended", self.people[number].name));
            if self.people[number].takes(&told) {
                self.people[number].changes().await;
            }
        }
    }

    /// The next thing that anybody tells. May be cancelled.
    async fn next_told(&mut self) -> (usize, Option<Value>) {
        let next = self.people.iter_mut().enumerate().map(|(number, person)| {
            let client = &mut person.client;
            Box::pin(async move { (number, client.next().await) })
        });
        select_all(next).await.0
    }
}

/// Whose home and local server is the one that lives on.
fn with_other(dead: usize) -> usize {
    PEOPLE.iter().position(|&(_, home, local)| home != dead && local != dead).unwrap()
}

/// Looks for somebody until the answer is this address.
async fn finds(seeker: &mut Client, handle: &str, address: &str) {
    let lookup = json!({"command": "lookup", "handle": handle});
    while seeker.ask(lookup.clone()).await["address"] != address {}
}

/// Looks for somebody until nobody can say.
async fn misses(seeker: &mut Client, handle: &str) {
    let lookup = json!({"command": "lookup", "handle": handle});
    while seeker.ask(lookup.clone()).await["code"] != "unavailable" {}
}

/// Something that has to happen within the bound.
async fn within<T>(awaited: &str, coming: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(BOUND, coming).await;
    came.unwrap_or_else(|_| panic!("waited {} s in vain for {awaited}", BOUND.as_secs()))
}
