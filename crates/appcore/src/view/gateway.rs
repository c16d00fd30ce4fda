//! AI gateway: endpoints, models, budgets and usage.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored_by_name;
use crate::{ApiKeyId, Timestamp, UserId, credits::MicroCredits};

/// Part of `/v1` that a key can be restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayEndpoint {
    Chat,
    Responses,
    Messages,
    Embeddings,
    Transcriptions,
}

/// Restricted parameter that affects routing or price and is passed through if the provider's
/// settings allow it: fields of a request, prefixes of Anthropic's betas, and tools that the
/// provider runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GatewayPass)]
pub enum RestrictedParameter {
    Models,
    Route,
    Provider,
    Plugins,
    Transforms,
    WebSearchOptions,
    ServiceTier,
    Speed,
    InferenceGeo,
    Store,
    #[serde(rename = "fast-mode")]
    FastMode,
    #[serde(rename = "files-api")]
    FilesApi,
    HostedTools,
}

/// Period after which a budget is reset. Days, weeks (from Monday) and months are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    Day,
    Week,
    Month,
    /// The budget is never reset.
    None,
}

/// Owner type of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    Key,
    User,
    Workspace,
}

stored_by_name! {
    GatewayEndpoint {
        Chat = "chat",
        Responses = "responses",
        Messages = "messages",
        Embeddings = "embeddings",
        Transcriptions = "transcriptions",
    }
    RestrictedParameter {
        Models = "models",
        Route = "route",
        Provider = "provider",
        Plugins = "plugins",
        Transforms = "transforms",
        WebSearchOptions = "web_search_options",
        ServiceTier = "service_tier",
        Speed = "speed",
        InferenceGeo = "inference_geo",
        Store = "store",
        FastMode = "fast-mode",
        FilesApi = "files-api",
        HostedTools = "hosted_tools",
    }
    BudgetPeriod { Day = "day", Week = "week", Month = "month", None = "none" }
    BudgetScope { Key = "key", User = "user", Workspace = "workspace" }
}

/// Spending limit, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimit {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
}

/// Budget with its current state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
    /// Amount spent in this period.
    pub spent: MicroCredits,
    /// Amount reserved for requests in progress.
    pub held: MicroCredits,
    /// Start of the next period. Null: never.
    pub resets_at: Option<Timestamp>,
}

/// Budget of a key, a user or a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScopedBudget {
    pub scope: BudgetScope,
    /// Id of the key, user or workspace.
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    #[serde(flatten)]
    pub budget: Budget,
}

/// Models that a user or a workspace may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    pub scope: BudgetScope,
    /// Id of the user or workspace.
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    /// Names or aliases of models.
    pub models: Vec<String>,
}

/// Prices of a model in micro-credits: per million tokens, and per unit of other billed items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Input tokens read from the provider's cache. Absent: priced as other input.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Input tokens written to the provider's cache. Absent: priced as other input.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
    /// Audio input tokens. Absent: priced as other input.
    #[serde(default)]
    pub audio: Option<MicroCredits>,
    /// Audio output tokens. Absent: priced as other output.
    #[serde(default)]
    pub audio_output: Option<MicroCredits>,
    /// One web search run by the provider, as with tools of Anthropic and OpenAI. Absent: free.
    #[serde(default)]
    pub search: Option<MicroCredits>,
    /// One GiB of a container in which the provider runs code for an answer. Absent: free.
    #[serde(default)]
    pub container: Option<MicroCredits>,
    /// One image generated by a tool of the provider. Absent: free.
    #[serde(default)]
    pub image: Option<MicroCredits>,
    /// Prices of all tokens of a request with a long input.
    #[serde(default)]
    pub long: Option<LongPrice>,
}

/// Prices per million tokens of requests with a long input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Number of input tokens above which these prices apply.
    #[schema(maximum = 1_000_000_000_i64)]
    pub above: u64,
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Absent: priced as other input.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Absent: priced as other input.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
}

impl ModelPrice {
    /// Prices that apply to a request with this many input tokens.
    #[must_use]
    pub fn for_input(&self, input: u64) -> Self {
        match self.long {
            Some(LongPrice { above, input: long, output, cached, cache_write }) if input > above => {
                Self { input: long, output, cached, cache_write, ..*self }
            }
            _ => *self,
        }
    }
}

/// Capabilities of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelCapabilities {
    /// Maximum number of input and output tokens together.
    #[schema(maximum = 1_000_000_000_i64)]
    pub context_window: Option<u64>,
    /// Maximum number of output tokens.
    #[schema(maximum = 1_000_000_000_i64)]
    pub max_output: Option<u64>,
    pub images: bool,
    /// True if PDFs are sent to the model as they are, as images of their pages with their text.
    pub pdf: bool,
    pub audio: bool,
    pub tools: bool,
    pub json_schema: bool,
    pub reasoning: bool,
}

/// Per-model limits on request parameters that override Natter's own table. Applied to requests
/// that are converted for a provider; passed-through requests are not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schema(as = ModelTakes)]
pub struct ModelParameterLimits {
    /// Supported thinking parameters: `none`, `any`, `efforts:low,high`, `adaptive:low,high`,
    /// `levels:low,high`, or tokens as `budget:0..24576`; see docs/gateway.md. Null: Natter's own
    /// table.
    #[schema(max_length = 200)]
    pub thinking: Option<String>,
    /// Null: Natter's own table.
    pub sampling: Option<ModelSampling>,
    /// Null: Natter's own table.
    pub thoughts: Option<ModelThoughts>,
}

/// Support for sampling parameters such as the temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSampling {
    Any,
    Never,
    /// Only if thinking is off.
    Resting,
}

/// Support for previous thoughts as `reasoning_content` in chat completions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelThoughts {
    #[default]
    Never,
    /// Sent if present.
    Known,
    /// Required: the model refuses its own turns without them.
    Always,
}

/// Deployment of a model: a configured provider, and the provider's name for the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDeployment {
    pub provider: String,
    pub model: String,
    /// Share of requests among deployments of the same priority.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    pub weight: u32,
    /// Lower values are tried first.
    #[serde(default)]
    #[schema(maximum = 1_000_000, default = 0)]
    pub priority: u32,
}

const fn one() -> u32 {
    1
}

/// Fallback models by kind of failure, tried in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelFallbacks {
    /// The request exceeds the model's context window.
    pub context_length: Vec<String>,
    /// The provider's content filter refused the request.
    pub content_policy: Vec<String>,
    /// Other temporary failures.
    pub failure: Vec<String>,
}

/// Model definition by administrators.
// Unknown fields are accepted because its schema is part of `GatewayModel`'s, which has more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ModelDefinition {
    /// Aliases of the model.
    pub aliases: Vec<String>,
    pub deployments: Vec<ModelDeployment>,
    pub fallbacks: ModelFallbacks,
    /// Null: the price in the shipped table.
    pub price: Option<ModelPrice>,
    pub capabilities: ModelCapabilities,
    // Stored definitions of earlier builds have the former name of the field.
    #[serde(alias = "takes")]
    pub parameters: ModelParameterLimits,
}

/// Model of the gateway, as seen by administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GatewayModel {
    pub name: String,
    #[serde(flatten)]
    pub definition: ModelDefinition,
    /// `admin`: defined in the console; `configuration`: derived from `ai.providers` and
    /// `ai.model_map`.
    pub source: Cow<'static, str>,
    /// Price that is charged. Null if it is unknown.
    pub charged: Option<ModelPrice>,
    pub price_version: String,
}

/// Model that the caller may use.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UsableModel {
    pub name: String,
    pub aliases: Vec<String>,
    /// True for the model that is used if none is named.
    pub is_default: bool,
    /// Preferred provider.
    pub provider: Option<String>,
    pub context_window: Option<u64>,
    pub capabilities: ModelCapabilities,
    pub price: Option<ModelPrice>,
}

/// Request to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRequest {
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    pub created_at: Timestamp,
    /// `x-request-id` of the response.
    pub request_id: String,
    /// Null for answers in chats.
    pub key_id: Option<ApiKeyId>,
    pub user_id: UserId,
    /// Part of `/v1`, or `assistant` for an answer in a chat.
    pub endpoint: String,
    pub asked_model: String,
    /// Model that answered, by the provider's name.
    pub model: String,
    pub deployment: String,
    /// Input tokens, including cached ones.
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    /// Output tokens, including reasoning.
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
    pub audio_tokens: u64,
    pub cost: MicroCredits,
    /// Version of the price.
    pub price_version: String,
    /// True if the provider did not report the token counts.
    pub estimated: bool,
    /// HTTP status; 499 if the client disconnected.
    pub status: u16,
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    pub tries: u32,
}

/// Grouping of the usage report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageGrouping {
    #[default]
    Day,
    Model,
    Key,
    User,
}

stored_by_name! { UsageGrouping { Day = "day", Model = "model", Key = "key", User = "user" } }

/// Usage of one day, model, key or user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageGroup {
    /// Date such as `2026-11-23`, name of a model, or id of a key or a user. Empty for answers in
    /// chats, which have no key.
    pub key: String,
    pub requests: u64,
    /// Failed requests.
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub cost: MicroCredits,
}

/// State of a provider key on the instance that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKeyState {
    Ready,
    Resting,
    /// Refused by the provider. Probed from time to time.
    Off,
}

/// Key of a provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderKey {
    /// Index of the key among its provider's keys.
    pub id: String,
    /// False if the provider needs no key.
    pub has_key: bool,
    /// Last characters of the key. Null if there is no key, or if it is too short to reveal any.
    #[schema(required)]
    pub tail: Option<String>,
    pub state: ProviderKeyState,
    /// Time until which the key is paused or disabled.
    pub resting_until: Option<Timestamp>,
    /// Requests since the start of this instance, as `failures` and `tokens`.
    pub requests: u64,
    pub failures: u64,
    /// Tokens used by API clients.
    pub tokens: u64,
}

/// AI provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AiProvider {
    pub name: String,
    pub kind: Cow<'static, str>,
    pub source: ProviderSource,
    /// Base URL of a provider added in the console. Null: the public service of its kind.
    #[schema(required)]
    pub base_url: Option<String>,
    /// Available models. Empty: any model.
    pub models: Vec<String>,
    /// Limit of each instance. Null: unlimited.
    #[schema(required)]
    pub requests_per_minute: Option<u32>,
    /// True if this instance has paused the provider after repeated failures.
    pub is_resting: bool,
    pub keys: Vec<ProviderKey>,
}

/// Origin of a provider's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSource {
    /// Configured in `ai.providers`.
    Configuration,
    /// Added in the console, stored in the database.
    Console,
}

/// Result of a test request to a provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderTest {
    pub ok: bool,
    pub latency_ms: Option<u64>,
    pub error: Option<String>,
}

/// Deserializes these types from objects only: derived code also accepts a list of the fields,
/// which their schemas forbid.
macro_rules! from_objects {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Object;
                impl<'de> Visitor<'de> for Object {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(map))
                    }
                }
                deserializer.deserialize_map(Object)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }
    )*};
}

from_objects!(ModelFallbacks, ModelCapabilities, ModelParameterLimits);
