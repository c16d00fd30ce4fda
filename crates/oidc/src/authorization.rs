//! Authorization requests: the URL that a browser is sent to (OpenID Connect Core 3.1.2.1), with PKCE (RFC 7636).

use appcore::auth::token;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use url::Url;

/// Parameters of an authorization request.
pub(crate) struct AuthorizationRequest<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    /// Scopes to request, without `openid`, which is always added.
    pub scopes: &'a [String],
    pub state: &'a str,
    pub nonce: &'a str,
    /// PKCE code verifier; only its hash is sent.
    pub verifier: &'a str,
    /// True if the provider answers with a form POST instead of a redirect.
    pub answers_by_form: bool,
}

impl AuthorizationRequest<'_> {
    /// Builds the URL of the request at this endpoint. Query parameters of the endpoint are kept.
    pub(crate) fn url(&self, endpoint: &Url) -> Url {
        let others = self.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        let scopes: Vec<&str> = std::iter::once("openid").chain(others).collect();
        let mut url = endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("state", self.state)
            .append_pair("code_challenge", &code_challenge(self.verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("scope", &scopes.join(" "));
        if self.answers_by_form {
            query.append_pair("response_mode", "form_post");
        }
        query.append_pair("nonce", self.nonce);
        drop(query);
        url
    }
}

/// PKCE code challenge of the method S256: the SHA-256 of the verifier.
fn code_challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(token::hash_token(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_challenge_matches_rfc_7636() {
        let challenge = code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn url_has_all_parameters_and_keeps_those_of_the_endpoint() {
        let scopes = ["email", "openid", "profile"].map(str::to_owned);
        let request = |answers_by_form| AuthorizationRequest {
            client_id: "a b&c",
            redirect_uri: "https://chat.example/r1/auth/oauth/idp/callback?x=1",
            scopes: &scopes,
            state: "the-state",
            nonce: "the-nonce",
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            answers_by_form,
        };
        let url = |endpoint: &str, by_form| String::from(request(by_form).url(&Url::parse(endpoint).unwrap()));
        let parameters = "response_type=code&client_id=a+b%26c&state=the-state\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
            &redirect_uri=https%3A%2F%2Fchat.example%2Fr1%2Fauth%2Foauth%2Fidp%2Fcallback%3Fx%3D1\
            &scope=openid+email+profile";
        assert_eq!(
            url("https://id.example/authorize", false),
            format!("https://id.example/authorize?{parameters}&nonce=the-nonce")
        );
        assert_eq!(
            url("https://id.example/authorize?policy=b2c", true),
            format!("https://id.example/authorize?policy=b2c&{parameters}&response_mode=form_post&nonce=the-nonce")
        );
    }
}
