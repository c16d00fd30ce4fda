//! Jobs are claimed in turn by whoever asked for them, and of one concurrency key one runs at a time.

use crate::{
    prelude::*,
    schema::{big_integer_null, boolean, uuid_null},
};

pub struct Migration;

const JOBS: &str = "jobs";

/// Each is what one kind of question reads; the queries say the same conditions in the same words.
const INDEXES: [(&str, &str); 6] = [
    ("jobs_due_at", "ON jobs (kind, due_at) WHERE due_at IS NOT NULL AND turn IS NULL AND is_behind = FALSE"),
    ("jobs_turn", "ON jobs (kind, is_behind, turn, scope_turn, id) WHERE turn IS NOT NULL"),
    ("jobs_scope_turn", "ON jobs (scope, kind, turn, scope_turn) WHERE turn IS NOT NULL"),
    ("jobs_owner", "ON jobs (owner, kind, turn) WHERE due_at IS NOT NULL"),
    ("jobs_behind", "ON jobs (lane, id) WHERE is_behind = TRUE"),
    ("jobs_running", "ON jobs (lane) WHERE status = 'running'"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in [
            uuid_null("owner"),
            uuid_null("scope"),
            big_integer_null("turn"),
            big_integer_null("scope_turn"),
            boolean("is_behind").default(false).to_owned(),
        ] {
            manager.alter_table(Table::alter().table(JOBS).add_column(column).to_owned()).await?;
        }
        for replaced in ["jobs_due", "jobs_kind"] {
            manager.drop_index(Index::drop().name(replaced).table(JOBS).to_owned()).await?;
        }
        let db = manager.get_connection();
        // Two jobs of one key could run at once until now: the later ones begin again.
        db.execute_unprepared(
            "UPDATE jobs SET status = 'waiting', leased_by = NULL WHERE status = 'running' \
             AND EXISTS (SELECT 1 FROM jobs o WHERE o.lane = jobs.lane AND o.status = 'running' AND o.id < jobs.id)",
        )
        .await?;
        for (name, on) in INDEXES {
            let unique = if name == "jobs_running" { "UNIQUE " } else { "" };
            db.execute_unprepared(&format!("CREATE {unique}INDEX {name} {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(JOBS).to_owned()).await?;
        }
        for column in ["owner", "scope", "turn", "scope_turn", "is_behind"] {
            manager.alter_table(Table::alter().table(JOBS).drop_column(column).to_owned()).await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL").await?;
        db.execute_unprepared("CREATE INDEX jobs_kind ON jobs (kind, due_at) WHERE due_at IS NOT NULL").await?;
        Ok(())
    }
}
