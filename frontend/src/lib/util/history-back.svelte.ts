/** Makes the back button of phones close the layers above the page, by entries in the router's history. */
import { untrack } from 'svelte';
import { MediaQuery } from 'svelte/reactivity';
import { page } from '$app/state';
import { goto } from '#lib/util/navigation.ts';
import { Layers } from '#lib/util/layers.ts';
import { PHONE } from '#lib/util/phone.ts';

const phone = new MediaQuery(PHONE);

const layers = new Layers({
  push: (known) => void goto(location.href, { state: { layers: known }, shallow: true }),
  back: () => history.back()
});

/** Handles the navigations of the app. Must be called once, in the root layout. */
export function watchLayers(): void {
  let isPopped = false;
  let { href } = page.url;
  $effect(() => {
    const pops = () => (isPopped = true);
    addEventListener('popstate', pops, { capture: true });
    return () => removeEventListener('popstate', pops, { capture: true });
  });
  $effect(() => {
    const [known, next] = [page.state.layers ?? [], page.url.href];
    untrack(() => {
      if (isPopped) void layers.popped(known, next === href);
      else layers.entered(known);
      isPopped = false;
      href = next;
    });
  });
}

/** Makes the back button call `close` as long as `isOpen` returns true. Must be called while a component initialises. */
export function closeOnBack(close: () => void, isOpen: () => boolean = () => true): void {
  $effect(() => {
    if (phone.current && isOpen()) return untrack(() => layers.add(close));
    return undefined;
  });
}
