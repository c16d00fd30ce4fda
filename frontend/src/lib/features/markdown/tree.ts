import type { Component } from 'svelte';

/**
 * A message as a tree of the few things that a message may hold. There is no node for raw HTML, and a link has been
 * checked before it is one: what is drawn from this tree is safe by construction, without a sanitiser behind it.
 * Its depth is bounded by the lexer.
 */
export type Inline =
  | { type: 'text'; text: string }
  | { type: 'code'; text: string }
  | { type: 'math'; text: string; display: boolean }
  | { type: 'strong' | 'em' | 'del'; children: Inline[] }
  | { type: 'link'; href: string; title: string | null; children: Inline[] }
  /** A conversation, and what it was called when this was written. */
  | { type: 'channel'; id: string; text: string }
  | { type: 'break' }
  /** What is cited by that number (`conversations/citations.ts`), and what draws it. */
  | { type: 'mark'; n: number; look: Component<{ n: number }> };

export type Align = 'left' | 'center' | 'right' | null;

export interface Item {
  /** Its number, as it was written; `null` where the list has none. */
  mark: string | null;
  /** `null` where it is no task. */
  checked: boolean | null;
  blocks: Block[];
}

export type Block =
  | { type: 'paragraph' | 'line'; children: Inline[] }
  | { type: 'heading'; level: number; children: Inline[] }
  /** `info`: all that stands behind the fence, where that is more than the language. */
  | { type: 'code'; language: string | null; info?: string; text: string }
  | { type: 'math'; text: string }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'list'; start: number | null; items: Item[] }
  | { type: 'table'; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { type: 'rule' };
