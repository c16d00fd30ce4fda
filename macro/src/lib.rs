//! Macros for the endpoint crate. Everything that they generate can be written by hand.
//!
//! `#[endpoint]` stands on an `impl Endpoint for Name`: it makes the unit struct `Name`, fills in the constants of the trait
//! from its arguments and from the doc comment, and checks when it compiles that the path's fields are those of the request.
//! `#[dto(request)]` and `#[dto(response)]` stand on the structs that come in and go out.

mod dto;
mod endpoint;

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
