/** Language of the app: the stored choice, or else the first language of the browser that the app has, or else English. */

/** Languages for which there are messages. The first one is used if no other fits. */
export const locales = ['en', 'vi'] as const;
export type Locale = (typeof locales)[number];

/** Name of paraglide's cookie and storage key, which `scripts/preload.mjs` reads too. */
const KEY = 'PARAGLIDE_LOCALE';

let current: Locale | undefined;

export function getLocale(): Locale {
  if (!current) {
    current = preferred();
    if (typeof window !== 'undefined') localStorage.setItem(KEY, current);
  }
  return current;
}

/** Stores the choice of a language and reloads the page if the language has changed. */
export function setLocale(locale: Locale): void {
  const isOther = locale !== getLocale();
  localStorage.setItem(KEY, locale);
  if (isOther) location.reload();
}

/** Replaces the language in tests. */
export function overwriteLocale(locale: Locale): void {
  current = locale;
}

function preferred(): Locale {
  if (typeof window === 'undefined') return locales[0];
  const languages = [
    localStorage.getItem(KEY) ?? '',
    ...navigator.languages.flatMap((tag) => [tag, tag.split('-')[0]])
  ];
  for (const language of languages) {
    const known = locales.find((locale) => locale === language?.toLowerCase());
    if (known) return known;
  }
  return locales[0];
}

/** Plural category of a number in a language: `one`, `other`, … */
export const plural = (locale: Locale, input: unknown): Intl.LDMLPluralRule =>
  new Intl.PluralRules(locale).select(Number(input));

/** Formats a number as usual in a language. */
export const number = (locale: Locale, input: unknown): string => new Intl.NumberFormat(locale).format(Number(input));
