//! Names that programs outside, stored rows and other instances read: members of serialised types,
//! subcommands, columns and metrics. `wire_names.txt` lists them without their names in Rust, so
//! that a rename in the code doesn't change the file. `NATTER_UPDATE=1` writes the file; a commit
//! that changes it says "wire" in its body.

use std::{collections::BTreeSet, fs};

use syn::{Attribute, Fields, Item, Meta, Token, punctuated::Punctuated};

use crate::{
    architecture::{is_test_file, root, sources},
    committed::compare,
};

/// Derive macros whose output contains the names of fields or variants.
const NAMING_DERIVES: [&str; 13] = [
    "Args",
    "AsRefStr",
    "DeriveEntityModel",
    "Deserialize",
    "Display",
    "EnumString",
    "IntoParams",
    "IntoStaticStr",
    "Parser",
    "Serialize",
    "Subcommand",
    "ToSchema",
    "ValueEnum",
];

#[test]
fn committed_wire_names_match_the_code() {
    let mut lines = BTreeSet::new();
    let folders = ["src", "crates", "migration/src"].map(|folder| sources(&root().join(folder)));
    for source in folders.iter().flatten().filter(|path| !is_test_file(path)) {
        let text = fs::read_to_string(source).unwrap();
        collect_metrics(&text, &mut lines);
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        collect_items(&file.items, &mut lines);
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    compare(
        "tests/suite/wire_names.txt",
        &text,
        "names on the wire have changed; if intended, run this with NATTER_UPDATE=1",
    );
}

/// Collects the string literals that are names of metrics.
fn collect_metrics(text: &str, lines: &mut BTreeSet<String>) {
    for (start, _) in text.match_indices("\"natter_") {
        let name: String = text[start + 1..].chars().take_while(|it| it.is_ascii_lowercase() || *it == '_').collect();
        if text[start + 1 + name.len()..].starts_with(['"', '{', ' ']) {
            lines.insert(format!("metric {name}"));
        }
    }
}

fn collect_items(items: &[Item], lines: &mut BTreeSet<String>) {
    for item in items {
        match item {
            Item::Mod(module) if !is_test(&module.attrs) => {
                if let Some((_, items)) = &module.content {
                    collect_items(items, lines);
                }
            }
            Item::Struct(item) if has_naming_derive(&item.attrs) && !is_converted(&item.attrs) => {
                let container = Container::new(&item.attrs);
                lines.insert(format!("struct{} {}", container.keys, container.members(&item.fields, "snake_case")));
            }
            Item::Enum(item) if has_naming_derive(&item.attrs) => {
                let container = Container::new(&item.attrs);
                let variants: Vec<String> = item
                    .variants
                    .iter()
                    .map(|variant| {
                        let name = container.name(&variant.attrs, &variant.ident.to_string(), "PascalCase");
                        let own = Container::new(&variant.attrs);
                        let members = own.members(&variant.fields, container.fields.as_deref().unwrap_or("snake_case"));
                        name + &members
                    })
                    .collect();
                lines.insert(format!("enum{} {}", container.keys, variants.join(" | ")));
            }
            _ => {}
        }
    }
}

/// Attributes of a type that decide how its members are named.
struct Container {
    rename_all: Option<String>,
    fields: Option<String>,
    /// Attributes that change the form of the type, such as the tag of an enum or the name of a
    /// table.
    keys: String,
}

impl Container {
    fn new(attributes: &[Attribute]) -> Self {
        let mut container = Self { rename_all: None, fields: None, keys: String::new() };
        for (key, value) in arguments(attributes) {
            match (key.as_str(), value) {
                ("rename_all" | "serialize_all", Some(case)) => container.rename_all = Some(case),
                ("rename_all_fields", Some(case)) => container.fields = Some(case),
                ("tag" | "content" | "table_name", Some(value)) => container.keys += &format!(" {key}={value}"),
                ("untagged" | "transparent" | "deny_unknown_fields", None) => container.keys += &format!(" {key}"),
                _ => {}
            }
        }
        container
    }

    /// Returns the name of a member on the wire: the one that an attribute gives, or otherwise its
    /// own, in the case that the container uses.
    fn name(&self, attributes: &[Attribute], own: &str, default: &str) -> String {
        let given = arguments(attributes)
            .into_iter()
            .filter(|(key, _)| matches!(key.as_str(), "rename" | "serialize" | "name" | "column_name" | "to_string"))
            .find_map(|(_, value)| value);
        given.unwrap_or_else(|| in_case(own, self.rename_all.as_deref().unwrap_or(default)))
    }

    fn members(&self, fields: &Fields, default: &str) -> String {
        match fields {
            Fields::Unit => String::new(),
            Fields::Unnamed(fields) => format!("({})", fields.unnamed.len()),
            Fields::Named(fields) => {
                let names: Vec<String> = fields
                    .named
                    .iter()
                    .map(|field| {
                        let own = field.ident.as_ref().unwrap().to_string();
                        let keys: String = arguments(&field.attrs)
                            .into_iter()
                            .filter(|(key, _)| matches!(key.as_str(), "flatten" | "skip"))
                            .map(|(key, _)| format!("{key} "))
                            .collect();
                        keys + &self.name(&field.attrs, own.trim_start_matches("r#"), default)
                    })
                    .collect();
                format!("{{{}}}", names.join(", "))
            }
        }
    }
}

/// Returns the arguments of the attributes that give names. For `#[serde(rename = "x", default)]`,
/// these are `rename` with a value and `default` without one.
fn arguments(attributes: &[Attribute]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for attribute in attributes {
        if !["serde", "strum", "clap", "arg", "command", "value", "sea_orm"]
            .iter()
            .any(|it| attribute.path().is_ident(it))
        {
            continue;
        }
        let Meta::List(list) = &attribute.meta else { continue };
        let Ok(metas) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { continue };
        for meta in metas {
            let Some(key) = meta.path().get_ident().map(ToString::to_string) else { continue };
            let value = match &meta {
                Meta::NameValue(pair) => match &pair.value {
                    syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            };
            found.push((key, value));
        }
    }
    found
}

fn has_naming_derive(attributes: &[Attribute]) -> bool {
    derives(attributes).iter().any(|name| NAMING_DERIVES.contains(&name.as_str()))
}

/// True for a type that is only deserialised, and by way of another type that is on the wire in its
/// place.
fn is_converted(attributes: &[Attribute]) -> bool {
    let has_source = arguments(attributes).iter().any(|(key, _)| key == "from" || key == "try_from");
    has_source && !derives(attributes).iter().any(|name| name == "Serialize")
}

fn derives(attributes: &[Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter(|it| it.path().is_ident("derive"))
        .flat_map(|it| it.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).unwrap())
        .map(|path| path.segments.last().unwrap().ident.to_string())
        .collect()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| matches!(&it.meta, Meta::List(list) if list.tokens.to_string() == "test"))
}

fn in_case(name: &str, case: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        match words.last_mut() {
            Some(word) if !letter.is_ascii_uppercase() && letter != '_' => word.push(letter),
            _ if letter == '_' => words.push(String::new()),
            Some(word) if word.is_empty() => word.push(letter.to_ascii_lowercase()),
            _ => words.push(letter.to_ascii_lowercase().to_string()),
        }
    }
    let capitalized = |word: &String| word[..1].to_ascii_uppercase() + &word[1..];
    match case {
        "snake_case" => words.join("_"),
        "kebab-case" => words.join("-"),
        "lowercase" => words.concat(),
        "UPPERCASE" => words.concat().to_ascii_uppercase(),
        "SCREAMING_SNAKE_CASE" => words.join("_").to_ascii_uppercase(),
        "PascalCase" => words.iter().map(capitalized).collect(),
        "camelCase" => words[0].clone() + &words[1..].iter().map(capitalized).collect::<String>(),
        case => panic!("unknown case {case}"),
    }
}
