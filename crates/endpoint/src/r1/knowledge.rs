//! Knowledge files of assistants, sections and workspaces.

use appcore::{
    AppError, AssistantId, KnowledgeFileId, MessageId, SectionId, UploadId, WorkspaceId,
    auth::Permission,
    view::{CitedPiece, Knowledge, KnowledgeFile},
};
use assistants::{
    definitions::EditableAssistant,
    knowledge::{self, EditableKnowledge},
};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListKnowledge>(),
    EndpointDef::of::<GiveKnowledge>(),
    EndpointDef::of::<RetryKnowledge>(),
    EndpointDef::of::<RemoveKnowledge>(),
    EndpointDef::of::<ListSectionKnowledge>(),
    EndpointDef::of::<GiveSectionKnowledge>(),
    EndpointDef::of::<RetrySectionKnowledge>(),
    EndpointDef::of::<RemoveSectionKnowledge>(),
    EndpointDef::of::<ListWorkspaceKnowledge>(),
    EndpointDef::of::<GiveWorkspaceKnowledge>(),
    EndpointDef::of::<RetryWorkspaceKnowledge>(),
    EndpointDef::of::<RemoveWorkspaceKnowledge>(),
    EndpointDef::of::<ShowCitation>(),
];

#[dto(request)]
pub struct ListKnowledgeRequest {
    #[from(path)]
    pub id: AssistantId,
}

/// List the knowledge files of an assistant
///
/// Allowed to users who may change the assistant. Includes the processing state. Changes are
/// announced by `knowledge.changed`.
#[endpoint(GET "/r1/assistants/{id}/knowledge", tag = "assistants", access = Access::User, rate = RateGroup::Read, requires = EditableAssistant(id))]
impl Endpoint for ListKnowledge {
    type Request = ListKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(
        ctx: &Ctx,
        _: ListKnowledgeRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<Knowledge>, AppError> {
        Ok(Reply::of(knowledge::list(ctx.assistants(), &EditableKnowledge::of_assistant(assistant)?).await?))
    }
}

#[dto(request)]
pub struct GiveKnowledgeRequest {
    #[from(path)]
    pub id: AssistantId,
    /// File to add, uploaded by the caller.
    pub upload_id: UploadId,
}

/// Add a knowledge file to an assistant
///
/// The file is split and embedded at the cost of the assistant's owner; the assistant then uses and
/// cites it. An existing entry is returned with status 200. Supported: text, Markdown, code, web
/// pages, CSV, PDF, Office (.docx, .xlsx, .xls, .pptx) and OpenDocument.
#[endpoint(POST "/r1/assistants/{id}/knowledge", tag = "assistants", access = Access::User, rate = RateGroup::Write, status(201, 200), requires = EditableAssistant(id), errors(WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveKnowledge {
    type Request = GiveKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(
        ctx: &Ctx,
        request: GiveKnowledgeRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<KnowledgeFile>, AppError> {
        let given =
            knowledge::add(ctx.assistants(), &EditableKnowledge::of_assistant(assistant)?, request.upload_id).await?;
        Ok(if given.is_new { Reply::of(given.file) } else { Reply::ok(given.file) })
    }
}

#[dto(request)]
pub struct KnowledgeFileRequest {
    #[from(path)]
    pub id: AssistantId,
    #[from(path)]
    pub file_id: KnowledgeFileId,
}

/// Retry a knowledge file
///
/// Possible if processing has failed or waits for a retry.
#[endpoint(POST "/r1/assistants/{id}/knowledge/{file_id}/retry", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id), errors(WrongState))]
impl Endpoint for RetryKnowledge {
    type Request = KnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(
        ctx: &Ctx,
        request: KnowledgeFileRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<KnowledgeFile>, AppError> {
        Ok(Reply::of(
            knowledge::retry(ctx.assistants(), &EditableKnowledge::of_assistant(assistant)?, request.file_id).await?,
        ))
    }
}

/// Remove a knowledge file from an assistant
///
/// Answers that cite the file keep their excerpts.
#[endpoint(DELETE "/r1/assistants/{id}/knowledge/{file_id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id))]
impl Endpoint for RemoveKnowledge {
    type Request = KnowledgeFileRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        request: KnowledgeFileRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<NoData>, AppError> {
        knowledge::remove(ctx.assistants(), &EditableKnowledge::of_assistant(assistant)?, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListSectionKnowledgeRequest {
    #[from(path)]
    pub id: SectionId,
    /// Workspace; by default the shared one, or else the caller's personal one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// List the knowledge files of a section
///
/// Includes the processing state. Assistants use the files in the caller's one-to-one chats in the
/// section, within the same workspace. Changes are announced by `knowledge.changed`.
#[endpoint(GET "/r1/sections/{id}/knowledge", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ListSectionKnowledge {
    type Request = ListSectionKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(ctx: &Ctx, request: ListSectionKnowledgeRequest) -> Result<Reply<Knowledge>, AppError> {
        let shelf =
            EditableKnowledge::of_section(ctx.assistants(), ctx.user()?, request.id, request.workspace_id).await?;
        Ok(Reply::of(knowledge::list(ctx.assistants(), &shelf).await?))
    }
}

#[dto(request)]
pub struct GiveSectionKnowledgeRequest {
    #[from(path)]
    pub id: SectionId,
    /// File to add, uploaded by the caller.
    pub upload_id: UploadId,
    /// Workspace; by default the shared one, or else the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
}

/// Add a knowledge file to a section
///
/// As for an assistant, at the cost of the section's owner. An existing entry is returned with
/// status 200.
#[endpoint(POST "/r1/sections/{id}/knowledge", tag = "conversations", access = Access::User, rate = RateGroup::Write, status(201, 200), errors(Forbidden, WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveSectionKnowledge {
    type Request = GiveSectionKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: GiveSectionKnowledgeRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf =
            EditableKnowledge::of_section(ctx.assistants(), ctx.user()?, request.id, request.workspace_id).await?;
        let given = knowledge::add(ctx.assistants(), &shelf, request.upload_id).await?;
        Ok(if given.is_new { Reply::of(given.file) } else { Reply::ok(given.file) })
    }
}

#[dto(request)]
pub struct SectionKnowledgeFileRequest {
    #[from(path)]
    pub id: SectionId,
    #[from(path)]
    pub file_id: KnowledgeFileId,
}

/// Retry a knowledge file of a section
///
/// Possible if processing has failed or waits for a retry.
#[endpoint(POST "/r1/sections/{id}/knowledge/{file_id}/retry", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RetrySectionKnowledge {
    type Request = SectionKnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: SectionKnowledgeFileRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf =
            EditableKnowledge::of_section_file(ctx.assistants(), ctx.user()?, request.id, request.file_id).await?;
        Ok(Reply::of(knowledge::retry(ctx.assistants(), &shelf, request.file_id).await?))
    }
}

/// Remove a knowledge file from a section
///
/// Answers that cite the file keep their excerpts.
#[endpoint(DELETE "/r1/sections/{id}/knowledge/{file_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RemoveSectionKnowledge {
    type Request = SectionKnowledgeFileRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: SectionKnowledgeFileRequest) -> Result<Reply<NoData>, AppError> {
        let shelf =
            EditableKnowledge::of_section_file(ctx.assistants(), ctx.user()?, request.id, request.file_id).await?;
        knowledge::remove(ctx.assistants(), &shelf, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListWorkspaceKnowledgeRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// List the knowledge files of a workspace
///
/// Includes the processing state. All assistants use the files in the workspace's conversations,
/// except with a guest. Changes are announced by `knowledge.changed`.
#[endpoint(GET "/r1/workspaces/{id}/knowledge", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Read)]
impl Endpoint for ListWorkspaceKnowledge {
    type Request = ListWorkspaceKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(ctx: &Ctx, request: ListWorkspaceKnowledgeRequest) -> Result<Reply<Knowledge>, AppError> {
        let shelf = EditableKnowledge::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(knowledge::list(ctx.assistants(), &shelf).await?))
    }
}

#[dto(request)]
pub struct GiveWorkspaceKnowledgeRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// File to add, uploaded by the caller.
    pub upload_id: UploadId,
}

/// Add a knowledge file to a workspace
///
/// As for an assistant, at the cost of the workspace's owner. An existing entry is returned with
/// status 200.
#[endpoint(POST "/r1/workspaces/{id}/knowledge", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write, status(201, 200), errors(WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveWorkspaceKnowledge {
    type Request = GiveWorkspaceKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: GiveWorkspaceKnowledgeRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = EditableKnowledge::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        let given = knowledge::add(ctx.assistants(), &shelf, request.upload_id).await?;
        Ok(if given.is_new { Reply::of(given.file) } else { Reply::ok(given.file) })
    }
}

#[dto(request)]
pub struct WorkspaceKnowledgeFileRequest {
    #[from(path)]
    pub id: WorkspaceId,
    #[from(path)]
    pub file_id: KnowledgeFileId,
}

/// Retry a knowledge file of a workspace
///
/// Possible if processing has failed or waits for a retry.
#[endpoint(POST "/r1/workspaces/{id}/knowledge/{file_id}/retry", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RetryWorkspaceKnowledge {
    type Request = WorkspaceKnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: WorkspaceKnowledgeFileRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = EditableKnowledge::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(knowledge::retry(ctx.assistants(), &shelf, request.file_id).await?))
    }
}

/// Remove a knowledge file from a workspace
///
/// Answers that cite the file keep their excerpts.
#[endpoint(DELETE "/r1/workspaces/{id}/knowledge/{file_id}", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write)]
impl Endpoint for RemoveWorkspaceKnowledge {
    type Request = WorkspaceKnowledgeFileRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: WorkspaceKnowledgeFileRequest) -> Result<Reply<NoData>, AppError> {
        let shelf = EditableKnowledge::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        knowledge::remove(ctx.assistants(), &shelf, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ShowCitationRequest {
    #[from(path)]
    pub id: MessageId,
    /// Number of the citation, shown in brackets.
    #[from(path)]
    pub n: u64,
}

/// Show a cited passage
///
/// The complete chunk and its neighbours. Allowed to readers of the answer. Returns 404 if the
/// assistant no longer has the file.
#[endpoint(GET "/r1/messages/{id}/citations/{n}", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowCitation {
    type Request = ShowCitationRequest;
    type Response = CitedPiece;

    async fn handle(ctx: &Ctx, request: ShowCitationRequest) -> Result<Reply<CitedPiece>, AppError> {
        Ok(Reply::of(knowledge::cited_passage(ctx.assistants(), ctx.user()?, request.id, request.n).await?))
    }
}
