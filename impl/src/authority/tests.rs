//! What is written can be loaded and belongs together; what exists is not overwritten.

use std::io;

use antiphon_protocol::certificate::UserIssuer;

use super::*;
use crate::credentials::{load_certificates, load_credentials, load_key, load_trust};

const NOW: Timestamp = Timestamp(1_800_000_000);

#[test]
fn a_server_and_a_node_come_from_one_root() {
    let folder = tempfile::tempdir().unwrap();
    let (root, name) = (folder.path().join("root"), "a.example".parse().unwrap());
    load_trust(&create(&root, NOW, ROOT_LIFETIME).unwrap()).unwrap();
    let files = issue_server(&root, folder.path(), &name, NOW, SERVER_LIFETIME).unwrap();
    load_credentials(&files.certificate, &files.key).unwrap();
    let users = load_certificates(&files.user_ca_certificate).unwrap().remove(0);
    let issuer = UserIssuer::load(users, load_key(&files.user_ca_key).unwrap()).unwrap();
    assert_eq!(*issuer.home(), name);
    assert!(load_credentials(&files.certificate, &files.user_ca_key).is_err());

    let node = issue_node(&root, folder.path(), &"node".parse().unwrap(), NOW, SERVER_LIFETIME).unwrap();
    load_credentials(&node.certificate, &node.key).unwrap();
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), NOW, ROOT_LIFETIME).unwrap();
    let mode = |name| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("root.key"), 0o600);
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), NOW, ROOT_LIFETIME).unwrap();
    let before = std::fs::read(folder.path().join("root.key")).unwrap();
    let error = create(folder.path(), NOW, ROOT_LIFETIME).unwrap_err();
    let AuthorityError::File(CredentialError::Write { source, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
    assert!(error.fix().unwrap().starts_with("nothing is overwritten"));
    assert_eq!(std::fs::read(folder.path().join("root.key")).unwrap(), before);
}
