//! Golden tests of the API formats: input and output for every pair, without network.

mod answers;
mod audio;
mod caches;
mod call_ids;
mod citations;
mod client_variants;
mod custom_tools;
mod files;
mod finishes;
mod fuzz;
mod gemini_client;
mod reasoning_blocks;
mod reasoning_details;
mod reminders;
mod requests;
mod responses_provider;
mod schemas;
mod server_tools;
mod tool_names;
mod unsigned;
mod web_search;

use bytes::Bytes;
use serde_json::Value;

use super::{
    AnswerHead, anthropic, gemini,
    openai_chat::{self, request::WriteOptions},
    openai_responses,
};
use crate::{
    ApiStyle, GatewayError, Meter, ProviderKind, Usage,
    canonical::{Reader, Request, Writer},
    profile::{
        Profile,
        adapt::{BodyFormat, adapt},
    },
    provider_http::failure::Failure,
    tapped_stream::Tap,
    translate::{AnswerParser, FormatConverter, read_whole},
};

const API_STYLES: [ApiStyle; 4] = [ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages, ApiStyle::Gemini];
/// Options of a caller who asks for the thoughts.
const THOUGHTS: gemini::client_format::AnswerOptions =
    gemini::client_format::AnswerOptions { shows_thoughts: true, is_wrapped: false };
const KINDS: [ProviderKind; 3] = [ProviderKind::OPENAI, ProviderKind::GEMINI, ProviderKind::ANTHROPIC];

fn head() -> AnswerHead {
    AnswerHead { id: "id_1".to_owned(), created: 7, model: "m".to_owned() }
}

fn read(style: ApiStyle, body: &Value) -> Result<Request, GatewayError> {
    match style {
        ApiStyle::Chat => openai_chat::request::read(body).map(|(request, _)| request),
        ApiStyle::Responses => openai_responses::request::read(body).map(|(request, _)| request),
        ApiStyle::Messages => anthropic::request::read(body),
        ApiStyle::Gemini => gemini::client_request::read(body).map(|(request, _)| request),
    }
}

/// A request as sent to the public service of a kind of provider.
fn write(kind: ProviderKind, request: &Request) -> Result<Value, GatewayError> {
    let model = if kind == ProviderKind::GEMINI { "gemini-3-pro" } else { "up" };
    write_at(kind, kind.dialect().public_url(), model, request)
}

/// A request as sent to the server of this base URL.
fn write_at(kind: ProviderKind, base: &str, model: &str, request: &Request) -> Result<Value, GatewayError> {
    let base = base.parse().unwrap();
    let body: Bytes = kind.dialect().write(request, model, &base)?.to_string().into();
    let profile = Profile::of(kind, &base, model, []);
    let adapted = adapt(&profile, BodyFormat::of(kind), &body).unwrap_or(body);
    Ok(serde_json::from_slice(&adapted).unwrap())
}

/// A client request as sent to a provider.
fn translated(style: ApiStyle, kind: ProviderKind, body: &Value) -> Value {
    write(kind, &read(style, body).unwrap()).unwrap()
}

fn reader(kind: ProviderKind) -> Box<dyn Reader> {
    kind.dialect().reader()
}

fn writer(style: ApiStyle) -> Box<dyn Writer> {
    match style {
        ApiStyle::Chat => {
            let options = WriteOptions { usage: true, ..WriteOptions::default() };
            Box::new(openai_chat::client_format::ChatWriter::new(&head(), options))
        }
        ApiStyle::Responses => {
            Box::new(openai_responses::answer::ResponseWriter::new(head(), serde_json::json!({"tools": []}), None))
        }
        ApiStyle::Messages => Box::new(anthropic::client_format::MessageWriter::new(head(), 11)),
        ApiStyle::Gemini => Box::new(gemini::client_format::GeminiWriter::new(head(), THOUGHTS)),
    }
}

/// A whole provider answer as written for a client.
fn whole(kind: ProviderKind, style: ApiStyle, body: &Value) -> Result<(Value, Usage), Failure> {
    convert_whole(reader(kind), style, body)
}

fn convert_whole(reader: Box<dyn Reader>, style: ApiStyle, body: &Value) -> Result<(Value, Usage), Failure> {
    let meter = Meter::default();
    let listener = AnswerParser::new(reader, std::sync::Arc::default());
    let (answer, usage) = read_whole(body.to_string().as_bytes(), listener, &meter)?;
    let written = match style {
        ApiStyle::Chat => openai_chat::client_format::whole(&head(), &answer, &usage),
        ApiStyle::Responses => {
            openai_responses::answer::whole(&head(), &serde_json::json!({"tools": []}), &answer, &usage)
        }
        ApiStyle::Messages => anthropic::client_format::whole(&head(), &answer, &usage, false),
        ApiStyle::Gemini => gemini::client_format::whole(&head(), THOUGHTS, &answer, &usage),
    };
    Ok((written, usage))
}

/// Provider frames as written for a client: the data of each frame, and the usage.
fn streamed(kind: ProviderKind, style: ApiStyle, frames: &[Value]) -> Result<(Vec<Value>, Usage), Failure> {
    let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let wire = if kind == ProviderKind::OPENAI { format!("{wire}data: [DONE]\n\n") } else { wire };
    let (text, usage) = stream_bytes(kind, style, vec![wire.into()])?;
    Ok((frame_data(&text), usage))
}

/// Data of each frame, except the end mark.
fn frame_data(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn stream_bytes(kind: ProviderKind, style: ApiStyle, blocks: Vec<Bytes>) -> Result<(String, Usage), Failure> {
    convert_stream(reader(kind), style, blocks)
}

fn convert_stream(reader: Box<dyn Reader>, style: ApiStyle, blocks: Vec<Bytes>) -> Result<(String, Usage), Failure> {
    let meter = Meter::default();
    let mut tap = FormatConverter::new(AnswerParser::new(reader, std::sync::Arc::default()), writer(style));
    let mut out = Vec::new();
    for block in blocks {
        if !tap.is_done() {
            out.extend(tap.pass(block, &meter)?.unwrap_or_default());
        }
    }
    if !tap.is_done() {
        out.extend(tap.finish(Bytes::new(), &meter)?.unwrap_or_default());
    }
    Ok((String::from_utf8(out).unwrap(), meter.usage()))
}
