// Puts the modules of a first load into few files: one file for the modules that the same kinds of pages need. Rolldown's own chunks follow the
// import graph of all dynamic imports, which cuts a first load into a hundred small files that compress badly.
import { DEFERRED, PAGES, ROOT_FILES } from './pages.mjs';

/** Modules that re-export all of a library's parts. A page needs only the parts whose names its code uses. */
const INDEXES = [
  {
    index: /\/lib\/paraglide\/messages(\.js|\/_index\.js)$/,
    part: /\/lib\/paraglide\/messages\/(?!_)(\w+)\.js$/,
    namesIn: (code) => [...code.matchAll(/\bm\.(\w+)/g)].map(([, name]) => name)
  },
  {
    index: /\/bits-ui\/dist\/(bits\/)?index\.js$/,
    part: /\/bits-ui\/dist\/bits\/([\w-]+)\/index\.js$/,
    namesIn: (code) =>
      [...code.matchAll(/import \{([^}]*)\} from ["']bits-ui["']/g)].flatMap(([, names]) =>
        names.split(',').map((name) => name.trim().split(' ')[0])
      )
  }
];
/** Equal for the name of an export, such as `AlertDialog`, and that of its file or folder, such as `alert-dialog`. */
const keyOf = (name) => name.replaceAll('-', '').toLowerCase();

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
        const indexes = INDEXES.map(({ index, part, namesIn }) => ({
          index,
          namesIn,
          parts: new Map(ids.filter((id) => part.test(id)).map((id) => [keyOf(part.exec(id)[1]), id]))
        }));
        const modulesOf = (path) => {
          const beside = path.replace(/\.svelte$/, '.ts');
          return ids.filter((id) => id.endsWith(`/src/${path}`) || id.endsWith(`/src/${beside}`));
        };
        /** Adds `kind` to all modules that these import statically. */
        const mark = (kind, roots) => {
          const waiting = [...roots];
          const seen = new Set();
          for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
            const isIndex = indexes.some(({ index }) => index.test(id));
            const module = seen.has(id) || isIndex ? null : this.getModuleInfo(id);
            seen.add(id);
            if (!module) continue;
            kinds.set(id, new Set(kinds.get(id)).add(kind));
            waiting.push(...module.importedIds);
            for (const { index, namesIn, parts } of indexes)
              if (module.importedIds.some((other) => index.test(other)))
                waiting.push(...namesIn(module.code ?? '').flatMap((name) => parts.get(keyOf(name)) ?? []));
          }
        };
        const start = ids.filter((id) => /runtime\/client\/(client-)?entry\.js$/.test(id));
        for (const { kind, files } of PAGES) mark(kind, [...start, ...[...ROOT_FILES, ...files].flatMap(modulesOf)]);
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
