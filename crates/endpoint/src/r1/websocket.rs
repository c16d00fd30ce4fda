//! WebSocket tickets, for clients that can send neither a header nor a cookie with the handshake.

use appcore::AppError;
use identity::accounts;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<IssueTicket>()];

#[dto(response)]
pub struct Ticket {
    /// Ticket, for `GET /r1/websocket?ticket=`.
    pub ticket: String,
}

/// Create a ticket for a WebSocket
///
/// The ticket can be used once, within 30 seconds.
#[endpoint(POST "/r1/websocket/ticket", tag = "realtime", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for IssueTicket {
    type Request = NoInput;
    type Response = Ticket;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Ticket>, AppError> {
        Ok(Reply::of(Ticket { ticket: accounts::issue_ticket(ctx.identity(), ctx.user()?).await? }))
    }
}
