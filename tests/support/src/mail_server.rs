//! SMTP server that records the emails it receives.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::place::{PATIENCE, free_port};

/// SMTP server: Nodemailer's `smtp-server` as a separate process. It rejects addresses that start
/// with `refused`.
pub struct MailServer {
    port: u16,
    /// Certificate and key, if the server offers STARTTLS.
    identity: Option<[PathBuf; 2]>,
    child: Option<Child>,
    mails: Arc<Mutex<Vec<Mail>>>,
    count: watch::Receiver<usize>,
    told: Arc<watch::Sender<usize>>,
}

/// Received email, decoded.
#[derive(Clone, Debug)]
pub struct Mail(pub Value);

impl MailServer {
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// Starts a server that offers STARTTLS.
    pub async fn start_with(certificate: &Path, key: &Path) -> Self {
        Self::with(Some([certificate.to_owned(), key.to_owned()])).await
    }

    async fn with(identity: Option<[PathBuf; 2]>) -> Self {
        let (told, count) = watch::channel(0);
        let told = Arc::new(told);
        let mut server = Self { port: free_port(), identity, child: None, mails: Arc::default(), count, told };
        server.start_again().await;
        server
    }

    /// Returns the value for the setting `mail.smtp_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Returns the value for the setting `mail.smtp_url`, with credentials.
    #[must_use]
    pub fn url_with_password(&self) -> String {
        format!("smtp://ann:hunter22@127.0.0.1:{}", self.port)
    }

    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("running");
        }
    }

    /// Starts the server again on the same port, after [`Self::stop`].
    pub async fn start_again(&mut self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mail");
        assert!(folder.join("node_modules").exists(), "npm install in tests/mail first; scripts/test does it");
        let mut child = Command::new("node")
            .arg("server.mjs")
            .arg(self.port.to_string())
            .args(self.identity.iter().flatten())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("started in time");
        assert!(
            first.is_ok_and(|line| line.is_some_and(|line| line.contains("listening"))),
            "the mail server does not listen"
        );
        let (mails, told) = (Arc::clone(&self.mails), Arc::clone(&self.told));
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mail = Mail(serde_json::from_str(&line).expect("each line is JSON"));
                let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails.push(mail);
                told.send_replace(mails.len());
            }
        });
        self.child = Some(child);
    }

    /// Returns the emails to this address that were received up to now.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.iter().filter(|mail| mail.is_to(address)).cloned().collect()
    }

    /// Waits for the first email to this address that contains `text`.
    pub async fn mail_with(&self, address: &str, text: &str) -> Mail {
        let mut count = self.count.clone();
        let found = async {
            loop {
                count.borrow_and_update();
                if let Some(mail) = self.mails_to(address).into_iter().find(|mail| mail.text().contains(text)) {
                    return mail;
                }
                count.changed().await.expect("server reachable");
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no mail with {text:?} to {address}, but {:?}", self.mails_to(address)))
    }
}

impl Mail {
    #[must_use]
    pub fn is_to(&self, address: &str) -> bool {
        self.0["to"].as_array().is_some_and(|to| to.iter().any(|to| to == address))
    }

    #[must_use]
    pub fn subject(&self) -> &str {
        self.0["subject"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn text(&self) -> &str {
        self.0["text"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn html(&self) -> &str {
        self.0["html"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    /// Returns the token of the link to this page. The link must occur once in the text and once in
    /// the HTML.
    #[must_use]
    #[track_caller]
    pub fn token(&self, page: &str) -> String {
        token(self.text(), page).unwrap_or_else(|| panic!("no link to {page} in {}", self.text()))
    }
}

/// Returns the value that follows `/PAGE?token=` in a text.
pub(crate) fn token(text: &str, page: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("/{page}?token="))?;
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    Some(rest.chars().take_while(|character| is_part(*character)).collect())
}
