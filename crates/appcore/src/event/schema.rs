//! The schemas of the events' payloads, for the API's description.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, schema::Schema},
};

use super::Event;

/// The payload of one type of event.
pub struct EventSchema {
    /// The event's `type`.
    pub kind: String,
    pub payload: Object,
    /// Whether it has a place in the log of its conversation.
    pub is_durable: bool,
}

impl Event {
    /// One schema per type, also where it has a place in the log in some conversations and none in others. What they refer to is added to
    /// `components`.
    pub fn schemas_of_payloads(components: &mut Vec<(String, RefOr<Schema>)>) -> Vec<EventSchema> {
        <Self as ToSchema>::schemas(components);
        let RefOr::T(Schema::OneOf(variants)) = Self::schema() else { return Vec::new() };
        let mut schemas: Vec<EventSchema> = Vec::new();
        for schema in variants.items.into_iter().filter_map(EventSchema::of) {
            match schemas.iter_mut().find(|known| known.kind == schema.kind) {
                Some(known) => known.merge(schema),
                None => schemas.push(schema),
            }
        }
        schemas
    }
}

impl EventSchema {
    /// The title is the variant's, or that of the one type that is in it.
    fn of(variant: RefOr<Schema>) -> Option<Self> {
        let RefOr::T(Schema::Object(mut payload)) = variant else { return None };
        let kind = payload.title.take()?;
        let is_durable = payload.properties.contains_key("seq");
        Some(Self { kind, payload, is_durable })
    }

    /// What only one of them requires may be missing.
    fn merge(&mut self, other: Self) {
        self.payload.required.retain(|field| other.payload.required.contains(field));
        for (field, schema) in other.payload.properties {
            self.payload.properties.entry(field).or_insert(schema);
        }
        self.is_durable |= other.is_durable;
    }
}
