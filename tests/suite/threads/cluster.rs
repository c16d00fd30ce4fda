//! Replies, reactions, pins and votes on two instances: there is one order, and the counts are
//! exact.

use std::collections::BTreeSet;

use support::{Frame, Member, Setup, Value, json, new_id};

use super::{id, model, reply};

const ROUNDS: usize = 12;
/// The emoji 👍 and 🎉, percent-encoded.
const EMOJI: [&str; 2] = ["%F0%9F%91%8D", "%F0%9F%8E%89"];

#[tokio::test]
async fn thread_counts_on_two_instances_match_the_model() {
    let app = Setup::new().instances(2).start().await;
    let there = app.instances[1].url();
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    model::draw(&[anna, ben.at(&there), carl]).await;
}

/// Performs one round: a reply, a reaction, a change of the pin, and a vote.
async fn add(who: &Member, chat: &str, root: &Value, poll: &Value, round: usize) {
    let on = |message: &Value, rest: &str| format!("/r1/messages/{}/{rest}", id(message));
    reply(who, chat, root, &format!("{} in round {round}", who.name)).await;
    let emoji = on(root, &format!("reactions/{}", EMOJI[round % 2]));
    if round % 3 == 2 {
        who.delete(&emoji).await.data();
        who.delete(&on(root, "pin")).await.data();
    } else {
        who.put(&emoji, json!({})).await.data();
        who.put(&on(root, "pin"), json!({})).await.data();
    }
    who.put(&on(poll, "vote"), json!({ "choices": [round % 2] })).await.data();
}

#[tokio::test]
async fn message_changes_on_two_instances_have_one_order() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let ben = ben.at(&app.instances[1].url());
    let chat = anna.open_single(&ben).await;
    let (mut here, mut there) = (anna.connect().await, ben.connect().await);
    let root = anna.send_message(&chat, "a question").await;
    let body = json!({ "client_id": new_id(), "content": "When?", "poll": { "options": ["Now", "Later"] } });
    let poll = anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201);
    // Both users always have a round in progress, and neither waits for the other.
    let rounds = async |who: &Member| {
        for round in 0..ROUNDS {
            add(who, &chat, &root, &poll, round).await;
        }
    };
    tokio::join!(rounds(&anna), rounds(&ben));

    let end = anna.conversation(&chat).await["last_seq"].as_i64().unwrap();
    let seen = here.read_until_seq(&chat, end).await;
    let order = |frames: &[Frame]| -> Vec<(i64, String, Value)> {
        let row = |frame: &Frame| {
            let about = frame.payload.get("message_id").unwrap_or(&frame.payload["message"]["id"]).clone();
            (frame.payload["seq"].as_i64().unwrap(), frame.kind.clone(), about)
        };
        frames.iter().map(row).collect()
    };
    assert_eq!(order(&seen), order(&there.read_until_seq(&chat, end).await));
    assert!(seen.iter().map(|frame| frame.payload["seq"].as_i64().unwrap()).eq(1..=end), "{:#?}", order(&seen));

    // For both users, the events add up to the final state.
    let (mut replies, mut reactions, mut is_pinned, mut results) = (Vec::new(), BTreeSet::new(), false, Value::Null);
    for frame in &seen {
        let told = &frame.payload;
        let reaction = || (told["emoji"].as_str().unwrap().to_owned(), told["user_id"].as_str().unwrap().to_owned());
        match frame.kind.as_str() {
            "message.created" if told["message"]["thread_id"].is_string() => {
                replies.push(told["message"]["no"].clone())
            }
            "reaction.added" => assert!(reactions.insert(reaction()), "{told}"),
            "reaction.removed" => assert!(reactions.remove(&reaction()), "{told}"),
            "message.pinned" | "message.unpinned" => {
                assert_ne!(is_pinned, frame.kind == "message.pinned", "{told}");
                is_pinned = !is_pinned;
            }
            "poll.updated" => results = told["results"].clone(),
            _ => {}
        }
    }
    assert_eq!(replies, (1..=2 * ROUNDS).map(|no| json!(no)).collect::<Vec<_>>());
    for who in [&anna, &ben] {
        let history = who.history(&chat).await;
        let [root, poll] = &history[..] else { panic!("{history:#?}") };
        assert_eq!(root["thread"]["reply_count"], json!(2 * ROUNDS));
        assert_eq!(root["pinned_at"].is_string(), is_pinned);
        assert_eq!(poll["poll"]["results"], results);
        let mut have = BTreeSet::new();
        for reaction in root["reactions"].as_array().unwrap() {
            for user in reaction["user_ids"].as_array().unwrap() {
                have.insert((reaction["emoji"].as_str().unwrap().to_owned(), user.as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(have, reactions);
        // A device that reconnects reads the same from either instance.
        let log: Vec<i64> = who.event_log(&chat).await.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert!(log.iter().copied().eq(1..=end), "{log:?}");
    }
    assert_eq!(anna.history(&chat).await, ben.history(&chat).await);
}
