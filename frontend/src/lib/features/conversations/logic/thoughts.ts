/** Reasoning of a model that is being streamed. */
import type { Delta } from '#lib/realtime/state.ts';

export interface Thoughts {
  readonly text: string;
  /** Length of the whole reasoning in UTF-16 units. If the reader joined later, `text` is shorter because its beginning is missing. */
  readonly end: number;
  readonly since: number;
}

/** Appends a delta. Offset 0 starts again, because another worker has taken over or the answer is repeated. */
export function appendThought(have: Thoughts | undefined, { offset, text }: Delta, now = Date.now()): Thoughts {
  const end = offset + text.length;
  if (!have || offset === 0) return { text: offset > 0 ? `…${text}` : text, end, since: now };
  const known = have.text.slice(0, have.text.length - Math.max(0, have.end - offset));
  return { ...have, text: known + (offset > have.end ? '…' : '') + text, end };
}
