//! Features that require a verified email address: invitations by email, and joining by email
//! domain.

use support::{Application, Member, PASSWORD, Value, json, new_email};

use super::{apart, create, members, workspaces};

/// Signs up a user. The address is verified by an invitation that was emailed for a separate
/// workspace.
async fn verified(app: &Application, by: &Member, email: &str, name: &str) -> Member {
    let workspace = create(by, "Door").await;
    let path = format!("/r1/workspaces/{workspace}/invitations");
    by.post(&path, json!({ "email": email })).await.data_with(201);
    let token = app.mailed_token(email, "invite").await;
    let body = json!({ "email": email, "password": PASSWORD, "display_name": name, "invitation": token });
    let tokens = app.anonymous().post("/r1/auth/signup", body).await.data_with(201);
    assert_eq!(tokens["user"]["email_verified"], true, "the address is verified");
    // The user becomes a member at once.
    assert_eq!(members(by, &workspace).await.len(), 2);
    Member::sign_in(&app.url(), email, PASSWORD).await
}

#[tokio::test]
async fn its_verified_address_accepts_a_mailed_invitation() {
    let app = apart().await;
    let anna = app.sign_up("Anna").await;
    app.verify(&anna).await;
    let email = new_email("ben");
    let ben = verified(&app, &anna, &email, "Ben").await;
    let cleo = app.sign_up("Cleo").await;
    let team = create(&anna, "Team").await;
    let path = format!("/r1/workspaces/{team}/invitations");
    let made = anna.post(&path, json!({ "email": email, "role": "admin" })).await.data_with(201);
    let token = json!({ "token": made["token"] });
    cleo.post("/r1/invitations/accept", token.clone()).await.refused(403, "invitation_mismatch");
    let led_to = ben.post("/r1/invitations/accept", token.clone()).await.data_with(200);
    assert_eq!(led_to, json!({ "workspace": { "id": team, "name": "Team" }, "role": "admin", "inviter": "Anna" }));
    cleo.post("/r1/invitations/accept", token).await.refused(410, "invitation_expired");
}

#[tokio::test]
async fn joining_by_domain_requires_a_verified_address() {
    let app = apart().await;
    let host = app.sign_up("Host").await;
    app.verify(&host).await;
    let [anna, ben, stranger] = [
        verified(&app, &host, "anna@acme.test", "Anna").await,
        verified(&app, &host, "ben@acme.test", "Ben").await,
        verified(&app, &host, "eve@other.test", "Eve").await,
    ];
    let unverified = json!({ "email": "cleo@acme.test", "password": PASSWORD, "display_name": "Cleo" });
    app.anonymous().post("/r1/auth/signup", unverified).await.data_with(201);
    let cleo = Member::sign_in(&app.url(), "cleo@acme.test", PASSWORD).await;

    // Only the domain of the user's own address is allowed, and no domain of a public mail
    // provider.
    for domain in ["other.test", "gmail.com", "test", "no domain", "a@b.test", ""] {
        let body = json!({ "name": "Acme", "join_domains": [domain] });
        anna.post("/r1/workspaces", body).await.names_field("join_domains");
    }
    cleo.post("/r1/workspaces", json!({ "name": "Acme", "join_domains": ["acme.test"] }))
        .await
        .names_field("join_domains");
    let body = json!({ "name": "Acme", "join_domains": ["@ACME.test", "acme.test"] });
    let acme = anna.post("/r1/workspaces", body).await.data_with(201);
    assert_eq!(acme["join_domains"], json!(["acme.test"]));
    let id = acme["id"].as_str().unwrap();
    let (join, path) = (format!("/r1/workspaces/{id}/join"), format!("/r1/workspaces/{id}"));

    let offered = async |member: &Member| member.get("/r1/workspaces/joinable").await.data()["items"].clone();
    assert_eq!(offered(&ben).await, json!([{ "id": id, "name": "Acme" }]));
    for outsider in [&cleo, &stranger] {
        assert_eq!(offered(outsider).await, json!([]));
        outsider.post(&join, json!({})).await.refused(404, "not_found");
    }
    let joined = ben.post(&join, json!({})).await.data_with(200);
    assert_eq!((&joined["role"], &joined["name"]), (&json!("member"), &json!("Acme")));
    assert_eq!(joined["join_domains"], Value::Null, "members don't see the domains");
    ben.post(&join, json!({})).await.refused(409, "already_member");
    assert_eq!(offered(&ben).await, json!([]));
    assert!(workspaces(&ben).await.iter().any(|one| one["id"] == id));

    // After the domain is removed, no further users can join; the members stay.
    anna.patch(&path, json!({ "join_domains": [] })).await.data_with(200);
    let dora = verified(&app, &host, "dora@acme.test", "Dora").await;
    dora.post(&join, json!({})).await.refused(404, "not_found");
    assert_eq!(members(&anna, id).await.len(), 2);
}
