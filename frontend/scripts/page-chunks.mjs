// Puts the modules of a first load into few files: one file for the modules that the same kinds of pages need. Rolldown's own chunks follow the
// import graph of all dynamic imports, which cuts a first load into a hundred small files that compress badly.
import { basename } from 'node:path';
import { DEFERRED, PAGES } from './pages.mjs';

const MESSAGE = /\/lib\/paraglide\/messages\/(?!_)/;
/** Modules that export every message; a page needs only those that it uses. */
const ALL_MESSAGES = /\/lib\/paraglide\/messages(\.js|\/_index\.js)$/;
/** Index of bits-ui, which exports every component as a namespace; a page needs only those that it imports by name. */
const ALL_COMPONENTS = /\/bits-ui\/dist\/(bits\/)?index\.js$/;
/** Routes and the entry points of SvelteKit keep their own chunks. */
const CAPTURED = /\/src\/lib\/|\/node_modules\/(?!@sveltejs\/kit\/)/;
const ALL_KINDS = [...new Set(PAGES.map(({ kind }) => kind)), ...Object.keys(DEFERRED)];

export function pageChunks() {
  /** Kinds of the pages and deferred parts that need a module, by module id. */
  const kinds = new Map();
  const nameOf = (id, count) => {
    const needed = CAPTURED.test(id) ? kinds.get(id) : undefined;
    return needed?.size === count ? [...needed].sort().join('-') : null;
  };
  return {
    // A group takes the dependencies of its modules along, unless a group of a higher priority has them. A dependency is needed by at least the
    // kinds that need the module. Priorities are integers.
    groups: ALL_KINDS.map((_, index) => ({ name: (id) => nameOf(id, index + 1), priority: index })),
    plugin: {
      name: 'natter:page-chunks',
      applyToEnvironment: (environment) => environment.name === 'client',
      buildEnd() {
        const ids = [...this.getModuleIds()];
        const messages = new Map(ids.filter((id) => MESSAGE.test(id)).map((id) => [basename(id, '.js'), id]));
        const components = new Map(
          ids.flatMap((id) => {
            const [, folder] = /\/bits-ui\/dist\/bits\/([\w-]+)\/index\.js$/.exec(id) ?? [];
            return folder ? [[folder.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase()), id]] : [];
          })
        );
        const modulesOf = (path) => {
          const beside = path.replace(/\.svelte$/, '.ts');
          return ids.filter((id) => id.endsWith(`/src/${path}`) || id.endsWith(`/src/${beside}`));
        };
        /** Adds `kind` to all modules that these import statically. */
        const mark = (kind, roots) => {
          const waiting = [...roots];
          const seen = new Set();
          for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
            const module = seen.has(id) || ALL_MESSAGES.test(id) ? null : this.getModuleInfo(id);
            seen.add(id);
            if (!module) continue;
            kinds.set(id, new Set(kinds.get(id)).add(kind));
            if (ALL_COMPONENTS.test(id)) continue;
            waiting.push(...module.importedIds);
            for (const [, names] of (module.code ?? '').matchAll(/import \{([^}]*)\} from ["']bits-ui["']/g))
              waiting.push(...names.split(',').flatMap((name) => components.get(name.trim().split(' ')[0]) ?? []));
            if (!module.importedIds.some((other) => ALL_MESSAGES.test(other))) continue;
            for (const [, name] of (module.code ?? '').matchAll(/\bm\.(\w+)/g))
              if (messages.has(name)) waiting.push(messages.get(name));
          }
        };
        const start = ids.filter((id) => /runtime\/client\/(client-)?entry\.js$/.test(id));
        for (const { kind, files } of PAGES)
          mark(kind, [...start, ...['routes/+layout.svelte', ...files].flatMap(modulesOf)]);
        for (const [kind, files] of Object.entries(DEFERRED))
          for (const file of files) {
            const roots = modulesOf(`lib/${file}`);
            if (roots.length === 0) this.error(`src/lib/${file} of DEFERRED is not in the build`);
            mark(kind, roots);
          }
        // Pages of the app load the deferred parts, too.
        for (const needed of kinds.values())
          if (needed.has('conversation') || needed.has('start'))
            Object.keys(DEFERRED).forEach((kind) => needed.add(kind));
      }
    }
  };
}
