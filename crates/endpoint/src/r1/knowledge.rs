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
/// Available to users who may change it, with the processing state of each file. `knowledge.changed` announces changes.
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
    /// A file uploaded by the caller.
    pub upload_id: UploadId,
}

/// Add a knowledge file to an assistant
///
/// The file is split into chunks and embedded at the expense of the assistant's owner; then the assistant uses and
/// cites it in answers. Returns 200 with the existing entry if the assistant already has the file. Supported are text,
/// Markdown, code, web pages, CSV, PDF, Office (.docx, .xlsx, .xls, .pptx) and OpenDocument files.
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
/// Applies to a file that failed or that waits for an automatic retry.
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
/// Deletes its chunks as well; answers that cite it keep their excerpts.
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
    /// If omitted, the shared workspace, or the caller's personal one if there is none.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// List the knowledge files of a section
///
/// The caller's files, with the processing state of each. Assistants use them in the caller's one-to-one chats in the
/// section, within the same workspace. `knowledge.changed` announces changes.
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
    /// A file uploaded by the caller.
    pub upload_id: UploadId,
    /// If omitted, the shared workspace, or the caller's personal one if there is none.
    pub workspace_id: Option<WorkspaceId>,
}

/// Add a knowledge file to a section
///
/// Processed as for assistants, at the expense of the section's owner. Returns 200 with the existing entry if the
/// section already has the file.
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
/// Applies to a file that failed or that waits for an automatic retry.
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
/// Deletes its chunks as well; answers that cite it keep their excerpts.
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
/// With the processing state of each file. All assistants use them in the workspace's conversations, except in
/// conversations with a guest. `knowledge.changed` announces changes.
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
    /// A file uploaded by the caller.
    pub upload_id: UploadId,
}

/// Add a knowledge file to a workspace
///
/// Processed as for assistants, at the expense of the workspace's owner. Returns 200 with the existing entry if the
/// workspace already has the file.
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
/// Applies to a file that failed or that waits for an automatic retry.
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
/// Deletes its chunks as well; answers that cite it keep their excerpts.
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
    /// Number of the citation, as shown in brackets in the answer.
    #[from(path)]
    pub n: u64,
}

/// Show a cited passage
///
/// The complete chunk and its neighbours, for users who can read the answer. 404 if the assistant no longer has the
/// file.
#[endpoint(GET "/r1/messages/{id}/citations/{n}", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowCitation {
    type Request = ShowCitationRequest;
    type Response = CitedPiece;

    async fn handle(ctx: &Ctx, request: ShowCitationRequest) -> Result<Reply<CitedPiece>, AppError> {
        Ok(Reply::of(knowledge::cited(ctx.assistants(), ctx.user()?, request.id, request.n).await?))
    }
}
