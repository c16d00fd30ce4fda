//! Users: the caller, and others who share a workspace with the caller.

use std::sync::Arc;

use appcore::{
    AppError, Language, Timestamp, UploadId, UserId, WorkspaceId,
    page::{Page, PageRequest},
    view::{ChosenPresence, Export, StorageUse, User, UserPicture},
};
use assistants::definitions::instructions;
use billing::entitlements;
use conversations::offboarding;
use identity::{
    accounts::{self, PasswordChange, ProfileChange},
    presence::{self, StatusChange},
};
use natter_macro::{dto, endpoint};

use super::search::CommaSeparated;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowMe>(),
    EndpointDef::of::<ChangeMe>(),
    EndpointDef::of::<DeleteMe>(),
    EndpointDef::of::<ExportMe>(),
    EndpointDef::of::<ReadStorage>(),
    EndpointDef::of::<ChangeStatus>(),
    EndpointDef::of::<SetPicture>(),
    EndpointDef::of::<RemovePicture>(),
    EndpointDef::of::<ShowInstructions>(),
    EndpointDef::of::<SetInstructions>(),
    EndpointDef::of::<ListPictures>(),
    EndpointDef::of::<ListUsers>(),
    EndpointDef::of::<ShowUser>(),
];

/// Show your account
#[endpoint(GET "/r1/users/me", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowMe {
    type Request = NoInput;
    type Response = User;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<User>, AppError> {
        Ok(Reply::of(accounts::me(ctx.identity(), ctx.user()?).await?))
    }
}

#[dto(request)]
pub struct ChangeMeRequest {
    #[schema(min_length = 1)]
    pub display_name: Option<String>,
    /// Language of e-mails to the caller.
    pub language: Option<Language>,
    /// IANA name of the time zone, such as `Europe/Berlin`; null if unknown.
    #[schema(max_length = 64)]
    pub timezone: Option<Option<String>>,
    /// True (the default) if others can see the time zone.
    pub show_timezone: Option<bool>,
    /// Job title; null to clear it.
    #[schema(max_length = 80)]
    pub title: Option<Option<String>>,
    /// Pronouns, such as "she/her"; null to clear them.
    #[schema(max_length = 40)]
    pub pronouns: Option<Option<String>>,
    /// Presence to show while the caller is connected; `online` for the actual one.
    pub chosen_presence: Option<ChosenPresence>,
    /// New password. Requires `current_password`.
    #[schema(format = Password, min_length = 8)]
    pub password: Option<String>,
    #[schema(format = Password)]
    pub current_password: Option<String>,
}

/// Change your profile, language, presence or password
///
/// Omitted fields stay unchanged. A new password signs out all other devices.
#[endpoint(PATCH "/r1/users/me", tag = "users", access = Access::User, rate = RateGroup::Write, errors(PasswordWrong, TooManySignins))]
impl Endpoint for ChangeMe {
    type Request = ChangeMeRequest;
    type Response = User;

    async fn handle(ctx: &Ctx, request: ChangeMeRequest) -> Result<Reply<User>, AppError> {
        let password = match (request.password, request.current_password) {
            (Some(new), Some(current)) => {
                Some(PasswordChange { current, new, field: "password", device: ctx.device() })
            }
            (Some(_), None) => {
                return Err(AppError::field("current_password", "required", "Enter your current password too."));
            }
            (None, _) => None,
        };
        let change = ProfileChange {
            display_name: request.display_name,
            language: request.language,
            timezone: request.timezone,
            show_timezone: request.show_timezone,
            title: request.title,
            pronouns: request.pronouns,
            chosen_presence: request.chosen_presence,
            password,
        };
        Ok(Reply::of(accounts::update_me(ctx.identity(), ctx.user()?, change).await?))
    }
}

#[dto(request)]
pub struct DeleteMeRequest {
    /// Current password. An account without one needs a fresh sign-in instead.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Delete your account
///
/// Signs out all devices and deletes all personal data. Messages stay, attributed to a "Deleted
/// user". Owned conversations and workspaces pass to their longest-standing member. The last
/// administrator must appoint another one first.
#[endpoint(DELETE "/r1/users/me", tag = "users", access = Access::User, rate = RateGroup::Write, errors(LastAdmin, PasswordWrong, FreshSignInRequired, TooManySignins))]
impl Endpoint for DeleteMe {
    type Request = DeleteMeRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteMeRequest) -> Result<Reply<NoData>, AppError> {
        offboarding::delete_me(ctx.conversations(), ctx.user()?, request.password, &ctx.device()).await?;
        ctx.clear_cookies();
        Ok(Reply::of(NoData))
    }
}

/// Export your data
///
/// All of the caller's data as a streamed JSON document.
#[endpoint(GET "/r1/users/me/export", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ExportMe {
    type Request = NoInput;
    type Response = Export;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Export>, AppError> {
        let by = ctx.user()?.clone();
        Ok(Reply::stream_data(offboarding::export(Arc::clone(ctx.conversations()), by).await?))
    }
}

/// Show your storage usage
///
/// Total size of the caller's files and texts, and its limit. For other users see
/// `GET /r1/admin/users/{id}`.
#[endpoint(GET "/r1/users/me/storage", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ReadStorage {
    type Request = NoInput;
    type Response = StorageUse;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<StorageUse>, AppError> {
        Ok(Reply::of(entitlements::storage(ctx.billing(), ctx.user()?.user_id).await?))
    }
}

#[dto(request)]
pub struct ChangeStatusRequest {
    /// Single emoji; null removes it.
    pub emoji: Option<Option<String>>,
    /// Text, at most 100 characters; null removes it.
    #[schema(max_length = 100)]
    pub text: Option<Option<String>>,
    /// Time at which the status is removed; null for never.
    pub until: Option<Option<Timestamp>>,
}

/// Set your custom status
///
/// Omitted fields stay unchanged. The status is part of the presence (`custom_status`); users who
/// watch it are notified.
#[endpoint(PATCH "/r1/users/me/status", tag = "users", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for ChangeStatus {
    type Request = ChangeStatusRequest;
    type Response = User;

    async fn handle(ctx: &Ctx, request: ChangeStatusRequest) -> Result<Reply<User>, AppError> {
        let change = StatusChange { emoji: request.emoji, text: request.text, until: request.until };
        presence::set_custom(ctx.identity(), ctx.user()?, change).await?;
        Ok(Reply::of(accounts::me(ctx.identity(), ctx.user()?).await?))
    }
}

#[dto(request)]
pub struct SetPictureRequest {
    /// Image: PNG, JPEG or WebP, up to 512 KiB and 1,024 pixels in width and height.
    pub upload_id: UploadId,
}

/// Set your picture
///
/// Replaces the previous picture. Visible at `/files/{upload_id}/picture` to users who can see the
/// caller.
#[endpoint(PUT "/r1/users/me/picture", tag = "users", access = Access::User, rate = RateGroup::Write, errors(NotFound, TypeRefused, TooLarge, WrongState))]
impl Endpoint for SetPicture {
    type Request = SetPictureRequest;
    type Response = UserPicture;

    async fn handle(ctx: &Ctx, request: SetPictureRequest) -> Result<Reply<UserPicture>, AppError> {
        Ok(Reply::of(accounts::set_picture(ctx.identity(), ctx.user()?, request.upload_id).await?))
    }
}

/// Remove your picture
#[endpoint(DELETE "/r1/users/me/picture", tag = "users", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RemovePicture {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        accounts::remove_picture(ctx.identity(), ctx.user()?).await?;
        Ok(Reply::of(NoData))
    }
}

/// General instructions of a user for assistants.
#[dto(response)]
pub struct Instructions {
    /// Text; empty if there are none.
    pub instructions: String,
}

/// Show your instructions for assistants
#[endpoint(GET "/r1/users/me/instructions", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowInstructions {
    type Request = NoInput;
    type Response = Instructions;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Instructions>, AppError> {
        Ok(Reply::of(Instructions { instructions: instructions::find_own(ctx.assistants(), ctx.user()?).await? }))
    }
}

#[dto(request)]
pub struct SetInstructionsRequest {
    /// Text, at most 2,000 characters; empty to remove it.
    #[schema(max_length = 2_000)]
    pub instructions: String,
}

/// Set your instructions for assistants
///
/// Given to assistants with each prompt in the caller's one-to-one chats only, after their own
/// instructions.
#[endpoint(PUT "/r1/users/me/instructions", tag = "users", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded))]
impl Endpoint for SetInstructions {
    type Request = SetInstructionsRequest;
    type Response = Instructions;

    async fn handle(ctx: &Ctx, request: SetInstructionsRequest) -> Result<Reply<Instructions>, AppError> {
        let kept = instructions::set_own(ctx.assistants(), ctx.user()?, request.instructions).await?;
        Ok(Reply::of(Instructions { instructions: kept }))
    }
}

#[dto(request)]
pub struct ListPicturesRequest {
    /// At most 50 user ids, separated by commas.
    #[from(query)]
    pub user_id: Option<CommaSeparated<UserId>>,
}

/// List the pictures of users
///
/// Users without a picture or not visible to the caller are omitted.
#[endpoint(GET "/r1/users/pictures", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListPictures {
    type Request = ListPicturesRequest;
    type Response = Vec<UserPicture>;

    async fn handle(ctx: &Ctx, request: ListPicturesRequest) -> Result<Reply<Vec<UserPicture>>, AppError> {
        let ids = request.user_id.map(|several| several.0).unwrap_or_default();
        Ok(Reply::of(accounts::pictures(ctx.identity(), ctx.user()?, &ids).await?))
    }
}

#[dto(request)]
pub struct ListUsersRequest {
    /// Workspace; by default the shared one, or else the caller's personal one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// Text in the name, or a complete e-mail address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the users of a workspace
#[endpoint(GET "/r1/users", tag = "users", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListUsers {
    type Request = ListUsersRequest;
    type Response = Page<User>;

    async fn handle(ctx: &Ctx, request: ListUsersRequest) -> Result<Reply<Page<User>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(accounts::search(ctx.identity(), ctx.user()?, request.workspace_id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct ShowUserRequest {
    #[from(path)]
    pub id: UserId,
}

/// Show a user
#[endpoint(GET "/r1/users/{id}", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowUser {
    type Request = ShowUserRequest;
    type Response = User;

    async fn handle(ctx: &Ctx, request: ShowUserRequest) -> Result<Reply<User>, AppError> {
        Ok(Reply::of(accounts::find(ctx.identity(), ctx.user()?, request.id).await?))
    }
}
