//! Transcription of recordings.

use std::{convert::Infallible, sync::Arc};

use actix_web::http::header::CONTENT_TYPE;
use ai::{ApiStyle, GatewayError, Meter, Recording, TokenEstimate};
use appcore::{AppError, view::GatewayEndpoint};
use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use natter_macro::{dto, endpoint};

use super::{call::CallContext, deadline, max_body};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<Transcribe>()];

/// Maximum number of form fields in addition to the file and the model.
const MAX_FIELDS: usize = 64;
/// Maximum length of one of these fields, in bytes.
const MAX_FIELD_LEN: usize = 64 * 1024;

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
        let mut asking = CallContext::new(ctx, ApiStyle::Chat);
        let answer = transcribe(ctx, &mut asking, request.body).await;
        Ok(asking.reply(answer))
    }
}

async fn transcribe(ctx: &Ctx, asking: &mut CallContext<'_>, body: Bytes) -> Result<Reply<Raw>, GatewayError> {
    let content_type = ctx.http().headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Form { model, file, file_name, content_type, fields } = read(content_type.unwrap_or_default(), body).await?;
    let wanted = TokenEstimate { has_audio: true, ..TokenEstimate::text_only(tokens(&file, &fields), None) };
    let admission = asking.admit(GatewayEndpoint::Transcriptions, &model, wanted).await?;
    let meter = Arc::new(Meter::default());
    let recording = Recording {
        route: admission.route(),
        request_id: asking.request_id.clone(),
        owner: admission.work_owner(),
        file,
        file_name,
        content_type,
        fields,
        meter: Arc::clone(&meter),
    };
    let (ai, is_stream) = (asking.ai(), recording.is_stream());
    let answer = async move { ai.forward_transcription(recording).await };
    if is_stream {
        return asking.serve_stream(admission, meter, answer).await;
    }
    asking.serve(admission, meter, answer, None).await
}

/// Estimated number of input tokens: those of the recording, and those of the text fields, which
/// the model reads as well.
fn tokens(file: &[u8], fields: &[(String, String)]) -> u64 {
    let said: usize = fields.iter().map(|(_, value)| ai::estimate_tokens(value)).sum();
    ai::audio_tokens(file.len() as u64).saturating_add(said as u64)
}

/// Parsed form, whose fields may arrive in any order.
#[derive(Default)]
struct Form {
    model: String,
    file: Bytes,
    file_name: String,
    content_type: String,
    fields: Vec<(String, String)>,
}

async fn read(content_type: &str, body: Bytes) -> Result<Form, GatewayError> {
    let unreadable = |_| GatewayError::invalid("The form couldn't be read. Send it as multipart/form-data.");
    let boundary = multer::parse_boundary(content_type).map_err(unreadable)?;
    let mut parts = Multipart::new(stream::once(async move { Ok::<_, Infallible>(body) }), boundary);
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            form.file_name = part.file_name().unwrap_or("recording").to_owned();
            form.content_type =
                part.content_type().map_or_else(|| "application/octet-stream".to_owned(), ToString::to_string);
            form.file = part.bytes().await.map_err(unreadable)?;
            continue;
        }
        let value = part.text().await.map_err(unreadable)?;
        if value.len() > MAX_FIELD_LEN || form.fields.len() == MAX_FIELDS {
            return Err(GatewayError::invalid("The form has too many fields, or too long ones."));
        }
        if name == "model" {
            form.model = value;
        } else {
            form.fields.push((name, value));
        }
    }
    if form.model.trim().is_empty() {
        return Err(GatewayError::invalid_param("model", "`model` must be the name of a model."));
    }
    Ok(form)
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

    #[actix_web::test]
    async fn reads_form_fields_in_any_order() {
        let body = "--b\r\ncontent-disposition: form-data; name=\"language\"\r\n\r\nvi\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";
        let form = read("multipart/form-data; boundary=b", Bytes::from(body)).await.unwrap();
        assert_eq!((form.model.as_str(), &form.file[..], form.file_name.as_str()), ("whisper", &b"RIFF"[..], "a.wav"));
        assert_eq!(
            (form.content_type.as_str(), form.fields),
            ("audio/wav", vec![("language".to_owned(), "vi".to_owned())])
        );
        for (kind, body) in [
            ("application/json", "{}"),
            ("multipart/form-data; boundary=b", "--b\r\n"),
            ("multipart/form-data; boundary=b", "--b--\r\n"),
        ] {
            assert!(read(kind, Bytes::from(body)).await.is_err(), "{kind} {body}");
        }
    }
}
