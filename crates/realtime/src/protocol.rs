//! Protocol frames: the type, payload and OpenAPI schema of each.
//!
//! The server sends [`Event`] and [`ControlFrame`] frames, clients send [commands](crate::command).
//! The types of the web app are generated from the schemas.

use appcore::{
    Code, ConversationId, FieldError, InstanceId, MessageId, Timestamp, UserId, event::Event, view::Presence,
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, Ref, RefOr, Type,
        schema::{KnownFormat, Schema, SchemaFormat},
    },
};
use uuid::Uuid;

use crate::command;

/// Server frame that isn't an event.
pub trait ControlFrame: Serialize + ToSchema {
    /// Value of the frame's `type`.
    const KIND: &'static str;
}

macro_rules! control_frames {
    ($($name:ty = $kind:literal),* $(,)?) => {
        $(impl ControlFrame for $name {
            const KIND: &'static str = $kind;
        })*

        fn control_frames(components: &mut Components) -> Vec<(&'static str, RefOr<Schema>)> {
            vec![$((<$name>::KIND, payload::<$name>(components))),*]
        }
    };
}

control_frames! {
    Hello<'_> = "hello",
    Acknowledgement = "ack",
    Pong = "pong",
    ErrorPayload<'_> = "error",
    Resync<'_> = "resync",
    SyncDone = "sync.done",
}

/// First frame on every connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hello<'a> {
    /// Id of the session, or of the API key used instead.
    #[schema(value_type = String, format = Uuid)]
    pub session_id: Uuid,
    pub user_id: UserId,
    pub instance_id: InstanceId,
    pub heartbeat_seconds: u64,
    pub server_time: Timestamp,
    /// Conversations that the user is a member of.
    pub conversations: &'a [ReachedConversation],
}

/// Conversation with the last sequence number in its log.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachedConversation {
    pub id: ConversationId,
    pub last_seq: i64,
    /// Version of the conversation's task board. Present only in `hello`, and only if there is a
    /// board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board_version: Option<i64>,
}

/// Confirms a command. If the command sent a message, the frame contains its ids.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Acknowledgement {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// True if the `client_id` was already used. The ids are then those of the earlier message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Pong {}

/// Reports that a command failed. The connection stays open.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorPayload<'a> {
    #[schema(value_type = String)]
    pub code: Code,
    pub message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub errors: &'a [FieldError],
    /// Conversation that the error is about, if the command concerned several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// Further details that depend on the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<&'a serde_json::Value>,
    /// Seconds to wait before retrying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// Reports that events may have been missed. The client must send `sync`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resync<'a> {
    /// Conversations to synchronise; null means all.
    #[schema(value_type = Option<Vec<ConversationId>>, required)]
    pub conversation_ids: Option<&'a [ConversationId]>,
}

/// Current presence of the users in `presence.watch`. The items have the same format as in the
/// event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Presences {
    pub items: Vec<Presence>,
}

// The items have the schema of the event.
impl ControlFrame for Presences {
    const KIND: &'static str = "presences";
}

/// Reports the end of a `sync`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SyncDone {
    pub conversations: Vec<ReachedConversation>,
    pub refused: Vec<RefusedConversation>,
}

/// Conversation that couldn't be synchronised.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedConversation {
    pub id: ConversationId,
    #[schema(value_type = String)]
    pub code: Code,
}

/// Schemas by name.
pub type Components = Vec<(String, RefOr<Schema>)>;

/// Returns the schema of a payload, and adds the schemas that it refers to to `components`.
pub(crate) fn payload<T: ToSchema>(components: &mut Components) -> RefOr<Schema> {
    T::schemas(components);
    T::schema()
}

/// Returns the schemas of all frames. Each frame has its own schema; `ServerFrame`, `DurableFrame`
/// and `ClientFrame` are their unions.
#[must_use]
pub fn schemas() -> Components {
    let mut components = vec![(Timestamp::name().into_owned(), Timestamp::schema())];
    let events = Event::schemas_of_payloads(&mut components);
    let (mut server, mut durable, mut client) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        let name = component_name(&event.kind, "Frame");
        components.push((name.clone(), server_frame(&event.kind, event.payload.into())));
        if event.is_durable {
            durable.push(name.clone());
        }
        server.push(name);
    }
    for (kind, payload) in control_frames(&mut components) {
        let name = component_name(kind, "Frame");
        components.push((name.clone(), server_frame(kind, payload)));
        server.push(name);
    }
    for (kind, payload) in command::schemas(&mut components) {
        let name = component_name(kind, "Command");
        components.push((name.clone(), client_frame(kind, payload)));
        client.push(name);
    }
    components.push(("ServerFrame".to_owned(), any_of("Any frame sent by the server.", server)));
    components.push(("DurableFrame".to_owned(), any_of("Any event of the log.", durable)));
    components.push(("ClientFrame".to_owned(), any_of("Any frame sent by a client.", client)));
    components
}

fn server_frame(kind: &str, payload: RefOr<Schema>) -> RefOr<Schema> {
    let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    ObjectBuilder::new()
        .property("id", id)
        .property("type", constant_schema(kind))
        .property("timestamp", Ref::from_schema_name(Timestamp::name()))
        .property("payload", payload)
        .property("reply_to", text("Id of the request frame that this frame answers."))
        .required("id")
        .required("type")
        .required("timestamp")
        .required("payload")
        .into()
}

fn client_frame(kind: &str, payload: RefOr<Schema>) -> RefOr<Schema> {
    let needs_payload = matches!(&payload, RefOr::T(Schema::Object(object)) if !object.required.is_empty());
    let frame = ObjectBuilder::new()
        .property("id", text("Correlation id, repeated in answers as `reply_to`."))
        .property("type", constant_schema(kind))
        .property("timestamp", Ref::from_schema_name(Timestamp::name()))
        .property("payload", payload)
        .required("type");
    if needs_payload { frame.required("payload").into() } else { frame.into() }
}

fn constant_schema(kind: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind]))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn any_of(description: &str, names: Vec<String>) -> RefOr<Schema> {
    let any = OneOfBuilder::new().description(Some(description));
    Schema::OneOf(names.into_iter().fold(any, |any, name| any.item(Ref::from_schema_name(name))).build()).into()
}

/// Converts a frame type to the name of its schema, such as `message.created` to
/// `MessageCreatedFrame`.
fn component_name(kind: &str, suffix: &str) -> String {
    let words = kind.split(['.', '_']).map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.chain([suffix.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_frame_has_its_own_schema() {
        let components = schemas();
        let names: BTreeSet<&str> = components.iter().map(|(name, _)| name.as_str()).collect();
        for name in
            ["MessageCreatedFrame", "PresenceFrame", "WorkspaceChangedFrame", "SyncDoneFrame", "MessageSendCommand"]
        {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
        // If two different schemas had the same name, one of them would be lost.
        for (name, schema) in &components {
            for (other, other_schema) in &components {
                assert!(name != other || schema == other_schema, "{name} has two different schemas");
            }
        }
    }
}
