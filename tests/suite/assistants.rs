//! Assistants: streaming, stopping, failures, and answers that survive a reload of the page and a
//! restart of the server.

use support::{
    Application, Behaviour, Frame, Member, Setup, Socket, Upstream, UpstreamKind, Value, json, wait_until_equal,
};

pub(crate) use samples::sample_calls;

mod asking;
mod cluster;
mod comparing;
mod details;
mod editing;
mod failures;
mod fairness;
mod files;
mod prompts;
mod samples;
mod sharing;
mod survival;
mod titles;
mod versions;

/// Application with a scripted AI provider, a user, and the user's chat with the default assistant.
pub(crate) struct Chat {
    pub app: Application,
    pub upstream: Upstream,
    pub anna: Member,
    pub id: String,
    pub socket: Socket,
}

impl Chat {
    pub async fn start(setup: Setup, kind: UpstreamKind) -> Self {
        let upstream = Upstream::start(kind).await;
        let app = setup.provider(&upstream).start().await;
        let anna = app.sign_up("Anna").await;
        let id = anna.open_assistant().await;
        let socket = anna.connect().await;
        Self { app, upstream, anna, id, socket }
    }

    /// Sends a question and returns the id of the answer that is started.
    pub async fn ask(&mut self, question: &str) -> String {
        self.anna.send_message(&self.id, question).await;
        begun(&mut self.socket, &self.id).await
    }

    /// Waits for the durable event that ends an answer.
    pub async fn ended(&mut self, kind: &str) -> Value {
        self.socket.expect_in(kind, &self.id).await.payload
    }

    pub async fn message(&self, id: &str) -> Value {
        self.anna.get(&format!("/r1/messages/{id}")).await.data()
    }

    pub async fn answers(&self) -> Vec<Value> {
        let history = self.anna.history(&self.id).await;
        history.into_iter().filter(|message| message["sender"]["kind"] == "assistant").collect()
    }
}

/// Waits until an answer is started in a conversation and returns its id.
pub(crate) async fn begun(socket: &mut Socket, conversation: &str) -> String {
    let created = socket
        .find("an assistant's message", |frame| {
            frame.kind == "message.created"
                && frame.payload["conversation_id"] == conversation
                && frame.payload["message"]["sender"]["kind"] == "assistant"
        })
        .await;
    let message = &created.payload["message"];
    assert_eq!((&message["status"], &message["content"]), (&json!("streaming"), &json!("")));
    message["id"].as_str().unwrap().to_owned()
}

/// Appends a chunk to the text of an answer. The offset of the chunk must be the current end of the
/// text.
pub(crate) fn append(text: &mut String, delta: &Frame) {
    let length = u64::try_from(text.encode_utf16().count()).unwrap();
    assert_eq!(delta.payload["offset"].as_u64(), Some(length), "{delta:?} does not follow {text:?}");
    text.push_str(delta.payload["text"].as_str().unwrap());
}

/// Reads chunks of an answer until the text is `expected`.
pub(crate) async fn read_up_to(socket: &mut Socket, conversation: &str, expected: &str) {
    let mut text = String::new();
    while text != expected {
        append(&mut text, &socket.expect_in("message.delta", conversation).await);
        assert!(expected.starts_with(&text), "{text:?} is not a prefix of {expected:?}");
    }
}

#[tokio::test]
async fn answers_with_the_demo_model_if_no_provider_is_configured() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let question = anna.send_message(&chat, "Are you real?").await;
    let answer = begun(&mut socket, &chat).await;
    let mut text = String::new();
    append(&mut text, &socket.expect_in("message.delta", &chat).await);
    append(&mut text, &socket.expect_in("message.delta", &chat).await);
    let message = socket.expect_in("message.completed", &chat).await.payload["message"].clone();
    let content = message["content"].as_str().unwrap();
    assert!(content.starts_with(&text));
    assert!(content.contains("no AI provider yet") && content.contains("> Are you real?"), "{content}");
    assert_eq!(message["id"], json!(answer));
    assert_eq!(message["status"], "complete");
    assert_eq!(message["reply_to"], question["id"]);
    assert_eq!(message["model"], "demo");
}

/// Scenario for both kinds of provider: the answer is streamed, its tokens are counted, and the
/// next request contains it.
async fn talk(kind: UpstreamKind) {
    let mut chat = Chat::start(Setup::new(), kind).await;
    chat.upstream.then(Behaviour::step("Xin chào 👋 bạn"));
    let answer = chat.ask("Hello?").await;
    let mut text = String::new();
    for word in ["Xin ", "chào ", "👋 ", "bạn"] {
        chat.upstream.release(1);
        append(&mut text, &chat.socket.expect_in("message.delta", &chat.id).await);
        assert!(text.ends_with(word), "{text:?}");
    }
    let completed = chat.ended("message.completed").await;
    assert_eq!(completed["message"]["content"], "Xin chào 👋 bạn");
    assert_eq!(completed["message"], chat.message(&answer).await);

    chat.upstream.then(Behaviour::answer("Second."));
    chat.ask("And now?").await;
    chat.ended("message.completed").await;
    let asked = chat.upstream.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].key.as_deref(), Some("key-one"));
    let body = &asked[1].body;
    let turns: Vec<(&str, &str)> = match kind {
        UpstreamKind::OpenAi => {
            assert_eq!((&body["model"], &body["stream"]), (&json!("small"), &json!(true)));
            assert_eq!(body["messages"][0]["role"], "system");
            let turns = body["messages"].as_array().unwrap().iter().skip(1);
            turns.map(|turn| (turn["role"].as_str().unwrap(), turn["content"].as_str().unwrap())).collect()
        }
        UpstreamKind::Gemini => {
            assert_eq!(asked[1].path, "/v1beta/models/small:streamGenerateContent?alt=sse");
            assert!(body["systemInstruction"]["parts"][0]["text"].is_string());
            let turns = body["contents"].as_array().unwrap().iter();
            turns.map(|turn| (turn["role"].as_str().unwrap(), turn["parts"][0]["text"].as_str().unwrap())).collect()
        }
        UpstreamKind::Anthropic => {
            assert_eq!(asked[1].path, "/v1/messages");
            assert!(!body["system"].is_null());
            let turns = body["messages"].as_array().unwrap().iter();
            turns.map(|turn| (turn["role"].as_str().unwrap(), said(&turn["content"]))).collect()
        }
    };
    let own = if kind == UpstreamKind::Gemini { "model" } else { "assistant" };
    assert_eq!(turns, [("user", "Hello?"), (own, "Xin chào 👋 bạn"), ("user", "And now?")]);
}

/// Returns the text of a turn in Anthropic's format, which is a string or blocks.
fn said(content: &Value) -> &str {
    content.as_str().or(content[0]["text"].as_str()).unwrap()
}

#[tokio::test]
async fn answers_through_an_openai_compatible_provider() {
    talk(UpstreamKind::OpenAi).await;
}

#[tokio::test]
async fn answers_through_gemini() {
    talk(UpstreamKind::Gemini).await;
}

#[tokio::test]
async fn readers_can_stop_an_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    for over_the_socket in [false, true] {
        chat.upstream.then(Behaviour::stall("One two "));
        let answer = chat.ask("Count").await;
        read_up_to(&mut chat.socket, &chat.id, "One two ").await;
        if over_the_socket {
            let reply = chat.socket.request("generation.stop", json!({ "message_id": answer })).await;
            assert_eq!(reply.kind, "ack", "{reply:?}");
        } else {
            let _ = chat.anna.post(&format!("/r1/messages/{answer}/stop"), json!({})).await.data();
        }
        let message = chat.ended("message.completed").await["message"].clone();
        assert_eq!((&message["status"], &message["content"]), (&json!("stopped"), &json!("One two ")));
        // Stopping again changes nothing.
        let again = chat.anna.post(&format!("/r1/messages/{answer}/stop"), json!({})).await.data();
        assert_eq!(again["status"], "stopped");
        assert_eq!(chat.message(&answer).await, message);
    }
}

#[tokio::test]
async fn coalesces_the_chunks_of_a_fast_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let long = "word ".repeat(4_000);
    chat.upstream.then(Behaviour::answer(&long));
    chat.ask("Talk").await;
    let completed = chat.ended("message.completed").await;
    assert_eq!(completed["message"]["content"], long);
    let pieces = chat.socket.drain().await.into_iter().filter(|frame| frame.kind == "message.delta").count();
    // The provider sends 4,000 words one by one. The server sends a chunk every 40 ms, which is 500
    // chunks for an answer that takes 20 seconds.
    assert!(pieces <= 500, "{pieces} chunks");
}

#[tokio::test]
async fn a_regenerated_answer_keeps_its_position() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::answer("The first try."));
    let answer = chat.ask("Try").await;
    chat.ended("message.completed").await;
    chat.upstream.then(Behaviour::answer("The second try."));
    let again = chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    assert_eq!((&again["id"], &again["status"]), (&json!(answer), &json!("streaming")));
    let updated = chat.ended("message.updated").await;
    assert_eq!((&updated["message"]["status"], &updated["message"]["content"]), (&json!("streaming"), &json!("")));
    assert_eq!(chat.ended("message.completed").await["message"]["content"], "The second try.");
    let answers = chat.answers().await;
    assert_eq!(answers.len(), 1);
    assert_eq!((&answers[0]["id"], &answers[0]["content"]), (&json!(answer), &json!("The second try.")));
    // The request doesn't contain the answer that is being replaced.
    let asked = chat.upstream.asked();
    assert_eq!(asked[0].body["messages"], asked[1].body["messages"]);
}

#[tokio::test]
async fn answers_queued_questions_in_order() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    for word in ["one", "two", "three"] {
        chat.upstream.then(Behaviour::answer(&format!("Answer {word}.")));
    }
    let mut questions = Vec::new();
    for word in ["one", "two", "three"] {
        questions.push(chat.anna.send_message(&chat.id, &format!("Question {word}?")).await["id"].clone());
    }
    for word in ["one", "two", "three"] {
        let begun = begun(&mut chat.socket, &chat.id).await;
        let message = chat.ended("message.completed").await["message"].clone();
        assert_eq!((&message["id"], &message["content"]), (&json!(begun), &json!(format!("Answer {word}."))));
    }
    let answered: Vec<_> = chat.answers().await.iter().map(|answer| answer["reply_to"].clone()).collect();
    assert_eq!(answered, questions);
}

#[tokio::test]
async fn deleting_a_conversation_stops_its_running_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let open = "SELECT count(*) FROM jobs";
    chat.upstream.then(Behaviour::answer("The first."));
    chat.ask("Hello?").await;
    chat.ended("message.completed").await;
    // A conversation is deleted while an answer in it is being generated; an answer in another one
    // isn't affected.
    chat.upstream.then(Behaviour::step("Never seen again"));
    let lost = chat.ask("And?").await;
    chat.upstream.release(1);
    stored(&chat.anna, &lost, "Never ").await;
    assert_eq!(chat.anna.delete(&format!("/r1/conversations/{}", chat.id)).await.status, 200);
    chat.upstream.release(1);
    chat.upstream.release(1);
    wait_until_equal("number of open jobs", &0, || chat.app.database.number(open)).await;
    chat.anna.get(&format!("/r1/messages/{lost}")).await.refused(404, "not_found");
    chat.id = chat.anna.open_assistant().await;
    chat.ask("Still there?").await;
    chat.ended("message.completed").await;
}

#[tokio::test]
async fn limits_stop_and_regenerate_to_answers_in_the_callers_conversations() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let stranger = chat.app.sign_up("Mallory").await;
    let question = chat.anna.send_message(&chat.id, "Hello").await;
    let answer = begun(&mut chat.socket, &chat.id).await;
    chat.ended("message.completed").await;
    for verb in ["stop", "regenerate"] {
        let path = |id: &str| format!("/r1/messages/{id}/{verb}");
        stranger.post(&path(&answer), json!({})).await.refused(404, "not_found");
        let own = question["id"].as_str().unwrap();
        chat.anna.post(&path(own), json!({})).await.refused(409, "wrong_state");
        let nothing = support::new_id();
        chat.anna.post(&path(&nothing), json!({})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn in_a_group_an_assistant_answers_only_when_mentioned() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let (anna, ben, cara) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await);
    let new = json!({ "name": "Helper", "model": "large", "system_prompt": "Speak like a pirate." });
    let helper = anna.post("/r1/assistants", new).await.data_with(201);
    // An assistant is a member from the start, or is added later.
    let members = json!([ben.id, cara.id]);
    let new = json!({ "kind": "group", "title": "Team", "member_ids": members, "assistant_id": helper["id"] });
    let with_it = anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let joined = anna.open_group("Team", &[&ben, &cara]).await;
    let added = json!({ "assistant_id": helper["id"] });
    assert_eq!(anna.post(&format!("/r1/conversations/{joined}/members"), added).await.status, 201);
    for group in [with_it, joined] {
        answers_who_names_it(&upstream, &group, &anna, &ben, &cara).await;
    }
}

/// Tests a conversation of three users in which one of them mentions the assistant `Helper`.
async fn answers_who_names_it(upstream: &Upstream, group: &str, anna: &Member, ben: &Member, cara: &Member) {
    let before = upstream.asked().len();
    let mut socket = cara.connect().await;
    anna.send_message(group, "Nobody is named here, not even helper.").await;
    ben.send_message(group, "What do you say, @helper?").await;
    begun(&mut socket, group).await;
    let completed = socket.expect_in("message.completed", group).await;
    assert_eq!(completed.payload["message"]["sender"]["name"], "Helper");
    assert_eq!(completed.payload["message"]["model"], "large");
    let asked = upstream.asked();
    assert_eq!(asked.len(), before + 1);
    let body = &asked[before].body;
    assert_eq!(body["model"], "large");
    assert!(body["messages"][0]["content"].as_str().unwrap().starts_with("Speak like a pirate."));
    let said = "Anna: Nobody is named here, not even helper.\n\nBen: What do you say, @helper?";
    assert_eq!(body["messages"][1], json!({ "role": "user", "content": said }));
}

#[tokio::test]
async fn assistants_belong_to_their_workspace() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let own = anna.post("/r1/workspaces", json!({ "name": "Anna's" })).await.data_with(201);
    let new = json!({ "name": "Secretary", "workspace_id": own["id"] });
    let secretary = anna.post("/r1/assistants", new.clone()).await.data_with(201);
    let path = format!("/r1/assistants/{}", secretary["id"].as_str().unwrap());
    assert_eq!(anna.get(&path).await.data(), secretary);
    ben.get(&path).await.refused(404, "not_found");
    let listed = anna.get(&format!("/r1/assistants?workspace_id={}", own["id"].as_str().unwrap())).await.data();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["Quill", "Secretary"]);
    assert_eq!(listed["items"][0]["is_default"], true);

    anna.post("/r1/assistants", new).await.names_field("name");
    anna.post("/r1/assistants", json!({ "name": "Quill" })).await.names_field("name");
    anna.post("/r1/assistants", json!({ "name": " " })).await.names_field("name");
    anna.post("/r1/assistants", json!({ "name": "X", "model": "no-such-model" })).await.names_field("model");
    ben.post("/r1/assistants", json!({ "name": "X", "workspace_id": own["id"] })).await.refused(404, "not_found");
    let theirs = json!({ "kind": "assistant", "assistant_id": secretary["id"] });
    ben.post("/r1/conversations", theirs).await.names_field("assistant_id");
}

#[tokio::test]
async fn only_editors_of_an_assistant_read_its_instructions() {
    let app = Application::start().await;
    let (anna, ben, cara, dora) =
        (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await, app.sign_up("Dora").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201)["id"].clone();
    let members = format!("/r1/workspaces/{}/members", team.as_str().unwrap());
    for (person, role) in [(&ben, "member"), (&cara, "guest"), (&dora, "member")] {
        anna.post(&members, json!({ "user_id": person.id, "role": role })).await.data_with(201);
    }
    let new = json!({ "name": "Ada", "workspace_id": team, "system_prompt": "The code word is heron." });
    let made = ben.post("/r1/assistants", new).await.data_with(201);
    assert_eq!(made["system_prompt"], "The code word is heron.");
    let group = json!({ "kind": "group", "title": "All", "workspace_id": team, "member_ids": [anna.id, cara.id, dora.id], "assistant_id": made["id"] });
    ben.post("/r1/conversations", group).await.data_with(201);
    let path = format!("/r1/assistants/{}", made["id"].as_str().unwrap());
    let list = format!("/r1/assistants?workspace_id={}", team.as_str().unwrap());
    for (person, reads) in [(&anna, true), (&ben, true), (&dora, false), (&cara, false)] {
        let shown = person.get(&path).await.data();
        assert_eq!(shown["name"], "Ada");
        assert_eq!(shown["system_prompt"].is_string(), reads, "{}", person.email);
        let listed = person.get(&list).await.data()["items"][1].clone();
        assert_eq!(listed, shown);
    }
}

/// Waits until the stored text of a message is `expected`. Partial text is stored at least once a
/// second.
pub(crate) async fn stored(member: &Member, id: &str, expected: &str) {
    let stored = || async {
        let message = member.get(&format!("/r1/messages/{id}")).await.data();
        (message["status"].clone(), message["content"].clone())
    };
    wait_until_equal("status and text of the message", &(json!("streaming"), json!(expected)), stored).await;
}
