//! The schemas of the events' payloads, for the API's description.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, schema::Schema},
};

use super::{DurableBody, Event, Position};

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
        // Its variants are the payloads themselves.
        components.retain(|(name, _)| name != "DurableBody");
        let (RefOr::T(Schema::OneOf(bodies)), RefOr::T(Schema::OneOf(passing))) =
            (DurableBody::schema(), Self::schema())
        else {
            return Vec::new();
        };
        let durable = bodies.items.into_iter().filter_map(EventSchema::of).filter_map(EventSchema::with_position);
        let mut schemas: Vec<EventSchema> = Vec::new();
        for schema in durable.chain(passing.items.into_iter().filter_map(EventSchema::of)) {
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
        Some(Self { kind, payload, is_durable: false })
    }

    /// Adds the position, which all durable events have before their own fields.
    fn with_position(mut self) -> Option<Self> {
        let RefOr::T(Schema::Object(mut position)) = Position::schema() else { return None };
        position.properties.append(&mut self.payload.properties);
        position.required.append(&mut self.payload.required);
        (self.payload.properties, self.payload.required) = (position.properties, position.required);
        Some(Self { is_durable: true, ..self })
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
