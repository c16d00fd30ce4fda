import type { Block, Inline } from './tree.ts';

/** Lines of a block that its author has written as text; code, formulas and quotes are left out. */
export function ownLines(block: Block): (readonly Inline[])[] {
  switch (block.type) {
    case 'paragraph':
    case 'line':
    case 'heading':
      return [block.children];
    case 'list':
      return block.items.flatMap(({ blocks }) => blocks.flatMap(ownLines));
    case 'table':
      return [block.head, ...block.rows].flat();
    case 'details':
      return [block.summary, ...block.blocks.flatMap(ownLines)];
    case 'code':
    case 'math':
    case 'quote':
    case 'rule':
      return [];
  }
}
