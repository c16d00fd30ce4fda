//! AI gateway: endpoints, models, budgets and usage.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored_by_name;
use crate::{Timestamp, credits::MicroCredits};

/// Endpoint of `/v1` that an API key can be restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayEndpoint {
    Chat,
    Responses,
    Messages,
    Embeddings,
    Transcriptions,
    Completions,
    Images,
    Speech,
    Translations,
    Rerank,
    Moderations,
    Files,
    Batches,
    Gemini,
    Ollama,
}

/// Restricted parameter: a field of a request, a prefix of Anthropic's betas, or a tool that the
/// provider runs. It affects routing or price, and is passed through only if the provider's
/// settings allow it.
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

/// Period after which a budget is reset. Days, weeks (from Monday) and months are in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    Day,
    Week,
    Month,
    /// The budget is never reset.
    None,
}

/// Kind of object that a budget belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    Key,
    User,
    Workspace,
    /// End user behind a key.
    EndUser,
    /// Calls of one model with a key.
    Model,
    /// Calls with a tag and a key.
    Tag,
}

/// Source of the end user of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndUserSource {
    /// Fields of the request's body.
    #[default]
    Body,
    /// Headers of Open WebUI; without them, the fields of the request's body.
    Headers,
}

stored_by_name! {
    GatewayEndpoint {
        Chat = "chat",
        Responses = "responses",
        Messages = "messages",
        Embeddings = "embeddings",
        Transcriptions = "transcriptions",
        Completions = "completions",
        Images = "images",
        Speech = "speech",
        Translations = "translations",
        Rerank = "rerank",
        Moderations = "moderations",
        Files = "files",
        Batches = "batches",
        Gemini = "gemini",
        Ollama = "ollama",
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
    BudgetScope { Key = "key", User = "user", Workspace = "workspace", EndUser = "end_user", Model = "model", Tag = "tag" }
    EndUserSource { Body = "body", Headers = "headers" }
}

/// Spending limit in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimit {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
}

/// Budget and its usage, in micro-credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
    /// Amount spent in the current period.
    pub spent: MicroCredits,
    /// Amount reserved for requests in progress.
    pub held: MicroCredits,
    /// Time of the next reset; null if there is none.
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

/// Prices of a model in micro-credits: tokens per million, others per unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Price of input tokens read from the provider's cache; defaults to `input`.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Price of input tokens written to the provider's cache; defaults to `input`.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
    /// Price of audio input tokens; defaults to `input`.
    #[serde(default)]
    pub audio: Option<MicroCredits>,
    /// Price of audio output tokens; defaults to `output`.
    #[serde(default)]
    pub audio_output: Option<MicroCredits>,
    /// Price of one web search that the provider runs; absent if free.
    #[serde(default)]
    pub search: Option<MicroCredits>,
    /// Price of one GiB of a container in which the provider runs code; absent if free.
    #[serde(default)]
    pub container: Option<MicroCredits>,
    /// Price of one image that a provider's tool generates; absent if free.
    #[serde(default)]
    pub image: Option<MicroCredits>,
    /// Prices that apply to all tokens of a request with a long input.
    #[serde(default)]
    pub long: Option<LongPrice>,
}

/// Token prices of requests with a long input, per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Number of input tokens above which these prices apply.
    #[schema(maximum = 1_000_000_000_i64)]
    pub above: u64,
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Price of input tokens read from the provider's cache; defaults to `input`.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Price of input tokens written to the provider's cache; defaults to `input`.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
}

impl ModelPrice {
    /// Prices that apply to a request with `input` input tokens.
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
    /// True if the model gets PDF files as they are, with their pages as images.
    pub pdf: bool,
    pub audio: bool,
    pub tools: bool,
    pub json_schema: bool,
    pub reasoning: bool,
}

/// Limits of a model on request parameters. Applied to requests that are converted for a provider,
/// not to those that are passed through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schema(as = ModelTakes)]
pub struct ModelParameterLimits {
    /// Supported thinking parameters: `none`, `any`, `efforts:low,high`, `adaptive:low,high`,
    /// `levels:low,high`, or a token range as `budget:0..24576` (see docs/gateway.md). Null for
    /// Natter's own table.
    #[schema(max_length = 200)]
    pub thinking: Option<String>,
    /// Supported sampling parameters; null for Natter's own table.
    pub sampling: Option<ModelSampling>,
    /// Support for previous thoughts; null for Natter's own table.
    pub thoughts: Option<ModelThoughts>,
    /// Settings of the requests that the model accepts, separated by spaces, such as
    /// `system=first images=no` (see docs/gateway.md). They override Natter's own table.
    #[schema(max_length = 500)]
    pub accepts: Option<String>,
}

/// Support for sampling parameters such as the temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSampling {
    Any,
    Never,
    /// Sampling parameters are supported only if thinking is off.
    Resting,
}

/// Support for earlier thoughts (`reasoning_content` of chat completions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelThoughts {
    #[default]
    Never,
    /// Thoughts are sent if there are any.
    Known,
    /// Thoughts must be sent, because the model refuses its own earlier answers without them.
    Always,
}

/// Provider that serves a model, and its name for the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDeployment {
    pub provider: String,
    pub model: String,
    /// Share of the requests among deployments of the same priority.
    #[serde(default = "default_weight")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    pub weight: u32,
    /// Priority; lower values are tried first.
    #[serde(default)]
    #[schema(maximum = 1_000_000, default = 0)]
    pub priority: u32,
}

const fn default_weight() -> u32 {
    1
}

/// Fallback models for each kind of failure, in the order of use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelFallbacks {
    /// Models to use if the context window is exceeded.
    pub context_length: Vec<String>,
    /// Models to use if the provider's content filter refused the request.
    pub content_policy: Vec<String>,
    /// Models to use after other temporary failures.
    pub failure: Vec<String>,
}

/// Model definition by administrators.
// Unknown fields are accepted, because the schema is also a part of the schema of `GatewayModel`,
// which has further fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ModelDefinition {
    /// Aliases of the model.
    pub aliases: Vec<String>,
    pub deployments: Vec<ModelDeployment>,
    pub fallbacks: ModelFallbacks,
    /// Price; null for the built-in one.
    pub price: Option<ModelPrice>,
    pub capabilities: ModelCapabilities,
    // Definitions that earlier builds have stored contain the former name of this field.
    #[serde(alias = "takes")]
    pub parameters: ModelParameterLimits,
}

/// Model of the gateway, as shown to administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GatewayModel {
    pub name: String,
    #[serde(flatten)]
    pub definition: ModelDefinition,
    /// Source: `admin` for the console, `configuration` for `ai.providers` and `ai.model_map`.
    pub source: Cow<'static, str>,
    /// Price that is charged; null if unknown.
    pub charged: Option<ModelPrice>,
    pub price_version: String,
}

/// Model that the caller may use.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UsableModel {
    pub name: String,
    pub aliases: Vec<String>,
    /// True if requests without a model use this one.
    pub is_default: bool,
    /// Provider that is tried first.
    pub provider: Option<String>,
    pub context_window: Option<u64>,
    pub capabilities: ModelCapabilities,
    pub price: Option<ModelPrice>,
}

/// State of a provider key on this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKeyState {
    Ready,
    Resting,
    /// The provider refuses the key. The key is tried again from time to time.
    Off,
}

/// Key of a provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderKey {
    /// Index of the key among its provider's keys.
    pub id: String,
    /// True if there is a key. False if the provider needs none.
    pub has_key: bool,
    /// Last characters of the key; null if it is absent or too short.
    #[schema(required)]
    pub tail: Option<String>,
    pub state: ProviderKeyState,
    /// Time until which the key is paused or disabled.
    pub resting_until: Option<Timestamp>,
    /// Number of requests since the start of this instance, like `failures` and `tokens`.
    pub requests: u64,
    pub failures: u64,
    /// Number of tokens used by API clients.
    pub tokens: u64,
}

/// AI provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AiProvider {
    pub name: String,
    pub kind: Cow<'static, str>,
    pub source: ProviderSource,
    /// Base URL of a provider from the console; null for the public service of its kind.
    #[schema(required)]
    pub base_url: Option<String>,
    /// Available models; if empty, any model.
    pub models: Vec<String>,
    /// Maximum requests per minute and instance; null if unlimited.
    #[schema(required)]
    pub requests_per_minute: Option<u32>,
    /// True if this instance paused the provider after failures.
    pub is_resting: bool,
    pub keys: Vec<ProviderKey>,
    /// Settings of models that were learned from refusals.
    pub learned: Vec<LearnedModelSetting>,
}

/// Setting of a model, learned from a provider's refusal. Later requests are adapted to it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LearnedModelSetting {
    /// Provider's name of the model.
    pub model: String,
    /// Setting of the model, such as `images=no` (see docs/gateway.md).
    pub setting: String,
    pub learned_at: Timestamp,
}

/// Origin of a provider's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSource {
    /// Provider that is configured in `ai.providers`.
    Configuration,
    /// Provider that was added in the console and is stored in the database.
    Console,
}

/// Result of a test request to a provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderTest {
    pub ok: bool,
    pub latency_ms: Option<u64>,
    pub error: Option<String>,
}

/// Makes these types accept only objects. The derived code would also accept a list of the fields,
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
