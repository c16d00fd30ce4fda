//! An external search engine finds the same as the built-in index. Nothing else depends on it.

use support::{Application, SearchEngine, Setup, Value, json, wait_until};

use super::{ask, finds, found, path, texts};

/// Starts an application with each engine, for running the same searches on both.
async fn each() -> [(Application, Option<SearchEngine>); 2] {
    let engine = SearchEngine::start().await;
    let with = engine.configure(Setup::new()).start().await;
    [(Application::start().await, None), (with, Some(engine))]
}

#[tokio::test]
async fn the_external_engine_finds_what_the_builtin_index_finds() {
    for (app, engine) in each().await {
        let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
        let chat = anna.open_group("Birds", &[&ben, &carl]).await;
        let all = [
            "Trần Văn Đặng comes tomorrow",
            "the quarterly dashboard is late",
            "see NAT-1234, getUserName fails",
            "今天天气很好",
            "good morning everyone",
            "morning is not good https://example.test",
        ];
        for text in all {
            anna.send_message(&chat, text).await;
        }
        let said = ben.send_message(&chat, "dashboards by Ben").await;
        let everything: Vec<&str> = all.into_iter().chain(["dashboards by Ben"]).collect();
        finds(&carl, "", &everything).await;
        for (q, expected) in [
            ("tran dang", &[all[0]][..]),
            ("quartely ", &[all[1]]),
            ("quarterly dash", &[all[1]]),
            ("nat-1234", &[all[2]]),
            ("nat-12", &[all[2]]),
            ("天气", &[all[3]]),
            ("\"good morning\"", &[all[4]]),
            ("good morning", &[all[4], all[5]]),
            ("morning -everyone", &[all[5]]),
            ("has:link", &[all[5]]),
            ("from:ben", &["dashboards by Ben"]),
            ("dashboard ", &[all[1], "dashboards by Ben"]),
            ("before:2020-01-01", &[]),
            ("nothing that was ever said", &[]),
        ] {
            finds(&carl, q, expected).await;
        }
        let data = ask(&carl, &[("q", "good morning")]).await.data();
        assert_eq!(
            (texts(&data), &data["items"][0]["highlights"]),
            (vec![all[4].to_owned(), all[5].to_owned()], &json!([[0, 4], [5, 7]]))
        );
        let corrected = ask(&carl, &[("q", "quartely ")]).await.data();
        assert_eq!(corrected["corrections"], json!([{ "typed": "quartely", "instead": "quarterly" }]));

        // Messages that were deleted, edited, or can't be read are not found, whatever the index
        // contains.
        anna.delete(&format!("/r1/conversations/{chat}/members/{}", carl.id)).await.data();
        assert!(found(&carl, "dashboard").await.is_empty());
        ben.patch(&path(&said), json!({ "content": "charts by Ben" })).await.data();
        assert!(found(&ben, "dashboards").await.iter().all(|text| text != "dashboards by Ben"));
        finds(&ben, "charts", &["charts by Ben"]).await;
        ben.delete(&path(&said)).await.data();
        assert!(found(&ben, "charts").await.is_empty());
        if let Some(engine) = engine {
            wait_until("the engine deleted the message", async || engine.documents_with("charts") == 0).await;
            assert_eq!(engine.problems(), Vec::<String>::new());
            assert!(!app.folder().join("search").exists());
        }
    }
}

#[tokio::test]
async fn an_unavailable_engine_affects_only_search() {
    let engine = SearchEngine::start().await;
    let app = engine.configure(Setup::new()).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "a dunlin on the shore").await;
    finds(&ben, "dunlin", &["a dunlin on the shore"]).await;
    engine.is_away(true);
    anna.send_message(&chat, "two dunlin").await;
    ask(&ben, &[("q", "dunlin")]).await.refused(503, "unavailable");
    let history: Value = ben.get(&format!("/r1/conversations/{chat}/messages")).await.data();
    assert!(history.to_string().contains("two dunlin"));
    engine.is_away(false);
    finds(&ben, "dunlin", &["a dunlin on the shore", "two dunlin"]).await;
    // An index that was lost is built again.
    engine.forget();
    anna.send_message(&chat, "three dunlin").await;
    finds(&ben, "dunlin", &["a dunlin on the shore", "two dunlin", "three dunlin"]).await;
    assert!(app.command(&["search", "rebuild"]).await.status.success());
    finds(&ben, "dunlin", &["a dunlin on the shore", "two dunlin", "three dunlin"]).await;
    assert_eq!(engine.problems(), Vec::<String>::new());
}
