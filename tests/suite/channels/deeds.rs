//! Matrix of permissions: every action on a message × every kind of caller, in each kind of
//! conversation, in archived channels, and in conversations where only administrators post.

use std::time::Duration;

use appcore::Clock;
use reqwest::Method;
use support::{Answer, Application, Member, Value, json, new_id};

use super::{access::World, at};

const OK: &str = "ok";
const GONE: &str = "not_found";
const NO: &str = "forbidden";
const OUT: &str = "not_a_member";
const SHUT: &str = "archived";

/// Action, with the responses to the author (who has created the conversation), an administrator, a
/// member, and a user who isn't a member.
type Row = (Deed, [&'static str; 4]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Show,
    LookAround,
    SeeOwnVote,
    SeeSaved,
    ShowThread,
    ListPins,
    Save,
    BeReminded,
    Draft,
    /// Forwards the message to another conversation of the caller.
    Forward,
    Schedule,
    React,
    TakeBack,
    Pin,
    Unpin,
    Follow,
    ReadThread,
    Solve,
    Reply,
    Vote,
    MarkUnread,
    Edit,
    ClosePoll,
    RemovePreviews,
    Delete,
}

const USUAL: [Row; 25] = [
    (Deed::Show, [OK, OK, OK, OK]),
    (Deed::LookAround, [OK, OK, OK, OK]),
    (Deed::SeeOwnVote, [OK, OK, OK, OK]),
    (Deed::SeeSaved, [OK, OK, OK, OK]),
    (Deed::ShowThread, [OK, OK, OK, OK]),
    (Deed::ListPins, [OK, OK, OK, OK]),
    (Deed::Save, [OK, OK, OK, OK]),
    (Deed::BeReminded, [OK, OK, OK, OK]),
    (Deed::Draft, [OK, OK, OK, OK]),
    (Deed::Forward, [OK, OK, OK, OK]),
    (Deed::Schedule, [OK, OK, OK, OUT]),
    (Deed::React, [OK, OK, OK, OUT]),
    (Deed::TakeBack, [OK, OK, OK, OUT]),
    (Deed::Pin, [OK, OK, OK, OUT]),
    (Deed::Unpin, [OK, OK, OK, OUT]),
    (Deed::Follow, [OK, OK, OK, OUT]),
    (Deed::ReadThread, [OK, OK, OK, OUT]),
    (Deed::Solve, [OK, OK, OK, OUT]),
    (Deed::Reply, [OK, OK, OK, OUT]),
    (Deed::Vote, [OK, OK, OK, OUT]),
    (Deed::MarkUnread, [OK, OK, OK, OUT]),
    (Deed::Edit, [OK, NO, NO, OUT]),
    (Deed::ClosePoll, [OK, NO, NO, OUT]),
    (Deed::RemovePreviews, [OK, NO, NO, NO]),
    (Deed::Delete, [OK, OK, NO, OUT]),
];

/// Messages on which the action is performed.
struct Stage {
    id: String,
    root: Value,
    poll: Value,
    /// Id of a conversation in which the caller may write.
    elsewhere: String,
}

impl Stage {
    /// Creates a message with a reply in its thread, and a poll, sent by the creator of the
    /// conversation.
    async fn set(owner: &Member, id: &str, elsewhere: String) -> Self {
        let send = async |mut body: Value| {
            body["client_id"] = json!(new_id());
            owner.post(&at(id, "/messages"), body).await.data_with(201)
        };
        let root = send(json!({ "content": "a question" })).await;
        send(json!({ "content": "an answer", "thread_id": root["id"] })).await;
        let poll = send(json!({ "content": "When?", "poll": { "options": ["Now", "Later"] } })).await;
        Self { id: id.to_owned(), root, poll, elsewhere }
    }

    async fn ask(&self, who: &Member, deed: Deed) -> Answer {
        let on = |message: &Value, rest: &str| format!("/r1/messages/{}{rest}", message["id"].as_str().unwrap());
        let root = |rest: &str| on(&self.root, rest);
        let thumb = "/reactions/%F0%9F%91%8D";
        let reply = json!({ "client_id": new_id(), "content": "me too", "thread_id": self.root["id"] });
        let forward = json!({ "client_id": new_id(), "content": "", "forward_of": self.root["id"] });
        let later = json!({ "client_id": new_id(), "content": "later", "send_at": in_an_hour() });
        let (method, path, body) = match deed {
            Deed::Show => (Method::GET, root(""), Value::Null),
            Deed::LookAround => (Method::GET, root("/around"), Value::Null),
            Deed::SeeOwnVote => (Method::GET, on(&self.poll, "/vote"), Value::Null),
            Deed::SeeSaved => (Method::GET, root("/saved"), Value::Null),
            Deed::ShowThread => (Method::GET, root("/thread"), Value::Null),
            Deed::ListPins => (Method::GET, at(&self.id, "/pins"), Value::Null),
            Deed::Save => (Method::PUT, root("/saved"), json!({})),
            Deed::BeReminded => (Method::POST, root("/reminders"), json!({ "at": in_an_hour() })),
            Deed::Draft => (Method::PUT, at(&self.id, "/draft"), json!({ "content": "begun" })),
            Deed::Forward => (Method::POST, at(&self.elsewhere, "/messages"), forward),
            Deed::Schedule => (Method::POST, at(&self.id, "/messages"), later),
            Deed::React => (Method::PUT, root(thumb), json!({})),
            Deed::TakeBack => (Method::DELETE, root(thumb), Value::Null),
            Deed::Pin => (Method::PUT, root("/pin"), json!({})),
            Deed::Unpin => (Method::DELETE, root("/pin"), Value::Null),
            Deed::Follow => (Method::PUT, root("/follow"), json!({})),
            Deed::ReadThread => (Method::POST, root("/thread/read"), json!({ "no": 1 })),
            Deed::Solve => (Method::PUT, root("/solved"), json!({})),
            Deed::Reply => (Method::POST, at(&self.id, "/messages"), reply),
            Deed::Vote => (Method::PUT, on(&self.poll, "/vote"), json!({ "choices": [1] })),
            Deed::MarkUnread => (Method::POST, at(&self.id, "/unread"), json!({ "seq": self.root["seq"] })),
            Deed::Edit => (Method::PATCH, root(""), json!({ "content": "another question" })),
            Deed::ClosePoll => (Method::PUT, on(&self.poll, "/closed"), json!({})),
            Deed::RemovePreviews => (Method::DELETE, root("/previews"), Value::Null),
            Deed::Delete => (Method::DELETE, root(""), Value::Null),
        };
        let request = who.request(method, &path);
        who.send(if body.is_null() { request } else { request.json(&body) }).await
    }
}

fn in_an_hour() -> String {
    Clock::system().now().plus(Duration::from_secs(3_600)).to_string()
}

/// Returns the default rows, some of which are replaced.
fn but(changes: &[Row]) -> Vec<Row> {
    let row = |(deed, usual): Row| {
        let changed = changes.iter().find(|(other, _)| *other == deed);
        (deed, changed.map_or(usual, |(_, due)| *due))
    };
    USUAL.into_iter().map(row).collect()
}

/// Change of the conversation after the messages were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Archived,
    OnlyAdminsPost,
}

#[tokio::test]
async fn every_action_on_a_message_is_allowed_by_role() {
    let app = Application::start().await;
    let world = World::start(&app).await;
    let archived: Vec<Row> = [
        Deed::Schedule,
        Deed::React,
        Deed::TakeBack,
        Deed::Pin,
        Deed::Unpin,
        Deed::Solve,
        Deed::Reply,
        Deed::Vote,
        Deed::Edit,
        Deed::ClosePoll,
    ]
    .map(|deed| (deed, [SHUT, SHUT, SHUT, OUT]))
    .into_iter()
    .chain([(Deed::Delete, [OK, OK, SHUT, OUT])])
    .collect();
    let posting = [Deed::Schedule, Deed::Pin, Deed::Unpin, Deed::Reply].map(|deed| (deed, [OK, OK, NO, OUT]));
    let usual: &[Row] = &[];
    for (kind, then, changes) in [
        ("single", Then::Nothing, usual),
        ("group", Then::Nothing, usual),
        ("private_channel", Then::Nothing, usual),
        ("public_channel", Then::Nothing, usual),
        ("public_channel", Then::Archived, archived.as_slice()),
        ("public_channel", Then::OnlyAdminsPost, posting.as_slice()),
    ] {
        let rows = but(changes);
        let id = world.open(kind).await;
        let owner = world.caller("owner");
        for who in ["owner", "admin", "member", "colleague", "guest", "stranger", "program"] {
            let elsewhere = match who {
                "program" => new_id(),
                "stranger" => world.caller(who).open_single(owner).await,
                _ => world.caller(who).open_single(world.caller("stranger")).await,
            };
            let stage = Stage::set(owner, &id, elsewhere).await;
            match then {
                Then::Nothing => {}
                Then::Archived => _ = owner.post(&at(&id, "/archive"), json!({})).await.data(),
                Then::OnlyAdminsPost => _ = owner.patch(&at(&id, ""), json!({ "posting": "admins" })).await.data(),
            }
            for (deed, due) in &rows {
                let answer = stage.ask(world.caller(who), *deed).await;
                let is_read = matches!(
                    deed,
                    Deed::Show
                        | Deed::LookAround
                        | Deed::SeeOwnVote
                        | Deed::SeeSaved
                        | Deed::ShowThread
                        | Deed::ListPins
                );
                let due = match who {
                    "owner" => due[0],
                    "admin" if kind != "single" => due[1],
                    "member" => due[2],
                    "colleague" if kind == "public_channel" => due[3],
                    "program" if is_read => OK,
                    "program" => "scope_missing",
                    // If the caller can't read the message to forward, the error is that of an
                    // invalid field.
                    _ if *deed == Deed::Forward => "invalid",
                    _ => GONE,
                };
                let code = answer.body["code"].as_str().unwrap_or(OK);
                assert_eq!(code, due, "{kind}, {then:?}: {who}, {deed:?}: {answer:?}");
            }
            if then == Then::Archived {
                owner.post(&at(&id, "/unarchive"), json!({})).await.data();
            }
        }
    }
}
