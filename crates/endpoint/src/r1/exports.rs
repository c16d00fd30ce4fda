//! Exports of conversations as files.

use appcore::{
    AppError, ConversationId, Timestamp,
    view::{ExportFormat, Upload},
};
use conversations::exports::{self, ExportOptions, ExportableConversation};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ExportConversation>()];

#[dto(request)]
pub struct ExportConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    pub format: ExportFormat,
    /// Only messages sent at or after this time.
    pub from: Option<Timestamp>,
    /// Only messages sent at or before this time.
    pub to: Option<Timestamp>,
    /// True to include attachments.
    pub files: Option<bool>,
}

/// Export a conversation
///
/// Creates a zip file, whose upload is `pending` until the caller's connections receive
/// `export.ended`. Kept for 7 days. Channels and larger groups can be exported only by their owner
/// and admins.
#[endpoint(POST "/r1/conversations/{id}/export", tag = "conversations", access = Access::User, rate = RateGroup::Write, status = 202, requires = ExportableConversation(id), errors(TooMany))]
impl Endpoint for ExportConversation {
    type Request = ExportConversationRequest;
    type Response = Upload;

    async fn handle(
        ctx: &Ctx,
        request: ExportConversationRequest,
        conversation: &ExportableConversation,
    ) -> Result<Reply<Upload>, AppError> {
        let ExportConversationRequest { id: _, format, from, to, files } = request;
        let wanted = ExportOptions { format, from, to, files: files.unwrap_or(false) };
        Ok(Reply::of(exports::start(ctx.conversations(), conversation, wanted).await?))
    }
}
