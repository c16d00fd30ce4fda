// Which modules a page needs before it works, read from the graph of the build: what it imports, and what that imports, without what is
// imported later. So a module that nobody needs at first stays out of the files of a first load by itself.
import { basename } from 'node:path';
import { PAGES, SOON } from './pages.mjs';

const MESSAGES = /\/lib\/paraglide\/messages\/(?!_)/;
/** Names every message; a page has those that it uses. */
const ALL_MESSAGES = /\/lib\/paraglide\/messages(\.js|\/_(index|export)\.js)$/;

/** A package of this size, before anything is left out of it, belongs behind a click… */
const LARGE = 50_000;
/** … but for those without which pages of a kind can't be shown, … */
const NEEDED = {
  auth: ['zod'],
  conversation: ['virtua'],
  settings: ['zod', 'bits-ui', 'runed', '@internationalized/date', '@lucide/svelte'],
  start: []
};
/** … of any kind: what shows them, and what the stores read mentions by. */
const NEEDED_BY_ALL = ['svelte', '@sveltejs/kit', 'marked'];
const packageOf = (id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];

export function firstLoad() {
  /** For each module the kinds of the pages that need it. */
  const pages = new Map();
  /** The same for what comes right after it. */
  const soon = new Map();
  return {
    plugin: {
      name: 'natter:first-load',
      applyToEnvironment: (environment) => environment.name === 'client',
      buildEnd() {
        const ids = [...this.getModuleIds()];
        const messages = new Map(ids.filter((id) => MESSAGES.test(id)).map((id) => [basename(id, '.js'), id]));
        const roots = (path) => {
          const beside = path.replace(/\.svelte$/, '.ts');
          return ids.filter((id) => id.endsWith(`/src/${path}`) || id.endsWith(`/src/${beside}`));
        };
        const starts = [
          ...roots('routes/+layout.svelte'),
          ...ids.filter((id) => /runtime\/client\/(client-)?entry\.js$/.test(id))
        ];
        const neededBy = (modules) => {
          const waiting = [...modules];
          const seen = new Set();
          for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
            if (seen.has(id) || ALL_MESSAGES.test(id)) continue;
            seen.add(id);
            const module = this.getModuleInfo(id);
            if (!module) continue;
            waiting.push(...module.importedIds);
            if (module.importedIds.some((other) => ALL_MESSAGES.test(other)))
              for (const [, name] of (module.code ?? '').matchAll(/\bm\.(\w+)/g))
                if (messages.has(name)) waiting.push(messages.get(name));
          }
          return seen;
        };
        soon.clear();
        for (const [kind, files] of Object.entries(SOON))
          for (const file of files) {
            const [root] = roots(`lib/${file}`);
            if (!root) this.error(`nothing brings in src/lib/${file}, which SOON names: has it moved?`);
            for (const id of neededBy([root])) soon.set(id, new Set(soon.get(id)).add(kind));
          }
        pages.clear();
        for (const page of PAGES) {
          const seen = neededBy([...starts, ...page.files.flatMap(roots)]);
          for (const id of seen) pages.set(id, [...(pages.get(id) ?? []), page.kind]);
          const sizes = new Map();
          for (const id of seen) {
            const name = packageOf(id);
            if (name) sizes.set(name, (sizes.get(name) ?? 0) + (this.getModuleInfo(id)?.code?.length ?? 0));
          }
          const needed = [...NEEDED_BY_ALL, ...NEEDED[page.kind]];
          for (const [name, size] of sizes)
            if (size >= LARGE && !needed.includes(name))
              this.error(
                `${page.name} loads ${name} at first, which is large: import it where it is used, or name it in NEEDED`
              );
        }
      }
    },
    /** Whether a page of each of these kinds needs this module before it works. */
    isNeededBy: (id, ...kinds) => kinds.every((kind) => pages.get(id)?.includes(kind)),
    /** Whether it comes right after every page, or right after a conversation, and is needed by none at first. */
    comesSoon: (id, kind) => !pages.has(id) && soon.get(id)?.has(kind),
    /** The kinds of the pages that need at first what comes right after others: these would get all that those need. */
    beside: (id) => (soon.has(id) ? [...new Set(pages.get(id))] : [])
  };
}
