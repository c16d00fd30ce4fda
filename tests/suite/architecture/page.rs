//! Checks `docs/architecture.md` against the manifests, and the code paths in the documentation
//! against the source files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{dependencies, leads, root, sources};

/// Keywords before the name of an item. For `#[endpoint]`, the `impl` declares the struct that it
/// names.
const ITEMS: [&str; 10] =
    ["fn ", "struct ", "enum ", "trait ", "mod ", "const ", "static ", "type ", "macro_rules! ", "impl Endpoint for "];

/// Returns the folders of the program's crates by name, without crates for tests and tools.
fn own_crates() -> BTreeMap<String, PathBuf> {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    crates
        .chain(["migration", "macro", ""].map(|folder| root().join(folder)))
        .map(|folder| (package_name(&folder), folder))
        .collect()
}

fn package_name(folder: &Path) -> String {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let package = manifest.split("[package]\n").nth(1).unwrap();
    let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
    name.trim_matches('"').to_owned()
}

fn documentation(page: &str) -> String {
    fs::read_to_string(root().join("docs").join(page)).unwrap()
}

/// Removes dependencies that follow from others.
fn transitive_reduction<'a>(arrows: &BTreeSet<(&'a str, &'a str)>) -> BTreeSet<(&'a str, &'a str)> {
    let is_direct = |(from, to): &(&str, &str)| {
        let mut others = arrows.iter().filter(|(start, end)| start == from && end != to);
        !others.any(|(_, through)| leads(arrows, through, to))
    };
    arrows.iter().copied().filter(is_direct).collect()
}

#[test]
fn a_transitive_reduction_has_no_shortcuts() {
    let arrows = BTreeSet::from([("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("a", "d")]);
    assert_eq!(transitive_reduction(&arrows), BTreeSet::from([("a", "b"), ("b", "c"), ("c", "d")]));
}

/// Returns the arrows of the first Mermaid diagram on a page, from lines such as `a --> b & c`.
fn diagram(page: &str) -> BTreeSet<(&str, &str)> {
    let (_, behind) = page.split_once("```mermaid\n").unwrap();
    let (diagram, _) = behind.split_once("```").unwrap();
    diagram
        .lines()
        .filter_map(|line| line.split_once(" --> "))
        .flat_map(|(from, to)| to.split(" & ").map(move |to| (from.trim(), to.trim())))
        .collect()
}

#[test]
fn the_architecture_page_shows_all_crates_and_their_dependencies() {
    let crates = own_crates();
    let needed: Vec<(&str, BTreeSet<String>)> =
        crates.iter().map(|(name, folder)| (name.as_str(), dependencies(folder))).collect();
    let mut arrows = BTreeSet::new();
    for (name, dependencies) in &needed {
        let own = dependencies.iter().filter(|dependency| crates.contains_key(*dependency));
        arrows.extend(own.map(|dependency| (*name, dependency.as_str())));
    }
    assert!(arrows.contains(&("dbcontext", "appcore")), "no dependencies were found");

    let page = documentation("architecture.md");
    let unlisted: Vec<&String> = crates.keys().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(unlisted.is_empty(), "the table of crates lacks {unlisted:?}");

    let drawn = diagram(&page);
    let named: BTreeSet<&str> = drawn.iter().flat_map(|(from, to)| [*from, *to]).collect();
    let undrawn: Vec<&String> = crates.keys().filter(|name| !named.contains(name.as_str())).collect();
    assert!(undrawn.is_empty(), "the diagram lacks {undrawn:?}");
    let expected = transitive_reduction(&arrows);
    let missing: Vec<_> = expected.difference(&drawn).collect();
    let surplus: Vec<_> = drawn.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "the diagram lacks {missing:?}, and shouldn't have {surplus:?}");
}

/// Returns the paths in the inline code of a page, such as `event_log::events::Writer`. Code blocks
/// are skipped.
fn code_paths(page: &str) -> BTreeSet<&str> {
    let mut is_block = false;
    let is_path = |code: &&str| {
        code.contains("::") && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
    };
    page.lines()
        .filter(|line| {
            is_block ^= line.starts_with("```");
            !is_block
        })
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(is_path)
        .collect()
}

/// True if the text contains the word, preceded by a text for which `is_behind` is true.
fn has_word(text: &str, name: &str, is_behind: impl Fn(&str) -> bool) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let next = text[at + name.len()..].chars().next();
        is_behind(&text[..at]) && !next.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

fn declares(text: &str, name: &str) -> bool {
    has_word(text, name, |before| ITEMS.iter().any(|item| before.ends_with(item)))
}

/// True if the text declares a method of this name, or has a variant or field of this name at the
/// start of an indented line.
fn has_member(text: &str, name: &str) -> bool {
    let is_line_start = |before: &str| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.starts_with(' ') && matches!(line.trim(), "" | "pub")
    };
    declares(text, name) || has_word(text, name, is_line_start)
}

fn reexports(text: &str, name: &str) -> bool {
    let uses = ["pub use ", "pub(crate) use "].into_iter().flat_map(|start| text.split(start).skip(1));
    uses.filter_map(|rest| rest.split(';').next())
        .any(|names| names.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name))
}

/// True if the path leads to a module, an item or a member of an item in the crate's source files.
/// Re-exports within the crate are followed. A member may be declared in any file.
fn resolves(crate_sources: &Path, path: &[&str]) -> bool {
    let (mut folder, mut rest) = (crate_sources.to_owned(), path);
    let mut file = ["lib.rs", "main.rs"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file()).unwrap();
    while let [module, behind @ ..] = rest {
        let files = [folder.join(format!("{module}.rs")), folder.join(module).join("mod.rs")];
        let Some(found) = files.into_iter().find(|file| file.is_file()) else { break };
        (file, folder, rest) = (found, folder.join(module), behind);
    }
    let Some((item, members)) = rest.split_first() else { return true };
    let module = fs::read_to_string(file).unwrap();
    let texts: Vec<String> = sources(crate_sources).into_iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_there = declares(&module, item) || reexports(&module, item) && texts.iter().any(|text| declares(text, item));
    is_there && members.iter().all(|member| texts.iter().any(|text| has_member(text, member)))
}

#[test]
fn resolves_paths_to_items_and_members_only() {
    let core = root().join("crates/appcore/src");
    let found: [&[&str]; 4] =
        [&["event"], &["event", "Signal", "JobsWaiting"], &["AppError", "field"], &["error", "FieldError"]];
    for path in found {
        assert!(resolves(&core, path), "{path:?}");
    }
    let broken: [&[&str]; 3] = [&["event", "Sign"], &["event", "Signal", "NoSuchSignal"], &["nowhere", "Signal"]];
    for path in broken {
        assert!(!resolves(&core, path), "{path:?}");
    }
}

/// Paths in `docs/security.md` are left out: they name tests, which are checked separately.
#[test]
fn paths_in_the_documentation_resolve_to_items() {
    let crates: BTreeMap<String, PathBuf> =
        own_crates().into_iter().map(|(name, folder)| (name.replace('-', "_"), folder.join("src"))).collect();
    let (mut count, mut broken) = (0, Vec::new());
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let file = entry.unwrap().file_name().to_string_lossy().into_owned();
        if file == "security.md" || !file.ends_with(".md") {
            continue;
        }
        for path in code_paths(&documentation(&file)) {
            let segments: Vec<&str> = path.split("::").collect();
            let Some(folder) = crates.get(segments[0]) else { continue };
            count += 1;
            // Some pages name a test module.
            if !resolves(folder, &segments[1..]) && !resolves(&root().join("tests/suite"), &segments) {
                broken.push(format!("{file}: {path}"));
            }
        }
    }
    assert!(count > 80, "only {count} paths were found");
    assert!(broken.is_empty(), "{broken:?}");
}
