/** Conversion between a search and its URL. */
import type { SearchSort, SearchType } from './api.ts';
import type { Chip } from './query.ts';
import { asText } from './query.ts';

const TYPES: readonly SearchType[] = ['message', 'file', 'conversation', 'person'];
const ID = /^[0-9a-f-]{36}$/i;

export interface Address {
  readonly text: string;
  /** Filters by a chosen person or place. Other filters are part of the text. */
  readonly chips: readonly Chip[];
  readonly type: SearchType;
  readonly sort: SearchSort;
  readonly isExact: boolean;
  readonly isEverywhere: boolean;
}

export function read(parameters: Pick<URLSearchParams, 'get'>): Address {
  const ids = (op: 'from' | 'in'): Chip[] =>
    (parameters.get(op) ?? '')
      .split(',')
      .filter((id) => ID.test(id))
      .map((id) => ({ op, value: '', id }));
  return {
    text: parameters.get('q') ?? '',
    chips: [...ids('from'), ...ids('in')],
    type: TYPES.find((type) => type === parameters.get('type')) ?? 'message',
    sort: parameters.get('sort') === 'newest' ? 'newest' : 'relevance',
    isExact: parameters.get('exact') === 'true',
    isEverywhere: parameters.get('scope') === 'all'
  };
}

export function write({ text, chips, type, sort, isExact, isEverywhere }: Address): string {
  const ids = (op: 'from' | 'in') => chips.flatMap((chip) => (chip.op === op && chip.id ? [chip.id] : [])).join(',');
  const parameters = new URLSearchParams();
  const set = (name: string, value: string) => value !== '' && parameters.set(name, value);
  set('q', asText(chips, text));
  set('from', ids('from'));
  set('in', ids('in'));
  if (type !== 'message') set('type', type);
  if (sort !== 'relevance') set('sort', sort);
  if (isExact) set('exact', 'true');
  if (isEverywhere) set('scope', 'all');
  const query = parameters.toString();
  return query === '' ? '/search' : `/search?${query}`;
}

/** Path and query of a search. */
export function searchFor(chips: readonly Chip[], text: string): string {
  return write({ text, chips, type: 'message', sort: 'relevance', isExact: false, isEverywhere: false });
}
