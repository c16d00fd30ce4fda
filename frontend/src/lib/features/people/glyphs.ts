import Bot from '@lucide/svelte/icons/bot';
import Feather from '@lucide/svelte/icons/feather';
import Languages from '@lucide/svelte/icons/languages';
import Scale from '@lucide/svelte/icons/scale';
import Terminal from '@lucide/svelte/icons/terminal';
import Compass from '@lucide/svelte/icons/compass';
import Leaf from '@lucide/svelte/icons/leaf';
import BookOpen from '@lucide/svelte/icons/book-open';
import Brain from '@lucide/svelte/icons/brain';
import Bug from '@lucide/svelte/icons/bug';
import Calendar from '@lucide/svelte/icons/calendar';
import ChartLine from '@lucide/svelte/icons/chart-line';
import Code from '@lucide/svelte/icons/code';
import Coffee from '@lucide/svelte/icons/coffee';
import FlaskConical from '@lucide/svelte/icons/flask-conical';
import Globe from '@lucide/svelte/icons/globe';
import GraduationCap from '@lucide/svelte/icons/graduation-cap';
import HeartPulse from '@lucide/svelte/icons/heart-pulse';
import Landmark from '@lucide/svelte/icons/landmark';
import Lightbulb from '@lucide/svelte/icons/lightbulb';
import Megaphone from '@lucide/svelte/icons/megaphone';
import Music from '@lucide/svelte/icons/music';
import Palette from '@lucide/svelte/icons/palette';
import PenTool from '@lucide/svelte/icons/pen-tool';
import Rocket from '@lucide/svelte/icons/rocket';
import Search from '@lucide/svelte/icons/search';
import Shield from '@lucide/svelte/icons/shield';
import Wrench from '@lucide/svelte/icons/wrench';

/** Icons of assistants, by the name that is stored. */
export const GLYPHS: Readonly<Record<string, typeof Bot>> = {
  'book-open': BookOpen,
  bot: Bot,
  brain: Brain,
  bug: Bug,
  calendar: Calendar,
  'chart-line': ChartLine,
  code: Code,
  coffee: Coffee,
  compass: Compass,
  feather: Feather,
  'flask-conical': FlaskConical,
  globe: Globe,
  'graduation-cap': GraduationCap,
  'heart-pulse': HeartPulse,
  landmark: Landmark,
  languages: Languages,
  leaf: Leaf,
  lightbulb: Lightbulb,
  megaphone: Megaphone,
  music: Music,
  palette: Palette,
  'pen-tool': PenTool,
  rocket: Rocket,
  scale: Scale,
  search: Search,
  shield: Shield,
  terminal: Terminal,
  wrench: Wrench
};
