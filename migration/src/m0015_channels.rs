//! Channels: settings of a conversation and of its members, counters in place of counting, mentions and sections.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_null, text_null, uuid, uuid_null},
};

pub struct Migration;

const CONVERSATIONS: &str = "conversations";
const MEMBERS: &str = "conversation_members";
const MESSAGES: &str = "messages";

/// Fills the new columns from what is there.
const FILL: [&str; 6] = [
    "UPDATE conversations SET search_title = LOWER(title) WHERE title IS NOT NULL",
    "UPDATE messages SET no = n.no FROM \
       (SELECT id, ROW_NUMBER() OVER (PARTITION BY conversation_id ORDER BY seq) AS no FROM messages) AS n WHERE messages.id = n.id",
    "UPDATE conversations SET last_no = \
       COALESCE((SELECT MAX(n.no) FROM messages n WHERE n.conversation_id = conversations.id), 0)",
    // What somebody has read, or written themselves.
    "UPDATE conversation_members SET read_no = COALESCE((SELECT MAX(n.no) FROM messages n \
       WHERE n.conversation_id = conversation_members.conversation_id \
         AND (n.seq <= conversation_members.read_seq OR n.sender_id = conversation_members.user_id)), 0)",
    "UPDATE conversation_members SET search_name = \
       COALESCE((SELECT u.search_name FROM users u WHERE u.id = conversation_members.user_id), '')",
    "INSERT INTO conversation_counts (conversation_id, members) \
       SELECT c.id, (SELECT COUNT(*) FROM conversation_members m WHERE m.conversation_id = c.id AND NOT m.is_deleted) FROM conversations c",
];

/// Name and what comes after `ON`; the third says whether it is unique.
const INDEXES: [(&str, &str, bool); 4] = [
    // A public channel's title is the only one in its workspace, whatever its case.
    (
        "conversations_title",
        "conversations (workspace_id, search_title) WHERE kind = 'public_channel' AND NOT is_deleted",
        true,
    ),
    ("conversations_default", "conversations (workspace_id) WHERE is_default AND NOT is_deleted", true),
    // Members as they are listed: owners first, then by name.
    (
        "conversation_members_listed",
        "conversation_members (conversation_id, (CASE role WHEN 'owner' THEN 0 ELSE 1 END), search_name, user_id) WHERE NOT is_deleted",
        false,
    ),
    ("messages_created", "messages (conversation_id, created_at, seq)", false),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(counts()).await?;
        manager.create_table(mentions()).await?;
        manager.create_table(sections()).await?;
        manager.create_index(Index::create().name("sections_user").table("sections").col("user_id").to_owned()).await?;
        let db = manager.get_connection();
        for statement in FILL {
            db.execute_unprepared(statement).await?;
        }
        for (name, on, is_unique) in INDEXES {
            let unique = if is_unique { "UNIQUE " } else { "" };
            db.execute_unprepared(&format!("CREATE {unique}INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An earlier release knows no channels.
        let statement =
            "UPDATE conversations SET is_deleted = TRUE WHERE kind IN ('public_channel', 'private_channel')";
        manager.get_connection().execute_unprepared(statement).await?;
        for (name, ..) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        for table in ["sections", "mentions", "conversation_counts"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 13] {
    [
        (CONVERSATIONS, string_null("search_title")),
        (CONVERSATIONS, big_integer("last_no").default(0).to_owned()),
        (CONVERSATIONS, big_integer_null("archived_at")),
        (CONVERSATIONS, boolean("is_default").default(false).to_owned()),
        (CONVERSATIONS, string("posting").default("everyone").to_owned()),
        (MEMBERS, big_integer("read_no").default(0).to_owned()),
        (MEMBERS, string("search_name").default("").to_owned()),
        (MEMBERS, string("notify").default("all").to_owned()),
        (MEMBERS, big_integer_null("muted_until")),
        (MEMBERS, boolean("pinned").default(false).to_owned()),
        (MEMBERS, uuid_null("section_id")),
        // Counts the messages of a conversation, as `seq` counts all of its events.
        (MESSAGES, big_integer("no").default(0).to_owned()),
        // As JSON, for those who read the message; what is counted is in `mentions`.
        (MESSAGES, text_null("mentions")),
    ]
}

/// How many are in a conversation. Not in its own row, which messages lock: people come and go without waiting for them.
fn counts() -> TableCreateStatement {
    Table::create()
        .table("conversation_counts")
        .col(uuid("conversation_id").primary_key())
        .col(big_integer("members"))
        .to_owned()
}

/// Who is mentioned by which message. `user_id` is nil where everybody is.
fn mentions() -> TableCreateStatement {
    Table::create()
        .table("mentions")
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        .col(big_integer("no"))
        .primary_key(Index::create().col("user_id").col("conversation_id").col("no"))
        .to_owned()
}

/// Folders of a person's sidebar.
fn sections() -> TableCreateStatement {
    Table::create()
        .table("sections")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        .col(big_integer("position"))
        .to_owned()
}
