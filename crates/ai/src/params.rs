//! Per-model limits on request parameters. Providers reject a whole request for a temperature or
//! effort that the model doesn't support, and callers can't know which model answers, so such
//! values are clamped or removed.
//!
//! Applies only to converted requests; passthrough requests stay unchanged.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use appcore::view::ModelParameterLimits;
pub(crate) use appcore::view::{ModelSampling as Sampling, ModelThoughts as Thoughts};

use crate::{
    canonical::{Effort, Reasoning, Request},
    profile::Profile,
};

/// Parameters that a model supports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ModelParams {
    pub thinking: Thinking,
    pub sampling: Sampling,
    /// Maximum output, in tokens.
    pub most_output: Option<u64>,
    pub thoughts: Thoughts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thinking {
    None,
    /// The model accepts any value, so it is passed on as requested.
    Any,
    /// Named efforts, in ascending order.
    Efforts(Vec<Effort>),
    /// Named efforts of Anthropic's adaptive models, which choose the budget themselves.
    Adaptive(Vec<Effort>),
    /// Gemini's named levels.
    Levels(Vec<Effort>),
    /// Number of reasoning tokens.
    Budget {
        least: u64,
        most: u64,
        can_be_off: bool,
    },
}

/// Parameters configured by an administrator; each one overrides the built-in value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelParamOverrides {
    thinking: Option<Thinking>,
    sampling: Option<Sampling>,
    most_output: Option<u64>,
    thoughts: Option<Thoughts>,
    /// Settings of the [profile](crate::profile).
    accepts: Vec<String>,
}

impl ModelParamOverrides {
    /// Parses configured parameters; `most_output` is in tokens. `None` if the thinking setting or a
    /// setting of the profile is invalid.
    #[must_use]
    pub fn read(said: &ModelParameterLimits, most_output: Option<u64>) -> Option<Self> {
        let thinking = match said.thinking.as_deref() {
            Some(thinking) => Some(read_thinking(thinking)?),
            None => None,
        };
        let accepts: Vec<String> =
            said.accepts.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        if !accepts.iter().all(|setting| Profile::default().set(setting)) {
            return None;
        }
        Some(Self { thinking, sampling: said.sampling, most_output, thoughts: said.thoughts, accepts })
    }

    /// True if nothing is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Configured maximum output, in tokens.
    #[must_use]
    pub fn most_output(&self) -> Option<u64> {
        self.most_output
    }

    /// False if the gateway adds no marks and keys for the provider's prompt cache.
    pub(crate) fn uses_prompt_cache(&self) -> bool {
        self.accepts.iter().all(|setting| setting != "cache=no")
    }

    /// True if the model is configured to read no earlier reasoning.
    pub(crate) fn reads_no_thoughts(&self) -> bool {
        self.thoughts == Some(Thoughts::Never)
    }

    /// Configured settings of the profile.
    pub(crate) fn accepts(&self) -> &[String] {
        &self.accepts
    }

    /// True if the model is configured to reason by efforts; `None` if not configured.
    pub(crate) fn thinks(&self) -> Option<bool> {
        self.thinking.as_ref().filter(|thinking| **thinking != Thinking::Any).map(Thinking::has_efforts)
    }

    /// Merges with the built-in parameters.
    fn merged_with(&self, known: Option<&ModelParams>) -> ModelParams {
        let thinking = self.thinking.as_ref().or(known.map(|known| &known.thinking));
        ModelParams {
            thinking: thinking.cloned().unwrap_or(Thinking::Any),
            sampling: self.sampling.or(known.map(|known| known.sampling)).unwrap_or(Sampling::Any),
            most_output: self.most_output.or(known.and_then(|known| known.most_output)),
            thoughts: self.thoughts.or(known.map(|known| known.thoughts)).unwrap_or_default(),
        }
    }
}

type Rows = Vec<(String, ModelParams)>;

static BUILT_IN_ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let lines = include_str!("takes.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows = lines.filter_map(|line| {
        let (name, fields) = line.split_once('\t')?;
        Some((name.to_owned(), read(&fields.split('\t').collect::<Vec<_>>())?))
    });
    longest_first(rows.collect())
});

/// Rows of the setting `ai.takes`, which override the built-in table. Set once at start-up.
static CONFIGURED_ROWS: OnceLock<Rows> = OnceLock::new();

/// Sets the configured rows: the model name, and the fields as in the table, separated by spaces,
/// with `-` for an empty one. The error is the name of an invalid row.
pub(crate) fn set_configured_rows(rows: &BTreeMap<String, String>) -> Result<(), String> {
    let row = |(name, fields): (&String, &String)| {
        let fields: Vec<&str> = fields.split_whitespace().map(|field| if field == "-" { "" } else { field }).collect();
        Ok((name.to_ascii_lowercase(), read(&fields).ok_or_else(|| name.clone())?))
    };
    let rows = rows.iter().map(row).collect::<Result<Rows, String>>()?;
    // If the process has several clients, they have the same configuration, so the first one sets
    // the rows.
    CONFIGURED_ROWS.get_or_init(|| longest_first(rows));
    Ok(())
}

fn longest_first(mut rows: Rows) -> Rows {
    rows.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    rows
}

fn read(fields: &[&str]) -> Option<ModelParams> {
    let &[thinking, sampling, ref rest @ ..] = fields else { return None };
    let (most_output, thoughts) = match *rest {
        [] => ("", ""),
        [most_output] => (most_output, ""),
        [most_output, thoughts] => (most_output, thoughts),
        _ => return None,
    };
    let thinking = read_thinking(thinking)?;
    let sampling = match sampling {
        "any" => Sampling::Any,
        "never" => Sampling::Never,
        "resting" => Sampling::Resting,
        _ => return None,
    };
    let most_output = if most_output.is_empty() { None } else { Some(most_output.parse().ok()?) };
    let thoughts = match thoughts {
        "" => Thoughts::Never,
        "known" => Thoughts::Known,
        "always" => Thoughts::Always,
        _ => return None,
    };
    Some(ModelParams { thinking, sampling, most_output, thoughts })
}

fn read_thinking(thinking: &str) -> Option<Thinking> {
    let efforts = |names: &str| names.split(',').map(Effort::parse).collect::<Option<Vec<_>>>();
    Some(match thinking.split_once(':') {
        None if thinking == "none" => Thinking::None,
        None if thinking == "any" => Thinking::Any,
        Some(("efforts", names)) => Thinking::Efforts(efforts(names)?),
        Some(("adaptive", names)) => Thinking::Adaptive(efforts(names)?),
        Some(("levels", names)) => Thinking::Levels(efforts(names)?),
        Some(("budget", range)) => {
            let (range, is_off) = range.strip_suffix(",off").map_or((range, false), |range| (range, true));
            let (least, most) = range.split_once("..")?;
            let least = least.parse().ok()?;
            let most = if most.is_empty() { u64::MAX } else { most.parse().ok()? };
            if least > most {
                return None;
            }
            Thinking::Budget { least, most, can_be_off: is_off || least == 0 }
        }
        _ => return None,
    })
}

/// Parameters of a model, by its provider's name. `None` if unknown.
pub(crate) fn find(model: &str) -> Option<&'static ModelParams> {
    let plain = canonical_name(model);
    let mut rows = CONFIGURED_ROWS.get().into_iter().flatten().chain(BUILT_IN_ROWS.iter());
    rows.find(|(name, _)| matches_model(name, &plain)).map(|(_, takes)| takes)
}

/// Canonical model name, without the prefixes and suffixes of resellers.
pub(crate) fn canonical_name(model: &str) -> String {
    let plain = model.rsplit_once('/').map_or(model, |(_, plain)| plain).to_ascii_lowercase();
    // Examples: `us.anthropic.claude-opus-4-1-20250805-v1:0` and `claude-opus-4.1`.
    if let Some(at) = plain.find("claude-") {
        return plain[at..].replace('.', "-");
    }
    // Example: `us.mistral.devstral-2-123b`.
    let vendor = plain.split('.').position(|part| BEDROCK_VENDORS.contains(&part)).filter(|place| *place < 2);
    match vendor {
        Some(place) => plain.splitn(place + 2, '.').last().unwrap_or_default().to_owned(),
        None => plain,
    }
}

/// Vendors in the names of Bedrock's models.
const BEDROCK_VENDORS: [&str; 10] =
    ["openai", "mistral", "qwen", "meta", "moonshot", "moonshotai", "deepseek", "minimax", "zai", "nvidia"];

/// True if the table row of this name applies to the model. OpenRouter's variants (`:free`) are of the
/// same model.
pub(crate) fn matches_model(name: &str, plain: &str) -> bool {
    let is_same = || plain == name || plain.split_once(':').is_some_and(|(own, _)| own == name);
    name.strip_suffix('*').map_or_else(is_same, |beginning| plain.starts_with(beginning))
}

/// Model parameters to which a request was [fitted](fit).
pub(crate) fn for_request<'a>(question: &'a Request, model: &str) -> Option<&'a ModelParams> {
    question.params.as_deref().or_else(|| find(model))
}

/// Fits a request to a model's parameters; `own` are the configured ones.
pub(crate) fn fit<'a>(question: &'a Request, model: &str, own: Option<&ModelParamOverrides>) -> Cow<'a, Request> {
    let own = own.map(|own| Arc::new(own.merged_with(find(model))));
    let Some(takes) = own.as_deref().or_else(|| find(model)) else { return Cow::Borrowed(question) };
    let reasoning =
        question.reasoning.as_ref().and_then(|reasoning| takes.thinking.fit(reasoning, question.max_output));
    let may_sample = match takes.sampling {
        Sampling::Any => true,
        Sampling::Never => false,
        Sampling::Resting => reasoning.as_ref().is_none_or(Reasoning::is_off),
    };
    let max_output = question.max_output.map(|asked| asked.min(takes.most_output.unwrap_or(u64::MAX)));
    let samples = question.temperature.is_some() || question.top_p.is_some() || question.top_k.is_some();
    let weighs =
        question.presence_penalty.is_some() || question.frequency_penalty.is_some() || question.logprobs.is_some();
    let is_as_asked = reasoning == question.reasoning && max_output == question.max_output;
    if own.is_none() && is_as_asked && (may_sample || !(samples || weighs)) {
        return Cow::Borrowed(question);
    }
    let mut fitted = Request { reasoning, max_output, params: own, ..question.clone() };
    if !may_sample {
        (fitted.temperature, fitted.top_p, fitted.top_k) = (None, None, None);
        (fitted.presence_penalty, fitted.frequency_penalty, fitted.logprobs) = (None, None, None);
    }
    Cow::Owned(fitted)
}

impl Thinking {
    pub fn has_efforts(&self) -> bool {
        matches!(self, Self::Efforts(_))
    }

    /// Fits reasoning to the model. `max_output` is the request's limit, which includes reasoning.
    fn fit(&self, asked: &Reasoning, max_output: Option<u64>) -> Option<Reasoning> {
        let shown = asked.shown;
        match self {
            Self::None => None,
            Self::Any => Some(asked.clone()),
            // Adaptive models don't think unless told to.
            Self::Adaptive(_) if asked.is_off() => Some(Reasoning { effort: Some(Effort::None), budget: None, shown }),
            Self::Efforts(known) | Self::Adaptive(known) | Self::Levels(known) => {
                let effort = asked.effort.or_else(|| asked.budget.map(Effort::from_budget));
                Some(Reasoning { effort: effort.map(|effort| nearest(effort, known)), budget: None, shown })
            }
            Self::Budget { least, most, can_be_off } => {
                // An effort leaves a fifth of the output for the answer, as at OpenRouter.
                let most_of_output = max_output.map_or(u64::MAX, |most| most / 5 * 4);
                let by_effort = || asked.effort.map(|effort| effort.budget().min(most_of_output));
                let wanted = asked.budget.or_else(by_effort);
                let Some(wanted) = wanted else { return Some(Reasoning { effort: None, budget: None, shown }) };
                if wanted == 0 && *can_be_off {
                    return Some(Reasoning { effort: Some(Effort::None), budget: Some(0), shown });
                }
                Some(Reasoning { effort: None, budget: Some(wanted.clamp(*least, *most)), shown })
            }
        }
    }
}

/// The effort itself if supported, else the next lower one, else the lowest.
pub(crate) fn nearest(effort: Effort, known: &[Effort]) -> Effort {
    let below = known.iter().rev().find(|one| **one <= effort);
    below.or(known.first()).copied().unwrap_or(effort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_rows_and_prefers_the_longest_match() {
        let lines = include_str!("takes.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(BUILT_IN_ROWS.len(), lines);
        let levels = |model: &str| find(model).map(|takes| &takes.thinking);
        assert_eq!(levels("gpt-4o-mini"), Some(&Thinking::None));
        assert_eq!(levels("openai/gpt-5-mini"), levels("gpt-5-mini-2025-08-07"));
        assert!(matches!(levels("anthropic/claude-opus-4.7"), Some(Thinking::Adaptive(_))));
        assert!(matches!(
            levels("us.anthropic.claude-opus-4-1-20250805-v1:0"),
            Some(Thinking::Budget { least: 1_024, .. })
        ));
        assert!(matches!(levels("claude-sonnet-5-5"), Some(Thinking::Adaptive(_))));
        assert_eq!(levels("llama-4"), None);
        let thoughts = |model: &str| find(model).map_or(Thoughts::Never, |takes| takes.thoughts);
        assert_eq!(thoughts("moonshotai/Kimi-K2.5"), Thoughts::Always);
        assert_eq!(thoughts("zai-org/GLM-5"), Thoughts::Known);
        assert_eq!((thoughts("gpt-5-mini"), thoughts("llama-4")), (Thoughts::Never, Thoughts::Never));
    }

    #[test]
    fn reads_configured_rows_like_the_table() {
        for (fields, found) in [
            (&["none", "any"][..], Some((Thinking::None, Sampling::Any, None, Thoughts::Never))),
            (&["any", "never", "", "known"], Some((Thinking::Any, Sampling::Never, None, Thoughts::Known))),
            (
                &["budget:0..38912", "resting", "8192", "always"],
                Some((
                    Thinking::Budget { least: 0, most: 38_912, can_be_off: true },
                    Sampling::Resting,
                    Some(8_192),
                    Thoughts::Always,
                )),
            ),
            (&["none"], None),
            (&["efforts:low,enormous", "any"], None),
            (&["budget:9..8", "any"], None),
            (&["budget:1024..,off,on", "any"], None),
            (&["none", "sometimes"], None),
            (&["none", "any", "many"], None),
            (&["none", "any", "1", "known", "more"], None),
        ] {
            let found = found.map(|(thinking, sampling, most_output, thoughts)| ModelParams {
                thinking,
                sampling,
                most_output,
                thoughts,
            });
            assert_eq!(read(fields), found, "{fields:?}");
        }
        let rows = |fields: &str| BTreeMap::from([("My-Model*".to_owned(), fields.to_owned())]);
        assert_eq!(set_configured_rows(&rows("whatever")), Err("My-Model*".to_owned()));
    }

    #[test]
    fn fits_reasoning_to_the_model() {
        let asked = |model: &str, effort: Option<Effort>, budget: Option<u64>| {
            let question = Request { reasoning: Some(Reasoning { effort, budget, shown: true }), ..Request::default() };
            fit(&question, model, None).reasoning.clone().map(|reasoning| (reasoning.effort, reasoning.budget))
        };
        for (model, effort, fitted) in [
            ("gpt-5-mini", Effort::Xhigh, Some((Some(Effort::High), None))),
            ("gpt-5-mini", Effort::None, Some((Some(Effort::Minimal), None))),
            ("gpt-5.1", Effort::Minimal, Some((Some(Effort::None), None))),
            ("gpt-5-pro", Effort::Low, Some((Some(Effort::High), None))),
            ("gpt-4o", Effort::None, None),
            ("o4-mini", Effort::Max, Some((Some(Effort::High), None))),
            ("claude-opus-5", Effort::Max, Some((Some(Effort::Max), None))),
            ("claude-opus-5", Effort::Minimal, Some((Some(Effort::Low), None))),
            ("claude-opus-5", Effort::None, Some((Some(Effort::None), None))),
            ("claude-opus-4-1", Effort::Minimal, Some((None, Some(1_024)))),
            ("gemini-2.5-pro", Effort::None, Some((None, Some(128)))),
            ("gemini-2.5-flash", Effort::None, Some((Some(Effort::None), Some(0)))),
            ("gemini-2.5-flash", Effort::Max, Some((None, Some(24_576)))),
            ("gemini-3-pro-preview", Effort::Minimal, Some((Some(Effort::Low), None))),
            ("gemini-3.7-flash", Effort::Minimal, Some((Some(Effort::Low), None))),
            ("deepseek-v4-pro", Effort::Max, Some((Some(Effort::Max), None))),
            ("a model of one's own", Effort::Xhigh, Some((Some(Effort::Xhigh), None))),
        ] {
            assert_eq!(asked(model, Some(effort), None), fitted, "{model} {effort:?}");
        }
        assert_eq!(asked("gemini-2.5-flash", None, Some(31_999)), Some((None, Some(24_576))));
        assert_eq!(asked("claude-sonnet-5", None, Some(2_000)), Some((Some(Effort::Medium), None)));
    }

    #[test]
    fn leaves_room_for_the_answer_beside_reasoning() {
        let budget = |model: &str, reasoning: Reasoning, max_output: u64| {
            let question = Request { reasoning: Some(reasoning), max_output: Some(max_output), ..Request::default() };
            fit(&question, model, None).reasoning.as_ref().and_then(|reasoning| reasoning.budget)
        };
        let by_effort = || Reasoning { effort: Some(Effort::High), budget: None, shown: true };
        for (model, max_output, expected) in [
            ("claude-sonnet-4-5", 16_384, 13_104),
            ("claude-sonnet-4-5", 64_000, Effort::High.budget()),
            ("gemini-2.5-flash", 9_000, 7_200),
            ("gemini-2.5-pro", 100, 128),
        ] {
            assert_eq!(budget(model, by_effort(), max_output), Some(expected), "{model} {max_output}");
        }
        let own = Reasoning { effort: None, budget: Some(8_900), shown: true };
        assert_eq!(budget("gemini-2.5-flash", own, 9_000), Some(8_900), "the caller's own budget stays");
    }

    #[test]
    fn strips_unsupported_sampling_and_clamps_the_limit() {
        let fitted = |model: &str, effort: Option<Effort>| {
            let reasoning = effort.map(|effort| Reasoning { effort: Some(effort), budget: None, shown: false });
            let question = Request {
                temperature: Some(0.0),
                frequency_penalty: Some(1.0),
                max_output: Some(1_000_000),
                reasoning,
                ..Request::default()
            };
            let fitted = fit(&question, model, None);
            assert_eq!(fitted.temperature.is_some(), fitted.frequency_penalty.is_some());
            (fitted.temperature.is_some(), fitted.max_output)
        };
        assert_eq!(fitted("gpt-5-mini", None), (false, Some(128_000)));
        assert_eq!(fitted("gpt-5.2", None), (true, Some(128_000)));
        assert_eq!(fitted("gpt-5.2", Some(Effort::High)), (false, Some(128_000)));
        assert_eq!(fitted("gpt-4o-2024-08-06", Some(Effort::High)), (true, Some(16_384)));
        assert_eq!(fitted("claude-opus-5", None), (false, Some(1_000_000)));
        assert_eq!(fitted("claude-haiku-4-5-20251001", None), (true, Some(64_000)));
        assert_eq!(fitted("mine", Some(Effort::High)), (true, Some(1_000_000)));
    }

    #[test]
    fn overrides_built_in_parameters_one_by_one() {
        let question = Request {
            temperature: Some(0.5),
            max_output: Some(100_000),
            reasoning: Some(Reasoning { effort: Some(Effort::Max), budget: None, shown: false }),
            ..Request::default()
        };
        let fitted = |model: &str, thinking: Option<&str>, sampling: Option<Sampling>, most: Option<u64>| {
            let said = ModelParameterLimits {
                thinking: thinking.map(str::to_owned),
                sampling,
                ..ModelParameterLimits::default()
            };
            let own = ModelParamOverrides::read(&said, most).unwrap();
            let fitted = fit(&question, model, Some(&own)).into_owned();
            let effort = fitted.reasoning.and_then(|reasoning| reasoning.effort);
            (effort, fitted.temperature.is_some(), fitted.max_output)
        };
        let (high, low) = (Some(Effort::High), Some(Effort::Low));
        assert_eq!(fitted("gpt-4o", None, None, None), (None, true, Some(16_384)));
        assert_eq!(fitted("gpt-4o", Some("efforts:low,high"), None, None), (high, true, Some(16_384)));
        assert_eq!(fitted("gpt-5-mini", Some("efforts:low"), None, Some(50)), (low, false, Some(50)));
        assert_eq!(fitted("gpt-5-mini", None, Some(Sampling::Any), None), (high, true, Some(100_000)));
        assert_eq!(fitted("mine", None, Some(Sampling::Resting), None), (Some(Effort::Max), false, Some(100_000)));

        let said = |thinking: &str| ModelParameterLimits {
            thinking: Some(thinking.to_owned()),
            ..ModelParameterLimits::default()
        };
        assert_eq!(ModelParamOverrides::read(&said("a lot"), None), None);
        assert!(ModelParamOverrides::read(&ModelParameterLimits::default(), None).unwrap().is_empty());
        assert_eq!(ModelParamOverrides::read(&said("none"), None).unwrap().thinks(), Some(false));
        let own = ModelParamOverrides::read(
            &ModelParameterLimits { thoughts: Some(Thoughts::Always), ..ModelParameterLimits::default() },
            None,
        );
        let fitted = fit(&question, "mine", own.as_ref());
        assert_eq!(for_request(&fitted, "mine").map(|takes| takes.thoughts), Some(Thoughts::Always));
        assert_eq!(for_request(&question, "mine"), None);
    }

    #[test]
    fn names_of_resellers_are_those_of_the_vendor() {
        for (name, plain) in [
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1-20250805-v1:0"),
            ("anthropic/claude-opus-4.1", "claude-opus-4-1"),
            ("us.mistral.devstral-2-123b", "devstral-2-123b"),
            ("openai.gpt-oss-120b", "gpt-oss-120b"),
            ("accounts/fireworks/models/kimi-k2-instruct", "kimi-k2-instruct"),
            ("qwen", "qwen"),
            ("gpt-5.4", "gpt-5.4"),
            ("glm-4.5", "glm-4.5"),
        ] {
            assert_eq!(canonical_name(name), plain, "{name}");
        }
        assert!(matches_model("kimi-k2", "kimi-k2:free") && !matches_model("kimi-k2", "kimi-k2.5"));
    }
}
