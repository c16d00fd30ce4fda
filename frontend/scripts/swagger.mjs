// Swagger UI, which the server shows at /docs/: the files that its page loads, as part of the built app. Run after the build, which empties
// the folder.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeCompressed } from './compress.mjs';

const ROOT = join(import.meta.dirname, '..');
export const SOURCE = join(ROOT, 'node_modules/swagger-ui-dist');
const TARGET = join(ROOT, 'build/docs');

export const IMAGES = ['favicon-16x16.png', 'favicon-32x32.png'];
export const TEXTS = [
  'index.html',
  'index.css',
  'oauth2-redirect.html',
  'oauth2-redirect.js',
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-bundle.js.LICENSE.txt',
  'swagger-ui-standalone-preset.js',
  'swagger-ui-standalone-preset.js.LICENSE.txt'
];
/** Replaces the package's own, which shows an example. */
export const INITIALIZER = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    dom_id: '#swagger-ui',
    url: '../openapi.json',
    deepLinking: true,
    showExtensions: true,
    layout: 'StandaloneLayout',
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl]
  });
};
`;

if (process.argv[1] === import.meta.filename) {
  rmSync(TARGET, { recursive: true, force: true });
  mkdirSync(TARGET, { recursive: true });
  for (const file of IMAGES) copyFileSync(join(SOURCE, file), join(TARGET, file));
  for (const file of TEXTS) writeCompressed(join(TARGET, file), readFileSync(join(SOURCE, file)));
  writeCompressed(join(TARGET, 'swagger-initializer.js'), INITIALIZER);
}
