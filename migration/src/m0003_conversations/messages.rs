//! Messages, their versions and metadata, the event log and its outbox.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, small_integer, string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX messages_seq ON messages (conversation_id, seq)",
    "CREATE UNIQUE INDEX messages_client_id ON messages (conversation_id, sender_id, client_id)",
    "CREATE INDEX messages_hidden ON messages (hidden_by, hidden_version) WHERE hidden_by IS NOT NULL",
    "CREATE INDEX messages_created ON messages (conversation_id, created_at, seq)",
    "CREATE INDEX messages_thread ON messages (thread_id, thread_no) WHERE thread_id IS NOT NULL",
    "CREATE INDEX messages_pinned ON messages (conversation_id, pinned_at) WHERE pinned_at IS NOT NULL",
    "CREATE INDEX messages_with_files ON messages (conversation_id, seq) WHERE attachments IS NOT NULL",
    "CREATE INDEX reactions_shown ON reactions (message_id, emoji, seq)",
    "CREATE INDEX poll_votes_shown ON poll_votes (message_id, choice, seq)",
    "CREATE INDEX poll_votes_user ON poll_votes (user_id)",
    "CREATE INDEX thread_followers_root ON thread_followers (root_id)",
    "CREATE INDEX saved_messages_listed ON saved_messages (user_id, saved_at)",
    "CREATE INDEX saved_messages_message ON saved_messages (message_id)",
    "CREATE INDEX reminders_listed ON reminders (user_id, at)",
    "CREATE INDEX scheduled_messages_listed ON scheduled_messages (user_id, send_at)",
    // Makes a retry with the same `client_id` find the same message.
    "CREATE UNIQUE INDEX scheduled_messages_once ON scheduled_messages (user_id, conversation_id, client_id)",
    "CREATE INDEX conversation_events_outbox ON conversation_events (outbox_id) WHERE outbox_id IS NOT NULL",
    "CREATE INDEX conversation_events_created ON conversation_events (created_at)",
    "CREATE INDEX conversation_events_message ON conversation_events (message_id) WHERE message_id IS NOT NULL",
];

pub fn tables() -> Vec<TableCreateStatement> {
    vec![
        messages(),
        message_versions(),
        mentions(),
        reactions(),
        poll_votes(),
        thread_followers(),
        saved_messages(),
        reminders(),
        scheduled_messages(),
        disabled_previews(),
        conversation_events(),
        event_outbox(),
    ]
}

/// The table has no foreign keys: the writer checks the membership and the conversation while it
/// holds the lock.
fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .col(uuid("id").primary_key())
        .col(uuid("conversation_id"))
        .col(big_integer("seq"))
        .col(string("sender_kind"))
        .col(uuid_null("sender_id"))
        .col(string_null("client_id"))
        .col(text("content"))
        .col(string("status"))
        .col(uuid_null("reply_to"))
        .col(string_null("model"))
        .col(string_null("reason"))
        .col(big_integer("version").default(1))
        .col(big_integer("version_count").default(1))
        // Message with several versions, to whose version `hidden_version` this message belongs.
        // While set, this message is not shown.
        .col(uuid_null("hidden_by"))
        .col(big_integer_null("hidden_version"))
        // Number of the message among the messages of its conversation; `seq` is its number among
        // all events.
        .col(big_integer("no").default(0))
        // Mentions as JSON, shown with the message. Mentions are counted in the table `mentions`.
        .col(text_null("mentions"))
        // Metadata of an assistant's answer as JSON.
        .col(text_null("answer"))
        // Public view of the tool calls as JSON.
        .col(text_null("tool_calls"))
        // Attachments as JSON.
        .col(text_null("attachments"))
        // Root message of the thread that a reply belongs to.
        .col(uuid_null("thread_id"))
        .col(big_integer_null("thread_no"))
        .col(boolean("also_to_conversation").default(false))
        // Summary of the thread of a root message as JSON.
        .col(text_null("thread"))
        .col(big_integer_null("thread_last_no"))
        .col(big_integer_null("thread_at"))
        .col(big_integer_null("solved_at"))
        // Reactions as JSON, a summary of the table `reactions`.
        .col(text_null("reactions"))
        .col(big_integer_null("pinned_at"))
        // Forwarded message as JSON.
        .col(text_null("forwarded"))
        // Time at which a moderator hid the message; its content is then in `hidden_messages`.
        .col(big_integer_null("hidden_at"))
        .col(text_null("previews"))
        // Poll as JSON: its options and a summary of the table `poll_votes`.
        .col(text_null("poll"))
        .col(big_integer("created_at"))
        .col(big_integer_null("edited_at"))
        .col(big_integer_null("deleted_at"))
        .to_owned()
}

/// Versions of messages other than the current one.
fn message_versions() -> TableCreateStatement {
    Table::create()
        .table("message_versions")
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(text("content"))
        .col(string("status"))
        .col(string_null("reason"))
        .col(string_null("model"))
        .col(text_null("answer"))
        .col(text_null("tool_calls"))
        .primary_key(Index::create().col("message_id").col("version"))
        .to_owned()
}

/// Users mentioned by messages; `user_id` is nil if the message mentions everyone.
fn mentions() -> TableCreateStatement {
    Table::create()
        .table("mentions")
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        .col(big_integer("no"))
        .primary_key(Index::create().col("user_id").col("conversation_id").col("no"))
        .to_owned()
}

fn reactions() -> TableCreateStatement {
    Table::create()
        .table("reactions")
        .col(uuid("message_id"))
        .col(string("emoji"))
        .col(uuid("user_id"))
        // Sequence number of the reaction's event, by which users are ordered.
        .col(big_integer("seq"))
        .primary_key(Index::create().col("message_id").col("emoji").col("user_id"))
        .to_owned()
}

fn poll_votes() -> TableCreateStatement {
    Table::create()
        .table("poll_votes")
        .col(uuid("message_id"))
        .col(uuid("user_id"))
        // Index of the chosen option.
        .col(small_integer("choice"))
        // Sequence number of the vote's event, by which voters are ordered.
        .col(big_integer("seq"))
        .primary_key(Index::create().col("message_id").col("user_id").col("choice"))
        .to_owned()
}

fn thread_followers() -> TableCreateStatement {
    Table::create()
        .table("thread_followers")
        .col(uuid("user_id"))
        .col(uuid("root_id"))
        .col(big_integer("read_no"))
        .primary_key(Index::create().col("user_id").col("root_id"))
        .to_owned()
}

fn saved_messages() -> TableCreateStatement {
    Table::create()
        .table("saved_messages")
        .col(uuid("user_id"))
        .col(uuid("message_id"))
        .col(big_integer("saved_at"))
        .primary_key(Index::create().col("user_id").col("message_id"))
        .to_owned()
}

fn reminders() -> TableCreateStatement {
    Table::create()
        .table("reminders")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("message_id"))
        .col(big_integer("at"))
        .col(text_null("note"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn scheduled_messages() -> TableCreateStatement {
    Table::create()
        .table("scheduled_messages")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        .col(string("client_id"))
        // Message to send, as JSON.
        .col(text("payload"))
        .col(big_integer("send_at"))
        // Time at which sending started; while it is set, the message can't be edited.
        .col(big_integer_null("sending_at"))
        .col(string_null("failure"))
        .col(text_null("failure_message"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Users and workspaces that have link previews disabled.
fn disabled_previews() -> TableCreateStatement {
    Table::create().table("disabled_previews").col(uuid("subject_id").primary_key()).to_owned()
}

fn conversation_events() -> TableCreateStatement {
    Table::create()
        .table("conversation_events")
        .col(uuid("conversation_id"))
        .col(big_integer("seq"))
        .col(string("kind"))
        .col(text("payload"))
        // Outbox entry of the batch that the event was committed in; NULL if no other instance must
        // be notified.
        .col(uuid_null("outbox_id"))
        // Message whose text the event contains; NULL for the event that created the message.
        .col(uuid_null("message_id"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("conversation_id").col("seq"))
        .to_owned()
}

/// Outbox: batches of events whose publication is not confirmed.
fn event_outbox() -> TableCreateStatement {
    Table::create().table("event_outbox").col(uuid("id").primary_key()).col(big_integer("created_at")).to_owned()
}
