//! Client of the gateway's search provider: SearXNG, Tavily or Brave Search.

use std::time::Duration;

use appcore::{Secret, config::SearchProviderKind};
use outgoing::{FetchLimits, Outgoing, OutgoingError, OutgoingRequest};
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{SearchPage, WebSearchTool};

/// Limits of a search request. Redirects are refused, because the key is sent in a header.
const LIMITS: FetchLimits =
    FetchLimits { max_bytes: 1024 * 1024, timeout: Duration::from_secs(10), redirects: 0, truncates: false };
/// Maximum number of pages of a search.
const MAX_PAGES: usize = 5;
/// Maximum lengths, in characters.
const MAX_QUERY_CHARS: usize = 400;
const MAX_TITLE_CHARS: usize = 200;
const MAX_TEXT_CHARS: usize = 1_000;
/// Maximum length of a URL, in bytes.
const MAX_URL_LEN: usize = 2_000;

/// Settings of the gateway's search provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchSettings {
    pub kind: SearchProviderKind,
    /// Base URL; the kind's public service if unset.
    pub url: Option<Url>,
    pub key: Option<Secret>,
}

/// Reason why a search has no result. It contains neither the query nor the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SearchError {
    #[error("{0}")]
    Fetch(#[from] OutgoingError),
    #[error("the search provider answered with status {0}")]
    Status(StatusCode),
    #[error("the answer of the search provider can't be read")]
    Garbled,
}

/// Client of the search provider.
pub(crate) struct SearchClient {
    kind: SearchProviderKind,
    endpoint: Url,
    headers: HeaderMap,
    outgoing: Outgoing,
}

impl SearchClient {
    /// Creates the client. `None` if the URL or the key is unusable.
    pub fn build(settings: &SearchSettings, outgoing: Outgoing) -> Option<Self> {
        let (public, path) = match settings.kind {
            SearchProviderKind::Searxng => (None, "search"),
            SearchProviderKind::Tavily => (Some("https://api.tavily.com"), "search"),
            SearchProviderKind::Brave => (Some("https://api.search.brave.com"), "res/v1/web/search"),
        };
        let mut endpoint = match &settings.url {
            Some(url) => url.clone(),
            None => Url::parse(public?).ok()?,
        };
        endpoint.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.key {
            let (name, value) = match settings.kind {
                SearchProviderKind::Brave => (HeaderName::from_static("x-subscription-token"), key.expose().to_owned()),
                SearchProviderKind::Searxng | SearchProviderKind::Tavily => {
                    (AUTHORIZATION, format!("Bearer {}", key.expose()))
                }
            };
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Some(Self { kind: settings.kind, endpoint, headers, outgoing })
    }

    /// Searches the web.
    pub async fn search(&self, query: &str, tool: &WebSearchTool) -> Result<Vec<SearchPage>, SearchError> {
        let query: String = query.chars().take(MAX_QUERY_CHARS).collect();
        let response = self.outgoing.send(self.request(&query, tool), LIMITS).await?;
        if !response.status.is_success() {
            return Err(SearchError::Status(response.status));
        }
        let body: Value = serde_json::from_slice(&response.body).map_err(|_| SearchError::Garbled)?;
        self.pages(&body, tool).ok_or(SearchError::Garbled)
    }

    fn request(&self, query: &str, tool: &WebSearchTool) -> OutgoingRequest {
        let mut request = OutgoingRequest::get(self.endpoint.clone());
        request.headers.clone_from(&self.headers);
        match self.kind {
            SearchProviderKind::Searxng => {
                request.url.query_pairs_mut().append_pair("q", query).append_pair("format", "json");
            }
            SearchProviderKind::Brave => {
                request.url.query_pairs_mut().append_pair("q", query);
            }
            SearchProviderKind::Tavily => {
                let mut body = json!({"query": query, "max_results": MAX_PAGES});
                for (name, domains) in
                    [("include_domains", &tool.allowed_domains), ("exclude_domains", &tool.blocked_domains)]
                {
                    if !domains.is_empty() {
                        body[name] = domains.clone().into();
                    }
                }
                request.method = Method::POST;
                request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                request.body = body.to_string().into();
            }
        }
        request
    }

    /// Reads the pages of an answer; `None` if it has no list of results.
    fn pages(&self, body: &Value, tool: &WebSearchTool) -> Option<Vec<SearchPage>> {
        let (results, text) = match self.kind {
            SearchProviderKind::Searxng | SearchProviderKind::Tavily => (&body["results"], "content"),
            // Brave leaves `web` out if nothing was found.
            SearchProviderKind::Brave if body.is_object() && body["web"].is_null() => return Some(Vec::new()),
            SearchProviderKind::Brave => (&body["web"]["results"], "description"),
        };
        let pages = results.as_array()?.iter().filter_map(|result| page(result, text));
        Some(pages.filter(|page| tool.admits(page)).take(MAX_PAGES).collect())
    }
}

/// Reads a result whose excerpt is in the field `text`. `None` without a URL of the web.
fn page(result: &Value, text: &str) -> Option<SearchPage> {
    let url = result["url"].as_str().filter(|url| url.len() <= MAX_URL_LEN)?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return None;
    }
    let shortened = |name: &str, most: usize| {
        let said = result[name].as_str().unwrap_or_default();
        // Brave marks the words of the query.
        said.replace("<strong>", "").replace("</strong>", "").trim().chars().take(most).collect::<String>()
    };
    let title = Some(shortened("title", MAX_TITLE_CHARS)).filter(|title| !title.is_empty());
    Some(SearchPage {
        url: url.to_owned(),
        title: title.unwrap_or_else(|| url.to_owned()),
        text: shortened(text, MAX_TEXT_CHARS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(kind: SearchProviderKind, url: Option<&str>) -> SearchClient {
        let url = url.map(|url| url.parse().unwrap());
        let settings = SearchSettings { kind, url, key: Some(Secret::new("secret-key".to_owned())) };
        let outgoing = Outgoing::new(&appcore::config::Outgoing::default()).unwrap();
        SearchClient::build(&settings, outgoing).unwrap()
    }

    fn found(kind: SearchProviderKind, url: Option<&str>, body: &Value, tool: &WebSearchTool) -> Option<Vec<String>> {
        let pages = client(kind, url).pages(body, tool)?;
        Some(pages.into_iter().map(|SearchPage { url, title, text }| format!("{url} {title} {text}")).collect())
    }

    #[test]
    fn writes_requests_of_each_provider() {
        let tool = WebSearchTool { allowed_domains: vec!["e.org".to_owned()], ..WebSearchTool::default() };
        for (kind, url, expected, header, body) in [
            (
                SearchProviderKind::Searxng,
                Some("https://find.example.org/base/"),
                "https://find.example.org/base/search?q=a+b%26c&format=json",
                ("authorization", "Bearer secret-key"),
                Value::Null,
            ),
            (
                SearchProviderKind::Tavily,
                None,
                "https://api.tavily.com/search",
                ("authorization", "Bearer secret-key"),
                json!({"query": "a b&c", "max_results": 5, "include_domains": ["e.org"]}),
            ),
            (
                SearchProviderKind::Brave,
                None,
                "https://api.search.brave.com/res/v1/web/search?q=a+b%26c",
                ("x-subscription-token", "secret-key"),
                Value::Null,
            ),
        ] {
            let request = client(kind, url).request("a b&c", &tool);
            assert_eq!(request.url.as_str(), expected);
            assert_eq!(request.headers[header.0], header.1);
            assert!(!format!("{:?}", request.headers).contains("secret-key"), "the key is never logged");
            assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap_or_default(), body);
        }
    }

    #[test]
    fn reads_and_limits_results() {
        let results = json!([
            {"url": "https://e.org/a", "title": "A", "content": "x".repeat(2_000), "description": "About <strong>a</strong>"},
            {"url": "javascript:alert(1)", "title": "B"}, {"title": "no address"},
            {"url": "https://other.org", "content": "y", "description": "y"}]);
        let (searxng, any) = (Some("https://find.example.org"), WebSearchTool::default());
        let read = found(SearchProviderKind::Searxng, searxng, &json!({ "results": results }), &any).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].len(), "https://e.org/a A ".len() + MAX_TEXT_CHARS);
        assert_eq!(read[1], "https://other.org https://other.org y", "the URL replaces a missing title");
        let brave = found(SearchProviderKind::Brave, None, &json!({"web": {"results": results}}), &any).unwrap();
        assert_eq!(brave[0], "https://e.org/a A About a");
        assert_eq!(found(SearchProviderKind::Brave, None, &json!({"query": {}}), &any), Some(Vec::new()));
        assert_eq!(found(SearchProviderKind::Tavily, None, &json!({"detail": "no"}), &any), None);
        let many: Vec<Value> = (0..50).map(|at| json!({"url": format!("https://e.org/{at}")})).collect();
        assert_eq!(
            found(SearchProviderKind::Tavily, None, &json!({ "results": many }), &any).unwrap().len(),
            MAX_PAGES
        );
    }

    #[test]
    fn applies_domain_filters() {
        let results = json!({"results": [{"url": "https://www.e.org/a"}, {"url": "https://note.org"}, {"url": "https://fake-e.org"}]});
        let hosts = |allowed: &[&str], blocked: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let tool = WebSearchTool {
                allowed_domains: list(allowed),
                blocked_domains: list(blocked),
                ..WebSearchTool::default()
            };
            found(SearchProviderKind::Tavily, None, &results, &tool).unwrap().len()
        };
        assert_eq!([hosts(&["e.org"], &[]), hosts(&[], &["e.org"]), hosts(&["e.org"], &["www.e.org"])], [1, 2, 0]);
    }
}
