import type { Api } from '#lib/api/client.ts';
import type { DailyMetric, Entitlements } from './api.ts';
import type { Timestamp } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';

const STORAGE_KEY = 'natter.charging';

/** Reason why no answer is possible: the credits or a daily quota are exhausted. */
export type Shortage = { kind: 'credits' } | { kind: 'quota'; metric: DailyMetric; resets: Timestamp };

type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** Entitlements of the account, loaded once and updated by events. */
export class QuotaStore {
  readonly entitlements: Resource<Entitlements>;
  readonly #storage: KeyValueStorage | undefined;
  readonly #wasCharging: boolean;

  constructor(api: Pick<Api, 'get'>, live: LiveUpdates, storage: KeyValueStorage | undefined) {
    this.#storage = storage;
    this.#wasCharging = read(storage);
    this.entitlements = new Resource(async () => this.#set(await api.get('/entitlements/me')));
    live.on((frame) => {
      if (frame.type === 'quota.updated') this.entitlements.set(this.#set(frame.payload));
    });
    live.onStale(this.entitlements, () => void this.entitlements.load());
    void this.entitlements.load();
  }

  /** Whether this server charges for use. Until that is loaded, the last known value. */
  get isCharging(): boolean {
    const { value } = this.entitlements;
    return value === null ? this.#wasCharging : value.credits !== null;
  }

  /** Reason why an assistant can't answer; null if there is none or it is unknown. Free models need no credits, but count towards quotas. */
  shortage(needsCredits: boolean): Shortage | null {
    const { value } = this.entitlements;
    if (!value?.credits) return null;
    if (needsCredits && value.credits.available <= 0) return { kind: 'credits' };
    for (const { metric, used, limit, resets_at } of value.quotas)
      if (resets_at && used >= limit && (metric === 'answers' || metric === 'tokens'))
        return { kind: 'quota', metric, resets: resets_at };
    return null;
  }

  #set(value: Entitlements): Entitlements {
    try {
      this.#storage?.setItem(STORAGE_KEY, String(value.credits !== null));
    } catch {
      // A failed request is retried by the next caller.
    }
    return value;
  }
}

function read(storage: KeyValueStorage | undefined): boolean {
  try {
    return storage?.getItem(STORAGE_KEY) === 'true';
  } catch {
    return false;
  }
}

const known = new WeakMap<object, { account: string | undefined; quota: QuotaStore }>();

export function quotaOf({ api, connection, session }: App): QuotaStore {
  const account = session.account?.id;
  const found = known.get(connection);
  if (found?.account === account && found) return found.quota;
  const quota = new QuotaStore(api, connection, persistentStorage);
  known.set(connection, { account, quota });
  return quota;
}
