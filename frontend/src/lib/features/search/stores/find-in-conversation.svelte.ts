import type { Api } from '#lib/api/client.ts';
import type { SearchHit, SearchTotal } from '../api.ts';
import type { Id, Message } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { namedZone } from '#lib/features/people/timezones.ts';
import { perAccount } from '#lib/app/per-account.ts';

const PAGE = 50;
/** Number of consecutive pages without a message that the user can see, after which loading stops. */
const MAX_EMPTY_PAGES = 5;

/** Search in one conversation. The matches are sorted newest first, and one of them is selected. */
export class FindInConversationStore {
  text = $state('');
  found = $state.raw<readonly Message[]>([]);
  /** Words that were found, by message. */
  words = $state.raw<ReadonlyMap<Id, readonly string[]>>(new Map());
  /** Index of the selected match; -1 if none is. */
  selectedIndex = $state(-1);
  total = $state.raw<SearchTotal | null>(null);
  /** Whether a response to the current search has arrived. */
  isKnown = $state(false);
  isLoading = $state(false);
  error = $state.raw<unknown>(null);

  readonly #api: Pick<Api, 'get'>;
  #searchedText = '';
  #searching: Promise<void> = Promise.resolve();
  #next: string | null = null;
  #turn = 0;

  constructor(
    api: Pick<Api, 'get'>,
    readonly conversationId: Id
  ) {
    this.#api = api;
  }

  /** Number of matches according to the server, or of those loaded if that is higher. */
  get count(): number {
    return Math.max(this.total?.count ?? 0, this.found.length);
  }

  /** Searches for the current text. If that has not changed, the previous search is used. */
  search(): Promise<void> {
    const q = this.text.trim();
    if (q !== this.#searchedText || this.error !== null) this.#searching = this.#start(q);
    return this.#searching;
  }

  /** Selects the next older match and returns it; after the oldest one, the newest. */
  async selectOlder(): Promise<Message | undefined> {
    await this.search();
    const end = this.found.length - 1;
    if (this.selectedIndex < end) return this.#select(this.selectedIndex + 1);
    if (this.#next === null) return this.#select(0);
    if (this.isLoading) return undefined;
    const turn = this.#turn;
    await this.#loadPage(this.#searchedText, this.#next, turn);
    if (turn !== this.#turn || this.error !== null) return undefined;
    if (this.found.length - 1 > end) return this.#select(end + 1);
    return this.#next === null ? this.#select(0) : undefined;
  }

  /** Selects the next newer match and returns it. After the newest one it selects the oldest, but only if all are loaded. */
  async selectNewer(): Promise<Message | undefined> {
    await this.search();
    if (this.selectedIndex > 0) return this.#select(this.selectedIndex - 1);
    return this.#select(this.selectedIndex < 0 || this.#next !== null ? 0 : this.found.length - 1);
  }

  #select(at: number): Message | undefined {
    const message = this.found[at];
    if (message) this.selectedIndex = at;
    return message;
  }

  async #start(q: string): Promise<void> {
    this.#searchedText = q;
    this.#turn += 1;
    this.selectedIndex = -1;
    this.error = null;
    this.#next = null;
    if (q !== '') return this.#loadPage(q, null, this.#turn);
    this.found = [];
    this.total = null;
    this.isKnown = this.isLoading = false;
  }

  async #loadPage(q: string, cursor: string | null, turn: number): Promise<void> {
    this.isLoading = true;
    this.error = null;
    try {
      let after = cursor;
      for (let page = 0; page < MAX_EMPTY_PAGES; page++) {
        const answer = await this.#api.get('/search', {
          q,
          conversation_id: this.conversationId,
          sort: 'newest',
          timezone: namedZone(),
          limit: PAGE,
          cursor: after ?? undefined
        });
        // Another search has started meanwhile.
        if (turn !== this.#turn) return;
        const before = after === null ? [] : this.found;
        const known = new Set(before.map(({ id }) => id));
        const added = answer.items.flatMap(({ message }) => (message && !known.has(message.id) ? [message] : []));
        if (after === null) this.total = answer.total ?? null;
        this.found = [...before, ...added];
        this.words = new Map([...(after === null ? [] : this.words), ...answer.items.flatMap(wordsOf)]);
        this.isKnown = true;
        this.#next = after = answer.next ?? null;
        if (added.length > 0 || after === null) break;
      }
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      if (cursor === null) {
        this.found = [];
        this.total = null;
        this.isKnown = false;
      }
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}

/** Words of a message that were found, without duplicates, after the id of the message. */
function wordsOf({ message, highlights = [] }: SearchHit): [Id, readonly string[]][] {
  if (!message) return [];
  const found = highlights.map(([start = 0, length = 0]) => message.content.slice(start, start + length));
  return [[message.id, [...new Set(found)]]];
}

const kept = perAccount(() => ({ find: null as FindInConversationStore | null }));

/** Search in a conversation. It is kept when the find bar is unmounted, because on phones an opened thread replaces the conversation. */
export function findStoreOf(app: App, conversationId: Id): FindInConversationStore {
  const place = kept(app);
  if (place.find?.conversationId !== conversationId) place.find = new FindInConversationStore(app.api, conversationId);
  return place.find;
}

/** Removes the kept search. */
export function clearFind(app: App): void {
  kept(app).find = null;
}
