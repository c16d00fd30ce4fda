import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import { featureBoundaries } from './scripts/feature-boundaries.mjs';

/** Kinds of conversations: `features/conversations/kinds.ts` alone asks for them. */
const KINDS = '/^(single|group|assistant|public_channel|private_channel)$/';
/** What else has an `assistant` for its kind: who says something, or is called. */
const SPEAKERS = '/^(sender|actor|participant|offer|piece)$/';
const IS_KIND = [
  '[left.name="kind"]',
  ...['left', 'left.expression'].map(
    (at) => `[${at}.property.name="kind"][${at}.object.name!=${SPEAKERS}][${at}.object.property.name!=${SPEAKERS}]`
  )
];
const KIND_COMPARED = [
  `BinaryExpression[operator=/^[!=]==?$/]:matches(${IS_KIND.join(', ')})[right.value=${KINDS}]`,
  `SwitchStatement:matches([discriminant.name="kind"], [discriminant.property.name="kind"]) > SwitchCase[test.value=${KINDS}]`,
  `CallExpression[callee.property.name="includes"]:matches([arguments.0.name="kind"], [arguments.0.property.name="kind"]) > MemberExpression > ArrayExpression > Literal[value=${KINDS}]`
];

/** Paths become addresses in one place, because the app may stand below a path of its host. */
const ADDRESSED = [
  [
    'SvelteAttribute[key.name=/^(href|src|action)$/] > SvelteLiteral:first-child[value=/^\\//]',
    'Begin with {base} (#lib/util/address.ts).'
  ],
  [
    'SvelteAttribute[key.name=/^(href|src|action)$/] > SvelteMustacheTag > TemplateLiteral > TemplateElement:first-child[value.raw=/^\\//]',
    'Begin with ${base} (#lib/util/address.ts).'
  ],
  [
    'ImportDeclaration[source.value="$app/navigation"] > ImportSpecifier[imported.name="goto"][local.name="goto"]',
    'Take it from #lib/util/navigation.ts, which knows where the app stands.'
  ],
  [
    'MemberExpression[property.name="pathname"][object.property.name="url"][object.object.name="page"]',
    'Ask pathOf(page.url) (#lib/util/address.ts).'
  ],
  [
    'TemplateLiteral > MemberExpression[object.name="location"][property.name="origin"]',
    'Ask wholeAddress() (#lib/util/address.ts).'
  ]
];

/** Without a language it is the browser's, which isn't the app's. */
const UNTRANSLATED = 'CallExpression[callee.property.name=/^toLocale(Date|Time)?String$/][arguments.length=0]';

/** Requests belong to the `api` module or a store of a feature, not to components. */
const REQUEST =
  'CallExpression[callee.property.name=/^(get|post|put|patch|delete)$/]:matches([callee.object.name="api"], [callee.object.property.name="api"])';

const RESTRICTED = [
  ...KIND_COMPARED.map((selector) => ({
    selector,
    message: 'Ask for what a conversation is capable of (#lib/features/conversations/kinds.ts), not which kind it is.'
  })),
  ...ADDRESSED.map(([selector, message]) => ({ selector, message })),
  { selector: UNTRANSLATED, message: 'Write it by #lib/i18n/numbers.ts or #lib/i18n/dates.ts.' }
];

export default ts.config(
  { ignores: ['build/', '.svelte-kit/', 'src/lib/paraglide/', 'src/lib/api/generated/'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  prettier,
  ...svelte.configs.prettier,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { projectService: true, extraFileExtensions: ['.svelte'], parser: ts.parser } }
  },
  {
    rules: {
      // TypeScript knows every name already.
      'no-undef': 'off',
      // A resolved path takes more bytes than `base` before it; the rules below see to that.
      'svelte/no-navigation-without-resolve': 'off',
      // No store of Svelte 4 is left, and looking for them took nine tenths of the time.
      'svelte/require-store-reactive-access': 'off',
      // A store's private bookkeeping is plain on purpose: nothing on the screen reads it.
      'svelte/prefer-svelte-reactivity': 'off',
      eqeqeq: ['error', 'smart'],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error'
    }
  },
  {
    files: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { name: 'fast-check', message: 'Take it from #lib/util/property-testing.ts, which draws the same each time.' }
      ]
    }
  },
  {
    files: ['src/**'],
    // A test of shared code, or of the app as a whole, may look into several features.
    ignores: ['src/lib/{api,app,i18n,realtime,ui,util}/**/*.test.ts'],
    plugins: { natter: { rules: { 'feature-boundaries': featureBoundaries } } },
    rules: { 'natter/feature-boundaries': 'error' }
  },
  {
    files: ['src/**'],
    // An avatar has kinds of its own.
    ignores: ['src/lib/features/conversations/kinds.ts', 'src/lib/features/people/avatar.svelte', '**/*.test.ts'],
    rules: { 'no-restricted-syntax': ['error', ...RESTRICTED] }
  },
  {
    files: ['src/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'URL', property: 'parse', message: 'Use #lib/util/parse-url.ts, which works in Safari 17 too.' }
      ]
    }
  },
  {
    files: ['src/**'],
    ignores: ['src/lib/{util/browser-storage,i18n/locale}.ts', 'src/lib/testing/**', '**/*.test.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['localStorage', 'sessionStorage'].map((name) => ({
          name,
          message: 'Use #lib/util/browser-storage.ts, which works without access to the storage too.'
        }))
      ]
    }
  },
  {
    files: ['src/**/*.svelte'],
    ignores: ['src/lib/features/people/avatar.svelte'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...RESTRICTED,
        { selector: REQUEST, message: 'Send requests from the api module or a store of the feature.' }
      ]
    }
  }
);
