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
/// Maximum number of settings that are learned about a model. Above it, the oldest is evicted.
pub const MAX_LEARNED_SETTINGS: usize = 20;

/// Setting that was learned from a provider's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedSetting {
    /// Provider's name of the model.
    pub model: String,
    /// Setting of the model's profile, for example `images=no`.
    pub setting: String,
    pub learned_at: SystemTime,
}

impl LearnedSetting {
    /// Name of a setting that has one value. `None` for those that name a field and may occur for
    /// several fields.
    #[must_use]
    pub fn single_name(setting: &str) -> Option<&str> {
        setting.split_once('=').map(|(name, _)| name).filter(|name| !matches!(*name, "drop" | "short"))
    }
}

/// Settings that were learned about models of a provider at this address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedSettings {
    pub provider: String,
    pub base_url: String,
    pub settings: Vec<LearnedSetting>,
}

/// Learned setting of a model.
struct KnownSetting {
    setting: String,
    learned_at: SystemTime,
    /// True if the setting is [shared](DeploymentProfiles::replace_shared) by all instances.
    is_shared: bool,
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
    learned: BTreeMap<String, Vec<KnownSetting>>,
    profiles: HashMap<String, Arc<Profile>>,
}

impl Models {
    fn settings(&self, model: &str) -> impl Iterator<Item = &str> {
        self.learned.get(model).into_iter().flatten().map(|known| known.setting.as_str())
    }
}

impl Models {
    /// Adds a setting, or marks it as shared. Returns true if it is new. A new value replaces the
    /// other one of its name.
    fn add(&mut self, model: &str, setting: &str, learned_at: SystemTime, is_shared: bool) -> bool {
        if self.learned.len() >= MAX_MODELS && !self.learned.contains_key(model) {
            return false;
        }
        let all = self.learned.entry(model.to_owned()).or_default();
        if let Some(known) = all.iter_mut().find(|known| known.setting == setting) {
            known.is_shared |= is_shared;
            return false;
        }
        let name = LearnedSetting::single_name(setting);
        all.retain(|known| name.is_none() || LearnedSetting::single_name(&known.setting) != name);
        if all.len() >= MAX_LEARNED_SETTINGS {
            all.remove(0);
        }
        all.push(KnownSetting { setting: setting.to_owned(), learned_at, is_shared });
        true
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

    /// Remembers settings, to which later requests to the model are adapted. Returns those that are
    /// new.
    pub fn learn(&self, model: &str, settings: &[String]) -> Vec<LearnedSetting> {
        let mut models = self.write();
        let learned_at = SystemTime::now();
        let added = settings.iter().filter(|setting| models.add(model, setting, learned_at, false));
        let added =
            added.map(|setting| LearnedSetting { model: model.to_owned(), setting: setting.clone(), learned_at });
        let added = added.collect();
        models.profiles.remove(model);
        added
    }

    /// Replaces the settings that all instances share. Those that only this instance has stay.
    pub fn replace_shared(&self, settings: &[LearnedSetting]) {
        let mut models = self.write();
        models.learned.retain(|_, known| {
            known.retain(|known| !known.is_shared);
            !known.is_empty()
        });
        for LearnedSetting { model, setting, learned_at } in settings {
            if Profile::default().set(setting) {
                models.add(model, setting, *learned_at, true);
            }
        }
        models.profiles.clear();
    }

    /// Removes a learned setting.
    pub fn unlearn(&self, model: &str, setting: &str) {
        let mut models = self.write();
        if let Some(settings) = models.learned.get_mut(model) {
            settings.retain(|known| known.setting != setting);
            if settings.is_empty() {
                models.learned.remove(model);
            }
        }
        models.profiles.remove(model);
    }

    pub fn has_learned(&self, model: &str, setting: &str) -> bool {
        self.read().settings(model).any(|known| known == setting)
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
        all.map(|(model, known)| LearnedSetting {
            model: model.clone(),
            setting: known.setting.clone(),
            learned_at: known.learned_at,
        })
        .collect()
    }

    /// Number of requests that were accepted only after a repair.
    pub fn repairs(&self) -> u64 {
        self.repairs.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> DeploymentProfiles {
        DeploymentProfiles::new(ProviderKind::OPENAI, "https://ai.example.org/v1".parse().unwrap())
    }

    fn learned(profiles: &DeploymentProfiles) -> Vec<String> {
        profiles.learned().into_iter().map(|learned| format!("{} {}", learned.model, learned.setting)).collect()
    }

    fn shared(model: &str, setting: &str) -> LearnedSetting {
        LearnedSetting { model: model.to_owned(), setting: setting.to_owned(), learned_at: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn the_oldest_setting_is_evicted() {
        let profiles = profiles();
        let settings: Vec<String> = (0..MAX_LEARNED_SETTINGS).map(|place| format!("drop=field{place}")).collect();
        assert_eq!(profiles.learn("a", &settings).len(), MAX_LEARNED_SETTINGS);
        assert_eq!(profiles.learn("a", &["images=no".to_owned()]).len(), 1);
        assert_eq!(profiles.learned().len(), MAX_LEARNED_SETTINGS);
        assert!(!profiles.has_learned("a", "drop=field0") && profiles.has_learned("a", "drop=field1"));
        assert!(profiles.has_learned("a", "images=no") && !profiles.of("a", &[]).drops("field0"));
    }

    #[test]
    fn a_new_value_replaces_the_other_one() {
        let profiles = profiles();
        for setting in ["max_output=8192", "system=first", "drop=seed", "max_output=4096", "system=none", "drop=store"]
        {
            assert_eq!(profiles.learn("a", &[setting.to_owned()]).len(), 1, "{setting}");
        }
        assert_eq!(learned(&profiles), ["a drop=seed", "a max_output=4096", "a system=none", "a drop=store"]);
    }

    #[test]
    fn settings_of_other_instances_are_replaced() {
        let profiles = profiles();
        let own = profiles.learn("a", &["images=no".to_owned()]);
        assert_eq!(own.len(), 1);
        assert!(profiles.learn("a", &["images=no".to_owned()]).is_empty());
        profiles.replace_shared(&[shared("b", "drop=seed"), shared("b", "nonsense")]);
        assert_eq!(learned(&profiles), ["a images=no", "b drop=seed"]);
        assert!(profiles.of("b", &[]).drops("seed"));
        // The database has the own setting now, and the other one was deleted.
        profiles.replace_shared(&[shared("a", "images=no")]);
        assert_eq!(learned(&profiles), ["a images=no"]);
        assert!(!profiles.of("b", &[]).drops("seed"));
        profiles.replace_shared(&[]);
        assert!(learned(&profiles).is_empty());
    }
}
