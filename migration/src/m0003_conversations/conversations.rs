//! Conversations, their members, and data that members store about conversations.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, reference, string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub const INDEXES: &[&str] = &[
    // Titles are unique among the public channels of a workspace.
    "CREATE UNIQUE INDEX conversations_title ON conversations (workspace_id, search_title) WHERE kind = 'public_channel' AND NOT is_deleted",
    "CREATE UNIQUE INDEX conversations_default ON conversations (workspace_id) WHERE is_default AND NOT is_deleted",
    // The kind is a column of the index so that SQLite prefers this index to
    // `conversations_of_workspace`.
    "CREATE INDEX conversations_open ON conversations (workspace_id, kind) WHERE kind = 'public_channel' AND NOT is_deleted",
    "CREATE INDEX conversations_of_workspace ON conversations (workspace_id, id)",
    "CREATE INDEX conversations_ended_chats ON conversations (created_by) WHERE kind = 'assistant' AND is_deleted",
    "CREATE INDEX conversation_members_user ON conversation_members (user_id)",
    // Order of member lists: owners first, then by name.
    "CREATE INDEX conversation_members_listed ON conversation_members \
       (conversation_id, (CASE role WHEN 'owner' THEN 0 ELSE 1 END), search_name, user_id) WHERE NOT is_deleted",
    "CREATE INDEX conversation_members_all ON conversation_members (conversation_id) WHERE notify_chosen AND notify = 'all' AND NOT is_deleted",
    "CREATE INDEX sections_user ON sections (user_id)",
    "CREATE INDEX chat_shares_user ON chat_shares (user_id)",
    "CREATE INDEX drafts_listed ON drafts (user_id, updated_at)",
    // Unique, because pagination by `updated_at` relies on that.
    "CREATE UNIQUE INDEX notes_changed ON notes (user_id, updated_at)",
];

pub fn tables() -> Vec<TableCreateStatement> {
    vec![
        conversations(),
        conversation_members(),
        conversation_assistants(),
        conversation_counts(),
        sections(),
        chat_shares(),
        slow_mode_posts(),
        drafts(),
        notes(),
    ]
}

fn conversations() -> TableCreateStatement {
    Table::create()
        .table("conversations")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        .col(string("kind"))
        .col(string_null("title"))
        .col(string_null("topic"))
        // Workspace and sorted member ids of a direct conversation; unique, so that a pair has one
        // conversation.
        .col(string_null("pair_key").unique_key())
        .col(big_integer("last_seq"))
        .col(big_integer("last_activity_at"))
        .col(uuid("created_by"))
        .col(string_null("search_title"))
        // Number of the last message. In contrast, `last_seq` counts all events.
        .col(big_integer("last_no").default(0))
        .col(big_integer_null("archived_at"))
        .col(boolean("is_default").default(false))
        .col(string("posting").default("everyone"))
        // Model chosen for an assistant chat.
        .col(string_null("model"))
        .col(string("history").default("all"))
        .col(string("mention_all").default("everyone"))
        .col(big_integer("slow_mode_seconds").default(0))
        // Word filter as JSON.
        .col(text_null("word_filter"))
        .col(big_integer("last_message_at").default(0))
        .col(big_integer("created_at"))
        .col(boolean("is_deleted").default(false))
        .foreign_key(&mut reference("workspace_id", "workspaces"))
        .to_owned()
}

fn conversation_members() -> TableCreateStatement {
    Table::create()
        .table("conversation_members")
        .col(uuid("conversation_id"))
        .col(uuid("user_id"))
        .col(string("role"))
        .col(big_integer("read_seq").default(0))
        .col(big_integer("delivered_seq").default(0))
        .col(big_integer("joined_at"))
        .col(big_integer("read_no").default(0))
        // Folded name of the user, by which members are listed.
        .col(string("search_name").default(""))
        .col(string("notify").default("all"))
        .col(big_integer_null("muted_until"))
        .col(boolean("pinned").default(false))
        .col(uuid_null("section_id"))
        // Sequence number of the last event before the history that the member may read.
        .col(big_integer("from_seq").default(0))
        // True if `notify` overrides the member's general settings.
        .col(boolean("notify_chosen").default(false))
        .col(big_integer_null("removed_at"))
        .col(big_integer("receipt_seq").default(0))
        .col(boolean("is_deleted").default(false))
        .primary_key(Index::create().col("conversation_id").col("user_id"))
        .foreign_key(&mut reference("conversation_id", "conversations"))
        .foreign_key(&mut reference("user_id", "users"))
        .to_owned()
}

fn conversation_assistants() -> TableCreateStatement {
    Table::create()
        .table("conversation_assistants")
        .col(uuid("conversation_id"))
        .col(uuid("assistant_id"))
        .col(big_integer("joined_at"))
        .primary_key(Index::create().col("conversation_id").col("assistant_id"))
        .foreign_key(&mut reference("conversation_id", "conversations"))
        .to_owned()
}

/// Member counts of conversations. Kept in a separate table because each message locks the row of
/// its conversation.
fn conversation_counts() -> TableCreateStatement {
    Table::create()
        .table("conversation_counts")
        .col(uuid("conversation_id").primary_key())
        .col(big_integer("members"))
        .to_owned()
}

/// Sidebar sections of users. A section is also a project: it has instructions for assistants.
fn sections() -> TableCreateStatement {
    Table::create()
        .table("sections")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        .col(big_integer("position"))
        .col(text("instructions").default(""))
        .to_owned()
}

/// Assistant chats shared with the workspace.
fn chat_shares() -> TableCreateStatement {
    Table::create()
        .table("chat_shares")
        .col(uuid("conversation_id").primary_key())
        // Id of the share in its link.
        .col(uuid("id").unique_key())
        .col(uuid("user_id"))
        // Shared messages and their versions as JSON.
        .col(text("messages"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Time of each member's last message in conversations with slow mode.
fn slow_mode_posts() -> TableCreateStatement {
    Table::create()
        .table("slow_mode_posts")
        .col(uuid("conversation_id"))
        .col(uuid("user_id"))
        .col(big_integer("posted_at"))
        .primary_key(Index::create().col("conversation_id").col("user_id"))
        .to_owned()
}

/// Drafts. An empty draft marks one that was sent or discarded, so that an update made earlier, but
/// received later, is ignored.
fn drafts() -> TableCreateStatement {
    Table::create()
        .table("drafts")
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        // Root message of the thread; the nil UUID for a draft of the main conversation.
        .col(uuid("thread_id"))
        .col(text("content"))
        .col(uuid_null("reply_to"))
        .col(big_integer("updated_at"))
        .primary_key(Index::create().col("user_id").col("conversation_id").col("thread_id"))
        .to_owned()
}

fn notes() -> TableCreateStatement {
    Table::create()
        .table("notes")
        .col(uuid("user_id"))
        // Id of the note, chosen by the client.
        .col(uuid("id"))
        .col(string("title"))
        .col(text("content"))
        .col(boolean("pinned"))
        .col(big_integer("version"))
        .col(big_integer("created_at"))
        // Time of the edit according to the client. In contrast, `updated_at` is unique per user.
        .col(big_integer("edited_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("deleted_at"))
        .primary_key(Index::create().col("user_id").col("id"))
        .to_owned()
}
