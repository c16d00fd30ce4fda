//! Profiles of a provider's models, and the settings learned from refusals.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
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
    /// Profiles by model, with the learned settings.
    profiles: RwLock<HashMap<String, Arc<Profile>>>,
    learned: RwLock<BTreeMap<String, Vec<(String, SystemTime)>>>,
    repairs: AtomicU64,
}

impl DeploymentProfiles {
    pub fn new(kind: ProviderKind, base: Url) -> Self {
        Self { kind, base, profiles: RwLock::default(), learned: RwLock::default(), repairs: AtomicU64::new(0) }
    }

    /// Profile of a model; `configured` are an administrator's settings.
    pub fn of(&self, model: &str, configured: &[String]) -> Arc<Profile> {
        if !configured.is_empty() {
            let learned = self.settings(model);
            let further = configured.iter().chain(&learned).map(String::as_str);
            return Arc::new(Profile::of(self.kind, &self.base, model, further));
        }
        if let Some(known) = self.profiles.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Arc::clone(known);
        }
        let learned = self.settings(model);
        let profile = Arc::new(Profile::of(self.kind, &self.base, model, learned.iter().map(String::as_str)));
        let mut profiles = self.profiles.write().unwrap_or_else(PoisonError::into_inner);
        if profiles.len() < MAX_MODELS {
            profiles.insert(model.to_owned(), Arc::clone(&profile));
        }
        profile
    }

    fn settings(&self, model: &str) -> Vec<String> {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        learned.get(model).into_iter().flatten().map(|(setting, _)| setting.clone()).collect()
    }

    /// Records that a request was accepted in an adapted form.
    pub fn record_repair(&self) {
        self.repairs.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers settings, to which later requests to the model are adapted.
    pub fn learn(&self, model: &str, settings: &[String]) {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if learned.len() >= MAX_MODELS && !learned.contains_key(model) {
            return;
        }
        let known = learned.entry(model.to_owned()).or_default();
        for setting in settings {
            if known.len() < MAX_SETTINGS && known.iter().all(|(known, _)| known != setting) {
                known.push((setting.clone(), SystemTime::now()));
            }
        }
        drop(learned);
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).remove(model);
    }

    /// Removes a learned setting.
    pub fn unlearn(&self, model: &str, setting: &str) {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = learned.get_mut(model) {
            settings.retain(|(known, _)| known != setting);
            if settings.is_empty() {
                learned.remove(model);
            }
        }
        drop(learned);
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).remove(model);
    }

    /// Forgets what was learned about a model. Returns false if nothing was.
    pub fn clear(&self, model: &str) -> bool {
        let had_any = self.learned.write().unwrap_or_else(PoisonError::into_inner).remove(model).is_some();
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).remove(model);
        had_any
    }

    pub fn learned(&self) -> Vec<LearnedSetting> {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        let all = learned.iter().flat_map(|(model, settings)| settings.iter().map(move |setting| (model, setting)));
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
