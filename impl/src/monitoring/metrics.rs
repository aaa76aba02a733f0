//! Every metric, in one place: its name, what it says, and the function that those call who have something to count.
//!
//! Names follow the conventions of Prometheus: base units, `_total` for what only grows. Labels have few values, all known
//! beforehand. Where nobody has begun to count, a call costs next to nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_protocol::{channel::Channel, tls::Port};
use antiphon_spec::{
    channel::{Answer, Question},
    error_code::ErrorCode,
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::net::LinkEnd;

macro_rules! names {
    ($($kind:ident $constant:ident = $name:literal: $help:literal;)+) => {
        $(const $constant: &str = $name;)+

        /// Tells the recorder what each metric is.
        pub(super) fn describe() {
            $($kind!($constant, $help);)+
        }

        /// All names.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($constant),+];
    };
}

names! {
    describe_gauge BUILD = "antiphon_build_info": "Version and role of the process; always 1.";
    describe_gauge STARTED = "process_start_time_seconds": "When the process started, in seconds since 1970.";
    describe_gauge MEMORY = "process_resident_memory_bytes": "Resident memory of the process.";
    describe_gauge FILES = "process_open_fds": "Open files and sockets of the process.";
    describe_gauge CONNECTIONS = "antiphon_connections": "Accepted connections that are open, by port, handshakes left out.";
    describe_counter HANDSHAKES = "antiphon_handshakes_total": "Connections at a port, by what became of their handshakes: done, failed, refused (the certificate), crowded-out (by newer ones), and without a handshake too-often or too-many of an address.";
    describe_counter ENDED = "antiphon_links_ended_total": "Accepted and dialled connections that have ended, by channel and reason: done, lost, silent, closed, shutting-down, or the code of the error that either end told.";
    describe_counter SLOW = "antiphon_slow_readers_total": "Connections that were ended because the peer read too slowly.";
    describe_counter DELAYED = "antiphon_delayed_reads_total": "Messages that were read later because their peer sends too fast.";
    describe_gauge WAITING = "antiphon_waiting_bytes": "Bytes that wait for peers to read, and to be carried out.";
    describe_counter ANSWERED = "antiphon_requests_total": "Requests of others that were answered, by request and outcome: granted, or the code of the refusal.";
    describe_histogram ANSWERED_IN = "antiphon_request_seconds": "From a request of others to its answer.";
    describe_counter ASKED = "antiphon_asked_total": "Requests to others, by request and outcome: granted, the code of the refusal, or lost.";
    describe_histogram ASKED_IN = "antiphon_asked_seconds": "From a request to others to their answer.";
    describe_counter DIALS = "antiphon_dials_total": "Connections to others that were dialled, by channel and outcome: done or failed.";
    describe_gauge DIALLED = "antiphon_dialled_links": "Dialled connections that are open, by channel.";
    describe_gauge ONLINE = "antiphon_users_online": "Users that are logged in here.";
    describe_gauge HOME_WAITING = "antiphon_home_waiting_requests": "Requests that wait for the home copies of profiles.";
    describe_gauge RELAYED = "antiphon_relayed_links": "Relayed links that are open or being opened.";
    describe_counter RELAYED_BYTES = "antiphon_relayed_bytes_total": "Bytes that came for relayed links.";
    describe_histogram QUERIES = "antiphon_store_query_seconds": "Time for one query of the database.";
    describe_histogram COMMITS = "antiphon_store_commit_seconds": "Time for one commit of the database.";
    describe_counter STORE_ERRORS = "antiphon_store_errors_total": "Queries and commits that failed.";
    describe_counter LEASES = "antiphon_location_leases_ended_total": "Handles under which leases ended without a renewal.";
    describe_gauge HANDLES = "antiphon_location_busy_handles": "Handles about which something is being asked at the directory node.";
}

/// The number of something, as a gauge has it.
fn number(count: usize) -> f64 {
    // No count here comes near the bound.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

// --- the process ---

pub(super) fn started(role: &'static str) {
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "role" => role).set(1.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(STARTED).set(now.as_secs_f64());
}

pub(super) fn resident_memory(bytes: f64) {
    gauge!(MEMORY).set(bytes);
}

pub(super) fn open_files(count: usize) {
    gauge!(FILES).set(number(count));
}

// --- connections ---

const fn port_name(port: Port) -> &'static str {
    match port {
        Port::Registration => "registration",
        Port::Authenticated => "authenticated",
        Port::ClientClient => "client",
        Port::Location => "location",
    }
}

/// What became of a handshake, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Done,
    Failed,
    Refused,
    CrowdedOut,
    TooOften,
    TooMany,
}

pub(crate) fn handshake(port: Port, outcome: Handshake) {
    let outcome = match outcome {
        Handshake::Done => "done",
        Handshake::Failed => "failed",
        Handshake::Refused => "refused",
        Handshake::CrowdedOut => "crowded-out",
        Handshake::TooOften => "too-often",
        Handshake::TooMany => "too-many",
    };
    counter!(HANDSHAKES, "port" => port_name(port), "outcome" => outcome).increment(1);
}

/// Counts one of something that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct There(metrics::Gauge);

impl There {
    fn new(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

pub(crate) fn connection(port: Port) -> There {
    There::new(gauge!(CONNECTIONS, "port" => port_name(port)))
}

pub(crate) fn dialled(channel: Channel, is_done: bool) {
    let outcome = if is_done { "done" } else { "failed" };
    counter!(DIALS, "channel" => channel.name(), "outcome" => outcome).increment(1);
}

pub(crate) fn dialled_link(channel: Channel) -> There {
    There::new(gauge!(DIALLED, "channel" => channel.name()))
}

pub(crate) fn ended(channel: Channel, end: LinkEnd) {
    let reason = match end {
        LinkEnd::Done => "done",
        LinkEnd::Lost => "lost",
        LinkEnd::Silent => "silent",
        LinkEnd::Closed => "closed",
        LinkEnd::ShuttingDown => "shutting-down",
        LinkEnd::FirstMessageDeadline => ErrorCode::Deadline.as_str(),
        LinkEnd::PeerError(code) | LinkEnd::Violation(code) => code.as_str(),
    };
    counter!(ENDED, "channel" => channel.name(), "reason" => reason).increment(1);
}

pub(crate) fn slow_reader() {
    counter!(SLOW).increment(1);
}

pub(crate) fn delayed_read() {
    counter!(DELAYED).increment(1);
}

pub(crate) fn waiting_bytes(bytes: usize) {
    gauge!(WAITING).set(number(bytes));
}

// --- requests ---

fn outcome(answer: Answer) -> &'static str {
    match answer {
        Answer::Granted(_) => "granted",
        Answer::Refused(code) => code.as_str(),
    }
}

/// A request of somebody else was answered.
pub(crate) fn answered(question: Question, answer: Answer, after: Duration) {
    let request = question.as_str();
    counter!(ANSWERED, "request" => request, "outcome" => outcome(answer)).increment(1);
    histogram!(ANSWERED_IN, "request" => request).record(after.as_secs_f64());
}

/// A request to somebody else was answered, or never will be.
pub(crate) fn asked(question: Question, answer: Option<Answer>, after: Duration) {
    let request = question.as_str();
    counter!(ASKED, "request" => request, "outcome" => answer.map_or("lost", outcome)).increment(1);
    histogram!(ASKED_IN, "request" => request).record(after.as_secs_f64());
}

// --- a server ---

pub(crate) fn users_online(users: usize) {
    gauge!(ONLINE).set(number(users));
}

pub(crate) fn home_waiting(requests: usize) {
    gauge!(HOME_WAITING).set(number(requests));
}

pub(crate) fn relayed_link() -> There {
    There::new(gauge!(RELAYED))
}

pub(crate) fn relayed_bytes(bytes: usize) {
    counter!(RELAYED_BYTES).increment(bytes as u64);
}

// --- the store ---

pub(crate) fn query(is_done: bool, took: Duration) {
    histogram!(QUERIES).record(took.as_secs_f64());
    if !is_done {
        counter!(STORE_ERRORS).increment(1);
    }
}

pub(crate) fn commit(is_done: bool, took: Duration) {
    histogram!(COMMITS).record(took.as_secs_f64());
    if !is_done {
        counter!(STORE_ERRORS).increment(1);
    }
}

// --- a directory node ---

pub(crate) fn leases_ended(handles: usize) {
    counter!(LEASES).increment(handles as u64);
}

pub(crate) fn busy_handles(handles: usize) {
    gauge!(HANDLES).set(number(handles));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn names_follow_the_conventions() {
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
        for name in ALL {
            assert!(name.starts_with("antiphon_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }
}
