//! Gateway calls: forwards a request in a client format and returns the answer in the same format,
//! whatever the provider's format.

mod answer_format;
mod gemini_passthrough;
mod searching;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::Url;
use serde_json::Value;
use tokio::time::Instant;

use self::answer_format::AnswerFormat;
use crate::{
    Ai, AiError, AnswerBody, ApiStyle, Call, Forwarded, Frames, GatewayError,
    ai::{AnswerRequest, ChatApi, Upstream, encode_request},
    blocking_pool::{run, run_for_answer},
    call_ids,
    canonical::{Request, Writer},
    dialect::{
        AnswerHead,
        anthropic::{
            self,
            client_format::MessageWriter,
            passthrough::{MessageEvents, MessagesTap},
        },
        gemini::{self, passthrough::GeminiTap},
        lone_surrogates,
        openai_chat::{
            self,
            passthrough::{ChatTap, RewrittenRequest},
            request::WriteOptions,
        },
        openai_responses::{
            self,
            passthrough::{ResponseEvents, ResponsesTap},
        },
        restricted_params,
    },
    image_download,
    params::ModelParamOverrides,
    profile::adapt::BodyFormat,
    provider_http::{ByteStream, Opened, events::is_stream, failure::Failure},
    response_history::ResponseRecorder,
    response_store::{PendingWrites, ResponsePublisher},
    route::{Attempt, RetryPolicy, RouteAttempts},
    tapped_stream::{Tap, TappedStream},
    tool_names,
    translate::{AnswerParser, FormatConverter, read_whole},
    web_search::{WebSearchTool, method::SearchMethod, rounds::SearchStream},
};

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream";

/// Failed attempt: reported to the caller at once, or retried.
pub(crate) enum AttemptError {
    Final(GatewayError),
    Retryable(Failure),
}

impl<E: Into<Failure>> From<E> for AttemptError {
    fn from(failure: E) -> Self {
        Self::Retryable(failure.into())
    }
}

/// An answer in progress.
enum StartedAnswer {
    Whole(Bytes),
    /// A stream that has arrived completely.
    Frames(Bytes),
    Chat(Box<TappedStream<ChatTap>>),
    Messages(Box<TappedStream<MessagesTap>>),
    Gemini(Box<TappedStream<GeminiTap>>),
    Responses(Box<TappedStream<ResponsesTap>>),
    Translated(Box<TappedStream<FormatConverter>>),
    Searching(Box<SearchStream>),
}

/// A call in the provider-independent form, with the data for writing its answer.
#[derive(Clone)]
struct ParsedCall {
    request: Request,
    format: AnswerFormat,
}

impl Ai {
    /// Tries the route's deployments in order until one answers.
    ///
    /// A stream is returned once its first frames have arrived; until then another key or
    /// deployment can take over. Dropping the future or the answer cancels the upstream request.
    pub async fn forward(&self, call: Call) -> Result<Forwarded, GatewayError> {
        let input = call.estimated_input();
        call.meter.set_estimated_input(input);
        let deadline = Instant::now() + self.limits().deadline;
        let route = Arc::clone(&call.route);
        let upstreams = self.upstreams();
        let mut tries = RouteAttempts::new(
            &upstreams,
            &route,
            input.saturating_add(call.most_output),
            self.retry_policy(),
            deadline,
        );
        let search = searching::search_of(&call).await?;
        let mut parsed = None;
        loop {
            let attempt = tries.next().await?;
            call.meter.start_attempt(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            let mut answer = self.start_answer(&call, search.as_ref(), &mut parsed, &attempt, deadline).await;
            if let Err(AttemptError::Retryable(failure)) = &answer
                && attempt.upstream.switch_to_responses(&attempt, failure)
            {
                answer = self.start_answer(&call, search.as_ref(), &mut parsed, &attempt, deadline).await;
                attempt.upstream.confirm_responses(attempt.model, answer.is_ok());
            }
            match answer {
                Ok(begun) => {
                    call.publication.finished().await;
                    let is_shared = self.response_store().is_some();
                    return Ok(finish(call, begun, attempt, is_shared));
                }
                Err(AttemptError::Final(error)) => return Err(error),
                Err(AttemptError::Retryable(failure)) => {
                    call.meter.record_attempt_failure(&failure.error);
                    tries.record_failure(attempt, failure)?;
                }
            }
        }
    }

    /// Retry policy of gateway calls: one retry after a transient failure. If a provider requires a
    /// delay, that is reported to the caller at once, because every client library backs off
    /// itself.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy { times: 1, wait: self.limits().backoff, max_delay: Duration::ZERO }
    }

    async fn start_answer(
        &self,
        call: &Call,
        search: Option<&WebSearchTool>,
        parsed: &mut Option<Arc<ParsedCall>>,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let dialect = upstream.kind.dialect();
        let may_need_responses =
            || dialect.may_have_responses_api() && upstream.profile(attempt).may_need_responses(&call.body);
        let method = search.map_or(SearchMethod::None, |search| self.search_method(call, attempt, search));
        let is_native = search.is_none_or(|search| method.is_native(call.style, search.is_tool));
        match (call.style, &upstream.responses_url) {
            (ApiStyle::Chat, _) if is_native && dialect.passes_through(ApiStyle::Chat) && !may_need_responses() => {
                return self.pass_chat(call, attempt, deadline).await;
            }
            (ApiStyle::Messages, _) if is_native && dialect.passes_through(ApiStyle::Messages) => {
                return self.pass_messages(call, attempt, deadline).await;
            }
            (ApiStyle::Gemini, _) if is_native && dialect.passes_through(ApiStyle::Gemini) => {
                return self.pass_gemini(call, attempt, deadline).await;
            }
            (ApiStyle::Responses, Some(url)) if is_native && !needs_summary(call, upstream).await? => {
                return self.pass_responses(call, attempt, url, deadline).await;
            }
            _ => {}
        }
        let parsed = match parsed {
            Some(parsed) => parsed,
            None => {
                let read = self.read(call).await.map_err(AttemptError::Final)?;
                parsed.insert(Arc::new(read))
            }
        };
        call.meter.record_dropped_tools(&parsed.request.dropped_tools);
        if !dialect.fetches_images() {
            let request = &mut Arc::make_mut(parsed).request;
            image_download::inline_images(self.outgoing(), request).await.map_err(AttemptError::Final)?;
        }
        let passes_chat = call.style == ApiStyle::Chat && dialect.passes_through(ApiStyle::Chat) && is_native;
        if passes_chat && upstream.chat_api(attempt, &parsed.request).format == BodyFormat::Chat {
            return self.pass_chat(call, attempt, deadline).await;
        }
        match method {
            // Several answers at once can't search.
            SearchMethod::Gateway(client)
                if parsed.request.web_search.is_some() && parsed.request.choices.is_none_or(|count| count < 2) =>
            {
                self.search_and_answer(call, parsed, attempt, client, deadline).await
            }
            method => {
                let prepared = parsed.with_search(&method);
                let api = upstream.chat_api(attempt, &prepared.request);
                self.translate(call, &prepared, attempt, api, deadline).await
            }
        }
    }

    async fn pass_chat(
        &self,
        call: &Call,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let knows_newer = openai_chat::has_newer_limit(&upstream.base, attempt.model);
        let is_openai = openai_chat::is_public(&upstream.base);
        let rewrite = move |body: &Bytes, model: &str| {
            let repaired = openai_chat::passthrough::repair_history(body, is_openai);
            openai_chat::passthrough::rewrite_request(repaired.as_ref().unwrap_or(body), model, knows_newer)
        };
        let request = prepare_passthrough(call, attempt, rewrite).await?;
        if request.searches {
            call.meter.record_search();
        }
        call.meter.record_request_sent();
        let url = upstream.chat_url(attempt.model, request.stream);
        let asked = call.answer_request(&url, BodyFormat::Chat, request.body, request.stream);
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        call.meter.trace(&response);
        if !request.stream {
            let body = upstream.http.read_whole(response, deadline).await?;
            if is_stream(&body) {
                let listener = self.native_listener(attempt).with_used_ids(request.used_ids);
                let (answer, usage) = read_whole(&body, listener, &call.meter)?;
                let whole = openai_chat::client_format::whole(&head(call.style, attempt.model), &answer, &usage);
                return Ok(StartedAnswer::Whole(whole.to_string().into()));
            }
            openai_chat::passthrough::meter_whole(&body, &call.meter)?;
            return Ok(StartedAnswer::Whole(openai_chat::passthrough::repair_whole(body, request.used_ids)));
        }
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                let head = head(call.style, attempt.model);
                let options = WriteOptions { usage: request.wants_usage, ..WriteOptions::default() };
                let writer = openai_chat::client_format::ChatWriter::new(&head, options);
                let listener = self.native_listener(attempt).with_used_ids(request.used_ids);
                return frames_of_complete(call, listener, &body, Box::new(writer));
            }
        };
        let tap = ChatTap::new(request.wants_usage, request.wants_several).with_used_ids(request.used_ids);
        let relay = self.relay(call, body, tap, deadline).await?;
        Ok(StartedAnswer::Chat(Box::new(relay)))
    }

    async fn pass_messages(
        &self,
        call: &Call,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let is_held = call.is_reserved();
        let rewrite = move |body: &Bytes, model: &str| anthropic::passthrough::rewrite_request(body, model, is_held);
        let request = prepare_passthrough(call, attempt, rewrite).await?;
        let upstream = attempt.upstream;
        let betas = call.betas_for(upstream);
        let url = upstream.chat_url(attempt.model, request.stream);
        let asked = call.answer_request(&url, BodyFormat::Messages, request.body, request.stream);
        let asked = AnswerRequest { betas: betas.as_deref(), ..asked };
        call.meter.record_request_sent();
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        call.meter.trace(&response);
        if !request.stream {
            let body = upstream.http.read_whole(response, deadline).await?;
            if is_stream(&body) {
                let listener = self.native_listener(attempt).with_used_ids(request.used_ids);
                let (answer, usage) = read_whole(&body, listener, &call.meter)?;
                let whole = anthropic::client_format::whole(&head(call.style, attempt.model), &answer, &usage, true);
                return Ok(StartedAnswer::Whole(whole.to_string().into()));
            }
            anthropic::passthrough::meter_whole(&body, &call.meter, request.bills_code_container)?;
            let mut used_ids = request.used_ids;
            return Ok(StartedAnswer::Whole(used_ids.replace_in_message(body)));
        }
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                let head = head(call.style, attempt.model);
                let writer = MessageWriter::new(head, call.meter.estimated_input()).with_search(true);
                let listener = self.native_listener(attempt).with_used_ids(request.used_ids);
                return frames_of_complete(call, listener, &body, Box::new(writer));
            }
        };
        let reader = MessageEvents::new(request.bills_code_container, request.used_ids);
        let tap = MessagesTap::with_reader(reader);
        let relay = self.relay(call, body, tap, deadline).await?;
        Ok(StartedAnswer::Messages(Box::new(relay)))
    }

    async fn pass_responses(
        &self,
        call: &Call,
        attempt: &Attempt<'_>,
        url: &Url,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let record = self.response_record(call);
        let terms = openai_responses::passthrough::PassthroughTerms {
            hosted: call.passes_hosted_tools(upstream),
            is_stored: record.is_some(),
            thinks: attempt.param_overrides.as_deref().and_then(ModelParamOverrides::thinks),
        };
        let rewrite =
            move |body: &Bytes, model: &str| openai_responses::passthrough::rewrite_request(body, model, terms);
        let request = prepare_passthrough(call, attempt, rewrite).await?;
        call.meter.record_request_sent();
        let asked = call.answer_request(url, BodyFormat::Responses, request.body, request.stream);
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        call.meter.trace(&response);
        if !request.stream {
            let body = upstream.http.read_whole(response, deadline).await?;
            let body =
                if is_stream(&body) { openai_responses::stream_conversion::response_of_stream(&body)? } else { body };
            let body = openai_responses::passthrough::replace_call_ids(body, request.used_ids);
            openai_responses::passthrough::meter_whole(&body, &call.meter, record.as_ref())?;
            return Ok(StartedAnswer::Whole(body));
        }
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) if is_stream(&body) => stream::iter([Ok(body)]).boxed(),
            Opened::Whole(body) => {
                let body = openai_responses::passthrough::replace_call_ids(body, request.used_ids);
                openai_responses::passthrough::meter_whole(&body, &call.meter, record.as_ref())?;
                let whole: Value = serde_json::from_slice(&body).map_err(|_| AiError::Garbled)?;
                return Ok(StartedAnswer::Frames(openai_responses::stream_conversion::stream_of_response(&whole)));
            }
        };
        let tap = ResponsesTap::with_reader(ResponseEvents::new(record, request.used_ids));
        let relay = self.relay(call, body, tap, deadline).await?;
        Ok(StartedAnswer::Responses(Box::new(relay)))
    }

    /// Recorder that stores the answer, if the caller may refer to it later.
    fn response_record(&self, call: &Call) -> Option<ResponseRecorder> {
        let (key, followed) = call.history.as_ref()?;
        let record = ResponseRecorder::new(self.stored_responses(), *key, &call.body, followed.as_ref());
        Some(record.with_publisher(self.response_publisher(call)))
    }

    /// Publisher that makes the answer known to the other instances.
    fn response_publisher(&self, call: &Call) -> Option<ResponsePublisher> {
        let ((key, _), shelf) = call.history.as_ref().zip(self.response_store())?;
        Some(ResponsePublisher::new(shelf, *key, &call.publication))
    }

    /// Parses a call into the provider-independent form.
    async fn read(&self, call: &Call) -> Result<ParsedCall, GatewayError> {
        let (style, body, record) = (call.style, call.body.clone(), self.response_record(call));
        let size = body.len();
        let mut parsed = run(call.owner, size, move || ParsedCall::read(style, &body, record)).await??;
        if let Some((shelf, (key, _))) = self.response_store().zip(call.history.as_ref())
            && self.signs_tool_calls(&call.route)
        {
            self.signatures().load_shared(&**shelf, *key, &parsed.request).await;
        }
        let signatures = Arc::clone(self.signatures());
        let mending = run(call.owner, size, move || {
            signatures.restore(&mut parsed.request);
            call_ids::normalise(&mut parsed.request);
            tool_names::normalise(&mut parsed.request);
            parsed
        });
        mending.await
    }

    async fn translate(
        &self,
        call: &Call,
        parsed: &Arc<ParsedCall>,
        attempt: &Attempt<'_>,
        ChatApi { format, url }: ChatApi,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let upstream = attempt.upstream;
        let stream = parsed.request.stream;
        let (kind, base) = (upstream.kind, upstream.base.clone());
        let (question, model, own) = (Arc::clone(parsed), attempt.model.to_owned(), attempt.param_overrides.clone());
        let writing = run(call.owner, call.body.len(), move || {
            encode_request((kind, format), &base, &question.request, &model, own.as_deref())
        });
        let body = writing.await.map_err(AttemptError::Final)?.map_err(AttemptError::Final)?;
        if parsed.request.web_search.as_ref().is_some_and(WebSearchTool::is_uncounted) {
            call.meter.record_search();
        }
        call.meter.record_request_sent();
        let asked = call.answer_request(&url, format, body, stream);
        let response = upstream.request_answer(attempt, asked, deadline).await?;
        call.meter.trace(&response);
        let head = head(call.style, attempt.model);
        if !stream {
            let body = upstream.http.read_whole(response, deadline).await?;
            let listener = self
                .listener(attempt, format)
                .with_tools(&parsed.request)
                .with_publisher(self.response_publisher(call));
            let (parsed, meter) = (Arc::clone(parsed), Arc::clone(&call.meter));
            let translating = run_for_answer(call.owner, body.len(), move || {
                let (answer, usage) = read_whole(&body, listener, &meter)?;
                Ok::<_, Failure>(parsed.format.whole(&head, &answer, &usage)?.to_string())
            });
            return Ok(StartedAnswer::Whole(translating.await.map_err(AttemptError::Final)??.into()));
        }
        let writer = parsed.format.writer(head, call.meter.estimated_input());
        let body = match upstream.http.open(response, deadline).await? {
            Opened::Stream(body) => body,
            Opened::Whole(body) => {
                let listener = self.listener(attempt, format).with_tools(&parsed.request);
                let listener = listener.with_publisher(self.response_publisher(call));
                return frames_of_complete(call, listener, &body, writer);
            }
        };
        let listener =
            self.listener(attempt, format).with_tools(&parsed.request).with_publisher(self.response_publisher(call));
        let tap = FormatConverter::new(listener, writer);
        let relay = self.relay(call, body, tap, deadline).await?;
        Ok(StartedAnswer::Translated(Box::new(relay)))
    }

    /// Parser of answers of this API.
    pub(crate) fn listener(&self, attempt: &Attempt<'_>, format: BodyFormat) -> AnswerParser {
        AnswerParser::new(attempt.upstream.reader(format), Arc::clone(self.signatures()))
    }

    /// Parser of answers of the provider's chat endpoint.
    pub(crate) fn native_listener(&self, attempt: &Attempt<'_>) -> AnswerParser {
        self.listener(attempt, BodyFormat::of(attempt.upstream.kind))
    }

    async fn relay<T: Tap>(
        &self,
        call: &Call,
        body: ByteStream,
        tap: T,
        deadline: Instant,
    ) -> Result<TappedStream<T>, Failure> {
        let limits = Arc::clone(self.limits());
        let mut relay = TappedStream::new(call.style, tap, body, Arc::clone(&call.meter), limits, deadline);
        relay.first().await?;
        Ok(relay)
    }
}

/// Converts a whole answer for a caller who asked for a stream.
fn frames_of_complete(
    call: &Call,
    parser: AnswerParser,
    body: &[u8],
    writer: Box<dyn Writer>,
) -> Result<StartedAnswer, AttemptError> {
    let converter = FormatConverter::new(parser, writer);
    Ok(StartedAnswer::Frames(converter.frames_of_complete(body, &call.meter)?))
}

/// True if the request asks for a compaction and the provider has none of its own.
async fn needs_summary(call: &Call, upstream: &Upstream) -> Result<bool, AttemptError> {
    if openai_chat::is_public(&upstream.base) || !openai_responses::compaction::may_request_compaction(&call.body) {
        return Ok(false);
    }
    let body = call.body.clone();
    let reading = run(call.owner, body.len(), move || {
        serde_json::from_slice(&body).is_ok_and(|body| openai_responses::compaction::requests_compaction(&body))
    });
    reading.await.map_err(AttemptError::Final)
}

/// Prepares a request for passthrough: strips restricted fields and applies `rewrite`.
async fn prepare_passthrough(
    call: &Call,
    attempt: &Attempt<'_>,
    rewrite: impl FnOnce(&Bytes, &str) -> Result<RewrittenRequest, GatewayError> + Send + 'static,
) -> Result<RewrittenRequest, AttemptError> {
    let (body, model) = (call.body.clone(), attempt.model.to_owned());
    let passes = call.passthrough_params(attempt.upstream);
    let rewriting = run(call.owner, body.len(), move || {
        let left = restricted_params::strip_restricted(&body, &passes)?;
        rewrite(left.as_ref().unwrap_or(&body), &model)
    });
    rewriting.await.map_err(AttemptError::Final)?.map_err(AttemptError::Final)
}

impl Call {
    fn answer_request<'a>(
        &'a self,
        url: &'a Url,
        format: BodyFormat,
        body: Bytes,
        is_stream: bool,
    ) -> AnswerRequest<'a> {
        AnswerRequest { owner: self.owner, url, format, body, is_stream, betas: None, meter: &self.meter }
    }
}

impl ParsedCall {
    fn read(style: ApiStyle, body: &[u8], record: Option<ResponseRecorder>) -> Result<Self, GatewayError> {
        let body = lone_surrogates::parse_request(body)?;
        let (request, format) = match style {
            ApiStyle::Chat => {
                let (request, wishes) = openai_chat::request::read(&body)?;
                (request, AnswerFormat::Chat(wishes))
            }
            ApiStyle::Responses => {
                let (request, repeated) = openai_responses::request::read(&body)?;
                let is_compaction = openai_responses::compaction::requests_compaction(&body);
                (request, AnswerFormat::Responses { repeated, record, is_compaction })
            }
            ApiStyle::Messages => {
                let request = anthropic::request::read(&body)?;
                let has_search = request.web_search.is_some();
                (request, AnswerFormat::Messages { has_search })
            }
            ApiStyle::Gemini => {
                let (request, options) = gemini::client_request::read(&body)?;
                (request, AnswerFormat::Gemini(options))
            }
        };
        Ok(Self { request, format })
    }
}

/// Identity of an answer that the gateway writes.
fn head(style: ApiStyle, model: &str) -> AnswerHead {
    let prefix = match style {
        ApiStyle::Chat => "chatcmpl-",
        ApiStyle::Responses => "resp_",
        ApiStyle::Messages => "msg_",
        ApiStyle::Gemini => "",
    };
    let id = format!("{prefix}{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    AnswerHead { id, created, model: model.to_owned() }
}

fn finish(call: Call, begun: StartedAnswer, attempt: Attempt<'_>, is_shared: bool) -> Forwarded {
    let lease = attempt.record_success();
    let under_way = call.publication;
    let stream = |frames: Frames| {
        let frames = if is_shared { delay_until_stored(frames, under_way) } else { frames };
        (EVENTS, AnswerBody::Stream(frames))
    };
    let (content_type, body) = match begun {
        StartedAnswer::Whole(body) => (JSON, AnswerBody::Whole(body)),
        StartedAnswer::Frames(frames) => stream(stream::iter([Ok(frames)]).boxed()),
        StartedAnswer::Chat(relay) => stream(relay.with_lease(lease).boxed()),
        StartedAnswer::Messages(relay) => stream(relay.with_lease(lease).boxed()),
        StartedAnswer::Gemini(relay) => stream(relay.with_lease(lease).boxed()),
        StartedAnswer::Responses(relay) => stream(relay.with_lease(lease).boxed()),
        StartedAnswer::Translated(relay) => stream(relay.with_lease(lease).boxed()),
        StartedAnswer::Searching(searching) => stream(searching.into_frames(lease)),
    };
    Forwarded { content_type, body, meter: call.meter }
}

/// Delays each frame until the preceding output is stored, so that a client can refer to what it
/// has received.
fn delay_until_stored(frames: Frames, under_way: Arc<PendingWrites>) -> Frames {
    let told = move |frame| {
        let under_way = Arc::clone(&under_way);
        async move {
            under_way.finished().await;
            frame
        }
    };
    frames.then(told).boxed()
}
