//! Which database: a URL that names a file of SQLite or a database of PostgreSQL, or just a path.
//!
//! A password never stands in the URL, so that it can be told in every error message. It comes from the places that
//! every client of PostgreSQL knows: the environment variable `PGPASSWORD`, or the file that `PGPASSFILE` names
//! (`~/.pgpass` without it).

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DatabaseUrl {
    /// A file of SQLite; made when it does not exist.
    Sqlite(PathBuf),
    /// A database of PostgreSQL, which has to exist.
    Postgres(PostgresUrl),
}

/// The URL of a database of PostgreSQL, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl {
    text: String,
    way: Way,
}

/// How a PostgreSQL is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the URL says, with nothing around it: a socket of this machine, or a host to which nobody else is on the way.
    Open,
    /// Over TLS, to a host whose certificate comes from one of these authorities (PEM).
    Tls {
        /// The file with the authorities' certificates.
        authorities: PathBuf,
    },
}

impl DatabaseUrl {
    /// A relative path of a file is meant in this folder.
    pub(super) fn make_absolute(&mut self, base: &Path) {
        match self {
            Self::Sqlite(path) => *path = base.join(&*path),
            Self::Postgres(PostgresUrl { way: Way::Open, .. }) => {}
            Self::Postgres(PostgresUrl { way: Way::Tls { authorities }, .. }) => {
                *authorities = base.join(&*authorities);
            }
        }
    }
}

impl From<PathBuf> for DatabaseUrl {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, DatabaseUrlError> {
        match text.split_once(':') {
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                match path {
                    "" | ":memory:" => Err(DatabaseUrlError::NoFile),
                    path if path.contains('?') => Err(DatabaseUrlError::Parameter),
                    path => Ok(Self::Sqlite(path.into())),
                }
            }
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(PostgresUrl::try_from(text)?)),
            Some((scheme, rest)) if rest.starts_with("//") => {
                Err(DatabaseUrlError::Scheme(scheme.to_owned()))
            }
            _ if text.is_empty() => Err(DatabaseUrlError::NoFile),
            _ => Ok(Self::Sqlite(text.into())),
        }
    }
}

impl TryFrom<String> for PostgresUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, DatabaseUrlError> {
        let (_, rest) = text.split_once("://").ok_or(DatabaseUrlError::Postgres)?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').ok_or(DatabaseUrlError::NoDatabase)?;
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(DatabaseUrlError::Password);
        }
        if database.is_empty() {
            return Err(DatabaseUrlError::NoDatabase);
        }
        let is_local = host.starts_with("%2F") || host.starts_with("%2f");
        let mut way = is_local.then_some(Way::Open);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=').unwrap_or((parameter, "")) {
                ("password", _) => return Err(DatabaseUrlError::Password),
                ("sslmode", "disable") => way = Some(Way::Open),
                ("sslrootcert", file) if !is_local && !file.is_empty() => {
                    way = Some(Way::Tls { authorities: file.into() });
                }
                _ => return Err(DatabaseUrlError::Parameter),
            }
        }
        if host.is_empty() {
            return Err(DatabaseUrlError::NoHost);
        }
        let way = way.ok_or(DatabaseUrlError::Unprotected)?;
        // What the library says may quote what it read; the text above has said what can be said without.
        PgConnectOptions::from_str(&text).map_err(|_| DatabaseUrlError::Postgres)?;
        Ok(Self { text, way })
    }
}

impl PostgresUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is reached.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => f.write_str(&url.text),
        }
    }
}

/// Why a text names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// There is no such kind of database.
    #[error("`{0}` is no kind of database: a URL begins with sqlite:// or postgres://")]
    Scheme(String),
    /// A file is needed.
    #[error("no file is named: it is sqlite:///path/to/file, or just the path")]
    NoFile,
    /// The database is not named.
    #[error("no database is named: it is postgres://user@host/database")]
    NoDatabase,
    /// The machine is not named.
    #[error("no host is named: it is postgres://user@host/database, or postgres://user@%2Ffolder/database")]
    NoHost,
    /// The password would be told with the URL.
    #[error(
        "a password stands in the URL: set the environment variable PGPASSWORD, or put it into the file that \
         PGPASSFILE names"
    )]
    Password,
    /// A parameter is not known.
    #[error(
        "a parameter of the URL is not known: for PostgreSQL there is `sslmode=disable`, for SQLite none"
    )]
    Parameter,
    /// Everybody on the way could read and change what the database is told.
    #[error(
        "the connection to this host is not protected: add ?sslrootcert=FILE with the certificates of those who may \
         vouch for it, or ?sslmode=disable if nobody else is on the way"
    )]
    Unprotected,
    /// The URL is no URL.
    #[error("this is no URL of PostgreSQL: it is postgres://user@host:port/database")]
    Postgres,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, DatabaseUrlError>) {
        let read = DatabaseUrl::try_from(text.to_owned());
        assert_eq!(read.map(|url| url.to_string()), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn a_url_names_a_database_and_never_a_password() {
        for (text, path) in [
            ("a.sqlite", "a.sqlite"),
            ("/a/b.sqlite", "/a/b.sqlite"),
            ("sqlite:///a/b.sqlite", "/a/b.sqlite"),
            ("sqlite://b.sqlite", "b.sqlite"),
            ("sqlite:b.sqlite", "b.sqlite"),
        ] {
            check(text, Ok(path));
        }
        for url in
            ["postgres://u@%2Frun%2Fpostgresql/home", "postgresql://u@127.0.0.1:5433/home?sslmode=disable"]
        {
            check(url, Ok(url));
        }
        for (text, error) in [
            ("", DatabaseUrlError::NoFile),
            ("sqlite:", DatabaseUrlError::NoFile),
            ("sqlite::memory:", DatabaseUrlError::NoFile),
            ("sqlite:a?mode=ro", DatabaseUrlError::Parameter),
            ("mysql://h/d", DatabaseUrlError::Scheme("mysql".to_owned())),
            ("postgres:d", DatabaseUrlError::Postgres),
            ("postgres://h:x/d?sslmode=disable", DatabaseUrlError::Postgres),
            ("postgres://h/d", DatabaseUrlError::Unprotected),
            ("postgres://h/d?sslmode=prefer", DatabaseUrlError::Parameter),
            ("postgres://h/d?sslrootcert=", DatabaseUrlError::Parameter),
            ("postgres://%2Ff/d?sslrootcert=a.pem", DatabaseUrlError::Parameter),
            ("postgres://h", DatabaseUrlError::NoDatabase),
            ("postgres://h/", DatabaseUrlError::NoDatabase),
            ("postgres:///d", DatabaseUrlError::NoHost),
            ("postgres://u:secret@h/d", DatabaseUrlError::Password),
            ("postgres://u@h/d?password=secret", DatabaseUrlError::Password),
            ("postgres://u@h/d?colour=red", DatabaseUrlError::Parameter),
        ] {
            assert!(!error.to_string().contains("secret"), "{error}");
            check(text, Err(error));
        }
    }
}
