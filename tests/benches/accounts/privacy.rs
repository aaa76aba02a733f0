//! What the time of a refusal tells: of users of whom the asker may know nothing, some do not exist, some are offline, some
//! are logged in here and some elsewhere.
//!
//! Each kind is compared with the users who do not exist, by the distance of the distributions of the times; what two
//! samples of one distribution differ by is measured as well. That the measurement can see anything is shown by the
//! answers that do tell, which come as soon as they are known.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    message::client_server::FromServer,
    policy::{HandleSet, Preferences, Verdict},
};
use antiphon_tests::{
    Draws, Town,
    people::{Ground, Person},
};
use futures::future::join_all;

use crate::{
    PROGRAM,
    figures::{apart, apart_by_chance, median, micros, quantile},
    line::Line,
};

/// So many ask, one question at a time each.
const ASKERS: u8 = 24;
/// Questions of each asker.
const QUESTIONS: u64 = 600;
const SEED: u64 = 11;

/// Who is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Nobody,
    NobodyAgain,
    NobodyElsewhere,
    Offline,
    OfflineElsewhere,
    DeniesHere,
    DeniesElsewhere,
    TellsHere,
    TellsElsewhere,
}

const ALL: [Whom; 9] = [
    Whom::Nobody,
    Whom::NobodyAgain,
    Whom::NobodyElsewhere,
    Whom::Offline,
    Whom::OfflineElsewhere,
    Whom::DeniesHere,
    Whom::DeniesElsewhere,
    Whom::TellsHere,
    Whom::TellsElsewhere,
];

impl Whom {
    const fn tells(self) -> bool {
        matches!(self, Self::TellsHere | Self::TellsElsewhere)
    }

    const fn about(self) -> &'static str {
        match self {
            Self::Nobody => "does not exist",
            Self::NobodyAgain => "does not exist (control)",
            Self::NobodyElsewhere => "does not exist, another home",
            Self::Offline => "is offline",
            Self::OfflineElsewhere => "is offline, another home",
            Self::DeniesHere => "is logged in here, denies",
            Self::DeniesElsewhere => "is logged in elsewhere, denies",
            Self::TellsHere => "is logged in here, tells",
            Self::TellsElsewhere => "is logged in elsewhere, tells",
        }
    }
}

type Times = BTreeMap<(bool, Whom), Vec<f64>>;

pub(crate) async fn run() {
    let town = Town::found(PROGRAM).await;
    let (home, other) = (town.server("home.example").await, town.server("other.example").await);
    town.prepare("evil.example", "").await;
    let (here, there) = (Ground::new(&town, &home), Ground::new(&town, &other));
    let mut askers = Vec::new();
    for number in 1..=ASKERS {
        askers.push(here.person(Ipv4Addr::new(127, 79, 5, number)).await);
    }
    let mut users = Vec::new();
    for (number, whom) in (1..).zip(ALL) {
        let ground = match whom {
            Whom::NobodyElsewhere | Whom::OfflineElsewhere | Whom::DeniesElsewhere | Whom::TellsElsewhere => {
                &there
            }
            Whom::Nobody | Whom::NobodyAgain | Whom::Offline | Whom::DeniesHere | Whom::TellsHere => &here,
        };
        let person = ground.person(Ipv4Addr::new(127, 79, 6, number)).await;
        if matches!(whom, Whom::Nobody | Whom::NobodyAgain | Whom::NobodyElsewhere) {
            let handle = format!("{:032x}@{}", 0xdead_beef_u64 + u64::from(number), person.handle.home);
            users.push((whom, handle.parse().expect("a handle")));
            continue;
        }
        if !matches!(whom, Whom::Offline | Whom::OfflineElsewhere) {
            let mut line = Line::of(&person).await;
            line.changes(preferences(&askers, whom.tells())).await;
            line.stays();
        }
        users.push((whom, person.handle));
    }
    let users: Arc<[(Whom, UserHandle)]> = users.into();
    let times = Arc::new(Mutex::new(Times::new()));
    let asking = askers
        .into_iter()
        .zip(SEED..)
        .map(|(asker, seed)| tokio::spawn(ask(asker, Arc::clone(&users), Draws(seed), Arc::clone(&times))));
    for done in join_all(asking.collect::<Vec<_>>()).await {
        done.expect("everybody goes on");
    }
    tell(&times.lock().unwrap_or_else(PoisonError::into_inner));
}

fn preferences(askers: &[Person], tells: bool) -> Preferences {
    let mut set = HandleSet::default();
    for asker in askers {
        assert!(set.insert(asker.handle.clone()), "a list has room");
    }
    if tells {
        Preferences { allow: set, deny: HandleSet::default(), default: Verdict::Deny }
    } else {
        Preferences { allow: HandleSet::default(), deny: set, default: Verdict::Deny }
    }
}

async fn ask(asker: Person, users: Arc<[(Whom, UserHandle)]>, mut draws: Draws, times: Arc<Mutex<Times>>) {
    let mut line = Line::of(&asker).await;
    for question in 0..QUESTIONS {
        let drawn = usize::try_from(draws.below(users.len() as u64)).expect("an index");
        let (whom, user) = &users[drawn];
        // Whoever tells would let the call through, which then is a link.
        let calls = !whom.tells() && draws.below(2) == 0;
        let begun = Instant::now();
        let answer = if calls { line.calls(user).await } else { line.looks_up(user).await };
        let took = micros(begun.elapsed()) / 1e3;
        match &answer {
            FromServer::Refused(refused) => {
                assert!(!whom.tells() && refused.code == ErrorCode::Unavailable, "{answer:?}");
            }
            FromServer::RelayClose(_) => assert!(calls, "{answer:?}"),
            FromServer::Address(_) => assert!(whom.tells(), "{whom:?} is not to be known"),
            other => panic!("{other:?}"),
        }
        // The first questions open the connections between the servers.
        if question >= QUESTIONS / 10 {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.entry((calls, *whom)).or_default().push(took);
        }
    }
}

fn tell(times: &Times) {
    println!("times of answers, {ASKERS} askers, one question at a time each, about users in random order");
    println!(
        "{:8} {:30} {:>6} {:>9} {:>9} {:>9} {:>9} | distance, by chance (1 %)",
        "question", "the user", "count", "ms p10", "p50", "p90", "p99"
    );
    for ((calls, whom), sample) in times {
        let base = if whom.tells() { Whom::TellsHere } else { Whom::Nobody };
        let base = &times[&(*calls, base)];
        let at = |share| quantile(sample, share);
        println!(
            "{:8} {:30} {:>6} {:>9.3} {:>9.3} {:>9.3} {:>9.3} | {:.3}, {:.3}",
            if *calls { "call" } else { "lookup" },
            whom.about(),
            sample.len(),
            at(0.1),
            median(sample),
            at(0.9),
            at(0.99),
            apart(sample, base),
            apart_by_chance(sample.len(), base.len())
        );
    }
}
