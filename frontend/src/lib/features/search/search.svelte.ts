import type { Api } from '#lib/api/client.ts';
import type {
  SearchCorrection,
  SearchFacets,
  SearchHit,
  SearchResults,
  SearchSort,
  SearchTotal,
  SearchType
} from './api.ts';
import type { Id, Timestamp } from '#lib/api/types.ts';
import { namedZone } from '#lib/features/people/timezones.ts';
import { asText, keyOf, plainMarks, wordsOf, type Chip } from './query.ts';

export interface SearchQuery {
  readonly chips: readonly Chip[];
  readonly text: string;
  readonly type: SearchType;
  readonly sort: SearchSort;
  readonly isExact: boolean;
  /** Workspace to search; undefined for all of them. */
  readonly workspaceId?: Id | undefined;
}

/** Suggestion to remove a filter, with the number of hits without it. */
export interface FilterRelaxation {
  /** Filter to remove; undefined if it is the quotation marks. */
  readonly chip?: Chip;
  readonly count: number;
}

export const TYPES = ['message', 'file', 'conversation', 'person'] as const satisfies readonly SearchType[];

const PAGE = 20;
const MAX_OTHER_RESULTS = 50;
const NO_FACETS: SearchFacets = { author: [], conversation: [], has: [], day: [] };
/** Maximum number of filters that are tried. */
const MAX_RELAXATIONS = 6;

/** Converts a search to the query parameters of the API. */
export function parametersOf({
  chips,
  text,
  type,
  sort,
  isExact,
  workspaceId
}: SearchQuery): Record<string, string | undefined> {
  const ids = (op: 'from' | 'in') => chips.flatMap((chip) => (chip.op === op && chip.id ? [chip.id] : [])).join(',');
  const isWords = type === 'conversation' || type === 'person';
  const asked = { type, workspace_id: type === 'person' ? undefined : workspaceId };
  if (isWords) return { q: wordsOf(text) || undefined, ...asked };
  return {
    q: asText(chips, text) || undefined,
    author: ids('from') || undefined,
    conversation_id: ids('in') || undefined,
    sort: sort === 'newest' ? sort : undefined,
    exact: isExact ? 'true' : undefined,
    timezone: namedZone(),
    ...asked
  };
}

/** Results of a search with their facets. */
export class SearchStore {
  items = $state.raw<SearchHit[]>([]);
  facets = $state.raw<SearchFacets>(NO_FACETS);
  total = $state.raw<SearchTotal | null>(null);
  corrections = $state.raw<SearchCorrection[]>([]);
  isCorrected = $state(false);
  isFilling = $state(false);
  /** Whether the server has stopped at its time limit, so that there may be more hits. */
  timedOut = $state(false);
  tookMs = $state(0);
  searchedTo = $state<Timestamp | null>(null);
  hasMore = $state(false);
  isKnown = $state(false);
  isLoading = $state(false);
  error = $state.raw<unknown>(null);
  /** Number of hits for each type of results. */
  counts = $state.raw<Partial<Record<SearchType, SearchTotal>>>({});
  /** Suggestions if there are no hits, those with most hits first. */
  relaxations = $state.raw<FilterRelaxation[]>([]);

  readonly #api: Pick<Api, 'get'>;
  #query: SearchQuery | null = null;
  #next: string | null = null;
  #turn = 0;

  constructor(api: Pick<Api, 'get'>) {
    this.#api = api;
  }

  get isEmpty(): boolean {
    return this.isKnown && this.items.length === 0 && !this.hasMore;
  }

  async run(query: SearchQuery): Promise<void> {
    this.#query = query;
    this.#next = null;
    this.relaxations = [];
    const turn = await this.#loadPage(query, null);
    if (turn !== this.#turn) return;
    void this.#countOthers(query, turn);
    if (query.type === 'message' || query.type === 'file') {
      void this.#loadUnfilteredFacets(query, turn);
      if (this.isEmpty) void this.#loadRelaxations(query, turn);
    }
  }

  async more(): Promise<void> {
    if (this.#query && this.#next && !this.isLoading) await this.#loadPage(this.#query, this.#next);
  }

  async retry(): Promise<void> {
    if (this.#query) await (this.#next ? this.more() : this.run(this.#query));
  }

  async #loadPage(query: SearchQuery, cursor: string | null): Promise<number> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.error = null;
    try {
      const found = await this.#get(query, PAGE, cursor);
      // Another search has started meanwhile.
      if (turn !== this.#turn) return turn;
      this.#next = found.next ?? null;
      this.hasMore = this.#next !== null;
      this.items = cursor ? [...this.items, ...this.#withoutListed(found.items)] : found.items;
      this.searchedTo = found.searched_to ?? null;
      this.isFilling = found.is_filling;
      this.timedOut = found.timed_out;
      if (!cursor) {
        this.facets = found.facets;
        this.total = found.total ?? null;
        this.corrections = found.corrections;
        this.isCorrected = found.is_corrected;
        this.tookMs = found.took_ms;
        this.counts = found.total ? { [query.type]: found.total } : {};
      }
      this.isKnown = true;
    } catch (error) {
      if (turn === this.#turn) {
        this.error = error;
        if (!cursor) this.items = [];
      }
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
    return turn;
  }

  /** Returns the items that aren't listed yet: new messages move hits to the next page, which then repeats them. */
  #withoutListed(items: SearchHit[]): SearchHit[] {
    const known = new Set(this.items.map(({ message }) => message?.id));
    return items.filter(({ message }) => !known.has(message?.id));
  }

  #get(query: SearchQuery, limit: number, cursor: string | null = null): Promise<SearchResults> {
    return this.#api.get('/search', { ...parametersOf(query), limit, cursor: cursor ?? undefined });
  }

  /** Searches without reporting an error; null if the search fails. */
  async #trySearch(query: SearchQuery, limit: number): Promise<SearchResults | null> {
    try {
      return await this.#get(query, limit);
    } catch {
      return null;
    }
  }

  async #countOthers(query: SearchQuery, turn: number): Promise<void> {
    const others = TYPES.filter((type) => type !== query.type);
    const found = await Promise.all(
      others.map((type) => {
        const isNothing = (type === 'conversation' || type === 'person') && wordsOf(query.text) === '';
        return isNothing
          ? null
          : this.#trySearch({ ...query, type }, type === 'message' || type === 'file' ? 1 : MAX_OTHER_RESULTS);
      })
    );
    if (turn !== this.#turn) return;
    const counts: typeof this.counts = { ...this.counts };
    others.forEach((type, at) => {
      const total = found[at]?.total;
      if (total) counts[type] = total;
    });
    this.counts = counts;
  }

  /** Loads the facets of authors and places as they are without a filter by them, so that another one can be chosen. */
  async #loadUnfilteredFacets(query: SearchQuery, turn: number): Promise<void> {
    const without = (op: Chip['op']) => ({ ...query, chips: query.chips.filter((chip) => chip.op !== op) });
    const isNarrowed = (op: Chip['op']) => query.chips.some((chip) => chip.op === op);
    const [byAuthor, byPlace] = await Promise.all([
      isNarrowed('from') ? this.#trySearch(without('from'), 1) : null,
      isNarrowed('in') ? this.#trySearch(without('in'), 1) : null
    ]);
    if (turn !== this.#turn) return;
    this.facets = {
      ...this.facets,
      author: byAuthor?.facets.author ?? this.facets.author,
      conversation: byPlace?.facets.conversation ?? this.facets.conversation
    };
  }

  async #loadRelaxations(query: SearchQuery, turn: number): Promise<void> {
    const tried: { chip?: Chip; query: SearchQuery }[] = query.chips.slice(0, MAX_RELAXATIONS).map((chip) => ({
      chip,
      query: { ...query, chips: query.chips.filter((one) => keyOf(one) !== keyOf(chip)) }
    }));
    const plain = plainMarks(query.text);
    if (plain.includes('"')) tried.push({ query: { ...query, text: plain.replaceAll('"', '') } });
    const found = await Promise.all(tried.map(({ query }) => this.#trySearch(query, 1)));
    if (turn !== this.#turn) return;
    this.relaxations = tried
      .map(({ chip }, at): FilterRelaxation => ({ ...(chip && { chip }), count: found[at]?.total?.count ?? 0 }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count);
  }
}
