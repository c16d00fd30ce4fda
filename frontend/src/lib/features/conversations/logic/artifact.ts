/** Artifacts of answers: pages, drawings, documents and longer code, with title and versions. */
import { parse } from '#lib/features/markdown/parse.ts';
import type { Block as MarkdownBlock } from '#lib/features/markdown/tree.ts';
import { standsForItself, type Block } from '../artifact-context.ts';

export interface Artifact {
  readonly kind: 'html' | 'svg' | 'markdown' | 'code';
  readonly language: string | null;
  /** Title that the model has given; empty if it has given none. */
  readonly title: string;
  readonly text: string;
}

const MAX_TITLE = 80;
const ENDINGS: Record<string, string> = {
  bash: 'sh',
  csharp: 'cs',
  javascript: 'js',
  kotlin: 'kt',
  markdown: 'md',
  python: 'py',
  ruby: 'rb',
  rust: 'rs',
  shell: 'sh',
  text: 'txt',
  typescript: 'ts'
};
const FILE_NAME = /^[\w.-]+\.\w{1,8}$/;

export function artifactOf({ language, info, text }: Block): Artifact {
  const kind = kindOf(language, text);
  return { kind, language, title: titleOf(kind, info ?? '', text).slice(0, MAX_TITLE), text };
}

/** Finds the artifacts of an answer. */
export function artifactsIn(answer: string): Artifact[] {
  return codeIn(parse(answer)).filter(standsForItself).map(artifactOf);
}

/** Versions of an artifact, oldest first. Artifacts with the same title are versions of each other; one without a title has only itself. */
export function versionsOf(artifact: Artifact, all: readonly Artifact[]): readonly Artifact[] {
  const same = all.filter(
    ({ kind, language, title, text }) =>
      kind === artifact.kind &&
      language === artifact.language &&
      (title ? title === artifact.title : text === artifact.text)
  );
  const versions = same.filter(({ text }, index) => text !== same[index - 1]?.text);
  return versions.some(({ text }) => text === artifact.text) ? versions : [...versions, artifact];
}

/** File name under which an artifact is saved. */
export function fileNameOf({ kind, language, title }: Artifact, otherwise: string): string {
  if (FILE_NAME.test(title)) return title;
  const name = (title || otherwise)
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '');
  const known = kind === 'code' ? (language ?? '').toLowerCase() : kind;
  const ending = ENDINGS[known] ?? (/^[a-z0-9]{1,8}$/.test(known) ? known : 'txt');
  return `${name || 'file'}.${ending}`;
}

/** HTML page that displays an artifact. */
export function pageOf({ kind, text }: Artifact): string {
  if (kind !== 'svg') return text;
  return `<!doctype html><style>html,body{margin:0;min-height:100%}body{display:grid;place-items:center}svg{max-width:100%;height:auto}</style>${text}`;
}

function kindOf(language: string | null, text: string): Artifact['kind'] {
  switch (language?.toLowerCase()) {
    case 'html':
      return 'html';
    case 'svg':
      return 'svg';
    case 'md':
    case 'markdown':
      return 'markdown';
    case 'xml':
      return /^\s*(<\?xml[^>]*>\s*)?<svg[\s>]/.test(text) ? 'svg' : 'code';
    default:
      return 'code';
  }
}

function titleOf(kind: Artifact['kind'], info: string, text: string): string {
  if (kind === 'markdown') return plain(/^#{1,6}\s+(.+?)\s*#*$/m.exec(text)?.[1]);
  if (kind !== 'code') return plain((/<title[^>]*>([^<]*)</i.exec(text) ?? /<h1[^>]*>([^<]*)</i.exec(text))?.[1]);
  const named = info.split(/\s+/).find((word) => FILE_NAME.test(word));
  // Models often write the file name into a comment in the first line.
  const first = /^\s*(?:\/\/|#|--|;|\/\*|<!--)\s*([\w./-]+)\s*(?:\*\/|-->)?\s*$/.exec(
    text.split('\n', 1)[0] ?? ''
  )?.[1];
  const last = first?.split('/').at(-1) ?? '';
  return named ?? (FILE_NAME.test(last) ? last : '');
}

const plain = (text: string | undefined) => (text ?? '').replace(/\s+/g, ' ').trim();

function codeIn(blocks: readonly MarkdownBlock[]): Block[] {
  return blocks.flatMap((block) => {
    if (block.type === 'code') return [block];
    if (block.type === 'quote') return codeIn(block.blocks);
    if (block.type === 'list') return block.items.flatMap((item) => codeIn(item.blocks));
    return [];
  });
}
