//! Digest email about notifications that were not read.

use support::{Application, MailServer, Member, Setup, json, wait_until};

use super::{channel, mention, until_listed};

/// Makes all notifications ten minutes older.
pub(super) async fn later(app: &Application) {
    app.database.run("UPDATE notifications SET created_at = created_at - 600000").await;
    app.database.run("UPDATE jobs SET due_at = 0 WHERE kind = 'missed_mail'").await;
}

pub(super) async fn verified(app: &Application, server: &MailServer, name: &str) -> Member {
    let member = app.sign_up(name).await;
    let mail = server.mail_with(&member.email, "/verify-email?token=").await;
    let token = mail.token("verify-email");
    member.post("/r1/auth/verify-email", json!({ "token": token })).await.data();
    member
}

pub(super) async fn asked(app: &Application) -> i64 {
    app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'missed_mail'").await
}

#[tokio::test]
async fn mails_missed_notifications_in_one_digest() {
    let server = MailServer::start().await;
    let app = Setup::new().set("mail.smtp_url", server.url()).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, verified(&app, &server, "Ben").await);
    ben.patch("/r1/notifications/settings", json!({ "mail_after_minutes": 5 })).await.data();
    let (chat, muted) = (channel(&anna, &[&ben]).await, channel(&anna, &[&ben]).await);
    let own = format!("/r1/conversations/{muted}/own");
    ben.patch(&own, json!({ "muted_until": "2030-01-01T00:00:00.000Z" })).await.data();
    mention(&anna, &muted, "muted away", &[&ben]).await;
    mention(&anna, &chat, "the **first** thing", &[&ben]).await;
    mention(&anna, &chat, "the second thing", &[&ben]).await;
    let edited = mention(&anna, &chat, "deleted meanwhile", &[&ben]).await;
    let read = anna.open_single(&ben).await;
    let message = anna.send_message(&read, "read meanwhile").await;
    let what = "all of them are known";
    wait_until(what, || async { ben.get("/r1/notifications?unread=true").await.data()["total"] == 5 }).await;
    assert_eq!(asked(&app).await, 1, "one digest for all");
    ben.post(&format!("/r1/conversations/{read}/read"), json!({ "seq": message["seq"] })).await.data();
    anna.delete(&format!("/r1/messages/{}", edited["id"].as_str().unwrap())).await.data();
    let left = [("mention", "the second thing"), ("mention", "the first thing"), ("mention", "muted away")];
    until_listed(&ben, "unread=true", &left).await;
    later(&app).await;
    let mail = server.mail_with(&ben.email, "the second thing").await;
    for part in [mail.text(), mail.html()] {
        assert!(part.contains("the first thing"), "{part}");
        assert!(part.contains("To reply, open Natter"), "{part}");
        for gone in ["muted away", "deleted meanwhile", "read meanwhile"] {
            assert!(!part.contains(gone), "{gone}: {part}");
        }
    }
    assert!(mail.subject().starts_with("2 unread"), "{}", mail.subject());
    // The link in the email unsubscribes with one click, without signing in.
    assert_eq!(mail.header("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
    let url = mail.header("list-unsubscribe").trim_matches(['<', '>']).to_owned();
    let path = url.strip_prefix(&app.url()).unwrap().to_owned();
    // No notification is emailed twice. The job of the first digest ends after its email was sent.
    wait_until("the first one is done with", || async { asked(&app).await == 0 }).await;
    mention(&anna, &chat, "the third thing", &[&ben]).await;
    wait_until("another one is asked for", || async { asked(&app).await == 1 }).await;
    later(&app).await;
    let second = server.mail_with(&ben.email, "the third thing").await;
    assert!(!second.text().contains("the first thing"), "{}", second.text());
    let caller = app.anonymous();
    let click = caller.request(reqwest::Method::POST, &path);
    let click = click.header("content-type", "application/x-www-form-urlencoded").body("List-Unsubscribe=One-Click");
    caller.send(click).await.data();
    assert_eq!(ben.get("/r1/notifications/settings").await.data()["mail_after_minutes"], json!(null));
    caller.post("/r1/notifications/unsubscribe?token=nobody's", json!({})).await.data();
}
