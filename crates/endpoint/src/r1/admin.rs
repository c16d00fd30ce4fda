//! Administration of address bans and the audit log.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use appcore::{
    AppError, BanId, Timestamp, UserId,
    page::{Page, PageRequest},
    view::{AuditEntry, Ban},
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use platform::{
    audit::{self, Filter},
    firewall::{self, BanRequest},
};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListBans>(),
    EndpointDef::of::<AddBan>(),
    EndpointDef::of::<LiftBan>(),
    EndpointDef::of::<ListAuditLog>(),
    EndpointDef::of::<ExportAuditLog>(),
];

#[dto(request)]
pub struct ListBansRequest {
    /// Text in the network or the reason.
    #[from(query)]
    pub q: Option<String>,
    /// True for bans by the firewall; false for those by administrators.
    #[from(query)]
    pub automatic: Option<bool>,
    #[from(page)]
    pub page: PageRequest,
}

/// List banned addresses
///
/// Active bans, newest first.
#[endpoint(GET "/r1/admin/bans", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListBans {
    type Request = ListBansRequest;
    type Response = Page<Ban>;

    async fn handle(ctx: &Ctx, request: ListBansRequest) -> Result<Reply<Page<Ban>>, AppError> {
        let ListBansRequest { q, automatic, page } = request;
        let filter = firewall::Filter { text: q.unwrap_or_default(), is_automatic: automatic };
        Ok(Reply::of(ctx.app().firewall.list(&filter, page).await?))
    }
}

#[dto(request)]
pub struct AddBanRequest {
    /// Network in CIDR notation, or an address. An IPv6 address bans its /64.
    pub address: String,
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub seconds: u64,
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// Ban an address or network
///
/// Its requests are refused with `address_banned` and its connections are closed. Trusted proxies
/// can't be banned.
#[endpoint(POST "/r1/admin/bans", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed)]
impl Endpoint for AddBan {
    type Request = AddBanRequest;
    type Response = Ban;

    async fn handle(ctx: &Ctx, request: AddBanRequest, by: &Confirmed) -> Result<Reply<Ban>, AppError> {
        let AddBanRequest { address, seconds, reason } = request;
        let ban = BanRequest { address, seconds, reason };
        Ok(Reply::of(ctx.app().firewall.ban(by, ban).await?))
    }
}

#[dto(request)]
pub struct LiftBanRequest {
    #[from(path)]
    pub id: BanId,
}

/// Lift a ban
#[endpoint(DELETE "/r1/admin/bans/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for LiftBan {
    type Request = LiftBanRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: LiftBanRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        ctx.app().firewall.lift(by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListAuditLogRequest {
    /// Only entries with this action, such as `auth.signin`.
    #[from(query)]
    pub action: Option<String>,
    /// Only actions with this subject, such as `auth`.
    #[from(query)]
    pub subject: Option<String>,
    /// Only actions of this user.
    #[from(query)]
    pub actor: Option<UserId>,
    /// Text in the target, the address or the actor's name.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(page)]
    pub page: PageRequest,
}

/// List audit log entries
///
/// Actions on accounts, workspaces and the installation, newest first.
#[endpoint(GET "/r1/admin/audit_log", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAuditLog {
    type Request = ListAuditLogRequest;
    type Response = Page<AuditEntry>;

    async fn handle(ctx: &Ctx, request: ListAuditLogRequest) -> Result<Reply<Page<AuditEntry>>, AppError> {
        let ListAuditLogRequest { action, subject, actor, q, from, to, page } = request;
        let filter = Filter { action, subject, actor, text: q, from, to };
        Ok(Reply::of(audit::list(ctx.app(), filter, page).await?))
    }
}

#[dto(request)]
pub struct ExportAuditLogRequest {
    /// Only entries with this action, such as `auth.signin`.
    #[from(query)]
    pub action: Option<String>,
    /// Only actions with this subject, such as `auth`.
    #[from(query)]
    pub subject: Option<String>,
    /// Only actions of this user.
    #[from(query)]
    pub actor: Option<UserId>,
    /// Text in the target, the address or the actor's name.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
}

/// Export the audit log as CSV
///
/// Newest first. Columns: `time`, `action`, `actor`, `actor_name`, `target`, `address` and `id`.
/// The export is itself recorded in the audit log.
#[endpoint(GET "/r1/admin/audit_log/export", tag = "admin", access = Access::Admin, rate = RateGroup::Read, content("text/csv"))]
impl Endpoint for ExportAuditLog {
    type Request = ExportAuditLogRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportAuditLogRequest) -> Result<Reply<Raw>, AppError> {
        let ExportAuditLogRequest { action, subject, actor, q, from, to } = request;
        let filter = Filter { action, subject, actor, text: q, from, to };
        let pieces = audit::export(Arc::clone(&ctx.app().core), ctx.user()?, filter).await?;
        let name = HeaderValue::from_static("attachment; filename=\"audit-log.csv\"");
        Ok(Reply::stream("text/csv", pieces)
            .header(CACHE_CONTROL, HeaderValue::from_static("private, no-store"))
            .header(CONTENT_DISPOSITION, name))
    }
}
