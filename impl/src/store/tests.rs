//! Every case runs on SQLite and on PostgreSQL, each time in a database of its own.

mod node;
mod server;
mod tls;

use super::{Migrations, StoreError};
use crate::config::DatabaseUrl;

/// An empty database.
struct Place {
    url: DatabaseUrl,
    // Goes with the file in it.
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    /// On each kind of database that can run here: SQLite always, PostgreSQL where it is installed.
    fn each(case: &str) -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("database.sqlite");
        let sqlite = Self { url: file.into(), _folder: Some(folder) };
        let postgres = antiphon_test_postgres::shared().map(|postgres| {
            let url = DatabaseUrl::try_from(postgres.database()).unwrap();
            Self { url, _folder: None }
        });
        if let (None, Some(missing)) = (&postgres, antiphon_test_postgres::missing()) {
            antiphon_test_postgres::tell_not_run(case, &missing);
        }
        std::iter::once(sqlite).chain(postgres).collect()
    }
}

/// Carries out a case at each place.
async fn on_each(name: &str, case: impl AsyncFn(&Place)) {
    for place in Place::each(name) {
        case(&place).await;
    }
}

#[test]
fn every_epoch_is_kept_and_their_order_too() {
    use super::{epoch_of, ordered};
    let epochs = [0, 1, i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX];
    assert_eq!(epochs.map(|epoch| epoch_of(ordered(epoch))), epochs);
    assert!(epochs.map(ordered).is_sorted());
}

#[test]
fn both_databases_have_the_same_versions() {
    for Migrations { sqlite, postgres } in [&super::server::MIGRATIONS, &super::node::MIGRATIONS] {
        let versions = |migrator: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
            migrator.iter().map(|one| (one.version, one.description.to_string())).collect()
        };
        assert_eq!(versions(sqlite), versions(postgres));
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_told_with_its_url() {
    let url = DatabaseUrl::try_from("postgres://somebody@%2Fnowhere/home".to_owned()).unwrap();
    let error = super::ServerStore::open(&url, &"a.example".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    let told = error.to_string();
    assert_eq!(told, "the database postgres://somebody@%2Fnowhere/home cannot be opened");
    assert!(error.fix().unwrap().contains("PGPASSWORD"));
}

#[tokio::test]
async fn a_database_of_another_kind_is_not_touched() {
    on_each("a database of another kind", async |place| {
        let name = "a.example".parse().unwrap();
        super::ServerStore::open(&place.url, &name).await.unwrap().close().await;
        let error = super::NodeStore::open(&place.url, &name).await.unwrap_err();
        assert!(matches!(error, StoreError::Migrate { .. }), "{error}");
        super::ServerStore::open(&place.url, &name).await.unwrap().close().await;
    })
    .await;
}
