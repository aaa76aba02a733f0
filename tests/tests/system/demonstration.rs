//! `antiphon demo`: it plays to its end, can be joined while it is kept, and leaves nothing behind.

use std::{net::SocketAddr, path::Path};

use antiphon_tests::{Process, Town};
use tokio::net::TcpStream;

use crate::PROGRAM;

/// Every loopback address that a text names.
fn addresses(text: &str) -> Vec<SocketAddr> {
    let words = text.split(|character: char| character.is_whitespace() || "=,".contains(character));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// No port is open and no file is left.
async fn check_clean(narration: &str, folder: &Path) {
    let ports = addresses(narration);
    assert!(ports.len() >= 5, "{narration}");
    for port in ports {
        assert!(TcpStream::connect(port).await.is_err(), "{port} is open");
    }
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn start(town: &Town, name: &str, arguments: &[&str]) -> Process {
    let folder = town.folder().join(name);
    std::fs::create_dir(&folder).unwrap();
    town.process(name, arguments, |command| {
        command.env("TMPDIR", folder);
    })
}

/// Everything up to the end of the output, which no process holds open any more.
async fn rest(process: &mut Process) -> String {
    let mut narration = String::new();
    while let Some(line) = process.read("the end of the demo").await {
        narration.push_str(&line);
        narration.push('\n');
    }
    narration
}

#[tokio::test]
async fn the_demo_plays_to_its_end() {
    let town = Town::found(PROGRAM).await;
    let mut demo = start(&town, "demo", &["demo"]);
    let narration = rest(&mut demo).await;
    assert_eq!(demo.ended().await.code(), Some(0), "{narration}");
    assert!(narration.trim_end().ends_with("claims were checked and hold"), "{narration}");
    assert_eq!(town.log("demo"), "");
    check_clean(&narration, &town.folder().join("demo")).await;
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing() {
    let town = Town::found(PROGRAM).await;
    let mut demo = start(&town, "demo", &["demo"]);
    let mut narration = String::new();
    while !narration.contains("They log in") {
        narration.push_str(&demo.read("a scene").await.unwrap());
        narration.push('\n');
    }
    demo.signal("INT").await;
    narration.push_str(&rest(&mut demo).await);
    assert_ne!(demo.ended().await.code(), Some(0));
    check_clean(&narration, &town.folder().join("demo")).await;
}

#[tokio::test]
async fn a_kept_demo_is_joined_with_the_commands_that_it_prints() {
    let town = Town::found(PROGRAM).await;
    let mut demo = start(&town, "demo", &["demo", "--keep"]);
    let mut lines = Vec::new();
    loop {
        let line = demo.read("how to join").await.unwrap().trim().to_owned();
        let is_last = line.starts_with("Carol accepts, and repeats");
        lines.push(line);
        if is_last {
            break;
        }
    }
    // The words of the command that it prints, after the program's own name.
    let command = lines.iter().find(|line| line.contains(" client --identity ")).unwrap();
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let mut erin = town.process("erin", &arguments, |_| {});
    let typed = lines.iter().skip_while(|line| *line != "Then type:").filter(|line| line.starts_with('/'));
    let told = [" logged in;", "session 1 is", "joined; 2 members"];
    let mut typed_count = 0;
    for (line, told) in typed.zip(told) {
        erin.write(line).await;
        while !erin.read(told).await.unwrap().contains(told) {}
        typed_count += 1;
    }
    assert_eq!(typed_count, told.len(), "{lines:?}");
    erin.write("Is anybody there?").await;
    while !erin.read("an echo").await.unwrap().contains("I hear: Is anybody there?") {}
    erin.write("/quit").await;
    while let Some(line) = erin.read("the end").await {
        assert!(!line.contains("not possible"), "{line}");
    }
    assert_eq!(erin.ended().await.code(), Some(0));

    demo.signal("INT").await;
    let narration = rest(&mut demo).await;
    assert_eq!(demo.ended().await.code(), Some(0), "{narration}");
    check_clean(&format!("{}\n{narration}", lines.join("\n")), &town.folder().join("demo")).await;
}
