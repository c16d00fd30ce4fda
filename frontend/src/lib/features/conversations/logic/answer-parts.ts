/** An answer that calls tools is text, then calls, then text again. */
import type { ToolCall } from '#lib/api/tools.ts';

export interface Part {
  readonly text: string;
  /** What was called after it. */
  readonly calls: readonly ToolCall[];
}

/** Cuts a text where tools were called: the parts that end with calls, and what is written after the last of them. */
export function partsOf(text: string, calls: readonly ToolCall[]): readonly [parts: readonly Part[], last: string] {
  const parts: Part[] = [];
  let from = 0;
  for (const [at, group] of Map.groupBy(calls, (call) => Math.min(call.at, text.length))) {
    const end = Math.max(at, from);
    parts.push({ text: text.slice(from, end), calls: group });
    from = end;
  }
  return [parts, text.slice(from)];
}
