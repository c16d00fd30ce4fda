import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id, UserChanged } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Batches people who come into view together, in milliseconds. */
const BATCH_DELAY = 50;
const MAX_BATCH = 50;
/** Pictures are reloaded after this time, because events may be missed while disconnected, in milliseconds. */
const MAX_AGE = 10 * 60_000;

/** Profile pictures, loaded when rendered. */
export class PicturesStore {
  readonly #api: Pick<Api, 'get' | 'put' | 'delete'>;
  readonly #now: () => number;
  readonly #known = new SvelteMap<Id, Id>();
  readonly #asked = new Map<Id, number>();
  readonly #waiting = new Set<Id>();

  constructor(api: Pick<Api, 'get' | 'put' | 'delete'>, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
  }

  /** Upload id of a picture; undefined if none or unknown. */
  of(id: Id): Id | undefined {
    return this.#known.get(id);
  }

  /** Requests a picture for rendering. */
  request(id: Id): void {
    if (this.#now() - (this.#asked.get(id) ?? -Infinity) < MAX_AGE) return;
    this.#asked.set(id, this.#now());
    if (this.#waiting.size === 0) setTimeout(() => void this.#flush(), BATCH_DELAY);
    this.#waiting.add(id);
  }

  /** Invalidates a picture. */
  again(id: Id): void {
    if (this.#asked.delete(id)) this.request(id);
  }

  /** Applies a picture change. */
  applyChange({ user_id, picture }: UserChanged): void {
    if (picture) this.#known.set(user_id, picture);
    else this.#known.delete(user_id);
  }

  /** Sets an upload as the own picture. */
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
      // Retried at the next rendering.
      for (const id of ids) this.#asked.delete(id);
    }
  }
}

export const picturesOf = perAccount(({ api, connection }: App) => {
  const pictures = new PicturesStore(api);
  // May have changed in another tab.
  connection.on((frame) => {
    if (frame.type === 'account.own') pictures.again(frame.payload.user_id);
    else if (frame.type === 'user.changed') pictures.applyChange(frame.payload);
  });
  return pictures;
});
