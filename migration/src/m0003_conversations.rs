//! Conversations, who is in them, their messages and their event log.

use crate::{prelude::*, schema::*};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Conversations::Table)
                    .col(uuid(Conversations::Id).primary_key())
                    .col(uuid(Conversations::WorkspaceId))
                    .col(string(Conversations::Kind))
                    .col(string_null(Conversations::Title))
                    .col(string_null(Conversations::Topic))
                    // The two people of a `single` and their workspace, in order: one conversation per pair.
                    .col(string_null(Conversations::PairKey).unique_key())
                    .col(big_integer(Conversations::LastSeq))
                    .col(big_integer(Conversations::LastActivityAt))
                    .col(uuid(Conversations::CreatedBy))
                    .col(big_integer(Conversations::CreatedAt))
                    .col(boolean(Conversations::IsDeleted).default(false))
                    .foreign_key(
                        ForeignKey::create()
                            .from(Conversations::Table, Conversations::WorkspaceId)
                            .to(Alias::new("workspaces"), Alias::new("id")),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ConversationMembers::Table)
                    .col(uuid(ConversationMembers::ConversationId))
                    .col(uuid(ConversationMembers::UserId))
                    .col(string(ConversationMembers::Role))
                    .col(big_integer(ConversationMembers::ReadSeq).default(0))
                    .col(big_integer(ConversationMembers::DeliveredSeq).default(0))
                    .col(big_integer(ConversationMembers::JoinedAt))
                    .col(boolean(ConversationMembers::IsDeleted).default(false))
                    .primary_key(
                        Index::create().col(ConversationMembers::ConversationId).col(ConversationMembers::UserId),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(ConversationMembers::Table, ConversationMembers::ConversationId)
                            .to(Conversations::Table, Conversations::Id),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(ConversationMembers::Table, ConversationMembers::UserId)
                            .to(Alias::new("users"), Alias::new("id")),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("conversation_members_user")
                    .table(ConversationMembers::Table)
                    .col(ConversationMembers::UserId)
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ConversationAssistants::Table)
                    .col(uuid(ConversationAssistants::ConversationId))
                    .col(uuid(ConversationAssistants::AssistantId))
                    .col(big_integer(ConversationAssistants::JoinedAt))
                    .primary_key(
                        Index::create()
                            .col(ConversationAssistants::ConversationId)
                            .col(ConversationAssistants::AssistantId),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(ConversationAssistants::Table, ConversationAssistants::ConversationId)
                            .to(Conversations::Table, Conversations::Id),
                    )
                    .to_owned(),
            )
            .await?;
        // The writer checks membership and the conversation under its lock, so the hot tables carry no foreign keys.
        manager
            .create_table(
                Table::create()
                    .table(Messages::Table)
                    .col(uuid(Messages::Id).primary_key())
                    .col(uuid(Messages::ConversationId))
                    .col(big_integer(Messages::Seq))
                    .col(string(Messages::SenderKind))
                    .col(uuid_null(Messages::SenderId))
                    .col(string_null(Messages::ClientId))
                    .col(text(Messages::Content))
                    .col(string(Messages::Status))
                    .col(uuid_null(Messages::ReplyTo))
                    .col(string_null(Messages::Model))
                    .col(string_null(Messages::Reason))
                    .col(big_integer_null(Messages::EditedAt))
                    .col(big_integer_null(Messages::DeletedAt))
                    .col(big_integer(Messages::CreatedAt))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("messages_seq")
                    .table(Messages::Table)
                    .col(Messages::ConversationId)
                    .col(Messages::Seq)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("messages_client_id")
                    .table(Messages::Table)
                    .col(Messages::ConversationId)
                    .col(Messages::SenderId)
                    .col(Messages::ClientId)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ConversationEvents::Table)
                    .col(uuid(ConversationEvents::ConversationId))
                    .col(big_integer(ConversationEvents::Seq))
                    .col(string(ConversationEvents::Kind))
                    .col(text(ConversationEvents::Payload))
                    .col(big_integer(ConversationEvents::CreatedAt))
                    // The batch that it was committed in, if other instances have to be told.
                    .col(uuid_null(ConversationEvents::GroupId))
                    .primary_key(Index::create().col(ConversationEvents::ConversationId).col(ConversationEvents::Seq))
                    .to_owned(),
            )
            .await?;
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX conversation_events_group ON conversation_events (group_id) WHERE group_id IS NOT NULL",
            )
            .await?;
        // For the removal of old events.
        manager
            .create_index(
                Index::create()
                    .name("conversation_events_created")
                    .table(ConversationEvents::Table)
                    .col(ConversationEvents::CreatedAt)
                    .to_owned(),
            )
            .await?;
        // The outbox: batches that are not known to be published. A row is removed once it is, so the table stays small.
        manager
            .create_table(
                Table::create()
                    .table(EventGroups::Table)
                    .col(uuid(EventGroups::Id).primary_key())
                    .col(big_integer(EventGroups::CreatedAt))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(EventGroups::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(ConversationEvents::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Messages::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(ConversationAssistants::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(ConversationMembers::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Conversations::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum Conversations {
    Table,
    Id,
    WorkspaceId,
    Kind,
    Title,
    Topic,
    PairKey,
    LastSeq,
    LastActivityAt,
    CreatedBy,
    CreatedAt,
    IsDeleted,
}

#[derive(DeriveIden)]
enum ConversationMembers {
    Table,
    ConversationId,
    UserId,
    Role,
    ReadSeq,
    DeliveredSeq,
    JoinedAt,
    IsDeleted,
}

#[derive(DeriveIden)]
enum ConversationAssistants {
    Table,
    ConversationId,
    AssistantId,
    JoinedAt,
}

#[derive(DeriveIden)]
enum Messages {
    Table,
    Id,
    ConversationId,
    Seq,
    SenderKind,
    SenderId,
    ClientId,
    Content,
    Status,
    ReplyTo,
    Model,
    Reason,
    EditedAt,
    DeletedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum ConversationEvents {
    Table,
    ConversationId,
    Seq,
    Kind,
    Payload,
    CreatedAt,
    GroupId,
}

#[derive(DeriveIden)]
enum EventGroups {
    Table,
    Id,
    CreatedAt,
}
