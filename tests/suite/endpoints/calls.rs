//! Sample calls: one valid call of each endpoint. Each test module exports the calls of the
//! resource that it tests.

use std::{collections::BTreeMap, rc::Rc};

use endpoint::EndpointDef;
use futures_util::future::LocalBoxFuture;
use reqwest::{Method, RequestBuilder};
use support::{Answer, Caller, Value, new_id};

use super::World;

/// Function that prepares the resources for a call and returns its arguments.
type Prepare = Rc<dyn for<'a> Fn(&'a World) -> LocalBoxFuture<'a, Args>>;
/// Sample calls by the name of their endpoint.
pub(super) type SampleCalls = BTreeMap<&'static str, Prepare>;

/// Sample call of each of these endpoints. It is prepared anew each time, so that it may change or
/// delete its resources.
pub(crate) struct SampleCall {
    endpoints: &'static [&'static str],
    prepare: Prepare,
}

pub(crate) fn sample(
    endpoints: &'static [&'static str],
    prepare: impl AsyncFn(&World) -> Args + 'static,
) -> SampleCall {
    let prepare = Rc::new(prepare);
    let boxed: Prepare = Rc::new(move |world| {
        let prepare = Rc::clone(&prepare);
        Box::pin(async move { prepare(world).await })
    });
    SampleCall { endpoints, prepare: boxed }
}

/// Endpoints that are called by their path alone, without fields in it and without a body.
pub(crate) fn plain(endpoints: &'static [&'static str]) -> SampleCall {
    sample(endpoints, async |_| Args::default())
}

/// Arguments of a call.
#[derive(Default)]
pub(crate) struct Args {
    path_fields: Vec<(&'static str, String)>,
    query: String,
    body: Option<Value>,
    ends_session: bool,
}

impl Args {
    /// Sets the path field `id`.
    pub(crate) fn id(id: impl Into<String>) -> Self {
        Self::default().with("id", id)
    }

    pub(crate) fn body(body: Value) -> Self {
        Self::default().with_body(body)
    }

    /// Sets a path field. It is ignored by endpoints of the same sample that don't have it.
    pub(crate) fn with(mut self, path_field: &'static str, value: impl Into<String>) -> Self {
        self.path_fields.push((path_field, value.into()));
        self
    }

    /// Sets the query, such as `?page=1`.
    pub(crate) fn with_query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    pub(crate) fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Marks a call that signs its caller out.
    pub(crate) fn ending_session(mut self) -> Self {
        self.ends_session = true;
        self
    }

    pub(super) fn into_call(self, def: &EndpointDef) -> Call {
        let fill = |path: String, (field, value): &(&str, String)| path.replace(&format!("{{{field}}}"), value);
        let path = self.path_fields.iter().fold(def.path.to_owned(), fill);
        assert!(!path.contains('{'), "the sample call of {} lacks a path field: {path}", def.name);
        Call { path: path + &self.query, body: self.body, ends_session: self.ends_session }
    }
}

/// Request that is about to be sent to an endpoint.
pub(super) struct Call {
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// True if the call signs its caller out, who therefore needs a separate session.
    pub(super) ends_session: bool,
}

/// Returns the sample calls of all resources. For a new resource, add a line.
fn of_all_resources() -> impl Iterator<Item = SampleCall> {
    [
        crate::accounts::sample_calls(),
        crate::api_keys::sample_calls(),
        crate::assistants::sample_calls(),
        crate::boards::sample_calls(),
        crate::broadcasts::sample_calls(),
        crate::catch_up::sample_calls(),
        crate::channels::sample_calls(),
        crate::console::sample_calls(),
        crate::conversations::sample_calls(),
        crate::dead_letters::sample_calls(),
        crate::drafts::sample_calls(),
        crate::exports::sample_calls(),
        crate::firewall::sample_calls(),
        crate::gateway::sample_calls(),
        crate::knowledge::sample_calls(),
        crate::messages::sample_calls(),
        crate::moderation::sample_calls(),
        crate::notes::sample_calls(),
        crate::notifications::sample_calls(),
        crate::oversight::sample_calls(),
        crate::payments::sample_calls(),
        crate::polls::sample_calls(),
        crate::previews::sample_calls(),
        crate::push::sample_calls(),
        crate::reactions::sample_calls(),
        crate::reminders::sample_calls(),
        crate::search::sample_calls(),
        crate::sse::sample_calls(),
        crate::threads::sample_calls(),
        crate::tools::sample_calls(),
        crate::uploads::sample_calls(),
        crate::websocket::sample_calls(),
        crate::workspaces::sample_calls(),
    ]
    .into_iter()
    .flatten()
}

/// Indexes the sample calls by endpoint. Panics unless every endpoint has exactly one.
pub(super) fn by_endpoint() -> SampleCalls {
    let mut calls = SampleCalls::new();
    for call in of_all_resources() {
        for name in call.endpoints {
            assert!(endpoint::all().any(|def| def.name == *name), "a sample call names the unknown endpoint {name}");
            let earlier = calls.insert(name, Rc::clone(&call.prepare));
            assert!(earlier.is_none(), "{name} has two sample calls");
        }
    }
    for def in endpoint::all() {
        assert!(calls.contains_key(def.name), "{} needs a sample call: see `sample_calls` of its resource", def.name);
    }
    calls
}

#[test]
fn every_endpoint_has_one_sample_call() {
    let _ = by_endpoint();
}

/// Sends the call as `caller`.
pub(super) async fn send(def: &EndpointDef, caller: &Caller, call: &Call) -> Answer {
    let mut request = begun(def, caller, &call.path);
    if let Some(body) = &call.body {
        request = request.json(body);
    }
    // Reads only the beginning of an event stream, which may never end.
    if def.content_types.contains(&"text/event-stream") {
        caller.begin(request).await
    } else {
        caller.send(request).await
    }
}

/// Starts a request of the endpoint to `path`, with the headers that all requests of its kind have.
pub(super) fn begun(def: &EndpointDef, caller: &Caller, path: &str) -> RequestBuilder {
    let request = caller.request(method(def), path);
    if def.path.starts_with("/r1/uploads/tus") { request.header("tus-resumable", "1.0.0") } else { request }
}

/// Converts the endpoint's method to the type of the client, which uses another version of the
/// crate `http`.
pub(super) fn method(def: &EndpointDef) -> Method {
    def.method.as_str().parse().expect("a method")
}

/// Returns the path with random ids in all of its fields.
pub(super) fn with_unknown_ids(def: &EndpointDef) -> String {
    def.path_fields.iter().fold(def.path.to_owned(), |path, field| path.replace(&format!("{{{field}}}"), &new_id()))
}
