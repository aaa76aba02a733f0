//! Everything that a directory node keeps survives, and one process at a time writes it.

use antiphon_spec::{
    identity::{ContactAddress, ObjectHandle, ServerName},
    location::{Above, Entry, Holder, Kept, Superseded},
    message::{location::PointerNumber, server_server::LoginEpoch},
    time::Timestamp,
};

use super::{Place, on_each};
use crate::store::{Changed, NodeStore, StoreError};

const HANDLE: ObjectHandle = ObjectHandle([1; 16]);

async fn open(place: &Place) -> NodeStore {
    NodeStore::open(&place.url, &"node".parse().unwrap()).await.unwrap()
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

fn address() -> ContactAddress {
    "192.0.2.1:5000".parse().unwrap()
}

fn entry(epoch: u64, number: u64, lease_end: u64) -> Entry {
    let (epoch, number, lease_end) = (LoginEpoch(epoch), PointerNumber(number), Timestamp(lease_end));
    Entry { epoch, address: address(), number, lease_end }
}

/// Something of every kind, with the greatest numbers.
fn full() -> Kept {
    let mut kept = Kept::default();
    kept.entries.insert(Holder::Server(name("a")), entry(u64::MAX, 0, 1_300));
    kept.entries.insert(Holder::Server(name("b")), entry(0, 0, 1_200));
    kept.entries.insert(Holder::Node(name("a")), entry(1 << 63, u64::MAX, 1_100));
    let (epoch, number, asked_at) = (LoginEpoch(u64::MAX), PointerNumber(u64::MAX), Timestamp(1_000));
    kept.above = Some(Above { epoch, number, asked_at, lease_end: Some(Timestamp(1_300)) });
    let (epoch, address, lease_end) = (LoginEpoch(7), address(), Timestamp(1_300));
    kept.superseded.insert(name("c"), Superseded { epoch, address, lease_end });
    kept
}

async fn keep(store: &NodeStore, before: &Kept, after: &Kept) -> Result<(), StoreError> {
    let changed = Changed { handle: HANDLE, before: before.clone(), after: after.clone() };
    store.keep(&[changed]).await
}

#[tokio::test]
async fn changes_under_several_handles_are_kept_together_or_not_at_all() {
    on_each("changes together", async |place| {
        let store = open(place).await;
        let handles = [HANDLE, ObjectHandle([2; 16])];
        let changed = |after: &Kept| {
            handles.map(|handle| Changed { handle, before: Kept::default(), after: after.clone() })
        };
        store.keep(&changed(&full())).await.unwrap();
        for handle in handles {
            assert_eq!(store.contacts(handle).await.unwrap(), full());
        }
        let mut impossible = full();
        impossible.superseded.get_mut(&name("c")).unwrap().lease_end = Timestamp(u64::MAX);
        let mut changes = changed(&impossible);
        changes[0] = Changed { handle: HANDLE, before: full(), after: Kept::default() };
        assert!(store.keep(&changes).await.is_err());
        assert_eq!(store.contacts(HANDLE).await.unwrap(), full());
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_there_after_a_restart() {
    on_each("contacts", async |place| {
        let (nothing, full) = (Kept::default(), full());
        let mut unconfirmed = full.clone();
        unconfirmed.above.as_mut().unwrap().lease_end = None;
        unconfirmed.entries.remove(&Holder::Server(name("b")));
        let mut before = nothing.clone();
        for after in [&full, &unconfirmed, &nothing, &full] {
            let store = open(place).await;
            assert_eq!(store.contacts(HANDLE).await.unwrap(), before);
            keep(&store, &before, after).await.unwrap();
            assert_eq!(store.contacts(ObjectHandle([2; 16])).await.unwrap(), nothing);
            store.close().await;
            before = after.clone();
        }
    })
    .await;
}

#[tokio::test]
async fn handles_are_swept_when_a_lease_has_ended() {
    on_each("leases", async |place| {
        let store = open(place).await;
        keep(&store, &Kept::default(), &full()).await.unwrap();
        for (now, ended) in [(1_099, vec![]), (1_100, vec![HANDLE]), (2_000, vec![HANDLE])] {
            assert_eq!(store.ended(Timestamp(now)).await.unwrap(), ended, "{now}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_records_of_a_server_are_counted() {
    on_each("the bound", async |place| {
        let store = open(place).await;
        assert!(store.has_room(&name("a"), 1).await.unwrap());
        keep(&store, &Kept::default(), &full()).await.unwrap();
        assert!(!store.has_room(&name("a"), 1).await.unwrap());
        assert!(store.has_room(&name("a"), 2).await.unwrap());
        keep(&store, &full(), &Kept::default()).await.unwrap();
        assert!(store.has_room(&name("a"), 1).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_handle_is_issued_once() {
    on_each("handles", async |place| {
        let store = open(place).await;
        assert!(store.issue(HANDLE).await.unwrap());
        store.close().await;
        assert!(!open(place).await.issue(HANDLE).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn the_process_that_was_started_last_is_the_one_that_writes() {
    on_each("two nodes", async |place| {
        let (first, second) = (open(place).await, open(place).await);
        assert!(first.starts() < second.starts());
        let kept = keep(&first, &Kept::default(), &full()).await;
        assert!(matches!(kept, Err(StoreError::Superseded { .. })), "{kept:?}");
        keep(&second, &Kept::default(), &full()).await.unwrap();
        first.close().await;
        second.close().await;
    })
    .await;
}
