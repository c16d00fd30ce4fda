//! Search index: what happens if it is killed, rebuilt or blocked, or created later than the
//! messages.

use support::{Application, Member, Setup, free_port, hold_search_index, wait_until};

use super::{ask, finds, found, texts};

#[tokio::test]
async fn a_killed_or_lost_index_catches_up() {
    let mut app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for n in 0..30 {
        anna.send_message(&chat, &format!("cormorant {n}")).await;
    }
    // The instance is killed while it is indexing.
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let all = |who: Member| async move {
        ask(&who, &[("q", "cormorant"), ("limit", "50")]).await.data()["items"].as_array().unwrap().len() == 30
    };
    let here = ben.at(&app.url());
    wait_until("all messages are found", async || all(here.at(&app.url())).await).await;
    let said = app.command(&["search", "rebuild"]).await;
    assert!(said.status.success(), "{said:?}");
    app.instances[0].kill().await;
    std::fs::remove_dir_all(app.folder().join("search")).unwrap();
    app.instances[0].start_again().await;
    wait_until("all messages are found again", async || all(here.at(&app.url())).await).await;
    let newest = ask(&here, &[("q", "cormorant"), ("sort", "newest"), ("limit", "2")]).await.data();
    assert_eq!(texts(&newest), ["cormorant 29", "cormorant 28"]);
    anna.at(&app.url()).send_message(&chat, "cormorant again").await;
    finds(&here, "\"cormorant again\"", &["cormorant again"]).await;
}

#[tokio::test]
async fn a_stalled_index_does_not_delay_requests() {
    const MESSAGES: u64 = 200;
    let port = free_port();
    let app = Setup::new().set("metrics.listen", format!("127.0.0.1:{port}")).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "gannet 0").await;
    finds(&ben, "gannet", &["gannet 0"]).await;
    let waiting = async || {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("natter_search_waiting_conversations ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };

    let held = hold_search_index(app.folder()).await;
    // If sending waited for the index, it would block here.
    for n in 1..=MESSAGES {
        anna.send_message(&chat, &format!("gannet {n}")).await;
    }
    wait_until("the metrics report a backlog", async || waiting().await >= 1.0).await;
    assert_eq!(found(&ben, "gannet").await, ["gannet 0"], "searches are answered meanwhile");

    drop(held);
    let count = async || ask(&ben, &[("q", "gannet")]).await.data()["total"]["count"].as_u64().unwrap();
    wait_until("all messages are found", async || count().await == MESSAGES + 1).await;
    wait_until("nothing waits", async || waiting().await < 1.0).await;
}

/// Messages are created before the index.
#[tokio::test]
async fn messages_from_before_the_index_are_indexed() {
    let app = Setup::new().start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "an albatross").await;
    finds(&ben, "albatross", &["an albatross"]).await;
    // The running server notices the rebuild by itself, and the command waits for it.
    let rebuilt = app.command(&["search", "rebuild", "--wait"]).await;
    let said = String::from_utf8_lossy(&rebuilt.stdout).into_owned();
    assert!(rebuilt.status.success() && said.contains("The index is complete. Messages in it: 1"), "{said}");
    anna.send_message(&chat, "one more albatross").await;
    finds(&ben, "albatross", &["an albatross", "one more albatross"]).await;
    let doctor = app.command(&["doctor"]).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("search: "), "{said}");
}
