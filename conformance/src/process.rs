//! Processes of the implementation under test: started with pipes, spoken to in JSON lines, ended with their owner.

use std::{path::Path, process::Stdio, time::Duration};

use futures::StreamExt as _;
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::case::Failure;

/// How long anything that has to come may take. Only a failing case ever waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Longest line: far more than any answer needs, so that a process cannot fill the memory.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of the standard error that a report shows.
const LOG_SHOWN_MAX: usize = 1_500;

/// A process that speaks JSON lines; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: FramedRead<ChildStdout, LinesCodec>,
    log: std::path::PathBuf,
    patience: Duration,
}

/// Selects a wrong variant of the implementation.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) variable: String,
    pub(crate) name: String,
}

impl Process {
    /// Starts a command; `log` takes its standard error.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        command: &(String, Vec<String>),
        log: &Path,
        variant: Option<&Variant>,
    ) -> Result<Self, Failure> {
        let (program, arguments) = command;
        let file = std::fs::File::create(log).map_err(Failure::harness)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        if let Some(variant) = variant {
            command.env(&variant.variable, &variant.name);
        }
        let mut child = command
            .spawn()
            .map_err(|error| Failure::harness(format!("{program} cannot be started: {error}")))?;
        let output = child.stdout.take().ok_or_else(|| Failure::harness("no standard output"))?;
        let input = child.stdin.take();
        let output = FramedRead::new(output, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        Ok(Self { child, input, output, log: log.to_owned(), patience: PATIENCE })
    }

    /// The process, for whose lines and ears somebody waits so long.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends one line.
    ///
    /// # Errors
    /// The process has closed its standard input.
    pub(crate) async fn send(&mut self, value: &Value) -> Result<(), Failure> {
        let line = format!("{value}\n");
        let input = self.input.as_mut().ok_or_else(|| Failure::harness("the standard input is closed"))?;
        let sent = async {
            input.write_all(line.as_bytes()).await?;
            input.flush().await
        };
        match timeout(self.patience, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::unexpected(
                "a process that reads its standard input",
                format!("{error}; {}", self.log()),
            )),
            Err(_) => Err(Failure::unexpected("a process that reads its standard input", "nothing was read")),
        }
    }

    /// Receives the next line. May be cancelled.
    ///
    /// # Errors
    /// None comes in time, or it is no JSON.
    pub(crate) async fn receive(&mut self) -> Result<Value, Failure> {
        match timeout(self.patience, self.output.next()).await {
            Ok(Some(Ok(line))) => serde_json::from_str(&line).map_err(|error| {
                Failure::unexpected("a line that is a JSON object", format!("{}: {error}", shown(&line)))
            }),
            Ok(None) => {
                Err(Failure::unexpected("a process that runs", format!("its output ended; {}", self.log())))
            }
            Ok(Some(Err(LinesCodecError::MaxLineLengthExceeded))) => Err(Failure::unexpected(
                format!("a line of at most {LINE_BYTES_MAX} bytes"),
                "a line that is longer",
            )),
            Ok(Some(Err(LinesCodecError::Io(error)))) => Err(Failure::unexpected("a line in UTF-8", error)),
            Err(_) => Err(Failure::unexpected(
                "a line of the process",
                format!("none within {:?}; {}", self.patience, self.log()),
            )),
        }
    }

    /// Receives the first line, with which the process says that it is ready.
    ///
    /// # Errors
    /// It says nothing in time, or something else.
    pub(crate) async fn ready(&mut self) -> Result<Value, Failure> {
        self.receive().await.map_err(|failure| match failure {
            Failure::Unexpected { got, .. } => Failure::NotReady(got),
            Failure::NotReady(_) | Failure::Unsupported(_) | Failure::Harness(_) => failure,
        })
    }

    /// Ends the process at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }

    /// Asks the process to end, as an operator would.
    ///
    /// # Errors
    /// It has ended already, or cannot be asked.
    pub(crate) async fn terminate(&self) -> Result<(), Failure> {
        let id = self
            .child
            .id()
            .ok_or_else(|| Failure::unexpected("a process that runs", "one that has ended"))?;
        let asked =
            Command::new("kill").args(["-TERM", &id.to_string()]).status().await.map_err(Failure::harness)?;
        if asked.success() { Ok(()) } else { Err(Failure::harness(format!("kill: {asked}"))) }
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// It does not end in time, or says that it failed.
    pub(crate) async fn exited(&mut self) -> Result<(), Failure> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                Err(Failure::unexpected("a process that ends well", format!("{status}; {}", self.log())))
            }
            Ok(Err(error)) => Err(Failure::harness(error)),
            Err(_) => Err(Failure::unexpected("a process that ends when it is asked to", self.log())),
        }
    }

    /// The end of the standard error, for reports.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text =
            String::from_utf8_lossy(text.get(text.len().saturating_sub(LOG_SHOWN_MAX)..).unwrap_or_default())
                .into_owned();
        format!("its standard error ends with:\n{text}")
    }
}

/// A line as a report shows it: its beginning, without control characters.
fn shown(line: &str) -> String {
    const SHOWN_MAX: usize = 200;
    line.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}
