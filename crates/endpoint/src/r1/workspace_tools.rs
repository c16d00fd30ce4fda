//! Natter's own tools for assistants, as a workspace uses them.

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

/// Show which of Natter's own tools assistants use in a workspace
///
/// All are off until its admins allow them. An assistant uses those that it was given, by their `server_id`.
#[endpoint(GET "/r1/workspaces/{id}/tools", tag = "workspaces", access = Access::Member(Permission::See), rate = RateGroup::Read)]
impl Endpoint for ShowWorkspaceTools {
    type Request = ShowWorkspaceToolsRequest;
    type Response = WorkspaceTools;

    async fn handle(ctx: &Ctx, request: ShowWorkspaceToolsRequest) -> Result<Reply<WorkspaceTools>, AppError> {
        Ok(Reply::of(builtin::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeWorkspaceToolsRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// By the tools' names. Those that are not named stay as they are.
    pub modes: BTreeMap<String, ToolMode>,
}

/// Say which of Natter's own tools assistants use in a workspace
#[endpoint(PATCH "/r1/workspaces/{id}/tools", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write)]
impl Endpoint for ChangeWorkspaceTools {
    type Request = ChangeWorkspaceToolsRequest;
    type Response = WorkspaceTools;

    async fn handle(ctx: &Ctx, request: ChangeWorkspaceToolsRequest) -> Result<Reply<WorkspaceTools>, AppError> {
        Ok(Reply::of(builtin::change(ctx.assistants(), ctx.user()?, request.id, request.modes).await?))
    }
}
