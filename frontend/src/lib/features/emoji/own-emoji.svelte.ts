/** Custom emoji of a workspace, updated by events. */
import type { App } from '#lib/app/app.ts';
import type { Api } from '#lib/api/client.ts';
import type { WorkspaceEmoji } from './api.ts';
import { upload } from '#lib/api/upload.ts';
import type { Id } from '#lib/api/types.ts';
import type { Name } from '#lib/features/conversations/mentions.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { perAccount } from '#lib/app/per-account.ts';

const PAGE_SIZE = 200;

type Listed = WorkspaceEmoji & { readonly id: string };

const withId = (emoji: WorkspaceEmoji): Listed => ({ ...emoji, id: emoji.name });

export class OwnEmojiStore {
  readonly list: PagedResource<Listed>;
  readonly names = $derived.by<readonly Name[]>(() =>
    this.list.items.map(({ name, upload_id }) => ({ id: upload_id, name: `${name}:`, kind: 'emoji' }))
  );
  readonly #api: Api;
  readonly #path: `/workspaces/${Id}/emoji`;

  constructor(api: Api, live: LiveUpdates, workspaceId: Id) {
    this.#api = api;
    this.#path = `/workspaces/${workspaceId}/emoji`;
    this.list = new PagedResource(
      async (page) => {
        const found = await api.get(this.#path, { page, page_size: PAGE_SIZE });
        return { ...found, items: found.items.map(withId) };
      },
      ({ id }) => id
    );
    live.on((frame) => {
      if (frame.type === 'emoji.changed' ? frame.payload.workspace_id === workspaceId : frame.type === 'resync')
        void this.load();
    });
    live.onStale(this.list, () => void this.load());
  }

  /** Loads all pages, because a text may contain any emoji. */
  async load(): Promise<void> {
    await this.list.load();
    while (this.list.hasMore && !this.list.error) await this.list.more();
  }

  async add(name: string, picture: Blob): Promise<void> {
    const sent = await upload(this.#api, {
      blob: picture,
      name,
      mediaType: picture.type,
      begunAt: null,
      onbegun: () => undefined,
      onprogress: () => undefined,
      signal: new AbortController().signal
    });
    const added = withId(await this.#api.post(this.#path, { name, upload_id: sent.id }));
    this.list.upsert(
      added,
      ({ id }) => id === added.id,
      (a, b) => a.name.localeCompare(b.name)
    );
  }

  async remove(name: string): Promise<void> {
    await this.#api.delete(`${this.#path}/${name}`);
    this.list.remove((emoji) => emoji.name === name);
  }
}

/** Number of stores created so far. A change makes derived values that have created one compute again. */
let made = $state(0);
const known = perAccount(() => new Map<Id, OwnEmojiStore>());

/** Custom emoji of a workspace, loaded when first used. */
export function ownEmojiOf(app: App, workspaceId: Id): OwnEmojiStore {
  const of = known(app);
  void made;
  const emoji = of.get(workspaceId) ?? new OwnEmojiStore(app.api, app.connection, workspaceId);
  if (!of.has(workspaceId)) {
    of.set(workspaceId, emoji);
    // Deferred, because the caller may be a component that is rendering.
    queueMicrotask(() => {
      made += 1;
      void emoji.load();
    });
  }
  return emoji;
}

/** Shows custom emoji in the texts of a conversation. */
export function showOwnEmoji(app: App, conversationView: ConversationView): void {
  conversationView.directory.emojiIn = (workspaceId) => ownEmojiOf(app, workspaceId).names;
}
