import { defineConfig } from '@hey-api/openapi-ts';

// `npm run api` after the server's description has changed: the resources only, for `scripts/calls.mjs` writes what can be called.
export default defineConfig({
  input: '../openapi.json',
  output: { path: 'src/lib/api/generated', tsConfigPath: null, clean: true },
  parser: { filters: { operations: { exclude: ['/.*/'] }, schemas: { exclude: ['/Envelope$/'] }, orphans: true } },
  plugins: ['@hey-api/typescript']
});
