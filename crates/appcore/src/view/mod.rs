//! Resources of the API. They are the same in REST responses and in events. There is one file per
//! kind of resource.

mod accounting;
mod admin;
mod api_key;
mod assistant;
mod audit_entry;
mod background_response;
mod ban;
mod batch;
mod billing;
mod board;
mod broadcast;
mod console;
mod conversation;
mod conversation_kind;
mod emoji;
mod event;
mod export;
mod gateway;
mod invitation;
mod job;
mod knowledge;
mod message;
mod moderation;
mod note;
mod notification;
mod poll;
mod scheduling;
mod search;
mod service_account;
mod share;
mod thread;
mod tool;
mod upload;
mod usage;
mod user;
mod workspace;

pub use accounting::{
    CreditSettings, LowBalance, Revenue, RevenueCredits, RevenueGroup, RevenueGrouping, RevenueMoney, RevenueSum,
    StoppedTopUp, SubscriptionCounts, TopUp,
};
pub use admin::{
    AdminConversation, AdminConversationMember, AdminOwner, AdminUser, AdminUserDetails, AdminUserWorkspace,
    AdminWorkspace, AdminWorkspaceMember, ChangedAccounts, InvitedUser, MailTest, QuestionTest, SentLink, Setting,
    SettingSource, Setup, SetupAddress, SetupMail, SetupModels, SetupWorkspace, SkippedAccount, UserStatus,
    WorkspaceKind, WorkspaceReference,
};
pub use api_key::ApiKey;
pub use assistant::{Assistant, Picture, Prompt, PromptAuthor, Visibility};
pub use audit_entry::AuditEntry;
pub use background_response::BackgroundResponseStatus;
pub use ban::Ban;
pub use batch::{BatchExecution, BatchFormat, BatchOutcome, BatchStatus, GatewayFileState, SubmissionState};
pub use billing::{
    AdminPayment, AdminPaymentDetails, AdminPaymentGateway, AdminSubscription, BillingDetails, ChangePreview,
    CreditNote, Credits, CurrentPlan, DifferenceState, Entitlements, LedgerEntry, Payment, PaymentDifference,
    PaymentDispute, PaymentEvent, PaymentGateway, PaymentMethod, PaymentMethodSetup, PaymentRefund, PaymentStatus,
    PlanChange, PlanInterval, PlanKind, PlanName, Price, PricingPlan, QuotaMetric, QuotaUse, RefundDecision,
    RefundFilter, ReleaseAs, SetupStatus, StorageUse, Subscription, SubscriptionStatus, WorkspaceEntitlements,
};
pub use board::{Board, BoardColumn, OwnTask, Task, TaskConversation, TaskPerson};
pub use broadcast::{
    Audience, Broadcast, BroadcastChannel, BroadcastPreview, BroadcastStatus, Severity, ShownBroadcast,
};
pub use console::{
    Check, CheckAbout, Checks, DrainState, EventStreamState, FigureName, FigureSeries, Figures, FiguresNow,
    FiguresRange, Incident, IncidentKind, Instance, ProfileKind, Verdict,
};
pub use conversation::{
    AssistantMember, Conversation, HistoryScope, Member, MemberRole, MentionAll, Notify, OwnMembership, OwnSettings,
    Posting, Section,
};
pub use conversation_kind::{Capabilities, ConversationCapabilities, ConversationKind};
pub use emoji::WorkspaceEmoji;
pub use event::LoggedEvent;
pub use export::{
    Export, ExportFormat, ExportedConversation, ExportedDevice, ExportedGatewayFile, ExportedIdentity, ExportedPasskey,
    ExportedSection, ExportedToolConnection,
};
pub use gateway::{
    AiProvider, Budget, BudgetLimit, BudgetPeriod, BudgetScope, EndUserSource, GatewayEndpoint, GatewayModel,
    LearnedModelSetting, LongPrice, ModelCapabilities, ModelDefinition, ModelDeployment, ModelFallbacks, ModelList,
    ModelParameterLimits, ModelPrice, ModelSampling, ModelThoughts, ProviderKey, ProviderKeyState, ProviderSource,
    ProviderTest, RestrictedParameter, ScopedBudget, UsableModel,
};
pub use invitation::{AdminInvitation, Invitation, InvitationDetails};
pub use job::{Job, JobKind, JobStatus};
pub use knowledge::{
    AnswerKnowledge, Citation, CitedPiece, Knowledge, KnowledgeContributor, KnowledgeFile, KnowledgeLimits,
    KnowledgeSearch, KnowledgeState,
};
pub use message::{
    AnswerContext, AnswerDetails, AnswerStats, ContextCoverage, ContextFile, Forwarded, Mention, MentionKind,
    MentionScope, Message, MessageStatus, OmissionReason, Participant, Preview, Reaction, Sender, SenderKind,
    ThreadSummary, Versions,
};
pub use moderation::{
    HiddenMessage, Report, ReportAction, ReportConversation, ReportDetails, ReportPerson, ReportReason, ReportReceipt,
    ReportStatus, Warning, WordAction, WordFilter,
};
pub use note::Note;
pub use notification::{Notification, NotificationKind, NotificationSettings, QuietHours};
pub use poll::{NewPoll, OwnVote, Poll, PollResult, PollResults};
pub use scheduling::{Draft, Reminder, Scheduled, ScheduledFailure};
pub use search::{
    CatchUp, FoundConversation, FoundInFile, SearchAnswer, SearchCorrection, SearchDayFacet, SearchFacet, SearchFacets,
    SearchHas, SearchHasFacet, SearchHit, SearchResults, SearchSort, SearchSource, SearchTotal, SearchType,
};
pub use service_account::{ServiceAccount, ServiceAccountContact};
pub use share::{Share, SharedChat, SharedMessage, Sharer};
pub use thread::{FollowedThread, Neighbours, SavedMessage, SavedState, Thread, ThreadPosition};
pub use tool::{
    AssistantTools, McpAuth, McpCommand, McpServer, McpTool, McpTransport, OfferedPrompt, OfferedPromptArgument,
    OfferedServer, OfferedTool, PromptText, ToolCall, ToolCallDetails, ToolCallStatus, ToolConnected, ToolConnection,
    ToolConnectionState, ToolDecision, ToolMode, ToolPermission, ToolSignIn, ToolVisibility, WorkspaceTools,
};
pub use upload::{ConversationFile, FileKind, TranscriptState, Upload, UploadKind, UploadStatus};
pub use usage::{UsageAttempt, UsageGroup, UsageGrouping, UsageRefusal, UsageRequest, UsageRequestDetails};
pub use user::{ChosenPresence, CustomStatus, Presence, PresenceStatus, User, UserPicture, UserRole, UserSession};
pub use workspace::{OfferedWorkspace, Workspace, WorkspaceMember, WorkspaceRole};

/// Implements storage by name for enums: the name in the API is also the text in the database
/// column.
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

        impl From<$name> for sea_orm::Value {
            fn from(name: $name) -> Self {
                name.as_str().into()
            }
        }

        impl sea_orm::TryGetable for $name {
            fn try_get_by<I: sea_orm::ColIdx>(row: &sea_orm::QueryResult, index: I) -> Result<Self, sea_orm::TryGetError> {
                let text = String::try_get_by(row, index)?;
                text.parse().map_err(|unknown: $crate::view::UnknownName| sea_orm::DbErr::Type(unknown.to_string()).into())
            }
        }

        impl sea_orm::sea_query::ValueType for $name {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                let text = <String as sea_orm::sea_query::ValueType>::try_from(value)?;
                text.parse().map_err(|_| sea_orm::sea_query::ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                sea_orm::sea_query::ArrayType::String
            }

            fn column_type() -> sea_orm::sea_query::ColumnType {
                <String as sea_orm::sea_query::ValueType>::column_type()
            }
        }

        impl sea_orm::sea_query::Nullable for $name {
            fn null() -> sea_orm::Value {
                <String as sea_orm::sea_query::Nullable>::null()
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl sea_orm::IntoActiveValue<Self> for $name {
            fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
                sea_orm::ActiveValue::Set(self)
            }
        }
    )*};
}
use stored_by_name;

/// Error for a stored name that is unknown to this version.
#[derive(Debug, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct UnknownName(pub String);
