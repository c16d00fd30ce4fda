/** Threads that the user follows, with the numbers of unread replies. */
import { isDurable } from '#lib/realtime/frames.ts';
import type { Api } from '#lib/api/client.ts';
import type { FollowedThread, ThreadFilter } from '../api.ts';
import type { Id, ServerFrame } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 30;
/** Delay in milliseconds before a reload, so that several events cause a single one. */
const BATCH_DELAY = 600;

export class ThreadsStore {
  readonly list: PagedResource<FollowedThread>;
  filter = $state<ThreadFilter>('unread');
  readonly #api: Api;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(
      (page) => api.get('/threads', { filter: this.filter, page, page_size: PAGE_SIZE }),
      ({ root }) => root.id
    );
  }

  show(filter: ThreadFilter): void {
    this.filter = filter;
    this.list.items = [];
    this.list.page = 0;
    void this.list.load();
  }

  /** Reloads the list on events; returns a function that stops this. */
  follow(live: LiveUpdates): () => void {
    const leave = [live.on((frame) => this.#handleFrame(frame)), live.onStale(this.list, () => this.#scheduleReload())];
    return () => {
      clearTimeout(this.#timer);
      for (const one of leave) one();
    };
  }

  /** Marks all loaded threads as read. */
  async readAll(): Promise<void> {
    const unread = this.list.items.filter((thread) => thread.unread > 0);
    for (const { root } of unread)
      await this.#api.post(`/messages/${root.id}/thread/read`, { no: root.thread?.last_no ?? 0 });
    await this.list.load();
  }

  #handleFrame(frame: ServerFrame): void {
    if (frame.type === 'thread.own') this.#applyThreadState(frame.payload.message_id, frame.payload);
    else if (frame.type === 'user.changed') this.list.change((items) => renameUser(items, frame.payload));
    else if (isDurable(frame) && this.#concerns(frame)) this.#scheduleReload();
  }

  #applyThreadState(rootId: Id, { following, unread }: { following: boolean; unread: number }): void {
    if (!following) return this.list.remove(({ root }) => root.id === rootId);
    const have = this.list.items.find(({ root }) => root.id === rootId);
    if (have) this.list.upsert({ ...have, unread }, ({ root }) => root.id === rootId);
    else this.#scheduleReload();
  }

  /** Whether an event requires a reload: it is a reply, or a change of the first message of a listed thread. */
  #concerns(frame: ServerFrame): boolean {
    switch (frame.type) {
      case 'message.created':
        return !!frame.payload.message.thread_id;
      case 'message.updated':
        return this.list.items.some(({ root }) => root.id === frame.payload.message.id);
      case 'message.deleted':
        return this.list.items.some(({ root: { id } }) =>
          [frame.payload.message_id, frame.payload.thread_id].includes(id)
        );
    }
    return false;
  }

  #scheduleReload(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.list.refresh();
    }, BATCH_DELAY);
  }
}
