/** Streamed reasoning of a model. */
import type { Delta } from '#lib/realtime/state.ts';

export interface Thoughts {
  readonly text: string;
  /** Length of the reasoning in UTF-16 units; longer than `text` if the reader joined later. */
  readonly end: number;
  readonly since: number;
}

/** Appends a delta. Offset 0 restarts: another worker took over, or the answer is repeated. */
export function grown(have: Thoughts | undefined, { offset, text }: Delta, now = Date.now()): Thoughts {
  const end = offset + text.length;
  if (!have || offset === 0) return { text: offset > 0 ? `…${text}` : text, end, since: now };
  const known = have.text.slice(0, have.text.length - Math.max(0, have.end - offset));
  return { ...have, text: known + (offset > have.end ? '…' : '') + text, end };
}
