//! Permissions on the files of an assistant.

use support::{Member, Value, json};

use super::{HANDBOOK, Library};

impl Library {
    pub(super) async fn join(&self, name: &str, role: &str) -> Member {
        let person = self.app.sign_up(name).await;
        let path = format!("/r1/workspaces/{}/members", self.workspace);
        self.anna.post(&path, json!({ "user_id": person.id, "role": role })).await.data_with(201);
        person
    }
}

#[tokio::test]
async fn only_editors_of_an_assistant_manage_its_files() {
    let library = Library::start().await;
    let (ben, cara) = (library.join("Ben", "member").await, library.join("Cara", "guest").await);
    let (dora, mallory) = (library.join("Dora", "admin").await, library.app.sign_up("Mallory").await);
    let file = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&file, "ready").await;
    let path = library.path();
    let one = format!("{path}/{}", file["id"].as_str().unwrap());
    for (person, status, code) in [(&ben, 403, "forbidden"), (&cara, 404, "not_found"), (&mallory, 404, "not_found")] {
        let upload = person.upload("own.txt", "text/plain", "mine").await;
        person.get(&path).await.refused(status, code);
        person.post(&path, json!({ "upload_id": upload["id"] })).await.refused(status, code);
        person.post(&format!("{one}/retry"), json!({})).await.refused(status, code);
        person.delete(&one).await.refused(status, code);
    }
    // An administrator of the workspace may add their own files.
    assert_eq!(dora.get(&path).await.data()["files"][0]["id"], file["id"]);
    let foreign = ben.upload("own.txt", "text/plain", "mine").await;
    dora.post(&path, json!({ "upload_id": foreign["id"] })).await.refused(404, "not_found");
    let own = dora.upload("own.txt", "text/plain", "Tides come twice a day.").await;
    let given = dora.post(&path, json!({ "upload_id": own["id"] })).await.data_with(201);
    assert_eq!(given["added_by"]["name"], "Dora");
    // Adding a file again returns the existing one.
    let again = dora.post(&path, json!({ "upload_id": own["id"] })).await.data_with(200);
    assert_eq!(again["id"], given["id"]);
    // A file of another assistant is not found.
    let other = json!({ "name": "Other", "workspace_id": library.workspace });
    let other = library.anna.post("/r1/assistants", other).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let there = format!("/r1/assistants/{other}/knowledge/{}", file["id"].as_str().unwrap());
    library.anna.delete(&there).await.refused(404, "not_found");
    library.anna.delete(&one).await.data_with(200);
    assert_eq!(library.file(&file).await, Value::default());
    // The default assistant can't have files.
    let default = library.anna.get("/r1/assistants").await.data()["items"][0]["id"].as_str().unwrap().to_owned();
    library.anna.get(&format!("/r1/assistants/{default}/knowledge")).await.refused(403, "forbidden");
}

#[tokio::test]
async fn shows_citations_only_to_readers_of_the_answer() {
    let library = Library::start().await;
    let (ben, emil) = (library.join("Ben", "member").await, library.join("Emil", "member").await);
    let dora = library.join("Dora", "member").await;
    let file = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&file, "ready").await;
    let new = json!({ "kind": "group", "title": "Plans", "workspace_id": library.workspace, "member_ids": [ben.id, emil.id] });
    let group = library.anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let mut socket = ben.connect().await;
    library.upstream.then(support::Behaviour::answer("Twenty-five [1]."));
    let body = json!({
        "client_id": support::new_id(), "content": "How many days of leave?",
        "mentions": [{ "kind": "assistant", "id": library.assistant }],
    });
    ben.post(&format!("/r1/conversations/{group}/messages"), body).await.data_with(201);
    let answer = socket.expect_in("message.completed", &group).await.payload["message"].clone();
    assert_eq!(answer["answer"]["citations"][0]["file_name"], "handbook.md", "{answer}");
    let path = format!("/r1/messages/{}/citations/1", answer["id"].as_str().unwrap());
    assert!(ben.get(&path).await.data()["text"].as_str().unwrap().contains("twenty-five"));
    dora.get(&path).await.refused(404, "not_found");
    // Only editors of the assistant can open the file.
    assert_eq!(ben.get(&path).await.data()["may_read_file"], false);
    ben.get(&format!("/r1/uploads/{}", file["upload_id"].as_str().unwrap())).await.refused(404, "not_found");
}
