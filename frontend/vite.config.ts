import { paraglideVitePlugin } from '@inlang/paraglide-js';
import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig, type Plugin } from 'vite';

/** KaTeX names its fonts in three forms; every browser that runs this app takes the first. */
const woff2Only: Plugin = {
  name: 'natter:woff2-only',
  enforce: 'pre',
  transform: (code, id) =>
    /katex.*\.css/.test(id) ? code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("\w+"\)/g, '') : null
};

const server = process.env.NATTER_SERVER ?? 'http://127.0.0.1:8080';

/** Opened by a click, so they and their libraries come later. */
const LATER =
  /components\/(admin|assistants|files|models|money|palette|prompts|new-chat|settings|workspace|auth|form|usage|ui\/(dialog|dropdown-menu|confirm|entries|chart))\/|components\/channels\/(?!channel-icon)|shell\/(first-steps|sub-nav)|ui\/copy\/|chat\/(markdown\/|message-(tools|sheet)|action-look|drop-target|tool-)|chat\/(attached|bytes|clipboard|facts|file-storage|peaks|recorder|speech|table-paste|templates|uploader)|api\/(files|upload)\.|avatar\/glyphs|lib\/(gateway|money)\/|stores\/(asked|budgets|money|payment-watch|tools|channels|gateway|models|names|usage|workspace-list)|paraglide\/messages\/(admin_model|assistant_|attach_|budget|channel|provider_|usage_|context_|facts_|files_drop|group_take|history_|key_|model|picture|posting|prompt|section|scope_|start_(account|assistant|chat|conversation|lead|people|title)|starter|thought|tool|mcp|money|viewer_|visibility|voice_)|icons\/(archive|ban|circle|clock-alert|credit-card|hourglass|lock|rotate-ccw|search-x|smartphone|wallet|book-open|brain|bug|building-complex|calendar|chart-line|code|coffee|compass|eye(-off)?|feather|folder-plus|keyboard|log-in|plug|settings|shield|user-plus|flask-conical|globe|graduation-cap|heart-pulse|info|landmark|languages|leaf|lightbulb|music|palette|pen-tool|rocket|scale|terminal|wrench|image(-off)?|file(-[a-z]+)?|download|external-link|shield-alert|play|pause|volume-[2x]|copy|trash-2)\.|-content\.svelte|lib\/utils/;
/** Where one reads and writes: the pages beside the conversations open without. */
const CONVERSATION =
  /components\/chat\/(attach-button|chat-header|composer|connection-strip|empty-conversation|mention-list|model-choice|typing-indicator)|lib\/chat\/(length|mention-search|pane|picking|slash)|paraglide\/messages\/(chat_(ask_|char|composer|delivered|empty|enter|idea|placeholder|reply|send\.|slow|too_long|typing)|files_(attach|failed|no_folder|record))|icons\/(arrow-up|cpu|mic|panel-right|reply|slash|timer)\./;

/** What the pages beside the conversations share among themselves; a conversation opens without. */
const BESIDE =
  /components\/(place|healing|ui\/(choice|field|listed|search-field))|stores\/(admin|listing)|paraglide\/messages\/(account|add\.|address|api_keys|appearance|audit|auth_(?!banned|password_|rule_|slowed|verify_(note|resen|title)|wait)|bans?[_.]|cannot|days|delete_conv|device|display_name|download|email_(link|look)|expired|hint_|identit|invitations|kind_|leave\.|member_(admin|more|owner)|members|name[_.]|new_chat_in|passkey|password(\.|_missing)|people|profile|reason|remove|rename|revoke|role_|save|search_people|second_factor|session_ended|shortcuts|show_more|sign_in|switch_off|type_|until|used|workspace_(add|delete|leaving|name|new|people|personal|settings)|your_data)/;

export default defineConfig({
  environments: {
    client: {
      build: {
        rolldownOptions: {
          output: {
            // What several pages share comes in two files instead of forty: each request costs a phone more than its bytes.
            codeSplitting: {
              groups: [
                // SvelteKit puts the payload here before it loads what reads it; in a shared file all of that would run too
                // early, without its version, and take itself for outdated at each error: the page would load for ever.
                { name: 'payload', test: /runtime\/client\/payload\.js|vite\/preload-helper/, priority: 3 },
                { name: 'framework', test: /node_modules\/(svelte|esm-env|clsx)\//, priority: 2 },
                {
                  name: 'shared',
                  test: (id) =>
                    /\/src\/lib\/|@lucide\/svelte/.test(id) &&
                    !LATER.test(id) &&
                    !BESIDE.test(id) &&
                    !CONVERSATION.test(id),
                  minShareCount: 2,
                  priority: 1
                },
                { name: 'conversation', test: CONVERSATION, minShareCount: 2, priority: 0 },
                { name: 'beside', test: BESIDE, minShareCount: 2, priority: 0 }
              ]
            }
          }
        }
      }
    }
  },
  // The policy lets no font come from the style itself.
  build: { assetsInlineLimit: (file) => (file.endsWith('.woff2') ? false : undefined) },
  // In one file: what the server says of a script lets it load no other.
  worker: { format: 'es', rolldownOptions: { output: { codeSplitting: false } } },
  plugins: [
    woff2Only,
    tailwindcss(),
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/lib/paraglide',
      // The language is a matter of this browser: kept there, else what the browser prefers.
      strategy: ['localStorage', 'preferredLanguage', 'baseLocale']
    }),
    sveltekit({
      // No server rendering: every path that is not a file is the one page, which then reads the path.
      adapter: adapter({ fallback: 'index.html', precompress: true }),
      inlineStyleThreshold: 4096
    })
  ],
  server: {
    watch: { ignored: ['**/build/**'] },
    proxy: {
      '/r1': { target: server, ws: true },
      '/files': { target: server },
      '/health': { target: server }
    }
  }
});
