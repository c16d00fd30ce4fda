import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

/** Kinds of conversations: `chat/kinds.ts` alone asks for them. */
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

export default ts.config(
  { ignores: ['build/', '.svelte-kit/', 'src/lib/paraglide/', 'src/lib/api/generated/', 'project.inlang/'] },
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
      // The app is always served at the root of its host.
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
        { name: 'fast-check', message: 'Take it from #lib/property-testing.ts, which draws the same each time.' }
      ]
    }
  },
  {
    files: ['src/**'],
    // An avatar has kinds of its own.
    ignores: ['src/lib/chat/kinds.ts', 'src/lib/components/ui/avatar/avatar.svelte', '**/*.test.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...KIND_COMPARED.map((selector) => ({
          selector,
          message: 'Ask for what a conversation is capable of (#lib/chat/kinds.ts), not which kind it is.'
        }))
      ]
    }
  }
);
