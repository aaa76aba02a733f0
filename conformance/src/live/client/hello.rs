//! The first bytes of a TLS connection, read and written by hand.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{case::Failure, process::PATIENCE};

const SUPPORTED_SIGNATURES: u16 = 13;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// The extensions of a ClientHello (RFC 8446, section 4.1.2).
pub(super) struct Hello {
    extensions: Vec<(u16, Vec<u8>)>,
}

/// Reads from the front of bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, size: usize) -> Option<usize> {
        Some(self.take(size)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn vector(&mut self, size: usize) -> Option<&'a [u8]> {
        let length = self.number(size)?;
        self.take(length)
    }
}

impl Hello {
    /// Reads the ClientHello that a dialler sends.
    pub(super) async fn read(stream: &mut TcpStream) -> Result<Self, Failure> {
        let reading = async {
            let mut head = [0; 5];
            stream.read_exact(&mut head).await?;
            let [_, _, _, high, low] = head;
            let mut record = vec![0; usize::from(u16::from_be_bytes([high, low]))];
            stream.read_exact(&mut record).await?;
            Ok::<_, std::io::Error>(record)
        };
        let record = timeout(PATIENCE, reading).await;
        let record = record.map_err(|_| Failure::unexpected("a ClientHello", "nothing"))?;
        let record = record.map_err(|error| Failure::unexpected("a ClientHello", error))?;
        Self::parse(&record).ok_or_else(|| Failure::unexpected("a ClientHello", hex::encode(&record)))
    }

    fn parse(record: &[u8]) -> Option<Self> {
        let mut message = Bytes(record);
        if message.number(1)? != 1 {
            return None;
        }
        let mut body = Bytes(message.vector(3)?);
        body.take(2 + 32)?;
        body.vector(1)?;
        body.vector(2)?;
        body.vector(1)?;
        let mut list = Bytes(body.vector(2)?);
        let mut extensions = Vec::new();
        while !list.0.is_empty() {
            let kind = u16::try_from(list.number(2)?).ok()?;
            extensions.push((kind, list.vector(2)?.to_vec()));
        }
        Some(Self { extensions })
    }

    fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions.iter().find(|(found, _)| *found == kind).map(|(_, body)| body.as_slice())
    }

    /// TLS 1.3 alone, this channel alone, both kinds of signature, no resumption, no early data.
    pub(super) fn check(&self, channel: &str) -> Result<(), Failure> {
        let versions = self.extension(SUPPORTED_VERSIONS).map(hex::encode).unwrap_or_default();
        if versions != "020304" {
            return Err(Failure::unexpected("supported_versions with TLS 1.3 alone", versions));
        }
        let mut alpn = Bytes(self.extension(ALPN).unwrap_or_default());
        let mut names = Bytes(alpn.vector(2).unwrap_or_default());
        let only = names.vector(1).filter(|_| names.0.is_empty());
        if only != Some(channel.as_bytes()) {
            return Err(Failure::unexpected(
                format!("{channel} alone in ALPN"),
                hex::encode(self.extension(ALPN).unwrap_or_default()),
            ));
        }
        let mut signatures = Bytes(self.extension(SUPPORTED_SIGNATURES).unwrap_or_default());
        let signatures = signatures.vector(2).unwrap_or_default();
        for (scheme, name) in [([8, 7], "Ed25519"), ([4, 3], "ECDSA on P-256 with SHA-256")] {
            if !signatures.chunks_exact(2).any(|offered| offered == scheme) {
                return Err(Failure::unexpected(
                    format!("the signature scheme {name}"),
                    hex::encode(signatures),
                ));
            }
        }
        for (kind, name) in [(PRE_SHARED_KEY, "pre_shared_key"), (EARLY_DATA, "early_data")] {
            if self.extension(kind).is_some() {
                return Err(Failure::unexpected(format!("no extension {name}"), name));
            }
        }
        Ok(())
    }
}

/// A ClientHello of TLS 1.2: version 3.3, no supported_versions, one cipher suite, this protocol name.
pub(super) fn of_tls_1_2(channel: &str) -> Vec<u8> {
    let vector = |size: usize, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        [length.get(4 - size..).unwrap_or_default(), body].concat()
    };
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &vector(2, body)].concat();
    let extensions = [
        extension(10, &[0, 2, 0, 23]),
        extension(11, &[1, 0]),
        extension(SUPPORTED_SIGNATURES, &[0, 4, 8, 7, 4, 3]),
        extension(ALPN, &vector(2, &vector(1, channel.as_bytes()))),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        // ECDHE_ECDSA with AES-128-GCM.
        &vector(2, &[0xc0, 0x2b]),
        &vector(1, &[0]),
        &vector(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    [&[22, 3, 1][..], &vector(2, &message)].concat()
}

/// Sends bytes, and waits until the other end has ended the connection; it may send an alert before.
pub(super) async fn is_ended_after(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(Failure::harness)?;
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    ended.map_err(|_| Failure::unexpected("the end of the connection", "it goes on"))?.ok();
    // An alert is a record of type 21; a handshake would be one of type 22.
    match answer.first() {
        None | Some(21) => Ok(()),
        Some(_) => Err(Failure::unexpected("an alert, or the end", hex::encode(&answer))),
    }
}
