/** Pages of the console in menu order. They share one route, because every route makes the first load of the app larger. */
import Activity from '@lucide/svelte/icons/activity';
import type { LucideProps } from '@lucide/svelte';
import Bot from '@lucide/svelte/icons/bot';
import Boxes from '@lucide/svelte/icons/boxes';
import ChartColumn from '@lucide/svelte/icons/chart-column';
import CreditCard from '@lucide/svelte/icons/credit-card';
import Flag from '@lucide/svelte/icons/flag';
import ListRestart from '@lucide/svelte/icons/list-restart';
import Megaphone from '@lucide/svelte/icons/megaphone';
import MessagesSquare from '@lucide/svelte/icons/messages-square';
import Plug from '@lucide/svelte/icons/plug';
import ReceiptText from '@lucide/svelte/icons/receipt-text';
import Rocket from '@lucide/svelte/icons/rocket';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Server from '@lucide/svelte/icons/server';
import Settings from '@lucide/svelte/icons/settings';
import ShieldBan from '@lucide/svelte/icons/shield-ban';
import Tags from '@lucide/svelte/icons/tags';
import Users from '@lucide/svelte/icons/users';
import Warehouse from '@lucide/svelte/icons/warehouse';
import Wrench from '@lucide/svelte/icons/wrench';
import type { Component } from 'svelte';
import { m } from '#lib/paraglide/messages.js';

interface Section {
  /** Path segment below `/admin`; undefined for `/admin` itself. */
  readonly name: string | undefined;
  readonly label: () => string;
  readonly icon: Component<LucideProps>;
  readonly load: () => Promise<{ default: Component }>;
}

export const SECTIONS: readonly Section[] = [
  { name: undefined, label: m.console_overview, icon: Activity, load: () => import('./components/overview.svelte') },
  { name: 'users', label: m.users, icon: Users, load: () => import('./users/users.svelte') },
  { name: 'workspaces', label: m.workspaces, icon: Warehouse, load: () => import('./workspaces/workspaces.svelte') },
  {
    name: 'conversations',
    label: m.any_conversations,
    icon: MessagesSquare,
    load: () => import('./workspaces/conversations.svelte')
  },
  {
    name: 'announcements',
    label: m.announcements,
    icon: Megaphone,
    load: () => import('#lib/features/broadcasts/broadcast-admin.svelte')
  },
  { name: 'models', label: m.admin_models, icon: Boxes, load: () => import('#lib/features/gateway/models.svelte') },
  { name: 'providers', label: m.providers, icon: Plug, load: () => import('#lib/features/gateway/providers.svelte') },
  {
    name: 'service-accounts',
    label: m.service_accounts,
    icon: Bot,
    load: () => import('./service-accounts/service-accounts.svelte')
  },
  {
    name: 'usage',
    label: m.budget_usage,
    icon: ChartColumn,
    load: () => import('#lib/features/gateway/all-usage.svelte')
  },
  {
    name: 'payments',
    label: m.admin_payments,
    icon: ReceiptText,
    load: () => import('#lib/features/billing/sales.svelte')
  },
  { name: 'plans', label: m.admin_plans, icon: Tags, load: () => import('#lib/features/billing/plans.svelte') },
  {
    name: 'gateways',
    label: m.admin_gateways,
    icon: CreditCard,
    load: () => import('#lib/features/billing/gateways.svelte')
  },
  { name: 'tools', label: m.tools, icon: Wrench, load: () => import('#lib/features/tools/tool-servers.svelte') },
  { name: 'jobs', label: m.jobs, icon: ListRestart, load: () => import('./components/jobs.svelte') },
  { name: 'instances', label: m.instances, icon: Server, load: () => import('./components/instances.svelte') },
  { name: 'reports', label: m.reports, icon: Flag, load: () => import('#lib/features/moderation/reports.svelte') },
  { name: 'bans', label: m.bans, icon: ShieldBan, load: () => import('./components/bans.svelte') },
  { name: 'audit-log', label: m.audit_log, icon: ScrollText, load: () => import('./components/audit-log.svelte') },
  { name: 'settings', label: m.console_settings, icon: Settings, load: () => import('./components/settings.svelte') },
  { name: 'setup', label: m.setup, icon: Rocket, load: () => import('./components/setup.svelte') }
];

export function sectionOf(name: string | undefined): Section | undefined {
  return SECTIONS.find((section) => section.name === name);
}

export function addressOf({ name }: Section): string {
  return name === undefined ? '/admin' : `/admin/${name}`;
}
