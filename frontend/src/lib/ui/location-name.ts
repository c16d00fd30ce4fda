import type { Place } from '#lib/api/types.ts';
import { getLocale } from '#lib/i18n/locale.ts';

/** “Berlin, Germany”, localised, as far as known. */
export function locationName(place: Place | null | undefined, locale: string = getLocale()): string | undefined {
  if (!place) return undefined;
  return [place.city, countryInWords(place.country, locale)].filter(Boolean).join(', ') || undefined;
}

function countryInWords(code: string | null | undefined, locale: string): string | undefined {
  if (!code) return undefined;
  try {
    return new Intl.DisplayNames(locale, { type: 'region' }).of(code);
  } catch {
    // Unknown country code.
    return code;
  }
}
