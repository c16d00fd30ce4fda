//! Usage log.

use support::{Behaviour, Setup, UpstreamKind, Value, json};

use crate::assistants::Chat;

#[tokio::test]
async fn records_chat_answers_in_the_ledger_however_they_end() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let admin = chat.app.admin().await;
    let path = "/r1/admin/models/small";
    let price = json!({ "price": { "input": 1_000_000_000, "output": 1_000_000_000 } });
    admin.put(path, price).await.data();
    chat.ask("Hello?").await;
    chat.ended("message.completed").await;
    chat.upstream.then(Behaviour::cut("Half an"));
    chat.ask("Again?").await;
    chat.ended("message.failed").await;

    let rows = chat.anna.get("/r1/usage/requests").await.data();
    assert_eq!(rows["total"], 2, "{rows}");
    let statuses: Vec<&Value> = rows["items"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, [&json!(502), &json!(200)]);
    for row in rows["items"].as_array().unwrap() {
        assert_eq!((&row["key_id"], &row["endpoint"]), (&Value::Null, &json!("assistant")));
        assert_eq!((&row["asked_model"], &row["user_id"]), (&json!("small"), &json!(chat.anna.id)));
        assert!(row["cost"].as_i64().unwrap() > 0 && row["input_tokens"].as_u64().unwrap() > 0, "{row}");
    }
    let groups = chat.anna.get("/r1/usage?group=model").await.data();
    let small = &groups["items"][0];
    assert_eq!((&small["key"], &small["requests"], &small["failed"]), (&json!("small"), &json!(2), &json!(1)));
    let csv = chat.anna.get("/r1/usage/requests/export?from=2020-01-01T00:00:00Z").await.text();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("time,request_id,key_id,user_id,"), "{csv}");
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[1].contains(",assistant,small,small,") && lines[2].contains(",502,"), "{csv}");
    let none = chat.anna.get("/r1/usage/requests/export?end_user=nobody").await.text();
    assert_eq!(none.lines().count(), 1, "{none}");
    let ben = chat.app.sign_up("Ben").await;
    ben.get(&format!("/r1/usage/requests/export?user_id={}", chat.anna.id)).await.refused(403, "forbidden");
    assert_eq!(ben.get("/r1/usage/requests/export").await.text().lines().count(), 1);
    assert_eq!(ben.get("/r1/usage/requests").await.data()["total"], 0);
    ben.get(&format!("/r1/usage?user_id={}", chat.anna.id)).await.refused(403, "forbidden");
    let by_person = admin.get("/r1/usage?group=user").await.data();
    assert_eq!(by_person["items"][0]["key"], chat.anna.id.as_str());
    ben.get("/r1/usage?group=planet").await.names_field("group");
}
