//! Boards on two instances: events of one instance reach the other, and concurrent changes don't
//! get lost.

use support::{Setup, json};

use super::{at, change, column, id, task};

#[tokio::test]
async fn board_changes_reach_the_other_instance() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let chat = anna.open_single(&ben).await;
    let mut socket = there.connect().await;
    let todo = column(&anna, &chat, "To do").await;
    assert_eq!(socket.expect_in("column.created", &chat).await.payload["column"], todo);
    let made = task(&anna, &chat, &todo, "From here").await;
    assert_eq!(socket.expect_in("task.created", &chat).await.payload["task"], made);
    let changed = change(&there, &made, json!({ "title": "From there", "assignee_ids": [ben.id], "version": 1 })).await;
    assert_eq!(socket.expect_in("task.updated", &chat).await.payload["task"], changed);
    assert_eq!(socket.expect("tasks.own").await.payload["conversation_id"], json!(chat));
    let archived = anna.post(&format!("/r1/columns/{}/archive", id(&todo)), json!({})).await.data();
    assert_eq!(archived["count"], 1);
    assert!(socket.expect_in("task.updated", &chat).await.payload["task"]["archived_at"].is_string());
    assert_eq!(there.get(&at(&chat, "tasks?archived=true")).await.data()["total"], 1);
}

#[tokio::test]
async fn rejects_the_second_change_of_one_task_version() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let chat = anna.open_single(&ben).await;
    let todo = column(&anna, &chat, "To do").await;
    let made = task(&anna, &chat, &todo, "Contested").await;
    let path = format!("/r1/tasks/{}", id(&made));
    for version in 1..6 {
        let (here, far) = tokio::join!(
            anna.patch(&path, json!({ "title": format!("Anna {version}"), "version": version })),
            there.patch(&path, json!({ "title": format!("Ben {version}"), "version": version }))
        );
        let mut statuses = [here.status, far.status];
        statuses.sort();
        assert_eq!(statuses, [200, 409]);
    }
    let adding =
        (0..20).map(async |n| task(if n % 2 == 0 { &anna } else { &there }, &chat, &todo, &n.to_string()).await);
    futures_util::future::join_all(adding).await;
    assert_eq!(there.get(&at(&chat, "tasks")).await.data()["total"], 21);
    assert_eq!(anna.get(&at(&chat, "board")).await.data()["version"], 2 + 5 + 20);
}
