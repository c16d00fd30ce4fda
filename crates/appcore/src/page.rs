//! Pages of lists, and slices of histories.

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
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

    /// The same page of something else.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        let items = self.items.into_iter().map(change).collect();
        Page { items, page: self.page, page_size: self.page_size, total: self.total }
    }
}

/// A part of a history, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Slice<T> {
    pub items: Vec<T>,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
}
