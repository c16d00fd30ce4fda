//! Concurrent deletion and sending of files.

mod cluster {
    use std::time::Duration;

    use appcore::Clock;
    use support::{Answer, Engine, Member, Setup, Stop, Value, json, new_id};
    use tokio::task::JoinHandle;

    use super::super::{address, stored};

    /// Kinds of content that may contain a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Carrier {
        Message,
        Scheduled,
    }

    fn send(by: &Member, chat: &str, carrier: Carrier, file: &Value) -> JoinHandle<Answer> {
        let mut body = json!({ "client_id": new_id(), "content": "x", "attachment_ids": [file["id"]] });
        if carrier == Carrier::Scheduled {
            body["send_at"] = json!(Clock::system().now().plus(Duration::from_secs(3_600)).to_string());
        }
        let (by, path) = (by.clone(), format!("/r1/conversations/{chat}/messages"));
        tokio::spawn(async move { by.post(&path, body).await })
    }

    fn remove(by: &Member, file: &Value) -> JoinHandle<Answer> {
        let (by, path) = (by.clone(), format!("/r1/uploads/{}", file["id"].as_str().unwrap()));
        tokio::spawn(async move { by.delete(&path).await })
    }

    #[tokio::test]
    async fn deleting_and_sending_an_upload_are_mutually_exclusive() {
        let app = Setup::new().on(Engine::Postgres).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        for (carrier, table, accepted) in
            [(Carrier::Message, "message_uploads", 201), (Carrier::Scheduled, "scheduled_uploads", 202)]
        {
            let file = anna.upload("a.txt", "text/plain", "our plan").await;
            let stopped =
                app.database.stop("UPDATE", "uploads", "NEW.removed_at IS NOT NULL", Stop::BeforeCommit).await;
            let removing = remove(&anna, &file);
            stopped.reached().await;
            let sending = send(&anna, &chat, carrier, &file);
            stopped.waited_for().await;
            stopped.end().await;
            sending.await.unwrap().names_field("attachment_ids");
            removing.await.unwrap().data();
            anna.get(&address(&file)).await.refused(404, "not_found");

            let before = stored(&app).len();
            let file = anna.upload("b.txt", "text/plain", "our plan").await;
            let stopped = app.database.stop("INSERT", table, "true", Stop::BeforeCommit).await;
            let sending = send(&anna, &chat, carrier, &file);
            stopped.reached().await;
            let removing = remove(&anna, &file);
            stopped.waited_for().await;
            stopped.end().await;
            sending.await.unwrap().data_with(accepted);
            let removed = removing.await.unwrap();
            assert!(removed.status < 500, "{carrier:?} {removed:?}");
            assert_eq!(anna.get(&address(&file)).await.text(), "our plan", "{carrier:?}");
            assert_eq!(stored(&app).len(), before + 1, "{carrier:?}");
        }
    }
}
