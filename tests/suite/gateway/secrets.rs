//! API keys and the text of messages are not logged, at any log level.

use reqwest::Method;

use super::*;

const PROVIDER_KEY: &str = "provider-key-4f1c9d";
const ASKED: &str = "asked-8d2e71";
const ANSWERED: &str = "answered-b36a05";

#[tokio::test]
async fn keeps_keys_and_message_text_out_of_the_log() {
    for kind in UpstreamKind::ALL {
        let setup = Setup::new().log("trace").set("ai.idle_timeout", "2");
        let upstream = Upstream::start(kind).await;
        let app = setup.provider(&upstream).set("ai.providers.fake.keys", PROVIDER_KEY).start().await;
        let anna = app.sign_up("Anna").await;
        let program = anna.program(&["gateway"]).await;
        let said = format!("{ANSWERED} {ANSWERED} ");
        let refusal = json!({ "type": "error", "error": { "message": format!("{ASKED} {PROVIDER_KEY}"), "type": ASKED, "code": ASKED, "param": ASKED, "status": ASKED } });
        let behaviours = [
            Behaviour::answer(&said),
            Behaviour::call_tool(ANSWERED, json!({ "city": ANSWERED })),
            Behaviour::cut(&said),
            Behaviour::garbage(&said),
            Behaviour::fail(&said),
            Behaviour::Frames(vec![refusal.clone()]),
            Behaviour::Body(refusal),
            Behaviour::Body(json!(ANSWERED)),
            Behaviour::Refuse(400, None),
        ];
        for behaviour in behaviours {
            upstream.always(behaviour);
            for style in API_STYLES {
                for stream in [true, false] {
                    let mut body = asked_at(style, stream);
                    body["user"] = json!(ASKED);
                    match style {
                        "/v1/responses" => body["input"] = json!(ASKED),
                        _ => body["messages"][0]["content"] = json!(ASKED),
                    }
                    program.post(style, body).await;
                }
            }
        }
        // Input that can't be parsed isn't logged either.
        let key = program.access_token().to_owned();
        for style in API_STYLES {
            for body in [
                format!("{{\"model\":\"small\",\"messages\":\"{ASKED}\""),
                format!("{{\"model\":{{\"{ASKED}\":1}}}}"),
                json!({ "model": "small", "input": [ASKED], "messages": [ASKED] }).to_string(),
            ] {
                let request = program.request(Method::POST, style).header("x-api-key", &key).body(body);
                program.send(request).await;
            }
        }
        program.post("/v1/embeddings", json!({ "model": "small", "input": ASKED })).await;
        let form = format!(
            "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nsmall\r\n--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{ASKED}\r\n\
            --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{ASKED}.wav\"\r\n\r\n{ASKED}\r\n--b--\r\n"
        );
        let request = program
            .request(Method::POST, "/v1/audio/transcriptions")
            .header("content-type", "multipart/form-data; boundary=b");
        program.send(request.body(form)).await;
        upstream.always(Behaviour::Refuse(401, None));
        program.post(API_STYLES[0], question(false)).await;
        app.admin().await.post("/r1/admin/providers/fake/test", json!({})).await;

        let log = app.instances[0].log();
        assert!(log.iter().any(|line| line.contains("TRACE") || line.contains("trace")), "the log level is trace");
        let secret = key.trim_start_matches("nk_");
        for word in [PROVIDER_KEY, ASKED, ANSWERED, secret, &secret[secret.len() - 12..], anna.access_token()] {
            let told: Vec<&String> = log.iter().filter(|line| line.contains(word)).take(3).collect();
            assert!(told.is_empty(), "{kind:?}: {word} was logged: {told:?}");
        }
    }
}
