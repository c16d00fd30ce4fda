//! Attribute macro `#[endpoint]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, ExprLit, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, LitInt, LitStr, Meta, Path, Result,
    Token, Type, parenthesized,
    parse::{Parse, ParseStream},
    parse_quote, parse2,
    punctuated::Punctuated,
    token::Paren,
};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

struct Arguments {
    method: Ident,
    path: LitStr,
    tag: LitStr,
    access: Expr,
    rate: Expr,
    statuses: Vec<LitInt>,
    errors: Vec<Ident>,
    content: Vec<LitStr>,
    requires: Option<Requirement>,
    /// Constants of the trait whose defaults are overridden, with their values.
    chosen: Vec<(Ident, Expr)>,
}

/// Precondition that is checked before the handler, and the field of the request to which it
/// applies.
struct Requirement {
    proof: Path,
    about: Option<Ident>,
}

impl Parse for Requirement {
    fn parse(input: ParseStream) -> Result<Self> {
        let proof = input.call(Path::parse_mod_style)?;
        let about = if input.peek(Paren) {
            let field;
            parenthesized!(field in input);
            Some(field.parse()?)
        } else {
            None
        };
        Ok(Self { proof, about })
    }
}

/// Names of optional arguments, with the constants that they set.
const CHOICES: [(&str, &str); 5] = [
    ("deadline", "DEADLINE"),
    ("max_body", "MAX_BODY"),
    ("body_idle", "BODY_IDLE"),
    ("failure", "FAILURE"),
    ("ends_with_client", "ENDS_WITH_CLIENT"),
];

impl Parse for Arguments {
    fn parse(input: ParseStream) -> Result<Self> {
        let method: Ident =
            input.parse().map_err(|error| Error::new(error.span(), "missing method: #[endpoint(GET \"/r1/…\", …)]"))?;
        if !METHODS.iter().any(|known| method == known) {
            return Err(Error::new(method.span(), format!("unknown method: use one of {}", METHODS.join(", "))));
        }
        let path: LitStr = input
            .parse()
            .map_err(|error| Error::new(error.span(), "missing path after the method: \"/r1/things/{id}\""))?;
        if !path.value().starts_with('/') {
            return Err(Error::new(path.span(), "a path must start with a slash"));
        }
        let (mut tag, mut access, mut rate, mut statuses, mut errors) = (None, None, None, Vec::new(), Vec::new());
        let (mut content, mut requires, mut chosen) = (Vec::new(), None, Vec::new());
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            if input.peek(Paren) {
                let list;
                parenthesized!(list in input);
                match key.to_string().as_str() {
                    "errors" => errors.extend(Punctuated::<Ident, Token![,]>::parse_terminated(&list)?),
                    "status" => statuses.extend(Punctuated::<LitInt, Token![,]>::parse_terminated(&list)?),
                    "content" => content.extend(Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?),
                    _ => return Err(Error::new(key.span(), "unknown list: use errors(…), status(…) or content(…)")),
                }
                continue;
            }
            input.parse::<Token![=]>()?;
            if let Some((_, constant)) = CHOICES.iter().find(|(name, _)| key == name) {
                chosen.push((Ident::new(constant, key.span()), input.parse()?));
                continue;
            }
            match key.to_string().as_str() {
                "tag" => tag = Some(input.parse()?),
                "access" => access = Some(input.parse()?),
                "rate" => rate = Some(input.parse()?),
                "status" => statuses.push(input.parse()?),
                "requires" => requires = Some(input.parse()?),
                _ => {
                    return Err(Error::new(
                        key.span(),
                        "unknown argument: use tag, access, rate, status, errors(…), content(…), requires, deadline, max_body, body_idle, failure or ends_with_client",
                    ));
                }
            }
        }
        let missing = |what: &str| Error::new(Span::call_site(), what);
        Ok(Self {
            tag: tag.ok_or_else(|| missing("missing part of the API: tag = \"messages\""))?,
            access: access.ok_or_else(|| missing("missing access: access = Access::User (or Public, Admin)"))?,
            rate: rate
                .ok_or_else(|| missing("missing rate limit: rate = RateGroup::Read (or Write, Auth, MessageSend)"))?,
            method,
            path,
            statuses,
            errors,
            content,
            requires,
            chosen,
        })
    }
}

pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments: Arguments = parse2(arguments)?;
    let mut block: ItemImpl = parse2(item)
        .map_err(|error| Error::new(error.span(), "#[endpoint] requires `impl Endpoint for Name { … }`"))?;
    let trait_name = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if trait_name.is_none_or(|last| last.ident != "Endpoint") {
        return Err(Error::new_spanned(&block.self_ty, "#[endpoint] requires `impl Endpoint for Name { … }`"));
    }
    let name = type_name(&block.self_ty)?.clone();
    let (summary, description) = documentation(&block.attrs, &name)?;
    for (wanted, hint) in [("Request", "type Request = NoInput;"), ("Response", "type Response = NoData;")] {
        if !block.items.iter().any(|item| matches!(item, ImplItem::Type(ty) if ty.ident == wanted)) {
            return Err(Error::new(name.span(), format!("missing associated type; if it has no data: `{hint}`")));
        }
    }
    let Arguments { method, path, tag, access, rate, statuses, errors, content, requires, chosen } = arguments;
    let before = before(&mut block, requires)?;
    let content =
        (!content.is_empty()).then(|| quote!(const CONTENT_TYPES: &'static [&'static str] = &[#(#content),*];));
    let chosen = chosen.iter().map(|(constant, value)| {
        let ty = type_of(constant);
        quote!(const #constant: #ty = #value;)
    });
    let statuses = (!statuses.is_empty()).then(|| quote!(const STATUSES: &'static [u16] = &[#(#statuses),*];));
    let errors = (!errors.is_empty())
        .then(|| quote!(const ERRORS: &'static [::appcore::Code] = &[#(::appcore::Code::#errors),*];));
    let text = name.to_string();
    let documented = format!("`{method} {}`: {summary}", path.value());
    let (attributes, items) = (&block.attrs, &block.items);
    let trait_path = block.trait_.as_ref().map(|(_, path, _)| path);
    let check = quote_spanned! {path.span()=>
        const _: () = ::endpoint::assert_path(#path, <<#name as ::endpoint::Endpoint>::Request as ::endpoint::Input>::PATH_FIELDS);
    };
    Ok(quote! {
        #[doc = #documented]
        pub struct #name;

        #check

        #(#attributes)*
        impl #trait_path for #name {
            const NAME: &'static str = #text;
            const METHOD: ::endpoint::Method = ::endpoint::Method::#method;
            const PATH: &'static str = #path;
            const SUMMARY: &'static str = #summary;
            const DESCRIPTION: &'static str = #description;
            const TAG: &'static str = #tag;
            const ACCESS: ::endpoint::Access = #access;
            const RATE: ::endpoint::RateGroup = #rate;
            #statuses
            #errors
            #content
            #(#chosen)*
            #before
            #(#items)*
        }
    })
}

/// Generates `handle_before`, which checks the precondition, unless the block already contains it.
/// Adds the third parameter of `handle` if it is missing.
fn before(block: &mut ItemImpl, requires: Option<Requirement>) -> Result<TokenStream> {
    let own_loaded = block.items.iter().any(|item| matches!(item, ImplItem::Type(ty) if ty.ident == "Loaded"));
    let own_before =
        block.items.iter().any(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == "handle_before"));
    if let Some(Requirement { proof, .. }) = requires.as_ref().filter(|_| own_loaded || own_before) {
        return Err(Error::new_spanned(proof, "`requires` generates handle_before: use only one of the two"));
    }
    if own_loaded && !own_before {
        return Err(Error::new_spanned(&block.self_ty, "missing handle_before, which loads the type Loaded"));
    }
    if let Some(handle) = block.items.iter_mut().find_map(handle_of)
        && handle.sig.inputs.len() == 2
    {
        if own_loaded || requires.is_some() {
            return Err(Error::new(
                handle.sig.ident.span(),
                "missing parameter for the result of handle_before: `handle(ctx: &Ctx, request: …, proof: &…)`",
            ));
        }
        handle.sig.inputs.push(parse_quote!(_: &()));
    }
    let Some(Requirement { proof, about }) = requires else {
        let facts = (!own_loaded).then(|| {
            quote!(
                type Loaded = ();
            )
        });
        let nothing = (!own_before).then(|| {
            quote! {
                async fn handle_before(
                    _: &::endpoint::Ctx,
                    _: &mut Self::Request,
                ) -> ::core::result::Result<(), ::appcore::AppError> {
                    ::core::result::Result::Ok(())
                }
            }
        });
        return Ok(quote!(#facts #nothing));
    };
    let about = about.map_or_else(|| quote!(&()), |field| quote!(&_request.#field));
    Ok(quote! {
        type Loaded = #proof;
        const REFUSALS: &'static [::appcore::Code] = <#proof as ::endpoint::Precondition>::REFUSALS;

        async fn handle_before(
            ctx: &::endpoint::Ctx,
            _request: &mut Self::Request,
        ) -> ::core::result::Result<#proof, ::appcore::AppError> {
            <#proof as ::endpoint::Precondition>::check(ctx, ctx.user()?, #about).await
        }
    })
}

fn handle_of(item: &mut ImplItem) -> Option<&mut ImplItemFn> {
    match item {
        ImplItem::Fn(function) if function.sig.ident == "handle" => Some(function),
        _ => None,
    }
}

fn type_of(constant: &Ident) -> TokenStream {
    match constant.to_string().as_str() {
        "DEADLINE" => quote!(::endpoint::Bound<::std::time::Duration>),
        "MAX_BODY" => quote!(::endpoint::Bound<usize>),
        "BODY_IDLE" => quote!(::std::time::Duration),
        "FAILURE" => quote!(::endpoint::FailureForm),
        _ => quote!(bool),
    }
}

fn type_name(ty: &Type) -> Result<&Ident> {
    match ty {
        Type::Path(path) => {
            path.path.get_ident().ok_or_else(|| Error::new_spanned(ty, "the endpoint's type must be a plain name"))
        }
        other => Err(Error::new_spanned(other, "the endpoint's type must be a plain name")),
    }
}

/// Returns the first paragraph of the doc comment, and the rest of it.
fn documentation(attributes: &[Attribute], name: &Ident) -> Result<(String, String)> {
    let text = doc_text(attributes);
    let (summary, description) = text.split_once("\n\n").unwrap_or((&text, ""));
    let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    if summary.is_empty() {
        return Err(Error::new(
            name.span(),
            "missing doc comment: its first paragraph is the title in the API's description",
        ));
    }
    Ok((summary, description.trim().to_owned()))
}

/// Returns the text of a doc comment without the leading space of each line.
pub fn doc_text(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').map_or(line.clone(), str::to_owned))
        .collect();
    lines.join("\n").trim().to_owned()
}
