//! Pages of lists, and slices of histories.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Ref, RefOr, SchemaFormat, Type, schema::Schema,
    },
};

/// Maximum number of items in a response.
pub const MAX_PAGE_SIZE: u64 = 200;
/// Default number of items in a page.
pub const DEFAULT_PAGE_SIZE: u64 = 50;

/// Requested page of a list. Pages are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    pub page: u64,
    pub page_size: u64,
}

impl PageRequest {
    /// Creates a request. Missing values get their defaults, and values out of range are clamped.
    #[must_use]
    pub fn new(page: Option<u64>, page_size: Option<u64>) -> Self {
        Self {
            page: page.unwrap_or(1).clamp(1, u64::from(u32::MAX)),
            page_size: page_size.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE),
        }
    }

    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.page - 1) * self.page_size
    }
}

/// Page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub page: u64,
    pub page_size: u64,
    /// Number of items on all pages.
    pub total: u64,
}

impl<T> Page<T> {
    #[must_use]
    pub fn new(items: Vec<T>, request: PageRequest, total: u64) -> Self {
        Self { items, page: request.page, page_size: request.page_size, total }
    }

    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        let items = self.items.into_iter().map(change).collect();
        Page { items, page: self.page, page_size: self.page_size, total: self.total }
    }
}

/// Part of a history, with the oldest item first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slice<T> {
    pub items: Vec<T>,
    /// True if there are more items in this direction.
    pub has_more: bool,
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = with_required(ObjectBuilder::new().property("items", items_schema::<T>()), ["items"]);
        AllOfBuilder::new().item(Ref::from_schema_name(PAGE_SCHEMA)).item(items).into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PAGE_SCHEMA.to_owned(), page_schema()));
        register_schemas::<T>(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Slice<T> {
    fn schema() -> RefOr<Schema> {
        let more = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("True if there are more items in the requested direction."));
        let slice = ObjectBuilder::new().description(Some("Part of a history, oldest first."));
        with_required(slice.property("items", items_schema::<T>()).property("has_more", more), ["items", "has_more"])
    }
}

impl<T: ToSchema> ToSchema for Slice<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        register_schemas::<T>(schemas);
    }
}

/// Name of the schema that all pages share.
const PAGE_SCHEMA: &str = "Page";

fn page_schema() -> RefOr<Schema> {
    let number = || {
        let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0))
    };
    let page = ObjectBuilder::new()
        .description(Some("A page of a list."))
        .property("page", number())
        .property("page_size", number())
        .property("total", number().description(Some("Number of items on all pages.")));
    with_required(page, ["page", "page_size", "total"])
}

fn items_schema<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(Ref::from_schema_name(T::name()))
}

fn with_required<const COUNT: usize>(list: ObjectBuilder, names: [&str; COUNT]) -> RefOr<Schema> {
    let list: Object = names.into_iter().fold(list, ObjectBuilder::required).build();
    list.into()
}

/// Registers the schemas of the items. The derived schema of a generic list would lack them.
fn register_schemas<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
