//! Prompt templates.

use appcore::{
    AppError, PromptId, WorkspaceId,
    page::{Page, PageRequest},
    view::{Prompt, Visibility},
};
use assistants::definitions::prompts::{self, NewPrompt, PromptChange};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListPrompts>(),
    EndpointDef::of::<CreatePrompt>(),
    EndpointDef::of::<ShowPrompt>(),
    EndpointDef::of::<ChangePrompt>(),
    EndpointDef::of::<DeletePrompt>(),
];

#[dto(request)]
pub struct ListPromptsRequest {
    /// Workspace; by default the shared one, or else the caller's personal one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// Start of the command, or text in the title.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List prompts
///
/// The caller's own and the shared prompts of a workspace, by command. Guests see only their own.
#[endpoint(GET "/r1/prompts", tag = "assistants", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListPrompts {
    type Request = ListPromptsRequest;
    type Response = Page<Prompt>;

    async fn handle(ctx: &Ctx, request: ListPromptsRequest) -> Result<Reply<Page<Prompt>>, AppError> {
        let text = request.q.unwrap_or_default();
        Ok(Reply::of(prompts::list(ctx.assistants(), ctx.user()?, request.workspace_id, &text, request.page).await?))
    }
}

#[dto(request)]
pub struct CreatePromptRequest {
    /// Command after a slash: letters, digits, `-` and `_`. Unique among the caller's own prompts,
    /// and among the shared ones of the workspace.
    #[schema(min_length = 1, max_length = 32)]
    pub command: String,
    #[schema(min_length = 1, max_length = 120)]
    pub title: String,
    /// Text with `{{name}}` placeholders.
    #[schema(min_length = 1, max_length = 20_000)]
    pub content: String,
    /// Users who can see the prompt; by default only the caller.
    pub visibility: Option<Visibility>,
    /// Workspace; by default the shared one, or else the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
}

/// Create a prompt
#[endpoint(POST "/r1/prompts", tag = "assistants", access = Access::User, rate = RateGroup::Write, status = 201, errors(QuotaExceeded, NotFound, Forbidden, WrongState))]
impl Endpoint for CreatePrompt {
    type Request = CreatePromptRequest;
    type Response = Prompt;

    async fn handle(ctx: &Ctx, request: CreatePromptRequest) -> Result<Reply<Prompt>, AppError> {
        let new = NewPrompt {
            workspace_id: request.workspace_id,
            command: request.command,
            title: request.title,
            content: request.content,
            visibility: request.visibility.unwrap_or(Visibility::Private),
        };
        Ok(Reply::of(prompts::create(ctx.assistants(), ctx.user()?, new).await?))
    }
}

#[dto(request)]
pub struct PromptRequest {
    #[from(path)]
    pub id: PromptId,
}

/// Show a prompt
#[endpoint(GET "/r1/prompts/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowPrompt {
    type Request = PromptRequest;
    type Response = Prompt;

    async fn handle(ctx: &Ctx, request: PromptRequest) -> Result<Reply<Prompt>, AppError> {
        Ok(Reply::of(prompts::find(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangePromptRequest {
    #[from(path)]
    pub id: PromptId,
    #[schema(min_length = 1, max_length = 32)]
    pub command: Option<String>,
    #[schema(min_length = 1, max_length = 120)]
    pub title: Option<String>,
    #[schema(min_length = 1, max_length = 20_000)]
    pub content: Option<String>,
    pub visibility: Option<Visibility>,
}

/// Change a prompt
///
/// Allowed to its author; for a shared prompt also to the workspace's owner and admins.
#[endpoint(PATCH "/r1/prompts/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded, Forbidden, WrongState))]
impl Endpoint for ChangePrompt {
    type Request = ChangePromptRequest;
    type Response = Prompt;

    async fn handle(ctx: &Ctx, request: ChangePromptRequest) -> Result<Reply<Prompt>, AppError> {
        let change = PromptChange {
            command: request.command,
            title: request.title,
            content: request.content,
            visibility: request.visibility,
        };
        Ok(Reply::of(prompts::update(ctx.assistants(), ctx.user()?, request.id, change).await?))
    }
}

/// Delete a prompt
#[endpoint(DELETE "/r1/prompts/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for DeletePrompt {
    type Request = PromptRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: PromptRequest) -> Result<Reply<NoData>, AppError> {
        prompts::delete(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
