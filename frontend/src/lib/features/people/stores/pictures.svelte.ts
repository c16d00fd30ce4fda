import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id, UserChanged } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Who comes into view at the same moment is asked about at once. */
const BATCH_DELAY = 50;
const MAX_BATCH = 50;
/** While nothing is connected nobody tells of new pictures: they are asked for again when their people are drawn anew after so long. */
const MAX_AGE = 10 * 60_000;

/** What people look like, asked for as they are drawn. */
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

  /** The upload that shows somebody; undefined where there is none, or it is not known yet. */
  of(id: Id): Id | undefined {
    return this.#known.get(id);
  }

  /** Somebody is drawn. */
  request(id: Id): void {
    if (this.#now() - (this.#asked.get(id) ?? -Infinity) < MAX_AGE) return;
    this.#asked.set(id, this.#now());
    if (this.#waiting.size === 0) setTimeout(() => void this.#flush(), BATCH_DELAY);
    this.#waiting.add(id);
  }

  /** Somebody who was drawn may look different now. */
  again(id: Id): void {
    if (this.#asked.delete(id)) this.request(id);
  }

  /** Somebody has another picture, or none any more. */
  applyChange({ user_id, picture }: UserChanged): void {
    if (picture) this.#known.set(user_id, picture);
    else this.#known.delete(user_id);
  }

  /** Takes what was uploaded for one's own. */
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
      // People have their initials; whoever is drawn next asks again.
      for (const id of ids) this.#asked.delete(id);
    }
  }
}

export const picturesOf = perAccount(({ api, connection }: App) => {
  const pictures = new PicturesStore(api);
  // Perhaps chosen or removed in another tab.
  connection.on((frame) => {
    if (frame.type === 'account.own') pictures.again(frame.payload.user_id);
    else if (frame.type === 'user.changed') pictures.applyChange(frame.payload);
  });
  return pictures;
});
