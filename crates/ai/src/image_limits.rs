//! Maximum useful image size per model; larger images are downscaled before the request, since they
//! cost bytes and time without any gain.

use std::sync::LazyLock;

use crate::params;

/// Largest image that a model processes at full resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLimit {
    /// Longer side, in pixels.
    pub side: u32,
    pub pixels: u32,
}

static LIMITS_BY_MODEL: LazyLock<Vec<(&'static str, ImageLimit)>> = LazyLock::new(|| {
    let lines = include_str!("looks.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut rows: Vec<_> = lines.filter_map(read).collect();
    rows.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    rows
});

fn read(line: &'static str) -> Option<(&'static str, ImageLimit)> {
    let (name, size) = line.split_once('\t')?;
    let (side, thousands) = size.split_once('\t')?;
    let thousands: u32 = thousands.parse().ok()?;
    Some((name, ImageLimit { side: side.parse().ok()?, pixels: thousands.checked_mul(1_000)? }))
}

impl ImageLimit {
    /// Default for unknown models.
    pub const DEFAULT: Self = Self { side: 1_280, pixels: 1_280 * 1_280 };

    /// Limit of a model; `model` is the provider's name of it.
    #[must_use]
    pub fn for_model(model: &str) -> Self {
        let plain = params::canonical_name(model);
        LIMITS_BY_MODEL
            .iter()
            .find(|(name, _)| params::matches_model(name, &plain))
            .map_or(Self::DEFAULT, |(_, size)| *size)
    }

    /// Minimum of two limits, for images that are shown to both models.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { side: self.side.min(other.side), pixels: self.pixels.min(other.pixels) }
    }

    /// Scales image dimensions down to fit, keeping the aspect ratio.
    #[must_use]
    pub fn fit(self, width: u32, height: u32) -> (u32, u32) {
        let (wide, high) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let by_side = f64::from(self.side) / wide.max(high);
        let by_pixels = (f64::from(self.pixels) / (wide * high)).sqrt();
        let scale = by_side.min(by_pixels).min(1.0);
        // The added value keeps a side that is scaled to exactly the maximum from being rounded
        // down.
        let scaled = |side: f64| (side * scale + 1e-6).floor().max(1.0) as u32;
        (scaled(wide), scaled(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_rows_and_prefers_the_longest_match() {
        let lines = include_str!("looks.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(LIMITS_BY_MODEL.len(), lines);
        let side = |model: &str| ImageLimit::for_model(model).side;
        assert_eq!(side("us.anthropic.claude-opus-4-1-20250805-v1:0"), 1_568);
        assert_eq!(side("anthropic/claude-opus-4.7"), 2_576);
        assert_eq!(side("openai/gpt-5-mini"), 2_048);
        assert_eq!(ImageLimit::for_model("llama-4"), ImageLimit::DEFAULT);
    }

    #[test]
    fn keeps_the_aspect_ratio_and_never_enlarges() {
        let claude = ImageLimit::for_model("claude-sonnet-4-5");
        assert_eq!(claude.fit(800, 600), (800, 600));
        assert_eq!(claude.fit(4_000, 400), (1_568, 156));
        let (width, height) = claude.fit(4_000, 3_000);
        assert!(width * height <= claude.pixels && width * 3 / 4 - height <= 1, "{width} x {height}");
        assert_eq!(claude.fit(0, 0), (1, 1));
        assert_eq!(claude.fit(u32::MAX, 1), (1_568, 1));
        let both = claude.min(ImageLimit { side: 1_000, pixels: 2_000_000 });
        assert_eq!(both, ImageLimit { side: 1_000, pixels: 1_150_000 });
    }
}
