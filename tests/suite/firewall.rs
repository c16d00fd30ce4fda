//! Firewall: which violations are counted, bans, exemptions, and consistency between instances.

mod shared_address;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;

use support::{
    Answer, Application, Balancer, Caller, Codec, Credentials, Member, Nginx, Setup, Socket, Value, json, new_email,
    new_id, wait_until,
};

use crate::{
    endpoints::{Args, SampleCall, create, plain, sample},
    raw::{Raw, upgrade_headers},
};

/// Setup in which three violations cause a ban of five minutes. All clients are behind a proxy,
/// which forwards their addresses.
fn behind_a_proxy() -> Setup {
    directly().set("server.trusted_proxies", "127.0.0.1/32")
}

fn directly() -> Setup {
    Setup::new().set("rate_limit.enabled", true).set("firewall.violations_to_ban", 3)
}

/// Requests a path as the proxy does for a client at this address.
async fn ask(caller: &Caller, address: &str, path: &str) -> Answer {
    caller.send(caller.request(Method::GET, path).header("x-forwarded-for", address)).await
}

async fn is_banned(caller: &Caller, address: &str) -> bool {
    let answer = ask(caller, address, "/frames.json").await;
    if answer.status == 200 {
        return false;
    }
    answer.refused(403, "address_banned");
    let wait: u64 = answer.header("retry-after").expect("retry delay present").parse().unwrap();
    assert!(wait >= 1, "{answer:?}");
    true
}

async fn scan(caller: &Caller, address: &str, times: usize) {
    for path in ["/.env", "/.git/config", "/wp-login.php"].iter().cycle().take(times) {
        assert_eq!(ask(caller, address, path).await.status, 404);
    }
}

async fn bans(admin: &Member) -> Vec<Value> {
    admin.get("/r1/admin/bans").await.data()["items"].as_array().unwrap().clone()
}

async fn actions(admin: &Member, action: &str) -> Vec<Value> {
    let page = admin.get(&format!("/r1/admin/audit_log?action={action}")).await.data();
    page["items"].as_array().unwrap().clone()
}

/// Returns the ban of a network. Rate limits are off during the sample calls, so the ban has no
/// effect.
fn sample_ban() -> Value {
    json!({ "address": "203.0.113.0/24", "seconds": 60, "reason": "Abuse" })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListBans"]),
        sample(&["AddBan"], async |_| Args::body(sample_ban())),
        sample(&["LiftBan"], async |world| Args::id(create(&world.admin, "/r1/admin/bans", sample_ban()).await)),
    ]
}

#[tokio::test]
async fn bans_a_scanner_until_an_admin_lifts_the_ban() {
    let app = behind_a_proxy().start().await;
    let (scanner, admin) = (app.anonymous(), app.admin().await);
    scan(&scanner, "203.0.113.7", 3).await;
    assert!(is_banned(&scanner, "203.0.113.7").await);
    assert!(!is_banned(&scanner, "203.0.113.8").await, "a neighbouring address is not banned");
    let listed = bans(&admin).await;
    assert_eq!((listed.len(), listed[0]["address"].as_str()), (1, Some("203.0.113.7/32")));
    assert!(listed[0]["created_by"].is_null() && listed[0]["reason"].as_str().unwrap().contains("probe"));
    let id = listed[0]["id"].as_str().unwrap();
    admin.delete(&format!("/r1/admin/bans/{id}")).await.data();
    assert!(!is_banned(&scanner, "203.0.113.7").await);
    admin.delete(&format!("/r1/admin/bans/{id}")).await.refused(404, "not_found");
    assert_eq!(actions(&admin, "firewall.address_banned").await[0]["target"], "203.0.113.7/32");
    let lifted = &actions(&admin, "admin.ban_lifted").await[0];
    assert_eq!((lifted["actor"].as_str(), lifted["address"].as_str()), (Some(admin.id.as_str()), Some("127.0.0.1")));
}

#[tokio::test]
async fn shows_banned_browsers_a_page_and_lets_operators_unban_from_the_shell() {
    let app = behind_a_proxy().start().await;
    let (visitor, admin) = (app.anonymous(), app.admin().await);
    let ban = json!({ "address": "203.0.113.7", "seconds": 300, "reason": "Abuse" });
    admin.post("/r1/admin/bans", ban).await.data_with(201);
    let request = visitor.request(Method::GET, "/").header("x-forwarded-for", "203.0.113.7");
    let page = visitor.send(request.header("accept", "text/html")).await;
    assert_eq!((page.status, page.header("content-type")), (403, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("Trying again in 5 minutes"), "{page:?}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "the page has the security headers");
    let said = app.command(&["admin", "lift-ban", "--address", "203.0.113.7"]).await;
    assert!(said.status.success(), "{said:?}");
    wait_until("the running instance lifts the ban", || async { !is_banned(&visitor, "203.0.113.7").await }).await;
}

#[tokio::test]
async fn counts_only_the_configured_violations() {
    let app = behind_a_proxy()
        .set("firewall.violations", "failed_signin,forged_token,rate_limited")
        .set("rate_limit.write.strategy", "fixed_window")
        .set("rate_limit.write.limit", 2)
        .set("rate_limit.write.window", 86_400)
        .start()
        .await;
    let anonymous = app.anonymous();
    scan(&anonymous, "203.0.113.1", 6).await;
    assert!(!is_banned(&anonymous, "203.0.113.1").await, "probes are not counted here");

    let anna = app.sign_up("Anna").await;
    let fail = async |address: &str, email: &str| {
        let body = json!({ "email": email, "password": "Wrong-Horse-9-Battery" });
        let request = anonymous.request(Method::POST, "/r1/auth/signin").header("x-forwarded-for", address);
        anonymous.send(request.json(&body)).await.refused(401, "invalid_credentials");
    };
    for _ in 0..3 {
        fail("203.0.113.2", &new_email("nobody")).await;
    }
    assert!(is_banned(&anonymous, "203.0.113.2").await, "sign-ins to unknown accounts are counted");
    for _ in 0..4 {
        fail("203.0.113.6", &anna.email).await;
    }
    assert!(!is_banned(&anonymous, "203.0.113.6").await, "mistyped passwords are not counted");

    for _ in 0..3 {
        let request = anonymous.request(Method::GET, "/r1/users/me").bearer_auth(format!("{}x", anna.access_token()));
        anonymous.send(request.header("x-forwarded-for", "203.0.113.3")).await.refused(401, "unauthenticated");
    }
    assert!(is_banned(&anonymous, "203.0.113.3").await, "forged tokens are counted");

    let create = async || {
        let request = anna.request(Method::POST, "/r1/workspaces").header("x-forwarded-for", "203.0.113.4");
        anna.send(request.json(&json!({ "name": "Team" }))).await.status
    };
    let statuses = [create().await, create().await, create().await, create().await, create().await, create().await];
    assert_eq!(statuses, [201, 201, 429, 429, 429, 429]);
    assert!(
        !is_banned(&anonymous, "203.0.113.4").await,
        "exceeding a limit per user is not a violation of the address"
    );

    let preview = async || {
        let request = anonymous.request(Method::POST, "/r1/invitations/preview").json(&json!({ "token": "unknown" }));
        anonymous.send(request.header("x-forwarded-for", "203.0.113.8")).await.status
    };
    let statuses = [preview().await, preview().await, preview().await, preview().await, preview().await];
    assert_eq!(statuses[2..], [429, 429, 429], "{statuses:?}");
    assert!(is_banned(&anonymous, "203.0.113.8").await, "anonymous calls beyond the limit per address are counted");

    // Expired credentials don't count as forged: those of a session, an API key, and a token of a
    // signing key that was removed.
    let ben = app.sign_up("Ben").await;
    ben.post("/r1/auth/logout", json!({})).await.data();
    let cleo = app.sign_up("Cleo").await;
    let program = cleo.program(&["read"]).await;
    cleo.delete(&format!("/r1/api_keys/{}", program.tokens["api_key_id"].as_str().unwrap())).await.data();
    let unknown_key = Caller::new(&app.url(), Credentials::Bearer(foreign_token(anna.access_token())));
    for caller in [&*ben, &*program, &unknown_key] {
        for _ in 0..4 {
            ask(caller, "203.0.113.5", "/r1/users/me").await.refused(401, "unauthenticated");
        }
    }
    assert!(!is_banned(&anonymous, "203.0.113.5").await);
}

#[tokio::test]
async fn uses_only_the_trusted_proxys_client_address() {
    let app = behind_a_proxy().start().await;
    let caller = app.anonymous();
    for lie in ["198.51.100.1", "198.51.100.2", "127.0.0.1"] {
        scan(&caller, &format!("{lie}, 203.0.113.7"), 1).await;
    }
    assert!(is_banned(&caller, "203.0.113.7").await, "another first address is the same client");
    for innocent in ["198.51.100.1", "198.51.100.2", "127.0.0.1"] {
        assert!(!is_banned(&caller, innocent).await, "{innocent} was banned");
    }
    // The proxy itself isn't banned, nor are requests without a forwarded address.
    scan(&caller, "127.0.0.1", 9).await;
    for _ in 0..9 {
        assert_eq!(caller.get("/.env").await.status, 404);
    }
    assert_eq!(caller.get("/frames.json").await.status, 200, "a trusted proxy is never banned");
}

#[tokio::test]
async fn bans_do_not_apply_to_health_checks() {
    let app = behind_a_proxy().start().await;
    let caller = app.anonymous();
    scan(&caller, "203.0.113.66", 3).await;
    assert!(is_banned(&caller, "203.0.113.66").await);
    for path in ["/health", "/health/simple"] {
        assert_eq!(ask(&caller, "203.0.113.66", path).await.status, 200, "{path}");
    }
}

/// Without the setting, all users count as the proxy. The log, the console and the doctor say so.
#[tokio::test]
async fn names_a_proxy_that_is_not_trusted() {
    let app = Application::start().await;
    let admin = app.admin().await;
    let caller = app.anonymous();
    ask(&caller, "203.0.113.66", "/frames.json").await;
    ask(&caller, "203.0.113.67", "/frames.json").await;
    let named = "127.0.0.1, which is not in server.trusted_proxies";
    wait_until("the doctor names the proxy", async || {
        let output = app.command(&["doctor"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        !output.status.success() && said.contains(&format!("FAULT    configuration: Requests come through {named}"))
    })
    .await;
    let checks = admin.get("/r1/admin/checks").await.text();
    assert!(checks.contains(named), "{checks}");
    let log = app.instances[0].log();
    let warnings = log.iter().filter(|line| line.contains("forwarding headers ignored")).count();
    assert_eq!(warnings, 1, "{log:#?}");
}

#[tokio::test]
async fn ignores_forwarded_addresses_before_the_trusted_proxy() {
    let app = behind_a_proxy().start().await;
    let caller = app.anonymous();
    let status = async |forwarded: &[u8], path: &str| {
        let request = caller.request(Method::GET, path).header("x-forwarded-for", forwarded);
        caller.send(request).await.status
    };
    for _ in 0..3 {
        assert_eq!(status(b"\xff, 203.0.113.66", "/.env").await, 404);
    }
    for hidden in [&b"\xff, 203.0.113.66"[..], b"8.8.8.8, 203.0.113.66", b"203.0.113.66"] {
        assert_eq!(status(hidden, "/frames.json").await, 403, "{hidden:?}");
    }
    // If the forwarded address can't be read, the violation isn't attributed to the proxy, which is
    // never banned.
    assert_eq!(status(b"203.0.113.67, \xff", "/frames.json").await, 200);
    for _ in 0..3 {
        assert_eq!(status(b"203.0.113.67, \xff", "/.env").await, 404);
    }
    assert_eq!(status(b"203.0.113.67, \xff", "/frames.json").await, 403);
    assert_eq!(status(b"203.0.113.67", "/frames.json").await, 200);
}

/// Returns the token as if it had been signed with a key that this installation no longer has.
fn foreign_token(token: &str) -> String {
    let (head, rest) = token.split_once('.').expect("a JWT has three parts");
    let mut head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    head["kid"] = json!("a-key-from-before");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(head.to_string()))
}

/// Request headers that a browser sends if a page of another site causes the request.
const FOREIGN_PAGES: [&[(&str, &str)]; 4] = [
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
    &[("sec-fetch-site", "same-site")],
    &[("origin", "https://evil.example")],
    &[("referer", "http://evil.example/page")],
];

#[tokio::test]
async fn cross_site_requests_cannot_ban_a_visitor() {
    let app = behind_a_proxy()
        .set("rate_limit.read.strategy", "fixed_window")
        .set("rate_limit.read.limit", 2)
        .set("rate_limit.read.window", 86_400)
        .start()
        .await;
    let (anna, visitor) = (app.sign_up("Anna").await, app.anonymous());
    let forged = format!("{}x", anna.access_token());
    for page in FOREIGN_PAGES {
        let ask = async |path: &str, token: Option<&str>| {
            let mut request = visitor.request(Method::GET, path).header("x-forwarded-for", "203.0.113.7");
            for (name, value) in page {
                request = request.header(*name, *value);
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            visitor.send(request).await.status
        };
        for n in 0..4 {
            assert_eq!(ask(&format!("/wp-{n}.php"), None).await, 404, "{page:?}");
        }
        for _ in 0..4 {
            // The request is refused first because it is forged, then because the limit is
            // exceeded.
            assert!(matches!(ask("/r1/users/me", Some(&forged)).await, 401 | 429), "{page:?}");
        }
        assert_eq!(ask("/frames.json", None).await, 200, "{page:?}");
    }
    // The visitor's own requests are counted separately.
    ask(&visitor, "203.0.113.7", "/r1/users/me").await.refused(401, "unauthenticated");
    // Browsers always send an origin with requests to the real-time endpoints.
    for path in ["/r1/websocket", "/socket.io/?EIO=4&transport=websocket"] {
        for _ in 0..4 {
            let head = "origin: https://evil.example\nx-forwarded-for: 203.0.113.7";
            if path.starts_with("/socket.io") {
                let mut client = Raw::open(&app.url(), path, head).await;
                assert!(client.text().await.starts_with("0{"));
                client.send_text(&format!("40{}", json!({ "token": forged }))).await;
                assert!(client.text().await.starts_with("44"), "the connection is refused");
            } else {
                let head = upgrade_headers(&format!("{head}\nauthorization: Bearer {forged}"));
                assert_eq!(Raw::knock(&app.url(), "GET", path, &head).await.1.status, 401);
            }
        }
    }
    assert!(!is_banned(&visitor, "203.0.113.7").await);
    // The same requests from a client at that address that isn't a browser.
    scan(&visitor, "203.0.113.7", 3).await;
    assert!(is_banned(&visitor, "203.0.113.7").await);
}

#[tokio::test]
async fn clients_cannot_spoof_address_or_country_behind_the_shipped_proxies() {
    let app = behind_a_proxy().start().await;
    let anna = app.sign_up("Anna").await;
    let (nginx, haproxy) = (Nginx::shipped(&app.instances).await, Balancer::start(&app.instances).await);
    for proxy in [nginx.url(), haproxy.url()] {
        let visitor = Caller::anonymous(&proxy);
        for lie in [&b"192.0.2.99"[..], b"192.0.2.99, 127.0.0.1", b"\xff", b"\xff, 127.0.0.1"] {
            let request = visitor.request(Method::POST, "/r1/auth/signin").header("x-forwarded-for", lie);
            let body = json!({ "email": anna.email, "password": support::PASSWORD });
            let session = visitor.send(request.header("cf-ipcountry", "VN").json(&body)).await.data();
            let session = session["session_id"].as_str().unwrap().to_owned();
            let list = anna.get("/r1/usersessions").await.data();
            let mine = list["items"].as_array().unwrap().iter().find(|one| one["id"] == *session).unwrap();
            assert_eq!(
                (mine["address"].as_str(), &mine["place"]),
                (Some("127.0.0.1"), &Value::Null),
                "{proxy}, {lie:?}"
            );
        }
        // A client can't cause a ban of another address either.
        scan(&visitor, "192.0.2.99", 3).await;
        assert!(!is_banned(&app.anonymous(), "192.0.2.99").await, "{proxy}");
    }
}

#[tokio::test]
async fn ignores_forwarded_addresses_without_a_trusted_proxy() {
    let app = directly().start().await;
    let caller = app.anonymous();
    for lie in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        scan(&caller, lie, 1).await;
    }
    assert!(is_banned(&caller, "198.51.100.4").await, "local clients are counted like others");
}

#[tokio::test]
async fn counts_an_ipv6_network_as_one_client() {
    let app = behind_a_proxy().start().await;
    let caller = app.anonymous();
    for host in ["1", "2", "ffff:3"] {
        scan(&caller, &format!("2001:db8:1:2::{host}"), 1).await;
    }
    assert!(is_banned(&caller, "2001:db8:1:2:aaaa::").await);
    assert!(!is_banned(&caller, "2001:db8:1:3::1").await);
}

#[tokio::test]
async fn admins_ban_networks_with_validated_input() {
    let app = behind_a_proxy().start().await;
    let (caller, admin, anna) = (app.anonymous(), app.admin().await, app.sign_up("Anna").await);
    let ban = |address: &str| json!({ "address": address, "seconds": 600, "reason": "Abuse" });
    let made = admin.post("/r1/admin/bans", ban("203.0.113.77/24")).await.data_with(201);
    assert_eq!((made["address"].as_str(), made["reason"].as_str()), (Some("203.0.113.0/24"), Some("Abuse")));
    assert_eq!(made["created_by"].as_str(), Some(admin.id.as_str()));
    assert!(is_banned(&caller, "203.0.113.200").await && !is_banned(&caller, "203.0.114.1").await);
    let wait: u64 = ask(&caller, "203.0.113.1", "/").await.header("retry-after").unwrap().parse().unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
    for wrong in ["", "home", "203.0.113.0/33", "0.0.0.0/0", "127.0.0.1"] {
        admin.post("/r1/admin/bans", ban(wrong)).await.names_field("address");
    }
    for seconds in [json!(0), json!(-1), json!(1.5), json!("60"), json!(u64::MAX), Value::Null] {
        let body = json!({ "address": "203.0.113.1", "seconds": seconds, "reason": "Abuse" });
        admin.post("/r1/admin/bans", body).await.names_field("seconds");
    }
    let found = async |query: &str| admin.get(&format!("/r1/admin/bans?{query}")).await.data()["total"].clone();
    for query in ["q=113.0", "q=aBUSE", "automatic=false", "q=203&automatic=false"] {
        assert_eq!(found(query).await, json!(1), "{query}");
    }
    for query in ["q=100%25", "q=_", "automatic=true"] {
        assert_eq!(found(query).await, json!(0), "{query}");
    }
    admin.get(&format!("/r1/admin/bans?q={}", "x".repeat(201))).await.names_field("q");
    anna.post("/r1/admin/bans", ban("203.0.113.1")).await.refused(403, "forbidden");
    anna.get("/r1/admin/bans").await.refused(403, "forbidden");
    anna.get("/r1/admin/audit_log").await.refused(403, "forbidden");
    anna.delete(&format!("/r1/admin/bans/{}", made["id"].as_str().unwrap())).await.refused(403, "forbidden");
    admin.delete(&format!("/r1/admin/bans/{}", new_id())).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_ban_closes_existing_connections_and_refuses_new_ones() {
    let app = behind_a_proxy().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let mut headers = anna.headers();
    headers.insert("x-forwarded-for", "203.0.113.7".parse().unwrap());
    let mut socket = Socket::open(&app.url(), "/r1/websocket", headers.clone(), Codec::Json).await;
    let mut elsewhere = anna.connect().await;
    // Server-sent events and Socket.IO, from the same address.
    let from = "x-forwarded-for: 203.0.113.7";
    let bearer = format!("authorization: Bearer {}\nconnection: close\n{from}", anna.access_token());
    let (mut stream, head) = Raw::knock(&app.url(), "GET", "/r1/events", &bearer).await;
    assert_eq!(head.status, 200);
    while !stream.read_line().await.contains("hello") {}
    let mut client = Raw::open(&app.url(), "/socket.io/?EIO=4&transport=websocket", from).await;
    assert!(client.text().await.starts_with("0{"));
    client.send_text(&format!("40{}", json!({ "token": anna.access_token() }))).await;
    while !client.text().await.contains("hello") {}
    let made = admin
        .post("/r1/admin/bans", json!({ "address": "203.0.113.7", "seconds": 600, "reason": "Abuse" }))
        .await
        .data_with(201);
    assert_eq!(socket.closed().await.code, 1008);
    stream.rest().await;
    assert!(client.ends().await);
    for path in ["/r1/websocket", "/socket.io/?EIO=4&transport=websocket"] {
        let Err((status, body)) = Socket::try_open(&app.url(), path, headers.clone(), Codec::Json).await else {
            panic!("{path} let a banned address in");
        };
        assert!(status == 403 && body.contains("address_banned"), "{path}: {status} {body}");
    }
    for path in ["/r1/events", "/socket.io/?EIO=4&transport=polling"] {
        ask(&anna, "203.0.113.7", path).await.refused(403, "address_banned");
    }
    // The same user stays connected at another address.
    let id = elsewhere.send("ping", json!({})).await;
    assert_eq!(elsewhere.expect("pong").await.reply_to.as_deref(), Some(id.as_str()));
    admin.delete(&format!("/r1/admin/bans/{}", made["id"].as_str().unwrap())).await.data();
    Socket::open(&app.url(), "/r1/websocket", headers, Codec::Json).await;
}

#[tokio::test]
async fn counts_forged_tokens_at_realtime_endpoints() {
    let app = behind_a_proxy().start().await;
    let anna = app.sign_up("Anna").await;
    let mut headers = anna.headers();
    headers.insert("authorization", format!("Bearer {}x", anna.access_token()).parse().unwrap());
    headers.insert("x-forwarded-for", "203.0.113.7".parse().unwrap());
    for _ in 0..3 {
        let refused = Socket::try_open(&app.url(), "/r1/websocket", headers.clone(), Codec::Json).await;
        assert_eq!(refused.err().unwrap().0, 401);
    }
    assert!(is_banned(&app.anonymous(), "203.0.113.7").await);
}

#[tokio::test]
async fn does_not_count_a_socket_flood_against_the_address() {
    let app = behind_a_proxy().set("realtime.max_frames_per_second", 1).start().await;
    let anna = app.sign_up("Anna").await;
    let mut headers = anna.headers();
    headers.insert("x-forwarded-for", "203.0.113.7".parse().unwrap());
    for _ in 0..4 {
        let mut socket = Socket::open(&app.url(), "/r1/websocket", headers.clone(), Codec::Json).await;
        for _ in 0..20 {
            socket.send("ping", json!({})).await;
        }
        assert_eq!(socket.closed().await.code, 4429);
    }
    // Two probes are one less than a ban needs. If something else were counted too, the address
    // would be banned.
    let visitor = app.anonymous();
    scan(&visitor, "203.0.113.7", 2).await;
    assert!(!is_banned(&visitor, "203.0.113.7").await);
}

#[tokio::test]
async fn account_actions_are_written_to_the_audit_log() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    app.anonymous().sign_in(&anna.email, "Wrong-Horse-9-Battery").await.refused(401, "invalid_credentials");
    let other = anna.another_device().await;
    anna.delete(&format!("/r1/usersessions/{}", other.session_id)).await.data();
    anna.post("/r1/auth/logout", json!({})).await.data();
    for (action, actor, target) in [
        ("auth.signup", Some(&anna.id), None),
        ("auth.signin_failed", None, Some(&anna.id)),
        ("auth.signin", Some(&anna.id), None),
        ("auth.session_ended", Some(&anna.id), Some(&other.session_id)),
        ("auth.signout", Some(&anna.id), None),
    ] {
        let entry = actions(&admin, action).await.into_iter().next().unwrap_or_else(|| panic!("no {action}"));
        assert_eq!(entry["actor"].as_str(), actor.map(String::as_str), "{entry}");
        assert_eq!(entry["target"].as_str(), target.map(String::as_str), "{entry}");
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert_eq!(entry["actor_name"].as_str(), actor.map(|_| "Anna"), "{entry}");
        assert!(entry["created_at"].is_string() && entry["id"].is_string(), "{entry}");
    }
    let all = admin.get("/r1/admin/audit_log?page_size=2").await.data();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(all["items"][0]["action"], "auth.signout", "the newest comes first");
    assert_eq!(admin.get("/r1/admin/audit_log?action=nothing").await.data()["total"], 0);
    // Neither the email address nor the password that was tried is in the audit log.
    assert!(!admin.get("/r1/admin/audit_log?page_size=200").await.text().contains(&anna.email));
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn instances_share_violation_counts_and_persist_bans() {
        let mut app = behind_a_proxy().instances(2).start().await;
        let urls: Vec<String> = app.instances.iter().map(|instance| instance.url()).collect();
        let callers: Vec<Caller> = urls.iter().map(|url| Caller::anonymous(url)).collect();
        for caller in [&callers[0], &callers[1], &callers[0]] {
            scan(caller, "203.0.113.7", 1).await;
        }
        let everywhere = async |wanted: bool, address: &str| {
            wait_until("the instances agree", || async {
                is_banned(&callers[0], address).await == wanted && is_banned(&callers[1], address).await == wanted
            })
            .await;
        };
        everywhere(true, "203.0.113.7").await;
        let admin = app.admin().await;
        assert_eq!(bans(&admin).await.len(), 1, "only one instance creates the ban");

        // Redis is restarted without its data, and an instance without its caches.
        app.redis.as_mut().unwrap().stop().await;
        assert!(is_banned(&callers[0], "203.0.113.7").await);
        app.instances[1].kill().await;
        app.instances[1].start_again().await;
        assert!(is_banned(&callers[1], "203.0.113.7").await, "from the first request on");
        // Without Redis, the instances use the table in the database.
        let body = json!({ "address": "198.51.100.0/24", "seconds": 600, "reason": "Abuse" });
        admin.post("/r1/admin/bans", body).await.data_with(201);
        everywhere(true, "198.51.100.1").await;
        app.redis.as_mut().unwrap().start_again().await;
        assert!(is_banned(&callers[0], "203.0.113.7").await && is_banned(&callers[1], "203.0.113.7").await);

        for ban in bans(&admin).await {
            admin.at(&urls[1]).delete(&format!("/r1/admin/bans/{}", ban["id"].as_str().unwrap())).await.data();
        }
        everywhere(false, "203.0.113.7").await;
        everywhere(false, "198.51.100.1").await;
    }

    #[tokio::test]
    async fn a_ban_closes_connections_on_other_instances() {
        let app = behind_a_proxy().instances(2).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        let mut headers = anna.headers();
        headers.insert("x-forwarded-for", "203.0.113.7".parse().unwrap());
        let mut socket = Socket::open(&app.instances[1].url(), "/r1/websocket", headers, Codec::Json).await;
        let body = json!({ "address": "203.0.113.0/24", "seconds": 600, "reason": "Abuse" });
        admin.post("/r1/admin/bans", body).await.data_with(201);
        assert_eq!(socket.closed().await.code, 1008);
    }
}
