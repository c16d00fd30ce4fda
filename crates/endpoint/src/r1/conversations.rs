//! Conversations and their members.

use appcore::{
    AppError, AssistantId, ConversationId, SectionId, Timestamp, UserId, WorkspaceId,
    page::{Page, PageRequest, Slice},
    text::ClientId,
    view::{
        AssistantMember, Conversation, ConversationKind, HistoryScope, LoggedEvent, Member, MemberRole, MentionAll,
        Notify, OwnMembership, Posting,
    },
};
use conversations::{self, ConversationChange, Filter, JoinedMember, MemberSettingsChange, NewConversation};
use event_log::{
    events,
    receipts::{self, ReceiptState},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, FromText, NoData, RateGroup, Reply};

/// Default page size of histories and event logs.
pub(super) const DEFAULT_LIMIT: u64 = 50;

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListConversations>(),
    EndpointDef::of::<CreateConversation>(),
    EndpointDef::of::<ShowConversation>(),
    EndpointDef::of::<ChangeConversation>(),
    EndpointDef::of::<DeleteConversation>(),
    EndpointDef::of::<LeaveConversation>(),
    EndpointDef::of::<ChangeOwn>(),
    EndpointDef::of::<ReadConversation>(),
    EndpointDef::of::<MarkUnread>(),
    EndpointDef::of::<ListEvents>(),
    EndpointDef::of::<ListMembers>(),
    EndpointDef::of::<ShowMember>(),
    EndpointDef::of::<AddMember>(),
    EndpointDef::of::<ChangeMember>(),
    EndpointDef::of::<RemoveMember>(),
];

/// Conversations to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConversationScope {
    /// Conversations of the caller.
    #[default]
    Own,
    /// Public channels of a workspace, whether the caller has joined them or not.
    Browse,
}

impl FromText for ConversationScope {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "own" => Some(Self::Own),
            "browse" => Some(Self::Browse),
            _ => None,
        }
    }
}

#[dto(request)]
pub struct ListConversationsRequest {
    #[from(query)]
    pub scope: Option<ConversationScope>,
    /// Workspace for `browse`. Defaults to the shared one, or else the caller's personal one.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(query)]
    pub kind: Option<ConversationKind>,
    /// Text that the title must contain.
    #[from(query)]
    pub q: Option<String>,
    /// True for archived conversations instead of the others.
    #[from(query)]
    pub archived: Option<bool>,
    /// True for channels that the caller has joined; false for the others.
    #[from(query)]
    pub joined: Option<bool>,
    #[from(page)]
    pub page: PageRequest,
}

/// List conversations
///
/// By default, the caller's conversations by last activity. With `scope=browse`, the public
/// channels of a workspace, largest first; guests can't browse.
#[endpoint(GET "/r1/conversations", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(Forbidden, NotFound))]
impl Endpoint for ListConversations {
    type Request = ListConversationsRequest;
    type Response = Page<Conversation>;

    async fn handle(ctx: &Ctx, request: ListConversationsRequest) -> Result<Reply<Page<Conversation>>, AppError> {
        let (app, by, page) = (ctx.app(), ctx.user()?, request.page);
        let filter = Filter {
            workspace_id: request.workspace_id,
            kind: request.kind,
            text: request.q.unwrap_or_default(),
            archived: request.archived.unwrap_or(false),
            joined: request.joined,
        };
        Ok(Reply::of(match request.scope.unwrap_or_default() {
            ConversationScope::Own => conversations::list(&app.conversations, by, filter, page).await?,
            ConversationScope::Browse => conversations::browse(&app.conversations, by, filter, page).await?,
        }))
    }
}

#[dto(request)]
pub struct CreateConversationRequest {
    pub kind: ConversationKind,
    /// Title. Required for channels; unique in the workspace for public ones.
    pub title: Option<String>,
    pub topic: Option<String>,
    /// Members who may post in a channel; by default everyone.
    pub posting: Option<Posting>,
    /// Members who may mention everybody in a channel; by default everyone.
    pub mention_all: Option<MentionAll>,
    /// Earlier messages of a group or private channel that later members see; by default all. Can't
    /// be changed later, except by making the channel public.
    pub history: Option<HistoryScope>,
    /// Workspace. Defaults to the shared one, or else the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
    /// Members besides the caller: one for `single`, two or more for `group`, at most 1,000.
    pub member_ids: Option<Vec<UserId>>,
    /// Assistant of an `assistant` conversation (by default the default assistant), or a member of
    /// a `group`.
    pub assistant_id: Option<AssistantId>,
    /// Idempotency key. A repeated request returns the earlier conversation.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub client_id: Option<String>,
}

/// Create a conversation
///
/// Two users have only one `single` conversation in a workspace. If it exists, or the `client_id`
/// is known, it is returned with status 200.
#[endpoint(POST "/r1/conversations", tag = "conversations", access = Access::User, rate = RateGroup::Conversation, status(201, 200), errors(Forbidden, NotFound, NameTaken))]
impl Endpoint for CreateConversation {
    type Request = CreateConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: CreateConversationRequest) -> Result<Reply<Conversation>, AppError> {
        let new = NewConversation {
            kind: request.kind,
            title: request.title,
            topic: request.topic,
            posting: request.posting,
            mention_all: request.mention_all,
            history: request.history,
            workspace_id: request.workspace_id,
            member_ids: request.member_ids.unwrap_or_default(),
            assistant_id: request.assistant_id,
            client_id: request.client_id.map(ClientId::parse).transpose()?,
        };
        let (conversation, is_new) = conversations::create(ctx.conversations(), ctx.user()?, new).await?;
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
/// Includes up to 20 members: owners first, then by name. Users who may join a public channel can
/// read it, its history and its events.
#[endpoint(GET "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowConversation {
    type Request = ConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<Conversation>, AppError> {
        Ok(Reply::of(conversations::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Title. If null, it is removed.
    pub title: Option<Option<String>>,
    /// Topic. If null, it is removed.
    pub topic: Option<Option<String>>,
    /// Members who may post in a channel.
    pub posting: Option<Posting>,
    /// Model of a chat whose assistant lets users choose; null for the assistant's own.
    pub model: Option<Option<String>>,
    /// Members who may mention everybody in a channel (`@all`, `@here`).
    pub mention_all: Option<MentionAll>,
    /// Slow mode: seconds between two messages of a member; 0 disables it. Users who manage the
    /// channel are exempt.
    #[schema(minimum = 0, maximum = 21_600)]
    pub slow_mode_seconds: Option<i64>,
}

/// Change the title, topic, model or channel settings of a conversation
#[endpoint(PATCH "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, WrongState, NameTaken, Archived))]
impl Endpoint for ChangeConversation {
    type Request = ChangeConversationRequest;
    type Response = Conversation;

    async fn handle(ctx: &Ctx, request: ChangeConversationRequest) -> Result<Reply<Conversation>, AppError> {
        let change = ConversationChange {
            title: request.title.map(Option::unwrap_or_default),
            topic: request.topic.map(Option::unwrap_or_default),
            posting: request.posting,
            model: request.model.map(Option::unwrap_or_default),
            mention_all: request.mention_all,
            slow_mode_seconds: request.slow_mode_seconds,
        };
        Ok(Reply::of(conversations::update(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

/// Delete a conversation
///
/// Deletes the conversation for all members.
#[endpoint(DELETE "/r1/conversations/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, DefaultChannel))]
impl Endpoint for DeleteConversation {
    type Request = ConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<NoData>, AppError> {
        conversations::delete(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ChangeOwnRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Messages to be notified of; null for the `level` of the notification settings.
    pub notify: Option<Option<Notify>>,
    /// Time until which it is muted; null to unmute.
    pub muted_until: Option<Option<Timestamp>>,
    pub pinned: Option<bool>,
    /// The caller's section for the conversation; null for none.
    pub section_id: Option<Option<SectionId>>,
}

/// Change your settings of a conversation
///
/// Visible only to the caller, whose other connections receive `conversation.own`.
#[endpoint(PATCH "/r1/conversations/{id}/own", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember))]
impl Endpoint for ChangeOwn {
    type Request = ChangeOwnRequest;
    type Response = OwnMembership;

    async fn handle(ctx: &Ctx, request: ChangeOwnRequest) -> Result<Reply<OwnMembership>, AppError> {
        let change = MemberSettingsChange {
            notify: request.notify,
            muted_until: request.muted_until,
            pinned: request.pinned,
            section_id: request.section_id,
        };
        Ok(Reply::of(conversations::set_member_settings(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

/// Leave a conversation
///
/// The owner of a group must transfer the ownership first. When the owner of a channel leaves, a
/// remaining member becomes the owner. Without members, the conversation is deleted, unless it is a
/// public channel.
#[endpoint(POST "/r1/conversations/{id}/leave", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, DefaultChannel, OwnerMustTransfer, WrongState))]
impl Endpoint for LeaveConversation {
    type Request = ConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ConversationRequest) -> Result<Reply<NoData>, AppError> {
        conversations::leave(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ReadConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Sequence number of the last message read.
    #[validate(range(min = 0))]
    pub seq: i64,
}

/// Mark a conversation as read up to a message
#[endpoint(POST "/r1/conversations/{id}/read", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember))]
impl Endpoint for ReadConversation {
    type Request = ReadConversationRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReadConversationRequest) -> Result<Reply<NoData>, AppError> {
        receipts::mark(&ctx.app().events, ctx.user()?.user_id, request.id, request.seq, ReceiptState::Read).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct MarkUnreadRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Sequence number of the first message to mark as unread.
    #[validate(range(min = 1))]
    pub seq: i64,
}

/// Mark a message and all later ones as unread
///
/// Affects only the caller, not read receipts that others have received. The caller's other
/// connections receive `conversation.unread`.
#[endpoint(POST "/r1/conversations/{id}/unread", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(NotAMember))]
impl Endpoint for MarkUnread {
    type Request = MarkUnreadRequest;
    type Response = OwnMembership;

    async fn handle(ctx: &Ctx, request: MarkUnreadRequest) -> Result<Reply<OwnMembership>, AppError> {
        Ok(Reply::of(receipts::mark_unread(&ctx.app().events, ctx.user()?, request.id, request.seq).await?))
    }
}

#[dto(request)]
pub struct ListEventsRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Sequence number of the last event received; lists later ones.
    #[from(query)]
    #[validate(range(min = 0))]
    pub after_seq: Option<i64>,
    /// Maximum number of events, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List the events of a conversation
///
/// All durable events, in order and without gaps, to catch up after a disconnect.
#[endpoint(GET "/r1/conversations/{id}/events", tag = "conversations", access = Access::User, rate = RateGroup::Read, errors(CursorExpired))]
impl Endpoint for ListEvents {
    type Request = ListEventsRequest;
    type Response = Slice<LoggedEvent>;

    async fn handle(ctx: &Ctx, request: ListEventsRequest) -> Result<Reply<Slice<LoggedEvent>>, AppError> {
        let (after_seq, limit) = (request.after_seq.unwrap_or(0), request.limit.unwrap_or(DEFAULT_LIMIT));
        Ok(Reply::of(events::page(&ctx.app().events, ctx.user()?, request.id, after_seq, limit).await?))
    }
}

#[dto(request)]
pub struct ListMembersRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Text that the name must contain.
    #[from(query)]
    pub q: Option<String>,
    #[from(query)]
    pub role: Option<MemberRole>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the members of a conversation
///
/// Owners first, then by name.
#[endpoint(GET "/r1/conversations/{id}/members", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListMembers {
    type Request = ListMembersRequest;
    type Response = Page<Member>;

    async fn handle(ctx: &Ctx, request: ListMembersRequest) -> Result<Reply<Page<Member>>, AppError> {
        let text = request.q.unwrap_or_default();
        let found =
            conversations::members(ctx.conversations(), ctx.user()?, request.id, &text, request.role, request.page)
                .await?;
        Ok(Reply::of(found))
    }
}

#[dto(request)]
pub struct MemberRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(path)]
    pub user_id: UserId,
}

/// Show a member of a conversation
#[endpoint(GET "/r1/conversations/{id}/members/{user_id}", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowMember {
    type Request = MemberRequest;
    type Response = Member;

    async fn handle(ctx: &Ctx, request: MemberRequest) -> Result<Reply<Member>, AppError> {
        Ok(Reply::of(conversations::member(ctx.conversations(), ctx.user()?, request.id, request.user_id).await?))
    }
}

#[dto(request)]
pub struct AddMemberRequest {
    #[from(path)]
    pub id: ConversationId,
    /// User to add; either this or `assistant_id`.
    pub user_id: Option<UserId>,
    pub assistant_id: Option<AssistantId>,
}

/// Member that was added: a user or an assistant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AddedMember {
    Person(Member),
    Assistant(AssistantMember),
}

/// Add a user or an assistant to a conversation
#[endpoint(POST "/r1/conversations/{id}/members", tag = "conversations", access = Access::User, rate = RateGroup::Conversation, status = 201, errors(Forbidden, AlreadyMember, Archived, WrongState))]
impl Endpoint for AddMember {
    type Request = AddMemberRequest;
    type Response = AddedMember;

    async fn handle(ctx: &Ctx, request: AddMemberRequest) -> Result<Reply<AddedMember>, AppError> {
        let who = match (request.user_id, request.assistant_id) {
            (Some(user), None) => Ok(user),
            (None, Some(assistant)) => Err(assistant),
            _ => return Err(AppError::field("user_id", "required", "Provide either user_id or assistant_id.")),
        };
        Ok(Reply::of(match conversations::add_member(ctx.conversations(), ctx.user()?, request.id, who).await? {
            JoinedMember::Person(member) => AddedMember::Person(member),
            JoinedMember::Assistant(member) => AddedMember::Assistant(member),
        }))
    }
}

#[dto(request)]
pub struct ChangeMemberRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(path)]
    pub user_id: UserId,
    /// New role; `owner` transfers the ownership.
    pub role: MemberRole,
}

/// Change the role of a member or transfer the ownership
#[endpoint(PATCH "/r1/conversations/{id}/members/{user_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, OwnerMustTransfer, WrongState))]
impl Endpoint for ChangeMember {
    type Request = ChangeMemberRequest;
    type Response = Member;

    async fn handle(ctx: &Ctx, request: ChangeMemberRequest) -> Result<Reply<Member>, AppError> {
        Ok(Reply::of(
            conversations::set_role(ctx.conversations(), ctx.user()?, request.id, request.user_id, request.role)
                .await?,
        ))
    }
}

/// Remove a member
#[endpoint(DELETE "/r1/conversations/{id}/members/{user_id}", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(Forbidden, DefaultChannel, OwnerMustTransfer, WrongState))]
impl Endpoint for RemoveMember {
    type Request = MemberRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: MemberRequest) -> Result<Reply<NoData>, AppError> {
        conversations::remove_member(ctx.conversations(), ctx.user()?, request.id, request.user_id).await?;
        Ok(Reply::of(NoData))
    }
}
