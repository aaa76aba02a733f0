//! Links under a clock that is moved by hand, over a stream inside the process.

use std::time::Duration;

use antiphon_protocol::connection::{Connection, Ended};
use antiphon_spec::{
    channel::receive_at_directory_node,
    error_code::ErrorCode,
    identity::ObjectHandle,
    limits::{GREETING_DEADLINE, KEEP_ALIVE_INTERVAL},
    message::{
        common::{Ping, Pong, RequestId},
        location::{Find, Found, FromDirectoryNode, ToDirectoryNode},
    },
};
use tokio::{io::DuplexStream, sync::oneshot, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;

type Peer = Connection<DuplexStream, ToDirectoryNode, FromDirectoryNode>;
type Ours = Link<DuplexStream, FromDirectoryNode, ToDirectoryNode>;

/// The accepting end as a link, and the dialling end as a bare connection.
fn pair(outgoing_bytes_max: usize) -> (Ours, Peer, CancellationToken) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let link = Link::accepted(Connection::over(ours), outgoing_bytes_max, &tracker, shutdown.clone());
    (link, Connection::over(theirs), shutdown)
}

fn find(id: u64) -> ToDirectoryNode {
    ToDirectoryNode::Find(Find { id: RequestId(id), hops: 0, handle: ObjectHandle::SERVERS })
}

fn ping(number: u64) -> ToDirectoryNode {
    ToDirectoryNode::Ping(Ping { number })
}

#[tokio::test(start_paused = true)]
async fn a_dialler_that_says_nothing_is_told_so() {
    let (mut link, mut peer, _shutdown) = pair(1_000_000);
    let begin = Instant::now();
    assert_eq!(link.next().await, Err(LinkEnd::FirstMessageDeadline));
    assert_eq!(begin.elapsed(), GREETING_DEADLINE);
    let ended = peer.receive().await.unwrap_err();
    assert!(matches!(ended, Ended::Error(ErrorCode::Deadline)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_and_counts_as_a_first_message() {
    let (mut link, mut peer, _shutdown) = pair(1_000_000);
    let begin = Instant::now();
    peer.send(&ping(7)).await.unwrap();
    let link = tokio::spawn(async move { link.next().await });
    assert_eq!(peer.receive().await.unwrap(), FromDirectoryNode::Pong(Pong { number: 7 }));
    // Then silence: a ping, and after as long again the end.
    assert_eq!(peer.receive().await.unwrap(), FromDirectoryNode::Ping(Ping { number: 1 }));
    assert_eq!(begin.elapsed(), KEEP_ALIVE_INTERVAL);
    assert_eq!(link.await.unwrap(), Err(LinkEnd::Silent));
    assert_eq!(begin.elapsed(), 2 * KEEP_ALIVE_INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn going_down_is_said() {
    let (mut link, mut peer, shutdown) = pair(1_000_000);
    shutdown.cancel();
    assert_eq!(link.next().await, Err(LinkEnd::ShuttingDown));
    let ended = peer.receive().await.unwrap_err();
    assert!(matches!(ended, Ended::Error(ErrorCode::ShuttingDown)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_answered_with_one() {
    let (mut link, peer, _shutdown) = pair(1_000_000);
    let (mut reader, writer) = peer.split();
    writer.goodbye().await.unwrap();
    assert_eq!(link.next().await, Err(LinkEnd::Done));
    link.linger().await;
    assert!(matches!(reader.receive().await, Err(Ended::Done)));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_answered() {
    let (mut link, peer, _shutdown) = pair(1_000_000);
    let (mut reader, writer) = peer.split();
    writer.close_with_error(ErrorCode::Internal).await.unwrap();
    assert_eq!(link.next().await, Err(LinkEnd::PeerError(ErrorCode::Internal)));
    link.linger().await;
    assert!(matches!(reader.receive().await, Err(Ended::Lost(_))));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_cut_off_at_the_bound() {
    let (mut link, mut peer, _shutdown) = pair(10_000);
    let found = FromDirectoryNode::Found(Found { id: RequestId(1), records: Vec::new() });
    let mut sent = 0;
    while !link.outbox().is_closing() {
        link.outbox().send(&found);
        sent += 1;
        assert!(sent < 10_000, "the queue has no bound");
    }
    assert_eq!(link.next().await, Err(LinkEnd::Closed));
    link.linger().await;
    // Whatever had been written is there, and then the stream just ends.
    let ended = loop {
        if let Err(ended) = peer.receive().await {
            break ended;
        }
    };
    assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_bound_are_refused_and_the_others_answered() {
    let (link, peer, _shutdown) = pair(1_000_000);
    let (mut reader, mut writer) = peer.split();
    let (open, gate) = oneshot::channel::<()>();
    let mut gate = Some(gate);
    let served = tokio::spawn(async move {
        respond(
            link,
            receive_at_directory_node,
            (3, 1_000_000),
            |request| {
                let gate = gate.take();
                async move {
                    // The first one waits until the test has seen the refusal.
                    if let Some(gate) = gate {
                        gate.await.unwrap();
                    }
                    let ToDirectoryNode::Find(Find { id, .. }) = request else { panic!("{request:?}") };
                    Some(FromDirectoryNode::Found(Found { id, records: Vec::new() }))
                }
            },
            drop,
        )
        .await
    });
    for id in 1..=4 {
        writer.send(&find(id)).await.unwrap();
    }
    let refused = FromDirectoryNode::refused(RequestId(4), ErrorCode::LimitReached);
    assert_eq!(reader.receive().await.unwrap(), refused);
    open.send(()).unwrap();
    for id in 1..=3 {
        let found = Found { id: RequestId(id), records: Vec::new() };
        assert_eq!(reader.receive().await.unwrap(), FromDirectoryNode::Found(found));
    }
    writer.goodbye().await.unwrap();
    assert_eq!(served.await.unwrap(), LinkEnd::Done);
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_unreachable_within_a_while() {
    let serving = Serving::new(crate::config::Limits::default());
    let requester = Requester::<ToDirectoryNode>::start(|| async { None }, serving);
    let begin = Instant::now();
    for _ in 0..5 {
        assert_eq!(requester.ask(|id| find(id.0)).await, Err(AskError::Unreachable));
    }
    // Five waits, the longest of which has a cap.
    assert!(begin.elapsed() <= Duration::from_secs(10));
}
