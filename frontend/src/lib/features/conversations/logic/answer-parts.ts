/** Splits an answer at its tool calls. */
import type { ToolCall } from '#lib/api/tools.ts';

export interface Part {
  readonly text: string;
  /** Tool calls that were made after this text. */
  readonly calls: readonly ToolCall[];
}

/** Splits a text at its tool calls. `last`: the text after the last call. */
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
