/** Files of a conversation: pictures or others, newest first, paged. */
import type { Api } from '#lib/api/client.ts';
import type { SentFile } from '#lib/api/files.ts';
import type { Cursor, Id, Page } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export type FilesKind = 'picture' | 'file';
/** Filter of other files. */
export type FilesType = 'file' | 'document' | 'audio' | 'video' | 'other';

/** Messages per page. */
const PAGE_SIZE = 60;
/** Combines several messages, in milliseconds. */
const REFRESH_DELAY = 500;

export class ConversationFilesStore {
  kind = $state<FilesKind>('picture');
  type = $state<FilesType>('file');
  /** Name filter. */
  query = $state('');
  /** Author filter; empty for everyone. */
  author = $state('');
  readonly list: PagedResource<SentFile>;

  readonly #api: Api;
  readonly #id: Id;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, conversationId: Id) {
    this.#api = api;
    this.#id = conversationId;
    this.list = new PagedResource(async (page): Promise<Page<SentFile>> => {
      const known = page > 1 ? this.list.items : [];
      const { items, has_more } = await this.#request(known.at(-1)?.seq);
      // The API has no total, only `has_more`.
      return { items, page, page_size: PAGE_SIZE, total: known.length + items.length + (has_more ? 1 : 0) };
    }, keyOf);
  }

  #request(before?: number): Promise<Cursor<SentFile>> {
    return this.#api.get(`/conversations/${this.#id}/files`, {
      ...this.#wanted,
      ...(before !== undefined && { before_seq: before })
    });
  }

  get #wanted() {
    return {
      kind: this.kind === 'picture' ? this.kind : this.type,
      limit: PAGE_SIZE,
      ...(this.query && { q: this.query }),
      ...(this.author && { author: this.author })
    };
  }

  /** Loads older files, if any. */
  more(): void {
    const { list } = this;
    if (list.isKnown && list.hasMore && !list.isLoading && !list.error) void list.more();
  }

  get isFiltered(): boolean {
    return this.query !== '' || this.author !== '' || (this.kind === 'file' && this.type !== 'file');
  }

  /** Changes the filter. */
  show({
    kind = this.kind,
    type = this.type,
    author = this.author,
    query = this.query
  }: {
    kind?: FilesKind;
    type?: FilesType;
    author?: string;
    query?: string;
  }): Promise<void> {
    this.kind = kind;
    this.type = type;
    this.author = author;
    this.query = query;
    this.list.items = [];
    this.list.page = 0;
    return this.list.load();
  }

  search(query: string): void {
    if (query.trim() !== this.query) void this.show({ query: query.trim() });
  }

  /** Follows new and deleted messages; returns a function that stops it. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      if (frame.type === 'message.created') {
        const { message } = frame.payload;
        if (message.conversation_id === this.#id && message.attachments.length > 0) this.#scheduleRefresh();
      } else if (frame.type === 'message.deleted' && frame.payload.conversation_id === this.#id) {
        const { message_id: gone } = frame.payload;
        this.list.remove(({ message_id }) => message_id === gone);
      } else if (frame.type === 'message.updated' && frame.payload.message.hidden_at) {
        const { id: hidden } = frame.payload.message;
        this.list.remove(({ message_id }) => message_id === hidden);
      } else if (frame.type === 'resync') {
        const named = frame.payload.conversation_ids;
        if (!named || named.includes(this.#id)) this.#scheduleRefresh();
      }
    });
    const unsubscribeStale = live.onStale(this.list, () => this.#scheduleRefresh());
    return () => {
      clearTimeout(this.#timer);
      leave();
      unsubscribeStale();
    };
  }

  #scheduleRefresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#loadNewFiles(), REFRESH_DELAY);
  }

  /** Prepends new files; the scroll position stays. */
  async #loadNewFiles(): Promise<void> {
    const { list } = this;
    if (!list.isKnown) return list.load();
    const wanted = JSON.stringify(this.#wanted);
    const found = await this.#request().catch(() => null);
    // Stale: the filter has changed or the request failed.
    if (!found || wanted !== JSON.stringify(this.#wanted)) return;
    const known = new Set(list.items.map(keyOf));
    const fresh = found.items.filter((file) => !known.has(keyOf(file)));
    // More than a page of new files: reload, because the gap is unknown.
    if (found.has_more && fresh.length === found.items.length) return list.load();
    for (const file of fresh.toReversed()) list.upsert(file, (other) => keyOf(other) === keyOf(file));
  }
}

const keyOf = ({ upload, message_id }: SentFile) => `${message_id}/${upload.id}`;
