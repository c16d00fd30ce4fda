/** Language of the app: the stored choice, or else the first language of the browser that the app has, or else English. */

/** Languages for which there are messages. The first one is used if no other fits. */
export const locales = ['en', 'de', 'es', 'fr', 'ja', 'vi'] as const;
export type Locale = (typeof locales)[number];

/** Name of paraglide's cookie and storage key, which `scripts/preload.mjs` reads too. */
const KEY = 'PARAGLIDE_LOCALE';

let current: Locale | undefined;

export function getLocale(): Locale {
  if (!current) {
    current = preferred();
    if (typeof window !== 'undefined') store(current);
  }
  return current;
}

/** Stores the choice of a language and reloads the page if the language has changed. */
export function setLocale(locale: Locale): void {
  const isOther = locale !== getLocale();
  store(locale);
  if (isOther) location.reload();
}

/** Replaces the language in tests. */
export function overwriteLocale(locale: Locale): void {
  current = locale;
}

// Not by `persistentStorage`: a module that this one imports would bring all messages into the first load.
function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function store(locale: Locale): void {
  try {
    localStorage.setItem(KEY, locale);
  } catch {
    // If storage is full or blocked, the choice isn't remembered.
  }
}

function preferred(): Locale {
  if (typeof window === 'undefined') return locales[0];
  const languages = [stored() ?? '', ...navigator.languages.flatMap((tag) => [tag, tag.split('-')[0]])];
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
