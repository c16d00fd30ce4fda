//! Rules about dependencies and layers, which are checked on the source files without starting a
//! server.

mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Allowed dependencies between the project's crates. None of them points to a higher layer.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    [
        ("crates/appcore", &["natter-macro"][..]),
        ("crates/metrics", &[]),
        ("crates/telemetry", &[]),
        ("crates/outgoing", &["appcore"]),
        ("crates/ai", &["appcore", "outgoing", "telemetry"]),
        ("crates/extract", &[]),
        ("crates/mcp", &["appcore"]),
        ("crates/oidc", &["appcore"]),
        ("crates/payment", &["appcore", "natter-macro", "telemetry"]),
        ("crates/search", &[]),
        ("migration", &[]),
        ("macro", &[]),
        ("crates/dbcontext", &["appcore", "migration", "search"]),
        ("crates/jobs", &["appcore", "dbcontext", "metrics", "telemetry"]),
        ("crates/platform", &["appcore", "dbcontext", "jobs", "metrics", "outgoing"]),
        ("crates/identity", &["appcore", "dbcontext", "jobs", "oidc", "platform"]),
        ("crates/billing", &["appcore", "dbcontext", "identity", "jobs", "payment", "platform"]),
        (
            "crates/event-log",
            &["appcore", "dbcontext", "identity", "jobs", "metrics", "outgoing", "platform", "search", "telemetry"],
        ),
        ("crates/files", &["appcore", "billing", "dbcontext", "event-log", "extract", "identity", "jobs", "platform"]),
        (
            "crates/gateway",
            &["ai", "appcore", "billing", "dbcontext", "identity", "jobs", "metrics", "platform", "search"],
        ),
        ("crates/batches", &["ai", "appcore", "dbcontext", "files", "gateway", "jobs", "platform"]),
        (
            "crates/message-search",
            &[
                "ai",
                "appcore",
                "dbcontext",
                "event-log",
                "extract",
                "files",
                "gateway",
                "identity",
                "jobs",
                "metrics",
                "platform",
                "search",
            ],
        ),
        (
            "crates/assistants",
            &[
                "ai",
                "appcore",
                "billing",
                "dbcontext",
                "event-log",
                "extract",
                "files",
                "gateway",
                "identity",
                "jobs",
                "mcp",
                "message-search",
                "outgoing",
                "platform",
                "search",
            ],
        ),
        (
            "crates/conversations",
            &[
                "appcore",
                "assistants",
                "dbcontext",
                "event-log",
                "files",
                "gateway",
                "identity",
                "jobs",
                "outgoing",
                "platform",
                "search",
            ],
        ),
        (
            "crates/ops",
            &[
                "ai",
                "appcore",
                "billing",
                "dbcontext",
                "event-log",
                "files",
                "gateway",
                "identity",
                "message-search",
                "metrics",
                "platform",
            ],
        ),
        ("crates/middleware", &["appcore", "identity", "metrics", "platform", "telemetry"]),
        (
            "crates/app",
            &[
                "appcore",
                "assistants",
                "batches",
                "billing",
                "conversations",
                "dbcontext",
                "event-log",
                "files",
                "gateway",
                "identity",
                "jobs",
                "message-search",
                "middleware",
                "ops",
                "platform",
            ],
        ),
        (
            "crates/realtime",
            &["appcore", "assistants", "conversations", "event-log", "identity", "metrics", "platform", "telemetry"],
        ),
        (
            "crates/endpoint",
            &[
                "ai",
                "app",
                "appcore",
                "assistants",
                "batches",
                "billing",
                "conversations",
                "event-log",
                "files",
                "gateway",
                "identity",
                "message-search",
                "middleware",
                "natter-macro",
                "ops",
                "payment",
                "platform",
                "realtime",
            ],
        ),
    ]
    .into_iter()
    .map(|(folder, crates)| (folder, crates.iter().copied().collect()))
    .collect()
}

/// Words that must not occur in a crate's source files, because they belong to another layer.
const FOREIGN: [(&str, &[&str]); 22] = [
    ("crates/payment/src", &["sea_orm", "sqlx::", "actix"]),
    ("crates/outgoing/src", &["sea_orm", "sqlx::", "actix"]),
    ("crates/extract/src", &["sea_orm", "sqlx::", "actix", "tokio"]),
    ("crates/mcp/src", &["sea_orm", "sqlx::", "actix"]),
    ("crates/oidc/src", &["sea_orm", "sqlx::", "actix"]),
    ("crates/ai/src", &["sea_orm", "sqlx::", "actix"]),
    ("crates/appcore/src", &["actix_web", "sqlx::", "tokio::net"]),
    ("crates/batches/src", &["actix_web", "HttpRequest"]),
    ("crates/billing/src", &["actix_web", "HttpRequest"]),
    ("crates/event-log/src", &["actix_web", "HttpRequest"]),
    ("crates/files/src", &["actix_web", "HttpRequest"]),
    ("crates/gateway/src", &["actix_web", "HttpRequest"]),
    ("crates/identity/src", &["actix_web", "HttpRequest"]),
    ("crates/platform/src", &["actix_web", "HttpRequest"]),
    ("crates/middleware/src", &["sea_orm", "dbcontext", "sqlx::"]),
    ("crates/endpoint/src", &["sea_orm", "dbcontext", "sqlx::"]),
    ("crates/realtime/src", &["sea_orm", "dbcontext", "sqlx::"]),
    ("crates/app/src", &["actix_web", "HttpRequest"]),
    ("crates/assistants/src", &["actix_web", "HttpRequest"]),
    ("crates/conversations/src", &["actix_web", "HttpRequest"]),
    ("crates/message-search/src", &["actix_web", "HttpRequest"]),
    ("crates/ops/src", &["actix_web", "HttpRequest"]),
];

/// Expressions that panic. Production code must not use them; start-up returns errors as well.
const PANICS: [&str; 9] = [
    ".unwrap()",
    ".expect(",
    ".expect_err(",
    "panic!(",
    "unreachable!(",
    "todo!(",
    "unimplemented!(",
    "clippy::unwrap_used",
    "clippy::expect_used",
];

/// Expressions that build a database statement, which only [`STATEMENT_LAYER`] contains.
const STATEMENTS: [&str; 2] = ["Statement::from_", "find_by_statement("];

/// Files with the functions that take SQL and parameters and return typed rows.
const STATEMENT_LAYER: [&str; 5] = [
    "crates/dbcontext/src/query/raw.rs",
    "crates/dbcontext/src/replica/replication.rs",
    "crates/dbcontext/src/statement/pieces.rs",
    "crates/dbcontext/src/statement/rows.rs",
    "crates/dbcontext/src/transfer.rs",
];

/// Calls that check a precondition. Endpoints must use `requires` instead.
const ASKS: [&str; 5] = [
    "Confirmed::authorize(",
    "PasskeyEnrolment::authorize(",
    "Payer::authorize(",
    "EditableAssistant::authorize(",
    "ExportableConversation::authorize(",
];

/// Returns the Rust files below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

pub(crate) fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"))
}

/// Returns the source text of a file that becomes part of the program, without tests and comments.
fn program_text(path: &Path) -> String {
    if is_test_file(path) {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    without_tests(&text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Removes inline test modules. Text after such a module stays, as does text after the declaration
/// of a test module in a separate file.
fn without_tests(text: &str) -> String {
    let mut program = String::new();
    let mut in_tests = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens =
            line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        in_tests |= opens;
        if !in_tests {
            program.push_str(line);
            program.push('\n');
        }
        // rustfmt puts only the closing brace of a top-level module at the start of a line.
        in_tests &= line != "}";
    }
    program
}

#[test]
fn excludes_only_test_modules_from_the_checks() {
    let text = "#[cfg(test)]\nmod tests;\nfn one() {\n}\n#[cfg(test)]\nmod inside {\n    fn two() {\n    }\n}\nfn three() {}\n";
    assert_eq!(without_tests(text), "#[cfg(test)]\nmod tests;\nfn one() {\n}\nfn three() {}\n");
}

/// Returns the names of a crate's dependencies, except those for tests, from its manifest.
fn dependencies(folder: &Path) -> BTreeSet<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let dependencies =
        manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
    let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.map(str::to_owned).collect()
}

#[test]
fn crates_depend_only_on_lower_layers() {
    let allowed = allowed();
    let ours: BTreeSet<&str> = allowed
        .keys()
        .map(|folder| folder.rsplit('/').next().unwrap())
        .chain(["natter-macro", "natter", "support"])
        .collect();
    for (folder, may_use) in &allowed {
        for name in dependencies(&root().join(folder)) {
            let name = name.as_str();
            assert!(!ours.contains(name) || may_use.contains(name), "{folder} must not use {name}");
        }
    }
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = format!("crates/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(allowed.contains_key(name.as_str()), "{name} is missing in `allowed`");
    }
}

/// Returns the modules in paths such as `crate::one::Thing` and `crate::{one, two::{Thing,
/// Other}}`.
fn modules_named(text: &str) -> BTreeSet<&str> {
    let name = |path: &'_ str| path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    let mut named = BTreeSet::new();
    for (at, word) in text.match_indices("crate::") {
        let path = &text[at + word.len()..];
        let Some(list) = path.strip_prefix('{') else {
            named.insert(&path[..name(path)]);
            continue;
        };
        let mut depth = 0;
        let mut begins = 0;
        for (at, letter) in list.char_indices() {
            let is_end = depth == 0 && (letter == ',' || letter == '}');
            if is_end {
                let path = list[begins..at].trim();
                named.insert(&path[..name(path)]);
                begins = at + 1;
            }
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    // A list that ends with a comma gives an empty name.
    named.remove("");
    named
}

#[test]
fn finds_modules_in_paths_and_use_lists() {
    let text = "use crate::{\n    App,\n    one::{self, Thing, inner::{A, B}},\n    two,\n};\nuse crate::three::Four;\nfn five() { crate::six::seven(crate::EIGHT) }\n";
    assert_eq!(modules_named(text), BTreeSet::from(["App", "EIGHT", "one", "six", "three", "two"]));
}

/// True if a chain of dependencies leads from one module to another.
fn leads(arrows: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        next.extend(arrows.iter().filter(|(from, to)| *from == module && seen.insert(to)).map(|(_, to)| *to));
    }
    false
}

/// Returns the modules of a crate, with the text of each file. Leaves out `lib.rs`, which only
/// lists modules.
fn modules(folder: &Path) -> Vec<(String, String)> {
    sources(folder)
        .into_iter()
        .map(|path| {
            let module = path.strip_prefix(folder).unwrap().components().next().unwrap().as_os_str();
            (module.to_string_lossy().trim_end_matches(".rs").to_owned(), program_text(&path))
        })
        .filter(|(module, _)| module != "lib" && module != "tests")
        .collect()
}

/// Returns the modules from which a crate re-exports names.
fn homes(lib: &str) -> BTreeMap<&str, &str> {
    let shown = lib.lines().filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"));
    shown
        .flat_map(|(module, names)| names.trim_matches(['{', '}', ';']).split(", ").map(move |name| (name, module)))
        .collect()
}

#[test]
fn database_modules_have_no_cycles() {
    let folder = root().join("crates/dbcontext/src");
    let lib = program_text(&folder.join("lib.rs"));
    let (texts, homes) = (modules(&folder), &homes(&lib));
    assert_eq!(homes.get("Database"), Some(&"connection"), "re-exports of lib.rs were not found");
    let arrows: BTreeSet<(&str, &str)> = texts
        .iter()
        .flat_map(|(module, text)| {
            let named = modules_named(text).into_iter();
            named.map(move |named| (module.as_str(), homes.get(named).copied().unwrap_or(named)))
        })
        .filter(|(from, to)| from != to)
        .collect();
    assert!(arrows.contains(&("connection", "sqlite")), "no arrows were found");
    let circle: Vec<_> = arrows.iter().filter(|(from, to)| leads(&arrows, to, from)).collect();
    assert!(circle.is_empty(), "cycle: {circle:?}");
}

#[test]
fn crates_contain_no_code_of_other_layers() {
    for (folder, words) in FOREIGN {
        for path in sources(&root().join(folder)) {
            let text = program_text(&path);
            for word in words {
                assert!(!text.contains(word), "{} contains {word}", path.display());
            }
        }
    }
}

#[test]
fn production_code_does_not_panic() {
    let mut read = 0;
    for folder in ["src", "crates", "macro/src", "migration/src"] {
        for path in sources(&root().join(folder)) {
            let text = program_text(&path);
            read += 1;
            for word in PANICS {
                assert!(!text.contains(word), "{} contains {word}", path.display());
            }
        }
    }
    assert!(read > 50, "the sources were not found");
}

#[test]
fn statements_are_built_in_one_layer() {
    let has_statement = |path: &Path| {
        let text = program_text(path);
        STATEMENTS.iter().any(|word| text.contains(word))
    };
    let found: BTreeSet<PathBuf> = ["src", "crates"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .filter(|path| has_statement(path))
        .collect();
    let layer: BTreeSet<PathBuf> = STATEMENT_LAYER.iter().map(|path| root().join(path)).collect();
    assert_eq!(found, layer, "SQL goes through these files only");
}

/// Preconditions are checked in one place, `requires = …`. Services take the witness that results
/// from the check.
#[test]
fn endpoints_authorize_through_requires() {
    let folder = root().join("crates/endpoint/src");
    let of_requirements = folder.join("precondition.rs");
    assert!(program_text(&of_requirements).contains("Confirmed::authorize("), "the requirements were not found");
    for path in sources(&folder).into_iter().filter(|path| *path != of_requirements) {
        let text = program_text(&path);
        for word in ASKS {
            assert!(!text.contains(word), "{} has {word}: write `requires = …`", path.display());
        }
    }
}

/// Services write an audit entry in the transaction of the change. Endpoints write only the entries
/// of calls that change nothing. Failed sign-ins are recorded where they fail, for all sign-in
/// methods.
#[test]
fn audit_entries_without_a_change_are_written_by_endpoints() {
    let notes: Vec<PathBuf> = [
        "app",
        "assistants",
        "billing",
        "conversations",
        "event-log",
        "files",
        "gateway",
        "identity",
        "message-search",
        "ops",
    ]
    .iter()
    .flat_map(|name| sources(&root().join(format!("crates/{name}/src"))))
    .filter(|path| program_text(path).contains("audit::record_detached("))
    .collect();
    let rejections = ["identities/account_linking.rs", "signin.rs"];
    assert_eq!(notes, rejections.map(|file| root().join("crates/identity/src/accounts").join(file)));
}

#[test]
fn every_declared_endpoint_is_registered() {
    let mut declared = BTreeSet::new();
    let folders = ["r1", "v1"].map(|folder| sources(&root().join("crates/endpoint/src").join(folder)));
    for path in folders.into_iter().flatten() {
        let text = program_text(&path);
        let names = text.split("#[endpoint(").skip(1).map(|rest| {
            let (_, rest) = rest.split_once("impl Endpoint for ").expect("#[endpoint] is on an impl");
            rest.split([' ', '{']).next().unwrap().to_owned()
        });
        declared.extend(names);
    }
    let listed: BTreeSet<String> = endpoint::all().map(|def| def.name.to_owned()).collect();
    assert_eq!(declared, listed, "ENDPOINTS of the resource file, or RESOURCES in r1/mod.rs, lacks an endpoint");
    let routes: BTreeSet<(&str, &str)> = endpoint::all().map(|def| (def.method.as_str(), def.path)).collect();
    assert_eq!(routes.len(), listed.len(), "two endpoints have the same method and path");
}

/// `docs/security.md` names the test of each claim, and these tests must exist.
#[test]
fn every_test_named_on_the_security_page_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let sources: String = ["src", "crates", "tests/suite"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:".contains(&byte))
            && text.matches('_').count() >= 3
    };
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(|text| is_name(text)).collect();
    let missing: Vec<&&str> = named
        .iter()
        .filter(|text| {
            let test = text.rsplit("::").next().unwrap_or_default();
            !test.is_empty() && !sources.contains(&format!("fn {test}("))
        })
        .collect();
    assert!(named.len() > 50, "the page names {} tests", named.len());
    assert!(missing.is_empty(), "{missing:?}");
}
