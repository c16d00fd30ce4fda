import type { Component } from 'svelte';

/**
 * Tree of a message. It can't contain HTML, and links are checked when it is created, so it can be rendered without a sanitiser. The lexer limits its
 * depth.
 */
export type Inline =
  | { type: 'text'; text: string }
  | { type: 'code'; text: string }
  | { type: 'math'; text: string; display: boolean }
  | { type: 'strong' | 'em' | 'del'; children: Inline[] }
  /** Element that was written as HTML. */
  | { type: 'tag'; name: TagName; children: Inline[] }
  | { type: 'link'; href: string; title: string | null; children: Inline[] }
  /** Link to a conversation, with its name at the time of writing. */
  | { type: 'channel'; id: string; text: string }
  | { type: 'break' }
  /** Citation (`conversations/citations.ts`) with the component that draws it. */
  | { type: 'mark'; n: number; look: Component<{ n: number }> };

/** Elements that may be written as HTML (`TAG` in `parse.ts`). */
export type TagName = 'sub' | 'sup' | 'kbd' | 'u' | 's' | 'mark';

export type Align = 'left' | 'center' | 'right' | null;

export interface Item {
  /** Number of the item as it was written; null in a bulleted list. */
  mark: string | null;
  /** Whether the task is done; null if the item is no task. */
  checked: boolean | null;
  blocks: Block[];
}

export type Block =
  | { type: 'paragraph' | 'line'; children: Inline[] }
  | { type: 'heading'; level: number; children: Inline[] }
  /** Code block. `info` is the text after the opening fence, if that is more than the language. */
  | { type: 'code'; language: string | null; info?: string; text: string }
  | { type: 'math'; text: string }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'list'; start: number | null; items: Item[] }
  | { type: 'table'; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  /** Section that can be collapsed; `open` if it is expanded at first. */
  | { type: 'details'; open: boolean; summary: Inline[]; blocks: Block[] }
  | { type: 'rule' };
