//! Search: matching, permissions, how fast changes take effect, and deletion.

mod answers;
mod cluster;
mod engine;
mod index;
mod model;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use support::{Answer, Application, Engine, Member, Setup, Value, json, new_id, wait_until, wait_until_equal};

use crate::endpoints::{Args, SampleCall, plain, sample};

async fn ask(who: &Member, parameters: &[(&str, &str)]) -> Answer {
    let url = reqwest::Url::parse_with_params("http://any.test/r1/search", parameters).unwrap();
    who.get(&format!("{}?{}", url.path(), url.query().unwrap_or_default())).await
}

fn texts(found: &Value) -> Vec<String> {
    let items = found["items"].as_array().unwrap().iter();
    items.map(|hit| hit["message"]["content"].as_str().unwrap().to_owned()).collect()
}

/// Returns the texts that a search for `q` finds.
pub async fn found(who: &Member, q: &str) -> Vec<String> {
    texts(&ask(who, &[("q", q)]).await.data())
}

/// Waits until a search for `q` returns exactly these texts, in any order.
pub async fn finds(who: &Member, q: &str, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    expected.sort();
    wait_until_equal(&format!("found for {q:?}"), &expected, || async {
        let mut texts = found(who, q).await;
        texts.sort();
        texts
    })
    .await;
}

/// Returns the time until the search reflects a change.
async fn delay<F: Future<Output = bool>>(is_shown: impl FnMut() -> F) -> Duration {
    let begun = Instant::now();
    wait_until("the search shows the change", is_shown).await;
    begun.elapsed()
}

/// Signs up a user on another instance, if there is one.
async fn elsewhere(app: &Application, name: &str) -> Member {
    app.sign_up(name).await.at(&app.instances[app.instances.len() - 1].url())
}

fn path(message: &Value) -> String {
    format!("/r1/messages/{}", message["id"].as_str().unwrap())
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![plain(&["Search"]), sample(&["AnswerSearch"], async |_| Args::body(json!({ "q": "hello" })))]
}

#[tokio::test]
async fn indexes_and_removes_a_message_within_a_second() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut to_find, mut to_lose) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let word = format!("pelican{round}");
        let sent = anna.send_message(&chat, &format!("a {word} flies by")).await;
        to_find.push(delay(async || found(&ben, &word).await.len() == 1).await);
        anna.delete(&path(&sent)).await.data();
        to_lose.push(delay(async || found(&ben, &word).await.is_empty()).await);
    }
    // A longer time is allowed than promised, because the machine may be busy.
    let second = Duration::from_secs(1);
    assert!(
        *to_find.iter().min().unwrap() < second && *to_lose.iter().min().unwrap() < second,
        "{to_find:?} {to_lose:?}"
    );
}

#[tokio::test]
async fn matches_words_across_inflection_and_spelling() {
    words(&Application::start().await).await;
}

async fn words(app: &Application) {
    let (anna, ben) = (app.sign_up("Anna").await, elsewhere(app, "Ben").await);
    let chat = anna.open_single(&ben).await;
    let all = [
        "Trần Văn Đặng comes tomorrow",
        "the quarterly dashboard is late",
        "see NAT-1234 in src/main.rs, getUserName fails",
        "今天天气很好",
        "good morning everyone",
        "morning is not good",
        "Straße und Ærø",
    ];
    for text in all {
        anna.send_message(&chat, text).await;
    }
    finds(&ben, "", &all).await;
    for (q, expected) in [
        ("tran dang", &[all[0]][..]),
        ("Đặng", &[all[0]]),
        ("dashbord", &[all[1]]),
        ("quartely dashboards", &[all[1]]),
        ("dash*", &[all[1]]),
        ("board", &[all[1]]),
        ("nat-1234", &[all[2]]),
        ("nat-12", &[all[2]]),
        ("nat-12 ", &[]),
        ("username", &[all[2]]),
        ("getUserNa", &[all[2]]),
        ("getUsrName ", &[all[2]]),
        ("main.rs", &[all[2]]),
        ("天气", &[all[3]]),
        ("天", &[all[3]]),
        ("good morning", &[all[4], all[5]]),
        ("\"good morning\"", &[all[4]]),
        ("\"good mor", &[all[4]]),
        ("\"good mor\"", &[]),
        ("morning -everyone", &[all[5]]),
        ("strasse aero", &[all[6]]),
        ("nothing that was ever said", &[]),
        ("\"", &all),
        ("(* : \" AND OR NOT NEAR ' \\ % _ '", &[]),
    ] {
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        let mut now = found(&ben, q).await;
        now.sort();
        expected.sort();
        assert_eq!(now, expected, "{q}");
    }
    // Exact matches come first, with the positions of the words.
    let data = ask(&ben, &[("q", "good morning")]).await.data();
    assert_eq!(texts(&data), [all[4], all[5]]);
    assert_eq!(data["items"][0]["highlights"], json!([[0, 4], [5, 7]]));
    assert_eq!(data["items"][0]["conversation"], json!({ "id": chat, "kind": "single", "title": null }));
    let corrected = ask(&ben, &[("q", "dashbord")]).await.data();
    assert_eq!((&corrected["is_corrected"], &corrected["items"][0]["highlights"]), (&json!(true), &json!([[14, 9]])));
    assert_eq!(corrected["corrections"], json!([{ "typed": "dashbord", "instead": "dashboard" }]));
    let exact = ask(&ben, &[("q", "dashbord"), ("exact", "true")]).await.data();
    assert_eq!((&exact["items"], &exact["is_corrected"]), (&json!([]), &json!(false)));
    assert_eq!(exact["total"], json!({ "count": 0, "is_all": true }));
}

#[tokio::test]
async fn operators_filters_and_facets_narrow_results() {
    operators(&Application::start().await).await;
}

async fn operators(app: &Application) {
    let (anna, ben) = (elsewhere(app, "Anna Berg").await, app.sign_up("Bén Ox").await);
    let single = anna.open_single(&ben).await;
    let channel = anna.open_channel("private_channel", "Design Review").await;
    ben.send_message(&single, "plan from ben").await;
    let pinned = anna.send_message(&channel, "plan in the channel https://example.test").await;
    let file = anna.upload("budget plan.txt", "text/plain", "numbers").await;
    anna.send_files(&channel, "", &[&file]).await.data_with(201);
    let body = json!({ "client_id": new_id(), "content": "a reply about the plan", "thread_id": pinned["id"] });
    anna.post(&format!("/r1/conversations/{channel}/messages"), body).await.data_with(201);
    finds(&anna, "plan", &["plan from ben", "plan in the channel https://example.test", "", "a reply about the plan"])
        .await;
    anna.put(&format!("{}/pin", path(&pinned)), json!({})).await.data();
    anna.put(&format!("{}/saved", path(&pinned)), json!({})).await.data();
    let in_channel = "plan in the channel https://example.test";
    for (q, expected) in [
        ("plan from:ben", &["plan from ben"][..]),
        ("plan from:@ox", &["plan from ben"]),
        ("from:me is:thread", &[in_channel, "a reply about the plan"]),
        ("plan in:#design", &[in_channel, "", "a reply about the plan"]),
        ("plan in:ben", &["plan from ben"]),
        ("plan in:nowhere", &[]),
        ("from:nobody", &[]),
        ("has:link", &[in_channel]),
        ("has:file", &[""]),
        ("budget", &[""]),
        ("is:pinned", &[in_channel]),
        ("is:saved plan", &[in_channel]),
        ("plan before:2020-01-01", &[]),
        ("plan on:today -channel -reply -budget", &["plan from ben"]),
    ] {
        finds(&anna, q, expected).await;
    }
    assert!(found(&ben, "in:design").await.is_empty() && found(&ben, "is:saved").await.is_empty());
    let anna_id = anna.id.as_str();
    for (parameters, count) in [
        (&[("q", "plan"), ("author", anna_id)][..], 3),
        (&[("conversation_id", &channel), ("has", "file")], 1),
        (&[("type", "file")], 1),
        (&[("kind", "single")], 1),
        (&[("q", "plan"), ("to", "2020-01-01T00:00:00Z")], 0),
        (&[("q", "plan"), ("from", "2020-01-01T00:00:00Z")], 4),
        (&[("q", "plan"), ("author", &format!("{anna_id},{}", ben.id))], 4),
        (&[("q", "plan"), ("conversation_id", &format!("{single},{channel}"))], 4),
        (&[("q", "plan"), ("has", "file,link")], 0),
    ] {
        let data = ask(&anna, parameters).await.data();
        assert_eq!(data["items"].as_array().unwrap().len(), count, "{parameters:?} {data}");
    }
    let data = ask(&anna, &[("q", "plan")]).await.data();
    assert_eq!(data["facets"]["author"][0], json!({ "id": anna.id, "name": "Anna Berg", "count": 3 }));
    assert_eq!(data["facets"]["conversation"][0], json!({ "id": channel, "name": "Design Review", "count": 3 }));
    let has = json!([{ "has": "file", "count": 1 }, { "has": "link", "count": 1 }]);
    assert_eq!((&data["facets"]["has"], &data["total"]), (&has, &json!({ "count": 4, "is_all": true })));
    let days = data["facets"]["day"].as_array().unwrap();
    assert_eq!(days.iter().map(|day| day["count"].as_u64().unwrap()).sum::<u64>(), 4);
    ask(&anna, &[("author", "nobody")]).await.names_field("author");
    ask(&anna, &[("has", "file,nothing")]).await.names_field("has");
    let people = ask(&anna, &[("q", "bén"), ("type", "person")]).await.data();
    assert_eq!(people["items"][0]["person"]["id"], json!(ben.id));
    let places = ask(&anna, &[("q", "review"), ("type", "conversation")]).await.data();
    assert_eq!(places["items"][0]["conversation"]["id"], json!(channel));
    assert!(
        ask(&ben, &[("q", "review"), ("type", "conversation")]).await.data()["items"].as_array().unwrap().is_empty()
    );
}

/// The dates on the two sides of the date line always differ.
#[tokio::test]
async fn search_days_follow_the_given_time_zone() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "the stork has landed").await;
    finds(&ben, "stork", &["the stork has landed"]).await;
    let (early, late) = (Some("Etc/GMT+12"), Some("Pacific/Kiritimati"));
    let asked = async |q: &str, zone: Option<&str>| {
        let mut parameters = vec![("q", q)];
        parameters.extend(zone.map(|zone| ("timezone", zone)));
        ask(&ben, &parameters).await.data()
    };
    let begins = async |zone: Option<&str>| {
        asked("stork", zone).await["facets"]["day"][0]["begins_at"].as_str().unwrap().to_owned()
    };
    // At UTC-12, a day starts at noon UTC of the same date.
    let morning = begins(early).await;
    let (date, time) = morning.split_once('T').unwrap();
    assert_eq!(time, "12:00:00.000Z");
    assert!(begins(late).await.ends_with("T10:00:00.000Z"), "fourteen hours ahead");
    assert!(begins(None).await.ends_with("T00:00:00.000Z"));
    for (q, zone, count) in [
        (format!("stork on:{date}"), early, 1),
        (format!("stork on:{date}"), late, 0),
        (format!("stork after:{date}"), early, 0),
        (format!("stork after:{date}"), late, 1),
        (format!("stork before:{date}"), early, 0),
    ] {
        assert_eq!(texts(&asked(&q, zone).await).len(), count, "{q} {zone:?}");
    }
    // The default is the time zone of the account.
    ben.patch("/r1/users/me", json!({ "timezone": "Etc/GMT+12" })).await.data();
    assert_eq!(begins(None).await, morning);
    ask(&ben, &[("timezone", "Mars/Olympus")]).await.names_field("timezone");
    assert_eq!(found(&ben, "“has landed”").await.len(), 1);
    assert!(found(&ben, "“landed has”").await.is_empty());
}

#[tokio::test]
async fn only_current_readers_find_messages() {
    readers(&Application::start().await).await;
}

async fn readers(app: &Application) {
    let (anna, ben, carl) = (app.sign_up("Anna").await, elsewhere(app, "Ben").await, elsewhere(app, "Carl").await);
    let group = anna.open_group("Secrets", &[&ben, &carl]).await;
    let hidden = anna.open_channel("private_channel", "Hidden").await;
    let open = anna.open_channel("public_channel", &format!("open-{}", new_id())).await;
    for chat in [&group, &hidden, &open] {
        anna.send_message(chat, "the flamingo stands").await;
    }
    let text = "the flamingo stands";
    finds(&anna, "flamingo", &[text; 3]).await;
    // A public channel can be searched without joining it.
    finds(&ben, "flamingo", &[text; 2]).await;
    ben.post(&format!("/r1/conversations/{group}/leave"), json!({})).await.data();
    assert_eq!(found(&ben, "flamingo").await, [text]);
    // The counts don't include messages that the user can't read.
    let data = ask(&ben, &[("q", "flamingo")]).await.data();
    let facet = |name: &str| {
        let facets = data["facets"][name].as_array().unwrap().iter();
        facets.map(|one| (one["id"].clone(), one["count"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(data["total"], json!({ "count": 1, "is_all": true }));
    assert_eq!(facet("conversation"), [(json!(open), json!(1))]);
    assert_eq!(facet("author"), [(json!(anna.id), json!(1))]);
    assert_eq!(found(&carl, "flamingo").await.len(), 2);
    anna.delete(&format!("/r1/conversations/{group}/members/{}", carl.id)).await.data();
    assert_eq!(found(&carl, "flamingo").await, [text]);
    assert!(ask(&carl, &[("conversation_id", &group)]).await.data()["items"].as_array().unwrap().is_empty());
    // Archived conversations can still be searched.
    anna.post(&format!("/r1/conversations/{open}/archive"), json!({})).await.data();
    assert_eq!(found(&ben, "flamingo").await, [text]);
    // Members who join later a channel whose history is hidden don't find earlier messages.
    let body = json!({ "kind": "private_channel", "title": "Late", "history": "from_join" });
    let late = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    anna.send_message(&late, "an ostrich before").await;
    anna.post(&format!("/r1/conversations/{late}/members"), json!({ "user_id": ben.id })).await;
    anna.send_message(&late, "an ostrich after").await;
    finds(&anna, "ostrich", &["an ostrich before", "an ostrich after"]).await;
    finds(&ben, "ostrich", &["an ostrich after"]).await;
    anna.delete(&format!("/r1/conversations/{late}")).await;
    assert!(found(&ben, "ostrich").await.is_empty());
}

/// All users share the vocabulary of the index.
#[tokio::test]
async fn matches_prefixes_despite_many_matching_words_of_others() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let hidden = anna.open_channel("private_channel", "Hidden").await;
    for letter in 'a'..='z' {
        anna.send_message(&hidden, &format!("project{letter} project{letter}")).await;
    }
    let chat = ben.open_single(&anna).await;
    ben.send_message(&chat, "projectzz begins").await;
    ben.send_message(&chat, "see inv2026").await;
    finds(&ben, "inv2026", &["see inv2026"]).await;
    finds(&anna, "\"projectz projectz\"", &["projectz projectz"]).await;
    for (q, expected) in [("proj", "projectzz begins"), ("project", "projectzz begins"), ("inv20", "see inv2026")] {
        assert_eq!(found(&ben, q).await, [expected], "{q}");
    }
}

#[tokio::test]
async fn the_searched_range_reveals_nothing_of_unreadable_messages() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let body = json!({ "kind": "private_channel", "title": "Late", "history": "from_join" });
    let late = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    // As many messages as the search compares in one step.
    for n in 0..500 {
        anna.send_message(&late, &format!("ibis {n}")).await;
    }
    anna.post(&format!("/r1/conversations/{late}/members"), json!({ "user_id": ben.id })).await;
    let sent = anna.send_message(&late, "ibis after").await;
    finds(&ben, "ibis", &["ibis after"]).await;
    let data = ask(&ben, &[("q", "ibis"), ("limit", "1")]).await.data();
    assert_eq!((texts(&data), &data["searched_to"]), (vec!["ibis after".to_owned()], &sent["created_at"]));
}

#[tokio::test]
async fn an_unreadable_message_does_not_hide_others() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for text in ["an osprey", "a damaged osprey", "the last osprey"] {
        anna.send_message(&chat, text).await;
    }
    finds(&ben, "osprey", &["an osprey", "a damaged osprey", "the last osprey"]).await;
    app.database.run("UPDATE messages SET mentions = '{' WHERE content = 'a damaged osprey'").await;
    finds(&ben, "osprey", &["an osprey", "the last osprey"]).await;
}

/// Scripts that have no spaces between words.
#[tokio::test]
async fn finds_parts_of_thai_japanese_and_korean_words() {
    scripts(&Application::start().await).await;
}

async fn scripts(app: &Application) {
    let (anna, ben) = (app.sign_up("Anna").await, elsewhere(app, "Ben").await);
    let chat = anna.open_single(&ben).await;
    let all =
        ["สวัสดีตอนเช้าทุกคน", "明日の会議は三時からです", "東京タワーに行く", "내일 회의가 있습니다", "ok 会議 later"];
    for text in all {
        anna.send_message(&chat, text).await;
    }
    finds(&ben, "", &all).await;
    for (q, expected) in [
        ("ตอนเช้า", &[all[0]][..]),
        ("สวัสดี ทุกคน", &[all[0]]),
        ("会議", &[all[1], all[4]]),
        ("会議 三時", &[all[1]]),
        ("会議 -later", &[all[1]]),
        ("東京タワー", &[all[2]]),
        ("タワー", &[all[2]]),
        ("京", &[all[2]]),
        ("東京会議", &[]),
        ("회의", &[all[3]]),
        ("\"내일 회의\"", &[all[3]]),
        ("내일 없습니다", &[]),
    ] {
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        let mut now = found(&ben, q).await;
        now.sort();
        expected.sort();
        assert_eq!(now, expected, "{q}");
    }
    let data = ask(&ben, &[("q", "三時")]).await.data();
    assert_eq!(data["items"][0]["highlights"], json!([[6, 2]]));
}

#[tokio::test]
async fn search_is_limited_to_guests_and_workspaces_own_content() {
    guests(&Setup::new().set("workspaces.shared", "none").start().await).await;
}

async fn guests(app: &Application) {
    let (anna, ben, gina) = (app.sign_up("Anna").await, elsewhere(app, "Ben").await, elsewhere(app, "Gina").await);
    let hugo = app.sign_up("Hugo").await;
    let workspace = async |name: &str| {
        let made = anna.post("/r1/workspaces", json!({ "name": name })).await.data_with(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let (team, other) = (workspace("Team").await, workspace("Other").await);
    for (place, who, role) in
        [(&team, &ben, "member"), (&team, &gina, "guest"), (&team, &hugo, "member"), (&other, &ben, "member")]
    {
        let body = json!({ "user_id": who.id, "role": role });
        anna.post(&format!("/r1/workspaces/{place}/members"), body).await.data_with(201);
    }
    for (body, text) in [
        (json!({ "kind": "public_channel", "title": "Waders", "workspace_id": team }), "a plover for the team"),
        (
            json!({ "kind": "group", "title": "Few", "workspace_id": team, "member_ids": [gina.id, hugo.id] }),
            "a plover for few",
        ),
        (json!({ "kind": "public_channel", "title": "Waders", "workspace_id": other }), "a plover elsewhere"),
    ] {
        let made = anna.post("/r1/conversations", body).await.data_with(201);
        anna.send_message(made["id"].as_str().unwrap(), text).await;
    }
    finds(&anna, "plover", &["a plover for the team", "a plover for few", "a plover elsewhere"]).await;
    finds(&ben, "plover", &["a plover for the team", "a plover elsewhere"]).await;
    assert_eq!(found(&gina, "plover").await, ["a plover for few"]);
    for (who, place, count) in [(&anna, &team, 2), (&anna, &other, 1), (&ben, &team, 1), (&gina, &other, 0)] {
        let data = ask(who, &[("q", "plover"), ("workspace_id", place)]).await.data();
        assert_eq!((texts(&data).len(), &data["total"]["count"]), (count, &json!(count)));
    }
    let names = async |who: &Member, kind: &str, q: &str| {
        ask(who, &[("q", q), ("type", kind)]).await.data()["items"].as_array().unwrap().len()
    };
    // A guest sees only the members of the group.
    assert_eq!((names(&gina, "conversation", "waders").await, names(&ben, "conversation", "waders").await), (0, 2));
    assert_eq!((names(&gina, "person", &anna.name).await, names(&gina, "person", &ben.name).await), (1, 0));

    // A member who is removed finds nothing of the workspace any more, at once.
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", gina.id)).await;
    assert!(found(&gina, "plover").await.is_empty());
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await;
    assert_eq!(found(&ben, "plover").await, ["a plover elsewhere"]);
}

#[tokio::test]
async fn finds_edited_messages_by_their_current_text() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, "the password is swordfish").await;
    finds(&ben, "swordfish", &["the password is swordfish"]).await;
    anna.patch(&path(&sent), json!({ "content": "the word is plaice" })).await.data();
    assert!(found(&ben, "swordfish").await.is_empty());
    finds(&ben, "plaice", &["the word is plaice"]).await;
}

#[tokio::test]
async fn finds_text_of_files_until_they_are_deleted() {
    texts_of_files(&Application::start().await).await;
}

async fn texts_of_files(app: &Application) {
    let (anna, ben, carl) = (app.sign_up("Anna").await, elsewhere(app, "Ben").await, elsewhere(app, "Carl").await);
    let chat = anna.open_single(&ben).await;
    let text = format!("# Birds\n\n{}The kingfisher dives at dawn, as Đặng says.\n", "Filler without end. ".repeat(40));
    let file = anna.upload("birds.md", "text/markdown", text).await;
    let sent = anna.send_files(&chat, "see what I found", &[&file]).await.data_with(201);
    let empty = anna.upload("empty.txt", "text/plain", " \n").await;
    anna.send_files(&chat, "nothing in it", &[&empty]).await.data_with(201);
    let own = ben.upload("secret.txt", "text/plain", "a kingfisher in no message").await;

    finds(&ben, "kingfisher", &["see what I found"]).await;
    let data = ask(&ben, &[("q", "dang dives")]).await.data();
    let inside = &data["items"][0]["file"];
    assert_eq!((&inside["upload_id"], &inside["name"]), (&file["id"], &json!("birds.md")));
    let excerpt: Vec<u16> = inside["excerpt"].as_str().unwrap().encode_utf16().collect();
    let places = inside["highlights"].as_array().unwrap().iter().map(|place| {
        let [start, length] = [0, 1].map(|at| usize::try_from(place[at].as_u64().unwrap()).unwrap());
        String::from_utf16(&excerpt[start..start + length]).unwrap()
    });
    assert_eq!(places.collect::<Vec<_>>(), ["dives", "Đặng"]);
    assert!(excerpt.len() < 300 && data["items"][0]["highlights"].is_null(), "{data}");
    // A word of the message with one of its file; a phrase of the file; a typo.
    for q in ["see dawn", "\"dives at dawn\"", "kingfsher"] {
        assert_eq!(found(&ben, q).await, ["see what I found"], "{q}");
    }
    assert!(found(&ben, "kingfisher -dawn").await.is_empty() && found(&ben, "kingfisher owl").await.is_empty());
    let files = ask(&ben, &[("q", "kingfisher"), ("type", "file")]).await.data();
    assert_eq!((texts(&files).len(), &files["total"]["count"]), (1, &json!(1)));
    // If the message itself matches, the hit isn't reported as one in the file.
    assert!(ask(&ben, &[("q", "what")]).await.data()["items"][0]["file"].is_null());
    // Other users don't find the file, and files that were not sent are not found at all.
    assert!(found(&carl, "kingfisher").await.is_empty());
    assert_eq!(found(&ben, "kingfisher").await.len(), 1);

    // The file is also found after the index was rebuilt.
    assert!(app.command(&["search", "rebuild"]).await.status.success());
    finds(&ben, "\"dives at dawn\"", &["see what I found"]).await;

    anna.delete(&path(&sent)).await.data();
    assert!(found(&ben, "kingfisher").await.is_empty());
    let rows = async |of: &Value| {
        let id = of["id"].as_str().unwrap().replace('-', "");
        let column = match Engine::of_this_run() {
            Engine::Sqlite => "lower(hex(upload_id))",
            Engine::Postgres => "replace(upload_id::text, '-', '')",
        };
        app.database.number(&format!("SELECT count(*) FROM upload_texts WHERE {column} = '{id}'")).await
    };
    wait_until("the text is deleted", async || rows(&file).await == 0).await;
    wait_until("it is known that a file has no text", async || rows(&empty).await == 1).await;
    assert_eq!(rows(&own).await, 0);
}

#[tokio::test]
async fn pages_stay_consistent_while_messages_arrive() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for n in 0..25 {
        anna.send_message(&chat, &format!("heron {n}")).await;
    }
    wait_until("all messages are found", async || {
        ask(&ben, &[("q", "heron"), ("limit", "50")]).await.data()["items"].as_array().unwrap().len() == 25
    })
    .await;
    for sort in ["newest", "relevance"] {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10 {
            let mut parameters = vec![("q", "heron"), ("limit", "10"), ("sort", sort)];
            parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let data = ask(&ben, &parameters).await.data();
            seen.extend(texts(&data));
            anna.send_message(&chat, "heron meanwhile").await;
            cursor = data["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        seen.retain(|text| text != "heron meanwhile");
        let expected: Vec<String> = (0..25).rev().map(|n| format!("heron {n}")).collect();
        assert_eq!(seen, expected, "{sort}");
    }
    ask(&ben, &[("cursor", "nonsense")]).await.names_field("cursor");
    ask(&ben, &[("q", &"x".repeat(513))]).await.names_field("q");
    ask(&ben, &[("q", &"x ".repeat(25))]).await.names_field("q");
    app.anonymous().get("/r1/search").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn one_members_many_searches_do_not_block_others() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, &"bcdzazabcd bcdzazabce ".repeat(200)).await;
    anna.send_message(&chat, "a puffin").await;
    finds(&ben, "puffin", &["a puffin"]).await;
    let phrase = format!("-\"{}\" {}", "bcdzazabcd ".repeat(20), "zaza ".repeat(22));
    let parameters = [("q", phrase.trim())];
    let greedy = futures_util::future::join_all((0..60).map(|_| ask(&anna, &parameters)));
    let (greedy, ()) = tokio::join!(greedy, async {
        for _ in 0..5 {
            assert_eq!(found(&ben, "puffin").await, ["a puffin"]);
        }
    });
    for answer in greedy {
        if answer.status == 503 {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        } else {
            assert_eq!(answer.data()["timed_out"], false);
        }
    }
}
