//! Property test: the reservation of any request covers its charge, as long as the provider
//! respects the request.
//!
//! The exceptions documented in docs/gateway.md aren't binding for providers; the generated usages
//! respect them:
//! - the input, including what tools read, has no more tokens than estimated;
//! - a conversation is shortened once, to at most the length of an answer;
//! - an answer without a limit is no longer than [`ASSUMED`];
//! - tools without a limit are used no more than estimated, which a stream may exceed, and OpenAI's
//!   tools a non-streamed answer;
//! - chat completions search once, and each tool that runs code has one container.

use ::ai::{ApiStyle, ExtraCalls, RequestInfo, Usage, inspect};
use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use futures_util::FutureExt as _;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{cost, max_cost, most_output, prices};

const ASSUMED: u64 = 500;

/// Generates a number in the spellings that clients use, or no number.
fn number(most: u64) -> BoxedStrategy<Value> {
    let written = |(number, form): (u64, u8)| match form {
        0 => Value::Null,
        1 => json!(number as f64),
        _ => json!(number),
    };
    (1..=most, 0_u8..5).prop_map(written).boxed()
}

fn tools(style: ApiStyle) -> BoxedStrategy<Value> {
    let named = |kind: &str| json!({ "type": kind, "name": "tool" });
    let memory = select(vec![Value::Null, json!("1g"), json!("4g"), json!("16g")]);
    let tool = match style {
        ApiStyle::Chat => Just(json!({ "type": "function", "function": { "name": "web_search" } })).boxed(),
        ApiStyle::Responses => prop_oneof![
            select(vec!["web_search", "web_search_preview", "image_generation", "function"]).prop_map(named),
            memory.clone().prop_map(|memory| {
                json!({ "type": "code_interpreter", "container": { "type": "auto", "memory_limit": memory } })
            }),
            (select(vec!["container_auto", "local"]), memory).prop_map(|(kind, memory)| {
                json!({ "type": "shell", "environment": { "type": kind, "memory_limit": memory } })
            }),
        ]
        .boxed(),
        ApiStyle::Messages => prop_oneof![
            (select(vec!["web_search_20250305", "web_search_20260209"]), number(6))
                .prop_map(|(kind, most)| json!({ "type": kind, "name": "web_search", "max_uses": most })),
            select(vec!["code_execution_20250825", "web_fetch_20250910", "web_fetch_20260209"]).prop_map(named),
            Just(json!({ "name": "web_search", "input_schema": {} })),
        ]
        .boxed(),
        ApiStyle::Gemini => Just(json!({ "functionDeclarations": [] })).boxed(),
    };
    prop::collection::vec(tool, 0..4).prop_map(Value::from).boxed()
}

/// Generates a field of a body; fields may be repeated.
fn field(style: ApiStyle) -> BoxedStrategy<(&'static str, Value)> {
    let sound = json!([{ "role": "user", "content": [{ "type": "input_audio", "input_audio": { "data": "x" } }] }]);
    let others = vec![
        ("modalities", json!(["text", "audio"])),
        ("messages", sound),
        ("web_search_options", json!({})),
        ("web_search_options", Value::Null),
        ("context_management", json!({ "edits": [{ "type": "compact_20260112" }] })),
        ("prediction", json!({ "type": "content", "content": "What may be written. ".repeat(20) })),
        ("metadata", json!({ "max_tokens": 1, "n": 100, "max_tool_calls": 1, "tools": [{ "type": "web_search" }] })),
    ];
    let later =
        |tools: Value| json!([{ "type": "additional_tools", "tools": tools }, { "role": "user", "content": "x" }]);
    prop_oneof![
        (select(vec!["max_tokens", "max_completion_tokens", "max_output_tokens"]), number(3_000)),
        number(8).prop_map(|number| ("n", number)),
        number(12).prop_map(|most| ("max_tool_calls", most)),
        any::<bool>().prop_map(|stream| ("stream", json!(stream))),
        select(others),
        tools(style).prop_map(|tools| ("tools", tools)),
        tools(style).prop_map(move |tools| ("input", later(tools))),
    ]
    .boxed()
}

fn requests() -> impl Strategy<Value = (ApiStyle, Vec<(&'static str, Value)>)> {
    select(vec![ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages])
        .prop_flat_map(|style| (Just(style), prop::collection::vec(field(style), 0..10)))
}

fn written(fields: &[(&'static str, Value)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("\"{name}\":{value},")).collect();
    format!("{{\"model\":\"m\",{fields}\"end\":true}}")
}

/// Upper bounds of the usage that a provider may report for a request.
#[derive(Debug)]
struct Allowed {
    /// Tokens per answer (if limited), predicted tokens, and number of answers.
    output: Option<u64>,
    predicted: u64,
    answers: u64,
    /// Number of times that the provider reads the input and writes the answers.
    times: u64,
    searches: u64,
    images: u64,
    /// Maximum number of searches and images together.
    calls: u64,
    containers: u64,
}

impl Allowed {
    fn by(style: ApiStyle, sent: &Value) -> Self {
        let count = |value: &Value| value.as_f64().map(|number| number as u64);
        let named = |name: &str| count(&sent[name]);
        let (searches, images) = if sent["stream"] == true { (10, 2) } else { (30, 4) };
        let later = sent["input"].as_array().into_iter().flatten().map(|item| &item["tools"]);
        let later = later.filter(|_| style == ApiStyle::Responses);
        let tools: Vec<&Value> =
            std::iter::once(&sent["tools"]).chain(later).filter_map(Value::as_array).flatten().collect();
        let of = |kind: &str| {
            let is_of = |tool: &&&Value| tool["type"].as_str().is_some_and(|name| name.starts_with(kind));
            tools.iter().filter(is_of).copied().collect::<Vec<_>>()
        };
        let (answers, times, calls) = (1, 1, u64::MAX);
        let allowed = Self { output: None, predicted: 0, answers, times, searches: 0, images: 0, calls, containers: 0 };
        match style {
            ApiStyle::Chat => Self {
                output: named("max_tokens").max(named("max_completion_tokens")),
                predicted: match &sent["prediction"] {
                    Value::Null => 0,
                    prediction => prediction.to_string().len().div_ceil(4) as u64,
                },
                answers: named("n").unwrap_or(1),
                searches: u64::from(!sent["web_search_options"].is_null()),
                ..allowed
            },
            ApiStyle::Responses => {
                let most = named("max_tool_calls");
                let places = of("code_interpreter").into_iter().map(|tool| &tool["container"]);
                let shells = of("shell").into_iter().map(|tool| &tool["environment"]);
                let sizes = places.chain(shells.filter(|place| place["type"] != "local"));
                let sizes: Vec<u64> = sizes
                    .map(|place| {
                        place["memory_limit"].as_str().map_or(1, |limit| limit.trim_end_matches('g').parse().unwrap())
                    })
                    .collect();
                let up_to = |kind: &str, usual: u64| if of(kind).is_empty() { 0 } else { most.unwrap_or(usual) };
                Self {
                    output: named("max_output_tokens"),
                    searches: up_to("web_search", searches),
                    images: up_to("image_generation", images),
                    calls: most.unwrap_or(u64::MAX),
                    containers: sizes.len() as u64 * sizes.iter().copied().max().unwrap_or(0),
                    ..allowed
                }
            }
            ApiStyle::Messages => {
                let free =
                    tools.iter().any(|tool| tool["type"].as_str().is_some_and(|kind| kind.ends_with("20260209")));
                let each = of("web_search").into_iter().map(|tool| count(&tool["max_uses"]).unwrap_or(searches));
                Self {
                    output: named("max_tokens"),
                    times: if sent["context_management"].is_null() { 1 } else { 2 },
                    searches: each.sum(),
                    containers: u64::from(!free && !of("code_execution").is_empty()),
                    ..allowed
                }
            }
            ApiStyle::Gemini => allowed,
        }
    }
}

proptest! {
    #[test]
    fn reserves_at_least_what_is_charged_for_any_request(
        (style, fields) in requests(),
        is_hidden in any::<bool>(),
        price in prices(),
        model_most in prop::option::of(1_u64..2_000),
        shares in prop::array::uniform9(0_u64..=100),
    ) {
        let text = written(&fields);
        let text = if is_hidden { text.replace('_', "\\u005f") } else { text };
        let body = Bytes::from(text.clone());
        let RequestInfo { estimate: wanted, normalised_body, .. } = inspect(WorkOwner::System, style, &body).now_or_never().unwrap().unwrap();
        let sent: Value = serde_json::from_slice(normalised_body.as_ref().unwrap_or(&body)).unwrap();
        let allowed = Allowed::by(style, &sent);
        let part = |of: u64, share: usize| of * shares[share] / 100;
        let output = allowed.output.unwrap_or(ASSUMED).min(model_most.unwrap_or(u64::MAX)) + allowed.predicted;
        let (asked, answered) =
            (part(wanted.input * allowed.times, 0), part(output * allowed.answers * allowed.times, 1));
        let is_sound = |(name, _): &(&str, Value)| matches!(*name, "modalities" | "messages");
        let has_sound = style == ApiStyle::Chat && fields.iter().any(is_sound);
        let (heard, spoken) = if has_sound { (part(asked, 2), part(answered, 3)) } else { (0, 0) };
        let searches = part(allowed.searches, 4);
        let images = part(allowed.images.min(allowed.calls.saturating_sub(searches)), 5);
        let beside = if allowed.times > 1 {
            let (input, output) = (part(asked, 2), part(answered, 3));
            ExtraCalls { input, output, longest: input, cached: part(input, 6), cache_write: part(input, 7) }
        } else {
            ExtraCalls::default()
        };
        let usage = Usage {
            extra: beside,
            input: Some(asked),
            output: Some(answered),
            cached: Some(part(asked, 6)),
            cache_write: Some(part(asked, 7)),
            audio: Some(heard + spoken),
            audio_output: Some(spoken),
            searches: Some(searches),
            images: Some(images),
            containers: Some(part(allowed.containers, 8)),
            ..Usage::default()
        };
        let held = max_cost(&price, wanted, most_output(wanted, ASSUMED, model_most));
        prop_assert!(cost(&price, &usage) <= held, "{text}: {allowed:?}");
    }
}
