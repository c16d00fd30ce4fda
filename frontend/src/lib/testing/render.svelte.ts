/** Renders components in the browser for tests. */
import { createRawSnippet, flushSync, mount, unmount, type Component, type Snippet } from 'svelte';
import { onTestFinished } from 'vitest';
import type { Locator } from 'vitest/browser';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import { createTestApp, type TestApp } from './app.ts';
import Stage from './stage.svelte';

interface RenderOptions {
  /** App whose stores the component uses; by default one of a signed-in account without conversations. */
  in?: TestApp;
  conversationId?: string;
  /** Direction of the document. Dialogs and menus are outside the stage, so it applies to all. */
  dir?: 'ltr' | 'rtl';
  /** Width of the stage in pixels. */
  width?: number;
}

interface Rendered<Props> extends TestApp {
  /** Element around the component. */
  stage: HTMLElement;
  /** View of the conversation. Throws if none was asked for. */
  readonly view: ConversationView;
  /** Changes properties of the component. */
  update: (changes: Partial<Props>) => void;
}

/** Renders a component until the end of the test. */
export function render<Props extends object, Exports extends object>(
  component: Component<Props, Exports>,
  props: NoInfer<Props>,
  { in: testApp = createTestApp(), conversationId, dir = 'ltr', width = 480 }: RenderOptions = {}
): Rendered<Props> {
  let given = $state.raw(props);
  let view: ConversationView | undefined;
  const target = document.body.appendChild(document.createElement('div'));
  document.documentElement.dir = dir;
  const mounted = mount(Stage as Component<object>, {
    target,
    props: {
      component,
      get props() {
        return given;
      },
      app: testApp.app,
      conversationId,
      width,
      onview: (made: ConversationView) => (view = made)
    }
  });
  onTestFinished(async () => {
    await unmount(mounted);
    view?.close();
    target.remove();
    document.documentElement.dir = 'ltr';
  });
  flushSync();
  return {
    ...testApp,
    stage: target.firstElementChild as HTMLElement,
    get view() {
      if (!view) throw new Error('the component is in no conversation');
      return view;
    },
    update: (changes) => {
      given = { ...given, ...changes };
      flushSync();
    }
  };
}

/** Snippet that renders a text. */
export function text(content: string): Snippet {
  return createRawSnippet(() => ({
    render: () => `<span>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</span>`
  }));
}

/** Snippet that renders a list with a button for each item. */
export function buttonsOf<T>(nameOf: (item: T) => string): Snippet<[T[]]> {
  return createRawSnippet((items) => ({
    render: () => '<ul></ul>',
    setup: (list) => {
      $effect(() => {
        const rows = items().map((item) => {
          const row = document.createElement('li');
          row.appendChild(document.createElement('button')).textContent = nameOf(item);
          return row;
        });
        list.replaceChildren(...rows);
      });
    }
  }));
}

/** Snippet that renders a list item with the name of its argument. */
export const itemOf = <T>(nameOf: (item: T) => string): Snippet<[T]> =>
  createRawSnippet((item) => ({ render: () => `<li>${nameOf(item())}</li>` }));

/** Element that a locator finds now. Fails if there is none, or more than one. */
export const elementOf = (locator: Locator): HTMLElement => locator.element() as HTMLElement;
