//! Files are looked for by their names, without accents, width and form.

use sea_orm::{DatabaseBackend, Statement, Value};
use uuid::Uuid;

use crate::{prelude::*, schema::string};

pub struct Migration;

const TABLE: &str = "uploads";
const COLUMN: &str = "search_name";
/// Rows that are read at a time.
const AT_A_TIME: usize = 1_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(string(COLUMN).default("")).to_owned()).await?;
        fill(manager.get_connection(), manager.get_database_backend()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}

async fn fill<C: ConnectionTrait>(db: &C, backend: DatabaseBackend) -> Result<(), DbErr> {
    let page = format!("SELECT id, name FROM {TABLE} WHERE id > $1 ORDER BY id LIMIT {AT_A_TIME}");
    let change = format!("UPDATE {TABLE} SET {COLUMN} = $2 WHERE id = $1");
    let mut last = Uuid::nil();
    loop {
        let rows = db.query_all_raw(Statement::from_sql_and_values(backend, &page, [last.into()])).await?;
        for row in &rows {
            last = row.try_get("", "id")?;
            let values: [Value; 2] = [last.into(), search::folded_line(&row.try_get::<String>("", "name")?).into()];
            db.execute_raw(Statement::from_sql_and_values(backend, &change, values)).await?;
        }
        if rows.len() < AT_A_TIME {
            return Ok(());
        }
    }
}
