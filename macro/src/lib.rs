//! Macros for endpoints and settings. The code that they generate could also be written by hand.
//!
//! `#[endpoint]` is applied to an `impl Endpoint for Name`. It generates the unit struct `Name`,
//! sets the constants of the trait from its arguments and from the doc comment, and checks at
//! compile time that the path parameters are fields of the request. `#[dto(request)]` and
//! `#[dto(response)]` are applied to the structs of requests and responses.

mod dto;
mod endpoint;
mod settings;

use proc_macro::TokenStream;

/// `#[endpoint(METHOD "/path/{id}", tag = "…", access = Access::…, rate = RateGroup::…, status = 201,
/// errors(NotFound))]`
///
/// Optional arguments: `status` (default 200; `status(201, 200)` for two statuses, the usual one first), `errors`
/// (default: those implied by the other arguments), `deadline = Bound::Fixed(…)`, `max_body = Bound::Setting(|config|
/// …)`, `body_idle = Duration::…`, `failure = FailureForm::…`, `ends_with_client = true`, and for responses without an
/// envelope `content("text/event-stream")`. All others are required.
///
/// `requires = Confirmed`, or `requires = Payer(workspace_id)` for a field of the request, generates the endpoint's
/// `handle_before`. It checks the precondition and yields a witness, which is the third parameter of `handle`. Without
/// `requires` that parameter, `&()`, is omitted.
#[proc_macro_attribute]
pub fn endpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[dto(request)]` marks the struct of a request. Each field is read from `#[from(path)]`,
/// `#[from(query)]`, `#[from(header)]`, `#[from(page)]` or, by default, from the fields of the
/// body. `#[from(bytes)]` and `#[from(stream)]` take the unparsed body, complete or as a stream. If
/// its media type isn't `application/octet-stream`, that is given after a comma. `#[dto(response)]`
/// marks the struct of a response.
#[proc_macro_attribute]
pub fn dto(arguments: TokenStream, item: TokenStream) -> TokenStream {
    dto::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[derive(Settings)]` for the struct of a configuration section, together with
/// `#[settings("section.path")]`, or `#[settings("section.path", enabled = "…")]` if the section
/// can be switched on and off; `enabled` describes that switch. Generates `Self::SETTINGS`, the
/// rows of the section in the table of settings. There is a row for each field with
/// `#[setting(Kind, default = …)]`, or with `example = …` if the setting has no default. The
/// field's doc comment describes the setting to operators. Flags before the default: `each` if the
/// operator chooses the keys below the field's name, and `needed` if the setting is required when
/// the section is enabled. `#[limit(strategy, limit, window)]` generates the three rows of a rate
/// limit.
#[proc_macro_derive(Settings, attributes(settings, setting, limit))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::expand(item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
