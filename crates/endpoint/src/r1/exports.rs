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
    /// Restricts the export to messages sent at or after this time.
    pub from: Option<Timestamp>,
    /// Restricts the export to messages sent at or before this time.
    pub to: Option<Timestamp>,
    /// If true, includes the attachments of messages.
    pub files: Option<bool>,
}

/// Export a conversation
///
/// Creates a zip file in the background: the response is its upload, which is `pending` until the export finishes. The
/// caller's other connections receive `export.ended`. The file is stored for 7 days. A channel, or a group that is not
/// small, can be exported by its owner and admins only.
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
        Ok(Reply::of(exports::begin(ctx.conversations(), conversation, wanted).await?))
    }
}
