//! A process that speaks in lines, and ends with its owner.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use crate::{chronicle::Chronicle, in_time};

/// A running process; dropping it kills it and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    chronicle: Chronicle,
}

impl Process {
    /// Starts a command; its standard error is appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path, chronicle: &Chronicle) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).expect("a log can be written");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let input = child.stdin.take();
        let output = child.stdout.take().expect("the output is a pipe");
        let (sender, lines) = mpsc::unbounded_channel();
        let (who, notes) = (name.to_owned(), chronicle.clone());
        // Reads on whether or not the test is interested, so that the process never stands still.
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                notes.note(&who, "<", &line);
                let _ = sender.send(line);
            }
        });
        Self { name: name.to_owned(), child, input, lines, chronicle: chronicle.clone() }
    }

    /// The name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, while it runs.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("{} is gone already", self.name))
    }

    /// Writes a line to its standard input.
    pub async fn write(&mut self, line: &str) {
        self.chronicle.note(&self.name, ">", line);
        let Some(input) = &mut self.input else { panic!("the input of {} is closed", self.name) };
        let writing = async {
            input.write_all(line.as_bytes()).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        let written = in_time(&format!("{} to read its input", self.name), writing).await;
        written.unwrap_or_else(|error| panic!("{} does not read its input: {error}", self.name));
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// The next line of its standard output, which should be or bring what is awaited; none after the last.
    pub async fn read(&mut self, awaited: &str) -> Option<String> {
        let awaited = format!("{} to tell {awaited}", self.name);
        in_time(&awaited, self.lines.recv()).await
    }

    /// Sends it a signal, such as `TERM`.
    pub async fn signal(&self, signal: &str) {
        self.chronicle.note(&self.name, "!", signal);
        let pid = self.id();
        // The shell has this built in; a library for it would be a dependency more.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be sent {signal}", self.name);
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.chronicle.note(&self.name, "!", "KILL");
        in_time(&format!("{} to be killed", self.name), self.child.kill()).await.expect("it can be killed");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = in_time(&format!("{} to end", self.name), self.child.wait()).await;
        let status = status.expect("its end can be waited for");
        self.chronicle.note(&self.name, "!", &status.to_string());
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may write to its folder until it is gone, so the folder cannot go before.
        if self.child.start_kill().is_ok() {
            while let Ok(None) = self.child.try_wait() {
                std::thread::yield_now();
            }
        }
    }
}
