//! Reports of messages, hidden messages and warnings.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, text, text_null, uuid, uuid_null},
};

pub const INDEXES: &[&str] = &[
    "CREATE INDEX message_reports_queue ON message_reports (status, created_at)",
    "CREATE INDEX message_reports_author ON message_reports (author_id, created_at)",
    "CREATE INDEX message_reports_reporter ON message_reports (reporter_id, status)",
    // A user may have only one open report of a message.
    "CREATE UNIQUE INDEX message_reports_once ON message_reports (message_id, reporter_id) WHERE status <> 'closed'",
    "CREATE INDEX message_reports_message ON message_reports (message_id)",
    "CREATE INDEX user_warnings_unseen ON user_warnings (user_id, created_at)",
];

pub fn tables() -> Vec<TableCreateStatement> {
    vec![message_reports(), hidden_messages(), user_warnings()]
}

fn message_reports() -> TableCreateStatement {
    Table::create()
        .table("message_reports")
        .col(uuid("id").primary_key())
        .col(uuid("message_id"))
        .col(uuid("conversation_id"))
        .col(uuid("reporter_id"))
        .col(string("author_kind"))
        .col(uuid_null("author_id"))
        .col(string("reason"))
        .col(text_null("comment"))
        // Text of the message when it was reported; cleared when the report is closed.
        .col(text_null("excerpt"))
        // `open`, `taken` or `closed`.
        .col(string("status"))
        .col(uuid_null("assigned_to"))
        .col(big_integer_null("assigned_at"))
        .col(uuid_null("closed_by"))
        .col(big_integer_null("closed_at"))
        // Comma-separated actions taken; empty if the report was dismissed.
        .col(string("actions").default(""))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Content of messages that a moderator hides.
fn hidden_messages() -> TableCreateStatement {
    Table::create()
        .table("hidden_messages")
        .col(uuid("message_id").primary_key())
        .col(uuid("hidden_by"))
        .col(text("content"))
        .col(text_null("attachments"))
        .col(text_null("forwarded"))
        .col(text_null("tool_calls"))
        .col(text_null("answer"))
        .to_owned()
}

fn user_warnings() -> TableCreateStatement {
    Table::create()
        .table("user_warnings")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("issued_by"))
        .col(uuid_null("message_id"))
        .col(uuid_null("conversation_id"))
        .col(string("reason"))
        .col(text_null("comment"))
        .col(big_integer_null("seen_at"))
        .col(big_integer("created_at"))
        .to_owned()
}
