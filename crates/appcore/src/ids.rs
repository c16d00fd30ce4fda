//! Identifiers. Each is a UUIDv7 in a type of its own, so that one can't be passed for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sea_orm::DeriveValueType, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, ordered by time of creation.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "each call gives another id, which is no default")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

id! {
    /// A person's account.
    UserId,
    /// A sign-in on one device: the family of its refresh tokens, and the `sid` of its access tokens.
    SessionId,
    /// A program's key to its owner's account.
    ApiKeyId,
    /// A tenant.
    WorkspaceId,
    /// An invitation to a tenant.
    InvitationId,
    /// A conversation of any kind.
    ConversationId,
    /// A folder of somebody's sidebar.
    SectionId,
    /// A chat that is shown to others.
    ShareId,
    /// A column of a conversation's board.
    BoardColumnId,
    /// A task on a conversation's board.
    TaskId,
    /// A note that somebody keeps for themselves.
    NoteId,
    /// Something that somebody is told of.
    NotificationId,
    /// An announcement of the administrators.
    BroadcastId,
    /// A message.
    MessageId,
    /// A message that is sent later.
    ScheduledId,
    /// That somebody wants to be reminded of a message.
    ReminderId,
    /// A file.
    UploadId,
    /// An assistant that can be a member of conversations.
    AssistantId,
    /// A prompt template.
    PromptId,
    /// A file that an assistant knows.
    KnowledgeFileId,
    /// A server of tools.
    McpServerId,
    /// A call of a tool.
    ToolCallId,
    /// That somebody lets an assistant call a tool.
    ToolPermissionId,
    /// A durable job.
    JobId,
    /// One durable or passing event.
    EventId,
    /// Who somebody is at a provider of identities.
    IdentityId,
    /// A passkey.
    PasskeyId,
    /// One run of the program.
    InstanceId,
    /// An address that is kept out for a time.
    BanId,
    /// That somebody reported a message.
    ReportId,
    /// What a moderator told somebody.
    WarningId,
    /// One line of the audit log.
    AuditEntryId,
    /// Something that can be bought.
    PlanId,
    /// A payment.
    PaymentId,
    /// Something that a payer has saved to pay with.
    PaymentMethodId,
    /// Saving a payment method without buying anything.
    PaymentMethodSetupId,
    /// Where a payment gateway and we don't say the same.
    PaymentDifferenceId,
    /// Money that goes back to a payer.
    PaymentRefundId,
    /// One open real-time connection.
    ConnectionId,
}
