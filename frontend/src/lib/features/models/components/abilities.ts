import Brain from '@lucide/svelte/icons/brain';
import FileScan from '@lucide/svelte/icons/file-scan';
import FileText from '@lucide/svelte/icons/file-text';
import Image from '@lucide/svelte/icons/image';
import Mic from '@lucide/svelte/icons/mic';
import Wrench from '@lucide/svelte/icons/wrench';
import type { Capability, Model } from '#lib/api/assistants.ts';
import { m } from '#lib/paraglide/messages.js';

interface Ability {
  readonly id: Capability | 'files';
  readonly icon: typeof Brain;
  readonly label: () => string;
  /** Short name of the capability. */
  readonly short: () => string;
}

/** Capabilities in display order. */
export const ABILITIES: readonly Ability[] = [
  { id: 'images', icon: Image, label: m.model_reads_images, short: m.model_short_images },
  { id: 'pdf', icon: FileScan, label: m.model_reads_pdf, short: m.model_short_pdf },
  { id: 'files', icon: FileText, label: m.model_reads_files, short: m.model_short_files },
  { id: 'audio', icon: Mic, label: m.model_hears_audio, short: m.model_short_audio },
  { id: 'tools', icon: Wrench, label: m.model_uses_tools, short: m.model_short_tools },
  { id: 'reasoning', icon: Brain, label: m.model_thinks, short: m.model_short_thinks }
];

export function abilitiesOf({ capabilities }: Model): readonly Ability[] {
  // Every model can read files, because the server extracts their text.
  return ABILITIES.filter(({ id }) => id === 'files' || capabilities?.[id]);
}
