//! A refresh token is good once, but for a retry while its successor is unused; a replay ends the session, on live sockets
//! too.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ringside_application::service::{ServiceError, UserService as _};
use ringside_embedded::EmbeddedLog;
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Limits, Offset, PartitionId, Topic, UnixMillis};
use support::{TestContext, is_unauthorized, registered};
use tokio::task::JoinSet;

const RACERS: usize = 200;

#[tokio::test]
async fn a_replayed_token_ends_its_session_everywhere() {
    let context = TestContext::new().await;
    let users = context.users();
    let made = registered(&users, "ada").await;
    let caller = users.verify(&made.access_token).await.expect("good");
    let renewed = users.refresh(&made.refresh_token).await.expect("renews");
    users.refresh(&renewed.refresh_token).await.expect("renews");
    assert!(is_unauthorized(&users.refresh(&made.refresh_token).await));
    assert_eq!(
        context.revoked().await,
        [(caller.user_id, caller.session_id)],
        "before the replay is answered"
    );
    assert!(is_unauthorized(&users.verify(&renewed.access_token).await));
    assert!(is_unauthorized(&users.refresh(&renewed.refresh_token).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uses_at_once_are_retries_of_one() {
    let context = TestContext::new().await;
    let users = context.users();
    let made = registered(&users, "ada").await;
    let mut racers = JoinSet::new();
    for _ in 0..RACERS {
        let (users, token) = (users.clone(), made.refresh_token.clone());
        racers.spawn(async move { users.refresh(&token).await });
    }
    let answers = racers.join_all().await;
    for answer in &answers {
        let signed_in = answer.as_ref().expect("a retry");
        users.verify(&signed_in.access_token).await.expect("the session goes on");
    }
    assert_eq!(context.revoked().await, []);
    // The network may have lost any of the answers: whichever token is left, it leads on.
    let last = answers[0].as_ref().expect("a retry");
    users.refresh(&last.refresh_token).await.expect("good, or a retry");
}

/// A log that does not confirm so many appends, then does.
#[derive(Clone)]
struct Refusing(EmbeddedLog, Arc<AtomicU32>);

impl Log for Refusing {
    fn partitions(&self, topic: Topic) -> u16 {
        self.0.partitions(topic)
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        let one_less = |left: u32| left.checked_sub(1);
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(EngineError::Unavailable { engine: "test", cause: "refuses".into() });
        }
        self.0.append(records).await
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        self.0.read(topic, partition, from, limit, wait).await
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        self.0.bounds(topic, partition).await
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> Result<Offset, EngineError> {
        self.0.offset_at(topic, partition, time).await
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        self.0.commit(group, topic, partition, commit).await
    }

    async fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        self.0.committed(group, topic, partition).await
    }
}

#[tokio::test]
async fn a_logout_is_answered_when_the_log_has_it_and_may_be_repeated() {
    let context = TestContext::new().await;
    let refusals = Arc::new(AtomicU32::new(0));
    let log = Refusing(context.log.clone(), Arc::clone(&refusals));
    let users = context.users_over(context.presence.clone(), log, Limits::default());
    let made = registered(&users, "ada").await;
    refusals.store(u32::MAX, Ordering::SeqCst);
    let answer = users.logout(&made.refresh_token).await;
    assert!(matches!(answer, Err(ServiceError::Unavailable(_))), "{answer:?}");
    assert!(is_unauthorized(&users.verify(&made.access_token).await), "ended all the same");
    refusals.store(2, Ordering::SeqCst);
    assert_eq!(users.logout(&made.refresh_token).await, Ok(()), "a short failure is not seen");
    assert_eq!(context.revoked().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_logged_out_all_the_same() {
    let context = TestContext::new().await;
    let refusals = Arc::new(AtomicU32::new(0));
    let log = Refusing(context.log.clone(), Arc::clone(&refusals));
    let users = context.users_over(context.presence.clone(), log, Limits::default());
    let made = registered(&users, "ada").await;
    refusals.store(1, Ordering::SeqCst);
    let given_up = tokio::time::timeout(Duration::from_millis(50), users.logout(&made.refresh_token)).await;
    assert!(given_up.is_err(), "the first try fails, the second comes after a pause");
    let told = async {
        while context.revoked().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("the edges are told");
}
