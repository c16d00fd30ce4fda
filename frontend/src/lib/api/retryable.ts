import { newId } from '#lib/api/client.ts';

/** What may be asked for again where no answer came: the server does it once for each id. */
export class Repeatable {
  #asked = '';
  #id = '';

  /** The same id for the same thing, until that is done. */
  idOf(thing: unknown): string {
    const asked = JSON.stringify(thing);
    if (asked !== this.#asked) [this.#asked, this.#id] = [asked, newId()];
    return this.#id;
  }

  /** From here on the same is meant once more. */
  done(): void {
    this.#asked = '';
  }
}
