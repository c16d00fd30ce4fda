//! Command line interface.

mod admin;
mod manual;
mod models;
mod operator;
mod output;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use appcore::auth::token;
use appcore::config::{self, Config, LoadedConfig};
use appcore::{AppError, Clock, view::Check};
use billing::payments;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use dbcontext::Database;
use message_search::PurgeRequest;
use serde_json::json;

use self::{operator::require_database, output::Output};
use crate::{
    alive,
    backup::{self, ArchiveStore, Existing, Verified},
    doctor, keys,
    keys::SecretCount,
    logging, probe, schema, serve, tls, transfer,
};

#[derive(Parser)]
#[command(name = "natter", version, about = "Chat in real time for people and assistants.")]
struct Cli {
    /// Configuration file, instead of ./config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Run only the web server or only the workers; overrides the setting server.role
        #[arg(long)]
        role: Option<Role>,
    },
    /// Check everything that an installation depends on; exits with 1 if a check fails
    Doctor {
        /// Correct the modes of files and folders, and make a broken search index anew
        #[arg(long)]
        fix: bool,
    },
    /// Back up an installation, while the server may be running
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Backup {
        #[command(subcommand)]
        action: Option<Backup>,
        /// Archive to create; the same as natter backup create FILE
        #[arg(hide = true)]
        file: Option<PathBuf>,
    },
    /// Restore an archive to SQLite or PostgreSQL; existing data is set aside, after a confirmation
    Restore {
        /// Archive: a file, or s3://bucket/path/natter-2026-11-23T140509Z.tar
        file: String,
        /// Key file of the archive, if it is not beside the archive
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Copy the installation to another database, between SQLite and PostgreSQL; the configured database is not changed
    Move {
        /// Target: postgres://user:password@host/database or sqlite:///FILE
        #[arg(long, value_name = "URL")]
        to: String,
        /// Copy nothing; compare the databases
        #[arg(long)]
        verify: bool,
    },
    /// Check whether the server on this machine accepts requests; exits with 1 if it does not
    Probe,
    /// Migrate the database schema
    Migrate {
        #[command(subcommand)]
        direction: Migrate,
    },
    /// Print every setting with its value and source; secrets are masked
    Config {
        /// Print a configuration file with all settings, their defaults and descriptions
        #[arg(long)]
        reference: bool,
    },
    /// Manage accounts, API keys, workspaces, invitations, bans, jobs and the credit ledger, with or without a running server
    Admin {
        #[command(subcommand)]
        action: admin::Admin,
    },
    /// Manage the installation's keys
    Keys {
        #[command(subcommand)]
        action: Keys,
    },
    /// Check the models of the configured AI providers
    Models {
        #[command(subcommand)]
        action: models::Models,
    },
    /// Manage the message search index
    Search {
        #[command(subcommand)]
        action: Search,
    },
    /// Print the OpenAPI 3.1 document of the API as JSON
    Openapi,
    /// Print a script that completes commands and options in a shell
    Completion { shell: Shell },
    /// Print the manual page in the format of man
    #[command(hide = true)]
    Manual,
    /// Extract the text of a file from standard input; started by the server with limits on memory and time
    #[command(hide = true)]
    ReadFile,
}

#[derive(Subcommand)]
enum Backup {
    /// Create an archive; the encryption key is written beside it
    Create {
        /// Archive, such as natter-2026-11-23.tar; by default a new one in backup.url
        file: Option<PathBuf>,
    },
    /// List the archives in backup.url, oldest first
    List,
    /// Verify an archive: its digests and the integrity of its database
    Verify {
        /// File, s3:// address, or name of an archive in backup.url; by default the newest there
        archive: Option<String>,
    },
    /// Delete all archives in backup.url but the newest backup.keep
    Prune,
}

#[derive(Subcommand)]
enum Keys {
    /// Check whether the key decrypts all secrets in the database
    Check,
    /// Remove the secrets that the key doesn't decrypt, after the loss of a key
    Reset,
    /// Replace a key
    Rotate { key: RotatedKey },
}

#[derive(Clone, Copy, ValueEnum)]
enum RotatedKey {
    /// Key that encrypts secrets in the database, while no server runs
    Encryption,
    /// Key that signs access tokens; existing tokens stay valid, so no user is signed out
    Signing,
}

#[derive(Subcommand)]
enum Search {
    /// Clear the index; the server rebuilds it, now or at its next start
    Rebuild {
        /// Wait for a running server to finish rebuilding, and show its progress
        #[arg(long)]
        wait: bool,
    },
    /// Remove the words of deleted messages from the index now; a running server does so every hour
    Purge,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    All,
    Web,
    Worker,
}

#[derive(Subcommand)]
enum Migrate {
    /// Apply the pending migrations
    Up,
    /// Revert the newest migrations, which deletes the data that they added
    Down {
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations with their status
    Status,
}

/// Source of a password. If none is given, a password is generated and printed.
#[derive(Args)]
#[group(multiple = false)]
struct Password {
    /// Password; visible to other users of this machine in the process list
    #[arg(long)]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Runs the command that the command line names.
pub fn run() -> anyhow::Result<()> {
    let Cli { config: file, output, command } = Cli::parse();
    let table = config::SettingsTable::with_settings(payments::settings());
    let load = || config::load(&table, file.as_deref());
    match command {
        Command::Serve { role } => serve::run(config::load_with_role(&table, file.as_deref(), role.map(Role::as_str))?),
        Command::Doctor { fix } => block_on(examine(load()?, fix, output)),
        Command::Backup { action, file } => {
            block_on(back_up(load()?.config, action.unwrap_or(Backup::Create { file }), output))
        }
        Command::Restore { file, key } => block_on(restore(load()?.config, &file, key, output)),
        Command::Move { to, verify } => block_on(move_to(load()?.config, &to, verify, output)),
        Command::Probe => probe::run(&load()?.config),
        Command::Migrate { direction } => block_on(migrate(load()?.config, direction, output)),
        Command::Config { reference: true } => output.text(&config::reference(&table)),
        Command::Config { reference: false } => {
            let loaded = load()?;
            output.result(&loaded.describe(), &json!(loaded.config.described))
        }
        Command::Admin { action } => block_on(admin::run(load()?, action, output)),
        Command::Keys { action } => block_on(manage_keys(load()?, action, output)),
        Command::Models { action } => block_on(models::run(load()?.config, action, output)),
        Command::Search { action: Search::Rebuild { wait } } => block_on(rebuild_search(load()?.config, wait, output)),
        Command::Search { action: Search::Purge } => block_on(purge_search(load()?.config, output)),
        Command::Openapi => output.text(&endpoint::openapi::full_document()?),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "natter", &mut script);
            output.text(&String::from_utf8(script)?)
        }
        Command::Manual => output.text(&manual::page(Cli::command())?),
        Command::ReadFile => Ok(extract::isolated::serve()?),
    }
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Web => "web",
            Self::Worker => "worker",
        }
    }
}

async fn examine(loaded: LoadedConfig, fixes: bool, output: Output) -> anyhow::Result<()> {
    let fixed = if fixes { doctor::fix(&loaded.config).await? } else { Vec::new() };
    let checks = doctor::examine(loaded).await;
    let lines: String = fixed.iter().map(|line| format!("fixed    {line}\n")).collect();
    output.result(&(lines + &doctor::text(&checks)), &json!({ "checks": checks, "fixed": fixed }))?;
    anyhow::ensure!(!checks.iter().any(Check::is_fault), "At least one check failed.");
    Ok(())
}

async fn manage_keys(loaded: LoadedConfig, action: Keys, output: Output) -> anyhow::Result<()> {
    match action {
        Keys::Check => {
            let report = keys::check(&loaded.config).await?;
            output.result(&report.text(), &json!(report))?;
            anyhow::ensure!(report.is_ok(), "The key does not decrypt all secrets.");
            Ok(())
        }
        Keys::Reset => {
            let list = |secrets: &[SecretCount]| {
                secrets.iter().map(|one| format!("{} {}", one.unreadable, one.title)).collect::<Vec<_>>().join(", ")
            };
            let lost = keys::plan(&loaded.config).await?;
            if !lost.is_empty() {
                output.confirm(&format!("These secrets can't be decrypted and will be removed: {}", list(&lost)))?;
            }
            let removed = keys::reset(&loaded.config).await?;
            let said = if removed.is_empty() {
                "The key decrypts all secrets. Nothing was removed.".to_owned()
            } else {
                format!("Removed: {}.", list(&removed))
            };
            output.result(&said, &json!(removed))
        }
        Keys::Rotate { key: RotatedKey::Encryption } => {
            let rotated = keys::rotate_encryption(&loaded.config).await?;
            output.result(&rotated.text(), &json!(rotated))
        }
        Keys::Rotate { key: RotatedKey::Signing } => admin::rotate_signing_key(loaded, output).await,
    }
}

async fn back_up(config: Config, action: Backup, output: Output) -> anyhow::Result<()> {
    match action {
        Backup::Create { file } => {
            let said = match &file {
                Some(file) => backup::create(&config, file, output.progress()).await?,
                None => ArchiveStore::open(&config)?.create(Clock::system().now(), output.progress()).await?,
            };
            output.result(&said, &json!({ "file": file, "says": said.trim_end() }))
        }
        Backup::List => {
            let archives = ArchiveStore::open(&config)?.list().await?;
            let archives = archives.iter().map(|archive| json!(archive)).collect();
            output.list(archives, &[("name", "/name"), ("created", "/created_at"), ("bytes", "/bytes")])
        }
        Backup::Verify { archive } => {
            let verified = backup::verify(&config, archive.as_deref(), output.progress()).await?;
            let Verified { name, version, created_at, files, bytes } = &verified;
            let said = format!(
                "{name} is intact: the database as of {created_at} and {files} uploaded files, {bytes} bytes, by version {version}."
            );
            output.result(&said, &json!(verified))
        }
        Backup::Prune => {
            let store = ArchiveStore::open(&config)?;
            let surplus = store.list().await?.len().saturating_sub(config.backup.keep);
            if surplus > 0 {
                output.confirm(&format!("The oldest {surplus} archives will be deleted"))?;
            }
            let deleted = store.prune().await?;
            let names: String = deleted.iter().map(|archive| format!("{} was deleted.\n", archive.name)).collect();
            output.result(&names, &json!(deleted))
        }
    }
}

async fn restore(config: Config, archive: &str, key: Option<PathBuf>, output: Output) -> anyhow::Result<()> {
    let existing = match backup::existing_data(&config).await? {
        Some(what) => {
            output.confirm(&format!("{what} and what belongs to it will be set aside"))?;
            Existing::SetAside
        }
        None => Existing::Keep,
    };
    let said = backup::restore(&config, archive, key.as_deref(), existing, output.progress()).await?;
    output.result(&said, &json!({ "archive": archive, "says": said.trim_end() }))
}

async fn move_to(config: Config, url: &str, compares_only: bool, output: Output) -> anyhow::Result<()> {
    require_database(&config)?;
    let done = transfer::run(&config, url, compares_only, output.progress()).await?;
    output.result(&done.text(&config, url), &json!(done))
}

async fn migrate(config: Config, direction: Migrate, output: Output) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    match direction {
        Migrate::Up => schema::migrate(config.database.url.expose(), config.database.pooler, &database).await?,
        Migrate::Down { steps } => {
            let names = schema::newest(&database, steps).await?;
            if !names.is_empty() {
                output.confirm(&format!(
                    "The data of {} steps of the schema will be deleted: {}",
                    names.len(),
                    names.join(", ")
                ))?;
            }
            // A running server would go on with the schema that it knows.
            let _lock = alive::require_none(&config, &database).await?;
            schema::revert(&config, &database, steps).await?;
        }
        Migrate::Status => {}
    }
    let steps = schema::describe(&database).await?;
    let lines: String = steps.iter().map(|step| format!("{:<8} {}\n", step.status.title(), step.name)).collect();
    output.result(&lines, &json!(steps))?;
    Ok(database.close().await?)
}

/// Interval at which the progress of the index is read, and time without progress after which the
/// command gives up.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const NO_PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

async fn rebuild_search(config: Config, waits: bool, output: Output) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    schema::require_current(&database).await?;
    message_search::rebuild(&database).await?;
    output.text("Running servers start to build the index again within seconds, newest messages first.\n")?;
    if waits {
        watch_search(&config, &database, output).await?;
    }
    Ok(database.close().await?)
}

async fn purge_search(config: Config, output: Output) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    schema::require_current(&database).await?;
    let begun = Instant::now();
    let request = PurgeRequest::send(&database).await?;
    while !request.is_done(&config, &database).await? {
        anyhow::ensure!(
            begun.elapsed() < NO_PROGRESS_TIMEOUT,
            "The server has not removed the words within {} s. Can it read the database?",
            NO_PROGRESS_TIMEOUT.as_secs()
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    output.text("The words of deleted messages were removed from the index.\n")?;
    Ok(database.close().await?)
}

async fn watch_search(config: &Config, database: &Database, output: Output) -> anyhow::Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let status = message_search::status(config, database).await?;
        let count = status.map_or(0, |status| status.messages);
        match status {
            Some(status) if !status.is_filling => {
                return output.text(&format!("The index is complete. Messages in it: {count}\n"));
            }
            Some(status) if count != last => {
                output.text(&format!("Messages in the index: {count} of about {}\n", status.expected_messages))?
            }
            _ if since.elapsed() > NO_PROGRESS_TIMEOUT => {
                anyhow::bail!("The index has not grown for {} s. Is a server running?", NO_PROGRESS_TIMEOUT.as_secs())
            }
            _ => {}
        }
        if count != last {
            (last, since) = (count, Instant::now());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl Password {
    /// Returns the password, with a note for the output.
    fn choose(self) -> anyhow::Result<(String, String)> {
        if let Some(password) = self.password {
            return Ok((password, String::new()));
        }
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("Failed to read the password from standard input")?;
            return Ok((text.trim_end_matches(['\r', '\n']).to_owned(), String::new()));
        }
        // The prefix satisfies password policies that require several classes of characters.
        let password = format!("Aa1-{}", token::random_token()?);
        let note = format!(" The password is {password}");
        Ok((password, note))
    }
}

async fn connect(config: &Config) -> anyhow::Result<Database> {
    let connecting = Database::open(&config.database, config.database.max_connections);
    connecting.await.map_err(tls::advised)
}

/// Converts an error to one sentence for the operator.
fn explain(error: AppError) -> anyhow::Error {
    match error {
        AppError::Invalid(fields) => {
            let sentences: Vec<_> = fields.into_iter().map(|field| field.message.into_owned()).collect();
            anyhow!("{}", sentences.join(" "))
        }
        AppError::Refused { message: Some(message), .. } => anyhow!("{message}"),
        AppError::Refused { code, .. } | AppError::Detailed { code, .. } => anyhow!("{}", code.sentence()),
        AppError::Unavailable(cause) | AppError::Internal(cause) => cause,
    }
}

/// Runs a command that terminates, unlike `serve`. Only warnings are logged.
fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    logging::start_quietly();
    // Some commands start an instance of the server, which needs the system.
    actix::System::new().block_on(work)
}
