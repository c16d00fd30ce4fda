import { newId } from '#lib/api/client.ts';

/** Idempotency id that stays the same when a request is retried: the server executes each id once. */
export class Repeatable {
  #input = '';
  #id = '';

  /** Returns the same id for the same input until `done` is called. */
  idOf(thing: unknown): string {
    const asked = JSON.stringify(thing);
    if (asked !== this.#input) [this.#input, this.#id] = [asked, newId()];
    return this.#id;
  }

  /** Ends the use of the current id: the same input is a new request from now on. */
  done(): void {
    this.#input = '';
  }
}
