//! Full disk: writes are refused with a reason, reads continue, and the server recovers.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Engine, Member, PASSWORD, Setup, json, new_id, wait_until};
use tempfile::TempDir;

/// Small file system for a test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts the file system; `None` if this machine allows no mounts.
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("natter-disk").tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the remaining space.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        for size in [1024 * 1024, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Unmounts lazily, because a killed server may still have open files.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let Some(disk) = SmallDisk::mount(64) else {
        eprintln!("mounting is not permitted: skipped");
        return;
    };
    let place = disk.path().display().to_string();
    let app = Setup::new()
        .on(Engine::Sqlite)
        .from_nothing()
        .set("database.url", format!("sqlite://{place}/natter.db"))
        .set("server.data_dir", &place)
        .set("uploads.url", format!("{place}/uploads"))
        .set("server.min_free_bytes", 0)
        .start()
        .await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    assert_eq!(anna.get("/health").await.body["status"], "ok");

    // SQLite may reuse free space within its write-ahead log. Writes fail only when that is used up
    // as well.
    let mut sent = 1;
    let refused = loop {
        disk.fill();
        let answer = anna.send_as(&chat, &new_id(), &"x".repeat(4_000)).await;
        if answer.status != 201 {
            break answer;
        }
        sent += 1;
        assert!(sent < 2_000, "the disk did not fill up");
    };
    refused.refused(507, "storage_full");
    assert!(refused.body["message"].as_str().unwrap().contains("storage is full"), "{refused:?}");
    let mut socket = ben.connect().await;
    let answer = loop {
        disk.fill();
        let payload = json!({ "conversation_id": chat, "client_id": new_id(), "content": "x".repeat(4_000) });
        let answer = socket.request("message.send", payload).await;
        if answer.kind != "ack" {
            break answer;
        }
        sent += 1;
        assert!(sent < 4_000, "the disk did not fill up");
    };
    assert_eq!((answer.kind.as_str(), &answer.payload["code"]), ("error", &json!("storage_full")));
    let mut names = 0;
    let refused = loop {
        disk.fill();
        let answer = anna.patch("/r1/users/me", json!({ "display_name": format!("Anna {names}") })).await;
        if answer.status != 200 {
            break answer;
        }
        names += 1;
        assert!(names < 500, "the disk did not fill up");
    };
    refused.refused(507, "storage_full");
    disk.fill();
    let upload = anna.uploading("a.bin", "application/octet-stream", vec![7; 2_000_000]);
    anna.send(upload).await.refused(507, "storage_full");
    // Reads still work.
    assert_eq!(anna.history(&chat).await.len(), sent);
    anna.get("/r1/conversations").await.data();
    let health = anna.get("/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("degraded")), "{health:?}");
    assert!(health.body["reasons"][0].as_str().unwrap().contains("full"), "{health:?}");
    // The doctor reports the cause alone, not what follows from it.
    let doctor = app.command(&["doctor"]).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let faults: Vec<&str> = said.lines().filter(|line| line.starts_with("FAULT")).collect();
    assert!(faults.len() == 1 && faults[0].contains("The disk is full"), "{said}");

    fs::remove_file(disk.filler()).unwrap();
    let client_id = new_id();
    wait_until("messages are accepted again", || async {
        matches!(anna.send_as(&chat, &client_id, "after").await.status, 200 | 201)
    })
    .await;
    anna.patch("/r1/users/me", json!({ "display_name": "Anna again" })).await.data();
    anna.upload("b.bin", "application/octet-stream", vec![7; 2_000_000]).await;
    wait_until("the server is healthy", || async { anna.get("/health").await.body["status"] == "ok" }).await;
    assert_eq!(anna.history(&chat).await.len(), sent + 1);
    // The incident could not be recorded while the disk was full. Now it is recorded, with its end.
    let admin = app.command(&["admin", "create", "--email", "root@example.test", "--password", PASSWORD]).await;
    assert!(admin.status.success(), "{admin:?}");
    let admin = Member::sign_in(&app.url(), "root@example.test", PASSWORD).await;
    wait_until("the incident is reported", || async {
        let figures = admin.get("/r1/admin/figures").await.data();
        let incidents = figures["incidents"].as_array().unwrap();
        incidents.iter().any(|incident| {
            incident["kind"] == "storage"
                && !incident["ended_at"].is_null()
                && incident["impact"].as_i64().is_some_and(|refused| refused >= 1)
        })
    })
    .await;
}
