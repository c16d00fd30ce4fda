//! Sign-in with OAuth providers, tested with a provider that can send every kind of wrong answer.

mod cluster;
mod lies;
mod linking;
mod tokens;

use std::collections::BTreeMap;

use reqwest::{Method, Url};
use support::{Answer, Application, Caller, Credentials, IdentityProvider, SentBack, Setup, Value, form, json};

/// Public address of the server.
const PUBLIC_URL: &str = "https://chat.example";
/// Prefix of the browser's cookie. It is followed by a part of the state.
const COOKIE: &str = "__Host-natter_oauth_";

/// Identity provider, and an application that accepts its issuers: `idp` (trusted for email
/// addresses), `doubted` (the same issuer, not trusted), `microsoft` and `apple`.
struct Stage {
    provider: IdentityProvider,
    app: Application,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        Self::with(|setup| setup).await
    }

    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let redirects = ["idp", "doubted", "microsoft", "apple"].map(|name| format!("{PUBLIC_URL}{}", callback(name)));
        let provider = IdentityProvider::start(&redirects.each_ref().map(String::as_str)).await;
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::new()
            .set("server.public_url", PUBLIC_URL)
            .identity_provider("idp", "oidc", &provider, folder.path())
            .set("auth.oauth.idp.trust_email", true)
            .identity_provider("doubted", "oidc", &provider, folder.path())
            .identity_provider("microsoft", "microsoft", &provider, folder.path())
            .identity_provider("apple", "apple", &provider, folder.path());
        let app = change(setup).start().await;
        Self { provider, app, _folder: folder }
    }

    /// Sends a browser to a provider.
    async fn depart(&self, caller: &Caller, name: &str, query: &str) -> Departed {
        let answer = caller.get(&format!("/r1/auth/oauth/{name}/start{query}")).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        let cookie = answer.cookies();
        assert!(cookie.starts_with(COOKIE), "{cookie}");
        Departed { cookie, location: answer.header("location").unwrap().to_owned() }
    }

    /// Returns from the provider to the server, in the same browser.
    async fn come_back(&self, name: &str, cookie: &str, sent: &SentBack) -> Answer {
        assert_eq!(sent.address.path(), callback(name));
        self.come_back_with(name, cookie, sent.by_form, &sent.fields).await
    }

    async fn come_back_with(
        &self,
        name: &str,
        cookie: &str,
        by_form: bool,
        fields: &BTreeMap<String, String>,
    ) -> Answer {
        let anonymous = self.app.anonymous();
        let request = if by_form {
            let request = anonymous.request(Method::POST, &callback(name)).body(form(fields));
            request.header("content-type", "application/x-www-form-urlencoded").header("origin", "https://idp.example")
        } else {
            anonymous.request(Method::GET, &format!("{}?{}", callback(name), form(fields)))
        };
        anonymous.send(request.header("cookie", cookie).header("sec-fetch-site", "cross-site")).await
    }

    /// Signs in completely at a provider.
    async fn sign_in(&self, provider: &str, person: &str) -> Answer {
        let gone = self.depart(&self.app.anonymous(), provider, "").await;
        let sent = self.provider.sign_in(&gone.location, person).await;
        self.come_back(provider, &gone.cookie, &sent).await
    }

    /// Returns the user who is signed in after the callback.
    async fn who(&self, arrived: &Answer) -> Value {
        self.caller(arrived).get("/r1/users/me").await.data()
    }

    /// Returns a caller that has the cookies set by the callback.
    fn caller(&self, arrived: &Answer) -> Caller {
        assert_eq!(arrived.status, 303, "{arrived:?}");
        let header = arrived.cookies();
        assert!(header.contains("__Host-natter_access="), "{:?} {header}", arrived.header("location"));
        let credentials = Credentials::Cookies { header, origin: PUBLIC_URL.to_owned() };
        Caller::new(&self.app.url(), credentials)
    }
}

/// Browser that was sent to a provider.
struct Departed {
    cookie: String,
    location: String,
}

impl Departed {
    /// Returns a parameter of the authorization request.
    fn asked(&self, name: &str) -> String {
        let url = Url::parse(&self.location).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

fn callback(name: &str) -> String {
    format!("/r1/auth/oauth/{name}/callback")
}

/// Panics unless the browser was sent to the sign-in page with this error, and without tokens.
#[track_caller]
fn is_refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*format!("/login?error={code}"))), "{answer:?}");
    assert!(!answer.cookies().contains("natter_access"), "{answer:?}");
}

#[tokio::test]
async fn lists_providers_and_sends_state_nonce_and_pkce() {
    let stage = Stage::start().await;
    let listed = stage.app.anonymous().get("/r1/auth/oauth/providers").await.data();
    let mut listed: Vec<(&str, &str)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["kind"].as_str().unwrap()))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, [("apple", "apple"), ("doubted", "oidc"), ("idp", "oidc"), ("microsoft", "microsoft")]);

    let gone = stage.depart(&stage.app.anonymous(), "idp", "").await;
    assert!(gone.location.starts_with(stage.provider.issuer("oidc")), "{}", gone.location);
    assert_eq!(gone.asked("redirect_uri"), format!("{PUBLIC_URL}{}", callback("idp")));
    assert_eq!((gone.asked("response_type").as_str(), gone.asked("code_challenge_method").as_str()), ("code", "S256"));
    assert_eq!(gone.asked("scope").split(' ').collect::<Vec<_>>(), ["openid", "profile", "email"]);
    let again = stage.depart(&stage.app.anonymous(), "idp", "").await;
    for secret in ["state", "nonce", "code_challenge"] {
        assert!(gone.asked(secret).len() >= 43, "{secret} has less than 256 bits");
        assert_ne!(gone.asked(secret), again.asked(secret));
    }
    // Credentials that the browser sends don't affect the redirect.
    for path in ["/r1/auth/oauth/idp/start", "/r1/auth/oauth/idp/callback"] {
        for accept in ["image/png", "text/html", "application/json;q=0"] {
            let anonymous = stage.app.anonymous();
            let answer = anonymous.send(anonymous.request(Method::GET, path).header("accept", accept)).await;
            assert!(matches!(answer.status, 302 | 303), "{path}, {accept}: {answer:?}");
        }
    }
    stage.app.anonymous().get("/r1/auth/oauth/nobody/start").await.refused(404, "not_found");
    stage.app.anonymous().get("/r1/auth/oauth/nobody/callback").await.refused(404, "not_found");
}

#[tokio::test]
async fn the_first_oauth_sign_in_creates_the_account() {
    let stage = Stage::start().await;
    stage.provider.knows("oidc", "ada", json!({ "name": "Ada Lovelace", "email": "Ada@IdP.test" })).await;
    let first = stage.sign_in("idp", "ada").await;
    assert_eq!(first.header("location"), Some("/"));
    let ada = stage.who(&first).await;
    assert_eq!((&ada["email"], &ada["display_name"]), (&json!("ada@idp.test"), &json!("Ada Lovelace")));
    assert_eq!((&ada["has_password"], &ada["second_factor"]), (&json!(false), &json!(false)));
    // The email address may change; the subject identifies the account.
    stage.provider.knows("oidc", "ada", json!({ "email": "elsewhere@idp.test" })).await;
    let again = stage.sign_in("idp", "ada").await;
    assert_eq!(stage.who(&again).await["id"], ada["id"]);
    assert_eq!(stage.who(&again).await["email"], "ada@idp.test");
    let identities = stage.caller(&again).get("/r1/auth/identities").await.data();
    assert_eq!(identities["total"], 1);
    let identity = &identities["items"][0];
    assert_eq!((&identity["provider"], &identity["kind"]), (&json!("idp"), &json!("oidc")));
    assert_eq!(identity["email"], "elsewhere@idp.test");
    assert_ne!(stage.who(&stage.sign_in("idp", "grace").await).await["id"], ada["id"]);
}

#[tokio::test]
async fn oauth_sign_in_redirects_only_to_pages_of_this_server() {
    let stage = Stage::start().await;
    for (next, led) in [
        ("/c/1?tab=files%23x", "/c/1?tab=files%23x"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("javascript:alert(1)", "/"),
    ] {
        let query = BTreeMap::from([("next".to_owned(), next.to_owned())]);
        let gone = stage.depart(&stage.app.anonymous(), "idp", &format!("?{}", form(&query))).await;
        let sent = stage.provider.sign_in(&gone.location, "ada").await;
        let arrived = stage.come_back("idp", &gone.cookie, &sent).await;
        assert_eq!(arrived.header("location"), Some(led), "{next}");
    }
}

#[tokio::test]
async fn redirects_invalid_oauth_callbacks_to_the_sign_in_page() {
    let stage = Stage::start().await;
    let gone = stage.depart(&stage.app.anonymous(), "idp", "").await;
    let sent = stage.provider.sign_in(&gone.location, "ada").await;
    // The callback is refused from another browser, without a browser, for another provider, and
    // with another state.
    let other = stage.depart(&stage.app.anonymous(), "idp", "").await;
    is_refused(&stage.come_back("idp", &other.cookie, &sent).await, "oauth_state");
    is_refused(&stage.come_back("idp", "", &sent).await, "oauth_state");
    let (name, _) = gone.cookie.split_once('=').unwrap();
    is_refused(&stage.come_back("idp", &format!("{name}=nonsense"), &sent).await, "oauth_state");
    // The secret of another sign-in is sent in the cookie of this one.
    let another = stage.depart(&stage.app.anonymous(), "idp", "").await;
    let (_, secret) = another.cookie.split_once('=').unwrap();
    is_refused(&stage.come_back("idp", &format!("{name}={secret}"), &sent).await, "oauth_state");
    let elsewhere = stage.depart(&stage.app.anonymous(), "doubted", "").await;
    let mixed = stage.come_back_with("idp", &elsewhere.cookie, false, &sent.fields).await;
    is_refused(&mixed, "oauth_state");
    let renamed = elsewhere.cookie.split_once('=').map(|(_, secret)| format!("{name}={secret}")).unwrap();
    is_refused(&stage.come_back("idp", &renamed, &sent).await, "oauth_state");
    // The correct secret works only once.
    let arrived = stage.come_back("idp", &gone.cookie, &sent).await;
    stage.who(&arrived).await;
    assert!(arrived.headers.get_all("set-cookie").iter().any(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.starts_with(COOKIE) && cookie.contains("Max-Age=0")
    }));
    is_refused(&stage.come_back("idp", &gone.cookie, &sent).await, "oauth_state");

    // A used code is sent within a new sign-in.
    let fresh = stage.depart(&stage.app.anonymous(), "idp", "").await;
    let replayed = |state: &str| {
        let mut fields = sent.fields.clone();
        fields.insert("state".to_owned(), state.to_owned());
        fields
    };
    let fields = replayed(&fresh.asked("state"));
    is_refused(&stage.come_back_with("idp", &fresh.cookie, false, &fields).await, "oauth_invalid");

    // The sign-in was cancelled, failed at the provider, has no code, or comes from another issuer.
    for (field, value, code) in [
        ("error", "access_denied", "oauth_denied"),
        ("error", "server_error", "oauth_invalid"),
        ("code", "", "oauth_invalid"),
        ("iss", "https://evil.example", "oauth_invalid"),
    ] {
        let gone = stage.depart(&stage.app.anonymous(), "idp", "").await;
        let mut fields = stage.provider.sign_in(&gone.location, "ada").await.fields;
        fields.insert(field.to_owned(), value.to_owned());
        is_refused(&stage.come_back_with("idp", &gone.cookie, false, &fields).await, code);
    }
    let gone = stage.depart(&stage.app.anonymous(), "idp", "").await;
    let mut fields = stage.provider.sign_in(&gone.location, "ada").await.fields;
    fields.remove("iss");
    is_refused(&stage.come_back_with("idp", &gone.cookie, false, &fields).await, "oauth_invalid");
}

/// A tab of an earlier attempt may still be open, or the user opens a link from an email meanwhile.
#[tokio::test]
async fn concurrent_oauth_sign_ins_in_two_tabs_both_succeed() {
    let stage = Stage::start().await;
    let first = stage.depart(&stage.app.anonymous(), "idp", "?next=/c/1").await;
    let second = stage.depart(&stage.app.anonymous(), "doubted", "?next=/c/2").await;
    let kept = format!("{}; {}", first.cookie, second.cookie);
    let came = stage.come_back("doubted", &kept, &stage.provider.sign_in(&second.location, "ada").await).await;
    assert_eq!(came.header("location"), Some("/c/2"));
    let cleared = came.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    let cleared: Vec<&str> = cleared.filter(|cookie| cookie.starts_with(COOKIE)).collect();
    let name = |gone: &Departed| gone.cookie.split_once('=').unwrap().0.to_owned();
    assert!(cleared.len() == 1 && cleared[0].starts_with(&format!("{}=;", name(&second))), "{cleared:?}");
    let came = stage.come_back("idp", &kept, &stage.provider.sign_in(&first.location, "grace").await).await;
    assert_eq!(came.header("location"), Some("/c/1"));

    // Cookies of five abandoned attempts are still there.
    let kept: Vec<String> = (0..5).map(|at| format!("{COOKIE}0000000{at}=h")).collect();
    let anonymous = stage.app.anonymous();
    let request = anonymous.request(Method::GET, "/r1/auth/oauth/idp/start").header("cookie", kept.join("; "));
    let answer = anonymous.send(request).await;
    let set = answer.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    let (cleared, kept): (Vec<&str>, Vec<&str>) = set.partition(|cookie| cookie.contains("Max-Age=0"));
    assert!(cleared.len() == 1 && cleared[0].starts_with(&format!("{COOKIE}00000000=;")), "{cleared:?}");
    assert!(kept.len() == 1 && kept[0].starts_with(COOKIE), "{kept:?}");
}

#[tokio::test]
async fn accepts_apples_cross_site_form_callback() {
    let stage = Stage::start().await;
    let gone = stage.depart(&stage.app.anonymous(), "apple", "").await;
    assert_eq!(gone.asked("response_mode"), "form_post");
    let mut sent = stage.provider.sign_in(&gone.location, "0001.ada").await;
    assert!(sent.by_form);
    let user = json!({ "name": { "firstName": "Ada", "lastName": "Lovelace" }, "email": "evil@idp.test" });
    sent.fields.insert("user".to_owned(), user.to_string());
    stage.provider.knows("apple", "0001.ada", json!({ "name": null, "email_verified": "true" })).await;
    let arrived = stage.come_back("apple", &gone.cookie, &sent).await;
    let ada = stage.who(&arrived).await;
    assert_eq!(ada["display_name"], "Ada Lovelace");
    assert_eq!(ada["email"], "0001.ada@idp.test", "the form is unsigned");
    let cookie = stage.app.anonymous().get("/r1/auth/oauth/apple/start").await;
    let cookie = cookie.header("set-cookie").unwrap();
    assert!(cookie.contains("SameSite=None") && cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
    let lax = stage.app.anonymous().get("/r1/auth/oauth/idp/start").await;
    assert!(lax.header("set-cookie").unwrap().contains("SameSite=Lax"));
    // Only this path accepts a cross-site request, and only one with a form.
    let anonymous = stage.app.anonymous();
    let json = anonymous.request(Method::POST, &callback("apple")).json(&json!({ "state": "x" }));
    anonymous.send(json).await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn accepts_microsoft_issuers_per_tenant() {
    let stage = Stage::start().await;
    stage.provider.knows("microsoft", "ada", json!({ "email_verified": null })).await;
    let ada = stage.who(&stage.sign_in("microsoft", "ada").await).await;
    assert_eq!(stage.who(&stage.sign_in("microsoft", "ada").await).await["id"], ada["id"]);
    for lie in ["tenant", "no_tenant", "issuer"] {
        stage.provider.order("microsoft", json!({ "lie": lie })).await;
        is_refused(&stage.sign_in("microsoft", "ada").await, "oauth_invalid");
    }
}

#[tokio::test]
async fn the_address_comes_from_the_configured_claim() {
    let stage = Stage::with(|setup| setup.set("auth.oauth.doubted.email_claim", "upn")).await;
    let claims = json!({ "email": null, "email_verified": null, "upn": "ute@contoso.example" });
    stage.provider.knows("oidc", "ute", claims).await;
    // The provider sends no address in the default claim.
    is_refused(&stage.sign_in("idp", "ute").await, "oauth_invalid");
    let admin = stage.app.admin().await;
    let log = admin.get("/r1/admin/audit_log?action=auth.signin_failed").await.data();
    assert_eq!(log["items"][0]["target"], "auth.oauth.idp: no claim email", "{log}");
    let ute = stage.who(&stage.sign_in("doubted", "ute").await).await;
    assert_eq!(ute["email"], "ute@contoso.example");
}

#[tokio::test]
async fn oauth_sign_in_requires_the_second_factor() {
    let stage = Stage::start().await;
    let caller = stage.caller(&stage.sign_in("idp", "ada").await);
    // The account has no password, but the sign-in is recent enough.
    let enrolment = caller.post("/r1/auth/totp", json!({})).await.data_with(201);
    let authenticator = support::Authenticator::new(&enrolment);
    caller.post("/r1/auth/totp/confirm", json!({ "code": authenticator.next_code() })).await.data_with(200);
    let gone = stage.depart(&stage.app.anonymous(), "idp", "?next=/c/1").await;
    let sent = stage.provider.sign_in(&gone.location, "ada").await;
    let asked = stage.come_back("idp", &gone.cookie, &sent).await;
    assert!(!asked.cookies().contains("natter_access"), "{}", asked.cookies());
    let page = Url::parse(PUBLIC_URL).unwrap().join(asked.header("location").unwrap()).unwrap();
    assert_eq!(page.path(), "/login");
    let query: BTreeMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!((query["methods"].as_str(), query["next"].as_str()), ("totp,recovery_code", "/c/1"));
    let body = json!({ "challenge": query["challenge"], "code": authenticator.next_code() });
    stage.app.anonymous().post("/r1/auth/signin/challenge", body).await.data_with(200);
}

#[tokio::test]
async fn oauth_respects_closed_sign_up_and_reports_an_unreachable_provider() {
    let stage = Stage::with(|setup| {
        setup
            .set("auth.signup", "closed")
            .set("auth.oauth.away.kind", "oidc")
            .set("auth.oauth.away.issuer", "http://127.0.0.1:9")
            .set("auth.oauth.away.client_id", "natter")
    })
    .await;
    is_refused(&stage.sign_in("idp", "ada").await, "signup_closed");
    let away = stage.app.anonymous().get("/r1/auth/oauth/away/start").await;
    assert_eq!((away.status, away.header("location")), (302, Some("/login?error=unavailable")));
}
