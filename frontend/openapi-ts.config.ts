import { defineConfig } from '@hey-api/openapi-ts';

// `npm run api` after the server's description has changed: the resources only, for the client writes its calls itself.
export default defineConfig({
  input: '../openapi.json',
  output: { path: 'src/lib/api/generated', tsConfigPath: null, clean: true },
  parser: { filters: { operations: { exclude: ['/.*/'] }, schemas: { exclude: ['/Envelope$/'] }, orphans: true } },
  plugins: ['@hey-api/typescript']
});
