/** Whom a message calls: names in its plain text, and not in code, formulas, links or what it quotes. */
import type { Mention } from '#lib/api/types.ts';
import { parse } from './markdown/parse.ts';
import type { Block, Inline } from './markdown/tree.ts';
import { cutMentions, type Name, type Piece } from './mentions.ts';

/** Whether the text calls the reader. */
export function callsMe(text: string, names: readonly Name[]): boolean {
  return piecesOf(text, names).some(({ kind }) => kind === 'me');
}

/** Whom a text calls, each once, as the server wants it said. */
export function calledIn(text: string, names: readonly Name[]): Mention[] {
  const found = new Map<string, Mention>();
  for (const piece of piecesOf(text, names)) {
    const { id } = piece;
    if (piece.kind === 'all' || piece.kind === 'here') found.set(piece.kind, { kind: piece.kind });
    else if (id && (piece.kind === 'person' || piece.kind === 'assistant'))
      found.set(id, { kind: piece.kind === 'person' ? 'user' : 'assistant', id });
  }
  return [...found.values()];
}

/** Whom a text calls that says something else than before. Those called before whose names aren’t known stay: who can say that they are not in it. */
export function calledAnew(text: string, names: readonly Name[], before: readonly Mention[]): Mention[] {
  const called = calledIn(text, names);
  const isUnknown = ({ id }: Mention) => id != null && !names.some((name) => name.id === id);
  return [...called, ...before.filter(isUnknown)];
}

function piecesOf(text: string, names: readonly Name[]): Piece[] {
  return /[@＠]/.test(text)
    ? parse(text)
        .flatMap(textsOf)
        .flatMap((one) => cutMentions(one, names))
    : [];
}

function textsOf(block: Block): string[] {
  switch (block.type) {
    case 'paragraph':
    case 'line':
    case 'heading':
      return textsIn(block.children);
    case 'list':
      return block.items.flatMap(({ blocks }) => blocks.flatMap(textsOf));
    case 'table':
      return [block.head, ...block.rows].flat().flatMap(textsIn);
    case 'code':
    case 'math':
    case 'quote':
    case 'rule':
      return [];
  }
}

function textsIn(inlines: readonly Inline[]): string[] {
  return inlines.flatMap((inline) => {
    switch (inline.type) {
      case 'text':
        return [inline.text];
      case 'strong':
      case 'em':
      case 'del':
        return textsIn(inline.children);
      default:
        return [];
    }
  });
}
