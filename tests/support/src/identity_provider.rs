//! Identity provider for tests (`tests/idp`), and a browser that signs in there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::application::Setup;
use crate::place::{PATIENCE, program};

/// Maximum number of pages that the browser visits at a provider.
const MOST_STEPS: usize = 12;

/// Process of the provider. It is killed on drop.
pub struct IdentityProvider {
    _child: Child,
    issuers: Value,
    http: Client,
}

/// Request with which a provider sends the browser back.
#[derive(Clone, Debug)]
pub struct SentBack {
    pub address: Url,
    /// True if it is a form that is posted, false for a redirect.
    pub by_form: bool,
    pub fields: BTreeMap<String, String>,
}

impl IdentityProvider {
    /// Starts a provider that accepts these redirect URIs only.
    pub async fn start(redirect_uris: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../idp");
        assert!(folder.join("node_modules").exists(), "tests/idp is not installed: scripts/test installs it");
        let mut child = Command::new(program("node", &[]))
            .arg("server.mjs")
            .args(redirect_uris)
            .current_dir(folder)
            // The process ends when its standard input is closed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let issuers = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the provider starts in time");
            let line = line.expect("its output can be read").expect("provider prints its address");
            if let Ok(issuers) = serde_json::from_str(&line) {
                break issuers;
            }
        };
        let http = Client::builder().no_proxy().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        Self { _child: child, issuers, http: http.expect("client created") }
    }

    /// Returns the URL of the issuer `oidc`, `microsoft` or `apple`.
    #[must_use]
    pub fn issuer(&self, kind: &str) -> &str {
        self.issuers[kind].as_str().expect("an issuer of this kind")
    }

    /// Returns a field of the client registration: `id`, `secret`, or one of Apple's fields.
    #[must_use]
    pub fn client(&self, field: &str) -> &str {
        self.issuers["client"][field].as_str().expect("known credentials")
    }

    /// Sends an instruction to an issuer; `tests/idp/server.mjs` lists the possible ones.
    pub async fn order(&self, kind: &str, order: Value) -> Value {
        let answer = self.http.post(format!("{}/control", self.issuer(kind))).body(order.to_string()).send().await;
        answer.expect("the provider answers").json().await.expect("JSON")
    }

    /// Sets the claims about a user.
    pub async fn knows(&self, kind: &str, name: &str, claims: Value) {
        self.order(kind, json!({ "people": { name: claims } })).await;
    }

    /// Returns an ID token with these claims. It has a defect if the claims name one.
    pub async fn token(&self, kind: &str, claims: Value) -> String {
        let answer = self.order(kind, json!({ "token": claims })).await;
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Signs in as `name` in a new browser; returns the request that leads back.
    pub async fn sign_in(&self, authorization: &str, name: &str) -> SentBack {
        let mut browser = Browser { http: self.http.clone(), cookies: BTreeMap::new() };
        let provider = Url::parse(authorization).expect("an address");
        let mut response = browser.send(browser.http.get(provider.clone())).await;
        for _ in 0..MOST_STEPS {
            if let Some(location) = response.headers().get(LOCATION) {
                let location = location.to_str().expect("an address");
                let next = response.url().join(location).expect("an address");
                if next.origin() != provider.origin() {
                    let fields = next.query_pairs().into_owned().collect();
                    return SentBack { address: next, by_form: false, fields };
                }
                response = browser.send(browser.http.get(next)).await;
                continue;
            }
            assert_eq!(response.status(), StatusCode::OK, "{}", response.url());
            let page = response.text().await.expect("a page");
            let action = Url::parse(&attribute(&page, "<form", "action").expect("a form")).expect("its address");
            if action.origin() != provider.origin() {
                return SentBack { address: action, by_form: true, fields: hidden_fields(&page) };
            }
            let mut fields = hidden_fields(&page);
            fields.extend([("login".to_owned(), name.to_owned()), ("password".to_owned(), "any".to_owned())]);
            response = browser.send(browser.http.post(action).header("content-type", FORM).body(form(&fields))).await;
        }
        panic!("too many redirects at the provider");
    }
}

impl Setup {
    /// Configures this issuer under the name `name`. For `apple`, the client secret is of Apple's
    /// kind.
    #[must_use]
    pub fn identity_provider(self, name: &str, kind: &str, provider: &IdentityProvider, folder: &Path) -> Self {
        let key = |what: &str| format!("auth.oauth.{name}.{what}");
        let setup = self
            .set(&key("kind"), kind)
            .set(&key("issuer"), provider.issuer(if kind == "google" { "oidc" } else { kind }))
            .set(&key("client_id"), provider.client("id"));
        if kind != "apple" {
            return setup.set(&key("client_secret"), provider.client("secret"));
        }
        let file = folder.join("apple.p8");
        std::fs::write(&file, provider.client("apple_key")).expect("file written");
        setup
            .set(&key("team_id"), provider.client("team_id"))
            .set(&key("key_id"), provider.client("key_id"))
            .set(&key("private_key_file"), file.display())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn send(&mut self, request: RequestBuilder) -> Response {
        let header: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, header.join("; ")).send().await.expect("the provider answers");
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }
}

/// Encodes the body of a form.
#[must_use]
pub fn form(fields: &BTreeMap<String, String>) -> String {
    let mut url = Url::parse("http://form.invalid").expect("an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn hidden_fields(page: &str) -> BTreeMap<String, String> {
    page.split("<input")
        .skip(1)
        .filter_map(|input| {
            let tag = format!("<input{}", input.split('>').next()?);
            Some((attribute(&tag, "<input", "name")?, attribute(&tag, "<input", "value")?))
        })
        .collect()
}

/// Returns an attribute of the first `tag` on the page.
fn attribute(page: &str, tag: &str, name: &str) -> Option<String> {
    let tag = page.split(tag).nth(1)?.split('>').next()?;
    let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&amp;", "&"))
}
