//! Parts of batches that are submitted to providers.

use appcore::{
    BatchId, BatchSubmissionId, UserId,
    view::{BatchExecution, BatchFormat, BatchStatus, SubmissionState},
};
use dbcontext::query::{
    gateway_batch_submissions::{self as submissions, SubmissionRow},
    gateway_batches as batches,
    gateway_files::GatewayOwner,
};
use uuid::Uuid;

use crate::{LATER, NOW, databases, gateway_batches::batch};

fn submission(batch_id: BatchId, first_line: i64, last_line: i64) -> SubmissionRow {
    SubmissionRow {
        id: BatchSubmissionId::new(),
        batch_id,
        first_line,
        last_line,
        total: 2,
        provider: "main".to_owned(),
        model: "small".to_owned(),
        form: BatchFormat::OpenAi,
        endpoint: "/v1/chat/completions".to_owned(),
        betas: None,
        price_percent: 50,
        key_index: 0,
        state: SubmissionState::Prepared,
        file_id: None,
        job_id: None,
        attempts: 0,
        submitted_at: None,
        cancelled_at: None,
        reservation_id: None,
        created_at: NOW,
    }
}

#[tokio::test]
async fn stores_the_state_of_submissions() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        let row = batch(GatewayOwner { user_id: UserId::new(), workspace_id: None });
        batches::insert(db, row.clone()).await.unwrap();
        batches::start(db, row.id, 4, NOW).await.unwrap();
        batches::set_execution(db, row.id, BatchExecution::Provider).await.unwrap();
        let found = batches::get(db, row.id).await.unwrap().unwrap();
        assert_eq!((found.execution, found.status), (Some(BatchExecution::Provider), BatchStatus::InProgress));

        let (second, mut first) = (submission(row.id, 3, 5), submission(row.id, 1, 2));
        submissions::insert(db, second.clone()).await.unwrap();
        submissions::insert(db, first.clone()).await.unwrap();
        assert_eq!(submissions::running_of_user(db, row.user_id).await.unwrap(), []);
        first = SubmissionRow {
            total: 1,
            key_index: 1,
            state: SubmissionState::Submitted,
            file_id: Some("file".to_owned()),
            job_id: Some("job".to_owned()),
            attempts: 1,
            submitted_at: Some(NOW),
            cancelled_at: Some(LATER),
            reservation_id: Some(Uuid::now_v7()),
            ..first
        };
        submissions::update(db, &first).await.unwrap();
        assert_eq!(submissions::of_batch(db, row.id).await.unwrap(), [first.clone(), second.clone()]);
        assert_eq!(submissions::running_of_user(db, row.user_id).await.unwrap(), [first.clone()]);
        assert_eq!(submissions::running_of_user(db, UserId::new()).await.unwrap(), []);
        assert_eq!(submissions::job_ids(db, "main", second.id).await.unwrap(), ["job"]);
        assert!(submissions::job_ids(db, "main", first.id).await.unwrap().is_empty());
        assert!(submissions::job_ids(db, "other", second.id).await.unwrap().is_empty());
    }
}
