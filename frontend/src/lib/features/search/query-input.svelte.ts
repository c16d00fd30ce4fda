import { asText, keyOf, pendingIn, extractChips, wordsOf, type Chip } from './query.ts';
import type { Id } from '#lib/api/types.ts';

/** Search query: filters as chips, and text. */
export class QueryInput {
  chips = $state.raw<readonly Chip[]>([]);
  text = $state('');

  /** Operator that is being typed; null if there is none. */
  readonly pending = $derived(pendingIn(this.text));
  readonly q = $derived(asText(this.chips, this.text));
  readonly words = $derived(wordsOf(this.text));
  readonly isEmpty = $derived(this.q === '' && this.chips.length === 0);

  /** Replaces the whole query. */
  reset(text: string, chips: readonly Chip[]): void {
    const taken = extractChips(text, true);
    this.text = taken.rest.trimEnd();
    this.chips = [];
    this.#addChips([...taken.chips, ...chips]);
  }

  /** Ids of the people or places that the filters with this operator name. */
  ids(op: 'from' | 'in'): Id[] {
    return this.chips.flatMap((chip) => (chip.op === op && chip.id ? [chip.id] : []));
  }

  /** Sets the text. Complete operators in it become chips. */
  setText(text: string): void {
    const { chips, rest } = extractChips(text);
    this.text = rest;
    if (chips.length > 0) this.#addChips(chips);
  }

  /** Converts an operator at the end of the text into a chip, although no space follows. */
  finish(): void {
    const { chips, rest } = extractChips(this.text, true);
    this.text = rest.trimEnd();
    this.#addChips(chips);
  }

  /** Replaces the operator that is being typed by a chip. */
  complete(chip: Chip): void {
    const { pending } = this;
    if (pending) this.text = this.text.slice(0, pending.from).trimStart();
    this.#addChips([chip]);
  }

  add(chip: Chip): void {
    this.#addChips([chip]);
  }

  remove(chip: Chip): void {
    this.chips = this.chips.filter((one) => keyOf(one) !== keyOf(chip));
  }

  has(chip: Chip): boolean {
    return this.chips.some((one) => keyOf(one) === keyOf(chip));
  }

  pop(): void {
    this.chips = this.chips.slice(0, -1);
  }

  clear(): void {
    this.chips = [];
    this.text = '';
  }

  #addChips(chips: readonly Chip[]): void {
    const known = new Set(this.chips.map(keyOf));
    const added = chips.filter((chip) => !known.has(keyOf(chip)) && known.add(keyOf(chip)));
    if (added.length > 0) this.chips = [...this.chips, ...added];
  }
}
