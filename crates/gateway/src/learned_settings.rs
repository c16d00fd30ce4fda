//! Settings of models that were learned from the refusals of providers, in the database: they apply
//! on every instance, and after a restart.

use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use ::ai::{LearnedSetting, LearnedSettings, MAX_LEARNED_SETTINGS};
use appcore::{
    AppError, Code, Timestamp,
    event::{BusMessage, Signal},
};
use dbcontext::query::learned_model_settings::{self as rows, LearnedModelSettingRow};

use crate::{GatewayService, providers::timestamp};

/// Time for which a setting is remembered. Providers learn to accept more.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Maximum length of a model's name that is stored, in bytes. Callers may name any model.
const MAX_MODEL_LEN: usize = 200;

/// Loads the settings from the database.
pub(crate) async fn load(service: &GatewayService) -> Result<(), AppError> {
    let _changing = service.learning.lock().await;
    let since = service.clock.now().minus(RETENTION);
    let found = rows::all_since(service.db.writer(), since).await?;
    let settings = found.into_iter().map(|row| {
        let LearnedModelSettingRow { provider, base_url, model, setting, learned_at } = row;
        let setting = LearnedSetting { model, setting, learned_at: system_time(learned_at) };
        LearnedSettings { provider, base_url, settings: vec![setting] }
    });
    service.ai.replace_learned(settings.collect());
    Ok(())
}

/// Stores what this instance learns, and announces it to the others.
pub(crate) fn store_changes(service: &Arc<GatewayService>) {
    let gateway = Arc::downgrade(service);
    service.ai.set_learning_listener(move |learned| {
        tokio::spawn(store(Weak::clone(&gateway), learned));
    });
}

async fn store(gateway: Weak<GatewayService>, learned: LearnedSettings) {
    let Some(service) = gateway.upgrade() else { return };
    match insert(&service, learned).await {
        Ok(()) => drop(service.bus.publish(vec![BusMessage::Signal(Signal::ModelsChanged)])),
        // This instance knows the settings until its next start.
        Err(error) => tracing::warn!(%error, "failed to store learned settings"),
    }
}

async fn insert(service: &GatewayService, learned: LearnedSettings) -> Result<(), AppError> {
    let _changing = service.learning.lock().await;
    let db = service.db.writer();
    rows::delete_before(db, service.clock.now().minus(RETENTION)).await?;
    let LearnedSettings { provider, base_url, settings } = learned;
    for LearnedSetting { model, setting, learned_at } in settings {
        // An administrator may have asked to forget it meanwhile.
        if model.len() <= MAX_MODEL_LEN && service.ai.has_learned(&provider, &model, &setting) {
            let deployment = (provider.as_str(), base_url.as_str(), model.as_str());
            if let Some(name) = LearnedSetting::single_name(&setting) {
                rows::delete_values(db, deployment, name).await?;
            }
            let (provider, base_url, learned_at) = (provider.clone(), base_url.clone(), timestamp(learned_at));
            let row = LearnedModelSettingRow { provider, base_url, model: model.clone(), setting, learned_at };
            rows::insert(db, row).await?;
            rows::delete_excess(db, deployment, MAX_LEARNED_SETTINGS as u64).await?;
        }
    }
    Ok(())
}

/// Forgets the settings of a model on this instance and in the database.
pub(crate) async fn delete(service: &GatewayService, provider: &str, model: &str) -> Result<(), AppError> {
    let _changing = service.learning.lock().await;
    let is_stored = rows::delete_of_model(service.db.writer(), provider, model).await? > 0;
    if service.ai.clear_learned(provider, model) || is_stored { Ok(()) } else { Err(Code::NotFound.into()) }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_restored() {
        let at = Timestamp(1_700_000_000_123);
        assert_eq!(timestamp(system_time(at)), at);
    }
}
