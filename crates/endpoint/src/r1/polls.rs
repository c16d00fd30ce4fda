//! Polls. A poll is created together with a message, by its field `poll`.

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

/// Show your vote in a poll
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
    /// Zero-based indices of the chosen options: one, unless the poll is `multiple`. Empty to
    /// withdraw the vote.
    #[validate(length(max = 10))]
    pub choices: Vec<u8>,
}

/// Vote in a poll
///
/// Replaces the earlier vote. Returns 409 `wrong_state` if the poll is closed. Nobody sees who
/// voted for which option of an `anonymous` poll.
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
/// Allowed to its author. It can't be reopened.
#[endpoint(PUT "/r1/messages/{id}/closed", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for ClosePoll {
    type Request = PollRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: PollRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(polls::close(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}
