//! Gemini's API: calls of a model, whose name and method are in the path, and the list of models.

use ai::{ApiStyle, ErrorKind, GatewayError, GeminiMethod, normalise_gemini_body, parse_gemini_path};
use appcore::{
    AppError,
    view::{GatewayEndpoint, UsableModel},
};
use bytes::Bytes;
use middleware::tracing::request_id;
use natter_macro::{dto, endpoint};
use serde_json::{Value, json};

use super::{
    call::{CallContext, CallPurpose, authenticate_key},
    deadline, failure, json_reply, max_body,
};
use crate::{
    Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply,
    input::{NoInput, unescape_slashes, url_query},
};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CallGeminiModel>(),
    EndpointDef::of::<CallGeminiModelV1>(),
    EndpointDef::of::<ListGeminiModels>(),
    EndpointDef::of::<ShowGeminiModel>(),
];

/// Default page size of the list of models.
const DEFAULT_PAGE_SIZE: usize = 50;
/// Maximum page size of the list of models.
const MAX_PAGE_SIZE: usize = 1_000;
/// Part of the names of models that make embeddings.
const EMBEDDING_MARK: &str = "embed";

#[dto(request)]
pub struct GeminiModelCall {
    /// Name of the model, a colon, and the method: `generateContent`, `streamGenerateContent`,
    /// `countTokens`, `embedContent` or `batchEmbedContents`.
    #[from(path)]
    pub id: String,
    /// `sse` streams an answer as Server-Sent Events instead of a JSON array.
    #[from(query)]
    pub alt: Option<String>,
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

/// Call a model (Gemini)
///
/// For models of any provider. The key may also be in the header `x-goog-api-key` or in the query
/// parameter `key`.
#[endpoint(POST "/v1beta/models/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CallGeminiModel {
    type Request = GeminiModelCall;
    type Response = Raw;

    async fn handle(ctx: &Ctx, call: GeminiModelCall) -> Result<Reply<Raw>, AppError> {
        call_model(ctx, call).await
    }
}

/// Call a model (Gemini, version 1)
#[endpoint(POST "/v1/models/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CallGeminiModelV1 {
    type Request = GeminiModelCall;
    type Response = Raw;

    async fn handle(ctx: &Ctx, call: GeminiModelCall) -> Result<Reply<Raw>, AppError> {
        call_model(ctx, call).await
    }
}

/// List the models that this key may call (Gemini)
///
/// `pageSize` is 50 by default and at most 1,000; `pageToken` is the `nextPageToken` of the page
/// before.
#[endpoint(GET "/v1beta/models", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ListGeminiModels {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        list_models(ctx).await
    }
}

#[dto(request)]
pub struct GeminiModelRequest {
    /// Name of the model.
    #[from(path)]
    pub id: String,
}

/// Show a model that this key may call (Gemini)
#[endpoint(GET "/v1beta/models/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowGeminiModel {
    type Request = GeminiModelRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: GeminiModelRequest) -> Result<Reply<Raw>, AppError> {
        show_model(ctx, &request.id).await
    }
}

/// Lists the models as Google does.
pub(super) async fn list_models(ctx: &Ctx) -> Result<Reply<Raw>, AppError> {
    let query = url_query(ctx.http().query_string());
    let parameter = |names: [&str; 2]| {
        query.iter().find(|(name, value)| names.contains(&name.as_str()) && !value.is_empty()).map(|(_, value)| value)
    };
    let size = parameter(["pageSize", "page_size"]).map(|size| size.parse::<usize>());
    let size = size.transpose().map_err(|_| AppError::field("pageSize", "invalid", "Choose a number."))?;
    let size = size.filter(|&size| size > 0).unwrap_or(DEFAULT_PAGE_SIZE).min(MAX_PAGE_SIZE);
    let names = named_models(ctx).await?;
    let after = parameter(["pageToken", "page_token"]);
    let start = after.map_or(0, |token| names.partition_point(|(name, _)| name <= token));
    let rest = names.get(start..).unwrap_or_default();
    let page = &rest[..size.min(rest.len())];
    let mut list = json!({ "models": page.iter().map(|(name, model)| render(name, model)).collect::<Vec<_>>() });
    if let Some((last, _)) = page.last().filter(|_| rest.len() > page.len()) {
        list["nextPageToken"] = last.as_str().into();
    }
    Ok(json_reply(&list))
}

/// Describes a model as Google does.
pub(super) async fn show_model(ctx: &Ctx, id: &str) -> Result<Reply<Raw>, AppError> {
    let name = unescape_slashes(id);
    let models = named_models(ctx).await?;
    let model = models.iter().find(|(known, _)| *known == name);
    Ok(match model {
        Some((name, model)) => json_reply(&render(name, model)),
        None => failure::reply(&GatewayError::unknown_model(&name), ApiStyle::Gemini, &request_id(ctx.http())),
    })
}

async fn call_model(ctx: &Ctx, call: GeminiModelCall) -> Result<Reply<Raw>, AppError> {
    let name = unescape_slashes(&call.id);
    let target = parse_gemini_path(&name);
    let is_array = call.alt.as_deref() != Some("sse");
    let mut asking = CallContext::new(ctx, ApiStyle::Gemini).with_array(is_array);
    let answer = async {
        let (model, method) = target.ok_or_else(|| unknown_method(&name))?;
        let caller = authenticate_key(ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
        let body = normalise_gemini_body(caller.work_owner(), method, model, &call.body).await?;
        if method == GeminiMethod::CountTokens {
            let tokens = asking.count_tokens(body).await?;
            return Ok(json_reply(&json!({ "totalTokens": tokens })));
        }
        if !matches!(method, GeminiMethod::EmbedContent | GeminiMethod::BatchEmbedContents) {
            return asking.complete(GatewayEndpoint::Gemini, body).await;
        }
        let entered = asking.admit_request(GatewayEndpoint::Gemini, body, CallPurpose::Embedding).await?;
        let ai = asking.ai();
        asking.answer(entered, |call| async move { ai.forward_gemini_embeddings(call).await }).await
    };
    let answer = answer.await;
    Ok(asking.reply(answer))
}

fn unknown_method(name: &str) -> GatewayError {
    let method: String = name.rsplit_once(':').map_or("", |(_, method)| method).chars().take(100).collect();
    let known = GeminiMethod::ALL.map(GeminiMethod::name).join(", ");
    let message = format!(
        "The method `{method}` isn't supported. The address ends with the model, a colon, and one of: {known}."
    );
    GatewayError::new(ErrorKind::NotFound, message)
}

/// Models that the key may call, by each of their names, sorted.
async fn named_models(ctx: &Ctx) -> Result<Vec<(String, UsableModel)>, AppError> {
    let models = gateway::models(ctx.gateway(), &authenticate_key(ctx).await?);
    let mut named = Vec::with_capacity(models.len());
    for model in models {
        named.extend(model.aliases.iter().map(|alias| (alias.clone(), model.clone())));
        named.push((model.name.clone(), model));
    }
    named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(named)
}

fn render(name: &str, model: &UsableModel) -> Value {
    let embeds = name.contains(EMBEDDING_MARK);
    let methods = GeminiMethod::ALL.into_iter().filter(|method| {
        *method == GeminiMethod::CountTokens
            || embeds == matches!(method, GeminiMethod::EmbedContent | GeminiMethod::BatchEmbedContents)
    });
    let methods: Vec<&str> = methods.map(GeminiMethod::name).collect();
    let mut rendered = json!({
        "name": format!("models/{name}"), "version": "1", "displayName": name, "supportedGenerationMethods": methods,
    });
    let limits = [("inputTokenLimit", model.context_window), ("outputTokenLimit", model.capabilities.max_output)];
    for (field, limit) in limits {
        if let Some(limit) = limit {
            rendered[field] = limit.into();
        }
    }
    rendered
}
