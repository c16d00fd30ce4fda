//! Profiles of a provider's models, and the settings learned from refusals.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use reqwest::Url;

use crate::{ProviderKind, profile::Profile};

/// Maximum number of models whose settings are remembered. The number must be limited because callers
/// may name any model.
const MAX_MODELS: usize = 1_000;
/// Maximum number of settings that are learned about a model.
const MAX_SETTINGS: usize = 20;

/// Setting that was learned from a provider's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedSetting {
    /// Provider's name of the model.
    pub model: String,
    /// Setting of the model's profile, for example `images=no`.
    pub setting: String,
    pub learned_at: SystemTime,
}

/// Profiles of a provider's models.
pub(crate) struct DeploymentProfiles {
    kind: ProviderKind,
    base: Url,
    models: RwLock<Models>,
    repairs: AtomicU64,
}

/// Learned settings, and the profiles that contain them.
#[derive(Default)]
struct Models {
    learned: BTreeMap<String, Vec<(String, SystemTime)>>,
    profiles: HashMap<String, Arc<Profile>>,
}

impl Models {
    fn settings(&self, model: &str) -> impl Iterator<Item = &str> {
        self.learned.get(model).into_iter().flatten().map(|(setting, _)| setting.as_str())
    }
}

impl DeploymentProfiles {
    pub fn new(kind: ProviderKind, base: Url) -> Self {
        Self { kind, base, models: RwLock::default(), repairs: AtomicU64::new(0) }
    }

    /// Profile of a model; `configured` are an administrator's settings.
    pub fn of(&self, model: &str, configured: &[String]) -> Arc<Profile> {
        let build = |models: &Models| {
            let further = configured.iter().map(String::as_str).chain(models.settings(model));
            Arc::new(Profile::of(self.kind, &self.base, model, further))
        };
        let models = self.read();
        if !configured.is_empty() {
            return build(&models);
        }
        if let Some(known) = models.profiles.get(model) {
            return Arc::clone(known);
        }
        drop(models);
        let mut models = self.write();
        let profile = build(&models);
        if models.profiles.len() < MAX_MODELS {
            models.profiles.insert(model.to_owned(), Arc::clone(&profile));
        }
        profile
    }

    fn read(&self) -> RwLockReadGuard<'_, Models> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Models> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a request was accepted in an adapted form.
    pub fn record_repair(&self) {
        self.repairs.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers settings, to which later requests to the model are adapted.
    pub fn learn(&self, model: &str, settings: &[String]) {
        let mut models = self.write();
        if models.learned.len() >= MAX_MODELS && !models.learned.contains_key(model) {
            return;
        }
        let known = models.learned.entry(model.to_owned()).or_default();
        for setting in settings {
            if known.len() < MAX_SETTINGS && known.iter().all(|(known, _)| known != setting) {
                known.push((setting.clone(), SystemTime::now()));
            }
        }
        models.profiles.remove(model);
    }

    /// Removes a learned setting.
    pub fn unlearn(&self, model: &str, setting: &str) {
        let mut models = self.write();
        if let Some(settings) = models.learned.get_mut(model) {
            settings.retain(|(known, _)| known != setting);
            if settings.is_empty() {
                models.learned.remove(model);
            }
        }
        models.profiles.remove(model);
    }

    /// Forgets what was learned about a model. Returns false if nothing was.
    pub fn clear(&self, model: &str) -> bool {
        let mut models = self.write();
        models.profiles.remove(model);
        models.learned.remove(model).is_some()
    }

    pub fn learned(&self) -> Vec<LearnedSetting> {
        let models = self.read();
        let all =
            models.learned.iter().flat_map(|(model, settings)| settings.iter().map(move |setting| (model, setting)));
        all.map(|(model, (setting, learned_at))| LearnedSetting {
            model: model.clone(),
            setting: setting.clone(),
            learned_at: *learned_at,
        })
        .collect()
    }

    /// Number of requests that were accepted only after a repair.
    pub fn repairs(&self) -> u64 {
        self.repairs.load(Ordering::Relaxed)
    }
}
