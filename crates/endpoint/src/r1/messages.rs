//! Messages of a conversation.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use appcore::{
    AppError, ConversationId, MessageId, Timestamp, ToolCallId, UploadId,
    page::Slice,
    text::ClientId,
    view::{AnswerDetails, Mention, Message, Neighbours, NewPoll, Scheduled, ToolCall, ToolCallDetails, ToolDecision},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;

use assistants::{
    answering,
    tools::{
        self, Decision,
        pictures::{self, Picture},
    },
};
use conversations::messages::{self, Actor, History, SendMessage as Send, polls, scheduled, threads};
use event_log::events::AnswerOptions;
use utoipa::ToSchema;

use super::conversations::USUAL_LIMIT;
use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<SendMessage>(),
    EndpointDef::of::<ListMessages>(),
    EndpointDef::of::<ShowMessage>(),
    EndpointDef::of::<EditMessage>(),
    EndpointDef::of::<AskAgain>(),
    EndpointDef::of::<ShowVersion>(),
    EndpointDef::of::<DeleteMessage>(),
    EndpointDef::of::<StopMessage>(),
    EndpointDef::of::<RegenerateMessage>(),
    EndpointDef::of::<CompareAnswer>(),
    EndpointDef::of::<DecideToolCall>(),
    EndpointDef::of::<ShowToolCall>(),
    EndpointDef::of::<ShowToolPicture>(),
    EndpointDef::of::<ShowAnswerDetails>(),
];

#[dto(request)]
pub struct SendMessageRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Chosen by the client: the same one again is answered with the first message.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub client_id: String,
    /// May be empty where there are files. At most 5,000 characters, in an `assistant` conversation 100,000, unless the operator says otherwise (see `GET /r1/auth/policy`).
    /// Control characters but line breaks and tabs are left out; CR LF becomes LF.
    pub content: String,
    pub reply_to: Option<MessageId>,
    /// Whom it mentions. `user` and `assistant` with an `id`; `all`: every member; `here`: those who are online. At most 100.
    #[validate(length(max = 100))]
    pub mentions: Option<Vec<Mention>>,
    /// To mention more than 20 people by `all` or `here`.
    pub confirm: Option<bool>,
    /// One's files (`POST /r1/uploads`), in the order in which they are shown.
    #[validate(length(max = 10))]
    pub attachment_ids: Option<Vec<UploadId>>,
    /// The model that is to answer, where an assistant is asked and lets people choose. Left out, the chat's or the assistant's.
    pub model: Option<String>,
    /// The message of the main line that it replies to in its thread. There are no threads in chats with an assistant.
    pub thread_id: Option<MessageId>,
    /// A reply in a thread that is shown in the main line too.
    pub also_to_conversation: Option<bool>,
    /// A message that the sender can read and passes on.
    pub forward_of: Option<MessageId>,
    /// What its links lead to is shown unless it is `false`, or the sender or the workspace has turned that off.
    pub previews: Option<bool>,
    /// What people are to choose from: the message is a poll, and its text the question. Not in a chat with an assistant, and not with `send_at`.
    pub poll: Option<NewPoll>,
    /// When it is to be sent: from 10 seconds to a year from now. Left out: at once.
    pub send_at: Option<Timestamp>,
}

/// The message, or with 202 one that waits for its time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SentMessage {
    Sent(Box<Message>),
    Scheduled(Box<Scheduled>),
}

/// Send a message
///
/// 201 the first time, 200 with the same message when `client_id` was seen before. In an `assistant` conversation every message is answered,
/// elsewhere those that mention an assistant of the workspace (`@name`, or by `mentions`): the first three that are mentioned answer. While 20 answers are open for somebody, a
/// message that asks for one more is refused. With `send_at` it waits (202): see `GET /r1/scheduled`.
#[endpoint(POST "/r1/conversations/{id}/messages", tag = "messages", access = Access::User, rate = RateGroup::MessageSend, status(201, 200, 202), errors(Forbidden, NotAMember, Archived, ConfirmMention, TooMany, TooManyAnswers, QuotaExceeded, SlowMode, WordRefused))]
impl Endpoint for SendMessage {
    type Request = SendMessageRequest;
    type Response = SentMessage;

    async fn handle(ctx: &Ctx, request: SendMessageRequest) -> Result<Reply<SentMessage>, AppError> {
        let attachments = request.attachment_ids.unwrap_or_default();
        let forwarded = match request.forward_of {
            Some(origin) => Some(threads::origin(ctx.conversations(), ctx.user()?, origin).await?),
            None => None,
        };
        let by = Actor { conversation_id: request.id, user_id: ctx.user()?.user_id };
        let command = Send {
            thread: messages::in_thread(request.thread_id, request.also_to_conversation.unwrap_or(false))?,
            forwarded,
            poll: request.poll.map(|poll| polls::checked(ctx.conversations(), poll)).transpose()?,
            client_id: ClientId::parse(request.client_id)?,
            content: messages::content_beside(
                ctx.conversations(),
                request.content,
                &attachments,
                request.forward_of.is_some(),
            )?,
            reply_to: request.reply_to,
            mentions: request.mentions.unwrap_or_default(),
            here: Vec::new(),
            attachments,
            has_previews: request.previews.unwrap_or(true),
            asking: AnswerOptions { model: request.model, country: ctx.source().country, ..AnswerOptions::default() },
        };
        let is_confirmed = request.confirm.unwrap_or(false);
        if let Some(send_at) = request.send_at {
            let scheduled = scheduled::create(ctx.conversations(), by, command, send_at, is_confirmed).await?;
            return Ok(Reply::accepted(SentMessage::Scheduled(Box::new(scheduled))));
        }
        let sent = messages::send(ctx.conversations(), by, command, is_confirmed).await?;
        let message = SentMessage::Sent(Box::new(sent.message));
        Ok(if sent.duplicate { Reply::ok(message) } else { Reply::of(message) })
    }
}

#[dto(request)]
pub struct ListMessagesRequest {
    #[from(path)]
    pub id: ConversationId,
    /// The newest ones before this number.
    #[from(query)]
    pub before_seq: Option<i64>,
    /// The oldest ones after this number.
    #[from(query)]
    pub after_seq: Option<i64>,
    /// Sent at this time or later.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Sent before this time.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// At most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// Read a conversation's history
///
/// Oldest first. Without a cursor it is the newest part.
#[endpoint(GET "/r1/conversations/{id}/messages", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListMessages {
    type Request = ListMessagesRequest;
    type Response = Slice<Message>;

    async fn handle(ctx: &Ctx, request: ListMessagesRequest) -> Result<Reply<Slice<Message>>, AppError> {
        let part = History {
            begins_after: 0,
            before_seq: request.before_seq,
            after_seq: request.after_seq,
            from: request.from,
            to: request.to,
            limit: request.limit.unwrap_or(USUAL_LIMIT),
        };
        Ok(Reply::of(messages::page(ctx.conversations(), ctx.user()?, request.id, part).await?))
    }
}

#[dto(request)]
pub struct MessageRequest {
    #[from(path)]
    pub id: MessageId,
}

#[dto(request)]
pub struct ShowMessageRequest {
    #[from(path)]
    pub id: MessageId,
    /// With so many before it and after it: 1 to 100. Left out: the message alone.
    #[from(query)]
    pub around: Option<u64>,
}

/// The message, or with `around` the message among those around it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ShownMessage {
    Alone(Box<Message>),
    Among(Box<Neighbours>),
}

/// Show a message
///
/// With `around` it is what `GET /r1/messages/{id}/around` answers.
#[endpoint(GET "/r1/messages/{id}", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowMessage {
    type Request = ShowMessageRequest;
    type Response = ShownMessage;

    async fn handle(ctx: &Ctx, request: ShowMessageRequest) -> Result<Reply<ShownMessage>, AppError> {
        let (app, by) = (ctx.app(), ctx.user()?);
        Ok(Reply::of(match request.around {
            Some(count) => {
                ShownMessage::Among(Box::new(messages::neighbours(&app.conversations, by, request.id, count).await?))
            }
            None => ShownMessage::Alone(Box::new(messages::find(&app.conversations, by, request.id).await?)),
        }))
    }
}

#[dto(request)]
pub struct EditMessageRequest {
    #[from(path)]
    pub id: MessageId,
    #[schema(min_length = 1)]
    pub content: String,
    /// Whom it mentions from now on, as when it is sent. Left out: those whom it does.
    #[validate(length(max = 100))]
    pub mentions: Option<Vec<Mention>>,
    /// To mention more than 20 people by an `all` or `here` that was not there before.
    pub confirm: Option<bool>,
}

/// Edit one's message
///
/// Whoever is mentioned now and was not before is told, and mentions that are gone are taken back. No assistant is asked again.
#[endpoint(PATCH "/r1/messages/{id}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, ConfirmMention, WrongState, WordRefused))]
impl Endpoint for EditMessage {
    type Request = EditMessageRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: EditMessageRequest) -> Result<Reply<Message>, AppError> {
        let content = messages::content(ctx.conversations(), request.content)?;
        let edit = messages::Edit { content, mentions: request.mentions };
        let is_confirmed = request.confirm.unwrap_or(false);
        Ok(Reply::of(messages::edit(ctx.conversations(), ctx.user()?, request.id, edit, is_confirmed).await?))
    }
}

#[dto(request)]
pub struct AskAgainRequest {
    #[from(path)]
    pub id: MessageId,
    #[schema(min_length = 1)]
    pub content: String,
    /// The model that is to answer. Left out, the chat's or the assistant's.
    pub model: Option<String>,
}

/// Edit one's prompt and have it answered again
///
/// In an `assistant` conversation. The message keeps its id and number; its text so far becomes a version of it, and what followed leaves the
/// conversation as it is shown, until that version is shown again. While the assistant is answering, this is refused.
#[endpoint(POST "/r1/messages/{id}/versions", tag = "messages", access = Access::User, rate = RateGroup::MessageSend, status = 201, errors(Forbidden, WrongState, TooManyAnswers))]
impl Endpoint for AskAgain {
    type Request = AskAgainRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: AskAgainRequest) -> Result<Reply<Message>, AppError> {
        let content = messages::content(ctx.conversations(), request.content)?;
        let asking = AnswerOptions { model: request.model, country: ctx.source().country, ..AnswerOptions::default() };
        Ok(Reply::of(messages::ask_again(ctx.conversations(), ctx.user()?, request.id, content, asking).await?))
    }
}

#[dto(request)]
pub struct ShowVersionRequest {
    #[from(path)]
    pub id: MessageId,
    /// From 1 to the number of versions.
    #[validate(range(min = 1))]
    pub index: i64,
}

/// Show another version of a prompt or an answer
///
/// What followed it then is shown again. While the assistant is answering, this is refused.
#[endpoint(PUT "/r1/messages/{id}/version", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for ShowVersion {
    type Request = ShowVersionRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ShowVersionRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(messages::show_version(ctx.conversations(), ctx.user()?, request.id, request.index).await?))
    }
}

/// Delete a message
#[endpoint(DELETE "/r1/messages/{id}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden))]
impl Endpoint for DeleteMessage {
    type Request = MessageRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<NoData>, AppError> {
        messages::delete(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Stop an assistant's answer
///
/// What it has said so far stays.
#[endpoint(POST "/r1/messages/{id}/stop", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for StopMessage {
    type Request = MessageRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(answering::stop(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct RegenerateMessageRequest {
    #[from(path)]
    pub id: MessageId,
    /// The model that is to answer. Left out, the chat's or the assistant's.
    pub model: Option<String>,
}

/// Have an assistant answer again
///
/// The same message goes back to its beginning, and its events tell the rest. In an `assistant` conversation the answer so far is kept as a
/// version of it, and what followed leaves the conversation as it is shown.
#[endpoint(POST "/r1/messages/{id}/regenerate", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(WrongState, TooManyAnswers))]
impl Endpoint for RegenerateMessage {
    type Request = RegenerateMessageRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: RegenerateMessageRequest) -> Result<Reply<Message>, AppError> {
        let asking = AnswerOptions { model: request.model, country: ctx.source().country, ..AnswerOptions::default() };
        Ok(Reply::of(answering::regenerate(ctx.assistants(), ctx.user()?, request.id, asking).await?))
    }
}

#[dto(request)]
pub struct CompareAnswerRequest {
    #[from(path)]
    pub id: MessageId,
    /// The other model.
    pub model: String,
}

/// Have another model answer the same question
///
/// In an `assistant` conversation, beside an answer that is being written or has ended. What comes back is the other model's answer, a message that no
/// list shows: viewers hear of it by `message.delta`, `message.thought` and `message.tool_call` with its id and by `message.compared`, and it is
/// stopped like any other. Once both have ended it is a version of the answer, which `PUT /r1/messages/{id}/version` shows, and its own id is that
/// of a deleted message. One at a time.
#[endpoint(POST "/r1/messages/{id}/compare", tag = "messages", access = Access::User, rate = RateGroup::Write, status = 201, errors(WrongState, TooManyAnswers))]
impl Endpoint for CompareAnswer {
    type Request = CompareAnswerRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: CompareAnswerRequest) -> Result<Reply<Message>, AppError> {
        let (model, country) = (Some(request.model), ctx.source().country);
        let asking = AnswerOptions { model, country, ..AnswerOptions::default() };
        Ok(Reply::of(answering::compare(ctx.assistants(), ctx.user()?, request.id, asking).await?))
    }
}

#[dto(request)]
pub struct DecideToolCallRequest {
    #[from(path)]
    pub id: MessageId,
    #[from(path)]
    pub call_id: ToolCallId,
    pub decision: ToolDecision,
    /// Instead of the arguments that the model wanted, with `allow`: they have to fit the tool's schema. `ToolCall.is_edited` says so then.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<serde_json::Map<String, serde_json::Value>>,
    /// With `allow`: this assistant may call this tool for the caller from now on without asking.
    pub remember: Option<bool>,
}

/// Allow or deny a call of a tool
///
/// For whoever asked, while the call waits (`status` `waiting`). The answer goes on when all of its calls are decided.
#[endpoint(POST "/r1/messages/{id}/tool_calls/{call_id}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, WrongState))]
impl Endpoint for DecideToolCall {
    type Request = DecideToolCallRequest;
    type Response = ToolCall;

    async fn handle(ctx: &Ctx, request: DecideToolCallRequest) -> Result<Reply<ToolCall>, AppError> {
        let DecideToolCallRequest { id, call_id, decision, arguments, remember } = request;
        let decided = Decision { decision, arguments, remember: remember.unwrap_or(false) };
        Ok(Reply::of(tools::decide(ctx.assistants(), ctx.user()?, id, call_id, decided).await?))
    }
}

#[dto(request)]
pub struct ToolCallRequest {
    #[from(path)]
    pub id: MessageId,
    #[from(path)]
    pub call_id: ToolCallId,
}

/// Show a call of a tool
///
/// For whoever asked: its whole arguments, and the schema of what they may be.
#[endpoint(GET "/r1/messages/{id}/tool_calls/{call_id}", tag = "messages", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ShowToolCall {
    type Request = ToolCallRequest;
    type Response = ToolCallDetails;

    async fn handle(ctx: &Ctx, request: ToolCallRequest) -> Result<Reply<ToolCallDetails>, AppError> {
        Ok(Reply::of(tools::find(ctx.assistants(), ctx.user()?, request.id, request.call_id).await?))
    }
}

#[dto(request)]
pub struct ShowToolPictureRequest {
    #[from(path)]
    pub id: MessageId,
    #[from(path)]
    pub call_id: ToolCallId,
    /// From 1 to the call's `pictures`.
    #[from(path)]
    pub number: u64,
}

/// Show a picture of a tool's result
///
/// As small as models are shown it, for whoever may read the answer.
#[endpoint(GET "/r1/messages/{id}/tool_calls/{call_id}/pictures/{number}", tag = "messages", access = Access::User, rate = RateGroup::Read, content("application/octet-stream"))]
impl Endpoint for ShowToolPicture {
    type Request = ShowToolPictureRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ShowToolPictureRequest) -> Result<Reply<Raw>, AppError> {
        let ShowToolPictureRequest { id, call_id, number } = request;
        let Picture { media_type, bytes } = pictures::find(ctx.assistants(), ctx.user()?, id, call_id, number).await?;
        // A result never changes.
        let kept = HeaderValue::from_static("private, max-age=86400, immutable");
        Ok(Reply::bytes(media_type, bytes).header(CACHE_CONTROL, kept))
    }
}

/// Show the details of an answer
///
/// How long it took, what it used, and what the model thought before it. Of the version that is shown.
#[endpoint(GET "/r1/messages/{id}/details", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowAnswerDetails {
    type Request = MessageRequest;
    type Response = AnswerDetails;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<AnswerDetails>, AppError> {
        Ok(Reply::of(answering::details(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}
