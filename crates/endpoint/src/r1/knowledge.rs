//! Files that assistants know, those of one's own sections, and those of a workspace.

use appcore::{
    AppError, AssistantId, KnowledgeFileId, MessageId, SectionId, UploadId, WorkspaceId,
    auth::Permission,
    view::{CitedPiece, Knowledge, KnowledgeFile},
};
use assistants::{
    definitions::EditableAssistant,
    knowledge::{self, Shelf},
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

/// List the files that an assistant knows
///
/// For those who may change it, with how far each file is. `knowledge.changed` says when to read again.
#[endpoint(GET "/r1/assistants/{id}/knowledge", tag = "assistants", access = Access::User, rate = RateGroup::Read, requires = EditableAssistant(id))]
impl Endpoint for ListKnowledge {
    type Request = ListKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(
        ctx: &Ctx,
        _: ListKnowledgeRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<Knowledge>, AppError> {
        Ok(Reply::of(knowledge::list(ctx.assistants(), &Shelf::of_assistant(assistant)?).await?))
    }
}

#[dto(request)]
pub struct GiveKnowledgeRequest {
    #[from(path)]
    pub id: AssistantId,
    /// A file that the caller has uploaded.
    pub upload_id: UploadId,
}

/// Give a file to an assistant
///
/// It is cut into pieces and embedded, which the assistant's owner pays for; then answers are given from it and cite it. 200 with the same file where
/// the assistant has it already. Texts, Markdown, code, web pages, CSV, PDF, Office (.docx, .xlsx, .xls, .pptx) and OpenDocument files can be read.
#[endpoint(POST "/r1/assistants/{id}/knowledge", tag = "assistants", access = Access::User, rate = RateGroup::Write, status(201, 200), requires = EditableAssistant(id), errors(WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveKnowledge {
    type Request = GiveKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(
        ctx: &Ctx,
        request: GiveKnowledgeRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<KnowledgeFile>, AppError> {
        let given = knowledge::give(ctx.assistants(), &Shelf::of_assistant(assistant)?, request.upload_id).await?;
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

/// Try a file again
///
/// One that failed, or that waits to be tried again by itself.
#[endpoint(POST "/r1/assistants/{id}/knowledge/{file_id}/retry", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id), errors(WrongState))]
impl Endpoint for RetryKnowledge {
    type Request = KnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(
        ctx: &Ctx,
        request: KnowledgeFileRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<KnowledgeFile>, AppError> {
        Ok(Reply::of(knowledge::retry(ctx.assistants(), &Shelf::of_assistant(assistant)?, request.file_id).await?))
    }
}

/// Take a file from an assistant
///
/// With its pieces; answers that cite it keep their excerpts.
#[endpoint(DELETE "/r1/assistants/{id}/knowledge/{file_id}", tag = "assistants", access = Access::User, rate = RateGroup::Write, requires = EditableAssistant(id))]
impl Endpoint for RemoveKnowledge {
    type Request = KnowledgeFileRequest;
    type Response = NoData;

    async fn handle(
        ctx: &Ctx,
        request: KnowledgeFileRequest,
        assistant: &EditableAssistant,
    ) -> Result<Reply<NoData>, AppError> {
        knowledge::remove(ctx.assistants(), &Shelf::of_assistant(assistant)?, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListSectionKnowledgeRequest {
    #[from(path)]
    pub id: SectionId,
    /// Left out, the shared workspace, else one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// List the files of a section
///
/// One's own, with how far each file is. Assistants answer one from them in the chats with them alone that one has in the section, in the same workspace.
/// `knowledge.changed` says when to read again.
#[endpoint(GET "/r1/sections/{id}/knowledge", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ListSectionKnowledge {
    type Request = ListSectionKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(ctx: &Ctx, request: ListSectionKnowledgeRequest) -> Result<Reply<Knowledge>, AppError> {
        let shelf = Shelf::of_section(ctx.assistants(), ctx.user()?, request.id, request.workspace_id).await?;
        Ok(Reply::of(knowledge::list(ctx.assistants(), &shelf).await?))
    }
}

#[dto(request)]
pub struct GiveSectionKnowledgeRequest {
    #[from(path)]
    pub id: SectionId,
    /// A file that the caller has uploaded.
    pub upload_id: UploadId,
    /// Left out, the shared workspace, else one's own.
    pub workspace_id: Option<WorkspaceId>,
}

/// Give a file to a section
///
/// As to an assistant; whose section it is pays for its embedding. 200 with the same file where the section has it already.
#[endpoint(POST "/r1/sections/{id}/knowledge", tag = "conversations", access = Access::User, rate = RateGroup::Write, status(201, 200), errors(Forbidden, WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveSectionKnowledge {
    type Request = GiveSectionKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: GiveSectionKnowledgeRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = Shelf::of_section(ctx.assistants(), ctx.user()?, request.id, request.workspace_id).await?;
        let given = knowledge::give(ctx.assistants(), &shelf, request.upload_id).await?;
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

/// Try a file of a section again
///
/// One that failed, or that waits to be tried again by itself.
#[endpoint(POST "/r1/sections/{id}/knowledge/{file_id}/retry", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RetrySectionKnowledge {
    type Request = SectionKnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: SectionKnowledgeFileRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = Shelf::of_section_file(ctx.assistants(), ctx.user()?, request.id, request.file_id).await?;
        Ok(Reply::of(knowledge::retry(ctx.assistants(), &shelf, request.file_id).await?))
    }
}

/// Take a file from a section
///
/// With its pieces; answers that cite it keep their excerpts.
#[endpoint(DELETE "/r1/sections/{id}/knowledge/{file_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for RemoveSectionKnowledge {
    type Request = SectionKnowledgeFileRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: SectionKnowledgeFileRequest) -> Result<Reply<NoData>, AppError> {
        let shelf = Shelf::of_section_file(ctx.assistants(), ctx.user()?, request.id, request.file_id).await?;
        knowledge::remove(ctx.assistants(), &shelf, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListWorkspaceKnowledgeRequest {
    #[from(path)]
    pub id: WorkspaceId,
}

/// List the files of a workspace
///
/// With how far each file is. All assistants answer from them in the workspace's conversations, except where a guest is a member of the conversation.
/// `knowledge.changed` says when to read again.
#[endpoint(GET "/r1/workspaces/{id}/knowledge", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Read)]
impl Endpoint for ListWorkspaceKnowledge {
    type Request = ListWorkspaceKnowledgeRequest;
    type Response = Knowledge;

    async fn handle(ctx: &Ctx, request: ListWorkspaceKnowledgeRequest) -> Result<Reply<Knowledge>, AppError> {
        let shelf = Shelf::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(knowledge::list(ctx.assistants(), &shelf).await?))
    }
}

#[dto(request)]
pub struct GiveWorkspaceKnowledgeRequest {
    #[from(path)]
    pub id: WorkspaceId,
    /// A file that the caller has uploaded.
    pub upload_id: UploadId,
}

/// Give a file to a workspace
///
/// As to an assistant; the workspace's owner pays for its embedding. 200 with the same file where the workspace has it already.
#[endpoint(POST "/r1/workspaces/{id}/knowledge", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write, status(201, 200), errors(WrongState, TooLarge, QuotaExceeded, TypeRefused))]
impl Endpoint for GiveWorkspaceKnowledge {
    type Request = GiveWorkspaceKnowledgeRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: GiveWorkspaceKnowledgeRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = Shelf::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        let given = knowledge::give(ctx.assistants(), &shelf, request.upload_id).await?;
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

/// Try a file of a workspace again
///
/// One that failed, or that waits to be tried again by itself.
#[endpoint(POST "/r1/workspaces/{id}/knowledge/{file_id}/retry", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RetryWorkspaceKnowledge {
    type Request = WorkspaceKnowledgeFileRequest;
    type Response = KnowledgeFile;

    async fn handle(ctx: &Ctx, request: WorkspaceKnowledgeFileRequest) -> Result<Reply<KnowledgeFile>, AppError> {
        let shelf = Shelf::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(knowledge::retry(ctx.assistants(), &shelf, request.file_id).await?))
    }
}

/// Take a file from a workspace
///
/// With its pieces; answers that cite it keep their excerpts.
#[endpoint(DELETE "/r1/workspaces/{id}/knowledge/{file_id}", tag = "workspaces", access = Access::Member(Permission::Configure), rate = RateGroup::Write)]
impl Endpoint for RemoveWorkspaceKnowledge {
    type Request = WorkspaceKnowledgeFileRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: WorkspaceKnowledgeFileRequest) -> Result<Reply<NoData>, AppError> {
        let shelf = Shelf::of_workspace(ctx.assistants(), ctx.user()?, request.id).await?;
        knowledge::remove(ctx.assistants(), &shelf, request.file_id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ShowCitationRequest {
    #[from(path)]
    pub id: MessageId,
    /// As it stands in the answer, in brackets.
    #[from(path)]
    pub n: u64,
}

/// Show a place that an answer cites
///
/// The whole piece, and those before and after it, for whoever may read the answer. 404 once the file is not the assistant's any more.
#[endpoint(GET "/r1/messages/{id}/citations/{n}", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowCitation {
    type Request = ShowCitationRequest;
    type Response = CitedPiece;

    async fn handle(ctx: &Ctx, request: ShowCitationRequest) -> Result<Reply<CitedPiece>, AppError> {
        Ok(Reply::of(knowledge::cited(ctx.assistants(), ctx.user()?, request.id, request.n).await?))
    }
}
