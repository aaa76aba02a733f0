//! Accounts, logins and preferences, at home and away.

use antiphon_tests::Town;
use serde_json::{Value, json};

use crate::PROGRAM;

fn deny(handle: &str, allowed: &str) -> Value {
    json!({"command": "set-preferences", "allow": [allowed], "deny": [handle], "default": "allow"})
}

#[tokio::test]
async fn preferences_set_away_hold_at_home() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home1).await;
    let mut dave = town.citizen("dave", &home2, &home2).await;
    let set = alice.done(deny(bob.handle(), dave.handle()), "preferences-set").await;
    assert_eq!(set["version"], 1);
    alice.done(json!({"command": "logout"}), "logged-out").await;
    let address_at_home = alice.address().to_owned();
    alice.quits().await;

    // Away, the preferences that were set at home hold, and are changed.
    let mut alice = town.client("alice", &home1, &home2).await;
    let logged_in = alice.logs_in().await;
    assert_eq!(logged_in["epoch"], 2);
    assert_eq!(
        logged_in["preferences"],
        json!({"allow": [dave.handle()], "deny": [bob.handle()], "default": "allow"})
    );
    let lookup = json!({"command": "lookup", "handle": alice.handle()});
    assert_eq!(bob.refused(lookup.clone()).await["code"], "unavailable");
    let found = dave.done(lookup.clone(), "address").await;
    assert_eq!(found["address"], alice.address());
    assert_ne!(found["address"], address_at_home);
    let set = alice.done(deny(dave.handle(), bob.handle()), "preferences-set").await;
    assert_eq!(set["version"], 2);
    assert_eq!(dave.refused(lookup.clone()).await["code"], "unavailable");
    assert_eq!(bob.done(lookup.clone(), "address").await["address"], alice.address());
    alice.done(json!({"command": "logout"}), "logged-out").await;
    for asker in [&mut bob, &mut dave] {
        assert_eq!(asker.refused(lookup.clone()).await["code"], "unavailable");
    }
    alice.quits().await;

    let mut alice = town.client("alice", &home1, &home1).await;
    let logged_in = alice.logs_in().await;
    assert_eq!((&logged_in["epoch"], &logged_in["version"]), (&json!(3), &json!(2)));
    assert_eq!(logged_in["preferences"]["deny"], json!([dave.handle()]));
    assert_eq!(dave.refused(lookup.clone()).await["code"], "unavailable");
    assert_eq!(bob.done(lookup, "address").await["address"], alice.address());

    // An allow list with everybody else denied.
    let allow =
        json!({"command": "set-preferences", "allow": [dave.handle()], "deny": [], "default": "deny"});
    alice.done(allow, "preferences-set").await;
    let lookup = json!({"command": "lookup", "handle": alice.handle()});
    assert_eq!(bob.refused(lookup.clone()).await["code"], "unavailable");
    dave.done(lookup, "address").await;
}

#[tokio::test]
async fn a_key_is_replaced_and_a_copy_of_the_old_one_is_worth_nothing_at_home() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home1.example").await;
    let alice = town.citizen("alice", &home, &home).await;
    let handle = alice.handle().to_owned();
    alice.quits().await;
    let (kept, copied) = (town.folder().join("alice"), town.folder().join("thief"));
    std::fs::create_dir(&copied).unwrap();
    for file in std::fs::read_dir(&kept).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), copied.join(file.file_name())).unwrap();
    }
    let key = || std::fs::read(kept.join("key.pem")).unwrap();
    let before = key();

    let ended = town.run(&["identity", "rotate", "--identity", "alice"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let told: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(told, json!({"event": "rotated", "handle": handle}));
    assert_ne!(key(), before);
    assert!(!kept.join("key-next.pem").exists());

    let mut alice = town.client("alice", &home, &home).await;
    alice.logs_in().await;
    let mut thief = town.client("thief", &home, &home).await;
    assert_eq!(thief.refused(json!({"command": "login"})).await["code"], "certificate-refused");
    assert_eq!(thief.refused(json!({"command": "register"})).await["code"], "proof-refused");
    let ended = town.run(&["identity", "rotate", "--identity", "thief"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert_eq!(alice.done(json!({"command": "register"}), "registered").await["handle"], handle);
}

#[tokio::test]
async fn a_newer_login_takes_the_place_of_an_older_one() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut bob = town.citizen("bob", &home2, &home2).await;
    let mut first = town.citizen("alice", &home1, &home1).await;
    first.allows(&[bob.handle()]).await;
    bob.allows(&[first.handle()]).await;
    let session = first.creates().await;
    first.brings_in(&session, &mut bob, &mut []).await;

    // The same identity folder, elsewhere: at another server, then at the home server again.
    let mut second = town.client("alice", &home1, &home2).await;
    assert_eq!(second.logs_in().await["epoch"], 2);
    first.sees(json!({"event": "replaced", "epoch": 1})).await;
    let lookup = json!({"command": "lookup", "handle": first.handle()});
    assert_eq!(bob.done(lookup.clone(), "address").await["address"], second.address());
    let refused = first.refused(json!({"command": "lookup", "handle": bob.handle()})).await;
    assert_eq!(refused["code"], "not-logged-in");
    let mut third = town.client("alice", &home1, &home1).await;
    assert_eq!(third.logs_in().await["epoch"], 3);
    second.sees(json!({"event": "replaced", "epoch": 2})).await;
    assert_eq!(bob.done(lookup.clone(), "address").await["address"], third.address());

    // The session of the first goes on, and it may log in again when its user asks for it.
    first.says(&session, "I have moved").await;
    bob.hears(1).await;
    assert_eq!(first.logs_in().await["epoch"], 4);
    third.sees(json!({"event": "replaced", "epoch": 3})).await;
    assert_eq!(bob.done(lookup, "address").await["address"], first.address());
}

#[tokio::test]
async fn a_key_has_one_account() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.client("alice", &home, &home).await;
    assert_eq!(alice.handle(), "");
    assert_eq!(alice.refused(json!({"command": "login"})).await["code"], "not-registered");
    assert_eq!(alice.refused(json!({"command": "create"})).await["code"], "not-registered");
    alice.registers().await;
    let handle = alice.handle().to_owned();
    alice.registers().await;
    assert_eq!(alice.handle(), handle);
    alice.logs_in().await;
    assert_eq!(alice.refused(json!({"command": "login"})).await["code"], "logged-in-already");
    alice.quits().await;
    // Without its certificate, the key still finds its account.
    std::fs::remove_file(town.folder().join("alice/certificate.pem")).unwrap();
    let mut alice = town.client("alice", &home, &home).await;
    assert_eq!(alice.refused(json!({"command": "login"})).await["code"], "not-registered");
    alice.registers().await;
    assert_eq!(alice.handle(), handle);
}

#[tokio::test]
async fn an_identity_under_a_passphrase_is_put_away_restored_and_rotated() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home1.example").await;
    let alice = town.citizen("alice", &home, &home).await;
    let handle = alice.handle().to_owned();
    alice.quits().await;
    let passphrase = "correct horse battery";
    std::fs::write(town.folder().join("passphrase"), format!("{passphrase}\n")).unwrap();
    std::fs::write(town.folder().join("wrong"), "incorrect horse battery\n").unwrap();
    let does = async |arguments: &[&str]| {
        let ended = town.run(arguments).await;
        assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""), "{arguments:?}");
    };
    does(&["identity", "protect", "--identity", "alice", "--new-passphrase-file", "passphrase"]).await;
    let mistyped = town.run(&["identity", "backup", "--identity", "alise", "--output", "backup.json"]).await;
    assert_eq!(mistyped.code, Some(2), "{}", mistyped.error);
    assert!(!town.folder().join("alise").exists());
    does(&["identity", "backup", "--identity", "alice", "--output", "backup.json"]).await;
    std::fs::remove_dir_all(town.folder().join("alice")).unwrap();
    does(&["identity", "restore", "--identity", "again", "--input", "backup.json"]).await;

    // Without the passphrase, or with another one, there is no client.
    let mut arguments = town.client_arguments("again", &home, &home);
    let locked = town.run(&arguments).await;
    assert_eq!(locked.code, Some(1));
    assert!(locked.error.contains("--passphrase-file FILE"), "{}", locked.error);
    let wrong =
        town.run(&[&arguments[..], &["--passphrase-file".to_owned(), "wrong".to_owned()]].concat()).await;
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.error.contains("the passphrase does not open this key"), "{}", wrong.error);

    arguments.extend(["--passphrase-file", "passphrase"].map(str::to_owned));
    let mut alice = town.client_with("again", &arguments).await;
    assert_eq!(alice.handle(), handle);
    assert_eq!(alice.logs_in().await["epoch"], 2);
    alice.quits().await;
    does(&["identity", "rotate", "--identity", "again", "--passphrase-file", "passphrase"]).await;
    let key = std::fs::read_to_string(town.folder().join("again/key.pem")).unwrap();
    assert!(
        key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "a key that is made now is under it, too"
    );
    let mut alice = town.client_with("again", &arguments).await;
    assert_eq!(alice.handle(), handle);
    alice.logs_in().await;
    alice.quits().await;
    does(&["identity", "unprotect", "--identity", "again", "--passphrase-file", "passphrase"]).await;
    town.citizen("again", &home, &home).await;
}

/// What other programs make of a key under a passphrase, where there is such a program.
#[tokio::test]
async fn a_key_under_a_passphrase_is_read_by_others() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home1.example").await;
    town.citizen("alice", &home, &home).await.quits().await;
    std::fs::write(town.folder().join("passphrase"), "correct horse battery\n").unwrap();
    let openssl = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("openssl");
        command.args(arguments).current_dir(town.folder()).output().await
    };
    let Ok(before) = openssl(&["pkey", "-in", "alice/key.pem", "-pubout"]).await else {
        let told = b"NOT RUN: a key under a passphrase, read by others, needs the program openssl\n";
        // Past the harness, which keeps what tests print.
        return std::io::Write::write_all(&mut std::io::stderr(), told).unwrap();
    };
    let protect = ["identity", "protect", "--identity", "alice", "--new-passphrase-file", "passphrase"];
    assert_eq!(town.run(&protect).await.code, Some(0));
    let after =
        openssl(&["pkey", "-in", "alice/key.pem", "-passin", "file:passphrase", "-pubout"]).await.unwrap();
    assert!(before.status.success() && after.status.success(), "{after:?}");
    assert_eq!(before.stdout, after.stdout);
}
