//! Rate limits: headers, counted subjects, and consistency between instances.

use endpoint::Access;
use support::{Answer, Application, Caller, Codec, Credentials, Member, Setup, Socket, json, new_id};

/// Setup that limits the calls of `group` to `limit` per day.
fn limited(group: &str, strategy: &str, limit: u32) -> Setup {
    Setup::new()
        .set("rate_limit.enabled", true)
        // Exceeding the limit repeatedly must not cause a ban in these tests.
        .set("firewall.violations_to_ban", 0)
        .set(&format!("rate_limit.{group}.strategy"), strategy)
        .set(&format!("rate_limit.{group}.limit"), limit)
        .set(&format!("rate_limit.{group}.window"), 86_400)
}

fn number(answer: &Answer, header: &str) -> u64 {
    let text = answer.header(header).unwrap_or_else(|| panic!("no {header} in {answer:?}"));
    text.parse().unwrap_or_else(|_| panic!("{header}: {text}"))
}

async fn me(member: &Member) -> Answer {
    member.get("/r1/users/me").await
}

#[tokio::test]
async fn returns_rate_limit_headers_and_retry_after() {
    for strategy in ["fixed_window", "sliding_window", "token_bucket"] {
        let app = limited("read", strategy, 3).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        for left in [2, 1, 0] {
            let answer = me(&anna).await;
            assert_eq!((answer.status, number(&answer, "ratelimit-limit")), (200, 3), "{strategy}");
            assert_eq!(number(&answer, "ratelimit-remaining"), left, "{strategy}");
            // With a sliding window, a call counts for up to 1/32 longer than the window.
            assert!((1..=86_400 * 33 / 32).contains(&number(&answer, "ratelimit-reset")));
        }
        let refused = me(&anna).await;
        refused.refused(429, "rate_limited");
        assert_eq!(number(&refused, "ratelimit-remaining"), 0);
        assert!((1..=86_400 * 33 / 32).contains(&number(&refused, "retry-after")), "{refused:?}");
        assert_eq!(me(&ben).await.status, 200, "limits are per user");
        let written = anna.patch("/r1/users/me", json!({ "display_name": "Anne" })).await;
        assert_eq!((written.status, number(&written, "ratelimit-limit")), (200, 600), "groups have separate limits");
    }
}

#[tokio::test]
async fn counts_anonymous_callers_by_address() {
    let app = limited("auth", "fixed_window", 4).start().await;
    // Two sign-in attempts from one address. A failed attempt counts too.
    let try_in = async |email: &str| {
        let body = json!({ "email": email, "password": "Wrong-Horse-9-Battery" });
        app.anonymous().post("/r1/auth/signin", body).await
    };
    let _member = app.sign_up("Anna").await;
    for email in ["a@example.test", "b@example.test", "c@example.test"] {
        try_in(email).await.refused(401, "invalid_credentials");
    }
    try_in("d@example.test").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn counts_guessed_tokens() {
    let app = limited("read", "fixed_window", 3).start().await;
    let guess = async || {
        let request = app.anonymous().request(reqwest::Method::GET, "/r1/users/me").bearer_auth("guessed");
        app.anonymous().send(request).await
    };
    for _ in 0..3 {
        guess().await.refused(401, "unauthenticated");
    }
    guess().await.refused(429, "rate_limited");
}

#[tokio::test]
async fn messages_by_frame_and_by_request_share_a_limit_and_keep_their_order() {
    let app = limited("message_send", "fixed_window", 10).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = anna.connect().await;
    for _ in 0..4 {
        anna.send_message(&chat, "by request").await;
    }
    for n in 0..8 {
        let payload = json!({ "conversation_id": chat, "client_id": new_id(), "content": format!("{n}") });
        socket.send("message.send", payload).await;
    }
    let mut answers = Vec::new();
    while answers.len() < 8 {
        let frame = socket.next().await;
        match frame.kind.as_str() {
            "ack" => answers.push(format!("ack {}", frame.payload["seq"])),
            "error" => {
                assert!((1..=86_400).contains(&frame.payload["retry_after"].as_u64().unwrap()), "{frame:?}");
                answers.push(frame.payload["code"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    let expected = ["ack 5", "ack 6", "ack 7", "ack 8", "ack 9", "ack 10", "rate_limited", "rate_limited"];
    assert_eq!(answers, expected);
    let texts: Vec<String> = anna.history(&chat).await.iter().map(|m| m["content"].as_str().unwrap().into()).collect();
    assert_eq!(texts[4..], ["0", "1", "2", "3", "4", "5"].map(String::from));
}

#[tokio::test]
async fn a_concurrency_limit_reports_only_the_limit() {
    let app = limited("read", "concurrency", 7).start().await;
    let anna = app.sign_up("Anna").await;
    let answer = me(&anna).await;
    assert_eq!((answer.status, number(&answer, "ratelimit-limit")), (200, 7));
    assert_eq!((answer.header("ratelimit-remaining"), answer.header("ratelimit-reset")), (None, None));
    let racing = (0..60).map(|_| me(&anna));
    for answer in futures_util::future::join_all(racing).await.iter().filter(|answer| answer.status != 200) {
        answer.refused(429, "rate_limited");
        assert!(number(answer, "retry-after") >= 1, "{answer:?}");
    }
}

#[tokio::test]
async fn creating_conversations_and_adding_members_share_a_rate_limit() {
    let app = limited("conversation", "sliding_window", 4).start().await;
    let names = ["Anna", "Ben", "Cleo", "Dora"];
    let people = futures_util::future::join_all(names.map(|name| app.sign_up(name))).await;
    let ids: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
    let group = json!({ "kind": "group", "title": "Victims", "member_ids": ids[1..3] });
    let made = people[0].post("/r1/conversations", group.clone()).await.data_with(201);
    let add = json!({ "user_id": ids[3] });
    people[0]
        .post(&format!("/r1/conversations/{}/members", made["id"].as_str().unwrap()), add.clone())
        .await
        .data_with(201);
    let team = people[0].post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    people[0].post(&format!("/r1/workspaces/{}/members", team["id"].as_str().unwrap()), add).await.data_with(201);
    people[0].post("/r1/conversations", group.clone()).await.data_with(201);
    people[0].post("/r1/conversations", group.clone()).await.refused(429, "rate_limited");
    // The user can still send there, and other users aren't affected.
    people[0].send_message(made["id"].as_str().unwrap(), "hello").await;
    people[1].post("/r1/conversations", json!({ "kind": "single", "member_ids": [ids[0]] })).await.data_with(201);
}

#[tokio::test]
async fn refuses_a_flood_from_one_address_before_doing_any_work() {
    let app = Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.flood_per_second", 1)
        .set("rate_limit.flood_burst", 5)
        .set("server.trusted_proxies", "127.0.0.1/32")
        .start()
        .await;
    let anonymous = app.anonymous();
    let ask = async |from: &str, path: &str| {
        anonymous.send(anonymous.request(reqwest::Method::GET, path).header("x-forwarded-for", from)).await
    };
    let flood = futures_util::future::join_all((0..60).map(|_| ask("203.0.113.7", "/openapi.json"))).await;
    assert!(flood.iter().filter(|answer| answer.status == 200).count() >= 5);
    let refused = flood.iter().find(|answer| answer.status != 200).expect("more than 60 concurrent");
    refused.refused(429, "rate_limited");
    assert!((1..=5).contains(&number(refused, "retry-after")), "{refused:?}");
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"), "the refusal has the security headers");
    assert_eq!(refused.header("x-request-id"), refused.body["request_id"].as_str());
    // Handshakes count too. Those from other addresses don't.
    let headers =
        reqwest::header::HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), "203.0.113.8".parse().unwrap())]);
    let url = app.url();
    let opens = (0..60).map(|_| Socket::try_open(&url, "/r1/websocket", headers.clone(), Codec::Json));
    let statuses: Vec<u16> =
        futures_util::future::join_all(opens).await.into_iter().map(|opened| opened.err().unwrap().0).collect();
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(ask("203.0.113.9", "/openapi.json").await.status, 200);
    // Exceeding the limit isn't a violation for the firewall, because many users may share an
    // address.
    assert_ne!(ask("203.0.113.7", "/frames.json").await.status, 403);
    // Health checks don't count.
    assert_eq!(ask("203.0.113.7", "/health/simple").await.status, 200);
}

/// Sends a request from an Internet address, through the trusted proxy on this machine.
async fn ask_from(caller: &Caller, path: &str) -> Answer {
    let request = caller.request(reqwest::Method::GET, path).header("x-forwarded-for", "203.0.113.7");
    caller.send(request).await
}

/// Makes forty such requests concurrently and returns the statuses.
async fn flood(caller: &Caller, path: &str) -> Vec<u16> {
    let answers = futures_util::future::join_all((0..40).map(|_| ask_from(caller, path))).await;
    answers.iter().map(|answer| answer.status).collect()
}

/// Setup that limits an address to five requests, plus one per second.
fn with_little_patience(setup: Setup) -> Setup {
    setup
        .set("rate_limit.enabled", true)
        .set("rate_limit.flood_per_second", 1)
        .set("rate_limit.flood_burst", 5)
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("firewall.violations_to_ban", 0)
}

#[tokio::test]
async fn only_invalid_keys_count_against_their_address() {
    let app = with_little_patience(Setup::new()).start().await;
    let anna = app.sign_up("Anna").await;
    let program = anna.program(&["gateway"]).await;
    let key = program.tokens["access_token"].as_str().unwrap();
    let nobody = Caller::anonymous(&app.url());
    // After its first validation, a valid key isn't limited by its address, also if it is sent in
    // Anthropic's header.
    assert_eq!(ask_from(&program, "/v1/models").await.status, 200);
    assert_eq!(flood(&program, "/v1/models").await, [200; 40]);
    for _ in 0..20 {
        let request = nobody.request(reqwest::Method::GET, "/v1/models").header("x-api-key", key);
        assert_eq!(nobody.send(request.header("x-forwarded-for", "203.0.113.7")).await.status, 200);
    }

    // A valid key without the scope doesn't count against its address.
    assert_eq!(flood(&program, "/r1/users/me").await, [403; 40]);
    // A guessed key and a caller without credentials use up the limit of the address; the valid key
    // still works.
    let guess = Caller::new(&app.url(), Credentials::Bearer(format!("{key}x")));
    let guesses = flood(&guess, "/v1/models").await;
    assert!(guesses.contains(&401) && guesses.contains(&429), "{guesses:?}");
    assert!(guesses.iter().all(|status| matches!(status, 401 | 429)), "{guesses:?}");
    assert!(flood(&nobody, "/v1/models").await.contains(&429));
    assert_eq!(flood(&program, "/v1/models").await, [200; 40]);

    // Only the first call with a revoked key detects the revocation; later calls count against the
    // address.
    let path = format!("/r1/api_keys/{}", program.tokens["api_key_id"].as_str().unwrap());
    anna.delete(&path).await.data();
    assert_eq!(ask_from(&program, "/v1/models").await.status, 401);
    assert!(flood(&program, "/v1/models").await.contains(&429));
}

#[tokio::test]
async fn enforces_the_limits_of_a_valid_key() {
    let app = with_little_patience(limited("gateway", "fixed_window", 30)).start().await;
    let program = app.sign_up("Anna").await.program(&["gateway"]).await;
    assert_eq!(ask_from(&program, "/v1/models").await.status, 200);
    let statuses = flood(&program, "/v1/models").await;
    let allowed = statuses.iter().filter(|status| **status == 200).count();
    assert!(allowed == 29 && statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
}

#[tokio::test]
async fn counts_refreshes_by_session_and_not_by_address() {
    let app = limited("refresh", "fixed_window", 2).start().await;
    let anonymous = app.anonymous();
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut token = anna.refresh_token().to_owned();
    for left in [1, 0] {
        let answer = anonymous.refresh(&token).await;
        assert_eq!((number(&answer, "ratelimit-limit"), number(&answer, "ratelimit-remaining")), (2, left));
        token = answer.data()["refresh_token"].as_str().unwrap().to_owned();
    }
    let refused = anonymous.refresh(&token).await;
    refused.refused(429, "rate_limited");
    assert!(number(&refused, "retry-after") >= 1, "{refused:?}");
    // Neither another session of the same user nor a colleague is affected.
    for other in [anna.another_device().await, ben] {
        anonymous.refresh(other.refresh_token()).await.data();
    }
    // Unknown tokens count against the address.
    for expected in [401, 401, 429] {
        assert_eq!(anonymous.refresh("unknown").await.status, expected);
    }
}

/// The rate limit groups of the API: sign-up, sign-in and mail calls, renewal of sessions,
/// messages, files, the gateway, and adding members. All other calls are grouped by method.
#[test]
fn every_endpoint_counts_against_its_rate_limit_group() {
    for def in endpoint::all() {
        let expected = match (def.method.as_str(), def.path) {
            ("POST", "/r1/auth/refresh") => "refresh",
            // The sign-in page reads these, or they require a session.
            ("GET", "/r1/auth/policy" | "/r1/auth/oauth/providers") => "read",
            (_, path) if path.starts_with("/r1/auth/") && def.access == Access::Public => "auth",
            // The call changes nothing, and is made while a broadcast is composed.
            ("POST", "/r1/broadcasts/preview") => "read",
            (
                "POST",
                "/r1/conversations/{id}/messages"
                | "/r1/messages/{id}/versions"
                | "/r1/scheduled/{id}/send"
                | "/r1/search/answer"
                | "/r1/conversations/{id}/catch-up"
                | "/r1/catch-up",
            ) => "message_send",
            ("POST", "/r1/uploads" | "/r1/uploads/tus" | "/r1/transcriptions") | ("PATCH", "/r1/uploads/tus/{id}") => {
                "upload"
            }
            (_, path) if ["/v1/", "/v1beta/", "/v2/", "/api/"].iter().any(|root| path.starts_with(root)) => "gateway",
            // VNPay sends its payment events as GET requests.
            (_, "/r1/payments/webhooks/{gateway}") => "write",
            ("GET", _) => "read",
            ("POST", "/r1/conversations" | "/r1/conversations/{id}/members" | "/r1/workspaces/{id}/members") => {
                "conversation"
            }
            _ => "write",
        };
        assert_eq!(def.rate.as_str(), expected, "{} {}", def.method, def.path);
    }
}

mod cluster {
    use super::*;

    async fn racing(app: &Application, member: &Member, count: usize) -> usize {
        let there: Vec<Member> = app.instances.iter().map(|instance| member.at(&instance.url())).collect();
        let calls = (0..count).map(|n| me(&there[n % there.len()]));
        let answers = futures_util::future::join_all(calls).await;
        answers.iter().for_each(|answer| assert!(matches!(answer.status, 200 | 429), "{answer:?}"));
        answers.iter().filter(|answer| answer.status == 200).count()
    }

    #[tokio::test]
    async fn two_instances_share_rate_limits_exactly() {
        for strategy in ["fixed_window", "sliding_window", "token_bucket"] {
            let app = limited("read", strategy, 25).instances(2).start().await;
            let anna = app.sign_up("Anna").await;
            assert_eq!(racing(&app, &anna, 120).await, 25, "{strategy}");
        }
    }

    #[tokio::test]
    async fn instances_count_separately_without_redis_and_lock_nobody_out() {
        let mut app = limited("read", "fixed_window", 5).instances(2).start().await;
        let anna = app.sign_up("Anna").await;
        app.redis.as_mut().unwrap().stop().await;
        assert_eq!(racing(&app, &anna, 40).await, 10);
    }
}
