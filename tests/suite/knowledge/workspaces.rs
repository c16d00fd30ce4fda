//! Files of a workspace, which all assistants in it use.

use support::{Behaviour, Value, json, wait_until};

use super::{HANDBOOK, Library};

impl Library {
    fn shared(&self) -> String {
        format!("/r1/workspaces/{}/knowledge", self.workspace)
    }

    /// Adds the handbook to the workspace and waits until it is indexed.
    async fn share(&self) -> Value {
        let upload = self.anna.upload("handbook.md", "text/markdown", HANDBOOK).await;
        let give = json!({ "upload_id": upload["id"] });
        let file = self.anna.post(&self.shared(), give.clone()).await.data_with(201);
        assert_eq!(self.anna.post(&self.shared(), give).await.data_with(200)["id"], file["id"]);
        let state = || async { self.anna.get(&self.shared()).await.data()["files"][0]["state"].clone() };
        wait_until("the file is indexed", || async { state().await == "ready" }).await;
        file
    }
}

#[tokio::test]
async fn all_assistants_use_the_files_of_their_workspace() {
    let library = Library::start().await;
    let anna = &library.anna;
    let mut socket = anna.connect().await;
    let file = library.share().await;
    assert_eq!((&file["workspace_id"], &file["assistant_id"]), (&json!(library.workspace), &Value::Null));
    assert_eq!(socket.expect("knowledge.changed").await.payload, json!({ "workspace_id": library.workspace }));
    let question = "How many days of leave each year?";
    let chat = library.chat().await;
    let answer = library.ask(&mut socket, &chat, question, "Twenty-five [1].").await;
    assert_eq!(answer["answer"]["citations"][0]["file_id"], file["id"], "{answer}");
    assert!(library.instructions().contains("twenty-five days"));
    let cited = format!("/r1/messages/{}/citations/1", answer["id"].as_str().unwrap());
    assert!(anna.get(&cited).await.data()["text"].as_str().unwrap().contains("twenty-five days"));
    // An assistant that belongs to no workspace uses the files too, but not in another workspace.
    let default = anna.get("/r1/assistants").await.data()["items"][0]["id"].clone();
    let new = json!({ "kind": "assistant", "assistant_id": default, "workspace_id": library.workspace });
    let inside = anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let answer = library.ask(&mut socket, &inside, question, "Twenty-five [1].").await;
    assert_eq!(answer["answer"]["citations"][0]["file_id"], file["id"], "{answer}");
    let elsewhere = anna.open_assistant().await;
    let answer = library.ask(&mut socket, &elsewhere, question, "Who knows.").await;
    assert!(answer["answer"].get("knowledge").is_none(), "{answer}");
    // The file belongs to no assistant.
    assert_eq!(anna.get(&library.path()).await.data()["files"], json!([]));
    anna.delete(&format!("{}/{}", library.path(), file["id"].as_str().unwrap())).await.refused(404, "not_found");
    // The file is deleted together with its workspace and not earlier. Deleting an assistant
    // removes only files that nothing else uses.
    anna.delete(&format!("/r1/assistants/{}", library.assistant)).await.data();
    library.ask(&mut socket, &inside, question, "Twenty-five [1].").await;
    assert!(library.instructions().contains("twenty-five days"));
    anna.delete(&format!("/r1/workspaces/{}", library.workspace)).await.data();
    wait_until("the workspace's files are deleted", || async { library.rows("knowledge_files").await == 0 }).await;
}

#[tokio::test]
async fn only_workspace_admins_manage_workspace_files() {
    let library = Library::start().await;
    let anna = &library.anna;
    let (ben, cara) = (library.join("Ben", "member").await, library.join("Cara", "guest").await);
    let (dora, mallory) = (library.join("Dora", "admin").await, library.app.sign_up("Mallory").await);
    let file = library.share().await;
    let one = format!("{}/{}", library.shared(), file["id"].as_str().unwrap());
    for (person, status, code) in [(&ben, 403, "forbidden"), (&cara, 403, "forbidden"), (&mallory, 404, "not_found")] {
        let upload = person.upload("own.txt", "text/plain", "mine").await;
        person.get(&library.shared()).await.refused(status, code);
        person.post(&library.shared(), json!({ "upload_id": upload["id"] })).await.refused(status, code);
        person.post(&format!("{one}/retry"), json!({})).await.refused(status, code);
        person.delete(&one).await.refused(status, code);
    }
    assert_eq!(dora.get(&library.shared()).await.data()["files"][0]["id"], file["id"]);
    // In conversations with guests, assistants don't use the files.
    let mut socket = anna.connect().await;
    for (members, is_known) in [(json!([ben.id, dora.id]), true), (json!([ben.id, cara.id]), false)] {
        let new =
            json!({ "kind": "group", "title": "Leave", "workspace_id": library.workspace, "member_ids": members });
        let group = anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
        library.upstream.then(Behaviour::answer("Twenty-five [1]."));
        let body = json!({
            "client_id": support::new_id(), "content": "How many days of leave each year?",
            "mentions": [{ "kind": "assistant", "id": library.assistant }],
        });
        anna.post(&format!("/r1/conversations/{group}/messages"), body).await.data_with(201);
        let message = socket.expect_in("message.completed", &group).await.payload["message"].clone();
        let answer = &message["answer"];
        assert_eq!(answer.get("knowledge").is_some_and(Value::is_object), is_known, "{answer}");
        if is_known {
            // A guest who joins later can't open the citations either.
            let cited = format!("/r1/messages/{}/citations/1", message["id"].as_str().unwrap());
            let new = json!({ "user_id": cara.id });
            anna.post(&format!("/r1/conversations/{group}/members"), new).await.data_with(201);
            assert!(ben.get(&cited).await.data()["text"].as_str().unwrap().contains("twenty-five"));
            cara.get(&cited).await.refused(404, "not_found");
        }
    }
    dora.delete(&one).await.data();
    assert_eq!(library.rows("knowledge_files").await, 0);
}
