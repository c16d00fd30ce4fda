/** What was sent in one conversation besides words: pictures, or other files; the newest first, page by page. */
import type { Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Cursor, Id, Page, Sender, Timestamp } from '#lib/api/types.ts';
import { fold } from '#lib/fold.ts';
import type { Line } from './line.ts';
import { Listing } from './listing.svelte.ts';

export type FilesKind = 'picture' | 'file';

/** `GET /r1/conversations/{id}/files` */
export interface SentFile {
  upload: Upload;
  message_id: Id;
  /** The place of its message. */
  seq: number;
  sender: Sender;
  created_at: Timestamp;
}

/** So many messages with files at once. */
const PAGE_SIZE = 60;
/** So many pages are looked through for a name before one is asked whether to go on. */
const PAGES_AT_ONCE = 20;
/** Several messages that come at once are one reason to look. */
const LOOK_AFTER = 500;

export class ConversationFiles {
  kind = $state<FilesKind>('picture');
  /** A part of the name. The server knows none: what is loaded is looked through. */
  query = $state('');
  /** Of one person only; empty: of everyone. */
  author = $state('');
  readonly list: Listing<SentFile>;

  readonly #id: Id;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Up to that page a name is looked for without being asked again. */
  #searchedTo = $state(PAGES_AT_ONCE);

  constructor(api: Api, conversationId: Id) {
    this.#id = conversationId;
    this.list = new Listing(
      async (page): Promise<Page<SentFile>> => {
        const known = page > 1 ? this.list.items : [];
        const before = known.at(-1)?.seq;
        const { items, has_more } = await api.get<Cursor<SentFile>>(`/conversations/${conversationId}/files`, {
          kind: this.kind,
          limit: PAGE_SIZE,
          ...(this.author && { author: this.author }),
          ...(before !== undefined && { before_seq: before })
        });
        // How many there are is not known: only whether there are more.
        return { items, page, page_size: PAGE_SIZE, total: known.length + items.length + (has_more ? 1 : 0) };
      },
      ({ upload, message_id }) => `${message_id}/${upload.id}`
    );
  }

  /** Those of the name that is looked for. */
  readonly shown = $derived.by<readonly SentFile[]>(() => {
    const wanted = fold(this.query.trim());
    return wanted ? this.list.items.filter(({ upload }) => fold(upload.name).includes(wanted)) : this.list.items;
  });

  /** Much was looked through already, and older ones are not. */
  readonly isPaused = $derived.by(
    () => this.query.trim() !== '' && this.list.hasMore && this.list.page >= this.#searchedTo
  );

  /** Brings older ones, unless that was enough. */
  more(): void {
    const { list } = this;
    if (list.isKnown && list.hasMore && !list.isLoading && !list.error && !this.isPaused) void list.more();
  }

  goOn(): void {
    this.#searchedTo = this.list.page + PAGES_AT_ONCE;
    this.more();
  }

  get isFiltered(): boolean {
    return this.query.trim() !== '' || this.author !== '';
  }

  /** Other ones are looked for: what is there is none of them. */
  show({ kind = this.kind, author = this.author }: { kind?: FilesKind; author?: string }): Promise<void> {
    this.kind = kind;
    this.author = author;
    this.list.items = [];
    this.list.page = 0;
    return this.list.load();
  }

  search(query: string): void {
    this.query = query;
    this.#searchedTo = Math.max(PAGES_AT_ONCE, this.list.page);
  }

  /** Takes up what comes and what is deleted; answers how to stop that. */
  follow(line: Line): () => void {
    const leave = line.on((frame) => {
      if (frame.type === 'message.created') {
        const { message } = frame.payload;
        if (message.conversation_id === this.#id && message.attachments.length > 0) this.#lookSoon();
      } else if (frame.type === 'message.deleted' && frame.payload.conversation_id === this.#id) {
        const { message_id: gone } = frame.payload;
        this.list.drop(({ message_id }) => message_id === gone);
      }
    });
    return () => {
      clearTimeout(this.#timer);
      leave();
    };
  }

  #lookSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.load(), LOOK_AFTER);
  }
}
