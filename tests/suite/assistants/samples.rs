use support::{json, new_id};

use crate::endpoints::{Args, SampleCall, World, create, plain, sample};

async fn prompt(world: &World) -> String {
    create(&world.owner, "/r1/prompts", new_prompt(world)).await
}

fn new_prompt(world: &World) -> support::Value {
    let command = new_id().chars().take(30).collect::<String>();
    let (title, content) = ("Status", "Write about {{topic}}.");
    json!({ "command": command, "title": title, "content": content, "workspace_id": world.workspace })
}

/// Creates a chat with an answer in the owner's workspace. Every call gets a new one, because the
/// number of unfinished answers per account is limited.
async fn answered_chat(world: &World) -> String {
    let body = json!({ "kind": "assistant", "workspace_id": world.workspace });
    let chat = create(&world.owner, "/r1/conversations", body).await;
    world.owner.send_message(&chat, "Hello").await;
    world.answer_in(&chat).await;
    chat
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListAssistants", "ListPrompts", "Dictate"]),
        sample(&["CreateAssistant"], async |world| Args::body(world.new_assistant())),
        sample(&["ShowAssistant", "DeleteAssistant"], async |world| Args::id(world.assistant().await)),
        sample(&["ChangeAssistant"], async |world| {
            let body = json!({ "description": "Helps", "temperature": 0.5, "picture": { "glyph": "leaf" } });
            Args::id(world.assistant().await).with_body(body)
        }),
        sample(&["CreatePrompt"], async |world| Args::body(new_prompt(world))),
        sample(&["ShowPrompt", "DeletePrompt"], async |world| Args::id(prompt(world).await)),
        sample(&["ChangePrompt"], async |world| {
            Args::id(prompt(world).await).with_body(json!({ "title": "Status note" }))
        }),
        sample(&["StopMessage", "ShowAnswerDetails"], async |world| Args::id(world.answer().await)),
        sample(&["RegenerateMessage"], async |world| Args::id(world.answer().await).with_body(json!({}))),
        // The version with this index is already shown.
        sample(&["ShowVersion"], async |world| Args::id(world.answer().await).with_body(json!({ "index": 1 }))),
        // An answer can be compared with only one other answer at a time.
        sample(&["CompareAnswer"], async |world| {
            Args::id(world.new_answer().await).with_body(json!({ "model": "demo" }))
        }),
        sample(&["AskAgain"], async |world| {
            let chat = world.owner.open_assistant().await;
            let question = world.owner.send_message(&chat, "Hello").await;
            world.answer_in(&chat).await;
            let id = question["id"].as_str().unwrap();
            Args::id(id).with_body(json!({ "content": "Hello again" }))
        }),
        sample(&["ShowShare", "ShareConversation", "UnshareConversation"], async |world| {
            Args::id(answered_chat(world).await)
        }),
        sample(&["ShowSharedChat", "ListSharedMessages"], async |world| {
            let path = format!("/r1/conversations/{}/share", answered_chat(world).await);
            let share = world.owner.put(&path, json!({})).await.data();
            Args::id(share["id"].as_str().unwrap())
        }),
    ]
}
