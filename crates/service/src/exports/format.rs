//! What is written of a conversation in each format.

use std::fmt::Write as _;

use appcore::{
    AppError, ConversationId, Timestamp, UploadId,
    view::{ConversationKind, ExportFormat, Message, SenderKind},
};
use serde::Serialize;

/// The conversation, and what of it was wanted.
#[derive(Serialize)]
pub(super) struct Head {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub exported_at: Timestamp,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
article{margin:1rem 0}h2{font-size:1rem;margin:0}time{font-weight:400;opacity:.7}p{margin:.25rem 0;white-space:pre-wrap;overflow-wrap:anywhere}\
.reply{margin-left:2rem}.gone{opacity:.7}";

pub(super) fn begin(format: ExportFormat, head: &Head) -> Result<Vec<u8>, AppError> {
    let title = head.title.clone().unwrap_or_else(|| "Conversation".to_owned());
    Ok(match format {
        ExportFormat::Json => {
            let mut text = serde_json::to_vec(head).map_err(AppError::internal)?;
            // The head's own closing bracket makes room for the list.
            text.pop();
            let start = b"{\"conversation\":";
            let mut all = start.to_vec();
            all.append(&mut text);
            all.extend_from_slice(b"},\"messages\":[\n");
            all
        }
        ExportFormat::Html => format!(
            "<!doctype html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\
             <style>{STYLE}</style></head><body><h1>{0}</h1>\n<p class=\"gone\">Exported {1}</p>\n",
            escaped(&title),
            head.exported_at
        )
        .into_bytes(),
        ExportFormat::Markdown => format!("# {}\n\nExported {}\n", one_line(&title), head.exported_at).into_bytes(),
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

fn html(text: &mut String, message: &Message, name: &str, state: &str, has_files: bool) -> std::fmt::Result {
    let class = if message.thread_id.is_some() { " class=\"reply\"" } else { "" };
    write!(text, "<article id=\"m-{}\"{class}><h2>{} <time>{}</time>", message.id, escaped(name), message.created_at)?;
    if !state.is_empty() {
        write!(text, " <time>({state})</time>")?;
    }
    text.push_str("</h2>");
    if let Some(reply_to) = message.reply_to.or(message.thread_id) {
        write!(text, "<p><a href=\"#m-{reply_to}\">In reply to</a></p>")?;
    }
    if !message.content.is_empty() {
        write!(text, "<p>{}</p>", escaped(&message.content))?;
    }
    for (option, result) in message.poll.iter().flat_map(|poll| poll.options.iter().zip(&poll.results.options)) {
        write!(text, "<p>☐ {}: {}</p>", escaped(option), result.votes)?;
    }
    for file in &message.attachments {
        if has_files {
            let path = path_of(file.id, &file.name).replace('%', "%25").replace('#', "%23").replace('?', "%3F");
            write!(text, "<p><a href=\"{}\">{}</a></p>", escaped(&path), escaped(&file.name))?;
        } else {
            write!(text, "<p>📎 {}</p>", escaped(&file.name))?;
        }
    }
    for reaction in &message.reactions {
        write!(text, "<span>{} {}</span> ", escaped(&reaction.emoji), reaction.count)?;
    }
    text.push_str("</article>\n");
    Ok(())
}

fn markdown(text: &mut String, message: &Message, name: &str, state: &str, has_files: bool) -> std::fmt::Result {
    write!(text, "\n**{}** {}", one_line(name), message.created_at)?;
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
        let name = one_line(&file.name).replace(['[', ']'], " ");
        if has_files {
            write!(text, "\n[{name}](<{}>)\n", path_of(file.id, &file.name).replace(['<', '>'], ""))?;
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

pub(super) const fn end(format: ExportFormat) -> &'static [u8] {
    match format {
        ExportFormat::Json => b"\n]}\n",
        ExportFormat::Html => b"</body></html>\n",
        ExportFormat::Markdown => b"",
    }
}

/// Where a file is in the archive. The id tells files of one name apart; of the name is left what every system takes.
pub(super) fn path_of(id: UploadId, name: &str) -> String {
    let plain = |char: char| if char.is_control() || r#"/\:*?"<>|"#.contains(char) { '_' } else { char };
    let name: String = name.chars().map(plain).collect();
    format!("files/{}/{}", id.0.simple(), name.trim_matches(['.', ' ']).trim())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_leads_out_of_the_folder_or_into_the_page() {
        let id = UploadId::new();
        for (name, wanted) in [("../../etc/passwd", "_.._etc_passwd"), ("a\\b:c", "a_b_c"), (" x. ", "x")] {
            assert_eq!(path_of(id, name), format!("files/{}/{wanted}", id.0.simple()));
        }
        assert_eq!(escaped("<b a=\"'&\">"), "&lt;b a=&quot;&#39;&amp;&quot;&gt;");
    }

    #[test]
    fn an_export_without_messages_is_whole() {
        let head = Head {
            id: ConversationId::new(),
            kind: ConversationKind::Group,
            title: Some("A } B".to_owned()),
            exported_at: Timestamp(0),
            from: None,
            to: None,
        };
        let mut text = begin(ExportFormat::Json, &head).unwrap();
        text.extend_from_slice(end(ExportFormat::Json));
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&read["conversation"]["title"], &read["messages"]), (&"A } B".into(), &serde_json::json!([])));
    }
}
