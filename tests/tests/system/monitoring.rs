//! What an operator's tools see: numbers that follow what happens, and whether a process is ready.

use antiphon_tests::{Store, Town, page};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::PROGRAM;

const MONITORED: &str = "monitoring-address = \"127.0.0.1:0\"\n";

const LOGINS: &str = "antiphon_requests_total{request=\"login\",outcome=\"granted\"}";
const LOOKUPS: &str = "antiphon_requests_total{request=\"lookup\",outcome=\"unavailable\"}";

#[tokio::test]
async fn numbers_follow_what_happens() {
    let town = Town::found(PROGRAM).await;
    let (home, elsewhere) = (
        town.server_with("home1.example", MONITORED).await,
        town.server_with("home2.example", MONITORED).await,
    );
    let before = home.samples().await;
    assert_eq!(before.of("antiphon_users_online"), 0.0);
    assert_eq!(before.of("antiphon_build_info{version=\"0.1.0\",role=\"server\"}"), 1.0);
    assert!(before.of("process_resident_memory_bytes") > 1e6);

    let mut alice = town.citizen("alice", &home, &home).await;
    let bob = town.citizen("bob", &home, &elsewhere).await;
    let handle = bob.handle().to_owned();
    alice.misses(&handle).await;
    let after = home.sampled("a login", |samples| samples.of(LOGINS) == 1.0).await;
    assert_eq!(after.of("antiphon_users_online"), 1.0);
    assert_eq!(
        after.of("antiphon_connections{port=\"authenticated\"}"),
        2.0,
        "a client's and the other server's"
    );
    assert_eq!(after.of(LOOKUPS), 1.0);
    assert_eq!(after.of("antiphon_requests_total{request=\"register\",outcome=\"granted\"}"), 2.0);
    assert_eq!(after.of("antiphon_requests_total{request=\"check-out\",outcome=\"granted\"}"), 1.0);
    assert_eq!(after.of("antiphon_request_seconds_count{request=\"login\"}"), 1.0);
    assert!(after.of("antiphon_store_commit_seconds_count") >= 4.0);
    let there = elsewhere.samples().await;
    assert_eq!(there.of("antiphon_users_online"), 1.0);
    assert_eq!(there.of("antiphon_asked_total{request=\"check-out\",outcome=\"granted\"}"), 1.0);
    assert_eq!(there.of("antiphon_dialled_links{channel=\"server-to-server\"}"), 1.0);
    assert!(
        town.node.samples().await.of("antiphon_requests_total{request=\"insert\",outcome=\"granted\"}")
            >= 6.0
    );

    alice.process().kill().await;
    let gone = home.sampled("nobody", |samples| samples.of("antiphon_users_online") == 0.0).await;
    assert_eq!(gone.of("antiphon_links_ended_total{channel=\"client-to-server\",reason=\"lost\"}"), 1.0);

    // Numbers, and no names: whoever reads them learns of nobody.
    for service in [&home, &elsewhere, &town.node] {
        let told = service.page("/metrics").await.body;
        for name in [alice.handle(), &handle, "home1.example", "home2.example", "node.example"] {
            let id = name.split('@').next().unwrap();
            assert!(!told.contains(id), "{id} in {told}");
        }
    }
}

#[tokio::test]
async fn every_metric_says_what_it_is() {
    let town = Town::found(PROGRAM).await;
    let home = town.server_with("home1.example", MONITORED).await;
    town.citizen("alice", &home, &home).await;
    for service in [&home, &town.node] {
        let told = service.page("/metrics").await.body;
        let kinds = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut count = 0;
        for name in kinds.filter_map(|line| line.split(' ').next()) {
            count += 1;
            assert!(told.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(count > 10, "{told}");
    }
}

#[tokio::test]
async fn a_server_is_ready_while_its_directory_node_and_its_database_are_there() {
    for store in Store::each("readiness") {
        is_ready(store).await;
    }
}

async fn is_ready(store: Store) {
    let mut town = Town::found_with_store(PROGRAM, store).await;
    let mut home = town.server_with("home1.example", MONITORED).await;
    let obstacles = |body: &str| serde_json::from_str::<Value>(body).unwrap()["obstacles"].clone();
    let ready = home.turns("/health/ready", 200).await;
    assert_eq!(obstacles(&ready.body), json!([]));
    assert_eq!(town.node.page("/health/ready").await.status, 200);
    town.node.crash().await;
    let unready = home.turns("/health/ready", 503).await;
    assert_eq!(obstacles(&unready.body), json!(["location"]));
    assert_eq!(home.page("/health/live").await.status, 200);
    town.node.start_again().await;
    home.turns("/health/ready", 200).await;
    // A later process has taken the database: this one is ready for nothing any more, and ends.
    let second = town.another(&home).await;
    home.process().ended().await;
    second.turns("/health/ready", 200).await;
}

#[tokio::test]
async fn whoever_asks_for_something_else_is_told_what_there_is() {
    let town = Town::found(PROGRAM).await;
    let home = town.server_with("home1.example", MONITORED).await;
    let missing = home.page("/").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.body, "there are /metrics, /health/live, /health/ready\n");
    assert_eq!(page(home.monitoring(), "POST /metrics HTTP/1.1").await.status, 405);
    assert_eq!(page(home.monitoring(), "nonsense").await.status, 400);
    assert_eq!(page(home.monitoring(), &format!("GET /{} HTTP/1.1", "a".repeat(100_000))).await.status, 431);
    // Whoever says nothing takes one place of sixteen, and not the others'.
    let mut silent = Vec::new();
    for _ in 0..15 {
        silent.push(TcpStream::connect(home.monitoring()).await.unwrap());
    }
    assert_eq!(home.page("/health/live").await.status, 200);
    for mut stream in silent {
        // It is cut off, with or without a word.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn every_line_of_the_log_about_a_request_names_it() {
    let town = Town::found_with_log(PROGRAM, Some("info,antiphon=debug")).await;
    let (mut home, elsewhere) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut bob = town.client("bob", &home, &elsewhere).await;
    bob.registers().await;
    home.crash().await;
    // The request goes on in other tasks, one of which finds that the home server is gone.
    bob.refused(json!({"command": "login"})).await;
    let log = town.log("home2.example");
    let line = log.lines().find(|line| line.contains("a step of a login failed")).expect("it is told");
    assert!(line.contains("connection{number=1}:request{id=1 kind=\"login\"}"), "{line}");
    assert!(line.contains("code=home-unreachable"), "{line}");
}
