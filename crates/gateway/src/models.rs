//! Available models with their deployments and prices.
//!
//! Models come from the providers (`ai.providers`, `ai.model_map` and custom providers) and from
//! definitions of administrators, which take precedence. Each instance keeps them in a table that
//! is replaced as a whole. Changes are announced on the bus; while the bus is unavailable, the
//! table is reloaded periodically.

mod define;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use ::ai::ModelParamOverrides;
use appcore::{
    AppError, config,
    view::{ModelCapabilities, ModelDefinition, ModelDeployment, ModelPrice},
};
use dbcontext::entity::gateway_model;

pub(super) use self::define::{announce_models_changed, default_name, is_name, to_usable_models};
pub use self::define::{define_model, find, list, list_usable, remove};
use crate::{GatewayService, prices};

const MAX_NAME_BYTES: usize = 120;
/// Built-in model that is used if no provider is configured.
pub(super) const DEMO: &str = "demo";

/// Origin of a model's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Configuration,
    Admin,
}

/// Available model.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: Arc<str>,
    pub definition: ModelDefinition,
    pub source: Source,
    /// Price; `None` if it is unknown.
    pub price: Option<ModelPrice>,
    pub price_version: Arc<str>,
    /// Maximum output tokens over all deployments of the route; `None` if it is unknown for one of
    /// them.
    pub max_output: Option<u64>,
    /// Route to the model's deployments; the same for all requests.
    pub route: Arc<ai::Route>,
}

impl Model {
    /// True if `name` is the model's name or one of its aliases.
    fn is_named(&self, name: &str) -> bool {
        *self.name == *name || self.definition.aliases.iter().any(|alias| alias == name)
    }

    /// True if the name, an alias or a deployment contains `sought`, which must be folded.
    fn matches(&self, sought: &str) -> bool {
        let ModelDefinition { aliases, deployments, .. } = &self.definition;
        let places = deployments.iter().flat_map(|one| [one.provider.as_str(), one.model.as_str()]);
        std::iter::once(&*self.name)
            .chain(aliases.iter().map(String::as_str))
            .chain(places)
            .any(|text| ::search::fold_name(text).contains(sought))
    }
}

/// All models by name and alias.
#[derive(Debug, Default)]
pub struct Table {
    models: BTreeMap<Arc<str>, Arc<Model>>,
    names: HashMap<String, Arc<Model>>,
    /// Provider that accepts any model name because it lists none.
    open: Option<String>,
    /// Providers with their listed models. `<provider>/<model>` is valid if the provider lists the
    /// model or lists none.
    providers: Vec<ListedProvider>,
    /// Names and aliases from the configuration, regardless of administrators' definitions.
    listed: HashSet<String>,
}

/// Name of a provider and its listed models.
pub(super) type ListedProvider = (String, Vec<String>);

/// Returns the name if the model is available.
pub fn check_available(service: &GatewayService, model: &str) -> Result<String, AppError> {
    if service.find_model(model).is_some() {
        return Ok(model.to_owned());
    }
    Err(AppError::field("model", "unknown", "This model isn't available on this server."))
}

/// Model table of this instance.
pub(super) struct Models {
    table: RwLock<Arc<Table>>,
    stored: Mutex<StoredDefinitions>,
    /// Providers of the configuration.
    configured_providers: Vec<ListedProvider>,
    model_map: Vec<(String, String)>,
}

/// Definitions stored by administrators.
#[derive(Default, PartialEq)]
struct StoredDefinitions {
    defined: Vec<gateway_model::Model>,
    added: Vec<ListedProvider>,
}

impl Models {
    pub fn new(config: &config::Ai) -> Self {
        let own: Vec<ListedProvider> =
            config.providers.iter().map(|provider| (provider.name.clone(), provider.models.clone())).collect();
        let model_map = config.model_map.clone();
        let table = Table::build(&configured(&own, &model_map), &[], &own);
        Self { table: RwLock::new(Arc::new(table)), stored: Mutex::default(), configured_providers: own, model_map }
    }

    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn is_configured(&self, name: &str) -> bool {
        self.table().listed.contains(name)
    }

    /// Replaces the stored definitions and the custom providers. Returns true if anything has
    /// changed.
    pub fn replace(&self, defined: Vec<gateway_model::Model>, added: Vec<ListedProvider>) -> bool {
        let stored = StoredDefinitions { defined, added };
        let mut known = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == stored {
            return false;
        }
        let providers: Vec<ListedProvider> = self.configured_providers.iter().chain(&stored.added).cloned().collect();
        let table = Table::build(&configured(&providers, &self.model_map), &stored.defined, &providers);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        *known = stored;
        true
    }
}

/// Builds the models that providers list. A model listed by several providers uses the first one;
/// the others are available as `<provider>/<model>`.
fn configured(providers: &[ListedProvider], model_map: &[(String, String)]) -> BTreeMap<String, ModelDefinition> {
    let mut models: BTreeMap<String, ModelDefinition> = BTreeMap::new();
    let at = |provider: &str, model: &str| ModelDefinition {
        deployments: vec![ModelDeployment {
            provider: provider.to_owned(),
            model: model.to_owned(),
            weight: 1,
            priority: 0,
        }],
        ..ModelDefinition::default()
    };
    if providers.is_empty() {
        models.insert(DEMO.to_owned(), at(DEMO, DEMO));
    }
    for (provider, listed) in providers {
        for model in listed {
            let full = format!("{provider}/{model}");
            if models.contains_key(model) {
                models.insert(full, at(provider, model));
            } else {
                models.insert(model.clone(), ModelDefinition { aliases: vec![full], ..at(provider, model) });
            }
        }
    }
    for (asked, target) in model_map {
        let Some((provider, model)) = target.split_once('/') else { continue };
        let Some((known, _)) = providers.iter().find(|(known, _)| known.eq_ignore_ascii_case(provider)) else {
            continue;
        };
        let full = format!("{known}/{model}");
        let same = models
            .iter_mut()
            .find(|(name, definition)| **name == full || definition.aliases.contains(&full))
            .map(|(_, definition)| definition);
        match same {
            Some(definition) => definition.aliases.push(asked.clone()),
            None => {
                models.insert(asked.clone(), at(known, model));
            }
        }
    }
    models
}

impl Table {
    fn build(
        configured: &BTreeMap<String, ModelDefinition>,
        defined: &[gateway_model::Model],
        providers: &[ListedProvider],
    ) -> Self {
        let listed = configured.keys().cloned().collect();
        let mut all: BTreeMap<String, (ModelDefinition, Source, i64)> = configured
            .iter()
            .map(|(name, definition)| (name.clone(), (definition.clone(), Source::Configuration, 0)))
            .collect();
        let mut taken: HashSet<&str> = HashSet::new();
        let mut parsed = Vec::with_capacity(defined.len());
        for row in defined {
            match serde_json::from_str::<ModelDefinition>(&row.definition) {
                Ok(definition) => parsed.push((row, definition)),
                Err(error) => tracing::error!(%error, model = row.name, "a model's definition can't be read"),
            }
        }
        for (row, definition) in &parsed {
            taken.insert(&row.name);
            taken.extend(definition.aliases.iter().map(String::as_str));
        }
        // A name assigned by an administrator is removed from other models.
        for (definition, ..) in all.values_mut() {
            definition.aliases.retain(|alias| !taken.contains(alias.as_str()));
        }
        let shadowed: Vec<String> = parsed.iter().flat_map(|(_, definition)| definition.aliases.clone()).collect();
        for alias in shadowed {
            all.remove(&alias);
        }
        for (row, definition) in parsed {
            let mut definition = definition;
            if definition.deployments.is_empty()
                && let Some((known, ..)) = all.get(&row.name)
            {
                definition.deployments = known.deployments.clone();
            }
            all.insert(row.name.clone(), (definition, Source::Admin, row.updated_at.0));
        }
        let deployments: HashMap<String, Vec<ai::Deployment>> = all
            .iter()
            .flat_map(|(name, (definition, ..))| {
                let deployed = deployments_of(definition);
                let names = std::iter::once(name).chain(&definition.aliases);
                names.map(move |name| (name.clone(), deployed.clone()))
            })
            .collect();
        let open = providers.iter().find(|(_, models)| models.is_empty()).map(|(name, _)| name.clone());
        let mut table = Self { open, providers: providers.to_vec(), listed, ..Self::default() };
        for (name, (definition, source, version)) in all {
            let model = Arc::new(model(&name, definition, source, version, &deployments));
            table.names.insert(name, Arc::clone(&model));
            for alias in &model.definition.aliases {
                table.names.entry(alias.clone()).or_insert_with(|| Arc::clone(&model));
            }
            table.models.insert(Arc::clone(&model.name), model);
        }
        table
    }

    /// Returns the model with this name.
    pub fn find(&self, asked: &str) -> Option<Arc<Model>> {
        if let Some(model) = self.names.get(asked) {
            return Some(Arc::clone(model));
        }
        if asked.len() > MAX_NAME_BYTES {
            return None;
        }
        let at = |provider: &str, name: &str| {
            let deployment =
                ModelDeployment { provider: provider.to_owned(), model: name.to_owned(), weight: 1, priority: 0 };
            let definition = ModelDefinition { deployments: vec![deployment], ..ModelDefinition::default() };
            Some(Arc::new(model(asked, definition, Source::Configuration, 0, &HashMap::new())))
        };
        if let Some((provider, name)) = asked.split_once('/')
            && let Some((provider, models)) =
                self.providers.iter().find(|(known, _)| known.eq_ignore_ascii_case(provider))
        {
            if models.iter().any(|model| model == name) {
                let full = format!("{provider}/{name}");
                return self
                    .names
                    .get(&full)
                    .cloned()
                    .or_else(|| self.find_by_deployment(provider, name))
                    .or_else(|| at(provider, name));
            }
            if models.is_empty() && !name.is_empty() {
                return self.find_by_deployment(provider, name).or_else(|| at(provider, name));
            }
        }
        let provider = self.open.as_ref().filter(|_| !asked.is_empty())?;
        self.find_by_deployment(provider, asked).or_else(|| at(provider, asked))
    }

    /// Returns the model with this deployment, so that it has the same price under every name.
    fn find_by_deployment(&self, provider: &str, name: &str) -> Option<Arc<Model>> {
        let is_there = |deployment: &ModelDeployment| deployment.provider == provider && deployment.model == name;
        self.models.values().find(|model| model.definition.deployments.iter().any(is_there)).cloned()
    }

    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// True if the list of names allows the model. Aliases in the list are resolved.
    pub fn allows(&self, names: &[String], model: &Model) -> bool {
        names.is_empty()
            || names
                .iter()
                .any(|name| model.is_named(name) || self.names.get(name).is_some_and(|meant| meant.name == model.name))
    }
}

fn model(
    name: &str,
    definition: ModelDefinition,
    source: Source,
    version: i64,
    deployments: &HashMap<String, Vec<ai::Deployment>>,
) -> Model {
    let upstream = definition.deployments.iter().map(|deployment| deployment.model.as_str());
    let known = upstream.chain(std::iter::once(name)).find_map(prices::find);
    let (price, price_version) = match (definition.price, known) {
        (Some(price), _) => (Some(price), format!("admin:{version}").into()),
        (None, Some(known)) => (Some(known.price), known.version.into()),
        (None, None) => (None, "none".into()),
    };
    let deployed = deployments_of(&definition);
    let mut definition = definition;
    // If no capabilities are configured, those of the price table apply.
    if let Some(known) = known
        && definition.capabilities == ModelCapabilities::default()
    {
        definition.capabilities = known.capabilities.clone();
    }
    let fallback =
        |names: &[String]| names.iter().filter_map(|name| deployments.get(name)).flatten().cloned().collect();
    let route = ai::Route {
        requested_model: name.to_owned(),
        deployments: deployed,
        fallbacks: ai::Fallbacks {
            context_length: fallback(&definition.fallbacks.context_length),
            content_policy: fallback(&definition.fallbacks.content_policy),
            failure: fallback(&definition.fallbacks.failure),
        },
    };
    let most_output = max_route_output(&route, known);
    Model {
        name: name.into(),
        definition,
        source,
        price,
        price_version,
        max_output: most_output,
        route: Arc::new(route),
    }
}

/// Returns the maximum number of output tokens over all deployments of a route. `known` is the
/// price table's entry of the model itself; its deployments may have other names. The larger of the
/// configured and the known limit counts, because passthrough requests aren't shortened to the
/// configured one.
fn max_route_output(route: &ai::Route, known: Option<&'static prices::PriceEntry>) -> Option<u64> {
    let of = |deployment: &ai::Deployment, known: Option<&'static prices::PriceEntry>| {
        let said = deployment.param_overrides.as_deref().and_then(ModelParamOverrides::most_output);
        let known = prices::find(&deployment.model).or(known);
        said.max(known.and_then(|known| known.capabilities.max_output))
    };
    let own = route.deployments.iter().map(|deployment| of(deployment, known));
    let ai::Fallbacks { context_length, content_policy, failure } = &route.fallbacks;
    let others = [context_length, content_policy, failure].into_iter().flatten().map(|deployment| of(deployment, None));
    let all: Option<Vec<u64>> = own.chain(others).collect();
    all?.into_iter().max()
}

/// Converts the deployments of a definition, and adds its parameter overrides to each.
fn deployments_of(definition: &ModelDefinition) -> Vec<ai::Deployment> {
    let own = ModelParamOverrides::read(&definition.parameters, definition.capabilities.max_output);
    let own = own.filter(|own| !own.is_empty()).map(Arc::new);
    let deployed = definition.deployments.iter().cloned();
    deployed
        .map(|ModelDeployment { provider, model, weight, priority }| ai::Deployment {
            provider,
            model,
            weight,
            priority,
            param_overrides: own.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use appcore::{Timestamp, credits::MicroCredits};

    use super::*;

    fn row(name: &str, definition: serde_json::Value) -> gateway_model::Model {
        gateway_model::Model { name: name.to_owned(), definition: definition.to_string(), updated_at: Timestamp(7) }
    }

    fn table(defined: &[gateway_model::Model]) -> Table {
        let deployment = |provider: &str, model: &str| ModelDeployment {
            provider: provider.to_owned(),
            model: model.to_owned(),
            weight: 1,
            priority: 0,
        };
        let model = |provider: &str, name: &str, aliases: &[&str]| ModelDefinition {
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            deployments: vec![deployment(provider, name)],
            ..ModelDefinition::default()
        };
        let configured = BTreeMap::from([
            ("small".to_owned(), model("main", "small", &["main/small", "fast"])),
            ("large".to_owned(), model("main", "large", &["main/large"])),
        ]);
        let providers = [("main".to_owned(), vec!["small".to_owned(), "large".to_owned()])];
        Table::build(&configured, defined, &providers)
    }

    #[test]
    fn resolves_aliases_before_checking_a_list() {
        let table = table(&[]);
        let fast = table.find("fast").unwrap();
        assert_eq!(&*fast.name, "small");
        assert!(table.allows(&["small".to_owned()], &fast) && table.allows(&["fast".to_owned()], &fast));
        assert!(!table.allows(&["large".to_owned()], &fast));
        assert!(table.allows(&[], &fast));
        assert!(
            table.find("MAIN/large").is_some() && table.find("main/other").is_none() && table.find("other").is_none()
        );
    }

    #[test]
    fn maximum_output_is_the_longest_of_all_deployments() {
        let of = |model: &str| prices::find(model).and_then(|known| known.capabilities.max_output);
        let (short, long) = (of("gpt-4o-mini"), of("gpt-5-mini"));
        assert!(short < long && short.is_some());
        let had = |models: &[&str]| -> Vec<serde_json::Value> {
            models.iter().map(|model| serde_json::json!({ "provider": "main", "model": model })).collect()
        };
        let defined = [
            row("both", serde_json::json!({ "deployments": had(&["gpt-4o-mini", "gpt-5-mini"]) })),
            row(
                "falls",
                serde_json::json!({ "deployments": had(&["gpt-4o-mini"]), "fallbacks": { "failure": ["both"] } }),
            ),
            row("gpt-4o-mini", serde_json::json!({ "deployments": had(&["of-my-own"]) })),
            row(
                "lost",
                serde_json::json!({ "deployments": had(&["gpt-4o-mini"]), "fallbacks": { "failure": ["small"] } }),
            ),
            row(
                "said",
                serde_json::json!({ "deployments": had(&["gpt-5-mini"]), "capabilities": { "max_output": 9 } }),
            ),
            row("own", serde_json::json!({ "deployments": had(&["of-my-own"]), "capabilities": { "max_output": 9 } })),
            row(
                "own-falls",
                serde_json::json!({
                    "deployments": had(&["of-my-own"]), "capabilities": { "max_output": 9 }, "fallbacks": { "failure": ["both"] },
                }),
            ),
        ];
        let table = table(&defined);
        for (name, most) in [
            ("both", long),
            ("falls", long),
            ("gpt-4o-mini", short),
            ("lost", None),
            ("said", long),
            ("own", Some(9)),
            ("own-falls", long),
            ("small", None),
        ] {
            assert_eq!(table.find(name).unwrap().max_output, most, "{name}");
        }
    }

    #[test]
    fn definitions_of_administrators_override_the_configuration() {
        let price = serde_json::json!({ "input": 3, "output": 4 });
        let defined = [
            row("small", serde_json::json!({ "price": price })),
            row(
                "best",
                serde_json::json!({ "aliases": ["fast"], "deployments": [{ "provider": "main", "model": "large" }], "fallbacks": { "failure": ["small"] } }),
            ),
            row("broken", serde_json::json!({ "deployments": 3 })),
            row(
                "large",
                serde_json::json!({ "parameters": { "thinking": "none" }, "fallbacks": { "failure": ["small"] } }),
            ),
        ];
        let table = table(&defined);
        let large = table.find("large").unwrap();
        assert!(
            large.route.deployments[0].param_overrides.is_some()
                && large.route.fallbacks.failure[0].param_overrides.is_none()
        );
        let small = table.find("small").unwrap();
        assert_eq!((small.price.unwrap().input, &*small.price_version), (MicroCredits(3), "admin:7"));
        assert_eq!(small.route.deployments[0].model, "small", "the deployment is unchanged");
        let best = table.find("fast").unwrap();
        assert_eq!((&*best.name, best.route.fallbacks.failure[0].model.as_str()), ("best", "small"));
        assert!(!small.is_named("fast"));
        assert_eq!(best.route.deployments[0].param_overrides, None, "known parameters apply");
        assert_eq!(&*table.find("main/small").unwrap().name, "small", "same price under the provider's name");
        assert!(table.find("broken").is_none());
    }
}
