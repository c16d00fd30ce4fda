//! The gateway: what it can be asked for, models, budgets, and what was used.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored_by_name;
use crate::{ApiKeyId, Timestamp, UserId, credits::MicroCredits};

/// A part of `/v1` that a key can be limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayEndpoint {
    Chat,
    Responses,
    Messages,
    Embeddings,
    Transcriptions,
}

/// What routes or costs beside a call's model, and passes to a provider whose settings hand it on: fields of a request, betas of Anthropic's by their
/// beginnings, and tools that the provider runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayPass {
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

/// How long a budget lasts until it begins anew. Days, weeks (from Monday) and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    Day,
    Week,
    Month,
    /// It never begins anew.
    None,
}

/// Whose budget it is.
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
    GatewayPass {
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

/// How much may be spent, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimit {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
}

/// A budget as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    pub limit: MicroCredits,
    pub period: BudgetPeriod,
    /// In this period.
    pub spent: MicroCredits,
    /// Kept back for requests that are under way.
    pub held: MicroCredits,
    /// When the next period begins. Null: never.
    pub resets_at: Option<Timestamp>,
}

/// The budget of a key, a person or a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScopedBudget {
    pub scope: BudgetScope,
    /// The key's, person's or workspace's id.
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    #[serde(flatten)]
    pub budget: Budget,
}

/// The models that a person or a workspace may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    pub scope: BudgetScope,
    /// The person's or workspace's id.
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    /// By name or alias.
    pub models: Vec<String>,
}

/// What a million tokens cost, in micro-credits, and what else is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Input that the provider had in its cache. Left out: like other input.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Input that the provider puts into its cache. Left out: like other input.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
    /// Sound that is heard. Left out: like other input.
    #[serde(default)]
    pub audio: Option<MicroCredits>,
    /// Sound that is made. Left out: like other output.
    #[serde(default)]
    pub audio_output: Option<MicroCredits>,
    /// One search of the web that the provider runs itself, as tools of Anthropic and OpenAI do. Left out: nothing.
    #[serde(default)]
    pub search: Option<MicroCredits>,
    /// One gigabyte of a container in which the provider runs code for an answer. Left out: nothing.
    #[serde(default)]
    pub container: Option<MicroCredits>,
    /// One picture that a tool of the provider's makes. Left out: nothing.
    #[serde(default)]
    pub image: Option<MicroCredits>,
    /// What a request with a long input costs instead, all of it.
    #[serde(default)]
    pub long: Option<LongPrice>,
}

/// What a million tokens cost where the input is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// In more tokens than this.
    #[schema(maximum = 1_000_000_000_i64)]
    pub above: u64,
    pub input: MicroCredits,
    pub output: MicroCredits,
    /// Left out: like other input.
    #[serde(default)]
    pub cached: Option<MicroCredits>,
    /// Left out: like other input.
    #[serde(default)]
    pub cache_write: Option<MicroCredits>,
}

impl ModelPrice {
    /// The price of so much input, in tokens, and of what comes of it.
    #[must_use]
    pub fn of_input(&self, input: u64) -> Self {
        match self.long {
            Some(LongPrice { above, input: long, output, cached, cache_write }) if input > above => {
                Self { input: long, output, cached, cache_write, ..*self }
            }
            _ => *self,
        }
    }
}

/// What a model can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelCapabilities {
    /// Tokens that it can read and write together.
    #[schema(maximum = 1_000_000_000_i64)]
    pub context_window: Option<u64>,
    /// Tokens that it writes at most.
    #[schema(maximum = 1_000_000_000_i64)]
    pub max_output: Option<u64>,
    pub images: bool,
    /// It is given PDFs as they are, pictures of their pages with their text.
    pub pdf: bool,
    pub audio: bool,
    pub tools: bool,
    pub json_schema: bool,
    pub reasoning: bool,
}

/// What a model takes of a request, where that is another than Natter knows. It is heeded where a request is written anew for a provider; one in the provider's
/// own form passes as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelTakes {
    /// How it can be asked to think: `none`, `any`, `efforts:low,high`, `adaptive:low,high`, `levels:low,high`, or tokens as `budget:0..24576`; docs/gateway.md
    /// has them all. Null: as far as it is known.
    #[schema(max_length = 200)]
    pub thinking: Option<String>,
    /// Null: as far as it is known.
    pub sampling: Option<ModelSampling>,
    /// Null: as far as it is known.
    pub thoughts: Option<ModelThoughts>,
}

/// Whether a model takes a temperature, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSampling {
    Any,
    Never,
    /// Only while it does not think.
    Resting,
}

/// Whether a model that is asked by chat completions reads its thoughts of before, as `reasoning_content`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelThoughts {
    #[default]
    Never,
    /// Where there are some.
    Known,
    /// It refuses a turn of its own without them.
    Always,
}

/// Where a model can be had: a provider of the configuration, and its name there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDeployment {
    pub provider: String,
    pub model: String,
    /// The share of requests among deployments of the same priority.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    pub weight: u32,
    /// A smaller one is tried first.
    #[serde(default)]
    #[schema(maximum = 1_000_000, default = 0)]
    pub priority: u32,
}

const fn one() -> u32 {
    1
}

/// Models that are asked instead, by what went wrong. They are tried in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct ModelFallbacks {
    /// The request is too long for the model.
    pub context_length: Vec<String>,
    /// The provider's filter refused it.
    pub content_policy: Vec<String>,
    /// Anything else that may pass.
    pub failure: Vec<String>,
}

/// A model as administrators define it.
// It does not refuse unknown fields: its schema is a part of `GatewayModel`'s, which has more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ModelDefinition {
    /// Other names for it.
    pub aliases: Vec<String>,
    pub deployments: Vec<ModelDeployment>,
    pub fallbacks: ModelFallbacks,
    /// Null: the price of the shipped table.
    pub price: Option<ModelPrice>,
    pub capabilities: ModelCapabilities,
    // Definitions are stored as JSON, those of earlier builds by the field's former name.
    #[serde(alias = "takes")]
    pub parameters: ModelTakes,
}

/// A model of the gateway, for administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GatewayModel {
    pub name: String,
    #[serde(flatten)]
    pub definition: ModelDefinition,
    /// `admin`: defined here; `configuration`: it follows from `ai.providers` and `ai.model_map`.
    pub source: Cow<'static, str>,
    /// The price that is charged, with where it is from. Null: it is unknown.
    pub charged: Option<ModelPrice>,
    pub price_version: String,
}

/// A model that somebody may use.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UsableModel {
    pub name: String,
    pub aliases: Vec<String>,
    /// It answers where none is named.
    pub is_default: bool,
    /// Where it is had first.
    pub provider: Option<String>,
    pub context_window: Option<u64>,
    pub capabilities: ModelCapabilities,
    pub price: Option<ModelPrice>,
}

/// One request to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRequest {
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    pub created_at: Timestamp,
    /// The answer's `x-request-id`.
    pub request_id: String,
    /// Null: an answer in a chat.
    pub key_id: Option<ApiKeyId>,
    pub user_id: UserId,
    /// A part of `/v1`, or `assistant` for an answer in a chat.
    pub endpoint: String,
    pub asked_model: String,
    /// The model that answered, by the provider's name for it.
    pub model: String,
    pub deployment: String,
    /// All that was read, from a cache too.
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    /// All that was written, thinking too.
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
    pub audio_tokens: u64,
    pub cost: MicroCredits,
    /// Which price it was.
    pub price_version: String,
    /// The provider did not say how many tokens it were.
    pub estimated: bool,
    /// The HTTP status; 499 where the client left.
    pub status: u16,
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    pub tries: u32,
}

/// How usage is put together.
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

/// What one day, model, key or person used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageGroup {
    /// A date such as `2026-11-23`, a model's name, or the id of a key or a person. Empty: answers in chats, which have no key.
    pub key: String,
    pub requests: u64,
    /// Of these, those that came to nothing.
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub cost: MicroCredits,
}

/// What a provider's key is good for now, on the instance that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKeyState {
    Ready,
    Resting,
    /// The provider refuses it. It is probed now and then.
    Off,
}

/// A key of a provider, by its last characters.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderKey {
    /// Its place among its provider's keys.
    pub id: String,
    /// False: its provider needs none.
    pub has_key: bool,
    /// Its last characters. Null: there is none, or it is too short to show any of it.
    #[schema(required)]
    pub tail: Option<String>,
    pub state: ProviderKeyState,
    /// Until then it rests, or is off.
    pub resting_until: Option<Timestamp>,
    /// Since this instance was started, as the two after it.
    pub requests: u64,
    pub failures: u64,
    /// Used by programs.
    pub tokens: u64,
}

/// A provider of models.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AiProvider {
    pub name: String,
    pub kind: Cow<'static, str>,
    pub source: ProviderSource,
    /// Of one that was added in the console. Null: its kind's public service.
    #[schema(required)]
    pub base_url: Option<String>,
    /// What may be asked of it. Empty: any model.
    pub models: Vec<String>,
    /// Of each instance. Null: no limit.
    #[schema(required)]
    pub requests_per_minute: Option<u32>,
    /// The instance that answers leaves it alone for a while, because it failed again and again.
    pub is_resting: bool,
    pub keys: Vec<ProviderKey>,
}

/// Where a provider is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSource {
    /// In `ai.providers`.
    Configuration,
    /// In the database: it was added in the console.
    Console,
}

/// What came of asking a provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderTest {
    pub ok: bool,
    pub latency_ms: Option<u64>,
    pub error: Option<String>,
}

/// Reads these from objects only: derived code takes a list of the fields as well, which their schemas forbid.
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

from_objects!(ModelFallbacks, ModelCapabilities, ModelTakes);
