import type { Component } from 'svelte';

/** Message tree. It has no node for HTML and links are checked on creation, so rendering is safe without a sanitiser. The lexer bounds its depth. */
export type Inline =
  | { type: 'text'; text: string }
  | { type: 'code'; text: string }
  | { type: 'math'; text: string; display: boolean }
  | { type: 'strong' | 'em' | 'del'; children: Inline[] }
  | { type: 'link'; href: string; title: string | null; children: Inline[] }
  /** Conversation with its name at the time of writing. */
  | { type: 'channel'; id: string; text: string }
  | { type: 'break' }
  /** Citation (`conversations/citations.ts`) and its component. */
  | { type: 'mark'; n: number; look: Component<{ n: number }> };

export type Align = 'left' | 'center' | 'right' | null;

export interface Item {
  /** List number as written; null for bullets. */
  mark: string | null;
  /** Null if it is no task. */
  checked: boolean | null;
  blocks: Block[];
}

export type Block =
  | { type: 'paragraph' | 'line'; children: Inline[] }
  | { type: 'heading'; level: number; children: Inline[] }
  /** `info`: info string, if it has more than the language. */
  | { type: 'code'; language: string | null; info?: string; text: string }
  | { type: 'math'; text: string }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'list'; start: number | null; items: Item[] }
  | { type: 'table'; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { type: 'rule' };
