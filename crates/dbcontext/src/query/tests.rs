//! Tests of SQLite's query plans for statements on tables that may be large. SQLite has no
//! statistics about these tables, so it chooses the same plans here, where they are empty.

use std::sync::Mutex;

use appcore::{
    AssistantId, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId,
    page::PageRequest,
    view::{ConversationKind, QuotaMetric},
};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DbErr, EntityTrait, ExecResult, QueryResult, QueryTrait as _, Select, Statement,
    prelude::async_trait::async_trait,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::Database;

/// Database that records the query plan of each statement.
struct Planned {
    db: Database,
    steps: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Planned {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        Self { db, steps: Mutex::default(), _folder: folder }
    }

    async fn explain(&self, statement: &Statement) -> Result<(), DbErr> {
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement.clone() };
        let rows = self.db.writer().query_all_raw(explain).await?;
        let steps = rows.iter().map(|row| row.try_get("", "detail")).collect::<Result<Vec<String>, DbErr>>()?;
        self.steps.lock().unwrap().extend(steps);
        Ok(())
    }

    /// Returns the plan steps of the statements since the last call.
    fn take(&self) -> String {
        std::mem::take(&mut *self.steps.lock().unwrap()).join("; ")
    }

    /// Asserts that the plans since the last call contain this step.
    fn has(&self, step: &str) {
        let steps = self.take();
        assert!(steps.contains(step), "{steps}");
    }
}

#[async_trait]
impl ConnectionTrait for Planned {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.db.writer().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.db.writer().execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.explain(&statement).await?;
        self.db.writer().query_all_raw(statement).await
    }
}

async fn plan<E: EntityTrait>(db: &Database, select: Select<E>) -> String {
    let Statement { sql, values, .. } = select.build(DatabaseBackend::Sqlite);
    let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend: DatabaseBackend::Sqlite };
    let rows = db.writer().query_all_raw(explain).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn partial_indexes_are_used_with_bound_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 2).await.unwrap();
    Migrator::up(db.schema(), None).await.unwrap();
    let by_email = plan(&db, users::find_by_email("anna@example.org")).await;
    assert!(by_email.contains("USING INDEX users_email"), "{by_email}");
    let shared = plan(&db, workspaces::find_shared()).await;
    assert!(shared.contains("USING INDEX workspaces_shared"), "{shared}");
}

/// Depends on SQLite's build options in `.cargo/config.toml`. Without them, SQLite plans a
/// statement again whenever its parameters change.
#[tokio::test]
async fn plans_a_statement_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
    let is_on: Option<i32> =
        raw::find_value(db.writer(), "SELECT sqlite_compileoption_used('ENABLE_QPSG') AS is_on", []).await.unwrap();
    assert_eq!(is_on, Some(1));
}

#[tokio::test]
async fn json_aggregation_preserves_rows() {
    type GatheredRow = (Uuid, String, Option<String>, bool, bool, i64);
    let db = Planned::new().await;
    let columns = [
        rows::Column::Uuid("id"),
        rows::Column::Text("said"),
        rows::Column::Text("missing"),
        rows::Column::Bool("is_so"),
        rows::Column::Bool("is_not"),
        rows::Column::Int("number"),
    ];
    let select = "SELECT $1 AS id, $2 AS said, NULL AS missing, 1 AS is_so, 0 AS is_not, -9007199254740993 AS number";
    let (id, text) = (Uuid::now_v7(), "[\"a\", null]\n\\ \u{0} \u{2028} Đặng 🦦");
    let twice = format!("{select} UNION ALL {select}");
    let found: Vec<GatheredRow> =
        raw::find_as_json(&db, &columns, &twice, [id.into(), text.into()]).await.unwrap().rows().unwrap();
    let row = (id, text.to_owned(), None, true, false, -9_007_199_254_740_993);
    assert_eq!(found, [row.clone(), row]);
    let none = format!("SELECT * FROM ({select}) WHERE 1 = 0");
    let found: Vec<GatheredRow> =
        raw::find_as_json(&db, &columns, &none, [id.into(), text.into()]).await.unwrap().rows().unwrap();
    assert!(found.is_empty());
}

/// Most conversations of a workspace are direct ones.
#[tokio::test]
async fn finds_open_conversations_of_a_workspace_by_index() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    super::search::readable(&db, user).await.unwrap();
    db.has("SEARCH ac USING INDEX conversations_open (workspace_id=? AND kind=?)");
    let filter = conversations::Filter { workspace_id: Some(workspace), ..Default::default() };
    conversations::list_open(&db, user, &filter, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH c USING INDEX conversations_open (workspace_id=? AND kind=?)");
    conversations::is_title_taken(&db, workspace, "Plans", ConversationId::new()).await.unwrap();
    db.has("INDEX conversations_title (workspace_id=? AND search_title=?)");
}

#[tokio::test]
async fn selects_the_page_of_own_conversations_before_reading_columns() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    let kind = Some(ConversationKind::Group);
    for filter in [
        conversations::Filter::default(),
        conversations::Filter { workspace_id: Some(workspace), ..Default::default() },
        conversations::Filter { workspace_id: Some(workspace), kind, ..Default::default() },
    ] {
        conversations::list(&db, user, &filter, PageRequest::new(None, None)).await.unwrap();
        let steps = db.take();
        // One search for the page and one for the total count.
        assert_eq!(steps.matches("SEARCH m USING INDEX conversation_members_user (user_id=?)").count(), 2, "{steps}");
        assert!(steps.contains("LIST SUBQUERY"), "{steps}");
    }
}

#[tokio::test]
async fn pages_through_conversations_of_a_workspace_by_index() {
    let db = Planned::new().await;
    let (user, workspace) = (UserId::new(), WorkspaceId::new());
    for last in [None, Some(ConversationId::new())] {
        conversations::of_workspace(&db, workspace, None, last, 10).await.unwrap();
        db.has("SEARCH c USING INDEX conversations_of_workspace (workspace_id=? AND id>?)");
        conversations::of_workspace(&db, workspace, Some(user), last, 10).await.unwrap();
        db.has("SEARCH m USING INDEX conversation_members_user (user_id=?)");
    }
}

/// The notifier runs this query for each conversation with new events.
#[tokio::test]
async fn finds_members_notified_of_everything_without_reading_all_members() {
    let db = Planned::new().await;
    notifier::notified_of_everything(&db, &[ConversationId::new()]).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX conversation_members_all (conversation_id=?)"), "{steps}");
    assert!(steps.contains("INDEX notification_settings_all"), "{steps}");
    let last = steps.rsplit("; ").next().unwrap_or_default();
    let by_key = "SEARCH m USING INDEX sqlite_autoindex_conversation_members_1 (conversation_id=? AND user_id=?)";
    assert_eq!(last, by_key, "{steps}");
}

#[tokio::test]
async fn finds_the_position_at_a_time_by_scanning_backwards() {
    let db = Planned::new().await;
    events::positions_at(&db, UserId::new(), Timestamp(5)).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX conversation_members_user (user_id=?)"), "{steps}");
    assert!(
        steps.contains("SEARCH e USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=?)"),
        "{steps}"
    );
    assert!(!steps.contains("B-TREE"), "{steps}");
}

#[tokio::test]
async fn resumes_a_log_before_the_first_event_after_a_time() {
    let db = Planned::new().await;
    let (user, conversation) = (UserId::new(), ConversationId::new());
    let literal = |id: Uuid| format!("x'{}'", id.simple());
    let (user_id, id, nobody) = (literal(user.0), literal(conversation.0), literal(Uuid::nil()));
    let mut sql = format!(
        "PRAGMA foreign_keys = OFF; \
         INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
           VALUES ({id}, {nobody}, 'group', 14, 140, {nobody}, 0); \
         INSERT INTO conversation_members (conversation_id, user_id, role, joined_at) VALUES ({id}, {user_id}, 'member', 0);"
    );
    // The log starts at the 11th event: earlier events are trimmed.
    for seq in 11..=14 {
        sql.push_str(&format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) VALUES ({id}, {seq}, 'x', '', {seq}0);"
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    for (moment, position) in [(5, Some(10)), (110, Some(11)), (125, Some(12)), (139, Some(13)), (140, None)] {
        let found = events::positions_at(&db, user, Timestamp(moment)).await.unwrap();
        assert_eq!(found, Vec::from_iter(position.map(|seq| (conversation, seq))), "at {moment}");
    }
    db.execute_unprepared(
        "UPDATE conversations SET history = 'from_join'; UPDATE conversation_members SET from_seq = 13",
    )
    .await
    .unwrap();
    assert_eq!(events::positions_at(&db, user, Timestamp(5)).await.unwrap(), [(conversation, 13)]);
}

#[tokio::test]
async fn finds_conversations_changed_since_a_time_by_the_log() {
    let db = Planned::new().await;
    let literal = |id: Uuid| format!("x'{}'", id.simple());
    let nobody = literal(Uuid::nil());
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    let conversations = [(ConversationId::new(), 10), (ConversationId::new(), 20)];
    for (conversation, moment) in conversations {
        let id = literal(conversation.0);
        sql.push_str(&format!(
            "INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
               VALUES ({id}, {nobody}, 'group', 3, {moment}, {nobody}, 0);"
        ));
        for seq in 1..=3 {
            sql.push_str(&format!(
                "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
                   VALUES ({id}, {seq}, 'x', '', {moment});"
            ));
        }
    }
    db.execute_unprepared(&sql).await.unwrap();
    assert_eq!(events::heads_since(&db, Timestamp(20)).await.unwrap(), [(conversations[1].0, 3)]);
    let steps = db.take();
    assert!(steps.contains("SEARCH e USING INDEX conversation_events_created (created_at>?)"), "{steps}");
    assert!(!steps.contains("SCAN"), "{steps}");
    assert_eq!(events::heads_since(&db, Timestamp(10)).await.unwrap().len(), 2);
    assert!(events::heads_since(&db, Timestamp(21)).await.unwrap().is_empty());
}

#[tokio::test]
async fn finds_expired_rows_by_time_index() {
    let db = Planned::new().await;
    ledger::accounts_with_expired(&db, Timestamp(5), Uuid::nil(), 10).await.unwrap();
    db.has("SEARCH g USING INDEX credit_grants_expiry (expires_at>? AND expires_at<?)");
    ledger::expired_reservations(&db, Timestamp(5), (Timestamp(0), Uuid::nil()), 10).await.unwrap();
    db.has("INDEX credit_holds_expiry (expires_at>? AND expires_at<?)");
    budgets::expired_reservations(&db, Timestamp(5), (Timestamp(0), Uuid::nil()), 10).await.unwrap();
    db.has("INDEX budget_holds_expiry (expires_at>? AND expires_at<?)");
    balances::due(&db, Uuid::nil(), 10).await.unwrap();
    db.has("INDEX ledger_accounts_due (id>?)");
}

#[tokio::test]
async fn deletes_notifications_by_index() {
    let db = Planned::new().await;
    notifications::older_than(&db, Timestamp(5), 1_000).await.unwrap();
    db.has("INDEX notifications_created (created_at<?)");
    notifications::withdraw_conversations(&db, &[ConversationId::new()]).await.unwrap();
    db.has("INDEX notifications_conversation (conversation_id=?)");
    // The other kinds of read positions use the same index.
    let read = |place| notifications::NotificationReadPosition { user_id: UserId::new(), place, seq: 5 };
    notifications::covered_by(&db, &[read(notifications::ReadScope::MainLine(ConversationId::new()))]).await.unwrap();
    db.has("INDEX notifications_unread (user_id=? AND conversation_id=? AND seq<?)");
    let all = notifications::Filter { is_unread: false, kind: None };
    notifications::list(&db, UserId::new(), all, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH n USING INDEX notifications_listed (user_id=?)");
}

#[tokio::test]
async fn finds_the_message_before_a_deleted_one_in_its_thread() {
    let db = Planned::new().await;
    notifications::withdraw_messages(&db, &[MessageId::new()]).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("SEARCH m USING INDEX messages_thread (thread_id=?)"), "{steps}");
    assert!(steps.contains("SEARCH m USING INDEX messages_seq (conversation_id=?)"), "{steps}");
    assert!(!steps.contains("B-TREE"), "{steps}");
}

/// A dozen statements use this condition under the writer's lock.
#[tokio::test]
async fn finds_chats_of_a_deleted_account_by_index() {
    let db = Planned::new().await;
    account_erasure::purge_chats(&db, UserId::new()).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("conversations USING INDEX conversations_ended_chats (created_by=?)"), "{steps}");
    assert!(!steps.contains("SCAN"), "{steps}");
}

/// Each reminder and each scheduled message waits as a job.
#[tokio::test]
async fn finds_jobs_of_a_subject_by_index() {
    let db = Planned::new().await;
    jobs::make_due(&db, "answer", Uuid::now_v7()).await.unwrap();
    db.has("jobs USING INDEX jobs_subject (subject=?)");
    jobs::count_unfinished(&db, "export").await.unwrap();
    db.has("jobs USING INDEX jobs_concurrency_key (concurrency_key=?)");
    jobs::remove_all(&db, "mail", Uuid::now_v7()).await.unwrap();
    let steps = db.take();
    assert!(!steps.contains("SCAN"), "{steps}");
}

#[tokio::test]
async fn finds_quota_usage_of_a_user_by_index() {
    let db = Planned::new().await;
    budgets::quotas_of(&db, UserId::new(), &[QuotaMetric::Answers, QuotaMetric::Tokens]).await.unwrap();
    db.has("INDEX sqlite_autoindex_budgets_1 (scope=? AND scope_id=?)");
}

#[tokio::test]
async fn deletes_by_key() {
    let db = Planned::new().await;
    let id = Uuid::now_v7();
    ledger::remove_expired(&db, &[id], Timestamp(5)).await.unwrap();
    db.has("SEARCH credit_holds USING INDEX sqlite_autoindex_credit_holds_1 (id=?)");
    budgets::remove_expired(&db, &[id], Timestamp(5)).await.unwrap();
    db.has("SEARCH budget_holds USING INDEX sqlite_autoindex_budget_holds_1 (id=?)");
    super::search::dequeue(&db, &[super::search::QueuedMessage { message_id: MessageId(id), revision: id }])
        .await
        .unwrap();
    db.has("SEARCH search_reindex_queue USING INDEX sqlite_autoindex_search_reindex_queue_1 (message_id=?)");
    mail_tokens::remove(&db, id).await.unwrap();
    db.has("SEARCH mail_tokens USING INDEX mail_tokens_subject (purpose=? AND subject=?)");
}

/// This sum is computed for each message with a file if the workspace has a storage quota.
#[tokio::test]
async fn sums_bytes_of_a_workspace_from_an_index() {
    let db = Planned::new().await;
    uploads::bytes_in_workspace(&db, WorkspaceId::new()).await.unwrap();
    db.has("SEARCH message_uploads USING COVERING INDEX message_uploads_space (workspace_id=?)");
}

#[tokio::test]
async fn finds_reports_of_a_message_by_index() {
    let db = Planned::new().await;
    let all = moderation::Filter::default();
    moderation::list(&db, UserId::new(), all, PageRequest::new(None, None)).await.unwrap();
    db.has("SEARCH s USING COVERING INDEX message_reports_message (message_id=?)");
    uploads::readable(&db, UserId::new(), UploadId::new()).await.unwrap();
    let steps = db.take();
    assert!(!steps.contains("SCAN r"), "{steps}");
}

#[tokio::test]
async fn finds_people_by_workspace_membership() {
    let db = Planned::new().await;
    let [me, colleague, guest, stranger] = [1, 2, 3, 4].map(|n| UserId(Uuid::from_u128(n)));
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    for n in 1..=4 {
        sql.push_str(&format!(
            "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at) \
             VALUES (x'{n:032}', '{n}@example.org', 'n{n}', 'n{n}', 'user', 0, 0);"
        ));
    }
    // The first two users are in one workspace and its channel. The others are in another
    // workspace, one of them as a guest. A direct conversation has members from both workspaces.
    for (workspace, user, role) in [(8, 1, "member"), (8, 2, "member"), (9, 3, "guest"), (9, 4, "member")] {
        sql.push_str(&format!(
            "INSERT INTO workspace_members (workspace_id, user_id, role, created_at, updated_at) \
             VALUES (x'{workspace:032}', x'{user:032}', '{role}', 0, 0);"
        ));
    }
    for (id, workspace, kind) in [(81, 8, "private_channel"), (92, 9, "private_channel"), (83, 8, "single")] {
        sql.push_str(&format!(
            "INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
             VALUES (x'{id:032}', x'{workspace:032}', '{kind}', 0, 0, x'{:032}', 0);",
            1
        ));
    }
    for (id, user) in [(81, 1), (81, 2), (92, 3), (92, 4), (83, 1), (83, 4)] {
        sql.push_str(&format!(
            "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at) VALUES (x'{id:032}', x'{user:032}', 'member', 0);"
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    let known = async |user| {
        let mut found = super::search::acquaintances(&db, user, 10).await.unwrap();
        found.sort_by_key(|one| one.id);
        found.into_iter().map(|one| UserId(one.id)).collect::<Vec<_>>()
    };
    assert_eq!(known(me).await, [me, colleague, stranger]);
    assert_eq!(known(guest).await, [guest, stranger]);
    assert_eq!(known(stranger).await, [me, guest, stranger]);
    let steps = db.take();
    assert!(
        steps.contains("SEARCH gw USING INDEX sqlite_autoindex_workspace_members_1 (workspace_id=? AND user_id=?)")
    );
}

#[tokio::test]
async fn counts_seats_of_a_page_of_subscriptions_in_one_statement() {
    let db = Planned::new().await;
    let (two, one, none) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    for (payment, account) in [(1, 11), (1, 12), (2, 11)] {
        let sql = format!(
            "INSERT INTO payment_credits (payment_id, account_id, credits, created_at) VALUES (x'{payment:032}', x'{account:032}', 5, 0)"
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let taken = subscriptions::seats_taken(&db, &[one, two, none]).await.unwrap();
    assert_eq!((taken.get(&two), taken.get(&one), taken.get(&none)), (Some(&2), Some(&1), None));
    db.has("SEARCH c USING COVERING INDEX sqlite_autoindex_payment_credits_1 (payment_id=?)");
}

#[tokio::test]
async fn pages_members_without_a_seat_across_workspaces_of_one_user() {
    let db = Planned::new().await;
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    for user in [1, 2] {
        sql.push_str(&format!(
            "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at) \
             VALUES (x'{user:032}', '{user}@example.org', 'n{user}', 'n{user}', 'user', 0, 0);"
        ));
    }
    for workspace in [8, 9] {
        sql.push_str(&format!(
            "INSERT INTO subscriptions (id, account_id, workspace_id, user_id, plan_id, payment_id, state, seats, anchor_day, period, \
             starts_at, period_end, ends_at, updated_at) \
             VALUES (x'{workspace:032}', x'{workspace:032}', x'{workspace:032}', x'{0:032}', x'{0:032}', x'{workspace:032}', 'active', 5, 1, 1, \
             0, 100, 100, 0);",
            1
        ));
        // All users join at the same time, as after an import.
        for user in [1, 2] {
            sql.push_str(&format!(
                "INSERT INTO workspace_members (workspace_id, user_id, role, created_at, updated_at) \
                 VALUES (x'{workspace:032}', x'{user:032}', 'member', 7, 7);"
            ));
        }
    }
    db.execute_unprepared(&sql).await.unwrap();
    let mut after = (Timestamp(i64::MIN), UserId(Uuid::nil()), Uuid::nil());
    let mut found = Vec::new();
    while let [one] = subscriptions::unseated(&db, Timestamp(50), after, 1).await.unwrap()[..] {
        after = (one.since, one.user_id, one.id);
        found.push((one.user_id.0, one.id));
    }
    let expected = [(1, 8), (1, 9), (2, 8), (2, 9)];
    assert_eq!(found, expected.map(|(user, workspace)| (Uuid::from_u128(user), Uuid::from_u128(workspace))));
}

#[tokio::test]
async fn finds_events_about_a_user_log_by_log() {
    let db = Planned::new().await;
    let (user, other) = (UserId::new(), UserId::new());
    let id = ConversationId::new();
    for (seq, of) in [(1, user), (2, other), (3, user), (4, user)] {
        let sql = format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) VALUES (x'{}', {seq}, 'x', '{of}', 0)",
            id.0.simple()
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let found = account_erasure::events_about(&db, user, id, (0, 3)).await.unwrap();
    assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 3]);
    let steps = db.take();
    let bounded = "USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq>? AND seq<?)";
    assert!(steps.contains(bounded) && !steps.contains("B-TREE"), "{steps}");
}

#[tokio::test]
async fn log_consumers_skip_an_unreadable_event() {
    let db = Planned::new().await;
    let (id, whole) = (ConversationId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
    let message = |seq: u128| MessageId(Uuid::from_u128(seq));
    for seq in 1..=9 {
        let payload = if seq == 4 || seq == 5 { "CAST(x'ff' AS TEXT)" } else { "'{}'" };
        // The fifth event is a later event about the message that the first event created.
        let about = if seq == 5 { format!("x'{:032}'", 1) } else { "NULL".to_owned() };
        let sql = format!(
            "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
             SELECT x'{seq:032}', x'{0:032}', {seq}, 'user', '', 'sent', 0 WHERE {seq} <> 5; \
             INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at, message_id) VALUES \
               (x'{0:032}', {seq}, 'message.created', {payload}, 0, {about}), (x'{1:032}', {seq}, 'message.created', '{{}}', 0, NULL)",
            1, 2
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    // If several conversations are requested, the unreadable event can't be attributed to one of
    // them.
    assert!(events::next_readable_of_each(&db, &[(id, 0), (whole, 0)], 500).await.is_err());
    assert_eq!(events::next_readable_of_each(&db, &[(whole, 0)], 500).await.unwrap().len(), 9);
    let (mut seen, mut found) = (0, Vec::new());
    while seen < 9 {
        db.take();
        let next = events::next_readable_of_each(&db, &[(id, seen)], 500).await.unwrap();
        assert_eq!(
            next.iter().map(|row| row.seq).collect::<Vec<_>>(),
            (seen + 1..).take(next.len()).collect::<Vec<_>>()
        );
        seen = next.last().unwrap().seq;
        found.extend(next);
        if found.len() == 4 {
            let steps = db.take();
            let bounded = "SEARCH e USING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq=?)";
            assert!(
                steps.contains(bounded)
                    && steps.contains("SEARCH m USING INDEX messages_seq (conversation_id=? AND seq=?)"),
                "{steps}"
            );
        }
    }
    let place = |row: &crate::entity::conversation_event::Model| (row.kind.clone(), row.payload.clone());
    let changed = |seq| ("message.updated".to_owned(), format!("{{\"message_id\":\"{}\"}}", message(seq)));
    assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!([place(&found[3]), place(&found[4])], [changed(4), changed(1)]);
    assert_eq!(found.iter().filter(|row| row.kind == "message.created").count(), 7);
}

#[tokio::test]
async fn reads_event_subjects_without_payloads() {
    let db = Planned::new().await;
    let (id, other) = (ConversationId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
    let message = |id: u128| Some(MessageId(Uuid::from_u128(id)));
    let bytes = |id: u128| format!("x'{id:032x}'");
    let mut sql = format!(
        "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
         VALUES ({}, {}, 1, 'user', '', 'sent', 0);",
        bytes(7),
        bytes(1)
    );
    let (no_text, none) = ("CAST(x'ff' AS TEXT)", "NULL".to_owned());
    for (chat, seq, kind, payload, about) in [
        (1, 1, "message.created", no_text, &none),
        (1, 2, "message.updated", no_text, &bytes(8)),
        (1, 3, "message.deleted", "'{\"message_id\":3}'", &none),
        (1, 4, "message.deleted", no_text, &none),
        (1, 5, "member.added", no_text, &none),
        (2, 1, "message.deleted", "'{}'", &none),
    ] {
        sql.push_str(&format!(
            "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at, message_id) \
             VALUES ({}, {seq}, '{kind}', {payload}, 0, {about});",
            bytes(chat)
        ));
    }
    db.execute_unprepared(&sql).await.unwrap();
    let about = async |positions: &[(ConversationId, i64)], limit| {
        let found = events::subjects_by_conversation(&db, positions, limit).await.unwrap();
        found
            .into_iter()
            .map(|event| (event.conversation_id, event.seq, event.message_id, event.payload))
            .collect::<Vec<_>>()
    };
    let expected = [
        (id, 1, message(7), None),
        (id, 2, message(8), None),
        (id, 3, None, Some(br#"{"message_id":3}"#.to_vec())),
        (id, 4, None, Some(vec![0xff])),
        (id, 5, None, None),
    ];
    assert_eq!(about(&[(id, 0)], 500).await, expected);
    let steps = db.take();
    let bounded = "USING COVERING INDEX sqlite_autoindex_conversation_events_1 (conversation_id=? AND seq>? AND seq<?)";
    assert!(steps.contains(bounded), "{steps}");
    // The page is shared between the conversations and limited in total.
    let shared = [expected[0].clone(), expected[1].clone(), (other, 1, None, Some(b"{}".to_vec()))];
    assert_eq!(about(&[(id, 0), (other, 0)], 3).await, shared);
}

/// Each instance runs these counts every ten seconds.
#[tokio::test]
async fn counts_metrics_from_recent_rows_only() {
    let db = Planned::new().await;
    let (from, to) = (Timestamp(1_800_000_000_000), Timestamp(1_800_000_060_000));
    let id = |at: i64| format!("x'{:012x}{}'", at, "70008000000000000000");
    for (at, created_at) in [(from.0 - 86_400_000, from.0), (from.0 - 500, from.0), (to.0, to.0 - 1)] {
        let sql = format!(
            "INSERT INTO messages (id, conversation_id, seq, sender_kind, content, status, created_at) \
             VALUES ({}, x'{:032}', {at}, 'user', '', 'sent', {created_at})",
            id(at),
            1
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    // A message whose id contains the time of the day before is not read.
    assert_eq!(figures::messages(&db, from, to).await.unwrap(), [(from.0, 2)]);
    db.has("INDEX sqlite_autoindex_messages_1 (id>? AND id<?)");
    figures::tokens(&db, from, to).await.unwrap();
    db.has("INDEX usage_requests_time (created_at>? AND created_at<?)");
    figures::audit_entries(&db, "auth.sign_in_failed", from, to).await.unwrap();
    db.has("INDEX audit_log_action (action=? AND created_at>? AND created_at<?)");
}

/// The app requests the unread notifications on every start.
#[tokio::test]
async fn finds_unread_notifications_by_index() {
    let db = Planned::new().await;
    let unread = notifications::Filter { is_unread: true, kind: None };
    notifications::list(&db, UserId::new(), unread, PageRequest::new(None, None)).await.unwrap();
    let steps = db.take();
    // One search for the page and one for the total count.
    assert_eq!(steps.matches("SEARCH n USING INDEX notifications_unread (user_id=?)").count(), 2, "{steps}");
}

#[tokio::test]
async fn reads_only_the_first_users_per_reaction() {
    let db = Planned::new().await;
    let message = MessageId(Uuid::from_u128(1));
    for (emoji, user, seq) in [("a", 11, 3), ("a", 12, 1), ("a", 13, 2), ("b", 11, 5), ("c", 12, 4)] {
        let sql = format!(
            "INSERT INTO reactions (message_id, emoji, user_id, seq) VALUES (x'{:032}', '{emoji}', x'{user:032x}', {seq})",
            1
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let asked = vec![(message, "a".to_owned()), (message, "b".to_owned())];
    let found = reactions::first_users(&db, asked, 2).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| (one.emoji.as_str(), one.user_id.0.as_u128())).collect();
    assert_eq!(found, [("a", 12), ("a", 13), ("b", 11)]);
    db.has("SEARCH r USING INDEX reactions_shown (message_id=? AND emoji=?)");
}

/// Each answer of an assistant runs this query.
#[tokio::test]
async fn detects_guests_without_reading_all_members() {
    let db = Planned::new().await;
    knowledge::of_answer(&db, AssistantId::new(), ConversationId::new(), None).await.unwrap();
    let steps = db.take();
    assert!(steps.contains("INDEX workspace_members_guests (workspace_id=? AND role=?)"), "{steps}");
    let by_key = "SEARCH g USING INDEX sqlite_autoindex_conversation_members_1 (conversation_id=? AND user_id=?)";
    assert!(steps.contains(by_key), "{steps}");
}
