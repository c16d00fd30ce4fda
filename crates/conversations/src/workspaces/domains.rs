//! Joining a workspace by the domain of a verified email address.
//!
//! Allowing a domain requires a verified address at that domain, and domains of public mail
//! providers are refused. Otherwise a stranger could impersonate a colleague, or lure the
//! colleagues of others into a workspace.

use std::{collections::HashSet, sync::LazyLock};

use appcore::{
    AppError, Code, WorkspaceId,
    auth::{Email, Principal},
    page::{Page, PageRequest},
    view::{OfferedWorkspace, Workspace, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    entity::user,
    query::{users, workspace_domains as rows, workspaces},
};
use identity::membership::{WorkspaceChangeEvent, default_channel};
use platform::audit::{self, Action, NewAuditEntry};

use super::find;
use crate::ConversationsService;

/// Maximum number of domains per workspace.
const MAX_DOMAINS: usize = 10;

/// Domains of public mail providers.
static PUBLIC_MAIL_DOMAINS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("public_mail_domains.txt").lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
});

/// Workspaces that the caller may join.
pub async fn joinable(
    service: &ConversationsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<OfferedWorkspace>, AppError> {
    let user = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let Some(domain) = verified_domain(&user) else { return Ok(Page::new(Vec::new(), page, 0)) };
    let (seen, total) = rows::joinable(service.db.reader(), by.user_id, domain, page).await?;
    let items = seen.into_iter().map(|row| OfferedWorkspace { id: row.id, name: row.name }).collect();
    Ok(Page::new(items, page, total))
}

/// Adds the caller to a workspace that allows the domain of their address. Returns `NotFound` for
/// everybody else and for removed members.
pub async fn join(service: &ConversationsService, by: &Principal, id: WorkspaceId) -> Result<Workspace, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    workspaces::lock(&tx, id).await?;
    if workspaces::role(&tx, id, by.user_id).await?.is_some() {
        return Err(Code::AlreadyMember.into());
    }
    let user = users::by_id(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let domain = verified_domain(&user).ok_or(Code::NotFound)?;
    let is_open = workspaces::name(&tx, id).await?.is_some() && rows::allows(&tx, id, domain).await?;
    if !is_open || workspaces::removed_at(&tx, id, by.user_id).await?.is_some() {
        return Err(Code::NotFound.into());
    }
    let now = service.clock.now();
    identity::membership::quota::check_members(&tx, id, WorkspaceRole::Member, now).await?;
    workspaces::add(&tx, id, by.user_id, WorkspaceRole::Member, now).await?;
    let channel = default_channel::sync_member(&tx, id, by.user_id, WorkspaceRole::Member, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceJoined, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_joined(id, by.user_id).publish(&service.identity);
    channel.publish(&service.identity);
    find(service, by, id).await
}

/// Domain of an account's email address; `None` if the address is not verified.
fn verified_domain(user: &user::Model) -> Option<&str> {
    if !user.is_verified() {
        return None;
    }
    user.email.split_once('@').map(|(_, domain)| domain)
}

/// Validates the allowed domains. A domain that isn't in `known` must be that of the caller's
/// address.
pub(super) fn validate_domains(wanted: &[String], known: &[String], by: &user::Model) -> Result<Vec<String>, AppError> {
    let wrong = |code: &'static str, message: String| Err(AppError::field("join_domains", code, message));
    if wanted.len() > MAX_DOMAINS {
        return wrong("too_long", format!("A workspace can have up to {MAX_DOMAINS} domains."));
    }
    let own = verified_domain(by);
    let mut domains = Vec::new();
    for text in wanted {
        let text = text.trim().trim_start_matches('@');
        let Ok(address) = Email::parse(&format!("somebody@{text}")) else {
            return wrong("invalid", format!("{text:?} isn't a valid email domain."));
        };
        let domain = address.domain().to_owned();
        if PUBLIC_MAIL_DOMAINS.contains(domain.as_str()) || !domain.contains('.') {
            return wrong("public", format!("Anyone can get an email at {domain}. Invite people instead."));
        }
        if !known.contains(&domain) && own != Some(domain.as_str()) {
            return wrong("not_yours", format!("To add {domain}, you need a verified email at that domain."));
        }
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_domains_are_normalized() {
        assert!(PUBLIC_MAIL_DOMAINS.len() > 100);
        for domain in PUBLIC_MAIL_DOMAINS.iter() {
            assert_eq!(Email::parse(&format!("a@{domain}")).unwrap().domain(), *domain);
        }
        assert!(PUBLIC_MAIL_DOMAINS.contains("gmail.com"));
    }
}
