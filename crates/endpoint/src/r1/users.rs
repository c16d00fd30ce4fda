//! People: oneself, and those with whom one has a workspace in common.

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

use super::search::Several;
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

/// Show oneself
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
    /// What mail to oneself is written in.
    pub language: Option<Language>,
    /// Such as `Europe/Berlin`; null: not known.
    #[schema(max_length = 64)]
    pub timezone: Option<Option<String>>,
    /// Whether others are told it, which they are unless one says no.
    pub show_timezone: Option<bool>,
    /// What one is shown as while one is here, on all one's devices; `online`: as one is.
    pub chosen_presence: Option<ChosenPresence>,
    /// The new one; `current_password` must come with it.
    #[schema(format = Password, min_length = 8)]
    pub password: Option<String>,
    #[schema(format = Password)]
    pub current_password: Option<String>,
}

/// Change one's name, language, time zone, presence or password
///
/// What is left out stays as it is. With a new password all other devices are signed out.
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
    /// Left out only where the account has none; then the sign-in must be fresh: see `POST /r1/auth/confirm`.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Delete one's account
///
/// At once all devices are signed out, and everything personal is gone. Messages stay, as those of a "Deleted user"; what one owned
/// passes on to whoever has been there longest. The last administrator of the installation makes somebody else one first.
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

/// Export one's own data
///
/// All of it, as one JSON document that comes piece by piece.
#[endpoint(GET "/r1/users/me/export", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ExportMe {
    type Request = NoInput;
    type Response = Export;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Export>, AppError> {
        let by = ctx.user()?.clone();
        Ok(Reply::pieces(offboarding::export(Arc::clone(ctx.conversations()), by).await?))
    }
}

/// Read how much one stores
///
/// The size of one's files and texts together, and its limit. Administrators find the same in `GET /r1/admin/users/{id}`.
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
    /// One emoji; null: none.
    pub emoji: Option<Option<String>>,
    /// At most 100 characters; null: none.
    #[schema(max_length = 100)]
    pub text: Option<Option<String>>,
    /// Null: until it is taken back.
    pub until: Option<Option<Timestamp>>,
}

/// Say something of oneself for a while
///
/// What is left out stays as it is. Presences have it (`custom_status`), and those who watch are told.
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
    /// A PNG, JPEG or WebP picture of one's own: at most 512 KiB, and 1,024 pixels wide and high.
    pub upload_id: UploadId,
}

/// Choose one's picture
///
/// In place of the one before. Whoever may see the person reads it, by `/files/{upload_id}/picture`.
#[endpoint(PUT "/r1/users/me/picture", tag = "users", access = Access::User, rate = RateGroup::Write, errors(NotFound, TypeRefused, TooLarge, WrongState))]
impl Endpoint for SetPicture {
    type Request = SetPictureRequest;
    type Response = UserPicture;

    async fn handle(ctx: &Ctx, request: SetPictureRequest) -> Result<Reply<UserPicture>, AppError> {
        Ok(Reply::of(accounts::set_picture(ctx.identity(), ctx.user()?, request.upload_id).await?))
    }
}

/// Remove one's picture
#[endpoint(DELETE "/r1/users/me/picture", tag = "users", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RemovePicture {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        accounts::remove_picture(ctx.identity(), ctx.user()?).await?;
        Ok(Reply::of(NoData))
    }
}

/// What one wants assistants to keep to.
#[dto(response)]
pub struct Instructions {
    /// Empty: nothing.
    pub instructions: String,
}

/// Show one's instructions to assistants
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
    /// At most 2,000 characters; empty: none.
    #[schema(max_length = 2_000)]
    pub instructions: String,
}

/// Set one's instructions to assistants
///
/// All assistants that one talks with alone get them with each question, behind their own. Where others read the answers they don't count.
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
    /// Of these people: at most 50, with commas between.
    #[from(query)]
    pub user_id: Option<Several<UserId>>,
}

/// List the pictures of people
///
/// Who has none, or isn't seen by the caller, is left out.
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
    /// Left out, the shared workspace, else one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// A part of the name, or the whole e-mail address.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// Find people of a workspace
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

/// Show somebody
#[endpoint(GET "/r1/users/{id}", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowUser {
    type Request = ShowUserRequest;
    type Response = User;

    async fn handle(ctx: &Ctx, request: ShowUserRequest) -> Result<Reply<User>, AppError> {
        Ok(Reply::of(accounts::find(ctx.identity(), ctx.user()?, request.id).await?))
    }
}
