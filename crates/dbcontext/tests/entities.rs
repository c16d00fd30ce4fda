//! Compares every entity with the migrated schema: always on SQLite, and on PostgreSQL if `NATTER_TEST_POSTGRES` names
//! a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use dbcontext::{Database, entity};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ColumnTrait as _, ColumnType, ConnectionTrait, DatabaseBackend, DatabaseConnection, EntityName, EntityTrait,
    IdenStatic as _, Iterable, PrimaryKeyToColumn as _, Statement,
};
use uuid::Uuid;

/// Table without an entity: the table of the migrator.
const WITHOUT_ENTITY: [&str; 1] = ["seaql_migrations"];

/// A column as the database or the entity describes it.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    kind: &'static str,
    is_nullable: bool,
    is_key: bool,
}

type Table = BTreeMap<String, Described>;

/// The tables of the database.
async fn tables(db: &DatabaseConnection) -> BTreeMap<String, Table> {
    let backend = db.get_database_backend();
    let sql = if backend == DatabaseBackend::Postgres {
        "SELECT CAST(c.table_name AS text) AS of, CAST(c.column_name AS text) AS name, CAST(c.data_type AS text) AS kind, \
           c.is_nullable = 'YES' AS is_nullable, k.column_name IS NOT NULL AS is_key \
         FROM information_schema.columns c \
         LEFT JOIN (information_schema.key_column_usage k JOIN information_schema.table_constraints p \
             ON p.constraint_name = k.constraint_name AND p.table_name = k.table_name AND p.constraint_type = 'PRIMARY KEY') \
           ON k.table_name = c.table_name AND k.column_name = c.column_name \
         WHERE c.table_schema = CURRENT_SCHEMA()"
    } else {
        "SELECT t.name AS of, c.name, c.type AS kind, c.\"notnull\" = 0 AS is_nullable, c.pk > 0 AS is_key \
         FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
    };
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap() {
        let described = Described {
            kind: stored_kind(&row.try_get::<String>("", "kind").unwrap(), backend),
            is_nullable: row.try_get("", "is_nullable").unwrap(),
            is_key: row.try_get("", "is_key").unwrap(),
        };
        tables.entry(row.try_get("", "of").unwrap()).or_default().insert(row.try_get("", "name").unwrap(), described);
    }
    tables
}

fn stored_kind(name: &str, backend: DatabaseBackend) -> &'static str {
    match name.to_lowercase().split('(').next().unwrap() {
        // SQLite's integer types have no widths.
        "smallint" | "integer" if backend == DatabaseBackend::Sqlite => "i64",
        "uuid" | "uuid_text" => "uuid",
        "bytea" | "blob" | "varbinary" | "binary" => "bytes",
        "boolean" => "boolean",
        "smallint" => "i16",
        "integer" => "i32",
        "bigint" => "i64",
        "text" | "varchar" | "character varying" => "text",
        "tsvector" => "words",
        other => panic!("unknown type {other}"),
    }
}

fn entity_kind(kind: &ColumnType, backend: DatabaseBackend) -> &'static str {
    match kind {
        ColumnType::SmallInteger | ColumnType::Integer if backend == DatabaseBackend::Sqlite => "i64",
        ColumnType::Uuid => "uuid",
        ColumnType::VarBinary(_) | ColumnType::Binary(_) | ColumnType::Blob => "bytes",
        ColumnType::Boolean => "boolean",
        ColumnType::SmallInteger => "i16",
        ColumnType::Integer => "i32",
        ColumnType::BigInteger => "i64",
        ColumnType::String(_) | ColumnType::Text => "text",
        other => panic!("unknown type {other:?}"),
    }
}

fn describe<E: EntityTrait>(backend: DatabaseBackend) -> Table {
    let keys: BTreeSet<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
    let describe = |column: E::Column| {
        let definition = column.def();
        let is_key = keys.contains(column.as_str());
        let kind = entity_kind(definition.get_column_type(), backend);
        (column.as_str().to_owned(), Described { kind, is_nullable: definition.is_null(), is_key })
    };
    E::Column::iter().map(describe).collect()
}

macro_rules! describe_all {
    ($backend:ident, $($entity:ident),* $(,)?) => {
        BTreeMap::from([$((entity::$entity::Entity.table_name().to_owned(), describe::<entity::$entity::Entity>($backend))),*])
    };
}

fn entities(backend: DatabaseBackend) -> BTreeMap<String, Table> {
    describe_all!(
        backend,
        ai_provider,
        api_key,
        assistant,
        audit_entry,
        ban,
        billing_details,
        board,
        board_column,
        broadcast,
        broadcast_receipt,
        budget,
        budget_hold,
        chat_share,
        conversation,
        conversation_assistant,
        conversation_count,
        conversation_event,
        conversation_member,
        credit_grant,
        credit_hold,
        credit_top_up,
        disabled_preview,
        draft,
        event_outbox,
        event_stream,
        event_stream_outbox,
        figure,
        gateway_batch,
        gateway_batch_line,
        gateway_batch_submission,
        gateway_file,
        gateway_model,
        gateway_response,
        hidden_message,
        identity,
        incident,
        installation,
        instance,
        invitation,
        job,
        knowledge_chunk,
        knowledge_file,
        knowledge_vectors,
        knowledge_words,
        known_device,
        learned_model_setting,
        ledger_account,
        ledger_entry,
        mail_token,
        mcp_client,
        mcp_connection,
        mcp_server,
        mention,
        message,
        message_reasoning,
        message_report,
        message_upload,
        message_version,
        model_list,
        note,
        notification,
        notification_keyword,
        notification_position,
        notification_settings,
        passkey,
        payment,
        payment_comparison,
        payment_credit,
        payment_difference,
        payment_dispute,
        payment_event,
        payment_method,
        payment_method_setup,
        payment_refund,
        payment_toggle,
        pending_sign_in,
        poll_vote,
        pricing_plan,
        prompt,
        push_key,
        push_subscription,
        reaction,
        receipt_year,
        recovery_code,
        refresh_token,
        reminder,
        saved_message,
        scheduled_message,
        scheduled_upload,
        search_reindex_queue,
        search_request,
        section,
        service_account,
        signing_key,
        slow_mode_post,
        subscription,
        subscription_trial,
        task,
        task_assignee,
        thread_follower,
        tool_call,
        tool_permission,
        totp,
        upload,
        upload_part,
        upload_text,
        usage_day,
        usage_request,
        used_id_token,
        user,
        user_event,
        user_picture,
        user_session,
        user_settings,
        user_warning,
        workspace,
        workspace_domain,
        workspace_emoji,
        workspace_member,
        workspace_tool
    )
}

#[tokio::test]
async fn entities_match_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite://{}/test.db", folder.path().display())];
    if let Ok(server) = std::env::var("NATTER_TEST_POSTGRES") {
        let name = format!("entities_{}", Uuid::now_v7().simple());
        let maintenance = Database::connect(&server, 1).await.unwrap();
        maintenance.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        urls.push(format!("{head}/{name}"));
    }
    for url in urls {
        let db = Database::connect(&url, 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let entities = entities(db.schema().get_database_backend());
        let mut tables = tables(db.schema()).await;
        tables.retain(|name, _| !WITHOUT_ENTITY.contains(&name.as_str()));
        for (name, table) in &tables {
            let entity = entities.get(name).unwrap_or_else(|| panic!("{name} has no entity"));
            assert_eq!(entity, table, "{name} on {url}");
        }
        assert_eq!(entities.len(), tables.len(), "an entity has no table");
    }
}
