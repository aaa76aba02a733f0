//! What an operator's tools see of a process: a page of its endpoint, and numbers on it.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Service, in_time};

/// A page, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status, such as 200.
    pub status: u16,
    /// What comes behind the head.
    pub body: String,
}

/// The samples of `/metrics`: each name with its labels, and its value.
#[derive(Clone, Debug)]
pub struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// The value of one, such as `antiphon_users_online` or `antiphon_requests_total{request="login",outcome="granted"}`; 0
    /// for what was never counted.
    #[must_use]
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All names with their labels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Service {
    /// Asks the endpoint for a page.
    pub async fn page(&self, path: &str) -> Page {
        page(self.monitoring(), &format!("GET {path} HTTP/1.1")).await
    }

    /// What the process counts.
    pub async fn samples(&self) -> Samples {
        let page = self.page("/metrics").await;
        assert_eq!(page.status, 200, "{page:?}");
        let lines = page.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a sample has a name and a value");
            (name.to_owned(), value.parse().expect("a sample is a number"))
        };
        Samples(lines.map(sample).collect())
    }

    /// Asks for samples until they are as they have to be.
    pub async fn sampled(&self, awaited: &str, is_it: impl Fn(&Samples) -> bool) -> Samples {
        let asking = async {
            loop {
                let samples = self.samples().await;
                if is_it(&samples) {
                    return samples;
                }
            }
        };
        in_time(&format!("{} to count {awaited}", self.name()), asking).await
    }

    /// Asks for a page until its status is this one.
    pub async fn turns(&self, path: &str, status: u16) -> Page {
        let asking = async {
            loop {
                let page = self.page(path).await;
                if page.status == status {
                    return page;
                }
            }
        };
        in_time(&format!("{path} of {} to turn {status}", self.name()), asking).await
    }
}

/// Sends a request line with a head that closes the connection, and reads the answer.
pub async fn page(address: SocketAddr, line: &str) -> Page {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("{line}\r\nhost: antiphon\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = in_time(line, asking).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Page { status: status.unwrap_or_else(|| panic!("{line}: {answer}")), body: body.to_owned() }
}
