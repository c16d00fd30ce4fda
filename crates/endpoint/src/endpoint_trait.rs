//! Declaration of an endpoint, and its type-erased form for the router, the OpenAPI document and tests.

use std::{cell::OnceCell, future::Future, pin::pin, time::Duration};

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::Method};
use appcore::{AppError, Code, auth::Scope, config::Config, limit::RateGroup};
use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use middleware::{
    client_socket::Client,
    guard::{self, Access},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer,
    body::BodyForm,
    ctx::Ctx,
    description::{Description, Operation},
    failure::FailureForm,
    input::Input,
    reply::Reply,
    request_guard,
};

/// `data` of a response.
pub trait Output: Serialize + ToSchema + 'static {}
impl<T: Serialize + ToSchema + 'static> Output for T {}

/// Declaration of an HTTP endpoint: route, documentation, access and limits.
pub trait Endpoint: 'static {
    /// Path, query, headers and body of the request in one struct; `NoInput` if there are none.
    type Request: Input;
    /// Type of `data` in the envelope; `NoData` if there is none.
    type Response: Output;
    /// Result of `handle_before`, which is passed to `handle` and `handle_after`: the witness that
    /// `requires` names, or `()`.
    type Loaded: 'static;

    const NAME: &'static str;
    const METHOD: Method;
    const PATH: &'static str;
    const SUMMARY: &'static str;
    const DESCRIPTION: &'static str = "";
    const TAG: &'static str;
    /// Callers who may call the endpoint. There is no default, so that every endpoint decides
    /// explicitly.
    const ACCESS: Access;
    /// Rate limit group of the endpoint. There is no default, so that every endpoint decides
    /// explicitly.
    const RATE: RateGroup;
    /// Possible statuses on success. The first one is used unless the reply sets another.
    const STATUSES: &'static [u16] = &[200];
    /// Error codes, in addition to those that follow from the method, the request and the access.
    const ERRORS: &'static [Code] = &[];
    /// Error codes of the endpoint's [`Precondition`](crate::Precondition).
    const REFUSALS: &'static [Code] = &[];
    /// True if pages of other sites may post a form to the endpoint. Form fields are then read like
    /// query parameters.
    const ACCEPTS_CROSS_SITE_FORM: bool = false;
    /// Deadline of the handler. It protects mainly against a database that doesn't respond. A
    /// streamed response must have started by then.
    const DEADLINE: Bound<Duration> = Bound::Fixed(Duration::from_secs(14));
    /// Maximum body size, in bytes.
    const MAX_BODY: Bound<usize> = Bound::Fixed(1024 * 1024);
    /// Maximum time between two chunks of a body.
    const BODY_IDLE: Duration = Duration::from_secs(30);
    /// Media types of a [`Raw`](crate::Raw) response. If empty, the response is in the envelope, in
    /// JSON or MessagePack.
    const CONTENT_TYPES: &'static [&'static str] = &[];
    /// Format of error responses.
    const FAILURE: FailureForm = FailureForm::Envelope;
    /// If true, the handler is cancelled when the client disconnects. Work that must complete has
    /// to be spawned as a task.
    const ENDS_WITH_CLIENT: bool = false;

    /// Checks conditions beyond the form of the request and the caller's role, such as ownership
    /// and entitlements.
    fn handle_before(ctx: &Ctx, request: &mut Self::Request) -> impl Future<Output = Result<Self::Loaded, AppError>>;

    fn handle(
        ctx: &Ctx,
        request: Self::Request,
        facts: &Self::Loaded,
    ) -> impl Future<Output = Result<Reply<Self::Response>, AppError>>;

    /// Runs after every request that was admitted, whether it succeeded or failed, for example to
    /// write the audit log or update caches. `_facts` is `None` if the request failed before
    /// `handle_before` had returned them.
    fn handle_after(
        _ctx: &Ctx,
        _facts: Option<&Self::Loaded>,
        _result: Result<&Reply<Self::Response>, &AppError>,
    ) -> impl Future<Output = ()> {
        async {}
    }
}

/// Limit of an endpoint: fixed, or read from a setting.
#[derive(Clone, Copy)]
pub enum Bound<T> {
    Fixed(T),
    Setting(fn(&Config) -> T),
}

impl<T: Copy> Bound<T> {
    pub fn of(&self, config: &Config) -> T {
        match self {
            Self::Fixed(value) => *value,
            Self::Setting(read) => read(config),
        }
    }
}

/// Endpoint without its types, as used by the router and the OpenAPI document.
pub struct EndpointDef {
    pub name: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    pub tag: &'static str,
    pub access: Access,
    pub rate: RateGroup,
    pub statuses: &'static [u16],
    pub errors: &'static [Code],
    pub refusals: &'static [Code],
    pub path_fields: &'static [&'static str],
    pub body: BodyForm,
    pub accepts_cross_site_form: bool,
    pub deadline: Bound<Duration>,
    pub max_body: Bound<usize>,
    pub body_idle: Duration,
    pub content_types: &'static [&'static str],
    pub failure: FailureForm,
    pub ends_with_client: bool,
    pub(crate) describe: fn(&'static EndpointDef) -> Operation,
    pub(crate) call: fn(&'static EndpointDef, HttpRequest, Payload) -> LocalBoxFuture<'static, HttpResponse>,
}

impl EndpointDef {
    #[must_use]
    pub const fn of<E: Endpoint>() -> Self {
        Self {
            name: E::NAME,
            method: E::METHOD,
            path: E::PATH,
            summary: E::SUMMARY,
            description: E::DESCRIPTION,
            tag: E::TAG,
            access: E::ACCESS,
            rate: E::RATE,
            statuses: E::STATUSES,
            errors: E::ERRORS,
            refusals: E::REFUSALS,
            path_fields: E::Request::PATH_FIELDS,
            body: E::Request::BODY,
            accepts_cross_site_form: E::ACCEPTS_CROSS_SITE_FORM,
            deadline: E::DEADLINE,
            max_body: E::MAX_BODY,
            body_idle: E::BODY_IDLE,
            content_types: E::CONTENT_TYPES,
            failure: E::FAILURE,
            ends_with_client: E::ENDS_WITH_CLIENT,
            describe: describe::<E>,
            call: run::<E>,
        }
    }

    /// True if the endpoint redirects the browser and has no response body.
    #[must_use]
    pub fn redirects(&self) -> bool {
        self.statuses.iter().all(|status| (300..400).contains(status))
    }

    /// True if responses use the envelope.
    #[must_use]
    pub const fn is_enveloped(&self) -> bool {
        self.content_types.is_empty()
    }

    /// Scope that an API key needs; `None` if keys are not accepted or the endpoint is public.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        if self.access == Access::Public { None } else { guard::scope(self.access, &self.method, self.path) }
    }
}

/// Processes a request. All code that doesn't depend on the endpoint's types is in
/// [`request_guard`](crate::request_guard) and [`answer`](crate::answer), so that it is compiled
/// only once.
fn run<E: Endpoint>(
    def: &'static EndpointDef,
    http: HttpRequest,
    payload: Payload,
) -> LocalBoxFuture<'static, HttpResponse> {
    async move {
        let (ctx, mut source) = match request_guard::admit(def, http, payload).await {
            Ok(entered) => entered,
            Err(refusal) => return refusal,
        };
        // The future of the handler is boxed, and created only when the request is complete.
        // Otherwise a slow request would occupy the memory for the whole handler, even several
        // times, since each surrounding future contains a copy.
        let facts = OnceCell::new();
        let handled = async {
            let mut request = E::Request::read(&mut source)?;
            let found = E::handle_before(&ctx, &mut request).await?;
            E::handle(&ctx, request, facts.get_or_init(|| found)).await
        }
        .boxed_local();
        let result = match with_deadline(def, &ctx, handled).await {
            Ok(result) => result,
            Err(ended) => Err(ended),
        };
        E::handle_after(&ctx, facts.get(), result.as_ref()).boxed_local().await;
        answer::finish(ctx, def, result.and_then(Reply::encode))
    }
    .boxed_local()
}

/// Limits the handler by the deadline and, if configured, ends it when the client disconnects.
async fn with_deadline<T>(def: &EndpointDef, ctx: &Ctx, handled: LocalBoxFuture<'_, T>) -> Result<T, AppError> {
    let in_time = async {
        let deadline = def.deadline.of(&ctx.app().config);
        let result = actix_web::rt::time::timeout(deadline, handled).await;
        result.map_err(|_| AppError::unavailable(anyhow::anyhow!("handler exceeded its deadline")))
    };
    if !def.ends_with_client {
        return in_time.await;
    }
    let client = Client::of(ctx.http());
    match select(pin!(in_time), pin!(client.wait_until_disconnected())).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => Err(Code::ClientGone.into()),
    }
}

fn describe<E: Endpoint>(def: &'static EndpointDef) -> Operation {
    let mut description = Description::default();
    E::Request::describe(&mut description);
    description.finish::<E::Response>(def)
}

/// Checks that the `{field}`s of the path are exactly the path fields of the request. `#[endpoint]` calls it at compile
/// time.
///
/// # Panics
///
/// If they differ.
pub const fn assert_path(path: &str, fields: &[&str]) {
    let path = path.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at < path.len() {
        if path[at] == b'{' {
            let start = at + 1;
            while at < path.len() && path[at] != b'}' {
                at += 1;
            }
            let mut known = false;
            let mut index = 0;
            while index < fields.len() {
                if range_equals(path, start, at, fields[index].as_bytes()) {
                    known = true;
                }
                index += 1;
            }
            assert!(known, "a {{field}} of the path is no #[from(path)] field of the request");
            count += 1;
        }
        at += 1;
    }
    assert!(count == fields.len(), "a #[from(path)] field of the request is not in the path");
}

const fn range_equals(path: &[u8], start: usize, end: usize, name: &[u8]) -> bool {
    if end - start != name.len() {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        if path[start + index] != name[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// Maximum size of the future of a request that is still being received, in bytes.
    const WAITING: usize = 9 << 10;

    #[test]
    fn pending_requests_use_little_memory() {
        let sizes = crate::all().map(|def| {
            let (http, payload) = TestRequest::default().to_http_parts();
            (size_of_val(&*(def.call)(def, http, payload)), def.name)
        });
        let large: Vec<_> = sizes.filter(|(size, _)| *size > WAITING).collect();
        assert_eq!(large, []);
    }

    #[test]
    fn path_fields_must_match_the_request() {
        let holds = |path: &'static str, fields: &'static [&'static str]| {
            std::panic::catch_unwind(|| assert_path(path, fields)).is_ok()
        };
        assert!(holds("/r1/a", &[]));
        assert!(holds("/r1/a/{id}/b/{user_id}", &["user_id", "id"]));
        assert!(!holds("/r1/a/{id}", &[]));
        assert!(!holds("/r1/a/{id}", &["ids"]));
        assert!(!holds("/r1/a", &["id"]));
    }
}
