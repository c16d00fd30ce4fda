import type { Api } from '#lib/api/client.ts';
import type { Notification, NotificationKind } from '../api.ts';
import type { Id, ServerFrame } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export type ActivityFilter = 'all' | 'unread' | 'mention' | 'thread' | 'reaction' | 'reminder' | 'keyword' | 'export';

const PAGE_SIZE = 30;

type TabMessage =
  | { type: 'notification'; payload: Notification }
  | { type: 'notifications.read'; payload: { ids: Id[] | null } }
  | { type: 'notifications.withdrawn'; payload: { ids: Id[] } };

interface NotificationUpdates {
  on(handler: (frame: ServerFrame) => void): () => void;
  onConnect(handler: () => void): () => void;
}

/** Notifications of the account: the number of unread ones, and the list that is shown. */
export class NotificationsStore {
  #unread = $state(0);
  /** Ids of the notifications that were counted, because several events may be about one. */
  readonly #counted = new Set<Id>();
  readonly #api: Pick<Api, 'get' | 'post'>;
  #shown: PagedResource<Notification> | undefined;
  #filter: ActivityFilter = 'all';
  #turn = 0;

  /** Called when a notification arrives. */
  onArrival: (notification: Notification) => void = () => undefined;
  /** Called when notifications were read or deleted. */
  onGone: (isGone: (id: Id) => boolean) => void = () => undefined;
  /** Whether the user sees the conversation of a notification, so that it counts as read. */
  isSeen: (notification: Notification) => boolean = () => false;

  constructor(api: Pick<Api, 'get' | 'post'>, live: NotificationUpdates) {
    this.#api = api;
    live.on((frame) => this.#handleMessage(frame));
    live.onConnect(() => void this.load());
  }

  get unread(): number {
    return this.#unread;
  }

  /** Loads the number of unread notifications, and the list if it is shown. */
  async load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const page = await this.#api.get('/notifications', { unread: true, page_size: 200 });
      if (turn !== this.#turn) return;
      this.#counted.clear();
      for (const { id } of page.items) this.#counted.add(id);
      this.#unread = page.total;
      if (page.total <= page.items.length) this.onGone((id) => !this.#counted.has(id));
      if (this.#shown?.isKnown) void this.#shown.refresh();
    } catch {
      // The next connection tries again.
    }
  }

  /** Returns the list to show, and loads it. */
  list(filter: ActivityFilter): PagedResource<Notification> {
    this.#filter = filter;
    const shown = new PagedResource<Notification>(
      (page) =>
        this.#api.get('/notifications', {
          unread: filter === 'unread' ? true : undefined,
          kind: filter === 'all' || filter === 'unread' ? undefined : filter,
          page,
          page_size: PAGE_SIZE
        }),
      ({ id }) => id
    );
    this.#shown = shown;
    return shown;
  }

  async markRead(notification: Notification): Promise<void> {
    if (notification.read_at) return;
    this.#read([notification.id]);
    await this.#api.post('/notifications/read', { ids: [notification.id] });
  }

  async markAllRead(): Promise<void> {
    await this.#api.post('/notifications/read', { all: true });
    this.#read(null);
  }

  #handleMessage(frame: ServerFrame | TabMessage): void {
    if (frame.type === 'notification') this.#arrive(frame.payload);
    else if (frame.type === 'notifications.read') this.#read(frame.payload.ids);
    else if (frame.type === 'notifications.withdrawn') this.#withdraw(frame.payload.ids);
    else if (frame.type === 'resync') void this.load();
  }

  #arrive(notification: Notification): void {
    const isNew = !this.#counted.has(notification.id);
    if (this.isSeen(notification)) {
      this.#upsert({ ...notification, read_at: notification.created_at });
      this.#api.post('/notifications/read', { ids: [notification.id] }).catch(() => undefined);
      return;
    }
    if (isNew) {
      this.#counted.add(notification.id);
      this.#unread += 1;
    }
    this.#upsert(notification);
    if (!notification.silent) this.onArrival(notification);
  }

  #upsert(notification: Notification): void {
    const shown = this.#shown;
    if (!shown?.isKnown || !passes(this.#filter, notification.kind)) return;
    shown.upsert(
      notification,
      ({ id }) => id === notification.id,
      (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at)
    );
  }

  #read(ids: readonly Id[] | null): void {
    const read = ids && new Set(ids);
    for (const id of read ?? [...this.#counted]) if (this.#counted.delete(id)) this.#unread -= 1;
    if (!read) this.#unread = 0;
    this.onGone((id) => !read || read.has(id));
    const shown = this.#shown;
    if (!shown) return;
    const now = new Date().toISOString();
    shown.items = shown.items.map((item) =>
      item.read_at || (read && !read.has(item.id)) ? item : { ...item, read_at: now }
    );
  }

  #withdraw(ids: readonly Id[]): void {
    const gone = new Set(ids);
    for (const id of gone) if (this.#counted.delete(id)) this.#unread -= 1;
    this.onGone((id) => gone.has(id));
    this.#shown?.remove(({ id }) => gone.has(id));
  }
}

function passes(filter: ActivityFilter, kind: NotificationKind): boolean {
  return filter === 'all' || filter === 'unread' || filter === kind;
}
