import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Stores and pure logic only; whole pages are tested in a browser against the real server.
export default defineConfig({
  plugins: [svelte()],
  test: {
    include: ['{src,scripts}/**/*.test.ts'],
    environment: 'node',
    // A process for each file took most of the time. What a file changes for all is undone behind it.
    isolate: false,
    // Thousands of drawn cases take a second or two; a machine that does something else as well takes longer.
    testTimeout: 60_000,
    setupFiles: ['./vitest.setup.ts']
  }
});
