//! HTTP caller, and the responses it gets.

use std::fmt;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::place::PATIENCE;

/// Credentials of a caller.
#[derive(Clone, Debug)]
pub enum Credentials {
    None,
    Bearer(String),
    /// All cookies that were received, and the origin of the page.
    Cookies {
        header: String,
        origin: String,
    },
}

/// HTTP client for one server.
#[derive(Clone)]
pub struct Caller {
    http: Client,
    base: String,
    pub credentials: Credentials,
}

/// Response, whatever its status is.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// Body if it is JSON, otherwise `null`.
    pub body: Value,
    asked: String,
}

impl Caller {
    #[must_use]
    pub fn anonymous(base: &str) -> Self {
        Self::new(base, Credentials::None)
    }

    #[must_use]
    pub fn new(base: &str, credentials: Credentials) -> Self {
        let http = Client::builder()
            .no_proxy()
            // Doesn't load the root certificates of the system, which takes 20 ms.
            .tls_certs_only([])
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("client created");
        Self { http, base: base.trim_end_matches('/').to_owned(), credentials }
    }

    /// Returns a caller with the same credentials at another instance.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Builds a request with the credentials of the caller. It may be changed before it is sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        request.headers(self.headers())
    }

    /// Returns the headers with the credentials.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, text: &str| {
            headers.insert(name, HeaderValue::from_str(text).expect("credentials are plain text"));
        };
        match &self.credentials {
            Credentials::None => {}
            Credentials::Bearer(token) => put(AUTHORIZATION, &format!("Bearer {token}")),
            Credentials::Cookies { header, origin } => {
                put(COOKIE, header);
                put(ORIGIN, origin);
                put(HeaderName::from_static("x-natter-transport"), "cookie");
            }
        }
        headers
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("valid request");
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        Answer::read(asked, response).await
    }

    /// Sends a request and reads the body only if the response is an error, because the body may
    /// never end.
    pub async fn begin(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("valid request");
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        if response.status().is_success() {
            return Answer::of(asked, response.status().as_u16(), response.headers().clone(), Vec::new());
        }
        Answer::read(asked, response).await
    }

    /// Sends a request; returns the response or the error of the connection. For tests that kill
    /// the server.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        Ok(Answer::of(asked, status, headers, bytes))
    }
}

impl Answer {
    async fn read(asked: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}")).to_vec();
        Self::of(asked, status, headers, bytes)
    }

    fn of(asked: String, status: u16, headers: HeaderMap, bytes: Vec<u8>) -> Self {
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status, headers, bytes, body, asked }
    }

    /// Returns the data of a successful response; panics for any other response.
    #[track_caller]
    pub fn data(self) -> Value {
        assert!((200..300).contains(&self.status) && self.body["status"] == "success", "{self:?}");
        self.body["data"].clone()
    }

    /// Returns the data of a response; panics unless it has exactly this status.
    #[track_caller]
    pub fn data_with(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.data()
    }

    /// Panics unless the response is this error, with a complete body.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.body["status"], "error", "{self:?}");
        assert!(self.body["data"].is_null(), "{self:?}");
        assert!(self.body["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert_eq!(self.body["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").is_some(), "{self:?} has no Retry-After");
        }
        self
    }

    /// Panics unless the response states that this field is invalid (422).
    #[track_caller]
    pub fn names_field(&self, field: &str) -> &Self {
        self.refused(422, "invalid");
        let fields = self.body["errors"].as_array().cloned().unwrap_or_default();
        assert!(fields.iter().any(|one| one["field"] == field), "{self:?} doesn't name {field}");
        self
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Returns all cookies that the response sets, as `name=value; …`.
    #[must_use]
    pub fn cookies(&self) -> String {
        let cookies = self.headers.get_all("set-cookie").iter();
        cookies
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .filter(|pair| !pair.ends_with('='))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} {}", self.asked, self.status, self.text())
    }
}
