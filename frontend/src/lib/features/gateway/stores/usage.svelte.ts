import type { Api } from '#lib/api/client.ts';
import type { UsageGroup, UsageGrouping, UsageRequest } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { nextDay, daysOf, fillDays, type Day, type Range } from '../logic/days.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const MAX_GROUPS = 100;
const PAGE_SIZE = 50;
/** Number of models that have a colour of their own in the chart. */
const MAX_MODELS = 4;

/** Usage of a model on each day. */
export interface ModelDays {
  readonly model: string;
  readonly days: readonly UsageGroup[];
}

/** Usage of the user, or of all accounts for admins, by day, model, key, person, end user or tag. */
export class UsageStore {
  /** Usage of all models by day, for the totals of the chart. */
  readonly days: PagedResource<UsageGroup>;
  /** Rows of the table. */
  readonly groups: PagedResource<UsageGroup>;
  readonly requests: PagedResource<UsageRequest>;
  /** Usage of the most expensive models by day, for the chart. */
  readonly models: Resource<readonly ModelDays[]>;
  #range = $state<Range>('days');
  #split = $state<Exclude<UsageGrouping, 'day'>>('model');
  #keyId = $state<Id | null>(null);
  readonly #userId: Id | undefined;
  readonly #now: () => number;

  constructor(api: Api, userId: Id | undefined, now: () => number = Date.now) {
    this.#userId = userId;
    this.#now = now;
    const ask = (group: UsageGrouping, page: number, more: { model?: string; page_size?: number } = {}) =>
      api.get('/usage', { ...this.#query(), group, page, page_size: MAX_GROUPS, ...more });
    this.days = new PagedResource((page) => ask('day', page));
    this.groups = new PagedResource((page) => ask(this.#split, page));
    this.models = new Resource(async () => {
      const { items } = await ask('model', 1, { page_size: MAX_MODELS });
      const costly = items.filter(({ cost }) => cost > 0);
      return await Promise.all(
        costly.map(async ({ key: model }) => ({ model, days: (await ask('day', 1, { model })).items }))
      );
    });
    this.requests = new PagedResource((page) =>
      api.get('/usage/requests', { ...this.#query(), page, page_size: PAGE_SIZE })
    );
  }

  get range(): Range {
    return this.#range;
  }

  set range(range: Range) {
    this.#range = range;
    this.load();
  }

  get split(): Exclude<UsageGrouping, 'day'> {
    return this.#split;
  }

  set split(split: Exclude<UsageGrouping, 'day'>) {
    this.#split = split;
    void this.groups.load();
  }

  /** Id of the API key whose usage is shown; null for all keys and answers in chats. */
  get keyId(): Id | null {
    return this.#keyId;
  }

  set keyId(id: Id | null) {
    this.#keyId = id;
    this.load();
  }

  load(): void {
    void this.days.load();
    void this.groups.load();
    void this.models.load();
    void this.requests.load();
  }

  /** Days of the selected period. */
  get span(): Day[] {
    return daysOf(this.#range, this.#now());
  }

  /** API path of the CSV export of the requests of the selected period. */
  get exportPath(): string {
    const given = Object.entries(this.#query()).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `/usage/requests/export?${new URLSearchParams(given)}`;
  }

  /** Usage on each day of the selected period. */
  get byDay(): UsageGroup[] {
    return fillDays(this.span, this.days.items);
  }

  /** Query parameters. If `user_id` is undefined, the server returns the usage of everyone to admins. */
  #query(): Record<'from' | 'to' | 'key_id' | 'user_id', string | undefined> {
    const days = this.span;
    const [first, last] = [days[0] as Day, days.at(-1) as Day];
    return {
      from: `${first}T00:00:00Z`,
      to: `${nextDay(last)}T00:00:00Z`,
      key_id: this.#keyId ?? undefined,
      user_id: this.#userId
    };
  }
}
