//! Queries that create, read, update and delete single rows by their entities. Always on SQLite, and on PostgreSQL if
//! `NATTER_TEST_POSTGRES` names a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod gateway_batch_submissions;
mod gateway_batches;
mod installation;

use appcore::{
    AssistantId, BoardColumnId, ConversationId, KnowledgeFileId, McpServerId, MessageId, NoteId, PromptId, ReminderId,
    ScheduledId, SectionId, ShareId, TaskId, Timestamp, UploadId, UserId, WorkspaceId,
    auth::seal::SecretKind,
    credits::MicroCredits,
    page::PageRequest,
    view::{
        BoardColumn, Draft, KnowledgeState, McpAuth, McpTransport, Note, Section, Task, ToolMode, ToolVisibility,
        TranscriptState, UploadKind, Visibility,
    },
};
use dbcontext::{Database, query};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000);
const LATER: Timestamp = Timestamp(2_000);

/// Creates databases without foreign key checks, so that each table can be filled without the
/// others.
async fn databases(folder: &std::path::Path) -> Vec<Database> {
    let mut urls = vec![format!("sqlite://{}/test.db", folder.display())];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("single_rows_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        urls.push(format!("{head}/{name}"));
    }
    let mut databases = Vec::new();
    for url in urls {
        let db = Database::connect(&url, 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let is_postgres = db.schema().get_database_backend() == DatabaseBackend::Postgres;
        let sql = if is_postgres { "SET session_replication_role = replica" } else { "PRAGMA foreign_keys = OFF" };
        db.schema().execute_unprepared(sql).await.unwrap();
        databases.push(db);
    }
    databases
}

fn page() -> PageRequest {
    PageRequest { page: 1, page_size: 10 }
}

#[tokio::test]
async fn rows_of_conversations_are_created_read_updated_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        boards(db).await;
        drafts_and_notes(db).await;
        messages(db).await;
        scheduled(db).await;
        uploads(db).await;
    }
}

async fn boards(db: &DatabaseConnection) {
    use query::{boards, tasks};
    let conversation_id = ConversationId::new();
    assert_eq!(boards::version(db, conversation_id).await.unwrap(), 0);
    assert_eq!(boards::start_change(db, conversation_id).await.unwrap(), 1);
    boards::add_changes(db, conversation_id, 2).await.unwrap();
    assert_eq!(boards::version(db, conversation_id).await.unwrap(), 3);
    let mut column = BoardColumn {
        id: BoardColumnId::new(),
        conversation_id,
        name: "Open".to_owned(),
        position: "a".to_owned(),
        done: false,
    };
    boards::insert_column(db, &column, NOW).await.unwrap();
    column.done = true;
    boards::update_column(db, &column).await.unwrap();
    assert_eq!(boards::column(db, column.id).await.unwrap(), Some(column.clone()));
    assert_eq!(boards::columns(db, conversation_id).await.unwrap(), [column.clone()]);
    let mut task = Task {
        id: TaskId::new(),
        conversation_id,
        column_id: column.id,
        title: "Write".to_owned(),
        description: String::new(),
        position: "a".to_owned(),
        version: 1,
        assignee_ids: Vec::new(),
        assignees: Vec::new(),
        labels: vec!["docs".to_owned()],
        due_at: None,
        message_id: None,
        archived_at: None,
        created_by: UserId::new(),
        created_at: NOW,
        updated_at: NOW,
    };
    tasks::insert(db, &task).await.unwrap();
    task.archived_at = Some(LATER);
    tasks::update(db, &task).await.unwrap();
    assert_eq!(tasks::find(db, task.id).await.unwrap(), Some(task.clone()));
    assert_eq!(boards::count_in_column(db, column.id).await.unwrap(), 1);
    tasks::delete(db, task.id).await.unwrap();
    boards::delete_column(db, column.id).await.unwrap();
    assert!(boards::columns(db, conversation_id).await.unwrap().is_empty());
}

async fn drafts_and_notes(db: &DatabaseConnection) {
    use query::{drafts, notes, sections};
    let user = UserId::new();
    let draft = Draft {
        conversation_id: ConversationId::new(),
        thread_id: None,
        content: "Hello".to_owned(),
        reply_to: None,
        updated_at: NOW,
    };
    assert!(drafts::upsert(db, user, &draft).await.unwrap());
    assert_eq!(drafts::find(db, user, &draft).await.unwrap(), Some(draft));
    assert_eq!(drafts::count(db, user).await.unwrap(), 1);

    let mut note = Note {
        id: NoteId::new(),
        title: "List".to_owned(),
        content: "Milk".to_owned(),
        pinned: false,
        version: 1,
        created_at: NOW,
        edited_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    };
    assert_eq!(notes::last_change(db, user).await.unwrap(), None);
    notes::upsert(db, user, &note).await.unwrap();
    note.pinned = true;
    notes::upsert(db, user, &note).await.unwrap();
    assert_eq!(notes::find(db, user, note.id).await.unwrap(), Some(note.clone()));
    assert_eq!(notes::changed_since(db, user, None, 10, 0).await.unwrap(), (vec![note.clone()], 1));
    assert_eq!(notes::last_change(db, user).await.unwrap(), Some(NOW));
    note.deleted_at = Some(NOW);
    notes::upsert(db, user, &note).await.unwrap();
    assert_eq!(notes::count(db, user).await.unwrap(), 0);
    notes::purge_deleted(db, user, LATER).await.unwrap();
    assert_eq!(notes::find(db, user, note.id).await.unwrap(), None);

    let section = Section { id: SectionId::new(), name: "Work".to_owned(), position: 1 };
    sections::insert(db, user, &section).await.unwrap();
    sections::update(db, user, &section).await.unwrap();
    assert!(sections::set_instructions(db, user, section.id, "Be brief.").await.unwrap());
    assert_eq!(sections::instructions(db, user, section.id).await.unwrap().as_deref(), Some("Be brief."));
    assert_eq!(sections::owner(db, section.id).await.unwrap(), Some(user));
    assert_eq!(sections::list(db, user).await.unwrap(), std::slice::from_ref(&section));
    sections::remove(db, user, section.id).await.unwrap();
    assert_eq!(sections::owner(db, section.id).await.unwrap(), None);
}

async fn messages(db: &DatabaseConnection) {
    use query::{polls, previews, saved, shares, threads};
    let (user, message, conversation) = (UserId::new(), MessageId::new(), ConversationId::new());
    polls::set_votes(db, message, user, &[0, 2], 5).await.unwrap();
    polls::set_votes(db, message, user, &[2], 6).await.unwrap();
    assert_eq!(polls::votes(db, message, user).await.unwrap(), [2]);
    assert_eq!(polls::first_voters(db, message, 2, 3).await.unwrap(), [user]);
    polls::set_votes(db, message, user, &[], 7).await.unwrap();
    assert!(polls::votes(db, message, user).await.unwrap().is_empty());

    previews::set_enabled(db, user.0, false).await.unwrap();
    previews::set_enabled(db, user.0, false).await.unwrap();
    assert!(!previews::is_enabled(db, user.0).await.unwrap());
    previews::set_enabled(db, user.0, true).await.unwrap();
    assert!(previews::is_enabled(db, user.0).await.unwrap());

    assert!(saved::insert(db, user, message, NOW).await.unwrap());
    assert!(!saved::insert(db, user, message, NOW).await.unwrap());
    assert!(saved::is_saved(db, user, message).await.unwrap());
    assert!(saved::remove(db, user, message).await.unwrap());
    assert_eq!(saved::count(db, user).await.unwrap(), 0);

    let link = ShareId::new();
    shares::put(db, conversation, (link, user), "[]".to_owned(), NOW).await.unwrap();
    shares::put(db, conversation, (ShareId::new(), user), "[1]".to_owned(), LATER).await.unwrap();
    let shared = shares::of_conversation(db, conversation).await.unwrap().unwrap();
    assert_eq!((shared.id, shared.messages.as_str(), shared.updated_at), (link, "[1]", LATER));
    shares::remove(db, conversation).await.unwrap();
    assert!(shares::of_conversation(db, conversation).await.unwrap().is_none());

    threads::follow_from_end(db, user, message, 3).await.unwrap();
    threads::follow_from_end(db, user, message, 1).await.unwrap();
    threads::advance_position(db, user, message, 2).await.unwrap();
    threads::advance_position(db, user, message, 4).await.unwrap();
    let position = threads::position(db, user, message).await.unwrap();
    assert_eq!(position, Some(threads::FollowerPosition { read_no: 4, unread: 0 }));
    threads::unfollow(db, user, message).await.unwrap();
    assert_eq!(threads::position(db, user, message).await.unwrap(), None);
}

async fn scheduled(db: &DatabaseConnection) {
    use query::{
        reminders::{self, ReminderRow},
        scheduled::{self, ScheduledRow},
    };
    let user = UserId::new();
    let reminder = ReminderRow {
        id: ReminderId::new(),
        user_id: user,
        message_id: MessageId::new(),
        at: LATER,
        note: None,
        created_at: NOW,
    };
    reminders::insert(db, reminder.clone()).await.unwrap();
    assert_eq!(reminders::find(db, reminder.id).await.unwrap(), Some(reminder.clone()));
    assert_eq!(reminders::count(db, user).await.unwrap(), 1);
    assert!(reminders::remove(db, user, reminder.id).await.unwrap());

    let mut row = ScheduledRow {
        id: ScheduledId::new(),
        user_id: user,
        conversation_id: ConversationId::new(),
        client_id: "c".to_owned(),
        payload: "{}".to_owned(),
        send_at: NOW,
        sending_at: None,
        failure: None,
        failure_message: None,
        created_at: NOW,
    };
    assert!(scheduled::insert(db, row.clone(), &[UploadId::new()]).await.unwrap());
    assert!(!scheduled::insert(db, row.clone(), &[]).await.unwrap());
    let same = scheduled::by_client_id(db, user, row.conversation_id, "c").await.unwrap();
    assert_eq!((same, scheduled::count(db, user).await.unwrap()), (Some(row.clone()), 1));
    row.payload = "[]".to_owned();
    let changed = scheduled::update(db, user, row.id, "[]".to_owned(), NOW).await.unwrap();
    assert_eq!(changed, Some(row.clone()));
    assert!(scheduled::claim(db, row.id, LATER).await.unwrap().is_some());
    assert!(scheduled::update(db, user, row.id, String::new(), NOW).await.unwrap().is_none());
    scheduled::release(db, row.id).await.unwrap();
    let failed = scheduled::fail(db, row.id, "gone", "It is gone.").await.unwrap().unwrap();
    assert_eq!((failed.failure.as_deref(), failed.sending_at), (Some("gone"), None));
    assert!(scheduled::remove(db, user, row.id).await.unwrap());
    assert!(scheduled::find(db, row.id).await.unwrap().is_none());
}

async fn uploads(db: &DatabaseConnection) {
    use query::{emoji, pictures, search, uploads};
    let (id, user, workspace_id) = (UploadId::new(), UserId::new(), WorkspaceId::new());
    let new = uploads::NewUpload {
        id,
        owner: Some(user),
        name: "Note.ogg".to_owned(),
        kind: UploadKind::Voice,
        media_type: "audio/ogg".to_owned(),
        size: None,
        reserved_bytes: Some(10),
        peaks: None,
        duration_ms: None,
        transcript_state: Some(TranscriptState::Pending),
        created_at: NOW,
    };
    uploads::insert(db, &new).await.unwrap();
    uploads::set_metadata(db, id, "name Note").await.unwrap();
    assert_eq!(uploads::metadata(db, id).await.unwrap().as_deref(), Some("name Note"));
    let part = uploads::UploadPart { position: 0, size: 4, part_id: Uuid::now_v7() };
    assert!(uploads::add_part(db, id, part).await.unwrap());
    assert!(!uploads::add_part(db, id, part).await.unwrap());
    assert_eq!(uploads::parts(db, id).await.unwrap().len(), 1);
    assert!(uploads::claim_assembly(db, id, NOW, LATER).await.unwrap());
    uploads::extend_assembly(db, id, None).await.unwrap();
    uploads::delete_parts(db, id).await.unwrap();
    uploads::set_transcript(db, (MessageId::new(), None), id, Some("Hi"), TranscriptState::Ready).await.unwrap();
    search::set_file_text(db, id, "Hi", NOW).await.unwrap();
    assert!(search::is_file_extracted(db, id).await.unwrap());

    let row = emoji::EmojiRow {
        workspace_id,
        name: "yes".to_owned(),
        upload_id: id,
        created_by: Some(user),
        created_at: NOW,
    };
    emoji::insert(db, &row).await.unwrap();
    assert!(emoji::insert(db, &row).await.is_err());
    emoji::clear_creator(db, user).await.unwrap();
    assert!(uploads::is_emoji(db, id).await.unwrap());
    assert_eq!(emoji::count(db, workspace_id).await.unwrap(), 1);
    assert_eq!(emoji::remove(db, workspace_id, "yes").await.unwrap(), Some(id));
    assert_eq!(emoji::remove(db, workspace_id, "yes").await.unwrap(), None);

    assert_eq!(pictures::set(db, user, id, NOW).await.unwrap(), None);
    assert_eq!(pictures::set(db, user, UploadId::new(), NOW).await.unwrap(), Some(id));
    assert!(pictures::remove(db, user).await.unwrap().is_some());
    assert_eq!(pictures::owner(db, id).await.unwrap(), None);
}

#[tokio::test]
async fn rows_of_assistants_are_created_read_updated_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        prompts(db).await;
        tools(db).await;
        stored_secrets(db).await;
        knowledge(db).await;
    }
}

async fn prompts(db: &DatabaseConnection) {
    use query::prompts::{self, PromptRow};
    let (user, workspace_id) = (UserId::new(), WorkspaceId::new());
    let mut row = PromptRow {
        id: PromptId::new(),
        workspace_id,
        created_by: Some(user),
        command: "sum".to_owned(),
        title: "Sum up".to_owned(),
        search_title: "sum up".to_owned(),
        content: "Sum it up.".to_owned(),
        visibility: Visibility::Private,
        created_at: NOW,
        updated_at: NOW,
    };
    prompts::insert(db, &row).await.unwrap();
    assert_eq!(prompts::count(db, workspace_id, Some(user)).await.unwrap(), 1);
    row.visibility = Visibility::Workspace;
    prompts::update(db, &row).await.unwrap();
    assert_eq!(prompts::count(db, workspace_id, None).await.unwrap(), 1);
    let (found, total) = prompts::list(db, workspace_id, user, true, "", page()).await.unwrap();
    assert_eq!((&found[0].prompt, total), (&row, 1));
    prompts::remove_author(db, user).await.unwrap();
    prompts::delete(db, row.id).await.unwrap();
    assert_eq!(prompts::count(db, workspace_id, None).await.unwrap(), 0);
}

/// Encrypted secrets of all kinds are listed in pages, replaced and removed.
async fn stored_secrets(db: &DatabaseConnection) {
    use query::{
        ai_providers, mcp_connections, push, second_factors, signing_keys,
        stored_secrets::{list, remove, replace},
    };
    let (users, server_id) = ([UserId::new(), UserId::new()], McpServerId::new());
    for kid in ["a", "b", "c"] {
        signing_keys::insert(db, kid, vec![1], kid != "c", NOW).await.unwrap();
        // There is at most one key that is not retired.
        signing_keys::retire(db, NOW).await.unwrap();
    }
    for user in users {
        second_factors::start_enrolment(db, user, vec![1], true, NOW).await.unwrap();
        let tokens = mcp_connections::NewTokens { tokens: vec![1], is_sealed: true, expires_at: None };
        mcp_connections::upsert(db, user, server_id, tokens, NOW).await.unwrap();
    }
    push::store_key(db, push::StoredKey { private_key: vec![1], is_sealed: true }, "public").await.unwrap();
    let client = mcp_connections::ClientRow {
        server_id,
        issuer: None,
        redirect_uri: None,
        client_id: "natter".to_owned(),
        secret: Some(vec![1]),
        is_sealed: true,
        expires_at: None,
    };
    mcp_connections::put_client(db, client).await.unwrap();
    let provider = ai_providers::AiProviderRow {
        name: "sealed".to_owned(),
        kind: "openai".to_owned(),
        base_url: None,
        models: "[]".to_owned(),
        requests_per_minute: None,
        keys: Some(vec![1]),
        created_at: NOW,
        updated_at: NOW,
    };
    ai_providers::insert(db, provider).await.unwrap();
    for kind in SecretKind::ALL {
        let expected = match kind {
            SecretKind::ToolServer => 0,
            SecretKind::PushKey | SecretKind::ProviderKeys | SecretKind::ToolClient => 1,
            SecretKind::SigningKey | SecretKind::Totp | SecretKind::ToolConnection => 2,
        };
        let all = list(db, kind, None, 10).await.unwrap();
        assert_eq!(all.len(), expected, "{kind:?}");
        let (mut paged, mut after) = (Vec::new(), None);
        while let Some(secret) = list(db, kind, after.as_ref(), 1).await.unwrap().pop() {
            after = Some(secret.owner.clone());
            paged.push(secret.owner);
        }
        assert_eq!(paged, all.iter().map(|secret| secret.owner.clone()).collect::<Vec<_>>());
        for secret in &all {
            assert_eq!((secret.owner.kind(), secret.sealed.as_slice()), (kind, &[1][..]));
            replace(db, secret, vec![2]).await.unwrap();
            // The row has changed since it was read.
            replace(db, secret, vec![3]).await.unwrap();
        }
        let replaced = list(db, kind, None, 10).await.unwrap();
        assert!(replaced.iter().all(|secret| secret.sealed == [2]), "{replaced:?}");
        for secret in replaced {
            remove(db, &secret.owner, NOW).await.unwrap();
        }
        assert!(list(db, kind, None, 10).await.unwrap().is_empty(), "{kind:?}");
    }
    assert_eq!(signing_keys::all(db).await.unwrap().len(), 1, "the plain key stays");
    signing_keys::remove_retired_before(db, LATER).await.unwrap();
    ai_providers::delete(db, "sealed").await.unwrap();
}

async fn tools(db: &DatabaseConnection) {
    use query::{
        mcp_connections::{self, ClientRow, NewTokens},
        mcp_servers::{self, McpServerFilter, McpServerRow},
        tool_permissions::{self, NewPermission},
        workspace_tools,
    };
    let (user, server_id, assistant_id) = (UserId::new(), McpServerId::new(), AssistantId::new());
    let mut row = McpServerRow {
        id: server_id,
        name: "Docs".to_owned(),
        search_name: "docs".to_owned(),
        description: None,
        transport: McpTransport::Http,
        url: None,
        command: None,
        secrets: None,
        is_sealed: false,
        secret_names: "[]".to_owned(),
        is_enabled: true,
        offered_to: ToolVisibility::Admins,
        tools: "[]".to_owned(),
        modes: "{}".to_owned(),
        checked_at: None,
        error: None,
        prompts: "[]".to_owned(),
        auth: McpAuth::Oauth,
        created_at: NOW,
        updated_at: NOW,
    };
    mcp_servers::insert(db, row.clone()).await.unwrap();
    row.offered_to = ToolVisibility::Everyone;
    assert!(mcp_servers::update(db, row.clone()).await.unwrap());
    mcp_servers::record_tools(db, server_id, NOW, Ok(("[1]".to_owned(), "[]".to_owned())), LATER).await.unwrap();
    mcp_servers::record_tools(db, server_id, NOW, Err("down".to_owned()), LATER).await.unwrap();
    let found = mcp_servers::find(db, server_id).await.unwrap().unwrap();
    assert_eq!((found.tools.as_str(), found.error.as_deref()), ("[1]", Some("down")));
    assert_eq!(mcp_servers::list(db, McpServerFilter::OfferedToEveryone, page()).await.unwrap(), (vec![found], 1));

    let tokens = || NewTokens { tokens: vec![1], is_sealed: false, expires_at: None };
    mcp_connections::upsert(db, user, server_id, tokens(), NOW).await.unwrap();
    let before = mcp_connections::find(db, user, server_id).await.unwrap().unwrap();
    assert!(mcp_connections::claim(db, &before, LATER, NOW).await.unwrap());
    assert!(!mcp_connections::claim(db, &before, LATER, NOW).await.unwrap());
    assert!(mcp_connections::renew(db, &before, tokens()).await.unwrap());
    assert!(!mcp_connections::renew(db, &before, tokens()).await.unwrap());
    mcp_connections::set_extra_scope(db, user, server_id, Some("mail".to_owned())).await.unwrap();
    assert_eq!(mcp_connections::lock_extra_scope(db, user, server_id).await.unwrap().as_deref(), Some("mail"));
    let after = mcp_connections::find(db, user, server_id).await.unwrap().unwrap();
    assert_eq!((after.version, after.claimed_until, after.lacks_scope), (before.version + 1, None, true));
    mcp_connections::release(db, &after).await.unwrap();
    mcp_connections::expire(db, &after).await.unwrap();
    let client = ClientRow {
        server_id,
        issuer: None,
        redirect_uri: None,
        client_id: "natter".to_owned(),
        secret: Some(vec![2]),
        is_sealed: false,
        expires_at: None,
    };
    mcp_connections::put_client(db, client.clone()).await.unwrap();
    mcp_connections::put_client(db, client.clone()).await.unwrap();
    assert_eq!(mcp_connections::client(db, server_id).await.unwrap(), Some(client));
    mcp_connections::remove_of_server(db, server_id).await.unwrap();
    assert_eq!(mcp_connections::client(db, server_id).await.unwrap(), None);
    assert!(!mcp_connections::remove(db, user, server_id).await.unwrap());

    let new = NewPermission {
        user_id: user,
        assistant_id,
        server_id,
        tool: "read".to_owned(),
        title: None,
        digest: "d".to_owned(),
    };
    tool_permissions::upsert(db, &new, NOW).await.unwrap();
    tool_permissions::upsert(db, &NewPermission { digest: "e".to_owned(), ..new }, NOW).await.unwrap();
    assert_eq!(tool_permissions::granted(db, user, assistant_id).await.unwrap()[0].digest, "e");
    tool_permissions::remove_of_server(db, server_id).await.unwrap();
    assert!(tool_permissions::granted(db, user, assistant_id).await.unwrap().is_empty());

    let workspace = WorkspaceId::new();
    workspace_tools::put(db, workspace, "search", ToolMode::Ask).await.unwrap();
    workspace_tools::put(db, workspace, "search", ToolMode::Auto).await.unwrap();
    assert_eq!(workspace_tools::modes(db, workspace).await.unwrap()["search"], ToolMode::Auto);
    workspace_tools::put(db, workspace, "search", ToolMode::Off).await.unwrap();
    assert!(workspace_tools::modes(db, workspace).await.unwrap().is_empty());
    assert!(mcp_servers::delete(db, server_id).await.unwrap());
    assert_eq!(mcp_servers::count(db).await.unwrap(), 0);
}

async fn knowledge(db: &DatabaseConnection) {
    use query::knowledge::{self, FileRow, PieceRow, VectorsRow, WordsRow};
    let id = KnowledgeFileId::new();
    let row = FileRow {
        id,
        assistant_id: AssistantId::new(),
        workspace_id: WorkspaceId::new(),
        upload_id: UploadId::new(),
        added_by: None,
        name: "a.md".to_owned(),
        media_type: "text/markdown".to_owned(),
        size: 1,
        state: KnowledgeState::Waiting,
        error: None,
        pieces: 0,
        embedded: 0,
        model: None,
        space: None,
        section_id: None,
        cost: MicroCredits::ZERO,
        created_at: NOW,
        updated_at: NOW,
    };
    assert!(knowledge::insert(db, &row).await.unwrap());
    assert!(!knowledge::insert(db, &row).await.unwrap());
    assert_eq!(knowledge::get(db, id).await.unwrap(), Some(row.clone()));
    assert!(knowledge::set_embedding_model(db, id, ("embed", "e1"), NOW).await.unwrap());
    let piece = PieceRow { file_id: id, number: 0, text: "a".to_owned(), page: None, heading: None, line: None };
    let words = WordsRow { file_id: id, first: 0, count: 1, words: vec![1] };
    assert!(knowledge::insert_chunks(db, id, (vec![piece.clone()], vec![words.clone()]), NOW).await.unwrap());
    assert!(!knowledge::insert_chunks(db, id, (Vec::new(), Vec::new()), NOW).await.unwrap());
    assert_eq!(knowledge::chunks_from(db, (id, 0), 5).await.unwrap(), [piece]);
    assert_eq!(knowledge::words_from(db, (id, 0), 5).await.unwrap(), [words]);
    let vectors = VectorsRow { file_id: id, first: 0, count: 1, vectors: vec![0; 4] };
    assert!(!knowledge::add_vectors(db, vectors.clone(), "e2", NOW).await.unwrap());
    assert!(knowledge::add_vectors(db, vectors, "e1", NOW).await.unwrap());
    knowledge::add_cost(db, id, MicroCredits(7)).await.unwrap();
    assert!(knowledge::set_state(db, id, KnowledgeState::Ready, None, NOW).await.unwrap());
    assert!(!knowledge::reset_embedding(db, id, "e1", NOW).await.unwrap());
    assert!(knowledge::reset_embedding(db, id, "e2", NOW).await.unwrap());
    let found = knowledge::get(db, id).await.unwrap().unwrap();
    assert_eq!((found.state, found.cost, found.embedded), (KnowledgeState::Waiting, MicroCredits(7), 0));
    assert_eq!(knowledge::count(db, row.assistant_id).await.unwrap(), 1);
    assert!(knowledge::remove(db, id).await.unwrap().is_some());
    assert!(knowledge::words_from(db, (id, 0), 5).await.unwrap().is_empty());
}
