/**
 * What is put into a sentence of ours, in its own direction: a name from right to left would turn around what stands
 * beside it, and all of a sentence that begins with it. It is what `<bdi>` is in markup, for texts; each message does it
 * to what it is given (`scripts/messages.mjs`).
 */
/** Also of the halves of letters that take two. */
const FROM_RIGHT = /[\u0590-\u08ff\ud802\ud803\ud83a\ud83b\ufb1d-\ufdff\ufe70-\ufefc]/;

export function isolated<Value>(value: Value): Value | string {
  return FROM_RIGHT.test(value as string) ? `\u2068${value as string}\u2069` : value;
}

/** The same of all that a message is given. */
export function isolatedIn(inputs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const all: Record<string, unknown> = { ...inputs };
  for (const name in all) all[name] = isolated(all[name]);
  return all;
}
