//! What comes in: from the path, the query, the headers and the body into one struct, with every wrong field named.

mod bounds;

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use actix_web::{HttpRequest, web::Bytes};
use appcore::{
    ApiKeyId, AppError, AssistantId, BanId, BoardColumnId, BroadcastId, Code, ConversationId, FieldError, IdentityId,
    InvitationId, JobId, KnowledgeFileId, McpServerId, MessageId, NoteId, PasskeyId, PaymentDifferenceId, PaymentId,
    PaymentMethodId, PaymentMethodSetupId, PaymentRefundId, PlanId, PromptId, ReminderId, ReportId, ScheduledId,
    SectionId, SessionId, ShareId, TaskId, Timestamp, ToolCallId, ToolPermissionId, UploadId, UserId, WarningId,
    WorkspaceId,
    page::PageRequest,
    view::{
        BroadcastStatus, BudgetScope, ConversationKind, DifferenceState, FiguresRange, FileKind, JobStatus, MemberRole,
        PaymentStatus, ProfileKind, RefundFilter, ReportReason, ReportStatus, RevenueGrouping, Severity,
        SubscriptionStatus, UploadKind, UsageGrouping, UserRole, UserStatus, WorkspaceKind,
    },
};
use platform::rate_limits::BodyLease;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::PartialSchema;

use crate::{
    body::{BodyForm, BodyStream},
    description::Description,
    file_name::header_text,
};

pub use bounds::{BoundChecks, Bounds};

/// At most so many wrong fields are named.
const MAX_ERRORS: usize = 20;

/// The request of an endpoint. `#[dto(request)]` writes it.
pub trait Input: Sized + 'static {
    const PATH_FIELDS: &'static [&'static str];
    const BODY: BodyForm;

    fn read(source: &mut Source) -> Result<Self, AppError>;
    /// Checks the bounds of the fields.
    fn check(&self, _checks: &mut BoundChecks<'_>) {}
    fn describe(description: &mut Description);
}

/// For endpoints that need to know nothing.
pub struct NoInput;

impl Input for NoInput {
    const PATH_FIELDS: &'static [&'static str] = &[];
    const BODY: BodyForm = BodyForm::Nothing;

    fn read(_source: &mut Source) -> Result<Self, AppError> {
        Ok(Self)
    }

    fn describe(_description: &mut Description) {}
}

/// A value that is written as text in a path, a query or a header.
pub trait FromText: Sized + PartialSchema {
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl FromText for $name {
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

from_text!(
    i64,
    u64,
    bool,
    ApiKeyId,
    AssistantId,
    JobId,
    JobStatus,
    UserStatus,
    UserRole,
    WorkspaceKind,
    ReportReason,
    ReportStatus,
    PromptId,
    McpServerId,
    ToolCallId,
    ToolPermissionId,
    BanId,
    ReportId,
    WarningId,
    BoardColumnId,
    TaskId,
    NoteId,
    BroadcastId,
    BroadcastStatus,
    Severity,
    BudgetScope,
    ConversationId,
    ConversationKind,
    DifferenceState,
    FileKind,
    IdentityId,
    InvitationId,
    KnowledgeFileId,
    MemberRole,
    MessageId,
    PasskeyId,
    PaymentDifferenceId,
    PaymentId,
    PaymentMethodId,
    PaymentMethodSetupId,
    PaymentRefundId,
    PaymentStatus,
    RefundFilter,
    RevenueGrouping,
    FiguresRange,
    ProfileKind,
    SubscriptionStatus,
    PlanId,
    ScheduledId,
    ReminderId,
    SectionId,
    SessionId,
    ShareId,
    UploadId,
    UploadKind,
    UsageGrouping,
    UserId,
    WorkspaceId
);

impl FromText for String {
    fn from_text(text: &str) -> Option<Self> {
        // Databases can't keep it.
        (!text.contains('\0')).then(|| text.to_owned())
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Option<Self> {
        // A plus that was not escaped in a query arrives as a space.
        Self::parse(&text.replace(' ', "+")).ok()
    }
}

/// A request that is being read. Each field that is taken and wrong leaves an error; [`Source::finish`] tells them all at once.
pub struct Source {
    http: HttpRequest,
    query: Vec<(String, String)>,
    body: RequestBody,
    errors: Vec<FieldError>,
    /// What the body is made into takes memory until the request is answered.
    #[expect(dead_code, reason = "it is there to be dropped")]
    lease: Option<Arc<BodyLease>>,
}

/// A body as far as it is read before the request is.
pub(crate) enum RequestBody {
    Fields(Map<String, Value>),
    Bytes(Bytes),
    Stream(BodyStream),
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::Fields(Map::new())
    }
}

impl Source {
    pub(crate) fn new(http: HttpRequest, body: RequestBody) -> Self {
        let query = url_query(http.query_string());
        Self { http, query, body, errors: Vec::new(), lease: None }
    }

    /// The fields of a form go before those of the query.
    pub(crate) fn of_form(http: HttpRequest, form: &str) -> Self {
        let mut query = url_query(form);
        query.extend(url_query(http.query_string()));
        Self { http, query, body: RequestBody::default(), errors: Vec::new(), lease: None }
    }

    pub(crate) fn holding(self, lease: Arc<BodyLease>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// A part of the path. One that can't be read names nothing that exists.
    pub fn path<T: FromText>(&self, name: &str) -> Result<T, AppError> {
        self.http.match_info().get(name).and_then(T::from_text).ok_or_else(|| Code::NotFound.into())
    }

    pub fn query<T: FromText>(&mut self, name: &'static str) -> Text<'_, T> {
        // `?q=` says as much as no `q` at all.
        let text = self
            .query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| Cow::Borrowed(value.as_str()));
        Text { name, text, errors: &mut self.errors, what: PhantomData }
    }

    pub fn header<T: FromText>(&mut self, name: &'static str) -> Text<'_, T> {
        let text = self.http.headers().get(name.replace('_', "-")).map(|value| header_text(value.as_bytes()).into());
        Text { name, text, errors: &mut self.errors, what: PhantomData }
    }

    pub fn page(&mut self) -> Option<PageRequest> {
        let page = self.query::<u64>("page").optional()?;
        let page_size = self.query::<u64>("page_size").optional()?;
        Some(PageRequest::new(page, page_size))
    }

    pub fn body<T: DeserializeOwned>(&mut self, name: &'static str) -> Body<'_, T> {
        let value = match &mut self.body {
            RequestBody::Fields(fields) => fields.shift_remove(name),
            RequestBody::Bytes(_) | RequestBody::Stream(_) => None,
        };
        Body { name, value, errors: &mut self.errors, what: PhantomData }
    }

    /// The body as it came, of an endpoint whose [`Input::BODY`] says so.
    pub fn bytes(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.body) {
            RequestBody::Bytes(bytes) => Some(bytes),
            RequestBody::Fields(_) | RequestBody::Stream(_) => None,
        }
    }

    /// The body that is still to come, of an endpoint whose [`Input::BODY`] says so.
    pub fn stream(&mut self) -> Option<BodyStream> {
        match std::mem::take(&mut self.body) {
            RequestBody::Stream(stream) => Some(stream),
            RequestBody::Fields(_) | RequestBody::Bytes(_) => None,
        }
    }

    /// The request, when all of it is right and nothing is left over.
    pub fn finish<T: Input>(&mut self, whole: Option<T>) -> Result<T, AppError> {
        let mut errors = std::mem::take(&mut self.errors);
        if let RequestBody::Fields(fields) = &self.body {
            for name in fields.keys().take(MAX_ERRORS) {
                errors.push(FieldError::new(shortened(name), "unknown", "This field doesn't exist."));
            }
        }
        if let Some(request) = &whole {
            request.check(&mut BoundChecks::new(&mut errors));
        }
        match whole {
            Some(request) if errors.is_empty() => Ok(request),
            _ => {
                errors.truncate(MAX_ERRORS);
                Err(AppError::Invalid(errors))
            }
        }
    }
}

/// A field that is text on the wire.
pub struct Text<'a, T> {
    name: &'static str,
    text: Option<Cow<'a, str>>,
    errors: &'a mut Vec<FieldError>,
    what: PhantomData<T>,
}

impl<T: FromText> Text<'_, T> {
    pub fn required(self) -> Option<T> {
        if self.text.is_none() {
            self.errors.push(required(self.name));
            return None;
        }
        self.optional().flatten()
    }

    pub fn optional(self) -> Option<Option<T>> {
        let Some(text) = self.text else { return Some(None) };
        let value = T::from_text(&text);
        if value.is_none() {
            self.errors.push(FieldError::new(self.name, "invalid", "This value isn't valid."));
        }
        value.map(Some)
    }
}

/// A field of the body.
pub struct Body<'a, T> {
    name: &'static str,
    value: Option<Value>,
    errors: &'a mut Vec<FieldError>,
    what: PhantomData<T>,
}

impl<T: DeserializeOwned> Body<'_, T> {
    pub fn required(mut self) -> Option<T> {
        match self.value.take().filter(|value| !value.is_null()) {
            Some(value) => self.read(value),
            None => {
                self.errors.push(required(self.name));
                None
            }
        }
    }

    /// Null says as much as nothing.
    pub fn optional(mut self) -> Option<Option<T>> {
        match self.value.take().filter(|value| !value.is_null()) {
            Some(value) => self.read(value).map(Some),
            None => Some(None),
        }
    }

    /// Null is a value of its own: it takes away what was there.
    pub fn stated(mut self) -> Option<Option<T>> {
        match self.value.take() {
            Some(value) => self.read(value).map(Some),
            None => Some(None),
        }
    }

    fn read(self, mut value: Value) -> Option<T> {
        make_whole(&mut value);
        if holds_nul(&value) {
            self.errors.push(FieldError::new(
                self.name,
                "invalid",
                "The text contains a NUL character. Remove it and try again.",
            ));
            return None;
        }
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(FieldError::new(
                    self.name,
                    "invalid",
                    format!("This value isn't valid: {}.", shortened(&error.to_string())),
                ));
                None
            }
        }
    }
}

fn required(name: &'static str) -> FieldError {
    FieldError::new(name, "required", format!("The field {name} is missing."))
}

/// `3.0` is an integer to JSON, and some MessagePack libraries write large integers so.
fn make_whole(value: &mut Value) {
    /// Up to here a double tells each integer from its neighbours.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(whole) =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT)
            {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Depth is bounded by the parsers.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Errors may repeat what was sent; nobody needs a megabyte of it.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn url_query(text: &str) -> Vec<(String, String)> {
    actix_web::web::Query::<Vec<(String, String)>>::from_query(text)
        .map(actix_web::web::Query::into_inner)
        .unwrap_or_default()
}

/// A name from a path. The router leaves an escaped slash as it is.
pub(crate) fn with_slashes(name: &str) -> String {
    name.replace("%2F", "/").replace("%2f", "/")
}

#[cfg(test)]
mod tests;
