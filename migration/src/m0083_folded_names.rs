//! Names and titles are looked for, sorted and told apart without accents, width and form, where it was without case alone.

use sea_orm::{DatabaseBackend, Statement, Value};
use uuid::Uuid;

use crate::prelude::*;

pub struct Migration;

/// Rows that are read at a time.
const AT_A_TIME: usize = 1_000;

struct Names {
    table: &'static str,
    name: &'static str,
    folded: &'static str,
    /// Which rows may have the new form (`$2`): where names are unique the older one has it, and the other keeps what it has.
    free: &'static str,
}

const NAMES: [Names; 6] = [
    Names { table: "users", name: "display_name", folded: "search_name", free: "TRUE" },
    Names { table: "prompts", name: "title", folded: "search_title", free: "TRUE" },
    Names { table: "broadcasts", name: "title", folded: "search_title", free: "TRUE" },
    Names {
        table: "conversations",
        name: "title",
        folded: "search_title",
        free: "(kind <> 'public_channel' OR is_deleted OR NOT EXISTS (SELECT 1 FROM conversations o \
                WHERE o.workspace_id = conversations.workspace_id AND o.search_title = $2 AND o.id <> $1 \
                  AND o.kind = 'public_channel' AND NOT o.is_deleted))",
    },
    Names {
        table: "assistants",
        name: "name",
        folded: "search_name",
        free: "(is_deleted OR NOT EXISTS (SELECT 1 FROM assistants o \
                WHERE o.workspace_id = assistants.workspace_id AND o.search_name = $2 AND o.id <> $1 AND NOT o.is_deleted))",
    },
    Names {
        table: "mcp_servers",
        name: "name",
        folded: "search_name",
        free: "NOT EXISTS (SELECT 1 FROM mcp_servers o WHERE o.search_name = $2 AND o.id <> $1)",
    },
];

/// Members are listed by the names of their accounts.
const MEMBERS: &str = "UPDATE conversation_members \
    SET search_name = (SELECT u.search_name FROM users u WHERE u.id = conversation_members.user_id) \
    WHERE EXISTS (SELECT 1 FROM users u \
      WHERE u.id = conversation_members.user_id AND u.search_name <> conversation_members.search_name)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rewrite(manager, search::folded_line).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rewrite(manager, str::to_lowercase).await
    }
}

async fn rewrite(manager: &SchemaManager<'_>, fold: fn(&str) -> String) -> Result<(), DbErr> {
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    for names in NAMES {
        rewrite_names(db, backend, &names, fold).await?;
    }
    db.execute_unprepared(MEMBERS).await?;
    Ok(())
}

async fn rewrite_names<C: ConnectionTrait>(
    db: &C,
    backend: DatabaseBackend,
    Names { table, name, folded, free }: &Names,
    fold: fn(&str) -> String,
) -> Result<(), DbErr> {
    let page = format!(
        "SELECT id, {name} AS name, {folded} AS folded FROM {table} WHERE {name} IS NOT NULL AND id > $1 ORDER BY id LIMIT {AT_A_TIME}"
    );
    let change = format!("UPDATE {table} SET {folded} = $2 WHERE id = $1 AND {free}");
    let mut last = Uuid::nil();
    loop {
        let rows = db.query_all_raw(Statement::from_sql_and_values(backend, &page, [last.into()])).await?;
        for row in &rows {
            last = row.try_get("", "id")?;
            let wanted = fold(&row.try_get::<String>("", "name")?);
            if row.try_get::<Option<String>>("", "folded")?.as_deref() != Some(wanted.as_str()) {
                let values: [Value; 2] = [last.into(), wanted.into()];
                db.execute_raw(Statement::from_sql_and_values(backend, &change, values)).await?;
            }
        }
        if rows.len() < AT_A_TIME {
            return Ok(());
        }
    }
}
