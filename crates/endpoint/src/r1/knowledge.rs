//! Files that assistants know.

use appcore::{
    AppError, AssistantId, KnowledgeFileId, MessageId, UploadId,
    view::{CitedPiece, Knowledge, KnowledgeFile},
};
use natter_macro::{dto, endpoint};
use service::{assistants::EditableAssistant, knowledge};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListKnowledge>(),
    EndpointDef::of::<GiveKnowledge>(),
    EndpointDef::of::<RetryKnowledge>(),
    EndpointDef::of::<RemoveKnowledge>(),
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
        Ok(Reply::of(knowledge::list(ctx.app(), assistant).await?))
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
        let given = knowledge::give(ctx.app(), assistant, request.upload_id).await?;
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
        Ok(Reply::of(knowledge::retry(ctx.app(), assistant, request.file_id).await?))
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
        knowledge::remove(ctx.app(), assistant, request.file_id).await?;
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
        Ok(Reply::of(knowledge::cited(ctx.app(), ctx.user()?, request.id, request.n).await?))
    }
}
