//! What a person sees whose address is kept out: a page without a script, instead of JSON that a browser would show as it is.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, VARY},
    },
};
use appcore::AppError;

const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page, for a browser that asks for one.
pub fn page(http: &HttpRequest, refusal: &AppError) -> Option<HttpResponse> {
    let header = |name| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if *http.method() != Method::GET || !header(ACCEPT).contains("text/html") {
        return None;
    }
    let seconds = refusal.retry_after()?.as_secs().max(1);
    let is_vietnamese = header(ACCEPT_LANGUAGE).trim_start().to_ascii_lowercase().starts_with("vi");
    let minutes = seconds.div_ceil(60);
    let (language, title, sentence) = if is_vietnamese {
        let sentence = format!("Có quá nhiều yêu cầu sai từ địa chỉ mạng của bạn. Hãy thử lại sau {minutes} phút.");
        ("vi", "Vui lòng chờ", sentence)
    } else {
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        let sentence = format!(
            "Too much went wrong from your network address. Try again in {minutes} {unit}, or ask whoever runs this server."
        );
        ("en", "Please wait", sentence)
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{sentence}</p>\n</html>\n"
    );
    let status = StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::FORBIDDEN);
    Some(
        HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((VARY, "Accept, Accept-Language"))
            .insert_header((RETRY_AFTER, seconds.to_string()))
            .body(page),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{body::to_bytes, test::TestRequest};
    use appcore::Code;

    use super::*;

    #[actix_web::test]
    async fn a_browser_gets_a_page_and_a_program_does_not() {
        let retry_after = Some(Duration::from_secs(300));
        let refusal = AppError::Refused { code: Code::AddressBanned, message: None, retry_after };
        let ask = |accept: &'static str, language: &'static str| {
            let request =
                TestRequest::get().insert_header(("accept", accept)).insert_header(("accept-language", language));
            page(&request.to_http_request(), &refusal)
        };
        assert!(ask("application/json", "en").is_none());
        for (language, sentence) in [("en-GB,en;q=0.9", "in 5 minutes"), ("vi,en;q=0.5", "sau 5 phút")] {
            let answer = ask("text/html,*/*;q=0.8", language).unwrap();
            assert_eq!(answer.status().as_u16(), 403);
            assert_eq!(answer.headers().get("retry-after").unwrap(), "300");
            let body = to_bytes(answer.into_body()).await.unwrap();
            let body = std::str::from_utf8(&body).unwrap();
            assert!(body.contains(sentence) && !body.contains("<script"), "{body}");
        }
    }
}
