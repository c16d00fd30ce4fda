//! Settings of uploads, of the search engine and of backups.

use natter_macro::Settings;
use serde::Deserialize;
use url::Url;

use crate::secret::Secret;

/// Files that people upload.
/// A search engine of the operator's, where messages are found by it.
#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("search")]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// A Meilisearch that messages are found by. Not set: by an index beside the SQLite database, or in PostgreSQL.
    #[setting(Url(&["http", "https"]), example = "http://meilisearch.internal:7700")]
    #[serde(default)]
    pub url: Option<Url>,
    /// Its key: for indexes, their settings and documents, search and tasks.
    #[setting(Credential, example = "…")]
    #[serde(default)]
    pub key: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("uploads")]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// Where files are kept: a folder, or s3://bucket/prefix. Several instances (redis.url) need one that all of them reach. Not set: uploads in server.data_dir.
    #[setting(Text, example = "s3://natter-files")]
    #[serde(default)]
    pub url: Option<String>,
    /// Where the S3 store is, unless it is Amazon's.
    #[setting(Url(&["http", "https"]), example = "https://minio.example.org")]
    #[serde(default)]
    pub s3_endpoint: Option<Url>,
    /// Region of the S3 store. Not set: as AWS_REGION says.
    #[setting(Text, example = "eu-central-1")]
    #[serde(default)]
    pub s3_region: Option<String>,
    /// Key of the S3 store. Not set: as AWS_ACCESS_KEY_ID, or the machine that this runs on, says.
    #[setting(Credential, example = "AKIA…")]
    #[serde(default)]
    pub s3_access_key_id: Option<Secret>,
    /// The secret that belongs to it.
    #[setting(Credential, example = "…")]
    #[serde(default)]
    pub s3_secret_access_key: Option<Secret>,
    /// Bytes of a file at most.
    #[setting(Number(1_024, 1_099_511_627_776), default = 104_857_600)]
    pub max_bytes: usize,
    /// Bytes that the files in a workspace's conversations may have together; 0: no limit.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 0)]
    pub workspace_bytes: i64,
    /// Bytes that all files and texts of a person may have together; 0: no limit.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 10_737_418_240)]
    pub user_bytes: i64,
    /// Bytes that the notes, drafts, scheduled messages, prompts, tasks and instructions of a person may have together; 0: no limit.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 67_108_864)]
    pub text_bytes: i64,
    /// Bytes that somebody's files may have together which were sent in no message yet; they are deleted after a day.
    #[setting(Number(1_024, 1_152_921_504_606_846_976), default = 1_073_741_824)]
    pub unsent_bytes: i64,
    /// Types of files that nobody may upload, by content as by claim. Not set: every type may be.
    #[setting(Texts, example = "application/x-msdownload,video/*")]
    #[serde(default)]
    pub refused_types: Vec<String>,
}

impl Uploads {
    /// Whether nobody may upload files of this type.
    #[must_use]
    pub fn refuses(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.refused_types.iter().any(|refused| match refused.strip_suffix("/*") {
            Some(family) => essence.split('/').next() == Some(family),
            None => essence == *refused,
        })
    }
}

/// Backups that the server makes by itself, on SQLite.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("backup")]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Hours from one backup to the next that the server makes by itself (SQLite only: PostgreSQL has its own). 0: it makes none.
    #[setting(Number(0, 8_760), default = 0)]
    pub every_hours: u32,
    /// Backups that are kept; older ones are deleted.
    #[setting(Number(1, 10_000), default = 7)]
    pub keep: usize,
    /// Where they are put: a folder on another disk, or s3://bucket/prefix with the credentials of uploads.s3_…. Not set: backups in server.data_dir, which does not outlive its disk.
    #[setting(Text, example = "s3://natter-backups")]
    #[serde(default)]
    pub url: Option<String>,
}
