//! Shared addresses: a flood or an attack by one client doesn't affect other clients at the same
//! address.

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use support::{
    Answer, Application, Caller, Codec, Credentials, Member, PASSWORD, Setup, Socket, json, new_email, wait_until,
};

use super::{is_banned, scan};
use crate::raw::Raw;

const OFFICE: &str = "203.0.113.7";
/// Number of users who have an account and a session. Each of them represents several people,
/// because hashing passwords is slow.
const MEMBERS: usize = 26;
const PEOPLE: usize = 500;
const AT_ONCE: usize = 16;

/// Setup with the default limits and firewall, behind a proxy that forwards addresses. Only the
/// limit on writes is lower, so that a script reaches it quickly.
fn as_shipped() -> Setup {
    Setup::new()
        .set("rate_limit.enabled", true)
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("rate_limit.write.strategy", "fixed_window")
        .set("rate_limit.write.limit", 30)
        .set("rate_limit.write.window", 86_400)
}

fn from_office(request: RequestBuilder) -> RequestBuilder {
    request.header("x-forwarded-for", OFFICE)
}

async fn ask(caller: &Caller, path: &str) -> Answer {
    caller.send(from_office(caller.request(Method::GET, path))).await
}

async fn post(caller: &Caller, path: &str, body: serde_json::Value) -> Answer {
    caller.send(from_office(caller.request(Method::POST, path)).json(&body)).await
}

async fn sign_in(caller: &Caller, email: &str, password: &str) -> Answer {
    post(caller, "/r1/auth/signin", json!({ "email": email, "password": password })).await
}

fn office_headers(caller: &Caller) -> HeaderMap {
    let mut headers = caller.headers();
    headers.insert("x-forwarded-for", OFFICE.parse().unwrap());
    headers
}

async fn connect(base: &str, caller: &Caller) -> Socket {
    Socket::open(base, "/r1/websocket", office_headers(caller), Codec::Json).await
}

async fn is_alive(socket: &mut Socket) {
    assert_eq!(socket.request("ping", json!({})).await.kind, "pong");
}

/// Renews a session repeatedly, each time with the refresh token of the last renewal.
async fn refresh(base: &str, member: &Member, times: usize) -> String {
    let caller = Caller::anonymous(base);
    let mut token = member.refresh_token().to_owned();
    for _ in 0..times {
        let tokens = post(&caller, "/r1/auth/refresh", json!({ "refresh_token": token })).await.data();
        token = tokens["refresh_token"].as_str().unwrap().to_owned();
    }
    token
}

/// Sends 20 probes, which is the number that causes a ban.
async fn be_scanned(base: &str) {
    let scanner = Caller::anonymous(base);
    scan(&scanner, OFFICE, 20).await;
    assert!(is_banned(&scanner, OFFICE).await);
}

#[tokio::test]
async fn five_hundred_new_users_behind_one_address_are_not_banned() {
    let app = as_shipped().start().await;
    let (base, anonymous, admin) = (app.url(), app.anonymous(), app.admin().await);
    let members = app.crowd(MEMBERS).await;

    // All users request an email for a password reset. These calls belong to the same rate limit
    // group as sign-ins, and are more than its former limit per minute.
    let asked = stream::iter(0..PEOPLE).map(|n| {
        let anonymous = &anonymous;
        async move {
            let body = json!({ "email": new_email(&format!("person{n}")) });
            post(anonymous, "/r1/auth/forgot-password", body).await.status
        }
    });
    let statuses: Vec<u16> = asked.buffer_unordered(AT_ONCE).collect().await;
    assert!(statuses.iter().all(|status| *status == 202), "{statuses:?}");
    // All apps renew their sessions at nine o'clock.
    let renewals = stream::iter(&members).map(|member| refresh(&base, member, PEOPLE / MEMBERS));
    renewals.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    // A school class mistypes the passwords and succeeds at the second attempt.
    let mistyped = stream::iter(&members[..24]).map(|member| {
        let anonymous = &anonymous;
        async move {
            sign_in(anonymous, &member.email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
        }
    });
    mistyped.buffer_unordered(4).collect::<Vec<_>>().await;
    assert_eq!(sign_in(&anonymous, &members[0].email, PASSWORD).await.status, 200);
    let mut sockets = Vec::new();
    for member in &members[..6] {
        sockets.push(connect(&base, member).await);
    }

    // A script with a valid session exceeds its own rate limit.
    let greedy = &members[25];
    let mut refused = 0;
    for n in 0..60 {
        let request = greedy.request(Method::PATCH, "/r1/users/me").json(&json!({ "display_name": format!("{n}") }));
        let answer = greedy.send(from_office(request)).await;
        if answer.status != 200 {
            answer.refused(429, "rate_limited");
            refused += 1;
        }
    }
    assert!(refused >= 25, "{refused}");
    assert!(!is_banned(&anonymous, OFFICE).await, "ordinary traffic caused a ban");
    for member in &members {
        assert_eq!(ask(member, "/r1/users/me").await.status, 200);
    }

    // A scanner is at the same address. Only clients that are unknown there are refused.
    let newcomer = app.sign_up("Newcomer").await;
    let program = members[1].program(&["read"]).await;
    be_scanned(&base).await;
    let listed = admin.get("/r1/admin/bans").await.data();
    assert_eq!(listed["items"][0]["address"], format!("{OFFICE}/32"));
    for member in &members[..6] {
        assert_eq!(ask(member, "/r1/users/me").await.status, 200);
    }
    assert_eq!(ask(&program, "/r1/users/me").await.status, 200);
    refresh(&base, &newcomer, 2).await;
    for socket in &mut sockets {
        is_alive(socket).await;
    }
    is_alive(&mut connect(&base, &members[7]).await).await;
    let ticket = post(&members[8], "/r1/websocket/ticket", json!({})).await.data();
    let path = format!("/r1/websocket?ticket={}", ticket["ticket"].as_str().unwrap());
    is_alive(&mut Socket::open(&base, &path, office_headers(&anonymous), Codec::Json).await).await;
    let from = format!("x-forwarded-for: {OFFICE}");
    let mut client = Raw::open(&base, "/socket.io/?EIO=4&transport=websocket", &from).await;
    assert!(client.text().await.starts_with("0{"));
    client.send_text(&format!("40{}", json!({ "token": members[9].access_token() }))).await;
    while !client.text().await.contains("hello") {}
    // The app is loaded, its expired session is refused with 401, and signing in with a password
    // works.
    assert_ne!(ask(&anonymous, "/").await.status, 403);
    ask(&anonymous, "/r1/users/me").await.refused(401, "unauthenticated");
    for path in ["/r1/auth/policy", "/r1/pricing_plans"] {
        assert_eq!(ask(&anonymous, path).await.status, 200);
    }
    assert_eq!(sign_in(&anonymous, &members[10].email, PASSWORD).await.status, 200);

    // Requests without credentials, or with forged ones, are refused.
    let account = json!({ "email": new_email("eve"), "password": PASSWORD, "display_name": "Eve" });
    post(&anonymous, "/r1/auth/signup", account).await.refused(403, "address_banned");
    ask(&anonymous, "/.env").await.refused(403, "address_banned");
    post(&anonymous, "/r1/auth/refresh", json!({ "refresh_token": "unknown" })).await.refused(403, "address_banned");
    let forged = Caller::new(&base, Credentials::Bearer(format!("{}x", members[0].access_token())));
    ask(&forged, "/r1/users/me").await.refused(403, "address_banned");
    let refused = Socket::try_open(&base, "/r1/websocket", office_headers(&forged), Codec::Json).await;
    assert!(matches!(&refused, Err((403, body)) if body.contains("address_banned")));

    // A ban by an administrator applies to all clients at the address.
    let ban = json!({ "address": OFFICE, "seconds": 600, "reason": "Abuse" });
    admin.post("/r1/admin/bans", ban).await.data_with(201);
    ask(&members[0], "/r1/users/me").await.refused(403, "address_banned");
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.code, 1008);
    }
}

#[tokio::test]
async fn limits_unknown_accounts_at_a_banned_address_to_five_failed_sign_ins() {
    let app = as_shipped().start().await;
    let (base, anonymous) = (app.url(), app.anonymous());
    let (anna, newcomer) = (app.sign_up("Anna").await, app.sign_up("Newcomer").await);
    sign_in(&anonymous, &anna.email, PASSWORD).await.data();
    be_scanned(&base).await;
    for _ in 0..5 {
        let unknown = new_email("nobody");
        sign_in(&anonymous, &unknown, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    sign_in(&anonymous, &newcomer.email, PASSWORD).await.refused(429, "too_many_signins");
    // Neither accounts that are known at the address nor other addresses are affected.
    assert_eq!(sign_in(&anonymous, &anna.email, PASSWORD).await.status, 200);
    assert_eq!(app.anonymous().sign_in(&newcomer.email, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn probing_by_a_signed_in_member_does_not_ban_the_address() {
    let app = as_shipped().start().await;
    let anna = app.sign_up("Anna").await;
    scan(&anna, OFFICE, 25).await;
    assert!(!is_banned(&app.anonymous(), OFFICE).await);
}

mod cluster {
    use super::*;

    async fn are_served(app: &Application, member: &Member, sockets: &mut [Socket]) {
        for instance in &app.instances {
            assert_eq!(ask(&member.at(&instance.url()), "/r1/users/me").await.status, 200);
            is_alive(&mut connect(&instance.url(), member).await).await;
        }
        for socket in sockets {
            is_alive(socket).await;
        }
    }

    #[tokio::test]
    async fn every_instance_serves_known_members_behind_a_banned_address() {
        let mut app = as_shipped().instances(2).start().await;
        let urls = [app.instances[0].url(), app.instances[1].url()];
        let anna = app.sign_up("Anna").await;
        let mut sockets = vec![connect(&urls[0], &anna).await, connect(&urls[1], &anna).await];
        be_scanned(&urls[0]).await;
        let there = Caller::anonymous(&urls[1]);
        wait_until("the other instance knows the ban", || async { is_banned(&there, OFFICE).await }).await;
        are_served(&app, &anna, &mut sockets).await;

        // The ban is still in force after restarts of Redis and the instances, and it still exempts
        // members.
        app.redis.as_mut().unwrap().stop().await;
        app.instances[1].kill().await;
        app.instances[1].start_again().await;
        assert!(is_banned(&there, OFFICE).await);
        are_served(&app, &anna, &mut sockets[..1]).await;
    }
}
