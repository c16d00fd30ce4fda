/** Citation marks of an answer: `[1]`, `[2][5]`, `[1, 3]`. */
import type { Component } from 'svelte';
import type { Block, Inline } from '#lib/features/markdown/tree.ts';

const MARKS = /\[\d{1,3}(?:\s*,\s*\d{1,3})*\]/g;

/** Component that draws a citation mark. */
type CitationComponent = Component<{ n: number }>;
type Cites = (n: number) => boolean;

/** Replaces the citations in a text by marks, if `cites` knows their numbers. */
export function markCitations(blocks: readonly Block[], cites: Cites, look: CitationComponent): Block[] {
  const toCells = (cells: Inline[][]) => cells.map((cell) => inInlines(cell, cites, look));
  return blocks.map((block): Block => {
    switch (block.type) {
      case 'paragraph':
      case 'line':
      case 'heading':
        return { ...block, children: inInlines(block.children, cites, look) };
      case 'quote':
        return { ...block, blocks: markCitations(block.blocks, cites, look) };
      case 'list':
        return {
          ...block,
          items: block.items.map((item) => ({ ...item, blocks: markCitations(item.blocks, cites, look) }))
        };
      case 'table':
        return { ...block, head: toCells(block.head), rows: block.rows.map(toCells) };
      case 'details':
        return {
          ...block,
          summary: inInlines(block.summary, cites, look),
          blocks: markCitations(block.blocks, cites, look)
        };
      default:
        return block;
    }
  });
}

function inInlines(inlines: readonly Inline[], cites: Cites, look: CitationComponent): Inline[] {
  return inlines.flatMap((inline): Inline[] => {
    if (inline.type === 'text') return inText(inline.text, cites, look);
    // The text of a link stays as it is, because a mark is a link and links can't be nested.
    if ('children' in inline && inline.type !== 'link')
      return [{ ...inline, children: inInlines(inline.children, cites, look) }];
    return [inline];
  });
}

function inText(text: string, cites: Cites, look: CitationComponent): Inline[] {
  const made: Inline[] = [];
  let from = 0;
  const say = (words: string) => {
    if (words !== '') made.push({ type: 'text', text: words });
  };
  for (const { 0: mark, index } of text.matchAll(MARKS)) {
    const numbers = mark.slice(1, -1).split(',').map(Number);
    if (!numbers.some(cites)) continue;
    say(text.slice(from, index).replace(/ $/, ''));
    for (const n of numbers) made.push(cites(n) ? { type: 'mark', n, look } : { type: 'text', text: `[${n}]` });
    from = index + mark.length;
  }
  say(text.slice(from));
  return made;
}
