/**
 * Isolates text inserted into a message: a right-to-left name would reorder its neighbours. Equivalent of `<bdi>` for plain texts; every message
 * applies it to its parameters (`scripts/messages.mjs`).
 */
/** Includes the surrogates of right-to-left letters outside the BMP. */
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
