//! Invalid input is refused with a reason. It never causes a server error.

use endpoint::{BodyForm, EndpointDef, FailureForm};
use reqwest::Method;
use support::{Answer, Application, Caller, Value, json};

use super::{
    World,
    calls::{begun, method, with_unknown_ids},
};

/// Checks that the answer is a client error in the standard format.
#[track_caller]
fn is_refusal(answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
    answer.refused(answer.status, &code);
}

/// Endpoints that return errors in the standard format; `gateway::refusals` tests the others.
fn enveloped() -> impl Iterator<Item = &'static EndpointDef> {
    endpoint::all().filter(|def| def.failure == FailureForm::Envelope)
}

#[tokio::test]
async fn returns_not_found_for_unknown_ids() {
    let world = World::start().await;
    // With an unknown name, the call creates a model; the ids of notes are chosen by clients.
    let makes = |def: &EndpointDef| {
        def.method == Method::PUT.as_str() && (def.path_fields == ["name"] || def.name == "PutNote")
    };
    for def in enveloped().filter(|def| !def.path_fields.is_empty() && !makes(def)) {
        let (body, caller) = (world.call(def).await.body, world.caller(def));
        let paths = [
            with_unknown_ids(def),
            def.path_fields
                .iter()
                .fold(def.path.to_owned(), |path, field| path.replace(&format!("{{{field}}}"), "not-an-id")),
            def.path_fields
                .iter()
                .fold(def.path.to_owned(), |path, field| path.replace(&format!("{{{field}}}"), "%00%ff%F0%9F%92%A9")),
            def.path_fields
                .iter()
                .fold(def.path.to_owned(), |path, field| path.replace(&format!("{{{field}}}"), &"9".repeat(2_000))),
        ];
        for path in paths {
            let mut request = begun(def, caller, &path);
            if let Some(body) = &body {
                request = request.json(body);
            }
            caller.send(request).await.refused(404, "not_found");
        }
    }
}

#[tokio::test]
async fn rejects_invalid_bodies() {
    let world = World::start().await;
    for def in endpoint::all().filter(|def| def.body == BodyForm::Fields) {
        let (call, caller) = (world.call(def).await, world.caller(def));
        let right =
            call.body.clone().unwrap_or_else(|| panic!("{} takes a body: give one to its sample call", def.name));
        let post = |body: Vec<u8>, kind: &'static str| {
            let request = caller.request(method(def), &call.path).body(body);
            if kind.is_empty() { request } else { request.header("content-type", kind) }
        };
        for malformed in [
            &b"{"[..],
            b"[]",
            b"null",
            b"\"text\"",
            b"{\"a\":1}}",
            b"\xff\xfe",
            b"{\"a\":\"\\ud800\"}",
            &[b'['; 100_000],
        ] {
            caller.send(post(malformed.to_vec(), "application/json")).await.refused(400, "malformed_body");
        }
        for malformed in [&b"\xc1"[..], b"\x90", b"\xdf\xff\xff\xff\xff", b"\x81\xa1a", b"\x80\x80", &[0x91; 100_000]] {
            caller.send(post(malformed.to_vec(), "application/msgpack")).await.refused(400, "malformed_body");
        }
        for kind in ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"] {
            caller.send(post(right.to_string().into_bytes(), kind)).await.refused(415, "unsupported_media_type");
        }
        caller
            .send(post(right.to_string().into_bytes(), "application/json").header("content-encoding", "gzip"))
            .await
            .refused(415, "unsupported_media_type");
        let large = json!({ "x": "x".repeat(1024 * 1024) }).to_string().into_bytes();
        caller.send(post(large, "application/json")).await.refused(413, "too_large");

        let fields: Vec<String> = right.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
        let mut unknown = right.clone();
        unknown["no_such_field"] = json!(1);
        caller.send(post(unknown.to_string().into_bytes(), "application/json")).await.names_field("no_such_field");
        for field in &fields {
            for value in [
                json!({ "a": [] }),
                json!(["x"]),
                json!(1e300),
                json!(-1),
                json!(true),
                json!("a\u{0}b"),
                json!("x".repeat(100_001)),
            ] {
                // A negative amount of credits is allowed, and blocked words and keywords may be
                // any text. Wrong addresses of a list are named in the response.
                let is_right = value == -1 && def.name == "GiveCredits" && field == "amount"
                    || value == json!(["x"]) && def.name == "SetWordFilter" && field == "words"
                    || value == json!(["x"]) && def.name == "ChangeNotificationSettings" && field == "keywords"
                    || value == json!(["x"]) && def.name == "CreateInvitations" && field == "emails";
                if is_right || value.is_boolean() && right[field].is_boolean() {
                    continue;
                }
                let mut wrong = right.clone();
                wrong[field] = value;
                let answer = caller.send(post(wrong.to_string().into_bytes(), "application/json")).await;
                is_refusal(&answer);
            }
        }
    }
}

#[tokio::test]
async fn rejects_invalid_queries() {
    let world = World::start().await;
    let group = world.call(endpoint::all().find(|def| def.name == "ListMessages").unwrap()).await.path;
    let events = group.replace("/messages", "/events");
    for (path, field) in [
        ("/r1/conversations?page=x".to_owned(), "page"),
        ("/r1/conversations?page_size=-1".to_owned(), "page_size"),
        ("/r1/users?workspace_id=x".to_owned(), "workspace_id"),
        ("/r1/users?q=a%00b".to_owned(), "q"),
        (format!("{group}?before_seq=1.5"), "before_seq"),
        (format!("{group}?after_seq=99999999999999999999"), "after_seq"),
        (format!("{group}?from=yesterday"), "from"),
        (format!("{group}?to=2026-13-01T00:00:00Z"), "to"),
        (format!("{events}?limit=many"), "limit"),
    ] {
        world.owner.get(&path).await.names_field(field);
    }
    for path in [
        "/r1/conversations?page=18446744073709551615&page_size=18446744073709551615".to_owned(),
        "/r1/users?q=%25_%5C%27%22%3B--".to_owned(),
        "/r1/users?q=%FF%FE".to_owned(),
        format!("{group}?after_seq=9223372036854775807"),
        format!("{group}?before_seq=-9223372036854775808&limit=0"),
        format!("{group}?from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59%2B23:59"),
        format!("{events}?after_seq=9223372036854775807"),
        format!("{group}?{}", "a=b&".repeat(2_000)),
    ] {
        let _ = world.owner.get(&path).await.data_with(200);
    }
}

#[tokio::test]
async fn returns_404_and_405_for_unknown_paths_and_methods() {
    let app = Application::start().await;
    let (anonymous, anna) = (app.anonymous(), app.sign_up("Anna").await);
    for path in ["/r1", "/r1/", "/r1/nothing", "/r1/users/me/", "/r1//users/me", "/r1/conversations/a/b/c/d"] {
        anonymous.get(path).await.refused(404, "not_found");
        anonymous.post(path, json!({})).await.refused(404, "not_found");
    }
    let mut paths: Vec<&str> = enveloped().map(|def| def.path).collect();
    paths.dedup();
    for path in paths {
        let methods: Vec<Method> = endpoint::all().filter(|def| def.path == path).map(method).collect();
        let concrete = path.replace("{id}", &anna.id).replace("{user_id}", &anna.id);
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            .iter()
            .filter(|method| !methods.contains(method))
        {
            let answer = anna.send(anna.request(method.clone(), &concrete)).await;
            answer.refused(405, "method_not_allowed");
            let allowed = answer.header("allow").unwrap_or_default().to_owned();
            assert!(
                methods.iter().all(|method| allowed.contains(method.as_str())),
                "{method} {path}: Allow: {allowed}"
            );
        }
    }
}

#[tokio::test]
async fn rejects_invalid_credentials() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let (head, rest) = anna.access_token().split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let forged = [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{}", "A".repeat(342)),
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        "x".repeat(6_000),
        anna.refresh_token().to_owned(),
    ];
    for token in forged {
        let nobody = Caller::new(anna.base(), support::Credentials::Bearer(token.clone()));
        nobody.get("/r1/users/me").await.refused(401, "unauthenticated");
        let nobody = Caller::new(
            anna.base(),
            support::Credentials::Cookies { header: format!("natter_access={token}"), origin: anna.base().to_owned() },
        );
        nobody.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn accepts_and_returns_messagepack() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let body = rmp_serde::to_vec_named(&json!({ "client_id": "packed", "content": "xin chào 👋" })).unwrap();
    let request = anna
        .request(Method::POST, &format!("/r1/conversations/{chat}/messages"))
        .header("content-type", "application/msgpack")
        .header("accept", "application/msgpack")
        .body(body);
    let answer = anna.send(request).await;
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("application/msgpack")), "{answer:?}");
    let envelope: Value = rmp_serde::from_slice(&answer.bytes).unwrap();
    assert_eq!((&envelope["status"], &envelope["data"]["content"]), (&json!("success"), &json!("xin chào 👋")));
    // Events contain stored JSON, which is converted to MessagePack too.
    let log = anna
        .send(
            anna.request(Method::GET, &format!("/r1/conversations/{chat}/events"))
                .header("accept", "application/msgpack"),
        )
        .await;
    let log: Value = rmp_serde::from_slice(&log.bytes).unwrap();
    assert_eq!(log["data"]["items"][0]["payload"]["message"]["id"], envelope["data"]["id"]);
    // Errors are converted as well.
    let refused = anna.send(anna.request(Method::GET, "/r1/nothing").header("accept", "application/msgpack")).await;
    let envelope: Value = rmp_serde::from_slice(&refused.bytes).unwrap();
    assert_eq!((refused.status, &envelope["code"]), (404, &json!("not_found")));
    // A response format that isn't supported is refused before the call takes effect.
    let picture =
        anna.request(Method::POST, &format!("/r1/conversations/{chat}/messages")).header("accept", "image/png");
    anna.send(picture.json(&json!({ "client_id": "picture", "content": "?" }))).await.refused(406, "not_acceptable");
    assert_eq!(anna.history(&chat).await.len(), 1);
}
