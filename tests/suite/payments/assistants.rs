//! Cost of assistants: the amounts in the provider's requests, the usage, the answers and the
//! ledger agree.

use reqwest::Method;
use support::{Application, Behaviour, Member, Setup, Socket, Upstream, UpstreamKind, Value, json, new_id, wait_until};

use super::adds_up;
use crate::uploads::{pictures::png, voice::WEBM};

/// Prices of models, in micro-credits per input token and per output token.
const PRICES: [(&str, i64, i64); 3] = [("small", 2, 3), ("gpt-5-mini", 5, 7), ("embed-words", 11, 0)];
/// Number of input tokens that the provider reports per question and per embedding request.
const READ: i64 = 7;
const GIVEN: i64 = 1_000_000_000;
const HANDBOOK: &str = "# Leave\n\nEverybody has twenty-five days of leave each year.\n";

/// Anna, who has credits, and her chat with an assistant that has files and a calculator.
struct Stage {
    app: Application,
    upstream: Upstream,
    anna: Member,
    assistant: String,
    chat: String,
    socket: Socket,
}

impl Stage {
    async fn start() -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let setup = Setup::new().provider(&upstream).set("ai.providers.fake.models", "small,gpt-5-mini,embed-words");
        let setup = setup.set("knowledge.model", "embed-words").set("ai.transcription_model", "small");
        let app = setup.set("payment.demo.enabled", true).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        for (model, input, output) in PRICES {
            let price = json!({ "input": input * 1_000_000, "output": output * 1_000_000 });
            admin.put(&format!("/r1/admin/models/{model}"), json!({ "price": price })).await.data();
        }
        let present = json!({ "user_id": anna.id, "amount": GIVEN, "reason": "A present" });
        admin.post("/r1/admin/credits", present).await.data();
        let team = anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201)["id"].clone();
        let tools = format!("/r1/workspaces/{}/tools", team.as_str().unwrap());
        let own = anna.patch(&tools, json!({ "modes": { "calculate": "auto" } })).await.data()["server_id"].clone();
        let given = json!([{ "server_id": own, "tools": null }]);
        let new = json!({ "name": "Ada", "tools_enabled": true, "tools": given, "workspace_id": team });
        let made = anna.post("/r1/assistants", new).await.data_with(201);
        let new = json!({ "kind": "assistant", "assistant_id": made["id"], "workspace_id": team });
        let chat = anna.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned();
        let socket = anna.connect().await;
        let assistant = made["id"].as_str().unwrap().to_owned();
        Self { app, upstream, anna, assistant, chat, socket }
    }

    /// Adds a file to the assistant, waits until it is indexed and returns it.
    async fn give_handbook(&self) -> Value {
        let path = format!("/r1/assistants/{}/knowledge", self.assistant);
        let upload = self.anna.upload("handbook.md", "text/markdown", HANDBOOK).await;
        self.anna.post(&path, json!({ "upload_id": upload["id"] })).await.data_with(201);
        let file = async || self.anna.get(&path).await.data()["files"][0].clone();
        wait_until("the file is indexed", async || file().await["state"] == "ready").await;
        file().await
    }

    async fn ask(&mut self, model: &str, question: &str, uploads: &[&Value]) -> Value {
        let ids: Vec<&Value> = uploads.iter().map(|upload| &upload["id"]).collect();
        let body = json!({ "client_id": new_id(), "content": question, "attachment_ids": ids, "model": model });
        self.anna.post(&format!("/r1/conversations/{}/messages", self.chat), body).await.data_with(201);
        self.socket.expect_in("message.completed", &self.chat).await.payload["message"].clone()
    }

    /// Number of requests to the provider whose paths end with this suffix.
    fn asked(&self, end: &str) -> i64 {
        let asked = self.upstream.asked();
        i64::try_from(asked.iter().filter(|asked| asked.path.ends_with(end)).count()).unwrap()
    }

    async fn credits(&self) -> Value {
        self.anna.get("/r1/usage").await.data();
        self.anna.get("/r1/entitlements/me").await.data()["credits"].clone()
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        self.anna.get(path).await.data()["items"].as_array().unwrap().clone()
    }
}

/// Adds up an integer field of the items.
fn sum<'a>(items: impl IntoIterator<Item = &'a Value>, field: &str) -> i64 {
    items.into_iter().map(|item| item[field].as_i64().unwrap_or_else(|| panic!("{field} in {item}"))).sum()
}

#[tokio::test]
async fn usage_and_ledger_agree_for_pictures_files_voice_knowledge_and_tools() {
    let mut stage = Stage::start().await;
    let handbook = stage.give_handbook().await;
    let picture = stage.anna.upload("chart.png", "image/png", png(600, 400)).await;
    let plan = stage.anna.upload("plan.txt", "text/plain", "We sail at eight.").await;
    stage.upstream.then(Behaviour::answer("One two three."));
    let seen = stage.ask("gpt-5-mini", "What is it?", &[&picture]).await;
    stage.upstream.then(Behaviour::answer("At eight o'clock sharp."));
    let read = stage.ask("small", "When do we sail?", &[&plan]).await;
    stage.upstream.then(Behaviour::call_tool("Natter__calculate", json!({ "expression": "1 + 1" })));
    stage.upstream.then(Behaviour::answer("It is two."));
    let calculated = stage.ask("small", "How much leave is one day and one more?", &[]).await;
    assert_eq!(calculated["tool_calls"].as_array().map(Vec::len), Some(1), "{calculated}");
    let dictated =
        stage.anna.request(Method::POST, "/r1/transcriptions").header("content-type", "audio/webm").body(WEBM);
    stage.anna.send(dictated).await.data();

    let listed = "/r1/usage/requests?page_size=100";
    wait_until("all usage is booked", async || {
        let of = async |endpoint: &str| {
            let rows = stage.items(listed).await;
            i64::try_from(rows.iter().filter(|row| row["endpoint"] == endpoint).count()).unwrap()
        };
        stage.credits().await["held"] == 0
            && of("transcriptions").await == 1
            && of("embeddings").await == stage.asked("/embeddings")
    })
    .await;
    let rows = stage.items(listed).await;
    for row in &rows {
        let (_, input, output) = PRICES.into_iter().find(|(model, ..)| row["asked_model"] == *model).unwrap();
        let cost = sum([row], "input_tokens") * input + sum([row], "output_tokens") * output;
        assert_eq!((&row["cost"], &row["cached_tokens"]), (&json!(cost), &json!(0)), "{row}");
    }
    let of = |endpoint: &'static str| rows.iter().filter(move |row| row["endpoint"] == endpoint);
    // Compares with what the provider has counted.
    assert_eq!(stage.asked("/chat/completions"), 4);
    assert_eq!(sum(of("assistant"), "input_tokens"), 4 * READ);
    assert_eq!(sum(of("assistant"), "output_tokens"), 3 + 4 + 1 + 3);
    assert!(stage.asked("/embeddings") > 1, "the file and the questions");
    assert_eq!(sum(of("embeddings"), "input_tokens"), stage.asked("/embeddings") * READ);
    // Compares with the costs recorded for the answers and the file.
    let answers = [seen, read, calculated].map(|message| message["answer"].clone());
    assert_eq!(sum(&answers, "cost"), sum(of("assistant"), "cost"));
    assert_eq!(handbook["cost"], READ * 11, "the file was embedded once");

    let total = sum(&rows, "cost");
    assert_eq!(sum(&stage.items("/r1/usage?group=day").await, "cost"), total);
    let entries = stage.items("/r1/ledger?page_size=100").await;
    let settled = entries.iter().filter(|entry| entry["kind"] == "settle");
    assert_eq!(sum(settled, "amount"), -total, "{entries:?}");
    let left = stage.credits().await;
    assert_eq!((&left["balance"], &left["owed"]), (&json!(GIVEN - total), &json!(0)));
    adds_up(&stage.app).await;
}
