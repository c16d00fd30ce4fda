//! Conversations as files.

use appcore::{
    AppError, ConversationId, Timestamp,
    view::{ExportFormat, Upload},
};
use conversations::exports::{self, ExportableConversation, Wanted};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ExportConversation>()];

#[dto(request)]
pub struct ExportConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    pub format: ExportFormat,
    /// Only what was sent from then on.
    pub from: Option<Timestamp>,
    /// Only what was sent until then.
    pub to: Option<Timestamp>,
    /// With the files that messages carry.
    pub files: Option<bool>,
}

/// Export a conversation
///
/// As a zip file that is written behind: the answer is the upload that it will be, `pending` until then. One's own connections are told by
/// `export.ended`. It is kept for 7 days. A channel, and a group that is not small, is exported by its owner and admins.
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
        let wanted = Wanted { format, from, to, files: files.unwrap_or(false) };
        Ok(Reply::of(exports::begin(ctx.conversations(), conversation, wanted).await?))
    }
}
