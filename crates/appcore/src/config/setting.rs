//! The table of settings: every key with its kind, its default and one line of explanation.
//!
//! What may be written in `config.toml` or in the environment, `natter config`, and the reference file at the root of the
//! repository all come from this table.

use super::key::Key;
use super::kind::Kind;

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Dotted; `*` stands for a name that the operator chooses.
    pub pattern: &'static str,
    pub kind: Kind,
    pub default: Preset,
    pub about: &'static str,
    /// It has to be set where `enabled` beside it is true.
    pub is_needed: bool,
}

/// What holds where nobody has set anything.
#[derive(Debug)]
pub enum Preset {
    /// As it would be written in the environment.
    Value(&'static str),
    /// Nothing; the text is an example for the reference file.
    Unset(&'static str),
}

use Preset::{Unset, Value};

/// The table, in its order.
#[derive(Clone, Debug)]
pub struct Table(Vec<&'static Setting>);

impl Default for Table {
    fn default() -> Self {
        Self::with([])
    }
}

impl Table {
    /// The settings that are everybody's, and those of parts that declare their own, such as payment gateways.
    pub fn with(more: impl IntoIterator<Item = &'static Setting>) -> Self {
        Self(EARLIER.iter().chain(LIMITS.as_flattened()).chain(LATER).chain(more).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static Setting> {
        self.0.iter().copied()
    }

    /// The row that speaks of this key.
    pub(super) fn find(&self, key: &Key) -> Option<&'static Setting> {
        self.iter().find(|setting| key.matches(setting.pattern))
    }
}

/// A group of calls: how it is counted, how many, in how long.
macro_rules! limit {
    ($group:literal, $strategy:literal, $limit:literal, $about:literal) => {
        limit!($group, $strategy, $limit, "60", $about)
    };
    ($group:literal, $strategy:literal, $limit:literal, $window:literal, $about:literal) => {
        [
            row(concat!("rate_limit.", $group, ".strategy"), STRATEGIES, Value($strategy), $about),
            row(concat!("rate_limit.", $group, ".limit"), COUNT, Value($limit), HOW_MANY),
            row(concat!("rate_limit.", $group, ".window"), WINDOW, Value($window), HOW_LONG),
        ]
    };
}

/// What comes before the limits.
const EARLIER: &[Setting] = &[
    row("server.host", Kind::Text, Value("127.0.0.1"), "Address to listen on; 0.0.0.0 or :: for all."),
    row("server.port", Kind::Number(0, 65_535), Value("8080"), "Port to listen on; 0 takes a free one."),
    row(
        "server.public_url",
        Kind::Url(&["http", "https"]),
        Unset("https://chat.example.org"),
        "Where browsers reach this server, with the path that it stands below, if any; https turns on Secure cookies. Not set: http, from host and port.",
    ),
    row(
        "server.trusted_proxies",
        Kind::Networks,
        Value(""),
        "Networks (CIDR) of the proxies whose forwarding headers tell the client's address.",
    ),
    row(
        "server.country_header",
        Kind::Text,
        Value("CF-IPCountry"),
        "Header in which a trusted proxy tells the client's country; nobody else's is read. none: no header.",
    ),
    row(
        "server.geoip_database",
        Kind::Text,
        Unset("/var/lib/natter/GeoLite2-City.mmdb"),
        "File that tells where addresses are, in MaxMind's format (GeoLite2, DB-IP), for the list of devices. Not set: only what proxies tell.",
    ),
    row(
        "server.cors_origins",
        Kind::Origins,
        Value(""),
        "Other web origins that may call the API with the user's cookies, such as https://app.example.org.",
    ),
    row(
        "server.advertise_url",
        Kind::Url(&["http", "https"]),
        Unset("http://10.0.0.5:8080"),
        "Where other instances reach this one. Not set: http, from host and port, or the address that Redis is reached by.",
    ),
    row(
        "server.max_connections_per_address",
        Kind::Number(0, 1_000_000),
        Value("1000"),
        "HTTP connections that one address (of IPv6 its /64) may have open; trusted proxies and WebSockets don't count; 0: no limit.",
    ),
    row(
        "server.body_bytes",
        Kind::Number(65_536, 1_099_511_627_776),
        Value("268435456"),
        "Bytes of requests' bodies that this instance holds in memory at the same time; the last quarter is for bodies of up to 64 KiB.",
    ),
    row(
        "server.body_bytes_per_user",
        Kind::Number(65_536, 1_099_511_627_776),
        Value("67108864"),
        "How many of them may be one user's.",
    ),
    row(
        "server.body_bytes_per_address",
        Kind::Number(65_536, 1_099_511_627_776),
        Value("33554432"),
        "How many of them one address (of IPv6 its /64) may send where nobody is signed in.",
    ),
    row("server.workers", Kind::Number(0, 1_024), Value("0"), "Threads that serve requests; 0 takes one per core."),
    row(
        "server.role",
        Kind::Choice(&["all", "web", "worker"]),
        Value("all"),
        "What this instance does: serve people (web), answer as assistants and send mail (worker), or both (all).",
    ),
    row(
        "server.data_dir",
        Kind::Text,
        Value("./data"),
        "Where embedded mode keeps its database, and mails that no server takes.",
    ),
    row(
        "server.min_free_bytes",
        Kind::Number(0, 1_125_899_906_842_624),
        Value("536870912"),
        "Bytes of the disk that stay free: with less no file and no text but messages is stored (507); 0: none do.",
    ),
    row(
        "server.shutdown_grace_seconds",
        Kind::Number(0, 3_600),
        Value("30"),
        "How long a stop waits for what is under way.",
    ),
    row(
        "database.url",
        Kind::SecretUrl(&["sqlite", "postgres", "postgresql"]),
        Unset("postgres://natter:…@localhost/natter"),
        "SQLite file or PostgreSQL database. Not set: natter.db in server.data_dir.",
    ),
    row(
        "database.max_connections",
        Kind::Number(2, 10_000),
        Value("20"),
        "Connections that this instance opens to the database at most; on PostgreSQL its writer has up to 3 more, and its sign of life one.",
    ),
    row(
        "database.migrate_on_start",
        Kind::Switch,
        Unset("true"),
        "Bring the schema up to date at the start. Not set: true on SQLite, false on PostgreSQL.",
    ),
    row(
        "redis.url",
        Kind::SecretUrl(&["redis", "rediss"]),
        Unset("redis://localhost:6379/0"),
        "Redis that carries events between instances. Not set: in this process only.",
    ),
    row("auth.access_ttl", Kind::Number(1, 31_536_000), Value("172800"), "Seconds that an access token lives."),
    row("auth.refresh_ttl", Kind::Number(1, 315_360_000), Value("2592000"), "Seconds that a refresh token lives."),
    row(
        "auth.refresh_grace",
        Kind::Number(0, 3_600),
        Value("30"),
        "Seconds in which a refresh repeated with the same Idempotency-Key gets the same tokens.",
    ),
    row(
        "auth.fresh_for",
        WINDOW,
        Value("900"),
        "Seconds after a sign-in in which keys, passkeys and linked accounts can be changed; later one confirms that it is oneself.",
    ),
    row(
        "auth.private_key_file",
        Kind::Text,
        Unset("/etc/natter/signing-key.pem"),
        "RSA key (PEM) that signs access tokens. Not set: made at the first start and kept in the database.",
    ),
    row(
        "auth.key_encryption_secret",
        Kind::Secret,
        Unset("a long random text"),
        "Encrypts the signing keys and the secrets of authenticator apps that are kept in the database. Not set: on SQLite the secret in encryption-key in server.data_dir, made at the first start; on PostgreSQL they lie there in clear.",
    ),
    row(
        "auth.setup_token",
        Kind::Secret,
        Unset("a long random text"),
        "What the first account, the administrator's in embedded mode, is asked for at sign-up. Not set: where others can reach the server, one that is made at the start and written to the log and to setup-token in server.data_dir.",
    ),
    row(
        "auth.signup",
        Kind::Choice(&["open", "invite", "closed"]),
        Value("open"),
        "Who may create an account: anyone (open), whoever was invited (invite), nobody (closed).",
    ),
    row(
        "auth.failed_signins",
        Kind::Number(1, 1_000_000),
        Value("5"),
        "Sign-ins to one account that may fail from one address in auth.failed_window before more are refused.",
    ),
    row(
        "auth.failed_signins_per_address",
        Kind::Number(1, 1_000_000),
        // One in five of 500 people who mistype their password on their first morning.
        Value("100"),
        "The same for all accounts together, from one address: an office may share it.",
    ),
    row(
        "auth.failed_signins_per_account",
        Kind::Number(1, 1_000_000),
        Value("20"),
        "The same for one account, from all addresses together; where its owner has signed in before is not counted.",
    ),
    row("auth.failed_window", WINDOW, Value("900"), "Seconds from the first failed sign-in until they are forgotten."),
    row("auth.password.min_length", Kind::Number(8, 128), Value("8"), "Characters that a password has at least."),
    row("auth.password.upper", Kind::Switch, Value("true"), "Whether a password must have a capital letter."),
    row("auth.password.lower", Kind::Switch, Value("true"), "Whether a password must have a small letter."),
    row("auth.password.digit", Kind::Switch, Value("true"), "Whether a password must have a digit."),
    row("auth.password.common", Kind::Switch, Value("true"), "Whether passwords are refused that attackers try first."),
    row(
        "auth.oauth.*.kind",
        Kind::Choice(&["oidc", "google", "microsoft", "apple"]),
        Unset("google"),
        "Which provider of identities it is: google, microsoft, apple, or any other that speaks OpenID Connect (oidc).",
    ),
    row(
        "auth.oauth.*.issuer",
        Kind::Url(&["http", "https"]),
        Unset("https://accounts.google.com"),
        "The provider's issuer, exactly as its own document has it; https, or http on this machine. Needed for oidc alone.",
    ),
    row(
        "auth.oauth.*.client_id",
        Kind::Text,
        Unset("1234.apps.googleusercontent.com"),
        "What the provider calls this server. The address to register there: {server.public_url}/r1/auth/oauth/<name>/callback.",
    ),
    row(
        "auth.oauth.*.client_secret",
        Kind::Credential,
        Unset("GOCSPX-…"),
        "What this server shows the provider. apple: not needed where the next but one settings are.",
    ),
    row(
        "auth.oauth.*.scopes",
        Kind::Texts,
        Unset("openid,profile,email"),
        "What the provider is asked for. Not set: name and e-mail address.",
    ),
    row(
        "auth.oauth.*.trust_email",
        Kind::Switch,
        Unset("true"),
        "Whether an address that the provider calls verified counts as verified. Not set: true for google and apple, else false.",
    ),
    row("auth.oauth.*.team_id", Kind::Text, Unset("A1B2C3D4E5"), "apple: the team of the developer's account."),
    row("auth.oauth.*.key_id", Kind::Text, Unset("F6G7H8I9J0"), "apple: the name of the key."),
    row(
        "auth.oauth.*.private_key_file",
        Kind::Text,
        Unset("/etc/natter/apple.p8"),
        "apple: the key itself (PEM), which signs the client's secret for each request.",
    ),
    row(
        "mail.smtp_url",
        Kind::SecretUrl(&["smtp", "smtps"]),
        Unset("smtps://user:…@mail.example.org"),
        "Server that takes mail: smtps://…, or smtp://…, where a password is sent by STARTTLS alone, and with ?tls=none in clear. Not set: mails are written to outbox in server.data_dir.",
    ),
    row(
        "mail.from",
        Kind::Text,
        Unset("Natter <natter@example.org>"),
        "Sender of mails. Not set: natter at the host of server.public_url.",
    ),
    row(
        "rate_limit.enabled",
        Kind::Switch,
        Value("true"),
        "false turns off every limiter and the firewall, for load tests.",
    ),
    row(
        "rate_limit.flood_per_second",
        Kind::Number(0, 1_000_000),
        Value("200"),
        "Requests and handshakes a second that one address (of IPv6 its /64) may send, API calls with valid credentials apart; 0: no such limit.",
    ),
    row("rate_limit.flood_burst", Kind::Number(1, 10_000_000), Value("10000"), "How many of these may come at once."),
];

/// The limits of each group of calls, three rows each.
static LIMITS: [[Setting; 3]; 10] = [
    // 500 people behind one address on their first morning, three calls each (sign-up, confirmation, sign-in), and 100 calls a minute from then on.
    limit!(
        "auth",
        "token_bucket",
        "1500",
        "900",
        "How sign-ups, sign-ins and the calls for their emails are counted; by address, which many people may share."
    ),
    limit!("refresh", "token_bucket", "60", "How renewals of sessions are counted; by sign-in."),
    limit!("message_send", "token_bucket", "600", "How messages are counted, sent by request or by frame; by user."),
    limit!("upload", "token_bucket", "60", "How files that come in are counted; by user."),
    limit!("gateway", "token_bucket", "600", "How requests under /v1 are counted; by the user whose key it is."),
    limit!(
        "ephemeral",
        "token_bucket",
        "120",
        "How frames are counted that nothing keeps (typing, presence, view, presence.watch); by user, by each instance for itself."
    ),
    limit!("handshake", "token_bucket", "3000", "How new Socket.IO sessions are counted; by address."),
    limit!(
        "read",
        "token_bucket",
        "3000",
        "How requests that read are counted; by user where that is known, else by address."
    ),
    limit!(
        "conversation",
        "sliding_window",
        "200",
        "3600",
        "How it is counted whom somebody brings together: conversations begun, people added to one or to a workspace; by user."
    ),
    limit!("write", "token_bucket", "600", "How all other requests are counted."),
];

/// What comes after them.
const LATER: &[Setting] = &[
    row(
        "firewall.violations_to_ban",
        Kind::Number(0, 10_000),
        Value("20"),
        "Violations within the window after which an address (of IPv6 its /64) is banned; 0: never. Requests with valid credentials are no violations and are served during such a ban.",
    ),
    row("firewall.window", WINDOW, Value("60"), "Seconds in which violations are counted together."),
    row(
        "firewall.durations",
        Kind::Numbers(1, 31_536_000),
        Value("300,1800,7200,86400"),
        "Seconds of an address's first ban, its second and so on; the last one stays. A week without a ban begins at the first again.",
    ),
    row(
        "firewall.violations",
        Kind::Choices(&["probe", "rate_limited", "failed_signin", "forged_token"]),
        Value("probe,rate_limited,failed_signin,forged_token"),
        "What counts as a violation. probe: a request for /.env, /.git/*, /wp-* or *.php; rate_limited: a call without credentials beyond a limit by address; failed_signin: a sign-in to an account that doesn't exist; forged_token: credentials that this server has not issued.",
    ),
    row(
        "metrics.listen",
        Kind::Listen,
        Value("127.0.0.1:9464"),
        "Where Prometheus reads /metrics: address and port, never one that people reach. none: nowhere.",
    ),
    row(
        "audit.retention_days",
        Kind::Number(0, 36_500),
        Value("365"),
        "Days after which the audit log forgets. 0: never.",
    ),
    row(
        "workspaces.shared",
        Kind::Text,
        Unset("Home"),
        "Workspace that everyone joins at sign-up; none for no such workspace. Not set: Home on SQLite, none on PostgreSQL.",
    ),
    row("messages.max_chars", Kind::Number(1, 100_000), Value("5000"), "Characters in a message to people at most."),
    row(
        "messages.max_prompt_chars",
        Kind::Number(1, 100_000),
        Value("100000"),
        "Characters in a message to an assistant in a conversation of its own at most.",
    ),
    row(
        "messages.event_retention_days",
        Kind::Number(0, 36_500),
        Value("0"),
        "Days after which the event log forgets; messages stay. 0: never.",
    ),
    row(
        "realtime.max_connections_per_user",
        Kind::Number(0, 1_000_000),
        Value("64"),
        "Real-time connections that one user may hold on one instance; 0: no limit.",
    ),
    row("realtime.heartbeat_seconds", Kind::Number(1, 3_600), Value("25"), "Seconds between two pings to a client."),
    row(
        "realtime.backlog_bytes",
        Kind::Number(65_536, 1_073_741_824),
        Value("262144"),
        "Bytes that may wait for a client that has taken nothing for a second; with more it is cut off.",
    ),
    row(
        "realtime.max_backlog_bytes",
        Kind::Number(65_536, 1_073_741_824),
        Value("4194304"),
        "Bytes that may wait for a client that reads, however slowly.",
    ),
    row(
        "realtime.backlog_budget_bytes",
        Kind::Number(0, 1_099_511_627_776),
        Value("268435456"),
        "Bytes that may wait beyond realtime.backlog_bytes on all connections of this instance together.",
    ),
    row(
        "realtime.max_frames_per_second",
        Kind::Number(1, 1_000_000),
        Value("100"),
        "Frames that a connection may send in a second before it is closed.",
    ),
    row(
        "realtime.sync_bytes_per_second",
        Kind::Number(65_536, 1_073_741_824),
        Value("2097152"),
        "Bytes of missed events that one user may read in a second by sync, with 16 seconds of them at once; faster readers wait.",
    ),
    row(
        "realtime.small_conversation",
        Kind::Number(2, 100),
        Value("20"),
        "Members up to which all connections in a conversation get its passing events; in larger ones only those that show it (view).",
    ),
    row(
        "realtime.max_anonymous_per_address",
        Kind::Number(0, 1_000_000),
        Value("50"),
        "Socket.IO sessions that one address (of IPv6 its /64) may have open before their clients say who they are; 0: no limit.",
    ),
    row(
        "realtime.compression",
        Kind::Number(0, 1_048_576),
        Value("1024"),
        "Bytes from which a frame is compressed for clients that offer permessage-deflate; 0: never.",
    ),
    row(
        "realtime.io_uring",
        Kind::Switch,
        Value("true"),
        "Whether what goes to many connections goes by one system call (io_uring), where the kernel allows it.",
    ),
    row(
        "jobs.max_attempts",
        Kind::Number(1, 20),
        Value("5"),
        "How often a job that fails is tried before it is a dead letter, which an administrator can put back.",
    ),
    row(
        "jobs.backoff",
        Kind::Numbers(1, 2_592_000),
        Value("60,600,3600,86400"),
        "Seconds before a job that failed is tried again: after its first failure, its second and so on; the last one holds for all later.",
    ),
    row(
        "ai.default_model",
        Kind::Text,
        Unset("openai/gpt-5-mini"),
        "Model of assistants that name none. Not set: the first provider's first model.",
    ),
    row(
        "ai.titles",
        Kind::Choice(&["model", "words"]),
        Value("words"),
        "How a chat with an assistant is named after its first answer: model (one more short request) or words (the first ones of the question).",
    ),
    row(
        "ai.transcription_model",
        Kind::Text,
        Unset("whisper-1"),
        "Model that writes down what is said in voice notes, by its name in the gateway. Not set: nobody does.",
    ),
    row(
        "ai.context_tokens",
        Kind::Number(1_000, 10_000_000),
        Value("32000"),
        "Tokens (estimated) of a conversation that a model is given to read at most; the question itself always whole.",
    ),
    row("ai.workers", Kind::Number(1, 10_000), Value("64"), "Answers that this instance writes at the same time."),
    row(
        "ai.idle_timeout",
        Kind::Number(1, 3_600),
        Value("600"),
        "Seconds that a provider may be silent while an answer is awaited or streams; some think for minutes before their first word.",
    ),
    row(
        "ai.answer_timeout",
        Kind::Number(1, 86_400),
        Value("1800"),
        "Seconds that one answer may take, retries included.",
    ),
    row(
        "ai.proxy",
        Kind::SecretUrl(&["http", "https", "socks5", "socks5h"]),
        Unset("socks5h://proxy.example.org:1080"),
        "Proxy for calls to AI providers. Not set: none.",
    ),
    row(
        "ai.providers.*.kind",
        Kind::Text,
        Unset("openai"),
        "Which API the provider speaks: openai (and everything compatible with it), or its own: docs/gateway.md lists them.",
    ),
    row(
        "ai.providers.*.base_url",
        Kind::Url(&["http", "https"]),
        Unset("https://api.openai.com/v1"),
        "Where the provider's API is, with its version. Not set: the public service of its kind.",
    ),
    row(
        "ai.providers.*.keys",
        Kind::Secrets,
        Unset("sk-…"),
        "API keys; a server of one's own may need none. project=key: keys of one project share its quota and rest together.",
    ),
    row("ai.providers.*.models", Kind::Texts, Unset("gpt-5-mini"), "Models that may be used, the preferred one first."),
    row(
        "ai.providers.*.requests_per_minute",
        Kind::Number(1, 1_000_000),
        Unset("60"),
        "Requests that this instance sends to the provider in a minute at most. Not set: no limit.",
    ),
    row(
        "ai.providers.*.proxy",
        Kind::SecretUrl(&["http", "https", "socks5", "socks5h"]),
        Unset("socks5h://name:password@proxy.example.org:1080"),
        "Proxy for calls to this provider. Not set: ai.proxy.",
    ),
    row(
        "ai.providers.*.responses",
        Kind::Switch,
        Unset("true"),
        "Whether a provider of kind openai speaks /responses, too: then they pass as they are. Not set: they go to it as chat completions.",
    ),
    row(
        "ai.providers.*.hosted_tools",
        Kind::Switch,
        Unset("true"),
        "Whether tools that the provider runs itself, such as a search of the web, pass to it with responses. They cost beside the tokens, by their prices at the model. Not set: they are left out.",
    ),
    row(
        "ai.providers.*.passes",
        Kind::Texts,
        Unset("provider,service_tier"),
        "Fields that choose another model, provider or price (models, route, provider, plugins, transforms, web_search_options, service_tier, speed, inference_geo, store) and pass to the provider all the same; of betas the beginning. Not set: they are left out.",
    ),
    row("ai.model_map.*", Kind::Text, Unset("openai/gpt-5-mini"), "Another name for a model, as <provider>/<model>."),
    row(
        "ai.takes.*",
        Kind::Text,
        Unset("budget:0..38912 any 32768"),
        "What a model takes of a request, by its provider's name for it, * at the end for any that begin so: thinking, sampling, longest answer, thoughts (docs/gateway.md). It goes before what Natter knows of it.",
    ),
    row(
        "knowledge.model",
        Kind::Text,
        Unset("text-embedding-3-small"),
        "The model that embeds the files of assistants and what they are asked. Not set: the first one with \"embed\" in its name, if there is any.",
    ),
    row("knowledge.max_files", Kind::Number(1, 1_000), Value("50"), "Files that one assistant can be given."),
    row(
        "knowledge.max_file_bytes",
        Kind::Number(1_024, 1_073_741_824),
        Value("20971520"),
        "Bytes of such a file at most.",
    ),
    row(
        "knowledge.max_pieces",
        Kind::Number(1, 1_000_000),
        Value("20000"),
        "Pieces that the files of one assistant are cut into at most; each has some 500 tokens. All of them are looked at for each answer.",
    ),
    row(
        "knowledge.prompt_tokens",
        Kind::Number(500, 100_000),
        Value("4000"),
        "Tokens of pieces that a model reads for one answer at most.",
    ),
    row("mcp.call_timeout", Kind::Number(1, 3_600), Value("60"), "Seconds that one call of a tool may take."),
    row(
        "mcp.confirm_timeout",
        Kind::Number(10, 86_400),
        Value("600"),
        "Seconds that an answer waits for whoever asked to allow a call of a tool.",
    ),
    row("mcp.max_calls", Kind::Number(1, 200), Value("32"), "Calls of tools for one answer at most."),
    row(
        "mcp.max_rounds",
        Kind::Number(1, 50),
        Value("8"),
        "How often a model may ask for tools in one answer; then it has to answer.",
    ),
    row(
        "mcp.max_result_bytes",
        Kind::Number(1_024, 1_048_576),
        Value("32768"),
        "Bytes of one tool's result that a model reads at most; the rest is left out.",
    ),
    row(
        "mcp.commands.*.command",
        Kind::Texts,
        Unset("/usr/local/bin/docs-server,--stdio"),
        "A program on this machine that has tools (MCP over its standard streams), and its arguments. Only what stands here is ever run.",
    ),
    row(
        "mcp.commands.*.env",
        Kind::Secrets,
        Unset("TOKEN=…"),
        "Its environment, as NAME=value, beside PATH, HOME, LANG, LC_ALL, TMPDIR and TZ. It gets nothing else of this server's.",
    ),
    row(
        "mcp.commands.*.env_names",
        Kind::Texts,
        Unset("API_TOKEN"),
        "Variables whose values admins may set in the app. None that change what is run, such as PATH, LD_PRELOAD or NODE_OPTIONS.",
    ),
    row(
        "gateway.max_body_bytes",
        Kind::Number(65_536, 1_073_741_824),
        Value("33554432"),
        "Bytes of a request under /v1 at most.",
    ),
    row(
        "gateway.default_rpm",
        Kind::Number(0, 1_000_000_000),
        Value("60"),
        "Requests in a minute that a key may make which has no such limit of its own, where rate_limit.enabled. 0: any number.",
    ),
    row(
        "gateway.heartbeat_seconds",
        Kind::Number(1, 3_600),
        Value("15"),
        "Seconds of silence after which a stream under /v1 says that it is alive.",
    ),
    row(
        "gateway.unknown_price",
        Kind::Choice(&["free", "refuse"]),
        Value("free"),
        "What is done with a model whose price is neither in the shipped table nor set by an administrator: it costs nothing (free), or it is refused.",
    ),
    row(
        "gateway.assumed_output",
        Kind::Number(1, 10_000_000),
        Value("4096"),
        "Tokens that are held in a budget for an answer whose caller sets no limit.",
    ),
    row(
        "gateway.cache_seconds",
        Kind::Number(0, 86_400),
        Value("300"),
        "Seconds for which an answer under /v1 is given again to the same question of the same key, where that asks for it. 0: never.",
    ),
    row(
        "gateway.retention_days",
        Kind::Number(0, 36_500),
        Value("90"),
        "Days after which single requests are forgotten; the sums of days stay. 0: never.",
    ),
    row(
        "uploads.url",
        Kind::Text,
        Unset("s3://natter-files"),
        "Where files are kept: a folder, or s3://bucket/prefix. Several instances (redis.url) need one that all of them reach. Not set: uploads in server.data_dir.",
    ),
    row(
        "uploads.s3_endpoint",
        Kind::Url(&["http", "https"]),
        Unset("https://minio.example.org"),
        "Where the S3 store is, unless it is Amazon's.",
    ),
    row("uploads.s3_region", Kind::Text, Unset("eu-central-1"), "Region of the S3 store. Not set: as AWS_REGION says."),
    row(
        "uploads.s3_access_key_id",
        Kind::Credential,
        Unset("AKIA…"),
        "Key of the S3 store. Not set: as AWS_ACCESS_KEY_ID, or the machine that this runs on, says.",
    ),
    row("uploads.s3_secret_access_key", Kind::Credential, Unset("…"), "The secret that belongs to it."),
    row("uploads.max_bytes", Kind::Number(1_024, 1_099_511_627_776), Value("104857600"), "Bytes of a file at most."),
    row(
        "uploads.workspace_bytes",
        Kind::Number(0, 1_152_921_504_606_846_976),
        Value("0"),
        "Bytes that the files in a workspace's conversations may have together; 0: no limit.",
    ),
    row(
        "uploads.user_bytes",
        Kind::Number(0, 1_152_921_504_606_846_976),
        Value("10737418240"),
        "Bytes that all files and texts of a person may have together; 0: no limit.",
    ),
    row(
        "uploads.text_bytes",
        Kind::Number(0, 1_152_921_504_606_846_976),
        Value("67108864"),
        "Bytes that the notes, drafts, scheduled messages, prompts, tasks and instructions of a person may have together; 0: no limit.",
    ),
    row(
        "uploads.unsent_bytes",
        Kind::Number(1_024, 1_152_921_504_606_846_976),
        Value("1073741824"),
        "Bytes that somebody's files may have together which were sent in no message yet; they are deleted after a day.",
    ),
    row(
        "uploads.refused_types",
        Kind::Texts,
        Unset("application/x-msdownload,video/*"),
        "Types of files that nobody may upload, by content as by claim. Not set: every type may be.",
    ),
    row(
        "search.url",
        Kind::Url(&["http", "https"]),
        Unset("http://meilisearch.internal:7700"),
        "A Meilisearch that messages are found by. Not set: by an index beside the SQLite database, or in PostgreSQL.",
    ),
    row(
        "search.key",
        Kind::Credential,
        Unset("…"),
        "Its key: for indexes, their settings and documents, search and tasks.",
    ),
    row(
        "backup.every_hours",
        Kind::Number(0, 8_760),
        Value("0"),
        "Hours from one backup to the next that the server makes by itself (SQLite only: PostgreSQL has its own). 0: it makes none.",
    ),
    row("backup.keep", Kind::Number(1, 10_000), Value("7"), "Backups that are kept; older ones are deleted."),
    row(
        "backup.url",
        Kind::Text,
        Unset("s3://natter-backups"),
        "Where they are put: a folder on another disk, or s3://bucket/prefix with the credentials of uploads.s3_…. Not set: backups in server.data_dir, which does not outlive its disk.",
    ),
    row(
        "outgoing.allow",
        Kind::Destinations,
        Unset("files.example.org,10.1.0.0/16"),
        "Hosts, addresses and networks of one's own that may be asked for though they are not on the public Internet, also by http: where people choose the address (MCP servers, pictures by address, link previews).",
    ),
    row(
        "holds.expiry",
        Kind::Number(1, 86_400),
        Value("80"),
        "Seconds after which what is held in a budget is free again, where the instance died that was to settle it.",
    ),
    row(
        "payment.reconcile_after",
        Kind::Number(1, 86_400),
        Value("600"),
        "Seconds after which a payment that nobody has told of is asked about.",
    ),
    row(
        "payment.reconcile_every",
        Kind::Number(1, 86_400),
        Value("300"),
        "Seconds between two looks for such payments, and for subscriptions that are due.",
    ),
    row(
        "payment.event_retention_days",
        Kind::Number(0, 36_500),
        Value("400"),
        "Days after which what gateways have told is no longer kept; payments and the ledger stay. 0: never.",
    ),
    row(
        "payment.grace",
        Kind::Number(0, 5_184_000),
        Value("604800"),
        "Seconds after the end of a subscription's period in which it still works, and can be paid.",
    ),
    row(
        "payment.seller.name",
        Kind::Text,
        Unset("Natter Ltd"),
        "Who sells, on receipts. Not set: the public host name.",
    ),
    row(
        "payment.seller.address",
        Kind::Text,
        Unset("1 Example Road\\nLondon"),
        "The seller's address, on receipts; \\n begins a line.",
    ),
    row("payment.seller.vat_id", Kind::Text, Unset("GB123456789"), "The seller's VAT id, on receipts."),
    row("payment.seller.tax_name", Kind::Text, Value("VAT"), "What the tax is called that is part of prices."),
    row(
        "payment.seller.tax_rate",
        Kind::Number(0, 10_000),
        Value("0"),
        "Its rate in hundredths of a percent: 1900 is 19 %. 0: receipts have no line of it.",
    ),
];

/// A bucket holds `limit` and is refilled over `window`; concurrency has no window.
const STRATEGIES: Kind = Kind::Choice(&["fixed_window", "sliding_window", "token_bucket", "concurrency"]);
const COUNT: Kind = Kind::Number(1, 1_000_000);
const WINDOW: Kind = Kind::Number(1, 86_400);
const HOW_MANY: &str = "How many are allowed: in the window, in the bucket, or at the same time.";
const HOW_LONG: &str = "Seconds of the window, or in which an empty bucket is full again.";

/// A row of the table.
#[must_use]
pub const fn row(pattern: &'static str, kind: Kind, default: Preset, about: &'static str) -> Setting {
    Setting { pattern, kind, default, about, is_needed: false }
}

/// A row of the table that has to be set where `enabled` beside it is true.
#[must_use]
pub const fn needed(pattern: &'static str, kind: Kind, default: Preset, about: &'static str) -> Setting {
    Setting { pattern, kind, default, about, is_needed: true }
}
