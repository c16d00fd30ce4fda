//! Editing the arguments of a call before allowing it, and permissions that are granted for good.

use support::{Setup, UpstreamKind, Value, json};

use super::Tools;

fn path(message: &str, call: &Value) -> String {
    format!("/r1/messages/{message}/tool_calls/{}", call["id"].as_str().unwrap())
}

#[tokio::test]
async fn arguments_can_be_edited_before_allowing_a_call() {
    for kind in UpstreamKind::ALL {
        let mut tools = Tools::start(Setup::new(), kind).await;
        tools.will_call(&[("pay", json!({ "to": "Ben" }))]);
        let answer = tools.chat.ask("Pay Ben").await;
        let call = tools.told("waiting").await;
        assert_eq!((&call["is_edited"], &call["may_remember"]), (&json!(false), &json!(true)), "{call}");
        let path = path(&answer, &call);
        let anna = &tools.chat.anna;
        let details = anna.get(&path).await.data();
        assert_eq!(details["schema"]["properties"]["to"]["type"], "string", "{details}");
        assert_eq!(details["arguments"], call["arguments"]);
        let stranger = tools.chat.app.sign_up("Mallory").await;
        stranger.get(&path).await.refused(404, "not_found");
        // Invalid arguments are rejected, and the call still waits.
        for arguments in [json!({ "to": 5 }), json!({ "to": "x".repeat(70_000) }), json!({ "to": "\0" })] {
            let body = json!({ "decision": "allow", "arguments": arguments });
            anna.post(&path, body).await.names_field("arguments");
        }
        assert_eq!(anna.post(&path, json!({ "decision": "allow", "arguments": [1] })).await.status, 422);
        let body = json!({ "decision": "deny", "arguments": { "to": "Carl" } });
        anna.post(&path, body).await.names_field("arguments");
        anna.post(&path, json!({ "decision": "deny", "remember": true })).await.names_field("remember");
        let body = json!({ "decision": "allow", "arguments": { "to": "Carl" } });
        let decided = anna.post(&path, body).await.data();
        assert_eq!((&decided["is_edited"], &decided["status"]), (&json!(true), &json!("queued")), "{decided}");
        let message = tools.chat.ended("message.completed").await["message"].clone();
        let call = &message["tool_calls"][0];
        assert_eq!(
            (&call["arguments"], &call["result"]),
            (&json!("{\"to\":\"Carl\"}"), &json!("Paid Carl.")),
            "{kind:?}: {call}"
        );
        assert_eq!(tools.odd.effects(), ["paid Carl"], "{kind:?}");
        // The model sees the call that it has made, and is told that the arguments were changed.
        let told = tools.chat.upstream.asked()[1].body.to_string();
        assert!(told.contains("changed the arguments of this call to") && told.contains("Ben"), "{kind:?}: {told}");
    }
}

#[tokio::test]
async fn permanently_allowed_calls_are_not_confirmed_again() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    let pay = |to: &str| [("pay", json!({ "to": to }))];
    tools.will_call(&pay("Ben"));
    let answer = tools.chat.ask("Pay Ben").await;
    let call = tools.told("waiting").await;
    let body = json!({ "decision": "allow", "remember": true });
    tools.chat.anna.post(&path(&answer, &call), body).await.data();
    tools.chat.ended("message.completed").await;
    let listed = tools.chat.anna.get("/r1/tool_permissions").await.data();
    let permission = listed["items"][0].clone();
    assert_eq!(
        (&listed["total"], &permission["assistant_name"], &permission["server"], &permission["tool"]),
        (&json!(1), &json!("Ada"), &json!("Odd"), &json!("pay")),
        "{listed}"
    );
    let of = |id: &Value| format!("/r1/tool_permissions?assistant_id={}", id.as_str().unwrap());
    assert_eq!(tools.chat.anna.get(&of(&permission["assistant_id"])).await.data()["total"], 1);
    assert_eq!(tools.chat.anna.get(&of(&json!(support::new_id()))).await.data()["total"], 0);

    tools.will_call(&pay("Carl"));
    let message = tools.answered().await;
    assert_eq!(message["tool_calls"][0]["status"], "done", "{message}");
    assert_eq!(tools.odd.effects(), ["paid Ben", "paid Carl"]);

    // Another assistant that has the same tool asks for permission again.
    let ada = format!("/r1/assistants/{}", permission["assistant_id"].as_str().unwrap());
    let given = tools.chat.anna.get(&ada).await.data()["tools"].clone();
    let new = json!({ "name": "Bob", "tools_enabled": true, "tools": given });
    let bob = tools.chat.anna.post("/r1/assistants", new).await.data_with(201);
    let ada_chat = tools.chat.id.clone();
    let new = json!({ "kind": "assistant", "assistant_id": bob["id"] });
    tools.chat.id =
        tools.chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    tools.will_call(&pay("Dora"));
    let answer = tools.chat.ask("Pay Dora").await;
    let call = tools.told("waiting").await;
    tools.chat.anna.post(&path(&answer, &call), json!({ "decision": "deny" })).await.data();
    tools.chat.ended("message.completed").await;
    tools.chat.id = ada_chat;

    // Users can revoke only their own permissions. After that, the tool asks again.
    let own = format!("/r1/tool_permissions/{}", permission["id"].as_str().unwrap());
    let stranger = tools.chat.app.sign_up("Mallory").await;
    stranger.delete(&own).await.refused(404, "not_found");
    assert_eq!(stranger.get("/r1/tool_permissions").await.data()["total"], 0);
    tools.chat.anna.delete(&own).await.data();
    tools.chat.anna.delete(&own).await.refused(404, "not_found");
    tools.will_call(&pay("Eve"));
    let answer = tools.chat.ask("Pay Eve").await;
    let call = tools.told("waiting").await;
    let body = json!({ "decision": "allow", "remember": true });
    tools.chat.anna.post(&path(&answer, &call), body).await.data();
    tools.chat.ended("message.completed").await;
    tools.admin.delete(&tools.server).await.data();
    assert_eq!(tools.chat.app.database.number("SELECT count(*) FROM tool_permissions").await, 0);
}
