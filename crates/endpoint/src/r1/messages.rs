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
        self, CallDecision,
        pictures::{self, Picture},
    },
};
use conversations::messages::{self, Actor, History, SendMessage as Send, polls, scheduled, threads};
use event_log::events::AnswerOptions;
use utoipa::ToSchema;

use super::conversations::DEFAULT_LIMIT;
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
    /// Idempotency key. A repeated request returns the earlier message.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub client_id: String,
    /// Text; may be empty if there are attachments. At most 5,000 characters, or 100,000 in an
    /// `assistant` conversation, unless the operator has set other limits (see
    /// `GET /r1/auth/policy`). Control characters except line breaks and tabs are removed, and CR
    /// LF becomes LF.
    pub content: String,
    pub reply_to: Option<MessageId>,
    /// Mentions, at most 100. `user` and `assistant` have an `id`; `all` mentions every member, and
    /// `here` those who are online.
    #[validate(length(max = 100))]
    pub mentions: Option<Vec<Mention>>,
    /// True to confirm an `all` or `here` for more than 20 users.
    pub confirm: Option<bool>,
    /// Uploads of the caller to attach, in display order.
    #[validate(length(max = 10))]
    pub attachment_ids: Option<Vec<UploadId>>,
    /// Model for the answer, if the assistant lets users choose one. Defaults to that of the chat
    /// or the assistant.
    pub model: Option<String>,
    /// Root message of the thread to reply in. Not in chats with assistants.
    pub thread_id: Option<MessageId>,
    /// True to show a reply in the main timeline as well.
    pub also_to_conversation: Option<bool>,
    /// Message to forward. The sender must be able to read it.
    pub forward_of: Option<MessageId>,
    /// False to show no link previews. The sender or the workspace may have disabled them anyway.
    pub previews: Option<bool>,
    /// Poll about the question `content`. Not in chats with assistants, nor together with
    /// `send_at`.
    pub poll: Option<NewPoll>,
    /// Time to send the message, from 10 seconds to a year from now; by default at once.
    pub send_at: Option<Timestamp>,
}

/// Message that was sent or, with status 202, scheduled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SentMessage {
    Sent(Box<Message>),
    Scheduled(Box<Scheduled>),
}

/// Send a message
///
/// Returns 201 for a new message, or 200 with the earlier message for a known `client_id`. With
/// `send_at` the message is scheduled (202; see `GET /r1/scheduled`). In an `assistant`
/// conversation every message is answered. Elsewhere, the first three assistants of the workspace
/// that are mentioned (`@name` or `mentions`) answer. A message to an assistant is refused while
/// the caller has 20 unfinished answers.
#[endpoint(POST "/r1/conversations/{id}/messages", tag = "messages", access = Access::User, rate = RateGroup::MessageSend, status(201, 200, 202), errors(Forbidden, NotAMember, Archived, ConfirmMention, TooMany, TooManyAnswers, QuotaExceeded, SlowMode, WordRefused))]
impl Endpoint for SendMessage {
    type Request = SendMessageRequest;
    type Response = SentMessage;

    async fn handle(ctx: &Ctx, request: SendMessageRequest) -> Result<Reply<SentMessage>, AppError> {
        let attachments = request.attachment_ids.unwrap_or_default();
        let forwarded = match request.forward_of {
            Some(origin) => Some(threads::resolve_forward(ctx.conversations(), ctx.user()?, origin).await?),
            None => None,
        };
        let by = Actor { conversation_id: request.id, user_id: ctx.user()?.user_id };
        let command = Send {
            thread: messages::in_thread(request.thread_id, request.also_to_conversation.unwrap_or(false))?,
            forwarded,
            poll: request.poll.map(|poll| polls::validate(ctx.conversations(), poll)).transpose()?,
            client_id: ClientId::parse(request.client_id)?,
            content: messages::parse_content_with_files(
                ctx.conversations(),
                request.content,
                &attachments,
                request.forward_of.is_some(),
            )?,
            reply_to: request.reply_to,
            mentions: request.mentions.unwrap_or_default(),
            here_recipients: Vec::new(),
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
    /// Sequence number; lists the newest messages before it.
    #[from(query)]
    pub before_seq: Option<i64>,
    /// Sequence number; lists the oldest messages after it.
    #[from(query)]
    pub after_seq: Option<i64>,
    /// Only messages sent at or after this time.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Only messages sent before this time.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Maximum number of messages, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List the messages of a conversation
///
/// Oldest first. Without a cursor, the newest messages are listed.
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
            limit: request.limit.unwrap_or(DEFAULT_LIMIT),
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
    /// Number of messages to include before and after, from 1 to 100. By default none.
    #[from(query)]
    pub around: Option<u64>,
}

/// Message or, with `around`, the message with its neighbours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ShownMessage {
    Alone(Box<Message>),
    Among(Box<Neighbours>),
}

/// Show a message
///
/// With `around`, like `GET /r1/messages/{id}/around`.
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
    /// New mentions; if omitted, they stay unchanged.
    #[validate(length(max = 100))]
    pub mentions: Option<Vec<Mention>>,
    /// True to confirm a new `all` or `here` for more than 20 users.
    pub confirm: Option<bool>,
}

/// Edit your message
///
/// Newly mentioned users are notified; notifications of removed mentions are withdrawn. Assistants
/// don't answer again.
#[endpoint(PATCH "/r1/messages/{id}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, ConfirmMention, WrongState, WordRefused))]
impl Endpoint for EditMessage {
    type Request = EditMessageRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: EditMessageRequest) -> Result<Reply<Message>, AppError> {
        let content = messages::parse_content(ctx.conversations(), request.content)?;
        let edit = messages::MessageEdit { content, mentions: request.mentions };
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
    /// Model for the answer. Defaults to that of the chat or the assistant.
    pub model: Option<String>,
}

/// Edit your prompt and regenerate the answer
///
/// Only in an `assistant` conversation. The message keeps its id and sequence number; the previous
/// text becomes a version, and the messages after it are hidden until that version is shown again.
/// Refused while the assistant is answering.
#[endpoint(POST "/r1/messages/{id}/versions", tag = "messages", access = Access::User, rate = RateGroup::MessageSend, status = 201, errors(Forbidden, WrongState, TooManyAnswers))]
impl Endpoint for AskAgain {
    type Request = AskAgainRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: AskAgainRequest) -> Result<Reply<Message>, AppError> {
        let content = messages::parse_content(ctx.conversations(), request.content)?;
        let asking = AnswerOptions { model: request.model, country: ctx.source().country, ..AnswerOptions::default() };
        Ok(Reply::of(messages::edit_prompt(ctx.conversations(), ctx.user()?, request.id, content, asking).await?))
    }
}

#[dto(request)]
pub struct ShowVersionRequest {
    #[from(path)]
    pub id: MessageId,
    /// Number of the version, from 1 to the number of versions.
    #[validate(range(min = 1))]
    pub index: i64,
}

/// Show another version of a prompt or an answer
///
/// The messages that followed that version are shown again. Refused while the assistant is
/// answering.
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
/// The text written so far stays.
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
    /// Model for the answer. Defaults to that of the chat or the assistant.
    pub model: Option<String>,
}

/// Regenerate an assistant's answer
///
/// The same message is reset, and events deliver the new answer. In an `assistant` conversation,
/// the previous answer becomes a version, and the messages after it are hidden.
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
    /// Name of the other model.
    pub model: String,
}

/// Answer the same prompt with another model
///
/// Only in an `assistant` conversation, during the first answer or after it, one at a time. The
/// response is the other model's answer, a message that is not listed. Viewers receive
/// `message.delta`, `message.thought` and `message.tool_call` with its id, and `message.compared`.
/// It can be stopped like any answer. When both are complete, the second becomes a version of the
/// first (`PUT /r1/messages/{id}/version`), and its own id refers to a deleted message.
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
    /// Arguments that replace those of the model, with `allow`. They must match the tool's schema.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<serde_json::Map<String, serde_json::Value>>,
    /// With `allow`: true to call this tool for the caller without confirmation from now on.
    pub remember: Option<bool>,
}

/// Allow or deny a tool call
///
/// Allowed to the user who asked, while `status` is `waiting`. The answer continues when all of its
/// calls are decided.
#[endpoint(POST "/r1/messages/{id}/tool_calls/{call_id}", tag = "messages", access = Access::User, rate = RateGroup::Write, errors(Forbidden, WrongState))]
impl Endpoint for DecideToolCall {
    type Request = DecideToolCallRequest;
    type Response = ToolCall;

    async fn handle(ctx: &Ctx, request: DecideToolCallRequest) -> Result<Reply<ToolCall>, AppError> {
        let DecideToolCallRequest { id, call_id, decision, arguments, remember } = request;
        let decided = CallDecision { decision, arguments, remember: remember.unwrap_or(false) };
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

/// Show a tool call
///
/// Allowed to the user who asked. Returns the complete arguments and their schema.
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
    /// Number of the image, from 1 to the call's `pictures`.
    #[from(path)]
    pub number: u64,
}

/// Show an image of a tool result
///
/// The image in the reduced size that models get. Allowed to readers of the answer.
#[endpoint(GET "/r1/messages/{id}/tool_calls/{call_id}/pictures/{number}", tag = "messages", access = Access::User, rate = RateGroup::Read, content("application/octet-stream"))]
impl Endpoint for ShowToolPicture {
    type Request = ShowToolPictureRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ShowToolPictureRequest) -> Result<Reply<Raw>, AppError> {
        let ShowToolPictureRequest { id, call_id, number } = request;
        let Picture { media_type, bytes } = pictures::find(ctx.assistants(), ctx.user()?, id, call_id, number).await?;
        // Tool results never change, so they can be cached.
        let kept = HeaderValue::from_static("private, max-age=86400, immutable");
        Ok(Reply::bytes(media_type, bytes).header(CACHE_CONTROL, kept))
    }
}

/// Show the details of an answer
///
/// Duration, usage and reasoning of the version of the answer that is shown.
#[endpoint(GET "/r1/messages/{id}/details", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowAnswerDetails {
    type Request = MessageRequest;
    type Response = AnswerDetails;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<AnswerDetails>, AppError> {
        Ok(Reply::of(answering::details(ctx.assistants(), ctx.user()?, request.id).await?))
    }
}
