import { regionalLocale } from '#lib/i18n/dates.ts';

const formats = new Map<string, Intl.NumberFormat>();

/** Formats a number as usual in the reader's region: “1,204”, “0.35”. */
export function number(value: number, digits = 0): string {
  // Small integers need no `Intl`, whose initialisation is slow on phones.
  if (Number.isInteger(value) && value >= 0 && value < 1_000) return String(value);
  const locale = regionalLocale();
  const key = `${locale} ${digits}`;
  let format = formats.get(key);
  if (!format) formats.set(key, (format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits })));
  return format.format(value);
}
