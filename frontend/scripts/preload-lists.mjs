// Files that are preloaded with a dynamic import. By default Vite writes the names of all files that any dynamic import needs into the importing
// file, which fills 2 KiB of each first load. Here only the imports of the measured pages and of the parts that these load automatically are
// preloaded. Other parts are rarely the first ones that are opened: the service worker has cached their files by then, and without it the browser
// requests their imports one step later. Styles are not affected.
import { DEFERRED, PAGES, ROOT_FILES } from './pages.mjs';

const FREQUENT = [
  ...ROOT_FILES,
  ...PAGES.flatMap(({ files }) => files),
  ...Object.values(DEFERRED).flatMap((files) => files.map((file) => `lib/${file}`))
];

const isFrequent = (id) => FREQUENT.some((file) => id?.endsWith(`/src/${file}`));

export function preloadLists() {
  /** Names of the files that have a frequent module. */
  const frequent = new Set();
  return {
    resolveDependencies: (file, dependencies) => (frequent.has(file) ? dependencies : []),
    plugin: {
      name: 'natter:preload-lists',
      applyToEnvironment: (environment) => environment.name === 'client',
      generateBundle(_, bundle) {
        for (const chunk of Object.values(bundle))
          if (chunk.type === 'chunk' && [chunk.facadeModuleId, ...chunk.moduleIds].some(isFrequent))
            frequent.add(chunk.fileName);
      }
    }
  };
}
