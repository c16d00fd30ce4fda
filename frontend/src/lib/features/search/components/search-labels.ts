/** Labels of the search. */
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';
import { regionalLocale } from '#lib/i18n/dates.ts';
import type { SearchHas } from '../api.ts';
import type { Chip, Operator } from '../query.ts';

const HAS: Record<SearchHas, () => string> = {
  file: m.search_has_file,
  image: m.search_has_image,
  link: m.search_has_link,
  voice: m.search_has_voice
};
const IS: readonly (readonly [string, () => string])[] = [
  ['thread', m.search_is_thread],
  ['pinned', m.search_is_pinned],
  ['saved', m.search_is_saved]
];

export const hasWord = (has: SearchHas): string => nameIn(HAS, has);

/** Hints about the values that an operator accepts. */
export const operatorHint: Record<Operator, () => string> = {
  from: m.search_hint_person,
  in: m.search_hint_place,
  has: m.search_hint_has,
  is: m.search_hint_is,
  before: m.search_hint_date,
  after: m.search_hint_date,
  on: m.search_hint_date
};

/** Formats the value of a chip: “1 Nov” for 2026-11-01. */
export function valueOf({ op, value }: Chip): string {
  if (op === 'has') return hasWord(value as SearchHas);
  if (op === 'is') return IS.find(([name]) => name === value)?.[1]() ?? value;
  if (op === 'in') return value;
  if (op === 'from') return value === 'me' ? m.search_me() : value;
  if (value === 'today') return m.search_today();
  if (value === 'yesterday') return m.search_yesterday();
  const [year, month, day] = value.split('-').map(Number);
  if (year === undefined || month === undefined) return value;
  const isThisYear = year === new Date().getFullYear();
  return new Date(year, month - 1, day ?? 1).toLocaleDateString(regionalLocale(), {
    month: day ? 'short' : 'long',
    ...(day && { day: 'numeric' }),
    ...((!isThisYear || !day) && { year: 'numeric' })
  });
}
