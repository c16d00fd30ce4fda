//! Administration of tool servers.

use support::{EverythingServer, OddServer, Setup, Upstream, UpstreamKind, Value, json};

use super::{Tools, added};

fn names(server: &Value) -> Vec<&str> {
    server["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn runs_the_reference_server_over_stdio_and_http() {
    let http = EverythingServer::start().await;
    let setup = Setup::new().set("outgoing.allow", "127.0.0.1");
    let mut tools = Tools::start(setup, UpstreamKind::OpenAi).await;
    let bodies = [
        json!({ "name": "Streams", "transport": "stdio", "command": "everything" }),
        json!({ "name": "Web", "transport": "http", "url": http.url(), "secrets": { "Authorization": "Bearer x" } }),
    ];
    for body in bodies {
        let server = added(&tools.admin, body).await;
        assert!(names(&server).contains(&"get-sum"), "{server}");
        assert!(server["prompts"].to_string().contains("args-prompt"), "{server}");
        let chosen =
            json!([{ "server_id": server["id"], "tools": ["get-sum", "echo", "resources/list", "resources/read"] }]);
        let path = format!("/r1/admin/mcp_servers/{}", server["id"].as_str().unwrap());
        let read = json!("auto");
        let modes = json!({ "get-sum": read, "echo": read, "resources/list": read, "resources/read": read });
        tools.admin.patch(&path, json!({ "visible_to": "everyone", "modes": modes })).await.data();
        let name = server["name"].as_str().unwrap();
        let new = json!({ "name": name, "tools_enabled": true, "tools": chosen });
        let assistant = tools.chat.anna.post("/r1/assistants", new).await.data_with(201);
        let new = json!({ "kind": "assistant", "assistant_id": assistant["id"] });
        tools.chat.id =
            tools.chat.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
        let call = |tool: &str, arguments: Value| (format!("{name}__{tool}"), arguments);
        let calls = vec![call("get-sum", json!({ "a": 20, "b": 22 })), call("echo", json!({ "message": "Xin chào" }))];
        tools.chat.upstream.then(support::Behaviour::CallTools(calls));
        tools.chat.upstream.then(support::Behaviour::answer("There."));
        let message = tools.answered().await;
        let result = |at: usize| message["tool_calls"][at]["result"].as_str().unwrap_or_default().to_owned();
        assert!(result(0).contains("42") && result(1).contains("Xin chào"), "{message}");
        // Users who have access to the server can fill in its prompts.
        let listed = tools.chat.anna.get("/r1/mcp_servers").await.data();
        let is_it = |one: &&Value| one["id"] == server["id"];
        let prompts = listed["items"].as_array().unwrap().iter().find(is_it).unwrap()["prompts"].clone();
        let prompt = prompts.as_array().unwrap().iter().find(|one| one["name"] == "args-prompt").unwrap();
        assert_eq!((&prompt["title"], &prompt["arguments"][0]["name"]), (&json!("Arguments Prompt"), &json!("city")));
        assert_eq!(prompt["arguments"][0]["is_required"], true, "{prompt}");
        let path = format!("/r1/mcp_servers/{}/prompts", server["id"].as_str().unwrap());
        let asked = json!({ "name": "args-prompt", "arguments": { "city": "Huế" } });
        assert_eq!(tools.chat.anna.post(&path, asked).await.data()["text"], "What's weather in Huế?");
        for wrong in [json!({}), json!({ "city": " " }), json!({ "city": "Huế", "river": "Hương" })] {
            let asked = json!({ "name": "args-prompt", "arguments": wrong });
            tools.chat.anna.post(&path, asked).await.names_field("arguments");
        }
        tools.chat.anna.post(&path, json!({ "name": "none" })).await.refused(404, "not_found");
        // The model can also list and read resources, by means of tools.
        let text = "demo://resource/dynamic/text/1";
        let calls = vec![call("resources_list", json!({})), call("resources_read", json!({ "uri": text }))];
        tools.chat.upstream.then(support::Behaviour::CallTools(calls));
        tools.chat.upstream.then(support::Behaviour::answer("That is all."));
        let message = tools.answered().await;
        let result = |at: usize| message["tool_calls"][at]["result"].as_str().unwrap_or_default().to_owned();
        assert!(result(0).contains("architecture.md (text/markdown)"), "{message}");
        assert!(result(0).len() > 1_900 || result(0).contains("dynamic/text/{resourceId}"), "{message}");
        assert!(result(1).contains("This is a plaintext resource"), "{message}");
        assert_eq!(message["tool_calls"][1]["title"], "Read a resource");
    }
}

#[tokio::test]
async fn admins_add_change_and_remove_servers() {
    let odd = OddServer::default();
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = odd.configure(Setup::new().provider(&upstream)).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let list = "/r1/admin/mcp_servers";
    let commands = admin.get("/r1/admin/mcp_commands").await.data();
    let known = json!({ "name": "odd", "env_names": ["API_TOKEN"] });
    assert!(commands["items"].as_array().unwrap().contains(&known), "{commands}");
    for path in [list, "/r1/admin/mcp_commands"] {
        anna.get(path).await.refused(403, "forbidden");
    }
    let new = json!({ "name": "Odd", "transport": "stdio", "command": "odd", "secrets": { "API_TOKEN": "sesame" } });
    anna.post(list, new.clone()).await.refused(403, "forbidden");
    let server = added(&admin, new.clone()).await;
    assert_eq!(server["secret_names"], json!(["API_TOKEN"]));
    assert_eq!((&server["visible_to"], &server["is_enabled"]), (&json!("admins"), &json!(true)));
    let mode = |name: &str| {
        let tool = server["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        tool["mode"].as_str().unwrap().to_owned()
    };
    // That a tool is read-only is claimed by the server, and not trusted.
    assert_eq!((mode("add").as_str(), mode("pay").as_str()), ("ask", "ask"));
    assert_eq!((&server["tools"][0]["name"], &server["tools"][0]["is_read_only"]), (&json!("add"), &json!(true)));
    // Secrets are never returned.
    assert!(!admin.get(list).await.text().contains("sesame"));
    assert!(!admin.get("/r1/admin/audit_log").await.text().contains("sesame"));
    admin.post(list, new).await.names_field("name");
    let path = format!("{list}/{}", server["id"].as_str().unwrap());
    anna.patch(&path, json!({ "is_enabled": false })).await.refused(403, "forbidden");
    for (field, wrong) in [
        ("command", json!({ "command": "/bin/sh" })),
        ("url", json!({ "url": "https://example.org" })),
        ("secrets", json!({ "secrets": { "LD_PRELOAD": "/tmp/x.so" } })),
        ("secrets", json!({ "secrets": { "NODE_OPTIONS": "--require=/tmp/x" } })),
        ("modes", json!({ "modes": { "none": "auto" } })),
        ("name", json!({ "name": " " })),
    ] {
        admin.patch(&path, wrong).await.names_field(field);
    }
    let changed =
        admin.patch(&path, json!({ "secrets": { "API_TOKEN": null }, "modes": { "add": "off" } })).await.data();
    assert_eq!(changed["secret_names"], json!([]));
    // The modes stay when the tools are loaded again.
    let again = admin.post(&format!("{path}/refresh"), json!({})).await.data();
    assert_eq!(again["tools"][0]["mode"], "off");
    admin.delete(&path).await.data();
    admin.get(&path).await.refused(404, "not_found");
    let log = admin.get("/r1/admin/audit_log").await.text();
    for action in ["mcp_server_added", "mcp_server_changed", "mcp_server_removed"] {
        assert!(log.contains(action), "{action}");
    }
}

#[tokio::test]
async fn rejects_servers_on_internal_addresses() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let admin = app.admin().await;
    let list = "/r1/admin/mcp_servers";
    for url in [
        "http://127.0.0.1:6379/mcp",
        "https://127.0.0.1/mcp",
        "https://169.254.169.254/latest",
        "https://[::1]/mcp",
        "https://user:password@example.org/mcp",
        "file:///etc/passwd",
        "nowhere",
        "",
    ] {
        let new = json!({ "name": "Inside", "transport": "http", "url": url });
        admin.post(list, new).await.names_field("url");
    }
    // A host name that resolves to an internal address is rejected when the server is called.
    let new = json!({ "name": "Inside", "transport": "http", "url": "https://localhost/mcp" });
    let server = admin.post(list, new).await.data_with(201);
    let path = format!("{list}/{}", server["id"].as_str().unwrap());
    let refreshed = admin.post(&format!("{path}/refresh"), json!({})).await.data();
    assert!(refreshed["error"].is_string() && refreshed["tools"] == json!([]), "{refreshed}");
    for header in
        [json!({ "Host": "x" }), json!({ "Mcp-Session-Id": "x" }), json!({ "a b": "x" }), json!({ "X": "a\nb" })]
    {
        admin.patch(&path, json!({ "secrets": header })).await.names_field("secrets");
    }
    // Credentials are used only for the address for which they were entered.
    let kept = admin.patch(&path, json!({ "secrets": { "Authorization": "Bearer x" } })).await.data();
    assert_eq!(kept["secret_names"], json!(["authorization"]));
    let moved = admin.patch(&path, json!({ "url": "https://example.org/mcp" })).await.data();
    assert_eq!(moved["secret_names"], json!([]));
}
