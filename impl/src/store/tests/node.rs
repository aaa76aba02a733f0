//! Leases, order, exact deletion, and that records survive.

use antiphon_spec::{
    identity::ObjectHandle,
    message::{location::ContactRecord, server_server::LoginEpoch},
    time::Timestamp,
};

use super::{Place, on_each};
use crate::store::{Inserted, NodeStore};

const HANDLE: ObjectHandle = ObjectHandle([1; 16]);
const NOW: Timestamp = Timestamp(1_000);
const LATER: Timestamp = Timestamp(1_300);

fn record(server: &str, epoch: u64) -> ContactRecord {
    let address = "192.0.2.1:5000".parse().unwrap();
    ContactRecord { epoch: LoginEpoch(epoch), server: server.parse().unwrap(), address }
}

async fn open(place: &Place) -> NodeStore {
    NodeStore::open(&place.url, &"node".parse().unwrap()).await.unwrap()
}

async fn insert(store: &NodeStore, record: &ContactRecord) -> Inserted {
    store.insert(HANDLE, record, NOW, LATER, 2).await.unwrap()
}

#[tokio::test]
async fn records_are_ordered_and_end_with_their_lease() {
    on_each("leases", async |place| {
        let store = open(place).await;
        for record in [record("b", 1), record("a", 1), record("c", 2)] {
            assert_eq!(insert(&store, &record).await, Inserted::Stands);
        }
        store.close().await;
        let store = open(place).await;
        let found = store.find(HANDLE, NOW).await.unwrap();
        assert_eq!(found, [record("c", 2), record("a", 1), record("b", 1)]);
        assert_eq!(store.find(HANDLE, LATER).await.unwrap(), []);
        assert_eq!(store.sweep(Timestamp(LATER.0 - 1)).await.unwrap(), 0);
        assert_eq!(store.sweep(LATER).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn the_greatest_epoch_of_a_server_stands() {
    on_each("epochs", async |place| {
        let store = open(place).await;
        assert_eq!(insert(&store, &record("a", 2)).await, Inserted::Stands);
        assert_eq!(insert(&store, &record("a", 1)).await, Inserted::Older);
        assert_eq!(insert(&store, &record("a", 3)).await, Inserted::Stands);
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), [record("a", 3)]);
        // An epoch whose lease is over binds nobody.
        let again = store.insert(HANDLE, &record("a", 1), LATER, Timestamp(2_000), 2).await.unwrap();
        assert_eq!(again, Inserted::Stands);
    })
    .await;
}

#[tokio::test]
async fn only_the_very_record_is_deleted() {
    on_each("deletion", async |place| {
        let store = open(place).await;
        insert(&store, &record("a", 2)).await;
        store.delete(HANDLE, &record("a", 1)).await.unwrap();
        store.delete(HANDLE, &record("b", 2)).await.unwrap();
        let moved = ContactRecord { address: "192.0.2.1:5001".parse().unwrap(), ..record("a", 2) };
        store.delete(HANDLE, &moved).await.unwrap();
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), [record("a", 2)]);
        store.delete(HANDLE, &record("a", 2)).await.unwrap();
        assert_eq!(store.find(HANDLE, NOW).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_server_cannot_fill_the_node() {
    on_each("the bound", async |place| {
        let store = open(place).await;
        for (handle, inserted) in [(1, Inserted::Stands), (2, Inserted::Stands), (3, Inserted::Full)] {
            let handle = ObjectHandle([handle; 16]);
            assert_eq!(store.insert(handle, &record("a", 1), NOW, LATER, 2).await.unwrap(), inserted);
        }
        // Renewals go on, and what is deleted makes room.
        assert_eq!(insert(&store, &record("a", 1)).await, Inserted::Stands);
        store.delete(HANDLE, &record("a", 1)).await.unwrap();
        let third = ObjectHandle([3; 16]);
        let inserted = store.insert(third, &record("a", 1), NOW, LATER, 2).await.unwrap();
        assert_eq!(inserted, Inserted::Stands);
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
async fn two_processes_before_one_database_count_together() {
    on_each("two nodes", async |place| {
        let stores = [open(place).await, open(place).await];
        let mut insertions = tokio::task::JoinSet::new();
        for number in 0..40_u8 {
            let store = stores[usize::from(number) % 2].clone();
            insertions.spawn(async move {
                let handle = ObjectHandle([number; 16]);
                store.insert(handle, &record("a", 1), NOW, LATER, 10).await.unwrap()
            });
        }
        let inserted = insertions.join_all().await;
        assert_eq!(inserted.iter().filter(|inserted| **inserted == Inserted::Stands).count(), 10);
        for store in stores {
            store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn no_order_of_epochs_at_once_leaves_an_older_one() {
    on_each("epochs at once", async |place| {
        let stores = [open(place).await, open(place).await];
        let mut insertions = tokio::task::JoinSet::new();
        for epoch in 0..20_u64 {
            let store = stores[usize::try_from(epoch % 2).unwrap()].clone();
            insertions.spawn(async move { insert(&store, &record("a", epoch)).await });
        }
        insertions.join_all().await;
        assert_eq!(stores[0].find(HANDLE, NOW).await.unwrap(), [record("a", 19)]);
        for store in stores {
            store.close().await;
        }
    })
    .await;
}
