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
    /// If true (the default), others can see the time zone.
    pub show_timezone: Option<bool>,
    /// Presence to show on all devices while the caller is connected. With `online`, the actual
    /// presence is shown.
    pub chosen_presence: Option<ChosenPresence>,
    /// New password. Requires `current_password`.
    #[schema(format = Password, min_length = 8)]
    pub password: Option<String>,
    #[schema(format = Password)]
    pub current_password: Option<String>,
}

/// Change your name, language, time zone, presence or password
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
            chosen_presence: request.chosen_presence,
            password,
        };
        Ok(Reply::of(accounts::update_me(ctx.identity(), ctx.user()?, change).await?))
    }
}

#[dto(request)]
pub struct DeleteMeRequest {
    /// Current password. It may be omitted if the account has none; then a fresh sign-in is
    /// required (see `POST /r1/auth/confirm`).
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Delete your account
///
/// Signs out all devices at once and deletes all personal data. The user's messages stay and are
/// attributed to a "Deleted user". Conversations and workspaces that the user owns pass to their
/// longest-standing member. The last administrator of the installation must appoint another one
/// first.
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
/// Returns all of the caller's data as one JSON document, which is streamed.
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
/// Returns the total size of the caller's files and texts, and its limit. Administrators find the
/// same for other users in `GET /r1/admin/users/{id}`.
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
    /// Text of at most 100 characters; null removes it.
    #[schema(max_length = 100)]
    pub text: Option<Option<String>>,
    /// Time at which the status is removed. If null, it stays until it is removed by hand.
    pub until: Option<Option<Timestamp>>,
}

/// Set your custom status
///
/// Omitted fields stay unchanged. The status is part of the presence (`custom_status`), and users
/// who watch the caller's presence are notified.
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
    /// Image uploaded by the caller: PNG, JPEG or WebP, at most 512 KiB, and at most 1,024 pixels
    /// wide and high.
    pub upload_id: UploadId,
}

/// Set your picture
///
/// Replaces the previous picture. Users who can see the caller can read it at
/// `/files/{upload_id}/picture`.
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
    /// Text of the instructions; empty if there are none.
    pub instructions: String,
}

/// Show your instructions for assistants
#[endpoint(GET "/r1/users/me/instructions", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowInstructions {
    type Request = NoInput;
    type Response = Instructions;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Instructions>, AppError> {
        Ok(Reply::of(Instructions { instructions: instructions::own(ctx.assistants(), ctx.user()?).await? }))
    }
}

#[dto(request)]
pub struct SetInstructionsRequest {
    /// Text of the instructions, at most 2,000 characters. An empty text removes them.
    #[schema(max_length = 2_000)]
    pub instructions: String,
}

/// Set your instructions for assistants
///
/// In the caller's one-to-one chats, assistants get the instructions with each prompt, after their
/// own instructions. They are not used where others can read the answers.
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
    /// Users whose pictures are listed: at most 50 ids, separated by commas.
    #[from(query)]
    pub user_id: Option<CommaSeparated<UserId>>,
}

/// List the pictures of users
///
/// Users without a picture and users that the caller can't see are omitted.
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
    /// Workspace. Defaults to the shared one, or to the caller's personal one if there is no shared
    /// one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// Text that the name must contain, or a complete e-mail address.
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
