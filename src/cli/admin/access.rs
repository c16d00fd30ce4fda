//! `natter admin invitations` and `natter admin keys`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use appcore::Clock;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::{Operator, Output, find_workspace, word};

#[derive(Subcommand)]
pub enum Invitations {
    /// List the valid invitations, newest first
    List {
        /// Workspace: its id, or its exact name; by default all workspaces
        #[arg(long)]
        workspace: Option<String>,
    },
    /// Create an invitation in the name of the workspace's owner; it is e-mailed, or a link is printed
    Create {
        /// Workspace: its id, or its exact name
        workspace: String,
        #[command(flatten)]
        audience: Audience,
        #[arg(long, default_value = "member")]
        role: WorkspaceRole,
        /// Days for which the invitation is valid
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// Revoke an invitation; members who joined with it stay
    Revoke {
        /// Id of the invitation
        invitation: String,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Audience {
    /// E-mail address, the only one that can use the invitation
    #[arg(long)]
    email: Option<String>,
    /// Maximum number of people who can use the link
    #[arg(long)]
    max_uses: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum WorkspaceRole {
    Admin,
    Member,
    Guest,
}

#[derive(Subcommand)]
pub enum Keys {
    /// List the API keys of an account, newest first; USER is an e-mail address or an id
    List { user: String },
    /// Revoke an API key
    Revoke {
        user: String,
        /// Id of the key, or its first characters as shown by list
        key: String,
    },
}

impl WorkspaceRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }
}

pub async fn invitations(operator: &Operator, command: Invitations, output: Output) -> anyhow::Result<()> {
    const PATH: &str = "/r1/admin/invitations";
    match command {
        Invitations::List { workspace } => {
            let workspace = match &workspace {
                Some(name) => Some(find_workspace(operator, name).await?),
                None => None,
            };
            let query: Vec<_> = workspace.iter().map(|workspace| ("workspace_id", word(workspace, "id"))).collect();
            let columns = [
                ("workspace", "/workspace/name"),
                ("email", "/email"),
                ("role", "/role"),
                ("uses", "/uses"),
                ("of", "/max_uses"),
                ("expires", "/expires_at"),
                ("id", "/id"),
            ];
            output.list(operator.list(PATH, &query).await?, &columns)
        }
        Invitations::Create { workspace, audience, role, days } => {
            let workspace = find_workspace(operator, &workspace).await?;
            let body = json!({
                "workspace_id": workspace["id"],
                "email": audience.email,
                "max_uses": audience.max_uses,
                "role": role.as_str(),
                "expires_at": Clock::system().now().plus(Duration::from_secs(u64::from(days) * 86_400)),
            });
            let made = operator.call(Method::POST, PATH, Some(body)).await?;
            let (url, until) = (word(&made, "url"), word(&made, "expires_at"));
            let said = match made["email"].as_str() {
                Some(email) => format!("{email} is invited until {until}. The link is {url}"),
                None => format!("Pass this link on, which is valid until {until}: {url}"),
            };
            output.result(&said, &made)
        }
        Invitations::Revoke { invitation } => {
            operator.call(Method::DELETE, &format!("{PATH}/{invitation}"), None).await?;
            output.result("The invitation was revoked.", &json!({ "id": invitation }))
        }
    }
}

pub async fn keys(operator: &Operator, command: Keys, output: Output) -> anyhow::Result<()> {
    let find = async |user: &str| {
        let user = operator.user(user).await?;
        let path = format!("/r1/admin/users/{}/api_keys", word(&user, "id"));
        anyhow::Ok((operator.list(&path, &[]).await?, path, user))
    };
    match command {
        Keys::List { user } => {
            let columns = [
                ("name", "/name"),
                ("key", "/prefix"),
                ("scopes", "/scopes"),
                ("last used", "/last_used_at"),
                ("expires", "/expires_at"),
                ("id", "/id"),
            ];
            output.list(find(&user).await?.0, &columns)
        }
        Keys::Revoke { user, key } => {
            let (keys, path, user) = find(&user).await?;
            let email = word(&user, "email");
            let mut meant = keys.into_iter().filter(|one| one["id"] == key || one["prefix"] == key);
            let found = meant.next().with_context(|| format!("{email} has no API key {key}."))?;
            ensure!(meant.next().is_none(), "Several API keys begin with {key}. Name one by its id.");
            operator.call(Method::DELETE, &format!("{path}/{}", word(&found, "id")), None).await?;
            output.result(&format!("The API key {} of {email} was revoked.", word(&found, "name")), &found)
        }
    }
}
