//! A batch that the database calls in conflict with others' work is carried out again, and not for ever.

use std::sync::Arc;

use antiphon_protocol::tls::{Clock, SystemClock};
use antiphon_spec::{
    account::profile::{Answer, Event},
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, ServerName},
    limits::LOGIN_LEASE,
    time::Timestamp,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::DatabaseUrl,
    server::home::{ATTEMPTS_MAX, Home},
    store::ServerStore,
};

const USER: ObjectHandle = ObjectHandle([1; 16]);

/// What a change of a profile is answered when the first so many attempts end in a conflict.
async fn answer(postgres: &antiphon_test_postgres::Postgres, conflicts: usize) -> Answer {
    let name: ServerName = "a.example".parse().unwrap();
    let url = postgres.database();
    let store = ServerStore::open(&DatabaseUrl::try_from(url.clone()).unwrap(), &name).await.unwrap();
    store.create_account(&KeyHash([3; 32]), USER, Timestamp(1), None).await.unwrap();
    // A sequence counts on when a transaction is undone.
    for sql in [
        "CREATE SEQUENCE attempts",
        &format!(
            "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
             IF nextval(''attempts'') <= {conflicts} THEN RAISE EXCEPTION USING ERRCODE = ''40001''; END IF; \
             RETURN NEW; END'"
        ),
        "CREATE TRIGGER conflict BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION conflict()",
    ] {
        postgres.run(&url, sql);
    }
    let (clock, tracker): (Clock, _) = (Arc::new(SystemClock), TaskTracker::new());
    let home = Home::start(store.clone(), LOGIN_LEASE, clock, (&tracker, CancellationToken::new()), |_| {});
    let answer = home.ask(USER, Event::CheckOut { by: name }).await;
    store.close().await;
    answer
}

#[tokio::test]
async fn a_conflict_is_tried_again_within_a_bound() {
    let Some(postgres) = antiphon_test_postgres::shared() else {
        let missing = antiphon_test_postgres::missing().unwrap();
        return antiphon_test_postgres::tell_not_run("a conflict", &missing);
    };
    let told = answer(&postgres, ATTEMPTS_MAX - 1).await;
    assert!(matches!(told, Answer::CheckedOut { .. }), "{told:?}");
    assert_eq!(answer(&postgres, ATTEMPTS_MAX).await, Answer::Refused(ErrorCode::Internal));
}
