/** Delay in milliseconds before the first fetch: the server stores the text of a streaming answer once a second. */
const FIRST_DELAY = 300;
/** Longest delay in milliseconds. The delay doubles while the answers can't be fetched. */
const MAX_DELAY = 15_000;

/** Fetches streaming answers of which a delta is missing, until their text is complete. */
export class GapRepair {
  #isRunning = false;
  #delay = FIRST_DELAY;
  readonly #incompleteAnswers: () => ReadonlyMap<string, unknown>;
  readonly #fetch: (id: string) => Promise<void>;

  /** `incompleteAnswers` contains the ids of the answers of which a delta is missing. */
  constructor(incompleteAnswers: () => ReadonlyMap<string, unknown>, fetch: (id: string) => Promise<void>) {
    this.#incompleteAnswers = incompleteAnswers;
    this.#fetch = fetch;
  }

  start(): void {
    if (this.#isRunning || this.#incompleteAnswers().size === 0) return;
    this.#isRunning = true;
    setTimeout(() => {
      void this.#fetchAll().finally(() => {
        this.#isRunning = false;
        this.#delay = this.#incompleteAnswers().size > 0 ? Math.min(MAX_DELAY, this.#delay * 2) : FIRST_DELAY;
        this.start();
      });
    }, this.#delay);
  }

  async #fetchAll(): Promise<void> {
    for (const id of this.#incompleteAnswers().keys()) await this.#fetch(id);
  }
}
