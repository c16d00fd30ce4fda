import { error } from '@sveltejs/kit';
import { SECTIONS, sectionOf } from '#lib/features/console/sections.ts';
import type { LayoutLoad } from './$types.js';

/** Returns the pages of the console and the current one, which is undefined on subpages. */
export const load: LayoutLoad = ({ params, route }) => {
  if (!route.id.endsWith('[[section]]')) return { sections: SECTIONS, section: undefined };
  const section = sectionOf(params.section);
  if (!section) error(404);
  return { sections: SECTIONS, section };
};
