//! Assistants that can be edited, prompt templates, and what is known of an answer.

use crate::{
    prelude::*,
    schema::{big_integer, boolean, integer, integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const ASSISTANTS: &str = "assistants";
const CONVERSATIONS: &str = "conversations";
const MESSAGES: &str = "messages";
const JOBS: &str = "jobs";
const VERSIONS: &str = "message_versions";

/// Name and what comes after `ON`; the third says whether it is unique.
const INDEXES: [(&str, &str, bool); 6] = [
    ("assistants_mentioned", "assistants (workspace_id, search_name) WHERE NOT is_deleted", false),
    // `@name` means one of those that everybody may ask, or one's own.
    (
        "assistants_name",
        "assistants (workspace_id, search_name) WHERE NOT is_deleted AND visibility = 'workspace'",
        true,
    ),
    (
        "assistants_own_name",
        "assistants (created_by, workspace_id, search_name) WHERE NOT is_deleted AND visibility = 'private'",
        true,
    ),
    ("prompts_shared", "prompts (workspace_id, command) WHERE visibility = 'workspace'", true),
    ("prompts_own", "prompts (created_by, workspace_id, command) WHERE visibility = 'private'", true),
    ("jobs_dead", "jobs (kind, id) WHERE status = 'dead'", false),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.drop_index(Index::drop().name("assistants_name").table(ASSISTANTS).to_owned()).await?;
        manager.create_table(prompts()).await?;
        manager.create_table(message_thoughts()).await?;
        for (name, on, is_unique) in INDEXES {
            let unique = if is_unique { "UNIQUE " } else { "" };
            manager.get_connection().execute_unprepared(&format!("CREATE {unique}INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, ..) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        // An earlier release knows none that is one person's alone.
        for statement in [
            "DELETE FROM assistants WHERE visibility = 'private'",
            "CREATE UNIQUE INDEX assistants_name ON assistants (workspace_id, search_name) WHERE is_deleted = FALSE",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        for table in ["message_thoughts", "prompts"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in columns() {
            let column = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        (ASSISTANTS, string_null("description")),
        // In hundredths.
        (ASSISTANTS, integer_null("temperature")),
        (ASSISTANTS, integer_null("max_answer_tokens")),
        // An icon's name or an emoji, and the hue behind it.
        (ASSISTANTS, string_null("glyph")),
        (ASSISTANTS, integer_null("hue")),
        (ASSISTANTS, boolean("tools_enabled").default(false).to_owned()),
        (ASSISTANTS, string("visibility").default("workspace").to_owned()),
        (ASSISTANTS, boolean("answers_mentions").default(true).to_owned()),
        (ASSISTANTS, boolean("model_choice").default(true).to_owned()),
        // As JSON.
        (ASSISTANTS, text_null("starters")),
        // The model that was chosen for a chat.
        (CONVERSATIONS, string_null("model")),
        // Dead letters that are put back are tried as often again, and each claim still has a number of its own.
        (JOBS, integer("attempts_before").default(0).to_owned()),
        // What is known of an answer, as JSON.
        (MESSAGES, text_null("answer")),
        (VERSIONS, text_null("answer")),
    ]
}

fn prompts() -> TableCreateStatement {
    Table::create()
        .table("prompts")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        // None: whoever wrote it has left, and it is shared.
        .col(uuid_null("created_by"))
        .col(string("command"))
        .col(string("title"))
        .col(string("search_title"))
        .col(text("content"))
        .col(string("visibility"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .foreign_key(
            ForeignKey::create()
                .name("prompts_workspace_id")
                .from("prompts", "workspace_id")
                .to("workspaces", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// What a model thought before a version of an answer, apart from the messages, which are read more often.
fn message_thoughts() -> TableCreateStatement {
    Table::create()
        .table("message_thoughts")
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(text("content"))
        .primary_key(Index::create().col("message_id").col("version"))
        .to_owned()
}
