/** Search syntax: words and operators such as `from:anna`, which become chips when complete. */
import type { Id } from '#lib/api/types.ts';

export const OPERATORS = ['from', 'in', 'has', 'is', 'before', 'after', 'on'] as const;
export type Operator = (typeof OPERATORS)[number];

/** Search filter. */
export interface Chip {
  readonly op: Operator;
  /** Value as typed; the name if there is an id. */
  readonly value: string;
  /** Id of a chosen person or place. */
  readonly id?: Id;
}

export const HAS = ['file', 'image', 'link', 'voice'] as const;
export const IS = ['thread', 'pinned', 'saved'] as const;
/** Date formats of the server. */
const DATE = /^(today|yesterday|\d{4}(-\d{1,2}(-\d{1,2})?)?)$/i;

const SYNONYMS: Record<string, Operator> = { during: 'on' };
const HAS_SYNONYMS: Record<string, string> = { files: 'file', images: 'image', picture: 'image', links: 'link' };

export const keyOf = ({ op, value, id }: Chip): string => `${op}:${id ?? value.toLowerCase()}`;

/** Parses an operator; undefined if it is a word. */
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

/** `name:value` or `name:"a value"`, at the start or after a space. */
const OPERATOR = /(^|\s)([a-z]+):("[^"]*"|[^\s"]+)(?=\s|$)/gi;

/** Extracts complete operators. The last one is complete if a space follows or `isWhole` is set. */
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

/** Operator being typed at the end of the text. */
export function pendingIn(text: string): { op: Operator; value: string; from: number } | null {
  const found = /(?:^|\s)([a-z]+):("?)([^"]*)$/i.exec(plainMarks(text));
  if (!found) return null;
  const [, name = '', quote = '', value = ''] = found;
  const op = OPERATORS.find((one) => one === name.toLowerCase());
  if (!op || (quote === '' && /\s/.test(value))) return null;
  return { op, value: value.replace(/^[@#]+/, ''), from: text.length - name.length - 1 - quote.length - value.length };
}

/** Replaces typographic quotes, which phones insert; keeps the length. */
export function plainMarks(text: string): string {
  return text.replace(/[“”„‟«»＂]/g, '"').replaceAll('：', ':');
}

/** Text form of a chip. */
export function written({ op, value }: Chip): string {
  return /\s/.test(value) ? `${op}:"${value}"` : `${op}:${value}`;
}

/** Query parameter `q`; chips with ids have their own parameters. */
export function asText(chips: readonly Chip[], text: string): string {
  return [...chips.filter(({ id }) => id === undefined).map(written), text.trim()].filter(Boolean).join(' ');
}

/** Plain words, for searching people and conversations. */
export function wordsOf(text: string): string {
  return plainMarks(text)
    .split(/\s+/)
    .filter((word) => !/^-./.test(word))
    .map((word) => word.replace(/["*]/g, ''))
    .join(' ')
    .trim();
}
