//! Built-in demo: answers if no provider is configured, says so, and shows how answers stream.
//!
//! Deterministic: the same question always gets the same answer, word by word.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use crate::{
    ChatDelta, ChatRequest, ChatStream, Finish, Role, Usage, estimate_tokens,
    meter::{Meter, quarters},
};

/// Characters of the question quoted in the answer.
const QUOTED_CHARS: usize = 200;

/// Demo model with a pause after each word.
#[derive(Debug, Clone)]
pub struct Demo {
    pause: Duration,
}

impl Demo {
    pub fn new(pause: Duration) -> Self {
        Self { pause }
    }
}

impl Demo {
    pub fn answer(&self, request: &ChatRequest, meter: Arc<Meter>) -> ChatStream {
        let question = request.messages.iter().rev().find(|message| message.role == Role::User);
        let answer = answer_to(question.map_or("", |message| message.text.as_str()), request.is_from_admin);
        let usage = Usage {
            input: Some(request.messages.iter().map(|message| estimate_tokens(&message.text) as u64).sum()),
            output: Some(estimate_tokens(&answer) as u64),
            estimated: true,
            ..Usage::default()
        };
        meter.start_attempt("demo", "demo", None);
        meter.set_estimated_input(usage.input.unwrap_or_default());
        let words: Vec<String> = answer.split_inclusive(' ').map(str::to_owned).collect();
        let pause = self.pause;
        let text = stream::iter(words).then(move |word| async move {
            tokio::time::sleep(pause).await;
            Ok(ChatDelta::Text(word))
        });
        let done = stream::iter([Ok(ChatDelta::Done { finish: Finish::Stop, usage: Some(Box::new(usage)) })]);
        let counted = move |delta: &Result<ChatDelta, _>| match delta {
            Ok(ChatDelta::Text(word)) => meter.record_output(quarters(word.as_bytes())),
            Ok(ChatDelta::Done { finish, .. }) => {
                meter.record_usage(usage);
                meter.record_finish(*finish);
                meter.close();
            }
            _ => {}
        };
        text.chain(done).inspect(counted).boxed()
    }
}

fn answer_to(question: &str, is_from_admin: bool) -> String {
    let question = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut quoted: String = question.chars().take(QUOTED_CHARS).collect();
    if quoted.len() < question.len() {
        quoted.push('…');
    }
    let about_question = if quoted.is_empty() {
        "Your message had no text.".to_owned()
    } else {
        format!("You wrote:\n\n> {quoted}\n\nThat's {}.", count(&question))
    };
    let next = if is_from_admin {
        "To get answers from a model, add a provider in [Admin, Providers](/admin/providers). It works right away. OpenAI, \
         Anthropic, Gemini and every OpenAI-compatible server, such as Ollama or vLLM, work."
    } else {
        "To get answers from a model, ask your admin to add an AI provider."
    };
    format!(
        "Hello. I'm Natter's built-in **demo assistant**. This server has no AI provider yet, so no model has read your message. I'm \
         only here to show how answers arrive.\n\n{about_question}\n\n{next}"
    )
}

fn count(question: &str) -> String {
    match question.split(' ').count() {
        1 => "one word".to_owned(),
        words => format!("{words} words"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatMessage;

    async fn answer_deltas(question: &str) -> Vec<ChatDelta> {
        let request = ChatRequest { messages: vec![ChatMessage::user(question)], ..ChatRequest::default() };
        let meter = Arc::new(Meter::default());
        let answer = Demo::new(Duration::ZERO).answer(&request, Arc::clone(&meter));
        answer.map(|delta| delta.expect("a delta")).collect().await
    }

    #[test]
    fn links_to_the_console_for_admins_only() {
        let (admin, other) = (answer_to("Hi", true), answer_to("Hi", false));
        assert!(admin.contains("[Admin, Providers](/admin/providers). It works right away."), "{admin}");
        assert!(other.contains("ask your admin to add an AI provider") && !other.contains("/admin"), "{other}");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_deterministically_and_names_itself_a_demo() {
        let deltas = answer_deltas("What is  the\ncapital of Peru?").await;
        assert_eq!(deltas, answer_deltas("What is  the\ncapital of Peru?").await);
        assert!(deltas.len() > 40, "word by word");
        let text: String = deltas
            .iter()
            .filter_map(|delta| match delta {
                ChatDelta::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert!(text.contains("no AI provider yet"));
        assert!(text.contains("> What is the capital of Peru?\n\nThat's 6 words."));
        assert!(matches!(deltas.last(), Some(ChatDelta::Done { finish: Finish::Stop, usage: Some(_) })));
    }
}
