//! Tools that Anthropic defines and the client runs: shell, text editor, memory and computer.
//!
//! Claude knows them by their type. Other models get functions with the parameters that the client
//! expects, under the same name.

use serde_json::{Map, Value, json};

use crate::{GatewayError, dialect::fields::Fields};

/// First version of the text editor that inserts `insert_text`; earlier ones insert `new_str`.
const INSERT_TEXT_SINCE: &str = "20250728";
/// First version of the text editor without `undo_edit`.
const NO_UNDO_SINCE: &str = "20250429";
/// First version of the computer that scrolls, waits, and holds keys and buttons.
const FULL_MOUSE_SINCE: &str = "20250124";

/// Description and parameters of a function.
pub(super) struct Definition {
    pub description: String,
    pub parameters: Value,
}

/// Name and version of a type such as `bash_20250124`, if the client runs such tools.
fn parse(kind: &str) -> Option<(&str, &str)> {
    let (name, version) = kind.rsplit_once('_')?;
    let is_date = version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_digit());
    (is_date && matches!(name, "bash" | "text_editor" | "memory" | "computer")).then_some((name, version))
}

/// True if the client runs tools of this type.
pub(super) fn is_known(kind: &str) -> bool {
    parse(kind).is_some()
}

/// Returns the function that stands for a tool of this type. `None` if the client doesn't run such
/// tools.
pub(super) fn definition(kind: &str, tool: &Fields<'_>) -> Result<Option<Definition>, GatewayError> {
    let Some((name, version)) = parse(kind) else { return Ok(None) };
    Ok(Some(match name {
        "bash" => bash(),
        "text_editor" => text_editor(version),
        "memory" => memory(),
        _ => computer(tool, version)?,
    }))
}

fn function(description: &str, properties: Value, required: &[&str]) -> Definition {
    let mut parameters = Map::new();
    parameters.insert("type".to_owned(), "object".into());
    parameters.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        parameters.insert("required".to_owned(), json!(required));
    }
    Definition { description: description.to_owned(), parameters: parameters.into() }
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn bash() -> Definition {
    let properties = json!({
        "command": text("Command to run. Required unless `restart` is true."),
        "restart": {"type": "boolean", "description": "True to restart the shell instead of running a command."},
    });
    let description = "Runs a command in a persistent bash session and returns its output. The working directory and \
        the variables are kept between calls. Interactive commands don't work.";
    function(description, properties, &[])
}

fn text_editor(version: &str) -> Definition {
    let mut commands = vec!["view", "create", "str_replace", "insert"];
    if version < NO_UNDO_SINCE {
        commands.push("undo_edit");
    }
    let mut properties = json!({
        "command": {"type": "string", "enum": commands},
        "path": text("Absolute path of the file or directory."),
    });
    add_editing(&mut properties, version >= INSERT_TEXT_SINCE);
    let mut description = "Views and edits text files. `view` returns a file with line numbers, or lists a directory. \
        `create` writes a file. `str_replace` replaces `old_str`, which must occur exactly once. `insert` inserts text \
        after a line."
        .to_owned();
    if version < NO_UNDO_SINCE {
        description.push_str(" `undo_edit` reverts the last edit of the file.");
    }
    function(&description, properties, &["command", "path"])
}

fn memory() -> Definition {
    let mut properties = json!({
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        "path": text("Path of the file or directory, starting with `/memories`. Required by all commands but `rename`."),
        "old_path": text("Present path. Required by `rename`."),
        "new_path": text("New path. Required by `rename`."),
    });
    add_editing(&mut properties, true);
    let description = "Keeps notes in text files below `/memories`, which last beyond this conversation. View the \
        directory `/memories` before you start, and write down progress and insights as you work. `view` returns a \
        file or lists a directory, `create` writes a file, `str_replace` replaces `old_str`, which must occur exactly \
        once, `insert` inserts text after a line, `delete` removes and `rename` moves a file or directory.";
    function(description, properties, &["command"])
}

/// Adds the parameters that text editor and memory share.
fn add_editing(properties: &mut Value, has_insert_text: bool) {
    properties["file_text"] = text("Content of the new file. Required by `create`.");
    properties["old_str"] = text("Text to replace, with its white space. Required by `str_replace`.");
    if has_insert_text {
        properties["new_str"] = text("Text that replaces `old_str`. Used by `str_replace`; empty if left out.");
        properties["insert_text"] = text("Text to insert. Required by `insert`.");
    } else {
        properties["new_str"] = text("Text that replaces `old_str`, or that `insert` inserts.");
    }
    properties["insert_line"] = json!({
        "type": "integer",
        "description": "Line after which the text is inserted; 0 is the start of the file. Required by `insert`.",
    });
    properties["view_range"] = json!({
        "type": "array",
        "items": {"type": "integer"},
        "description": "First and last line for `view` of a file, counted from 1; -1 as the last line is the end.",
    });
}

fn computer(tool: &Fields<'_>, version: &str) -> Result<Definition, GatewayError> {
    let mut actions = vec![
        "key",
        "type",
        "cursor_position",
        "mouse_move",
        "left_click",
        "left_click_drag",
        "right_click",
        "middle_click",
        "double_click",
        "screenshot",
    ];
    let point = |description: &str| json!({"type": "array", "items": {"type": "integer"}, "description": description});
    let coordinate = "Position [x, y] in pixels from the upper left corner. Required by `mouse_move` and \
        `left_click_drag`, used by clicks and `scroll`.";
    let keys = "Text for `type`; key or combination such as `ctrl+s` for `key` and `hold_key`; keys held down during \
        clicks and `scroll`.";
    let mut properties = json!({"action": {"type": "string"}, "coordinate": point(coordinate), "text": text(keys)});
    if version >= FULL_MOUSE_SINCE {
        actions.extend(["left_mouse_down", "left_mouse_up", "triple_click", "scroll", "hold_key", "wait"]);
        properties["start_coordinate"] = point("Position [x, y] where `left_click_drag` starts.");
        properties["scroll_direction"] = json!({"type": "string", "enum": ["up", "down", "left", "right"]});
        properties["scroll_amount"] = json!({"type": "integer", "description": "Number of scroll steps."});
        properties["duration"] = json!({"type": "number", "description": "Seconds for `hold_key` and `wait`."});
    }
    if tool.flag("enable_zoom")? == Some(true) {
        actions.push("zoom");
        properties["region"] = point("Corners [x1, y1, x2, y2] of the region that `zoom` shows in full resolution.");
    }
    properties["action"]["enum"] = json!(actions);
    let mut description = "Controls a computer by mouse and keyboard. Take a `screenshot` to see the screen before \
        you click, and after an action to check its effect."
        .to_owned();
    if let (Some(width), Some(height)) = (tool.count("display_width_px")?, tool.count("display_height_px")?) {
        description.push_str(&format!(" The screen is {width} pixels wide and {height} pixels high."));
    }
    if let Some(number) = tool.count("display_number")? {
        description.push_str(&format!(" It is display {number}."));
    }
    Ok(function(&description, properties, &["action"]))
}
