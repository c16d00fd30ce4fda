/**
 * Isolates texts that are inserted into a message, because a name that is written from right to left would reorder the text around it. This does for
 * plain text what `<bdi>` does for markup. All messages apply it to their parameters (`scripts/messages.mjs`).
 */
/** Letters that are written from right to left. Includes the surrogates of those outside the Basic Multilingual Plane. */
const FROM_RIGHT = /[\u0590-\u08ff\ud802\ud803\ud83a\ud83b\ufb1d-\ufdff\ufe70-\ufefc]/;

export function isolated<Value>(value: Value): Value | string {
  return FROM_RIGHT.test(value as string) ? `\u2068${value as string}\u2069` : value;
}

/** Isolates all parameters of a message. */
export function isolatedIn(inputs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const all: Record<string, unknown> = { ...inputs };
  for (const name in all) all[name] = isolated(all[name]);
  return all;
}
