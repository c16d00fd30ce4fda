//! Tools of assistants: servers that administrators add, and calls by models.

use support::{Behaviour, Member, OddServer, Setup, UpstreamKind, Value, json, new_id};

use crate::{
    assistants::Chat,
    endpoints::{Args, SampleCall, World, create, plain, sample},
};

mod builtin;
mod cluster;
mod confirm;
mod misbehaving;
mod oauth;
mod permissions;
mod servers;
mod survival;

/// Chat with an assistant that has the tools of the misbehaving server.
pub(crate) struct Tools {
    pub odd: OddServer,
    pub chat: Chat,
    pub admin: Member,
    /// Path of the server in the API for administrators.
    pub server: String,
}

impl Tools {
    pub async fn start(setup: Setup, kind: UpstreamKind) -> Self {
        let odd = OddServer::default();
        let mut chat = Chat::start(odd.configure(setup), kind).await;
        let admin = chat.app.admin().await;
        let body = json!({ "name": "Odd", "transport": "stdio", "command": "odd", "visible_to": "everyone" });
        let server = added(&admin, body).await;
        let tools = json!([{ "server_id": server["id"], "tools": null }]);
        let new = json!({ "name": "Ada", "tools_enabled": true, "tools": tools });
        let ada = chat.anna.post("/r1/assistants", new).await.data_with(201);
        assert_eq!(ada["tools"], tools);
        let new = json!({ "kind": "assistant", "assistant_id": ada["id"] });
        chat.id = chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
        // Tools that the server declares as read-only run without asking the user.
        let readers = server["tools"].as_array().unwrap().iter().filter(|tool| tool["is_read_only"] == true);
        let modes: Value = readers.map(|tool| (tool["name"].as_str().unwrap().to_owned(), json!("auto"))).collect();
        let server = format!("/r1/admin/mcp_servers/{}", server["id"].as_str().unwrap());
        admin.patch(&server, json!({ "modes": modes })).await.data();
        Self { odd, chat, admin, server }
    }

    /// Sets the mode of a tool.
    pub async fn set_mode(&self, tool: &str, mode: &str) {
        self.admin.patch(&self.server, json!({ "modes": { tool: mode } })).await.data();
    }

    /// Makes the model call these tools and then answer.
    pub fn will_call(&self, calls: &[(&str, Value)]) {
        let calls = calls.iter().map(|(tool, arguments)| (format!("Odd__{tool}"), arguments.clone())).collect();
        self.chat.upstream.then(Behaviour::CallTools(calls));
        self.chat.upstream.then(Behaviour::answer("That is it."));
    }

    /// Asks a question and returns the complete answer.
    pub async fn answered(&mut self) -> Value {
        self.chat.ask("Go on").await;
        self.chat.ended("message.completed").await["message"].clone()
    }

    /// Returns the next frame about a call that has this status.
    pub async fn told(&mut self, status: &str) -> Value {
        let is_so =
            |frame: &support::Frame| frame.kind == "message.tool_call" && frame.payload["call"]["status"] == status;
        self.chat.socket.find(status, is_so).await.payload["call"].clone()
    }
}

/// Adds a server and returns it with its tools.
pub(crate) async fn added(admin: &Member, body: Value) -> Value {
    let server = admin.post("/r1/admin/mcp_servers", body).await.data_with(201);
    assert_eq!((&server["tools"], &server["checked_at"]), (&json!([]), &Value::Null));
    let path = format!("/r1/admin/mcp_servers/{}/refresh", server["id"].as_str().unwrap());
    let server = admin.post(&path, json!({})).await.data();
    assert_eq!(server["error"], Value::Null, "{server}");
    server
}

async fn sample_server(world: &World) -> String {
    create(&world.admin, "/r1/admin/mcp_servers", new_sample_server()).await
}

fn new_sample_server() -> Value {
    json!({ "name": format!("Docs {}", new_id()), "transport": "http", "url": "https://localhost/mcp" })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [servers_and_connections(), calls_and_permissions()].into_iter().flatten().collect()
}

fn servers_and_connections() -> Vec<SampleCall> {
    vec![
        plain(&["ListOfferedServers", "ListToolConnections", "ListMcpCommands", "ListMcpServers"]),
        sample(&["AddMcpServer"], async |_| Args::body(new_sample_server())),
        sample(&["ShowMcpServer", "RemoveMcpServer", "RefreshMcpServer", "DisconnectToolServer"], async |world| {
            Args::id(sample_server(world).await)
        }),
        sample(&["ChangeMcpServer"], async |world| {
            Args::id(sample_server(world).await).with_body(json!({ "description": "What is written about it" }))
        }),
        // The server has no prompt.
        sample(&["UseServerPrompt"], async |world| {
            Args::id(sample_server(world).await).with_body(json!({ "name": "review" }))
        }),
        // The server supports no sign-in by users.
        sample(&["SignInToToolServer"], async |world| {
            Args::id(sample_server(world).await).with_body(json!({ "next": "/settings" }))
        }),
        sample(&["ConnectToolServer"], async |_| Args::body(json!({ "state": "unknown", "code": "unknown" }))),
    ]
}

fn calls_and_permissions() -> Vec<SampleCall> {
    vec![
        plain(&["ListToolPermissions"]),
        // The owner has granted no permission.
        sample(&["RevokeToolPermission"], async |_| Args::id(new_id())),
        sample(&["ShowWorkspaceTools"], async |world| Args::id(&world.workspace)),
        sample(&["ChangeWorkspaceTools"], async |world| {
            Args::id(&world.workspace).with_body(json!({ "modes": { "calculate": "ask" } }))
        }),
        // The answer called no tool.
        sample(&["ShowToolCall", "ShowToolPicture"], async |world| {
            Args::id(world.answer().await).with("call_id", new_id()).with("number", "1")
        }),
        sample(&["DecideToolCall"], async |world| {
            Args::id(world.answer().await).with("call_id", new_id()).with_body(json!({ "decision": "deny" }))
        }),
    ]
}

#[tokio::test]
async fn calls_and_shows_tools_for_every_provider_format() {
    for kind in UpstreamKind::ALL {
        let mut tools = Tools::start(Setup::new(), kind).await;
        tools.will_call(&[("add", json!({ "a": 2, "b": 3 }))]);
        let message = tools.answered().await;
        assert_eq!(message["content"], "That is it.", "{kind:?}");
        let call = &message["tool_calls"][0];
        assert_eq!((&call["server"], &call["tool"], &call["title"]), (&json!("Odd"), &json!("add"), &json!("Add")));
        assert_eq!((&call["status"], &call["result"], &call["at"]), (&json!("done"), &json!("5"), &json!(0)));
        assert_eq!(
            serde_json::from_str::<Value>(call["arguments"].as_str().unwrap()).unwrap(),
            json!({ "a": 2, "b": 3 })
        );
        assert!(call["duration_ms"].is_u64(), "{call}");
        let asked = tools.chat.upstream.asked();
        let offered = asked[0].body["tools"].to_string();
        assert!(offered.contains("Odd__add") && offered.contains("Adds two numbers."), "{kind:?}: {offered}");
        let second = asked[1].body.to_string();
        assert!(second.contains("Odd__add") && second.contains('5'), "{kind:?}: {second}");
        // Each call of the model is in the usage log.
        assert_eq!(tools.chat.anna.get("/r1/usage/requests").await.data()["total"], 2);
        // The calls are in the history as well.
        let id = message["id"].as_str().unwrap();
        assert_eq!(tools.chat.message(id).await["tool_calls"], message["tool_calls"]);
        let details = tools.chat.anna.get(&format!("/r1/messages/{id}/details")).await.data();
        assert_eq!(details["tool_calls"][0]["result"], "5");
    }
}

#[tokio::test]
async fn runs_calls_in_parallel_and_in_rounds() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    let add = |a: i64| ("Odd__add".to_owned(), json!({ "a": a, "b": 1 }));
    tools.chat.upstream.then(Behaviour::CallTools(vec![add(1), add(2), ("Odd__none".to_owned(), json!({}))]));
    tools.will_call(&[("add", json!({ "a": 10, "b": 10 }))]);
    let message = tools.answered().await;
    let calls = message["tool_calls"].as_array().unwrap();
    let seen: Vec<_> =
        calls.iter().map(|call| (call["status"].as_str().unwrap(), call["result"].as_str().unwrap())).collect();
    assert_eq!(seen, [("done", "2"), ("done", "3"), ("failed", "There is no such tool."), ("done", "20")]);
    let third = tools.chat.upstream.asked()[2].body["messages"].clone();
    let roles: Vec<_> = third.as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "tool", "assistant", "tool"]);
    // An answer that is generated again has calls of its own. The earlier calls are shown again
    // with their version.
    let id = message["id"].as_str().unwrap().to_owned();
    tools.chat.anna.post(&format!("/r1/messages/{id}/regenerate"), json!({})).await.data();
    let again = tools.chat.ended("message.completed").await["message"].clone();
    assert!(again.get("tool_calls").is_none(), "{again}");
    let back = tools.chat.anna.put(&format!("/r1/messages/{id}/version"), json!({ "index": 1 })).await.data();
    assert_eq!(back["tool_calls"], message["tool_calls"]);
    tools.chat.anna.delete(&format!("/r1/messages/{id}")).await.data();
    assert_eq!(tools.chat.app.database.number("SELECT count(*) FROM tool_calls").await, 0);
    let log = format!("{:?}", tools.chat.anna.event_log(&tools.chat.id).await);
    assert!(!log.contains("There is no such tool."), "events contain no deleted text");
}

#[tokio::test]
async fn limits_the_tool_rounds_of_an_answer() {
    let setup = Setup::new().set("mcp.max_rounds", 2).set("mcp.max_calls", 3);
    let mut tools = Tools::start(setup, UpstreamKind::OpenAi).await;
    let add = ("Odd__add".to_owned(), json!({ "a": 1, "b": 1 }));
    tools.chat.upstream.then(Behaviour::CallTools(vec![add.clone(); 2]));
    tools.chat.upstream.then(Behaviour::CallTools(vec![add; 2]));
    tools.chat.upstream.then(Behaviour::answer("Enough."));
    let message = tools.answered().await;
    let statuses: Vec<_> = message["tool_calls"].as_array().unwrap().iter().map(|call| &call["status"]).collect();
    assert_eq!(statuses, ["done", "done", "done", "failed"]);
    assert_eq!(tools.chat.upstream.asked()[2].body["tool_choice"], "none");
}

#[tokio::test]
async fn an_assistant_has_only_its_assigned_tools() {
    let mut tools = Tools::start(Setup::new(), UpstreamKind::OpenAi).await;
    tools.set_mode("pay", "off").await;
    let offered = |tools: &Tools| tools.chat.upstream.asked().last().unwrap().body["tools"].to_string();
    tools.answered().await;
    assert!(offered(&tools).contains("Odd__add") && !offered(&tools).contains("Odd__pay"));
    let conversation = tools.chat.anna.conversation(&tools.chat.id).await;
    let ada = format!("/r1/assistants/{}", conversation["assistants"][0]["id"].as_str().unwrap());
    let server = tools.server.rsplit('/').next().unwrap().to_owned();
    let one = json!([{ "server_id": server, "tools": ["add"] }]);
    tools.chat.anna.patch(&ada, json!({ "tools": one })).await.data();
    tools.answered().await;
    assert!(offered(&tools).contains("Odd__add") && !offered(&tools).contains("Odd__look"));
    for change in [json!({ "tools_enabled": false }), json!({ "tools_enabled": true, "tools": [] })] {
        tools.chat.anna.patch(&ada, change).await.data();
        tools.answered().await;
        assert!(tools.chat.upstream.asked().last().unwrap().body.get("tools").is_none());
    }
    tools
        .chat
        .anna
        .patch(&ada, json!({ "tools": [{ "server_id": server, "tools": ["none"] }] }))
        .await
        .names_field("tools");
    // Tools that only administrators see are assigned by administrators, and stay assigned.
    tools.chat.anna.patch(&ada, json!({ "tools": one })).await.data();
    tools.admin.patch(&tools.server, json!({ "visible_to": "admins" })).await.data();
    tools.chat.anna.patch(&ada, json!({ "tools": one })).await.data();
    let all = json!([{ "server_id": server, "tools": null }]);
    tools.chat.anna.patch(&ada, json!({ "tools": all })).await.names_field("tools");
    assert_eq!(tools.chat.anna.get("/r1/mcp_servers").await.data()["total"], 0);
    assert_eq!(tools.admin.get("/r1/mcp_servers").await.data()["total"], 1);
    tools.admin.patch(&tools.server, json!({ "is_enabled": false })).await.data();
    tools.answered().await;
    assert!(tools.chat.upstream.asked().last().unwrap().body.get("tools").is_none());
}

#[tokio::test]
async fn sends_pictures_of_a_tool_result_to_vision_models() {
    for kind in UpstreamKind::ALL {
        for sees in [true, false] {
            let mut tools = Tools::start(Setup::new(), kind).await;
            if sees {
                let model = json!({ "deployments": [{ "provider": "fake", "model": "small" }], "capabilities": { "images": true } });
                tools.admin.put("/r1/admin/models/small", model).await.data();
            }
            tools.will_call(&[("picture", json!({}))]);
            let message = tools.answered().await;
            let result = message["tool_calls"][0]["result"].as_str().unwrap();
            assert!(result.starts_with("Here it is.\n[image 1, image/png"), "{kind:?}: {result}");
            // Users who can read the message see the picture, whether or not the model does; other
            // users don't.
            let call = &message["tool_calls"][0];
            assert_eq!(call["pictures"], 1, "only pictures are counted: {call}");
            let (id, call) = (message["id"].as_str().unwrap(), call["id"].as_str().unwrap());
            let picture = |number: &str| format!("/r1/messages/{id}/tool_calls/{call}/pictures/{number}");
            let shown = tools.chat.anna.get(&picture("1")).await;
            assert_eq!((shown.status, &shown.bytes[..2]), (200, b"\xff\xd8".as_slice()));
            for none in ["0", "2"] {
                tools.chat.anna.get(&picture(none)).await.refused(404, "not_found");
            }
            tools.admin.get(&picture("1")).await.refused(404, "not_found");
            let told = tools.chat.upstream.asked()[1].body.to_string();
            let data = if kind == UpstreamKind::OpenAi { "data:image/jpeg;base64,/9j/" } else { "\"data\":\"/9j/" };
            assert_eq!(told.contains(data), sees, "{kind:?}: {told}");
            assert_eq!(told.matches("/9j/").count(), usize::from(sees), "only pictures are sent: {told}");
        }
    }
}
