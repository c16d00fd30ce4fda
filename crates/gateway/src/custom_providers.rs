//! Model providers added by administrators in the console, in addition to those of the
//! configuration.
//!
//! They are stored in the database, and their keys are encrypted with `auth.key_encryption_secret`.
//! Instances load them together with the models: the instance that changes them at once, the others
//! on the signal that announces changed models.

use std::{collections::BTreeSet, time::Duration};

use ::ai::{Ai, ProviderKind, ProviderSettings, settings::SettingsError};
use appcore::{AppError, Code, Secret, auth::seal::StoredSecret, view::AiProvider};
use dbcontext::{
    Database,
    constraint::app_error,
    query::ai_providers::{self as rows, AiProviderRow},
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};

use crate::{
    GatewayService,
    models::{DEMO, Source, announce_models_changed, is_name},
    providers,
};

const MAX_NAME_BYTES: usize = 40;
const MAX_URL_BYTES: usize = 500;
/// Maximum number of providers that administrators can add.
const MAX_PROVIDERS: u64 = 100;
const MAX_KEYS: usize = 50;
const MAX_KEY_BYTES: usize = 1_000;
const MAX_MODELS: usize = 200;
/// Upper bound of a limit on requests per minute.
const MAX_PER_MINUTE: u32 = 1_000_000;

/// Provider to add.
#[derive(Clone, Debug)]
pub struct NewProvider {
    pub name: String,
    pub kind: String,
    /// Base URL; `None` means the public service of the provider's kind.
    pub base_url: Option<String>,
    pub keys: Vec<String>,
    pub models: Vec<String>,
    pub requests_per_minute: Option<u32>,
}

/// Changes of a provider. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct ProviderChange {
    pub base_url: Option<Option<String>>,
    /// Keys to add to the existing ones.
    pub add_keys: Vec<String>,
    /// Indexes of the keys to remove.
    pub remove_keys: Vec<String>,
    pub models: Option<Vec<String>>,
    pub requests_per_minute: Option<Option<u32>>,
}

/// Loads the stored providers into `ai`. A provider that can't be read is skipped.
pub async fn load(db: &Database, ai: &Ai, key: Option<&Secret>) -> Result<(), AppError> {
    let stored = rows::all(db.writer()).await?;
    let read = |row: &AiProviderRow| {
        settings(row, key)
            .inspect_err(|error| tracing::error!(%error, provider = row.name, "failed to read stored provider"))
            .ok()
    };
    ai.replace_added(stored.iter().filter_map(read).collect());
    Ok(())
}

/// Adds a provider and announces it to all instances.
pub async fn add(service: &GatewayService, by: &Confirmed, new: NewProvider) -> Result<AiProvider, AppError> {
    let name = parse_name(service, &new.name)?;
    if ProviderKind::from_name(&new.kind).is_none() {
        let kinds: Vec<&str> = ProviderKind::all().map(ProviderKind::name).collect();
        return Err(AppError::field("kind", "unknown", format!("Choose one of {}.", kinds.join(", "))));
    }
    if rows::count(service.db.reader()).await? >= MAX_PROVIDERS {
        return Err(AppError::refused(Code::WrongState, format!("There can be up to {MAX_PROVIDERS} providers.")));
    }
    let now = service.clock.now();
    let mut row = AiProviderRow {
        name,
        kind: new.kind,
        base_url: parse_url(new.base_url.as_deref())?,
        models: parse_models(new.models)?,
        requests_per_minute: parse_limit(new.requests_per_minute)?,
        keys: None,
        created_at: now,
        updated_at: now,
    };
    seal_keys(service, &mut row, new.keys)?;
    check(service, &row)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ProviderAdded, Some(row.name.clone()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_models_changed(service).await?;
    view(service, &row.name)
}

/// Changes a custom provider, with effect on later calls. A base URL with a different origin
/// removes the stored keys, so that they are never sent to an address that they were not entered
/// for.
pub async fn change(
    service: &GatewayService,
    by: &Confirmed,
    name: &str,
    change: ProviderChange,
) -> Result<AiProvider, AppError> {
    let mut row = find_stored(service, name).await?;
    let as_of = row.updated_at;
    let mut moves = false;
    if let Some(base_url) = change.base_url {
        let base_url = parse_url(base_url.as_deref())?;
        moves = origin(row.base_url.as_deref()) != origin(base_url.as_deref());
        row.base_url = base_url;
    }
    if let Some(models) = change.models {
        row.models = parse_models(models)?;
    }
    if let Some(limit) = change.requests_per_minute {
        row.requests_per_minute = parse_limit(limit)?;
    }
    if moves || !change.add_keys.is_empty() || !change.remove_keys.is_empty() {
        let mut kept = open_keys(&row, service.config.auth.key_encryption_secret.as_ref())?;
        let places: BTreeSet<usize> = change
            .remove_keys
            .iter()
            .map(|place| place.parse::<usize>().ok().filter(|place| *place < kept.len()))
            .collect::<Option<_>>()
            .ok_or_else(|| AppError::field("remove_keys", "unknown", "This provider has no such key."))?;
        for place in places.into_iter().rev() {
            kept.remove(place);
        }
        if moves {
            // Keys belong to the origin that they were entered for.
            kept.clear();
        }
        kept.extend(change.add_keys);
        seal_keys(service, &mut row, kept)?;
    }
    check(service, &row)?;
    // The new timestamp is always later than the stored one, so that concurrent changes based on
    // the old row fail with `Stale`.
    row.updated_at = service.clock.now().max(as_of.plus(Duration::from_millis(1)));
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::update(&tx, row.clone(), as_of).await? {
        return Err(Code::Stale.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ProviderChanged, Some(row.name.clone()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_models_changed(service).await?;
    view(service, &row.name)
}

/// Removes a custom provider with its keys. Fails while a model defined by an administrator uses
/// it.
pub async fn remove(service: &GatewayService, by: &Confirmed, name: &str) -> Result<(), AppError> {
    let row = find_stored(service, name).await?;
    let table = service.table();
    let needing: Vec<&str> = table
        .models()
        .filter(|model| model.source == Source::Admin)
        .filter(|model| model.definition.deployments.iter().any(|deployment| deployment.provider == row.name))
        .map(|model| &*model.name)
        .collect();
    if !needing.is_empty() {
        let message = format!("These models use this provider: {}. Change or remove them first.", needing.join(", "));
        return Err(AppError::refused(Code::WrongState, message));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::delete(&tx, &row.name).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ProviderRemoved, Some(row.name))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_models_changed(service).await
}

async fn find_stored(service: &GatewayService, name: &str) -> Result<AiProviderRow, AppError> {
    if let Some(row) = rows::find(service.db.writer(), name).await? {
        return Ok(row);
    }
    if is_configured(service, name) {
        let message = "This provider is set in the server's configuration (ai.providers). Change it there.";
        return Err(AppError::refused(Code::WrongState, message));
    }
    Err(Code::NotFound.into())
}

fn is_configured(service: &GatewayService, name: &str) -> bool {
    service.config.ai.providers.iter().any(|known| known.name.eq_ignore_ascii_case(name))
}

fn view(service: &GatewayService, name: &str) -> Result<AiProvider, AppError> {
    providers::list(service).into_iter().find(|provider| provider.name == name).ok_or_else(|| Code::NotFound.into())
}

/// Validates a name, which is used in URLs and as the prefix of model names.
fn parse_name(service: &GatewayService, name: &str) -> Result<String, AppError> {
    let name = name.trim();
    let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_fit) {
        let message = format!("Use up to {MAX_NAME_BYTES} lowercase letters, digits, - and _.");
        return Err(AppError::field("name", "invalid", message));
    }
    if name == DEMO || is_configured(service, name) {
        return Err(AppError::field("name", "taken", "Another provider has this name."));
    }
    Ok(name.to_owned())
}

/// Validates the form of a base URL; [`check`] verifies that it may be reached.
fn parse_url(url: Option<&str>) -> Result<Option<String>, AppError> {
    let Some(url) = url.map(str::trim).filter(|url| !url.is_empty()) else { return Ok(None) };
    let parsed = url::Url::parse(url).ok().filter(|parsed| url.len() <= MAX_URL_BYTES && parsed.has_host());
    let Some(parsed) = parsed else { return Err(AppError::field("base_url", "invalid", "Enter a full address.")) };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(AppError::field("base_url", "invalid", "Enter the key as an API key, not in the address."));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(AppError::field("base_url", "invalid", "Enter the address without ? and #."));
    }
    Ok(Some(url.to_owned()))
}

/// Scheme, host and port of the address that keys are sent to; `None` for the public service of the
/// provider's kind.
fn origin(base_url: Option<&str>) -> Option<url::Origin> {
    base_url.and_then(|url| url::Url::parse(url).ok()).map(|url| url.origin())
}

/// Validates the models and serialises them for storage.
fn parse_models(models: Vec<String>) -> Result<String, AppError> {
    let mut parsed: Vec<String> = Vec::with_capacity(models.len());
    for model in models {
        let model = model.trim();
        if !is_name(model) {
            let message = "Enter the provider's model names, without spaces.";
            return Err(AppError::field("models", "invalid", message));
        }
        if !parsed.iter().any(|known| known == model) {
            parsed.push(model.to_owned());
        }
    }
    if parsed.is_empty() || parsed.len() > MAX_MODELS {
        return Err(AppError::field("models", "invalid", format!("Choose 1 to {MAX_MODELS} models.")));
    }
    serde_json::to_string(&parsed).map_err(AppError::internal)
}

fn parse_limit(limit: Option<u32>) -> Result<Option<i64>, AppError> {
    match limit {
        Some(limit) if !(1..=MAX_PER_MINUTE).contains(&limit) => {
            let message = format!("Choose 1 to {MAX_PER_MINUTE} requests.");
            Err(AppError::field("requests_per_minute", "invalid", message))
        }
        limit => Ok(limit.map(i64::from)),
    }
}

/// Validates keys and stores them encrypted in the row.
fn seal_keys(service: &GatewayService, row: &mut AiProviderRow, keys: Vec<String>) -> Result<(), AppError> {
    let refused = |message: &'static str| Err(AppError::field("keys", "invalid", message));
    let keys: Vec<String> = keys.into_iter().map(|key| key.trim().to_owned()).collect();
    if keys.len() > MAX_KEYS {
        return Err(AppError::field("keys", "too_long", format!("Add up to {MAX_KEYS}.")));
    }
    if keys.iter().any(|key| key.is_empty() || key.len() > MAX_KEY_BYTES || !key.chars().all(|c| c.is_ascii_graphic()))
    {
        return refused("Enter the key without spaces.");
    }
    if (1..keys.len()).any(|at| keys[..at].contains(&keys[at])) {
        return refused("This provider already has this key.");
    }
    if keys.is_empty() {
        row.keys = None;
        return Ok(());
    }
    let Some(secret) = &service.config.auth.key_encryption_secret else {
        return refused("This server has no secret to encrypt keys with. Set auth.key_encryption_secret first.");
    };
    let plain = serde_json::to_vec(&keys).map_err(AppError::internal)?;
    let sealed = StoredSecret::ProviderKeys(row.name.clone()).seal(secret, &plain);
    row.keys = Some(sealed.map_err(AppError::internal)?);
    Ok(())
}

fn open_keys(row: &AiProviderRow, secret: Option<&Secret>) -> Result<Vec<String>, AppError> {
    let Some(sealed) = &row.keys else { return Ok(Vec::new()) };
    let Some(secret) = secret else {
        return Err(AppError::internal(anyhow::anyhow!("auth.key_encryption_secret is missing")));
    };
    let plain = StoredSecret::ProviderKeys(row.name.clone()).unseal(secret, sealed);
    serde_json::from_slice(&plain.map_err(AppError::internal)?).map_err(AppError::internal)
}

/// Converts a row to provider settings, with decrypted keys.
fn settings(row: &AiProviderRow, secret: Option<&Secret>) -> Result<ProviderSettings, AppError> {
    let kind = ProviderKind::from_name(&row.kind);
    let kind = kind.ok_or_else(|| AppError::internal(anyhow::anyhow!("no such kind of provider: {}", row.kind)))?;
    Ok(ProviderSettings {
        base_url: row.base_url.clone(),
        keys: open_keys(row, secret)?.into_iter().map(Secret::new).collect(),
        models: serde_json::from_str(&row.models).map_err(AppError::internal)?,
        requests_per_minute: row.requests_per_minute.and_then(|limit| u32::try_from(limit).ok()),
        ..ProviderSettings::new(row.name.clone(), kind)
    })
}

/// Fails for settings that can't be used for calls.
fn check(service: &GatewayService, row: &AiProviderRow) -> Result<(), AppError> {
    let settings = settings(row, service.config.auth.key_encryption_secret.as_ref())?;
    service.ai().check_added_provider(&settings).map_err(|error| match error {
        SettingsError::Key(_) => AppError::field("keys", "invalid", "Enter the key without spaces."),
        SettingsError::BaseUrl(_) => {
            let message =
                "This server isn't allowed to connect to this address. Use https, or add it to outgoing.allow.";
            AppError::field("base_url", "forbidden", message)
        }
        error => AppError::internal(error),
    })
}

#[cfg(test)]
mod tests {
    use appcore::Timestamp;

    use super::*;

    #[test]
    fn decrypts_keys_only_with_the_secret_and_for_their_provider() {
        let secret = Secret::new("k".repeat(32));
        let owner = StoredSecret::ProviderKeys("main".to_owned());
        let sealed = owner.seal(&secret, br#"["sk-one","sk-two"]"#).unwrap();
        let row = AiProviderRow {
            name: "main".to_owned(),
            kind: "openai".to_owned(),
            base_url: None,
            models: r#"["small"]"#.to_owned(),
            requests_per_minute: None,
            keys: Some(sealed),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let read = settings(&row, Some(&secret)).unwrap();
        assert_eq!((read.models, read.keys.len(), read.keys[1].expose()), (vec!["small".to_owned()], 2, "sk-two"));
        let other = AiProviderRow { name: "other".to_owned(), ..row.clone() };
        assert!(settings(&other, Some(&secret)).is_err() && settings(&row, None).is_err());
        let unknown = AiProviderRow { kind: "of a newer release".to_owned(), keys: None, ..row };
        assert!(settings(&unknown, None).is_err());
    }

    #[test]
    fn validates_names_and_addresses() {
        assert_eq!(parse_models(vec![" a ".to_owned(), "a".to_owned(), "b/c".to_owned()]).unwrap(), r#"["a","b/c"]"#);
        assert!(parse_models(Vec::new()).is_err() && parse_models(vec!["a b".to_owned()]).is_err());
        assert_eq!(parse_url(Some(" ")).unwrap(), None);
        assert_eq!(parse_url(Some("https://a.test/v1")).unwrap().as_deref(), Some("https://a.test/v1"));
        for wrong in ["a.test", "https://key@a.test/v1", "https://a.test/v1?key=x"] {
            assert!(parse_url(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(parse_limit(Some(0)).is_err() && parse_limit(Some(5)).unwrap() == Some(5));
    }
}
