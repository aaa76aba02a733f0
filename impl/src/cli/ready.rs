//! The line that says which ports were bound, so that whoever started a process need not guess.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use serde::Serialize;

use crate::monitoring::Monitoring;

/// A process accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ready {
    event: &'static str,
    role: &'static str,
    listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitoring: Option<SocketAddr>,
}

impl Ready {
    /// A directory node.
    #[must_use]
    pub fn directory_node(listen: SocketAddr) -> Self {
        Self { event: "ready", role: "directory-node", listen, registration: None, monitoring: None }
    }

    /// A server, with the registration port.
    #[must_use]
    pub fn server(listen: SocketAddr, registration: SocketAddr) -> Self {
        Self { event: "ready", role: "server", listen, registration: Some(registration), monitoring: None }
    }

    /// With the endpoint for the operator's tools, if there is one.
    #[must_use]
    pub(super) fn monitored(mut self, monitoring: Option<&Monitoring>) -> Self {
        self.monitoring = monitoring.map(Monitoring::address);
        self
    }

    /// Prints the line to standard output, and puts it into a file that is there at once as a whole.
    pub(super) fn announce(&self, file: Option<&Path>) -> io::Result<()> {
        let line = serde_json::to_string(self)?;
        let mut output = io::stdout().lock();
        writeln!(output, "{line}")?;
        output.flush()?;
        if let Some(path) = file {
            let unfinished = path.with_added_extension("unfinished");
            std::fs::write(&unfinished, format!("{line}\n"))?;
            std::fs::rename(&unfinished, path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_tells_both_ports() {
        let ready = Ready::server("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert_eq!(
            serde_json::to_string(&ready).unwrap(),
            r#"{"event":"ready","role":"server","listen":"127.0.0.1:1","registration":"127.0.0.1:2"}"#
        );
    }
}
