//! Search on two instances.

use support::{Application, Setup, json, wait_until};

use super::{ask, finds, found, guests, operators, path, readers, scripts, texts_of_files, words};

async fn two() -> Application {
    Setup::new().instances(2).start().await
}

#[tokio::test]
async fn finds_words_written_on_another_instance() {
    words(&two().await).await;
    scripts(&two().await).await;
}

#[tokio::test]
async fn operators_narrow_results_of_another_instance() {
    operators(&two().await).await;
}

#[tokio::test]
async fn read_permissions_apply_to_search_on_another_instance() {
    readers(&two().await).await;
    guests(&Setup::new().instances(2).set("workspaces.shared", "none").start().await).await;
}

#[tokio::test]
async fn finds_files_of_another_instance() {
    texts_of_files(&two().await).await;
}

#[tokio::test]
async fn finds_messages_of_a_killed_instance_on_the_other() {
    let mut app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (here, there) = (anna.at(&app.instances[0].url()), ben.at(&app.instances[1].url()));
    let chat = here.open_single(&there).await;
    let sent = here.send_message(&chat, "a petrel at sea").await;
    let answered = there.send_message(&chat, "a petrel on land").await;
    for who in [&here, &there] {
        finds(who, "petrel", &["a petrel at sea", "a petrel on land"]).await;
    }
    here.delete(&path(&sent)).await.data();
    assert_eq!(found(&there, "petrel").await, ["a petrel on land"]);
    there.patch(&path(&answered), json!({ "content": "a shearwater" })).await.data();
    assert!(found(&here, "petrel").await.is_empty());
    finds(&here, "shearwater", &["a shearwater"]).await;
    let file = here.upload("birds.txt", "text/plain", "the guillemot nests in June").await;
    here.send_files(&chat, "see this", &[&file]).await.data_with(201);
    finds(&there, "guillemot", &["see this"]).await;

    // Either of the instances may have written the index. The lock on the index ends with the
    // connection that holds it.
    for n in 0..20 {
        here.send_message(&chat, &format!("a tern, number {n}")).await;
    }
    app.instances[0].kill().await;
    there.send_message(&chat, "a tern, the last").await;
    let all = async || ask(&there, &[("q", "tern")]).await.data()["total"]["count"].as_u64().unwrap() == 21;
    wait_until("all messages are found", all).await;
}
