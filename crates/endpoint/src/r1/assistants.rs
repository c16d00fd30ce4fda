//! Assistants that one can talk to.

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
        Ok(Reply::of(definitions::list(ctx.assistants(), ctx.user()?, request.workspace_id, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateAssistantRequest {
    #[schema(min_length = 1, max_length = 60)]
    pub name: String,
    /// What it is for, in one line.
    #[schema(max_length = 200)]
    pub description: Option<String>,
    /// Left out, the installation's default.
    pub model: Option<String>,
    /// Who it is and how it answers. `{{user.name}}`, `{{date}}` and `{{workspace}}` are filled in for each answer.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<String>,
    /// From 0 to 2. Left out, the model's own.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Left out, the model's own.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// Whether it may use its tools.
    pub tools_enabled: Option<bool>,
    /// Which tools it has, of the servers that `GET /r1/mcp_servers` lists.
    #[schema(max_items = 20)]
    pub tools: Option<Vec<AssistantTools>>,
    /// Left out, everybody in the workspace.
    pub visibility: Option<Visibility>,
    /// Left out, it answers where it is mentioned.
    pub answers_mentions: Option<bool>,
    /// Left out, people may choose another model.
    pub model_choice: Option<bool>,
    /// Questions to begin with, at most 8, each one line.
    #[schema(max_items = 8)]
    pub starters: Option<Vec<String>>,
    /// Left out, the shared workspace, else one's own.
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
    /// Null takes it away.
    #[schema(max_length = 200)]
    pub description: Option<Option<String>>,
    /// Null: the installation's default.
    pub model: Option<Option<String>>,
    /// Null takes it away.
    #[schema(max_length = 8_000)]
    pub system_prompt: Option<Option<String>>,
    /// Null: the model's own.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<Option<f64>>,
    /// Null: the model's own.
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_answer_tokens: Option<Option<u32>>,
    /// Null takes it away.
    pub picture: Option<Option<Picture>>,
    /// Whether it may use its tools.
    pub tools_enabled: Option<bool>,
    /// Which tools it has, of the servers that `GET /r1/mcp_servers` lists.
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
/// For its maker, and for the workspace's owner and admins. What is left out stays as it is. Answers that begin later are given so; those who see
/// it are told by `assistants.changed`.
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
/// For its maker, and for the workspace's owner and admins. Its chats stay and can be read; nothing new is answered in them.
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
