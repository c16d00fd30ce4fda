//! Browsers: tokens in cookies, which other sites can't use.

use reqwest::Method;
use support::{Application, Credentials, PASSWORD, Setup, Value, json, new_email};

#[tokio::test]
async fn a_browser_gets_its_tokens_by_cookies_only() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let email = new_email("anna");
    let body = json!({ "email": email, "password": PASSWORD, "display_name": "Anna" });
    let post = |path: &str, cookies: &str, origin: &str| {
        let request =
            anonymous.request(Method::POST, path).header("x-natter-transport", "cookie").header("origin", origin);
        if cookies.is_empty() { request } else { request.header("cookie", cookies) }
    };
    let answer = anonymous.send(post("/r1/auth/signup", "", &app.url()).json(&body)).await;
    let set: Vec<String> =
        answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    for (name, path) in [("natter_access=", "Path=/;"), ("natter_refresh=", "Path=/r1/auth;")] {
        let cookie =
            set.iter().find(|cookie| cookie.starts_with(name)).unwrap_or_else(|| panic!("{name} is not in {set:?}"));
        for part in ["HttpOnly", "SameSite=Lax", "Max-Age="] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(format!("{cookie};").contains(path), "{cookie}");
        assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    }
    let jar = answer.cookies();
    let tokens = answer.data_with(201);
    assert!(tokens["access_token"].is_null() && tokens["refresh_token"].is_null(), "{tokens}");

    let me = anonymous.request(Method::GET, "/r1/users/me").header("cookie", &jar);
    assert_eq!(anonymous.send(me).await.data()["email"], email.as_str());
    let refreshed = anonymous.send(post("/r1/auth/refresh", &jar, &app.url()).json(&json!({}))).await;
    let newer = refreshed.cookies();
    let tokens = refreshed.data_with(200);
    assert!(tokens["refresh_token"].is_null() && newer != jar, "{tokens}");
    // The old cookie was already used.
    anonymous.send(post("/r1/auth/refresh", &jar, &app.url()).json(&json!({}))).await.refused(401, "refresh_reused");
    anonymous.send(post("/r1/auth/refresh", &newer, &app.url()).json(&json!({}))).await.refused(401, "unauthenticated");

    let signed_in = anonymous.send(post("/r1/auth/signin", "", &app.url()).json(&body_of_sign_in(&email))).await;
    let jar = signed_in.cookies();
    let out = anonymous.send(post("/r1/auth/logout", &jar, &app.url()).json(&json!({}))).await;
    let cleared = out
        .headers
        .get_all("set-cookie")
        .iter()
        .filter(|cookie| cookie.to_str().unwrap().contains("Max-Age=0"))
        .count();
    assert_eq!(cleared, 2, "{out:?}");
    let me = anonymous.request(Method::GET, "/r1/users/me").header("cookie", &jar);
    anonymous.send(me).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn on_https_the_cookies_are_bound_to_the_host() {
    let app = Setup::new().set("server.public_url", "https://chat.example.test").start().await;
    let anonymous = app.anonymous();
    let body = json!({ "email": new_email("anna"), "password": PASSWORD, "display_name": "Anna" });
    let request = anonymous.request(Method::POST, "/r1/auth/signup").header("x-natter-transport", "cookie");
    let answer = anonymous.send(request.header("origin", "https://chat.example.test").json(&body)).await;
    let set: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(
        set.iter().any(|cookie| cookie.starts_with("__Host-natter_access=") && cookie.contains("Path=/;")),
        "{set:?}"
    );
    assert!(set.iter().any(|cookie| cookie.starts_with("__Secure-natter_refresh=")), "{set:?}");
    assert!(set.iter().all(|cookie| cookie.contains("Secure") && cookie.contains("HttpOnly")), "{set:?}");
    // A cookie without the prefix could have been set by another host of the same domain.
    let jar = answer.cookies().replace("__Host-", "").replace("__Secure-", "");
    let me = anonymous.request(Method::GET, "/r1/users/me").header("cookie", jar);
    anonymous.send(me).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn another_site_can_not_use_the_cookies() {
    let app = Application::start().await;
    let anna = app.sign_up_browser("Anna").await;
    let Credentials::Cookies { header: jar, origin } = anna.credentials.clone() else { panic!("no cookies") };
    let anonymous = app.anonymous();
    let rename = |headers: &[(&str, &str)]| {
        let mut request = anonymous.request(Method::PATCH, "/r1/users/me").header("cookie", &jar);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.json(&json!({ "display_name": "Mallory" }))
    };
    for headers in [
        vec![("origin", "https://evil.test")],
        vec![("origin", "null")],
        vec![("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![],
    ] {
        anonymous.send(rename(&headers)).await.refused(403, "cross_site");
    }
    // Another site can't sign the victim out either, or sign them in as another user.
    let sign_in = anonymous.request(Method::POST, "/r1/auth/signin").header("origin", "https://evil.test");
    let sign_in = sign_in.header("x-natter-transport", "cookie").json(&body_of_sign_in(&anna.email));
    anonymous.send(sign_in).await.refused(403, "cross_site");
    let sign_out =
        anonymous.request(Method::POST, "/r1/auth/logout").header("cookie", &jar).header("origin", "https://evil.test");
    anonymous.send(sign_out).await.refused(403, "cross_site");
    assert_eq!(anna.get("/r1/users/me").await.data()["display_name"], "Anna");
    anonymous.send(rename(&[("origin", &origin)])).await.data();
    anonymous.send(rename(&[("sec-fetch-site", "same-origin")])).await.data();

    // A request with a bearer token may come from any origin, because browsers don't add such a
    // token by themselves.
    let ben = app.sign_up("Ben").await;
    let request = ben.request(Method::PATCH, "/r1/users/me").header("origin", "https://elsewhere.test");
    ben.send(request.json(&json!({ "display_name": "Benjamin" }))).await.data();
}

fn body_of_sign_in(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}
