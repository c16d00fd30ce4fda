//! Requests for a web search, and the dialogue with a model that searches by the gateway.

use serde_json::{Value, json};

use super::{
    OwnSearch, SearchPage, SearchRun, WebSearchTool, find,
    round::{RoundEnd, SearchDialogue},
};
use crate::{
    Finish,
    canonical::{Event, Part, Request, Speaker, Tool, ToolChoice},
};

#[test]
fn finds_the_search_of_each_format() {
    let claude = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8, "allowed_domains": ["E.org"],
        "user_location": {"type": "approximate", "city": "Hue", "note": 1}});
    let location = json!({"city": "Hue"});
    let location = location.as_object().unwrap();
    let base = || WebSearchTool { name: "web_search".to_owned(), is_alone: true, ..WebSearchTool::default() };
    let tool = || WebSearchTool { is_tool: true, ..base() };
    for (body, expected) in [
        (json!({"web_search_options": {}}), base()),
        (
            json!({"web_search_options": {"search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Hue"}}}}),
            WebSearchTool { context_size: Some("low".to_owned()), location: Some(location.clone()), ..base() },
        ),
        (
            json!({"tools": [{"type": "web_search_preview"}], "max_tool_calls": 3}),
            WebSearchTool { max_uses: Some(3), ..tool() },
        ),
        (
            json!({"tools": [{"type": "web_search"}], "tool_choice": "required"}),
            WebSearchTool { is_forced: true, ..tool() },
        ),
        (json!({"tools": [{"googleSearch": {}}]}), tool()),
        (
            json!({"tools": [{"google_search": {}}, {"functionDeclarations": []}]}),
            WebSearchTool { is_alone: false, ..tool() },
        ),
        (
            json!({"tools": [claude, {"name": "f"}], "tool_choice": {"type": "tool", "name": "web_search"}}),
            WebSearchTool {
                max_uses: Some(8),
                allowed_domains: vec!["e.org".to_owned()],
                location: Some(location.clone()),
                is_forced: true,
                is_alone: false,
                ..tool()
            },
        ),
    ] {
        assert_eq!(find(body.to_string().as_bytes()), Some(expected), "{body}");
    }
    for body in [
        json!({"tools": [{"type": "function", "function": {"name": "web_search"}}]}),
        json!({"messages": [{"role": "user", "content": "web_search_options"}]}),
        json!({"web_search_options": null, "tools": "web_search"}),
    ] {
        assert_eq!(find(body.to_string().as_bytes()), None, "{body}");
    }
    assert_eq!(find(br#"{"tools":[{"type":"web_search"}],"tools":[]}"#), None, "duplicate fields");
    assert_eq!(OwnSearch::parse("elsewhere"), None);
}

fn text(text: &str) -> Event {
    Event::Text { choice: 0, text: text.to_owned() }
}

fn call(tool: u32, name: &str, arguments: Value) -> [Event; 2] {
    [
        Event::Call { choice: 0, tool, id: format!("call_{tool}"), name: name.to_owned(), signature: None },
        Event::Arguments { choice: 0, tool, json: arguments.to_string() },
    ]
}

fn finish(finish: Finish) -> Event {
    Event::Finish { choice: 0, finish, stop_sequence: None }
}

fn run(query: &str) -> SearchRun {
    let page =
        |at: &str| SearchPage { url: format!("https://e.org/{at}"), title: at.to_owned(), text: "rain".to_owned() };
    SearchRun { query: query.to_owned(), pages: vec![page("a"), page("ab")], error: None }
}

fn request(tools: &[&str]) -> Request {
    let tool = |name: &&str| Tool {
        name: (*name).to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cached: None,
    };
    let mut request = Request { tools: tools.iter().map(tool).collect(), max_output: Some(100), ..Request::default() };
    request.append(Speaker::User, [Part::Text("news?".to_owned())]);
    request
}

fn dialogue(request: &Request, max_uses: Option<u64>) -> SearchDialogue {
    SearchDialogue::new(request, WebSearchTool { max_uses, ..WebSearchTool::default() }, true)
}

/// Answers the calls of the round that has ended.
fn answered(dialogue: &mut SearchDialogue) -> RoundEnd {
    let calls = dialogue.calls();
    let runs = calls.into_iter().map(|call| match call.query {
        Ok(query) => (call.id, run(&query)),
        Err(code) => (call.id, SearchRun { error: Some(code), ..SearchRun::default() }),
    });
    let runs = runs.collect();
    dialogue.finish_round(runs, 40)
}

#[test]
fn hides_the_search_and_continues_with_its_result() {
    let mut dialogue = dialogue(&request(&[]), None);
    assert_eq!(dialogue.request.tools[0].name, "web_search");
    let mut events = vec![text("Let me see.")];
    events.extend(call(0, "web_search", json!({"query": "hue rain"})));
    events.push(finish(Finish::ToolCalls));
    assert_eq!(dialogue.receive(events), [text("Let me see.")]);
    let end = answered(&mut dialogue);
    assert!(!end.is_last);
    assert_eq!(end.events, [Event::Search { choice: 0, run: run("hue rain") }]);
    assert_eq!(dialogue.request.max_output, Some(60), "the limit applies to all rounds");
    let turns = &dialogue.request.turns;
    assert_eq!((turns.len(), turns[1].speaker, turns[2].speaker), (3, Speaker::Assistant, Speaker::User));
    assert!(matches!(&turns[1].parts[..], [Part::Text(_), Part::Call(call)] if call.arguments.contains("hue rain")));
    let Part::Result(result) = &turns[2].parts[0] else { panic!("{turns:?}") };
    assert!(
        matches!(&result.parts[..], [Part::Text(text)] if text.contains("https://e.org/ab\nrain") && result.id == "call_0")
    );

    let said = dialogue.receive(vec![text("It rains ([ab](https://e.org/ab))."), finish(Finish::Stop)]);
    assert_eq!(said, [text("\n\nIt rains ([ab](https://e.org/ab)).")]);
    let end = answered(&mut dialogue);
    assert!(end.is_last);
    let [Event::Citation { citation, .. }, Event::Finish { finish: Finish::Stop, .. }] = &end.events[..] else {
        panic!("{:?}", end.events)
    };
    assert_eq!((citation.url.as_str(), citation.title.as_str()), ("https://e.org/ab", "ab"));
    let all = "Let me see.\n\nIt rains ([ab](https://e.org/ab)).";
    assert_eq!(&all[citation.start..citation.end], "[ab](https://e.org/ab)");
}

#[test]
fn cites_all_pages_if_the_answer_names_none() {
    let mut dialogue = dialogue(&request(&[]), None);
    dialogue.receive([call(0, "web_search", json!({"query": "x"})).to_vec(), vec![finish(Finish::ToolCalls)]].concat());
    answered(&mut dialogue);
    dialogue.receive(vec![text("It rains."), finish(Finish::Stop)]);
    let cited = answered(&mut dialogue).events.into_iter().filter_map(|event| match event {
        Event::Citation { citation, .. } => Some((citation.url, citation.start, citation.end)),
        _ => None,
    });
    let expected = [("https://e.org/a".to_owned(), 0, 9), ("https://e.org/ab".to_owned(), 0, 9)];
    assert_eq!(cited.collect::<Vec<_>>(), expected);
}

#[test]
fn ends_the_turn_with_the_calls_of_the_client() {
    let mut dialogue = dialogue(&request(&["f"]), None);
    let mut events = call(0, "web_search", json!({"query": "x"})).to_vec();
    events.extend(call(1, "f", json!({"a": 1})));
    events.push(finish(Finish::ToolCalls));
    assert!(dialogue.receive(events).is_empty());
    let end = answered(&mut dialogue);
    assert!(end.is_last);
    let [Event::Search { .. }, Event::Call { tool: 0, name, .. }, Event::Arguments { tool: 0, .. }, last] =
        &end.events[..]
    else {
        panic!("{:?}", end.events)
    };
    assert_eq!((name.as_str(), last), ("f", &finish(Finish::ToolCalls)));
    let mut dialogue = self::dialogue(&request(&["f"]), None);
    let events = [call(0, "f", json!({})).to_vec(), vec![finish(Finish::ToolCalls)]].concat();
    assert!(dialogue.receive(events.clone()).is_empty());
    assert_eq!(answered(&mut dialogue).events, events, "without a search");
}

#[test]
fn limits_the_searches() {
    let mut dialogue = dialogue(&request(&["f"]), Some(2));
    let search = |at: u32| call(at, "web_search", json!({"query": "x"})).to_vec();
    dialogue.receive([search(0), search(1), search(2), vec![finish(Finish::ToolCalls)]].concat());
    let errors: Vec<bool> = dialogue.calls().iter().map(|call| call.query.is_err()).collect();
    assert_eq!(errors, [false, false, true]);
    assert!(!answered(&mut dialogue).is_last);
    let only_client_tools = ToolChoice::Among { names: vec!["f".to_owned()], required: false };
    assert_eq!(dialogue.request.tool_choice, Some(only_client_tools));
    dialogue.receive([search(0), vec![finish(Finish::ToolCalls)]].concat());
    assert!(dialogue.calls().is_empty());
    let end = answered(&mut dialogue);
    assert!(end.is_last);
    assert_eq!(end.events, [finish(Finish::Stop)], "a call beyond the limit is dropped");
    let mut none = self::dialogue(&request(&[]), Some(1));
    none.receive([search(0), vec![finish(Finish::ToolCalls)]].concat());
    answered(&mut none);
    assert_eq!(none.request.tool_choice, Some(ToolChoice::None));
}

#[test]
fn answers_invalid_and_cut_calls() {
    let mut dialogue = dialogue(&request(&[]), None);
    dialogue.receive([call(0, "web_search", json!({"q": 1})).to_vec(), vec![finish(Finish::ToolCalls)]].concat());
    assert!(!answered(&mut dialogue).is_last);
    let Part::Result(result) = &dialogue.request.turns[2].parts[0] else { panic!("no result") };
    assert!(result.is_error);
    dialogue.receive([call(0, "web_search", json!({"query": "x"})).to_vec(), vec![finish(Finish::Length)]].concat());
    let end = answered(&mut dialogue);
    assert!(end.is_last);
    assert_eq!(end.events, [finish(Finish::Length)]);
}

#[test]
fn offers_the_function_beside_tools_of_its_name_and_forces_it_once() {
    let mut named = request(&["web_search"]);
    named.tool_choice = Some(ToolChoice::Among { names: vec!["web_search".to_owned()], required: true });
    let dialogue = self::dialogue(&named, None);
    assert_eq!(dialogue.request.tools[1].name, "search_the_web");
    let names = ["web_search", "search_the_web"].map(str::to_owned).to_vec();
    assert_eq!(dialogue.request.tool_choice, Some(ToolChoice::Among { names, required: true }));
    let tool = WebSearchTool { is_forced: true, ..WebSearchTool::default() };
    let mut forced = SearchDialogue::new(&request(&[]), tool, false);
    assert_eq!(forced.request.tool_choice, Some(ToolChoice::Named("web_search".to_owned())));
    forced.receive([call(0, "web_search", json!({"query": "x"})).to_vec(), vec![finish(Finish::ToolCalls)]].concat());
    answered(&mut forced);
    assert_eq!(forced.request.tool_choice, Some(ToolChoice::Auto));
}
