//! Polls. One begins with `poll` in a message.

use appcore::{
    AppError, MessageId,
    view::{Message, OwnVote},
};
use conversations::messages::polls;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<GetOwnVote>(), EndpointDef::of::<CastVote>(), EndpointDef::of::<ClosePoll>()];

#[dto(request)]
pub struct PollRequest {
    #[from(path)]
    pub id: MessageId,
}

/// What one has chosen in a poll
#[endpoint(GET "/r1/messages/{id}/vote", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for GetOwnVote {
    type Request = PollRequest;
    type Response = OwnVote;

    async fn handle(ctx: &Ctx, request: PollRequest) -> Result<Reply<OwnVote>, AppError> {
        Ok(Reply::of(polls::own_vote(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct CastVoteRequest {
    #[from(path)]
    pub id: MessageId,
    /// The places of the options, from 0; one where the poll is no `multiple`. None takes the vote back.
    #[validate(length(max = 10))]
    pub choices: Vec<u8>,
}

/// Vote in a poll
///
/// In the place of what one had chosen there. 409 `wrong_state` once it is closed. Who has chosen what is told to nobody where the poll is `anonymous`.
#[endpoint(PUT "/r1/messages/{id}/vote", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for CastVote {
    type Request = CastVoteRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: CastVoteRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(polls::vote(ctx.conversations(), ctx.user()?, request.id, request.choices).await?))
    }
}

/// Close a poll
///
/// For its author. What is closed stays closed.
#[endpoint(PUT "/r1/messages/{id}/closed", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for ClosePoll {
    type Request = PollRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: PollRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(polls::close(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}
