//! Tools that assistants may call without confirmation.

use appcore::{
    AppError, AssistantId, ToolPermissionId,
    page::{Page, PageRequest},
    view::ToolPermission,
};
use assistants::tools::permissions;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListToolPermissions>(), EndpointDef::of::<RevokeToolPermission>()];

#[dto(request)]
pub struct ListToolPermissionsRequest {
    /// Only permissions of this assistant.
    #[from(query)]
    pub assistant_id: Option<AssistantId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the tools that assistants may call without confirmation
///
/// A permission is granted by allowing a call with `remember`. If the server changes the tool's
/// description, calls need a confirmation again.
#[endpoint(GET "/r1/tool_permissions", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListToolPermissions {
    type Request = ListToolPermissionsRequest;
    type Response = Page<ToolPermission>;

    async fn handle(ctx: &Ctx, request: ListToolPermissionsRequest) -> Result<Reply<Page<ToolPermission>>, AppError> {
        Ok(Reply::of(permissions::list(ctx.assistants(), ctx.user()?, request.assistant_id, request.page).await?))
    }
}

#[dto(request)]
pub struct RevokeToolPermissionRequest {
    #[from(path)]
    pub id: ToolPermissionId,
}

/// Revoke a tool permission
#[endpoint(DELETE "/r1/tool_permissions/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RevokeToolPermission {
    type Request = RevokeToolPermissionRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RevokeToolPermissionRequest) -> Result<Reply<NoData>, AppError> {
        permissions::revoke(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
