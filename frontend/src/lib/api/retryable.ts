import { newId } from '#lib/api/client.ts';

/** Idempotency id for retries: the server executes each id once. */
export class Repeatable {
  #asked = '';
  #id = '';

  /** Same id for the same input until `done`. */
  idOf(thing: unknown): string {
    const asked = JSON.stringify(thing);
    if (asked !== this.#asked) [this.#asked, this.#id] = [asked, newId()];
    return this.#id;
  }

  /** Uses a new id from now on. */
  done(): void {
    this.#asked = '';
  }
}
