//! Who is mentioned by which message: rows that are counted above what somebody has read.

use appcore::{AppError, ConversationId, UserId};
use sea_orm::DatabaseBackend;
use uuid::Uuid;

use super::{
    pieces::{Change, Piece},
    rows::Column,
};

/// Whom a message mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mentioned {
    Everybody,
    Person(UserId),
}

/// A mention, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMention {
    pub conversation_id: ConversationId,
    pub mentioned: Mentioned,
    pub no: i64,
}

/// What stands for everybody in place of a person, as a literal.
pub(super) const fn everybody(backend: DatabaseBackend) -> &'static str {
    match backend {
        DatabaseBackend::Postgres => "'00000000-0000-0000-0000-000000000000'::uuid",
        _ => "zeroblob(16)",
    }
}

pub fn insert(backend: DatabaseBackend, mentions: Vec<NewMention>) -> Result<Piece, AppError> {
    static INSERT: Change<3> =
        Change::insert("mentions", [Column::Uuid("user_id"), Column::Uuid("conversation_id"), Column::Int("no")]);
    let rows = mentions.into_iter().map(|mention| {
        let user = match mention.mentioned {
            Mentioned::Everybody => Uuid::nil(),
            Mentioned::Person(user) => user.0,
        };
        [user.into(), mention.conversation_id.0.into(), mention.no.into()]
    });
    INSERT.piece(backend, rows)
}
