//! For the administrators of the installation: who is kept out, and what was done.

use appcore::{
    AppError, BanId,
    page::{Page, PageRequest},
    view::{AuditEntry, Ban},
};
use natter_macro::{dto, endpoint};
use service::{audit, firewall::BanRequest};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListBans>(),
    EndpointDef::of::<AddBan>(),
    EndpointDef::of::<LiftBan>(),
    EndpointDef::of::<ListAuditLog>(),
];

#[dto(request)]
pub struct ListBansRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the addresses that are kept out
///
/// The bans that hold now, the newest first.
#[endpoint(GET "/r1/admin/bans", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListBans {
    type Request = ListBansRequest;
    type Response = Page<Ban>;

    async fn handle(ctx: &Ctx, request: ListBansRequest) -> Result<Reply<Page<Ban>>, AppError> {
        Ok(Reply::of(ctx.app().firewall.list(request.page).await?))
    }
}

#[dto(request)]
pub struct AddBanRequest {
    /// A network in CIDR notation, or one address; of IPv6 its /64 is meant then.
    pub address: String,
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub seconds: u64,
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// Keep an address or a network out
///
/// Its requests are refused with `address_banned` and its connections closed, on every instance. Trusted proxies can't be banned.
#[endpoint(POST "/r1/admin/bans", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201)]
impl Endpoint for AddBan {
    type Request = AddBanRequest;
    type Response = Ban;

    async fn handle(ctx: &Ctx, request: AddBanRequest) -> Result<Reply<Ban>, AppError> {
        let AddBanRequest { address, seconds, reason } = request;
        let ban = BanRequest { address, seconds, reason };
        Ok(Reply::of(ctx.app().firewall.ban(ctx.user()?, ban).await?))
    }
}

#[dto(request)]
pub struct LiftBanRequest {
    #[from(path)]
    pub id: BanId,
}

/// Let an address in again
#[endpoint(DELETE "/r1/admin/bans/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for LiftBan {
    type Request = LiftBanRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: LiftBanRequest) -> Result<Reply<NoData>, AppError> {
        ctx.app().firewall.lift(ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListAuditLogRequest {
    /// Only these, such as `auth.signin`.
    #[from(query)]
    pub action: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// Read the audit log
///
/// What was done to accounts, workspaces and the installation, the newest first.
#[endpoint(GET "/r1/admin/audit_log", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAuditLog {
    type Request = ListAuditLogRequest;
    type Response = Page<AuditEntry>;

    async fn handle(ctx: &Ctx, request: ListAuditLogRequest) -> Result<Reply<Page<AuditEntry>>, AppError> {
        Ok(Reply::of(audit::list(ctx.app(), request.action.as_deref(), request.page).await?))
    }
}
