//! Command line interface.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use appcore::auth::token;
use appcore::config::{self, Config, LoadedConfig};
use appcore::{AppError, Clock, Language};
use clap::{Args, Parser, Subcommand, ValueEnum};
use dbcontext::Database;

use billing::{credits, payments};
use identity::accounts::{self, SignUp};
use platform::firewall;

use crate::{backup, doctor, logging, probe, schema, serve, tls};

#[derive(Parser)]
#[command(name = "natter", version, about = "Chat in real time for people and assistants.")]
struct Cli {
    /// Configuration file, instead of ./config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
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
    Doctor,
    /// Back up an installation on SQLite to an archive, while the server may be running; the encryption key is written
    /// beside it
    Backup {
        /// Archive to create, such as natter-2026-11-23.tar
        file: PathBuf,
    },
    /// Restore an archive into an installation without a database
    Restore {
        file: PathBuf,
        /// Key file of the archive, if it is not beside the archive
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
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
    /// Manage administrators, bans, signing keys and the credit ledger
    Admin {
        #[command(subcommand)]
        action: Admin,
    },
    /// Manage the message search index
    Search {
        #[command(subcommand)]
        action: Search,
    },
    /// Print the OpenAPI 3.1 document of the API as JSON
    Openapi,
    /// Extract the text of a file from standard input; started by the server with limits on memory and time
    #[command(hide = true)]
    ReadFile,
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

#[derive(Subcommand)]
enum Ledger {
    /// Recompute all accounts from their entries; exits with 1 if one differs
    Verify,
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
    /// Revert the newest migrations
    Down {
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations with their status
    Status,
}

#[derive(Subcommand)]
enum Admin {
    /// Create an administrator's account
    Create {
        #[arg(long)]
        email: String,
        #[arg(long, alias = "display-name", default_value = "Admin")]
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Lift the ban of an address or network
    LiftBan {
        #[arg(long)]
        address: String,
    },
    /// Rotate the signing key of access tokens; existing tokens stay valid, so no user is signed out
    RotateKeys,
    /// Manage the credit ledger
    Ledger {
        #[command(subcommand)]
        action: Ledger,
    },
    /// Set a new password for an account and end its sessions
    ResetPassword {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        password: Password,
    },
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
    let cli = Cli::parse();
    let table = config::SettingsTable::with_settings(payments::settings());
    let load = || config::load(&table, cli.config.as_deref());
    match cli.command {
        Command::Serve { role } => {
            serve::run(config::load_with_role(&table, cli.config.as_deref(), role.map(Role::as_str))?)
        }
        Command::Doctor => block_on(examine(load()?)),
        Command::Backup { file } => block_on(async { print(&backup::create(&load()?.config, &file).await?) }),
        Command::Restore { file, key } => {
            block_on(async { print(&backup::restore(&load()?.config, &file, key.as_deref()).await?) })
        }
        Command::Probe => probe::run(&load()?.config),
        Command::Migrate { direction } => block_on(migrate(load()?.config, direction)),
        Command::Config { reference: true } => print(&config::reference(&table)),
        Command::Config { reference: false } => print(&load()?.describe()),
        Command::Admin { action } => block_on(administer(load()?.config, action)),
        Command::Search { action: Search::Rebuild { wait } } => block_on(rebuild_search(load()?.config, wait)),
        Command::Search { action: Search::Purge } => block_on(purge_search(load()?.config)),
        Command::Openapi => print(&endpoint::openapi::full_document()?),
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

async fn examine(loaded: LoadedConfig) -> anyhow::Result<()> {
    let (text, is_at_fault) = doctor::examine(loaded).await;
    print(&text)?;
    anyhow::ensure!(!is_at_fault, "At least one check failed.");
    Ok(())
}

async fn migrate(config: Config, direction: Migrate) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    match direction {
        Migrate::Up => schema::migrate(&config, &database).await?,
        Migrate::Down { steps } => schema::revert(&config, &database, steps).await?,
        Migrate::Status => {}
    }
    print(&schema::describe(&database).await?)?;
    Ok(database.close().await?)
}

/// Interval at which the progress of the index is read, and time without progress after which the
/// command gives up.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const NO_PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

async fn rebuild_search(config: Config, waits: bool) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    schema::require_current(&database).await?;
    message_search::rebuild(&config, &database).await?;
    print("The index is empty. A running server starts to rebuild it within a minute, newest messages first.\n")?;
    if waits {
        watch_search(&config, &database).await?;
    }
    Ok(database.close().await?)
}

async fn purge_search(config: Config) -> anyhow::Result<()> {
    let database = connect(&config).await?;
    schema::require_current(&database).await?;
    let begun = Instant::now();
    while !message_search::purge(&config, &database).await? {
        anyhow::ensure!(
            begun.elapsed() < NO_PROGRESS_TIMEOUT,
            "The index was not completed within {} s. Is a server running?",
            NO_PROGRESS_TIMEOUT.as_secs()
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    print("The words of deleted messages were removed from the index.\n")?;
    Ok(database.close().await?)
}

async fn watch_search(config: &Config, database: &Database) -> anyhow::Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let state = message_search::state(config, database).await?;
        let count = state.map_or(0, |state| state.messages);
        match state {
            Some(state) if !state.is_filling => {
                return print(&format!("The index is complete. Messages in it: {count}\n"));
            }
            Some(state) if count != last => {
                print(&format!("Messages in the index: {count} of about {}\n", state.expected_messages))?
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

async fn administer(config: Config, action: Admin) -> anyhow::Result<()> {
    let config = config.with_key_file()?;
    let database = connect(&config).await?;
    if config.migrate_on_start() {
        schema::migrate(&config, &database).await?;
    } else {
        schema::require_current(&database).await?;
    }
    let clock = Clock::system();
    let said = match action {
        Admin::Create { email, name, password } => {
            let (password, note) = password.choose()?;
            let account = SignUp {
                email,
                password,
                display_name: name,
                invitation: None,
                setup_token: None,
                language: Language::default(),
            };
            let user = accounts::create_admin(&database, &config, &clock, account).await.map_err(explain)?;
            format!("{} is an administrator.{note}\n", user.email.unwrap_or_default())
        }
        Admin::LiftBan { address } => match firewall::lift_all(&database, &clock, &address).await.map_err(explain)? {
            0 => format!("{address} itself is not banned. A network that contains it may be.\n"),
            _ => format!("The ban of {address} is lifted on all instances within seconds.\n"),
        },
        Admin::RotateKeys => {
            let kid = accounts::rotate_keys(&database, &config, &clock).await.map_err(explain)?;
            format!("Access tokens are now signed with the key {kid}. Running instances use it within seconds.\n")
        }
        Admin::Ledger { action: Ledger::Verify } => verify_ledger(&database).await?,
        Admin::ResetPassword { email, password } => {
            let (password, note) = password.choose()?;
            accounts::reset_password(&database, &config, &clock, &email, &password).await.map_err(explain)?;
            format!("{email} has a new password, and all its sessions were ended.{note}\n")
        }
    };
    print(&said)?;
    Ok(database.close().await?)
}

/// Verifies the ledger and returns a message for the operator. Fails if accounts differ.
async fn verify_ledger(database: &Database) -> anyhow::Result<String> {
    let (extent, differences) = credits::verify(database).await.map_err(explain)?;
    if differences.is_empty() {
        return Ok(format!("{} accounts and {} entries are consistent.\n", extent.accounts, extent.entries));
    }
    for one in &differences {
        print(&format!(
            "{}: balance {} (entries {}, grants {}), held {} (entries {}, holds {}), owed {} (entries {})\n",
            one.id,
            one.balance,
            one.booked,
            one.granted,
            one.held,
            one.booked_held,
            one.holds,
            one.owed,
            one.booked_owed,
        ))?;
    }
    Err(anyhow!("The ledger is inconsistent for {} of {} accounts.", differences.len(), extent.accounts))
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
    let connecting = Database::connect(config.database.url.expose(), config.database.max_connections);
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
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        output.write_all(b"\n")?;
    }
    Ok(output.flush()?)
}
