use support::{Value, json, new_id};

use crate::endpoints::{Args, SampleCall, plain, sample};

fn new_model() -> Value {
    json!({ "deployments": [{ "provider": "demo", "model": "demo" }] })
}

fn new_budget() -> Value {
    json!({ "limit": 1_000_000_000, "period": "month" })
}

fn new_model_list() -> Value {
    json!({ "models": ["demo"] })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [administration(), super::service_accounts::sample_calls(), programs()].into_iter().flatten().collect()
}

fn administration() -> Vec<SampleCall> {
    vec![
        plain(&["ListModels", "ListGatewayModels", "ListBudgets", "ListModelLists", "ListProviders"]),
        plain(&["ReadUsage", "ListUsageRequests", "ExportUsageRequests"]),
        // No request has this id.
        sample(&["ExplainUsageRequest"], async |_| Args::default().with("request_id", "none")),
        sample(&["PutGatewayModel"], async |_| Args::body(new_model()).with("name", format!("model-{}", new_id()))),
        sample(&["FindGatewayModel", "RemoveGatewayModel"], async |world| {
            let name = format!("model-{}", new_id());
            world.admin.put(&format!("/r1/admin/models/{name}"), new_model()).await.data_with(200);
            Args::default().with("name", name)
        }),
        sample(&["PutBudget"], async |world| Args::id(&world.third.id).with("scope", "user").with_body(new_budget())),
        sample(&["LiftBudget"], async |world| {
            let path = format!("/r1/admin/budgets/user/{}", world.third.id);
            world.admin.put(&path, new_budget()).await.data_with(200);
            Args::id(&world.third.id).with("scope", "user")
        }),
        sample(&["PutModelList"], async |world| {
            Args::id(&world.third.id).with("scope", "user").with_body(new_model_list())
        }),
        sample(&["LiftModelList"], async |world| {
            let path = format!("/r1/admin/model_lists/user/{}", world.third.id);
            world.admin.put(&path, new_model_list()).await.data_with(200);
            Args::id(&world.third.id).with("scope", "user")
        }),
        // The name is that of the built-in provider, so the call passes the access checks but the
        // provider stays in use.
        sample(&["AddProvider"], async |_| {
            Args::body(json!({ "name": "demo", "kind": "openai", "models": ["small"] }))
        }),
        // No provider has this name.
        sample(&["RemoveProvider", "TestProvider", "ReviveProviderKey"], async |_| Args::id("0").with("name", "none")),
        sample(&["ForgetLearnedSettings"], async |_| Args::body(json!({ "model": "small" })).with("name", "none")),
        sample(&["ChangeProvider"], async |_| Args::body(json!({ "models": ["small"] })).with("name", "none")),
        sample(&["RestProviderKey"], async |_| Args::id("0").with("name", "none").with_body(json!({ "seconds": 60 }))),
    ]
}

fn programs() -> Vec<SampleCall> {
    vec![
        plain(&["ListV1Models", "ListOllamaModels", "ListRunningOllamaModels", "ShowOllamaVersion"]),
        sample(&["ShowOllamaModel"], async |_| Args::body(json!({ "model": "demo" }))),
        sample(&["CreateOllamaChat"], async |_| {
            Args::body(json!({ "model": "demo", "messages": [{ "role": "user", "content": "Hello" }] }))
        }),
        sample(&["GenerateOllamaText", "CreateOllamaEmbedding"], async |_| {
            Args::body(json!({ "model": "demo", "prompt": "Hello" }))
        }),
        sample(&["CreateOllamaEmbeddings"], async |_| Args::body(json!({ "model": "demo", "input": "Hello" }))),
        sample(&["ShowV1Model"], async |_| Args::id("demo")),
        sample(&["CompleteChat", "CountTokens", "CreateMessage", "CreateResponse"], async |_| {
            let messages = json!([{ "role": "user", "content": "Hello" }]);
            Args::body(json!({ "model": "demo", "max_tokens": 9, "messages": messages }))
        }),
        // No response has this id.
        sample(&["ShowResponse", "DeleteResponse", "ListInputItems", "CancelResponse"], async |_| Args::id("resp_0")),
        sample(&["CountResponseTokens", "CompactConversation"], async |_| {
            Args::body(json!({ "model": "demo", "input": "Hello" }))
        }),
        plain(&["ListGeminiModels"]),
        sample(&["ShowGeminiModel"], async |_| Args::id("demo")),
        sample(&["CallGeminiModel", "CallGeminiModelV1"], async |_| {
            let contents = json!([{ "role": "user", "parts": [{ "text": "Hello" }] }]);
            Args::id("demo:generateContent").with_body(json!({ "contents": contents }))
        }),
        sample(&["CreateEmbeddings"], async |_| Args::body(json!({ "model": "demo", "input": "Hello" }))),
        sample(&["CreateCompletion"], async |_| Args::body(json!({ "model": "demo", "prompt": "Hello" }))),
        sample(&["RankDocuments", "RankDocumentsV2"], async |_| {
            Args::body(json!({ "model": "demo", "query": "Hello", "documents": ["Hello"] }))
        }),
        sample(&["CreateModeration"], async |_| Args::body(json!({ "model": "demo", "input": "Hello" }))),
        sample(&["CreateImages"], async |_| Args::body(json!({ "model": "demo", "prompt": "Hello" }))),
        sample(&["CreateSpeech"], async |_| Args::body(json!({ "model": "demo", "input": "Hello", "voice": "alloy" }))),
        plain(&["ListGatewayFiles", "ListBatches", "ListMessageBatches"]),
        // There is no such file or batch, so the call passes the access checks and changes nothing.
        sample(&["ShowFile", "DeleteFile", "ReadFileContent"], async |_| Args::id("file-0")),
        sample(&["ShowBatch", "CancelBatch"], async |_| Args::id("batch_0")),
        sample(&["ShowMessageBatch", "CancelMessageBatch"], async |_| Args::id("msgbatch_0")),
        sample(&["DeleteMessageBatch", "ReadMessageBatchResults"], async |_| Args::id("msgbatch_0")),
        sample(&["CreateBatch"], async |_| {
            let endpoint = "/v1/chat/completions";
            Args::body(json!({ "input_file_id": "file-0", "endpoint": endpoint, "completion_window": "24h" }))
        }),
        sample(&["CreateMessageBatch"], async |_| {
            let messages = json!([{ "role": "user", "content": "Hello" }]);
            let params = json!({ "model": "demo", "max_tokens": 9, "messages": messages });
            Args::body(json!({ "requests": [{ "custom_id": "one", "params": params }] }))
        }),
        // The body isn't a form, so the call passes the access checks and is then refused.
        sample(&["EditImages", "Transcribe", "TranslateRecording", "CreateFile"], async |_| Args::body(json!({}))),
    ]
}
