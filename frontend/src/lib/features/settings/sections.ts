/** Sections of the settings in the order of the page and of its links. */
import type { LucideProps } from '@lucide/svelte';
import Bell from '@lucide/svelte/icons/bell';
import Bot from '@lucide/svelte/icons/bot';
import Cable from '@lucide/svelte/icons/cable';
import Download from '@lucide/svelte/icons/download';
import Fingerprint from '@lucide/svelte/icons/fingerprint-pattern';
import KeyRound from '@lucide/svelte/icons/key-round';
import Link from '@lucide/svelte/icons/link';
import Lock from '@lucide/svelte/icons/lock-keyhole';
import MonitorSmartphone from '@lucide/svelte/icons/monitor-smartphone';
import Palette from '@lucide/svelte/icons/palette';
import ShieldCheck from '@lucide/svelte/icons/shield-check';
import UserRound from '@lucide/svelte/icons/user-round';
import Wrench from '@lucide/svelte/icons/wrench';
import type { Component } from 'svelte';
import Identities from '#lib/features/auth/identities.svelte';
import Passkeys from '#lib/features/auth/passkeys.svelte';
import Password from '#lib/features/auth/password.svelte';
import SecondFactor from '#lib/features/auth/second-factor.svelte';
import SessionList from '#lib/features/auth/session-list.svelte';
import Profile from '#lib/features/people/profile.svelte';
import { m } from '#lib/paraglide/messages.js';
import Appearance from './appearance.svelte';
import type { SectionStores } from './section-stores.ts';

interface SettingsSection {
  /** Anchor in the URL, and id of the component's element. */
  readonly id: string;
  readonly label: () => string;
  readonly icon: Component<LucideProps>;
  /** Condition of a section that not everybody has. */
  readonly isShown?: (stores: SectionStores) => boolean;
  /** Component, or the import of one that is loaded after the page is shown. */
  readonly content: { readonly component: Component } | { readonly load: () => Promise<{ default: Component }> };
}

export const SECTIONS: readonly SettingsSection[] = [
  { id: 'profile', label: m.profile, icon: UserRound, content: { component: Profile } },
  { id: 'appearance', label: m.appearance, icon: Palette, content: { component: Appearance } },
  {
    id: 'notifications',
    label: m.notifications,
    icon: Bell,
    content: { load: () => import('#lib/features/notifications/notification-settings.svelte') }
  },
  { id: 'password', label: m.password, icon: Lock, content: { component: Password } },
  { id: 'second-factor', label: m.second_factor, icon: ShieldCheck, content: { component: SecondFactor } },
  { id: 'passkeys', label: m.passkeys, icon: Fingerprint, content: { component: Passkeys } },
  {
    id: 'identities',
    label: m.identities,
    icon: Link,
    isShown: ({ authPolicy, identities: { list } }) =>
      authPolicy.providers.length > 0 || list.items.length > 0 || list.error !== null,
    content: { component: Identities }
  },
  { id: 'devices', label: m.devices, icon: MonitorSmartphone, content: { component: SessionList } },
  {
    id: 'api-keys',
    label: m.api_keys,
    icon: KeyRound,
    content: { load: () => import('#lib/features/api-keys/api-key-settings.svelte') }
  },
  { id: 'instructions', label: m.instructions, icon: Bot, content: { load: () => import('./instructions.svelte') } },
  {
    id: 'tool-permissions',
    label: m.tool_permissions,
    icon: Wrench,
    content: { load: () => import('#lib/features/tools/tool-permissions.svelte') }
  },
  {
    id: 'tool-connections',
    label: m.tool_connections,
    icon: Cable,
    // Some tool server must require an account.
    isShown: ({ connections: { list } }) => list.items.length > 0 || list.error !== null,
    content: { load: () => import('#lib/features/tools/tool-connections.svelte') }
  },
  { id: 'your-data', label: m.your_data, icon: Download, content: { load: () => import('./your-data.svelte') } }
];
