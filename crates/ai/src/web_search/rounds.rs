//! Rounds of requests to a model for whose answer the gateway searches the web.

use std::{future::poll_fn, sync::Arc};

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::Response;
use tokio::time::Instant;

use super::{
    SearchClient, SearchRun, UNAVAILABLE, WebSearchTool,
    round::{SearchCall, SearchDialogue},
};
use crate::{
    Ai, AiError, ApiStyle, Call, Frames, GatewayError, Limits, Meter,
    ai::{AnswerRequest, ChatApi, ProviderSnapshot, encode_request},
    blocking_pool::{run, run_for_answer},
    canonical::{Answer, Event, Request, Writer},
    forward::AttemptError,
    keys::KeyLease,
    params::ModelParamOverrides,
    profile::adapt::BodyFormat,
    provider_http::{Opened, failure::Failure},
    response_store::ResponsePublisher,
    route::Attempt,
    tapped_stream::{Tap, TappedStream},
    thought_signatures::SignatureCache,
    translate::AnswerParser,
};

/// Call whose model searches by the gateway.
#[derive(Clone)]
pub(crate) struct SearchingCall {
    client: Arc<SearchClient>,
    style: ApiStyle,
    owner: WorkOwner,
    /// Size of the client's request, in bytes.
    size: usize,
    meter: Arc<Meter>,
    limits: Arc<Limits>,
    signatures: Arc<SignatureCache>,
    publisher: Option<ResponsePublisher>,
    deadline: Instant,
}

impl Ai {
    pub(crate) fn searching_call(
        &self,
        call: &Call,
        client: Arc<SearchClient>,
        publisher: Option<ResponsePublisher>,
        deadline: Instant,
    ) -> SearchingCall {
        SearchingCall {
            client,
            style: call.style,
            owner: call.owner,
            size: call.body.len(),
            meter: Arc::clone(&call.meter),
            limits: Arc::clone(self.limits()),
            signatures: Arc::clone(self.signatures()),
            publisher,
            deadline,
        }
    }
}

impl SearchingCall {
    /// Starts the dialogue. The request asks for a web search.
    fn dialogue(&self, request: &Request) -> SearchDialogue {
        let tool = request.web_search.clone().unwrap_or_default();
        SearchDialogue::new(request, tool, self.style == ApiStyle::Chat)
    }

    /// Gets a whole answer.
    pub async fn whole_answer(&self, attempt: &Attempt<'_>, request: &Request) -> Result<Answer, AttemptError> {
        let mut dialogue = self.dialogue(request);
        let mut answer = Vec::new();
        loop {
            let (response, format) = self.send(attempt, &dialogue.request).await?;
            let body = attempt.upstream.http.read_whole(response, self.deadline).await?;
            let (mut parser, meter) = (self.parser(attempt, format, &dialogue.request), Arc::clone(&self.meter));
            let parsing = run_for_answer(self.owner, body.len(), move || {
                let mut events = parser.parse_complete(&body, &meter)?;
                events.extend(parser.finish(&meter)?);
                Ok::<_, Failure>(events)
            });
            let events = parsing.await.map_err(AttemptError::Final)??;
            answer.extend(dialogue.receive(events));
            if self.finish_round(&mut dialogue, &mut answer).await {
                return Ok(Answer::from_events(answer));
            }
        }
    }

    /// Starts a streamed answer.
    pub async fn stream_answer(
        self,
        providers: Arc<ProviderSnapshot>,
        attempt: &Attempt<'_>,
        request: &Request,
        writer: Box<dyn Writer>,
    ) -> Result<SearchStream, AttemptError> {
        let dialogue = self.dialogue(request);
        let mut source = self.open(attempt, &dialogue.request).await?;
        if let EventSource::Relay(relay) = &mut source {
            relay.first().await?;
        }
        Ok(SearchStream {
            call: self,
            dialogue,
            writer,
            state: StreamState::Reading(source),
            providers,
            provider: attempt.upstream.name.clone(),
            model: attempt.model.to_owned(),
            param_overrides: attempt.param_overrides.clone(),
            lease: None,
        })
    }

    /// Sends a request and waits for the response headers.
    async fn send(&self, attempt: &Attempt<'_>, request: &Request) -> Result<(Response, BodyFormat), AttemptError> {
        let upstream = attempt.upstream;
        let ChatApi { format, url } = upstream.chat_api(attempt, request);
        let (kind, base, model) = (upstream.kind, upstream.base.clone(), attempt.model.to_owned());
        let (is_stream, asked, own) = (request.stream, request.clone(), attempt.param_overrides.clone());
        let writing =
            run(self.owner, self.size, move || encode_request((kind, format), &base, &asked, &model, own.as_deref()));
        let body = writing.await.map_err(AttemptError::Final)?.map_err(AttemptError::Final)?;
        self.meter.record_request_sent();
        let (owner, meter) = (self.owner, &*self.meter);
        let asked = AnswerRequest { owner, url: &url, format, body, is_stream, betas: None, meter };
        let response = upstream.request_answer(attempt, asked, self.deadline).await?;
        self.meter.trace(&response);
        Ok((response, format))
    }

    fn parser(&self, attempt: &Attempt<'_>, format: BodyFormat, request: &Request) -> AnswerParser {
        AnswerParser::new(attempt.upstream.reader(format), Arc::clone(&self.signatures))
            .with_tools(request)
            .with_publisher(self.publisher.clone())
    }

    /// Sends a request for a stream.
    async fn open(&self, attempt: &Attempt<'_>, request: &Request) -> Result<EventSource, AttemptError> {
        let (response, format) = self.send(attempt, request).await?;
        let mut parser = self.parser(attempt, format, request);
        match attempt.upstream.http.open(response, self.deadline).await? {
            Opened::Stream(body) => {
                let (meter, limits) = (Arc::clone(&self.meter), Arc::clone(&self.limits));
                let relay = TappedStream::new(self.style, EventTap { parser }, body, meter, limits, self.deadline);
                Ok(EventSource::Relay(Box::new(relay)))
            }
            Opened::Whole(body) => {
                let mut events = parser.parse_complete(&body, &self.meter)?;
                events.extend(parser.finish(&self.meter)?);
                Ok(EventSource::Whole(events))
            }
        }
    }

    /// Runs the searches of the round that has ended. Adds its last events to `out`; returns true if
    /// the answer is complete.
    async fn finish_round(&self, dialogue: &mut SearchDialogue, out: &mut Vec<Event>) -> bool {
        let runs = join_all(dialogue.calls().into_iter().map(|call| self.search(&dialogue.tool, call))).await;
        let output = if runs.is_empty() { 0 } else { self.meter.usage_of_request().output.unwrap_or(0) };
        let end = dialogue.finish_round(runs, output);
        out.extend(end.events);
        if !end.is_last {
            self.meter.start_round();
        }
        end.is_last
    }

    async fn search(&self, tool: &WebSearchTool, call: SearchCall) -> (String, SearchRun) {
        let run = match call.query {
            Err(code) => SearchRun { error: Some(code), ..SearchRun::default() },
            Ok(query) => match self.client.search(&query, tool).await {
                Ok(pages) => {
                    self.meter.record_gateway_search();
                    SearchRun { query, pages, error: None }
                }
                Err(error) => {
                    tracing::warn!(%error, "web search failed");
                    SearchRun { query, pages: Vec::new(), error: Some(UNAVAILABLE) }
                }
            },
        };
        (call.id, run)
    }
}

/// Events of one round.
enum EventSource {
    Relay(Box<TappedStream<EventTap>>),
    /// Answer of a provider that sent no stream.
    Whole(Vec<Event>),
}

impl EventSource {
    /// Next events; `None` at the end of the round.
    async fn next(&mut self) -> Option<Result<Vec<Event>, Failure>> {
        match self {
            Self::Relay(relay) => poll_fn(|cx| relay.poll_out(cx)).await,
            Self::Whole(events) => (!events.is_empty()).then(|| Ok(std::mem::take(events))),
        }
    }
}

/// Parses a stream into events, including those of its end.
struct EventTap {
    parser: AnswerParser,
}

impl Tap for EventTap {
    type Out = Vec<Event>;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Vec<Event>>, Failure> {
        let mut events = self.parser.parse_events(block, meter)?;
        if self.parser.is_over() {
            events.extend(self.parser.finish(meter)?);
        }
        Ok((!events.is_empty()).then_some(events))
    }

    fn is_done(&self) -> bool {
        self.parser.is_done()
    }

    fn is_whole(&self) -> bool {
        self.parser.is_whole()
    }

    fn failure(&mut self) -> Option<Failure> {
        self.parser.failure()
    }

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Vec<Event>>, Failure> {
        let mut events = self.parser.parse_rest(&rest, meter)?;
        events.extend(self.parser.finish(meter)?);
        Ok(Some(events))
    }
}

enum StreamState {
    Reading(EventSource),
    /// The next round has to be requested.
    Searched,
    Ended,
}

/// A streamed answer over several rounds.
pub(crate) struct SearchStream {
    call: SearchingCall,
    dialogue: SearchDialogue,
    writer: Box<dyn Writer>,
    state: StreamState,
    providers: Arc<ProviderSnapshot>,
    provider: String,
    model: String,
    param_overrides: Option<Arc<ModelParamOverrides>>,
    /// Key in use while the answer streams.
    lease: Option<KeyLease>,
}

impl SearchStream {
    /// Frames for the client. Dropping them cancels the request to the provider.
    pub fn into_frames(self, lease: KeyLease) -> Frames {
        let stream = Self { lease: Some(lease), ..self };
        stream::unfold(stream, |mut stream| async move {
            let frames = stream.next().await?;
            Some((Ok(frames), stream))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.is_empty() {
            if matches!(self.state, StreamState::Ended) {
                return None;
            }
            if let Some(error) = self.call.meter.abort_error() {
                out.extend(error.frame(self.call.style, self.writer.sequence()));
                self.state = StreamState::Ended;
                break;
            }
            if let Err(error) = self.step(&mut out).await {
                out.extend(error.frame(self.call.style, self.writer.sequence()));
                self.state = StreamState::Ended;
            }
        }
        Some(out.into())
    }

    /// Processes the next events, the end of a round, or the start of one.
    async fn step(&mut self, out: &mut Vec<u8>) -> Result<(), GatewayError> {
        match &mut self.state {
            StreamState::Reading(source) => match source.next().await {
                Some(Ok(events)) => {
                    let events = self.dialogue.receive(events);
                    self.write(&events, out);
                }
                Some(Err(failure)) => {
                    tracing::warn!(code = failure.error.code(), "answer stream failed");
                    return Err(failure.into());
                }
                None => {
                    let mut events = Vec::new();
                    let is_complete = self.call.finish_round(&mut self.dialogue, &mut events).await;
                    self.write(&events, out);
                    self.state = if is_complete { StreamState::Ended } else { StreamState::Searched };
                    if is_complete {
                        self.writer.finish(&self.call.meter.usage(), out);
                    }
                }
            },
            StreamState::Searched => self.state = StreamState::Reading(self.start_round().await?),
            StreamState::Ended => {}
        }
        Ok(())
    }

    fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.writer.write(event, out);
        }
    }

    /// Requests the next round from the provider that has started the answer.
    async fn start_round(&mut self) -> Result<EventSource, GatewayError> {
        let unavailable = || GatewayError::from(Failure::from(AiError::Unavailable { retry_after: None }));
        let upstream = self.providers.find(&self.provider).ok_or_else(unavailable)?;
        let lease = self.lease.take().ok_or_else(unavailable)?;
        let attempt = Attempt::of_started_answer(upstream, &self.model, self.param_overrides.clone(), lease);
        let attempt = attempt.ok_or_else(unavailable)?;
        match self.call.open(&attempt, &self.dialogue.request).await {
            Ok(source) => {
                self.lease = Some(attempt.record_success());
                Ok(source)
            }
            Err(AttemptError::Final(error)) => Err(error),
            Err(AttemptError::Retryable(failure)) => {
                attempt.record_failure(&failure.error);
                Err(failure.into())
            }
        }
    }
}
