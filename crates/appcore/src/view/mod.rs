//! What callers see: the resources of the contract, alike in REST answers and in events. One file per noun.

mod api_key;
mod assistant;
mod audit_entry;
mod ban;
mod conversation;
mod event;
mod export;
mod gateway;
mod invitation;
mod job;
mod kind;
mod message;
mod money;
mod tool;
mod upload;
mod user;
mod workspace;

pub use api_key::ApiKey;
pub use assistant::{Assistant, Picture, Prompt, PromptAuthor, Visibility};
pub use audit_entry::AuditEntry;
pub use ban::Ban;
pub use conversation::{
    AssistantMember, Conversation, HistoryScope, Member, MemberRole, MentionAll, Notify, OwnMembership, OwnSettings,
    Posting, Section,
};
pub use event::LoggedEvent;
pub use export::{Export, ExportedConversation, ExportedDevice, ExportedIdentity, ExportedPasskey};
pub use gateway::{
    AiProvider, Budget, BudgetLimit, BudgetPeriod, BudgetScope, GatewayEndpoint, GatewayModel, ModelCapabilities,
    ModelDefinition, ModelDeployment, ModelFallbacks, ModelPrice, ProviderKey, ProviderKeyState, ProviderTest,
    ScopedBudget, UsableModel, UsageGroup, UsageGrouping, UsageRequest,
};
pub use invitation::{Invitation, InvitedTo};
pub use job::{Job, JobStatus};
pub use kind::{Capabilities, ConversationKind};
pub use message::{
    AnswerContext, AnswerDetails, AnswerFigures, Mention, MentionKind, Message, MessageStatus, Sender, SenderKind,
    Versions,
};
pub use money::{
    AdminPayment, Credits, CurrentPlan, Entitlements, LedgerEntry, Payment, PaymentGateway, PaymentStatus,
    PlanInterval, PlanKind, Price, PricingPlan, QuotaMetric, QuotaUse,
};
pub use tool::{
    AssistantTools, McpCommand, McpServer, McpTool, McpTransport, OfferedServer, OfferedTo, OfferedTool, ToolCall,
    ToolCallStatus, ToolDecision, ToolMode,
};
pub use upload::{Upload, UploadKind, UploadStatus};
pub use user::{Presence, PresenceStatus, User, UserRole, UserSession};
pub use workspace::{OfferedWorkspace, Workspace, WorkspaceMember, WorkspaceRole};

/// Enums that are stored by the name that they have on the wire.
macro_rules! stored_by_name {
    ($($name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        impl $name {
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::view::UnknownName;

            fn from_str(text: &str) -> Result<Self, $crate::view::UnknownName> {
                match text { $($text => Ok(Self::$variant),)* other => Err($crate::view::UnknownName(other.to_owned())) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
use stored_by_name;

/// A stored name that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct UnknownName(pub String);
