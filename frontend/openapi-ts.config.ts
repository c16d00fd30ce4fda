import { defineConfig } from '@hey-api/openapi-ts';
import { description } from './scripts/openapi.mjs';

// `npm run api` after the server's description has changed: the resources only, for `scripts/calls.mjs` writes what can be called.
export default defineConfig({
  input: description(),
  output: { path: 'src/lib/api/generated', tsConfigPath: null, clean: true },
  parser: { filters: { operations: { exclude: ['/.*/'] }, parameters: { exclude: ['/.*/'] }, orphans: true } },
  plugins: ['@hey-api/typescript']
});
