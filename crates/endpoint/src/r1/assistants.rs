//! Assistants that one can talk to.

use appcore::{
    AppError, AssistantId, WorkspaceId,
    page::{Page, PageRequest},
    view::Assistant,
};
use natter_macro::{dto, endpoint};
use service::assistants::{self, NewAssistant};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ListAssistants>(), EndpointDef::of::<CreateAssistant>(), EndpointDef::of::<ShowAssistant>()];

#[dto(request)]
pub struct ListAssistantsRequest {
    /// Left out, the shared workspace, else one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the assistants of a workspace
///
/// The default one is among them.
#[endpoint(GET "/r1/assistants", tag = "assistants", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListAssistants {
    type Request = ListAssistantsRequest;
    type Response = Page<Assistant>;

    async fn handle(ctx: &Ctx, request: ListAssistantsRequest) -> Result<Reply<Page<Assistant>>, AppError> {
        Ok(Reply::of(assistants::list(ctx.app(), ctx.user()?, request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateAssistantRequest {
    #[schema(min_length = 1)]
    pub name: String,
    /// Left out, the installation's default.
    pub model: Option<String>,
    /// Who it is and how it answers.
    pub system_prompt: Option<String>,
    /// Left out, the shared workspace, else one's own.
    pub workspace_id: Option<WorkspaceId>,
}

/// Create an assistant
#[endpoint(POST "/r1/assistants", tag = "assistants", access = Access::User, rate = RateGroup::Write, status = 201, errors(NotFound, Forbidden))]
impl Endpoint for CreateAssistant {
    type Request = CreateAssistantRequest;
    type Response = Assistant;

    async fn handle(ctx: &Ctx, request: CreateAssistantRequest) -> Result<Reply<Assistant>, AppError> {
        let new = NewAssistant {
            name: request.name,
            model: request.model,
            system_prompt: request.system_prompt,
            workspace_id: request.workspace_id,
        };
        Ok(Reply::of(assistants::create(ctx.app(), ctx.user()?, new).await?))
    }
}

#[dto(request)]
pub struct ShowAssistantRequest {
    #[from(path)]
    pub id: AssistantId,
}

/// Show an assistant
#[endpoint(GET "/r1/assistants/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowAssistant {
    type Request = ShowAssistantRequest;
    type Response = Assistant;

    async fn handle(ctx: &Ctx, request: ShowAssistantRequest) -> Result<Reply<Assistant>, AppError> {
        Ok(Reply::of(assistants::find(ctx.app(), ctx.user()?, request.id).await?))
    }
}
