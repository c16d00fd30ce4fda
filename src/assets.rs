//! The web app, built into the program.
//!
//! The build's files are compressed beforehand; the caller gets the smallest form that it can read. Names under `immutable` hold
//! the hash of what is in them and may be kept for ever; the page itself is asked for each time. A path that is no file is a
//! view of the app, and gets the page.

use std::fmt::Write as _;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{
            ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            HeaderName, IF_NONE_MATCH, VARY,
        },
    },
};
use appcore::{AppError, Code};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

/// Empty where the program was built without it.
#[derive(RustEmbed)]
#[folder = "frontend/build"]
#[allow_missing = true]
struct WebApp;

const PAGE: &str = "index.html";
/// Never a view of the app: whoever asks for one of these and gets a page would be misled.
const RESERVED: [&str; 8] = ["r1", "v1", "health", "metrics", "socket.io", "docs", ".well-known", "_app"];
const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";
const FOR_AN_HOUR: &str = "public, max-age=3600";

/// The forms of a file, smallest first.
const FORMS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Answers whatever no route answers.
pub async fn serve(http: HttpRequest) -> HttpResponse {
    let path = http.path().trim_start_matches('/');
    if !matches!(*http.method(), Method::GET | Method::HEAD) {
        return endpoint::failure(&http, &Code::NotFound.into());
    }
    if !path.is_empty() && FORMS.iter().all(|(_, ending)| !path.ends_with(ending)) && WebApp::get(path).is_some() {
        return file(&http, path);
    }
    let reserved = path.split('/').next().is_some_and(|first| RESERVED.contains(&first));
    if path.is_empty() || (!reserved && wants_page(&http)) {
        return match WebApp::get(PAGE) {
            Some(_) => file(&http, PAGE),
            None => endpoint::failure(
                &http,
                &AppError::refused(
                    Code::NotFound,
                    "This program was built without the web app. Build frontend/ first.",
                ),
            ),
        };
    }
    endpoint::failure(&http, &Code::NotFound.into())
}

fn wants_page(http: &HttpRequest) -> bool {
    header(http, &ACCEPT).contains("text/html")
}

fn file(http: &HttpRequest, path: &str) -> HttpResponse {
    let Some(plain) = WebApp::get(path) else { return endpoint::failure(http, &Code::NotFound.into()) };
    let chosen = FORMS
        .iter()
        .filter(|(name, _)| accepts(http, name))
        .find_map(|(name, ending)| Some((*name, WebApp::get(&format!("{path}{ending}"))?)));
    let tag = tag(&plain, chosen.as_ref().map(|(name, _)| *name));
    let known = header(http, &IF_NONE_MATCH).split(',').any(|candidate| {
        matches!(candidate.trim().trim_start_matches("W/"), "*") || candidate.trim().trim_start_matches("W/") == tag
    });
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, lifetime(path)))
        .insert_header((VARY, "Accept-Encoding"));
    if path.ends_with(".html") {
        response.insert_header((CONTENT_SECURITY_POLICY, policy(&plain.data)));
    }
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, content_type(&plain)));
    match chosen {
        Some((name, small)) => response.insert_header((CONTENT_ENCODING, name)).body(small.data.into_owned()),
        None => response.body(plain.data.into_owned()),
    }
}

fn header<'a>(http: &'a HttpRequest, name: &HeaderName) -> &'a str {
    http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn accepts(http: &HttpRequest, encoding: &str) -> bool {
    header(http, &ACCEPT_ENCODING).split(',').any(|part| {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let refused = parameters.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

/// Another form is another entity.
fn tag(file: &EmbeddedFile, form: Option<&str>) -> String {
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(12) {
        let _ = write!(tag, "{byte:02x}");
    }
    if let Some(form) = form {
        tag.push('-');
        tag.push_str(form);
    }
    tag.push('"');
    tag
}

fn lifetime(path: &str) -> &'static str {
    if path.starts_with("_app/immutable/") {
        FOREVER
    } else if path.ends_with(".html") || path.ends_with(".json") || path.contains("service-worker") {
        ASK_EACH_TIME
    } else {
        FOR_AN_HOUR
    }
}

fn content_type(file: &EmbeddedFile) -> String {
    let kind = file.metadata.mimetype();
    let is_text =
        kind.starts_with("text/") || matches!(kind, "application/javascript" | "application/json" | "image/svg+xml");
    if is_text { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

/// Only our own scripts run. Those that stand in the page itself are named by their hash.
fn policy(page: &[u8]) -> String {
    let mut scripts = String::from("'self'");
    for script in inline_scripts(&String::from_utf8_lossy(page)) {
        let _ = write!(scripts, " 'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())));
    }
    format!(
        "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; \
         connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

fn inline_scripts(page: &str) -> impl Iterator<Item = &str> {
    page.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=")).then_some(script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_each_inline_script_by_its_hash() {
        let page = b"<head><script src=\"/a.js\"></script><script>\n1\n</script></head><script type=\"module\">alert(2)</script>";
        assert_eq!(inline_scripts(std::str::from_utf8(page).unwrap()).collect::<Vec<_>>(), ["\n1\n", "alert(2)"]);
        let policy = policy(page);
        // echo -n 'alert(2)' | openssl dgst -sha256 -binary | base64
        assert!(policy.contains("'sha256-4axlHpxgDbFzJObpXPFZgZhULrEGgJiud3OwxN9unHg='"), "{policy}");
        assert!(!policy.contains("script-src 'self' 'unsafe-inline'"));
    }

    #[test]
    fn what_holds_a_hash_is_kept_and_the_page_is_not() {
        assert_eq!(lifetime("_app/immutable/entry/start.abc.js"), FOREVER);
        assert_eq!(lifetime("index.html"), ASK_EACH_TIME);
        assert_eq!(lifetime("_app/version.json"), ASK_EACH_TIME);
    }
}
