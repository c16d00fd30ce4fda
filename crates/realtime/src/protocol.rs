//! The frames of the protocol: the type and the payload of each, and their schemas in the API's description.
//!
//! What the server sends is an [`Event`] or a [`ControlFrame`], what a client sends a [`command`](crate::command). The web app's types are made
//! from the schemas.

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

/// A frame from the server that is no event.
pub trait ControlFrame: Serialize + ToSchema {
    /// The frame's `type`.
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

/// The first frame on every connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hello<'a> {
    /// The sign-in, or the API key that was shown in its place.
    #[schema(value_type = String, format = Uuid)]
    pub session_id: Uuid,
    pub user_id: UserId,
    pub instance_id: InstanceId,
    pub heartbeat_seconds: u64,
    pub server_time: Timestamp,
    /// The conversations that one is in.
    pub conversations: &'a [ReachedConversation],
}

/// A conversation, and how far its log goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachedConversation {
    pub id: ConversationId,
    pub last_seq: i64,
    /// In `hello`: how often its board has changed. Left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board_version: Option<i64>,
}

/// What was asked is done; a message that was sent is named.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Acknowledgement {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The same `client_id` was sent before: this is the earlier message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Pong {}

/// What was asked could not be done. The connection stays open.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorPayload<'a> {
    #[schema(value_type = String)]
    pub code: Code,
    pub message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub errors: &'a [FieldError],
    /// Where the refusal is about one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// What else there is to know, by the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<&'a serde_json::Value>,
    /// Seconds to wait before asking again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// Something may have been missed: sync now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resync<'a> {
    /// Null: all of them.
    #[schema(value_type = Option<Vec<ConversationId>>, required)]
    pub conversation_ids: Option<&'a [ConversationId]>,
}

/// The present states that `presence.watch` asked for, in the form of the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Presences {
    pub items: Vec<Presence>,
}

// Its schema is the event's.
impl ControlFrame for Presences {
    const KIND: &'static str = "presences";
}

/// A `sync` has been answered.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SyncDone {
    pub conversations: Vec<ReachedConversation>,
    pub refused: Vec<RefusedConversation>,
}

/// A conversation that could not be synced.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedConversation {
    pub id: ConversationId,
    #[schema(value_type = String)]
    pub code: Code,
}

/// Schemas by name.
pub type Components = Vec<(String, RefOr<Schema>)>;

/// A schema in place, with what it refers to in `components`.
pub(crate) fn payload<T: ToSchema>(components: &mut Components) -> RefOr<Schema> {
    T::schemas(components);
    T::schema()
}

/// The schemas of all frames: each has one of its own, `ServerFrame`, `DurableFrame` and `ClientFrame` are any of theirs.
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
    components.push(("ServerFrame".to_owned(), any_of("Everything that the server sends.", server)));
    components.push(("DurableFrame".to_owned(), any_of("The events that stand in the log.", durable)));
    components.push(("ClientFrame".to_owned(), any_of("Everything that a client may send.", client)));
    components
}

fn server_frame(kind: &str, payload: RefOr<Schema>) -> RefOr<Schema> {
    let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    ObjectBuilder::new()
        .property("id", id)
        .property("type", just(kind))
        .property("timestamp", Ref::from_schema_name(Timestamp::name()))
        .property("payload", payload)
        .property("reply_to", text("The `id` of the frame that it answers."))
        .required("id")
        .required("type")
        .required("timestamp")
        .required("payload")
        .into()
}

fn client_frame(kind: &str, payload: RefOr<Schema>) -> RefOr<Schema> {
    let needs_payload = matches!(&payload, RefOr::T(Schema::Object(object)) if !object.required.is_empty());
    let frame = ObjectBuilder::new()
        .property("id", text("Answers name it as `reply_to`."))
        .property("type", just(kind))
        .property("timestamp", Ref::from_schema_name(Timestamp::name()))
        .property("payload", payload)
        .required("type");
    if needs_payload { frame.required("payload").into() } else { frame.into() }
}

fn just(kind: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind]))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn any_of(description: &str, names: Vec<String>) -> RefOr<Schema> {
    let any = OneOfBuilder::new().description(Some(description));
    Schema::OneOf(names.into_iter().fold(any, |any, name| any.item(Ref::from_schema_name(name))).build()).into()
}

/// `message.created` is the `MessageCreatedFrame`.
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
    fn every_frame_has_a_schema_of_its_own() {
        let components = schemas();
        let names: BTreeSet<&str> = components.iter().map(|(name, _)| name.as_str()).collect();
        for name in
            ["MessageCreatedFrame", "PresenceFrame", "WorkspaceChangedFrame", "SyncDoneFrame", "MessageSendCommand"]
        {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
        // A type that is described twice, differently, would lose one of its schemas.
        for (name, schema) in &components {
            for (other, other_schema) in &components {
                assert!(name != other || schema == other_schema, "{name} is described in two ways");
            }
        }
    }
}
