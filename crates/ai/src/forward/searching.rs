//! Calls that ask for a web search.

use std::sync::Arc;

use tokio::time::Instant;

use super::{AttemptError, ParsedCall, StartedAnswer, head};
use crate::{
    Ai, Call, GatewayError,
    blocking_pool::run,
    route::Attempt,
    web_search::{self, SearchClient, WebSearchTool, method::SearchMethod},
};

impl Ai {
    /// Answers a call for which the gateway searches the web.
    pub(super) async fn search_and_answer(
        &self,
        call: &Call,
        parsed: &ParsedCall,
        attempt: &Attempt<'_>,
        client: Arc<SearchClient>,
        deadline: Instant,
    ) -> Result<StartedAnswer, AttemptError> {
        let searching = self.searching_call(call, client, self.response_publisher(call), deadline);
        let head = head(call.style, attempt.model);
        if parsed.request.stream {
            let writer = parsed.format.writer(head, call.meter.estimated_input());
            let stream = searching.stream_answer(self.upstreams(), attempt, &parsed.request, writer).await?;
            return Ok(StartedAnswer::Searching(Box::new(stream)));
        }
        let answer = searching.whole_answer(attempt, &parsed.request).await?;
        let whole = parsed.format.whole(&head, &answer, &call.meter.usage())?;
        Ok(StartedAnswer::Whole(whole.to_string().into()))
    }
}

impl ParsedCall {
    /// Call with the search in the form for this method.
    pub(super) fn with_search(self: &Arc<Self>, method: &SearchMethod) -> Arc<Self> {
        let mut prepared = Arc::clone(self);
        if prepared.request.web_search.is_some() {
            method.prepare(&mut Arc::make_mut(&mut prepared).request);
        }
        prepared
    }
}

/// Web search that the call asks for.
pub(super) async fn search_of(call: &Call) -> Result<Option<WebSearchTool>, GatewayError> {
    if !web_search::may_have_search(&call.body) {
        return Ok(None);
    }
    let body = call.body.clone();
    run(call.owner, body.len(), move || web_search::find(&body)).await
}
