//! Page that browsers get at a banned address, instead of JSON. It has no scripts. It reloads
//! itself, so that it disappears when the ban ends or is lifted.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{
            ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFRESH, RETRY_AFTER, VARY,
        },
    },
};
use appcore::{AppError, Language};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("banned.css");
/// Maximum interval of reloads, in seconds. Bounded because a ban may be lifted early.
const MAX_RELOAD_INTERVAL: u64 = 20;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
});

/// Returns the page, if the request is from a browser that accepts HTML.
pub fn page(http: &HttpRequest, refusal: &AppError) -> Option<HttpResponse> {
    let header = |name| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if *http.method() != Method::GET || !header(ACCEPT).contains("text/html") {
        return None;
    }
    let seconds = refusal.retry_after()?.as_secs().max(1);
    let words = PageTexts::of(header(ACCEPT_LANGUAGE), seconds);
    let PageTexts { language, title, sentence, wait, next } = words;
    let page = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<main>\n\
         <svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M5.2 19.2v-7.4a6.8 6.8 0 0 1 13.6 0v7.4\"/><circle cx=\"12\" cy=\"18.4\" r=\"2.3\"/></svg>\n\
         <h1>{title}</h1>\n<p>{sentence}</p>\n<p><b>{wait}</b></p>\n<p>{next}</p>\n</main>\n</html>\n"
    );
    let status = StatusCode::from_u16(refusal.code().status()).unwrap_or(StatusCode::FORBIDDEN);
    Some(
        HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((VARY, "Accept, Accept-Language"))
            .insert_header((REFRESH, seconds.min(MAX_RELOAD_INTERVAL).to_string()))
            .insert_header((RETRY_AFTER, seconds.to_string()))
            .body(page),
    )
}

/// Texts of the page, in one language.
struct PageTexts {
    language: &'static str,
    title: &'static str,
    sentence: &'static str,
    wait: String,
    next: &'static str,
}

impl PageTexts {
    fn of(languages: &str, seconds: u64) -> Self {
        let minutes = seconds.div_ceil(60);
        // Shows longer bans in hours or days.
        let (count, is_hours) = if minutes <= 120 { (minutes, false) } else { (minutes.div_ceil(60), true) };
        let unit = |hours: &'static str, minute: &'static str, minutes: &'static str| match count {
            _ if is_hours => hours,
            1 => minute,
            _ => minutes,
        };
        let language = Language::from_accept_language(languages);
        let (title, sentence, wait, next) = match language {
            Language::En => (
                "Too many attempts from your network",
                "This server has blocked your network for a while.",
                format!("Trying again in {count} {}", unit("hours", "minute", "minutes")),
                "This page retries automatically. If you think this is a mistake, contact the server's admin.",
            ),
            Language::De => (
                "Zu viele Versuche aus deinem Netzwerk",
                "Dieser Server hat dein Netzwerk vorübergehend gesperrt.",
                format!("Neuer Versuch in {count} {}", unit("Stunden", "Minute", "Minuten")),
                "Diese Seite versucht es automatisch erneut. Wenn du das für einen Fehler hältst, wende dich an den Admin des Servers.",
            ),
            Language::Es => (
                "Demasiados intentos desde tu red",
                "Este servidor ha bloqueado tu red por un tiempo.",
                format!("Se reintentará en {count} {}", unit("horas", "minuto", "minutos")),
                "Esta página reintenta automáticamente. Si crees que es un error, contacta con el administrador del servidor.",
            ),
            Language::Fr => (
                "Trop de tentatives depuis votre réseau",
                "Ce serveur a bloqué votre réseau pour un moment.",
                format!("Nouvel essai dans {count} {}", unit("heures", "minute", "minutes")),
                "Cette page réessaie automatiquement. Si vous pensez que c'est une erreur, contactez l'admin du serveur.",
            ),
            Language::Ja => (
                "ネットワークからの試行回数が多すぎます",
                "このサーバーがあなたのネットワークを一時的にブロックしました。",
                format!("{count}{}後にもう一度試します", unit("時間", "分", "分")),
                "このページは自動で再試行します。誤りと思われる場合は、サーバーの管理者にお問い合わせください。",
            ),
            Language::Vi => (
                "Mạng của bạn đã thử quá nhiều lần",
                "Máy chủ này đã tạm chặn mạng của bạn.",
                format!("Thử lại sau {count} {}", unit("giờ", "phút", "phút")),
                "Trang này tự động thử lại. Nếu bạn cho rằng có nhầm lẫn, hãy liên hệ quản trị viên máy chủ.",
            ),
        };
        Self { language: language.as_str(), title, sentence, wait, next }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{body::to_bytes, test::TestRequest};
    use appcore::Code;

    use super::*;

    #[actix_web::test]
    async fn only_browsers_get_the_page() {
        let retry_after = Some(Duration::from_secs(300));
        let refusal = AppError::Refused { code: Code::AddressBanned, message: None, retry_after };
        let ask = |accept: &'static str, language: &'static str| {
            let request =
                TestRequest::get().insert_header(("accept", accept)).insert_header(("accept-language", language));
            page(&request.to_http_request(), &refusal)
        };
        assert!(ask("application/json", "en").is_none());
        for (language, sentence) in [
            ("en-GB,en;q=0.9", "in 5 minutes"),
            ("de-AT", "in 5 Minuten"),
            ("es", "en 5 minutos"),
            ("fr-CA,fr;q=0.8", "dans 5 minutes"),
            ("ja,en;q=0.5", "5分後"),
            ("vi,en;q=0.5", "sau 5 phút"),
            ("it,es;q=0.5", "en 5 minutos"),
        ] {
            let answer = ask("text/html,*/*;q=0.8", language).unwrap();
            assert_eq!(answer.status().as_u16(), 403);
            assert_eq!(answer.headers().get("retry-after").unwrap(), "300");
            assert_eq!(answer.headers().get("refresh").unwrap(), "20");
            let body = to_bytes(answer.into_body()).await.unwrap();
            let body = std::str::from_utf8(&body).unwrap();
            assert!(body.contains(sentence) && !body.contains("<script"), "{body}");
        }
    }

    #[test]
    fn each_language_has_its_own_texts() {
        let all = Language::ALL.map(|language| PageTexts::of(language.as_str(), 60));
        for (index, (language, texts)) in Language::ALL.into_iter().zip(&all).enumerate() {
            assert_eq!(texts.language, language.as_str());
            for other in &all[..index] {
                assert!(texts.title != other.title && texts.sentence != other.sentence, "{language:?}");
                assert!(texts.wait != other.wait && texts.next != other.next, "{language:?}");
            }
        }
    }

    #[test]
    fn formats_the_remaining_time() {
        for (seconds, wait) in
            [(1, "in 1 minute"), (61, "in 2 minutes"), (7_200, "in 120 minutes"), (86_400, "in 24 hours")]
        {
            assert!(PageTexts::of("en", seconds).wait.ends_with(wait), "{seconds}");
        }
    }
}
