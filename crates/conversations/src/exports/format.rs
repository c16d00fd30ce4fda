//! Export formats: JSON, HTML and Markdown.

use std::fmt::Write as _;

use appcore::{
    AppError, ConversationId, Timestamp,
    view::{ConversationKind, ExportFormat, Message, SenderKind, Upload},
};
use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

/// Metadata of an export: the conversation and the requested period.
#[derive(Serialize)]
pub(super) struct ExportHead {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    /// Names of members, used as the title of a conversation without one.
    #[serde(skip)]
    pub people: Vec<String>,
    pub exported_at: Timestamp,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
article{margin:1rem 0}h2{font-size:1rem;margin:0}time{font-weight:400;opacity:.7}p{margin:.25rem 0;white-space:pre-wrap;overflow-wrap:anywhere}\
.reply{margin-left:2rem}.gone{opacity:.7}img{display:block;max-width:100%;max-height:24rem;border-radius:.5rem}";
/// Content security policy of exported pages: no scripts, no remote resources, only images from the
/// archive.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: file:; base-uri 'none'; form-action 'none'";

/// Extensions that browsers display or download but never execute.
const SAFE_EXTENSIONS: [&str; 4] = ["csv", "json", "md", "txt"];
/// Extensions that a browser or an operating system may execute, whatever the media type.
const EXECUTABLE_EXTENSIONS: [&str; 34] = [
    "app", "bat", "cmd", "com", "cpl", "desktop", "exe", "hta", "htm", "html", "jar", "js", "jse", "lnk", "mht",
    "mhtml", "mjs", "msi", "pif", "ps1", "scr", "sh", "shtml", "svg", "svgz", "swf", "url", "vbe", "vbs", "wsf", "xht",
    "xhtml", "xml", "xsl",
];

pub(super) fn prologue(format: ExportFormat, head: &ExportHead) -> Result<Vec<u8>, AppError> {
    let people = Some(head.people.join(", ")).filter(|people| !people.is_empty());
    let title = head.title.clone().or(people).unwrap_or_else(|| "Conversation".to_owned());
    Ok(match format {
        ExportFormat::Json => {
            let mut text = serde_json::to_vec(head).map_err(AppError::internal)?;
            // Removes the closing brace, so that the message list can be appended to the object.
            text.pop();
            let start = b"{\"conversation\":";
            let mut all = start.to_vec();
            all.append(&mut text);
            all.extend_from_slice(b"},\"messages\":[\n");
            all
        }
        ExportFormat::Html => format!(
            "<!doctype html>\n<html><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_SECURITY_POLICY}\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\
             <style>{STYLE}</style></head><body><h1>{0}</h1>\n<p class=\"gone\">Exported {1}</p>\n",
            escape_html(&title),
            format_time(head.exported_at)
        )
        .into_bytes(),
        ExportFormat::Markdown => format!("# {}\n\nExported {}\n", collapse_lines(&title), format_time(head.exported_at)).into_bytes(),
    })
}

pub(super) fn message(
    format: ExportFormat,
    message: &Message,
    is_first: bool,
    has_files: bool,
) -> Result<Vec<u8>, AppError> {
    if format == ExportFormat::Json {
        let mut text = if is_first { Vec::new() } else { b",\n".to_vec() };
        text.append(&mut serde_json::to_vec(message).map_err(AppError::internal)?);
        return Ok(text);
    }
    let name = match (message.sender.kind, message.sender.name.trim()) {
        (SenderKind::System, "") => "System",
        (_, "") => "Deleted account",
        (_, name) => name,
    };
    let state = match (message.deleted_at, message.hidden_at, message.edited_at) {
        (Some(_), ..) => "deleted",
        (_, Some(_), _) => "hidden by a moderator",
        (.., Some(_)) => "edited",
        _ => "",
    };
    let mut text = String::new();
    let written = if format == ExportFormat::Html {
        html(&mut text, message, name, state, has_files)
    } else {
        markdown(&mut text, message, name, state, has_files)
    };
    written.map_err(AppError::internal)?;
    Ok(text.into_bytes())
}

/// Human-readable time in UTC, because the reader's time zone is unknown.
fn format_time(at: Timestamp) -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok();
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_else(|| at.to_string())
}

fn html(text: &mut String, message: &Message, name: &str, state: &str, has_files: bool) -> std::fmt::Result {
    let class = if message.thread_id.is_some() { " class=\"reply\"" } else { "" };
    let (id, at) = (message.id, message.created_at);
    write!(
        text,
        "<article id=\"m-{id}\"{class}><h2>{} <time datetime=\"{at}\">{}</time>",
        escape_html(name),
        format_time(at)
    )?;
    if !state.is_empty() {
        write!(text, " <time>({state})</time>")?;
    }
    text.push_str("</h2>");
    if let Some(reply_to) = message.reply_to.or(message.thread_id) {
        write!(text, "<p><a href=\"#m-{reply_to}\">In reply to</a></p>")?;
    }
    if !message.content.is_empty() {
        write!(text, "<p>{}</p>", escape_html(&message.content))?;
    }
    for (option, result) in message.poll.iter().flat_map(|poll| poll.options.iter().zip(&poll.results.options)) {
        write!(text, "<p>☐ {}: {}</p>", escape_html(option), result.votes)?;
    }
    for file in &message.attachments {
        if has_files {
            let path = escape_html(&path_of(file).replace('%', "%25").replace('#', "%23").replace('?', "%3F"));
            let name = escape_html(&file.name);
            if is_picture(file) {
                write!(text, "<p><a href=\"{path}\"><img src=\"{path}\" alt=\"{name}\" loading=\"lazy\"></a></p>")?;
            } else {
                write!(text, "<p><a href=\"{path}\">{name}</a></p>")?;
            }
        } else {
            write!(text, "<p>📎 {}</p>", escape_html(&file.name))?;
        }
    }
    for reaction in &message.reactions {
        write!(text, "<span>{} {}</span> ", escape_html(&reaction.emoji), reaction.count)?;
    }
    text.push_str("</article>\n");
    Ok(())
}

fn markdown(text: &mut String, message: &Message, name: &str, state: &str, has_files: bool) -> std::fmt::Result {
    write!(text, "\n**{}** {}", collapse_lines(name), format_time(message.created_at))?;
    if message.thread_id.is_some() {
        text.push_str(" in a thread");
    }
    if !state.is_empty() {
        write!(text, " ({state})")?;
    }
    text.push('\n');
    if !message.content.is_empty() {
        write!(text, "\n{}\n", message.content)?;
    }
    if let Some(poll) = &message.poll {
        text.push('\n');
        for (option, result) in poll.options.iter().zip(&poll.results.options) {
            writeln!(text, "- {option}: {}", result.votes)?;
        }
    }
    for file in &message.attachments {
        let name = collapse_lines(&file.name).replace(['[', ']'], " ");
        if has_files {
            write!(text, "\n[{name}](<{}>)\n", path_of(file).replace(['<', '>'], ""))?;
        } else {
            write!(text, "\n📎 {name}\n")?;
        }
    }
    if !message.reactions.is_empty() {
        text.push('\n');
        for reaction in &message.reactions {
            write!(text, "{} {}  ", reaction.emoji, reaction.count)?;
        }
        text.push('\n');
    }
    Ok(())
}

pub(super) const fn epilogue(format: ExportFormat) -> &'static [u8] {
    match format {
        ExportFormat::Json => b"\n]}\n",
        ExportFormat::Html => b"</body></html>\n",
        ExportFormat::Markdown => b"",
    }
}

/// Path of a file in the archive. The id makes it unique. Characters that some systems reject are
/// replaced, and files that might be executed get the extension `.txt`.
pub(super) fn path_of(file: &Upload) -> String {
    let plain = |char: char| if char.is_control() || r#"/\:*?"<>|"#.contains(char) { '_' } else { char };
    let name: String = file.name.chars().map(plain).collect();
    let name = Some(name.trim_matches(['.', ' ']).trim()).filter(|name| !name.is_empty()).unwrap_or("file");
    let end = if may_execute(name, &file.media_type) { ".txt" } else { "" };
    format!("files/{}/{name}{end}", file.id.0.simple())
}

/// True if opening the file might execute it. Without a known extension a browser sniffs the
/// content, so an uncertain media type counts as executable.
fn may_execute(name: &str, media_type: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let is_certain = ["image/", "audio/", "video/", "application/"].iter().any(|kind| media_type.starts_with(kind))
        && media_type != "application/octet-stream"
        && !["xml", "json", "yaml", "script"].iter().any(|end| media_type.ends_with(end));
    !SAFE_EXTENSIONS.contains(&extension.as_str())
        && (EXECUTABLE_EXTENSIONS.contains(&extension.as_str()) || !is_certain)
}

/// True for image types that every browser displays.
fn is_picture(file: &Upload) -> bool {
    matches!(file.media_type.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp")
        && !may_execute(&file.name, &file.media_type)
}

fn collapse_lines(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use appcore::{
        UploadId,
        view::{UploadKind, UploadStatus},
    };

    use super::*;

    #[test]
    fn sanitizes_file_names() {
        for (name, wanted) in [("../../etc/a.txt", "_.._etc_a.txt"), ("a\\b:c.md", "a_b_c.md"), (" x.csv. ", "x.csv")] {
            let file = file(name, "text/plain");
            assert_eq!(path_of(&file), format!("files/{}/{wanted}", file.id.0.simple()));
        }
        assert_eq!(escape_html("<b a=\"'&\">"), "&lt;b a=&quot;&#39;&amp;&quot;&gt;");
    }

    #[test]
    fn executable_files_get_a_txt_extension() {
        for (name, media_type, runs) in [
            ("a.png", "image/png", false),
            ("a.pdf", "application/pdf", false),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false),
            ("a.json", "application/json", false),
            ("a.HTML", "text/html", true),
            ("a.svg", "image/svg+xml", true),
            ("picture.html", "image/gif", true),
            ("setup.exe", "application/vnd.microsoft.portable-executable", true),
            ("page", "text/plain", true),
            ("main.rs", "text/plain", true),
            ("a.bin", "application/octet-stream", true),
        ] {
            assert_eq!(path_of(&file(name, media_type)).ends_with(".txt"), runs, "{name}");
            assert!(path_of(&file(name, media_type)).contains(name));
        }
    }

    fn file(name: &str, media_type: &str) -> Upload {
        Upload {
            id: UploadId::new(),
            name: name.to_owned(),
            kind: UploadKind::File,
            media_type: media_type.to_owned(),
            size: 1,
            sha256: None,
            width: None,
            height: None,
            duration_ms: None,
            peaks: None,
            thumbhash: None,
            status: UploadStatus::Ready,
            transcript: None,
            transcript_state: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn empty_export_is_valid_json() {
        let head = ExportHead {
            id: ConversationId::new(),
            kind: ConversationKind::Group,
            title: Some("A } B".to_owned()),
            people: Vec::new(),
            exported_at: Timestamp(0),
            from: None,
            to: None,
        };
        let mut text = prologue(ExportFormat::Json, &head).unwrap();
        text.extend_from_slice(epilogue(ExportFormat::Json));
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&read["conversation"]["title"], &read["messages"]), (&"A } B".into(), &serde_json::json!([])));
    }
}
