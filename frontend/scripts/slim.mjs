// Parts of packages that no page uses and that the bundler can't leave out by itself, for they run something when they are loaded.
import { readFileSync } from 'node:fs';
import { Lexer } from 'marked';

const MARKED = /\/marked\/lib\/marked\.esm\.js$/;
/** The first class behind the lexer: from here on, tokens become HTML. */
const RENDERER = /var \w+=class\{options;parser;constructor/;
const DEVALUE = '\0natter:devalue';
/** Where Svelte and SvelteKit ask whether a page has come from a server already drawn, and what they shall find. None has. */
const DRAWN = [
  [
    /\/svelte\/src\/internal\/client\/dom\/hydration\.js$/,
    [
      ['export let hydrating = false;', 'export const hydrating = false;'],
      ['\thydrating = value;', '']
    ]
  ],
  [
    /\/@sveltejs\/kit\/src\/runtime\/client\/client\.js$/,
    [
      ['should_hydrate ? hydrate : mount', 'mount'],
      ['await _hydrate(target, data);', '']
    ]
  ]
];

/** Where the expressions begin that the rules are made of, the names of the elements, which more is made of, and the rules. */
const EXPRESSIONS = /,\w+=\/\^\(\?:\[ \\t\]\*\(\?:\\n\|\$\)\)\+\//;
const ELEMENTS = /,\w+="address\|article\|[^"]*"/;
const RULES = /,(\w+)=\{normal:\w+,gfm:\w+,pedantic:\w+\},(\w+)=\{normal:\w+,gfm:\w+,breaks:\w+,pedantic:\w+\};/;
/** Makes each rule when it is first asked for: for all of them a phone takes longer than for drawing a message. */
const ONE_BY_ONE = `function natterRules(sources){const rules={};for(const name in sources)Object.defineProperty(rules,name,{configurable:true,get(){const value=new RegExp(...sources[name]);Object.defineProperty(rules,name,{value});return value}});return rules}`;

const sourcesOf = (rules) =>
  JSON.stringify(Object.fromEntries(Object.entries(rules).map(([name, { source, flags }]) => [name, [source, flags]])));

/** `marked` without what makes HTML, for the app draws the tokens itself, and with the rules alone that it uses: GitHub's, with breaks. */
export function lexerOnly(code) {
  const end = code.search(RENDERER);
  const exported = /export\{([^}]*)\}/.exec(code)?.[1].split(',') ?? [];
  const kept = exported.filter((name) => / as (Lexer|Tokenizer)$/.test(name));
  const lexer = code.slice(0, end);
  const from = lexer.search(EXPRESSIONS);
  const elements = ELEMENTS.exec(lexer)?.[0];
  const rules = RULES.exec(lexer);
  if (end < 0 || kept.length !== 2 || from < 0 || !elements || !(rules?.index > from))
    throw new Error('marked is built in another way: look where its lexer ends');
  const { block, inline } = Lexer.rules;
  const [all, blocks, inlines] = rules;
  const made = `,${blocks}={gfm:natterRules(${sourcesOf(block.gfm)})},${inlines}={breaks:natterRules(${sourcesOf(inline.breaks)})};`;
  const used = lexer.slice(0, from) + elements + made + lexer.slice(rules.index + all.length);
  return `${used.replaceAll('this.options.pedantic', '!1')}${ONE_BY_ONE}export{${kept.join(',')}};`;
}

/** A module of Svelte or SvelteKit without what takes over a page that a server has drawn; undefined for any other. */
export function neverDrawn(code, id) {
  const changes = DRAWN.find(([file]) => file.test(id))?.[1];
  return changes?.reduce((left, [from, to]) => {
    if (left.split(from).length !== 2) throw new Error(`${id} has not once “${from}”: look how it takes over a page`);
    return left.replace(from, () => to);
  }, code);
}

export function slim() {
  return {
    name: 'natter:slim',
    apply: 'build',
    enforce: 'pre',
    applyToEnvironment: (environment) => environment.name === 'client',
    resolveId: (id) => (id === 'devalue' ? DEVALUE : null),
    load(id) {
      if (id !== DEVALUE) return null;
      // The router writes the state of a page into the history with it, which is plain data here. The rest is for data of a server that
      // renders pages, of which there is none.
      return `const none = () => { throw new Error('there is no server that renders'); };
export const stringify = (value) => JSON.stringify(value);
export const parse = (text) => JSON.parse(text);
export { none as uneval, none as unflatten, none as stringifyAsync };`;
    },
    transform(code, id) {
      const slimmed = MARKED.test(id) ? lexerOnly(code) : neverDrawn(code, id);
      return slimmed === undefined ? null : { code: slimmed, map: null };
    }
  };
}

const ICON = /@lucide\/svelte\/dist\/icons\/[\w-]+\.svelte$/;
const DRAWING = /const iconData = (\{.*\});/;

/**
 * An icon of the package as one element with its lines in it, which a browser copies. The package puts each together from its data, line by
 * line, wherever one stands. How it is drawn says the class `i`, which each has; and none is read out: what has an icon says what it is
 * (`icons.test.ts`).
 */
export function iconOf(code) {
  const { node } = JSON.parse(DRAWING.exec(code)?.[1] ?? '{}');
  if (!node) throw new Error('the icons are built in another way: look where their lines are');
  const lines = node.map(([tag, attributes]) => {
    const written = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
    return `<${tag} ${written.join(' ')} />`;
  });
  return `<script>let { class: look } = $props();</script>
<svg viewBox="0 0 24 24" aria-hidden="true" class={look}>${lines.join('')}</svg>`;
}

export const icons = {
  name: 'natter:icons',
  enforce: 'pre',
  load: (id) => (ICON.test(id) ? iconOf(readFileSync(id, 'utf8')) : null)
};
