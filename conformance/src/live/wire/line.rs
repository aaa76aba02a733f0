//! A connection at the level of frames: a case chooses every byte inside TLS, and sees how the connection ends.

use std::{io, sync::Arc, time::Duration};

use antiphon_protocol::{
    cbor,
    certificate::{Demand, End as ConnectionEnd},
    channel::Channel,
    frame::FRAME_HEAD_BYTES,
    tls::{Credentials, client_config},
};
use antiphon_spec::{error_code::ErrorCode, identity::Identity};
use bytes::{Buf as _, BytesMut};
use ciborium::Value;
use rustls::{AlertDescription, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::{
    case::Failure,
    live::server::stage::{Done, Stage},
    process::PATIENCE,
};

/// How long the text's deadlines of 10 seconds may take on a machine that is busy.
pub(super) const DEADLINE_PATIENCE: Duration = Duration::from_secs(30);

/// What came next.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message: its name and the fields of its body.
    Message(String, Vec<(Value, Value)>),
    /// TLS's close_notify.
    Closed,
    /// A fatal alert.
    Alert(AlertDescription),
    /// The stream ended or failed without a word.
    Cut(String),
}

impl Heard {
    /// What came, for reports.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Message(name, body) => format!("{name} {body:?}"),
            Self::Closed => "close_notify".to_owned(),
            Self::Alert(alert) => format!("the alert {alert:?}"),
            Self::Cut(how) => format!("the end of the stream: {how}"),
        }
    }
}

/// A connection inside TLS.
pub(super) struct Line {
    stream: TlsStream<TcpStream>,
    read: BytesMut,
}

/// A message that has one number: a ping, for one.
pub(super) fn item(name: &str, field: &str, number: u64) -> Result<Vec<u8>, Failure> {
    let body = Value::Map(vec![(Value::Text(field.to_owned()), Value::Integer(number.into()))]);
    cbor::encode(&Value::Map(vec![(Value::Text(name.to_owned()), body)])).map_err(Failure::harness)
}

/// A frame around an item.
pub(super) fn frame(item: &[u8]) -> Result<Vec<u8>, Failure> {
    let length = u32::try_from(item.len()).map_err(Failure::harness)?;
    Ok([&length.to_be_bytes(), item].concat())
}

/// The configuration of a dialler that offers these names in ALPN, and takes the server under test alone.
pub(super) fn config(
    stage: &Stage,
    alpn: &[&[u8]],
    credentials: Option<&Credentials>,
) -> Result<ClientConfig, Failure> {
    let whom = Identity::Server(stage.name().clone());
    let demand = Demand::new(Channel::ClientServer, ConnectionEnd::Accepting).identity(whom);
    let (trust, clock) = (stage.pki().shared_trust(), stage.pki().clock());
    let made = client_config(Channel::ClientServer, credentials, trust, clock, demand);
    let (mut config, _) = made.map_err(Failure::harness)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Connects to a port of the server under test, with TLS.
pub(super) async fn connect(
    stage: &Stage,
    channel: Channel,
    config: Arc<ClientConfig>,
) -> Result<io::Result<Line>, Failure> {
    let address = if channel == Channel::Registration { stage.registration() } else { stage.address() };
    let stream = TcpStream::connect(address.0).await.map_err(Failure::harness)?;
    stream.set_nodelay(true).map_err(Failure::harness)?;
    let name = ServerName::try_from("localhost").map_err(Failure::harness)?;
    match timeout(PATIENCE, TlsConnector::from(config).connect(name, stream)).await {
        Ok(connected) => Ok(connected.map(|stream| Line::over(stream.into()))),
        Err(_) => Err(Failure::unexpected("the end of the handshake", "none")),
    }
}

/// The alert inside an error of the TLS stream.
pub(super) fn alert(error: &io::Error) -> Option<AlertDescription> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::AlertReceived(alert) = error { Some(*alert) } else { None }
}

impl Line {
    pub(super) fn over(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, read: BytesMut::new() }
    }

    /// A connection on a channel whose greeting has come.
    pub(super) async fn open(
        stage: &Stage,
        channel: Channel,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Failure> {
        let config = config(stage, &[channel.alpn()], credentials)?;
        let connected = connect(stage, channel, Arc::new(config)).await?;
        let mut line = connected.map_err(|error| Failure::unexpected("a connection", error))?;
        line.greeted().await?;
        Ok(line)
    }

    /// The first message is the greeting of version 1.
    pub(super) async fn greeted(&mut self) -> Done {
        match self.hear().await? {
            Heard::Message(name, body)
                if name == "greeting" && body == [(Value::Text("version".to_owned()), Value::from(1))] =>
            {
                Ok(())
            }
            heard @ (Heard::Message(..) | Heard::Closed | Heard::Alert(_) | Heard::Cut(_)) => {
                Err(Failure::unexpected("the greeting of version 1", heard.shown()))
            }
        }
    }

    pub(super) fn tls(&self) -> &TlsStream<TcpStream> {
        &self.stream
    }

    /// Sends bytes, in one TLS record if they fit.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Done {
        let send = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(PATIENCE, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::unexpected("a connection that goes on", error)),
            Err(_) => Err(Failure::unexpected("an end that reads", "nothing was read")),
        }
    }

    /// Sends a frame.
    pub(super) async fn send_item(&mut self, item: &[u8]) -> Done {
        self.send(&frame(item)?).await
    }

    /// Sends close_notify.
    pub(super) async fn close(&mut self) -> Done {
        self.stream.shutdown().await.map_err(Failure::harness)
    }

    /// What comes next.
    pub(super) async fn hear(&mut self) -> Result<Heard, Failure> {
        self.hear_within(PATIENCE).await
    }

    /// What comes next, where the text gives it time.
    pub(super) async fn hear_within(&mut self, patience: Duration) -> Result<Heard, Failure> {
        match timeout(patience, self.next()).await {
            Ok(heard) => heard,
            Err(_) => Err(Failure::unexpected("a message or an end", format!("none in {patience:?}"))),
        }
    }

    async fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            if let Some(item) = self.take_frame() {
                return message(&item);
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) if self.read.is_empty() => return Ok(Heard::Closed),
                Ok(0) => return Err(Failure::unexpected("a whole frame", "the end inside of one")),
                Ok(_) => {}
                Err(error) => {
                    return Ok(alert(&error).map_or_else(|| Heard::Cut(error.to_string()), Heard::Alert));
                }
            }
        }
    }

    fn take_frame(&mut self) -> Option<BytesMut> {
        let head: [u8; FRAME_HEAD_BYTES] = self.read.get(..FRAME_HEAD_BYTES)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(head)).ok()?;
        if self.read.len() < FRAME_HEAD_BYTES + length {
            return None;
        }
        self.read.advance(FRAME_HEAD_BYTES);
        Some(self.read.split_to(length))
    }

    /// Nothing but an error with one of these codes comes, then close_notify.
    pub(super) async fn closed_with(&mut self, codes: &[ErrorCode]) -> Done {
        self.closed_within(codes, PATIENCE).await
    }

    /// As [`Line::closed_with`], where the text gives it time.
    pub(super) async fn closed_within(&mut self, codes: &[ErrorCode], patience: Duration) -> Done {
        let expected = || format!("an error with {codes:?}");
        match self.hear_within(patience).await? {
            Heard::Message(name, body) if name == "error" && is_code(&body, codes) => {}
            heard @ (Heard::Message(..) | Heard::Closed | Heard::Alert(_) | Heard::Cut(_)) => {
                return Err(Failure::unexpected(expected(), heard.shown()));
            }
        }
        match self.hear().await? {
            Heard::Closed => Ok(()),
            heard @ (Heard::Message(..) | Heard::Alert(_) | Heard::Cut(_)) => {
                Err(Failure::unexpected("close_notify after the error", heard.shown()))
            }
        }
    }

    /// The connection ends and no other message comes, but for those of these names.
    pub(super) async fn ends(&mut self, but_for: &[&str]) -> Done {
        loop {
            match self.hear().await? {
                Heard::Message(name, _) if but_for.contains(&name.as_str()) => {}
                Heard::Closed | Heard::Cut(_) => return Ok(()),
                heard @ (Heard::Message(..) | Heard::Alert(_)) => {
                    return Err(Failure::unexpected("the end of the connection", heard.shown()));
                }
            }
        }
    }

    /// The next message is the pong of this number.
    pub(super) async fn ponged(&mut self, number: u64) -> Done {
        match self.hear().await? {
            Heard::Message(name, body)
                if name == "pong" && body == [(Value::Text("number".to_owned()), Value::from(number))] =>
            {
                Ok(())
            }
            heard @ (Heard::Message(..) | Heard::Closed | Heard::Alert(_) | Heard::Cut(_)) => {
                Err(Failure::unexpected(format!("the pong of {number}"), heard.shown()))
            }
        }
    }

    /// A sign of life: nothing else has come.
    pub(super) async fn probe(&mut self, number: u64) -> Done {
        self.send_item(&item("ping", "number", number)?).await?;
        self.ponged(number).await
    }
}

/// Whether the body of an error has one of these codes.
pub(super) fn is_code(body: &[(Value, Value)], codes: &[ErrorCode]) -> bool {
    codes.iter().any(|code| body == [(Value::Text("code".to_owned()), Value::Text(code.as_str().to_owned()))])
}

/// The message that an item is: in its one form, as everything that an end sends.
fn message(item: &[u8]) -> Result<Heard, Failure> {
    let wrong = |what: &str| {
        Failure::unexpected("a message in the one encoding", format!("{what}: {}", hex::encode(item)))
    };
    cbor::check(item).map_err(|error| wrong(&error.to_string()))?;
    let value: Value = ciborium::from_reader(item).map_err(|error| wrong(&error.to_string()))?;
    let Value::Map(mut entries) = value else { return Err(wrong("no map")) };
    match (entries.pop(), entries.pop()) {
        (Some((Value::Text(name), Value::Map(body))), None) => Ok(Heard::Message(name, body)),
        _ => Err(wrong("not one entry with a name and a body")),
    }
}
