//! Files of the web app. In a release build they are embedded. In a debug build they are read from
//! the folder on each request, so that the program need not be built again after the web app. If a
//! file was compressed at build time, only its compressed forms are embedded.

#[cfg(any(not(embed_web_app), test))]
use std::{fs, path::Path};
use std::{
    io::{self, Read as _},
    sync::OnceLock,
};

use actix_web::web::Bytes;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

#[cfg(embed_web_app)]
include!(concat!(env!("OUT_DIR"), "/web_app.rs"));

/// Files of `frontend/build`; none if the program was built without the web app.
#[cfg(embed_web_app)]
pub static WEB_APP: AssetSource = AssetSource::Embedded(&WEB_APP_FILES);
#[cfg(not(embed_web_app))]
pub static WEB_APP: AssetSource = AssetSource::Folder(concat!(env!("CARGO_MANIFEST_DIR"), "/frontend/build"));

/// Source of files, which are identified by their paths.
pub enum AssetSource {
    /// Embedded files, sorted by path.
    #[cfg(any(embed_web_app, test))]
    Embedded(&'static [EmbeddedAsset]),
    #[cfg(any(not(embed_web_app), test))]
    Folder(&'static str),
}

#[cfg(any(embed_web_app, test))]
pub struct EmbeddedAsset {
    path: &'static str,
    data: &'static [u8],
    hash: OnceLock<[u8; 32]>,
}

#[cfg(any(embed_web_app, test))]
impl EmbeddedAsset {
    pub const fn new(path: &'static str, data: &'static [u8]) -> Self {
        Self { path, data, hash: OnceLock::new() }
    }
}

#[derive(Clone)]
pub struct Asset {
    stored: Bytes,
    /// True if only the gzip form of the file is embedded.
    is_gzipped: bool,
    /// Cached hash of an embedded file; `None` for a file that is read from a folder.
    hash: Option<&'static OnceLock<[u8; 32]>>,
}

impl Asset {
    /// Returns the SHA-256 hash of the file in its stored form. It is cached for an embedded file.
    pub fn hash(&self) -> [u8; 32] {
        let digest = || Sha256::digest(&self.stored).into();
        self.hash.map_or_else(digest, |hash| *hash.get_or_init(digest))
    }

    /// Returns the uncompressed content of the file.
    pub fn data(self) -> io::Result<Bytes> {
        if !self.is_gzipped {
            return Ok(self.stored);
        }
        let mut data = Vec::new();
        GzDecoder::new(&*self.stored).read_to_end(&mut data)?;
        Ok(data.into())
    }
}

impl AssetSource {
    /// Finds the file at a path relative to the folder; `None` for paths that lead out of the
    /// folder.
    pub fn get(&self, path: &str) -> Option<Asset> {
        match self {
            #[cfg(any(embed_web_app, test))]
            Self::Embedded(files) => {
                let find = |path: &str| files.get(files.binary_search_by_key(&path, |file| file.path).ok()?);
                let plain = find(path).map(|file| (file, false));
                let (file, is_gzipped) = plain.or_else(|| Some((find(&format!("{path}.gz"))?, true)))?;
                Some(Asset { stored: Bytes::from_static(file.data), is_gzipped, hash: Some(&file.hash) })
            }
            #[cfg(any(not(embed_web_app), test))]
            Self::Folder(folder) => {
                if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                    return None;
                }
                let data = fs::read(Path::new(folder).join(path)).ok()?.into();
                Some(Asset { stored: data, is_gzipped: false, hash: None })
            }
        }
    }
}

/// Returns the media type of a file by its extension.
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: [EmbeddedAsset; 3] = [
        EmbeddedAsset::new("_app/a.js", b"1"),
        EmbeddedAsset::new("_app/a.js.br", b"2"),
        EmbeddedAsset::new("index.html", b"<html>"),
    ];
    static EMBEDDED: AssetSource = AssetSource::Embedded(&TABLE);
    static FOLDER: AssetSource = AssetSource::Folder(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/web"));

    #[test]
    fn finds_embedded_files_by_path() {
        for file in &TABLE {
            let found = EMBEDDED.get(file.path).unwrap();
            assert_eq!(found.hash(), <[u8; 32]>::from(Sha256::digest(file.data)));
            assert_eq!(found.hash(), *file.hash.get().unwrap(), "the hash is computed once");
            assert_eq!(found.data().unwrap(), file.data);
        }
        for missing in ["", "/index.html", "_app", "_app/", "_app/b.js", "index.html/", "z"] {
            assert!(EMBEDDED.get(missing).is_none(), "{missing}");
        }
    }

    #[test]
    fn finds_gzipped_files_by_their_own_path() {
        // Output of `printf natter | gzip --no-name`.
        static GZIPPED: [EmbeddedAsset; 1] = [EmbeddedAsset::new(
            "_app/a.js.gz",
            &[31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 75, 44, 41, 73, 45, 2, 0, 193, 233, 74, 54, 6, 0, 0, 0],
        )];
        let source = AssetSource::Embedded(&GZIPPED);
        assert_eq!(source.get("_app/a.js").unwrap().data().unwrap(), "natter");
        assert_eq!(source.get("_app/a.js.gz").unwrap().data().unwrap(), GZIPPED[0].data);
        assert!(source.get("_app/b.js").is_none());
    }

    #[test]
    fn serves_only_files_of_the_folder() {
        let page = FOLDER.get("index.html").unwrap();
        let hash = page.hash();
        assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(page.data().unwrap())));
        assert!(FOLDER.get("_app/immutable/start.js.br").is_some());
        let outside = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for other in [
            "",
            "_app",
            "_app//immutable/start.js",
            "nothing.js",
            "../web/index.html",
            "_app/../index.html",
            "./index.html",
            outside,
        ] {
            assert!(FOLDER.get(other).is_none(), "{other}");
        }
        assert!(AssetSource::Folder("/nonexistent").get("index.html").is_none());
    }

    #[test]
    fn every_shipped_file_has_a_media_type() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("_app/immutable/start.1.js", "text/javascript; charset=utf-8"),
            ("_app/immutable/assets/0.1.css", "text/css; charset=utf-8"),
            ("_app/version.json", "application/json; charset=utf-8"),
            ("favicon.svg", "image/svg+xml; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
            ("robots.txt", "text/plain; charset=utf-8"),
            ("font.woff2", "font/woff2"),
            ("docs/favicon-16x16.png", "image/png"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(media_type(path), expected, "{path}");
        }
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/frontend/static")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert_ne!(media_type(&name), "application/octet-stream", "{name}");
        }
    }
}
