/** What a model thinks before it answers, as far as it was told here. */
import type { Delta } from '#lib/realtime/state.ts';

export interface Thoughts {
  readonly text: string;
  /** How much it has thought, in UTF-16 code units; more than `text` has where somebody came later. */
  readonly end: number;
  readonly since: number;
}

/** With the next piece. One from the beginning begins anew: another worker goes on with the answer, or it is given again. */
export function grown(have: Thoughts | undefined, { offset, text }: Delta, now = Date.now()): Thoughts {
  const end = offset + text.length;
  if (!have || offset === 0) return { text: offset > 0 ? `…${text}` : text, end, since: now };
  const known = have.text.slice(0, have.text.length - Math.max(0, have.end - offset));
  return { ...have, text: known + (offset > have.end ? '…' : '') + text, end };
}
