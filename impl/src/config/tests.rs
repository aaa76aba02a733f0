//! What a good file gives, and how each kind of fault is told.

use super::*;

const GOOD: &str = r#"
name = "a.example"
registration-address = "127.0.0.1:0"
listen-address = "127.0.0.1:0"
root = "root.pem"
certificate = "a.example.pem"
key = "a.example.key"
user-ca-certificate = "/elsewhere/users.pem"
user-ca-key = "users.key"
database = "a.sqlite"

[directory-node]
address = "127.0.0.1:5301"
name = "node.example"
"#;

fn read(text: &str) -> Result<ServerConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    ServerConfig::load(&path).map_err(|error| {
        let text = format!("{error}; {}", error.fix());
        text.replace(path.to_str().unwrap(), "server.toml")
    })
}

#[test]
fn a_good_file_has_defaults_and_its_own_folder() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.registration, RegistrationPolicy::Closed);
    assert_eq!(config.limits.connections, 4_096);
    assert_eq!(config.login_lease, 300);
    assert!(config.root.is_absolute() && config.root.ends_with("root.pem"));
    assert_eq!(config.user_ca_certificate, Path::new("/elsewhere/users.pem"));
}

#[test]
fn an_unknown_key_is_named() {
    let error = read(&GOOD.replace("database =", "databse =")).unwrap_err();
    assert!(
        error.starts_with("the configuration file server.toml, line 10, key databse is wrong"),
        "{error}"
    );
    assert!(error.ends_with("; remove the key, or correct its name"), "{error}");
}

#[test]
fn a_missing_key_is_named() {
    let error = read(&GOOD.replace("database = \"a.sqlite\"", "")).unwrap_err();
    assert!(error.contains("key database is wrong"), "{error}");
    assert!(error.ends_with("; add the key"), "{error}");
}

#[test]
fn a_wrong_value_is_placed() {
    let error = read(&GOOD.replace("\"a.example\"", "\"A.example\"")).unwrap_err();
    assert!(error.contains("line 2, key name is wrong"), "{error}");
    assert!(error.contains("lower-case DNS name"), "{error}");
    for lease in [0, 301] {
        let error =
            read(&GOOD.replace("[directory-node]", &format!("login-lease = {lease}\n\n[directory-node]")));
        let told = format!("key login-lease is wrong: {lease} is out of range; set it to 1 to 300 seconds");
        assert!(error.clone().unwrap_err().contains(&told), "{error:?}");
    }
    let error = read(&format!("{GOOD}\n[limits]\nconnections = 0\n")).unwrap_err();
    assert!(
        error.contains("key limits.connections is wrong: 0 is out of range; set it to 1 or more"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = ServerConfig::load(Path::new("/nowhere/server.toml")).unwrap_err();
    assert_eq!(error.to_string(), "the configuration file /nowhere/server.toml cannot be read");
}
