import type { Api } from '#lib/api/client.ts';
import type { SearchAnswer } from '../api.ts';
import { namedZone } from '#lib/features/people/timezones.ts';
import { asText } from '../query.ts';
import type { SearchQuery } from '../search.svelte.ts';

/** Answer of an assistant with its loading state. It is not stored on the server. */
export class AnswerStore<T extends SearchAnswer = SearchAnswer> {
  value = $state.raw<T | null>(null);
  /** Question about the results; empty if only a summary was requested. */
  question = $state('');
  isLoading = $state(false);
  error = $state.raw<unknown>(null);
  #turn = 0;

  get isShown(): boolean {
    return this.isLoading || this.error !== null || this.value !== null;
  }

  dismiss(): void {
    this.#turn += 1;
    this.value = null;
    this.error = null;
    this.isLoading = false;
    this.question = '';
  }

  protected async run(question: string, ask: () => Promise<T>): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.question = question;
    this.isLoading = true;
    this.error = null;
    try {
      const answer = await ask();
      if (turn === this.#turn) this.value = answer;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}

/** Answer to a question about the results of a search. */
export class SearchAnswerStore extends AnswerStore {
  readonly #api: Pick<Api, 'post'>;

  constructor(api: Pick<Api, 'post'>) {
    super();
    this.#api = api;
  }

  request({ chips, text, sort, isExact, workspaceId }: SearchQuery, question = ''): Promise<void> {
    const ids = (op: 'from' | 'in') => chips.flatMap((chip) => (chip.op === op && chip.id ? [chip.id] : []));
    return this.run(question, () =>
      this.#api.post('/search/answer', {
        q: asText(chips, text),
        authors: ids('from'),
        conversation_ids: ids('in'),
        sort,
        exact: isExact,
        timezone: namedZone(),
        workspace_id: workspaceId,
        question: question || undefined
      })
    );
  }
}
