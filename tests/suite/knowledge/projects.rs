//! Sections as projects: instructions and files for the assistant chats in them.

use support::{json, wait_until};

use super::{HANDBOOK, Library};

#[tokio::test]
async fn uses_a_sections_instructions_and_files_in_its_chats() {
    let library = Library::start().await;
    let anna = &library.anna;
    let mut socket = anna.connect().await;
    let made = anna.post("/r1/sections", json!({ "name": "House" })).await.data_with(201);
    let section = made["id"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("/r1/sections/{section}{rest}");
    assert_eq!(anna.get(&at("/instructions")).await.data(), json!({ "instructions": "" }));
    let kept = anna.put(&at("/instructions"), json!({ "instructions": " Answer in Welsh.\r\n" })).await.data();
    assert_eq!(kept, json!({ "instructions": "Answer in Welsh." }));
    let upload = anna.upload("handbook.md", "text/markdown", HANDBOOK).await;
    let give = json!({ "upload_id": upload["id"], "workspace_id": library.workspace });
    let file = anna.post(&at("/knowledge"), give.clone()).await.data_with(201);
    assert_eq!((&file["section_id"], &file["assistant_id"]), (&json!(section), &json!(null)));
    assert_eq!(anna.post(&at("/knowledge"), give).await.data_with(200)["id"], file["id"]);
    let told = socket.expect("knowledge.changed").await.payload;
    assert_eq!(told, json!({ "workspace_id": library.workspace, "section_id": section }));
    let listed = at(&format!("/knowledge?workspace_id={}", library.workspace));
    wait_until("the file is indexed", || async { anna.get(&listed).await.data()["files"][0]["state"] == "ready" })
        .await;

    let question = "How many days of leave each year?";
    let outside = library.chat().await;
    let answer = library.ask(&mut socket, &outside, question, "Who knows.").await;
    assert!(answer["answer"].get("knowledge").is_none(), "{answer}");
    assert!(!library.instructions().contains("Welsh"));

    let inside = library.chat().await;
    anna.patch(&format!("/r1/conversations/{inside}/own"), json!({ "section_id": section })).await.data();
    let answer = library.ask(&mut socket, &inside, question, "Twenty-five [1].").await;
    assert_eq!(answer["answer"]["citations"][0]["file_id"], file["id"], "{answer}");
    let prompt = library.instructions();
    assert!(prompt.contains("Answer in Welsh.") && prompt.contains("twenty-five days"), "{prompt}");
    let cited = format!("/r1/messages/{}/citations/1", answer["id"].as_str().unwrap());
    assert!(anna.get(&cited).await.data()["text"].as_str().unwrap().contains("twenty-five days"));

    // Files are used only in their workspace; the instructions are used in the section everywhere.
    let elsewhere = anna.open_assistant().await;
    anna.patch(&format!("/r1/conversations/{elsewhere}/own"), json!({ "section_id": section })).await.data();
    let answer = library.ask(&mut socket, &elsewhere, question, "Who knows.").await;
    assert!(answer["answer"].get("knowledge").is_none(), "{answer}");
    assert!(library.instructions().contains("Answer in Welsh."));

    let export = anna.get("/r1/users/me/export").await;
    assert!(export.text().contains("Answer in Welsh."), "the export includes the instructions");
    anna.put(&at("/instructions"), json!({ "instructions": "x".repeat(8_001) })).await.names_field("instructions");
    anna.delete(&at("")).await.data();
    wait_until("the section's files are deleted", || async { library.rows("knowledge_files").await == 0 }).await;
    library.ask(&mut socket, &inside, question, "Who knows.").await;
    assert!(!library.instructions().contains("Welsh"));
}

#[tokio::test]
async fn a_section_is_private_to_its_owner() {
    let library = Library::start().await;
    let (anna, ben) = (&library.anna, library.app.sign_up("Ben").await);
    let members = format!("/r1/workspaces/{}/members", library.workspace);
    anna.post(&members, json!({ "user_id": ben.id, "role": "member" })).await.data_with(201);
    let made = anna.post("/r1/sections", json!({ "name": "House" })).await.data_with(201);
    let section = made["id"].as_str().unwrap();
    let (instructions, knowledge) =
        (format!("/r1/sections/{section}/instructions"), format!("/r1/sections/{section}/knowledge"));
    let upload = anna.upload("handbook.md", "text/markdown", HANDBOOK).await;
    let give = json!({ "upload_id": upload["id"], "workspace_id": library.workspace });
    let file = anna.post(&knowledge, give).await.data_with(201);
    let one = format!("{knowledge}/{}", file["id"].as_str().unwrap());
    let own = ben.upload("own.txt", "text/plain", "mine").await;
    let give = json!({ "upload_id": own["id"], "workspace_id": library.workspace });
    ben.get(&instructions).await.refused(404, "not_found");
    ben.put(&instructions, json!({ "instructions": "Lie." })).await.refused(404, "not_found");
    ben.get(&knowledge).await.refused(404, "not_found");
    ben.post(&knowledge, give.clone()).await.refused(404, "not_found");
    ben.post(&format!("{one}/retry"), json!({})).await.refused(404, "not_found");
    ben.delete(&one).await.refused(404, "not_found");
    // Files of other users, and sections for workspaces of others, are refused.
    anna.post(&knowledge, give).await.refused(404, "not_found");
    let mallory = library.app.sign_up("Mallory").await;
    let hers = mallory.post("/r1/sections", json!({ "name": "House" })).await.data_with(201);
    let there = format!("/r1/sections/{}/knowledge?workspace_id={}", hers["id"].as_str().unwrap(), library.workspace);
    mallory.get(&there).await.refused(404, "not_found");
    // A file of a section is not a file of the assistant.
    assert_eq!(anna.get(&library.path()).await.data()["files"], json!([]));
    anna.delete(&format!("{}/{}", library.path(), file["id"].as_str().unwrap())).await.refused(404, "not_found");
    anna.delete(&one).await.data();
    assert_eq!(library.rows("knowledge_files").await, 0);
}
