//! Polls: creation, voting, events, closing and deletion.

use appcore::Clock;
use std::time::Duration;
use support::{Application, Member, Value, json, new_id};

use crate::endpoints::{Args, SampleCall, World, sample};

async fn ask(by: &Member, chat: &str, poll: Value) -> Value {
    let body = json!({ "client_id": new_id(), "content": "When do we go?", "poll": poll });
    by.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
}

fn path(message: &Value, rest: &str) -> String {
    format!("/r1/messages/{}/{rest}", message["id"].as_str().unwrap())
}

const DAYS: [&str; 3] = ["Friday", "Saturday", "Monday"];

fn votes(poll: &Value) -> Vec<u64> {
    let options = poll["results"]["options"].as_array().unwrap();
    options.iter().map(|option| option["votes"].as_u64().unwrap()).collect()
}

async fn sample_poll(world: &World) -> String {
    let poll = ask(&world.owner, &world.group().await, json!({ "options": ["Yes", "No"] })).await;
    poll["id"].as_str().unwrap().to_owned()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        sample(&["GetOwnVote", "ClosePoll"], async |world| Args::id(sample_poll(world).await)),
        sample(&["CastVote"], async |world| Args::id(sample_poll(world).await).with_body(json!({ "choices": [0] }))),
    ]
}

#[tokio::test]
async fn publishes_votes_to_everyone_in_order() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let (mut bens, mut annas) = (ben.connect().await, anna.connect().await);
    let asked = ask(&anna, &chat, json!({ "options": DAYS })).await;
    assert_eq!(asked["content"], "When do we go?");
    assert_eq!(asked["poll"]["options"], json!(DAYS));
    assert_eq!(votes(&asked["poll"]), [0, 0, 0]);
    assert_eq!(bens.expect_in("message.created", &chat).await.payload["message"]["poll"], asked["poll"]);

    let vote = path(&asked, "vote");
    assert_eq!(ben.get(&vote).await.data(), json!({ "choices": [] }));
    let voted = ben.put(&vote, json!({ "choices": [0] })).await.data();
    assert_eq!(votes(&voted["poll"]), [1, 0, 0]);
    let told = annas.expect_in("poll.updated", &chat).await;
    assert_eq!((&told.payload["message_id"], &told.payload["seq"]), (&asked["id"], &json!(2)));
    assert_eq!(told.payload["results"], voted["poll"]["results"]);
    assert_eq!(told.payload["results"]["options"][0]["user_ids"], json!([ben.id]));
    // The other devices of the voter get the vote.
    assert_eq!(bens.expect("poll.own").await.payload["choices"], json!([0]));
    // Repeating the same vote publishes no event. Another choice replaces the first one.
    ben.put(&vote, json!({ "choices": [0] })).await.data();
    ben.put(&vote, json!({ "choices": [2] })).await.data();
    let told = annas.expect_in("poll.updated", &chat).await;
    assert_eq!(told.payload["seq"], 3);
    assert_eq!(told.payload["results"]["voters"], 1);
    assert_eq!(ben.get(&vote).await.data(), json!({ "choices": [2] }));
    anna.put(&vote, json!({ "choices": [2] })).await.data();
    let shown = ben.history(&chat).await[0]["poll"].clone();
    assert_eq!((votes(&shown), &shown["results"]["voters"]), (vec![0, 0, 2], &json!(2)));
    assert_eq!(shown["results"]["options"][2]["user_ids"], json!([ben.id, anna.id]));
    ben.put(&vote, json!({ "choices": [] })).await.data();
    assert_eq!(votes(&anna.history(&chat).await[0]["poll"]), [0, 0, 1]);

    // Invalid choices, and users who aren't members, are refused.
    for wrong in [json!([3]), json!([0, 1])] {
        ben.put(&vote, json!({ "choices": wrong })).await.names_field("choices");
    }
    carl.put(&vote, json!({ "choices": [0] })).await.refused(404, "not_found");
    carl.get(&vote).await.refused(404, "not_found");
    let plain = anna.send_message(&chat, "hello").await;
    ben.put(&path(&plain, "vote"), json!({ "choices": [0] })).await.refused(404, "not_found");

    // Only the author can close the poll.
    ben.put(&path(&asked, "closed"), json!({})).await.refused(403, "forbidden");
    let closed = anna.put(&path(&asked, "closed"), json!({})).await.data();
    assert!(closed["poll"]["results"]["closed_at"].is_string());
    ben.put(&vote, json!({ "choices": [0] })).await.refused(409, "wrong_state");
    assert_eq!(anna.put(&path(&asked, "closed"), json!({})).await.data()["poll"], closed["poll"]);
}

#[tokio::test]
async fn anonymous_polls_hide_voters() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut annas = anna.connect().await;
    let asked = ask(&anna, &chat, json!({ "options": DAYS, "multiple": true, "anonymous": true })).await;
    let voted = ben.put(&path(&asked, "vote"), json!({ "choices": [2, 0, 2] })).await.data();
    assert_eq!((votes(&voted["poll"]), &voted["poll"]["results"]["voters"]), (vec![1, 0, 1], &json!(1)));
    let told = annas.expect_in("poll.updated", &chat).await;
    assert!(!told.payload.to_string().contains(&ben.id), "{}", told.payload);
    assert!(!anna.history(&chat).await[0]["poll"].to_string().contains(&ben.id));
    assert_eq!(ben.get(&path(&asked, "vote")).await.data(), json!({ "choices": [0, 2] }));
}

#[tokio::test]
async fn a_poll_is_validated_closes_on_time_and_is_deleted_with_its_message() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let messages = format!("/r1/conversations/{chat}/messages");
    let in_an_hour = Clock::system().now().plus(Duration::from_secs(3_600)).to_string();
    for (field, wrong) in [
        ("poll.options", json!({ "options": ["One"] })),
        ("poll.options", json!({ "options": ["Same", "same "] })),
        ("poll.options", json!({ "options": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] })),
        ("poll.options", json!({ "options": ["One", "x".repeat(101)] })),
        ("poll.closes_at", json!({ "options": DAYS, "closes_at": "2020-01-01T00:00:00.000Z" })),
    ] {
        let body = json!({ "client_id": new_id(), "content": "When?", "poll": wrong });
        anna.post(&messages, body).await.names_field(field);
    }
    let later =
        json!({ "client_id": new_id(), "content": "When?", "poll": { "options": DAYS }, "send_at": in_an_hour });
    anna.post(&messages, later).await.names_field("poll");

    let asked = ask(&anna, &chat, json!({ "options": DAYS, "closes_at": in_an_hour })).await;
    assert_eq!(asked["poll"]["closes_at"], in_an_hour.as_str());
    ben.put(&path(&asked, "vote"), json!({ "choices": [1] })).await.data();
    // A message with a poll still has it after an edit.
    let edited =
        anna.patch(&format!("/r1/messages/{}", asked["id"].as_str().unwrap()), json!({ "content": "When?" })).await;
    assert_eq!(votes(&edited.data()["poll"]), [0, 1, 0]);
    anna.delete(&format!("/r1/messages/{}", asked["id"].as_str().unwrap())).await.data();
    let left = ben.history(&chat).await[0].clone();
    assert!(left.get("poll").is_none(), "{left}");
    // Nothing of the poll remains in the log.
    let events = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0")).await.data().to_string();
    assert!(!events.contains("Saturday"), "{events}");
    ben.put(&path(&asked, "vote"), json!({ "choices": [0] })).await.refused(404, "not_found");
}

#[tokio::test]
async fn counts_concurrent_votes_once_each() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut others = Vec::new();
    for n in 0..24 {
        others.push(app.sign_up(&format!("Person {n}")).await);
    }
    let chat = anna.open_group("Team", &others.iter().collect::<Vec<_>>()).await;
    let asked = ask(&anna, &chat, json!({ "options": DAYS })).await;
    let vote = path(&asked, "vote");
    let twice = others.iter().chain(&others);
    futures_util::future::join_all(twice.map(|other| other.put(&vote, json!({ "choices": [0] })))).await;
    let shown = anna.history(&chat).await[0]["poll"]["results"].clone();
    assert_eq!((&shown["options"][0]["votes"], &shown["voters"]), (&json!(24), &json!(24)));
    let first: Vec<Value> = shown["options"][0]["user_ids"].as_array().unwrap().clone();
    assert_eq!(first.len(), 20);
    // If voters who are listed change their vote, others are listed in their place.
    let leaving = others.iter().filter(|other| first[..6].contains(&json!(other.id)));
    futures_util::future::join_all(leaving.map(|other| other.put(&vote, json!({ "choices": [1] })))).await;
    let shown = anna.history(&chat).await[0]["poll"]["results"].clone();
    assert_eq!(shown["options"][0]["user_ids"].as_array().unwrap().len(), 18);
    assert_eq!((&shown["options"][1]["votes"], &shown["voters"]), (&json!(6), &json!(24)));
}
