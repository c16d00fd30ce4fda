//! Accounts from outside: signing up, in and out, tokens and cookies, devices, and what attackers send instead.

use std::time::{Duration, Instant};

use reqwest::Method;
use support::{Answer, Application, Caller, Credentials, Member, PASSWORD, Setup, Value, json, new_email};

const NEW_PASSWORD: &str = "An0ther-Horse-10";

/// Refreshes with an `Idempotency-Key`.
async fn refresh_with_key(caller: &Caller, token: &str, key: &str) -> Answer {
    let request = caller.request(Method::POST, "/r1/auth/refresh").header("idempotency-key", key);
    caller.send(request.json(&json!({ "refresh_token": token }))).await
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing in {value}"))
}

#[tokio::test]
async fn signing_up_gives_an_account_and_tokens() {
    let app = Application::start().await;
    let email = new_email("anna");
    let answer = app.anonymous().sign_up(&format!(" {} ", email.to_uppercase()), PASSWORD, "  Anna Đặng ").await;
    assert!(!answer.text().contains(PASSWORD) && !answer.text().contains("argon2"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let tokens = answer.data_with(201);
    assert_eq!((text(&tokens["user"], "email"), text(&tokens["user"], "display_name")), (email.as_str(), "Anna Đặng"));
    assert_eq!(text(&tokens["user"], "role"), "user");
    assert!(text(&tokens, "access_expires_at") < text(&tokens, "refresh_expires_at"));
    assert_eq!(text(&tokens, "access_expires_at").len(), "2026-01-01T00:00:00.000Z".len());
    for id in [text(&tokens["user"], "id"), text(&tokens, "session_id")] {
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    }
    let caller = Caller::new(&app.url(), Credentials::Bearer(text(&tokens, "access_token").to_owned()));
    assert_eq!(caller.get("/r1/users/me").await.data()["id"], tokens["user"]["id"]);
}

#[tokio::test]
async fn what_can_not_be_an_account_is_refused_by_field() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    for email in [
        "",
        "nobody",
        "a@b@c",
        "a b@example.test",
        &format!("{}@example.test", "a".repeat(300)),
        "a@example.test\r\nX: y",
    ] {
        anonymous.sign_up(email, PASSWORD, "Anna").await.names_field("email");
    }
    let long = format!("Aa1{}", "x".repeat(126));
    for password in ["", "Sh0rt", "alllower123", "ALLUPPER123", "NoDigitsAtAll", "Password123", &long] {
        anonymous.sign_up(&new_email("weak"), password, "Anna").await.names_field("password");
    }
    anonymous.sign_up("Clever1@example.test", "cLever1@example.test", "Anna").await.names_field("password");
    for name in ["", "   ", "a\u{0}b", "a\nb", &"x".repeat(81)] {
        anonymous.sign_up(&new_email("name"), PASSWORD, name).await.names_field("display_name");
    }
    let everything = anonymous.sign_up("nobody", "weak", "").await;
    for field in ["email", "password", "display_name"] {
        everything.names_field(field);
    }
    // As long as a passphrase may be.
    anonymous.sign_up(&new_email("long"), &format!("Aa1{}", "ơ".repeat(125)), "Anna").await.data_with(201);
    for body in
        [json!({}), json!({"email": 1, "password": [], "display_name": null}), json!([]), json!("x"), json!(null)]
    {
        let answer = anonymous.post("/r1/auth/signup", body).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    }
}

#[tokio::test]
async fn one_address_is_one_account_also_at_the_same_time() {
    let app = Application::start().await;
    let email = new_email("race");
    let upper = email.to_uppercase();
    let anonymous = app.anonymous();
    let (a, b, c, d) = tokio::join!(
        anonymous.sign_up(&email, PASSWORD, "A"),
        anonymous.sign_up(&upper, PASSWORD, "B"),
        anonymous.sign_up(&email, PASSWORD, "C"),
        anonymous.sign_up(&upper, PASSWORD, "D"),
    );
    let answers = [a, b, c, d];
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "email_taken");
    }
}

#[tokio::test]
async fn sign_up_can_be_closed() {
    let app = Setup::new().set("auth.signup", "closed").start().await;
    app.anonymous().sign_up(&new_email("anna"), PASSWORD, "Anna").await.refused(403, "signup_closed");
    app.admin().await;
}

#[tokio::test]
async fn a_failed_sign_in_tells_nothing() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut answers = Vec::new();
    for (email, password) in [
        (anna.email.as_str(), "Wr0ng-Password"),
        ("nobody@example.test", PASSWORD),
        ("nonsense", PASSWORD),
        ("", ""),
        (anna.email.as_str(), &"x".repeat(500_000)),
        (&"y".repeat(500_000), PASSWORD),
    ] {
        let mut answer = app.anonymous().sign_in(email, password).await;
        answer.refused(401, "invalid_credentials");
        answer.body["request_id"].take();
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let again = Member::sign_in(&app.url(), &anna.email.to_uppercase(), PASSWORD).await;
    assert_eq!(again.id, anna.id);
    assert_ne!(again.session_id, anna.session_id);
}

#[tokio::test]
async fn a_failed_sign_in_takes_the_same_time_whether_the_account_exists() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let anonymous = app.anonymous();
    let mut times: [Vec<u128>; 4] = Default::default();
    // In turns, so that a busy machine slows all of them alike.
    for round in 0..25 {
        let unknown = format!("nobody-{round}@example.test");
        for (at, email) in [anna.email.as_str(), &unknown, "nonsense"].iter().enumerate() {
            let start = Instant::now();
            anonymous.sign_in(email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
            times[at].push(start.elapsed().as_micros());
        }
        let start = Instant::now();
        anonymous.refresh("unknown").await.refused(401, "unauthenticated");
        times[3].push(start.elapsed().as_micros());
    }
    let [known, unknown, nonsense, unhashed] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    for other in [unknown, nonsense] {
        assert!(other * 2 > known && other < known * 2, "medians in microseconds: {known}, {unknown}, {nonsense}");
    }
    // This says something only as long as the hash is most of the time.
    assert!(unhashed * 3 < known, "medians in microseconds: {unhashed} without a hash, {known} with one");
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let second = anonymous.refresh(anna.refresh_token()).await.data_with(200);
    assert_eq!(second["session_id"], anna.tokens["session_id"]);
    assert_eq!(second["refresh_expires_at"], anna.tokens["refresh_expires_at"]);
    assert_ne!(second["refresh_token"], anna.tokens["refresh_token"]);
    let newer = Caller::new(&app.url(), Credentials::Bearer(text(&second, "access_token").to_owned()));
    newer.get("/r1/users/me").await.data();
    anna.get("/r1/users/me").await.data();

    anonymous.refresh(anna.refresh_token()).await.refused(401, "refresh_reused");
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    newer.get("/r1/users/me").await.refused(401, "unauthenticated");
    anonymous.refresh(text(&second, "refresh_token")).await.refused(401, "unauthenticated");
    elsewhere.get("/r1/users/me").await.data();
    anonymous.refresh(elsewhere.refresh_token()).await.data();
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_is_given_again() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let (one, other) = tokio::join!(
        refresh_with_key(&anonymous, anna.refresh_token(), "key-1"),
        refresh_with_key(&anonymous, anna.refresh_token(), "key-1"),
    );
    let one = one.data();
    assert_eq!(one, other.data());
    assert_eq!(one, refresh_with_key(&anonymous, anna.refresh_token(), "key-1").await.data());
    refresh_with_key(&anonymous, text(&one, "refresh_token"), "key-1").await.data();
    refresh_with_key(&anonymous, text(&one, "refresh_token"), "key-2").await.refused(401, "refresh_reused");

    let ben = app.sign_up("Ben").await;
    refresh_with_key(&anonymous, ben.refresh_token(), "key-1").await.data();
    anonymous.refresh(ben.refresh_token()).await.refused(401, "refresh_reused");

    let without = Setup::new().set("auth.refresh_grace", 0).start().await;
    let cleo = without.sign_up("Cleo").await;
    refresh_with_key(&without.anonymous(), cleo.refresh_token(), "key-1").await.data();
    refresh_with_key(&without.anonymous(), cleo.refresh_token(), "key-1").await.refused(401, "refresh_reused");
    for key in ["x".repeat(300).as_str(), ""] {
        refresh_with_key(&anonymous, anna.refresh_token(), key).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn one_kind_of_token_does_not_pass_for_another() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data();
    let parts: Vec<&str> = anna.access_token().split('.').collect();
    // {"alg":"none","typ":"at+jwt"} and {"alg":"HS256","typ":"at+jwt"}
    let (none, symmetric) = ("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0", "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9");
    let bad = [
        anna.refresh_token().to_owned(),
        text(&ticket, "ticket").to_owned(),
        anna.session_id.clone(),
        format!("{none}.{}.", parts[1]),
        format!("{symmetric}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4]),
        format!("{}.{}.{}", parts[0], parts[1], flipped(parts[2])),
        format!("{}.{}", parts[0], parts[1]),
        "x".repeat(8_000),
        "%00".to_owned(),
        String::new(),
    ];
    // Whether it is known by heart or not.
    anna.get("/r1/users/me").await.data();
    for token in &bad {
        let caller = Caller::new(&app.url(), Credentials::Bearer(token.clone()));
        caller.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    for (name, value) in
        [("authorization", format!("Basic {}", anna.access_token())), ("authorization", anna.access_token().to_owned())]
    {
        let request = anonymous.request(Method::GET, "/r1/users/me").header(name, value);
        anonymous.send(request).await.refused(401, "unauthenticated");
    }
    anonymous.get(&format!("/r1/users/me?access_token={}", anna.access_token())).await.refused(401, "unauthenticated");
    for token in [anna.access_token(), text(&ticket, "ticket"), "", "x", &"x".repeat(100_000)] {
        anonymous.refresh(token).await.refused(401, "unauthenticated");
    }
    // None of this has hurt the real ones.
    anna.get("/r1/users/me").await.data();
    anonymous.refresh(anna.refresh_token()).await.data();
}

/// The same text with its first letter changed.
fn flipped(text: &str) -> String {
    let first = if text.starts_with('A') { 'B' } else { 'A' };
    std::iter::once(first).chain(text.chars().skip(1)).collect()
}

#[tokio::test]
async fn signing_out_ends_the_device_and_its_connections_only() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let (mut socket, mut other) = (anna.connect().await, elsewhere.connect().await);
    anna.post("/r1/auth/logout", json!({})).await.data_with(200);
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    app.anonymous().refresh(anna.refresh_token()).await.refused(401, "unauthenticated");
    anna.post("/r1/auth/logout", json!({})).await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    elsewhere.get("/r1/users/me").await.data();
    other.request("ping", json!({})).await;
}

#[tokio::test]
async fn devices_are_listed_and_ended_by_their_owner() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let ben = app.sign_up("Ben").await;
    let agent = format!("Phone <script>alert(1)</script> {}", "x".repeat(3_000));
    let body = json!({ "email": anna.email, "password": PASSWORD });
    let anonymous = app.anonymous();
    let request = anonymous.request(Method::POST, "/r1/auth/signin").header("user-agent", &agent).json(&body);
    let phone = anonymous.send(request).await.data();
    let phone = text(&phone, "session_id").to_owned();

    let list = anna.get("/r1/usersessions").await.data();
    assert_eq!(
        (list["total"].as_i64(), list["page"].as_i64(), list["page_size"].as_i64()),
        (Some(2), Some(1), Some(50))
    );
    let find = |id: &str| list["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap().clone();
    assert_eq!(find(&anna.session_id)["current"], true);
    let seen = find(&phone);
    assert_eq!((&seen["current"], seen["address"].as_str()), (&json!(false), Some("127.0.0.1")));
    assert!(text(&seen, "user_agent").starts_with("Phone <script>") && text(&seen, "user_agent").len() <= 256);
    for field in ["created_at", "last_used_at"] {
        text(&seen, field);
    }
    let page = anna.get("/r1/usersessions?page=2&page_size=1").await.data();
    assert_eq!((page["items"].as_array().unwrap().len(), page["total"].as_i64()), (1, Some(2)));

    for id in [phone.as_str(), "0198c1a0-0000-7000-8000-000000000000"] {
        ben.delete(&format!("/r1/usersessions/{id}")).await.refused(404, "not_found");
    }
    anna.delete(&format!("/r1/usersessions/{phone}")).await.data();
    anna.delete(&format!("/r1/usersessions/{phone}")).await.refused(404, "not_found");
    let (one, two) = (anna.another_device().await, anna.another_device().await);
    anna.delete("/r1/usersessions").await.data();
    for gone in [&one, &two] {
        gone.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    assert_eq!(anna.get("/r1/usersessions").await.data()["total"], 1);
    anna.delete(&format!("/r1/usersessions/{}", anna.session_id)).await.data();
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn name_and_password_are_changed_by_whoever_knows_the_password() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let mut socket = elsewhere.connect().await;
    assert_eq!(anna.patch("/r1/users/me", json!({ "display_name": " Ánna " })).await.data()["display_name"], "Ánna");
    anna.patch("/r1/users/me", json!({ "display_name": "" })).await.names_field("display_name");
    let change = |current: &str, new: &str| json!({ "current_password": current, "password": new });
    anna.patch("/r1/users/me", change("Wr0ng-Password", NEW_PASSWORD)).await.refused(403, "password_wrong");
    anna.patch("/r1/users/me", change(PASSWORD, "weak")).await.names_field("password");
    anna.patch("/r1/users/me", change(PASSWORD, &anna.email)).await.names_field("password");
    anna.patch("/r1/users/me", json!({ "password": NEW_PASSWORD })).await.names_field("current_password");
    for field in ["role", "email", "id", "is_deleted", "password_hash"] {
        let answer = anna.patch("/r1/users/me", json!({ field: "admin" })).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    elsewhere.get("/r1/users/me").await.data();

    anna.patch("/r1/users/me", change(PASSWORD, NEW_PASSWORD)).await.data();
    anna.get("/r1/users/me").await.data();
    elsewhere.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    app.anonymous().refresh(elsewhere.refresh_token()).await.refused(401, "unauthenticated");
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    Member::sign_in(&app.url(), &anna.email, NEW_PASSWORD).await;
    let me = anna.get("/r1/users/me").await.data();
    assert_eq!((text(&me, "role"), text(&me, "email")), ("user", anna.email.as_str()));
}

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
    // The old cookie is used up.
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

fn body_of_sign_in(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
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
    // A cookie without the prefix could have been set by a neighbour.
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
    // Not even to sign a victim in as somebody else, or out.
    let sign_in = anonymous.request(Method::POST, "/r1/auth/signin").header("origin", "https://evil.test");
    let sign_in = sign_in.header("x-natter-transport", "cookie").json(&body_of_sign_in(&anna.email));
    anonymous.send(sign_in).await.refused(403, "cross_site");
    let sign_out =
        anonymous.request(Method::POST, "/r1/auth/logout").header("cookie", &jar).header("origin", "https://evil.test");
    anonymous.send(sign_out).await.refused(403, "cross_site");
    assert_eq!(anna.get("/r1/users/me").await.data()["display_name"], "Anna");
    anonymous.send(rename(&[("origin", &origin)])).await.data();
    anonymous.send(rename(&[("sec-fetch-site", "same-origin")])).await.data();

    // A program with a bearer token may come from anywhere: no browser adds that by itself.
    let ben = app.sign_up("Ben").await;
    let request = ben.request(Method::PATCH, "/r1/users/me").header("origin", "https://elsewhere.test");
    ben.send(request.json(&json!({ "display_name": "Benjamin" }))).await.data();
}

#[tokio::test]
async fn the_public_keys_are_published_and_name_the_key_of_the_tokens() {
    let app = Application::start().await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys = answer.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let mut fields: Vec<&str> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["alg", "e", "kid", "kty", "n", "use"], "nothing private");
    let kid = text(&keys[0], "kid").to_owned();
    let token = app.sign_up("Anna").await.access_token().to_owned();
    let header = token.split('.').next().unwrap();
    // The header is short JSON in base64url; its `kid` stands in it as it is.
    let padded: String = header.replace('-', "+").replace('_', "/");
    assert!(
        decode(&padded).contains(&format!("\"kid\":\"{kid}\"")) && decode(&padded).contains("\"typ\":\"at+jwt\""),
        "{header}"
    );
}

/// Base64, the little of it that a test needs.
fn decode(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = text
        .bytes()
        .filter_map(|byte| ALPHABET.iter().position(|known| *known == byte))
        .flat_map(|value| (0..6).rev().map(move |bit| (value >> bit & 1) as u8))
        .collect();
    let bytes = bits.chunks_exact(8).map(|chunk| chunk.iter().fold(0_u8, |byte, bit| byte << 1 | bit)).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn no_secret_is_logged() {
    let app = Setup::new().set("auth.access_ttl", 3600).start().await;
    let anna = app.sign_up("Anna").await;
    let anonymous = app.anonymous();
    anonymous.refresh(anna.refresh_token()).await.data();
    anonymous.refresh(anna.refresh_token()).await.refused(401, "refresh_reused");
    anonymous.sign_in(&anna.email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    let log = app.instances[0].log().join("\n");
    assert!(log.contains("/r1/auth/refresh"), "the log is read");
    for secret in [PASSWORD, "Wr0ng-Password", anna.access_token(), anna.refresh_token(), "argon2id", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_crowd_that_signs_in_is_served_or_asked_to_wait() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (anonymous, email) = (app.anonymous(), anna.email.clone());
            tokio::spawn(async move { anonymous.sign_in(&email, PASSWORD).await })
        })
        .collect();
    // Whoever is signed in goes on meanwhile: hashing takes no thread that answers.
    let start = Instant::now();
    anna.get("/r1/users/me").await.data();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let mut served = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        match answer.status {
            200 => served += 1,
            _ => _ = answer.refused(503, "unavailable"),
        }
    }
    assert!(served > 0);
}

mod cluster {
    use super::*;

    /// Asks until it is refused, and says how long that took.
    async fn refused_after(member: &Member) -> Duration {
        let start = Instant::now();
        loop {
            let answer = member.get("/r1/users/me").await;
            if answer.status == 401 {
                return start.elapsed();
            }
            answer.data();
            assert!(start.elapsed() < Duration::from_secs(15), "an ended session still works");
        }
    }

    #[tokio::test]
    async fn an_end_bites_at_once_on_the_other_instance() {
        let app = Setup::new().instances(2).start().await;
        let there = app.instances[1].url();
        let anna = app.sign_up("Anna").await;
        let mut socket = anna.at(&there).connect().await;
        anna.at(&there).get("/r1/users/me").await.data();
        anna.post("/r1/auth/logout", json!({})).await.data();
        let took = refused_after(&anna.at(&there)).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(socket.closed().await.code, 4401);

        let ben = app.sign_up("Ben").await;
        ben.at(&there).get("/r1/users/me").await.data();
        app.anonymous().refresh(ben.refresh_token()).await.data();
        app.anonymous().refresh(ben.refresh_token()).await.refused(401, "refresh_reused");
        let took = refused_after(&ben.at(&there)).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    #[tokio::test]
    async fn without_redis_an_end_bites_within_seconds() {
        let mut app = Setup::new().instances(2).start().await;
        let there = app.instances[1].url();
        let anna = app.sign_up("Anna").await;
        app.redis.as_mut().unwrap().stop().await;
        anna.at(&there).get("/r1/users/me").await.data();
        anna.post("/r1/auth/logout", json!({})).await.data();
        anna.get("/r1/users/me").await.refused(401, "unauthenticated");
        let took = refused_after(&anna.at(&there)).await;
        assert!(took < Duration::from_secs(7), "{took:?}");
        // Tickets are still to be had, and good where they were given.
        let ben = app.sign_up("Ben").await;
        let ticket = ben.post("/r1/websocket/ticket", json!({})).await.data();
        let path = format!("/r1/websocket?ticket={}", text(&ticket, "ticket"));
        let headers = app.anonymous().headers();
        support::Socket::open(&app.url(), &path, headers, support::Codec::Json).await;
    }

    #[tokio::test]
    async fn tokens_and_tickets_of_one_instance_are_good_at_the_other() {
        let app = Setup::new().instances(2).start().await;
        let there = app.instances[1].url();
        let anna = app.sign_up("Anna").await;
        let (near, away) = (app.anonymous(), Caller::anonymous(&there));
        anna.at(&there).get("/r1/users/me").await.data();
        let (one, other) = tokio::join!(
            refresh_with_key(&near, anna.refresh_token(), "key-1"),
            refresh_with_key(&away, anna.refresh_token(), "key-1"),
        );
        assert_eq!(one.data(), other.data());
        assert_eq!(
            app.anonymous().get("/.well-known/jwks.json").await.body,
            away.get("/.well-known/jwks.json").await.body
        );

        let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data();
        let path = format!("/r1/websocket?ticket={}", text(&ticket, "ticket"));
        support::Socket::open(&there, &path, away.headers(), support::Codec::Json).await;
        for base in [&there, &app.url()] {
            let Err((status, _)) = support::Socket::try_open(base, &path, away.headers(), support::Codec::Json).await
            else {
                panic!("a ticket was good twice")
            };
            assert_eq!(status, 401);
        }
    }

    #[tokio::test]
    async fn one_address_is_one_account_on_two_instances() {
        let app = Setup::new().instances(2).start().await;
        let email = new_email("race");
        let (one, other) = (app.anonymous(), support::Anonymous(Caller::anonymous(&app.instances[1].url())));
        let (one, other) = tokio::join!(one.sign_up(&email, PASSWORD, "A"), other.sign_up(&email, PASSWORD, "B"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
}
