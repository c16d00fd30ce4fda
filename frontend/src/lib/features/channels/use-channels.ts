import { useApp } from '#lib/app/app.ts';
import { ChannelsStore } from './channels.svelte.ts';

/** Comes with what needs it: most pages open without. */
export function useChannels(): ChannelsStore {
  const { api, conversations } = useApp();
  return new ChannelsStore(api, conversations);
}
