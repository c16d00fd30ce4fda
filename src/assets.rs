//! Web app, embedded in the program.
//!
//! Files are compressed at build time. A client gets the smallest encoding that it accepts. Names
//! under `immutable` contain a content hash and may be cached forever; the page of the app is
//! revalidated each time. For a path that isn't a file, the page is served, because such a path is
//! a view of the app.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::OnceLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{
            ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            HeaderName, IF_NONE_MATCH, VARY, X_FRAME_OPTIONS,
        },
    },
    web::{Bytes, Data},
};
use app::App;
use appcore::{AppError, Code};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::embedded::{AssetSource, WEB_APP, media_type};

const PAGE: &str = "index.html";
/// Page that the app embeds as a frame in order to show artifacts of assistants.
const ARTIFACT: &str = "artifact.html";
/// Content security policy of artifacts. It makes them a separate origin without network access,
/// which only pages of the app can embed.
const ARTIFACT_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     img-src data: blob:; media-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// Content security policy of Swagger UI, which sets styles by script.
const DOCS_POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; \
     frame-ancestors 'none'; base-uri 'none'";
/// Folder of Swagger UI. Programs without the feature `swagger` don't serve it.
const DOCS: &str = "docs/";
/// Path prefixes that are never views of the app. An unknown path below them gets a 404 instead of
/// the page.
const RESERVED: [&str; 12] =
    ["r1", "v1", "v1beta", "v2", "api", "openai", "health", "metrics", "socket.io", "docs", ".well-known", "_app"];
const CACHE_IMMUTABLE: &str = "public, max-age=31536000, immutable";
const CACHE_REVALIDATE: &str = "no-cache";
const CACHE_ONE_HOUR: &str = "public, max-age=3600";

/// Encodings in which a file may be stored, with their suffixes; the smallest encoding first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Serves a file or the page of the app; fallback for paths without a route.
pub async fn serve(http: HttpRequest) -> HttpResponse {
    static BELOW: OnceLock<Option<BasePathPage>> = OnceLock::new();
    let path = http.app_data::<Data<App>>().map_or("", |app| app.config.server.base_path());
    let below = if path.is_empty() { None } else { BELOW.get_or_init(|| BasePathPage::of(&WEB_APP, path)).as_ref() };
    answer(&WEB_APP, &http, below)
}

/// Serves Swagger UI at `/docs/`.
#[cfg(feature = "swagger")]
pub async fn serve_docs(http: HttpRequest, path: actix_web::web::Path<String>) -> HttpResponse {
    docs(&WEB_APP, &http, &path)
}

#[cfg(feature = "swagger")]
fn docs(files: &AssetSource, http: &HttpRequest, path: &str) -> HttpResponse {
    let path = if path.is_empty() { PAGE } else { path };
    if path == PAGE && files.get(PAGE).is_none() {
        return not_built(http);
    }
    if is_compressed_form(path) {
        return endpoint::failure(http, &Code::NotFound.into());
    }
    file(files, http, &format!("{DOCS}{path}"))
}

fn answer(files: &AssetSource, http: &HttpRequest, below: Option<&BasePathPage>) -> HttpResponse {
    let path = http.path().trim_start_matches('/');
    if !matches!(*http.method(), Method::GET | Method::HEAD) {
        return endpoint::failure(http, &Code::NotFound.into());
    }
    if !path.is_empty() && !is_compressed_form(path) && !path.starts_with(DOCS) && files.get(path).is_some() {
        return file(files, http, path);
    }
    let reserved = path.split('/').next().is_some_and(|first| RESERVED.contains(&first));
    if path.is_empty() || (!reserved && wants_page(http)) {
        return match (below, files.get(PAGE)) {
            (Some(page), _) => page.answer(http),
            (None, Some(_)) => file(files, http, PAGE),
            (None, None) => not_built(http),
        };
    }
    endpoint::failure(http, &Code::NotFound.into())
}

fn not_built(http: &HttpRequest) -> HttpResponse {
    let error = AppError::refused(Code::NotFound, "This program was built without the web app. Build frontend/ first.");
    endpoint::failure(http, &error)
}

/// True if the path names the compressed form of a file. This form is served only under the path of
/// the file itself.
fn is_compressed_form(path: &str) -> bool {
    ENCODINGS.iter().any(|(_, ending)| path.ends_with(ending))
}

fn wants_page(http: &HttpRequest) -> bool {
    header(http, &ACCEPT).contains("text/html")
}

fn file(files: &AssetSource, http: &HttpRequest, path: &str) -> HttpResponse {
    let Some(plain) = files.get(path) else { return endpoint::failure(http, &Code::NotFound.into()) };
    let chosen = ENCODINGS
        .iter()
        .filter(|(name, _)| accepts(http, name))
        .find_map(|(name, ending)| Some((*name, files.get(&format!("{path}{ending}"))?)));
    let tag = etag(&plain.hash(), chosen.as_ref().map(|(name, _)| *name));
    let known = is_not_modified(http, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, cache_control(path)))
        .insert_header((VARY, "Accept-Encoding"));
    if path == ARTIFACT {
        response
            .insert_header((CONTENT_SECURITY_POLICY, ARTIFACT_POLICY))
            .insert_header((X_FRAME_OPTIONS, "SAMEORIGIN"));
    } else if path.starts_with(DOCS) {
        response.insert_header((CONTENT_SECURITY_POLICY, DOCS_POLICY));
    } else if path.ends_with(".html") {
        match plain.clone().data() {
            Ok(page) => response.insert_header((CONTENT_SECURITY_POLICY, content_security_policy(&page))),
            Err(error) => return endpoint::failure(http, &AppError::internal(error)),
        };
    } else if path.ends_with(".js") {
        // A worker has the policy that is sent with its own script, not that of the page that
        // started it.
        response.insert_header((CONTENT_SECURITY_POLICY, content_security_policy(&[])));
    }
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, media_type(path)));
    let (name, content) = chosen.map_or((None, plain), |(name, small)| (Some(name), small));
    match content.data() {
        Ok(data) => {
            if let Some(name) = name {
                response.insert_header((CONTENT_ENCODING, name));
            }
            response.body(data)
        }
        Err(error) => endpoint::failure(http, &AppError::internal(error)),
    }
}

/// True if the version that the client has cached is current.
fn is_not_modified(http: &HttpRequest, tag: &str) -> bool {
    header(http, &IF_NONE_MATCH).split(',').any(|candidate| {
        let candidate = candidate.trim().trim_start_matches("W/");
        candidate == "*" || candidate == tag
    })
}

/// Page of the app for a base path. The page is built for the root path and rewritten once.
struct BasePathPage {
    plain: Bytes,
    small: Bytes,
    hash: [u8; 32],
    policy: String,
}

impl BasePathPage {
    fn of(files: &AssetSource, path: &str) -> Option<Self> {
        let built = files.get(PAGE)?;
        let page = rewrite_base_path(std::str::from_utf8(&built.data().ok()?).ok()?, path);
        let small = gzip(page.as_bytes()).ok()?.into();
        let (hash, policy) = (Sha256::digest(page.as_bytes()).into(), content_security_policy(page.as_bytes()));
        Some(Self { plain: page.into(), small, hash, policy })
    }

    fn answer(&self, http: &HttpRequest) -> HttpResponse {
        let form = accepts(http, "gzip").then_some("gzip");
        let tag = etag(&self.hash, form);
        let known = is_not_modified(http, &tag);
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((ETAG, tag))
            .insert_header((CACHE_CONTROL, CACHE_REVALIDATE))
            .insert_header((VARY, "Accept-Encoding"))
            .insert_header((CONTENT_SECURITY_POLICY, self.policy.as_str()));
        if known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
        match form {
            Some(form) => response.insert_header((CONTENT_ENCODING, form)).body(self.small.clone()),
            None => response.body(self.plain.clone()),
        }
    }
}

fn gzip(page: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(page)?;
    encoder.finish()
}

/// Rewrites the base path in the page: in the settings for SvelteKit, and in the URLs of scripts
/// and other files.
fn rewrite_base_path(page: &str, path: &str) -> String {
    page.replace("base: \"\"", &format!("base: \"{path}\""))
        .replace("window.natterBase = '';", &format!("window.natterBase = '{path}';"))
        .replace(" href=\"/", &format!(" href=\"{path}/"))
        .replace("import(\"/", &format!("import(\"{path}/"))
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

/// Returns the `ETag` of a file. It contains the encoding, because each encoding needs a different
/// one.
fn etag(hash: &[u8; 32], form: Option<&str>) -> String {
    let mut tag = format!("\"{}", hex::encode(&hash[..12]));
    if let Some(form) = form {
        tag.push('-');
        tag.push_str(form);
    }
    tag.push('"');
    tag
}

fn cache_control(path: &str) -> &'static str {
    if path.starts_with("_app/immutable/") {
        CACHE_IMMUTABLE
    } else if path.ends_with(".html") || path.ends_with(".json") || path.contains("service-worker") {
        CACHE_REVALIDATE
    } else {
        CACHE_ONE_HOUR
    }
}

/// Returns the content security policy of a page. It allows only scripts of the app, and inline
/// scripts by their hash.
fn content_security_policy(page: &[u8]) -> String {
    let mut scripts = String::from("'self'");
    for script in inline_scripts(&String::from_utf8_lossy(page)) {
        let _ = write!(scripts, " 'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())));
    }
    format!(
        "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; \
         connect-src 'self'; worker-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
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
    use actix_web::{body::to_bytes, test::TestRequest};

    use super::*;

    #[test]
    fn policy_allows_inline_scripts_by_hash() {
        let page = b"<head><script src=\"/a.js\"></script><script>\n1\n</script></head><script type=\"module\">alert(2)</script>";
        assert_eq!(inline_scripts(std::str::from_utf8(page).unwrap()).collect::<Vec<_>>(), ["\n1\n", "alert(2)"]);
        let policy = content_security_policy(page);
        // Expected value: echo -n 'alert(2)' | openssl dgst -sha256 -binary | base64
        assert!(policy.contains("'sha256-4axlHpxgDbFzJObpXPFZgZhULrEGgJiud3OwxN9unHg='"), "{policy}");
        assert!(!policy.contains("script-src 'self' 'unsafe-inline'"));
    }

    /// Fixture that contains a small web app.
    static FIXTURE: AssetSource = AssetSource::Folder(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/web"));

    fn get(path: &str, headers: &[(&'static str, &'static str)]) -> HttpResponse {
        let request =
            headers.iter().fold(TestRequest::with_uri(path), |request, header| request.insert_header(*header));
        answer(&FIXTURE, &request.to_http_request(), None)
    }

    #[actix_web::test]
    async fn rewrites_the_page_for_a_base_path() {
        let built = concat!(
            "<link rel=\"icon\" href=\"/favicon.svg\" /><link href=\"/_app/a.css\" rel=\"stylesheet\">",
            "<script>window.natterBase = '';</script><a href=\"https://example.org/\"></a>",
            "<script>{ __sveltekit_1 = { base: \"\", version: \"1\" }; import(\"/_app/a.js\"); }</script>",
        );
        let expected = concat!(
            "<link rel=\"icon\" href=\"/chat/favicon.svg\" /><link href=\"/chat/_app/a.css\" rel=\"stylesheet\">",
            "<script>window.natterBase = '/chat';</script><a href=\"https://example.org/\"></a>",
            "<script>{ __sveltekit_1 = { base: \"/chat\", version: \"1\" }; import(\"/chat/_app/a.js\"); }</script>",
        );
        assert_eq!(rewrite_base_path(built, "/chat"), expected);

        let below = BasePathPage::of(&FIXTURE, "/chat").unwrap();
        let ask = |headers: &[(&'static str, &'static str)]| {
            let request =
                headers.iter().fold(TestRequest::with_uri("/c/1"), |request, header| request.insert_header(*header));
            answer(&FIXTURE, &request.insert_header(("accept", "text/html")).to_http_request(), Some(&below))
        };
        let page = ask(&[("accept-encoding", "gzip, br")]);
        assert_eq!((page.status().as_u16(), header_of(&page, "content-encoding")), (200, "gzip"));
        assert_eq!(header_of(&page, "content-security-policy"), content_security_policy(&below.plain));
        let tag: &'static str = header_of(&page, "etag").to_owned().leak();
        let mut read = Vec::new();
        let body = to_bytes(page.into_body()).await.unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body.as_ref()), &mut read).unwrap();
        assert_eq!(read, below.plain);
        assert_eq!(ask(&[("accept-encoding", "gzip"), ("if-none-match", tag)]).status().as_u16(), 304);
        let plain = ask(&[("if-none-match", tag)]);
        assert_eq!((plain.status().as_u16(), header_of(&plain, "content-encoding")), (200, ""));
    }

    fn header_of<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[actix_web::test]
    async fn serves_the_smallest_accepted_encoding() {
        let response = get("/_app/immutable/start.js", &[("accept-encoding", "gzip, br")]);
        assert_eq!(
            (header_of(&response, "content-encoding"), header_of(&response, "cache-control")),
            ("br", CACHE_IMMUTABLE)
        );
        assert_eq!(header_of(&response, "content-type"), "text/javascript; charset=utf-8");
        assert!(header_of(&response, "content-security-policy").contains("connect-src 'self'"), "a worker may fetch");
        let (tag, body) = (header_of(&response, "etag").to_owned(), to_bytes(response.into_body()).await.unwrap());
        assert_eq!(body, FIXTURE.get("_app/immutable/start.js.br").unwrap().data().unwrap());
        let response = get("/_app/immutable/start.js", &[("accept-encoding", "br;q=0, deflate")]);
        assert_eq!(header_of(&response, "content-encoding"), "");
        assert_ne!(header_of(&response, "etag"), tag, "another form is another entity");
        assert_eq!(header_of(&response, "vary"), "Accept-Encoding");
    }

    #[actix_web::test]
    async fn artifacts_are_sandboxed() {
        let response = get("/artifact.html", &[]);
        let policy = header_of(&response, "content-security-policy");
        assert!(policy.starts_with("sandbox allow-scripts; default-src 'none';"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'self'") && !policy.contains("allow-same-origin"), "{policy}");
        assert_eq!(header_of(&response, "x-frame-options"), "SAMEORIGIN");
        // Pages of the app can't embed frames of other origins.
        assert!(header_of(&get("/", &[]), "content-security-policy").contains("frame-src 'self'"));
    }

    #[actix_web::test]
    async fn unchanged_files_are_not_modified() {
        let response = get("/", &[]);
        assert_eq!((response.status().as_u16(), header_of(&response, "cache-control")), (200, CACHE_REVALIDATE));
        let tag: &'static str = header_of(&response, "etag").to_owned().leak();
        let again = get("/", &[("if-none-match", tag)]);
        assert_eq!(again.status().as_u16(), 304);
        assert_eq!(header_of(&again, "content-security-policy"), header_of(&response, "content-security-policy"));
        assert_eq!(get("/", &[("if-none-match", "\"another\"")]).status().as_u16(), 200);
    }

    #[actix_web::test]
    async fn only_views_get_the_page() {
        let page = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        for view in ["/c/0190a5a0-0000-7000-8000-000000000001", "/sign-in", "/a.b/c"] {
            let response = get(view, &[page]);
            assert_eq!(
                (response.status().as_u16(), header_of(&response, "content-type")),
                (200, "text/html; charset=utf-8"),
                "{view}"
            );
        }
        assert_eq!(get("/c/1", &[("accept", "application/json")]).status().as_u16(), 404);
        for reserved in [
            "/r1/nothing",
            "/v1/models",
            "/v1beta/models",
            "/v2/nothing",
            "/api/nothing",
            "/openai/nothing",
            "/_app/immutable/old.js",
            "/.well-known/security.txt",
            "/metrics",
        ] {
            let response = get(reserved, &[page]);
            assert_eq!(
                (response.status().as_u16(), header_of(&response, "content-type")),
                (404, "application/json"),
                "{reserved}"
            );
        }
        for outside in ["/../Cargo.toml", "/..%2f..%2fCargo.toml", "//etc/passwd", "/index.html.br"] {
            assert_eq!(get(outside, &[]).status().as_u16(), 404, "{outside}");
        }
    }

    #[cfg(feature = "swagger")]
    #[actix_web::test]
    async fn serves_swagger_ui_only_by_its_route() {
        let get_docs = |path: &str, headers: &[(&'static str, &'static str)]| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            docs(&FIXTURE, &request.to_http_request(), path)
        };
        let page = get_docs("", &[]);
        assert_eq!((page.status().as_u16(), header_of(&page, "cache-control")), (200, CACHE_REVALIDATE));
        assert_eq!(header_of(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header_of(&page, "content-security-policy"), DOCS_POLICY);
        assert_eq!(get_docs("index.html", &[]).status().as_u16(), 200);
        let script = get_docs("swagger-initializer.js", &[("accept-encoding", "br")]);
        assert_eq!(
            (header_of(&script, "content-encoding"), header_of(&script, "cache-control")),
            ("br", CACHE_ONE_HOUR)
        );
        assert_eq!(header_of(&script, "content-security-policy"), DOCS_POLICY);
        let tag: &'static str = header_of(&script, "etag").to_owned().leak();
        let known = [("accept-encoding", "br"), ("if-none-match", tag)];
        assert_eq!(get_docs("swagger-initializer.js", &known).status().as_u16(), 304);
        for missing in ["nothing.js", "../index.html", "swagger-initializer.js.br", "/index.html"] {
            assert_eq!(get_docs(missing, &[]).status().as_u16(), 404, "{missing}");
        }
        assert_eq!(get("/docs/index.html", &[]).status().as_u16(), 404, "the feature may be off");
    }

    #[actix_web::test]
    async fn explains_a_missing_web_app() {
        let nothing = AssetSource::Folder("/nonexistent");
        let response = answer(&nothing, &TestRequest::with_uri("/").to_http_request(), None);
        assert_eq!(response.status().as_u16(), 404);
        let body = to_bytes(response.into_body()).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("built without the web app"), "{body:?}");
        #[cfg(feature = "swagger")]
        assert_eq!(docs(&nothing, &TestRequest::default().to_http_request(), "").status().as_u16(), 404);
        assert!(BasePathPage::of(&nothing, "/chat").is_none());
    }

    #[test]
    fn caches_hashed_files_but_not_the_page() {
        assert_eq!(cache_control("_app/immutable/entry/start.abc.js"), CACHE_IMMUTABLE);
        assert_eq!(cache_control("index.html"), CACHE_REVALIDATE);
        assert_eq!(cache_control("_app/version.json"), CACHE_REVALIDATE);
    }
}
