//! Request input. Path, query, headers and body are collected into one struct, and every invalid
//! field is reported.

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

/// Maximum number of reported field errors.
const MAX_ERRORS: usize = 20;

/// Request of an endpoint. Implemented by `#[dto(request)]`.
pub trait Input: Sized + 'static {
    const PATH_FIELDS: &'static [&'static str];
    const BODY: BodyForm;

    fn read(source: &mut Source) -> Result<Self, AppError>;
    /// Checks the bounds of the fields.
    fn check(&self, _checks: &mut BoundChecks<'_>) {}
    fn describe(description: &mut Description);
}

/// Request of an endpoint that has no input.
pub struct NoInput;

impl Input for NoInput {
    const PATH_FIELDS: &'static [&'static str] = &[];
    const BODY: BodyForm = BodyForm::Nothing;

    fn read(_source: &mut Source) -> Result<Self, AppError> {
        Ok(Self)
    }

    fn describe(_description: &mut Description) {}
}

/// Value that is parsed from text in a path, a query or a header.
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
        // Text with a NUL character is refused, since databases can't store it.
        (!text.contains('\0')).then(|| text.to_owned())
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Option<Self> {
        // A plus sign that isn't escaped in a query was decoded as a space.
        Self::parse(&text.replace(' ', "+")).ok()
    }
}

/// Request that is being parsed. [`Source::finish`] reports all invalid fields together.
pub struct Source {
    http: HttpRequest,
    query: Vec<(String, String)>,
    body: RequestBody,
    errors: Vec<FieldError>,
    /// Memory of the parsed body, which counts in the memory budget until the request is answered.
    #[expect(dead_code, reason = "held for its Drop")]
    lease: Option<Arc<BodyLease>>,
}

/// Body of a request before its fields are parsed.
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

    /// Creates a source from a posted form. Form fields take precedence over query parameters.
    pub(crate) fn from_form(http: HttpRequest, form: &str) -> Self {
        let mut query = url_query(form);
        query.extend(url_query(http.query_string()));
        Self { http, query, body: RequestBody::default(), errors: Vec::new(), lease: None }
    }

    pub(crate) fn with_lease(self, lease: Arc<BodyLease>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Parses a path parameter. Returns `NotFound` if it is invalid, since nothing can have such an
    /// id.
    pub fn path<T: FromText>(&self, name: &str) -> Result<T, AppError> {
        self.http.match_info().get(name).and_then(T::from_text).ok_or_else(|| Code::NotFound.into())
    }

    pub fn query<T: FromText>(&mut self, name: &'static str) -> Text<'_, T> {
        // A parameter without a value counts as absent.
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

    /// Raw body of an endpoint with [`Input::BODY`] `Bytes`.
    pub fn bytes(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.body) {
            RequestBody::Bytes(bytes) => Some(bytes),
            RequestBody::Fields(_) | RequestBody::Stream(_) => None,
        }
    }

    /// Body stream of an endpoint with [`Input::BODY`] `Stream`.
    pub fn stream(&mut self) -> Option<BodyStream> {
        match std::mem::take(&mut self.body) {
            RequestBody::Stream(stream) => Some(stream),
            RequestBody::Fields(_) | RequestBody::Bytes(_) => None,
        }
    }

    /// Returns the request, if all fields are valid and the body has no unknown fields.
    pub fn finish<T: Input>(&mut self, whole: Option<T>) -> Result<T, AppError> {
        let mut errors = std::mem::take(&mut self.errors);
        if let RequestBody::Fields(fields) = &self.body {
            for name in fields.keys().take(MAX_ERRORS) {
                errors.push(FieldError::new(truncate(name), "unknown", "This field doesn't exist."));
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

/// Field that is sent as text.
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

/// Field of the body.
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

    /// Value of an optional field; null counts as absent.
    pub fn optional(mut self) -> Option<Option<T>> {
        match self.value.take().filter(|value| !value.is_null()) {
            Some(value) => self.read(value).map(Some),
            None => Some(None),
        }
    }

    /// Value of an optional field that can be removed; null is a value and removes the current one.
    pub fn nullable(mut self) -> Option<Option<T>> {
        match self.value.take() {
            Some(value) => self.read(value).map(Some),
            None => Some(None),
        }
    }

    fn read(self, mut value: Value) -> Option<T> {
        normalize_integers(&mut value);
        if contains_nul(&value) {
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
                    format!("This value isn't valid: {}.", truncate(&error.to_string())),
                ));
                None
            }
        }
    }
}

fn required(name: &'static str) -> FieldError {
    FieldError::new(name, "required", format!("The field {name} is missing."))
}

/// Converts floating-point numbers without a fraction to integers. JSON allows `3.0` for an
/// integer, and some MessagePack libraries encode large integers as floating-point numbers.
fn normalize_integers(value: &mut Value) {
    /// Largest integer up to which a double represents every integer exactly.
    const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(whole) = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < MAX_EXACT_INTEGER)
            {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize_integers),
        Value::Object(fields) => fields.values_mut().for_each(normalize_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// True if any text in the value contains a NUL character. The parsers limit the depth of the
/// recursion.
fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Truncates text that an error message quotes from the input.
pub(crate) fn truncate(text: &str) -> String {
    const MAX_CHARS: usize = 160;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(crate) fn url_query(text: &str) -> Vec<(String, String)> {
    actix_web::web::Query::<Vec<(String, String)>>::from_query(text)
        .map(actix_web::web::Query::into_inner)
        .unwrap_or_default()
}

/// Decodes the slashes in a name from a path. The router leaves them escaped.
pub(crate) fn unescape_slashes(name: &str) -> String {
    name.replace("%2F", "/").replace("%2f", "/")
}

#[cfg(test)]
mod tests;
