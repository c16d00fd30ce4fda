//! Administration of accounts and workspaces of other users, and set-up of an installation.

mod samples;

use support::{
    Application, Authenticator, Frame, MailServer, Member, PASSWORD, Setup, Upstream, UpstreamKind, Value, json,
    new_email, new_id, wait_until,
};

pub(crate) use samples::sample_calls;

async fn users(admin: &Member, query: &str) -> Vec<Value> {
    let listed = admin.get(&format!("/r1/admin/users?{query}")).await.data();
    listed["items"].as_array().unwrap().clone()
}

fn names(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|user| user["display_name"].as_str().unwrap()).collect()
}

async fn actions(admin: &Member) -> Vec<String> {
    let log = admin.get("/r1/admin/audit_log?subject=admin&page_size=200").await.data();
    let items = log["items"].as_array().unwrap().iter();
    items.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn finds_accounts_by_any_spelling_of_their_name() {
    let app = Application::start().await;
    let admin = app.admin().await;
    for (name, typed) in [
        ("Gaël Durand", "gael"),
        ("Trần Đặng", "tran%20dang"),
        ("Müller", "MULLER"),
        ("Zoe\u{308} Ly", "zo\u{eb}"),
        ("Łukasz", "lukasz"),
        ("Liam O’Brien", "o'brien"),
        ("ｶﾞｲ", "ガイ"),
    ] {
        app.anonymous().sign_up(&new_email("typed"), PASSWORD, name).await.data_with(201);
        assert_eq!(names(&users(&admin, &format!("q={typed}")).await), [name], "{typed}");
    }
}

#[tokio::test]
async fn administrators_find_any_user_without_a_workspace() {
    let app = Application::start().await;
    let (admin, anna, bent) = (app.admin().await, app.sign_up("Anna_1").await, app.sign_up("Bent 100%").await);
    assert_eq!(users(&admin, "").await.len(), 3);
    assert_eq!(names(&users(&admin, "q=aNNA").await), ["Anna_1"]);
    assert_eq!(names(&users(&admin, &format!("q={}", &bent.email[..7])).await), ["Bent 100%"]);
    assert_eq!(names(&users(&admin, &format!("q={}", anna.id)).await), ["Anna_1"]);
    // Wildcards of SQL have no special meaning in the search text.
    assert_eq!(names(&users(&admin, "q=100%25").await), ["Bent 100%"]);
    assert_eq!(names(&users(&admin, "q=a_1").await), ["Anna_1"]);
    assert_eq!(names(&users(&admin, "role=user").await), ["Bent 100%", "Anna_1"]);
    assert_eq!(users(&admin, "role=admin").await.len(), 1);
    assert_eq!(users(&admin, "status=suspended").await.len(), 0);
    admin.get(&format!("/r1/admin/users?q={}", "x".repeat(201))).await.names_field("q");
    anna.open_channel("public_channel", "place").await;
    let shown = admin.get(&format!("/r1/admin/users/{}", anna.id)).await.data();
    assert_eq!(
        (&shown["email"], &shown["role"], &shown["status"]),
        (&json!(anna.email), &json!("user"), &json!("active"))
    );
    assert_eq!(
        (&shown["sessions"], &shown["has_password"], &shown["second_factor"]),
        (&json!(1), &json!(true), &json!(false))
    );
    assert!(shown["last_active_at"].is_string() && shown["suspended_at"].is_null(), "{shown}");
    for path in ["/r1/admin/users", "/r1/admin/workspaces", "/r1/admin/settings", "/r1/admin/setup"] {
        anna.get(path).await.refused(403, "forbidden");
    }
    admin.get("/r1/admin/users/0199f5a0-0000-7000-8000-000000000000").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_suspended_account_is_signed_out_at_once_until_restored() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let program = anna.program(&["read", "write"]).await;
    let (mut socket, mut machine) = (anna.connect().await, program.connect().await);
    let path = format!("/r1/admin/users/{}", anna.id);
    let body = json!({ "status": "suspended", "reason": "Spam" });
    let suspended = admin.patch(&path, body.clone()).await.data();
    assert_eq!((&suspended["status"], &suspended["suspended_reason"]), (&json!("suspended"), &json!("Spam")));
    assert_eq!(socket.closed().await.code, 4401);
    assert_eq!(machine.closed().await.code, 4401);
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    program.get("/r1/users/me").await.refused(401, "unauthenticated");
    app.anonymous().refresh(anna.refresh_token()).await.refused(401, "unauthenticated");
    // Only a caller who has the password learns that the account is suspended.
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(403, "account_suspended");
    app.anonymous().sign_in(&anna.email, "something else 1").await.refused(401, "invalid_credentials");
    assert_eq!(names(&users(&admin, "status=suspended").await), ["Anna"]);
    assert_eq!(admin.get(&path).await.data()["suspended_by_name"], admin.name);

    let restored = admin.patch(&path, json!({ "status": "active" })).await.data();
    assert_eq!((&restored["status"], &restored["suspended_reason"]), (&json!("active"), &Value::Null));
    let again = anna.another_device().await;
    again.get("/r1/users/me").await.data();
    // The API key works again, but earlier sessions stay ended.
    program.get("/r1/users/me").await.data();
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    let done = actions(&admin).await;
    assert!(
        done.contains(&"admin.user_suspended".to_owned()) && done.contains(&"admin.user_restored".to_owned()),
        "{done:?}"
    );
    let about = admin.get(&format!("/r1/admin/audit_log?q={}", anna.id)).await.data();
    assert!(about["items"].as_array().unwrap().iter().any(|entry| entry["target"] == anna.id), "{about}");
}

#[tokio::test]
async fn finds_and_changes_idle_accounts_in_batches() {
    let mail = MailServer::start().await;
    let app = Setup::new().set("mail.smtp_url", mail.url()).start().await;
    let [admin, anna, ben, carl] =
        [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let long_ago = 1_000_000_000_000_i64;
    app.database
        .run(&format!("UPDATE users SET created_at = {long_ago} WHERE display_name IN ('Anna', 'Ben', 'Carl')"))
        .await;
    app.database
        .run(&format!(
            "UPDATE user_sessions SET last_used_at = {long_ago} WHERE user_id IN (SELECT id FROM users WHERE display_name IN ('Anna', 'Ben'))"
        ))
        .await;
    let mut idle = names(&users(&admin, "idle_since=2020-01-01T00:00:00.000Z").await)
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    idle.sort();
    assert_eq!(idle, ["Anna", "Ben"]);
    let several = async |body: Value| admin.post("/r1/admin/users/batch", body).await.data();
    let unknown = new_id();
    let ids = json!([anna.id, ben.id, admin.id, unknown]);
    let done = several(json!({ "action": "suspend", "ids": ids, "reason": "Idle" })).await;
    assert_eq!(done["changed"], json!(2));
    let own = json!({ "id": admin.id, "code": "wrong_state" });
    assert_eq!(done["skipped"], json!([own, { "id": unknown, "code": "not_found" }]));
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(users(&admin, "status=suspended").await.len(), 2);
    let told = mail.mail_with(&anna.email, "suspended your account").await;
    assert_eq!(told.subject(), "Your account is suspended");
    assert!(!told.text().contains("Idle"), "the reason is visible to administrators only");
    assert_eq!(several(json!({ "action": "restore", "ids": [anna.id, ben.id] })).await["changed"], json!(2));
    mail.mail_with(&ben.email, "has restored your account").await;
    anna.another_device().await.get("/r1/users/me").await.data();
    let mut socket = carl.connect().await;
    assert_eq!(several(json!({ "action": "sign_out", "ids": [carl.id] })).await["changed"], json!(1));
    assert_eq!(socket.closed().await.code, 4401);
    for body in [json!({ "action": "suspend", "ids": [] }), json!({ "action": "suspend", "ids": vec![new_id(); 101] })]
    {
        admin.post("/r1/admin/users/batch", body).await.names_field("ids");
    }
    anna.another_device()
        .await
        .post("/r1/admin/users/batch", json!({ "action": "restore", "ids": [ben.id] }))
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn the_account_list_shows_paid_plans() {
    let app = Setup::new().set("payment.demo.enabled", true).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    assert_eq!(users(&admin, "q=Anna").await[0]["plan"], Value::Null);
    let price = json!([{ "currency": "USD", "amount": 3_000 }]);
    let new = json!({ "name": "Try", "kind": "subscription", "interval": "month", "prices": price, "credits": 300_000_000, "trial_days": 14 });
    let plan = admin.post("/r1/admin/pricing_plans", new).await.data_with(201);
    app.verify(&anna).await;
    anna.post("/r1/subscription/trial", json!({ "plan_id": plan["id"] })).await.data_with(201);
    assert_eq!(users(&admin, "q=Anna").await[0]["plan"], "Try");
    assert_eq!(admin.get(&format!("/r1/admin/users/{}", anna.id)).await.data()["plan"], "Try");
}

#[tokio::test]
async fn the_last_administrator_cannot_be_removed() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let (own, annas) = (format!("/r1/admin/users/{}", admin.id), format!("/r1/admin/users/{}", anna.id));
    assert_eq!(admin.get(&own).await.data()["is_last_admin"], json!(true));
    admin.patch(&own, json!({ "role": "user" })).await.refused(409, "last_admin");
    admin.patch(&own, json!({ "status": "suspended" })).await.refused(409, "wrong_state");
    admin.delete(&own).await.refused(409, "wrong_state");
    // The last administrator can't delete the account in the account settings either.
    let account = admin.request(reqwest::Method::DELETE, "/r1/users/me").json(&json!({ "password": PASSWORD }));
    admin.send(account).await.refused(409, "last_admin");
    anna.get("/r1/admin/users").await.refused(403, "forbidden");
    let mut tab = anna.connect().await;
    assert_eq!(admin.patch(&annas, json!({ "role": "admin" })).await.data()["role"], "admin");
    // The new role takes effect at once, without signing in again.
    tab.expect("account.own").await;
    anna.get("/r1/admin/users").await.data();
    assert_eq!(admin.get(&own).await.data()["is_last_admin"], json!(false));
    // Two administrators demote each other at the same time. One of them remains an administrator.
    let (to_user, is_user) = (json!({ "role": "user" }), json!({ "role": "user" }));
    let (one, other) = tokio::join!(admin.patch(&annas, to_user), anna.patch(&own, is_user));
    assert!((one.status == 200) != (other.status == 200), "{} {}", one.status, other.status);
}

#[tokio::test]
async fn administrators_end_sessions_and_reset_passwords() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let path = format!("/r1/admin/users/{}", anna.id);
    let second = anna.another_device().await;
    let devices = admin.get(&format!("{path}/sessions")).await.data();
    assert_eq!((&devices["total"], &devices["items"][0]["current"]), (&json!(2), &json!(false)));
    admin.delete(&format!("{path}/sessions/{}", second.session_id)).await.data();
    second.get("/r1/users/me").await.refused(401, "unauthenticated");
    anna.get("/r1/users/me").await.data();
    let mut socket = anna.connect().await;
    admin.delete(&format!("{path}/sessions")).await.data();
    assert_eq!(socket.closed().await.code, 4401);
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");

    // If there is no mail server, the response contains the link.
    let link = admin.post(&format!("{path}/password-reset"), json!({})).await.data();
    assert_eq!(link["mailed"], json!(false));
    let token = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    app.anonymous().sign_in(&anna.email, PASSWORD).await.data();
    let body = json!({ "token": token, "password": "Another-Good-9-Password" });
    app.anonymous().post("/r1/auth/reset-password", body).await.data();
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.anonymous().sign_in(&anna.email, "Another-Good-9-Password").await.data();

    let carl = app.sign_up("Carl").await;
    Authenticator::set_up(&carl).await;
    let carls = format!("/r1/admin/users/{}/second-factor", carl.id);
    let mut tab = carl.connect().await;
    admin.delete(&carls).await.data();
    tab.expect("account.own").await;
    admin.delete(&carls).await.refused(409, "wrong_state");
    carl.another_device().await.get("/r1/users/me").await.data();
}

#[tokio::test]
async fn administrators_create_accounts_where_sign_up_is_closed() {
    let mail = MailServer::start().await;
    let app = Setup::new().set("auth.signup", "closed").set("mail.smtp_url", mail.url()).start().await;
    let (admin, email) = (app.admin().await, new_email("Dora"));
    let body = json!({ "email": email, "display_name": "Dora", "role": "user" });
    let made = admin.post("/r1/admin/users", body.clone()).await.data_with(201);
    assert_eq!((&made["link"]["mailed"], &made["link"]["url"]), (&json!(true), &Value::Null));
    assert_eq!((&made["has_password"], &made["email_verified"]), (&json!(false), &json!(false)));
    admin.post("/r1/admin/users", body).await.refused(409, "email_taken");
    let letter = mail.mail_with(&email, "reset-password").await;
    let body = json!({ "token": letter.token("reset-password"), "password": PASSWORD });
    app.anonymous().post("/r1/auth/reset-password", body).await.data();
    let dora = Member::sign_in(&app.url(), &email, PASSWORD).await;
    assert_eq!(dora.get("/r1/users/me").await.data()["email_verified"], json!(true));
    dora.post("/r1/admin/users", json!({ "email": new_email("Eve") })).await.refused(403, "forbidden");
    admin.post("/r1/admin/users", json!({ "email": "nothing" })).await.names_field("email");
}

#[tokio::test]
async fn administrators_export_and_delete_an_account_on_request() {
    let app = Application::start().await;
    let [admin, anna, ben] = [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await];
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "what Anna said").await;
    let path = format!("/r1/admin/users/{}", anna.id);
    let all = admin.get(&format!("{path}/export")).await.data();
    assert_eq!(all["user"]["email"], anna.email);
    assert!(all["messages"].to_string().contains("what Anna said"));
    admin.delete(&path).await.data();
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    admin.get(&path).await.refused(404, "not_found");
    wait_until("the author of the messages is deleted", || async {
        ben.history(&chat).await.iter().all(|message| message["sender"]["kind"] == "deleted")
    })
    .await;
    let done = actions(&admin).await;
    assert!(
        done.contains(&"admin.user_exported".to_owned()) && done.contains(&"admin.user_deleted".to_owned()),
        "{done:?}"
    );
}

#[tokio::test]
async fn granting_access_and_deleting_require_a_fresh_sign_in() {
    let app = Setup::new().set("auth.fresh_for", 1).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let path = format!("/r1/admin/users/{}", anna.id);
    wait_until("the sign-in is no longer fresh", || async {
        admin.get("/r1/auth/confirm").await.data()["fresh_until"].is_null()
    })
    .await;
    let stale = "fresh_sign_in_required";
    admin.patch(&path, json!({ "status": "suspended" })).await.refused(403, stale);
    admin.delete(&path).await.refused(403, stale);
    admin.get(&format!("{path}/export")).await.refused(403, stale);
    admin.delete(&format!("{path}/sessions")).await.refused(403, stale);
    admin.post(&format!("{path}/password-reset"), json!({})).await.refused(403, stale);
    admin.delete(&format!("{path}/second-factor")).await.refused(403, stale);
    admin.post("/r1/admin/users", json!({ "email": new_email("Eve") })).await.refused(403, stale);
    admin.get(&path).await.data();

    // Deleting failed jobs loses them for good, so it needs a confirmation.
    admin.delete(&format!("/r1/admin/jobs/{}", new_id())).await.refused(403, stale);
    let all = admin.request(reqwest::Method::DELETE, "/r1/admin/jobs").json(&json!({}));
    admin.send(all).await.refused(403, stale);

    // A broadcast by email can't be undone, whether or not it is scheduled, so it needs a
    // confirmation. One within the app can be withdrawn, and it can't be changed to an email.
    let announcement = |channels: &[&str], title: &str| {
        let starts_at = "2100-01-01T00:00:00.000Z";
        json!({ "title": title, "body": "", "audience": { "all": true }, "channels": channels, "starts_at": starts_at })
    };
    admin.post("/r1/broadcasts", announcement(&["banner", "mail"], "Maintenance")).await.refused(403, stale);
    let shown = admin.post("/r1/broadcasts", announcement(&["banner"], "Maintenance")).await.data_with(201);
    let path = format!("/r1/broadcasts/{}", shown["id"].as_str().unwrap());
    admin.patch(&path, json!({ "channels": ["banner", "mail"] })).await.refused(403, stale);
    assert_eq!(admin.get(&path).await.data()["channels"], json!(["banner"]));
    assert_eq!(admin.patch(&path, json!({ "title": "Later" })).await.data()["title"], "Later");
}

#[tokio::test]
async fn administrators_list_transfer_and_delete_workspaces() {
    let app = Application::start().await;
    let [admin, anna, ben] = [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await];
    let made = anna.post("/r1/workspaces", json!({ "name": "Harbour 50%" })).await.data_with(201);
    let id = made["id"].as_str().unwrap().to_owned();
    anna.post(&format!("/r1/workspaces/{id}/members"), json!({ "user_id": ben.id })).await.data_with(201);
    let body = json!({ "workspace_id": id, "kind": "public_channel", "title": "quay" });
    let channel = anna.post("/r1/conversations", body).await.data_with(201);
    anna.send_message(channel["id"].as_str().unwrap(), "a secret").await;

    let path = format!("/r1/admin/workspaces/{id}");
    let shown = admin.get(&path).await.data();
    assert_eq!((&shown["name"], &shown["owner"]["id"]), (&json!("Harbour 50%"), &json!(anna.id)));
    assert_eq!((&shown["members"], &shown["messages"], &shown["guests"]), (&json!(2), &json!(1), &json!(0)));
    assert!(!shown.to_string().contains("secret"));
    let found = admin.get("/r1/admin/workspaces?q=HARBOUR%2050%25").await.data();
    assert_eq!((&found["total"], &found["items"][0]["id"]), (&json!(1), &json!(id)));
    assert!(admin.get("/r1/admin/workspaces?kind=personal").await.data()["total"].as_i64().unwrap() >= 3);
    let members = admin.get(&format!("{path}/members?q=ben")).await.data();
    assert_eq!((&members["total"], &members["items"][0]["id"]), (&json!(1), &json!(ben.id)));
    // Administrators can't read the workspace anyway.
    admin.get(&format!("/r1/workspaces/{id}")).await.refused(404, "not_found");

    admin.patch(&path, json!({ "owner_id": admin.id })).await.names_field("owner_id");
    assert_eq!(admin.patch(&path, json!({ "owner_id": ben.id })).await.data()["owner"]["id"], ben.id);
    assert_eq!(anna.get(&format!("/r1/workspaces/{id}")).await.data()["role"], "admin");
    assert_eq!(ben.get(&format!("/r1/workspaces/{id}")).await.data()["role"], "owner");

    let wrong = admin.request(reqwest::Method::DELETE, &path).json(&json!({ "name": "Harbour" }));
    admin.send(wrong).await.names_field("name");
    let right = admin.request(reqwest::Method::DELETE, &path).json(&json!({ "name": "Harbour 50%" }));
    admin.send(right).await.data();
    admin.get(&path).await.refused(404, "not_found");
    ben.get(&format!("/r1/workspaces/{id}")).await.refused(404, "not_found");
    let personal = admin.get("/r1/admin/workspaces?kind=personal&page_size=1").await.data()["items"][0].clone();
    let path = format!("/r1/admin/workspaces/{}", personal["id"].as_str().unwrap());
    let body = json!({ "name": personal["name"] });
    admin.send(admin.request(reqwest::Method::DELETE, &path).json(&body)).await.refused(409, "wrong_state");
    admin.patch(&path, json!({ "owner_id": ben.id })).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn administrators_list_conversations_with_sizes_and_without_content() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let [admin, anna, ben] = [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await];
    let made = anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
    let place = made["id"].as_str().unwrap();
    let body =
        json!({ "workspace_id": place, "kind": "private_channel", "title": "Quay 50%", "topic": "a secret topic" });
    let channel = anna.post("/r1/conversations", body).await.data_with(201);
    let channel = channel["id"].as_str().unwrap();
    anna.send_message(channel, "a secret").await;
    let upload = anna.upload("secret.txt", "text/plain", b"a secret".to_vec()).await;
    anna.send_files(channel, "", &[&upload]).await;
    let single = anna.open_single(&ben).await;
    anna.send_message(&single, "another secret").await;
    let assistant = anna.open_assistant().await;
    anna.send_message(&assistant, "What is the secret?").await;

    let list = async |query: &str| admin.get(&format!("/r1/admin/conversations?{query}")).await.data();
    let found = list("q=qUAY%2050%25").await;
    let [shown] = &found["items"].as_array().unwrap()[..] else { panic!("{found:#}") };
    assert_eq!(
        (&shown["id"], &shown["title"], &shown["kind"]),
        (&json!(channel), &json!("Quay 50%"), &json!("private_channel"))
    );
    assert_eq!(
        (&shown["workspace"]["name"], &shown["members"], &shown["messages"]),
        (&json!("Harbour"), &json!(1), &json!(2))
    );
    assert_eq!((&shown["stored_bytes"], &shown["archived_at"]), (&json!(8), &json!(null)));
    let all = list("").await;
    assert!(!all.to_string().to_lowercase().contains("secret"), "{all:#}");
    // The titles of assistant chats reveal questions, so they are neither shown nor searched.
    assert_eq!(list("kind=assistant").await["items"][0]["title"], json!(null));
    assert_eq!(list("kind=assistant").await["items"][0]["owner"]["id"], anna.id);
    assert_eq!(list("q=secret").await["items"], json!([]));
    assert_eq!(list(&format!("q={single}")).await["items"][0]["members"], 2);
    assert_eq!(list(&format!("workspace_id={place}&kind=private_channel")).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(list(&format!("workspace_id={place}&archived=true")).await["items"], json!([]));

    // The pages contain each item once, newest first.
    let whole: Vec<Value> = all["items"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("limit=2{before}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["id"].clone()));
        if page["has_more"] == false {
            break;
        }
        before = format!("&before={}", seen.last().unwrap().as_str().unwrap());
    }
    assert!(seen.len() >= 3 && seen == whole, "{seen:?}");
    admin.get(&format!("/r1/admin/conversations?q={}", "x".repeat(201))).await.names_field("q");
    anna.get("/r1/admin/conversations").await.refused(403, "forbidden");
}

#[tokio::test]
async fn administrators_transfer_channels_and_groups_to_another_member() {
    let app = Application::start().await;
    let [admin, anna, ben] = [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await];
    let [zoe, eve] = [app.sign_up("Zoe").await, app.sign_up("Eve").await];
    let channel = anna.open_channel("private_channel", "quay").await;
    let group = anna.open_group("Crew", &[&ben, &zoe]).await;
    anna.post(&format!("/r1/conversations/{channel}/members"), json!({ "user_id": ben.id })).await.data_with(201);
    let mut bens = ben.connect().await;
    for id in [&channel, &group] {
        let path = format!("/r1/admin/conversations/{id}");
        let shown = admin.get(&path).await.data();
        assert_eq!((&shown["owner"]["id"], &shown["is_default"]), (&json!(anna.id), &json!(false)), "{shown:#}");
        let members = admin.get(&format!("{path}/members?q=ben")).await.data();
        assert_eq!((&members["items"][0]["id"], &members["items"][0]["role"]), (&json!(ben.id), &json!("member")));
        assert_eq!(members["total"], 1);
        admin.patch(&path, json!({ "owner_id": eve.id })).await.names_field("owner_id");
        anna.patch(&path, json!({ "owner_id": ben.id })).await.refused(403, "forbidden");
        assert_eq!(admin.patch(&path, json!({ "owner_id": ben.id })).await.data()["owner"]["id"], ben.id);
        // Setting the same owner again changes nothing.
        assert_eq!(admin.patch(&path, json!({ "owner_id": ben.id })).await.data()["owner"]["id"], ben.id);
        let role = async |user: &Member| {
            ben.get(&format!("/r1/conversations/{id}/members/{}", user.id)).await.data()["role"].clone()
        };
        assert_eq!((role(&ben).await, role(&anna).await), (json!("owner"), json!("admin")));
        // The users' devices are notified at once.
        let told =
            |frame: &Frame| frame.payload["conversation_id"] == *id && frame.payload["member"]["role"] == "owner";
        bens.find("the new owner", |frame| frame.kind == "member.updated" && told(frame)).await;
    }
    let path = format!("/r1/conversations/{group}/members/{}", anna.id);
    ben.patch(&path, json!({ "role": "member" })).await.data();
    let audit = actions(&admin).await;
    assert!(audit.iter().filter(|action| *action == "admin.conversation_owner_changed").count() >= 2, "{audit:?}");

    // Direct conversations are not listed.
    let single = anna.open_single(&ben).await;
    let path = format!("/r1/admin/conversations/{single}");
    assert_eq!(admin.get(&path).await.data()["owner"], json!(null));
    admin.get(&format!("{path}/members")).await.refused(409, "wrong_state");
    admin.patch(&path, json!({ "owner_id": ben.id })).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn deleting_a_conversation_requires_its_name_and_excludes_the_default_channel() {
    let app = Application::start().await;
    let [admin, anna, ben] = [app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await];
    let channel = anna.open_channel("private_channel", "quay").await;
    let single = anna.open_single(&ben).await;
    anna.send_message(&single, "a secret").await;
    let delete = async |by: &Member, id: &str, name: &str| {
        let request = by.request(reqwest::Method::DELETE, &format!("/r1/admin/conversations/{id}"));
        by.send(request.json(&json!({ "name": name }))).await
    };
    let mut annas = anna.connect().await;
    delete(&admin, &channel, "quays").await.names_field("name");
    delete(&anna, &channel, "quay").await.refused(403, "forbidden");
    delete(&admin, &channel, "quay").await.data();
    // To confirm the deletion of a conversation without a title, its id is given.
    delete(&admin, &single, "").await.names_field("name");
    delete(&admin, &single, &single).await.data();
    for id in [&channel, &single] {
        anna.get(&format!("/r1/conversations/{id}")).await.refused(404, "not_found");
        admin.get(&format!("/r1/admin/conversations/{id}")).await.refused(404, "not_found");
        delete(&admin, id, "quay").await.refused(404, "not_found");
    }
    annas.expect_in("conversation.deleted", &single).await;
    let all = admin.get("/r1/admin/conversations?kind=public_channel").await.data();
    let default = all["items"].as_array().unwrap().iter().find(|one| one["is_default"] == true).unwrap();
    let (id, title) = (default["id"].as_str().unwrap(), default["title"].as_str().unwrap());
    delete(&admin, id, title).await.refused(409, "default_channel");
    let audit = actions(&admin).await;
    assert_eq!(audit.iter().filter(|action| *action == "admin.conversation_deleted").count(), 2, "{audit:?}");
}

#[tokio::test]
async fn the_audit_log_can_be_searched_and_exported_as_a_table() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("=Anna").await);
    anna.post("/r1/workspaces", json!({ "name": "Quay" })).await.data_with(201);
    let log = |query: String| {
        let admin = admin.clone();
        async move { admin.get(&format!("/r1/admin/audit_log?{query}")).await.data()["items"].as_array().unwrap().clone() }
    };
    let annas = log(format!("actor={}", anna.id)).await;
    assert!(annas.len() >= 2 && annas.iter().all(|entry| entry["actor"] == anna.id), "{annas:?}");
    let found = log("q=%3Danna&subject=workspace".to_owned()).await;
    assert!(!found.is_empty() && found.iter().all(|entry| entry["action"] == "workspace.created"), "{found:?}");
    assert!(log("from=2100-01-01T00:00:00Z".to_owned()).await.is_empty());
    admin.get("/r1/admin/audit_log?from=2100-01-01T00:00:00Z&to=2000-01-01T00:00:00Z").await.names_field("from");
    let answer = admin.get(&format!("/r1/admin/audit_log/export?actor={}", anna.id)).await;
    assert_eq!(answer.header("content-type"), Some("text/csv"));
    let text = answer.text();
    assert!(text.starts_with("time,action,actor,actor_name,target,address,id\r\n"), "{text}");
    assert_eq!(text.lines().count(), annas.len() + 1);
    // Values must not be interpreted as formulas by a spreadsheet.
    assert!(text.contains(",'=Anna,"), "{text}");
    assert!(actions(&admin).await.contains(&"admin.audit_exported".to_owned()));
}

#[tokio::test]
async fn shows_the_source_of_settings_and_no_secrets() {
    let app = Setup::new().set("mail.smtp_url", "smtp://ann:hunter2@127.0.0.1:9").start().await;
    let admin = app.admin().await;
    let settings = admin.get("/r1/admin/settings").await.data();
    let text = settings.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    let one = |key: &str| settings.as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone();
    let mail = one("mail.smtp_url");
    assert_eq!((&mail["source"], &mail["is_secret"]), (&json!("environment"), &json!(true)));
    assert_eq!(mail["place"], "NATTER__MAIL__SMTP_URL");
    let usual = one("messages.max_prompt_chars");
    assert_eq!((&usual["source"], &usual["is_secret"]), (&json!("default"), &json!(false)));
    assert!(one("server.geoip_database")["value"].is_null());
}

#[tokio::test]
async fn lists_the_set_up_steps_of_a_new_installation() {
    let mail = MailServer::start().await;
    let app = Setup::new().set("mail.smtp_url", mail.url()).start().await;
    let admin = app.admin().await;
    let setup = admin.get("/r1/admin/setup").await.data();
    assert_eq!((&setup["finished_at"], &setup["mail"]["is_set"]), (&Value::Null, &json!(true)));
    assert_eq!((&setup["mail"]["tested_at"], &setup["people"]), (&Value::Null, &json!(1)));
    let test = admin.post("/r1/admin/setup/mail", json!({})).await.data();
    assert_eq!((&test["ok"], &test["to"]), (&json!(true), &json!(admin.email)));
    mail.mail_with(&admin.email, "test message").await;
    assert!(admin.get("/r1/admin/setup").await.data()["mail"]["tested_at"].is_string());
    // If no provider is configured, the demo assistant answers, and the response states that.
    let asked = admin.post("/r1/admin/setup/question", json!({})).await.data();
    assert!(asked["duration_ms"].is_u64(), "{asked}");
    assert!(admin.get("/r1/admin/setup").await.data()["models"]["tested_at"].is_null());
    let done = admin.patch("/r1/admin/setup", json!({ "finished": true })).await.data();
    assert!(done["finished_at"].is_string());
    let again = admin.patch("/r1/admin/setup", json!({ "finished": false })).await.data();
    assert!(again["finished_at"].is_null());
}

#[tokio::test]
async fn reports_a_mail_server_that_does_not_answer() {
    let app = Setup::new().set("mail.smtp_url", "smtp://127.0.0.1:9").start().await;
    let admin = app.admin().await;
    let test = admin.post("/r1/admin/setup/mail", json!({})).await.data();
    assert_eq!(test["ok"], json!(false));
    assert!(test["error"].as_str().is_some_and(|error| !error.is_empty()), "{test}");
    assert!(admin.get("/r1/admin/setup").await.data()["mail"]["tested_at"].is_null());
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn a_suspension_applies_on_every_instance_at_once() {
        let app = Setup::new().instances(2).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        let there = app.instances[1].url();
        let program = anna.program(&["read"]).await;
        let (mut socket, mut machine) = (anna.at(&there).connect().await, program.at(&there).connect().await);
        anna.at(&there).get("/r1/users/me").await.data();
        program.at(&there).get("/r1/users/me").await.data();
        let path = format!("/r1/admin/users/{}", anna.id);
        admin.patch(&path, json!({ "status": "suspended" })).await.data();
        assert_eq!(socket.closed().await.code, 4401);
        assert_eq!(machine.closed().await.code, 4401);
        anna.at(&there).get("/r1/users/me").await.refused(401, "unauthenticated");
        program.at(&there).get("/r1/users/me").await.refused(401, "unauthenticated");
        admin.patch(&path, json!({ "status": "active" })).await.data();
        wait_until("the key is accepted again", || async {
            program.at(&there).get("/r1/users/me").await.status == 200
        })
        .await;
    }
}
