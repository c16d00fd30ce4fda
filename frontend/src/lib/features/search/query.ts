/** Syntax of search queries: words, and operators such as `from:anna`, which become chips when they are complete. */
import type { Id } from '#lib/api/types.ts';

export const OPERATORS = ['from', 'in', 'has', 'is', 'before', 'after', 'on'] as const;
export type Operator = (typeof OPERATORS)[number];

/** Filter of a search. */
export interface Chip {
  readonly op: Operator;
  /** Value as it was typed. If there is an id, the name of the person or place. */
  readonly value: string;
  /** Id of the chosen person or place; absent if the value was only typed. */
  readonly id?: Id;
}

export const HAS = ['file', 'image', 'link', 'voice'] as const;
export const IS = ['thread', 'pinned', 'saved'] as const;
/** Formats of dates that the server accepts. */
const DATE = /^(today|yesterday|\d{4}(-\d{1,2}(-\d{1,2})?)?)$/i;

const SYNONYMS: Record<string, Operator> = { during: 'on' };
const HAS_SYNONYMS: Record<string, string> = { files: 'file', images: 'image', picture: 'image', links: 'link' };

export const keyOf = ({ op, value, id }: Chip): string => `${op}:${id ?? value.toLowerCase()}`;

/** Converts an operator into a chip; undefined if it is only a word with a colon. */
function chipOf(name: string, value: string): Chip | undefined {
  const op = OPERATORS.find((one) => one === name.toLowerCase()) ?? SYNONYMS[name.toLowerCase()];
  if (!op || value === '') return undefined;
  const small = value.toLowerCase();
  if (op === 'has') {
    const has = HAS_SYNONYMS[small] ?? small;
    return HAS.some((one) => one === has) ? { op, value: has } : undefined;
  }
  if (op === 'is') return IS.some((one) => one === small) ? { op, value: small } : undefined;
  if (op === 'from' || op === 'in') {
    const named = value.replace(op === 'from' ? /^@/ : /^[#@]+/, '').trim();
    return named === '' ? undefined : { op, value: named };
  }
  return DATE.test(value) ? { op, value: small } : undefined;
}

/** Operator with its value, `name:value` or `name:"a value"`, at the start of the text or after a space. */
const OPERATOR = /(^|\s)([a-z]+):("[^"]*"|[^\s"]+)(?=\s|$)/gi;

/** Extracts the complete operators of a text. The one at the end is complete only if a space follows or `isWhole` is set. */
export function extractChips(text: string, isWhole = false): { chips: Chip[]; rest: string } {
  const chips: Chip[] = [];
  const plain = plainMarks(text);
  const rest = plain.replace(OPERATOR, (found: string, _: string, name: string, value: string, at: number) => {
    const isLast = at + found.length === text.length;
    const isClosed = value.startsWith('"');
    const chip = isLast && !isClosed && !isWhole ? undefined : chipOf(name, value.replace(/"/g, ''));
    if (!chip) return found;
    chips.push(chip);
    return ' ';
  });
  return { chips, rest: chips.length > 0 ? rest.replace(/\s+/g, ' ').trimStart() : text };
}

/** Returns the operator that is being typed at the end of the text; null if there is none. */
export function pendingIn(text: string): { op: Operator; value: string; from: number } | null {
  const found = /(?:^|\s)([a-z]+):("?)([^"]*)$/i.exec(plainMarks(text));
  if (!found) return null;
  const [, name = '', quote = '', value = ''] = found;
  const op = OPERATORS.find((one) => one === name.toLowerCase());
  if (!op || (quote === '' && /\s/.test(value))) return null;
  return { op, value: value.replace(/^[@#]+/, ''), from: text.length - name.length - 1 - quote.length - value.length };
}

/** Replaces typographic quotation marks, which phones insert, by plain ones. The length stays the same. */
export function plainMarks(text: string): string {
  return text.replace(/[“”„‟«»＂]/g, '"').replaceAll('：', ':');
}

/** Operator and value of a chip as they are typed. */
export function formatChip({ op, value }: Chip): string {
  return /\s/.test(value) ? `${op}:"${value}"` : `${op}:${value}`;
}

/** Value of the query parameter `q`. Chips with ids aren't part of it, because they have parameters of their own. */
export function asText(chips: readonly Chip[], text: string): string {
  return [...chips.filter(({ id }) => id === undefined).map(formatChip), text.trim()].filter(Boolean).join(' ');
}

/** Words of the query without operators and quotation marks, to search for people and conversations. */
export function wordsOf(text: string): string {
  return plainMarks(text)
    .split(/\s+/)
    .filter((word) => !/^-./.test(word))
    .map((word) => word.replace(/["*]/g, ''))
    .join(' ')
    .trim();
}
