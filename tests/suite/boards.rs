//! Boards of conversations: columns, tasks, permissions, events and validation.

mod cluster;
mod moves;

use std::time::Duration;

use appcore::Clock;
use support::{Application, Frame, Member, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, World, create, plain, sample};

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

fn at(conversation: &str, rest: &str) -> String {
    format!("/r1/conversations/{conversation}/{rest}")
}

async fn column(by: &Member, conversation: &str, name: &str) -> Value {
    by.post(&at(conversation, "board/columns"), json!({ "name": name })).await.data_with(201)
}

async fn task(by: &Member, conversation: &str, column: &Value, title: &str) -> Value {
    let body = json!({ "title": title, "column_id": column["id"] });
    by.post(&at(conversation, "tasks"), body).await.data_with(201)
}

async fn change(by: &Member, task: &Value, body: Value) -> Value {
    by.patch(&format!("/r1/tasks/{}", id(task)), body).await.data()
}

async fn titles(by: &Member, conversation: &str) -> Vec<String> {
    let list = by.get(&at(conversation, "tasks")).await.data();
    list["items"].as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap().to_owned()).collect()
}

/// Column of a board: the id of the conversation and that of the column.
async fn sample_column(world: &World) -> (String, String) {
    let group = world.group().await;
    let id = create(&world.owner, &at(&group, "board/columns"), json!({ "name": "To do" })).await;
    (group, id)
}

async fn sample_task(world: &World) -> String {
    let (group, column) = sample_column(world).await;
    let body = json!({ "title": "Write it down", "column_id": column });
    create(&world.owner, &at(&group, "tasks"), body).await
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListOwnTasks"]),
        sample(&["ShowBoard", "ListColumns", "ListTasks"], async |world| Args::id(world.group().await)),
        sample(&["CreateColumn"], async |world| Args::id(world.group().await).with_body(json!({ "name": "To do" }))),
        sample(&["DeleteColumn", "ArchiveColumnTasks"], async |world| Args::id(sample_column(world).await.1)),
        sample(&["ChangeColumn"], async |world| {
            Args::id(sample_column(world).await.1).with_body(json!({ "name": "Doing", "done": false }))
        }),
        sample(&["CreateTask"], async |world| {
            let (group, column) = sample_column(world).await;
            Args::id(group).with_body(json!({ "title": "Write it down", "column_id": column }))
        }),
        sample(&["ShowTask", "DeleteTask"], async |world| Args::id(sample_task(world).await)),
        sample(&["ChangeTask"], async |world| {
            Args::id(sample_task(world).await).with_body(json!({ "title": "Write it all down", "due_at": null }))
        }),
    ]
}

#[tokio::test]
async fn creates_and_changes_a_board_and_notifies_its_viewers() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let chat = anna.open_group("Release", &[&ben, &carl]).await;
    let mut socket = ben.connect().await;
    assert_eq!(ben.get(&at(&chat, "board")).await.data()["version"], 0);
    let doing = column(&anna, &chat, "Doing").await;
    let told = socket.expect_in("column.created", &chat).await;
    assert_eq!((&told.payload["column"], &told.payload["board_version"]), (&doing, &json!(1)));
    let done = anna.post(&at(&chat, "board/columns"), json!({ "name": "Done", "done": true })).await.data_with(201);
    let waiting =
        anna.post(&at(&chat, "board/columns"), json!({ "name": "Waiting", "position": 0 })).await.data_with(201);
    let board = ben.get(&at(&chat, "board")).await.data();
    assert_eq!((&board["version"], &board["columns"]), (&json!(3), &json!([waiting, doing, done])));
    let listed = ben.get(&at(&chat, "board/columns?page_size=2")).await.data();
    assert_eq!((&listed["items"], &listed["total"]), (&json!([waiting, doing]), &json!(3)));

    let sent = ben.send_message(&chat, "Somebody should write the notes").await;
    let body = json!({
        "title": " Write the notes ", "column_id": waiting["id"], "description": "**All** of them", "assignee_ids": [ben.id, anna.id],
        "due_at": "2031-05-05T10:00:00.000Z", "labels": ["Docs", "Docs", "2.4"], "message_id": sent["id"],
    });
    let made = anna.post(&at(&chat, "tasks"), body).await.data_with(201);
    assert_eq!((&made["title"], &made["version"]), (&json!("Write the notes"), &json!(1)));
    assert_eq!((&made["labels"], &made["due_at"]), (&json!(["Docs", "2.4"]), &json!("2031-05-05T10:00:00.000Z")));
    assert_eq!(made["assignees"], json!([{ "id": anna.id, "name": "Anna" }, { "id": ben.id, "name": "Ben" }]));
    assert_eq!((&made["message_id"], &made["created_by"]), (&sent["id"], &json!(anna.id)));
    let told = socket.expect_in("task.created", &chat).await;
    assert_eq!((&told.payload["task"], &told.payload["board_version"]), (&made, &json!(4)));
    assert_eq!(socket.expect("tasks.own").await.payload["task_id"], made["id"]);
    assert_eq!(carl.get(&format!("/r1/tasks/{}", id(&made))).await.data(), made);

    let moved =
        change(&ben, &made, json!({ "column_id": doing["id"], "version": 1, "due_at": null, "assignee_ids": [] }))
            .await;
    assert_eq!((&moved["column_id"], &moved["version"], &moved["due_at"]), (&doing["id"], &json!(2), &Value::Null));
    assert_eq!(socket.expect_in("task.updated", &chat).await.payload["task"], moved);
    // If no field changes, no event is published and the version stays.
    assert_eq!(change(&ben, &made, json!({ "title": "Write the notes" })).await["version"], 2);
    // A change of an outdated version is refused. The response contains the current task.
    let path = format!("/r1/tasks/{}", id(&made));
    let stale = anna.patch(&path, json!({ "title": "No", "version": 1 })).await;
    stale.refused(409, "stale");
    assert_eq!(stale.body["details"], moved);
    anna.delete(&format!("{path}?version=1")).await.refused(409, "stale");
    anna.delete(&format!("/r1/columns/{}", id(&doing))).await.refused(409, "wrong_state");
    let board = ben.get(&at(&chat, "board")).await.data();
    assert_eq!(board["version"], 5, "a refused change creates no version");
    let later = ben.connect().await;
    let mut reached = later.hello["conversations"].as_array().unwrap().iter();
    let reached = reached.find(|one| one["id"] == json!(chat)).unwrap();
    assert_eq!(reached["board_version"], 5);

    anna.delete(&format!("{path}?version=2")).await.data();
    let told = socket.expect_in("task.deleted", &chat).await;
    assert_eq!((&told.payload["task_id"], &told.payload["board_version"]), (&made["id"], &json!(6)));
    anna.get(&path).await.refused(404, "not_found");
    anna.patch(&path, json!({ "title": "Again" })).await.refused(404, "not_found");
    let renamed =
        anna.patch(&format!("/r1/columns/{}", id(&doing)), json!({ "name": "In work", "position": 9 })).await.data();
    assert_eq!(socket.expect_in("column.updated", &chat).await.payload["column"], renamed);
    assert_eq!(ben.get(&at(&chat, "board")).await.data()["columns"], json!([waiting, done, renamed]));
    anna.delete(&format!("/r1/columns/{}", id(&doing))).await.data();
    assert_eq!(socket.expect_in("column.deleted", &chat).await.payload["column_id"], doing["id"]);
}

#[tokio::test]
async fn a_move_writes_one_row_and_tolerates_equal_positions() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (todo, done) = (column(&anna, &chat, "To do").await, column(&anna, &chat, "Done").await);
    let mut tasks = Vec::new();
    for n in 0..5 {
        tasks.push(task(&anna, &chat, &todo, &format!("{n}")).await);
    }
    assert_eq!(titles(&ben, &chat).await, ["0", "1", "2", "3", "4"]);
    // Moves the task between the first two, to a position that extends that of the first one.
    let between = format!("{}V", tasks[0]["position"].as_str().unwrap());
    change(&ben, &tasks[4], json!({ "position": between })).await;
    let second = change(&anna, &tasks[3], json!({ "position": between })).await;
    assert_ne!(second["position"], json!(between));
    assert_eq!(titles(&ben, &chat).await, ["0", "4", "3", "1", "2"]);
    for (at, unmoved) in [(0, &tasks[0]), (3, &tasks[1]), (4, &tasks[2])] {
        assert_eq!(&ben.get(&at_tasks(&chat)).await.data()["items"][at], unmoved);
    }
    // Moves tasks to another column. Without a position, a task becomes the last one.
    change(&anna, &tasks[0], json!({ "column_id": done["id"] })).await;
    change(&anna, &tasks[1], json!({ "column_id": done["id"] })).await;
    assert_eq!(titles(&ben, &chat).await, ["4", "3", "2", "0", "1"]);
    let path = at(&chat, &format!("tasks?column_id={}", id(&done)));
    assert_eq!(ben.get(&path).await.data()["total"], 2);
    // All users drop their card at the same position at the same time.
    let drops =
        tasks.iter().map(async |task| change(&anna, task, json!({ "column_id": todo["id"], "position": "V5" })).await);
    let mut positions: Vec<_> =
        futures_util::future::join_all(drops).await.iter().map(|task| task["position"].to_string()).collect();
    positions.sort();
    positions.dedup();
    assert_eq!(positions.len(), 5);
}

fn at_tasks(conversation: &str) -> String {
    at(conversation, "tasks")
}

#[tokio::test]
async fn readers_see_the_board_and_writers_change_it() {
    let app = Application::start().await;
    let [anna, ben, dora] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Dora").await];
    let body = json!({ "kind": "public_channel", "title": new_id(), "member_ids": [ben.id] });
    let open = id(&anna.post("/r1/conversations", body).await.data_with(201)).to_owned();
    let closed = anna.open_group("Secret", &[&ben, &app.sign_up("Carl").await]).await;
    for (place, status, code) in [(&open, 403, "not_a_member"), (&closed, 404, "not_found")] {
        let todo = column(&ben, place, "To do").await;
        let made = task(&ben, place, &todo, "Ours").await;
        let (path, column_path) = (format!("/r1/tasks/{}", id(&made)), format!("/r1/columns/{}", id(&todo)));
        // A user can read a public channel without joining it.
        if status == 403 {
            assert_eq!(dora.get(&at(place, "board")).await.data()["version"], 2);
            assert_eq!(dora.get(&path).await.data(), made);
            assert_eq!(dora.get(&at(place, "tasks")).await.data()["total"], 1);
        } else {
            for read in [at(place, "board"), at(place, "board/columns"), at(place, "tasks"), path.clone()] {
                dora.get(&read).await.refused(404, "not_found");
            }
        }
        dora.post(&at(place, "board/columns"), json!({ "name": "Mine" })).await.refused(status, code);
        let body = json!({ "title": "Mine", "column_id": todo["id"] });
        dora.post(&at(place, "tasks"), body).await.refused(status, code);
        dora.patch(&path, json!({ "title": "Mine" })).await.refused(status, code);
        dora.delete(&path).await.refused(status, code);
        dora.patch(&column_path, json!({ "name": "Mine" })).await.refused(status, code);
        dora.delete(&column_path).await.refused(status, code);
        dora.post(&format!("{column_path}/archive"), json!({})).await.refused(status, code);
        if status == 404 {
            dora.get(&at(place, "tasks?archived=true")).await.refused(status, code);
        }
    }
    // Archived conversations are read-only.
    anna.post(&at(&open, "archive"), json!({})).await.data();
    let shown = ben.get(&at(&open, "tasks")).await.data()["items"][0].clone();
    ben.patch(&format!("/r1/tasks/{}", id(&shown)), json!({ "title": "Late" })).await.refused(409, "archived");
    ben.post(&at(&open, "board/columns"), json!({ "name": "Late" })).await.refused(409, "archived");
    let column_path = format!("/r1/columns/{}/archive", shown["column_id"].as_str().unwrap());
    ben.post(&column_path, json!({})).await.refused(409, "archived");
    // In a conversation where only administrators post, only they can change the board.
    let body = json!({ "kind": "public_channel", "title": new_id(), "posting": "admins", "member_ids": [ben.id] });
    let news = id(&anna.post("/r1/conversations", body).await.data_with(201)).to_owned();
    column(&anna, &news, "To do").await;
    ben.post(&at(&news, "board/columns"), json!({ "name": "Mine" })).await.refused(403, "forbidden");
}

#[tokio::test]
async fn hides_earlier_tasks_from_later_members_if_history_is_hidden() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let late = app.sign_up("Late").await;
    for (kind, history) in [("group", "from_join"), ("private_channel", "from_join"), ("group", "all")] {
        let body = json!({ "kind": kind, "title": new_id(), "member_ids": [ben.id, carl.id], "history": history });
        let chat = id(&anna.post("/r1/conversations", body).await.data_with(201)).to_owned();
        let todo = column(&anna, &chat, "To do").await;
        let sent = anna.send_message(&chat, "said before").await;
        let before = task(&anna, &chat, &todo, "Before").await;
        let archived = task(&anna, &chat, &todo, "Archived before").await;
        change(&anna, &archived, json!({ "archived": true })).await;
        anna.post(&at(&chat, "members"), json!({ "user_id": late.id })).await.data_with(201);
        let body = json!({ "title": "From a message", "column_id": todo["id"], "message_id": sent["id"] });
        let (mut bens, mut lates) = (ben.connect().await, late.connect().await);
        let from_message = anna.post(&at(&chat, "tasks"), body).await.data_with(201);
        change(&anna, &before, json!({ "description": "more of it" })).await;
        let since = task(&anna, &chat, &todo, "Since").await;

        let all = ["Before", "From a message", "Since"];
        assert_eq!(titles(&ben, &chat).await, all, "{kind}, {history}");
        let archive = at(&chat, "tasks?archived=true");
        if history == "all" {
            assert_eq!(titles(&late, &chat).await, all);
            assert_eq!(late.get(&archive).await.data()["total"], 1);
            continue;
        }
        assert_eq!(titles(&late, &chat).await, ["Since"], "{kind}");
        assert_eq!(late.get(&at(&chat, "tasks")).await.data()["total"], 1);
        assert_eq!(late.get(&archive).await.data()["total"], 0);
        for hidden in [&before, &archived, &from_message] {
            let path = format!("/r1/tasks/{}", id(hidden));
            late.get(&path).await.refused(404, "not_found");
            late.patch(&path, json!({ "title": "Mine" })).await.refused(404, "not_found");
            late.patch(&path, json!({ "version": 99 })).await.refused(404, "not_found");
            late.delete(&path).await.refused(404, "not_found");
        }
        // Other members get the events of such a task.
        assert_eq!(bens.expect_in("task.created", &chat).await.payload["task"]["id"], from_message["id"]);
        assert_eq!(bens.expect_in("task.updated", &chat).await.payload["task"]["id"], before["id"]);
        assert_eq!(lates.expect_in("task.created", &chat).await.payload["task"]["id"], since["id"]);
        let told = lates.drain().await;
        assert!(told.iter().all(|frame| !frame.kind.starts_with("task.")), "{told:#?}");
        // Assignees see their task.
        change(&anna, &before, json!({ "assignee_ids": [late.id] })).await;
        assert_eq!(late.get(&format!("/r1/tasks/{}", id(&before))).await.data()["description"], "more of it");
        assert_eq!(titles(&late, &chat).await, ["Before", "Since"]);
        // Only the tasks that the user sees are archived.
        let path = format!("/r1/columns/{}/archive", id(&todo));
        assert_eq!(late.post(&path, json!({})).await.data()["count"], 2);
        assert_eq!(titles(&ben, &chat).await, ["From a message"]);
    }
}

#[tokio::test]
async fn moving_or_deleting_a_task_removes_its_old_reminder() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let todo = column(&anna, &chat, "To do").await;
    let made = task(&anna, &chat, &todo, "Once").await;
    let reminders =
        async || app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'task_due' AND status = 'waiting'").await;
    for (due, left) in [(json!("2040-01-01T00:00:00Z"), 1), (json!("2040-02-01T00:00:00Z"), 1), (json!(null), 0)] {
        change(&anna, &made, json!({ "due_at": due })).await;
        assert_eq!(reminders().await, left, "due at {due}");
    }
    change(&anna, &made, json!({ "due_at": "2040-01-01T00:00:00Z" })).await;
    anna.delete(&format!("/r1/tasks/{}", id(&made))).await.data();
    assert_eq!(reminders().await, 0);
}

#[tokio::test]
async fn lists_own_tasks_across_all_readable_boards() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let (single, group) = (anna.open_single(&ben).await, anna.open_group("Team", &[&ben, &carl]).await);
    let mut wanted = Vec::new();
    for (chat, title, due) in [(&single, "Later", "2032-01-01T00:00:00Z"), (&group, "Sooner", "2031-01-01T00:00:00Z")] {
        let todo = column(&anna, chat, "To do").await;
        let body = json!({ "title": title, "column_id": todo["id"], "assignee_ids": [ben.id], "due_at": due });
        wanted.push(anna.post(&at(chat, "tasks"), body).await.data_with(201));
    }
    let done = anna.post(&at(&group, "board/columns"), json!({ "name": "Done", "done": true })).await.data_with(201);
    let body = json!({ "title": "Over", "column_id": done["id"], "assignee_ids": [ben.id, carl.id], "labels": ["Q\"1", "Docs"] });
    anna.post(&at(&group, "tasks"), body).await.data_with(201);
    let mine = ben.get("/r1/tasks?assignee=me").await.data();
    let names: Vec<_> = mine["items"].as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap()).collect();
    assert_eq!(names, ["Sooner", "Later", "Over"]);
    let first = &mine["items"][0];
    assert_eq!(
        (&first["id"], &first["column_name"], &first["done"]),
        (&wanted[1]["id"], &json!("To do"), &json!(false))
    );
    assert_eq!(first["conversation"], json!({ "id": group, "kind": "group", "title": "Team" }));
    assert_eq!(ben.get("/r1/tasks?done=false").await.data()["total"], 2);
    assert_eq!(ben.get("/r1/tasks?done=true").await.data()["total"], 1);
    for (filter, wanted) in [
        (format!("conversation_id={group}"), vec!["Sooner", "Over"]),
        (format!("conversation_id={}", new_id()), vec![]),
        ("label=Docs".into(), vec!["Over"]),
        ("label=Q%221".into(), vec!["Over"]),
        ("label=docs".into(), vec![]),
        ("label=Doc".into(), vec![]),
        ("due_before=2031-06-01T00:00:00Z".into(), vec!["Sooner"]),
        (format!("due_before=2033-01-01T00:00:00Z&done=false&conversation_id={single}"), vec!["Later"]),
    ] {
        let found = ben.get(&format!("/r1/tasks?{filter}")).await.data();
        let names: Vec<_> =
            found["items"].as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap()).collect();
        assert_eq!(found["total"], json!(wanted.len()), "{filter}");
        assert_eq!(names, wanted, "{filter}");
    }
    ben.get("/r1/tasks?due_before=soon").await.names_field("due_before");
    assert_eq!(carl.get("/r1/tasks").await.data()["total"], 1);
    assert_eq!(anna.get("/r1/tasks").await.data()["total"], 0);
    ben.get("/r1/tasks?assignee=you").await.names_field("assignee");
    let of_ben = anna.get(&at(&group, &format!("tasks?assignee={}", ben.id))).await.data();
    assert_eq!(of_ben["total"], 2);
    // A removed member can't change tasks there or be assigned to any.
    anna.delete(&at(&group, &format!("members/{}", ben.id))).await.data();
    assert_eq!(ben.get("/r1/tasks").await.data()["total"], 1);
    let path = format!("/r1/tasks/{}", id(&wanted[1]));
    assert_eq!(
        anna.patch(&path, json!({ "assignee_ids": [ben.id, carl.id] })).await.data()["assignee_ids"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    anna.patch(&path, json!({ "assignee_ids": [carl.id] })).await.data();
    anna.patch(&path, json!({ "assignee_ids": [ben.id] })).await.names_field("assignee_ids");
}

#[tokio::test]
async fn hides_archived_tasks_until_they_are_restored() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let todo = column(&anna, &chat, "To do").await;
    let done = anna.post(&at(&chat, "board/columns"), json!({ "name": "Done", "done": true })).await.data_with(201);
    let kept = task(&anna, &chat, &todo, "Kept").await;
    let sent = ben.send_message(&chat, "Is it over?").await;
    let body = json!({ "title": "Over", "column_id": todo["id"], "assignee_ids": [ben.id], "message_id": sent["id"] });
    let over = anna.post(&at(&chat, "tasks"), body).await.data_with(201);
    // Tasks created from messages are listed only for clients that show messages, which ask for
    // them.
    assert_eq!(ben.get(&at(&chat, "tasks?from_message=true")).await.data()["items"], json!([over]));
    let mut socket = ben.connect().await;
    let archived = change(&anna, &over, json!({ "archived": true, "version": 1 })).await;
    assert!(archived["archived_at"].is_string());
    assert_eq!(socket.expect_in("task.updated", &chat).await.payload["task"], archived);
    assert_eq!(titles(&ben, &chat).await, ["Kept"]);
    let listed = ben.get(&at(&chat, "tasks?archived=true")).await.data();
    assert_eq!((&listed["items"], &listed["total"]), (&json!([archived]), &json!(1)));
    // An archived task counts as done, whatever its column is. Archiving it again changes nothing.
    assert_eq!(ben.get("/r1/tasks?done=false").await.data()["total"], 0);
    assert_eq!(ben.get("/r1/tasks?done=true").await.data()["items"][0]["done"], true);
    assert_eq!(change(&ben, &over, json!({ "archived": true })).await, archived);
    // The task returns to its earlier position.
    let back = change(&ben, &over, json!({ "archived": false })).await;
    assert_eq!((&back["archived_at"], &back["position"]), (&Value::Null, &over["position"]));
    assert_eq!(titles(&ben, &chat).await, ["Kept", "Over"]);

    // Archives all visible tasks of a column at once. Each of them has a separate event and counts
    // as one change.
    for moved in [&kept, &over] {
        change(&anna, moved, json!({ "column_id": done["id"] })).await;
    }
    let version = anna.get(&at(&chat, "board")).await.data()["version"].as_i64().unwrap();
    let path = format!("/r1/columns/{}/archive", id(&done));
    assert_eq!(anna.post(&path, json!({})).await.data(), json!({ "count": 2 }));
    for (at, moved) in (1..).zip([&kept, &over]) {
        let is_it = |frame: &Frame| frame.kind == "task.updated" && frame.payload["board_version"] == version + at;
        let told = socket.find("its change", is_it).await;
        assert_eq!(told.payload["task"], ben.get(&format!("/r1/tasks/{}", id(moved))).await.data());
    }
    assert_eq!(anna.get(&at(&chat, "board")).await.data()["version"], version + 2);
    assert_eq!(anna.post(&path, json!({})).await.data(), json!({ "count": 0 }));
    assert_eq!(titles(&ben, &chat).await, Vec::<String>::new());
    // A column that has archived tasks can't be deleted, because these could then not be restored.
    anna.delete(&format!("/r1/columns/{}", id(&done))).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn rejects_invalid_board_fields_by_name_and_limits_boards() {
    let app = Application::start().await;
    let (anna, ben, dora) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Dora").await);
    let (chat, other) = (anna.open_single(&ben).await, anna.open_single(&dora).await);
    let todo = column(&anna, &chat, "To do").await;
    let elsewhere = column(&anna, &other, "To do").await;
    let foreign = anna.send_message(&other, "Not here").await;
    let tasks = at(&chat, "tasks");
    for (field, wrong) in [
        ("title", json!("")),
        ("title", json!("x".repeat(201))),
        ("description", json!("x".repeat(10_001))),
        ("column_id", elsewhere["id"].clone()),
        ("column_id", json!(new_id())),
        ("assignee_ids", json!([dora.id])),
        ("assignee_ids", json!((0..21).map(|_| new_id()).collect::<Vec<_>>())),
        ("labels", json!(["x".repeat(41)])),
        ("labels", json!((0..11).map(|n| n.to_string()).collect::<Vec<_>>())),
        ("message_id", foreign["id"].clone()),
        ("position", json!("")),
        ("position", json!("a b")),
        ("position", json!("a".repeat(1_001))),
        ("due_at", json!("tomorrow")),
    ] {
        let mut body = json!({ "title": "Fine", "column_id": todo["id"] });
        body[field] = wrong;
        anna.post(&tasks, body).await.names_field(field);
    }
    anna.post(&at(&chat, "board/columns"), json!({ "name": " " })).await.names_field("name");
    anna.post(&at(&chat, "board/columns"), json!({ "name": "A", "position": {} })).await.names_field("position");
    let made = task(&anna, &chat, &todo, "Here").await;
    anna.patch(&format!("/r1/tasks/{}", id(&made)), json!({ "column_id": elsewhere["id"] }))
        .await
        .names_field("column_id");
    for n in 1..30 {
        column(&anna, &chat, &format!("Column {n}")).await;
    }
    anna.post(&at(&chat, "board/columns"), json!({ "name": "One more" })).await.refused(422, "too_many");
    // When an account is deleted, its tasks are no longer assigned.
    anna.patch(&format!("/r1/tasks/{}", id(&made)), json!({ "assignee_ids": [ben.id] })).await.data();
    let request = ben.request(reqwest::Method::DELETE, "/r1/users/me").json(&json!({ "password": support::PASSWORD }));
    ben.send(request).await.data();
    support::wait_until("the deleted account is unassigned", || async {
        anna.get(&format!("/r1/tasks/{}", id(&made))).await.data()["assignee_ids"] == json!([])
    })
    .await;
}

/// Returns the titles and times of a user's reminders.
async fn reminders(of: &Member) -> Vec<(Value, Value)> {
    let listed = of.get("/r1/notifications?kind=reminder").await.data();
    listed["items"].as_array().unwrap().iter().map(|one| (one["title"].clone(), one["detail"].clone())).collect()
}

#[tokio::test]
async fn reminds_the_assignee_once_before_a_task_is_due() {
    let mut app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_group("Release", &[&ben, &carl]).await;
    let doing = column(&anna, &chat, "Doing").await;
    let done = anna.post(&at(&chat, "board/columns"), json!({ "name": "Done", "done": true })).await.data_with(201);
    let within = |seconds| Clock::system().now().plus(Duration::from_secs(seconds)).to_string();
    let add = async |title: &str, due: &str, assignees: Value| {
        let body = json!({ "title": title, "column_id": doing["id"], "due_at": due, "assignee_ids": assignees });
        anna.post(&at(&chat, "tasks"), body).await.data_with(201)
    };
    // There are no reminders of tasks that are done, deleted, archived or postponed.
    let (soon, day) = (within(4), within(86_400));
    let finished = add("Finished", &soon, json!([ben.id])).await;
    change(&ben, &finished, json!({ "column_id": done["id"] })).await;
    let deleted = add("Deleted", &soon, json!([ben.id])).await;
    ben.delete(&format!("/r1/tasks/{}", id(&deleted))).await.data();
    let put_off = add("Put off", &soon, json!([ben.id])).await;
    change(&ben, &put_off, json!({ "due_at": day })).await;
    let put_away = add("Put away", &soon, json!([ben.id])).await;
    change(&ben, &put_away, json!({ "archived": true })).await;
    add("Much later", &day, json!([ben.id])).await;
    let due = within(6);
    let brought_forward = add("Brought forward", &day, json!([ben.id, anna.id])).await;
    change(&ben, &brought_forward, json!({ "due_at": due })).await;
    add("Nobody's", &due, json!([])).await;
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let (anna, ben) = (anna.at(&app.url()), ben.at(&app.url()));
    wait_until("both are reminded", async || reminders(&anna).await.len() == 2 && !reminders(&ben).await.is_empty())
        .await;
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let (anna, ben) = (anna.at(&app.url()), ben.at(&app.url()));
    assert_eq!(reminders(&ben).await, [(json!("Brought forward"), json!(due))]);
    let annas = reminders(&anna).await;
    assert!(annas.contains(&(json!("Nobody's"), json!(due))) && annas.len() == 2, "{annas:?}");
}
