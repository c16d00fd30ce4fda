//! Bar charts as SVG that are readable on light and on dark pages.

use svg::Document;
use svg::node::element::{Description, Group, Line, Rectangle, Style, Text, Title};

/// Row of the chart, for one server.
pub struct Row {
    pub label: String,
    pub is_own: bool,
    /// Bars of the row; in a stacked chart, the segments of its only bar.
    pub values: Vec<f64>,
    pub text: String,
}

/// Arrangement of the values within a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Segments of one bar, end to end.
    Stacked,
    /// Bars from a common start on a logarithmic scale, with the longest behind the others.
    Nested,
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 70.0;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;

// An embedded picture is a separate document, so it follows the colour scheme of the reader's
// system.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.note, .key { fill: #59636e; font-size: 12px }
.axis { stroke: #d1d9e0 }
.own-0 { fill: #0969da } .own-1 { fill: #54aeff } .own-2 { fill: #b6e3ff }
.other-0 { fill: #6e7781 } .other-1 { fill: #afb8c1 } .other-2 { fill: #dde2e7 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .note, .key { fill: #9198a1 }
  .axis { stroke: #3d444d }
  .own-0 { fill: #4493f8 } .own-1 { fill: #1f6feb } .own-2 { fill: #0c2d6b }
  .other-0 { fill: #9198a1 } .other-1 { fill: #656c76 } .other-2 { fill: #3d444d }
}
";

/// Draws a bar chart with a title. `keys` are the names of the values, if a row has several.
pub fn bars(title: &str, note: &str, keys: &[&str], shape: Shape, rows: &[Row]) -> String {
    let height = (0..rows.len()).fold(TOP, |height, _| height + ROW) + 20.0;
    let scale = Scale::of(shape, rows);
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(title))
        .add(Description::new().add(svg::node::Text::new(spoken(rows))))
        .add(Style::new(STYLE))
        .add(text(0.0, 20.0, "title", "start", title))
        .add(text(0.0, 40.0, "note", "start", note));
    let mut at = LEFT;
    for (place, key) in keys.iter().enumerate() {
        let class = |kind: &str| format!("{kind}-{place}");
        document = document
            .add(rectangle(at, 50.0, 10.0, 10.0, &class("own")))
            .add(rectangle(at + 11.0, 50.0, 10.0, 10.0, &class("other")))
            .add(text(at + 27.0, 59.0, "key", "start", key));
        at += 60.0 + key.chars().fold(0.0, |width, _| width + 7.0);
    }
    document = document
        .add(Line::new().set("class", "axis").set("x1", LEFT).set("x2", LEFT).set("y1", TOP).set("y2", height - 20.0));
    for (place, row) in rows.iter().enumerate() {
        let top = (0..place).fold(TOP, |top, _| top + ROW);
        document = document.add(draw(row, top, shape, &scale));
    }
    format!("{document}\n")
}

fn draw(row: &Row, top: f64, shape: Shape, scale: &Scale) -> Group {
    let kind = if row.is_own { "own" } else { "other" };
    let bar = top + (ROW - BAR) / 2.0;
    let base = top + ROW / 2.0 + 4.5;
    let mut group = Group::new().add(text(LEFT - 10.0, base, "label", "end", &row.label));
    let mut end: f64 = LEFT;
    let mut parts: Vec<(usize, f64)> = row.values.iter().copied().enumerate().collect();
    if shape == Shape::Nested {
        parts.reverse();
    }
    for (place, value) in parts {
        let width = scale.width(value);
        let from = if shape == Shape::Stacked { end } else { LEFT };
        group = group.add(rectangle(from, bar, width, BAR, &format!("{kind}-{place}")));
        end = end.max(from + width);
    }
    group.add(text(end + 8.0, base, "value", "start", &row.text))
}

/// Conversion of values to widths.
struct Scale {
    shape: Shape,
    least: f64,
    most: f64,
}

impl Scale {
    fn of(shape: Shape, rows: &[Row]) -> Self {
        let all = || rows.iter().flat_map(|row| &row.values).copied().filter(|value| *value > 0.0);
        let most = match shape {
            Shape::Stacked => rows.iter().map(|row| row.values.iter().sum()).fold(0.0, f64::max),
            Shape::Nested => all().fold(0.0, f64::max),
        };
        // The scale starts at half of the least value, so that the shortest bar is visible.
        Self { shape, least: all().fold(f64::INFINITY, f64::min) / 2.0, most }
    }

    fn width(&self, value: f64) -> f64 {
        let share = match self.shape {
            _ if value <= 0.0 || self.most <= 0.0 => 0.0,
            Shape::Stacked => value / self.most,
            Shape::Nested => (value / self.least).ln() / (self.most / self.least).ln(),
        };
        share * (WIDTH - LEFT - RIGHT)
    }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, class: &str) -> Rectangle {
    let round = |value: f64| (value * 10.0).round() / 10.0;
    Rectangle::new()
        .set("class", class)
        .set("x", round(x))
        .set("y", round(y))
        .set("width", round(width))
        .set("height", round(height))
        .set("rx", 2)
}

fn text(x: f64, y: f64, class: &str, anchor: &str, content: &str) -> Text {
    Text::new(content).set("class", class).set("x", (x * 10.0).round() / 10.0).set("y", y).set("text-anchor", anchor)
}

/// Returns the alternative text of the picture.
fn spoken(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{}: {}", row.label, row.text)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_bars_to_the_longest_one() {
        let row = |value: f64| Row { label: "a".into(), is_own: true, values: vec![value], text: "b".into() };
        let scale = Scale::of(Shape::Stacked, &[row(4.0), row(2.0)]);
        assert!((scale.width(4.0) - (WIDTH - LEFT - RIGHT)).abs() < 1e-9);
        assert!((scale.width(2.0) * 2.0 - scale.width(4.0)).abs() < 1e-9);
        let picture = bars("T & Co", "note", &[], Shape::Stacked, &[row(4.0)]);
        assert!(picture.contains("T &amp; Co") && picture.contains("prefers-color-scheme: dark"), "{picture}");
    }
}
