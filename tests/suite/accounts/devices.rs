use reqwest::Method;
use support::{Application, PASSWORD, json};

use super::text;

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
