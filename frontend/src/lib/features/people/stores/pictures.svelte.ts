import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id, UserChanged } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Delay in milliseconds in which requests are collected, because many people come into view together. */
const BATCH_DELAY = 50;
const MAX_BATCH = 50;
/** Age in milliseconds from which a picture is requested again, because events may have been missed while disconnected. */
const MAX_AGE = 10 * 60_000;

/** Profile pictures, which are loaded when they are shown. */
export class PicturesStore {
  readonly #api: Pick<Api, 'get' | 'put' | 'delete'>;
  readonly #now: () => number;
  readonly #known = new SvelteMap<Id, Id>();
  readonly #requestedAt = new Map<Id, number>();
  readonly #waiting = new Set<Id>();

  constructor(api: Pick<Api, 'get' | 'put' | 'delete'>, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
  }

  /** Upload id of a person's picture; undefined if there is none or it isn't loaded. */
  of(id: Id): Id | undefined {
    return this.#known.get(id);
  }

  /** Requests the picture of a person who is shown, unless that was done recently. */
  request(id: Id): void {
    if (this.#now() - (this.#requestedAt.get(id) ?? -Infinity) < MAX_AGE) return;
    this.#requestedAt.set(id, this.#now());
    if (this.#waiting.size === 0) setTimeout(() => void this.#flush(), BATCH_DELAY);
    this.#waiting.add(id);
  }

  /** Requests a picture again that was requested before. */
  refetch(id: Id): void {
    if (this.#requestedAt.delete(id)) this.request(id);
  }

  /** Applies the change of a picture. */
  applyChange({ user_id, picture }: UserChanged): void {
    if (picture) this.#known.set(user_id, picture);
    else this.#known.delete(user_id);
  }

  /** Sets an upload as the user's profile picture. */
  async choose(uploadId: Id): Promise<void> {
    const { user_id, upload_id } = await this.#api.put('/users/me/picture', { upload_id: uploadId });
    this.#known.set(user_id, upload_id);
  }

  async remove(own: Id): Promise<void> {
    await this.#api.delete('/users/me/picture');
    this.#known.delete(own);
  }

  async #flush(): Promise<void> {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (let at = 0; at < all.length; at += MAX_BATCH) await this.#load(all.slice(at, at + MAX_BATCH));
  }

  async #load(ids: readonly Id[]): Promise<void> {
    try {
      const found = await this.#api.get('/users/pictures', { user_id: ids.join(',') });
      const by = new Map(found.map(({ user_id, upload_id }) => [user_id, upload_id]));
      for (const id of ids) {
        const picture = by.get(id);
        if (picture) this.#known.set(id, picture);
        else this.#known.delete(id);
      }
    } catch {
      // Requested again when the person is shown next.
      for (const id of ids) this.#requestedAt.delete(id);
    }
  }
}

export const picturesOf = perAccount(({ api, connection }: App) => {
  const pictures = new PicturesStore(api);
  // The user may have changed their picture in another tab.
  connection.on((frame) => {
    if (frame.type === 'account.own') pictures.refetch(frame.payload.user_id);
    else if (frame.type === 'user.changed') pictures.applyChange(frame.payload);
  });
  return pictures;
});
