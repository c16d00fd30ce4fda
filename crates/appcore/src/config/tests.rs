#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// Temporary file, deleted on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn holding(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("natter-config-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn load_environment(variables: &[(&str, &str)]) -> Result<LoadedConfig, ConfigError> {
    load_core(None, environment(variables))
}

fn load_text(text: &str) -> Result<LoadedConfig, ConfigError> {
    load_core(Some(&Scratch::holding(text).0), environment(&[]))
}

/// Asserts that the configuration is refused with one sentence that contains all these parts.
#[track_caller]
fn assert_refused(result: Result<LoadedConfig, ConfigError>, parts: &[&str]) {
    let sentence = result.expect_err("it was accepted").to_string();
    for part in parts {
        assert!(sentence.contains(part), "{sentence:?} doesn't contain {part:?}");
    }
    assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence:?} isn't one sentence");
}

#[test]
fn defaults_apply_without_any_source() {
    let config = load_environment(&[]).unwrap().config;
    assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 8080));
    assert_eq!(config.server.data_dir, Path::new("./data"));
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.database.url.expose(), "sqlite://./data/natter.db");
    assert!(config.is_embedded() && config.migrate_on_start());
    assert_eq!(config.shared_workspace(), Some("Home"));
    assert!(config.redis.url.is_none());
    assert_eq!(config.auth.access_ttl, Duration::from_secs(48 * 3600));
    assert_eq!(config.auth.refresh_ttl, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(config.auth.signup, SignUpPolicy::Open);
    assert!(config.rate_limit.enabled);
    assert_eq!((config.messages.max_chars, config.messages.max_prompt_chars), (5_000, 100_000));
    assert_eq!(config.realtime.max_connections_per_user, 64);
    assert_eq!(config.realtime.heartbeat, Duration::from_secs(25));
    assert!(config.ai.providers.is_empty());
}

#[test]
fn instances_run_the_chosen_kinds_of_jobs() {
    let kinds = |chosen: &str| {
        let postgres = ("NATTER__DATABASE__URL", "postgres://natter@db/natter");
        load_environment(&[postgres, ("NATTER__JOBS__KINDS", chosen)])
    };
    let jobs = |chosen: &str| kinds(chosen).unwrap().config.jobs;
    assert!(Config::JOB_KINDS.iter().all(|kind| load_environment(&[]).unwrap().config.jobs.runs(kind)));
    let texts = jobs("file_text");
    assert!(texts.runs("file_text") && !texts.runs("answer") && !texts.use_ai());
    let others = jobs("*,!file_text");
    assert!(!others.runs("file_text") && others.runs("answer") && others.use_ai());
    assert_refused(kinds("file_texts"), &["jobs.kinds", "\"file_texts\"", "file_text, "]);
    assert_refused(kinds("*,!everything"), &["\"everything\""]);
    assert_refused(kinds("!answer"), &["jobs.kinds", "server.role"]);
    assert_refused(load_environment(&[("NATTER__JOBS__KINDS", "mail")]), &["jobs.kinds", "SQLite"]);
}

#[test]
fn postgresql_disables_embedded_mode() {
    let loaded = load_environment(&[("NATTER__DATABASE__URL", "postgres://natter@db/natter")]).unwrap();
    assert!(!loaded.config.is_embedded() && !loaded.config.migrate_on_start());
    assert_eq!(loaded.config.shared_workspace(), None);
    let named = load_environment(&[
        ("NATTER__DATABASE__URL", "postgres://natter@db/natter"),
        ("NATTER__DATABASE__MIGRATE_ON_START", "true"),
        ("NATTER__WORKSPACES__SHARED", "Office"),
    ])
    .unwrap();
    assert!(named.config.migrate_on_start());
    let partitioned = ("NATTER__DATABASE__PARTITIONS", "monthly");
    assert!(load_environment(&[("NATTER__DATABASE__URL", "postgres://natter@db/natter"), partitioned]).is_ok());
    let refused = load_environment(&[partitioned]).unwrap_err().to_string();
    assert!(refused.contains("database.partitions must be none on SQLite"), "{refused}");
    assert_eq!(named.config.shared_workspace(), Some("Office"));
    assert_eq!(load_environment(&[("NATTER__WORKSPACES__SHARED", "none")]).unwrap().config.shared_workspace(), None);
}

#[test]
fn the_client_certificate_of_redis_is_part_of_its_address() {
    let load = |redis, bus| {
        let variables = [
            ("NATTER__REDIS__URL", redis),
            ("NATTER__BUS__URL", bus),
            ("NATTER__REDIS__CLIENT_CERT", "/a b/one.crt"),
            ("NATTER__REDIS__CLIENT_KEY", "/one.key"),
        ];
        let config = load_environment(&variables).unwrap().config;
        [config.redis.url, config.bus.url].map(|url| url.unwrap().expose().to_owned())
    };
    let query = "client_cert=%2Fa+b%2Fone.crt&client_key=%2Fone.key";
    let [redis, bus] = load("rediss://:secret@one/0", "rediss+cluster://one:1,two:2");
    assert_eq!(
        [redis, bus],
        [format!("rediss://:secret@one/0?{query}"), format!("rediss+cluster://one:1,two:2?{query}")]
    );
    let [redis, bus] = load("rediss+sentinel://one/main?sentinel_user=a", "nats://one");
    assert_eq!([redis, bus], [format!("rediss+sentinel://one/main?sentinel_user=a&{query}"), "nats://one".to_owned()]);
    let own = "rediss://two?client_cert=/two.crt&client_key=/two.key";
    assert_eq!(load("rediss://one", own)[1], own);
}

#[test]
fn a_replica_needs_postgresql() {
    let replica = ("NATTER__DATABASE__REPLICA_URL", "postgres://natter:hunter22@replica/natter");
    assert_refused(load_environment(&[replica]), &["database.replica_url", "PostgreSQL"]);
    let loaded = load_environment(&[("NATTER__DATABASE__URL", "postgres://natter@db/natter"), replica]).unwrap();
    assert_eq!(loaded.config.database.replica_url.as_ref().unwrap().expose(), replica.1);
    assert!(!loaded.describe().contains("hunter22"));
    let sqlite = ("NATTER__DATABASE__REPLICA_URL", "sqlite://natter.db");
    assert_refused(load_environment(&[sqlite]), &["database.replica_url", "postgres://"]);
}

#[test]
fn environment_overrides_file_and_file_overrides_defaults() {
    let file = Scratch::holding("[server]\nport = 9000\nhost = \"::1\"\n");
    let loaded = load_core(Some(&file.0), environment(&[("NATTER__SERVER__PORT", "9001")])).unwrap();
    assert_eq!((loaded.config.server.port, loaded.config.server.host.as_str()), (9001, "::1"));
    let text = loaded.describe();
    let source = |key: &str| text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split("# ").nth(1));
    assert_eq!(source("server.port"), Some("NATTER__SERVER__PORT"));
    assert_eq!(source("server.host"), Some(file.name()));
    assert_eq!(source("server.workers"), Some("default"));
}

#[test]
fn unknown_keys_are_errors() {
    assert_refused(load_environment(&[("NATTER__SERVER__PROT", "1")]), &["server.prot", "NATTER__SERVER__PROT"]);
    assert_refused(load_text("[server]\nprot = 1"), &["server.prot"]);
    assert_refused(load_text("server = 1"), &["server"]);
    assert_refused(load_text("[server.port]\nnumber = 1"), &["server.port.number"]);
    assert_refused(load_environment(&[("NATTER__", "1")]), &["NATTER__"]);
    assert!(load_environment(&[("NATTER_LOG", "debug"), ("PATH", "/bin")]).is_ok());
}

#[test]
fn invalid_values_are_errors() {
    for (name, value, key) in [
        ("NATTER__SERVER__PORT", "abc", "server.port"),
        ("NATTER__SERVER__PORT", "65536", "server.port"),
        ("NATTER__SERVER__PORT", "-1", "server.port"),
        ("NATTER__SERVER__ROLE", "king", "server.role"),
        ("NATTER__SERVER__PUBLIC_URL", "chat.example.org", "server.public_url"),
        ("NATTER__SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "server.trusted_proxies"),
        ("NATTER__SERVER__CORS_ORIGINS", "*", "server.cors_origins"),
        ("NATTER__DATABASE__URL", "mysql://x", "database.url"),
        ("NATTER__REDIS__URL", "localhost:6379", "redis.url"),
        ("NATTER__RATE_LIMIT__ENABLED", "maybe", "rate_limit.enabled"),
        ("NATTER__AUTH__ACCESS_TTL", "2d", "auth.access_ttl"),
    ] {
        assert_refused(load_environment(&[(name, value)]), &[key, name]);
    }
    assert_refused(load_text("[server]\nport = \"many\""), &["server.port", "whole number"]);
    assert_refused(load_text("[server]\nport = [1]"), &["server.port"]);
    assert_refused(load_text("[rate_limit]\nenabled = 1"), &["rate_limit.enabled"]);
    assert_refused(load_environment(&[("NATTER__SERVER__ROLE", "worker")]), &["server.role", "SQLite"]);
    for refused in
        ["/?chat", "/#chat", "/chat?a", "/a//b", "//chat", "/chat//", "/ch%20at", "/a'b", "/a;b", "/r1", "/files/chat"]
    {
        let url = format!("https://example.org{refused}");
        let set = load_environment(&[("NATTER__SERVER__PUBLIC_URL", url.as_str())]);
        assert_refused(set, &["server.public_url", "https://example.org/chat"]);
    }
    for (url, path) in [
        ("https://chat.example.org", ""),
        ("https://chat.example.org/", ""),
        ("http://localhost:8080", ""),
        ("https://example.org/chat", "/chat"),
        ("https://example.org/chat/", "/chat"),
        ("https://example.org/teams/Chat-1.0", "/teams/Chat-1.0"),
    ] {
        let server = load_environment(&[("NATTER__SERVER__PUBLIC_URL", url)]).unwrap().config.server;
        assert_eq!((server.base_path(), server.public_url()), (path, url.trim_end_matches('/').to_owned()), "{url}");
    }
    assert_refused(
        load_environment(&[("NATTER__AUTH__ACCESS_TTL", "100"), ("NATTER__AUTH__REFRESH_TTL", "99")]),
        &["auth.refresh_ttl"],
    );
}

#[test]
fn unreadable_and_malformed_files_are_errors() {
    assert_refused(load_core(Some(Path::new("/nowhere/natter.toml")), environment(&[])), &["/nowhere/natter.toml"]);
    assert_refused(load_text("[server]\nport = \n"), &["line 2"]);
}

#[test]
fn errors_do_not_show_secrets() {
    let sentence = load_environment(&[("NATTER__DATABASE__URL", "mysql://root:hunter22@db")]).unwrap_err().to_string();
    assert!(!sentence.contains("hunter22"), "{sentence}");
}

#[test]
fn placeholders_count_as_not_set() {
    for placeholder in ["changeme", "CHANGE_ME", "your-secret-here", "<secret>", "${AUTH_SECRET}", "  "] {
        let loaded = load_environment(&[("NATTER__AUTH__KEY_ENCRYPTION_SECRET", placeholder)]).unwrap();
        assert!(loaded.config.auth.key_encryption_secret.is_none(), "{placeholder:?} was accepted");
    }
    let file = Scratch::holding("[server]\nport = 9000");
    let loaded = load_core(Some(&file.0), environment(&[("NATTER__SERVER__PORT", "${PORT}")])).unwrap();
    assert_eq!(loaded.config.server.port, 9000);
    assert!(loaded.warnings[0].contains("server.port"), "{:?}", loaded.warnings);
}

#[test]
fn lists_are_separated_by_commas_in_the_environment() {
    let loaded = load_environment(&[
        ("NATTER__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1"),
        ("NATTER__SERVER__CORS_ORIGINS", "https://a.example/,http://localhost:5173"),
    ])
    .unwrap();
    let proxies: Vec<_> = loaded.config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "127.0.0.1/32"]);
    assert_eq!(loaded.config.server.cors_origins, ["https://a.example", "http://localhost:5173"]);
}

#[test]
fn environment_variables_configure_providers() {
    let loaded = load_environment(&[
        ("NATTER__AI__PROVIDERS__FAKE__KIND", "openai"),
        ("NATTER__AI__PROVIDERS__FAKE__BASE_URL", "http://127.0.0.1:9/v1/"),
        ("NATTER__AI__PROVIDERS__FAKE__KEYS", "key-a,key-b,<third>"),
        ("NATTER__AI__PROVIDERS__FAKE__MODELS", "small"),
    ])
    .unwrap();
    let [fake] = loaded.config.ai.providers.as_slice() else { panic!("{:?}", loaded.config.ai) };
    assert_eq!((fake.name.as_str(), fake.kind.as_str()), ("fake", "openai"));
    assert_eq!(fake.base_url().as_deref(), Some("http://127.0.0.1:9/v1"));
    assert_eq!(fake.keys.iter().map(|key| key.expose()).collect::<Vec<_>>(), ["key-a", "key-b"]);
}

#[test]
fn providers_keep_the_order_of_the_file() {
    let config = load_text(
        "[ai.providers.zeta]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodels = [\"z\"]\n\
         [ai.providers.alpha]\nkind = \"gemini\"\nkeys = [\"k\"]\nmodels = [\"a\"]\n\
         [ai.model_map]\n\"gpt-4.1\" = \"alpha/a\"",
    )
    .unwrap()
    .config;
    let names: Vec<_> = config.ai.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha"]);
    assert_eq!(config.ai.providers[1].base_url(), None);
    assert_eq!(config.ai.model_map, [("gpt-4.1".to_owned(), "alpha/a".to_owned())]);
}

#[test]
fn incomplete_providers_are_errors_and_placeholder_providers_are_skipped() {
    let kind = ("NATTER__AI__PROVIDERS__MINE__KIND", "gemini");
    let models = ("NATTER__AI__PROVIDERS__MINE__MODELS", "m");
    assert_refused(load_environment(&[models]), &["ai.providers.mine.kind"]);
    assert_refused(load_environment(&[kind]), &["ai.providers.mine.models"]);
    assert_refused(load_environment(&[kind, models]), &["ai.providers.mine.keys"]);
    let unfilled = load_environment(&[kind, models, ("NATTER__AI__PROVIDERS__MINE__KEYS", "your-api-key")]).unwrap();
    assert!(unfilled.config.ai.providers.is_empty());
    assert!(unfilled.warnings.iter().any(|note| note.contains("ai.providers.mine.keys")), "{:?}", unfilled.warnings);
    assert_refused(load_environment(&[("NATTER__AI__MODEL_MAP__FAST", "nobody/m")]), &["ai.model_map", "nobody/m"]);
}

#[test]
fn secrets_can_be_read_from_files() {
    let secret = Scratch::holding("from a file 123\n");
    let loaded = load_environment(&[("NATTER__AUTH__KEY_ENCRYPTION_SECRET_FILE", secret.name())]).unwrap();
    assert_eq!(loaded.config.auth.key_encryption_secret.unwrap().expose(), "from a file 123");
    let text = format!("[auth]\nkey_encryption_secret_file = {:?}", secret.name());
    assert!(load_text(&text).unwrap().config.auth.key_encryption_secret.is_some());
    assert_refused(
        load_environment(&[("NATTER__REDIS__URL_FILE", "/nowhere/redis")]),
        &["redis.url_file", "/nowhere/redis"],
    );
    assert_refused(
        load_environment(&[("NATTER__REDIS__URL_FILE", secret.name()), ("NATTER__REDIS__URL", "redis://r")]),
        &["redis.url", "twice"],
    );
    assert_refused(load_environment(&[("NATTER__SERVER__PORT_FILE", secret.name())]), &["server.port_file"]);
}

#[test]
fn the_description_hides_secrets() {
    let text = load_environment(&[
        ("NATTER__DATABASE__URL", "postgres://natter:hunter22@db/natter?sslmode=require"),
        ("NATTER__AUTH__KEY_ENCRYPTION_SECRET", "hunter22hunter22"),
        ("NATTER__AI__PROVIDERS__FAKE__KIND", "openai"),
        ("NATTER__AI__PROVIDERS__FAKE__KEYS", "hunter22,hunter22"),
        ("NATTER__AI__PROVIDERS__FAKE__MODELS", "small"),
    ])
    .unwrap()
    .describe();
    assert!(!text.contains("hunter22"), "{text}");
    assert!(text.contains("postgres://natter:***@db/natter"), "{text}");
    assert!(text.contains("ai.providers.fake.keys = [***, ***]"), "{text}");
    assert!(text.contains("server.public_url is not set"), "{text}");
}

#[test]
fn defaults_fit_their_types_and_every_setting_has_a_field() {
    // serde refuses a key that has no field, so setting each key once shows that all of them have
    // one.
    for setting in SettingsTable::default().iter() {
        let setting::Preset::Unset(example) = setting.default else { continue };
        if setting.pattern.contains('*') || setting.kind.is_secret() {
            continue;
        }
        let variable = format!("NATTER__{}", setting.pattern.replace('.', "__").to_uppercase());
        // SearXNG has no public service, so it needs a URL.
        let mut variables = vec![(variable.as_str(), example)];
        if setting.pattern == "web_search.kind" {
            variables.push(("NATTER__WEB_SEARCH__URL", "https://searxng.example.org"));
        }
        let loaded = load_environment(&variables).unwrap();
        assert!(loaded.resolution.get(&Key::from_pattern(setting.pattern)).is_some(), "{variable} has no effect");
    }
    let of_a_provider: Vec<(String, &str)> = SettingsTable::default()
        .iter()
        .filter_map(|setting| match setting.default {
            setting::Preset::Unset(example) if setting.pattern.contains("providers.*") => Some((
                format!("NATTER__{}", setting.pattern.replace('.', "__").replace('*', "openai").to_uppercase()),
                example,
            )),
            _ => None,
        })
        .collect();
    let variables: Vec<_> = of_a_provider.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let provider = &load_environment(&variables).unwrap().config.ai.providers[0];
    assert_eq!(provider.requests_per_minute, Some(60));
}

#[test]
fn reference_file_has_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.toml");
    let file = std::fs::read_to_string(&path).unwrap();
    // Components that declare settings of their own append theirs to these settings.
    let ours = reference(&SettingsTable::default());
    assert!(
        file.starts_with(&ours),
        "config.toml is behind the table: write it with `natter config --reference > config.toml`"
    );
    let written = load_text(&ours).unwrap().resolution;
    let defaults = Resolution::from_defaults(&SettingsTable::default()).unwrap();
    let values = |resolution: &Resolution| {
        resolution.settings.iter().map(|one| (one.key.clone(), one.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&written), values(&defaults));
}

#[test]
fn never_panics_on_arbitrary_text() {
    use proptest::prelude::*;
    let table = SettingsTable::default();
    proptest!(|(text in "(?s).{0,200}", pick in 0..table.iter().count())| {
        let variable = format!("NATTER__{}", table.iter().nth(pick).unwrap().pattern.replace('.', "__").to_uppercase());
        let _ = load_core(None, environment(&[(&variable, &text)])).map(|loaded| loaded.describe());
        let _ = load_text(&text);
    });
}

#[test]
fn raw_passwords_in_addresses_are_explained_and_not_shown() {
    let load = |url: &str| load_environment(&[("NATTER__DATABASE__URL", url)]);
    for url in
        ["postgres://ann:s3cr#t@db/natter", "postgres://ann:12#secr@db/natter", "postgres://ann:s3cr/t@db/natter"]
    {
        assert_refused(load(url), &["database.url", "percent-encoded", "%23"]);
        let sentence = load(url).unwrap_err().to_string();
        assert!(!sentence.contains("s3cr") && !sentence.contains("secr@"), "{sentence}");
    }
    assert_refused(load("mysql://ann@db/natter"), &["database.url", "postgres://"]);
    for url in
        ["postgres://ann:s3cr%23t@db/natter", "postgres://ann:s3@cr@db/natter", "postgres://db:5432/natter?user=a@b"]
    {
        assert_eq!(load(url).unwrap().config.database.url.expose(), url);
    }
}
