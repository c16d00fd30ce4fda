//! Files and batches of the AI gateway.

use appcore::{
    ApiKeyId, BatchId, GatewayFileId, Timestamp, UserId, WorkspaceId,
    view::{BatchFormat, BatchOutcome, BatchStatus, GatewayEndpoint, GatewayFileState},
};
use dbcontext::query::{
    gateway_batches::{self as batches, BatchCounts, BatchCursor, BatchLineRow, BatchRow, EndedBatch},
    gateway_files::{self as files, FilePage, FileUsage, GatewayFileRow, GatewayOwner, ReceivedFileData},
};
use sea_orm::DatabaseConnection;

use crate::{LATER, NOW, databases};

fn file(owner: GatewayOwner) -> GatewayFileRow {
    GatewayFileRow {
        id: GatewayFileId::new(),
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        name: String::new(),
        purpose: String::new(),
        bytes: 100,
        state: GatewayFileState::Pending,
        is_internal: false,
        expires_at: None,
        created_at: NOW,
    }
}

pub(crate) fn batch(owner: GatewayOwner) -> BatchRow {
    BatchRow {
        id: BatchId::new(),
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        key_id: ApiKeyId::new(),
        format: BatchFormat::OpenAi,
        endpoint: GatewayEndpoint::Chat,
        status: BatchStatus::Validating,
        input_file_id: GatewayFileId::new(),
        output_file_id: None,
        error_file_id: None,
        metadata: None,
        output_lifetime: None,
        errors: None,
        betas: None,
        total: 0,
        succeeded: 0,
        errored: 0,
        canceled: 0,
        expired: 0,
        started_at: None,
        finalizing_at: None,
        cancelled_at: None,
        ended_at: None,
        expires_at: LATER,
        created_at: NOW,
        execution: None,
    }
}

fn received(purpose: &str, bytes: i64, expires_at: Option<Timestamp>) -> ReceivedFileData {
    ReceivedFileData { name: "a".to_owned(), purpose: purpose.to_owned(), bytes, expires_at }
}

async fn listed(db: &DatabaseConnection, owner: GatewayOwner, page: FilePage) -> Vec<GatewayFileId> {
    files::list(db, owner, &page, NOW).await.unwrap().into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn only_their_owner_reads_ready_files() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        let owner = GatewayOwner { user_id: UserId::new(), workspace_id: None };
        let colleague = GatewayOwner { workspace_id: Some(WorkspaceId::new()), ..owner };
        let (first, second) = (file(owner), file(owner));
        let internal = GatewayFileRow { is_internal: true, ..file(owner) };
        for row in [&first, &second, &internal] {
            files::insert(db, row.clone()).await.unwrap();
        }
        assert_eq!(files::find(db, owner, first.id, NOW).await.unwrap(), None, "pending");
        assert!(files::finish(db, first.id, received("batch", 7, Some(LATER))).await.unwrap());
        assert!(!files::finish(db, first.id, received("batch", 8, None)).await.unwrap(), "finished twice");
        assert!(files::finish(db, second.id, received("vision", 3, None)).await.unwrap());
        assert!(files::finish(db, internal.id, received("x", 5, None)).await.unwrap());
        assert_eq!(files::find(db, owner, first.id, NOW).await.unwrap().unwrap().bytes, 7);
        assert_eq!(files::find(db, owner, first.id, LATER).await.unwrap(), None, "expired");
        assert_eq!(files::find(db, colleague, first.id, NOW).await.unwrap(), None, "other workspace");

        let page = FilePage { purpose: None, after: None, is_ascending: false, limit: 10 };
        assert_eq!(listed(db, owner, page.clone()).await, [second.id, first.id]);
        assert_eq!(listed(db, owner, FilePage { purpose: Some("batch".to_owned()), ..page.clone() }).await, [first.id]);
        let after = FilePage { after: Some(first.id), is_ascending: true, ..page.clone() };
        assert_eq!(listed(db, owner, after).await, [second.id]);
        assert_eq!(listed(db, colleague, page).await, []);

        assert_eq!(files::usage(db, owner.user_id).await.unwrap(), FileUsage { files: 3, bytes: 15 });
        files::mark_deleted(db, first.id).await.unwrap();
        assert_eq!(files::usage(db, owner.user_id).await.unwrap(), FileUsage { files: 2, bytes: 8 });
        assert_eq!(files::find(db, owner, first.id, NOW).await.unwrap(), None, "deleted");
        assert_eq!(files::get(db, first.id).await.unwrap().unwrap().state, GatewayFileState::Deleted);
        files::delete(db, first.id).await.unwrap();
        assert_eq!(files::ids_of_user(db, owner.user_id, 10).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_batch_changes_its_status_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        let owner = GatewayOwner { user_id: UserId::new(), workspace_id: None };
        let row = batch(owner);
        batches::insert(db, row.clone()).await.unwrap();
        assert_eq!(batches::get(db, row.id).await.unwrap(), Some(row.clone()));
        assert!(!batches::finalize(db, row.id, NOW).await.unwrap(), "not started");
        assert!(batches::start(db, row.id, 3, NOW).await.unwrap());
        assert!(!batches::start(db, row.id, 3, NOW).await.unwrap(), "started twice");
        assert_eq!(batches::count_active(db, owner.user_id).await.unwrap(), 1);
        assert!(batches::is_active_input(db, row.input_file_id).await.unwrap());

        let line = |line, outcome| BatchLineRow { batch_id: row.id, line, outcome, result: "{}".to_owned() };
        assert!(batches::record_result(db, line(2, BatchOutcome::Errored)).await.unwrap());
        assert!(batches::record_result(db, line(1, BatchOutcome::Succeeded)).await.unwrap());
        assert!(!batches::record_result(db, line(1, BatchOutcome::Errored)).await.unwrap(), "recorded twice");
        let counts = BatchCounts { succeeded: 1, errored: 1, ..BatchCounts::default() };
        assert_eq!(batches::counts(db, row.id).await.unwrap(), counts);
        assert_eq!(batches::result_length(db, row.id).await.unwrap(), 4);
        let results = batches::results(db, row.id, 0, 10).await.unwrap();
        assert_eq!(results, [line(1, BatchOutcome::Succeeded), line(2, BatchOutcome::Errored)]);
        assert_eq!(batches::results(db, row.id, 1, 10).await.unwrap().len(), 1);
        assert_eq!(batches::finished_lines(db, row.id).await.unwrap().len(), 2);

        assert!(batches::finalize(db, row.id, NOW).await.unwrap());
        assert!(!batches::cancel(db, row.id, NOW).await.unwrap(), "too late");
        let status = BatchStatus::Completed;
        let ended = EndedBatch { status, counts, output_file_id: Some(GatewayFileId::new()), error_file_id: None };
        assert!(batches::complete(db, row.id, ended, LATER).await.unwrap());
        assert!(!batches::complete(db, row.id, ended, LATER).await.unwrap(), "ended twice");
        batches::delete_results(db, row.id).await.unwrap();
        let found = batches::find(db, owner, BatchFormat::OpenAi, row.id).await.unwrap().unwrap();
        assert_eq!((found.status, found.total, found.ended_at), (status, 2, Some(LATER)));
        assert_eq!(batches::count_active(db, owner.user_id).await.unwrap(), 0);
        assert!(!batches::is_active_input(db, row.input_file_id).await.unwrap());

        let cancelled = batch(owner);
        batches::insert(db, cancelled.clone()).await.unwrap();
        assert!(batches::cancel(db, cancelled.id, NOW).await.unwrap());
        assert!(!batches::start(db, cancelled.id, 1, NOW).await.unwrap(), "cancelled");
        assert!(batches::fail(db, cancelled.id, "[]".to_owned(), LATER).await.unwrap());

        let list = async |cursor| {
            let found = batches::list(db, owner, BatchFormat::OpenAi, cursor, 10).await.unwrap();
            found.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None).await, [cancelled.id, row.id]);
        assert_eq!(list(Some(BatchCursor::After(cancelled.id))).await, [row.id]);
        assert_eq!(list(Some(BatchCursor::Before(row.id))).await, [cancelled.id]);
        let other = batches::find(db, owner, BatchFormat::Anthropic, row.id).await.unwrap();
        assert_eq!(other, None, "other format");
        batches::delete(db, row.id).await.unwrap();
        batches::delete_of_user(db, owner.user_id).await.unwrap();
        assert_eq!(list(None).await, []);
    }
}
