//! Built-in tools. They are off until an administrator of the workspace allows them, and limited to
//! addresses that are permitted and to what the user who asks may read.

use support::{Behaviour, Member, Setup, UpstreamKind, Value, json};

use crate::{assistants::Chat, previews::Site, search::finds};

/// Anna's workspace, of which Ben is a member, and her chat with an assistant that has all built-in
/// tools.
struct Own {
    chat: Chat,
    ben: Member,
    team: String,
    ada: Value,
}

impl Own {
    async fn start(setup: Setup) -> Self {
        let mut chat = Chat::start(setup, UpstreamKind::OpenAi).await;
        let ben = chat.app.sign_up("Ben").await;
        let team = chat.anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
        let team = team["id"].as_str().unwrap().to_owned();
        let member = json!({ "user_id": ben.id, "role": "member" });
        chat.anna.post(&format!("/r1/workspaces/{team}/members"), member).await.data_with(201);
        let shown = chat.anna.get(&format!("/r1/workspaces/{team}/tools")).await.data();
        assert!(shown["tools"].as_array().unwrap().iter().all(|tool| tool["mode"] == "off"), "{shown}");
        let given = json!([{ "server_id": shown["server_id"], "tools": null }]);
        let new = json!({ "name": "Ada", "tools_enabled": true, "tools": given, "workspace_id": team });
        let ada = chat.anna.post("/r1/assistants", new).await.data_with(201);
        let new = json!({ "kind": "assistant", "assistant_id": ada["id"], "workspace_id": team });
        chat.id = chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
        Self { chat, ben, team, ada }
    }

    async fn set_mode(&self, tool: &str, mode: &str) {
        let path = format!("/r1/workspaces/{}/tools", self.team);
        let shown = self.chat.anna.patch(&path, json!({ "modes": { tool: mode } })).await.data();
        let is_it = |one: &&Value| one["name"] == tool;
        assert_eq!(shown["tools"].as_array().unwrap().iter().find(is_it).unwrap()["mode"], mode, "{shown}");
    }

    fn will_call(&self, tool: &str, arguments: Value) {
        self.chat.upstream.then(Behaviour::call_tool(&format!("Natter__{tool}"), arguments));
        self.chat.upstream.then(Behaviour::answer("That is it."));
    }

    /// Asks a question and returns the only call of the answer.
    async fn called(&mut self) -> Value {
        self.chat.ask("Go on").await;
        self.ended().await
    }

    async fn ended(&mut self) -> Value {
        let message = self.chat.ended("message.completed").await["message"].clone();
        assert_eq!(message["tool_calls"].as_array().map(Vec::len), Some(1), "{message}");
        message["tool_calls"][0].clone()
    }

    /// Returns the functions that were last offered to the model.
    fn offered(&self) -> String {
        self.chat.upstream.asked().last().unwrap().body["tools"].to_string()
    }
}

#[tokio::test]
async fn builtin_tools_are_offered_only_after_workspace_admins_allow_them() {
    let mut own = Own::start(Setup::new()).await;
    own.chat.ask("Hello").await;
    own.chat.ended("message.completed").await;
    assert_eq!(own.offered(), "null");
    let path = format!("/r1/workspaces/{}/tools", own.team);
    own.ben.patch(&path, json!({ "modes": { "calculate": "auto" } })).await.refused(403, "forbidden");
    own.chat.anna.patch(&path, json!({ "modes": { "fly": "auto" } })).await.names_field("modes");

    own.set_mode("calculate", "auto").await;
    own.will_call("calculate", json!({ "expression": "2^64 - 1" }));
    let call = own.called().await;
    assert_eq!((&call["server"], &call["title"]), (&json!("Natter"), &json!("Calculate")), "{call}");
    assert_eq!((&call["status"], &call["result"]), (&json!("done"), &json!("18446744073709551615")), "{call}");
    assert!(own.offered().contains("Natter__calculate") && !own.offered().contains("search"), "{}", own.offered());
    own.will_call("calculate", json!({ "expression": "(\\f. f f) (\\f. f f)" }));
    assert_eq!(own.called().await["status"], "failed");

    // The permission doesn't apply to other workspaces, and a tool that is switched off isn't
    // called.
    own.set_mode("calculate", "off").await;
    own.will_call("calculate", json!({ "expression": "1" }));
    let call = own.called().await;
    assert_eq!((&call["status"], &call["result"]), (&json!("failed"), &json!("There is no such tool.")), "{call}");
}

#[tokio::test]
async fn builtin_tool_calls_require_confirmation_and_can_be_allowed_permanently() {
    let mut own = Own::start(Setup::new()).await;
    own.set_mode("calculate", "ask").await;
    own.will_call("calculate", json!({ "expression": "1 + 1" }));
    let answer = own.chat.ask("Go on").await;
    let is_waiting =
        |frame: &support::Frame| frame.kind == "message.tool_call" && frame.payload["call"]["status"] == "waiting";
    let call = own.chat.socket.find("a call that waits", is_waiting).await.payload["call"].clone();
    let path = format!("/r1/messages/{answer}/tool_calls/{}", call["id"].as_str().unwrap());
    assert_eq!(own.chat.anna.get(&path).await.data()["schema"]["required"], json!(["expression"]));
    let edited = json!({ "decision": "allow", "arguments": { "expression": "2 + 2" }, "remember": true });
    own.chat.anna.post(&path, edited).await.data();
    assert_eq!(own.ended().await["result"], "4");
    let listed = own.chat.anna.get("/r1/tool_permissions").await.data();
    let permission = &listed["items"][0];
    assert_eq!((&permission["server"], &permission["tool"]), (&json!("Natter"), &json!("calculate")), "{listed}");
    own.will_call("calculate", json!({ "expression": "3 + 3" }));
    assert_eq!(own.called().await["result"], "6");
}

#[tokio::test]
async fn searches_what_the_asker_may_read_or_in_groups_what_all_may() {
    let mut own = Own::start(Setup::new()).await;
    own.set_mode("search_messages", "auto").await;
    let (anna, ben, team) = (&own.chat.anna, &own.ben, own.team.clone());
    let open = async |by: &Member, title: &str, others: &[&Member]| {
        let others: Vec<_> = others.iter().map(|other| &other.id).collect();
        let body = json!({ "kind": "group", "title": title, "member_ids": others, "workspace_id": team });
        by.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned()
    };
    let (third, fourth) = (own.chat.app.sign_up("Carl").await, own.chat.app.sign_up("Dora").await);
    for other in [&third, &fourth] {
        let member = json!({ "user_id": other.id, "role": "member" });
        anna.post(&format!("/r1/workspaces/{team}/members"), member).await.data_with(201);
    }
    let shared = open(anna, "Crew", &[ben, &third]).await;
    let secret = open(ben, "Surprise", &[&third, &fourth]).await;
    let own_group = open(anna, "Plans", &[&third, &fourth]).await;
    ben.send_message(&shared, "The lighthouse is painted red").await;
    ben.send_message(&secret, "The lighthouse is a surprise").await;
    anna.send_message(&own_group, "The lighthouse is sold").await;
    finds(ben, "lighthouse", &["The lighthouse is painted red", "The lighthouse is a surprise"]).await;
    finds(anna, "lighthouse", &["The lighthouse is painted red", "The lighthouse is sold"]).await;

    own.will_call("search_messages", json!({ "query": "lighthouse" }));
    let call = own.called().await;
    let found = call["result"].as_str().unwrap();
    assert!(found.contains("painted red") && found.contains("is sold") && !found.contains("surprise"), "{found}");
    assert!(found.contains("Ben in Crew") && found.contains(&format!("/c/{shared}/m/")), "{found}");

    // In the group, Ben reads the answer too.
    let add = json!({ "assistant_id": own.ada["id"] });
    own.chat.anna.post(&format!("/r1/conversations/{shared}/members"), add.clone()).await.data_with(201);
    own.chat.id = shared;
    own.will_call("search_messages", json!({ "query": "lighthouse" }));
    own.chat.anna.send_message(&own.chat.id, "@Ada what about the lighthouse?").await;
    let call = own.ended().await;
    let found = call["result"].as_str().unwrap();
    assert!(found.contains("painted red") && !found.contains("is sold") && !found.contains("surprise"), "{found}");

    // Answers reveal no messages from before one of their readers joined.
    let (anna, ben) = (&own.chat.anna, &own.ben);
    let new = json!({ "kind": "group", "title": "Watch", "member_ids": [ben.id, third.id], "workspace_id": team, "history": "from_join" });
    let watch = anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let members = format!("/r1/conversations/{watch}/members");
    anna.post(&members, add).await.data_with(201);
    anna.send_message(&watch, "The lighthouse is green").await;
    anna.post(&members, json!({ "user_id": fourth.id })).await.data_with(201);
    anna.send_message(&watch, "The lighthouses are blue").await;
    finds(ben, "lighthouse in:Watch", &["The lighthouse is green", "The lighthouses are blue"]).await;
    own.chat.id = watch;
    // Hits that can't be read don't take the place of hits that can.
    own.will_call("search_messages", json!({ "query": "lighthouse", "limit": 1 }));
    own.chat.anna.send_message(&own.chat.id, "@Ada and this one?").await;
    let call = own.ended().await;
    let found = call["result"].as_str().unwrap();
    assert!(found.contains("are blue") && !found.contains("is green"), "{found}");
}

#[tokio::test]
async fn fetches_pages_only_from_permitted_addresses() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let canary = Site::start("127.0.0.1", "").await;
    let mut own = Own::start(Setup::new().set("outgoing.allow", "127.0.0.2")).await;
    own.set_mode("fetch_page", "auto").await;
    own.will_call("fetch_page", json!({ "url": site.url("/article") }));
    let call = own.called().await;
    let read = call["result"].as_str().unwrap();
    assert_eq!(call["status"], "done", "{call}");
    assert!(read.contains("Twelve ships lie by the café.") && !read.contains("<p>"), "{read}");
    for (address, why) in [
        (canary.url("/article"), "may not be reached"),
        (site.url("/gone"), "404"),
        (site.url("/picture.png"), "can't be read as text"),
        ("ships".to_owned(), "whole address"),
        ("file:///etc/passwd".to_owned(), "whole address"),
    ] {
        own.will_call("fetch_page", json!({ "url": address }));
        let call = own.called().await;
        assert_eq!(call["status"], "failed", "{call}");
        assert!(call["result"].as_str().unwrap().contains(why), "{address}: {call}");
    }
    assert_eq!(canary.hits(), 0);
}
