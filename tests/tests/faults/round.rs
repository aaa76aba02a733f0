//! A round: the town, the conversation, the fault, the agreement, and the life after it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use antiphon_spec::limits::LOST_MEMBER_DEADLINE;
use antiphon_tests::{Client, Service, Store, Town, in_time};
use futures::future::select_all;
use serde_json::{Value, json};

use crate::{
    PROGRAM, ledger,
    plan::{Moment, Plan, Victim},
    witness::{View, Witness},
};

/// Within so long after the fault everybody who is left agrees: nobody waits longer for the removal of a lost member or
/// for the others to follow a successor, and a newcomer gives up earlier.
const AGREEMENT: Duration = LOST_MEMBER_DEADLINE;

/// The people by their numbers, and the servers that they are registered and logged in at.
const PEOPLE: [(&str, usize, usize); 5] =
    [("alice", 0, 0), ("bob", 1, 1), ("carol", 0, 1), ("dave", 1, 1), ("erin", 0, 0)];

const CREATOR: usize = 0;
const MEMBER: usize = 1;
const LEAVER: usize = 3;
const NEWCOMER: usize = 4;

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// How long it took until all agreed.
    pub(crate) agreed: Duration,
    /// Whether the newcomer was a member then.
    pub(crate) joined: bool,
}

/// Plays a round.
pub(crate) async fn play(plan: Plan, store: Store) -> Outcome {
    let mut round = Round::begin(plan, store).await;
    round.strike().await;
    let agreed = round.agree().await;
    let joined = round.people[NEWCOMER].is_member();
    round.live_on().await;
    ledger::check(&round.people);
    Outcome { agreed, joined }
}

struct Round {
    plan: Plan,
    town: Town,
    servers: [Service; 2],
    session: String,
    /// The dead keep their places; who comes back gets a new one.
    people: Vec<Witness>,
    inviter: usize,
    left: bool,
    dead: Vec<usize>,
    struck: Instant,
}

impl Round {
    /// Four people talk in a session.
    async fn begin(plan: Plan, store: Store) -> Self {
        let town = Town::found_with_store(PROGRAM, store).await;
        let servers = [town.server("home1.example").await, town.server("home2.example").await];
        let mut clients = Vec::new();
        for (name, home, local) in PEOPLE {
            clients.push(town.citizen(name, &servers[home], &servers[local]).await);
        }
        // Everybody dials everybody, so that no link depends on a server.
        let handles: Vec<String> = clients.iter().map(|client| client.handle().to_owned()).collect();
        for client in &mut clients {
            let others: Vec<&String> = handles.iter().filter(|handle| *handle != client.handle()).collect();
            let set = json!({"command": "set-preferences", "allow": others, "deny": [], "default": "allow"});
            client.done(set, "preferences-set").await;
        }
        let [alice, bob, carol, dave, erin] = <[Client; 5]>::try_from(clients).unwrap();
        let (mut alice, mut bob, mut carol, mut dave) = (alice, bob, carol, dave);
        let session = alice.creates().await;
        alice.brings_in(&session, &mut bob, &mut []).await;
        alice.brings_in(&session, &mut carol, &mut [&mut bob]).await;
        alice.brings_in(&session, &mut dave, &mut [&mut bob, &mut carol]).await;
        let clients = [alice, bob, carol, dave, erin].into_iter().zip(PEOPLE);
        let people = clients.map(|(client, (name, _, server))| Witness::of(client, name, server, &session));
        let inviter = if plan.coordinator_invites { CREATOR } else { MEMBER };
        let people = people.collect();
        let struck = Instant::now();
        let dead = Vec::new();
        let mut round = Self { plan, town, servers, session, people, inviter, left: false, dead, struck };
        for member in 0..NEWCOMER {
            round.people[member].begins(json!({"command": "members"})).await;
        }
        round.until("the session of four", |round| round.agreed_on(4)).await;
        for member in 0..NEWCOMER {
            round.people[member].talks().await;
        }
        round
    }

    /// Somebody is invited, and the fault strikes.
    async fn strike(&mut self) {
        let handle = self.people[NEWCOMER].handle.clone();
        self.people[self.inviter].begins(json!({"command": "invite", "handle": handle})).await;
        if self.plan.moment != Moment::Asked {
            self.until("the invitation", |round| round.people[NEWCOMER].invited).await;
        }
        let shown = |round: &Self| -> usize { round.people.iter().map(|person| person.shown.len()).sum() };
        let before = shown(self);
        let moment = self.plan.moment;
        let accepts = !matches!(moment, Moment::Asked | Moment::Invited);
        if accepts {
            self.accept().await;
        }
        self.until("the moment of the fault", |round| match moment {
            Moment::Asked | Moment::Invited | Moment::Accepted => true,
            Moment::Joined => {
                let joined = |view: &View| view.members.contains(&round.people[NEWCOMER].handle);
                round.people.iter().any(|person| person.view.as_ref().is_some_and(joined))
            }
            Moment::Talked(count) => shown(round) >= before + usize::try_from(count).unwrap(),
        })
        .await;
        self.go_on_for(self.plan.delay).await;
        self.dead = self.victims();
        for victim in self.dead.clone() {
            self.kill(victim).await;
        }
        for &server in self.plan.victim.servers() {
            self.servers[server].crash().await;
        }
        self.struck = Instant::now();
    }

    fn victims(&self) -> Vec<usize> {
        match self.plan.victim {
            Victim::Coordinator => {
                let coordinator = &self.people[MEMBER].view.as_ref().unwrap().coordinator;
                let is_it = |person: &Witness| person.handle == *coordinator;
                self.people.iter().position(is_it).into_iter().collect()
            }
            Victim::Holder => vec![self.inviter],
            Victim::Newcomer => vec![NEWCOMER],
            Victim::FirstServer | Victim::SecondServer | Victim::BothServers => Vec::new(),
        }
    }

    async fn kill(&mut self, victim: usize) {
        let victim = &mut self.people[victim];
        victim.alive = false;
        victim.client.process().kill().await;
    }

    /// The newcomer accepts, and maybe somebody leaves.
    async fn accept(&mut self) {
        self.people[NEWCOMER].begins(json!({"command": "accept"})).await;
        self.people[NEWCOMER].invited = false;
        if self.plan.leave && !self.left {
            self.left = true;
            self.people[LEAVER].is_quiet();
            self.people[LEAVER].begins(json!({"command": "leave"})).await;
        }
    }

    /// Waits until everybody who is left agrees.
    async fn agree(&mut self) -> Duration {
        let agreeing = async {
            loop {
                if self.must_accept() {
                    self.accept().await;
                } else if self.is_settled() {
                    return self.struck.elapsed();
                }
                self.take_one().await;
            }
        };
        let agreed = tokio::time::timeout(AGREEMENT, agreeing).await;
        agreed
            .unwrap_or_else(|_| panic!("no agreement within {} s: {:#?}", AGREEMENT.as_secs(), self.views()))
    }

    fn must_accept(&self) -> bool {
        let newcomer = &self.people[NEWCOMER];
        newcomer.alive && newcomer.invited && newcomer.ended.is_none()
    }

    /// Whether nothing is under way any more, and all agree.
    fn is_settled(&self) -> bool {
        let stays = |number: usize| number < NEWCOMER && !(self.left && number == LEAVER);
        for (number, person) in self.people.iter().enumerate() {
            let ended = person.ended.as_deref();
            assert!(
                !person.alive || !stays(number) || ended.is_none(),
                "{} lost the session: {ended:?}",
                person.name
            );
        }
        let newcomer = &self.people[NEWCOMER];
        // Of a newcomer that is dead its inviter has to have heard, too, or the invitation is still under way.
        let inviter = &self.people[self.inviter];
        let is_known_dead = !newcomer.alive
            && (!inviter.alive || inviter.in_vain > 0 || inviter.met.contains(&newcomer.handle));
        let decided = is_known_dead
            || newcomer.is_member()
            || newcomer.ended.is_some()
            || !newcomer.was_invited && inviter.in_vain > 0;
        let leaver = &self.people[LEAVER];
        let let_go = !self.left || !leaver.alive || leaver.ended.is_some();
        let silent = self.people.iter().all(|person| person.alive || person.silent);
        let members = self.people.iter().filter(|person| person.is_member()).count();
        decided && let_go && silent && self.agreed_on(members)
    }

    /// Whether so many take themselves for members, and all of them see just these, in the same epoch.
    fn agreed_on(&self, count: usize) -> bool {
        let members: Vec<&Witness> = self.people.iter().filter(|person| person.is_member()).collect();
        let handles: BTreeSet<String> = members.iter().map(|member| member.handle.clone()).collect();
        let first = members.first().and_then(|member| member.view.as_ref());
        members.len() == count
            && first.is_some_and(|view| view.members == handles)
            && members.iter().all(|member| member.view.as_ref() == first)
    }

    fn views(&self) -> Vec<(&str, Option<&View>, Option<&str>)> {
        let view = |person: &'_ Witness| person.alive;
        let people = self.people.iter().filter(|person| view(person));
        people.map(|person| (person.name.as_str(), person.view.as_ref(), person.ended.as_deref())).collect()
    }

    /// Servers and clients come back, whoever is not in the session is brought in, and everybody hears everybody.
    async fn live_on(&mut self) {
        for &server in self.plan.victim.servers() {
            let logins: Vec<usize> = self.people.iter().map(|person| person.logins).collect();
            self.servers[server].start_again().await;
            self.until("logins at the server that is back", |round| {
                let mut logins = round.people.iter().zip(&logins);
                logins.all(|(person, before)| person.server != server || person.logins > *before)
            })
            .await;
        }
        for victim in self.dead.clone() {
            let (name, home, local) = PEOPLE[victim];
            let mut client = self.town.client(name, &self.servers[home], &self.servers[local]).await;
            client.logs_in().await;
            self.people.push(Witness::of(client, name, local, &self.session));
        }
        let outside = |person: &Witness| person.alive && !person.is_member();
        let waiting: Vec<usize> = (0..self.people.len()).filter(|&who| outside(&self.people[who])).collect();
        for who in waiting {
            let members = self.people.iter().filter(|person| person.is_member()).count();
            let handle = self.people[who].handle.clone();
            let inviter = self.people.iter_mut().find(|person| person.is_member()).unwrap();
            inviter.begins(json!({"command": "invite", "handle": handle})).await;
            self.people[who].starts_anew();
            self.until("an invitation back", |round| round.people[who].invited).await;
            self.people[who].begins(json!({"command": "accept"})).await;
            self.until("a session that takes in", |round| round.agreed_on(members + 1)).await;
        }
        for person in self.people.iter_mut().filter(|person| person.is_member()) {
            person.is_quiet();
            person.says_next().await;
        }
        self.until("all to hear all", |round| {
            let members = || round.people.iter().filter(|person| person.is_member());
            members().all(|speaker| {
                speaker.is_heard() && members().all(|listener| listener.has_shown_last_of(speaker))
            })
        })
        .await;
    }

    /// Takes in what clients tell until something is so.
    async fn until(&mut self, awaited: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                self.take_one().await;
            }
        };
        in_time(awaited, waiting).await;
    }

    /// Takes in what clients tell for a while: the time is a part of the fault, nothing is waited for.
    async fn go_on_for(&mut self, delay: Duration) {
        let over = tokio::time::sleep(delay);
        tokio::pin!(over);
        loop {
            let (number, told) = tokio::select! {
                () = &mut over => return,
                told = self.next_told() => told,
            };
            self.people[number].takes(told).await;
        }
    }

    async fn take_one(&mut self) {
        let (number, told) = self.next_told().await;
        self.people[number].takes(told).await;
    }

    /// The next thing that anybody tells. May be cancelled.
    async fn next_told(&mut self) -> (usize, Option<Value>) {
        let listening = self.people.iter_mut().enumerate().filter(|(_, person)| !person.silent);
        let next = listening.map(|(number, person)| {
            let client = &mut person.client;
            Box::pin(async move { (number, client.next().await) })
        });
        select_all(next).await.0
    }
}
