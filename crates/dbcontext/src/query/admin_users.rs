//! Accounts as administrators see them: all accounts, whether or not they share a workspace with
//! the administrator.

use appcore::{
    AppError, Timestamp, UserId,
    page::PageRequest,
    view::{AdminUser, AdminUserWorkspace, UserRole, UserStatus, WorkspaceKind, WorkspaceRole},
};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Set, Value};
use uuid::Uuid;

use super::{page, plans, raw, users};
use crate::entity::user;

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name or email address, or the complete id.
    pub text: String,
    pub status: Option<UserStatus>,
    pub role: Option<UserRole>,
    /// Selects accounts created before this time that have used no device since.
    pub idle_since: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct UserRow {
    id: UserId,
    display_name: String,
    email: String,
    email_verified_at: Option<Timestamp>,
    role: UserRole,
    suspended_at: Option<Timestamp>,
    suspended_reason: Option<String>,
    second_factor: bool,
    has_password: bool,
    workspaces: i64,
    plan: Option<String>,
    created_at: Timestamp,
    last_active_at: Option<Timestamp>,
}

impl From<UserRow> for AdminUser {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            email: row.email,
            email_verified: row.email_verified_at.is_some(),
            role: row.role,
            status: if row.suspended_at.is_some() { UserStatus::Suspended } else { UserStatus::Active },
            suspended_at: row.suspended_at,
            suspended_reason: row.suspended_reason,
            second_factor: row.second_factor,
            has_password: row.has_password,
            workspaces: row.workspaces,
            plan: row.plan,
            created_at: row.created_at,
            last_active_at: row.last_active_at,
        }
    }
}

/// SQL select list of an account. Counts are computed only for the accounts on the page.
fn select(now: Timestamp) -> String {
    let (seats, own_first) = (plans::SEATS.replace("$1", "u.id"), plans::OWN_FIRST);
    format!(
        "{SELECT}, (SELECT p.name FROM {seats} JOIN pricing_plans p ON p.id = s.plan_id WHERE s.ends_at > {} ORDER BY {own_first} LIMIT 1) AS plan \
         FROM (SELECT * FROM users u",
        now.0
    )
}

const SELECT: &str = "SELECT u.id, u.display_name, u.email, u.email_verified_at, u.role, u.suspended_at, u.suspended_reason, u.second_factor, \
       u.password_hash IS NOT NULL AS has_password, u.created_at, \
       (SELECT COUNT(*) FROM workspace_members m JOIN workspaces w ON w.id = m.workspace_id AND NOT w.is_deleted AND w.kind <> 'personal' \
          WHERE m.user_id = u.id AND NOT m.is_deleted) AS workspaces, \
       (SELECT MAX(s.last_used_at) FROM user_sessions s WHERE s.user_id = u.id) AS last_active_at";

/// Lists accounts, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    page: PageRequest,
    now: Timestamp,
) -> Result<(Vec<AdminUser>, u64), AppError> {
    let (mut wanted, mut values) = ("WHERE NOT u.is_deleted".to_owned(), Vec::<Value>::new());
    match filter.status {
        Some(UserStatus::Active) => wanted.push_str(" AND u.suspended_at IS NULL"),
        Some(UserStatus::Suspended) => wanted.push_str(" AND u.suspended_at IS NOT NULL"),
        None => {}
    }
    if let Some(role) = filter.role {
        wanted.push_str(&format!(" AND u.role = '{}'", role.as_str()));
    }
    if let Some(Timestamp(since)) = filter.idle_since {
        wanted.push_str(&format!(
            " AND u.created_at < {since} AND NOT EXISTS \
              (SELECT 1 FROM user_sessions s WHERE s.user_id = u.id AND s.last_used_at >= {since})"
        ));
    }
    let text = ::search::fold_name(&filter.text);
    if let Ok(id) = text.parse::<Uuid>() {
        values.push(id.into());
        wanted.push_str(" AND u.id = $1");
    } else if !text.is_empty() {
        values.push(super::like_containing(&text).into());
        wanted.push_str(r" AND (u.search_name LIKE $1 ESCAPE '\' OR u.email LIKE $1 ESCAPE '\')");
    }
    let sql = format!(
        "{} {wanted} ORDER BY u.created_at DESC, u.id DESC LIMIT {} OFFSET {}) u ORDER BY u.created_at DESC, u.id DESC",
        select(now),
        page.page_size,
        page.offset()
    );
    let rows = raw::find::<_, UserRow>(db, &sql, values.clone()).await?;
    let total = page::count(db, &format!("FROM users u {wanted}"), values).await?;
    Ok((rows.into_iter().map(AdminUser::from).collect(), total))
}

pub async fn find<C: ConnectionTrait>(db: &C, id: UserId, now: Timestamp) -> Result<Option<AdminUser>, AppError> {
    let sql = format!("{} WHERE NOT u.is_deleted AND u.id = $1) u", select(now));
    let row: Option<UserRow> = raw::find_one(db, &sql, vec![id.into()]).await?;
    Ok(row.map(AdminUser::from))
}

/// Number of sessions, keys and other items that belong to an account.
#[derive(Debug, FromQueryResult)]
pub struct Belongings {
    pub sessions: i64,
    pub api_keys: i64,
    pub passkeys: i64,
    pub identities: i64,
    pub reports: i64,
    pub warnings: i64,
    pub suspended_by_name: Option<String>,
}

pub async fn belongings<C: ConnectionTrait>(db: &C, id: UserId, now: Timestamp) -> Result<Belongings, AppError> {
    let sql = "SELECT (SELECT COUNT(*) FROM user_sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2) AS sessions, \
                 (SELECT COUNT(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL) AS api_keys, \
                 (SELECT COUNT(*) FROM passkeys WHERE user_id = $1) AS passkeys, \
                 (SELECT COUNT(*) FROM identities WHERE user_id = $1) AS identities, \
                 (SELECT COUNT(*) FROM message_reports WHERE author_kind = 'user' AND author_id = $1) AS reports, \
                 (SELECT COUNT(*) FROM user_warnings WHERE user_id = $1) AS warnings, \
                 (SELECT a.display_name FROM users u JOIN users a ON a.id = u.suspended_by AND NOT a.is_deleted WHERE u.id = $1) \
                   AS suspended_by_name";
    let found = raw::find_one(db, sql, vec![id.into(), now.into()]).await?;
    found.ok_or_else(|| AppError::internal(anyhow::anyhow!("count returned no row")))
}

/// Workspaces of a user, at most 100.
pub async fn workspaces<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Vec<AdminUserWorkspace>, AppError> {
    #[derive(FromQueryResult)]
    struct MembershipRow {
        id: appcore::WorkspaceId,
        name: String,
        kind: WorkspaceKind,
        role: WorkspaceRole,
    }
    let sql = "SELECT w.id, w.name, w.kind, m.role FROM workspace_members m JOIN workspaces w ON w.id = m.workspace_id AND NOT w.is_deleted \
               WHERE m.user_id = $1 AND NOT m.is_deleted AND w.kind <> 'personal' ORDER BY w.name, w.id LIMIT 100";
    let rows = raw::find::<_, MembershipRow>(db, sql, vec![id.into()]).await?;
    let view = |row: MembershipRow| AdminUserWorkspace { id: row.id, name: row.name, kind: row.kind, role: row.role };
    Ok(rows.into_iter().map(view).collect())
}

/// Locks the administrators who can sign in until the transaction ends, so that two concurrent demotions are
/// serialised.
pub async fn lock_admins<C: ConnectionTrait>(db: &C) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Admin {
        id: UserId,
    }
    let hold = if db.get_database_backend() == DatabaseBackend::Postgres { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT id FROM users WHERE role = '{}' AND NOT is_deleted AND suspended_at IS NULL ORDER BY id {hold}",
        UserRole::Admin.as_str()
    );
    let rows = raw::find::<_, Admin>(db, &sql, Vec::new()).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Number of administrators who can sign in.
pub async fn count_admins<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    let of = "FROM users WHERE role = 'admin' AND NOT is_deleted AND suspended_at IS NULL";
    page::count(db, of, []).await
}

/// Number of accounts.
pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    page::count(db, "FROM users WHERE NOT is_deleted", []).await
}

pub async fn set_role<C: ConnectionTrait>(db: &C, id: UserId, role: UserRole, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel { role: Set(role), updated_at: Set(at), ..Default::default() };
    users::update(db, id, row).await
}

pub async fn suspend<C: ConnectionTrait>(
    db: &C,
    id: UserId,
    by: Option<UserId>,
    reason: Option<String>,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = user::ActiveModel {
        suspended_at: Set(Some(at)),
        suspended_reason: Set(reason),
        suspended_by: Set(by),
        updated_at: Set(at),
        ..Default::default()
    };
    users::update(db, id, row).await
}

pub async fn restore<C: ConnectionTrait>(db: &C, id: UserId, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel {
        suspended_at: Set(None),
        suspended_reason: Set(None),
        suspended_by: Set(None),
        updated_at: Set(at),
        ..Default::default()
    };
    users::update(db, id, row).await
}
