import type { Place } from '#lib/api/types.ts';
import { getLocale } from '#lib/i18n/locale.ts';

/** Name of an approximate location in the language of the app, as far as it is known: “Berlin, Germany”. */
export function locationName(place: Place | null | undefined, locale: string = getLocale()): string | undefined {
  if (!place) return undefined;
  return [place.city, countryInWords(place.country, locale)].filter(Boolean).join(', ') || undefined;
}

function countryInWords(code: string | null | undefined, locale: string): string | undefined {
  if (!code) return undefined;
  try {
    return new Intl.DisplayNames(locale, { type: 'region' }).of(code);
  } catch {
    // The browser doesn't know the country, so its code is shown.
    return code;
  }
}
