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
    /// Workspace whose assistants are listed. Defaults to the shared workspace, or to the caller's
    /// personal one if there is no shared one.
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
    /// Purpose of the assistant, in one line.
    #[schema(max_length = 200)]
    pub description: Option<String>,
    /// Model of the assistant. Defaults to the installation's default model.
    pub model: Option<String>,
    /// Instructions for the assistant: its role and behaviour. `{{user.name}}`, `{{date}}` and
    /// `{{workspace}}` are replaced for each answer.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<String>,
    /// Sampling temperature, between 0 and 2. Defaults to that of the model.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Maximum number of tokens in an answer. Defaults to that of the model.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// If true, the assistant may use its tools.
    pub tools_enabled: Option<bool>,
    /// Tools of the assistant, from the servers that `GET /r1/mcp_servers` lists.
    #[schema(max_items = 20)]
    pub tools: Option<Vec<AssistantTools>>,
    /// Users who can see the assistant. Defaults to all members of the workspace.
    pub visibility: Option<Visibility>,
    /// If true (the default), the assistant answers messages that mention it.
    pub answers_mentions: Option<bool>,
    /// If true (the default), users may choose another model.
    pub model_choice: Option<bool>,
    /// Suggested first questions, at most 8, each one line.
    #[schema(max_items = 8)]
    pub starters: Option<Vec<String>>,
    /// Workspace of the assistant. Defaults to the shared workspace, or to the caller's personal
    /// one if there is no shared one.
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
    /// Purpose of the assistant. If null, it is removed.
    #[schema(max_length = 200)]
    pub description: Option<Option<String>>,
    /// Model of the assistant. If null, the installation's default model is used.
    pub model: Option<Option<String>>,
    /// Instructions for the assistant. If null, they are removed.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<Option<String>>,
    /// Sampling temperature. If null, the model's default is used.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<Option<f64>>,
    /// Maximum number of tokens in an answer. If null, the model's default is used.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<Option<u32>>,
    /// Picture of the assistant. If null, it is removed.
    pub picture: Option<Option<Picture>>,
    /// If true, the assistant may use its tools.
    pub tools_enabled: Option<bool>,
    /// Tools of the assistant, from the servers that `GET /r1/mcp_servers` lists.
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
/// Allowed to the assistant's creator and to the workspace's owner and admins. Omitted fields stay
/// unchanged. Changes apply to answers that start later. Users who can see the assistant receive
/// `assistants.changed`.
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
/// Allowed to the assistant's creator and to the workspace's owner and admins. Chats with the
/// assistant stay readable, but new messages in them are not answered.
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
