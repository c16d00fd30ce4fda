//! `#[dto(request)]` and `#[dto(response)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, Expr, Field, Fields, GenericArgument, Ident, ItemStruct, LitStr, Meta, PathArguments, Result,
    Token, Type,
    ext::IdentExt as _,
    parse::{Parse, ParseStream},
    parse2,
    punctuated::Punctuated,
};

use crate::endpoint::doc_text;

pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let direction: Ident = parse2(arguments.clone())
        .map_err(|_| Error::new_spanned(&arguments, "say which way it goes: #[dto(request)] or #[dto(response)]"))?;
    let item: ItemStruct =
        parse2(item).map_err(|error| Error::new(error.span(), "#[dto] stands on a struct with named fields"))?;
    if !matches!(item.fields, Fields::Named(_)) {
        return Err(Error::new_spanned(&item.ident, "#[dto] stands on a struct with named fields"));
    }
    match direction.to_string().as_str() {
        "request" => request(item),
        "response" => Ok(quote! {
            #[derive(Debug, ::serde::Serialize, ::utoipa::ToSchema)]
            #item
        }),
        _ => Err(Error::new(direction.span(), "say which way it goes: #[dto(request)] or #[dto(response)]")),
    }
}

/// Where a field comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Path,
    Query,
    Header,
    Page,
    Body,
    /// The whole body, as it came.
    Bytes,
    /// The body, as it arrives.
    Stream,
}

fn request(mut item: ItemStruct) -> Result<TokenStream> {
    let name = item.ident.clone();
    let (mut reads, mut finds, mut idents, mut path_names, mut described, mut body) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
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
                path_names.push(text);
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
                    return Err(Error::new(ident.span(), "a request has one body"));
                }
                let read = if place == Source::Bytes { quote!(bytes) } else { quote!(stream) };
                reads.push(quote!(let #ident = source.#read();));
                described.push(quote!(operation.raw_body(#content_type);));
                finds.push(quote!(#ident));
            }
            Source::Body => {
                // An optional value that may also be null tells "not said" from "nothing": `Option<Option<T>>`.
                let read = match (required, inner(plain, "Option").is_some()) {
                    (true, _) => quote!(source.body::<#ty>(#text).required()),
                    (false, true) => quote!(source.body::<#plain>(#text).stated()),
                    (false, false) => quote!(source.body::<#plain>(#text).optional()),
                };
                reads.push(quote!(let #ident = #read;));
                body.push(schema_field(field)?);
                field.attrs.retain(|attribute| !attribute.path().is_ident("schema"));
                finds.push(quote!(#ident));
            }
        }
        idents.push(ident);
    }
    let has_fields = !body.is_empty();
    let form = match raw {
        Some(_) if has_fields => {
            return Err(Error::new(name.span(), "a body is fields, or it is from(bytes) or from(stream)"));
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
                #[allow(dead_code, reason = "its fields are only described")]
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
        #[derive(::validator::Validate)]
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

            fn describe(operation: &mut ::endpoint::Description) {
                #(#described)*
                #schema_call
            }
        }
    })
}

/// Where a field comes from, and what a body is written in.
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
                    "a field comes from(path), from(query), from(header), from(page), from(bytes), from(stream) or, with none of these, from the body",
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

/// The field as the description shows it: what `validator` checks is said there too.
fn schema_field(field: &Field) -> Result<TokenStream> {
    let (ident, ty) = (&field.ident, &field.ty);
    let ty = inner(ty, "Option").filter(|plain| inner(plain, "Option").is_some()).unwrap_or(ty);
    let docs = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let mut limits = Vec::new();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("validate")) {
        limits.extend(limits_of(attribute, field)?);
    }
    let schema = field.attrs.iter().filter(|attribute| attribute.path().is_ident("schema"));
    let limits = (!limits.is_empty()).then(|| quote!(#[schema(#(#limits),*)]));
    Ok(quote!(#(#docs)* #(#schema)* #limits #ident: #ty))
}

fn limits_of(attribute: &Attribute, field: &Field) -> Result<Vec<TokenStream>> {
    let mut limits = Vec::new();
    let plain = inner(&field.ty, "Option").unwrap_or(&field.ty);
    let items = inner(plain, "Vec").is_some();
    for rule in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
        let Meta::List(list) = rule else { continue };
        let (least, most) = if list.path.is_ident("length") {
            if items { ("min_items", "max_items") } else { ("min_length", "max_length") }
        } else if list.path.is_ident("range") {
            ("minimum", "maximum")
        } else {
            continue;
        };
        for bound in list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let Meta::NameValue(bound) = bound else { continue };
            let value: &Expr = &bound.value;
            let key = if bound.path.is_ident("min") {
                least
            } else if bound.path.is_ident("max") {
                most
            } else {
                continue;
            };
            let key = format_ident!("{key}");
            limits.push(quote!(#key = #value));
        }
    }
    Ok(limits)
}

/// The `T` of `Wrapper<T>`.
fn inner<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}
