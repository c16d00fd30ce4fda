//! Names that are told apart by their folded form, where `m0083_folded_names` made two the same: the older has that form, and the other was left
//! without it, so that nobody found it by its name without accents. It gets the form with a number.

use sea_orm::{DatabaseBackend, Statement, Value};
use uuid::Uuid;

use crate::prelude::*;

pub struct Migration;

/// Rows that are read at a time.
const AT_A_TIME: usize = 1_000;
/// Between the form and its number: a sign that stands in no name, so that nobody is refused a name for it.
const SEPARATOR: char = '\u{1f}';

struct Names {
    table: &'static str,
    name: &'static str,
    folded: &'static str,
    /// Which rows may have the form `$2`.
    free: &'static str,
}

const NAMES: [Names; 3] = [
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
                WHERE o.workspace_id = assistants.workspace_id AND o.search_name = $2 AND o.id <> $1 AND NOT o.is_deleted \
                  AND o.visibility = assistants.visibility AND (o.visibility = 'workspace' OR o.created_by = assistants.created_by)))",
    },
    Names {
        table: "mcp_servers",
        name: "name",
        folded: "search_name",
        free: "NOT EXISTS (SELECT 1 FROM mcp_servers o WHERE o.search_name = $2 AND o.id <> $1)",
    },
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        for names in NAMES {
            number(db, backend, &names).await?;
        }
        Ok(())
    }

    /// A form with a number does no harm to a release that has none.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

async fn number<C: ConnectionTrait>(
    db: &C,
    backend: DatabaseBackend,
    Names { table, name, folded, free }: &Names,
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
            let form = search::folded_line(&row.try_get::<String>("", "name")?);
            let known = row.try_get::<Option<String>>("", "folded")?.unwrap_or_default();
            if known == form || known.starts_with(&format!("{form}{SEPARATOR}")) {
                continue;
            }
            let mut wanted = form.clone();
            let mut number = 1_u32;
            loop {
                let values: [Value; 2] = [last.into(), wanted.into()];
                let done = db.execute_raw(Statement::from_sql_and_values(backend, &change, values)).await?;
                if done.rows_affected() > 0 {
                    break;
                }
                number += 1;
                wanted = format!("{form}{SEPARATOR}{number}");
            }
        }
        if rows.len() < AT_A_TIME {
            return Ok(());
        }
    }
}
