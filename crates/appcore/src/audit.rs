//! Actions of the audit log.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Action that the audit log records. Each row of the table is the action's name in the
        /// code and its name in the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $name),* }

        impl Action {
            /// All actions, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Name of the action in the audit log.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

actions! {
    SignUp = "auth.signup";
    SignIn = "auth.signin";
    SignInFailed = "auth.signin_failed";
    SignOut = "auth.signout";
    /// A refresh token was used twice, and its session ended.
    RefreshReused = "auth.refresh_reused";
    /// A signed-in user confirmed their identity again.
    Confirmed = "auth.confirmed";
    PasswordChanged = "auth.password_changed";
    SecondFactorAdded = "auth.second_factor_added";
    SecondFactorRemoved = "auth.second_factor_removed";
    PasskeyAdded = "auth.passkey_added";
    PasskeyRemoved = "auth.passkey_removed";
    IdentityLinked = "auth.identity_linked";
    IdentityUnlinked = "auth.identity_unlinked";
    PasswordReset = "auth.password_reset";
    EmailVerified = "auth.email_verified";
    EmailChangeRequested = "auth.email_change_requested";
    EmailChanged = "auth.email_changed";
    Exported = "user.exported";
    Deleted = "user.deleted";
    SessionEnded = "auth.session_ended";
    WorkspaceCreated = "workspace.created";
    WorkspaceChanged = "workspace.changed";
    WorkspaceDeleted = "workspace.deleted";
    WorkspaceJoined = "workspace.joined";
    WorkspaceLeft = "workspace.left";
    WorkspaceMemberAdded = "workspace.member_added";
    WorkspaceMemberRemoved = "workspace.member_removed";
    WorkspaceRoleChanged = "workspace.role_changed";
    InvitationCreated = "workspace.invitation_created";
    InvitationRevoked = "workspace.invitation_revoked";
    InvitationAccepted = "workspace.invitation_accepted";
    ApiKeyCreated = "auth.api_key_created";
    ApiKeyChanged = "auth.api_key_changed";
    ApiKeyRotated = "auth.api_key_rotated";
    ApiKeyRevoked = "auth.api_key_revoked";
    /// An administrator added a ban. [`AddressBanned`](Action::AddressBanned) stands for automatic
    /// bans.
    BanAdded = "admin.ban_added";
    BanLifted = "admin.ban_lifted";
    UserInvited = "admin.user_invited";
    UserSuspended = "admin.user_suspended";
    UserRestored = "admin.user_restored";
    UserRoleChanged = "admin.user_role_changed";
    UserSessionsEnded = "admin.user_sessions_ended";
    UserPasswordReset = "admin.user_password_reset";
    UserSecondFactorRemoved = "admin.user_second_factor_removed";
    UserExported = "admin.user_exported";
    UserDeleted = "admin.user_deleted";
    WorkspaceOwnerChanged = "admin.workspace_owner_changed";
    WorkspaceRemoved = "admin.workspace_deleted";
    ConversationOwnerChanged = "admin.conversation_owner_changed";
    ConversationRemoved = "admin.conversation_deleted";
    AuditExported = "admin.audit_exported";
    MailTested = "admin.mail_tested";
    SetupChanged = "admin.setup_changed";
    JobRequeued = "admin.job_requeued";
    JobDeleted = "admin.job_deleted";
    InstanceDrained = "admin.instance_drained";
    InstanceResumed = "admin.instance_resumed";
    /// A CPU or memory profile of the process was taken.
    Profiled = "admin.profiled";
    BroadcastCreated = "admin.broadcast_created";
    BroadcastChanged = "admin.broadcast_changed";
    BroadcastWithdrawn = "admin.broadcast_withdrawn";
    ModelChanged = "gateway.model_changed";
    ModelRemoved = "gateway.model_removed";
    ModelListChanged = "gateway.model_list_changed";
    ModelListRemoved = "gateway.model_list_removed";
    McpServerAdded = "admin.mcp_server_added";
    McpServerChanged = "admin.mcp_server_changed";
    McpServerRemoved = "admin.mcp_server_removed";
    BudgetChanged = "gateway.budget_changed";
    BudgetRemoved = "gateway.budget_removed";
    ProviderKeyChanged = "gateway.provider_key_changed";
    /// Settings that were learned about a model were forgotten.
    ProviderSettingsForgotten = "gateway.provider_settings_forgotten";
    ProviderAdded = "gateway.provider_added";
    ProviderChanged = "gateway.provider_changed";
    ProviderRemoved = "gateway.provider_removed";
    ServiceAccountCreated = "gateway.service_account_created";
    ServiceAccountChanged = "gateway.service_account_changed";
    ServiceAccountDisabled = "gateway.service_account_disabled";
    ServiceAccountEnabled = "gateway.service_account_enabled";
    ServiceAccountDeleted = "gateway.service_account_deleted";
    PlanChanged = "payment.plan_changed";
    PaymentRefunded = "payment.refunded";
    RefundDecided = "payment.refund_decided";
    PaymentReleased = "payment.released";
    PaymentDifferenceClosed = "payment.difference_closed";
    CreditsGiven = "payment.credits_given";
    GatewaySwitched = "payment.gateway_switched";
    ReportTaken = "moderation.report_taken";
    ReportReleased = "moderation.report_released";
    ReportDismissed = "moderation.report_dismissed";
    ReportClosed = "moderation.report_closed";
    MessageHidden = "moderation.message_hidden";
    MessageRestored = "moderation.message_restored";
    /// An administrator read another user's hidden message.
    HiddenMessageRead = "moderation.message_read";
    AuthorWarned = "moderation.author_warned";
    /// A manager of the channel changed it.
    SlowModeChanged = "moderation.slow_mode_changed";
    WordFilterChanged = "moderation.word_filter_changed";
    /// The firewall banned the address automatically.
    AddressBanned = "firewall.address_banned";
}

impl PartialSchema for Action {
    fn schema() -> RefOr<Schema> {
        let names = Self::ALL.iter().map(|action| action.as_str());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Audited action."))
            .enum_values(Some(names))
            .into()
    }
}

impl ToSchema for Action {
    fn name() -> std::borrow::Cow<'static, str> {
        "AuditAction".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_names_are_unique() {
        let names: std::collections::HashSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        let is_fit = |name: &str| {
            name.split_once('.').is_some_and(|(subject, verb)| !subject.is_empty() && !verb.is_empty())
                && name.chars().all(|letter| letter.is_ascii_lowercase() || "._".contains(letter))
        };
        assert!(names.iter().all(|name| is_fit(name)), "{names:?}");
    }
}
