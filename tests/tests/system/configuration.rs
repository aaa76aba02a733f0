//! Processes that are started wrongly: each says what is wrong, where, and what to do, and ends with its exit code.

use std::{path::Path, time::Duration};

use antiphon_spec::time::Timestamp;
use antiphon_tests::{Ended, Town};

use crate::PROGRAM;

#[track_caller]
fn check(ended: &Ended, code: i32, told: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for told in told {
        assert!(ended.error.contains(told), "{told:?} is missing in: {}", ended.error);
    }
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    assert_eq!(ended.output, "");
}

/// Runs a server on a configuration in which some text is replaced.
async fn server(town: &Town, config: &Path, replaced: &str, by: &str) -> Ended {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(replaced), "{replaced}");
    let changed = config.with_file_name("changed.toml");
    std::fs::write(&changed, text.replace(replaced, by)).unwrap();
    town.run(&["server", "--config", changed.to_str().unwrap()]).await
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_its_place() {
    let town = Town::found(PROGRAM).await;
    let config = town.prepare("home.example", "").await;
    let cases = [
        (
            "database =",
            "databse =",
            ["changed.toml, line 9, key databse", "remove the key, or correct its name"],
        ),
        ("name = \"home.example\"\n", "", ["key name is wrong", "add the key"]),
        ("\"home.example\"\nreg", "\"Home Example\"\nreg", ["line 1, key name", "correct the value"]),
        ("database = \"accounts.sqlite\"", "database = 7", ["key database", "correct the value"]),
        (
            "accounts.sqlite",
            "postgres://antiphon:hush@db.example/home",
            ["line 9, key database", "environment variable PGPASSWORD"],
        ),
        ("accounts.sqlite", "postgres://antiphon@db.example/home", ["key database", "sslrootcert=FILE"]),
        ("accounts.sqlite", "mysql://db.example/home", ["key database", "sqlite:// or postgres://"]),
        ("registration = \"open\"", "registration = \"ajar\"", ["key registration", "open"]),
        (
            "[directory-node]",
            "[limits]\nconnections = 0\n[directory-node]",
            ["limits.connections", "1 or more"],
        ),
        ("[directory-node]", "[directory-node", ["line 12", "what to do"]),
    ];
    for (replaced, by, told) in cases {
        let ended = server(&town, &config, replaced, by).await;
        check(&ended, 2, &told);
        assert!(!ended.error.contains("hush"), "{}", ended.error);
    }
    let missing = town.run(&["server", "--config", "nowhere.toml"]).await;
    check(&missing, 2, &["nowhere.toml cannot be read", "No such file", "--config"]);
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let town = Town::found(PROGRAM).await;
    let config = town.prepare("home.example", "").await;
    town.prepare("other.example", "").await;
    let (folder, output) = (town.folder(), town.folder().join("home.example"));
    let other = town.run(&["authority", "create", "--directory", "other-authority"]).await;
    assert_eq!(other.code, Some(0), "{other:?}");
    let name = "home.example".parse().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let past = Timestamp(1_700_000_000);
    antiphon::authority::issue_server(&folder.join("authority"), &output.join("old"), &name, past, day)
        .unwrap();
    let foreign = antiphon::authority::issue_server(
        &folder.join("other-authority"),
        &output.join("foreign"),
        &name,
        Timestamp(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()),
        day,
    );
    foreign.unwrap();

    let pair = "certificate = \"home.example.pem\"\nkey = \"home.example.key\"";
    let from = |path: &str| format!("certificate = \"{path}.pem\"\nkey = \"{path}.key\"");
    let users = "user-ca-certificate = \"home.example-users.pem\"\nuser-ca-key = \"home.example-users.key\"";
    let issue = "antiphon authority";
    let cases = [
        (
            "key = \"home.example.key\"",
            "key = \"none.key\"".to_owned(),
            vec!["`key`", "none.key cannot be read"],
        ),
        (
            "key = \"home.example.key\"",
            "key = \"home.example.pem\"".to_owned(),
            vec!["`key`", "home.example.pem", issue],
        ),
        (
            "key = \"home.example.key\"",
            "key = \"../other.example/other.example.key\"".to_owned(),
            vec!["`key`", "other.example.key", "home.example.pem", issue],
        ),
        (
            pair,
            from("old/home.example"),
            vec!["`certificate`", "old/home.example.pem", "its last second was 2023-11-", "issued anew"],
        ),
        (pair, from("foreign/home.example"), vec!["`certificate`", "foreign/home.example.pem", issue]),
        (pair, from("../other.example/other.example"), vec!["other.example.pem", "home.example's", issue]),
        (pair, from("../node.example/node.example"), vec!["node.example.pem", issue]),
        (pair, from("home.example-users"), vec!["home.example-users.pem", issue]),
        (
            "root = \"../authority/root.pem\"",
            "root = \"home.example.pem\"".to_owned(),
            vec!["`root`", "home.example.pem", issue],
        ),
        (
            users,
            users.replace("home.example-", "../other.example/other.example-"),
            vec!["`user-ca-certificate`", "users.pem", "other.example, not of home.example", "issue-server"],
        ),
        (
            "accounts.sqlite",
            "postgres://antiphon@%2Fnowhere/home".to_owned(),
            vec!["postgres://antiphon@%2Fnowhere/home cannot be opened", "see that PostgreSQL runs"],
        ),
        (
            "accounts.sqlite",
            "none/accounts.sqlite".to_owned(),
            vec!["none/accounts.sqlite", "set `database`"],
        ),
        (
            "database = \"accounts.sqlite\"",
            "database = \"home.example.pem\"".to_owned(),
            vec!["home.example.pem"],
        ),
        (
            "database = \"accounts.sqlite\"",
            "database = \"../node.example/records.sqlite\"".to_owned(),
            vec!["records.sqlite", "another `database`"],
        ),
    ];
    for (replaced, by, told) in cases {
        check_not_started(&server(&town, &config, replaced, &by).await, &told);
    }
}

/// Like [`check`], for servers that may have begun their log.
#[track_caller]
fn check_not_started(ended: &Ended, told: &[&str]) {
    check(ended, 1, told);
    assert!(ended.error.contains("error: ") && ended.error.contains("what to do: "), "{}", ended.error);
}

#[tokio::test]
async fn secrets_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let folder = town.folder().join("home.example");
    let mode = |file: &str| std::fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
    for file in ["accounts.sqlite", "accounts.sqlite-wal", "home.example.key", "home.example-users.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    drop(home);
    let config = town.prepare("other.example", "").await;
    for key in ["other.example.key", "other.example-users.key"] {
        let path = town.folder().join("other.example").join(key);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let ended = town.run(&["server", "--config", config.to_str().unwrap()]).await;
        check_not_started(&ended, &[key, "mode 640", "chmod 600"]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_are_told() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let config = town.prepare("other.example", "").await;
    let config = config.to_str().unwrap();
    let taken = home.listen().to_string();
    let ended = town.run(&["server", "--config", config, "--listen", &taken]).await;
    check_not_started(&ended, &[&taken, "in use", "a port that is free"]);
    let ended = town.run(&["server", "--config", config, "--listen", "0.0.0.0:0"]).await;
    check_not_started(&ended, &["0.0.0.0", "advertised-address"]);
    let ended = town.run(&["server", "--config", config, "--listen", "here"]).await;
    check(&ended, 2, &["--listen", "here"]);
    let ended = town.run(&["server"]).await;
    check(&ended, 2, &["--config"]);
    let mut server = town.process("loud", &["server", "--config", config], |command| {
        command.env("ANTIPHON_LOG", "antiphon=loud");
    });
    assert_eq!(server.ended().await.code(), Some(2));
    let told = town.log("loud");
    assert!(told.contains("ANTIPHON_LOG") && told.contains("what to do: "), "{told}");
    let ended = town.run(&["server", "--config", config, "--colour"]).await;
    check(&ended, 2, &["--colour"]);
}

#[tokio::test]
async fn an_identity_folder_that_cannot_be_used_is_told() {
    use std::os::unix::fs::PermissionsExt as _;

    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    for name in ["alice", "bob"] {
        town.citizen(name, &home, &home).await.quits().await;
    }
    let folder = town.folder();
    let client = ["client", "--identity", "alice"];
    let set_mode = |mode| {
        let key = folder.join("alice/key.pem");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o640);
    check(&town.run(&client).await, 1, &["alice/key.pem", "640", "chmod 600"]);
    set_mode(0o600);

    // Somebody else's certificate, and then a configuration with a wrong key.
    let certificate = std::fs::read(folder.join("alice/certificate.pem")).unwrap();
    std::fs::copy(folder.join("bob/certificate.pem"), folder.join("alice/certificate.pem")).unwrap();
    check(&town.run(&client).await, 1, &["alice/certificate.pem", "register again"]);
    std::fs::write(folder.join("alice/certificate.pem"), certificate).unwrap();
    let configuration = std::fs::read_to_string(folder.join("alice/client.toml")).unwrap();
    std::fs::write(folder.join("alice/client.toml"), format!("sever = 1\n{configuration}")).unwrap();
    check(&town.run(&client).await, 1, &["alice/client.toml", "sever"]);
    std::fs::write(folder.join("alice/client.toml"), configuration).unwrap();
    std::fs::write(folder.join("alice/key.pem"), "no key").unwrap();
    check(&town.run(&client).await, 1, &["alice/key.pem", "PEM"]);

    check(&town.run(&["client", "--identity", "new"]).await, 1, &["new/root.pem", "--root FILE"]);
    check(&town.run(&["client", "--identity", "authority/root.pem"]).await, 1, &["authority/root.pem"]);
    let no_root = town.run(&["client", "--identity", "new", "--root", "none.pem"]).await;
    check(&no_root, 2, &["--root none.pem", "name the PEM file"]);
    let no_root = town.run(&["client", "--identity", "new", "--root", "authority/root.key"]).await;
    check(&no_root, 2, &["--root authority/root.key", "name the PEM file"]);
    let certificate = "home.example/home.example.pem";
    let no_root = town.run(&["client", "--identity", "new", "--root", certificate]).await;
    check(&no_root, 2, &["--root home.example/home.example.pem", "name the PEM file"]);
    std::fs::copy(folder.join(certificate), folder.join("new/root.pem")).unwrap();
    check(&town.run(&["client", "--identity", "new"]).await, 1, &["new/root.pem", "--root FILE"]);
    let no_name = town.run(&["client", "--identity", "new", "--registration", "127.0.0.1:1"]).await;
    check(&no_name, 2, &["--registration 127.0.0.1:1", "NAME=HOST:PORT"]);
    let no_port = town.run(&["client", "--identity", "new", "--server", "home.example=localhost"]).await;
    check(&no_port, 2, &["--server", "NAME=HOST:PORT"]);
    check(&town.run(&["client"]).await, 2, &["--identity"]);
    let everywhere = town.run(&["client", "--identity", "bob", "--listen", "0.0.0.0:0"]).await;
    check(&everywhere, 1, &["0.0.0.0", "--advertise IP:PORT"]);
}

#[tokio::test]
async fn an_authority_overwrites_nothing() {
    let town = Town::found(PROGRAM).await;
    let again = town.run(&["authority", "create", "--directory", "authority"]).await;
    check_not_started(&again, &["authority/root.key", "nothing is overwritten"]);
    let issue =
        ["authority", "issue-node", "node.example", "--directory", "authority", "--output", "node.example"];
    check_not_started(&town.run(&issue).await, &["node.example.key", "nothing is overwritten"]);
    let nowhere = town.run(&["authority", "issue-node", "b.example", "--directory", "nowhere"]).await;
    check_not_started(&nowhere, &["nowhere/root.pem cannot be read"]);
    check(&town.run(&["authority", "issue-node", "B"]).await, 2, &["'B'", "lower-case DNS name"]);
    check(&town.run(&["authority", "create", "--days", "0"]).await, 2, &["--days"]);
}
