//! Results on disk, in one file each, so that an interrupted run can be continued and the report
//! written again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable::{Measure, Persistence};
use crate::subject::Subject;
use crate::work::{FanOut, Outcome, Part};

pub struct Results {
    folder: PathBuf,
}

impl Results {
    pub fn at(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    pub fn keep<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        fs::write(self.file(name), serde_json::to_string_pretty(value)?).context("failed to write result")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    pub fn outcomes(&self) -> anyhow::Result<All> {
        let mut all = All::default();
        for outcome in self.read::<Outcome>("work-")? {
            all.by_subject.entry((outcome.part, outcome.subject)).or_default().push(outcome);
        }
        Ok(all)
    }

    pub fn durable(&self) -> anyhow::Result<BTreeMap<(Persistence, Measure), Vec<f64>>> {
        let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for round in self.read::<crate::durable::Outcome>("durable-")? {
            for (measure, value) in round.values {
                all.entry((round.persistence, measure)).or_default().push(value);
            }
        }
        Ok(all)
    }

    fn read<T: DeserializeOwned>(&self, prefix: &str) -> anyhow::Result<Vec<T>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(prefix) && name.ends_with(".json") {
                let value = serde_json::from_str(&fs::read_to_string(&path)?);
                found.push(value.with_context(|| format!("{} can't be read", path.display()))?);
            }
        }
        Ok(found)
    }
}

/// Results of all measurements in all rounds.
#[derive(Default)]
pub struct All {
    by_subject: BTreeMap<(Part, Subject), Vec<Outcome>>,
}

impl All {
    pub fn rounds(&self, part: Part) -> usize {
        self.by_subject
            .iter()
            .filter(|((other, _), _)| *other == part)
            .map(|(_, rounds)| rounds.len())
            .max()
            .unwrap_or(0)
    }

    pub fn subjects(&self, part: Part) -> impl Iterator<Item = Subject> {
        self.by_subject.keys().filter(move |(other, _)| *other == part).map(|(_, subject)| *subject)
    }

    /// Returns the spread of a figure over the rounds; `None` if it was not measured.
    pub fn fan_out(&self, part: Part, subject: Subject, figure: impl Fn(&FanOut) -> f64) -> Option<Spread> {
        let rounds = self.by_subject.get(&(part, subject))?;
        Spread::of(rounds.iter().filter_map(|outcome| outcome.fan_out.as_ref()).map(figure))
    }

    pub fn memory(&self, subject: Subject) -> Option<Spread> {
        let rounds = self.by_subject.get(&(Part::Idle, subject))?;
        Spread::of(rounds.iter().filter_map(|outcome| outcome.memory))
    }

    /// Returns the median of the ratios of two servers, each within the same round.
    pub fn ratio(
        &self,
        part: Part,
        one: Subject,
        other: Subject,
        figure: impl Fn(&Outcome) -> Option<f64>,
    ) -> Option<f64> {
        let (one, other) = (self.by_subject.get(&(part, one))?, self.by_subject.get(&(part, other))?);
        let ratios = one.iter().filter_map(|mine| {
            let theirs = other.iter().find(|theirs| theirs.round == mine.round)?;
            Some(figure(mine)? / figure(theirs)?)
        });
        Some(Spread::of(ratios)?.median)
    }
}

/// Median and range of a figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => return None,
            odd if odd % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Self { median, least: values[0], most: values[values.len() - 1] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_medians_of_odd_and_even_counts() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, least: 1.0, most: 4.0 }));
    }
}
