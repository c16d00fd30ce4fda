//! Settings of uploads, of the search engine and of backups.

use natter_macro::Settings;
use serde::Deserialize;
use url::Url;

use crate::secret::Secret;

/// Settings of an external search engine for messages.
#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("search")]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// URL of a Meilisearch server for message search. Not set: an index next to the SQLite
    /// database, or PostgreSQL's own search.
    #[setting(Url(&["http", "https"]), example = "http://meilisearch.internal:7700")]
    #[serde(default)]
    pub url: Option<Url>,
    /// API key of the Meilisearch server. It needs access to indexes, their settings and documents,
    /// search and tasks.
    #[setting(Credential, example = "…")]
    #[serde(default)]
    pub key: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("uploads")]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// Storage of files: a directory, or s3://bucket/prefix. Several instances (redis.url) need a
    /// storage that all of them can reach. Not set: uploads in server.data_dir.
    #[setting(Text, example = "s3://natter-files")]
    #[serde(default)]
    pub url: Option<String>,
    /// Endpoint of the S3 storage. Not set: that of Amazon.
    #[setting(Url(&["http", "https"]), example = "https://minio.example.org")]
    #[serde(default)]
    pub s3_endpoint: Option<Url>,
    /// Region of the S3 storage. Not set: the value of AWS_REGION.
    #[setting(Text, example = "eu-central-1")]
    #[serde(default)]
    pub s3_region: Option<String>,
    /// Access key id of the S3 storage. Not set: the value of AWS_ACCESS_KEY_ID, or the instance
    /// role of the machine.
    #[setting(Credential, example = "AKIA…")]
    #[serde(default)]
    pub s3_access_key_id: Option<Secret>,
    /// Secret access key of the S3 storage.
    #[setting(Credential, example = "…")]
    #[serde(default)]
    pub s3_secret_access_key: Option<Secret>,
    /// Maximum size of a file, in bytes.
    #[setting(Number(1_024, 1_099_511_627_776), default = 104_857_600)]
    pub max_bytes: usize,
    /// Maximum total size of the files in a workspace's conversations, in bytes; 0: unlimited.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 0)]
    pub workspace_bytes: i64,
    /// Maximum total size of a user's files and texts, in bytes; 0: unlimited.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 10_737_418_240)]
    pub user_bytes: i64,
    /// Maximum total size of a user's notes, drafts, scheduled messages, prompts, tasks and instructions, in bytes; 0: unlimited.
    #[setting(Number(0, 1_152_921_504_606_846_976), default = 67_108_864)]
    pub text_bytes: i64,
    /// Maximum total size of a user's files that are in no message yet, in bytes. Such files are
    /// deleted after a day.
    #[setting(Number(1_024, 1_152_921_504_606_846_976), default = 1_073_741_824)]
    pub unsent_bytes: i64,
    /// Media types that may not be uploaded. Both the detected and the declared type are checked.
    /// Not set: all types are allowed.
    #[setting(Texts, example = "application/x-msdownload,video/*")]
    #[serde(default)]
    pub refused_types: Vec<String>,
}

impl Uploads {
    /// True if files of this media type may not be uploaded.
    #[must_use]
    pub fn refuses_type(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.refused_types.iter().any(|refused| match refused.strip_suffix("/*") {
            Some(family) => essence.split('/').next() == Some(family),
            None => essence == *refused,
        })
    }
}

/// Settings of the automatic backups.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("backup")]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Interval of automatic backups, in hours. 0: none.
    #[setting(Number(0, 8_760), default = 0)]
    pub every_hours: u32,
    /// Number of backups to keep; older ones are deleted.
    #[setting(Number(1, 10_000), default = 7)]
    pub keep: usize,
    /// Storage of backups: a directory on another disk, or s3://bucket/prefix with the credentials
    /// in uploads.s3_…. Several instances (redis.url) need a directory or storage that all of them
    /// can reach. Not set: backups in server.data_dir, where they are lost if the disk fails.
    #[setting(Text, example = "s3://natter-backups")]
    #[serde(default)]
    pub url: Option<String>,
    /// Whether the encryption key is put beside each archive in a directory. Whoever has both can
    /// read all secrets. false: keep a copy of the key elsewhere.
    #[setting(Switch, default = true)]
    pub with_key: bool,
}
