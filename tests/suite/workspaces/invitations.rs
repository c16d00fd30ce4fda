//! Invitations by link and by email, and sign-up that requires an invitation.

use support::{Answer, Application, MailServer, Member, Setup, Value, json, new_email};

use super::{apart, create, members};

async fn invite(by: &Member, workspace: &str, body: Value) -> Value {
    by.post(&format!("/r1/workspaces/{workspace}/invitations"), body).await.data_with(201)
}

async fn accept(member: &Member, invitation: &Value) -> Answer {
    member.post("/r1/invitations/accept", json!({ "token": invitation["token"] })).await
}

#[tokio::test]
async fn limits_the_uses_of_an_invitation_link() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let team = create(&anna, "Team").await;
    let made = invite(&anna, &team, json!({ "max_uses": 1, "role": "guest" })).await;
    let token = made["token"].as_str().unwrap();
    assert!(token.len() >= 43);
    assert!(made["url"].as_str().unwrap().ends_with(&format!("/invite?token={token}")), "{made}");
    assert_eq!((&made["uses"], &made["max_uses"], &made["email"]), (&json!(0), &json!(1), &Value::Null));
    let path = format!("/r1/workspaces/{team}/invitations");
    let listed = anna.get(&path).await;
    assert!(!listed.text().contains(token), "the list shows the token");
    assert_eq!(listed.data()["items"][0]["id"], made["id"]);

    // Before signing up, the token shows to which workspace the invitation is.
    let shown = app.anonymous().post("/r1/invitations/preview", json!({ "token": token })).await.data_with(200);
    assert_eq!(shown, json!({ "workspace": { "id": team, "name": "Team" }, "role": "guest", "inviter": "Anna" }));
    assert_eq!(accept(&ben, &made).await.data_with(200), shown);
    assert!(members(&anna, &team).await.contains(&("Ben".to_owned(), "guest".to_owned())));
    // Accepting again succeeds, as after a lost response. Other users can't use the invitation any
    // more.
    accept(&ben, &made).await.data_with(200);
    accept(&cleo, &made).await.refused(410, "invitation_expired");
    app.anonymous().post("/r1/invitations/preview", json!({ "token": token })).await.refused(410, "invitation_expired");
    assert_eq!(anna.get(&path).await.data()["total"], 0);
    // Members who accept an invitation keep their role.
    let open = invite(&anna, &team, json!({ "max_uses": 5, "role": "guest" })).await;
    assert_eq!(accept(&anna, &open).await.data()["role"], "owner");
    assert_eq!(anna.get(&path).await.data()["items"][0]["uses"], 0);
    for token in ["", "x", &"x".repeat(5_000)] {
        cleo.post("/r1/invitations/accept", json!({ "token": token })).await.refused(404, "not_found");
        app.anonymous().post("/r1/invitations/preview", json!({ "token": token })).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn concurrent_acceptances_never_exceed_the_uses_of_an_invitation() {
    let app = apart().await;
    let anna = app.sign_up("Anna").await;
    let team = create(&anna, "Team").await;
    let made = invite(&anna, &team, json!({ "max_uses": 2 })).await;
    let mut people = Vec::new();
    for name in ["Ben", "Cleo", "Dora", "Emil", "Fay"] {
        people.push(app.sign_up(name).await);
    }
    let racing: Vec<_> = people
        .iter()
        .map(|person| {
            let (person, made) = (person.clone(), made.clone());
            tokio::spawn(async move { accept(&person, &made).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in racing {
        statuses.push(one.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 410, 410, 410]);
    assert_eq!(members(&anna, &team).await.len(), 3);
}

#[tokio::test]
async fn only_member_managers_invite_and_only_up_to_their_role() {
    let app = apart().await;
    let (anna, ben, cleo, stranger) =
        (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await, app.sign_up("Stranger").await);
    app.verify(&anna).await;
    let team = create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/invitations");
    for (person, role) in [(&ben, "admin"), (&cleo, "member")] {
        let body = json!({ "user_id": person.id, "role": role });
        anna.post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
    }
    cleo.post(&path, json!({ "max_uses": 1 })).await.refused(403, "forbidden");
    cleo.get(&path).await.refused(403, "forbidden");
    stranger.post(&path, json!({ "max_uses": 1 })).await.refused(404, "not_found");
    stranger.get(&path).await.refused(404, "not_found");
    ben.post(&path, json!({ "max_uses": 1, "role": "admin" })).await.refused(403, "forbidden");
    anna.post(&path, json!({ "max_uses": 1, "role": "owner" })).await.names_field("role");
    anna.post(&path, json!({ "email": cleo.email })).await.refused(409, "already_member");
    for (field, body) in [
        ("max_uses", json!({})),
        ("max_uses", json!({ "max_uses": 0 })),
        ("max_uses", json!({ "max_uses": 1_000_000 })),
        ("max_uses", json!({ "email": "x@example.test", "max_uses": 2 })),
        ("email", json!({ "email": "nonsense" })),
        ("expires_at", json!({ "max_uses": 1, "expires_at": "2001-01-01T00:00:00Z" })),
        ("expires_at", json!({ "max_uses": 1, "expires_at": "9999-01-01T00:00:00Z" })),
    ] {
        anna.post(&path, body).await.names_field(field);
    }
    let made = invite(&ben, &team, json!({ "max_uses": 2 })).await;
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let elsewhere = create(&stranger, "Elsewhere").await;
    let foreign = format!("/r1/workspaces/{elsewhere}/invitations/{}", made["id"].as_str().unwrap());
    stranger.delete(&foreign).await.refused(404, "not_found");
    anna.delete(&one).await.data_with(200);
    anna.delete(&one).await.refused(404, "not_found");
    accept(&stranger, &made).await.refused(410, "invitation_expired");
}

#[tokio::test]
async fn a_mailed_invitation_requires_its_verified_address() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    app.verify(&anna).await;
    let team = create(&anna, "Team").await;
    let made = invite(&anna, &team, json!({ "email": ben.email.to_uppercase() })).await;
    assert_eq!((&made["email"], &made["max_uses"]), (&json!(ben.email), &json!(1)));
    accept(&cleo, &made).await.refused(403, "invitation_mismatch");
    // The invitation is for his address, but that isn't verified.
    accept(&ben, &made).await.refused(403, "invitation_mismatch");
}

#[tokio::test]
async fn supports_sign_up_by_invitation_only() {
    let app = Setup::new().set("workspaces.shared", "none").set("auth.signup", "invite").start().await;
    let admin = app.admin().await;
    let team = create(&admin, "Team").await;
    let sign_up = async |app: &Application, email: &str, invitation: Value| {
        let mut body = json!({ "email": email, "password": support::PASSWORD, "display_name": "New" });
        body["invitation"] = invitation;
        app.anonymous().post("/r1/auth/signup", body).await
    };
    let body = json!({ "email": new_email("new"), "password": support::PASSWORD, "display_name": "New" });
    app.anonymous().post("/r1/auth/signup", body).await.refused(403, "signup_closed");
    sign_up(&app, &new_email("new"), json!("x")).await.names_field("invitation");
    let made = invite(&admin, &team, json!({ "max_uses": 1 })).await;
    let joined = sign_up(&app, &new_email("new"), made["token"].clone()).await.data_with(201);
    assert_eq!(members(&admin, &team).await.len(), 2);
    assert_eq!(joined["user"]["display_name"], "New");
    sign_up(&app, &new_email("new"), made["token"].clone()).await.refused(410, "invitation_expired");

    // The invitation was emailed, so the user becomes a member when the address is verified.
    let email = new_email("invited");
    let mailed = invite(&admin, &team, json!({ "email": email })).await;
    sign_up(&app, &new_email("other"), mailed["token"].clone()).await.refused(403, "invitation_mismatch");
    sign_up(&app, &email, mailed["token"].clone()).await.data_with(201);
    assert_eq!(members(&admin, &team).await.len(), 2, "unverified addresses don't join");
}

async fn add(by: &Member, workspace: &str, who: &Member, role: &str) {
    let body = json!({ "user_id": who.id, "role": role });
    by.post(&format!("/r1/workspaces/{workspace}/members"), body).await.data_with(201);
}

async fn remove(by: &Member, workspace: &str, who: &Member) {
    by.delete(&format!("/r1/workspaces/{workspace}/members/{}", who.id)).await.data_with(200);
}

#[tokio::test]
async fn a_removed_member_needs_a_new_invitation() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let team = create(&anna, "Team").await;
    add(&anna, &team, &ben, "admin").await;
    add(&anna, &team, &cleo, "member").await;
    let hers = invite(&anna, &team, json!({ "max_uses": 100 })).await;
    let his = invite(&ben, &team, json!({ "max_uses": 100 })).await;
    remove(&anna, &team, &ben).await;
    // The invitations of a user are revoked when the user loses the role.
    accept(&ben, &his).await.refused(410, "invitation_expired");
    // A member who was removed can't return by a link that was created earlier.
    accept(&ben, &hers).await.refused(403, "forbidden");
    // A member who has left voluntarily can.
    cleo.post(&format!("/r1/workspaces/{team}/leave"), json!({})).await.data_with(200);
    accept(&cleo, &hers).await.data_with(200);
    let anew = invite(&anna, &team, json!({ "max_uses": 1 })).await;
    assert_eq!(accept(&ben, &anew).await.data_with(200)["role"], "member");
    remove(&anna, &team, &ben).await;
    accept(&ben, &hers).await.refused(403, "forbidden");
    add(&anna, &team, &ben, "member").await;
    ben.post(&format!("/r1/workspaces/{team}/leave"), json!({})).await.data_with(200);
    accept(&ben, &hers).await.data_with(200);
}

#[tokio::test]
async fn an_invitation_expires_with_its_creators_permission() {
    let app = apart().await;
    let names = ["Anna", "Ben", "Cleo", "Dora", "Emil"];
    let [anna, ben, cleo, dora, emil] = futures_util::future::join_all(names.map(|name| app.sign_up(name)))
        .await
        .try_into()
        .unwrap_or_else(|_| panic!());
    let team = create(&anna, "Team").await;
    for admin in [&ben, &cleo, &dora] {
        add(&anna, &team, admin, "admin").await;
    }
    let link = json!({ "max_uses": 9 });
    let (bens, cleos, doras) = (
        invite(&ben, &team, link.clone()).await,
        invite(&cleo, &team, link.clone()).await,
        invite(&dora, &team, link).await,
    );
    let of_owner = invite(&anna, &team, json!({ "max_uses": 9, "role": "admin" })).await;
    let of_owner_low = invite(&anna, &team, json!({ "max_uses": 9 })).await;
    let role = |who: &Member| format!("/r1/workspaces/{team}/members/{}", who.id);
    anna.patch(&role(&ben), json!({ "role": "member" })).await.data_with(200);
    accept(&emil, &bens).await.refused(410, "invitation_expired");
    cleo.post(&format!("/r1/workspaces/{team}/leave"), json!({})).await.data_with(200);
    accept(&emil, &cleos).await.refused(410, "invitation_expired");
    let request = dora.request(reqwest::Method::DELETE, "/r1/users/me").json(&json!({ "password": support::PASSWORD }));
    dora.send(request).await.data_with(200);
    accept(&emil, &doras).await.refused(410, "invitation_expired");
    // Administrators can't invite administrators.
    anna.patch(&role(&ben), json!({ "role": "owner" })).await.data_with(200);
    accept(&emil, &of_owner).await.refused(410, "invitation_expired");
    accept(&emil, &of_owner_low).await.data_with(200);
}

#[tokio::test]
async fn invitation_mail_requires_a_verified_sender_and_has_a_daily_limit() {
    let app = apart().await;
    let anna = app.sign_up("Anna").await;
    let (team, other) = (create(&anna, "Team").await, create(&anna, "Other").await);
    let path = |team: &str| format!("/r1/workspaces/{team}/invitations");
    let wanted = || json!({ "email": new_email("stranger") });
    anna.post(&path(&team), wanted()).await.refused(403, "forbidden");
    app.verify(&anna).await;
    for number in 0..50 {
        anna.post(&path(if number % 2 == 0 { &team } else { &other }), wanted()).await.data_with(201);
    }
    let refused = anna.post(&path(&team), wanted()).await;
    let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!((80_000..=86_400).contains(&wait), "{refused:?}");
    refused.refused(429, "rate_limited");
    // Invitations by link are not limited in number, unlike those by email.
    invite(&anna, &team, json!({ "max_uses": 1 })).await;
    app.database.run("UPDATE invitations SET created_at = created_at - 86400000").await;
    anna.post(&path(&team), wanted()).await.data_with(201);
}

#[tokio::test]
async fn invitation_subjects_contain_no_text_of_the_inviter() {
    let server = MailServer::start().await;
    let app = Setup::new().set("workspaces.shared", "none").set("mail.smtp_url", server.url()).start().await;
    let anna = app.sign_up("Bank Support").await;
    let token = server.mail_with(&anna.email, "/verify-email?token=").await.token("verify-email");
    anna.post("/r1/auth/verify-email", json!({ "token": token })).await.data_with(200);
    let team = create(&anna, "URGENT account locked").await;
    let email = new_email("victim");
    invite(&anna, &team, json!({ "email": email })).await;
    let mail = server.mail_with(&email, "/invite?token=").await;
    assert_eq!(mail.subject(), "You're invited to a workspace");
    for part in [mail.text(), mail.html()] {
        assert!(part.contains("\"Bank Support\"") && part.contains("\"URGENT account locked\""), "{part}");
    }
    // Names that were stored before the validation existed are left out of the email.
    app.database.run("UPDATE workspaces SET name = 'see https://evil.example/pay' WHERE kind = 'team'").await;
    let email = new_email("victim");
    invite(&anna, &team, json!({ "email": email })).await;
    let mail = server.mail_with(&email, "/invite?token=").await;
    assert!(!mail.text().contains("evil.example") && mail.text().contains("\"Bank Support\""), "{mail:?}");
}

#[tokio::test]
async fn invitation_links_use_the_address_their_creator_visits() {
    // A server that listens on public addresses answers to any host name.
    let app = Setup::new().set("workspaces.shared", "none").set("server.host", "0.0.0.0").start().await;
    let anna = app.sign_up("Anna").await;
    let team = create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/invitations");
    let from = async |origin: &str| {
        let host = origin.split("//").nth(1).unwrap_or_default();
        let request = anna.request(reqwest::Method::POST, &path).header("host", host).header("origin", origin);
        let made = anna.send(request.json(&json!({ "max_uses": 1 }))).await.data_with(201);
        made["url"].as_str().unwrap().split("/invite").next().unwrap_or_default().to_owned()
    };
    for origin in ["http://chat.lan:8080", "https://chat.example.org"] {
        assert_eq!(from(origin).await, origin);
    }
}

#[tokio::test]
async fn invites_many_addresses_at_once_and_names_those_that_cannot_be_invited() {
    let app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/invitations");
    let batch = format!("{path}/batch");
    let (cleo, dora) = (new_email("cleo"), new_email("dora"));
    let wanted = json!({ "emails": [cleo, "no address", anna.email, cleo.to_uppercase(), dora], "role": "guest" });
    anna.post(&batch, wanted.clone()).await.refused(403, "forbidden");
    app.verify(&anna).await;
    ben.post(&batch, wanted.clone()).await.refused(404, "not_found");
    let done = anna.post(&batch, wanted.clone()).await.data();
    let invited: Vec<&Value> = done["invited"].as_array().unwrap().iter().map(|one| &one["email"]).collect();
    assert_eq!(invited, [&json!(cleo), &json!(dora)]);
    assert_eq!(done["invited"][0]["role"], "guest");
    let skipped = json!([
        { "email": "no address", "code": "invalid" },
        { "email": anna.email, "code": "already_member" },
    ]);
    assert_eq!(done["skipped"], skipped);
    app.outbox(&cleo, "/invite?token=").await;
    app.outbox(&dora, "/invite?token=").await;
    // Sending the same list again mails nobody twice.
    let again = anna.post(&batch, wanted).await.data();
    assert_eq!(again["invited"], json!([]));
    let codes: Vec<&Value> = again["skipped"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["invalid", "wrong_state", "already_member", "wrong_state"]);
    for wrong in [json!([]), json!(vec!["a@example.test"; 101]), json!("a@example.test")] {
        anna.post(&batch, json!({ "emails": wrong })).await.names_field("emails");
    }
    // The daily limit ends the list, and the rest is named.
    let many: Vec<String> = (0..60).map(|_| new_email("stranger")).collect();
    let done = anna.post(&batch, json!({ "emails": many })).await.data();
    assert_eq!(done["invited"].as_array().unwrap().len(), 48);
    let skipped = done["skipped"].as_array().unwrap();
    assert!(skipped.len() == 12 && skipped.iter().all(|one| one["code"] == "rate_limited"), "{skipped:?}");
}
