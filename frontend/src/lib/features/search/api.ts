/** API types of searches. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Message } from '#lib/api/types.ts';

/** Match within the text of an attached file. */
export type FoundInFile = Described.FoundInFile;

export type SearchType = Described.SearchType;
export type SearchSort = Described.SearchSort;
export type SearchHas = Described.SearchHas;
export type SearchFacet = Described.SearchFacet;
export type SearchFacets = Described.SearchFacets;
export type SearchDayFacet = Described.SearchDayFacet;
export type SearchCorrection = Described.SearchCorrection;
export type SearchTotal = Described.SearchTotal;
export type FoundConversation = Described.FoundConversation;

export type SearchHit = Omit<Described.SearchHit, 'message'> & { message?: Message | null };
export type SearchResults = Omit<Described.SearchResults, 'items'> & { items: SearchHit[] };
export type SearchSource = Described.SearchSource;
export type SearchAnswer = Described.SearchAnswer;
export type CatchUp = Described.CatchUp;
