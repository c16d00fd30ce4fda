//! Link previews: removal from a message, and settings of users and workspaces.

use appcore::{AppError, MessageId, WorkspaceId, auth::Permission};
use conversations::messages::previews;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<RemovePreviews>(),
    EndpointDef::of::<ShowOwnPreviews>(),
    EndpointDef::of::<TurnOwnPreviews>(),
    EndpointDef::of::<ShowWorkspacePreviews>(),
    EndpointDef::of::<TurnWorkspacePreviews>(),
];

#[dto(request)]
pub struct RemovePreviewsRequest {
    #[from(path)]
    pub id: MessageId,
}

/// Remove the link previews of your message
///
/// Applies to everybody. There are previews again only if an edit adds a link to a message without
/// links.
#[endpoint(DELETE "/r1/messages/{id}/previews", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for RemovePreviews {
    type Request = RemovePreviewsRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemovePreviewsRequest) -> Result<Reply<NoData>, AppError> {
        previews::remove(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Setting of link previews.
#[dto(response)]
pub struct PreviewChoice {
    pub is_on: bool,
}

/// Show whether links in your messages are previewed
#[endpoint(GET "/r1/users/me/previews", tag = "users", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowOwnPreviews {
    type Request = NoInput;
    type Response = PreviewChoice;

    async fn handle(ctx: &Ctx, _request: NoInput) -> Result<Reply<PreviewChoice>, AppError> {
        Ok(Reply::of(PreviewChoice { is_on: previews::is_enabled(ctx.conversations(), ctx.user()?).await? }))
    }
}

#[dto(request)]
pub struct TurnOwnPreviewsRequest {
    pub is_on: bool,
}

/// Enable or disable link previews in your messages
#[endpoint(PUT "/r1/users/me/previews", tag = "users", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for TurnOwnPreviews {
    type Request = TurnOwnPreviewsRequest;
    type Response = PreviewChoice;

    async fn handle(ctx: &Ctx, request: TurnOwnPreviewsRequest) -> Result<Reply<PreviewChoice>, AppError> {
        previews::set_enabled(ctx.conversations(), ctx.user()?, request.is_on).await?;
        Ok(Reply::of(PreviewChoice { is_on: request.is_on }))
    }
}

#[dto(request)]
pub struct ShowWorkspacePreviewsRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show whether links are previewed in a workspace
#[endpoint(GET "/r1/workspaces/{id}/previews", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Read)]
impl Endpoint for ShowWorkspacePreviews {
    type Request = ShowWorkspacePreviewsRequest;
    type Response = PreviewChoice;

    async fn handle(ctx: &Ctx, request: ShowWorkspacePreviewsRequest) -> Result<Reply<PreviewChoice>, AppError> {
        let is_on = previews::is_enabled_in_workspace(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(PreviewChoice { is_on }))
    }
}

#[dto(request)]
pub struct TurnWorkspacePreviewsRequest {
    #[from(path)]
    pub id: WorkspaceId,
    pub is_on: bool,
}

/// Enable or disable link previews in a workspace
#[endpoint(PUT "/r1/workspaces/{id}/previews", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write)]
impl Endpoint for TurnWorkspacePreviews {
    type Request = TurnWorkspacePreviewsRequest;
    type Response = PreviewChoice;

    async fn handle(ctx: &Ctx, request: TurnWorkspacePreviewsRequest) -> Result<Reply<PreviewChoice>, AppError> {
        previews::set_enabled_in_workspace(ctx.conversations(), ctx.user()?, request.id, request.is_on).await?;
        Ok(Reply::of(PreviewChoice { is_on: request.is_on }))
    }
}
