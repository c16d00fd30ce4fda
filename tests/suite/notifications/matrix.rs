//! Matrix of notifications: levels × kinds × states. The table is committed, so that a change is
//! visible in a review; `NATTER_UPDATE=1` writes it.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use support::{Application, MailServer, Member, Setup, Socket, Value, json, new_id, wait_until};

use super::missed::{asked, later, verified};
use crate::{
    committed::compare,
    push::service::{PushService, Pushed},
};

const TABLE: &str = "tests/suite/notifications/matrix.txt";
const HEAD: &str = "# What somebody is told of: list: it stands in their list; ring: and interrupts an app that is open; push: wakes their devices;\n\
                    # mail: is in the mail about what was missed; -: nothing of it.\n\
                    # level | kind";
const LEVELS: [&str; 3] = ["all", "mentions", "none"];
/// Kinds of notification, each with the message that triggers it. Each kind has a separate channel.
const KINDS: [(&str, &str); 7] = [
    ("message", "plain words"),
    ("mention", "only for you"),
    ("@all", "for everybody"),
    ("@here", "for those who look"),
    ("keyword", "the lighthouse blinks"),
    ("thread", "an answer to that"),
    ("reaction", "my own words"),
];
const STATES: [&str; 7] = ["offline", "viewing", "away", "muted", "quiet", "dnd until", "dnd"];
const FAR: &str = "2030-01-01T00:00:00.000Z";

struct Person {
    level: &'static str,
    state: &'static str,
    member: Member,
    device: String,
}

impl Person {
    /// Returns what a user was told in the channel of each kind: in the inbox, by push and by
    /// email.
    async fn told(&self, chats: &[String], pushed: &[Pushed], mails: &MailServer) -> Vec<String> {
        let listed = self.member.get("/r1/notifications?page_size=100").await.data();
        let mails = mails.mails_to(&self.member.email);
        let mut cells = Vec::new();
        for (chat, (kind, text)) in chats.iter().zip(KINDS) {
            let rows: Vec<&Value> =
                listed["items"].as_array().unwrap().iter().filter(|row| row["conversation_id"] == **chat).collect();
            assert!(rows.len() <= 1, "{} {kind} {}: {rows:?}", self.level, self.state);
            let pushes = pushed
                .iter()
                .filter(|push| push.device == self.device && push.message["conversation_id"] == **chat)
                .count();
            assert!(pushes <= 1, "{} {kind} {}: {pushes} pushes", self.level, self.state);
            let parts = [
                ("list", !rows.is_empty()),
                ("ring", rows.iter().any(|row| row["silent"] == false)),
                ("push", pushes > 0),
                ("mail", mails.iter().any(|mail| mail.text().contains(text))),
            ];
            let parts: Vec<&str> = parts.iter().filter(|(_, is_so)| *is_so).map(|(part, _)| *part).collect();
            cells.push(if parts.is_empty() { "-".to_owned() } else { parts.join(" ") });
        }
        cells
    }
}

#[tokio::test]
async fn notifications_match_the_committed_matrix() {
    let (mails, service) = (MailServer::start().await, PushService::start().await);
    let app = Setup::new().set("mail.smtp_url", mails.url()).set("outgoing.allow", "127.0.0.1").start().await;
    let anna = app.sign_up("Anna").await;
    let arriving = LEVELS.iter().flat_map(|level| STATES.iter().map(move |state| (*level, *state)));
    let people: Vec<Person> = join_all(arriving.map(|(level, state)| {
        let (app, mails, service) = (&app, &mails, &service);
        async move {
            let member = verified(app, mails, "Person").await;
            let device = format!("{level}-{}", state.replace(' ', "-"));
            member.post("/r1/push/subscriptions", service.subscription(&device)).await.data_with(201);
            Person { level, state, member, device }
        }
    }))
    .await;

    // The users are members, follow the thread, and have written the message that gets a reaction.
    let mut chats = Vec::new();
    for (kind, _) in KINDS {
        let chat = anna.open_channel("private_channel", &format!("matrix {kind}")).await;
        let path = format!("/r1/conversations/{chat}/members");
        for person in &people {
            assert!(anna.post(&path, json!({ "user_id": person.member.id })).await.status < 300);
        }
        chats.push(chat);
    }
    let [message, mention, all, here, keyword, thread, reaction] = &chats[..] else { unreachable!() };
    let root = say(&anna, thread, "a question", json!({})).await;
    let follow = format!("/r1/messages/{}/follow", root["id"].as_str().unwrap());
    let mut own = Vec::new();
    for person in &people {
        person.member.put(&follow, json!({})).await.data();
        own.push(person.member.send_message(reaction, "my own words").await);
    }
    for title in ["matrix thread", "matrix reaction"] {
        until_looked_through(&app, title).await;
    }
    let mut sockets = Vec::new();
    for person in &people {
        sockets.extend(enter(&anna, person, &chats).await);
    }

    say(&anna, message, "plain words", json!({})).await;
    let whom: Vec<Value> = people.iter().map(|one| json!({ "kind": "user", "id": one.member.id })).collect();
    say(&anna, mention, "only for you", json!({ "mentions": whom })).await;
    say(&anna, all, "for everybody", json!({ "mentions": [{ "kind": "all" }] })).await;
    say(&anna, here, "for those who look", json!({ "mentions": [{ "kind": "here" }] })).await;
    say(&anna, keyword, "the lighthouse blinks", json!({})).await;
    say(&anna, thread, "an answer to that", json!({ "thread_id": root["id"] })).await;
    for message in &own {
        let path = format!("/r1/messages/{}/reactions/%F0%9F%91%8D", message["id"].as_str().unwrap());
        anna.put(&path, json!({})).await.data();
    }
    until_looked_through(&app, "matrix %").await;
    let woken = "whoever is to be woken was woken";
    wait_until(woken, || async { app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'push'").await == 0 })
        .await;
    later(&app).await;
    // The jobs of users who are online are checked again later. Only two of the levels notify at
    // all.
    wait_until("whoever gets a mail was sent it", || async { asked(&app).await == 2 }).await;
    // Emails are sent in order, so when this one has arrived, all earlier ones have.
    verified(&app, &mails, "Last").await;

    let pushed = service.pushed();
    let mut told = Vec::new();
    for person in &people {
        told.push(person.told(&chats, &pushed, &mails).await);
    }
    compare(TABLE, &table(&people, &told), "notifications have changed; if intended, run this with NATTER_UPDATE=1");
    drop(sockets);
}

/// Formats the table: a line per level and kind, and a column per state.
fn table(people: &[Person], told: &[Vec<String>]) -> String {
    let mut table = HEAD.to_owned();
    for state in STATES {
        let _ = write!(table, " | {state}");
    }
    for level in LEVELS {
        for (at, (kind, _)) in KINDS.iter().enumerate() {
            let _ = write!(table, "\n{level} | {kind}");
            for (_, cells) in people.iter().zip(told).filter(|(person, _)| person.level == level) {
                let _ = write!(table, " | {}", cells[at]);
            }
        }
    }
    table.push('\n');
    table
}

async fn say(by: &Member, chat: &str, content: &str, more: Value) -> Value {
    let mut body = json!({ "client_id": new_id(), "content": content, "confirm": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    by.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
}

/// Waits until the notifier has processed all messages in the channels with these titles.
async fn until_looked_through(app: &Application, titles: &str) {
    let behind = format!(
        "SELECT COUNT(*) FROM conversations c LEFT JOIN notification_positions p ON p.conversation_id = c.id \
         WHERE c.title LIKE '{titles}' AND c.last_seq > COALESCE(p.seq, 0)"
    );
    wait_until("all is looked through", || async { app.database.number(&behind).await == 0 }).await;
}

/// Sets the level and the state of a user. Returns a connection if the state needs one.
async fn enter(anna: &Member, person: &Person, chats: &[String]) -> Option<Socket> {
    let Person { level, state, member, .. } = person;
    let mut settings = json!({ "mail_after_minutes": 5, "keywords": ["lighthouse"] });
    match *state {
        "quiet" => settings["quiet"] = around_now(),
        "dnd until" => settings["dnd_until"] = json!(FAR),
        _ => {}
    }
    member.patch("/r1/notifications/settings", settings).await.data();
    for chat in chats {
        let mut own = json!({ "notify": level });
        if *state == "muted" {
            own["muted_until"] = json!(FAR);
        }
        member.patch(&format!("/r1/conversations/{chat}/own"), own).await.data();
    }
    let status = match *state {
        "viewing" => "online",
        "away" | "dnd" => *state,
        _ => return None,
    };
    let mut socket = member.connect().await;
    socket.send("view", json!({ "conversation_ids": chats })).await;
    socket.send("presence", json!({ "status": status })).await;
    socket.request("ping", json!({})).await;
    let path = format!("/r1/users/{}", member.id);
    wait_until("it is known how they are", || async { anna.get(&path).await.data()["presence"] == status }).await;
    Some(socket)
}

/// Returns quiet hours that include the current time.
fn around_now() -> Value {
    let minutes = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let time = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let (from, to) = (time(minutes - 120), time(minutes + 120));
    json!({ "from": from, "to": to, "days": [1, 2, 3, 4, 5, 6, 7], "timezone": "UTC" })
}
