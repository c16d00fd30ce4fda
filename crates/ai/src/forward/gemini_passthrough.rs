//! Passthrough of Gemini's API.

use bytes::Bytes;
use tokio::time::Instant;

use super::{AttemptError, StartedAnswer, prepare_passthrough};
use crate::{
    Ai, Call,
    dialect::gemini::{client_format, passthrough, strip_model_prefix},
    profile::adapt::BodyFormat,
    provider_http::{Opened, events::is_stream},
    route::Attempt,
    translate::read_whole,
};

impl Ai {
    pub(super) async fn pass_gemini(
        &self,
        call: &Call,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let passed = call.passthrough_params(upstream);
        let rewrite = move |body: &Bytes, model: &str| passthrough::rewrite_request(body, model, &passed);
        let request = prepare_passthrough(call, attempt, rewrite).await?;
        let url = upstream.chat_url(attempt.model, request.stream);
        let asked = call.answer_request(&url, BodyFormat::Gemini, request.body, request.stream);
        call.meter.record_request_sent();
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        call.meter.trace(&response);
        if !request.stream {
            let body = upstream.http.read_whole(response, deadline).await?;
            if is_stream(&body) {
                let (answer, usage) = read_whole(&body, self.native_listener(attempt), &call.meter)?;
                let options = client_format::AnswerOptions { shows_thoughts: true, is_wrapped: false };
                let whole = client_format::whole(&super::head(call.style, attempt.model), options, &answer, &usage);
                return Ok(StartedAnswer::Whole(whole.to_string().into()));
            }
            passthrough::meter_whole(&body, &call.meter)?;
            return Ok(StartedAnswer::Whole(strip_model_prefix(body, passthrough::MODEL_FIELD)));
        }
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                return Ok(StartedAnswer::Frames(passthrough::frames_of_whole(&body, &call.meter)?));
            }
        };
        let relay = self.relay(call, body, passthrough::GeminiTap::default(), deadline).await?;
        Ok(StartedAnswer::Gemini(Box::new(relay)))
    }
}
