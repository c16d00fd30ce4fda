//! Callers with and without an account.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::application::PASSWORD;
use crate::caller::{Answer, Caller, Credentials};
use crate::event_stream::EventStream;
use crate::new_id;
use crate::socket::{Codec, Socket};

/// Caller without credentials.
pub struct Anonymous(pub Caller);

/// User who is signed in.
#[derive(Clone)]
pub struct Member {
    caller: Caller,
    pub id: String,
    pub name: String,
    pub email: String,
    pub session_id: String,
    /// Response to the sign-up or sign-in, with the tokens and the user.
    pub tokens: Value,
}

impl Deref for Anonymous {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Deref for Member {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Anonymous {
    pub async fn sign_up(&self, email: &str, password: &str, name: &str) -> Answer {
        self.post("/r1/auth/signup", json!({ "email": email, "password": password, "display_name": name })).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/r1/auth/signin", json!({ "email": email, "password": password })).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/r1/auth/refresh", json!({ "refresh_token": refresh_token })).await
    }
}

/// Returns an email address that was not used yet.
#[must_use]
pub fn new_email(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}-{}@example.test", plain.to_lowercase(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns all items of a list that has numbered pages, oldest first. `read` fetches a page.
pub async fn every_item(path: &str, read: impl AsyncFn(String) -> Value) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let slice = read(format!("{path}?after_seq={after}&limit=200")).await;
        let items = slice["items"].as_array().expect("page with items").clone();
        after = items.last().and_then(|item| item["seq"].as_i64()).unwrap_or(after);
        all.extend(items);
        if slice["has_more"] != true {
            return all;
        }
    }
}

impl Member {
    /// Signs up a user, who authenticates by a bearer token.
    pub async fn sign_up(base: &str, name: &str) -> Self {
        let email = new_email(name);
        let answer = Anonymous(Caller::anonymous(base)).sign_up(&email, PASSWORD, name).await;
        Self::of_tokens(base, &email, answer.data_with(201))
    }

    pub async fn sign_in(base: &str, email: &str, password: &str) -> Self {
        let answer = Anonymous(Caller::anonymous(base)).sign_in(email, password).await;
        Self::of_tokens(base, email, answer.data_with(200))
    }

    /// Signs in to the same account on another device.
    pub async fn another_device(&self) -> Self {
        Self::sign_in(self.base(), &self.email, PASSWORD).await
    }

    /// Returns a program that has a new API key of this user.
    pub async fn program(&self, scopes: &[&str]) -> Self {
        let body = json!({ "name": "A program", "scopes": scopes });
        let made = self.post("/r1/api_keys", body).await.data_with(201);
        let key = made["key"].as_str().expect("key returned").to_owned();
        let mut program = self.clone();
        program.caller.credentials = Credentials::Bearer(key.clone());
        program.tokens = json!({ "access_token": key, "api_key_id": made["id"] });
        program
    }

    /// Uploads a file that is not in a message yet.
    pub async fn upload(&self, name: &str, media_type: &str, bytes: impl Into<reqwest::Body>) -> Value {
        self.send(self.uploading(name, media_type, bytes)).await.data_with(201)
    }

    /// Builds a request that uploads a file. It may be changed before it is sent.
    pub fn uploading(&self, name: &str, media_type: &str, bytes: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.uploading_as("", name, media_type, bytes)
    }

    /// Builds a request that uploads a file, with this query.
    pub fn uploading_as(
        &self,
        query: &str,
        name: &str,
        media_type: &str,
        bytes: impl Into<reqwest::Body>,
    ) -> reqwest::RequestBuilder {
        let request = self.request(reqwest::Method::POST, &format!("/r1/uploads{query}"));
        request.header("content-type", media_type).header("x-filename", name).body(bytes)
    }

    /// Sends a message with files.
    pub async fn send_files(&self, conversation: &str, content: &str, uploads: &[&Value]) -> Answer {
        let ids: Vec<&Value> = uploads.iter().map(|upload| &upload["id"]).collect();
        let body = json!({ "client_id": new_id(), "content": content, "attachment_ids": ids });
        self.post(&format!("/r1/conversations/{conversation}/messages"), body).await
    }

    /// Signs up a user, who authenticates by cookies as a browser does.
    pub async fn sign_up_browser(base: &str, name: &str) -> Self {
        let email = new_email(name);
        let anonymous = Caller::anonymous(base);
        let body = json!({ "email": email, "password": PASSWORD, "display_name": name });
        let request = anonymous
            .request(reqwest::Method::POST, "/r1/auth/signup")
            .header("x-natter-transport", "cookie")
            .header("origin", base)
            .json(&body);
        let answer = anonymous.send(request).await;
        let header = answer.cookies();
        assert!(header.contains("natter_access="), "{answer:?} sets no cookie");
        let tokens = answer.data_with(201);
        let mut member = Self::of_tokens(base, &email, tokens);
        member.caller.credentials = Credentials::Cookies { header, origin: base.to_owned() };
        member
    }

    fn of_tokens(base: &str, email: &str, tokens: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let credentials = match tokens["access_token"].as_str() {
            Some(token) => Credentials::Bearer(token.to_owned()),
            None => Credentials::None,
        };
        Self {
            caller: Caller::new(base, credentials),
            id: text(&tokens["user"]["id"]),
            name: text(&tokens["user"]["display_name"]),
            email: email.to_owned(),
            session_id: text(&tokens["session_id"]),
            tokens,
        }
    }

    /// Returns the same member at another instance.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { caller: self.caller.at(base), ..self.clone() }
    }

    #[must_use]
    pub fn access_token(&self) -> &str {
        self.tokens["access_token"].as_str().expect("signed in with a bearer token")
    }

    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.tokens["refresh_token"].as_str().expect("signed in with a bearer token")
    }

    // ---- Conversations --------------------------------------------------------------------------------------------

    /// Opens the direct conversation with another member and returns its id.
    pub async fn open_single(&self, other: &Self) -> String {
        self.open(json!({ "kind": "single", "member_ids": [other.id] })).await
    }

    pub async fn open_group(&self, title: &str, others: &[&Self]) -> String {
        let members: Vec<_> = others.iter().map(|other| &other.id).collect();
        self.open(json!({ "kind": "group", "title": title, "member_ids": members })).await
    }

    /// Opens a channel of this kind in the shared workspace.
    pub async fn open_channel(&self, kind: &str, title: &str) -> String {
        let body = json!({ "kind": kind, "title": title });
        let channel = self.post("/r1/conversations", body).await.data_with(201);
        channel["id"].as_str().expect("it has an id").to_owned()
    }

    /// Opens a conversation with the default assistant.
    pub async fn open_assistant(&self) -> String {
        self.open(json!({ "kind": "assistant" })).await
    }

    async fn open(&self, body: Value) -> String {
        let conversation = self.post("/r1/conversations", body).await.data();
        conversation["id"].as_str().expect("a conversation has an id").to_owned()
    }

    pub async fn conversation(&self, id: &str) -> Value {
        self.get(&format!("/r1/conversations/{id}")).await.data()
    }

    // ---- Messages -------------------------------------------------------------------------------------------------

    /// Sends a message by HTTP and returns it.
    pub async fn send_message(&self, conversation: &str, content: &str) -> Value {
        self.send_as(conversation, &new_id(), content).await.data_with(201)
    }

    /// Sends a message with this `client_id`.
    pub async fn send_as(&self, conversation: &str, client_id: &str, content: &str) -> Answer {
        let body = json!({ "client_id": client_id, "content": content });
        self.post(&format!("/r1/conversations/{conversation}/messages"), body).await
    }

    /// Returns all messages of a conversation, oldest first.
    pub async fn history(&self, conversation: &str) -> Vec<Value> {
        self.read_all(&format!("/r1/conversations/{conversation}/messages")).await
    }

    /// Returns all durable events of a conversation, oldest first.
    pub async fn event_log(&self, conversation: &str) -> Vec<Value> {
        self.read_all(&format!("/r1/conversations/{conversation}/events")).await
    }

    async fn read_all(&self, path: &str) -> Vec<Value> {
        every_item(path, async |path| self.get(&path).await.data()).await
    }

    // ---- Real time ------------------------------------------------------------------------------------------------

    /// Opens a native WebSocket with JSON frames and reads the `hello`.
    pub async fn connect(&self) -> Socket {
        self.connect_with(Codec::Json).await
    }

    pub async fn connect_with(&self, codec: Codec) -> Socket {
        Socket::open(self.base(), "/r1/websocket", self.headers(), codec).await
    }

    /// Opens a stream of server-sent events that starts after `last_event_id`.
    pub async fn event_stream(&self, last_event_id: Option<&str>) -> EventStream {
        self.event_stream_at("/r1/events", last_event_id).await
    }

    /// Opens a stream of server-sent events whose path has parameters.
    pub async fn event_stream_at(&self, path: &str, last_event_id: Option<&str>) -> EventStream {
        let mut request = self.request(reqwest::Method::GET, path).timeout(std::time::Duration::from_secs(600));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        EventStream::open(request).await
    }
}
