import { useApp } from '#lib/app/app.ts';
import { Channels } from './channels.svelte.ts';

/** Comes with what needs it: most pages open without. */
export function useChannels(): Channels {
  const { api, conversations } = useApp();
  return new Channels(api, conversations);
}
