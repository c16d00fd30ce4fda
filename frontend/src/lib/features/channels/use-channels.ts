import { useApp } from '#lib/app/app.ts';
import { ChannelsStore } from './channels.svelte.ts';

/** Loaded on demand. */
export function useChannels(): ChannelsStore {
  const { api, conversations } = useApp();
  return new ChannelsStore(api, conversations);
}
