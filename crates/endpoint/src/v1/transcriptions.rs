//! Transcription and translation of recordings.

use std::sync::Arc;

use ai::{ApiStyle, AudioTask, FormFile, GatewayError, Meter, MultipartForm, Recording, TokenEstimate};
use appcore::{AppError, view::GatewayEndpoint};
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use super::{call::CallContext, deadline, form::read_form, max_body};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<Transcribe>(), EndpointDef::of::<TranslateRecording>()];

#[dto(request)]
pub struct TranscribeRequest {
    #[from(bytes, "multipart/form-data")]
    pub body: Bytes,
}

/// Create a transcription (OpenAI)
#[endpoint(POST "/v1/audio/transcriptions", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/plain", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for Transcribe {
    type Request = TranscribeRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: TranscribeRequest) -> Result<Reply<Raw>, AppError> {
        write_down(ctx, AudioTask::Transcribe, request.body).await
    }
}

/// Create a translation (OpenAI)
///
/// Translates a recording to English.
#[endpoint(POST "/v1/audio/translations", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/plain", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for TranslateRecording {
    type Request = TranscribeRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: TranscribeRequest) -> Result<Reply<Raw>, AppError> {
        write_down(ctx, AudioTask::Translate, request.body).await
    }
}

async fn write_down(ctx: &Ctx, task: AudioTask, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::new(ctx, ApiStyle::Chat);
    let answer = process(ctx, &mut asking, task, body).await;
    Ok(asking.reply(answer))
}

/// Answers from a provider.
async fn process(
    ctx: &Ctx,
    asking: &mut CallContext<'_>,
    task: AudioTask,
    body: Bytes,
) -> Result<Reply<Raw>, GatewayError> {
    let mut form = read_form(ctx, body).await?;
    asking.set_form_model(&mut form);
    let model = model_of(&form)?;
    let FormFile { name: file_name, content_type, content: file, .. } = recording_of(form.files);
    let wanted = TokenEstimate { has_audio: true, ..TokenEstimate::text_only(tokens(&file, &form.fields), None) };
    let endpoint = match task {
        AudioTask::Transcribe => GatewayEndpoint::Transcriptions,
        AudioTask::Translate => GatewayEndpoint::Translations,
    };
    let admission = asking.admit(endpoint, &model, wanted).await?;
    let meter = Arc::new(Meter::default());
    let recording = Recording {
        task,
        route: admission.route(),
        request_id: asking.request_id.clone(),
        owner: admission.work_owner(),
        file,
        file_name,
        content_type,
        fields: form.fields,
        meter: Arc::clone(&meter),
    };
    let (ai, is_stream) = (asking.ai(), recording.is_stream());
    let answer = async move { ai.forward_transcription(recording).await };
    if is_stream {
        return asking.serve_stream(admission, meter, answer).await;
    }
    asking.serve(admission, meter, answer, None).await
}

fn model_of(form: &MultipartForm) -> Result<String, GatewayError> {
    let named = form.fields.iter().rfind(|(name, value)| name == "model" && !value.trim().is_empty());
    let model = named.map(|(_, value)| value.clone());
    model.ok_or_else(|| GatewayError::invalid_param("model", "`model` must be the name of a model."))
}

/// The recording of a form. It is empty if the form has none.
fn recording_of(files: Vec<FormFile>) -> FormFile {
    files.into_iter().rfind(|file| file.field == "file").unwrap_or_else(|| FormFile {
        field: "file".to_owned(),
        name: String::new(),
        content_type: String::new(),
        content: Bytes::new(),
    })
}

/// Estimated number of input tokens: those of the recording, and those of the text fields, which
/// the model reads as well.
fn tokens(file: &[u8], fields: &[(String, String)]) -> u64 {
    let said: usize = fields.iter().map(|(_, value)| ai::estimate_tokens(value)).sum();
    ai::audio_tokens(file.len() as u64).saturating_add(said as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_tokens_of_text_fields() {
        let prompt = ("prompt".to_owned(), "Natter! ".repeat(1_000));
        assert_eq!(tokens(&[0; 3_000], &[]), ai::audio_tokens(3_000));
        assert_eq!(tokens(&[0; 3_000], &[prompt]), ai::audio_tokens(3_000) + 2_000);
    }

    #[test]
    fn finds_model_and_recording_in_a_form() {
        let file = |field: &str, content: &'static str| FormFile {
            field: field.to_owned(),
            name: "a.wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            content: content.into(),
        };
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let form = MultipartForm {
            fields: vec![field("model", "whisper"), field("language", "vi")],
            files: vec![file("file", "RIFF"), file("other", "PNG")],
        };
        assert_eq!(model_of(&form).ok().as_deref(), Some("whisper"));
        assert_eq!(recording_of(form.files).content, "RIFF");
        assert!(model_of(&MultipartForm { fields: vec![field("model", " ")], files: Vec::new() }).is_err());
        assert!(recording_of(Vec::new()).content.is_empty());
    }
}
