import type { Api } from '#lib/api/client.ts';
import type { OwnTask } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 100;
/** Delay in milliseconds before a reload, so that several changes cause a single one. */
const RELOAD_DELAY = 300;
const WEEK = 7 * 86_400_000;

export type DueFilter = 'late' | 'week';

/** Filter of the task list, as stored in the URL. */
export interface OwnTaskFilter {
  /** Whether completed tasks are shown instead of open ones. */
  readonly isDone: boolean;
  readonly conversationId: Id | null;
  readonly label: string | null;
  readonly due: DueFilter | null;
}

export function filterOf(params: Pick<URLSearchParams, 'get' | 'has'>): OwnTaskFilter {
  const due = params.get('due');
  return {
    isDone: params.has('done'),
    conversationId: params.get('in'),
    label: params.get('label'),
    due: due === 'late' || due === 'week' ? due : null
  };
}

export function addressOf({ isDone, conversationId, label, due }: OwnTaskFilter): string {
  const params = new URLSearchParams();
  if (isDone) params.set('done', '1');
  if (conversationId) params.set('in', conversationId);
  if (label) params.set('label', label);
  if (due) params.set('due', due);
  return params.size > 0 ? `/tasks?${params}` : '/tasks';
}

/** Tasks assigned to the user in all boards. */
export class OwnTasksStore {
  filter = $state.raw<OwnTaskFilter>(filterOf(new URLSearchParams()));
  readonly list: PagedResource<OwnTask>;
  /** A task of each conversation seen so far; its conversation is an option of the filter. */
  places = $state.raw<ReadonlyMap<Id, OwnTask>>(new Map());
  labels = $state.raw<readonly string[]>([]);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Pick<Api, 'get'>, now: () => number = Date.now) {
    this.list = new PagedResource(
      async (page) => {
        const { isDone, conversationId, label, due } = this.filter;
        const answer = await api.get('/tasks', {
          assignee: 'me',
          done: isDone,
          ...(conversationId && { conversation_id: conversationId }),
          ...(label && { label }),
          ...(due && { due_before: new Date(now() + (due === 'week' ? WEEK : 0)).toISOString() }),
          page,
          page_size: PAGE_SIZE
        });
        this.#loadNames(answer.items);
        return answer;
      },
      ({ id }) => id
    );
  }

  show(filter: OwnTaskFilter): Promise<void> {
    this.filter = filter;
    this.list.items = [];
    this.list.page = 0;
    return this.list.load();
  }

  /** Reloads the list on events; returns a function that stops this. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on(({ type }: { type: string }) => {
      if (type === 'tasks.own' || type === 'resync') this.#scheduleReload();
    });
    const unsubscribeStale = live.onStale(this.list, () => this.#scheduleReload());
    return () => {
      clearTimeout(this.#timer);
      leave();
      unsubscribeStale();
    };
  }

  #loadNames(tasks: readonly OwnTask[]): void {
    this.places = new Map([...this.places, ...tasks.map((task) => [task.conversation_id, task] as const)]);
    const labels = new Set([...this.labels, ...tasks.flatMap((task) => task.labels)]);
    this.labels = [...labels].sort((a, b) => a.localeCompare(b));
  }

  #scheduleReload(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.refresh(), RELOAD_DELAY);
  }
}
