//! Assistants, and the durable jobs by which they answer.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, integer, string, string_null, text, text_null, uuid, uuid_null},
};

/// The assistant that everybody has: `kind: "assistant"` without an `assistant_id`. `dbcontext` knows it by the same id.
const DEFAULT_ID: uuid::Uuid = uuid::uuid!("01900000-0000-7000-8000-00000000a551");

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(assistants()).await?;
        manager.create_index(one_name_per_workspace()).await?;
        manager.execute(default_assistant()).await?;
        manager.create_table(jobs()).await?;
        manager.create_index(jobs_in_hand("jobs_due", "due_at")).await?;
        manager.create_index(jobs_in_hand("jobs_lane", "lane")).await?;
        manager.create_index(jobs_in_hand("jobs_subject", "subject")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["jobs", "assistants"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn assistants() -> TableCreateStatement {
    Table::create()
        .table("assistants")
        .col(uuid("id").primary_key())
        // None: the default one, which is in no workspace and in all.
        .col(uuid_null("workspace_id"))
        .col(string("name"))
        // The name in lower case by Unicode's rules, which SQLite's own functions don't know.
        .col(string("search_name"))
        .col(string_null("model"))
        .col(text_null("system_prompt"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .foreign_key(
            ForeignKey::create()
                .name("assistants_workspace_id")
                .from("assistants", "workspace_id")
                .to("workspaces", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// `@name` must mean one of them.
fn one_name_per_workspace() -> IndexCreateStatement {
    Index::create()
        .name("assistants_name")
        .table("assistants")
        .col("workspace_id")
        .col("search_name")
        .unique()
        .and_where(Expr::col("is_deleted").eq(false))
        .to_owned()
}

fn default_assistant() -> InsertStatement {
    Query::insert()
        .into_table("assistants")
        .columns(["id", "name", "search_name", "created_at", "updated_at", "is_deleted"])
        .values_panic([DEFAULT_ID.into(), "Quill".into(), "quill".into(), 0_i64.into(), 0_i64.into(), false.into()])
        .to_owned()
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // The concurrency key: jobs that share one run one at a time.
        .col(string("lane"))
        // What it works on, to find it by.
        .col(uuid("subject"))
        .col(text("payload"))
        // waiting, running, done or dead
        .col(string("status"))
        // The number of claims, which distinguishes one claim from the next.
        .col(integer("attempt").default(0))
        // When it may be claimed: its time while it waits, the end of the lease while it runs, none once it has ended.
        .col(big_integer_null("due_at"))
        .col(uuid_null("leased_by"))
        .col(boolean("stop_requested").default(false))
        .col(string_null("error"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Ended jobs stay in the table but not in this index.
fn jobs_in_hand(name: &str, column: &str) -> IndexCreateStatement {
    Index::create()
        .name(name)
        .table("jobs")
        .col(column.to_owned())
        .and_where(Expr::col("due_at").is_not_null())
        .to_owned()
}
