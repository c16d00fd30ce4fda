//! Dictation: what somebody says comes back as text.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::CONTENT_TYPE;
use appcore::{AppError, WorkspaceId};
use files::uploads;
use gateway::MAX_RECORDING;
use natter_macro::{dto, endpoint};

use crate::{Access, BodyStream, Bound, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<Dictate>()];

/// A long recording comes in over a slow line, and a model listens to it.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

#[dto(request)]
pub struct DictateRequest {
    /// Where it is said, where the workspace pays.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(stream)]
    pub body: BodyStream,
}

/// What was said.
#[dto(response)]
pub struct Dictation {
    /// Empty where no words were heard.
    pub text: String,
}

/// Write down what one says
///
/// The body is the recording, up to 25 MiB, `Content-Type` what it is. Nothing of it is kept. 409 `wrong_state` where no model is set for it: see `transcriptions` of
/// `GET /r1/auth/policy`. It is paid for like a call of the gateway.
#[endpoint(POST "/r1/transcriptions", tag = "uploads", access = Access::User, rate = RateGroup::Upload, deadline = Bound::Fixed(DEADLINE), max_body = Bound::Fixed(MAX_RECORDING),
    errors(NotFound, WrongState, TooLarge, TypeRefused, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for Dictate {
    type Request = DictateRequest;
    type Response = Dictation;

    async fn handle(ctx: &Ctx, request: DictateRequest) -> Result<Reply<Dictation>, AppError> {
        let by = ctx.user()?;
        let claimed = ctx.http().headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        gateway::check_dictation(ctx.gateway())?;
        let recording = request.body.whole_up_to(MAX_RECORDING).await?;
        let media_type = uploads::detect(&recording, claimed);
        let gateway = Arc::clone(ctx.gateway());
        let text = gateway::dictate(gateway, by, request.workspace_id, recording, media_type).await?;
        Ok(Reply::of(Dictation { text }))
    }
}
