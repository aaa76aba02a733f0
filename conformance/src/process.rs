//! Processes of the implementation under test: started with pipes, spoken to in JSON lines, ended with their owner.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::case::Failure;

/// How long anything that has to come may take. Only a failing case ever waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Most bytes of the standard error that a report shows.
const LOG_SHOWN_MAX: usize = 1_500;

/// A process that speaks JSON lines; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    log: std::path::PathBuf,
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
        Ok(Self { child, input, output: BufReader::new(output).lines(), log: log.to_owned() })
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
        match timeout(PATIENCE, sent).await {
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
        match timeout(PATIENCE, self.output.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).map_err(|error| {
                Failure::unexpected("a line that is a JSON object", format!("{line:?}: {error}"))
            }),
            Ok(Ok(None)) => {
                Err(Failure::unexpected("a process that runs", format!("its output ended; {}", self.log())))
            }
            Ok(Err(error)) => Err(Failure::unexpected("a line in UTF-8", error)),
            Err(_) => Err(Failure::unexpected(
                "a line of the process",
                format!("none within {} s; {}", PATIENCE.as_secs(), self.log()),
            )),
        }
    }

    /// Ends the process at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
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
