//! Conversations, and who is in them.

use appcore::{
    AppError, AssistantId, ConversationId, UserId, WorkspaceId,
    page::{Page, PageRequest, Slice},
    view::{AssistantMember, Conversation, ConversationKind, LoggedEvent, Member, MemberRole},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use service::{
    conversations::{self, NewConversation, NewMember},
    events,
    receipts::{self, ReceiptState},
};
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

/// How much of a history or of an event log comes where the caller does not say.
pub(super) const USUAL_LIMIT: u64 = 50;

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListConversations>(),
    EndpointDef::of::<CreateConversation>(),
    EndpointDef::of::<ShowConversation>(),
    EndpointDef::of::<ChangeConversation>(),
    EndpointDef::of::<DeleteConversation>(),
    EndpointDef::of::<LeaveConversation>(),
    EndpointDef::of::<ReadConversation>(),
    EndpointDef::of::<ListEvents>(),
    EndpointDef::of::<ListMembers>(),
    EndpointDef::of::<AddMember>(),
    EndpointDef::of::<ChangeMember>(),
    EndpointDef::of::<RemoveMember>(),
];

#[dto(request)]
pub struct ListConversationsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List one's conversations
///
/// Newest activity first.
#[endpoint(GET "/r1/conversations", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListConversations {
    type Request = ListConversationsRequest;
    type Response = Page<Conversation>;

    async fn handle(ctx: &Ctx, request: ListConversationsRequest) -> Result<Reply<Page<Conversation>>, AppError> {
        Ok(Reply::of(conversations::list(ctx.app(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateConversationRequest {
    pub kind: ConversationKind,
    pub title: Option<String>,
    /// Left out, the shared workspace, else one's own.
    pub workspace_id: Option<WorkspaceId>,
    /// The others. For `single` exactly one, for `group` at least two.
    pub member_ids: Option<Vec<UserId>>,
    /// For `assistant`: left out, the default one. In a `group` it becomes a member.
    pub assistant_id: Option<AssistantId>,
}

/// Begin a conversation
///
/// Two people have one `single` conversation in a workspace: where it is there already, the answer is 200 with it.
#[endpoint(POST "/r1/conversations", tag = "conversations", access = Access::User, rate = RateGroup::Conversation, status(201, 200), errors(NotFound))]
impl Endpoint for CreateConversation {
    type Request = CreateConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: CreateConversationRequest) -> Result<Reply<Conversation>, AppError> {
        let new = NewConversation {
            kind: request.kind,
            title: request.title,
            workspace_id: request.workspace_id,
            member_ids: request.member_ids.unwrap_or_default(),
            assistant_id: request.assistant_id,
        };
        let (conversation, is_new) = conversations::create(ctx.app(), ctx.user()?, new).await?;
        Ok(if is_new { Reply::of(conversation) } else { Reply::ok(conversation) })
    }
}

#[dto(request)]
pub struct ConversationRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show a conversation
///
/// With all its members.
#[endpoint(GET "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowConversation {
    type Request = ConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::find(ctx.app(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Null takes it away.
    pub title: Option<Option<String>>,
    /// Null takes it away.
    pub topic: Option<Option<String>>,
}

/// Rename a conversation, or say what it is about
#[endpoint(PATCH "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for ChangeConversation {
    type Request = ChangeConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ChangeConversationRequest) -> Result<Reply<Conversation>, AppError> {
        let (title, topic) =
            (request.title.map(Option::unwrap_or_default), request.topic.map(Option::unwrap_or_default));
        Ok(Reply::of(
            conversations::update(ctx.app(), ctx.user()?, request.id, title.as_deref(), topic.as_deref()).await?,
        ))
    }
}

/// Delete a conversation
///
/// For all its members.
#[endpoint(DELETE "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for DeleteConversation {
    type Request = ConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<NoData>, AppError> {
        conversations::delete(ctx.app(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Leave a conversation
///
/// An owner hands it over first.
#[endpoint(POST "/r1/conversations/{id}/leave", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, OwnerMustTransfer, WrongState))]
impl Endpoint for LeaveConversation {
    type Request = ConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<NoData>, AppError> {
        conversations::leave(ctx.app(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ReadConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Up to and with this number.
    #[validate(range(min = 0))]
    pub seq: i64,
}

/// Say how far one has read
#[endpoint(POST "/r1/conversations/{id}/read", tag = "conversations", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for ReadConversation {
    type Request = ReadConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReadConversationRequest) -> Result<Reply<NoData>, AppError> {
        let user = ctx.user()?;
        conversations::find(ctx.app(), user, request.id).await?;
        receipts::mark(ctx.app(), user.user_id, request.id, request.seq, ReceiptState::Read).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListEventsRequest {
    #[from(path)]
    pub id: ConversationId,
    /// The last number that one has.
    #[from(query)]
    #[validate(range(min = 0))]
    pub after_seq: Option<i64>,
    /// At most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// Read a conversation's event log
///
/// Every durable event, in order and without a gap: what one missed while away.
#[endpoint(GET "/r1/conversations/{id}/events", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(CursorExpired))]
impl Endpoint for ListEvents {
    type Request = ListEventsRequest;
    type Response = Slice<LoggedEvent>;

    async fn handle(ctx: &Ctx, request: ListEventsRequest) -> Result<Reply<Slice<LoggedEvent>>, AppError> {
        let (after_seq, limit) = (request.after_seq.unwrap_or(0), request.limit.unwrap_or(USUAL_LIMIT));
        Ok(Reply::of(events::page(ctx.app(), ctx.user()?, request.id, after_seq, limit).await?))
    }
}

#[dto(request)]
pub struct ListMembersRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the people of a conversation
#[endpoint(GET "/r1/conversations/{id}/members", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListMembers {
    type Request = ListMembersRequest;
    type Response = Page<Member>;

    async fn handle(ctx: &Ctx, request: ListMembersRequest) -> Result<Reply<Page<Member>>, AppError> {
        let members = conversations::members(ctx.app(), ctx.user()?, request.id).await?;
        let total = members.len() as u64;
        let (skip, take) = (
            usize::try_from(request.page.offset()).unwrap_or(usize::MAX),
            usize::try_from(request.page.page_size).unwrap_or(usize::MAX),
        );
        Ok(Reply::of(Page::new(members.into_iter().skip(skip).take(take).collect(), request.page, total)))
    }
}

#[dto(request)]
pub struct AddMemberRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Either this or `assistant_id`.
    pub user_id: Option<UserId>,
    pub assistant_id: Option<AssistantId>,
}

/// Who was added: a person or an assistant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AddedMember {
    Person(Member),
    Assistant(AssistantMember),
}

/// Add a person or an assistant to a conversation
#[endpoint(POST "/r1/conversations/{id}/members", tag = "conversations", access = Access::User, rate = RateGroup::Conversation, status = 201, errors(Forbidden, AlreadyMember, WrongState))]
impl Endpoint for AddMember {
    type Request = AddMemberRequest;
    type Response = AddedMember;

    async fn handle(ctx: &Ctx, request: AddMemberRequest) -> Result<Reply<AddedMember>, AppError> {
        let who = match (request.user_id, request.assistant_id) {
            (Some(user), None) => Ok(user),
            (None, Some(assistant)) => Err(assistant),
            _ => return Err(AppError::field("user_id", "required", "Provide either user_id or assistant_id.")),
        };
        Ok(Reply::of(match conversations::add_member(ctx.app(), ctx.user()?, request.id, who).await? {
            NewMember::Person(member) => AddedMember::Person(member),
            NewMember::Assistant(member) => AddedMember::Assistant(member),
        }))
    }
}

#[dto(request)]
pub struct ChangeMemberRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(path)]
    pub user_id: UserId,
    /// `owner` hands the ownership over.
    pub role: MemberRole,
}

/// Give a member another role, or the ownership
#[endpoint(PATCH "/r1/conversations/{id}/members/{user_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, OwnerMustTransfer, WrongState))]
impl Endpoint for ChangeMember {
    type Request = ChangeMemberRequest;
    type Response = Member;

    async fn handle(ctx: &Ctx, request: ChangeMemberRequest) -> Result<Reply<Member>, AppError> {
        Ok(Reply::of(conversations::set_role(ctx.app(), ctx.user()?, request.id, request.user_id, request.role).await?))
    }
}

#[dto(request)]
pub struct RemoveMemberRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(path)]
    pub user_id: UserId,
}

/// Remove a member
#[endpoint(DELETE "/r1/conversations/{id}/members/{user_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, OwnerMustTransfer, WrongState))]
impl Endpoint for RemoveMember {
    type Request = RemoveMemberRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemoveMemberRequest) -> Result<Reply<NoData>, AppError> {
        conversations::remove_member(ctx.app(), ctx.user()?, request.id, request.user_id).await?;
        Ok(Reply::of(NoData))
    }
}
