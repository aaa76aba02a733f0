//! What was returned is there after the store is opened again, and one process at a time changes it.

use antiphon_spec::{
    account::profile::{Holder, HomeProfile},
    identity::{KeyHash, ObjectHandle, ServerName},
    message::server_server::{LoginEpoch, Profile, ProfileVersion},
    time::Timestamp,
};

use super::{Place, on_each};
use crate::store::{Account, CodeHash, Rotated, ServerStore, StoreError};

const KEY: KeyHash = KeyHash([3; 32]);
const USER: ObjectHandle = ObjectHandle([1; 16]);
const STANDS: Account = Account { user: USER, has_ended: false };

fn name() -> ServerName {
    "a.example".parse().unwrap()
}

async fn open(place: &Place) -> ServerStore {
    ServerStore::open(&place.url, &name()).await.unwrap()
}

async fn profile(store: &ServerStore, user: ObjectHandle) -> Option<HomeProfile> {
    store.begin().await.unwrap().profile(user).await.unwrap()
}

async fn set(store: &ServerStore, profile: &HomeProfile) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    transaction.persist(USER, profile).await?;
    transaction.commit().await
}

fn held(epoch: u64) -> HomeProfile {
    let holder = Some(Holder { server: name(), lease_end: Timestamp(300) });
    HomeProfile { epoch: LoginEpoch(epoch), holder, ..HomeProfile::default() }
}

#[tokio::test]
async fn a_code_makes_as_many_accounts_as_it_is_for() {
    on_each("codes", async |place| {
        let store = open(place).await;
        let code = Some((CodeHash([9; 32]), 2));
        for number in 1..=3 {
            let (key, user) = (KeyHash([number; 32]), ObjectHandle([number; 16]));
            let made = store.create_account(&key, user, Timestamp(1), code).await.unwrap();
            assert_eq!(made, (number <= 2).then_some(Account { user, ..STANDS }));
        }
        // A key that has an account needs none of the code's.
        let again = store.create_account(&KeyHash([1; 32]), ObjectHandle([7; 16]), Timestamp(2), code).await;
        assert_eq!(again.unwrap(), Some(STANDS));
        assert_eq!(store.made_with(&CodeHash([9; 32])).await.unwrap(), 2);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_account_is_made_once_for_a_key() {
    on_each("accounts", async |place| {
        let store = open(place).await;
        assert_eq!(store.account(&KEY).await.unwrap(), None);
        let made = store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let again = store.create_account(&KEY, ObjectHandle([2; 16]), Timestamp(2), None).await.unwrap();
        assert_eq!((made, again), (Some(STANDS), Some(STANDS)));
        assert_eq!(profile(&store, USER).await, Some(HomeProfile::default()));
        assert_eq!(profile(&store, ObjectHandle([2; 16])).await, None);
        store.close().await;
        let store = open(place).await;
        assert_eq!(store.account(&KEY).await.unwrap(), Some(STANDS));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_end_of_an_account_is_asked_for_beside_the_server_and_is_for_good() {
    on_each("endings", async |place| {
        let store = open(place).await;
        store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let ask = async |user| ServerStore::ask_to_end(&place.url, &name(), user).await;
        let error = ask(ObjectHandle([2; 16])).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSuchAccount(_)), "{error}");
        let other = "b.example".parse().unwrap();
        let error = ServerStore::ask_to_end(&place.url, &other, USER).await.unwrap_err();
        assert!(matches!(error, StoreError::OtherOwner { .. }), "{error}");
        assert_eq!(store.to_end().await.unwrap(), []);

        assert!(!ask(USER).await.unwrap());
        assert_eq!(store.to_end().await.unwrap(), [USER]);
        let ended = Account { has_ended: true, ..STANDS };
        assert_eq!(store.account(&KEY).await.unwrap(), Some(ended));
        let mut transaction = store.begin().await.unwrap();
        transaction.end(USER).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.to_end().await.unwrap(), []);
        assert!(ask(USER).await.unwrap());
        store.close().await;
        let store = open(place).await;
        assert_eq!(profile(&store, USER).await, None);
        assert_eq!(store.account(&KEY).await.unwrap(), Some(ended));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_replaced_once_and_its_successor_has_the_account() {
    on_each("rotations", async |place| {
        let store = open(place).await;
        let [second, third, other] = [4, 5, 6].map(|byte| KeyHash([byte; 32]));
        store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        store.create_account(&other, ObjectHandle([2; 16]), Timestamp(1), None).await.unwrap();
        let rotate = async |store: &ServerStore, key, successor| store.rotate(key, successor).await.unwrap();
        assert_eq!(rotate(&store, &third, &second).await, Rotated::NoAccount);
        assert_eq!(rotate(&store, &KEY, &other).await, Rotated::Refused);
        assert_eq!(rotate(&store, &KEY, &KEY).await, Rotated::Refused);
        for _ in 0..2 {
            assert_eq!(rotate(&store, &KEY, &second).await, Rotated::Account(STANDS));
        }
        assert_eq!(rotate(&store, &KEY, &third).await, Rotated::Refused);
        assert_eq!(rotate(&store, &other, &KEY).await, Rotated::Refused);
        assert_eq!(rotate(&store, &second, &third).await, Rotated::Account(STANDS));
        // What was carried out once counts no longer: the successor has been replaced itself.
        assert_eq!(rotate(&store, &KEY, &second).await, Rotated::Refused);
        store.close().await;
        let store = open(place).await;
        for (key, account, is_replaced) in
            [(&KEY, None, true), (&second, None, true), (&third, Some(STANDS), false)]
        {
            assert_eq!(store.account(key).await.unwrap(), account);
            assert_eq!(store.is_replaced(key).await.unwrap(), is_replaced);
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn profiles_and_boot_numbers_survive() {
    on_each("profiles", async |place| {
        let store = open(place).await;
        assert_eq!(store.boot(), 1);
        store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let denied = format!("{}@b.example", "0".repeat(31) + "7").parse().unwrap();
        let mut changed = held(7);
        assert!(changed.profile.messaging.deny.insert(denied));
        changed.profile = Profile { version: ProfileVersion(i64::MAX as u64), ..changed.profile };
        set(&store, &changed).await.unwrap();
        store.close().await;
        let store = open(place).await;
        assert_eq!(store.boot(), 2);
        assert_eq!(profile(&store, USER).await, Some(changed));
        let too_great = HomeProfile { epoch: LoginEpoch(u64::MAX), ..HomeProfile::default() };
        assert!(matches!(set(&store, &too_great).await, Err(StoreError::TooGreat)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_not_committed_is_not_there() {
    on_each("commits", async |place| {
        let store = open(place).await;
        store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let mut transaction = store.begin().await.unwrap();
        transaction.persist(USER, &held(1)).await.unwrap();
        drop(transaction);
        assert_eq!(profile(&store, USER).await, Some(HomeProfile::default()));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_database_has_one_owner() {
    on_each("owners", async |place| {
        open(place).await.close().await;
        let error = ServerStore::open(&place.url, &"b.example".parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::OtherOwner { .. }), "{error}");
        assert!(error.to_string().ends_with(" belongs to a.example"), "{error}");
        // Nobody was started.
        assert_eq!(open(place).await.boot(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_later_process_has_the_store_and_the_earlier_one_changes_nothing() {
    on_each("two processes", async |place| {
        let earlier = open(place).await;
        earlier.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        set(&earlier, &held(1)).await.unwrap();
        earlier.check().await.unwrap();
        let later = open(place).await;
        assert_eq!(profile(&later, USER).await, Some(held(1)));
        set(&later, &held(2)).await.unwrap();

        let told = "another process has taken this one's place: it is start 2, this one was start 1";
        let refused = set(&earlier, &held(9)).await.unwrap_err();
        assert_eq!(refused.to_string(), told);
        earlier.superseded().await;
        let refused =
            earlier.create_account(&KeyHash([4; 32]), ObjectHandle([4; 16]), Timestamp(2), None).await;
        assert_eq!(refused.unwrap_err().to_string(), told);
        assert_eq!(earlier.check().await.unwrap_err().to_string(), told);
        assert_eq!(profile(&later, USER).await, Some(held(2)));
        assert_eq!(later.account(&KeyHash([4; 32])).await.unwrap(), None);
        later.check().await.unwrap();
        earlier.close().await;
        later.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_opens_the_store_waits_for_the_change_that_has_begun() {
    on_each("a change while another process starts", async |place| {
        let earlier = open(place).await;
        earlier.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let mut change = earlier.begin().await.unwrap();
        let url = place.url.clone();
        let opening = tokio::spawn(async move { ServerStore::open(&url, &name()).await });
        change.persist(USER, &held(5)).await.unwrap();
        change.commit().await.unwrap();
        let later = opening.await.unwrap().unwrap();
        assert_eq!(later.boot(), 2);
        assert_eq!(profile(&later, USER).await, Some(held(5)));
        earlier.close().await;
        later.close().await;
    })
    .await;
}

/// Gives so many login epochs at once; returns those that were given before somebody else took over.
async fn give(store: ServerStore, count: usize) -> Vec<u64> {
    let mut changes = tokio::task::JoinSet::new();
    for _ in 0..count {
        let store = store.clone();
        changes.spawn(async move {
            let mut transaction = match store.begin().await {
                Ok(transaction) => transaction,
                Err(StoreError::Superseded { .. }) => return None,
                Err(error) => panic!("{error}"),
            };
            let mut profile = transaction.profile(USER).await.unwrap().unwrap();
            profile.epoch.0 += 1;
            transaction.persist(USER, &profile).await.unwrap();
            transaction.commit().await.unwrap();
            Some(profile.epoch.0)
        });
    }
    changes.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn no_epoch_is_given_twice_while_one_process_after_the_other_takes_over() {
    const PROCESSES: usize = 4;
    on_each("takeovers under load", async |place| {
        open(place).await.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            let store = open(place).await;
            // The first of each is given for sure; what the next process finds is somewhere in the midst of the others.
            let mut given = give(store.clone(), 1).await;
            assert_eq!(given.len(), 1);
            processes.push(tokio::spawn(async move {
                given.extend(give(store.clone(), 20).await);
                store.close().await;
                given
            }));
        }
        let mut all = Vec::new();
        for process in processes {
            let mut given = process.await.unwrap();
            given.sort_unstable();
            // So nobody gave one after a later process had.
            all.extend(given);
        }
        let count = u64::try_from(all.len()).unwrap();
        assert_eq!(all, (1..=count).collect::<Vec<_>>());
        assert!(all.len() >= PROCESSES + 20, "{all:?}");
        assert_eq!(profile(&open(place).await, USER).await.unwrap().epoch, LoginEpoch(count));
    })
    .await;
}

#[tokio::test]
async fn changes_at_once_are_carried_out_one_after_the_other() {
    const CHANGES: usize = 40;
    on_each("changes at once", async |place| {
        let store = open(place).await;
        store.create_account(&KEY, USER, Timestamp(1), None).await.unwrap();
        let mut given = give(store.clone(), CHANGES).await;
        given.sort_unstable();
        assert_eq!(given, (1..=40).collect::<Vec<_>>());
        store.close().await;
    })
    .await;
}
