//! Jobs: claims, leases and the effects of lost claims. Always on SQLite, and on PostgreSQL if `NATTER_TEST_POSTGRES`
//! names a server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use appcore::{InstanceId, Timestamp, UserId, WorkspaceId};
use dbcontext::{
    Database,
    entity::job,
    query::jobs::{self, LeaseState, NewJob},
};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);
/// Lease that expires immediately.
const NONE: Duration = Duration::ZERO;

/// Kinds that the workers of these tests process.
const KINDS: &[&str] = &["test", "another"];

struct Fixture {
    db: Database,
    worker: InstanceId,
    _folder: Option<TempDir>,
}

/// Creates a fixture on each database of this run.
async fn each() -> Vec<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/test.db", folder.path().display());
    let mut all = vec![Fixture::on(&file, Some(folder)).await];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("jobs_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        all.push(Fixture::on(&format!("{head}/{name}"), None).await);
    }
    all
}

impl Fixture {
    async fn on(url: &str, folder: Option<TempDir>) -> Self {
        let db = Database::connect(url, 8).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        Self { db, worker: InstanceId::new(), _folder: folder }
    }

    async fn ask(&self, key: &str) -> Uuid {
        let subject = Uuid::now_v7();
        let job =
            NewJob { kind: "test", concurrency_key: key.to_owned(), subject, payload: "{}".to_owned(), owner: None };
        let asked = jobs::insert(self.db.writer().get_database_backend(), vec![job], Timestamp(0)).unwrap();
        dbcontext::query::execute(self.db.writer(), vec![asked]).await.unwrap();
        subject
    }

    /// Enqueues jobs for an owner, each with a different concurrency key.
    async fn ask_for(&self, owner: (UserId, WorkspaceId), count: usize) {
        self.ask_for_after(owner, count, Duration::ZERO).await;
    }

    async fn ask_for_after(&self, owner: (UserId, WorkspaceId), count: usize, wait: Duration) {
        let job = |_| {
            let subject = Uuid::now_v7();
            let concurrency_key = subject.to_string();
            NewJob { kind: "test", concurrency_key, subject, payload: "{}".to_owned(), owner: Some(owner.into()) }
        };
        let jobs = (0..count).map(job).collect();
        let asked = jobs::insert_after(self.db.writer().get_database_backend(), jobs, Timestamp(0), wait).unwrap();
        dbcontext::query::execute(self.db.writer(), vec![asked]).await.unwrap();
    }

    /// Returns the owners of the next jobs in the order in which the jobs are claimed. Each job is
    /// finished at once.
    async fn owners(&self, count: usize) -> Vec<UserId> {
        let mut owners = Vec::new();
        for _ in 0..count {
            let Some(claim) = self.claim(LONG).await else { break };
            assert!(jobs::finish(&self.db, claim.id, claim.attempt).await.unwrap());
            owners.push(claim.owner.unwrap());
        }
        owners
    }

    async fn claim(&self, lease: Duration) -> Option<job::Model> {
        let due = jobs::due_kinds(self.db.reader(), KINDS).await.unwrap();
        for due in due.iter().filter(|due| due.awaits_turns) {
            jobs::assign_turns(self.db.writer(), due.kind).await.unwrap();
        }
        let claim = jobs::claim(self.db.writer(), ("test", &[]), self.worker, lease).await.unwrap();
        assert!(!due.is_empty() || claim.is_none(), "a job was claimed although none was due");
        claim
    }
}

#[tokio::test]
async fn claims_and_finishes_a_job_once() {
    for fixture in each().await {
        assert_eq!(fixture.claim(LONG).await, None);
        let subject = fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert_eq!((claim.subject, claim.attempt, claim.leased_by), (subject, 1, Some(fixture.worker)));
        assert_eq!(fixture.claim(LONG).await, None, "the job is running");
        assert!(jobs::finish(&fixture.db, claim.id, 1).await.unwrap());
        assert!(!jobs::finish(&fixture.db, claim.id, 1).await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn expired_lease_is_taken_over_and_first_claim_is_lost() {
    for fixture in each().await {
        let db = fixture.db.writer();
        fixture.ask("a").await;
        let lost = fixture.claim(NONE).await.unwrap();
        let taken = fixture.claim(LONG).await.unwrap();
        assert_eq!((taken.id, taken.attempt), (lost.id, 2));
        assert_eq!(jobs::renew(db, lost.id, lost.attempt, LONG).await.unwrap(), None);
        assert!(!jobs::finish(&fixture.db, lost.id, lost.attempt).await.unwrap());
        assert!(!jobs::release(&fixture.db, lost.id, lost.attempt).await.unwrap());
        assert_eq!(
            jobs::renew(db, taken.id, taken.attempt, LONG).await.unwrap(),
            Some(LeaseState { stop_requested: false })
        );
    }
}

#[tokio::test]
async fn runs_jobs_of_one_key_one_at_a_time_in_order() {
    for fixture in each().await {
        let first = fixture.ask("key").await;
        let second = fixture.ask("key").await;
        let other = fixture.ask("other").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert_eq!(claim.subject, first);
        assert_eq!(fixture.claim(LONG).await.unwrap().subject, other);
        assert_eq!(fixture.claim(LONG).await, None, "its concurrency key is in use");
        assert!(jobs::finish(&fixture.db, claim.id, 1).await.unwrap());
        assert_eq!(fixture.claim(LONG).await.unwrap().subject, second);
    }
}

#[tokio::test]
async fn postponed_job_waits_for_its_delay() {
    for fixture in each().await {
        fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert!(jobs::release(&fixture.db, claim.id, claim.attempt).await.unwrap());
        let again = fixture.claim(LONG).await.unwrap();
        assert_eq!((again.attempt, again.attempts_before), (2, 1), "a hand-over is not a failure");
        assert!(jobs::postpone(&fixture.db, again.id, again.attempt, LONG, "later").await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn dead_letters_are_not_claimed() {
    for fixture in each().await {
        fixture.ask("a").await;
        let claim = fixture.claim(NONE).await.unwrap();
        assert!(jobs::dead_letter(&fixture.db, claim.id, claim.attempt, "hopeless").await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn stop_request_reaches_current_and_later_workers() {
    for fixture in each().await {
        let db = fixture.db.writer();
        let subject = fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert!(jobs::request_stop(db, subject).await.unwrap());
        assert_eq!(jobs::renew(db, claim.id, 1, NONE).await.unwrap(), Some(LeaseState { stop_requested: true }));
        assert!(fixture.claim(LONG).await.unwrap().stop_requested);
        assert!(jobs::finish(&fixture.db, claim.id, 2).await.unwrap());
        assert!(!jobs::request_stop(db, subject).await.unwrap(), "the job has ended");
    }
}

#[tokio::test]
async fn concurrent_workers_claim_each_job_once() {
    for fixture in each().await {
        for key in 0..40 {
            fixture.ask(&key.to_string()).await;
        }
        let racers = (0..8).map(|_| async {
            let mut got = Vec::new();
            while let Some(claim) =
                jobs::claim(fixture.db.writer(), ("test", &[]), InstanceId::new(), LONG).await.unwrap()
            {
                got.push(claim.subject);
            }
            got
        });
        let mut all: Vec<Uuid> = futures_util::future::join_all(racers).await.concat();
        assert_eq!(all.len(), 40);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40, "a job was claimed twice");
    }
}

#[tokio::test]
async fn release_all_requeues_running_jobs() {
    for fixture in each().await {
        let db = fixture.db.writer();
        fixture.ask("a").await;
        let lost = fixture.claim(LONG).await.unwrap();
        assert!(jobs::release_all(db).await.unwrap());
        assert_eq!(fixture.claim(LONG).await.unwrap().id, lost.id);
        assert!(!jobs::finish(&fixture.db, lost.id, lost.attempt).await.unwrap());
    }
}

#[tokio::test]
async fn claims_only_requested_kinds() {
    for fixture in each().await {
        let subject = fixture.ask("a").await;
        let due = async |kinds: &[&'static str]| {
            let due = jobs::due_kinds(fixture.db.reader(), kinds).await.unwrap();
            due.into_iter().map(|due| due.kind).collect::<Vec<_>>()
        };
        assert_eq!(due(&["another"]).await, [""; 0]);
        assert_eq!(due(&["another", "test"]).await, ["test"]);
        let claim = async |kind| jobs::claim(fixture.db.writer(), (kind, &[]), fixture.worker, LONG).await.unwrap();
        assert_eq!(claim("another").await, None);
        assert_eq!(claim("test").await.map(|claim| claim.subject), Some(subject));
    }
}

fn somebody_in(workspace: WorkspaceId) -> (UserId, WorkspaceId) {
    (UserId::new(), workspace)
}

#[tokio::test]
async fn long_queue_of_one_user_does_not_delay_others() {
    for fixture in each().await {
        let workspace = WorkspaceId::new();
        let (many, one) = (somebody_in(workspace), somebody_in(workspace));
        fixture.ask_for(many, 6_150).await;
        assert_eq!(fixture.owners(100).await, [many.0; 100]);
        fixture.ask_for(one, 2).await;
        let next = fixture.owners(6).await;
        assert_eq!(next.iter().filter(|owner| **owner == one.0).count(), 2, "the users take turns");
        assert_eq!(fixture.owners(3).await, [many.0; 3]);
    }
}

#[tokio::test]
async fn delayed_jobs_take_turns_once_due() {
    for fixture in each().await {
        let workspace = WorkspaceId::new();
        let (many, one, later) = (somebody_in(workspace), somebody_in(workspace), somebody_in(workspace));
        fixture.ask_for_after(later, 1, Duration::from_secs(3_600)).await;
        fixture.ask_for_after(many, 1_200, Duration::from_millis(1)).await;
        fixture.ask_for_after(one, 1, Duration::from_millis(1)).await;
        // Waits until the clock of the database has advanced past the due times.
        let begun = jobs::database_time(fixture.db.writer()).await.unwrap();
        while jobs::database_time(fixture.db.writer()).await.unwrap() <= begun + 1 {}
        let next = fixture.owners(1_201).await;
        assert_eq!(next.len(), 1_201, "the claimed jobs are not the due ones");
        let place = next.iter().position(|owner| *owner == one.0).unwrap();
        assert!(place <= 5, "behind {place} jobs of another user");
        assert!(!next.contains(&later.0));
    }
}

#[tokio::test]
async fn each_workspace_gets_its_turn_in_a_round() {
    for fixture in each().await {
        let (crowded, small) = (WorkspaceId::new(), WorkspaceId::new());
        for _ in 0..50 {
            fixture.ask_for(somebody_in(crowded), 1).await;
        }
        let one = somebody_in(small);
        fixture.ask_for(one, 1).await;
        let next = fixture.owners(2).await;
        assert!(next.contains(&one.0), "fifty users of another workspace come before one");
    }
}

#[tokio::test]
async fn owner_keeps_turn_after_a_long_queue() {
    for fixture in each().await {
        let (first, second) = (somebody_in(WorkspaceId::new()), somebody_in(WorkspaceId::new()));
        fixture.ask_for(first, 30).await;
        assert_eq!(fixture.owners(25).await, [first.0; 25]);
        fixture.ask_for(second, 30).await;
        let next = fixture.owners(10).await;
        assert_eq!(next.iter().filter(|owner| **owner == first.0).count(), 5, "the rest of the first queue is claimed");
    }
}

#[tokio::test]
async fn jobs_with_a_taken_key_are_blocked_and_unblocked_in_order() {
    for fixture in each().await {
        let mut asked = Vec::new();
        for _ in 0..50 {
            asked.push(fixture.ask("key").await);
        }
        let mut claim = fixture.claim(LONG).await.unwrap();
        let mut done = vec![claim.subject];
        assert_eq!(fixture.claim(LONG).await, None);
        assert!(jobs::due_kinds(fixture.db.reader(), KINDS).await.unwrap().is_empty(), "no job is due");
        while jobs::finish(&fixture.db, claim.id, claim.attempt).await.unwrap() {
            let Some(next) = fixture.claim(LONG).await else { break };
            claim = next;
            done.push(claim.subject);
        }
        assert_eq!(done, asked);
    }
}

#[tokio::test]
async fn concurrent_claims_run_one_job_per_key() {
    for fixture in each().await {
        for round in 0..20 {
            let key = round.to_string();
            for _ in 0..4 {
                fixture.ask(&key).await;
            }
            let claims = (0..4).map(|_| jobs::claim(fixture.db.writer(), ("test", &[]), InstanceId::new(), LONG));
            let claims = futures_util::future::join_all(claims).await;
            let claimed: Vec<job::Model> = claims.into_iter().filter_map(Result::unwrap).collect();
            assert_eq!(claimed.len(), 1, "round {round}");
            assert!(jobs::finish(&fixture.db, claimed[0].id, 1).await.unwrap());
            for _ in 0..3 {
                let claim = fixture.claim(LONG).await.expect("those set aside come back");
                assert!(jobs::finish(&fixture.db, claim.id, 1).await.unwrap());
            }
        }
    }
}

#[tokio::test]
async fn expired_lease_of_a_key_is_taken_over_before_the_next_job() {
    for fixture in each().await {
        let first = fixture.ask("key").await;
        let second = fixture.ask("key").await;
        let lost = fixture.claim(NONE).await.unwrap();
        assert_eq!(lost.subject, first);
        let taken = fixture.claim(LONG).await.unwrap();
        assert_eq!((taken.subject, taken.attempt), (first, 2));
        assert_eq!(fixture.claim(LONG).await, None);
        assert!(jobs::finish(&fixture.db, taken.id, taken.attempt).await.unwrap());
        assert_eq!(fixture.claim(LONG).await.unwrap().subject, second);
    }
}

#[tokio::test]
async fn claim_reads_a_few_index_rows() {
    for fixture in each().await {
        let db = fixture.db.writer();
        let backend = db.get_database_backend();
        fixture.ask_for(somebody_in(WorkspaceId::new()), 1_000).await;
        let (explain, column) = match backend {
            sea_orm::DatabaseBackend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
            _ => ("EXPLAIN", "QUERY PLAN"),
        };
        if backend == sea_orm::DatabaseBackend::Postgres {
            db.execute_unprepared("ANALYZE jobs").await.unwrap();
        }
        for (order, index) in [
            ("turn IS NOT NULL ORDER BY turn, scope_turn, id", "jobs_turn"),
            ("turn IS NULL AND due_at IS NOT NULL AND due_at <= 5 ORDER BY due_at, id", "jobs_due_at"),
            (
                "owner IS NOT NULL AND turn IS NULL AND attempt = 0 AND due_at IS NOT NULL AND due_at <= 5 ORDER BY due_at",
                "jobs_awaiting_turn",
            ),
        ] {
            let sql =
                format!("{explain} SELECT id FROM jobs WHERE kind = 'test' AND is_blocked = FALSE AND {order} LIMIT 1");
            let plan = db.query_all_raw(sea_orm::Statement::from_string(backend, sql)).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get("", column).unwrap()).collect();
            let plan = plan.join("; ");
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("B-TREE FOR ORDER BY") || index == "jobs_due_at", "{plan}");
        }
    }
}
