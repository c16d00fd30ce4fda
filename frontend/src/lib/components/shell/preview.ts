import type { Message } from '#lib/api/types.ts';

const MOST = 140;

/** A message as one line of plain text: the marks of markdown are noise in a list. */
export function previewOf(message: Message): string {
  return message.content
    .slice(0, MOST * 4)
    .replace(/```[^\n]*\n?/g, ' ')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^\s{0,3}(#{1,6}|>|[-*+]|\d+\.)\s+/gm, '')
    .replace(/[*_~`]{1,3}(\S(?:.*?\S)?)[*_~`]{1,3}/g, '$1')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MOST);
}
