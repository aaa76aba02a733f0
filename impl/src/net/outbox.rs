//! What waits to be sent to one peer, bounded in bytes: a task of its own writes it, as much at once as is there.
//!
//! Nobody who sends ever waits for a peer. A peer that reads so slowly that the bound is reached loses the connection
//! (`LIM-006`), and so does one that takes nothing within the deadline.

use std::{marker::PhantomData, sync::Arc};

use antiphon_protocol::{
    connection::{SendError, Writer, encode_message},
    message::ChannelMessage,
};
use antiphon_spec::{error_code::ErrorCode, limits::REQUEST_DEADLINE, message::relay::LinkNumber};
use bytes::Bytes;
use tokio::{io::AsyncWrite, sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    budget::{Allowance, Holding},
    lanes::Lanes,
};
use crate::monitoring::metrics;

/// Bytes of relayed links that are written at once before everything else has its turn.
const RELAYED_AT_ONCE: usize = 64 * 1024;

/// What a message that waits costs beside its bytes: a peer that has many small ones sent takes as much memory as with large
/// ones.
const MESSAGE_COST: usize = 128;

/// The sending direction of a connection; a clone sends on the same one.
#[derive(Debug)]
pub struct Outbox<Out> {
    queue: mpsc::UnboundedSender<Item>,
    state: Arc<State>,
    messages: PhantomData<fn(Out)>,
}

#[derive(Debug)]
struct State {
    waiting: Holding,
    /// What waits of relayed links.
    relayed: Lanes,
    /// Nothing more is to be said.
    closing: CancellationToken,
    /// The writer is gone, or has to go without another word.
    dead: CancellationToken,
}

#[derive(Debug)]
enum Item {
    Message(Bytes),
    Goodbye,
    Error(ErrorCode),
    HangUp,
}

impl<Out> Clone for Outbox<Out> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), state: Arc::clone(&self.state), messages: PhantomData }
    }
}

impl<Out: ChannelMessage> Outbox<Out> {
    /// Starts the task that writes.
    pub fn start<W>(writer: Writer<W, Out>, allowance: Allowance, tracker: &TaskTracker) -> Self
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (queue, waiting) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            relayed: Lanes::new(&allowance),
            waiting: allowance.open(),
            closing: CancellationToken::new(),
            dead: CancellationToken::new(),
        });
        tracker.spawn(write(writer, waiting, Arc::clone(&state)));
        Self { queue, state, messages: PhantomData }
    }

    /// Sends a message; nothing happens once the connection is closing.
    pub fn send(&self, message: &Out) {
        let Some(item) = self.encode(message) else { return };
        let cost = item.len() + MESSAGE_COST;
        if !self.state.waiting.take(cost) {
            debug!("a peer reads too slowly");
            metrics::slow_reader();
            self.state.dead.cancel();
            self.state.closing.cancel();
        }
        let _ = self.queue.send(Item::Message(item));
    }

    /// Sends a message of a relayed link: behind those of that link, and in turn with the other links.
    pub(crate) fn send_relayed(&self, link: LinkNumber, message: &Out) {
        let Some(item) = self.encode(message) else { return };
        if !self.state.relayed.push(link, item) {
            debug!("a peer reads too slowly");
            metrics::slow_reader();
            self.state.dead.cancel();
            self.state.closing.cancel();
        }
    }

    /// The message as it is written; nothing once the connection is closing.
    fn encode(&self, message: &Out) -> Option<Bytes> {
        if self.is_closing() {
            return None;
        }
        match encode_message(message) {
            Ok(item) => Some(item),
            Err(error) => {
                // The fault is at this end: the peer gets a code instead of a message that it cannot read.
                tracing::error!(error = super::chain(&error), "a message cannot be sent");
                self.close(Some(ErrorCode::Internal));
                None
            }
        }
    }

    /// Says goodbye, or why this end cannot go on, and closes; whatever comes after that is not sent.
    pub fn close(&self, code: Option<ErrorCode>) {
        if !self.is_closing() {
            let _ = self.queue.send(code.map_or(Item::Goodbye, Item::Error));
            self.state.closing.cancel();
        }
    }

    /// Closes without another word, as after the peer's `error` (`WIRE-053`).
    pub fn hang_up(&self) {
        if !self.is_closing() {
            let _ = self.queue.send(Item::HangUp);
            self.state.closing.cancel();
        }
    }

    /// Whether nothing more is sent.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.state.closing.is_cancelled()
    }

    /// Waits until nothing more is sent.
    pub async fn closing(&self) {
        self.state.closing.cancelled().await;
    }

    /// Waits until all is written, or cannot be.
    pub(super) async fn written(&self) {
        self.state.dead.cancelled().await;
    }
}

async fn write<W, Out>(
    mut writer: Writer<W, Out>,
    mut waiting: mpsc::UnboundedReceiver<Item>,
    state: Arc<State>,
) where
    W: AsyncWrite + Unpin,
    Out: ChannelMessage,
{
    let result = loop {
        let item = tokio::select! {
            biased;
            () = state.dead.cancelled() => break Ok(()),
            item = waiting.recv() => match item {
                Some(item) => Some(item),
                None => break Ok(()),
            },
            () = state.relayed.filled() => None,
        };
        let sent = tokio::select! {
            biased;
            () = state.dead.cancelled() => break Ok(()),
            sent = timeout(REQUEST_DEADLINE, burst(&mut writer, item, &mut waiting, &state.relayed)) => sent,
        };
        match sent {
            Err(_) => {
                debug!("a peer takes nothing");
                metrics::slow_reader();
                break Ok(());
            }
            Ok(Err(error)) => break Err(error),
            Ok(Ok((bytes, end))) => {
                state.waiting.give(bytes);
                if let Some(end) = end {
                    let closed = timeout(REQUEST_DEADLINE, finish(writer, end)).await;
                    break closed.unwrap_or(Ok(()));
                }
            }
        }
    };
    if let Err(error) = result {
        debug!(error = super::chain(&error), "nothing more can be sent");
    }
    state.closing.cancel();
    state.dead.cancel();
}

/// Writes everything that waits, in one go, and then as much of relayed links as has its turn; returns what it was in bytes,
/// and the last item if that ends it.
async fn burst<W: AsyncWrite + Unpin, Out: ChannelMessage>(
    writer: &mut Writer<W, Out>,
    first: Option<Item>,
    waiting: &mut mpsc::UnboundedReceiver<Item>,
    relayed: &Lanes,
) -> Result<(usize, Option<Item>), SendError> {
    let (mut next, mut bytes, mut room) = (first, 0, RELAYED_AT_ONCE);
    loop {
        // Taken before what waits is: so whatever was sent before the frame goes before it (`LOGIN-043`).
        let frame = if room > 0 { relayed.pop() } else { None };
        while let Some(item) = next.take().or_else(|| waiting.try_recv().ok()) {
            match item {
                Item::Message(message) => {
                    bytes += message.len() + MESSAGE_COST;
                    writer.feed_encoded(message).await?;
                }
                Item::Goodbye | Item::Error(_) | Item::HangUp => return Ok((bytes, Some(item))),
            }
        }
        let Some(frame) = frame else { break };
        room = room.saturating_sub(frame.len());
        writer.feed_encoded(frame).await?;
    }
    writer.flush().await?;
    Ok((bytes, None))
}

async fn finish<W: AsyncWrite + Unpin, Out: ChannelMessage>(
    writer: Writer<W, Out>,
    end: Item,
) -> Result<(), SendError> {
    match end {
        Item::Goodbye => writer.goodbye().await,
        Item::Error(code) => writer.close_with_error(code).await,
        Item::HangUp => writer.close().await,
        Item::Message(_) => Ok(()),
    }
}
