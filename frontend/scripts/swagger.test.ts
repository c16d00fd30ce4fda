import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { IMAGES, INITIALIZER, SOURCE, TEXTS } from './swagger.mjs';

it('copies every file that the page of Swagger UI loads', () => {
  for (const file of [...IMAGES, ...TEXTS]) expect(existsSync(join(SOURCE, file)), file).toBe(true);
  const page = readFileSync(join(SOURCE, 'index.html'), 'utf8');
  const loaded = [...page.matchAll(/(?:src|href)="(?:\.\/)?([^"]+)"/g)].map(([, file]) => file);
  expect(loaded).toContain('swagger-initializer.js');
  for (const file of loaded) expect([...IMAGES, ...TEXTS, 'swagger-initializer.js']).toContain(file);
});

it('shows the description of this server', () => {
  const shown: Record<string, unknown>[] = [];
  const bundle = Object.assign((options: Record<string, unknown>) => void shown.push(options), {
    presets: { apis: 'apis' },
    plugins: { DownloadUrl: 'download' }
  });
  const window: { onload?: () => void } = {};
  new Function('window', 'SwaggerUIBundle', 'SwaggerUIStandalonePreset', INITIALIZER)(window, bundle, 'standalone');
  window.onload?.();
  expect(shown).toMatchObject([{ url: '../openapi.json', deepLinking: true, layout: 'StandaloneLayout' }]);
});
