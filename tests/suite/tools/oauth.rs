//! Tool servers at which each user signs in by OAuth.

use support::{Behaviour, Member, Setup, SignedInServer, UpstreamKind, Value, json, new_id};

use super::Tools;

/// Chat with an assistant that has the tools of a server with OAuth.
struct SignedIn {
    server: SignedInServer,
    tools: Tools,
    id: String,
}

impl SignedIn {
    async fn start() -> Self {
        Self::start_with(Setup::new()).await
    }

    async fn start_with(setup: Setup) -> Self {
        let server = SignedInServer::start().await;
        let setup = setup.set("outgoing.allow", "127.0.0.1");
        let tools = Tools::start(setup, UpstreamKind::OpenAi).await;
        let new = json!({
            "name": "Box", "transport": "http", "url": server.url(), "auth": "oauth", "visible_to": "everyone",
        });
        let added = tools.admin.post("/r1/admin/mcp_servers", new).await.data_with(201);
        assert_eq!((&added["auth"], &added["client_id"]), (&json!("oauth"), &Value::Null));
        let id = added["id"].as_str().unwrap().to_owned();
        Self { server, tools, id }
    }

    fn admin_path(&self) -> String {
        format!("/r1/admin/mcp_servers/{}", self.id)
    }

    fn path(&self) -> String {
        format!("/r1/mcp_servers/{}/connection", self.id)
    }

    /// Signs in at the server as `name`; returns the parameters of the callback.
    async fn visit(&self, who: &Member, name: &str) -> Value {
        let begun = who.post(&self.path(), json!({ "next": "/c/1" })).await.data();
        let back = self.server.visit(begun["url"].as_str().unwrap(), name).await;
        json!(back)
    }

    async fn connect(&self, who: &Member, name: &str) {
        let back = self.visit(who, name).await;
        let connected = who.post("/r1/mcp_connections", back).await.data();
        assert_eq!(connected, json!({ "server_id": self.id, "server": "Box", "next": "/c/1" }));
    }

    /// Loads the tools as the administrator, and assigns them to Anna's assistant.
    async fn give(&mut self) {
        self.connect(&self.tools.admin, "root").await;
        let server = self.tools.admin.post(&format!("{}/refresh", self.admin_path()), json!({})).await.data();
        assert_eq!((&server["error"], &server["tools"][0]["name"]), (&Value::Null, &json!("whoami")), "{server}");
        self.tools.admin.patch(&self.admin_path(), json!({ "modes": { "whoami": "auto" } })).await.data();
        let given = json!([{ "server_id": self.id, "tools": null }]);
        let new = json!({ "name": "Boxer", "tools_enabled": true, "tools": given });
        let anna = &self.tools.chat.anna;
        let assistant = anna.post("/r1/assistants", new).await.data_with(201);
        let new = json!({ "kind": "assistant", "assistant_id": assistant["id"] });
        self.tools.chat.id =
            anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    }

    /// Makes the model call `whoami` this number of times at once.
    fn will_ask(&self, times: usize) {
        self.tools.chat.upstream.then(Behaviour::CallTools(vec![("Box__whoami".to_owned(), json!({})); times]));
        self.tools.chat.upstream.then(Behaviour::answer("That is all."));
    }

    /// Asks a question and returns the calls of the answer.
    async fn whoami(&mut self, times: usize) -> Vec<Value> {
        self.will_ask(times);
        self.tools.answered().await["tool_calls"].as_array().unwrap().clone()
    }

    async fn state(&self) -> Value {
        let list = self.tools.chat.anna.get("/r1/mcp_connections").await.data();
        assert_eq!((&list["total"], &list["items"][0]["server"]), (&json!(1), &json!("Box")), "{list}");
        list["items"][0]["state"].clone()
    }
}

#[tokio::test]
async fn calls_tools_with_the_askers_account() {
    let mut box_ = SignedIn::start().await;
    let refreshed = box_.tools.admin.post(&format!("{}/refresh", box_.admin_path()), json!({})).await.data();
    assert!(refreshed["error"].as_str().unwrap().contains("No account is connected"), "{refreshed}");
    box_.give().await;
    // Connections of other users are not used for Anna.
    let calls = box_.whoami(1).await;
    assert_eq!((&calls[0]["status"], &calls[0]["server_id"]), (&json!("unconnected"), &json!(box_.id)), "{calls:?}");
    let told = box_.tools.chat.upstream.asked().last().unwrap().body.to_string();
    assert!(told.contains("connect their account"), "{told}");
    assert_eq!(box_.state().await, "none");
    box_.connect(&box_.tools.chat.anna, "anna").await;
    assert_eq!(box_.state().await, "connected");
    let calls = box_.whoami(1).await;
    assert_eq!((&calls[0]["status"], &calls[0]["result"]), (&json!("done"), &json!("You are anna.")));
    let seen = box_.server.seen().await;
    assert_eq!((&seen["registered"], &seen["exchanged"]), (&json!(1), &json!(2)), "all users share one client: {seen}");
    assert_eq!(seen["problems"], json!([]));
    // Anna's data export contains the connection, but not its tokens.
    let export = box_.tools.chat.anna.get("/r1/users/me/export").await;
    assert!(!export.text().contains("access_token"));
    let connections = export.data()["tool_connections"].clone();
    assert_eq!((&connections[0]["server"], &connections[0]["is_expired"]), (&json!("Box"), &json!(false)));
    assert!(connections[0]["connected_at"].is_string() && connections.as_array().unwrap().len() == 1, "{connections}");
    // When Anna disconnects, the token is revoked at the server.
    box_.tools.chat.anna.delete(&box_.path()).await.data();
    box_.tools.chat.anna.delete(&box_.path()).await.refused(404, "not_found");
    assert_eq!(box_.server.seen().await["revoked"], 1);
    assert_eq!((box_.state().await, &box_.whoami(1).await[0]["status"]), (json!("none"), &json!("unconnected")));
}

#[tokio::test]
async fn renews_tokens_once_and_reports_expired_connections() {
    let mut box_ = SignedIn::start().await;
    box_.give().await;
    box_.connect(&box_.tools.chat.anna, "anna").await;
    // The server rejects the token. It is renewed once for both calls, and each call is made only
    // once more.
    box_.server.order(json!({ "forgets": "access" })).await;
    let calls = box_.whoami(2).await;
    assert!(calls.iter().all(|call| call["result"] == "You are anna."), "{calls:?}");
    let seen = box_.server.seen().await;
    assert_eq!((&seen["renewed"], &seen["called"]), (&json!(1), &json!(["anna", "anna"])), "{seen}");
    // A token that is about to expire is renewed before it is used.
    box_.server.order(json!({ "forgets": "access", "ttl": 30 })).await;
    box_.whoami(1).await;
    assert_eq!(box_.server.seen().await["renewed"], 2);
    box_.whoami(1).await;
    assert_eq!(box_.server.seen().await["renewed"], 3);
    // If the renewal fails, Anna has to sign in again.
    box_.server.order(json!({ "forgets": "all", "ttl": 3_600 })).await;
    assert_eq!(box_.whoami(1).await[0]["status"], "unconnected");
    assert_eq!(box_.state().await, "expired");
    box_.connect(&box_.tools.chat.anna, "anna").await;
    assert_eq!((box_.state().await, &box_.whoami(1).await[0]["status"]), (json!("connected"), &json!("done")));
    // If the address of the server is changed, the connections are deleted.
    let moved = json!({ "url": format!("{}/", box_.server.url()) });
    box_.tools.admin.patch(&box_.admin_path(), moved).await.data();
    assert_eq!(box_.state().await, "none");
    assert_eq!(box_.tools.chat.app.database.number("SELECT count(*) FROM mcp_clients").await, 0);
}

#[tokio::test]
async fn users_connect_only_their_own_account() {
    let box_ = SignedIn::start().await;
    let anna = &box_.tools.chat.anna;
    let mallory = box_.tools.chat.app.sign_up("Mallory").await;
    // Mallory makes Anna finish a sign-in that Mallory has started. Neither of them can complete
    // it.
    let back = box_.visit(&mallory, "anna").await;
    anna.post("/r1/mcp_connections", back.clone()).await.refused(400, "oauth_state");
    mallory.post("/r1/mcp_connections", back).await.refused(400, "oauth_state");
    // The callback comes from another authorization server, or the sign-in was denied.
    let mut other = box_.visit(anna, "anna").await;
    other["iss"] = json!("https://evil.example");
    anna.post("/r1/mcp_connections", other).await.refused(409, "wrong_state");
    let mut silent = box_.visit(anna, "anna").await;
    silent.as_object_mut().unwrap().remove("iss");
    anna.post("/r1/mcp_connections", silent).await.refused(409, "wrong_state");
    box_.server.order(json!({ "denies": true })).await;
    let denied = box_.visit(anna, "anna").await;
    anna.post("/r1/mcp_connections", denied).await.refused(403, "oauth_denied");
    assert_eq!((box_.server.seen().await["exchanged"].clone(), box_.state().await), (json!(0), json!("none")));
    // A server without sign-in can't be connected.
    let odd = box_.tools.server.rsplit('/').next().unwrap().to_owned();
    let path = format!("/r1/mcp_servers/{odd}/connection");
    anna.post(&path, json!({})).await.refused(404, "not_found");
    let wrong = json!({ "auth": "oauth" });
    box_.tools.admin.patch(&box_.tools.server, wrong).await.names_field("auth");
}

#[tokio::test]
async fn accepts_callbacks_only_at_their_own_servers_address() {
    let box_ = SignedIn::start().await;
    let anna = &box_.tools.chat.anna;
    let begun = anna.post(&box_.path(), json!({})).await.data();
    let back = format!("%2Ftools%2Fconnected%2F{}&", box_.id);
    assert!(begun["url"].as_str().unwrap().contains(&back), "{begun}");
    // A code that is returned to the address of another server, or of none, isn't used.
    for server in [json!(new_id()), Value::Null] {
        let mut mixed_up = box_.visit(anna, "anna").await;
        mixed_up["server_id"] = server;
        anna.post("/r1/mcp_connections", mixed_up).await.refused(409, "wrong_state");
    }
    assert_eq!((box_.server.seen().await["exchanged"].clone(), box_.state().await), (json!(0), json!("none")));
    box_.connect(anna, "anna").await;
}

#[tokio::test]
async fn an_administrator_enters_the_client_where_registration_is_unsupported() {
    let box_ = SignedIn::start().await;
    // The authorization server can't fetch Natter's client metadata, because the test's address has
    // no https.
    let document = box_.tools.chat.app.anonymous().get("/.well-known/oauth-client.json").await.body;
    box_.server.order(json!({ "registers": false, "document": document })).await;
    let anna = &box_.tools.chat.anna;
    let refused = anna.post(&box_.path(), json!({})).await;
    assert!(refused.text().contains("/tools/connected"), "{}", refused.text());
    refused.refused(409, "wrong_state");
    let path = box_.admin_path();
    let secret = json!({ "client_secret": "open sesame" });
    box_.tools.admin.patch(&path, secret).await.names_field("client_id");
    let client = json!({ "client_id": "by-hand", "client_secret": "open sesame" });
    let changed = box_.tools.admin.patch(&path, client).await;
    assert!(!changed.text().contains("sesame"));
    assert_eq!(changed.data()["client_id"], "by-hand");
    // Fields that are absent stay unchanged.
    box_.tools.admin.patch(&path, json!({ "client_id": "by-hand", "description": "Files" })).await.data();
    box_.connect(anna, "anna").await;
    assert_eq!(box_.state().await, "connected");
    let cleared = box_.tools.admin.patch(&path, json!({ "client_id": null })).await.data();
    assert_eq!(cleared["client_id"], Value::Null);
}

#[tokio::test]
async fn identifies_itself_by_client_metadata_without_registration() {
    let box_ = SignedIn::start_with(Setup::new().set("server.public_url", "https://chat.example")).await;
    let path = format!("/.well-known/oauth-client/{}.json", box_.id);
    let document = box_.tools.chat.app.anonymous().get(&path).await.body;
    assert_eq!(document["client_id"], format!("https://chat.example{path}"));
    assert_eq!(document["redirect_uris"], json!([format!("https://chat.example/tools/connected/{}", box_.id)]));
    assert_eq!(document["token_endpoint_auth_method"], "none");
    box_.server.order(json!({ "registers": false, "document": document })).await;
    box_.connect(&box_.tools.chat.anna, "anna").await;
    assert_eq!(box_.state().await, "connected");
    let seen = box_.server.seen().await;
    assert_eq!((&seen["registered"], &seen["exchanged"]), (&json!(0), &json!(1)), "{seen}");
    assert_eq!(seen["problems"], json!([]));
    assert_eq!(box_.tools.chat.app.database.number("SELECT count(*) FROM mcp_clients").await, 0);
}

#[tokio::test]
async fn requests_missing_oauth_scopes() {
    let mut box_ = SignedIn::start().await;
    box_.give().await;
    box_.connect(&box_.tools.chat.anna, "anna").await;
    box_.server.order(json!({ "wants": "tools:all" })).await;
    assert_eq!(box_.whoami(1).await[0]["status"], "unconnected");
    let told = box_.tools.chat.upstream.asked().last().unwrap().body.to_string();
    assert!(told.contains("asks for what is missing"), "{told}");
    assert_eq!(box_.state().await, "expired");
    let export = box_.tools.chat.anna.get("/r1/users/me/export").await.data();
    assert_eq!(export["tool_connections"][0]["is_expired"], json!(true));
    // If a sign-in fails for another reason, the scope is requested again at the next one.
    box_.server.order(json!({ "denies": "temporarily_unavailable" })).await;
    let failed = box_.visit(&box_.tools.chat.anna, "anna").await;
    box_.tools.chat.anna.post("/r1/mcp_connections", failed).await.refused(403, "oauth_denied");
    assert_eq!(box_.state().await, "expired");
    // Calls that need no additional scope still work. If the user denies more scope, the existing
    // scope stays.
    box_.server.order(json!({ "wants": null, "denies": true })).await;
    assert_eq!(box_.whoami(1).await[0]["status"], "done");
    let denied = box_.visit(&box_.tools.chat.anna, "anna").await;
    box_.tools.chat.anna.post("/r1/mcp_connections", denied).await.refused(403, "oauth_denied");
    assert_eq!(box_.state().await, "connected");
    box_.server.order(json!({ "wants": "tools:all", "denies": false })).await;
    assert_eq!(box_.whoami(1).await[0]["status"], "unconnected");
    box_.connect(&box_.tools.chat.anna, "anna").await;
    assert_eq!((box_.state().await, &box_.whoami(1).await[0]["result"]), (json!("connected"), &json!("You are anna.")));
    let seen = box_.server.seen().await;
    assert_eq!((&seen["problems"], &seen["called"]), (&json!([]), &json!(["anna", "anna"])), "{seen}");
}

/// Scopes that the two calls request.
const WANTED: [&str; 2] = ["tools:read", "tools:write"];

/// Checks that Anna's next sign-in requests all scopes that are missing.
async fn asks_for_all_that_was_wanted(box_: &SignedIn) {
    let begun = box_.tools.chat.anna.post(&box_.path(), json!({})).await.data();
    let url = begun["url"].as_str().unwrap();
    assert!(WANTED.iter().all(|scope| url.contains(&scope.replace(':', "%3A"))), "{url}");
}

#[tokio::test]
async fn requests_scopes_of_parallel_calls_together() {
    let mut box_ = SignedIn::start().await;
    box_.give().await;
    box_.connect(&box_.tools.chat.anna, "anna").await;
    box_.server.order(json!({ "wants": WANTED })).await;
    let calls = box_.whoami(WANTED.len()).await;
    assert!(calls.iter().all(|call| call["status"] == "unconnected"), "{calls:?}");
    asks_for_all_that_was_wanted(&box_).await;
}

mod cluster {
    use support::{Engine, Setup, Stop, json};

    use super::{SignedIn, WANTED, asks_for_all_that_was_wanted};

    #[tokio::test]
    async fn concurrent_calls_keep_each_others_requested_scopes() {
        let mut box_ = SignedIn::start_with(Setup::new().on(Engine::Postgres)).await;
        box_.give().await;
        box_.connect(&box_.tools.chat.anna, "anna").await;
        box_.server.order(json!({ "wants": WANTED })).await;
        let database = &box_.tools.chat.app.database;
        let stopped = database.stop("UPDATE", "mcp_connections", "NEW.lacks_scope", Stop::BeforeCommit).await;
        box_.will_ask(WANTED.len());
        box_.tools.chat.ask("Go on").await;
        stopped.reached().await;
        stopped.waited_for().await;
        stopped.end().await;
        let message = box_.tools.chat.ended("message.completed").await["message"].clone();
        let calls = message["tool_calls"].as_array().unwrap();
        assert!(calls.iter().all(|call| call["status"] == "unconnected"), "{calls:?}");
        asks_for_all_that_was_wanted(&box_).await;
    }
}
