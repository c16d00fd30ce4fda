/** Converts a message to plain text in one line, for quotes, lists and notifications. */
import { isBlank } from './blank-text.ts';
import { wordsOf } from './parser/links.ts';
import { parse } from './parse.ts';
import type { Block } from './tree.ts';

export function plainText(source: string, limit = 140): string {
  const begun = source.slice(0, limit * 4);
  const words = parse(begun).map(wordsIn).join(' ');
  // If there is no text, as with a horizontal rule, the source is shown.
  const text = (isBlank(words) ? begun : words).replace(/\s+/g, ' ').trim();
  return text.length > limit ? `${wholeCharacters(text, limit - 1).trimEnd()}…` : text;
}

function wordsIn(block: Block): string {
  switch (block.type) {
    case 'paragraph':
    case 'line':
    case 'heading':
      return wordsOf(block.children);
    case 'code':
      return `${block.info ?? ''} ${block.text}`;
    case 'math':
      return block.text;
    case 'quote':
      return block.blocks.map(wordsIn).join(' ');
    case 'list':
      return block.items.flatMap(({ blocks }) => blocks.map(wordsIn)).join(' ');
    case 'table':
      return [block.head, ...block.rows].flat().map(wordsOf).join(' ');
    case 'details':
      return [wordsOf(block.summary), ...block.blocks.map(wordsIn)].join(' ');
    case 'rule':
      return '';
  }
}

/** Returns at most `length` UTF-16 units without splitting a character. */
function wholeCharacters(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
