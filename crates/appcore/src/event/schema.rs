//! Schemas of event payloads, for the API description.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, schema::Schema},
};

use super::{DurableBody, Event, LogPosition};

/// Payload of one event type.
pub struct EventSchema {
    /// Value of the event's `type`.
    pub kind: String,
    pub payload: Object,
    /// True if the event is stored in the log of its conversation.
    pub is_durable: bool,
}

impl Event {
    /// Returns one schema per event type. A type that is durable only in some conversations has one
    /// schema as well. Schemas that they refer to are added to `components`.
    pub fn schemas_of_payloads(components: &mut Vec<(String, RefOr<Schema>)>) -> Vec<EventSchema> {
        <Self as ToSchema>::schemas(components);
        // The schema itself isn't needed, because its variants are the payloads.
        components.retain(|(name, _)| name != "DurableBody");
        let (RefOr::T(Schema::OneOf(bodies)), RefOr::T(Schema::OneOf(passing))) =
            (DurableBody::schema(), Self::schema())
        else {
            return Vec::new();
        };
        let durable =
            bodies.items.into_iter().filter_map(EventSchema::from_variant).filter_map(EventSchema::with_position);
        let mut schemas: Vec<EventSchema> = Vec::new();
        for schema in durable.chain(passing.items.into_iter().filter_map(EventSchema::from_variant)) {
            match schemas.iter_mut().find(|known| known.kind == schema.kind) {
                Some(known) => known.merge(schema),
                None => schemas.push(schema),
            }
        }
        schemas
    }
}

impl EventSchema {
    /// Schema of an enum variant. Its title is that of the variant, or of the variant's only field.
    fn from_variant(variant: RefOr<Schema>) -> Option<Self> {
        let RefOr::T(Schema::Object(mut payload)) = variant else { return None };
        let kind = payload.title.take()?;
        Some(Self { kind, payload, is_durable: false })
    }

    /// Adds the position, which precedes the fields of every durable event.
    fn with_position(mut self) -> Option<Self> {
        let RefOr::T(Schema::Object(mut position)) = LogPosition::schema() else { return None };
        position.properties.append(&mut self.payload.properties);
        position.required.append(&mut self.payload.required);
        (self.payload.properties, self.payload.required) = (position.properties, position.required);
        Some(Self { is_durable: true, ..self })
    }

    /// Merges the two schemas of one event type. Fields that only one of them requires become
    /// optional.
    fn merge(&mut self, other: Self) {
        self.payload.required.retain(|field| other.payload.required.contains(field));
        for (field, schema) in other.payload.properties {
            self.payload.properties.entry(field).or_insert(schema);
        }
        self.is_durable |= other.is_durable;
    }
}
