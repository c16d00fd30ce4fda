//! Built-in tools for assistants, per workspace.

use std::collections::BTreeMap;

use appcore::{
    AppError, WorkspaceId,
    auth::Permission,
    view::{ToolMode, WorkspaceTools},
};
use assistants::tools::builtin;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ShowWorkspaceTools>(), EndpointDef::of::<ChangeWorkspaceTools>()];

#[dto(request)]
pub struct ShowWorkspaceToolsRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// Show the built-in tools of a workspace
///
/// The tools are off until an admin of the workspace enables them. They are assigned to an
/// assistant by their `server_id`.
#[endpoint(GET "/r1/workspaces/{id}/tools", tag = "workspaces", access = Access::Member(Permission::View), rate = RateGroup::Read)]
impl Endpoint for ShowWorkspaceTools {
    type Request = ShowWorkspaceToolsRequest;
    type Response = WorkspaceTools;

    async fn handle(ctx: &Ctx, request: ShowWorkspaceToolsRequest) -> Result<Reply<WorkspaceTools>, AppError> {
        Ok(Reply::of(builtin::workspace_tools(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeWorkspaceToolsRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// Modes by tool name; omitted tools keep theirs.
    pub modes: BTreeMap<String, ToolMode>,
}

/// Change the built-in tools of a workspace
#[endpoint(PATCH "/r1/workspaces/{id}/tools", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write)]
impl Endpoint for ChangeWorkspaceTools {
    type Request = ChangeWorkspaceToolsRequest;
    type Response = WorkspaceTools;

    async fn handle(ctx: &Ctx, request: ChangeWorkspaceToolsRequest) -> Result<Reply<WorkspaceTools>, AppError> {
        Ok(Reply::of(builtin::set_modes(ctx.assistants(), ctx.user()?, request.id, request.modes).await?))
    }
}
