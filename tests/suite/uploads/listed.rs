//! Lists of the files of a conversation.

use support::{Application, Value, json};

use super::pictures::png;

#[tokio::test]
async fn lists_a_conversations_files_for_its_readers() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let other = anna.open_single(&carl).await;
    let picture = anna.upload("a.png", "image/png", png(30, 20)).await;
    let text = anna.upload("b.txt", "text/plain", "b").await;
    let late = ben.upload("c.txt", "text/plain", "c").await;
    let elsewhere = anna.upload("d.txt", "text/plain", "d").await;
    anna.send_files(&other, "", &[&elsewhere]).await.data_with(201);
    let both = anna.send_files(&chat, "two", &[&picture, &text]).await.data_with(201);
    anna.send_message(&chat, "no file").await;
    let last = ben.send_files(&chat, "", &[&late]).await.data_with(201);
    let path = format!("/r1/conversations/{chat}/files");
    let names = |list: &Value| -> Vec<String> {
        let name = |item: &Value| item["upload"]["name"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(name).collect()
    };
    let list = async |query: &str| ben.get(&format!("{path}{query}")).await.data();
    let all = list("").await;
    assert_eq!((names(&all), &all["has_more"]), (vec!["c.txt".into(), "b.txt".into(), "a.png".into()], &json!(false)));
    let first = &all["items"][0];
    assert_eq!(
        (&first["message_id"], &first["seq"], &first["sender"]["name"], &first["upload"]),
        (&last["id"], &last["seq"], &json!("Ben"), &late)
    );
    assert_eq!(names(&list("?kind=picture").await), ["a.png"]);
    assert_eq!(names(&list("?kind=file").await), ["c.txt", "b.txt"]);
    assert_eq!(names(&list(&format!("?author={}", anna.id)).await), ["b.txt", "a.png"]);
    let one = list("?limit=1").await;
    assert_eq!((names(&one), &one["has_more"]), (vec!["c.txt".into()], &json!(true)));
    let rest = list(&format!("?limit=1&before_seq={}", one["items"][0]["seq"])).await;
    assert_eq!((names(&rest), &rest["has_more"]), (vec!["b.txt".into(), "a.png".into()], &json!(false)));
    assert_eq!(names(&list("?kind=document").await), ["c.txt", "b.txt"]);
    for none in ["audio", "video", "other"] {
        assert_eq!(names(&list(&format!("?kind={none}")).await), Vec::<String>::new());
    }
    ben.get(&format!("{path}?kind=link")).await.names_field("kind");
    carl.get(&path).await.refused(404, "not_found");
    anna.delete(&format!("/r1/messages/{}", both["id"].as_str().unwrap())).await.data();
    assert_eq!(names(&list("").await), ["c.txt"]);
}

#[tokio::test]
async fn finds_files_by_name() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for name in ["B%E1%BA%A3n%20%C4%91%E1%BB%93%20100%25.txt", "b%E1%BA%A3n_%C4%91%E1%BB%93%20c%C5%A9.txt", "notes.txt"]
    {
        let upload = anna.upload(name, "text/plain", "x").await;
        anna.send_files(&chat, "", &[&upload]).await.data_with(201);
    }
    let both = [anna.upload("map.txt", "text/plain", "x").await, anna.upload("minutes.txt", "text/plain", "x").await];
    anna.send_files(&chat, "", &[&both[0], &both[1]]).await.data_with(201);
    for (query, wanted) in [
        ("ban%20DO", vec!["Bản đồ 100%.txt"]),
        ("100%25", vec!["Bản đồ 100%.txt"]),
        ("n_d", vec!["bản_đồ cũ.txt"]),
        ("%25", vec!["Bản đồ 100%.txt"]),
        ("notes&limit=1", vec!["notes.txt"]),
        // Of a message, only the files that match are listed.
        ("map", vec!["map.txt"]),
        ("%20", vec!["minutes.txt", "map.txt", "notes.txt", "bản_đồ cũ.txt", "Bản đồ 100%.txt"]),
        ("nowhere", vec![]),
    ] {
        let found = ben.get(&format!("/r1/conversations/{chat}/files?q={query}")).await.data();
        let names: Vec<_> =
            found["items"].as_array().unwrap().iter().map(|item| item["upload"]["name"].as_str().unwrap()).collect();
        assert_eq!((names, &found["has_more"]), (wanted, &json!(false)), "{query}");
    }
}

#[tokio::test]
async fn hides_earlier_files_from_later_members_if_history_is_hidden() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let late = app.sign_up("Late").await;
    let body = json!({ "kind": "group", "title": "Team", "member_ids": [ben.id, carl.id], "history": "from_join" });
    let group = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let upload = anna.upload("a.txt", "text/plain", "a").await;
    anna.send_files(&group, "", &[&upload]).await.data_with(201);
    anna.post(&format!("/r1/conversations/{group}/members"), json!({ "user_id": late.id })).await.data_with(201);
    let path = format!("/r1/conversations/{group}/files");
    assert_eq!(late.get(&path).await.data()["items"], json!([]));
    assert_eq!(ben.get(&path).await.data()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn file_pages_reach_the_oldest_file() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sent = Vec::new();
    for n in 0..12 {
        let who = if n % 3 == 0 { &anna } else { &ben };
        let name = format!("{n}.txt");
        let both = [who.upload(&name, "text/plain", "x").await, who.upload("twin.csv", "text/csv", "x").await];
        sent.push((name, who.send_files(&chat, "", &[&both[0], &both[1]]).await.data_with(201)));
        ben.send_message(&chat, "no file").await;
    }
    anna.delete(&format!("/r1/messages/{}", sent[6].1["id"].as_str().unwrap())).await.data();
    // Reads pages of two messages, each with its matching files, up to the end.
    for (filter, each) in [("", 2), ("&kind=document&q=twin", 1), ("&q=.txt", 1)] {
        let (mut found, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/r1/conversations/{chat}/files?limit=2{filter}{before}");
            let page = ben.get(&path).await.data();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2 * each, "{page}");
            found.extend(items.iter().map(|item| item["message_id"].clone()));
            if page["has_more"] == false {
                break;
            }
            before = format!("&before_seq={}", items.last().unwrap()["seq"]);
        }
        let kept = sent.iter().rev().filter(|(name, _)| name != "6.txt");
        let wanted: Vec<Value> = kept.flat_map(|(_, message)| vec![message["id"].clone(); each]).collect();
        assert_eq!(found, wanted, "{filter}");
    }
}
