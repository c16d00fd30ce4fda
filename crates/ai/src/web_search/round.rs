//! Dialogue between a model and the gateway that searches for it: events of the model's answers go
//! in, events for the client come out. The function calls and their results stay hidden.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::{SearchPage, SearchRun, WebSearchTool};
use crate::{
    Finish,
    canonical::{
        Answer, Block, Citation, Citations, Event, Part, Request, Speaker, Tool, ToolCall, ToolChoice, ToolResult,
    },
};

/// Names of the function, in order of preference.
const FUNCTION_NAMES: [&str; 3] = ["web_search", "search_the_web", "gateway_web_search"];
const DESCRIPTION: &str = "Searches the web. Returns titles, URLs and excerpts of web pages. Cite the pages that you \
    use as Markdown links, such as [title](URL).";
/// Instruction after the results of a search.
const CITE: &str = "Cite the pages that you use as Markdown links: [title](URL).";
/// Error code for a search beyond the limit.
const TOO_MANY: &str = "max_uses_exceeded";
/// Error code for a call without a query.
const INVALID: &str = "invalid_input";

/// Search that the model has called.
pub(super) struct SearchCall {
    pub id: String,
    /// Query, or the error code of a call that is not run.
    pub query: Result<String, &'static str>,
}

/// End of a round.
pub(super) struct RoundEnd {
    pub events: Vec<Event>,
    /// True if the answer is complete.
    pub is_last: bool,
}

/// State of the dialogue.
pub(super) struct SearchDialogue {
    pub tool: WebSearchTool,
    /// Request of the next round.
    pub request: Request,
    function: String,
    /// Names of the client's tools.
    client_tools: Vec<String>,
    /// True if texts of several rounds form one text in the client's format.
    joins_texts: bool,
    searches_left: u64,
    /// Events of this round.
    round: Vec<Event>,
    /// Indexes of the searches among this round's calls.
    search_indexes: BTreeSet<u32>,
    /// Indexes for the client of this round's other calls.
    client_indexes: BTreeMap<u32, u32>,
    /// Events of this round that follow its searches: calls of the client's tools, and the end.
    held: Vec<Event>,
    /// Text so far, and the length of that before this round, in characters.
    text: String,
    round_start: usize,
    /// Pages found so far.
    pages: Vec<SearchPage>,
    citations: Citations,
    has_citations: bool,
}

impl SearchDialogue {
    /// Starts a dialogue for a request that asks for the search `tool`.
    pub fn new(request: &Request, tool: WebSearchTool, joins_texts: bool) -> Self {
        let mut request = Request { web_search: None, ..request.clone() };
        let client_tools: Vec<String> = request.tools.iter().map(|tool| tool.name.clone()).collect();
        let is_free = |name: &&&str| !client_tools.iter().any(|taken| taken == **name);
        let function = (*FUNCTION_NAMES.iter().find(is_free).unwrap_or(&FUNCTION_NAMES[2])).to_owned();
        let parameters = json!({
            "type": "object", "properties": {"query": {"type": "string", "description": "Search terms"}},
            "required": ["query"], "additionalProperties": false,
        });
        let (name, description) = (function.clone(), Some(DESCRIPTION.to_owned()));
        request.tools.push(Tool { name, description, parameters: Some(parameters), strict: None, cached: None });
        match &mut request.tool_choice {
            choice if tool.is_forced => *choice = Some(ToolChoice::Named(function.clone())),
            Some(ToolChoice::Among { names, .. }) => names.push(function.clone()),
            _ => {}
        }
        let searches_left = tool.most();
        let mut dialogue = Self {
            tool,
            request,
            function,
            client_tools,
            joins_texts,
            searches_left,
            round: Vec::new(),
            search_indexes: BTreeSet::new(),
            client_indexes: BTreeMap::new(),
            held: Vec::new(),
            text: String::new(),
            round_start: 0,
            pages: Vec::new(),
            citations: Citations::default(),
            has_citations: false,
        };
        dialogue.forbid_exhausted_search();
        dialogue
    }

    /// Processes events of the model's answer. Returns those for the client.
    pub fn receive(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut out = Vec::with_capacity(events.len());
        for event in events {
            self.round.push(event.clone());
            match event {
                Event::Text { choice, text } => {
                    let text = self.separate(text);
                    self.text.push_str(&text);
                    out.push(Event::Text { choice, text });
                }
                Event::Citation { choice, citation } => {
                    let (start, end) = (citation.start + self.round_start, citation.end + self.round_start);
                    self.has_citations = true;
                    out.push(Event::Citation { choice, citation: Citation { start, end, ..citation } });
                }
                Event::Call { tool, ref name, .. } if *name == self.function => {
                    self.search_indexes.insert(tool);
                }
                Event::Arguments { tool, .. } if self.search_indexes.contains(&tool) => {}
                Event::Call { .. }
                | Event::Arguments { .. }
                | Event::CustomCall { .. }
                | Event::Input { .. }
                | Event::Finish { .. } => {
                    let event = self.renumber(event);
                    self.held.push(event);
                }
                Event::Usage(_) => {}
                other => out.push(other),
            }
        }
        out
    }

    /// Separates the first text of a round from that of the round before.
    fn separate(&mut self, text: String) -> String {
        let is_first = !self.round.iter().rev().skip(1).any(|event| matches!(event, Event::Text { .. }));
        if !is_first || self.text.is_empty() {
            return text;
        }
        let separator = if self.joins_texts && !self.text.ends_with('\n') { "\n\n" } else { "" };
        self.round_start = self.text.chars().count() + separator.len();
        format!("{separator}{text}")
    }

    /// Sets the index of a call among those that the client sees.
    fn renumber(&mut self, mut event: Event) -> Event {
        if let Event::Call { tool, .. }
        | Event::CustomCall { tool, .. }
        | Event::Arguments { tool, .. }
        | Event::Input { tool, .. } = &mut event
        {
            let next = u32::try_from(self.client_indexes.len()).unwrap_or(u32::MAX);
            *tool = *self.client_indexes.entry(*tool).or_insert(next);
        }
        event
    }

    /// Searches that the model has called in the round that has ended.
    pub fn calls(&self) -> Vec<SearchCall> {
        let is_cut = |event: &Event| matches!(event, Event::Finish { finish: Finish::Length | Finish::Filtered, .. });
        if self.searches_left == 0 || self.search_indexes.is_empty() || self.held.iter().any(is_cut) {
            return Vec::new();
        }
        let answer = Answer::from_events(self.round.clone());
        let calls = answer.choices.first().into_iter().flat_map(|choice| choice.calls());
        let calls = calls.filter(|(call, _)| call.name == self.function);
        let mut left = self.searches_left;
        calls
            .map(|(call, _)| {
                let query = if left == 0 { Err(TOO_MANY) } else { query(call) };
                left = left.saturating_sub(1);
                SearchCall { id: call.id.clone(), query }
            })
            .collect()
    }

    /// Ends the round with the results of its searches, whose answer took `output` tokens.
    pub fn finish_round(&mut self, runs: Vec<(String, SearchRun)>, output: u64) -> RoundEnd {
        let mut events = self.cite(runs.is_empty());
        let has_searched = !runs.is_empty();
        let results: Vec<Part> = runs.iter().map(|(id, run)| Part::Result(result(id, run))).collect();
        self.searches_left = self.searches_left.saturating_sub(runs.len() as u64);
        for (_, run) in runs {
            let is_new = |page: &&SearchPage| !self.pages.iter().any(|known| known.url == page.url);
            let added: Vec<SearchPage> = run.pages.iter().filter(is_new).cloned().collect();
            self.pages.extend(added);
            events.push(Event::Search { choice: 0, run });
        }
        let has_client_calls = !self.client_indexes.is_empty();
        if !has_searched || has_client_calls {
            let held = std::mem::take(&mut self.held);
            events.extend(held.into_iter().map(|event| without_hidden_calls(event, has_client_calls)));
            return RoundEnd { events, is_last: true };
        }
        self.start_round(results, output);
        RoundEnd { events, is_last: false }
    }

    fn start_round(&mut self, results: Vec<Part>, output: u64) {
        let answer = Answer::from_events(std::mem::take(&mut self.round));
        let blocks = answer.choices.into_iter().next().map(|choice| choice.blocks).unwrap_or_default();
        self.request.append(Speaker::Assistant, blocks.into_iter().filter_map(part));
        self.request.append(Speaker::User, results);
        self.request.max_output = self.request.max_output.map(|most| most.saturating_sub(output).max(1));
        // The model has called a tool, as it had to.
        match &mut self.request.tool_choice {
            Some(choice @ (ToolChoice::Required | ToolChoice::Named(_))) => *choice = ToolChoice::Auto,
            Some(ToolChoice::Among { required, .. }) => *required = false,
            _ => {}
        }
        self.forbid_exhausted_search();
        self.search_indexes.clear();
        self.held.clear();
        self.round_start = self.text.chars().count();
    }

    /// Forbids calls of the search once its limit is reached. The function stays, because providers
    /// reject calls in a conversation without tools.
    fn forbid_exhausted_search(&mut self) {
        if self.searches_left > 0 {
            return;
        }
        self.request.tool_choice = Some(match self.request.tool_choice.take() {
            _ if self.client_tools.is_empty() => ToolChoice::None,
            Some(ToolChoice::None) => ToolChoice::None,
            _ => ToolChoice::Among { names: self.client_tools.clone(), required: false },
        });
    }

    /// Cites the pages whose URLs this round's text contains. The end of an answer that has cited
    /// nothing cites all pages.
    fn cite(&mut self, is_last: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let start = self.round_start.min(self.text.chars().count());
        let round_text: String = self.text.chars().skip(start).collect();
        for citation in cited_pages(&round_text, start, &self.pages) {
            self.has_citations = true;
            self.citations.add(0, citation, &mut events);
        }
        if is_last && !self.has_citations && !round_text.is_empty() {
            let end = start + round_text.chars().count();
            for SearchPage { url, title, .. } in &self.pages {
                let citation = Citation { start, ..Citation::new(url, Some(title.as_str()), end) };
                self.citations.add(0, citation, &mut events);
            }
        }
        events
    }
}

/// Query of a call.
fn query(call: &ToolCall) -> Result<String, &'static str> {
    let arguments: Value = serde_json::from_str(&call.arguments).map_err(|_| INVALID)?;
    let query = arguments["query"].as_str().map(str::trim).filter(|query| !query.is_empty());
    query.map(str::to_owned).ok_or(INVALID)
}

/// Result of a search for the model.
fn result(id: &str, run: &SearchRun) -> ToolResult {
    let text = match run.error {
        Some(TOO_MANY) => "No further searches are allowed. Answer with what you know.".to_owned(),
        Some(INVALID) => "`query` must be a text with the search terms.".to_owned(),
        Some(_) => "The web search failed. Answer without it, and say so.".to_owned(),
        None if run.pages.is_empty() => "Nothing was found.".to_owned(),
        None => {
            let mut text = String::new();
            for (place, SearchPage { url, title, text: excerpt }) in (1..).zip(&run.pages) {
                // Writing to a string can't fail.
                let _ = write!(text, "{place}. {title}\n{url}\n{excerpt}\n\n");
            }
            text + CITE
        }
    };
    ToolResult { id: id.to_owned(), parts: vec![Part::Text(text)], is_error: run.error.is_some() }
}

/// Part of the conversation that a block of an answer becomes.
fn part(block: Block) -> Option<Part> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(Part::Text(text)),
        Block::Thinking { text, details, .. } if !details.is_empty() => Some(Part::ReasoningDetails { text, details }),
        Block::Thinking { text, signature, .. } => Some(Part::Thinking { text, signature }),
        Block::Redacted(data) => Some(Part::Redacted(data)),
        Block::Call(call) => Some(Part::Call(call)),
        // A round with free-form calls is the last one.
        Block::FreeCall(_) | Block::Picture { .. } | Block::Audio(_) | Block::Search(_) => None,
    }
}

/// End of an answer whose only calls were hidden.
fn without_hidden_calls(event: Event, has_client_calls: bool) -> Event {
    match event {
        Event::Finish { choice, finish: Finish::ToolCalls, stop_sequence } if !has_client_calls => {
            Event::Finish { choice, finish: Finish::Stop, stop_sequence }
        }
        other => other,
    }
}

/// Citations of the pages whose URLs the text contains. A citation covers the Markdown link, or the
/// URL. `offset` is the position of the text, in characters.
fn cited_pages(text: &str, offset: usize, pages: &[SearchPage]) -> Vec<Citation> {
    // A URL may be the beginning of another one, which takes precedence.
    let mut pages: Vec<&SearchPage> = pages.iter().collect();
    pages.sort_by_key(|page| std::cmp::Reverse(page.url.len()));
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for page in pages {
        for (at, _) in text.match_indices(&page.url).take(Citations::MAX) {
            let end = at + page.url.len();
            if taken.iter().any(|(from, to)| at < *to && *from < end) {
                continue;
            }
            taken.push((at, end));
            let link = text[..at].strip_suffix("](").and_then(|before| before.rfind('['));
            let (start, end) = match link {
                Some(start) if text[end..].starts_with(')') => (start, end + 1),
                _ => (at, end),
            };
            found.push((start, end, page));
        }
    }
    found.sort_by_key(|(start, end, _)| (*start, *end));
    let chars = |at: usize| offset + text[..at].chars().count();
    let citation = |(start, end, page): (usize, usize, &SearchPage)| Citation {
        start: chars(start),
        ..Citation::new(&page.url, Some(page.title.as_str()), chars(end))
    };
    found.into_iter().take(Citations::MAX).map(citation).collect()
}
