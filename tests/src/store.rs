//! Where servers and directory nodes of a town keep what has to last.

use std::sync::Arc;

use antiphon_test_postgres::{Fsync, Postgres};

/// The kind of database.
#[derive(Clone, Debug, Default)]
pub enum Store {
    /// A file beside the configuration of each.
    #[default]
    Sqlite,
    /// A database of this PostgreSQL for each.
    Postgres(Arc<Postgres>),
}

impl Store {
    /// Every kind that can be had here: SQLite always, PostgreSQL where it is installed. Where it isn't, the standard
    /// error says that `what` did not run on it.
    #[must_use]
    pub fn each(what: &str) -> Vec<Self> {
        std::iter::once(Self::Sqlite).chain(Self::postgres(what)).collect()
    }

    /// The PostgreSQL that all tests of a program share, where it is installed.
    #[must_use]
    pub fn postgres(what: &str) -> Option<Self> {
        let shared = antiphon_test_postgres::shared();
        if let (None, Some(missing)) = (&shared, antiphon_test_postgres::missing()) {
            antiphon_test_postgres::tell_not_run(what, &missing);
        }
        shared.map(Self::Postgres)
    }

    /// A PostgreSQL that the caller may crash, where it is installed.
    #[must_use]
    pub fn own_postgres(what: &str) -> Option<Arc<Postgres>> {
        match antiphon_test_postgres::missing() {
            None => Some(Arc::new(Postgres::start(Fsync::On))),
            Some(missing) => {
                antiphon_test_postgres::tell_not_run(what, &missing);
                None
            }
        }
    }

    /// The setting `database` for somebody new, who has this file if it is a file.
    pub(crate) fn database(&self, file: &str) -> String {
        match self {
            Self::Sqlite => file.to_owned(),
            Self::Postgres(postgres) => postgres.database(),
        }
    }
}
