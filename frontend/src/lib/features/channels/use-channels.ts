import { useApp } from '#lib/app/app.ts';
import { ChannelsStore } from './channels.svelte.ts';

/** Store of channel requests, created when first used. */
export function useChannels(): ChannelsStore {
  const { api, conversations } = useApp();
  return new ChannelsStore(api, conversations);
}
