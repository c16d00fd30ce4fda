//! Assistants of workspaces.

use appcore::{
    AppError, AssistantId, WorkspaceId,
    page::{Page, PageRequest},
    view::{Assistant, AssistantTools, Picture, Visibility},
};
use assistants::definitions::{self, AssistantFields, EditableAssistant};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListAssistants>(),
    EndpointDef::of::<CreateAssistant>(),
    EndpointDef::of::<ShowAssistant>(),
    EndpointDef::of::<ChangeAssistant>(),
    EndpointDef::of::<DeleteAssistant>(),
];

#[dto(request)]
pub struct ListAssistantsRequest {
    /// Workspace. Defaults to the shared one, or else the caller's personal one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the assistants of a workspace
///
/// Includes the default assistant.
#[endpoint(GET "/r1/assistants", tag = "assistants", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ListAssistants {
    type Request = ListAssistantsRequest;
    type Response = Page<Assistant>;

    async fn handle(ctx: &Ctx, request: ListAssistantsRequest) -> Result<Reply<Page<Assistant>>, AppError> {
        Ok(Reply::of(definitions::list(ctx.assistants(), ctx.user()?, request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateAssistantRequest {
    #[schema(min_length = 1, max_length = 60)]
    pub name: String,
    /// Purpose, in one line.
    #[schema(max_length = 200)]
    pub description: Option<String>,
    /// Model. Defaults to that of the installation.
    pub model: Option<String>,
    /// Role and behaviour. `{{user.name}}`, `{{date}}` and `{{workspace}}` are replaced for each
    /// answer.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<String>,
    /// Sampling temperature, from 0 to 2. Defaults to the model's.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Maximum tokens in an answer. Defaults to the model's.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// If true, the assistant may use its tools.
    pub tools_enabled: Option<bool>,
    /// Tools, from the servers of `GET /r1/mcp_servers`.
    #[schema(max_items = 20)]
    pub tools: Option<Vec<AssistantTools>>,
    /// Users who can see it; by default all members of the workspace.
    pub visibility: Option<Visibility>,
    /// True (the default) to answer mentions.
    pub answers_mentions: Option<bool>,
    /// True (the default) to let users choose another model.
    pub model_choice: Option<bool>,
    /// Suggested questions, at most 8 of one line each.
    #[schema(max_items = 8)]
    pub starters: Option<Vec<String>>,
    /// Workspace. Defaults to the shared one, or else the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
}

/// Create an assistant
#[endpoint(POST "/r1/assistants", tag = "assistants", access = Access::User, rate = RateGroup::Write, status = 201, errors(QuotaExceeded, NotFound, Forbidden))]
impl Endpoint for CreateAssistant {
    type Request = CreateAssistantRequest;
    type Response = Assistant;

    async fn handle(ctx: &Ctx, request: CreateAssistantRequest) -> Result<Reply<Assistant>, AppError> {
        let fields = AssistantFields {
            name: Some(request.name),
            description: Some(request.description),
            model: Some(request.model),
            system_prompt: Some(request.system_prompt),
            temperature: Some(request.temperature),
            max_answer_tokens: Some(request.max_answer_tokens),
            picture: Some(request.picture),
            tools_enabled: request.tools_enabled,
            tools: request.tools,
            visibility: request.visibility,
            answers_mentions: request.answers_mentions,
            model_choice: request.model_choice,
            starters: request.starters,
        };
        Ok(Reply::of(definitions::create(ctx.assistants(), ctx.user()?, request.workspace_id, fields).await?))
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
        Ok(Reply::of(definitions::find(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeAssistantRequest {
    #[from(path)]
    pub id: AssistantId,
    #[schema(min_length = 1, max_length = 60)]
    pub name: Option<String>,
    /// Purpose; null removes it.
    #[schema(max_length = 200)]
    pub description: Option<Option<String>>,
    /// Model; null for the installation's default.
    pub model: Option<Option<String>>,
    /// Instructions; null removes them.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<Option<String>>,
    /// Sampling temperature; null for the model's default.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<Option<f64>>,
    /// Maximum tokens in an answer; null for the model's default.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<Option<u32>>,
    /// Picture; null removes it.
    pub picture: Option<Option<Picture>>,
    /// If true, the assistant may use its tools.
    pub tools_enabled: Option<bool>,
    /// Tools, from the servers of `GET /r1/mcp_servers`.
    #[schema(max_items = 20)]
    pub tools: Option<Vec<AssistantTools>>,
    pub visibility: Option<Visibility>,
    pub answers_mentions: Option<bool>,
    pub model_choice: Option<bool>,
    #[schema(max_items = 8)]
    pub starters: Option<Vec<String>>,
}

/// Change an assistant
///
/// Allowed to its creator and to the workspace's owner and admins. Omitted fields stay unchanged.
/// Applies to later answers. Users who can see the assistant receive `assistants.changed`.
#[endpoint(PATCH "/r1/assistants/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id), errors(QuotaExceeded))]
impl Endpoint for ChangeAssistant {
    type Request = ChangeAssistantRequest;
    type Response = Assistant;

    async fn handle(
        ctx: &Ctx,
        request: ChangeAssistantRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<Assistant>, AppError> {
        let fields = AssistantFields {
            name: request.name,
            description: request.description,
            model: request.model,
            system_prompt: request.system_prompt,
            temperature: request.temperature,
            max_answer_tokens: request.max_answer_tokens,
            picture: request.picture,
            tools_enabled: request.tools_enabled,
            tools: request.tools,
            visibility: request.visibility,
            answers_mentions: request.answers_mentions,
            model_choice: request.model_choice,
            starters: request.starters,
        };
        Ok(Reply::of(definitions::update(ctx.assistants(), assistant, fields).await?))
    }
}

/// Delete an assistant
///
/// Allowed to its creator and to the workspace's owner and admins. Chats with it stay readable, but
/// new messages are not answered.
#[endpoint(DELETE "/r1/assistants/{id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id))]
impl Endpoint for DeleteAssistant {
    type Request = ShowAssistantRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        _: ShowAssistantRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<NoData>, AppError> {
        definitions::delete(ctx.assistants(), assistant).await?;
        Ok(Reply::of(NoData))
    }
}
