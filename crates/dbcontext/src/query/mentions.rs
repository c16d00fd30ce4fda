//! Mentions in messages. Stored as rows, so that the mentions after a read position can be counted.

use appcore::{ConversationId, UserId};
use sea_orm::DatabaseBackend;
use uuid::Uuid;

use super::{
    pieces::{Change, Piece},
    rows::{Column, Field},
};

/// Target of a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MentionTarget {
    Everybody,
    Person(UserId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewMention {
    pub conversation_id: ConversationId,
    pub mentioned: MentionTarget,
    pub no: i64,
}

/// SQL literal that stands for everyone in place of a user id.
pub(super) const fn everyone_literal(backend: DatabaseBackend) -> &'static str {
    match backend {
        DatabaseBackend::Postgres => "'00000000-0000-0000-0000-000000000000'::uuid",
        _ => "zeroblob(16)",
    }
}

pub fn insert(mentions: Vec<NewMention>) -> Piece {
    static INSERT: Change<3> = Change::new(
        COLUMNS,
        "INSERT INTO mentions (user_id, conversation_id, no) SELECT w.user_id, w.conversation_id, w.no FROM {} WHERE TRUE \
         ON CONFLICT (user_id, conversation_id, no) DO NOTHING",
        "INSERT INTO mentions (user_id, conversation_id, no) VALUES (?, ?, ?) ON CONFLICT (user_id, conversation_id, no) DO NOTHING",
    );
    INSERT.piece(mentions.into_iter().map(fields))
}

/// Deletes mentions that a message no longer contains.
pub fn remove(mentions: Vec<NewMention>) -> Piece {
    static REMOVE: Change<3> = Change::new(
        COLUMNS,
        "DELETE FROM mentions WHERE (user_id, conversation_id, no) IN (SELECT w.user_id, w.conversation_id, w.no FROM {})",
        "DELETE FROM mentions WHERE user_id = ? AND conversation_id = ? AND no = ?",
    );
    REMOVE.piece(mentions.into_iter().map(fields))
}

const COLUMNS: [Column; 3] = [Column::Uuid("user_id"), Column::Uuid("conversation_id"), Column::Int("no")];

fn fields(mention: NewMention) -> [Field; 3] {
    let user = match mention.mentioned {
        MentionTarget::Everybody => Uuid::nil(),
        MentionTarget::Person(user) => user.0,
    };
    [user.into(), mention.conversation_id.0.into(), mention.no.into()]
}
