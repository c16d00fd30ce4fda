// ESLint rule of the boundaries between the folders of src/lib: a feature is used by what stands at the top of its folder, and shared code uses
// no feature.
import { dirname, join, relative } from 'node:path';

const SRC = join(import.meta.dirname, '../src');
const SHARED = new Set(['api', 'i18n', 'realtime', 'ui', 'util']);
/** Modules of shared code that may import a module above it, and why. */
const EXCEPTIONS = {
  'lib/ui/retry-on-reconnect.svelte.ts': ['lib/app/app.ts', 'reads the connection from the context of the app']
};

/** Path of an imported module below `src`; undefined for that of a package. */
export function targetOf(file, source) {
  if (source.startsWith('#lib/')) return join('lib', source.slice('#lib/'.length));
  if (source.startsWith('.')) return relative(SRC, join(dirname(file), source));
  return undefined;
}

/** Which folder a file below `src` belongs to: its feature, or its area of `lib`. */
function ownerOf(path) {
  const [root, area, feature, ...inner] = path.split('/');
  if (root !== 'lib') return { area: root };
  return area === 'features' ? { area, feature, isInner: inner.length > 1 } : { area };
}

/** Message for an import that crosses a boundary; undefined for one that is allowed. */
export function violationOf(from, to, isTypeOnly) {
  const [importer, imported] = [ownerOf(from), ownerOf(to)];
  const isAbove = imported.area === 'features' || imported.area === 'app';
  if (SHARED.has(importer.area) && isAbove) {
    // The types of the API's resources are assembled from those of the features.
    if (importer.area === 'api' && isTypeOnly && /^lib\/features\/[^/]+\/api\.ts$/.test(to)) return undefined;
    if (EXCEPTIONS[from]?.[0] === to) return undefined;
    return `src/lib/${importer.area} is shared, so it can't import ${to}: move this into a feature, or pass it in.`;
  }
  if (imported.area !== 'features' || importer.feature === imported.feature || !imported.isInner) return undefined;
  return `${to} is private to its feature: import a module at the top of src/lib/features/${imported.feature}, or move it there.`;
}

export const featureBoundaries = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const file = context.filename;
    const from = relative(SRC, file);
    const check = (source, isTypeOnly) => {
      if (typeof source?.value !== 'string') return;
      const to = targetOf(file, source.value);
      const message = to && violationOf(from, to, isTypeOnly);
      if (message) context.report({ node: source, message });
    };
    return {
      ImportDeclaration: ({ source, importKind }) => check(source, importKind === 'type'),
      ExportNamedDeclaration: ({ source, exportKind }) => check(source, exportKind === 'type'),
      ExportAllDeclaration: ({ source, exportKind }) => check(source, exportKind === 'type'),
      ImportExpression: ({ source }) => check(source, false),
      TSImportType: ({ source }) => check(source, true)
    };
  }
};
