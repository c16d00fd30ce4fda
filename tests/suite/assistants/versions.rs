//! Versions of prompts and answers: editing, generating again, and switching between versions.

use support::{Behaviour, Frame, Setup, UpstreamKind, Value, json, new_id};

use super::{Chat, begun};

impl Chat {
    pub(super) async fn versions(&self, id: &str) -> Value {
        self.message(id).await["versions"].clone()
    }

    /// Returns the texts of the conversation that are shown.
    pub(super) async fn shown(&self) -> Vec<String> {
        let history = self.anna.history(&self.id).await;
        history.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) async fn show(&self, id: &str, index: i64) -> Value {
        self.anna.put(&format!("/r1/messages/{id}/version"), json!({ "index": index })).await.data()
    }

    /// Asks a question and waits for the answer. Returns the ids of both.
    pub(super) async fn talk(&mut self, question: &str, answer: &str) -> (String, String) {
        self.upstream.then(Behaviour::answer(answer));
        let asked = self.anna.send_message(&self.id, question).await;
        begun(&mut self.socket, &self.id).await;
        let ended = self.ended("message.completed").await;
        (asked["id"].as_str().unwrap().to_owned(), ended["message"]["id"].as_str().unwrap().to_owned())
    }

    pub(super) async fn ask_again(&mut self, id: &str, question: &str, answer: &str) -> Value {
        self.upstream.then(Behaviour::answer(answer));
        let asked = self.anna.post(&format!("/r1/messages/{id}/versions"), json!({ "content": question })).await;
        let asked = asked.data_with(201);
        begun(&mut self.socket, &self.id).await;
        self.ended("message.completed").await;
        asked
    }
}

#[tokio::test]
async fn editing_a_prompt_branches_the_chat_and_keeps_the_old_version() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (first, _) = chat.talk("Who are you?", "A helper.").await;
    let (second, _) = chat.talk("What for?", "For you.").await;
    let asked = chat.ask_again(&first, "Who am I?", "You are Anna.").await;
    assert_eq!((&asked["id"], &asked["seq"]), (&json!(first), &json!(1)));
    assert_eq!(asked["versions"], json!({ "index": 2, "count": 2 }));
    assert_eq!(chat.shown().await, ["Who am I?", "You are Anna."]);
    let conversation = chat.anna.conversation(&chat.id).await;
    assert_eq!(conversation["last_message"]["content"], "You are Anna.");
    // The model receives the branch that is shown.
    let told = chat.upstream.asked().last().unwrap().body["messages"].to_string();
    assert!(told.contains("Who am I?") && !told.contains("Who are you?") && !told.contains("What for?"), "{told}");
    // The chat continues on the branch that is shown.
    chat.talk("Really?", "Really.").await;

    let back = chat.show(&first, 1).await;
    assert_eq!((&back["content"], &back["versions"]), (&json!("Who are you?"), &json!({ "index": 1, "count": 2 })));
    assert_eq!(chat.shown().await, ["Who are you?", "A helper.", "What for?", "For you."]);
    // A nested branch also keeps its own continuation.
    chat.ask_again(&second, "Why?", "Because.").await;
    chat.show(&first, 2).await;
    assert_eq!(chat.shown().await, ["Who am I?", "You are Anna.", "Really?", "Really."]);
    chat.show(&first, 1).await;
    assert_eq!(chat.shown().await, ["Who are you?", "A helper.", "Why?", "Because."]);
    chat.show(&second, 1).await;
    assert_eq!(chat.shown().await, ["Who are you?", "A helper.", "What for?", "For you."]);
    assert_eq!(chat.message(&first).await["seq"], 1);
}

#[tokio::test]
async fn regenerating_an_answer_keeps_the_previous_version() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (_, answer) = chat.talk("Who are you?", "A helper.").await;
    chat.talk("What for?", "For you.").await;
    assert!(chat.versions(&answer).await.is_null());
    chat.upstream.then(Behaviour::answer("An assistant."));
    let again = chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    assert_eq!((&again["id"], &again["status"]), (&json!(answer), &json!("streaming")));
    let updated = chat.ended("message.updated").await;
    assert_eq!(updated["branch_changed"], true);
    let completed = chat.ended("message.completed").await;
    assert_eq!(completed["message"]["versions"], json!({ "index": 2, "count": 2 }));
    assert_eq!(chat.shown().await, ["Who are you?", "An assistant."]);
    chat.show(&answer, 1).await;
    let shows = |frame: &Frame| frame.kind == "message.updated" && frame.payload["message"]["content"] == "A helper.";
    let updated = chat.socket.find("the version that is shown", shows).await;
    assert_eq!(updated.payload["branch_changed"], true);
    assert_eq!(chat.shown().await, ["Who are you?", "A helper.", "What for?", "For you."]);
}

#[tokio::test]
async fn regenerating_replaces_a_failed_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::Refuse(400, None));
    let answer = chat.ask("Hello?").await;
    chat.ended("message.failed").await;
    chat.upstream.then(Behaviour::answer("Hello."));
    chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    chat.ended("message.completed").await;
    assert!(chat.versions(&answer).await.is_null());
}

#[tokio::test]
async fn limits_versions_to_own_prompts_in_idle_assistant_chats() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (prompt, answer) = chat.talk("Who are you?", "A helper.").await;
    let (ben, cara) = (chat.app.sign_up("Ben").await, chat.app.sign_up("Cara").await);
    let again = |id: &str| format!("/r1/messages/{id}/versions");
    let version = |id: &str| format!("/r1/messages/{id}/version");
    let body = json!({ "content": "Else?" });
    ben.post(&again(&prompt), body.clone()).await.refused(404, "not_found");
    ben.put(&version(&prompt), json!({ "index": 1 })).await.refused(404, "not_found");
    chat.anna.post(&again(&answer), body.clone()).await.refused(403, "forbidden");
    chat.anna.post(&again(&new_id()), body.clone()).await.refused(404, "not_found");
    chat.anna.put(&version(&prompt), json!({ "index": 2 })).await.names_field("index");
    chat.anna.put(&version(&prompt), json!({ "index": 0 })).await.names_field("index");
    let group = chat.anna.open_group("Team", &[&ben, &cara]).await;
    let message = chat.anna.send_message(&group, "Hello").await["id"].as_str().unwrap().to_owned();
    chat.anna.post(&again(&message), body.clone()).await.refused(409, "wrong_state");
    chat.anna.put(&version(&message), json!({ "index": 1 })).await.refused(409, "wrong_state");
    // Versions can't be switched while an answer is being generated.
    chat.upstream.then(Behaviour::stall("One "));
    let open = chat.ask("Count").await;
    chat.anna.post(&again(&prompt), body.clone()).await.refused(409, "wrong_state");
    chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.refused(409, "wrong_state");
    chat.anna.post(&format!("/r1/messages/{open}/stop"), json!({})).await.data();
    chat.ended("message.completed").await;
    chat.ask_again(&prompt, "Else?", "No.").await;
}

#[tokio::test]
async fn deleting_a_prompt_deletes_its_versions_and_replies() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (prompt, _) = chat.talk("SECRET-1?", "SECRET-2.").await;
    let (inner, hidden) = chat.talk("SECRET-3?", "SECRET-4.").await;
    chat.ask_again(&inner, "SECRET-5?", "SECRET-6.").await;
    chat.ask_again(&prompt, "SECRET-7?", "What stays.").await;
    chat.anna.delete(&format!("/r1/messages/{prompt}")).await.data();
    chat.anna.put(&format!("/r1/messages/{prompt}/version"), json!({ "index": 1 })).await.refused(404, "not_found");
    assert_eq!(chat.message(&hidden).await["content"], "");
    let log = format!("{:?}", chat.anna.event_log(&chat.id).await);
    assert!(log.contains("What stays."));
    for secret in 1..=7 {
        // The title was derived from the first question.
        let text = format!("SECRET-{secret}");
        let spoken = log.matches(&text).count();
        assert!(spoken == 0 || secret == 1 && log.contains("conversation.updated"), "{text} is still published: {log}");
        let kept = format!("SELECT COUNT(*) FROM messages WHERE content LIKE '%{text}%'");
        assert_eq!(chat.app.database.number(&kept).await, 0, "{text}");
    }
    assert_eq!(chat.app.database.number("SELECT COUNT(*) FROM message_versions").await, 0);
}
