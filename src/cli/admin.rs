//! Commands below `natter admin`.

mod access;

use anyhow::{Context as _, ensure};
use appcore::{Clock, Language, auth::Email, config::LoadedConfig, view::UserRole};
use clap::{Args, Subcommand, ValueEnum};
use dbcontext::Database;
use identity::{
    accounts::{self, SignUp},
    mail::{self, Mailer},
};
use platform::firewall;
use reqwest::Method;
use serde_json::{Value, json};

use billing::credits;

use self::access::{Invitations, Keys};
use super::{
    Output, Password, connect, explain,
    operator::{Operator, require_database},
};
use crate::schema;

#[derive(Subcommand)]
pub enum Admin {
    /// Create an administrator's account
    Create {
        #[arg(long)]
        email: String,
        #[arg(long, alias = "display-name", default_value = "Admin")]
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Set a new password for an account and end its sessions
    ResetPassword {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        password: Password,
    },
    /// Manage accounts; USER is an e-mail address or an id
    #[command(subcommand)]
    Users(Users),
    /// Manage bans of addresses and networks
    #[command(subcommand)]
    Bans(Bans),
    /// Manage durable jobs
    #[command(subcommand)]
    Jobs(Jobs),
    /// Manage workspaces; WORKSPACE is an id, or the exact name if only one workspace has it
    #[command(subcommand)]
    Workspaces(Workspaces),
    /// Manage invitations to workspaces
    #[command(subcommand)]
    Invitations(Invitations),
    /// Manage the API keys of accounts
    #[command(subcommand)]
    Keys(Keys),
    /// Test the delivery of e-mails
    #[command(subcommand)]
    Mail(Mail),
    /// Manage the credit ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Lift the ban of an address or network
    #[command(hide = true)]
    LiftBan {
        #[arg(long)]
        address: String,
    },
    /// Rotate the signing key of access tokens
    #[command(hide = true)]
    RotateKeys,
}

#[derive(Subcommand)]
#[command(rename_all = "snake_case")]
pub enum Users {
    /// List accounts, newest first
    List {
        /// Text in the name or e-mail address
        #[arg(long)]
        search: Option<String>,
        #[arg(long)]
        status: Option<Status>,
        #[arg(long)]
        role: Option<Role>,
    },
    /// Show an account
    Show { user: String },
    /// Create an account; a link for choosing the password is e-mailed, or printed if no mail server is configured
    Create {
        email: String,
        /// Displayed name; by default the part of the e-mail address before the @
        #[arg(long)]
        name: Option<String>,
        #[arg(long, default_value = "user")]
        role: Role,
    },
    /// Make a user an administrator
    Promote { user: String },
    /// Make an administrator a user
    Demote { user: String },
    /// Suspend an account: it keeps its data, but its sessions end and its API keys are refused
    Suspend {
        user: String,
        /// Reason, for administrators
        #[arg(long)]
        reason: Option<String>,
    },
    /// Restore a suspended account
    Restore { user: String },
    /// Delete an account with its personal data
    Delete { user: String },
    /// End all sessions of an account
    SignOut { user: String },
    /// Remove the authenticator and the recovery codes of an account
    RemoveSecondFactor { user: String },
    /// Send a link for a new password, or print it if no mail server is configured
    ResetLink { user: String },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Status {
    Active,
    Suspended,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    User,
    Admin,
}

#[derive(Subcommand)]
pub enum Bans {
    /// List the bans in force
    List,
    /// Ban an address or network
    Add {
        /// Address or network, such as 203.0.113.5 or 203.0.113.0/24
        address: String,
        #[arg(long, default_value = "added at the command line")]
        reason: String,
        #[arg(long, default_value_t = 86_400)]
        seconds: u64,
    },
    /// Lift all bans of an address or network
    Lift { address: String },
}

#[derive(Subcommand)]
pub enum Jobs {
    /// List durable jobs, newest first
    List {
        /// Only jobs of this kind, such as mail
        #[arg(long)]
        kind: Option<String>,
        /// Only jobs whose attempts have all failed
        #[arg(long)]
        dead: bool,
    },
    /// Retry dead jobs
    Requeue(Requeue),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Requeue {
    /// Id of the job
    job: Option<String>,
    /// All dead jobs of this kind
    #[arg(long)]
    kind: Option<String>,
    /// All dead jobs
    #[arg(long)]
    all: bool,
}

#[derive(Subcommand)]
pub enum Workspaces {
    /// List workspaces, newest first
    List {
        /// Text in the name
        #[arg(long)]
        search: Option<String>,
    },
    /// Show a workspace
    Show { workspace: String },
    /// List the members of a workspace
    Members { workspace: String },
    /// Transfer the ownership to a member
    Transfer { workspace: String, owner: String },
    /// Delete a workspace with all its conversations, for all members
    Delete { workspace: String },
}

#[derive(Subcommand)]
pub enum Mail {
    /// Send a test e-mail, and wait until the mail server has accepted it
    Test { address: String },
}

#[derive(Subcommand)]
pub enum Ledger {
    /// Recompute all accounts from their entries; exits with 1 if one differs
    Verify,
}

pub async fn run(loaded: LoadedConfig, action: Admin, output: Output) -> anyhow::Result<()> {
    match action {
        Admin::Users(command) => as_operator(loaded, async |operator| users(operator, command, output).await).await,
        Admin::Jobs(command) => as_operator(loaded, async |operator| jobs(operator, command, output).await).await,
        Admin::Workspaces(command) => {
            as_operator(loaded, async |operator| workspaces(operator, command, output).await).await
        }
        Admin::Invitations(command) => {
            as_operator(loaded, async |operator| access::invitations(operator, command, output).await).await
        }
        Admin::Keys(command) => {
            as_operator(loaded, async |operator| access::keys(operator, command, output).await).await
        }
        Admin::Bans(Bans::List) => {
            let list = async |operator: &Operator| {
                let columns = [("address", "/address"), ("reason", "/reason"), ("expires", "/expires_at")];
                output.list(operator.list("/r1/admin/bans", &[]).await?, &columns)
            };
            as_operator(loaded, list).await
        }
        Admin::Bans(Bans::Add { address, reason, seconds }) => {
            let add = async |operator: &Operator| {
                let body = json!({ "address": address, "reason": reason, "seconds": seconds });
                let ban = operator.call(Method::POST, "/r1/admin/bans", Some(body)).await?;
                output.result(&format!("{} is banned until {}.", word(&ban, "address"), word(&ban, "expires_at")), &ban)
            };
            as_operator(loaded, add).await
        }
        Admin::Mail(Mail::Test { address }) => send_test_mail(loaded, &address, output).await,
        // These work without a server, because they are needed when none can be reached.
        Admin::Create { email, name, password } => create_admin(loaded, (email, name, password), output).await,
        Admin::ResetPassword { email, password } => reset_password(loaded, &email, password, output).await,
        Admin::Bans(Bans::Lift { address }) | Admin::LiftBan { address } => lift_bans(loaded, &address, output).await,
        Admin::RotateKeys => rotate_signing_key(loaded, output).await,
        Admin::Ledger(Ledger::Verify) => verify_ledger(loaded, output).await,
    }
}

async fn as_operator(
    loaded: LoadedConfig,
    work: impl AsyncFnOnce(&Operator) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let operator = Operator::connect(loaded).await?;
    let done = work(&operator).await;
    operator.close().await?;
    done
}

async fn users(operator: &Operator, command: Users, output: Output) -> anyhow::Result<()> {
    let change = async |user: &str, body: Value, what: &str| {
        let user = operator.user(user).await?;
        let path = format!("/r1/admin/users/{}", word(&user, "id"));
        let changed = operator.call(Method::PATCH, &path, Some(body)).await?;
        output.result(&format!("{} {what}.", word(&changed, "email")), &changed)
    };
    match command {
        Users::List { search, status, role } => {
            let mut query = Vec::new();
            query.extend(search.as_deref().map(|text| ("q", text)));
            query.extend(status.map(|status| {
                (
                    "status",
                    match status {
                        Status::Active => "active",
                        Status::Suspended => "suspended",
                    },
                )
            }));
            query.extend(role.map(|role| ("role", role.as_str())));
            let columns = [
                ("email", "/email"),
                ("name", "/display_name"),
                ("role", "/role"),
                ("status", "/status"),
                ("last active", "/last_active_at"),
                ("id", "/id"),
            ];
            output.list(operator.list("/r1/admin/users", &query).await?, &columns)
        }
        Users::Show { user } => {
            let user = operator.user(&user).await?;
            let path = format!("/r1/admin/users/{}", word(&user, "id"));
            output.object(&operator.call(Method::GET, &path, None).await?)
        }
        Users::Create { email, name, role } => {
            let body = json!({ "email": email, "display_name": name, "role": role.as_str() });
            let made = operator.call(Method::POST, "/r1/admin/users", Some(body)).await?;
            let email = word(&made, "email").to_owned();
            output.result(&format!("{email} has an account. {}", link_sentence(&made["link"])), &made)
        }
        Users::Promote { user } => change(&user, json!({ "role": "admin" }), "is an administrator").await,
        Users::Demote { user } => change(&user, json!({ "role": "user" }), "is no longer an administrator").await,
        Users::Suspend { user, reason } => {
            change(&user, json!({ "status": "suspended", "reason": reason }), "is suspended").await
        }
        Users::Restore { user } => change(&user, json!({ "status": "active" }), "is active again").await,
        Users::Delete { user } => {
            let user = operator.user(&user).await?;
            let email = word(&user, "email");
            output.confirm(&format!("The account {email} and its personal data will be deleted"))?;
            operator.call(Method::DELETE, &format!("/r1/admin/users/{}", word(&user, "id")), None).await?;
            output.result(&format!("{email} was deleted."), &user)
        }
        Users::SignOut { user } => {
            let user = operator.user(&user).await?;
            operator.call(Method::DELETE, &format!("/r1/admin/users/{}/sessions", word(&user, "id")), None).await?;
            output.result(&format!("All sessions of {} were ended.", word(&user, "email")), &user)
        }
        Users::RemoveSecondFactor { user } => {
            let user = operator.user(&user).await?;
            let email = word(&user, "email");
            output.confirm(&format!("{email} will be able to sign in with the password alone"))?;
            let path = format!("/r1/admin/users/{}/second-factor", word(&user, "id"));
            operator.call(Method::DELETE, &path, None).await?;
            output.result(&format!("The second factor of {email} was removed."), &user)
        }
        Users::ResetLink { user } => {
            let user = operator.user(&user).await?;
            let path = format!("/r1/admin/users/{}/password-reset", word(&user, "id"));
            let link = operator.call(Method::POST, &path, None).await?;
            output.result(&link_sentence(&link), &link)
        }
    }
}

async fn jobs(operator: &Operator, command: Jobs, output: Output) -> anyhow::Result<()> {
    match command {
        Jobs::List { kind, dead } => {
            let mut query = Vec::new();
            query.extend(kind.as_deref().map(|kind| ("kind", kind)));
            query.extend(dead.then_some(("status", "dead")));
            let columns = [
                ("id", "/id"),
                ("kind", "/kind"),
                ("status", "/status"),
                ("attempts", "/attempts"),
                ("next attempt", "/run_at"),
                ("error", "/error"),
            ];
            output.list(operator.list("/r1/admin/jobs", &query).await?, &columns)
        }
        Jobs::Requeue(Requeue { job: Some(job), .. }) => {
            let job = operator.call(Method::POST, &format!("/r1/admin/jobs/{job}/requeue"), None).await?;
            output.result(&format!("The job {} runs again.", word(&job, "id")), &job)
        }
        Jobs::Requeue(Requeue { kind, .. }) => {
            let done = operator.call(Method::POST, "/r1/admin/jobs/requeue", Some(json!({ "kind": kind }))).await?;
            output.result(&format!("Jobs that run again: {}", done["requeued"]), &done)
        }
    }
}

/// Returns the workspace with this id or exact name.
async fn find_workspace(operator: &Operator, name: &str) -> anyhow::Result<Value> {
    let found = operator.list("/r1/admin/workspaces", &[("q", name)]).await?;
    let mut meant = found.into_iter().filter(|one| one["id"] == name || one["name"] == name);
    let workspace = meant.next().with_context(|| format!("There is no workspace {name}."))?;
    ensure!(meant.next().is_none(), "Several workspaces are called {name}. Name one by its id.");
    Ok(workspace)
}

async fn workspaces(operator: &Operator, command: Workspaces, output: Output) -> anyhow::Result<()> {
    let find = async |name: &str| {
        let workspace = find_workspace(operator, name).await?;
        anyhow::Ok((format!("/r1/admin/workspaces/{}", word(&workspace, "id")), workspace))
    };
    match command {
        Workspaces::List { search } => {
            let query: Vec<_> = search.as_deref().map(|text| ("q", text)).into_iter().collect();
            let columns = [
                ("name", "/name"),
                ("owner", "/owner/display_name"),
                ("members", "/members"),
                ("messages", "/messages"),
                ("bytes", "/stored_bytes"),
                ("id", "/id"),
            ];
            output.list(operator.list("/r1/admin/workspaces", &query).await?, &columns)
        }
        Workspaces::Show { workspace } => output.object(&find(&workspace).await?.1),
        Workspaces::Members { workspace } => {
            let (path, _) = find(&workspace).await?;
            let columns = [("email", "/email"), ("name", "/display_name"), ("role", "/role"), ("id", "/id")];
            output.list(operator.list(&format!("{path}/members"), &[]).await?, &columns)
        }
        Workspaces::Transfer { workspace, owner } => {
            let (path, _) = find(&workspace).await?;
            let owner = operator.user(&owner).await?;
            let changed = operator.call(Method::PATCH, &path, Some(json!({ "owner_id": owner["id"] }))).await?;
            let said = format!("{} is the owner of {}.", word(&owner, "email"), word(&changed, "name"));
            output.result(&said, &changed)
        }
        Workspaces::Delete { workspace } => {
            let (path, workspace) = find(&workspace).await?;
            let name = word(&workspace, "name");
            let (members, messages) = (&workspace["members"], &workspace["messages"]);
            output.confirm(&format!("{name} with {messages} messages of {members} members will be deleted"))?;
            operator.call(Method::DELETE, &path, Some(json!({ "name": name }))).await?;
            output.result(&format!("{name} was deleted."), &workspace)
        }
    }
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// Text of a field.
fn word<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn link_sentence(link: &Value) -> String {
    match link["url"].as_str() {
        Some(url) => format!("Pass this link on, which is valid until {}: {url}", word(link, "expires_at")),
        None => format!("A link was e-mailed, which is valid until {}.", word(link, "expires_at")),
    }
}

/// Opens the existing database, with its schema upgraded.
async fn open(loaded: LoadedConfig) -> anyhow::Result<(appcore::config::Config, Database)> {
    require_database(&loaded.config)?;
    let config = loaded.config.with_key_file()?;
    let database = connect(&config).await?;
    if config.migrate_on_start() {
        schema::migrate(config.database.url.expose(), config.database.pooler, &database).await?;
    } else {
        schema::require_current(&database).await?;
    }
    Ok((config, database))
}

async fn create_admin(
    loaded: LoadedConfig,
    (email, name, password): (String, String, Password),
    output: Output,
) -> anyhow::Result<()> {
    let (password, note) = password.choose()?;
    let account = SignUp {
        email,
        password: password.clone(),
        display_name: name,
        invitation: None,
        setup_token: None,
        language: Language::default(),
    };
    let (config, database) = open(loaded).await?;
    let user = accounts::create_admin(&database, &config, &Clock::system(), account).await.map_err(explain)?;
    let email = user.email.as_deref().unwrap_or_default();
    let mut object = json!({ "id": user.id, "email": email, "role": UserRole::Admin });
    if !note.is_empty() {
        object["password"] = json!(password);
    }
    output.result(&format!("{email} is an administrator.{note}"), &object)?;
    Ok(database.close().await?)
}

async fn reset_password(loaded: LoadedConfig, email: &str, password: Password, output: Output) -> anyhow::Result<()> {
    let (password, note) = password.choose()?;
    let (config, database) = open(loaded).await?;
    accounts::reset_password(&database, &config, &Clock::system(), email, &password).await.map_err(explain)?;
    let mut object = json!({ "email": email });
    if !note.is_empty() {
        object["password"] = json!(password);
    }
    output.result(&format!("{email} has a new password, and all its sessions were ended.{note}"), &object)?;
    Ok(database.close().await?)
}

async fn lift_bans(loaded: LoadedConfig, address: &str, output: Output) -> anyhow::Result<()> {
    let (_, database) = open(loaded).await?;
    let lifted = firewall::lift_all(&database, &Clock::system(), address).await.map_err(explain)?;
    let said = match lifted {
        0 => format!("{address} itself is not banned. A network that contains it may be."),
        _ => format!("The ban of {address} is lifted on all instances within seconds."),
    };
    output.result(&said, &json!({ "address": address, "lifted": lifted }))?;
    Ok(database.close().await?)
}

/// Rotates the signing key of access tokens. Existing tokens stay valid, so no user is signed out.
pub async fn rotate_signing_key(loaded: LoadedConfig, output: Output) -> anyhow::Result<()> {
    let (config, database) = open(loaded).await?;
    let kid = accounts::rotate_keys(&database, &config, &Clock::system()).await.map_err(explain)?;
    let said = format!("Access tokens are now signed with the key {kid}. Running instances use it within seconds.");
    output.result(&said, &json!({ "kid": kid }))?;
    Ok(database.close().await?)
}

async fn send_test_mail(loaded: LoadedConfig, address: &str, output: Output) -> anyhow::Result<()> {
    let email = Email::parse(address).map_err(|error| anyhow::Error::msg(error.message))?;
    let config = loaded.config;
    ensure!(config.mail.smtp_url.is_some(), "mail.smtp_url is not set, so no e-mail can be sent.");
    let mailer = Mailer::build(&config, Clock::system())?;
    mail::send_test(&config, &mailer, &email, Language::default()).await.map_err(anyhow::Error::msg)?;
    let said = format!("The mail server has accepted an e-mail to {address}.");
    output.result(&said, &json!({ "ok": true, "to": address, "error": null }))
}

/// Verifies the ledger. Fails if accounts differ.
async fn verify_ledger(loaded: LoadedConfig, output: Output) -> anyhow::Result<()> {
    let (_, database) = open(loaded).await?;
    let (extent, differences) = credits::verify(&database).await.map_err(explain)?;
    database.close().await?;
    let object = json!({
        "accounts": extent.accounts,
        "entries": extent.entries,
        "differences": differences.iter().map(|one| &one.id).collect::<Vec<_>>(),
    });
    if differences.is_empty() {
        let said = format!("{} accounts and {} entries are consistent.", extent.accounts, extent.entries);
        return output.result(&said, &object);
    }
    let lines: String = differences
        .iter()
        .map(|one| {
            format!(
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
            )
        })
        .collect();
    output.result(&lines, &object)?;
    anyhow::bail!("The ledger is inconsistent for {} of {} accounts.", differences.len(), extent.accounts)
}
