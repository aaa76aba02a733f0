//! Peers that keep to no rule: connections that say nothing or nonsense, and users who speak the protocol by hand.

use std::{net::SocketAddr, path::Path, sync::Arc};

use antiphon::credentials;
use antiphon_protocol::{
    connection::{Dialler, DiallingEnd},
    message::DiallerMessage,
    tls::{Clock, SystemClock},
};
use antiphon_spec::identity::Identity;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::{Service, Town, in_time};

/// Opens so many connections, and says the same on each; they stay open for as long as they are kept.
pub async fn flood(address: SocketAddr, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream =
            in_time("a connection", TcpStream::connect(address)).await.expect("the port is open");
        // A peer that has closed already is one that has understood enough.
        let _ = stream.write_all(bytes).await;
        streams.push(stream);
    }
    streams
}

/// The window of a connection made by hand: what is not read does not get lost in the system's buffers for long.
const WINDOW: u32 = 4_096;

/// Dials a server with the key and certificate in a client's identity folder, and takes in little at a time.
pub async fn dial_as<M: DiallerMessage>(
    town: &Town,
    client: &str,
    server: &Service,
) -> DiallingEnd<TcpStream, M> {
    let folder: &Path = &town.folder().join(client);
    let credentials = credentials::load_credentials(&folder.join("certificate.pem"), &folder.join("key.pem"));
    let trust = credentials::load_trust(&folder.join("root.pem")).expect("a client keeps its root");
    let clock: Clock = Arc::new(SystemClock);
    let dialler = Dialler::new(Some(credentials.expect("a client keeps its certificate")), trust, clock);
    let socket = TcpSocket::new_v4().expect("the system has sockets");
    socket.set_recv_buffer_size(WINDOW).expect("the window can be set");
    let stream = in_time("a connection", socket.connect(server.listen())).await.expect("the port is open");
    let whom = Identity::Server(server.name().parse().expect("a server has a name"));
    let dialled = dialler.dial_over::<M, _>(stream, &whom, None);
    let (_, connection) = in_time("a connection", dialled).await.expect("a user is let in");
    connection
}
