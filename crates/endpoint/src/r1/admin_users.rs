//! Administration of accounts.

use std::sync::Arc;

use appcore::{
    ApiKeyId, AppError, Language, SessionId, Timestamp, UserId,
    page::{Page, PageRequest},
    view::{
        AdminUser, AdminUserDetails, ApiKey, ChangedAccounts, Export, InvitedUser, SentLink, UserRole, UserSession,
        UserStatus,
    },
};
use conversations::offboarding;
use gateway::keys;
use identity::accounts::{
    Confirmed, api_keys,
    user_admin::{self, AccountChange, BulkAction, Filter, NewAccount},
};
use natter_macro::{dto, endpoint};
use ops::console;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAccounts>(),
    EndpointDef::of::<InviteAccount>(),
    EndpointDef::of::<ChangeAccounts>(),
    EndpointDef::of::<ShowAccount>(),
    EndpointDef::of::<ChangeAccount>(),
    EndpointDef::of::<DeleteAccount>(),
    EndpointDef::of::<ExportAccount>(),
    EndpointDef::of::<ListAccountSessions>(),
    EndpointDef::of::<EndAccountSessions>(),
    EndpointDef::of::<EndAccountSession>(),
    EndpointDef::of::<ListAccountKeys>(),
    EndpointDef::of::<RevokeAccountKey>(),
    EndpointDef::of::<ResetAccountPassword>(),
    EndpointDef::of::<RemoveAccountSecondFactor>(),
];

#[dto(request)]
pub struct ListAccountsRequest {
    /// Text in the name or e-mail address, or the complete id.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub status: Option<UserStatus>,
    #[from(query)]
    pub role: Option<UserRole>,
    /// Only accounts created before this time and not used since.
    #[from(query)]
    pub idle_since: Option<Timestamp>,
    #[from(page)]
    pub page: PageRequest,
}

/// List all accounts
///
/// Newest first, across all workspaces.
#[endpoint(GET "/r1/admin/users", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAccounts {
    type Request = ListAccountsRequest;
    type Response = Page<AdminUser>;

    async fn handle(ctx: &Ctx, request: ListAccountsRequest) -> Result<Reply<Page<AdminUser>>, AppError> {
        let ListAccountsRequest { q, status, role, idle_since, page } = request;
        let filter = Filter { text: q.unwrap_or_default(), status, role, idle_since };
        Ok(Reply::of(user_admin::list(ctx.identity(), filter, page).await?))
    }
}

#[dto(request)]
pub struct InviteAccountRequest {
    #[schema(format = Email)]
    pub email: String,
    /// Displayed name; by default the part of the e-mail address before the `@`.
    pub display_name: Option<String>,
    /// Role; by default `user`.
    pub role: Option<UserRole>,
    /// Language of e-mails to the user.
    pub language: Option<Language>,
}

/// Create an account for another person
///
/// E-mails a link for choosing a password, or returns it if no mail server is configured. It is
/// valid for seven days, even if sign-up is closed. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/users", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(EmailTaken))]
impl Endpoint for InviteAccount {
    type Request = InviteAccountRequest;
    type Response = InvitedUser;

    async fn handle(ctx: &Ctx, request: InviteAccountRequest, by: &Confirmed) -> Result<Reply<InvitedUser>, AppError> {
        let InviteAccountRequest { email, display_name, role, language } = request;
        let (role, language) = (role.unwrap_or(UserRole::User), language.unwrap_or_default());
        let new = NewAccount { email, display_name, role, language };
        Ok(Reply::of(user_admin::invite(ctx.identity(), by, new, &ctx.base_url()).await?))
    }
}

/// Action applied to several accounts.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountsAction {
    Suspend,
    Restore,
    /// Ends all sessions.
    SignOut,
}

#[dto(request)]
pub struct ChangeAccountsRequest {
    pub action: AccountsAction,
    #[validate(length(min = 1, max = 100))]
    pub ids: Vec<UserId>,
    /// Reason for the suspension, for administrators.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// Suspend, restore or sign out several accounts
///
/// Each account is processed on its own; refused ones, such as the caller's or the last
/// administrator's, are in the response. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/users/batch", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangeAccounts {
    type Request = ChangeAccountsRequest;
    type Response = ChangedAccounts;

    async fn handle(
        ctx: &Ctx,
        request: ChangeAccountsRequest,
        by: &Confirmed,
    ) -> Result<Reply<ChangedAccounts>, AppError> {
        let deed = match request.action {
            AccountsAction::Suspend => BulkAction::Suspend,
            AccountsAction::Restore => BulkAction::Restore,
            AccountsAction::SignOut => BulkAction::EndSessions,
        };
        Ok(Reply::of(
            user_admin::apply_to_all(ctx.identity(), by, &request.ids, deed, request.reason.as_deref()).await?,
        ))
    }
}

#[dto(request)]
pub struct AccountRequest {
    #[from(path)]
    pub id: UserId,
}

/// Show an account
#[endpoint(GET "/r1/admin/users/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowAccount {
    type Request = AccountRequest;
    type Response = AdminUserDetails;

    async fn handle(ctx: &Ctx, request: AccountRequest) -> Result<Reply<AdminUserDetails>, AppError> {
        Ok(Reply::of(console::user(ctx.ops(), request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeAccountRequest {
    #[from(path)]
    pub id: UserId,
    pub role: Option<UserRole>,
    pub status: Option<UserStatus>,
    /// Reason for the suspension, for administrators.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// Change the role of an account, suspend or restore it
///
/// A suspended account keeps its data, but its sessions end, its connections close, and its API
/// keys are refused until it is restored. The last administrator can be neither demoted nor
/// suspended. Requires a fresh sign-in.
#[endpoint(PATCH "/r1/admin/users/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(LastAdmin, WrongState))]
impl Endpoint for ChangeAccount {
    type Request = ChangeAccountRequest;
    type Response = AdminUser;

    async fn handle(ctx: &Ctx, request: ChangeAccountRequest, by: &Confirmed) -> Result<Reply<AdminUser>, AppError> {
        let ChangeAccountRequest { id, role, status, reason } = request;
        let change = AccountChange { role, status, reason };
        Ok(Reply::of(user_admin::change(ctx.identity(), by, id, change).await?))
    }
}

/// Delete an account
///
/// As if the user deleted it. The last administrator's account can't be deleted. Requires a fresh
/// sign-in.
#[endpoint(DELETE "/r1/admin/users/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(LastAdmin, WrongState))]
impl Endpoint for DeleteAccount {
    type Request = AccountRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: AccountRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        offboarding::delete(ctx.conversations(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Export the data of an account
///
/// The same data as the user's own export, for users who can't sign in. Requires a fresh sign-in.
#[endpoint(GET "/r1/admin/users/{id}/export", tag = "admin", access = Access::Admin, rate = RateGroup::Read, requires = Confirmed)]
impl Endpoint for ExportAccount {
    type Request = AccountRequest;
    type Response = Export;

    async fn handle(ctx: &Ctx, request: AccountRequest, by: &Confirmed) -> Result<Reply<Export>, AppError> {
        Ok(Reply::stream_data(offboarding::export_of(Arc::clone(ctx.conversations()), by, request.id).await?))
    }
}

#[dto(request)]
pub struct ListAccountSessionsRequest {
    #[from(path)]
    pub id: UserId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the sessions of an account
#[endpoint(GET "/r1/admin/users/{id}/sessions", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAccountSessions {
    type Request = ListAccountSessionsRequest;
    type Response = Page<UserSession>;

    async fn handle(ctx: &Ctx, request: ListAccountSessionsRequest) -> Result<Reply<Page<UserSession>>, AppError> {
        Ok(Reply::of(user_admin::sessions_of(ctx.identity(), ctx.user()?, request.id, request.page).await?))
    }
}

/// Sign an account out on all devices
///
/// Takes effect at once. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/users/{id}/sessions", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for EndAccountSessions {
    type Request = AccountRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: AccountRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        user_admin::terminate_sessions(ctx.identity(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct EndAccountSessionRequest {
    #[from(path)]
    pub id: UserId,
    #[from(path)]
    pub session_id: SessionId,
}

/// Sign an account out on one device
///
/// Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/users/{id}/sessions/{session_id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for EndAccountSession {
    type Request = EndAccountSessionRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: EndAccountSessionRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        user_admin::terminate_session(ctx.identity(), by, request.id, request.session_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListAccountKeysRequest {
    #[from(path)]
    pub id: UserId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the API keys of an account
///
/// The secrets are not included.
#[endpoint(GET "/r1/admin/users/{id}/api_keys", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAccountKeys {
    type Request = ListAccountKeysRequest;
    type Response = Page<ApiKey>;

    async fn handle(ctx: &Ctx, request: ListAccountKeysRequest) -> Result<Reply<Page<ApiKey>>, AppError> {
        Ok(Reply::of(keys::list_for_user(ctx.gateway(), request.id, request.page).await?))
    }
}

#[dto(request)]
pub struct RevokeAccountKeyRequest {
    #[from(path)]
    pub id: UserId,
    #[from(path)]
    pub key_id: ApiKeyId,
}

/// Revoke an API key of an account
///
/// Applies at once; connections opened with the key are closed. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/users/{id}/api_keys/{key_id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RevokeAccountKey {
    type Request = RevokeAccountKeyRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeAccountKeyRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        api_keys::revoke_for_user(ctx.identity(), by, request.id, request.key_id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Send a password reset link
///
/// The link is e-mailed, or returned if no mail server is configured. The current password stays
/// valid until a new one is set. Requires a fresh sign-in.
#[endpoint(POST "/r1/admin/users/{id}/password-reset", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ResetAccountPassword {
    type Request = AccountRequest;
    type Response = SentLink;

    async fn handle(ctx: &Ctx, request: AccountRequest, by: &Confirmed) -> Result<Reply<SentLink>, AppError> {
        Ok(Reply::of(user_admin::send_reset(ctx.identity(), by, request.id, &ctx.base_url()).await?))
    }
}

/// Remove the second factor of an account
///
/// Removes the authenticator and the recovery codes. Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/users/{id}/second-factor", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for RemoveAccountSecondFactor {
    type Request = AccountRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: AccountRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        user_admin::remove_second_factor(ctx.identity(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
