//! Property test: after any sequence of changes, the search returns exactly those messages that the
//! history shows to each user.

use std::collections::BTreeMap;

use proptest::{
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};
use support::{Application, Member, Value, json, new_id, wait_until};
use tokio::runtime::Runtime;

use super::ask;

/// Number of users besides Anna: Ben, Carl and a guest. Anna owns everything and stays.
const OTHERS: usize = 3;
/// Number of conversations: a public channel, a private one with hidden history, and a group.
const PLACES: usize = 3;

#[derive(Clone, Debug)]
enum Deed {
    Join {
        who: usize,
        place: usize,
    },
    Leave {
        who: usize,
        place: usize,
    },
    Add {
        whom: usize,
        place: usize,
    },
    Remove {
        whom: usize,
        place: usize,
    },
    Send {
        who: usize,
        place: usize,
    },
    /// Index of an existing message, scaled to the range up to 256.
    Edit {
        message: u8,
    },
    Delete {
        message: u8,
    },
    /// True if members who join later see earlier messages.
    Open {
        place: usize,
        is_open: bool,
    },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let (who, place) = (0..OTHERS, 0..PLACES);
    let both = move || (who.clone(), place.clone());
    let deed = prop_oneof![
        2 => both().prop_map(|(who, place)| Deed::Join { who, place }),
        1 => both().prop_map(|(who, place)| Deed::Leave { who, place }),
        2 => both().prop_map(|(whom, place)| Deed::Add { whom, place }),
        1 => both().prop_map(|(whom, place)| Deed::Remove { whom, place }),
        // Messages may also be sent by Anna.
        4 => (0..=OTHERS, 0..PLACES).prop_map(|(who, place)| Deed::Send { who, place }),
        2 => any::<u8>().prop_map(|message| Deed::Edit { message }),
        1 => any::<u8>().prop_map(|message| Deed::Delete { message }),
        1 => (0..PLACES, any::<bool>()).prop_map(|(place, is_open)| Deed::Open { place, is_open }),
    ];
    proptest::collection::vec(deed, 4..20)
}

struct Stage {
    /// Ben, Carl, the guest, and Anna.
    people: Vec<Member>,
    places: Vec<String>,
    /// Index of the author and id of each message.
    messages: Vec<(usize, String)>,
}

impl Stage {
    async fn set(people: &[Member], team: &str) -> Self {
        let anna = &people[OTHERS];
        let mut places = Vec::new();
        for body in [
            json!({ "kind": "public_channel", "title": new_id(), "workspace_id": team }),
            json!({ "kind": "private_channel", "title": new_id(), "workspace_id": team, "history": "from_join" }),
            json!({ "kind": "group", "title": "Group", "workspace_id": team, "member_ids": [people[0].id, people[2].id] }),
        ] {
            let made = anna.post("/r1/conversations", body).await.data_with(201);
            places.push(made["id"].as_str().unwrap().to_owned());
        }
        Self { people: people.to_vec(), places, messages: Vec::new() }
    }

    /// Performs an action. If it is refused, that is ignored, because it then changes nothing.
    async fn does(&mut self, deed: &Deed) {
        let anna = &self.people[OTHERS];
        let path = |place: usize| format!("/r1/conversations/{}", self.places[place]);
        match *deed {
            Deed::Join { who, place } => {
                self.people[who].post(&format!("{}/join", path(place)), json!({})).await;
            }
            Deed::Leave { who, place } => {
                self.people[who].post(&format!("{}/leave", path(place)), json!({})).await;
            }
            Deed::Add { whom, place } => {
                anna.post(&format!("{}/members", path(place)), json!({ "user_id": self.people[whom].id })).await;
            }
            Deed::Remove { whom, place } => {
                anna.delete(&format!("{}/members/{}", path(place), self.people[whom].id)).await;
            }
            Deed::Open { place, is_open } => {
                let history = if is_open { "all" } else { "from_join" };
                anna.patch(&path(place), json!({ "history": history })).await;
            }
            Deed::Send { who, place } => {
                let body = json!({ "client_id": new_id(), "content": format!("said {}", self.messages.len()) });
                let sent = self.people[who].post(&format!("{}/messages", path(place)), body).await;
                if sent.status == 201 {
                    self.messages.push((who, sent.data_with(201)["id"].as_str().unwrap().to_owned()));
                }
            }
            Deed::Edit { message } => {
                if let Some((who, id)) = self.message(message) {
                    let text = format!("changed {message}");
                    self.people[*who].patch(&format!("/r1/messages/{id}"), json!({ "content": text })).await;
                }
            }
            Deed::Delete { message } => {
                if let Some((who, id)) = self.message(message) {
                    self.people[*who].delete(&format!("/r1/messages/{id}")).await;
                }
            }
        }
    }

    fn message(&self, at: u8) -> Option<&(usize, String)> {
        self.messages.get(usize::from(at) * self.messages.len() / 256)
    }

    /// Waits until the index has processed a message that is sent now.
    async fn settles(&self) {
        let anna = &self.people[OTHERS];
        for place in &self.places {
            anna.send_message(place, "the end").await;
        }
        let all = self.places.join(",");
        wait_until("everything is indexed", async || {
            let data = ask(anna, &[("q", "\"the end\""), ("conversation_id", &all)]).await.data();
            data["total"]["count"] == json!(PLACES)
        })
        .await;
    }

    async fn agrees(&self) {
        for (number, who) in self.people.iter().enumerate() {
            for (place, id) in self.places.iter().enumerate() {
                let history = who.get(&format!("/r1/conversations/{id}/messages?limit=100")).await;
                let history = if history.status == 200 { shown(&history.data()["items"]) } else { BTreeMap::new() };
                let found = ask(who, &[("conversation_id", id), ("limit", "50")]).await.data();
                let found: Vec<Value> =
                    found["items"].as_array().unwrap().iter().map(|hit| hit["message"].clone()).collect();
                assert_eq!(shown(&json!(found)), history, "person {number} in place {place}");
            }
        }
    }
}

/// Returns the texts by message id.
fn shown(messages: &Value) -> BTreeMap<String, String> {
    let messages = messages.as_array().unwrap().iter();
    let said = messages.filter(|message| message["sender"]["kind"] != "system" && message["content"] != "");
    said.map(|message| {
        let text = |field: &str| message[field].as_str().unwrap().to_owned();
        (text("id"), text("content"))
    })
    .collect()
}

/// Number of cases. The gate runs fewer of them.
fn cases() -> u32 {
    if std::env::var("NATTER_TEST_SIZE").is_ok_and(|size| size == "gate") { 6 } else { 64 }
}

#[test]
fn search_results_match_the_model_of_read_permissions() {
    let runtime = Runtime::new().unwrap();
    let _within = runtime.enter();
    let (_app, people, team) = runtime.block_on(async {
        let app = Application::start().await;
        let mut people = Vec::new();
        for name in ["Ben", "Carl", "Gina", "Anna"] {
            people.push(app.sign_up(name).await);
        }
        let anna = &people[OTHERS];
        let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
        let team = team["id"].as_str().unwrap().to_owned();
        for (person, role) in people[..OTHERS].iter().zip(["member", "member", "guest"]) {
            let body = json!({ "user_id": person.id, "role": role });
            anna.post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
        }
        (app, people, team)
    });
    // An attempt at a failing case may take 20 seconds, and the failure must be reported before the
    // test times out.
    let config = Config {
        cases: cases(),
        max_shrink_iters: 200,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&deeds(), |deeds| {
            runtime.block_on(async {
                let mut stage = Stage::set(&people, &team).await;
                for deed in &deeds {
                    stage.does(deed).await;
                }
                stage.settles().await;
                stage.agrees().await;
            });
            Ok(())
        })
        .unwrap();
}
