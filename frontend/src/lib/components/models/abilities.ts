import Brain from '@lucide/svelte/icons/brain';
import Image from '@lucide/svelte/icons/image';
import Mic from '@lucide/svelte/icons/mic';
import Wrench from '@lucide/svelte/icons/wrench';
import { CAPABILITIES, type Capability, type Model } from '#lib/api/assistants.ts';
import { m } from '#lib/paraglide/messages.js';

const LOOKS: Record<Capability, { icon: typeof Brain; label: () => string }> = {
  images: { icon: Image, label: m.model_reads_images },
  audio: { icon: Mic, label: m.model_hears_audio },
  tools: { icon: Wrench, label: m.model_uses_tools },
  reasoning: { icon: Brain, label: m.model_thinks }
};

/** What a model can do besides reading and writing text, always in the same order. */
export function abilitiesOf({ capabilities }: Model) {
  return CAPABILITIES.filter((one) => capabilities?.[one]).map((one) => ({ id: one, ...LOOKS[one] }));
}
