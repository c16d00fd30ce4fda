//! Exchange of an authorization code for tokens (RFC 6749 4.1.3, OpenID Connect Core 3.1.3).

use appcore::Secret;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Body, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{
    OidcError,
    http::{self, BufferedResponse},
};

/// Maximum length of a provider's text in an error, in characters.
const MAX_QUOTED_LEN: usize = 200;

/// Token request for an authorization code.
pub(crate) struct CodeExchange<'a> {
    pub client_id: &'a str,
    pub code: &'a str,
    /// PKCE code verifier.
    pub verifier: &'a str,
    /// Redirect URI, the same as in the authorization request.
    pub redirect_uri: &'a str,
}

/// Client authentication at the token endpoint.
pub(crate) enum ClientAuth {
    /// Public client: PKCE alone protects the code.
    None,
    /// `client_secret_basic`.
    Header(Secret),
    /// `client_secret_post`.
    Body(Secret),
}

/// Members of a token response that are needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokens {
    pub access_token: Secret,
    /// ID token, which is not verified yet; see [`crate::id_token`].
    pub id_token: Option<String>,
}

impl CodeExchange<'_> {
    pub(crate) fn request(&self, endpoint: &Url, auth: &ClientAuth) -> Result<Request, OidcError> {
        let mut request = http::request(Method::POST, endpoint);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", self.code)
            .append_pair("code_verifier", self.verifier);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        match auth {
            ClientAuth::None => {
                form.append_pair("client_id", self.client_id);
            }
            ClientAuth::Header(secret) => {
                request.headers_mut().insert(AUTHORIZATION, basic(self.client_id, secret)?);
            }
            ClientAuth::Body(secret) => {
                form.append_pair("client_id", self.client_id).append_pair("client_secret", secret.expose());
            }
        }
        form.append_pair("redirect_uri", self.redirect_uri);
        *request.body_mut() = Some(Body::from(form.finish()));
        Ok(request)
    }
}

/// Builds the value of the header `Authorization`. Both parts are form-encoded first (RFC 6749 2.3.1).
fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, OidcError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = BASE64_STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret.expose())));
    let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).map_err(OidcError::invalid)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Tokens {
    /// Parses the response of the token endpoint.
    pub(crate) fn parse(response: &BufferedResponse) -> Result<Self, OidcError> {
        if response.status != StatusCode::OK {
            return Err(refusal(&response.body));
        }
        let content_type = response.headers.get(CONTENT_TYPE);
        let is_json = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
        };
        if let Some(other) = content_type.filter(|value| !is_json(value)) {
            return Err(OidcError::Invalid(format!("the tokens have the content type {other:?}, which is not JSON")));
        }
        if response.body.is_empty() {
            return Err(OidcError::invalid("the provider gave no tokens"));
        }
        serde_json::from_slice(&response.body).map_err(|error| unreadable(&error))
    }
}

/// Converts a response with another status than 200 to an error (RFC 6749 5.2).
fn refusal(body: &[u8]) -> OidcError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    if body.is_empty() {
        return OidcError::invalid("the code was refused without a reason");
    }
    let quote = |text: &str| text.chars().filter(|char| !char.is_control()).take(MAX_QUOTED_LEN).collect::<String>();
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, error_description: None }) => {
            OidcError::Invalid(format!("the code was refused: {}", quote(&error)))
        }
        Ok(Refusal { error, error_description: Some(description) }) => {
            OidcError::Invalid(format!("the code was refused: {}: {}", quote(&error), quote(&description)))
        }
        Err(error) => unreadable(&error),
    }
}

/// Creates an error without the parser's message, because that quotes values that may be tokens.
fn unreadable(error: &serde_json::Error) -> OidcError {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    OidcError::Invalid(format!("the tokens can't be read: {kind:?} error at line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{ACCEPT, HeaderMap};

    use super::*;

    fn exchange(auth: &ClientAuth) -> (Request, String) {
        let exchange = CodeExchange {
            client_id: "id:1 é",
            code: "c/+ode",
            verifier: "the-verifier",
            redirect_uri: "https://chat.example/callback",
        };
        let request = exchange.request(&Url::parse("https://user@id.example/token?a=b").unwrap(), auth).unwrap();
        let body = String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
        (request, body)
    }

    #[test]
    fn code_exchange_authenticates_as_the_provider_requires() {
        const START: &str = "grant_type=authorization_code&code=c%2F%2Bode&code_verifier=the-verifier";
        const END: &str = "redirect_uri=https%3A%2F%2Fchat.example%2Fcallback";
        let secret = || Secret::from("p:w%&+ ü");
        for (auth, credentials, header) in [
            (ClientAuth::None, "client_id=id%3A1+%C3%A9&", None),
            (ClientAuth::Header(secret()), "", Some("id%3A1+%C3%A9:p%3Aw%25%26%2B+%C3%BC")),
            (ClientAuth::Body(secret()), "client_id=id%3A1+%C3%A9&client_secret=p%3Aw%25%26%2B+%C3%BC&", None),
        ] {
            let (request, body) = exchange(&auth);
            assert_eq!(body, format!("{START}&{credentials}{END}"));
            assert_eq!(
                (request.method(), request.url().as_str()),
                (&Method::POST, "https://user@id.example/token?a=b")
            );
            let headers = request.headers();
            assert_eq!(headers[ACCEPT], "application/json");
            assert_eq!(headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
            let sent = headers.get(AUTHORIZATION);
            assert_eq!(
                sent.map(|value| value.to_str().unwrap().to_owned()),
                header.map(|header| format!("Basic {}", BASE64_STANDARD.encode(header)))
            );
            assert!(sent.is_none_or(HeaderValue::is_sensitive));
            assert!(!format!("{request:?}").contains("p%3Aw"), "{request:?}");
        }
    }

    fn parse(status: u16, content_type: Option<&'static str>, body: &str) -> Result<Tokens, String> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let response = BufferedResponse { status, headers, body: body.as_bytes().to_vec() };
        Tokens::parse(&response).map_err(|error| {
            assert!(matches!(error, OidcError::Invalid(_)), "{error:?}");
            error.to_string()
        })
    }

    #[test]
    fn parses_tokens_and_ignores_other_members() {
        let body = r#"{"access_token":"a","token_type":7,"expires_in":"soon","scope":[],"id_token":"i"}"#;
        for content_type in [None, Some("application/json"), Some("Application/JSON;charset=UTF-8")] {
            let tokens = parse(200, content_type, body).unwrap();
            assert_eq!((tokens.access_token.expose(), tokens.id_token.as_deref()), ("a", Some("i")));
            assert!(!format!("{tokens:?}").contains("\"a\""));
        }
        for without in [r#"{"access_token":"a"}"#, r#"{"access_token":"a","id_token":null}"#] {
            assert_eq!(parse(200, None, without).unwrap().id_token, None);
        }
    }

    #[test]
    fn errors_contain_no_secrets() {
        for (status, content_type, body, reason) in [
            (400, Some("application/json"), r#"{"error":"invalid_grant"}"#, "the code was refused: invalid_grant"),
            (
                401,
                None,
                r#"{"error":"invalid_client","error_description":"no\n such \u001b[31mclient","error_uri":7}"#,
                "the code was refused: invalid_client: no such [31mclient",
            ),
            (500, None, "", "the code was refused without a reason"),
            (201, None, r#"{"access_token":"hidden"}"#, "the tokens can't be read: Data error at line 1, column 25"),
            (502, Some("text/html"), "<html>", "the tokens can't be read: Syntax error at line 1, column 1"),
            (200, None, "", "the provider gave no tokens"),
            (200, None, r#"{"id_token":"hidden"}"#, "the tokens can't be read: Data error at line 1, column 21"),
            (200, None, r#""hidden""#, "the tokens can't be read: Data error at line 1, column 8"),
            (200, None, "access_token=hidden", "the tokens can't be read: Syntax error at line 1, column 1"),
        ] {
            assert_eq!(parse(status, content_type, body).unwrap_err(), reason);
        }
        let form = parse(200, Some("application/x-www-form-urlencoded"), "access_token=hidden").unwrap_err();
        assert!(form.contains("not JSON") && !form.contains("hidden"), "{form}");
        let wrong = parse(200, None, r#"{"access_token":"a","id_token":{"hidden":"hidden"}}"#).unwrap_err();
        assert!(wrong.contains("can't be read") && !wrong.contains("hidden"), "{wrong}");
        let long = format!(r#"{{"error":"{0}","error_description":"{0}"}}"#, "x".repeat(10_000));
        assert!(parse(400, None, &long).unwrap_err().len() < 500);
    }
}
