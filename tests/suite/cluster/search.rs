//! Search across instances: only one instance at a time writes the index, but all of them search
//! it.

use support::{Setup, wait_until};

use crate::search::{finds, found};

#[tokio::test]
async fn messages_sent_to_one_instance_are_found_on_the_other() {
    let mut app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (here, there) = (anna.at(&app.instances[0].url()), anna.at(&app.instances[1].url()));
    for n in 0..20 {
        let who = if n % 2 == 0 { &here } else { &there };
        who.send_message(&chat, &format!("kestrel {n}")).await;
    }
    let expected: Vec<String> = (0..20).map(|n| format!("kestrel {n}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    for who in [ben.at(&app.instances[0].url()), ben.at(&app.instances[1].url())] {
        finds(&who, "kestrel", &expected).await;
        finds(&who, "kestral 7", &["kestrel 7"]).await;
    }
    // Whichever instance is indexing, another one continues when it dies.
    for dead in [0, 1] {
        let living = 1 - dead;
        let text = format!("buzzard {dead}");
        let who = anna.at(&app.instances[dead].url());
        let sent = who.send_message(&chat, &text).await;
        assert!(sent["id"].is_string());
        app.instances[dead].kill().await;
        let there = ben.at(&app.instances[living].url());
        wait_until("the other instance finds the message", async || found(&there, &text).await == [text.clone()]).await;
        app.instances[dead].start_again().await;
    }
}
