//! Matrix, client-server API. <https://spec.matrix.org/latest/client-server-api/>

use std::sync::Arc;

use anyhow::{Context, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use support::new_id;

use super::{
    Scenario,
    person::{Ends, Person, Tally},
};
use crate::durable::wire::sent_at;

struct Account {
    client: Client,
    base: String,
    token: String,
    id: String,
}

impl Account {
    async fn register(port: u16, name: &str) -> anyhow::Result<Self> {
        let mut account = Self {
            client: Client::builder().no_proxy().build()?,
            base: format!("http://127.0.0.1:{port}/_matrix/client/v3"),
            token: String::new(),
            id: String::new(),
        };
        let body = json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": "bench-password" });
        let made = account.call(Method::POST, "/register", Some(body)).await?;
        let text = |field: &str| made[field].as_str().map(str::to_owned).context("no account");
        (account.token, account.id) = (text("access_token")?, text("user_id")?);
        Ok(account)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        ensure!(status.is_success(), "{path}: {status}: {body}");
        Ok(body)
    }

    /// Delivers the messages of others.
    async fn receive(&self, since: String, tally: &Tally) -> anyhow::Result<()> {
        let mut since = since;
        loop {
            let answer = self.call(Method::GET, &format!("/sync?timeout=30000&since={since}"), None).await?;
            since = answer["next_batch"].as_str().context("no position")?.to_owned();
            let rooms = answer["rooms"]["join"].as_object().into_iter().flatten();
            for event in rooms.filter_map(|(_, room)| room["timeline"]["events"].as_array()).flatten() {
                if event["type"] == "m.room.message" && event["sender"] != self.id.as_str() {
                    tally.deliver(sent_at(event["content"]["body"].as_str().unwrap_or_default().as_bytes()));
                }
            }
        }
    }

    async fn send(&self, mut ends: Ends, rooms: &[String], tally: &Tally) -> anyhow::Result<()> {
        while let Some(room) = ends.commands.recv().await {
            let body = json!({ "msgtype": "m.text", "body": tally.content() });
            let path = format!("/rooms/{}/send/m.room.message/{}", rooms[room], new_id());
            self.call(Method::PUT, &path, Some(body)).await?;
            let _ = ends.confirmations.send(());
        }
        Ok(())
    }
}

/// Registers and connects everyone.
pub async fn connect(port: u16, scenario: Scenario, tally: &Arc<Tally>) -> anyhow::Result<Vec<Person>> {
    let mut accounts = Vec::new();
    for number in 0..scenario.people {
        accounts.push(Account::register(port, &format!("u{number}")).await?);
    }
    let mut rooms = Vec::new();
    for _ in 0..scenario.rooms {
        let made = accounts[0].call(Method::POST, "/createRoom", Some(json!({ "preset": "public_chat" }))).await?;
        rooms.push(made["room_id"].as_str().context("no room")?.to_owned());
    }
    let rooms: Arc<[String]> = rooms.into();
    for (number, account) in accounts.iter().enumerate() {
        for room in scenario.rooms_of(number) {
            account.call(Method::POST, &format!("/join/{}", rooms[room]), Some(json!({}))).await?;
        }
    }
    // The creator is a member only where the scenario says so.
    let own = scenario.rooms_of(0);
    for (_, room) in rooms.iter().enumerate().filter(|(number, _)| !own.contains(number)) {
        accounts[0].call(Method::POST, &format!("/rooms/{room}/leave"), Some(json!({}))).await?;
    }
    let mut people = Vec::new();
    for account in accounts {
        let first = account.call(Method::GET, "/sync?timeout=0", None).await?;
        let since = first["next_batch"].as_str().context("no position")?.to_owned();
        let (person, ends) = Person::new();
        let (account, rooms) = (Arc::new(account), Arc::clone(&rooms));
        tokio::spawn({
            let (account, tally) = (Arc::clone(&account), Arc::clone(tally));
            async move {
                tokio::select! {
                    received = account.receive(since, &tally) => received,
                    sent = account.send(ends, &rooms, &tally) => sent,
                }
                .unwrap_or_else(|error| tally.fail(&error));
            }
        });
        people.push(person);
    }
    Ok(people)
}
