//! Derive macro `Settings`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, Expr, Field, Ident, ItemStruct, Lit, LitStr, Result, Token,
    ext::IdentExt as _,
    parse::{Parse, ParseStream},
    parse2,
};

use crate::endpoint::doc_text;

pub fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: ItemStruct = parse2(item)?;
    let Section { path, enabled } = argument(&item.attrs, "settings")?
        .ok_or_else(|| Error::new_spanned(&item.ident, "missing path of the section: #[settings(\"server\")]"))?;
    let mut rows: Vec<TokenStream> = Vec::new();
    if let Some(about) = enabled {
        let pattern = format!("{}.enabled", path.value());
        let (kind, value) = (quote!(::appcore::config::Kind::Switch), quote!(Value("false")));
        rows.push(row(&pattern, &kind, &value, &quote!(#about), false));
    }
    for field in &item.fields {
        rows.extend(rows_of(field, &path.value())?);
    }
    let name = &item.ident;
    Ok(quote! {
        impl #name {
            /// Rows of this section in the table of settings.
            pub(crate) const SETTINGS: &'static [::appcore::config::Setting] = &[#(#rows),*];
        }
    })
}

/// Attribute `#[settings("payment.stripe", enabled = "…")]`: path of the section, and the
/// description of its switch if it has one.
struct Section {
    path: LitStr,
    enabled: Option<LitStr>,
}

impl Parse for Section {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path = input.parse()?;
        let mut enabled = None;
        if input.parse::<Option<Token![,]>>()?.is_some() {
            let word: Ident = input.parse()?;
            if word != "enabled" {
                return Err(Error::new(word.span(), "only `enabled = \"…\"` may follow the section's path"));
            }
            input.parse::<Token![=]>()?;
            enabled = Some(input.parse()?);
        }
        Ok(Self { path, enabled })
    }
}

/// Attribute `#[setting(Number(1, 20), default = 5)]`.
struct Setting {
    /// Variant of `Kind`, or a constant of that type.
    kind: Expr,
    /// True if the operator chooses the keys below the field's name.
    is_each: bool,
    /// True if the setting is required when the section is enabled.
    is_needed: bool,
    value: TokenStream,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind = input.parse()?;
        let (mut is_each, mut is_needed) = (false, false);
        loop {
            input.parse::<Token![,]>()?;
            let word = Ident::parse_any(input)?;
            match word.to_string().as_str() {
                "each" => is_each = true,
                "needed" => is_needed = true,
                "default" | "example" => {
                    input.parse::<Token![=]>()?;
                    let literal: Lit = input.parse()?;
                    let preset = if word == "default" { quote!(Value) } else { quote!(Unset) };
                    return Ok(Self { kind, is_each, is_needed, value: quote!(#preset(concat!(#literal))) });
                }
                _ => return Err(Error::new(word.span(), "expected `each`, `needed`, `default = …` or `example = …`")),
            }
        }
    }
}

/// Attribute `#[limit("token_bucket", 60, 60)]`: strategy, limit and window of a rate limit.
struct RateLimit(LitStr, Lit, Lit);

impl Parse for RateLimit {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let strategy = input.parse()?;
        input.parse::<Token![,]>()?;
        let limit = input.parse()?;
        input.parse::<Token![,]>()?;
        Ok(Self(strategy, limit, input.parse()?))
    }
}

fn rows_of(field: &Field, section: &str) -> Result<Vec<TokenStream>> {
    let Some(ident) = &field.ident else { return Ok(Vec::new()) };
    let pattern = format!("{section}.{}", renamed(&field.attrs)?.unwrap_or_else(|| ident.unraw().to_string()));
    let about = doc_text(&field.attrs).replace('\n', " ");
    let about = quote!(#about);
    if let Some(RateLimit(strategy, limit, window)) = argument(&field.attrs, "limit")? {
        let part = |name: &str, kind: TokenStream, value: TokenStream, about: &TokenStream| {
            row(&format!("{pattern}.{name}"), &kind, &quote!(Value(concat!(#value))), about, false)
        };
        return Ok(vec![
            part("strategy", quote!(STRATEGIES), quote!(#strategy), &about),
            part("limit", quote!(COUNT), quote!(#limit), &quote!(LIMIT_ABOUT)),
            part("window", quote!(WINDOW), quote!(#window), &quote!(WINDOW_ABOUT)),
        ]);
    }
    let Some(Setting { kind, is_each, is_needed, value }) = argument(&field.attrs, "setting")? else {
        return Ok(Vec::new());
    };
    let is_constant = matches!(&kind, Expr::Path(path) if path.path.get_ident().is_some_and(is_upper_case));
    let kind = if is_constant { quote!(#kind) } else { quote!(::appcore::config::Kind::#kind) };
    let pattern = if is_each { format!("{pattern}.*") } else { pattern };
    Ok(vec![row(&pattern, &kind, &value, &about, is_needed)])
}

fn row(pattern: &str, kind: &TokenStream, value: &TokenStream, about: &TokenStream, is_needed: bool) -> TokenStream {
    quote! {
        ::appcore::config::Setting {
            pattern: #pattern,
            kind: #kind,
            default: ::appcore::config::Preset::#value,
            about: #about,
            is_needed: #is_needed,
        }
    }
}

/// Parses the argument of the attribute that has this name.
fn argument<T: Parse>(attributes: &[Attribute], name: &str) -> Result<Option<T>> {
    attributes.iter().find(|attribute| attribute.path().is_ident(name)).map(Attribute::parse_args).transpose()
}

/// Returns the key that `#[serde(rename = "…")]` gives to the field.
fn renamed(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            let value = meta.input.peek(Token![=]).then(|| meta.value()?.parse::<LitStr>()).transpose()?;
            if meta.path.is_ident("rename") {
                name = value.map(|value| value.value());
            }
            Ok(())
        })?;
    }
    Ok(name)
}

fn is_upper_case(ident: &Ident) -> bool {
    ident.to_string().chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
}
