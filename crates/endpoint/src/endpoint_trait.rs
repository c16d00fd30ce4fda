//! The trait, and its erased form that the router, the description and the tests read.

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
    gate,
    input::Input,
    reply::Reply,
};

/// The `data` of an answer.
pub trait Output: Serialize + ToSchema + 'static {}
impl<T: Serialize + ToSchema + 'static> Output for T {}

/// One HTTP endpoint: the only place where its route, documentation, access and limits are written.
pub trait Endpoint: 'static {
    /// Path, query, headers and body in one struct; `NoInput` where there is none.
    type Request: Input;
    /// The `data` of the envelope; `NoData` where there is none.
    type Response: Output;
    /// What `handle_before` finds out, which the other two phases are shown: the proof that `requires` has asked for. `()` where it is nothing.
    type Facts: 'static;

    const NAME: &'static str;
    const METHOD: Method;
    const PATH: &'static str;
    const SUMMARY: &'static str;
    const DESCRIPTION: &'static str = "";
    const TAG: &'static str;
    /// There is no default: who may call it is a decision.
    const ACCESS: Access;
    /// There is no default: which limit it counts against is a decision.
    const RATE: RateGroup;
    /// What success answers with; the first one, unless the reply says otherwise.
    const STATUSES: &'static [u16] = &[200];
    /// Beyond those that the method, the request and the access imply.
    const ERRORS: &'static [Code] = &[];
    /// Those of the [`Requirement`](crate::Requirement) that it has.
    const REFUSALS: &'static [Code] = &[];
    /// Whether pages of other sites send it, as a form whose fields count like those of the query.
    const FORM_OF_ANOTHER_SITE: bool = false;
    /// How long a request may wait for what it needs, most of all for a database that says nothing. A streamed answer begins within it.
    const DEADLINE: Bound<Duration> = Bound::Fixed(Duration::from_secs(14));
    /// The largest body, in bytes.
    const MAX_BODY: Bound<usize> = Bound::Fixed(1024 * 1024);
    /// How long the next piece of a body may take to arrive.
    const BODY_IDLE: Duration = Duration::from_secs(30);
    /// The types of what it answers with, where it writes that itself as [`Raw`](crate::Raw); none: JSON or MessagePack in the envelope.
    const CONTENT_TYPES: &'static [&'static str] = &[];
    /// How it writes what it refuses.
    const FAILURE: FailureForm = FailureForm::Envelope;
    /// Whether it is given up when the client leaves. What can't be left half done goes on by itself.
    const ENDS_WITH_CLIENT: bool = false;

    /// Whatever must hold beyond the shape of the request and the caller's role: ownership, entitlement.
    fn handle_before(ctx: &Ctx, request: &mut Self::Request) -> impl Future<Output = Result<Self::Facts, AppError>>;

    fn handle(
        ctx: &Ctx,
        request: Self::Request,
        facts: &Self::Facts,
    ) -> impl Future<Output = Result<Reply<Self::Response>, AppError>>;

    /// Runs after everyone who got past the gates, whether it went well or not: what is noted, and what others remember of what has changed.
    /// There are no facts where it ended before they were known.
    fn handle_after(
        _ctx: &Ctx,
        _facts: Option<&Self::Facts>,
        _result: Result<&Reply<Self::Response>, &AppError>,
    ) -> impl Future<Output = ()> {
        async {}
    }
}

/// What an endpoint may take of something: always the same, or as the operator has set it.
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

/// An endpoint without its types: what it is, and two functions.
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
    pub form_of_another_site: bool,
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
            form_of_another_site: E::FORM_OF_ANOTHER_SITE,
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

    /// Whether it sends the browser elsewhere, with nothing to read in the answer.
    #[must_use]
    pub fn redirects(&self) -> bool {
        self.statuses.iter().all(|status| (300..400).contains(status))
    }

    /// Whether its answers are in the envelope.
    #[must_use]
    pub const fn is_enveloped(&self) -> bool {
        self.content_types.is_empty()
    }

    /// What an API key must be allowed to call it; `None`: no key may, or none is asked for.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        if self.access == Access::Public { None } else { guard::scope(self.access, &self.method, self.path) }
    }
}

/// The life of one request. All that does not depend on the types is in [`gate::enter`] and in [`answer`], so that it is
/// compiled once.
fn run<E: Endpoint>(
    def: &'static EndpointDef,
    http: HttpRequest,
    payload: Payload,
) -> LocalBoxFuture<'static, HttpResponse> {
    async move {
        let (ctx, mut source) = match gate::enter(def, http, payload).await {
            Ok(entered) => entered,
            Err(refusal) => return refusal,
        };
        // On the heap, and made when the request has come: otherwise a request that comes slowly takes room for all that is to be done with it, several
        // times over, since each future around this one has a copy.
        let facts = OnceCell::new();
        let handled = async {
            let mut request = E::Request::read(&mut source)?;
            let found = E::handle_before(&ctx, &mut request).await?;
            E::handle(&ctx, request, facts.get_or_init(|| found)).await
        }
        .boxed_local();
        let result = match within(def, &ctx, handled).await {
            Ok(result) => result,
            Err(ended) => Err(ended),
        };
        E::handle_after(&ctx, facts.get(), result.as_ref()).boxed_local().await;
        answer::finish(ctx, def, result.and_then(Reply::encode))
    }
    .boxed_local()
}

/// Waits until the deadline, and where that is asked for no longer than the client does.
async fn within<T>(def: &EndpointDef, ctx: &Ctx, handled: LocalBoxFuture<'_, T>) -> Result<T, AppError> {
    let in_time = async {
        let deadline = def.deadline.of(&ctx.app().config);
        let result = actix_web::rt::time::timeout(deadline, handled).await;
        result.map_err(|_| AppError::unavailable(anyhow::anyhow!("it took too long")))
    };
    if !def.ends_with_client {
        return in_time.await;
    }
    let client = Client::of(ctx.http());
    match select(pin!(in_time), pin!(client.leaves())).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => Err(Code::ClientGone.into()),
    }
}

fn describe<E: Endpoint>(def: &'static EndpointDef) -> Operation {
    let mut description = Description::default();
    E::Request::describe(&mut description);
    description.finish::<E::Response>(def)
}

/// Every `{field}` of the path is a path field of the request, and the other way round. `#[endpoint]` has it checked when the
/// program compiles.
///
/// # Panics
/// When they differ.
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
                if same(path, start, at, fields[index].as_bytes()) {
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

const fn same(path: &[u8], start: usize, end: usize, name: &[u8]) -> bool {
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

    /// What a request may take until all of it has come, in bytes.
    const WAITING: usize = 9 << 10;

    #[test]
    fn a_request_that_comes_slowly_takes_little() {
        let sizes = crate::all().map(|def| {
            let (http, payload) = TestRequest::default().to_http_parts();
            (size_of_val(&*(def.call)(def, http, payload)), def.name)
        });
        let large: Vec<_> = sizes.filter(|(size, _)| *size > WAITING).collect();
        assert_eq!(large, []);
    }

    #[test]
    fn a_path_has_exactly_the_fields_of_the_request() {
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
