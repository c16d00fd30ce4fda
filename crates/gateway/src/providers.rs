//! Model providers for administrators: health, pausing and tests.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use ::ai::{
    LearnedSetting, ProviderHealth, ProviderSettings,
    keys::{KeyHealth, KeyState},
};
use appcore::{
    AppError, Code, Timestamp,
    event::{BusMessage, Signal},
    view::{AiProvider, LearnedModelSetting, ProviderKey, ProviderKeyState, ProviderSource, ProviderTest},
};

use crate::{GatewayService, learned_settings};

/// Maximum pause of a key.
const MAX_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Tokens used per key, by provider and the key's last characters. These are an empty string if the
/// key is too short to show any.
#[derive(Default)]
pub(super) struct KeyTokens(Mutex<HashMap<String, HashMap<String, u64>>>);

impl KeyTokens {
    pub fn add(&self, provider: &str, tail: Option<&str>, tokens: u64) {
        if tokens == 0 {
            return;
        }
        let tail = tail.unwrap_or_default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(provider).and_then(|keys| keys.get_mut(tail)) {
            *known = known.saturating_add(tokens);
            return;
        }
        all.entry(provider.to_owned()).or_default().insert(tail.to_owned(), tokens);
    }

    fn tokens_of(&self, provider: &str, tail: Option<&str>) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(provider).and_then(|keys| keys.get(tail.unwrap_or_default())).copied().unwrap_or(0)
    }
}

impl GatewayService {
    /// Pauses a key on this instance until the given time, or reactivates it. Returns false if
    /// there is no such key.
    pub(super) fn pause_key(&self, provider: &str, key: &str, until: Option<Timestamp>) -> bool {
        let now = self.clock.now();
        let wait = until.map(|until| Duration::from_millis(u64::try_from(until.0 - now.0).unwrap_or(0)));
        key.parse().is_ok_and(|key| self.ai.cool_down_key(provider, key, wait))
    }
}

/// Lists the providers with their keys and their health on this instance.
#[must_use]
pub fn list(service: &GatewayService) -> Vec<AiProvider> {
    let now = service.clock.now();
    let view =
        |ProviderHealth { settings, is_added, keys, is_circuit_open: is_resting, learned }: ProviderHealth| {
            let ProviderSettings { name, kind, base_url, models, requests_per_minute, .. } = settings;
            let key = |key: KeyHealth| ProviderKey {
                id: key.id.to_string(),
                state: match key.state {
                    KeyState::Ready => ProviderKeyState::Ready,
                    KeyState::CoolingDown => ProviderKeyState::Resting,
                    KeyState::Disabled => ProviderKeyState::Off,
                },
                resting_until: key.wait.map(|wait| now.plus(wait)),
                requests: key.requests,
                failures: key.failures,
                tokens: service.key_tokens.tokens_of(&name, key.tail.as_deref()),
                has_key: key.has_key,
                tail: key.tail,
            };
            let keys = keys.into_iter().map(key).collect();
            let learned = learned.into_iter().map(|LearnedSetting { model, setting, learned_at }| {
                LearnedModelSetting { model, setting, learned_at: timestamp(learned_at) }
            });
            AiProvider {
                keys,
                learned: learned.collect(),
                kind: kind.name().into(),
                source: if is_added { ProviderSource::Console } else { ProviderSource::Configuration },
                base_url: base_url.filter(|_| is_added),
                models,
                requests_per_minute,
                is_resting,
                name,
            }
        };
    service.ai.health().into_iter().map(view).collect()
}

pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let elapsed = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// Pauses a key on all instances.
pub fn pause(service: &GatewayService, provider: &str, key: &str, rest: Duration) -> Result<(), AppError> {
    if rest.is_zero() || rest > MAX_PAUSE {
        let message = format!("Choose 1 to {} seconds.", MAX_PAUSE.as_secs());
        return Err(AppError::field("seconds", "invalid", message));
    }
    set_paused(service, provider, key, Some(service.clock.now().plus(rest)))
}

/// Reactivates a paused or disabled key on all instances.
pub fn reactivate(service: &GatewayService, provider: &str, key: &str) -> Result<(), AppError> {
    set_paused(service, provider, key, None)
}

fn set_paused(service: &GatewayService, provider: &str, key: &str, until: Option<Timestamp>) -> Result<(), AppError> {
    if !service.pause_key(provider, key, until) {
        return Err(Code::NotFound.into());
    }
    let signal = Signal::ProviderKeyPaused { provider: provider.to_owned(), key: key.to_owned(), until };
    drop(service.bus.publish(vec![BusMessage::Signal(signal)]));
    Ok(())
}

/// Forgets on all instances what was learned from refusals about a provider's model.
pub async fn clear_learned(service: &GatewayService, provider: &str, model: &str) -> Result<(), AppError> {
    learned_settings::delete(service, provider, model).await?;
    let signal = Signal::ProviderSettingsForgotten { provider: provider.to_owned(), model: model.to_owned() };
    drop(service.bus.publish(vec![BusMessage::Signal(signal)]));
    Ok(())
}

/// Tests a provider by requesting its list of models with the key that is next in turn.
pub async fn test(service: &GatewayService, provider: &str) -> Result<ProviderTest, AppError> {
    Ok(match service.ai.test(provider).await.ok_or(Code::NotFound)? {
        Ok(latency) => {
            let latency_ms = Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
            ProviderTest { ok: true, latency_ms, error: None }
        }
        Err(error) => ProviderTest { ok: false, latency_ms: None, error: Some(error.to_string()) },
    })
}
