//! Custom emoji of workspaces.

use appcore::{
    AppError, UploadId, WorkspaceId,
    page::{Page, PageRequest},
    view::WorkspaceEmoji,
};
use conversations::workspaces::emoji;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, Permission, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListEmoji>(), EndpointDef::of::<AddEmoji>(), EndpointDef::of::<RemoveEmoji>()];

#[dto(request)]
pub struct ListEmojiRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the custom emoji of a workspace
///
/// By name. Members receive `emoji.changed` on changes.
#[endpoint(GET "/r1/workspaces/{id}/emoji", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Read)]
impl Endpoint for ListEmoji {
    type Request = ListEmojiRequest;
    type Response = Page<WorkspaceEmoji>;

    async fn handle(ctx: &Ctx, request: ListEmojiRequest) -> Result<Reply<Page<WorkspaceEmoji>>, AppError> {
        Ok(Reply::of(emoji::list(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}

#[dto(request)]
pub struct AddEmojiRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Name: letters from a to z, digits, `-` and `_`; not that of a Unicode emoji.
    #[schema(min_length = 2, max_length = 32)]
    pub name: String,
    /// Image: PNG, GIF or WebP, up to 256 KiB and 512 pixels in width and height.
    pub upload_id: UploadId,
}

/// Add a custom emoji to a workspace
///
/// Usable as `:name:` in reactions and texts of the workspace. At most 500 per workspace.
#[endpoint(POST "/r1/workspaces/{id}/emoji", tag = "workspaces", access = Access::Member(Permission::CreateContent), rate = RateGroup::Write, status = 201, errors(TypeRefused, TooLarge, WrongState, TooMany))]
impl Endpoint for AddEmoji {
    type Request = AddEmojiRequest;
    type Response = WorkspaceEmoji;

    async fn handle(ctx: &Ctx, request: AddEmojiRequest) -> Result<Reply<WorkspaceEmoji>, AppError> {
        let AddEmojiRequest { id, name, upload_id } = request;
        Ok(Reply::of(emoji::add(ctx.conversations(), ctx.user()?, id, &name, upload_id).await?))
    }
}

#[dto(request)]
pub struct RemoveEmojiRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub name: String,
}

/// Remove a custom emoji from a workspace
///
/// Allowed to the user who added it and to the workspace's owner and admins. Existing texts and
/// reactions keep `:name:`.
#[endpoint(DELETE "/r1/workspaces/{id}/emoji/{name}", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for RemoveEmoji {
    type Request = RemoveEmojiRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveEmojiRequest) -> Result<Reply<NoData>, AppError> {
        emoji::remove(ctx.conversations(), ctx.user()?, request.id, &request.name).await?;
        Ok(Reply::of(NoData))
    }
}
