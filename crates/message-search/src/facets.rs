//! Facets of search results: people, conversations, kinds and days.

use std::collections::{BTreeMap, HashMap};

use ::search::Has;
use appcore::{
    AppError,
    view::{SearchDayFacet, SearchFacet, SearchFacets, SearchHas, SearchHasFacet},
};
use dbcontext::query::search as rows;
use jiff::tz::TimeZone;
use platform::time_zone;
use uuid::Uuid;

use crate::SearchService;
use crate::{plan::PlannedSearch, window::Hit};

/// Maximum number of values per facet.
const MAX_VALUES: usize = 20;

/// Counts the facets of the hits. The names of people are filled in by [`named`].
pub(super) fn count_facets(asked: &PlannedSearch, hits: &[Hit]) -> SearchFacets {
    let author = most_frequent(hits.iter().filter_map(|hit| hit.author));
    let author = author.into_iter().map(|(id, count)| SearchFacet { id, name: None, count });
    let conversation = most_frequent(hits.iter().map(|hit| hit.conversation)).into_iter().map(|(id, count)| {
        let name = asked.conversations.get(&id).and_then(|one| one.title.clone());
        SearchFacet { id, name, count }
    });
    let day = days(hits, &asked.zone);
    SearchFacets { author: author.collect(), conversation: conversation.collect(), has: has(hits), day }
}

/// Fills in the names of people.
pub(super) async fn fill_names(service: &SearchService, mut facets: SearchFacets) -> Result<SearchFacets, AppError> {
    let ids: Vec<Uuid> = facets.author.iter().map(|facet| facet.id).collect();
    if ids.is_empty() {
        return Ok(facets);
    }
    let names = rows::names(&service.db.replica().await, &ids).await?;
    let mut names: HashMap<Uuid, String> = names.into_iter().map(|one| (one.id, one.name)).collect();
    for facet in &mut facets.author {
        facet.name = names.remove(&facet.id);
    }
    Ok(facets)
}

fn most_frequent(ids: impl Iterator<Item = Uuid>) -> Vec<(Uuid, u64)> {
    let mut counts: HashMap<Uuid, u64> = HashMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    let mut counts: Vec<(Uuid, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
    counts.truncate(MAX_VALUES);
    counts
}

fn has(hits: &[Hit]) -> Vec<SearchHasFacet> {
    let kinds = [
        (Has::File, SearchHas::File),
        (Has::Image, SearchHas::Image),
        (Has::Link, SearchHas::Link),
        (Has::Voice, SearchHas::Voice),
    ];
    let counted = kinds.into_iter().map(|(has, shown)| SearchHasFacet {
        has: shown,
        count: super::count(hits.iter().filter(|hit| hit.has.contains(&has)).count()),
    });
    counted.filter(|facet| facet.count > 0).collect()
}

fn days(hits: &[Hit], zone: &TimeZone) -> Vec<SearchDayFacet> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for hit in hits {
        *counts.entry(time_zone::day_of(zone, hit.created_at)).or_default() += 1;
    }
    let facet = |(day, count)| SearchDayFacet { begins_at: time_zone::start_of_day(zone, day), count };
    counts.into_iter().map(facet).collect()
}
