//! Jobs: who may claim what, and what a lost claim can still do. On SQLite always, on PostgreSQL where `NATTER_TEST_POSTGRES` names a
//! server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use appcore::{InstanceId, Timestamp};
use dbcontext::{
    Database,
    entity::job,
    query::jobs::{self, NewJob, Renewed},
};
use migration::Migrator;
use sea_orm::ConnectionTrait;
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);
/// A lease that has run out at once.
const NONE: Duration = Duration::ZERO;

/// What the workers of these tests do.
const KINDS: &[&str] = &["test", "another"];

struct Fixture {
    db: Database,
    worker: InstanceId,
    _folder: Option<TempDir>,
}

/// One on each database of this run.
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
        let job = NewJob { kind: "test", concurrency_key: key.to_owned(), subject, payload: "{}".to_owned() };
        let asked = jobs::insert(self.db.writer().get_database_backend(), vec![job], Timestamp(0)).unwrap();
        dbcontext::query::execute(self.db.writer(), vec![asked]).await.unwrap();
        subject
    }

    async fn claim(&self, lease: Duration) -> Option<job::Model> {
        let due = jobs::any_due(self.db.reader(), KINDS).await.unwrap();
        let claim = jobs::claim(self.db.writer(), KINDS, self.worker, lease).await.unwrap();
        assert!(due || claim.is_none(), "a job was claimed that nobody would have looked for");
        claim
    }
}

#[tokio::test]
async fn a_job_is_claimed_once_and_ends_once() {
    for fixture in each().await {
        let db = fixture.db.writer();
        assert_eq!(fixture.claim(LONG).await, None);
        let subject = fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert_eq!((claim.subject, claim.attempt, claim.leased_by), (subject, 1, Some(fixture.worker)));
        assert_eq!(fixture.claim(LONG).await, None, "it has a worker");
        assert!(jobs::finish(db, claim.id, 1).await.unwrap());
        assert!(!jobs::finish(db, claim.id, 1).await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_and_the_first_worker_changes_nothing_more() {
    for fixture in each().await {
        let db = fixture.db.writer();
        fixture.ask("a").await;
        let lost = fixture.claim(NONE).await.unwrap();
        let taken = fixture.claim(LONG).await.unwrap();
        assert_eq!((taken.id, taken.attempt), (lost.id, 2));
        assert_eq!(jobs::renew(db, lost.id, lost.attempt, LONG).await.unwrap(), None);
        assert!(!jobs::finish(db, lost.id, lost.attempt).await.unwrap());
        assert!(!jobs::release(db, lost.id, lost.attempt).await.unwrap());
        assert_eq!(
            jobs::renew(db, taken.id, taken.attempt, LONG).await.unwrap(),
            Some(Renewed { stop_requested: false })
        );
    }
}

#[tokio::test]
async fn one_lane_does_one_job_at_a_time_in_the_order_in_which_they_were_asked_for() {
    for fixture in each().await {
        let first = fixture.ask("key").await;
        let second = fixture.ask("key").await;
        let other = fixture.ask("other").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert_eq!(claim.subject, first);
        assert_eq!(fixture.claim(LONG).await.unwrap().subject, other);
        assert_eq!(fixture.claim(LONG).await, None, "its key is taken");
        assert!(jobs::finish(fixture.db.writer(), claim.id, 1).await.unwrap());
        assert_eq!(fixture.claim(LONG).await.unwrap().subject, second);
    }
}

#[tokio::test]
async fn a_job_that_is_given_back_waits_as_long_as_it_is_told() {
    for fixture in each().await {
        let db = fixture.db.writer();
        fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert!(jobs::release(db, claim.id, claim.attempt).await.unwrap());
        let again = fixture.claim(LONG).await.unwrap();
        assert!(jobs::postpone(db, again.id, again.attempt, LONG, "later").await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn a_buried_job_is_left_alone() {
    for fixture in each().await {
        fixture.ask("a").await;
        let claim = fixture.claim(NONE).await.unwrap();
        assert!(jobs::dead_letter(fixture.db.writer(), claim.id, claim.attempt, "hopeless").await.unwrap());
        assert_eq!(fixture.claim(LONG).await, None);
    }
}

#[tokio::test]
async fn a_wish_to_stop_reaches_whoever_works_on_the_job_now_or_later() {
    for fixture in each().await {
        let db = fixture.db.writer();
        let subject = fixture.ask("a").await;
        let claim = fixture.claim(LONG).await.unwrap();
        assert!(jobs::request_stop(db, subject).await.unwrap());
        assert_eq!(jobs::renew(db, claim.id, 1, NONE).await.unwrap(), Some(Renewed { stop_requested: true }));
        assert!(fixture.claim(LONG).await.unwrap().stop_requested);
        assert!(jobs::finish(db, claim.id, 2).await.unwrap());
        assert!(!jobs::request_stop(db, subject).await.unwrap(), "it has ended");
    }
}

#[tokio::test]
async fn workers_that_race_get_each_job_once() {
    for fixture in each().await {
        for key in 0..40 {
            fixture.ask(&key.to_string()).await;
        }
        let racers = (0..8).map(|_| async {
            let mut got = Vec::new();
            while let Some(claim) = jobs::claim(fixture.db.writer(), KINDS, InstanceId::new(), LONG).await.unwrap() {
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
async fn a_start_that_finds_nobody_alive_takes_everything_back() {
    for fixture in each().await {
        let db = fixture.db.writer();
        fixture.ask("a").await;
        let lost = fixture.claim(LONG).await.unwrap();
        assert!(jobs::release_all(db).await.unwrap());
        assert_eq!(fixture.claim(LONG).await.unwrap().id, lost.id);
        assert!(!jobs::finish(db, lost.id, lost.attempt).await.unwrap());
    }
}

#[tokio::test]
async fn a_worker_claims_only_the_kinds_that_it_has_a_place_for() {
    for fixture in each().await {
        let subject = fixture.ask("a").await;
        let claim = async |kinds: &[&str]| {
            let due = jobs::any_due(fixture.db.reader(), kinds).await.unwrap();
            let claim = jobs::claim(fixture.db.writer(), kinds, fixture.worker, LONG).await.unwrap();
            assert_eq!(due, claim.is_some());
            claim
        };
        assert_eq!(claim(&["another"]).await, None);
        assert_eq!(claim(&["another", "test"]).await.map(|claim| claim.subject), Some(subject));
    }
}
