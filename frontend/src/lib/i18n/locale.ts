/** UI language: the stored choice, else the browser's first supported one, else English. */

/** Languages of `messages/`, fallback first. */
export const locales = ['en', 'vi'] as const;
export type Locale = (typeof locales)[number];

/** Cookie and storage key of paraglide; `scripts/preload.mjs` reads it too. */
const KEY = 'PARAGLIDE_LOCALE';

let current: Locale | undefined;

export function getLocale(): Locale {
  if (!current) {
    current = preferred();
    if (typeof window !== 'undefined') localStorage.setItem(KEY, current);
  }
  return current;
}

/** Stores the language and reloads the page if it changed. */
export function setLocale(locale: Locale): void {
  const isOther = locale !== getLocale();
  localStorage.setItem(KEY, locale);
  if (isOther) location.reload();
}

/** Test hook. */
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

/** Plural category of a number: `one`, `other`, … */
export const plural = (locale: Locale, input: unknown): Intl.LDMLPluralRule =>
  new Intl.PluralRules(locale).select(Number(input));

/** Formats a number in the language. */
export const number = (locale: Locale, input: unknown): string => new Intl.NumberFormat(locale).format(Number(input));
