//! Identifiers. All are UUIDs of version 7, but each kind has a type of its own, so that ids of
//! different kinds can't be mixed up.

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
            /// Creates an id. Ids are ordered by their time of creation.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "each call returns a different id, which is no default")]
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
    /// A user account.
    UserId,
    /// A sign-in on one device. It has a family of refresh tokens, and is the `sid` of its access
    /// tokens.
    SessionId,
    /// An API key of a user.
    ApiKeyId,
    /// A file that a program uploaded under `/v1/files`, or that a batch wrote.
    GatewayFileId,
    /// A batch of gateway calls.
    BatchId,
    /// A part of a batch that is submitted to a provider.
    BatchSubmissionId,
    /// A response of the gateway that is created in the background.
    BackgroundResponseId,
    /// A workspace (tenant).
    WorkspaceId,
    /// An invitation to a workspace.
    InvitationId,
    /// A conversation of any kind.
    ConversationId,
    /// A section of a user's sidebar.
    SectionId,
    /// A shared chat.
    ShareId,
    /// A column of a conversation's board.
    BoardColumnId,
    /// A task on a conversation's board.
    TaskId,
    /// A user's private note.
    NoteId,
    /// A notification.
    NotificationId,
    /// An announcement of the administrators.
    BroadcastId,
    /// A message.
    MessageId,
    /// A scheduled message.
    ScheduledId,
    /// A reminder of a message.
    ReminderId,
    /// An uploaded file.
    UploadId,
    /// An assistant.
    AssistantId,
    /// A prompt template.
    PromptId,
    /// A knowledge file.
    KnowledgeFileId,
    /// An MCP server.
    McpServerId,
    /// A tool call.
    ToolCallId,
    /// A user's permission for an assistant to call a tool without confirmation.
    ToolPermissionId,
    /// A durable job.
    JobId,
    /// A durable or ephemeral event.
    EventId,
    /// A user's account at an identity provider.
    IdentityId,
    /// A passkey.
    PasskeyId,
    /// A run of the program.
    InstanceId,
    /// A ban of a network.
    BanId,
    /// A report of a message.
    ReportId,
    /// A moderator's warning to a user.
    WarningId,
    /// An entry of the audit log.
    AuditEntryId,
    /// A plan that can be bought.
    PlanId,
    /// A payment.
    PaymentId,
    /// A saved payment method.
    PaymentMethodId,
    /// The process of saving a payment method without a purchase.
    PaymentMethodSetupId,
    /// A difference between our records of a payment and the gateway's.
    PaymentDifferenceId,
    /// A refund of a payment.
    PaymentRefundId,
    /// An open real-time connection.
    ConnectionId,
}
