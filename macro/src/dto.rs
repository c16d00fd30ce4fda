//! Attribute macros `#[dto(request)]` and `#[dto(response)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Error, Expr, Field, Fields, GenericArgument, Ident, ItemStruct, LitStr, MetaList, MetaNameValue, PathArguments,
    Result, Token, Type,
    ext::IdentExt as _,
    parse::{Parse, ParseStream},
    parse2,
    punctuated::Punctuated,
};

use crate::endpoint::doc_text;

pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let direction: Ident = parse2(arguments.clone())
        .map_err(|_| Error::new_spanned(&arguments, "missing direction: #[dto(request)] or #[dto(response)]"))?;
    let item: ItemStruct =
        parse2(item).map_err(|error| Error::new(error.span(), "#[dto] requires a struct with named fields"))?;
    if !matches!(item.fields, Fields::Named(_)) {
        return Err(Error::new_spanned(&item.ident, "#[dto] requires a struct with named fields"));
    }
    match direction.to_string().as_str() {
        "request" => request(item),
        "response" => Ok(quote! {
            #[derive(Debug, ::serde::Serialize, ::utoipa::ToSchema)]
            #item
        }),
        _ => Err(Error::new(direction.span(), "missing direction: #[dto(request)] or #[dto(response)]")),
    }
}

/// Part of the request from which a field is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Path,
    Query,
    Header,
    Page,
    Body,
    /// The whole body, unparsed.
    Bytes,
    /// The body, as a stream.
    Stream,
}

fn request(mut item: ItemStruct) -> Result<TokenStream> {
    let name = item.ident.clone();
    let (mut reads, mut finds, mut idents, mut path_names, mut described, mut body, mut checks) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    let mut raw = None;
    for field in &mut item.fields {
        let Origin { place, content_type } = origin(field)?;
        field.attrs.retain(|attribute| !attribute.path().is_ident("from"));
        let Some(ident) = field.ident.clone() else { continue };
        let (text, ty, documentation) = (ident.unraw().to_string(), field.ty.clone(), doc_text(&field.attrs));
        let optional = inner(&ty, "Option");
        let (plain, required) = (optional.unwrap_or(&ty), optional.is_none());
        match place {
            Source::Path => {
                reads.push(quote!(let #ident = source.path::<#ty>(#text)?;));
                described.push(quote!(operation.path::<#ty>(#text, #documentation);));
                path_names.push(text.clone());
                finds.push(quote!(Some(#ident)));
            }
            Source::Page => {
                reads.push(quote!(let #ident = source.page();));
                described.push(quote!(operation.page();));
                finds.push(quote!(#ident));
            }
            Source::Query | Source::Header => {
                let (read, describe) = if place == Source::Query {
                    (quote!(query), quote!(query))
                } else {
                    (quote!(header), quote!(header))
                };
                let need = if required { quote!(.required()) } else { quote!(.optional()) };
                reads.push(quote!(let #ident = source.#read::<#plain>(#text) #need;));
                described.push(quote!(operation.#describe::<#plain>(#text, #documentation, #required);));
                finds.push(quote!(#ident));
            }
            Source::Bytes | Source::Stream => {
                if raw.replace(place).is_some() {
                    return Err(Error::new(ident.span(), "a request can have only one body"));
                }
                let read = if place == Source::Bytes { quote!(bytes) } else { quote!(stream) };
                reads.push(quote!(let #ident = source.#read();));
                described.push(quote!(operation.raw_body(#content_type);));
                finds.push(quote!(#ident));
            }
            Source::Body => {
                // With `Option<Option<T>>`, a missing value differs from null.
                let read = match (required, inner(plain, "Option").is_some()) {
                    (true, _) => quote!(source.body::<#ty>(#text).required()),
                    (false, true) => quote!(source.body::<#plain>(#text).nullable()),
                    (false, false) => quote!(source.body::<#plain>(#text).optional()),
                };
                reads.push(quote!(let #ident = #read;));
                body.push(schema_field(field)?);
                field.attrs.retain(|attribute| !attribute.path().is_ident("schema"));
                finds.push(quote!(#ident));
            }
        }
        for rule in rules(field)? {
            let (kind, bounds) = (&rule.kind, rule.bounds());
            checks.push(quote!(checks.#kind(#text, &self.#ident, &#bounds);));
        }
        field.attrs.retain(|attribute| !attribute.path().is_ident("validate"));
        idents.push(ident);
    }
    let has_fields = !body.is_empty();
    let form = match raw {
        Some(_) if has_fields => {
            return Err(Error::new(name.span(), "a body consists either of fields or of from(bytes) or from(stream)"));
        }
        Some(Source::Bytes) => quote!(Bytes),
        Some(_) => quote!(Stream),
        None if has_fields => quote!(Fields),
        None => quote!(Nothing),
    };
    let schema = format_ident!("{name}Body");
    let (schema_item, schema_call) = if has_fields {
        let documentation = doc_text(&item.attrs);
        let documentation = (!documentation.is_empty()).then(|| quote!(#[doc = #documentation]));
        (
            Some(quote! {
                #documentation
                #[allow(dead_code, reason = "the fields are only used for the OpenAPI schema")]
                #[derive(::utoipa::ToSchema)]
                #[schema(as = #name)]
                struct #schema { #(#body),* }
            }),
            Some(quote!(operation.body::<#schema>();)),
        )
    } else {
        (None, None)
    };
    let finds = finds.iter();
    Ok(quote! {
        #item

        #schema_item

        impl ::endpoint::Input for #name {
            const PATH_FIELDS: &'static [&'static str] = &[#(#path_names),*];
            const BODY: ::endpoint::BodyForm = ::endpoint::BodyForm::#form;

            fn read(source: &mut ::endpoint::Source) -> Result<Self, ::appcore::AppError> {
                #(#reads)*
                let whole = (|| Some(Self { #(#idents: #finds?),* }))();
                source.finish(whole)
            }

            fn check(&self, checks: &mut ::endpoint::BoundChecks<'_>) {
                #(#checks)*
            }

            fn describe(operation: &mut ::endpoint::Description) {
                #(#described)*
                #schema_call
            }
        }
    })
}

/// Source of a field, with the media type if the source is the body.
struct Origin {
    place: Source,
    content_type: String,
}

impl Parse for Origin {
    fn parse(input: ParseStream) -> Result<Self> {
        let place: Ident = input.parse()?;
        let mut content_type = "application/octet-stream".to_owned();
        let place = match place.to_string().as_str() {
            "path" => Source::Path,
            "query" => Source::Query,
            "header" => Source::Header,
            "page" => Source::Page,
            "bytes" => Source::Bytes,
            "stream" => Source::Stream,
            _ => {
                return Err(Error::new(
                    place.span(),
                    "unknown source: use from(path), from(query), from(header), from(page), from(bytes) or from(stream), or omit it for a field of the body",
                ));
            }
        };
        if matches!(place, Source::Bytes | Source::Stream) && input.parse::<Option<Token![,]>>()?.is_some() {
            content_type = input.parse::<LitStr>()?.value();
        }
        Ok(Self { place, content_type })
    }
}

fn origin(field: &Field) -> Result<Origin> {
    match field.attrs.iter().find(|attribute| attribute.path().is_ident("from")) {
        Some(attribute) => attribute.parse_args(),
        None => Ok(Origin { place: Source::Body, content_type: String::new() }),
    }
}

/// Returns the field of the OpenAPI schema, with its bounds.
fn schema_field(field: &Field) -> Result<TokenStream> {
    let (ident, ty) = (&field.ident, &field.ty);
    let ty = inner(ty, "Option").filter(|plain| inner(plain, "Option").is_some()).unwrap_or(ty);
    let docs = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let is_list = inner(inner(&field.ty, "Option").unwrap_or(&field.ty), "Vec").is_some();
    let limits: Vec<_> = rules(field)?.iter().flat_map(|rule| rule.limits(is_list)).collect();
    let schema = field.attrs.iter().filter(|attribute| attribute.path().is_ident("schema"));
    let limits = (!limits.is_empty()).then(|| quote!(#[schema(#(#limits),*)]));
    Ok(quote!(#(#docs)* #(#schema)* #limits #ident: #ty))
}

/// Rule of `#[validate(…)]`: `length(…)` or `range(…)`.
struct Rule {
    kind: Ident,
    min: Option<Expr>,
    max: Option<Expr>,
    message: Option<Expr>,
}

fn rules(field: &Field) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("validate")) {
        rules.extend(attribute.parse_args_with(Punctuated::<Rule, Token![,]>::parse_terminated)?);
    }
    Ok(rules)
}

impl Parse for Rule {
    fn parse(input: ParseStream) -> Result<Self> {
        let list: MetaList = input.parse()?;
        let kind = list.path.require_ident()?.clone();
        if kind != "length" && kind != "range" {
            return Err(Error::new(kind.span(), "expected `length` or `range`"));
        }
        let mut rule = Self { kind, min: None, max: None, message: None };
        for bound in list.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated)? {
            let name = bound.path.require_ident()?;
            let place = match name.to_string().as_str() {
                "min" => &mut rule.min,
                "max" => &mut rule.max,
                "message" => &mut rule.message,
                _ => return Err(Error::new(name.span(), "expected `min`, `max` or `message`")),
            };
            *place = Some(bound.value);
        }
        Ok(rule)
    }
}

impl Rule {
    /// Returns an expression of the type `endpoint::Bounds`.
    fn bounds(&self) -> TokenStream {
        let [min, max, message] = [&self.min, &self.max, &self.message].map(|value| match value {
            Some(value) => quote!(Some(#value)),
            None => quote!(None),
        });
        quote!(::endpoint::Bounds { min: #min, max: #max, message: #message })
    }

    /// Returns the bounds as arguments of utoipa's attribute `schema`.
    fn limits(&self, is_list: bool) -> Vec<TokenStream> {
        let (least, most) = match (self.kind == "range", is_list) {
            (true, _) => ("minimum", "maximum"),
            (false, true) => ("min_items", "max_items"),
            (false, false) => ("min_length", "max_length"),
        };
        let limit = |key: &str, value: &Option<Expr>| {
            let (key, value) = (format_ident!("{key}"), value.as_ref()?);
            Some(quote!(#key = #value))
        };
        [limit(least, &self.min), limit(most, &self.max)].into_iter().flatten().collect()
    }
}

/// Returns the `T` of `Wrapper<T>`.
fn inner<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}
