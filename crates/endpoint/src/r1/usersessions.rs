//! Sessions of the caller.

use appcore::{
    AppError, SessionId,
    page::{Page, PageRequest},
    view::UserSession,
};
use identity::accounts::sessions;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListUserSessions>(),
    EndpointDef::of::<EndOtherUserSessions>(),
    EndpointDef::of::<EndUserSession>(),
];

#[dto(request)]
pub struct ListUserSessionsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your sessions
#[endpoint(GET "/r1/usersessions", tag = "usersessions", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListUserSessions {
    type Request = ListUserSessionsRequest;
    type Response = Page<UserSession>;

    async fn handle(ctx: &Ctx, request: ListUserSessionsRequest) -> Result<Reply<Page<UserSession>>, AppError> {
        Ok(Reply::of(sessions::list(ctx.identity(), ctx.user()?, request.page).await?))
    }
}

/// Sign out all other devices
#[endpoint(DELETE "/r1/usersessions", tag = "usersessions", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for EndOtherUserSessions {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        sessions::terminate_others(ctx.identity(), ctx.user()?).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct EndUserSessionRequest {
    #[from(path)]
    pub id: SessionId,
}

/// Sign out one device
#[endpoint(DELETE "/r1/usersessions/{id}", tag = "usersessions", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for EndUserSession {
    type Request = EndUserSessionRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: EndUserSessionRequest) -> Result<Reply<NoData>, AppError> {
        sessions::terminate(ctx.identity(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
