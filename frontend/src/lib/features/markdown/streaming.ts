/**
 * Incremental parser of streaming Markdown. Finished blocks don't change: they keep their identity, and only the text after them is parsed again.
 * Incomplete markup at the end is held back.
 */
import type { Token } from 'marked';
import { lex } from './parser/lexer.ts';
import { asWritten, toBlocks } from './parse.ts';
import { settledLength } from './parser/settled-length.ts';
import type { Block } from './tree.ts';

export class GrowingMarkdown {
  #source = '';
  /** Length of the source of the finished blocks. */
  #endedAt = 0;
  #ended: Block[] = [];
  #blocks: Block[] = [];

  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  /** Parses the text received so far. Starts again if it doesn't continue the previous one. */
  write(source: string): readonly Block[] {
    const clean = source.includes('\r') ? source.replace(/\r\n?/g, '\n') : source;
    if (clean === this.#source) return this.#blocks;
    if (!clean.startsWith(this.#source)) {
      this.#endedAt = 0;
      this.#ended = [];
    }
    this.#source = clean;
    const open = clean.slice(this.#endedAt);
    const shown = open.slice(0, settledLength(open));
    try {
      this.#read(shown);
    } catch {
      this.#blocks = [...this.#ended, ...asWritten(shown)];
    }
    return this.#blocks;
  }

  #read(shown: string): void {
    const tokens = lex(shown);
    const open = firstOpen(tokens, shown);
    const ended = tokens.slice(0, open);
    const still = toBlocks(tokens.slice(open));
    if (ended.length > 0) {
      this.#ended = [...this.#ended, ...toBlocks(ended)];
      this.#endedAt += lengthOf(ended);
    }
    this.#blocks = [...this.#ended, ...still];
  }
}

/**
 * Index of the first token that may still change: the last block or the blank lines after it. An incomplete line may even become part of the block
 * before it: `1` after a list may become `1. next`.
 */
function firstOpen(tokens: readonly Token[], source: string): number {
  // If the lexer has changed the source, its lengths can't be used, so everything may still change.
  if (lengthOf(tokens) !== source.length) return 0;
  let last = lastBlock(tokens, tokens.length - 1);
  const startOfLast = lengthOf(tokens.slice(0, last));
  if (startOfLast > source.lastIndexOf('\n')) last = lastBlock(tokens, last - 1);
  return Math.max(last, 0);
}

function lastBlock(tokens: readonly Token[], from: number): number {
  let at = from;
  while (at > 0 && tokens[at]?.type === 'space') at--;
  return at;
}

function lengthOf(tokens: readonly Token[]): number {
  return tokens.reduce((sum, token) => sum + token.raw.length, 0);
}
