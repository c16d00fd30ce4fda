import type { Api } from '#lib/api/client.ts';
import type { DailyMetric, Entitlements } from './api.ts';
import type { Timestamp } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { Asked } from '#lib/api/resource.svelte.ts';
import type { Line } from '#lib/realtime/live-updates.ts';

const KEPT = 'natter.charging';

/** What keeps one from asking a model. */
export type Shortage = { kind: 'credits' } | { kind: 'quota'; metric: DailyMetric; resets: Timestamp };

type Store = Pick<Storage, 'getItem' | 'setItem'>;

/** What one may use, for as long as the page lives: asked for once, then as the server tells it. */
export class Quota {
  readonly entitlements: Asked<Entitlements>;
  readonly #storage: Store | undefined;
  readonly #wasCharging: boolean;

  constructor(api: Pick<Api, 'get'>, line: Line, storage: Store | undefined) {
    this.#storage = storage;
    this.#wasCharging = read(storage);
    this.entitlements = new Asked(async () => this.#keep(await api.get('/entitlements/me')));
    line.on((frame) => {
      if (frame.type === 'quota.updated') this.entitlements.tell(this.#keep(frame.payload));
    });
    line.onReturn(this.entitlements, () => void this.entitlements.load());
    void this.entitlements.load();
  }

  /** Whether anything is charged here; while that isn’t known, as it was last time. */
  get isCharging(): boolean {
    const { value } = this.entitlements;
    return value === null ? this.#wasCharging : value.credits !== null;
  }

  /** Of answers in chats; null where there is none, or nothing is known. A model that costs nothing is asked without credits, but no oftener than the plan allows. */
  shortage(needsCredits: boolean): Shortage | null {
    const { value } = this.entitlements;
    if (!value?.credits) return null;
    if (needsCredits && value.credits.available <= 0) return { kind: 'credits' };
    for (const { metric, used, limit, resets_at } of value.quotas)
      if (resets_at && used >= limit && (metric === 'answers' || metric === 'tokens'))
        return { kind: 'quota', metric, resets: resets_at };
    return null;
  }

  #keep(value: Entitlements): Entitlements {
    try {
      this.#storage?.setItem(KEPT, String(value.credits !== null));
    } catch {
      // It is asked for again next time.
    }
    return value;
  }
}

function read(storage: Store | undefined): boolean {
  try {
    return storage?.getItem(KEPT) === 'true';
  } catch {
    return false;
  }
}

const known = new WeakMap<object, { account: string | undefined; quota: Quota }>();

/** That of whoever is signed in. */
export function quotaOf({ api, connection, session }: App): Quota {
  const account = session.account?.id;
  const found = known.get(connection);
  if (found?.account === account && found) return found.quota;
  const quota = new Quota(api, connection, browserStorage());
  known.set(connection, { account, quota });
  return quota;
}

function browserStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
