import { paraglideVitePlugin } from '@inlang/paraglide-js';
import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';

const server = process.env.NATTER_SERVER ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [
    tailwindcss(),
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/lib/paraglide',
      // The language is a matter of this browser: kept there, else what the browser prefers.
      strategy: ['localStorage', 'preferredLanguage', 'baseLocale']
    }),
    sveltekit({
      // No server rendering: every path that is not a file is the one page, which then reads the path.
      adapter: adapter({ fallback: 'index.html', precompress: true })
    })
  ],
  server: {
    watch: { ignored: ['**/build/**'] },
    proxy: {
      '/r1': { target: server, ws: true },
      '/health': { target: server }
    }
  }
});
