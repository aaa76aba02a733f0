//! What an operator asks of a server that runs, over a socket of its own in the file system (`control-socket`).
//!
//! Each connection carries one question, a line of JSON, and its answers, a line of JSON each, the last of which says that
//! there are no more. Whoever may write to the socket's file may ask: the user who runs the server, and root.

mod socket;

use std::path::Path;

use antiphon_spec::identity::UserHandle;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

pub(crate) use self::socket::{AnswerError, Answers, ControlSocket, Operated};

/// Most bytes of a question or an answer, its end of line included.
const LINE_BYTES_MAX: u64 = 4_096;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Question {
    /// Who is logged in here?
    Online,
    /// Which servers and nodes is there a connection to?
    Links,
    /// What waits, and how much may?
    Queues,
    /// End the login of a user of this server, wherever it is.
    EndLogin {
        /// The user.
        user: UserHandle,
    },
    /// Take no more clients, wait until the users are gone or for so long, and end.
    Drain {
        /// How long, in seconds.
        patience: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Told {
    /// Somebody is logged in.
    User {
        /// Who.
        user: UserHandle,
        /// The login epoch.
        epoch: u64,
    },
    /// There are connections to somebody.
    Link {
        /// Whom: a server or a directory node.
        peer: String,
        /// How many the peer has dialled.
        accepted: usize,
        /// How many this server has dialled.
        dialled: usize,
    },
    /// Something waits.
    Queue {
        /// What.
        name: String,
        /// How much of it.
        waiting: usize,
        /// How much may.
        most: usize,
    },
    /// The login has ended, if there was one.
    LoginEnded,
    /// So many users are still logged in.
    Draining {
        /// How many.
        users: usize,
    },
    /// The server ends, with so many users logged in.
    Drained {
        /// How many.
        users: usize,
    },
    /// That was all.
    Done,
    /// It can't be done.
    Failed {
        /// Why, and what to do.
        why: String,
    },
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nobody answers at the socket.
    #[error("no server answers at {path}")]
    Unreachable {
        /// The socket.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The connection ended in the middle.
    #[error("the server has not answered to the end")]
    Broken(#[source] Option<std::io::Error>),
    /// The server says no.
    #[error("the server refuses: {0}")]
    Refused(String),
}

/// Asks the server at a socket, and hands over each answer.
///
/// # Errors
/// See [`ControlError`]; what was told before counts.
pub(crate) async fn ask(
    path: &Path,
    question: &Question,
    mut tell: impl FnMut(Told) -> std::io::Result<()>,
) -> Result<(), ControlError> {
    let unreachable = |source| ControlError::Unreachable { path: path.display().to_string(), source };
    let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let broken = |source| ControlError::Broken(Some(source));
    let mut line = serde_json::to_vec(question).map_err(|error| broken(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(broken)?;
    let mut answers = BufReader::new(stream);
    while let Some(told) = read(&mut answers).await.map_err(broken)? {
        if let Told::Failed { why } = told {
            return Err(ControlError::Refused(why));
        }
        if told == Told::Done {
            return Ok(());
        }
        tell(told).map_err(broken)?;
    }
    Err(ControlError::Broken(None))
}

/// Reads one line as one value; nothing at the end.
async fn read<T: serde::de::DeserializeOwned>(
    stream: &mut BufReader<UnixStream>,
) -> std::io::Result<Option<T>> {
    let mut line = Vec::new();
    if stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
