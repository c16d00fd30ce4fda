/** Files of a conversation, newest first, loaded page by page: its pictures, or all other files. */
import type { Api } from '#lib/api/client.ts';
import type { SentFile } from '#lib/api/files.ts';
import type { Cursor, Id, Page } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export type FilesKind = 'picture' | 'file';
/** Filter of files other than pictures. */
export type FilesType = 'file' | 'document' | 'audio' | 'video' | 'other';

/** Number of messages of which a page contains the files. */
const PAGE_SIZE = 60;
/** Delay in milliseconds before new files are loaded, so that several messages cause one request. */
const REFRESH_DELAY = 500;

export class ConversationFilesStore {
  kind = $state<FilesKind>('picture');
  type = $state<FilesType>('file');
  /** Text that the file names must contain. */
  query = $state('');
  /** Id of the person who must have sent the files; empty for everyone. */
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
      // The API states only whether there are more, so the total is assumed to be one more than loaded.
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

  /** Loads the next page, if there are older files. */
  more(): void {
    const { list } = this;
    if (list.isKnown && list.hasMore && !list.isLoading && !list.error) void list.more();
  }

  get isFiltered(): boolean {
    return this.query !== '' || this.author !== '' || (this.kind === 'file' && this.type !== 'file');
  }

  /** Changes the given parts of the filter. */
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

  /** Updates the list when messages are sent or deleted; returns a function that stops this. */
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

  /** Loads files that were sent meanwhile and adds them before the others. */
  async #loadNewFiles(): Promise<void> {
    const { list } = this;
    if (!list.isKnown) return list.load();
    const wanted = JSON.stringify(this.#wanted);
    const found = await this.#request().catch(() => null);
    // The request has failed, or the filter has changed since.
    if (!found || wanted !== JSON.stringify(this.#wanted)) return;
    const known = new Set(list.items.map(keyOf));
    const fresh = found.items.filter((file) => !known.has(keyOf(file)));
    // There are more new files than a page contains, so some would be missing: reloads the list.
    if (found.has_more && fresh.length === found.items.length) return list.load();
    for (const file of fresh.toReversed()) list.upsert(file, (other) => keyOf(other) === keyOf(file));
  }
}

const keyOf = ({ upload, message_id }: SentFile) => `${message_id}/${upload.id}`;
