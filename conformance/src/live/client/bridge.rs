//! Relayed links at the server that the suite plays: bytes between the client's connection and a socket, so that whoever
//! dials and accepts there sees no difference to a direct link.

use std::{collections::HashMap, sync::Arc};

use antiphon_spec::{
    identity::{ContactAddress, UserHandle},
    message::{
        client_server::{FromServer, ToServer},
        relay::*,
    },
    relay::Numbers,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

const WINDOW: usize = 32_768;

/// Somebody who calls the client.
pub(super) struct Call {
    pub(super) caller: UserHandle,
    pub(super) stream: TcpStream,
    pub(super) opened: oneshot::Sender<()>,
}

/// The links of one connection of the client.
pub(super) struct Relay {
    numbers: Numbers,
    calling: HashMap<LinkNumber, Call>,
    /// Where the client's bytes go, and how many may be sent to it.
    open: HashMap<LinkNumber, (OwnedWriteHalf, Arc<Semaphore>)>,
    to_client: mpsc::Sender<FromServer>,
    tasks: JoinSet<()>,
}

impl Relay {
    /// No links; what they have for the client comes out of the receiver.
    pub(super) fn new() -> (Self, mpsc::Receiver<FromServer>) {
        let (to_client, receiver) = mpsc::channel(8);
        let (numbers, calling, open) = (Numbers::accepting(), HashMap::new(), HashMap::new());
        (Self { numbers, calling, open, to_client, tasks: JoinSet::new() }, receiver)
    }

    /// Somebody calls.
    pub(super) fn call(&mut self, call: Call) -> FromServer {
        let link = self.numbers.next_own();
        let incoming = RelayIncoming { link, caller: call.caller.clone() };
        self.calling.insert(link, call);
        FromServer::RelayIncoming(incoming)
    }

    /// The client wants a link, which leads to this address.
    pub(super) async fn open(&mut self, link: LinkNumber, to: Option<ContactAddress>) -> FromServer {
        let stream = match to {
            Some(address) => TcpStream::connect(address.0).await.ok(),
            None => None,
        };
        match stream {
            Some(stream) => {
                self.pump(link, stream);
                FromServer::RelayOpened(RelayOpened { link })
            }
            None => FromServer::RelayClose(RelayClose { link }),
        }
    }

    /// A message of a link.
    pub(super) async fn take(&mut self, message: &ToServer, gives_credit: bool) {
        match message {
            ToServer::RelayOpened(body) => {
                if let Some(call) = self.calling.remove(&body.link) {
                    self.pump(body.link, call.stream);
                    // A case that does not wait any more does not want the link.
                    let _ = call.opened.send(());
                }
            }
            ToServer::RelayData(body) => {
                if let Some((writer, _)) = self.open.get_mut(&body.link)
                    && writer.write_all(body.bytes.as_slice()).await.is_ok()
                    && gives_credit
                    && let Ok(bytes) = body.bytes.count().try_into()
                {
                    let credit = FromServer::RelayCredit(RelayCredit { link: body.link, bytes });
                    let _ = self.to_client.try_send(credit);
                }
            }
            ToServer::RelayClose(body) => {
                self.calling.remove(&body.link);
                self.open.remove(&body.link);
            }
            ToServer::RelayCredit(body) => {
                if let Some((_, room)) = self.open.get(&body.link) {
                    room.add_permits(body.bytes.count());
                }
            }
            ToServer::Login(_)
            | ToServer::SetPreferences(_)
            | ToServer::Lookup(_)
            | ToServer::Logout(_)
            | ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpen(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_)
            | ToServer::Goodbye(_)
            | ToServer::Error(_) => {}
        }
    }

    fn pump(&mut self, link: LinkNumber, stream: TcpStream) {
        let (mut reader, writer) = stream.into_split();
        let room = Arc::new(Semaphore::new(WINDOW));
        self.open.insert(link, (writer, Arc::clone(&room)));
        let to_client = self.to_client.clone();
        self.tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count) = reader.read(&mut buffer).await {
                let Ok(permits) = room.acquire_many(u32::try_from(count).unwrap_or(1)).await else { return };
                permits.forget();
                let Ok(bytes) = buffer.get(..count).unwrap_or_default().to_vec().try_into() else { break };
                if to_client.send(FromServer::RelayData(RelayData { link, bytes })).await.is_err() {
                    return;
                }
            }
            let _ = to_client.send(FromServer::RelayClose(RelayClose { link })).await;
        });
    }
}
