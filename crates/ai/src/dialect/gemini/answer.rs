//! Parser of `generateContent` answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::audio;
use crate::{
    AiError, Finish, Usage,
    canonical::{Citation, Citations, Event, Reader},
    dialect::{
        fields::lenient_count,
        openai_chat::{finish_error, new_call_id},
    },
    provider_http::failure::{self, Failure},
    web_search::{SearchPage, SearchRun},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    candidates: Option<Vec<Candidate>>,
    usage_metadata: Option<UsageMetadata>,
    prompt_feedback: Option<PromptFeedback>,
    model_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    index: Option<Value>,
    content: Option<Content>,
    finish_reason: Option<String>,
    logprobs_result: Option<LogprobsResult>,
    /// Web pages that the text cites. Parsed leniently, because a malformed citation must not fail
    /// the answer.
    grounding_metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    inline_data: Option<InlineData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InlineData {
    mime_type: Option<String>,
    data: Option<String>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    args: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogprobsResult {
    #[serde(default)]
    chosen_candidates: Vec<Chosen>,
    #[serde(default)]
    top_candidates: Vec<Top>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    log_probability: f64,
}

#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Chosen>,
}

/// Parsed leniently, because malformed usage must not fail the answer.
#[derive(Deserialize)]
#[serde(from = "Value")]
pub(crate) struct UsageMetadata(Usage);

/// Audio tokens; `None` if not reported.
fn audio_tokens(counts: &Value) -> Option<u64> {
    let heard = counts.as_array()?.iter().filter(|count| count["modality"] == "AUDIO");
    heard.filter_map(|count| lenient_count(&count["tokenCount"])).reduce(u64::saturating_add)
}

impl From<Value> for UsageMetadata {
    fn from(said: Value) -> Self {
        let count = |name: &str| lenient_count(&said[name]);
        let sum = |counts: [Option<u64>; 2]| counts.into_iter().flatten().reduce(u64::saturating_add);
        let (heard, spoken) =
            (audio_tokens(&said["promptTokensDetails"]), audio_tokens(&said["candidatesTokensDetails"]));
        Self(Usage {
            input: sum([count("promptTokenCount"), count("toolUsePromptTokenCount")]),
            cached: count("cachedContentTokenCount"),
            output: sum([count("candidatesTokenCount"), count("thoughtsTokenCount")]),
            reasoning: count("thoughtsTokenCount"),
            audio: sum([heard, spoken]),
            audio_output: spoken,
            ..Usage::default()
        })
    }
}

impl From<UsageMetadata> for Usage {
    fn from(usage: UsageMetadata) -> Self {
        usage.0
    }
}

/// Parses `GenerateContentResponse`s, streamed or whole.
#[derive(Debug, Default)]
pub(crate) struct GeminiReader {
    /// Number of tool calls so far, per candidate.
    calls: BTreeMap<u32, u32>,
    /// Text so far, per candidate.
    texts: BTreeMap<u32, String>,
    citations: Citations,
    /// Queries of the web searches so far.
    queries: Vec<String>,
    /// True if Google bills one search for an answer, however many queries it takes.
    bills_answers: bool,
}

impl Reader for GeminiReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        if data.trim_ascii().is_empty() { Ok(()) } else { self.read_whole(data, out) }
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&value) {
            return Err(failure);
        }
        let frames = match value {
            // Without `alt=sse` a stream arrives as an array of frames.
            Value::Array(frames) => frames,
            frame => vec![frame],
        };
        for frame in frames {
            let frame = serde_json::from_value(frame).map_err(|_| AiError::Garbled)?;
            self.read_frame(frame, out)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// True if Google bills a search for each answer of this model instead of each query
/// (<https://ai.google.dev/gemini-api/docs/pricing>).
pub(super) fn bills_answers(model: &str) -> bool {
    ["gemini-1", "gemini-2"].iter().any(|old| model.starts_with(old))
}

/// Queries of web searches in `groundingMetadata`. Empty ones aren't billed.
pub(super) fn search_queries(grounding: &Value) -> impl Iterator<Item = &str> {
    list(&grounding["webSearchQueries"]).iter().filter_map(Value::as_str).filter(|query| !query.is_empty())
}

impl GeminiReader {
    fn read_frame(&mut self, frame: Frame, out: &mut Vec<Event>) -> Result<(), AiError> {
        self.bills_answers |= frame.model_version.as_deref().is_some_and(bills_answers);
        let candidates = frame.candidates.unwrap_or_default();
        let is_blocked = frame.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        if is_blocked && candidates.is_empty() {
            out.push(Event::Finish { choice: 0, finish: Finish::Filtered, stop_sequence: None });
        }
        for candidate in candidates {
            let choice = candidate
                .index
                .as_ref()
                .and_then(lenient_count)
                .and_then(|index| u32::try_from(index).ok())
                .unwrap_or(0);
            for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
                self.read_part(choice, part, out);
            }
            if let Some(grounding) = &candidate.grounding_metadata {
                self.read_citations(choice, grounding, out);
                self.read_searches(choice, grounding, out);
            }
            if let Some(logprobs) = candidate.logprobs_result {
                out.push(Event::Logprobs { choice, tokens: read_logprobs(&logprobs) });
            }
            if let Some(reason) = &candidate.finish_reason {
                out.push(Event::Finish { choice, finish: read_finish(reason)?, stop_sequence: None });
            }
        }
        if let Some(usage) = frame.usage_metadata {
            out.push(Event::Usage(usage.into()));
        }
        Ok(())
    }

    fn read_citations(&mut self, choice: u32, grounding: &Value, out: &mut Vec<Event>) {
        let text = self.texts.get(&choice).map_or("", String::as_str);
        let pages: Vec<_> = list(&grounding["groundingChunks"]).iter().map(web_page).collect();
        for support in list(&grounding["groundingSupports"]) {
            let Some((start, end)) = segment_range(text, &support["segment"]) else { continue };
            let indexes = list(&support["groundingChunkIndices"]).iter().filter_map(Value::as_u64);
            for (url, title) in indexes.filter_map(|index| *pages.get(usize::try_from(index).ok()?)?) {
                self.citations.add(choice, Citation { start, ..Citation::new(url, title, end) }, out);
            }
        }
        let length = text.chars().count();
        for (url, title) in pages.into_iter().flatten() {
            if !self.citations.has_url(choice, url) {
                self.citations.add(choice, Citation::new(url, title, length), out);
            }
        }
    }

    /// Reads the queries of web searches, which later frames repeat. The pages belong to all queries;
    /// the first one gets them.
    fn read_searches(&mut self, choice: u32, grounding: &Value, out: &mut Vec<Event>) {
        for query in search_queries(grounding) {
            if self.queries.len() == Citations::MAX || self.queries.iter().any(|known| known == query) {
                continue;
            }
            let pages = if self.queries.is_empty() { list(&grounding["groundingChunks"]) } else { &[] };
            let page = |(url, title): (&str, Option<&str>)| SearchPage {
                url: url.to_owned(),
                title: title.unwrap_or(url).to_owned(),
                text: String::new(),
            };
            let pages = pages.iter().filter_map(web_page).map(page).collect();
            self.queries.push(query.to_owned());
            out.push(Event::Search { choice, run: SearchRun { query: query.to_owned(), pages, error: None } });
            let searches = Some(if self.bills_answers { 1 } else { self.queries.len() as u64 });
            out.push(Event::Usage(Usage { searches, ..Usage::default() }));
        }
    }

    fn read_part(&mut self, choice: u32, part: Part, out: &mut Vec<Event>) {
        let is_thought = part.thought.unwrap_or(false);
        if let Some(text) = part.text.filter(|text| !text.is_empty()) {
            if !is_thought {
                self.texts.entry(choice).or_default().push_str(&text);
            }
            out.push(if is_thought { Event::Thinking { choice, text } } else { Event::Text { choice, text } });
        }
        // Images within thoughts are drafts and are not passed on.
        if let Some(InlineData { mime_type: Some(mime), data: Some(data) }) = part.inline_data
            && !is_thought
        {
            if mime.starts_with("image/") {
                out.push(Event::Picture { choice, mime, data });
            } else if let Some(audio) = audio::read_pcm(&mime, &data) {
                out.push(Event::Audio { choice, audio });
            }
        }
        if let Some(call) = part.function_call {
            let count = self.calls.entry(choice).or_default();
            let tool = *count;
            *count += 1;
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(new_call_id);
            out.push(Event::Call { choice, tool, id, name: call.name, signature: part.thought_signature });
            let json = call.args.filter(Value::is_object).unwrap_or_else(|| json!({})).to_string();
            out.push(Event::Arguments { choice, tool, json });
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// URL and title of a web page.
fn web_page(chunk: &Value) -> Option<(&str, Option<&str>)> {
    let web = &chunk["web"];
    let url = web["uri"].as_str().filter(|url| !url.is_empty())?;
    Some((url, web["title"].as_str()))
}

/// Range of a segment in characters. Gemini counts the bytes of one part; the segment's own text
/// tells whether they fit the whole text.
fn segment_range(text: &str, segment: &Value) -> Option<(usize, usize)> {
    let said = segment["text"].as_str().filter(|said| !said.is_empty());
    let index = |name: &str| usize::try_from(segment[name].as_u64().unwrap_or(0)).ok();
    let (start, end) = (index("startIndex")?, index("endIndex")?);
    let counted = text.get(start..end).filter(|counted| said.map_or(!counted.is_empty(), |said| said == *counted));
    let (start, segment) = match counted {
        Some(counted) => (start, counted),
        None => (text.find(said?)?, said?),
    };
    let start = text[..start].chars().count();
    Some((start, start + segment.chars().count()))
}

fn read_logprobs(result: &LogprobsResult) -> Vec<Value> {
    let token = |chosen: &Chosen| json!({"token": chosen.token, "logprob": chosen.log_probability, "bytes": chosen.token.as_bytes()});
    let write = |(index, chosen): (usize, &Chosen)| {
        let top: Vec<Value> =
            result.top_candidates.get(index).map(|top| top.candidates.iter().map(token).collect()).unwrap_or_default();
        let mut written = token(chosen);
        written["top_logprobs"] = top.into();
        written
    };
    result.chosen_candidates.iter().enumerate().map(write).collect()
}

pub(super) fn read_finish(reason: &str) -> Result<Finish, AiError> {
    if let Some(error) = finish_error(reason) {
        return Err(error);
    }
    match reason {
        "MAX_TOKENS" => Ok(Finish::Length),
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "OTHER" => {
            Ok(Finish::Filtered)
        }
        image if image.starts_with("IMAGE_") => Ok(Finish::Filtered),
        _ => Ok(Finish::Stop),
    }
}
