/** Writes Markdown as HTML for the clipboard, from which office programs paste its formatting. */
import { parse } from './parse.ts';
import type { Block, Inline, Item } from './tree.ts';

export function toHtml(source: string): string {
  return parse(source).map(blockHtml).join('');
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replaceAll(/[&<>"]/g, (sign) => ESCAPES[sign] ?? sign);
const element = (name: string, inner: string, attributes = '') => `<${name}${attributes}>${inner}</${name}>`;
const inlinesHtml = (inlines: readonly Inline[]) => inlines.map(inlineHtml).join('');

function blockHtml(block: Block): string {
  switch (block.type) {
    case 'paragraph':
      return element('p', inlinesHtml(block.children));
    case 'line':
      return inlinesHtml(block.children);
    case 'heading':
      return element(`h${block.level}`, inlinesHtml(block.children));
    case 'code':
    case 'math':
      return element('pre', element('code', escaped(block.text)));
    case 'quote':
      return element('blockquote', block.blocks.map(blockHtml).join(''));
    case 'list': {
      const items = block.items.map(itemHtml).join('');
      return block.start === null ? element('ul', items) : element('ol', items, ` start="${block.start}"`);
    }
    case 'table': {
      const row = (cells: readonly Inline[][], name: string) =>
        element('tr', cells.map((cell) => element(name, inlinesHtml(cell))).join(''));
      const body = block.rows.map((cells) => row(cells, 'td')).join('');
      return element('table', element('thead', row(block.head, 'th')) + element('tbody', body), ' border="1"');
    }
    case 'details':
      return element('p', inlinesHtml(block.summary)) + block.blocks.map(blockHtml).join('');
    case 'rule':
      return '<hr>';
  }
}

function itemHtml({ checked, blocks }: Item): string {
  const box = checked === null ? '' : checked ? '☑ ' : '☐ ';
  return element('li', box + blocks.map(blockHtml).join(''));
}

function inlineHtml(inline: Inline): string {
  switch (inline.type) {
    case 'strong':
    case 'em':
    case 'del':
      return element(inline.type, inlinesHtml(inline.children));
    case 'tag':
      return element(inline.name, inlinesHtml(inline.children));
    case 'code':
    case 'math':
      return element('code', escaped(inline.text));
    case 'link':
      return element('a', inlinesHtml(inline.children), ` href="${escaped(inline.href)}"`);
    case 'break':
      return '<br>';
    case 'mark':
      return `[${inline.n}]`;
    case 'text':
    case 'channel':
      return escaped(inline.text);
  }
}
