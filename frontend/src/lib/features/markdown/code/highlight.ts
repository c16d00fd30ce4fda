/** Highlights code. The result is a tree of spans and never contains markup. */
import type { LanguageFn } from 'highlight.js';
// Not by a dynamic import, which would bring the grammars of all languages into the file of the worker.
import { createLowlight } from 'lowlight';
import type { ElementContent, Root } from 'hast';

export interface Span {
  readonly text: string;
  readonly className: string;
}

type Loader = () => Promise<{ default: LanguageFn }>;

const LANGUAGES: Record<string, Loader> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  lua: () => import('highlight.js/lib/languages/lua'),
  makefile: () => import('highlight.js/lib/languages/makefile'),
  markdown: () => import('highlight.js/lib/languages/markdown'),
  php: () => import('highlight.js/lib/languages/php'),
  python: () => import('highlight.js/lib/languages/python'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml')
};

const ALIASES: Record<string, string> = {
  'c++': 'cpp',
  'c#': 'csharp',
  cs: 'csharp',
  docker: 'dockerfile',
  golang: 'go',
  h: 'c',
  html: 'xml',
  js: 'javascript',
  jsx: 'javascript',
  kt: 'kotlin',
  make: 'makefile',
  md: 'markdown',
  mjs: 'javascript',
  patch: 'diff',
  py: 'python',
  rb: 'ruby',
  rs: 'rust',
  scss: 'css',
  sh: 'bash',
  shell: 'bash',
  svelte: 'xml',
  svg: 'xml',
  toml: 'ini',
  ts: 'typescript',
  tsx: 'typescript',
  vue: 'xml',
  yml: 'yaml',
  zsh: 'bash'
};

/** Length in characters above which code is shown without colours. */
const MAX_CHARS = 30_000;
/** Number of spans above which code is shown without colours, because each is an element of the page. */
const MAX_SPANS = 6_000;

const lowlight = createLowlight();

/**
 * Returns the spans of the code; null if the language is unknown or the code too long. `began` is called when the grammar of the language has loaded.
 */
export async function highlight(language: string, code: string, began = () => {}): Promise<Span[] | null> {
  const wanted = language.toLowerCase();
  const name = ALIASES[wanted] ?? wanted;
  const load = LANGUAGES[name];
  if (!load || code.length > MAX_CHARS) return null;
  const grammar = await load();
  if (!lowlight.registered(name)) lowlight.register(name, grammar.default);
  began();
  const spans = flatten(lowlight.highlight(name, code));
  return spans.length > MAX_SPANS ? null : spans;
}

function flatten(root: Root): Span[] {
  const spans: Span[] = [];
  const walk = (node: Root['children'][number] | ElementContent, className: string) => {
    if (node.type === 'text') spans.push({ text: node.value, className });
    else if (node.type === 'element') {
      const own = node.properties.className;
      for (const child of node.children) walk(child, Array.isArray(own) ? own.join(' ') : className);
    }
  };
  for (const node of root.children) walk(node, '');
  return spans;
}
