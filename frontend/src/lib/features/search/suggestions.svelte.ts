/** Suggestions for the value of the operator that is being typed. */
import type { App } from '#lib/app/app.ts';
import type { Conversation, User } from '#lib/api/types.ts';
import { best } from '#lib/ui/listbox/match.ts';
import type { QueryInput } from './query-input.svelte.ts';
import { HAS, IS, OPERATORS, type Chip, type Operator } from './query.ts';
import { operatorHint, valueOf } from './components/search-labels.ts';

export interface Suggestion {
  readonly key: string;
  readonly label: string;
  readonly chip: Chip;
  readonly user?: User;
  readonly conversation?: Conversation;
}

/** Operator that is offered before anything is typed. */
export interface OfferedOperator {
  readonly op: Operator;
  readonly hint: string;
}

const MAX_ITEMS = 6;
const TYPING_PAUSE = 150;

export const offeredOperators = (): OfferedOperator[] => OPERATORS.map((op) => ({ op, hint: operatorHint[op]() }));

/** Formats a local date for the server: year and month, or also the day. */
function isoDate(at: Date, parts: 2 | 3): string {
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()]
    .slice(0, parts)
    .map((part) => String(part).padStart(2, '0'))
    .join('-');
}

function dates(op: Operator, now = new Date()): Chip[] {
  const back = (days: number) => isoDate(new Date(now.getFullYear(), now.getMonth(), now.getDate() - days), 3);
  const month = (by: number) => isoDate(new Date(now.getFullYear(), now.getMonth() + by, 1), 2);
  const values = op === 'on' ? ['today', 'yesterday', month(0), month(-1)] : ['today', back(7), month(0), month(-1)];
  return values.map((value) => ({ op, value }));
}

export class SuggestionsStore {
  readonly #app: App;
  readonly #query: QueryInput;
  #people = $state.raw<User[]>([]);

  readonly items = $derived.by<Suggestion[]>(() => {
    const { pending } = this.#query;
    if (!pending) return [];
    const { op, value } = pending;
    const offer = (chips: Chip[]) =>
      best(
        chips.filter((chip) => !this.#query.has(chip)).map((chip) => ({ key: chip.value, label: valueOf(chip), chip })),
        value,
        ({ label, chip }) => `${label} ${chip.value}`,
        MAX_ITEMS
      );
    if (op === 'has') return offer(HAS.map((value) => ({ op, value })));
    if (op === 'is') return offer(IS.map((value) => ({ op, value })));
    if (op === 'in') return this.#places(value);
    if (op === 'from') return this.#persons(value);
    return offer(dates(op));
  });

  constructor(app: App, query: QueryInput) {
    this.#app = app;
    this.#query = query;
    const wanted = $derived(query.pending?.op === 'from' ? query.pending.value : null);
    $effect(() => {
      const workspace = app.workspaces.current?.id;
      const q = wanted;
      if (q === null || !workspace) {
        this.#people = [];
        return;
      }
      let isStale = false;
      const timer = setTimeout(
        () => void this.#find(workspace, q).then((people) => !isStale && (this.#people = people)),
        TYPING_PAUSE
      );
      return () => {
        isStale = true;
        clearTimeout(timer);
      };
    });
  }

  async #find(workspaceId: string, q: string): Promise<User[]> {
    try {
      return (await this.#app.workspaces.findPeople(workspaceId, q, { page_size: MAX_ITEMS })).items;
    } catch {
      // Without suggestions the user can still type the value.
      return [];
    }
  }

  #places(value: string): Suggestion[] {
    const { conversations, workspaces } = this.#app;
    return best(conversations.joined(workspaces.current?.id), value, (one) => conversations.nameOf(one), MAX_ITEMS).map(
      (conversation) => {
        const label = conversations.nameOf(conversation);
        return { key: conversation.id, label, chip: { op: 'in', value: label, id: conversation.id }, conversation };
      }
    );
  }

  #persons(value: string): Suggestion[] {
    const me = this.#app.session.account;
    const own: Suggestion[] = me
      ? best(
          [{ key: 'me', label: valueOf({ op: 'from', value: 'me' }), chip: { op: 'from', value: 'me' } as const }],
          value,
          ({ label }) => `${label} me`,
          1
        )
      : [];
    const others = this.#people
      .filter(({ id }) => id !== me?.id)
      .map((user): Suggestion => ({
        key: user.id,
        label: user.display_name,
        chip: { op: 'from', value: user.display_name, id: user.id },
        user
      }));
    return [...own, ...others].slice(0, MAX_ITEMS);
  }
}
