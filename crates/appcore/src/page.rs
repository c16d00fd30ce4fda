//! Pages of lists, and slices of histories.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Ref, RefOr, SchemaFormat, Type, schema::Schema,
    },
};

/// The most items that one answer holds.
pub const MAX_PAGE_SIZE: u64 = 200;
/// Items of a page when the caller does not say.
pub const DEFAULT_PAGE_SIZE: u64 = 50;

/// Which page of a list: 1-based.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    pub page: u64,
    pub page_size: u64,
}

impl PageRequest {
    /// Fills in what was left out and keeps within the limits.
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

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub page: u64,
    pub page_size: u64,
    /// How many there are on all pages together.
    pub total: u64,
}

impl<T> Page<T> {
    #[must_use]
    pub fn new(items: Vec<T>, request: PageRequest, total: u64) -> Self {
        Self { items, page: request.page, page_size: request.page_size, total }
    }

    /// This page with other items.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        let items = self.items.into_iter().map(change).collect();
        Page { items, page: self.page, page_size: self.page_size, total: self.total }
    }
}

/// A part of a history, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slice<T> {
    pub items: Vec<T>,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = required(ObjectBuilder::new().property("items", items::<T>()), ["items"]);
        AllOfBuilder::new().item(Ref::from_schema_name(PAGE)).item(items).into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PAGE.to_owned(), page()));
        mention::<T>(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Slice<T> {
    fn schema() -> RefOr<Schema> {
        let more = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("Whether there is more in the direction that was asked for."));
        let slice = ObjectBuilder::new().description(Some("A part of a history, oldest first."));
        required(slice.property("items", items::<T>()).property("has_more", more), ["items", "has_more"])
    }
}

impl<T: ToSchema> ToSchema for Slice<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        mention::<T>(schemas);
    }
}

/// The schema of what all pages have in common.
const PAGE: &str = "Page";

fn page() -> RefOr<Schema> {
    let number = || {
        let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0))
    };
    let page = ObjectBuilder::new()
        .description(Some("A page of a list."))
        .property("page", number())
        .property("page_size", number())
        .property("total", number().description(Some("How many there are on all pages together.")));
    required(page, ["page", "page_size", "total"])
}

fn items<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(Ref::from_schema_name(T::name()))
}

fn required<const COUNT: usize>(list: ObjectBuilder, names: [&str; COUNT]) -> RefOr<Schema> {
    let list: Object = names.into_iter().fold(list, ObjectBuilder::required).build();
    list.into()
}

/// The items, and what they mention: derived, a generic list would not say what is in it.
fn mention<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
