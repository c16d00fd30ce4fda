//! Macros for endpoints and settings. Everything that they generate can be written by hand.
//!
//! `#[endpoint]` stands on an `impl Endpoint for Name`: it makes the unit struct `Name`, fills in the constants of the trait
//! from its arguments and from the doc comment, and checks when it compiles that the path's fields are those of the request.
//! `#[dto(request)]` and `#[dto(response)]` stand on the structs that come in and go out.

mod dto;
mod endpoint;
mod settings;

use proc_macro::TokenStream;

/// `#[endpoint(METHOD "/path/{id}", tag = "…", access = Access::…, rate = RateGroup::…, status = 201, errors(NotFound))]`
///
/// `status` (200; `status(201, 200)` where a call has two, the usual one first) and `errors` (none beyond those that the rest implies) may be left out,
/// as may what most endpoints have in common: `deadline = Bound::Fixed(…)`, `max_body = Bound::Setting(|config| …)`, `body_idle = Duration::…`,
/// `failure = FailureForm::…`, `ends_with_client = true`, and for answers without an envelope `content("text/event-stream")`. Nothing else may.
///
/// `requires = Confirmed`, or `requires = Payer(workspace_id)` about a field of the request, is the endpoint's `handle_before`: it asks for a proof, which
/// `handle` takes as its third parameter. Without it that parameter, `&()`, is left out.
#[proc_macro_attribute]
pub fn endpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[dto(request)]`: what a caller sends, each field `#[from(path)]`, `#[from(query)]`, `#[from(header)]`, `#[from(page)]` or,
/// without one, from the body's fields. `#[from(bytes)]` and `#[from(stream)]`, with the body's type behind a comma where it is not
/// `application/octet-stream`, take the body as it comes: whole, or as it arrives. `#[dto(response)]`: what a caller gets.
#[proc_macro_attribute]
pub fn dto(arguments: TokenStream, item: TokenStream) -> TokenStream {
    dto::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[derive(Settings)]` on the struct of a section of the configuration, which also has `#[settings("section.path")]`, and
/// `#[settings("section.path", enabled = "…")]` where the section has a switch that its owner reads. It makes `Self::SETTINGS`, the section's rows of the table
/// of settings: one for each field with `#[setting(Kind, default = …)]`, or `example = …` where the setting has no default. The doc comment explains the
/// setting to operators. `each` before the default: the operator chooses the keys below the field's name; `needed`: the setting is required where the section is
/// switched on. `#[limit(strategy, limit, window)]` makes the three rows of a rate limit.
#[proc_macro_derive(Settings, attributes(settings, setting, limit))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::expand(item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
