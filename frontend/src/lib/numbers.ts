import { regional } from '#lib/components/shell/when.ts';

/** A number as people read it, in the app's language and as it is written where the reader lives: “1,204”, “0.35”. */
export function number(value: number, digits = 0): string {
  return value.toLocaleString(regional(), { maximumFractionDigits: digits });
}
